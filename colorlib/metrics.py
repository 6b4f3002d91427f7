"""Image metrics between a colorization and its ground truth: one value per image, computed on 8-bit sRGB.

Functions of images take `(3, H, W)` uint8 tensors and compute in float64, so they agree with scikit-image to rounding.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from colorlib.color import cached_constant, rgb_to_lab

NEAR_GRAY_CHROMA = 1.9
"""Ground truths with a mean ab chroma below this count as near gray: a gray prediction is almost perfect on them."""
AB_THRESHOLDS = 151
"""Number of thresholds of ab error that `ab_auc` averages over: 0, 1, ... 150."""
SSIM_WINDOW = 11
"""Side of SSIM's window in pixels; SSIM is not defined for smaller images."""


def mse(predicted: Tensor, truth: Tensor) -> float:
    """Return the mean squared error over all 3 H W values, on the scale [0, 1] (Sec. III.C)."""
    difference = predicted.long() - truth.long()
    return float(difference.square().sum()) / (255.0**2 * difference.numel())


def psnr_of(mean_squared_error: float) -> float:
    """Return the peak signal-to-noise ratio in dB of an MSE on the scale [0, 1]; infinite for 0."""
    return -10.0 * math.log10(mean_squared_error) if mean_squared_error > 0 else math.inf


@cached_constant
def _gaussian_band(length: int, device: torch.device) -> Tensor:
    """Return a Gaussian filter (sigma 1.5, 11 taps) as a band matrix, `(length - 10, length)` float64."""
    taps = torch.exp(-0.5 * (torch.arange(-5.0, 6.0, dtype=torch.float64) / 1.5) ** 2)
    band = torch.zeros(length - 10, length, dtype=torch.float64)
    rows = torch.arange(length - 10)
    for i, tap in enumerate(taps / taps.sum()):
        band[rows, rows + i] = tap
    return band.to(device)


def ssim(predicted: Tensor, truth: Tensor) -> float:
    """Return the structural similarity (Wang et al. 2004, eq. 13), at most 1: the mean over R, G, B and positions.

    The window is a Gaussian with sigma 1.5, cut at 11 x 11 pixels; positions where it does not fit are left out.

    Raises:
        ValueError: a side is shorter than the window of 11 pixels.
    """
    if min(truth.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(
            f"SSIM needs at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels, not {truth.shape[-1]} x {truth.shape[-2]}"
        )
    x, y = predicted.double() / 255.0, truth.double() / 255.0
    # As matrix products the blur is six times faster here than torch's own float64 convolution.
    rows, columns = _gaussian_band(x.shape[-2], x.device), _gaussian_band(x.shape[-1], x.device)
    blurred = rows @ torch.cat((x, y, x * x, y * y, x * y)) @ columns.T
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = torch.split(blurred, 3)
    variance_x, variance_y = mean_xx - mean_x**2, mean_yy - mean_y**2
    covariance = mean_xy - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    )
    return float(similarity.mean())


def delta_e00(predicted: Tensor, truth: Tensor) -> float:
    """Return the mean CIEDE2000 color difference over the pixels, 0 if they are equal."""
    return float(ciede2000(_lab(predicted), _lab(truth)).mean())


def _lab(rgb: Tensor) -> Tensor:
    """Return LAB, `(3, H, W)` float64, of a uint8 image."""
    return rgb_to_lab(rgb.double() / 255.0)


def ciede2000(lab1: Tensor, lab2: Tensor) -> Tensor:
    """Return the CIEDE2000 difference (Sharma, Wu, Dalal 2005, eqs. 2-22) of each pixel, `(..., H, W)`.

    Args:
        lab1: `(..., 3, H, W)` LAB.
        lab2: the same; the difference is symmetric.
    """
    l1, a1, b1 = lab1.unbind(-3)
    l2, a2, b2 = lab2.unbind(-3)
    # Chroma and hue after the correction of a (eqs. 2-7)
    chroma_mean = (torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2
    g = 0.5 * (1 - torch.sqrt(chroma_mean**7 / (chroma_mean**7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    turn = 2 * math.pi
    h1, h2 = torch.atan2(b1, a1) % turn, torch.atan2(b2, a2) % turn
    achromatic = c1 * c2 == 0
    # Hue difference (eq. 10): the shorter way around, and 0 if one of the two colors has no hue
    dh = (h2 - h1 + math.pi) % turn - math.pi
    dh = torch.where(achromatic, 0.0, torch.where(h2 - h1 == math.pi, math.pi, dh))
    # Mean hue (eq. 14): across 0 if the hues are more than half a turn apart
    far = (h1 - h2).abs() > math.pi
    h_sum = h1 + h2
    h_mean = torch.where(far, torch.where(h_sum < turn, h_sum + turn, h_sum - turn), h_sum) / 2
    h_mean = torch.where(achromatic, h_sum, h_mean)
    # Differences and means of lightness and chroma (eqs. 8-13)
    dl, dc = l2 - l1, c2 - c1
    dh_big = 2 * torch.sqrt(c1 * c2) * torch.sin(dh / 2)
    l_mean, c_mean = (l1 + l2) / 2, (c1 + c2) / 2
    # Weights and rotation (eqs. 15-21)
    degree = math.pi / 180
    t = (
        1
        - 0.17 * torch.cos(h_mean - 30 * degree)
        + 0.24 * torch.cos(2 * h_mean)
        + 0.32 * torch.cos(3 * h_mean + 6 * degree)
        - 0.20 * torch.cos(4 * h_mean - 63 * degree)
    )
    theta = 30 * degree * torch.exp(-(((h_mean / degree - 275) / 25) ** 2))
    r_c = 2 * torch.sqrt(c_mean**7 / (c_mean**7 + 25.0**7))
    s_l = 1 + 0.015 * (l_mean - 50) ** 2 / torch.sqrt(20 + (l_mean - 50) ** 2)
    s_c = 1 + 0.045 * c_mean
    s_h = 1 + 0.015 * c_mean * t
    r_t = -torch.sin(2 * theta) * r_c
    # Total difference (eq. 22); rounding may leave a tiny negative sum
    squared = (dl / s_l) ** 2 + (dc / s_c) ** 2 + (dh_big / s_h) ** 2 + r_t * (dc / s_c) * (dh_big / s_h)
    return torch.sqrt(squared.clamp(min=0))


def ab_auc(predicted: Tensor, truth: Tensor) -> float:
    """Return the area under the curve of ab accuracy (Zhang et al. 2016, Sec. 3.1), in [0, 1].

    This is the mean, over the thresholds 0, 1, ... 150, of the fraction of pixels whose (a, b) lies within the
    threshold of the ground truth.
    """
    _, a, b = _lab(predicted) - _lab(truth)
    error = torch.hypot(a, b)
    within = (AB_THRESHOLDS - error.ceil()).clamp(min=0)
    return float(within.mean()) / AB_THRESHOLDS


def colorfulness(rgb: Tensor) -> float:
    """Return the colorfulness M3 (Hasler & Süsstrunk 2003, Sec. 7) of an image on the scale 0..255.

    The opponent channels are signed; gray images have 0.
    """
    red, green, blue = rgb.double().unbind(-3)
    rg, yb = red - green, 0.5 * (red + green) - blue
    spread = math.hypot(float(rg.std(correction=0)), float(yb.std(correction=0)))
    return spread + 0.3 * math.hypot(float(rg.mean()), float(yb.mean()))


def mean_chroma(rgb: Tensor) -> float:
    """Return the mean length of (a, b) over the pixels: the distance from gray."""
    lab = _lab(rgb)
    return float(torch.hypot(lab[1], lab[2]).mean())


def is_near_gray(rgb: Tensor) -> bool:
    """Return True if an image `(3, H, W)` is near gray, by a grid of about 256 of its pixels a side."""
    every = max(min(rgb.shape[1:]) // 256, 1)
    return mean_chroma(rgb[:, ::every, ::every]) < NEAR_GRAY_CHROMA


@dataclass(frozen=True, kw_only=True)
class Score:
    """Metrics of one method on one image: a row of per_image.csv."""

    image: str
    method: str
    pixels: int
    """Height times width."""
    truth_chroma: float
    """Mean ab chroma of the ground truth; it counts as near gray below `NEAR_GRAY_CHROMA`."""
    mse: float
    psnr: float
    """In dB; infinite if the prediction is exact."""
    ssim: float
    delta_e00: float
    ab_auc: float
    colorfulness: float
    truth_colorfulness: float


def compare(predicted: Tensor, truth: Tensor, *, image: str, method: str) -> Score:
    """Return all metrics of one prediction.

    Args:
        predicted: `(3, H, W)` uint8, on the device that computes the metrics.
        truth: `(3, H, W)` uint8, the photograph, on the same device.
        image: name of the photograph.
        method: name of the method.

    Raises:
        ValueError: the photograph is too small for SSIM, or the prediction has another size; the message names both.
    """
    height, width = truth.shape[1:]
    if predicted.shape != truth.shape:
        raise ValueError(f"{method} returns shape {tuple(predicted.shape)} for {image}, which has {tuple(truth.shape)}")
    if min(height, width) < SSIM_WINDOW:
        raise ValueError(
            f"{image} is {width} x {height} pixels, too small for SSIM, which needs {SSIM_WINDOW} x {SSIM_WINDOW}; "
            "remove it"
        )
    error = mse(predicted, truth)
    return Score(
        image=image,
        method=method,
        pixels=height * width,
        truth_chroma=mean_chroma(truth),
        mse=error,
        psnr=psnr_of(error),
        ssim=ssim(predicted, truth),
        delta_e00=delta_e00(predicted, truth),
        ab_auc=ab_auc(predicted, truth),
        colorfulness=colorfulness(predicted),
        truth_colorfulness=colorfulness(truth),
    )
