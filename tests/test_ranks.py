"""Several processes that train one network: the same losses, the same bytes after a kill, every photograph once."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from training_fixtures import PROJECT, make_photos, promised_bytes, set_options, small_config

from colorlib import ranks
from colorlib.checkpoint import checkpoint_files, load_tensors
from colorlib.runs import Run
from colorlib.trainer import Epoch, train


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("data") / "photos")


def torchrun(*arguments: object, processes: int = 2) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.Popen(
        [*command, "-m", "colorlib", *map(str, arguments), "--device", "cpu", "--threads", "1"],
        cwd=PROJECT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def workers(process: "subprocess.Popen[str]") -> list[int]:
    """The processes that torchrun started."""
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    return [int(word) for word in found.stdout.split()]


def finish(process: "subprocess.Popen[str]") -> str:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def training(photos: Path, run: Path, **changes: object) -> "subprocess.Popen[str]":
    return torchrun("train", run, "--photos", f"folder:{photos}", *set_options(**changes))


def test_a_process_alone_is_a_group_of_one():
    assert (ranks.size(), ranks.rank(), ranks.first(), ranks.on_this_machine()) == (1, 0, True, (0, 1))
    assert ranks.part(5) == range(5)
    values = torch.ones(3)
    assert ranks.total(values) is values
    assert ranks.gathered([1, 2]) == [1, 2]


@pytest.mark.parametrize("count", [0, 1, 2, 16, 17])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_parts_are_all_there_is_once_each(monkeypatch: pytest.MonkeyPatch, count: int, size: int):
    monkeypatch.setattr(ranks, "size", lambda: size)
    found = []
    for rank in range(size):
        monkeypatch.setattr(ranks, "rank", lambda rank=rank: rank)
        found.append(ranks.part(count))
    assert [place for part in found for place in part] == list(range(count))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes are found and killed as POSIX does")
def test_two_processes_train_as_one_and_a_dead_one_loses_nothing(photos: Path, tmp_path: Path):
    """Batches of 4, 4 and 1: in the last, one of the processes has no photograph."""
    settings = {"crops_per_epoch": 9, "epochs": 4, "objective": "adversarial"}
    config = small_config(photos, **settings)
    alone = [found for found in train(config, tmp_path / "one", device="cpu", threads=1) if isinstance(found, Epoch)]
    finish(training(photos, tmp_path / "two", **settings))
    run = Run(tmp_path / "two")
    for one, two in zip(alone, run.history(), strict=True):
        assert two["training_loss"] == pytest.approx(one.training_loss, rel=1e-4)
        assert two["validation_loss"] == pytest.approx(one.validation_loss, rel=1e-4)
    assert run.record()["hardware"]["processes"] == 2

    # One of them is killed after the first epoch: the other ends with a clear message, and the checkpoint is whole.
    killed = training(photos, tmp_path / "killed", **(settings | {"epochs": 400}))
    limit = time.monotonic() + 120
    while not checkpoint_files(tmp_path / "killed" / "checkpoints"):
        assert killed.poll() is None, killed.communicate()[1]
        assert time.monotonic() < limit
        time.sleep(0.01)
    os.kill(workers(killed)[1], signal.SIGKILL)
    _, errors = killed.communicate(timeout=120)
    assert killed.returncode != 0
    assert re.search(r"Signal 9|SIGKILL", errors)
    for path in checkpoint_files(tmp_path / "killed" / "checkpoints"):
        load_tensors(path)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes are found and killed as POSIX does")
def test_two_killed_processes_resume_to_the_same_bytes_and_score_each_photograph_once(photos: Path, tmp_path: Path):
    settings = {"epochs": 12}
    finish(training(photos, tmp_path / "whole", **settings))
    halted = training(photos, tmp_path / "halted", **settings)
    limit = time.monotonic() + 120
    while not checkpoint_files(tmp_path / "halted" / "checkpoints"):
        assert halted.poll() is None, halted.communicate()[1]
        assert time.monotonic() < limit
        time.sleep(0.005)
    for process in [halted.pid, *workers(halted)]:
        os.kill(process, signal.SIGKILL)
    halted.communicate()
    finish(training(photos, tmp_path / "halted", **settings))
    assert promised_bytes(tmp_path / "halted") == promised_bytes(tmp_path / "whole")

    scores = {}
    for processes in (1, 2):
        finish(torchrun("evaluate", tmp_path / "whole", "--split", "train", processes=processes))
        (table,) = (tmp_path / "whole").glob("per_image-*-train.csv")
        with table.open(newline="") as file:
            scores[processes] = [(row["image"], row["method"]) for row in csv.DictReader(file)]
        table.unlink()
    assert scores[1] == scores[2]
    assert len(set(scores[2])) == len(scores[2]) == 2 * 5
