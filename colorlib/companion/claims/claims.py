"""The claims table: every claim of the paper with its measurement and verdict.

Claims are data (paper/claims.yaml), measurements are functions (`MEASUREMENTS`), and `decide` computes the verdict from
the two; paper/verdicts.md explains how.
"""

import math
import typing
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from colorlib.companion.claims import from_colors, from_scores, from_training
from colorlib.companion.claims.measurement import Effect, Measurement, StudentError, better_everywhere
from colorlib.companion.claims.text import markdown, summary
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.steps import CLAIMS, files
from colorlib.files import read_yaml, round_floats, write_json, write_text
from colorlib.profiles import changes_text
from colorlib.provenance import machines

RELATIONS = ("equals", "about", "at most", "at least", "ordering", "shape", "better", "qualitative")
BASES = ("text", "data")
FIXED = ("before", "after")
MEASUREMENTS = from_training.MEASUREMENTS | from_scores.MEASUREMENTS | from_colors.MEASUREMENTS
"""Functions that a claim may name as its measurement."""


class Verdict(StrEnum):
    """The possible verdicts on a claim, in the order in which they are counted."""

    REPRODUCED = "reproduced"
    WITHIN = "within tolerance"
    UNDECIDED = "undecided"
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
    fixed: str | None = None
    """`before` or `after`: whether measure, value and tolerance are older than the results that decide."""
    same_as: str | None = None
    """The claim whose measured number this one restates in another unit."""
    family: str | None = None
    """The family of tests that Holm's correction joins this one with."""

    def __post_init__(self) -> None:
        """Refuse a claim that cannot be decided.

        Raises:
            ValueError: relation, basis, measurement or `fixed` is unknown, or a measured claim lacks value or `fixed`.
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
        needed = self.measurement and self.basis == "data"
        if self.fixed not in (FIXED if needed else (*FIXED, None)):
            raise ValueError(
                f"claim {self.id}: fixed {self.fixed!r}: a measured claim on data says {' or '.join(FIXED)}"
            )

    def reproduced(self) -> tuple[float, float]:
        """Return the bounds of the numbers that reproduce the claim, both included."""
        assert self.value is not None
        # The slack is for decimal fractions, which have no exact float: 2.05 - 2.0 is a little more than 0.05.
        slack = 1e-12 * abs(self.value)
        if self.relation in ("equals", "about"):
            return self.value - self.rounding / 2 - slack, self.value + self.rounding / 2 + slack
        if self.relation == "at most":
            return -math.inf, self.value + slack
        if self.relation in ("ordering", "better"):
            return math.nextafter(self.value, math.inf), math.inf
        return self.value - slack, math.inf

    def tolerated(self) -> tuple[float, float]:
        """Return the bounds of the numbers that lie in the tolerance; those of `reproduced` where there is none."""
        assert self.value is not None
        low, high = self.reproduced()
        if not self.tolerance:
            return low, high
        slack = 1e-12 * abs(self.value)
        return min(low, self.value - self.tolerance - slack), max(high, self.value + self.tolerance + slack)


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
    names = {claim.id for claim in claims}
    for claim in claims:
        if claim.same_as is not None and claim.same_as not in names:
            raise ValueError(f"{path.name}, claim {claim.id}: same_as names {claim.same_as!r}, which is no claim")
    return claims


def decide(claim: Claim, measurement: Measurement) -> Verdict:
    """Return the verdict on a claim: the whole interval decides, by the rules that paper/verdicts.md explains.

    REPRODUCED: the whole interval lies among the numbers that reproduce the claim. WITHIN: it lies in the claim's
    tolerance, which amounts to two one-sided tests (TOST). DIFFERS, or CONTRADICTED where arithmetic or the paper's own
    text decides: it lies outside of both. UNDECIDED: neither, or there is no interval.
    """
    if claim.relation == "qualitative":
        return Verdict.NOT_TESTABLE
    missed = Verdict.CONTRADICTED if claim.basis == "text" else Verdict.DIFFERS
    if claim.relation == "better":
        of_effect = {Effect.BETTER: Verdict.REPRODUCED, Effect.WORSE: missed, Effect.OPEN: Verdict.UNDECIDED}
        return of_effect[better_everywhere(measurement.gains)]
    low, high = measurement.low, measurement.high
    if low is None or high is None:
        if claim.basis == "data":
            return Verdict.UNDECIDED
        low = high = measurement.value
    inner, outer = claim.reproduced(), claim.tolerated()
    if inner[0] <= low and high <= inner[1]:
        return Verdict.REPRODUCED
    if outer[0] <= low and high <= outer[1]:
        return Verdict.WITHIN
    return missed if high < outer[0] or low > outer[1] else Verdict.UNDECIDED


def measure(claim: Claim, results: Results) -> Measurement | str:
    """Return the measurement of a claim, or the reason why there is none."""
    try:
        return MEASUREMENTS[claim.measurement](results) if claim.measurement else claim.reason
    except NotMeasuredError as error:
        return str(error)


def corrected(claims: Sequence[Claim], measured: Sequence[Measurement | str]) -> list[Measurement | str]:
    """Return the measurements, in which the tests of each family have p-values and intervals after Holm's correction.

    An interval at the level 1 - 0.05 p / p_corrected excludes the claim's value exactly where the corrected p-value is
    below 0.05, so `decide` needs no other rule for them.
    """
    found = list(measured)
    for family in {claim.family for claim in claims if claim.family}:
        # Collect the tests of the family that were made
        tests: dict[int, tuple[Measurement, StudentError, float]] = {}
        for place, (claim, each) in enumerate(zip(claims, measured, strict=True)):
            if claim.family == family and isinstance(each, Measurement) and each.error:
                assert claim.value is not None
                tests[place] = each, each.error, each.error.p_value(each.value, claim.value)
        # Correct them, the smallest p-value first
        largest = 0.0
        for rank, place in enumerate(sorted(tests, key=lambda place: tests[place][2])):
            each, error, p = tests[place]
            largest = max(largest, (len(tests) - rank) * p)
            level = 1 - 0.05 * (p / largest if largest else 1 / len(tests))
            low, high = error.interval(each.value, level)
            found[place] = replace(
                each, low=low, high=high, level=level, p=p, p_corrected=min(largest, 1.0), tests=len(tests)
            )
    return found


def judge(claim: Claim, measured: Measurement | str) -> dict[str, Any]:
    """Decide a claim; returns its entry of claims.json.

    Args:
        claim: the claim.
        measured: its measurement, or the reason why there is none.
    """
    measurement = measured if isinstance(measured, Measurement) else None
    if measurement is not None:
        verdict, why = decide(claim, measurement), measurement.why
        if claim.relation == "qualitative":
            why = f"{why} {_sentence(claim.reason)}"
        if verdict is Verdict.UNDECIDED:
            why = f"{why} {_smallest_effect(measurement)}"
    else:
        qualitative = claim.relation == "qualitative"
        verdict, why = (Verdict.NOT_TESTABLE if qualitative else Verdict.NOT_MEASURED), _sentence(str(measured))
    tolerance = f"± {claim.tolerance:g}: {claim.reason}" if claim.tolerance else claim.reason
    entry: dict[str, Any] = {
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
        "fixed": claim.fixed,
        "verdict": str(verdict),
        "measured": None,
        "measured_text": "–",
        "low": None,
        "high": None,
        "interval_text": "",
        "p": None,
        "p_corrected": None,
        "gains": [],
        "seeds": None,
        "photographs": "",
        "updates": None,
        "crop_size": None,
        "command": "",
        "why": why,
    }
    if measurement is not None:
        entry |= {
            "measured": _finite(measurement.value),
            "measured_text": measurement.text,
            "low": _finite(measurement.low),
            "high": _finite(measurement.high),
            "interval_text": measurement.interval,
            "p": measurement.p,
            "p_corrected": measurement.p_corrected,
            "gains": [asdict(gain) | {"effect": str(gain.effect)} for gain in measurement.gains],
            "seeds": measurement.seeds,
            "photographs": measurement.photographs,
            "updates": measurement.updates,
            "crop_size": measurement.crop_size,
            "command": measurement.command,
        }
    return entry


def _smallest_effect(measurement: Measurement) -> str:
    """Return a sentence with the smallest effect that the data could have shown."""
    if measurement.half_width is None:
        return "One seed gives no interval, so no effect could be shown."
    smallest = measurement.show(measurement.half_width).lstrip("+")
    return f"The smallest effect that these data could have shown is {smallest}, half the width of the interval."


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
    listed = read_claims() if claims is None else claims
    measured = []
    for claim in listed:
        on_claim(claim)
        measured.append(measure(claim, results))
    judged = [judge(claim, each) for claim, each in zip(listed, corrected(listed, measured), strict=True)]
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
        "measurements": independent_measurements(listed, judged),
        "claims": judged,
    }


def independent_measurements(claims: Sequence[Claim], judged: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of measurements behind the claims: one that serves several claims counts once."""
    names = {claim.id: claim.measurement for claim in claims}
    return len(
        {
            names.get(claim.same_as, claim.measurement) if claim.same_as else claim.measurement
            for claim, entry in zip(claims, judged, strict=True)
            if entry["measured"] is not None
        }
    )


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
