"""What a network costs and what it sees: multiply-adds, parameters, receptive field, all counted by running it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from colorlib import keys


def multiply_adds(network: nn.Module, height: int, width: int) -> int:
    """Multiply-adds of one image of `height` x `width` pixels with one channel, as PyTorch's own counter counts them.

    Convolutions alone count, additions of biases and activations do not. A network made under
    `torch.device("meta")` is counted without any arithmetic.
    """
    where = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(torch.zeros(1, 1, height, width, device=where))
    return int(counter.get_total_flops()) // 2


def receptive_field(network: Callable[[Tensor], Tensor], *, reach: int = 32, trials: int = 4, stride: int = 1) -> int:
    """How many pixels wide the square of outputs is that depends on one input pixel, found by changing that pixel.

    Args:
        network: maps `(1, 1, H, W)` float64 to `(1, C, H, W)`; convolutions see as far as they are seen.
        reach: how far around the pixel is looked; a field that fills it is wider than can be said.
        trials: images it is tried on: in one alone, a ReLU could hide what depends on the pixel.
        stride: a network that downsamples sees another square from pixel to pixel, which repeats after so many; the
            widest is returned.

    Raises:
        ValueError: the field reaches the edge of the square that was looked at.
    """
    # A network that downsamples starts its grid at the first pixel: the square must start there too.
    side, spread = 2 * reach + stride, -1
    with torch.inference_mode():
        for trial in range(trials):
            light = torch.from_numpy(keys.uniforms(side * side, 0, "receptive field", trial)).view(1, 1, side, side)
            before = network(light)
            for center in range(reach, reach + stride):
                other = light.clone()
                other[..., center, center] += 1.0
                changed = (network(other) != before).any(dim=1)[0]
                spread = max(
                    [spread, *((place - center).abs().max().item() for place in changed.nonzero().T if len(place))]
                )
    if spread < 0:
        raise ValueError("no output depends on the input pixel that was changed")
    if spread >= reach:
        raise ValueError(f"the receptive field reaches the edge of {side} x {side} pixels; look farther (reach)")
    return int(2 * spread + 1)


class Pix2pixUNet(nn.Module):
    """The U-Net generator of pix2pix for 256 x 256 pixels (Isola et al. 2017, Sec. 6.1.1): what "lightweight" is held
    against, counted and never trained here.

    Encoder C64-C128-C256-C512-C512-C512-C512-C512 of 4 x 4 convolutions with stride 2, a decoder that mirrors it, and
    skip connections between layers of equal size.
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
            # What comes from below, and beside it what the encoder made of the same size.
            joined = width if innermost else 2 * width
            expand: list[nn.Module] = [nn.ConvTranspose2d(joined, after, 4, stride=2, padding=1, bias=outermost)]
            if not outermost:
                expand.append(nn.BatchNorm2d(after))
            self.down.append(nn.Sequential(*contract))
            self.up.append(nn.Sequential(*expand))

    def forward(self, light: Tensor) -> Tensor:
        """Map `(B, 1, 256, 256)` to `(B, 3, 256, 256)`."""
        return self._level(0, light).tanh()

    def _level(self, level: int, inner: Tensor) -> Tensor:
        contracted: Tensor = self.down[level](inner)
        below = contracted
        if level + 1 < len(self.WIDTHS):
            deeper = self._level(level + 1, nn.functional.leaky_relu(contracted, 0.2))
            below = torch.cat((contracted, deeper), dim=1)
        expanded: Tensor = self.up[level](below.relu())
        return expanded
