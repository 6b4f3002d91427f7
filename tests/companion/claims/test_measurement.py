"""Measurements: means over seeds, their spread and intervals, and the facts behind them."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.committed import add_seed, copy_cpu, scale

from colorlib.companion.claims.measurement import epochs_between, over_epochs, over_photographs, spread_text
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.evaluate import Estimate


def last_loss(history: list[dict[str, float]]) -> float:
    return history[-1]["training_loss"]


def test_over_epochs_averages_seeds(tmp_path: Path):
    profile = add_seed(copy_cpu(tmp_path))
    scale(profile.run(1) / "history.csv", {"training_loss": 1.1})
    one = over_epochs(Results(replace(profile, seeds=(0,))), last_loss, "{:.4f}".format, "It is {number}.")
    two = over_epochs(Results(profile), last_loss, "{:.4f}".format, "It is {number}.")
    assert (one.seeds, one.sd, one.low) == (1, None, None)
    assert one.text == f"{one.value:.4f}"
    assert two.value == pytest.approx(1.05 * one.value)
    assert two.sd == pytest.approx(0.1 / 2**0.5 * one.value)
    assert two.text == f"{two.value:.4f} ± {two.sd:.4f}"
    assert two.why == f"It is {two.value:.4f}."
    assert (two.updates, two.crop_size) == (1000, profile.config.crop_size)
    assert "bsds500" in two.photographs
    assert two.command == "make figure1 PROFILE=cpu"


def test_over_photographs_averages_estimates_and_their_bounds(tmp_path: Path):
    profile = add_seed(copy_cpu(tmp_path))
    estimates = [Estimate(value=1.0, low=0.5, high=2.0), Estimate(value=3.0, low=1.5, high=4.0)]
    found = over_photographs(Results(profile), estimates, "{:+.1f} dB".format, "By {number}.", target="peers")
    assert (found.value, found.low, found.high, found.seeds) == (2.0, 1.0, 3.0, 2)
    assert found.sd == pytest.approx(2**0.5)
    assert found.text == "+2.0 dB ± 1.4 dB"
    assert found.interval.startswith("+1.0 dB to +3.0 dB (95 %")
    assert found.command == "make peers PROFILE=cpu"
    assert found.photographs == Results(profile).photographs
    some = over_photographs(Results(profile), estimates, str, "{number}", photographs="two photographs")
    assert some.photographs == "two photographs"


def test_the_spread_needs_two_seeds():
    assert spread_text([1.0], "{:+.2f}".format) == ""
    assert spread_text([1.0, 2.0], "{:+.2f}".format) == " ± 0.71"


def test_epochs_between_includes_both_ends():
    history = [{"epoch": float(epoch), "loss": 10.0 * epoch} for epoch in range(1, 6)]
    assert epochs_between(history, 2, 4, "loss") == [20.0, 30.0, 40.0]
    with pytest.raises(NotMeasuredError, match=r"\b5\b.*\b6\b"):
        epochs_between(history, 2, 6, "loss")
