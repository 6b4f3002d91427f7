"""PSNR against the number of hints: hints are the true colors, fixed by the photograph, and rows are pooled right."""

import hashlib
import math
from functools import partial

import numpy as np
import pytest
import torch
from helpers.pictures import smooth

from colorlib.color import gray_rgb, lightness
from colorlib.companion.artifacts import hints as module
from colorlib.companion.artifacts.hints import (
    COUNTS,
    GRAY,
    METHODS,
    NEAREST,
    HintRow,
    draw_hints,
    measure_photo,
    nearest_hint,
    pool,
    true_hint,
)
from colorlib.companion.tables import joined
from colorlib.evaluate import psnr_of_mean
from colorlib.hints import check_hints, place_hints
from colorlib.metrics import mse, psnr_of
from colorlib.photos.decode import Photo, Pixels


def photo(pixels: Pixels, name: str = "a.png") -> Photo:
    return Photo(name=name, digest=hashlib.sha256(name.encode()).hexdigest(), load=partial(np.copy, pixels))


def test_a_true_hint_is_the_mean_color_around_its_place():
    pixels = smooth(30, 40)
    hint = true_hint(pixels, 0.5, 0.5)
    mean = pixels[12:19, 17:24].reshape(-1, 3).mean(axis=0)
    assert np.abs(np.array([int(hint.color[at : at + 2], 16) for at in (1, 3, 5)]) - mean).max() <= 0.5
    assert (hint.x * 40, hint.y * 30) == pytest.approx((20.5, 15.5))
    corner = true_hint(pixels, 0.0, 0.999)
    assert corner.color == f"#{np.rint(pixels[26:, :4].reshape(-1, 3).mean(axis=0)).astype(np.uint8).tobytes().hex()}"


def test_places_depend_on_the_photograph_and_the_draw_alone():
    one, other = photo(smooth(30, 40)), photo(smooth(30, 40), "b.png")
    assert draw_hints(one, one.load(), 0) == draw_hints(one, one.load(), 0)
    assert draw_hints(one, one.load(), 0) != draw_hints(one, one.load(), 1)
    assert draw_hints(one, one.load(), 0) != draw_hints(other, other.load(), 0)
    assert len(draw_hints(one, one.load(), 0)) == max(COUNTS)


def test_the_nearest_hint_fills_its_cell():
    pixels = torch.from_numpy(smooth(10, 20)).permute(2, 0, 1)
    hints = place_hints(check_hints([(0.1, 0.5, "#c03020"), (0.9, 0.5, "#2040c0")]), pixels)
    filled = nearest_hint(hints)
    assert filled.shape == (2, 10, 20)
    assert (filled[:, :, :10] == hints.ab[0][:, None, None]).all()
    assert (filled[:, :, 10:] == hints.ab[1][:, None, None]).all()


def test_rows_of_a_photograph():
    """A gray stub in place of the networks has the scores of gray; more true hints bring a photograph nearer."""
    pixels = smooth(48, 64)
    names = [(name, seed) for name in module.NETWORKS for seed in (0, 1)]
    rows = measure_photo(photo(pixels), dict.fromkeys(names, gray_rgb))
    assert len(rows) == (2 + len(names)) * len(COUNTS)
    found = {(row.method, row.seed, row.hints): row for row in rows}
    truth = torch.from_numpy(pixels).permute(2, 0, 1)
    gray = mse((gray_rgb(lightness(truth)) * 255).round().to(torch.uint8), truth)
    for count in COUNTS:
        of_gray = found[GRAY, None, count]
        for name, seed in names:
            assert found[name, seed, count].mse == pytest.approx(of_gray.mse, rel=1e-3)
        if count == 0:
            assert of_gray.mse == found[NEAREST, None, 0].mse == pytest.approx(gray, rel=1e-3)
            assert of_gray.psnr == pytest.approx(psnr_of(gray), rel=1e-3)
    assert found[GRAY, None, 20].mse < 0.5 * gray
    assert found[NEAREST, None, 20].mse < 0.5 * gray


def test_rows_are_pooled_over_photographs_and_seeds():
    random = np.random.default_rng(0)
    rows = [
        HintRow(method=method, seed=seed, hints=count, photograph=str(number), mse=error, psnr=psnr_of(error))
        for method in METHODS
        for seed in ((None,) if method in (GRAY, NEAREST) else (0, 1, 2))
        for count in COUNTS
        for number, error in enumerate(random.uniform(0.001, 0.02, 12))
    ]
    data = pool(rows)
    assert list(data["hints"]) == list(COUNTS)
    own = [[row for row in rows if (row.method, row.seed, row.hints) == ("paper", seed, 5)] for seed in (0, 1, 2)]
    expected = joined([psnr_of_mean([row.mse for row in of_seed]) for of_seed in own])
    row = data[data["hints"] == 5].iloc[0]
    assert row["paper: PSNR of MSE"] == pytest.approx(
        np.mean([-10 * math.log10(np.mean([row.mse for row in of_seed])) for of_seed in own])
    )
    assert row["paper: PSNR of MSE low"] == expected.low
    assert row["paper: mean PSNR"] == pytest.approx(np.mean([row.psnr for of_seed in own for row in of_seed]))
    assert row[f"{GRAY}: PSNR of MSE low"] < row[f"{GRAY}: PSNR of MSE"] < row[f"{GRAY}: PSNR of MSE high"]
