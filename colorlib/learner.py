"""A module that learns: its weights, its Adam and their average, as named tensors that a checkpoint holds."""

import copy
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from colorlib import ranks


def constant(progress: float) -> float:
    """The paper's: the learning rate stays as it is (Sec. III.E)."""
    return 1.0


def cosine(progress: float) -> float:
    """Half a cosine, from the learning rate to zero (Loshchilov & Hutter 2017, without restarts)."""
    return (1.0 + math.cos(math.pi * progress)) / 2.0


def linear(progress: float) -> float:
    """A straight line from the learning rate to zero."""
    return 1.0 - progress


SCHEDULES: dict[str, Callable[[float], float]] = {"constant": constant, "cosine": cosine, "linear": linear}
"""Share of the updates done, in [0, 1), -> share of the learning rate."""


PRECISIONS: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""What the network computes in while it learns. Weights, Adam, losses and validation are float32 in any case."""


def computing(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """A context in which networks compute in a row of `PRECISIONS`."""
    dtype = PRECISIONS[precision]
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


class Learner:
    """A module and its Adam; with `average`, also a running mean of its weights."""

    def __init__(
        self,
        module: nn.Module,
        *,
        learning_rate: float,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        average: float = 0.0,
    ) -> None:
        """Take charge of `module`.

        Args:
            module: what learns, on the device where it stays.
            learning_rate: Adam's, before any schedule.
            weight_decay: Adam's L2 penalty.
            betas: Adam's.
            average: after each update the mean of the weights keeps this share of itself; 0 keeps no mean.
        """
        self.module, self.learning_rate, self.average = module, learning_rate, average
        # On a GPU the whole update of all weights is one kernel.
        self.fused = all(parameter.is_cuda for parameter in module.parameters())
        self.adam = torch.optim.Adam(
            module.parameters(),
            lr=learning_rate,
            weight_decay=weight_decay,
            betas=betas,
            fused=self.fused or None,
        )
        self.result = copy.deepcopy(module) if average else module
        """What validation and the run's weights take: the mean of the weights, or the weights."""

    def update(self, loss: Tensor, *, share: float = 1.0, rate: float = 1.0) -> None:
        """Do one step of Adam, the same in every process.

        Args:
            loss: a mean over this process's part of the batch.
            share: the part's share of the batch.
            rate: share of the learning rate.
        """
        for group in self.adam.param_groups:
            group["lr"] = self.learning_rate * rate
        self.adam.zero_grad(set_to_none=True)
        (loss * share).backward()  # type: ignore[no-untyped-call]
        ranks.sum_gradients(self.module)
        self.adam.step()
        if self.average:
            with torch.no_grad():
                pairs = zip(self.result.parameters(), self.module.parameters(), strict=True)
                for mean, now in pairs:
                    mean.lerp_(now, 1.0 - self.average)

    def state(self, prefix: str) -> dict[str, Tensor]:
        """All that the next update depends on, each name behind `prefix` and a dot."""
        held = {f"{prefix}.{name}": tensor for name, tensor in self.module.state_dict().items()}
        for name, parameter in self.module.named_parameters():
            for slot, value in self.adam.state[parameter].items():
                held[f"{prefix}.adam.{slot}.{name}"] = value
        if self.average:
            held |= {f"{prefix}.average.{name}": tensor for name, tensor in self.result.state_dict().items()}
        return held

    def restore(self, state: Mapping[str, Tensor], prefix: str) -> None:
        """Take back what `state` gave."""
        names = self.module.state_dict()
        self.module.load_state_dict({name: state[f"{prefix}.{name}"] for name in names})
        for name, parameter in self.module.named_parameters():
            self.adam.state[parameter] = {
                "step": state[f"{prefix}.adam.step.{name}"].to(parameter.device if self.fused else "cpu", copy=True),
                # In the parameter's own memory order, as Adam itself would have made them.
                **{
                    slot: torch.empty_like(parameter).copy_(state[f"{prefix}.adam.{slot}.{name}"]).detach()
                    for slot in ("exp_avg", "exp_avg_sq")
                },
            }
        if self.average:
            self.result.load_state_dict({name: state[f"{prefix}.average.{name}"] for name in names})
