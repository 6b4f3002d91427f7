"""Colored copies of image files: `plan_copies` decides the outputs, `make_copies` colors one after another."""

import glob
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from colorlib.color import gray_rgb, lightness, to_bytes
from colorlib.colorize.colorizer import PhotoColorizer, color_pixels
from colorlib.colorize.image_file import FORMATS, check_fits, format_of, read_picture, write_picture
from colorlib.device import release_freed_memory
from colorlib.metrics import NEAR_GRAY_CHROMA, mean_chroma
from colorlib.photos.decode import DECODE_ERRORS, MAX_PIXELS, SUFFIXES, Pixels, row_strips

COLORED, COMPARED = "-colorized", "-compared"
"""Suffixes of the copies' names if no output is given."""
GAP = 8
"""Pixels of white between the panels of a comparison."""
LARGE = 10_000_000
"""Pixels from which freed memory is returned to the system; smaller photographs reuse what the previous one freed."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A photograph and the path of its colored copy."""

    photo: Path
    output: Path


def plan_copies(names: Sequence[str], output: Path | None, *, compare: bool = False) -> list[Copy]:
    """Find the photographs that are named and choose the output path of each.

    Args:
        names: files, folders (searched recursively, structure kept) and glob patterns.
        output: a file for one photograph, else a folder. None writes each copy next to its photograph, and those of a
            folder into a new folder next to it.
        compare: name the copies as comparisons.

    Raises:
        ValueError: nothing is found under a name, the output's format is not written, or two copies would have the
            same path.
    """
    suffix = COMPARED if compare else COLORED
    if output is not None:
        output = output.expanduser()
    as_file = output is not None and _is_file_name(output, names)
    copies: dict[Path, Copy] = {}
    for name in names:
        for photo, within in _find_photos(name, exclude=None if as_file else output):
            if as_file:
                assert output is not None
                target = output
            elif output is not None:
                target = output / within / f"{photo.stem}{_copy_suffix(photo)}"
            elif _is_folder(name):
                folder = Path(name).expanduser()
                folder = folder if folder.name not in ("", "..") else folder.resolve()
                target = folder.with_name(f"{folder.name}{suffix}") / within / f"{photo.stem}{_copy_suffix(photo)}"
            else:
                target = photo.with_name(f"{photo.stem}{suffix}{_copy_suffix(photo)}")
            # abspath, not resolve: a photograph and a link to it are two photographs with a copy each.
            copies.setdefault(Path(os.path.abspath(photo)), Copy(photo=photo, output=target))  # noqa: PTH100
    return _resolve_collisions(list(copies.values()))


def _is_file_name(output: Path, names: Sequence[str]) -> bool:
    """Return True if an output is the name of an image file, False if it is that of a folder.

    Raises:
        ValueError: it is an image file of a format that is not written.
    """
    if output.is_dir() or not output.suffix:
        return False
    if output.suffix.lower() in FORMATS:
        return True
    if len(names) == 1 and Path(names[0]).expanduser().is_file():
        format_of(output)  # one photograph and a name with an unknown ending: an error, not a folder of that name
    return False


def _is_folder(name: str) -> bool:
    return Path(name).expanduser().is_dir()


def _find_photos(name: str, *, exclude: Path | None) -> list[tuple[Path, Path]]:
    """Return the photographs under a name, each with its folder relative to the name.

    Args:
        name: a file, a folder or a pattern.
        exclude: the output folder, if there is one: its files are copies of an earlier call.
    """
    # A folder
    path = Path(name).expanduser()
    if path.is_dir():
        inside = sorted(_walk(path, exclude))
        if not inside:
            raise ValueError(f"{name} holds no photographs ({', '.join(sorted(SUFFIXES))})")
        return [(found, found.parent.relative_to(path)) for found in inside]
    # A file
    if path.exists() or path.is_symlink():
        return [(path, Path())]
    # A pattern, by glob.glob: Path.glob refuses absolute patterns
    matching = [Path(found) for found in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    if not matching:
        raise ValueError(f"{name}: there is no such file or folder, and nothing matches it as a pattern")
    files = [found for found in matching if not found.is_dir() and not _is_under(found, exclude)]
    if not files:
        raise ValueError(f"{name} matches folders alone; name the folders, or end the pattern with /*.jpg")
    fixed = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
    return [(found, found.parent.relative_to(fixed)) for found in files if exclude or not _is_copy(found)]


def _walk(folder: Path, exclude: Path | None) -> Iterator[Path]:
    """Yield the photographs in and below a folder, and folders there that cannot be read, to be reported like files."""
    unread: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unread.append):
        here = Path(parent)
        folders[:] = [name for name in folders if name[0] != "." and not _is_under(here / name, exclude)]
        yield from (here / name for name in files if name[0] != "." and Path(name).suffix.lower() in SUFFIXES)
    yield from (Path(error.filename) for error in unread)


def _is_under(path: Path, folder: Path | None) -> bool:
    # realpath, not Path.resolve, which raises for a link to itself
    return folder is not None and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _is_copy(photo: Path) -> bool:
    """Return True if a file is named as a copy and its photograph is next to it."""
    for suffix in (COLORED, COMPARED):
        if photo.stem.endswith(suffix):
            original = photo.stem.removesuffix(suffix)
            return any(sibling.stem == original for sibling in photo.parent.glob(f"{glob.escape(original)}.*"))
    return False


def _copy_suffix(photo: Path) -> str:
    """Return the file name ending of a copy: the photograph's if that format is written, else .png."""
    return photo.suffix if photo.suffix.lower() in FORMATS else ".png"


def _resolve_collisions(copies: Sequence[Copy]) -> list[Copy]:
    """Return the copies; of several with one path, those with a new ending keep the old one too (`scan.bmp.png`).

    Raises:
        ValueError: two of them still have the same path.
    """
    times = Counter(_link_path(copy.output) for copy in copies)
    photos: dict[Path, Path] = {}
    resolved = []
    for copy in copies:
        ending = copy.photo.suffix
        if times[_link_path(copy.output)] > 1 and copy.output.suffix != ending:
            copy = replace(copy, output=copy.output.with_suffix(f"{ending}{copy.output.suffix}"))
        path = _link_path(copy.output)
        if path in photos:
            raise ValueError(
                f"the copies of {photos[path]} and {copy.photo} would both be {copy.output}; give each call an "
                "output of its own (-o)"
            )
        photos[path] = copy.photo
        resolved.append(copy)
    return resolved


def _link_path(path: Path) -> Path:
    """Return the resolved path of a file; a link at its end is not followed, as writing would replace the link."""
    return path.parent.resolve() / path.name


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress event: some pixels of a photograph are colored."""

    copy: Copy
    """The photograph."""
    pixels: int
    """Pixels colored since the previous event."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """Final event of one photograph: it is written, or it failed."""

    copy: Copy
    """The photograph."""
    failure: str | None = None
    """Error message; None if the copy is written."""
    note: str | None = None
    """Remarks on the copy, such as EXIF tags that were left out."""


def make_copies(
    copies: Sequence[Copy],
    colorizer: PhotoColorizer,
    *,
    compare: bool = False,
    overwrite: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Progress | Done]:
    """Color photographs one after another; an error of one is reported in its event, and the others go on.

    Args:
        copies: the photographs and their outputs.
        colorizer: the network and its settings.
        compare: write gray, the photograph's own colors (if it has any) and the prediction side by side.
        overwrite: replace outputs that exist.
        max_pixels: largest width x height of a photograph.

    Yields:
        `Progress` as pixels are colored, and `Done` for each photograph.
    """
    for copy in copies:
        try:
            yield from _make_copy(copy, colorizer, compare=compare, overwrite=overwrite, max_pixels=max_pixels)
        except (ValueError, OSError) as error:
            yield Done(copy=copy, failure=str(error))
        except Exception as error:  # noqa: BLE001  no error of one photograph stops the others
            yield Done(copy=copy, failure=f"{copy.photo}: {type(error).__name__}: {error}")


def _make_copy(
    copy: Copy, colorizer: PhotoColorizer, *, compare: bool, overwrite: bool, max_pixels: int
) -> Iterator[Progress | Done]:
    # Check the output and read the photograph
    _check_output(copy, overwrite=overwrite)
    picture = read_picture(copy.photo, max_pixels=max_pixels)
    height, width = picture.pixels.shape[:2]
    if height * width >= LARGE:
        release_freed_memory()  # free Pillow's copy before the network needs memory
    colors = compare and has_colors(picture.pixels)
    panels = (3 if colors else 2) if compare else 1
    check_fits(copy.output, panels * width + (panels - 1) * GAP, height)
    # Color it in place
    original = picture.pixels.copy() if compare else None
    for count in color_pixels(
        picture.pixels,
        colorizer.colorizer,
        keep_luminance=colorizer.keep_luminance,
        saturation=colorizer.saturation,
    ):
        yield Progress(copy=copy, pixels=count)
    if original is not None:
        picture = replace(picture, pixels=side_by_side(original, picture.pixels, colors=colors), alpha=None)
    # Write the copy
    _check_output(copy, overwrite=overwrite)  # again: coloring takes minutes, and the file may exist by now
    if height * width >= LARGE:
        release_freed_memory()  # free the network's layers before Pillow needs memory
    notes = [write_picture(copy.output, picture)]
    if picture.frames > 1:
        notes.insert(0, f"the first of its {picture.frames} pictures is colored")
    yield Done(copy=copy, note="; ".join(filter(None, notes)) or None)


def _check_output(copy: Copy, *, overwrite: bool) -> None:
    """Raise a ValueError if the output is the photograph itself, exists, or has a format that is not written."""
    format_of(copy.output)
    if copy.output.exists() or copy.output.is_symlink():
        if copy.photo.exists() and copy.output.exists() and copy.output.samefile(copy.photo):
            raise ValueError(f"{copy.photo} would be replaced by its own copy; name another output")
        if not overwrite:
            raise ValueError(f"{copy.output} exists; --overwrite replaces it")


def has_colors(photo: Pixels) -> bool:
    """Return True if a photograph is not near-gray, by the mean chroma of a grid of its pixels (about 256 a side)."""
    every = max(min(photo.shape[:2]) // 256, 1)
    grid = torch.from_numpy(photo[::every, ::every].copy()).permute(2, 0, 1)
    return mean_chroma(grid) >= NEAR_GRAY_CHROMA


def side_by_side(photo: Pixels, colored: Pixels, *, colors: bool) -> Pixels:
    """Return panels from left to right: gray, the photograph's own colors if `colors`, and the prediction.

    Args:
        photo: `(H, W, 3)` uint8 sRGB.
        colored: its prediction, likewise.
        colors: include the photograph itself.
    """
    height, width = photo.shape[:2]
    panels = [None, photo, colored] if colors else [None, colored]
    whole = np.full((height, len(panels) * (width + GAP) - GAP, 3), 255, dtype=np.uint8)
    for rows in row_strips(height):
        planes = torch.from_numpy(photo[rows].copy()).permute(2, 0, 1)
        gray = to_bytes(gray_rgb(lightness(planes))).permute(1, 2, 0).numpy()
        for column, panel in enumerate(panels):
            left = column * (width + GAP)
            whole[rows, left : left + width] = gray if panel is None else panel[rows]
    return whole


def pixels_to_color(copy: Copy, *, overwrite: bool = False, max_pixels: int = MAX_PIXELS) -> int:
    """Return the pixels of a photograph by its header, for a progress bar; 0 if `make_copies` will report an error."""
    if not overwrite and copy.output.exists():
        return 0
    try:
        with Image.open(copy.photo) as image:
            pixels = image.width * image.height
    except DECODE_ERRORS:
        return 0
    return pixels if pixels <= max_pixels else 0
