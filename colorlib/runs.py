"""Run directories: their files, progress events of training, and the identity of a run.

```
results/<profile>/seed-<n>/
    run.json               configuration; hashes of data and code; versions, hardware; written before training
    history.csv            losses, a row per epoch; the same bytes in every repetition
    timing.csv             seconds, a row per epoch; kept apart because they differ in every repetition
    weights.safetensors    weights after the last epoch, float32
    epochs/epoch-NNN.safetensors   weights after some earlier epochs, float16
    metrics.json, per_image.csv    results of evaluation, written by `colorlib.evaluate`
    checkpoints/           training state to resume from; ignored by git
```
"""

import csv
import hashlib
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

from colorlib.checkpoint import Checkpoint, load_tensors, save_tensors
from colorlib.config import RunConfig, as_json
from colorlib.files import remove_leftovers, write_json, write_text
from colorlib.photos import PhotoSet
from colorlib.provenance import source_digest


class RunBusyError(ValueError):
    """Another process is writing to this run directory; the message names it."""


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows with equal keys as CSV text with a header, or "" without rows; reading gives the same floats."""
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@dataclass(frozen=True)
class Run:
    """A run directory: reads and writes its files."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints to resume from."""
        return self.path / "checkpoints"

    @property
    def weights(self) -> Path:
        """File of the weights after the last epoch; it exists once the run is complete."""
        return self.path / "weights.safetensors"

    def epoch_weights(self, epoch: int) -> Path:
        """Return the file of the weights kept after `epoch`."""
        return self.path / "epochs" / f"epoch-{epoch:03d}.safetensors"

    def remove_leftovers(self) -> None:
        """Delete temporary files that a killed process left in the directory."""
        for folder in (self.path, self.path / "epochs", self.checkpoints):
            remove_leftovers(folder)

    def discard(self) -> None:
        """Delete results and checkpoints, so that none is taken for one of the next run, which replaces run.json."""
        patterns = ("history.csv", "timing.csv", "metrics*.json", "per_image*.csv", "weights.safetensors")
        folders = ("epochs/*.safetensors", "checkpoints/*.safetensors")
        for path in [path for pattern in (*patterns, *folders) for path in self.path.glob(pattern)]:
            path.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the directory for writing. The operating system releases the lock when the process dies.

        Raises:
            RunBusyError: another process holds the lock.
        """
        # Acquire the lock, or name the process that holds it
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
        # Leave a note for other processes while the lock is held
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
        """Return the content of run.json.

        Raises:
            ValueError: the file is missing or damaged.
        """
        path = self.path / "run.json"
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise ValueError(f"{self.path} contains no run ({path.name}: {error}); train one into it first") from error
        return record

    def write_history(self, history: Sequence[Mapping[str, float]], timing: Sequence[Mapping[str, float]]) -> None:
        """Write history.csv and timing.csv."""
        write_text(self.path / "history.csv", csv_text(history))
        write_text(self.path / "timing.csv", csv_text(timing))

    def history(self) -> list[dict[str, float]]:
        """Return the rows of history.csv, with values as floats.

        Raises:
            ValueError: the file does not exist, because no epoch was completed.
        """
        path = self.path / "history.csv"
        if not path.is_file():
            raise ValueError(f"{path} does not exist: no epoch was completed; train the run first")
        with path.open(newline="", encoding="utf-8") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]

    def write_weights(self, state: Mapping[str, Tensor], *, step: int) -> None:
        """Write weights.safetensors."""
        save_tensors(self.weights, state, step=step)

    def write_epoch_weights(self, state: Mapping[str, Tensor], *, epoch: int, step: int) -> None:
        """Write the weights of an epoch as float16: half the size, and colors change by less than one 8-bit level."""
        save_tensors(self.epoch_weights(epoch), {k: v.to(torch.float16) for k, v in state.items()}, step=step)

    def read_weights(self, epoch: int | None = None) -> dict[str, Tensor]:
        """Return the last weights, or those kept after `epoch`, as float32 on the CPU.

        Raises:
            ValueError: the file is missing or damaged.
        """
        path = self.weights if epoch is None else self.epoch_weights(epoch)
        return {name: tensor.to(torch.float32) for name, tensor in load_tensors(path).state.items()}


def score_files(path: Path, photos: str, split: str, *, own: str) -> tuple[Path, Path]:
    """Return the files of a run's scores on a split: (metrics, per image).

    They are metrics.json and per_image.csv on the test split of the run's own photographs; elsewhere their names
    contain photographs and split, so that nothing is overwritten.

    Args:
        path: the run directory.
        photos: photographs to score on.
        split: split to score on.
        own: photographs that the run was trained on.
    """
    # A hash keeps names apart that would be equal without the characters forbidden in file names.
    name = (
        photos if photos.isalnum() else f"{photos.partition(':')[0]}-{hashlib.sha256(photos.encode()).hexdigest()[:8]}"
    )
    suffix = "" if (photos, split) == (own, "test") else f"-{name}-{split}"
    return path / f"metrics{suffix}.json", path / f"per_image{suffix}.csv"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Message for the user, for example that a damaged checkpoint was skipped."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Update:
    """Progress event: one update of the weights is done."""

    epoch: int
    step: int
    """Number of updates done so far, of `RunConfig.updates`."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """Progress event: one epoch is trained, validated and saved in a checkpoint."""

    epoch: int
    step: int
    """Number of updates done so far, of `RunConfig.updates`."""
    training_loss: float
    """Mean over the epoch's crops, each measured before the update of its batch."""
    validation_loss: float
    """Mean over the center crops of the validation photographs, after the epoch."""


def epoch_of_row(row: Mapping[str, float]) -> Epoch:
    """Return the progress event of a row of history.csv."""
    return Epoch(
        epoch=int(row["epoch"]),
        step=int(row["updates"]),
        training_loss=row["training_loss"],
        validation_loss=row["validation_loss"],
    )


def run_key(config: RunConfig, photos: dict[str, PhotoSet]) -> dict[str, Any]:
    """Return all that determines a run's results: configuration, hashes of its photographs, hash of the training code.

    Args:
        config: configuration of the run.
        photos: photographs of each split, by the split's name.
    """
    return {
        "config": as_json(config),
        "photos": {split: {"count": len(found), "sha256": found.digest} for split, found in photos.items()},
        "source": source_digest("colorlib.trainer"),
    }


def mismatch(run: Run, key: dict[str, Any], checkpoint: Checkpoint | None) -> str | None:
    """Return a message if the directory contains another run than `key` describes, else None.

    A checkpoint must have exactly the same key. A run without checkpoints, as in a fresh clone, may be retrained with
    other code or photographs, but not with another configuration, so that its results are not lost.

    Args:
        run: the run directory.
        key: the key of the run to train (`run_key`).
        checkpoint: the newest checkpoint in the directory, if there is one.
    """
    if checkpoint:
        recorded = checkpoint.facts["key"]
    elif (run.path / "run.json").is_file():
        recorded = run.record()
    else:
        return None
    # Settings that are newer than the record have their defaults
    then, now = as_json(RunConfig()) | recorded["config"], key["config"]
    differing = [f"{name}={then[name]!r}, not {now.get(name)!r}" for name in then if then[name] != now.get(name)]
    if checkpoint:
        differing += [f"other {name}" for name in ("photos", "source") if recorded[name] != key[name]]
    if not differing:
        return None
    return (
        f"{run.path} contains another run ({'; '.join(differing)}); choose another directory, or discard that run with "
        "--restart"
    )


def environment_changes(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Yield one message if versions or hardware changed since the run began, else nothing.

    Args:
        then: groups of names and values, "versions" and "hardware", as in run.json.
        now: the same of this process.
    """
    changed = [
        f"{name} {then[group].get(name)}, now {value}"
        for group, values in now.items()
        for name, value in values.items()
        if then[group].get(name) != value
    ]
    if changed:
        yield f"the run began with {'; '.join(changed)}: expect results that are close, not equal byte for byte"
