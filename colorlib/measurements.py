"""What training tells whoever listens: an update was done, an epoch was measured, something is worth saying."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something the person at the terminal should know, for example that a damaged checkpoint was passed over."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Update:
    """One update of the weights was done."""

    epoch: int
    step: int
    """Updates done so far, of `RunConfig.updates`."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch was done, measured and checkpointed."""

    epoch: int
    step: int
    training_loss: float
    """Mean over the epoch's crops, each measured before the update that its batch caused."""
    validation_loss: float
    """Mean over the center crops of the validation photographs, after the epoch."""


def epoch_of_row(row: Mapping[str, float]) -> Epoch:
    """The epoch that a row of history.csv records."""
    return Epoch(
        epoch=int(row["epoch"]),
        step=int(row["updates"]),
        training_loss=row["training_loss"],
        validation_loss=row["validation_loss"],
    )
