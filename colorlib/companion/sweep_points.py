"""The points of a sweep: which settings each has, and what is refused before anything starts."""

import difflib
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from colorlib.companion.notebooks import check_parameters, parameters_of
from colorlib.config import RunConfig, as_json, override
from colorlib.photos import find_source
from colorlib.profiles import PROJECT

GIVEN = ("run", "seed", "mode", "scored")
"""Parameters that a sweep gives to each point itself."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One execution of the sweep's notebook."""

    sweep: str
    name: str
    seed: int
    changes: dict[str, Any]
    """What the point states itself."""
    parameters: dict[str, Any]
    """What its notebook is given, those of `GIVEN` aside."""
    config: RunConfig
    """The run that comes of it, with the notebook's own defaults."""
    notebook: Path
    directory: Path
    """Its run directory, named by a hash of its settings."""
    scored: str
    """The split it is scored on, as the library calls it."""

    @property
    def label(self) -> str:
        """What people call it."""
        return f"{self.name}, seed {self.seed}"


def combinations(held: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and the changes of each point, seeds aside."""
    listed = held.get("points", [{}])
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"points: expected a list of rows, not {listed!r}")
    grid, zipped = (_lists(held, key) for key in ("grid", "zip"))
    lengths = {name: len(values) for name, values in zipped.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"zip: its lists have different lengths: {lengths}")
    if not ("points" in held or grid or zipped):
        raise ValueError("it has no points; give it points, grid or zip")
    abreast = [dict(zip(zipped, values, strict=True)) for values in zip(*zipped.values(), strict=True)] or [{}]
    crossed = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    for row, own, combined in itertools.product(listed, abreast, crossed):
        stated = mapping(row, "points")
        name = stated.pop("name", None)
        if "points" in held and not (isinstance(name, str) and name):
            raise ValueError(f"points: {row!r} has no name; write for example {{name: paper}}")
        for setting in itertools.chain(own, combined):
            if setting in stated or (setting in own and setting in combined):
                raise ValueError(f"{setting!r} is varied twice; it may stand in one of points, grid and zip")
        varied = own | combined
        parts = [name] if name else []
        yield ", ".join([*parts, *(f"{key}={_text(value)}" for key, value in varied.items())]), stated | varied


def _lists(held: Mapping[str, Any], key: str) -> dict[str, list[Any]]:
    lists = mapping(held.get(key, {}), key)
    for name, values in lists.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"{key}: {name}={values!r}: expected a list")
    return lists


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


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
    """One point with all its settings.

    Args:
        results: the sweep's folder, in which the point gets one of its own.
        name: what the point is called.
        changes: what it states itself.
        base: what all points have, the seed among it.
        notebook: what it executes.
        photos: what `{photos}` stands for.
        scored: the split it is scored on.

    Raises:
        ValueError: a setting is unknown, ill-typed or out of range; the message names the point and the mend.
    """
    try:
        stated = {key: _filled(value, photos) for key, value in changes.items()}
        parameters = {key: _filled(value, photos) for key, value in base.items() if key != "seed"} | stated
        config = _checked(notebook, parameters, base["seed"])
    except ValueError as error:
        raise ValueError(f"point {name}: {error}") from error
    return Point(
        sweep=results.name,
        name=_filled(name, photos),
        seed=base["seed"],
        changes=stated,
        parameters=parameters,
        config=config,
        notebook=notebook,
        directory=results / _digest(notebook, parameters, config),
        scored=scored,
    )


def _checked(notebook: Path, parameters: Mapping[str, Any], seed: int) -> RunConfig:
    """The run that the notebook would make of its parameters, or a ValueError."""
    defaults = parameters_of(notebook)
    for key, value in parameters.items():
        if key in GIVEN:
            raise ValueError(f"{key}={value!r}: a sweep gives this parameter itself; for seeds write `seeds:`")
        known_only({key: value}, sorted(set(defaults) - set(GIVEN)), notebook.name)
        if isinstance(value, str) and type(defaults[key]) in (int, float):
            raise ValueError(f"{key}={value!r} is text, not a number; YAML reads 1e-3 as text, so write 1.0e-3")
    check_parameters(notebook, parameters)
    every = {**defaults, **parameters, "seed": seed}
    config = override(RunConfig(), {key: value for key, value in every.items() if key in _settings()})
    find_source(config.photos)
    return config


def _settings() -> set[str]:
    return {field.name for field in fields(RunConfig)}


def _digest(notebook: Path, parameters: Mapping[str, Any], config: RunConfig) -> str:
    """Ten digits that name a run by what differs from the defaults: a setting that comes later renames nothing."""
    plain, defaults = as_json(RunConfig()), parameters_of(notebook)
    told = {key: value for key, value in as_json(config).items() if value != plain[key]}
    told |= {key: value for key, value in parameters.items() if key not in _settings() and value != defaults[key]}
    return hashlib.sha256(json.dumps([notebook.stem, told], sort_keys=True).encode()).hexdigest()[:10]


def _filled(value: Any, photos: str) -> Any:
    return value.replace("{photos}", photos) if isinstance(value, str) else value


def refuse_doubles(points: Sequence[Point]) -> None:
    """Refuse two points that would be one run, or have one name."""
    seen: dict[object, Point] = {}
    for point in points:
        for key in (point.directory, (point.name, point.seed)):
            other = seen.setdefault(key, point)
            if other is not point:
                raise ValueError(f"the points {other.label!r} and {point.label!r} are the same; leave one out")


def shown(path: Path) -> str:
    """A path as notebooks, other machines and people are told it: below the checkout where it lies in it."""
    return path.relative_to(PROJECT).as_posix() if path.is_relative_to(PROJECT) else str(path)


def mapping(value: Any, where: str) -> dict[str, Any]:
    """`value` as names and values, or a ValueError that says where they were expected."""
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{where}: expected lines of `name: value`, not {value!r}")
    return dict(value)


def known_only(held: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Refuse a name that is none of `known`; the message suggests the nearest."""
    for name in held:
        if name not in known:
            raise ValueError(f"{where} has no {name!r}{near_miss(name, known)}")


def near_miss(name: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown name: what was probably meant, else all there are."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
