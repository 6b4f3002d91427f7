"""Networks that judge a colorization beside the truth: a discriminator that learns to, and features that know how."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from colorlib import keys

VGG_FILE = "vgg16-397923af.pth"
"""torchvision's VGG-16 trained on ImageNet (`VGG16_Weights.IMAGENET1K_V1`), as PyTorch's hub names it."""
VGG_URL = f"https://download.pytorch.org/models/{VGG_FILE}"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the photographs that VGG-16 was trained on, per channel of sRGB in [0, 1]."""


class PatchGAN(nn.Module):
    """The discriminator of pix2pix that sees 16 x 16 pixels (Isola et al. 2017, Sec. 6.1.2: C64-C128).

    The 70 x 70 one would see more than a crop of 48 pixels holds. Given L and colors, a score for each patch: whether
    they are a photograph's. Without batch normalization, which would tie a photograph's score to its neighbors'.
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


class Features(nn.Module):
    """VGG-16's feature maps after its 2nd, 4th and 7th convolution (relu1_2, relu2_2 and relu3_3), frozen."""

    plan = (64, 64, "pool", 128, 128, "pool", 256, 256, 256)
    """Channels of each convolution, laid out as torchvision's `vgg16().features`, so that its weights fit."""
    taps = (3, 8, 15)
    """Places of the layers after which a feature map is taken."""
    mean: Tensor
    std: Tensor

    def __init__(self, *, seed: int | None = None) -> None:
        """Take ImageNet's weights, or, with a seed, random ones (Liu et al. 2021): PyTorch's default for each layer.

        Raises:
            ValueError: ImageNet's weights cannot be had; the message says how to get them.
        """
        super().__init__()
        with keys.torch_seeded(seed or 0, "random features"):
            self.layers = self._layers()
        if seed is None:
            held = vgg_weights()
            names = self.layers.state_dict()
            self.layers.load_state_dict({name: held[f"features.{name}"] for name in names})
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
        """The feature maps of sRGB, `(B, 3, H, W)` in [0, 1]."""
        maps, inner = [], (rgb - self.mean) / self.std
        for place, layer in enumerate(self.layers):
            inner = layer(inner)
            if place in self.taps:
                maps.append(inner)
        return maps


def vgg_weights() -> Mapping[str, Tensor]:
    """VGG-16's ImageNet weights: from PyTorch's cache, else downloaded into it.

    Raises:
        ValueError: they are not here and cannot be downloaded; the message says how to get them.
    """
    try:
        held: Mapping[str, Tensor] = torch.hub.load_state_dict_from_url(VGG_URL, progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        path = Path(torch.hub.get_dir()) / "checkpoints" / VGG_FILE
        raise ValueError(
            f"the weights of VGG-16 cannot be had ({error}): put {VGG_URL} at {path}, or set "
            "objective=perceptual-random, whose features are random"
        ) from error
    return held
