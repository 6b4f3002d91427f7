"""What an image file says of its samples: its format, the directories of a TIFF, chunks of a PNG, segments of a JPEG.

libvips decodes pixels and passes most tags on, but not those that decide which picture of a TIFF is the photograph, the
gamma of a PNG, or resolutions that are stated rather than assumed.
"""

import io
import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np

READ = ("JPEG", "PNG", "WebP", "TIFF", "GIF", "AVIF", "BMP", "PPM")
"""Formats that are read, whatever the file's name; PPM includes PGM and PBM."""
SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".gif", ".avif", ".bmp", ".ppm", ".pgm",
        ".pbm", ".pnm",
    }
)  # fmt: skip
"""File name endings that count as photographs when a folder is searched."""
START_BYTES = 64
"""Bytes at the start of a file that name its format."""
SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    *((b"P%d" % number, "PPM") for number in range(1, 7)),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"SIMPLE  =", "FITS"),
)
"""Bytes at the start of a file -> its format, read or not."""
BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis"), "HEIC")
"""Brand in the first box of an ISO media file -> its format."""

# TIFF tags (TIFF 6.0; DNG 1.7 for the two photometric values of raw samples)
WIDTH, HEIGHT = 256, 257
NEW_SUBFILE_TYPE, SUBFILE_TYPE, BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC = 254, 255, 258, 259, 262
ORIENTATION, SAMPLES_PER_PIXEL, PLANAR, SUB_IFDS, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT = (
    274,
    277,
    284,
    330,
    332,
    338,
    339,
)
TRANSFER_FUNCTION, WHITE_POINT, PRIMARIES, EXIF_DIRECTORY = 301, 318, 319, 34665
COLOR_SPACE, INTEROPERABILITY_DIRECTORY, INTEROPERABILITY_INDEX = 0xA001, 0xA005, 1
"""Tags of the EXIF directory, and of the one that it points to (EXIF 3.0)."""
UNCALIBRATED = 0xFFFF
"""Color space in the EXIF directory: not sRGB."""
MPF_IMAGES = 0xB001
"""Number of pictures, in the directory of a JPEG's multi-picture segment."""
TYPES = {
    1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "s", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I",
    16: "Q", 17: "q", 18: "Q",
}  # fmt: skip
"""TIFF's number of a type -> its letter in `struct`; texts are read as bytes."""
MAX_DIRECTORIES = 1000
MAX_TEXT = 10_000_000
"""Largest number of bytes that a compressed text is read with."""
MAX_VALUES = 64
"""Largest number of values that a tag is read with; the tags above have fewer, except for a transfer function."""
MAX_CURVE = 3 << 16
"""Largest number of values of a transfer function: three curves of 16 bits."""
MAX_ENTRIES = 4096
"""Largest number of entries of a curve that is made of a transfer function."""
OWN = "urn:colorlib:copy:1#"
"""Namespace of the properties in the XMP of copies that colorlib colored."""
SRGB_GAMMA = 1 / 2.2
SRGB_CHROMATICITIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""x and y of white, red, green and blue (IEC 61966-2-1)."""
ADOBE_RGB_GAMMA = 563 / 256
ADOBE_RGB_CHROMATICITIES = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
"""Adobe RGB (1998)."""
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""XYZ -> cone responses, by which one white is adapted to another (ICC.1, Annex E)."""
D50 = np.array([0.9642, 1.0, 0.8249])

Directory = Mapping[int, tuple[int | float, ...]]
"""TIFF tag -> its numbers, two for a fraction; long tags are left out."""


def file_format(start: bytes) -> str | None:
    """Return the format that a file's first `START_BYTES` bytes show, of `READ` or another; None if unknown."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "camera raw" if start[8:10] == b"CR" else "TIFF"
    if start[4:8] == b"ftyp":
        brands = [start[8:12], *(start[at : at + 4] for at in range(16, len(start), 4))]
        return next((BRANDS[brand] for brand in brands if brand in BRANDS), None)
    return next((name for signature, name in SIGNATURES if start.startswith(signature)), None)


def tiff_directories(file: BinaryIO) -> tuple[list[Directory], list[Directory]]:
    """Return the directories of a TIFF, classic or BigTIFF: its pages, and the SubIFDs of the first page.

    Raises:
        struct.error: the file is truncated.
    """
    order, big, header = _layout(file)
    (offset,) = struct.unpack_from(f"{order}Q", header, 8) if big else struct.unpack_from(f"{order}I", header, 4)
    pages: list[Directory] = []
    seen: set[int] = set()
    while offset and offset not in seen and len(pages) < MAX_DIRECTORIES:
        seen.add(offset)
        try:
            directory, offset = _read_directory(file, offset, order, big=big)
        except struct.error:
            if not pages:
                raise
            break  # a damaged later page does not lose the first
        pages.append(directory)
    below = []
    for offset in pages[0].get(SUB_IFDS, ()) if pages else ():
        below.append(_read_directory(file, int(offset), order, big=big)[0])
    return pages, below


def _layout(file: BinaryIO) -> tuple[str, bool, bytes]:
    """Return the order of bytes in a TIFF as in `struct`, True for a BigTIFF, and the header."""
    file.seek(0)
    header = file.read(16)
    order = "<" if header[:2] == b"II" else ">"
    return order, struct.unpack_from(f"{order}H", header, 2)[0] == 43, header


def _read_directory(file: BinaryIO, offset: int, order: str, *, big: bool) -> tuple[Directory, int]:
    """Return the tags of the directory at `offset`, and the offset of the next one."""
    count_type, entry_size, offset_type, inline = ("Q", 20, "Q", 8) if big else ("H", 12, "I", 4)
    file.seek(offset)
    (entries,) = struct.unpack(f"{order}{count_type}", file.read(struct.calcsize(f"{order}{count_type}")))
    table = file.read(min(entries, 65535) * entry_size)
    following = file.read(inline)
    directory: dict[int, tuple[int | float, ...]] = {}
    for start in range(0, len(table) - entry_size + 1, entry_size):
        tag, kind, count = struct.unpack_from(f"{order}HH{offset_type}", table, start)
        letter = TYPES.get(kind)
        if letter in (None, "s") or not 0 < count <= (MAX_CURVE if tag == TRANSFER_FUNCTION else MAX_VALUES):
            continue
        layout = f"{order}{letter * count}"
        size = struct.calcsize(layout)
        value = table[start + entry_size - inline : start + entry_size]
        if size > inline:
            file.seek(struct.unpack(f"{order}{offset_type}", value)[0])
            value = file.read(size)
        if len(value) >= size:
            directory[tag] = struct.unpack_from(layout, value)
    return directory, struct.unpack(f"{order}{offset_type}", following)[0] if len(following) == inline else 0


def is_reduced_or_mask(directory: Directory) -> bool:
    """Return True if a TIFF directory holds a reduced picture or a mask, not a photograph of its own."""
    return bool(int(directory.get(NEW_SUBFILE_TYPE, (0,))[0]) & 0b101) or directory.get(SUBFILE_TYPE) == (2,)


def png_chunks(file: BinaryIO) -> dict[bytes, bytes]:
    """Return the chunks of a PNG that describe its samples, kind -> content."""
    chunks = {}
    file.seek(8)
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind in (b"IDAT", b"IEND"):
            break
        if kind in (b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"pHYs"):
            chunks[kind] = file.read(size)
            file.seek(4, 1)
        else:
            file.seek(size + 4, 1)
    return chunks


def png_texts(file: BinaryIO) -> dict[str, str]:
    """Return the texts of a PNG by their keywords, without XMP and old kinds of metadata; damaged ones are left out."""
    texts = {}
    file.seek(8)
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            file.seek(size + 4, 1)
            continue
        keyword, _, content = file.read(size).partition(b"\0")
        file.seek(4, 1)
        if keyword.startswith((b"XML:", b"Raw profile")):
            continue
        packed, encoding = False, "latin-1"
        if kind == b"zTXt":
            packed, content = True, content[1:]
        if kind == b"iTXt":
            packed, encoding = content[:1] == b"\1", "utf-8"
            content = content[2:].split(b"\0", 2)[-1]
        try:
            plain = zlib.decompressobj().decompress(content, MAX_TEXT) if packed else content
            texts[keyword.decode("latin-1")] = plain.decode(encoding)
        except (zlib.error, UnicodeDecodeError):
            continue
    return texts


def jpeg_segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the segments of a JPEG before its pixels: marker, content."""
    file.seek(2)
    while len(head := file.read(4)) == 4:
        lead, marker, size = struct.unpack(">BBH", head)
        if lead != 0xFF or marker == 0xDA:
            return
        if marker == 0xFF:  # a fill byte
            file.seek(-3, 1)
            continue
        yield marker, file.read(max(size - 2, 0))


def jpeg_pictures(file: BinaryIO) -> int:
    """Return the number of pictures that a JPEG's multi-picture segment states; 1 without one."""
    for marker, content in jpeg_segments(file):
        if marker == 0xE2 and content.startswith(b"MPF\0"):
            try:
                pages, _ = tiff_directories(io.BytesIO(content[4:]))
            except struct.error:
                return 1
            return max(int(pages[0].get(MPF_IMAGES, (1,))[0]), 1) if pages else 1
    return 1


def jpeg_dpi(file: BinaryIO) -> tuple[float, float] | None:
    """Return the dots per inch that a JPEG's JFIF segment states, across and down; None if it states none."""
    for marker, content in jpeg_segments(file):
        if marker == 0xE0 and content.startswith(b"JFIF\0") and len(content) >= 12:
            unit, across, down = struct.unpack_from(">BHH", content, 7)
            per_inch = {1: 1.0, 2: 2.54}.get(unit)
            return (across * per_inch, down * per_inch) if per_inch else None
    return None


def png_dpi(chunks: Mapping[bytes, bytes]) -> tuple[float, float] | None:
    """Return the dots per inch that a PNG's chunks state, across and down; None if they state none."""
    stated = chunks.get(b"pHYs", b"")
    if len(stated) != 9 or stated[8] != 1:
        return None
    across, down = struct.unpack_from(">II", stated)
    return across * 0.0254, down * 0.0254


def png_profile(chunks: Mapping[bytes, bytes], *, gray: bool) -> bytes | None:
    """Return an ICC profile of a PNG's gamma and chromaticities (PNG specification, Sec. 4.3); None if they are sRGB's.

    A color profile or an sRGB chunk beside them wins.
    """
    if chunks.keys() & {b"iCCP", b"sRGB", b"cICP"} or not chunks.keys() & {b"gAMA", b"cHRM"}:
        return None
    (exponent,) = (value / 100_000 for value in struct.unpack(">I", chunks.get(b"gAMA", b"\0\0\xb1\x8f")[:4]))
    stated = chunks.get(b"cHRM", b"")
    places = tuple(value / 100_000 for value in struct.unpack(">8I", stated)) if len(stated) == 32 else None
    if exponent <= 0 or (places and not _is_a_triangle(places)):
        return None
    same_curve = abs(exponent / SRGB_GAMMA - 1) < 0.05  # as libpng: smaller differences cannot be seen
    same_colors = gray or places is None or math.dist(places, SRGB_CHROMATICITIES) < 0.005
    if same_curve and same_colors:
        return None
    curve = _gamma_curve(1 / exponent)
    return _gray_profile(curve) if gray else _rgb_profile([curve] * 3, places or SRGB_CHROMATICITIES)


def exif_color_space(file: BinaryIO) -> str:
    """Return the color space that EXIF tags state: `Adobe RGB`, `uncalibrated`, or empty for sRGB or none.

    Cameras state Adobe RGB by the interoperability index R03 (DCF 2.0), some programs by the color space 2. The color
    space 65535, uncalibrated, says that it is not sRGB (Exif 2.32, ColorSpace); but libexif writes it into every new
    block of tags.

    Args:
        file: a TIFF, or the EXIF block of another file from its TIFF header on.
    """
    try:
        pages, _ = tiff_directories(file)
        exif = _directory_at(file, pages[0], EXIF_DIRECTORY) if pages else {}
        index = _directory_at(file, exif, INTEROPERABILITY_DIRECTORY).get(INTEROPERABILITY_INDEX, ())
    except (struct.error, OverflowError, ValueError):  # damaged tags do not lose the photograph
        return ""
    if exif.get(COLOR_SPACE) == (2,) or index[:3] == tuple(b"R03"):
        return "Adobe RGB"
    return "uncalibrated" if exif.get(COLOR_SPACE) == (UNCALIBRATED,) else ""


def adobe_rgb_profile(*, gray: bool) -> bytes:
    """Return an ICC profile of Adobe RGB (1998), or of its curve for a gray picture."""
    curve = _gamma_curve(ADOBE_RGB_GAMMA)
    return _gray_profile(curve) if gray else _rgb_profile([curve] * 3, ADOBE_RGB_CHROMATICITIES)


def _directory_at(file: BinaryIO, directory: Directory, tag: int) -> Directory:
    """Return the directory that a tag points to; an empty one without the tag."""
    if tag not in directory:
        return {}
    order, big, _ = _layout(file)
    return _read_directory(file, int(directory[tag][0]), order, big=big)[0]


def tiff_profile(tags: Directory, *, gray: bool) -> bytes | None:
    """Return an ICC profile of a TIFF's transfer function, white and primaries (TIFF 6.0, Sec. 20); None without them.

    Args:
        tags: the directory of the photograph, which is gray, RGB or YCbCr.
        gray: of a gray picture.

    Raises:
        ValueError: they are not what they should be.
    """
    stated, white, primaries = (tags.get(tag, ()) for tag in (TRANSFER_FUNCTION, WHITE_POINT, PRIMARIES))
    if not stated and (gray or not primaries):
        return None
    curves = [_gamma_curve(1 / SRGB_GAMMA)] * 3
    if stated:
        levels = 1 << int(tags.get(BITS_PER_SAMPLE, (1,))[0])
        if len(stated) not in (levels, 3 * levels) or not all(0 <= value <= 65535 for value in stated):
            raise ValueError(f"a transfer function of {len(stated)} values for {levels} levels")
        step = -1 if tags.get(PHOTOMETRIC) == (0,) else 1  # WhiteIsZero is inverted when it is read
        curves = [_table_curve(stated[start : start + levels][::step]) for start in range(0, len(stated), levels)]
    if gray:
        return _gray_profile(curves[0])
    fractions = (*(white or _fractions(SRGB_CHROMATICITIES[:2])), *(primaries or _fractions(SRGB_CHROMATICITIES[2:])))
    if len(fractions) != 16 or not all(fractions[1::2]):
        raise ValueError("a white point or primaries of another number of values")
    places = tuple(over / under for over, under in zip(fractions[::2], fractions[1::2], strict=True))
    if not _is_a_triangle(places):
        raise ValueError("primaries that are no three colors")
    return _rgb_profile((curves * 3)[:3], places)


def _fractions(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(part for value in values for part in (value, 1))


def _table_curve(values: Sequence[float]) -> bytes:
    """Return ICC's curve through values in [0, 65535] at equal steps; of many, every so many: littlecms has a limit."""
    count = min(len(values), MAX_ENTRIES)
    entries = np.interp(np.linspace(0, len(values) - 1, count), np.arange(len(values)), values)
    return b"curv\0\0\0\0" + struct.pack(f">I{count}H", count, *np.rint(entries).astype(int).tolist())


def _gamma_curve(exponent: float) -> bytes:
    """Return ICC's curve of a sample to the power of `exponent`."""
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, min(round(256 * exponent), 65535)) + b"\0\0"


def _is_a_triangle(places: tuple[float, ...]) -> bool:
    """Return True if red, green and blue are three different colors around a white."""
    (white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y) = places
    area = (green_x - red_x) * (blue_y - red_y) - (blue_x - red_x) * (green_y - red_y)
    return abs(area) > 1e-3 and min(white_y, red_y, green_y, blue_y) > 0 and white_x > 0


def rgb_profile(profile: bytes) -> bytes | None:
    """Return a profile by which three equal samples are shown as one sample is by a gray profile.

    Returns:
        The profile; None if the given one is not gray, or is no plain curve.
    """
    if profile[16:20] != b"GRAY" or len(profile) < 132:
        return None
    (count,) = struct.unpack_from(">I", profile, 128)
    for entry in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        tag, start, size = struct.unpack_from(">4sII", profile, entry)
        if tag == b"kTRC":
            return _rgb_profile([profile[start : start + size]] * 3, SRGB_CHROMATICITIES)
    return None


def _gray_profile(curve: bytes) -> bytes:
    """Return a gray display profile of one curve."""
    return _assemble_profile(b"GRAY", {b"kTRC": curve})


def _rgb_profile(curves: Sequence[bytes], chromaticities: tuple[float, ...]) -> bytes:
    """Return a display profile of the curves of red, green and blue, with the x and y of white, red, green and blue."""
    white, *primaries = (
        np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in zip(chromaticities[::2], chromaticities[1::2], strict=True)
    )
    light = np.stack(primaries, axis=1)
    light = light * np.linalg.solve(light, white)
    # Adapt the white to D50, ICC's
    cones = np.diag((BRADFORD @ D50) / (BRADFORD @ white))
    adapted = np.linalg.solve(BRADFORD, cones @ BRADFORD) @ light
    tags = {}
    for letter, column, curve in zip((b"r", b"g", b"b"), adapted.T, curves, strict=True):
        tags[letter + b"XYZ"], tags[letter + b"TRC"] = _xyz(column), curve
    return _assemble_profile(b"RGB ", tags)


def _assemble_profile(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """Return a display profile (ICC version 2) of the given color space and tags."""
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"made\0" + bytes(79), b"wtpt": _xyz(D50), **tags}
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for kind, body in tags.items():
        body += b"\0" * (-len(body) % 4)
        table += kind + struct.pack(">II", start + len(data), len(body))
        data += body
    header = struct.pack(">I4xI4s4s4s12x4s", start + len(data), 0x02100000, b"mntr", space, b"XYZ ", b"acsp")
    header = header.ljust(68, b"\0") + struct.pack(">3i", *(round(value * 65536) for value in D50))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))
