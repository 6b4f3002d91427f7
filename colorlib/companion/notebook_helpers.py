"""Functions for notebook cells: the profile and where its files are written, lines of training, a run's provenance."""

import ast
import base64
import hashlib
import inspect
import io
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from colorlib.companion.steps import files, inputs
from colorlib.companion.tables import Column, Table
from colorlib.config import RunConfig, as_json, did_you_mean
from colorlib.profiles import PROJECT, Profile, display_path, load_profile
from colorlib.provenance import machine
from colorlib.runs import Epoch, Notice, Run, Update, epoch_of_row

SCRATCH = "scratch"
"""Default of a notebook's parameter `root`: read the results that are there, and write into scratch folders.

The pipeline gives another `root`, so that it alone writes committed results and figures.
"""
MODES = ("resume", "restart", "show")


def open_profile(
    name: str, *results: str, seeds: Sequence[int] = (), root: str = SCRATCH, checkout: Path = PROJECT
) -> Profile:
    """Return a profile in whose folders a notebook reads and writes.

    Args:
        name: name of the profile.
        results: what the notebook makes, entries of `steps.FILES`.
        seeds: seeds of its runs; empty for those of the profile.
        root: the folder that contains results/ and figures/, empty for the checkout. `SCRATCH` is results/scratch in
            the checkout, with fresh copies of all that `results` are computed from.
        checkout: the folder that is copied from.
    """
    check_given_parameters(_cells_so_far())
    if root != SCRATCH:
        return load_profile(name, seeds=seeds, root=root)
    scratch = checkout / "results" / "scratch"
    source = load_profile(name, seeds=seeds, root=checkout)
    needed = inputs(source)
    for path in {path for result in results for path in (*needed.get(result, ()), *files(source, result))}:
        if not path.is_relative_to(checkout / "results"):
            continue
        copy = scratch / path.relative_to(checkout)
        copy.unlink(missing_ok=True)  # of an earlier state of the results
        if path.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    return load_profile(name, seeds=seeds, root=scratch)


def check_given_parameters(cells: Sequence[str]) -> None:
    """Refuse parameters that were given to papermill by hand and that the notebook does not have.

    papermill itself only warns, and the notebook would run with the default.

    Args:
        cells: sources of the code cells that were run so far.

    Raises:
        ValueError: there is no such parameter; the message names the nearest.
    """
    # papermill's cell follows that of the defaults; later in a session, cells may have been run in any order
    pairs = (pair for pair in pairwise(cells) if pair[1].startswith("# Parameters\n"))
    defaults, given = next(pairs, ("", ""))
    known = _assigned(defaults)
    for name in _assigned(given) if known else ():
        if name not in known:
            raise ValueError(f"{name}: this notebook has no such parameter{did_you_mean(name, known)}")


def _assigned(cell: str) -> list[str]:
    assignments = [line for line in ast.parse(cell).body if isinstance(line, ast.Assign)]
    return [target.id for line in assignments for target in line.targets if isinstance(target, ast.Name)]


def _cells_so_far() -> list[str]:
    """Return the sources of the code cells that this kernel has run; empty outside of a notebook."""
    from IPython import get_ipython

    shell = get_ipython()
    return list(shell.user_ns.get("In", ())) if shell else []


def read_root(root: str) -> str:
    """Return the folder that a notebook which writes only figures reads results from: empty for the checkout."""
    return "" if root == SCRATCH else root


def figures_folder(folder: Path, root: str) -> Path:
    """Return the folder for a notebook's figures: `folder`, or the same in results/scratch if `root` is `SCRATCH`."""
    return folder.parents[1] / "results" / SCRATCH / "figures" / folder.name if root == SCRATCH else folder


def run_directory(run: str, config: RunConfig, mode: str) -> Path:
    """Return the directory of a run: `run`, or, where that is empty, one in results/scratch named by its settings.

    Args:
        run: a path, absolute or relative to the checkout.
        config: the run's settings.
        mode: a row of `MODES`.

    Raises:
        ValueError: there is no such mode, or `run` is not a text.
    """
    check_given_parameters(_cells_so_far())
    if not isinstance(run, str):
        raise ValueError(f"run={run!r}: expected a path as text; with papermill write `-r run {run}`")  # noqa: TRY004
    if mode not in MODES:
        raise ValueError(f"mode={mode!r}: choose from {', '.join(MODES)}")
    if run:
        return PROJECT / run
    digest = hashlib.sha256(json.dumps(as_json(config), sort_keys=True).encode()).hexdigest()
    return PROJECT / "results" / SCRATCH / f"run-{digest[:10]}"


def recorded_epochs(path: Path) -> Iterator[Epoch]:
    """Yield the epochs of a finished run, from its history.csv."""
    return map(epoch_of_row, Run(path).history())


def epoch_lines(events: Iterable[Notice | Update | Epoch], config: RunConfig) -> Iterator[str]:
    """Yield a line of text after each epoch: the same lines whether or not the run was interrupted."""
    for event in events:
        if isinstance(event, Notice):
            # To the terminal: the notebook's bytes must not depend on an interruption.
            print(event.text, file=sys.__stderr__, flush=True)
        if isinstance(event, Epoch):
            yield (
                f"epoch {event.epoch:3d} of {config.epochs}  loss {event.training_loss:.5f}  "
                f"validation {event.validation_loss:.5f}"
            )


def where(thing: Callable[..., Any]) -> str:
    """Return the file, the name and the parameters of a function or class of this library, as text.

    Without a line number, which would change whenever anything above it does.
    """
    path = Path(inspect.getsourcefile(thing) or "")
    names = ", ".join(name for name in inspect.signature(thing).parameters if name != "self")
    return f"{display_path(path)}: {thing.__qualname__}({names})"


def show_finding(sentence: str) -> None:
    """Display a heading: a result in one sentence, which the cell computed."""
    from IPython.display import display

    display({"text/markdown": f"## {sentence}"}, raw=True, metadata={})


def show_axes(axes: Axes) -> None:
    """Display the figure of axes that a reader changed."""
    from IPython.display import display

    figure, buffer = axes.get_figure(root=True), io.BytesIO()
    assert figure is not None
    figure.savefig(buffer, format="png", bbox_inches="tight")
    picture = base64.b64encode(buffer.getvalue()).decode()
    display({"image/png": picture}, raw=True, metadata={"image/png": {"width": 760}})


def show(sentences: Sequence[str], table: Table | None) -> None:
    """Print sentences, a line each, and display the table if there is one."""
    for sentence in sentences:
        print(sentence)
    if table is not None:
        table.show()


def provenance_table(path: Path) -> Table:
    """Return the settings, photographs, source, versions and hardware of a run, a row each."""
    record = Run(path).record()
    rows: list[tuple[str, Any]] = list(record["config"].items())
    rows += [
        (f"{split} photographs", f"{photos['count']}, SHA-256 {photos['sha256'][:16]}…")
        for split, photos in record["photos"].items()
    ]
    rows.append(("source tree (SHA-256)", record["source"][:16] + "…"))
    rows += list(record["versions"].items()) + list(record["hardware"].items())
    rows += [
        (f"resumed after update {stretch['from_update']}", machine(stretch["hardware"]))
        for stretch in record.get("stretches", ())
    ]
    return Table(
        data=pd.DataFrame([(name, str(value)) for name, value in rows], columns=["what", "value"]),
        columns=[Column(name="what"), Column(name="value")],
        caption="Settings, photographs, source, versions and hardware of this run.",
    )
