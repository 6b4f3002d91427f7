"""Executing notebooks: what papermill calls complete is not always done, and each way of failing is named."""

import io
from pathlib import Path

import nbformat
import pytest

from colorlib.companion.notebooks import (
    Execution,
    NotebookFailedError,
    check_parameters,
    execute,
    parameters_of,
    read_record,
    stable_text,
)
from colorlib.companion.plan import NOTEBOOKS, needed, steps
from colorlib.companion.progress import progress_printer
from colorlib.profiles import load_profile
from colorlib.provenance import imported_modules

SOURCES = sorted(NOTEBOOKS.glob("*.ipynb"))


def notebook(folder: Path, *cells: str) -> Path:
    first = nbformat.v4.new_code_cell("steps = 3\nname = 'x'\nrate = 0.5")
    first.metadata["tags"] = ["parameters"]
    nb = nbformat.v4.new_notebook(cells=[first, *map(nbformat.v4.new_code_cell, cells)])
    path = folder / "fixture.ipynb"
    path.write_text(nbformat.writes(nb))
    return path


def execution(source: Path, **changes: object) -> Execution:
    folder = source.parent
    settings: dict[str, object] = {
        "notebook": source,
        "output": folder / "out" / "fixture.ipynb",
        "record": folder / "out" / "record.json",
        "parameters": {},
        "promised": (),
    }
    return Execution(**(settings | changes))  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_finished_notebook_leaves_the_same_bytes_each_time(tmp_path):
    source = notebook(tmp_path, "for i in range(steps):\n    print('epoch', i + 1, 'of', steps, flush=True)", "name")
    lines: list[str] = []
    run = execution(source, parameters={"steps": 2, "rate": 1})
    execute(run, lines.append)
    first = run.output.read_bytes()
    execute(run)
    assert run.output.read_bytes() == first
    assert lines == ["epoch 1 of 2", "epoch 2 of 2"]
    record = read_record(run.record)
    assert record is not None
    assert record["status"] == "ok"
    assert b"papermill" not in first
    assert str(tmp_path).encode() not in first
    assert sorted(path.name for path in run.output.parent.iterdir()) == ["fixture.ipynb", "record.json"]


FAILURES = {
    "raises": ("1 / 0", None, r"fixture.ipynb: cell 3 raised ZeroDivisionError: division by zero"),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", None, r"the kernel died in cell 3"),
    "exit": ("import sys; sys.exit(0)", None, r"cell 3 ended the notebook early \(SystemExit: 0\)"),
    "slow": ("import time; time.sleep(60)", 2, r"cell 3 took longer than 2 seconds"),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", FAILURES)
def test_each_way_of_failing_is_named(tmp_path, how):
    code, timeout, message = FAILURES[how]
    source = notebook(tmp_path, code, "print('never')")
    run = execution(source, timeout=timeout, parameters={"steps": 2})
    with pytest.raises(NotebookFailedError, match=message):
        execute(run)
    record = read_record(run.record)
    assert record is not None
    assert record["status"] == "failed"
    assert not run.output.exists()
    assert (run.output.parent / "fixture.failed.ipynb").is_file()


@pytest.mark.slow
def test_a_promise_not_kept_is_a_failure(tmp_path):
    run = execution(notebook(tmp_path, "pass"), promised=(tmp_path / "figure.png",))
    with pytest.raises(NotebookFailedError, match=r"without leaving .*figure\.png"):
        execute(run)


@pytest.mark.slow
def test_an_earlier_result_survives_a_failure(tmp_path):
    run = execution(notebook(tmp_path, "print(steps)"))
    execute(run)
    before = run.output.read_bytes()
    notebook(tmp_path, "1 / 0")
    with pytest.raises(NotebookFailedError):
        execute(run)
    assert run.output.read_bytes() == before


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"step": 3}, r"fixture.ipynb: its parameters cell has no 'step'; it has name, rate, steps"),
        ({"steps": "3"}, r"parameter steps='3' .* must be int, like its default 3, not str"),
        ({"steps": 3.0}, r"must be int"),
        ({"steps": True}, r"must be int"),
        ({"name": "a{b}"}, r"braces"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_starts(tmp_path, parameters, message):
    run = execution(notebook(tmp_path, "pass"), parameters=parameters)
    with pytest.raises(ValueError, match=message):
        execute(run)
    assert not run.record.exists()


def test_a_whole_number_may_stand_for_a_float(tmp_path):
    check_parameters(notebook(tmp_path, "pass"), {"rate": 1})


def test_parameters_must_be_literals(tmp_path):
    source = notebook(tmp_path, "pass")
    nb = nbformat.read(source, as_version=4)
    nb.cells[0].source = "a = 1\nb = a + 1"
    nbformat.write(nb, source)
    with pytest.raises(ValueError, match="parameter b is not a literal"):
        parameters_of(source)


def test_progress_shows_epoch_loss_and_time_left(monkeypatch):
    clock = iter([0.0, 10.0, 10.001, 20.0])
    monkeypatch.setattr("colorlib.companion.progress.time.monotonic", lambda: next(clock))
    terminal = io.StringIO()
    listen = progress_printer(terminal, "02_train")
    for line in ("epoch   1 of 400  loss 0.5", "nothing", "epoch   2 of 400  loss 0.4", "epoch   3 of 400  loss 0.3"):
        listen(line)
    # The second epoch came at once, from a resumed history: it does not count as speed.
    assert terminal.getvalue().splitlines() == [
        "02_train: epoch 1 of 400 loss 0.5, 1 h 06 min left",
        "02_train: epoch 2 of 400 loss 0.4, 1 h 06 min left",
        "02_train: epoch 3 of 400 loss 0.3, 1 h 06 min left",
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_committed_notebooks_keep_the_house_rules(path):
    nb = nbformat.read(path, as_version=4)
    assert parameters_of(path)
    assert nb.cells[0].cell_type == "markdown"
    assert nb.cells[0].source.startswith("# ")
    for cell in nb.cells:
        if cell.cell_type == "code":
            parameters = "parameters" in cell.metadata.get("tags", [])
            assert len(cell.source.splitlines()) <= (20 if parameters else 15)
            assert "class " not in cell.source
            assert "def " not in cell.source
            assert cell.outputs == []
    assert nb.cells[-1].source.splitlines()[-1].strip().startswith("assert")
    assert stable_text(nb) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["smoke", "cpu", "paper", "cpu-bundled"])
def test_every_step_passes_parameters_that_its_notebook_has(name):
    profile = load_profile(name, seeds=(0, 3))
    for step in (*steps(profile), *steps(profile, train=False)):
        check_parameters(NOTEBOOKS / step.notebook, step.parameters)


def test_one_figure_takes_only_what_it_needs():
    every = steps(load_profile("smoke"))
    assert [step.name for step in needed(every, "04_figures2_3")] == ["02_train_seed-0", "04_figures2_3"]
    assert [step.name for step in needed(every, "03_figure1")] == ["01_data", "02_train_seed-0", "03_figure1"]
    with pytest.raises(ValueError, match="no notebook is called '99'"):
        needed(every, "99")


@pytest.mark.slow
def test_what_an_earlier_run_left_does_not_keep_a_promise(tmp_path):
    left = tmp_path / "figure.png"
    left.write_bytes(b"old")
    with pytest.raises(NotebookFailedError, match=r"without leaving .*figure\.png"):
        execute(execution(notebook(tmp_path, "pass"), promised=(left,)))


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("01_data", {"baselines", "sources", "data", "companion.tables", "companion.figures"}),
        ("02_train_seed-0", {"trainer", "data", "model", "keys", "scoring", "companion.cells"}),
        ("03_figure1", {"companion.figures", "profiles", "runs"}),
        ("04_figures2_3", {"colorizer", "model", "sources", "companion.figures"}),
        ("05_table1", {"baselines", "evaluate", "metrics", "companion.tables"}),
    ],
)
def test_a_step_depends_on_all_that_its_notebook_imports(name, modules):
    (step,) = [step for step in steps(load_profile("smoke")) if step.name == name]
    assert {f"colorlib.{module}" for module in modules} <= set(imported_modules(*step.modules))
