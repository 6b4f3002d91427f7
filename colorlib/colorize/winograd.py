"""3x3 convolutions by Winograd's algorithm, which PyTorch has in NNPACK, where they are faster than direct ones.

PyTorch itself always asks oneDNN for the direct algorithm. The colors differ by at most one level of 255 on under 0.1 %
of the values, and tiles no longer equal the whole photograph to the last bit. So this is for colored copies alone:
training, evaluation and verification stay direct.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from colorlib.colorizers import Colorizer
from colorlib.model import Network

MEASURED_FROM = 1_000_000
"""Pixels from which a call of `colorize` takes the second that the measurement needs; below, convolution is direct."""
SIDE = 192
"""Side in pixels of the square that is measured."""
ROUNDS = 2
"""How often each network is measured; the shortest time counts."""
BAND_ROWS = 48
"""Rows of a layer's output that NNPACK computes at a time: a multiple of the 6 rows of its blocks. Its workspace, which
the thread keeps, grows with them: for the widest layer of the paper's network and a tile, 0.6 GB without bands.
"""


class WinogradConv2d(nn.Conv2d):
    """A 3x3 convolution with padding 1 on the CPU, computed by NNPACK, without gradients."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of `(B, C, H, W)` float32, in contiguous memory.

        Of a single image the bytes are the same as without bands.
        """
        height = input.shape[-2]
        if height <= BAND_ROWS:
            whole: Tensor = torch._nnpack_spatial_convolution(input.contiguous(), self.weight, self.bias, 1, 1)
            return whole
        output = input.new_empty(len(input), self.out_channels, *input.shape[-2:])
        for top in range(0, height, BAND_ROWS):
            bottom = min(top + BAND_ROWS, height)
            seen = input[..., max(top - 1, 0) : bottom + 1, :].contiguous()
            if top == 0 or bottom == height:  # rows of zeros at the border of the image alone
                seen = pad(seen, (0, 0, int(top == 0), int(bottom == height)))
            output[..., top:bottom, :] = torch._nnpack_spatial_convolution(seen, self.weight, self.bias, (0, 1), 1)
        return output


def with_fastest_convolution(colorizer: Colorizer) -> Colorizer:
    """Return the colorizer, or a copy with Winograd convolutions if it is faster on this machine, by a measurement."""
    network = with_winograd(colorizer.network) if colorizer.device.type == "cpu" else None
    if network is None:
        return colorizer
    light = torch.linspace(0.0, 1.0, SIDE * SIDE).view(1, 1, SIDE, SIDE)
    return replace(colorizer, network=fastest((colorizer.network, network), light))


def with_winograd(network: Network) -> Network | None:
    """Return a copy with Winograd convolutions in contiguous memory, of the same weights.

    Returns:
        None if NNPACK is not part of this PyTorch, does not know this processor, or has no convolution to compute.
    """
    # Private functions of PyTorch: a version without them is one without NNPACK. The first call initializes it.
    available: Callable[[], bool] | None = getattr(torch, "_nnpack_available", None)
    if available is None or not hasattr(torch, "_nnpack_spatial_convolution") or not available():
        return None
    changed = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
    layers = [layer for layer in changed.modules() if isinstance(layer, nn.Conv2d) and _is_suitable(layer)]
    for layer in layers:
        layer.__class__ = WinogradConv2d
    return changed if layers else None


def _is_suitable(layer: nn.Conv2d) -> bool:
    """Return whether NNPACK computes a layer; with one input channel, direct convolution is always faster."""
    shape = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    return shape == ((3, 3), (1, 1), (1, 1), (1, 1)) and layer.groups == 1 and layer.in_channels > 1


@torch.inference_mode()
def fastest(networks: Sequence[Network], light: Tensor, *, clock: Callable[[], float] = time.perf_counter) -> Network:
    """Return the network that takes the shortest time; they take turns, after each has run once.

    Args:
        networks: the networks.
        light: input, `(1, 1, H, W)` float in [0, 1].
        clock: function that returns the time in seconds.
    """
    seconds = [float("inf")] * len(networks)
    for network in networks:
        network(light[..., : SIDE // 4, : SIDE // 4])
    for _ in range(ROUNDS):
        for number, network in enumerate(networks):
            started = clock()
            network(light)
            seconds[number] = min(seconds[number], clock() - started)
    return networks[seconds.index(min(seconds))]
