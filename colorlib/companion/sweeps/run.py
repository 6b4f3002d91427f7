"""Run the points of a sweep: in processes of this machine, or on the workers of a Dask cluster.

Each point is a process of its own that writes into its own run directory. The results and the photographs must lie on
a file system that all machines share. Started as a program, this module runs the one point that standard input names.
"""

import contextlib
import importlib
import json
import os
import queue
import shutil
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import filelock

from colorlib.companion.notebooks import Execution, NotebookFailedError, execute, read_record
from colorlib.companion.sweeps.process import EXIT_STOPPED, work, work_on_cluster
from colorlib.companion.sweeps.spec import Point, make_point
from colorlib.config import as_json
from colorlib.files import check_fields, sha256, unchanged, write_json
from colorlib.photos import open_photos
from colorlib.profiles import PROJECT, display_path
from colorlib.runs import Run, RunBusyError, score_files

DONE, DONE_BEFORE, FAILED, STOPPED = "done", "done before", "failed", "stopped"
"""Values of `Outcome.status`."""
POLL_SECONDS = 0.5
"""Time between two `Progress` events."""
RECORD = "point.json"
"""File that a finished point writes last: its settings, and the SHA-256 of its files."""
CONNECT_SECONDS = 10
"""Time in which a Dask scheduler must answer."""
KERNEL_TIMEOUT = 30.0
"""Seconds to wait for the kernel of a killed process to end; ipykernel checks its parent once a second."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of one point."""

    point: Point
    status: str
    """`DONE`, `DONE_BEFORE`, `FAILED` or `STOPPED`."""
    reason: str = ""
    """Reason of a failure."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of all points, in the order of the sweep."""

    fractions: tuple[float, ...]
    """Of each point the fraction of its epochs that is done, in [0, 1]."""


class Future(Protocol):
    """Result of a job, available later."""

    def done(self) -> bool:
        """Return whether the result is available."""
        ...

    def result(self) -> Any:
        """Return the dictionary from `process.work`, or raise what ended the job."""
        ...


class Executor(Protocol):
    """Runs points: `Processes` or `Cluster`."""

    def submit(self, point: Point) -> Future:
        """Run a point as soon as there is room for it."""
        ...

    def stop(self) -> None:
        """Stop running points, their processes included, and drop waiting ones."""
        ...


def run_points(points: Sequence[Point], executor: Executor) -> Generator[Progress | Outcome]:
    """Run the points that are not up to date.

    Yields:
        An `Outcome` of each point, those that were done before first; between them `Progress`, twice a second.

    Raises:
        ValueError: photographs are not on this machine, or fail their checks; nothing was started.
    """
    # Open the photographs, which checks them
    for photos, split in dict.fromkeys(
        (p.config.photos, split) for p in points for split in ("train", "val", p.scored)
    ):
        open_photos(photos, split)
    finished_before = [point for point in points if up_to_date(point)]
    waiting: dict[Future, Point] = {}
    fractions = {id(point): 1.0 for point in finished_before}
    try:
        # Report points that are up to date, and submit the others
        yield from (Outcome(point=point, status=DONE_BEFORE) for point in finished_before)
        for point in points:
            if id(point) not in fractions:
                waiting[executor.submit(point)] = point
        # Report outcomes and progress until the last point has ended
        while waiting:
            for future in [future for future in waiting if future.done()]:
                point = waiting.pop(future)
                fractions[id(point)] = 1.0
                yield _outcome(point, future)
            fractions |= {id(point): _fraction(point) for point in waiting.values()}
            yield Progress(fractions=tuple(fractions[id(point)] for point in points))
            time.sleep(POLL_SECONDS if waiting else 0)
    finally:
        executor.stop()


def _outcome(point: Point, future: Future) -> Outcome:
    try:
        result = future.result()
    except Exception as error:  # noqa: BLE001 - whatever ended it, on any machine: the other points go on
        return Outcome(point=point, status=FAILED, reason=f"{type(error).__name__}: {error}")
    if result["outcome"] == "done" and finished(point) is None:
        return Outcome(
            point=point,
            status=FAILED,
            reason=f"{display_path(point.directory)} is not here: all machines must share the results' file system",
        )
    return Outcome(point=point, status=result["outcome"], reason=result.get("reason", ""))


def _fraction(point: Point) -> float:
    """Return the fraction of a point's epochs that its history holds."""
    with contextlib.suppress(FileNotFoundError):
        lines = (point.directory / "history.csv").read_text(encoding="utf-8").count("\n")
        return min(max(lines - 1, 0) / point.config.epochs, 1.0)
    return 0.0


class Processes:
    """Executor on this machine: `jobs` processes at a time, which share its cores."""

    def __init__(self, jobs: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=jobs)
        self._stopped = threading.Event()
        self._free_cores: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
        for cores in split_cores(_usable_cores(), jobs):
            self._free_cores.put(cores)

    def submit(self, point: Point) -> Future:
        """Run a point as soon as one of the processes before it has ended."""
        return self._pool.submit(self._work, point)

    def _work(self, point: Point) -> dict[str, Any]:
        cores = self._free_cores.get()
        try:
            return work(to_job(point, cores), self._stopped.is_set)
        finally:
            self._free_cores.put(cores)

    def stop(self) -> None:
        """Stop the processes, and wait until they have ended."""
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)


def _usable_cores() -> list[int]:
    """Return the numbers of the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def split_cores(cores: Sequence[int], jobs: int) -> list[list[int]]:
    """Split `cores` into `jobs` lists; an empty list stands for all cores, where there is one job.

    Two trainings that both use all cores wait for each other more than they compute.
    """
    if jobs == 1:
        return [[]]
    parts = [cores[job * len(cores) // jobs : (job + 1) * len(cores) // jobs] for job in range(jobs)]
    return [list(part) or [cores[job % len(cores)]] for job, part in enumerate(parts)]


def _connect(distributed: Any, address: str, found: "queue.SimpleQueue[Any]") -> None:
    """Put a client of the scheduler, or the error, into `found`."""
    try:
        found.put(distributed.Client(address, timeout=f"{CONNECT_SECONDS}s", set_as_default=False))
    except (OSError, ValueError) as error:
        found.put(error)


class Cluster:
    """Executor on a Dask cluster: one point per thread of a worker; if a worker dies, another takes its point."""

    def __init__(self, address: str) -> None:
        """Connect to the scheduler at `address`.

        Raises:
            ValueError: Dask is not installed, or no scheduler answers.
        """
        try:
            # Imported by name: Dask is optional, for users and for mypy.
            distributed: Any = importlib.import_module("distributed")
        except ImportError as error:
            raise ValueError(
                f"--scheduler {address} needs Dask; run `pip install 'colorlib[cluster]'` (dask and distributed)"
            ) from error
        # In a thread: a port that accepts connections and says nothing would keep the client waiting for ever
        found: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=_connect, args=(distributed, address, found), daemon=True).start()
        try:
            client = found.get(timeout=CONNECT_SECONDS)
        except queue.Empty:
            client = TimeoutError(f"nothing within {CONNECT_SECONDS} s")
        if isinstance(client, Exception):
            why = f"{type(client).__name__}: {client}"
            raise ValueError(  # noqa: TRY004
                f"no Dask scheduler answers at {address} ({why}); start one with `dask scheduler`"
            ) from client
        self._client = client
        self._futures: list[Any] = []

    @property
    def workers(self) -> int:
        """The number of workers at the moment; without any, points wait."""
        return len(self._client.scheduler_info()["workers"])

    def submit(self, point: Point) -> Future:
        """Run a point on a worker."""
        job = to_job(point)
        future: Future = self._client.submit(
            work_on_cluster, job, key=f"{display_path(point.directory)}-{time.time_ns()}", pure=False
        )
        self._futures.append(future)
        return future

    def stop(self) -> None:
        """Tell the workers to stop this sweep's jobs; does not wait for them."""
        self._client.cancel(self._futures)
        self._client.close()


# The state of a point


def metrics_file(point: Point) -> Path:
    """Return the path of the metrics of a point on its scored split."""
    return score_files(point.directory, point.config.photos, point.scored, own=point.config.photos)[0]


def finished(point: Point) -> dict[str, Any] | None:
    """Return the record of a point that is finished and whose files are unchanged, else None.

    Files that are not committed, such as the weights, may be missing, but must not differ.
    """
    record = read_record(point.directory / RECORD)
    try:
        check_fields(record, {"seed": int, "seconds": float, "left": dict})
    except ValueError:
        return None
    # What the summary reads; all of it is committed
    needed = [point.directory / "run.json", point.directory / "history.csv", metrics_file(point)]
    if record is None or not all(path.is_file() and path.name in record["left"] for path in needed):
        return None
    digests = {point.directory / name: digest for name, digest in record["left"].items()}
    return record if unchanged({path: digest for path, digest in digests.items() if path.is_file()}) else None


def up_to_date(point: Point) -> bool:
    """Return whether a point is finished and was trained on the photographs that are on this machine.

    Raises:
        ValueError: its photographs are not on this machine, or fail their checks.
    """
    if finished(point) is None:
        return False
    photos = Run(point.directory).record().get("photos", {})
    return all(used["sha256"] == open_photos(point.config.photos, split).digest for split, used in photos.items())


def reset(point: Point) -> None:
    """Delete a point's record and checkpoints, so that it is trained again from the start."""
    (point.directory / RECORD).unlink(missing_ok=True)
    shutil.rmtree(point.directory / "checkpoints", ignore_errors=True)


# A point as a process


def to_job(point: Point, cores: Sequence[int] = ()) -> dict[str, Any]:
    """Return a point as JSON values, with paths relative to the checkout, which another machine may have elsewhere."""
    return {
        "results": display_path(point.directory.parent),
        "directory": display_path(point.directory),
        "name": point.name,
        "seed": point.seed,
        "changes": point.changes,
        "parameters": {key: value for key, value in point.parameters.items() if key not in point.changes},
        "notebook": display_path(point.notebook),
        "photos": point.config.photos,
        "scored": point.scored,
        "cores": list(cores),
    }


def from_job(job: Mapping[str, Any]) -> Point:
    """Return the point of a job from `to_job`, with the paths of this machine."""
    return make_point(
        PROJECT / job["results"],
        job["name"],
        job["changes"],
        job["parameters"] | {"seed": job["seed"]},
        PROJECT / job["notebook"],
        photos=job["photos"],
        scored=job["scored"],
    )


def main() -> int:
    """Run the point whose job is read from standard input; print the reason of a failure, and return 1 then."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=exit_with_parent, daemon=True).start()
    if job["cores"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, job["cores"])
    point = from_job(job)
    try:
        run_point(point)
    except (ValueError, OSError, RuntimeError) as error:
        # The record of a failed notebook has the reason without the path of the failed copy.
        record = read_record(point.directory / "execution.json") if isinstance(error, NotebookFailedError) else None
        print(" ".join(str((record or {}).get("reason", error)).split()))
        return 1
    return 0


def exit_with_parent() -> None:
    """Wait until standard input closes; then kill all child processes and exit."""
    import psutil

    sys.stdin.read()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    os._exit(EXIT_STOPPED)


def run_point(point: Point, kernel_timeout: float = KERNEL_TIMEOUT) -> None:
    """Execute a point's notebook unless it is up to date; waits while another process runs the same point.

    Args:
        point: the point.
        kernel_timeout: seconds to wait for the kernel of a killed process to leave the run directory.

    Raises:
        ValueError: its photographs or settings do not fit.
        NotebookFailedError: its notebook failed.
        RunBusyError: another process trains into its run directory.
    """
    run = Run(point.directory)
    run.path.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(run.path / "point.lock"):
        # Skip a point that is up to date
        if up_to_date(point):
            return
        wait_for_orphaned_kernel(run, kernel_timeout)
        # Train and score
        execute(
            Execution(
                notebook=point.notebook,
                output=run.path / point.notebook.name,
                record=run.path / "execution.json",
                # "restart" discards checkpoints of another source tree. Those of other settings cannot be here, as
                # the settings name the directory.
                parameters=point.parameters
                | {"run": display_path(run.path), "seed": point.seed, "mode": "restart", "scored": point.scored},
                outputs=(run.path / "history.csv", run.weights, metrics_file(point)),
                keep=(run.path / "run.json",),
            )
        )
        record_point(point, run)


def record_point(point: Point, run: Run) -> None:
    """Record that a point is trained and scored: write its settings and the SHA-256 of its files.

    Args:
        point: the point.
        run: its run directory.
    """
    check_trained_config(point, run)
    files = [run.path / "run.json", run.path / "history.csv", run.weights, *sorted(run.path.glob("metrics*.json"))]
    write_json(
        run.path / RECORD,
        {
            "sweep": point.sweep,
            "point": point.name,
            "seed": point.seed,
            "changes": point.changes,
            "parameters": point.parameters,
            "seconds": _training_seconds(run),
            "left": {path.name: sha256(path) for path in files},
        },
    )


def wait_for_orphaned_kernel(run: Run, seconds: float) -> None:
    """Wait for the kernel of a killed process to end, which still holds the run directory's lock.

    Raises:
        RunBusyError: the directory is still locked after `seconds`; the message names the process.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            with run.locked():
                return
        except RunBusyError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def check_trained_config(point: Point, run: Run) -> None:
    """Check that the notebook trained with the point's settings; it may have ignored a parameter.

    Raises:
        ValueError: they differ; the message names the settings.
    """
    trained, expected = run.record()["config"], as_json(point.config)
    differing = [
        f"{name} is {trained[name]!r}, not {expected[name]!r}"
        for name in trained
        if trained[name] != expected.get(name)
    ]
    if differing:
        raise ValueError(f"{point.notebook.name} trained another run than its parameters say: {'; '.join(differing)}")


def _training_seconds(run: Run) -> float:
    """Return the seconds of training and validation, summed over a run and its resumed parts."""
    return round(sum(row["training_seconds"] + row["validation_seconds"] for row in run.timing()), 1)


if __name__ == "__main__":
    sys.exit(main())
