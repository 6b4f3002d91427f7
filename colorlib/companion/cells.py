"""What notebook cells call, so that each stays a sentence: where a run goes, what is printed while it trains."""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import HTML, display

from colorlib.companion.tables import table_html
from colorlib.config import RunConfig, as_json
from colorlib.measurements import Epoch, Notice, Update, epoch_of_row
from colorlib.profiles import PROJECT
from colorlib.runs import Run

MODES = ("resume", "restart", "show")


def run_directory(run: str, config: RunConfig, mode: str) -> Path:
    """The directory of a run: `run` below the checkout, or, where that is empty, one named by the settings.

    Raises:
        ValueError: there is no such mode.
    """
    if mode not in MODES:
        raise ValueError(f"mode={mode!r}: there are {', '.join(MODES)}")
    if run:
        return PROJECT / run
    digest = hashlib.sha256(json.dumps(as_json(config), sort_keys=True).encode()).hexdigest()
    return PROJECT / "results" / "scratch" / f"run-{digest[:10]}"


def recorded(path: Path) -> Iterator[Epoch]:
    """The epochs of a finished run, from its history."""
    return map(epoch_of_row, Run(path).history())


def narrate(measurements: Iterable[Notice | Update | Epoch], config: RunConfig) -> Iterator[str]:
    """A line after each epoch: the same lines whether or not the run was interrupted."""
    for measured in measurements:
        if isinstance(measured, Notice):
            # To the terminal, not into the notebook, whose bytes do not depend on what happened on the way.
            print(measured.text, file=sys.__stderr__, flush=True)
        if isinstance(measured, Epoch):
            yield (
                f"epoch {measured.epoch:3d} of {config.epochs}  loss {measured.training_loss:.5f}  "
                f"validation {measured.validation_loss:.5f}"
            )


def show_table(table: pd.DataFrame, caption: str) -> None:
    """Display a small table with its caption, headers marked as such."""
    display(HTML(table_html(table, caption)))


def provenance_table(path: Path) -> pd.DataFrame:
    """What a run says of itself: its settings, photographs, source, versions, machine."""
    record = Run(path).record()
    rows: list[tuple[str, Any]] = list(record["config"].items())
    rows += [
        (f"{split} photographs", f"{held['count']}, SHA-256 {held['sha256'][:16]}…")
        for split, held in record["photos"].items()
    ]
    rows.append(("source tree (SHA-256)", record["source"][:16] + "…"))
    rows += list(record["versions"].items()) + list(record["hardware"].items())
    return pd.DataFrame(rows, columns=["what", "value"])
