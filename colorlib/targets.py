"""Prediction targets, selected by `target=`: each row of `TARGETS` is one class, the paper's comes first.

A target converts photographs into the values that the network is trained on (`encode`) and the network's output back
into photographs (`decode`), and it defines the network's head.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from colorlib.color import ab_bins, cached_constant, lab_to_rgb, rgb_to_lab
from colorlib.model import Head

VALUES, CLASSES = "values", "classes"
"""Kinds of targets: an output channel is a value of a pixel, or the score of a class that the pixel may belong to."""


class Target(Protocol):
    """Interface of the targets."""

    kind: str
    """`VALUES` or `CLASSES`; it must be the kind that the objective takes."""

    @property
    def head(self) -> Head:
        """Output channels and last activation of the network."""
        ...

    def encode(self, rgb: Tensor) -> Tensor:
        """Convert sRGB, `(B, 3, H, W)` float in [0, 1], to the training target, `(B, head.channels, H, W)`."""
        ...

    def decode(self, output: Tensor, light: Tensor) -> Tensor:
        """Convert network output to sRGB.

        Args:
            output: `(B, head.channels, H, W)`.
            light: the input L, `(B, 1, H, W)` in [0, 100].

        Returns:
            `(B, 3, H, W)` in [0, 1].
        """
        ...


class RGB:
    """The paper's target (Sec. III.A): all three channels of sRGB in [0, 1], after a sigmoid; L is predicted as well,
    not copied from the input.
    """

    kind = VALUES
    head = Head(channels=3, activation=nn.Sigmoid)

    def encode(self, rgb: Tensor) -> Tensor:
        """Return `rgb` itself."""
        return rgb

    def decode(self, output: Tensor, light: Tensor) -> Tensor:
        """Return `output` itself: the sigmoid keeps it in [0, 1], and the true L is not used."""
        return output


class LAB:
    """a and b of CIE LAB, each divided by 110, after a hyperbolic tangent; L is copied from the input.

    The paper's outlook suggests it in place of RGB (Sec. V). No sRGB color has |a| or |b| above 108.
    """

    kind = VALUES
    head = Head(channels=2, activation=nn.Tanh)
    scale = 110.0
    """Value of a or b at an output of 1."""

    def encode(self, rgb: Tensor) -> Tensor:
        """Return a and b divided by 110: `(B, 2, H, W)` in [-1, 1]."""
        return rgb_to_lab(rgb)[..., 1:, :, :] / self.scale

    def decode(self, output: Tensor, light: Tensor) -> Tensor:
        """Return the sRGB of the true L and the predicted a and b, clipped to the gamut."""
        return lab_to_rgb(torch.cat((light.to(output), output * self.scale), dim=-3))


class LABBins:
    """One class per cell of a grid over a and b (Zhang et al. 2016, Sec. 2); L is copied from the input.

    The target distribution is spread over a color's five nearest cells; the predicted color is the annealed mean of
    the cells' centers.
    """

    kind = CLASSES
    neighbors = 5
    sigma = 5.0
    """Standard deviation of the Gaussian that weights the neighbors, in units of a and b (Sec. 2.1)."""
    temperature = 0.38
    """Of the softmax before the mean: 0 takes the likeliest class, 1 the mean over all classes (Sec. 2.3)."""

    def __init__(self) -> None:
        self.bins = ab_bins()

    @property
    def head(self) -> Head:
        """One score per class, without an activation."""
        return Head(channels=len(self.bins), activation=nn.Identity)

    def encode(self, rgb: Tensor) -> Tensor:
        """Return the probability of each class: `(B, Q, H, W)`, summing to 1 over Q."""
        ab = rgb_to_lab(rgb)[:, 1:].movedim(1, -1)
        nearest = torch.cdist(ab.flatten(0, -2), _bins_on(ab.device, ab.dtype)).topk(self.neighbors, largest=False)
        weights = (-nearest.values.square() / (2 * self.sigma**2)).softmax(dim=-1)
        probabilities = ab.new_zeros(len(weights), len(self.bins)).scatter_(1, nearest.indices, weights)
        return probabilities.view(*ab.shape[:-1], -1).movedim(-1, 1)

    def decode(self, output: Tensor, light: Tensor) -> Tensor:
        """Return the sRGB of the true L and the annealed mean of the classes, clipped to the gamut."""
        probabilities = (output / self.temperature).softmax(dim=1)
        ab = torch.einsum("bqhw,qc->bchw", probabilities, _bins_on(probabilities.device, probabilities.dtype))
        return lab_to_rgb(torch.cat((light.to(ab), ab), dim=-3))


@cached_constant
def _bins_on(device: torch.device, dtype: torch.dtype) -> Tensor:
    return ab_bins().to(device, dtype)


TARGETS: dict[str, type[Target]] = {
    "rgb": RGB,
    "lab": LAB,
    "lab-bins": LABBins,
}
