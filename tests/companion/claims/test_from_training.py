"""Measurements of the network, of loss histories, and of an interrupted training."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.committed import copy_cpu, scale

from colorlib import trainer
from colorlib.companion import paper
from colorlib.companion.claims import from_training
from colorlib.companion.claims.claims import Verdict, judge, measure, read_claims
from colorlib.companion.claims.from_training import MEASUREMENTS, equal_files_after_interruption
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.config import RunConfig
from colorlib.profiles import Profile, load_profile
from colorlib.runs import Run


@pytest.fixture
def cpu(tmp_path: Path) -> Profile:
    return copy_cpu(tmp_path)


def judged(profile: Profile, name: str) -> dict[str, Any]:
    (claim,) = [claim for claim in read_claims() if claim.id == name]
    return judge(claim, measure(claim, Results(profile)))


def test_the_network_is_measured_without_any_run(tmp_path: Path):
    results = Results(replace(load_profile("paper"), root=tmp_path))
    values = {
        name: MEASUREMENTS[name](results).value
        for name in ("output_size_kept", "output_range", "parameters", "receptive_width", "psnr_of_paper_mse")
    }
    assert values == {
        "output_size_kept": 1.0, "output_range": 1.0, "parameters": 740_227, "receptive_width": 13,
        "psnr_of_paper_mse": pytest.approx(paper.PSNR, abs=0.05),
    }  # fmt: skip


def test_costs_are_compared_with_the_networks_that_the_paper_names(tmp_path: Path):
    results = Results(replace(load_profile("paper"), root=tmp_path))
    share, multiple = (MEASUREMENTS[name](results) for name in ("parameters_over_others", "multiply_adds_over_others"))
    assert 740_227 / share.value == pytest.approx(32.2e6, rel=0.01), "Zhang et al. (github.com/richzhang/colorization)"
    assert "739,584 per pixel" in multiple.why
    ours, zhang, iizuka, unet, trunk = map(float, re.findall(r"([\d.]+) G", multiple.why))
    assert ours == pytest.approx(739_584 * 256**2 / 1e9, abs=0.1)
    assert multiple.value == pytest.approx(ours / zhang, rel=0.01)
    assert (zhang, iizuka, unet, trunk) == (41.8, 14.6, 6.0, 20.0), "as counted by hand for a review"
    assert multiple.text == "1.2 to 8.1 ×"


def test_a_changed_history_changes_the_number(cpu: Profile):
    history = cpu.run(0) / "history.csv"
    before = judged(cpu, "training-loss")
    assert before["verdict"] == Verdict.UNDECIDED, "one seed has no interval over seeds"
    with history.open() as file:
        loss = float(list(csv.DictReader(file))[39]["training_loss"])
    assert before["measured"] == loss
    scale(history, {"training_loss": 0.00441 / loss})
    assert judged(cpu, "training-loss")["measured"] == pytest.approx(0.00441)


def test_a_run_that_is_too_short_is_not_measured(cpu: Profile):
    entry = judged(cpu, "converged-at-40")
    assert entry["verdict"] == Verdict.NOT_MEASURED
    assert re.findall(r"\d+", str(entry["why"])) == ["40", "100"], "epochs of the run, and of the claim"


def with_history(folder: Path, name: str, losses: list[float], updates: int = 25) -> Profile:
    """A profile with one run whose training loss is the validation loss."""
    profile = replace(load_profile(name), root=folder, seeds=(0,))
    lines = [f"{epoch},{epoch * updates},{loss},{loss}" for epoch, loss in enumerate(losses, start=1)]
    profile.run(0).mkdir(parents=True)
    text = "\n".join(["epoch,updates,training_loss,validation_loss", *lines, ""])
    (profile.run(0) / "history.csv").write_text(text)
    return profile


def test_shapes_of_a_history(tmp_path: Path):
    losses = [0.1 - 0.005 * min(epoch, 10) for epoch in range(1, 61)] + [0.04] * 30 + [0.03, 0.05] * 5
    results = Results(with_history(tmp_path, "paper", losses))
    assert MEASUREMENTS["fall_by_epoch_10"](results).value == pytest.approx(1.0)
    assert MEASUREMENTS["fall_after_epoch_40"](results).value == pytest.approx(1 - 0.04 / 0.05)


def test_the_reported_loss_is_of_part_of_the_training():
    found = MEASUREMENTS["reported_epochs"](Results(load_profile("paper")))
    assert (found.value, found.text) == (0.4, "40 of 100 epochs")


@pytest.mark.slow
def test_a_resumed_training_has_equal_files():
    assert equal_files_after_interruption() == {"history.csv": True, "weights.safetensors": True}


@pytest.mark.slow
def test_a_training_that_loses_its_state_is_found(monkeypatch: pytest.MonkeyPatch):
    calls: list[Path] = []

    def train(config: RunConfig, path: Path, **options: Any) -> Iterator[object]:
        calls.append(path)
        if len(calls) == 2:  # another seed from the start, where the interrupted run should be resumed
            shutil.rmtree(path)
            config = replace(config, seed=1)
        yield from trainer.train(config, path, **options)

    monkeypatch.setattr(from_training, "train", train)
    assert equal_files_after_interruption() == {"history.csv": False, "weights.safetensors": False}


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
    found = from_training.trend(losses)
    assert found.slope == pytest.approx(-0.1 / losses.mean())
    assert (found.low, found.high) == pytest.approx((found.slope, found.slope))


def test_the_interval_of_a_trend_holds_the_true_slope_in_95_of_100_histories():
    random = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        # Noise that lasts for about two epochs
        white = random.normal(0, 0.02, 61)
        losses = 1.0 - 0.001 * np.arange(60) + white[1:] + 0.5 * white[:-1]
        found = from_training.trend(losses)
        held += found.low <= -0.01 / (1.0 - 0.0295) <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_a_history_without_three_blocks_has_no_trend():
    with pytest.raises(ValueError, match="29 epochs"):
        from_training.trend(np.ones(29))


def test_noise_is_relative_to_the_mean_of_the_last_epochs():
    losses = [50.0, *(4.0, 6.0) * 5]
    assert from_training.relative_noise(losses) == pytest.approx(np.std(losses[1:], ddof=1) / 5.0)


def test_noise_is_compared_seed_by_seed(tmp_path: Path):
    profile = histories(tmp_path, {"lab": {0: 0.01, 1: 0.03, 5: 0.5}, "paper": {0: 0.04, 1: 0.04}, "unet": {0: 0.9}})
    found = from_training.noise_ratios(Results(profile), "lab", "paper", "validation_loss")
    assert found == pytest.approx({0: 0.25, 1: 0.75})


def test_noise_of_points_that_were_not_trained_is_not_measured(tmp_path: Path):
    profile = histories(tmp_path, {"paper": {0: 0.04}})
    with pytest.raises(NotMeasuredError, match="SWEEP=outlook"):
        from_training.noise_ratios(Results(profile), "lab", "paper", "validation_loss")
