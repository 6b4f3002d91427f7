"""Read and write image files with transparency, resolution and EXIF tags, so that a colored copy keeps them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from colorlib.files import write_with
from colorlib.photos.decode import DECODE_ERRORS, MAX_PIXELS, Pixels, open_image, srgb_pixels

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""File name ending -> the format that is written."""
SETTINGS: dict[str, dict[str, object]] = {
    # No chroma subsampling: the colors are the result.
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"quality": 95},
}
"""Pillow's options for each format that differ from its defaults. TIFF stays uncompressed: libtiff, which writes
compressed files, cannot write EXIF blocks.
"""
PHOTO_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)
"""EXIF tags of the outer block that describe the photograph, not the file; a copy keeps them."""
FILE_TAGS = frozenset(
    {
        ExifTags.Base.ColorSpace,
        ExifTags.Base.ExifImageWidth,
        ExifTags.Base.ExifImageHeight,
        ExifTags.Base.ExifInteroperabilityOffset,
        ExifTags.Base.MakerNote,
    }
)
"""Tags of the inner EXIF block that describe pixels or offsets of the old file; a copy drops them."""
INCH, CENTIMETER = 2, 3
"""Values of the EXIF tag ResolutionUnit: dots per inch, dots per centimeter."""
MAX_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
"""Largest width and height in pixels of a format that has a limit."""
MAX_EXIF_BYTES = {"JPEG": 65_500}
"""Largest EXIF block in bytes of a format that has a limit."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A photograph, with the properties of its file that a copy keeps."""

    pixels: Pixels
    """`(H, W, 3)` uint8 sRGB, upright; transparent pixels have the color that the file stores."""
    alpha: NDArray[np.uint8] | None = None
    """`(H, W)` uint8, 255 is opaque; None if all of it is opaque."""
    dpi: tuple[float, float] | None = None
    """Resolution in dots per inch, horizontal and vertical; None if unknown."""
    exif: bytes = b""
    """Dates, camera, author and location as an EXIF block; empty if there are none."""
    frames: int = 1
    """Number of frames in the file; this is the first."""


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an image file of one of the formats of `colorlib.photos.decode`.

    Raises:
        ValueError: it cannot be read, is no image, is damaged or too large; the message names the file and the fix.
    """
    image = open_image(path, str(path), max_pixels=max_pixels)
    try:
        pixels, alpha = srgb_pixels(image, str(path))
        tags = _read_exif(image)
        return Picture(
            pixels=pixels,
            alpha=alpha,
            dpi=_resolution(image.info.get("dpi"), tags),
            exif=_kept_exif(tags),
            frames=_count_frames(image),
        )
    finally:
        image.close()


def _count_frames(image: Image.Image) -> int:
    """Return the number of frames; 1 if it cannot be counted, so that a damaged frame does not lose the first."""
    try:
        return int(getattr(image, "n_frames", 1))
    except DECODE_ERRORS:
        return 1


def _read_exif(image: Image.Image) -> Image.Exif:
    """Return the picture's EXIF tags; empty if they cannot be read, so that damaged tags do not lose the photograph."""
    try:
        found = image.getexif()
        for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            found.get_ifd(block)
    except DECODE_ERRORS:
        return Image.Exif()
    return found


def _kept_exif(found: Image.Exif) -> bytes:
    """Return the EXIF tags that are valid for a copy, as a block; tags that Pillow cannot write are left out."""
    outer: dict[int, Any] = {tag: found[tag] for tag in PHOTO_TAGS if tag in found}
    inner = {tag: value for tag, value in found.get_ifd(ExifTags.IFD.Exif).items() if tag not in FILE_TAGS}
    kept = Image.Exif()
    kept.update(_writable(outer))
    for block, tags in ((ExifTags.IFD.Exif, inner), (ExifTags.IFD.GPSInfo, found.get_ifd(ExifTags.IFD.GPSInfo))):
        if tags := _writable(tags):
            kept[block] = tags
    return kept.tobytes() if len(kept) else b""


def _writable(tags: Mapping[int, Any]) -> dict[int, Any]:
    """Return the tags that Pillow can write; texts keep their bytes, whatever their encoding."""
    writable = {}
    for tag, value in tags.items():
        raw = _as_bytes(value)
        single = Image.Exif()
        single[tag] = raw
        try:
            single.tobytes()
        except DECODE_ERRORS:
            continue
        writable[tag] = raw
    return writable


def _as_bytes(value: Any) -> Any:
    """Return a tag's value for writing: Pillow reads texts as Latin-1, so with any byte, but writes them as ASCII."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value


def _resolution(stated: Any, found: Image.Exif) -> tuple[float, float] | None:
    """Return dots per inch from the file's header or its EXIF tags; None if unknown, or not positive and finite."""
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
    """Return the format of a file name's ending, for example `JPEG`.

    Raises:
        ValueError: no such format is written; the message lists the endings.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise ValueError(f"{path}: pictures are written as {', '.join(FORMATS)}; choose one of these endings") from None


def check_fits(path: Path, width: int, height: int) -> None:
    """Check that the format of a file name can hold a picture of this size in pixels.

    Raises:
        ValueError: it cannot, or no such format is written.
    """
    limit = MAX_SIDE.get(format_of(path))
    if limit and max(width, height) > limit:
        raise ValueError(
            f"{path}: {width} x {height} pixels, and {format_of(path)} holds at most {limit} on a side; write .png or "
            ".tif"
        )


def write_picture(path: Path, picture: Picture) -> str | None:
    """Write a picture in the format of its file name: the whole file, or nothing.

    Returns:
        A note if its EXIF tags had to be left out, else None.

    Raises:
        ValueError: no such format is written, or it cannot hold the size or the transparency.
        OSError: the disk is full or the folder cannot be written.
    """
    # Check that the format can hold it
    kind = format_of(path)
    check_fits(path, picture.pixels.shape[1], picture.pixels.shape[0])
    if picture.alpha is not None and kind == "JPEG":
        raise ValueError(f"{path}: JPEG cannot hold the photograph's transparency; write .png, .webp or .tif")
    # Assemble pixels, tags and options
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    exif = Image.Exif()
    exif.load(picture.exif)
    for tags in (exif, *(exif.get_ifd(block) for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo))):
        for tag, value in list(tags.items()):
            tags[tag] = _as_bytes(value)
    if picture.dpi and kind == "WEBP":  # WebP has no other field for the resolution
        exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = picture.dpi
        exif[ExifTags.Base.ResolutionUnit] = INCH
    settings = SETTINGS.get(kind, {}) | ({"dpi": picture.dpi} if picture.dpi else {})
    too_long = len(exif.tobytes()) > MAX_EXIF_BYTES.get(kind, math.inf) if len(exif) else False
    if len(exif) and not too_long:
        settings |= {"exif": exif}
    # Write
    write_with(path, lambda file: image.save(file, kind, **settings))
    return f"its EXIF tags are longer than {kind} can hold and were left out" if too_long else None
