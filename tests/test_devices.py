"""Where training computes: nothing in it makes a GPU wait, and what is computed in fewer bits stays close."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from training_fixtures import METHODS, SETTINGS, make_photos, promised_bytes, small_config

from colorlib import color, trainer
from colorlib.checkpoint import load_tensors
from colorlib.config import RunConfig
from colorlib.devices import keeper, send
from colorlib.measurements import Epoch, Update
from colorlib.trainer import train

META = torch.device("meta")
CPU = torch.device("cpu")
ROWS = {name: METHODS[name] for name in METHODS if name != "bfloat16"}  # autocast knows no meta device


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("data") / "photos")


class Copies(TorchDispatchMode):
    """Counts what is copied from the host to the device."""

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


@pytest.mark.parametrize("name", ["paper", *ROWS])
def test_updates_neither_wait_for_the_device_nor_copy_to_it(photos, tmp_path, monkeypatch, name):
    """A meta tensor has no values: whoever asks for one fails. The epoch's end does, for its losses."""
    monkeypatch.setattr(trainer, "prepare", lambda *_: META)
    config = small_config(photos, crop_size=16, **ROWS.get(name, {}))
    loop = train(config, tmp_path)
    assert isinstance(next(loop), Update)
    with Copies() as copies:
        done = [next(loop) for _ in range(config.updates_per_epoch - 1)]
    assert all(isinstance(event, Update) for event in done)
    assert copies.count == 0
    with pytest.raises(NotImplementedError, match="no data"):
        next(loop)


def test_what_copies_are_is_known(photos, tmp_path, monkeypatch):
    """Photographs that do not fit stay with the host, and each batch is one copy."""
    monkeypatch.setattr(trainer, "prepare", lambda *_: META)
    monkeypatch.setattr(trainer, "keeper", lambda *_: CPU)
    loop = train(small_config(photos), tmp_path)
    next(loop)
    with Copies() as copies:
        next(loop)
    assert copies.count == 1


def test_photographs_stay_where_half_of_the_memory_suffices(monkeypatch):
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 5000))
    assert keeper(500, cuda) == cuda
    assert keeper(501, cuda) == CPU
    assert keeper(501, CPU) == CPU
    assert keeper(1, torch.device("mps")) == CPU


def test_what_is_there_is_not_sent():
    values = torch.rand(3)
    assert send(values, CPU) is values
    assert send(values, META).device == META


def test_constants_first_asked_for_by_validation_serve_training():
    for made in (color._ratios_from_linear, color._linear_from_ratios):
        made.cache_clear()  # type: ignore[attr-defined]
    with torch.inference_mode():
        color.lab_to_rgb(color.rgb_to_lab(torch.rand(1, 3, 4, 4)))
    lab = (torch.rand(1, 3, 4, 4) * 50).requires_grad_()
    color.lab_to_rgb(lab).sum().backward()
    assert lab.grad is not None
    assert lab.grad.abs().sum() > 0


def losses(config: RunConfig, path: Path, **options: Any) -> list[float]:
    return [event.training_loss for event in train(config, path, **options) if isinstance(event, Epoch)]


@pytest.mark.slow
def test_fewer_bits_give_close_losses(photos, tmp_path):
    settings = {"crop_size": 16, "crops_per_epoch": 24}
    exact = losses(small_config(photos, **settings), tmp_path / "exact", device="cpu")
    close = losses(small_config(photos, precision="bfloat16", **settings), tmp_path / "close", device="cpu")
    assert close != exact
    assert close == pytest.approx(exact, rel=0.02)
    weights = load_tensors(tmp_path / "close" / "weights.safetensors").state
    assert {value.dtype for value in weights.values()} == {torch.float32}


# On a GPU: pytest -m gpu


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("name", ["paper", *METHODS])
def test_a_gpu_resumes_to_the_same_bytes_and_is_not_waited_for(photos, tmp_path, name):
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
    assert promised_bytes(tmp_path / "halted") == promised_bytes(tmp_path / "whole")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_finds_close_losses(photos, tmp_path, precision):
    config = small_config(photos, crop_size=16, precision=precision)
    found = losses(config, tmp_path / "gpu", device="cuda")
    assert found == pytest.approx(losses(small_config(photos, crop_size=16), tmp_path / "cpu", device="cpu"), rel=0.02)
    assert math.prod(found) > 0
    assert len(found) == SETTINGS["epochs"]
