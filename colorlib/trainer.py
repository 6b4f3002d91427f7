"""The training loop: `train()` is a generator of progress events, and the same call resumes an interrupted run.

All randomness is a function of (seed, epoch, position). A checkpoint therefore holds the weights, Adam's moments and
the history so far, but no generator state. A run that is killed at any moment and started again by the same command
ends with the same bytes in history.csv and weights.safetensors as an uninterrupted run.
"""

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from colorlib import rng
from colorlib.checkpoint import Checkpoint, checkpoint_file
from colorlib.color import lightness
from colorlib.config import RunConfig
from colorlib.data import Augmentation, TrainingPhotos, shrink, validation_crops
from colorlib.device import all_reduce_sum, barrier, dataset_device, is_main_process, prepare, shard, to_device
from colorlib.losses import OBJECTIVES, Batch
from colorlib.model import NETWORKS, Network
from colorlib.optim import OPTIMIZERS, SCHEDULES, TrainState, autocast, check_tensors
from colorlib.photos import PhotoSet, open_photos
from colorlib.photos.decode import MAX_PIXELS
from colorlib.provenance import commit, hardware, versions
from colorlib.runs import Epoch, Notice, Run, Update, epoch_of_row, mismatch, run_key
from colorlib.targets import TARGETS


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite; the message names the update."""


def build_network(config: RunConfig) -> Network:
    """Return the configured network with its initial weights: PyTorch's default, as a function of the seed."""
    with rng.fork_torch_rng(config.seed, "initial weights"):
        network = NETWORKS[config.network](TARGETS[config.target]().head)
    return network.to(memory_format=torch.channels_last)


def train(
    config: RunConfig,
    path: Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    restart: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Notice | Update | Epoch]:
    """Train into a run directory, or resume the interrupted run that it holds.

    Args:
        config: what to train.
        path: the run directory; created if it does not exist.
        device: `auto`, `cpu`, `cuda`, `mps`, …
        threads: threads of the CPU; None takes one per core. Equal bytes need an equal number.
        restart: discard the state of another run in the directory, instead of refusing to train.
        max_pixels: refuse larger photographs.

    Yields:
        An `Update` after each update, an `Epoch` after each epoch, and a `Notice` for a message to the user. A resumed
        run first yields the completed epochs again, so that its caller always sees the whole history.

    Raises:
        ValueError: the photographs, the directory or the configuration do not allow it; the message says why.
        NonFiniteLossError: the loss is not finite. The previous epoch's checkpoint is intact.
        OSError: the disk is full or not writable. The newest intact checkpoint remains.
    """
    torch_device = prepare(device, threads)
    # The main process alone locks and writes the directory; the others only read it.
    with Run(path).locked() if is_main_process() else nullcontext(Run(path)) as run:
        if is_main_process():
            run.remove_leftovers()
        barrier()

        # Load the newest checkpoint
        photos = {split: open_photos(config.photos, split, max_pixels=max_pixels) for split in ("train", "val")}
        key = run_key(config, photos)
        checkpoint, unusable = run.newest_checkpoint()
        for message in unusable:
            yield Notice(text=f"{message}; {'using the one before it' if checkpoint else 'training from the start'}")

        # Refuse the directory of another run
        reason = mismatch(run, key, checkpoint)
        if reason and not restart:
            raise ValueError(reason)

        # Load photographs, network and checkpoint. This refuses what cannot be trained, so it precedes any change to
        # the directory.
        training = _Training(config, run, key, photos, torch_device)
        if checkpoint and not reason:
            try:
                training.load_state(checkpoint)
            except ValueError as error:
                file = checkpoint_file(run.checkpoints, checkpoint.step)
                reason = f"{file} does not fit: {error}; delete it, or train anew with --restart"
                if not restart:
                    raise ValueError(reason) from error
        if reason:
            yield Notice(text=f"restarted: {reason}")
            checkpoint = None
        environment = {"versions": versions(), "hardware": hardware(torch_device)}
        barrier()

        # Write run.json
        if is_main_process():
            if checkpoint is None:
                # Results of an older run would make an interrupted one look finished.
                run.discard()
            if checkpoint is None or not (run.path / "run.json").is_file():
                run.write_record(key | environment | {"commit": commit()})
            elif checkpoint.step < config.updates:
                changes = run.record_environment(environment, updates=checkpoint.step)
                yield from (Notice(text=text) for text in changes)

        yield from training.run_epochs()


class _Training:
    """State of a run in memory: photographs, network, objective, history."""

    def __init__(
        self, config: RunConfig, run: Run, key: dict[str, Any], photos: dict[str, PhotoSet], device: torch.device
    ) -> None:
        self.config, self.run, self.key, self.device = config, run, key, device
        # Decode the photographs
        augmentation = Augmentation(
            crop_size=config.crop_size,
            flip_probability=config.flip_probability,
            turn_probability=config.turn_probability,
            view_share=config.view_share,
        )
        training = photos["train"]
        # A view of a part of a photograph is taken from a copy that is larger by as much
        side = round(config.view / config.view_share)
        pixels = [shrink(photo, side) for photo in training.decode()]
        storage = dataset_device(sum(photo.nbytes for photo in pixels), device)
        self.training = TrainingPhotos(pixels, training.names, augmentation, storage)
        self.validation = validation_crops(photos["val"], config.crop_size, config.view).to(device)
        # Set up target, loss, network and optimizer
        self.target = TARGETS[config.target]()
        self.objective = OBJECTIVES[config.objective](self.target, config.seed)
        self.objective.fit(self.training.originals)
        self.objective.to(device)
        self.network = TrainState(
            build_network(config).to(device),
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            optimizer=OPTIMIZERS[config.optimizer],
            ema_decay=config.ema,
        )
        self.history: list[dict[str, float]] = []
        self.timing: list[dict[str, float]] = []

    def run_epochs(self) -> Iterator[Update | Epoch]:
        """Yield the completed epochs, train the remaining ones, then write the weights."""
        if self.history:
            if is_main_process():
                self.run.write_history(self.history, self.timing)
            yield from (epoch_of_row(row) for row in self.history)
        # Train
        for epoch in range(len(self.history) + 1, self.config.epochs + 1):
            yield from self._train_epoch(epoch)
        # Write the final weights
        if is_main_process():
            self.run.write_weights(self.network.eval_model.state_dict(), step=self.config.updates)

    def _train_epoch(self, epoch: int) -> Iterator[Update | Epoch]:
        config, started = self.config, time.perf_counter()
        schedule = SCHEDULES[config.schedule]
        self.network.module.train()
        step = (epoch - 1) * config.updates_per_epoch
        losses, sizes = [], []
        batches = self.training.batches(
            config.crops_per_epoch, config.batch_size, seed=config.seed, epoch=epoch, shard=shard
        )
        for index, crops in enumerate(batches):
            # Encode the crops
            size = min(config.batch_size, config.crops_per_epoch - index * config.batch_size)
            batch = self._batch(crops, global_size=size)
            # Forward
            with autocast(config.precision, self.device):
                output = self._forward(self.network.module, batch).float()
            loss = self.objective(output, batch)
            # Backward and optimizer step, for the network and then for the discriminator
            self.network.update(loss, weight=batch.weight, lr_scale=schedule(step / config.updates))
            self.objective.step_discriminator(output.detach(), batch)
            step += 1
            losses.append(loss.detach() * batch.weight)
            sizes.append(size)
            yield Update(epoch=epoch, step=step)

        # Check the losses, once per epoch: reading each loss at its update would make a GPU wait every time.
        values = all_reduce_sum(torch.stack(losses)).cpu().double()
        if not bool(values.isfinite().all()):
            first = step - len(losses) + int((~values.isfinite()).nonzero()[0]) + 1
            raise NonFiniteLossError(
                f"the loss of update {first} (epoch {epoch}) is {values[~values.isfinite()][0].item()}; training stops "
                f"and the last checkpoint is intact; a smaller learning_rate than {config.learning_rate} may help"
            )

        # Validate, and record losses and times
        weights = torch.tensor(sizes, dtype=torch.float64)
        trained = time.perf_counter()
        self.history.append(
            {
                "epoch": epoch,
                "updates": step,
                "training_loss": float((values * weights).sum() / weights.sum()),
                "validation_loss": self._validate(),
            }
        )
        ended = time.perf_counter()
        self.timing.append(
            {
                "epoch": epoch,
                "training_seconds": round(trained - started, 3),
                "validation_seconds": round(ended - trained, 3),
            }
        )

        # Save weights, checkpoint and history
        if is_main_process():
            self._save(epoch, step)
        yield epoch_of_row(self.history[-1])

    def _batch(self, crops: Tensor, *, global_size: int) -> Batch:
        """Return crops as network input and target.

        Args:
            crops: this process's crops, `(B, 3, S, S)` uint8.
            global_size: number of crops of the batch in all processes.
        """
        weight = len(crops) / global_size
        # With fewer crops than processes, a process without a crop computes on a black one, with weight 0.
        pixels = to_device(crops if len(crops) else crops.new_zeros(1, *crops.shape[1:]), self.device)
        rgb = pixels.float() / 255.0
        return Batch(L=lightness(pixels), rgb=rgb, target=self.target.encode(rgb), weight=weight)

    def _forward(self, network: nn.Module, batch: Batch) -> Tensor:
        output: Tensor = network((batch.L / 100.0).contiguous(memory_format=torch.channels_last))
        return output

    @torch.inference_mode()
    def _validate(self) -> float:
        """Return the mean loss over the center crops of the validation photographs, computed by all processes."""
        network = self.network.eval_model.eval()
        pieces = torch.split(self.validation, self.config.batch_size)
        losses, sizes = [torch.zeros((), device=self.device)], [0]
        for piece in shard(len(pieces)):
            batch = self._batch(pieces[piece], global_size=len(pieces[piece]))
            losses.append(self.objective(self._forward(network, batch), batch))
            sizes.append(len(pieces[piece]))
        own = sum(loss * size for loss, size in zip(torch.stack(losses).tolist(), sizes, strict=True))
        mean = float(all_reduce_sum(torch.tensor([own], dtype=torch.float64))) / len(self.validation)
        if not math.isfinite(mean):
            raise NonFiniteLossError(f"the validation loss is {mean}; training stops and the last checkpoint is intact")
        return mean

    def _save(self, epoch: int, step: int) -> None:
        if epoch in self.config.keep_epochs:
            # Before the checkpoint: a run that resumes from it does not write these weights again.
            self.run.write_epoch_weights(self.network.eval_model.state_dict(), epoch=epoch, step=step)
        facts = {"key": self.key, "history": self.history, "timing": self.timing}
        self.run.write_checkpoint(Checkpoint(step=step, state=self._state(), facts=facts))
        self.run.write_history(self.history, self.timing)

    def _state(self) -> dict[str, Tensor]:
        """Return the tensors of a checkpoint."""
        return self.network.state("network") | {f"objective.{k}": v for k, v in self.objective.state().items()}

    def load_state(self, checkpoint: Checkpoint) -> None:
        """Load a checkpoint.

        Raises:
            ValueError: a tensor is missing, or has another shape or type.
        """
        state = checkpoint.state
        check_tensors(state, self._state())
        self.network.load_state(state, "network")
        self.objective.load_state({k.removeprefix("objective."): state[k] for k in state if k.startswith("objective.")})
        self.history = list(checkpoint.facts["history"])
        self.timing = list(checkpoint.facts["timing"])
