"""Sources of photographs: found, verified, split and downloaded; errors name the file and the fix."""

import gzip
import hashlib
import importlib.util
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torchvision
from helpers.photo_server import Site, files_in, listed_source, serve
from helpers.pictures import encoded, noise, write_pngs
from PIL import Image

from colorlib.files import sha256, sha256_of_names
from colorlib.photos import sources
from colorlib.photos.download import PhotosMissingError
from colorlib.photos.registry import SOURCES, open_photos
from colorlib.photos.sources import Bundled, Cifar10, Listed
from colorlib.rng import split_by_content

# Listed: files with a checksum list


@pytest.fixture
def listed(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Listed:
    """A source of six files in `tmp_path/data/set`, as listed, with COLORLIB_DATA set to `tmp_path/data`."""
    folder = tmp_path / "data" / "set"
    written = [*write_pngs(folder / "train", 4).values(), *write_pngs(folder / "test", 2, size=13).values()]
    monkeypatch.setenv("COLORLIB_DATA", str(tmp_path / "data"))
    return listed_source(
        tmp_path / "checksums", {path.relative_to(folder).as_posix(): path.read_bytes() for path in written}
    )


def test_listed_files_are_found_and_verified(listed: Listed):
    assert listed.problems() == {}
    assert [photo.name for photo in listed.photos("train")] == [f"train/00{i}.png" for i in range(4)]
    assert [photo.load().shape for photo in listed.photos("test")] == [(13, 13, 3)] * 2


def test_files_in_colorlib_data_are_used_before_the_cache(listed: Listed, cache: Path, tmp_path: Path):
    shutil.copytree(tmp_path / "data", cache)
    (tmp_path / "data" / "set" / "train" / "001.png").unlink()
    assert listed.path("train/000.png") == tmp_path / "data" / "set" / "train" / "000.png"
    assert listed.path("train/001.png") == cache / "set" / "train" / "001.png"
    assert listed.problems() == {}


def test_a_changed_file_is_named(listed: Listed, tmp_path: Path):
    path = tmp_path / "data" / "set" / "train" / "002.png"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    assert list(listed.problems()) == ["train/002.png"]
    with pytest.raises(ValueError, match=r"train.002\.png") as error:
        listed.photos("train")
    for fact in ("SHA-256", "delete", "colorlib data fetch set"):
        assert fact in str(error.value)
    assert not isinstance(error.value, PhotosMissingError)
    assert len(listed.photos("test")) == 2


def test_a_missing_file_is_named(listed: Listed, tmp_path: Path):
    (tmp_path / "data" / "set" / "train" / "003.png").unlink()
    with pytest.raises(PhotosMissingError, match=r"train.003\.png") as error:
        listed.photos("train")
    for fact in ("1 of 4", "colorlib data fetch set", "COLORLIB_DATA"):
        assert fact in str(error.value)


def test_changed_comes_before_missing(listed: Listed, tmp_path: Path):
    (tmp_path / "data" / "set" / "train" / "000.png").unlink()
    (tmp_path / "data" / "set" / "train" / "003.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"train.003\.png") as error:
        listed.photos("train")
    assert not isinstance(error.value, PhotosMissingError)


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


# Listed: downloads

NAMES = [f"train/{i:02d}.png" for i in range(9)] + [f"test/{i:02d}.png" for i in range(3)]


@pytest.fixture
def site(cache: Path) -> Iterator[Site]:
    """A server, set as the mirror, that holds the twelve files of the source `set`."""
    with serve({f"set/{name}": encoded(noise(16, 16, seed=i)) for i, name in enumerate(NAMES)}) as site:
        yield site


@pytest.fixture
def source(site: Site, tmp_path: Path) -> Listed:
    """The source `set`, whose checksum list names the server's twelve files."""
    return listed_source(tmp_path / "checksums", {name: site.files[f"set/{name}"] for name in NAMES})


def all_are_whole(cache: Path, site: Site) -> bool:
    return all((cache / name).read_bytes() == site.files.get(name) for name in files_in(cache))


def test_a_fetch_brings_every_file_and_names_it(source: Listed, site: Site, cache: Path):
    assert sorted(source.fetch()) == sorted(NAMES)
    assert files_in(cache) == {f"set/{name}" for name in NAMES}
    assert all_are_whole(cache, site)
    assert source.problems() == {}
    assert [photo.load().shape for photo in source.photos("test")] == [(16, 16, 3)] * 3


def test_a_second_fetch_requests_nothing(source: Listed, site: Site):
    list(source.fetch())
    site.requests.clear()
    assert sorted(source.fetch()) == sorted(NAMES)
    assert not site.requests


def test_a_second_fetch_takes_what_is_missing_or_damaged(source: Listed, site: Site, cache: Path):
    list(source.fetch())
    site.requests.clear()
    (cache / "set" / NAMES[1]).unlink()
    (cache / "set" / NAMES[10]).write_bytes(b"damaged")
    assert sorted(source.fetch()) == sorted(NAMES)
    assert site.requests == {f"set/{NAMES[1]}": 1, f"set/{NAMES[10]}": 1}
    assert source.problems() == {}


def test_files_in_colorlib_data_are_not_downloaded(
    source: Listed, site: Site, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    here = tmp_path / "data" / "set" / NAMES[0]
    here.parent.mkdir(parents=True)
    here.write_bytes(site.files[f"set/{NAMES[0]}"])
    monkeypatch.setenv("COLORLIB_DATA", str(tmp_path / "data"))
    assert sorted(source.fetch()) == sorted(NAMES)
    assert site.requests == {f"set/{name}": 1 for name in NAMES[1:]}
    assert source.path(NAMES[0]) == here


@pytest.mark.parametrize(("behavior", "message"), [("cut", "again"), ("gone", r"\b404\b"), ("wrong", "SHA-256")])
def test_a_failed_fetch_leaves_whole_files_and_continues_where_it_stopped(
    source: Listed, site: Site, cache: Path, behavior: str, message: str
):
    bad = f"set/{NAMES[4]}"
    site.behaves = {bad: behavior}
    with pytest.raises(ValueError, match=rf"{site.address}/{bad}\b.*{message}"):
        list(source.fetch())
    complete = files_in(cache)
    assert bad not in complete
    assert complete, "files downloaded before it are kept"
    assert all_are_whole(cache, site)
    assert NAMES[4] in source.problems()
    site.behaves.clear()
    site.requests.clear()
    assert sorted(source.fetch()) == sorted(NAMES)
    assert site.requests == {f"set/{name}": 1 for name in NAMES if f"set/{name}" not in complete}
    assert source.problems() == {}


def test_a_changed_file_in_colorlib_data_is_named_after_the_download(
    source: Listed, site: Site, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    here = tmp_path / "data" / "set" / NAMES[0]
    here.parent.mkdir(parents=True)
    here.write_bytes(b"changed")
    monkeypatch.setenv("COLORLIB_DATA", str(tmp_path / "data"))
    with pytest.raises(ValueError, match=re.escape(str(here))) as error:
        list(source.fetch())
    assert "COLORLIB_DATA" in str(error.value)
    assert here.read_bytes() == b"changed"
    assert files_in(cache) == {f"set/{name}" for name in NAMES}


def test_an_interrupted_fetch_is_continued_file_by_file(source: Listed, site: Site, cache: Path):
    site.behaves = {f"set/{name}": "held" for name in NAMES[3:]}
    fetching = source.fetch()
    first = [next(fetching) for _ in range(3)]
    threading.Timer(0.3, site.gate.set).start()
    fetching.close()  # as Ctrl-C does
    here = files_in(cache)
    assert {f"set/{name}" for name in first} <= here
    assert here < {f"set/{name}" for name in NAMES}, "no further download is started"
    assert all_are_whole(cache, site)
    site.requests.clear()
    assert sorted(source.fetch()) == sorted(NAMES)
    assert set(site.requests) == {f"set/{name}" for name in NAMES} - here


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX's")
def test_a_killed_fetch_is_continued_and_its_temporary_files_removed(source: Listed, site: Site, cache: Path):
    half = {f"set/{name}" for name in NAMES[3:6]}
    site.behaves = dict.fromkeys(half, "hangs")
    script = (
        "import sys; from pathlib import Path; from colorlib.photos.sources import Listed\n"
        "list(Listed(name='set', folder='set', url='', split_of=lambda name, digest: 'train', terms='',"
        " checksums=Path(sys.argv[1])).fetch())"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(source.checksums)])
    try:
        deadline = time.monotonic() + 60
        whole = {f"set/{name}" for name in NAMES} - half
        while not (whole <= files_in(cache) and len(files_in(cache)) == len(NAMES)):  # the other three have begun
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not half & files_in(cache)
    assert len(files_in(cache) - whole) == 3, "the killed process left its temporary files"
    site.behaves.clear()
    site.requests.clear()
    assert sorted(source.fetch()) == sorted(NAMES)
    assert site.requests == dict.fromkeys(half, 1)
    assert files_in(cache) == {f"set/{name}" for name in NAMES}


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


def ships_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the import system find every package in `folder`."""
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(folder)])
    )


def test_a_changed_bundled_photograph_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    original = Bundled().path("skimage/chelsea.png")
    (tmp_path / "data").mkdir()
    changed = tmp_path / "data" / "chelsea.png"
    changed.write_bytes(original.read_bytes() + b"\0")
    ships_from(tmp_path, monkeypatch)
    for _ in ("changed", "missing"):
        with pytest.raises(ValueError, match=re.escape(str(changed))) as error:
            open_photos("bundled", "val")
        assert "reinstall skimage" in str(error.value)
        changed.unlink(missing_ok=True)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PhotosMissingError, match=r"skimage/chelsea\.png") as error:
        open_photos("bundled", "val")
    assert "pip install skimage" in str(error.value)


# Folder


def test_a_folder_is_split_by_content(tmp_path: Path):
    digests = write_pngs(tmp_path / "mine", 60)
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
    digests = write_pngs(tmp_path, 40)
    before = {photo.digest for photo in open_photos(f"folder:{tmp_path}", "train")}
    for i, path in enumerate(digests.values()):
        target = tmp_path / f"moved {i % 3}" / f"{1000 - i}.PNG"
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    assert {photo.digest for photo in open_photos(f"folder:{tmp_path}", "train")} == before
    write_pngs(tmp_path / "more", 50)
    assert {photo.digest for photo in open_photos(f"folder:{tmp_path}", "train")} > before


def test_copies_of_a_photograph_count_once(tmp_path: Path):
    digests = write_pngs(tmp_path, 30)
    whole = sum(len(open_photos(f"folder:{tmp_path}", split)) for split in ("train", "val", "test"))
    for path in digests.values():
        shutil.copy(path, tmp_path / f"copy of {path.name}")
    (tmp_path / "below").mkdir()
    shutil.copy(tmp_path / "000.png", tmp_path / "below" / "x.png")
    assert sum(len(open_photos(f"folder:{tmp_path}", split)) for split in ("train", "val", "test")) == whole == 30


def test_thumbnail_folders_are_left_out(tmp_path: Path):
    write_pngs(tmp_path, 30)
    for name in (".thumbnails", "@eaDir", "sub/.cache"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (9, 9), (len(name), 0, 0)).save(tmp_path / name / "a.png")
    assert sum(len(open_photos(f"folder:{tmp_path}", split)) for split in ("train", "val", "test")) == 30


def test_only_image_files_are_taken_whatever_the_case_of_their_ending(tmp_path: Path):
    write_pngs(tmp_path, 30)
    for path in sorted(tmp_path.glob("*.png"))[::2]:
        path.rename(path.with_suffix(".PNG"))
    (tmp_path / "notes.txt").write_text("not a photograph")
    (tmp_path / "folder.png").mkdir()
    names = {photo.name for split in ("train", "val", "test") for photo in open_photos(f"folder:{tmp_path}", split)}
    assert len(names) == 30
    assert {Path(name).suffix for name in names} == {".png", ".PNG"}


def test_an_empty_folder_says_so(tmp_path: Path):
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))) as error:
        open_photos(f"folder:{tmp_path}", "train")
    text = str(error.value).replace(str(tmp_path), "")
    assert re.search(r"\b0\b", text)
    assert "train split" in text
    assert "add" in text


def test_a_folder_without_a_photograph_for_a_split_says_so(tmp_path: Path):
    (digest,) = write_pngs(tmp_path, 1)
    missing = "test" if split_by_content(digest) == "train" else "train"
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))) as error:
        open_photos(f"folder:{tmp_path}", missing)
    text = str(error.value).replace(str(tmp_path), "")
    assert re.search(r"\b1\b", text)
    assert f"{missing} split" in text


def test_a_path_that_is_no_folder_is_named(tmp_path: Path):
    (tmp_path / "file.png").write_bytes(b"")
    for name in ("gone", "file.png"):
        with pytest.raises(ValueError, match=re.escape(str(tmp_path / name))) as error:
            open_photos(f"folder:{tmp_path / name}", "train")
        assert "folder:PATH" in str(error.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_pngs(tmp_path, 3)

    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(sources, "sha256", refuse)
    with pytest.raises(ValueError, match=r"00\d\.png") as error:
        open_photos(f"folder:{tmp_path}", "train")
    assert "Permission denied" in str(error.value)
    assert "permissions" in str(error.value)


def test_a_file_that_is_no_picture_is_named_when_it_is_decoded(tmp_path: Path):
    path = tmp_path / "letter.jpg"
    for i in range(100):  # a content whose hash puts it into the training split
        path.write_text(f"Dear diary, this is letter {i}")
        if split_by_content(sha256(path)) == "train":
            break
    with pytest.raises(ValueError, match=r"letter\.jpg") as error:
        open_photos(f"folder:{tmp_path}", "train").decode()
    assert "JPEG or PNG" in str(error.value)


# CIFAR-10: one archive

CLASSES = [f"{split}/{name}" for split in ("train", "test") for name in ("cat", "frog")]
PHOTOS = {
    f"{folder}/{i:04d}.jpg": encoded(noise(8, 8, seed=50 * j + i))
    for j, folder in enumerate(CLASSES)
    for i in range(40)
}
ARCHIVE = "cifar10-images.tar.gz"


def archive(files: dict[str, bytes], kind: str = "gz", top: str = "CIFAR-10-images-d7d05/") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{kind}") as tar:
        tar.addfile(tarfile.TarInfo(f"{top}README.md"))
        for name, data in files.items():
            member = tarfile.TarInfo(f"{top}{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def archive_site(cache: Path) -> Iterator[Site]:
    """A server, set as the mirror, that holds CIFAR-10's archive."""
    with serve({ARCHIVE: archive(PHOTOS)}) as site:
        yield site


@pytest.fixture
def cifar(archive_site: Site, tmp_path: Path) -> Cifar10:
    """CIFAR-10 of four folders of forty pictures, with its checksum list."""
    checksums = tmp_path / "checksums"
    checksums.mkdir()
    digests = {
        folder: sha256_of_names(
            (name.rpartition("/")[2], hashlib.sha256(data).hexdigest())
            for name, data in PHOTOS.items()
            if name.startswith(folder)
        )
        for folder in CLASSES
    }
    (checksums / "cifar10.sha256").write_text("".join(f"{digest}  {folder}\n" for folder, digest in digests.items()))
    return Cifar10(checksums=checksums)


def test_the_archive_is_fetched_once_and_split(cifar: Cifar10, archive_site: Site, cache: Path):
    assert list(cifar.fetch()) == [ARCHIVE]
    assert list(cifar.fetch()) == [ARCHIVE]
    assert archive_site.requests == {ARCHIVE: 1}
    assert files_in(cache) == {ARCHIVE}
    assert cifar.problems() == {}
    train, val, test = (cifar.photos(split) for split in ("train", "val", "test"))
    assert sorted(photo.name for photo in train + val + test) == sorted(PHOTOS)
    assert [photo.name for photo in test] == sorted(name for name in PHOTOS if name.startswith("test/"))
    assert 1 <= len(val) <= 20
    photo = val[0]
    assert photo.digest == hashlib.sha256(PHOTOS[photo.name]).hexdigest()
    assert int(photo.digest[:8], 16) / 2**32 >= 0.9
    assert photo.load().shape == (8, 8, 3)


def test_an_archive_in_colorlib_data_is_used_whatever_its_compression(
    cifar: Cifar10, archive_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cifar10-images.tar.xz").write_bytes(archive(PHOTOS, "xz", top=""))
    monkeypatch.setenv("COLORLIB_DATA", str(tmp_path / "data"))
    assert list(cifar.fetch()) == ["cifar10-images.tar.xz"]
    assert not archive_site.requests
    assert len(cifar.photos("test")) == 80


@pytest.mark.parametrize("behavior", ["cut", "broken", "gone"])
def test_an_archive_that_cannot_be_downloaded_is_named(cifar: Cifar10, archive_site: Site, cache: Path, behavior: str):
    archive_site.behaves = {ARCHIVE: behavior}
    with pytest.raises(ValueError, match=rf"{archive_site.address}/{ARCHIVE}\b.*again"):
        list(cifar.fetch())
    assert files_in(cache) == set()
    archive_site.behaves.clear()
    assert list(cifar.fetch()) == [ARCHIVE]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>moved</html>", r"^(?!.*train/cat).*cifar10-images\.tar\.gz.*damaged.*deleted"),
        (archive(PHOTOS)[:-500], r"^(?!.*train/cat).*cifar10-images\.tar\.gz.*damaged.*deleted"),
        (archive({**PHOTOS, "train/cat/0007.jpg": b"other"}), "train/cat.*deleted"),
        (archive({n: d for n, d in PHOTOS.items() if n != "test/frog/0000.jpg"}), "test/frog.*deleted"),
        (archive({n: d for n, d in PHOTOS.items() if "test/cat" not in n}), "test/cat.*deleted"),
    ],
)
def test_an_archive_with_other_contents_is_not_kept(
    cifar: Cifar10, archive_site: Site, cache: Path, data: bytes, message: str
):
    archive_site.files[ARCHIVE] = data
    with pytest.raises(ValueError, match=message):
        list(cifar.fetch())
    assert files_in(cache) == set()


def test_a_damaged_archive_in_the_cache_is_replaced(cifar: Cifar10, archive_site: Site, cache: Path):
    cache.mkdir()
    for damaged in (archive(PHOTOS)[:-500], b"nonsense", archive({})):
        (cache / ARCHIVE).write_bytes(damaged)
        with pytest.raises(ValueError, match="colorlib data fetch cifar10") as error:
            cifar.photos("train")
        assert str(cache / ARCHIVE) in str(error.value)
        assert "delete" in str(error.value)
        assert list(cifar.fetch()) == [ARCHIVE]
        assert cifar.problems() == {}
    assert archive_site.requests == {ARCHIVE: 3}


def test_a_damaged_archive_in_colorlib_data_is_named_and_left_alone(
    cifar: Cifar10, archive_site: Site, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    damaged = tmp_path / "data" / "cifar10-images.tar.xz"
    damaged.parent.mkdir()
    damaged.write_bytes(b"nonsense")
    monkeypatch.setenv("COLORLIB_DATA", str(damaged.parent))
    list(cifar.fetch())
    assert damaged.read_bytes() == b"nonsense"
    with pytest.raises(ValueError, match=r"data.cifar10-images\.tar\.xz.*damaged.*delete.*colorlib data fetch"):
        cifar.photos("train")
    damaged.unlink()
    assert len(cifar.photos("test")) == 80, "the download lies in the cache"


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
    with pytest.raises(ValueError, match=f"'{name}'") as error:
        open_photos(f"torchvision:{name}", "train")
    assert "torchvision" in str(error.value)
    assert "CIFAR10" in str(error.value)


def test_a_data_set_that_cannot_be_opened_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch):
    class Needy(torchvision.datasets.VisionDataset):
        def __init__(self, root: Path) -> None:
            raise ModuleNotFoundError("scipy is needed")

    monkeypatch.setattr(torchvision.datasets, "Flowers102", Needy)
    with pytest.raises(ValueError, match="torchvision:Flowers102") as error:
        open_photos("torchvision:Flowers102", "train")
    assert "scipy is needed" in str(error.value)


def test_a_data_set_that_does_not_hold_pictures_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch):
    class Numbers(torchvision.datasets.VisionDataset):
        def __init__(self) -> None:
            super().__init__()

        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> tuple[int, int]:
            return index, index

    monkeypatch.setattr(torchvision.datasets, "MNIST", Numbers)
    with pytest.raises(ValueError, match="torchvision:MNIST") as error:
        open_photos("torchvision:MNIST", "train")
    assert "CIFAR10" in str(error.value)


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
    with pytest.raises(PhotosMissingError, match=r"val.101085\.jpg.*\b1 of 100\b"):
        open_photos("bsds500", "val")
    changed = linked / "bsds500" / "test" / "100007.jpg"
    data = changed.read_bytes()
    changed.unlink()
    changed.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"test.100007\.jpg.*SHA-256"):
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
    assert source.problems() == {}
    digests = [{photo.digest for photo in open_photos(name, split)} for split in source.splits]
    assert len(set.union(*digests)) == sum(map(len, digests)) == len(source.names()) - 800 * (name == "zhang2016")


@pytest.mark.campaign
def test_the_real_cifar10_is_as_listed(photographs: Path):
    assert [len(open_photos("cifar10", split)) for split in ("test",)] == [10_000]
    train, val = (open_photos("cifar10", split) for split in ("train", "val"))
    assert len(train) + len(val) == 50_000
    assert len(val) == pytest.approx(5000, abs=300)
    assert val[17].load().shape == (32, 32, 3)


# Files that lie


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_only_regular_files_of_a_folder_are_photographs(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for number in range(20):
        (tmp_path / f"{number}.png").write_bytes(encoded(noise(8, 8, seed=number)))
    names = open_photos(f"folder:{tmp_path}", "train").names
    assert len(names) > 10
    assert not {"pipe.png", "zero.png"} & set(names)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_an_archive_with_a_long_header_is_refused_before_it_is_read(cifar: Cifar10, tmp_path: Path, kind: bytes):
    header = tarfile.TarInfo("header")
    header.type, header.size = kind, 4_000_000_000
    path = tmp_path / ARCHIVE
    path.write_bytes(gzip.compress(header.tobuf() + bytes(2_000_000)))
    (problem,) = cifar.problems(path).values()
    assert "4,000,000,000" in problem
    assert str(path) in problem


def test_an_archive_of_headers_without_end_is_refused(cifar: Cifar10, tmp_path: Path):
    header = tarfile.TarInfo("header")
    header.type, header.size = tarfile.XHDTYPE, 512
    path = tmp_path / ARCHIVE
    path.write_bytes(gzip.compress((header.tobuf() + bytes(512)) * 5000))
    (problem,) = cifar.problems(path).values()
    assert str(path) in problem


@pytest.mark.parametrize("limit", ["MAX_MEMBER", "MAX_ARCHIVE"])
def test_an_archive_of_large_files_is_refused_before_they_are_read(
    cifar: Cifar10, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
):
    monkeypatch.setattr(sources, limit, 5000)
    path = tmp_path / ARCHIVE
    path.write_bytes(archive({f"train/cat/{number}.jpg": bytes(3000 if limit == "MAX_ARCHIVE" else 6000)
                              for number in range(2)}))  # fmt: skip
    (problem,) = cifar.problems(path).values()
    assert "5,000" in problem
    assert str(path) in problem
