"""Paired differences: what each point of a sweep changes against one of them, seed by seed, and how sure that is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from colorlib.companion.sweep_summary import over_seeds, read_summary
from colorlib.profiles import Profile

ENOUGH = 3
"""No difference is claimed on fewer seeds."""
CHANGED = ("MSE", "PSNR of MSE", "mean PSNR", "SSIM", "ΔE00", "colorfulness")


def sweep_rows(profile: Profile, sweep: str) -> pd.DataFrame:
    """The rows of a sweep's summary.csv.

    Raises:
        ValueError: the sweep has no finished point yet; the message says what makes some.
    """
    return read_summary(profile.sweep(sweep) / "summary.csv")


def differences(rows: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The change of each figure against the reference, a row for each point, method and seed that both have.

    Where a point changes neither photographs nor crops, equal seeds mean equal crops in equal order: seed by seed,
    differences leave out what is common to them.
    """
    records = []
    held = rows[rows["point"] == reference].set_index(["method", "seed"])
    for row in rows[rows["point"] != reference].to_dict("records"):
        if (row["method"], row["seed"]) in held.index:
            base = held.loc[(row["method"], row["seed"])]
            change = {column: row[column] - base[column] for column in CHANGED}
            records.append({name: row[name] for name in ("point", "changes", "method", "seed")} | change)
    return pd.DataFrame(records, columns=["point", "changes", "method", "seed", *CHANGED])


def compare_points(rows: pd.DataFrame, reference: str) -> pd.DataFrame:
    """A row for each point and method: figures over the seeds, and their change with spread and interval.

    `change in X` is the mean over the seeds that the reference has too, `… sd` its standard deviation; `… low` and
    `… high` hold 95 % of Student's t, from `ENOUGH` seeds on.
    """
    table, changed = over_seeds(rows), differences(rows, reference)
    records = []
    for record in table.to_dict("records"):
        own = changed[(changed["point"] == record["point"]) & (changed["method"] == record["method"])]
        change: dict[str, Any] = {"paired seeds": len(own)}
        for column in CHANGED if len(own) else ():
            values = own[column].to_numpy(dtype=float)
            name, mean = f"change in {column}", float(values.mean())
            change[name] = mean
            if len(values) > 1:
                change[f"{name} sd"] = float(values.std(ddof=1))
            if len(values) >= ENOUGH:
                low, high = students_interval(values)
                change |= {f"{name} low": low, f"{name} high": high}
        records.append({str(key): value for key, value in record.items()} | change)
    return pd.DataFrame(records)


def students_interval(values: Sequence[float]) -> tuple[float, float]:
    """Bounds of the 95 % interval of a mean, by Student's t."""
    from scipy import stats

    reach = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    mean = float(np.mean(values))
    return mean - reach, mean + reach
