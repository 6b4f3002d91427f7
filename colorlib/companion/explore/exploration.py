"""Predictions for notebooks/explore.ipynb: of any run and epoch, with errors and the values of single pixels.

Predictions are cached. Photographs are shown as previews of `PREVIEW` pixels first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from colorlib.color import gray_rgb, lightness, rgb_to_lab, to_bytes
from colorlib.colorizers import BASELINES, Colorize, Colorizer, adjust_lab, load_run
from colorlib.companion.artifacts.figures import REFERENCE, TRAINING, VALIDATION, Illustration, save, style
from colorlib.config import as_json, config_of_record
from colorlib.hints import Hint, place_hints
from colorlib.metrics import NEAR_GRAY_CHROMA
from colorlib.photos import PhotoSet, open_photos
from colorlib.photos.decode import Pixels, decode, shrink
from colorlib.photos.download import PhotosMissingError
from colorlib.profiles import Profile, changes_text
from colorlib.runs import Run

PREVIEW, FULL = 256, 512
"""Longest side in pixels of previews, and of the larger pictures; `colorlib colorize` has no such limit."""
PATCH = 13
"""Width in pixels of the gray patch around a pixel: the receptive field of the paper's network."""
ERROR_RANGE = 60.0
"""Distance in ab that the error map shows in its brightest color."""


@dataclass(frozen=True, kw_only=True)
class PixelValues:
    """Values at one pixel of a photograph: input patch, prediction and truth."""

    lightness: float
    """L, in [0, 100]."""
    truth: tuple[float, float]
    """The photograph's a and b."""
    prediction: tuple[float, float]
    """The prediction's a and b."""
    patch: NDArray[np.float32]
    """L of the `PATCH` × `PATCH` pixels around it; NaN outside the photograph."""


@dataclass(frozen=True, kw_only=True)
class SimilarPixels:
    """Pixels whose gray patches are most similar to a given one, one pixel per photograph."""

    colors: NDArray[np.float32]
    """Their true a and b, `(N, 2)`."""
    rgb: NDArray[np.float32]
    """The same as sRGB in [0, 1], `(N, 3)`."""
    distances: NDArray[np.float32]
    """Root mean square difference of the patches in L, `(N,)`."""


@dataclass
class Exploration:
    """Photographs, runs and baselines, with a cache of predictions."""

    runs: Mapping[str, Path]
    """Name of a run, as in the controls -> its run directory."""
    training_photos: PhotoSet
    """Photographs that are searched for similar patches."""
    figures: Path
    """Folder for its figures."""
    photos: dict[str, Pixels] = field(default_factory=dict)
    """Name -> photograph, `(H, W, 3)` uint8, longest side at most `FULL`."""
    _versions: dict[str, int] = field(default_factory=dict)
    """Name -> number of photographs added under it, part of the cache's key: an upload may replace a photograph."""
    _colorizers: dict[tuple[str, int | None], Colorize] = field(default_factory=dict)
    _colored: dict[tuple[str, int | None, str, int, bool], Tensor] = field(default_factory=dict)
    _similar: dict[tuple[str, int, int, int], SimilarPixels] = field(default_factory=dict)

    @classmethod
    def from_profile(cls, profile: Profile) -> "Exploration":
        """Return an exploration of the bundled photographs and all finished runs, those of the profile first.

        Figures go to the profile's folder, or to `scratch` where its training photographs are not on this machine.

        Raises:
            ValueError: no run is finished.
        """
        # Find the runs
        results = profile.results.parent
        found = [path.parent for path in sorted(results.glob("*/seed-*/weights.safetensors"))]
        found.sort(key=lambda path: path.parent != profile.results)
        runs = {path.relative_to(results).as_posix(): path for path in found}
        if not runs:
            raise ValueError(f"no finished run lies under {results}; `make reproduce PROFILE={profile.name}` makes one")
        # Open the training photographs; committed figures are not replaced by figures of other photographs
        training_photos = _training_photos(profile.photos)
        figures = profile.figures if training_photos.source == profile.photos else profile.figures.parent / "scratch"
        exploration = cls(runs=runs, training_photos=training_photos, figures=figures)
        for split in ("test", "val", "train"):
            for photo in open_photos("bundled", split):
                exploration.add(photo.name.partition("/")[2], photo.load())
        return exploration

    def add(self, name: str, photo: Pixels | bytes) -> str:
        """Add a photograph under a name, or replace the one of that name; returns the name.

        Args:
            name: its name in the controls.
            photo: pixels `(H, W, 3)` uint8, or the bytes of an image file.

        Raises:
            ValueError: the bytes are no image; the message names the fix.
        """
        pixels = decode(photo, name) if isinstance(photo, bytes) else photo
        self.photos[name] = longest(pixels, FULL)
        self._versions[name] = self._versions.get(name, 0) + 1
        return name

    def pixels(self, photo: str, *, full: bool = False) -> Pixels:
        """Return a photograph `(H, W, 3)` uint8: its preview, or `full` at up to `FULL` pixels."""
        return self.photos[photo] if full else longest(self.photos[photo], PREVIEW)

    def epochs(self, method: str) -> list[int]:
        """Return the epochs of a run with stored weights, the last epoch included; none for a baseline.

        Raises:
            ValueError: there is no such run.
        """
        if method in BASELINES:
            return []
        if method not in self.runs:
            raise ValueError(f"there is no run {method!r}; there are {', '.join(self.methods())}")
        run = Run(self.runs[method])
        stored = sorted(int(path.stem.partition("-")[2]) for path in run.path.glob("epochs/epoch-*.safetensors"))
        last = len(run.history())
        return [*(epoch for epoch in stored if epoch < last), last]

    def nearest_epoch(self, method: str, epoch: int | None) -> int | None:
        """Return the epoch with stored weights that is nearest to `epoch`, for None the last; None for a baseline."""
        epochs = self.epochs(method)
        return min(epochs, key=lambda stored: abs(stored - (epochs[-1] if epoch is None else epoch)), default=None)

    def methods(self) -> list[str]:
        """Return the names of the baselines, then those of the runs."""
        return [*BASELINES, *self.runs]

    def label(self, method: str) -> str:
        """Return a method in words: a baseline's name, or a run's network, photographs, updates and seed."""
        if method in BASELINES:
            return method
        config = config_of_record(Run(self.runs[method]).record())
        profile = Profile(name=method, settings=as_json(config), seeds=(config.seed,))
        network = f"network with {changes_text(profile.changes)}" if profile.changes else "the paper's network"
        return f"{network}, {config.photos}, {config.updates:,} updates, seed {config.seed}"

    def has_colors(self, photo: str) -> bool:
        """Return whether a photograph is in color, so that a prediction can be compared with it."""
        return _mean_chroma(self.pixels(photo)) >= NEAR_GRAY_CHROMA

    def colored(self, method: str, photo: str, *, epoch: int | None = None, full: bool = False) -> Tensor:
        """Return a method's raw output, sRGB `(3, H, W)` float in [0, 1]; cached.

        Args:
            method: a name of `methods`.
            photo: a name of `photos`.
            epoch: an epoch of `epochs`; None takes the last.
            full: color the photograph at up to `FULL` pixels, else its preview.
        """
        key = self._key(method, photo, epoch, full)
        if key not in self._colored:
            self._colored[key] = self._colorizer(method, key[1])(light_of(self.pixels(photo, full=full)))[0]
        return self._colored[key]

    def is_cached(self, method: str, photo: str, *, epoch: int | None = None, full: bool = False) -> bool:
        """Return whether `colored` has computed this prediction already."""
        return self._key(method, photo, epoch, full) in self._colored

    def _key(self, method: str, photo: str, epoch: int | None, full: bool) -> tuple[str, int | None, str, int, bool]:
        last = self.epochs(method)[-1:] == [epoch]
        return method, None if last else epoch, photo, self._versions[photo], full

    def _colorizer(self, method: str, epoch: int | None) -> Colorize:
        key = (method, epoch)
        if key not in self._colorizers:
            if method in BASELINES:
                self._colorizers[key] = BASELINES[method](self._baseline_photos)
            else:
                self._colorizers[key] = load_run(self.runs[method], epoch=epoch)
        return self._colorizers[key]

    @cached_property
    def _baseline_photos(self) -> list[Pixels]:
        """The bundled training photographs, on which baselines are fitted."""
        return [photo.load() for photo in open_photos("bundled", "train")]

    def halo(self, method: str) -> int | None:
        """Return the radius in pixels that a network sees around a pixel; None for a baseline."""
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
        hints: Sequence[Hint] = (),
        full: bool = False,
    ) -> Pixels:
        """Return a prediction as pixels `(H, W, 3)` uint8.

        Args:
            method, photo, epoch, full: as for `colored`.
            keep_luminance: replace its L by the photograph's.
            saturation: factor on its a and b.
            hints: colors at places of the photograph, which move a and b there.
        """
        rgb = self.colored(method, photo, epoch=epoch, full=full)
        if keep_luminance or saturation != 1.0 or hints:
            pixels = self.pixels(photo, full=full)
            light = light_of(pixels)[0]
            rows, columns = (slice(0, side) for side in light.shape[-2:])
            placed = place_hints(hints, torch.from_numpy(pixels.copy()).permute(2, 0, 1)) if hints else None
            rgb = adjust_lab(
                rgb,
                light=light if keep_luminance else None,
                saturation=saturation,
                change_ab=(lambda ab: placed.blend(ab, light, rows, columns)) if placed else None,
            )
        return _bytes(rgb)

    def gray(self, photo: str, *, full: bool = False) -> Pixels:
        """Return the network's input as gray pixels `(H, W, 3)` uint8."""
        return _bytes(gray_rgb(light_of(self.pixels(photo, full=full)))[0])

    def error(self, prediction: Pixels, photo: str, *, full: bool = False) -> Pixels:
        """Return the distance in ab between a prediction and the photograph as a color map, `(H, W, 3)` uint8.

        From black at 0 to almost white at `ERROR_RANGE`.
        """
        distance = (ab_of(prediction) - ab_of(self.pixels(photo, full=full))).square().sum(dim=0).sqrt()
        shade = mpl.colormaps["magma"]((distance / ERROR_RANGE).clamp(0, 1).numpy())
        mapped: Pixels = np.round(255 * np.asarray(shade)[..., :3]).astype(np.uint8)
        return mapped

    def pixel_values(self, prediction: Pixels, photo: str, row: int, column: int) -> PixelValues:
        """Return the values at one pixel of a preview and of its prediction."""
        pixels = self.pixels(photo)
        lightness = light_of(pixels)[0, 0].numpy()
        half = PATCH // 2
        padded = np.pad(lightness, half, constant_values=np.nan)
        truth, predicted = (ab_of(picture)[:, row, column].tolist() for picture in (pixels, prediction))
        return PixelValues(
            lightness=float(lightness[row, column]),
            truth=(truth[0], truth[1]),
            prediction=(predicted[0], predicted[1]),
            patch=padded[row : row + PATCH, column : column + PATCH],
        )

    def similar_pixels(self, photo: str, row: int, column: int) -> SimilarPixels:
        """Return, of each training photograph, the pixel whose gray patch is most similar to that of a preview's pixel.

        Training photographs are searched at their full size, as they are trained on.
        """
        *_, last = self.search_similar(photo, row, column)
        return last

    def search_similar(self, photo: str, row: int, column: int) -> Iterator[SimilarPixels]:
        """Yield what `similar_pixels` returns, of the photographs searched so far: all of them at last; cached.

        Args:
            photo: a name of `photos`.
            row: the pixel's row in the preview.
            column: the pixel's column in the preview.
        """
        key = photo, self._versions[photo], row, column
        if key in self._similar:
            yield self._similar[key]
            return
        wanted = patches_at(self.pixels(photo), [(row, column)])
        places, distances = [], []
        for training_photo in self.training_photos:
            pixels = training_photo.load()
            if min(pixels.shape[:2]) < PATCH:
                continue
            rows, columns, mean_square = most_similar(light_of(pixels), wanted)
            places.append(pixels[int(rows), int(columns)])
            distances.append(float(mean_square.clamp(min=0).sqrt()))
            row_of_pixels = np.stack(places)[None]
            found = SimilarPixels(
                colors=ab_of(row_of_pixels)[:, 0].T.numpy(),
                rgb=(row_of_pixels[0] / 255).astype(np.float32),
                distances=np.asarray(distances, np.float32),
            )
            yield found
        self._similar[key] = found


def patches_at(pixels: Pixels, places: Sequence[tuple[int, int]]) -> Tensor:
    """Return L of the patches around some pixels, `(N, 1, PATCH, PATCH)`; beyond an edge its pixels are repeated.

    Args:
        pixels: the picture.
        places: row and column of each pixel.
    """
    half = PATCH // 2
    padded = F.pad(light_of(pixels), (half, half, half, half), mode="replicate")
    return torch.cat([padded[:, :, row : row + PATCH, column : column + PATCH] for row, column in places])


def most_similar(searched: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pixels of a photograph whose gray patches are most similar to some patches.

    Args:
        searched: L of the photograph, `(1, 1, H, W)`, at least `PATCH` high and wide.
        wanted: the patches, `(N, 1, PATCH, PATCH)`.

    Returns:
        Rows, columns, and mean squared differences of the patches in L, `(N,)` each.
    """
    # Σ (x - w)² = Σ x² - 2 Σ x w + Σ w², for all positions at once by convolutions
    constant = torch.stack([patch.square().sum() for patch in wanted])
    squares = F.conv2d(searched**2, torch.ones_like(wanted[:1])) - 2 * F.conv2d(searched, wanted)
    mean_square = (squares[0] + constant[:, None, None]).flatten(1) / PATCH**2
    least, place = mean_square.min(dim=1)
    width = squares.shape[-1]
    return place // width + PATCH // 2, place % width + PATCH // 2, least


def _training_photos(name: str) -> PhotoSet:
    """Return a source's training photographs, or the bundled ones where these are not on this machine."""
    try:
        return open_photos(name, "train")
    except PhotosMissingError:
        print(f"the bundled photographs are searched for similar patches; `colorlib data fetch {name}` gets more")
        return open_photos("bundled", "train")


def longest(pixels: Pixels, side: int) -> Pixels:
    """Return pixels whose longest side is at most `side`."""
    height, width = pixels.shape[:2]
    if max(height, width) <= side:
        return pixels
    return shrink(pixels, max(1, round(side * min(height, width) / max(height, width))))


def light_of(pixels: Pixels) -> Tensor:
    """Return L, `(1, 1, H, W)` float in [0, 100]."""
    return lightness(torch.from_numpy(pixels.copy()).permute(2, 0, 1)).unsqueeze(0)


def ab_of(pixels: Pixels) -> Tensor:
    """Return a and b, `(2, H, W)` float."""
    return rgb_to_lab(torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255)[1:]


def _mean_chroma(pixels: Pixels) -> float:
    """Return the mean distance from gray in ab."""
    return float(ab_of(pixels).square().sum(dim=0).sqrt().mean())


def _bytes(rgb: Tensor) -> Pixels:
    """Return sRGB `(3, H, W)` float as pixels `(H, W, 3)` uint8."""
    pixels: Pixels = to_bytes(rgb).permute(1, 2, 0).numpy()
    return pixels


# The notebook's figures


def colors_by_epoch(exploration: Exploration, method: str, photo: str, path: Path) -> Illustration:
    """Draw a photograph as each epoch with stored weights colors it, between the gray input and the truth.

    Args:
        exploration: photographs and runs.
        method: a run's name.
        photo: a photograph's name.
        path: the PNG file to write.
    """
    epochs = exploration.epochs(method)
    truth = exploration.pixels(photo)
    panels = [("gray", exploration.gray(photo))]
    panels += [(f"epoch {epoch}", exploration.shown(method, photo, epoch=epoch)) for epoch in epochs]
    panels += [("truth", truth)]
    chroma = [_mean_chroma(picture) for _, picture in panels]
    columns = 4
    rows = -(-len(panels) // columns)
    height, width = truth.shape[:2]
    with style():
        panel_height, gap = 1.6 * height / width, 0.4  # inches, of a panel and between two rows
        figure = Figure(figsize=(6.6, rows * panel_height + (rows - 1) * gap))
        for index, (title, picture) in enumerate(panels):
            axes = figure.add_subplot(rows, columns, index + 1)
            axes.imshow(picture, interpolation="antialiased")
            axes.set_title(title, fontsize=8, pad=3)
            axes.set_xlabel(f"mean chroma {chroma[index]:.1f}", fontsize=7, labelpad=2)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        figure.subplots_adjust(wspace=0.04, hspace=gap / panel_height, left=0, right=1, bottom=0, top=1)
        save(figure, path, dpi=150)
    return Illustration(
        path=path,
        figure=figure,
        data=pd.DataFrame({"picture": [title for title, _ in panels], "mean chroma": chroma}),
        label="Colors by epoch.",
        caption=(
            f"The raw RGB output of the run {method} for {photo}, after the epochs whose weights were stored, between "
            "the network's input and the truth. Chroma is the distance from gray in ab."
        ),
        alt=(
            f"The same photograph {len(panels)} times, from gray to its true colors. Mean chroma: "
            + ", ".join(f"{title} {value:.1f}" for (title, _), value in zip(panels, chroma, strict=True))
            + "."
        ),
    )


def draw_colors(axes: Axes, similar: SimilarPixels, values: PixelValues, method: str, *, truth: bool = True) -> None:
    """Draw the true colors of similar gray patches in the plane of a and b, each as a dot of its own color.

    Args:
        axes: drawn into.
        similar: the patches.
        values: of the pixel whose patch they are similar to; its prediction and truth are marked.
        method: the label of the prediction.
        truth: whether the truth is known.
    """
    axes.axhline(0, color=REFERENCE, linewidth=0.4)
    axes.axvline(0, color=REFERENCE, linewidth=0.4)
    a, b = similar.colors.T
    axes.scatter(a, b, c=similar.rgb, s=14, linewidths=0.3, edgecolors=REFERENCE, label="like patches")
    marks = [
        (tuple(similar.colors.mean(axis=0)), "X", "#111111", "their mean"),
        (values.prediction, "o", TRAINING, method),
        (values.truth, "*", VALIDATION, "the truth here"),
    ]
    for (a, b), marker, color, label in marks if truth else marks[:2]:
        axes.plot(
            [a], [b], marker, color=color, markersize=12 if marker == "*" else 8, markeredgecolor="white", label=label
        )
    axes.set(xlabel="a", aspect="equal")
    axes.set_ylabel("b", rotation=0)
    axes.margins(0.08)


def averaged_colors(
    exploration: Exploration, method: str, photo: str, path: Path, *, row: int, column: int
) -> tuple[Illustration, PixelValues]:
    """Draw the true colors of similar gray patches, their mean, and the network's prediction for one pixel.

    Args:
        exploration: photographs and runs.
        method: a run's name.
        photo: a photograph's name.
        path: the PNG file to write.
        row: the pixel's row in the preview.
        column: the pixel's column in the preview.

    Returns:
        The figure, and the values at the pixel.
    """
    values = exploration.pixel_values(exploration.shown(method, photo), photo, row, column)
    similar = exploration.similar_pixels(photo, row, column)
    mean = similar.colors.mean(axis=0)
    with style():
        figure = Figure(figsize=(6.6, 2.9))
        # The input with the patch marked, and the patch enlarged
        picture, patch, plane = figure.subplots(1, 3, width_ratios=(1.2, 0.6, 1.7))
        picture.imshow(exploration.gray(photo), interpolation="antialiased")
        half = PATCH / 2
        square = mpl.patches.Rectangle(
            (column - half, row - half), PATCH, PATCH, fill=False, edgecolor=VALIDATION, linewidth=1.2
        )
        picture.add_patch(square)
        picture.set_title("the network's input", fontsize=8)
        patch.imshow(values.patch, cmap="gray", vmin=0, vmax=100, interpolation="nearest")
        patch.set_title(f"{PATCH} × {PATCH} pixels decide", fontsize=8)
        for axes in (picture, patch):
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        # Colors in the plane of a and b
        draw_colors(plane, similar, values, "the network")
        figure.subplots_adjust(wspace=0.3, left=0.0, right=0.99, top=0.92, bottom=0.24)
        figure.legend(
            *plane.get_legend_handles_labels(),
            fontsize=7,
            ncols=4,
            loc="lower center",
            handletextpad=0.2,
            columnspacing=1.2,
        )
        save(figure, path)
    at = f"row {row}, column {column} of {photo}"
    mean_chroma, chroma_of_mean = np.hypot(*similar.colors.T).mean(), np.hypot(*mean)
    numbers = (
        f"mean ({mean[0]:.0f}, {mean[1]:.0f}), network ({values.prediction[0]:.0f}, "
        f"{values.prediction[1]:.0f}), truth here ({values.truth[0]:.0f}, {values.truth[1]:.0f})"
    )
    return (
        Illustration(
            path=path,
            figure=figure,
            data=pd.DataFrame({"a": similar.colors[:, 0], "b": similar.colors[:, 1], "distance": similar.distances}),
            chart=True,
            label="Averaged colors.",
            caption=(
                f"From each of {len(similar.colors)} training photographs of "
                f"{exploration.training_photos.source}, the true a and b of the pixel whose {PATCH} × {PATCH} gray "
                f"patch is most similar to that at {at}: {numbers}. The patches differ by "
                f"{np.median(similar.distances):.1f} in L (median). The mean chroma of these pixels is "
                f"{mean_chroma:.0f}, the chroma of their mean color {chroma_of_mean:.0f}: one prediction has to fit "
                "all of them."
            ),
            alt=(
                "A gray photograph with a small square marked, the square enlarged, and a scatter plot of a and b: "
                f"{len(similar.colors)} true colors of similar patches, {numbers}."
            ),
            numbers={
                "mean chroma": round(float(mean_chroma), 2),
                "chroma of the mean": round(float(chroma_of_mean), 2),
            },
        ),
        values,
    )
