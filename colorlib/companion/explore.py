"""What notebooks/explore.ipynb shows: predictions of any run and epoch, their errors, and what one pixel was made of.

Everything is computed once and kept. Pictures are shown as previews of `PREVIEW` pixels first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from colorlib.baselines import BASELINES
from colorlib.color import gray_rgb, lightness, rgb_to_lab, to_bytes
from colorlib.colorizer import Colorize, Colorizer, load_run, toned
from colorlib.images import Pixels, decode, shrink
from colorlib.photos import PhotoSet, open_photos
from colorlib.places import PhotosMissingError
from colorlib.profiles import Profile
from colorlib.runs import Run

PREVIEW, FULL = 256, 512
"""Longest side of the pictures shown at once, and of those that follow; `colorlib colorize` does any size."""
WIDTH = 13
"""Width of the gray patch that decides a pixel of the paper's network."""
ERROR_RANGE = 60.0
"""ab distance that the error map shows as its brightest color."""


@dataclass(frozen=True, kw_only=True)
class PixelFacts:
    """One pixel of a photograph: what the network saw, what it answered, and the truth."""

    light: float
    """L, in [0, 100]."""
    truth: tuple[float, float]
    """The photograph's a and b."""
    answer: tuple[float, float]
    """The prediction's a and b."""
    patch: NDArray[np.float32]
    """L of the `WIDTH` × `WIDTH` pixels around it; NaN outside the photograph."""


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Pixels whose gray patches are like that of a chosen one, one of each photograph."""

    colors: NDArray[np.float32]
    """Their true a and b, `(N, 2)`."""
    distances: NDArray[np.float32]
    """Root mean square difference of the patches, in L."""


@dataclass
class Exploration:
    """Photographs, runs and baselines, and what is known of them so far."""

    runs: Mapping[str, Path]
    """Run directories by the names that people choose."""
    learned_from: PhotoSet
    """Training photographs, in which like patches are looked for."""
    figures: Path
    """Where its pictures go: the profile's folder where they are made of the profile's photographs."""
    photos: dict[str, Pixels] = field(default_factory=dict)
    """Photographs by name, `(H, W, 3)` uint8, longest side at most `FULL`."""
    _versions: dict[str, int] = field(default_factory=dict)
    """How often a photograph of that name was taken in: what was computed of an older one is not found again."""
    _colorizers: dict[tuple[str, int | None], Colorize] = field(default_factory=dict)
    _colored: dict[tuple[str, int | None, str, int, bool], Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, profile: Profile) -> "Exploration":
        """The bundled photographs, and every finished run of the project, those of a profile first."""
        results = profile.results.parent
        found = [path.parent for path in sorted(results.glob("*/seed-*/weights.safetensors"))]
        found.sort(key=lambda path: path.parent != profile.results)
        runs = {path.relative_to(results).as_posix(): path for path in found}
        if not runs:
            raise ValueError(f"no finished run lies under {results}; `make reproduce PROFILE={profile.name}` makes one")
        learned_from = _training_photos(profile.photos)
        # What is made of other photographs does not replace what is committed.
        figures = profile.figures if learned_from.source == profile.photos else profile.figures.parent / "scratch"
        exploration = cls(runs=runs, learned_from=learned_from, figures=figures)
        for split in ("test", "val", "train"):
            for photo in open_photos("bundled", split):
                exploration.add(photo.name.partition("/")[2], photo.load())
        return exploration

    def add(self, name: str, photo: Pixels | bytes) -> str:
        """Take in a photograph, decoded or as a file's bytes; returns the name it can be chosen by.

        Raises:
            ValueError: it is no image; the message says what to do.
        """
        pixels = decode(photo, name) if isinstance(photo, bytes) else photo
        self.photos[name] = _longest(pixels, FULL)
        self._versions[name] = self._versions.get(name, 0) + 1
        return name

    def pixels(self, photo: str, *, full: bool = False) -> Pixels:
        """A photograph as it is shown."""
        return self.photos[photo] if full else _longest(self.photos[photo], PREVIEW)

    def epochs(self, method: str) -> list[int]:
        """The epochs of a run whose weights were kept, the last one at the end; a baseline has none."""
        if method in BASELINES:
            return []
        if method not in self.runs:
            raise ValueError(f"there is no run {method!r}; there are {', '.join(self.methods())}")
        run = Run(self.runs[method])
        kept = sorted(int(path.stem.partition("-")[2]) for path in run.path.glob("epochs/epoch-*.safetensors"))
        last = len(run.history())
        return [*(epoch for epoch in kept if epoch < last), last]

    def methods(self) -> list[str]:
        """What can color: runs, then baselines."""
        return [*self.runs, *BASELINES]

    def colored(self, method: str, photo: str, *, epoch: int | None = None, full: bool = False) -> Tensor:
        """A method's sRGB, `(3, H, W)` float in [0, 1], of a photograph; computed once.

        Args:
            method: a name of `methods`.
            photo: a name of `photos`.
            epoch: an epoch that was kept; None takes the last.
            full: the photograph as it is kept, else its preview.
        """
        key = self._key(method, photo, epoch, full)
        if key not in self._colored:
            self._colored[key] = self._colorizer(method, key[1])(_light(self.pixels(photo, full=full)))[0]
        return self._colored[key]

    def knows(self, method: str, photo: str, *, epoch: int | None = None, full: bool = False) -> bool:
        """Whether `colored` has the answer already."""
        return self._key(method, photo, epoch, full) in self._colored

    def _key(self, method: str, photo: str, epoch: int | None, full: bool) -> tuple[str, int | None, str, int, bool]:
        last = self.epochs(method)[-1:] == [epoch]
        return method, None if last else epoch, photo, self._versions[photo], full

    def _colorizer(self, method: str, epoch: int | None) -> Colorize:
        key = (method, epoch)
        if key not in self._colorizers:
            if method in BASELINES:
                self._colorizers[key] = BASELINES[method](self._fitted_on)
            else:
                self._colorizers[key] = load_run(self.runs[method], epoch=epoch)
        return self._colorizers[key]

    @cached_property
    def _fitted_on(self) -> list[Pixels]:
        return [photo.load() for photo in open_photos("bundled", "train")]

    def halo(self, method: str) -> int | None:
        """How far a method sees around a pixel; None for a baseline."""
        colorizer = self._colorizer(method, None)
        return colorizer.network.halo if isinstance(colorizer, Colorizer) else None

    def shown(
        self,
        method: str,
        photo: str,
        *,
        epoch: int | None = None,
        keep_luminance: bool = False,
        saturation: float = 1.0,
        full: bool = False,
    ) -> Pixels:
        """A prediction as a picture, toned as asked."""
        rgb = self.colored(method, photo, epoch=epoch, full=full)
        if keep_luminance or saturation != 1.0:
            light = _light(self.pixels(photo, full=full))[0] if keep_luminance else None
            rgb = toned(rgb, light=light, saturation=saturation)
        return _bytes(rgb)

    def gray(self, photo: str, *, full: bool = False) -> Pixels:
        """What the network is shown."""
        return _bytes(gray_rgb(_light(self.pixels(photo, full=full)))[0])

    def error(self, prediction: Pixels, photo: str, *, full: bool = False) -> Pixels:
        """The distance in ab between a picture and the photograph, pixel by pixel, as a map of colors."""
        distance = (_ab(prediction) - _ab(self.pixels(photo, full=full))).square().sum(dim=0).sqrt()
        shade = mpl.colormaps["magma"]((distance / ERROR_RANGE).clamp(0, 1).numpy())
        mapped: Pixels = np.round(255 * np.asarray(shade)[..., :3]).astype(np.uint8)
        return mapped

    def facts(self, prediction: Pixels, photo: str, row: int, column: int) -> PixelFacts:
        """What is known of one pixel of a preview."""
        pixels = self.pixels(photo)
        light = _light(pixels)[0, 0].numpy()
        half = WIDTH // 2
        padded = np.pad(light, half, constant_values=np.nan)
        truth, answer = (_ab(picture)[:, row, column].tolist() for picture in (pixels, prediction))
        return PixelFacts(
            light=float(light[row, column]),
            truth=(truth[0], truth[1]),
            answer=(answer[0], answer[1]),
            patch=padded[row : row + WIDTH, column : column + WIDTH],
        )

    def alike(self, photo: str, row: int, column: int) -> Alike:
        """Of each photograph the method was trained on, the pixel whose gray patch is most like a preview's.

        The patches are those of the photographs as they are trained on, at their full size.
        """
        half = WIDTH // 2
        light = F.pad(_light(self.pixels(photo)), (half, half, half, half), mode="replicate")
        wanted = light[:, :, row : row + WIDTH, column : column + WIDTH]
        ones = torch.ones_like(wanted)
        colors, distances = [], []
        for other in self.learned_from:
            pixels = other.load()
            seen = _light(pixels)
            if min(seen.shape[-2:]) < WIDTH:
                continue
            squares = F.conv2d(seen**2, ones) - 2 * F.conv2d(seen, wanted) + wanted.square().sum()
            mean_square = squares[0, 0] / WIDTH**2
            top, left = divmod(int(mean_square.argmin()), mean_square.shape[1])
            colors.append(_ab(pixels[top + half : top + half + 1, left + half : left + half + 1])[:, 0, 0])
            distances.append(float(mean_square.min().clamp(min=0).sqrt()))
        return Alike(colors=torch.stack(colors).numpy(), distances=np.asarray(distances, np.float32))


def _training_photos(name: str) -> PhotoSet:
    """Those of a source where they are on this machine, else the bundled ones; captions say which."""
    try:
        return open_photos(name, "train")
    except PhotosMissingError:
        print(f"like patches are looked for in the bundled photographs; `colorlib data fetch {name}` gets more")
        return open_photos("bundled", "train")


def _longest(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    if max(height, width) <= side:
        return pixels
    return shrink(pixels, max(1, round(side * min(height, width) / max(height, width))))


def _light(pixels: Pixels) -> Tensor:
    """L, `(1, 1, H, W)`."""
    return lightness(torch.from_numpy(pixels.copy()).permute(2, 0, 1)).unsqueeze(0)


def _ab(pixels: Pixels) -> Tensor:
    return rgb_to_lab(torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255)[1:]


def chroma(pixels: Pixels) -> float:
    """Mean distance from gray in ab."""
    return float(_ab(pixels).square().sum(dim=0).sqrt().mean())


def _bytes(rgb: Tensor) -> Pixels:
    pixels: Pixels = to_bytes(rgb).permute(1, 2, 0).numpy()
    return pixels
