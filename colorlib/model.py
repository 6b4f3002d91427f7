"""The networks. The paper's own comes first; each row of `NETWORKS` is one class.

A network maps L, scaled to [0, 1], to as many channels as its target asks for. What it needs to know about the target
is a `Head`: how many channels there are and which activation ends them.
"""

from collections.abc import Callable
from dataclasses import dataclass

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
    """Pixels of context that an output pixel sees on each side; its receptive field is 2 * halo + 1 wide."""

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
        super().__init__()
        self.encoder = nn.Sequential(
            conv3x3(1, 64), nn.ReLU(),
            conv3x3(64, 128), nn.ReLU(),
            conv3x3(128, 256), nn.ReLU(),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            conv3x3(256, 128), nn.ReLU(),
            conv3x3(128, 64), nn.ReLU(),
            conv3x3(64, head.channels), head.activation(),
        )  # fmt: skip

    def forward(self, light: Tensor) -> Tensor:
        """Map L / 100, `(B, 1, H, W)` float in [0, 1], to `(B, head.channels, H, W)`."""
        output: Tensor = self.decoder(self.encoder(light))
        return output


NETWORKS: dict[str, type[Network]] = {
    "encoder-decoder": EncoderDecoder,
}


def parameter_count(network: nn.Module) -> int:
    """Number of trained scalars."""
    return sum(parameter.numel() for parameter in network.parameters())
