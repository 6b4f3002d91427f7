"""Photographs made of other photographs: shrunk, a share of them, or those of several sources."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from colorlib.images import Photo, Pixels, shrink


class Source(Protocol):
    """What every source promises."""

    @property
    def terms(self) -> str:
        """The photographs' own terms of use, in a line."""
        ...

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits there are, of train, val and test."""
        ...

    def photos(self, split: str) -> tuple[Photo, ...]:
        """The photographs of a split, verified, or a ValueError that names what is wrong."""
        ...


@dataclass(frozen=True)
class Shrunk:
    """Another source's photographs, shrunk until their short side has `short_side` pixels."""

    source: Source
    short_side: int

    @property
    def terms(self) -> str:
        """Those of the photographs."""
        return self.source.terms

    @property
    def splits(self) -> tuple[str, ...]:
        """Those of the source."""
        return self.source.splits

    def photos(self, split: str) -> tuple[Photo, ...]:
        """The source's photographs, each shrunk when it is decoded."""

        def shrunk(load: Callable[[], Pixels]) -> Pixels:
            return shrink(load(), self.short_side)

        return tuple(
            replace(photo, digest=f"{photo.digest}@{self.short_side}", load=partial(shrunk, photo.load))
            for photo in self.source.photos(split)
        )

    @property
    def origins(self) -> tuple[Source, ...]:
        """The sources whose files it needs."""
        return origins(self.source)


@dataclass(frozen=True)
class Reduced:
    """Another source with a share of its training photographs; a smaller share is a part of a larger one."""

    source: Source
    share: float
    """Above 0, up to 1."""

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        if not 0 < self.share <= 1:
            raise ValueError(f"{self.share} is not above 0 and up to 1")

    @property
    def terms(self) -> str:
        """Those of the photographs."""
        return self.source.terms

    @property
    def splits(self) -> tuple[str, ...]:
        """Those of the source."""
        return self.source.splits

    @property
    def origins(self) -> tuple[Source, ...]:
        """The sources whose files it needs."""
        return origins(self.source)

    def photos(self, split: str) -> tuple[Photo, ...]:
        """The source's photographs; of those to train on, the ones whose hash comes first."""
        photos = self.source.photos(split)
        if split != "train":
            return photos
        count = max(1, round(self.share * len(photos)))
        kept = {photo.digest for photo in sorted(photos, key=lambda photo: photo.digest)[:count]}
        return tuple(photo for photo in photos if photo.digest in kept)


@dataclass(frozen=True)
class Joined:
    """The training photographs of several sources, with the validation and test photographs of the first."""

    sources: tuple[Source, ...]

    @property
    def terms(self) -> str:
        """Those of all of them."""
        return "; ".join(source.terms for source in self.sources)

    @property
    def splits(self) -> tuple[str, ...]:
        """Those of the first source."""
        return self.sources[0].splits

    @property
    def origins(self) -> tuple[Source, ...]:
        """The sources whose files it needs."""
        return tuple(origin for source in self.sources for origin in origins(source))

    def photos(self, split: str) -> tuple[Photo, ...]:
        """The photographs of a split; names tell by a number which source each comes from."""
        taken = self.sources if split == "train" else self.sources[:1]
        return tuple(
            replace(photo, name=f"{number}/{photo.name}")
            for number, source in enumerate(taken)
            for photo in source.photos(split)
        )


def origins(source: Source) -> tuple[Source, ...]:
    """The sources whose files a source needs: its own, or those of what it was made of."""
    return getattr(source, "origins", (source,))
