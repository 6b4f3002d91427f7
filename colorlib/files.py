"""Writing files so that a reader never meets half of one, and naming their content by SHA-256."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_names(pairs: Iterable[tuple[str, str]]) -> str:
    """One SHA-256 for many named contents: of the lines `digest  name`, sorted by name."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(pairs))
    return hashlib.sha256(lines.encode()).hexdigest()


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a whole file or nothing: a temporary file in the same folder, flushed to disk, then renamed over `path`.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is as it was and the temporary file is gone.
    """
    write_with(path, lambda file: file.write(data))


def write_with(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """`write_bytes` for what writes itself into an open file, so that it need not be held in memory.

    Raises:
        OSError: as `write_bytes`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # A name may be as long as the file system allows: no room for much more.
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
        error.filename = str(path)  # not that of a temporary file that nobody has heard of
        raise
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes the file private; a result should be as readable as any other file this user writes.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a failed write does not say of which file, so of which disk
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for UTF-8 text with Unix line ends on every system."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON that people can read and diffs can follow: indented, in the given order, strict about NaN."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that a killed `write_bytes` left in `folder`."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
