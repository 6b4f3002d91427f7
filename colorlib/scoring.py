"""Scoring a finished run: what it leaves in its directory, and what a later reader may rely on."""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from colorlib import ranks
from colorlib.baselines import BASELINES
from colorlib.checkpoint import load_tensors
from colorlib.color import lightness
from colorlib.colorizer import Colorize, load_run, with_true_lightness
from colorlib.config import config_of_record
from colorlib.data import VALIDATION_PHOTOS, center_crops
from colorlib.evaluate import Score, Summary, read_scores, score, summarize
from colorlib.files import sha256, write_json, write_text
from colorlib.images import MAX_PIXELS
from colorlib.photos import PhotoSet, open_photos
from colorlib.runs import Run, csv_text

SCORED_PHOTOS = 1000
"""Scores are of at most so many photographs, spread evenly over their split: a table states how many."""
NETWORK = "network"
NETWORK_TRUE_L = "network, true L"
"""The network's a and b with the photograph's own L."""


def network_methods(path: Path, device: torch.device) -> dict[str, Colorize]:
    """The rows a run adds to a table: the network as printed, and its a and b with the true L."""
    colorize = _Once(load_run(path, device=device))
    return {NETWORK: colorize, NETWORK_TRUE_L: with_true_lightness(colorize)}


class _Once:
    """A `Colorize` that remembers its last answer, so that two rows of a table cost one pass of the network."""

    def __init__(self, colorize: Colorize) -> None:
        self.colorize = colorize
        self.light: Tensor | None = None
        self.rgb = torch.empty(0)

    def __call__(self, light: Tensor) -> Tensor:
        if light is not self.light:
            self.rgb, self.light = self.colorize(light), light
        return self.rgb


def baseline_methods(photos: str) -> dict[str, Colorize]:
    """The trivial answers, fitted on the training split of `photos` alone."""
    training = open_photos(photos, "train").decode()
    return {name: fit(training) for name, fit in BASELINES.items()}


def baseline_losses(photos: str, crop_size: int) -> dict[str, float]:
    """What trivial answers get as a validation loss: MSE on the center crops that training validates on."""
    validation = open_photos(photos, "val").at_most(VALIDATION_PHOTOS)
    crops = center_crops(validation.decode(), validation.names, crop_size)
    light, truth = lightness(crops), crops.float() / 255.0
    return {
        name: float((colorize(light) - truth).square().mean(dtype=torch.float64))
        for name, colorize in baseline_methods(photos).items()
    }


def score_run(
    path: Path,
    *,
    photos: str | None = None,
    split: str = "test",
    device: torch.device,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[tuple[int, int]]:
    """Score a finished run on a split and write what was measured into its directory.

    On the test split of the photographs it was trained on that is metrics.json and per_image.csv; on others the names
    carry source and split (`score_files`), so that nothing is overwritten.

    Args:
        path: the run directory.
        photos: a source other than the one it was trained on.
        split: which split; the test split is scored with the last weights only.
        device: where the network runs.
        max_pixels: refuse larger photographs.

    Yields:
        How many photographs are scored, of how many; first 0, so that a progress bar can start.
    """
    run = Run(path)
    own = config_of_record(run.record()).photos
    if not run.weights.is_file():
        raise ValueError(
            f"{path} is not finished: it has no {run.weights.name}; go on with it first (`colorlib train`)"
        )
    found = scored_photos(photos or own, split, max_pixels=max_pixels)
    methods = network_methods(path, device)
    own_part = ranks.part(len(found))
    rows: list[Score] = []
    yield 0, len(own_part)
    part = replace(found, photos=found.photos[own_part.start : own_part.stop])
    for done, scores in enumerate(score(methods, part), start=1):
        rows += scores
        yield done, len(own_part)
    rows = ranks.gathered(rows)
    if not ranks.first():
        return
    metrics, per_image = score_files(path, photos or own, split, own=own)
    write_scores(rows, found, weights=run.weights, metrics=metrics, per_image=per_image)


def scored_photos(photos: str, split: str = "test", *, max_pixels: int = MAX_PIXELS) -> PhotoSet:
    """The photographs of a split that scores are of."""
    return open_photos(photos, split, max_pixels=max_pixels).at_most(SCORED_PHOTOS)


def score_files(path: Path, photos: str, split: str, *, own: str) -> tuple[Path, Path]:
    """Where the figures of a run on a split go: the JSON file and the CSV file."""
    # The name's own hash tells apart what the file system could not: folder:/a-b and folder:/a/b.
    name = (
        photos if photos.isalnum() else f"{photos.partition(':')[0]}-{hashlib.sha256(photos.encode()).hexdigest()[:8]}"
    )
    suffix = "" if (photos, split) == (own, "test") else f"-{name}-{split}"
    return path / f"metrics{suffix}.json", path / f"per_image{suffix}.csv"


def write_scores(rows: list[Score], photos: PhotoSet, *, weights: Path, metrics: Path, per_image: Path) -> None:
    """Write the per-image rows, and the pooled figures with what they are figures of."""
    methods = list(dict.fromkeys(row.method for row in rows))
    ordered = sorted(rows, key=lambda row: methods.index(row.method))
    scored = {"source": photos.source, "split": photos.split, "count": len(photos), "sha256": photos.digest}
    scored |= {"of": photos.of} if photos.of else {}
    write_text(per_image, csv_text([asdict(row) for row in ordered]))
    write_json(metrics, _pooled(ordered, scored, weights))


def _pooled(rows: list[Score], photos: dict[str, Any], weights: Path) -> dict[str, Any]:
    return {
        "photos": photos,
        "updates": load_tensors(weights).step,
        "weights_sha256": sha256(weights),
        "methods": {summary.method: metrics_of(summary) for summary in summarize(rows, reference=None)},
    }


def pool_again(path: Path) -> Path:
    """Write a run's metrics.json anew from its per_image.csv; what the photographs were is kept as it stands there.

    Raises:
        ValueError: the run was not scored, or its weights are damaged.
    """
    metrics = path / "metrics.json"
    photos = json.loads(metrics.read_text(encoding="utf-8"))["photos"]
    write_json(metrics, _pooled(read_scores(path / "per_image.csv"), photos, Run(path).weights))
    return metrics


def metrics_of(summary: Summary) -> dict[str, Any]:
    """A summary as JSON holds it: a figure that is infinite or has none to average, as on gray photographs, is null."""
    plain = {name: value for name, value in asdict(summary).items() if name != "method" and value is not None}
    return {name: _finite(value) for name, value in plain.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
