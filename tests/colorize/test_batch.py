"""`colorlib colorize`: a folder of awkward files, output names, existing outputs, errors."""

import errno
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import strong
from helpers.pictures import smooth
from PIL import Image, ImageOps

from colorlib import cli
from colorlib.color import lightness, rgb_to_lab
from colorlib.colorize import batch
from colorlib.colorize import colorizer as photo_colorizer
from colorlib.colorize.batch import Copy, plan_copies
from colorlib.colorize.image_file import Picture, read_picture
from colorlib.colorizers import Colorizer
from colorlib.model import NETWORKS
from colorlib.photos.registry import open_photos
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
    return [int(number) for number in re.findall(r"\d+", text.splitlines()[-1])]


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
    assert counts(capsys.readouterr().out) == [0, 0]
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


# With the committed weights


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
