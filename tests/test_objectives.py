"""What training rewards: each loss by hand, what learns itself, and every row trained, killed and resumed."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from training_fixtures import METHODS, make_photos, promised_bytes, small_config

from colorlib import critics
from colorlib.color import lightness, rgb_to_lab
from colorlib.colorizer import load_run
from colorlib.critics import Features, PatchGAN
from colorlib.learner import SCHEDULES, Learner
from colorlib.objectives import OBJECTIVES, Adversarial, Batch, Classification, Perceptual, RandomPerceptual
from colorlib.targets import LAB, RGB, LABBins, Target
from colorlib.trainer import Epoch, train


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("data") / "photos")


def batch(target: Target, size: int = 16) -> Batch:
    rgb = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    return Batch(light=lightness(rgb), rgb=rgb, encoded=target.encode(rgb))


def test_pixel_losses_are_means():
    target = RGB()
    asked = batch(target, 4)
    output = asked.encoded.clone()
    output[0, 1, 2, 3] += 0.5
    count = asked.encoded.numel()
    losses = {name: float(OBJECTIVES[name](target, 0)(output, asked)) for name in ("mse", "l1", "huber")}
    assert losses == pytest.approx({"mse": 0.25 / count, "l1": 0.5 / count, "huber": 0.1 * (0.5 - 0.05) / count})


# Classification


def test_rare_colors_weigh_more_and_the_mean_weight_is_one():
    target = LABBins()
    objective = Classification(target, 0)
    gray = np.full((64, 64, 3), 128, dtype=np.uint8)
    red = gray.copy()
    red[:8, :8] = (200, 30, 30)
    objective.fit([gray, red])
    cells = {}
    for name, pixel in (("gray", gray[0, 0]), ("red", red[0, 0])):
        ab = rgb_to_lab(torch.from_numpy(pixel.astype(np.float32) / 255).view(3, 1, 1))[1:, 0, 0]
        cells[name] = int((target.bins - ab).square().sum(dim=1).argmin())
    weights = objective.weights
    assert weights[cells["red"]] > 5 * weights[cells["gray"]] > 0
    # eq. 4: with half of it uniform, no class weighs more than twice the weight of a uniform distribution's.
    assert weights.max() / weights[cells["gray"]] < 2 * len(target.bins)


def test_the_cross_entropy_is_that_of_its_formula():
    target = LABBins()
    objective = Classification(target, 0)
    objective.weights.copy_(torch.linspace(0.5, 2, len(target.bins)))
    asked = batch(target, 3)
    output = torch.randn(asked.encoded.shape, generator=torch.Generator().manual_seed(2))
    total = 0.0
    for b, h, w in np.ndindex(2, 3, 3):
        truth, scores = asked.encoded[b, :, h, w].double(), output[b, :, h, w].double()
        entropy = -float((truth * (scores.exp() / scores.exp().sum()).log()).sum())
        total += float(objective.weights[int(truth.argmax())]) * entropy
    assert float(objective(output, asked)) == pytest.approx(total / 18, rel=1e-5)


# Perceptual


def test_the_features_are_laid_out_as_torchvisions(monkeypatch: pytest.MonkeyPatch):
    from torchvision.models import vgg16

    torch.manual_seed(3)
    theirs = vgg16().eval()
    monkeypatch.setattr(critics, "vgg_weights", theirs.state_dict)
    ours, rgb = Features(), batch(RGB(), 32).rgb
    inner = (rgb - ours.mean) / ours.std
    expected = []
    for place, layer in enumerate(theirs.features[:16]):
        inner = layer(inner)
        if place in (3, 8, 15):
            expected.append(inner.clone())
    for found, wanted in zip(ours(rgb), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    assert not any(parameter.requires_grad for parameter in ours.parameters())


def test_weights_that_cannot_be_had_are_named_with_the_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(critics, "VGG_URL", "http://127.0.0.1:9/vgg16-397923af.pth")
    with pytest.raises(ValueError, match=r"VGG-16 cannot be had .*put http.* at .*checkpoints.*perceptual-random"):
        Perceptual(RGB(), 0)


def test_random_features_are_a_function_of_the_seed():
    one, same, other = (Features(seed=seed) for seed in (1, 1, 2))
    first = [network.layers[0].weight for network in (one, same, other)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_the_perceptual_loss_is_that_of_pixels_and_features():
    target = LAB()
    objective, asked = RandomPerceptual(target, 0), batch(target)
    assert float(objective(asked.encoded, asked)) < 1e-5, "the truth costs nothing"
    output = torch.zeros_like(asked.encoded).requires_grad_()
    loss = objective(output, asked)
    gray = target.decode(torch.zeros_like(asked.encoded), asked.light)
    pairs = zip(objective.features(gray), objective.features(asked.rgb), strict=True)
    relative = [
        float(((a[i] - b[i]).square().mean() / b[i].square().mean()).detach()) for a, b in pairs for i in range(2)
    ]
    expected = float(asked.encoded.square().mean()) + objective.weight * float(np.mean(relative))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert output.grad is not None
    assert output.grad.isfinite().all()


# Adversarial


def test_the_discriminator_sees_patches_of_16_pixels():
    network = PatchGAN().double()
    light, rgb = torch.rand(1, 1, 40, 40).double(), torch.rand(1, 3, 40, 40).double().requires_grad_()
    scores = network(light * 100, rgb)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    assert rgb.grad is not None
    rows, columns = rgb.grad[0].abs().sum(dim=0).nonzero().T
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (16, 16)


def test_the_adversarial_loss_is_that_of_pix2pix():
    target = RGB()
    objective, asked = Adversarial(target, 0), batch(target)
    output = asked.encoded * 0.5
    with torch.no_grad():
        loss = float(objective(output, asked))
        fooled = float(-objective.discriminator(asked.light, output).sigmoid().log().mean())
    near = float((output - asked.rgb).abs().mean())
    assert loss == pytest.approx(fooled + 200 * near, rel=1e-5)


def test_the_discriminator_learns_to_tell_them_apart():
    target = RGB()
    objective, asked = Adversarial(target, 0), batch(target)
    made = asked.encoded * 0.2
    for _ in range(60):
        objective.learn(made, asked)
    with torch.no_grad():
        assert objective.discriminator(asked.light, asked.rgb).mean() > 0
        assert objective.discriminator(asked.light, made).mean() < 0


# Schedules and averages


def test_schedules_start_at_the_learning_rate_and_end_near_zero():
    assert [round(SCHEDULES["cosine"](done), 4) for done in (0, 0.5, 1)] == [1, 0.5, 0]
    assert SCHEDULES["cosine"](0.25) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert [SCHEDULES["linear"](done) for done in (0, 0.25, 1)] == [1, 0.75, 0]
    assert {SCHEDULES["constant"](done) for done in (0, 0.3, 1)} == {1.0}


def test_the_average_is_a_running_mean_of_the_weights():
    module = torch.nn.Linear(1, 1, bias=False)
    learner = Learner(module, learning_rate=0.1, average=0.75)
    mean = module.weight.detach().item()
    for _ in range(5):
        learner.update(functional.mse_loss(module(torch.ones(1, 1)), torch.full((1, 1), 3.0)))
        mean = 0.75 * mean + 0.25 * module.weight.detach().item()
    assert learner.result.weight.item() == pytest.approx(mean, rel=1e-5)
    assert learner.result is not module
    assert Learner(module, learning_rate=0.1).result is module


def test_the_rate_scales_the_step():
    steps = []
    for rate in (1.0, 0.5):
        module = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(module.weight)
        Learner(module, learning_rate=0.1).update(module(torch.ones(1, 1)).sum(), rate=rate)
        steps.append(module.weight.detach().item())
    assert steps == pytest.approx([-0.1, -0.05], rel=1e-4)


# Every row, through the whole loop


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_every_method_resumes_to_the_same_bytes_and_colors(photos: Path, tmp_path: Path, name: str):
    config = small_config(photos, crop_size=16, **METHODS[name])
    losses = [found.training_loss for found in train(config, tmp_path / "whole") if isinstance(found, Epoch)]
    assert all(map(math.isfinite, losses))
    loop = train(config, tmp_path / "halted")
    for _ in range(6):  # into the second epoch
        next(loop)
    loop.close()
    for _ in train(config, tmp_path / "halted"):
        pass
    assert promised_bytes(tmp_path / "halted") == promised_bytes(tmp_path / "whole")
    colored = load_run(tmp_path / "whole")(torch.rand(1, 1, 19, 21) * 100)
    assert colored.shape == (1, 3, 19, 21)
    assert ((colored >= 0) & (colored <= 1)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet", "lab-bins"])
def test_training_lowers_the_loss(photos: Path, tmp_path: Path, name: str):
    config = small_config(photos, crop_size=16, epochs=5, crops_per_epoch=24, **METHODS[name])
    losses = [found.training_loss for found in train(config, tmp_path) if isinstance(found, Epoch)]
    assert losses[-1] < 0.95 * losses[0]
