"""Any image file a person has, as the 8-bit sRGB picture that a viewer would show.

JPEG, PNG, WebP, TIFF and whatever else Pillow reads; gray, palette, alpha, CMYK, 16-bit and EXIF-rotated files
included. Transparent pixels are shown on white. An embedded ICC profile is followed.
"""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

# Pillow refuses pictures of more than 179 million pixels, for the whole process; `decode` has a limit of its own.
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
    """Decodes it: `(H, W, 3)` uint8 sRGB."""


MAX_PIXELS = 250_000_000
"""Larger files are refused unless the caller raises the limit: a picture of this size takes 750 MB decoded."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm"})
"""File name endings taken for photographs when a folder is searched."""


def decode(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode an image file's bytes.

    Args:
        data: the whole file.
        name: how errors call it, for example its path.
        max_pixels: refuse pictures of more pixels than this.

    Returns:
        `(H, W, 3)` uint8 sRGB, upright.

    Raises:
        ValueError: not an image, truncated, or too large; the message names the file and the mend.
    """
    rgb, alpha = to_srgb(open_image(data, name, max_pixels=max_pixels), name)
    return np.array(rgb if alpha is None else Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha))


def open_image(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """An image file as Pillow reads it: whole, upright, in whatever mode it was written; of several frames the first.

    Raises:
        ValueError: as `decode`.
    """
    try:
        picture: Image.Image = Image.open(io.BytesIO(data))
        width, height = picture.size
        fits = width * height <= max_pixels
        if fits:
            picture.load()
            ImageOps.exif_transpose(picture, in_place=True)
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} is not an image that can be read; remove it or convert it to JPEG or PNG") from error
    except (OSError, SyntaxError, EOFError, ValueError) as error:
        raise ValueError(f"{name} is damaged or truncated ({error}); fetch or export it again") from error
    if not fits:
        raise ValueError(
            f"{name} has {width} x {height} = {width * height / 1e6:.0f} million pixels, more than the limit "
            f"of {max_pixels / 1e6:.0f} million; raise it with --max-pixels {width * height}"
        )
    return picture


def decode_file(path: Path, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """`decode` for a file on disk.

    Raises:
        ValueError: as `decode`, or the file cannot be read at all.
    """
    return decode(read_image(path), str(path), max_pixels=max_pixels)


def read_image(path: Path) -> bytes:
    """The bytes of an image file.

    Raises:
        ValueError: it cannot be read; the message says why.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); check the path and its permissions") from error


def shrink(pixels: Pixels, short_side: int) -> Pixels:
    """A picture whose short side has `short_side` pixels (Lanczos, antialiased); a smaller one stays as it is."""
    height, width = pixels.shape[:2]
    if min(height, width) <= short_side:
        return pixels
    scale = short_side / min(height, width)
    size = (max(short_side, round(width * scale)), max(short_side, round(height * scale)))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def to_srgb(picture: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None]:
    """A picture as 8-bit sRGB, mode RGB, and its alpha channel, mode L, where it has one."""
    profile = picture.info.get("icc_profile")
    if picture.mode.startswith(("I", "F")):
        picture = _from_deep_gray(picture, name)
    if picture.has_transparency_data and picture.mode not in ("RGBA", "LA"):
        picture = picture.convert("RGBA")
    elif picture.mode == "P":
        picture = picture.convert("RGB")
    alpha = None
    if picture.mode in ("RGBA", "LA"):
        alpha, picture = picture.getchannel("A"), picture.convert(picture.mode.removesuffix("A"))
    if profile and picture.mode in ("RGB", "CMYK", "L"):
        picture = _follow_profile(picture, profile, name)
    # A large picture is not copied for nothing.
    return picture if picture.mode == "RGB" else picture.convert("RGB"), alpha


def _from_deep_gray(picture: Image.Image, name: str) -> Image.Image:
    """16-bit gray scaled to 8 bits. Float and 32-bit pictures have no agreed white, so they are refused."""
    values = np.asarray(picture)
    if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise ValueError(f"{name} has values from {values.min()} to {values.max()}; export it with 8 or 16 bits")
    # 65535 / 257 = 255: the only scaling under which both black and white are exact.
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _follow_profile(picture: Image.Image, profile: bytes, name: str) -> Image.Image:
    """Convert from the embedded ICC profile to sRGB; a profile that cannot be applied is passed over, as viewers do."""
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
