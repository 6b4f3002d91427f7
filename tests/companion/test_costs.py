"""Costs of networks, compared with published numbers and with stacks whose receptive field is known."""

import pytest
import torch
from torch import nn

from colorlib.companion.costs import Pix2pixUNet, costs, multiply_adds, receptive_field
from colorlib.config import RunConfig
from colorlib.features import Lite0, Lite0Trunk
from colorlib.model import NETWORKS, EncoderDecoder, SkipEncoderDecoder, UNet, parameter_count
from colorlib.targets import TARGETS

FIELDS = {
    "encoder-decoder": 13, "skip": 13, "unet": 75, "deep-unet": 155,
    "context-1": 1, "context-5": 5, "context-29": 29, "context-61": 61,
}  # fmt: skip
PAPERS = ((1, 64), (64, 128), (128, 256), (256, 128), (128, 64), (64, 3))


def test_the_papers_multiply_adds_are_those_of_its_layers():
    network = NETWORKS["encoder-decoder"](TARGETS["rgb"]().head)
    expected = sum(9 * before * after for before, after in PAPERS)
    assert multiply_adds(network, 24, 40) == 24 * 40 * expected


def test_the_unet_is_that_of_pix2pix():
    # The authors' own code prints 54.414 M for 3 channels in and out.
    with torch.device("meta"):
        assert parameter_count(Pix2pixUNet(3, 3)) == 54_413_955
        network = Pix2pixUNet()
        # 16 weights per pair of channels at each position of a level's smaller map, down and up.
        widths = (64, 128, 256, 512, 512, 512, 512, 512)
        down = sum(16 * a * b * (128 >> i) ** 2 for i, (a, b) in enumerate(zip((1, *widths), widths, strict=False)))
        joined = [2 * width for width in widths[:-1]] + [widths[-1]]
        up = sum(16 * a * b * (128 >> i) ** 2 for i, (a, b) in enumerate(zip(joined, (3, *widths), strict=False)))
        assert multiply_adds(network, 256, 256) == down + up


def test_the_unet_runs():
    torch.manual_seed(0)
    with torch.inference_mode():
        assert Pix2pixUNet().eval()(torch.rand(1, 1, 256, 256)).shape == (1, 3, 256, 256)


class Classifier(nn.Module):
    """EfficientNet-Lite0 on one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Lite0()

    def forward(self, light: torch.Tensor) -> torch.Tensor:
        return self.network.probabilities(self.network(light.expand(-1, 3, -1, -1)))


def test_the_frozen_encoder_is_counted_in_full():
    # Its authors state 4.7 M parameters and 407 M multiply-adds at 224 x 224 pixels.
    with torch.device("meta"):
        whole = Classifier()
        trunk = Lite0Trunk()
    network = NETWORKS["lite0-unet"](TARGETS["lab"]().head)
    assert parameter_count(whole) / 1e6 == pytest.approx(4.7, abs=0.05)
    assert multiply_adds(whole, 224, 224) / 1e6 == pytest.approx(407, rel=0.06)
    # Folded, a normalization's two parameters per channel become one bias.
    normalizations = sum(parameter_count(layer) for layer in trunk.modules() if isinstance(layer, nn.BatchNorm2d))
    decoder = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    assert parameter_count(network) == parameter_count(trunk) - normalizations // 2 + decoder
    head = 7 * 7 * 320 * 1280 + 1280 * 1000
    trained = multiply_adds(network, 224, 224) - (multiply_adds(whole, 224, 224) - head)
    by_hand = 9 * (16 + 32 * 16 + 16 * 2) * 224**2  # at full resolution
    assert by_hand < trained < 2 * by_hand


@pytest.mark.parametrize(
    ("layers", "width"),
    [
        ([nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1)], 1),
        ([nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 5, padding=2)], 7),
        ([nn.Conv2d(1, 3, 3, padding=4, dilation=4)], 9),
    ],
)
def test_the_receptive_field_of_known_stacks(layers: list[nn.Module], width: int):
    torch.manual_seed(0)
    assert receptive_field(nn.Sequential(*layers).double(), reach=8) == width


@pytest.mark.slow
def test_every_receptive_field_is_within_the_halo():
    for name, network in NETWORKS.items():
        if network.whole:
            continue
        torch.manual_seed(1)
        built = network(TARGETS["rgb"]().head)
        field = receptive_field(built.double(), reach=built.halo + 1, trials=1, stride=built.stride)
        # A network that downsamples rounds its halo up to a whole number of its strides.
        assert 2 * (built.halo - built.stride) + 1 < field <= 2 * built.halo + 1
        assert built.halo % built.stride == 0
        assert field == FIELDS[name]


def test_a_shrunk_photograph_takes_the_arithmetic_of_its_view():
    shrunk = RunConfig(network="deep-unet", view=96, crop_size=96)
    network = NETWORKS["deep-unet"](TARGETS["rgb"]().head)
    # 481 x 321 pixels: a photograph of BSDS500
    assert costs(shrunk)["multiply-adds per pixel"] == pytest.approx(multiply_adds(network, 96, 96) / (481 * 321))
    assert costs(shrunk)["multiply-adds per pixel"] < costs(RunConfig())["multiply-adds per pixel"] / 20
    own_size = RunConfig(network="deep-unet")
    assert costs(own_size)["multiply-adds per pixel"] == pytest.approx(multiply_adds(network, 96, 96) / 96**2)


def test_the_small_unet_is_within_the_papers_budget():
    head = TARGETS["rgb"]().head
    with torch.device("meta"):
        paper, small = (network(head) for network in (EncoderDecoder, UNet))
    assert parameter_count(small) <= 740_227
    assert multiply_adds(small, 64, 64) < multiply_adds(paper, 64, 64) / 10


def test_skip_connections_add_the_weights_of_their_channels():
    with torch.device("meta"):
        network = SkipEncoderDecoder(TARGETS["rgb"]().head)
    assert parameter_count(network) == 740_227 + 9 * (128 * 64 + 64 * 3)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (16, 24), (21, 13)])
def test_every_network_keeps_height_and_width(name: str, size: tuple[int, int]):
    network = NETWORKS[name](TARGETS["lab"]().head).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 1, *size)).shape == (1, 2, *size)


def test_a_field_wider_than_the_search_is_an_error():
    with pytest.raises(ValueError, match=r"9 pixels.*\breach\b"):
        receptive_field(nn.Conv2d(1, 1, 9, padding=4).double(), reach=4)
    with pytest.raises(ValueError, match=r"\boutput\b"):
        receptive_field(lambda light: light * 0, reach=4)
