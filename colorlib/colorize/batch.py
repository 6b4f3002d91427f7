"""Colored copies of image files: `plan_copies` checks everything first, `make_copies` colors one after another.

No photograph is ever an output. What cannot be written is found in the plan, before the first pixel is colored.
"""

import glob
import hashlib
import io
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from colorlib.color import gray_rgb, lightness, to_bytes
from colorlib.colorize.colorizer import PhotoColorizer, color_pixels
from colorlib.colorize.image_file import (
    FORMATS,
    LARGE,
    MAX_BLOCK,
    Picture,
    check_alpha,
    check_fits,
    encode_picture,
    format_of,
    read_stored,
    write_picture,
)
from colorlib.colorize.label import Label, add_label, read_label
from colorlib.device import release_freed_memory
from colorlib.metrics import is_near_gray
from colorlib.photos.decode import MAX_PIXELS, Pixels, open_image, open_regular, row_strips, srgb_pixels
from colorlib.photos.headers import SUFFIXES
from colorlib.photos.walk import OWN_COPIES, find_photos, left_out_text

COLORED, COMPARED = "-colorized", "-compared"
"""Suffixes of the copies' names if no output is given."""
STANDARD = Path("-")
"""Standard input or output."""
ENDINGS = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp", "TIFF": ".tif"}
"""Format of a photograph -> ending of its copy on standard output; others are written as PNG."""
GAP = 8
"""Pixels of white between the panels of a comparison."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A photograph and the path of its colored copy."""

    photo: Path
    output: Path
    pixels: int = field(default=0, compare=False)
    """Width x height by the photograph's header, for a progress bar."""
    data: bytes | None = field(default=None, compare=False, repr=False)
    """The photograph's file, if it came by standard input."""
    kind: str = field(default="", compare=False)
    """The photograph's format."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a call of `colorize` does."""

    copies: list[Copy]
    """Copies to make."""
    done: list[Copy]
    """Copies that exist, made of the same photograph by the same network with the same options."""
    failed: dict[Copy, str]
    """Copies that cannot be made -> the reason."""
    left_out: Counter[str]
    """Reason -> number of files that are no photographs to color."""


@dataclass(frozen=True, kw_only=True)
class _Named:
    """A file that was named or found, with what its header says."""

    photo: Path
    within: Path
    """Its folder relative to the name that it was found by."""
    folder: Path | None
    """The folder that was named, if it was found in one."""
    data: bytes | None = None
    size: tuple[int, int] = (0, 0)
    kind: str = ""
    has_alpha: bool = False
    label: Label | None = None
    problem: str | None = None


def plan_copies(
    names: Sequence[str],
    output: Path | None,
    *,
    compare: bool = False,
    overwrite: bool = False,
    max_pixels: int = MAX_PIXELS,
    colorizer: PhotoColorizer | None = None,
) -> Plan:
    """Find the photographs that are named, choose the output path of each, and check all before the first is colored.

    Args:
        names: files, folders (searched recursively, structure kept), glob patterns, and `-` for standard input.
        output: a file for one photograph, `-` for standard output, else a folder. None writes each copy next to its
            photograph, those of a folder into a new folder next to it, and that of standard input to standard output.
        compare: name the copies as comparisons.
        overwrite: replace outputs that exist.
        max_pixels: largest width x height of a photograph.
        colorizer: the network and its settings, by which copies that are done are known.

    Raises:
        ValueError: nothing is found under a name, the output's format is not written, two copies would have the same
            path, or a copy would replace a photograph that is named.
    """
    # Find the photographs, and leave out copies of ours
    output = output.expanduser() if output is not None and output != STANDARD else output
    as_file = output is not None and output != STANDARD and _is_file_name(output, names)
    found: dict[str, _Named] = {}
    left_out: Counter[str] = Counter()
    for name in names:
        for named in _find(name, exclude=None if as_file or output == STANDARD else output, left_out=left_out):
            # abspath, not resolve: a photograph and a link to it are two photographs with a copy each.
            key = os.path.abspath(named.photo) if named.data is None else "-"  # noqa: PTH100
            if key not in found:
                found[key] = _read_header(named, max_pixels)
    own = [key for key, named in found.items() if named.label is not None]
    left_out.update({OWN_COPIES: len(own)} if own else {})
    photos = [named for key, named in found.items() if key not in own]
    # Choose the outputs
    suffix = COMPARED if compare else COLORED
    copies = {
        Copy(
            photo=named.photo,
            output=_output_path(named, output, as_file=as_file, suffix=suffix),
            pixels=named.size[0] * named.size[1],
            data=named.data,
            kind=named.kind,
        ): named
        for named in photos
    }
    _check_collisions(copies)
    # Sort them into to do, done and failed
    plan = Plan(copies=[], done=[], failed={}, left_out=left_out)
    for copy, named in copies.items():
        try:
            if named.problem:
                raise ValueError(named.problem)
            if _is_done(copy, named, colorizer, compare=compare, overwrite=overwrite):
                plan.done.append(copy)
            else:
                _check_can_be_written(copy, named, compare=compare, max_pixels=max_pixels)
                plan.copies.append(copy)
        except (ValueError, OSError) as error:
            plan.failed[copy] = str(error)
    return plan


def _find(name: str, *, exclude: Path | None, left_out: Counter[str]) -> Iterator[_Named]:
    """Yield the photographs under a name; files of a folder that are none are counted in `left_out`."""
    # Standard input
    if name == "-":
        yield _Named(photo=STANDARD, within=Path(), folder=None, data=sys.stdin.buffer.read())
        return
    # A folder
    path = Path(name).expanduser()
    if _is_folder(path):
        inside = find_photos(path, skip=lambda one: "in the output folder" if _is_under(one, exclude) else None)
        if not inside.photos:
            others = f"; left out: {left_out_text(inside.left_out)}" if inside.left_out else ""
            raise ValueError(f"{name} holds no photographs ({', '.join(sorted(SUFFIXES))}){others}")
        left_out.update(inside.left_out)
        for photo in inside.photos:
            within = photo.parent.relative_to(path) if photo != path else Path()
            yield _Named(photo=photo, within=within, folder=path)
        return
    # A file
    if os.path.lexists(path):
        yield _Named(photo=path, within=Path(), folder=None)
        return
    # A pattern, by glob.glob: Path.glob refuses absolute patterns. A folder of that very name is no pattern.
    fixed = Path()
    parts = list(path.parts)
    while len(parts) > 1 and (_is_folder(fixed / parts[0]) or not glob.has_magic(parts[0])):
        fixed /= parts.pop(0)
    pattern = str(Path(glob.escape(str(fixed)), *parts))
    matching = [Path(one) for one in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    if not matching:
        raise ValueError(f"{name}: there is no such file or folder, and nothing matches it as a pattern")
    files = [one for one in matching if not _is_folder(one) and not _is_under(one, exclude)]
    if not files:
        raise ValueError(f"{name} matches folders alone; name the folders, or end the pattern with /*.jpg")
    for one in files:
        yield _Named(photo=one, within=one.parent.relative_to(fixed), folder=None)


@contextmanager
def _opened(photo: Path, data: bytes | None) -> Iterator[BinaryIO]:
    """Open a photograph's file, or standard input as it was read."""
    if data is not None:
        yield io.BytesIO(data)
        return
    with open_regular(photo) as file:
        yield file


def _read_header(named: _Named, max_pixels: int) -> _Named:
    """Return a file with what its header says, or the problem that it cannot be read."""
    try:
        with _opened(named.photo, named.data) as file:
            stored = open_image(file, str(named.photo), max_pixels=max_pixels)
    except ValueError as error:
        return replace(named, problem=str(error))
    label = read_label(stored.metadata.get("xmp", b""))
    return replace(named, size=stored.size, kind=stored.kind, has_alpha=stored.has_alpha, label=label)


def _output_path(named: _Named, output: Path | None, *, as_file: bool, suffix: str) -> Path:
    """Return the path of a photograph's copy: it depends on the photograph and the options, not on other files."""
    photo = named.photo
    if output is None and named.data is not None:
        return STANDARD
    if output is not None and (as_file or output == STANDARD):
        return output
    # The photograph's own ending if that format is written, else .png after it
    stem, ending = ("stdin", ENDINGS.get(named.kind, ".png")) if named.data is not None else (photo.stem, photo.suffix)
    ending = ending if ending.lower() in FORMATS else f"{ending}.png"
    if output is not None:
        return output / named.within / f"{stem}{ending}"
    if named.folder is not None:
        folder = named.folder if named.folder.name not in ("", "..") else named.folder.resolve()
        return folder.with_name(f"{folder.name}{suffix}") / named.within / f"{stem}{ending}"
    return photo.with_name(f"{stem}{suffix}{ending}")


def _is_file_name(output: Path, names: Sequence[str]) -> bool:
    """Return True if an output is the name of an image file, False if it is that of a folder.

    Raises:
        ValueError: it is an image file of a format that is not written.
    """
    if _is_folder(output) or not output.suffix:
        return False
    if output.suffix.lower() in FORMATS:
        return True
    if len(names) == 1 and not _is_folder(Path(names[0]).expanduser()) and not glob.has_magic(names[0]):
        format_of(output)  # one photograph and a name with an unknown ending: an error, not a folder of that name
    return False


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  Path.is_dir raises for a name that is too long


def _is_under(path: Path, folder: Path | None) -> bool:
    # realpath, not Path.resolve, which raises for a link to itself
    return folder is not None and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _check_collisions(copies: Mapping[Copy, _Named]) -> None:
    """Check that no copy has the path of another one, or of a photograph that is named.

    Raises:
        ValueError: one has; the message names both files and the fix.
    """
    photos = {identity: copy.photo for copy in copies if copy.data is None and (identity := _identity(copy.photo))}
    outputs: dict[Path, Path] = {}
    for copy in copies:
        path = _link_path(copy.output)
        if path in outputs:
            raise ValueError(
                f"the copies of {outputs[path]} and {copy.photo} would both be {copy.output}; give each call an "
                "output of its own (-o)"
            )
        outputs[path] = copy.photo
        there = _identity(copy.output) if copy.output != STANDARD else None
        replaced = photos.get(there) if there else None
        if replaced is not None:
            raise ValueError(
                f"the photograph {replaced} would be replaced by the copy of {copy.photo}; name another output (-o)"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what is equal for two names of one file; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _link_path(path: Path) -> Path:
    """Return the resolved path of a file; a link at its end is not followed, as writing would replace the link."""
    return Path(os.path.realpath(path.parent)) / path.name


def _is_done(copy: Copy, named: _Named, colorizer: PhotoColorizer | None, *, compare: bool, overwrite: bool) -> bool:
    """Return True if the copy exists already, made of the same photograph by the same network and options.

    Raises:
        ValueError: another file has the copy's name, and may not be replaced.
    """
    if overwrite or copy.output == STANDARD or not os.path.lexists(copy.output):
        return False
    there = _read_header(_Named(photo=copy.output, within=Path(), folder=None), sys.maxsize).label
    if there is None:
        raise ValueError(f"{copy.output} exists, and is no copy that colorlib made; --overwrite replaces it")
    if colorizer is not None:
        with _opened(copy.photo, copy.data) as file:
            if there == _label(file, colorizer, compare=compare):
                return True
    raise ValueError(
        f"{copy.output} exists, made of another photograph, by another network or with other options; --overwrite "
        "replaces it"
    )


def _label(file: BinaryIO, colorizer: PhotoColorizer, *, compare: bool) -> Label:
    file.seek(0)
    digest = hashlib.sha256()
    while part := file.read(1 << 20):
        digest.update(part)
    return Label(
        photograph=digest.hexdigest(), network=colorizer.weights, options=colorizer.options | {"compare": compare}
    )


def _check_can_be_written(copy: Copy, named: _Named, *, compare: bool, max_pixels: int) -> None:
    """Check that the output's format can hold the copy, and that a file of its name can be written.

    Raises:
        ValueError: it cannot; the message names the output and the fix.
    """
    if copy.output == STANDARD:
        return
    width, height = named.size
    check_fits(copy.output, 2 * width + GAP if compare else width, height)
    if named.has_alpha and not compare and format_of(copy.output) == "JPEG":
        with _opened(copy.photo, copy.data) as file:
            _, alpha = srgb_pixels(open_image(file, str(copy.photo), max_pixels=max_pixels))
        if alpha is not None:
            check_alpha(copy.output)
    # Find the folder that exists, and look up each new name in it: one may be too long
    folder, missing = copy.output.parent, [copy.output.name]
    while not os.path.lexists(folder):
        missing.append(folder.name)
        folder = folder.parent
    if not _is_folder(folder):
        raise ValueError(f"{copy.output} cannot be written: {folder} is no folder; name another output (-o)")
    for name in missing:
        try:
            (folder / name).lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ValueError(f"{copy.output} cannot be written ({error.strerror}); name another output (-o)") from error
    if _is_folder(copy.output):
        raise ValueError(f"{copy.output} is a folder; name another output (-o)")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{copy.output} cannot be written: {folder} is read-only; name another output (-o)")


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
    """Remarks on the copy, such as tags that were left out."""


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
        copies: the photographs and their outputs, as `plan_copies` planned them.
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
    # Read the photograph, and check what only its pixels show
    with _opened(copy.photo, copy.data) as file:
        label = _label(file, colorizer, compare=compare)
        picture = read_stored(open_image(file, str(copy.photo), max_pixels=max_pixels), file)
    height, width = picture.pixels.shape[:2]
    if height * width >= LARGE:
        release_freed_memory()  # free the decoder's memory before the network needs it
    colors = compare and not is_near_gray(torch.from_numpy(picture.pixels).permute(2, 0, 1))
    panels = (3 if colors else 2) if compare else 1
    if copy.output != STANDARD:
        check_fits(copy.output, panels * width + (panels - 1) * GAP, height)
    # Color it in place
    original = picture.pixels.copy() if compare else None
    for count in color_pixels(picture.pixels, colorizer):
        yield Progress(copy=copy, pixels=count)
    if original is not None:
        picture = replace(picture, pixels=side_by_side(original, picture.pixels, colors=colors), alpha=None)
    # Write the copy
    if height * width >= LARGE:
        release_freed_memory()  # free the network's layers before Pillow needs memory
    notes = [f"the first of its {picture.frames} pictures is colored"] if picture.frames > 1 else []
    notes += [*picture.notes, *_write(copy, picture, label, overwrite=overwrite)]
    yield Done(copy=copy, note="; ".join(notes) or None)


def _write(copy: Copy, picture: Picture, label: Label, *, overwrite: bool) -> list[str]:
    """Write a labeled copy; return notes on tags that had to be left out."""
    path = copy.output if copy.output != STANDARD else Path(f"copy{ENDINGS.get(copy.kind, '.png')}")
    xmp, note = add_label(picture.xmp, label)
    if len(xmp) > MAX_BLOCK.get(format_of(path), sys.maxsize):
        xmp, _ = add_label(b"", label)
        note = f"its XMP is longer than {format_of(path)} can hold and was left out"
    picture = replace(picture, xmp=xmp)
    notes = [note] if note else []
    if copy.output == STANDARD:
        encoded = io.BytesIO()
        notes += encode_picture(encoded, picture, path)
        sys.stdout.buffer.write(encoded.getbuffer())
        sys.stdout.buffer.flush()
        return notes
    # Coloring takes minutes, and the file may exist by now
    if not overwrite and os.path.lexists(copy.output):
        raise ValueError(f"{copy.output} exists since this call began; --overwrite replaces it")
    written = write_picture(copy.output, picture)
    return notes + ([written] if written else [])


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
