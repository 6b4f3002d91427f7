"""Summaries of sweeps with known changes: a point's gain in PSNR, seed by seed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from colorlib.files import write_text
from colorlib.profiles import Profile, load_profile
from colorlib.runs import csv_text

NOISE = (0.00, 0.04, -0.05)
"""PSNR that all points of a seed share, in dB: paired differences do not see it."""
GAINS = {"lab": (0.50, 0.52, 0.51), "skip": (0.10, -0.12, 0.03), "l1": (-0.30, -0.31, -0.28)}
"""Point -> gain in PSNR of each seed, in dB."""


def summary_row(point: str, seed: int, method: str, psnr: float) -> dict[str, Any]:
    """Return a row of summary.csv."""
    scores = {"MSE": 10 ** (-psnr / 10), "PSNR of MSE": psnr, "mean PSNR": psnr + 1.5, "SSIM": 0.9, "ΔE00": 30 - psnr}
    scores["colorfulness"] = 20.0 + seed
    bounds = {f"{name} {end}": value for name, value in scores.items() for end in ("low", "high")}
    return {
        "point": point, "changes": "nothing" if point == "paper" else f"change={point}", "seed": seed,
        "photographs": "bsds500", "updates": 3000, "training loss": 0.01, "validation loss": 0.02, "scored": "val",
        "images": 100, "method": method, **scores, **bounds, "parameters": 740_227,
        "multiply-adds per pixel": 739_584.0, "receptive field": 13, "seconds": 120.0, "hardware": "a processor",
        "source": "0" * 12,
    }  # fmt: skip


def summary_rows(seeds: int, points: tuple[str, ...] = ("paper", *GAINS)) -> list[dict[str, Any]]:
    """Return the rows of points and seeds, for the raw output and 0.8 dB better for the true L."""
    return [
        summary_row(point, seed, method, 20.0 + NOISE[seed] + raised + (GAINS[point][seed] if point in GAINS else 0.0))
        for seed in range(seeds)
        for point in points
        for method, raised in (("network", 0.0), ("network, true L", 0.8))
    ]


def renamed(rows: list[dict[str, Any]], old: str, new: str) -> list[dict[str, Any]]:
    """Return rows with another name for one point."""
    return [row | {"point": new} if row["point"] == old else row for row in rows]


def with_sweep(root: Path, rows: list[dict[str, Any]], sweep: str = "outlook") -> Profile:
    """Write a sweep's summary.csv of profile `cpu` into a root folder; returns the profile."""
    profile = replace(load_profile("cpu"), root=root)
    write_text(profile.sweep(sweep) / "summary.csv", csv_text(rows))
    return profile
