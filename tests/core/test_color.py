"""Color conversions, compared with scikit-image and NumPy."""

import numpy as np
import pytest
import torch
from helpers.pictures import noise
from skimage import color as skcolor

from colorlib.color import (
    ab_bins,
    cached_constant,
    gray_rgb,
    lab_to_rgb,
    lightness,
    linear_light,
    linear_to_srgb,
    rgb_to_lab,
    srgb_to_linear,
    to_bytes,
)

# Every corner and face of the cube, and noise: (256 + 4096, 1, 3) bytes.
CUBE = np.stack(np.meshgrid(*[np.linspace(0, 255, 16).astype(np.uint8)] * 3), axis=-1).reshape(-1, 1, 3)
BYTES = np.concatenate((CUBE, noise(256, 1)))


def chw(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, -3)))


def hwc(tensor: torch.Tensor) -> np.ndarray:
    return np.moveaxis(tensor.numpy(), -3, -1)


def test_lab_is_that_of_scikit_image_in_double_precision():
    assert hwc(rgb_to_lab(chw(BYTES / 255.0))) == pytest.approx(skcolor.rgb2lab(BYTES), abs=1e-9)


def test_lab_of_bytes_is_that_of_scikit_image_to_single_precision():
    lab = rgb_to_lab(chw(BYTES))
    assert lab.dtype == torch.float32
    assert hwc(lab) == pytest.approx(skcolor.rgb2lab(BYTES), abs=2e-3)


def test_lightness_is_the_l_of_scikit_image():
    expected = skcolor.rgb2lab(BYTES)[..., :1]
    assert hwc(lightness(chw(BYTES / 255.0))) == pytest.approx(expected, abs=1e-9)
    assert hwc(lightness(chw(BYTES))) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("byte", "expected"), [(0, 0.0), (255, 100.0), (119, 50.03444)])
def test_lightness_of_known_grays(byte: int, expected: float):
    pixels = torch.full((3, 1, 1), byte, dtype=torch.uint8)
    assert lightness(pixels).item() == pytest.approx(expected, abs=1e-3)


def test_the_table_of_bytes_equals_the_formula():
    every = torch.arange(256, dtype=torch.uint8)
    formula = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.arange(256) / 255]
    assert linear_light(every).numpy() == pytest.approx(np.array(formula), rel=1e-7)


def test_the_transfer_function_has_an_inverse():
    values = torch.linspace(0, 1, 4097, dtype=torch.float64)
    assert linear_to_srgb(srgb_to_linear(values)).numpy() == pytest.approx(values.numpy(), abs=1e-7)
    assert torch.equal(linear_to_srgb(torch.tensor([-0.25])), torch.tensor([-0.25 * 12.92]))


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB:UserWarning")
def test_lab_to_rgb_is_that_of_scikit_image_also_outside_the_gamut():
    lab = np.random.default_rng(1).uniform((20, -90, -90), (95, 90, 90), (300, 1, 3))
    inside = lab[:, 0, 0] / 116 + 16 / 116 - lab[:, 0, 2] / 200 > 0  # scikit-image cuts negative Z differently
    lab = lab[inside]
    expected = skcolor.lab2rgb(lab)
    assert ((expected == 0) | (expected == 1)).any(axis=-1).mean() > 0.3  # many are clipped
    assert hwc(lab_to_rgb(chw(lab))) == pytest.approx(expected, abs=1e-6)


def test_bytes_survive_a_round_trip_through_lab():
    assert torch.equal(to_bytes(lab_to_rgb(rgb_to_lab(chw(BYTES)))), chw(BYTES))


def test_gray_rgb_is_lab_with_a_and_b_zero():
    light = torch.linspace(0, 100, 1001, dtype=torch.float64).reshape(1, 1, -1)
    gray = gray_rgb(light)
    lab = np.concatenate((hwc(light), np.zeros((1, 1001, 2))), axis=-1)
    assert hwc(gray) == pytest.approx(skcolor.lab2rgb(lab), abs=2e-4)  # its matrix leaves a trace of color in gray
    assert torch.equal(gray[0], gray[1])
    assert torch.equal(gray[0], gray[2])


def test_every_gray_byte_survives_its_lightness():
    every = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    assert torch.equal(to_bytes(gray_rgb(lightness(every))), every)


def test_leading_dimensions_are_kept():
    batch = chw(noise(8, 5)).expand(2, 4, 3, 8, 5)
    assert lightness(batch).shape == (2, 4, 1, 8, 5)
    assert rgb_to_lab(batch).shape == (2, 4, 3, 8, 5)
    torch.testing.assert_close(rgb_to_lab(batch)[1, 3], rgb_to_lab(batch[0, 0]), rtol=0, atol=1e-3)
    assert torch.equal(lightness(batch)[1, 3], lightness(batch[0, 0]))


def test_bytes_are_rounded_and_clipped():
    values = torch.tensor([-0.1, 0.0, 0.49 / 255, 0.51 / 255, 127.4 / 255, 254.6 / 255, 1.0, 1.2])
    assert to_bytes(values).tolist() == [0, 0, 0, 1, 127, 255, 255, 255]
    assert to_bytes(values).dtype == torch.uint8


def test_colors_have_gradients_everywhere():
    # A loss in LAB must not become NaN at black, where a power of zero has an infinite slope.
    rgb = torch.tensor([0.0, 1e-4, 0.04, 0.5, 1.0]).reshape(1, 1, 5).repeat(3, 1, 1).requires_grad_()
    rgb_to_lab(rgb).sum().backward()
    assert torch.isfinite(rgb.grad).all()
    lab = rgb_to_lab(rgb.detach()).requires_grad_()
    lab_to_rgb(lab).sum().backward()
    assert torch.isfinite(lab.grad).all()


def test_the_bins_are_the_cells_that_contain_colors():
    bins = ab_bins()
    assert len(bins) == len(bins.unique(dim=0))
    levels = np.linspace(0, 1, 18)
    colors = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    cells = {tuple(cell) for cell in np.round(skcolor.rgb2lab(colors)[0, :, 1:] / 10).astype(int)}
    ours = {tuple(cell) for cell in (bins / 10).int().tolist()}
    assert cells <= ours
    assert len(ours) < 1.2 * len(cells), "no cell without colors"
    assert len(ab_bins(20)) < len(bins) / 3


def test_constants_first_used_by_validation_serve_training():
    @cached_constant
    def factor(device: torch.device) -> torch.Tensor:
        return torch.full((3,), 2.0, device=device)

    with torch.inference_mode():
        first = factor(torch.device("cpu"))
    values = torch.ones(3, requires_grad=True)
    (values * factor(torch.device("cpu"))).sum().backward()
    assert values.grad.tolist() == [2, 2, 2]
    assert factor(torch.device("cpu")) is first, "computed once"


def test_conversions_first_used_by_validation_serve_training():
    # In bfloat16, which no other test uses: the constants of this type are not yet cached.
    with torch.inference_mode():
        lab_to_rgb(rgb_to_lab(torch.rand(1, 3, 4, 4, dtype=torch.bfloat16)))
    lab = (torch.rand(1, 3, 4, 4) * 50).bfloat16().requires_grad_()
    lab_to_rgb(lab).sum().backward()
    assert lab.grad is not None
    assert lab.grad.abs().sum() > 0
