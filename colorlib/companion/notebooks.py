"""Executing one notebook, with a record of the result and a progress line.

papermill's own metadata is not reliable: it says `completed` after a killed kernel, a time-out or `sys.exit(0)`, and
an unknown parameter is only a warning. So the parameters are checked before anything starts, a record is written
before the start and replaced at the end, and an execution is `ok` only when every cell ran and its output files exist.
"""

import ast
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from colorlib.files import read_json, write_json, write_text
from colorlib.profiles import PROJECT

if TYPE_CHECKING:
    # nbformat is imported in the functions that use it: building jsonschema's grammar of addresses takes seconds.
    from nbformat import NotebookNode


class NotebookFailedError(RuntimeError):
    """An execution failed, or left an output file out; the message names the notebook, the cell and the reason."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One notebook to execute: its parameters and its output files."""

    notebook: Path
    """The source notebook."""
    output: Path
    """Path of the executed copy; a failed copy goes next to it, as `<name>.failed.ipynb`."""
    record: Path
    """Path of the JSON record: `notebook`, `parameters`, `status` (running, ok, failed) and `reason`."""
    parameters: Mapping[str, Any]
    """Values for its `parameters` cell: plain numbers, strings, booleans, lists."""
    outputs: Sequence[Path]
    """Files that this execution must write."""
    keep: Sequence[Path] = ()
    """Files that must exist afterwards but may be older: a resumed run does not write its run.json again."""
    timeout: int | None = None
    """Seconds a cell may take; None: no limit."""


def code_cells(notebook: Path, *, tag: str | None = None) -> list[str]:
    """Return the source of a notebook's code cells, or only of those with a tag.

    Raises:
        ValueError: the file is not a notebook; the message names it.
    """
    return list(_code_cells(notebook, tag).values())


def _code_cells(notebook: Path, tag: str | None) -> dict[int, str]:
    """Return the source of a notebook's code cells by their number among all cells, from 1."""
    content = notebook.read_bytes()
    marks = [line for line, text in enumerate(content.splitlines(), 1) if text.startswith((b"<<<<<<< ", b">>>>>>> "))]
    if not content.strip():
        reason = "the file is empty; restore it with `git restore`"
    elif content.startswith(b"\xef\xbb\xbf"):
        reason = "it starts with a byte-order mark; save it as UTF-8 without one"
    elif marks:
        reason = f"line {marks[0]} marks a merge conflict; resolve it, or restore the file with `git restore`"
    else:
        try:
            return {
                number: "".join(cell["source"])
                for number, cell in enumerate(json.loads(content)["cells"], 1)
                if cell["cell_type"] == "code" and (tag is None or tag in cell["metadata"].get("tags", ()))
            }
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}; restore it with `git restore`"
    raise ValueError(f"{notebook} is not a notebook: {reason}")


def parameters_of(notebook: Path) -> dict[str, Any]:
    """Return the names and default values in the notebook's `parameters` cell.

    Raises:
        ValueError: there is not exactly one such cell, or it holds more than assignments of literals.
    """
    cells = _code_cells(notebook, tag="parameters")
    if len(cells) != 1:
        raise ValueError(f"{notebook.name} has {len(cells)} cells tagged `parameters`; it needs one")
    ((number, source),) = cells.items()
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "text", None) or source
        raise ValueError(
            f"{notebook.name}: cell {number}, its parameters cell, is not Python at {line.strip()!r} "
            "(magics belong in another cell); it may hold only assignments of literals"
        ) from error
    found = {}
    for node in statements:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]):
                try:
                    found[name] = ast.literal_eval(node.value)
                except ValueError as error:
                    raise ValueError(f"{notebook.name}: cell {number}: parameter {name} is not a literal") from error
            case _:
                raise ValueError(
                    f"{notebook.name}: cell {number}, its parameters cell, may hold only assignments of literals"
                )
    return found


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Check that the notebook has all these parameters and that each value has the type of its default.

    Raises:
        ValueError: the message names the notebook, its parameters cell, the parameter and the fix.
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


def execute(execution: Execution, on_line: Callable[[str], None] = lambda line: None) -> None:
    """Execute a notebook; write its executed copy, with the same bytes each time, and its record.

    The kernel is this interpreter with this checkout's code; it reads no configuration of the user.

    Args:
        execution: the notebook, its parameters and its output files.
        on_line: called with each line that the notebook prints, as it comes.

    Raises:
        ValueError: a parameter is unknown or of the wrong type; nothing was started.
        NotebookFailedError: a cell failed or did not run, or an output file is missing.
    """
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    # Check the parameters, and record the start
    check_parameters(execution.notebook, execution.parameters)
    name = execution.notebook.name
    started = {"notebook": name, "parameters": dict(execution.parameters)}
    write_json(execution.record, started | {"status": "running"})
    working = execution.output.with_name(f".{execution.output.stem}.running.ipynb")
    working.parent.mkdir(parents=True, exist_ok=True)
    failed = execution.output.with_name(f"{execution.output.stem}.failed.ipynb")
    before = {path: _version(path) for path in execution.outputs}
    # Execute, and find the reason of a failure
    reason = None
    try:
        with tempfile.TemporaryDirectory(prefix="colorlib-", ignore_cleanup_errors=True) as folder:
            papermill.execute_notebook(
                _literal_path(execution.notebook),
                _literal_path(working),
                parameters=dict(execution.parameters),
                kernel_name="python3",
                kernel_manager_class=_kernel_manager(Path(folder)),
                language="python",
                progress_bar=False,
                stdout_file=_LineWriter(on_line),
                execution_timeout=execution.timeout,
                record_timing=False,
                coalesce_streams=True,
                # Kernels communicate over loopback; each would print a warning about that.
                extra_arguments=["--IPKernelApp.log_level=ERROR"],
            )
        reason = _unfinished_cell(nbformat.read(working, as_version=4))
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
    # Check the output files: one from an earlier execution does not count, as each is replaced by a new file
    missing = [path for path in execution.outputs if _version(path) in (None, before[path])]
    missing += [path for path in execution.keep if not path.is_file()]
    if reason is None and missing:
        reason = f"its last cell ended without leaving {missing[0]}"
    # Record the failure, or write the executed copy
    if reason is not None:
        working.replace(failed)
        write_json(execution.record, started | {"status": "failed", "reason": reason})
        raise NotebookFailedError(f"{name}: {reason}; see {failed}")
    write_text(execution.output, stable_text(nbformat.read(working, as_version=4)))
    working.unlink()
    failed.unlink(missing_ok=True)
    # Only now, when everything else is on disk, does the record say `ok`.
    write_json(execution.record, started | {"status": "ok"})


def _literal_path(path: Path) -> str:
    """Return a path for papermill, which formats it with the parameters: braces are doubled."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _kernel_manager(folder: Path) -> type:
    """Return a class of kernel managers that start this interpreter, whatever kernelspecs the user has.

    Args:
        folder: an empty folder for the kernel's connection file and for its configuration of Jupyter, IPython and
            matplotlib.
    """
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    environment = _kernel_environment(folder)

    class OwnKernelManager(AsyncKernelManager):
        def __init__(self, **settings: Any) -> None:
            # Without folders to search, the only kernelspec is ipykernel's own: it starts sys.executable.
            specs = KernelSpecManager(kernel_dirs=[], data_dir=str(folder), user_kernel_dir=str(folder))
            connection = str(folder / "connection.json")
            super().__init__(**settings, data_dir=str(folder), connection_file=connection, kernel_spec_manager=specs)

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]  # asynchronous there too
            await super().start_kernel(**options, env=environment)

    return OwnKernelManager


def _kernel_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a kernel: this checkout's code comes first, and all configuration is in `folder`."""
    from matplotlib import font_manager, get_cachedir

    left_out = ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "PYTHONSTARTUP")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        path = folder / name.lower()
        path.mkdir()
        environment[name] = str(path)
    # An empty matplotlibrc, and the list of fonts: finding them again may take long enough for a warning in a notebook
    settings = folder / "matplotlibrc"
    settings.touch()
    fonts = Path(get_cachedir(), f"fontlist-v{font_manager.FontManager.__version__}.json")
    if fonts.is_file():
        shutil.copy(fonts, environment["MPLCONFIGDIR"])
    code = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return environment | {
        "MATPLOTLIBRC": str(settings),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONPATH": os.pathsep.join(code),
    }


class _LineWriter:
    """File-like object for papermill's output that calls `on_line` with whole lines."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.on_line, self.rest = on_line, ""

    def write(self, text: str) -> None:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.on_line(line)

    def flush(self) -> None:
        """Do nothing; papermill calls it."""


def _version(path: Path) -> tuple[int, int] | None:
    """Return inode and modification time, which change when a file is replaced; None if there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _unfinished_cell(nb: "NotebookNode") -> str | None:
    """Return a message about the first cell that did not finish, or None; papermill misses `sys.exit(0)`."""
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
    """Return the number of the cell that was running when an execution was cut off: the last one that started."""
    import nbformat

    nb = nbformat.read(working, as_version=4)
    started = [i for i, cell in enumerate(nb.cells) if cell.metadata.get("papermill", {}).get("start_time")]
    return f"cell {started[-1] + 1}" if started else "its first cell"


def stable_text(nb: "NotebookNode") -> str:
    """Return an executed notebook as JSON text without cell ids of its own, times, paths and versions.

    Two executions with the same results give the same bytes.
    """
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
    """Return a record written by `execute`, or any JSON object; None if the file is missing or none."""
    try:
        return read_json(path, {})
    except ValueError:
        return None


EPOCH_LINE = re.compile(r"epoch +(\d+) of (\d+)")
"""Pattern of the line that a training notebook prints after each epoch."""


def progress_printer(terminal: TextIO, label: str) -> Callable[[str], None]:
    """Return an `on_line` for `execute` that prints the epoch, the loss and the time left.

    A terminal gets one line that is overwritten, any other file a line per epoch.
    """
    times: list[float] = [time.monotonic()]
    start, end = ("\r\x1b[2K", "") if terminal.isatty() else ("", "\n")

    def on_line(line: str) -> None:
        found = EPOCH_LINE.search(line)
        if not found:
            return
        epoch, epochs = int(found[1]), int(found[2])
        times.append(time.monotonic())
        # A resumed run prints its earlier epochs at once: they say nothing about the speed.
        spans = [b - a for a, b in pairwise(times) if b - a > 0.05][-5:]
        left = f", {duration_text((epochs - epoch) * sum(spans) / len(spans))} left" if spans else ""
        done = "\n" if epoch == epochs else ""
        terminal.write(f"{start}{label}: {' '.join(line.split())}{left}{end or done}")
        terminal.flush()

    return on_line


def duration_text(seconds: float) -> str:
    """Return a duration as `45 s`, `12 min` or `1 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
