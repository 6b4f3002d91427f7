"""Verification: it passes on results that the code makes, and names whatever was changed."""

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.sweeps import stand_in, stub_notebook, sweep_text
from helpers.tiny_profile import SETTINGS, change_digit, make_tiny_profile, write_some_claims
from PIL import Image

from colorlib import cli
from colorlib.companion import pipeline
from colorlib.companion.artifacts import outlook
from colorlib.companion.pipeline import MANIFEST, read_manifest, write_manifest
from colorlib.companion.steps import files
from colorlib.companion.sweeps import run as sweep_run
from colorlib.companion.sweeps.spec import load_sweep
from colorlib.companion.sweeps.summary import write_summary
from colorlib.companion.verify import rerun, verify
from colorlib.companion.verify.compare import Check, Outcome
from colorlib.files import sha256, write_text
from colorlib.photos.download import PhotosMissingError
from colorlib.profiles import Profile
from colorlib.runs import Run


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return make_tiny_profile(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def copy(tiny: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """The same, to be changed; three claims are judged instead of all."""
    shutil.copytree(tiny.results.parent.parent, tmp_path / "copy")
    monkeypatch.setattr(pipeline, "write_claims", write_some_claims)
    return dataclasses.replace(tiny, root=tmp_path / "copy")


@pytest.fixture
def quick_copy(copy: Profile) -> Profile:
    """The copy without Figures 2-3, for which the network colors whole photographs."""
    for path in files(copy, "figures2_3"):
        path.unlink()
    write_manifest(copy)
    return copy


@pytest.mark.slow
def test_results_that_the_code_makes_pass(copy: Profile):
    found = list(verify.verify(copy))
    assert [verify.terminal(check) for check in found if check.outcome != Outcome.PASSED] == []
    subjects = " ".join(check.subject for check in found)
    tables = ("table1.csv", "table1.md", "per_image.csv", "claims.json", "verdicts.md", "metrics.json")
    pictures = ("figure1_loss_curve.png", "figure1_loss_curve.svg", "figure2_portrait.png", "data_crops.png")
    for name in (*tables, *pictures, "weights.safetensors", "history.csv", "epoch-001"):
        assert name in subjects


def add_stroke(path: Path) -> None:
    with Image.open(path) as picture:
        pixels = np.array(picture.convert("RGB"))
    pixels[40:60, 40:140] = (200, 0, 0)
    Image.fromarray(pixels).save(path)


INPUTS = {
    "results/tiny/per_image.csv": "table1.csv",
    "results/tiny/seed-0/per_image.csv": "results/tiny/per_image.csv",
    "results/tiny/seed-0/history.csv": "figure1_loss_curve.png",
}
"""Files that others are computed from -> a file that shows their change."""
OUTPUTS: dict[str, Callable[[Path], None]] = {
    "results/tiny/table1.csv": change_digit,
    "results/tiny/table1.md": lambda path: change_digit(path, r"0\.\d{4}"),
    "results/tiny/seed-0/metrics.json": change_digit,
    "results/tiny/claims.json": lambda path: change_digit(path, r"0\.\d{6,}"),
    "figures/tiny/figure1_loss_curve.png": add_stroke,
    "figures/tiny/figure1_loss_curve.svg": lambda path: change_digit(path, r"L \d+\.\d{6}"),
    "figures/tiny/figure2_portrait.png": add_stroke,
}
"""Files that are computed from others -> a change of them."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [*INPUTS, *OUTPUTS, "results/tiny/seed-0/weights.safetensors"])
def test_a_changed_file_is_not_the_listed_one(copy: Profile, name: str):
    path = copy.results.parent.parent / name
    if path.suffix == ".safetensors":
        path.write_bytes(path.read_bytes() + b"\0")
    else:
        OUTPUTS.get(name, change_digit)(path)
    (found,) = [check for check in verify.as_listed(copy) if check.outcome == Outcome.DIFFERS]
    assert found.subject == name
    for digest in (sha256(path), read_manifest(copy)[name]):
        assert digest[:12] in found.detail


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [next(iter(INPUTS)), *(pytest.param(name, marks=pytest.mark.campaign) for name in list(INPUTS)[1:])]
)
def test_a_changed_input_that_is_listed_is_found_by_its_outputs(quick_copy: Profile, tmp_path: Path, name: str):
    path = quick_copy.results.parent.parent / name
    if name.endswith("history.csv"):  # the figure must change by more than its tolerance
        path.write_text(re.sub(r"0\.0", "0.9", path.read_text()))
    else:
        change_digit(path)
    write_manifest(quick_copy)
    assert all(check.outcome == Outcome.PASSED for check in verify.as_listed(quick_copy))
    found = [check for check in verify.rebuilt(quick_copy, tmp_path / "scratch") if check.outcome == Outcome.DIFFERS]
    assert any(INPUTS[name] in check.subject for check in found)


@pytest.mark.slow
def test_each_of_many_changed_outputs_is_named(copy: Profile, tmp_path: Path):
    for name, change in OUTPUTS.items():
        change(copy.results.parent.parent / name)
    found = [check for check in verify.rebuilt(copy, tmp_path / "scratch") if check.outcome == Outcome.DIFFERS]
    assert {check.subject for check in found} == set(OUTPUTS)
    assert {check.subject for check in found if check.pictures} == {name for name in OUTPUTS if name.endswith("png")}


@pytest.mark.slow
def test_an_output_that_is_not_made_does_not_pass_by_its_copy(
    quick_copy: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pipeline, "write_claims", lambda results: None)
    monkeypatch.setattr(pipeline.table1, "table1", lambda results: None)
    found = {check.subject for check in verify.rebuilt(quick_copy, tmp_path / "a") if check.outcome == Outcome.DIFFERS}
    # Both are inputs of the report, so copies of them lie in the scratch folder.
    assert {"results/tiny/claims.json", "results/tiny/table1.csv"} <= found


@pytest.mark.slow
def test_without_a_list_the_outputs_that_exist_are_rebuilt(quick_copy: Profile, tmp_path: Path):
    listed = {check.subject for check in verify.rebuilt(quick_copy, tmp_path / "a")}
    (quick_copy.results / MANIFEST).unlink()
    found = list(verify.rebuilt(quick_copy, tmp_path / "b"))
    assert {check.subject for check in found} == listed
    assert {check.outcome for check in found} == {Outcome.PASSED}


@pytest.mark.slow
def test_results_of_sweeps_are_rebuilt_from_their_points(
    copy: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pipeline, "SWEEPS", tmp_path)
    monkeypatch.setattr(sweep_run, "execute", stand_in)
    stub_notebook(tmp_path)
    path = sweep_text(tmp_path, "outlook", points=[{"name": "paper"}, {"name": "fast", "learning_rate": 3e-3}])
    copy = dataclasses.replace(copy, settings=copy.settings | {"photos": "bundled"})
    first, second = load_sweep(path, copy).points
    for point in (first, second):
        sweep_run.run_point(point)
    write_summary(path, copy)
    outlook.write(copy)
    write_manifest(copy)
    assert f"results/tiny/sweeps/outlook/{second.directory.name}/history.csv" in read_manifest(copy)
    # Of the listed files, those that follow from sweeps: other tests look at the rest.
    manifest = copy.results / MANIFEST
    lines = [line for line in manifest.read_text().splitlines() if "sweeps" in line or "outlook" in line]
    manifest.write_text("\n".join(lines) + "\n")
    found = {check.subject: check.outcome for check in verify.rebuilt(copy, tmp_path / "scratch")}
    table = "results/tiny/sweeps/outlook/summary.csv"
    made = (table, *(f"results/tiny/outlook.{kind}" for kind in ("csv", "md")))
    made += tuple(f"figures/tiny/outlook.{kind}" for kind in ("png", "svg"))
    assert {found[name] for name in made} == {Outcome.PASSED}

    change_digit(copy.results / "outlook.csv", r"0\.\d{3}")
    found_names = [
        check.subject for check in verify.rebuilt(copy, tmp_path / "edited") if check.outcome == Outcome.DIFFERS
    ]
    assert found_names == ["results/tiny/outlook.csv"]
    change_digit(first.directory / "history.csv", r"\.\d+")  # no longer the file of the finished point
    found = {check.subject: check.outcome for check in verify.rebuilt(copy, tmp_path / "again")}
    assert found[table] == Outcome.DIFFERS


def test_missing_and_added_files_are_named(tmp_path: Path):
    profile = Profile(name="tiny", settings=SETTINGS, seeds=(0,), root=tmp_path)
    write_text(profile.results / "table1.md", "| a |")
    write_text(profile.results / "table1.csv", "a")
    write_manifest(profile)
    (check,) = verify.as_listed(profile)
    assert (check.outcome, check.subject) == (Outcome.PASSED, "results/tiny, figures/tiny")
    (profile.results / "table1.md").unlink()
    write_text(profile.results / "extra.csv", "a\n1\n")
    write_text(profile.run(0) / "checkpoints" / "local", "not committed")
    found = {check.subject: check.detail for check in verify.as_listed(profile)}
    assert set(found) == {"results/tiny/table1.md", "results/tiny/extra.csv"}
    assert "missing" in found["results/tiny/table1.md"]
    assert "listed" in found["results/tiny/extra.csv"]
    (profile.results / MANIFEST).unlink()
    (check,) = verify.as_listed(profile)
    assert (check.outcome, check.subject) == (Outcome.DIFFERS, f"results/tiny/{MANIFEST}")
    assert "make reproduce PROFILE=tiny" in check.detail


@pytest.mark.slow
def test_without_photographs_the_rest_is_checked(quick_copy: Profile, monkeypatch: pytest.MonkeyPatch):
    def missing(*args: object, **options: object) -> None:
        raise PhotosMissingError("the photographs are not on this machine")

    monkeypatch.setattr(rerun, "scored_photos", missing)
    monkeypatch.setattr(rerun, "train", missing)
    found = list(verify.verify(quick_copy))
    unchecked = [check for check in found if check.outcome == Outcome.NOT_CHECKED]
    assert [re.findall(r"\w+\.csv", check.subject) for check in unchecked] == [["per_image.csv"], ["history.csv"]]
    assert not [check for check in found if check.outcome == Outcome.DIFFERS]
    for count in ("0 differs", "2 not checked"):
        assert re.search(rf"\b{count}\b", verify.verdict(found))


@pytest.mark.slow
def test_the_environment_decides_between_bytes_and_tolerances(copy: Profile):
    same = verify.environment(copy)
    assert "tolerance" not in same
    assert "torch" not in same
    run = Run(copy.run(0))
    record = run.record()
    now = record["versions"]["torch"]
    record["versions"]["torch"] = "1.0"
    record["hardware"] |= {"device": "cuda"}
    run.write_record(record)
    other = verify.environment(copy)
    assert re.search(rf"\btorch\b.*\b1\.0\b.*{re.escape(now)}", other)
    assert re.search(r"\bdevice\b.*\bcuda\b.*\bcpu\b", other)
    assert "tolerance" in other


def test_the_page_shows_differing_pictures_side_by_side(tmp_path: Path):
    found = [
        Check(subject="a<b", how="rebuilt", outcome=Outcome.PASSED, detail="the same bytes"),
        Check(subject="figure.png", how="rebuilt", outcome=Outcome.DIFFERS, detail="x", pictures=(b"one", b"two")),
        Check(subject="c", how="retrained", outcome=Outcome.NOT_CHECKED, detail="no photographs"),
    ]
    verify.write_page(found, ["cpu: the recorded one"], tmp_path / "verify.html")
    page = (tmp_path / "verify.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "a&lt;b" in page
    for count in ("1 passed", "1 differs", "1 not checked"):
        assert count in page
    assert page.index("✗ differs") < page.index("no photographs") < page.index("the same bytes")


def test_the_command_fails_if_something_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    profile = Profile(name="tiny", settings=SETTINGS, seeds=(0,), root=tmp_path)
    profile.results.mkdir(parents=True)
    monkeypatch.setattr("colorlib.profiles.PROJECT", tmp_path)
    monkeypatch.setattr("colorlib.profiles.load_profile", lambda name: profile)
    monkeypatch.setattr(verify, "environment", lambda profile: "the recorded one")
    outcomes = [Outcome.PASSED, Outcome.NOT_CHECKED]

    def checked(profile: Profile, **options: object) -> list[Check]:
        return [Check(subject="it", how="rebuilt", outcome=outcome, detail="so") for outcome in outcomes]

    monkeypatch.setattr(verify, "verify", checked)
    assert cli.main(["verify", "--profile", "tiny"]) == 0
    out = capsys.readouterr().out
    for fact in ("1 passed", "0 differs", "1 not checked", "results/verify.html"):
        assert fact in out
    outcomes.append(Outcome.DIFFERS)
    assert cli.main(["verify", "--profile", "tiny"]) == 1
    assert "1 differs" in capsys.readouterr().out
