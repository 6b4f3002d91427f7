"""Others' colorizers beside ours: the published figures come out, near gray is left out, stale results are refused."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from pictures import smooth
from PIL import Image
from test_metrics import GRAY, MEASURED
from training_fixtures import make_photos

from colorlib import places
from colorlib.checkpoint import save_tensors
from colorlib.color import gray_rgb
from colorlib.colorizer import Colorize
from colorlib.companion import peers, reproduce
from colorlib.companion.plan import Step, steps
from colorlib.companion.tables import read_rows, readable
from colorlib.evaluate import by_method, score
from colorlib.files import write_json
from colorlib.images import Pixels
from colorlib.metrics import NEAR_GRAY_CHROMA
from colorlib.photos import SOURCES, open_photos
from colorlib.places import PhotosMissingError, UnreachableError
from colorlib.profiles import PROJECT, Profile, load_profile
from colorlib.provenance import imported_modules
from colorlib.scoring import NETWORK, NETWORK_TRUE_L
from colorlib.sources import Listed

CPU = torch.device("cpu")
ROWS = [
    "gray", "gray, as published", "Dahl", "Zhang, no rebalancing", "Zhang, rebalanced", "mean chroma", "look-up table",
    "network", "network, true L",
]  # fmt: skip
COUNT = 6


# The source


def test_others_results_are_in_no_split():
    source = SOURCES[peers.SOURCE]
    assert isinstance(source, Listed)
    assert source.splits == ("test",)
    assert all(name.startswith("gt/") for name in source.names("test"))
    others = source.names(peers.OTHERS)
    assert {name.split("/")[0] for name in others} == set(peers.PEERS.values())
    truths = {name.removeprefix("gt/") for name in source.names("test")}
    for folder in peers.PEERS.values():
        assert {name.removeprefix(f"{folder}/") for name in others if name.startswith(f"{folder}/")} == truths
    for split in (peers.OTHERS, "train", "val"):
        with pytest.raises(ValueError, match=r"zhang2016 has no split called .*; it has test"):
            open_photos(peers.SOURCE, split)


# A comparison of our own: six ground truths, one of them gray, and what is "published" for each


def truth(number: int) -> Pixels:
    pixels = smooth(20, 24, seed=number)
    return np.repeat(pixels[..., :1], 3, axis=-1) if number == 0 else pixels


def published(number: int) -> dict[str, Pixels]:
    """Each of the four at another distance from its own ground truth, and far from every other."""
    exact = truth(number).astype(int)
    made = {
        folder: np.clip(exact + error, 0, 255).astype(np.uint8)
        for folder, error in zip(("lum", "tinyclouds", "ours_unrebalanced", "ours"), (16, 8, 4, 2), strict=True)
    }
    return {"gt": truth(number)} | made


def methods(path: Path, device: torch.device) -> dict[str, Colorize]:
    """Stubs in place of a run's network; seed 1's is darker."""
    darker = 0.8 if path.name == "seed-1" else 1.0
    return {NETWORK: lambda light: darker * gray_rgb(light), NETWORK_TRUE_L: gray_rgb}


def settle(folder: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """Work in `folder`: its checkout, its data, its list of checksums; runs are trained on `photos`."""
    for module in ("profiles", "companion.plan"):
        monkeypatch.setattr(f"colorlib.{module}.PROJECT", folder / "checkout")
    monkeypatch.setattr("colorlib.evaluate.RESAMPLES", 500)
    monkeypatch.setattr(peers, "network_methods", methods)
    monkeypatch.setattr(places, "CHECKSUMS", folder / "checksums")
    monkeypatch.setenv("COLORLIB_DATA", str(folder / "data"))
    return Profile(name="made", settings={"photos": f"folder:{photos}"}, seeds=(0, 1))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `zhang2016` of six photographs with their checksums, and a checkout with two seeds' runs, all scored."""
    folder = tmp_path_factory.mktemp("world")
    photos = make_photos(folder / "photos")
    lines = []
    for number in range(COUNT):
        for kind, pixels in published(number).items():
            path = folder / "data" / "zhang2016-comparison" / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {kind}/{number}.png\n")
    (folder / "checksums").mkdir()
    (folder / "checksums" / "zhang2016.sha256").write_text("".join(lines))
    with pytest.MonkeyPatch.context() as monkeypatch:
        profile = settle(folder, photos, monkeypatch)
        for seed in profile.seeds:
            write_json(profile.run(seed) / "run.json", {"photos": {"train": {"count": 5}}})
            save_tensors(profile.run(seed) / "weights.safetensors", {"w": torch.tensor([float(seed)])}, step=1234)
        assert list(peers.score_peers(profile, device=CPU)) == [(done, COUNT) for done in range(COUNT + 1)]
    return folder


@pytest.fixture
def scored(world: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """A copy of `world` to work in: its profile."""
    shutil.copytree(world, tmp_path / "world")
    return settle(tmp_path / "world", world / "photos", monkeypatch)


@pytest.fixture
def comparison(scored: Profile, tmp_path: Path) -> Path:
    """The folder of the `zhang2016` of that copy."""
    return tmp_path / "world" / "data" / "zhang2016-comparison"


def test_every_photograph_is_scored_by_every_method_and_seed(scored: Profile):
    rows, record = peers.read_peers(scored)
    assert list(by_method([row for _, row in rows])) == ROWS
    for method in ROWS:
        seeds = (0, 1) if method.startswith("network") else (None,)
        for seed in seeds:
            found = [row.image for held, row in rows if held == seed and row.method == method]
            assert found == [f"gt/{number}.png" for number in range(COUNT)]
    assert len(rows) == COUNT * (7 + 2 * 2)
    assert record["photos"]["count"] == COUNT
    assert record["published"]["count"] == 4 * COUNT
    assert record["trained_on"] == {"source": scored.photos, "count": 5}
    assert record["updates"] == 1234


def test_published_results_are_held_against_their_own_ground_truth(scored: Profile):
    rows, _ = peers.read_peers(scored)
    errors = {method: [row.mse for row in found] for method, found in by_method([row for _, row in rows]).items()}
    for method, level in zip(list(peers.PEERS), (16, 8, 4, 2), strict=True):
        # Not exactly: where the truth is nearly white the error is clipped.
        assert errors[method] == pytest.approx([(level / 255) ** 2] * COUNT, rel=0.25)


def test_gray_is_made_of_the_ground_truth(scored: Profile):
    rows, _ = peers.read_peers(scored)
    ours = [row for _, row in rows if row.method == "gray"]
    assert ours == [row for (row,) in score({"gray": gray_rgb}, open_photos(peers.SOURCE, "test"))]


def test_near_gray_ground_truths_are_kept_in_the_file_and_left_out_of_the_figures(scored: Profile):
    rows, _ = peers.read_peers(scored)
    gray = [row for _, row in rows if row.method == "gray"]
    assert [row.truth_chroma < NEAR_GRAY_CHROMA for row in gray] == [True] + [False] * 5
    (summary,) = peers.peers_summaries(scored)["gray"]
    assert (summary.images, summary.near_gray, summary.left_out) == (5, 0, 0)
    assert summary.mean_psnr.value == pytest.approx(np.mean([row.psnr for row in gray[1:]]))
    assert "on 5 of the 6 photographs of zhang2016" in peers.caption(peers.peers_table(scored))


def test_summaries_hold_one_for_each_seed_and_gains_against_any_row(scored: Profile):
    found = peers.peers_summaries(scored)
    assert list(found) == ROWS
    assert {method: len(summaries) for method, summaries in found.items()} == dict.fromkeys(ROWS, 1) | {
        "network": 2, "network, true L": 2,
    }  # fmt: skip
    assert found[NETWORK][0].mse.value < found[NETWORK][1].mse.value
    against = peers.peers_summaries(scored, reference=peers.ZHANG)
    for summaries in against.values():
        for summary in summaries:
            assert summary.psnr_gain is not None
            assert summary.psnr_gain.value == pytest.approx(
                summary.psnr_of_mse.value - found[peers.ZHANG][0].psnr_of_mse.value
            )


def test_the_table_says_who_was_trained_on_what_and_how_seeds_spread(scored: Profile):
    table = peers.peers_table(scored).set_index("method")
    assert list(table.index) == ROWS
    ours = f"5 photographs of {scored.photos}"
    assert list(table["trained on"]) == ["", "", *[peers.IMAGENET] * 3, *[ours] * 4]
    found = peers.peers_summaries(scored)[NETWORK]
    values = [summary.mean_psnr.value for summary in found]
    assert table.loc[NETWORK, "mean PSNR"] == pytest.approx(np.mean(values))
    assert table.loc[NETWORK, "mean PSNR sd"] == pytest.approx(np.std(values, ddof=1))
    assert table.loc[NETWORK, "AuC (%)"] == pytest.approx(100 * np.mean([summary.ab_auc.value for summary in found]))
    assert table.loc[NETWORK, "AuC (%) low"] == pytest.approx(100 * np.mean([summary.ab_auc.low for summary in found]))
    assert table.loc[NETWORK, "updates"] == 1234
    assert pd.isna(table.loc["Dahl", "mean PSNR sd"])
    assert pd.isna(table.loc["Dahl", "updates"])
    text = (scored.results / "peers.md").read_text()
    assert f"Trained on {peers.IMAGENET}: Dahl's network and Zhang's" in text
    assert f"on {ours}: mean chroma" in text
    assert "1,234 updates, 2 seeds" in text
    written = pd.read_csv(scored.results / "peers.csv").set_index("method")
    assert written["mean PSNR"].to_list() == table["mean PSNR"].to_list()


def test_one_seed_has_no_spread_over_seeds(scored: Profile):
    one = Profile(name=scored.name, settings=scored.settings, seeds=(1,))
    table = peers.peers_table(one)
    assert "mean PSNR sd" not in table
    assert "1 seed," in peers.caption(table)
    assert "±" not in (one.results / "peers.md").read_text()
    # The file still holds the other seed's rows.
    assert len(peers.peers_summaries(scored)[NETWORK]) == 2


def test_the_tables_are_accessible(scored: Profile):
    table = peers.peers_table(scored)
    whole, theirs = peers.html(table), peers.published_html(table)
    assert whole.count('<th scope="row">') == 9
    assert whole.count('<th scope="col">') == 8
    assert theirs.count('<th scope="row">') == 5
    assert theirs.count('<th scope="col">') == 6
    assert "network" not in theirs
    assert "[" not in theirs.split("</caption>")[1]
    assert whole.count("<caption>") == theirs.count("<caption>") == 1


def test_the_table_needs_no_photographs(scored: Profile, monkeypatch: pytest.MonkeyPatch):
    peers.peers_table(scored)
    left = {path: path.read_bytes() for path in (scored.results / "peers.csv", scored.results / "peers.md")}
    monkeypatch.delenv("COLORLIB_DATA")
    for path in left:
        path.unlink()
    with pytest.raises(PhotosMissingError, match="zhang2016"):
        list(peers.score_peers(scored, device=CPU))
    peers.peers_table(scored)
    assert {path: path.read_bytes() for path in left} == left


def test_a_changed_published_file_is_named(scored: Profile, comparison: Path):
    left = (scored.results / "peers" / "per_image.csv").stat().st_mtime_ns
    path = comparison / "ours" / "3.png"
    path.write_bytes((comparison / "ours" / "2.png").read_bytes())
    with pytest.raises(ValueError, match=r"ours.3\.png was changed or damaged.*delete it and run .*fetch zhang2016"):
        list(peers.score_peers(scored, device=CPU))
    assert (scored.results / "peers" / "per_image.csv").stat().st_mtime_ns == left


def test_what_was_not_scored_is_named_with_its_mend(scored: Profile):
    other = Profile(name=scored.name, settings=scored.settings, seeds=(0, 1, 2))
    with pytest.raises(ValueError, match=r"per_image\.csv has no rows of seed 2; run `make reproduce PROFILE=made`"):
        peers.peers_summaries(other)
    for name in ("per_image.csv", "scored.json"):
        path = scored.results / "peers" / name
        held = path.read_bytes()
        path.unlink()
        with pytest.raises(ValueError, match=rf"{name} does not exist: .* were not scored; run `make reproduce"):
            peers.peers_summaries(scored)
        path.write_bytes(held)


def test_rows_of_other_weights_are_refused(scored: Profile):
    weights = scored.run(1) / "weights.safetensors"
    save_tensors(weights, {"w": torch.tensor([7.0])}, step=1234)
    with pytest.raises(ValueError, match=r"scored with other weights than .*seed-1.*; run `make reproduce"):
        peers.peers_table(scored)
    weights.unlink()
    with pytest.raises(ValueError, match="scored with other weights"):
        peers.peers_table(scored)
    assert peers.peers_summaries(Profile(name=scored.name, settings=scored.settings, seeds=(0,)))


# The step


@pytest.mark.parametrize(("name", "there"), [("smoke", False), ("cpu-bundled", False), ("cpu", True), ("paper", True)])
def test_the_step_stands_in_profiles_that_download(name: str, there: bool):
    profile = load_profile(name, seeds=(0, 3))
    every = steps(profile)
    assert [step.name for step in every if step.optional] == ["06_peers"] * there
    if there:
        (step,) = [step for step in every if step.optional]
        assert step.photos == (profile.photos, peers.SOURCE)
        assert {profile.run(seed) / "weights.safetensors" for seed in (0, 3)} <= set(step.reads)
        modules = {f"colorlib.{module}" for module in ("companion.peers", "metrics", "baselines", "model", "devices")}
        assert modules <= set(imported_modules(*step.modules))


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the steps that `reproduce` executes; nothing runs, and the profile's own photographs are here."""
    names: list[str] = []
    monkeypatch.setattr(reproduce, "choose_profile", lambda name, seeds, photos: load_profile(name, seeds=seeds))
    monkeypatch.setattr(reproduce, "run_step", lambda profile, step, force: names.append(step.name))
    monkeypatch.setattr(reproduce, "build_claims", lambda profile, force: None)
    monkeypatch.setattr(reproduce, "build_report", lambda profile, force: names.append("report"))
    monkeypatch.setattr(reproduce, "write_manifest", lambda profile: None)
    return names


def missing(name: str) -> None:
    if name == peers.SOURCE:
        raise UnreachableError("https://nowhere/gt/1.jpg could not be downloaded (no route)")


def test_without_others_photographs_the_rest_goes_on(executed, monkeypatch, capsys):
    monkeypatch.setattr(reproduce, "_ensure_photos", missing)
    assert reproduce.reproduce("cpu") == 0
    assert "05_table1" in executed
    assert executed[-1] == "report"
    assert "06_peers" not in executed
    (said,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("06_peers")]
    assert said.startswith("06_peers: not made, because its photographs are not on this machine and could not be")
    assert "https://nowhere/gt/1.jpg" in said


def test_with_them_it_is_executed(executed, monkeypatch, capsys):
    monkeypatch.setattr(reproduce, "_ensure_photos", lambda name: None)
    assert reproduce.reproduce("cpu") == 0
    assert executed[-4:] == ["06_peers", "07_outlook", "explore", "report"]
    assert capsys.readouterr().out == ""


def test_asked_for_by_name_it_fails_without_them(executed, monkeypatch):
    monkeypatch.setattr(reproduce, "_ensure_photos", missing)
    with pytest.raises(UnreachableError, match="nowhere"):
        reproduce.reproduce("cpu", only="06_peers")
    assert "06_peers" not in executed
    reproduce.reproduce("cpu", only="05_table1")
    assert executed[-1] == "05_table1"


def test_a_damaged_published_file_is_not_passed_over(executed, monkeypatch, comparison: Path):
    path = comparison / "lum" / "1.png"
    path.write_bytes(b"other")
    ensure = reproduce._ensure_photos
    monkeypatch.setattr(reproduce, "_ensure_photos", lambda name: ensure(name) if name == peers.SOURCE else None)
    with pytest.raises(ValueError, match=r"lum.1\.png was changed or damaged"):
        reproduce.reproduce("cpu")


def test_ground_truths_without_the_published_results_are_not_enough(executed, monkeypatch, capsys, comparison: Path):
    (comparison / "ours" / "4.png").unlink()
    monkeypatch.setenv("COLORLIB_MIRROR", "http://127.0.0.1:9")
    ensure = reproduce._ensure_photos
    monkeypatch.setattr(reproduce, "_ensure_photos", lambda name: ensure(name) if name == peers.SOURCE else None)
    assert len(open_photos(peers.SOURCE, "test")) == COUNT
    assert reproduce.reproduce("cpu") == 0
    assert "06_peers" not in executed
    assert "06_peers: not made" in capsys.readouterr().out


def test_the_key_follows_every_file_of_the_comparison(comparison: Path):
    step = Step(name="06", notebook="06_peers.ipynb", parameters={}, promised=(), reads=(), photos=(peers.SOURCE,))
    before = reproduce.step_key(step)
    assert reproduce.step_key(step) == before
    listed = places.CHECKSUMS / "zhang2016.sha256"
    path = comparison / "tinyclouds" / "5.png"
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes((comparison / "gt" / "5.png").read_bytes() + b"\0")
    listed.write_text(listed.read_text().replace(old, hashlib.sha256(path.read_bytes()).hexdigest()))
    assert reproduce.step_key(step) != before


# The notebook


@pytest.fixture
def checkout(world: Path, photographs: Path, tmp_path: Path) -> Path:
    """The project with the committed run of `cpu`, whose list of zhang2016 is that of `world`."""
    folder = tmp_path / "checkout"
    for part in ("colorlib", "notebooks", "paper", "results/cpu/seed-0"):
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "checkpoints"))
    shutil.copy(world / "checksums" / "zhang2016.sha256", folder / "colorlib" / "checksums")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "bsds500").symlink_to((photographs / "bsds500").resolve())
    (tmp_path / "data" / "zhang2016-comparison").symlink_to(world / "data" / "zhang2016-comparison")
    return folder


def reproduce_peers(checkout: Path) -> subprocess.CompletedProcess[str]:
    places = {"COLORLIB_DATA": str(checkout.parent / "data"), "COLORLIB_CACHE": str(checkout.parent / "cache")}
    return subprocess.run(
        [sys.executable, "-m", "colorlib", "reproduce", "--profile", "cpu", "--no-training", "--only", "06_peers"],
        cwd=checkout,
        env=os.environ | places | {"PYTHONPATH": str(checkout), "COLORLIB_MIRROR": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_the_notebook_is_executed_and_then_up_to_date(checkout: Path):
    done = reproduce_peers(checkout)
    assert done.returncode == 0, done.stderr
    results = checkout / "results" / "cpu"
    executed = nbformat.read(results / "notebooks" / "06_peers.ipynb", as_version=4)
    outputs = [output for cell in executed.cells for output in cell.get("outputs", ())]
    tables = [output.data["text/html"] for output in outputs if output.output_type == "display_data"]
    assert [table.count('<th scope="row">') for table in tables] == [5, 9]
    assert len(read_rows(results / "peers" / "per_image.csv")) == 9 * COUNT
    assert "image/png" not in json.dumps(executed)
    assert "06_peers: up to date" in reproduce_peers(checkout).stdout
    (checkout.parent / "data" / "zhang2016-comparison").unlink()
    without = reproduce_peers(checkout)
    assert without.returncode == 1
    assert "could not be downloaded" in without.stderr
    assert (results / "peers.csv").is_file()


# The published figures


def assert_as_measured(table: pd.DataFrame) -> None:
    """The rows that were published have the figures of the README of $COLORLIB_DATA, measured independently."""
    digits = {name: peers.DIGITS[name] for name in peers.PUBLISHED_COLUMNS}
    shown = readable(table.loc[:, ["method", *digits]], digits).set_index("method")
    expected = {method: MEASURED[folder] for method, folder in peers.PEERS.items()} | {"gray": GRAY}
    for method, figures in expected.items():
        texts = [f"{figure:.{places}f}" for figure, places in zip(figures, digits.values(), strict=True)]
        assert list(shown.loc[method]) == texts, method
    assert (table["images"] == 193).all()
    assert (table["photographs"] == 200).all()
    assert (table["truth_colorfulness"].round(1) == 39.3).all()


@pytest.mark.parametrize("name", ["cpu", "paper"])
def test_the_committed_figures_are_those_measured_elsewhere(name: str):
    assert_as_measured(pd.read_csv(PROJECT / "results" / name / "peers.csv"))
