"""Optimization of one module: optimizers, a moving average of the weights, learning rate schedules, precision."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from colorlib.device import sum_gradients


def constant(progress: float) -> float:
    """Keep the learning rate, as the paper does (Sec. III.E)."""
    return 1.0


def cosine(progress: float) -> float:
    """Anneal the learning rate to zero by half a cosine (Loshchilov & Hutter 2017, without restarts)."""
    return (1.0 + math.cos(math.pi * progress)) / 2.0


OPTIMIZERS: dict[str, type[torch.optim.Adam]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
"""Optimizers, selected by `optimizer=`; the paper's comes first. They differ in weight decay alone: Adam adds it to the
gradient as an L2 penalty, AdamW shrinks the weights themselves (Loshchilov & Hutter 2019)."""
SCHEDULES: dict[str, Callable[[float], float]] = {"constant": constant, "cosine": cosine}
"""Learning rate schedules, selected by `schedule=`: fraction of the updates done, in [0, 1) -> factor on the learning
rate."""
PRECISIONS: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Types of the network's activations in training, selected by `precision=`. Weights, Adam, losses and validation are
always float32."""


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which networks compute in the type of this row of `PRECISIONS`."""
    dtype = PRECISIONS[precision]
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def check_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Check that two sets of named tensors have the same names, shapes and types.

    Raises:
        ValueError: they differ; the message names the first tensor that does.
    """
    for name in sorted({*found, *expected}):
        if name not in found:
            raise ValueError(f"the tensor {name} is missing")
        if name not in expected:
            raise ValueError(f"the tensor {name} does not belong to this configuration")
        (shape, dtype), (held_shape, held_dtype) = ((t[name].shape, t[name].dtype) for t in (expected, found))
        if (held_shape, held_dtype) != (shape, dtype):
            raise ValueError(
                f"the tensor {name} has shape {tuple(held_shape)} and type {held_dtype}, not {tuple(shape)} and {dtype}"
            )


class TrainState:
    """A module in training: its weights, its Adam optimizer and, optionally, a moving average (EMA) of the weights."""

    def __init__(
        self,
        module: nn.Module,
        *,
        learning_rate: float,
        weight_decay: float = 0.0,
        optimizer: type[torch.optim.Adam] = torch.optim.Adam,
        betas: tuple[float, float] = (0.9, 0.999),
        ema_decay: float = 0.0,
    ) -> None:
        """Create the optimizer of `module`.

        Args:
            module: the module to train, already on its device.
            learning_rate: Adam's learning rate, before any schedule.
            weight_decay: factor of the weights in the optimizer's decay.
            optimizer: a row of `OPTIMIZERS`.
            betas: Adam's decay rates.
            ema_decay: decay of the exponential moving average of the weights, per update; 0 for no average.
        """
        self.module, self.learning_rate, self.ema_decay = module, learning_rate, ema_decay
        # On a GPU, the fused Adam updates all weights in one kernel.
        self.fused = all(parameter.is_cuda for parameter in module.parameters())
        self.adam = optimizer(
            module.parameters(),
            lr=learning_rate,
            weight_decay=weight_decay,
            betas=betas,
            fused=self.fused or None,
        )
        self.eval_model = copy.deepcopy(module) if ema_decay else module
        """The module for validation and for the run's weights: the moving average, else `module` itself."""

    def update(self, loss: Tensor, *, weight: float = 1.0, lr_scale: float = 1.0) -> None:
        """Do one step of Adam. The gradients are summed over all processes, so every process does the same step.

        Args:
            loss: scalar mean over this process's part of the batch.
            weight: fraction of the batch that this part is.
            lr_scale: factor on the learning rate.
        """
        for group in self.adam.param_groups:
            group["lr"] = self.learning_rate * lr_scale
        self.adam.zero_grad(set_to_none=True)
        (loss * weight).backward()  # type: ignore[no-untyped-call]
        sum_gradients(self.module)
        self.adam.step()
        if self.ema_decay:
            with torch.no_grad():
                pairs = zip(self.eval_model.parameters(), self.module.parameters(), strict=True)
                for average, current in pairs:
                    average.lerp_(current, 1.0 - self.ema_decay)

    def _trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield name and value of each parameter that is not frozen: Adam has no moments of the others."""
        return ((name, each) for name, each in self.module.named_parameters() if each.requires_grad)

    def state(self, prefix: str) -> dict[str, Tensor]:
        """Return all tensors that the next update depends on, with names that begin with `prefix` and a dot."""
        state = {f"{prefix}.{name}": tensor for name, tensor in self.module.state_dict().items()}
        for name, parameter in self._trained():
            # Before the first update Adam has none
            slots = self.adam.state.get(parameter) or {
                "step": torch.zeros(()),
                **{slot: torch.zeros_like(parameter) for slot in ("exp_avg", "exp_avg_sq")},
            }
            for slot, value in slots.items():
                state[f"{prefix}.adam.{slot}.{name}"] = value
        if self.ema_decay:
            state |= {f"{prefix}.average.{name}": tensor for name, tensor in self.eval_model.state_dict().items()}
        return state

    def load_state(self, state: Mapping[str, Tensor], prefix: str) -> None:
        """Load tensors that `state(prefix)` returned; tensors with other prefixes are ignored.

        Raises:
            ValueError: one is missing, or has another shape or type; nothing was loaded.
        """
        check_tensors({name: state[name] for name in state if name.startswith(f"{prefix}.")}, self.state(prefix))
        names = self.module.state_dict()
        self.module.load_state_dict({name: state[f"{prefix}.{name}"] for name in names})
        for name, parameter in self._trained():
            self.adam.state[parameter] = {
                "step": state[f"{prefix}.adam.step.{name}"].to(parameter.device if self.fused else "cpu", copy=True),
                # In the parameter's own memory format, as Adam itself allocates them.
                **{
                    slot: torch.empty_like(parameter).copy_(state[f"{prefix}.adam.{slot}.{name}"]).detach()
                    for slot in ("exp_avg", "exp_avg_sq")
                },
            }
        if self.ema_decay:
            self.eval_model.load_state_dict({name: state[f"{prefix}.average.{name}"] for name in names})
