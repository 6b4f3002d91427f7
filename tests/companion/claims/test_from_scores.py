"""Measurements of scores and of sweeps: they follow the files, and few seeds decide nothing."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.committed import add_seed, copy_cpu, scale
from helpers.sweep_summaries import NOISE, renamed, summary_rows, with_sweep

from colorlib.companion.artifacts.published import ZHANG
from colorlib.companion.claims.claims import Verdict, decide, judge, read_claims
from colorlib.companion.claims.from_scores import MEASUREMENTS
from colorlib.companion.claims.measurement import Measurement
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.tables import read_rows
from colorlib.profiles import Profile, load_profile


@pytest.fixture
def cpu(tmp_path: Path) -> Profile:
    return copy_cpu(tmp_path)


def judged(profile: Profile, *names: str) -> dict[str, dict[str, Any]]:
    results = Results(profile)
    return {claim.id: judge(claim, results) for claim in read_claims() if claim.id in names}


# Scores


def test_a_changed_score_changes_the_verdict(cpu: Profile):
    names = ("test-mse", "better-than-trivial", "desaturated")
    before = judged(cpu, *names)
    assert before["test-mse"]["verdict"] == Verdict.DIFFERS
    assert before["desaturated"]["verdict"] == Verdict.REPRODUCED
    factors = {"mse": 0.0044 / before["test-mse"]["measured"], "colorfulness": 5.0}
    scale(cpu.results / "per_image.csv", factors, method="network")
    after = judged(cpu, *names)
    assert after["test-mse"]["verdict"] == Verdict.REPRODUCED
    assert after["better-than-trivial"]["verdict"] == Verdict.REPRODUCED
    assert after["desaturated"]["verdict"] == Verdict.DIFFERS


def test_colors_are_compared_with_one_color_and_with_published_results(cpu: Profile):
    before = judged(cpu, "color-fidelity", "common-limitations", "quality-kept")
    rows = read_rows(cpu.results / "per_image.csv")
    mean, ours = (
        np.mean([score.delta_e00 for _, score in rows if score.method == method])
        for method in ("mean chroma", "network")
    )
    assert before["color-fidelity"]["measured"] == pytest.approx(mean - ours)
    assert before["common-limitations"]["verdict"] == Verdict.REPRODUCED
    assert before["common-limitations"]["seeds"] is None
    assert before["quality-kept"]["verdict"] == Verdict.DIFFERS
    scale(cpu.results / "per_image.csv", {"delta_e00": 0.5}, method="network")
    scale(cpu.results / "peers" / "per_image.csv", {"colorfulness": 3.0}, method=ZHANG)
    after = judged(cpu, "color-fidelity", "common-limitations")
    assert after["color-fidelity"]["verdict"] == Verdict.REPRODUCED
    assert after["common-limitations"]["verdict"] == Verdict.DIFFERS


def test_equal_seeds_have_no_spread(cpu: Profile):
    found = judged(add_seed(cpu), "test-mse")["test-mse"]
    assert (found["seeds"], found["sd"]) == (2, 0.0)


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
        assert found.sd == pytest.approx(0.0, abs=1e-12)


# Sweeps


def measure(name: str, root: Path, rows: list[dict[str, Any]], sweep: str = "outlook") -> Measurement:
    return MEASUREMENTS[name](Results(with_sweep(root, rows, sweep)))


def test_three_seeds_decide_a_claim(tmp_path: Path):
    found = measure("gain_of_lab", tmp_path, summary_rows(3))
    assert found.value == pytest.approx(0.51)
    assert (found.seeds, found.updates) == (3, 3000)
    assert all(fact in found.photographs for fact in ("100", "validation", "bsds500"))
    assert found.low == pytest.approx(0.51 - 0.0248, abs=1e-3)
    assert found.text == "+0.51 dB ± 0.01 dB"
    assert found.why.count("+0.51 dB") == 2, "of the raw output, and with the true L"
    (claim,) = [claim for claim in read_claims() if claim.id == "outlook-lab"]
    assert decide(claim, found) == Verdict.REPRODUCED
    worse = [
        row | {"PSNR of MSE": 19.0 + NOISE[row["seed"]]} if row["point"] == "lab" else row for row in summary_rows(3)
    ]
    assert decide(claim, measure("gain_of_lab", tmp_path, worse)) == Verdict.DIFFERS


def test_two_seeds_do_not(tmp_path: Path):
    with pytest.raises(NotMeasuredError, match=r"\b2\b.*\b3\b.*SSIM \+0\.000.*SEEDS=0,1,2"):
        measure("gain_of_skip_connections", tmp_path, summary_rows(2))


def test_a_missing_sweep_is_named_with_its_command(tmp_path: Path):
    with pytest.raises(NotMeasuredError, match="make sweep SWEEP=more_data PROFILE=cpu"):
        measure("gain_of_more_photographs", tmp_path, summary_rows(3))


def test_more_photographs_are_measured_with_the_unet_if_the_papers_network_was_not_trained_on_them(tmp_path: Path):
    rows = renamed(renamed(summary_rows(3), "paper", "all"), "l1", "and-imagenet")
    found = measure("gain_of_more_photographs", tmp_path, rows, "data_scaling")
    assert (found.text, found.seeds) == ("-0.30 dB ± 0.02 dB", 3)
    assert found.command == "make sweep SWEEP=data_scaling PROFILE=cpu"
    assert "U-Net" in found.why
    assert "-0.30 dB" in found.why


def test_a_missing_perceptual_loss_gives_the_change_with_random_features(tmp_path: Path):
    rows = renamed(summary_rows(2), "skip", "perceptual-random")
    with pytest.raises(
        NotMeasuredError, match=r"make sweep SWEEP=perceptual PROFILE=cpu.* \+0\.0 ± 0\.0\W.*\b2 of 3\b"
    ):
        measure("gain_of_perceptual_loss", tmp_path, rows)
    with pytest.raises(NotMeasuredError, match=r" \+0\.0 ± 0\.0\W+3 seeds"):
        measure("gain_of_perceptual_loss", tmp_path, renamed(summary_rows(3), "skip", "perceptual-random"))


def test_the_squared_error_is_compared_with_the_best_of_the_other_losses(tmp_path: Path):
    rows = renamed(renamed(summary_rows(3), "lab", "adversarial"), "skip", "perceptual-random")
    found = measure("gain_over_other_losses", tmp_path, rows)
    assert found.value == pytest.approx(-0.51)
    assert found.low == pytest.approx(-0.51 - 0.0248, abs=1e-3)
    assert found.high == pytest.approx(-0.51 + 0.0248, abs=1e-3)
    assert found.text == "-0.51 dB ± 0.01 dB"
    for point, gain in (("l1", "-0.30"), ("perceptual-random", "+0.00"), ("adversarial", "+0.51")):
        assert re.search(rf"{point}[^,]*{re.escape(gain)} dB", found.why)
    with pytest.raises(NotMeasuredError, match=r"\b0\b.*\b3\b.*SEEDS=0,1,2"):
        measure("gain_over_other_losses", tmp_path, summary_rows(3))


def test_the_gain_of_augmentation_is_the_error_without_it(tmp_path: Path):
    found = measure("gain_of_augmentation", tmp_path, renamed(summary_rows(3), "l1", "none"), "augmentation")
    assert found.value == pytest.approx(0.01 * (10**0.030 - 1), rel=0.05)
    assert "-0.30 dB" in found.why


def test_a_profile_without_the_sweep_uses_that_of_cpu(tmp_path: Path):
    with_sweep(tmp_path, summary_rows(3))
    found = MEASUREMENTS["gain_of_lab"](Results(replace(load_profile("paper"), root=tmp_path)))
    assert found.command == "make sweep SWEEP=outlook PROFILE=cpu"
