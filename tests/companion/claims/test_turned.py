"""Every verdict on data follows its committed numbers: one changed number turns it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.committed import copy_paper, edit

from colorlib.companion.artifacts.published import ZHANG
from colorlib.companion.claims.claims import corrected, judge, measure, read_claims
from colorlib.companion.results import Results
from colorlib.companion.steps import elsewhere_files
from colorlib.profiles import PROJECT, load_profile

CLAIMS = {claim.id: claim for claim in read_claims()}
REPRODUCED, WITHIN, UNDECIDED, DIFFERS = "reproduced", "within tolerance", "undecided", "differs (on our data)"
HOME, AWAY = "paper/per_image.csv", "paper/peers/per_image.csv"
ELSEWHERE = " ".join(
    path.relative_to(PROJECT / "results").as_posix() for path in elsewhere_files(load_profile("paper"))[1]
)
OUTLOOK = "cpu/sweeps/outlook/summary.csv"
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


def point(name: str, column: str, shift: float, method: str = "network") -> Change:
    """Shift a column of a point of the sweep `outlook`."""

    def change(results: Path) -> None:
        edit(
            results / OUTLOOK,
            lambda row: {column: float(row[column]) + shift} if (row["point"], row["method"]) == (name, method) else {},
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
        ("loss-balance", [], UNDECIDED),
        ("loss-balance", [point(name, "PSNR of MSE", -1) for name in ("adversarial", "perceptual-random")], REPRODUCED),
        ("loss-balance", [point("adversarial", "PSNR of MSE", 2)], DIFFERS),
        ("loss-simple", [], DIFFERS),
        ("loss-simple", [point("l1", "PSNR of MSE", -0.27)], UNDECIDED),
        ("loss-simple", [point("l1", "PSNR of MSE", -1)], REPRODUCED),
        ("outlook-skip", [], UNDECIDED),
        ("outlook-skip", [point("skip", "SSIM", 0.05, "network, true L")], REPRODUCED),
        ("outlook-skip", [point("skip", "SSIM", 0.05)], UNDECIDED),
        ("outlook-skip", [point("skip", "SSIM", -0.05, "network, true L")], DIFFERS),
        ("outlook-adversarial", [], UNDECIDED),
        ("outlook-adversarial", [point("adversarial", "colorfulness", 50)], REPRODUCED),
        ("outlook-adversarial", [point("adversarial", "colorfulness", -50)], DIFFERS),
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
    ],
)
def test_scores(tmp_path: Path, name: str, changes: list[Change], expected: str):
    check(tmp_path, name, changes, expected)
