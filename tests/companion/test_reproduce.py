"""`make reproduce`: the steps that it executes, and whole reproductions in a fresh copy of the project."""

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
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from colorlib.companion import reproduce as reproduction
from colorlib.companion.article import PICTURES
from colorlib.companion.paper import EXAMPLES
from colorlib.companion.report.notebook_html import read_notebook
from colorlib.companion.steps import RUN_FILES, files, steps
from colorlib.files import write_text
from colorlib.photos.download import UnreachableError
from colorlib.profiles import PROJECT, load_profile

STEPS = ["00_method", "01_data", "02_train_seed-0", "03_figure1", "04_figures2_3", "05_table1", "explore"]
PHOTOS = "bundled@128"
NOBODY = "http://127.0.0.1:9"
"""A mirror that refuses every connection."""
LAST_EPOCH = re.compile(r"\bepoch +5\D+5\b")
TIMED = {"SHA256SUMS", "timing.csv"}
"""Files with times, or hashes of times, in which equal runs differ."""


# Choosing steps


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """The steps that `reproduce` executes, each with `force`; nothing runs, and all photographs are here."""
    done: list[tuple[str, bool]] = []
    profile = replace(load_profile("cpu"), root=tmp_path)
    monkeypatch.setattr(reproduction, "choose_profile", lambda name, seeds, photos, download: profile)
    monkeypatch.setattr(reproduction, "update_seconds", lambda device: 0.9)
    monkeypatch.setattr(reproduction, "up_to_date", lambda profile, step: False)
    monkeypatch.setattr(reproduction, "ensure_photos", lambda name: None)
    monkeypatch.setattr(reproduction, "run_step", lambda profile, step, force, **told: done.append((step.name, force)))
    for name in ("claims", "report"):
        monkeypatch.setattr(
            reproduction, f"build_{name}", lambda results, output, force, name=name, **told: done.append((name, force))
        )
    return done


def unreachable(name: str) -> None:
    if name == "zhang2016":
        raise UnreachableError("https://nowhere/gt/1.jpg could not be downloaded (no route)")


ALL = ["00_method", "01_data", "02_train_seed-0", "03_figure1", "04_figures2_3", "05_table1", "06_peers", "explore"]


@pytest.mark.parametrize(
    ("only", "expected", "forced"),
    [
        (None, [*ALL, "claims", "report"], [*ALL, "claims", "report"]),
        ("report", [*(name for name in ALL if name != "06_peers"), "claims", "report"], ["claims", "report"]),
        ("03_figure1", ["01_data", "03_figure1"], ["03_figure1"]),
        ("02_train", ["02_train_seed-0"], ["02_train_seed-0"]),
    ],
)
def test_force_redoes_what_was_named(
    executed: list[tuple[str, bool]], tmp_path: Path, only: str | None, expected: list[str], forced: list[str]
):
    for name in RUN_FILES:
        write_text(tmp_path / "results/cpu/seed-0" / name, "")
    assert reproduction.reproduce("cpu", only=only, force=True) == 0
    assert [name for name, _ in executed] == expected
    assert [name for name, force in executed if force] == forced
    assert (tmp_path / "results/cpu/SHA256SUMS").is_file() == (only in (None, "report"))


@pytest.mark.parametrize("only", ["03_figure1", "04_figures2_3", "05_table1", "06_peers", "report"])
def test_looking_never_trains_and_names_a_missing_run(executed: list[tuple[str, bool]], only: str):
    with pytest.raises(ValueError, match=r"results/cpu/seed-0/.*`make reproduce PROFILE=cpu`"):
        reproduction.reproduce("cpu", only=only)
    assert executed == []


@pytest.mark.parametrize(
    ("only", "expected"),
    [("03_figure1", ["03_figure1"]), ("05_table1", ["05_table1"]), ("report", ["claims", "report"])],
)
def test_looking_executes_what_was_named_alone(
    executed: list[tuple[str, bool]], tmp_path: Path, capsys: pytest.CaptureFixture[str], only: str, expected: list[str]
):
    profile = replace(load_profile("cpu"), root=tmp_path)
    for step in (*steps(profile), *steps(profile, train=False)):
        for path in (*step.outputs, step.executed):
            write_text(path, "committed")
    assert reproduction.reproduce("cpu", only=only) == 0
    assert [name for name, _ in executed] == expected
    last = capsys.readouterr().out.splitlines()[-1]
    made = files(profile, {"03_figure1": "figure1", "05_table1": "table1", "report": "report"}[only])[-1]
    assert str(made) in last
    assert made.as_uri() in last


def test_the_first_lines_say_what_is_trained_and_how_to_look_instead(
    executed: list[tuple[str, bool]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    report = tmp_path / "results/cpu/report.html"
    write_text(report, "page")
    assert reproduction.reproduce("cpu") == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.search(r"results/cpu/seed-0\b.*\b1,000 updates\b.*\bbsds500\b.*\b\d+ (s|min)\b", lines[0])
    assert report.as_uri() in lines[1]
    assert "make report PROFILE=cpu" in lines[2]


def test_an_optional_step_is_skipped_without_its_photographs(
    executed: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(reproduction, "ensure_photos", unreachable)
    assert reproduction.reproduce("cpu") == 0
    assert [name for name, _ in executed] == [*(name for name in ALL if name != "06_peers"), "claims", "report"]
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("06_peers")]
    assert "https://nowhere/gt/1.jpg" in line


def test_damaged_photographs_stop_it(executed: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch):
    def damaged(name: str) -> None:
        raise ValueError(f"{name} is damaged")

    monkeypatch.setattr(reproduction, "ensure_photos", damaged)
    with pytest.raises(ValueError, match="is damaged"):
        reproduction.reproduce("cpu")


def test_bundled_photographs_replace_those_that_cannot_be_downloaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def offline(name: str) -> None:
        raise UnreachableError(f"{name}: no route")

    monkeypatch.setattr(reproduction, "ensure_photos", lambda name: None)
    assert reproduction.choose_profile("cpu", (1, 2)) == load_profile("cpu", seeds=(1, 2))
    assert reproduction.choose_profile("cpu", None, "cifar10") == load_profile("cpu-cifar10")
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(reproduction, "ensure_photos", offline)
    chosen = reproduction.choose_profile("cpu", (1, 2))
    assert (chosen.name, chosen.photos, chosen.seeds) == ("cpu-bundled", "bundled", (1, 2))
    assert re.search(r"\bbsds500\b.*\bno route\b.*\bresults/cpu-bundled\b", capsys.readouterr().out)


# Whole reproductions


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def replace_in(path: Path, old: str, new: str) -> None:
    """Replace a text that stands in a file once."""
    text = path.read_text()
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A git checkout of the project in another folder, without results; what takes long is shorter there."""
    folder = tmp_path_factory.mktemp("clone") / "colorlib companion"
    listed = git(PROJECT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    for name in filter(None, listed):
        if (PROJECT / name).is_file() and not name.startswith(("results/", "figures/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    replace_in(folder / "notebooks/profiles/smoke.yaml", "photos: bundled\n", f"photos: {PHOTOS}\n")
    replace_in(folder / "notebooks/00_method.ipynb", "updates = 50", "updates = 5")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "clone")
    return folder


def start(clone: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COLORLIB")}
    # No photographs, and nowhere to download them from
    nowhere = {"PYTHONPATH": str(clone), "COLORLIB_CACHE": str(clone.parent / "cache"), "COLORLIB_MIRROR": NOBODY}
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
    """Status and messages of a reproduction that Ctrl-C ended after the first epoch of its training."""
    process = start(clone, "reproduce", "--profile", "smoke")
    deadline = time.monotonic() + 300
    while (
        not list((clone / "results/smoke/.training/seed-0").glob("checkpoints/*.safetensors"))
        and process.poll() is None
    ):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    return process.returncode, errors


@pytest.fixture(scope="module")
def reproduced(clone: Path, interrupted: tuple[int, str]) -> subprocess.CompletedProcess[str]:
    """The same command again. A test below compares its files with those of `--force`, which makes them in one go."""
    done = colorlib(clone, "reproduce", "--profile", "smoke")
    assert done.returncode == 0, done.stderr
    return done


def contents(clone: Path) -> dict[str, str]:
    """SHA-256 of every file of the reproduction, without times and local state."""
    return {
        path.relative_to(clone).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("results/smoke", "figures/smoke")
        for path in sorted((clone / folder).rglob("*"))
        if path.is_file()
        and path.name not in TIMED
        and not {"stamps", "checkpoints", ".training"} & set(path.parts)
        and "lock" not in path.name
    }


def steps_of(out: str) -> list[str]:
    """The steps that the lines begin with: one line of a step that is up to date, more of one that is executed."""
    return re.findall(r"^\[\d+/\d+\] ([\w-]+): ", out, flags=re.MULTILINE)


@pytest.mark.slow
def test_an_interruption_says_how_to_go_on(interrupted):
    status, errors = interrupted
    assert status == 130
    assert "interrupted" in errors.splitlines()[-1]
    assert "checkpoint" in errors.splitlines()[-1]
    assert not LAST_EPOCH.search(errors)


@pytest.mark.slow
def test_it_writes_the_files_that_the_readme_names(clone, reproduced):
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
        "figures/smoke/figure1_loss_curve.svg",
        "figures/smoke/figure2_portrait.png",
        "figures/smoke/figure3_coffee.png",
        "figures/smoke/figure3_rocket.png",
    ):
        assert name in left
    executed = sorted(path.name for path in (clone / "results/smoke/notebooks").iterdir())
    assert executed == sorted(f"{step}.{kind}" for step in STEPS for kind in ("html", "ipynb"))
    assert LAST_EPOCH.search(reproduced.stderr)
    assert re.search(r"\b\d+ (s|min) left\b", reproduced.stderr)  # the time left
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.slow
def test_the_table_starts_with_the_baselines(clone, reproduced):
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


@pytest.mark.slow
def test_the_report_is_one_page_that_needs_no_network(clone, reproduced):
    text = (clone / "results/smoke/report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert len(page.pictures) == 7
    for picture in page.pictures:
        assert str(picture["src"]).startswith("data:image/png;base64,")
        assert len(str(picture["alt"])) > 30
    for link in page.links:
        # Other pages lie beside it, in the same checkout; only the paper's address is elsewhere
        assert link.startswith(("data:", "#", "notebooks/", "../", "https://doi.org/")), link
        assert not link.startswith("../") or (clone / "results/smoke" / link).resolve().is_relative_to(clone), link
        assert not link.startswith("#") or unquote(link[1:]) in page.ids, link
        assert not link.startswith("notebooks/") or (clone / "results/smoke" / link).is_file(), link
    assert not re.search(r"url\(|@import|<script[^>]* src", text)
    assert str(clone) not in text
    assert "open" in page.ids  # the section on what the paper leaves open


@pytest.mark.slow
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


@pytest.mark.slow
def test_executed_notebooks_have_captions_and_alternative_texts(clone, reproduced):
    labels = []
    for name in ("01_data", "03_figure1", "04_figures2_3", "05_table1"):
        outputs = read_notebook(clone / f"results/smoke/notebooks/{name}.ipynb").outputs
        assert all(output.caption for output in outputs)
        assert all(output.alt for output in outputs if "<img" in output.body)
        labels += [output.label for output in outputs]
    assert labels == ["", "", "Figure 1.", "Figure 2.", "Figure 3a.", "Figure 3b.", "Table I"]
    assert [label for _, label in PICTURES.values()] == labels[2:6]


@pytest.mark.slow
def test_steps_that_are_up_to_date_are_skipped_and_redone_the_same(clone, reproduced):
    before = contents(clone)
    again = colorlib(clone, "reproduce", "--profile", "smoke")
    assert sorted(steps_of(again.stdout)) == sorted([*STEPS, "claims", "report"]), again.stdout
    assert again.stdout.splitlines()[-1].endswith((clone / "results/smoke/report.html").as_uri())
    clock = (clone / "results/smoke/seed-0/timing.csv").read_bytes()
    for step in ("02_train_seed-0", "05_table1"):
        forced = colorlib(clone, "reproduce", "--profile", "smoke", "--force", "--only", step)
        assert forced.returncode == 0, forced.stderr
        assert steps_of(forced.stdout).count(step) >= 2, forced.stdout
    assert (
        clone / "results/smoke/seed-0/timing.csv"
    ).read_bytes() != clock  # trained again, not read from a checkpoint
    assert contents(clone) == before


@pytest.mark.slow
def test_only_changed_steps_are_redone(clone, reproduced):
    figure = clone / "figures/smoke/figure1_loss_curve.png"
    held = figure.read_bytes()
    figure.write_bytes(b"edited")
    notebook = clone / "notebooks/05_table1.ipynb"
    source = notebook.read_text()
    edited = json.loads(source)
    edited["cells"][0]["source"].append("\n\nEdited.")
    notebook.write_text(json.dumps(edited))
    try:
        done = colorlib(clone, "reproduce", "--profile", "smoke")
    finally:
        notebook.write_text(source)
    assert done.returncode == 0, done.stderr
    assert [step for step in STEPS if steps_of(done.stdout).count(step) >= 2] == ["03_figure1", "05_table1"]
    assert figure.read_bytes() == held


@pytest.mark.slow
def test_without_photographs_committed_results_do_not_change(clone):
    done = colorlib(clone, "reproduce", "--profile", "cpu", "--only", "01_data")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\bbsds500\b.*127\.0\.0\.1:9\b.*\bresults/cpu-bundled\b", done.stdout)
    assert json.loads((clone / "results/cpu-bundled/data.json").read_text())["photos"] == "bundled"
    assert not (clone / "results/cpu").exists()
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.slow
def test_a_failing_notebook_ends_with_its_name_and_a_failing_status(clone, reproduced):
    notebook = clone / "notebooks/03_figure1.ipynb"
    source = notebook.read_text()
    notebook.write_text(source.replace("figures.loss_curve(runs", "figures.no_such_curve(runs"))
    try:
        done = colorlib(clone, "reproduce", "--profile", "smoke")
    finally:
        notebook.write_text(source)
    assert done.returncode == 1
    assert re.search(r"\b03_figure1\.ipynb\b.*\bcell \d+\b.*\bAttributeError\b", done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_papermill_alone_runs_the_training_notebook_anywhere_into_its_own_run(clone, tmp_path):
    command = [sys.executable, "-m", "papermill", str(clone / "notebooks/02_train.ipynb"), "out.ipynb"]
    given = {"photos": PHOTOS, "learning_rate": "3e-4", "epochs": "1", "crops_per_epoch": "8"}
    settings = [word for name, value in given.items() for word in ("-p", name, value)]
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
@pytest.mark.slow
def test_a_notebook_alone_rebuilds_committed_files_in_a_scratch_folder_without_photographs(clone, tmp_path, name):
    """As in JupyterLab in a fresh clone, with the default parameters."""
    for folder in ("results/paper", "figures/paper"):
        shutil.copytree(PROJECT / folder, clone / folder, dirs_exist_ok=True)
    made = {
        "03_figure1": ["figures/paper/figure1_loss_curve.png", "figures/paper/figure1_loss_curve.svg"],
        "04_figures2_3": [f"figures/paper/{example}.png" for example in EXAMPLES],
        "05_table1": ["results/paper/table1.csv", "results/paper/table1.md", "results/paper/per_image.csv"],
    }[name]
    before = {path: path.stat().st_mtime_ns for path in (clone / "results/paper").rglob("*")}
    before |= {path: path.stat().st_mtime_ns for path in (clone / "figures/paper").rglob("*")}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COLORLIB")}
    started = time.time_ns()
    done = subprocess.run(
        [sys.executable, "-m", "papermill", str(clone / f"notebooks/{name}.ipynb"), str(tmp_path / "out.ipynb")],
        cwd=tmp_path, env=clean | {"PYTHONPATH": str(clone), "COLORLIB_CACHE": str(tmp_path)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    scratch = clone / "results/scratch"
    for path in made:
        if path.endswith(".png"):
            # Another processor may round a prediction to the next of 256 levels.
            new, held = (np.asarray(Image.open(root / path).convert("RGB"), dtype=int) for root in (scratch, PROJECT))
            assert new.shape == held.shape
            assert np.abs(new - held).mean() < 0.5
        elif path.endswith(".csv"):
            assert (scratch / path).stat().st_mtime_ns > started
            new, held = (pd.read_csv(root / path) for root in (scratch, PROJECT))
            pd.testing.assert_frame_equal(new, held, rtol=1e-9)
        else:
            assert (scratch / path).read_text() == (PROJECT / path).read_text()
