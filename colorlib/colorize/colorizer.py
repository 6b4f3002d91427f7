"""Color photographs in memory: tensors, NumPy arrays, PIL images and files."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from colorlib.color import lightness, resize, to_bytes
from colorlib.colorizers import Colorize, Colorizer, adjust_lab, fit_look_up_table, load_run
from colorlib.device import choose_device
from colorlib.files import sha256
from colorlib.hints import Hint, PlacedHints, check_hints, place_hints
from colorlib.metrics import is_near_gray
from colorlib.model import Network
from colorlib.photos.decode import Pixels, from_pillow, open_image, open_regular, row_strips, srgb_pixels
from colorlib.profiles import PROJECT
from colorlib.runs import Run
from colorlib.targets import RGB

Hints = Iterable[tuple[float, float, str] | Hint]
"""Colors at places of a photograph: `(x, y, "#rrggbb")`."""

MODELS = {name: PROJECT / "results" / name / "seed-0" for name in ("lightweight", "paper", "small", "cpu")}
"""Networks by name, and their runs; the first is the default, the best one on held-out photographs."""
TILE = 384
"""Side in pixels of the tiles that photographs are colored in; a scan of 100 megapixels then takes below 1.2 GB."""


def load_colorizer(
    model: str | Path | None = None,
    *,
    like: str | Path | None = None,
    device: str = "auto",
    keep_luminance: bool = True,
    saturation: float = 1.0,
) -> "PhotoColorizer":
    """Load what colors photographs: a trained network, or the palette of another photograph.

    Args:
        model: a name in `MODELS`, or a run directory (`./paper` is one, `paper` a name); None for the default network.
        like: the file of a color photograph: for each L the mean color of its pixels, in place of a network.
        device: device of the network: `auto`, `cpu`, `cuda`, `mps`, …
        keep_luminance: keep each photograph's own L; False gives the raw RGB output.
        saturation: factor of the predicted a and b, at least 0.

    Raises:
        ValueError: no finished run there, both `model` and `like`, `like` is no color photograph, no such device, or
            saturation that is negative or not finite.
    """
    if not 0 <= saturation < math.inf:
        raise ValueError(f"saturation={saturation:g}: it must be at least 0, and finite")
    if model is not None and like is not None:
        raise ValueError(f"model={model} and like={like} exclude each other; choose one")
    if like is not None:
        colorizer, name, weights = _load_palette(Path(like)), f"like {like}", ""
    else:
        run = find_run(model)
        colorizer = load_run(run, device=choose_device(device))
        name, weights = str(next(iter(MODELS)) if model is None else model), sha256(Run(run).weights)
    return PhotoColorizer(
        colorizer=replace(colorizer, tile=TILE),
        keep_luminance=keep_luminance,
        saturation=saturation,
        name=name,
        weights=weights,
        palette=sha256(Path(like)) if like is not None else None,
    )


def find_run(model: str | Path | None = None) -> Path:
    """Return the run of a name in `MODELS`, or a run directory itself; None means the default network.

    Raises:
        ValueError: there is none; the message has the names, and the option for other runs.
    """
    name = next(iter(MODELS)) if model is None else model
    run = MODELS.get(str(name), Path(name)) if isinstance(name, str) else name
    if Run(run).weights.is_file():
        return run
    raise ValueError(
        f"there are no weights in {run}; name another network (--model {', '.join(MODELS)}), or a run of yours "
        "(--model RUN), which `colorlib train RUN` writes"
    )


class _Palette(Network):
    """Look-up table in place of a network: the color of a pixel depends on its L alone."""

    halo = 0

    def __init__(self, colorize: Colorize) -> None:
        super().__init__(RGB.head)
        self.colorize = colorize

    def forward(self, light: Tensor) -> Tensor:
        return self.colorize(100.0 * light)


def _load_palette(like: Path) -> Colorizer:
    """Return the look-up table that is fitted to one photograph.

    Raises:
        ValueError: the file cannot be read, or its photograph is nearly gray; the message names it.
    """
    pixels = _read(like)[0]
    if is_near_gray(torch.from_numpy(pixels).permute(2, 0, 1)):
        raise ValueError(f"{like} is nearly gray; name a color photograph, whose colors are taken (--like)")
    return Colorizer(network=_Palette(fit_look_up_table([pixels])), target=RGB(), device=torch.device("cpu"))


def _read(photo: Path) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """Return the pixels of a photograph's file and its alpha channel, as `srgb_pixels`."""
    with open_regular(photo) as file:
        return srgb_pixels(open_image(file, str(photo)))


@dataclass(frozen=True, kw_only=True, repr=False)
class PhotoColorizer:
    """Callable that colors tensors, NumPy arrays, PIL images and files; `load_colorizer` returns one."""

    colorizer: Colorizer
    """Network that maps L to sRGB, tile by tile."""
    keep_luminance: bool = True
    """Keep the photograph's own L, so that no sharpness is lost, and take only the network's a and b."""
    saturation: float = 1.0
    """Factor of the predicted a and b; those of hints stay."""
    name: str = ""
    """Name of the network, its run, or the photograph whose palette it is."""
    weights: str = ""
    """SHA-256 of the file of the network's weights; empty for a palette."""
    palette: str | None = None
    """SHA-256 of the photograph whose palette it is; None for a network."""
    hints: tuple[Hint, ...] = ()
    """Colors at places of the photograph, for calls that give none."""

    def __repr__(self) -> str:
        return (
            f"PhotoColorizer({self.name!r}, keep_luminance={self.keep_luminance}, saturation={self.saturation:g}, "
            f"hints={len(self.hints)}, device={str(self.colorizer.device)!r})"
        )

    @property
    def options(self) -> dict[str, object]:
        """Settings that change pixels, and the color hints, as JSON data for the label of a copy."""
        hints = [[hint.x, hint.y, hint.color] for hint in self.hints]
        options: dict[str, object] = {"keep_luminance": self.keep_luminance, "saturation": self.saturation}
        return options | {"hints": hints} | ({"like": self.palette} if self.palette else {})

    @overload
    def __call__(self, photo: Tensor, *, hints: Hints | None = None) -> Tensor: ...
    @overload
    def __call__(self, photo: NDArray[Any], *, hints: Hints | None = None) -> NDArray[Any]: ...
    @overload
    def __call__(self, photo: Image.Image | str | Path, *, hints: Hints | None = None) -> Image.Image: ...

    def __call__(
        self, photo: Tensor | NDArray[Any] | Image.Image | str | Path, *, hints: Hints | None = None
    ) -> Tensor | NDArray[Any] | Image.Image:
        """Color a photograph; of a color photograph, only L is used.

        Args:
            photo: one of

                - a tensor, `(1 or 3, H, W)` or `(B, 1 or 3, H, W)`: sRGB, uint8, or float in [0, 1];
                - an array, `(H, W)`, `(H, W, 1)` or `(H, W, 3)`, of the same values;
                - a PIL image of any mode but float and 32-bit integer; its EXIF orientation is applied;
                - the path of an image file.
            hints: colors at places of the upright photograph, `(x, y, "#rrggbb")` with x and y as shares of its width
                and height from the upper left corner; they spread to where place and lightness are alike
                (`colorlib.hints`). None takes those of this object.

        Returns:
            The type that was passed: a tensor `(…, 3, H, W)` or an array `(H, W, 3)`, both of the input's dtype, or,
            for files too, a PIL image of mode RGB, or RGBA if some of it is transparent.

        Raises:
            TypeError: another type.
            ValueError: another shape or dtype, float values outside [0, 1], a float or 32-bit PIL image, which has no
                defined white, a file that cannot be read, or hints that are none or are for several photographs.
        """
        if hints is not None:
            return replace(self, hints=check_hints(hints))(photo)
        if isinstance(photo, Image.Image | str | Path):
            if isinstance(photo, Image.Image):
                pixels, alpha = srgb_pixels(from_pillow(photo, "the picture"))
            else:
                pixels, alpha = _read(Path(photo).expanduser())
            for _ in color_pixels(pixels, self):
                pass
            colored = Image.fromarray(pixels)
            if alpha is not None:
                colored.putalpha(Image.fromarray(alpha))
            return colored
        if isinstance(photo, np.ndarray):
            if photo.ndim not in (2, 3):
                raise ValueError(f"an array of shape {photo.shape}: expected (H, W), (H, W, 1) or (H, W, 3)")
            planes = np.atleast_3d(photo).transpose(2, 0, 1)
            array: NDArray[Any] = self._tensor(torch.from_numpy(planes.copy())).permute(1, 2, 0).numpy()
            return array
        if isinstance(photo, Tensor):
            return self._tensor(photo)
        raise TypeError(f"a {type(photo).__name__}: expected a tensor, a NumPy array, a PIL image or a path")

    def _tensor(self, photo: Tensor) -> Tensor:
        # Check shape, dtype and range
        if photo.ndim not in (3, 4) or photo.shape[-3] not in (1, 3) or 0 in photo.shape:
            raise ValueError(f"shape {tuple(photo.shape)}: expected 1 or 3 channels, then height and width")
        if photo.dtype != torch.uint8:
            if not photo.is_floating_point():
                raise ValueError(f"values of type {photo.dtype}: expected uint8, or float in [0, 1]")
            low, high = float(photo.min()), float(photo.max())
            if not (low >= 0.0 and high <= 1.0):
                raise ValueError(f"values from {low:.9g} to {high:.9g}: expected uint8, or float in [0, 1]")
        batch = photo if photo.ndim == 4 else photo.unsqueeze(0)
        if self.hints and len(batch) > 1:
            raise ValueError(f"hints for a batch of {len(batch)} photographs; color them one by one")
        # Color
        batch = batch.expand(-1, 3, -1, -1).cpu()
        light = lightness(batch).float()
        rgb = self.colorizer(light).clone()  # a copy outside inference mode, which autograd accepts
        placed = place_hints(self.hints, batch[0]) if self.hints else None
        rgb = self.adjust(rgb, light, placed, slice(0, light.shape[-2]), slice(0, light.shape[-1]))
        # Return the input's shape, dtype and device
        rgb = to_bytes(rgb) if photo.dtype == torch.uint8 else rgb.to(photo.dtype)
        return (rgb if photo.ndim == 4 else rgb[0]).to(photo.device)

    def adjust(self, rgb: Tensor, light: Tensor, hints: PlacedHints | None, rows: slice, columns: slice) -> Tensor:
        """Return the network's output with the photograph's L, saturation and hints as this object has them.

        Args:
            rgb: sRGB of a tile, `(B, 3, h, w)` float in [0, 1].
            light: the photograph's L there, `(B, 1, h, w)` float in [0, 100].
            hints: `hints` on the photograph; None without any.
            rows: rows of the tile in the photograph.
            columns: its columns.
        """
        if not self.keep_luminance and self.saturation == 1.0 and hints is None:
            return rgb
        return adjust_lab(
            rgb,
            light=light if self.keep_luminance else None,
            saturation=self.saturation,
            change_ab=(lambda ab: hints.blend(ab, light, rows, columns)) if hints is not None else None,
        )


def color_pixels(pixels: Pixels, photo_colorizer: PhotoColorizer) -> Iterator[int]:
    """Color a photograph in place, tile by tile, so that a large one needs no second copy.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB, overwritten. The network's input is its L.
        photo_colorizer: the network, its settings and the hints.

    Yields:
        The number of pixels of each tile, after it is colored.
    """
    colorizer, hints = photo_colorizer.colorizer, photo_colorizer.hints
    placed = place_hints(hints, torch.from_numpy(pixels).permute(2, 0, 1)) if hints else None
    band = pixels[:0]
    rows = slice(0, 0)
    overview = colorizer.overview(_narrow_lightness(pixels, colorizer.view)) if colorizer.view else None
    for tile in colorizer.tiles(*pixels.shape[:2]):
        seen = tile.seen[0]
        if tile.place[0].stop > rows.stop:
            # Start the next band of tiles. The rows above it are colored already; the network needs the original
            # ones, which are still in the previous band.
            above = band[seen.start - rows.start : tile.place[0].start - rows.start]
            band, first = np.concatenate((above, pixels[tile.place[0].start : seen.stop])), seen.start
            rows = slice(first, tile.place[0].stop)
        # Color the tile with the context that the network sees around it
        piece = torch.from_numpy(band[:, tile.seen[1]].copy()).permute(2, 0, 1).unsqueeze(0)
        light = lightness(piece)
        rgb = colorizer.color_tile(light, tile, overview)[..., *tile.inner]
        rgb = photo_colorizer.adjust(rgb, light[..., *tile.inner], placed, *tile.place)
        # Write it back
        colored = to_bytes(rgb)[0].permute(1, 2, 0).numpy()
        pixels[tile.place] = colored
        yield colored.shape[0] * colored.shape[1]


def _narrow_lightness(pixels: Pixels, width: int) -> Tensor:
    """Return L of a whole photograph, `(1, 1, H, width)`: its rows are shrunk strip by strip, to bound memory."""
    strips = [torch.from_numpy(pixels[rows]).permute(2, 0, 1).unsqueeze(0) for rows in row_strips(len(pixels))]
    return torch.cat([resize(lightness(strip), strip.shape[-2], width) for strip in strips], dim=-2)
