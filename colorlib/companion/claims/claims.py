"""The claims table: every claim of the paper with its measurement and verdict.

Claims are data (paper/claims.yaml), measurements are functions (`MEASUREMENTS`), and `decide` computes the verdict from
the two.
"""

import math
import typing
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from colorlib.companion.claims import from_scores, from_training
from colorlib.companion.claims.measurement import Measurement
from colorlib.companion.claims.text import markdown, summary
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.steps import CLAIMS, files
from colorlib.files import read_yaml, round_floats, write_json, write_text
from colorlib.profiles import changes_text
from colorlib.provenance import machines

RELATIONS = ("equals", "about", "at most", "at least", "ordering", "shape", "qualitative")
BASES = ("text", "data")
MEASUREMENTS = from_training.MEASUREMENTS | from_scores.MEASUREMENTS
"""Functions that a claim may name as its measurement."""


class Verdict(StrEnum):
    """The possible verdicts on a claim, in the order in which they are counted."""

    REPRODUCED = "reproduced"
    WITHIN = "within tolerance"
    DIFFERS = "differs (on our data)"
    CONTRADICTED = "contradicted"
    NOT_TESTABLE = "not testable"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One statement of the paper; the comment at the top of paper/claims.yaml explains the fields."""

    id: str
    section: str
    group: str
    says: str
    quantity: str
    relation: str
    basis: str
    reason: str
    """The reason for this value and tolerance; without a measurement, the reason why there is none."""
    value: float | None = None
    value_text: str = ""
    """The value in the paper's own words or digits."""
    rounding: float = 0.0
    """Unit of the paper's last digit."""
    tolerance: float = 0.0
    measurement: str | None = None
    """A name in `MEASUREMENTS`."""

    def __post_init__(self) -> None:
        """Refuse a claim that cannot be decided.

        Raises:
            ValueError: relation, basis or measurement is unknown, or a measured claim has no value.
        """
        if self.relation not in RELATIONS:
            raise ValueError(f"claim {self.id}: relation {self.relation!r}: there are {', '.join(RELATIONS)}")
        if self.basis not in BASES:
            raise ValueError(f"claim {self.id}: basis {self.basis!r}: there are {', '.join(BASES)}")
        if self.measurement is not None and self.measurement not in MEASUREMENTS:
            raise ValueError(
                f"claim {self.id}: no measurement is called {self.measurement!r}; there are {', '.join(MEASUREMENTS)}"
            )
        if self.measurement and self.relation != "qualitative" and self.value is None:
            raise ValueError(f"claim {self.id}: a {self.relation!r} claim that is measured needs a value")


def read_claims(path: Path = CLAIMS) -> list[Claim]:
    """Return the claims, in the file's order.

    Raises:
        ValueError: an entry lacks a field, has an unknown one or one of another type, or repeats an id.
    """
    claims = []
    content, kinds = read_yaml(path), typing.get_type_hints(Claim)
    if not isinstance(content, list):
        raise ValueError(f"{path.name}: expected a list of claims")  # noqa: TRY004
    for number, entry in enumerate(content, start=1):
        if not isinstance(entry, dict) or not all(isinstance(name, str) for name in entry):
            raise ValueError(f"{path.name}, claim {number}: expected lines of `field: value`")
        where = f"{path.name}, claim {entry.get('id', number)}"
        for name, value in entry.items():
            kind = kinds.get(name, object)
            if isinstance(value, bool) or not isinstance(value, (kind, int) if kind in (float, float | None) else kind):
                raise ValueError(f"{where}: {name} is {str(value)[:60]!r}, which is of the wrong type")  # noqa: TRY004
            if isinstance(value, (int, float)) and not abs(value) < 1e300:
                raise ValueError(f"{where}: {name} is {str(value)[:60]}, which is not a finite number")
        try:
            claims.append(Claim(**entry))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from error
    repeated = [name for name, count in Counter(claim.id for claim in claims).items() if count > 1]
    if repeated:
        raise ValueError(f"{path.name}: more than one claim is called {', '.join(repeated)}")
    return claims


def decide(claim: Claim, measurement: Measurement) -> Verdict:
    """Return the verdict on a claim, by the rules at the top of paper/claims.yaml.

    Raises:
        ValueError: an ordering is measured without an interval.
    """
    if claim.relation == "qualitative":
        return Verdict.NOT_TESTABLE
    assert claim.value is not None
    missed = Verdict.CONTRADICTED if claim.basis == "text" else Verdict.DIFFERS
    if claim.relation == "ordering":
        if measurement.low is None or measurement.high is None:
            raise ValueError(f"claim {claim.id}: an order needs an interval, and {claim.measurement} gives none")
        if measurement.low > claim.value:
            return Verdict.REPRODUCED
        return Verdict.WITHIN if measurement.high > claim.value else missed
    if claim.relation in ("equals", "about"):
        distance, allowed = abs(measurement.value - claim.value), claim.rounding / 2
    else:
        above = measurement.value - claim.value
        distance, allowed = (above if claim.relation == "at most" else -above), 0.0
    # The slack is for decimal fractions, which have no exact float: 2.05 - 2.0 is a little more than 0.05.
    if distance <= allowed + 1e-12 * abs(claim.value):
        return Verdict.REPRODUCED
    return Verdict.WITHIN if distance <= claim.tolerance else missed


def judge(claim: Claim, results: Results) -> dict[str, Any]:
    """Measure and decide a claim; returns its entry of claims.json."""
    # Measure, or find the reason why there is no measurement
    try:
        measurement = MEASUREMENTS[claim.measurement](results) if claim.measurement else None
    except NotMeasuredError as error:
        measurement, missing = None, str(error)
    else:
        missing = claim.reason
    # Decide
    if measurement is not None:
        verdict, why = decide(claim, measurement), measurement.why
        if claim.relation == "qualitative":
            why = f"{why} {_sentence(claim.reason)}"
    else:
        qualitative = claim.relation == "qualitative"
        verdict, why = (Verdict.NOT_TESTABLE if qualitative else Verdict.NOT_MEASURED), _sentence(missing)
    # Write down both
    measured = asdict(measurement) if measurement else {}
    tolerance = f"± {claim.tolerance:g}: {claim.reason}" if claim.tolerance else claim.reason
    return {
        "id": claim.id,
        "section": claim.section,
        "group": claim.group,
        "says": claim.says,
        "quantity": claim.quantity,
        "relation": claim.relation,
        "basis": claim.basis,
        "value": claim.value,
        "value_text": claim.value_text,
        "tolerance_text": tolerance if claim.value is not None else "",
        "verdict": str(verdict),
        "measured": _finite(measured.get("value")),
        "measured_text": measured.get("text", "–"),
        "low": _finite(measured.get("low")),
        "high": _finite(measured.get("high")),
        "interval_text": measured.get("interval", ""),
        "sd": measured.get("sd"),
        "seeds": measured.get("seeds"),
        "photographs": measured.get("photographs", ""),
        "updates": measured.get("updates"),
        "crop_size": measured.get("crop_size"),
        "command": measured.get("command", ""),
        "why": why,
    }


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:].rstrip(".") + "."


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def judge_claims(
    results: Results, claims: Sequence[Claim] | None = None, *, on_claim: Callable[[Claim], None] = lambda claim: None
) -> dict[str, Any]:
    """Return the content of claims.json: every claim with its verdict, and the runs that decide.

    Args:
        results: of the profile whose runs decide.
        claims: the claims; all of paper/claims.yaml without it.
        on_claim: called with each claim before it is measured.

    Raises:
        ValueError: the profile has no run.
    """
    profile, config = results.profile, results.profile.config
    judged = []
    for claim in read_claims() if claims is None else claims:
        on_claim(claim)
        judged.append(judge(claim, results))
    record = results.records[0]
    counts = Counter(entry["verdict"] for entry in judged)
    return {
        "profile": profile.name,
        "photographs": config.photos,
        "seeds": list(profile.seeds),
        "updates": config.updates,
        "crop_size": config.crop_size,
        "epochs": config.epochs,
        "hardware": machines([record]),
        "source": record["source"][:16],
        "command": f"colorlib claims --profile {profile.name}",
        "counts": {str(verdict): counts[str(verdict)] for verdict in Verdict},
        "claims": judged,
    }


def write_claims(results: Results, *, on_claim: Callable[[Claim], None] = lambda claim: None) -> dict[str, Any]:
    """Judge all claims and write claims.json, claims.md and, for README.md, verdicts.md into the profile's results.

    Args:
        results: of the profile whose runs decide.
        on_claim: called with each claim before it is measured.

    Returns:
        The content of claims.json.

    Raises:
        ValueError: the profile's method is not the paper's.
    """
    profile = results.profile
    if profile.changes:
        raise ValueError(
            f"profile {profile.name} trains another method than the paper's ({changes_text(profile.changes)}), which "
            "says nothing of the paper's claims; judge them by another profile, as with `make claims PROFILE=paper`"
        )
    judged: dict[str, Any] = round_floats(judge_claims(results, on_claim=on_claim))
    as_json, as_markdown, as_summary = files(profile, "claims")
    write_json(as_json, judged)
    write_text(as_markdown, markdown(judged))
    write_text(as_summary, summary(judged))
    return judged
