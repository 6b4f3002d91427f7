"""What the verdicts are read from: the runs of a profile, its scores, and the paper's own figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev

from colorlib.companion.peers import read_peers
from colorlib.companion.tables import read_rows
from colorlib.evaluate import Estimate, Score, Summary, mean_over_images, summarize
from colorlib.model import NETWORKS, Network
from colorlib.profiles import Profile, load_profile
from colorlib.runs import Run
from colorlib.targets import TARGETS

PEERS = "peers/per_image.csv"
"""Scores on the photographs that others published their results on."""


SWEEPS = ("outlook", "more_data", "data_scaling", "augmentation", "perceptual")
"""The sweeps whose points decide claims."""


class NotMeasuredError(ValueError):
    """The results that would decide a claim are not there; the message says which, and what makes them."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One measured number, and all that a reader needs to judge it."""

    value: float
    text: str
    """The number as people read it, with its unit and, where there are several seeds, their standard deviation."""
    why: str
    """One sentence: what the number says of the claim."""
    command: str
    """What makes it."""
    low: float | None = None
    high: float | None = None
    interval: str = ""
    """The interval as people read it, and what it is over."""
    sd: float | None = None
    """Standard deviation over seeds, where there are several."""
    seeds: int | None = None
    photographs: str = ""
    updates: int | None = None
    crop_size: int | None = None


@dataclass(frozen=True)
class Evidence:
    """The finished runs of a profile and what was measured on them."""

    profile: Profile
    _summaries: dict[tuple[int, str], dict[str, Summary]] = field(default_factory=dict)

    @cached_property
    def histories(self) -> list[list[dict[str, float]]]:
        """history.csv of each seed's run.

        Raises:
            NotMeasuredError: a run of the profile is missing.
        """
        found = []
        for seed in self.profile.seeds:
            run = Run(self.profile.run(seed))
            if not (run.path / "history.csv").is_file():
                raise NotMeasuredError(
                    f"There is no results/{self.profile.name}/seed-{seed}/history.csv; "
                    f"{self.command('reproduce')} makes it"
                )
            found.append(run.history())
        return found

    @cached_property
    def rows(self) -> list[tuple[int | None, Score]]:
        """The per-image scores of baselines (seed None) and runs on the test photographs.

        Raises:
            NotMeasuredError: they are not there.
        """
        name = "per_image.csv"
        if not (self.profile.results / name).is_file():
            raise NotMeasuredError(f"There is no results/{self.profile.name}/{name}; {self.command('table1')} makes it")
        return [row for row in read_rows(self.profile.results / name) if row[0] in (None, *self.profile.seeds)]

    @cached_property
    def peers(self) -> list[tuple[int | None, Score]]:
        """The same on the photographs that others published their results on, theirs (seed None) among them.

        Raises:
            NotMeasuredError: they are not there.
        """
        if not (self.profile.results / PEERS).is_file():
            raise NotMeasuredError(f"There is no results/{self.profile.name}/{PEERS}; {self.command('peers')} makes it")
        return read_peers(self.profile)[0]

    def summaries(self, method: str, *, reference: str = "gray") -> list[Summary]:
        """A method's pooled figures, one per seed (one for a baseline), gains measured against `reference`."""
        found = [held for seed in self.profile.seeds if (held := self._pooled(seed, reference).get(method))]
        trivial = any(seed is None and row.method == method for seed, row in self.rows)
        return found[:1] if trivial else found

    def _pooled(self, seed: int, reference: str) -> dict[str, Summary]:
        key = (seed, reference)
        if key not in self._summaries:
            rows = [row for owner, row in self.rows if owner in (None, seed)]
            self._summaries[key] = {summary.method: summary for summary in summarize(rows, reference=reference)}
        return self._summaries[key]

    def paired(
        self,
        measure: Callable[[Score, Score], float],
        first: str,
        second: str,
        *,
        rows: Sequence[tuple[int | None, Score]] | None = None,
    ) -> list[Estimate]:
        """The mean over photographs of what is measured on two methods' scores of each, one estimate per seed.

        Args:
            measure: takes the score of `first` and that of `second` on the same photograph.
            first: a method.
            second: another; each is a baseline's or a run's.
            rows: scores other than those of the test photographs.
        """
        held = self.rows if rows is None else rows
        found = []
        for seed in self.profile.seeds:
            of = {
                method: [row for owner, row in held if owner in (None, seed) and row.method == method]
                for method in (first, second)
            }
            pairs = zip(of[first], of[second], strict=True)
            found.append(mean_over_images([measure(one, other) for one, other in pairs]))
        return found

    def other(self, name: str) -> "Evidence":
        """The evidence of another profile."""
        return Evidence(replace(load_profile(name), root=self.profile.root))

    def network(self) -> Network:
        """The profile's network, untrained: what arithmetic alone can say of it."""
        config = self.profile.config(self.profile.seeds[0])
        return NETWORKS[config.network](TARGETS[config.target]().head)

    def command(self, target: str) -> str:
        """The command line that makes something of this profile."""
        return f"make {target} PROFILE={self.profile.name}"

    @property
    def photographs(self) -> str:
        """What the figures over test photographs are figures of."""
        images = len({row.image for _, row in self.rows})
        return f"{images} test photographs of {self.profile.photos}"

    def over_epochs(
        self, measure: Callable[[list[dict[str, float]]], float], show: Callable[[float], str], why: str
    ) -> Finding:
        """A number read from each seed's history, averaged over seeds.

        Args:
            measure: what to read from one history.
            show: the number as people read it.
            why: the sentence, in which `{number}` stands for the number as shown.
        """
        values = [measure(history) for history in self.histories]
        number = show(fmean(values))
        return Finding(
            value=fmean(values),
            text=number + spread_text(values, show),
            why=why.format(number=number),
            command=self.command("figure1"),
            sd=stdev(values) if len(values) > 1 else None,
            seeds=len(values),
            photographs=f"training and validation photographs of {self.profile.photos}",
            updates=int(self.histories[0][-1]["updates"]),
            crop_size=self.profile.config(self.profile.seeds[0]).crop_size,
        )

    def over_photographs(
        self,
        estimates: Sequence[Estimate],
        show: Callable[[float], str],
        why: str,
        *,
        photographs: str = "",
        target: str = "table1",
    ) -> Finding:
        """A pooled figure with its interval over images, averaged over seeds as in Table I.

        Args:
            estimates: one per seed.
            show: the number as people read it.
            why: the sentence, in which `{number}` stands for the number as shown.
            photographs: what the figure is of, where that is not the test photographs.
            target: what `make` calls that which makes it.
        """
        values = [estimate.value for estimate in estimates]
        low, high = (fmean(getattr(estimate, bound) for estimate in estimates) for bound in ("low", "high"))
        number = show(fmean(values))
        return Finding(
            value=fmean(values),
            text=number + spread_text(values, show),
            why=why.format(number=number),
            command=self.command(target),
            low=low,
            high=high,
            interval=f"{show(low)} to {show(high)} (95 % over photographs)",
            sd=stdev(values) if len(values) > 1 else None,
            seeds=len(values),
            photographs=photographs or self.photographs,
            updates=int(self.histories[0][-1]["updates"]),
            crop_size=self.profile.config(self.profile.seeds[0]).crop_size,
        )


def spread_text(values: Sequence[float], show: Callable[[float], str]) -> str:
    """The standard deviation over seeds as it follows a mean; empty for one seed."""
    return f" ± {show(stdev(values)).lstrip('+')}" if len(values) > 1 else ""


def evidence_files(profile: Profile) -> list[Path]:
    """The files that a profile's verdicts are read from, whether or not they are there."""
    shorter = load_profile("cpu")
    return [
        *(
            profile.run(seed) / name
            for seed in profile.seeds
            for name in ("run.json", "history.csv", "weights.safetensors")
        ),
        *(profile.results / name for name in ("per_image.csv", PEERS)),
        *(shorter.run(seed) / "history.csv" for seed in shorter.seeds),
        *(of.sweep(sweep) / "summary.csv" for of in (profile, shorter) for sweep in SWEEPS),
    ]


def epochs_between(history: Sequence[dict[str, float]], first: int, last: int, column: str) -> list[float]:
    """A column of a history over epochs `first` to `last`, both included.

    Raises:
        NotMeasuredError: the run is shorter.
    """
    if len(history) < last:
        raise NotMeasuredError(f"the run has {len(history)} epochs; the claim is about {last}")
    return [row[column] for row in history if first <= row["epoch"] <= last]
