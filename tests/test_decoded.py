"""Decoded photographs on disk: mapped when they are there, made anew when they are not what was written."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pictures import noise
from training_fixtures import make_photos

from colorlib import decoded as module
from colorlib.decoded import decoded, name_of
from colorlib.images import Photo, Pixels
from colorlib.photos import open_photos

SIZES = [(8, 13), (21, 5), (1, 1), (8, 13)]


class Loader:
    """Photographs that count how often they are decoded."""

    def __init__(self, sizes: list[tuple[int, int]] = SIZES) -> None:
        self.loaded = 0
        self.pixels = [noise(*size, seed=number) for number, size in enumerate(sizes)]
        self.photos = [
            Photo(name=str(number), digest=f"{number}", load=lambda number=number: self.load(number))
            for number in range(len(sizes))
        ]

    def load(self, number: int) -> Pixels:
        self.loaded += 1
        return self.pixels[number]


@pytest.fixture
def folder(cache: Path) -> Path:
    return cache / "decoded"


def same(found: list[Pixels], loader: Loader) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(found, loader.pixels, strict=True))


def test_a_second_start_decodes_nothing(folder: Path):
    loader = Loader()
    assert same(decoded(loader.photos), loader)
    assert loader.loaded == len(SIZES)
    assert same(decoded(loader.photos), loader)
    assert loader.loaded == len(SIZES)
    assert [path.name for path in folder.iterdir()] == [name_of(loader.photos)]


def test_what_a_killed_process_left_is_removed_and_what_one_writes_now_is_not(folder: Path):
    for name, age in (("left", module.ABANDONED + 60), ("written", module.ABANDONED - 600)):
        half = folder / f".half-{name}"
        half.mkdir(parents=True)
        (half / "pixels").write_bytes(b"some")
        for path in (half / "pixels", half):
            os.utime(path, (time.time() - age,) * 2)
    loader = Loader()
    decoded(loader.photos)
    assert sorted(path.name for path in folder.iterdir()) == [".half-written", name_of(loader.photos)]


def test_what_is_done_to_a_photograph_stays_in_memory(folder: Path):
    loader = Loader()
    first = decoded(loader.photos)
    first[0][:] = 7
    assert (first[0] == 7).all()
    assert same(decoded(loader.photos), loader)


@pytest.mark.parametrize("damage", ["a byte", "shorter", "longer", "index", "no index", "no pixels"])
def test_what_is_not_as_it_was_written_is_made_anew(folder: Path, damage: str):
    loader = Loader()
    decoded(loader.photos)
    (held,) = folder.iterdir()
    pixels, index = held / "pixels", held / "index.json"
    data = pixels.read_bytes()
    if damage == "a byte":
        pixels.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    elif damage == "shorter":
        pixels.write_bytes(data[:-1])
    elif damage == "longer":
        pixels.write_bytes(data + b"0")
    elif damage == "index":
        index.write_text(json.dumps({"sizes": "none"}))
    elif damage == "no index":
        index.unlink()
    else:
        pixels.unlink()
    assert same(decoded(loader.photos), loader)
    assert loader.loaded == 2 * len(SIZES)
    assert pixels.read_bytes() == data
    assert len(list(folder.iterdir())) == 1


def test_other_photographs_and_other_versions_have_another_name(monkeypatch: pytest.MonkeyPatch):
    loader = Loader()
    names = {name_of(loader.photos), name_of(loader.photos[1:]), name_of(loader.photos[::-1])}
    monkeypatch.setattr(module, "FORMAT", "next")
    names.add(name_of(loader.photos))
    monkeypatch.setattr(module.PIL, "__version__", "99")
    names.add(name_of(loader.photos))
    assert len(names) == 5


def test_a_photograph_that_cannot_be_decoded_is_named_and_nothing_stays(folder: Path):
    loader = Loader()

    def refuse() -> Pixels:
        raise ValueError("b.jpg is damaged")

    bad = Photo(name="b", digest="b", load=refuse)
    with pytest.raises(ValueError, match=r"b\.jpg is damaged"):
        decoded([*loader.photos, bad])
    assert list(folder.iterdir()) == []


def test_a_disk_that_does_not_take_them_is_told_and_nothing_is_lost(cache: Path):
    loader = Loader()
    cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="decoded photographs are not kept, they are decoded at each start: .*cache"):
        found = decoded(loader.photos)
    assert same(found, loader)


def test_no_photographs_are_no_file(folder: Path):
    assert decoded([]) == []
    assert not folder.exists()


@pytest.mark.slow
def test_two_processes_at_once_leave_one_copy(cache: Path, tmp_path: Path):
    make_photos(tmp_path / "photos")
    code = f"from colorlib.photos import open_photos; open_photos('folder:{tmp_path / 'photos'}', 'train').decode()"
    started = [subprocess.Popen([sys.executable, "-W", "error", "-c", code]) for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    (held,) = (cache / "decoded").iterdir()
    assert sorted(path.name for path in held.iterdir()) == ["index.json", "pixels"]


def test_a_folder_decodes_to_the_same_pixels(cache: Path, tmp_path: Path):
    make_photos(tmp_path / "photos")
    photos = open_photos(f"folder:{tmp_path / 'photos'}", "train")
    for _ in range(2):
        for photo, pixels in zip(photos, photos.decode(), strict=True):
            assert np.array_equal(photo.load(), pixels)
