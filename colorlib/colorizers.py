"""Colorizers, functions from lightness to RGB for any image size: trained networks and baselines.

Evaluation, figures and the command line take any `Colorize`: a trained network, a baseline, a stub in a test.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from colorlib.color import gray_rgb, lab_to_rgb, lightness, resize, rgb_to_lab
from colorlib.config import config_of_record
from colorlib.model import NETWORKS, Network
from colorlib.optim import check_tensors
from colorlib.photos.decode import Pixels
from colorlib.runs import Run
from colorlib.targets import TARGETS, Target

Colorize = Callable[[Tensor], Tensor]
"""Function from L, `(B, 1, H, W)` float in [0, 100], to sRGB, `(B, 3, H, W)` float in [0, 1]."""
LEVELS = 256
"""Number of entries of the look-up table; L is quantized into this many equal steps."""


# Networks


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A tile of a large image, as slices of rows and columns."""

    size: tuple[int, int]
    """Height and width of the whole image."""
    place: tuple[slice, slice]
    """Pixels that the tile colors, in the whole image."""
    seen: tuple[slice, slice]
    """Input of the network, in the whole image: `place` with a halo, cut off at the border of the image."""
    inner: tuple[slice, slice]
    """Pixels that the tile colors, within `seen`."""


@dataclass(frozen=True, kw_only=True)
class Colorizer:
    """A trained network and its target as a `Colorize`.

    Large images are colored tile by tile, each with the halo that the receptive field needs, so that memory is bounded
    and the result equals that of the whole image. A network trained on shrunk photographs (`view`) is shown the whole
    image once, as a small square; its output is enlarged tile by tile.
    """

    network: Network
    target: Target
    device: torch.device
    tile: int = 512
    """Side of a tile in pixels without its halo; rounded down to a multiple of the network's stride."""
    view: int = 0
    """Side of the square that the image is shrunk to for the network; 0 keeps its resolution."""

    @torch.inference_mode()
    def __call__(self, light: Tensor) -> Tensor:
        """Color L, `(B, 1, H, W)` float in [0, 100]; returns sRGB, `(B, 3, H, W)` float32 in [0, 1], on the CPU."""
        height, width = light.shape[-2:]
        result = torch.empty(len(light), 3, height, width)
        overview = self.overview(light)
        for tile in self.tiles(height, width):
            result[..., *tile.place] = self.color_tile(light[..., *tile.seen], tile, overview)[..., *tile.inner]
        return result

    @torch.inference_mode()
    def overview(self, light: Tensor) -> Tensor | None:
        """Return the network's output for the whole image, shrunk to `view`; None if tiles are colored one by one.

        Args:
            light: L of the whole image, `(B, 1, H, W)` float in [0, 100].
        """
        return self._predict(resize(light, self.view, self.view).to(self.device)) if self.view else None

    def tiles(self, height: int, width: int) -> Iterator[Tile]:
        """Yield the tiles of an image of this size in pixels, row by row."""
        halo, stride = (0, 1) if self.view else (self.network.halo, self.network.stride)
        side = max(self.tile // stride, 1) * stride
        for top in range(0, height, side):
            for left in range(0, width, side):
                bottom, right = min(top + side, height), min(left + side, width)
                first_row, first_column = max(top - halo, 0), max(left - halo, 0)
                yield Tile(
                    size=(height, width),
                    place=(slice(top, bottom), slice(left, right)),
                    seen=(
                        slice(first_row, min(bottom + halo, height)),
                        slice(first_column, min(right + halo, width)),
                    ),
                    inner=(
                        slice(top - first_row, bottom - first_row),
                        slice(left - first_column, right - first_column),
                    ),
                )

    @torch.inference_mode()
    def color_tile(self, light: Tensor, tile: Tile, overview: Tensor | None) -> Tensor:
        """Color one tile; ranges are those of `__call__`.

        Args:
            light: L of `tile.seen`, `(B, 1, h, w)`.
            tile: one of `tiles`.
            overview: what `overview` returned for the whole image.
        """
        piece = light.to(self.device)
        output = self._predict(piece) if overview is None else enlarge(overview, tile)
        return self.target.decode(output, piece).cpu()

    def _predict(self, light: Tensor) -> Tensor:
        output: Tensor = self.network((light / 100.0).contiguous(memory_format=torch.channels_last))
        return output


def enlarge(overview: Tensor, tile: Tile) -> Tensor:
    """Return the part of an overview that belongs to a tile, enlarged bilinearly to the size of the tile.

    Args:
        overview: `(B, C, h, w)`, of the whole image.
        tile: rows and columns of the whole image.

    Returns:
        `(B, C, H, W)` for the pixels of `tile.place`, as if the whole overview were enlarged.
    """
    axes = [
        (2.0 * torch.arange(place.start, place.stop, device=overview.device) + 1.0) / side - 1.0
        for place, side in zip(tile.place, tile.size, strict=True)
    ]
    rows, columns = torch.meshgrid(*axes, indexing="ij")
    grid = torch.stack((columns, rows), dim=-1).expand(len(overview), -1, -1, -1)
    return torch.nn.functional.grid_sample(overview, grid, mode="bilinear", padding_mode="border", align_corners=False)


def load_run(path: Path, *, epoch: int | None = None, device: torch.device | None = None) -> Colorizer:
    """Load the colorizer of a finished run.

    Args:
        path: the run directory.
        epoch: an earlier epoch whose weights were kept; None takes the last weights.
        device: device of the network; None means the CPU.

    Raises:
        ValueError: there is no finished run at `path`, the weights of that epoch were not kept, or they are another
            network's.
    """
    run = Run(path)
    config = config_of_record(run.record())
    target = TARGETS[config.target]()
    network = NETWORKS[config.network](target.head)
    weights = run.read_weights(epoch)
    try:
        check_tensors(weights, network.state_dict())
    except ValueError as error:
        file = run.weights if epoch is None else run.epoch_weights(epoch)
        raise ValueError(
            f"{file} does not fit network={config.network}, target={config.target} in run.json: {error}; restore the "
            "two files that belong together"
        ) from error
    network.load_state_dict(weights)
    where = device or torch.device("cpu")
    network = network.to(where).to(memory_format=torch.channels_last).eval()
    return Colorizer(network=network, target=target, device=where, view=config.view)


def adjust_lab(
    rgb: Tensor,
    *,
    light: Tensor | None = None,
    saturation: float = 1.0,
    change_ab: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Replace L or change a and b of an image, and clip the result to the sRGB gamut.

    Args:
        rgb: sRGB, `(..., 3, H, W)` float in [0, 1].
        light: the new L, `(..., 1, H, W)` float in [0, 100]; None keeps the L of `rgb`.
        saturation: factor on a and b; 0 gives gray.
        change_ab: function of the scaled a and b, `(..., 2, H, W)`, that returns new ones.

    Returns:
        sRGB, `(..., 3, H, W)` float in [0, 1].
    """
    lab = rgb_to_lab(rgb)
    own, ab = lab[..., :1, :, :], saturation * lab[..., 1:, :, :]
    if change_ab is not None:
        ab = change_ab(ab)
    return lab_to_rgb(torch.cat((own if light is None else light.to(lab), ab), dim=-3))


def with_true_lightness(colorize: Colorize) -> Colorize:
    """Return a `Colorize` with the a and b that `colorize` predicts but the true L, so that no sharpness is lost.

    The result is clipped to the sRGB gamut.
    """
    return lambda light: adjust_lab(colorize(light), light=light)


# Baselines


def fit_gray(photos: Sequence[Pixels]) -> Colorize:
    """Return the baseline "gray": the gray image itself, a = b = 0; nothing is fitted."""
    return gray_rgb


def fit_mean_chroma(photos: Sequence[Pixels]) -> Colorize:
    """Return the baseline "mean chroma": the true L with the mean a and b of the training photographs.

    Each photograph has the same weight.
    """
    chroma = torch.stack([rgb_to_lab(_channels_first(photo))[1:].double().mean(dim=(1, 2)) for photo in photos])
    a, b = chroma.mean(dim=0).tolist()

    def colored(light: Tensor) -> Tensor:
        return lab_to_rgb(torch.cat((light, torch.full_like(light, a), torch.full_like(light, b)), dim=-3))

    return colored


def fit_look_up_table(photos: Sequence[Pixels]) -> Colorize:
    """Return the baseline "look-up table": for each level of L the mean RGB of the training pixels with this L.

    Of all functions of a single pixel's L this one has the lowest MSE on the training photographs. Each photograph has
    the same weight. Levels without training pixels are interpolated between their neighbors.
    """
    total, weight = torch.zeros(LEVELS, 3, dtype=torch.float64), torch.zeros(LEVELS, dtype=torch.float64)
    for photo in photos:
        rgb = _channels_first(photo)
        level = _level(lightness(rgb)).reshape(-1)
        counts = torch.bincount(level, minlength=LEVELS).double()
        values = rgb.reshape(3, -1).double() / 255.0
        sums = torch.stack([torch.bincount(level, weights=channel, minlength=LEVELS) for channel in values], dim=1)
        total += sums / level.numel()
        weight += counts / level.numel()
    return look_up(_mean_or_interpolated(total, weight))


def look_up(table: Tensor) -> Colorize:
    """Return a look-up table as a function: the row of `table`, `(LEVELS, 3)` sRGB in [0, 1], of each pixel's L."""
    table = table.float()

    def colored(light: Tensor) -> Tensor:
        return table[_level(light).squeeze(-3)].movedim(-1, -3)

    return colored


def _channels_first(photo: Pixels) -> Tensor:
    """Return a photograph as `(3, H, W)` uint8, without a copy."""
    return torch.from_numpy(photo).permute(2, 0, 1)


def _level(light: Tensor) -> Tensor:
    """Return the entry of the look-up table for each L: integers in [0, LEVELS - 1]."""
    return (light / 100.0 * (LEVELS - 1)).round().long().clamp(0, LEVELS - 1)


def _mean_or_interpolated(total: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean of each level, or between two levels with data their linear interpolation.

    Args:
        total: `(LEVELS, 3)` weighted sums of RGB.
        weight: `(LEVELS,)` sums of weights; 0 means no data.
    """
    # Nearest levels with data below and above each level; the outermost ones are repeated beyond them
    known = weight.nonzero().squeeze(1)
    levels = torch.arange(len(weight))
    above = torch.searchsorted(known, levels).clamp(max=len(known) - 1)
    below = (torch.searchsorted(known, levels, right=True) - 1).clamp(min=0)
    low, high = known[below], known[above]
    share = torch.where(high > low, (levels - low) / (high - low).clamp(min=1), 0.0)[:, None]
    mean = total / weight.clamp(min=1e-300)[:, None]
    return (1 - share) * mean[low] + share * mean[high]


BASELINES: dict[str, Callable[[Sequence[Pixels]], Colorize]] = {
    "gray": fit_gray,
    "mean chroma": fit_mean_chroma,
    "look-up table": fit_look_up_table,
}
"""Baselines by name: each function fits one to decoded photographs, `(H, W, 3)` uint8."""
