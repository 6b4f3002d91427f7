"""Measures of pixels against values that are known by construction."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers.pictures import noise, smooth
from scipy import ndimage

from colorlib.companion.claims import photo_measures as measures
from colorlib.companion.claims.photo_measures import BANDS, CELL, CELLS, PATCH, SCALES, Box, PatchColors
from colorlib.metrics import delta_e00, mse, psnr_of

CHANNELS_FIRST = (2, 0, 1)


def wave(cycles: int, height: int = 64, width: int = 128) -> np.ndarray:
    """A cosine along the columns that the mirrored border continues without a step, in both channels."""
    columns = np.cos(np.pi * cycles * (np.arange(width) + 0.5) / width)
    return np.broadcast_to(columns, (2, height, width)).copy()


# Detail by scale


@pytest.mark.parametrize("scale", [2, 32])
def test_blur_is_that_of_scipy(scale: int):
    image = np.random.default_rng(4).normal(size=(2, 30, 50))
    expected = ndimage.gaussian_filter(image, (0, scale, scale), mode="reflect")
    assert np.allclose(measures.blur(image, scale), expected)


def test_the_bands_of_an_image_sum_to_the_image_without_its_mean():
    image = np.random.default_rng(0).normal(5.0, 3.0, (2, 40, 70))
    assert np.allclose(sum(measures.split_bands(image)), image - image.mean(axis=(1, 2), keepdims=True))


@pytest.mark.parametrize("cycles", [2, 8, 40])
def test_a_wave_passes_a_band_as_the_difference_of_two_gaussians_says(cycles: int):
    image = wave(cycles)
    frequency = np.pi * cycles / image.shape[2]
    passed = [1.0, *(np.exp(-((scale * frequency) ** 2) / 2) for scale in SCALES), 0.0]
    for band, (finer, coarser) in zip(measures.split_bands(image), pairwise(passed), strict=True):
        expected = (finer - coarser) ** 2 * measures.products(image, image)
        assert measures.products(band, band) == pytest.approx(expected, abs=2e-3)


def test_half_of_the_detail_has_a_quarter_of_the_energy_and_explains_three_quarters():
    truth = np.random.default_rng(1).normal(size=(2, 30, 30))
    one, both, all_of = (measures.products(*pair) for pair in ((truth / 2,) * 2, (truth / 2, truth), (truth, truth)))
    assert one / all_of == pytest.approx(0.25)
    assert both / np.sqrt(one * all_of) == pytest.approx(1.0)
    assert (2 * both - one) / all_of == pytest.approx(0.75)


def test_products_are_averaged_over_the_chosen_pixels_alone():
    image = np.zeros((2, 4, 4))
    image[:, :, :2] = 3.0
    left = np.arange(4)[np.newaxis] < np.full((4, 1), 2)
    assert measures.products(image, image, left) == 18.0
    assert measures.products(image, image, ~left) == 0.0
    assert measures.products(image, image) == 9.0


def test_texture_is_where_lightness_has_detail():
    light = np.full((80, 120), 50.0)
    light[:, :40] += np.random.default_rng(2).normal(0, 10, (80, 40))
    found = measures.texture(light)
    assert found.mean() == pytest.approx(measures.TEXTURED, abs=0.01)
    assert not found[:, 45:].any()
    assert measures.detail_energy(light) > 20 * measures.detail_energy(wave(1, 80, 120)[0])


# Distributions of color


def test_a_color_counts_in_the_cell_around_a_multiple_of_ten():
    ab = np.array([[0.0, 4.9, -4.9, 31.0], [0.0, -4.9, 4.9, -18.0]]).reshape(2, 1, 4)
    found = measures.ab_histogram(ab)
    middle = CELLS // 2
    assert found[middle, middle] == 0.75
    assert found[middle + 3, middle - 2] == 0.25
    assert CELL * middle >= 128


def test_overlap_and_divergence_of_equal_disjoint_and_half_common_distributions():
    one, other, half = (np.array([row]) for row in ([0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5], [0, 0.5, 0.5, 0]))
    assert (measures.overlap(one, one), measures.jensen_shannon(one, one)) == (1.0, 0.0)
    assert (measures.overlap(one, other), measures.jensen_shannon(one, other)) == (0.0, 1.0)
    assert (measures.overlap(one, half), measures.jensen_shannon(one, half)) == (0.5, 0.5)


def test_rarity_is_the_surprise_in_bits():
    training = np.array([[0.25, 0.25], [0.5, 0.0]])
    assert measures.rarity(np.array([[1.0, 0.0], [0.0, 0.0]]), training) == 2.0
    assert measures.rarity(np.array([[0.0, 0.0], [1.0, 0.0]]), training) == 1.0
    assert measures.rarity(np.array([[0.0, 0.0], [0.0, 1.0]]), training, floor=2.0**-10) == 10.0


# Colors that a gray patch leaves open


def test_ambiguity_is_the_spread_of_the_colors_of_similar_patches():
    photos = 2 * measures.SIMILAR
    dark, bright = torch.zeros(PATCH**2).double(), torch.full((PATCH**2,), 90.0).double()
    # Each photograph has a dark patch, always of one color, and a bright one, red in half of them and green in half
    patches = torch.stack((dark, bright)).expand(photos, 2, -1).clone()
    patches += 0.01 * torch.arange(photos).double().view(-1, 1, 1)
    colors = torch.zeros(photos, 2, 2).double()
    colors[:, 0] = torch.tensor([5.0, -3.0])
    colors[::2, 1, 0], colors[1::2, 1, 0] = 20.0, -20.0
    found = PatchColors(patches, colors).ambiguity(torch.stack((bright, dark, bright)))
    assert found == pytest.approx([20.0, 0.0, 20.0])


def test_only_the_most_similar_patch_of_each_photograph_and_the_most_similar_photographs_count():
    photos = measures.SIMILAR + 10
    patches = torch.zeros(photos, 2, PATCH**2).double()
    colors = torch.zeros(photos, 2, 2).double()
    patches[:, 1], colors[:, 1] = 30.0, 100.0 * torch.randn(photos, 2).double()  # less similar, of any color
    patches[measures.SIMILAR :, 0], colors[measures.SIMILAR :, 0] = 5.0, 50.0  # of less similar photographs
    assert PatchColors(patches, colors).ambiguity(torch.zeros(1, PATCH**2).double()) == pytest.approx([0.0])


def test_patches_surround_their_pixels_and_lie_inside():
    light = np.arange(30.0 * 40).reshape(30, 40)
    places = measures.drawn_pixels(30, 40, 500, "test", 7)
    found = measures.patches_at(light, places)
    assert torch.equal(found[:, PATCH**2 // 2], torch.from_numpy(light[places[0], places[1]]))
    assert places.min(axis=1).tolist() == [PATCH // 2] * 2
    assert places.max(axis=1).tolist() == [30 - 1 - PATCH // 2, 40 - 1 - PATCH // 2]
    assert not np.array_equal(places, measures.drawn_pixels(30, 40, 500, "test", 8))


def test_training_patches_have_the_colors_of_their_pixels():
    plain = np.full((20, 30, 3), (200, 60, 90), np.uint8)
    found = measures.fit_patch_colors([plain, noise(40, 20)])
    assert found.patches.shape == (2, measures.TRAINING_PATCHES, PATCH**2)
    lab = measures.lab_of(plain)[:, 0, 0]
    assert torch.allclose(found.patches[0], torch.tensor(lab[0]))
    assert torch.allclose(found.colors[0], torch.tensor(lab[1:]))


def test_thirds_are_the_largest_and_the_smallest_values():
    most, least = measures.thirds(np.array([3.0, 9.0, 1.0, 8.0, 2.0, 7.0, 5.0]))
    assert sorted(most) == [1, 3]
    assert sorted(least) == [2, 4]


# Novelty


def test_novelty_is_the_mean_cosine_distance_of_the_nearest_photographs():
    training = torch.eye(2 * measures.NEIGHBORS)
    training[: measures.NEIGHBORS] = training[0]
    assert measures.novelty(7.0 * training[0], training) == pytest.approx(0.0)
    assert measures.novelty(training[-1], training) == pytest.approx(1.0 - 1.0 / measures.NEIGHBORS)
    assert measures.novelty(-training[0], training) == pytest.approx(1.0)


def test_rank_correlation_sees_order_alone():
    values = np.random.default_rng(3).normal(size=50)
    correlation, p = measures.rank_correlation(values, np.exp(3 * values))
    assert correlation == pytest.approx(1.0)
    assert p < 1e-12
    assert measures.rank_correlation(values, -values)[0] == pytest.approx(-1.0)


# Faces


def test_regions_of_a_face():
    box = Box(left=20, top=10, width=10, height=20)
    found = measures.face_regions([box], 60, 80)
    assert found["faces"].sum() == 200
    assert found["faces"][10:30, 20:30].all()
    assert found["skin"].sum() == 12 * 6
    assert found["skin"][14:26, 22:28].all()
    assert not found["outside"][2:38, 16:34].any()
    assert found["outside"].sum() == 60 * 80 - 36 * 18
    both = measures.face_regions([box, Box(left=60, top=40, width=10, height=10)], 60, 80)
    assert both["faces"].sum() == 300


def test_errors_of_a_region_are_those_of_the_region_alone():
    truth, predicted = smooth(24, 30, seed=1), smooth(24, 30, seed=2)
    where = np.zeros((24, 30), bool)
    where[:, 10:] = True
    cut = [torch.from_numpy(picture[:, 10:].transpose(CHANNELS_FIRST).copy()) for picture in (predicted, truth)]
    assert measures.psnr_where(predicted, truth, where) == pytest.approx(psnr_of(mse(*cut)))
    labs = [measures.lab_of(picture) for picture in (predicted, truth)]
    assert measures.delta_e00_where(*labs, where) == pytest.approx(delta_e00(*cut))
    assert measures.mean_where(labs[0][1], where) == pytest.approx(labs[0][1, :, 10:].mean())


def test_names_of_bands_are_as_many_as_bands():
    assert len(measures.split_bands(wave(3))) == len(BANDS)
