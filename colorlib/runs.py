"""The run directory: what is in it. What a run is and did is written and read here, its scores in `scoring`.

```
results/<profile>/seed-<n>/
    run.json               the configuration; hashes of data and code; versions, hardware     (before the run)
    history.csv            a row per epoch: numbers only, the same bytes each time
    timing.csv             a row per epoch: the clock's share, apart
    weights.safetensors    the last epoch's weights, float32
    epochs/epoch-NNN.safetensors   kept earlier weights, float16
    metrics.json, per_image.csv    what evaluation measured
    checkpoints/           local state that resumes the run; ignored by git
```
"""

import csv
import io
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import torch
from torch import Tensor

from colorlib.checkpoint import load_tensors, save_tensors
from colorlib.files import remove_leftovers, write_json, write_text


class RunBusyError(ValueError):
    """Another process is writing to this run directory; the message says which."""


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of equal keys as CSV text. Floats are written so that reading them gives the same float."""
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@dataclass(frozen=True)
class Run:
    """One run directory."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Where the state lies that resumes the run."""
        return self.path / "checkpoints"

    @property
    def weights(self) -> Path:
        """The last epoch's weights; they exist once the run is complete."""
        return self.path / "weights.safetensors"

    def epoch_weights(self, epoch: int) -> Path:
        """The kept weights of an earlier epoch."""
        return self.path / "epochs" / f"epoch-{epoch:03d}.safetensors"

    def remove_leftovers(self) -> None:
        """Delete what a writer that was killed left half-written."""
        for folder in (self.path, self.path / "epochs", self.checkpoints):
            remove_leftovers(folder)

    def discard(self) -> None:
        """Remove all that a run left, but run.json, which the next run replaces: no result is taken for another's."""
        patterns = ("history.csv", "timing.csv", "metrics*.json", "per_image*.csv", "weights.safetensors")
        folders = ("epochs/*.safetensors", "checkpoints/*.safetensors")
        for path in [path for pattern in (*patterns, *folders) for path in self.path.glob(pattern)]:
            path.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for writing. The lock is the operating system's: it dies with the process.

        Raises:
            RunBusyError: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        holder = self.path / "run.lock.json"
        lock = filelock.FileLock(self.path / "run.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            who = json.loads(holder.read_text(encoding="utf-8")) if holder.is_file() else {}
            raise RunBusyError(
                f"{self.path} is in use by process {who.get('process', '?')} on {who.get('host', '?')} "
                f"({who.get('command', 'command unknown')}); wait for it, stop it, or name another directory"
            ) from error
        try:
            write_json(holder, {"process": os.getpid(), "host": platform.node(), "command": " ".join(sys.argv)})
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write run.json."""
        write_json(self.path / "run.json", record)

    def record(self) -> dict[str, Any]:
        """What run.json holds.

        Raises:
            ValueError: there is no run here.
        """
        path = self.path / "run.json"
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise ValueError(f"{self.path} holds no run ({path.name}: {error}); train one into it first") from error
        return record

    def write_history(self, history: Sequence[Mapping[str, float]], timing: Sequence[Mapping[str, float]]) -> None:
        """Write history.csv and timing.csv."""
        write_text(self.path / "history.csv", csv_text(history))
        write_text(self.path / "timing.csv", csv_text(timing))

    def history(self) -> list[dict[str, float]]:
        """The rows of history.csv, numbers as numbers.

        Raises:
            ValueError: no epoch was completed here.
        """
        path = self.path / "history.csv"
        if not path.is_file():
            raise ValueError(f"{path} does not exist: no epoch was completed there")
        with path.open(newline="", encoding="utf-8") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]

    def write_weights(self, state: Mapping[str, Tensor], *, step: int) -> None:
        """Write weights.safetensors."""
        save_tensors(self.weights, state, step=step)

    def write_epoch_weights(self, state: Mapping[str, Tensor], *, epoch: int, step: int) -> None:
        """Keep an epoch's weights as float16: half the size, and colors differ by less than a level of 8 bits."""
        save_tensors(self.epoch_weights(epoch), {k: v.to(torch.float16) for k, v in state.items()}, step=step)

    def read_weights(self, epoch: int | None = None) -> dict[str, Tensor]:
        """The last weights, or those kept of `epoch`, as float32 on the CPU.

        Raises:
            ValueError: they are missing or damaged.
        """
        path = self.weights if epoch is None else self.epoch_weights(epoch)
        return {name: tensor.to(torch.float32) for name, tensor in load_tensors(path).state.items()}
