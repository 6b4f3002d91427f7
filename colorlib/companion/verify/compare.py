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
from numpy.typing import NDArray

from colorlib.photos.decode import decode_file

PIXEL_LEVELS, PIXEL_SHARE = 16, 0.001
"""Tolerance of a picture that other versions or another processor draw, with slightly different fonts and edges: at
most this share of its pixels may differ by more than so many levels of 8 bits."""
BLOCK, BLOCK_SHARE = 16, 0.25
"""Side of the blocks of a picture in pixels, and the share of a block's pixels that may differ: a digit, a marker or a
line elsewhere changes more."""


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


def compare_files(subject: str, how: str, committed: Path, rebuilt: Path) -> Check:
    """Compare a committed file with a rebuilt one: pictures by their pixels, everything else by its bytes.

    Files that are computed from scores have equal bytes on every machine (`evaluate._resampled_sums`, `round_floats`).

    Args:
        subject: the subject of the check.
        how: the way in which the file was rebuilt.
        committed: the committed file.
        rebuilt: the rebuilt file.
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
        _, where = max(differences(_parsed(committed), _parsed(rebuilt)), default=(0.0, ""))
    except ValueError as error:
        return check(Outcome.DIFFERS, str(error))
    return check(Outcome.DIFFERS, where or "the same numbers in another format")


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
    far = np.abs(first - second).max(axis=-1) > PIXEL_LEVELS
    share, in_block = float(far.mean()), _worst_block(far)
    detail = (
        f"{share:.2%} of the pixels differ by more than {PIXEL_LEVELS} levels, {in_block:.0%} in a block of side "
        f"{BLOCK}; the limits are {PIXEL_SHARE:.1%} and {BLOCK_SHARE:.0%}"
    )
    return (Outcome.DIFFERS if share > PIXEL_SHARE or in_block > BLOCK_SHARE else Outcome.PASSED), detail


def _worst_block(far: NDArray[np.bool_]) -> float:
    """Return the largest share of True in any block of `BLOCK` x `BLOCK` pixels, blocks half a side apart."""
    shares = [
        far[top : top + BLOCK, left : left + BLOCK].mean()
        for top in range(0, max(far.shape[0] - BLOCK, 0) + 1, BLOCK // 2)
        for left in range(0, max(far.shape[1] - BLOCK, 0) + 1, BLOCK // 2)
    ]
    return float(max(shares))


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
