"""Tests of colorlib.device: choice of the device, no waiting for a GPU, and several processes of torchrun."""

import csv
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.training import METHODS, PROJECT, SETTINGS, result_bytes, set_options, small_config
from torch.utils._python_dispatch import TorchDispatchMode

from colorlib import device as device_module
from colorlib import trainer
from colorlib.checkpoint import checkpoint_files, load_tensors
from colorlib.config import RunConfig
from colorlib.device import choose_device, dataset_device, prepare, to_device
from colorlib.evaluate import score_run
from colorlib.runs import Epoch, Run, Update
from colorlib.trainer import train

META = torch.device("meta")
CPU = torch.device("cpu")
ON_META = ["paper", *(name for name in METHODS if name != "bfloat16")]
"""Methods that run on the meta device, for which autocast is not available."""


# One process


def test_auto_prefers_cuda_then_mps_then_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "abacus", "meta", "hpu"])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(ValueError, match=rf"device={name}\b.*\bcpu\b"):
        choose_device(name)


def test_prepare_sets_the_number_of_threads(monkeypatch):
    assert prepare("cpu", threads=1) == CPU
    assert torch.get_num_threads() == 1
    monkeypatch.setattr(device_module, "usable_cores", lambda: 6)
    for processes, threads in ((1, 6), (4, 1), (3, 2), (12, 1)):
        monkeypatch.setattr(device_module, "local_world_size", lambda processes=processes: processes)
        prepare("cpu")
        assert torch.get_num_threads() == threads
    with pytest.raises(ValueError, match=r"threads=0\b.*\b1\b"):
        prepare("cpu", threads=0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has malloc_trim")
def test_freed_memory_is_released_to_the_system():
    """In a process of its own, whose memory nothing else changes."""
    script = (
        "import torch\n"
        "from colorlib.device import prepare, release_freed_memory\n"
        "def resident(): return int(open('/proc/self/statm').read().split()[1]) * 4096\n"
        "prepare('cpu', threads=1)\n"
        "blocks = [torch.ones(2**20) for _ in range(64)]\n"
        "del blocks\n"
        "before = resident()\n"
        "release_freed_memory()\n"
        "print(before - resident())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT, check=True)
    assert int(done.stdout) > 128 * 2**20


class Copies(TorchDispatchMode):
    """Counts copies of tensors from the host to the device."""

    count = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        done = func(*args, **(kwargs or {}))
        if isinstance(done, torch.Tensor) and done.device == META:
            given = [value for value in args if isinstance(value, torch.Tensor)]
            self.count += any(value.device == CPU and value.dim() > 0 for value in given)
        return done


@pytest.mark.parametrize("name", ON_META)
def test_updates_neither_wait_for_the_device_nor_copy_to_it(photos, tmp_path, monkeypatch, name):
    """Reading a value of a meta tensor fails, as the end of an epoch does, which reads the losses."""
    monkeypatch.setattr(trainer, "prepare", lambda *_: META)
    config = small_config(photos, crop_size=16, **METHODS.get(name, {}))
    loop = train(config, tmp_path)
    assert isinstance(next(loop), Update)
    with Copies() as copies:
        done = [next(loop) for _ in range(config.updates_per_epoch - 1)]
    assert all(isinstance(event, Update) for event in done)
    assert copies.count == 0
    with pytest.raises(NotImplementedError, match="no data"):
        next(loop)


def test_a_batch_of_photographs_kept_on_the_host_is_one_copy(photos, tmp_path, monkeypatch):
    """Photographs that do not fit stay on the host, and the counter of the test above counts each batch."""
    monkeypatch.setattr(trainer, "prepare", lambda *_: META)
    monkeypatch.setattr(trainer, "dataset_device", lambda *_: CPU)
    loop = train(small_config(photos), tmp_path)
    next(loop)
    with Copies() as copies:
        next(loop)
    assert copies.count == 1


def test_photographs_are_kept_on_the_gpu_if_half_of_its_free_memory_suffices(monkeypatch):
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 5000))
    assert dataset_device(500, cuda) == cuda
    assert dataset_device(501, cuda) == CPU
    assert dataset_device(501, CPU) == CPU
    assert dataset_device(1, torch.device("mps")) == CPU


def test_a_tensor_on_its_device_is_not_copied():
    values = torch.rand(3)
    assert to_device(values, CPU) is values
    assert to_device(values, META).device == META


def losses(config: RunConfig, path: Path, **options: Any) -> list[float]:
    return [event.training_loss for event in train(config, path, **options) if isinstance(event, Epoch)]


@pytest.mark.slow
def test_bfloat16_gives_close_losses(photos, tmp_path):
    settings = {"crop_size": 16, "crops_per_epoch": 24}
    exact = losses(small_config(photos, **settings), tmp_path / "exact", device="cpu")
    close = losses(small_config(photos, precision="bfloat16", **settings), tmp_path / "close", device="cpu")
    assert close != exact
    assert close == pytest.approx(exact, rel=0.02)
    weights = load_tensors(tmp_path / "close" / "weights.safetensors").state
    assert {value.dtype for value in weights.values()} == {torch.float32}


# Several processes


def torchrun(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.Popen(
        [*command, "-m", "colorlib", *map(str, arguments), "--device", "cpu", "--threads", "1"],
        cwd=PROJECT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def workers(process: "subprocess.Popen[str]") -> list[int]:
    """Return the ids of the processes that torchrun started."""
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    return [int(word) for word in found.stdout.split()]


def finish(process: "subprocess.Popen[str]") -> str:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def training(photos: Path, run: Path, **changes: object) -> "subprocess.Popen[str]":
    return torchrun("train", run, "--photos", f"folder:{photos}", *set_options(**changes))


def test_a_process_alone_is_a_group_of_one():
    assert (device_module.world_size(), device_module.rank(), device_module.is_main_process()) == (1, 0, True)
    assert (device_module.local_world_size(), device_module.local_rank()) == (1, 0)
    assert device_module.shard(5) == range(5)
    values = torch.ones(3)
    assert device_module.all_reduce_sum(values) is values
    assert device_module.all_gather([1, 2]) == [1, 2]


@pytest.mark.parametrize("count", [0, 1, 2, 16, 17])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_shards_cover_every_item_once(monkeypatch: pytest.MonkeyPatch, count: int, size: int):
    monkeypatch.setattr(device_module, "world_size", lambda: size)
    found = []
    for rank in range(size):
        monkeypatch.setattr(device_module, "rank", lambda rank=rank: rank)
        found.append(device_module.shard(count))
    assert [item for part in found for item in part] == list(range(count))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes are found and killed as POSIX does")
def test_two_processes_train_as_one_and_a_dead_one_loses_nothing(photos: Path, tmp_path: Path):
    """Train on batches of 4, 4 and 1 crops: in the last one a process has none."""
    settings = {"crops_per_epoch": 9, "epochs": 4, "objective": "adversarial"}
    config = small_config(photos, **settings)
    alone = [found for found in train(config, tmp_path / "one", device="cpu", threads=1) if isinstance(found, Epoch)]
    finish(training(photos, tmp_path / "two", **settings))
    run = Run(tmp_path / "two")
    for one, two in zip(alone, run.history(), strict=True):
        assert two["training_loss"] == pytest.approx(one.training_loss, rel=1e-4)
        assert two["validation_loss"] == pytest.approx(one.validation_loss, rel=1e-4)
    assert run.record()["hardware"]["processes"] == 2

    # Kill one process after the first epoch: the other one ends with a message, and the checkpoints stay intact.
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
    assert result_bytes(tmp_path / "halted") == result_bytes(tmp_path / "whole")

    scores = {}
    for processes in (1, 2):
        if processes == 1:
            assert list(score_run(tmp_path / "whole", split="train", device=prepare("cpu")))
        else:
            finish(torchrun("evaluate", tmp_path / "whole", "--split", "train"))
        (table,) = (tmp_path / "whole").glob("per_image-*-train.csv")
        with table.open(newline="") as file:
            scores[processes] = [(row["image"], row["method"]) for row in csv.DictReader(file)]
        table.unlink()
    assert scores[1] == scores[2]
    assert len(set(scores[2])) == len(scores[2]) == 2 * 5


# On a GPU: pytest -m gpu


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("name", ["paper", *METHODS])
def test_a_gpu_resumes_to_the_same_bytes_without_synchronization(photos, tmp_path, name):
    config = small_config(photos, crop_size=16, **METHODS.get(name, {}))
    for _ in train(config, tmp_path / "whole", device="cuda"):
        pass
    loop = train(config, tmp_path / "halted", device="cuda")
    next(loop)
    try:
        torch.cuda.set_sync_debug_mode("error")
        for _ in range(config.updates_per_epoch - 1):
            next(loop)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for _ in range(3):  # into the second epoch
        next(loop)
    loop.close()
    for _ in train(config, tmp_path / "halted", device="cuda"):
        pass
    assert result_bytes(tmp_path / "halted") == result_bytes(tmp_path / "whole")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_gives_close_losses(photos, tmp_path, precision):
    config = small_config(photos, crop_size=16, precision=precision)
    found = losses(config, tmp_path / "gpu", device="cuda")
    assert found == pytest.approx(losses(small_config(photos, crop_size=16), tmp_path / "cpu", device="cpu"), rel=0.02)
    assert math.prod(found) > 0
    assert len(found) == SETTINGS["epochs"]
