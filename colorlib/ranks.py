"""Several processes that train one network, as torchrun starts them; a process without torchrun is a group of one.

`torchrun --nproc-per-node=2 -m colorlib train …`: each process takes its part of every batch, gradients are summed, and
the first process alone writes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

T = TypeVar("T")


def size() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """The number of this one, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def first() -> bool:
    """Whether this process writes and speaks for the group."""
    return rank() == 0


def on_this_machine() -> tuple[int, int]:
    """The number of this process among those of its machine, and how many those are."""
    if not distributed.is_initialized():
        return 0, 1
    return int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])


@contextmanager
def together(device: str = "auto") -> Iterator[None]:
    """Join the group that torchrun started this process in; without torchrun nothing happens.

    Args:
        device: where the group computes; CUDA's processes speak NCCL, others gloo.
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
    finally:
        distributed.destroy_process_group()


def part(count: int) -> range:
    """Which of `count` things are this process's: one run of neighbors, none where there are fewer things than
    processes.
    """
    return range(count * rank() // size(), count * (rank() + 1) // size())


@contextmanager
def _others_alive() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise RuntimeError(
            f"another process of this run ended ({str(error).splitlines()[0]}); the last checkpoint is intact, and the "
            "same command goes on from it"
        ) from error


def total(values: Tensor) -> Tensor:
    """The sum of `values` over all processes, the same bytes in each."""
    if size() == 1:
        return values
    # NCCL sums on the GPU alone.
    summed = values.to("cuda" if distributed.get_backend() == "nccl" else "cpu", copy=True)
    with _others_alive():
        distributed.all_reduce(summed)
    return summed.to(values.device)


def sum_gradients(module: nn.Module) -> None:
    """Put in place of each gradient its sum over all processes, in one exchange."""
    if size() == 1:
        return
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    summed = total(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = torch.split(summed, [gradient.numel() for gradient in gradients])
    for gradient, values in zip(gradients, parts, strict=True):
        gradient.copy_(values.view_as(gradient))


def gathered(own: list[T]) -> list[T]:
    """The lists of all processes, one after another, in every process."""
    if size() == 1:
        return own
    lists: list[list[T]] = [[] for _ in range(size())]
    with _others_alive():
        distributed.all_gather_object(lists, own)
    return [entry for found in lists for entry in found]


def wait() -> None:
    """Go on when all processes are here."""
    if size() > 1:
        with _others_alive():
            distributed.barrier()
