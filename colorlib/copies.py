"""Colored copies of people's photographs: which go where, and making them one after another."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from colorlib.color import gray_rgb, lightness, to_bytes
from colorlib.coloring import PhotoColorizer, color_pixels
from colorlib.images import MAX_PIXELS, SUFFIXES, Pixels
from colorlib.metrics import NEAR_GRAY_CHROMA, mean_chroma
from colorlib.picture_files import FORMATS, format_of, read_picture, write_picture

COLORED, COMPARED = "-colorized", "-compared"
"""What is added to a name where no output is given."""
GAP = 8
"""Pixels of white between the panels of a comparison."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A photograph, and where its colored copy goes."""

    photo: Path
    output: Path


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


def plan_copies(named: Sequence[str], output: Path | None, *, compare: bool = False) -> list[Copy]:
    """Which photographs are meant, and where the copy of each goes.

    Args:
        named: files, folders (searched recursively, structure kept) and glob patterns.
        output: a file where one photograph is named, else a folder; None puts copies beside the photographs, those of
            a folder into a folder beside it.
        compare: the copies are comparisons, and called so.

    Raises:
        ValueError: nothing is found under a name, or two copies would have the same path.
    """
    suffix = COMPARED if compare else COLORED
    if output is not None and output.suffix.lower() in SUFFIXES and not output.is_dir():
        format_of(output)
    copies: dict[Path, Copy] = {}
    for name in named:
        for photo, within in _found(name):
            if output is None:
                folder = photo.parent if within is None else Path(f"{name.rstrip('/')}{suffix}") / within
                beside = suffix if within is None else ""
                target = folder / f"{photo.stem}{beside}{_written_as(photo)}"
            elif output.suffix.lower() in FORMATS and not output.is_dir():
                target = output
            else:
                target = output / (within or Path()) / f"{photo.stem}{_written_as(photo)}"
            copies.setdefault(photo.resolve(), Copy(photo=photo, output=target))
    # A copy that an earlier call left beside its photograph is not a photograph to color.
    made = {copy.output.resolve() for copy in copies.values()}
    wanted = [copy for photo, copy in copies.items() if output is not None or photo not in made]
    _refuse_doubles(wanted)
    return wanted


def _found(name: str) -> list[tuple[Path, Path | None]]:
    """The photographs under a name, each with its folder within the folder that was named."""
    path = Path(name).expanduser()
    if path.is_dir():
        inside = sorted(
            found
            for found in path.rglob("*")
            if found.suffix.lower() in SUFFIXES and not found.name.startswith(".") and not found.is_dir()
        )
        if not inside:
            raise ValueError(f"{name} holds no photographs ({', '.join(sorted(SUFFIXES))})")
        return [(found, found.parent.relative_to(path)) for found in inside]
    if path.exists() or path.is_symlink():
        return [(path, None)]
    # Path.glob refuses patterns that begin at the root.
    matching = [Path(found) for found in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    if not matching:
        raise ValueError(f"{name}: there is no such file or folder, and nothing matches it as a pattern")
    return [(found, None) for found in matching if found.is_file()]


def _written_as(photo: Path) -> str:
    """The ending of a copy: the photograph's, where that is written, else .png."""
    return photo.suffix if photo.suffix.lower() in FORMATS else ".png"


def _refuse_doubles(copies: Iterable[Copy]) -> None:
    held: dict[Path, Path] = {}
    for copy in copies:
        if copy.output in held:
            raise ValueError(
                f"the copies of {held[copy.output]} and {copy.photo} would both be {copy.output}; name a folder as "
                "output, or color them apart"
            )
        held[copy.output] = copy.photo


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


def _make(
    copy: Copy, colorizer: PhotoColorizer, *, compare: bool, overwrite: bool, max_pixels: int
) -> Iterator[Progress | Done]:
    format_of(copy.output)
    if copy.output.exists():
        if copy.output.samefile(copy.photo):
            raise ValueError(f"{copy.photo} would be replaced by its own copy; name another output")
        if not overwrite:
            raise ValueError(f"{copy.output} exists; --overwrite replaces it")
    picture = read_picture(copy.photo, max_pixels=max_pixels)
    before = picture.pixels.copy() if compare else None
    for count in color_pixels(
        picture.pixels,
        colorizer.colorizer,
        keep_luminance=colorizer.keep_luminance,
        saturation=colorizer.saturation,
    ):
        yield Progress(copy=copy, pixels=count)
    if before is not None:
        picture = replace(picture, pixels=side_by_side(before, picture.pixels), alpha=None)
    write_picture(copy.output, picture)
    frames = picture.frames
    yield Done(copy=copy, note=f"the first of its {frames} pictures is colored" if frames > 1 else None)


def side_by_side(photo: Pixels, colored: Pixels) -> Pixels:
    """Gray, the photograph's own colors where it has any, and the prediction, from left to right."""
    planes = torch.from_numpy(photo).permute(2, 0, 1)
    gray = to_bytes(gray_rgb(lightness(planes))).permute(1, 2, 0).numpy()
    every = max(min(photo.shape[:2]) // 256, 1)  # whether there are colors shows in a few pixels too
    has_colors = mean_chroma(planes[:, ::every, ::every]) >= NEAR_GRAY_CHROMA
    panels = [gray, photo, colored] if has_colors else [gray, colored]
    gap = np.full((len(photo), GAP, 3), 255, dtype=np.uint8)
    return np.concatenate([part for panel in panels for part in (gap, panel)][1:], axis=1)


def pixels_of(copies: Sequence[Copy]) -> int:
    """How many pixels the photographs have in all, by their headers; those that cannot be read count nothing."""
    total = 0
    for copy in copies:
        try:
            with Image.open(copy.photo) as image:
                total += image.width * image.height
        except (OSError, ValueError, SyntaxError):
            continue  # it is told when its turn comes
    return total
