"""Provenance of results: source code, package versions, hardware, commit."""

import ast
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from colorlib.device import world_size
from colorlib.files import sha256, sha256_of_names

PACKAGE = Path(__file__).parent
"""Folder of this package's source."""
VERSIONED = ("numpy", "pillow", "safetensors", "torch")
"""Packages that results depend on, recorded in run.json."""


def source_digest(*modules: str) -> str:
    """Return one SHA-256 of the source of `modules` and of all that they import from this package."""
    return sha256_of_names((name, sha256(module_path(name))) for name in imported_modules(*modules))


def imported_modules(*modules: str) -> list[str]:
    """Return `modules` and all modules of this package that they import, directly or indirectly, sorted.

    The imports are read from the source with `ast`; nothing is executed.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += imports_of(module_path(name).read_text(encoding="utf-8"))
    return sorted(found - {"colorlib"})


def imports_of(source: str) -> list[str]:
    """Return the modules of this package that Python source imports directly, also inside functions.

    Only absolute imports (`from colorlib.x import y`) are found: a relative one would be missing from the digest.
    """
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "colorlib":
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [name for name in whole if module_path(name).is_file()] or [node.module]
    return names


def module_path(module: str) -> Path:
    """Return the source file of a module of this package, for example `colorlib.model`; `__init__.py` of a folder."""
    inner = module.split(".")[1:]
    path = PACKAGE.joinpath(*inner)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in VERSIONED}


def processor() -> str:
    """Return the processor's model name as reported by the operating system."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def hardware(device: torch.device) -> dict[str, str | int]:
    """Return the hardware in use: system, processor, cores, threads, device type; processes and accelerator if used."""
    found: dict[str, str | int] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "device": device.type,
    }
    if world_size() > 1:
        found["processes"] = world_size()
    if device.type == "cuda":
        found["accelerator"] = torch.cuda.get_device_name(device)
    return found


def commit() -> str | None:
    """Return the checked-out commit, with `+changes` if tracked files of the package differ; None outside git."""
    git = ["git", "-C", str(PACKAGE)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no", "--", "."],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changes" if status.strip() else "")


def machine(hardware: Mapping[str, Any]) -> str:
    """Return the accelerator in a run's "hardware" record, or else the processor and its threads, as text."""
    return hardware.get("accelerator") or f"{hardware['processor']}, {hardware['threads']} threads"


def machines(records: Iterable[Mapping[str, Any]]) -> str:
    """Return the distinct machines of several run records as text."""
    return "; ".join(dict.fromkeys(machine(record["hardware"]) for record in records))
