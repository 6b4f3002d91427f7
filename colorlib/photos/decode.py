"""Decode any image file into the 8-bit sRGB pixels that a viewer would show.

It takes the formats of `SUFFIXES` and no other, whatever the name of the file: Pillow would start Ghostscript for a
PostScript file. Gray, palette, alpha, CMYK, 16-bit and EXIF-rotated files are included. Transparent pixels are
composited on white. An embedded ICC profile is applied.
"""

import hashlib
import io
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

# Pillow's limit of 179 million pixels holds for the whole process; `decode` has its own limit, an argument.
Image.MAX_IMAGE_PIXELS = None
Pixels = NDArray[np.uint8]
"""A photograph: `(H, W, 3)` uint8, sRGB."""


@dataclass(frozen=True, kw_only=True)
class Photo:
    """One photograph, not yet decoded."""

    name: str
    """Its name within the source, for example `train/100075.jpg`."""
    digest: str
    """SHA-256 of the file's bytes."""
    load: Callable[[], Pixels]
    """Function that decodes it: `(H, W, 3)` uint8 sRGB."""


MAX_PIXELS = 250_000_000
"""Default limit of width x height; a picture of this size takes 750 MB decoded."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm"})
"""File name endings that count as photographs when a folder is searched."""
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
"""Pillow's names of the formats of `SUFFIXES`; PPM includes PGM, and JPEG the MPO files of some cameras."""
DECODE_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError,
    TypeError, ValueError, struct.error,
)  # fmt: skip
"""Exceptions that Pillow raises for damaged files and for EXIF tags of the wrong type."""
STRIP_ROWS = 512
"""Rows of a picture that are converted at a time, to bound the memory of intermediate results."""
OPAQUE = 255
UNDO_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> the operation that turns the picture upright."""


def decode(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode an image file's bytes.

    Args:
        data: the whole file.
        name: its name in error messages, for example its path.
        max_pixels: largest width x height.

    Returns:
        `(H, W, 3)` uint8 sRGB, upright.

    Raises:
        ValueError: not an image, damaged, or too large; the message names the file and the fix.
    """
    # Decode and convert to sRGB
    pixels, alpha = srgb_pixels(open_image(data, name, max_pixels=max_pixels), name)
    # Composite transparent pixels on white
    if alpha is not None:
        for rows in row_strips(len(pixels)):
            strip = Image.fromarray(pixels[rows])
            white = Image.new("RGB", strip.size, "white")
            pixels[rows] = np.asarray(Image.composite(strip, white, Image.fromarray(alpha[rows])))
    return pixels


def open_image(source: bytes | Path, name: str, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open an image file: fully read, upright, in the mode of the file; of several frames, the first.

    Args:
        source: the file's bytes, or its path, which needs less memory.
        name: its name in error messages.
        max_pixels: largest width x height.

    Raises:
        ValueError: as `decode`, or the file cannot be read.
    """
    if isinstance(source, Path):
        check_regular(source)
    try:
        opened = io.BytesIO(source) if isinstance(source, bytes) else source
        picture: Image.Image = Image.open(opened, formats=FORMATS)
        width, height = picture.size
        fits = width * height <= max_pixels
        if fits:
            picture.load()
            picture = upright(picture)
        else:
            picture.close()
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{name} is not an image of a format that is read ({', '.join(FORMATS)}); remove it or convert it to JPEG "
            "or PNG"
        ) from error
    except DECODE_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ValueError(f"{name} cannot be read ({error.strerror}); check the path and its permissions") from error
        raise ValueError(f"{name} is damaged or truncated ({error}); fetch or export it again") from error
    if not fits:
        raise ValueError(
            f"{name} has {width} x {height} = {width * height / 1e6:.0f} million pixels, more than the limit "
            f"of {max_pixels / 1e6:.0f} million; raise it with --max-pixels {width * height}"
        )
    return picture


def upright(picture: Image.Image) -> Image.Image:
    """Return the picture turned as its EXIF orientation says."""
    try:
        ImageOps.exif_transpose(picture, in_place=True)
    except DECODE_ERRORS:  # exif_transpose writes the other tags again, and fails if one of them cannot be written
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
        return picture.transpose(UNDO_ORIENTATION[orientation]) if orientation in UNDO_ORIENTATION else picture
    return picture


def check_regular(path: Path) -> None:
    """Check that a path is no pipe, device or socket: reading one may never end.

    Raises:
        ValueError: it is one; the message names it.
    """
    if not (path.is_file() or path.is_dir()) and path.exists():
        raise ValueError(f"{path} is a pipe, device or socket, not a file; remove it or name a file")


def decode_file(path: Path, *, digest: str | None = None, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode an image file on disk, as `decode` does its bytes.

    Args:
        path: the file.
        digest: SHA-256 that the decoded bytes must have; None takes any content.
        max_pixels: largest width x height.

    Raises:
        ValueError: as `decode`, or the file cannot be read, or its content has another SHA-256.
    """
    check_regular(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); check the path and its permissions") from error
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"{path} was changed after its SHA-256 was computed; leave it unchanged and start again")
    return decode(data, str(path), max_pixels=max_pixels)


def shrink(pixels: Pixels, short_side: int) -> Pixels:
    """Return a picture reduced to a short side of `short_side` pixels (Lanczos, antialiased); never enlarged.

    Args:
        pixels: `(H, W, 3)` uint8.
        short_side: pixels of the short side.
    """
    height, width = pixels.shape[:2]
    if min(height, width) <= short_side:
        return pixels
    scale = short_side / min(height, width)
    size = (max(short_side, round(width * scale)), max(short_side, round(height * scale)))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def row_strips(height: int, strip_rows: int = STRIP_ROWS) -> Iterator[slice]:
    """Yield the rows of a picture in slices of at most `strip_rows`, so that intermediate results stay small."""
    for top in range(0, height, strip_rows):
        yield slice(top, min(top + strip_rows, height))


def srgb_pixels(
    picture: Image.Image, name: str, *, strip_rows: int = STRIP_ROWS
) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """Convert a picture to sRGB.

    Args:
        picture: of any mode.
        name: its name in error messages.
        strip_rows: rows converted at a time; the result does not depend on it.

    Returns:
        The pixels, `(H, W, 3)` uint8 sRGB, and the alpha channel, `(H, W)` uint8, or None if all of it is opaque.

    Raises:
        ValueError: float or 32-bit values, which have no defined white; the message names the picture.
    """
    pixels = np.empty((picture.height, picture.width, 3), dtype=np.uint8)
    alpha = None
    for rows in row_strips(picture.height, strip_rows):
        whole = rows.stop - rows.start == picture.height
        strip = picture if whole else picture.crop((0, rows.start, picture.width, rows.stop))
        rgb, transparency = _to_srgb(strip, name)
        pixels[rows] = np.asarray(rgb)
        if transparency is not None and transparency.getextrema()[0] != OPAQUE:
            if alpha is None:
                alpha = np.full(pixels.shape[:2], OPAQUE, dtype=np.uint8)
            alpha[rows] = np.asarray(transparency)
    return pixels, alpha


def _to_srgb(picture: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None]:
    """Return a picture as 8-bit sRGB (mode RGB), and its alpha channel (mode L) if it has one."""
    profile = picture.info.get("icc_profile")
    alpha = None
    # Reduce every mode to L, RGB or CMYK, and take the alpha channel out
    if picture.mode.startswith(("I", "F")):
        if (transparent := picture.info.get("transparency")) is not None:
            alpha = Image.fromarray(np.asarray(picture) != transparent).convert("L")
        picture = _from_deep_gray(picture, name)
    elif picture.has_transparency_data and picture.mode not in ("RGBA", "LA"):
        picture = picture.convert("RGBA")
    elif picture.mode == "P":
        picture = picture.convert("RGB")
    if picture.mode in ("RGBA", "LA"):
        alpha, picture = picture.getchannel("A"), picture.convert(picture.mode.removesuffix("A"))
    # Apply the color profile
    if profile and picture.mode in ("RGB", "CMYK", "L"):
        picture = _apply_profile(picture, profile, name)
    # Without a needless copy of a large picture
    return picture if picture.mode == "RGB" else picture.convert("RGB"), alpha


def _from_deep_gray(picture: Image.Image, name: str) -> Image.Image:
    """Scale 16-bit gray to 8 bits; float and 32-bit values, which have no defined white, are a ValueError."""
    values = np.asarray(picture)
    if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise ValueError(f"{name} has values from {values.min()} to {values.max()}; export it with 8 or 16 bits")
    # 65535 / 257 = 255: the only scaling under which both black and white are exact.
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _apply_profile(picture: Image.Image, profile: bytes, name: str) -> Image.Image:
    """Convert from the embedded ICC profile to sRGB; a profile that cannot be applied is ignored, with a warning."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return picture
        converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        warnings.warn(f"{name}: embedded color profile not applied ({error})", stacklevel=2)
        return picture
    assert converted is not None  # only inPlace=True returns None
    return converted
