"""Networks for tests."""

import torch

from colorlib.model import Head, Network
from colorlib.rng import fork_torch_rng
from colorlib.targets import RGB


def strong(kind: type[Network], head: Head = RGB.head) -> Network:
    """Return a network whose output depends strongly on its whole receptive field (with default weights, weakly)."""
    with fork_torch_rng(1, "test"):
        network = kind(head)
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return network.to(memory_format=torch.channels_last).eval()
