"""The lightweight network against the paper's: the sweep's choice, gains, and verdicts by intervals."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.results import write_per_image
from helpers.sweep_summaries import summary_row
from helpers.training import run_record

from colorlib.companion.artifacts import outlook
from colorlib.companion.artifacts.outlook import OVER_LOOK_UP, OVER_PAPER
from colorlib.companion.results import Results
from colorlib.companion.steps import LIGHTWEIGHT, files
from colorlib.companion.sweeps.spec import load_sweep, sweep_file
from colorlib.companion.sweeps.summary import over_seeds, read_summary
from colorlib.evaluate import NETWORK
from colorlib.files import write_json, write_text
from colorlib.profiles import Profile, load_profile
from colorlib.runs import csv_text

SEEDS = (0, 1, 2)
WEIGHTS = np.array([0.9, 1.0, 1.1])
BASELINES = {"gray": 0.0080, "mean chroma": 0.0070, "look-up table": 0.0065}
VERDICTS = ("beats", "is not shown to differ", "behind")


def write_profile(name: str, root: Path, error: float, *, seeds: tuple[int, ...] = SEEDS) -> Profile:
    """Write scores of a profile with this mean squared error, and half of it with the true L."""
    profile = load_profile(name, seeds=seeds, root=root)
    networks = {
        seed: {"network": list(error * (1 + 0.01 * seed) * WEIGHTS), "network, true L": list(error / 2 * WEIGHTS)}
        for seed in seeds
    }
    write_per_image(profile, {method: list(value * WEIGHTS) for method, value in BASELINES.items()}, networks)
    for seed in seeds:
        write_json(profile.run(seed) / "run.json", run_record(config={"seed": seed}))
    return profile


def compared(root: Path, error: float, *, seeds: tuple[int, ...] = SEEDS) -> pd.DataFrame:
    own = write_profile(LIGHTWEIGHT, root, error, seeds=seeds)
    return outlook.compare_networks(Results(own), Results(write_profile("paper", root, 0.0060)))


def test_gains_are_those_of_the_pooled_errors(tmp_path: Path):
    data = compared(tmp_path, 0.0050)
    assert list(data["profile"]) == ["paper", LIGHTWEIGHT] * 2
    paper, ours, _, true_l = data.to_dict("records")
    errors = np.array([0.0060 * (1 + 0.01 * seed) for seed in SEEDS])
    assert paper[OVER_LOOK_UP] == pytest.approx(np.mean(10 * np.log10(0.0065 / errors)))
    assert paper[OVER_PAPER] == 0
    assert ours[OVER_PAPER] == pytest.approx(10 * np.log10(6 / 5))
    assert true_l[OVER_PAPER] == pytest.approx(10 * np.log10(6 / 5))  # over the same output of the paper's network
    assert true_l[OVER_LOOK_UP] == pytest.approx(10 * np.log10(0.0065 / 0.0025))
    assert ours["parameters"] <= paper["parameters"]
    assert ours["multiply-adds per pixel"] <= paper["multiply-adds per pixel"] / 10


def verdicts(sentence: str) -> list[str]:
    return [verdict for verdict in VERDICTS if verdict in sentence]


@pytest.mark.parametrize(
    ("error", "verdict"), [(0.0050, "beats"), (0.0070, "behind"), (0.0060, "is not shown to differ")]
)
def test_the_interval_decides(tmp_path: Path, error: float, verdict: str):
    sentences = outlook.comparisons(compared(tmp_path, error))
    assert ["true L" in sentence for sentence in sentences] == [False, True]
    for sentence in sentences:
        assert verdicts(sentence) == [verdict]
        assert LIGHTWEIGHT in sentence
        assert "7%" in sentence, "of the paper's multiply-adds"


def test_an_interval_that_includes_zero_shows_no_difference(tmp_path: Path):
    data = compared(tmp_path, 0.0050)
    assert (data[f"{OVER_PAPER} low"][1:2] > 0).all()
    data[f"{OVER_PAPER} low"] = -0.03
    raw, _ = outlook.comparisons(data)
    assert verdicts(raw) == ["is not shown to differ"]
    assert "[-0.03, 0.79]" in raw


def test_fewer_than_three_seeds_decide_nothing(tmp_path: Path):
    for sentence in outlook.comparisons(compared(tmp_path, 0.0050, seeds=(0, 1))):
        assert "2 seeds" in sentence
        assert verdicts(sentence) == []


def test_the_profile_trains_the_best_point_of_the_sweep():
    cpu, trained = load_profile("cpu"), load_profile(LIGHTWEIGHT).config
    rows = read_summary(cpu.sweep(LIGHTWEIGHT) / "summary.csv")
    best = over_seeds(rows[rows["method"] == NETWORK]).sort_values("MSE").iloc[0]["point"]
    (chosen,) = [
        point.config for point in load_sweep(sweep_file(LIGHTWEIGHT), cpu, seeds=(0,)).points if point.name == best
    ]
    budget = {name: getattr(load_profile("paper").config, name) for name in ("epochs", "crops_per_epoch")}
    assert trained == replace(chosen, **budget)


def test_profiles_without_a_common_seed_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"\bpaper\b.*\blightweight\b.*\bseed\b"):
        compared(tmp_path, 0.0050, seeds=(7,))


def test_the_state_of_the_comparison_is_written(tmp_path: Path):
    cpu = load_profile("cpu", root=tmp_path)
    (path,) = files(cpu, "lightweight")
    # Nothing was trained
    (missing,), table = outlook.write_lightweight(Results(cpu))
    assert "make sweep SWEEP=lightweight PROFILE=cpu" in missing
    assert table is None
    # The sweep has results
    rows = [summary_row(point, 0, method, psnr) for point, psnr in (("unet", 21.0), ("lab", 21.5), ("wide", 21.2))
            for method in ("network", "network, true L")]  # fmt: skip
    write_text(cpu.sweep(LIGHTWEIGHT) / "summary.csv", csv_text(rows))
    (best, missing), table = outlook.write_lightweight(Results(cpu))
    assert re.search(r"\blab 21\.50 dB.*\bwide 21\.20 dB.*\bunet 21\.00 dB", best)
    assert all(fact in best for fact in ("100 validation", "bsds500", "3,000 updates", "1 seed"))
    assert LIGHTWEIGHT in missing
    assert table is None
    assert path.read_text(encoding="utf-8") == f"{best}\n\n{missing}\n"
    # Both profiles were trained and scored
    data = compared(tmp_path, 0.0050)
    sentences, table = outlook.write_lightweight(Results(cpu))
    assert sentences == [best, *outlook.comparisons(data)]
    assert [verdicts(sentence) for sentence in sentences[1:]] == [["beats"]] * 2
    assert table is not None
    assert len(table.cells()) == 4
    text = path.read_text(encoding="utf-8")
    assert all(sentence in text for sentence in sentences)
    assert text.count("\n| lightweight") == 2
    assert re.search(
        r"\bpaper\b.*An Invented Processor, 2 threads.*\blightweight\b.*An Invented Processor, 2 threads", table.caption
    )
    assert text.rpartition("|\n")[2].strip() == table.caption


# The schedule, and the small colorizer's sweep


def with_contest(root: Path, *, psnr: float, images: int = 3) -> Profile:
    """Write a sweep `contest` whose point `cosine` is 0.2 dB above the point that changes nothing."""
    profile = load_profile("paper", root=root)
    rows = [
        summary_row(point, seed, NETWORK, psnr + gain + 0.01 * seed) | {"scored": "test", "images": images}
        for point, gain in (("paper", 0.0), ("cosine", 0.2))
        for seed in SEEDS
    ]
    write_text(profile.sweep(outlook.CONTEST) / "summary.csv", csv_text(rows))
    return profile


def test_the_schedule_is_worth_its_gain_and_the_network_the_rest(tmp_path: Path):
    own = write_profile(LIGHTWEIGHT, tmp_path, 0.0100)
    gained = outlook.gains_of_schedule(Results(own), with_contest(tmp_path, psnr=19.9))
    assert gained["cosine"].value == pytest.approx(0.2)
    levels = [-10 * np.log10(0.0100 * (1 + 0.01 * seed)) - (20.1 + 0.01 * seed) for seed in SEEDS]
    assert gained[LIGHTWEIGHT].value == pytest.approx(np.mean(levels))
    assert gained[LIGHTWEIGHT].low < np.mean(levels) < gained[LIGHTWEIGHT].high
    assert "+0.20" in outlook.schedule_sentence(gained)
    assert f"{np.mean(levels):+.2f} [" in outlook.schedule_sentence(gained)


def test_a_schedule_scored_on_other_photographs_is_refused(tmp_path: Path):
    own = write_profile(LIGHTWEIGHT, tmp_path, 0.0100)
    with pytest.raises(ValueError, match="contest of paper was not scored on the photographs of lightweight"):
        outlook.gains_of_schedule(Results(own), with_contest(tmp_path, psnr=19.9, images=2))


@pytest.mark.parametrize("name", ["cpu", "paper"])
def test_points_are_shown_at_home_and_away(name: str):
    profile = load_profile(name)
    table = outlook.sweep_home_and_away(profile)
    assert table is not None
    rows = read_summary(profile.sweep(outlook.BALANCE) / "summary.csv")
    true_l = rows[rows["method"] == "network, true L"].groupby("point", sort=False)["PSNR of MSE"].mean()
    home = table.data.set_index("point")["PSNR of MSE at home"]
    assert home.to_dict() == pytest.approx(true_l.to_dict())
    assert (table.data["PSNR of MSE away"] < home.to_numpy()).all()


def test_without_points_there_is_no_table(tmp_path: Path):
    assert outlook.sweep_home_and_away(load_profile("cpu", root=tmp_path)) is None
