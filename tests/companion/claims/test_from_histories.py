"""Trends and noise of loss histories that are known by construction, and of committed ones."""

import json
from pathlib import Path

import numpy as np
import pytest

from colorlib.companion.claims import from_histories
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.profiles import Profile
from colorlib.runs import Run


def histories(root: Path, noise: dict[str, dict[int, float]]) -> Profile:
    """Write the histories of a sweep's points: losses of 1 plus and minus the noise, epoch by epoch."""
    profile = Profile(name="cpu", settings={"photos": "bundled"}, seeds=(0,), root=root)
    for point, of_seed in noise.items():
        for seed, size in of_seed.items():
            run = Run(profile.sweep("outlook") / f"{point}{seed}")
            losses = [1.0 + size * (-1) ** epoch for epoch in range(1, 13)]
            rows = [
                {"epoch": number, "updates": 10 * number, "training_loss": loss, "validation_loss": loss}
                for number, loss in enumerate(losses, start=1)
            ]
            run.write_history(rows, [])
            (run.path / "point.json").write_text(json.dumps({"point": point, "seed": seed}))
    return profile


def test_the_trend_of_a_line_is_its_slope():
    losses = 2.0 - 0.01 * np.arange(60)
    found = from_histories.trend(losses)
    assert found.slope == pytest.approx(-0.1 / losses.mean())
    assert (found.low, found.high) == pytest.approx((found.slope, found.slope))


def test_the_interval_of_a_trend_holds_the_true_slope_in_95_of_100_histories():
    random = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        # Noise that lasts for about two epochs
        white = random.normal(0, 0.02, 61)
        losses = 1.0 - 0.001 * np.arange(60) + white[1:] + 0.5 * white[:-1]
        found = from_histories.trend(losses)
        held += found.low <= -0.01 / (1.0 - 0.0295) <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_a_history_without_three_blocks_has_no_trend():
    with pytest.raises(ValueError, match="29 epochs"):
        from_histories.trend(np.ones(29))


def test_noise_is_relative_to_the_mean_of_the_last_epochs():
    losses = [50.0, *(4.0, 6.0) * 5]
    assert from_histories.relative_noise(losses) == pytest.approx(np.std(losses[1:], ddof=1) / 5.0)


def test_noise_is_compared_seed_by_seed(tmp_path: Path):
    profile = histories(tmp_path, {"lab": {0: 0.01, 1: 0.03, 5: 0.5}, "paper": {0: 0.04, 1: 0.04}, "unet": {0: 0.9}})
    found = from_histories.noise_ratios(Results(profile), "lab", "paper", "validation_loss")
    assert found == pytest.approx({0: 0.25, 1: 0.75})


def test_noise_of_points_that_were_not_trained_is_not_measured(tmp_path: Path):
    profile = histories(tmp_path, {"paper": {0: 0.04}})
    with pytest.raises(NotMeasuredError, match="SWEEP=outlook"):
        from_histories.noise_ratios(Results(profile), "lab", "paper", "validation_loss")
