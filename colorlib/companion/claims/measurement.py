"""Measurements: a number with its interval, its spread over seeds, and a sentence about the claim that it decides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from colorlib.companion.results import NotMeasuredError, Results
from colorlib.evaluate import Estimate


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A measured number and the facts that a reader needs to judge it."""

    value: float
    text: str
    """The number as text: rounded, with its unit and, for several seeds, their standard deviation."""
    why: str
    """A sentence that relates the number to the claim."""
    command: str
    """The command line that makes it."""
    low: float | None = None
    high: float | None = None
    interval: str = ""
    """The bounds as text, with their level and whether they are over photographs or seeds."""
    sd: float | None = None
    """Standard deviation over seeds, if there are several."""
    seeds: int | None = None
    photographs: str = ""
    updates: int | None = None
    crop_size: int | None = None


def over_epochs(
    results: Results, measure: Callable[[list[dict[str, float]]], float], show: Callable[[float], str], why: str
) -> Measurement:
    """Return the mean over seeds of a number that is read from each seed's history.

    Args:
        results: of the profile that is judged.
        measure: reads the number from the rows of one history.csv.
        show: formats the number.
        why: the sentence about the claim; `{number}` in it becomes the formatted number.
    """
    values = [measure(history) for history in results.histories]
    number = show(fmean(values))
    return Measurement(
        value=fmean(values),
        text=number + spread_text(values, show),
        why=why.format(number=number),
        command=results.command("figure1"),
        sd=stdev(values) if len(values) > 1 else None,
        seeds=len(values),
        photographs=f"training and validation photographs of {results.profile.photos}",
        updates=results.updates,
        crop_size=results.profile.config.crop_size,
    )


def over_photographs(
    results: Results,
    estimates: Sequence[Estimate],
    show: Callable[[float], str],
    why: str,
    *,
    photographs: str = "",
    target: str = "table1",
) -> Measurement:
    """Return the mean over seeds of a score that is pooled over photographs, and of its interval, as in Table I.

    Args:
        results: of the profile that is judged.
        estimates: one per seed.
        show: formats the number.
        why: the sentence about the claim; `{number}` in it becomes the formatted number.
        photographs: the photographs that were scored, if not the test photographs.
        target: the target of `make` that makes the scores.
    """
    values = [estimate.value for estimate in estimates]
    low, high = (fmean(getattr(estimate, bound) for estimate in estimates) for bound in ("low", "high"))
    number = show(fmean(values))
    return Measurement(
        value=fmean(values),
        text=number + spread_text(values, show),
        why=why.format(number=number),
        command=results.command(target),
        low=low,
        high=high,
        interval=f"{show(low)} to {show(high)} (95 % over photographs)",
        sd=stdev(values) if len(values) > 1 else None,
        seeds=len(values),
        photographs=photographs or results.photographs,
        updates=results.updates,
        crop_size=results.profile.config.crop_size,
    )


def spread_text(values: Sequence[float], show: Callable[[float], str]) -> str:
    """Return ` ± ` and the standard deviation over seeds; an empty text for one seed."""
    return f" ± {show(stdev(values)).lstrip('+')}" if len(values) > 1 else ""


def epochs_between(history: Sequence[dict[str, float]], first: int, last: int, column: str) -> list[float]:
    """Return a column of a history over epochs `first` to `last`, both included.

    Raises:
        NotMeasuredError: the run is shorter.
    """
    if len(history) < last:
        raise NotMeasuredError(f"the run has {len(history)} epochs; the claim is about {last}")
    return [row[column] for row in history if first <= row["epoch"] <= last]
