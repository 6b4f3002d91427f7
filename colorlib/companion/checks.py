"""What a check of the evidence says, and how two files are compared, by kind."""

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from colorlib.images import decode_file

NUMBERS = 1e-9
"""Relative tolerance of a number that is pooled anew by other versions: sums in another order."""
LEVELS, SHARE = 16, 0.001
"""A picture made anew by other versions or on another processor: at most this share of its pixels may differ by more
than these levels of 8 bits, for fonts and edges are drawn a little differently."""


class Outcome(StrEnum):
    """What became of a check; what could not be looked at never counts as passed."""

    PASSED = "passed"
    DIFFERS = "differs"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was held against what the code makes."""

    subject: str
    """The file, relative to the checkout, or the thing."""
    how: str
    """`as listed`, `rebuilt`, `scored again`, `replayed`, `trained anew`."""
    outcome: Outcome
    detail: str
    """How close, what differs, or why it was not checked."""
    pictures: tuple[bytes, bytes] | None = None
    """Where a picture differs: the committed PNG and the one made anew."""


def compare_files(subject: str, how: str, committed: Path, anew: Path, *, exact: bool) -> Check:
    """Hold a committed file against one made anew.

    Args:
        subject: what it is called.
        how: how it was made anew.
        committed: the committed file.
        anew: the other.
        exact: equal bytes are promised, because environment and code are those it was made with; pictures are compared
            as pictures in any case.
    """

    def check(outcome: Outcome, detail: str) -> Check:
        return Check(subject=subject, how=how, outcome=outcome, detail=detail)

    for path, what in ((committed, "it is missing"), (anew, "the code does not make it")):
        if not path.is_file():
            return check(Outcome.DIFFERS, what)
    if committed.read_bytes() == anew.read_bytes():
        return check(Outcome.PASSED, "the same bytes")
    if committed.suffix == ".png":
        outcome, detail = _compare_pictures(committed, anew)
        pictures = (committed.read_bytes(), anew.read_bytes()) if outcome == Outcome.DIFFERS else None
        return replace(check(outcome, detail), pictures=pictures)
    if committed.suffix not in (".csv", ".json"):
        return check(Outcome.DIFFERS, _first_line(committed, anew))
    try:
        worst, where = max(differences(_parsed(committed), _parsed(anew)), default=(0.0, ""))
    except ValueError as error:
        return check(Outcome.DIFFERS, str(error))
    if exact or worst > NUMBERS:
        return check(Outcome.DIFFERS, where or "the same numbers, written otherwise")
    return check(Outcome.PASSED, f"numbers equal to {NUMBERS:g} of their size: other versions sum in another order")


def _compare_pictures(committed: Path, anew: Path) -> tuple[Outcome, str]:
    try:
        first, second = (decode_file(path).astype(np.int64) for path in (committed, anew))
    except ValueError as error:
        return Outcome.DIFFERS, str(error)
    if first.shape != second.shape:
        sizes = " and ".join(f"{image.shape[1]} × {image.shape[0]}" for image in (first, second))
        return Outcome.DIFFERS, f"{sizes} pixels"
    if (first == second).all():
        return Outcome.PASSED, "the same pixels"
    far = float((np.abs(first - second).max(axis=-1) > LEVELS).mean())
    told = f"{far:.2%} of the pixels differ by more than {LEVELS} levels, {SHARE:.1%} may"
    return (Outcome.DIFFERS if far > SHARE else Outcome.PASSED), told


def _parsed(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    try:
        return list(csv.DictReader(io.StringIO(text))) if path.suffix == ".csv" else json.loads(text)
    except (csv.Error, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error


def differences(one: Any, other: Any, where: str = "") -> Iterator[tuple[float, str]]:
    """The relative differences of all numbers in two parsed CSV or JSON files, each with a sentence that names it.

    Raises:
        ValueError: something else than a number differs; the message names it.
    """
    if isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
        for name in one:
            yield from differences(one[name], other[name], f"{where} {name}".strip())
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (first, second) in enumerate(zip(one, other, strict=True), start=1):
            yield from differences(first, second, f"{where} row {number}".strip())
    else:
        first, second = _number(one), _number(other)
        if first is None or second is None:
            if one != other:
                raise ValueError(f"{where}: {_brief(one)} is committed, {_brief(other)} is made anew")
        elif first != second:
            largest = max(abs(first), abs(second))
            relative = abs(first - second) / largest if math.isfinite(largest) else math.inf
            yield relative, f"{where}: {first!r} is committed, {second!r} is made anew"


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _first_line(committed: Path, anew: Path) -> str:
    try:
        lines = [path.read_text(encoding="utf-8").splitlines() for path in (committed, anew)]
    except UnicodeDecodeError:
        return "other bytes"
    for number, (first, second) in enumerate(zip(*lines, strict=False), start=1):
        if first != second:
            return f"line {number}: {_brief(first)} is committed, {_brief(second)} is made anew"
    return f"{len(lines[0])} lines are committed, {len(lines[1])} are made anew"
