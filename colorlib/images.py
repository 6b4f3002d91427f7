"""Any image file a person has, as the 8-bit sRGB picture that a viewer would show.

JPEG, PNG, WebP, TIFF and whatever else Pillow reads; gray, palette, alpha, CMYK, 16-bit and EXIF-rotated files
included. Transparent pixels are shown on white. An embedded ICC profile is followed.
"""

import io
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

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


DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, SyntaxError, TypeError, ValueError,
    struct.error,
)  # fmt: skip
"""What a damaged file, or a tag of the wrong kind, leads Pillow to."""
STRIP = 512
"""Rows of a picture that are converted at a time."""
OPAQUE = 255
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientations, and what undoes them."""


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
    pixels, alpha = srgb_pixels(open_image(data, name, max_pixels=max_pixels), name)
    if alpha is not None:
        for rows in strips(len(pixels)):
            strip = Image.fromarray(pixels[rows])
            white = Image.new("RGB", strip.size, "white")
            pixels[rows] = np.asarray(Image.composite(strip, white, Image.fromarray(alpha[rows])))
    return pixels


def open_image(source: bytes | Path, name: str, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """An image file as Pillow reads it: whole, upright, in whatever mode it was written; of several frames the first.

    Args:
        source: the file's bytes, or its path, which needs less memory.
        name: how errors call it.
        max_pixels: refuse pictures of more pixels than this.

    Raises:
        ValueError: as `decode`, or the file cannot be read at all.
    """
    try:
        picture: Image.Image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        width, height = picture.size
        fits = width * height <= max_pixels
        if fits:
            picture.load()
            picture = upright(picture)
        else:
            picture.close()
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} is not an image that can be read; remove it or convert it to JPEG or PNG") from error
    except DAMAGE as error:
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
    """The picture as its EXIF orientation wants it shown."""
    try:
        ImageOps.exif_transpose(picture, in_place=True)
    except DAMAGE:  # it writes the other tags anew, and one of them may be nothing that can be written
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1)
        return picture.transpose(TURNS[turned]) if turned in TURNS else picture
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


def strips(height: int) -> Iterator[slice]:
    """The rows of a picture, some at a time: whatever is made on the way of a large one stays small."""
    for top in range(0, height, STRIP):
        yield slice(top, min(top + STRIP, height))


def srgb_pixels(picture: Image.Image, name: str) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """A picture as `(H, W, 3)` uint8 sRGB, and its alpha, `(H, W)` uint8, where not all of it is opaque.

    Raises:
        ValueError: its values have no agreed white; the message names it.
    """
    pixels = np.empty((picture.height, picture.width, 3), dtype=np.uint8)
    alpha = None
    for rows in strips(picture.height):
        whole = rows.stop - rows.start == picture.height
        strip = picture if whole else picture.crop((0, rows.start, picture.width, rows.stop))
        rgb, transparency = to_srgb(strip, name)
        pixels[rows] = np.asarray(rgb)
        if transparency is not None and transparency.getextrema()[0] != OPAQUE:
            if alpha is None:
                alpha = np.full(pixels.shape[:2], OPAQUE, dtype=np.uint8)
            alpha[rows] = np.asarray(transparency)
    return pixels, alpha


def to_srgb(picture: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None]:
    """A picture as 8-bit sRGB, mode RGB, and its alpha channel, mode L, where it has one."""
    profile = picture.info.get("icc_profile")
    alpha = None
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
