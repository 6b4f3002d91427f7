"""Gray to color for any size: tiles are the whole picture, and the true L can be put back."""

from pathlib import Path

import numpy as np
import pytest
import torch
from networks import strong
from pictures import noise, smooth
from skimage import color

from colorlib.color import lightness
from colorlib.colorizer import Colorizer, load_run, with_true_lightness
from colorlib.model import NETWORKS, EncoderDecoder, Network
from colorlib.runs import Run
from colorlib.targets import RGB

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> Network:
    return strong(EncoderDecoder)


def light(height: int, width: int) -> torch.Tensor:
    return 100 * torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(height * 1000 + width))


@pytest.mark.parametrize(
    ("size", "tile"),
    [((1, 1), 16), ((1, 40), 16), ((16, 16), 16), ((17, 33), 16), ((37, 53), 16), ((48, 15), 16), ((11, 7), 5)],
)
def test_tiles_give_the_whole_pictures_result(network: Network, size: tuple[int, int], tile: int):
    picture = light(*size)
    with torch.inference_mode():
        whole = network(picture / 100)
    tiled = Colorizer(network=network, target=RGB(), device=CPU, tile=tile)(picture)
    assert tiled.shape == (1, 3, *size)
    assert tiled.dtype == torch.float32
    assert (tiled - whole).abs().max() < 1e-5
    if min(size) > 1:
        assert whole.std() > 0.1, "the network's output varies, so a seam would show"


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(1, 1), (90, 61), (33, 130)])
def test_tiles_of_every_network_give_the_whole_pictures_result(name: str, size: tuple[int, int]):
    network, picture = strong(NETWORKS[name]), light(*size)
    with torch.inference_mode():
        whole = network(picture / 100)
    tiled = Colorizer(network=network, target=RGB(), device=CPU, tile=23)(picture)
    assert (tiled - whole).abs().max() < 1e-5
    if min(size) > 1:
        assert whole.std() > 0.1


def test_pictures_of_a_batch_are_colored_apart(network: Network):
    pictures = torch.cat((light(9, 20), light(9, 20).flip(-1)))
    colorize = Colorizer(network=network, target=RGB(), device=CPU, tile=16)
    both = colorize(pictures)
    assert both.shape == (2, 3, 9, 20)
    for i in range(2):
        assert (both[i : i + 1] - colorize(pictures[i : i + 1])).abs().max() < 1e-5


def test_a_halo_that_is_too_small_would_show(network: Network, monkeypatch: pytest.MonkeyPatch):
    picture = light(17, 20)
    with torch.inference_mode():
        whole = network(picture / 100)
    monkeypatch.setattr(network, "halo", 5)
    tiled = Colorizer(network=network, target=RGB(), device=CPU, tile=16)(picture)
    assert (tiled - whole).abs().max() > 1e-4


def test_memory_is_bounded_by_the_tile(network: Network, monkeypatch: pytest.MonkeyPatch):
    seen = []

    def forward(piece: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(piece.shape[-2:]))
        return piece.expand(-1, 3, -1, -1)

    monkeypatch.setattr(network, "forward", forward)
    Colorizer(network=network, target=RGB(), device=CPU, tile=16)(light(40, 50))
    assert len(seen) == 3 * 4
    assert max(height for height, _ in seen) == max(width for _, width in seen) == 16 + 2 * 6


def test_the_default_tile_is_larger_than_a_photograph_of_bsds500(network: Network):
    assert Colorizer(network=network, target=RGB(), device=CPU).tile >= 481


def test_the_true_lightness_is_put_back():
    photo = smooth(24, 31)
    true = lightness(torch.from_numpy(photo.transpose(2, 0, 1).copy())).unsqueeze(0)
    predicted = torch.from_numpy(noise(24, 31).transpose(2, 0, 1)[None] * (0.2 / 255) + 0.4).float()
    colored = with_true_lightness(lambda light: predicted)(true)
    lab = color.rgb2lab(predicted[0].permute(1, 2, 0).double().numpy())
    lab[..., 0] = true[0, 0].numpy()
    expected = color.lab2rgb(lab)
    assert colored.shape == (1, 3, 24, 31)
    assert colored[0].permute(1, 2, 0).numpy() == pytest.approx(expected, abs=1e-4)
    inside = ((expected > 0.001) & (expected < 0.999)).all(axis=-1)
    assert inside.mean() > 0.5
    again = lightness(colored)[0, 0].numpy()
    assert again[inside] == pytest.approx(true[0, 0].numpy()[inside], abs=0.02)


def test_a_prediction_with_the_true_lightness_is_left_as_it_is():
    photo = torch.from_numpy(noise(9, 9).transpose(2, 0, 1).copy())[None]
    colored = with_true_lightness(lambda light: photo / 255)(lightness(photo))
    assert (colored * 255).round().to(torch.uint8).equal(photo)


def test_what_leaves_the_gamut_is_clipped():
    red = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)
    colored = with_true_lightness(lambda light: red)(torch.full((1, 1, 4, 4), 97.0))
    assert colored.min() >= 0
    assert colored.max() == 1


@pytest.fixture
def run(tmp_path: Path, network: Network) -> Run:
    """A run directory with last weights and those of epoch 3."""
    found = Run(tmp_path / "run")
    found.write_record({"config": {"target": "rgb", "network": "encoder-decoder"}})
    found.write_weights(network.state_dict(), step=10)
    halved = {name: tensor / 2 for name, tensor in network.state_dict().items()}
    found.write_epoch_weights(halved, epoch=3, step=5)
    return found


def test_a_run_is_loaded_with_its_weights(run: Run, network: Network):
    picture = light(20, 21)
    with torch.inference_mode():
        expected = network(picture / 100)
    assert (load_run(run.path)(picture) - expected).abs().max() < 1e-6
    early = load_run(run.path, epoch=3)
    first = early.network.encoder[0].weight
    assert torch.equal(first, (network.encoder[0].weight / 2).half().float())
    assert np.isfinite(early(picture).numpy()).all()


def test_a_run_that_is_not_there_is_named(tmp_path: Path, run: Run):
    with pytest.raises(ValueError, match="nothing holds no run"):
        load_run(tmp_path / "nothing")
    with pytest.raises(ValueError, match="epoch-004"):
        load_run(run.path, epoch=4)
