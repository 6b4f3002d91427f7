"""Executing notebooks: parameters, failures that papermill misses, records, progress."""

import io
import re
from pathlib import Path

import nbformat
import pytest

from colorlib.companion.notebooks import (
    Execution,
    NotebookFailedError,
    check_parameters,
    duration_text,
    execute,
    parameters_of,
    progress_printer,
    read_record,
    stable_text,
)
from colorlib.profiles import NOTEBOOKS

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
        "outputs": (),
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
    "raises": ("1 / 0", None, "ZeroDivisionError: division by zero"),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", None, r"\bkernel\b"),
    "exit": ("import sys; sys.exit(0)", None, "SystemExit: 0"),
    "slow": ("import time; time.sleep(60)", 2, r"\b2 seconds\b"),
}
"""A cell's code, its time limit, and the reason in the message, which also names the notebook and the cell."""


@pytest.mark.slow
@pytest.mark.parametrize("how", FAILURES)
def test_each_way_of_failing_is_named(tmp_path, how):
    code, timeout, fact = FAILURES[how]
    source = notebook(tmp_path, code, "print('never')")
    run = execution(source, timeout=timeout, parameters={"steps": 2})
    with pytest.raises(NotebookFailedError, match=fact) as failed:
        execute(run)
    assert "fixture.ipynb" in str(failed.value)
    assert re.search(r"\bcell 3\b", str(failed.value))
    record = read_record(run.record)
    assert record is not None
    assert record["status"] == "failed"
    assert not run.output.exists()
    assert (run.output.parent / "fixture.failed.ipynb").is_file()


@pytest.mark.slow
def test_a_missing_output_file_is_a_failure(tmp_path):
    run = execution(notebook(tmp_path, "pass"), outputs=(tmp_path / "figure.png",))
    with pytest.raises(NotebookFailedError, match=r"figure\.png"):
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
    ("parameters", "facts"),
    [
        ({"step": 3}, (r"\bstep\b", "name, rate, steps")),
        ({"steps": "3"}, ("steps='3'", r"\bint\b.*\b3\b", r"\bstr\b")),
        ({"steps": 3.0}, (r"\bsteps\b", r"\bint\b")),
        ({"steps": True}, (r"\bsteps\b", r"\bint\b")),
        ({"name": "a{b}"}, (r"\bname\b", "braces")),
    ],
)
def test_wrong_parameters_are_refused_before_anything_starts(tmp_path, parameters, facts):
    run = execution(notebook(tmp_path, "pass"), parameters=parameters)
    with pytest.raises(ValueError, match=r"fixture\.ipynb") as refused:
        execute(run)
    for fact in facts:
        assert re.search(fact, str(refused.value))
    assert not run.record.exists()


def test_a_whole_number_may_stand_for_a_float(tmp_path):
    check_parameters(notebook(tmp_path, "pass"), {"rate": 1})


def test_parameters_must_be_literals(tmp_path):
    source = notebook(tmp_path, "pass")
    nb = nbformat.read(source, as_version=4)
    nb.cells[0].source = "a = 1\nb = a + 1"
    nbformat.write(nb, source)
    with pytest.raises(ValueError, match=r"\bb\b.*\bliteral"):
        parameters_of(source)


def test_progress_shows_epoch_loss_and_time_left(monkeypatch):
    clock = iter([0.0, 10.0, 10.001, 20.0])
    monkeypatch.setattr("colorlib.companion.notebooks.time.monotonic", lambda: next(clock))
    terminal = io.StringIO()
    listen = progress_printer(terminal, "02_train")
    for line in ("epoch   1 of 400  loss 0.5", "nothing", "epoch   2 of 400  loss 0.4", "epoch   3 of 400  loss 0.3"):
        listen(line)
    # The second epoch came at once, from a resumed history: it does not count as speed.
    lines = terminal.getvalue().splitlines()
    assert all(line.startswith("02_train") for line in lines)
    # The notebook's number, the epoch, how many there are, the loss, hours and minutes.
    assert [re.findall(r"\d+(?:\.\d+)?", line) for line in lines] == [
        ["02", "1", "400", "0.5", "1", "06"],
        ["02", "2", "400", "0.4", "1", "06"],
        ["02", "3", "400", "0.3", "1", "06"],
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (600, "10 min"),
        (3560, "59 min"),
        (3590, "1 h 00 min"),
        (36120, "10 h 02 min"),
    ],
)
def test_durations_are_seconds_minutes_or_hours(seconds, expected):
    assert duration_text(seconds) == expected


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_committed_notebooks_follow_the_rules(path):
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
    assert nb.cells[-1].source.splitlines()[-1].strip().startswith(("assert ", "check_files("))
    assert stable_text(nb) == path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_an_output_file_of_an_earlier_execution_does_not_count(tmp_path):
    left = tmp_path / "figure.png"
    left.write_bytes(b"old")
    with pytest.raises(NotebookFailedError, match=r"figure\.png"):
        execute(execution(notebook(tmp_path, "pass"), outputs=(left,)))
