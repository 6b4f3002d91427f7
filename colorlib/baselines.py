"""What trivial answers get: each is a `Colorize`, fitted on training photographs alone, in one table `BASELINES`.

They stand in every table, because pixel metrics reward them more than readers expect.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from colorlib.color import gray_rgb, lab_to_rgb, lightness, rgb_to_lab
from colorlib.colorizer import Colorize
from colorlib.images import Pixels

LEVELS = 256
"""Entries of the look-up table; L is cut into this many equal steps."""


def fit_gray(photos: Sequence[Pixels]) -> Colorize:
    """The gray picture itself, a = b = 0; nothing is fitted."""
    return gray_rgb


def _channels_first(photo: Pixels) -> Tensor:
    return torch.from_numpy(photo).permute(2, 0, 1)


def fit_mean_chroma(photos: Sequence[Pixels]) -> Colorize:
    """The true L with the mean a and b of the training photographs, each photograph weighing the same."""
    chroma = torch.stack([rgb_to_lab(_channels_first(photo))[1:].double().mean(dim=(1, 2)) for photo in photos])
    a, b = chroma.mean(dim=0).tolist()

    def colored(light: Tensor) -> Tensor:
        return lab_to_rgb(torch.cat((light, torch.full_like(light, a), torch.full_like(light, b)), dim=-3))

    return colored


def fit_look_up_table(photos: Sequence[Pixels]) -> Colorize:
    """For each L the mean RGB that training pixels of this L have: the best answer, in MSE, that sees one pixel alone.

    Levels that no training pixel has are interpolated between their neighbors.
    """
    total, weight = torch.zeros(LEVELS, 3, dtype=torch.float64), torch.zeros(LEVELS, dtype=torch.float64)
    for photo in photos:
        rgb = _channels_first(photo)
        level = _level(lightness(rgb)).reshape(-1)
        counts = torch.bincount(level, minlength=LEVELS).double()
        values = rgb.reshape(3, -1).double() / 255.0
        sums = torch.stack([torch.bincount(level, weights=channel, minlength=LEVELS) for channel in values], dim=1)
        total += sums / level.numel()
        weight += counts / level.numel()
    table = _fill_gaps(total, weight).float()

    def colored(light: Tensor) -> Tensor:
        return table[_level(light).squeeze(-3)].movedim(-1, -3)

    return colored


def _level(light: Tensor) -> Tensor:
    return (light / 100.0 * (LEVELS - 1)).round().long().clamp(0, LEVELS - 1)


def _fill_gaps(total: Tensor, weight: Tensor) -> Tensor:
    known = weight.nonzero().squeeze(1)
    levels = torch.arange(len(weight))
    above = torch.searchsorted(known, levels).clamp(max=len(known) - 1)
    below = (torch.searchsorted(known, levels, right=True) - 1).clamp(min=0)
    low, high = known[below], known[above]
    share = torch.where(high > low, (levels - low) / (high - low).clamp(min=1), 0.0)[:, None]
    mean = total / weight.clamp(min=1e-300)[:, None]
    return (1 - share) * mean[low] + share * mean[high]


BASELINES: dict[str, Callable[[Sequence[Pixels]], Colorize]] = {
    "gray": fit_gray,
    "mean chroma": fit_mean_chroma,
    "look-up table": fit_look_up_table,
}
