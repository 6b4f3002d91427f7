"""A run that is killed at any moment and started again ends with the same bytes as one that ran through."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from training_fixtures import PROJECT, make_photos, promised_bytes, set_options, small_config

from colorlib.checkpoint import load_newest
from colorlib.trainer import Epoch, train


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Epoch]]:
    """A run that ran through, and its epochs."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    measured = list(train(small_config(photos), run, device="cpu", threads=1))
    return run, [found for found in measured if isinstance(found, Epoch)]


@pytest.mark.parametrize("events", [(1,), (3,), (4,), (5, 1, 9), (2, 2, 2, 11)])
def test_a_closed_generator_started_again_ends_with_the_same_bytes(photos, whole, tmp_path, events):
    """`events` updates and epochs are awaited in each life; what a resumed life repeats counts too."""
    config = small_config(photos)
    for count in events:
        loop = train(config, tmp_path, device="cpu", threads=1)
        for _ in range(count):
            next(loop)
        loop.close()
        assert not (tmp_path / "weights.safetensors").exists()
    epochs = [found for found in train(config, tmp_path, device="cpu", threads=1) if isinstance(found, Epoch)]
    assert promised_bytes(tmp_path) == promised_bytes(whole[0])
    assert epochs == whole[1], "whoever listens to a resumed run sees the whole history"


def test_the_number_of_epochs_to_come_does_not_change_those_before(photos, whole, tmp_path):
    """No schedule, sampler or generator carries state: a shorter run is the longer one's beginning."""
    epochs = list(train(small_config(photos, epochs=2), tmp_path, device="cpu", threads=1))
    assert [found for found in epochs if isinstance(found, Epoch)] == whole[1][:2]
    assert (tmp_path / "epochs" / "epoch-002.safetensors").read_bytes() == promised_bytes(whole[0])[
        "epochs/epoch-002.safetensors"
    ]


# Real processes, really killed


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


@pytest.mark.slow
def test_killed_at_random_moments(photos, tmp_path):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed of the moments: {seed}")
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
            (run / "run.lock.json").unlink(missing_ok=True)  # so that its return says that the next process has begun
            process = start(run, photos, log, **changes)
            wait_for(run / "run.lock.json", process, log)
            time.sleep(moments.uniform(0, duration))
            process.send_signal(signal.SIGKILL)
            if process.wait() == 0:
                duration /= 2  # the machine is faster now than in the undisturbed run: too late a moment kills nothing
                break
            assert process.returncode == -signal.SIGKILL, log.read_text()
            checkpoint, complaints = load_newest(run / "checkpoints")
            assert complaints == []
            steps[-1].append(checkpoint.step if checkpoint else 0)
        assert start(run, photos, log, **changes).wait() == 0, log.read_text()
        assert promised_bytes(run) == promised_bytes(whole), f"seed {seed}"
        assert len(promised_bytes(run)) == 6
        assert not list(run.rglob("*.tmp"))
    print(f"killed after updates {steps}")
    assert kills >= 5


def kill_points(*arguments: object) -> list[dict]:
    driver = [sys.executable, PROJECT / "tests" / "kill_points.py", *map(str, arguments)]
    done = subprocess.run(driver, cwd=PROJECT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the kills are cheap only where processes can fork")
def test_killed_at_every_write(photos, tmp_path):
    happened = kill_points("writes", tmp_path, photos)
    wrong = [kill for kill in happened if not kill["equal"] or kill["leftovers"] or kill["statuses"] != [-9, 0]]
    assert wrong == []
    renamed = [kill["file"] for kill in happened if kill["place"] == "after the rename"]
    epoch = ["history.csv", "timing.csv"]
    assert renamed == [
        *("run.lock.json", "run.json"),
        *("update-00000002.safetensors", *epoch),
        *("epoch-002.safetensors", "update-00000004.safetensors", *epoch),
        *("update-00000006.safetensors", *epoch),
        "weights.safetensors",
    ]
    assert len(happened) == 3 * len(renamed)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the kills are cheap only where processes can fork")
def test_killed_many_times(photos, tmp_path):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed of the moments: {seed}")
    happened = kill_points("moments", tmp_path, photos, seed)
    wrong = [run for run in happened if not run["equal"] or run["leftovers"] or run["statuses"][-1] != 0]
    assert wrong == [], f"seed {seed}"
    kills = sum(len(run["statuses"]) - 1 for run in happened)
    print(f"{kills} kills in {len(happened)} runs")
    assert kills >= 20, f"seed {seed}"


@pytest.mark.slow
def test_interrupted_from_the_keyboard(photos, tmp_path):
    log, run, whole = tmp_path / "log", tmp_path / "run", tmp_path / "whole"
    assert start(whole, photos, log, epochs=6).wait() == 0, log.read_text()
    process = start(run, photos, log, epochs=6)
    wait_for(run / "history.csv", process, log)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130, log.read_text()
    assert "interrupted; the same command goes on from the last checkpoint" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert not (run / "weights.safetensors").exists()
    assert start(run, photos, log, epochs=6).wait() == 0, log.read_text()
    assert promised_bytes(run) == promised_bytes(whole)
