"""Atomic file writes and SHA-256 digests."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

SIGNIFICANT_DIGITS = 12
"""Decimal digits of the numbers in tables, metrics and claims."""


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_names(pairs: Iterable[tuple[str, str]]) -> str:
    """Return one SHA-256 for several named files: that of the lines `digest  name`, sorted by name.

    Args:
        pairs: (name, SHA-256 of the content) of each file.
    """
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(pairs))
    return hashlib.sha256(lines.encode()).hexdigest()


def unchanged(digests: Mapping[Path, str | None]) -> bool:
    """Return True if every file exists and has the given SHA-256."""
    return all(path.is_file() and sha256(path) == digest for path, digest in digests.items())


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        ValueError: it is not YAML, or a key stands twice in one mapping; the message names the file and the line.
    """
    try:
        import yaml
    except ImportError as error:
        raise ValueError(f"{path} is a YAML file; to read it run `pip install pyyaml`") from error

    class Loader(yaml.SafeLoader):
        """YAML's safe loader, which takes the last of two equal keys, made strict."""

    def unique(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise ValueError(
                    f"{path}, line {key.start_mark.line + 1}: the key {key.value!r} stands twice; join the two"
                )
            seen.add(key.value)
        loader.flatten_mapping(node)
        return dict(loader.construct_pairs(node, deep=True))

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, unique)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {error}") from error


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file atomically: a temporary file in the same folder, flushed to disk, then renamed over `path`.

    Missing folders are created.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is unchanged, the temporary file is removed.
    """
    write_with(path, lambda file: file.write(data))


def write_with(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically, as `write_bytes`, by a callback that writes into the open file.

    The content need not fit into memory.

    Raises:
        OSError: as `write_bytes`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # The name of `path` may already be as long as the file system allows, so only part of it is used.
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
        error.filename = str(path)  # the user knows this name, not that of the temporary file
        raise
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes the file private; give it the mode of any other new file of this user.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a failed write does not name the file, and so not the disk
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write text atomically as UTF-8, with Unix line ends on every system."""
    write_bytes(path, text.encode())


def round_floats(value: Any) -> Any:
    """Return JSON data with every float rounded to `SIGNIFICANT_DIGITS`, so that equal results have equal bytes.

    The last digits of a float64 depend on the processor's mathematical functions; these digits do not.
    """
    if isinstance(value, dict):
        return {name: round_floats(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [round_floats(item) for item in value]
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if isinstance(value, float) else value


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically: indented, keys in the given order, with a newline at the end.

    Raises:
        ValueError: `value` holds a NaN or an infinity, which JSON cannot represent.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that a killed writer left in `folder`."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
