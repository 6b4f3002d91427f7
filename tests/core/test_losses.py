"""Training losses: each one against its formula, and the discriminator's update."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from colorlib import losses
from colorlib.color import lightness, rgb_to_lab
from colorlib.files import sha256
from colorlib.losses import (
    OBJECTIVES,
    Adversarial,
    Batch,
    Classification,
    Lite0Perceptual,
    PatchGAN,
    Perceptual,
    RandomPerceptual,
    VGG16Features,
)
from colorlib.targets import LAB, RGB, LABBins, Target


def make_batch(target: Target, size: int = 16) -> Batch:
    rgb = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    return Batch(L=lightness(rgb), rgb=rgb, target=target.encode(rgb))


def test_the_papers_loss_is_the_mean_over_3hw():
    output, rgb = torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 4, 5)
    output[1, 2, 3, 4], rgb[0, 0, 0, 0] = 0.5, 1.0
    batch = Batch(L=torch.zeros(2, 1, 4, 5), rgb=rgb, target=rgb)
    loss = OBJECTIVES["mse"](RGB(), 0)(output, batch)
    assert loss.item() == pytest.approx((0.25 + 1.0) / (2 * 3 * 4 * 5))


def test_pixel_losses_are_means():
    target = RGB()
    batch = make_batch(target, 4)
    output = batch.target.clone()
    output[0, 1, 2, 3] += 0.5
    count = batch.target.numel()
    losses = {name: float(OBJECTIVES[name](target, 0)(output, batch)) for name in ("mse", "l1", "huber")}
    assert losses == pytest.approx({"mse": 0.25 / count, "l1": 0.5 / count, "huber": 0.1 * (0.5 - 0.05) / count})


# Classification


def test_rare_colors_have_larger_weights_within_the_bound():
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
    # eq. 4: the mixture is half uniform, so no weight exceeds twice that of a uniform distribution.
    assert weights.max() / weights[cells["gray"]] < 2 * len(target.bins)


def test_cross_entropy_follows_its_formula():
    target = LABBins()
    objective = Classification(target, 0)
    objective.weights.copy_(torch.linspace(0.5, 2, len(target.bins)))
    batch = make_batch(target, 3)
    output = torch.randn(batch.target.shape, generator=torch.Generator().manual_seed(2))
    total = 0.0
    for b, h, w in np.ndindex(2, 3, 3):
        truth, scores = batch.target[b, :, h, w].double(), output[b, :, h, w].double()
        entropy = -float((truth * (scores.exp() / scores.exp().sum()).log()).sum())
        total += float(objective.weights[int(truth.argmax())]) * entropy
    assert float(objective(output, batch)) == pytest.approx(total / 18, rel=1e-5)


# Perceptual


def test_features_equal_those_of_torchvisions_vgg16(monkeypatch: pytest.MonkeyPatch):
    from torchvision.models import vgg16

    torch.manual_seed(3)
    theirs = vgg16().eval()
    monkeypatch.setattr(losses, "vgg_weights", theirs.state_dict)
    ours, rgb = VGG16Features(), make_batch(RGB(), 32).rgb
    inner = (rgb - ours.mean) / ours.std
    expected = []
    for place, layer in enumerate(theirs.features[:16]):
        inner = layer(inner)
        if place in (3, 8, 15):
            expected.append(inner.clone())
    for ours_map, theirs_map in zip(ours(rgb), expected, strict=True):
        torch.testing.assert_close(ours_map, theirs_map)
    assert not any(parameter.requires_grad for parameter in ours.parameters())


def test_a_failed_download_of_weights_names_url_folder_and_alternative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(losses, "VGG_URL", "http://127.0.0.1:9/vgg16-397923af.pth")
    with pytest.raises(ValueError, match="VGG-16") as error:
        Perceptual(RGB(), 0)
    for fact in (losses.VGG_URL, str(tmp_path), "checkpoints", "objective=perceptual-lite0"):
        assert fact in str(error.value)


class MakesFolder:
    """Unpickling an instance creates a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_in_pytorchs_cache_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: bool):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / losses.VGG_FILE
    path.parent.mkdir(parents=True)
    created = tmp_path / "created"
    torch.save(MakesFolder(created), path, _use_new_zipfile_serialization=not legacy)
    for digest in (losses.VGG_SHA256, sha256(path)):  # without and with the right SHA-256
        monkeypatch.setattr(losses, "VGG_SHA256", digest)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            losses.vgg_weights()
    assert not created.exists()
    torch.save({"w": torch.ones(2)}, path, _use_new_zipfile_serialization=not legacy)
    monkeypatch.setattr(losses, "VGG_SHA256", sha256(path))
    assert torch.equal(losses.vgg_weights()["w"], torch.ones(2))


def test_random_features_are_a_function_of_the_seed():
    one, same, other = (VGG16Features(seed=seed) for seed in (1, 1, 2))
    first = [network.layers[0].weight for network in (one, same, other)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


@pytest.mark.parametrize("kind", [RandomPerceptual, pytest.param(Lite0Perceptual, marks=pytest.mark.slow)])
def test_the_perceptual_loss_is_the_weighted_sum_of_pixels_and_features(kind: type[Perceptual]):
    target = LAB()
    objective, batch = kind(target, 0), make_batch(target)
    assert float(objective(batch.target, batch)) < 1e-5, "the true colors have no loss"
    output = torch.zeros_like(batch.target).requires_grad_()
    loss = objective(output, batch)
    gray = target.decode(torch.zeros_like(batch.target), batch.L)
    pairs = zip(objective.features(gray), objective.features(batch.rgb), strict=True)
    relative = [
        float(((a[i] - b[i]).square().mean() / b[i].square().mean()).detach()) for a, b in pairs for i in range(2)
    ]
    expected = float(batch.target.square().mean()) + objective.weight * float(np.mean(relative))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert output.grad is not None
    assert output.grad.isfinite().all()


@pytest.mark.slow
def test_features_of_lite0_are_frozen_at_strides_2_4_and_8():
    features = Lite0Perceptual(RGB(), 0).train().features
    maps = features(torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0)))
    assert [tuple(one.shape[1:]) for one in maps] == [(16, 24, 24), (24, 12, 12), (40, 6, 6)]
    assert not any(parameter.requires_grad for parameter in features.parameters())
    assert not any(module.training for module in features.network.modules())


# Adversarial


def test_the_discriminator_sees_patches_of_16_pixels():
    network = PatchGAN().double()
    light, rgb = torch.rand(1, 1, 40, 40).double(), torch.rand(1, 3, 40, 40).double().requires_grad_()
    scores = network(light * 100, rgb)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    assert rgb.grad is not None
    rows, columns = rgb.grad[0].abs().sum(dim=0).nonzero().T
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (16, 16)


def test_the_adversarial_loss_is_pix2pixs():
    target = RGB()
    objective, batch = Adversarial(target, 0), make_batch(target)
    output = batch.target * 0.5
    with torch.no_grad():
        loss = float(objective(output, batch))
        gan_loss = float(-objective.discriminator(batch.L, output).sigmoid().log().mean())
    l1 = float((output - batch.rgb).abs().mean())
    assert loss == pytest.approx(gan_loss + 200 * l1, rel=1e-5)


@pytest.mark.slow
def test_the_discriminator_learns_to_separate_real_from_generated():
    target = RGB()
    objective, batch = Adversarial(target, 0), make_batch(target)
    generated = batch.target * 0.2
    for _ in range(60):
        objective.step_discriminator(generated, batch)
    with torch.no_grad():
        assert objective.discriminator(batch.L, batch.rgb).mean() > 0
        assert objective.discriminator(batch.L, generated).mean() < 0
