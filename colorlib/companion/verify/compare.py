"""Checks, and the comparison of a committed file with a rebuilt one: CSV and JSON by numbers, PNG by pixels."""

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

from colorlib.photos.decode import decode_file

NUMBER_TOLERANCE = 1e-9
"""Relative tolerance of a number that other versions compute: they sum in another order."""
PIXEL_LEVELS, PIXEL_SHARE = 16, 0.001
"""Tolerance of a picture that other versions or another processor draw, with slightly different fonts and edges: at
most this share of its pixels may differ by more than so many levels of 8 bits."""


class Outcome(StrEnum):
    """The outcome of a check; a check that was not possible never counts as passed."""

    PASSED = "passed"
    DIFFERS = "differs"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, kw_only=True)
class Check:
    """The comparison of a committed result with the code's."""

    subject: str
    """The file, relative to the checkout, and the part of it that was checked."""
    how: str
    """`as listed`, `rebuilt`, `rescored` or `retrained`."""
    outcome: Outcome
    detail: str
    """The distance, the difference, or the reason why it was not checked."""
    pictures: tuple[bytes, bytes] | None = None
    """The committed and the rebuilt PNG, if they differ."""


def compare_files(subject: str, how: str, committed: Path, rebuilt: Path, *, exact: bool) -> Check:
    """Compare a committed file with a rebuilt one.

    Args:
        subject: the subject of the check.
        how: the way in which the file was rebuilt.
        committed: the committed file.
        rebuilt: the rebuilt file.
        exact: whether numbers must be equal, because the environment is the recorded one; pictures have a tolerance in
            any case.
    """

    def check(outcome: Outcome, detail: str) -> Check:
        return Check(subject=subject, how=how, outcome=outcome, detail=detail)

    for path, what in ((committed, "it is missing"), (rebuilt, "the code does not make it")):
        if not path.is_file():
            return check(Outcome.DIFFERS, what)
    if committed.read_bytes() == rebuilt.read_bytes():
        return check(Outcome.PASSED, "the same bytes")
    if committed.suffix == ".png":
        outcome, detail = _compare_pictures(committed, rebuilt)
        pictures = (committed.read_bytes(), rebuilt.read_bytes()) if outcome == Outcome.DIFFERS else None
        return replace(check(outcome, detail), pictures=pictures)
    if committed.suffix not in (".csv", ".json"):
        return check(Outcome.DIFFERS, _first_difference(committed, rebuilt))
    try:
        worst, where = max(differences(_parsed(committed), _parsed(rebuilt)), default=(0.0, ""))
    except ValueError as error:
        return check(Outcome.DIFFERS, str(error))
    if exact or worst > NUMBER_TOLERANCE:
        return check(Outcome.DIFFERS, where or "the same numbers in another format")
    return check(Outcome.PASSED, f"relative differences of at most {NUMBER_TOLERANCE:g}: another order of summation")


def _compare_pictures(committed: Path, rebuilt: Path) -> tuple[Outcome, str]:
    try:
        first, second = (decode_file(path).astype(np.int64) for path in (committed, rebuilt))
    except ValueError as error:
        return Outcome.DIFFERS, str(error)
    if first.shape != second.shape:
        sizes = " and ".join(f"{image.shape[1]} × {image.shape[0]}" for image in (first, second))
        return Outcome.DIFFERS, f"{sizes} pixels"
    if (first == second).all():
        return Outcome.PASSED, "the same pixels"
    share = float((np.abs(first - second).max(axis=-1) > PIXEL_LEVELS).mean())
    detail = f"{share:.2%} of the pixels differ by more than {PIXEL_LEVELS} levels; the limit is {PIXEL_SHARE:.1%}"
    return (Outcome.DIFFERS if share > PIXEL_SHARE else Outcome.PASSED), detail


def _parsed(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    try:
        return list(csv.DictReader(io.StringIO(text))) if path.suffix == ".csv" else json.loads(text)
    except (csv.Error, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error


def differences(one: Any, other: Any, where: str = "") -> Iterator[tuple[float, str]]:
    """Yield the relative difference of each unequal number in two parsed CSV or JSON files, with its place and values.

    Args:
        one: the committed value.
        other: the rebuilt value.
        where: the place of both, as text.

    Raises:
        ValueError: anything other than a number differs; the message names it.
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
                raise ValueError(f"{where}: {_brief(one)} is committed, {_brief(other)} is rebuilt")
        elif first != second:
            largest = max(abs(first), abs(second))
            relative = abs(first - second) / largest if math.isfinite(largest) else math.inf
            yield relative, f"{where}: {first!r} is committed, {second!r} is rebuilt"


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


def _first_difference(committed: Path, rebuilt: Path) -> str:
    """Return the first line in which two text files differ."""
    try:
        lines = [path.read_text(encoding="utf-8").splitlines() for path in (committed, rebuilt)]
    except UnicodeDecodeError:
        return "the bytes differ"
    for number, (first, second) in enumerate(zip(*lines, strict=False), start=1):
        if first != second:
            return f"line {number}: {_brief(first)} is committed, {_brief(second)} is rebuilt"
    return f"{len(lines[0])} lines are committed, {len(lines[1])} are rebuilt"
