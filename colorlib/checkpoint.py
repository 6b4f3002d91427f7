"""A checkpoint is a named bag of tensors, a step and a few facts, in one safetensors file that verifies itself.

It is written whole or not at all, holds no code to unpickle, and carries the SHA-256 of its own content; the newest
one that is whole wins.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from colorlib.files import remove_leftovers, write_bytes

KEPT = 2
"""How many checkpoints stay: the newest and the one before it, in case the newest is damaged."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """State after `step` updates."""

    step: int
    state: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    """What else resuming needs, as JSON holds it exactly: the run's key, its history so far."""


def _content_digest(state: Mapping[str, Tensor], step: int, facts: str) -> str:
    digest = hashlib.sha256(f"{step}\n{facts}\n".encode())
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def save_tensors(
    path: Path, state: Mapping[str, Tensor], *, step: int = 0, facts: Mapping[str, Any] | None = None
) -> None:
    """Write named tensors with their content's SHA-256, atomically; equal content gives equal bytes.

    Raises:
        OSError: the disk is full or not writable; whatever `path` held before is still there.
    """
    plain = {name: _plain(tensor) for name, tensor in state.items()}
    # In the given order: history.csv takes the order of its columns from here.
    text = json.dumps(facts or {}, allow_nan=False)
    # safetensors orders the metadata map by hash, which differs from process to process: one entry has one order.
    envelope = {"step": step, "facts": text, "sha256": _content_digest(plain, step, text)}
    write_bytes(path, save(plain, {"colorlib": json.dumps(envelope, sort_keys=True)}))


def load_tensors(path: Path) -> Checkpoint:
    """Read what `save_tensors` wrote.

    Raises:
        ValueError: the file is missing, damaged, or was not written by `save_tensors`; the message names it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            envelope = json.loads((file.metadata() or {})["colorlib"])
            step, facts, digest = envelope["step"], envelope["facts"], envelope["sha256"]
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} cannot be read as weights ({error or type(error).__name__})") from error
    if _content_digest(state, step, facts) != digest:
        raise ValueError(f"{path} is damaged: its content does not match the SHA-256 it carries")
    return Checkpoint(step=step, state=state, facts=json.loads(facts))


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Add a checkpoint to `folder`; it and the `KEPT` - 1 before it stay, the others are dropped.

    Raises:
        OSError: the disk is full or not writable; the older checkpoints are intact.
    """
    path = folder / f"update-{checkpoint.step:08d}.safetensors"
    save_tensors(path, checkpoint.state, step=checkpoint.step, facts=checkpoint.facts)
    files = checkpoint_files(folder)
    # A later one can only be damaged, else the run had gone on from it: it must not count among those that stay.
    later = files.index(path)
    for useless in files[:later] + files[later + KEPT :]:
        useless.unlink()


def checkpoint_files(folder: Path) -> list[Path]:
    """The checkpoint files in `folder`, newest first, whole or not."""
    return sorted(folder.glob("update-*.safetensors"), reverse=True)


def load_newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, or None, and a message for each newer one that is damaged.

    What a killed writer left behind is removed.
    """
    remove_leftovers(folder)
    complaints: list[str] = []
    for path in checkpoint_files(folder):
        try:
            return load_tensors(path), complaints
        except ValueError as error:
            complaints.append(str(error))
    return None, complaints
