"""Scoring a finished run: what it leaves in its directory, and what a later reader may rely on."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from colorlib.baselines import BASELINES
from colorlib.checkpoint import load_tensors
from colorlib.colorizer import Colorize, load_run, with_true_lightness
from colorlib.config import config_of_record
from colorlib.evaluate import Score, Summary, score, summarize
from colorlib.files import sha256, write_json, write_text
from colorlib.photos import PhotoSet, open_photos
from colorlib.runs import Run, csv_text

NETWORK = "network"
NETWORK_TRUE_L = "network, true L"
"""The network's a and b with the photograph's own L."""


def network_methods(path: Path, device: torch.device) -> dict[str, Colorize]:
    """The rows a run adds to a table: the network as printed, and its a and b with the true L."""
    colorize = load_run(path, device=device)
    return {NETWORK: colorize, NETWORK_TRUE_L: with_true_lightness(colorize)}


def baseline_methods(photos: str) -> dict[str, Colorize]:
    """The trivial answers, fitted on the training split of `photos` alone."""
    training = open_photos(photos, "train").decode()
    return {name: fit(training) for name, fit in BASELINES.items()}


def score_run(path: Path, *, photos: str | None = None, split: str = "test", device: torch.device) -> Iterator[int]:
    """Score a finished run on a split and write metrics.json and per_image.csv into its directory.

    Args:
        path: the run directory.
        photos: a source other than the one it was trained on.
        split: which split; the test split is scored with the last weights only.
        device: where the network runs.

    Yields:
        The number of photographs scored so far; the first value is 0, so that a progress bar can start.
    """
    run = Run(path)
    source = photos or config_of_record(run.record()).photos
    found = open_photos(source, split)
    methods = network_methods(path, device)
    rows: list[Score] = []
    yield 0
    for done, scores in enumerate(score(methods, found), start=1):
        rows += scores
        yield done
    write_scores(path, rows, found, weights=run.weights)


def write_scores(path: Path, rows: list[Score], photos: PhotoSet, *, weights: Path) -> None:
    """Write per_image.csv and metrics.json: the figures, and what they are figures of."""
    methods = list(dict.fromkeys(row.method for row in rows))
    ordered = sorted(rows, key=lambda row: methods.index(row.method))
    summaries = summarize(ordered, reference=None)
    record: dict[str, Any] = {
        "photos": {
            "source": photos.source,
            "split": photos.split,
            "count": len(photos),
            "sha256": photos.digest,
        },
        "updates": load_tensors(weights).step,
        "weights_sha256": sha256(weights),
        "methods": {summary.method: metrics_of(summary) for summary in summaries},
    }
    write_text(path / "per_image.csv", csv_text([asdict(row) for row in ordered]))
    write_json(path / "metrics.json", record)


def metrics_of(summary: Summary) -> dict[str, Any]:
    """A summary as JSON holds it."""
    plain = asdict(summary)
    return {name: value for name, value in plain.items() if name != "method" and value is not None}
