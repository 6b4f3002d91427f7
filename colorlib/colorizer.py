"""Gray to color for any image size: what evaluation, figures and the command line call.

Whatever colors a gray image is a `Colorize`: a trained network, a baseline, a stub in a test.
"""

from collections.abc import Callable
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
        halo, stride = self.network.halo, self.network.stride
        tile = max(self.tile // stride, 1) * stride
        for top in range(0, height, tile):
            for left in range(0, width, tile):
                bottom, right = min(top + tile, height), min(left + tile, width)
                first_row, first_column = max(top - halo, 0), max(left - halo, 0)
                piece = light[..., first_row : bottom + halo, first_column : right + halo].to(self.device)
                scaled = (piece / 100.0).contiguous(memory_format=torch.channels_last)
                colored = self.target.decode(self.network(scaled), piece)
                rows = slice(top - first_row, bottom - first_row)
                columns = slice(left - first_column, right - first_column)
                result[..., top:bottom, left:right] = colored[..., rows, columns].cpu()
        return result


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


def with_true_lightness(colorize: Colorize) -> Colorize:
    """Keep the predicted a and b, put the true L back, and clip to the sRGB gamut: no sharpness is lost."""

    def colored(light: Tensor) -> Tensor:
        lab = rgb_to_lab(colorize(light))
        return lab_to_rgb(torch.cat((light.to(lab), lab[..., 1:, :, :]), dim=-3))

    return colored
