"""Run directories: their files, progress events of training, and the identity of a run.

```
results/<profile>/seed-<n>/
    run.json               configuration; hashes of data and code; versions, hardware; written before training, and
                           again if the run is resumed with other versions or hardware ("stretches")
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
import math
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import filelock
import torch
from torch import Tensor

from colorlib.checkpoint import Checkpoint, load_newest, load_tensors, save_checkpoint, save_tensors
from colorlib.config import RunConfig, as_json, config_of_record
from colorlib.files import check_fields, read_json, remove_leftovers, write_json, write_text
from colorlib.photos import PhotoSet
from colorlib.provenance import source_digest

SPLIT = {"count": int, "sha256": str}
KEY = {"config": dict, "photos": {"train": SPLIT, "val": SPLIT}, "source": str}
"""Fields of `run_key`, which run.json and every checkpoint hold."""
ENVIRONMENT = {"versions": dict, "hardware": {"processor": str, "threads": int, "device": str}}
RECORD = KEY | ENVIRONMENT
"""Fields of run.json."""
STRETCH: dict[str, Any] = {"from_update": int} | ENVIRONMENT
"""Fields of each entry of "stretches": another environment, and the number of updates that were done before it."""
HISTORY = {"epoch": int, "updates": int, "training_loss": float, "validation_loss": float}
"""Columns of history.csv."""
TIMING = {"epoch": int, "training_seconds": float, "validation_seconds": float}
"""Columns of timing.csv."""


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
    held: tuple[tuple[int, int], ...] | None = None
    """Identity of directory and lock file while this process holds the lock (`locked`): writes check it."""

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
    def locked(self) -> "Iterator[Run]":
        """Lock the directory for writing. The operating system releases the lock when the process dies.

        Yields:
            The same run, whose writes raise ValueError if the directory or its lock was removed or replaced meanwhile.

        Raises:
            RunBusyError: another process holds the lock.
            ValueError: the file system cannot lock.
        """
        # Acquire the lock, or name the process that holds it
        self.path.mkdir(parents=True, exist_ok=True)
        holder = self.path / "run.lock.json"
        lock = filelock.FileLock(self.path / "run.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            try:
                who = read_json(holder, {"process": int, "host": str, "command": str})
            except ValueError:  # it is being written, or damaged
                who = {"process": "?", "host": "?", "command": "command unknown"}
            raise RunBusyError(
                f"{self.path} is in use by process {who['process']} on {who['host']} ({who['command']}); wait for it, "
                "stop it, or name another directory"
            ) from error
        except (OSError, NotImplementedError) as error:
            raise ValueError(
                f"{self.path} cannot be locked ({error}); name a directory on a file system that has locks and is "
                "writable"
            ) from error
        # Leave a note for other processes while the lock is held
        run = replace(self, held=self._identity())
        try:
            write_json(holder, {"process": os.getpid(), "host": platform.node(), "command": " ".join(sys.argv)})
            yield run
        finally:
            if run.held == self._identity():
                holder.unlink(missing_ok=True)
            lock.release()

    def _identity(self) -> tuple[tuple[int, int], ...]:
        """Return device and inode of the directory and its lock file; empty if one is missing."""
        try:
            found = [path.stat() for path in (self.path, self.path / "run.lock")]
        except OSError:
            return ()
        return tuple((status.st_dev, status.st_ino) for status in found)

    def _check_lock(self) -> None:
        """Raise ValueError if the lock is held and the directory or its lock file is no longer the one locked."""
        if self.held is not None and self.held != self._identity():
            raise ValueError(
                f"{self.path} or its run.lock was removed or replaced while this process trained into it, so another "
                "process may be training there; this one stops. Start it again with the same command"
            )

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write run.json."""
        self._check_lock()
        write_json(self.path / "run.json", record)

    def record(self) -> dict[str, Any]:
        """Return the content of run.json.

        Raises:
            ValueError: the file is missing, damaged, or lacks a field; the message names both.
        """
        path = self.path / "run.json"
        if not path.exists():
            raise ValueError(f"{self.path} contains no run ({path.name} does not exist); train one into it first")
        fix = "train the run anew with --restart"
        record = read_json(path, RECORD, fix=fix)
        try:
            config_of_record(record)
            if "stretches" in record:
                check_fields(record, {"stretches": [STRETCH]})
        except ValueError as error:
            raise ValueError(f"{path} cannot be read: {error}; restore it, or {fix}") from error
        return record

    def record_environment(self, environment: Mapping[str, Any], *, updates: int) -> Iterator[str]:
        """Add a stretch to run.json if the run is resumed in another environment than the one before.

        Args:
            environment: "versions" and "hardware" of this process.
            updates: number of updates done so far.

        Yields:
            A message for the user, if something changed.
        """
        record = self.record()
        # A stretch without an update has trained nothing
        stretches = [stretch for stretch in record.get("stretches", ()) if stretch["from_update"] < updates]
        last = stretches[-1] if stretches else record
        yield from environment_changes(last, environment)
        if any(last[group] != values for group, values in environment.items()):
            stretches.append({"from_update": updates, **environment})
        if stretches != record.get("stretches", []):
            rest = {name: value for name, value in record.items() if name != "stretches"}
            self.write_record(rest | ({"stretches": stretches} if stretches else {}))

    def write_history(self, history: Sequence[Mapping[str, float]], timing: Sequence[Mapping[str, float]]) -> None:
        """Write history.csv and timing.csv."""
        self._check_lock()
        write_text(self.path / "history.csv", csv_text(history))
        self._check_lock()
        write_text(self.path / "timing.csv", csv_text(timing))

    def history(self) -> list[dict[str, float]]:
        """Return the rows of history.csv, with values as floats.

        Raises:
            ValueError: the file does not exist, because no epoch was completed, or it is damaged; the message names it.
        """
        return self._rows("history.csv", HISTORY)

    def timing(self) -> list[dict[str, float]]:
        """Return the rows of timing.csv, with values as floats; errors as in `history`."""
        return self._rows("timing.csv", TIMING)

    def _rows(self, name: str, columns: Mapping[str, type]) -> list[dict[str, float]]:
        path = self.path / name
        if not path.is_file():
            raise ValueError(f"{path} does not exist: no epoch was completed; train the run first")
        try:
            text = path.read_text(encoding="utf-8")
            header, *lines = text.split("\n")
            if header != ",".join(columns):
                raise ValueError(f"its columns are {header[:100]!r}, not {','.join(columns)!r}")
            if not lines or lines.pop():
                raise ValueError("its last line has no end")
            rows = [
                {name: kind(cell) for (name, kind), cell in zip(columns.items(), line.split(","), strict=True)}
                for line in lines
            ]
            if csv_text(rows) != text:  # Python reads 1_0 as 10
                raise ValueError("its numbers are not written as Python writes them")
            check_epochs(rows)
        except (OSError, ValueError, OverflowError) as error:
            raise ValueError(f"{path} is damaged: {error}; the same `colorlib train` writes it again") from error
        return [{name: float(value) for name, value in row.items()} for row in rows]

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint to resume from, and delete old ones."""
        self._check_lock()
        save_checkpoint(self.checkpoints, checkpoint)

    def newest_checkpoint(self) -> tuple[Checkpoint | None, list[str]]:
        """Return the newest checkpoint to resume from, or None, and a message for each newer one that is passed over.

        A checkpoint is passed over if it is damaged, if its update, history and times do not fit together, or if the
        weights of an epoch to keep are missing, which a run that resumes after that epoch would not write again.
        """

        def check(checkpoint: Checkpoint) -> None:
            facts = checkpoint.facts
            check_fields(facts, {"key": KEY, "history": [HISTORY], "timing": [TIMING]})
            for name in ("history", "timing"):
                check_epochs(facts[name])
            config = config_of_record(facts["key"])
            epochs = len(facts["history"])
            done = [row["updates"] for row in facts["history"]]
            if done != [epoch * config.updates_per_epoch for epoch in range(1, epochs + 1)]:
                raise ValueError(f"its history has the updates {', '.join(map(str, done))[:100]}")
            if checkpoint.step != epochs * config.updates_per_epoch or len(facts["timing"]) != epochs:
                raise ValueError(
                    f"it is of update {checkpoint.step}, with {epochs} epochs of losses and {len(facts['timing'])} of "
                    "times"
                )
            for epoch in config.keep_epochs:
                if epoch <= epochs and load_tensors(self.epoch_weights(epoch)).step != epoch * config.updates_per_epoch:
                    raise ValueError(f"{self.epoch_weights(epoch)} is of another update")

        return load_newest(self.checkpoints, check)

    def write_weights(self, state: Mapping[str, Tensor], *, step: int) -> None:
        """Write weights.safetensors."""
        self._check_lock()
        save_tensors(self.weights, state, step=step)

    def write_epoch_weights(self, state: Mapping[str, Tensor], *, epoch: int, step: int) -> None:
        """Write the weights of an epoch as float16: half the size, and colors change by less than one 8-bit level."""
        self._check_lock()
        save_tensors(self.epoch_weights(epoch), {k: v.to(torch.float16) for k, v in state.items()}, step=step)

    def read_weights(self, epoch: int | None = None) -> dict[str, Tensor]:
        """Return the last weights, or those kept after `epoch`, as float32 on the CPU.

        Raises:
            ValueError: the file is missing or damaged.
        """
        path = self.weights if epoch is None else self.epoch_weights(epoch)
        return {name: tensor.to(torch.float32) for name, tensor in load_tensors(path).state.items()}


def check_epochs(rows: Sequence[Mapping[str, float]]) -> None:
    """Check the rows of a history or of its times: epochs from 1 on, updates that grow evenly, finite numbers.

    Raises:
        ValueError: a row does not fit; the message names it.
    """
    for number, row in enumerate(rows, start=1):
        for name, value in row.items():
            if not math.isfinite(value):
                raise ValueError(f"{name} of row {number} is {value!r}")
        if row["epoch"] != number:
            raise ValueError(f"row {number} is of epoch {row['epoch']}")
        if "updates" in row and (row["updates"] != number * rows[0]["updates"] or row["updates"] < 1):
            raise ValueError(f"row {number} is of update {row['updates']}")


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
    recorded: list[Mapping[str, Any]] = [checkpoint.facts["key"]] if checkpoint else []
    if (run.path / "run.json").exists():
        try:
            recorded.append(run.record())
        except ValueError as error:
            return str(error)
    differing = []
    for record in recorded:
        # Settings that are newer than the record have their defaults
        then, now = as_json(RunConfig()) | record["config"], key["config"]
        differing += [f"{name}={then[name]!r}, not {now.get(name)!r}" for name in then if then[name] != now.get(name)]
        if checkpoint:
            differing += [f"other {name}" for name in ("photos", "source") if record[name] != key[name]]
    if not differing:
        return None
    return (
        f"{run.path} contains another run ({'; '.join(dict.fromkeys(differing))}); choose another directory, or "
        "discard that run with --restart"
    )


def environment_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield one message if versions or hardware changed since the run was last trained, else nothing.

    Args:
        then: groups of names and values, "versions" and "hardware", as in run.json or a stretch.
        now: the same of this process.
    """
    changed = [
        f"{name} {then[group].get(name)}, now {value}"
        for group, values in now.items()
        for name, value in values.items()
        if then[group].get(name) != value
    ]
    if changed:
        yield f"the run was trained with {'; '.join(changed)}: expect results that are close, not equal byte for byte"
