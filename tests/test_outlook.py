"""The outlook: what is claimed on how many seeds, and that any part of a sweep can be shown."""

import dataclasses
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest

from colorlib.companion import contest, outlook, paired
from colorlib.companion.claims import Verdict, decide, read_claims
from colorlib.companion.evidence import Evidence, Finding, NotMeasuredError
from colorlib.companion.findings import FINDINGS
from colorlib.companion.notebooks import Execution, execute
from colorlib.companion.plan import NOTEBOOKS
from colorlib.files import write_text
from colorlib.images import decode_file
from colorlib.profiles import Profile, load_profile
from colorlib.runs import csv_text

NOISE = (0.00, 0.04, -0.05)
"""Seed by seed, what every point shares: paired differences do not see it."""
GAINS = {"lab": (0.50, 0.52, 0.51), "skip": (0.10, -0.12, 0.03), "l1": (-0.30, -0.31, -0.28)}
"""Point -> gain in PSNR of each seed."""


def row(point: str, seed: int, method: str, psnr: float) -> dict[str, Any]:
    figures = {"MSE": 10 ** (-psnr / 10), "PSNR of MSE": psnr, "mean PSNR": psnr + 1.5, "SSIM": 0.9, "ΔE00": 30 - psnr}
    figures["colorfulness"] = 20.0 + seed
    bounds = {f"{name} {end}": value for name, value in figures.items() for end in ("low", "high")}
    return {
        "point": point, "changes": "nothing" if point == "paper" else f"change={point}", "seed": seed,
        "photographs": "bsds500", "updates": 3000, "training loss": 0.01, "validation loss": 0.02, "scored": "val",
        "images": 100, "method": method, **figures, **bounds, "parameters": 740_227,
        "multiply-adds per pixel": 739_584.0, "receptive field": 13, "seconds": 120.0, "hardware": "a processor",
        "source": "0" * 12,
    }  # fmt: skip


def rows(seeds: int, points: tuple[str, ...] = ("paper", *GAINS)) -> list[dict[str, Any]]:
    return [
        row(point, seed, method, 20.0 + NOISE[seed] + raise_ + (GAINS[point][seed] if point in GAINS else 0.0))
        for seed in range(seeds)
        for point in points
        for method, raise_ in (("network", 0.0), ("network, true L", 0.8))
    ]


def profile_with(folder: Path, found: list[dict[str, Any]]) -> Profile:
    profile = dataclasses.replace(load_profile("cpu"), root=folder)
    write_text(profile.results / "sweeps" / "outlook" / "summary.csv", csv_text(found))
    return profile


def table_of(found: list[dict[str, Any]]) -> pd.DataFrame:
    return paired.compare_points(pd.DataFrame(found), "paper")


def test_differences_are_taken_seed_by_seed():
    changed = paired.differences(pd.DataFrame(rows(3)), "paper")
    assert set(changed["point"]) == set(GAINS)
    for point, gains in GAINS.items():
        for method in ("network", "network, true L"):
            own = changed[(changed["point"] == point) & (changed["method"] == method)]
            assert list(own["PSNR of MSE"]) == pytest.approx(gains)
            assert list(own["ΔE00"]) == pytest.approx([-gain for gain in gains])
            assert list(own["colorfulness"]) == pytest.approx([0.0] * 3)


def test_the_interval_is_students():
    from scipy import stats

    table = table_of(rows(3)).set_index(["point", "method"])
    lab = table.loc[("lab", "network")]
    low, high = stats.t.interval(0.95, 2, loc=np.mean(GAINS["lab"]), scale=stats.sem(GAINS["lab"]))
    assert lab["change in PSNR of MSE"] == pytest.approx(0.51)
    assert lab["change in PSNR of MSE sd"] == pytest.approx(0.01)
    assert (lab["change in PSNR of MSE low"], lab["change in PSNR of MSE high"]) == pytest.approx((low, high), abs=1e-4)


def test_three_seeds_decide_and_fewer_claim_nothing():
    better, none, worse = outlook.answer(table_of(rows(3)))
    assert better.startswith("lab (change=lab): as printed +0.51 ± 0.01 [+0.49, +0.53] dB")
    assert better.endswith("3 seeds: better as printed, better with the true L.")
    assert none.endswith("3 seeds: no difference shown as printed, no difference shown with the true L.")
    assert worse.endswith("3 seeds: worse as printed, worse with the true L.")
    for seeds, said in ((2, "2 seeds: no difference is claimed on fewer than 3."), (1, "1 seed: no difference is")):
        sentences = outlook.answer(table_of(rows(seeds)))
        assert len(sentences) == 3
        assert all(said in sentence for sentence in sentences)
        assert not any(word in " ".join(sentences) for word in ("better", "worse", "["))


def test_only_seeds_that_both_have_count():
    found = rows(3)
    found = [row for row in found if not (row["point"] == "paper" and row["seed"] == 2)]
    table = table_of(found)
    assert set(table[table["point"] == "lab"]["paired seeds"]) == {2}
    assert set(table[table["point"] == "lab"]["seeds"]) == {3}
    assert "2 seeds: no difference is claimed" in outlook.answer(table)[0]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (rows(1, ("paper",)), "Beside paper no point is finished."),
        (rows(1, ("lab",)), "The point 'paper', against which the others are held, is not finished"),
        (rows(1), "1 seed: no difference is claimed"),
        ([r for r in rows(2) if (r["point"] == "paper") == (r["seed"] == 0)], "no seed in common with paper"),
    ],
    ids=["the reference alone", "no reference", "one seed", "no common seed"],
)
def test_any_part_of_the_sweep_can_be_shown_and_gives_the_same_bytes_twice(tmp_path, found, said):
    profile = profile_with(tmp_path, found)
    table, picture = outlook.exhibit(profile)
    assert any(said in sentence for sentence in outlook.answer(table))
    assert said in picture.alt
    first = [path.read_bytes() for path in outlook.left_by(profile)]
    outlook.exhibit(profile)
    assert [path.read_bytes() for path in outlook.left_by(profile)] == first
    assert decode_file(picture.path).shape[1] > 900
    assert outlook.html_table(table, profile).count('<th scope="row">') == len(table)
    text = outlook.left_by(profile)[1].read_text(encoding="utf-8")
    assert "100 validation photographs of bsds500" in text
    assert "3,000 updates" in text


def test_the_table_holds_changes_with_spread(tmp_path):
    shown = outlook.shown(table_of(rows(3))).set_index(["point", "method"])
    assert shown.loc[("paper", "network"), "change"] == "–"
    assert shown.loc[("lab", "network"), "change"] == "+0.51 ± 0.01 [+0.49, +0.53]"
    assert shown.loc[("l1", "network, true L"), "change"].startswith("-0.30 ± 0.02 [-0.33")
    assert shown.loc[("paper", "network"), "PSNR of MSE"] == "20.00 ± 0.05"


def test_a_sweep_without_points_is_named_with_the_mend(tmp_path):
    profile = dataclasses.replace(load_profile("cpu"), root=tmp_path)
    with pytest.raises(ValueError, match="run `make sweep SWEEP=outlook PROFILE=cpu`"):
        outlook.exhibit(profile)
    assert "crop_size: not run yet" in outlook.other_html(profile, "crop_size")


def test_another_sweep_is_shown_as_it_stands(tmp_path):
    profile = dataclasses.replace(load_profile("cpu"), root=tmp_path)
    path = profile.results / "sweeps" / "crop_size" / "summary.csv"
    write_text(path, csv_text(rows(2)))
    assert outlook.other_html(profile, "crop_size").count('<th scope="row">') == 8


def test_another_sweep_is_held_against_a_point_of_its_own(tmp_path):
    profile = dataclasses.replace(load_profile("cpu"), root=tmp_path)
    assert "data_scaling: not run yet" in outlook.against_html(profile, "data_scaling", "all")
    found = [held | {"point": {"paper": "all"}.get(held["point"], held["point"])} for held in rows(3)]
    write_text(profile.sweep("data_scaling") / "summary.csv", csv_text(found))
    page = outlook.against_html(profile, "data_scaling", "all")
    assert page.count('<th scope="row">') == 8
    assert "each point changes one thing of the point all" in page
    assert "<p>lab (change=lab): as printed +0.51 ± 0.01 [+0.49, +0.53] dB" in page


def test_what_is_open_is_named(tmp_path):
    profile = profile_with(tmp_path, rows(1, ("paper", "lab")))
    missing = outlook.still_open(profile)
    assert "unet, seed 0" in missing
    assert not {"paper, seed 0", "lab, seed 0"} & set(missing)
    assert not any("seed 1" in label for label in missing)
    found = [each for each in rows(2) if (each["point"], each["seed"]) != ("lab", 1)]
    assert "lab, seed 1" in outlook.still_open(profile_with(tmp_path, found))


@pytest.mark.slow
def test_the_notebook_shows_whatever_is_finished(tmp_path):
    profile = profile_with(tmp_path, rows(1, ("paper", "lab")))
    # The notebook reads the checkout's results: here it is told of others'.
    source = tmp_path / "07_outlook.ipynb"
    nb = nbformat.read(NOTEBOOKS / "07_outlook.ipynb", as_version=4)
    elsewhere = f"chosen = dataclasses.replace(load_profile(profile), root=Path({str(tmp_path)!r}))"
    nb.cells[2].source = "import dataclasses\nfrom pathlib import Path\n" + nb.cells[2].source.replace(
        "chosen = load_profile(profile)", elsewhere
    )
    nbformat.write(nb, source)
    execution = Execution(
        notebook=source,
        output=tmp_path / "out" / "07_outlook.ipynb",
        record=tmp_path / "out" / "record.json",
        parameters={},
        promised=(*outlook.left_by(profile), contest.left_by(profile)),
    )
    execute(execution)
    text = execution.output.read_text(encoding="utf-8")
    assert "1 seed: no difference is claimed on fewer than 3." in text
    assert "open: lab-bins, seed 0; skip, seed 0" in text
    assert "learning_rate: not run yet" in text
    first = execution.output.read_bytes()
    execute(execution)
    assert execution.output.read_bytes() == first


# What the ledger reads


def finding(name: str, folder: Path, found: list[dict[str, Any]]) -> Finding:
    return FINDINGS[name](Evidence(profile_with(folder, found)))


def test_three_seeds_decide_a_claim(tmp_path):
    found = finding("gain_of_lab", tmp_path, rows(3))
    assert found.value == pytest.approx(0.51)
    assert (found.seeds, found.updates, found.photographs) == (3, 3000, "100 validation photographs of bsds500")
    assert found.low == pytest.approx(0.51 - 0.0248, abs=1e-3)
    assert found.text == "+0.51 dB ± 0.01 dB"
    assert "+0.51 dB against RGB as printed, and by +0.51 dB" in found.why
    claim = next(claim for claim in read_claims() if claim.id == "outlook-lab")
    assert decide(claim, found) == Verdict.REPRODUCED
    worse = [each | {"PSNR of MSE": 19.0 + NOISE[each["seed"]]} if each["point"] == "lab" else each for each in rows(3)]
    assert decide(claim, finding("gain_of_lab", tmp_path, worse)) == Verdict.DIFFERS


def test_two_seeds_do_not(tmp_path):
    with pytest.raises(NotMeasuredError, match=r"2 of the 3 seeds .*\(SSIM \+0\.000 so far\).*SEEDS=0,1,2"):
        finding("gain_of_skip_connections", tmp_path, rows(2))


def test_without_a_sweep_the_finding_says_what_makes_it(tmp_path):
    with pytest.raises(NotMeasuredError, match="make sweep SWEEP=more_data PROFILE=cpu makes them"):
        finding("gain_of_more_photographs", tmp_path, rows(3))


def test_more_photographs_are_judged_with_another_network_where_the_papers_was_not_trained_on_them(tmp_path):
    profile = dataclasses.replace(load_profile("cpu"), root=tmp_path)
    found = as_point(as_point(rows(3), "paper", "all"), "l1", "and-imagenet")
    write_text(profile.sweep("data_scaling") / "summary.csv", csv_text(found))
    measured = FINDINGS["gain_of_more_photographs"](Evidence(profile))
    assert (measured.text, measured.seeds) == ("-0.30 dB ± 0.02 dB", 3)
    assert measured.command == "make sweep SWEEP=data_scaling PROFILE=cpu"
    assert measured.why.startswith("Training the U-Net")


def test_random_features_are_told_beside_those_that_could_not_be_had(tmp_path):
    found = [each | {"point": "perceptual-random"} if each["point"] == "skip" else each for each in rows(2)]
    with pytest.raises(
        NotMeasuredError,
        match=r"make sweep SWEEP=perceptual PROFILE=cpu makes them\. With randomly .* \+0\.0 ± 0\.0 \(2 of",
    ):
        finding("gain_of_perceptual_loss", tmp_path, found)
    with pytest.raises(NotMeasuredError, match=r" \+0\.0 ± 0\.0 \(3 seeds\)$"):
        finding("gain_of_perceptual_loss", tmp_path, as_point(rows(3), "skip", "perceptual-random"))


def as_point(found: list[dict[str, Any]], old: str, new: str) -> list[dict[str, Any]]:
    return [each | {"point": new} if each["point"] == old else each for each in found]


def test_the_squared_error_is_held_against_the_best_of_the_others(tmp_path):
    found = as_point(as_point(rows(3), "lab", "adversarial"), "skip", "perceptual-random")
    measured = finding("gain_over_other_losses", tmp_path, found)
    assert measured.value == pytest.approx(-0.51)
    assert measured.low == pytest.approx(-0.51 - 0.0248, abs=1e-3)
    assert measured.high == pytest.approx(-0.51 + 0.0248, abs=1e-3)
    assert measured.text == "-0.51 dB ± 0.01 dB"
    assert "l1 by -0.30 dB, perceptual-random by +0.00 dB, adversarial by +0.51 dB." in measured.why
    with pytest.raises(NotMeasuredError, match="0 of the 3 seeds"):
        finding("gain_over_other_losses", tmp_path, rows(3))


def test_what_augmentation_gains_is_the_error_without_it(tmp_path):
    profile = dataclasses.replace(load_profile("cpu"), root=tmp_path)
    found = as_point(rows(3), "l1", "none")
    write_text(profile.sweep("augmentation") / "summary.csv", csv_text(found))
    measured = FINDINGS["gain_of_augmentation"](Evidence(profile))
    assert measured.value == pytest.approx(0.01 * (10**0.030 - 1), rel=0.05)
    assert "the PSNR by -0.30 dB" in measured.why


def test_a_profile_without_the_sweep_reads_that_of_cpu(tmp_path):
    profile_with(tmp_path, rows(3))
    found = FINDINGS["gain_of_lab"](Evidence(dataclasses.replace(load_profile("paper"), root=tmp_path)))
    assert found.command == "make sweep SWEEP=outlook PROFILE=cpu"
