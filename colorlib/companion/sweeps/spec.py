"""Sweep files: one notebook to be executed at many points, as in notebooks/sweeps/.

```yaml
notebook: 02_train           # the notebook to execute; it needs the parameters run, seed, mode and scored
fixed: {weight_decay: 0.0}   # settings of every point
points:                      # one change at a time: a name and the settings that differ
  - {name: paper}
  - {name: lab, target: lab}
grid: {learning_rate: [3.0e-4, 1.0e-3]}             # every combination of these lists
zip: {crop_size: [24, 48], batch_size: [64, 16]}    # the first of each list, the second of each list, …
seeds: [0, 1, 2]             # all points of the first seed come first
jobs: 1                      # points that run at once on this machine
scored: validation           # or test: the split that finished points are scored on
profiles:                    # one profile's own budget for this sweep: settings, seeds, jobs, scored
  cpu: {epochs: 40, crops_per_epoch: 1200}
```

A point is a row of `points` x a value of each list in `grid` x a row of `zip` x a seed; what a file leaves out is not
varied. Settings are applied in this order: those of the profile, `fixed`, the profile's row of `profiles`, the
point's own. In a setting, `{photos}` stands for the photographs of the profile, as in `"{photos}~0.1"`.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from colorlib.companion.notebooks import check_parameters, parameters_of
from colorlib.config import RunConfig, as_json, did_you_mean, override
from colorlib.files import read_yaml
from colorlib.photos import find_source
from colorlib.profiles import NOTEBOOKS, Profile, load_profile

SWEEPS = NOTEBOOKS / "sweeps"
KEYS = ("notebook", "fixed", "points", "grid", "zip", "seeds", "jobs", "scored", "profiles")
"""Keys of a sweep file."""
SPLITS = {"validation": "val", "test": "test"}
"""Name of a split in a sweep file -> its name in the library."""
RESERVED = ("run", "seed", "mode", "scored")
"""Notebook parameters that the sweep itself sets for each point."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One execution of the sweep's notebook."""

    sweep: str
    """Name of its sweep."""
    name: str
    """Name of the point, the same for all seeds."""
    seed: int
    changes: dict[str, Any]
    """The settings of its own row and combination."""
    parameters: dict[str, Any]
    """All parameters of its notebook but those of `RESERVED`."""
    config: RunConfig
    """The run that the notebook trains with these parameters, its own defaults included."""
    notebook: Path
    directory: Path
    """Its run directory, named by a hash of its settings."""
    scored: str
    """The split that it is scored on: `val` or `test`."""

    @property
    def label(self) -> str:
        """Name and seed, for messages."""
        return f"{self.name}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep file, read for one profile."""

    path: Path
    """The sweep file."""
    profile: Profile
    points: tuple[Point, ...]
    """All points of the first seed, then those of the next."""
    jobs: int
    """Number of points that run at once on this machine."""
    scored: str
    """The split that points are scored on: `val` or `test`."""

    @property
    def name(self) -> str:
        """Name of the sweep: that of its file."""
        return self.path.stem

    @property
    def results(self) -> Path:
        """Folder of its run directories and its summary."""
        return self.profile.sweep(self.name)


def sweep_file(name: str) -> Path:
    """Return the path of a sweep file, by its name in notebooks/sweeps/ or by its path.

    Raises:
        ValueError: there is no such file; the message lists the sweeps there are.
    """
    path = Path(name) if name.endswith(".yaml") else SWEEPS / f"{name}.yaml"
    if not path.is_file():
        known = [found.stem for found in sorted(SWEEPS.glob("*.yaml"))]
        raise ValueError(f"there is no sweep {name!r}{did_you_mean(name, known)}")
    return path


def load_sweep(path: Path, profile: Profile, *, seeds: tuple[int, ...] | None = None, jobs: int | None = None) -> Sweep:
    """Read a sweep file and check every point of it.

    Args:
        path: the file.
        profile: budget and photographs, and the folder of the results.
        seeds: other seeds than the file's.
        jobs: another number of points at once than the file's.

    Raises:
        ValueError: a point cannot be run; nothing was started. The message names the file, the point and the fix.
    """
    try:
        content = read_yaml(path)
        stated = _mapping(content, "the file")
        check_known(stated, KEYS, "a sweep")
        notebook = NOTEBOOKS / f"{stated.get('notebook', '02_train')}.ipynb"
        _check_notebook(notebook)
        # Read seeds, jobs and split: the profile's row of `profiles` comes before the file's own lines
        own = {key: stated[key] for key in ("seeds", "jobs", "scored") if key in stated} | _profile_row(stated, profile)
        listed, at_once, scored = own.pop("seeds", None), own.pop("jobs", 1), own.pop("scored", "validation")
        chosen = seeds or (profile.seeds if listed is None else _seeds(listed))
        if not isinstance(at_once, int) or isinstance(at_once, bool) or at_once < 1:
            raise ValueError(f"jobs={at_once!r}: expected a whole number, at least 1")
        if scored not in SPLITS:
            raise ValueError(f"scored={scored!r}: there are {', '.join(SPLITS)}")
        # Make the points
        base = profile.settings | _mapping(stated.get("fixed", {}), "fixed") | own
        results = profile.sweep(path.stem)
        rows = list(_combinations(stated))
        points = tuple(
            make_point(
                results, name, changes, base | {"seed": seed}, notebook, photos=profile.photos, scored=SPLITS[scored]
            )
            for seed in chosen
            for name, changes in rows
        )
        _check_distinct(points)
    except ValueError as error:
        raise ValueError(f"sweep {path.name}: {error}") from error
    return Sweep(path=path, profile=profile, points=points, jobs=jobs or at_once, scored=SPLITS[scored])


def with_trained(path: Path, profile: Profile, seeds: Iterable[int]) -> Sweep:
    """Read a sweep file with the seeds that it names and, after them, `seeds`: those of points that were trained."""
    named = [point.seed for point in load_sweep(path, profile).points]
    return load_sweep(path, profile, seeds=tuple(dict.fromkeys([*named, *sorted(seeds)])))


def _check_notebook(notebook: Path) -> None:
    if not notebook.is_file():
        raise ValueError(f"there is no notebook {notebook.name}")
    lacking = [name for name in RESERVED if name not in parameters_of(notebook)]
    if lacking:
        raise ValueError(
            f"{notebook.name} has no parameter {', '.join(lacking)}; a sweep sets {', '.join(RESERVED)}, so add them "
            "to its parameters cell"
        )


def _profile_row(content: Mapping[str, Any], profile: Profile) -> dict[str, Any]:
    """Return this profile's row of `profiles`; the rows of other profiles are checked too."""
    rows = _mapping(content.get("profiles", {}), "profiles")
    for name, row in rows.items():
        load_profile(name)  # raises if there is no such profile
        _mapping(row, f"profiles, {name}")
    return dict(rows.get(profile.name, {}))


def _seeds(listed: Any) -> tuple[int, ...]:
    whole = isinstance(listed, list) and all(isinstance(seed, int) and not isinstance(seed, bool) for seed in listed)
    if not whole or not listed or len(set(listed)) < len(listed):
        raise ValueError(f"seeds={listed!r}: expected a list of different whole numbers, for example [0, 1]")
    return tuple(listed)


def _combinations(content: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the changes of each point of one seed."""
    rows = content.get("points", [{}])
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"points: expected a list of rows, not {rows!r}")
    grid, zipped = (_lists(content, key) for key in ("grid", "zip"))
    lengths = {name: len(values) for name, values in zipped.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"zip: its lists have different lengths: {lengths}")
    if not ("points" in content or grid or zipped):
        raise ValueError("it has no points; give it points, grid or zip")
    zip_rows = [dict(zip(zipped, values, strict=True)) for values in zip(*zipped.values(), strict=True)] or [{}]
    grid_rows = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    for row, from_zip, from_grid in itertools.product(rows, zip_rows, grid_rows):
        stated = _mapping(row, "points")
        name = stated.pop("name", None)
        if "points" in content and not (isinstance(name, str) and name):
            raise ValueError(f"points: {row!r} has no name; write for example {{name: paper}}")
        for setting in itertools.chain(from_zip, from_grid):
            if setting in stated or (setting in from_zip and setting in from_grid):
                raise ValueError(f"{setting!r} is varied twice; it may stand in one of points, grid and zip")
        varied = from_zip | from_grid
        parts = [name] if name else []
        yield ", ".join([*parts, *(f"{key}={_text(value)}" for key, value in varied.items())]), stated | varied


def _lists(content: Mapping[str, Any], key: str) -> dict[str, list[Any]]:
    lists = _mapping(content.get(key, {}), key)
    for name, values in lists.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"{key}: {name}={values!r}: expected a list")
    return lists


def _text(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)  # two values never share a name


def make_point(
    results: Path,
    name: str,
    changes: Mapping[str, Any],
    base: Mapping[str, Any],
    notebook: Path,
    *,
    photos: str,
    scored: str,
) -> Point:
    """Return one point with all its settings.

    Args:
        results: the sweep's folder, in which the point gets a run directory.
        name: the point's name.
        changes: the settings of its own row and combination.
        base: settings that all points share, and the seed.
        notebook: the notebook to execute.
        photos: the photographs that `{photos}` stands for.
        scored: the split that it is scored on.

    Raises:
        ValueError: a setting is unknown, ill-typed or out of range; the message names the point and the fix.
    """
    try:
        stated = {key: _fill_in(value, photos) for key, value in changes.items()}
        parameters = {key: _fill_in(value, photos) for key, value in base.items() if key != "seed"} | stated
        config = _run_config(notebook, parameters, base["seed"])
    except ValueError as error:
        raise ValueError(f"point {name}: {error}") from error
    return Point(
        sweep=results.name,
        name=_fill_in(name, photos),
        seed=base["seed"],
        changes=stated,
        parameters=parameters,
        config=config,
        notebook=notebook,
        directory=results / _digest(notebook, parameters, config),
        scored=scored,
    )


def _fill_in(value: Any, photos: str) -> Any:
    return value.replace("{photos}", photos) if isinstance(value, str) else value


def _run_config(notebook: Path, parameters: Mapping[str, Any], seed: int) -> RunConfig:
    """Return the run that the notebook trains with these parameters; raises ValueError if it cannot."""
    defaults = parameters_of(notebook)
    for key, value in parameters.items():
        if key in (*RESERVED, "root"):
            raise ValueError(f"{key}={value!r}: a sweep sets this parameter itself; for seeds write `seeds:`")
        check_known({key: value}, sorted(set(defaults) - {*RESERVED, "root"}), notebook.name)
        if isinstance(value, str) and type(defaults[key]) in (int, float):
            raise ValueError(f"{key}={value!r} is text, not a number; YAML reads 1e-3 as text, so write 1.0e-3")
    check_parameters(notebook, parameters)
    settings = {**defaults, **parameters, "seed": seed}
    config = override(RunConfig(), {key: value for key, value in settings.items() if key in _setting_names()})
    find_source(config.photos)  # raises if there are no such photographs
    return config


def _setting_names() -> set[str]:
    return {field.name for field in fields(RunConfig)}


def _digest(notebook: Path, parameters: Mapping[str, Any], config: RunConfig) -> str:
    """Return ten hex digits that identify a run by its notebook and the settings that differ from the defaults.

    As defaults are left out, a setting that is added to the library later renames no directory.
    """
    plain, defaults = as_json(RunConfig()), parameters_of(notebook)
    changed = {key: value for key, value in as_json(config).items() if value != plain[key]}
    changed |= {
        key: value for key, value in parameters.items() if key not in _setting_names() and value != defaults[key]
    }
    return hashlib.sha256(json.dumps([notebook.stem, changed], sort_keys=True).encode()).hexdigest()[:10]


def _check_distinct(points: Sequence[Point]) -> None:
    """Raise ValueError if two points are the same run, or have the same name and seed."""
    seen: dict[object, Point] = {}
    for point in points:
        for key in (point.directory, (point.name, point.seed)):
            other = seen.setdefault(key, point)
            if other is not point:
                raise ValueError(f"the points {other.label!r} and {point.label!r} are the same; leave one out")


def _mapping(value: Any, where: str) -> dict[str, Any]:
    """Return a copy of a mapping of names to values; raises ValueError, with `where`, if it is something else."""
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{where}: expected lines of `name: value`, not {value!r}")
    return dict(value)


def check_known(names: Iterable[str], known: Sequence[str], where: str) -> None:
    """Raise ValueError if a name is not among `known`; the message suggests the nearest."""
    for name in names:
        if name not in known:
            raise ValueError(f"{where} has no {name!r}{did_you_mean(name, known)}")
