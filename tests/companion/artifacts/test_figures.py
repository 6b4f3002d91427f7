"""The paper's figures, drawn from known numbers."""

import base64
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.pictures import noise
from helpers.results import BASELINES, outputs_of, write_history
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from colorlib.color import gray_rgb
from colorlib.companion.artifacts import figures
from colorlib.companion.paper import EXAMPLES
from colorlib.companion.tables import caption_html
from colorlib.data import Augmentation
from colorlib.photos.decode import Photo, Pixels
from colorlib.runs import Run


def photo(pixels: Pixels) -> Photo:
    return Photo(name="test/made.png", digest="0" * 64, load=lambda: pixels)


@pytest.mark.parametrize("epochs", [1, 5, 40, 100])
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_loss_curve_is_drawn_the_same_each_time(tmp_path: Path, epochs: int, seeds: int):
    runs = [write_history(tmp_path / f"seed-{seed}", epochs, 0.007 + 0.0002 * seed) for seed in range(seeds)]
    shown = figures.loss_curve(runs, BASELINES, tmp_path / "a.png")
    figures.loss_curve(runs, BASELINES, tmp_path / "b.png")
    for suffix in (".png", ".svg"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    for column in ("training_loss", "validation_loss"):
        assert f"{np.mean([Run(run).history()[-1][column] for run in runs]):.4f}" in shown.alt
    assert all(f"{name} {error:.4f}" in shown.alt for name, error in BASELINES.items())
    assert re.search(r"\b0\.0044\b.*\b40\b", shown.alt)
    assert f"{25 * epochs:,} updates" in shown.caption
    assert re.search(r"\b3 seeds\b" if seeds == 3 else r"\b(one|1) seed\b", shown.caption)
    last = np.array([[row["validation_loss"] for row in Run(run).history()[-10:]] for run in runs])
    spread = [f"{np.mean(last.std(axis=1, ddof=1) / last.mean(axis=1)):.1%}"] if epochs > 1 else []
    assert re.findall(r"[\d.]+%", shown.caption) == spread
    assert shown.caption == shown.caption.strip()
    assert shown.label == "Figure 1."


def test_the_svg_file_needs_no_font_and_follows_the_numbers_alone(tmp_path: Path):
    run = write_history(tmp_path / "seed-0", 5, 0.007)
    shown = figures.loss_curve([run], BASELINES, tmp_path / "a.png")
    drawn = (tmp_path / "a.svg").read_text()
    assert shown.drawing
    assert outputs_of(shown)[0].metadata["image/png"]["svg"] == "a.svg"
    for unwanted in ("<text", "font-family", "<image", "<dc:date", "Matplotlib v"):
        assert unwanted not in drawn
    for color in (figures.TRAINING, figures.VALIDATION):
        assert color in drawn
    figures.loss_curve([run], {name: error * 1.001 for name, error in BASELINES.items()}, tmp_path / "b.png")
    assert (tmp_path / "b.svg").read_text() != drawn


def test_the_loss_curve_holds_both_curves(tmp_path: Path):
    run = write_history(tmp_path / "seed-0", 60, 0.007)
    figures.loss_curve([run], BASELINES, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as drawn:
        pixels = np.asarray(drawn.convert("RGB")).reshape(-1, 3)
    for line in (figures.TRAINING, figures.VALIDATION):
        rgb = [int(line[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(pixels.astype(int) - rgb).max(axis=1) < 8).sum() > 300


def constant(value: float) -> figures.Colorize:
    """A colorizer that makes every pixel one gray."""
    return lambda light: torch.full((1, 3, *light.shape[-2:]), value)


def test_an_example_has_the_psnr_that_scikit_image_computes(tmp_path: Path):
    pixels = noise(60, 80)
    shown = figures.example(
        photo(pixels), constant(0.5), constant(0.2), tmp_path / "e.png", number="Figure 9", subject="noise"
    )
    expected = {
        name: f"{peak_signal_noise_ratio(pixels, np.full_like(pixels, level)):.2f} dB"
        for name, level in (("prediction", 128), ("look-up table", 51))
    }
    for name, psnr in expected.items():
        assert f"{name} {psnr}" in shown.caption
        assert psnr in shown.alt
        assert f"{shown.numbers[name]:.2f} dB" == psnr
    assert shown.label == "Figure 9."
    assert shown.caption.startswith("Noise")
    assert shown.data is not None
    in_hand = dict(zip(shown.data["picture"], shown.data["PSNR"], strict=True))
    assert {name: f"{in_hand[name]:.2f} dB" for name in expected} == expected
    assert len(shown.axes) == 4
    with Image.open(tmp_path / "e.png") as drawn:
        drawn_pixels = np.asarray(drawn.convert("RGB"))
    assert drawn_pixels.shape[1] > 600
    for quarter, level in ((2, 128), (3, 51)):
        width = drawn_pixels.shape[1] // 4
        middle = drawn_pixels[drawn_pixels.shape[0] // 2, quarter * width + width // 2]
        assert middle.tolist() == [level] * 3, "prediction and baseline are the last two of four panels"


def test_a_perfect_prediction_has_an_infinite_psnr_and_is_still_drawn(tmp_path: Path):
    gray = np.repeat(noise(60, 80)[..., :1], 3, axis=2)
    shown = figures.example(
        photo(gray), gray_rgb, constant(0.5), tmp_path / "e.png", number="Figure 9", subject="noise"
    )
    assert "prediction inf dB" in shown.caption
    assert shown.path.is_file()


def test_the_papers_examples_are_of_bundled_photographs(tmp_path: Path):
    for name, (_, number, subject) in EXAMPLES.items():
        shown = figures.paper_example(name, gray_rgb, gray_rgb, tmp_path)
        assert shown.path == tmp_path / f"{name}.png"
        assert shown.path.is_file()
        assert shown.label == f"{number}."
        assert subject in shown.alt


def test_the_crops_are_those_of_training(tmp_path: Path):
    augmentation = Augmentation(crop_size=16, flip_probability=0.5, turn_probability=0.75)
    shown = figures.augmentations(photo(noise(60, 80)), augmentation, tmp_path / "c.png", seed=0)
    assert "16 × 16" in shown.caption
    first = shown.path.read_bytes()
    figures.augmentations(photo(noise(60, 80)), augmentation, tmp_path / "c.png", seed=1)
    assert shown.path.read_bytes() != first


def test_an_output_has_its_words_in_the_metadata_and_a_visible_caption_follows(tmp_path: Path):
    Image.fromarray(noise(6, 8)).save(tmp_path / "x.png")
    figure = figures.Illustration(path=tmp_path / "x.png", label="Figure 9.", caption="a < b", alt="noise & more")
    output, visible = outputs_of(figure)
    assert base64.b64decode(output.data["image/png"]) == figure.path.read_bytes()
    assert output.metadata["image/png"] == {
        "alt": "noise & more", "width": 760, "label": "Figure 9.", "caption": "a < b",
    }  # fmt: skip
    output, _ = outputs_of(replace(figure, numbers={"gray input": 18.62}))
    assert output.metadata["image/png"]["numbers"] == {"gray input": 18.62}
    assert visible.metadata == {"text/html": {"is_caption": True}}
    assert caption_html("Figure 9.", "a < b") in visible.data["text/html"]
