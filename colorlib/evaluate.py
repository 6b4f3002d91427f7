"""Evaluation: metrics per image of any `Colorize` on a split, then pooled metrics with bootstrap intervals."""

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colorlib import rng
from colorlib.checkpoint import load_tensors
from colorlib.color import lightness, to_bytes
from colorlib.colorizers import BASELINES, LEVELS, Colorize, load_run, with_true_lightness
from colorlib.config import config_of_record
from colorlib.data import CPU, validation_crops
from colorlib.device import all_gather, is_main_process, shard
from colorlib.files import check_fields, read_json, round_floats, sha256, write_json, write_text
from colorlib.metrics import NEAR_GRAY_CHROMA, Score, compare
from colorlib.photos import PhotoSet, open_photos
from colorlib.photos.decode import MAX_PIXELS
from colorlib.runs import Run, csv_text, score_files

SCORED_PHOTOS = 1000
"""Maximum number of photographs to score on, spread evenly over their split; every table states the number."""
NETWORK = "network"
"""Method label of a network's raw RGB output."""
NETWORK_TRUE_L = "network, true L"
"""Method label of a network's a and b with the photograph's own L."""
NUMBER = (int, float, type(None))
"""Types of an estimate in metrics.json; null stands for an infinity or NaN."""
RESAMPLES = 10_000
"""Number of bootstrap resamples of the images."""
BLOCK = 250
"""Number of resamples drawn at a time, which bounds memory."""


# Metrics per image


def score(methods: Mapping[str, Colorize], photos: PhotoSet, device: torch.device = CPU) -> Iterator[list[Score]]:
    """Score every method on every photograph at its full size, in the photographs' order.

    Args:
        methods: colorizers by method name.
        photos: the split to score on; photographs are decoded one at a time, so memory is bounded.
        device: device that computes the metrics, in float64.

    Yields:
        For each photograph the scores of all methods, computed on predictions rounded to 8 bits.

    Raises:
        ValueError: a photograph is too small for SSIM, or a prediction has another size; the message names both.
    """
    for photo in photos:
        truth = torch.from_numpy(photo.load()).permute(2, 0, 1)
        light = lightness(truth).unsqueeze(0)
        yield [
            compare(to_bytes(colorize(light)[0]).to(device), truth.to(device), image=photo.name, method=method)
            for method, colorize in methods.items()
        ]


def read_scores(path: Path) -> list[Score]:
    """Return the rows of a per_image.csv.

    Raises:
        ValueError: the file does not exist, lacks columns, or has a row that cannot be read; the message names the
            file, and the row.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist; evaluate the run first (`colorlib evaluate`)")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read: {error}; restore it, or evaluate the run again") from error
    kinds: dict[str, Callable[[str], object]] = {"image": str, "method": str, "pixels": int}
    names = list(Score.__dataclass_fields__)
    if rows and not set(names) <= set(rows[0]):
        raise ValueError(f"{path} has the columns {', '.join(filter(None, rows[0]))}; expected {', '.join(names)}")
    scores = []
    for number, row in enumerate(rows, start=1):
        try:
            scores.append(Score(**{name: kinds.get(name, float)(row[name]) for name in names}))  # type: ignore[arg-type]
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, row {number}: {error}; restore it, or evaluate the run again") from error
    return scores


def by_method(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """Return scores grouped by method; the order of methods and images is kept."""
    grouped: dict[str, list[Score]] = {}
    for row in scores:
        grouped.setdefault(row.method, []).append(row)
    return grouped


# Pooled metrics


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with its 95 % bootstrap interval over images."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Pooled metrics of one method on one split."""

    method: str
    images: int
    near_gray: int
    """Number of ground truths with a mean ab chroma below `NEAR_GRAY_CHROMA`."""
    left_out: int
    """Number of them that `mean_psnr` leaves out: all if a photograph is exactly gray (infinite PSNR), else 0."""
    mse: Estimate
    """Mean over images of the per-image MSE."""
    mse_of_pixels: float
    """Mean over all pixels instead; the two differ if image sizes do."""
    psnr_of_mse: Estimate
    """PSNR of `mse`, in dB: the paper's convention."""
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
    """Pool per-image scores of each method.

    Intervals are 95 % percentile bootstrap intervals; all methods share the resamples of the images.

    Args:
        scores: rows of one or several methods on the same images.
        reference: method to compute `psnr_gain` over, or None.

    Raises:
        ValueError: there are no scores, methods were scored on different images, or the reference is missing.
    """
    return list(_summaries(tuple(scores), reference))


@lru_cache(maxsize=256)
def _summaries(scores: tuple[Score, ...], reference: str | None) -> list[Summary]:
    """Do the work of `summarize`. It is cached: README, report, tables and claims pool the same scores."""
    if not scores:
        raise ValueError("there are no scores to pool; evaluate a split that has photographs")
    grouped = by_method(scores)
    images = [row.image for row in next(iter(grouped.values()))]
    for method, rows in grouped.items():
        if [row.image for row in rows] != images:
            raise ValueError(f"{method!r} was not scored on the same images as {next(iter(grouped))!r}")
    if reference is not None and reference not in grouped:
        raise ValueError(f"the reference {reference!r} is none of the methods {', '.join(grouped)}")
    # On a photograph that is exactly gray the baseline "gray" has an infinite PSNR. Whether near-gray photographs are
    # left out must not depend on the methods in this table.
    infinite = any(math.isinf(row.psnr) or row.truth_colorfulness == 0 for row in scores)
    pooled_reference = _pooled_mse([row.mse for row in grouped[reference]]) if reference is not None else None
    return [_summarize(method, rows, infinite, pooled_reference) for method, rows in grouped.items()]


def _resampled_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums over images, first of all images, then of each bootstrap resample.

    Every call uses the same resamples of the same number of images. The sums are those of integers, so they do not
    depend on the order of the terms, and so neither on the processor nor on a BLAS.

    Args:
        values: `(images, K)`; infinities are allowed.

    Returns:
        `(1 + RESAMPLES, K)`.
    """
    infinite = np.isinf(values)
    finite = np.where(infinite, 0.0, values)
    # Fixed point, with as many bits as the largest sum leaves in 63
    _, exponents = np.frexp(np.abs(finite).max(axis=0, initial=0.0))
    shifts = 62 - math.ceil(math.log2(max(len(values), 2))) - exponents
    fixed = np.asfortranarray(np.rint(np.ldexp(finite, shifts)).astype(np.int64))
    sums = []
    blocks: tuple[NDArray[Any], ...] = (np.ones((1, len(values)), np.int64), *_resample_counts(len(values)))
    for counts in blocks:
        times = counts.astype(np.int64)
        # Column by column `einsum` takes half the time of a matrix product of integers
        whole = np.stack([np.einsum("ij,j->i", times, column) for column in fixed.T], axis=1)
        found = np.ldexp(whole.astype(np.float64), -shifts)
        # 0 x inf would be NaN, so infinite values are handled apart
        if infinite.any():
            found[times @ infinite.astype(np.int64) > 0] = np.inf
        sums.append(found)
    return np.concatenate(sums)


@lru_cache(maxsize=4)
def _resample_counts(images: int) -> tuple[NDArray[np.uint16], ...]:
    """Return the number of times that each bootstrap resample draws each image, in blocks of shape `(BLOCK, images)`.

    The blocks have `RESAMPLES` rows in all and depend on the number of images alone. They are cached, because drawing
    them takes most of the time of an interval.
    """
    blocks = []
    for block in range(RESAMPLES // BLOCK):
        drawn = rng.integers(np.full((BLOCK, images), images), 0, "bootstrap over images", block)
        of_resample = drawn + images * np.arange(BLOCK)[:, np.newaxis]
        counts = np.bincount(of_resample.ravel(), minlength=BLOCK * images).reshape(BLOCK, images)
        blocks.append(counts.astype(np.uint16))
    return tuple(blocks)


def _pooled_mse(errors: Sequence[float]) -> NDArray[np.float64]:
    """Return the mean of one MSE per image, first of all images, then of each resample: `(1 + RESAMPLES,)`."""
    return _resampled_sums(np.array(errors)[:, np.newaxis])[:, 0] / len(errors)


def _decibels(ratio: float) -> float:
    """Return 10 log10 of a ratio, correctly rounded on every machine."""
    if math.isnan(ratio) or math.isinf(ratio):
        return ratio
    return float(10 * Decimal(ratio).log10()) if ratio > 0 else -math.inf


def _in_decibels(estimate: Estimate, *, factor: float = 1.0) -> Estimate:
    """Return `factor` times the decibels of an estimate; its bounds are order statistics, which the logarithm keeps."""
    return Estimate(
        value=factor * _decibels(abs(estimate.value)),
        low=factor * _decibels(abs(estimate.low)),
        high=factor * _decibels(abs(estimate.high)),
    )


def _interval(values: NDArray[np.float64]) -> Estimate:
    """Return the first value with the 95 % percentile interval of the others, its resamples; NaNs are ignored."""
    resampled = values[1:][~np.isnan(values[1:])]
    if not resampled.size:
        return Estimate(value=float(values[0]), low=math.nan, high=math.nan)
    # Order statistics without interpolation, which would give NaN between two infinite values.
    low, high = np.percentile(resampled, (2.5, 97.5), method="inverted_cdf")
    return Estimate(value=float(values[0]), low=float(low), high=float(high))


def mean_over_images(values: Sequence[float], keep: NDArray[np.bool_] | None = None) -> Estimate:
    """Return the mean of one value per image with its bootstrap interval, from the same resamples as `summarize`.

    Args:
        values: one per image, in the order of the images.
        keep: `(images,)`, True for the values to average; None averages all. The mean of none is NaN.
    """
    if keep is None:
        return _interval(_resampled_sums(np.array(values)[:, np.newaxis])[:, 0] / len(values))
    sums, counts = _resampled_sums(np.stack((np.where(keep, np.array(values), 0.0), keep), axis=1)).T
    return _interval(np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0))


def psnr_of_mean(errors: Sequence[float]) -> Estimate:
    """Return the PSNR in dB of the mean of one MSE per image, from the same resamples as `summarize`."""
    return _in_decibels(_interval(-_pooled_mse(errors)), factor=-1.0)


def psnr_gain(errors: Sequence[float], reference: Sequence[float]) -> Estimate:
    """Return the PSNR of the mean of `errors` minus that of `reference`, in dB, both on the same resampled images.

    Args:
        errors: one MSE per image.
        reference: the same of another method, in the same order of the images.
    """
    return _in_decibels(_interval(_pooled_mse(reference) / _pooled_mse(errors)))


def _summarize(
    method: str, rows: Sequence[Score], infinite: bool, pooled_reference: NDArray[np.float64] | None
) -> Summary:
    """Pool the scores of one method.

    Args:
        method: name of the method.
        rows: its scores.
        infinite: leave near-gray ground truths out of the mean PSNR, because a PSNR on one of them is infinite.
        pooled_reference: `_pooled_mse` of the reference method, or None.
    """
    near_gray = np.array([row.truth_chroma < NEAR_GRAY_CHROMA for row in rows])
    errors = [row.mse for row in rows]
    pooled = _pooled_mse(errors)
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0, if both are exact on a whole resample
        gain = None if pooled_reference is None else _in_decibels(_interval(pooled_reference / pooled))
    pixels = np.array([row.pixels for row in rows])
    return Summary(
        method=method,
        images=len(rows),
        near_gray=int(near_gray.sum()),
        left_out=int(near_gray.sum()) if infinite else 0,
        mse=mean_over_images(errors),
        mse_of_pixels=math.fsum(np.array(errors) * pixels) / int(pixels.sum()),
        psnr_of_mse=_in_decibels(_interval(-pooled), factor=-1.0),
        mean_psnr=mean_over_images([row.psnr for row in rows], ~near_gray if infinite else None),
        ssim=mean_over_images([row.ssim for row in rows]),
        delta_e00=mean_over_images([row.delta_e00 for row in rows]),
        ab_auc=mean_over_images([row.ab_auc for row in rows]),
        colorfulness=mean_over_images([row.colorfulness for row in rows]),
        truth_colorfulness=math.fsum(row.truth_colorfulness for row in rows) / len(rows),
        psnr_gain=gain,
    )


# Runs


def network_methods(path: Path, device: torch.device) -> dict[str, Colorize]:
    """Return the two methods of a run by label: raw RGB output, and its a and b with the true L."""
    colorize = _CacheLast(load_run(path, device=device))
    return {NETWORK: colorize, NETWORK_TRUE_L: with_true_lightness(colorize)}


class _CacheLast:
    """A `Colorize` that caches its last result, so that two methods cost one forward pass."""

    def __init__(self, colorize: Colorize) -> None:
        self.colorize = colorize
        self.light: Tensor | None = None
        self.rgb = torch.empty(0)

    def __call__(self, light: Tensor) -> Tensor:
        if light is not self.light:
            self.rgb, self.light = self.colorize(light), light
        return self.rgb


def baseline_methods(photos: str) -> dict[str, Colorize]:
    """Return the baselines by name, fitted to the training split of `photos` alone."""
    return _fitted_baselines(photos, open_photos(photos, "train").digest)


@lru_cache(maxsize=2)
def _fitted_baselines(photos: str, digest: str) -> dict[str, Colorize]:
    """Return the fitted baselines, cached by the content of the photographs, whose decoding takes seconds."""
    training = open_photos(photos, "train").decode()
    return {name: fit(training) for name, fit in BASELINES.items()}


def baseline_losses(photos: str, crop_size: int, view: int = 0) -> dict[str, float]:
    """Return the validation loss of each baseline: the MSE on the center crops that training validates on.

    Args:
        photos: photographs of the run.
        crop_size: side of its crops in pixels.
        view: its side of shrunk photographs; 0 for their own resolution.
    """
    crops = validation_crops(open_photos(photos, "val"), crop_size, view)
    light, truth = lightness(crops), crops.float() / 255.0
    return {
        name: float((colorize(light) - truth).square().mean(dtype=torch.float64))
        for name, colorize in baseline_methods(photos).items()
    }


def read_baseline_losses(path: Path) -> dict[str, float]:
    """Return the losses of `baseline_losses` from a profile's baselines.json.

    Raises:
        ValueError: the file is missing or damaged, or lacks a baseline; the message names it.
    """
    content = read_json(path, {"validation_mse": dict.fromkeys(BASELINES, float)}, fix="run `make reproduce`")
    losses: dict[str, float] = content["validation_mse"]
    return losses


def look_up_table_csv(photos: str) -> str:
    """Return the look-up table of `baseline_methods` as CSV: red, green and blue of `LEVELS` equal steps of L."""
    light = torch.linspace(0.0, 100.0, LEVELS).reshape(1, 1, 1, LEVELS)
    levels = baseline_methods(photos)["look-up table"](light)[0, :, 0].T
    rows = [f"{100 * level / (LEVELS - 1):.4f},{','.join(f'{v:.6f}' for v in rgb)}" for level, rgb in enumerate(levels)]
    return "\n".join(["L,red,green,blue", *rows, ""])


def read_look_up_table(path: Path) -> Tensor:
    """Return the look-up table in a file of `look_up_table_csv`: sRGB in [0, 1] of each level, `(LEVELS, 3)` float64.

    Raises:
        ValueError: the file is missing or damaged; the message names it.
    """
    fix = f"run `make reproduce PROFILE={path.parent.name}`"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rgb = np.array([[float(row[name]) for name in ("red", "green", "blue")] for row in csv.DictReader(file)])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}); {fix}") from error
    if rgb.shape != (LEVELS, 3) or not ((rgb >= 0) & (rgb <= 1)).all():
        raise ValueError(f"{path} has not {LEVELS} rows of RGB in [0, 1]; delete it and {fix}")
    return torch.from_numpy(rgb)


def score_run(
    path: Path,
    *,
    photos: str | None = None,
    split: str = "test",
    device: torch.device,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[tuple[int, int]]:
    """Score the last weights of a finished run on a split and write the results into its directory.

    On the test split of the run's own photographs the files are metrics.json and per_image.csv; elsewhere their names
    contain photographs and split (`score_files`), so that nothing is overwritten.

    Args:
        path: the run directory.
        photos: photographs to score on; None takes those the run was trained on.
        split: split to score on.
        device: device of the network, and of the metrics if it has float64.
        max_pixels: refuse larger photographs.

    Yields:
        (photographs scored so far, their total) of this process, first with 0, so that a progress bar can start.

    Raises:
        ValueError: the run is not finished, or there are no such photographs.
    """
    # Load the run and the photographs
    run = Run(path)
    own = config_of_record(run.record()).photos
    if not run.weights.is_file():
        raise ValueError(f"{path} is not finished: it has no {run.weights.name}; resume it first (`colorlib train`)")
    found = scored_photos(photos or own, split, max_pixels=max_pixels)
    methods = network_methods(path, device)
    # Score this process's part of the photographs
    own_part = shard(len(found))
    rows: list[Score] = []
    yield 0, len(own_part)
    part = replace(found, photos=found.photos[own_part.start : own_part.stop])
    for done, scores in enumerate(score(methods, part, _metrics_device(device)), start=1):
        rows += scores
        yield done, len(own_part)
    # Gather the scores of all processes and write them once
    rows = all_gather(rows)
    if not is_main_process():
        return
    metrics, per_image = score_files(path, photos or own, split, own=own)
    write_scores(rows, found, weights=run.weights, metrics=metrics, per_image=per_image)


def _metrics_device(device: torch.device) -> torch.device:
    """Return the device that computes the metrics: Apple's GPU has no float64."""
    return CPU if device.type == "mps" else device


def score_baselines(
    path: Path, *, photos: str | None = None, split: str = "test", max_pixels: int = MAX_PIXELS
) -> Iterator[tuple[int, int]]:
    """Score the baselines, fitted to a run's training photographs, on a split and write `baselines_file`.

    Args:
        path: the run directory.
        photos: photographs to score on; None takes those the run was trained on.
        split: split to score on.
        max_pixels: refuse larger photographs.

    Yields:
        (photographs scored so far, their total), first with 0, so that a progress bar can start.

    Raises:
        ValueError: there is no such run, or there are no such photographs.
    """
    own = config_of_record(Run(path).record()).photos
    found = scored_photos(photos or own, split, max_pixels=max_pixels)
    methods = baseline_methods(own)
    rows: list[Score] = []
    yield 0, len(found)
    for done, scores in enumerate(score(methods, found), start=1):
        rows += scores
        yield done, len(found)
    ordered = [row for method in methods for row in rows if row.method == method]
    write_text(baselines_file(path, photos or own, split, own=own), csv_text([asdict(row) for row in ordered]))


def baselines_file(path: Path, photos: str, split: str, *, own: str) -> Path:
    """Return the file of a run directory with the scores of the baselines on a split.

    Args:
        path: the run directory.
        photos: photographs that were scored.
        split: their split.
        own: photographs that the run was trained on.
    """
    per_image = score_files(path, photos, split, own=own)[1]
    return per_image.with_name(per_image.name.replace("per_image", "baselines", 1))


def scored_photos(photos: str, split: str = "test", *, max_pixels: int = MAX_PIXELS) -> PhotoSet:
    """Return the photographs of a split to score on: all of them, or `SCORED_PHOTOS` if there are more."""
    return open_photos(photos, split, max_pixels=max_pixels).at_most(SCORED_PHOTOS)


def write_scores(rows: list[Score], photos: PhotoSet, *, weights: Path, metrics: Path, per_image: Path) -> None:
    """Write per-image scores as CSV, and as JSON the pooled metrics with photographs, updates and hash of the weights.

    Args:
        rows: scores in any order.
        photos: the photographs that were scored.
        weights: the file of the weights that were scored.
        metrics: the JSON file to write.
        per_image: the CSV file to write.
    """
    methods = list(dict.fromkeys(row.method for row in rows))
    ordered = sorted(rows, key=lambda row: methods.index(row.method))
    scored = {"source": photos.source, "split": photos.split, "count": len(photos), "sha256": photos.digest}
    scored |= {"of": photos.split_size} if photos.split_size else {}
    write_text(per_image, csv_text([asdict(row) for row in ordered]))
    write_json(metrics, round_floats(_metrics_record(ordered, scored, weights)))


def _metrics_record(rows: list[Score], photos: dict[str, Any], weights: Path) -> dict[str, Any]:
    """Return the content of a metrics.json."""
    return {
        "photos": photos,
        "updates": load_tensors(weights).step,
        "weights_sha256": sha256(weights),
        "methods": {summary.method: _summary_json(summary) for summary in summarize(rows, reference=None)},
    }


def rebuild_metrics(path: Path) -> Path:
    """Rebuild a run's metrics.json from its per_image.csv and return its path; its entry `photos` is kept.

    Raises:
        ValueError: the run was not scored, or its weights are damaged.
    """
    metrics = path / "metrics.json"
    photos = read_metrics(metrics)["photos"]
    write_json(metrics, round_floats(_metrics_record(read_scores(path / "per_image.csv"), photos, Run(path).weights)))
    return metrics


def read_metrics(path: Path) -> dict[str, Any]:
    """Return the content of a metrics.json.

    Raises:
        ValueError: the file is missing or damaged, or an estimate lacks its value or a bound; the message names it.
    """
    fix = "evaluate the run again (`colorlib evaluate`)"
    metrics = read_json(path, {"photos": {"source": str, "split": str, "count": int}, "methods": dict}, fix=fix)
    try:
        for method, values in metrics["methods"].items():
            check_fields(values, {"images": int, "truth_colorfulness": float}, method)
            for measure in ("mse", "psnr_of_mse", "mean_psnr", "ssim", "delta_e00", "colorfulness"):
                check_fields(values, {measure: {"value": NUMBER, "low": NUMBER, "high": NUMBER}}, method)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}; restore it, or {fix}") from error
    return metrics


def _summary_json(summary: Summary) -> dict[str, Any]:
    """Return a summary as JSON types; infinities and NaNs, as on gray photographs, become null."""
    plain = {name: value for name, value in asdict(summary).items() if name != "method" and value is not None}
    return {name: _finite(value) for name, value in plain.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
