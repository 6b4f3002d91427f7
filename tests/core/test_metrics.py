"""Tests of colorlib.metrics against scikit-image, published pairs of colors and published colorizations."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.pictures import noise, smooth
from helpers.published import GRAY, MEASURED
from skimage import color, metrics

from colorlib.color import gray_rgb, lightness, to_bytes
from colorlib.metrics import (
    NEAR_GRAY_CHROMA,
    ab_auc,
    ciede2000,
    colorfulness,
    compare,
    delta_e00,
    mean_chroma,
    mse,
    psnr_of,
    ssim,
)
from colorlib.photos.decode import Pixels, decode_file


def tensor(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def with_noise(pixels: Pixels, amount: int, seed: int = 7) -> Pixels:
    change = np.random.default_rng(seed).integers(-amount, amount + 1, pixels.shape)
    return np.clip(pixels + change, 0, 255).astype(np.uint8)


PLAIN = np.repeat(smooth(40, 31)[..., :1], 3, axis=-1)
PAIRS = {
    "close": (with_noise(smooth(64, 48), 9), smooth(64, 48)),
    "far": (smooth(45, 70, seed=3), smooth(45, 70, seed=4)),
    "noise": (noise(33, 34, seed=1), noise(33, 34, seed=2)),
    "gray and color": (PLAIN, smooth(40, 31)),
    "black and white": (np.zeros((12, 11, 3), np.uint8), np.full((12, 11, 3), 255, np.uint8)),
    "the smallest": (noise(11, 11, seed=1), noise(11, 11, seed=2)),
}


@pytest.fixture(params=PAIRS, ids=str)
def pair(request: pytest.FixtureRequest) -> tuple[Pixels, Pixels]:
    return PAIRS[request.param]


def test_mse_and_psnr_are_scikit_images(pair: tuple[Pixels, Pixels]):
    predicted, truth = pair
    error = mse(tensor(predicted), tensor(truth))
    assert error == pytest.approx(metrics.mean_squared_error(truth / 255, predicted / 255), rel=1e-12)
    expected = metrics.peak_signal_noise_ratio(truth, predicted, data_range=255)
    assert psnr_of(error) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_psnr_of_known_errors():
    assert psnr_of(1.0) == 0
    assert psnr_of(0.01) == pytest.approx(20)
    assert psnr_of(0.0044) == pytest.approx(23.5655, abs=1e-4)
    assert psnr_of(0.0) == math.inf


def test_mse_of_one_wrong_byte():
    truth = torch.zeros(3, 4, 5, dtype=torch.uint8)
    predicted = truth.clone()
    predicted[1, 2, 3] = 255
    assert mse(predicted, truth) == 1 / 60
    assert mse(truth, predicted) == 1 / 60
    assert mse(truth, truth) == 0


def test_ssim_is_scikit_images_as_in_the_papers(pair: tuple[Pixels, Pixels]):
    predicted, truth = pair
    # The settings of Wang et al. 2004; scikit-image leaves out the border where the window does not fit, as they do.
    expected = metrics.structural_similarity(
        truth / 255,
        predicted / 255,
        data_range=1.0,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(tensor(predicted), tensor(truth)) == pytest.approx(expected, abs=1e-9)


def test_ssim_of_a_picture_with_itself_is_one():
    assert ssim(tensor(noise(20, 30)), tensor(noise(20, 30))) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("size", [(10, 40), (40, 10)])
def test_ssim_needs_its_window(size: tuple[int, int]):
    picture = tensor(noise(*size))
    with pytest.raises(ValueError, match="11 x 11") as error:
        ssim(picture, picture)
    assert f"{size[1]} x {size[0]}" in str(error.value)


def test_delta_e00_is_scikit_images(pair: tuple[Pixels, Pixels]):
    predicted, truth = pair
    expected = color.deltaE_ciede2000(color.rgb2lab(truth), color.rgb2lab(predicted)).mean()
    assert delta_e00(tensor(predicted), tensor(truth)) == pytest.approx(expected, abs=1e-6)


# L1 a1 b1, L2 a2 b2, CIEDE2000: Sharma, Wu, Dalal 2005, Table 1, chosen by them to catch wrong implementations.
SHARMA = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""


def test_ciede2000_of_the_34_published_pairs():
    table = np.array(SHARMA.split(), dtype=np.float64).reshape(34, 7)
    one, other = (torch.from_numpy(table[:, part]).reshape(34, 3, 1, 1) for part in (slice(0, 3), slice(3, 6)))
    assert ciede2000(one, other).flatten().numpy() == pytest.approx(table[:, 6], abs=5.1e-5)
    assert ciede2000(other, one).flatten().numpy() == pytest.approx(table[:, 6], abs=5.1e-5)


def test_ciede2000_of_many_colors_is_scikit_images():
    rng = np.random.default_rng(0)
    one, other = rng.uniform((0, -110, -110), (100, 110, 110), (2, 4000, 3))
    # Hues nearly opposite, on either side; exactly opposite ones have two mean hues.
    turn = np.pi + rng.choice((-1, 1), 1000) * rng.uniform(1e-4, 0.1, 1000)
    a, b = one[::4, 1], one[::4, 2]
    other[::4, 1], other[::4, 2] = np.cos(turn) * a - np.sin(turn) * b, np.sin(turn) * a + np.cos(turn) * b
    other[1::4, 1:] = 0  # and none
    found = ciede2000(*(torch.from_numpy(lab.T.reshape(3, 1, -1).copy()) for lab in (one, other)))
    assert found.flatten().numpy() == pytest.approx(color.deltaE_ciede2000(one, other), abs=1e-6)


def test_colorfulness_is_hasler_and_suesstrunks(pair: tuple[Pixels, Pixels]):
    for pixels in pair:
        red, green, blue = (pixels[..., channel].astype(np.float64) for channel in range(3))
        rg, yb = red - green, (red + green) / 2 - blue
        spread = math.sqrt(np.var(rg) + np.var(yb))
        center = math.sqrt(np.mean(rg) ** 2 + np.mean(yb) ** 2)
        assert colorfulness(tensor(pixels)) == pytest.approx(spread + 0.3 * center, abs=1e-9)


def test_colorfulness_of_plain_pictures():
    red = torch.zeros(3, 4, 4, dtype=torch.uint8)
    red[0] = 255
    assert colorfulness(red) == pytest.approx(0.3 * math.hypot(255, 127.5))
    assert colorfulness(tensor(PLAIN)) == 0


def test_mean_chroma_is_that_of_scikit_images_lab(pair: tuple[Pixels, Pixels]):
    for pixels in pair:
        lab = color.rgb2lab(pixels)
        assert mean_chroma(tensor(pixels)) == pytest.approx(np.hypot(lab[..., 1], lab[..., 2]).mean(), abs=1e-6)


def test_ab_auc_is_the_mean_over_its_thresholds(pair: tuple[Pixels, Pixels]):
    error = np.hypot(*np.moveaxis(color.rgb2lab(pair[0]) - color.rgb2lab(pair[1]), -1, 0)[1:])
    expected = np.mean([(error <= threshold).mean() for threshold in range(151)])
    assert ab_auc(*map(tensor, pair)) == pytest.approx(expected, abs=1e-9)


def test_ab_auc_of_the_truth_is_one_and_lightness_does_not_count(pair: tuple[Pixels, Pixels]):
    truth = tensor(pair[1])
    assert ab_auc(truth, truth) == 1
    assert ab_auc(tensor(PLAIN), tensor(255 - PLAIN)) == pytest.approx(1, abs=0.01)


def test_compare_returns_every_metric_by_its_name():
    predicted, truth = (tensor(pixels) for pixels in PAIRS["close"])
    found = compare(predicted, truth, image="a.png", method="x")
    assert (found.image, found.method, found.pixels) == ("a.png", "x", 64 * 48)
    assert (found.mse, found.psnr) == (mse(predicted, truth), psnr_of(mse(predicted, truth)))
    assert (found.ssim, found.delta_e00) == (ssim(predicted, truth), delta_e00(predicted, truth))
    assert found.ab_auc == ab_auc(predicted, truth)
    assert (found.colorfulness, found.truth_colorfulness) == (colorfulness(predicted), colorfulness(truth))
    assert found.truth_chroma == mean_chroma(truth)


def test_gray_counts_as_near_gray():
    assert mean_chroma(tensor(PLAIN)) < 0.01 < NEAR_GRAY_CHROMA < mean_chroma(tensor(smooth(40, 31)))


@pytest.fixture(scope="module")
def comparison(photographs: Path) -> dict[str, Pixels]:
    """Ground truths of the comparison that are not near gray: file name -> pixels."""
    truths = {path.name: decode_file(path) for path in sorted((photographs / "zhang2016-comparison" / "gt").iterdir())}
    assert len(truths) == 200
    chroma = {name: mean_chroma(tensor(pixels)) for name, pixels in truths.items()}
    colored = {name: pixels for name, pixels in truths.items() if chroma[name] >= NEAR_GRAY_CHROMA}
    exactly_gray = [name for name, pixels in truths.items() if (pixels == pixels[..., :1]).all()]
    assert len(colored) == 193
    assert len(exactly_gray) == 6
    assert not set(exactly_gray) & set(colored)
    return colored


def summary(pairs: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> tuple[float, ...]:
    """Return the columns of the table for pairs of prediction and truth, rounded as in the table."""
    rows = [(mse(*pair), delta_e00(*pair), colorfulness(pair[0]), 100 * ab_auc(*pair)) for pair in pairs]
    error, difference, colorful, area = (float(mean) for mean in np.mean(rows, axis=0))
    psnr = float(np.mean([psnr_of(row[0]) for row in rows]))
    return round(psnr, 2), round(psnr_of(error), 2), round(difference, 2), round(colorful, 1), round(area, 1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lum", "ours_unrebalanced"])  # test_published.py has all four
def test_published_colorizations_have_the_measured_metrics(
    photographs: Path, comparison: dict[str, Pixels], method: str
):
    folder = photographs / "zhang2016-comparison" / method
    pairs = ((tensor(decode_file(folder / name)), tensor(truth)) for name, truth in comparison.items())
    assert summary(pairs) == MEASURED[method]


@pytest.mark.slow
def test_the_gray_baseline_has_the_measured_metrics(comparison: dict[str, Pixels]):
    truths = [tensor(pixels) for pixels in comparison.values()]
    assert summary((to_bytes(gray_rgb(lightness(truth))), truth) for truth in truths) == GRAY


@pytest.mark.slow
def test_the_ground_truths_have_the_measured_colorfulness(comparison: dict[str, Pixels]):
    assert round(np.mean([colorfulness(tensor(pixels)) for pixels in comparison.values()]), 1) == 39.3
