"""Where photographs come from: every source by name, its splits, its checksums, and what is said when they fail."""

import hashlib
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torchvision
from pictures import noise
from PIL import Image

from colorlib import places, sources
from colorlib.derived import origins
from colorlib.files import sha256
from colorlib.keys import split_by_content
from colorlib.photos import SOURCES, find_source, open_photos
from colorlib.places import PhotosMissingError, cache_folder, data_folders, listed_checksums
from colorlib.sources import Bundled, Folder, Listed


def fill(folder: Path, count: int, size: int = 12) -> dict[str, Path]:
    """Write `count` different PNG files: digest -> path."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for i in range(count):
        path = folder / f"{i:03d}.png"
        Image.fromarray(noise(size, size, seed=i)).save(path)
        written[hashlib.sha256(path.read_bytes()).hexdigest()] = path
    return written


# Names


def test_at_most_spreads_over_the_split(photographs: Path):
    photos = open_photos("bsds500", "val")
    few = photos.at_most(7)
    assert few.names == [photos.names[index] for index in (0, 14, 28, 42, 57, 71, 85)]
    assert (few.source, few.split) == ("bsds500", "val")
    assert few.digest != photos.digest
    assert photos.at_most(100) is photos


def test_the_sources_are_those_of_the_readme():
    assert list(SOURCES) == ["bsds500", "bundled", "imagenet-sample", "cifar10", "zhang2016"]
    for name in SOURCES:
        assert find_source(name) is SOURCES[name]
        assert SOURCES[name].terms


@pytest.mark.parametrize("name", ["bsds", "", "folder", "folder:", "torchvision:", "BSDS500"])
def test_an_unknown_name_lists_the_known_ones(name: str):
    with pytest.raises(ValueError, match=r"no photographs are called .* bsds500, bundled, .* folder:PATH, torchvision"):
        open_photos(name, "train")


@pytest.mark.parametrize(("name", "split"), [("bundled", "validation"), ("zhang2016", "train"), ("bsds500", "")])
def test_an_unknown_split_lists_the_known_ones(name: str, split: str):
    with pytest.raises(ValueError, match=f"{name} has no split called '{split}'; it has (train, val, )?test"):
        open_photos(name, split)


def test_the_committed_lists_have_the_published_counts():
    def counts(name: str) -> list[int]:
        source = SOURCES[name]
        assert isinstance(source, Listed)
        return [len(source.names(split)) for split in (*source.splits, None)]

    assert counts("bsds500") == [200, 100, 200, 500]
    assert counts("zhang2016") == [200, 1000]
    *parts, whole = counts("imagenet-sample")
    assert sum(parts) == whole == 800
    assert parts == pytest.approx([640, 80, 80], abs=40)
    assert len(listed_checksums("cifar10")) == 20
    for name in SOURCES:
        listed = listed_checksums(name)
        assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in listed.values())
        assert len(set(listed.values())) == len(listed)


# Bundled


def test_bundled_photographs_are_here_and_verified(cache: Path):
    shapes = {}
    for split in SOURCES["bundled"].splits:
        photos = open_photos("bundled", split)
        for photo, pixels in zip(photos, photos.decode(), strict=True):
            shapes[split, photo.name] = pixels.shape
    assert shapes == {
        ("train", "skimage/astronaut.png"): (512, 512, 3),
        ("train", "skimage/motorcycle_left.png"): (500, 741, 3),
        ("train", "skimage/motorcycle_right.png"): (500, 741, 3),
        ("val", "skimage/chelsea.png"): (300, 451, 3),
        ("test", "matplotlib/grace_hopper.jpg"): (600, 512, 3),
        ("test", "skimage/coffee.png"): (400, 600, 3),
        ("test", "skimage/rocket.jpg"): (427, 640, 3),
    }
    # Nothing was fetched: what lies there was decoded.
    assert [path.name for path in cache.iterdir()] == ["decoded"]


def test_a_bundled_photograph_is_what_scikit_image_shows():
    from skimage import data

    assert np.array_equal(open_photos("bundled", "val")[0].load(), data.chelsea())


def test_a_changed_bundled_photograph_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    changed = tmp_path / "chelsea.png"
    changed.write_bytes(Bundled().path("skimage/chelsea.png").read_bytes() + b"\0")
    monkeypatch.setattr(Bundled, "path", lambda self, name: changed)
    with pytest.raises(ValueError, match=r"chelsea\.png is missing or was changed; reinstall skimage"):
        open_photos("bundled", "val")


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Bundled, "folders", {"skimage": ("no_such_package", "data")})
    with pytest.raises(PhotosMissingError, match=r"skimage/chelsea\.png ships with no_such_package.*pip install"):
        open_photos("bundled", "val")


# folder:PATH


def test_a_folder_is_split_by_content(tmp_path: Path):
    digests = fill(tmp_path / "mine", 60)
    found = {}
    for split in ("train", "val", "test"):
        photos = open_photos(f"folder:{tmp_path / 'mine'}", split)
        assert [photo.name for photo in photos] == sorted(photo.name for photo in photos)
        for photo in photos:
            assert photo.digest == sha256(tmp_path / "mine" / photo.name)
            assert split_by_content(photo.digest) == split
            found[photo.digest] = photo.name
    assert found == {digest: path.name for digest, path in digests.items()}


def test_the_split_stays_when_files_are_renamed_moved_or_added(tmp_path: Path):
    digests = fill(tmp_path, 40)
    before = {photo.digest for photo in open_photos(f"folder:{tmp_path}", "train")}
    for i, path in enumerate(digests.values()):
        target = tmp_path / f"moved {i % 3}" / f"{1000 - i}.PNG"
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    assert {photo.digest for photo in open_photos(f"folder:{tmp_path}", "train")} == before
    fill(tmp_path / "more", 50)
    assert {photo.digest for photo in open_photos(f"folder:{tmp_path}", "train")} > before


def test_copies_of_a_photograph_count_once(tmp_path: Path):
    digests = fill(tmp_path, 30)
    whole = sum(len(open_photos(f"folder:{tmp_path}", split)) for split in ("train", "val", "test"))
    for path in digests.values():
        shutil.copy(path, tmp_path / f"copy of {path.name}")
    (tmp_path / "below").mkdir()
    shutil.copy(tmp_path / "000.png", tmp_path / "below" / "x.png")
    assert sum(len(open_photos(f"folder:{tmp_path}", split)) for split in ("train", "val", "test")) == whole == 30


def test_only_image_files_are_taken_whatever_the_case_of_their_ending(tmp_path: Path):
    fill(tmp_path, 30)
    for path in sorted(tmp_path.glob("*.png"))[::2]:
        path.rename(path.with_suffix(".PNG"))
    (tmp_path / "notes.txt").write_text("not a photograph")
    (tmp_path / "folder.png").mkdir()
    names = {photo.name for split in ("train", "val", "test") for photo in open_photos(f"folder:{tmp_path}", split)}
    assert len(names) == 30
    assert {Path(name).suffix for name in names} == {".png", ".PNG"}


def test_the_home_folder_may_be_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    source = find_source("folder:~/Pictures")
    assert isinstance(source, Folder)
    assert source.path == tmp_path / "Pictures"


def test_an_empty_folder_says_so(tmp_path: Path):
    with pytest.raises(
        ValueError, match=r"holds 0 different photographs, none of them for the train split .* add more"
    ):
        open_photos(f"folder:{tmp_path}", "train")


def test_a_folder_without_a_photograph_for_a_split_says_so(tmp_path: Path):
    (digest,) = fill(tmp_path, 1)
    missing = "test" if split_by_content(digest) == "train" else "train"
    with pytest.raises(ValueError, match=f"holds 1 different photographs, none of them for the {missing} split"):
        open_photos(f"folder:{tmp_path}", missing)


def test_a_path_that_is_no_folder_is_named(tmp_path: Path):
    (tmp_path / "file.png").write_bytes(b"")
    for name in ("gone", "file.png"):
        with pytest.raises(ValueError, match=f"{name} is not a folder; photos=folder:PATH takes a folder"):
            open_photos(f"folder:{tmp_path / name}", "train")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fill(tmp_path, 3)

    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(sources, "sha256", refuse)
    with pytest.raises(ValueError, match=r"00\d\.png cannot be read \(Permission denied\); check its permissions"):
        open_photos(f"folder:{tmp_path}", "train")


def test_a_file_that_is_no_picture_is_named_when_it_is_decoded(tmp_path: Path):
    path = tmp_path / "letter.jpg"
    for i in range(100):  # a content whose hash puts it into the training split
        path.write_text(f"Dear diary, this is letter {i}")
        if split_by_content(sha256(path)) == "train":
            break
    with pytest.raises(ValueError, match=r"letter\.jpg is not an image that can be read; remove it"):
        open_photos(f"folder:{tmp_path}", "train").decode()


def test_max_pixels_reaches_the_files_of_a_folder(tmp_path: Path):
    fill(tmp_path, 12)
    with pytest.raises(ValueError, match=r"\.png has 12 x 12 .* --max-pixels 144"):
        open_photos(f"folder:{tmp_path}", "train", max_pixels=143).decode()
    assert open_photos(f"folder:{tmp_path}", "train", max_pixels=144).decode()[0].shape == (12, 12, 3)


def test_a_photo_set_is_a_sequence_with_a_digest_of_names_and_contents(tmp_path: Path):
    fill(tmp_path, 40)
    photos = open_photos(f"folder:{tmp_path}", "train")
    assert (photos.source, photos.split) == (f"folder:{tmp_path}", "train")
    assert photos[0].name == next(iter(photos)).name
    assert photos[1:3] == (photos[1], photos[2])
    lines = "".join(f"{photo.digest}  {photo.name}\n" for photo in sorted(photos, key=lambda photo: photo.name))
    assert photos.digest == hashlib.sha256(lines.encode()).hexdigest()
    for photo, pixels in zip(photos, photos.decode(), strict=True):
        with Image.open(tmp_path / photo.name) as picture:
            assert np.array_equal(pixels, np.asarray(picture))


# Listed sources, with a list of our own


@pytest.fixture
def listed(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Listed:
    """Six files in `tmp_path/data/set`, of which the committed list is right, and COLORLIB_DATA set to them."""
    folder = tmp_path / "data" / "set"
    digests = fill(folder / "train", 4) | fill(folder / "test", 2, size=13)
    lists = tmp_path / "checksums"
    lists.mkdir()
    lines = [f"{digest}  {path.relative_to(folder).as_posix()}\n" for digest, path in digests.items()]
    (lists / "set.sha256").write_text("".join(lines))
    monkeypatch.setattr(places, "CHECKSUMS", lists)
    monkeypatch.setenv("COLORLIB_DATA", str(tmp_path / "data"))
    return Listed(
        name="set",
        folder="set",
        url="http://127.0.0.1:9/",
        split_of=lambda name, digest: name.split("/")[0],
        terms="none",
        splits=("train", "test"),
    )


def test_listed_files_are_found_and_verified(listed: Listed):
    assert listed.wrong() == {}
    assert [photo.name for photo in listed.photos("train")] == [f"train/00{i}.png" for i in range(4)]
    assert [photo.load().shape for photo in listed.photos("test")] == [(13, 13, 3)] * 2


def test_the_cache_is_looked_into_after_the_given_folder(listed: Listed, cache: Path, tmp_path: Path):
    shutil.copytree(tmp_path / "data", cache)
    (tmp_path / "data" / "set" / "train" / "001.png").unlink()
    assert data_folders() == [tmp_path / "data", cache]
    assert listed.path("train/000.png") == tmp_path / "data" / "set" / "train" / "000.png"
    assert listed.path("train/001.png") == cache / "set" / "train" / "001.png"
    assert listed.wrong() == {}


def test_a_changed_file_is_named(listed: Listed, tmp_path: Path):
    path = tmp_path / "data" / "set" / "train" / "002.png"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    assert list(listed.wrong()) == ["train/002.png"]
    with pytest.raises(
        ValueError, match=r"train.002\.png was changed or damaged.*delete it and run .*fetch set"
    ) as error:
        listed.photos("train")
    assert not isinstance(error.value, PhotosMissingError)
    assert len(listed.photos("test")) == 2


def test_a_missing_file_is_named(listed: Listed, tmp_path: Path):
    (tmp_path / "data" / "set" / "train" / "003.png").unlink()
    with pytest.raises(
        PhotosMissingError, match=r"train.003\.png is missing \(1 of 4 files\); run .*fetch set. or set"
    ):
        listed.photos("train")


def test_changed_comes_before_missing(listed: Listed, tmp_path: Path):
    (tmp_path / "data" / "set" / "train" / "000.png").unlink()
    (tmp_path / "data" / "set" / "train" / "003.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"003\.png was changed") as error:
        listed.photos("train")
    assert not isinstance(error.value, PhotosMissingError)


@pytest.mark.parametrize("name", ["bsds500", "imagenet-sample", "cifar10", "zhang2016"])
def test_photographs_that_are_not_here_are_said_to_be_missing(cache: Path, name: str):
    with pytest.raises(PhotosMissingError, match=f"is missing.* run `colorlib data fetch {name}`.* set COLORLIB_DATA"):
        open_photos(name, "test")
    assert not cache.exists()


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("COLORLIB_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "colorlib"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "colorlib"
    monkeypatch.setenv("COLORLIB_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


# torchvision:NAME


class Fake(torchvision.datasets.FakeData):
    """torchvision's own FakeData, fewer and smaller."""

    def __init__(self) -> None:
        super().__init__(size=60, image_size=(3, 14, 12))


def test_a_data_set_without_splits_is_split_by_content(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torchvision.datasets, "FakeData", Fake)
    parts = {split: open_photos("torchvision:FakeData", split) for split in ("train", "val", "test")}
    names = [photo.name for photos in parts.values() for photo in photos]
    assert sorted(names) == [f"FakeData/{i:06d}" for i in range(60)]
    for split, photos in parts.items():
        assert all(split_by_content(photo.digest) == split for photo in photos)
    photo = parts["train"][1]
    expected = np.asarray(Fake()[int(photo.name[-6:])][0])
    assert np.array_equal(photo.load(), expected)
    assert expected.shape == (14, 12, 3)


def data_set(parameter: str | None, own: tuple[str, ...] = ()) -> type:
    """A data set of 50 pictures a split with torchvision's `train=` or `split=` parameter."""

    class Small(torchvision.datasets.VisionDataset):
        def __init__(self, root: Path, split: str) -> None:
            super().__init__(root)
            if split not in own:
                raise ValueError(f"Unknown value '{split}' for argument split")
            self.first = 100 * own.index(split)

        def __len__(self) -> int:
            return 50

        def __getitem__(self, index: int) -> tuple[Image.Image, int]:
            return Image.fromarray(noise(4, 4, seed=self.first + index)).convert("L"), 0

    if parameter == "split":

        class BySplit(Small):
            def __init__(self, root: Path, split: str = "train", download: bool = False) -> None:
                super().__init__(root, split)

        return BySplit

    class ByTrain(Small):
        def __init__(self, root: Path, train: bool = True, download: bool = False) -> None:
            super().__init__(root, "train" if train else "test")

    return ByTrain


@pytest.mark.parametrize(
    ("kind", "has_val"),
    [
        (data_set("split", ("train", "val", "test")), True),
        (data_set("split", ("train", "test")), False),
        (data_set("train", ("train", "test")), False),
    ],
)
def test_a_data_sets_own_splits_are_used(cache: Path, monkeypatch: pytest.MonkeyPatch, kind: type, has_val: bool):
    monkeypatch.setattr(torchvision.datasets, "Flowers102", kind)
    train, val, test = (open_photos("torchvision:Flowers102", split) for split in ("train", "val", "test"))
    assert len(test) == 50
    assert test[0].load().shape == (4, 4, 3)
    digests = [{photo.digest for photo in part} for part in (train, val, test)]
    assert not digests[0] & digests[1]
    assert not (digests[0] | digests[1]) & digests[2]
    if has_val:
        assert len(train) == len(val) == 50
    else:
        assert len(train) + len(val) == 50
        assert 1 <= len(val) <= 12


@pytest.mark.parametrize("name", ["NoSuchThing", "VISION", "utils", "wrap_dataset_for_transforms_v2"])
def test_an_unknown_data_set_is_named(cache: Path, name: str):
    with pytest.raises(ValueError, match=f"torchvision has no data set called '{name}'; try CIFAR10"):
        open_photos(f"torchvision:{name}", "train")


def test_a_data_set_that_cannot_be_opened_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch):
    class Needy(torchvision.datasets.VisionDataset):
        def __init__(self, root: Path) -> None:
            raise ModuleNotFoundError("scipy is needed")

    monkeypatch.setattr(torchvision.datasets, "Flowers102", Needy)
    with pytest.raises(ValueError, match=r"torchvision:Flowers102 cannot be opened \(scipy is needed\)"):
        open_photos("torchvision:Flowers102", "train")


def test_a_data_set_of_something_else_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch):
    class Numbers(torchvision.datasets.VisionDataset):
        def __init__(self) -> None:
            super().__init__()

        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> tuple[int, int]:
            return index, index

    monkeypatch.setattr(torchvision.datasets, "MNIST", Numbers)
    with pytest.raises(ValueError, match="torchvision:MNIST does not consist of pictures"):
        open_photos("torchvision:MNIST", "train")


# The real ones


@pytest.fixture
def linked(photographs: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A COLORLIB_DATA whose bsds500 links to the real files one by one, so that a test can change some."""
    folder = tmp_path / "linked"
    for path in (photographs / "bsds500").rglob("*.jpg"):
        target = folder / path.relative_to(photographs)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path.resolve())
    monkeypatch.setenv("COLORLIB_DATA", str(folder))
    return folder


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_the_real_bsds500_with_one_changed_and_one_missing_file(linked: Path):
    assert [len(open_photos("bsds500", split)) for split in ("train", "val", "test")] == [200, 100, 200]
    (linked / "bsds500" / "val" / "101085.jpg").unlink()
    with pytest.raises(PhotosMissingError, match=r"val.101085\.jpg is missing \(1 of 100 files\)"):
        open_photos("bsds500", "val")
    changed = linked / "bsds500" / "test" / "100007.jpg"
    data = changed.read_bytes()
    changed.unlink()
    changed.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"test.100007\.jpg was changed or damaged"):
        open_photos("bsds500", "test")
    assert len(open_photos("bsds500", "train")) == 200


@pytest.mark.slow
def test_all_of_bsds500_is_481_by_321(photographs: Path):
    for split in ("train", "val", "test"):
        for pixels in open_photos("bsds500", split).decode():
            assert sorted(pixels.shape) == [3, 321, 481]
            assert pixels.dtype == np.uint8


@pytest.mark.slow
@pytest.mark.parametrize("name", ["imagenet-sample", "zhang2016"])
def test_the_other_real_files_are_as_listed(photographs: Path, name: str):
    source = SOURCES[name]
    assert isinstance(source, Listed)
    assert source.wrong() == {}
    digests = [{photo.digest for photo in open_photos(name, split)} for split in source.splits]
    assert len(set.union(*digests)) == sum(map(len, digests)) == len(source.names()) - 800 * (name == "zhang2016")


@pytest.mark.slow
def test_the_real_cifar10_is_as_listed(photographs: Path):
    assert [len(open_photos("cifar10", split)) for split in ("test",)] == [10_000]
    train, val = (open_photos("cifar10", split) for split in ("train", "val"))
    assert len(train) + len(val) == 50_000
    assert len(val) == pytest.approx(5000, abs=300)
    assert val[17].load().shape == (32, 32, 3)


def test_photographs_can_be_had_shrunk():
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
    with pytest.raises(ValueError, match=f"{name}: write the short side in pixels after the @"):
        open_photos(name, "test")


# A share of the photographs, and several sources


def test_a_share_of_the_training_photographs_is_a_part_of_a_larger_share(photographs: Path):
    whole, half, tenth = (open_photos(f"bsds500{share}", "train") for share in ("", "~0.5", "~0.1"))
    assert (len(whole), len(half), len(tenth)) == (200, 100, 20)
    assert set(tenth.names) < set(half.names) < set(whole.names)
    assert half.names == [name for name in whole.names if name in set(half.names)], "the order stays"
    assert len({whole.digest, half.digest, tenth.digest}) == 3
    assert open_photos("bsds500~0.1", "test").digest == open_photos("bsds500", "test").digest
    assert len(open_photos("bundled~0.01", "train")) == 1, "never none"
    small = open_photos("bundled@64~0.4", "train")
    assert [min(pixels.shape[:2]) for pixels in small.decode()] == [64]


def test_joined_sources_train_together_and_are_judged_on_the_first(photographs: Path):
    joined = {split: open_photos("bundled+bsds500~0.1", split) for split in ("train", "val", "test")}
    first = {split: open_photos("bundled", split) for split in ("train", "val", "test")}
    assert len(joined["train"]) == len(first["train"]) + 20
    assert len(set(joined["train"].names)) == len(joined["train"])
    for split in ("val", "test"):
        assert [photo.digest for photo in joined[split]] == [photo.digest for photo in first[split]]
    assert "Arbelaez" in joined["train"].terms
    assert "Middlebury" in joined["train"].terms


@pytest.mark.parametrize("name", ["bundled~0", "bundled~1.5", "bundled~", "bundled~half", "bundled~-1", "bundled~nan"])
def test_a_share_that_is_none_is_refused(name: str):
    with pytest.raises(ValueError, match=re.escape(f"{name}: write a share above 0 and up to 1 after the ~")):
        find_source(name)


def test_a_joined_source_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"no photographs are called 'bundled\+imagenet'"):
        find_source("bundled+imagenet")


def test_what_photographs_are_made_of_is_known():
    made = find_source("bsds500~0.5+imagenet-sample@256+bundled")
    assert origins(made) == (SOURCES["bsds500"], SOURCES["imagenet-sample"], SOURCES["bundled"])
    assert origins(SOURCES["cifar10"]) == (SOURCES["cifar10"],)
