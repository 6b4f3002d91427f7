"""PSNR against the number of hints: hints are the true colors, fixed by the photograph, and rows are pooled right."""

import hashlib
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

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
    measure_hints,
    measure_photo,
    nearest_hint,
    pool,
    tables,
    true_hint,
)
from colorlib.companion.steps import files, other_profile
from colorlib.companion.tables import joined
from colorlib.evaluate import psnr_of_mean
from colorlib.files import write_text
from colorlib.hints import check_hints, place_hints
from colorlib.metrics import mse, psnr_of
from colorlib.photos import PhotoSet
from colorlib.photos.decode import Photo, Pixels
from colorlib.profiles import Profile, load_profile


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


def stand_in(monkeypatch: pytest.MonkeyPatch, root: Path) -> tuple[Profile, list[str]]:
    """A profile whose networks are stubs, and the names of the photographs as they are measured."""
    profile, loaded = replace(load_profile("lightweight"), root=root), []
    for owner in (profile, other_profile(profile, "paper")):
        for seed in owner.seeds:
            write_text(owner.run(seed) / "weights.safetensors", f"{owner.name} {seed}")

    def load(name: str, pixels: Pixels) -> Pixels:
        loaded.append(name)
        return pixels.copy()

    found = tuple(
        replace(photo(smooth(24, 32)), name=name, digest=name * 16, load=partial(load, name, smooth(24, 32) ^ number))
        for number, name in enumerate("abcd")
    )
    photos = PhotoSet(source="stub", split="test", photos=found, terms="")
    monkeypatch.setattr(module, "scored_photos", lambda name: photos)
    monkeypatch.setattr(module, "load_run", lambda run, device: gray_rgb)
    return profile, loaded


def test_an_interrupted_measurement_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    profile, loaded = stand_in(monkeypatch, tmp_path / "whole")
    device = torch.device("cpu")
    assert list(measure_hints(profile, device=device)) == [(count, 4) for count in range(5)]
    assert sorted(loaded) == list("abcd")
    whole = [path.read_bytes() for path in files(profile, "hint_scores", "hints")]
    # In two parts
    profile, loaded = stand_in(monkeypatch, tmp_path / "parts")
    events = measure_hints(profile, device=device)
    assert [next(events) for _ in range(3)] == [(0, 4), (1, 4), (2, 4)]
    events.close()
    assert list(measure_hints(profile, at_most=2, device=device)) == [(2, 2)]
    assert "2 of the 4" in files(profile, "hints")[0].read_text(encoding="utf-8")
    assert list(measure_hints(profile, device=device)) == [(2, 4), (3, 4), (4, 4)]
    assert sorted(loaded) == list("abcd"), "each once"
    assert [path.read_bytes() for path in files(profile, "hint_scores", "hints")] == whole
    # Of other weights
    write_text(profile.run(0) / "weights.safetensors", "others")
    assert list(measure_hints(profile, at_most=1, device=device)) == [(0, 1), (1, 1)]
    assert len(loaded) == 5


def test_the_tables_are_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    profile, _ = stand_in(monkeypatch, tmp_path)
    with pytest.raises(ValueError, match=r"hints\.csv.*colorlib hints"):
        tables(profile)
    list(measure_hints(profile, device=torch.device("cpu")))
    for table in tables(profile):
        assert [row[0][0] for row in table.cells()] == [str(count) for count in COUNTS]
        assert len(table.heads) == 1 + len(METHODS)
        assert "the 4 test photographs of stub" in table.caption
