"""The frozen description of a run. Every override, from a profile, a notebook or a command line, takes one path."""

import dataclasses
import difflib
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from colorlib.learner import PRECISIONS, SCHEDULES
from colorlib.model import NETWORKS
from colorlib.objectives import OBJECTIVES
from colorlib.targets import TARGETS


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A method, photographs, a budget and a seed. The defaults are the paper's where it states them."""

    photos: str = "bsds500"
    """Which photographs: a row of `colorlib.photos.SOURCES`, `folder:PATH` or `torchvision:NAME`; `@256` shrinks them,
    `~0.1` takes a tenth of the training split, `+` joins a second source."""
    target: str = "rgb"
    """What is predicted: a row of `colorlib.targets.TARGETS`. The paper: RGB (Sec. III.A)."""
    network: str = "encoder-decoder"
    """How: a row of `colorlib.model.NETWORKS`. The paper's is the first."""
    objective: str = "mse"
    """What is rewarded: a row of `colorlib.objectives.OBJECTIVES`. The paper: mean squared error (Sec. III.C)."""
    epochs: int = 100
    """Epochs of training. The paper: 100, convergence said to be seen around 40 (Sec. III.E)."""
    crops_per_epoch: int = 1600
    """Crops an epoch takes from the training photographs (open in the paper)."""
    crop_size: int = 48
    """Side of a training and validation crop in pixels (open in the paper)."""
    batch_size: int = 16
    """Crops per update. The paper: 16 (Sec. III.E)."""
    learning_rate: float = 1e-3
    """Adam's learning rate, before any schedule. The paper: 1e-3 (Sec. III.E)."""
    weight_decay: float = 0.0
    """Adam's L2 penalty. The paper: 0 (Sec. III.E)."""
    flip_probability: float = 0.5
    """Probability of a horizontal flip (Sec. III.D names flips, not their probability)."""
    turn_probability: float = 0.75
    """Probability of a quarter, half or three-quarter turn; 0.75 makes all four orientations equally likely."""
    schedule: str = "constant"
    """What becomes of the learning rate: a row of `colorlib.learner.SCHEDULES`. The paper: constant, by its silence."""
    ema: float = 0.0
    """Share of itself that a running mean of the weights keeps at each update; 0, as in the paper, keeps no mean."""
    precision: str = "float32"
    """What the network computes in while it learns: a row of `colorlib.learner.PRECISIONS`. The paper does not say."""
    keep_epochs: tuple[int, ...] = (1, 2, 5, 10, 20)
    """Epochs whose weights are kept beside the final ones."""
    seed: int = 0
    """Decides the initial weights, the crops and their order."""

    def __post_init__(self) -> None:
        """Refuse what cannot be run, naming the setting and the mend."""
        tables: dict[str, Mapping[str, object]] = {
            "target": TARGETS, "network": NETWORKS, "objective": OBJECTIVES, "schedule": SCHEDULES,
            "precision": PRECISIONS,
        }  # fmt: skip
        for name, table in tables.items():
            _require(getattr(self, name) in table, f"{name}={getattr(self, name)!r}: there are {', '.join(table)}")
        kind = TARGETS[self.target].kind
        fitting = [name for name, row in OBJECTIVES.items() if row.takes == kind]
        _require(
            self.objective in fitting,
            f"objective={self.objective!r} does not reward what target={self.target!r} predicts, {kind}; with it go "
            f"{', '.join(fitting)}",
        )
        for name in ("epochs", "crops_per_epoch", "crop_size", "batch_size"):
            _require(getattr(self, name) >= 1, f"{name}={getattr(self, name)}: it must be at least 1")
        _require(
            0 < self.learning_rate < math.inf, f"learning_rate={self.learning_rate}: it must be positive and finite"
        )
        _require(
            0 <= self.weight_decay < math.inf,
            f"weight_decay={self.weight_decay}: it must not be negative or infinite",
        )
        _require(0 <= self.ema < 1, f"ema={self.ema}: it must be at least 0 and below 1")
        for name in ("flip_probability", "turn_probability"):
            _require(0 <= getattr(self, name) <= 1, f"{name}={getattr(self, name)}: it must lie in [0, 1]")
        _require(
            all(epoch >= 1 for epoch in self.keep_epochs),
            f"keep_epochs={self.keep_epochs}: epochs are counted from 1",
        )
        _require(self.seed >= 0, f"seed={self.seed}: it must not be negative")

    @property
    def updates_per_epoch(self) -> int:
        """Batches, and so updates of the weights, in one epoch."""
        return -(-self.crops_per_epoch // self.batch_size)

    @property
    def updates(self) -> int:
        """Updates of the weights in the whole run."""
        return self.epochs * self.updates_per_epoch


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def override(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """Return `config` with `settings` in place of what it held.

    Args:
        config: where to start from.
        settings: field names and values; a string is read as the field's type, as command lines give it.

    Raises:
        ValueError: an unknown name (the message suggests the nearest), or a value of the wrong type or range.
    """
    fields = typing.get_type_hints(RunConfig)
    changed = {}
    for name, value in settings.items():
        if name not in fields:
            near = difflib.get_close_matches(str(name), fields, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(fields)}"
            raise ValueError(f"no setting is called {name!r}{hint}")
        changed[name] = _typed(name, value, fields[name])
    return dataclasses.replace(config, **changed)


def _typed(name: str, value: Any, kind: Any) -> Any:
    """`value` as `kind`, or a ValueError; nothing is rounded or guessed."""
    wrong = ValueError(f"{name}={value!r}: expected {getattr(kind, '__name__', str(kind))}")
    if isinstance(kind, types.GenericAlias):  # tuple[int, ...]
        if isinstance(value, str):
            value = [part for part in value.replace(",", " ").split() if part]
        if not isinstance(value, (list, tuple)):
            raise wrong
        return tuple(_typed(name, part, kind.__args__[0]) for part in value)
    if isinstance(value, str) and kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            raise wrong from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise wrong
    return value


def config_of_record(record: Mapping[str, Any]) -> RunConfig:
    """The configuration in a run.json; settings that did not exist yet have their defaults."""
    return override(RunConfig(), record["config"])


def as_json(config: RunConfig) -> dict[str, Any]:
    """The configuration as JSON holds it."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return plain
