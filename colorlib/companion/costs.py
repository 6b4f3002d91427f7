"""Parameters, multiply-adds (MACs) and receptive field of a network, measured by running it."""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from colorlib import rng
from colorlib.config import RunConfig
from colorlib.model import NETWORKS, parameter_count
from colorlib.targets import RGB, TARGETS

LEAST_HEIGHT = 16
"""Height in pixels of the image in which a receptive field is searched, for a network that keeps the size."""


def multiply_adds(network: nn.Module, height: int, width: int) -> int:
    """Return the multiply-adds for one image of `height` x `width` pixels with one channel, by PyTorch's flop counter.

    Convolutions and matrix products count; biases and activations do not. A network on `torch.device("meta")` is
    counted without computing anything.
    """
    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(torch.zeros(1, 1, height, width, device=device))
    return int(counter.get_total_flops()) // 2


def receptive_field(network: Callable[[Tensor], Tensor], *, reach: int = 32, trials: int = 4, stride: int = 1) -> int:
    """Return the receptive field's width in pixels, found by changing one input pixel.

    It is the width of the output pixels that change, in an image that is low and wide: fields are square.

    Args:
        network: maps `(1, 1, H, W)` float64 to `(1, C, H, W)`.
        reach: radius in pixels that is searched around the changed pixel.
        trials: number of random images; in a single one, a ReLU could hide a dependence.
        stride: total stride of a network that downsamples. Its field depends on the pixel's position modulo the
            stride; the widest field is returned.

    Raises:
        ValueError: the field is wider than the searched width, or no output depends on the input.
    """
    # A network that downsamples starts its grid at the first pixel: the image must start there too.
    height, width, spread = max(stride, LEAST_HEIGHT), 2 * reach + stride, -1
    with torch.inference_mode():
        for trial in range(trials):
            uniforms = rng.uniforms(height * width, 0, "receptive field", trial)
            lightness = torch.from_numpy(uniforms).view(1, 1, height, width)
            before = network(lightness)
            for center in range(reach, reach + stride):
                # Change one pixel, and find the farthest column of the output that changes with it
                perturbed = lightness.clone()
                perturbed[..., height // 2, center] += 1.0
                changed = (network(perturbed) != before).any(dim=2).any(dim=1)[0].nonzero()
                if len(changed):
                    spread = max(spread, int((changed - center).abs().max()))
    if spread < 0:
        raise ValueError("no output depends on the input pixel that was changed")
    if spread >= reach:
        raise ValueError(f"the receptive field reaches the edge of {width} pixels; use a larger reach")
    return int(2 * spread + 1)


IMAGE_SIDE = 256
"""Side in pixels of the image for counting multiply-adds; a multiple of every network's total stride."""


PHOTO_PIXELS = 481 * 321
"""Pixels of a photograph of BSDS500, for which the multiply-adds of a network are stated that sees it shrunk."""


def costs(config: RunConfig) -> dict[str, float]:
    """Return parameters, multiply-adds per pixel and receptive field of the network of a run.

    The field is the width in pixels of its input; that of a network that sees the whole image is infinite.
    """
    return {
        "parameters": _size(config.network, config.target)[0],
        "multiply-adds per pixel": multiply_adds_per_pixel(config),
        "receptive field": _receptive_field(config.network),
    }


def multiply_adds_per_pixel(config: RunConfig) -> float:
    """Return the multiply-adds that coloring takes, per pixel of the photograph.

    A network that sees photographs shrunk takes the same for each; then it is that of one of `PHOTO_PIXELS`.
    """
    return input_multiply_adds(config) * (config.view**2 / PHOTO_PIXELS if config.view else 1.0)


def input_multiply_adds(config: RunConfig) -> float:
    """Return the multiply-adds of a forward pass of the network of a run, per pixel of its input."""
    return _size(config.network, config.target)[1]


@lru_cache
def _size(network: str, target: str) -> tuple[int, float]:
    """Return parameters and multiply-adds per pixel."""
    # On "meta" nothing is computed: the operations are counted only.
    built = NETWORKS[network](TARGETS[target]().head).to("meta")
    return parameter_count(built), multiply_adds(built, IMAGE_SIDE, IMAGE_SIDE) / IMAGE_SIDE**2


@lru_cache
def _receptive_field(network: str) -> float:
    built = NETWORKS[network](RGB.head).double().eval()
    if built.whole:
        return math.inf
    return receptive_field(built, reach=built.halo + 1, stride=built.stride, trials=2)


# Networks that the paper compares itself with: their costs are counted, they are never trained here


def _convolution(before: int, after: int, *, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Module:
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(before, after, kernel, stride=stride, padding=padding, dilation=dilation)


def _block(before: int, after: int, layers: int, *, last_stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    """Return 3 x 3 convolutions of equal width, the last one with a stride."""
    widths = [before] + [after] * layers
    return [
        _convolution(widths[i], after, stride=last_stride if i == layers - 1 else 1, dilation=dilation)
        for i in range(layers)
    ]


class ZhangNetwork(nn.Sequential):
    """The network of Zhang et al. (2016, Table 4), reference 1 of the paper: L to 313 color classes, then a and b."""

    def __init__(self) -> None:
        super().__init__(
            *_block(1, 64, 2, last_stride=2),
            *_block(64, 128, 2, last_stride=2),
            *_block(128, 256, 3, last_stride=2),
            *_block(256, 512, 3),
            *_block(512, 512, 3, dilation=2),
            *_block(512, 512, 3, dilation=2),
            *_block(512, 512, 3),
            nn.ConvTranspose2d(512, 256, 4, stride=2, padding=1),
            *_block(256, 256, 2),
            _convolution(256, 313, kernel=1),
            _convolution(313, 2, kernel=1),
        )


class LarssonTrunk(nn.Sequential):
    """The 13 convolutions of VGG-16 on one channel in Larsson et al. (2016), reference 2 of the paper.

    The layers after them, which read all of their outputs at each pixel, are left out: a lower bound of the costs.
    """

    def __init__(self) -> None:
        blocks = ((1, 64, 2), (64, 128, 2), (128, 256, 3), (256, 512, 3), (512, 512, 3))
        super().__init__(
            *(layer for before, after, layers in blocks for layer in (*_block(before, after, layers), nn.MaxPool2d(2)))
        )


class IizukaNetwork(nn.Module):
    """The network of Iizuka et al. (2016, Table 1), reference 3 of the paper, without its classifier.

    Its global features are computed on the image scaled to 224 x 224 pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Sequential(
            _convolution(1, 64, stride=2), _convolution(64, 128), _convolution(128, 128, stride=2),
            _convolution(128, 256), _convolution(256, 256, stride=2), _convolution(256, 512),
        )  # fmt: skip
        self.middle = nn.Sequential(_convolution(512, 512), _convolution(512, 256))
        self.overall = nn.Sequential(
            _convolution(512, 512, stride=2), _convolution(512, 512), _convolution(512, 512, stride=2),
            _convolution(512, 512), nn.Flatten(), nn.Linear(7 * 7 * 512, 1024), nn.Linear(1024, 512),
            nn.Linear(512, 256),
        )  # fmt: skip
        self.color = nn.Sequential(
            _convolution(512, 256, kernel=1), _convolution(256, 128), nn.Upsample(scale_factor=2),
            _convolution(128, 64), _convolution(64, 64), nn.Upsample(scale_factor=2), _convolution(64, 32),
            _convolution(32, 2), nn.Upsample(scale_factor=2),
        )  # fmt: skip

    def forward(self, lightness: Tensor) -> Tensor:
        """Map `(B, 1, H, W)`, H and W multiples of 8, to `(B, 2, H, W)`."""
        local: Tensor = self.middle(self.low(lightness))
        scaled = nn.functional.interpolate(lightness, size=(224, 224))
        overall: Tensor = self.overall(self.low(scaled))[..., None, None]
        colors: Tensor = self.color(torch.cat((local, overall.expand_as(local)), dim=1))
        return colors


class Pix2pixUNet(nn.Module):
    """The U-Net generator of pix2pix for 256 x 256 pixels (Isola et al. 2017, Sec. 6.1.1), reference 10 of the paper.

    An encoder C64-C128-C256-C512-C512-C512-C512-C512 of 4 x 4 convolutions with stride 2, a decoder that mirrors it,
    and skip connections between layers of equal size.
    """

    WIDTHS = (64, 128, 256, 512, 512, 512, 512, 512)

    def __init__(self, channels_in: int = 1, channels_out: int = 3) -> None:
        super().__init__()
        widths = self.WIDTHS
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        for level, width in enumerate(widths):
            outermost, innermost = level == 0, level == len(widths) - 1
            before = channels_in if outermost else widths[level - 1]
            after = channels_out if outermost else widths[level - 1]
            contract: list[nn.Module] = [nn.Conv2d(before, width, 4, stride=2, padding=1, bias=False)]
            if not (outermost or innermost):
                contract.append(nn.BatchNorm2d(width))
            # The innermost level has no skip connection, so its decoder gets the encoder's channels alone.
            decoder_in = width if innermost else 2 * width
            expand: list[nn.Module] = [nn.ConvTranspose2d(decoder_in, after, 4, stride=2, padding=1, bias=outermost)]
            if not outermost:
                expand.append(nn.BatchNorm2d(after))
            self.down.append(nn.Sequential(*contract))
            self.up.append(nn.Sequential(*expand))

    def forward(self, lightness: Tensor) -> Tensor:
        """Map `(B, 1, 256, 256)` to `(B, 3, 256, 256)`."""
        return self._level(0, lightness).tanh()

    def _level(self, level: int, inner: Tensor) -> Tensor:
        contracted: Tensor = self.down[level](inner)
        below = contracted
        if level + 1 < len(self.WIDTHS):
            deeper = self._level(level + 1, nn.functional.leaky_relu(contracted, 0.2))
            below = torch.cat((contracted, deeper), dim=1)
        expanded: Tensor = self.up[level](below.relu())
        return expanded
