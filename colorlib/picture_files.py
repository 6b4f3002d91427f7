"""Photographs as people keep them: read with all that a colored copy should carry on, and written in their format."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from colorlib.files import write_bytes
from colorlib.images import MAX_PIXELS, Pixels, open_image, read_image, to_srgb

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
INCH = 2
"""EXIF's word for a resolution in dots per inch."""


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
    image = open_image(read_image(path), str(path), max_pixels=max_pixels)
    rgb, alpha = to_srgb(image, str(path))
    dpi, exif = _carried(image)
    return Picture(
        pixels=np.array(rgb),
        alpha=None if alpha is None else np.array(alpha),
        dpi=dpi,
        exif=exif,
        frames=int(getattr(image, "n_frames", 1)),
    )


def _carried(image: Image.Image) -> tuple[tuple[float, float] | None, bytes]:
    """The resolution and the EXIF tags that stay true of a copy."""
    found, kept = image.getexif(), Image.Exif()
    for tag in NAME_TAGS:
        if tag in found:
            kept[tag] = found[tag]
    inner = {tag: value for tag, value in found.get_ifd(ExifTags.IFD.Exif).items() if tag not in OF_THE_FILE}
    if inner:
        kept[ExifTags.IFD.Exif] = inner
    if place := found.get_ifd(ExifTags.IFD.GPSInfo):
        kept[ExifTags.IFD.GPSInfo] = dict(place)
    dpi = image.info.get("dpi")
    if dpi is None and found.get(ExifTags.Base.ResolutionUnit) == INCH and ExifTags.Base.XResolution in found:
        dpi = (found[ExifTags.Base.XResolution], found.get(ExifTags.Base.YResolution, 0))
    block = kept.tobytes() if len(kept) else b""
    if dpi is None or not all(float(value) > 0 for value in dpi):
        return None, block
    return (float(dpi[0]), float(dpi[1])), block


def format_of(path: Path) -> str:
    """The format that a file name asks for.

    Raises:
        ValueError: none that is written.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise ValueError(f"{path}: pictures are written as {', '.join(FORMATS)}; choose one of these endings") from None


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture in the format its name asks for: whole, or not at all.

    Raises:
        ValueError: no such format, or it cannot hold the transparency.
        OSError: the disk is full or the folder cannot be written.
    """
    kind = format_of(path)
    if picture.alpha is not None and kind == "JPEG":
        raise ValueError(f"{path}: JPEG cannot hold the photograph's transparency; write .png, .webp or .tif")
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    exif = Image.Exif()
    exif.load(picture.exif)
    if picture.dpi and kind == "WEBP":  # which has no field of its own for it
        exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = picture.dpi
        exif[ExifTags.Base.ResolutionUnit] = INCH
    settings = SETTINGS.get(kind, {}) | ({"dpi": picture.dpi} if picture.dpi else {})
    held = io.BytesIO()
    image.save(held, kind, **settings, **({"exif": exif} if len(exif) else {}))
    del image
    write_bytes(path, held.getbuffer())
