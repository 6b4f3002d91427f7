"""A network within the paper's budget, held against the paper's: chosen on validation, its test images scored once.

The sweep `lightweight` says which network with a tenth of the multiply-adds is best on validation; the profile of the
same name trains that one with as many updates as the paper's.
"""

import html
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from colorlib.companion.paired import ENOUGH
from colorlib.companion.plan import LIGHTWEIGHT, contestants
from colorlib.companion.sweep_summary import costs, over_seeds, read_summary
from colorlib.companion.tables import (
    DIGITS,
    read_rows,
    spread,
    summaries_by_seed,
    table_html,
    table_markdown,
    value_text,
)
from colorlib.files import write_text
from colorlib.profiles import Profile
from colorlib.scoring import NETWORK, NETWORK_TRUE_L

WAYS = {NETWORK: "as printed", NETWORK_TRUE_L: "with the true L"}
"""How a network's output is read, and what readers call it."""
LOOK_UP = "look-up table"
OVER_LOOK_UP, OVER_PAPER = "gain over the look-up table", "gain over the paper's network"
COLUMNS = {"mse": "MSE", "psnr_of_mse": "PSNR of MSE", "delta_e00": "ΔE00", "colorfulness": "colorfulness"}


def chosen(profile: Profile) -> str:
    """Which point of the sweep has the smallest pooled MSE on validation, as printed: a sentence.

    Raises:
        ValueError: the sweep has no finished point.
    """
    table = over_seeds(read_summary(profile.sweep(LIGHTWEIGHT) / "summary.csv"))
    ranked = table[table["method"] == NETWORK].sort_values("MSE").to_dict("records")
    best, *others = [f"{row['point']} {value_text(row, 'PSNR of MSE', DIGITS['PSNR of MSE'])} dB" for row in ranked]
    return f"Best on validation: {best} ({ranked[0]['changes']}); then {', '.join(others) or 'nothing'}."


def contest(challenger: Profile, champion: Profile) -> pd.DataFrame:
    """A row for each profile and way of reading its network: costs, figures, gains on the same test photographs.

    Gains are differences in PSNR of MSE in dB: over the look-up table, and over the champion's network read the same
    way. All are means over the seeds that both profiles have.

    Raises:
        ValueError: the two share no seed, or were scored on different photographs.
    """
    seeds = [seed for seed in champion.seeds if seed in challenger.seeds]
    if not seeds:
        raise ValueError(f"profiles {champion.name} and {challenger.name} have no seed in common")
    rows = [row for row in read_rows(champion.results / "per_image.csv") if row[0] is None]
    for profile in (champion, challenger):
        rows += [
            (seed, replace(score, method=f"{profile.name}: {score.method}"))
            for seed, score in read_rows(profile.results / "per_image.csv")
            if seed in seeds
        ]
    over_table = summaries_by_seed(rows, reference=LOOK_UP)
    records: list[dict[str, Any]] = []
    for way in WAYS:
        over_paper = summaries_by_seed(rows, reference=f"{champion.name}: {way}")
        for profile in (champion, challenger):
            name = f"{profile.name}: {way}"
            records.append(
                {"profile": profile.name, "method": way, "seeds": len(seeds)}
                | costs(profile.config(seeds[0]))
                | spread(over_table[name], COLUMNS | {"psnr_gain": OVER_LOOK_UP})
                | spread(over_paper[name], {"psnr_gain": OVER_PAPER})
            )
    return pd.DataFrame(records)


def answer(table: pd.DataFrame) -> list[str]:
    """Whether the challenger matches the champion, and clears the look-up table by more: a sentence for each way."""
    sentences = []
    for way, rows in table.groupby("method", sort=False):
        champion, challenger = rows.to_dict("records")
        share = challenger["multiply-adds per pixel"] / champion["multiply-adds per pixel"]
        verdict = f"{challenger['profile']} {_verdict(challenger)} the paper's network {WAYS[str(way)]}"
        sentences.append(
            f"{verdict}, at {share:.0%} of its multiply-adds: {value_text(challenger, OVER_PAPER, 2)} dB. The look-up "
            f"table it clears by {challenger[OVER_LOOK_UP]:.2f} dB, the paper's by {champion[OVER_LOOK_UP]:.2f} dB."
        )
    return sentences


def _verdict(row: Mapping[Any, Any]) -> str:
    if row["seeds"] < ENOUGH:
        return f"is on {row['seeds']} seed{'' if row['seeds'] == 1 else 's'} not yet told apart from"
    return "beats" if row[f"{OVER_PAPER} low"] > 0 else "falls behind" if row[f"{OVER_PAPER} high"] < 0 else "matches"


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as people read it."""
    return pd.DataFrame(
        [
            {
                "network": f"{row['profile']}, {WAYS[row['method']]}",
                "parameters": f"{row['parameters']:,.0f}",
                "multiply-adds per pixel": f"{row['multiply-adds per pixel']:,.0f}",
                **{column: value_text(row, column, DIGITS[column]) for column in COLUMNS.values()},
                **{column: value_text(row, column, 2) for column in (OVER_LOOK_UP, OVER_PAPER)},
            }
            for row in table.to_dict("records")
        ]
    )


def caption(table: pd.DataFrame) -> str:
    """What the table's figures are figures of."""
    seeds = int(table["seeds"].iloc[0])
    return (
        f"The paper's network (profile {table['profile'].iloc[0]}) and one within its budget, on the same test "
        f"photographs, each scored once; {seeds} seed{'' if seeds == 1 else 's'}. ± is the standard deviation over "
        "seeds, brackets hold 95 % bootstrap intervals over photographs; gains are differences in PSNR of MSE, in dB."
    )


def left_by(profile: Profile) -> Path:
    """What `exhibit` leaves."""
    return profile.results / "contest.md"


def exhibit(profile: Profile) -> str:
    """Which point `profile`'s sweep chose, and how it did against the paper's network, as far as that is known.

    Returns:
        Accessible HTML: sentences and a table. The same is written as contest.md.
    """
    table = None
    if not (profile.sweep(LIGHTWEIGHT) / "summary.csv").is_file():
        said = [f"{LIGHTWEIGHT}: not run yet (`make sweep SWEEP={LIGHTWEIGHT} PROFILE={profile.name}`)."]
    else:
        table = _scored(profile)
        rest = [f"It is not trained and scored as profile {LIGHTWEIGHT} yet."] if table is None else answer(table)
        said = [chosen(profile), *rest]
    marked = [] if table is None else [table_markdown(shown(table), caption(table)).rstrip()]
    write_text(left_by(profile), "\n\n".join([*said, *marked]) + "\n")
    text = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in said)
    return text if table is None else text + table_html(shown(table), caption(table))


def _scored(profile: Profile) -> pd.DataFrame | None:
    """The contest of the two profiles in the folders of `profile`; None where one of them is missing there."""
    both = contestants(profile)
    return contest(*both) if all((held.results / "per_image.csv").is_file() for held in both) else None
