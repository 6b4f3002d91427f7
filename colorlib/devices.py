"""Where the arithmetic runs: the device, its threads, and its promise to give the same numbers again."""

import ctypes
import os
import sys

import torch
from torch import Tensor

from colorlib import ranks

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's names for what mallopt(3) sets."""


def choose_device(name: str = "auto") -> torch.device:
    """`auto` takes CUDA, else Apple's MPS, else the CPU; any other name is torch's own.

    Raises:
        ValueError: torch knows no such device, or it is not on this machine.
    """
    if name != "auto":
        try:
            device = torch.device(name)
            torch.zeros(1, device=device).item()
        except (RuntimeError, AssertionError, ImportError) as error:
            raise ValueError(f"device={name}: not on this machine ({str(error).splitlines()[0]}); try cpu") from error
        return device
    if torch.cuda.is_available():
        return torch.device("cuda", ranks.on_this_machine()[0]) if ranks.size() > 1 else torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def usable_cores() -> int:
    """Cores this process may run on, which containers and schedulers can make fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def give_back_memory() -> None:
    """Give freed memory, which `prepare` lets glibc keep, back to the system, for something large of another kind."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _keep_freed_memory() -> None:
    """Let glibc keep freed blocks for the next step instead of returning each large one to the system.

    The activations of one batch are such blocks; faulting their pages in anew costs an update of the paper's network
    an eighth of its time (results/LOG.md). Other C libraries have no such setting and are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    # Some versions of glibc refuse thresholds above 32 MB; without the first, the second would do harm.
    if mallopt is not None and any(mallopt(M_MMAP_THRESHOLD, size) == 1 for size in (2**30, 2**25)):
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def keeper(size: int, device: torch.device) -> torch.device:
    """Where `size` bytes of photographs are kept: on the GPU that needs them, if half of what is free will do."""
    if device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] // 2:
        return torch.device("cpu")
    # Apple's GPU shares the memory of its CPU.
    return torch.device("cpu") if device.type == "mps" else device


def send(values: Tensor, device: torch.device) -> Tensor:
    """`values` on the device; a GPU that is still busy is not waited for."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def prepare(name: str = "auto", threads: int | None = None) -> torch.device:
    """Choose the device and set this process up so that equal inputs give equal bytes on it.

    Apple's MPS makes no such promise: there the numbers agree only closely.

    Args:
        name: `auto`, `cpu`, `cuda`, `mps`, …
        threads: threads of the CPU; None takes one per usable core, shared among the processes that torchrun started
            here. Equal bytes need an equal number.

    Raises:
        ValueError: no such device here, or fewer than one thread.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads={threads}: it must be at least 1")
    torch.set_num_threads(threads or max(1, usable_cores() // ranks.on_this_machine()[1]))
    _keep_freed_memory()
    device = choose_device(name)
    if device.type == "cuda":
        # cuBLAS wants this before its first call; without it deterministic algorithms are refused.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        # Nothing here reads memory that it did not write.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return device
