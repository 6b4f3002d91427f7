"""A network within the paper's budget, held against the paper's: chosen on validation, its test images scored once.

The sweep `lightweight` says which network with a tenth of the multiply-adds is best on validation; the profile of the
same name trains that one with as many updates as the paper's.
"""

import html
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from colorlib.companion.paired import ENOUGH
from colorlib.companion.plan import EVIDENCE
from colorlib.companion.plan import LIGHTWEIGHT as NAME
from colorlib.companion.sweep_summary import costs, over_seeds, read_summary
from colorlib.companion.tables import DIGITS, read_rows, spread, summaries_by_seed, table_html, value_text
from colorlib.profiles import PROFILES, Profile, load_profile
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
    table = over_seeds(read_summary(profile.sweep(NAME) / "summary.csv"))
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


def table_of(table: pd.DataFrame) -> str:
    """The table as accessible HTML: a caption, column and row headers."""
    shown = pd.DataFrame(
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
    seeds = int(table["seeds"].iloc[0])
    caption = (
        f"The paper's network (profile {table['profile'].iloc[0]}) and one within its budget, on the same test "
        f"photographs, each scored once; {seeds} seed{'' if seeds == 1 else 's'}. ± is the standard deviation over "
        "seeds, brackets hold 95 % bootstrap intervals over photographs; gains are differences in PSNR of MSE, in dB."
    )
    return table_html(shown, caption)


def contest_html(profile: Profile) -> str:
    """All that is known so far: which point `profile`'s sweep chose, and how it did against the paper's network."""
    if not (profile.sweep(NAME) / "summary.csv").is_file():
        return f"<p>{NAME}: not run yet (<code>make sweep SWEEP={NAME} PROFILE={profile.name}</code>).</p>"
    table = _scored(profile)
    rest = [f"It is not trained and scored as profile {NAME} yet."] if table is None else answer(table)
    text = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in (chosen(profile), *rest))
    return text if table is None else text + table_of(table)


def _scored(profile: Profile) -> pd.DataFrame | None:
    """The contest of the two profiles in the folders of `profile`; None where one of them is missing there."""
    if not (PROFILES / f"{NAME}.yaml").is_file():
        return None
    both = [replace(load_profile(name), root=profile.root) for name in (NAME, EVIDENCE)]
    return contest(*both) if all((held.results / "per_image.csv").is_file() for held in both) else None
