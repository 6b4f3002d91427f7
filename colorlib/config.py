"""Configuration of a run, `RunConfig`, and `override`, which every profile, notebook and command line goes through."""

import dataclasses
import difflib
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from colorlib.losses import OBJECTIVES
from colorlib.model import NETWORKS
from colorlib.optim import OPTIMIZERS, PRECISIONS, SCHEDULES
from colorlib.targets import TARGETS


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Settings of one run: method, photographs, budget and seed. The defaults are the paper's where it states them."""

    photos: str = "bsds500"
    """Photographs to train on: a row of `colorlib.photos.SOURCES`, `folder:PATH` or `torchvision:NAME`; `@256` resizes
    them, `~0.1` takes a tenth of the training split, `+` adds a second source; one that is named twice counts twice."""
    target: str = "rgb"
    """Quantity that the network predicts: a row of `colorlib.targets.TARGETS`. The paper: RGB (Sec. III.A)."""
    network: str = "encoder-decoder"
    """Architecture: a row of `colorlib.model.NETWORKS`. The paper's is the first."""
    objective: str = "mse"
    """Training loss: a row of `colorlib.losses.OBJECTIVES`. The paper: mean squared error (Sec. III.C)."""
    epochs: int = 100
    """Number of epochs. The paper: 100, with convergence reported around 40 (Sec. III.E)."""
    crops_per_epoch: int = 1600
    """Training crops per epoch (not stated in the paper)."""
    crop_size: int = 48
    """Side of training and validation crops in pixels (not stated in the paper)."""
    view: int = 0
    """Side of the square, in pixels, to which whole photographs are shrunk before crops are taken; what the network
    predicts is enlarged again when it colors. 0, as in the paper, keeps their resolution."""
    view_share: float = 1.0
    """Smallest share of a photograph's width and of its height that a view in training shows; place, share and aspect
    ratio are random. 1 always shows the whole photograph."""
    batch_size: int = 16
    """Crops per update. The paper: 16 (Sec. III.E)."""
    learning_rate: float = 1e-3
    """Learning rate of the optimizer, before any schedule. The paper: 1e-3 (Sec. III.E)."""
    optimizer: str = "adam"
    """Optimizer: a row of `colorlib.optim.OPTIMIZERS`. The paper: Adam (Sec. III.E)."""
    weight_decay: float = 0.0
    """Adam's L2 penalty, or AdamW's decoupled weight decay. The paper: 0 (Sec. III.E)."""
    flip_probability: float = 0.5
    """Probability of a horizontal flip (Sec. III.D names flips, not their probability)."""
    turn_probability: float = 0.75
    """Probability of a quarter, half or three-quarter turn; 0.75 makes all four orientations equally likely."""
    schedule: str = "constant"
    """Learning-rate schedule: a row of `colorlib.optim.SCHEDULES`. The paper states none, so constant."""
    ema: float = 0.0
    """Decay of the exponential moving average of the weights at each update; 0, as in the paper, keeps no average."""
    precision: str = "float32"
    """Floating-point format of the forward pass in training: a row of `colorlib.optim.PRECISIONS` (not stated)."""
    keep_epochs: tuple[int, ...] = (1, 2, 5, 10, 20)
    """Epochs whose weights are kept, in addition to the final ones."""
    seed: int = 0
    """Seed of the initial weights, the crops and their order."""

    def __post_init__(self) -> None:
        """Raise a ValueError for the first invalid setting; the message names it and the valid values."""
        # Names of rows in tables
        tables: dict[str, Mapping[str, object]] = {
            "target": TARGETS, "network": NETWORKS, "objective": OBJECTIVES, "schedule": SCHEDULES,
            "optimizer": OPTIMIZERS, "precision": PRECISIONS,
        }  # fmt: skip
        for name, table in tables.items():
            _require(getattr(self, name) in table, f"{name}={getattr(self, name)!r}: choose one of {', '.join(table)}")
        # A loss fits the kind of target that it compares with
        kind = TARGETS[self.target].kind
        fitting = [name for name, row in OBJECTIVES.items() if row.takes == kind]
        _require(
            self.objective in fitting,
            f"objective={self.objective!r} does not fit target={self.target!r}, which predicts {kind}; choose one of "
            f"{', '.join(fitting)}",
        )
        # Ranges of numbers
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
            _require(0 <= getattr(self, name) <= 1, f"{name}={getattr(self, name)}: it must be in [0, 1]")
        _require(
            all(epoch >= 1 for epoch in self.keep_epochs),
            f"keep_epochs={self.keep_epochs}: epochs are counted from 1",
        )
        # Whole photographs
        _require(
            self.view == 0 or self.view >= self.crop_size,
            f"view={self.view}: it must be 0 or at least crop_size={self.crop_size}",
        )
        _require(0 < self.view_share <= 1, f"view_share={self.view_share}: it must be above 0 and at most 1")
        _require(
            self.view > 0 or self.view_share == 1,
            f"view_share={self.view_share} needs view, the side to which photographs are shrunk, such as 128",
        )
        _require(
            self.view > 0 or not NETWORKS[self.network].whole,
            f"network={self.network} sees whole photographs; set view, the side to which they are shrunk, such as 128",
        )
        _require(self.seed >= 0, f"seed={self.seed}: it must not be negative")

    @property
    def updates_per_epoch(self) -> int:
        """Updates of the weights in one epoch: one per batch, the smaller last one included."""
        return -(-self.crops_per_epoch // self.batch_size)

    @property
    def updates(self) -> int:
        """Updates of the weights in the whole run."""
        return self.epochs * self.updates_per_epoch


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known one, and all of them if they are few."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return hint + (f"; choose one of {', '.join(names)}" if len(names) <= 12 or not near else "")


def override(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """Return a copy of `config` with some settings changed.

    Args:
        config: the configuration to start from.
        settings: field names and values; a string, as from a command line, is parsed as the field's type.

    Raises:
        ValueError: a name is unknown (the message suggests the nearest), or a value has the wrong type or range.
    """
    fields = typing.get_type_hints(RunConfig)
    changed = {}
    for name, value in settings.items():
        if name not in fields:
            hint = did_you_mean(str(name), fields)
            raise ValueError(f"no setting is called {name!r}{hint}")
        changed[name] = _typed(name, value, fields[name])
    return dataclasses.replace(config, **changed)


def _typed(name: str, value: Any, kind: Any) -> Any:
    """Return `value` as type `kind` or raise a ValueError; nothing is rounded or guessed."""
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
        try:
            return float(value)
        except OverflowError:
            raise wrong from None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise wrong
    return value


def config_of_record(record: Mapping[str, Any]) -> RunConfig:
    """Return the configuration in a run.json; settings newer than the file get their defaults."""
    return override(RunConfig(), record["config"])


def as_json(config: RunConfig) -> dict[str, Any]:
    """Return the configuration as JSON types: a dictionary in which tuples are lists."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return plain
