"""Where photographs come from, by name: each row of `SOURCES` is one place, with its splits and checksums.

`open_photos("bsds500", "train")` finds the photographs, holds every file against the committed SHA-256 list, and names
the ones that are wrong or missing. `folder:PATH` and `torchvision:NAME` open any folder and any torchvision data set.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

from colorlib.datasets import Cifar10, Torchvision
from colorlib.decoded import decoded
from colorlib.derived import Joined, Reduced, Shrunk, Source
from colorlib.files import sha256_of_names
from colorlib.images import MAX_PIXELS, Photo, Pixels
from colorlib.keys import split_by_content
from colorlib.sources import Bundled, Folder, Listed


@dataclass(frozen=True, kw_only=True)
class PhotoSet(Sequence[Photo]):
    """The photographs of one split of one source, in a fixed order."""

    source: str
    split: str
    photos: tuple[Photo, ...]
    terms: str
    of: int | None = None
    """How many photographs the split holds, where only some of them were taken."""

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        """The photograph at `index`, or a tuple of them for a slice."""
        return self.photos[index]

    def __len__(self) -> int:
        """How many photographs there are."""
        return len(self.photos)

    @property
    def names(self) -> list[str]:
        """The photographs' names, in order."""
        return [photo.name for photo in self.photos]

    @cached_property
    def digest(self) -> str:
        """One SHA-256 over all names and contents."""
        return sha256_of_names((photo.name, photo.digest) for photo in self.photos)

    def at_most(self, count: int) -> "PhotoSet":
        """These, or `count` of them, spread evenly over their order."""
        if len(self) <= count:
            return self
        taken = tuple(self.photos[index * len(self) // count] for index in range(count))
        return replace(self, photos=taken, of=self.of or len(self))

    def decode(self) -> list[Pixels]:
        """All of them decoded, each `(H, W, 3)` uint8: mapped from the disk where an earlier start left them there."""
        return decoded(self.photos)


@runtime_checkable
class Fetched(Protocol):
    """What a source promises that is downloaded."""

    @property
    def files_to_fetch(self) -> int:
        """How many names `fetch` yields."""
        ...

    def fetch(self) -> Iterator[str]:
        """Download what is missing or wrong; yields each file's name when it is here."""
        ...


SOURCES: dict[str, Source] = {
    "bsds500": Listed(
        name="bsds500",
        folder="bsds500",
        url="https://raw.githubusercontent.com/BIDS/BSDS500/a04b7c6c3a9f0ace74bf205c72a43d32e1c72722/BSDS500/data/images/",
        split_of=lambda name, digest: name.split("/")[0],
        terms="free for non-commercial research and education; cite Arbelaez, Maire, Fowlkes, Malik, TPAMI 33(5), 2011",
    ),
    "bundled": Bundled(),
    "imagenet-sample": Listed(
        name="imagenet-sample",
        folder="imagenet-sample",
        url="https://raw.githubusercontent.com/EliSchwartz/imagenet-sample-images/bc69043e2862758a1906c6a24a792bb28c6bb2ff/",
        split_of=lambda name, digest: split_by_content(digest),
        terms="ImageNet's: non-commercial research and education",
    ),
    "cifar10": Cifar10(),
    "zhang2016": Listed(
        name="zhang2016",
        folder="zhang2016-comparison",
        url="https://raw.githubusercontent.com/nagyistge/python-dl-colorization/e22abb429c9703d0238500b286eac0c37a66b2cf/"
        "resources/images/imagenet_comparison/",
        # For evaluation alone: the ground truths are a test split, the others' results belong to none.
        split_of=lambda name, digest: "test" if name.startswith("gt/") else "others' results",
        splits=("test",),
        terms="repository BSD-2; photographs: ImageNet's terms, non-commercial research and education",
    ),
}
"""Every source by its name; `folder:PATH` and `torchvision:NAME` are opened by `find_source`."""
NAMES = ", ".join(SOURCES)


def named(photos: str) -> None:
    """Refuse what is not the name of photographs that stand in `SOURCES`, shrunk or not: a folder has no such name.

    Raises:
        ValueError: the message lists the names there are.
    """
    if ":" in photos:
        raise ValueError(f"{photos} cannot be a part of a name: take one of {NAMES}")
    find_source(photos)


def find_source(name: str, *, max_pixels: int = MAX_PIXELS) -> Source:
    """The source called `name`: a row of `SOURCES`, `folder:PATH` or `torchvision:NAME`.

    A row of `SOURCES` may be changed by what follows its name: `NAME@SIDE` shrinks its photographs to a short side of
    SIDE pixels, `NAME~SHARE` trains on that share of them, `NAME+OTHER` trains on OTHER's photographs too. Validation
    and test photographs are all those of the first name.

    Raises:
        ValueError: no such source; the message lists those there are.
    """
    kind, _, rest = name.partition(":")
    if kind == "folder" and rest:
        return Folder(path=Path(rest).expanduser(), max_pixels=max_pixels)
    if kind == "torchvision" and rest:
        return Torchvision(name=rest)
    parts = tuple(_changed(part, name) for part in name.split("+"))
    return parts[0] if len(parts) == 1 else Joined(parts)


def _changed(part: str, whole: str) -> Source:
    """One source of a name, shrunk or reduced as it says."""
    unreduced, reduced, share = part.partition("~")
    plain, shrunk, side = unreduced.partition("@")
    if plain not in SOURCES:
        raise ValueError(f"no photographs are called {whole!r}: there are {NAMES}, folder:PATH, torchvision:NAME")
    source = SOURCES[plain]
    if shrunk:
        if not side.isdecimal() or int(side) < 1:
            raise ValueError(f"{whole}: write the short side in pixels after the @, for example {plain}@256")
        source = Shrunk(source, int(side))
    if reduced:
        try:
            source = Reduced(source, float(share))
        except ValueError:
            raise ValueError(f"{whole}: write a share above 0 and up to 1 after the ~, as in {plain}~0.25") from None
    return source


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
    source = find_source(name, max_pixels=max_pixels)
    if split not in source.splits:
        raise ValueError(f"{name} has no split called {split!r}; it has {', '.join(source.splits)}")
    return PhotoSet(source=name, split=split, photos=source.photos(split), terms=source.terms)
