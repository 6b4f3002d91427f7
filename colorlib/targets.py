"""What a network predicts: each row of `TARGETS` is one class.

A target turns photographs into what the network must produce (`encode`) and what it produced into photographs
(`decode`), and states the head it needs.
"""

from typing import Protocol

from torch import Tensor, nn

from colorlib.model import Head


class Target(Protocol):
    """What every target promises."""

    head: Head

    def encode(self, rgb: Tensor) -> Tensor:
        """Map sRGB, `(B, 3, H, W)` float in [0, 1], to what the network is trained on."""
        ...

    def decode(self, output: Tensor, light: Tensor) -> Tensor:
        """Map the network's output and the input L, `(B, 1, H, W)` in [0, 100], to sRGB in [0, 1]."""
        ...


class RGB:
    """The paper's target (Sec. III.A): all three channels of sRGB in [0, 1], behind a sigmoid. L is predicted anew."""

    head = Head(channels=3, activation=nn.Sigmoid)

    def encode(self, rgb: Tensor) -> Tensor:
        """Return `rgb` itself."""
        return rgb

    def decode(self, output: Tensor, light: Tensor) -> Tensor:
        """Return `output` itself: the sigmoid keeps it in [0, 1], and the true L is not used."""
        return output


TARGETS: dict[str, type[Target]] = {
    "rgb": RGB,
}
