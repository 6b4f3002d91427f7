"""Prediction targets: encoding compared with scikit-image, and decoding as its inverse."""

import numpy as np
import pytest
import torch
from skimage import color

from colorlib.color import lightness, rgb_to_lab
from colorlib.losses import OBJECTIVES
from colorlib.targets import LAB, TARGETS, LABBins


@pytest.fixture
def rgb() -> torch.Tensor:
    """Every corner of the sRGB cube and random colors: `(2, 3, 8, 16)`."""
    random = np.random.default_rng(0).random((2, 3, 8, 16))
    corners = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)], dtype=float).T
    random[0, :, 0, :8] = corners
    return torch.from_numpy(random).float()


def test_the_papers_target_is_rgb_itself():
    target, rgb, light = TARGETS["rgb"](), torch.rand(2, 3, 5, 5), torch.rand(2, 1, 5, 5)
    assert torch.equal(target.encode(rgb), rgb)
    assert torch.equal(target.decode(rgb, light), rgb)


def test_lab_encodes_the_a_and_b_of_scikit_image(rgb: torch.Tensor):
    truth = color.rgb2lab(rgb.permute(0, 2, 3, 1).numpy())[..., 1:]
    encoded = LAB().encode(rgb).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(encoded * 110, truth, atol=2e-2)
    assert np.abs(encoded).max() < 1, "all colors are in the range of the hyperbolic tangent"


def test_lab_decodes_to_the_photograph(rgb: torch.Tensor):
    decoded = LAB().decode(LAB().encode(rgb), lightness(rgb))
    assert (decoded - rgb).abs().max() < 2e-3


def test_classes_are_probabilities_of_the_five_nearest_cells(rgb: torch.Tensor):
    target = LABBins()
    probabilities = target.encode(rgb)
    assert probabilities.shape == (2, target.head.channels, 8, 16)
    assert ((probabilities > 0).sum(dim=1) <= 5).all()
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2, 8, 16))
    ab = rgb_to_lab(rgb)[:, 1:]
    nearest = (ab.unsqueeze(1) - target.bins[None, :, :, None, None]).square().sum(dim=2).argmin(dim=1)
    assert (probabilities.argmax(dim=1) == nearest).float().mean() > 0.99


def test_classes_decode_to_colors_near_the_photograph(rgb: torch.Tensor):
    target = LABBins()
    # The annealed softmax turns these scores into the probabilities.
    scores = (target.encode(rgb) + 1e-12).log() * target.temperature
    difference = rgb_to_lab(target.decode(scores, lightness(rgb))) - rgb_to_lab(rgb)
    assert difference[:, 1:].square().sum(dim=1).sqrt().mean() < 5, "half the side of a cell"


def test_a_lower_temperature_moves_the_mean_toward_the_likeliest_class():
    target = LABBins()
    scores = torch.zeros(1, len(target.bins), 1, 1)
    place = int((target.bins - torch.tensor([40.0, 20.0])).abs().sum(dim=1).argmin())
    scores[0, place] = 6.0
    light = torch.full((1, 1, 1, 1), 60.0)
    chroma = [float(rgb_to_lab(target.decode(scores * factor, light))[0, 1]) for factor in (0.2, 1.0)]
    assert chroma[0] < 25 < 35 < chroma[1] < 45


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_an_objective_and_decodes_what_it_encodes(name: str, rgb: torch.Tensor):
    target = TARGETS[name]()
    assert target.encode(rgb).shape[1] == target.head.channels
    assert any(row.takes == target.kind for row in OBJECTIVES.values())
    decoded = target.decode(target.encode(rgb), lightness(rgb))
    assert decoded.shape == rgb.shape
    assert ((decoded >= 0) & (decoded <= 1)).all()
