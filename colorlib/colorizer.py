"""Gray to color for any image size: what evaluation, figures and the command line call.

Whatever colors a gray image is a `Colorize`: a trained network, a baseline, a stub in a test.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from colorlib.color import lab_to_rgb, rgb_to_lab
from colorlib.model import NETWORKS, Network
from colorlib.runs import Run
from colorlib.targets import TARGETS, Target

Colorize = Callable[[Tensor], Tensor]
"""L, `(B, 1, H, W)` float in [0, 100], to sRGB, `(B, 3, H, W)` float in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One piece of a large image, as rows and columns."""

    place: tuple[slice, slice]
    """What it colors, in the whole image."""
    seen: tuple[slice, slice]
    """What the network is shown for that, in the whole image: a halo more, where there is one."""
    inner: tuple[slice, slice]
    """What it colors, within what is seen."""


@dataclass(frozen=True, kw_only=True)
class Colorizer:
    """A network with its target: a `Colorize`.

    Large images are colored tile by tile, each with the halo its receptive field needs, so memory is bounded and the
    result is that of the whole image.
    """

    network: Network
    target: Target
    device: torch.device
    tile: int = 512
    """Side of a tile in pixels, halo not counted; rounded to a multiple of the network's stride."""

    @torch.inference_mode()
    def __call__(self, light: Tensor) -> Tensor:
        """Color L, `(B, 1, H, W)` float in [0, 100]; returns sRGB, `(B, 3, H, W)` float32 in [0, 1], on the CPU."""
        height, width = light.shape[-2:]
        result = torch.empty(len(light), 3, height, width)
        for tile in self.tiles(height, width):
            result[..., *tile.place] = self.color(light[..., *tile.seen])[..., *tile.inner]
        return result

    def tiles(self, height: int, width: int) -> Iterator[Tile]:
        """The tiles of an image, row by row."""
        halo, stride = self.network.halo, self.network.stride
        side = max(self.tile // stride, 1) * stride
        for top in range(0, height, side):
            for left in range(0, width, side):
                bottom, right = min(top + side, height), min(left + side, width)
                first_row, first_column = max(top - halo, 0), max(left - halo, 0)
                yield Tile(
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
    def color(self, light: Tensor) -> Tensor:
        """Color L in one go: as `__call__`, without tiles."""
        piece = light.to(self.device)
        scaled = (piece / 100.0).contiguous(memory_format=torch.channels_last)
        return self.target.decode(self.network(scaled), piece).cpu()


def load_run(path: Path, *, epoch: int | None = None, device: torch.device | None = None) -> Colorizer:
    """The colorizer of a finished run, or of one of its kept epochs.

    Raises:
        ValueError: there is no finished run at `path`, or that epoch was not kept.
    """
    run = Run(path)
    config = run.record()["config"]
    target = TARGETS[config["target"]]()
    network = NETWORKS[config["network"]](target.head)
    network.load_state_dict(run.read_weights(epoch))
    where = device or torch.device("cpu")
    network = network.to(where).to(memory_format=torch.channels_last).eval()
    return Colorizer(network=network, target=target, device=where)


def toned(rgb: Tensor, *, light: Tensor | None = None, saturation: float = 1.0) -> Tensor:
    """The same a and b, put on another L or made stronger, clipped to the sRGB gamut.

    Args:
        rgb: sRGB, `(..., 3, H, W)` float in [0, 1].
        light: L, `(..., 1, H, W)` float in [0, 100]; None keeps that of `rgb`.
        saturation: what a and b are multiplied by; 0 leaves gray.

    Returns:
        sRGB, `(..., 3, H, W)` float in [0, 1].
    """
    lab = rgb_to_lab(rgb)
    own, ab = lab[..., :1, :, :], lab[..., 1:, :, :]
    return lab_to_rgb(torch.cat((own if light is None else light.to(lab), saturation * ab), dim=-3))


def with_true_lightness(colorize: Colorize) -> Colorize:
    """Keep the predicted a and b, put the true L back, and clip to the sRGB gamut: no sharpness is lost."""
    return lambda light: toned(colorize(light), light=light)
