"""Predictions, errors, pixels and figures of notebooks/explore.ipynb."""

import re

import numpy as np
import pytest
import torch
from helpers.pictures import noise, photo_set, png, smooth
from PIL import Image
from scipy.stats import spearmanr

from colorlib.color import lightness, rgb_to_lab
from colorlib.colorizers import BASELINES, adjust_lab, load_run
from colorlib.companion.explore.exploration import (
    ERROR_RANGE,
    FULL,
    PATCH,
    PREVIEW,
    Exploration,
    averaged_colors,
    colors_by_epoch,
)
from colorlib.hints import Hint, place_hints
from colorlib.photos import Pixels
from colorlib.profiles import PROJECT, load_profile

RUN = PROJECT / "results" / "cpu" / "seed-0"


def planes(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def test_a_profiles_runs_come_first_and_bundled_photographs_are_there():
    exploration = Exploration.from_profile(load_profile("smoke"))
    assert next(iter(Exploration.from_profile(load_profile("cpu")).runs)) == "cpu/seed-0"
    assert "cpu/seed-0" in exploration.runs
    assert {"coffee.png", "grace_hopper.jpg", "rocket.jpg"} <= set(exploration.photos)
    assert exploration.training_photos.source == "bundled"
    assert exploration.methods()[: len(BASELINES)] == list(BASELINES)


def test_bundled_photographs_are_searched_where_others_are_not_here(cache, capsys):
    exploration = Exploration.from_profile(load_profile("cpu"))
    assert exploration.training_photos.source == "bundled"
    assert exploration.figures == PROJECT / "figures" / "scratch", "committed pictures are not replaced"
    assert "`colorlib data fetch bsds500`" in capsys.readouterr().out


def test_without_a_run_the_error_names_the_command(tmp_path):
    profile = load_profile("cpu", root=tmp_path)
    with pytest.raises(ValueError, match=r"\bresults\b.*`make reproduce PROFILE=cpu`"):
        Exploration.from_profile(profile)


def test_epochs_are_those_with_stored_weights_and_the_last(exploration):
    assert exploration.epochs("cpu/seed-0") == [1, 2, 5, 10, 20, 40]
    assert exploration.epochs("gray") == []
    with pytest.raises(ValueError, match=r"'gpu/seed-0'.*\bgray\b.*\bcpu/seed-0\b"):
        exploration.epochs("gpu/seed-0")


def test_a_prediction_is_the_runs_own_and_computed_once(exploration, monkeypatch):
    light = lightness(planes(smooth(40, 60)))[None]
    for epoch in (2, None):
        assert not exploration.is_cached("cpu/seed-0", "waves", epoch=epoch)
        found = exploration.colored("cpu/seed-0", "waves", epoch=epoch)
        torch.testing.assert_close(found, load_run(RUN, epoch=epoch)(light)[0], rtol=0, atol=1e-6)
        assert exploration.is_cached("cpu/seed-0", "waves", epoch=epoch)
    assert exploration.colored("cpu/seed-0", "waves", epoch=40) is found
    early = exploration.colored("cpu/seed-0", "waves", epoch=2)
    assert not torch.equal(early, found)
    monkeypatch.setattr(exploration, "_colorizer", None)
    assert exploration.colored("cpu/seed-0", "waves", epoch=2) is early


def test_another_photograph_of_the_same_name_is_colored_again(exploration):
    before = exploration.shown("cpu/seed-0", "waves")
    assert exploration.add("waves", png(noise(40, 60))) == "waves"
    assert exploration.pixels("waves").tolist() == noise(40, 60).tolist()
    assert not np.array_equal(exploration.shown("cpu/seed-0", "waves"), before)


def test_a_file_that_is_no_image_is_refused_and_nothing_is_lost(exploration):
    with pytest.raises(ValueError, match=r"notes\.txt"):
        exploration.add("notes.txt", b"not an image")
    assert list(exploration.photos) == ["waves", "noise"]


def test_large_photographs_are_shown_as_previews_first(exploration):
    exploration.add("large", smooth(350, 700))
    assert exploration.pixels("large").shape == (PREVIEW // 2, PREVIEW, 3)
    assert exploration.pixels("large", full=True).shape == (FULL // 2, FULL, 3)
    assert exploration.pixels("waves").shape == exploration.pixels("waves", full=True).shape == (40, 60, 3)


def test_lightness_and_saturation_are_applied(exploration):
    truth = lightness(planes(smooth(40, 60))).numpy()
    gray = exploration.shown("cpu/seed-0", "waves", keep_luminance=True, saturation=0.0)
    assert np.ptp(gray.astype(int), axis=-1).max() <= 1
    assert np.abs(lightness(planes(gray)).numpy() - truth).max() < 0.5
    raw = exploration.shown("cpu/seed-0", "waves")
    assert np.abs(lightness(planes(raw)).numpy() - truth).max() > 5


def test_the_error_is_the_distance_in_ab(exploration):
    truth = exploration.pixels("noise")
    assert np.unique(exploration.error(truth, "noise").reshape(-1, 3), axis=0).tolist() == [[0, 0, 4]]
    lab = rgb_to_lab(planes(truth).float() / 255)
    distance = lab[1:].square().sum(dim=0).sqrt().numpy()
    brightness = exploration.error(exploration.gray("noise"), "noise") @ np.array([0.2, 0.7, 0.1])
    assert np.unique(brightness[distance > ERROR_RANGE + 1]).size == 1
    below = distance < ERROR_RANGE - 1
    assert spearmanr(distance[below], brightness[below]).statistic > 0.99


def test_pixel_values_are_the_photographs_and_its_patch(exploration):
    pixels = exploration.pixels("waves")
    lab = rgb_to_lab(planes(pixels).float() / 255).numpy()
    values = exploration.pixel_values(pixels, "waves", 20, 31)
    np.testing.assert_allclose((values.lightness, *values.truth), lab[:, 20, 31], atol=0.05)
    assert values.prediction == values.truth
    np.testing.assert_allclose(values.patch, lab[0, 14:27, 25:38], atol=0.05)
    corner = exploration.pixel_values(pixels, "waves", 0, 59).patch
    assert corner.shape == (PATCH, PATCH)
    assert np.isnan(corner[:6]).all()
    assert np.isnan(corner[:, 7:]).all()
    assert not np.isnan(corner[6:, :7]).any()


def test_similar_patches_are_found_where_they_are(exploration):
    waves = exploration.pixels("waves")
    there = noise(40, 50, seed=1)
    there[10:23, 30:43] = waves[14:27, 25:38]
    exploration.training_photos = photo_set(there, noise(12, 40), noise(30, 30))  # the second is too small
    similar = exploration.similar_pixels("waves", 20, 31)
    lab = rgb_to_lab(planes(waves).float() / 255).numpy()
    assert similar.colors.shape == (2, 2)
    np.testing.assert_allclose(similar.colors[0], lab[1:, 20, 31], atol=0.05)
    np.testing.assert_allclose(similar.rgb[0] * 255, waves[20, 31], atol=0.01)
    so_far = [len(found.colors) for found in exploration.search_similar("waves", 21, 31)]
    assert so_far == [1, 2]
    assert len([*exploration.search_similar("waves", 21, 31)]) == 1, "a search that ended is not done again"
    assert similar.distances[0] < 0.5 < 5 < similar.distances[1]


def test_a_method_is_named_by_what_distinguishes_it(exploration):
    exploration.runs = {f"{name}/seed-0": PROJECT / "results" / name / "seed-0" for name in ("paper", "lightweight")}
    labels = {method: exploration.label(method) for method in exploration.methods()}
    assert labels["gray"] == "gray"
    assert labels["paper/seed-0"] == "the paper's network, bsds500, 10,000 updates, seed 0"
    assert re.search(r"\bnetwork=unet\b.*\bbsds500\b", labels["lightweight/seed-0"])


def test_hints_give_their_place_the_colors_of_the_command_line(exploration):
    hint = Hint(0.3, 0.6, "#c03020")
    without, hinted = (exploration.shown("gray", "waves", hints=hints) for hints in ((), (hint,)))
    height, width = without.shape[:2]
    light = lightness(planes(exploration.pixels("waves")))
    placed = place_hints([hint], planes(exploration.pixels("waves")))
    expected = adjust_lab(
        planes(without).float() / 255,
        change_ab=lambda ab: placed.blend(ab, light, slice(0, height), slice(0, width)),
    )
    assert np.abs(hinted - 255 * expected.permute(1, 2, 0).numpy()).max() < 1.5
    assert int(np.abs(hinted.astype(int) - without).max()) > 30


def test_a_gray_photograph_has_no_truth(exploration):
    exploration.add("old", np.repeat(noise(30, 30)[..., :1], 3, axis=2))
    assert [exploration.has_colors(name) for name in ("waves", "old")] == [True, False]


def test_the_nearest_kept_epoch_is_taken(exploration):
    assert [exploration.nearest_epoch("cpu/seed-0", epoch) for epoch in (1, 9, 100)] == [1, 10, 40]
    assert exploration.nearest_epoch("cpu/seed-0", None) == 40
    assert exploration.nearest_epoch("gray", 5) is None


def test_figures_name_epochs_and_colors(exploration, tmp_path):
    by_epoch = colors_by_epoch(exploration, "cpu/seed-0", "waves", tmp_path / "arrival.png")
    averaged, values = averaged_colors(exploration, "cpu/seed-0", "waves", tmp_path / "averaged.png", row=20, column=31)
    assert " 8 " in by_epoch.alt, "so many pictures"
    assert re.findall(r"epoch (\d+)\b", by_epoch.alt) == ["1", "2", "5", "10", "20", "40"]
    for a, b in (values.truth, values.prediction):
        assert f"({a:.0f}, {b:.0f})" in averaged.caption
        assert f"({a:.0f}, {b:.0f})" in averaged.alt
    assert re.search(r"\b2 training\b.* a test\b", averaged.caption)
    assert f"{averaged.numbers['chroma of the mean']:.0f}" in averaged.caption
    assert averaged.numbers["chroma of the mean"] <= averaged.numbers["mean chroma"]
    assert averaged.chart, "its letters stay readable on narrow screens"
    for path in (by_epoch.path, averaged.path):
        with Image.open(path) as figure:
            assert figure.width > 800
