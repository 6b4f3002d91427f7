"""How much of an error is the photographs: trivial answers and the paper's network on one source after another.

```
results/<profile>/sources.csv    a row per source and method
results/<profile>/sources.md     the same as a table: a row per source, errors side by side
figures/<profile>/sources.png    the same as a picture, with the paper's number as a line
```
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from colorlib.baselines import BASELINES
from colorlib.companion import printed
from colorlib.companion.compared import compared_profiles, visit
from colorlib.companion.figures import PAPER, REFERENCE, STYLE, TRAINING, VALIDATION, Illustration, save
from colorlib.companion.tables import (
    read_rows,
    spread,
    summaries_by_seed,
    table_html,
    table_markdown,
    two_lines,
    value_text,
    which_photographs,
)
from colorlib.evaluate import Score, read_scores
from colorlib.files import write_text
from colorlib.profiles import Profile
from colorlib.scoring import NETWORK, NETWORK_TRUE_L

VISITOR = "visiting network"
"""The asking profile's network, trained on its own photographs, on those of another source."""
COLUMNS = {"mse": "MSE", "psnr_of_mse": "PSNR of MSE", "colorfulness": "colorfulness"}
MARKS = {
    "gray": ("o", "none", REFERENCE),
    "mean chroma": ("s", "none", REFERENCE),
    "look-up table": ("D", "none", REFERENCE),
    NETWORK: ("o", TRAINING, TRAINING),
    VISITOR: ("X", VALIDATION, VALIDATION),
}
"""How each method is drawn: marker, face, edge."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """One source: the profile that was trained on it, and all that was scored on it."""

    profile: Profile
    rows: Sequence[tuple[int | None, Score]]

    @property
    def label(self) -> str:
        """The source and what was spent on it, as a row is called."""
        config = self.profile.config(self.profile.seeds[0])
        return f"{config.photos}, {config.updates:,} updates"


def read_held(profile: Profile) -> list[Held]:
    """All that was scored on each source.

    Raises:
        ValueError: the profile's network was not scored on a source; the message says how to.
    """
    found = []
    for compared in compared_profiles(profile):
        rows = [row for row in read_rows(compared.results / "per_image.csv") if row[1].method != NETWORK_TRUE_L]
        for seed in profile.seeds if compared.photos != profile.photos else ():
            path = visit(profile, compared, seed)
            if not path.is_file():
                run = f"results/{profile.name}/seed-{seed}"
                raise ValueError(f"{path} does not exist; run `colorlib evaluate {run} --photos {compared.photos}`")
            visiting = [row for row in read_scores(path) if row.method == NETWORK]
            rows += [(seed, replace(row, method=VISITOR)) for row in visiting]
        found.append(Held(profile=compared, rows=rows))
    return found


def sources_table(profile: Profile) -> pd.DataFrame:
    """A row per source and method: errors with intervals, what was trained on what, for how long."""
    records: list[dict[str, Any]] = []
    for held in read_held(profile):
        config = held.profile.config(held.profile.seeds[0])
        updates = {NETWORK: config.updates, VISITOR: profile.config(profile.seeds[0]).updates}
        trained_on = dict.fromkeys((*BASELINES, NETWORK), config.photos) | {"gray": "", VISITOR: profile.photos}
        for method, summaries in summaries_by_seed(held.rows).items():
            records.append(
                {
                    "source": held.label,
                    "photographs": which_photographs(held.profile),
                    "crop_size": config.crop_size,
                    "truth_colorfulness": summaries[0].truth_colorfulness,
                    "method": method,
                    "trained on": trained_on[method],
                    "seeds": len(summaries) if method in updates else None,
                    "updates": updates.get(method),
                    **spread(summaries, COLUMNS),
                }
            )
    return pd.DataFrame(records)


def exhibit(profile: Profile) -> tuple[pd.DataFrame, Illustration]:
    """The table and its picture; writes sources.csv, sources.md and sources.png."""
    table = sources_table(profile)
    write_text(profile.results / "sources.csv", table.to_csv(index=False, lineterminator="\n"))
    write_text(profile.results / "sources.md", table_markdown(readable(table), caption(table, profile)))
    return table, dots(table, profile)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table as people read it: a row per source, its errors side by side."""
    heads = {"gray": "gray", "mean chroma": "mean chroma", "look-up table": "look-up table"}
    heads |= {NETWORK: "network trained on them", VISITOR: _visitor_head(table)}
    shown = []
    for source, rows in table.groupby("source", sort=False):
        by_method = {row["method"]: row for row in rows.to_dict("records")}
        cells = {"photographs": str(source), "colorfulness": f"{rows['truth_colorfulness'].iloc[0]:.1f}"}
        cells |= {
            head: value_text(by_method[method], "MSE", 4) if method in by_method else "–"
            for method, head in heads.items()
        }
        shown.append(cells)
    return pd.DataFrame(shown)


def _visitor_head(table: pd.DataFrame) -> str:
    rows = table[table["method"] == VISITOR]
    return f"network trained on {rows['trained on'].iloc[0]}" if len(rows) else "network trained on others"


def answer(table: pd.DataFrame) -> list[str]:
    """Where the paper's error lies on each source, a sentence each."""
    return [_lies(str(source), rows) for source, rows in table.groupby("source", sort=False)]


def _lies(source: str, rows: pd.DataFrame) -> str:
    by_method = {row["method"]: row for row in rows.to_dict("records")}
    network, gray = by_method[NETWORK], by_method["gray"]
    where = (
        "inside its interval"
        if network["MSE low"] <= printed.MSE <= network["MSE high"]
        else f"{network['MSE'] / printed.MSE:.2f} times the paper's {printed.MSE}"
    )
    return (
        f"{source}: the network has {network['MSE']:.4f} [{network['MSE low']:.4f}, {network['MSE high']:.4f}], "
        f"{where}; gray {gray['MSE']:.4f}"
    )


def caption(table: pd.DataFrame, profile: Profile) -> str:
    """What the table's figures are figures of."""
    which = "; ".join(dict.fromkeys(table["photographs"]))
    config = profile.config(profile.seeds[0])
    return (
        f"Mean squared error on 8-bit RGB, pooled over {which}. Mean chroma and the look-up table are fitted on the "
        f"training photographs of the same source; the network of the last column on those of {config.photos} alone "
        f"({config.updates:,} updates). Colorfulness (Hasler & Süsstrunk) of the ground truth. In brackets: 95 % "
        f"bootstrap interval over images. The paper: {printed.MSE}, on photographs that it does not name."
    )


def html(table: pd.DataFrame, profile: Profile) -> str:
    """The table as accessible HTML: a caption, column and row headers."""
    return table_html(readable(table), caption(table, profile), cell=two_lines)


def dots(table: pd.DataFrame, profile: Profile) -> Illustration:
    """A line per source, a mark per method, intervals over images, and the paper's number across all of them."""
    path = profile.figures / "sources.png"
    names = list(dict.fromkeys(table["source"]))
    labels = {VISITOR: _visitor_head(table), NETWORK: "network trained on them"}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.3, 0.9 + 0.62 * len(names)))
        axes = figure.subplots()
        methods = [method for method in MARKS if method in set(table["method"])]
        for place, method in enumerate(methods):
            rows = table[table["method"] == method]
            marker, face, edge = MARKS[method]
            heights = [names.index(name) + 0.13 * (place - (len(methods) - 1) / 2) for name in rows["source"]]
            errors = [rows["MSE"] - rows["MSE low"], rows["MSE high"] - rows["MSE"]]
            axes.errorbar(
                rows["MSE"], heights, xerr=errors, linestyle="none", marker=marker, markersize=4.5, color=edge,
                markerfacecolor=face, markeredgewidth=0.9, elinewidth=0.7, label=labels.get(method, method),
            )  # fmt: skip
        axes.axvline(printed.MSE, color=PAPER, linewidth=0.8)
        axes.annotate(
            f"the paper: {printed.MSE}", (printed.MSE, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
            textcoords="offset points", ha="center", color=PAPER,
        )  # fmt: skip
        axes.set(yticks=range(len(names)), yticklabels=[name.replace(", ", "\n") for name in names])
        axes.set(ylim=(len(names) - 0.5, -0.5), xlabel="mean squared error", xscale="log")
        ticks = [0.002, 0.003, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03]
        low, high = axes.get_xlim()
        axes.set_xticks([tick for tick in ticks if low <= tick <= high])
        axes.set_xticklabels([f"{tick:g}" for tick in axes.get_xticks()])
        axes.minorticks_off()
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, handletextpad=0.2)
        save(figure, path)
    return Illustration(
        path=path,
        caption=(
            "<b>On which photographs?</b> Mean squared error of trivial answers and of the paper's network on the test "
            f"photographs of each source. Line: the paper's {printed.MSE}. Bars: 95 % bootstrap interval over images. "
            "Logarithmic scale."
        ),
        alt="Dot plot of mean squared errors, a row for each source. " + ". ".join(answer(table)) + ".",
    )
