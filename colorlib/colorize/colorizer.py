"""Color photographs in memory: tensors, NumPy arrays and PIL images."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from colorlib.color import lightness, to_bytes
from colorlib.colorizers import Colorizer, adjust_lab, load_run
from colorlib.device import choose_device
from colorlib.files import sha256
from colorlib.photos.decode import Pixels, from_pillow, row_strips, srgb_pixels
from colorlib.provenance import PACKAGE
from colorlib.runs import Run

COMMITTED_RUNS = tuple(PACKAGE.parent / "results" / profile / "seed-0" for profile in ("paper", "cpu"))
"""Runs whose weights are committed to the repository, the best first."""
TILE = 384
"""Side in pixels of the tiles that photographs are colored in; a scan of 100 megapixels then needs below 1.5 GB."""


def load_colorizer(
    run: str | Path | None = None,
    *,
    device: str = "auto",
    keep_luminance: bool = True,
    saturation: float = 1.0,
) -> "PhotoColorizer":
    """Load a trained network that colors photographs.

    Args:
        run: a run directory; None for the committed weights.
        device: `auto`, `cpu`, `cuda`, `mps`, …
        keep_luminance: keep each photograph's own L; False gives the network's raw RGB output.
        saturation: factor of a and b, at least 0.

    Raises:
        ValueError: no finished run there, no such device, or saturation that is negative or not finite.
    """
    if not 0 <= saturation < math.inf:
        raise ValueError(f"saturation={saturation:g}: it must be at least 0, and finite")
    path = committed_run() if run is None else Path(run)
    colorizer = load_run(path, device=choose_device(device))
    return PhotoColorizer(
        colorizer=replace(colorizer, tile=TILE),
        keep_luminance=keep_luminance,
        saturation=saturation,
        weights=sha256(Run(path).weights),
    )


def committed_run(runs: Sequence[Path] = COMMITTED_RUNS) -> Path:
    """Return the first of the committed runs that has weights.

    Raises:
        ValueError: none has; the message names the runs and the option for other weights.
    """
    for run in runs:
        if (run / "weights.safetensors").is_file():
            return run
    raise ValueError(
        f"no weights are committed at {' or '.join(map(str, runs))}; name a run of yours (--weights RUN), which "
        "`colorlib train RUN` writes"
    )


@dataclass(frozen=True, kw_only=True)
class PhotoColorizer:
    """Callable that colors tensors, NumPy arrays and PIL images; `load_colorizer` returns one."""

    colorizer: Colorizer
    """Network that maps L to sRGB, tile by tile."""
    keep_luminance: bool = True
    """Keep the photograph's own L, so that no sharpness is lost, and take only the network's a and b."""
    saturation: float = 1.0
    """Factor of a and b."""
    weights: str = ""
    """SHA-256 of the file of the network's weights."""

    @property
    def options(self) -> dict[str, object]:
        """Settings that change pixels, and the color hints, as JSON data for the label of a copy."""
        return {"keep_luminance": self.keep_luminance, "saturation": self.saturation, "hints": []}

    @overload
    def __call__(self, photo: Tensor) -> Tensor: ...
    @overload
    def __call__(self, photo: NDArray[Any]) -> NDArray[Any]: ...
    @overload
    def __call__(self, photo: Image.Image) -> Image.Image: ...

    def __call__(self, photo: Tensor | NDArray[Any] | Image.Image) -> Tensor | NDArray[Any] | Image.Image:
        """Color a photograph; of a color photograph, only L is used.

        Args:
            photo: one of

                - a tensor, `(1 or 3, H, W)` or `(B, 1 or 3, H, W)`: sRGB, uint8, or float in [0, 1];
                - an array, `(H, W)`, `(H, W, 1)` or `(H, W, 3)`, of the same values;
                - a PIL image of any mode but float and 32-bit integer; its EXIF orientation is applied.

        Returns:
            The type that was passed: a tensor `(…, 3, H, W)` or an array `(H, W, 3)`, both of the input's dtype, or a
            PIL image of mode RGB, or RGBA if some of it is transparent.

        Raises:
            TypeError: another type.
            ValueError: another shape or dtype, float values outside [0, 1], or a float or 32-bit PIL image, which has
                no defined white.
        """
        if isinstance(photo, Image.Image):
            pixels, alpha = srgb_pixels(from_pillow(photo, "the picture"))
            for _ in color_pixels(
                pixels, self.colorizer, keep_luminance=self.keep_luminance, saturation=self.saturation
            ):
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
        raise TypeError(f"a {type(photo).__name__}: expected a tensor, a NumPy array or a PIL image")

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
        # Color
        batch = photo if photo.ndim == 4 else photo.unsqueeze(0)
        light = lightness(batch.expand(-1, 3, -1, -1).cpu()).float()
        rgb = self.colorizer(light).clone()  # a copy outside inference mode, which autograd accepts
        if self.keep_luminance or self.saturation != 1.0:
            rgb = adjust_lab(rgb, light=light if self.keep_luminance else None, saturation=self.saturation)
        # Return the input's shape, dtype and device
        rgb = to_bytes(rgb) if photo.dtype == torch.uint8 else rgb.to(photo.dtype)
        return (rgb if photo.ndim == 4 else rgb[0]).to(photo.device)


def color_pixels(
    pixels: Pixels, colorizer: Colorizer, *, keep_luminance: bool = True, saturation: float = 1.0
) -> Iterator[int]:
    """Color a photograph in place, tile by tile, so that a large one needs no second copy.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB, overwritten. The network's input is its L.
        colorizer: the network.
        keep_luminance: keep the photograph's own L, and take only the network's a and b.
        saturation: factor of a and b.

    Yields:
        The number of pixels of each tile, after it is colored.
    """
    band = pixels[:0]
    rows = slice(0, 0)
    overview = colorizer.overview(_lightness_of(pixels)) if colorizer.view else None
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
        if keep_luminance or saturation != 1.0:
            own = light[..., *tile.inner] if keep_luminance else None
            rgb = adjust_lab(rgb, light=own, saturation=saturation)
        # Write it back
        colored = to_bytes(rgb)[0].permute(1, 2, 0).numpy()
        pixels[tile.place] = colored
        yield colored.shape[0] * colored.shape[1]


def _lightness_of(pixels: Pixels) -> Tensor:
    """Return L of a whole photograph, `(1, 1, H, W)`, computed strip by strip to bound memory."""
    strips = [lightness(torch.from_numpy(pixels[rows]).permute(2, 0, 1)) for rows in row_strips(len(pixels))]
    return torch.cat(strips, dim=-2).unsqueeze(0)
