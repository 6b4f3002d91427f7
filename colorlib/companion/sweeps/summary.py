"""The summary of a sweep: summary.csv and summary.md in its folder, and comparisons of its points.

summary.csv has a row for each point, seed and method (the network's raw RGB output, and its a and b with the true L);
summary.md has a row for each point and method, with means and standard deviations over the seeds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from colorlib.companion.costs import costs
from colorlib.companion.notebooks import read_record
from colorlib.companion.sweeps.run import RECORD, finished, metrics_file
from colorlib.companion.sweeps.spec import SPLITS, Point, Sweep, with_trained
from colorlib.companion.tables import Column, Table, measures
from colorlib.evaluate import NETWORK, Estimate, read_metrics
from colorlib.files import write_text
from colorlib.photos.registry import scored_source
from colorlib.profiles import Profile, changes_text
from colorlib.provenance import machines
from colorlib.runs import Run, csv_text

MEASURES = measures("mse", "psnr_of_mse", "mean_psnr", "ssim", "delta_e00", "colorfulness")
"""Name of a measure in metrics*.json -> its column; without the gain over gray, which metrics*.json does not hold."""
COLUMNS = [column.name for column in MEASURES.values()]
CHANGED = ("MSE", "PSNR of MSE", "mean PSNR", "SSIM", "ΔE00", "colorfulness")
"""Columns whose change against a reference point is computed."""
ENOUGH = 3
"""Number of seeds from which on intervals are given and differences are claimed."""


# Writing a summary


def summary_files(profile: Profile, sweep: str) -> tuple[Path, Path]:
    """Return the paths of a sweep's summary: CSV and Markdown."""
    return profile.sweep(sweep) / "summary.csv", profile.sweep(sweep) / "summary.md"


def write_summary(path: Path, profile: Profile) -> tuple[int, int]:
    """Write both files of a sweep's summary, the same bytes from the same points; needs no photographs.

    The points have the seeds that the sweep file names and all others that were trained. Where none is finished,
    nothing is written.

    Args:
        path: the sweep file.
        profile: the profile whose results are read.

    Returns:
        The number of finished points, and of all points.
    """
    sweep = load_trained(path, profile)
    rows = summary_rows(sweep.points)
    if rows:
        csv_file, markdown_file = summary_files(profile, path.stem)
        write_text(csv_file, csv_text(rows))
        write_text(markdown_file, summary_table(over_seeds(pd.DataFrame(rows)), _caption(sweep, rows)).markdown())
    return len({(row["point"], row["seed"]) for row in rows}), len(sweep.points)


def load_trained(path: Path, profile: Profile) -> Sweep:
    """Read a sweep file with the seeds that it names and those of all points that were trained."""
    records = [read_record(found) for found in profile.sweep(path.stem).glob(f"*/{RECORD}")]
    return with_trained(
        path, profile, (record["seed"] for record in records if record and type(record.get("seed")) is int)
    )


def summary_rows(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return a row for each finished point, seed and method, in the order of the points."""
    rows = []
    for point in points:
        record = finished(point)
        if record is not None:
            rows += _point_rows(point, record)
    return rows


def _point_rows(point: Point, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    run = Run(point.directory)
    run_record, last = run.record(), run.history()[-1]
    metrics = read_metrics(metrics_file(point))
    common = {
        "point": point.name,
        "changes": changes_text(point.changes),
        "seed": point.seed,
        "photographs": point.config.photos,
        "updates": int(last["updates"]),
        "training loss": last["training_loss"],
        "validation loss": last["validation_loss"],
        "scored": metrics["photos"]["split"],
        "images": metrics["photos"]["count"],
    }
    spent = {
        **costs(point.config),
        "seconds": record["seconds"],
        "hardware": machines([run_record]),
        "source": run_record["source"][:12],
    }
    return [common | {"method": name} | _measures(values) | spent for name, values in metrics["methods"].items()]


def _measures(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the measures of one method with their intervals; None where a value was not finite."""
    scores: dict[str, Any] = {}
    for name, column in MEASURES.items():
        estimate = values[name]
        scores[column.name] = estimate["value"]
        scores |= {f"{column.name} {bound}": estimate[bound] for bound in ("low", "high")}
    return scores | {"truth colorfulness": values["truth_colorfulness"]}


def summary_table(rows: pd.DataFrame, caption: str) -> Table:
    """Return the rows of `over_seeds` as the table of summary.md: without intervals."""
    return Table(
        data=rows.assign(minutes=rows["seconds"] / 60),
        columns=[
            Column(name="point"),
            Column(name="method"),
            Column(name="seeds"),
            Column(name="updates", digits=0),
            Column(name="validation loss", digits=4),
            *(replace(column, interval=False) for column in MEASURES.values()),
            Column(name="parameters", digits=0),
            Column(name="multiply-adds per pixel", digits=0),
            Column(name="receptive field"),
            Column(name="minutes", digits=1),
        ],
        caption=caption,
    )


def _caption(sweep: Sweep, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the caption of summary.md: the scored photographs, the hardware, and the points that are not finished."""
    done = {(row["point"], row["seed"]) for row in rows}
    open_points = [point.label for point in sweep.points if (point.name, point.seed) not in done]
    scored = "; ".join(dict.fromkeys(photographs(row) for row in rows))
    hardware = ", ".join(dict.fromkeys(str(row["hardware"]) for row in rows))
    sources = len({row["source"] for row in rows})
    left = f"; open: {'; '.join(open_points)}" if open_points else ""
    return (
        f"Sweep `{sweep.name}`, profile `{sweep.profile.name}`: {len(done)} of {len(sweep.points)} points are finished"
        f"{left}. Scored on {scored}, 8-bit RGB at full size. Means over the seeds, ± their standard deviation where "
        "there are several. Validation loss is in the objective's own "
        "unit, on center crops: it compares only points with the same target, objective and crop size. PSNR of MSE "
        "pools the error over images, mean PSNR is the mean over images, both in dB. Receptive field: pixels wide. "
        f"Minutes: training and validation of one seed on {hardware}, shared by points that ran at once. "
        f"{'All points are of one source tree.' if sources == 1 else f'The points are of {sources} source trees.'}"
    )


# Reading a summary


def sweep_rows(profile: Profile, sweep: str) -> pd.DataFrame:
    """Return the rows of a sweep's summary.csv.

    Raises:
        ValueError: the sweep has no finished point yet; the message names the command that trains some.
    """
    return read_summary(summary_files(profile, sweep)[0])


def read_summary(path: Path) -> pd.DataFrame:
    """Return the rows of a summary.csv.

    Raises:
        ValueError: it does not exist; the message names the command that writes it.
    """
    if not path.is_file():
        name, profile = path.parent.name, path.parent.parent.parent.name
        raise ValueError(f"{path} does not exist; run `make sweep SWEEP={name} PROFILE={profile}`")
    rows = pd.read_csv(path, dtype={"point": str})  # names may be numbers
    numbers = ["seed", "updates", "training loss", "validation loss", "images", "parameters", "seconds", *COLUMNS]
    for column in ("point", "changes", "method", "photographs", "scored", *numbers):
        if column not in rows or (column in numbers and not pd.api.types.is_numeric_dtype(rows[column])):
            raise ValueError(
                f"{path} has no column {column!r} of {'numbers' if column in numbers else 'text'}; restore it"
            )
    return rows


def over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each point and method: means over the seeds, standard deviations where there are several."""
    records = []
    for _, group in rows.groupby(["point", "method"], sort=False):
        first = group.iloc[0]
        record: dict[str, Any] = {
            name: first[name] for name in ("point", "changes", "method", "photographs", "updates", "scored", "images")
        }
        record |= {"seeds": len(group)}
        for column in ("training loss", "validation loss", *COLUMNS):
            values = group[column].to_numpy(dtype=float)
            record[column] = float(np.mean(values))
            for bound in ("low", "high") if column in COLUMNS else ():
                record[f"{column} {bound}"] = float(np.mean(group[f"{column} {bound}"].to_numpy(dtype=float)))
            if len(group) > 1:
                record[f"{column} sd"] = float(np.std(values, ddof=1))
        records.append(
            record
            | {name: first[name] for name in ("parameters", "multiply-adds per pixel", "receptive field")}
            | {"seconds": float(group["seconds"].mean())}
        )
    return pd.DataFrame(records)


def photographs(row: Mapping[Any, Any]) -> str:
    """Return, in words, the photographs that a row was scored on."""
    (split,) = [word for word, name in SPLITS.items() if name == row["scored"]]
    source = scored_source(row["photographs"])
    return f"{row['images']} {split} photograph{'' if row['images'] == 1 else 's'} of {source}"


def differences(rows: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return the change of each measure against the reference point, per point, method and seed that both have.

    Where a point changes neither photographs nor crops, equal seeds mean equal crops in the same order: differences
    per seed cancel the variation that they share.
    """
    records = []
    references = rows[rows["point"] == reference].set_index(["method", "seed"])
    for row in rows[rows["point"] != reference].to_dict("records"):
        if (row["method"], row["seed"]) in references.index:
            base = references.loc[(row["method"], row["seed"])]
            change = {column: row[column] - base[column] for column in CHANGED}
            records.append({name: row[name] for name in ("point", "changes", "method", "seed")} | change)
    return pd.DataFrame(records, columns=["point", "changes", "method", "seed", *CHANGED])


def compare_points(rows: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return a row for each point and method: measures over the seeds, and their change against the reference point.

    `change in X` is the mean over the seeds that the reference has too, `… sd` the standard deviation; `… low` and
    `… high` are the bounds of the 95 % interval (Student's t), from `ENOUGH` seeds on.
    """
    table, changed = over_seeds(rows), differences(rows, reference)
    records = []
    for record in table.to_dict("records"):
        own = changed[(changed["point"] == record["point"]) & (changed["method"] == record["method"])]
        change: dict[str, Any] = {"paired seeds": len(own)}
        for column in CHANGED if len(own) else ():
            name, mean = f"change in {column}", mean_over_seeds(own[column].tolist())
            change[name] = mean.value
            if len(own) > 1:
                change[f"{name} sd"] = float(own[column].std())
            if len(own) >= ENOUGH:
                change |= {f"{name} low": mean.low, f"{name} high": mean.high}
        records.append({str(key): value for key, value in record.items()} | change)
    return pd.DataFrame(records)


def mean_change(rows: pd.DataFrame, point: str, reference: str) -> Estimate:
    """Return the mean change in PSNR of MSE of a point's RGB output against another point's, in dB (`mean_over_seeds`).

    Args:
        rows: of a summary.csv.
        point: name of the point.
        reference: name of the point that it is compared with, on the seeds that both have.
    """
    changed = differences(rows, reference)
    own = changed[(changed["point"] == point) & (changed["method"] == NETWORK)]
    return mean_over_seeds([float(value) for value in own["PSNR of MSE"]])


def mean_over_seeds(values: Sequence[float]) -> Estimate:
    """Return the mean of one value per seed with its 95 % interval, by Student's t; NaN below `ENOUGH` seeds."""
    low, high = students_interval(values) if len(values) >= ENOUGH else (math.nan, math.nan)
    return Estimate(value=fmean(values), low=low, high=high)


def students_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the bounds of the 95 % interval of the mean of `values`, by Student's t."""
    from scipy import stats

    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    mean = float(np.mean(values))
    return mean - half, mean + half
