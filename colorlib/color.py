"""Conversions between sRGB and CIE LAB: pure functions on tensors.

They follow IEC 61966-2-1 (sRGB) and CIE 15 with illuminant D65 and the 2 degree observer, with the constants of
scikit-image, whose `rgb2lab` is the independent reference of the tests. Images have the shape `(..., 3, H, W)` or, for
L alone, `(..., 1, H, W)`; L lies in [0, 100], a and b in about [-128, 128].
"""

from collections.abc import Callable
from functools import cache
from typing import ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")

# Linear sRGB -> XYZ for D65; rows X, Y, Z.
XYZ_FROM_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE_D65 = (0.95047, 1.0, 1.08883)

# The CIE function is linear below this ratio (CIE 15, eq. 8.4; scikit-image's rounding of (6/29)**3).
LINEAR_BELOW = 0.008856
SLOPE = 7.787
OFFSET = 16.0 / 116.0


def srgb_to_linear(srgb: Tensor) -> Tensor:
    """Undo the sRGB transfer function: float in [0, 1] to linear light in [0, 1], any shape."""
    return torch.where(srgb > 0.04045, ((srgb + 0.055) / 1.055).clamp(min=0.0) ** 2.4, srgb / 12.92)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Apply the sRGB transfer function: linear light to sRGB, any shape; negative values stay on the linear branch."""
    bright = 1.055 * linear.clamp(min=0.0031308) ** (1.0 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, bright, linear * 12.92)


def cached_constant(make: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Decorate a function that returns a constant tensor, so that each device copies it once.

    A copy at each use would make a GPU wait for the host. The tensor is computed outside inference mode: otherwise a
    constant that validation computed first could not be used in training.
    """
    cached: Callable[P, Tensor] = cache(torch.inference_mode(mode=False)(make))  # type: ignore[assignment]
    return cached


@cached_constant
def _linear_light_table(device: torch.device) -> Tensor:
    return srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255.0).to(device, torch.float32)


def linear_light(rgb: Tensor) -> Tensor:
    """Return the linear light of sRGB, in [0, 1] and of the same shape.

    Args:
        rgb: float in [0, 1], or uint8 in 0..255, which is looked up in a table of 256 entries (much faster).
    """
    if rgb.dtype == torch.uint8:
        return _linear_light_table(rgb.device)[rgb.int()]
    return srgb_to_linear(rgb)


def _cie_f(ratio: Tensor) -> Tensor:
    return torch.where(ratio > LINEAR_BELOW, ratio.clamp(min=LINEAR_BELOW) ** (1.0 / 3.0), SLOPE * ratio + OFFSET)


def _cie_f_inverse(f: Tensor) -> Tensor:
    return torch.where(f > 0.2068966, f**3, (f - OFFSET) / SLOPE)


def lightness(rgb: Tensor) -> Tensor:
    """Return L of CIE LAB, without computing a and b.

    Args:
        rgb: `(..., 3, H, W)`, uint8 in 0..255 or float in [0, 1].

    Returns:
        `(..., 1, H, W)` float32 in [0, 100].
    """
    red, green, blue = linear_light(rgb).unbind(-3)
    weights = XYZ_FROM_RGB[1]
    luminance = weights[0] * red + weights[1] * green + weights[2] * blue
    return (116.0 * _cie_f(luminance) - 16.0).unsqueeze(-3)


@cached_constant
def _ratios_from_linear(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the matrix from linear sRGB to X, Y, Z, each divided by that of white: `(3, 3)`."""
    to_xyz, white = (torch.tensor(values, dtype=torch.float64) for values in (XYZ_FROM_RGB, WHITE_D65))
    return (to_xyz / white[:, None]).to(device, dtype)


@cached_constant
def _linear_from_ratios(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the inverse of `_ratios_from_linear`."""
    to_xyz, white = (torch.tensor(values, dtype=torch.float64) for values in (XYZ_FROM_RGB, WHITE_D65))
    matrix: Tensor = torch.linalg.inv(to_xyz) * white[None, :]
    return matrix.to(device, dtype)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB to CIE LAB.

    Args:
        rgb: `(..., 3, H, W)`, uint8 in 0..255 or float in [0, 1].

    Returns:
        `(..., 3, H, W)` float: L in [0, 100], a and b in about [-128, 128].
    """
    linear = linear_light(rgb)
    ratios = torch.einsum("ij,...jhw->...ihw", _ratios_from_linear(linear.device, linear.dtype), linear)
    fx, fy, fz = _cie_f(ratios).unbind(-3)
    return torch.stack((116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)), dim=-3)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Convert CIE LAB to sRGB; colors outside the sRGB gamut are clipped channel by channel.

    Args:
        lab: `(..., 3, H, W)` float: L in [0, 100], a and b in about [-128, 128].

    Returns:
        `(..., 3, H, W)` float in [0, 1].
    """
    light, a, b = lab.unbind(-3)
    fy = (light + 16.0) / 116.0
    fx = fy + a / 500.0
    fz = fy - b / 200.0
    ratios = _cie_f_inverse(torch.stack((fx, fy, fz), dim=-3))
    linear = torch.einsum("ij,...jhw->...ihw", _linear_from_ratios(lab.device, lab.dtype), ratios)
    return linear_to_srgb(linear).clamp(0.0, 1.0)


def gray_rgb(light: Tensor) -> Tensor:
    """Return the gray sRGB image of this L, that is, with a = b = 0.

    Args:
        light: `(..., 1, H, W)` float, L in [0, 100].

    Returns:
        `(..., 3, H, W)` float in [0, 1], three equal channels.
    """
    luminance = _cie_f_inverse((light + 16.0) / 116.0)
    gray = linear_to_srgb(luminance).clamp(0.0, 1.0)
    return torch.cat((gray, gray, gray), dim=-3)


@cached_constant
def ab_bins(step: int = 10) -> Tensor:
    """Return the centers of the cells of a grid over a and b that contain colors of 8-bit sRGB.

    Zhang et al. (2016, Sec. 2) count 313 cells for a step of 10. The number depends on how the gamut is sampled; here,
    every third level of each channel.

    Args:
        step: side of a cell in units of a and b.

    Returns:
        `(Q, 2)` float32, a and b of each center, ordered by a, then b.
    """
    levels = torch.arange(0, 256, 3, dtype=torch.float64) / 255.0
    colors = torch.cartesian_prod(levels, levels, levels).T.reshape(3, 1, -1)
    ab = rgb_to_lab(colors)[1:, 0].T
    cells: Tensor = torch.unique((ab / step).round(), dim=0)
    return cells.to(torch.float32) * step


def resize(values: Tensor, height: int, width: int) -> Tensor:
    """Resize `(B, C, H, W)` float to `(B, C, height, width)`, bilinearly, averaging over what it shrinks."""
    return torch.nn.functional.interpolate(
        values, size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )


def to_bytes(rgb: Tensor) -> Tensor:
    """Convert float in [0, 1] to uint8 in 0..255, rounded and clipped, of the same shape."""
    return (rgb.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)
