"""Scoring: any gray -> RGB callable, a split, one row of metrics per image; then pooled figures with intervals."""

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colorlib import keys
from colorlib.color import lightness, to_bytes
from colorlib.colorizer import Colorize
from colorlib.metrics import (
    NEAR_GRAY_CHROMA,
    SSIM_WINDOW,
    ab_auc,
    colorfulness,
    delta_e00,
    mean_chroma,
    mse,
    psnr_of,
    ssim,
)
from colorlib.photos import PhotoSet

RESAMPLES = 10_000
"""Bootstrap resamples of the images."""
BLOCK = 250
"""Resamples drawn at a time."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One image under one method."""

    image: str
    method: str
    pixels: int
    truth_chroma: float
    """Mean ab chroma of the ground truth; below `NEAR_GRAY_CHROMA` it counts as near gray."""
    mse: float
    psnr: float
    """In dB; infinite where the prediction is exact."""
    ssim: float
    delta_e00: float
    ab_auc: float
    colorfulness: float
    truth_colorfulness: float


def compare(predicted: Tensor, truth: Tensor, *, image: str, method: str) -> Score:
    """All metrics of one prediction.

    Args:
        predicted: `(3, H, W)` uint8.
        truth: the same, the photograph.
        image: the photograph's name.
        method: what made the prediction.

    Raises:
        ValueError: the photograph is too small to score, or the prediction has another size; the message names it.
    """
    height, width = truth.shape[1:]
    if predicted.shape != truth.shape:
        raise ValueError(f"{method} gives {tuple(predicted.shape)} for {image}, which is {tuple(truth.shape)}")
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


def score(methods: Mapping[str, Colorize], photos: PhotoSet) -> Iterator[list[Score]]:
    """Score every method on every photograph at its full size, in the photographs' order.

    Args:
        methods: name -> callable.
        photos: the split to score on; each photograph is decoded when its turn comes, so memory is bounded.

    Yields:
        For each photograph, the scores of all methods on it, on predictions rounded to 8 bits.

    Raises:
        ValueError: a photograph is too small to score; the message names it.
    """
    for photo in photos:
        truth = torch.from_numpy(photo.load()).permute(2, 0, 1)
        light = lightness(truth).unsqueeze(0)
        yield [
            compare(to_bytes(colorize(light)[0]), truth, image=photo.name, method=method)
            for method, colorize in methods.items()
        ]


def read_scores(path: Path) -> list[Score]:
    """Read a per_image.csv.

    Raises:
        ValueError: the file is missing or has other columns.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist; evaluate the run first (`colorlib evaluate`)")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds: dict[str, Callable[[str], object]] = {"image": str, "method": str, "pixels": int}
    names = [name for name in Score.__dataclass_fields__]
    if rows and not set(names) <= set(rows[0]):
        raise ValueError(f"{path} has the columns {', '.join(rows[0])}; expected {', '.join(names)}")
    return [Score(**{name: kinds.get(name, float)(row[name]) for name in names}) for row in rows]  # type: ignore[arg-type]


def by_method(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """Scores grouped by method, methods and images in the order they come."""
    grouped: dict[str, list[Score]] = {}
    for row in scores:
        grouped.setdefault(row.method, []).append(row)
    return grouped


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its 95 % bootstrap interval over images."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One method on one split."""

    method: str
    images: int
    near_gray: int
    """Ground truths of mean ab chroma below `NEAR_GRAY_CHROMA`."""
    left_out: int
    """Of these, how many the mean per-image PSNR leaves out (all of them, where gray is exact on one photograph)."""
    mse: Estimate
    """Mean over images of the per-image MSE."""
    mse_of_pixels: float
    """The same with each pixel weighing alike; differs where sizes differ."""
    psnr_of_mse: Estimate
    """PSNR of the pooled MSE, in dB: the paper's convention."""
    mean_psnr: Estimate
    """Mean of the per-image PSNRs, in dB: the literature's convention."""
    ssim: Estimate
    delta_e00: Estimate
    ab_auc: Estimate
    colorfulness: Estimate
    truth_colorfulness: float
    psnr_gain: Estimate | None
    """PSNR of the pooled MSE minus the reference method's, both on the same resampled images."""


def summarize(scores: Sequence[Score], *, reference: str | None = "gray") -> list[Summary]:
    """Pool per-image scores, with 95 % percentile intervals from the same resamples of the images for every method.

    Args:
        scores: per-image rows of one or several methods on the same images.
        reference: the method that gains are measured against, or None.

    Raises:
        ValueError: nothing was scored, methods were scored on different images, or the reference is missing.
    """
    if not scores:
        raise ValueError("there are no scores to pool; evaluate a split that holds photographs")
    grouped = by_method(scores)
    images = [row.image for row in next(iter(grouped.values()))]
    for method, rows in grouped.items():
        if [row.image for row in rows] != images:
            raise ValueError(f"{method!r} was not scored on the same images as {next(iter(grouped))!r}")
    if reference is not None and reference not in grouped:
        raise ValueError(f"the reference {reference!r} is not among the methods {', '.join(grouped)}")
    # A photograph that is exactly gray gives the gray row an infinite PSNR, whether or not that row is in this table.
    infinite = any(math.isinf(row.psnr) or row.truth_colorfulness == 0 for row in scores)
    pooled_reference = _pooled_psnr(grouped[reference]) if reference is not None else None
    return [_summarize(method, rows, infinite, pooled_reference) for method, rows in grouped.items()]


def _resampled_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over images, of all images first, then of each bootstrap resample: `(images, K)` to `(1 + RESAMPLES, K)`.

    Every call draws the same resamples, block by block, so memory is bounded for any number of images.
    """
    images = len(values)
    sums = [values.sum(axis=0, keepdims=True)]
    infinite = np.isinf(values)
    finite = np.where(infinite, 0.0, values)
    for block in range(RESAMPLES // BLOCK):
        drawn = keys.integers(np.full((BLOCK, images), images), 0, "bootstrap over images", block)
        of_resample = drawn + images * np.arange(BLOCK)[:, np.newaxis]
        times = np.bincount(of_resample.ravel(), minlength=BLOCK * images).reshape(BLOCK, images).astype(np.float64)
        sums.append(np.where(times @ infinite > 0, np.inf, times @ finite))
    return np.concatenate(sums)


def _pooled_psnr(rows: Sequence[Score]) -> NDArray[np.float64]:
    """PSNR of the pooled MSE: of all images first, then of each resample."""
    means = _resampled_sums(np.array([[row.mse] for row in rows]))[:, 0] / len(rows)
    with np.errstate(divide="ignore"):
        return np.asarray(-10.0 * np.log10(means))


def _interval(values: NDArray[np.float64]) -> Estimate:
    """The first value is the figure, the others its resamples, of which those without a figure (NaN) do not count."""
    resampled = values[1:][~np.isnan(values[1:])]
    if not resampled.size:
        return Estimate(value=float(values[0]), low=math.nan, high=math.nan)
    # Order statistics, not interpolated ones: between two infinite values there is nothing to interpolate.
    low, high = np.percentile(resampled, (2.5, 97.5), method="inverted_cdf")
    return Estimate(value=float(values[0]), low=float(low), high=float(high))


def mean_over_images(values: Sequence[float], keep: NDArray[np.bool_] | None = None) -> Estimate:
    """The mean of one value per image, with its bootstrap interval; all figures of `summarize` share the resamples.

    Args:
        values: one per image, in the images' order.
        keep: which of them count; the mean is NaN where none does.
    """
    kept = np.ones(len(values), dtype=bool) if keep is None else keep
    sums, counts = _resampled_sums(np.stack((np.where(kept, np.array(values), 0.0), kept), axis=1)).T
    return _interval(np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0))


def _summarize(
    method: str, rows: Sequence[Score], infinite: bool, pooled_reference: NDArray[np.float64] | None
) -> Summary:
    near_gray = np.array([row.truth_chroma < NEAR_GRAY_CHROMA for row in rows])
    pooled = _pooled_psnr(rows)
    with np.errstate(invalid="ignore"):  # both exact on a whole resample: no difference can be named
        gain = None if pooled_reference is None else _interval(pooled - pooled_reference)
    pixels = np.array([row.pixels for row in rows])
    errors = [row.mse for row in rows]
    return Summary(
        method=method,
        images=len(rows),
        near_gray=int(near_gray.sum()),
        left_out=int(near_gray.sum()) if infinite else 0,
        mse=mean_over_images(errors),
        mse_of_pixels=float((np.array(errors) * pixels).sum() / pixels.sum()),
        psnr_of_mse=_interval(pooled),
        mean_psnr=mean_over_images([row.psnr for row in rows], ~near_gray if infinite else None),
        ssim=mean_over_images([row.ssim for row in rows]),
        delta_e00=mean_over_images([row.delta_e00 for row in rows]),
        ab_auc=mean_over_images([row.ab_auc for row in rows]),
        colorfulness=mean_over_images([row.colorfulness for row in rows]),
        truth_colorfulness=float(np.mean([row.truth_colorfulness for row in rows])),
        psnr_gain=gain,
    )
