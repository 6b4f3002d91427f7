"""The lightweight network against the paper's: chosen on validation, its test photographs scored once.

The sweep `lightweight` compares networks with at most a tenth of the paper's multiply-adds on validation; the profile
of the same name trains the best one with as many updates as the paper's. The sweep `contest` says what its
learning-rate schedule is worth to the paper's network; the sweep `balance` chose a smaller one for several sources.
"""

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any

import pandas as pd

from colorlib.companion.costs import costs
from colorlib.companion.results import Results
from colorlib.companion.steps import BALANCE, ELSEWHERE, LIGHTWEIGHT, PRIMARY, SCHEDULE, STORY_POINTS, files
from colorlib.companion.sweeps.run import finished
from colorlib.companion.sweeps.spec import sweep_file
from colorlib.companion.sweeps.summary import (
    ENOUGH,
    load_trained,
    mean_change,
    mean_over_seeds,
    over_seeds,
    photographs,
    read_summary,
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
from colorlib.evaluate import NETWORK, NETWORK_TRUE_L, Estimate, read_metrics
from colorlib.files import write_text
from colorlib.metrics import psnr_of
from colorlib.profiles import Profile, changes_text
from colorlib.provenance import machines
from colorlib.runs import score_files

OUTPUTS = {NETWORK: "network output (RGB)", NETWORK_TRUE_L: "its a and b with the true L"}
"""Method -> its name in contest.md."""
LOOK_UP = "look-up table"
OVER_LOOK_UP, OVER_PAPER = "gain over the look-up table", "gain over the paper's network"
COLUMNS = measures("mse", "psnr_of_mse", "delta_e00", "colorfulness")
GAIN_OVER_LOOK_UP, GAIN_OVER_PAPER = Column(name=OVER_LOOK_UP, digits=2), Column(name=OVER_PAPER, digits=2)


def write(results: Results) -> tuple[list[str], Table | None]:
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
        table = _table(data, *both)
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
    for method in OUTPUTS:
        over_paper = summaries_by_seed(rows, reference=f"{paper.profile.name}: {method}")
        for results in both:
            name = f"{results.profile.name}: {method}"
            trained = [record for record in results.records if record["config"]["seed"] in seeds]
            records.append(
                {"profile": results.profile.name, "method": method, "seeds": len(seeds)}
                | {"trained on": machines(trained)}
                | costs(results.profile.config)
                | spread(over_table[name], COLUMNS | {"psnr_gain": GAIN_OVER_LOOK_UP})
                | spread(over_paper[name], {"psnr_gain": GAIN_OVER_PAPER})
            )
    return pd.DataFrame(records)


def comparisons(data: pd.DataFrame) -> list[str]:
    """Return a sentence for each output (raw RGB, true L) that compares the lightweight network with the paper's."""
    sentences = []
    for method, rows in data.groupby("method", sort=False):
        paper, lightweight = rows.to_dict("records")
        share = lightweight["multiply-adds per pixel"] / paper["multiply-adds per pixel"]
        verdict = f"{OUTPUTS[str(method)]}: {lightweight['profile']} {_verdict(lightweight)} the paper's network"
        sentences.append(
            f"{verdict}, at {share:.0%} of its multiply-adds: {GAIN_OVER_PAPER.text(lightweight)} dB. Over the look-up "
            f"table it gains {lightweight[OVER_LOOK_UP]:.2f} dB, the paper's {paper[OVER_LOOK_UP]:.2f} dB."
        )
    return sentences


def _verdict(row: Mapping[Any, Any]) -> str:
    """Return the verdict: a difference where the interval over photographs and seeds does not include zero."""
    if row["seeds"] < ENOUGH:
        return f"is on {_seeds(row['seeds'])} not yet told apart from"
    if row[f"{OVER_PAPER} low"] > 0:
        return "beats"
    return "falls behind" if row[f"{OVER_PAPER} high"] < 0 else "is not shown to differ from"


def _table(data: pd.DataFrame, lightweight: Results, paper: Results) -> Table:
    """Return the rows of `compare_networks` as a table; its caption has the two configurations and machines."""
    own, papers = as_json(lightweight.profile.config), as_json(paper.profile.config)
    changes = changes_text({name: value for name, value in own.items() if value != papers[name]})
    trained = " and ".join(
        f"{row['profile']} on {row['trained on']}" for row in data.drop_duplicates("profile").to_dict("records")
    )
    networks = [f"{row['profile']}, {OUTPUTS[row['method']]}" for row in data.to_dict("records")]
    return Table(
        data=data.assign(network=networks),
        columns=[
            Column(name="network"),
            Column(name="parameters", digits=0),
            Column(name="multiply-adds per pixel", digits=0),
            *COLUMNS.values(),
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
