"""A small training that is killed without warning, resumed, and held against one that was left alone."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from colorlib.profiles import PROJECT
from colorlib.runs import Run

COMPARED = ("history.csv", "weights.safetensors")
SETTINGS = {"photos": "bundled", "epochs": 4, "crops_per_epoch": 32, "crop_size": 16, "batch_size": 8}
PATIENCE = 120.0
"""Seconds in which the first epoch must be done."""


def equal_files_after_a_kill() -> dict[str, bool]:
    """Train twice, once killed after its first epoch and started again; which result files have the same bytes.

    Raises:
        RuntimeError: a training failed, ended before it could be killed, or took too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        with _start(whole) as undisturbed:
            try:
                _kill_after_an_epoch(killed)
                _finish(_start(killed))
                _finish(undisturbed)
            finally:
                undisturbed.kill()
        return {name: (whole / name).read_bytes() == (killed / name).read_bytes() for name in COMPARED}


def _start(run: Path) -> "subprocess.Popen[bytes]":
    settings = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    return subprocess.Popen(
        [sys.executable, "-m", "colorlib", "train", str(run), *settings, "--device", "cpu"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(PROJECT), os.environ.get("PYTHONPATH", "")))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _finish(process: "subprocess.Popen[bytes]") -> None:
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a small training failed ({process.returncode}): {errors.decode().strip()}")


def _kill_after_an_epoch(run: Path) -> None:
    process = _start(run)
    try:
        limit = time.monotonic() + PATIENCE
        while not list(Run(run).checkpoints.glob("*.safetensors")):
            if process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"a small training left no checkpoint within {PATIENCE:.0f} seconds")
            time.sleep(0.005)
    finally:
        process.kill()
        process.communicate()
    if Run(run).weights.is_file():
        raise RuntimeError("a small training ended before it could be killed; make it longer")
