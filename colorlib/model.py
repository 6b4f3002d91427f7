"""Networks, selected by `network=`: each row of `NETWORKS` is one class, the paper's comes first.

A network maps L, scaled to [0, 1], to the output channels of its target. All it knows about the target is a `Head`:
the number of output channels and the last activation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from colorlib.color import gray_rgb
from colorlib.features import CHANNELS, lite0_encoder


@dataclass(frozen=True, kw_only=True)
class Head:
    """The last layer of a network, as its target needs it."""

    channels: int
    """Number of output channels."""
    activation: Callable[[], nn.Module]
    """Class of the last activation, for example `nn.Sigmoid`."""


class Network(nn.Module):
    """Base class of the networks: `(B, 1, H, W)` in, `(B, head.channels, H, W)` out, with the same H and W."""

    halo: int
    """Upper bound on the context that an output pixel sees on each side, in pixels: the receptive field is at most
    2 * halo + 1 wide. Tiles of a large image overlap by it."""
    stride: int = 1
    """Total downsampling factor. A tile gives the same output as the whole image only if it starts at a multiple of
    this, because pixels that are downsampled together must stay together. `halo` is a multiple of it."""
    whole: bool = False
    """True if an output pixel depends on the whole image. Such a network has no halo: it is shown whole photographs,
    shrunk to `RunConfig.view`."""

    def __init__(self, head: Head) -> None:
        super().__init__()

    def forward(self, light: Tensor) -> Tensor:
        """Map L / 100, `(B, 1, H, W)` float in [0, 1], to `(B, head.channels, H, W)`."""
        raise NotImplementedError


def conv3x3(channels_in: int, channels_out: int) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps height and width (Sec. III.B)."""
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1)


class EncoderDecoder(Network):
    """The paper's network, layer for layer (Sec. III.B): six 3x3 convolutions, 1-64-128-256-128-64-3, no downsampling.

    With three output channels it holds 740,227 parameters; the paper says approximately 600K. "Encoder" and "decoder"
    refer to rising and falling channel counts: no layer changes the resolution, so an output pixel sees 13x13 input
    pixels.
    """

    halo = 6

    def __init__(self, head: Head) -> None:
        super().__init__(head)
        # In place: the same numbers, but only one copy of the widest layer's output, the largest tensor of coloring.
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
    """The paper's network with skip connections, which its outlook suggests (Sec. V).

    Each encoder layer's output is concatenated to the input of the mirrored decoder layer, as in a U-Net (Ronneberger
    et al. 2015). Nothing is downsampled.
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


class ContextEncoderDecoder(Network):
    """Base class of networks like the paper's that see another context at about equal parameters.

    Six convolutions, each with its kernel size and dilation; `halo` is the sum of their reaches.
    """

    widths: tuple[int, ...] = (64, 128, 256, 128, 64)
    """Channels between the six convolutions."""
    kernels: tuple[int, ...] = (3, 3, 3, 3, 3, 3)
    dilations: tuple[int, ...] = (1, 1, 1, 1, 1, 1)
    """Distance between the taps of each kernel, in pixels."""

    def __init__(self, head: Head) -> None:
        super().__init__(head)
        channels = (1, *self.widths, head.channels)
        reaches = [kernel // 2 * dilation for kernel, dilation in zip(self.kernels, self.dilations, strict=True)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, kernel, padding=reach, dilation=dilation)
            for before, after, kernel, dilation, reach in zip(
                channels, channels[1:], self.kernels, self.dilations, reaches, strict=False
            )
        )
        self.activation = head.activation()

    def forward(self, light: Tensor) -> Tensor:
        """Map L / 100, `(B, 1, H, W)` float in [0, 1], to `(B, head.channels, H, W)`."""
        inner = light
        for convolution in self.convolutions[:-1]:
            inner = convolution(inner).relu_()
        output: Tensor = self.activation(self.convolutions[-1](inner))
        return output


class Context1(ContextEncoderDecoder):
    """Each pixel for itself: six 1x1 convolutions, about as many parameters as the paper's."""

    widths = (192, 384, 768, 384, 192)
    kernels = (1, 1, 1, 1, 1, 1)
    halo = 0


class Context5(ContextEncoderDecoder):
    """A context of 5x5 pixels: two 3x3 convolutions, then four of 1x1."""

    widths = (143, 286, 572, 286, 143)
    kernels = (3, 3, 1, 1, 1, 1)
    halo = 2


class Context29(ContextEncoderDecoder):
    """The paper's network with dilated convolutions, which see 29x29 pixels."""

    dilations = (1, 2, 4, 4, 2, 1)
    halo = 14


class Context61(ContextEncoderDecoder):
    """The paper's network with dilated convolutions, which see 61x61 pixels."""

    dilations = (1, 4, 10, 10, 4, 1)
    halo = 30


class UNet(Network):
    """A U-Net that downsamples (Ronneberger et al. 2015): fewer parameters than the paper's network, and less than a
    tenth of its multiply-adds.

    Each level halves the resolution; there, a layer costs a quarter and sees twice as far. No normalization: over the
    image, it would make a pixel's color depend on the whole image; over the batch, on the other crops of the batch.
    Images of any size: where height or width is no multiple of `stride`, the edge pixels are repeated.
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

    def encode(self, light: Tensor) -> list[Tensor]:
        """Return the features of each level, full resolution first; height and width are multiples of `stride`."""
        # Halve the resolution at each level. In place, ReLU gives the same bytes and copies nothing.
        levels = [self.stem(light).relu_()]
        for down, inner in zip(self.down, self.inner, strict=True):
            levels.append(inner(down(levels[-1]).relu_()).relu_())
        return levels

    def bottom(self, deepest: Tensor) -> Tensor:
        """Return the features of the deepest level, `(B, widths[-1], h, w)`, as the decoder takes them."""
        return deepest

    def forward(self, light: Tensor) -> Tensor:
        """Map L / 100, `(B, 1, H, W)` float in [0, 1], to `(B, head.channels, H, W)`."""
        # Pad to a multiple of the stride
        height, width = light.shape[-2:]
        padding = (0, -width % self.stride, 0, -height % self.stride)
        padded = nn.functional.pad(light, padding, mode="replicate") if any(padding) else light
        # Encode
        levels = self.encode(padded)
        # Decode: double the resolution and concatenate the encoder's output of that level
        merged = self.bottom(levels.pop())
        for up, merge in reversed(list(zip(self.up, self.merge, strict=True))):
            finer = nn.functional.interpolate(up(merged), scale_factor=2.0, mode="nearest")
            merged = merge(torch.cat((levels.pop(), finer), dim=1)).relu_()
        # Crop the padding
        output: Tensor = self.out(merged)[..., :height, :width]
        return output


class DeepUNet(UNet):
    """A U-Net of five levels, for shrunk photographs; about as many parameters as the paper's network."""

    widths = (32, 48, 64, 96, 96)
    halo = 80
    stride = 16


class SceneUNet(DeepUNet):
    """`DeepUNet` with a scene branch: the mean of the deepest features over the photograph, through two linear layers,
    is added to them everywhere, so that what the whole photograph shows can decide a pixel's color.
    """

    hidden = 64
    """Width between the two linear layers."""
    halo = 0
    whole = True

    def __init__(self, head: Head) -> None:
        super().__init__(head)
        width = self.widths[-1]
        self.scene = nn.Sequential(nn.Linear(width, self.hidden), nn.ReLU(), nn.Linear(self.hidden, width))

    def bottom(self, deepest: Tensor) -> Tensor:
        """Add the scene's features to those of each position."""
        scene: Tensor = self.scene(deepest.mean(dim=(-2, -1)))
        return deepest + scene[..., None, None]


class Lite0UNet(UNet):
    """A U-Net whose encoder is EfficientNet-Lite0, trained on ImageNet and frozen: only its decoder is trained.

    The bound of what knowledge of objects is worth, not a network of the paper's size. The deepest features see more
    than any view, so it is shown whole photographs.
    """

    widths = (16, 24, 32, 48, 64, 96)
    """Channels of each level of the decoder, full resolution first."""
    halo = 0
    stride = 32
    whole = True

    def __init__(self, head: Head) -> None:
        """Load the encoder.

        Raises:
            FeaturesMissingError: its weights are not on this machine; the message says how to get them.
        """
        Network.__init__(self, head)
        pairs = list(zip(self.widths, self.widths[1:], strict=False))
        encoded = (self.widths[0], *CHANNELS)
        self.encoder = lite0_encoder()
        self.stem = conv3x3(1, self.widths[0])
        self.deepest = nn.Conv2d(encoded[-1], self.widths[-1], 1)
        self.up = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairs)
        self.merge = nn.ModuleList(
            conv3x3(skipped + fine, fine) for fine, skipped in zip(self.widths[:-1], encoded, strict=False)
        )
        self.out = nn.Sequential(conv3x3(self.widths[0], head.channels), head.activation())

    def encode(self, light: Tensor) -> list[Tensor]:
        """Return the features of each level: one trained layer at full resolution, then those of the encoder."""
        return [self.stem(light).relu_(), *self.encoder.maps(gray_rgb(100.0 * light))]

    def bottom(self, deepest: Tensor) -> Tensor:
        """Return the deepest features of the encoder with the decoder's width."""
        features: Tensor = self.deepest(deepest).relu_()
        return features


NETWORKS: dict[str, type[Network]] = {
    "encoder-decoder": EncoderDecoder,
    "skip": SkipEncoderDecoder,
    "unet": UNet,
    "deep-unet": DeepUNet,
    "scene-unet": SceneUNet,
    "lite0-unet": Lite0UNet,
    "context-1": Context1,
    "context-5": Context5,
    "context-29": Context29,
    "context-61": Context61,
}


def parameter_count(network: nn.Module) -> int:
    """Return the number of parameters, those of a frozen encoder included."""
    return sum(parameter.numel() for parameter in network.parameters())
