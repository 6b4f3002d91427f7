"""Photographs become batches: keyed crops, flips and quarter turns for training, an exact order for everything else.

All photographs are decoded once and kept as uint8, on the GPU where they fit. Which photographs an epoch takes, and
what is done to them, is a small table (`EpochPlan`) that is a function of (seed, epoch) alone: row i of it can be made
again at any time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colorlib import keys
from colorlib.images import Pixels

CPU = torch.device("cpu")
VALIDATION_PHOTOS = 500
"""Validation takes at most so many photographs, spread evenly over their split, lest it cost more than training."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How a training crop is taken from a photograph (Sec. III.D; what the paper leaves open: paper/deviations.md)."""

    crop_size: int
    """Side of the square crop in pixels, at the photograph's own resolution."""
    flip_probability: float
    """Probability of a horizontal flip."""
    turn_probability: float
    """Probability of a turn by 90, 180 or 270 degrees, each equally likely."""


@dataclass(frozen=True, kw_only=True)
class EpochPlan:
    """What one epoch trains on: for each crop its photograph, its corner, its flip and its quarter turns."""

    photo: NDArray[np.int64]
    top: NDArray[np.int64]
    left: NDArray[np.int64]
    flip: NDArray[np.bool_]
    turns: NDArray[np.int64]


def plan_epoch(sizes: NDArray[np.int64], crops: int, augmentation: Augmentation, *, seed: int, epoch: int) -> EpochPlan:
    """Plan an epoch: every photograph is taken equally often (to within one crop), in random order.

    Args:
        sizes: `(N, 2)` heights and widths of the photographs.
        crops: how many crops the epoch takes.
        augmentation: how they are taken.
        seed: the run's seed.
        epoch: counted from 1.
    """
    rounds = -(-crops // len(sizes))
    orders = [keys.permutation(len(sizes), seed, "order of photographs", epoch, round_) for round_ in range(rounds)]
    photo = np.concatenate(orders)[:crops]
    room = sizes[photo] - augmentation.crop_size + 1
    turned = keys.uniforms(crops, seed, "turned", epoch) < augmentation.turn_probability
    turns = 1 + keys.integers(np.full(crops, 3), seed, "quarter turns", epoch)
    return EpochPlan(
        photo=photo,
        top=keys.integers(room[:, 0], seed, "top of crop", epoch),
        left=keys.integers(room[:, 1], seed, "left of crop", epoch),
        flip=keys.uniforms(crops, seed, "flipped", epoch) < augmentation.flip_probability,
        turns=np.where(turned, turns, 0),
    )


class TrainingPhotos:
    """Decoded training photographs, from which each epoch takes its batches."""

    def __init__(
        self,
        pixels: Sequence[Pixels],
        names: Sequence[str],
        augmentation: Augmentation,
        device: torch.device = CPU,
    ) -> None:
        """Keep the photographs.

        Args:
            pixels: each `(H, W, 3)` uint8; not copied on the CPU.
            names: what errors call them.
            augmentation: how crops are taken.
            device: where they are kept, and where crops are cut, flipped and turned.

        Raises:
            ValueError: a photograph is smaller than the crop.
        """
        check_crop_fits(pixels, names, augmentation.crop_size)
        self.originals = pixels
        self.pixels = [torch.from_numpy(photo).to(device).permute(2, 0, 1) for photo in pixels]
        self.sizes = np.array([photo.shape[:2] for photo in pixels], dtype=np.int64)
        self.augmentation = augmentation

    def batches(
        self, crops: int, batch_size: int, *, seed: int, epoch: int, part: Callable[[int], range] = range
    ) -> Iterator[Tensor]:
        """Yield the epoch's batches, each `(B, 3, S, S)` uint8; the last one is smaller where crops do not divide.

        Args:
            crops: how many crops the epoch takes.
            batch_size: crops per update.
            seed: the run's seed.
            epoch: counted from 1.
            part: which crops of a batch are wanted, given how many it has; all of them without it.
        """
        plan = plan_epoch(self.sizes, crops, self.augmentation, seed=seed, epoch=epoch)
        for start in range(0, crops, batch_size):
            rows = range(start, min(start + batch_size, crops))
            wanted = [self._crop(plan, rows[place]) for place in part(len(rows))]
            size = self.augmentation.crop_size
            yield torch.stack(wanted) if wanted else self.pixels[0].new_empty(0, 3, size, size)

    def _crop(self, plan: EpochPlan, row: int) -> Tensor:
        size, top, left = self.augmentation.crop_size, plan.top[row], plan.left[row]
        crop = self.pixels[plan.photo[row]][:, top : top + size, left : left + size]
        if plan.flip[row]:
            crop = crop.flip(-1)
        turned: Tensor = crop.rot90(int(plan.turns[row]), (-2, -1))
        return turned


def check_crop_fits(pixels: Sequence[Pixels], names: Sequence[str], crop_size: int) -> None:
    """Raise a ValueError that names the first photograph smaller than the crop."""
    if not pixels:
        raise ValueError("there are no photographs to take crops from")
    for photo, name in zip(pixels, names, strict=True):
        height, width = photo.shape[:2]
        if min(height, width) < crop_size:
            raise ValueError(
                f"{name} is {width} x {height} pixels, too small for crop_size={crop_size}; set crop_size to at most "
                f"{min(min(photo.shape[:2]) for photo in pixels)} or remove it"
            )


def center_crops(pixels: Sequence[Pixels], names: Sequence[str], crop_size: int) -> Tensor:
    """The middle of each photograph: `(N, 3, S, S)` uint8. Validation uses these, the same ones after every epoch.

    Raises:
        ValueError: a photograph is smaller than the crop.
    """
    check_crop_fits(pixels, names, crop_size)
    crops = []
    for photo in pixels:
        top, left = (photo.shape[0] - crop_size) // 2, (photo.shape[1] - crop_size) // 2
        crops.append(torch.from_numpy(photo[top : top + crop_size, left : left + crop_size].copy()).permute(2, 0, 1))
    return torch.stack(crops)
