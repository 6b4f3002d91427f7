"""Measurements of the network, of loss histories, and of an interrupted training."""

import csv
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.committed import copy_cpu, scale

from colorlib import trainer
from colorlib.companion import paper
from colorlib.companion.claims import from_training
from colorlib.companion.claims.claims import Verdict, judge, measure, read_claims
from colorlib.companion.claims.from_training import MEASUREMENTS, equal_files_after_interruption
from colorlib.companion.results import Results
from colorlib.config import RunConfig
from colorlib.profiles import Profile, load_profile


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
