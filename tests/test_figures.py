"""Figures and tables rebuilt from known numbers."""

import dataclasses
import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from skimage import color
from skimage.metrics import peak_signal_noise_ratio

from colorlib.color import gray_rgb
from colorlib.companion import cells, figures, tables
from colorlib.companion.readme import current
from colorlib.config import RunConfig
from colorlib.data import Augmentation
from colorlib.evaluate import Score
from colorlib.files import write_text
from colorlib.images import Photo
from colorlib.photos import open_photos
from colorlib.profiles import Profile
from colorlib.runs import Run, csv_text
from colorlib.scoring import baseline_losses
from colorlib.trainer import Epoch, Notice, Update

BASELINES = {"gray": 0.0098, "mean chroma": 0.008, "look-up table": 0.0079}


def picture(height: int = 60, width: int = 80) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def photo(pixels: np.ndarray) -> Photo:
    return Photo(name="test/made.png", digest="0" * 64, load=lambda: pixels)


def history(folder, epochs: int, level: float):
    rows = [
        {"epoch": e, "updates": 25 * e, "training_loss": level * (1 + 2 / e), "validation_loss": level * (1 + 1 / e)}
        for e in range(1, epochs + 1)
    ]
    write_text(folder / "history.csv", csv_text(rows))
    return folder


@pytest.mark.parametrize("epochs", [1, 5, 40, 100])
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_loss_curve_is_drawn_the_same_each_time(tmp_path, epochs, seeds):
    runs = [history(tmp_path / f"seed-{seed}", epochs, 0.007 + 0.0002 * seed) for seed in range(seeds)]
    shown = figures.loss_curve(runs, BASELINES, tmp_path / "a.png")
    figures.loss_curve(runs, BASELINES, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    final = np.mean([Run(run).history()[-1]["training_loss"] for run in runs])
    assert f"{final:.4f} in training" in shown.alt
    assert "0.0044 at epoch 40" in shown.alt
    assert f"{25 * epochs:,} updates" in shown.caption
    assert ("3 seeds" if seeds == 3 else "one seed") in shown.caption
    last = np.array([[row["validation_loss"] for row in Run(run).history()[-10:]] for run in runs])
    noise = (
        f"{np.mean(last.std(axis=1, ddof=1) / last.mean(axis=1)):.1%} of its mean"
        if epochs > 1
        else "Logarithmic scale."
    )
    assert noise in shown.caption
    assert shown.caption == shown.caption.strip()


def test_the_loss_curve_holds_both_curves(tmp_path):
    run = history(tmp_path / "seed-0", 60, 0.007)
    figures.loss_curve([run], BASELINES, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as drawn:
        pixels = np.asarray(drawn.convert("RGB")).reshape(-1, 3)
    for line in (figures.TRAINING, figures.VALIDATION):
        rgb = [int(line[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(pixels.astype(int) - rgb).max(axis=1) < 8).sum() > 300


def test_a_triptych_prints_the_psnr_that_scikit_image_computes(tmp_path):
    pixels = picture()
    shown = figures.triptych(
        photo(pixels), lambda light: torch.full((1, 3, *light.shape[-2:]), 0.5), tmp_path / "t.png",
        number="Figure 9", subject="noise",
    )  # fmt: skip
    expected = peak_signal_noise_ratio(pixels, np.full_like(pixels, 128))
    assert f"prediction {expected:.2f} dB" in shown.caption
    assert f"at {expected:.2f} dB PSNR" in shown.alt
    assert shown.caption.startswith("<b>Figure 9.</b> Noise:")
    with Image.open(tmp_path / "t.png") as drawn:
        assert drawn.size[0] > 600


def test_a_perfect_prediction_has_an_infinite_psnr_and_is_still_drawn(tmp_path):
    gray = np.repeat(picture()[..., :1], 3, axis=2)
    shown = figures.triptych(photo(gray), gray_rgb, tmp_path / "t.png", number="Figure 9", subject="gray noise")
    assert "prediction inf dB" in shown.caption


def test_the_crops_shown_are_those_of_training(tmp_path):
    augmentation = Augmentation(crop_size=16, flip_probability=0.5, turn_probability=0.75)
    shown = figures.augmentations(photo(picture()), augmentation, tmp_path / "c.png", seed=0)
    assert "16 × 16" in shown.caption


def test_baseline_losses_are_means_over_the_center_crops():
    losses = baseline_losses("bundled", 20)
    (validation,) = open_photos("bundled", "val").decode()
    top, left = (validation.shape[0] - 20) // 2, (validation.shape[1] - 20) // 2
    crop = validation[top : top + 20, left : left + 20] / 255.0
    lab = color.rgb2lab(crop) * (1, 0, 0)
    assert losses["gray"] == pytest.approx(((crop - color.lab2rgb(lab)) ** 2).mean(), rel=1e-3)
    assert list(losses) == list(BASELINES)


def row(image: str, method: str, error: float) -> Score:
    return Score(
        image=image, method=method, pixels=100, truth_chroma=10.0, mse=error, psnr=-10 * np.log10(error), ssim=0.9,
        delta_e00=9.0, ab_auc=0.9, colorfulness=20.0, truth_colorfulness=39.0,
    )  # fmt: skip


@pytest.fixture
def profile(tmp_path, monkeypatch) -> Profile:
    """Two seeds' finished runs, and scored baselines, in a checkout of their own."""
    monkeypatch.setattr("colorlib.profiles.PROJECT", tmp_path)
    made = Profile(name="made", settings={"photos": "bundled"}, seeds=(0, 1))
    baselines = [row(image, method, error) for method, error in BASELINES.items() for image in "abc"]
    write_text(made.results / "per_image.csv", csv_text([{"seed": "", **dataclasses.asdict(r)} for r in baselines]))
    for seed, error in ((0, 0.006), (1, 0.007)):
        history(made.run(seed), 2, 0.007)
        scored = [
            row(image, method, error * factor * weight)
            for method, factor in (("network", 1.0), ("network, true L", 0.9))
            for image, weight in zip("abc", (0.5, 1.0, 1.5), strict=True)
        ]
        write_text(made.run(seed) / "per_image.csv", csv_text([dataclasses.asdict(r) for r in scored]))
        photos = {"source": "bundled", "split": "test", "count": 3}
        write_text(made.run(seed) / "metrics.json", json.dumps({"photos": photos}))
    return made


def test_table_1_pools_images_and_spreads_over_seeds(profile):
    table = tables.table1(profile).set_index("method")
    assert list(table.index) == [
        "paper (its own, unnamed data)", "gray", "mean chroma", "look-up table", "network", "network, true L",
    ]  # fmt: skip
    network = table.loc["network"]
    assert network["MSE"] == pytest.approx(0.0065)
    assert network["MSE sd"] == pytest.approx(np.std([0.006, 0.007], ddof=1))
    psnr = [-10 * np.log10(error) for error in (0.006, 0.007)]
    assert network["PSNR of MSE"] == pytest.approx(np.mean(psnr))
    assert network["gain over gray"] == pytest.approx(np.mean(psnr) + 10 * np.log10(0.0098))
    assert network["MSE low"] < network["MSE"] < network["MSE high"]
    assert network["updates"] == 50
    assert table.loc["gray", "gain over gray"] == 0
    assert pd.isna(table.loc["gray", "MSE sd"])
    assert table.loc["paper (its own, unnamed data)", "PSNR of MSE"] == 23.56


def test_table_1_follows_what_was_measured(profile):
    before = tables.markdown(tables.table1(profile), profile)
    path = profile.run(1) / "per_image.csv"
    path.write_text(path.read_text().replace("0.0105", "0.0305"))
    after = tables.markdown(tables.table1(profile), profile)
    changed = {line.split("|")[1].strip() for line in set(after.splitlines()) - set(before.splitlines()) if "|" in line}
    assert changed == {"network"}
    assert (profile.results / "table1.md").read_text() == after


def test_the_html_table_marks_its_headers_and_caption(profile):
    page = tables.html(tables.table1(profile), profile)
    assert page.count('<th scope="row">') == 6
    assert page.count('<th scope="col">') == 8
    assert "<caption>Table I on the 3 test photographs of bundled" in page
    assert "2 seeds" in page


def test_rows_of_other_images_are_refused(profile):
    path = profile.run(0) / "per_image.csv"
    path.write_text(path.read_text().replace("\na,", "\nz,"))
    with pytest.raises(ValueError, match="was not scored on the same images"):
        tables.table1(profile)


def test_narration_is_the_same_after_an_interruption():
    epochs = [Epoch(epoch=e, step=e, training_loss=0.5 / e, validation_loss=0.4 / e) for e in (1, 2)]
    config = RunConfig(epochs=2)
    through = [Update(epoch=1, step=1), epochs[0], Update(epoch=2, step=2), epochs[1]]
    resumed = [Notice(text="a damaged checkpoint"), epochs[0], Update(epoch=2, step=2), epochs[1]]
    assert list(cells.narrate(through, config)) == list(cells.narrate(resumed, config))
    assert next(cells.narrate(through, config)).startswith("epoch   1 of 2  loss 0.50000")


def test_a_run_directory_is_named_by_its_settings():
    first, second = RunConfig(seed=0), RunConfig(seed=1)
    folders = {cells.run_directory("", config, "resume") for config in (first, second, first)}
    assert len(folders) == 2
    assert {folder.parent.name for folder in folders} == {"scratch"}
    assert cells.run_directory("results/cpu/seed-0", first, "show").parts[-3:] == ("results", "cpu", "seed-0")
    with pytest.raises(ValueError, match="mode='again': there are resume, restart, show"):
        cells.run_directory("", first, "again")


def test_an_illustration_carries_its_alternative_text(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *objects: shown.extend(objects))
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, "PNG")
    (tmp_path / "x.png").write_bytes(buffer.getvalue())
    figures.Illustration(path=tmp_path / "x.png", caption="<b>Figure</b>", alt="what it shows").show()
    _, metadata = shown[0]._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "what it shows"
    assert "caption" in shown[1].data


def test_the_readme_is_filled_from_results(tmp_path):
    write_text(tmp_path / "results" / "x.md", "| measured |\n")
    text = "before\n<!-- from results/x.md -->\nold\n<!-- end -->\nafter\n"
    filled = current(text, tmp_path)
    assert filled == "before\n<!-- from results/x.md -->\n| measured |\n<!-- end -->\nafter\n"
    assert current(filled, tmp_path) == filled
    with pytest.raises(ValueError, match=r"results/y\.md, which does not exist"):
        current(text.replace("x.md", "y.md"), tmp_path)


def test_json_of_a_run_shows_what_it_was_made_of(tmp_path):
    record = {
        "config": {"seed": 3}, "photos": {"train": {"count": 2, "sha256": "ab" * 32}}, "source": "cd" * 32,
        "versions": {"torch": "2"}, "hardware": {"threads": 2},
    }  # fmt: skip
    write_text(tmp_path / "run.json", json.dumps(record))
    shown = dict(cells.provenance_table(tmp_path).itertuples(index=False))
    assert shown["seed"] == 3
    assert shown["train photographs"].startswith("2, SHA-256 abab")
    assert shown["threads"] == 2
