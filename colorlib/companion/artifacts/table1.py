"""Table I: the paper's numbers, the baselines and the network, with spread over seeds and intervals over images."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from colorlib.colorizers import BASELINES
from colorlib.companion import paper
from colorlib.companion.results import Results
from colorlib.companion.steps import files
from colorlib.companion.tables import JOINED, Column, Table, measures, read_rows, scored_photographs, spread
from colorlib.evaluate import Summary, baseline_methods, read_scores, score, scored_photos
from colorlib.files import write_text
from colorlib.metrics import Score
from colorlib.profiles import Profile
from colorlib.runs import csv_text

PAPER_ROW = {"method": "paper (its own, unnamed data)", "MSE": paper.MSE, "PSNR of MSE": paper.PSNR}
"""The paper's own row of Table I (Sec. IV.C)."""
COLUMNS = measures("mse", "psnr_of_mse", "mean_psnr", "ssim", "delta_e00", "colorfulness", "psnr_gain")


def write_scores(results: Results, *, rescore: bool) -> None:
    """Write per_image.csv: the scores of the baselines (no seed), then those of each run.

    Args:
        results: of the profile whose test split and runs are scored.
        rescore: score the baselines again; else take their rows from per_image.csv, which needs no photographs.
    """
    profile = results.profile
    (path,) = files(profile, "scores")
    if rescore:
        methods = baseline_methods(profile.photos)
        scored = [row for rows in score(methods, scored_photos(profile.photos)) for row in rows]
        baselines = [row for method in methods for row in scored if row.method == method]
    else:
        baselines = [row for _, row in read_rows(path) if row.method in BASELINES]
    rows: list[tuple[int | None, Score]] = [(None, row) for row in baselines]
    for seed in profile.seeds:
        rows += [(seed, row) for row in read_scores(profile.run(seed) / "per_image.csv")]
    text = csv_text([{"seed": "" if seed is None else seed, **asdict(row)} for seed, row in rows])
    write_text(path, text)


def table1(results: Results) -> Table:
    """Return Table I of a profile, one row per method, the paper's first; writes table1.csv and table1.md.

    Values are means over seeds with their intervals (`tables.joined`), `sd` is the standard deviation over seeds.
    """
    rows: list[dict[str, Any]] = [dict(PAPER_ROW)]
    for method, summaries in results.summaries_by_method().items():
        rows.append(_row(method, summaries, results.updates))
    table = as_table(pd.DataFrame(rows), results.profile)
    table.save(*files(results.profile, "table1"))
    return table


def _row(method: str, summaries: Sequence[Summary], updates: int) -> dict[str, Any]:
    first = summaries[0]
    trained = method not in BASELINES
    row: dict[str, Any] = {
        "method": method,
        "seeds": len(summaries) if trained else None,
        "updates": updates if trained else None,
        "images": first.images,
        "near_gray": first.near_gray,
        "left_out_of_mean_psnr": first.left_out,
        "truth_colorfulness": first.truth_colorfulness,
        "MSE of pixels": float(np.mean([summary.mse_of_pixels for summary in summaries])),
    }
    return row | spread(summaries, COLUMNS)


def as_table(data: pd.DataFrame, profile: Profile) -> Table:
    """Return the rows of table1.csv as a table with its caption."""
    row = data.iloc[-1]
    seeds = f"{int(row['seeds'])} seed" + ("s" if row["seeds"] > 1 else "")
    left_out = int(row["left_out_of_mean_psnr"])
    near_gray = f"{int(row['near_gray'])} of them near gray (mean ab chroma under 1.9)"
    without = f", left out of the mean PSNR: {left_out}" if left_out else ""
    over_seeds = f", for the network the {JOINED}" if row["seeds"] > 1 else ""
    caption = (
        f"on {scored_photographs(profile)}, {near_gray}{without}; "
        f"network: {int(row['updates']):,} updates, {seeds}, last epoch's weights, scored once. 8-bit RGB, full size. "
        "PSNR of MSE is the paper's convention (of the MSE pooled over images), mean PSNR the literature's (mean over "
        f"images), both in dB. In brackets: 95 % bootstrap interval over images{over_seeds}. Gain over gray: "
        "difference in PSNR of MSE on the same resampled images. Colorfulness (Hasler & Süsstrunk) of the ground "
        f"truth: {row['truth_colorfulness']:.1f}."
    )
    return Table(data=data, columns=[Column(name="method"), *COLUMNS.values()], caption=caption, label="Table I")
