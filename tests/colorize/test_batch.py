"""`colorlib colorize`: a folder of awkward files, output names, existing outputs, errors."""

import errno
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from helpers.networks import strong
from helpers.pictures import encoded, smooth
from PIL import ExifTags, Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from colorlib import cli
from colorlib.color import lightness, rgb_to_lab, to_bytes
from colorlib.colorize import batch, label
from colorlib.colorize import colorizer as photo_colorizer
from colorlib.colorize.batch import Copy, plan_copies
from colorlib.colorize.image_file import Picture, read_picture
from colorlib.colorizers import Colorizer, adjust_lab, fit_look_up_table
from colorlib.evaluate import NETWORK_TRUE_L, read_metrics
from colorlib.files import sha256
from colorlib.hints import read_hints
from colorlib.model import NETWORKS
from colorlib.photos.registry import open_photos
from colorlib.photos.sources import Folder
from colorlib.profiles import PROJECT
from colorlib.targets import RGB


@pytest.fixture(autouse=True)
def _strong_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Color with a network whose colors are strong, instead of the committed one."""
    network = strong(NETWORKS["encoder-decoder"])
    colorizer = Colorizer(network=network, target=RGB(), device=torch.device("cpu"), tile=16)
    monkeypatch.setattr(photo_colorizer, "load_run", lambda run, device: colorizer)


def save(path: Path, mode: str = "RGB", **settings: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(smooth(20, 30)).convert(mode).save(path, **settings)
    return path


def colorize(*arguments: object) -> int:
    return cli.main(["colorize", "--device", "cpu", "--threads", "1", *map(str, arguments)])


def colors(path: Path) -> np.ndarray:
    return rgb_to_lab(torch.from_numpy(read_picture(path).pixels.copy()).permute(2, 0, 1).double() / 255)[1:].numpy()


def planned(names: list[str], output: Path | None) -> list[Copy]:
    """The copies of a plan, in which nothing may fail."""
    plan = plan_copies(names, output)
    assert not plan.failed
    return plan.copies


def write_large_header(path: Path) -> Path:
    """A PNG of a few bytes whose header says 20,000 x 20,000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    return path


def counts(text: str) -> list[int]:
    """The numbers of the last line: how many photographs were colored, and of how many."""
    return [int(number) for number in re.findall(r"\d+", text.splitlines()[-1].partition(";")[0])]


# Copies


def test_a_folder_of_awkward_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "Fotos von früher"
    good = [
        save(folder / "plain.jpg"),
        save(folder / "gray.PNG", "L"),
        save(folder / "größer als gedacht.webp"),
        save(folder / "cmyk.tif", "CMYK"),
        save(folder / "palette.gif", "P"),
        save(folder / "one bit.png", "1"),
        save(folder / "1950/an der See/kinder am strand.jpeg", "L"),
    ]
    deep = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    Image.fromarray(deep).save(folder / "deep.png")
    with_alpha = Image.fromarray(smooth(20, 30)).convert("RGBA")
    with_alpha.putalpha(Image.fromarray(smooth(20, 30)[..., 0]))
    with_alpha.save(folder / "alpha.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    save(folder / "turned.jpg", exif=turned)
    (folder / "text.jpg").write_text("Dear diary")
    (folder / "cut off.jpg").write_bytes(good[0].read_bytes()[:400])
    write_large_header(folder / "large.png")
    # An orientation, and a resolution of the wrong type: Pillow's exif_transpose fails on it.
    tags = struct.pack("<HHHIHHHHI4s", 2, 0x0112, 3, 1, 6, 0, 0x011A, 2, 4, b"300\0")
    save(folder / "odd.jpg", exif=b"Exif\0\0II*\0" + struct.pack("<I", 8) + tags + bytes(4))
    save(folder / "scan.bmp")
    save(folder / "scan.png")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "twice.jpg").symlink_to(folder / "plain.jpg")
    not_text = os.fsencode(folder) + b"/gr\xfcn.jpg"
    shutil.copy(folder / "plain.jpg", os.fsdecode(not_text))
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "notes.txt").write_text("not a picture")
    save(folder / ".hidden.jpg")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert colorize(folder) == 1
    printed = capsys.readouterr()
    out = tmp_path / "Fotos von früher-colorized"
    left = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert left == sorted(
        ["plain.jpg", "gray.PNG", "größer als gedacht.webp", "cmyk.tif", "palette.gif.png", "one bit.png", "deep.png",
         "alpha.png", "turned.jpg", "1950/an der See/kinder am strand.jpeg", "odd.jpg", "scan.bmp.png", "scan.png",
         "twice.jpg", os.fsdecode(b"gr\xfcn.jpg")]
    )  # fmt: skip
    for name, reasons in {
        "text.jpg": ["JPEG or PNG"],
        "cut off.jpg": ["damaged"],
        "large.png": ["20000 x 20000", "250 million", "--max-pixels 400000000"],
        "gone.jpg": ["No such file"],
        "loop.jpg": ["Too many levels of symbolic links"],
    }.items():
        (line,) = [line for line in printed.err.replace("\r", "\n").splitlines() if f"/{name}" in line]
        for reason in reasons:
            assert reason in line
        assert f"/{name}" not in printed.out
    assert counts(printed.out) == [15, 20]
    for name in left:
        assert np.abs(colors(out / name)).max() > 3, f"{name} has colors"
    assert read_picture(out / "turned.jpg").pixels.shape == read_picture(out / "odd.jpg").pixels.shape == (30, 20, 3)
    assert np.array_equal(read_picture(out / "alpha.png").alpha, smooth(20, 30)[..., 0])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(data: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with one chunk more after its header."""
    return data[:33] + png_chunk(kind, content) + data[33:]


def tiff(samples: np.ndarray, **settings: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, samples, **settings)
    return out.getvalue()


GRAY = smooth(20, 30)[..., 0]
DEEP = GRAY.astype(np.uint16) * 257
PLANES = np.stack((GRAY, GRAY, GRAY))


def readable() -> dict[str, bytes]:
    """Awkward files that show `GRAY`."""
    gray, rgb = Image.fromarray(GRAY), Image.fromarray(np.stack((GRAY,) * 3, axis=-1))
    exif = {number: Image.Exif() for number in range(1, 9)}
    for number, tags in exif.items():
        tags[ExifTags.Base.Orientation] = number
    turned = {
        3: GRAY[::-1, ::-1], 5: GRAY.T, 6: np.rot90(GRAY), 7: GRAY[::-1, ::-1].T, 8: np.rot90(GRAY, -1),
    }  # fmt: skip
    thumbnail_first = io.BytesIO()
    with tifffile.TiffWriter(thumbnail_first) as file:
        file.write(GRAY[::4, ::4], subfiletype=1, photometric="minisblack", subifds=1)
        file.write(GRAY, photometric="minisblack")
    pages = encoded(gray, "TIFF", save_all=True, append_images=[gray.rotate(180)])
    inks = np.stack((*[np.zeros_like(GRAY)] * 3, 255 - GRAY), axis=-1)
    palette = Image.fromarray(GRAY, "P")
    palette.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    alpha = Image.merge("LA", (gray, Image.fromarray(np.full_like(GRAY, 200))))
    xmp = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<rdf:li>0123456789</rdf:li>" * 50_000)
    files = {
        "gray.jpg": encoded(gray, "JPEG", quality=100), "gray.jpe": encoded(gray, "JPEG", quality=100),
        "chrome.jfif": encoded(rgb, "JPEG", quality=100), "UPPER.JPEG": encoded(rgb, "JPEG", quality=100),
        "progressive.jpg": encoded(rgb, "JPEG", quality=100, progressive=True),
        "no end.jpg": encoded(gray, "JPEG", quality=100)[:-2],
        "tail.jpg": encoded(gray, "JPEG", quality=100) + b"tail" * 9,
        "cmyk.jpg": encoded(Image.fromarray(inks, "CMYK"), "JPEG", quality=100), "is a png.jpg": encoded(gray, "PNG"),
        "bad exif.jpg": encoded(gray, "JPEG", quality=100, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
        "emoji \U0001f475.png": encoded(gray, "PNG"), "-o.png": encoded(gray, "PNG"),
        "new\nline.png": encoded(gray, "PNG"),
        "%d{0}.png": encoded(gray, "PNG"), "a[1].png": encoded(gray, "PNG"), "palette.png": encoded(palette, "PNG"),
        "deep.png": encoded(Image.fromarray(DEEP), "PNG"), "alpha.png": encoded(alpha, "PNG"),
        "text.png": with_chunk(encoded(gray, "PNG"), b"iTXt", xmp),
        "srgb.png": with_chunk(encoded(gray, "PNG"), b"sRGB", b"\0"),
        "wrong profile.png": encoded(gray, "PNG", icc_profile=b"junk" * 40),
        "lossless.webp": encoded(rgb, "WEBP", lossless=True), "a.avif": encoded(rgb, "AVIF", quality=100),
        "a.gif": encoded(palette, "GIF"), "a.bmp": encoded(gray, "BMP"), "a.ppm": encoded(rgb, "PPM"),
        "a.pgm": encoded(gray, "PPM"), "deep.pgm": encoded(Image.fromarray(DEEP), "PPM"),
        "white is zero.tif": tiff(255 - GRAY, photometric="miniswhite"),
        "deep white is zero.tif": tiff(65535 - DEEP, photometric="miniswhite", byteorder=">"),
        "planes.tif": tiff(PLANES, photometric="rgb", planarconfig="separate"),
        "deep planes.tif": tiff(PLANES.astype(np.uint16) * 257, photometric="rgb", planarconfig="separate"),
        "tiles.tif": tiff(DEEP, tile=(16, 16), compression="zlib"), "big.tif": tiff(GRAY, bigtiff=True),
        "inks.tif": tiff(inks, photometric="separated"), "pages.tif": pages,
        "thumbnail first.tif": thumbnail_first.getvalue(),
        "predictor.tif": tiff(DEEP, compression="zlib", predictor=True),
        **{f"turned {number}.png": encoded(Image.fromarray(stored), "PNG", exif=exif[number])
           for number, stored in turned.items()},
    }  # fmt: skip
    return files


def unreadable() -> dict[str, tuple[bytes, str]]:
    """Files that cannot be shown -> a word of the reason."""
    gray = Image.fromarray(GRAY)
    return {
        "empty.jpg": (b"", "not an image"), "page.jpg": (b"<html></html>", "not an image"),
        "iphone.jpg": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"), "xl.jpg": (b"\xff\x0a" + bytes(50), "JPEG XL"),
        "cut.jpg": (encoded(gray, "JPEG")[:400], "damaged"), "cut.png": (encoded(gray, "PNG")[:300], "damaged"),
        "cut.tif": (encoded(gray, "TIFF")[:300], "damaged"), "float.tif": (tiff(GRAY / np.float32(255)), "float"),
        "signed.tif": (tiff(GRAY.astype(np.int16)), "signed"), "sensor.tif": (tiff(DEEP, photometric="cfa"), "raw"),
        "long.tif": (tiff(GRAY.astype(np.uint32)), "32 bits"),
        "hdr.png": (with_chunk(encoded(gray, "PNG"), b"cICP", bytes([9, 16, 0, 1])), "cICP"),
        "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"), "photo.tif": (b"8BPS\0\1" + bytes(50), "PSD"),
    }  # fmt: skip


def test_a_folder_of_60_awkward_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder, out = tmp_path / "album", tmp_path / "out"
    folder.mkdir()
    good, bad = readable(), unreadable()
    for name, data in {**good, **{name: data for name, (data, _) in bad.items()}}.items():
        (folder / name).write_bytes(data)
    left_out = ["notes.txt", "x.heic", "x.dng", ".hidden.jpg", "._x.jpg", ".thumbnails/x.jpg"]
    for name in left_out:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(good["gray.jpg"])
    assert len(good) + len(bad) + len(left_out) >= 60
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert colorize(folder, "-o", out, "--saturation", "0") == 1
    printed = capsys.readouterr()
    # Every file is done with the right lightness, refused by name, or left out by reason
    assert counts(printed.out) == [len(good), len(good) + len(bad)]
    for name in good:
        endings = (".jpg", ".jpe", ".jfif", ".jpeg", ".png", ".tif", ".webp")
        copy = out / (name if name.lower().endswith(endings) else f"{name}.png")
        shown = read_picture(copy).pixels.astype(int)
        assert shown.shape == (20, 30, 3), name
        # JPEG, WebP and AVIF are lossy, in the photograph or in the copy
        within = 12 if re.search(r"\.(jp|jf|webp|avif)", name, re.IGNORECASE) else 2
        assert np.abs(shown - GRAY[..., None]).max() <= within, name
    for name, (_, reason) in bad.items():
        (line,) = [line for line in printed.err.splitlines() if f"/{name} " in line]
        assert reason in line, line
        assert "damaged" not in line or reason == "damaged"
    (line,) = [line for line in printed.out.splitlines() if line.startswith("left out")]
    assert sum(map(int, re.findall(r"\((\d+)\)", line))) == len(left_out)
    assert "UserWarning" not in printed.err
    assert re.search(r"bad exif\.jpg.*EXIF tags are damaged", printed.out)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_photographs_own_lightness_is_kept_unless_raw(tmp_path: Path):
    photo = save(tmp_path / "old.png")
    assert colorize(photo) == 0
    assert colorize(photo, "--raw", "-o", tmp_path / "raw.png") == 0
    own, kept, raw = (
        lightness(torch.from_numpy(read_picture(path).pixels.copy()).permute(2, 0, 1)).numpy()
        for path in (photo, tmp_path / "old-colorized.png", tmp_path / "raw.png")
    )
    assert np.median(np.abs(kept - own)) < 0.3
    assert np.median(np.abs(raw - own)) > 3


def test_saturation_scales_colors(tmp_path: Path):
    photo = save(tmp_path / "old.png")
    for amount in (0, 0.5, 1):
        assert colorize(photo, "--saturation", amount, "-o", tmp_path / f"{amount}.png") == 0
    none, half, full = (np.abs(colors(tmp_path / f"{amount}.png")).mean() for amount in (0, 0.5, 1))
    assert none < 0.3
    assert full > 1.5 * half > 0.5


def test_a_comparison_shows_gray_truth_and_prediction(tmp_path: Path):
    colored, gray = save(tmp_path / "colored.png"), save(tmp_path / "gray.png", "L")
    assert colorize(colored, gray, "--compare") == 0
    three, two = (read_picture(tmp_path / f"{name}-compared.png").pixels for name in ("colored", "gray"))
    assert three.shape == (20, 3 * 30 + 2 * batch.GAP, 3)
    assert two.shape == (20, 2 * 30 + batch.GAP, 3)
    assert np.array_equal(three[:, 38:68], smooth(20, 30)), "the truth is in the middle"
    assert np.ptp(three[:, :30].astype(int), axis=-1).max() <= 1, "gray is first"
    assert np.array_equal(two[:, :30], read_picture(gray).pixels)


def test_a_folder_that_cannot_be_read_and_a_read_only_disk_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    save(tmp_path / "album/a.jpg")
    (tmp_path / "album/locked").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read every folder
    assert colorize(tmp_path / "album") == 1
    printed = capsys.readouterr()
    assert f"{tmp_path}/album/locked" in printed.err
    assert counts(printed.out) == [1, 2]

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path / ".tmp123"))

    monkeypatch.setattr("tempfile.mkstemp", read_only)
    assert colorize(tmp_path / "album/a.jpg") == 1
    errors = capsys.readouterr().err
    assert "Read-only file system" in errors
    assert f"{tmp_path}/album/a-colorized.jpg" in errors


def test_an_error_of_one_photograph_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name in ("a.jpg", "b.jpg"):
        save(tmp_path / name)
    read = batch.read_stored

    def fails(stored: Any, file: Any) -> Picture:
        if stored.name.endswith("a.jpg"):
            raise MemoryError
        return read(stored, file)

    monkeypatch.setattr(batch, "read_stored", fails)
    assert colorize(tmp_path / "a.jpg", tmp_path / "b.jpg") == 1
    printed = capsys.readouterr()
    assert re.search(r"a\.jpg.*MemoryError", printed.err)
    assert counts(printed.out) == [1, 2]
    assert (tmp_path / "b-colorized.jpg").is_file()


def test_a_picture_too_long_for_its_format_is_refused_before_it_is_colored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    Image.fromarray(smooth(16, 6000)).save(tmp_path / "wide.webp")
    assert colorize(tmp_path / "wide.webp", "--compare") == 1
    errors = capsys.readouterr().err
    for fact in ("18016 x 16", "WEBP", "16383", ".png", ".tif"):
        assert fact in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wide.webp"]


# Output names


def test_a_folder_by_any_of_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save(tmp_path / "album/a.jpg")
    save(tmp_path / "album/.cache/b.jpg")
    save(tmp_path / "album/sub/c.jpg")
    monkeypatch.chdir(tmp_path / "album/sub")
    (found,) = planned(["."], None)
    assert found.output == tmp_path / "album/sub-colorized/c.jpg"
    assert [copy.output for copy in planned([".."], None)] == [
        tmp_path / "album-colorized/a.jpg",
        tmp_path / "album-colorized/sub/c.jpg",
    ]


def test_copies_of_an_earlier_call_are_not_colored_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "out/a.jpg", "out/out/a.jpg"):
        save(tmp_path / name)
    for name in (".", "**/*.jpg"):
        (only,) = plan_copies([name], Path("out")).failed
        assert only.photo == Path("a.jpg")
    # By their label, not by their name
    assert colorize("a.jpg") == 0
    (tmp_path / "a-colorized.jpg").rename("renamed.jpg")
    save(tmp_path / "my-colorized.jpg")
    for names in (["*.*"], ["a.jpg", "my-colorized.jpg", "renamed.jpg"]):
        plan = plan_copies(names, None)
        assert [str(copy.photo) for copy in plan.copies] == ["a.jpg", "my-colorized.jpg"]
        assert plan.left_out == {batch.OWN_COPIES: 1}


def test_patterns_keep_the_structure_below_their_fixed_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("y/1/a.jpg", "y/2/a.jpg"):
        save(tmp_path / name)
    outputs = [str(copy.output) for copy in planned(["y/*/a.jpg"], Path("out"))]
    assert outputs == ["out/1/a.jpg", "out/2/a.jpg"]


def test_two_names_of_one_folder_are_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "t/a.png")
    save(tmp_path / "t/a.bmp")
    outputs = [str(copy.output) for copy in planned(["t/a.png", "../" + tmp_path.name + "/t/a.bmp"], None)]
    assert [Path(output).name for output in outputs] == ["a-colorized.png", "a-colorized.bmp.png"]


def test_a_link_is_not_replaced_without_overwrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    photo = save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "nowhere.png")
    assert colorize(photo, "-o", tmp_path / "b.png") == 1
    assert re.search(r"b\.png.*--overwrite", capsys.readouterr().err)
    assert (tmp_path / "b.png").is_symlink()


def test_names_without_an_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.JPG")
    save(tmp_path / "album/b.bmp")
    save(tmp_path / "album/more/c.tiff")
    outputs = planned(["a.JPG", "album/"], None)
    assert [str(copy.output) for copy in outputs] == [
        "a-colorized.JPG",
        "album-colorized/b.bmp.png",
        "album-colorized/more/c.tiff",
    ]
    assert [str(copy.output) for copy in planned(["album"], Path("out"))] == ["out/b.bmp.png", "out/more/c.tiff"]
    assert [str(copy.output) for copy in planned(["a.JPG"], Path("x.webp"))] == ["x.webp"]
    assert [str(copy.output) for copy in planned(["a.JPG"], Path("out"))] == ["out/a.JPG"]


def test_patterns_and_photographs_named_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
        save(tmp_path / name)
    assert [str(copy.photo) for copy in planned(["*.jpg", "a.jpg", "**/*.jpg"], None)] == [
        "a.jpg", "b.jpg", "sub/c.jpg",
    ]  # fmt: skip
    assert [copy.photo.name for copy in planned([str(tmp_path / "*.jpg")], None)] == ["a.jpg", "b.jpg"]


def test_a_second_call_does_not_color_the_copies_of_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save(tmp_path / "a.jpg")
    assert colorize(tmp_path / "*.jpg") == 0
    first = (tmp_path / "a-colorized.jpg").read_bytes()
    assert colorize(tmp_path / "*.jpg") == 0
    assert re.search(r"nothing left\b.*\b1 photograph\b", capsys.readouterr().out.splitlines()[-1])
    assert (tmp_path / "a-colorized.jpg").read_bytes() == first
    # Of other options, it is not replaced unless it is said
    assert colorize(tmp_path / "*.jpg", "--saturation", "2") == 1
    assert re.search(r"a-colorized\.jpg.*--overwrite", capsys.readouterr().err)
    assert (tmp_path / "a-colorized.jpg").read_bytes() == first
    assert colorize(tmp_path / "*.jpg", "--overwrite", "--saturation", "2") == 0
    assert (tmp_path / "a-colorized.jpg").read_bytes() != first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-colorized.jpg", "a.jpg"]


def test_a_photograph_is_never_replaced_by_its_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    photo = save(tmp_path / "a.jpg")
    before = photo.read_bytes()
    assert colorize(photo, "-o", tmp_path, "--overwrite") == 1
    errors = capsys.readouterr().err
    assert str(photo) in errors
    assert "output" in errors
    assert photo.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["nothing.jpg"], ["nothing.jpg", "pattern"]),
        (["empty"], ["empty", ".jpg", ".tif"]),
        (["a.jpg", "b.jpg", "-o", "x.jpg"], ["a.jpg", "b.jpg", "x.jpg", "-o"]),
        (["more/a.jpg", "a.jpg", "-o", "out"], ["more/a.jpg", " a.jpg", "out/a.jpg", "-o"]),
        (["a.jpg", "-o", "result.heic"], ["result.heic", ".jpg"]),
        (["a.jpg", "--saturation", "nan"], ["saturation=nan", "0", "finite"]),
        (["mor*"], ["mor*", "/*.jpg"]),
        (["a.jpg", "-o", "x.gif"], ["x.gif", ".jpg"]),
        (["a.jpg", "--saturation", "-1"], ["saturation=-1", "0"]),
        (["a.jpg", "--device", "abacus"], ["device=abacus"]),
    ],
)
def test_invalid_names_and_options_are_refused_before_anything_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    facts: list[str],
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("a.jpg", "b.jpg", "a.bmp", "a.png", "more/a.jpg"):
        save(tmp_path / name)
    before = sorted(tmp_path.iterdir())
    assert colorize(*arguments) == 1
    errors = capsys.readouterr().err
    for fact in facts:
        assert fact in errors
    assert sorted(tmp_path.iterdir()) == before


def test_transparency_that_the_output_cannot_hold_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    image = Image.fromarray(smooth(20, 30))
    image.putalpha(100)
    image.save(tmp_path / "a.png")
    assert colorize(tmp_path / "a.png", "-o", tmp_path / "b.jpg") == 1
    errors = capsys.readouterr().err
    for fact in ("b.jpg", "JPEG", ".webp"):
        assert fact in errors
    assert not (tmp_path / "b.jpg").exists()


def test_of_several_pages_the_first_is_colored_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pages = [Image.fromarray(smooth(20, 30, seed)) for seed in (0, 1)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert colorize(tmp_path / "a.tif") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "a-colorized.tif" in line]
    _, _, note = line.partition("a-colorized.tif")
    assert "first" in note
    assert "2" in note


# No photograph is an output; what cannot be written is found in the plan


def test_a_photograph_that_is_named_is_never_an_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    first, second = save(tmp_path / "p.jpg", "L"), save(tmp_path / "p-colorized.jpg", "L", quality=50)
    (tmp_path / "link.jpg").symlink_to(second)
    before = {path: path.read_bytes() for path in (first, second)}
    for arguments in ([first, second], [second, first], [tmp_path], [first, tmp_path / "link.jpg"]):
        output = ["-o", tmp_path] if arguments == [tmp_path] else []
        assert colorize(*arguments, *output, "--overwrite") == 1
        assert "-o" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in (first, second)} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.jpg", "p-colorized.jpg", "p.jpg"]


def test_through_folders_no_photograph_is_an_output_either(tmp_path: Path):
    save(tmp_path / "album/a.jpg", "L")
    other = save(tmp_path / "album-colorized/a.jpg", "L", quality=40)
    before = other.read_bytes()
    assert colorize(tmp_path / "album", tmp_path / "album-colorized", "--overwrite") == 1
    assert other.read_bytes() == before


def test_a_name_too_long_for_its_copy_is_told_and_the_others_are_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    names = ["a.jpg", "x" * 246 + ".jpg"]
    for name in names:
        save(tmp_path / name, "L")
    assert colorize(*(tmp_path / name for name in names)) == 1
    assert "File name too long" in capsys.readouterr().err
    assert (tmp_path / "a-colorized.jpg").is_file()


def test_what_cannot_be_written_is_found_before_a_pixel_is_colored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(batch, "color_pixels", lambda *_, **__: pytest.fail("a pixel was colored"))
    photo = save(tmp_path / "a.jpg", "L")
    (tmp_path / "afile").write_text("")
    (tmp_path / "is a folder.jpg").mkdir()
    Image.fromarray(smooth(20, 30)).convert("RGBA").save(tmp_path / "opaque.png")
    image = Image.fromarray(smooth(20, 30))
    image.putalpha(100)
    image.save(tmp_path / "alpha.png")
    for given, output, fact in [
        (photo, "afile/x/big.jpg", "afile is no folder"),
        (photo, "n" * 300 + ".jpg", "too long"),
        (photo, "n" * 300 + "/b.jpg", "too long"),
        (tmp_path / "alpha.png", "b.jpg", "transparency"),
    ]:
        (reason,) = plan_copies([str(given)], Path(output)).failed.values()
        assert fact in reason
        assert colorize(given, "-o", output) == 1
    assert not plan_copies([str(tmp_path / "opaque.png")], Path("b.jpg")).failed
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    (reason,) = plan_copies([str(photo)], None).failed.values()
    assert "read-only" in reason
    capsys.readouterr()


# Done, failed and left out


def test_a_second_call_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("a.jpg", "b.png", "c.tif", "d.webp"):
        save(tmp_path / "album" / name, "RGB" if name == "d.webp" else "L")
    assert colorize(tmp_path / "album") == 0
    first = {path: path.read_bytes() for path in (tmp_path / "album-colorized").iterdir()}
    assert len(first) == 4
    save(tmp_path / "album/e.jpg", "L")
    capsys.readouterr()
    assert colorize(tmp_path / "album") == 0
    printed = capsys.readouterr().out
    assert counts(printed) == [1, 1]
    assert re.search(r"\b4 photographs colored before", printed)
    assert {path: path.read_bytes() for path in first} == first
    # Everything is done
    assert colorize(tmp_path / "album") == 0
    printed = capsys.readouterr().out
    assert re.search(r"nothing left\b.*\b5 photographs", printed)
    assert "0 of 0" not in printed
    # Another photograph under a name that is done
    save(tmp_path / "album/a.jpg", "L", quality=30)
    assert colorize(tmp_path / "album") == 1
    assert re.search(r"a\.jpg.*--overwrite", capsys.readouterr().err)


def test_a_shells_pattern_colors_nothing_twice(tmp_path: Path):
    save(tmp_path / "a.jpg", "L")
    for _ in range(3):
        assert colorize(*sorted(tmp_path.glob("*.jpg"))) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-colorized.jpg", "a.jpg"]
    assert colorize(tmp_path, "-o", tmp_path / "out") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.jpg"]


def test_colored_copies_are_no_photographs_to_train_on(tmp_path: Path):
    for number, name in enumerate(("a.jpg", "b.png", "c.tif", "d.webp", "e.jpg")):
        (tmp_path / name).write_bytes(
            encoded(smooth(40, 50, number), {".png": "PNG", ".tif": "TIFF", ".webp": "WEBP"}.get(name[1:], "JPEG"))
        )
    before = Folder(path=tmp_path)._find()
    assert colorize(tmp_path, "-o", tmp_path / "colored") == 0
    shutil.copy(tmp_path / "colored/b.png", tmp_path / "renamed.png")
    found = Folder(path=tmp_path)._find()
    assert found.photos == before.photos
    assert found.left_out["copies made by colorlib"] == 6
    assert Folder(path=tmp_path).left_out() == found.left_out
    # A file is read again when it has other content
    (tmp_path / "renamed.png").write_bytes(encoded(smooth(40, 50, 9)))
    assert Folder(path=tmp_path).left_out()["copies made by colorlib"] == 5


def test_every_format_that_is_read_is_taken_and_others_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    image = Image.fromarray(smooth(20, 30))
    folder = tmp_path / "A"
    folder.mkdir()
    for name, kind in [("a.jpg", "JPEG"), ("b.jfif", "JPEG"), ("c.avif", "AVIF"), ("d.jp2", "JPEG2000")]:
        image.save(folder / name, kind)
    image.convert("1").save(folder / "e.pbm", "PPM")
    (folder / "notes.txt").write_text("")
    (folder / "more.txt").write_text("")
    save(folder / ".thumbnails/a.jpg")
    save(folder / "@eaDir/a.jpg")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "x.jpg")
    assert colorize(folder) == 0
    printed = capsys.readouterr().out
    assert counts(printed) == [4, 4]
    (line,) = [line for line in printed.splitlines() if line.startswith("left out")]
    for fact in (".txt (2)", ".jp2 (1)", "thumbnail folders (2)", "links to folders (1)", "pipes and devices (1)"):
        assert fact in line


def test_a_copys_name_does_not_depend_on_its_neighbors(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save(tmp_path / "f/scan.bmp", "L")
    assert colorize(tmp_path / "f") == 0
    save(tmp_path / "f/scan.png", "L")
    assert colorize(tmp_path / "f") == 0
    assert counts(capsys.readouterr().out) == [1, 1]
    assert sorted(path.name for path in (tmp_path / "f-colorized").iterdir()) == ["scan.bmp.png", "scan.png"]


def test_a_folder_with_brackets_in_its_name_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "[1938] Oma/a.jpg")
    save(tmp_path / "1 Oma/b.jpg")
    assert [copy.photo.name for copy in planned(["[1938] Oma/*.jpg"], None)] == ["a.jpg"]
    assert [copy.photo.name for copy in planned(["[1-9] Oma/*.jpg"], None)] == ["b.jpg"]


def test_a_pipe_is_refused_and_does_not_hang(tmp_path: Path):
    os.mkfifo(tmp_path / "x.jpg")
    (reason,) = plan_copies([str(tmp_path / "x.jpg")], None).failed.values()
    assert "pipe" in reason


# Standard input and output


class Standard:
    """A standard stream with the bytes of its buffer."""

    def __init__(self, data: bytes = b"") -> None:
        self.buffer = io.BytesIO(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "GIF"])
def test_standard_input_and_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    data = encoded(Image.fromarray(smooth(20, 30)), kind)
    monkeypatch.setattr(sys, "stdin", Standard(data))
    (copy,) = plan_copies(["-"], None).copies
    assert copy.output == batch.STANDARD
    out = Standard()
    monkeypatch.setattr(sys, "stdout", out)
    colorizer = photo_colorizer.load_colorizer(device="cpu")
    events = list(batch.make_copies([copy], colorizer))
    monkeypatch.undo()
    assert events[-1].failure is None
    (tmp_path / "x").write_bytes(out.buffer.getvalue())
    assert np.abs(colors(tmp_path / "x")).max() > 3
    with Image.open(tmp_path / "x") as image:
        assert image.format == ("PNG" if kind == "GIF" else kind)


def test_a_file_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "stdin", Standard(encoded(Image.fromarray(smooth(20, 30)), "JPEG")))
    assert colorize("-", "-o", tmp_path / "x.png") == 0
    assert counts(capsys.readouterr().out) == [1, 1]
    assert np.abs(colors(tmp_path / "x.png")).max() > 3


# What a copy keeps and says


def test_captions_keywords_and_dates_are_kept(tmp_path: Path):
    iim = b"\x1c\x02\x19\x00\x06family"
    resource = b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(iim)) + iim
    xmp = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
    <rdf:Description rdf:about="" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
    xmlns:tiff="http://ns.adobe.com/tiff/1.0/" photoshop:DateCreated="1938-07-02" tiff:Orientation="6"/>
    </rdf:RDF></x:xmpmeta>"""
    tags = Image.Exif()
    tags[ExifTags.Base.XPTitle] = "Oma".encode("utf-16-le")
    settings = {"extra": b"\xff\xed" + struct.pack(">H", len(resource) + 2) + resource, "xmp": xmp, "exif": tags}
    photo = save(tmp_path / "d.jpg", "L", **settings)
    for output in ("d.jpg", "d.tif", "d.png", "d.webp"):
        assert colorize(photo, "-o", tmp_path / "out" / output) == 0
        picture = read_picture(tmp_path / "out" / output)
        assert b"1938-07-02" in picture.xmp
        assert b"tiff:Orientation" not in picture.xmp
        assert picture.iptc == (iim if output in ("d.jpg", "d.tif") else b"")
        with Image.open(tmp_path / "out" / output) as new:
            assert bytes(new.getexif()[ExifTags.Base.XPTitle])[:6].decode("utf-16-le") == "Oma"


def test_texts_of_a_png_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    texts = PngInfo()
    texts.add_text("Title", "Oma")
    texts.add_itxt("Creation Time", "Sommer 1938, früh")
    photo = save(tmp_path / "t.png", "L", pnginfo=texts)
    assert colorize(photo) == 0
    assert read_picture(tmp_path / "t-colorized.png").texts == {"Title": "Oma", "Creation Time": "Sommer 1938, früh"}
    assert colorize(photo, "-o", tmp_path / "t.jpg") == 0
    assert re.search(r"Creation Time.*left out", capsys.readouterr().out)


def test_a_resolution_is_turned_with_the_pixels_and_never_invented(tmp_path: Path):
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = 6
    for name, settings in {"a.jpg": {"dpi": (200, 100), "exif": tags}, "b.tif": {}, "c.png": {}, "d.jpg": {}}.items():
        save(tmp_path / name, "L", **settings)
    for name, dpi in {"a.jpg": (100, 200), "b.tif": None, "c.png": None, "d.jpg": None}.items():
        assert colorize(tmp_path / name, "-o", tmp_path / "out" / name) == 0
        assert read_picture(tmp_path / "out" / name).dpi == dpi
    with Image.open(tmp_path / "out/b.tif") as new:
        assert 282 not in new.tag_v2


def test_16_bits_that_became_8_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100).save(tmp_path / "deep.png")
    assert colorize(tmp_path / "deep.png") == 0
    assert re.search(r"deep-colorized\.png.*16 bits.*8", capsys.readouterr().out)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif", ".webp"])
def test_every_copy_says_that_its_colors_are_guessed(tmp_path: Path, ending: str):
    photo = save(tmp_path / f"a{ending}")
    assert colorize(photo, "--saturation", "0.5") == 0
    xmp = read_picture(tmp_path / f"a-colorized{ending}").xmp
    assert label.GUESSED.encode() in xmp
    found = label.read_label(xmp)
    assert found is not None
    assert found.photograph == sha256(photo)
    assert found.network == sha256(photo_colorizer.find_run() / "weights.safetensors")
    assert found.options == {"saturation": 0.5, "keep_luminance": True, "compare": False, "hints": []}


# Hints, palettes and other networks


def write_hints(path: Path, *hints: tuple[float, float, str]) -> Path:
    path.write_text(json.dumps({"hints": [{"x": x, "y": y, "color": color} for x, y, color in hints]}))
    return path


def test_hints_color_a_copy_and_stand_in_its_label(tmp_path: Path):
    photo, file = (
        save(tmp_path / "a.png"),
        write_hints(tmp_path / "h.json", (0.9, 0.5, "#00A000"), (0.1, 0.5, "#c02020")),
    )
    assert colorize(photo, "-o", tmp_path / "plain.png") == 0
    assert colorize(photo, "-o", tmp_path / "hinted.png", "--hints", file) == 0
    plain, hinted = colors(tmp_path / "plain.png"), colors(tmp_path / "hinted.png")
    assert hinted[0, 10, 3] > plain[0, 10, 3] + 5, "redder on the left"
    assert hinted[0, 10, 26] < plain[0, 10, 26] - 5, "greener on the right"
    found = label.read_label(read_picture(tmp_path / "hinted.png").xmp)
    assert found is not None
    assert found.options["hints"] == [[0.1, 0.5, "#c02020"], [0.9, 0.5, "#00a000"]]
    # The same hints in another order are the same copy, other hints are not
    write_hints(file, (0.1, 0.5, "#c02020"), (0.9, 0.5, "#00a000"))
    assert [len(one) for one in hinted_plan(photo, tmp_path / "hinted.png", file)] == [1, 0]
    write_hints(file, (0.1, 0.5, "#c02020"))
    assert [len(one) for one in hinted_plan(photo, tmp_path / "hinted.png", file)] == [0, 1]


def hinted_plan(photo: Path, output: Path, file: Path) -> tuple[list[Copy], dict[Copy, str]]:
    """The copies that are done and those that cannot be made."""
    colorizer = replace(photo_colorizer.load_colorizer(device="cpu"), hints=read_hints(file))
    plan = plan_copies([str(photo)], output, colorizer=colorizer)
    return plan.done, plan.failed


def test_hints_are_for_one_photograph(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    photos = [save(tmp_path / name) for name in ("a.png", "b.png")]
    assert colorize(*photos, "--hints", write_hints(tmp_path / "h.json", (0.5, 0.5, "#a0522d"))) == 1
    message = capsys.readouterr().err
    assert "--hints" in message
    assert "h.json" in message
    assert len(list(tmp_path.iterdir())) == 3, "nothing is written"


def test_a_palette_colors_by_lightness_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    photo, reference = save(tmp_path / "a.png"), save(tmp_path / "b.png")
    assert colorize(photo, "--like", reference, "-o", tmp_path / "c.png") == 0
    pixels = torch.from_numpy(pixels_of(reference)).permute(2, 0, 1)
    expected = adjust_lab(fit_look_up_table([pixels_of(reference)])(lightness(pixels)), light=lightness(pixels))
    got = torch.from_numpy(read_picture(tmp_path / "c.png").pixels.copy()).permute(2, 0, 1)
    assert (got.int() - to_bytes(expected).int()).abs().max() <= 1
    found = label.read_label(read_picture(tmp_path / "c.png").xmp)
    assert found is not None
    assert (found.network, found.options["like"]) == ("", sha256(reference))
    gray = save(tmp_path / "gray.png", "L")
    assert colorize(photo, "--like", gray) == 1
    assert str(gray) in capsys.readouterr().err


def pixels_of(path: Path) -> np.ndarray:
    return read_picture(path).pixels.copy()


def test_what_to_expect_is_said_in_the_numbers_of_the_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    photo, said = save(tmp_path / "a.png"), {}
    for name in ("lightweight", "paper", "small"):
        assert colorize(photo, "--model", name, "--overwrite") == 0
        said[name] = capsys.readouterr().out.splitlines()[0]
        found = read_metrics(photo_colorizer.MODELS[name] / "metrics.json")["methods"][NETWORK_TRUE_L]
        assert said[name].startswith(f"{name}:")
        assert f"{found['psnr_of_mse']['value']:.2f} dB" in said[name]
        assert "200 test photographs of bsds500, with" in said[name]
    assert said["lightweight"] != said["paper"]
    assert colorize(photo, "--overwrite") == 0
    assert capsys.readouterr().out.splitlines()[0] == said["lightweight"], "the default"


# With the committed weights


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems count resident memory differently")
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_photograph_is_in_memory_once(orientation: int, tmp_path: Path):
    """In processes of their own; the palette has no layers, whose memory depends on the tile alone."""
    script = (
        "import resource, sys\n"
        "from colorlib import cli\n"
        "assert cli.main(['colorize', sys.argv[1], '--like', sys.argv[2]]) == 0\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    )
    (tmp_path / "like.png").write_bytes(encoded(smooth(60, 60)))
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    sides, peaks = (3400, 5000), []
    for side in sides:
        photo = tmp_path / f"{side}.jpg"
        Image.fromarray(smooth(58, 34)).resize((side, side)).save(photo, exif=tags)
        command = [sys.executable, "-c", script, str(photo), str(tmp_path / "like.png")]
        done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=True)
        peaks.append(int(done.stdout.split()[-1]))
    # Pillow's image, from which the copy is written, takes four bytes a pixel
    assert peaks[1] - peaks[0] < 4.5 * (sides[1] ** 2 - sides[0] ** 2)


@pytest.mark.slow
def test_from_a_shell_with_the_committed_weights(tmp_path: Path):
    (coffee,) = [photo for photo in open_photos("bundled", "test") if photo.name.endswith("coffee.png")]
    ImageOps.grayscale(Image.fromarray(coffee.load())).save(tmp_path / "coffee.png", dpi=(300, 300))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COLORLIB")}
    done = subprocess.run(
        [sys.executable, "-m", "colorlib", "colorize", "coffee.png"],
        cwd=tmp_path, env=clean | {"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert counts(done.stdout) == [1, 1]
    assert "100%" in done.stderr
    assert np.abs(colors(tmp_path / "coffee-colorized.png")).mean() > 3
