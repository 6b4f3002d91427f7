"""Tests of colorlib.colorizers: tiles against the whole image, the true lightness, and baselines against NumPy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.networks import strong
from helpers.pictures import noise, smooth
from helpers.training import run_record
from skimage import color

from colorlib.color import gray_rgb, lightness, resize, rgb_to_lab
from colorlib.colorizers import (
    BASELINES,
    LEVELS,
    Colorizer,
    adjust_lab,
    fit_gray,
    fit_look_up_table,
    fit_mean_chroma,
    load_run,
    with_true_lightness,
)
from colorlib.model import NETWORKS, EncoderDecoder, Network
from colorlib.photos.decode import Pixels
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
def test_tiles_give_the_result_of_the_whole_image(network: Network, size: tuple[int, int], tile: int):
    picture = light(*size)
    with torch.inference_mode():
        whole = network(picture / 100)
    tiled = Colorizer(network=network, target=RGB(), device=CPU, tile=tile)(picture)
    assert tiled.shape == (1, 3, *size)
    assert tiled.dtype == torch.float32
    assert (tiled - whole).abs().max() < 1e-5
    if min(size) > 1:
        assert whole.std() > 0.1, "the output varies, so a seam would change it"


@pytest.mark.parametrize("name", [name for name, network in NETWORKS.items() if not network.whole])
@pytest.mark.parametrize("size", [(1, 1), (90, 61), (33, 130)])
def test_tiles_of_every_network_give_the_result_of_the_whole_image(name: str, size: tuple[int, int]):
    network, picture = strong(NETWORKS[name]), light(*size)
    with torch.inference_mode():
        whole = network(picture / 100)
    tiled = Colorizer(network=network, target=RGB(), device=CPU, tile=23)(picture)
    assert (tiled - whole).abs().max() < 1e-5
    if min(size) > 1 and network.halo:
        assert whole.std() > 0.1


@pytest.mark.parametrize("size", [(1, 1), (90, 61), (33, 130)])
def test_a_shrunk_view_is_enlarged_tile_by_tile_as_a_whole(size: tuple[int, int]):
    network, picture = strong(NETWORKS["scene-unet"]), light(*size)
    with torch.inference_mode():
        small = network(resize(picture, 64, 64) / 100)
    whole = torch.nn.functional.interpolate(small, size=size, mode="bilinear", align_corners=False)
    tiled = Colorizer(network=network, target=RGB(), device=CPU, tile=23, view=64)(picture)
    assert tiled.shape == whole.shape
    assert (tiled - whole).abs().max() < 1e-5
    assert small.std() > 0.1


def test_images_of_a_batch_are_colored_independently(network: Network):
    pictures = torch.cat((light(9, 20), light(9, 20).flip(-1)))
    colorize = Colorizer(network=network, target=RGB(), device=CPU, tile=16)
    both = colorize(pictures)
    assert both.shape == (2, 3, 9, 20)
    for i in range(2):
        assert (both[i : i + 1] - colorize(pictures[i : i + 1])).abs().max() < 1e-5


def test_a_halo_that_is_too_small_changes_the_result(network: Network, monkeypatch: pytest.MonkeyPatch):
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


def test_the_true_lightness_replaces_the_predicted_one():
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


def test_a_prediction_with_the_true_lightness_is_unchanged():
    photo = torch.from_numpy(noise(9, 9).transpose(2, 0, 1).copy())[None]
    colored = with_true_lightness(lambda light: photo / 255)(lightness(photo))
    assert (colored * 255).round().to(torch.uint8).equal(photo)


def test_colors_outside_the_gamut_are_clipped():
    red = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)
    colored = with_true_lightness(lambda light: red)(torch.full((1, 1, 4, 4), 97.0))
    assert colored.min() >= 0
    assert colored.max() == 1


def test_saturation_scales_a_and_b_and_keeps_lightness():
    rgb = torch.from_numpy(smooth(16, 20).transpose(2, 0, 1)[None] / 255).float() * 0.2 + 0.4  # well inside the gamut
    lab, half = rgb_to_lab(rgb), rgb_to_lab(adjust_lab(rgb, saturation=0.5))
    torch.testing.assert_close(half[:, :1], lab[:, :1], rtol=0, atol=0.01)
    torch.testing.assert_close(half[:, 1:], lab[:, 1:] / 2, rtol=0, atol=0.02)
    gray = adjust_lab(rgb, saturation=0.0)
    assert (gray.amax(1) - gray.amin(1)).max() < 1e-4


@pytest.fixture
def run(tmp_path: Path, network: Network) -> Run:
    """A run directory with the last weights and those of epoch 3."""
    found = Run(tmp_path / "run")
    found.write_record(run_record())
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


def test_a_missing_run_or_epoch_is_named(tmp_path: Path, run: Run):
    with pytest.raises(ValueError, match=r"nothing.*run\.json"):
        load_run(tmp_path / "nothing")
    with pytest.raises(ValueError, match="epoch-004"):
        load_run(run.path, epoch=4)


def test_weights_of_another_network_are_named(run: Run):
    run.write_record(run_record(config={"network": "unet"}))
    with pytest.raises(ValueError, match=r"weights\.safetensors.*unet.*run\.json.*tensor"):
        load_run(run.path)
    with pytest.raises(ValueError, match=r"epoch-003\.safetensors.*unet"):
        load_run(run.path, epoch=3)


# Baselines

TRAINING = [smooth(30, 40, seed=1), noise(9, 5), smooth(50, 20, seed=2)]


def light_of(pixels: Pixels) -> torch.Tensor:
    return lightness(torch.from_numpy(pixels.transpose(2, 0, 1).copy())).unsqueeze(0)


def level_of(light: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(light / 100 * (LEVELS - 1)), 0, LEVELS - 1).astype(int)


@pytest.mark.parametrize("name", BASELINES)
def test_each_baseline_colors_any_size(name: str):
    colorize = BASELINES[name](TRAINING)
    for height, width in ((1, 1), (7, 300)):
        light = torch.rand(2, 1, height, width) * 100
        rgb = colorize(light)
        assert rgb.shape == (2, 3, height, width)
        assert rgb.dtype == torch.float32
        assert ((rgb >= 0) & (rgb <= 1)).all()
        # The images of a batch are independent.
        torch.testing.assert_close(colorize(light[1:]), rgb[1:], rtol=0, atol=1e-6)


def test_gray_is_the_gray_image():
    light = light_of(TRAINING[0])
    assert torch.equal(fit_gray(TRAINING)(light), gray_rgb(light))


def test_mean_chroma_gives_every_photograph_the_same_weight():
    means = [color.rgb2lab(photo)[..., 1:].reshape(-1, 2).mean(axis=0) for photo in TRAINING]
    expected = np.mean(means, axis=0)
    pooled = np.concatenate([color.rgb2lab(photo)[..., 1:].reshape(-1, 2) for photo in TRAINING]).mean(axis=0)
    assert np.abs(pooled - expected).max() > 0.5  # so the two can be told apart
    light = torch.linspace(40, 70, 31).reshape(1, 1, 1, -1)  # where these colors are in gamut
    lab = rgb_to_lab(fit_mean_chroma(TRAINING)(light))[0, :, 0].numpy()
    assert lab[0] == pytest.approx(light.flatten().numpy(), abs=1e-3)
    assert lab[1] == pytest.approx(np.full(31, expected[0]), abs=2e-3)
    assert lab[2] == pytest.approx(np.full(31, expected[1]), abs=2e-3)


def test_the_table_holds_the_mean_color_of_each_lightness():
    total, weight = np.zeros((LEVELS, 3)), np.zeros(LEVELS)
    for photo in TRAINING:
        share = 1 / (photo.shape[0] * photo.shape[1])  # every photograph weighs the same
        for level, rgb in zip(level_of(color.rgb2lab(photo)[..., 0]).ravel(), photo.reshape(-1, 3) / 255, strict=True):
            total[level] += share * rgb
            weight[level] += share
    known = np.flatnonzero(weight)
    assert 20 < len(known) < LEVELS, "there are gaps to fill"
    mean = total[known] / weight[known, None]
    expected = np.stack([np.interp(np.arange(LEVELS), known, mean[:, channel]) for channel in range(3)], axis=1)
    every = torch.arange(LEVELS).reshape(1, 1, 1, -1) * (100 / (LEVELS - 1))
    table = fit_look_up_table(TRAINING)(every)[0, :, 0].T.numpy()
    # scikit-image's L may fall into the next level where it lies on the edge between two.
    assert (np.abs(table - expected).max(axis=1) > 1e-5).sum() <= 1


def test_the_table_has_the_lowest_mse_of_all_functions_of_one_pixel():
    photo = smooth(60, 60, seed=5)
    light, truth = light_of(photo), torch.from_numpy(photo.transpose(2, 0, 1).copy())[None] / 255
    errors = {name: (fit([photo])(light) - truth).square().mean().item() for name, fit in BASELINES.items()}
    assert errors["look-up table"] < 0.9 * min(errors["mean chroma"], errors["gray"])
    # Any other color for the pixels of one level has a higher MSE.
    best = fit_look_up_table([photo])(light)
    level = level_of(light.numpy())[0, 0]
    common = torch.from_numpy(level == np.bincount(level.ravel()).argmax())
    for change in (0.02, -0.02):
        other = torch.where(common, best + change, best)
        assert (other - truth).square().mean() > errors["look-up table"]


def test_a_table_of_one_lightness_serves_every_lightness():
    plain = np.full((4, 4, 3), (200, 30, 90), dtype=np.uint8)
    rgb = fit_look_up_table([plain])(torch.linspace(0, 100, 11).reshape(1, 1, 1, -1))
    assert rgb.numpy() == pytest.approx(np.broadcast_to((plain[0, 0] / 255)[None, :, None, None], rgb.shape), abs=1e-6)


def test_lightness_beyond_its_range_takes_the_last_entry():
    colorize = fit_look_up_table(TRAINING)
    beyond = torch.tensor([-3.0, 104.0]).reshape(1, 1, 1, 2)
    assert torch.equal(colorize(beyond), colorize(beyond.clamp(0, 100)))
