"""Training losses, selected by `objective=`: each row of `OBJECTIVES` is one class, the paper's comes first.

A loss is a scalar mean in which every photograph of the batch has the same weight. An objective may also train a
network of its own: a discriminator, which is updated after each update of the colorization network.
"""

import copy
import hashlib
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from colorlib import rng
from colorlib.color import rgb_to_lab
from colorlib.features import load_lite0
from colorlib.optim import TrainState
from colorlib.photos.decode import Pixels
from colorlib.targets import CLASSES, VALUES, LABBins, Target


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch of photographs as network input and target."""

    L: Tensor
    """L, `(B, 1, H, W)` float in [0, 100]."""
    rgb: Tensor
    """The photographs, `(B, 3, H, W)` float in [0, 1]."""
    target: Tensor
    """The encoded photographs, `(B, head.channels, H, W)`."""
    weight: float = 1.0
    """Fraction of the update's crops that this batch holds: less than 1 where several processes share an update."""


class Objective(nn.Module):
    """Base class of the losses. A loss without a discriminator implements `forward` and no more."""

    takes: str = VALUES
    """Kind of target that the loss is defined for: `VALUES` or `CLASSES`."""

    def __init__(self, target: Target, seed: int) -> None:
        """Keep the target.

        Args:
            target: encodes photographs and decodes the network's output.
            seed: the run's seed; all randomness of the objective is a function of it.
        """
        super().__init__()
        self.target = target

    def fit(self, training: Sequence[Pixels]) -> None:
        """Compute statistics of the training photographs, each `(H, W, 3)` uint8, before the first update."""

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar loss of the network's output, `(B, head.channels, H, W)`."""
        raise NotImplementedError

    def step_discriminator(self, output: Tensor, batch: Batch) -> None:
        """Update the discriminator, after the network's update on the same batch; `output` carries no gradient."""

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that `step_discriminator` changes, for a checkpoint."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Load the tensors that `state` returned."""


class PixelMSE(Objective):
    """The paper's loss (Sec. III.C): mean squared difference over all C H W values."""

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar mean squared error."""
        return nn.functional.mse_loss(output, batch.target)


class PixelL1(Objective):
    """Mean absolute difference over all C H W values; its minimum is a median, not a mean."""

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar mean absolute error."""
        return nn.functional.l1_loss(output, batch.target)


class SceneL1(PixelL1):
    """`PixelL1` plus the absolute difference of the means over each crop: an error that all pixels share costs more."""

    weight = 1.0
    """Factor on the difference of the means."""

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar sum of both terms."""
        means, true_means = output.mean(dim=(-2, -1)), batch.target.mean(dim=(-2, -1))
        return super().forward(output, batch) + self.weight * nn.functional.l1_loss(means, true_means)


class PixelHuber(Objective):
    """Huber loss: squared for differences below `delta`, linear above (Huber 1964)."""

    delta = 0.1
    """In units of the encoded values: a tenth of RGB's range, 11 units of a and b."""

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar mean loss."""
        return nn.functional.huber_loss(output, batch.target, delta=self.delta)


VGG_FILE = "vgg16-397923af.pth"
"""torchvision's VGG-16 trained on ImageNet (`VGG16_Weights.IMAGENET1K_V1`), as PyTorch's hub names it."""
VGG_URL = f"https://download.pytorch.org/models/{VGG_FILE}"
VGG_SHA256 = "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"
"""SHA-256 of the file, of which its name has the first digits."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Normalization of VGG-16's input, per channel of sRGB in [0, 1]."""


class VGG16Features(nn.Module):
    """Frozen feature maps of VGG-16, after its 2nd, 4th and 7th convolution (relu1_2, relu2_2 and relu3_3)."""

    plan = (64, 64, "pool", 128, 128, "pool", 256, 256, 256)
    """Output channels of each convolution, in the order of torchvision's `vgg16().features`, whose weights fit."""
    taps = (3, 8, 15)
    """Indices of the layers whose outputs are returned."""
    mean: Tensor
    std: Tensor

    def __init__(self, *, seed: int | None = None) -> None:
        """Load ImageNet's weights or, with a seed, initialize at random (Liu et al. 2021) as PyTorch's layers do.

        Raises:
            ValueError: ImageNet's weights cannot be downloaded; the message says how to get them.
        """
        super().__init__()
        with rng.fork_torch_rng(seed or 0, "random features"):
            self.layers = self._layers()
        if seed is None:
            weights = vgg_weights()
            names = self.layers.state_dict()
            self.layers.load_state_dict({name: weights[f"features.{name}"] for name in names})
        self.layers.requires_grad_(requires_grad=False)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def _layers(self) -> nn.Sequential:
        layers: list[nn.Module] = []
        channels = 3
        for entry in self.plan:
            if isinstance(entry, str):
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, entry, 3, padding=1), nn.ReLU()]
                channels = entry
        return nn.Sequential(*layers)

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """Return the feature maps of sRGB, `(B, 3, H, W)` in [0, 1]: one `(B, C, H', W')` for each of `taps`."""
        maps, inner = [], (rgb - self.mean) / self.std
        for place, layer in enumerate(self.layers):
            inner = layer(inner)
            if place in self.taps:
                maps.append(inner)
        return maps


def vgg_weights() -> Mapping[str, Tensor]:
    """Return VGG-16's ImageNet weights, from PyTorch's cache or downloaded into it.

    The file is verified before it is loaded, and only tensors are unpickled.

    Raises:
        ValueError: they are not in the cache and cannot be downloaded, or the file is another one; the message says how
            to get them.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / VGG_FILE
    # Download
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(VGG_URL, str(path), hash_prefix=VGG_SHA256, progress=False)
        except (OSError, RuntimeError) as error:
            raise ValueError(
                f"the weights of VGG-16 cannot be downloaded ({error}): put {VGG_URL} at {path}, or set "
                "objective=perceptual-lite0, whose features come in a package"
            ) from error
    # Verify and load the same open file
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != VGG_SHA256:
                raise ValueError("its SHA-256 differs")
            file.seek(0)
            weights: Mapping[str, Tensor] = torch.load(file, weights_only=True)
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} is not {VGG_URL} ({error}); delete it, so that it is downloaded again") from error
    return weights


class Perceptual(Objective):
    """Pixel MSE plus the squared difference of VGG-16's feature maps of the decoded colors (Johnson et al. 2016).

    The difference of each map is divided by the mean square of the true map, so that maps of any scale have the same
    weight.
    """

    weight = 0.1
    """Factor on the features' term: it is then of the order of the pixels' term once colors are plausible."""

    def __init__(self, target: Target, seed: int) -> None:
        super().__init__(target, seed)
        self.features = self._features(seed)

    def _features(self, seed: int) -> nn.Module:
        return VGG16Features()

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar weighted sum of both terms."""
        with torch.no_grad():
            true_maps = self.features(batch.rgb)
        maps = self.features(self.target.decode(output, batch.L))
        differences = torch.stack(
            [_per_photo((one - true).square()) / _per_photo(true.square())
             for one, true in zip(maps, true_maps, strict=True)]
        )  # fmt: skip
        return nn.functional.mse_loss(output, batch.target) + self.weight * differences.mean()


def _per_photo(values: Tensor) -> Tensor:
    return values.flatten(1).mean(dim=1)


class RandomPerceptual(Perceptual):
    """`Perceptual` with random features: VGG-16's architecture without trained weights (Liu et al. 2021)."""

    def _features(self, seed: int) -> nn.Module:
        return VGG16Features(seed=seed)


class Lite0Features(nn.Module):
    """Frozen feature maps of EfficientNet-Lite0, trained on ImageNet, at strides 2, 4 and 8."""

    def __init__(self) -> None:
        """Load the weights.

        Raises:
            FeaturesMissingError: they are not on this machine; the message says how to get them.
        """
        super().__init__()
        self.network = copy.deepcopy(load_lite0())

    def train(self, mode: bool = True) -> "Lite0Features":
        """Stay in evaluation mode: the statistics of the batch normalizations are ImageNet's."""
        return self

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """Return the feature maps of sRGB, `(B, 3, H, W)` in [0, 1]: `(B, C, H', W')`, C = 16, 24, 40."""
        return self.network.maps(rgb, levels=3)


class Lite0Perceptual(Perceptual):
    """`Perceptual` with features of EfficientNet-Lite0 in place of VGG-16's: both are trained on ImageNet, but these
    weights come in a package of 17 MB and need no download of 528 MB.
    """

    def _features(self, seed: int) -> nn.Module:
        return Lite0Features()


class PatchGAN(nn.Module):
    """The 16 x 16 discriminator of pix2pix (Isola et al. 2017, Sec. 6.1.2: C64-C128), conditioned on L.

    It scores each patch of 16 x 16 pixels as real or generated; the 70 x 70 discriminator would see more than a crop of
    48 pixels holds. Without batch normalization, which would make a photograph's score depend on the rest of the batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(4, 64, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 4, stride=1, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(128, 1, 4, stride=1, padding=1),
        )  # fmt: skip

    def forward(self, light: Tensor, rgb: Tensor) -> Tensor:
        """Score L, `(B, 1, H, W)` in [0, 100], with sRGB, `(B, 3, H, W)` in [0, 1]: `(B, 1, H', W')` logits."""
        scores: Tensor = self.layers(torch.cat((light / 100.0, rgb), dim=1) * 2.0 - 1.0)
        return scores


class Adversarial(Objective):
    """A conditional GAN plus L1, as in pix2pix (Isola et al. 2017, Sec. 3.1).

    The network is rewarded for colors that the discriminator classifies as real and for colors close to the true ones.
    """

    l1_weight = 200.0
    """100 for values in [-1, 1] (Sec. 6.2), which is 200 for ours in [0, 1]."""
    learning_rate, betas = 2e-4, (0.5, 0.999)
    """Of the discriminator's Adam (Sec. 3.3)."""

    def __init__(self, target: Target, seed: int) -> None:
        super().__init__(target, seed)
        with rng.fork_torch_rng(seed, "initial weights of the discriminator"):
            self.discriminator = PatchGAN()
        self._train_state: TrainState | None = None

    @property
    def train_state(self) -> TrainState:
        """The discriminator's train state, created at the first use: by then the discriminator is on its device."""
        if self._train_state is None:
            self._train_state = TrainState(self.discriminator, learning_rate=self.learning_rate, betas=self.betas)
        return self._train_state

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar loss of the network (the generator)."""
        rgb = self.target.decode(output, batch.L)
        scores = self.discriminator(batch.L, rgb)
        gan_loss = nn.functional.binary_cross_entropy_with_logits(scores, torch.ones_like(scores))
        return gan_loss + self.l1_weight * nn.functional.l1_loss(rgb, batch.rgb)

    def step_discriminator(self, output: Tensor, batch: Batch) -> None:
        """Do one update: real photographs are 1, generated ones 0 (the discriminator's loss is halved, Sec. 3.3)."""
        real = self.discriminator(batch.L, batch.rgb)
        generated = self.discriminator(batch.L, self.target.decode(output, batch.L))
        entropy = nn.functional.binary_cross_entropy_with_logits
        loss = (entropy(real, torch.ones_like(real)) + entropy(generated, torch.zeros_like(generated))) / 2.0
        self.train_state.update(loss, weight=batch.weight)

    def state(self) -> dict[str, Tensor]:
        """Return the discriminator's weights and its Adam's moments."""
        return self.train_state.state("discriminator")

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Load the tensors that `state` returned."""
        self.train_state.load_state(state, "discriminator")


class Classification(Objective):
    """Cross entropy over the cells of the ab grid, rare colors weighted more (Zhang et al. 2016, eqs. 2-4)."""

    takes = CLASSES
    uniform = 0.5
    """Fraction of the uniform distribution in the mixture that the weights are the inverse of (lambda, eq. 4)."""
    sigma = 5.0
    """Standard deviation of the Gaussian that smooths the distribution of colors, in units of a and b."""
    photographs, every = 1000, 4
    """The distribution is estimated from every 4th row and column of at most 1000 training photographs."""
    weights: Tensor

    def __init__(self, target: Target, seed: int) -> None:
        super().__init__(target, seed)
        assert isinstance(target, LABBins)
        self.register_buffer("weights", torch.ones(len(target.bins)))

    def fit(self, training: Sequence[Pixels]) -> None:
        """Compute the weight of each class from the frequency of its colors in the training photographs."""
        assert isinstance(self.target, LABBins)
        bins = self.target.bins
        # Count the colors
        counts = torch.zeros(len(bins), dtype=torch.float64)
        for photo in training[:: -(-len(training) // self.photographs)]:
            sampled = torch.from_numpy(photo[:: self.every, :: self.every].copy()).permute(2, 0, 1)
            ab = rgb_to_lab(sampled)[1:].flatten(1).T
            counts += torch.bincount(torch.cdist(ab, bins).argmin(dim=1), minlength=len(bins))
        # Smooth the distribution, mix it with the uniform one, invert it (eq. 4)
        smoothing = (-torch.cdist(bins, bins).double().square() / (2 * self.sigma**2)).softmax(dim=1)
        probabilities = smoothing.T @ (counts / counts.sum())
        weights = 1.0 / ((1.0 - self.uniform) * probabilities + self.uniform / len(bins))
        # Normalize to a mean weight of 1 over the training photographs' own colors
        self.weights.copy_(weights / (weights * probabilities).sum())

    def forward(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the scalar weighted cross entropy; a pixel has the weight of its likeliest class."""
        entropy = -(batch.target * output.log_softmax(dim=1)).sum(dim=1)
        return (self.weights[batch.target.argmax(dim=1)] * entropy).mean()


OBJECTIVES: dict[str, type[Objective]] = {
    "mse": PixelMSE,
    "l1": PixelL1,
    "l1-scene": SceneL1,
    "huber": PixelHuber,
    "perceptual": Perceptual,
    "perceptual-lite0": Lite0Perceptual,
    "perceptual-random": RandomPerceptual,
    "adversarial": Adversarial,
    "classification": Classification,
}
