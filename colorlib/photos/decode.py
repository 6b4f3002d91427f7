"""Decode any image file into the 8-bit sRGB pixels that a viewer would show.

libvips decodes; its loader is chosen by the file's first bytes, so no loader that starts a program or reads another
kind of file can be reached. What a file says of its samples (photometric interpretation, bits, planes, profile, gamma,
which of its pictures is the photograph) is followed or refused by name. 16-bit samples are cut to 8 bits last.

Pillow stays for three things: BMP and PPM, which the wheel of libvips cannot read; pictures that are Pillow images
already; and color profiles of 8-bit samples, for which littlecms' 8-bit arithmetic gave the committed scores of
`imagenet-sample` (libvips converts in floating point: one level apart in 0.3 % of the values of 70 photographs).
"""

import hashlib
import io
import logging
import os
import re
import stat
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from colorlib.photos import headers

# Pillow's limit of 179 million pixels holds for the whole process; `decode` has its own limit, an argument.
Image.MAX_IMAGE_PIXELS = None
# A cached operation would keep a decoded file in memory.
pyvips.cache_set_max(0)
# libvips' remarks on tags would stand between the lines of a progress bar; errors are raised.
logging.getLogger("pyvips").setLevel(logging.ERROR)
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
LOADERS = {"JPEG": "jpegload", "PNG": "pngload", "WebP": "webpload", "TIFF": "tiffload", "GIF": "gifload",
           "AVIF": "heifload"}  # fmt: skip
"""Format -> libvips' loader of it; the others of `headers.READ` are Pillow's."""
PILLOW_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError,
    TypeError, ValueError, struct.error,
)  # fmt: skip
"""Exceptions that Pillow raises for damaged files and for EXIF tags of the wrong type."""
STRIP_ROWS = 64
"""Rows of a picture that are converted at a time, to bound the memory of intermediate results: with 512, libvips and
its caller held 0.24 GB more of a JPEG that is 10,000 pixels wide, and were no faster.
"""
OPAQUE = 255
SRGB_TOLERANCE = 2.0
"""Mean difference, in levels of 255 over a grid of colors, up to which a profile is sRGB's; its name says nothing. It
covers every profile of `imagenet-sample` that the committed scores took for sRGB; one has no linear toe.
"""
TIFF_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946})
"""TIFF's numbers of none, CCITT, LZW, JPEG, Deflate and PackBits. For others the wheel of libvips returns black."""
TIFF_SAMPLES = {0: (1, 2, 4, 8, 16), 1: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 5: (8, 16), 6: (8,), 8: (8, 16)}
"""TIFF's photometric interpretations that are read -> bits per sample: WhiteIsZero, BlackIsZero, RGB, palette, CMYK,
YCbCr, CIE LAB.
"""
CALIBRATED = (0, 1, 2, 6)
"""Photometric interpretations to whose samples a transfer function and primaries are applied."""
EXIF_START = b"Exif\0\0"
"""Bytes before the TIFF header of an EXIF block, in some formats."""
JPEG_END = b"\xff\xd9"
"""Marker at the end of a JPEG."""
RAW_SAMPLES = {32803: "camera raw", 34892: "camera raw"}
"""Photometric interpretations of DNG: color filter array, linear raw."""
ALPHA_SAMPLES = (1, 2)
"""TIFF's extra samples that are transparency: associated, unassociated."""
UNSUPPORTED = re.compile(
    r"unsupported(?! marker)|not supported|unimplemented|not implemented|not configured|no decod", re.I
)
"""Words in libvips' messages on a file that is whole, but uses what cannot be read."""
TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored),
}
"""EXIF orientation -> the operation that turns the stored picture upright, as a view of it."""
TURNED_BACK = {6: 8, 8: 6}
"""EXIF orientation -> the one whose operation undoes it; others undo themselves."""


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """An opened image: samples as its file stores them, decoded when they are read, and how to show them."""

    name: str
    """Name in error messages."""
    kind: str
    """One of `headers.READ`, or `Pillow`."""
    samples: pyvips.Image
    """8 or 16 bits a sample; bands as in `mode`, then transparency if `has_alpha`."""
    mode: str
    """`L`, `RGB` or `CMYK`."""
    has_alpha: bool
    profile: bytes | None = None
    """ICC profile, embedded or made of what the file states otherwise."""
    is_uncalibrated: bool = False
    """EXIF tags say that its colors are not sRGB, and nothing says what they are; they are taken as sRGB."""
    orientation: int = 1
    """EXIF orientation, 1 to 8."""
    frames: int = 1
    """Number of pictures in the file, without thumbnails; this is the first."""
    metadata: Mapping[str, bytes] = field(default_factory=dict)
    """Blocks called `exif`, `xmp` and `iptc`, those that the file has; a TIFF's EXIF tags are in its directories."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Texts of a PNG by their keywords."""
    dpi: tuple[float, float] | None = None
    """Dots per inch, across and down the stored rows, by the header of a JPEG, PNG or BMP; None if it states none."""
    notes: tuple[str, ...] = ()
    """Remarks on what the file says and was not followed."""
    keep_open: tuple[object, ...] = field(default=(), repr=False)
    """Buffers that `samples` reads from."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height when shown upright."""
        width, height = self.samples.width, self.samples.height
        return (height, width) if self.orientation >= 5 else (width, height)

    @property
    def depth(self) -> int:
        """Bits per sample: 8 or 16."""
        return 16 if self.samples.format == "ushort" else 8


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
    stored = open_image(io.BytesIO(data), name, max_pixels=max_pixels)
    for note in stored.notes:
        warnings.warn(f"{name}: {note}", stacklevel=2)
    pixels, alpha = srgb_pixels(stored)
    # Composite transparent pixels on white
    if alpha is not None:
        for rows in row_strips(len(pixels)):
            strip = Image.fromarray(pixels[rows])
            white = Image.new("RGB", strip.size, "white")
            pixels[rows] = np.asarray(Image.composite(strip, white, Image.fromarray(alpha[rows])))
    return pixels


def decode_file(path: Path, *, digest: str | None = None, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode an image file on disk, as `decode` does its bytes.

    Args:
        path: the file.
        digest: SHA-256 that the decoded bytes must have; None takes any content.
        max_pixels: largest width x height.

    Raises:
        ValueError: as `decode`, or the file cannot be read, or its content has another SHA-256.
    """
    with open_regular(path) as file:
        data = file.read()
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"{path} was changed after its SHA-256 was computed; leave it unchanged and start again")
    return decode(data, str(path), max_pixels=max_pixels)


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; a pipe, device or socket, which may never end, is refused at once.

    Raises:
        ValueError: it is one, or cannot be read; the message names it. Also for an error while the file is read.
    """
    try:
        # O_NONBLOCK: opening a pipe without a writer would wait. It changes nothing for a file.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb", buffering=0) as file:
            mode = os.fstat(handle).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise ValueError(
                    f"{path} is a pipe, device or socket, not a file; name a file, or - for standard input"
                )
            yield file
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror or error}); check the path and its permissions"
        ) from error


def open_image(file: BinaryIO, name: str, *, max_pixels: int = MAX_PIXELS) -> StoredImage:
    """Open an image file: its header is read and checked, its pixels are read by `srgb_pixels`.

    Args:
        file: the file, open as long as the pixels are not read; an `io.BytesIO`, or with a descriptor.
        name: its name in error messages.
        max_pixels: largest width x height.

    Raises:
        ValueError: not an image of `headers.READ`, damaged, too large, or its samples are not understood.
        OSError: the file cannot be read.
    """
    file.seek(0)
    kind = headers.file_format(file.read(headers.START_BYTES))
    if kind not in headers.READ:
        what = f"a file of the format {kind}, which is not read" if kind else "not an image"
        raise ValueError(
            f"{name} is {what} (formats: {', '.join(headers.READ)}); remove it or convert it to JPEG or PNG"
        )
    try:
        stored = (
            _open_by_pillow(file, name, max_pixels)
            if kind in ("BMP", "PPM")
            else _open_by_vips(file, name, kind, max_pixels)
        )
    except (pyvips.Error, struct.error, OverflowError) as error:
        raise _decode_error(name, error) from error
    _check_size(name, stored.samples.width, stored.samples.height, max_pixels)
    return stored


def _check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ValueError(
            f"{name} has {width} x {height} = {width * height / 1e6:.3g} million pixels, more than the limit of "
            f"{max_pixels / 1e6:.3g} million; raise it with --max-pixels {width * height}"
        )


def _decode_error(name: str, error: Exception) -> ValueError:
    """Return the error of a file that cannot be decoded: damaged, or whole but not supported."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "unable to" not in line]
    reason = lines[0] if lines else type(error).__name__
    if UNSUPPORTED.search(str(error)):
        return ValueError(f"{name} uses what cannot be read ({reason}); export it as an 8 or 16-bit TIFF, PNG or JPEG")
    return ValueError(f"{name} is damaged or truncated ({reason}); fetch or export it again")


def _open_by_vips(file: BinaryIO, name: str, kind: str, max_pixels: int) -> StoredImage:
    """Open a file with libvips' loader of its format."""
    options: dict[str, Any] = {"access": "sequential", "fail_on": "truncated"}
    whole: bytes | None = file.getvalue() if isinstance(file, io.BytesIO) else None
    frames, alpha_samples, orientation, dpi = None, True, 0, None
    chunks: dict[bytes, bytes] = {}
    texts: dict[str, str] = {}
    tags: headers.Directory = {}
    color_space = ""
    is_srgb = False
    # Read what libvips does not: the pictures of a TIFF, the end of a JPEG, the gamma of a PNG
    if kind == "TIFF":
        tags, place, frames, whole_pages = _choose_picture(file)
        options |= place
        if whole_pages:  # libvips looks at every page: a damaged later one must not lose the first
            options["fail_on"] = "error"
        alpha_samples = _check_tiff_samples(tags, name)
        orientation = int(tags.get(headers.ORIENTATION, (0,))[0])
        color_space = headers.exif_color_space(file)
    elif kind == "JPEG":
        frames, dpi = headers.jpeg_pictures(file), headers.jpeg_dpi(file)
        if not _has_jpeg_end(file):
            file.seek(0)
            whole = _with_jpeg_end(file.read(), name, max_pixels)
    elif kind == "PNG":
        chunks, texts = headers.png_chunks(file), headers.png_texts(file)
        dpi = headers.png_dpi(chunks)
        if (stated := chunks.get(b"cICP")) and stated != b"\x01\x0d\x00\x01":
            raise ValueError(f"{name} states video colors (cICP {tuple(stated)}), not sRGB; export it as sRGB")
        is_srgb = b"sRGB" in chunks or b"cICP" in chunks
    elif kind == "AVIF":
        is_srgb = _check_avif_colors(file, name)
    # Open it
    file.seek(0)
    source = (
        pyvips.Source.new_from_memory(whole) if whole is not None else pyvips.Source.new_from_descriptor(file.fileno())
    )
    image = getattr(pyvips.Image, f"{LOADERS[kind]}_source")(source, **options)
    fields = set(image.get_fields())
    orientation = orientation or (image.get("orientation") if "orientation" in fields else 1)
    if frames is None:
        frames = image.get("n-pages") if "n-pages" in fields else 1
    # Arrange its bands
    blobs = {
        name: bytes(image.get(f"{name}-data"))
        for name in ("icc-profile", "exif", "xmp", "iptc")
        if f"{name}-data" in fields
    }
    profile = blobs.pop("icc-profile", None)
    if image.interpretation in ("lab", "labs", "labq"):
        image, profile = image.colourspace("rgb16"), None
    mode = {"b-w": "L", "grey16": "L", "srgb": "RGB", "rgb16": "RGB", "cmyk": "CMYK"}.get(image.interpretation)
    if mode is None or image.format not in ("uchar", "ushort"):
        raise ValueError(
            f"{name} has samples of another kind ({image.interpretation}, {image.format}); export it with 8 or 16 bits"
        )
    notes: tuple[str, ...] = ()
    is_uncalibrated = False
    if profile is None:
        exif = blobs.get("exif", b"").removeprefix(EXIF_START)
        color_space = color_space or headers.exif_color_space(io.BytesIO(exif))
        profile, notes = _stated_profile(mode, tags, chunks, adobe_rgb=color_space == "Adobe RGB")
        is_stated = profile is not None or is_srgb or bool(notes)
        is_uncalibrated = color_space == "uncalibrated" and mode != "CMYK" and not is_stated
    has_alpha = alpha_samples and image.bands > len(mode)
    image = image.extract_band(0, n=len(mode) + has_alpha) if image.bands > len(mode) + has_alpha else image
    stored = StoredImage(
        name=name, kind=kind, samples=image, mode=mode, has_alpha=has_alpha, profile=profile,
        orientation=orientation if orientation in TURNS else 1, frames=frames, metadata=blobs, texts=texts, dpi=dpi,
        notes=notes, is_uncalibrated=is_uncalibrated, keep_open=(source, whole, file),
    )  # fmt: skip
    return _with_usable_profile(stored)


def _stated_profile(
    mode: str, tags: headers.Directory, chunks: Mapping[bytes, bytes], *, adobe_rgb: bool
) -> tuple[bytes | None, tuple[str, ...]]:
    """Return an ICC profile of the colors that a file without a usable one states by other means, and remarks.

    Args:
        mode: `L`, `RGB` or `CMYK`.
        tags: the photograph's directory of a TIFF.
        chunks: of a PNG.
        adobe_rgb: EXIF tags state that color space.
    """
    if b"iCCP" in chunks:
        return None, ("embedded color profile not applied (it is damaged or of another kind of color)",)
    gray = mode == "L"
    photometric = int(tags.get(headers.PHOTOMETRIC, (-1,))[0])
    try:
        if photometric in CALIBRATED and (found := headers.tiff_profile(tags, gray=gray)):
            return found, ()
    except ValueError as error:
        return None, (f"transfer function and primaries not applied ({error})",)
    if headers.TRANSFER_FUNCTION in tags and photometric not in CALIBRATED:
        return None, (f"transfer function not applied (photometric interpretation {photometric})",)
    if found := headers.png_profile(chunks, gray=gray):
        return found, ()
    if adobe_rgb and mode != "CMYK" and b"sRGB" not in chunks:
        return headers.adobe_rgb_profile(gray=gray), ()
    return None, ()


def _choose_picture(file: BinaryIO) -> tuple[headers.Directory, dict[str, int], int, bool]:
    """Return the photograph's directory in a TIFF, libvips' options to load it, the number of pictures, and True if all
    pages are whole.

    The photograph is the first that is no reduced picture and no mask; a thumbnail may come before it.
    """
    pages, below = headers.tiff_directories(file)
    if not pages:
        raise struct.error("no picture in it")
    places = [({"page": number}, page) for number, page in enumerate(pages)]
    places += [({"subifd": number}, page) for number, page in enumerate(below)]
    full = [(place, page) for place, page in places if not headers.is_reduced_or_mask(page)]
    place, chosen = (full or places)[0]
    if headers.ORIENTATION in pages[0]:
        chosen = {headers.ORIENTATION: pages[0][headers.ORIENTATION], **chosen}
    frames = sum(not headers.is_reduced_or_mask(page) for page in pages)
    whole = all(headers.WIDTH in page and headers.HEIGHT in page for page in pages)
    return chosen, place, max(frames, 1), whole


def _check_tiff_samples(tags: headers.Directory, name: str) -> bool:
    """Check that the samples of a TIFF directory are of a kind that is read; return True if an extra one is alpha.

    Raises:
        ValueError: they are not; the message names what they are.
    """
    photometric = int(tags.get(headers.PHOTOMETRIC, (-1,))[0])
    bits = {int(value) for value in tags.get(headers.BITS_PER_SAMPLE, (1,))}
    formats = {int(value) for value in tags.get(headers.SAMPLE_FORMAT, (1,))}
    compression = int(tags.get(headers.COMPRESSION, (1,))[0])
    problem = None
    if photometric in RAW_SAMPLES:
        problem = f"holds {RAW_SAMPLES[photometric]} samples"
    elif photometric not in TIFF_SAMPLES:
        problem = f"has the photometric interpretation {photometric}"
    elif not formats <= {1, 4}:
        kinds = {2: "signed", 3: "float", 5: "complex", 6: "complex"}
        problem = f"has {' and '.join(sorted(kinds.get(one, str(one)) for one in formats))} samples"
    elif len(bits) != 1 or not bits <= set(TIFF_SAMPLES[photometric]):
        problem = f"has {' and '.join(map(str, sorted(bits)))} bits per sample"
    elif photometric == 5 and tags.get(headers.INK_SET, (1,))[0] != 1:
        problem = "has inks other than CMYK"
    elif (
        photometric in (0, 1) and tags.get(headers.PLANAR) == (2,) and tags.get(headers.SAMPLES_PER_PIXEL, (1,))[0] > 1
    ):
        problem = "has gray and extra samples in separate planes"  # libvips mixes up their strips
    elif compression not in TIFF_COMPRESSIONS:
        problem = f"is compressed by the method {compression}"
    if problem:
        raise ValueError(f"{name} {problem}, which is not read; export it with 8 or 16 bits as gray, RGB or CMYK")
    extra = tags.get(headers.EXTRA_SAMPLES, ())
    return bool(extra) and extra[0] in ALPHA_SAMPLES


def _has_jpeg_end(file: BinaryIO, tail: int = 1 << 16) -> bool:
    file.seek(0, os.SEEK_END)
    file.seek(max(file.tell() - tail, 0))
    return JPEG_END in file.read()


def _with_jpeg_end(data: bytes, name: str, max_pixels: int) -> bytes:
    """Return a JPEG with the end marker that it lacks, if all of its pixels are there.

    They are if they do not depend on the bytes after them.

    Raises:
        ValueError: pixels are missing, or there are too many of them.
    """
    ended = [data + after + JPEG_END for after in (b"", bytes(range(1, 200)))]
    header = pyvips.Image.jpegload_buffer(ended[0])
    _check_size(name, header.width, header.height, max_pixels)
    pixels = [hashlib.sha256(pyvips.Image.jpegload_buffer(one).write_to_memory()).digest() for one in ended]
    if pixels[0] != pixels[1]:
        raise ValueError(f"{name} is damaged or truncated (its last pixels are missing); fetch or export it again")
    return ended[0]


def _check_avif_colors(file: BinaryIO, name: str) -> bool:
    """Check that an AVIF states no wide or high-dynamic-range colors, which libvips does not convert.

    Returns:
        True if it states those of sRGB.

    Raises:
        ValueError: it states other colors.
    """
    file.seek(0)
    _, found, box = file.read(1 << 16).partition(b"colrnclx")
    if found and len(box) >= 4:
        primaries, transfer = struct.unpack_from(">HH", box)
        if primaries not in (1, 2) or transfer not in (1, 2, 6, 13, 14):
            raise ValueError(
                f"{name} states video colors (primaries {primaries}, transfer {transfer}), not sRGB; export it as sRGB"
            )
        return bool(primaries == 1 and transfer == 13)
    return False


def _open_by_pillow(file: BinaryIO, name: str, max_pixels: int) -> StoredImage:
    """Open a BMP or PPM file."""
    try:
        file.seek(0)
        picture: Image.Image = Image.open(file, formats=("BMP", "PPM"))
        _check_size(name, *picture.size, max_pixels)
        picture.load()
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} is not an image; remove it or convert it to JPEG or PNG") from error
    except PILLOW_ERRORS as error:
        if isinstance(error, ValueError) and "--max-pixels" in str(error):
            raise
        raise _decode_error(name, error) from error
    return from_pillow(picture, name)


def from_pillow(picture: Image.Image, name: str) -> StoredImage:
    """Return a Pillow image of any mode as an opened image.

    Raises:
        ValueError: float or 32-bit values, which have no defined white; the message names the picture.
    """
    profile, orientation = picture.info.get("icc_profile"), _pillow_orientation(picture)
    # Reduce every mode to L, RGB or CMYK, with or without alpha
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture)
        if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise ValueError(f"{name} has values from {values.min()} to {values.max()}; export it with 8 or 16 bits")
        planes = [values.astype(np.uint16)]
        if (transparent := picture.info.get("transparency")) is not None:
            planes.append(np.where(values == transparent, 0, 65535).astype(np.uint16))
        mode, has_alpha, samples = "L", len(planes) == 2, np.stack(planes, axis=-1)
    else:
        if picture.has_transparency_data and picture.mode not in ("RGBA", "LA"):
            picture = picture.convert("RGBA")
        elif picture.mode == "1":
            picture = picture.convert("L")
        elif picture.mode not in ("L", "LA", "RGB", "RGBA", "CMYK"):
            picture = picture.convert("RGB")
        mode, has_alpha = picture.mode.removesuffix("A"), picture.mode in ("RGBA", "LA")
        samples = np.atleast_3d(np.asarray(picture))
    height, width, bands = samples.shape
    data = np.ascontiguousarray(samples)
    deep = data.dtype == np.uint16
    image = pyvips.Image.new_from_memory(data.data.cast("B"), width, height, bands, "ushort" if deep else "uchar")
    interpretation = {"L": ("b-w", "grey16"), "RGB": ("srgb", "rgb16"), "CMYK": ("cmyk", "cmyk")}[mode][deep]
    return _with_usable_profile(
        StoredImage(
            name=name, kind="Pillow", samples=image.copy(interpretation=interpretation), mode=mode, has_alpha=has_alpha,
            profile=profile, orientation=orientation, dpi=picture.info.get("dpi"), keep_open=(data,),
        )
    )  # fmt: skip


def _pillow_orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation of a Pillow image; 1 if its tags cannot be read."""
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except PILLOW_ERRORS:
        return 1
    return orientation if orientation in TURNS else 1


def _with_usable_profile(stored: StoredImage) -> StoredImage:
    """Return the image without a profile that is sRGB's, or with a note instead of one that cannot be applied."""
    if stored.profile is None:
        return stored
    # Gray with a curve becomes RGB with three such curves: littlecms follows these to the last bit, but not a gray one
    if stored.mode == "L" and (as_rgb := headers.rgb_profile(stored.profile)):
        gray = stored.samples.extract_band(0)
        alpha = [stored.samples.extract_band(1)] if stored.has_alpha else []
        samples = gray.bandjoin([gray, gray, *alpha]).copy(interpretation="rgb16" if stored.depth == 16 else "srgb")
        stored = replace(stored, samples=samples, mode="RGB", profile=as_rgb)
        assert stored.profile is not None
    problem, is_srgb = _examine_profile(stored.profile, stored.mode)
    if problem is None and not is_srgb:
        return stored
    notes = (f"embedded color profile not applied ({problem})",) if problem else ()
    return replace(stored, profile=None, notes=stored.notes + notes)


@lru_cache(maxsize=64)
def _examine_profile(profile: bytes, mode: str) -> tuple[str | None, bool]:
    """Return why a profile cannot be applied to samples of a mode, or None; and True if it does what sRGB's does."""
    try:
        transform = _transform(profile, mode)
    except (ImageCms.PyCMSError, OSError) as error:
        return str(error), False
    if mode == "CMYK":
        return None, False
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    colors = Image.fromarray(levels[None] if mode == "L" else grid)
    shown = np.asarray(ImageCms.applyTransform(colors, transform)).astype(int)
    return None, bool(np.abs(shown - np.asarray(colors.convert("RGB"))).mean() <= SRGB_TOLERANCE)


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """Return littlecms' conversion of 8-bit samples to sRGB."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")


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


def srgb_pixels(stored: StoredImage, *, strip_rows: int = STRIP_ROWS) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """Read the pixels of an opened image once, converted to sRGB and turned upright.

    Args:
        stored: the opened image.
        strip_rows: rows converted at a time; the result does not depend on it.

    Returns:
        The pixels, `(H, W, 3)` uint8 sRGB, and the alpha channel, `(H, W)` uint8, or None if all of it is opaque.

    Raises:
        ValueError: the file is damaged; the message names it.
    """
    image, mode = stored.samples, stored.mode
    transform = None
    # 16-bit samples are converted with their bits, 8-bit ones as littlecms does with 8
    if stored.profile is not None and stored.depth == 16:
        image, mode = _convert_deep(stored, stored.profile), "RGB"
    elif stored.profile is not None:
        transform = _transform(stored.profile, mode)
    # Read and convert strips of rows, and write them where they are upright
    upright = np.empty((*stored.size[::-1], 3), dtype=np.uint8)
    transparency = None
    turn_back = TURNS[TURNED_BACK.get(stored.orientation, stored.orientation)]
    pixels = turn_back(upright)
    try:
        region = pyvips.Region.new(image)
        for rows in row_strips(image.height, strip_rows):
            count = rows.stop - rows.start
            fetched = region.fetch(0, rows.start, image.width, count)
            samples = np.frombuffer(fetched, np.uint16 if image.format == "ushort" else np.uint8)
            strip = _to_8_bits(samples).reshape(count, image.width, image.bands)
            pixels[rows] = _strip_to_srgb(strip[..., : len(mode)], mode, transform)
            if stored.has_alpha and strip[..., -1].min() != OPAQUE:
                if transparency is None:
                    transparency = np.full(upright.shape[:2], OPAQUE, dtype=np.uint8)
                turn_back(transparency)[rows] = strip[..., -1]
    except pyvips.Error as error:
        raise _decode_error(stored.name, error) from error
    return upright, transparency


def _convert_deep(stored: StoredImage, profile: bytes) -> pyvips.Image:
    """Return 16-bit samples converted by their profile to 16-bit sRGB, transparency unchanged."""
    bands = len(stored.mode)
    colors = stored.samples.extract_band(0, n=bands).copy()
    colors.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    converted = colors.icc_transform("srgb", embedded=True, intent="perceptual", depth=16)
    return converted.bandjoin(stored.samples.extract_band(bands)) if stored.has_alpha else converted


def _to_8_bits(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Return samples of 8 or 16 bits as 8 bits: 65535 / 257 = 255, so that both black and white are exact."""
    if samples.dtype == np.uint8:
        return samples
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _strip_to_srgb(
    samples: NDArray[np.uint8], mode: str, transform: ImageCms.ImageCmsTransform | None
) -> NDArray[np.uint8]:
    """Return `(H, W, bands)` uint8 samples of a mode as `(H, W, 3)` uint8 sRGB."""
    if transform is None and mode == "RGB":
        return samples
    if transform is None and mode == "L":
        return np.broadcast_to(samples, (*samples.shape[:2], 3))
    picture = Image.fromarray(np.ascontiguousarray(samples[..., 0] if mode == "L" else samples), mode)
    if transform is None:
        return np.asarray(picture.convert("RGB"))
    converted = ImageCms.applyTransform(picture, transform)
    assert converted is not None  # only inPlace=True returns None
    return np.asarray(converted)
