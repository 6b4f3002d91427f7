"""Outputs with their inputs, freshness after changes and interruptions, and the list of committed files."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest

from colorlib.colorizers import BASELINES
from colorlib.companion import pipeline
from colorlib.companion.notebooks import Execution
from colorlib.companion.pipeline import (
    MANIFEST,
    Output,
    build_claims,
    build_report,
    committed_files,
    is_current,
    is_there,
    nested_profiles,
    output_key,
    outputs,
    read_manifest,
    replace_run,
    run_step,
    stamp_path,
    step_key,
    write_manifest,
    write_stamp,
)
from colorlib.companion.results import Results
from colorlib.companion.steps import FILES, RUN_FILES, Step, files, steps
from colorlib.companion.verify.verify import committed_profiles
from colorlib.files import sha256, write_json, write_text
from colorlib.metrics import Score
from colorlib.photos.download import UnreachableError
from colorlib.profiles import Profile, load_profile, restore_run, training_folder

SETTINGS = {"photos": "bundled", "epochs": 2, "crops_per_epoch": 16, "crop_size": 16, "batch_size": 8}


@pytest.fixture
def tiny(tmp_path: Path) -> Profile:
    """A profile without any files."""
    return Profile(name="tiny", settings=SETTINGS, seeds=(0,), root=tmp_path)


# Outputs


@pytest.mark.parametrize("name", committed_profiles())
def test_every_committed_page_and_table_is_an_output(name: str, tmp_path: Path):
    profile = load_profile(name)
    found = outputs(Results(profile), steps(profile)).values()
    made = {path.relative_to(pipeline.root_of(profile)).as_posix() for output in found for path in output.files}
    own = f"results/{profile.name}/"
    suffixes = (
        ".html",
        ".md",
        "/summary.csv",
        "/outlook.csv",
        "/table1.csv",
        "/peers.csv",
        "/sources.csv",
        "/claims.json",
    )
    held = {path for path in read_manifest(profile) if path.startswith(own) and path.endswith(suffixes)}
    held |= {path for path in read_manifest(profile) if path.endswith("/summary.csv")}
    assert held
    assert held <= made


def test_outputs_are_made_after_their_inputs(tmp_path: Path):
    profile = replace(load_profile("paper"), root=tmp_path)
    order = list(outputs(Results(profile), steps(profile)).values())
    for place, output in enumerate(order):
        later = {path for other in order[place + 1 :] for path in other.files}
        assert not later & set(output.inputs), output.files


def test_only_files_that_are_completed_are_their_own_input(tmp_path: Path):
    profile = replace(load_profile("paper"), root=tmp_path, seeds=(0,))
    found = outputs(Results(profile), steps(profile))
    both = {path.name for output in found.values() for path in set(output.files) & set(output.inputs)}
    # metrics.json says which photographs were scored, per_image.csv has the baselines' scores.
    assert both == {"metrics.json", "per_image.csv"}


def test_outputs_have_the_files_of_the_list(tiny: Profile):
    found = outputs(Results(tiny), steps(tiny))
    for name in found.keys() & FILES.keys():
        assert set(files(tiny, name)) <= set(found[name].files)
    # These need photographs, or are another profile's.
    photographed = {"data", "explore", "hint_scores", "method", "pixels", "published_scores"}
    assert FILES.keys() - found.keys() == photographed | {"examples", "page"}
    for output in found.values():
        assert all(path.is_relative_to(tiny.root) for path in output.files)


def test_the_report_needs_claims_that_do_not_exist_yet(tiny: Profile):
    report = outputs(Results(tiny), steps(tiny))["report"]
    assert {*files(tiny, "claims")[:1], *files(tiny, "table1")[:1], tiny.run(0) / "run.json"} <= set(report.inputs)
    before = output_key(report)
    write_json(files(tiny, "claims")[0], {})
    assert output_key(report) != before


def test_a_summary_needs_the_finished_points_and_the_file_of_its_sweep(tiny: Profile):
    point, unfinished = (tiny.sweep("outlook") / name for name in ("0123456789", "9876543210"))
    for path in (point / "run.json", point / "point.json", point / "metrics.json", unfinished / "run.json"):
        write_text(path, "{}")
    found = outputs(Results(tiny), steps(tiny))["sweep outlook of tiny"].inputs
    assert {path.name for path in found} == {"outlook.yaml", "run.json", "point.json", "metrics.json"}
    assert not any(unfinished in path.parents for path in found)


# Freshness


def test_a_stamp_is_of_a_key_and_of_files(tmp_path: Path):
    made, stamp = [tmp_path / "a" / "x", tmp_path / "b" / "x"], tmp_path / "stamp"
    for path in made:
        write_text(path, path.parent.name)
    assert not is_current(stamp, "key", made)
    write_stamp(stamp, "key", made)
    assert is_current(stamp, "key", made)
    assert not is_current(stamp, "other key", made)
    assert not is_current(stamp, "key", [*made, tmp_path / "new"])
    made[1].write_text("changed")
    assert not is_current(stamp, "key", made)
    made[1].unlink()
    assert not is_current(stamp, "key", made)
    made[1].write_text("b")
    assert is_current(stamp, "key", made)
    stamp.write_text(stamp.read_text()[:20])
    assert not is_current(stamp, "key", made)
    write_json(stamp, {"key": "key"})  # of an earlier version
    assert not is_current(stamp, "key", made)


def stub(profile: Profile, source: str = "import colorlib.rng") -> Step:
    """A step whose notebook lies in the root folder."""
    path = profile.results.parent / "stub.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, id="cell")])))
    write_text(profile.results / "input.csv", "1")
    return Step(
        name="stub", notebook=str(path), parameters={"seed": 0}, executed=profile.results / "notebooks" / "stub.ipynb",
        outputs=(profile.results / "output.csv",), inputs=(profile.results / "input.csv",),
    )  # fmt: skip


def test_the_key_follows_all_that_a_step_uses(tiny: Profile):
    step = stub(tiny, "from colorlib import rng")
    key = step_key(step)
    assert step_key(stub(tiny, "from colorlib import rng")) == key
    assert step_key(replace(step, parameters={"seed": 1})) != key
    assert step_key(replace(step, inputs=())) != key
    assert step_key(replace(step, photos=("bundled",))) != key
    step.inputs[0].write_text("2")
    changed = step_key(step)
    assert changed != key
    step.inputs[0].unlink()
    assert step_key(step) not in (key, changed)
    assert step_key(stub(tiny, "from colorlib import files")) != key


def test_the_key_of_an_output_follows_its_inputs_and_its_code(tmp_path: Path):
    path = tmp_path / "input"
    output = Output(files=(), inputs=(path,), make=lambda: None, modules=("colorlib.rng",))
    missing = output_key(output)
    path.write_text("1")
    first = output_key(output)
    path.write_text("2")
    assert len({missing, first, output_key(output), output_key(replace(output, modules=("colorlib.color",)))}) == 4


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> list[Execution]:
    """Executions so far; none starts a kernel, and each writes its files."""
    done: list[Execution] = []

    def execute(execution: Execution, listen: Any) -> None:
        done.append(execution)
        for path in (*execution.outputs, *execution.keep, execution.output):
            write_text(path, str(len(execution.parameters)))

    monkeypatch.setattr(pipeline, "execute", execute)
    return done


def test_a_step_is_executed_until_nothing_changes(tiny: Profile, executions: list[Execution]):
    step = stub(tiny)
    assert run_step(tiny, step)
    assert not run_step(tiny, step)
    for path in (*step.outputs, step.executed, *step.inputs):
        path.write_text("changed")
        assert run_step(tiny, step), path
        assert not run_step(tiny, step)
    assert run_step(tiny, step, force=True)
    (execution,) = {execution.output for execution in executions}
    assert execution == step.executed


def test_an_interrupted_step_is_stale(tiny: Profile, executions: list[Execution], monkeypatch: pytest.MonkeyPatch):
    step = stub(tiny)
    run_step(tiny, step)

    def interrupted(execution: Execution, listen: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "execute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_step(tiny, step, force=True)
    assert run_step(tiny, step), "nothing changed, but the execution did not end"


def test_an_input_that_changes_during_the_execution_makes_the_step_stale(
    tiny: Profile, executions: list[Execution], monkeypatch: pytest.MonkeyPatch
):
    step, execute = stub(tiny), pipeline.execute

    def meanwhile(execution: Execution, listen: Any) -> None:
        execute(execution, listen)
        step.inputs[0].write_text("changed meanwhile")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "execute", meanwhile)
        run_step(tiny, step)
    assert run_step(tiny, step)
    assert not run_step(tiny, step)


def training_step(profile: Profile) -> Step:
    """A stub with a run that holds committed files."""
    run = profile.run(0)
    for name in RUN_FILES:
        write_text(run / name, "committed")
    return replace(stub(profile), run=run, outputs=tuple(run / name for name in RUN_FILES))


def folder_contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_is_trained_beside_the_one_that_is_there(tiny: Profile, executions: list[Execution]):
    step, run = training_step(tiny), tiny.run(0)
    run_step(tiny, step)
    trained, shown = executions
    folder = training_folder(run)
    assert trained.parameters["run"] == str(folder)
    assert {*trained.outputs, *trained.keep} == {folder / name for name in RUN_FILES}
    assert trained.parameters["mode"] == "restart"
    assert shown.parameters == step.parameters
    assert shown.output == step.executed
    assert set(shown.outputs) & set(step.outputs) == set()
    assert b"committed" not in folder_contents(run).values(), "the trained run took the place"
    assert list(folder.parent.iterdir()) == []
    assert not run_step(tiny, step)


def test_an_interrupted_training_leaves_the_run_and_is_resumed(
    tiny: Profile, executions: list[Execution], monkeypatch: pytest.MonkeyPatch
):
    step, run = training_step(tiny), tiny.run(0)
    before, checkpoint = folder_contents(run), training_folder(run) / "checkpoints" / "state"

    def interrupted(execution: Execution, listen: Any) -> None:
        write_text(checkpoint, "half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "execute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_step(tiny, step)
    assert folder_contents(run) == before
    run_step(tiny, step)
    assert (run / "checkpoints" / "state").read_text() == "half", "the training went on from its checkpoint"
    assert "committed" not in (run / "weights.safetensors").read_text()


@pytest.mark.parametrize("survived", [0, 1])
def test_a_run_is_whole_if_its_replacement_is_killed(tiny: Profile, monkeypatch: pytest.MonkeyPatch, survived: int):
    """A kill leaves no chance to clean up: `restore_run` does nothing in the killed process."""
    step, run = training_step(tiny), tiny.run(0)
    before = folder_contents(run)
    for path in step.outputs:
        write_text(training_folder(run) / path.name, "new")
    renamed: list[Path] = []
    rename = Path.rename

    def killed(path: Path, target: Path) -> Path:
        if len(renamed) == survived:
            raise SystemExit
        renamed.append(path)
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        patch.setattr(pipeline, "restore_run", lambda run: None)
        with pytest.raises(SystemExit):
            replace_run(run)
    restore_run(run)
    assert folder_contents(run) == before
    replace_run(run)
    assert set(folder_contents(run).values()) == {b"new"}
    assert not training_folder(run).exists()


@pytest.mark.parametrize(("weights", "kept"), [("committed", True), ("other", False)])
def test_scores_on_other_photographs_stay_with_their_weights(tiny: Profile, weights: str, kept: bool):
    run = training_step(tiny).run
    assert run
    write_text(run / "metrics-bundled-test.json", "{}")
    write_text(training_folder(run) / "weights.safetensors", weights)
    replace_run(run)
    assert (run / "metrics-bundled-test.json").is_file() == kept


def test_force_trains_from_the_start(tiny: Profile, executions: list[Execution]):
    step, state = training_step(tiny), tiny.run(0) / "checkpoints" / "state"
    write_text(state, "finished")
    run_step(tiny, step)
    assert state.is_file(), "a finished training is not repeated"
    run_step(tiny, step, force=True)
    assert not state.exists()


# Looking


def test_files_of_a_fresh_clone_are_taken_as_they_are(tiny: Profile, executions: list[Execution]):
    step = stub(tiny)
    assert not is_there(tiny, step)
    for path in (*step.outputs, step.executed):
        write_text(path, "committed")
    assert is_there(tiny, step)
    run_step(tiny, step)
    assert is_there(tiny, step)
    step.inputs[0].write_text("changed")
    assert not is_there(tiny, step), "what was executed here is executed again"


def test_files_of_an_interrupted_step_are_not_taken(
    tiny: Profile, executions: list[Execution], monkeypatch: pytest.MonkeyPatch
):
    step = stub(tiny)
    for path in (*step.outputs, step.executed):
        write_text(path, "committed")

    def interrupted(execution: Execution, listen: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_step(tiny, step)
    assert not is_there(tiny, step)


@pytest.mark.parametrize(("take", "of_the_runs", "scored"), [(True, True, 0), (True, False, 1), (False, True, 1)])
def test_scores_are_taken_if_they_are_of_the_runs(
    tiny: Profile, executions: list[Execution], monkeypatch: pytest.MonkeyPatch, take: bool, of_the_runs: bool,
    scored: int,
):  # fmt: skip
    calls: list[str] = []
    monkeypatch.setattr(pipeline, "_score", lambda profile, scores: calls.append(scores))
    monkeypatch.setattr(pipeline, "_scores_are_of_the_runs", lambda profile, scores: of_the_runs)
    step = replace(stub(tiny), scores="scores", photos=("bundled",))
    write_text(files(tiny, "scores")[0], "")
    assert run_step(tiny, step, take=take)
    assert calls == ["scores"] * scored
    assert not run_step(tiny, step, take=True)
    # The whole reproduction scores what was only taken
    assert run_step(tiny, step) == (take and of_the_runs)


def test_photographs_that_must_be_scored_are_named_if_they_are_missing(
    tiny: Profile, executions: list[Execution], monkeypatch: pytest.MonkeyPatch
):
    def unreachable(name: str) -> None:
        raise UnreachableError(f"{name} could not be downloaded (no route)")

    monkeypatch.setattr(pipeline, "ensure_photos", unreachable)
    step = replace(stub(tiny), scores="published_scores", photos=("zhang2016",))
    with pytest.raises(UnreachableError, match="zhang2016"):
        run_step(tiny, step, take=True)
    assert executions == []


def scores_csv(path: Path, rows: list[tuple[str, str, str]]) -> None:
    fields = [name for name in Score.__dataclass_fields__ if name not in ("image", "method")]
    lines = [f"seed,image,method,{','.join(fields)}", *(",".join([*row, *("1" for _ in fields)]) for row in rows)]
    write_text(path, "\n".join(lines) + "\n")


def test_scores_of_other_photographs_are_not_of_the_runs(tiny: Profile):
    path = files(tiny, "scores")[0]
    baselines = [("", image, method) for method in BASELINES for image in ("a.png", "b.png")]
    assert not pipeline._scores_are_of_the_runs(tiny, "scores")
    scores_csv(path, baselines)
    assert not pipeline._scores_are_of_the_runs(tiny, "scores"), "there is no run"
    scores_csv(tiny.run(0) / "per_image.csv", [("", image, "network") for image in ("a.png", "b.png")])
    assert pipeline._scores_are_of_the_runs(tiny, "scores")
    scores_csv(path, baselines[1:])
    assert not pipeline._scores_are_of_the_runs(tiny, "scores"), "a photograph lacks"
    assert not pipeline._scores_are_of_the_runs(tiny, "published_scores")


def judging(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the measuring of claims by one that writes their files; returns the profiles that were judged."""
    judged: list[str] = []

    def write(results: Results, *, on_claim: Any) -> dict[str, Any]:
        judged.append(results.profile.name)
        for path in files(results.profile, "claims"):
            write_text(path, "judged")
        return {"counts": {"reproduced": 1}}

    monkeypatch.setattr(pipeline, "write_claims", write)
    return judged


def test_claims_are_judged_until_nothing_changes(tiny: Profile, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    judged, results = judging(monkeypatch), Results(tiny)
    claims = outputs(results, steps(tiny))["claims"]
    build_claims(results, claims, force=False)
    build_claims(results, claims, force=False)
    assert len(judged) == 1
    assert "up to date" in capsys.readouterr().out.splitlines()[-1]
    for path in (*claims.files, tiny.run(0) / "history.csv"):
        write_text(path, "changed")
        build_claims(results, claims, force=False)
        build_claims(results, claims, force=False)
    assert len(judged) == 5
    build_claims(results, claims, force=True)
    assert len(judged) == 6


def test_claims_of_a_fresh_clone_are_taken(tiny: Profile, monkeypatch: pytest.MonkeyPatch):
    judged, results = judging(monkeypatch), Results(tiny)
    claims = outputs(results, steps(tiny))["claims"]
    for path in claims.files:
        write_text(path, '{"seeds": [0]}')
    build_claims(results, claims, force=False, take=True)
    assert judged == []
    others = Results(replace(tiny, seeds=(0, 1)))
    build_claims(others, outputs(others, steps(others.profile))["claims"], force=False, take=True)
    assert len(judged) == 1, "those are not the claims of other seeds"
    stamp_path(tiny, "claims").unlink()
    judged.clear()
    build_claims(results, claims, force=False)
    write_text(tiny.run(0) / "history.csv", "changed")
    build_claims(results, claims, force=False, take=True)
    assert len(judged) == 2, "claims that were judged here are judged again if a run changed"


def test_claims_are_not_judged_by_another_method(tiny: Profile, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    judged = judging(monkeypatch)
    other = Results(replace(tiny, settings=SETTINGS | {"network": "unet"}))
    claims = outputs(other, steps(other.profile))["claims"]
    for path in claims.files:
        write_text(path, "of an earlier method")
    build_claims(other, claims, force=True)
    assert judged == []
    assert not any(path.exists() for path in claims.files)
    assert "network=unet" in capsys.readouterr().out


def test_the_report_is_built_until_nothing_changes(tiny: Profile, capsys: Any):
    built: list[Path] = []
    report = outputs(Results(tiny), steps(tiny))["report"]

    def make() -> None:
        built.append(report.files[0])
        for path in report.files:
            write_text(path, "page")

    report = replace(report, make=make)
    for _ in range(2):
        build_report(tiny, report, force=False)
    assert len(built) == 1
    # The first claims are judged after the outputs are known.
    for path in (files(tiny, "claims")[0], report.files[-1]):
        write_text(path, "changed")
        for _ in range(2):
            build_report(tiny, report, force=False)
    assert len(built) == 3
    assert stamp_path(tiny, "report").is_file()


# The list of committed files


def test_local_and_unfinished_files_are_not_committed(tiny: Profile):
    point = tiny.sweep("outlook") / "0123456789"
    for name in ("run.json", "history.csv", "weights.safetensors", "metrics-bundled-val.json"):
        write_text(point / name, name)
    for name in (
        "stamps/x.key.json", "seed-0/checkpoints/state", "seed-0/run.lock", "seed-0/run.lock.json",
        "seed-1/epochs/epoch-001.safetensors", "notebooks/x.failed.ipynb", "notebooks/.x.running.ipynb", MANIFEST,
        ".training/seed-0/run.json", "companion.pdf",
    ):  # fmt: skip
        write_text(tiny.results / name, name)
    assert list(committed_files(tiny)) == []
    write_text(point / "point.json", "{}")
    write_text(tiny.results / "seed-0/epochs/epoch-001.safetensors", "")
    write_text(tiny.figures / "figure.png", "")
    assert sorted(path.name for path in committed_files(tiny)) == [
        "epoch-001.safetensors", "figure.png", "history.csv", "metrics-bundled-val.json", "point.json", "run.json",
    ]  # fmt: skip


def test_the_list_is_that_of_sha256sum(tiny: Profile):
    with pytest.raises(ValueError, match=rf"{MANIFEST}.*`make reproduce PROFILE=tiny`"):
        read_manifest(tiny)
    write_text(tiny.results / "a.csv", "1")
    write_text(tiny.figures / "b.png", "2")
    write_manifest(tiny)
    lines = (tiny.results / MANIFEST).read_text().splitlines()
    assert sorted(lines) == sorted(
        [
            f"{sha256(tiny.results / 'a.csv')}  results/tiny/a.csv",
            f"{sha256(tiny.figures / 'b.png')}  figures/tiny/b.png",
        ]
    )
    assert [f"{digest}  {name}" for name, digest in read_manifest(tiny).items()] == lines
    (tiny.results / MANIFEST).write_text("no digest\n")
    with pytest.raises(ValueError, match=rf"{MANIFEST}.*\bline 1\b.*no digest"):
        read_manifest(tiny)


def test_compared_profiles_without_a_list_are_listed_with_the_primary_one(tmp_path: Path):
    paper, cpu, bundled = (replace(load_profile(name), root=tmp_path) for name in ("paper", "cpu", "bundled"))
    for profile in (paper, cpu, bundled):
        write_text(files(profile, "scores")[0], "")
    write_manifest(cpu)
    assert [profile.name for profile in nested_profiles(paper)] == ["bundled"]
    write_manifest(paper)
    assert list(read_manifest(paper)) == ["results/bundled/per_image.csv", "results/paper/per_image.csv"]
    assert nested_profiles(cpu) == []


def test_stamps_of_different_steps_are_different_files(tiny: Profile):
    names = [step.name for step in steps(tiny)] + ["claims", "report"]
    assert len({stamp_path(tiny, name) for name in names}) == len(names)
    assert json.loads(json.dumps(names)) == names
    assert all(re.fullmatch(r"[\w-]+", name) for name in names)
