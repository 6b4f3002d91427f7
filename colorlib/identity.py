"""Which run is this: what a run is a function of, and how a directory's run differs from the one asked for."""

from collections.abc import Iterator
from typing import Any

from colorlib.checkpoint import Checkpoint
from colorlib.config import RunConfig, as_json
from colorlib.photos import PhotoSet
from colorlib.provenance import source_digest
from colorlib.runs import Run


def run_key(config: RunConfig, photos: dict[str, PhotoSet]) -> dict[str, Any]:
    """What a run is a function of: its configuration, its photographs and the source it is trained by."""
    return {
        "config": as_json(config),
        "photos": {split: {"count": len(found), "sha256": found.digest} for split, found in photos.items()},
        "source": source_digest("colorlib.trainer"),
    }


def other_run(run: Run, key: dict[str, Any], checkpoint: Checkpoint | None) -> str | None:
    """Why this directory is another run's, or None.

    A checkpoint must have the very same key. A run without checkpoints, as in a fresh clone, may be made again from
    other source or photographs; a differently configured one is not lost.
    """
    if checkpoint:
        held = checkpoint.facts["key"]
    elif (run.path / "run.json").is_file():
        held = run.record()
    else:
        return None
    # Settings that did not exist yet when it was written have their defaults.
    then, now = as_json(RunConfig()) | held["config"], key["config"]
    differing = [f"{name}={then[name]!r}, not {now.get(name)!r}" for name in then if then[name] != now.get(name)]
    if checkpoint:
        differing += [f"other {name}" for name in ("photos", "source") if held[name] != key[name]]
    if not differing:
        return None
    return (
        f"{run.path} holds the state of another run ({'; '.join(differing)}); name another directory, or restart to "
        "discard it (--restart)"
    )


def changes(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Say what is not as it was when the run began."""
    changed = [
        f"{name} {then[group].get(name)}, now {value}"
        for group, values in now.items()
        for name, value in values.items()
        if then[group].get(name) != value
    ]
    if changed:
        yield f"the run began with {'; '.join(changed)}: expect close numbers, not equal bytes"
