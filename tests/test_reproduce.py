"""`make reproduce` in a fresh copy of the project: what it leaves, what it skips, what it says without photographs."""

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from colorlib.profiles import PROJECT

pytestmark = pytest.mark.slow

CLOCKS = {"SHA256SUMS", "timing.csv"}
"""The one kind of result that two equal runs need not share."""


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A copy of what git would hand to a newcomer, in another folder, itself a git checkout."""
    folder = tmp_path_factory.mktemp("clone") / "colorlib companion"
    listed = git(PROJECT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    for name in filter(None, listed):
        if (PROJECT / name).is_file() and not name.startswith(("results/", "figures/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "as cloned")
    return folder


def start(clone: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COLORLIB")}
    nowhere = {"PYTHONPATH": str(clone), "COLORLIB_CACHE": str(clone.parent / "cache")}
    return subprocess.Popen(
        [sys.executable, "-m", "colorlib", *arguments],
        cwd=clone,
        env=clean | nowhere | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and so would the children of tests that run in one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def colorlib(clone: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    process = start(clone, *arguments, **environment)
    out, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


@pytest.fixture(scope="module")
def interrupted(clone: Path) -> "tuple[int, str]":
    """What a reproduction said that Ctrl-C ended after the first epoch of its training."""
    process = start(clone, "reproduce", "--profile", "smoke")
    deadline = time.monotonic() + 300
    while not list((clone / "results/smoke/seed-0").glob("checkpoints/*.safetensors")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    return process.returncode, errors


@pytest.fixture(scope="module")
def reproduced(clone: Path, interrupted: tuple[int, str]) -> subprocess.CompletedProcess[str]:
    """The same command again: what it leaves is what `--force` makes in one go, which a test below holds it against."""
    done = colorlib(clone, "reproduce", "--profile", "smoke")
    assert done.returncode == 0, done.stderr
    return done


def contents(clone: Path) -> dict[str, str]:
    """SHA-256 of everything the reproduction left, clocks and local state aside."""
    return {
        path.relative_to(clone).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("results/smoke", "figures/smoke")
        for path in sorted((clone / folder).rglob("*"))
        if path.is_file()
        and path.name not in CLOCKS
        and not {"stamps", "checkpoints"} & set(path.parts)
        and "lock" not in path.name
    }


def test_it_was_interrupted_and_said_how_to_go_on(interrupted):
    status, errors = interrupted
    assert status == 130
    assert errors.splitlines()[-1] == "interrupted; the same command goes on from the last checkpoint"
    assert "epoch 5 of 5" not in errors


def test_it_leaves_what_the_readme_promises(clone, reproduced):
    left = contents(clone)
    for name in (
        "results/smoke/seed-0/run.json",
        "results/smoke/seed-0/history.csv",
        "results/smoke/seed-0/weights.safetensors",
        "results/smoke/seed-0/metrics.json",
        "results/smoke/seed-0/per_image.csv",
        "results/smoke/table1.csv",
        "results/smoke/table1.md",
        "results/smoke/per_image.csv",
        "results/smoke/report.html",
        "figures/smoke/figure1_loss_curve.png",
        "figures/smoke/figure2_portrait.png",
        "figures/smoke/figure3_coffee.png",
        "figures/smoke/figure3_rocket.png",
    ):
        assert name in left
    steps = ["01_data", "02_train_seed-0", "03_figure1", "04_figures2_3", "05_table1", "explore"]
    executed = sorted(path.name for path in (clone / "results/smoke/notebooks").iterdir())
    assert executed == sorted(f"{step}.{kind}" for step in steps for kind in ("html", "ipynb"))
    assert "epoch 5 of 5" in reproduced.stderr
    assert "left" in reproduced.stderr
    assert git(clone, "status", "--porcelain") == ""


def test_the_table_puts_trivial_answers_first(clone, reproduced):
    with (clone / "results/smoke/table1.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == [
        "paper (its own, unnamed data)", "gray", "mean chroma", "look-up table", "network", "network, true L",
    ]  # fmt: skip
    metrics = json.loads((clone / "results/smoke/seed-0/metrics.json").read_text())
    assert float(rows[4]["MSE"]) == pytest.approx(metrics["methods"]["network"]["mse"]["value"], rel=1e-12)
    with (clone / "results/smoke/per_image.csv").open(newline="") as file:
        errors = [float(row["mse"]) for row in csv.DictReader(file) if row["method"] == "network"]
    assert float(rows[4]["MSE"]) == pytest.approx(sum(errors) / len(errors), rel=1e-12)
    assert rows[4]["updates"] == "20.0"


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[dict[str, str | None]] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.tags: set[str] = set()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        if tag == "img":
            self.pictures.append(found)
        self.links += [str(found[name]) for name in ("src", "href") if name in found]
        if "id" in found:
            self.ids.add(str(found["id"]))


def test_the_report_is_one_page_that_needs_no_network(clone, reproduced):
    text = (clone / "results/smoke/report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert len(page.pictures) == 7
    for picture in page.pictures:
        assert str(picture["src"]).startswith("data:image/png;base64,")
        assert len(str(picture["alt"])) > 30
    for link in page.links:
        assert link.startswith(("data:", "#", "notebooks/")), link
        assert not link.startswith("#") or unquote(link[1:]) in page.ids, link
        assert not link.startswith("notebooks/") or (clone / "results/smoke" / link).is_file(), link
    assert "script" not in page.tags
    assert not re.search(r"url\(|@import", text)
    assert str(clone) not in text
    assert "What the paper leaves open" in text


def test_executed_notebooks_hold_no_clock_and_no_path(clone, reproduced):
    for path in (clone / "results/smoke/notebooks").iterdir():
        text = path.read_text(encoding="utf-8")
        assert str(clone) not in text
        assert str(Path.home()) not in text or str(Path.home()) == "/"
        assert not re.search(r"20\d\d-\d\d-\d\dT", text)
        if path.suffix == ".html":
            continue
        for cell in nbformat.read(path, as_version=4).cells:
            assert "papermill" not in cell.metadata


def test_what_is_up_to_date_is_skipped_and_made_again_the_same(clone, reproduced):
    before = contents(clone)
    again = colorlib(clone, "reproduce", "--profile", "smoke")
    assert again.stdout.count("up to date") == 8, again.stdout
    clock = (clone / "results/smoke/seed-0/timing.csv").read_bytes()
    for step in ("02_train_seed-0", "05_table1"):
        forced = colorlib(clone, "reproduce", "--profile", "smoke", "--force", "--only", step)
        assert forced.returncode == 0, forced.stderr
        assert f"{step}: running" in forced.stdout
    assert (clone / "results/smoke/seed-0/timing.csv").read_bytes() != clock  # trained again, not remembered
    assert contents(clone) == before


def test_only_what_changed_is_made_again(clone, reproduced):
    figure = clone / "figures/smoke/figure1_loss_curve.png"
    held = figure.read_bytes()
    figure.write_bytes(b"edited")
    notebook = clone / "notebooks/05_table1.ipynb"
    source = notebook.read_text()
    notebook.write_text(source.replace("says whether a method", "tells whether a method"))
    try:
        done = colorlib(clone, "reproduce", "--profile", "smoke")
    finally:
        notebook.write_text(source)
    assert done.returncode == 0, done.stderr
    ran = re.findall(r"^(\S+): running$", done.stdout, flags=re.MULTILINE)
    assert ran == ["03_figure1", "05_table1"]
    assert figure.read_bytes() == held


def test_without_photographs_it_says_so_and_leaves_the_evidence_alone(clone):
    nobody = "http://127.0.0.1:9"
    done = colorlib(clone, "reproduce", "--profile", "cpu", "--only", "01_data", COLORLIB_MIRROR=nobody)
    assert done.returncode == 0, done.stderr
    assert "The photographs of bsds500 are not on this machine and could not be downloaded" in done.stdout
    assert "results/cpu-bundled" in done.stdout
    assert json.loads((clone / "results/cpu-bundled/data.json").read_text())["photos"] == "bundled"
    assert not (clone / "results/cpu").exists()
    assert git(clone, "status", "--porcelain") == ""


def test_a_failing_notebook_ends_with_its_name_and_a_failing_status(clone, reproduced):
    notebook = clone / "notebooks/03_figure1.ipynb"
    source = notebook.read_text()
    notebook.write_text(source.replace("figures.loss_curve(runs", "figures.no_such_curve(runs"))
    try:
        done = colorlib(clone, "reproduce", "--profile", "smoke")
    finally:
        notebook.write_text(source)
    assert done.returncode == 1
    assert re.search(r"03_figure1\.ipynb: cell \d+ raised AttributeError", done.stderr)
    assert "Traceback" not in done.stderr


def test_papermill_alone_runs_the_training_notebook_anywhere_into_its_own_run(clone, tmp_path):
    command = [sys.executable, "-m", "papermill", str(clone / "notebooks/02_train.ipynb"), "out.ipynb"]
    settings = ["-p", "learning_rate", "3e-4", "-p", "epochs", "1", "-p", "crops_per_epoch", "8"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COLORLIB")}
    done = subprocess.run(
        [*command, *settings], cwd=tmp_path, env=clean | {"PYTHONPATH": str(clone)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = (clone / "results/scratch").iterdir()
    assert json.loads((run / "run.json").read_text())["config"]["learning_rate"] == 3e-4
    assert (run / "metrics.json").is_file()
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["03_figure1", "04_figures2_3", "05_table1"])
def test_a_notebook_alone_rebuilds_what_is_committed_without_photographs(clone, tmp_path, name):
    """Opened in JupyterLab in a fresh clone, with its defaults: the committed figures and tables come out again."""
    for folder in ("results/paper", "figures/paper"):
        shutil.copytree(PROJECT / folder, clone / folder, dirs_exist_ok=True)
    made = {
        "03_figure1": ["figures/paper/figure1_loss_curve.png"],
        "04_figures2_3": [f"figures/paper/{figure}.png" for figure in ("figure2_portrait", "figure3_coffee")],
        "05_table1": ["results/paper/table1.csv", "results/paper/table1.md", "results/paper/per_image.csv"],
    }[name]
    if name != "05_table1":  # its baselines' rows are read from what it writes
        for path in made:
            (clone / path).unlink()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COLORLIB")}
    started = time.time_ns()
    done = subprocess.run(
        [sys.executable, "-m", "papermill", str(clone / f"notebooks/{name}.ipynb"), str(tmp_path / "out.ipynb")],
        cwd=tmp_path, env=clean | {"PYTHONPATH": str(clone), "COLORLIB_CACHE": str(tmp_path)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for path in made:
        if path.endswith(".png"):
            # Another processor may round a prediction to the next of 256 levels.
            new, held = (np.asarray(Image.open(root / path).convert("RGB"), dtype=int) for root in (clone, PROJECT))
            assert new.shape == held.shape
            assert np.abs(new - held).mean() < 0.5
        elif path.endswith(".csv"):
            assert (clone / path).stat().st_mtime_ns > started
            new, held = (pd.read_csv(root / path) for root in (clone, PROJECT))
            pd.testing.assert_frame_equal(new, held, rtol=1e-9)
        else:
            assert (clone / path).read_text() == (PROJECT / path).read_text()
