"""What a network predicts: encoded and decoded again, held against scikit-image."""

import numpy as np
import pytest
import torch
from skimage import color

from colorlib.color import ab_bins, lightness, rgb_to_lab
from colorlib.config import RunConfig
from colorlib.objectives import OBJECTIVES
from colorlib.targets import LAB, TARGETS, LABBins


@pytest.fixture
def rgb() -> torch.Tensor:
    """Every corner of the sRGB cube and random colors: `(2, 3, 8, 16)`."""
    random = np.random.default_rng(0).random((2, 3, 8, 16))
    corners = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)], dtype=float).T
    random[0, :, 0, :8] = corners
    return torch.from_numpy(random).float()


def test_lab_is_what_scikit_image_computes(rgb: torch.Tensor):
    truth = color.rgb2lab(rgb.permute(0, 2, 3, 1).numpy())[..., 1:]
    encoded = LAB().encode(rgb).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(encoded * 110, truth, atol=2e-2)
    assert np.abs(encoded).max() < 1, "the hyperbolic tangent reaches all colors"


def test_lab_decodes_to_the_photograph(rgb: torch.Tensor):
    decoded = LAB().decode(LAB().encode(rgb), lightness(rgb))
    assert (decoded - rgb).abs().max() < 2e-3


def test_the_bins_are_those_that_hold_colors():
    bins = ab_bins()
    assert len(bins) == len(bins.unique(dim=0))
    levels = np.linspace(0, 1, 18)
    colors = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    cells = {tuple(cell) for cell in np.round(color.rgb2lab(colors)[0, :, 1:] / 10).astype(int)}
    ours = {tuple(cell) for cell in (bins / 10).int().tolist()}
    assert cells <= ours
    assert len(ours) < 1.2 * len(cells), "no cell without colors"
    assert len(ab_bins(20)) < len(bins) / 3


def test_classes_are_shares_of_the_five_nearest(rgb: torch.Tensor):
    target = LABBins()
    shares = target.encode(rgb)
    assert shares.shape == (2, target.head.channels, 8, 16)
    assert ((shares > 0).sum(dim=1) <= 5).all()
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2, 8, 16))
    ab = rgb_to_lab(rgb)[:, 1:]
    nearest = (ab.unsqueeze(1) - target.bins[None, :, :, None, None]).square().sum(dim=2).argmin(dim=1)
    assert (shares.argmax(dim=1) == nearest).float().mean() > 0.99


def test_classes_decode_to_colors_near_the_photograph(rgb: torch.Tensor):
    target = LABBins()
    # Scores that the annealed softmax turns into the shares themselves.
    scores = (target.encode(rgb) + 1e-12).log() * target.temperature
    apart = rgb_to_lab(target.decode(scores, lightness(rgb))) - rgb_to_lab(rgb)
    assert apart[:, 1:].square().sum(dim=1).sqrt().mean() < 5, "half a cell"


def test_a_colder_mean_is_nearer_the_likeliest_class():
    target = LABBins()
    scores = torch.zeros(1, len(target.bins), 1, 1)
    place = int((target.bins - torch.tensor([40.0, 20.0])).abs().sum(dim=1).argmin())
    scores[0, place] = 6.0
    light = torch.full((1, 1, 1, 1), 60.0)
    chroma = [float(rgb_to_lab(target.decode(scores * warm, light))[0, 1]) for warm in (0.2, 1.0)]
    assert chroma[0] < 25 < 35 < chroma[1] < 45


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_an_objective_and_decodes_what_it_encodes(name: str, rgb: torch.Tensor):
    target = TARGETS[name]()
    assert target.encode(rgb).shape[1] == target.head.channels
    assert any(row.takes == target.kind for row in OBJECTIVES.values())
    decoded = target.decode(target.encode(rgb), lightness(rgb))
    assert decoded.shape == rgb.shape
    assert ((decoded >= 0) & (decoded <= 1)).all()


def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(ValueError, match=r"objective='mse' does not reward .*target='lab-bins'.* go classification"):
        RunConfig(target="lab-bins")
    with pytest.raises(ValueError, match=r"objective='classification' does not reward .*target='rgb'.* go mse, l1"):
        RunConfig(objective="classification")
    assert RunConfig(target="lab-bins", objective="classification").target == "lab-bins"
