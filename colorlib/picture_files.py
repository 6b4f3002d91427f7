"""Photographs as people keep them: read with all that a colored copy should carry on, and written in their format."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from colorlib.files import write_with
from colorlib.images import DAMAGE, MAX_PIXELS, Pixels, open_image, srgb_pixels

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""File name ending -> the format it is written in."""
SETTINGS: dict[str, dict[str, object]] = {
    # Colors are what these files are about: they are not subsampled.
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"quality": 95},
}
"""How each format is written, where Pillow's own choice is not ours. TIFF stays uncompressed: compressed, by libtiff,
it cannot hold EXIF blocks.
"""
NAME_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)
"""EXIF tags of a photograph, as opposed to those of its file."""
OF_THE_FILE = frozenset(
    {
        ExifTags.Base.ColorSpace,
        ExifTags.Base.ExifImageWidth,
        ExifTags.Base.ExifImageHeight,
        ExifTags.Base.ExifInteroperabilityOffset,
        ExifTags.Base.MakerNote,
    }
)
"""Tags of the inner EXIF block that describe the pixels or places of the old file: false of a new one."""
INCH, CENTIMETER = 2, 3
"""EXIF's words for a resolution in dots per inch and per centimeter."""
LONGEST = {"JPEG": 65_500, "WEBP": 16_383}
"""Most pixels on a side, where a format has a limit."""
LONGEST_EXIF = {"JPEG": 65_500}
"""Most bytes of EXIF tags, where a format has a limit."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A photograph, and what a copy of it keeps."""

    pixels: Pixels
    """`(H, W, 3)` uint8 sRGB, upright; where it is transparent, whatever color the file has there."""
    alpha: NDArray[np.uint8] | None = None
    """`(H, W)` uint8, 255 where opaque; None where the file has no transparency."""
    dpi: tuple[float, float] | None = None
    """Resolution in dots per inch, horizontal and vertical."""
    exif: bytes = b""
    """Dates, camera, author, place, as an EXIF block; empty where there are none."""
    frames: int = 1
    """How many the file has; this is the first."""


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a photograph of any kind that Pillow reads.

    Raises:
        ValueError: it cannot be read, is no image, is truncated or too large; the message names file and mend.
    """
    image = open_image(path, str(path), max_pixels=max_pixels)
    try:
        pixels, alpha = srgb_pixels(image, str(path))
        found = _exif_of(image)
        return Picture(
            pixels=pixels,
            alpha=alpha,
            dpi=_resolution(image.info.get("dpi"), found),
            exif=_carried(found),
            frames=int(getattr(image, "n_frames", 1)),
        )
    finally:
        image.close()


def _exif_of(image: Image.Image) -> Image.Exif:
    """The picture's EXIF tags; none where the block cannot be read: a photograph is more than its tags."""
    try:
        found = image.getexif()
        for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            found.get_ifd(block)
    except DAMAGE:
        return Image.Exif()
    return found


def _carried(found: Image.Exif) -> bytes:
    """The EXIF tags that stay true of a copy, as a block; what cannot be written again is left out."""
    outer: dict[int, Any] = {tag: found[tag] for tag in NAME_TAGS if tag in found}
    inner = {tag: value for tag, value in found.get_ifd(ExifTags.IFD.Exif).items() if tag not in OF_THE_FILE}
    kept = Image.Exif()
    kept.update(_writable(outer))
    for block, tags in ((ExifTags.IFD.Exif, inner), (ExifTags.IFD.GPSInfo, found.get_ifd(ExifTags.IFD.GPSInfo))):
        if tags := _writable(tags):
            kept[block] = tags
    return kept.tobytes() if len(kept) else b""


def _writable(tags: Mapping[int, Any]) -> dict[int, Any]:
    """Those tags that can be written, with the bytes of their texts as they were, whatever their encoding."""
    held = {}
    for tag, value in tags.items():
        raw = _raw(value)
        alone = Image.Exif()
        alone[tag] = raw
        try:
            alone.tobytes()
        except DAMAGE:
            continue
        held[tag] = raw
    return held


def _raw(value: Any) -> Any:
    """A tag's value for writing. Pillow reads texts as Latin-1, which takes any byte, and would write them as ASCII."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value


def _resolution(stated: Any, found: Image.Exif) -> tuple[float, float] | None:
    """Dots per inch, as the file states them or as its EXIF tags do; None where that makes no sense."""
    per_inch = {INCH: 1.0, CENTIMETER: 2.54}.get(found.get(ExifTags.Base.ResolutionUnit, 0))
    if stated is None and per_inch is not None:
        stated = [found.get(tag, 0) for tag in (ExifTags.Base.XResolution, ExifTags.Base.YResolution)]
    else:
        per_inch = 1.0
    try:
        across, down = (float(value) * per_inch for value in stated)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < math.inf and 0 < down < math.inf else None


def format_of(path: Path) -> str:
    """The format that a file name asks for.

    Raises:
        ValueError: none that is written.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise ValueError(f"{path}: pictures are written as {', '.join(FORMATS)}; choose one of these endings") from None


def check_fits(path: Path, width: int, height: int) -> None:
    """Refuse a picture that the format its name asks for cannot hold.

    Raises:
        ValueError: no such format, or the picture is too long for it.
    """
    limit = LONGEST.get(format_of(path))
    if limit and max(width, height) > limit:
        raise ValueError(
            f"{path}: {width} x {height} pixels, and {format_of(path)} holds at most {limit} on a side; write .png or "
            ".tif"
        )


def write_picture(path: Path, picture: Picture) -> str | None:
    """Write a picture in the format its name asks for: whole, or not at all.

    Returns:
        What had to be left out, where something had to.

    Raises:
        ValueError: no such format, or it cannot hold the size or the transparency.
        OSError: the disk is full or the folder cannot be written.
    """
    kind = format_of(path)
    check_fits(path, picture.pixels.shape[1], picture.pixels.shape[0])
    if picture.alpha is not None and kind == "JPEG":
        raise ValueError(f"{path}: JPEG cannot hold the photograph's transparency; write .png, .webp or .tif")
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    exif = Image.Exif()
    exif.load(picture.exif)
    for tags in (exif, *(exif.get_ifd(block) for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo))):
        for tag, value in list(tags.items()):
            tags[tag] = _raw(value)
    if picture.dpi and kind == "WEBP":  # which has no field of its own for it
        exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = picture.dpi
        exif[ExifTags.Base.ResolutionUnit] = INCH
    settings = SETTINGS.get(kind, {}) | ({"dpi": picture.dpi} if picture.dpi else {})
    too_long = len(exif.tobytes()) > LONGEST_EXIF.get(kind, math.inf) if len(exif) else False
    if len(exif) and not too_long:
        settings |= {"exif": exif}
    write_with(path, lambda file: image.save(file, kind, **settings))
    return f"its EXIF tags are longer than {kind} can hold and were left out" if too_long else None
