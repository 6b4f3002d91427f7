"""Start and stop the process of one point; imports nothing heavy.

A Dask scheduler and its workers import this module and no other of the package.
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[3]
"""The checkout on this machine; paths in jobs are relative to it, as another machine may have it elsewhere."""
EXIT_STOPPED = 75
"""Exit status of a process that was told to stop."""


def work(job: Mapping[str, Any], stop: Callable[[], bool]) -> dict[str, Any]:
    """Start a process for a job and wait for it.

    Args:
        job: a point as JSON, from `run.to_job`.
        stop: called ten times a second; the process is stopped when it returns True.

    Returns:
        `outcome` (done, failed or stopped) and, after a failure, its `reason`.
    """
    # Start the process
    code = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    directory = CHECKOUT / job["directory"]
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as stdout, (directory / "log.txt").open("w") as log:
        process = subprocess.Popen(
            # -P: the code comes from this checkout, not from the working directory, which may be another checkout
            [sys.executable, "-P", "-m", "colorlib.companion.sweeps.run"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(code)},
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the sweep alone, which then closes the pipe
        )
        assert process.stdin is not None
        # Send the job, and keep the pipe open: the process ends when it closes, also when this process is killed
        with process.stdin as pipe, contextlib.suppress(BrokenPipeError):
            pipe.write(json.dumps(job).encode() + b"\n")
            pipe.flush()
            while process.poll() is None and not stop():
                time.sleep(0.1)
        # Read the exit status and the last line of output
        status = process.wait()
        stdout.seek(0)
        lines = stdout.read().decode().splitlines()
    if status == 0:
        return {"outcome": "done"}
    if status == EXIT_STOPPED:
        return {"outcome": "stopped"}
    if status < 0:
        return {"outcome": "failed", "reason": f"its process was killed by signal {-status} (out of memory?)"}
    return {"outcome": "failed", "reason": lines[-1] if lines else f"its process ended with {status}; see log.txt"}


def work_on_cluster(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run a job on a Dask worker, until it ends or the client cancels it or disappears; returns as `work`."""
    worker = importlib.import_module("distributed").get_worker()
    key = worker.get_current_task()

    def cancelled() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return work(job, cancelled)
