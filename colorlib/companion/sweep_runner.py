"""Running the points of a sweep: processes of this machine, or the workers of a Dask cluster.

Either way each point is a process of its own (`sweep_job`) that writes into its own directory. On a cluster the
results, and the photographs, must lie on a file system that all machines share.
"""

import contextlib
import importlib
import os
import queue
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from colorlib.companion import sweep_job
from colorlib.companion.sweep_points import Point, shown
from colorlib.companion.sweep_process import work, work_on_cluster
from colorlib.photos import open_photos

DONE, HELD, FAILED, STOPPED = "done", "done before", "failed", "stopped"
"""What can become of a point."""
LOOK = 0.5
"""Seconds between two looks at what the points have reached."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a point."""

    point: Point
    status: str
    """`DONE`, `HELD`, `FAILED` or `STOPPED`."""
    reason: str = ""
    """Why it failed."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the points are, in the order of the sweep."""

    shares: tuple[float, ...]
    """Of each point the share of its epochs that is done, in [0, 1]."""


class Future(Protocol):
    """What comes of a job, later."""

    def done(self) -> bool:
        """Whether it is known."""
        ...

    def result(self) -> Any:
        """What `sweep_process.work` returned."""
        ...


class Executor(Protocol):
    """Whatever can run jobs."""

    def submit(self, point: Point) -> Future:
        """Run a point when there is room for it."""
        ...

    def stop(self) -> None:
        """End what runs, its processes too, and drop what waits; returns when they are gone, or were told to go."""
        ...


class Processes:
    """Processes of this machine, `jobs` at a time, which share its cores."""

    def __init__(self, jobs: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=jobs)
        self._stopped = threading.Event()
        self._shares: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
        for cores in shares(_usable(), jobs):
            self._shares.put(cores)

    def submit(self, point: Point) -> Future:
        """Run a point when one of the processes before it has ended."""
        return self._pool.submit(self._work, point)

    def _work(self, point: Point) -> dict[str, Any]:
        cores = self._shares.get()
        try:
            return work(sweep_job.as_job(point, cores), self._stopped.is_set)
        finally:
            self._shares.put(cores)

    def stop(self) -> None:
        """End the processes, and wait until they have ended."""
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)


def _usable() -> list[int]:
    """The numbers of the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def shares(cores: Sequence[int], jobs: int) -> list[list[int]]:
    """Which of the `cores` each of `jobs` processes has; none named where one has all of them.

    Two trainings that both use all cores wait for each other more than they compute.
    """
    if jobs == 1:
        return [[]]
    parts = [cores[job * len(cores) // jobs : (job + 1) * len(cores) // jobs] for job in range(jobs)]
    return [list(part) or [cores[job % len(cores)]] for job, part in enumerate(parts)]


class Cluster:
    """The workers of a Dask cluster, one point for each of their threads; a point whose worker dies goes to another."""

    def __init__(self, address: str) -> None:
        try:
            # Not a plain import: who has no cluster need not have Dask, and mypy neither.
            distributed: Any = importlib.import_module("distributed")
        except ImportError as error:
            raise ValueError(
                f"--scheduler {address} needs Dask; run `pip install 'colorlib[cluster]'` (dask and distributed)"
            ) from error
        try:
            self._client = distributed.Client(address, timeout="10s", set_as_default=False)
        except (OSError, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
            raise ValueError(
                f"no Dask scheduler answers at {address} ({why}); start one with `dask scheduler`"
            ) from error
        self._futures: list[Any] = []

    def submit(self, point: Point) -> Future:
        """Run a point on some worker."""
        job = sweep_job.as_job(point)
        future: Future = self._client.submit(
            work_on_cluster, job, key=f"{shown(point.directory)}-{time.time_ns()}", pure=False
        )
        self._futures.append(future)
        return future

    def stop(self) -> None:
        """Tell the workers to end what they run for this sweep."""
        self._client.cancel(self._futures)
        self._client.close()


def run_points(points: Sequence[Point], executor: Executor) -> Generator[Progress | Outcome]:
    """Run the points that are not up to date.

    Yields:
        Of each point its `Outcome`, those that were done before first; between them `Progress`, twice a second.

    Raises:
        ValueError: photographs are not on this machine, or not what they should be; nothing was started.
    """
    for photos, split in dict.fromkeys(
        (p.config.photos, split) for p in points for split in ("train", "val", p.scored)
    ):
        open_photos(photos, split)
    held = [point for point in points if sweep_job.up_to_date(point)]
    waiting: dict[Future, Point] = {}
    reached = {id(point): 1.0 for point in held}
    try:
        yield from (Outcome(point=point, status=HELD) for point in held)
        for point in points:
            if id(point) not in reached:
                waiting[executor.submit(point)] = point
        while waiting:
            for future in [future for future in waiting if future.done()]:
                point = waiting.pop(future)
                reached[id(point)] = 1.0
                yield _outcome(point, future)
            reached |= {id(point): _share(point) for point in waiting.values()}
            yield Progress(shares=tuple(reached[id(point)] for point in points))
            time.sleep(LOOK if waiting else 0)
    finally:
        executor.stop()


def _outcome(point: Point, future: Future) -> Outcome:
    try:
        found = future.result()
    except Exception as error:  # noqa: BLE001 - whatever ended it, on whichever machine: the other points go on
        return Outcome(point=point, status=FAILED, reason=f"{type(error).__name__}: {error}")
    if found["outcome"] == "done" and sweep_job.finished(point) is None:
        return Outcome(
            point=point,
            status=FAILED,
            reason=f"{shown(point.directory)} is not here: all machines must share the file system of the results",
        )
    return Outcome(point=point, status=found["outcome"], reason=found.get("reason", ""))


def _share(point: Point) -> float:
    """The share of a point's epochs in its history."""
    with contextlib.suppress(FileNotFoundError):
        lines = (point.directory / "history.csv").read_text(encoding="utf-8").count("\n")
        return min(max(lines - 1, 0) / point.config.epochs, 1.0)
    return 0.0
