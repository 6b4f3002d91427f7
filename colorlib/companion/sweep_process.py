"""Starting the process of one point, and ending it, from whichever process that is: nothing heavy is imported here.

A Dask scheduler and its workers import this module and no other of the package.
"""

import contextlib
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
"""What paths in jobs are relative to: on another machine it may lie elsewhere."""
STOPPED = 75
"""Exit status of a process that was told to stop."""


def work(job: Mapping[str, Any], stop: Callable[[], bool]) -> dict[str, Any]:
    """Start a process for a job and wait for it; returns what became of it, as `outcome` and `reason`.

    Args:
        job: what `sweep_job.as_job` made.
        stop: asked several times a second whether the process should end.
    """
    directory = CHECKOUT / job["directory"]
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as said, (directory / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "colorlib.companion.sweep_job"],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the sweep alone, which then closes the pipe
        )
        assert process.stdin is not None
        with process.stdin as lifeline, contextlib.suppress(BrokenPipeError):
            lifeline.write(json.dumps(job).encode() + b"\n")
            lifeline.flush()
            while process.poll() is None and not stop():
                time.sleep(0.1)
        status = process.wait()
        said.seek(0)
        lines = said.read().decode().splitlines()
    if status == 0:
        return {"outcome": "done"}
    if status == STOPPED:
        return {"outcome": "stopped"}
    if status < 0:
        return {"outcome": "failed", "reason": f"its process was killed by signal {-status} (out of memory?)"}
    return {"outcome": "failed", "reason": lines[-1] if lines else f"its process ended with {status}; see log.txt"}


def work_on_cluster(job: Mapping[str, Any]) -> dict[str, Any]:
    """What a Dask worker runs: a process for the job, which ends when the client cancels it or is gone."""
    worker = importlib.import_module("distributed").get_worker()
    key = worker.get_current_task()

    def cancelled() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return work(job, cancelled)
