"""Results of a profile: run records, loss histories, scores and their summaries, each read once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from colorlib.companion.steps import ELSEWHERE, elsewhere_files, files, other_profile
from colorlib.companion.tables import read_rows, summaries_by_seed
from colorlib.evaluate import Estimate, Summary, mean_over_images, read_scores
from colorlib.files import read_json, sha256
from colorlib.metrics import Score
from colorlib.model import NETWORKS, Network
from colorlib.profiles import Profile
from colorlib.runs import Run
from colorlib.targets import TARGETS

SCORED = {
    "photos": {"source": str, "split": str, "count": int},
    "published": {"count": int, "sha256": str},
    "weights_sha256": dict,
}
"""Fields of `Results.published_record`."""


class NotMeasuredError(ValueError):
    """A result does not exist yet; the message names the file and the command that makes it."""


@dataclass(frozen=True)
class Results:
    """Results of the runs of a profile and of the baselines.

    Files are read at the first access and not again: construct another `Results` after they change.
    """

    profile: Profile
    _elsewhere: dict[str, list[tuple[int | None, Score]]] = field(default_factory=dict, repr=False, compare=False)
    _others: dict[str, "Results"] = field(default_factory=dict, repr=False, compare=False)
    _summaries: dict[str, dict[str, list[Summary]]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """The run.json of each seed's run, in the order of the profile's seeds.

        Raises:
            ValueError: a run of the profile is missing.
        """
        return [Run(self.profile.run(seed)).record() for seed in self.profile.seeds]

    @cached_property
    def histories(self) -> list[list[dict[str, float]]]:
        """The rows of history.csv of each seed's run, in the order of the profile's seeds.

        Raises:
            NotMeasuredError: a run of the profile is missing.
        """
        histories = []
        for seed in self.profile.seeds:
            run = Run(self.profile.run(seed))
            self._require(run.path / "history.csv", "reproduce")
            histories.append(run.history())
        return histories

    @property
    def updates(self) -> int:
        """Updates of the weights in each run, from the history of the first."""
        return int(self.histories[0][-1]["updates"])

    @cached_property
    def scores(self) -> list[tuple[int | None, Score]]:
        """Scores of the test photographs, each with the seed of its run: baselines (None) first, then seed by seed.

        Raises:
            NotMeasuredError: nothing was scored.
        """
        (path,) = files(self.profile, "scores")
        self._require(path, "table1")
        rows = read_rows(path)
        # In the order of `histories`: measurements pair the two.
        return [row for seed in (None, *self.profile.seeds) for row in rows if row[0] == seed]

    @cached_property
    def published(self) -> list[tuple[int | None, Score]]:
        """Scores of the photographs of `zhang2016`: of published colorizations and baselines (None), and of the runs.

        Raises:
            NotMeasuredError: nothing was scored.
            ValueError: other weights were scored than the runs hold now.
        """
        path, _ = files(self.profile, "published_scores")
        self._require(path, "peers")
        fix = f"run `make reproduce PROFILE={self.profile.name}`, or set rescore = True in notebooks/06_peers.ipynb"
        for seed in self.profile.seeds:
            weights = Run(self.profile.run(seed)).weights
            scored = self.published_record["weights_sha256"].get(str(seed))
            if scored is None:
                raise ValueError(f"{path} has no rows of seed {seed}; {fix}")
            if not weights.is_file() or sha256(weights) != scored:
                raise ValueError(f"{path} was scored with other weights than {weights} holds now; {fix}")
        return [row for row in read_rows(path) if row[0] in (None, *self.profile.seeds)]

    @cached_property
    def published_record(self) -> dict[str, Any]:
        """The photographs, published files and weights that `published` scored.

        Raises:
            NotMeasuredError: nothing was scored.
        """
        _, path = files(self.profile, "published_scores")
        self._require(path, "peers")
        return read_json(path, SCORED, fix=f"run `make peers PROFILE={self.profile.name}`")

    def scores_elsewhere(self, photos: str = ELSEWHERE) -> list[tuple[int | None, Score]]:
        """Return the scores of the runs and baselines on the test photographs of another source.

        Raises:
            NotMeasuredError: they do not exist; the message has the commands that make them.
        """
        if photos not in self._elsewhere:
            baselines, runs = elsewhere_files(self.profile, photos)
            rows: list[tuple[int | None, Score]] = []
            for path, seed in ((baselines, None), *zip(runs, self.profile.seeds, strict=True)):
                if not path.is_file():
                    run = path.parent.relative_to(self.profile.results.parent.parent).as_posix()
                    option = " --baselines" if seed is None else ""
                    raise NotMeasuredError(
                        f"{photos} was not scored: `colorlib evaluate {run} --photos {photos}{option}` does it"
                    )
                rows += [(seed, row) for row in read_scores(path)]
            self._elsewhere[photos] = rows
        return self._elsewhere[photos]

    def summaries_by_method(self, reference: str = "gray") -> dict[str, list[Summary]]:
        """Return the pooled scores of each method, one per seed (one for a baseline); gains are over `reference`."""
        if reference not in self._summaries:
            self._summaries[reference] = summaries_by_seed(self.scores, reference=reference)
        return self._summaries[reference]

    def summaries(self, method: str, *, reference: str = "gray") -> list[Summary]:
        """Return the pooled scores of one method, one per seed (one for a baseline); gains are over `reference`."""
        return self.summaries_by_method(reference).get(method, [])

    def paired_means(
        self,
        measure: Callable[[Score, Score], float],
        first: str,
        second: str,
        *,
        scores: Sequence[tuple[int | None, Score]] | None = None,
    ) -> list[Estimate]:
        """Return the mean over photographs of a function of two methods' scores, one estimate per seed.

        Args:
            measure: takes the scores of `first` and `second` on the same photograph.
            first: a method, of a baseline or of the runs.
            second: another method.
            scores: scores to use instead of those of the test photographs.
        """
        rows = self.scores if scores is None else scores
        means = []
        for seed in self.profile.seeds:
            of = {
                method: [row for owner, row in rows if owner in (None, seed) and row.method == method]
                for method in (first, second)
            }
            pairs = zip(of[first], of[second], strict=True)
            means.append(mean_over_images([measure(one, other) for one, other in pairs]))
        return means

    def other(self, name: str) -> "Results":
        """Return the results of another profile in the same checkout."""
        if name == self.profile.name:
            return self
        if name not in self._others:
            self._others[name] = Results(other_profile(self.profile, name))
        return self._others[name]

    def network(self) -> Network:
        """Return the profile's network, untrained."""
        config = self.profile.config
        return NETWORKS[config.network](TARGETS[config.target]().head)

    def command(self, target: str) -> str:
        """Return the command line that makes a target of this profile."""
        return f"make {target} PROFILE={self.profile.name}"

    @property
    def photographs(self) -> str:
        """The number and the data set of the scored photographs, as a phrase."""
        images = len({row.image for _, row in self.scores})
        return f"{images} test photographs of {self.profile.photos}"

    def _require(self, path: Path, target: str) -> None:
        if not path.is_file():
            name = path.relative_to(self.profile.results.parent.parent).as_posix()
            raise NotMeasuredError(f"There is no {name}; {self.command(target)} makes it")
