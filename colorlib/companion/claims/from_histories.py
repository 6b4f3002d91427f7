"""Measures of loss histories: the trend of a loss after its fall, and its noise from epoch to epoch, for each seed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from colorlib.companion.claims.measurement import epochs_between
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.steps import point_histories
from colorlib.runs import Run

BLOCK = 10
"""Epochs that are averaged for a trend, and that noise is measured over."""
STABLE = (41, 100)
"""First and last epoch of the time in which the paper calls the loss stable (Sec. IV.A)."""


@dataclass(frozen=True, kw_only=True)
class Trend:
    """Slope of a loss per `BLOCK` epochs as a share of its mean, with its 95 % interval; negative for a fall."""

    slope: float
    low: float
    high: float


def trend(losses: Sequence[float]) -> Trend:
    """Fit a line to the means of blocks of `BLOCK` epochs.

    Blocks rather than epochs, because the noise of neighboring epochs may be correlated, which would make the interval
    too narrow.

    Args:
        losses: one per epoch, in order; the first epochs are left out if they fill no block.

    Raises:
        ValueError: there are fewer than three blocks.
    """
    count = len(losses) // BLOCK
    if count < 3:
        raise ValueError(f"{len(losses)} epochs have no trend with an interval; it takes {3 * BLOCK}")
    values = np.asarray(losses[len(losses) - count * BLOCK :]).reshape(count, BLOCK).mean(axis=1)
    fit = stats.linregress(np.arange(count), values)
    half = float(stats.t.ppf(0.975, count - 2) * fit.stderr)
    slope, mean = float(fit.slope), float(values.mean())
    return Trend(slope=slope / mean, low=(slope - half) / mean, high=(slope + half) / mean)


def relative_noise(losses: Sequence[float]) -> float:
    """Return the standard deviation of the last `BLOCK` losses, as a share of their mean."""
    last = np.asarray(losses[-BLOCK:])
    return float(last.std(ddof=1) / last.mean())


def trends_after_40(results: Results, column: str) -> dict[int, Trend]:
    """Return the trend of a column of history.csv over the epochs `STABLE`, by seed.

    Raises:
        NotMeasuredError: a run is missing or shorter.
    """
    return {
        seed: trend(epochs_between(history, *STABLE, column))
        for seed, history in zip(results.profile.seeds, results.histories, strict=True)
    }


def noise_ratios(results: Results, point: str, reference: str, column: str) -> dict[int, float]:
    """Return the `relative_noise` of a point of the sweep `outlook` over that of another point, by seed.

    They are read from the sweep of the profile itself or, where that was not run, of profile `cpu`.

    Args:
        results: of the profile that is judged.
        point: a point, for example `lab`.
        reference: the point that it is compared with, for example `paper`.
        column: `training_loss` or `validation_loss`, whose units cancel out.

    Raises:
        NotMeasuredError: no seed of both points was trained.
    """
    noise: dict[str, dict[int, float]] = {point: {}, reference: {}}
    paths = point_histories(results.profile) or point_histories(results.other("cpu").profile)
    for path in (path for path in paths if path.name == "point.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["point"] in noise:
            history = Run(path.parent).history()
            noise[record["point"]][record["seed"]] = relative_noise([row[column] for row in history])
    seeds = sorted(noise[point].keys() & noise[reference].keys())
    if not seeds:
        raise NotMeasuredError(f"There are no runs of {point} and {reference} yet; make sweep SWEEP=outlook makes them")
    return {seed: noise[point][seed] / noise[reference][seed] for seed in seeds}
