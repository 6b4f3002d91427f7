"""A network within the paper's budget, held against the paper's: chosen on validation, its test images scored once.

The sweep `lightweight` says which network with a tenth of the multiply-adds is best on validation; the profile of the
same name trains that one with as many updates as the paper's.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from colorlib.companion.compared import LIGHTWEIGHT, contestants
from colorlib.companion.machines import machines
from colorlib.companion.paired import ENOUGH, students_interval
from colorlib.companion.sweep_summary import changes_text, costs, over_seeds, photographs, read_summary
from colorlib.companion.tables import (
    DIGITS,
    read_rows,
    spread,
    summaries_by_seed,
    table_html,
    table_markdown,
    value_text,
)
from colorlib.config import as_json
from colorlib.evaluate import Summary
from colorlib.files import write_text
from colorlib.profiles import Profile
from colorlib.runs import Run
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
    seeds = " to ".join(dict.fromkeys(str(pick(row["seeds"] for row in ranked)) for pick in (min, max)))
    return (
        f"Best on {photographs(ranked[0])}, after {ranked[0]['updates']:,} updates of {_seeds(seeds)}: {best} "
        f"({ranked[0]['changes']}); then {', '.join(others) or 'nothing'}."
    )


def _seeds(count: int | str) -> str:
    return f"{count} seed{'' if str(count) == '1' else 's'}"


def contest(challenger: Profile, champion: Profile) -> pd.DataFrame:
    """A row for each profile and way of reading its network: costs, figures, gains on the same test photographs.

    Gains are differences in PSNR of MSE in dB: over the look-up table, and over the champion's network read the same
    way. All are means over the seeds that both profiles were scored with; the second gain also has `… of seeds low`
    and `… high`, the bounds of its 95 % interval over seeds (Student's t), from `ENOUGH` seeds on.

    Raises:
        ValueError: the two share no seed, or were scored on different photographs.
    """
    both = (champion, challenger)
    scored = [read_rows(profile.results / "per_image.csv") for profile in both]
    common = set.intersection(*({seed for seed, _ in held if seed is not None} for held in scored))
    if not common:
        raise ValueError(f"profiles {champion.name} and {challenger.name} have no seed in common")
    seeds = sorted(common)
    rows = [row for row in scored[0] if row[0] is None]
    for profile, held in zip(both, scored, strict=True):
        own = [(seed, score) for seed, score in held if seed in common]
        rows += [(seed, replace(score, method=f"{profile.name}: {score.method}")) for seed, score in own]
    over_table = summaries_by_seed(rows, reference=LOOK_UP)
    records: list[dict[str, Any]] = []
    for way in WAYS:
        over_paper = summaries_by_seed(rows, reference=f"{champion.name}: {way}")
        for profile in both:
            name = f"{profile.name}: {way}"
            records.append(
                {"profile": profile.name, "method": way, "seeds": len(seeds)}
                | {"trained on": machines(Run(profile.run(seed)).record() for seed in seeds)}
                | costs(profile.config(seeds[0]))
                | spread(over_table[name], COLUMNS | {"psnr_gain": OVER_LOOK_UP})
                | spread(over_paper[name], {"psnr_gain": OVER_PAPER})
                | _over_seeds(over_paper[name])
            )
    return pd.DataFrame(records)


def _over_seeds(summaries: Sequence[Summary]) -> dict[str, float]:
    """The interval over seeds of the gain over the paper's network."""
    if len(summaries) < ENOUGH:
        return {}
    low, high = students_interval([summary.psnr_gain.value for summary in summaries if summary.psnr_gain])
    return {f"{OVER_PAPER} of seeds low": low, f"{OVER_PAPER} of seeds high": high}


def answer(table: pd.DataFrame) -> list[str]:
    """Whether the challenger matches the champion, and clears the look-up table by more: a sentence for each way."""
    sentences = []
    for way, rows in table.groupby("method", sort=False):
        champion, challenger = rows.to_dict("records")
        share = challenger["multiply-adds per pixel"] / champion["multiply-adds per pixel"]
        verdict = f"{challenger['profile']} {_verdict(challenger)} the paper's network {WAYS[str(way)]}"
        low, high = (challenger.get(f"{OVER_PAPER} of seeds {end}") for end in ("low", "high"))
        sure = "" if low is None else f" over photographs, [{low:.2f}, {high:.2f}] over seeds"
        ours, papers = challenger[OVER_LOOK_UP], champion[OVER_LOOK_UP]
        sentences.append(
            f"{verdict}, at {share:.0%} of its multiply-adds: {value_text(challenger, OVER_PAPER, 2)} dB{sure}. The "
            f"look-up table it clears by {ours:.2f} dB, the paper's by {papers:.2f} dB."
        )
    return sentences


def _verdict(row: Mapping[Any, Any]) -> str:
    """A difference is one where neither interval holds zero: other photographs and other seeds would show it too."""
    if row["seeds"] < ENOUGH:
        return f"is on {_seeds(row['seeds'])} not yet told apart from"
    low = min(row[f"{OVER_PAPER} low"], row[f"{OVER_PAPER} of seeds low"])
    high = max(row[f"{OVER_PAPER} high"], row[f"{OVER_PAPER} of seeds high"])
    return "beats" if low > 0 else "falls behind" if high < 0 else "matches"


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


def caption(table: pd.DataFrame, challenger: Profile, champion: Profile) -> str:
    """What the table's figures are figures of, and what the two were trained with."""
    own, papers = as_json(challenger.config(0)), as_json(champion.config(0))
    changes = changes_text({name: value for name, value in own.items() if value != papers[name]})
    trained = " and ".join(
        f"{row['profile']} on {row['trained on']}" for row in table.drop_duplicates("profile").to_dict("records")
    )
    return (
        f"The paper's network (profile {champion.name}) and one within its budget (profile {challenger.name}: "
        f"{changes}), on the same test photographs, each scored once; {_seeds(int(table['seeds'].iloc[0]))}. ± is the "
        "standard deviation over seeds, brackets hold 95 % bootstrap intervals over photographs; gains are differences "
        f"in PSNR of MSE, in dB. Trained: {trained}."
    )


def left_by(profile: Profile) -> Path:
    """What `exhibit` leaves."""
    return profile.results / "contest.md"


def exhibit(profile: Profile) -> str:
    """Which point `profile`'s sweep chose, and how it did against the paper's network, as far as that is known.

    Returns:
        Accessible HTML: sentences and a table. The same is written as contest.md.
    """
    table, both = None, contestants(profile)
    if not (profile.sweep(LIGHTWEIGHT) / "summary.csv").is_file():
        said = [f"{LIGHTWEIGHT}: not run yet (`make sweep SWEEP={LIGHTWEIGHT} PROFILE={profile.name}`)."]
    else:
        table = contest(*both) if all((held.results / "per_image.csv").is_file() for held in both) else None
        rest = [f"It is not trained and scored as profile {LIGHTWEIGHT} yet."] if table is None else answer(table)
        said = [chosen(profile), *rest]
    text, marked = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in said), list(said)
    if table is not None:
        text += table_html(shown(table), caption(table, *both))
        marked.append(table_markdown(shown(table), caption(table, *both)).rstrip())
    write_text(left_by(profile), "\n\n".join(marked) + "\n")
    return text
