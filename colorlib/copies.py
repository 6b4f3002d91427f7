"""Colored copies of people's photographs, made one after another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from colorlib.color import gray_rgb, lightness, to_bytes
from colorlib.coloring import PhotoColorizer, color_pixels
from colorlib.copy_places import Copy
from colorlib.devices import give_back_memory
from colorlib.images import DAMAGE, MAX_PIXELS, Pixels, strips
from colorlib.metrics import NEAR_GRAY_CHROMA, mean_chroma
from colorlib.picture_files import check_fits, format_of, read_picture, write_picture

GAP = 8
"""Pixels of white between the panels of a comparison."""
LARGE = 10_000_000
"""Pixels from which memory is given back; after smaller photographs the next one uses what the last one freed."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Some pixels of a photograph are colored."""

    copy: Copy
    pixels: int


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of one photograph."""

    copy: Copy
    failure: str | None = None
    """Why there is no colored copy; None where there is one."""
    note: str | None = None
    """What is worth saying of it besides."""


def make_copies(
    copies: Sequence[Copy],
    colorizer: PhotoColorizer,
    *,
    compare: bool = False,
    overwrite: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Progress | Done]:
    """Color photographs one after another; one that cannot be colored is told, and the rest is done.

    Args:
        copies: what goes where.
        colorizer: what colors, and how its colors are put on the photograph.
        compare: write gray, the photograph's own colors (where it has any) and the prediction side by side.
        overwrite: replace copies that exist.
        max_pixels: refuse larger photographs.

    Yields:
        `Progress` as pixels are colored, and `Done` for each photograph.
    """
    for copy in copies:
        try:
            yield from _make(copy, colorizer, compare=compare, overwrite=overwrite, max_pixels=max_pixels)
        except (ValueError, OSError) as error:
            yield Done(copy=copy, failure=str(error))
        except Exception as error:  # noqa: BLE001  whatever one photograph leads to, the others are done
            yield Done(copy=copy, failure=f"{copy.photo}: {type(error).__name__}: {error}")


def _make(
    copy: Copy, colorizer: PhotoColorizer, *, compare: bool, overwrite: bool, max_pixels: int
) -> Iterator[Progress | Done]:
    _refuse_output(copy, overwrite=overwrite)
    picture = read_picture(copy.photo, max_pixels=max_pixels)
    height, width = picture.pixels.shape[:2]
    if height * width >= LARGE:
        give_back_memory()  # Pillow's own copy, before the network's layers
    colors = compare and has_colors(picture.pixels)
    panels = (3 if colors else 2) if compare else 1
    check_fits(copy.output, panels * width + (panels - 1) * GAP, height)
    before = picture.pixels.copy() if compare else None
    for count in color_pixels(
        picture.pixels,
        colorizer.colorizer,
        keep_luminance=colorizer.keep_luminance,
        saturation=colorizer.saturation,
    ):
        yield Progress(copy=copy, pixels=count)
    if before is not None:
        picture = replace(picture, pixels=side_by_side(before, picture.pixels, colors=colors), alpha=None)
    _refuse_output(copy, overwrite=overwrite)  # coloring takes minutes: somebody may have written it meanwhile
    if height * width >= LARGE:
        give_back_memory()  # the network's layers, before Pillow's copy
    notes = [write_picture(copy.output, picture)]
    if picture.frames > 1:
        notes.insert(0, f"the first of its {picture.frames} pictures is colored")
    yield Done(copy=copy, note="; ".join(filter(None, notes)) or None)


def _refuse_output(copy: Copy, *, overwrite: bool) -> None:
    format_of(copy.output)
    if copy.output.exists() or copy.output.is_symlink():
        if copy.photo.exists() and copy.output.exists() and copy.output.samefile(copy.photo):
            raise ValueError(f"{copy.photo} would be replaced by its own copy; name another output")
        if not overwrite:
            raise ValueError(f"{copy.output} exists; --overwrite replaces it")


def has_colors(photo: Pixels) -> bool:
    """Whether a photograph is more than gray: it shows in a few of its pixels too."""
    every = max(min(photo.shape[:2]) // 256, 1)
    few = torch.from_numpy(photo[::every, ::every].copy()).permute(2, 0, 1)
    return mean_chroma(few) >= NEAR_GRAY_CHROMA


def side_by_side(photo: Pixels, colored: Pixels, *, colors: bool) -> Pixels:
    """Gray, the photograph's own colors where it has any, and the prediction, from left to right."""
    height, width = photo.shape[:2]
    panels = [None, photo, colored] if colors else [None, colored]
    whole = np.full((height, len(panels) * (width + GAP) - GAP, 3), 255, dtype=np.uint8)
    for rows in strips(height):
        planes = torch.from_numpy(photo[rows].copy()).permute(2, 0, 1)
        gray = to_bytes(gray_rgb(lightness(planes))).permute(1, 2, 0).numpy()
        for place, panel in enumerate(panels):
            left = place * (width + GAP)
            whole[rows, left : left + width] = gray if panel is None else panel[rows]
    return whole


def pixels_to_color(copy: Copy, *, overwrite: bool = False, max_pixels: int = MAX_PIXELS) -> int:
    """How many pixels a photograph has, by its header; none where it will be refused, which is told in its turn."""
    if not overwrite and copy.output.exists():
        return 0
    try:
        with Image.open(copy.photo) as image:
            pixels = image.width * image.height
    except DAMAGE:
        return 0
    return pixels if pixels <= max_pixels else 0
