"""Agreement of committed files with each other: each kind of disagreement is named, and damaged files never raise."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.tiny_profile import SETTINGS
from helpers.training import run_record

from colorlib.companion.verify import consistency
from colorlib.companion.verify.compare import Check, Outcome
from colorlib.companion.verify.consistency import (
    _words,
    complete,
    guarded,
    history_faults,
    linked,
    run_cells,
    score_faults,
    timing_faults,
    weight_faults,
)
from colorlib.companion.verify.rerun import drawn_photos
from colorlib.companion.verify.verify import not_covered
from colorlib.config import RunConfig
from colorlib.files import write_text
from colorlib.metrics import Score, psnr_of
from colorlib.photos import open_photos
from colorlib.profiles import PROJECT, Profile
from colorlib.runs import Run, csv_text
from colorlib.trainer import build_network

CONFIG = RunConfig(epochs=2, crops_per_epoch=16, batch_size=8, crop_size=16, keep_epochs=(1,))


def score_row(image: str, method: str, **changes: object) -> dict[str, object]:
    row = Score(
        image=image, method=method, pixels=100, truth_chroma=10.0, mse=0.01, psnr=psnr_of(0.01), ssim=0.9,
        delta_e00=5.0, ab_auc=0.9, colorfulness=20.0, truth_colorfulness=30.0,
    )  # fmt: skip
    return vars(row) | changes


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, None),
        ({"psnr": 30.0}, "psnr"),
        ({"mse": 0.02}, "psnr"),
        ({"ssim": 1.5}, "ssim"),
        ({"ab_auc": -0.1}, "ab_auc"),
        ({"delta_e00": float("nan")}, "delta_e00"),
        ({"pixels": 101}, "pixels"),
        ({"truth_colorfulness": 31.0}, "colors"),
        ({"image": "a"}, "rows"),
        ({"image": "c"}, "same photographs"),
    ],
)
def test_impossible_scores_are_named(tmp_path: Path, changes: dict[str, object], named: str | None):
    rows = [score_row(image, method) for method in ("gray", "network") for image in ("a", "b")]
    path = tmp_path / "per_image.csv"
    write_text(path, csv_text([*rows[:-1], rows[-1] | changes]))
    faults = score_faults(path)
    assert any(named in fault for fault in faults) if named else faults == []


def test_an_exact_prediction_has_an_infinite_psnr(tmp_path: Path):
    path = tmp_path / "per_image.csv"
    write_text(path, csv_text([score_row("a", "gray", mse=0.0, psnr=float("inf"))]))
    assert score_faults(path) == []


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run directory as training leaves it, with untrained weights."""
    run = Run(tmp_path / "seed-0")
    history = [{"epoch": epoch, "updates": 2 * epoch, "training_loss": 0.1, "validation_loss": 0.1} for epoch in (1, 2)]
    timing = [{"epoch": epoch, "training_seconds": 1.0, "validation_seconds": 0.1} for epoch in (1, 2)]
    run.write_history(history, timing)
    state = build_network(CONFIG).state_dict()
    run.write_epoch_weights(state, epoch=1, step=2)
    run.write_weights(state, step=4)
    return run


def test_history_times_and_weights_have_the_epochs_of_the_settings(run: Run):
    assert [history_faults(run, CONFIG), timing_faults(run, CONFIG), weight_faults(run, CONFIG)] == [[], [], []]
    longer = replace(CONFIG, epochs=3)
    assert all(faults(run, longer) for faults in (history_faults, timing_faults, weight_faults))
    run.write_weights(build_network(CONFIG).state_dict(), step=24)
    assert "24" in weight_faults(run, CONFIG)[0]
    run.write_weights({"other": next(iter(build_network(CONFIG).state_dict().values()))}, step=4)
    assert "tensors" in weight_faults(run, CONFIG)[0]
    history = run.path / "history.csv"
    history.write_text(history.read_text().replace("2,4,0.1", "2,4,-0.1"))
    assert "training_loss" in history_faults(run, CONFIG)[0]
    (run.path / "timing.csv").write_text("epoch,training_seconds,validation_seconds\n1,1.0,0.1\n2,-1.0,0.1\n")
    assert "row 2" in timing_faults(run, CONFIG)[0]


@pytest.mark.parametrize("content", ["{}", "[]", "null", '"x"', '{"config": {}}', "{", "", "\udcff"])
def test_a_damaged_record_is_a_check_that_differs(tmp_path: Path, content: str):
    profile = Profile(name="tiny", settings=SETTINGS, seeds=(0, 1), root=tmp_path)
    for seed in profile.seeds:
        path = profile.run(seed) / "run.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(content.encode(errors="surrogateescape"))
    found = [check for check in consistency.consistent(profile) if "run.json" in check.subject]
    assert {check.outcome for check in found} == {Outcome.DIFFERS}
    assert {name for check in found for name in ("seed-0", "seed-1") if name in check.subject} == {"seed-0", "seed-1"}


def test_settings_of_the_record_are_those_of_the_profile(tmp_path: Path):
    profile = Profile(name="tiny", settings=SETTINGS, seeds=(0,), root=tmp_path)
    write_text(profile.run(0) / "run.json", json.dumps(run_record(config=SETTINGS | {"learning_rate": 0.5})))
    (fault,) = consistency.record_faults(profile, 0)
    assert "learning_rate" in fault
    assert "0.5" in fault


def test_whatever_a_check_raises_differs():
    def broken() -> Iterator[Check]:
        yield Check(subject="first", how="rebuilt", outcome=Outcome.PASSED, detail="")
        raise RecursionError("too deep")

    first, second = guarded("file.json", "rebuilt", broken)
    assert first.outcome == Outcome.PASSED
    assert (second.subject, second.outcome) == ("file.json", Outcome.DIFFERS)
    assert "too deep" in second.detail


def test_links_are_refused(tmp_path: Path):
    profile = Profile(name="tiny", settings=SETTINGS, seeds=(0,), root=tmp_path)
    write_text(tmp_path / "elsewhere.csv", "a\n1\n")
    write_text(profile.results / "data.json", "{}")
    assert list(linked(profile)) == []
    (profile.results / "table1.csv").symlink_to(tmp_path / "elsewhere.csv")
    (check,) = linked(profile)
    assert (check.subject, check.outcome) == ("results/tiny/table1.csv", Outcome.DIFFERS)


def test_profiles_decide_which_lists_and_folders_there_are(tmp_path: Path):
    profiles = tmp_path / "profiles"
    for name in ("paper", "cpu", "smoke", "bundled"):
        write_text(profiles / f"{name}.yaml", "")
    for name in ("paper", "cpu"):
        write_text(tmp_path / "results" / name / "SHA256SUMS", "")
    write_text(tmp_path / "results" / "LOG.md", "")
    (check,) = complete(tmp_path, profiles)
    assert check.outcome == Outcome.PASSED
    (tmp_path / "results" / "cpu" / "SHA256SUMS").unlink()
    write_text(tmp_path / "figures" / "extra" / "a.png", "")
    write_text(tmp_path / "results" / "b.csv", "")
    found = {check.subject for check in complete(tmp_path, profiles) if check.outcome == Outcome.DIFFERS}
    assert found == {"results/cpu/SHA256SUMS", "figures/extra", "results/b.csv"}


def test_the_committed_folders_are_those_of_the_profiles():
    assert {check.outcome for check in complete(PROJECT)} == {Outcome.PASSED}


def notebook(folder: Path, *sources: str) -> list[dict[str, object]]:
    tags: list[list[str]] = [["parameters"], *([] for _ in sources[1:])]
    return [
        {"cell_type": "code", "source": [source], "metadata": {"tags": tag}, "outputs": []}
        for source, tag in zip(sources, tags, strict=True)
    ]


def test_cells_are_run_with_parameters(tmp_path: Path):
    show = "from colorlib.companion.tables import show_captioned\nprint('before')\n"
    show += "show_captioned('text/html', f'<b>{x}</b>', {}, label='Table', caption='words')\nprint('after')"
    words, _ = run_cells(notebook(tmp_path, "x = 1", show), {"x": 2})
    assert words == ["before", "after", "<b>2</b>", "Table", "words", *words[5:]]


def test_the_pictures_that_cells_show_are_returned(tmp_path: Path):
    data = base64.b64encode(b"a picture").decode()
    show = "from colorlib.companion.tables import show_captioned\n"
    show += f"show_captioned('image/png', {data!r}, {{'alt': 'words'}}, label='Figure', caption='words')"
    assert run_cells(notebook(tmp_path, "x = 1", show), {})[1] == {b"a picture"}


def test_the_order_of_printed_and_displayed_outputs_of_a_cell_does_not_matter():
    """A kernel sends them on two ways: executed notebooks of the same cell differ in it."""
    table = {"output_type": "display_data", "data": {"text/html": "<b>2</b>"}, "metadata": {}}
    first, second = ({"output_type": "stream", "text": text} for text in ("one\n", "two\n"))
    assert _words([first, table, second]) == _words([first, second, table]) == ["one", "two", "<b>2</b>"]
    assert _words([second, table, first]) != _words([first, table, second])


def test_other_seeds_draw_other_photographs():
    photos = open_photos("bundled", "train")
    drawn = [drawn_photos(photos, seed, 2).names for seed in range(20)]
    assert drawn[3] == drawn_photos(photos, 3, 2).names
    assert len({tuple(names) for names in drawn}) > 1
    assert drawn_photos(photos, 0, 10**6).names == photos.names


def test_what_is_not_covered_is_said():
    assert "retrain" in not_covered(retrain=False, quick=False)
    assert "retrain" not in not_covered(retrain=True, quick=False)
    assert "claims" in not_covered(retrain=False, quick=True)
