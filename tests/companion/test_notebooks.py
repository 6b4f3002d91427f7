"""Executing notebooks: parameters, failures that papermill misses, records, progress."""

import io
import json
import re
import shutil
import sys
from functools import partial
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from colorlib.companion.notebook_helpers import SCRATCH, open_profile, run_directory
from colorlib.companion.notebooks import (
    Execution,
    NotebookFailedError,
    check_parameters,
    code_cells,
    duration_text,
    execute,
    parameters_of,
    progress_printer,
    read_record,
    stable_text,
)
from colorlib.companion.verify.consistency import run_cells
from colorlib.config import RunConfig
from colorlib.profiles import NOTEBOOKS, PROJECT, load_profile

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
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    for cell in code:
        parameters = "parameters" in cell.metadata.get("tags", [])
        assert len(cell.source.splitlines()) <= (22 if parameters else 15)  # a line for each setting of a run
        assert "class " not in cell.source
        assert "def " not in cell.source
        assert cell.outputs == [], f"{path.name} was saved with outputs; `git restore notebooks/{path.name}`"
    assert code[-1].source.splitlines()[-1].strip().startswith(("assert ", "check_files("))
    # Below the last check, a change to paste
    assert nb.cells[-1].cell_type == "markdown"
    assert len(changes_of(nb)) == 1
    assert stable_text(nb) == path.read_text(encoding="utf-8")


def changes_of(nb: nbformat.NotebookNode) -> list[str]:
    """Return the code to paste in a notebook's last cell."""
    return re.findall(r"```python\n(.*?)\n```", nb.cells[-1].source, re.DOTALL)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the committed results."""
    root = tmp_path_factory.mktemp("copy")
    local = shutil.ignore_patterns("stamps", "checkpoints", ".*", "*.html", "notebooks", "scratch")
    shutil.copytree(PROJECT / "results", root / "results", ignore=local)
    return root


def run_with_change(path: Path, root: Path, folder: Path) -> list[str]:
    """Run the cells of a notebook and the change below them in this process; returns what they print and show."""
    nb = nbformat.read(path, as_version=4)
    cells = [*nb.cells, *map(nbformat.v4.new_code_cell, changes_of(nb))]
    given = {"run": str(folder / "run"), "photos": "bundled@64"} if path.stem == "02_train" else {"root": str(root)}
    given |= {"controls": False} if path.stem == "explore" else {}
    words, _ = run_cells(cells, given)
    return words


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", [path for path in SOURCES if path.stem != "00_method"], ids=lambda path: path.stem)
def test_the_change_that_a_notebook_suggests_can_be_pasted(path, results, tmp_path):
    run_with_change(path, results, tmp_path)


def scale_errors(path: Path, method: str, factor: float) -> None:
    """Scale the errors of a method in a per_image.csv."""
    scores = pd.read_csv(path, dtype={"seed": str}, keep_default_na=False)
    rows = scores["method"] == method
    assert rows.any()
    scores.loc[rows, "mse"] *= factor
    scores.to_csv(path, index=False)


def halve_baselines(path: Path) -> None:
    content = json.loads(path.read_text())
    content["validation_mse"] = {name: loss / 2 for name, loss in content["validation_mse"].items()}
    path.write_text(json.dumps(content))


FINDINGS = {
    "03_figure1": ("results/paper/baselines.json", halve_baselines, r"\b2\.\d\d times\b.*look-up table"),
    "05_table1": (
        "results/paper/per_image.csv", partial(scale_errors, method="gray", factor=3.0), r"gray's 0\.0295\b",
    ),
    "06_peers": ("results/paper/peers/per_image.csv", partial(scale_errors, method="Dahl", factor=0.1), r"^## Dahl\b"),
    "08_sources": (
        "results/paper-cifar10/per_image.csv", partial(scale_errors, method="gray", factor=9.0), r"\bon cifar10$",
    ),
}  # fmt: skip
"""Notebook -> a file that it reads, a change of that file, and the heading that the notebook then computes."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FINDINGS)
def test_headings_follow_from_the_results(name, results, tmp_path):
    file, change, expected = FINDINGS[name]
    shutil.copytree(results, tmp_path, dirs_exist_ok=True)
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())["cells"]

    def headings() -> list[str]:
        words, _ = run_cells(cells, {"profile": "paper", "root": str(tmp_path)})
        return [word for word in words if word.startswith("## ")]

    before = headings()
    assert not any(re.search(expected, heading) for heading in before)
    change(tmp_path / file)
    assert any(re.search(expected, heading) for heading in headings())


@pytest.mark.slow
def test_the_paper_by_hand_agrees_with_the_library_and_loses_to_a_look_up_table(tmp_path):
    """The cells of 00_method assert that each step equals the library's."""
    lines = run_with_change(NOTEBOOKS / "00_method.ipynb", tmp_path, tmp_path)
    text = "\n".join(lines)
    parameters = [int(count.replace(",", "")) for count in re.findall(r"= +([\d,]+) parameters", text)]
    assert len(parameters) == 6
    assert sum(parameters) == 740_227
    assert f"{sum(parameters):,}" in text
    errors = {name: float(error) for name, error in re.findall(r"(gray|look-up table|network) (0\.\d+)", text)}
    assert min(errors, key=lambda name: errors[name]) == "look-up table"
    assert "13 x 13" in text
    # Dilation 4 in one of six 3 x 3 convolutions reaches 3 pixels further on each side
    assert lines[-1].split()[0] == "19"
    assert {found.name for found in (tmp_path / "figures/paper").iterdir()} == {
        "method_channels.png", "method_updates.png",
    }  # fmt: skip
    # Functions are named by files that exist
    named = re.findall(r"^(colorlib/\S+\.py): ", text, re.MULTILINE)
    assert len(named) >= 8
    assert all((PROJECT / name).is_file() for name in named)


@pytest.mark.slow
def test_an_output_file_of_an_earlier_execution_does_not_count(tmp_path):
    left = tmp_path / "figure.png"
    left.write_bytes(b"old")
    with pytest.raises(NotebookFailedError, match=r"figure\.png"):
        execute(execution(notebook(tmp_path, "pass"), outputs=(left,)))


SEEN_BY_THE_KERNEL = """
import builtins, json, os, sys
from pathlib import Path
import matplotlib, colorlib
from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir
Path(name).write_text(json.dumps({
    "python": sys.executable, "code": str(Path(colorlib.__file__).parent), "startup": hasattr(builtins, "STARTED"),
    "grid": matplotlib.rcParams["axes.grid"], "backend": matplotlib.get_backend(),
    "folders": [os.environ["IPYTHONDIR"], os.environ["MPLCONFIGDIR"], jupyter_config_dir(), jupyter_data_dir(),
                jupyter_runtime_dir()],
}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", ["plain", "other checkout"])
def test_no_configuration_of_the_user_reaches_a_notebook(tmp_path, monkeypatch, code):
    home = tmp_path / "home"
    # Kernelspecs of another interpreter, where Jupyter looks first and where it looks later
    for folder in (tmp_path / "jupyter", home / ".local" / "share" / "jupyter", home / ".ipython"):
        spec = {"argv": ["/no/such/python", "{connection_file}"], "display_name": "Python 3", "language": "python"}
        (folder / "kernels" / "python3").mkdir(parents=True)
        (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))
    # Code that runs at the start of the user's IPython and Python, and settings of matplotlib
    startup = home / ".ipython" / "profile_default" / "startup" / "10.py"
    startup.parent.mkdir(parents=True)
    startup.write_text("import builtins; builtins.STARTED = True")
    (home / ".config" / "matplotlib").mkdir(parents=True)
    (home / ".config" / "matplotlib" / "matplotlibrc").write_text("axes.grid: True")
    settings = {
        "HOME": home,
        "JUPYTER_PATH": tmp_path / "jupyter",
        "JUPYTER_PREFER_ENV_PATH": 0,
        "IPYTHONDIR": home / ".ipython",
        "PYTHONSTARTUP": startup,
        "MPLCONFIGDIR": home / ".config" / "matplotlib",
        "MPLBACKEND": "nonsense",
    }
    # The working directory is another checkout
    (tmp_path / "work" / "colorlib").mkdir(parents=True)
    (tmp_path / "work" / "colorlib" / "__init__.py").touch()
    plain = execution(notebook(tmp_path, SEEN_BY_THE_KERNEL), parameters={"name": str(tmp_path / "seen.json")})
    execute(plain)
    expected = plain.output.read_bytes()
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    if code == "other checkout":
        monkeypatch.delenv("PYTHONPATH", raising=False)
        monkeypatch.chdir(tmp_path / "work")
    execute(plain)
    assert plain.output.read_bytes() == expected
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["python"] == sys.executable
    assert seen["code"] == str(PROJECT / "colorlib")
    assert not seen["startup"]
    assert not seen["grid"]
    assert "inline" in seen["backend"]
    assert len(set(seen["folders"])) == 5
    for folder in map(Path, seen["folders"]):
        assert home not in folder.parents
        assert not folder.exists()


@pytest.mark.slow
def test_a_path_may_contain_braces(tmp_path):
    folder = tmp_path / "pa{per} {0}"
    folder.mkdir()
    run = execution(notebook(folder, "print(steps)"), parameters={"steps": 2})
    execute(run)
    assert sorted(path.name for path in run.output.parent.iterdir()) == ["fixture.ipynb", "record.json"]


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xef\xbb\xbf{}", "UTF-8"),
        (b'{"cells": [\n<<<<<<< HEAD\n=======\n>>>>>>> theirs\n]}', r"\bline 2\b"),
        (b'{"cells": [', "git restore"),
        (b"\xff\xfe", "git restore"),
        (b"[]", "git restore"),
        (b"{}", "cells"),
        (b'{"cells": [{}]}', "cell_type"),
    ],
)
def test_a_file_that_is_no_notebook_is_named(tmp_path, content, fact):
    path = tmp_path / "fixture.ipynb"
    path.write_bytes(content)
    for read in (code_cells, parameters_of):
        with pytest.raises(ValueError, match=fact) as refused:
            read(path)
        assert str(path) in str(refused.value)


@pytest.mark.parametrize("line", ["%matplotlib inline", "!ls", "steps ="])
def test_a_parameters_cell_that_is_not_python_is_named(tmp_path, line):
    source = notebook(tmp_path, "pass")
    nb = nbformat.read(source, as_version=4)
    nb.cells[0].source = f"a = 1\n{line}"
    nb.cells.insert(0, nbformat.v4.new_markdown_cell("# Title"))
    nbformat.write(nb, source)
    with pytest.raises(ValueError, match=re.escape(line)) as refused:
        parameters_of(source)
    assert re.search(r"fixture\.ipynb.*\bcell 2\b", str(refused.value))


@pytest.mark.parametrize("seeds", ["[0]", "", 0, 3, [0.5], [True], ["0"]])
def test_seeds_typed_by_hand_are_a_list_of_whole_numbers(seeds):
    for root in ("", SCRATCH):
        with pytest.raises(ValueError, match=re.escape(f"seeds={seeds!r}")) as refused:
            open_profile("smoke", seeds=seeds, root=root)
        assert "-y" in str(refused.value)


@pytest.mark.parametrize("seeds", [None, (), []])
def test_no_seeds_are_those_of_the_profile(seeds):
    assert load_profile("smoke", seeds=seeds).seeds == load_profile("smoke").seeds
    assert load_profile("smoke", seeds=[3, 4]).seeds == (3, 4)


def test_a_run_typed_by_hand_is_a_text():
    with pytest.raises(ValueError, match=r"run=2026.*-r run 2026"):
        run_directory(2026, RunConfig(), "resume")  # type: ignore[arg-type]
