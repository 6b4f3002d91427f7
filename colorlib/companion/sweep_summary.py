"""What a sweep found, made of what its finished points left: summary.csv and summary.md in its folder.

summary.csv has a row for each point, seed and method (the network as printed, and its a and b with the true L);
summary.md a row for each point and method, with means and spreads over the seeds.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from colorlib.companion.machines import machine
from colorlib.companion.notebooks import read_record
from colorlib.companion.sweep_job import RECORD, finished, metrics_file
from colorlib.companion.sweep_points import Point
from colorlib.companion.sweeps import SPLITS, Sweep, with_trained
from colorlib.companion.tables import COLUMNS as TABLE_COLUMNS
from colorlib.companion.tables import DIGITS as TABLE_DIGITS
from colorlib.companion.tables import table_markdown, value_text
from colorlib.config import RunConfig
from colorlib.costs import multiply_adds, receptive_field
from colorlib.files import write_text
from colorlib.model import parameter_count
from colorlib.profiles import Profile
from colorlib.runs import Run, csv_text
from colorlib.trainer import build_network

COLUMNS = {name: column for name, column in TABLE_COLUMNS.items() if name != "psnr_gain"}
"""Names in metrics*.json -> names in the summary. Gains over gray stand in no run's own figures."""
DIGITS = {column: TABLE_DIGITS[column] for column in COLUMNS.values()}
COUNTED = 256
"""Side of the image whose multiply-adds are counted: any network of this project fits into it without a rest."""


def costs(config: RunConfig) -> dict[str, float]:
    """Parameters, multiply-adds for each pixel, and the receptive field's width, of the network that is trained."""
    parameters, per_pixel = _counted(config.network, config.target, config.objective)
    return {
        "parameters": parameters,
        "multiply-adds per pixel": per_pixel,
        "receptive field": _field(config.network),
    }


def multiply_adds_per_pixel(config: RunConfig) -> float:
    """Multiply-adds that the network takes for each pixel."""
    return _counted(config.network, config.target, config.objective)[1]


@lru_cache
def _counted(network: str, target: str, objective: str) -> tuple[int, float]:
    # On "meta" nothing is computed: the network is counted, not run.
    built = build_network(RunConfig(network=network, target=target, objective=objective)).to("meta")
    return parameter_count(built), multiply_adds(built, COUNTED, COUNTED) / COUNTED**2


@lru_cache
def _field(network: str) -> int:
    built = build_network(RunConfig(network=network)).double().eval()
    return receptive_field(built, reach=built.halo + 1, stride=built.stride, trials=2)


def summary_rows(points: Sequence[Point]) -> list[dict[str, Any]]:
    """A row for each finished point, seed and method, in the order of the points."""
    found = []
    for point in points:
        record = finished(point)
        if record is not None:
            found += _rows(point, record)
    return found


def _rows(point: Point, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    run = Run(point.directory)
    made, last = run.record(), run.history()[-1]
    metrics = json.loads(metrics_file(point).read_text(encoding="utf-8"))
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
        "hardware": machine(made["hardware"]),
        "source": made["source"][:12],
    }
    return [common | {"method": name} | _figures(held) | spent for name, held in metrics["methods"].items()]


def _figures(held: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of one method with their intervals; what was not finite stays empty."""
    figures: dict[str, Any] = {}
    for name, column in COLUMNS.items():
        estimate = held[name]
        figures[column] = estimate["value"]
        figures |= {f"{column} {end}": estimate[end] for end in ("low", "high")}
    return figures | {"truth colorfulness": held["truth_colorfulness"]}


def changes_text(changes: Mapping[str, Any]) -> str:
    """What a point changes, in words."""
    return ", ".join(f"{name}={value}" for name, value in changes.items()) or "nothing"


def summary_files(sweep: Sweep) -> tuple[Path, Path]:
    """Where a sweep's summary lies: the CSV file and the Markdown file."""
    return sweep.results / "summary.csv", sweep.results / "summary.md"


def write_summary(path: Path, profile: Profile) -> tuple[int, int]:
    """Write both files anew, the same bytes from the same points; returns how many are finished, of how many.

    Of the seeds that the sweep file names and all others that were trained. Needs no photographs. Where no point is
    finished, nothing is written.
    """
    records = [read_record(found) for found in profile.sweep(path.stem).glob(f"*/{RECORD}")]
    sweep = with_trained(path, profile, (record["seed"] for record in records if record))
    rows = summary_rows(sweep.points)
    if rows:
        table, text = summary_files(sweep)
        write_text(table, csv_text(rows))
        write_text(text, table_markdown(readable(over_seeds(pd.DataFrame(rows))), caption(sweep, rows)))
    return len({(row["point"], row["seed"]) for row in rows}), len(sweep.points)


def read_summary(path: Path) -> pd.DataFrame:
    """The rows of a summary.csv.

    Raises:
        ValueError: it does not exist; the message says what makes it.
    """
    if not path.is_file():
        name, profile = path.parent.name, path.parent.parent.parent.name
        raise ValueError(f"{path} does not exist; run `make sweep SWEEP={name} PROFILE={profile}`")
    return pd.read_csv(path)


def over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each point and method: means over the seeds, and standard deviations where there are several."""
    records = []
    for _, held in rows.groupby(["point", "method"], sort=False):
        first = held.iloc[0]
        record: dict[str, Any] = {
            name: first[name] for name in ("point", "changes", "method", "photographs", "updates", "scored", "images")
        }
        record |= {"seeds": len(held)}
        for column in ("training loss", "validation loss", *COLUMNS.values()):
            values = held[column].to_numpy(dtype=float)
            record[column] = float(np.mean(values))
            for end in ("low", "high") if column in COLUMNS.values() else ():
                record[f"{column} {end}"] = float(np.mean(held[f"{column} {end}"].to_numpy(dtype=float)))
            if len(held) > 1:
                record[f"{column} sd"] = float(np.std(values, ddof=1))
        records.append(
            record
            | {name: first[name] for name in ("parameters", "multiply-adds per pixel", "receptive field")}
            | {"seconds": float(held["seconds"].mean())}
        )
    return pd.DataFrame(records)


def photographs(row: Mapping[Any, Any]) -> str:
    """Which photographs a row's figures are of, in words."""
    (split,) = [word for word, name in SPLITS.items() if name == row["scored"]]
    return f"{row['images']} {split} photograph{'' if row['images'] == 1 else 's'} of {row['photographs']}"


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table as people read it; intervals are left to the CSV file."""
    shown = []
    for row in table.to_dict("records"):
        bare = {name: value for name, value in row.items() if not str(name).endswith((" low", " high"))}
        shown.append(
            {
                "point": row["point"],
                "method": row["method"],
                "seeds": str(row["seeds"]),
                "updates": f"{row['updates']:,}",
                "validation loss": value_text(bare, "validation loss", 4),
                **{column: value_text(bare, column, digits) for column, digits in DIGITS.items()},
                "parameters": f"{row['parameters']:,}",
                "multiply-adds per pixel": f"{row['multiply-adds per pixel']:,.0f}",
                "receptive field": str(row["receptive field"]),
                "minutes": f"{row['seconds'] / 60:.1f}",
            }
        )
    return pd.DataFrame(shown)


def caption(sweep: Sweep, rows: Sequence[Mapping[str, Any]]) -> str:
    """What the table's figures are figures of, and which points are still open."""
    have = {(row["point"], row["seed"]) for row in rows}
    open_points = [point.label for point in sweep.points if (point.name, point.seed) not in have]
    scored = "; ".join(dict.fromkeys(photographs(row) for row in rows))
    hardware = ", ".join(dict.fromkeys(str(row["hardware"]) for row in rows))
    sources = len({row["source"] for row in rows})
    left = f"; open: {'; '.join(open_points)}" if open_points else ""
    return (
        f"Sweep `{sweep.name}`, profile `{sweep.profile.name}`: {len(have)} of {len(sweep.points)} points are finished"
        f"{left}. Scored on {scored}, 8-bit RGB at full size. Means over the seeds, ± their standard deviation where "
        "there are several. Validation loss is in the objective's own "
        "unit, on center crops: it compares only points with the same target, objective and crop size. PSNR of MSE "
        "pools the error over images, mean PSNR is the mean over images, both in dB. Receptive field: pixels wide. "
        f"Minutes: training and validation of one seed on {hardware}, shared by points that ran at once. "
        f"{'All points are of one source tree.' if sources == 1 else f'The points are of {sources} source trees.'}"
    )
