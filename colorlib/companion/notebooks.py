"""Executing one notebook, with a record of what became of it that can be believed.

papermill's own metadata says `completed` after a killed kernel, a time-out or `sys.exit(0)`, and an unknown parameter
is only a warning. So the parameters are checked before anything starts, a record is written before the start and
replaced at the end, and a run is `ok` only when every cell ran and the files it promised exist.
"""

import ast
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorlib.files import sha256, write_json, write_text

if TYPE_CHECKING:
    # Imported where it is called: jsonschema's grammar of addresses, which it builds then, takes seconds.
    from nbformat import NotebookNode


class NotebookFailedError(RuntimeError):
    """A notebook did not do what it promised; the message names it, the cell and the reason."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One notebook, to be executed once."""

    notebook: Path
    """The source notebook."""
    output: Path
    """Where its executed copy goes; a failed one goes beside it, as `<name>.failed.ipynb`."""
    record: Path
    """Where its record goes."""
    parameters: Mapping[str, Any]
    """Values for its `parameters` cell: plain numbers, strings, booleans, lists."""
    promised: Sequence[Path]
    """Files it must leave, written anew."""
    kept: Sequence[Path] = ()
    """Files that must be there afterwards, perhaps from before: a resumed run does not write its record again."""
    timeout: int | None = None
    """Seconds a cell may take."""


def code_cells(notebook: Path, *, tag: str | None = None) -> list[str]:
    """The source of a notebook's code cells, or of those with a tag."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code" and (tag is None or tag in cell["metadata"].get("tags", ()))
    ]


def parameters_of(notebook: Path) -> dict[str, Any]:
    """The names and default values in the notebook's `parameters` cell.

    Raises:
        ValueError: there is no such cell, or it holds more than assignments of literals.
    """
    cells = code_cells(notebook, tag="parameters")
    if len(cells) != 1:
        raise ValueError(f"{notebook.name} has {len(cells)} cells tagged `parameters`; it needs one")
    found = {}
    for node in ast.parse(cells[0]).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]):
                try:
                    found[name] = ast.literal_eval(node.value)
                except ValueError as error:
                    raise ValueError(f"{notebook.name}: parameter {name} is not a literal") from error
            case _:
                raise ValueError(f"{notebook.name}: its parameters cell may hold only assignments of literals")
    return found


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse unknown names and values of another type than the default's.

    Raises:
        ValueError: the message names the notebook, its parameters cell, the parameter and the mend.
    """
    defaults = parameters_of(notebook)
    for name, value in parameters.items():
        if name not in defaults:
            raise ValueError(
                f"{notebook.name}: its parameters cell has no {name!r}; it has {', '.join(sorted(defaults))}"
            )
        default = defaults[name]
        if type(value) is not type(default) and not (isinstance(default, float) and type(value) is int):
            raise ValueError(
                f"{notebook.name}: parameter {name}={value!r} of its parameters cell must be "
                f"{type(default).__name__}, like its default {default!r}, not {type(value).__name__}"
            )
        if isinstance(value, str) and ("{" in value or "}" in value):
            raise ValueError(f"{notebook.name}: {name}={value!r}: papermill would format the braces; leave them out")


def execute(execution: Execution, listen: Callable[[str], None] = lambda line: None) -> None:
    """Execute a notebook and leave its executed copy, with the same bytes each time, and its record.

    Args:
        execution: what to execute.
        listen: gets each line the notebook prints, as it comes.

    Raises:
        ValueError: a parameter is unknown or of the wrong type; nothing was started.
        NotebookFailedError: it did not finish, or did not leave what it promised.
    """
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    check_parameters(execution.notebook, execution.parameters)
    name = execution.notebook.name
    started = {"notebook": name, "parameters": dict(execution.parameters)}
    write_json(execution.record, started | {"status": "running"})
    working = execution.output.with_name(f".{execution.output.stem}.running.ipynb")
    working.parent.mkdir(parents=True, exist_ok=True)
    failed = execution.output.with_name(f"{execution.output.stem}.failed.ipynb")
    reason = None
    before = {path: _version(path) for path in execution.promised}
    try:
        papermill.execute_notebook(
            execution.notebook,
            working,
            parameters=dict(execution.parameters),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            stdout_file=_Lines(listen),
            execution_timeout=execution.timeout,
            record_timing=False,
            coalesce_streams=True,
            # Kernels talk over loopback; each would print a warning about that.
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
        reason = _unfinished(nbformat.read(working, as_version=4))
    except PapermillExecutionError as error:
        last = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in error.traceback][-1:]
        reason = f"cell {error.cell_index + 1} raised {''.join(last) or error.ename + ': ' + error.evalue}"
    except CellTimeoutError:
        reason = f"{_running_cell(working)} took longer than {execution.timeout} seconds"
    except DeadKernelError:
        reason = f"the kernel died in {_running_cell(working)} (killed, or out of memory?)"
    except BaseException:
        write_json(execution.record, started | {"status": "failed", "reason": "interrupted, or not started at all"})
        working.unlink(missing_ok=True)
        raise
    # What an earlier execution left is no proof: results are written anew, whole, so each is another file than before.
    missing = [path for path in execution.promised if _version(path) in (None, before[path])]
    missing += [path for path in execution.kept if not path.is_file()]
    if reason is None and missing:
        reason = f"its last cell ended without leaving {missing[0]}"
    if reason is not None:
        working.replace(failed)
        write_json(execution.record, started | {"status": "failed", "reason": reason})
        raise NotebookFailedError(f"{name}: {reason}; see {failed}")
    write_text(execution.output, stable_text(nbformat.read(working, as_version=4)))
    working.unlink()
    failed.unlink(missing_ok=True)
    # Last of all: a record says `ok` only of what is there.
    write_json(
        execution.record,
        started
        | {
            "status": "ok",
            "left": {path.name: sha256(path) for path in [*execution.kept, *execution.promised, execution.output]},
        },
    )


class _Lines:
    """What papermill writes a notebook's output to: hands on whole lines."""

    def __init__(self, listen: Callable[[str], None]) -> None:
        self.listen, self.rest = listen, ""

    def write(self, text: str) -> None:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.listen(line)

    def flush(self) -> None:
        """Papermill calls it; lines are handed on at once anyway."""


def _version(path: Path) -> tuple[int, int] | None:
    """What tells a file from one that replaced it; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _unfinished(nb: "NotebookNode") -> str | None:
    """Why an execution that papermill calls complete was not: `sys.exit(0)` ends it quietly."""
    for index, cell in enumerate(nb.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if any(output.output_type == "error" for output in cell.outputs):
            error = next(output for output in cell.outputs if output.output_type == "error")
            return f"cell {index + 1} ended the notebook early ({error.ename}: {error.evalue or 'no message'})"
        if cell.execution_count is None:
            return f"cell {index + 1} never ran"
    return None


def _running_cell(working: Path) -> str:
    """The cell that was running when an execution was cut off: the last one started, whatever its status says."""
    import nbformat

    nb = nbformat.read(working, as_version=4)
    started = [i for i, cell in enumerate(nb.cells) if cell.metadata.get("papermill", {}).get("start_time")]
    return f"cell {started[-1] + 1}" if started else "its first cell"


def stable_text(nb: "NotebookNode") -> str:
    """An executed notebook as text that two equal executions share: fixed ids, no clock, no paths, no versions."""
    import nbformat

    for index, cell in enumerate(nb.cells):
        cell.id = f"cell-{index + 1:02d}"
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
    nb.metadata = nbformat.NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    nbformat.validate(nb)
    text: str = nbformat.writes(nb)
    return text + "\n"


def read_record(path: Path) -> dict[str, Any] | None:
    """A record written by `execute`, or None where there is none that can be read."""
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
    return record
