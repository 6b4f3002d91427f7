"""Sweeps: one notebook executed at many points, as files in notebooks/sweeps/ describe them.

```yaml
notebook: 02_train           # what each point executes; it has the parameters run, seed, mode and scored
fixed: {weight_decay: 0.0}   # settings of every point
points:                      # one change at a time: each row has a name and what it changes
  - {name: paper}
  - {name: lab, target: lab}
grid: {learning_rate: [3.0e-4, 1.0e-3]}             # every combination of these lists
zip: {crop_size: [24, 48], batch_size: [64, 16]}    # the first of each list, the second of each list, …
seeds: [0, 1, 2]             # all points of the first seed come first
jobs: 1                      # how many run at once on this machine
scored: validation           # or test: the split that finished points are scored on
profiles:                    # what one profile spends instead of its own budget: settings, seeds, jobs, scored
  cpu: {epochs: 40, crops_per_epoch: 1200}
```

A point is a row of `points` x a value of each list in `grid` x a row of `zip` x a seed; what a file leaves out is not
varied. Its settings are those of the profile, then `fixed`, then the profile's own row of `profiles`, then what the
point states: the sweep says what it changes, the profile gives the rest. In a setting, `{photos}` stands for the
photographs of the profile, as in `"{photos}~0.1"`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colorlib.companion.notebooks import parameters_of
from colorlib.companion.plan import NOTEBOOKS
from colorlib.companion.sweep_points import (
    GIVEN,
    Point,
    combinations,
    known_only,
    make_point,
    mapping,
    near_miss,
    refuse_doubles,
)
from colorlib.profiles import Profile, load_profile

SWEEPS = NOTEBOOKS / "sweeps"
KEYS = ("notebook", "fixed", "points", "grid", "zip", "seeds", "jobs", "scored", "profiles")
SPLITS = {"validation": "val", "test": "test"}
"""What a file calls a split -> what the library calls it."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep file on a profile."""

    path: Path
    profile: Profile
    points: tuple[Point, ...]
    jobs: int
    scored: str

    @property
    def name(self) -> str:
        """What it is called: its file's name."""
        return self.path.stem

    @property
    def results(self) -> Path:
        """Where its points and its summary lie."""
        return self.profile.sweep(self.name)


def sweep_file(name: str) -> Path:
    """The file of a sweep, by its name in notebooks/sweeps/ or by its path.

    Raises:
        ValueError: there is no such file; the message lists the sweeps there are.
    """
    path = Path(name) if name.endswith(".yaml") else SWEEPS / f"{name}.yaml"
    if not path.is_file():
        known = [found.stem for found in sorted(SWEEPS.glob("*.yaml"))]
        raise ValueError(f"there is no sweep {name!r}{near_miss(name, known)}")
    return path


def load_sweep(path: Path, profile: Profile, *, seeds: tuple[int, ...] | None = None, jobs: int | None = None) -> Sweep:
    """Read a sweep file and check every point of it.

    Args:
        path: the file.
        profile: budget and photographs, and where the results go.
        seeds: other seeds than the file's.
        jobs: another number of points at once than the file's.

    Raises:
        ValueError: what cannot be run, before anything starts; the message names the file, the point and the mend.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        held = mapping(content, "the file")
        known_only(held, KEYS, "a sweep")
        notebook = NOTEBOOKS / f"{held.get('notebook', '02_train')}.ipynb"
        _check_notebook(notebook)
        own = {key: held[key] for key in ("seeds", "jobs", "scored") if key in held} | _own_row(held, profile)
        listed, at_once, scored = own.pop("seeds", None), own.pop("jobs", 1), own.pop("scored", "validation")
        chosen = seeds or (profile.seeds if listed is None else _seeds(listed))
        if not isinstance(at_once, int) or isinstance(at_once, bool) or at_once < 1:
            raise ValueError(f"jobs={at_once!r}: expected a whole number, at least 1")
        if scored not in SPLITS:
            raise ValueError(f"scored={scored!r}: there are {', '.join(SPLITS)}")
        base = profile.settings | mapping(held.get("fixed", {}), "fixed") | own
        where = profile.sweep(path.stem)
        rows = list(combinations(held))
        points = tuple(
            make_point(
                where, name, changes, base | {"seed": seed}, notebook, photos=profile.photos, scored=SPLITS[scored]
            )
            for seed in chosen
            for name, changes in rows
        )
        refuse_doubles(points)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"sweep {path.name}: {error}") from error
    return Sweep(path=path, profile=profile, points=points, jobs=jobs or at_once, scored=SPLITS[scored])


def with_trained(path: Path, profile: Profile, seeds: Iterable[int]) -> Sweep:
    """A sweep with the seeds that its file names and, after them, those of points that were trained."""
    named = [point.seed for point in load_sweep(path, profile).points]
    return load_sweep(path, profile, seeds=tuple(dict.fromkeys([*named, *sorted(seeds)])))


def _check_notebook(notebook: Path) -> None:
    if not notebook.is_file():
        raise ValueError(f"there is no notebook {notebook.name}")
    lacking = [name for name in GIVEN if name not in parameters_of(notebook)]
    if lacking:
        raise ValueError(
            f"{notebook.name} has no parameter {', '.join(lacking)}; a sweep tells its notebook "
            f"{', '.join(GIVEN)}, so its parameters cell needs them"
        )


def _own_row(held: Mapping[str, Any], profile: Profile) -> dict[str, Any]:
    """What this profile spends instead of its own budget; the rows of other profiles are checked too."""
    rows = mapping(held.get("profiles", {}), "profiles")
    for name, row in rows.items():
        load_profile(name)  # refuses a name that is none
        mapping(row, f"profiles, {name}")
    return dict(rows.get(profile.name, {}))


def _seeds(listed: Any) -> tuple[int, ...]:
    whole = isinstance(listed, list) and all(isinstance(seed, int) and not isinstance(seed, bool) for seed in listed)
    if not whole or not listed or len(set(listed)) < len(listed):
        raise ValueError(f"seeds={listed!r}: expected a list of different whole numbers, for example [0, 1]")
    return tuple(listed)
