"""Table I from known errors."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.results import BASELINES, scores, write_history, write_per_image

from colorlib.companion.artifacts.table1 import as_table, table1, write_scores
from colorlib.companion.results import Results
from colorlib.companion.tables import read_rows
from colorlib.photos import open_photos
from colorlib.profiles import Profile

WEIGHTS = np.array([0.5, 1.0, 1.5])


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """Two seeds' finished runs and scored baselines."""
    profile = Profile(name="made", settings={"photos": "bundled"}, seeds=(0, 1), root=tmp_path)
    networks = {
        seed: {"network": list(error * WEIGHTS), "network, true L": list(0.9 * error * WEIGHTS)}
        for seed, error in ((0, 0.006), (1, 0.007))
    }
    write_per_image(profile, {method: [error] * 3 for method, error in BASELINES.items()}, networks)
    for seed in profile.seeds:
        write_history(profile.run(seed), 2, 0.007)
    return profile


def test_images_are_pooled_and_seeds_spread(profile: Profile):
    table = table1(Results(profile)).data.set_index("method")
    paper, *ours = table.index
    assert paper.startswith("paper")
    assert ours == ["gray", "mean chroma", "look-up table", "network", "network, true L"]
    network = table.loc["network"]
    assert network["MSE"] == pytest.approx(0.0065)
    assert network["MSE sd"] == pytest.approx(np.std([0.006, 0.007], ddof=1))
    psnr = [-10 * np.log10(error) for error in (0.006, 0.007)]
    assert network["PSNR of MSE"] == pytest.approx(np.mean(psnr))
    assert network["gain over gray"] == pytest.approx(np.mean(psnr) + 10 * np.log10(0.0098))
    assert network["MSE low"] < network["MSE"] < network["MSE high"]
    assert network["updates"] == 50
    assert table.loc["gray", "gain over gray"] == 0
    assert pd.isna(table.loc["gray", "MSE sd"])
    assert table.loc[paper, "PSNR of MSE"] == 23.56


def test_the_table_follows_the_scores(profile: Profile):
    before = table1(Results(profile)).markdown()
    path = profile.run(1) / "per_image.csv"
    path.write_text(path.read_text().replace("0.0105", "0.0305"))
    write_scores(Results(profile), rescore=False)
    after = table1(Results(profile)).markdown()
    changed = {line.split("|")[1].strip() for line in set(after.splitlines()) - set(before.splitlines()) if "|" in line}
    assert changed == {"network"}
    assert (profile.results / "table1.md").read_text() == after


def test_scores_of_baselines_are_kept_and_those_of_runs_are_read_again(profile: Profile):
    path = profile.results / "per_image.csv"
    before = read_rows(path)
    write_scores(Results(profile), rescore=False)
    assert read_rows(path) == before
    one = replace(profile, seeds=(1,))
    write_scores(Results(one), rescore=False)
    assert read_rows(path) == [row for row in before if row[0] in (None, 1)]


def test_baselines_are_scored_on_request(profile: Profile):
    write_scores(Results(profile), rescore=True)
    rows = [row for seed, row in read_rows(profile.results / "per_image.csv") if seed is None]
    assert list(dict.fromkeys(row.method for row in rows)) == list(BASELINES)
    assert not set(scores("gray", [BASELINES["gray"]] * 3)) & set(rows)
    assert [row.image for row in rows if row.method == "gray"] == [
        photo.name for photo in open_photos("bundled", "test")
    ]


def test_the_table_names_photographs_and_seeds(profile: Profile):
    table = table1(Results(profile))
    assert table.label == "Table I"
    assert re.search(r"\b3 test\b.*\bbundled\b.*\b50 updates\b.*\b2 seeds\b", table.caption)
    assert len(table.cells()) == 6
    assert table.heads == [
        "method", "MSE", "PSNR of MSE", "mean PSNR", "SSIM", "ΔE00", "colorfulness", "gain over gray",
    ]  # fmt: skip


def test_the_csv_file_gives_the_same_table(profile: Profile):
    table = table1(Results(profile))
    assert as_table(pd.read_csv(profile.results / "table1.csv"), profile).markdown() == table.markdown()


def test_scores_of_other_images_are_refused(profile: Profile):
    path = profile.run(0) / "per_image.csv"
    path.write_text(path.read_text().replace("\n0.png,", "\nother.png,"))
    write_scores(Results(profile), rescore=False)
    with pytest.raises(ValueError, match=r"'network'.*'gray'"):
        table1(Results(profile))
