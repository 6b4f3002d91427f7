"""Scores and training, repeated: equal here, with tolerances elsewhere, and not checked without photographs."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
from helpers.tiny_profile import change_digit, make_tiny_profile

from colorlib.checkpoint import load_tensors, save_tensors
from colorlib.companion.claims import from_pixels
from colorlib.companion.steps import files
from colorlib.companion.verify import rerun
from colorlib.companion.verify.compare import Check, Outcome
from colorlib.companion.verify.rerun import (
    baselines_recomputed,
    environment_differences,
    first_epoch_retrained,
    pixels_measured,
    rescored,
    retrained,
    weights_validated,
)
from colorlib.device import prepare
from colorlib.evaluate import score_run
from colorlib.features import FeaturesMissingError, Lite0
from colorlib.photos.download import PhotosMissingError
from colorlib.profiles import Profile
from colorlib.runs import Run, csv_text
from colorlib.trainer import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return make_tiny_profile(tmp_path_factory.mktemp("tiny"), drawn=False)


@pytest.fixture
def copy(tiny: Profile, tmp_path: Path) -> Profile:
    """The same, to be changed."""
    shutil.copytree(tiny.results.parent.parent, tmp_path / "copy")
    return dataclasses.replace(tiny, root=tmp_path / "copy")


def elsewhere(profile: Profile) -> Run:
    """The run of a profile, recorded as of another version of torch."""
    run = Run(profile.run(0))
    record = run.record()
    record["versions"]["torch"] = "1.0"
    run.write_record(record)
    return run


def change_loss(run: Path) -> None:
    """Change the first training loss of a run by a millionth."""
    history = run / "history.csv"
    first = Run(run).history()[0]["training_loss"]
    history.write_text(history.read_text().replace(repr(first), repr(first + 1e-6)))


def differing(checks: list[Check]) -> list[str]:
    return [check.subject for check in checks if check.outcome == Outcome.DIFFERS]


def test_nothing_differs_where_it_was_made(copy: Profile, tmp_path: Path):
    assert environment_differences(Run(copy.run(0)).record()) == []
    found = [*rescored(copy), *first_epoch_retrained(copy, tmp_path / "scratch")]
    assert {check.outcome for check in found} == {Outcome.PASSED}
    subjects = [check.subject.removeprefix("results/tiny/") for check in found]
    for part in ("per_image.csv", "seed-0/weights", "training loss", "validation loss", "epochs/epoch-001"):
        assert any(part in subject for subject in subjects)


def test_the_environment_is_compared_with_the_recorded_one(copy: Profile):
    now = Run(copy.run(0)).record()["versions"]["torch"]
    (difference,) = environment_differences(elsewhere(copy).record())
    assert re.search(rf"\btorch\b.*\b1\.0\b.*{re.escape(now)}", difference)


def test_a_changed_weight_is_named(copy: Profile):
    path = copy.run(0) / "weights.safetensors"
    held = load_tensors(path)
    held.state[sorted(held.state)[0]].view(-1)[0] += 0.5
    save_tensors(path, held.state, step=held.step)
    assert differing(list(rescored(copy))) == ["results/tiny/seed-0/weights.safetensors"]


def test_damaged_weights_are_named(copy: Profile):
    path = copy.run(0) / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert differing(list(rescored(copy))) == ["results/tiny/seed-0/weights.safetensors"]


def test_a_changed_score_of_a_baseline_is_named(copy: Profile):
    change_digit(copy.results / "per_image.csv", r"0\.\d{4}")
    (subject,) = differing(list(rescored(copy)))
    assert subject.startswith("results/tiny/per_image.csv")


def test_a_missing_score_differs(copy: Profile):
    path = copy.results / "per_image.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    (subject,) = differing(list(rescored(copy)))
    assert subject.startswith("results/tiny/per_image.csv")


def test_scores_have_a_tolerance_in_another_environment(copy: Profile):
    path = elsewhere(copy).path / "per_image.csv"
    text = path.read_text()
    value = re.findall(r"0\.\d{6,}", text)[0]
    for factor, outcome in ((1.0001, Outcome.PASSED), (1.01, Outcome.DIFFERS)):
        path.write_text(text.replace(value, repr(float(value) * factor)))
        (check,) = [check for check in rescored(copy) if "weights" in check.subject]
        assert check.outcome == outcome


def test_a_changed_history_is_named(copy: Profile, tmp_path: Path):
    change_loss(copy.run(0))
    (subject,) = differing(list(first_epoch_retrained(copy, tmp_path / "scratch")))
    assert subject.startswith("results/tiny/seed-0/history.csv, first epoch")


def test_losses_have_a_tolerance_in_another_environment(copy: Profile, tmp_path: Path):
    run = elsewhere(copy)
    history = run.path / "history.csv"
    first = run.history()[0]["training_loss"]
    history.write_text(history.read_text().replace(repr(first), repr(first * 1.001)))
    found = list(first_epoch_retrained(copy, tmp_path / "a"))
    assert [check.outcome for check in found] == [Outcome.PASSED, Outcome.PASSED]
    history.write_text(history.read_text().replace(repr(first * 1.001), repr(first * 1.1)))
    assert next(iter(first_epoch_retrained(copy, tmp_path / "b"))).outcome == Outcome.DIFFERS


def test_a_run_that_was_resumed_elsewhere_is_of_both_environments(copy: Profile):
    run = Run(copy.run(0))
    record = run.record()
    assert environment_differences(record) == []
    stretch = {"from_update": 2, "versions": record["versions"], "hardware": record["hardware"] | {"threads": 64}}
    run.write_record(record | {"stretches": [stretch]})
    (difference,) = environment_differences(run.record())
    assert "64" in difference


def test_a_run_of_an_accelerator_is_not_retrained_here(copy: Profile, tmp_path: Path):
    run = Run(copy.run(0))
    record = run.record()
    record["hardware"] |= {"device": "cuda", "accelerator": "a card"}
    run.write_record(record)
    (check,) = first_epoch_retrained(copy, tmp_path / "scratch")
    assert check.outcome == Outcome.NOT_CHECKED
    assert "a card" in check.detail
    assert {found.outcome for found in rescored(copy)} == {Outcome.PASSED}


def test_retraining_compares_all_files_of_a_run(copy: Profile, tmp_path: Path):
    found = list(retrained(copy, tmp_path / "a"))
    assert {check.outcome for check in found} == {Outcome.PASSED}
    assert [check.subject.rsplit("/")[-1] for check in found] == [
        "history.csv", "weights.safetensors", "per_image.csv", "metrics.json",
    ]  # fmt: skip
    change_loss(copy.run(0))
    assert differing(list(retrained(copy, tmp_path / "b"))) == ["results/tiny/seed-0/history.csv"]


def test_retraining_elsewhere_compares_the_last_losses(copy: Profile, tmp_path: Path):
    run = elsewhere(copy)
    (check,) = retrained(copy, tmp_path / "a")
    assert check.outcome == Outcome.PASSED
    assert check.subject.startswith("results/tiny/seed-0/history.csv")
    steady = [
        row | {"epoch": int(row["epoch"]), "updates": int(row["updates"]), "validation_loss": 1.0 + row["epoch"] / 1000}
        for row in run.history()
    ]
    (run.path / "history.csv").write_text(csv_text(steady))
    (check,) = retrained(copy, tmp_path / "b")
    assert check.outcome == Outcome.DIFFERS


def test_without_photographs_nothing_is_checked(copy: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def missing(*args: object, **options: object) -> None:
        raise PhotosMissingError("the photographs are not on this machine")

    monkeypatch.setattr(rerun, "scored_photos", missing)
    monkeypatch.setattr(rerun, "train", missing)
    for checks in (rescored(copy), first_epoch_retrained(copy, tmp_path / "a"), retrained(copy, tmp_path / "b")):
        (check,) = checks
        assert check.outcome == Outcome.NOT_CHECKED
        assert "not on this machine" in check.detail


def test_weights_of_another_training_are_named(copy: Profile):
    """Weights that were trained longer than their history, with scores that were made of them."""
    run = Run(copy.run(0))
    assert differing(list(weights_validated(copy))) == []
    longer = Run(copy.results / "longer")
    for _ in train(dataclasses.replace(copy.config, epochs=6), longer.path, device="cpu"):
        pass
    run.write_weights(load_tensors(longer.weights).state, step=copy.config.updates)
    for _ in score_run(run.path, device=prepare("cpu")):
        pass
    assert differing(list(rescored(copy))) == []
    assert [subject.partition(",")[0] for subject in differing(list(weights_validated(copy)))] == [
        "results/tiny/seed-0/weights.safetensors"
    ]


def test_a_changed_kept_epoch_is_named(copy: Profile):
    path = Run(copy.run(0)).epoch_weights(1)
    held = load_tensors(path)
    held.state[sorted(held.state)[0]].view(-1)[0] += 50.0
    save_tensors(path, held.state, step=held.step)
    (subject,) = differing(list(weights_validated(copy)))
    assert "epoch-001" in subject


def test_changed_losses_of_baselines_are_named(copy: Profile):
    assert differing(list(baselines_recomputed(copy))) == []
    change_digit(copy.results / "baselines.json", r"0\.\d{4}")
    assert differing(list(baselines_recomputed(copy))) == ["results/tiny/baselines.json"]


# Pixels


@pytest.fixture(scope="module")
def pixels(tiny: Profile, tmp_path_factory: pytest.TempPathFactory) -> tuple[Profile, from_pixels.Training]:
    """The profile with measured pixels, with an untrained network in place of EfficientNet-Lite0."""
    root = tmp_path_factory.mktemp("pixels") / "copy"
    shutil.copytree(tiny.results.parent.parent, root)
    profile = dataclasses.replace(tiny, root=root)
    training = from_pixels.fit_training(profile.photos, Lite0().eval())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(from_pixels, "load_lite0", lambda: training.network)
        patch.setattr(from_pixels, "fit_training", lambda photos, network: training)
        patch.setenv("COLORLIB_CACHE", str(root / "cache"))
        for _ in from_pixels.measure_pixels(profile, device=prepare("cpu")):
            pass
    return profile, training


@pytest.fixture
def measured(pixels: tuple[Profile, from_pixels.Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    profile, training = pixels
    shutil.copytree(profile.results.parent.parent, tmp_path / "copy")
    monkeypatch.setattr(rerun, "load_lite0", lambda: training.network)
    monkeypatch.setattr(
        from_pixels, "fit_training", lambda photos, network: dataclasses.replace(training, network=network)
    )
    return dataclasses.replace(profile, root=tmp_path / "copy")


def test_measured_pixels_are_measured_again(measured: Profile):
    found = list(pixels_measured(measured))
    assert {check.outcome for check in found} == {Outcome.PASSED}
    assert [check.subject for check in found] == ["results/tiny/pixels.json", "results/tiny/pixels.csv"]


def test_a_changed_measure_and_a_missing_one_differ(measured: Profile):
    path, _ = files(measured, "pixels")
    rows = path.read_text().splitlines()
    for number, row in enumerate(rows):
        if row.startswith("ab histogram overlap,network,0"):
            before, _, value = row.rpartition(",")
            rows[number] = f"{before},{float(value) * 1.05}"
    path.write_text("\n".join(rows) + "\n")
    (subject,) = differing(list(pixels_measured(measured)))
    assert subject == "results/tiny/pixels.csv"
    path.write_text("\n".join(row for row in rows if not row.startswith("chroma")) + "\n")
    assert differing(list(pixels_measured(measured))) == ["results/tiny/pixels.csv"]


def test_pixels_of_other_weights_differ(measured: Profile):
    path = measured.run(0) / "weights.safetensors"
    held = load_tensors(path)
    save_tensors(path, held.state, step=held.step + 1)
    assert differing(list(pixels_measured(measured))) == ["results/tiny/pixels.json"]


def test_without_features_the_rest_is_measured(measured: Profile, monkeypatch: pytest.MonkeyPatch):
    def missing() -> Lite0:
        raise FeaturesMissingError("not on this machine")

    monkeypatch.setattr(rerun, "load_lite0", missing)
    found = {check.subject: check.outcome for check in pixels_measured(measured)}
    assert found["results/tiny/pixels.csv"] == Outcome.PASSED
    assert sorted(found.values()) == sorted([Outcome.PASSED, Outcome.PASSED, Outcome.NOT_CHECKED])


def test_without_pixels_there_is_nothing_to_check(copy: Profile):
    assert list(pixels_measured(copy)) == []


def test_a_run_on_shrunk_photographs_with_a_schedule_passes(tmp_path: Path):
    """Its validation crops are shrunk as in training, and the first epoch is that of the whole schedule."""
    settings = {
        "photos": "bundled", "epochs": 3, "crops_per_epoch": 16, "crop_size": 16, "batch_size": 8, "view": 24,
        "view_share": 0.6, "schedule": "cosine", "optimizer": "adamw", "keep_epochs": [1],
    }  # fmt: skip
    profile = Profile(name="shrunk", settings=settings, seeds=(0,), root=tmp_path)
    for _ in train(profile.config, profile.run(0), device="cpu"):
        pass
    checks = [*weights_validated(profile), *first_epoch_retrained(profile, tmp_path / "scratch")]
    assert len(checks) == 5
    assert {check.outcome for check in checks} == {Outcome.PASSED}, [check.detail for check in checks]
