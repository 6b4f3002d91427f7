"""What training rewards: each row of `OBJECTIVES` is one class.

An objective gives the loss that the network learns from, and may learn itself: a discriminator does, after each update
of the network. Each loss is an average in which every photograph of the batch weighs the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from colorlib import keys
from colorlib.color import rgb_to_lab
from colorlib.critics import Features, PatchGAN
from colorlib.images import Pixels
from colorlib.learner import Learner
from colorlib.targets import CLASSES, VALUES, LABBins, Target


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a network is asked, and what it should answer."""

    light: Tensor
    """L, `(B, 1, H, W)` float in [0, 100]."""
    rgb: Tensor
    """The photographs, `(B, 3, H, W)` float in [0, 1]."""
    encoded: Tensor
    """The photographs as the target encodes them, `(B, C, H, W)`."""
    share: float = 1.0
    """How much of the update's batch these photographs are: less than 1 where several processes share it."""


class Objective(nn.Module):
    """What every objective promises. One that learns nothing itself has a loss and no more."""

    takes: str = VALUES
    """Which kind of target it rewards."""

    def __init__(self, target: Target, seed: int) -> None:
        """Remember the target; whatever is random is a function of the seed."""
        super().__init__()
        self.target = target

    def fit(self, training: Sequence[Pixels]) -> None:
        """Take what it needs to know of the training photographs, before the first update."""

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """The scalar loss of the network's output, `(B, C, H, W)`."""
        raise NotImplementedError

    def learn(self, output: Tensor, batch: Batch) -> None:
        """Learn from a batch, after the network did; `output` carries no gradient."""

    def learned(self) -> dict[str, Tensor]:
        """What `learn` left, for a checkpoint."""
        return {}

    def restore(self, learned: Mapping[str, Tensor]) -> None:
        """Take back what `learned` gave."""


class PixelMSE(Objective):
    """The paper's loss (Sec. III.C): the mean over all C H W values of the squared difference."""

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar mean squared error."""
        return nn.functional.mse_loss(output, batch.encoded)


class PixelL1(Objective):
    """The mean over all C H W values of the absolute difference: what it rewards is a median, not a mean."""

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar mean absolute error."""
        return nn.functional.l1_loss(output, batch.encoded)


class PixelHuber(Objective):
    """Squared where the difference is below `delta`, absolute above (Huber 1964)."""

    delta = 0.1
    """In units of the encoded values: a tenth of RGB's range, 11 units of a and b."""

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar mean loss."""
        return nn.functional.huber_loss(output, batch.encoded, delta=self.delta)


class Perceptual(Objective):
    """Pixel MSE, and the squared difference of VGG-16's feature maps of the decoded colors (Johnson et al. 2016).

    Each map's difference is taken relative to the truth's own square, so that maps of any scale weigh the same.
    """

    weight = 0.1
    """Of the features beside the pixels: of the order of the pixels' own loss once colors are plausible."""

    def __init__(self, target: Target, seed: int) -> None:
        super().__init__(target, seed)
        self.features = self._features(seed)

    def _features(self, seed: int) -> Features:
        return Features()

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar weighted sum."""
        with torch.no_grad():
            truth = self.features(batch.rgb)
        predicted = self.features(self.target.decode(output, batch.light))
        apart = torch.stack(
            [_per_photo((one - other).square()) / _per_photo(other.square())
             for one, other in zip(predicted, truth, strict=True)]
        )  # fmt: skip
        return nn.functional.mse_loss(output, batch.encoded) + self.weight * apart.mean()


def _per_photo(values: Tensor) -> Tensor:
    return values.flatten(1).mean(dim=1)


class RandomPerceptual(Perceptual):
    """The same with features whose weights are random: structure alone, nothing learned (Liu et al. 2021)."""

    def _features(self, seed: int) -> Features:
        return Features(seed=seed)


class Adversarial(Objective):
    """A conditional GAN with L1, as in pix2pix (Isola et al. 2017, Sec. 3.1): colors that a discriminator takes for a
    photograph's, and near the truth.
    """

    l1_weight = 200.0
    """100 on values in [-1, 1] (Sec. 6.2), which is 200 on ours in [0, 1]."""
    learning_rate, betas = 2e-4, (0.5, 0.999)
    """The discriminator's Adam (Sec. 3.3)."""

    def __init__(self, target: Target, seed: int) -> None:
        super().__init__(target, seed)
        with keys.torch_seeded(seed, "initial weights of the discriminator"):
            self.discriminator = PatchGAN()
        self._learner: Learner | None = None

    @property
    def learner(self) -> Learner:
        """The discriminator's Adam, made where the discriminator is when it first learns."""
        if self._learner is None:
            self._learner = Learner(self.discriminator, learning_rate=self.learning_rate, betas=self.betas)
        return self._learner

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar loss of the network."""
        rgb = self.target.decode(output, batch.light)
        scores = self.discriminator(batch.light, rgb)
        fooled = nn.functional.binary_cross_entropy_with_logits(scores, torch.ones_like(scores))
        return fooled + self.l1_weight * nn.functional.l1_loss(rgb, batch.rgb)

    def learn(self, output: Tensor, batch: Batch) -> None:
        """Let the discriminator do one update: photographs are 1, colorizations 0 (the objective halved, Sec. 3.3)."""
        real = self.discriminator(batch.light, batch.rgb)
        made = self.discriminator(batch.light, self.target.decode(output, batch.light))
        entropy = nn.functional.binary_cross_entropy_with_logits
        loss = (entropy(real, torch.ones_like(real)) + entropy(made, torch.zeros_like(made))) / 2.0
        self.learner.update(loss, share=batch.share)

    def learned(self) -> dict[str, Tensor]:
        """The discriminator, and its Adam."""
        return self.learner.state("discriminator")

    def restore(self, learned: Mapping[str, Tensor]) -> None:
        """Take them back."""
        self.learner.restore(learned, "discriminator")


class Classification(Objective):
    """Cross entropy over the cells of ab, rare colors weighing more (Zhang et al. 2016, eqs. 2-4)."""

    takes = CLASSES
    uniform = 0.5
    """Share of a uniform distribution in the one that weights are taken from (lambda, eq. 4)."""
    sigma = 5.0
    """Of the Gaussian that smooths the distribution of colors, in units of a and b."""
    photographs, every = 1000, 4
    """The distribution is taken from every 4th row and column of at most so many training photographs."""
    weights: Tensor

    def __init__(self, target: Target, seed: int) -> None:
        super().__init__(target, seed)
        assert isinstance(target, LABBins)
        self.register_buffer("weights", torch.ones(len(target.bins)))

    def fit(self, training: Sequence[Pixels]) -> None:
        """Count the colors of the training photographs: a class's weight follows from how rare it is."""
        assert isinstance(self.target, LABBins)
        bins = self.target.bins
        counts = torch.zeros(len(bins), dtype=torch.float64)
        for photo in training[:: -(-len(training) // self.photographs)]:
            sampled = torch.from_numpy(photo[:: self.every, :: self.every].copy()).permute(2, 0, 1)
            ab = rgb_to_lab(sampled)[1:].flatten(1).T
            counts += torch.bincount(torch.cdist(ab, bins).argmin(dim=1), minlength=len(bins))
        smooth = (-torch.cdist(bins, bins).double().square() / (2 * self.sigma**2)).softmax(dim=1)
        shares = smooth.T @ (counts / counts.sum())
        weights = 1.0 / ((1.0 - self.uniform) * shares + self.uniform / len(bins))
        # So that the mean weight over the training photographs' own colors is 1.
        self.weights.copy_(weights / (weights * shares).sum())

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar weighted cross entropy; a pixel weighs as much as its likeliest class."""
        entropy = -(batch.encoded * output.log_softmax(dim=1)).sum(dim=1)
        return (self.weights[batch.encoded.argmax(dim=1)] * entropy).mean()


OBJECTIVES: dict[str, type[Objective]] = {
    "mse": PixelMSE,
    "l1": PixelL1,
    "huber": PixelHuber,
    "perceptual": Perceptual,
    "perceptual-random": RandomPerceptual,
    "adversarial": Adversarial,
    "classification": Classification,
}
