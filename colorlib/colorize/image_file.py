"""Read and write image files with transparency, resolution, EXIF, XMP and IPTC, so that a colored copy keeps them.

Pillow writes: libvips writes no EXIF block into a TIFF, and a resolution even where none is known.
"""

import math
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from colorlib.device import release_freed_memory
from colorlib.files import write_with
from colorlib.photos.decode import (
    MAX_PIXELS,
    PILLOW_ERRORS,
    Pixels,
    StoredImage,
    open_image,
    open_regular,
    row_strips,
    srgb_pixels,
)

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
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
    ExifTags.Base.DocumentName,
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.PageName,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
    ExifTags.Base.Rating,
    ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
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
XMP_TAG, IPTC_TAG = 700, 33723
"""TIFF tags that hold an XMP packet and IPTC records."""
PHOTOSHOP, IPTC_RESOURCE = b"Photoshop 3.0\0", 0x0404
"""Start of the JPEG segment, and number of the resource in it, that hold IPTC records."""
INCH, CENTIMETER = 2, 3
"""Values of the EXIF tag ResolutionUnit: dots per inch, dots per centimeter."""
LARGE = 10_000_000
"""Pixels from which freed memory is returned to the system; smaller photographs reuse what the previous one freed."""
MAX_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
"""Largest width and height in pixels of a format that has a limit."""
MAX_BLOCK = {"JPEG": 65_500}
"""Largest EXIF, XMP or IPTC block in bytes of a format that has a limit."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A photograph, with the properties of its file that a copy keeps."""

    pixels: Pixels
    """`(H, W, 3)` uint8 sRGB, upright; transparent pixels have the color that the file stores."""
    alpha: NDArray[np.uint8] | None = None
    """`(H, W)` uint8, 255 is opaque; None if all of it is opaque."""
    dpi: tuple[float, float] | None = None
    """Resolution in dots per inch, across and down; None if unknown."""
    exif: bytes = b""
    """Dates, camera, author and location as an EXIF block; empty if there are none."""
    xmp: bytes = b""
    """XMP packet; empty if there is none."""
    iptc: bytes = b""
    """IPTC records (captions, keywords, rights); empty if there are none."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Texts of a PNG by their keywords."""
    frames: int = 1
    """Number of pictures in the file; this is the first."""
    notes: tuple[str, ...] = ()
    """Remarks on what the file says and a copy cannot follow or keep."""


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an image file of one of the formats of `colorlib.photos.headers`.

    Raises:
        ValueError: it cannot be read, is no image, is damaged or too large; the message names the file and the fix.
    """
    with open_regular(path) as file:
        return read_stored(open_image(file, str(path), max_pixels=max_pixels), file)


def read_stored(stored: StoredImage, file: BinaryIO) -> Picture:
    """Read the pixels and tags of an opened image.

    Args:
        stored: the opened image.
        file: its file, still open.

    Raises:
        ValueError: the file is damaged; the message names it.
    """
    pixels, alpha = srgb_pixels(stored)
    tags, damaged = _read_exif(stored, file)
    dpi = _resolution(stored.dpi, tags)
    notes = list(stored.notes)
    if damaged:
        notes.append("some of its EXIF tags are damaged and were left out")
    if stored.is_uncalibrated:
        notes.append(
            "taken as sRGB, though its EXIF tags call its colors uncalibrated and no profile says which they are"
        )
    if stored.depth == 16:
        notes.append("its 16 bits per sample became 8")
    return Picture(
        pixels=pixels,
        alpha=alpha,
        dpi=dpi[::-1] if dpi and stored.orientation >= 5 else dpi,
        exif=_kept_exif(tags),
        xmp=stored.metadata.get("xmp", b""),
        iptc=_iptc_records(stored.metadata.get("iptc", b"")),
        texts=stored.texts,
        frames=stored.frames,
        notes=tuple(notes),
    )


def _iptc_records(block: bytes) -> bytes:
    """Return the IPTC records of a TIFF tag or of a JPEG's segment of Photoshop resources; empty if there are none."""
    if not block.startswith(PHOTOSHOP):
        return block
    at = len(PHOTOSHOP)
    while block[at : at + 4] == b"8BIM" and at + 7 < len(block):
        (number,) = struct.unpack_from(">H", block, at + 4)
        start = at + 6 + (block[at + 6] + 2) // 2 * 2  # a text with its length, padded to an even number
        if start + 4 > len(block):
            break
        (size,) = struct.unpack_from(">I", block, start)
        if number == IPTC_RESOURCE:
            return block[start + 4 : start + 4 + size]
        at = start + 4 + (size + 1) // 2 * 2
    return b""


def _read_exif(stored: StoredImage, file: BinaryIO) -> tuple[Image.Exif, bool]:
    """Return a file's EXIF tags, and True if some are damaged: these are left out and do not lose the photograph."""
    with warnings.catch_warnings(record=True) as told:  # Pillow's, which name neither the file nor a fix
        warnings.simplefilter("always")
        try:
            found = Image.Exif()
            if stored.kind == "TIFF":
                file.seek(0)
                found.load_from_fp(file)
            else:
                found.load(stored.metadata.get("exif", b""))
            for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
                found.get_ifd(block)
        except PILLOW_ERRORS:
            return Image.Exif(), True
    return found, bool(told)


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
        except PILLOW_ERRORS:
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


def check_alpha(path: Path) -> None:
    """Check that the format of a file name can hold transparency.

    Raises:
        ValueError: it cannot, or no such format is written.
    """
    if format_of(path) == "JPEG":
        raise ValueError(f"{path}: JPEG cannot hold the photograph's transparency; write .png, .webp or .tif")


def write_picture(path: Path, picture: Picture) -> str | None:
    """Write a picture in the format of its file name: the whole file, or nothing.

    Args:
        path: the file.
        picture: the picture; its pixels are used up (`take_pixels`).

    Returns:
        A note on tags that had to be left out, else None.

    Raises:
        ValueError: no such format is written, or it cannot hold the size or the transparency.
        OSError: the disk is full or the folder cannot be written.
    """
    notes: list[str] = []
    write_with(path, lambda file: notes.extend(encode_picture(file, picture, path)))
    return "; ".join(notes) or None


def encode_picture(file: BinaryIO, picture: Picture, path: Path) -> list[str]:
    """Write a picture into an open file in the format of a file name; return notes on tags that had to be left out.

    Args:
        file: the file.
        picture: the picture; its pixels are used up (`take_pixels`).
        path: the file name.

    Raises:
        ValueError: as `write_picture`.
    """
    # Check that the format can hold it
    kind = format_of(path)
    check_fits(path, picture.pixels.shape[1], picture.pixels.shape[0])
    if picture.alpha is not None:
        check_alpha(path)
    # Assemble pixels, tags and options
    image = take_pixels(picture.pixels)
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
    notes = []
    blocks = {"EXIF tags": exif.tobytes() if len(exif) else b"", "XMP": picture.xmp, "IPTC captions": picture.iptc}
    if kind in ("PNG", "WEBP") and picture.iptc:
        blocks["IPTC captions"] = b""
        notes.append(f"its IPTC captions were left out, which {kind} cannot hold")
    for name, block in blocks.items():
        if len(block) > MAX_BLOCK.get(kind, math.inf):
            blocks[name] = b""
            notes.append(f"its {name} are longer than {kind} can hold and were left out")
    if kind != "PNG" and picture.texts:
        notes.append(f"its PNG texts ({', '.join(sorted(picture.texts))}) were left out")
    settings |= _block_settings(kind, exif if blocks["EXIF tags"] else None, blocks["XMP"], blocks["IPTC captions"])
    if kind == "PNG":
        settings["pnginfo"] = _png_texts(blocks["XMP"], picture.texts)
    # Write
    image.save(file, kind, **settings)
    return notes


def take_pixels(pixels: Pixels) -> Image.Image:
    """Move pixels into a Pillow image, strip by strip from the last rows, so that few of them are in memory twice.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB. An array that owns its memory is left with no rows: no view of it may be in use.
    """
    height, width = pixels.shape[:2]
    image = Image.new("RGB", (width, height), None)  # not filled: the memory is taken as the strips are written
    for rows in reversed(list(row_strips(height))):
        image.paste(Image.fromarray(pixels[rows]), (0, rows.start))
        if pixels.flags.owndata:
            pixels.resize((rows.start, width, 3), refcheck=False)
            if height * width >= LARGE:
                release_freed_memory()
    return image


def _block_settings(kind: str, exif: Image.Exif | None, xmp: bytes, iptc: bytes) -> dict[str, object]:
    """Return Pillow's options that write EXIF, XMP and IPTC into a format."""
    if kind == "TIFF":
        exif = exif or Image.Exif()
        for tag, block in ((XMP_TAG, xmp), (IPTC_TAG, iptc)):
            if block:
                exif[tag] = block
        return {"exif": exif} if len(exif) else {}
    settings: dict[str, object] = {"exif": exif} if exif is not None else {}
    if kind in ("JPEG", "WEBP") and xmp:
        settings["xmp"] = xmp
    if kind == "JPEG" and iptc:
        resource = b"8BIM" + struct.pack(">HHI", IPTC_RESOURCE, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
        block = PHOTOSHOP + resource
        settings["extra"] = b"\xff\xed" + struct.pack(">H", len(block) + 2) + block
    return settings


def _png_texts(xmp: bytes, texts: Mapping[str, str]) -> PngInfo:
    info = PngInfo()
    for keyword, text in texts.items():
        info.add_itxt(keyword, text)
    if xmp:
        info.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    return info
