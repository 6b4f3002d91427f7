"""Provenance of results: source code, package versions, hardware, commit."""

import ast
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from functools import lru_cache
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
    for module, imported in _imports_from_package(source):
        whole = [f"{module}.{name}" for name in imported]
        names += [name for name in whole if module_path(name).is_file()] or [module]
    return names


@lru_cache(maxsize=256)
def _imports_from_package(source: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the imports from this package in Python source: module and names. Cached, since parsing takes long."""
    return tuple(
        (node.module, tuple(alias.name for alias in node.names))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "colorlib"
    )


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
    """Return the hardware in use: system, processor, cores, threads, device type; processes and accelerator if used.

    Processors of one name may differ in their vector instructions, which decide the last digits of network arithmetic:
    `cpu_capability` is what PyTorch uses of them, for example `AVX2` or `AVX512`.
    """
    found: dict[str, str | int] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
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
    """Return the checked-out commit, with `+changes` if tracked files of the package differ; None outside git.

    Only a repository whose top folder is this checkout counts: an archive unpacked inside another one has no commit.
    """
    # GIT_DIR and its kin would name another repository
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(PACKAGE), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != PACKAGE.parent.resolve():
            return None
        head = git("rev-parse", "HEAD")
        status = git("status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changes" if status else "")


def machine(hardware: Mapping[str, Any]) -> str:
    """Return the accelerator in a run's "hardware" record, or else the processor and its threads, as text."""
    return hardware.get("accelerator") or f"{hardware['processor']}, {hardware['threads']} threads"


def environments(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the "versions" and "hardware" that trained a run: those it began with, then those it was resumed with."""
    return [record, *record.get("stretches", ())]


def machines(records: Iterable[Mapping[str, Any]]) -> str:
    """Return the distinct machines of several run records as text."""
    return "; ".join(dict.fromkeys(machine(part["hardware"]) for record in records for part in environments(record)))
