"""Hints: colors that a person gives at places of a photograph, spread to where place and lightness are alike.

No training is needed: a hint moves a and b of any colorizer's prediction. For pixels at distance d from a hint, in
shares of the photograph's longer side, and with a difference l in L, its weight is

    w = exp(-(d / reach)^2 / 2 - (l / 12)^2 / 2),    reach = max(0.12, 0.45 k^-0.3) for k hints,

and the new a and b are (1 - c) prediction + c sum(w hint) / sum(w), with c = sum(w) / (sum(w) + 0.2). The constants
were chosen on validation photographs.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from colorlib.color import lightness, rgb_to_lab
from colorlib.files import read_json

LIGHT_RANGE = 12.0
"""Difference in L over which a hint's weight falls to exp(-1/2)."""
PRIOR = 0.2
"""Weight of the prediction, beside those of the hints."""
PATCH = 7
"""Side in pixels of the square around a hint whose mean L is the hint's."""
FIELDS = {"hints": [{"x": float, "y": float, "color": str}]}
"""Fields of a file of hints."""
EXAMPLE = '(0.5, 0.25, "#a0522d")'
COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, order=True)
class Hint:
    """A color at a place of a photograph."""

    x: float
    """Share of the photograph's width, from its left edge: in [0, 1]."""
    y: float
    """Share of its height, from its upper edge: in [0, 1]."""
    color: str
    """sRGB as `#rrggbb`; only its a and b are used, the lightness is the photograph's."""


def check_hints(entries: Iterable[tuple[float, float, str] | Hint]) -> tuple[Hint, ...]:
    """Return hints in an order that does not depend on the given one.

    Args:
        entries: hints, or tuples of `x`, `y` and `color`.

    Raises:
        ValueError: an entry is none; the message has its number, counted from 0, and the fix.
    """
    hints = []
    for number, entry in enumerate(entries):
        try:
            x, y, color = (entry.x, entry.y, entry.color) if isinstance(entry, Hint) else entry
            x, y = float(x), float(y)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f'hints[{number}] is {entry!r}; give (x, y, color), such as (0.5, 0.25, "#a0522d")'
            ) from error
        for name, value, side in (("x", x, "width"), ("y", y, "height")):
            if not 0 <= value <= 1:
                raise ValueError(f"hints[{number}].{name} is {value:g}; give a share of the {side}, from 0 to 1")
        if not isinstance(color, str) or not COLOR.fullmatch(color):
            raise ValueError(f"hints[{number}].color is {color!r}; give six hexadecimal digits, such as #a0522d")
        hints.append(Hint(x, y, color.lower()))
    return tuple(sorted(hints))


def read_hints(path: Path) -> tuple[Hint, ...]:
    """Return the hints of a JSON file: `{"hints": [{"x": 0.5, "y": 0.25, "color": "#a0522d"}]}`.

    Raises:
        ValueError: the file cannot be read, or an entry is no hint; the message names both and the fix.
    """
    fix = 'write {"hints": [{"x": 0.5, "y": 0.25, "color": "#a0522d"}]}'
    entries = read_json(path, FIELDS, fix=fix)["hints"]
    try:
        return check_hints((entry["x"], entry["y"], entry["color"]) for entry in entries)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


@dataclass(frozen=True, kw_only=True)
class PlacedHints:
    """Hints on one photograph, with all that spreading them needs to know of it."""

    size: tuple[int, int]
    """Height and width of the photograph in pixels."""
    places: Tensor
    """Row and column of each hint in pixels from the upper left corner, `(k, 2)` float64."""
    light: Tensor
    """The photograph's L at each hint, `(k,)`."""
    ab: Tensor
    """a and b of each hint, `(k, 2)`."""

    @property
    def reach(self) -> float:
        """Distance, in shares of the longer side, over which a hint's weight falls to exp(-1/2)."""
        return max(0.12, 0.45 / math.pow(len(self.places), 0.3))

    def sums(self, light: Tensor, rows: slice, columns: slice) -> tuple[Tensor, Tensor]:
        """Return sum(w) and sum(w hint) over the hints at each pixel of a tile, `(..., 1, h, w)` and `(..., 2, h, w)`.

        Args:
            light: the photograph's L there, `(..., 1, h, w)` float in [0, 100].
            rows: rows of the tile in the photograph.
            columns: its columns.
        """
        scale = self.reach * max(self.size)
        centers = [torch.arange(place.start, place.stop, dtype=torch.float64) + 0.5 for place in (rows, columns)]
        weight = torch.zeros_like(light)
        color = torch.zeros_like(light.expand(*light.shape[:-3], 2, -1, -1))
        # One hint at a time, so that memory does not grow with their number
        for (row, column), own, ab in zip(self.places, self.light, self.ab, strict=True):
            down, across = (
                torch.exp(-0.5 * ((center - at) / scale).square()).to(light)
                for center, at in zip(centers, (row, column), strict=True)
            )
            near = torch.exp(-0.5 * ((light - own.to(light)) / LIGHT_RANGE).square()) * down[:, None] * across
            weight += near
            color += near * ab.to(light)[:, None, None]
        return weight, color

    def blend(self, ab: Tensor, light: Tensor, rows: slice, columns: slice) -> Tensor:
        """Return a and b of a tile after the hints, `(..., 2, h, w)`.

        Args:
            ab: the predicted a and b, `(..., 2, h, w)`.
            light: the photograph's L there, `(..., 1, h, w)` float in [0, 100].
            rows: rows of the tile in the photograph.
            columns: its columns.
        """
        weight, color = self.sums(light.to(ab), rows, columns)
        return mix(ab, weight, color)


def mix(ab: Tensor, weight: Tensor, color: Tensor) -> Tensor:
    """Return (1 - c) ab + c color / weight with c = weight / (weight + 0.2), from the sums of `PlacedHints.sums`."""
    return (PRIOR * ab + color) / (weight + PRIOR)


def place_hints(hints: Sequence[Hint], rgb: Tensor) -> PlacedHints:
    """Return hints on a photograph.

    Args:
        hints: at least one.
        rgb: the photograph, `(3, H, W)` sRGB, uint8 or float in [0, 1]; of it only the pixels around hints are read.
    """
    height, width = rgb.shape[-2:]
    places = torch.tensor([(hint.y * height, hint.x * width) for hint in hints], dtype=torch.float64)
    lights = []
    for row, column in places.floor().int().tolist():
        around = [
            slice(max(min(at, side - 1) - PATCH // 2, 0), min(at, side - 1) + PATCH // 2 + 1)
            for at, side in ((row, height), (column, width))
        ]
        lights.append(lightness(rgb[:, around[0], around[1]]).double().mean().cpu())
    return PlacedHints(
        size=(height, width),
        places=places,
        light=torch.stack(lights),
        ab=torch.stack([_ab(hint.color) for hint in hints]),
    )


def _ab(color: str) -> Tensor:
    """Return a and b of a color `#rrggbb`, `(2,)` float64."""
    levels = torch.tensor(list(bytes.fromhex(color[1:])), dtype=torch.float64)
    return rgb_to_lab(levels.reshape(3, 1, 1) / 255.0)[1:, 0, 0]
