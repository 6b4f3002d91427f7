"""Photographs by name: sources, splits, suffixes that resize, reduce and concatenate, and photo sets."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.photo_server import files_in, listed_source, serve
from helpers.pictures import encoded, noise, write_pngs
from PIL import Image

from colorlib.photos.download import PhotosMissingError, UnreachableError
from colorlib.photos.registry import (
    SOURCES,
    base_sources,
    check_photos_name,
    ensure_photos,
    find_source,
    open_photos,
    scored_source,
    split_digests,
)
from colorlib.photos.sources import Folder

# Names


def test_validation_and_test_photographs_are_those_of_the_first_source():
    names = {"bsds500": "bsds500", "imagenet-sample@256": "imagenet-sample@256", "bundled~0.5+bsds500": "bundled"}
    for name, source in (names | {"folder:~/a+b": "folder:~/a+b"}).items():
        assert scored_source(name) == source
    both, first = (open_photos(name, "test").photos for name in ("bundled~0.5+bundled", "bundled"))
    assert [photo.digest for photo in both] == [photo.digest for photo in first]


def test_the_sources_are_those_of_the_readme():
    assert list(SOURCES) == ["bsds500", "bundled", "imagenet-sample", "cifar10", "zhang2016"]
    for name in SOURCES:
        assert find_source(name) is SOURCES[name]
        assert SOURCES[name].terms


@pytest.mark.parametrize("name", ["bsds", "", "folder", "folder:", "torchvision:", "BSDS500"])
def test_an_unknown_name_lists_the_known_ones(name: str):
    with pytest.raises(ValueError, match=re.escape(repr(name))) as error:
        open_photos(name, "train")
    for known in (*SOURCES, "folder:PATH", "torchvision:NAME"):
        assert known in str(error.value)


@pytest.mark.parametrize(("name", "split"), [("bundled", "validation"), ("zhang2016", "train"), ("bsds500", "")])
def test_an_unknown_split_lists_the_known_ones(name: str, split: str):
    with pytest.raises(ValueError, match=f"'{split}'") as error:
        open_photos(name, split)
    for fact in (name, *find_source(name).splits):
        assert re.search(rf"\b{fact}\b", str(error.value))


@pytest.mark.parametrize("name", ["bsds500", "imagenet-sample", "cifar10", "zhang2016"])
def test_missing_photographs_say_how_to_get_them(cache: Path, name: str):
    with pytest.raises(PhotosMissingError, match=f"colorlib data fetch {name}") as error:
        open_photos(name, "test")
    assert "COLORLIB_DATA" in str(error.value)
    assert not cache.exists()


def test_the_home_folder_may_be_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    source = find_source("folder:~/Pictures")
    assert isinstance(source, Folder)
    assert source.path == tmp_path / "Pictures"


def test_max_pixels_reaches_the_files_of_a_folder(tmp_path: Path):
    write_pngs(tmp_path, 12)
    with pytest.raises(ValueError, match=r"\d\.png") as error:
        open_photos(f"folder:{tmp_path}", "train", max_pixels=143).decode()
    assert "12 x 12" in str(error.value)
    assert "--max-pixels 144" in str(error.value)
    assert open_photos(f"folder:{tmp_path}", "train", max_pixels=144).decode()[0].shape == (12, 12, 3)


@pytest.mark.parametrize("name", ["bundled", "bsds500@64", "bsds500~0.5+bundled"])
def test_photos_that_can_be_part_of_a_profile_name(name: str):
    check_photos_name(name)


@pytest.mark.parametrize("name", ["folder:photos", "torchvision:CIFAR10", "nothing"])
def test_photos_that_cannot_be_part_of_a_profile_name_are_refused(name: str):
    with pytest.raises(ValueError, match=rf"{name}.*bsds500"):
        check_photos_name(name)


# Photo sets


def test_at_most_spreads_over_the_split(photographs: Path):
    photos = open_photos("bsds500", "val")
    few = photos.at_most(7)
    assert few.names == [photos.names[index] for index in (0, 14, 28, 42, 57, 71, 85)]
    assert (few.source, few.split, few.split_size) == ("bsds500", "val", 100)
    assert few.at_most(3).split_size == 100
    assert few.digest != photos.digest
    assert photos.at_most(100) is photos


def test_a_photo_set_is_a_sequence_with_a_digest_of_names_and_contents(tmp_path: Path):
    write_pngs(tmp_path, 40)
    photos = open_photos(f"folder:{tmp_path}", "train")
    assert (photos.source, photos.split) == (f"folder:{tmp_path}", "train")
    assert photos[0].name == next(iter(photos)).name
    assert photos[1:3] == (photos[1], photos[2])
    lines = "".join(f"{photo.digest}  {photo.name}\n" for photo in sorted(photos, key=lambda photo: photo.name))
    assert photos.digest == hashlib.sha256(lines.encode()).hexdigest()
    for photo, pixels in zip(photos, photos.decode(), strict=True):
        with Image.open(tmp_path / photo.name) as picture:
            assert np.array_equal(pixels, np.asarray(picture))


# Suffixes


def test_photographs_are_resized_to_a_short_side():
    plain, small = open_photos("bundled", "test"), open_photos("bundled@100", "test")
    assert [photo.name for photo in small] == [photo.name for photo in plain]
    assert {photo.digest for photo in small}.isdisjoint(photo.digest for photo in plain)
    assert small.digest != open_photos("bundled@101", "test").digest
    for one, other in zip(plain.decode(), small.decode(), strict=True):
        assert min(other.shape[:2]) == 100
        assert other.shape[0] / other.shape[1] == pytest.approx(one.shape[0] / one.shape[1], rel=0.01)
        assert other.mean() == pytest.approx(one.mean(), abs=0.5)
    (unchanged, *_), (large, *_) = open_photos("bundled@9999", "test").decode(), plain.decode()
    assert (unchanged == large).all()


@pytest.mark.parametrize("name", ["bundled@", "bundled@0", "bundled@x", "bundled@-5"])
def test_a_side_that_is_no_number_is_refused(name: str):
    with pytest.raises(ValueError, match=rf"{name}\W") as error:
        open_photos(name, "test")
    assert "pixels" in str(error.value)
    assert "bundled@256" in str(error.value)


def test_a_share_of_the_training_photographs_is_a_subset_of_a_larger_share(photographs: Path):
    whole, half, tenth = (open_photos(f"bsds500{share}", "train") for share in ("", "~0.5", "~0.1"))
    assert (len(whole), len(half), len(tenth)) == (200, 100, 20)
    assert set(tenth.names) < set(half.names) < set(whole.names)
    assert half.names == [name for name in whole.names if name in set(half.names)], "the order stays"
    assert len({whole.digest, half.digest, tenth.digest}) == 3
    assert open_photos("bsds500~0.1", "test").digest == open_photos("bsds500", "test").digest
    assert len(open_photos("bundled~0.01", "train")) == 1, "never none"
    small = open_photos("bundled@64~0.4", "train")
    assert [min(pixels.shape[:2]) for pixels in small.decode()] == [64]


def test_concatenated_sources_have_the_validation_and_test_photographs_of_the_first(photographs: Path):
    joined = {split: open_photos("bundled+bsds500~0.1", split) for split in ("train", "val", "test")}
    first = {split: open_photos("bundled", split) for split in ("train", "val", "test")}
    assert len(joined["train"]) == len(first["train"]) + 20
    assert len(set(joined["train"].names)) == len(joined["train"])
    for split in ("val", "test"):
        assert [photo.digest for photo in joined[split]] == [photo.digest for photo in first[split]]
    assert "Arbelaez" in joined["train"].terms
    assert "Middlebury" in joined["train"].terms


def test_a_name_that_stands_twice_counts_twice():
    once, twice = (open_photos(name, "train") for name in ("bundled", "bundled+bundled"))
    assert [photo.digest for photo in twice] == 2 * [photo.digest for photo in once]
    assert len(set(twice.names)) == 2 * len(once)
    assert len(twice.decode()) == 2 * len(once)
    assert len(open_photos("bundled+bundled", "val")) == len(open_photos("bundled", "val"))


@pytest.mark.parametrize("name", ["bundled~0", "bundled~1.5", "bundled~", "bundled~half", "bundled~-1", "bundled~nan"])
def test_an_invalid_share_is_refused(name: str):
    with pytest.raises(ValueError, match=rf"{re.escape(name)}[^\w.]") as error:
        find_source(name)
    assert "bundled~0.25" in str(error.value)
    assert re.search(r"\b0\b.*\b1\b", str(error.value).replace(name, ""))


def test_an_unknown_part_of_a_name_is_refused():
    with pytest.raises(ValueError, match=r"'bundled\+imagenet'"):
        find_source("bundled+imagenet")


def test_base_sources_are_those_whose_files_are_needed():
    made = find_source("bsds500~0.5+imagenet-sample@256+bundled")
    assert base_sources(made) == (SOURCES["bsds500"], SOURCES["imagenet-sample"], SOURCES["bundled"])
    assert base_sources(SOURCES["cifar10"]) == (SOURCES["cifar10"],)


# Verified, or downloaded


def test_digests_of_every_split_and_of_files_in_none(photographs: Path):
    digests = dict(split_digests("zhang2016"))
    assert list(digests) == ["test", "others' results"]
    assert digests["test"] == open_photos("zhang2016", "test").digest
    assert dict(split_digests("bundled")) == {
        split: open_photos("bundled", split).digest for split in ("train", "val", "test")
    }


def test_missing_photographs_are_downloaded_and_present_ones_are_not(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    files = {f"{split}/{i}.png": encoded(noise(8, 8, seed=i)) for i, split in enumerate(("train", "test"))}
    monkeypatch.setitem(SOURCES, "set", listed_source(tmp_path / "checksums", files))
    with serve({f"set/{name}": data for name, data in files.items()}) as site:
        ensure_photos("set@4+bundled")
        assert files_in(cache) - {"decoded"} == set(site.files)
        assert "set" in capsys.readouterr().out
        ensure_photos("set@4+bundled")
        assert capsys.readouterr().out == ""
        assert set(site.requests.values()) == {1}
        (cache / "set/test/1.png").unlink()
        site.behaves = {"set/test/1.png": "gone"}
        with pytest.raises(UnreachableError, match=r"set/test/1\.png"):
            ensure_photos("set")


def test_missing_photographs_without_an_address_are_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "none"))):
        ensure_photos(f"folder:{tmp_path / 'none'}")
