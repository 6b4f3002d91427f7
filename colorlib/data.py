"""Training batches (random crops, flips and quarter turns) and center crops for validation.

All photographs are decoded once and kept as uint8, on the GPU if they fit. The crops of an epoch are a small table
(`EpochPlan`) that depends on (seed, epoch) alone, so any row of it can be recomputed at any time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colorlib import rng
from colorlib.color import lab_to_rgb, resize, rgb_to_lab, to_bytes
from colorlib.metrics import is_near_gray
from colorlib.photos import PhotoSet
from colorlib.photos.cache import UnreadablePhotosError
from colorlib.photos.decode import Pixels

CPU = torch.device("cpu")
ASPECT = 1.25
"""Largest ratio of the sides of a crop whose size is random; the smallest is its inverse."""
VALIDATION_PHOTOS = 500
"""Maximum number of validation photographs, spread evenly over the split: more would cost more time than training."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Augmentation of a training crop (Sec. III.D; for what the paper leaves open see paper/deviations.md)."""

    crop_size: int
    """Side of the square crop in pixels."""
    flip_probability: float
    """Probability of a horizontal flip."""
    turn_probability: float
    """Probability of a turn by 90, 180 or 270 degrees, each equally likely."""
    view_share: float = 1.0
    """Smallest crop as a share of the largest, in width and in height: crops have up to `crop_size / view_share` pixels
    of the photograph and are shrunk to `crop_size`. 1 keeps the photograph's resolution."""


@dataclass(frozen=True, kw_only=True)
class EpochPlan:
    """Crops of one epoch: one array per property, one entry per crop."""

    photo: NDArray[np.int64]
    """Index of the photograph."""
    top: NDArray[np.int64]
    """First row of the crop in the photograph."""
    left: NDArray[np.int64]
    """First column of the crop in the photograph."""
    height: NDArray[np.int64]
    """Rows of the crop in the photograph."""
    width: NDArray[np.int64]
    """Columns of the crop in the photograph."""
    flip: NDArray[np.bool_]
    """True if the crop is flipped horizontally, before any turn."""
    turns: NDArray[np.int64]
    """Counterclockwise quarter turns, 0 to 3."""


def plan_epoch(sizes: NDArray[np.int64], crops: int, augmentation: Augmentation, *, seed: int, epoch: int) -> EpochPlan:
    """Return the crops of an epoch: every photograph equally often (to within one crop), in random order.

    Args:
        sizes: `(N, 2)` heights and widths of the photographs in pixels, none below that of the largest crop.
        crops: number of crops in the epoch.
        augmentation: sizes of crops and probabilities.
        seed: the run's seed.
        epoch: counted from 1.
    """
    # One random order of all photographs after another, until there are enough crops
    rounds = -(-crops // len(sizes))
    orders = [rng.permutation(len(sizes), seed, "order of photographs", epoch, round_) for round_ in range(rounds)]
    photo = np.concatenate(orders)[:crops]
    # Each property has its own random numbers, so a change of one probability leaves the others unchanged.
    sides = _sides(crops, augmentation, seed=seed, epoch=epoch)
    room = sizes[photo] - sides + 1
    turned = rng.uniforms(crops, seed, "turned", epoch) < augmentation.turn_probability
    turns = 1 + rng.integers(np.full(crops, 3), seed, "quarter turns", epoch)
    return EpochPlan(
        photo=photo,
        top=rng.integers(room[:, 0], seed, "top of crop", epoch),
        left=rng.integers(room[:, 1], seed, "left of crop", epoch),
        height=sides[:, 0],
        width=sides[:, 1],
        flip=rng.uniforms(crops, seed, "flipped", epoch) < augmentation.flip_probability,
        turns=np.where(turned, turns, 0),
    )


def _sides(crops: int, augmentation: Augmentation, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return height and width of each crop in pixels of the photograph, `(crops, 2)`."""
    smallest, largest = augmentation.crop_size, augmentation.crop_size / augmentation.view_share
    side = smallest + (largest - smallest) * rng.uniforms(crops, seed, "side of crop", epoch)
    # Height over width is the square of this factor
    stretch = ASPECT ** (rng.uniforms(crops, seed, "aspect of crop", epoch) - 0.5)
    sides = np.stack((side * stretch, side / stretch), axis=1).clip(smallest, largest)
    return sides.round().astype(np.int64)


class TrainingPhotos:
    """Decoded training photographs and the batches of any epoch."""

    def __init__(
        self,
        pixels: Sequence[Pixels],
        names: Sequence[str],
        augmentation: Augmentation,
        device: torch.device = CPU,
    ) -> None:
        """Move the photographs to `device`.

        Args:
            pixels: each `(H, W, 3)` uint8; not copied if `device` is the CPU.
            names: their names, for error messages.
            augmentation: crop size and probabilities.
            device: where photographs are kept, and where crops are cut, flipped and turned.

        Raises:
            ValueError: a photograph is smaller than the crop.
        """
        check_crop_fits(pixels, names, augmentation.crop_size)
        self.originals = pixels
        self.pixels = [torch.from_numpy(photo).to(device).permute(2, 0, 1) for photo in pixels]
        self.sizes = np.array([photo.shape[:2] for photo in pixels], dtype=np.int64)
        self.augmentation = augmentation

    def batches(
        self, crops: int, batch_size: int, *, seed: int, epoch: int, shard: Callable[[int], range] = range
    ) -> Iterator[Tensor]:
        """Yield the epoch's batches, each `(B, 3, S, S)` uint8; the last one may be smaller.

        Args:
            crops: number of crops in the epoch.
            batch_size: crops per update.
            seed: the run's seed.
            epoch: counted from 1.
            shard: maps the size of a batch to the crops of this process (`colorlib.device.shard`), by default all.
                A batch without crops for this process is yielded with B = 0.
        """
        plan = plan_epoch(self.sizes, crops, self.augmentation, seed=seed, epoch=epoch)
        for start in range(0, crops, batch_size):
            rows = range(start, min(start + batch_size, crops))
            wanted = [self._crop(plan, rows[place]) for place in shard(len(rows))]
            size = self.augmentation.crop_size
            yield torch.stack(wanted) if wanted else self.pixels[0].new_empty(0, 3, size, size)

    def _crop(self, plan: EpochPlan, row: int) -> Tensor:
        """Return the crop of one row of the plan, `(3, S, S)` uint8."""
        size, top, left = self.augmentation.crop_size, plan.top[row], plan.left[row]
        height, width = plan.height[row], plan.width[row]
        crop = self.pixels[plan.photo[row]][:, top : top + height, left : left + width]
        if (height, width) != (size, size):
            crop = to_bytes(resize(crop.unsqueeze(0) / 255.0, size, size))[0]
        if plan.flip[row]:
            crop = crop.flip(-1)
        turned: Tensor = crop.rot90(int(plan.turns[row]), (-2, -1))
        return turned


def shrink(photo: Pixels, side: int) -> Pixels:
    """Return a photograph resized to a square in LAB, so that its L is the resized L that the network sees.

    Args:
        photo: `(H, W, 3)` uint8 sRGB.
        side: side of the square in pixels; 0 returns the photograph itself.
    """
    if side == 0:
        return photo
    lab = rgb_to_lab(torch.from_numpy(np.ascontiguousarray(photo)).permute(2, 0, 1))
    rgb = to_bytes(lab_to_rgb(resize(lab.unsqueeze(0), side, side)))[0]
    pixels: Pixels = rgb.permute(1, 2, 0).contiguous().numpy()
    return pixels


def check_crop_fits(pixels: Sequence[Pixels], names: Sequence[str], crop_size: int) -> None:
    """Check that every photograph is at least as large as the crop.

    Raises:
        ValueError: there are no photographs, or some are smaller than the crop; the message names all of these.
    """
    if not pixels:
        raise ValueError("there are no photographs to take crops from")
    small = _too_small([photo.shape[:2] for photo in pixels], names, crop_size)
    if small:
        raise ValueError(
            f"too small for crop_size={crop_size}: {', '.join(small)}; set crop_size to at most "
            f"{min(min(photo.shape[:2]) for photo in pixels)} or remove them"
        )


def _too_small(sizes: Sequence[tuple[int, ...]], names: Sequence[str], crop_size: int) -> list[str]:
    """Return the names and sizes of the photographs that are smaller than the crop."""
    return [
        f"{name} is {width} x {height} pixels"
        for (height, width), name in zip(sizes, names, strict=True)
        if min(height, width) < crop_size
    ]


class UnusablePhotosError(ValueError):
    """Photographs that cannot be decoded or are smaller than the crop."""


def check_photos(photos: PhotoSet, crop_size: int) -> list[str]:
    """Check before training that all photographs of a split can be used; return remarks on those that teach no colors.

    Args:
        photos: the photographs of one split.
        crop_size: side of the square crop in pixels.

    Raises:
        UnusablePhotosError: photographs cannot be decoded or are smaller than the crop; the message lists all of them.
    """
    problems: list[str] = []
    usable = photos
    try:
        pixels = photos.decode()
    except UnreadablePhotosError as error:
        problems += error.problems.values()
        usable = replace(photos, photos=tuple(photo for photo in photos if photo.name not in error.problems))
        pixels = usable.decode()
    problems += _too_small([one.shape[:2] for one in pixels], usable.names, crop_size)
    if problems:
        smallest = min((min(one.shape[:2]) for one in pixels), default=crop_size)
        smaller = f" or set crop_size to at most {smallest}" if smallest < crop_size else ""
        raise UnusablePhotosError(
            f"{len(problems)} of {len(photos)} photographs for {photos.split} cannot be used with "
            f"crop_size={crop_size}: {'; '.join(problems)}; mend or remove them{smaller}"
        )
    gray = [
        name
        for name, one in zip(usable.names, pixels, strict=True)
        if is_near_gray(torch.from_numpy(one).permute(2, 0, 1))
    ]
    if not gray:
        return []
    count = f"{len(gray)} of {len(photos)} photographs for {photos.split}"
    return [f"{count} are near gray and teach no colors: {', '.join(gray)}"]


def center_crops(pixels: Sequence[Pixels], names: Sequence[str], crop_size: int) -> Tensor:
    """Return the center crop of each photograph, `(N, 3, S, S)` uint8: the same validation data after every epoch.

    Raises:
        ValueError: there are no photographs, or one is smaller than the crop; the message names it.
    """
    check_crop_fits(pixels, names, crop_size)
    crops = []
    for photo in pixels:
        top, left = (photo.shape[0] - crop_size) // 2, (photo.shape[1] - crop_size) // 2
        crops.append(torch.from_numpy(photo[top : top + crop_size, left : left + crop_size].copy()).permute(2, 0, 1))
    return torch.stack(crops)


def validation_crops(photos: PhotoSet, crop_size: int, view: int) -> Tensor:
    """Return what training validates on, `(N, 3, S, S)` uint8: center crops of at most `VALIDATION_PHOTOS` photographs.

    Args:
        photos: the validation split.
        crop_size: side of the crops in pixels.
        view: side of the square that photographs are shrunk to first; 0 leaves them as they are.

    Raises:
        ValueError: as `center_crops`.
    """
    chosen = photos.at_most(VALIDATION_PHOTOS)
    return center_crops([shrink(photo, view) for photo in chosen.decode()], chosen.names, crop_size)
