"""Measurements: a number with its one interval, and a sentence about the claim that it decides."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev

from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.tables import joined
from colorlib.evaluate import Estimate, mean_over_images, summarize
from colorlib.metrics import NEAR_GRAY_CHROMA, Score

SEEDS_ALONE = "over seeds, on these photographs"
PHOTOGRAPHS_ALONE = "over photographs, of one seed"
PHOTOGRAPHS_AND_SEEDS = "over photographs and seeds"


@dataclass(frozen=True, kw_only=True)
class StudentError:
    """Standard error of a mean over seeds, with its degrees of freedom."""

    error: float
    freedom: int

    def interval(self, mean: float, level: float = 0.95) -> tuple[float, float]:
        """Return the bounds of the interval of a mean at a level, by Student's t."""
        from scipy import stats

        half = float(stats.t.ppf((1 + level) / 2, self.freedom)) * self.error
        return mean - half, mean + half

    def p_value(self, mean: float, expected: float) -> float:
        """Return the two-sided p-value of the test that the mean is `expected`."""
        from scipy import stats

        if self.error == 0:
            return 1.0 if mean == expected else 0.0
        return float(2 * stats.t.sf(abs(mean - expected) / self.error, self.freedom))


class Effect(StrEnum):
    """The direction that an interval shows."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "open"


def effect_of(low: float, high: float) -> Effect:
    """Return the direction that the interval of a gain shows."""
    return Effect.BETTER if low > 0 else Effect.WORSE if high < 0 else Effect.OPEN


@dataclass(frozen=True, kw_only=True)
class Gain:
    """One measure of a comparison on one set of photographs; above 0 is better, whatever the measure."""

    place: str
    """The photographs: `HOME`, or the name of another source."""
    measure: str
    value: float
    low: float
    high: float
    digits: int
    unit: str = ""

    @property
    def effect(self) -> Effect:
        """The direction that the whole interval shows."""
        return effect_of(self.low, self.high)

    @property
    def text(self) -> str:
        """The measure, its gain with the interval, and the direction, as text."""
        value, low, high = (f"{round(number, self.digits) + 0.0:+.{self.digits}f}" for number in self._numbers)
        return f"{self.measure} {value}{self.unit} [{low}, {high}] ({self.effect})"

    @property
    def _numbers(self) -> tuple[float, float, float]:
        return self.value, self.low, self.high


HOME = "at home"
"""`Gain.place` of the test photographs of the source that the network was trained on."""
PRIMARY_MEASURE = "PSNR of MSE"
"""The one measure in which a claim of quality must be better."""
SHARE = "share of photographs above one half"
"""Share of the photographs with a higher PSNR: shown, it decides nothing."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A measured number with its interval and the facts that a reader needs to judge it."""

    value: float
    why: str
    """A sentence that relates the number to the claim."""
    command: str
    """The command line that makes it."""
    show: Callable[[float], str] = "{:g}".format
    """Formats the number and its bounds."""
    low: float | None = None
    high: float | None = None
    """Bounds of the one interval that decides; equal to `value` for a count, None where one seed gives no interval."""
    level: float = 0.95
    over: str = ""
    """What the interval is over: photographs, seeds or both."""
    error: StudentError | None = None
    """Of a mean over seeds; a family of tests needs it."""
    p: float | None = None
    p_corrected: float | None = None
    """p-values of a test that belongs to a family: as it is, and corrected by Holm."""
    tests: int | None = None
    """Number of tests of that family."""
    gains: tuple[Gain, ...] = ()
    """Measures of a claim of quality, on each set of photographs."""
    seeds: int | None = None
    photographs: str = ""
    updates: int | None = None
    crop_size: int | None = None

    @property
    def text(self) -> str:
        """The number as text, with its unit; of a claim of quality the gain on each set of photographs."""
        return "; ".join(_gains_text(place, each) for place, each in _by_place(self.gains)) or self.show(self.value)

    @property
    def interval(self) -> str:
        """The bounds as text, with their level and what they are over; empty for a count, and where `text` has them."""
        if self.gains or self.low is None or self.high is None or self.low == self.high:
            return ""
        text = f"{self.show(self.low)} to {self.show(self.high)} ({100 * self.level:.3g} % {self.over}"
        if self.tests:
            text += (
                f", which is 95 % after Holm's correction for {self.tests} tests; p = {self.p:.2g}, corrected "
                f"{self.p_corrected:.2g}"
            )
        return f"{text})"

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval: the smallest effect that these data could have shown."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def _by_place(found: Sequence[Gain]) -> list[tuple[str, list[Gain]]]:
    """Return gains by their sets of photographs, in their order."""
    return [(place, [gain for gain in found if gain.place == place]) for place in dict.fromkeys(g.place for g in found)]


def _gains_text(place: str, found: Sequence[Gain]) -> str:
    """Return the primary gain on one set of photographs with its interval, and the measures that are worse, as text."""
    primary, *others = found
    deciding = [gain for gain in others if gain.measure != SHARE]
    worse = [gain.measure.removeprefix("fall of ") for gain in deciding if gain.effect is Effect.WORSE]
    numbers = primary.text.removeprefix(f"{primary.measure} ").partition(" (")[0]
    return f"{numbers} {place}" + (f", worse in {' and '.join(worse)}" if worse else "")


def over_seeds(values: Sequence[float]) -> StudentError | None:
    """Return the standard error of the mean of one value per seed; None for one seed."""
    if len(values) < 2:
        return None
    return StudentError(error=stdev(values) / math.sqrt(len(values)), freedom=len(values) - 1)


def over_epochs(
    results: Results, measure: Callable[[list[dict[str, float]]], float], show: Callable[[float], str], why: str
) -> Measurement:
    """Return the mean over seeds of a number that is read from each seed's history, with its interval over seeds.

    Args:
        results: of the profile that is judged.
        measure: reads the number from the rows of one history.csv.
        show: formats the number.
        why: the sentence about the claim; `{number}` in it becomes the formatted number.
    """
    values = [measure(history) for history in results.histories]
    error = over_seeds(values)
    low, high = error.interval(fmean(values)) if error else (None, None)
    return Measurement(
        value=fmean(values),
        show=show,
        why=why.format(number=show(fmean(values))),
        command=results.command("figure1"),
        low=low,
        high=high,
        over=SEEDS_ALONE,
        error=error,
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
    """Return the mean over seeds of a score that is pooled over photographs, with its interval over both (`joined`).

    Args:
        results: of the profile that is judged.
        estimates: one per seed.
        show: formats the number.
        why: the sentence about the claim; `{number}` in it becomes the formatted number.
        photographs: the photographs that were scored, if not the test photographs.
        target: the target of `make` that makes the scores.
    """
    mean = joined(estimates)
    return Measurement(
        value=mean.value,
        show=show,
        why=why.format(number=show(mean.value)),
        command=results.command(target),
        low=mean.low,
        high=mean.high,
        over=PHOTOGRAPHS_AND_SEEDS if len(estimates) > 1 else PHOTOGRAPHS_ALONE,
        seeds=len(estimates),
        photographs=photographs or results.photographs,
        updates=results.updates,
        crop_size=results.profile.config.crop_size,
    )


def gains(
    rows: Sequence[tuple[int | None, Score]], seeds: Sequence[int], ours: str, reference: str, *, place: str
) -> tuple[Gain, ...]:
    """Return the gain of a method over another in five measures, the primary one first.

    Photographs that are near gray are left out: their PSNR can be infinite.

    Args:
        rows: scores of both methods on the same photographs, each with the seed of its run; None for a baseline.
        seeds: seeds of the runs.
        ours: the method.
        reference: the other method, of a baseline or of the same seeds.
        place: the photographs, in words.
    """
    colored = [row for row in rows if row[1].truth_chroma >= NEAR_GRAY_CHROMA]
    pairs = [_pairs(colored, seed, ours, reference) for seed in seeds]
    pooled = [
        summarize([*(other for _, other in paired), *(one for one, _ in paired)], reference=reference)[-1].psnr_gain
        for paired in pairs
    ]

    def of(measure: Callable[[Score, Score], float]) -> list[Estimate]:
        return [mean_over_images([measure(one, other) for one, other in paired]) for paired in pairs]

    found = [
        (PRIMARY_MEASURE, [gain for gain in pooled if gain], 2, " dB"),
        ("mean PSNR", of(lambda one, other: one.psnr - other.psnr), 2, " dB"),
        ("SSIM", of(lambda one, other: one.ssim - other.ssim), 3, ""),
        ("fall of ΔE00", of(lambda one, other: other.delta_e00 - one.delta_e00), 2, ""),
        (SHARE, of(lambda one, other: float(one.psnr > other.psnr) - 0.5), 2, ""),
    ]
    return tuple(
        Gain(place=place, measure=name, digits=digits, unit=unit, value=mean.value, low=mean.low, high=mean.high)
        for name, estimates, digits, unit in found
        for mean in [joined(estimates)]
    )


def _pairs(rows: Sequence[tuple[int | None, Score]], seed: int, ours: str, reference: str) -> list[tuple[Score, Score]]:
    first, second = (
        [row for owner, row in rows if owner in (None, seed) and row.method == method] for method in (ours, reference)
    )
    return list(zip(first, second, strict=True))


def primary_gain(found: Sequence[Gain], place: str) -> Gain:
    """Return the gain in the primary measure on one set of photographs."""
    return next(gain for gain in found if (gain.place, gain.measure) == (place, PRIMARY_MEASURE))


def better_everywhere(found: Sequence[Gain]) -> Effect:
    """Return BETTER, WORSE or OPEN by the rule for claims of quality (paper/verdicts.md).

    BETTER: in the primary measure on every set of photographs, and no other measure is shown to be worse. WORSE: some
    measure is shown to be worse somewhere. OPEN: neither.
    """
    deciding = [gain for gain in found if gain.measure != SHARE]
    if any(gain.effect is Effect.WORSE for gain in deciding):
        return Effect.WORSE
    primary = [gain for gain in deciding if gain.measure == PRIMARY_MEASURE]
    return Effect.BETTER if primary and all(gain.effect is Effect.BETTER for gain in primary) else Effect.OPEN


def gains_sentences(found: Sequence[Gain]) -> str:
    """Return the outcome of each set of photographs, and all measures on each, as sentences."""
    by_place = dict(_by_place(found))
    places = list(by_place)
    holds = [place for place in places if better_everywhere(by_place[place]) is Effect.BETTER]
    outcome = (
        "Better on all of these photographs."
        if holds == places
        else f"Better {' and '.join(holds)} only."
        if holds
        else "By the rule it is better on none of these photographs."
    )
    listed = [f"{place[0].upper()}{place[1:]}: {', '.join(gain.text for gain in by_place[place])}." for place in places]
    return " ".join([outcome, *listed])


def over_gains(results: Results, found: Sequence[Gain], why: str, *, photographs: str, target: str) -> Measurement:
    """Return the measurement of a claim of quality: its number is the gain in the primary measure on the first set.

    Args:
        results: of the profile that is judged.
        found: gains on one or several sets of photographs.
        why: a sentence about the comparison; the outcome and all measures follow it.
        photographs: the sets of photographs, in words.
        target: the target of `make` that makes the scores.
    """
    primary = [gain for gain in found if gain.measure == PRIMARY_MEASURE]
    return Measurement(
        value=primary[0].value,
        show="{:+.2f} dB".format,
        why=f"{why} {gains_sentences(found)}",
        command=results.command(target),
        low=primary[0].low,
        high=primary[0].high,
        over=f"{PHOTOGRAPHS_AND_SEEDS if len(results.profile.seeds) > 1 else PHOTOGRAPHS_ALONE}, {primary[0].place}",
        gains=tuple(found),
        seeds=len(results.profile.seeds),
        photographs=photographs,
        updates=results.updates,
        crop_size=results.profile.config.crop_size,
    )


def epochs_between(history: Sequence[dict[str, float]], first: int, last: int, column: str) -> list[float]:
    """Return a column of a history over epochs `first` to `last`, both included.

    Raises:
        NotMeasuredError: the run is shorter.
    """
    if len(history) < last:
        raise NotMeasuredError(f"the run has {len(history)} epochs; the claim is about {last}")
    return [row[column] for row in history if first <= row["epoch"] <= last]
