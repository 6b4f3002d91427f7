"""What training rewards: each row of `OBJECTIVES` is one class."""

from typing import Protocol

from torch import Tensor, nn


class Objective(Protocol):
    """What every objective promises: a loss, averaged so that every photograph of the batch weighs the same."""

    def __call__(self, output: Tensor, encoded: Tensor) -> Tensor:
        """Return the scalar loss of `output` against `encoded`, both `(B, C, H, W)`."""
        ...


class PixelMSE:
    """The paper's loss (Sec. III.C): the mean over all 3 H W values of the squared difference."""

    def __call__(self, output: Tensor, encoded: Tensor) -> Tensor:
        """Return the scalar mean squared error."""
        return nn.functional.mse_loss(output, encoded)


OBJECTIVES: dict[str, type[Objective]] = {
    "mse": PixelMSE,
}
