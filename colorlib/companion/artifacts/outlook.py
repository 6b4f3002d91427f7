"""The ideas of the paper's outlook, each as one change of its method: results of a sweep against the paper's point.

```
results/<profile>/outlook.csv    a row per point and method: scores, and their change against the paper's method
results/<profile>/outlook.md     the same as a table
figures/<profile>/outlook.png    (and .svg) the change in PSNR of each point, seed by seed
```
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from colorlib.companion.artifacts.figures import (
    PAPER,
    REFERENCE,
    TRAINING,
    VALIDATION,
    Illustration,
    save_drawing,
    style,
)
from colorlib.companion.steps import baselines_on_validation, files
from colorlib.companion.sweeps.spec import sweep_file, with_trained
from colorlib.companion.sweeps.summary import (
    ENOUGH,
    compare_points,
    differences,
    over_seeds,
    photographs,
    read_summary,
    summary_table,
    sweep_rows,
)
from colorlib.companion.tables import MEASURES, Column, Table, measures, spread
from colorlib.evaluate import NETWORK, NETWORK_TRUE_L, read_scores, summarize
from colorlib.profiles import Profile

MARKERS = {NETWORK: ("o", TRAINING, "RGB output"), NETWORK_TRUE_L: ("s", VALIDATION, "a and b with the true L")}
"""Method -> its marker, its color and its name in the figure's legend."""
OUTPUTS = {NETWORK: "RGB output", NETWORK_TRUE_L: "a and b with the true L"}
"""Method -> its name in sentences."""
BASELINE = "baseline"
"""Entry of the column `method` for a row that was not trained."""
MEASURED = measures("mse", "psnr_of_mse", "mean_psnr", "ssim", "delta_e00", "colorfulness")
"""Measures of a baseline's row: those of a sweep's summary."""
CHANGES = {
    name: replace(MEASURES[name], name=f"change in {MEASURES[name].name}", head="change", signed=True)
    for name in ("psnr_of_mse", "delta_e00", "colorfulness")
}
"""Measures whose change against the reference point is given."""


def write(profile: Profile, sweep: str = "outlook", reference: str = "paper") -> tuple[Table, Illustration]:
    """Write the table and the figure of the finished points in the files of `outlook`; returns both.

    Args:
        profile: the profile of the sweep.
        sweep: name of a sweep.
        reference: the point that the others are compared with.
    """
    rows = sweep_rows(profile, sweep)
    data = compare_points(rows, reference)
    if len(baselines := baseline_rows(profile)):
        counts = dict.fromkeys(("seeds", "paired seeds", "updates", "images"), "Int64")  # integers although some miss
        data = pd.concat([baselines, data], ignore_index=True).astype(counts)
    table = comparison_table(data, profile, sweep, reference)
    csv_path, markdown_path, *_ = files(profile, "outlook")
    table.save(csv_path, markdown_path)
    return table, _dot_plot(table.data, differences(rows, reference), profile, reference)


def baseline_rows(profile: Profile) -> pd.DataFrame:
    """Return a row for each baseline on the photographs that points are scored on; none where that was not done.

    `colorlib evaluate results/<profile>/seed-<first> --split val --baselines` does it.
    """
    path = baselines_on_validation(profile)
    rows = []
    for summary in summarize(read_scores(path)) if path.is_file() else ():
        row = {"point": summary.method, "method": BASELINE, "images": summary.images}
        rows.append(row | spread([summary], MEASURED))
    return pd.DataFrame(rows)


def comparison_table(data: pd.DataFrame, profile: Profile, sweep: str, reference: str) -> Table:
    """Return the rows of `compare_points` as a table; intervals over images are in its data only."""
    trained = data[data["method"] != BASELINE]
    updates = " or ".join(dict.fromkeys(f"{count:,.0f}" for count in trained["updates"]))
    before, after = ("mse", "psnr_of_mse"), ("mean_psnr", "delta_e00", "colorfulness")
    baselines = "Baselines: fitted to the training photographs, on the same ones. " if len(trained) < len(data) else ""
    return Table(
        data=data,
        columns=[
            Column(name="point"),
            Column(name="method"),
            Column(name="seeds"),
            *(replace(MEASURES[name], interval=False) for name in before),
            CHANGES["psnr_of_mse"],
            *(replace(MEASURES[name], interval=False) for name in after),
            Column(name="multiply-adds per pixel", digits=0),
        ],
        caption=(
            f"Sweep {sweep}, profile {profile.name}: each point changes one thing of the point {reference}. {updates} "
            f"updates; scored on {photographs(trained.iloc[0].to_dict())}, 8-bit RGB at full size. ± is the standard "
            f"deviation over seeds. {baselines}Change: of the PSNR of MSE in dB, mean over seeds that both points "
            f"have, taken seed by seed; in brackets, from {ENOUGH} seeds on, its 95 % interval (Student's t)."
        ),
    )


def change_sentences(data: pd.DataFrame, reference: str = "paper") -> list[str]:
    """Return a sentence for each point with its changes and, from `ENOUGH` seeds on, whether it is better or worse."""
    if reference not in set(data["point"]):
        return [f"The reference point {reference!r} is not finished: no change can be computed."]
    sentences = []
    trained = data[data["method"] != BASELINE]
    for point, rows in trained[trained["point"] != reference].groupby("point", sort=False):
        seeds = int(rows["paired seeds"].iloc[0])
        if seeds == 0:
            sentences.append(f"{point}: no seed in common with {reference} is finished.")
            continue
        parts = [
            f"{OUTPUTS[row['method']]} {CHANGES['psnr_of_mse'].text(row)} dB, ΔE00 {CHANGES['delta_e00'].text(row)}, "
            f"colorfulness {CHANGES['colorfulness'].text(row)}"
            for row in rows.to_dict("records")
        ]
        sentences.append(f"{point} ({rows['changes'].iloc[0]}): {'; '.join(parts)}. {_verdict(rows, seeds)}")
    return sentences or [f"No point but {reference} is finished."]


def _verdict(rows: pd.DataFrame, seeds: int) -> str:
    """Return whether a point is better or worse: the interval of its change in PSNR does not include zero."""
    if seeds < ENOUGH:
        return f"{seeds} seed{'s' if seeds > 1 else ''}: no difference is claimed on fewer than {ENOUGH}."
    verdicts = []
    for row in rows.to_dict("records"):
        low, high = row["change in PSNR of MSE low"], row["change in PSNR of MSE high"]
        verdict = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
        verdicts.append(f"{OUTPUTS[row['method']]}: {verdict}")
    return f"{seeds} seeds; {', '.join(verdicts)}."


def unfinished_points(profile: Profile, sweep: str = "outlook") -> list[str]:
    """Return the points of a sweep that are not in its summary: of the sweep file's seeds and of all trained ones."""
    rows = sweep_rows(profile, sweep)
    seeds = [int(seed) for seed in rows["seed"]]
    finished = set(zip(rows["point"], seeds, strict=True))
    points = with_trained(sweep_file(sweep), profile, seeds).points
    return [point.label for point in points if (point.name, point.seed) not in finished]


def read_sweep(profile: Profile, sweep: str, reference: str = "") -> tuple[list[str], Table | None]:
    """Return sentences on another sweep and its table.

    Args:
        profile: the profile of the sweep.
        sweep: name of a sweep.
        reference: the point that the others are compared with; empty for a table without changes and no sentences.

    Returns:
        Sentences and the table. Where the sweep was not run: a sentence with the command for it, and None.
    """
    path = profile.sweep(sweep) / "summary.csv"
    if not path.is_file():
        return [f"{sweep}: not run yet (make sweep SWEEP={sweep} PROFILE={profile.name})."], None
    if not reference:
        caption = f"Sweep {sweep}, profile {profile.name}. ± is the standard deviation over seeds."
        return [], summary_table(over_seeds(read_summary(path)), caption)
    data = compare_points(sweep_rows(profile, sweep), reference)
    return change_sentences(data, reference), comparison_table(data, profile, sweep, reference)


def _dot_plot(data: pd.DataFrame, changes: pd.DataFrame, profile: Profile, reference: str) -> Illustration:
    """Draw the change in PSNR of each point: small dots for seeds, a large one for their mean, a bar for its interval.

    Args:
        data: rows of `compare_points`.
        changes: rows of `differences`.
        profile: the profile of the sweep.
        reference: the point that the others are compared with.
    """
    path, column = files(profile, "outlook")[2], "PSNR of MSE"
    names = list(dict.fromkeys(changes["point"]))
    with style():
        figure = Figure(figsize=(6.3, 1.1 + 0.42 * max(len(names), 1)))
        axes = figure.subplots()
        # Draw seeds, means and intervals, the methods of a point one above the other
        for place, (method, (marker, color, label)) in enumerate(MARKERS.items()):
            for row in data[(data["method"] == method) & data["point"].isin(names)].to_dict("records"):
                height = names.index(row["point"]) + 0.26 * (place - 0.5)
                own = changes[(changes["point"] == row["point"]) & (changes["method"] == method)][column]
                axes.plot(own, np.full(len(own), height), ".", color=color, markersize=3, alpha=0.5)
                mean, high = row[f"change in {column}"], row.get(f"change in {column} high")
                axes.errorbar(
                    mean, height, xerr=None if high is None or pd.isna(high) else high - mean, marker=marker,
                    markersize=4.5, color=color, elinewidth=0.8,
                )  # fmt: skip
            axes.plot([], [], marker, color=color, markersize=4.5, label=label)
        # Set the axes and the legend
        axes.axvline(0, color=PAPER, linewidth=0.8)
        if not names:
            axes.text(0.5, 0.5, "no change is measured yet", transform=axes.transAxes, ha="center", color=REFERENCE)
        axes.set(yticks=range(len(names)), yticklabels=names, ylim=(max(len(names), 1) - 0.5, -0.5))
        axes.set_xlabel(f"change in PSNR of MSE against {reference} (dB)")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, handletextpad=0.2)
        save_drawing(figure, path)
    counts = sorted(set(data.loc[data["point"].isin(names), "paired seeds"])) or [0]
    seeds = f"{' to '.join(dict.fromkeys(map(str, (counts[0], counts[-1]))))} seed{'' if counts[-1] == 1 else 's'}"
    return Illustration(
        path=path,
        figure=figure,
        drawing=True,
        label="The outlook, one change at a time.",
        caption=(
            f"Change in the PSNR of the pooled MSE against the point {reference}, on {seeds}. Circles: network output "
            "(RGB); squares: its a and b with the true L. Small dots: single seeds; markers: their mean; bars: its 95 "
            f"% interval (Student's t), from {ENOUGH} seeds on. Right of the line is better."
        ),
        alt="Dot plot of changes in PSNR, a row for each point. " + " ".join(change_sentences(data, reference)),
    )
