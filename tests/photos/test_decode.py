"""Every image file decodes to the pixels that a viewer would show, or to an error that names the file and the fix."""

import hashlib
import io
import itertools
import os
import re
import shutil
import struct
import subprocess
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from helpers.pictures import encoded, noise, smooth
from PIL import Image, ImageCms, ImageOps

from colorlib.photos import headers
from colorlib.photos.decode import MAX_PIXELS, Pixels, decode, decode_file, open_image, srgb_pixels
from colorlib.photos.registry import SOURCES
from colorlib.photos.sources import Cifar10, Listed

PICTURE = smooth(40, 56)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows: np.ndarray, *, depth: int, color: int, size: tuple[int, int] | None = None, before: bytes = b"") -> bytes:
    """A PNG written by hand (PNG specification, Sec. 11.2): for depths and chunks that Pillow does not write."""
    height, width = size or rows.shape[:2]
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before
    return start + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def icc(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A display profile of ICC version 2."""
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for name, body in tags.items():
        body += b"\0" * (-len(body) % 4)
        table += name + struct.pack(">II", start + len(data), len(body))
        data += body
    header = struct.pack(">I4xI4s4s4s12x4s", start + len(data), 0x02100000, b"mntr", space, b"XYZ ", b"acsp")
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def gamma(exponent: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256))


def desc(text: bytes) -> bytes:
    return b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(79)


RED, GREEN, BLUE = xyz(0.4361, 0.2225, 0.0139), xyz(0.3851, 0.7169, 0.0971), xyz(0.1431, 0.0606, 0.7141)
WHITE = {b"wtpt": xyz(0.9642, 1.0, 0.8249)}
CURVES = {name: gamma(1.0) for name in (b"rTRC", b"gTRC", b"bTRC")}
LINEAR_RGB = icc(b"RGB ", {b"desc": desc(b"linear"), **WHITE, b"rXYZ": RED, b"gXYZ": GREEN, b"bXYZ": BLUE, **CURVES})
# Its first channel is green and its second is red: ignoring it is easily detected.
SWAPPED = icc(b"RGB ", {b"desc": desc(b"swapped"), **WHITE, b"rXYZ": GREEN, b"gXYZ": RED, b"bXYZ": BLUE, **CURVES})
GRAY_18 = icc(b"GRAY", {b"desc": desc(b"gray"), **WHITE, b"kTRC": gamma(1.8)})


def srgb_of_linear(light: np.ndarray) -> np.ndarray:
    """8-bit sRGB (IEC 61966-2-1) of linear light in [0, 1], not rounded."""
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def is_close(decoded: Pixels, expected: np.ndarray, within: float) -> bool:
    assert decoded.dtype == np.uint8
    assert decoded.shape == (*expected.shape[:2], 3)
    return bool(np.abs(decoded - np.asarray(expected, dtype=float)).max() <= within)


def gray_of(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=-1)


# Kinds of files


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("BMP", {}),
        ("PPM", {}),
    ],
)
def test_lossless_files_are_read_exactly(kind: str, options: dict[str, object]):
    pixels = noise(33, 47)
    assert np.array_equal(decode(encoded(Image.fromarray(pixels), kind, **options), "x"), pixels)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("JPEG", {"progressive": True}), ("JPEG", {"subsampling": 0}), ("WEBP", {})],
)
def test_lossy_files_are_read_closely(kind: str, options: dict[str, object]):
    decoded = decode(encoded(Image.fromarray(PICTURE), kind, quality=95, **options), "x")
    assert decoded.shape == PICTURE.shape
    assert np.abs(decoded.astype(int) - PICTURE).mean() < 2


# Modes


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_gray_has_three_equal_channels(kind: str):
    gray = noise(20, 30)[..., 0]
    assert np.array_equal(decode(encoded(Image.fromarray(gray), kind), "x"), gray_of(gray))


def test_gray_jpeg():
    gray = PICTURE[..., 0]
    decoded = decode(encoded(Image.fromarray(gray), "JPEG", quality=95), "x")
    assert is_close(decoded, gray_of(gray), 8)
    assert (decoded[..., :1] == decoded).all()


def test_black_and_white():
    bits = noise(9, 13)[..., 0] > 127
    assert np.array_equal(decode(encoded(Image.fromarray(bits), "PNG"), "x"), gray_of(bits * np.uint8(255)))


INDEX = (np.arange(40 * 56) % 4).reshape(40, 56).astype(np.uint8)
PALETTE = np.array([[255, 0, 0], [0, 200, 0], [10, 20, 30], [250, 250, 0]], dtype=np.uint8)


def indexed() -> Image.Image:
    picture = Image.fromarray(INDEX, "P")
    picture.putpalette(PALETTE.tobytes())
    return picture


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF"])
def test_palette(kind: str):
    assert np.array_equal(decode(encoded(indexed(), kind), "x"), PALETTE[INDEX])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_shown_on_white(kind: str):
    expected = PALETTE.copy()
    expected[2] = 255
    assert np.array_equal(decode(encoded(indexed(), kind, transparency=2), "x"), expected[INDEX])


def test_half_transparent_palette_entries_are_shown_on_white():
    alpha = np.array([255, 128, 0, 51])
    expected = PALETTE * (alpha[:, None] / 255) + 255 * (1 - alpha[:, None] / 255)
    assert is_close(decode(encoded(indexed(), "PNG", transparency=bytes(alpha.tolist())), "x"), expected[INDEX], 0.6)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_shown_on_white(kind: str):
    rgb, alpha = noise(20, 30), noise(20, 30, seed=1)[..., :1]
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    decoded = decode(encoded(Image.fromarray(np.concatenate((rgb, alpha), axis=-1)), kind, **options), "x")
    assert is_close(decoded, rgb * (alpha / 255) + 255 * (1 - alpha / 255), 0.6)


def test_gray_with_alpha_is_shown_on_white():
    gray, alpha = noise(20, 30)[..., 0], noise(20, 30, seed=1)[..., 0]
    picture = Image.merge("LA", (Image.fromarray(gray), Image.fromarray(alpha)))
    expected = gray_of(gray * (alpha / 255) + 255 * (1 - alpha / 255))
    assert is_close(decode(encoded(picture, "PNG"), "x"), expected, 0.6)


@pytest.mark.parametrize(("mode", "color"), [("L", 7), ("RGB", (7, 8, 9))])
def test_a_color_declared_transparent_is_shown_white(mode: str, color: int | tuple[int, ...]):
    picture = Image.new(mode, (4, 3), color)
    picture.putpixel((1, 1), 200 if mode == "L" else (200, 100, 50))
    decoded = decode(encoded(picture, "PNG", transparency=color), "x")
    assert decoded[1, 1].tolist() == ([200] * 3 if mode == "L" else [200, 100, 50])
    assert (np.delete(decoded.reshape(-1, 3), 5, axis=0) == 255).all()


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_without_a_profile_is_ink_on_white(kind: str):
    inks = np.round(np.concatenate((PICTURE, PICTURE[..., :1]), axis=-1) * 0.5).astype(np.uint8)
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    decoded = decode(encoded(Image.fromarray(inks, "CMYK"), kind, **options), "x")
    light = (1 - inks[..., :3] / 255) * (1 - inks[..., 3:] / 255)
    assert is_close(decoded, 255 * light, 1.1 if kind == "TIFF" else 8)


# 16 bits


DEEP = np.array([[0, 257, 65535], [32896, 12850, 300]], dtype=np.uint16)
DEEP_AS_BYTES = [[0, 1, 255], [128, 50, 1]]


def test_16_bit_gray():
    picture = Image.fromarray(DEEP)
    for data in (encoded(picture, "PNG"), encoded(picture, "TIFF"), png(DEEP.astype(">u2"), depth=16, color=0)):
        decoded = decode(data, "x")
        assert decoded.dtype == np.uint8
        assert np.array_equal(decoded, gray_of(np.array(DEEP_AS_BYTES)))


def test_every_16_bit_gray_is_rounded_to_the_nearest_byte():
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert is_close(decode(encoded(Image.fromarray(every), "TIFF"), "x"), gray_of(every / 257), 0.5)


def test_16_bit_rgb_and_alpha_png():
    rgba = np.random.default_rng(0).integers(0, 65536, (9, 7, 4)).astype(">u2")
    # Pillow keeps the high byte: at most one level below the nearest.
    assert is_close(decode(png(rgba[..., :3], depth=16, color=2), "x"), rgba[..., :3] / 257, 1)
    alpha = rgba[..., 3:] / 65535
    expected = 255 * (rgba[..., :3] / 65535 * alpha + 1 - alpha)
    assert is_close(decode(png(rgba, depth=16, color=6), "x"), expected, 2.5)


@pytest.mark.parametrize("values", [np.full((4, 4), 0.5, dtype=np.float32), np.full((4, 4), 70_000, dtype=np.int32)])
def test_gray_without_a_defined_white_is_refused(values: np.ndarray):
    with pytest.raises(ValueError, match=r"deep\.tif") as error:
        decode(encoded(Image.fromarray(values), "TIFF"), "deep.tif")
    for fact in (r"float|signed", r"\b8\b", r"\b16\b"):
        assert re.search(fact, str(error.value))


# Rotation and color profiles


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, lambda shown: shown),
        (2, lambda shown: shown[:, ::-1]),
        (3, lambda shown: shown[::-1, ::-1]),
        (4, lambda shown: shown[::-1]),
        (5, lambda shown: shown.transpose(1, 0, 2)),
        (6, lambda shown: np.rot90(shown, 1)),
        (7, lambda shown: shown[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda shown: np.rot90(shown, -1)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_exif_rotation_is_undone(kind: str, orientation: int, stored):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.ascontiguousarray(stored(PICTURE)))
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    decoded = decode(encoded(picture, kind, exif=exif, **options), "x")
    assert decoded.shape == PICTURE.shape
    assert np.abs(decoded.astype(int) - PICTURE).mean() < (2 if kind == "JPEG" else 1e-9)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_an_icc_profile_is_followed(kind: str):
    pixels = noise(20, 30)
    options = {"lossless": True} if kind == "WEBP" else {}
    for profile, channels in ((LINEAR_RGB, [0, 1, 2]), (SWAPPED, [1, 0, 2])):
        decoded = decode(encoded(Image.fromarray(pixels), kind, icc_profile=profile, **options), "x")
        assert is_close(decoded, srgb_of_linear(pixels / 255)[..., channels], 1.5)


def test_an_icc_profile_is_followed_in_a_rotated_jpeg():
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(np.ascontiguousarray(np.rot90(PICTURE)))
    decoded = decode(encoded(picture, "JPEG", quality=95, exif=exif, icc_profile=LINEAR_RGB), "x")
    assert np.abs(decoded - srgb_of_linear(PICTURE / 255)).mean() < 2


def test_an_icc_profile_is_followed_under_transparency_and_in_palettes():
    rgb, alpha = noise(20, 30), noise(20, 30, seed=1)[..., :1]
    shown = srgb_of_linear(rgb / 255)[..., [1, 0, 2]]
    picture = Image.fromarray(np.concatenate((rgb, alpha), axis=-1))
    expected = shown * (alpha / 255) + 255 * (1 - alpha / 255)
    assert is_close(decode(encoded(picture, "PNG", icc_profile=SWAPPED), "x"), expected, 1.5)
    expected = srgb_of_linear(PALETTE / 255)[:, [1, 0, 2]]
    assert is_close(decode(encoded(indexed(), "PNG", icc_profile=SWAPPED), "x"), expected[INDEX], 1.5)


def test_a_gray_icc_profile_is_followed():
    gray = np.arange(20, 256, dtype=np.uint8).reshape(4, 59)
    expected = gray_of(srgb_of_linear((gray / 255) ** 1.8))
    opaque = Image.merge("LA", (Image.fromarray(gray), Image.new("L", (59, 4), 255)))
    for picture in (Image.fromarray(gray), opaque, Image.fromarray(gray.astype(np.uint16) * 257)):
        assert is_close(decode(encoded(picture, "PNG", icc_profile=GRAY_18), "x"), expected, 2)


def test_a_profile_that_cannot_be_applied_is_ignored_with_a_warning_that_names_the_file():
    pixels = noise(6, 7)
    for profile in (b"junk" * 40, GRAY_18):
        data = encoded(Image.fromarray(pixels), "TIFF", icc_profile=profile)
        with pytest.warns(UserWarning, match=r"odd\.tif.*profile"):
            assert np.array_equal(decode(data, "odd.tif"), pixels)


def test_an_srgb_profile_changes_nothing():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = noise(6, 7)
    assert np.array_equal(decode(encoded(Image.fromarray(pixels), "PNG", icc_profile=profile), "x"), pixels)


# Damaged files and limits


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_truncated_file_is_named(kind: str, share: float):
    data = encoded(Image.fromarray(noise(60, 80)), kind)
    with pytest.raises(ValueError, match=r"cut/off\.x.*(damaged|JPEG or PNG)"):
        decode(data[: int(len(data) * share)], "cut/off.x")


@pytest.mark.parametrize("data", [b"", b"Dear diary,\n", bytes(1000), b"%PDF-1.7\n", b"<html></html>"])
def test_a_file_that_is_no_image_is_named(tmp_path: Path, data: bytes):
    path = tmp_path / "diary.jpg"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"diary\.jpg.*JPEG or PNG"):
        decode_file(path)


def test_random_damage_gives_a_picture_or_an_error_that_names_the_file():
    rng = np.random.default_rng(0)
    picture = Image.fromarray(noise(12, 17))
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = [encoded(picture, kind, exif=exif, icc_profile=LINEAR_RGB) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    whole += [
        encoded(picture, "PPM"),
        encoded(indexed(), "PNG", transparency=2),
        encoded(Image.fromarray(DEEP), "TIFF"),
    ]
    outcomes = {"picture": 0, "error": 0}
    for i in range(500):
        data = bytearray(whole[i % len(whole)])
        for position in rng.integers(0, min(len(data), 300 if i % 2 else len(data)), 2):
            data[position] = rng.integers(256)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow and the color profile may warn about what they ignore
                assert decode(bytes(data), "damaged.x", max_pixels=100_000).shape[2] == 3
            outcomes["picture"] += 1
        except ValueError as error:
            assert "damaged.x" in str(error)  # noqa: PT017 - either outcome is right
            outcomes["error"] += 1
    assert min(outcomes.values()) > 40


def test_too_many_pixels_are_refused_with_the_option_that_allows_them():
    data = encoded(Image.fromarray(noise(30, 40)), "PNG")
    assert decode(data, "x", max_pixels=1200).shape == (30, 40, 3)
    with pytest.raises(ValueError, match=r"--max-pixels 1200\b") as error:
        decode(data, "big.png", max_pixels=1199)
    assert "big.png" in str(error.value)
    assert "40 x 30" in str(error.value)


def test_the_limit_is_250_megapixels_and_pillows_own_does_not_come_first():
    assert MAX_PIXELS == 250_000_000
    nothing = np.zeros((1, 1), dtype=np.uint8)
    above = png(nothing, depth=1, color=0, size=(15_000, 17_000))
    with pytest.raises(ValueError, match=r"--max-pixels 255000000\b") as error:
        decode(above, "above.png")
    for fact in (r"above\.png", "17000 x 15000", r"\b255\b"):
        assert re.search(fact, str(error.value))
    # Both are within the limit, and fail later: they have no pixels.
    below = png(nothing, depth=1, color=0, size=(15_000, 14_000))
    with pytest.raises(ValueError, match=r"below\.png.*damaged"):
        decode(below, "below.png")
    with pytest.raises(ValueError, match=r"above\.png.*damaged"):
        decode(above, "above.png", max_pixels=255_000_000)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"gone\.jpg.*No such file.*permissions"):
        decode_file(tmp_path / "gone.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(ValueError, match=r"folder\.jpg.*permissions"):
        decode_file(tmp_path / "folder.jpg")


def test_a_file_on_disk_is_decoded(tmp_path: Path):
    path = tmp_path / "a photo.png"
    path.write_bytes(encoded(Image.fromarray(PICTURE), "PNG"))
    assert np.array_equal(decode_file(path), PICTURE)
    with pytest.raises(ValueError, match=r"a photo\.png.*56 x 40"):
        decode_file(path, max_pixels=100)


def test_large_pictures_are_converted_by_strips_to_the_same_pixels():
    image = Image.fromarray(noise(50, 30)).convert("RGBA")
    image.putalpha(Image.fromarray(noise(50, 30, seed=1)[..., 0]))
    for mode, kind in (("RGBA", "PNG"), ("CMYK", "TIFF"), ("P", "GIF"), ("1", "PNG"), ("L", "JPEG")):
        data = encoded(image.convert(mode), kind)
        pixels, alpha = srgb_pixels(open_image(io.BytesIO(data), "x"))
        by_strips, alpha_by_strips = srgb_pixels(open_image(io.BytesIO(data), "x"), strip_rows=7)
        assert np.array_equal(by_strips, pixels), mode
        assert (alpha_by_strips is None) == (alpha is None) == (mode != "RGBA")
        if alpha is not None:
            assert np.array_equal(alpha_by_strips, alpha)


# Photographs


@pytest.mark.slow
def test_the_gray_and_cmyk_photographs_of_imagenet_are_shown(photographs: Path):
    modes = {}
    for path in sorted((photographs / "imagenet-sample").glob("*.JPEG")):
        with Image.open(path) as picture:
            modes.setdefault(picture.mode, []).append((path, picture.size))
    assert len(modes["L"]) >= 3
    for path, size in [*modes["L"], *modes.get("CMYK", []), *modes["RGB"][:5]]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*profile", UserWarning)
            decoded = decode_file(path)
        assert decoded.shape == (size[1], size[0], 3)
        assert decoded.std() > 5
        if (path, size) in modes["L"]:
            assert (decoded == decoded[..., :1]).all()


def test_a_postscript_file_named_jpg_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.parent.mkdir()
    ghostscript.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(ghostscript.parent), prepend=os.pathsep)
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n{ } loop\n%%EOF\n")
    with pytest.raises(ValueError, match=r"holiday\.jpg"):
        decode_file(path)
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("kind", ["ICO", "TGA", "PCX", "ICNS", "JPEG2000"])
def test_other_formats_are_refused_by_name_whatever_their_ending(kind: str):
    with pytest.raises(ValueError, match=r"photo\.jpg.*JPEG or PNG"):
        decode(encoded(Image.fromarray(noise(32, 32)), kind), "photo.jpg")


@pytest.mark.parametrize("ending", sorted(headers.SUFFIXES))
def test_every_promised_ending_is_read(tmp_path: Path, ending: str):
    written = {".pnm": "PPM", ".pbm": "PPM"}.get(ending)
    picture = Image.fromarray(PICTURE).convert("1" if ending == ".pbm" else "RGB")
    picture.save(tmp_path / f"x{ending}", written)
    assert decode_file(tmp_path / f"x{ending}").shape == PICTURE.shape


def test_a_jpeg_of_several_pictures_is_read():
    first, second = (Image.fromarray(noise(16, 16, seed)) for seed in (0, 1))
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    assert decode(data, "x.jpg").shape == (16, 16, 3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"x\.png"):
        decode_file(tmp_path / "x.png")


def test_a_file_with_another_sha256_is_not_decoded(tmp_path: Path):
    data = encoded(Image.fromarray(noise(8, 8)), "PNG")
    (tmp_path / "x.png").write_bytes(data)
    assert decode_file(tmp_path / "x.png", digest=hashlib.sha256(data).hexdigest()).shape == (8, 8, 3)
    with pytest.raises(ValueError, match=r"x\.png.*SHA-256"):
        decode_file(tmp_path / "x.png", digest="0" * 64)


def tiff(samples: np.ndarray, **settings: Any) -> bytes:
    """A TIFF by tifffile."""
    out = io.BytesIO()
    tifffile.imwrite(out, samples, **settings)
    return out.getvalue()


# What a file says of its samples is followed or refused by name


RAMP = np.tile(np.arange(256, dtype=np.uint8), (8, 1))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [8, 16])
def test_white_is_zero(depth: int, order: str):
    stored = RAMP if depth == 8 else RAMP.astype(np.uint16) * 257
    stored = np.iinfo(stored.dtype).max - stored
    assert np.array_equal(decode(tiff(stored, photometric="miniswhite", byteorder=order), "x"), gray_of(RAMP))


KINDS = [
    (*kind, seed)
    for seed, kind in enumerate(
        itertools.product(
            ("minisblack", "rgb", "separated"), (8, 16), "<>", ("contig", "separate"),
            (None, "unassalpha", "unspecified"), (None, "zlib"), ("strips", "tiles"), (None, LINEAR_RGB),
        )
    )
    if kind[0] != "separated" or kind[4] is None
    if kind[0] != "minisblack" or kind[3] == "contig"
    if kind[7] is None or (kind[0] == "rgb" and kind[4] is None)
]  # fmt: skip


def generate(kind: tuple[Any, ...]) -> tuple[bytes, np.ndarray]:
    """A TIFF of a row of `KINDS`, and its samples with 8 bits."""
    photometric, depth, order, planar, alpha, compression, layout, profile, seed = kind
    colors = {"minisblack": 1, "rgb": 3, "separated": 4}[photometric]
    rng = np.random.default_rng(seed)
    samples = rng.integers(0, 256, (37, 41, colors + (alpha is not None)), dtype=np.uint8)
    stored = samples if depth == 8 else samples.astype(np.uint16) * 257
    stored = stored[..., 0] if stored.shape[-1] == 1 else stored
    stored = stored.transpose(2, 0, 1) if planar == "separate" and stored.ndim == 3 else stored
    settings: dict[str, Any] = {"tile": (16, 16)} if layout == "tiles" else {"rowsperstrip": 5}
    if stored.ndim == 3:
        settings["planarconfig"] = planar
    if alpha:
        settings["extrasamples"] = [alpha]
    if profile:
        settings["extratags"] = [(34675, 7, len(profile), profile, True)]
    return tiff(stored, photometric=photometric, byteorder=order, compression=compression, **settings), samples


def is_refused(kind: tuple[Any, ...]) -> bool:
    photometric, _, _, planar, alpha, _, layout, *_ = kind
    return layout == "tiles" and planar == "separate" and (photometric != "minisblack" or alpha is not None)


def test_tiffs_of_every_depth_order_of_bytes_planes_alpha_layout_and_profile():
    assert len(KINDS) > 200
    for kind in KINDS:
        photometric, _, _, _, alpha, _, _, profile, _ = kind
        data, samples = generate(kind)
        # Refuse it
        if is_refused(kind):
            with pytest.raises(ValueError, match=r"odd\.tif.*separate planes not supported"):
                decode(data, "odd.tif")
            continue
        # Or show it
        shown = samples[..., : {"minisblack": 1, "rgb": 3, "separated": 4}[photometric]].astype(float)
        if photometric == "separated":
            shown = (255 - shown[..., :3]) * (255 - shown[..., 3:]) / 255
        if profile:
            shown = srgb_of_linear(shown / 255)
        shown = np.broadcast_to(shown, (37, 41, 3))
        if alpha == "unassalpha":  # an extra sample without a meaning is no transparency
            share = samples[..., -1:] / 255
            shown = shown * share + 255 * (1 - share)
        assert is_close(decode(data, "x"), shown, 1.5), kind


@pytest.mark.slow
def test_tiffs_have_the_pixels_of_imagemagick(tmp_path: Path):
    """A sample of the same files, without extra samples that have no meaning."""
    convert = shutil.which("magick") or shutil.which("convert")
    version = subprocess.run([convert, "-version"], capture_output=True, text=True, check=False) if convert else None
    if convert is None or version is None or "ImageMagick Studio" not in version.stdout:
        pytest.skip("ImageMagick is not installed")
    (tmp_path / "srgb.icc").write_bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    sample = [kind for kind in KINDS if not is_refused(kind) and kind[4] != "unspecified"][::5]
    assert {kind[0] for kind in sample} == {"minisblack", "rgb", "separated"}
    assert {kind[1] for kind in sample} == {8, 16}
    assert any(kind[7] for kind in sample)
    for kind in sample:
        data, _ = generate(kind)
        (tmp_path / "x.tif").write_bytes(data)
        colors = ["-profile", "srgb.icc"] if kind[7] else ["-colorspace", "sRGB"]
        options = [*colors, "-background", "white", "-alpha", "remove", "-alpha", "off", "-depth", "8", "rgb:-"]
        done = subprocess.run([convert, "x.tif", *options], cwd=tmp_path, capture_output=True, check=True)
        theirs = np.frombuffer(done.stdout, np.uint8).reshape(37, 41, 3)
        assert is_close(decode(data, "x"), theirs, 2), kind


def test_color_multiplied_by_alpha_is_divided_again():
    rgb, alpha = noise(20, 30), np.full((20, 30, 1), 128, dtype=np.uint8)
    stored = np.concatenate((np.round(rgb * (128 / 255)).astype(np.uint8), alpha), axis=-1)
    shown = rgb * (128 / 255) + 127
    assert is_close(decode(tiff(stored, photometric="rgb", extrasamples=["assocalpha"]), "x"), shown, 2)


def test_palettes_of_a_tiff():
    colors = np.random.default_rng(0).integers(0, 65536, (3, 256)).astype(np.uint16)
    index = noise(20, 30)[..., 0]
    shown = colors.T[index] / 257
    assert is_close(decode(tiff(index, photometric="palette", colormap=colors), "x"), shown, 1)


@pytest.mark.parametrize(
    ("samples", "settings", "fact"),
    [
        (np.zeros((8, 8), dtype=np.float32), {}, "float"),
        (np.zeros((8, 8), dtype=np.int16), {}, "signed"),
        (np.zeros((8, 8), dtype=np.uint32), {}, "32 bits"),
        (np.zeros((8, 8, 3), dtype=np.float32), {"photometric": "rgb"}, "float"),
        (np.zeros((8, 8), dtype=np.uint16), {"photometric": "cfa"}, "raw"),
        (np.zeros((8, 8, 3), dtype=np.uint16), {"photometric": "linear_raw"}, "raw"),
        (np.zeros((8, 8, 3), dtype=np.uint8), {"photometric": "icclab"}, "interpretation 9"),
        (np.zeros((2, 8, 8), dtype=np.uint8), {"planarconfig": "separate", "extrasamples": [2]}, "separate planes"),
    ],
)
def test_samples_that_are_not_understood_are_refused_by_name(samples: np.ndarray, settings: dict[str, Any], fact: str):
    with pytest.raises(ValueError, match=r"odd\.tif") as error:
        decode(tiff(samples, **settings), "odd.tif")
    assert fact in str(error.value)
    assert "damaged" not in str(error.value)


@pytest.mark.parametrize("number", [34925, 50000, 50001, 34712])
def test_a_compression_that_is_not_read_is_no_damage(number: int):
    data = bytearray(tiff(RAMP))
    at = data.find(struct.pack("<HHII", 259, 3, 1, 1))
    struct.pack_into("<HHII", data, at, 259, 3, 1, number)
    with pytest.raises(ValueError, match=r"odd\.tif") as error:
        decode(bytes(data), "odd.tif")
    assert str(number) in str(error.value)
    assert "damaged" not in str(error.value)


def test_lab_is_shown():
    lab = np.zeros((8, 8, 3), dtype=np.uint16)
    lab[..., 0] = np.linspace(0, 65535, 8).astype(np.uint16)
    gray = ((np.linspace(0, 100, 8) + 16) / 116) ** 3
    linear = np.where(np.linspace(0, 100, 8) > 8, gray, np.linspace(0, 100, 8) / 903.3)
    assert is_close(decode(tiff(lab, photometric="cielab"), "x"), gray_of(np.tile(srgb_of_linear(linear), (8, 1))), 1)


@pytest.mark.parametrize("where", ["in a SubIFD", "on the second page"])
def test_the_photograph_is_decoded_not_its_thumbnail(where: str):
    full = np.tile(np.arange(160, dtype=np.uint8), (100, 1))
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as file:
        subifds = {"subifds": 1} if where == "in a SubIFD" else {}
        file.write(full[::4, ::4], subfiletype=1, photometric="minisblack", **subifds)
        file.write(full, photometric="minisblack")
    stored = open_image(io.BytesIO(out.getvalue()), "raw.dng")
    assert stored.frames == 1
    assert np.array_equal(decode(out.getvalue(), "raw.dng"), gray_of(full))


def test_a_reduced_picture_alone_is_the_photograph():
    assert np.array_equal(decode(tiff(RAMP, subfiletype=1), "x"), gray_of(RAMP))


def linear_srgb() -> bytes:
    """Littlecms' sRGB profile with the curve y = x, and its name kept."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for tag in (b"rTRC", b"gTRC", b"bTRC"):
        entry = profile.find(tag, 128)
        at = int.from_bytes(profile[entry + 4 : entry + 8], "big")
        profile[at : at + 12] = b"curv" + bytes(8)
    return bytes(profile)


def test_a_linear_profile_is_followed_whatever_its_name():
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(linear_srgb())))
    data = encoded(Image.new("RGB", (8, 8), (55, 55, 55)), "PNG", icc_profile=linear_srgb())
    assert decode(data, "x")[0, 0].tolist() == [128, 128, 128]


def test_16_bits_are_kept_until_the_curve_of_the_profile_is_done():
    # In linear light the darkest 1/256 holds 13 levels of sRGB
    dark = np.arange(257, dtype=np.uint16).reshape(1, 257)
    gray = icc(b"GRAY", {b"desc": desc(b"gray"), **WHITE, b"kTRC": gamma(1.0)})
    decoded = decode(encoded(Image.fromarray(dark), "PNG", icc_profile=gray), "x")
    assert is_close(decoded, gray_of(srgb_of_linear(dark / 65535)), 1)
    assert len(np.unique(decoded)) > 10
    rgb = np.repeat(dark[..., None], 3, axis=-1)
    decoded = decode(tiff(rgb, photometric="rgb", extratags=[(34675, 7, len(LINEAR_RGB), LINEAR_RGB, True)]), "x")
    assert is_close(decoded, srgb_of_linear(rgb / 65535), 1)


@pytest.mark.parametrize("color", [0, 2])
def test_the_gamma_of_a_png_is_followed_unless_an_srgb_chunk_stands_beside_it(color: int):
    rows = np.arange(60, dtype=np.uint8).reshape(3, 20)[:, : 20 if color == 0 else 18] * 4
    values = gray_of(rows) if color == 0 else rows.reshape(3, 6, 3)
    linear, like_srgb = (chunk(b"gAMA", struct.pack(">I", number)) for number in (100_000, 45_455))

    def shown(before: bytes) -> Pixels:
        return decode(png(rows, depth=8, color=color, size=values.shape[:2], before=before), "x")

    assert is_close(shown(linear), srgb_of_linear(values / 255), 1)
    for before in (b"", like_srgb, linear + chunk(b"sRGB", b"\0"), chunk(b"gAMA", bytes(4))):
        assert np.array_equal(shown(before), values)


def test_the_chromaticities_of_a_png_are_followed():
    rgb = noise(6, 7)
    places = (31270, 32900, 30000, 60000, 64000, 33000, 15000, 6000)  # sRGB's red and green, swapped
    before = chunk(b"gAMA", struct.pack(">I", 45_455)) + chunk(b"cHRM", struct.pack(">8I", *places))
    data = png(rgb.reshape(6, 21), depth=8, color=2, size=(6, 7), before=before)
    assert is_close(decode(data, "x"), srgb_of_linear((rgb / 255) ** 2.2)[..., [1, 0, 2]], 4)


def adobe_rgb_as_srgb(rgb: np.ndarray) -> np.ndarray:
    """8-bit sRGB of 8-bit Adobe RGB (1998, Sec. 4.3): its matrix to XYZ of D65, and the inverse of sRGB's."""
    to_xyz = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]])
    to_srgb = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    return srgb_of_linear(np.clip((rgb / 255) ** (563 / 256) @ (to_srgb @ to_xyz).T, 0, 1))


def exif_of(color_space: int, index: str | None) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = "a picture"  # Pillow writes no inner block alone
    exif.get_ifd(0x8769)[0xA001] = color_space
    if index:
        exif.get_ifd(0x8769)[0xA005] = {1: index, 2: b"0100"}
    exif[0x8769] = exif.get_ifd(0x8769)  # so that Pillow writes it into a TIFF
    return exif


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(("color_space", "index"), [(0xFFFF, "R03"), (2, None), (1, "R98"), (0xFFFF, None)])
def test_adobe_rgb_stated_by_exif_tags_is_followed(kind: str, color_space: int, index: str | None):
    rgb = np.repeat(np.repeat(np.array([[[200, 60, 60], [60, 160, 90], [70, 90, 180]]], np.uint8), 16, 0), 16, 1)
    options: dict[str, object] = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    data = encoded(Image.fromarray(rgb), kind, exif=exif_of(color_space, index), **options)
    adobe = index == "R03" or color_space == 2
    assert is_close(decode(data, "x"), adobe_rgb_as_srgb(rgb) if adobe else rgb, 3)
    assert open_image(io.BytesIO(data), "x").is_uncalibrated == (color_space == 0xFFFF and not adobe)
    # A color profile wins, and an sRGB chunk does
    data = encoded(Image.fromarray(rgb), kind, exif=exif_of(color_space, index), icc_profile=SWAPPED, **options)
    swapped = decode(encoded(Image.fromarray(rgb), kind, icc_profile=SWAPPED, **options), "x")
    assert np.array_equal(decode(data, "x"), swapped)
    assert not open_image(io.BytesIO(data), "x").is_uncalibrated
    if kind == "PNG":
        data = encoded(Image.fromarray(rgb), kind, exif=exif_of(color_space, index))
        data = data[:33] + chunk(b"sRGB", b"\0") + data[33:]
        assert np.array_equal(decode(data, "x"), rgb)
        assert not open_image(io.BytesIO(data), "x").is_uncalibrated


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
def test_the_transfer_function_of_a_tiff_is_followed(photometric: str, depth: int):
    levels = 1 << depth
    ramp = np.arange(256, dtype=np.uint16 if depth == 16 else np.uint8) * (257 if depth == 16 else 1)
    stored = np.tile(ramp, (8, 1)) if photometric != "rgb" else np.repeat(np.tile(ramp, (8, 1))[..., None], 3, -1)
    light = np.linspace(0, 1, levels)
    curve = np.rint(65535 * (light if photometric != "miniswhite" else light[::-1])).astype(np.uint16)
    for copies in (1, 3) if photometric == "rgb" else (1,):
        tags = [(301, 3, copies * levels, tuple(np.tile(curve, copies).tolist()), True)]
        shown = srgb_of_linear(np.arange(256) / 255)
        expected = np.tile(shown if photometric != "miniswhite" else shown[::-1], (8, 1))
        assert is_close(decode(tiff(stored, photometric=photometric, extratags=tags), "x"), gray_of(expected), 1.5)


def test_the_primaries_of_a_tiff_are_followed():
    rgb = noise(6, 7)
    swapped = (30, 100, 60, 100, 64, 100, 33, 100, 15, 100, 6, 100)  # sRGB's red and green, swapped
    tags = [(318, 5, 2, (3127, 10000, 3290, 10000), True), (319, 5, 6, swapped, True)]
    decoded = decode(tiff(rgb, photometric="rgb", extratags=tags), "x")
    assert is_close(decoded, srgb_of_linear((rgb / 255) ** 2.2)[..., [1, 0, 2]], 4)


@pytest.mark.parametrize(
    ("photometric", "shape", "tag"),
    [
        ("rgb", (8, 9, 3), (301, 3, 7, tuple(range(7)), True)),
        ("rgb", (8, 9, 3), (319, 5, 6, (1, 0) * 6, True)),
        ("rgb", (8, 9, 3), (319, 5, 6, (1, 3) * 6, True)),
        ("separated", (8, 9, 4), (301, 3, 256, tuple(range(256)), True)),
    ],
)
def test_a_transfer_function_that_cannot_be_followed_is_named(photometric: str, shape: tuple[int, ...], tag: Any):
    samples = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with pytest.warns(UserWarning, match=r"odd\.tif.*(transfer function|primaries).*not applied"):
        decoded = decode(tiff(samples, photometric=photometric, extratags=[tag]), "odd.tif")
    assert np.array_equal(decoded, decode(tiff(samples, photometric=photometric), "x"))


def test_video_colors_are_refused_by_name():
    data = png(RAMP, depth=8, color=0, before=chunk(b"cICP", bytes([9, 16, 0, 1])))
    with pytest.raises(ValueError, match=r"hdr\.png.*cICP"):
        decode(data, "hdr.png")
    assert np.array_equal(
        decode(png(RAMP, depth=8, color=0, before=chunk(b"cICP", bytes([1, 13, 0, 1]))), "x"), gray_of(RAMP)
    )
    avif = encoded(Image.fromarray(noise(16, 16)), "AVIF")
    assert decode(avif, "x").shape == (16, 16, 3)
    at = avif.find(b"colrnclx") + 8
    with pytest.raises(ValueError, match=r"hdr\.avif.*transfer 16"):
        decode(avif[: at + 2] + struct.pack(">H", 16) + avif[at + 4 :], "hdr.avif")


def test_a_gray_of_few_bits_declared_transparent_is_transparent():
    row = np.array([[0x0F, 0xF0, 0x12]], dtype=np.uint8)
    data = png(row, depth=4, color=0, size=(1, 6), before=chunk(b"tRNS", struct.pack(">H", 15)))
    _, alpha = srgb_pixels(open_image(io.BytesIO(data), "x"))
    assert alpha is not None
    assert alpha.tolist() == [[255, 0, 0, 255, 255, 255]]


def test_megabytes_of_text_are_no_damage():
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<rdf:li>0123456789</rdf:li>" * 50_000)
    data = png(np.full((8, 8), 55, dtype=np.uint8), depth=8, color=0, before=chunk(b"iTXt", text))
    assert (decode(data, "x") == 55).all()


def test_a_jpeg_that_lacks_only_its_end_marker_is_whole():
    for picture in (Image.fromarray(noise(60, 80)), Image.fromarray(noise(60, 80)[..., 0])):
        data = encoded(picture, "JPEG")
        assert np.array_equal(decode(data[:-2], "x"), decode(data, "x"))
        for share in (0.5, 0.9, 0.99):
            with pytest.raises(ValueError, match="damaged"):
                decode(data[: int(len(data) * share)], "x")


def test_an_offset_beyond_all_files_is_damage():
    data = bytearray(tiff(RAMP, bigtiff=True))
    struct.pack_into("<Q", data, 8, 2**64 - 1)
    with pytest.raises(ValueError, match=r"odd\.tif.*damaged"):
        decode(bytes(data), "odd.tif")


def test_a_tiff_damaged_in_the_middle_is_named():
    data = bytearray(encoded(Image.fromarray(np.tile(RAMP, (10, 1))), "TIFF", compression="tiff_lzw"))
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    with pytest.raises(ValueError, match=r"odd\.tif.*damaged"):
        decode(bytes(data), "odd.tif")


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"), (b"\xff\x0a", "JPEG XL"), (b"8BPS\0\1", "PSD"),
        (b"II*\0\x10\0\0\0CR\2\0", "raw"), (b"%PDF-1.7\n", "PDF"), (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    ],
)  # fmt: skip
def test_formats_that_are_not_read_are_named(start: bytes, kind: str):
    with pytest.raises(ValueError, match=r"photo\.jpg") as error:
        decode(start + bytes(100), "photo.jpg")
    assert kind in str(error.value)


@pytest.mark.parametrize("ending", [".svg", ".mat"])
def test_no_other_loader_of_libvips_is_reached(tmp_path: Path, ending: str):
    (tmp_path / "x.jpg").write_bytes(
        {
            ".svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
            ".mat": b"2 2\n1 2\n3 4\n",
        }[ending]
    )
    assert pyvips.Image.new_from_file(str(tmp_path / "x.jpg")).width > 0, "libvips itself reads it"
    with pytest.raises(ValueError, match=r"x\.jpg.*not an image"):
        decode_file(tmp_path / "x.jpg")


def by_pillow(data: bytes) -> Pixels:
    """Pixels as Pillow decodes a photograph without transparency, of 8 bits."""
    picture = Image.open(io.BytesIO(data))
    profile = picture.info.get("icc_profile")
    picture = ImageOps.exif_transpose(picture)
    if profile:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        # Whatever its mode: gray photographs with a profile of RGB are shown as they are
        if picture.mode != "L" and "sRGB" not in ImageCms.getProfileDescription(source):
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            return np.asarray(converted)
    return np.asarray(picture.convert("RGB"))


@pytest.mark.campaign
@pytest.mark.parametrize("name", ["bsds500", "bundled", "imagenet-sample", "zhang2016", "cifar10"])
def test_every_photograph_of_the_sources_has_pillows_pixels(name: str, photographs: Path):
    source = SOURCES[name]
    if isinstance(source, Cifar10):
        files = iter(source._read(source.path()).items())
    else:
        names = (
            source.names() if isinstance(source, Listed) else [one for split in source.files.values() for one in split]
        )
        files = ((one, source.path(one).read_bytes()) for one in names)
    count = 0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*profile", UserWarning)
        for one, data in files:
            assert np.array_equal(decode(data, one), by_pillow(data)), one
            count += 1
    assert count == {"bsds500": 500, "bundled": 7, "imagenet-sample": 800, "zhang2016": 1000, "cifar10": 60_000}[name]
