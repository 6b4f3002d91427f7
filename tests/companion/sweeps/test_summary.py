"""summary.csv and summary.md of a sweep."""

import re

import numpy as np
import pandas as pd
import pytest
from helpers.sweep_summaries import GAINS, summary_rows
from helpers.sweeps import loaded, sweep_text

from colorlib.companion.sweeps import run as sweep_run
from colorlib.companion.sweeps.run import run_point
from colorlib.companion.sweeps.spec import Sweep
from colorlib.companion.sweeps.summary import compare_points, differences, read_summary, summary_files, write_summary


@pytest.fixture
def summarized(folder, stubbed) -> Sweep:
    points = [{"name": "paper"}, {"name": "fast", "learning_rate": 3e-3}, {"name": "open", "epochs": 9}]
    sweep = loaded(sweep_text(folder, points=points, seeds=[0, 1]), folder)
    for point in sweep.points:
        if point.name != "open":
            run_point(point)
    assert write_summary(sweep.path, sweep.profile) == (4, 6)
    return sweep


def test_the_summary_has_a_row_for_each_point_seed_and_method(summarized):
    table = read_summary(summary_files(summarized.profile, summarized.name)[0])
    assert [tuple(row) for row in table[["point", "seed", "method"]].itertuples(index=False)] == [
        (name, seed, method)
        for seed in (0, 1)
        for name in ("paper", "fast")
        for method in ("network", "network, true L")
    ]
    fast = table[(table["point"] == "fast") & (table["seed"] == 1)].iloc[0]
    assert fast["changes"] == "learning_rate=0.003"
    assert (fast["updates"], fast["training loss"], fast["validation loss"]) == (20, 0.2, 0.3)
    assert (fast["scored"], fast["images"], fast["seconds"]) == ("val", 7, 12.5)
    assert fast["MSE"] == pytest.approx(0.031)
    assert fast["MSE low"] == pytest.approx(0.031 * 0.9)
    assert (fast["parameters"], fast["receptive field"]) == (740_227, 13)
    assert fast["multiply-adds per pixel"] == 739_584
    assert fast["hardware"].startswith("a processor")
    assert re.findall(r"\d+", fast["hardware"]) == ["1"]


def test_the_summary_in_words_holds_spreads_and_names_what_is_open(summarized):
    text = summary_files(summarized.profile, summarized.name)[1].read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 4
    (mse,) = [cell for head, cell in zip(rows[0], rows[1], strict=True) if head == "MSE"]
    assert mse == "0.0105 ± 0.0007"
    caption = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
    assert re.search(r"\b4\b\D+\b6\b", caption)
    assert re.findall(r"\w+, seed \d", caption) == ["open, seed 0", "open, seed 1"]
    assert re.search(r"\b7 validation\b.*\bbundled\b", caption)


def test_the_summary_has_the_same_bytes_each_time_also_without_photographs(summarized, cache, monkeypatch):
    files = summary_files(summarized.profile, summarized.name)
    first = [path.read_bytes() for path in files]
    for path in files:
        path.unlink()
    for point in summarized.points:  # what is not committed
        for name in ("weights.safetensors", "timing.csv", "journal.txt"):
            (point.directory / name).unlink(missing_ok=True)
    monkeypatch.setattr(sweep_run, "open_photos", lambda *arguments: pytest.fail("no photographs are needed"))
    write_summary(summarized.path, summarized.profile)
    assert [path.read_bytes() for path in files] == first


def test_seeds_that_were_trained_besides_stay_in_the_summary(summarized):
    other = loaded(summarized.path, summarized.profile.root, seeds=(7,)).points[0]
    run_point(other)
    assert write_summary(summarized.path, summarized.profile) == (5, 9)
    table = read_summary(summary_files(summarized.profile, summarized.name)[0])
    assert list(dict.fromkeys(table["seed"])) == [0, 1, 7]


def test_a_missing_summary_is_named_with_the_command(folder):
    path = folder / "results" / "smoke" / "sweeps" / "outlook" / "summary.csv"
    with pytest.raises(ValueError, match="make sweep SWEEP=outlook PROFILE=smoke"):
        read_summary(path)


# Comparisons of points


def test_differences_are_taken_seed_by_seed():
    changes = differences(pd.DataFrame(summary_rows(3)), "paper")
    assert set(changes["point"]) == set(GAINS)
    for point, gains in GAINS.items():
        for method in ("network", "network, true L"):
            own = changes[(changes["point"] == point) & (changes["method"] == method)]
            assert list(own["PSNR of MSE"]) == pytest.approx(gains)
            assert list(own["ΔE00"]) == pytest.approx([-gain for gain in gains])
            assert list(own["colorfulness"]) == pytest.approx([0.0] * 3)


def test_the_interval_is_students():
    from scipy import stats

    data = compare_points(pd.DataFrame(summary_rows(3)), "paper").set_index(["point", "method"])
    lab = data.loc[("lab", "network")]
    low, high = stats.t.interval(0.95, 2, loc=np.mean(GAINS["lab"]), scale=stats.sem(GAINS["lab"]))
    assert lab["change in PSNR of MSE"] == pytest.approx(0.51)
    assert lab["change in PSNR of MSE sd"] == pytest.approx(0.01)
    assert (lab["change in PSNR of MSE low"], lab["change in PSNR of MSE high"]) == pytest.approx((low, high), abs=1e-4)
