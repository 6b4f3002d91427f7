"""claims.json as people read it: the verdicts counted, what each means, each number with its words."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How a verdict is shown: told by word and sign, so color only helps."""

    verdict: str
    sign: str
    kind: str
    """Its class in the style sheet."""
    meaning: str


MARKS = (
    Mark(
        verdict="reproduced",
        sign="=",
        kind="reproduced",
        meaning="What was measured equals what the paper says, after the paper's own rounding; an order, a bound or a "
        "shape that it states is there.",
    ),
    Mark(
        verdict="within tolerance",
        sign="≈",
        kind="tolerance",
        meaning="Not equal, but inside the tolerance that stands beside the claim; of an order, that the interval "
        "leaves it open.",
    ),
    Mark(
        verdict="differs (on our data)",
        sign="≠",
        kind="differs",
        meaning="What was measured is something else. The paper's photographs are unknown and may be the reason.",
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
"""In the order in which they are counted."""
BOUNDS = {"at most": "at most", "at least": "at least", "shape": "at least", "ordering": "above"}
"""What a relation asks of the measured number; the others ask for the paper's own."""


def read_claims(path: Path, profile: str) -> dict[str, Any] | None:
    """The judged claims of a profile; None where it was not judged.

    Raises:
        ValueError: the file is of another profile, holds an unknown verdict, or counts what it does not hold.
    """
    if not path.is_file():
        return None
    again = f"make it again: `colorlib claims --profile {profile}`"
    try:
        claims: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: {error}; {again}") from error
    if claims["profile"] != profile:
        raise ValueError(f"{path} holds the claims of profile {claims['profile']!r}; {again}")
    counted = Counter(claim["verdict"] for claim in claims["claims"])
    if unknown := counted.keys() - {mark.verdict for mark in MARKS}:
        raise ValueError(f"{path}: there is no verdict {', '.join(sorted(unknown))}; {again}")
    if claims["counts"] != {mark.verdict: counted[mark.verdict] for mark in MARKS}:
        raise ValueError(f"{path}: its counts are not those of its claims; {again}")
    return claims


def counts_sentence(claims: Mapping[str, Any]) -> str:
    """The verdicts counted, in one sentence."""
    counts: dict[str, int] = claims["counts"]
    parts = [f"{name} for {count}" for name, count in counts.items() if count]
    listed = ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else parts[0]
    return f"Of the {sum(counts.values())} claims of the paper listed below, the verdict is {listed}."


def held_to(claim: Mapping[str, Any]) -> str:
    """What decides a claim: the bound, where the paper's words give none, and the tolerance with its reason."""
    bound = ""
    if claim["value"] is not None and claim["relation"] in BOUNDS:
        bound = f"{BOUNDS[claim['relation']]} {claim['value']:,.10g}"
    parts = [part for part in (bound, claim["tolerance_text"]) if part]
    return f"Held to: {'; '.join(parts).rstrip('.')}." if parts else ""


def uncertainty(claim: Mapping[str, Any]) -> str:
    """The interval of what was measured, what it bounds, and the number of seeds with their spread."""
    parts = [claim["interval_text"]] if claim["interval_text"] else []
    if claim["seeds"] is not None:
        parts.append("1 seed" if claim["seeds"] == 1 else f"{claim['seeds']} seeds, ± their standard deviation")
    return "; ".join(parts)


def measurement(claim: Mapping[str, Any]) -> str:
    """The quantity that stands for a claim, and the photographs, updates and crops that its number comes from."""
    parts = [claim["quantity"]]
    if claim["photographs"]:
        parts.append(claim["photographs"])
    if claim["updates"] is not None:
        parts.append(f"{claim['updates']:,} updates")
    if claim["crop_size"] is not None:
        parts.append(f"crops of {claim['crop_size']} pixels")
    return f"Quantity: {'; '.join(parts)}."
