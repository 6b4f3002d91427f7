"""Photographs and settings so small that a training run takes about a second."""

from pathlib import Path

import numpy as np
from PIL import Image

from colorlib.config import RunConfig
from colorlib.files import sha256
from colorlib.keys import split_by_content

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout."""

WANTED = {"train": 5, "val": 2, "test": 2}
"""Photographs per split. Five: not a multiple of any batch size below."""


def make_photos(folder: Path) -> Path:
    """Write small pictures of colored gradients and noise until each split of `folder:` has what `WANTED` says."""
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
    raise AssertionError(f"a thousand pictures, and still missing {missing}")


SETTINGS = {
    "epochs": 3,
    "crops_per_epoch": 10,
    "crop_size": 8,
    "batch_size": 4,
    "keep_epochs": (1, 2),
}
"""Three updates an epoch, of 4, 4 and 2 crops."""

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
    "bfloat16": {"precision": "bfloat16"},
}
"""What differs from the paper's method in one thing."""


def small_config(photos: Path, **changes: object) -> RunConfig:
    """The paper's method on `photos` with `SETTINGS`, some of them changed."""
    return RunConfig(**({"photos": f"folder:{photos}"} | SETTINGS | changes))  # type: ignore[arg-type]


def set_options(**changes: object) -> list[str]:
    """The same settings as `--set` options of `colorlib train`."""
    settings = SETTINGS | changes
    text = {k: ",".join(map(str, v)) if isinstance(v, tuple) else str(v) for k, v in settings.items()}
    return [part for name, value in text.items() for part in ("--set", f"{name}={value}")]


def promised_bytes(run: Path) -> dict[str, bytes]:
    """The bytes that a resumed run must share with one that ran through: file name -> content."""
    names = [run / "history.csv", run / "weights.safetensors", *sorted((run / "epochs").glob("*"))]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in names}
