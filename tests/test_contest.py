"""A network within the paper's budget against the paper's: what is chosen, held against what, and claimed."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_outlook import row
from test_sources import leave_results

from colorlib.companion import compared, contest
from colorlib.companion.contest import LIGHTWEIGHT, OVER_LOOK_UP, OVER_PAPER
from colorlib.companion.sweep_summary import over_seeds, read_summary
from colorlib.companion.sweeps import load_sweep, sweep_file
from colorlib.files import write_json, write_text
from colorlib.profiles import Profile, load_profile
from colorlib.runs import csv_text
from colorlib.scoring import NETWORK

SEEDS = (0, 1, 2)


def profile(name: str, root: Path, error: float, *, seeds: tuple[int, ...] = SEEDS) -> Profile:
    """A profile whose network errs so much on each photograph, and half as much with the true L."""
    held = dataclasses.replace(load_profile("paper", seeds=seeds), root=root)
    if name == LIGHTWEIGHT:
        held = dataclasses.replace(held, name=name, settings=held.settings | {"network": "unet"})
    leave_results(held, error)
    for seed in seeds:
        write_json(held.run(seed) / "run.json", {"hardware": {"processor": "a processor", "threads": 2}})
    return held


def fought(root: Path, error: float, *, seeds: tuple[int, ...] = SEEDS) -> pd.DataFrame:
    return contest.contest(profile(LIGHTWEIGHT, root, error, seeds=seeds), profile("paper", root, 0.0060))


def test_gains_are_those_of_the_pooled_errors(tmp_path):
    table = fought(tmp_path, 0.0050)
    assert list(table["profile"]) == ["paper", LIGHTWEIGHT] * 2
    paper, ours, _, true_l = table.to_dict("records")
    errors = np.array([0.0060 * (1 + 0.01 * seed) for seed in SEEDS])
    assert paper[OVER_LOOK_UP] == pytest.approx(np.mean(10 * np.log10(0.0065 / errors)))
    assert paper[OVER_PAPER] == 0
    assert ours[OVER_PAPER] == pytest.approx(10 * np.log10(6 / 5))
    assert true_l[OVER_PAPER] == pytest.approx(10 * np.log10(6 / 5))  # against the paper's, read the same way
    assert true_l[OVER_LOOK_UP] == pytest.approx(10 * np.log10(0.0065 / 0.0025))
    assert ours["parameters"] <= paper["parameters"]
    assert ours["multiply-adds per pixel"] <= paper["multiply-adds per pixel"] / 10


@pytest.mark.parametrize(("error", "verdict"), [(0.0050, "beats"), (0.0070, "falls behind"), (0.0060, "matches")])
def test_the_interval_decides(tmp_path, error, verdict):
    printed, true_l = contest.answer(fought(tmp_path, error))
    assert printed.startswith(f"lightweight {verdict} the paper's network as printed, at 7% of its multiply-adds: ")
    assert true_l.startswith(f"lightweight {verdict} the paper's network with the true L, ")


def test_an_interval_over_seeds_that_holds_zero_leaves_it_open(tmp_path):
    table = fought(tmp_path, 0.0050)
    assert (table[f"{OVER_PAPER} of seeds low"][1:2] > 0).all()
    table[f"{OVER_PAPER} of seeds low"] = -0.03
    printed, _ = contest.answer(table)
    assert printed.startswith("lightweight matches ")
    assert "dB over photographs, [-0.03, 0.79] over seeds." in printed


def test_fewer_than_three_seeds_decide_nothing(tmp_path):
    for sentence in contest.answer(fought(tmp_path, 0.0050, seeds=(0, 1))):
        assert "is on 2 seeds not yet told apart from" in sentence


def test_the_profile_trains_what_the_sweep_chose():
    cpu, trained = load_profile("cpu"), load_profile(LIGHTWEIGHT).config(0)
    rows = read_summary(cpu.sweep(LIGHTWEIGHT) / "summary.csv")
    best = over_seeds(rows[rows["method"] == NETWORK]).sort_values("MSE").iloc[0]["point"]
    (chosen,) = [
        point.config for point in load_sweep(sweep_file(LIGHTWEIGHT), cpu, seeds=(0,)).points if point.name == best
    ]
    budget = {name: getattr(load_profile("paper").config(0), name) for name in ("epochs", "crops_per_epoch")}
    assert trained == dataclasses.replace(chosen, **budget)


def test_profiles_without_a_common_seed_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no seed in common"):
        fought(tmp_path, 0.0050, seeds=(7,))


def test_what_is_known_so_far_is_shown(tmp_path, monkeypatch):
    cpu = dataclasses.replace(load_profile("cpu"), root=tmp_path)
    assert "not run yet" in contest.exhibit(cpu)
    found = [row(point, 0, method, psnr) for point, psnr in (("unet", 21.0), ("lab", 21.5), ("wide", 21.2))
             for method in ("network", "network, true L")]  # fmt: skip
    write_text(cpu.sweep(LIGHTWEIGHT) / "summary.csv", csv_text(found))
    shown = contest.exhibit(cpu)
    assert "Best on 100 validation photographs of bsds500, after 3,000 updates of 1 seed: lab 21.50 dB" in shown
    assert "then wide 21.20 dB" in shown
    assert "not trained and scored as profile lightweight yet" in shown
    profiles = {"paper": profile("paper", tmp_path, 0.0060), LIGHTWEIGHT: profile(LIGHTWEIGHT, tmp_path, 0.0050)}
    monkeypatch.setattr(compared, "load_profile", profiles.__getitem__)
    shown = contest.exhibit(cpu)
    assert "lightweight beats the paper&#x27;s network as printed" in shown
    assert shown.count('<th scope="row">') == 4
    marked = contest.left_by(cpu).read_text()
    assert "lightweight beats the paper's network as printed" in marked
    assert marked.count("| lightweight, ") == 2
    assert "Trained: paper on a processor, 2 threads and lightweight on a processor, 2 threads." in marked
