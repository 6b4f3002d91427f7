"""Decoded photographs on disk: mapped if they are there, decoded again if they are damaged."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.pictures import noise
from helpers.training import make_photos
from PIL import Image

from colorlib.files import sha256
from colorlib.photos.cache import ABANDONED, cache_key, decode_cached
from colorlib.photos.decode import Photo, Pixels
from colorlib.photos.registry import open_photos
from colorlib.rng import split_by_content

SIZES = [(8, 13), (21, 5), (1, 1), (8, 13)]


class Loader:
    """Photographs of `sizes`, and how often they were decoded."""

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
    assert same(decode_cached(loader.photos), loader)
    assert loader.loaded == len(SIZES)
    assert same(decode_cached(loader.photos), loader)
    assert loader.loaded == len(SIZES)
    assert [path.name for path in folder.iterdir()] == [cache_key(loader.photos)]


def test_a_killed_processs_half_written_folder_is_removed_and_a_recent_one_is_not(folder: Path):
    for name, age in (("left", ABANDONED + 60), ("written", ABANDONED - 600)):
        half = folder / f".half-{name}"
        half.mkdir(parents=True)
        (half / "pixels").write_bytes(b"some")
        for path in (half / "pixels", half):
            os.utime(path, (time.time() - age,) * 2)
    loader = Loader()
    decode_cached(loader.photos)
    assert sorted(path.name for path in folder.iterdir()) == [".half-written", cache_key(loader.photos)]


def test_changes_to_a_photograph_stay_in_memory(folder: Path):
    loader = Loader()
    first = decode_cached(loader.photos)
    first[0][:] = 7
    assert (first[0] == 7).all()
    assert same(decode_cached(loader.photos), loader)


@pytest.mark.parametrize("damage", ["a byte", "shorter", "longer", "index", "no index", "no pixels"])
def test_damaged_files_are_decoded_again(folder: Path, damage: str):
    loader = Loader()
    decode_cached(loader.photos)
    (entry,) = folder.iterdir()
    pixels, index = entry / "pixels", entry / "index.json"
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
    assert same(decode_cached(loader.photos), loader)
    assert loader.loaded == 2 * len(SIZES)
    assert pixels.read_bytes() == data
    assert len(list(folder.iterdir())) == 1


def test_other_photographs_orders_and_versions_have_another_key():
    loader = Loader()
    names = {cache_key(loader.photos), cache_key(loader.photos[1:]), cache_key(loader.photos[::-1])}
    names |= {cache_key(loader.photos, layout="next"), cache_key(loader.photos, decoder="99")}
    assert len(names) == 5


def test_a_photograph_that_cannot_be_decoded_is_named_and_nothing_is_written(folder: Path):
    loader = Loader()

    def refuse() -> Pixels:
        raise ValueError("b.jpg is damaged")

    bad = Photo(name="b", digest="b", load=refuse)
    with pytest.raises(ValueError, match=r"b\.jpg is damaged"):
        decode_cached([*loader.photos, bad])
    assert list(folder.iterdir()) == []


def test_a_disk_that_cannot_be_written_gives_a_warning_and_all_pixels(cache: Path):
    loader = Loader()
    cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match=re.escape(str(cache))):
        found = decode_cached(loader.photos)
    assert same(found, loader)


def test_no_photographs_write_no_file(folder: Path):
    assert decode_cached([]) == []
    assert not folder.exists()


@pytest.mark.slow
def test_three_processes_at_once_leave_one_copy(cache: Path, tmp_path: Path):
    make_photos(tmp_path / "photos")
    name = f"folder:{tmp_path / 'photos'}"
    code = f"from colorlib.photos.registry import open_photos; open_photos({name!r}, 'train').decode()"
    started = [subprocess.Popen([sys.executable, "-W", "error", "-c", code]) for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    (entry,) = (cache / "decoded").iterdir()
    assert sorted(path.name for path in entry.iterdir()) == ["index.json", "pixels"]


def test_a_folder_decodes_to_the_same_pixels(cache: Path, tmp_path: Path):
    make_photos(tmp_path / "photos")
    photos = open_photos(f"folder:{tmp_path / 'photos'}", "train")
    for _ in range(2):
        for photo, pixels in zip(photos, photos.decode(), strict=True):
            assert np.array_equal(photo.load(), pixels)


def test_a_photograph_changed_between_its_digest_and_its_decoding_reaches_no_cache(cache: Path, tmp_path: Path):
    path = tmp_path / "photos" / "one.png"
    path.parent.mkdir()
    for number in range(100):
        Image.fromarray(np.full((8, 8, 3), number, dtype=np.uint8)).save(path)
        if split_by_content(sha256(path)) == "train":
            break
    whole, before = path.read_bytes(), open_photos(f"folder:{path.parent}", "train")
    Image.fromarray(np.full((8, 8, 3), 255, dtype=np.uint8)).save(path)
    with pytest.raises(ValueError, match=r"one\.png.*SHA-256"):
        before.decode()
    path.write_bytes(whole)
    (pixels,) = open_photos(f"folder:{path.parent}", "train").decode()
    assert int(pixels.max()) == number
