"""Colors for any photograph in memory: what the command line, notebooks and other people's code call."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from colorlib.color import lightness, to_bytes
from colorlib.colorizer import Colorizer, load_run, toned
from colorlib.devices import choose_device
from colorlib.images import Pixels, srgb_pixels, upright
from colorlib.provenance import PACKAGE

COMMITTED = tuple(PACKAGE.parent / "results" / profile / "seed-0" for profile in ("paper", "cpu"))
"""Runs whose weights come with the project, the best first."""


TILE = 384
"""Side of the tiles that photographs are colored by: with this a scan of 100 megapixels keeps below 1.5 GB."""


def committed_run() -> Path:
    """The run whose weights color photographs unless others are named.

    Raises:
        ValueError: this installation has none.
    """
    for path in COMMITTED:
        if (path / "weights.safetensors").is_file():
            return path
    raise ValueError(
        f"no weights are committed at {' or '.join(map(str, COMMITTED))}; name a run of yours (--weights RUN), which "
        "`colorlib train RUN` makes"
    )


def color_pixels(
    pixels: Pixels, colorizer: Colorizer, *, keep_luminance: bool = True, saturation: float = 1.0
) -> Iterator[int]:
    """Color a photograph where it lies, tile by tile, so that no second copy of a large one is needed.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB; its L is what the network sees. Overwritten.
        colorizer: what colors.
        keep_luminance: keep the photograph's own L, and take the network's a and b alone.
        saturation: what a and b are multiplied by.

    Yields:
        How many pixels each tile had, once it is done.
    """
    band = pixels[:0]
    rows = slice(0, 0)
    for tile in colorizer.tiles(*pixels.shape[:2]):
        seen = tile.seen[0]
        if tile.place[0].stop > rows.stop:
            # Rows above this band are colored already; what they were is still in the band before.
            above = band[seen.start - rows.start : tile.place[0].start - rows.start]
            band, first = np.concatenate((above, pixels[tile.place[0].start : seen.stop])), seen.start
            rows = slice(first, tile.place[0].stop)
        piece = torch.from_numpy(band[:, tile.seen[1]].copy()).permute(2, 0, 1).unsqueeze(0)
        light = lightness(piece)
        rgb = colorizer.color(light)[..., *tile.inner]
        if keep_luminance or saturation != 1.0:
            own = light[..., *tile.inner] if keep_luminance else None
            rgb = toned(rgb, light=own, saturation=saturation)
        colored = to_bytes(rgb)[0].permute(1, 2, 0).numpy()
        pixels[tile.place] = colored
        yield colored.shape[0] * colored.shape[1]


@dataclass(frozen=True, kw_only=True)
class PhotoColorizer:
    """Colors photographs in whatever form Python code holds them; `load_colorizer` makes one."""

    colorizer: Colorizer
    """What colors: L to sRGB, tile by tile."""
    keep_luminance: bool = True
    """Keep the photograph's own L, so that no sharpness is lost, and take the network's a and b alone."""
    saturation: float = 1.0
    """What a and b are multiplied by."""

    @overload
    def __call__(self, photo: Tensor) -> Tensor: ...
    @overload
    def __call__(self, photo: NDArray[Any]) -> NDArray[Any]: ...
    @overload
    def __call__(self, photo: Image.Image) -> Image.Image: ...

    def __call__(self, photo: Tensor | NDArray[Any] | Image.Image) -> Tensor | NDArray[Any] | Image.Image:
        """Color a photograph, gray or not: what counts is its L.

        Args:
            photo: one of

                - a tensor, `(1 or 3, H, W)` or `(B, 1 or 3, H, W)`: sRGB, uint8, or float in [0, 1];
                - an array, `(H, W)`, `(H, W, 1)` or `(H, W, 3)`: likewise;
                - a PIL image, turned as its EXIF orientation says; float and 32-bit ones have no agreed white.

        Returns:
            The same kind of thing: a tensor `(…, 3, H, W)`, an array `(H, W, 3)`, both of the dtype given, or a PIL
            image of mode RGB, RGBA where not all of it is opaque.

        Raises:
            TypeError: it is none of these.
            ValueError: another shape, values outside [0, 1], or no agreed white.
        """
        if isinstance(photo, Image.Image):
            pixels, alpha = srgb_pixels(upright(photo.copy()), "the picture")
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
        if photo.ndim not in (3, 4) or photo.shape[-3] not in (1, 3) or 0 in photo.shape:
            raise ValueError(f"shape {tuple(photo.shape)}: expected 1 or 3 channels, then height and width")
        if photo.dtype != torch.uint8:
            if not photo.is_floating_point():
                raise ValueError(f"values of type {photo.dtype}: expected uint8, or float in [0, 1]")
            low, high = float(photo.min()), float(photo.max())
            if not (low >= 0.0 and high <= 1.0):
                raise ValueError(f"values from {low:g} to {high:g}: expected uint8, or float in [0, 1]")
        batch = photo if photo.ndim == 4 else photo.unsqueeze(0)
        light = lightness(batch.expand(-1, 3, -1, -1).cpu()).float()
        rgb = self.colorizer(light).clone()  # outside inference mode: what is returned is an ordinary tensor
        if self.keep_luminance or self.saturation != 1.0:
            rgb = toned(rgb, light=light if self.keep_luminance else None, saturation=self.saturation)
        rgb = to_bytes(rgb) if photo.dtype == torch.uint8 else rgb.to(photo.dtype)
        return (rgb if photo.ndim == 4 else rgb[0]).to(photo.device)


def load_colorizer(
    run: str | Path | None = None,
    *,
    device: str = "auto",
    keep_luminance: bool = True,
    saturation: float = 1.0,
) -> PhotoColorizer:
    """A trained network, ready to color photographs.

    Args:
        run: a run directory; None takes the weights that come with the project.
        device: `auto`, `cpu`, `cuda`, `mps`, …
        keep_luminance: keep each photograph's own L; False gives the network's RGB as it is.
        saturation: what a and b are multiplied by.

    Raises:
        ValueError: no finished run there, no such device, or a negative saturation.
    """
    if not 0 <= saturation < math.inf:
        raise ValueError(f"saturation={saturation:g}: it must be at least 0, and finite")
    colorizer = load_run(committed_run() if run is None else Path(run), device=choose_device(device))
    return PhotoColorizer(colorizer=replace(colorizer, tile=TILE), keep_luminance=keep_luminance, saturation=saturation)
