"""The training loop: a generator of measurements. To resume a run, start it again.

Everything random is a function of (seed, epoch, position), so all that a checkpoint holds are the weights, Adam's
moments and the history so far. A run that is killed at any moment and started again by the same command ends with the
same bytes in history.csv and weights.safetensors as one that ran through.
"""

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from colorlib import keys, ranks
from colorlib.checkpoint import Checkpoint, load_newest, save_checkpoint
from colorlib.color import lightness
from colorlib.config import RunConfig
from colorlib.data import VALIDATION_PHOTOS, Augmentation, TrainingPhotos, center_crops
from colorlib.devices import keeper, prepare, send
from colorlib.identity import changes, other_run, run_key
from colorlib.images import MAX_PIXELS
from colorlib.learner import SCHEDULES, Learner, computing
from colorlib.measurements import Epoch, Notice, Update, epoch_of_row
from colorlib.model import NETWORKS, Network
from colorlib.objectives import OBJECTIVES, Batch
from colorlib.photos import PhotoSet, open_photos
from colorlib.provenance import commit, hardware, versions
from colorlib.runs import Run
from colorlib.targets import TARGETS


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite; the message names the update."""


def build_network(config: RunConfig) -> Network:
    """The configured network with its initial weights, which are a function of the seed (PyTorch's own default)."""
    with keys.torch_seeded(config.seed, "initial weights"):
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
    """Train into a run directory, or go on where an interrupted run stopped.

    Args:
        config: what to train.
        path: the run directory; made if it does not exist.
        device: `auto`, `cpu`, `cuda`, `mps`, …
        threads: threads of the CPU; None takes one per core. Equal bytes need an equal number.
        restart: begin anew where the directory holds another run's state, instead of refusing.
        max_pixels: refuse larger photographs.

    Yields:
        An `Update` after each update, an `Epoch` after each epoch, a `Notice` where something is worth saying. A
        resumed run first yields again the epochs that were done before, so its listener sees the whole history.

    Raises:
        ValueError: the photographs, the directory or the configuration do not allow it; the message says why.
        NonFiniteLossError: the loss is not finite. The checkpoint of the epoch before is intact.
        OSError: the disk is full or not writable. The last good checkpoint is intact.
    """
    where = prepare(device, threads)
    run = Run(path)
    # Of several processes the first keeps the directory; the others read what it wrote.
    with run.locked() if ranks.first() else nullcontext():
        if ranks.first():
            run.remove_leftovers()
        ranks.wait()
        photos = {split: open_photos(config.photos, split, max_pixels=max_pixels) for split in ("train", "val")}
        key = run_key(config, photos)
        checkpoint, complaints = load_newest(run.checkpoints)
        for complaint in complaints:
            yield Notice(text=f"{complaint}; {'the one before it is taken' if checkpoint else 'the run begins anew'}")
        other = other_run(run, key, checkpoint)
        if other and not restart:
            raise ValueError(other)
        # What cannot be trained is refused here, before anything of an older run is touched.
        loop = _Loop(config, run, key, photos, where)
        if other:
            yield Notice(text=f"restarted: {other}")
            checkpoint = None
        made_on = {"versions": versions(), "hardware": hardware(where)}
        ranks.wait()
        if ranks.first():
            if checkpoint is None:
                # An interrupted run must not look finished by what an older one left.
                run.discard()
            if checkpoint is None or not (run.path / "run.json").is_file():
                run.write_record(key | made_on | {"commit": commit()})
            else:
                yield from (Notice(text=text) for text in changes(run.record(), made_on))
        yield from loop.resume(checkpoint)


class _Loop:
    """What one run keeps in memory."""

    def __init__(
        self, config: RunConfig, run: Run, key: dict[str, Any], photos: dict[str, PhotoSet], device: torch.device
    ) -> None:
        self.config, self.run, self.key, self.device = config, run, key, device
        augmentation = Augmentation(
            crop_size=config.crop_size,
            flip_probability=config.flip_probability,
            turn_probability=config.turn_probability,
        )
        training, validation = photos["train"], photos["val"].at_most(VALIDATION_PHOTOS)
        pixels = training.decode()
        kept = keeper(sum(photo.nbytes for photo in pixels), device)
        self.training = TrainingPhotos(pixels, training.names, augmentation, kept)
        self.validation = center_crops(validation.decode(), validation.names, config.crop_size).to(device)
        self.target = TARGETS[config.target]()
        self.objective = OBJECTIVES[config.objective](self.target, config.seed)
        self.objective.fit(self.training.originals)
        self.objective.to(device)
        self.network = Learner(
            build_network(config).to(device),
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            average=config.ema,
        )
        self.history: list[dict[str, float]] = []
        self.timing: list[dict[str, float]] = []

    def resume(self, checkpoint: Checkpoint | None) -> Iterator[Notice | Update | Epoch]:
        """Do the epochs that are left, then write what the run promised."""
        if checkpoint:
            self._restore(checkpoint)
            if ranks.first():
                self.run.write_history(self.history, self.timing)
            yield from (epoch_of_row(row) for row in self.history)
        for epoch in range(len(self.history) + 1, self.config.epochs + 1):
            yield from self._epoch(epoch)
        if ranks.first():
            self.run.write_weights(self.network.result.state_dict(), step=self.config.updates)

    def _epoch(self, epoch: int) -> Iterator[Update | Epoch]:
        config, started = self.config, time.perf_counter()
        rate = SCHEDULES[config.schedule]
        self.network.module.train()
        step = (epoch - 1) * config.updates_per_epoch
        losses, sizes = [], []
        plan = self.training.batches(
            config.crops_per_epoch, config.batch_size, seed=config.seed, epoch=epoch, part=ranks.part
        )
        for done, crops in enumerate(plan):
            size = min(config.batch_size, config.crops_per_epoch - done * config.batch_size)
            asked = self._batch(crops, of=size)
            with computing(config.precision, self.device):
                output = self._answer(self.network.module, asked).float()
            loss = self.objective(output, asked)
            self.network.update(loss, share=asked.share, rate=rate(step / config.updates))
            self.objective.learn(output.detach(), asked)
            step += 1
            losses.append(loss.detach() * asked.share)
            sizes.append(size)
            yield Update(epoch=epoch, step=step)
        # One look at the losses per epoch: asking for each as it comes would make a GPU wait 100 times.
        values = ranks.total(torch.stack(losses)).cpu().double()
        if not bool(values.isfinite().all()):
            first = step - len(losses) + int((~values.isfinite()).nonzero()[0]) + 1
            raise NonFiniteLossError(
                f"the loss of update {first} (epoch {epoch}) is {values[~values.isfinite()][0].item()}; the run stops "
                f"and its last checkpoint is intact; a smaller learning_rate than {config.learning_rate} may help"
            )
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
        if ranks.first():
            self._save(epoch, step)
        yield epoch_of_row(self.history[-1])

    def _batch(self, crops: Tensor, *, of: int) -> Batch:
        """What the network is asked about photographs, `(B, 3, S, S)` uint8, `of` how many in all processes."""
        share = len(crops) / of
        # Fewer photographs than processes: one that has none computes on black, which then counts for nothing.
        pixels = send(crops if len(crops) else crops.new_zeros(1, *crops.shape[1:]), self.device)
        rgb = pixels.float() / 255.0
        return Batch(light=lightness(pixels), rgb=rgb, encoded=self.target.encode(rgb), share=share)

    def _answer(self, network: nn.Module, batch: Batch) -> Tensor:
        answer: Tensor = network((batch.light / 100.0).contiguous(memory_format=torch.channels_last))
        return answer

    @torch.inference_mode()
    def _validate(self) -> float:
        network = self.network.result.eval()
        pieces = torch.split(self.validation, self.config.batch_size)
        losses, sizes = [torch.zeros((), device=self.device)], [0]
        for piece in ranks.part(len(pieces)):
            asked = self._batch(pieces[piece], of=len(pieces[piece]))
            losses.append(self.objective(self._answer(network, asked), asked))
            sizes.append(len(pieces[piece]))
        own = sum(loss * size for loss, size in zip(torch.stack(losses).tolist(), sizes, strict=True))
        mean = float(ranks.total(torch.tensor([own], dtype=torch.float64))) / len(self.validation)
        if not math.isfinite(mean):
            raise NonFiniteLossError(f"the validation loss is {mean}; the run stops, its last checkpoint is intact")
        return mean

    def _save(self, epoch: int, step: int) -> None:
        if epoch in self.config.keep_epochs:
            # Before the checkpoint: what a checkpoint says was done must be there.
            self.run.write_epoch_weights(self.network.result.state_dict(), epoch=epoch, step=step)
        facts = {"key": self.key, "history": self.history, "timing": self.timing}
        save_checkpoint(self.run.checkpoints, Checkpoint(step=step, state=self._state(), facts=facts))
        self.run.write_history(self.history, self.timing)

    def _state(self) -> dict[str, Tensor]:
        return self.network.state("network") | {f"objective.{k}": v for k, v in self.objective.learned().items()}

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.history = list(checkpoint.facts["history"])
        self.timing = list(checkpoint.facts["timing"])
        self.network.restore(checkpoint.state, "network")
        state = checkpoint.state
        self.objective.restore({k.removeprefix("objective."): state[k] for k in state if k.startswith("objective.")})
