"""Winograd convolutions: nearly the colors of direct ones, where they are faster, and nowhere but in copies."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.networks import strong
from helpers.pictures import smooth
from PIL import Image
from torch import Tensor, nn

from colorlib import cli
from colorlib.colorize import winograd
from colorlib.colorize.colorizer import PhotoColorizer
from colorlib.colorize.winograd import BAND_ROWS, WinogradConv2d, fastest, with_fastest_convolution, with_winograd
from colorlib.colorizers import Colorizer, load_run
from colorlib.model import NETWORKS, EncoderDecoder
from colorlib.profiles import PROJECT
from colorlib.targets import RGB

CPU = torch.device("cpu")
nnpack = pytest.mark.skipif(not torch._nnpack_available(), reason="this processor or build of PyTorch has no NNPACK")


@nnpack
@pytest.mark.parametrize("profile", ["paper", "lightweight"])
@pytest.mark.parametrize("keep_luminance", [True, False])
def test_colors_differ_by_one_level_on_under_a_thousandth_of_the_values(profile: str, keep_luminance: bool):
    direct = load_run(PROJECT / "results" / profile / "seed-0")
    network = with_winograd(direct.network)
    assert network is not None
    other = Colorizer(network=network, target=direct.target, device=CPU, tile=64)
    photo = smooth(150, 200)
    expected, found = (
        PhotoColorizer(colorizer=one, keep_luminance=keep_luminance)(photo).astype(int) for one in (direct, other)
    )
    difference = np.abs(found - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001
    assert not any(isinstance(layer, WinogradConv2d) for layer in direct.network.modules()), "a copy was changed"


@nnpack
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (13, 2)])
def test_small_pictures_are_colored(size: tuple[int, int]):
    direct = strong(EncoderDecoder)
    network, light = with_winograd(direct), torch.rand(2, 1, *size)
    assert network is not None
    with torch.inference_mode():
        assert torch.allclose(network(light), direct(light), atol=1e-4)


@nnpack
@pytest.mark.parametrize("height", [BAND_ROWS, BAND_ROWS + 1, 2 * BAND_ROWS, 3 * BAND_ROWS + 7])
def test_bands_change_no_byte(height: int):
    layer = WinogradConv2d(6, 5, 3, padding=1)
    image = torch.randn(1, 6, height, 31)
    with torch.inference_mode():
        whole = torch._nnpack_spatial_convolution(image, layer.weight, layer.bias, 1, 1)
        assert torch.equal(layer(image), whole)
        assert torch.allclose(whole, nn.functional.conv2d(image, layer.weight, layer.bias, padding=1), atol=1e-4)


@nnpack
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems count resident memory differently")
def test_the_workspace_is_a_fraction_of_the_layers():
    """In a process of its own, as the thread keeps the workspace: the widest layer's input and output take 0.33 GB."""
    script = (
        "import resource, torch\n"
        "from colorlib.colorize.winograd import WinogradConv2d\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "assert torch._nnpack_available()\n"
        "with torch.inference_mode():\n"
        "    layer, image = WinogradConv2d(128, 256, 3, padding=1), torch.rand(1, 128, 464, 464)\n"
        "    layer(image[..., :8, :])\n"
        "    before = peak()\n"
        "    output = layer(image)\n"
        "    print(peak() - before - output.nbytes)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT, check=True)
    assert int(done.stdout) < 300e6


@nnpack
def test_only_convolutions_of_the_kind_that_nnpack_computes_are_replaced():
    for name, kind in NETWORKS.items():
        network = with_winograd(strong(kind))
        layers = [layer for layer in network.modules() if isinstance(layer, WinogradConv2d)] if network else []
        for layer in layers:
            assert (layer.kernel_size, layer.stride, layer.padding, layer.dilation) == ((3, 3), (1, 1), (1, 1), (1, 1))
        assert bool(layers) == (name != "context-1")


def without_nnpack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "_nnpack_available", lambda: False)


def without_its_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch, "_nnpack_spatial_convolution")


@pytest.mark.parametrize("take_away", [without_nnpack, without_its_functions])
def test_without_nnpack_convolution_is_direct(
    take_away: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
):
    take_away(monkeypatch)
    colorizer = Colorizer(network=strong(EncoderDecoder), target=RGB(), device=CPU)
    assert with_fastest_convolution(colorizer) is colorizer


class Slow(nn.Module):
    """A network that takes a number of seconds by a clock of its own."""

    time = 0.0

    def __init__(self, seconds: list[float]) -> None:
        super().__init__()
        self.seconds = iter([0.0, *seconds])  # the first run is not measured

    def forward(self, light: Tensor) -> Tensor:
        Slow.time += next(self.seconds)
        return light


@pytest.mark.parametrize(("first", "second", "chosen"), [([3, 1], [2, 2], 0), ([3, 2], [9, 1], 1), ([1, 1], [1, 1], 0)])
def test_the_shortest_time_chooses(first: list[float], second: list[float], chosen: int):
    networks = Slow(first), Slow(second)
    assert fastest(networks, torch.zeros(1, 1, 8, 8), clock=lambda: Slow.time) is networks[chosen]


@pytest.mark.parametrize(
    ("pixels", "options", "measured"), [(100, [], True), (101, [], False), (100, ["--exact"], False)]
)
def test_large_photographs_are_measured_unless_exact_is_asked_for(
    pixels: int, options: list[str], measured: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls: list[Colorizer] = []
    monkeypatch.setattr(winograd, "MEASURED_FROM", pixels)
    monkeypatch.setattr(winograd, "with_fastest_convolution", lambda colorizer: calls.append(colorizer) or colorizer)
    Image.fromarray(smooth(10, 10)).save(tmp_path / "photo.png")
    run = PROJECT / "results" / "paper" / "seed-0"
    assert cli.main(["colorize", str(tmp_path / "photo.png"), "--model", str(run), *options]) == 0
    assert bool(calls) == measured
