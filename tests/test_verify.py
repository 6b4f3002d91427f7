"""Verification: it passes on evidence that the code makes, and names whatever was changed."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sweep_fixtures import stand_in, stub_notebook, sweep_text

from colorlib import cli
from colorlib.checkpoint import load_tensors, save_tensors
from colorlib.colorizer import load_run
from colorlib.companion import checks, claims, claims_text, figures, outlook, replays, sweep_job, verify
from colorlib.companion.checks import Check, Outcome, compare_files, differences
from colorlib.companion.manifest import NAME, committed_files, read_manifest, write_manifest
from colorlib.companion.plan import TRIPTYCHS
from colorlib.companion.sweep_summary import write_summary
from colorlib.companion.sweeps import load_sweep
from colorlib.companion.tables import table1
from colorlib.devices import prepare
from colorlib.files import write_json
from colorlib.places import PhotosMissingError
from colorlib.profiles import Profile, load_profile
from colorlib.runs import Run
from colorlib.scoring import baseline_losses, score_run
from colorlib.trainer import train

SETTINGS = {"photos": "bundled", "epochs": 2, "crops_per_epoch": 16, "crop_size": 16, "batch_size": 8}
JUDGED = ("parameter-count", "test-mse", "training-loss")


def some_claims(profile: Profile) -> dict[str, object]:
    """A ledger of three claims: the whole one takes too long here."""
    held = claims.ledger(profile, [claim for claim in claims.read_claims() if claim.id in JUDGED])
    write_json(profile.results / "claims.json", held)
    (profile.results / "claims.md").write_text(claims_text.markdown(held))
    (profile.results / "verdicts.md").write_text(claims_text.summary(held))
    return held


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """A small profile on the bundled photographs with all that verification looks at, but notebooks and report."""
    root = tmp_path_factory.mktemp("evidence")
    profile = Profile(name="tiny", settings=SETTINGS, seeds=(0,), root=root)
    run = profile.run(0)
    config = dataclasses.replace(profile.config(0), keep_epochs=(1,))
    for _ in train(config, run, device="cpu"):
        pass
    for _ in score_run(run, device=prepare("cpu")):
        pass
    write_json(profile.results / "data.json", {"photos": "bundled"})
    losses = baseline_losses("bundled", 16)
    write_json(profile.results / "baselines.json", {"validation_mse": losses})
    table1(profile, rescore=True)
    figures.loss_curve([run], losses, profile.figures / "figure1_loss_curve.png")
    figures.data_crops(profile.figures, 16)
    for name in TRIPTYCHS:
        figures.paper_triptych(name, load_run(run), profile.figures)
    some_claims(profile)
    write_manifest(profile)
    return profile


@pytest.fixture
def copy(evidence: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """The same, to be changed."""
    shutil.copytree(evidence.results.parent.parent, tmp_path / "copy")
    monkeypatch.setattr(verify, "write_claims", some_claims)
    monkeypatch.setattr(verify, "write_report", lambda profile: [])
    return dataclasses.replace(evidence, root=tmp_path / "copy")


@pytest.mark.slow
def test_what_the_code_makes_passes(copy: Profile):
    found = list(verify.verify(copy))
    assert [verify.terminal(check) for check in found if check.outcome != Outcome.PASSED] == []
    subjects = " ".join(check.subject for check in found)
    tables = ("table1.csv", "table1.md", "per_image.csv", "claims.json", "verdicts.md", "metrics.json")
    pictures = ("figure1_loss_curve.png", "figure2_portrait.png", "data_crops.png")
    for name in (*tables, *pictures, "weights.safetensors", "first epoch", "epoch-001"):
        assert name in subjects


def one_digit(path: Path, pattern: str = r"0\.\d{6}") -> None:
    """Change one digit of the first number that matches."""
    text = path.read_text()
    found = re.search(pattern, text)
    assert found
    place = found.end() - 1
    path.write_text(text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])


def one_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def one_weight(path: Path) -> None:
    held = load_tensors(path)
    name = sorted(held.state)[0]
    held.state[name].view(-1)[0] += 0.5
    save_tensors(path, held.state, step=held.step)


def a_stroke(path: Path) -> None:
    with Image.open(path) as picture:
        pixels = np.array(picture.convert("RGB"))
    pixels[40:60, 40:140] = (200, 0, 0)
    Image.fromarray(pixels).save(path)


EDITS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "results/tiny/per_image.csv": (one_digit, "rebuilt", "table1.csv"),
    "results/tiny/seed-0/per_image.csv": (one_digit, "rebuilt", "per_image.csv"),
    "results/tiny/seed-0/weights.safetensors": (one_weight, "scored", "weights.safetensors"),
    "results/tiny/seed-0/history.csv": (one_digit, "replayed", "first epoch, training loss"),
}
"""What is changed, how, and which check names what."""
TOGETHER: dict[str, Callable[[Path], None]] = {
    "results/tiny/table1.csv": one_digit,
    "results/tiny/table1.md": lambda path: one_digit(path, r"0\.\d{4}"),
    "results/tiny/seed-0/metrics.json": one_digit,
    "results/tiny/claims.json": lambda path: one_digit(path, r"0\.\d{6,}"),
    "figures/tiny/figure1_loss_curve.png": a_stroke,
    "figures/tiny/figure2_portrait.png": a_stroke,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*EDITS, *TOGETHER])
def test_a_changed_file_is_not_the_listed_one(copy: Profile, name: str):
    change = TOGETHER.get(name) or EDITS[name][0]
    change(copy.results.parent.parent / name)
    (found,) = [check for check in verify.as_listed(copy) if check.outcome == Outcome.DIFFERS]
    assert found.subject == name
    assert "it was changed" in found.detail


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITS)
def test_who_also_changes_the_list_is_found_out_by_what_the_code_makes(copy: Profile, tmp_path: Path, name: str):
    change, by, caught = EDITS[name]
    change(copy.results.parent.parent / name)
    write_manifest(copy)
    assert all(check.outcome == Outcome.PASSED for check in verify.as_listed(copy))
    made = {
        "rebuilt": lambda: verify.rebuilt(copy, tmp_path / "scratch"),
        "scored": lambda: replays.scored_again(copy),
        "replayed": lambda: replays.first_epoch_replayed(copy, tmp_path / "scratch"),
    }[by]()
    assert any(caught in check.subject for check in made if check.outcome == Outcome.DIFFERS)


@pytest.mark.slow
def test_each_of_many_changes_is_named(copy: Profile, tmp_path: Path):
    for name, change in TOGETHER.items():
        change(copy.results.parent.parent / name)
    found = [check for check in verify.rebuilt(copy, tmp_path / "scratch") if check.outcome == Outcome.DIFFERS]
    assert {check.subject for check in found} == set(TOGETHER)
    assert {check.subject for check in found if check.pictures} == {name for name in TOGETHER if name.endswith("png")}


@pytest.mark.slow
def test_what_sweeps_found_is_made_anew_of_their_points(copy: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verify, "SWEEPS", tmp_path)
    monkeypatch.setattr(sweep_job, "execute", stand_in)
    stub_notebook(tmp_path)
    path = sweep_text(tmp_path, "outlook", points=[{"name": "paper"}, {"name": "fast", "learning_rate": 3e-3}])
    first, second = load_sweep(path, copy).points
    for point in (first, second):
        sweep_job.perform(point)
    write_summary(path, copy)
    outlook.exhibit(copy)
    write_manifest(copy)
    second_history = f"results/tiny/sweeps/outlook/{second.directory.name}/history.csv"
    assert second_history in read_manifest(copy)
    # Of what is listed, what follows from sweeps: the rest is looked at by other tests.
    lines = [line for line in (copy.results / NAME).read_text().splitlines() if "sweeps" in line or "outlook" in line]
    (copy.results / NAME).write_text("\n".join(lines) + "\n")
    found = {check.subject: check.outcome for check in verify.rebuilt(copy, tmp_path / "scratch")}
    summary = "results/tiny/sweeps/outlook/summary.csv"
    left = (summary, "results/tiny/outlook.csv", "results/tiny/outlook.md", "figures/tiny/outlook.png")
    assert {found[name] for name in left} == {Outcome.PASSED}

    one_digit(copy.results / "outlook.csv", r"0\.\d{3}")
    found = [check.subject for check in verify.rebuilt(copy, tmp_path / "edited") if check.outcome == Outcome.DIFFERS]
    assert found == ["results/tiny/outlook.csv"]
    one_digit(first.directory / "history.csv", r"\.\d+")  # no longer what it was when the point was finished
    found = {check.subject: check.outcome for check in verify.rebuilt(copy, tmp_path / "again")}
    assert found[summary] == Outcome.DIFFERS


@pytest.mark.parametrize("name", verify.committed_profiles())
def test_every_committed_page_and_summary_is_made_anew(name: str, tmp_path: Path):
    profile = load_profile(name)
    made = verify.made_anew(profile, dataclasses.replace(profile, root=tmp_path))
    names = {path.relative_to(tmp_path).as_posix() for left in made for path in left}
    held = {
        name
        for name in read_manifest(profile)
        if name.endswith((".html", "/summary.csv", "/outlook.csv", "/contest.md"))
    }
    assert held
    assert held <= names


def test_of_a_point_that_is_not_finished_nothing_is_listed(tmp_path: Path):
    profile = Profile(name="tiny", settings=SETTINGS, seeds=(0,), root=tmp_path)
    point = profile.sweep("outlook") / "0123456789"
    point.mkdir(parents=True)
    for name in ("run.json", "history.csv", "weights.safetensors", "metrics-bundled-val.json"):
        (point / name).write_text(name)
    assert list(committed_files(profile)) == []
    (point / "point.json").write_text("{}")
    assert len(list(committed_files(profile))) == 4


@pytest.mark.slow
def test_damaged_weights_are_named(copy: Profile):
    one_byte(copy.run(0) / "weights.safetensors")
    found = [check for check in replays.scored_again(copy) if check.outcome == Outcome.DIFFERS]
    assert [check.subject for check in found] == ["results/tiny/seed-0/weights.safetensors"]


@pytest.mark.slow
def test_missing_and_added_files_are_named(copy: Profile):
    (copy.results / "table1.md").unlink()
    (copy.results / "extra.csv").write_text("a\n1\n")
    (copy.run(0) / "checkpoints").mkdir(exist_ok=True)
    (copy.run(0) / "checkpoints" / "local").write_text("not committed")
    found = {check.subject: check.detail for check in verify.as_listed(copy)}
    assert found == {"results/tiny/table1.md": "it is missing", "results/tiny/extra.csv": "it is not listed"}
    (copy.results / NAME).unlink()
    (check,) = verify.as_listed(copy)
    assert (check.outcome, check.subject) == (Outcome.DIFFERS, f"results/tiny/{NAME}")
    assert "make reproduce PROFILE=tiny" in check.detail


@pytest.mark.slow
def test_the_list_is_that_of_sha256sum(copy: Profile):
    listed = read_manifest(copy)
    assert len(listed) == len(list(committed_files(copy)))
    assert not [name for name in listed if "checkpoints" in name or name.endswith(".lock") or NAME in name]
    (copy.results / NAME).write_text("no digest\n")
    with pytest.raises(ValueError, match="line 1 is not a SHA-256"):
        read_manifest(copy)


def missing(*args: object, **kwargs: object) -> None:
    raise PhotosMissingError("the photographs are not on this machine")


@pytest.mark.slow
def test_absent_photographs_are_not_checked_never_passed(copy: Profile, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(replays, "scored_photos", missing)
    monkeypatch.setattr(replays, "train", missing)
    found = list(verify.verify(copy))
    unchecked = [check for check in found if check.outcome == Outcome.NOT_CHECKED]
    assert [check.how for check in unchecked] == ["scored again", "replayed"]
    assert all("not on this machine" in check.detail for check in unchecked)
    assert not [check for check in found if check.outcome == Outcome.DIFFERS]
    assert verify.verdict(found).endswith("0 differs, 2 not checked")


@pytest.mark.slow
def test_a_run_of_an_accelerator_is_not_replayed_here(copy: Profile, tmp_path: Path):
    run = Run(copy.run(0))
    record = run.record()
    record["hardware"] |= {"device": "cuda", "accelerator": "a card"}
    run.write_record(record)
    (check,) = replays.first_epoch_replayed(copy, tmp_path)
    assert (check.outcome, check.detail) == (Outcome.NOT_CHECKED, "it was trained on a card")
    assert "device cuda then, cpu now" in verify.environment(copy)
    assert {found.outcome for found in replays.scored_again(copy)} == {Outcome.PASSED}


@pytest.mark.slow
def test_training_anew_compares_all_that_a_run_leaves(copy: Profile, tmp_path: Path):
    found = list(replays.retrained(copy, tmp_path / "anew"))
    assert {check.outcome for check in found} == {Outcome.PASSED}
    assert [check.subject.rsplit("/")[-1] for check in found] == [
        "history.csv", "weights.safetensors", "per_image.csv", "metrics.json",
    ]  # fmt: skip
    one_digit(copy.run(0) / "history.csv")
    found = list(replays.retrained(copy, tmp_path / "again"))
    assert [check.subject for check in found if check.outcome == Outcome.DIFFERS] == ["results/tiny/seed-0/history.csv"]


@pytest.mark.slow
def test_the_environment_is_told(copy: Profile):
    assert verify.environment(copy) == "This environment is the recorded one: equal bytes are demanded."
    run = Run(copy.run(0))
    record = run.record()
    record["versions"]["torch"] = "1.0"
    run.write_record(record)
    assert "torch 1.0 then, " in verify.environment(copy)


@pytest.mark.slow
def test_in_another_environment_tolerances_apply(copy: Profile, tmp_path: Path):
    run = Run(copy.run(0))
    record = run.record()
    record["versions"]["torch"] = "1.0"
    run.write_record(record)
    history = run.path / "history.csv"
    first = run.history()[0]["training_loss"]
    history.write_text(history.read_text().replace(repr(first), repr(first * 1.001)))
    found = list(replays.first_epoch_replayed(copy, tmp_path / "a"))
    assert [check.outcome for check in found] == [Outcome.PASSED, Outcome.PASSED]
    history.write_text(history.read_text().replace(repr(first * 1.001), repr(first * 1.1)))
    assert next(iter(replays.first_epoch_replayed(copy, tmp_path / "b"))).outcome == Outcome.DIFFERS


def test_numbers_are_compared_by_size_and_text_exactly(tmp_path: Path):
    def compared(one: str, other: str, *, exact: bool, suffix: str = ".csv") -> Check:
        first, second = tmp_path / f"one{suffix}", tmp_path / f"other{suffix}"
        first.write_text(one)
        second.write_text(other)
        return compare_files("it", "rebuilt", first, second, exact=exact)

    near, far = "a,b\nx,1.0000000000001\n", "a,b\nx,1.001\n"
    assert compared("a,b\nx,1.0\n", near, exact=False).outcome == Outcome.PASSED
    assert compared("a,b\nx,1.0\n", near, exact=True).outcome == Outcome.DIFFERS
    assert compared("a,b\nx,1.0\n", far, exact=False).detail == "row 1 b: 1.0 is committed, 1.001 is made anew"
    assert compared("a,b\nx,1.0\n", "a,b\ny,1.0\n", exact=False).detail == "row 1 a: 'x' is committed, 'y' is made anew"
    assert compared("a\n1\n", "a\n1\n2\n", exact=False).outcome == Outcome.DIFFERS
    assert compared('{"a": 1}', '{"a": null}', exact=False, suffix=".json").outcome == Outcome.DIFFERS
    assert compared("{", "{}", exact=False, suffix=".json").detail.startswith("one.json cannot be read")
    assert compared("one\ntwo\n", "one\n2\n", exact=False, suffix=".md").detail.startswith("line 2: 'two' is committed")


def test_infinite_numbers_are_no_small_difference():
    assert max(differences([float("inf")], [1.0]))[0] == float("inf")
    assert list(differences(["inf"], ["inf"])) == []


def test_pictures_are_compared_as_pictures(tmp_path: Path):
    def saved(name: str, pixels: np.ndarray) -> Path:
        Image.fromarray(pixels).save(tmp_path / name, compress_level=hash(name) % 2 * 9)
        return tmp_path / name

    plain = np.full((100, 100, 3), 120, dtype=np.uint8)
    edge, blot = plain.copy(), plain.copy()
    edge[:, 50] += 16
    blot[:4, :4] = 200
    first = saved("first.png", plain)
    for other, outcome in ((plain, Outcome.PASSED), (edge, Outcome.PASSED), (blot, Outcome.DIFFERS)):
        found = compare_files("it", "rebuilt", first, saved("other.png", other), exact=True)
        assert found.outcome == outcome
        assert (found.pictures is not None) == (outcome == Outcome.DIFFERS)
    smaller = saved("smaller.png", plain[:50])
    assert compare_files("it", "rebuilt", first, smaller, exact=True).detail == "100 × 100 and 100 × 50 pixels"
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    broken = compare_files("it", "rebuilt", first, tmp_path / "broken.png", exact=True)
    assert broken.outcome == Outcome.DIFFERS


def test_the_page_shows_what_differs_side_by_side(tmp_path: Path):
    found = [
        Check(subject="a<b", how="rebuilt", outcome=Outcome.PASSED, detail="the same bytes"),
        Check(subject="figure.png", how="rebuilt", outcome=Outcome.DIFFERS, detail="x", pictures=(b"one", b"two")),
        Check(subject="c", how="replayed", outcome=Outcome.NOT_CHECKED, detail="no photographs"),
    ]
    verify.write_page(found, ["cpu: the recorded one"], tmp_path / "verify.html")
    page = (tmp_path / "verify.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "a&lt;b" in page
    assert "1 passed, 1 differs, 1 not checked" in page
    assert page.index("✗ differs") < page.index("no photographs") < page.index("the same bytes")


def test_the_command_fails_when_something_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    profile = Profile(name="tiny", settings=SETTINGS, seeds=(0,), root=tmp_path)
    profile.results.mkdir(parents=True)
    monkeypatch.setattr("colorlib.profiles.PROJECT", tmp_path)
    monkeypatch.setattr("colorlib.profiles.load_profile", lambda name: profile)
    monkeypatch.setattr(verify, "environment", lambda profile: "the recorded one")
    outcomes = [Outcome.PASSED, Outcome.NOT_CHECKED]

    def checked(profile: Profile, *, retrain: bool) -> list[Check]:
        return [Check(subject="it", how="rebuilt", outcome=outcome, detail="so") for outcome in outcomes]

    monkeypatch.setattr(verify, "verify", checked)
    assert cli.main(["verify", "--profile", "tiny"]) == 0
    assert "1 passed, 0 differs, 1 not checked; see results/verify.html" in capsys.readouterr().out
    outcomes.append(Outcome.DIFFERS)
    assert cli.main(["verify", "--profile", "tiny"]) == 1
    assert json.loads(json.dumps(str(checks.Outcome.DIFFERS))) == "differs"
