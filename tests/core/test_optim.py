"""Learning rate schedules, the optimizer step, the moving average of the weights."""

import math
import re

import pytest
import torch
from torch.nn import functional

from colorlib.optim import OPTIMIZERS, SCHEDULES, TrainState


def test_schedules_start_at_the_learning_rate_and_end_near_zero():
    assert [round(SCHEDULES["cosine"](done), 4) for done in (0, 0.5, 1)] == [1, 0.5, 0]
    assert SCHEDULES["cosine"](0.25) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert {SCHEDULES["constant"](done) for done in (0, 0.3, 1)} == {1.0}


def test_the_ema_is_a_moving_average_of_the_weights():
    module = torch.nn.Linear(1, 1, bias=False)
    state = TrainState(module, learning_rate=0.1, ema_decay=0.75)
    mean = module.weight.detach().item()
    for _ in range(5):
        state.update(functional.mse_loss(module(torch.ones(1, 1)), torch.full((1, 1), 3.0)))
        mean = 0.75 * mean + 0.25 * module.weight.detach().item()
    assert state.eval_model.weight.item() == pytest.approx(mean, rel=1e-5)
    assert state.eval_model is not module
    assert TrainState(module, learning_rate=0.1).eval_model is module


def test_a_state_before_the_first_update_has_the_tensors_of_one_after_it():
    module = torch.nn.Linear(2, 3)
    state = TrainState(module, learning_rate=1e-3, ema_decay=0.9)
    before = state.state("x")
    state.update(module(torch.ones(1, 2)).sum())
    after = state.state("x")
    assert {name: (t.shape, t.dtype) for name, t in before.items()} == {n: (t.shape, t.dtype) for n, t in after.items()}


def test_frozen_weights_stay_and_have_no_moments():
    def built() -> tuple[torch.nn.Sequential, TrainState]:
        torch.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
        module[0].requires_grad_(requires_grad=False)
        return module, TrainState(module, learning_rate=0.1, weight_decay=0.1, optimizer=OPTIMIZERS["adamw"])

    module, state = built()
    before = module[0].weight.clone()
    state.update(module(torch.ones(1, 2)).sum())
    assert torch.equal(module[0].weight, before)
    saved = {name: tensor.clone() for name, tensor in state.state("x").items()}
    assert {name for name in saved if "adam" in name} == {
        f"x.adam.{slot}.1.{name}" for slot in ("step", "exp_avg", "exp_avg_sq") for name in ("weight", "bias")
    }
    resumed, other = built()
    other.load_state(saved, "x")
    for trained, train_state in ((module, state), (resumed, other)):
        train_state.update(trained(torch.ones(1, 2)).square().sum())
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), resumed.parameters(), strict=True))


@pytest.mark.parametrize("kind", ["missing", "shape", "type"])
def test_a_state_that_does_not_fit_is_refused_and_nothing_is_loaded(kind):
    module = torch.nn.Linear(2, 3)
    state = TrainState(module, learning_rate=1e-3)
    given = {name: torch.ones_like(tensor) for name, tensor in state.state("x").items()}
    name = "x.adam.exp_avg.weight"
    if kind == "missing":
        del given[name]
    else:
        given[name] = given[name].half() if kind == "type" else given[name].T
    before = module.weight.clone()
    with pytest.raises(ValueError, match=re.escape(name)):
        state.load_state(given, "x")
    assert torch.equal(module.weight, before)


def test_adamw_shrinks_weights_and_adam_changes_gradients():
    """Where the gradient is zero: one step of each by hand, and the paper's optimizer is Adam without decay."""
    steps = {}
    for name, optimizer in OPTIMIZERS.items():
        module = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(module.weight, 2.0)
        state = TrainState(module, learning_rate=0.1, weight_decay=0.01, optimizer=optimizer)
        state.update(module(torch.zeros(1, 1)).sum())
        steps[name] = module.weight.detach().item()
    assert steps == pytest.approx({"adam": 2.0 - 0.1, "adamw": 2.0 * (1.0 - 0.1 * 0.01)}, rel=1e-5)
    assert next(iter(OPTIMIZERS)) == "adam"
    assert type(TrainState(module, learning_rate=0.1).adam) is torch.optim.Adam


def test_lr_scale_scales_the_step():
    steps = []
    for lr_scale in (1.0, 0.5):
        module = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(module.weight)
        TrainState(module, learning_rate=0.1).update(module(torch.ones(1, 1)).sum(), lr_scale=lr_scale)
        steps.append(module.weight.detach().item())
    assert steps == pytest.approx([-0.1, -0.05], rel=1e-4)
