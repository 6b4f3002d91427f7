"""The networks. The paper's own comes first; each row of `NETWORKS` is one class.

A network maps L, scaled to [0, 1], to as many channels as its target asks for. What it needs to know about the target
is a `Head`: how many channels there are and which activation ends them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a target asks of the end of a network."""

    channels: int
    """Number of output channels."""
    activation: Callable[[], nn.Module]
    """Makes the module that ends the network, for example `nn.Sigmoid`."""


class Network(nn.Module):
    """What every network promises: `(B, 1, H, W)` in, `(B, head.channels, H, W)` out, the same H and W."""

    halo: int
    """Pixels of context that an output pixel sees on each side, or more: its receptive field is at most 2 * halo + 1
    wide."""
    stride: int = 1
    """A part of an image gives what the whole gives where it starts at a multiple of this: what is downsampled together
    must stay together. `halo` is a multiple of it."""

    def __init__(self, head: Head) -> None:
        super().__init__()

    def forward(self, light: Tensor) -> Tensor:
        """Map L / 100, `(B, 1, H, W)` float in [0, 1], to `(B, head.channels, H, W)`."""
        raise NotImplementedError


def conv3x3(channels_in: int, channels_out: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps height and width (Sec. III.B)."""
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1)


class EncoderDecoder(Network):
    """The paper's network, layer for layer (Sec. III.B): six 3x3 convolutions, 1-64-128-256-128-64-3, no downsampling.

    With three output channels it holds 740,227 parameters; the paper says approximately 600K. "Encoder" and "decoder"
    name rising and falling channel counts: no layer changes the resolution, so an output pixel sees 13x13 input pixels.
    """

    halo = 6

    def __init__(self, head: Head) -> None:
        super().__init__(head)
        # In place: the same numbers, and the widest layer's output, the most of what coloring holds, is there once.
        self.encoder = nn.Sequential(
            conv3x3(1, 64), nn.ReLU(inplace=True),
            conv3x3(64, 128), nn.ReLU(inplace=True),
            conv3x3(128, 256), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            conv3x3(256, 128), nn.ReLU(inplace=True),
            conv3x3(128, 64), nn.ReLU(inplace=True),
            conv3x3(64, head.channels), head.activation(),
        )  # fmt: skip

    def forward(self, light: Tensor) -> Tensor:
        """Map L / 100, `(B, 1, H, W)` float in [0, 1], to `(B, head.channels, H, W)`."""
        output: Tensor = self.decoder(self.encoder(light))
        return output


class SkipEncoderDecoder(Network):
    """The paper's network with what its outlook names (Sec. V): each encoder layer also feeds the decoder layer that
    mirrors it, beside what that layer is fed already, as in a U-Net (Ronneberger et al. 2015). Nothing is downsampled.
    """

    halo = 6

    def __init__(self, head: Head) -> None:
        super().__init__(head)
        self.encoder = nn.ModuleList([conv3x3(1, 64), conv3x3(64, 128), conv3x3(128, 256)])
        self.decoder = nn.ModuleList([conv3x3(256, 128), conv3x3(128 + 128, 64), conv3x3(64 + 64, head.channels)])
        self.activation = head.activation()

    def forward(self, light: Tensor) -> Tensor:
        """Map L / 100, `(B, 1, H, W)` float in [0, 1], to `(B, head.channels, H, W)`."""
        first = self.encoder[0](light).relu()
        second = self.encoder[1](first).relu()
        inner = self.encoder[2](second).relu()
        inner = self.decoder[0](inner).relu()
        inner = self.decoder[1](torch.cat((inner, second), dim=1)).relu()
        output: Tensor = self.activation(self.decoder[2](torch.cat((inner, first), dim=1)))
        return output


class UNet(Network):
    """A U-Net that downsamples (Ronneberger et al. 2015), within the paper's parameters and a tenth of its
    multiply-adds: each level halves the resolution, where a layer costs a quarter and sees twice as far.

    No normalization: one that averages over the image would make a pixel's color depend on all of it, and one that
    averages over the batch would make it depend on chance. Any size: what does not divide is padded by its edge.
    """

    widths: tuple[int, ...] = (24, 48, 96, 144)
    """Channels of each level, full resolution first."""
    halo = 40
    stride = 8

    def __init__(self, head: Head) -> None:
        super().__init__(head)
        pairs = list(zip(self.widths, self.widths[1:], strict=False))
        self.stem = conv3x3(1, self.widths[0])
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairs)
        self.inner = nn.ModuleList(conv3x3(coarse, coarse) for _, coarse in pairs)
        self.up = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairs)
        self.merge = nn.ModuleList(conv3x3(2 * fine, fine) for fine, _ in pairs)
        self.out = nn.Sequential(conv3x3(self.widths[0], head.channels), head.activation())

    def forward(self, light: Tensor) -> Tensor:
        """Map L / 100, `(B, 1, H, W)` float in [0, 1], to `(B, head.channels, H, W)`."""
        height, width = light.shape[-2:]
        rest = (0, -width % self.stride, 0, -height % self.stride)
        padded = nn.functional.pad(light, rest, mode="replicate") if any(rest) else light
        levels = [self.stem(padded).relu()]
        for down, inner in zip(self.down, self.inner, strict=True):
            levels.append(inner(down(levels[-1]).relu()).relu())
        merged = levels.pop()
        for up, merge in reversed(list(zip(self.up, self.merge, strict=True))):
            finer = nn.functional.interpolate(up(merged), scale_factor=2.0, mode="nearest")
            merged = merge(torch.cat((levels.pop(), finer), dim=1)).relu()
        output: Tensor = self.out(merged)[..., :height, :width]
        return output


class LargeUNet(UNet):
    """The same with more channels, for a GPU: nine times the paper's parameters, fewer multiply-adds."""

    widths = (64, 128, 256, 512)


NETWORKS: dict[str, type[Network]] = {
    "encoder-decoder": EncoderDecoder,
    "skip": SkipEncoderDecoder,
    "unet": UNet,
    "unet-large": LargeUNet,
}


def parameter_count(network: nn.Module) -> int:
    """Number of trained scalars."""
    return sum(parameter.numel() for parameter in network.parameters())
