"""One point of a sweep as a process of its own: `python -m colorlib.companion.sweep_job`.

It is told its point in a line on standard input, and lives no longer than whoever holds the other end: when that
closes, because the sweep was stopped or killed, the process ends and takes its kernel along. Nothing is lost: the run
directory resumes from its last checkpoint.
"""

import contextlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock

from colorlib.companion.notebooks import Execution, NotebookFailedError, execute, read_record
from colorlib.companion.sweep_points import Point, make_point, shown
from colorlib.companion.sweep_process import STOPPED
from colorlib.config import as_json
from colorlib.files import sha256, write_json
from colorlib.photos import open_photos
from colorlib.profiles import PROJECT
from colorlib.runs import Run, RunBusyError
from colorlib.scoring import score_files

RECORD = "point.json"
"""What a finished point leaves last of all: its settings, and the SHA-256 of its files."""
PATIENCE = 30.0
"""Seconds for a kernel whose process was killed to end: ipykernel looks after its parent once a second."""


def metrics_file(point: Point) -> Path:
    """Where the figures of a point lie."""
    return score_files(point.directory, point.config.photos, point.scored, own=point.config.photos)[0]


def _evidence(point: Point) -> list[Path]:
    """What summaries read; it is committed, weights are not."""
    return [point.directory / "run.json", point.directory / "history.csv", metrics_file(point)]


def finished(point: Point) -> dict[str, Any] | None:
    """A point's record if it was finished and its files are still what they were.

    What is not committed, as the weights, may be missing, but not be another's.
    """
    record = read_record(point.directory / RECORD)
    if record is None or not all(path.is_file() and path.name in record["left"] for path in _evidence(point)):
        return None
    held = {name: point.directory / name for name in record["left"]}
    same = all(sha256(path) == record["left"][name] for name, path in held.items() if path.is_file())
    return record if same else None


def up_to_date(point: Point) -> bool:
    """Whether a point was finished, on the photographs that are here now.

    Raises:
        ValueError: its photographs are not on this machine, or not what they should be.
    """
    if finished(point) is None:
        return False
    photos = Run(point.directory).record().get("photos", {})
    return all(held["sha256"] == open_photos(point.config.photos, split).digest for split, held in photos.items())


def forget(point: Point) -> None:
    """Make a point again: what says that it is finished goes, and what it would resume from."""
    (point.directory / RECORD).unlink(missing_ok=True)
    shutil.rmtree(point.directory / "checkpoints", ignore_errors=True)


def as_job(point: Point, cores: Sequence[int] = ()) -> dict[str, Any]:
    """What a process is told of a point, with paths below the checkout, wherever that lies on its machine."""
    return {
        "results": shown(point.directory.parent),
        "directory": shown(point.directory),
        "name": point.name,
        "seed": point.seed,
        "changes": point.changes,
        "parameters": {key: value for key, value in point.parameters.items() if key not in point.changes},
        "notebook": shown(point.notebook),
        "photos": point.config.photos,
        "scored": point.scored,
        "cores": list(cores),
    }


def point_of(job: Mapping[str, Any]) -> Point:
    """The point that a process was told."""
    return make_point(
        PROJECT / job["results"],
        job["name"],
        job["changes"],
        job["parameters"] | {"seed": job["seed"]},
        PROJECT / job["notebook"],
        photos=job["photos"],
        scored=job["scored"],
    )


def perform(point: Point) -> None:
    """Execute a point unless it is up to date; waits while another process is at it.

    Raises:
        ValueError: its photographs or its settings do not allow it.
        NotebookFailedError: its notebook failed.
    """
    run = Run(point.directory)
    run.path.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(run.path / "point.lock"):
        if up_to_date(point):
            return
        _outlive(run)
        metrics = metrics_file(point)
        execute(
            Execution(
                notebook=point.notebook,
                output=run.path / point.notebook.name,
                record=run.path / "execution.json",
                # The state of other settings cannot be in a directory that settings name; that of other code can.
                parameters=point.parameters
                | {"run": shown(run.path), "seed": point.seed, "mode": "restart", "scored": point.scored},
                promised=(run.path / "history.csv", run.weights, metrics),
                kept=(run.path / "run.json",),
            )
        )
        _told(point, run)
        seconds = _seconds(run)
        left = [run.path / "run.json", run.path / "history.csv", run.weights, *sorted(run.path.glob("metrics*.json"))]
        write_json(
            run.path / RECORD,
            {
                "sweep": point.sweep,
                "point": point.name,
                "seed": point.seed,
                "changes": point.changes,
                "parameters": point.parameters,
                "seconds": seconds,
                "left": {path.name: sha256(path) for path in left},
            },
        )


def _told(point: Point, run: Run) -> None:
    """Hold what was trained against what the notebook was told: it may have left a parameter unused.

    Raises:
        ValueError: they differ.
    """
    trained, told = run.record()["config"], as_json(point.config)
    differing = [
        f"{name} is {trained[name]!r}, not {told[name]!r}" for name in trained if trained[name] != told.get(name)
    ]
    if differing:
        raise ValueError(f"{point.notebook.name} trained another run than it was told: {'; '.join(differing)}")


def _outlive(run: Run) -> None:
    """Wait for a kernel to end whose process was killed; whoever holds the directory longer is named.

    Raises:
        RunBusyError: another process trains into it.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with run.locked():
                return
        except RunBusyError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def _seconds(run: Run) -> float:
    """What training and validation took, summed over all processes that had a part in it."""
    lines = (run.path / "timing.csv").read_text(encoding="utf-8").splitlines()[1:]
    return round(sum(float(value) for line in lines for value in line.split(",")[1:]), 1)


def main() -> int:
    """Perform the point told on standard input; the exit status says what became of it, the last line why not."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_live_no_longer, daemon=True).start()
    if job["cores"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, job["cores"])
    point = point_of(job)
    try:
        perform(point)
    except (ValueError, OSError, RuntimeError) as error:
        # The record says why a notebook failed without saying where its copy lies.
        held = read_record(point.directory / "execution.json") if isinstance(error, NotebookFailedError) else None
        print(" ".join(str((held or {}).get("reason", error)).split()))
        return 1
    return 0


def _live_no_longer() -> None:
    """End this process and all it started when standard input closes."""
    import psutil

    sys.stdin.read()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    os._exit(STOPPED)


if __name__ == "__main__":
    sys.exit(main())
