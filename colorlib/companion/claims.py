"""The ledger: every claim of the paper, what was measured of it, and the verdict that follows.

Claims are data (paper/claims.yaml); what measures them is code (`findings`); a verdict is a function of the two.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from colorlib.companion.claims_text import markdown, summary
from colorlib.companion.evidence import Evidence, Finding, NotMeasuredError
from colorlib.companion.findings import FINDINGS
from colorlib.companion.machines import machine
from colorlib.companion.sweep_summary import changes_text
from colorlib.files import write_json, write_text
from colorlib.profiles import PROJECT, Profile
from colorlib.runs import Run

CLAIMS = PROJECT / "paper" / "claims.yaml"
LEDGER = ("claims.json", "claims.md", "verdicts.md")
"""What the ledger of a profile is written to."""
RELATIONS = ("equals", "about", "at most", "at least", "ordering", "shape", "qualitative")
BASES = ("text", "data")


class Verdict(StrEnum):
    """What a measurement says of a claim."""

    REPRODUCED = "reproduced"
    WITHIN = "within tolerance"
    DIFFERS = "differs (on our data)"
    CONTRADICTED = "contradicted"
    NOT_TESTABLE = "not testable"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One checkable statement of the paper; the head of paper/claims.yaml says what the fields mean."""

    id: str
    section: str
    group: str
    says: str
    quantity: str
    relation: str
    basis: str
    because: str
    """Why this value and tolerance; without a finding, why there is none."""
    value: float | None = None
    printed: str = ""
    """The value as the paper gives it."""
    rounding: float = 0.0
    """Unit of the paper's last digit."""
    tolerance: float = 0.0
    finding: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be decided."""
        if self.relation not in RELATIONS:
            raise ValueError(f"claim {self.id}: relation {self.relation!r}: there are {', '.join(RELATIONS)}")
        if self.basis not in BASES:
            raise ValueError(f"claim {self.id}: basis {self.basis!r}: there are {', '.join(BASES)}")
        if self.finding is not None and self.finding not in FINDINGS:
            raise ValueError(f"claim {self.id}: no finding is called {self.finding!r}; there are {', '.join(FINDINGS)}")
        if self.finding and self.relation != "qualitative" and self.value is None:
            raise ValueError(f"claim {self.id}: a {self.relation!r} claim that is measured needs a value")


def read_claims(path: Path = CLAIMS) -> list[Claim]:
    """The claims, in the file's order.

    Raises:
        ValueError: an entry lacks a field, has an unknown one, or repeats an id.
    """
    claims = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
        try:
            claims.append(Claim(**entry))
        except TypeError as error:
            raise ValueError(f"{path.name}, claim {entry.get('id', '?')}: {error}") from error
    repeated = [name for name, count in Counter(claim.id for claim in claims).items() if count > 1]
    if repeated:
        raise ValueError(f"{path.name}: more than one claim is called {', '.join(repeated)}")
    return claims


def decide(claim: Claim, finding: Finding) -> Verdict:
    """The verdict that a measurement gives a claim, by the rules at the head of paper/claims.yaml."""
    if claim.relation == "qualitative":
        return Verdict.NOT_TESTABLE
    assert claim.value is not None
    missed = Verdict.CONTRADICTED if claim.basis == "text" else Verdict.DIFFERS
    if claim.relation == "ordering":
        if finding.low is None or finding.high is None:
            raise ValueError(f"claim {claim.id}: an order needs an interval, and {claim.finding} gives none")
        if finding.low > claim.value:
            return Verdict.REPRODUCED
        return Verdict.WITHIN if finding.high > claim.value else missed
    if claim.relation in ("equals", "about"):
        distance, allowed = abs(finding.value - claim.value), claim.rounding / 2
    else:
        above = finding.value - claim.value
        distance, allowed = (above if claim.relation == "at most" else -above), 0.0
    # A hair more than is allowed, where it is a sum of decimal fractions that have no exact float.
    if distance <= allowed + 1e-12 * abs(claim.value):
        return Verdict.REPRODUCED
    return Verdict.WITHIN if distance <= claim.tolerance else missed


def judge(claim: Claim, evidence: Evidence) -> dict[str, Any]:
    """A claim with its measurement and verdict, as claims.json holds it."""
    try:
        finding = FINDINGS[claim.finding](evidence) if claim.finding else None
    except NotMeasuredError as error:
        finding, missing = None, str(error)
    else:
        missing = claim.because
    if finding is not None:
        verdict, why = decide(claim, finding), finding.why
        if claim.relation == "qualitative":
            why = f"{why} {_sentence(claim.because)}"
    else:
        qualitative = claim.relation == "qualitative"
        verdict, why = (Verdict.NOT_TESTABLE if qualitative else Verdict.NOT_MEASURED), _sentence(missing)
    measured = asdict(finding) if finding else {}
    tolerance = f"± {claim.tolerance:g}: {claim.because}" if claim.tolerance else claim.because
    return {
        "id": claim.id,
        "section": claim.section,
        "group": claim.group,
        "says": claim.says,
        "quantity": claim.quantity,
        "relation": claim.relation,
        "basis": claim.basis,
        "value": claim.value,
        "value_text": claim.printed,
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


def ledger(profile: Profile, claims: Sequence[Claim] | None = None) -> dict[str, Any]:
    """Every claim judged by the runs of a profile.

    Raises:
        ValueError: the profile has no run.
    """
    evidence = Evidence(profile)
    judged = [judge(claim, evidence) for claim in (read_claims() if claims is None else claims)]
    record, config = Run(profile.run(profile.seeds[0])).record(), profile.config(profile.seeds[0])
    counts = Counter(entry["verdict"] for entry in judged)
    return {
        "profile": profile.name,
        "photographs": config.photos,
        "seeds": list(profile.seeds),
        "updates": config.updates,
        "crop_size": config.crop_size,
        "epochs": config.epochs,
        "hardware": machine(record["hardware"]),
        "source": record["source"][:16],
        "command": f"colorlib claims --profile {profile.name}",
        "counts": {str(verdict): counts[str(verdict)] for verdict in Verdict},
        "claims": judged,
    }


def write_claims(profile: Profile) -> dict[str, Any]:
    """Judge all claims; leaves claims.json, claims.md and, for README.md, verdicts.md in the profile's results.

    Raises:
        ValueError: the profile's method is not the paper's.
    """
    if profile.changes:
        raise ValueError(
            f"profile {profile.name} trains another method than the paper's ({changes_text(profile.changes)}), which "
            "says nothing of the paper's claims; judge them by another profile, as with `make claims PROFILE=paper`"
        )
    judged = ledger(profile)
    as_json, as_markdown, as_summary = (profile.results / name for name in LEDGER)
    write_json(as_json, judged)
    write_text(as_markdown, markdown(judged))
    write_text(as_summary, summary(judged))
    return judged
