"""Learning rate schedules, the optimizer step, the moving average of the weights."""

import math

import pytest
import torch
from torch.nn import functional

from colorlib.optim import SCHEDULES, TrainState


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


def test_lr_scale_scales_the_step():
    steps = []
    for lr_scale in (1.0, 0.5):
        module = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(module.weight)
        TrainState(module, learning_rate=0.1).update(module(torch.ones(1, 1)).sum(), lr_scale=lr_scale)
        steps.append(module.weight.detach().item())
    assert steps == pytest.approx([-0.1, -0.05], rel=1e-4)
