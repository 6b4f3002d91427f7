"""Test errors of the baselines and of the paper's network on several data sets: the error depends on the photographs.

```
results/<profile>/sources.csv    a row per data set and method
results/<profile>/sources.md     a row per data set, the errors of the methods in columns
figures/<profile>/sources.png    (and .svg) the errors as a dot plot, with the paper's number as a line
results/<profile>/train_test.md  sweep `train_test`: trained on each source, scored on each
```
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from colorlib.colorizers import BASELINES
from colorlib.companion import paper
from colorlib.companion.artifacts.figures import (
    PAPER,
    REFERENCE,
    TRAINING,
    VALIDATION,
    Illustration,
    save_drawing,
    style,
)
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.steps import compared_profiles, cross_dataset_scores, files
from colorlib.companion.tables import (
    JOINED,
    Column,
    Table,
    measures,
    scored_photographs,
    spread,
    summaries_by_seed,
)
from colorlib.evaluate import NETWORK, NETWORK_TRUE_L, read_metrics, read_scores
from colorlib.files import read_json
from colorlib.metrics import Score
from colorlib.photos import find_source, open_photos
from colorlib.profiles import Profile
from colorlib.runs import Run, score_files

OTHER_NETWORK = "visiting network"
"""Method label of a profile's network on photographs of another data set than its own."""
COLUMNS = measures("mse", "psnr_of_mse", "colorfulness")
MARKERS = {
    "gray": ("o", "none", REFERENCE),
    "mean chroma": ("s", "none", REFERENCE),
    "look-up table": ("D", "none", REFERENCE),
    NETWORK: ("o", TRAINING, TRAINING),
    OTHER_NETWORK: ("X", VALIDATION, VALIDATION),
}
"""Method -> its marker, face color and edge color in the dot plot."""


def write(results: Results) -> tuple[Table, Illustration]:
    """Write the table and the figure in the files of `datasets`; returns both."""
    profile = results.profile
    table = as_table(error_rows(results), profile)
    csv_path, markdown_path, *_ = files(profile, "datasets")
    table.save(csv_path, markdown_path)
    return table, _dot_plot(table.data, profile)


@dataclass(frozen=True, kw_only=True)
class DatasetScores:
    """One data set: the profile that was trained on it, and all scores on its test photographs."""

    profile: Profile
    rows: Sequence[tuple[int | None, Score]]
    """Scores, each with the seed of its run; None for a baseline."""

    @property
    def label(self) -> str:
        """The data set and the updates of the network that was trained on it: the name of its row."""
        config = self.profile.config
        return f"{config.photos}, {config.updates:,} updates"


def read_scores_by_dataset(results: Results) -> list[DatasetScores]:
    """Return the scores on each data set.

    Raises:
        ValueError: the profile's network was not scored on a data set; the message has the command for it.
    """
    found, profile = [], results.profile
    for compared in compared_profiles(profile):
        rows = [row for row in results.other(compared.name).scores if row[1].method != NETWORK_TRUE_L]
        for seed in profile.seeds if compared.photos != profile.photos else ():
            path = cross_dataset_scores(profile, compared, seed)
            if not path.is_file():
                run = f"results/{profile.name}/seed-{seed}"
                raise ValueError(f"{path} does not exist; run `colorlib evaluate {run} --photos {compared.photos}`")
            scores = [score for score in read_scores(path) if score.method == NETWORK]
            rows += [(seed, replace(score, method=OTHER_NETWORK)) for score in scores]
        found.append(DatasetScores(profile=compared, rows=rows))
    return found


def error_rows(results: Results) -> pd.DataFrame:
    """Return the rows of sources.csv, one per data set and method: errors with intervals, training data and updates."""
    rows: list[dict[str, Any]] = []
    profile = results.profile
    for dataset in read_scores_by_dataset(results):
        config = dataset.profile.config
        updates = {NETWORK: config.updates, OTHER_NETWORK: profile.config.updates}
        trained_on = dict.fromkeys((*BASELINES, NETWORK), config.photos) | {"gray": "", OTHER_NETWORK: profile.photos}
        for method, summaries in summaries_by_seed(dataset.rows).items():
            rows.append(
                {
                    "source": dataset.label,
                    "photographs": scored_photographs(dataset.profile),
                    "crop_size": config.crop_size,
                    "truth_colorfulness": summaries[0].truth_colorfulness,
                    "method": method,
                    "trained on": trained_on[method],
                    "seeds": len(summaries) if method in updates else None,
                    "updates": updates.get(method),
                    **spread(summaries, COLUMNS),
                }
            )
    return pd.DataFrame(rows)


def as_table(data: pd.DataFrame, profile: Profile) -> Table:
    """Return the rows of sources.csv as a table with one row per data set, the errors of the methods in columns."""
    heads = {name: name for name in BASELINES}
    heads |= {NETWORK: "network trained on them", OTHER_NETWORK: _other_network_head(data)}
    shown = []
    for source, rows in data.groupby("source", sort=False):
        row = {"photographs": source, "colorfulness": rows["truth_colorfulness"].iloc[0]}
        for values in rows.to_dict("records"):
            head = heads[values["method"]]
            row |= {f"{head}{part}": values.get(f"MSE{part}") for part in ("", " sd", " low", " high")}
        shown.append(row)
    photographs = "; ".join(dict.fromkeys(data["photographs"]))
    config = profile.config
    caption = (
        f"Mean squared error on 8-bit RGB, pooled over {photographs}. Mean chroma and the look-up table are fitted on "
        f"the training photographs of the same source; the network of the last column on those of {config.photos} "
        f"alone ({config.updates:,} updates). Colorfulness (Hasler & Süsstrunk) of the ground truth. In brackets: 95 % "
        f"bootstrap interval over images, for several seeds the {JOINED}. The paper: "
        f"{paper.MSE}, on photographs that it does not name."
    )
    return Table(
        data=data,
        shown=pd.DataFrame(shown),
        columns=[
            Column(name="photographs"),
            Column(name="colorfulness", digits=1),
            *(Column(name=head, digits=4) for head in heads.values()),
        ],
        caption=caption,
    )


def _other_network_head(data: pd.DataFrame) -> str:
    rows = data[data["method"] == OTHER_NETWORK]
    return f"network trained on {rows['trained on'].iloc[0]}" if len(rows) else "network trained on others"


def comparisons(data: pd.DataFrame) -> list[str]:
    """Return a sentence for each data set that compares the network's error with the paper's."""
    return [_comparison(str(source), rows) for source, rows in data.groupby("source", sort=False)]


def _comparison(source: str, rows: pd.DataFrame) -> str:
    by_method = {row["method"]: row for row in rows.to_dict("records")}
    network, gray = by_method[NETWORK], by_method["gray"]
    position = (
        "an interval that includes the paper's error"
        if network["MSE low"] <= paper.MSE <= network["MSE high"]
        else f"{network['MSE'] / paper.MSE:.2f} times the paper's {paper.MSE}"
    )
    return (
        f"{source}: the network has {network['MSE']:.4f} [{network['MSE low']:.4f}, {network['MSE high']:.4f}], "
        f"{position}; gray {gray['MSE']:.4f}"
    )


def _dot_plot(data: pd.DataFrame, profile: Profile) -> Illustration:
    """Draw a line per data set with a marker and an interval per method, and the paper's number as a vertical line."""
    path = files(profile, "datasets")[2]
    names = list(dict.fromkeys(data["source"]))
    labels = {OTHER_NETWORK: _other_network_head(data), NETWORK: "network trained on them"}
    with style():
        figure = Figure(figsize=(6.3, 0.9 + 0.62 * len(names)))
        axes = figure.subplots()
        # Draw errors and intervals, the methods of a data set one above the other
        methods = [method for method in MARKERS if method in set(data["method"])]
        for place, method in enumerate(methods):
            rows = data[data["method"] == method]
            marker, face, edge = MARKERS[method]
            heights = [names.index(name) + 0.13 * (place - (len(methods) - 1) / 2) for name in rows["source"]]
            errors = [rows["MSE"] - rows["MSE low"], rows["MSE high"] - rows["MSE"]]
            axes.errorbar(
                rows["MSE"], heights, xerr=errors, linestyle="none", marker=marker, markersize=4.5, color=edge,
                markerfacecolor=face, markeredgewidth=0.9, elinewidth=0.7, label=labels.get(method, method),
            )  # fmt: skip
        # Draw the paper's number, set the axes and the legend
        axes.axvline(paper.MSE, color=PAPER, linewidth=0.8)
        axes.annotate(
            f"the paper: {paper.MSE}", (paper.MSE, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
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
        save_drawing(figure, path)
    return Illustration(
        path=path,
        figure=figure,
        drawing=True,
        label="On which photographs?",
        caption=(
            "Mean squared error of the baselines and of the paper's network on the test photographs of each source. "
            f"Line: the paper's {paper.MSE}. Bars: 95 % bootstrap interval over images. Logarithmic scale."
        ),
        alt="Dot plot of mean squared errors, a row for each source. " + ". ".join(comparisons(data)) + ".",
    )


def overview(photos: str) -> Table:
    """Return the splits of a source: number and sizes of photographs, and the hash of their names and contents."""
    rows = []
    for split in find_source(photos).splits:
        found = open_photos(photos, split)
        shapes = [pixels.shape for pixels in found.decode()]
        sizes = sorted({f"{width} × {height}" for height, width, _ in shapes})
        rows.append(
            {
                "split": split,
                "photographs": len(found),
                "megapixels": round(sum(height * width for height, width, _ in shapes) / 1e6, 1),
                "sizes": ", ".join(sizes) if len(sizes) <= 4 else f"{len(sizes)} different",
                "sha256": found.digest[:16],
            }
        )
    names = ("split", "photographs", "megapixels", "sizes", "sha256")
    return Table(
        data=pd.DataFrame(rows),
        columns=[Column(name=name) for name in names],
        caption=f"The photographs of {photos}. Terms: {open_photos(photos, 'train').terms}.",
    )


# Trained on each source, scored on each

TRAIN_TEST = "train_test"
"""The sweep that trains on each source and on all of them."""
TESTED = ("bsds500", "imagenet-sample@256", "cifar10", "zhang2016")
"""Sources whose test photographs its points are scored on; nothing is trained on the last one."""


SCORED = measures("psnr_of_mse", "mean_psnr", "ssim", "delta_e00")


def train_test_rows(profile: Profile) -> pd.DataFrame:
    """Return a row for each point, seed and source of `TESTED` that was scored: PSNR of MSE, mean PSNR, SSIM and ΔE00.

    Columns: `point`, `seed`, `updates`, `tested on`, and the measures. Empty where the sweep was not run.

    Raises:
        ValueError: a file of a point is damaged; the message names it.
    """
    rows = []
    for path in sorted(profile.sweep(TRAIN_TEST).glob("*/point.json")):
        record = read_json(path, {"point": str, "seed": int, "parameters": dict}, fix="run the sweep again")
        own, updates = record["parameters"]["photos"], Run(path.parent).history()[-1]["updates"]
        for photos in TESTED:
            scored, _ = score_files(path.parent, photos, "test", own=own)
            if not scored.is_file():
                continue
            values = read_metrics(scored)["methods"][NETWORK]
            point = {"point": record["point"], "seed": record["seed"], "updates": updates, "tested on": photos}
            rows.append(point | {column.name: values[name]["value"] for name, column in SCORED.items()})
    return pd.DataFrame(rows)


def train_test_table(profile: Profile) -> Table:
    """Return the table of the sweep: a row for each point, PSNR on each test set in columns, means over seeds."""
    rows = train_test_rows(profile)
    if rows.empty:
        raise NotMeasuredError(f"The runs are not scored yet; make sweep SWEEP={TRAIN_TEST} PROFILE={profile.name}")
    records = []
    for point, of_point in rows.groupby("point", sort=False):
        record: dict[str, Any] = {"trained on": point, "seeds": of_point["seed"].nunique()}
        for photos, found in of_point.groupby("tested on", sort=False):
            record[str(photos)] = found["PSNR of MSE"].mean()
            if len(found) > 1:
                record[f"{photos} sd"] = found["PSNR of MSE"].std()
        records.append(record)
    return Table(
        data=pd.DataFrame(records),
        columns=[
            Column(name="trained on"), Column(name="seeds", digits=0), *(Column(name=name, digits=2) for name in TESTED)
        ],
        caption=(
            "PSNR of MSE in dB on the test photographs of each source (columns), by what a network was trained on "
            f"(rows), at equal updates; ± is the standard deviation over seeds. Nothing was trained on {TESTED[-1]}."
        ),
    )  # fmt: skip
