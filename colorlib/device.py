"""Device, threads and deterministic algorithms; the processes of distributed training."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

T = TypeVar("T")

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3)."""


def prepare(name: str = "auto", threads: int | None = None) -> torch.device:
    """Choose the device and set up this process so that equal inputs give equal bytes on it.

    Apple's MPS has no such guarantee: there results agree only approximately.

    Args:
        name: `auto`, `cpu`, `cuda`, `mps`, …
        threads: CPU threads; None takes one per usable core, divided among torchrun's processes on this machine. Equal
            bytes need an equal number of threads.

    Raises:
        ValueError: there is no such device, or fewer than one thread.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads={threads}: it must be at least 1")
    torch.set_num_threads(threads or max(1, usable_cores() // local_world_size()))
    _keep_freed_memory()
    device = choose_device(name)
    if device.type == "cuda":
        # cuBLAS reads this before its first call; without it torch refuses deterministic algorithms.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        # Filling costs time, and no code here reads memory that it did not write.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return device


def choose_device(name: str = "auto") -> torch.device:
    """Return the device `name`; `auto` prefers CUDA, then Apple's MPS, then the CPU.

    Raises:
        ValueError: torch has no such device, or this machine has none.
    """
    if name != "auto":
        try:
            device = torch.device(name)
            torch.zeros(1, device=device).item()
        except (RuntimeError, AssertionError, ImportError) as error:
            raise ValueError(f"device={name} is not available ({str(error).splitlines()[0]}); try cpu") from error
        return device
    if torch.cuda.is_available():
        return torch.device("cuda", local_rank()) if world_size() > 1 else torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def usable_cores() -> int:
    """Return the number of cores this process may use: containers and schedulers can allow fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _keep_freed_memory() -> None:
    """Make glibc keep freed blocks for the next update instead of returning each large one to the system.

    The activations of a batch are such blocks; faulting their pages in again costs an eighth of the time of an update
    of the paper's network (results/LOG.md). Other C libraries have no such setting and are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    # Some versions of glibc refuse thresholds above 32 MB. Without the first setting the second would do harm.
    if mallopt is not None and any(mallopt(M_MMAP_THRESHOLD, size) == 1 for size in (2**30, 2**25)):
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def release_freed_memory() -> None:
    """Return freed memory, which `prepare` makes glibc keep, to the system, before another large allocation."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def dataset_device(size: int, device: torch.device) -> torch.device:
    """Return the device to keep `size` bytes of photographs on: the GPU if they fit into half of its free memory.

    On the CPU and on Apple's GPU, which shares the memory of its CPU, it is the CPU.
    """
    if device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] // 2:
        return torch.device("cpu")
    return torch.device("cpu") if device.type == "mps" else device


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return `values` on the device, copied to a GPU asynchronously from pinned memory."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


# Processes


def world_size() -> int:
    """Return the number of processes in the group; 1 without a group."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return the index of this process in the group, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_main_process() -> bool:
    """Return True for the one process that writes files and prints."""
    return rank() == 0


def local_rank() -> int:
    """Return the index of this process among the group's processes on this machine, from 0."""
    return int(os.environ["LOCAL_RANK"]) if distributed.is_initialized() else 0


def local_world_size() -> int:
    """Return the number of the group's processes on this machine; 1 without a group."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if distributed.is_initialized() else 1


@contextmanager
def process_group(device: str = "auto") -> Iterator[None]:
    """Join the process group of torchrun within the block; do nothing in a process that torchrun did not start.

    Args:
        device: name of the device; CUDA uses the backend NCCL, others gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        yield
        return
    cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield
        barrier()  # no process leaves while another one still writes: torchrun stops all when one ends with an error
    finally:
        distributed.destroy_process_group()


def shard(count: int) -> range:
    """Return this process's contiguous part of `range(count)`, empty if there are too few items for all processes."""
    return range(count * rank() // world_size(), count * (rank() + 1) // world_size())


@contextmanager
def _explain_lost_process() -> Iterator[None]:
    """Turn the RuntimeError of a collective operation into one that says what happened and what to do."""
    try:
        yield
    except RuntimeError as error:
        raise RuntimeError(
            f"another process of this run ended ({str(error).splitlines()[0]}); the last checkpoint is intact, and the "
            "same command resumes from it"
        ) from error


def all_reduce_sum(values: Tensor) -> Tensor:
    """Return the sum of `values` over all processes, equal byte for byte in each."""
    if world_size() == 1:
        return values
    # NCCL works on GPU tensors only.
    summed = values.to("cuda" if distributed.get_backend() == "nccl" else "cpu", copy=True)
    with _explain_lost_process():
        distributed.all_reduce(summed)
    return summed.to(values.device)


def sum_gradients(module: nn.Module) -> None:
    """Replace each gradient of `module` by its sum over all processes, in one all-reduce."""
    if world_size() == 1:
        return
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    summed = all_reduce_sum(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = torch.split(summed, [gradient.numel() for gradient in gradients])
    for gradient, values in zip(gradients, parts, strict=True):
        gradient.copy_(values.view_as(gradient))


def all_gather(own: list[T]) -> list[T]:
    """Return the lists of all processes, joined in the order of their ranks, in every process."""
    if world_size() == 1:
        return own
    lists: list[list[T]] = [[] for _ in range(world_size())]
    with _explain_lost_process():
        distributed.all_gather_object(lists, own)
    return [entry for found in lists for entry in found]


def barrier() -> None:
    """Wait until all processes have reached this call."""
    if world_size() > 1:
        with _explain_lost_process():
            distributed.barrier()
