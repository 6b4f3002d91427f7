"""Training runs that take about a second: photographs, settings, and functions that look at a run."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from colorlib.checkpoint import load_newest
from colorlib.config import RunConfig
from colorlib.files import sha256
from colorlib.rng import split_by_content
from colorlib.runs import Epoch, Notice, Update
from colorlib.trainer import train

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout."""

WANTED = {"train": 5, "val": 2, "test": 2}
"""Photographs per split. Five: not a multiple of any batch size below."""


def make_photos(folder: Path) -> Path:
    """Write small images of colored gradients and noise until each split of `folder:` has the `WANTED` number."""
    folder.mkdir(parents=True)
    missing = dict(WANTED)
    for number in range(1000):
        random = np.random.default_rng(number)
        height, width = (40, 48) if number % 2 else (48, 40)
        ramp = np.linspace(0, 1, height)[:, None, None] * random.uniform(0, 255, 3)
        pixels = np.clip(ramp + random.normal(40, 20, (height, width, 3)), 0, 255).astype(np.uint8)
        path = folder / f"{number:03d}.png"
        Image.fromarray(pixels).save(path)
        split = split_by_content(sha256(path))
        if missing[split] == 0:
            path.unlink()
        else:
            missing[split] -= 1
        if not any(missing.values()):
            return folder
    raise AssertionError(f"a thousand images, and still missing {missing}")


SETTINGS = {
    "epochs": 3,
    "crops_per_epoch": 10,
    "crop_size": 8,
    "batch_size": 4,
    "keep_epochs": (1, 2),
}
"""Three updates an epoch, of 4, 4 and 2 crops."""

UPDATES = 9
"""Updates of a whole run with `SETTINGS`."""

METHODS: dict[str, dict[str, object]] = {
    "lab": {"target": "lab"},
    "lab-bins": {"target": "lab-bins", "objective": "classification"},
    "skip": {"network": "skip"},
    "unet": {"network": "unet"},
    "l1": {"objective": "l1"},
    "huber": {"objective": "huber"},
    "perceptual-random": {"objective": "perceptual-random"},
    "adversarial": {"objective": "adversarial", "target": "lab"},
    "cosine, ema": {"schedule": "cosine", "ema": 0.9},
    "scene": {"network": "scene-unet", "target": "lab", "objective": "l1-scene", "view": 16},
    "parts of photographs": {
        "network": "deep-unet",
        "view": 16,
        "view_share": 0.6,
        "optimizer": "adamw",
        "weight_decay": 0.01,
    },
    "bfloat16": {"precision": "bfloat16"},
}
"""Variations of the paper's method: name -> changed settings."""


def run_record(**changes: Any) -> dict[str, Any]:
    """Return an invented run.json with all its fields, and with `changes` in its groups."""
    split = {"count": 5, "sha256": "ab" * 32}
    record: dict[str, Any] = {
        "config": {}, "photos": {"train": split, "val": split}, "source": "cd" * 32, "versions": {"python": "3.11.7"},
        "hardware": {"processor": "An Invented Processor", "threads": 2, "device": "cpu"},
    }  # fmt: skip
    for group, values in changes.items():
        record[group] = record.get(group, {}) | values if isinstance(values, dict) else values
    return record


def small_config(photos: Path, **changes: object) -> RunConfig:
    """Return the paper's method on `photos` with `SETTINGS` and `changes`."""
    return RunConfig(**({"photos": f"folder:{photos}"} | SETTINGS | changes))  # type: ignore[arg-type]


def set_options(**changes: object) -> list[str]:
    """Return the same settings as `--set` options of `colorlib train`."""
    settings = SETTINGS | changes
    text = {k: ",".join(map(str, v)) if isinstance(v, tuple) else str(v) for k, v in settings.items()}
    return [part for name, value in text.items() for part in ("--set", f"{name}={value}")]


def start_run(config: RunConfig, run: Path, **options: Any) -> Iterator[Notice | Update | Epoch]:
    """Return the generator of a training run, on the CPU and in one thread unless `options` say otherwise."""
    return train(config, run, **({"device": "cpu", "threads": 1} | options))


def train_run(config: RunConfig, run: Path, **options: Any) -> list[Notice | Update | Epoch]:
    """Train to the end and return all events; options as in `start_run`."""
    return list(start_run(config, run, **options))


def updates(events: Iterable[object]) -> list[int]:
    """Return the steps of the updates among the events of a run."""
    return [event.step for event in events if isinstance(event, Update)]


def notices(events: Iterable[object]) -> list[str]:
    """Return the texts of the notices among the events of a run."""
    return [event.text for event in events if isinstance(event, Notice)]


def newest_step(run: Path) -> int:
    """Return the step of a run's newest checkpoint; fail if any checkpoint is damaged."""
    checkpoint, damaged = load_newest(run / "checkpoints")
    assert checkpoint is not None
    assert damaged == []
    return checkpoint.step


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file in a folder: relative name -> content."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def result_bytes(run: Path) -> dict[str, bytes]:
    """Return the files that a resumed run must share with an uninterrupted one: relative name -> content."""
    names = [run / "history.csv", run / "weights.safetensors", *sorted((run / "epochs").glob("*"))]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in names}
