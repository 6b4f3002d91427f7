"""Photographs that are files: listed with their checksums, bundled with packages, or in any folder."""

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from colorlib.files import sha256
from colorlib.images import MAX_PIXELS, SUFFIXES, Photo, decode_file
from colorlib.keys import split_by_content
from colorlib.places import (
    PhotosMissingError,
    cache_folder,
    data_folders,
    download,
    listed_checksums,
    remove_half_downloads,
)


def _photo(path: Path, name: str, digest: str, max_pixels: int = MAX_PIXELS) -> Photo:
    return Photo(name=name, digest=digest, load=partial(decode_file, path, max_pixels=max_pixels))


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); check its permissions or remove it") from error


def _digests(paths: Sequence[Path]) -> list[str]:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(_digest, paths))


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Photographs whose names and SHA-256 are committed: looked for on this machine, else downloaded file by file."""

    name: str
    folder: str
    """Folder name below `$COLORLIB_DATA` and below the cache."""
    url: str
    """Public home; a file's name is appended."""
    split_of: Callable[[str, str], str]
    """Maps a file's name and digest to its split."""
    terms: str
    splits: tuple[str, ...] = ("train", "val", "test")

    def names(self, split: str | None = None) -> dict[str, str]:
        """The committed names and digests of a split, or of all of them."""
        listed = listed_checksums(self.name)
        return {name: digest for name, digest in listed.items() if split in (None, self.split_of(name, digest))}

    def path(self, name: str) -> Path:
        """Where a file lies on this machine, or where a download would put it."""
        places = [root / self.folder / name for root in data_folders()]
        return next((place for place in places if place.is_file()), places[-1])

    def wrong(self, split: str | None = None) -> dict[str, str]:
        """The files that are not as listed: name -> what is wrong with it."""
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
        """The photographs of a split, each held against its committed checksum.

        Raises:
            PhotosMissingError: none, or not all, of them are here.
            ValueError: a file's content is not what the list says.
        """
        names, wrong = self.names(split), self.wrong(split)
        if wrong:
            mend = f"run `colorlib data fetch {self.name}` or set COLORLIB_DATA to the folder that holds {self.folder}/"
            changed = [text for text in wrong.values() if not text.endswith("is missing")]
            if changed:
                raise ValueError(f"{changed[0]} ({len(changed)} such files); delete it and {mend}")
            raise PhotosMissingError(f"{next(iter(wrong.values()))} ({len(wrong)} of {len(names)} files); {mend}")
        return tuple(_photo(self.path(name), name, digest) for name, digest in names.items())

    @property
    def files_to_fetch(self) -> int:
        """How many names `fetch` yields."""
        return len(self.names())

    def fetch(self) -> Iterator[str]:
        """Download what is missing or wrong into the cache, eight files at a time; yields each name when it is here.

        What is already there is not downloaded again, so an interrupted fetch goes on where it stopped.

        Raises:
            ValueError: a file cannot be had, or is not what the list says; what came before it is kept.
        """
        names, wrong, target = self.names(), self.wrong(), cache_folder() / self.folder
        for folder in {(target / name).parent for name in wrong}:
            remove_half_downloads(folder)
        yield from (name for name in names if name not in wrong)

        def one(name: str) -> str:
            download(self.url + name, target / name, digest=names[name])
            return name

        with ThreadPoolExecutor(max_workers=8) as pool:
            try:
                yield from pool.map(one, wrong)
            finally:
                pool.shutdown(cancel_futures=True)
        if still := self.wrong():
            raise ValueError(
                f"{next(iter(still.values()))}; it comes before the cache: delete it or unset COLORLIB_DATA"
            )


@dataclass(frozen=True, kw_only=True)
class Bundled:
    """Photographs that ship inside scikit-image and matplotlib: they need no network.

    What Figures 2-3 show is in the test split, and both views of the motorcycle are on one side.
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
        """The splits there are."""
        return tuple(self.files)

    def path(self, name: str) -> Path:
        """Where a photograph lies on this machine, found without importing the package that ships it."""
        package, file = name.split("/")
        module, subfolder = self.folders[package]
        spec = importlib.util.find_spec(module)
        if spec is None or not spec.submodule_search_locations:
            raise PhotosMissingError(f"{name} ships with {module}, which is not installed; run `pip install {module}`")
        return Path(spec.submodule_search_locations[0]) / subfolder / file

    def photos(self, split: str) -> tuple[Photo, ...]:
        """The photographs of a split, each held against its committed checksum."""
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
        """The photographs of a split; copies of one file count once.

        Raises:
            ValueError: no such folder, or no photograph for this split in it.
        """
        if not self.path.is_dir():
            raise ValueError(f"{self.path} is not a folder; photos=folder:PATH takes a folder of images")
        paths = sorted(
            path
            for path in self.path.rglob("*")
            # Hidden files are not photographs: macOS leaves `._name.jpg` beside each picture.
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
        by_digest = {digest: path for digest, path in zip(_digests(paths), paths, strict=True)}
        chosen = sorted((path, digest) for digest, path in by_digest.items() if split_by_content(digest) == split)
        if not chosen:
            raise ValueError(
                f"{self.path} holds {len(by_digest)} different photographs, none of them for the {split} split "
                "(80 % train, 10 % val, 10 % test by a hash of each file); add more"
            )
        return tuple(
            _photo(path, path.relative_to(self.path).as_posix(), digest, self.max_pixels) for path, digest in chosen
        )
