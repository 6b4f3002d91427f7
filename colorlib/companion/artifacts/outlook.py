"""What the sweeps say: the ideas of the paper's outlook, each as one change of its method, and the lightweight network.

```
results/<profile>/outlook.csv    a row per point and method: scores, and their change against the paper's method
results/<profile>/outlook.md     the same as a table
figures/<profile>/outlook.png    (and .svg) the change in PSNR of each point, seed by seed
results/<profile>/contest.md     the lightweight network against the paper's
```

The sweep `lightweight` compares networks with at most a tenth of the paper's multiply-adds on validation; the profile
of the same name trains the best one with as many updates as the paper's, and its test photographs are scored once. The
sweep `contest` says what its learning-rate schedule is worth to the paper's network; the sweep `balance` chose a
smaller one for several sources.
"""

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any

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
from colorlib.companion.costs import costs
from colorlib.companion.results import Results
from colorlib.companion.steps import (
    BALANCE,
    ELSEWHERE,
    LIGHTWEIGHT,
    PRIMARY,
    SCHEDULE,
    STORY_POINTS,
    baselines_on_validation,
    files,
)
from colorlib.companion.sweeps.run import finished
from colorlib.companion.sweeps.spec import sweep_file, with_trained
from colorlib.companion.sweeps.summary import (
    ENOUGH,
    compare_points,
    differences,
    load_trained,
    mean_change,
    mean_over_seeds,
    over_seeds,
    photographs,
    read_summary,
    summary_table,
    sweep_rows,
)
from colorlib.companion.tables import (
    JOINED,
    MEASURES,
    Column,
    Table,
    gain_text,
    measures,
    spread,
    summaries_by_seed,
)
from colorlib.config import as_json
from colorlib.evaluate import NETWORK, NETWORK_TRUE_L, Estimate, read_metrics, read_scores, summarize
from colorlib.files import write_text
from colorlib.metrics import psnr_of
from colorlib.profiles import Profile, changes_text
from colorlib.provenance import machines
from colorlib.runs import score_files

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


# The lightweight network

OUTPUT_NAMES = {NETWORK: "network output (RGB)", NETWORK_TRUE_L: "its a and b with the true L"}
"""Method -> its name in contest.md."""
LOOK_UP = "look-up table"
OVER_LOOK_UP, OVER_PAPER = "gain over the look-up table", "gain over the paper's network"
CONTEST_COLUMNS = measures("mse", "psnr_of_mse", "delta_e00", "colorfulness")
GAIN_OVER_LOOK_UP, GAIN_OVER_PAPER = Column(name=OVER_LOOK_UP, digits=2), Column(name=OVER_PAPER, digits=2)


def write_lightweight(results: Results) -> tuple[list[str], Table | None]:
    """Write contest.md: the network that the sweep chose, and its comparison with the paper's, as far as there is one.

    Args:
        results: of the profile whose sweep `lightweight` chose the network.

    Returns:
        Sentences, and the table of the comparison or None.
    """
    profile = results.profile
    both = results.other(LIGHTWEIGHT), results.other(PRIMARY)
    table = None
    if not (profile.sweep(LIGHTWEIGHT) / "summary.csv").is_file():
        sentences = [f"{LIGHTWEIGHT}: not run yet (`make sweep SWEEP={LIGHTWEIGHT} PROFILE={profile.name}`)."]
    elif not all(files(other.profile, "scores")[0].is_file() for other in both):
        sentences = [best_point(profile), f"It is not trained and scored as profile {LIGHTWEIGHT} yet."]
    else:
        data = compare_networks(*both)
        sentences = [best_point(profile), *comparisons(data)]
        table = _contest_table(data, *both)
    parts = [*sentences, table.markdown().rstrip()] if table else sentences
    (path,) = files(profile, "lightweight")
    write_text(path, "\n\n".join(parts) + "\n")
    return sentences, table


def best_point(profile: Profile) -> str:
    """Return a sentence with the point of the sweep whose raw RGB output has the smallest pooled MSE on validation.

    Raises:
        ValueError: the sweep has no finished point.
    """
    table = over_seeds(read_summary(profile.sweep(LIGHTWEIGHT) / "summary.csv"))
    ranked = table[table["method"] == NETWORK].sort_values("MSE").to_dict("records")
    best, *others = [f"{row['point']} {MEASURES['psnr_of_mse'].text(row)} dB" for row in ranked]
    seeds = " to ".join(dict.fromkeys(str(pick(row["seeds"] for row in ranked)) for pick in (min, max)))
    return (
        f"Best on {photographs(ranked[0])}, after {ranked[0]['updates']:,} updates of {_seeds(seeds)}: {best} "
        f"({ranked[0]['changes']}); then {', '.join(others) or 'nothing'}."
    )


def _seeds(count: int | str) -> str:
    return f"{count} seed{'' if str(count) == '1' else 's'}"


def compare_networks(lightweight: Results, paper: Results) -> pd.DataFrame:
    """Return a row for each profile and output (RGB, true L): costs, scores, gains on the same test photographs.

    Gains are differences in PSNR of MSE in dB: over the look-up table, and over the same output of the paper's network.
    All are means over the seeds that both profiles were scored with, their intervals over photographs and seeds.

    Raises:
        ValueError: the two share no seed, or were scored on different photographs.
    """
    both = (paper, lightweight)
    seeds = [seed for seed in paper.profile.seeds if seed in lightweight.profile.seeds]
    if not seeds:
        raise ValueError(f"profiles {paper.profile.name} and {lightweight.profile.name} have no seed in common")
    rows = [row for row in paper.scores if row[0] is None]
    for results in both:
        own = [(seed, score) for seed, score in results.scores if seed in seeds]
        rows += [(seed, replace(score, method=f"{results.profile.name}: {score.method}")) for seed, score in own]
    over_table = summaries_by_seed(rows, reference=LOOK_UP)
    records: list[dict[str, Any]] = []
    for method in OUTPUT_NAMES:
        over_paper = summaries_by_seed(rows, reference=f"{paper.profile.name}: {method}")
        for results in both:
            name = f"{results.profile.name}: {method}"
            trained = [record for record in results.records if record["config"]["seed"] in seeds]
            records.append(
                {"profile": results.profile.name, "method": method, "seeds": len(seeds)}
                | {"trained on": machines(trained)}
                | costs(results.profile.config)
                | spread(over_table[name], CONTEST_COLUMNS | {"psnr_gain": GAIN_OVER_LOOK_UP})
                | spread(over_paper[name], {"psnr_gain": GAIN_OVER_PAPER})
            )
    return pd.DataFrame(records)


def comparisons(data: pd.DataFrame) -> list[str]:
    """Return a sentence for each output (raw RGB, true L) that compares the lightweight network with the paper's."""
    sentences = []
    for method, rows in data.groupby("method", sort=False):
        paper, lightweight = rows.to_dict("records")
        share = lightweight["multiply-adds per pixel"] / paper["multiply-adds per pixel"]
        verdict = (
            f"{OUTPUT_NAMES[str(method)]}: {lightweight['profile']} {_against_paper(lightweight)} the paper's network"
        )
        sentences.append(
            f"{verdict}, at {share:.0%} of its multiply-adds: {GAIN_OVER_PAPER.text(lightweight)} dB. Over the look-up "
            f"table it gains {lightweight[OVER_LOOK_UP]:.2f} dB, the paper's {paper[OVER_LOOK_UP]:.2f} dB."
        )
    return sentences


def _against_paper(row: Mapping[Any, Any]) -> str:
    """Return the verdict: a difference where the interval over photographs and seeds does not include zero."""
    if row["seeds"] < ENOUGH:
        return f"is on {_seeds(row['seeds'])} not yet told apart from"
    if row[f"{OVER_PAPER} low"] > 0:
        return "beats"
    return "falls behind" if row[f"{OVER_PAPER} high"] < 0 else "is not shown to differ from"


def _contest_table(data: pd.DataFrame, lightweight: Results, paper: Results) -> Table:
    """Return the rows of `compare_networks` as a table; its caption has the two configurations and machines."""
    own, papers = as_json(lightweight.profile.config), as_json(paper.profile.config)
    changes = changes_text({name: value for name, value in own.items() if value != papers[name]})
    trained = " and ".join(
        f"{row['profile']} on {row['trained on']}" for row in data.drop_duplicates("profile").to_dict("records")
    )
    networks = [f"{row['profile']}, {OUTPUT_NAMES[row['method']]}" for row in data.to_dict("records")]
    return Table(
        data=data.assign(network=networks),
        columns=[
            Column(name="network"),
            Column(name="parameters", digits=0),
            Column(name="multiply-adds per pixel", digits=0),
            *CONTEST_COLUMNS.values(),
            GAIN_OVER_LOOK_UP,
            GAIN_OVER_PAPER,
        ],
        caption=(
            f"The paper's network (profile {paper.profile.name}) and one within its budget (profile "
            f"{lightweight.profile.name}: {changes}), on the same test photographs, each scored once; "
            f"{_seeds(int(data['seeds'].iloc[0]))}. In brackets: {JOINED}; gains are differences in PSNR of MSE, in "
            f"dB. Trained: {trained}."
        ),
    )


# What the schedule is worth, and the sweep behind the small colorizer

_, CONTEST, FALLING, UNCHANGED = STORY_POINTS[SCHEDULE]
"""A sweep of the paper's network, scored on test photographs; its point with the learning-rate schedule that the
lightweight network was trained with, and the point that changes nothing.
"""
PLACES = ("at home", "away")


def gains_of_schedule(lightweight: Results, paper: Profile) -> dict[str, Estimate]:
    """Return what the falling learning rate gains the paper's network, and what the lightweight one gains over that.

    Both are differences in PSNR of MSE in dB of equal seeds on the same test photographs.

    Args:
        lightweight: results of the profile whose network has this schedule.
        paper: the profile whose sweep `CONTEST` is read.

    Returns:
        Two means over seeds: of `FALLING` over `UNCHANGED`, and of the lightweight network over `FALLING`.

    Raises:
        ValueError: the sweep was not run, or has another number of photographs.
    """
    rows = sweep_rows(paper, CONTEST)
    rows = rows[(rows["method"] == NETWORK) & (rows["scored"] == "test")]
    own = {
        seed: psnr_of(fmean(row.mse for of, row in lightweight.scores if of == seed and row.method == NETWORK))
        for seed in lightweight.profile.seeds
    }
    images = {len({row.image for of, row in lightweight.scores if of == seed}) for seed in own}
    if images != set(rows["images"]):
        raise ValueError(f"the sweep {CONTEST} of {paper.name} was not scored on the photographs of {LIGHTWEIGHT}")
    falling = rows[rows["point"] == FALLING].set_index("seed")["PSNR of MSE"]
    return {
        FALLING: mean_change(rows, FALLING, UNCHANGED),
        LIGHTWEIGHT: mean_over_seeds([float(value) for value in (pd.Series(own) - falling).dropna()]),
    }


def schedule_sentence(gained: Mapping[str, Estimate]) -> str:
    """Return the outcome of `gains_of_schedule` as a sentence."""
    return (
        f"A falling learning rate gains the paper's network {gain_text(gained[FALLING])} dB; the lightweight network, "
        f"which has it, is then {gain_text(gained[LIGHTWEIGHT])} dB from it"
    )


def sweep_home_and_away(profile: Profile) -> Table | None:
    """Return the points of the sweep `BALANCE` on validation photographs at home and away; None if none is scored."""
    records = []
    for point in load_trained(sweep_file(BALANCE), profile).points:
        if finished(point) is None:
            continue
        own = point.config.photos
        scored = (score_files(point.directory, photos, "val", own=own)[0] for photos in (own, ELSEWHERE))
        record: dict[str, Any] = {"point": point.name, "seed": point.seed}
        for place, path in zip(PLACES, scored, strict=True):
            network = read_metrics(path)["methods"][NETWORK_TRUE_L]
            record |= {f"{MEASURES[name].name} {place}": network[name]["value"] for name in ("psnr_of_mse", "ssim")}
        records.append(record)
    if not records:
        return None
    data = pd.DataFrame(records)
    means = data.groupby("point", sort=False).mean().drop(columns="seed")
    means.insert(0, "seeds", data.groupby("point", sort=False).size())
    return Table(
        data=means.reset_index(),
        columns=[
            Column(name="point"),
            Column(name="seeds"),
            *(Column(name=f"PSNR of MSE {place}", digits=2) for place in PLACES),
            *(Column(name=f"SSIM {place}", digits=3) for place in PLACES),
        ],
        caption=(
            f"Sweep {BALANCE}, profile {profile.name}, on validation photographs at home and of {ELSEWHERE}, with the "
            "photographs' own L; means over seeds, without intervals: it chooses, and decides nothing."
        ),
    )
