"""The claims table as text: verdicts and their counts, measured numbers, criteria; as Markdown and for the terminal."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colorlib.files import read_json


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The display of a verdict: by word and sign, so that nobody depends on color."""

    verdict: str
    sign: str
    kind: str
    """The verdict's class in the style sheet."""
    meaning: str


MARKS = (
    Mark(
        verdict="reproduced",
        sign="=",
        kind="reproduced",
        meaning="The whole interval of what was measured equals what the paper says, after the paper's own rounding, "
        "or lies on the side of the bound that it states.",
    ),
    Mark(
        verdict="within tolerance",
        sign="≈",
        kind="tolerance",
        meaning="Not that, but the whole interval lies inside the tolerance that the claim has.",
    ),
    Mark(
        verdict="undecided",
        sign="~",
        kind="undecided",
        meaning="The interval lies neither wholly inside nor wholly outside: these data cannot tell. The reason gives "
        "the smallest effect that they could have shown.",
    ),
    Mark(
        verdict="differs (on our data)",
        sign="≠",
        kind="differs",
        meaning="The whole interval lies outside. The paper's photographs are unknown and may be the reason.",
    ),
    Mark(
        verdict="contradicted",
        sign="×",
        kind="contradicted",
        meaning="Arithmetic or the paper's own text speaks against it, whatever the photographs.",
    ),
    Mark(verdict="not testable", sign="?", kind="open", meaning="No measurement decides it."),
    Mark(
        verdict="not measured",
        sign="–",
        kind="open",
        meaning="A measurement would decide it; none was made here yet.",
    ),
)
"""The verdicts in the order in which they are counted."""
BOUNDS = {"at most": "at most", "at least": "at least", "shape": "at least", "ordering": "above", "better": "above"}
"""Relations that bound the measured number, in words; the others compare it with the paper's value."""


TEXTS = (
    *("id", "section", "group", "says", "quantity", "relation", "basis", "value_text", "tolerance_text", "verdict"),
    *("measured_text", "interval_text", "command", "why"),
)
NUMBERS = ("value", "measured", "low", "high", "p", "p_corrected", "seeds", "updates", "crop_size")
"""Numbers of a claim, which are null where nothing was measured."""
CLAIM = dict.fromkeys(TEXTS, str) | dict.fromkeys(NUMBERS, (int, float, type(None)))
VERDICTS = {
    "profile": str,
    "seeds": list,
    "counts": dict,
    "measurements": int,
    "claims": [CLAIM | {"photographs": (str, type(None)), "fixed": (str, type(None)), "gains": list}],
}
"""Fields of claims.json."""


def read_verdicts(path: Path, profile: str) -> dict[str, Any] | None:
    """Return the content of a profile's claims.json, or None if there is no such file.

    Raises:
        ValueError: the file cannot be parsed, lacks a field, is of another profile, has an unknown verdict, or counts
            them wrongly.
    """
    if not path.is_file():
        return None
    again = f"run `colorlib claims --profile {profile}`"
    claims = read_json(path, VERDICTS, fix=again)
    if claims["profile"] != profile:
        raise ValueError(f"{path} holds the claims of profile {claims['profile']!r}; {again}")
    counted = Counter(claim["verdict"] for claim in claims["claims"])
    if unknown := counted.keys() - {mark.verdict for mark in MARKS}:
        raise ValueError(f"{path}: there is no verdict {', '.join(sorted(unknown))}; {again}")
    if claims["counts"] != {mark.verdict: counted[mark.verdict] for mark in MARKS}:
        raise ValueError(f"{path}: its counts are not those of its claims; {again}")
    return claims


def counts_sentence(claims: Mapping[str, Any]) -> str:
    """Return one sentence with the count of each verdict."""
    counts: dict[str, int] = claims["counts"]
    parts = [f"{count} {name}" for name, count in counts.items() if count]
    return (
        f"The paper's {sum(counts.values())} claims, which rest on {claims['measurements']} independent measurements, "
        f"and their verdicts: {', '.join(parts)}."
    )


def held_to(claim: Mapping[str, Any]) -> str:
    """Return the criterion of a claim as a sentence: bound, tolerance with its reason, and when it was fixed."""
    bound = ""
    if claim["value"] is not None and claim["relation"] in BOUNDS:
        bound = f"{BOUNDS[claim['relation']]} {claim['value']:,.10g}"
    parts = [part for part in (bound, claim["tolerance_text"]) if part]
    if parts and claim["fixed"]:
        parts.append(f"fixed {claim['fixed']} these results were known")
    return f"Held to: {'; '.join(parts).rstrip('.')}." if parts else ""


def uncertainty(claim: Mapping[str, Any]) -> str:
    """Return the interval of the measured number and the number of seeds, as a phrase."""
    parts = [claim["interval_text"]] if claim["interval_text"] else []
    if claim["seeds"] is not None:
        parts.append("1 seed" if claim["seeds"] == 1 else f"{claim['seeds']} seeds")
    return "; ".join(parts)


def short_measured(claim: Mapping[str, Any]) -> str:
    """Return the measured number as text, without its interval.

    Of a claim of quality it is the gain on each set of photographs; the first gain of a set is in PSNR, which decides.
    """
    first: dict[str, float] = {}
    for gain in claim["gains"]:
        first.setdefault(gain["place"], gain["value"])
    if not first:
        text: str = claim["measured_text"]
        return text
    (place, value), *others = first.items()
    elsewhere = ", ".join(f"{value:+.1f}" for _, value in others)
    return f"{value:+.1f} dB {place}" + (f"; elsewhere {elsewhere}" if others else "")


def measurement(claim: Mapping[str, Any]) -> str:
    """Return a sentence with the measured quantity and the photographs, updates and crops that it comes from."""
    parts = [claim["quantity"]]
    if claim["photographs"]:
        parts.append(claim["photographs"])
    if claim["updates"] is not None:
        parts.append(f"{claim['updates']:,} updates")
    if claim["crop_size"] is not None:
        parts.append(f"crops of {claim['crop_size']} pixels")
    return f"Quantity: {'; '.join(parts)}."


def summary(judged: Mapping[str, Any]) -> str:
    """Return verdicts.md: a Markdown table with a row for each verdict, its claims with the paper's value and ours."""
    lines = [_subject(judged), "", "| verdict | | claims: the paper's value, and ours |", "|---|---|---|"]
    for verdict, count in judged["counts"].items():
        items = "; ".join(_item(entry) for entry in judged["claims"] if entry["verdict"] == verdict)
        lines.append(f"| **{verdict}** | {count} | {items} |")
    return "\n".join(lines) + "\n"


def _item(entry: Mapping[str, Any]) -> str:
    name = entry["id"].replace("-", " ")
    return f"{name} ({entry['value_text']}: {measured_text(entry)})" if entry["measured"] is not None else name


def _subject(judged: Mapping[str, Any]) -> str:
    """Return a sentence with the number of claims and the runs that decide them."""
    seeds = ", ".join(map(str, judged["seeds"]))
    return (
        f"{len(judged['claims'])} claims on {judged['measurements']} independent measurements, judged by profile "
        f"`{judged['profile']}`: {judged['updates']:,} updates on {judged['photographs']}, "
        f"seed{'s' if len(judged['seeds']) > 1 else ''} {seeds}."
    )


def markdown(judged: Mapping[str, Any]) -> str:
    """Return claims.md: the count of each verdict, then a Markdown table with a row for each claim."""
    counted = ", ".join(f"{count} {verdict}" for verdict, count in judged["counts"].items() if count)
    lines = [
        f"{_subject(judged)} {counted}.",
        "",
        "| the paper says | section | paper | measured | criterion fixed | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for entry in judged["claims"]:
        lines.append(
            f"| {entry['says']} | {entry['section']} | {entry['value_text'] or '–'} | {measured_text(entry)} | "
            f"{entry['fixed'] or '–'} | {entry['verdict']} |"
        )
    return "\n".join(lines) + "\n"


def measured_text(entry: Mapping[str, Any]) -> str:
    """Return the measured number as text, with its interval and its number of seeds."""
    text: str = entry["measured_text"]
    if entry["measured"] is None:
        return text
    if entry["interval_text"]:
        text += f" [{entry['interval_text'].partition(' (')[0]}]"
    return f"{text} (n = {entry['seeds']})" if entry["seeds"] else text


def terminal(judged: Mapping[str, Any]) -> str:
    """Return the claims table as the command line prints it."""
    lines = []
    group = None
    for entry in judged["claims"]:
        if entry["group"] != group:
            group = entry["group"]
            lines.append(f"\n{group}")
        lines.append(f"  {entry['verdict']:<22} {entry['says']} ({entry['section']})")
        if entry["measured"] is not None:
            paper = f"paper: {entry['value_text']}; " if entry["value_text"] else ""
            interval = f", {entry['interval_text']}" if entry["interval_text"] else ""
            lines.append(f"  {'':<22} {paper}measured: {entry['measured_text']}{interval}")
        lines.append(f"  {'':<22} {entry['why']}")
    lines.append("\n" + ", ".join(f"{count} {verdict}" for verdict, count in judged["counts"].items()))
    return "\n".join(lines).lstrip("\n")
