"""Every verdict on data follows its committed numbers: one changed number turns it."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from helpers.committed import copy_paper, edit

from colorlib.companion.artifacts.published import ZHANG
from colorlib.companion.claims.claims import corrected, judge, measure, read_claims
from colorlib.companion.claims.from_scores import EVERYTHING
from colorlib.companion.results import Results
from colorlib.companion.steps import elsewhere_files
from colorlib.companion.tables import read_rows
from colorlib.profiles import PROJECT, load_profile

CLAIMS = {claim.id: claim for claim in read_claims()}
REPRODUCED, WITHIN, UNDECIDED, DIFFERS = "reproduced", "within tolerance", "undecided", "differs (on our data)"
HOME, AWAY = "paper/per_image.csv", "paper/peers/per_image.csv"
ELSEWHERE = " ".join(
    path.relative_to(PROJECT / "results").as_posix() for path in elsewhere_files(load_profile("paper"))[1]
)
PIXELS = "paper/pixels.csv"
OUTLOOK = "outlook"
Change = Callable[[Path], None]


def times(files: str, column: str, factor: float, method: str = "network") -> Change:
    """Multiply a column by a factor in the rows of a method, in each of some files below results/."""

    def change(results: Path) -> None:
        for file in files.split():
            edit(results / file, lambda row: {column: float(row[column]) * factor} if row["method"] == method else {})

    return change


def put(files: str, column: str, value: float, method: str = "network") -> Change:
    """Set a column to a value in the rows of a method."""

    def change(results: Path) -> None:
        for file in files.split():
            edit(results / file, lambda row: {column: value} if row["method"] == method else {})

    return change


def epochs(column: str, number: Callable[[float], float], first: int = 1, last: int = 100) -> Change:
    """Change a column of all seeds' histories between two epochs."""

    def change(results: Path) -> None:
        for seed in (0, 1, 2):
            edit(
                results / "paper" / f"seed-{seed}" / "history.csv",
                lambda row: {column: number(float(row[column]))} if first <= int(row["epoch"]) <= last else {},
            )

    return change


def point(
    name: str, column: str, shift: float, method: str = "network", sweep: str = OUTLOOK, profile: str = "cpu"
) -> Change:
    """Shift a column of a point of a sweep."""

    def change(results: Path) -> None:
        edit(
            results / profile / "sweeps" / sweep / "summary.csv",
            lambda row: {column: float(row[column]) + shift} if (row["point"], row["method"]) == (name, method) else {},
        )

    return change


def on_features(column: str, shift: float) -> Change:
    """Shift a column of the loss on ImageNet's features."""
    return point("perceptual-lite0", column, shift, sweep="perceptual")


def absolute_error(shift: float) -> Change:
    """Shift the PSNR of training on L1 with the updates of the profile."""
    return point("l1", "PSNR of MSE", shift, sweep="contest", profile="paper")


def unaugmented(photos: str, shift: float) -> Change:
    """Shift the error of training without flips and turns."""
    return point(f"none, photos={photos}", "MSE", shift, sweep="augmentation")


def trend(per_epoch: float) -> Change:
    """Let the training loss of all seeds fall by a share per epoch from epoch 41 on."""

    def change(results: Path) -> None:
        for seed in (0, 1, 2):
            edit(
                results / "paper" / f"seed-{seed}" / "history.csv",
                lambda row: {
                    "training_loss": float(row["training_loss"]) * (1 - per_epoch * max(0, int(row["epoch"]) - 40))
                },
            )

    return change


def noise_of_lab(factor: float) -> Change:
    """Multiply the noise of the last validation losses of the point `lab`."""

    def change(results: Path) -> None:
        for record in (results / "cpu" / "sweeps" / "outlook").glob("*/point.json"):
            if json.loads(record.read_text())["point"] == "lab":
                amplify(record.with_name("history.csv"))

    def amplify(history: Path) -> None:
        with history.open() as file:
            mean = fmean([float(row["validation_loss"]) for row in csv.DictReader(file)][-10:])
        edit(history, lambda row: {"validation_loss": mean + factor * (float(row["validation_loss"]) - mean)})

    return change


def trained_on_all(change: Callable[[float, int], float]) -> Change:
    """Change the PSNR of the networks that were trained on all sources, a function of the value and the seed."""

    def changed(results: Path) -> None:
        for record in (results / "cpu" / "sweeps" / "train_test").glob("*/point.json"):
            content = json.loads(record.read_text())
            if content["point"] == EVERYTHING:
                for path in record.parent.glob("metrics*-test.json"):
                    metrics = json.loads(path.read_text())
                    psnr = metrics["methods"]["network"]["psnr_of_mse"]
                    psnr["value"] = change(psnr["value"], content["seed"])
                    path.write_text(json.dumps(metrics))

    return changed


def pixel(measure: str, number: Callable[[float], float], method: str = "network") -> Change:
    """Change a measure of the pixels of all photographs."""

    def change(results: Path) -> None:
        edit(
            results / PIXELS,
            lambda row: (
                {"value": number(float(row["value"]))}
                if row["measure"].startswith(measure) and row["method"] == method
                else {}
            ),
        )

    return change


def novelty(sign: int) -> Change:
    """Let the novelty of each photograph be the network's error on it, or its negative."""

    def change(results: Path) -> None:
        errors = {row.image: row.delta_e00 for seed, row in read_rows(results / HOME) if seed == 0}
        edit(
            results / PIXELS,
            lambda row: {"value": sign * errors[row["photograph"]]} if row["measure"] == "novelty" else {},
        )

    return change


def verdict(root: Path, name: str) -> dict[str, Any]:
    """Judge one claim, its family with it."""
    claims = [claim for claim in CLAIMS.values() if claim.id == name or claim.family]
    claims = claims if CLAIMS[name].family else [CLAIMS[name]]
    results = Results(replace(load_profile("paper"), root=root))
    entries = zip(claims, corrected(claims, [measure(claim, results) for claim in claims]), strict=True)
    (entry,) = [judge(claim, measured) for claim, measured in entries if claim.id == name]
    return entry


def check(root: Path, name: str, changes: list[Change], expected: str) -> None:
    copy_paper(root)
    for change in changes:
        change(root / "results")
    assert verdict(root, name)["verdict"] == expected


FLAT = 0.0075
"""A loss that all seeds may have."""


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("training-loss", [], DIFFERS),
        ("training-loss", [epochs("training_loss", lambda loss: 0.62 * loss, 40, 40)], UNDECIDED),
        ("training-loss", [epochs("training_loss", lambda loss: 0.58 * loss, 40, 40)], WITHIN),
        ("training-loss", [epochs("training_loss", lambda _: 0.0044, 40, 40)], REPRODUCED),
        ("rapid-then-gradual", [], REPRODUCED),
        ("rapid-then-gradual", [epochs("training_loss", lambda loss: 1.6 * loss, 10, 10)], UNDECIDED),
        ("rapid-then-gradual", [epochs("training_loss", lambda loss: 3 * loss, 10, 10)], DIFFERS),
        ("converged-at-40", [], WITHIN),
        ("converged-at-40", [epochs("validation_loss", lambda loss: 1.1 * loss, 91)], REPRODUCED),
        ("converged-at-40", [epochs("validation_loss", lambda loss: 0.98 * loss, 91)], UNDECIDED),
        ("converged-at-40", [epochs("validation_loss", lambda loss: 0.9 * loss, 91)], DIFFERS),
        ("stable-loss", [], REPRODUCED),
        ("stable-loss", [trend(0.0013)], UNDECIDED),
        ("stable-loss", [trend(0.01)], DIFFERS),
        ("outlook-lab-stable", [], REPRODUCED),
        ("outlook-lab-stable", [noise_of_lab(3.2)], UNDECIDED),
        ("outlook-lab-stable", [noise_of_lab(10)], DIFFERS),
        ("loss-balance", [], DIFFERS),
        ("loss-balance", [on_features("PSNR of MSE", -0.3)], UNDECIDED),
        ("loss-balance", [point("adversarial", "PSNR of MSE", -1), on_features("PSNR of MSE", -2)], REPRODUCED),
        ("loss-balance", [point("adversarial", "PSNR of MSE", 2)], DIFFERS),
        ("outlook-perceptual", [], DIFFERS),
        ("outlook-perceptual", [on_features("colorfulness", 3.5)], UNDECIDED),
        ("outlook-perceptual", [on_features("colorfulness", 10)], REPRODUCED),
        ("augmentation", [], REPRODUCED),
        ("augmentation", [unaugmented("bsds500~0.1", -0.0012)], UNDECIDED),
        ("augmentation", [unaugmented("bsds500~0.1", -0.005)], DIFFERS),
        ("augmentation-all", [], UNDECIDED),
        ("augmentation-all", [unaugmented("bsds500", 0.005)], REPRODUCED),
        ("augmentation-all", [unaugmented("bsds500", -0.005)], DIFFERS),
        ("loss-simple", [], UNDECIDED),
        ("loss-simple", [absolute_error(1)], DIFFERS),
        ("loss-simple", [absolute_error(-1)], REPRODUCED),
        ("outlook-skip", [], UNDECIDED),
        ("outlook-skip", [point("skip", "SSIM", 0.05, "network, true L")], REPRODUCED),
        ("outlook-skip", [point("skip", "SSIM", 0.05)], UNDECIDED),
        ("outlook-skip", [point("skip", "SSIM", -0.05, "network, true L")], DIFFERS),
        ("outlook-adversarial", [], UNDECIDED),
        ("outlook-adversarial", [point("adversarial", "colorfulness", 50)], REPRODUCED),
        ("outlook-adversarial", [point("adversarial", "colorfulness", -50)], DIFFERS),
        ("outlook-data", [], REPRODUCED),
        ("outlook-data", [trained_on_all(lambda psnr, seed: psnr - 0.5 * seed)], UNDECIDED),
        ("outlook-data", [trained_on_all(lambda psnr, _: psnr - 2)], DIFFERS),
        ("outlook-lab-better", [], UNDECIDED),
        ("outlook-lab-better", [point("lab", "PSNR of MSE", 2)], REPRODUCED),
        ("outlook-lab-better", [point("lab", "PSNR of MSE", -2)], DIFFERS),
    ],
)
def test_losses_and_sweeps(tmp_path: Path, name: str, changes: list[Change], expected: str):
    check(tmp_path, name, changes, expected)


OTHERS = ("psnr", 60), ("ssim", 1), ("delta_e00", 0)
BETTER = [
    times(f"{HOME} {AWAY} {ELSEWHERE}", "mse", 0.3),
    *(put(f"{HOME} {AWAY} {ELSEWHERE}", column, value) for column, value in OTHERS),
]
"""Changes that make the network better than anything, at home and away."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("test-mse", [], DIFFERS),
        ("test-mse", [times(HOME, "mse", 0.6)], UNDECIDED),
        ("test-mse", [put(HOME, "mse", 0.0046)], WITHIN),
        ("test-mse", [put(HOME, "mse", 0.0044)], REPRODUCED),
        ("test-psnr", [], DIFFERS),
        ("test-psnr", [times(HOME, "mse", 0.6)], UNDECIDED),
        ("test-psnr", [put(HOME, "mse", 10**-2.356)], REPRODUCED),
        ("training-and-test-equal", [], UNDECIDED),
        ("training-and-test-equal", [times(HOME, "mse", 1.5)], DIFFERS),
        (
            "training-and-test-equal",
            [put(HOME, "mse", FLAT), epochs("training_loss", lambda _: FLAT, 40, 40)],
            REPRODUCED,
        ),
        ("better-than-trivial", [], DIFFERS),
        ("better-than-trivial", BETTER, REPRODUCED),
        ("better-than-trivial", [*BETTER, put(HOME, "ssim", 0.5)], DIFFERS),
        ("better-than-trivial", [*BETTER, times(AWAY, "mse", 3)], UNDECIDED),
        ("competitive", [], DIFFERS),
        ("competitive", BETTER, REPRODUCED),
        ("competitive", [*BETTER, put(AWAY, "delta_e00", 50)], DIFFERS),
        ("competitive", [*BETTER, times(AWAY, "mse", 3)], UNDECIDED),
        ("competitive", [*BETTER, put(ELSEWHERE, "psnr", 5)], DIFFERS),
        ("behind-larger-networks", [], REPRODUCED),
        ("behind-larger-networks", [times(AWAY, "mse", 1.55, ZHANG)], UNDECIDED),
        ("behind-larger-networks", [times(AWAY, "mse", 4, ZHANG)], DIFFERS),
        ("quality-kept", [], DIFFERS),
        ("quality-kept", [times(AWAY, "mse", 1.55, ZHANG)], UNDECIDED),
        ("quality-kept", [times(AWAY, "mse", 4, ZHANG)], REPRODUCED),
        ("balance", [], DIFFERS),
        ("balance", BETTER, REPRODUCED),
        ("balance", [*BETTER, times(HOME, "mse", 3.2)], UNDECIDED),
        ("common-limitations", [], UNDECIDED),
        ("common-limitations", [times(AWAY, "colorfulness", 0.5, "Zhang, rebalanced")], REPRODUCED),
        (
            "common-limitations",
            [put(AWAY, "colorfulness", 80, method) for method in ("Dahl", ZHANG, "Zhang, rebalanced")],
            DIFFERS,
        ),
        ("outlook-domains", [], UNDECIDED),
        (
            "outlook-domains",
            [times("cpu-imagenet-sample@256/per_image.csv paper-cifar10/per_image.csv", "mse", 0.5)],
            REPRODUCED,
        ),
        ("outlook-domains", [times("paper-cifar10/per_image.csv", "mse", 4)], DIFFERS),
        ("color-fidelity", [], REPRODUCED),
        ("color-fidelity", [pixel("ab histogram overlap", lambda value: value - 0.12)], UNDECIDED),
        ("color-fidelity", [pixel("ab histogram overlap", lambda value: value - 0.3)], DIFFERS),
        ("varied-images", [], DIFFERS),
        ("varied-images", [times(HOME, "psnr", 1.06)], UNDECIDED),
        ("varied-images", [put(HOME, "psnr", 60)], REPRODUCED),
        ("desaturated", [], UNDECIDED),
        ("desaturated", [pixel("chroma where ambiguous", lambda value: 1.5 * value)], DIFFERS),
        ("desaturated", [pixel("chroma where ambiguous", lambda value: 0.5 * value)], REPRODUCED),
        ("lost-detail", [], REPRODUCED),
        ("lost-detail", [pixel("ab covariance", lambda value: 2.8 * value)], UNDECIDED),
        ("lost-detail", [pixel("ab covariance", lambda value: 8 * value)], DIFFERS),
        ("faces", [], REPRODUCED),
        ("faces", [pixel("PSNR in faces", lambda value: value - 1.2)], UNDECIDED),
        ("faces", [pixel("PSNR in faces", lambda value: value - 5)], DIFFERS),
        ("skin-tones", [], DIFFERS),
        ("skin-tones", [pixel("a of skin", lambda value: value + 2.9)], UNDECIDED),
        ("skin-tones", [pixel("a of skin", lambda value: value + 10)], REPRODUCED),
        ("unusual-objects", [], UNDECIDED),
        ("unusual-objects", [novelty(1)], REPRODUCED),
        ("unusual-objects", [novelty(-1)], DIFFERS),
    ],
)
def test_scores(tmp_path: Path, name: str, changes: list[Change], expected: str):
    check(tmp_path, name, changes, expected)


def test_every_measured_claim_on_data_is_turned():
    parameters = [mark for test in (test_losses_and_sweeps, test_scores) for mark in test.pytestmark]
    cases = [case for mark in parameters if mark.name == "parametrize" for case in mark.args[1]]
    turned: dict[str, set[str]] = {}
    for name, _, expected in cases:
        turned.setdefault(name, set()).add(expected)
    exact = {"resume", "semantics"}  # counts: no interval, and what they count is code
    measured = {claim.id for claim in CLAIMS.values() if claim.measurement and claim.basis == "data"}
    assert turned.keys() == measured - exact
    assert all(expected >= {REPRODUCED, UNDECIDED, DIFFERS} for expected in turned.values()), turned
