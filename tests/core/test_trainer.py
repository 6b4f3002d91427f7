"""Training: the events and files of a run, its recovery from failures, and its arithmetic against NumPy."""

import errno
import json
import math
import os
import re
import subprocess
import tempfile

import numpy as np
import pytest
import torch
from helpers.training import (
    METHODS,
    UPDATES,
    contents,
    newest_step,
    notices,
    result_bytes,
    set_options,
    small_config,
    start_run,
    train_run,
    updates,
)
from skimage.color import rgb2lab
from torch.nn import functional

from colorlib.checkpoint import KEEP, checkpoint_files, load_newest
from colorlib.cli import main
from colorlib.colorizers import load_run
from colorlib.data import Augmentation, TrainingPhotos, center_crops
from colorlib.losses import OBJECTIVES, PixelMSE
from colorlib.photos import open_photos
from colorlib.runs import Epoch, Run
from colorlib.trainer import NonFiniteLossError, build_network

# Events and files


def test_a_run_yields_its_updates_and_epochs_and_writes_its_files(photos, tmp_path):
    seen = []
    for event in start_run(small_config(photos), tmp_path):
        if not seen:
            assert (tmp_path / "run.json").is_file(), "hashes are computed before the first update"
        seen.append((type(event).__name__, event.step))
    assert seen == [
        (kind, step)
        for step in range(1, UPDATES + 1)
        for kind in (("Update", "Epoch") if step % 3 == 0 else ("Update",))
    ]
    assert sorted(contents(tmp_path)) == [
        "checkpoints/update-00000006.safetensors",
        "checkpoints/update-00000009.safetensors",
        "epochs/epoch-001.safetensors",
        "epochs/epoch-002.safetensors",
        "history.csv",
        "run.json",
        "run.lock",
        "timing.csv",
        "weights.safetensors",
    ]
    assert len(checkpoint_files(tmp_path / "checkpoints")) == KEEP


def test_a_finished_run_started_again_only_yields_its_history(finished_copy, photos):
    before = contents(finished_copy)
    events = train_run(small_config(photos), finished_copy)
    assert [type(event) for event in events] == [Epoch] * 3
    assert [event.training_loss for event in events] == [row["training_loss"] for row in Run(finished_copy).history()]
    assert contents(finished_copy) == before


def test_evaluation_between_epochs_changes_nothing(finished, photos, tmp_path):
    """Neither evaluating a network between updates nor drawing random numbers elsewhere changes the run."""
    for event in start_run(small_config(photos), tmp_path):
        torch.manual_seed(event.step)
        torch.rand(7)
        np.random.seed(event.step)
        if isinstance(event, Epoch) and event.epoch < 3:
            colored = load_run(tmp_path, epoch=event.epoch)(torch.rand(1, 1, 20, 20) * 100)
            assert colored.shape == (1, 3, 20, 20)
    assert result_bytes(tmp_path) == result_bytes(finished)


def test_the_seed_decides_the_run(finished, photos, tmp_path):
    train_run(small_config(photos, seed=1), tmp_path)
    assert Run(tmp_path).history()[0]["training_loss"] != Run(finished).history()[0]["training_loss"]


# A full disk


def fill_disk(monkeypatch, name: str) -> None:
    """Fail as on a full disk whenever a file whose name contains `name` is written."""
    written = {}
    make, flush = tempfile.mkstemp, os.fsync

    def mkstemp(**options):
        handle, path = make(**options)
        written[handle] = path
        return handle, path

    def fsync(handle):
        if name in written.get(handle, ""):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    monkeypatch.setattr("colorlib.files.tempfile.mkstemp", mkstemp)
    monkeypatch.setattr("colorlib.files.os.fsync", fsync)


@pytest.mark.parametrize(
    ("name", "good"),
    [("epoch-002", 3), ("update-00000006", 3), ("update-00000009", 6), ("weights.safetensors", 9)],
)
def test_a_run_stopped_by_a_full_disk_resumes_once_there_is_space(finished, photos, tmp_path, monkeypatch, name, good):
    config = small_config(photos)
    with monkeypatch.context() as full:
        fill_disk(full, name)
        with pytest.raises(OSError, match=f"No space left on device.*{name}"):
            train_run(config, tmp_path)
    assert newest_step(tmp_path) == good
    assert not list(tmp_path.rglob("*.tmp"))
    assert updates(train_run(config, tmp_path)) == list(range(good + 1, UPDATES + 1))
    assert result_bytes(tmp_path) == result_bytes(finished)


@pytest.mark.slow
def test_a_file_system_that_is_full(finished, photos, tmp_path, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        # Space for two checkpoints of 8.9 MB and two epochs' weights of 1.5 MB, not for a third checkpoint.
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    try:
        run = disk / "run"
        command = ["train", str(run), "--photos", f"folder:{photos}", "--device", "cpu", "--threads", "1"]
        assert main([*command, *set_options()]) == 1
        assert "No space left on device" in capsys.readouterr().err
        assert newest_step(run) == 6
        assert main([*command, *set_options()]) == 1, "still full"
        assert newest_step(run) == 6
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        assert main([*command, *set_options()]) == 0
        assert result_bytes(run) == result_bytes(finished)
    finally:
        subprocess.run(["umount", disk], check=True)


# Damaged checkpoints


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip_a_bit(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


def empty(data: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [cut, flip_a_bit, empty])
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_it_used(finished, photos, finished_copy, damage):
    newest, before = checkpoint_files(finished_copy / "checkpoints")
    newest.write_bytes(damage(newest.read_bytes()))
    (finished_copy / "weights.safetensors").unlink()
    events = train_run(small_config(photos), finished_copy)
    (notice,) = notices(events)
    assert str(newest) in notice
    assert re.search(r"\b(before|previous|earlier|older)\b", notice.replace(str(newest), ""))
    assert updates(events) == [7, 8, 9]
    assert result_bytes(finished_copy) == result_bytes(finished)
    assert newest_step(finished_copy) == 9
    assert before.is_file()


def test_with_all_checkpoints_damaged_training_starts_over_and_its_checkpoints_are_kept(
    finished, photos, finished_copy
):
    for path in checkpoint_files(finished_copy / "checkpoints"):
        path.write_bytes(cut(path.read_bytes()))
    loop = start_run(small_config(photos), finished_copy)
    seen = [next(loop)]
    while not isinstance(seen[-1], Epoch):
        seen.append(next(loop))
    loop.close()
    assert len(notices(seen)) == 2
    assert updates(seen) == [1, 2, 3]
    assert newest_step(finished_copy) == 3, "the damaged ones of later steps are deleted first"
    assert updates(train_run(small_config(photos), finished_copy)) == [4, 5, 6, 7, 8, 9]
    assert result_bytes(finished_copy) == result_bytes(finished)


# Non-finite losses


class BreakingMSE(PixelMSE):
    """NaN at the sixth call: the second batch of the second epoch (the fourth call is the validation)."""

    calls = 0

    def __call__(self, output, batch):
        BreakingMSE.calls += 1
        loss = super().__call__(output, batch)
        return loss * math.nan if BreakingMSE.calls == 6 else loss


def test_a_non_finite_loss_stops_the_run_and_names_the_update(finished, photos, tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setitem(OBJECTIVES, "mse", BreakingMSE)
        broken.setattr(BreakingMSE, "calls", 0)
        with pytest.raises(NonFiniteLossError, match=r"\bnan\b") as stopped:
            train_run(small_config(photos), tmp_path)
    assert re.search(r"\bupdate 5\b", str(stopped.value))
    assert re.search(r"\bepoch 2\b", str(stopped.value))
    assert newest_step(tmp_path) == 3
    assert not (tmp_path / "weights.safetensors").exists()
    assert len(Run(tmp_path).history()) == 1
    assert updates(train_run(small_config(photos), tmp_path)) == [4, 5, 6, 7, 8, 9]
    assert result_bytes(tmp_path) == result_bytes(finished)


def test_a_diverging_run_stops_before_any_checkpoint(photos, tmp_path):
    with pytest.raises(NonFiniteLossError, match=r"\b(nan|inf)\b") as stopped:
        train_run(small_config(photos, learning_rate=1e30), tmp_path)
    for fact in ("update 2", "epoch 1", "learning_rate", "1e+30"):
        assert fact in str(stopped.value)
    assert load_newest(tmp_path / "checkpoints") == (None, [])


def test_a_non_finite_validation_loss_stops_the_run(photos, tmp_path):
    """With one update per epoch, the training loss is computed before the weights diverge."""
    with pytest.raises(NonFiniteLossError, match=r"\b(nan|inf)\b") as stopped:
        train_run(small_config(photos, learning_rate=1e30, crops_per_epoch=4), tmp_path)
    assert "validation" in str(stopped.value)
    assert load_newest(tmp_path / "checkpoints") == (None, [])


# The arithmetic, compared with independent computations


def first_epoch_crops(config) -> np.ndarray:
    """Crops of the first epoch, `(B, H, W, 3)` uint8."""
    found = open_photos(config.photos, "train")
    augmentation = Augmentation(
        crop_size=config.crop_size,
        flip_probability=config.flip_probability,
        turn_probability=config.turn_probability,
    )
    training = TrainingPhotos(found.decode(), [photo.name for photo in found], augmentation)
    batches = training.batches(config.crops_per_epoch, config.batch_size, seed=config.seed, epoch=1)
    return np.concatenate([each.permute(0, 2, 3, 1).numpy() for each in batches])


def numpy_mse(config, rgb: np.ndarray) -> float:
    """The initial network's MSE on `rgb`, `(B, H, W, 3)` uint8, in float64 by NumPy and scikit-image."""
    state = {name: tensor.double().numpy() for name, tensor in build_network(config).state_dict().items()}
    values = rgb2lab(rgb)[..., 0] / 100
    values = values[:, None]
    layers = [f"{half}.{number}" for half in ("encoder", "decoder") for number in (0, 2, 4)]
    height, width = rgb.shape[1:3]
    for layer in layers:
        weight, padded = state[f"{layer}.weight"], np.pad(values, ((0, 0), (0, 0), (1, 1), (1, 1)))
        values = state[f"{layer}.bias"][None, :, None, None] + sum(
            np.einsum("oc,bchw->bohw", weight[:, :, y, x], padded[:, :, y : y + height, x : x + width], optimize=True)
            for y in range(3)
            for x in range(3)
        )
        values = 1 / (1 + np.exp(-values)) if layer == layers[-1] else np.maximum(values, 0)
    return float(np.mean((values - rgb.transpose(0, 3, 1, 2) / 255) ** 2))


def test_the_losses_equal_mean_squared_errors_computed_by_numpy(photos, tmp_path):
    """With a vanishing learning rate, the epoch's loss is that of the initial weights on all ten crops."""
    config = small_config(photos, learning_rate=1e-30, epochs=1)
    (epoch,) = [event for event in train_run(config, tmp_path) if isinstance(event, Epoch)]
    crops = first_epoch_crops(config)
    assert crops.shape == (10, 8, 8, 3)
    assert epoch.training_loss == pytest.approx(numpy_mse(config, crops), rel=2e-6)
    # The last batch is half as large as the others, so the mean of the batches' means differs.
    means = [numpy_mse(config, part) for part in (crops[:4], crops[4:8], crops[8:])]
    assert abs(np.mean(means) - epoch.training_loss) > 1e-4 * epoch.training_loss
    found = open_photos(config.photos, "val")
    middle = np.stack([photo.load()[h : h + 8, w : w + 8] for photo in found for h, w in [corner(photo.load())]])
    assert epoch.validation_loss == pytest.approx(numpy_mse(config, middle), rel=2e-6)
    assert torch.equal(center_crops(found.decode(), ["", ""], 8), torch.from_numpy(middle.transpose(0, 3, 1, 2).copy()))


def corner(pixels: np.ndarray) -> tuple[int, int]:
    return (pixels.shape[0] - 8) // 2, (pixels.shape[1] - 8) // 2


def test_the_first_update_follows_algorithm_1_of_adams_paper(photos, tmp_path):
    """Kingma & Ba 2015, algorithm 1, in float64, compared with the checkpoint after one update."""
    config = small_config(photos, epochs=1, crops_per_epoch=4)
    assert updates(train_run(config, tmp_path)) == [1]
    checkpoint, _ = load_newest(tmp_path / "checkpoints")
    assert checkpoint is not None

    rgb = first_epoch_crops(config)
    light = torch.from_numpy(rgb2lab(rgb)[..., 0] / 100).unsqueeze(1)
    truth = torch.from_numpy(rgb / 255).permute(0, 3, 1, 2)
    before = {name: tensor.double().requires_grad_() for name, tensor in build_network(config).state_dict().items()}
    values = light
    for number, half in enumerate(("encoder.0", "encoder.2", "encoder.4", "decoder.0", "decoder.2", "decoder.4")):
        values = functional.conv2d(values, before[f"{half}.weight"], before[f"{half}.bias"], padding=1)
        values = values.sigmoid() if number == 5 else values.relu()
    (values - truth).square().mean().backward()

    beta1, beta2, epsilon = 0.9, 0.999, 1e-8
    for name, weight in before.items():
        assert weight.grad is not None
        gradient = weight.grad
        scale = float(gradient.abs().max())
        assert scale > 0
        first, second = (checkpoint.state[f"network.adam.{slot}.{name}"] for slot in ("exp_avg", "exp_avg_sq"))
        torch.testing.assert_close(first.double(), (1 - beta1) * gradient, rtol=1e-4, atol=1e-6 * scale)
        torch.testing.assert_close(second.double(), (1 - beta2) * gradient**2, rtol=1e-3, atol=1e-6 * scale**2)
        assert float(checkpoint.state[f"network.adam.step.{name}"]) == 1
        m_hat, v_hat = (1 - beta1) * gradient / (1 - beta1**1), (1 - beta2) * gradient**2 / (1 - beta2**1)
        expected = weight.detach() - config.learning_rate * m_hat / (v_hat.sqrt() + epsilon)
        # For gradients near epsilon, the float32 rounding shows in the quotient.
        clear = gradient.abs() > 1e-3 * scale
        assert clear.float().mean() > 0.3
        after = checkpoint.state[f"network.{name}"].double()
        torch.testing.assert_close(after[clear], expected[clear], rtol=0, atol=2e-7)
        assert float((after - weight.detach()).abs().max()) <= config.learning_rate * 1.001


def test_weight_decay_reaches_adam(finished, photos, tmp_path):
    train_run(small_config(photos, weight_decay=0.1, epochs=1), tmp_path)
    history, plain = Run(tmp_path).history(), Run(finished).history()
    assert history[0]["validation_loss"] != plain[0]["validation_loss"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet", "lab-bins"])
def test_training_lowers_the_loss(photos, tmp_path, name):
    config = small_config(photos, crop_size=16, epochs=5, crops_per_epoch=24, **METHODS[name])
    losses = [event.training_loss for event in train_run(config, tmp_path, threads=None) if isinstance(event, Epoch)]
    assert losses[-1] < 0.95 * losses[0]


def test_checkpoint_facts_hold_the_key_and_the_history(finished):
    checkpoint, _ = load_newest(finished / "checkpoints")
    assert checkpoint is not None
    record = json.loads((finished / "run.json").read_text())
    assert checkpoint.facts["key"] == {name: record[name] for name in ("config", "photos", "source")}
    assert checkpoint.facts["history"] == Run(finished).history()
