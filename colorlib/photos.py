"""Where photographs come from, by name: each row of `SOURCES` is one place, with its splits and checksums.

`open_photos("bsds500", "train")` finds the photographs, holds every file against the committed SHA-256 list, and names
the ones that are wrong or missing. `folder:PATH` and `torchvision:NAME` open any folder and any torchvision data set.
"""

import importlib.util
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from colorlib.files import sha256, sha256_of_names
from colorlib.images import MAX_PIXELS, SUFFIXES, Pixels, decode_file

SPLITS = ("train", "val", "test")
CHECKSUMS = Path(__file__).parent / "checksums"


class PhotosMissingError(ValueError):
    """Photographs that are not on this machine; the message names them and says how to get them."""


@dataclass(frozen=True, kw_only=True)
class Photo:
    """One photograph, not yet decoded."""

    name: str
    """Its name within the source, for example `train/100075.jpg`."""
    digest: str
    """SHA-256 of the file's bytes."""
    load: Callable[[], Pixels]
    """Decodes it: `(H, W, 3)` uint8 sRGB."""


@dataclass(frozen=True, kw_only=True)
class PhotoSet(Sequence[Photo]):
    """The photographs of one split of one source, in a fixed order."""

    source: str
    split: str
    photos: tuple[Photo, ...]
    terms: str

    def __getitem__(self, index):  # type: ignore[no-untyped-def,override]
        """The photograph at `index`, or a tuple of them for a slice."""
        return self.photos[index]

    def __len__(self) -> int:
        """How many photographs there are."""
        return len(self.photos)

    @cached_property
    def digest(self) -> str:
        """One SHA-256 over all names and contents."""
        return sha256_of_names((photo.name, photo.digest) for photo in self.photos)

    def decode(self) -> list[Pixels]:
        """Decode all of them, in parallel (Pillow releases Python's lock while it decodes)."""
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            return list(pool.map(lambda photo: photo.load(), self.photos))


class Source(Protocol):
    """What every source promises."""

    terms: str

    def photos(self, split: str) -> tuple[Photo, ...]:
        """The photographs of a split, verified, or a ValueError that names what is wrong."""
        ...


def _listed(source: str) -> dict[str, str]:
    """The committed checksums of a source: name -> SHA-256, in the order of the list."""
    lines = (CHECKSUMS / f"{source}.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def cache_folder() -> Path:
    """Where downloads are kept: `$COLORLIB_CACHE`, else the user's cache folder for colorlib."""
    if folder := os.environ.get("COLORLIB_CACHE"):
        return Path(folder)
    import pooch

    return Path(pooch.os_cache("colorlib"))


def _photo(path: Path, name: str, digest: str, max_pixels: int = MAX_PIXELS) -> Photo:
    return Photo(name=name, digest=digest, load=lambda: decode_file(path, max_pixels=max_pixels))


def _digests(paths: Sequence[Path]) -> list[str]:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(sha256, paths))


@dataclass(frozen=True, kw_only=True)
class ListedSource:
    """Photographs whose names and SHA-256 are committed: looked for on this machine, else downloaded file by file."""

    name: str
    folder: str
    """Folder name below `$COLORLIB_DATA` and below the cache."""
    url: str
    """Public home; a file's name is appended."""
    split_of: Callable[[str, str], str]
    """Maps a file's name and digest to its split."""
    terms: str

    def names(self, split: str) -> dict[str, str]:
        """The committed names and digests of a split."""
        return {name: digest for name, digest in _listed(self.name).items() if self.split_of(name, digest) == split}

    def local_folder(self) -> Path | None:
        """The first folder on this machine that holds this source, or None."""
        roots = [Path(root) for root in (os.environ.get("COLORLIB_DATA"),) if root]
        return next((root / self.folder for root in [*roots, cache_folder()] if (root / self.folder).is_dir()), None)

    def photos(self, split: str) -> tuple[Photo, ...]:
        """The photographs of a split, each held against its committed checksum.

        Raises:
            PhotosMissingError: none, or not all, of them are here.
            ValueError: a file's content is not what the list says.
        """
        fetch = f"run `colorlib data fetch {self.name}`"
        folder = self.local_folder()
        if folder is None:
            raise PhotosMissingError(
                f"the photographs of {self.name} are not on this machine; {fetch}, or set COLORLIB_DATA to the folder "
                f"that holds {self.folder}/"
            )
        expected = self.names(split)
        paths = [folder / name for name in expected]
        if missing := [path for path in paths if not path.is_file()]:
            raise PhotosMissingError(f"{missing[0]} is missing ({len(missing)} of {len(paths)} are); {fetch}")
        digests = _digests(paths)
        for path, found, wanted in zip(paths, digests, expected.values(), strict=True):
            if found != wanted:
                raise ValueError(
                    f"{path} has SHA-256 {found[:12]}…, not {wanted[:12]}…: it was changed or damaged; delete it and "
                    f"{fetch}"
                )
        return tuple(_photo(path, name, digest) for path, (name, digest) in zip(paths, expected.items(), strict=True))


def split_by_hash(digest: str) -> str:
    """80 % train, 10 % val, 10 % test: a function of the content alone, so that copies never straddle two splits."""
    share = int(digest[:8], 16) / 2**32
    return "train" if share < 0.8 else "val" if share < 0.9 else "test"


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
    splits = {  # noqa: RUF012
        "train": ("skimage/astronaut.png", "skimage/motorcycle_left.png", "skimage/motorcycle_right.png"),
        "val": ("skimage/chelsea.png",),
        "test": ("matplotlib/grace_hopper.jpg", "skimage/coffee.png", "skimage/rocket.jpg"),
    }
    folders = {  # noqa: RUF012
        "skimage": ("skimage", "data"),
        "matplotlib": ("matplotlib", "mpl-data/sample_data"),
    }

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
        listed = _listed(self.name)
        found = []
        for name in self.splits[split]:
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

    def photos(self, split: str) -> tuple[Photo, ...]:
        """The photographs of a split; copies of one file count once.

        Raises:
            ValueError: no such folder, or no photograph for this split in it.
        """
        if not self.path.is_dir():
            raise ValueError(f"{self.path} is not a folder; photos=folder:PATH takes a folder of images")
        paths = sorted(path for path in self.path.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        by_digest = {digest: path for digest, path in zip(_digests(paths), paths, strict=True)}
        chosen = sorted((path, digest) for digest, path in by_digest.items() if split_by_hash(digest) == split)
        if not chosen:
            raise ValueError(
                f"{self.path} holds {len(by_digest)} different photographs, none of them for the {split} split "
                "(80 % train, 10 % val, 10 % test by a hash of each file); add more"
            )
        return tuple(
            _photo(path, path.relative_to(self.path).as_posix(), digest, self.max_pixels) for path, digest in chosen
        )


SOURCES: dict[str, Source] = {
    "bsds500": ListedSource(
        name="bsds500",
        folder="bsds500",
        url="https://raw.githubusercontent.com/BIDS/BSDS500/a04b7c6c3a9f0ace74bf205c72a43d32e1c72722/BSDS500/data/images/",
        split_of=lambda name, digest: name.split("/")[0],
        terms="free for non-commercial research and education; cite Arbelaez, Maire, Fowlkes, Malik, TPAMI 33(5), 2011",
    ),
    "bundled": Bundled(),
}


def find_source(name: str, *, max_pixels: int = MAX_PIXELS) -> Source:
    """The source called `name`: a row of `SOURCES` or `folder:PATH`.

    Raises:
        ValueError: no such source; the message lists those there are.
    """
    kind, _, rest = name.partition(":")
    if kind == "folder" and rest:
        return Folder(path=Path(rest).expanduser(), max_pixels=max_pixels)
    if name not in SOURCES:
        raise ValueError(f"no photographs are called {name!r}; there are {', '.join(SOURCES)} and folder:PATH")
    return SOURCES[name]


def open_photos(name: str, split: str, *, max_pixels: int = MAX_PIXELS) -> PhotoSet:
    """The photographs of one split of one source, verified, not yet decoded.

    Args:
        name: a row of `SOURCES`, or `folder:PATH`.
        split: `train`, `val` or `test`.
        max_pixels: refuse larger pictures.

    Raises:
        PhotosMissingError: they are not on this machine.
        ValueError: unknown name or split, or a file that is not what it should be.
    """
    if split not in SPLITS:
        raise ValueError(f"no split is called {split!r}; there are {', '.join(SPLITS)}")
    source = find_source(name, max_pixels=max_pixels)
    return PhotoSet(source=name, split=split, photos=source.photos(split), terms=source.terms)
