"""Where a number comes from: which source code, which versions, which machine."""

import ast
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import torch

from colorlib import ranks
from colorlib.files import sha256, sha256_of_names

PACKAGE = Path(__file__).parent
VERSIONED = ("numpy", "pillow", "safetensors", "torch")


def imports_of(source: str) -> list[str]:
    """The modules of this package that Python source imports itself; imports inside functions count."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "colorlib":
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [name for name in whole if module_path(name).is_file()] or [node.module]
    return names


def imported_modules(*modules: str) -> list[str]:
    """The modules of this package that `modules` import, directly or through others, themselves included, sorted.

    Read from the source with `ast`, so nothing is executed.
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


def module_path(module: str) -> Path:
    """The source file of a module of this package, for example `colorlib.model`."""
    inner = module.split(".")[1:]
    path = PACKAGE.joinpath(*inner)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def source_digest(*modules: str) -> str:
    """One SHA-256 over the source of `modules` and of all they import from this package."""
    return sha256_of_names((name, sha256(module_path(name))) for name in imported_modules(*modules))


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the numbers depend on."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in VERSIONED}


def processor() -> str:
    """The processor's model name, as the operating system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def hardware(device: torch.device) -> dict[str, str | int]:
    """What the run runs on: the processor, its cores, the threads in use, the accelerator if one is used."""
    found: dict[str, str | int] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "device": device.type,
    }
    if ranks.size() > 1:
        found["processes"] = ranks.size()
    if device.type == "cuda":
        found["accelerator"] = torch.cuda.get_device_name(device)
    return found


def commit() -> str | None:
    """The checked-out commit, with `+changes` where tracked files differ from it; None outside a git checkout."""
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
