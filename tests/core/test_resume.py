"""Resuming: a run that is killed at any moment and started again ends with the same bytes as an uninterrupted run."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers.training import METHODS, PROJECT, result_bytes, set_options, small_config, start_run, train_run

from colorlib.checkpoint import load_newest
from colorlib.colorizers import load_run
from colorlib.runs import Epoch, Run, epoch_of_row


@pytest.mark.parametrize("events", [(1,), (3,), (4,), (5, 1, 9), (2, 2, 2, 11)])
def test_a_closed_generator_started_again_ends_with_the_same_bytes(photos, finished, tmp_path, events):
    """Each process of the run is closed after so many events; epochs that a resumed process repeats are events too."""
    config = small_config(photos)
    for count in events:
        loop = start_run(config, tmp_path)
        for _ in range(count):
            next(loop)
        loop.close()
        assert not (tmp_path / "weights.safetensors").exists()
    epochs = [event for event in train_run(config, tmp_path) if isinstance(event, Epoch)]
    assert result_bytes(tmp_path) == result_bytes(finished)
    assert epochs == [epoch_of_row(row) for row in Run(finished).history()], "a resumed run yields its whole history"


def test_the_number_of_epochs_to_come_does_not_change_those_before(photos, finished, tmp_path):
    """No schedule, sampler or generator has state: a run of two epochs is the beginning of a run of three."""
    train_run(small_config(photos, epochs=2), tmp_path)
    assert Run(tmp_path).history() == Run(finished).history()[:2]
    name = "epochs/epoch-002.safetensors"
    assert result_bytes(tmp_path)[name] == result_bytes(finished)[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_every_method_resumes_to_the_same_bytes_and_colors(photos, tmp_path, name):
    config = small_config(photos, crop_size=16, **METHODS[name])
    events = train_run(config, tmp_path / "whole", threads=None)
    assert all(math.isfinite(event.training_loss) for event in events if isinstance(event, Epoch))
    loop = start_run(config, tmp_path / "interrupted", threads=None)
    for _ in range(6):  # into the second epoch
        next(loop)
    loop.close()
    train_run(config, tmp_path / "interrupted", threads=None)
    assert result_bytes(tmp_path / "interrupted") == result_bytes(tmp_path / "whole")
    colored = load_run(tmp_path / "whole")(torch.rand(1, 1, 19, 21) * 100)
    assert colored.shape == (1, 3, 19, 21)
    assert ((colored >= 0) & (colored <= 1)).all()


# Processes that are killed


def command(run: Path, photos: Path, **changes: object) -> list[str]:
    options = ["--photos", f"folder:{photos}", "--device", "cpu", "--threads", "1", *set_options(**changes)]
    return [sys.executable, "-m", "colorlib", "train", str(run), *options]


def start(run: Path, photos: Path, log: Path, **changes: object) -> subprocess.Popen[bytes]:
    with log.open("ab") as errors:
        return subprocess.Popen(
            command(run, photos, **changes),
            cwd=PROJECT,
            stdout=errors,
            stderr=errors,
            # A shell's background jobs ignore Ctrl-C, and so would the children of tests that run in one.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def wait_for(path: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.is_file() and process.poll() is None:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)


@pytest.mark.campaign
def test_killed_at_random_moments(photos, tmp_path):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed of the random moments: {seed}")
    moments, log, changes = random.Random(seed), tmp_path / "log", {"epochs": 12, "keep_epochs": (1, 2, 5, 10)}
    whole = tmp_path / "whole"
    process = start(whole, photos, log, **changes)
    wait_for(whole / "run.lock.json", process, log)
    begun = time.monotonic()
    assert process.wait() == 0, log.read_text()
    duration = time.monotonic() - begun

    steps: list[list[int]] = []
    while (kills := sum(map(len, steps))) < 5 and len(steps) < 8:
        run = tmp_path / f"run-{len(steps)}"
        steps.append([])
        for _ in range(5 - kills):
            (run / "run.lock.json").unlink(missing_ok=True)  # its return shows that the next process has begun
            process = start(run, photos, log, **changes)
            wait_for(run / "run.lock.json", process, log)
            time.sleep(moments.uniform(0, duration))
            process.send_signal(signal.SIGKILL)
            if process.wait() == 0:
                duration /= 2  # the machine is faster now than in the undisturbed run: too late a moment kills nothing
                break
            assert process.returncode == -signal.SIGKILL, log.read_text()
            checkpoint, damaged = load_newest(run / "checkpoints")
            assert damaged == []
            steps[-1].append(checkpoint.step if checkpoint else 0)
        assert start(run, photos, log, **changes).wait() == 0, log.read_text()
        assert result_bytes(run) == result_bytes(whole), f"seed {seed}"
        assert len(result_bytes(run)) == 6
        assert not list(run.rglob("*.tmp"))
    print(f"killed after updates {steps}")
    assert kills >= 5


def kill_points(*arguments: object) -> list[dict]:
    driver = [sys.executable, "-m", "helpers.kill_points", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "tests")])}
    done = subprocess.run(driver, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the kills are cheap only where processes can fork")
def test_killed_at_every_write(photos, tmp_path):
    outcomes = kill_points("writes", tmp_path, photos)
    wrong = [kill for kill in outcomes if not kill["equal"] or kill["leftovers"] or kill["statuses"] != [-9, 0]]
    assert wrong == []
    renamed = [kill["file"] for kill in outcomes if kill["place"] == "after the rename"]
    epoch = ["history.csv", "timing.csv"]
    assert renamed == [
        *("run.lock.json", "run.json"),
        *("update-00000002.safetensors", *epoch),
        *("epoch-002.safetensors", "update-00000004.safetensors", *epoch),
        *("update-00000006.safetensors", *epoch),
        "weights.safetensors",
    ]
    assert len(outcomes) == 3 * len(renamed)


@pytest.mark.campaign
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the kills are cheap only where processes can fork")
def test_killed_many_times(photos, tmp_path):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed of the random moments: {seed}")
    outcomes = kill_points("moments", tmp_path, photos, seed)
    wrong = [run for run in outcomes if not run["equal"] or run["leftovers"] or run["statuses"][-1] != 0]
    assert wrong == [], f"seed {seed}"
    kills = sum(len(run["statuses"]) - 1 for run in outcomes)
    print(f"{kills} kills in {len(outcomes)} runs")
    assert kills >= 20, f"seed {seed}"


@pytest.mark.slow
def test_interrupted_from_the_keyboard(photos, tmp_path):
    log, run, whole = tmp_path / "log", tmp_path / "run", tmp_path / "whole"
    assert start(whole, photos, log, epochs=6).wait() == 0, log.read_text()
    process = start(run, photos, log, epochs=6)
    wait_for(run / "history.csv", process, log)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130, log.read_text()
    last = log.read_text().splitlines()[-1]
    assert "interrupted" in last
    assert "checkpoint" in last
    assert "Traceback" not in log.read_text()
    assert not (run / "weights.safetensors").exists()
    assert start(run, photos, log, epochs=6).wait() == 0, log.read_text()
    assert result_bytes(run) == result_bytes(whole)
