"""Checkpoints and weights: named tensors, a step and JSON facts in one safetensors file.

A file is written atomically, holds nothing to unpickle, and contains the SHA-256 of its own content, so that damage is
noticed. A run resumes from the newest intact checkpoint.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from colorlib.files import check_fields, parse_json, remove_leftovers, write_bytes

KEEP = 2
"""Number of checkpoints to keep: the newest and the one before it, in case the newest is damaged."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """State of a run after `step` updates."""

    step: int
    state: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    """JSON data: the run's key, and its history and timing so far."""


def save_tensors(
    path: Path, state: Mapping[str, Tensor], *, step: int = 0, facts: Mapping[str, Any] | None = None
) -> None:
    """Write named tensors and the SHA-256 of the content, atomically; equal content gives equal bytes.

    Args:
        path: the file; it is replaced if it exists.
        state: name -> tensor, of any type and on any device.
        step: number of updates.
        facts: JSON data without NaN or infinity.

    Raises:
        OSError: the disk is full or not writable; the previous content of `path` is intact.
        ValueError: a number in `facts` is not finite.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    # Keys stay in the given order, because history.csv takes the order of its columns from here.
    text = json.dumps(facts or {}, allow_nan=False)
    # A single metadata entry: safetensors orders several by hash, which differs from process to process.
    envelope = {"step": step, "facts": text, "sha256": _content_digest(tensors, step, text)}
    write_bytes(path, save(tensors, {"colorlib": json.dumps(envelope, sort_keys=True)}))


def load_tensors(path: Path) -> Checkpoint:
    """Read a file that `save_tensors` wrote.

    Returns:
        The tensors on the CPU, the step and the facts.

    Raises:
        ValueError: the file is missing, damaged, or was not written by `save_tensors`; the message names it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            envelope = parse_json((file.metadata() or {})["colorlib"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        check_fields(envelope, {"step": int, "facts": str, "sha256": str})
        step, text = envelope["step"], envelope["facts"]
        damaged = _content_digest(state, step, text) != envelope["sha256"]
        facts = parse_json(text)
        check_fields(facts, {})
    except Exception as error:  # whatever a damaged or crafted file causes
        raise ValueError(f"{path} cannot be read as weights ({error or type(error).__name__})") from error
    if damaged:
        raise ValueError(f"{path} is damaged: its content does not match the SHA-256 that it contains")
    return Checkpoint(step=step, state=state, facts=facts)


def _content_digest(state: Mapping[str, Tensor], step: int, facts: str) -> str:
    """Return the SHA-256 of step, facts and tensors, independent of the order of the tensors."""
    digest = hashlib.sha256(f"{step}\n{facts}\n".encode())
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint into `folder`, then delete all but it and the `KEEP` - 1 before it.

    Raises:
        OSError: the disk is full or not writable; the older checkpoints are intact.
    """
    path = checkpoint_file(folder, checkpoint.step)
    save_tensors(path, checkpoint.state, step=checkpoint.step, facts=checkpoint.facts)
    files = checkpoint_files(folder)
    # Files of later steps are damaged, or the run would have resumed from them. Counting them among those to keep would
    # delete intact ones.
    index = files.index(path)
    for unneeded in files[:index] + files[index + KEEP :]:
        unneeded.unlink()


def checkpoint_file(folder: Path, step: int) -> Path:
    """Return the file of the checkpoint after `step` updates."""
    return folder / f"update-{step:08d}.safetensors"


def checkpoint_files(folder: Path) -> list[Path]:
    """Return the checkpoint files in `folder`, newest first, intact or damaged.

    Raises:
        OSError: the folder cannot be read; `Path.glob` would call it empty.
    """
    if not folder.exists():
        return []
    return sorted((path for path in folder.iterdir() if path.match("update-*.safetensors")), reverse=True)


def load_newest(
    folder: Path, check: Callable[[Checkpoint], None] = lambda checkpoint: None
) -> tuple[Checkpoint | None, list[str]]:
    """Load the newest intact checkpoint; delete temporary files of a killed process.

    Args:
        folder: the folder of the checkpoints.
        check: called with each intact checkpoint; one for which it raises ValueError is passed over.

    Returns:
        The checkpoint, or None if there is none, and a message for each newer one that was passed over.
    """
    remove_leftovers(folder)
    unusable: list[str] = []
    for path in checkpoint_files(folder):
        try:
            checkpoint = load_tensors(path)
        except ValueError as error:
            unusable.append(str(error))
            continue
        try:
            if path != checkpoint_file(folder, checkpoint.step):
                raise ValueError(f"it is of update {checkpoint.step}")
            check(checkpoint)
        except ValueError as error:
            unusable.append(f"{path} cannot be resumed from: {error}")
            continue
        return checkpoint, unusable
    return None, unusable
