"""What trained a run, as people call it."""

from collections.abc import Iterable, Mapping
from typing import Any


def machine(hardware: Mapping[str, Any]) -> str:
    """The accelerator that a run's record names, else the processor and its threads."""
    return hardware.get("accelerator") or f"{hardware['processor']}, {hardware['threads']} threads"


def machines(records: Iterable[Mapping[str, Any]]) -> str:
    """Those of several runs' records, each once."""
    return "; ".join(dict.fromkeys(machine(record["hardware"]) for record in records))
