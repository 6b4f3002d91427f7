"""Measurements of scores and of sweeps: they follow the files, and few seeds decide nothing."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.committed import add_seed, copy_cpu, scale
from helpers.sweep_summaries import NOISE, renamed, summary_rows, with_sweep

from colorlib.companion.claims.claims import Verdict, decide, judge, read_claims
from colorlib.companion.claims.claims import measure as measured
from colorlib.companion.claims.from_scores import MEASUREMENTS
from colorlib.companion.claims.measurement import HOME, Measurement
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.profiles import Profile, load_profile


@pytest.fixture
def cpu(tmp_path: Path) -> Profile:
    return copy_cpu(tmp_path)


def judged(profile: Profile, *names: str) -> dict[str, dict[str, Any]]:
    results = Results(profile)
    return {claim.id: judge(claim, measured(claim, results)) for claim in read_claims() if claim.id in names}


# Scores


def test_a_changed_score_changes_the_verdict(cpu: Profile):
    before = judged(cpu, "test-mse")["test-mse"]
    assert before["verdict"] == Verdict.DIFFERS
    assert "one seed" in before["interval_text"]
    scale(cpu.results / "per_image.csv", {"mse": 0.0044 / before["measured"]}, method="network")
    after = judged(cpu, "test-mse")["test-mse"]
    assert (after["verdict"], after["measured"]) == (Verdict.UNDECIDED, pytest.approx(0.0044))


def test_quality_is_shown_in_five_measures_at_home_and_away(cpu: Profile):
    entry = judged(cpu, "better-than-trivial")["better-than-trivial"]
    places = [gain["place"] for gain in entry["gains"]]
    assert places == [HOME] * 5 + ["on zhang2016"] * 5
    assert len({gain["measure"] for gain in entry["gains"]}) == 5
    assert all(f"{gain['measure']} {gain['value']:+.{gain['digits']}f}" in entry["why"] for gain in entry["gains"])
    assert entry["measured"] == entry["gains"][0]["value"]


def test_published_colorizers_are_the_sample_of_common_limitations(cpu: Profile):
    entry = judged(cpu, "common-limitations")["common-limitations"]
    assert entry["seeds"] is None
    lacks = [int(share) / 100 for share in re.findall(r"(-?\d+)% \[", entry["why"])]
    assert len(lacks) == 3, "all published colorizers, not only one that agrees"
    assert entry["measured"] == pytest.approx(np.mean(lacks), abs=0.01)


def test_equal_seeds_have_no_spread(cpu: Profile):
    found = judged(add_seed(cpu), "test-mse")["test-mse"]
    alone = judged(cpu, "test-mse")["test-mse"]
    assert (found["seeds"], found["low"], found["high"]) == (2, alone["low"], alone["high"])


def test_test_error_and_training_loss_are_of_the_same_seed(cpu: Profile):
    both = add_seed(cpu)
    scale(both.run(1) / "history.csv", {"training_loss": 2.0})
    rows = cpu.results / "per_image.csv"
    text = rows.read_text().splitlines()
    seed_1 = [line.replace(",network,", ",twice,") for line in text if line.startswith("1,")]
    rows.write_text("\n".join([line for line in text if not line.startswith("1,")] + seed_1) + "\n")
    scale(rows, {"mse": 2.0}, method="twice")
    rows.write_text(rows.read_text().replace(",twice,", ",network,"))
    for seeds in ((0, 1), (1, 0)):
        found = MEASUREMENTS["error_over_training_loss"](Results(replace(both, seeds=seeds)))
        one = MEASUREMENTS["error_over_training_loss"](Results(replace(both, seeds=(0,))))
        assert (found.low, found.high) == pytest.approx((one.low, one.high)), "both seeds have the same ratio"


# Sweeps


def measure(name: str, root: Path, rows: list[dict[str, Any]], sweep: str = "outlook") -> Measurement:
    return MEASUREMENTS[name](Results(with_sweep(root, rows, sweep)))


def test_three_seeds_decide_a_claim(tmp_path: Path):
    found = measure("gain_of_lab", tmp_path, summary_rows(3))
    assert found.value == pytest.approx(0.51)
    assert (found.seeds, found.updates) == (3, 3000)
    assert all(fact in found.photographs for fact in ("100", "validation", "bsds500"))
    assert found.low == pytest.approx(0.51 - 0.0248, abs=1e-3)
    assert found.text == "+0.51 dB"
    assert all(name in found.why for name in ("PSNR of MSE", "mean PSNR", "SSIM", "ΔE00", "colorfulness"))
    (claim,) = [claim for claim in read_claims() if claim.id == "outlook-lab-better"]
    assert decide(claim, found) == Verdict.REPRODUCED
    worse = [
        row | {"PSNR of MSE": 19.0 + NOISE[row["seed"]]} if row["point"] == "lab" else row for row in summary_rows(3)
    ]
    assert decide(claim, measure("gain_of_lab", tmp_path, worse)) == Verdict.DIFFERS


def test_two_seeds_do_not(tmp_path: Path):
    with pytest.raises(NotMeasuredError, match=r"\b2\b.*\b3\b.*SSIM \+0\.0000.*SEEDS=0,1,2"):
        measure("gain_of_skip_connections", tmp_path, summary_rows(2))


def test_a_missing_sweep_is_named_with_its_command(tmp_path: Path):
    with pytest.raises(NotMeasuredError, match="make sweep SWEEP=augmentation PROFILE=cpu"):
        measure("gain_of_augmentation_on_few", tmp_path, summary_rows(3))


def test_a_missing_perceptual_loss_gives_the_change_with_random_features(tmp_path: Path):
    rows = renamed(summary_rows(2), "skip", "perceptual-random")
    with pytest.raises(NotMeasuredError, match=r"make sweep SWEEP=perceptual PROFILE=cpu.* \+0\.0 .*\b2 of 3\b"):
        measure("gain_of_perceptual_loss", tmp_path, rows)
    with pytest.raises(NotMeasuredError, match=r" \+0\.0 \(3 seeds"):
        measure("gain_of_perceptual_loss", tmp_path, renamed(summary_rows(3), "skip", "perceptual-random"))


def test_the_squared_error_is_compared_with_the_better_of_the_named_losses(tmp_path: Path):
    def compared(adversarial: str, perceptual: str) -> Measurement:
        """Measure with losses that have the scores of these points."""
        rows = renamed(renamed(summary_rows(3), "paper", "mse"), perceptual, "perceptual-lite0")
        with_sweep(tmp_path, rows, "perceptual")
        return measure("gain_over_named_losses", tmp_path, renamed(summary_rows(3), adversarial, "adversarial"))

    found = compared("lab", "skip")
    assert found.value == pytest.approx(-0.51)
    assert found.low == pytest.approx(-0.51 - 0.0248, abs=1e-3)
    assert found.high == pytest.approx(-0.51 + 0.0248, abs=1e-3)
    assert found.text == "-0.51 dB"
    for words, gain in (("EfficientNet-Lite0", "+0.00"), ("adversarial", "+0.51")):
        assert re.search(rf"{words} changes PSNR of MSE by {re.escape(gain)} dB", found.why)
    assert compared("skip", "lab").value == pytest.approx(-0.51)
    assert measure("gain_over_l1", tmp_path, summary_rows(3)).value == pytest.approx(0.30, abs=0.01)
    with pytest.raises(NotMeasuredError, match=r"\b0\b.*\b3\b.*SEEDS=0,1,2"):
        measure("gain_over_named_losses", tmp_path, summary_rows(3))


def test_detail_of_skip_connections_is_that_of_the_colors_alone(tmp_path: Path):
    rows = [
        row | {"SSIM": 0.95} if (row["point"], row["method"]) == ("skip", "network, true L") else row
        for row in summary_rows(3)
    ]
    assert measure("gain_of_skip_connections", tmp_path, rows).value == pytest.approx(0.05)
    raw = [
        row | {"SSIM": 0.95} if (row["point"], row["method"]) == ("skip", "network") else row for row in summary_rows(3)
    ]
    assert measure("gain_of_skip_connections", tmp_path, raw).value == pytest.approx(0.0)


@pytest.mark.parametrize(("name", "photos"), [("few", "bsds500~0.1"), ("all", "bsds500")])
def test_the_gain_of_augmentation_is_the_error_without_it(tmp_path: Path, name: str, photos: str):
    rows = renamed(renamed(summary_rows(3), "paper", f"both, photos={photos}"), "l1", f"none, photos={photos}")
    found = measure(f"gain_of_augmentation_on_{name}", tmp_path, rows, "augmentation")
    assert found.value == pytest.approx(0.01 * (10**0.030 - 1), rel=0.05)
    assert "-0.30 dB" in found.why


def test_a_profile_without_the_sweep_uses_that_of_cpu(tmp_path: Path):
    with_sweep(tmp_path, summary_rows(3))
    found = MEASUREMENTS["gain_of_lab"](Results(replace(load_profile("paper"), root=tmp_path)))
    assert found.command == "make sweep SWEEP=outlook PROFILE=cpu"
