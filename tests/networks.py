"""Networks for tests."""

import torch

from colorlib.keys import torch_seeded
from colorlib.model import Network
from colorlib.targets import RGB


def strong(kind: type[Network]) -> Network:
    """A network whose output depends strongly on all it sees, unlike one with its initial weights."""
    with torch_seeded(1, "test"):
        network = kind(RGB.head)
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return network.to(memory_format=torch.channels_last).eval()
