"""What a network predicts: each row of `TARGETS` is one class.

A target turns photographs into what the network must produce (`encode`) and what it produced into photographs
(`decode`), and states the head it needs.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from colorlib.color import ab_bins, lab_to_rgb, made_once, rgb_to_lab
from colorlib.model import Head

VALUES, CLASSES = "values", "classes"
"""What an output channel is: a value of a pixel, or the score of a class that the pixel may belong to."""


class Target(Protocol):
    """What every target promises."""

    kind: str
    """`VALUES` or `CLASSES`; an objective says which of them it rewards."""

    @property
    def head(self) -> Head:
        """What ends the network."""
        ...

    def encode(self, rgb: Tensor) -> Tensor:
        """Map sRGB, `(B, 3, H, W)` float in [0, 1], to what the network is trained on."""
        ...

    def decode(self, output: Tensor, light: Tensor) -> Tensor:
        """Map the network's output and the input L, `(B, 1, H, W)` in [0, 100], to sRGB in [0, 1]."""
        ...


class RGB:
    """The paper's target (Sec. III.A): all three channels of sRGB in [0, 1], behind a sigmoid. L is predicted anew."""

    kind = VALUES
    head = Head(channels=3, activation=nn.Sigmoid)

    def encode(self, rgb: Tensor) -> Tensor:
        """Return `rgb` itself."""
        return rgb

    def decode(self, output: Tensor, light: Tensor) -> Tensor:
        """Return `output` itself: the sigmoid keeps it in [0, 1], and the true L is not used."""
        return output


class LAB:
    """a and b of CIE LAB, each divided by 110, behind a hyperbolic tangent; the photograph keeps its own L.

    What the paper's outlook names in place of RGB (Sec. V). No color of sRGB has |a| or |b| above 108.
    """

    kind = VALUES
    head = Head(channels=2, activation=nn.Tanh)
    reach = 110.0
    """a and b that an output of 1 stands for."""

    def encode(self, rgb: Tensor) -> Tensor:
        """Return a and b over 110: `(B, 2, H, W)` in [-1, 1]."""
        return rgb_to_lab(rgb)[..., 1:, :, :] / self.reach

    def decode(self, output: Tensor, light: Tensor) -> Tensor:
        """Return the sRGB of the true L and the predicted a and b, clipped to the gamut."""
        return lab_to_rgb(torch.cat((light.to(output), output * self.reach), dim=-3))


@made_once
def _bins_on(device: torch.device, dtype: torch.dtype) -> Tensor:
    return ab_bins().to(device, dtype)


class LABBins:
    """A class for each cell of a grid over a and b (Zhang et al. 2016, Sec. 2); the photograph keeps its own L.

    The truth is spread over a color's five nearest cells; the answer is the annealed mean of the cells' centers.
    """

    kind = CLASSES
    neighbors = 5
    sigma = 5.0
    """Spread of the truth over its neighbors, in units of a and b (Sec. 2.1)."""
    temperature = 0.38
    """0 takes the likeliest class, 1 the mean over all of them (Sec. 2.3)."""

    def __init__(self) -> None:
        self.bins = ab_bins()

    @property
    def head(self) -> Head:
        """A score for each class, without an activation."""
        return Head(channels=len(self.bins), activation=nn.Identity)

    def encode(self, rgb: Tensor) -> Tensor:
        """Return the share of each class: `(B, Q, H, W)`, summing to 1 over Q."""
        ab = rgb_to_lab(rgb)[:, 1:].movedim(1, -1)
        nearest = torch.cdist(ab.flatten(0, -2), _bins_on(ab.device, ab.dtype)).topk(self.neighbors, largest=False)
        weights = (-nearest.values.square() / (2 * self.sigma**2)).softmax(dim=-1)
        shares = ab.new_zeros(len(weights), len(self.bins)).scatter_(1, nearest.indices, weights)
        return shares.view(*ab.shape[:-1], -1).movedim(-1, 1)

    def decode(self, output: Tensor, light: Tensor) -> Tensor:
        """Return the sRGB of the true L and the annealed mean of the classes, clipped to the gamut."""
        shares = (output / self.temperature).softmax(dim=1)
        ab = torch.einsum("bqhw,qc->bchw", shares, _bins_on(shares.device, shares.dtype))
        return lab_to_rgb(torch.cat((light.to(ab), ab), dim=-3))


TARGETS: dict[str, type[Target]] = {
    "rgb": RGB,
    "lab": LAB,
    "lab-bins": LABBins,
}
