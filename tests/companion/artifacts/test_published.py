"""Published colorizers and ours: the published numbers are confirmed, near gray is left out, old scores are refused."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from helpers.pictures import smooth
from helpers.published import GRAY, MEASURED
from helpers.training import make_photos, run_record
from PIL import Image

from colorlib.checkpoint import save_tensors
from colorlib.color import gray_rgb
from colorlib.colorizers import Colorize
from colorlib.companion import reproduce
from colorlib.companion.artifacts import published
from colorlib.companion.pipeline import step_key
from colorlib.companion.results import Results
from colorlib.companion.steps import steps
from colorlib.companion.tables import Column, Table, read_rows, summaries_by_seed
from colorlib.evaluate import NETWORK, NETWORK_TRUE_L, by_method, score
from colorlib.files import write_json
from colorlib.metrics import NEAR_GRAY_CHROMA
from colorlib.photos import download
from colorlib.photos.decode import Pixels
from colorlib.photos.download import PhotosMissingError, UnreachableError
from colorlib.photos.registry import SOURCES, open_photos
from colorlib.photos.sources import Listed
from colorlib.profiles import PROJECT, Profile, load_profile
from colorlib.provenance import imported_modules

CPU = torch.device("cpu")
ROWS = [
    "gray", "gray, as published", "Dahl", "Zhang, no rebalancing", "Zhang, rebalanced", "mean chroma", "look-up table",
    "network", "network, true L",
]  # fmt: skip
COUNT = 6


# The source


def test_others_results_are_in_no_split():
    source = SOURCES[published.SOURCE]
    assert isinstance(source, Listed)
    assert source.splits == ("test",)
    assert all(name.startswith("gt/") for name in source.names("test"))
    others = source.names(published.OTHERS)
    assert {name.split("/")[0] for name in others} == set(published.PEERS.values())
    truths = {name.removeprefix("gt/") for name in source.names("test")}
    for folder in published.PEERS.values():
        assert {name.removeprefix(f"{folder}/") for name in others if name.startswith(f"{folder}/")} == truths
    for split in (published.OTHERS, "train", "val"):
        with pytest.raises(ValueError, match=rf"zhang2016.*{split}.*\btest\b"):
            open_photos(published.SOURCE, split)


# Invented published files: six ground truths, one of them gray, and four colorizations of each


def truth(number: int) -> Pixels:
    pixels = smooth(20, 24, seed=number)
    return np.repeat(pixels[..., :1], 3, axis=-1) if number == 0 else pixels


def published_files(number: int) -> dict[str, Pixels]:
    """Return the four, each at another distance from its own ground truth, and far from every other."""
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


def use_folder(folder: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """Use data, checksums and checkout in `folder`; returns a profile whose runs are trained on `photos`."""
    monkeypatch.setattr("colorlib.evaluate.RESAMPLES", 500)
    monkeypatch.setattr(published, "network_methods", methods)
    monkeypatch.setattr(download, "CHECKSUMS", folder / "checksums")
    monkeypatch.setenv("COLORLIB_DATA", str(folder / "data"))
    settings = {"photos": f"folder:{photos}"}
    return Profile(name="made", settings=settings, seeds=(0, 1), root=folder / "checkout")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `zhang2016` of six photographs with their checksums, and a checkout with two seeds' runs, all scored."""
    folder = tmp_path_factory.mktemp("world")
    photos = make_photos(folder / "photos")
    lines = []
    for number in range(COUNT):
        for kind, pixels in published_files(number).items():
            path = folder / "data" / "zhang2016-comparison" / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {kind}/{number}.png\n")
    (folder / "checksums").mkdir()
    (folder / "checksums" / "zhang2016.sha256").write_text("".join(lines))
    with pytest.MonkeyPatch.context() as monkeypatch:
        profile = use_folder(folder, photos, monkeypatch)
        for seed in profile.seeds:
            write_json(profile.run(seed) / "run.json", run_record())
            save_tensors(profile.run(seed) / "weights.safetensors", {"w": torch.tensor([float(seed)])}, step=1234)
        assert list(published.score_published(profile, device=CPU)) == [(done, COUNT) for done in range(COUNT + 1)]
    return folder


@pytest.fixture
def scored(world: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """A copy of `world` to work in: its profile."""
    shutil.copytree(world, tmp_path / "world")
    return use_folder(tmp_path / "world", world / "photos", monkeypatch)


@pytest.fixture
def comparison(scored: Profile, tmp_path: Path) -> Path:
    """The folder of the `zhang2016` of that copy."""
    return tmp_path / "world" / "data" / "zhang2016-comparison"


def test_every_photograph_is_scored_by_every_method_and_seed(scored: Profile):
    rows, record = Results(scored).published, Results(scored).published_record
    assert list(by_method([row for _, row in rows])) == ROWS
    for method in ROWS:
        seeds = (0, 1) if method.startswith("network") else (None,)
        for seed in seeds:
            found = [row.image for owner, row in rows if owner == seed and row.method == method]
            assert found == [f"gt/{number}.png" for number in range(COUNT)]
    assert len(rows) == COUNT * (7 + 2 * 2)
    assert record["photos"]["count"] == COUNT
    assert record["published"]["count"] == 4 * COUNT
    assert record["trained_on"] == {"source": scored.photos, "count": 5}
    assert record["updates"] == 1234


def test_published_files_are_compared_with_their_own_ground_truth(scored: Profile):
    rows = Results(scored).published
    errors = {method: [row.mse for row in found] for method, found in by_method([row for _, row in rows]).items()}
    for method, level in zip(list(published.PEERS), (16, 8, 4, 2), strict=True):
        # Not exactly: where the truth is nearly white the error is clipped.
        assert errors[method] == pytest.approx([(level / 255) ** 2] * COUNT, rel=0.25)


def test_gray_is_computed_from_the_ground_truth(scored: Profile):
    rows = Results(scored).published
    ours = [row for _, row in rows if row.method == "gray"]
    assert ours == [row for (row,) in score({"gray": gray_rgb}, open_photos(published.SOURCE, "test"))]


def test_near_gray_ground_truths_are_scored_and_left_out_of_the_table(scored: Profile):
    gray = [row for _, row in Results(scored).published if row.method == "gray"]
    assert [row.truth_chroma < NEAR_GRAY_CHROMA for row in gray] == [True] + [False] * 5
    table = published.published_table(Results(scored))
    row = table.data.set_index("method").loc["gray"]
    assert row["images"] == 5
    assert row["mean PSNR"] == pytest.approx(np.mean([row.psnr for row in gray[1:]]))
    assert re.search(r"\b5 of (the )?6\b.*\bzhang2016\b", table.caption)


def test_the_table_has_training_data_and_spread_over_seeds(scored: Profile):
    table = published.published_table(Results(scored))
    rows = table.data.set_index("method")
    assert list(rows.index) == ROWS
    ours = f"5 photographs of {scored.photos}"
    assert list(rows["trained on"]) == ["", "", *[published.IMAGENET] * 3, *[ours] * 4]
    colored = [(seed, row) for seed, row in Results(scored).published if row.truth_chroma >= NEAR_GRAY_CHROMA]
    found = summaries_by_seed(colored)[NETWORK]
    values = [summary.mean_psnr.value for summary in found]
    assert len(values) == 2
    assert rows.loc[NETWORK, "mean PSNR"] == pytest.approx(np.mean(values))
    assert rows.loc[NETWORK, "mean PSNR sd"] == pytest.approx(np.std(values, ddof=1))
    assert rows.loc[NETWORK, "AuC (%)"] == pytest.approx(100 * np.mean([summary.ab_auc.value for summary in found]))
    assert rows.loc[NETWORK, "AuC (%) low"] == pytest.approx(100 * np.mean([summary.ab_auc.low for summary in found]))
    assert rows.loc[NETWORK, "updates"] == 1234
    assert pd.isna(rows.loc["Dahl", "mean PSNR sd"])
    assert pd.isna(rows.loc["Dahl", "updates"])
    text = (scored.results / "peers.md").read_text()
    assert text == table.markdown()
    for facts in ((published.IMAGENET, "Dahl", "Zhang"), (ours, "mean chroma", "1,234 updates", "2 seeds")):
        assert re.search(".*".join(map(re.escape, facts)), text)
    written = pd.read_csv(scored.results / "peers.csv").set_index("method")
    assert written["mean PSNR"].to_list() == pytest.approx(rows["mean PSNR"].to_list(), rel=1e-11)


def test_one_seed_has_no_spread_over_seeds(scored: Profile):
    one = replace(scored, seeds=(1,))
    table = published.published_table(Results(one))
    assert "mean PSNR sd" not in table.data
    assert re.search(r"\b1 seed\b", table.caption)
    assert "±" not in (one.results / "peers.md").read_text()
    # The file still has the other seed's rows.
    assert {seed for seed, _ in Results(scored).published} == {None, 0, 1}


def test_the_published_rows_stand_apart_without_intervals(scored: Profile):
    table = published.published_table(Results(scored))
    assert (len(table.cells()), len(table.heads)) == (9, 8)
    theirs = published.published_rows(table)
    assert (len(theirs.cells()), len(theirs.heads)) == (5, 6)
    assert [row[0][0] for row in theirs.cells()] == ROWS[:5]
    assert not any(interval for row in theirs.cells() for _, interval in row)
    assert any(interval for row in table.cells() for _, interval in row)


def test_the_table_needs_no_photographs(scored: Profile, monkeypatch: pytest.MonkeyPatch):
    published.published_table(Results(scored))
    left = {path: path.read_bytes() for path in (scored.results / "peers.csv", scored.results / "peers.md")}
    monkeypatch.delenv("COLORLIB_DATA")
    for path in left:
        path.unlink()
    with pytest.raises(PhotosMissingError, match="zhang2016"):
        list(published.score_published(scored, device=CPU))
    published.published_table(Results(scored))
    assert {path: path.read_bytes() for path in left} == left


def test_a_changed_published_file_is_named(scored: Profile, comparison: Path):
    left = (scored.results / "peers" / "per_image.csv").stat().st_mtime_ns
    path = comparison / "ours" / "3.png"
    path.write_bytes((comparison / "ours" / "2.png").read_bytes())
    with pytest.raises(ValueError, match=r"ours.3\.png.* damaged\b.*`colorlib data fetch zhang2016`"):
        list(published.score_published(scored, device=CPU))
    assert (scored.results / "peers" / "per_image.csv").stat().st_mtime_ns == left


def test_missing_scores_are_named_with_their_command(scored: Profile):
    other = replace(scored, seeds=(0, 1, 2))
    with pytest.raises(ValueError, match=r"per_image\.csv.*\bseed 2\b.*`make reproduce PROFILE=made`"):
        published.published_table(Results(other))
    for name in ("per_image.csv", "scored.json"):
        path = scored.results / "peers" / name
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(ValueError, match=rf"{re.escape(name)}.*\bmake peers PROFILE=made\b"):
            published.published_table(Results(scored))
        path.write_bytes(content)


def test_rows_of_other_weights_are_refused(scored: Profile):
    weights = scored.run(1) / "weights.safetensors"
    save_tensors(weights, {"w": torch.tensor([7.0])}, step=1234)
    with pytest.raises(ValueError, match=r" weights\b.*seed-1.*`make reproduce PROFILE=made`"):
        published.published_table(Results(scored))
    weights.unlink()
    with pytest.raises(ValueError, match=r" weights\b.*seed-1.*`make reproduce PROFILE=made`"):
        published.published_table(Results(scored))
    assert len(published.published_table(Results(replace(scored, seeds=(0,)))).data) == len(ROWS)


# The step in a reproduction


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the steps that `reproduce` executes; nothing runs, and the profile's own photographs are available."""
    names: list[str] = []
    profile = load_profile("cpu", root=tmp_path / "nothing")
    monkeypatch.setattr(reproduce, "choose_profile", lambda name, seeds, photos, download: profile)
    monkeypatch.setattr(reproduce, "update_seconds", lambda device: 0.9)
    monkeypatch.setattr(reproduce, "run_step", lambda profile, step, **options: names.append(step.name))
    monkeypatch.setattr(reproduce, "build_claims", lambda results, claims, **options: None)
    monkeypatch.setattr(reproduce, "build_report", lambda profile, report, **options: names.append("report"))
    monkeypatch.setattr(reproduce, "write_manifest", lambda profile: None)
    return names


def unreachable(name: str) -> None:
    if name == published.SOURCE:
        raise UnreachableError("https://nowhere/gt/1.jpg could not be downloaded (no route)")


def skipped(out: str) -> str:
    (line,) = [line for line in out.splitlines() if line.startswith("06_peers")]
    return line


def test_without_published_files_the_other_steps_are_executed(executed, monkeypatch, capsys):
    monkeypatch.setattr(reproduce, "ensure_photos", unreachable)
    assert reproduce.reproduce("cpu") == 0
    assert "05_table1" in executed
    assert executed[-1] == "report"
    assert "06_peers" not in executed
    assert "https://nowhere/gt/1.jpg" in skipped(capsys.readouterr().out)


def test_with_them_the_step_is_executed(executed, monkeypatch, capsys):
    monkeypatch.setattr(reproduce, "ensure_photos", lambda name: None)
    assert reproduce.reproduce("cpu") == 0
    assert executed[-3:] == ["06_peers", "explore", "report"]
    assert "06_peers" not in capsys.readouterr().out


def test_the_step_alone_takes_the_runs_that_are_there(executed, monkeypatch):
    monkeypatch.setattr(reproduce, "ensure_photos", lambda name: None)
    with pytest.raises(ValueError, match=r"seed-0.*make reproduce PROFILE=cpu"):
        reproduce.reproduce("cpu", only="06_peers")
    assert executed == []


def test_a_damaged_published_file_is_an_error(executed, monkeypatch, comparison: Path):
    (comparison / "lum" / "1.png").write_bytes(b"other")
    ensure = reproduce.ensure_photos
    monkeypatch.setattr(reproduce, "ensure_photos", lambda name: ensure(name) if name == published.SOURCE else None)
    with pytest.raises(ValueError, match=r"lum.1\.png.* damaged\b"):
        reproduce.reproduce("cpu")


def test_ground_truths_without_the_published_files_are_not_enough(executed, monkeypatch, capsys, comparison: Path):
    (comparison / "ours" / "4.png").unlink()
    monkeypatch.setenv("COLORLIB_MIRROR", "http://127.0.0.1:9")
    ensure = reproduce.ensure_photos
    monkeypatch.setattr(reproduce, "ensure_photos", lambda name: ensure(name) if name == published.SOURCE else None)
    assert len(open_photos(published.SOURCE, "test")) == COUNT
    assert reproduce.reproduce("cpu") == 0
    assert "06_peers" not in executed
    assert "http://127.0.0.1:9" in skipped(capsys.readouterr().out)


def test_the_key_of_the_step_follows_every_published_file(comparison: Path, scored: Profile):
    (step,) = [step for step in steps(load_profile("cpu", root=scored.root)) if step.optional]
    step = replace(step, photos=(published.SOURCE,))
    before = step_key(step)
    assert step_key(step) == before
    listed = download.CHECKSUMS / "zhang2016.sha256"
    path = comparison / "tinyclouds" / "5.png"
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes((comparison / "gt" / "5.png").read_bytes() + b"\0")
    listed.write_text(listed.read_text().replace(old, hashlib.sha256(path.read_bytes()).hexdigest()))
    assert step_key(step) != before


def test_the_step_needs_the_weights_and_depends_on_the_code_of_scoring():
    profile = load_profile("cpu", seeds=(0, 3))
    (step,) = [step for step in steps(profile) if step.optional]
    assert step.photos == (profile.photos, published.SOURCE)
    assert {profile.run(seed) / "weights.safetensors" for seed in (0, 3)} <= set(step.inputs)
    modules = {f"colorlib.{name}" for name in ("companion.artifacts.published", "metrics", "colorizers", "model")}
    assert modules <= set(imported_modules(*step.modules))


# The notebook


@pytest.fixture
def checkout(world: Path, photographs: Path, tmp_path: Path) -> Path:
    """The project with the committed run of `cpu`, whose list of zhang2016 is that of `world`."""
    folder = tmp_path / "checkout"
    for part in ("colorlib", "notebooks", "paper", "results/cpu/seed-0"):
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "checkpoints"))
    shutil.copy(world / "checksums" / "zhang2016.sha256", folder / "colorlib" / "photos" / "checksums")
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


@pytest.mark.campaign
@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_the_notebook_is_executed_and_then_up_to_date(checkout: Path):
    done = reproduce_peers(checkout)
    assert done.returncode == 0, done.stderr
    results = checkout / "results" / "cpu"
    executed = nbformat.read(results / "notebooks" / "06_peers.ipynb", as_version=4)
    outputs = [output for cell in executed.cells for output in cell.get("outputs", ())]
    tables = [
        output.data["text/html"] for output in outputs if "caption" in output.get("metadata", {}).get("text/html", {})
    ]
    assert [table.count('<th scope="row">') for table in tables] == [5, 9]
    assert len(read_rows(results / "peers" / "per_image.csv")) == 9 * COUNT
    assert "image/png" not in json.dumps(executed)
    made = (results / "notebooks" / "06_peers.ipynb").stat().st_mtime_ns
    again = reproduce_peers(checkout)
    assert again.returncode == 0, again.stderr
    assert "06_peers" in again.stdout
    assert (results / "notebooks" / "06_peers.ipynb").stat().st_mtime_ns == made, "nothing was executed"
    (checkout.parent / "data" / "zhang2016-comparison").unlink()
    without = reproduce_peers(checkout)
    assert without.returncode == 1
    assert "colorlib data fetch zhang2016" in without.stderr
    assert (results / "peers.csv").is_file()


# The published numbers


def assert_as_measured(table: pd.DataFrame) -> None:
    """The rows of published files have the numbers that were measured independently."""
    shown = published.published_rows(Table(data=table, columns=[Column(name="method")], caption=""))
    rows = {row[0][0]: [value for value, _ in row[1:]] for row in shown.cells()}
    expected = {method: MEASURED[folder] for method, folder in published.PEERS.items()} | {"gray": GRAY}
    assert set(rows) == set(expected)
    for method, numbers in expected.items():
        digits = [column.digits for column in published.PUBLISHED_COLUMNS.values()]
        assert rows[method] == [f"{number:.{places}f}" for number, places in zip(numbers, digits, strict=True)], method
    assert (table["images"] == 193).all()
    assert (table["photographs"] == 200).all()
    assert (table["truth_colorfulness"].round(1) == 39.3).all()


@pytest.mark.parametrize("name", ["cpu", "paper"])
def test_the_committed_numbers_are_those_measured_elsewhere(name: str):
    assert_as_measured(pd.read_csv(PROJECT / "results" / name / "peers.csv"))
