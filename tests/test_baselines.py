"""What trivial answers get, against numpy and scikit-image."""

import numpy as np
import pytest
import torch
from pictures import noise, smooth
from skimage import color

from colorlib.baselines import BASELINES, LEVELS, fit_gray, fit_look_up_table, fit_mean_chroma
from colorlib.color import gray_rgb, lightness, rgb_to_lab
from colorlib.images import Pixels

TRAINING = [smooth(30, 40, seed=1), noise(9, 5), smooth(50, 20, seed=2)]


def light_of(pixels: Pixels) -> torch.Tensor:
    return lightness(torch.from_numpy(pixels.transpose(2, 0, 1).copy())).unsqueeze(0)


def level_of(light: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(light / 100 * (LEVELS - 1)), 0, LEVELS - 1).astype(int)


@pytest.mark.parametrize("name", BASELINES)
def test_each_row_is_a_colorizer_of_any_size(name: str):
    colorize = BASELINES[name](TRAINING)
    for height, width in ((1, 1), (7, 300)):
        light = torch.rand(2, 1, height, width) * 100
        rgb = colorize(light)
        assert rgb.shape == (2, 3, height, width)
        assert rgb.dtype == torch.float32
        assert ((rgb >= 0) & (rgb <= 1)).all()
        # One picture's answer does not depend on the other's.
        torch.testing.assert_close(colorize(light[1:]), rgb[1:], rtol=0, atol=1e-6)


def test_gray_is_the_gray_picture():
    light = light_of(TRAINING[0])
    assert torch.equal(fit_gray(TRAINING)(light), gray_rgb(light))


def test_mean_chroma_weighs_every_photograph_alike():
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


def test_the_table_is_the_best_answer_that_sees_one_pixel_alone():
    photo = smooth(60, 60, seed=5)
    light, truth = light_of(photo), torch.from_numpy(photo.transpose(2, 0, 1).copy())[None] / 255
    errors = {name: (fit([photo])(light) - truth).square().mean().item() for name, fit in BASELINES.items()}
    assert errors["look-up table"] < 0.9 * min(errors["mean chroma"], errors["gray"])
    # Any other color for the pixels of one level does worse.
    answer = fit_look_up_table([photo])(light)
    level = level_of(light.numpy())[0, 0]
    common = torch.from_numpy(level == np.bincount(level.ravel()).argmax())
    for change in (0.02, -0.02):
        other = torch.where(common, answer + change, answer)
        assert (other - truth).square().mean() > errors["look-up table"]


def test_a_table_of_one_lightness_answers_for_all():
    plain = np.full((4, 4, 3), (200, 30, 90), dtype=np.uint8)
    rgb = fit_look_up_table([plain])(torch.linspace(0, 100, 11).reshape(1, 1, 1, -1))
    assert rgb.numpy() == pytest.approx(np.broadcast_to((plain[0, 0] / 255)[None, :, None, None], rgb.shape), abs=1e-6)


def test_lightness_beyond_its_range_takes_the_last_entry():
    colorize = fit_look_up_table(TRAINING)
    beyond = torch.tensor([-3.0, 104.0]).reshape(1, 1, 1, 2)
    assert torch.equal(colorize(beyond), colorize(beyond.clamp(0, 100)))
