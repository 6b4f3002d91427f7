"""Measurements: means over seeds, their spread and intervals, and the facts behind them."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.committed import add_seed, copy_cpu, scale
from scipy import stats

from colorlib.companion.claims.measurement import (
    HOME,
    PRIMARY_MEASURE,
    StudentError,
    epochs_between,
    gains,
    over_epochs,
    over_photographs,
    over_seeds,
)
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.tables import joined
from colorlib.evaluate import NETWORK, Estimate


def last_loss(history: list[dict[str, float]]) -> float:
    return history[-1]["training_loss"]


def test_over_epochs_averages_seeds(tmp_path: Path):
    profile = add_seed(copy_cpu(tmp_path))
    scale(profile.run(1) / "history.csv", {"training_loss": 1.1})
    one = over_epochs(Results(replace(profile, seeds=(0,))), last_loss, "{:.4f}".format, "It is {number}.")
    two = over_epochs(Results(profile), last_loss, "{:.4f}".format, "It is {number}.")
    assert (one.seeds, one.low, one.high, one.interval) == (1, None, None, "")
    assert one.text == f"{one.value:.4f}"
    assert two.value == pytest.approx(1.05 * one.value)
    assert two.low is not None
    assert two.value - two.low == pytest.approx(12.706 * 0.05 * one.value, rel=1e-4), "Student's t, two seeds"
    assert two.text == f"{two.value:.4f}"
    assert two.why == f"It is {two.value:.4f}."
    assert (two.updates, two.crop_size) == (1000, profile.config.crop_size)
    assert "bsds500" in two.photographs
    assert two.command == "make figure1 PROFILE=cpu"


def test_over_photographs_joins_photographs_and_seeds(tmp_path: Path):
    profile = add_seed(copy_cpu(tmp_path))
    estimates = [Estimate(value=1.0, low=0.5, high=2.0), Estimate(value=3.0, low=1.5, high=4.0)]
    found = over_photographs(Results(profile), estimates, "{:+.1f} dB".format, "By {number}.", target="peers")
    mean = joined(estimates)
    assert (found.value, found.low, found.high, found.seeds) == (mean.value, mean.low, mean.high, 2)
    assert found.text == "+2.0 dB"
    assert found.interval.startswith(f"{mean.low:+.1f} dB to {mean.high:+.1f} dB (95 % over photographs and seeds")
    assert found.command == "make peers PROFILE=cpu"
    assert found.photographs == Results(profile).photographs
    some = over_photographs(Results(profile), estimates[:1], str, "{number}", photographs="two photographs")
    assert some.photographs == "two photographs"
    assert "one seed" in some.interval


def test_the_error_of_seeds_gives_interval_and_p_value():
    values = [0.31, 0.2, 0.35, 0.12, 0.37]
    error = over_seeds(values)
    assert error is not None
    assert error.interval(0.27) == pytest.approx(stats.t.interval(0.95, 4, 0.27, stats.sem(values)))
    assert error.p_value(0.27, 0.0) == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)
    assert over_seeds(values[:1]) is None
    same = StudentError(error=0.0, freedom=2)
    assert (same.p_value(1.0, 1.0), same.p_value(1.0, 0.0)) == (1.0, 0.0)


def test_gains_are_those_of_the_summaries_and_leave_near_gray_photographs_out(tmp_path: Path):
    profile = copy_cpu(tmp_path)
    rows = Results(profile).scores
    found = {gain.measure: gain for gain in gains(rows, (0,), NETWORK, "mean chroma", place=HOME)}
    assert len(found) == 5
    (ours,) = Results(profile).summaries(NETWORK, reference="mean chroma")
    (mean,) = Results(profile).summaries("mean chroma")
    primary = found[PRIMARY_MEASURE]
    assert ours.psnr_gain == Estimate(value=primary.value, low=primary.low, high=primary.high)
    assert found["SSIM"].value == pytest.approx(ours.ssim.value - mean.ssim.value)
    assert found["fall of ΔE00"].value == pytest.approx(mean.delta_e00.value - ours.delta_e00.value)
    back = {gain.measure: gain for gain in gains(rows, (0,), "mean chroma", NETWORK, place=HOME)}
    assert back[PRIMARY_MEASURE].value == pytest.approx(-primary.value)
    gray = [(seed, replace(row, truth_chroma=0.1, psnr=float("inf"))) for seed, row in rows[:1]]
    others = [row for row in rows if row[1].image != rows[0][1].image]
    assert gains([*gray, *others], (0,), NETWORK, "mean chroma", place=HOME) == gains(
        others, (0,), NETWORK, "mean chroma", place=HOME
    )


def test_epochs_between_includes_both_ends():
    history = [{"epoch": float(epoch), "loss": 10.0 * epoch} for epoch in range(1, 6)]
    assert epochs_between(history, 2, 4, "loss") == [20.0, 30.0, 40.0]
    with pytest.raises(NotMeasuredError, match=r"\b5\b.*\b6\b"):
        epochs_between(history, 2, 6, "loss")
