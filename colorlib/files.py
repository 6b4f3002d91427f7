"""Atomic file writes, SHA-256 digests, and JSON and YAML files whose content is checked when they are read."""

import errno
import hashlib
import json
import math
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


def read_json(path: Path, fields: Mapping[str, Any], *, fix: str = "make it again") -> dict[str, Any]:
    """Return the content of a JSON file that is an object with these fields (`check_fields`).

    Args:
        path: the file.
        fields: the fields that it must have.
        fix: end of the message of an error.

    Raises:
        ValueError: the file is missing or not JSON, or a field is missing or has another type; the message names both.
    """
    try:
        content: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        check_fields(content, fields)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}; restore it, or {fix}") from error
    return content


def parse_json(text: str) -> Any:
    """Return the content of JSON text.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or holds a NaN, an infinity or an integer beyond 64 bits.
    """

    def number(digits: str) -> int | float:
        value = int(digits) if digits.lstrip("-").isdigit() else float(digits)
        if not abs(value) < 2**63 and (isinstance(value, int) or not math.isfinite(value)):
            raise ValueError(f"it holds the number {digits[:20]}, which is not finite or too large")
        return value

    try:
        return json.loads(text, parse_constant=number, parse_int=number, parse_float=number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def check_fields(value: Any, fields: Mapping[str, Any], where: str = "") -> None:
    """Check that JSON data is an object with these fields; others are allowed.

    Args:
        value: the data.
        fields: name -> type or types, the fields of an object, or a list of one mapping: the fields of each object in
            a list. `float` allows whole numbers.
        where: name of the object that holds the fields.

    Raises:
        ValueError: a field is missing or has another type; the message names it.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{where or 'the content'} is {_shortened(value)}, not an object")  # noqa: TRY004
    for name, kind in fields.items():
        field = f"{where}.{name}" if where else name
        if name not in value:
            raise ValueError(f"it has no {field}")
        found = value[name]
        if isinstance(kind, Mapping):
            check_fields(found, kind, field)
        elif isinstance(kind, list):
            if not isinstance(found, list):
                raise ValueError(f"{field} is {_shortened(found)}, not a list")  # noqa: TRY004
            for number, row in enumerate(found):
                check_fields(row, kind[0], f"{field}[{number}]")
        elif isinstance(found, bool) or not isinstance(found, (int, float) if kind is float else kind):
            names = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
            raise ValueError(f"{field} is {_shortened(found)}, not of type {names}")  # noqa: TRY004


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


YAML_NODES = 100_000
"""Limit on the values in a YAML file once its aliases are expanded."""


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        ValueError: it is missing or not YAML, a key stands twice in one mapping, or its aliases expand to more than
            `YAML_NODES` values; the message names the file, and for a key the line.
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
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError(f"{path}, line {key.start_mark.line + 1}: a key must be a name")  # noqa: TRY004
            if key.value in seen:
                raise ValueError(
                    f"{path}, line {key.start_mark.line + 1}: the key {key.value!r} stands twice; join the two"
                )
            seen.add(key.value)
        loader.flatten_mapping(node)
        return dict(loader.construct_pairs(node, deep=True))

    sizes: dict[int, int] = {}

    def expanded(node: yaml.Node) -> int:
        """Return the number of values below a node with all aliases expanded; a node within itself has too many."""
        if id(node) not in sizes:
            sizes[id(node)] = YAML_NODES + 1
            inner = node.value if isinstance(node, yaml.SequenceNode) else ()
            if isinstance(node, yaml.MappingNode):
                inner = [part for pair in node.value for part in pair]
            sizes[id(node)] = 1 + sum(map(expanded, inner))
        return sizes[id(node)]

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, unique)
    try:
        loader = Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if node is not None and expanded(node) > YAML_NODES:
            raise ValueError(f"{path}: its aliases expand to more than {YAML_NODES:,} values; write fewer")
        return None if node is None else loader.construct_document(node)
    except RecursionError as error:
        raise ValueError(f"{path}: it is nested too deeply") from error
    except (OSError, ValueError, OverflowError, yaml.YAMLError) as error:
        message = str(error)
        raise ValueError(message if message.startswith(str(path)) else f"{path}: {message}") from error


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
        _flush_folder(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a failed write does not name the file, and so not the disk
        raise


def _flush_folder(folder: Path) -> None:
    """Flush a renamed file's new name to disk, so that a power cut cannot undo it while a later write survives."""
    if os.name == "nt":  # Windows opens no folders
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that takes files and shows none
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a network file system that has no such flush
            raise
    finally:
        os.close(handle)


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
