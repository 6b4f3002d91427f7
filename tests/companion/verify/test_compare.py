"""Comparisons of files: numbers by their size, text exactly, pictures by their pixels."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorlib.companion.verify.compare import Check, Outcome, compare_files, differences


def compare_texts(folder: Path, one: str, other: str, *, suffix: str = ".csv") -> Check:
    first, second = folder / f"one{suffix}", folder / f"other{suffix}"
    first.write_text(one)
    second.write_text(other)
    return compare_files("it", "rebuilt", first, second)


def test_equal_bytes_pass(tmp_path: Path):
    for suffix in (".csv", ".json", ".md", ".png", ".svg"):
        assert compare_texts(tmp_path, "x", "x", suffix=suffix).outcome == Outcome.PASSED


@pytest.mark.parametrize("other", ["1.0000000000001", "1.00", "1.001"])
def test_numbers_must_have_equal_bytes(tmp_path: Path, other: str):
    assert compare_texts(tmp_path, "a,b\nx,1.0\n", f"a,b\nx,{other}\n").outcome == Outcome.DIFFERS
    assert compare_texts(tmp_path, '{"a": [1.0]}', f'{{"a": [{other}]}}', suffix=".json").outcome == Outcome.DIFFERS


def test_the_place_of_a_difference_is_named(tmp_path: Path):
    number, text = (
        compare_texts(tmp_path, "a,b\nx,1.0\n", other).detail for other in ("a,b\nx,1.001\n", "a,b\ny,1.0\n")
    )
    assert re.search(r"\brow 1\b.*\bb\b.*\b1\.0\b.*\b1\.001\b", number)
    assert re.search(r"\brow 1\b.*\ba\b.*'x'.*'y'", text)
    lines = compare_texts(tmp_path, "one\ntwo\n", "one\n2\n", suffix=".md").detail
    assert re.search(r"\bline 2\b.*'two'.*'2'", lines)
    drawn = compare_texts(tmp_path, "M 1.0 2.0\nL 3.0 4.0\n", "M 1.0 2.0\nL 3.0 4.000001\n", suffix=".svg")
    assert drawn.outcome == Outcome.DIFFERS
    assert re.search(r"\bline 2\b.*\b4\.0\b.*\b4\.000001\b", drawn.detail)
    longer = compare_texts(tmp_path, "one\n", "one\ntwo\n", suffix=".md").detail
    assert re.findall(r"\d", longer) == ["1", "2"]


@pytest.mark.parametrize(
    ("one", "other", "suffix"),
    [("a\n1\n", "a\n1\n2\n", ".csv"), ('{"a": 1}', '{"a": null}', ".json"), ('{"a": 1}', '{"b": 1}', ".json")],
)
def test_another_structure_differs(tmp_path: Path, one: str, other: str, suffix: str):
    assert compare_texts(tmp_path, one, other, suffix=suffix).outcome == Outcome.DIFFERS


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    check = compare_texts(tmp_path, "{", "{}", suffix=".json")
    assert check.outcome == Outcome.DIFFERS
    assert "one.json" in check.detail
    assert "other.json" not in check.detail


def test_a_missing_file_differs(tmp_path: Path):
    (tmp_path / "file.csv").write_text("a\n1\n")
    for pair in ((tmp_path / "file.csv", tmp_path / "none"), (tmp_path / "none", tmp_path / "file.csv")):
        assert compare_files("it", "rebuilt", *pair).outcome == Outcome.DIFFERS


def test_infinite_numbers_are_no_small_difference():
    assert max(differences([float("inf")], [1.0]))[0] == float("inf")
    assert list(differences(["inf"], ["inf"])) == []


def test_a_mark_in_a_large_picture_differs(tmp_path: Path):
    pixels = np.full((1000, 1000, 3), 255, dtype=np.uint8)
    marked = pixels.copy()
    marked[500:509, 300:310] = 0  # less than a thousandth of the pixels, as a digit has
    for name, picture in (("plain.png", pixels), ("marked.png", marked)):
        Image.fromarray(picture).save(tmp_path / name)
    found = compare_files("it", "rebuilt", tmp_path / "plain.png", tmp_path / "marked.png")
    assert found.outcome == Outcome.DIFFERS


def test_pictures_are_compared_by_their_pixels(tmp_path: Path):
    def saved(name: str, pixels: np.ndarray, level: int = 9) -> Path:
        Image.fromarray(pixels).save(tmp_path / name, compress_level=level)
        return tmp_path / name

    plain = np.full((100, 100, 3), 120, dtype=np.uint8)
    edge, blot, faint = plain.copy(), plain.copy(), plain.copy()
    edge[:, 50] += 16
    blot[:4, :4] = 200
    faint[:3, :3] = 200
    first = saved("first.png", plain)
    cases = ((plain, Outcome.PASSED), (edge, Outcome.PASSED), (faint, Outcome.PASSED), (blot, Outcome.DIFFERS))
    for other, outcome in cases:
        found = compare_files("it", "rebuilt", first, saved("other.png", other, 0))
        assert found.outcome == outcome
        assert (found.pictures is not None) == (outcome == Outcome.DIFFERS)
    smaller = saved("smaller.png", plain[:50])
    sizes = compare_files("it", "rebuilt", first, smaller).detail
    assert re.findall(r"\d+", sizes) == ["100", "100", "100", "50"]
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    broken = compare_files("it", "rebuilt", first, tmp_path / "broken.png")
    assert broken.outcome == Outcome.DIFFERS
