"""Training: what a run directory promises when things go wrong, and the arithmetic against independent computations."""

import errno
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from skimage.color import rgb2lab
from torch.nn import functional
from training_fixtures import PROJECT, WANTED, make_photos, promised_bytes, set_options, small_config

from colorlib import identity, trainer
from colorlib.checkpoint import KEPT, checkpoint_files, load_newest, load_tensors
from colorlib.cli import main
from colorlib.colorizer import load_run
from colorlib.config import as_json
from colorlib.data import Augmentation, TrainingPhotos, center_crops
from colorlib.objectives import OBJECTIVES, PixelMSE
from colorlib.photos import open_photos
from colorlib.provenance import source_digest
from colorlib.runs import Run, RunBusyError
from colorlib.trainer import Epoch, NonFiniteLossError, Notice, Update, build_network

LAST = 9
"""Updates of a whole run with the fixture's settings: three epochs of three."""


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture(scope="module")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ran through; tests copy it before they touch it."""
    run = tmp_path_factory.mktemp("runs") / "finished"
    train(small_config(photos), run)
    return run


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def start(config, run, **options):
    return trainer.train(config, run, device="cpu", **({"threads": 1} | options))


def train(config, run, **options):
    return list(start(config, run, **options))


def updates(measurements):
    return [measured.step for measured in measurements if isinstance(measured, Update)]


def notices(measurements):
    return [measured.text for measured in measurements if isinstance(measured, Notice)]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def newest_step(run: Path) -> int:
    checkpoint, complaints = load_newest(run / "checkpoints")
    assert checkpoint is not None
    assert complaints == []
    return checkpoint.step


# What a run leaves


def test_a_run_yields_every_update_and_epoch_and_leaves_what_it_promises(photos, tmp_path):
    seen = []
    for measured in start(small_config(photos), tmp_path):
        if not seen:
            assert (tmp_path / "run.json").is_file(), "hashes are taken before the run"
        seen.append((type(measured).__name__, measured.step))
    assert seen == [
        (kind, step) for step in range(1, LAST + 1) for kind in (("Update", "Epoch") if step % 3 == 0 else ("Update",))
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
    assert len(checkpoint_files(tmp_path / "checkpoints")) == KEPT


def test_run_json_says_what_a_run_is_a_function_of_and_what_it_ran_on(finished, photos):
    record = Run(finished).record()
    assert set(record) == {"config", "photos", "source", "versions", "hardware", "commit"}
    assert record["config"] == as_json(small_config(photos))
    assert record["source"] == source_digest("colorlib.trainer")
    for split in ("train", "val"):
        names = [photo.name for photo in open_photos(f"folder:{photos}", split)]
        digests = sorted((name, hashlib.sha256((photos / name).read_bytes()).hexdigest()) for name in names)
        lines = "".join(f"{digest}  {name}\n" for name, digest in digests)
        expected = {"count": WANTED[split], "sha256": hashlib.sha256(lines.encode()).hexdigest()}
        assert record["photos"][split] == expected
    assert torch.__version__.startswith(record["versions"]["torch"])
    assert record["versions"]["numpy"] == np.__version__
    assert record["hardware"]["threads"] == 1
    assert record["hardware"]["device"] == "cpu"
    assert record["hardware"]["processor"]


def test_the_number_of_threads_is_set_and_recorded(photos, tmp_path):
    config = small_config(photos, epochs=1)
    next(start(config, tmp_path, threads=2))
    assert torch.get_num_threads() == 2
    assert Run(tmp_path).record()["hardware"]["threads"] == 2


def test_resuming_with_other_threads_says_so_and_keeps_the_record(photos, tmp_path):
    config = small_config(photos)
    loop = start(config, tmp_path)
    while not isinstance(next(loop), Epoch):
        pass
    loop.close()
    record = (tmp_path / "run.json").read_bytes()
    (notice,) = notices(train(config, tmp_path, threads=2))
    assert "threads 1, now 2" in notice
    assert (tmp_path / "run.json").read_bytes() == record
    assert notices(train(config, tmp_path)) == []


def test_history_reads_back_as_the_very_numbers_that_were_measured(photos, tmp_path):
    measured = [found for found in train(small_config(photos), tmp_path) if isinstance(found, Epoch)]
    expected = [
        {
            "epoch": found.epoch,
            "updates": found.step,
            "training_loss": found.training_loss,
            "validation_loss": found.validation_loss,
        }
        for found in measured
    ]
    assert Run(tmp_path).history() == expected
    text = (tmp_path / "history.csv").read_text()
    assert text.startswith("epoch,updates,training_loss,validation_loss\n1,3,0.")
    assert len({row["training_loss"] for row in expected}) == 3
    timing = (tmp_path / "timing.csv").read_text().splitlines()
    assert timing[0] == "epoch,training_seconds,validation_seconds"
    assert len(timing) == 4


def test_a_finished_run_started_again_only_repeats_its_history(copy, photos):
    before = contents(copy)
    measured = train(small_config(photos), copy)
    assert [type(found) for found in measured] == [Epoch] * 3
    assert [found.training_loss for found in measured] == [row["training_loss"] for row in Run(copy).history()]
    assert contents(copy) == before


def test_kept_epochs_are_the_weights_as_float16(photos, tmp_path):
    train(small_config(photos, keep_epochs=(3,)), tmp_path)
    path = Run(tmp_path).epoch_weights(3)
    with safe_open(path, framework="pt") as kept, safe_open(tmp_path / "weights.safetensors", framework="pt") as last:
        assert set(kept.keys()) == set(last.keys())
        for name in last.keys():  # noqa: SIM118 - not a mapping
            assert last.get_tensor(name).dtype == torch.float32
            assert torch.equal(kept.get_tensor(name), last.get_tensor(name).half())
    assert load_tensors(path).step == LAST
    assert path.stat().st_size < 0.51 * (tmp_path / "weights.safetensors").stat().st_size


def test_evaluation_between_epochs_changes_nothing(finished, photos, tmp_path):
    """Neither a network at work between two updates nor whoever draws random numbers disturbs the run."""
    for measured in start(small_config(photos), tmp_path):
        torch.manual_seed(measured.step)
        torch.rand(7)
        np.random.seed(measured.step)
        if isinstance(measured, Epoch) and measured.epoch < 3:
            colored = load_run(tmp_path, epoch=measured.epoch)(torch.rand(1, 1, 20, 20) * 100)
            assert colored.shape == (1, 3, 20, 20)
    assert promised_bytes(tmp_path) == promised_bytes(finished)


def test_the_seed_decides_the_run(finished, photos, tmp_path):
    train(small_config(photos, seed=1), tmp_path)
    assert Run(tmp_path).history()[0]["training_loss"] != Run(finished).history()[0]["training_loss"]


# Two runs in one directory


def test_a_second_run_in_one_directory_is_refused_and_told_by_whom(finished, photos, tmp_path):
    config = small_config(photos)
    first = start(config, tmp_path)
    seen = [next(first)]
    with pytest.raises(RunBusyError, match=rf"in use by process {os.getpid()} on \S+ \(.+\); wait for it"):
        next(start(config, tmp_path))
    seen += first
    assert updates(seen) == list(range(1, LAST + 1))
    assert promised_bytes(tmp_path) == promised_bytes(finished)
    assert updates(train(config, tmp_path)) == [], "the lock is released"


@pytest.mark.slow
def test_another_process_holds_the_directory_until_it_dies(photos, tmp_path, capsys):
    run = tmp_path / "run"
    command = ["train", str(run), "--photos", f"folder:{photos}", "--device", "cpu", "--threads", "1"]
    options = set_options(epochs=1000)
    holder = subprocess.Popen(
        [sys.executable, "-m", "colorlib", *command, *options],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not (run / "history.csv").is_file():
            assert holder.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert main([*command, *options]) == 1
        assert f"process {holder.pid}" in (message := capsys.readouterr().err)
        assert "colorlib train" in message
    finally:
        holder.kill()
        holder.wait()
    loop = start(small_config(photos, epochs=1000), run)
    assert isinstance(next(loop), Epoch), "the lock died with the process, and the run goes on"
    loop.close()


# A full disk


def fill_disk(monkeypatch, name: str) -> None:
    """Let the disk be full whenever a file whose name contains `name` is written."""
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
def test_a_full_disk_stops_the_run_and_freeing_space_lets_it_go_on(finished, photos, tmp_path, monkeypatch, name, good):
    config = small_config(photos)
    with monkeypatch.context() as full:
        fill_disk(full, name)
        with pytest.raises(OSError, match=f"No space left on device.*{name}"):
            train(config, tmp_path)
    assert newest_step(tmp_path) == good
    assert not list(tmp_path.rglob("*.tmp"))
    assert updates(train(config, tmp_path)) == list(range(good + 1, LAST + 1))
    assert promised_bytes(tmp_path) == promised_bytes(finished)


@pytest.mark.slow
def test_a_really_full_disk(finished, photos, tmp_path, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        # Room for two checkpoints of 8.9 MB and two kept epochs of 1.5 MB, not for a third while it is written.
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
        assert promised_bytes(run) == promised_bytes(finished)
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
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_it_taken(finished, photos, copy, damage):
    newest, before = checkpoint_files(copy / "checkpoints")
    newest.write_bytes(damage(newest.read_bytes()))
    (copy / "weights.safetensors").unlink()
    measured = train(small_config(photos), copy)
    (notice,) = notices(measured)
    assert str(newest) in notice
    assert "the one before it is taken" in notice
    assert updates(measured) == [7, 8, 9]
    assert promised_bytes(copy) == promised_bytes(finished)
    assert newest_step(copy) == 9
    assert before.is_file()


def test_where_all_checkpoints_are_damaged_the_run_begins_anew_and_its_checkpoints_count(finished, photos, copy):
    for path in checkpoint_files(copy / "checkpoints"):
        path.write_bytes(cut(path.read_bytes()))
    loop = start(small_config(photos), copy)
    seen = [next(loop)]
    while not isinstance(seen[-1], Epoch):
        seen.append(next(loop))
    loop.close()
    assert len(notices(seen)) == 2
    assert updates(seen) == [1, 2, 3]
    assert newest_step(copy) == 3, "the damaged later ones must not crowd it out"
    assert updates(train(small_config(photos), copy)) == [4, 5, 6, 7, 8, 9]
    assert promised_bytes(copy) == promised_bytes(finished)


# A loss that is not finite


class MSEThatBreaks(PixelMSE):
    """NaN when called for the sixth time: the second batch of the second epoch (the fourth call is the validation)."""

    calls = 0

    def __call__(self, output, encoded):
        MSEThatBreaks.calls += 1
        loss = super().__call__(output, encoded)
        return loss * math.nan if MSEThatBreaks.calls == 6 else loss


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_update(finished, photos, tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setitem(OBJECTIVES, "mse", MSEThatBreaks)
        broken.setattr(MSEThatBreaks, "calls", 0)
        with pytest.raises(NonFiniteLossError, match=r"update 5 \(epoch 2\) is nan"):
            train(small_config(photos), tmp_path)
    assert newest_step(tmp_path) == 3
    assert not (tmp_path / "weights.safetensors").exists()
    assert len(Run(tmp_path).history()) == 1
    assert updates(train(small_config(photos), tmp_path)) == [4, 5, 6, 7, 8, 9]
    assert promised_bytes(tmp_path) == promised_bytes(finished)


def test_a_learning_rate_that_explodes_is_stopped_before_any_checkpoint(photos, tmp_path):
    with pytest.raises(NonFiniteLossError, match=r"update 2 \(epoch 1\) is (nan|inf).*learning_rate than 1e\+30"):
        train(small_config(photos, learning_rate=1e30), tmp_path)
    assert load_newest(tmp_path / "checkpoints") == (None, [])


def test_a_validation_loss_that_is_not_finite_stops_the_run(photos, tmp_path):
    """One update an epoch: its loss was measured before the weights exploded."""
    with pytest.raises(NonFiniteLossError, match=r"validation loss is (nan|inf)"):
        train(small_config(photos, learning_rate=1e30, crops_per_epoch=4), tmp_path)
    assert load_newest(tmp_path / "checkpoints") == (None, [])


# Another run in the directory


def test_another_configuration_is_refused_by_name_and_nothing_is_touched(photos, copy):
    before = contents(copy)
    other = small_config(photos, learning_rate=3e-4, keep_epochs=(1,))
    with pytest.raises(
        ValueError, match=r"learning_rate=0\.001, not 0\.0003; keep_epochs=\[1, 2\], not \[1\].*--restart"
    ):
        train(other, copy)
    assert contents(copy) == before


def test_restart_discards_all_that_the_other_run_left(photos, copy, tmp_path):
    (copy / "metrics.json").write_text("{}")
    (copy / "per_image.csv").write_text("")
    other = small_config(photos, learning_rate=3e-4, keep_epochs=(1,))
    loop = start(other, copy, restart=True)
    assert "restarted" in next(loop).text
    assert next(loop).step == 1
    loop.close()
    assert sorted(contents(copy)) == ["run.json", "run.lock"], "nothing of one run is taken for another's"
    assert Run(copy).record()["config"]["learning_rate"] == 3e-4
    train(other, copy)
    train(other, tmp_path / "alone")
    assert promised_bytes(copy) == promised_bytes(tmp_path / "alone")
    assert list(promised_bytes(copy)) == ["history.csv", "weights.safetensors", "epochs/epoch-001.safetensors"]


def test_a_restart_that_cannot_train_discards_nothing(photos, copy):
    before = contents(copy)
    with pytest.raises(ValueError, match="too small for crop_size=41"):
        train(small_config(photos, crop_size=41), copy, restart=True)
    assert contents(copy) == before


def test_restart_with_the_same_configuration_goes_on(photos, copy):
    (copy / "checkpoints" / "update-00000009.safetensors").unlink()
    assert updates(train(small_config(photos), copy, restart=True)) == [7, 8, 9]


def test_a_fresh_clone_trains_the_same_run_again(finished, photos, copy):
    shutil.rmtree(copy / "checkpoints")
    assert updates(train(small_config(photos), copy)) == list(range(1, LAST + 1))
    assert promised_bytes(copy) == promised_bytes(finished)


def test_a_fresh_clone_refuses_another_configuration(photos, copy):
    shutil.rmtree(copy / "checkpoints")
    before = contents(copy)
    with pytest.raises(ValueError, match="seed=0, not 5"):
        train(small_config(photos, seed=5), copy)
    assert contents(copy) == before
    assert updates(train(small_config(photos, seed=5, epochs=1), copy, restart=True)) == [1, 2, 3]
    assert not Run(copy).epoch_weights(2).exists()


def test_a_clone_of_a_run_from_before_a_setting_existed_is_the_same_run(photos, copy):
    shutil.rmtree(copy / "checkpoints")
    record = Run(copy).record()
    assert record["config"].pop("turn_probability") == small_config(photos).turn_probability
    Run(copy).write_record(record)
    next(start(small_config(photos), copy))
    with pytest.raises(ValueError, match=r"turn_probability=0\.75, not 0\.5"):
        train(small_config(photos, turn_probability=0.5), copy)


def test_other_photographs_or_source_do_not_resume_a_checkpoint(photos, copy, tmp_path, monkeypatch):
    config = small_config(photos)
    with monkeypatch.context() as changed:
        changed.setattr(identity, "source_digest", lambda *modules: "0" * 64)
        with pytest.raises(ValueError, match=r"another run \(other source\)"):
            train(config, copy)
    missing = next(iter(open_photos(config.photos, "train"))).name
    aside = tmp_path / missing
    (photos / missing).rename(aside)
    try:
        with pytest.raises(ValueError, match=r"another run \(other photos\)"):
            train(config, copy)
    finally:
        aside.rename(photos / missing)
    assert updates(train(config, copy)) == []


# The arithmetic, against independent computations


def batch_of(config, batch: int = 0) -> np.ndarray:
    """The first epoch's batches, `(B, H, W, 3)` uint8."""
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
    """The initial network's mean squared error on `rgb`, `(B, H, W, 3)` uint8, in float64 by NumPy and scikit-image."""
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


def test_the_losses_are_the_mean_squared_errors_that_numpy_finds(photos, tmp_path):
    """With a learning rate that moves nothing, the epoch's loss is that of the initial weights on all ten crops."""
    config = small_config(photos, learning_rate=1e-30, epochs=1)
    (measured,) = [found for found in train(config, tmp_path) if isinstance(found, Epoch)]
    crops = batch_of(config)
    assert crops.shape == (10, 8, 8, 3)
    assert measured.training_loss == pytest.approx(numpy_mse(config, crops), rel=2e-6)
    # The last batch is half as large as the others: the mean of the batches' means is another number.
    means = [numpy_mse(config, part) for part in (crops[:4], crops[4:8], crops[8:])]
    assert abs(np.mean(means) - measured.training_loss) > 1e-4 * measured.training_loss
    found = open_photos(config.photos, "val")
    middle = np.stack([photo.load()[h : h + 8, w : w + 8] for photo in found for h, w in [corner(photo.load())]])
    assert measured.validation_loss == pytest.approx(numpy_mse(config, middle), rel=2e-6)
    assert torch.equal(center_crops(found.decode(), ["", ""], 8), torch.from_numpy(middle.transpose(0, 3, 1, 2).copy()))


def corner(pixels: np.ndarray) -> tuple[int, int]:
    return (pixels.shape[0] - 8) // 2, (pixels.shape[1] - 8) // 2


def test_the_first_update_is_adam_as_its_paper_prints_it(photos, tmp_path):
    """Kingma & Ba 2015, algorithm 1, in float64, against what the checkpoint after one update holds."""
    config = small_config(photos, epochs=1, crops_per_epoch=4)
    assert updates(train(config, tmp_path)) == [1]
    checkpoint, _ = load_newest(tmp_path / "checkpoints")
    assert checkpoint is not None

    rgb = batch_of(config)
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
        # Where a gradient is hardly more than epsilon, its float32 rounding shows in the quotient.
        clear = gradient.abs() > 1e-3 * scale
        assert clear.float().mean() > 0.3
        after = checkpoint.state[f"network.{name}"].double()
        torch.testing.assert_close(after[clear], expected[clear], rtol=0, atol=2e-7)
        assert float((after - weight.detach()).abs().max()) <= config.learning_rate * 1.001


def test_weight_decay_reaches_adam(finished, photos, tmp_path):
    train(small_config(photos, weight_decay=0.1, epochs=1), tmp_path)
    history, plain = Run(tmp_path).history(), Run(finished).history()
    assert history[0]["validation_loss"] != plain[0]["validation_loss"]


def test_checkpoint_facts_hold_the_key_and_the_history(finished):
    checkpoint, _ = load_newest(finished / "checkpoints")
    assert checkpoint is not None
    record = json.loads((finished / "run.json").read_text())
    assert checkpoint.facts["key"] == {name: record[name] for name in ("config", "photos", "source")}
    assert checkpoint.facts["history"] == Run(finished).history()
