"""The paper's outlook, answered: what each of its ideas is worth against its own method, from a sweep's summary.

```
results/<profile>/outlook.csv    a row per point and method: figures, and their change against the paper's method
results/<profile>/outlook.md     the same as a table
figures/<profile>/outlook.png    the change in PSNR of each point, seed by seed
```
"""

import html
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from colorlib.companion.figures import PAPER, REFERENCE, STYLE, TRAINING, VALIDATION, Illustration, save
from colorlib.companion.paired import ENOUGH, compare_points, differences, sweep_rows
from colorlib.companion.sweep_summary import DIGITS, over_seeds, photographs, read_summary, readable
from colorlib.companion.sweeps import sweep_file, with_trained
from colorlib.companion.tables import table_html, table_markdown, value_text
from colorlib.files import write_text
from colorlib.profiles import Profile
from colorlib.scoring import NETWORK, NETWORK_TRUE_L

MARKS = {NETWORK: ("o", TRAINING, "as printed"), NETWORK_TRUE_L: ("s", VALIDATION, "with the true L")}
"""How each method is drawn, and what the legend calls it."""


def exhibit(profile: Profile, sweep: str = "outlook", reference: str = "paper") -> tuple[pd.DataFrame, Illustration]:
    """The table and its picture of whatever is finished; writes outlook.csv, outlook.md and outlook.png."""
    rows = sweep_rows(profile, sweep)
    table = compare_points(rows, reference)
    write_text(profile.results / "outlook.csv", table.to_csv(index=False, lineterminator="\n"))
    text = table_markdown(shown(table), caption(table, profile, sweep, reference))
    write_text(profile.results / "outlook.md", text)
    return table, dots(table, differences(rows, reference), profile, reference)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as people read it."""
    return pd.DataFrame(
        [
            {
                "point": row["point"],
                "method": row["method"],
                "seeds": str(row["seeds"]),
                "MSE": _bare(row, "MSE"),
                "PSNR of MSE": _bare(row, "PSNR of MSE"),
                "change": _change(row, "PSNR of MSE"),
                "mean PSNR": _bare(row, "mean PSNR"),
                "ΔE00": _bare(row, "ΔE00"),
                "colorfulness": _bare(row, "colorfulness"),
                "multiply-adds per pixel": f"{row['multiply-adds per pixel']:,.0f}",
            }
            for row in table.to_dict("records")
        ]
    )


def _bare(row: dict[Any, Any], column: str) -> str:
    """A figure with its spread over seeds; intervals over images stand in the CSV file."""
    return value_text({column: row[column], f"{column} sd": row.get(f"{column} sd")}, column, DIGITS[column])


def _change(row: dict[Any, Any], column: str) -> str:
    """A change with its spread and its interval, as far as there are any."""
    name = f"change in {column}"
    value = row.get(name)
    if value is None or pd.isna(value):
        return "–"
    text = _signed(value, column)
    if not _missing(row.get(f"{name} sd")):
        text += f" ± {row[f'{name} sd']:.{DIGITS[column]}f}"
    if not _missing(row.get(f"{name} low")):
        text += f" [{_signed(row[f'{name} low'], column)}, {_signed(row[f'{name} high'], column)}]"
    return text


def _signed(value: float, column: str) -> str:
    digits = DIGITS[column]
    return f"{round(value, digits) + 0.0:+.{digits}f}"  # no -0.00


def _missing(value: Any) -> bool:
    return value is None or bool(pd.isna(value))


def answer(table: pd.DataFrame, reference: str = "paper") -> list[str]:
    """What each point is worth, a sentence each; nothing is claimed on fewer than `ENOUGH` seeds."""
    if reference not in set(table["point"]):
        return [
            f"The point {reference!r}, against which the others are held, is not finished: no change can be stated."
        ]
    sentences = []
    for point, rows in table[table["point"] != reference].groupby("point", sort=False):
        parts = [
            f"{MARKS[row['method']][2]} {_change(row, 'PSNR of MSE')} dB, ΔE00 {_change(row, 'ΔE00')}, colorfulness "
            f"{_change(row, 'colorfulness')}"
            for row in rows.to_dict("records")
        ]
        seeds = int(rows["paired seeds"].iloc[0])
        if seeds == 0:
            sentences.append(f"{point}: no seed in common with {reference} is finished.")
            continue
        sentences.append(f"{point} ({rows['changes'].iloc[0]}): {'; '.join(parts)}. {_verdict(rows, seeds)}")
    return sentences or [f"Beside {reference} no point is finished."]


def _verdict(rows: pd.DataFrame, seeds: int) -> str:
    if seeds < ENOUGH:
        return f"{seeds} seed{'s' if seeds > 1 else ''}: no difference is claimed on fewer than {ENOUGH}."
    found = []
    for row in rows.to_dict("records"):
        low, high = row["change in PSNR of MSE low"], row["change in PSNR of MSE high"]
        verdict = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
        found.append(f"{verdict} {MARKS[row['method']][2]}")
    return f"{seeds} seeds: {', '.join(found)}."


def still_open(profile: Profile, sweep: str = "outlook") -> list[str]:
    """The points of the sweep file that are in no summary yet, of its own seeds and of others that were trained."""
    rows = sweep_rows(profile, sweep)
    seeds = [int(seed) for seed in rows["seed"]]
    have = set(zip(rows["point"], seeds, strict=True))
    points = with_trained(sweep_file(sweep), profile, seeds).points
    return [point.label for point in points if (point.name, point.seed) not in have]


def caption(table: pd.DataFrame, profile: Profile, sweep: str, reference: str) -> str:
    """What the table's figures are figures of."""
    first = table.iloc[0]
    updates = " or ".join(dict.fromkeys(f"{count:,}" for count in table["updates"]))
    return (
        f"Sweep {sweep}, profile {profile.name}: each point changes one thing of the point {reference}. {updates} "
        f"updates; scored on {photographs(first.to_dict())}, 8-bit RGB at full size. ± is the standard deviation over "
        "seeds. Change: of the PSNR of MSE in dB, mean over seeds that both points have, taken seed by seed; in "
        f"brackets, from {ENOUGH} seeds on, its 95 % interval (Student's t)."
    )


def html_table(table: pd.DataFrame, profile: Profile, sweep: str = "outlook", reference: str = "paper") -> str:
    """The table as accessible HTML: a caption, column and row headers."""
    return table_html(shown(table), caption(table, profile, sweep, reference))


def against_html(profile: Profile, sweep: str, reference: str) -> str:
    """Another sweep's table, its points held against one of them, and what each is worth; or that it was not run."""
    if not (profile.sweep(sweep) / "summary.csv").is_file():
        return other_html(profile, sweep)
    table = compare_points(sweep_rows(profile, sweep), reference)
    told = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in answer(table, reference))
    return html_table(table, profile, sweep, reference) + told


def other_html(profile: Profile, sweep: str) -> str:
    """Another sweep's table as accessible HTML, or a sentence where it has not been run."""
    path = profile.sweep(sweep) / "summary.csv"
    if not path.is_file():
        return (
            f"<p>{html.escape(sweep)}: not run yet (<code>make sweep SWEEP={sweep} PROFILE={profile.name}</code>).</p>"
        )
    table = over_seeds(read_summary(path))
    return table_html(
        readable(table), f"Sweep {sweep}, profile {profile.name}. ± is the standard deviation over seeds."
    )


def dots(table: pd.DataFrame, changed: pd.DataFrame, profile: Profile, reference: str) -> Illustration:
    """The change in PSNR of each point: small dots for seeds, a large one for their mean, a bar for how sure it is."""
    path, column = profile.figures / "outlook.png", "PSNR of MSE"
    names = list(dict.fromkeys(changed["point"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.3, 1.1 + 0.42 * max(len(names), 1)))
        axes = figure.subplots()
        for place, (method, (marker, color, label)) in enumerate(MARKS.items()):
            for row in table[(table["method"] == method) & table["point"].isin(names)].to_dict("records"):
                height = names.index(row["point"]) + 0.26 * (place - 0.5)
                own = changed[(changed["point"] == row["point"]) & (changed["method"] == method)][column]
                axes.plot(own, np.full(len(own), height), ".", color=color, markersize=3, alpha=0.5)
                mean, high = row[f"change in {column}"], row.get(f"change in {column} high")
                axes.errorbar(
                    mean, height, xerr=None if _missing(high) else high - mean, marker=marker, markersize=4.5,
                    color=color, elinewidth=0.8,
                )  # fmt: skip
            axes.plot([], [], marker, color=color, markersize=4.5, label=label)
        axes.axvline(0, color=PAPER, linewidth=0.8)
        if not names:
            axes.text(0.5, 0.5, "no change is measured yet", transform=axes.transAxes, ha="center", color=REFERENCE)
        axes.set(yticks=range(len(names)), yticklabels=names, ylim=(max(len(names), 1) - 0.5, -0.5))
        axes.set_xlabel(f"change in PSNR of MSE against {reference} (dB)")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, handletextpad=0.2)
        save(figure, path)
    counts = sorted(set(table.loc[table["point"].isin(names), "paired seeds"])) or [0]
    seeds = f"{' to '.join(dict.fromkeys(map(str, (counts[0], counts[-1]))))} seed{'' if counts[-1] == 1 else 's'}"
    return Illustration(
        path=path,
        caption=(
            "<b>The outlook, one change at a time.</b> Change in the PSNR of the pooled MSE against the point "
            f"{reference}, on {seeds}. Small dots: single seeds; marks: their mean; bars: its 95 % interval (Student's "
            f"t), from {ENOUGH} seeds on. Right of the line is better."
        ),
        alt="Dot plot of changes in PSNR, a row for each point. " + " ".join(answer(table, reference)),
    )


def left_by(profile: Profile) -> tuple[Path, ...]:
    """What `exhibit` leaves."""
    return profile.results / "outlook.csv", profile.results / "outlook.md", profile.figures / "outlook.png"
