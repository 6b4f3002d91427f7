"""Photographs by name, verified against committed SHA-256 lists: `open_photos("bsds500", "train")`.

Each row of `SOURCES` is one source with its splits, address and terms of use. `folder:PATH` and `torchvision:NAME` open
any folder and any torchvision data set. Errors name the files that are missing or changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from colorlib.files import sha256_of_names
from colorlib.photos.cache import decode_cached
from colorlib.photos.decode import MAX_PIXELS, Photo, Pixels, shrink
from colorlib.photos.download import PhotosMissingError
from colorlib.photos.sources import Bundled, Cifar10, Downloadable, Folder, Listed, Source, Torchvision
from colorlib.photos.walk import printable
from colorlib.rng import split_by_content

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
        # For evaluation only: the ground truths are the test split; the other methods' results are in no split.
        split_of=lambda name, digest: "test" if name.startswith("gt/") else "others' results",
        splits=("test",),
        terms="repository BSD-2; photographs: ImageNet's terms, non-commercial research and education",
    ),
}
"""Every source by its name; `find_source` opens `folder:PATH` and `torchvision:NAME` too."""
NAMES = ", ".join(SOURCES)


@dataclass(frozen=True, kw_only=True)
class PhotoSet(Sequence[Photo]):
    """The photographs of one split of one source, in a fixed order, not yet decoded."""

    source: str
    """Name of the source, as given to `open_photos`."""
    split: str
    """`train`, `val` or `test`."""
    photos: tuple[Photo, ...]
    """The photographs."""
    terms: str
    """Their terms of use, in a line."""
    split_size: int | None = None
    """Photographs in the whole split, if `at_most` took only some of them; else None."""

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        """Return the photograph at `index`, or a tuple of them for a slice."""
        return self.photos[index]

    def __len__(self) -> int:
        """Return the number of photographs."""
        return len(self.photos)

    @property
    def names(self) -> list[str]:
        """Names of the photographs, in order."""
        return [photo.name for photo in self.photos]

    @cached_property
    def digest(self) -> str:
        """One SHA-256 of all names and contents."""
        return sha256_of_names((photo.name, photo.digest) for photo in self.photos)

    def at_most(self, count: int) -> "PhotoSet":
        """Return `count` photographs spaced evenly over the order, or all of them if there are no more."""
        if len(self) <= count:
            return self
        chosen = tuple(self.photos[index * len(self) // count] for index in range(count))
        return replace(self, photos=chosen, split_size=self.split_size or len(self))

    def decode(self) -> list[Pixels]:
        """Return all photographs decoded, each `(H, W, 3)` uint8 sRGB, from the cache on disk if they are there."""
        return decode_cached(self.photos)


def open_photos(name: str, split: str, *, max_pixels: int = MAX_PIXELS) -> PhotoSet:
    """Return the photographs of one split of one source, verified, not yet decoded.

    Args:
        name: a source's name, as `find_source` takes it.
        split: `train`, `val` or `test`.
        max_pixels: largest width x height to decode; a larger photograph of a folder is an error.

    Raises:
        PhotosMissingError: they are not on this machine.
        ValueError: unknown name or split, or a file differs from its checksum.
    """
    source = find_source(name, max_pixels=max_pixels)
    if split not in source.splits:
        raise ValueError(f"{name} has no split called {split!r}; it has {', '.join(source.splits)}")
    return PhotoSet(source=name, split=split, photos=source.photos(split), terms=source.terms)


def find_source(name: str, *, max_pixels: int = MAX_PIXELS) -> Source:
    """Return the source called `name`: a row of `SOURCES`, `folder:PATH` or `torchvision:NAME`.

    Suffixes change a row of `SOURCES`: `NAME@SIDE` shrinks its photographs until their short side has SIDE pixels,
    `NAME~SHARE` trains on that share of its training photographs, `NAME+OTHER` trains on OTHER's photographs too. The
    validation and test photographs are always all those of the first name.

    Raises:
        ValueError: no such source, and the message lists the known ones; or a suffix is no valid number.
    """
    kind, _, rest = name.partition(":")
    if kind == "folder" and rest:
        if printable(Path(rest)) != Path(rest).as_posix():
            raise ValueError(
                f"the name of the folder {printable(Path(rest))} is not UTF-8, as run.json needs; rename it"
            )
        return Folder(path=Path(rest).expanduser(), max_pixels=max_pixels)
    if kind == "torchvision" and rest:
        return Torchvision(name=rest)
    parts = tuple(_parse_part(part, name) for part in name.split("+"))
    return parts[0] if len(parts) == 1 else ConcatPhotos(parts)


def _parse_part(part: str, whole: str) -> Source:
    """Return the source of one part of a name: `NAME`, `NAME@SIDE`, `NAME~SHARE` or `NAME@SIDE~SHARE`."""
    before_share, has_share, share = part.partition("~")
    plain, has_side, side = before_share.partition("@")
    if plain not in SOURCES:
        raise ValueError(f"no photographs are called {whole!r}: there are {NAMES}, folder:PATH, torchvision:NAME")
    source = SOURCES[plain]
    if has_side:
        if not side.isdecimal() or int(side) < 1:
            raise ValueError(f"{whole}: write the short side in pixels after the @, for example {plain}@256")
        source = Resized(source, int(side))
    if has_share:
        try:
            source = Subset(source, float(share))
        except ValueError:
            raise ValueError(f"{whole}: write a share above 0 and up to 1 after the ~, as in {plain}~0.25") from None
    return source


def check_photos_name(photos: str) -> None:
    """Check that a name can be part of a profile's name: `SOURCES`' names and their suffixes, but no `folder:PATH`.

    Raises:
        ValueError: it cannot; the message lists the names of `SOURCES`.
    """
    if ":" in photos:
        raise ValueError(
            f"{photos}: folders of results are named by their photographs, which are one of {NAMES}; to train on "
            f"others: colorlib train RUN --photos {photos}"
        )
    find_source(photos)


@dataclass(frozen=True)
class Resized:
    """Another source with its photographs shrunk until their short side has `short_side` pixels."""

    source: Source
    short_side: int

    @property
    def terms(self) -> str:
        """Terms of use of the source."""
        return self.source.terms

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits of the source."""
        return self.source.splits

    @property
    def base_sources(self) -> tuple[Source, ...]:
        """The sources whose files it needs."""
        return base_sources(self.source)

    def photos(self, split: str) -> tuple[Photo, ...]:
        """Return the source's photographs of a split, each shrunk when it is decoded."""

        def load_resized(load: Callable[[], Pixels]) -> Pixels:
            return shrink(load(), self.short_side)

        return tuple(
            replace(photo, digest=f"{photo.digest}@{self.short_side}", load=partial(load_resized, photo.load))
            for photo in self.source.photos(split)
        )


@dataclass(frozen=True)
class Subset:
    """Another source with a share of its training photographs; a smaller share is a subset of a larger one."""

    source: Source
    share: float
    """Above 0, up to 1."""

    def __post_init__(self) -> None:
        """Check the share."""
        if not 0 < self.share <= 1:
            raise ValueError(f"{self.share} is not above 0 and up to 1")

    @property
    def terms(self) -> str:
        """Terms of use of the source."""
        return self.source.terms

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits of the source."""
        return self.source.splits

    @property
    def base_sources(self) -> tuple[Source, ...]:
        """The sources whose files it needs."""
        return base_sources(self.source)

    def photos(self, split: str) -> tuple[Photo, ...]:
        """Return the source's photographs of a split; of the training split, those with the smallest digests."""
        photos = self.source.photos(split)
        if split != "train":
            return photos
        count = max(1, round(self.share * len(photos)))
        chosen = {photo.digest for photo in sorted(photos, key=lambda photo: photo.digest)[:count]}
        return tuple(photo for photo in photos if photo.digest in chosen)


@dataclass(frozen=True)
class ConcatPhotos:
    """The training photographs of several sources, with the validation and test photographs of the first."""

    sources: tuple[Source, ...]

    @property
    def terms(self) -> str:
        """Terms of use of all sources."""
        return "; ".join(source.terms for source in self.sources)

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits of the first source."""
        return self.sources[0].splits

    @property
    def base_sources(self) -> tuple[Source, ...]:
        """The sources whose files it needs."""
        return tuple(base for source in self.sources for base in base_sources(source))

    def photos(self, split: str) -> tuple[Photo, ...]:
        """Return the photographs of a split, each name prefixed with the number of its source: `0/train/1.jpg`."""
        sources = self.sources if split == "train" else self.sources[:1]
        return tuple(
            replace(photo, name=f"{number}/{photo.name}")
            for number, source in enumerate(sources)
            for photo in source.photos(split)
        )


def scored_source(name: str) -> str:
    """Return the source of the validation and test photographs of `name`: `bsds500` for `bsds500~0.1+cifar10`."""
    return name if ":" in name else name.partition("+")[0].partition("~")[0]  # a folder's name may have both


def base_sources(source: Source) -> tuple[Source, ...]:
    """Return the sources whose files a source needs: itself, or those that it resizes, reduces or concatenates."""
    return getattr(source, "base_sources", (source,))


def ensure_photos(name: str) -> None:
    """Verify the photographs of a source, and download them if they are missing.

    Raises:
        UnreachableError: they are missing and cannot be downloaded.
        ValueError: they are missing and have no address, or a file differs from its checksum.
    """
    from tqdm import tqdm

    try:
        split_digests(name)
    except PhotosMissingError as error:
        downloadable = [source for source in base_sources(find_source(name)) if isinstance(source, Downloadable)]
        if not downloadable:
            raise
        print(f"{error}\ndownloading {name} …")
        for source in downloadable:
            for _ in tqdm(source.fetch(), total=source.files_to_fetch, unit="file", dynamic_ncols=True):
                pass


def split_digests(name: str) -> list[tuple[str, str]]:
    """Verify all files of a source and return (split, SHA-256 of its names and contents) pairs.

    Files that belong to no split, such as the published results of `zhang2016`, are included under their own label.

    Raises:
        PhotosMissingError: files are not on this machine.
        ValueError: unknown name, or a file differs from its checksum.
    """
    source = find_source(name)
    digests = [(split, open_photos(name, split).digest) for split in source.splits]
    if isinstance(source, Listed):
        labels = dict.fromkeys(source.split_of(*listed) for listed in source.names().items())
        for label in [label for label in labels if label not in source.splits]:
            digests.append((label, sha256_of_names((photo.name, photo.digest) for photo in source.photos(label))))
    return digests
