"""Functions for notebook cells: the run directory, the lines printed in training, a run's provenance."""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from colorlib.companion.tables import Column, Table
from colorlib.config import RunConfig, as_json
from colorlib.profiles import root_folder
from colorlib.runs import Epoch, Notice, Run, Update, epoch_of_row

MODES = ("resume", "restart", "show")


def run_directory(run: str, config: RunConfig, mode: str, root: str = "") -> Path:
    """Return the directory of a run: `run` below `root`, or, where that is empty, one named by a hash of the settings.

    Args:
        run: a path, relative to `root`.
        config: the run's settings.
        mode: a row of `MODES`.
        root: a folder; empty for the checkout.

    Raises:
        ValueError: there is no such mode.
    """
    if mode not in MODES:
        raise ValueError(f"mode={mode!r}: choose from {', '.join(MODES)}")
    if run:
        return root_folder(root) / run
    digest = hashlib.sha256(json.dumps(as_json(config), sort_keys=True).encode()).hexdigest()
    return root_folder(root) / "results" / "scratch" / f"run-{digest[:10]}"


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
    return Table(
        data=pd.DataFrame([(name, str(value)) for name, value in rows], columns=["what", "value"]),
        columns=[Column(name="what"), Column(name="value")],
        caption="Settings, photographs, source, versions and hardware of this run.",
    )
