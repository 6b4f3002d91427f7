"""Program that kills a training process, starts it again and compares the bytes; test_resume.py runs it.

    python -m helpers.kill_points writes FOLDER PHOTOS        at every write: halfway, before and after the rename
    python -m helpers.kill_points moments FOLDER PHOTOS SEED [KILLS]   at random moments, until the run is complete

It prints the outcomes as a JSON list. Each process runs the command line and is killed by SIGKILL. The processes are
forks of one that has imported torch without using it and read the source, so a kill costs a fraction of a second.
"""

import json
import os
import random
import shutil
import signal
import stat
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch._dynamo  # noqa: F401 - or each fork would import it, at its first optimizer
from helpers.training import result_bytes, set_options

import colorlib.trainer  # noqa: F401 - imported once, before the forks
from colorlib.cli import main
from colorlib.provenance import source_digest

PLACES = ("half written", "before the rename", "after the rename")
KILLS = 20


def arm(place: str, number: int, note: Path) -> None:
    """Make this process kill itself at the `number`-th file that it writes; the name of the file is left in `note`."""
    fsync, replace, count = os.fsync, os.replace, 0

    def die(name: str) -> None:
        note.write_text(name)
        os.kill(os.getpid(), signal.SIGKILL)

    def counting_fsync(handle: int) -> None:
        nonlocal count
        if not stat.S_ISREG(os.fstat(handle).st_mode):  # the folder, after the rename
            fsync(handle)
            return
        count += 1
        if place == "half written" and count == number:
            os.ftruncate(handle, os.fstat(handle).st_size // 2)
            die(f"file {number}")
        fsync(handle)

    def killing_replace(source: Path, target: Path) -> None:
        if place == "before the rename" and count == number:
            die(Path(target).name)
        replace(source, target)
        if place == "after the rename" and count == number:
            die(Path(target).name)

    os.fsync, os.replace = counting_fsync, killing_replace  # type: ignore[assignment]


def train(run: Path, photos: str, before: Callable[[], None] = lambda: None) -> int:
    """Fork a process that trains, and return its id."""
    process = os.fork()
    if process == 0:
        status = 70
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            before()
            command = ["train", str(run), "--photos", f"folder:{photos}", "--device", "cpu", "--threads", "1", "--set"]
            status = main([*command[:-1], *set_options(crops_per_epoch=6, keep_epochs=(2,))])
        except BaseException:  # noqa: BLE001 - a fork must never return into the code below
            traceback.print_exc()
        os._exit(status)
    return process


def ended(process: int) -> int:
    """Wait for a process and return its exit status; negative if a signal killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill_at_writes(folder: Path, photos: str) -> list[dict[str, object]]:
    """Kill one run at each place of each write, and start it again."""
    source_digest("colorlib.trainer")  # read once, before the forks
    assert ended(train(folder / "whole", photos)) == 0
    expected, note, outcomes = result_bytes(folder / "whole"), folder / "note", []
    for place in PLACES:
        for number in range(1, 1000):
            run = folder / "run"
            first = ended(train(run, photos, lambda: arm(place, number, note)))  # noqa: B023 - called before it changes
            if first == 0:
                break
            second = ended(train(run, photos))
            outcomes.append(
                {
                    "place": place,
                    "write": number,
                    "file": note.read_text(),
                    "statuses": [first, second],
                    "equal": result_bytes(run) == expected,
                    "leftovers": [path.name for path in run.rglob("*.tmp")],
                }
            )
            shutil.rmtree(run)
    return outcomes


def kill_at_moments(folder: Path, photos: str, seed: int, kills: int = KILLS) -> list[dict[str, Any]]:
    """Kill runs at random moments, each until one of its processes completes; at least `kills` kills in all."""
    source_digest("colorlib.trainer")
    started = time.monotonic()
    assert ended(train(folder / "whole", photos)) == 0
    duration = time.monotonic() - started
    expected, moments = result_bytes(folder / "whole"), random.Random(seed)
    outcomes: list[dict[str, Any]] = []
    while sum(len(run["statuses"]) - 1 for run in outcomes) < kills and len(outcomes) < 3 * kills:
        run, statuses = folder / "run", []
        while 0 not in statuses:
            process = train(run, photos)
            time.sleep(moments.uniform(0, duration))
            os.kill(process, signal.SIGKILL)  # an ended process keeps its id until it is waited for
            statuses.append(ended(process))
            if statuses[-1] not in (0, -signal.SIGKILL):
                break
        leftovers = [path.name for path in run.rglob("*.tmp")]
        outcomes.append({"statuses": statuses, "equal": result_bytes(run) == expected, "leftovers": leftovers})
        shutil.rmtree(run)
    return outcomes


if __name__ == "__main__":
    mode, where, pictures = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    numbers = map(int, sys.argv[4:])
    found = kill_at_writes(where, pictures) if mode == "writes" else kill_at_moments(where, pictures, *numbers)
    print(json.dumps(found))
