"""PSNR against the number of hints: hints are the true colors, fixed by the photograph, and rows are pooled right."""

import hashlib
import json
import math
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.committed import edit
from helpers.pictures import smooth

from colorlib.color import gray_rgb, lightness
from colorlib.companion.artifacts import hints as module
from colorlib.companion.artifacts.hints import (
    ASPECT,
    BUNDLED,
    COUNTS,
    GRAY,
    LEVIN,
    METHODS,
    NEAREST,
    NETWORKS,
    PLACES,
    Errors,
    HintRow,
    comparisons,
    draw_hints,
    gain_tables,
    halved,
    hint_examples,
    level_tables,
    levin,
    measure_hints,
    measure_photo,
    nearest_hint,
    neighbor_equations,
    read_errors,
    true_hint,
    write,
)
from colorlib.companion.steps import LIGHTWEIGHT, PRIMARY, files, other_profile, steps
from colorlib.companion.tables import joined
from colorlib.companion.verify import rerun
from colorlib.companion.verify.compare import Outcome
from colorlib.evaluate import psnr_of_mean
from colorlib.files import write_text
from colorlib.hints import check_hints, place_hints
from colorlib.metrics import mse, psnr_of
from colorlib.photos import PhotoSet, open_photos
from colorlib.photos.decode import Photo, Pixels, decode_file
from colorlib.profiles import NOTEBOOKS, Profile, load_profile


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


def authors_equations(light: np.ndarray) -> np.ndarray:
    """The matrix that the authors' code builds without scribbles, pixel by pixel: L in [0, 1], pixels by rows."""
    height, width = light.shape
    matrix = np.eye(light.size)
    for row in range(height):
        for column in range(width):
            own = light[row, column]
            places = [
                (i, j)
                for i in range(max(row - 1, 0), min(row + 2, height))
                for j in range(max(column - 1, 0), min(column + 2, width))
                if (i, j) != (row, column)
            ]
            values = np.array([light[place] for place in places])
            spread = 0.6 * np.mean((np.append(values, own) - np.append(values, own).mean()) ** 2)
            spread = max(spread, -np.min((values - own) ** 2) / np.log(0.01), 2e-6)
            weights = np.exp(-((values - own) ** 2) / spread)
            for (i, j), weight in zip(places, weights / weights.sum(), strict=True):
                matrix[row * width + column, i * width + j] = -weight
    return matrix


def test_the_equations_of_levin_are_those_of_the_authors_code():
    light = lightness(torch.from_numpy(smooth(7, 9)).permute(2, 0, 1))[0]
    light[2:5, 3:7] = 50.0  # all alike: the smallest spread counts
    assert neighbor_equations(light).toarray() == pytest.approx(authors_equations(light.double().numpy() / 100))


def test_levin_keeps_the_hints_and_solves_every_other_equation():
    pixels = torch.from_numpy(smooth(21, 32)).permute(2, 0, 1)
    small = halved(lightness(pixels))
    assert small.shape == (11, 16)
    assert small[1, 2] == pytest.approx(lightness(pixels)[0, 2:4, 4:6].mean())
    hints = place_hints(check_hints([(0.2, 0.5, "#c03020"), (0.9, 0.2, "#2040c0")]), pixels)
    # Rows 7-13 and columns 3-9 are under the first hint, rows 1-7 and columns 25-31 under the second
    system, colors = authors_equations(small.double().numpy() / 100), np.zeros((11 * 16, 2))
    for ab, rows, columns in zip(hints.ab, ((3, 7), (0, 4)), ((1, 5), (12, 16)), strict=True):
        for at in (row * 16 + column for row in range(*rows) for column in range(*columns)):
            system[at], colors[at] = np.eye(11 * 16)[at], ab
    expected = torch.from_numpy(np.linalg.solve(system, colors).T.reshape(1, 2, 11, 16).copy())
    enlarged = torch.nn.functional.interpolate(expected, scale_factor=2, mode="bilinear")[0, :, :21]
    found = levin(neighbor_equations(small), hints)
    assert found.shape == (2, 21, 32)
    assert found.numpy() == pytest.approx(enlarged.numpy(), abs=1e-8)
    assert found[:, 10, 6].tolist() == pytest.approx(hints.ab[0].tolist())
    assert found[:, 4, 28].tolist() == pytest.approx(hints.ab[1].tolist())


def test_levin_stops_at_edges_of_lightness_and_one_hint_is_everywhere():
    """A dark and a light half with a hint each, the second far from most of its half: each half has its color."""
    pixels = torch.full((3, 40, 60), 60, dtype=torch.uint8)
    pixels[:, :, 20:] = 200
    hints = check_hints([(0.1, 0.5, "#402020"), (0.4, 0.5, "#c0c0ff")])
    equations = neighbor_equations(halved(lightness(pixels)))
    first, second = place_hints(hints, pixels).ab
    found = levin(equations, place_hints(hints, pixels))
    assert (found[:, :, :18] - first[:, None, None]).abs().max() < 1
    assert (found[:, :, 22:] - second[:, None, None]).abs().max() < 1
    alone = levin(equations, place_hints(hints[:1], pixels))
    assert (alone - first[:, None, None]).abs().max() < 1e-6


def test_rows_of_a_photograph():
    """A gray stub in place of the networks has the scores of gray; more true hints bring a photograph nearer."""
    pixels = smooth(48, 64)
    names = [(name, seed) for name in module.NETWORKS for seed in (0, 1)]
    rows = measure_photo(photo(pixels), dict.fromkeys(names, gray_rgb))
    assert len(rows) == (3 + len(names)) * len(COUNTS)
    found = {(row.method, row.seed, row.hints): row for row in rows}
    truth = torch.from_numpy(pixels).permute(2, 0, 1)
    gray = mse((gray_rgb(lightness(truth)) * 255).round().to(torch.uint8), truth)
    for count in COUNTS:
        of_gray = found[GRAY, None, count]
        for name, seed in names:
            assert found[name, seed, count].mse == pytest.approx(of_gray.mse, rel=1e-3)
        if count == 0:
            assert of_gray.mse == found[NEAREST, None, 0].mse == found[LEVIN, None, 0].mse
            assert of_gray.mse == pytest.approx(gray, rel=1e-3)
            assert of_gray.psnr == pytest.approx(psnr_of(gray), rel=1e-3)
    assert found[GRAY, None, 20].mse < 0.5 * gray
    assert found[NEAREST, None, 20].mse < 0.5 * gray
    assert found[LEVIN, None, 20].mse < 0.5 * gray
    assert found[LEVIN, None, 1].mse == pytest.approx(found[NEAREST, None, 1].mse, rel=1e-3), "one color everywhere"


def invented(factors: dict[int, float], images: int = 12) -> list[HintRow]:
    """Rows of all methods: random errors, times a factor for each number of hints; seeds differ a little."""
    random = np.random.default_rng(0)
    errors = random.uniform(0.001, 0.02, images)
    return [
        HintRow(method=method, seed=seed, hints=count, photograph=str(number), mse=error, psnr=psnr_of(error))
        for method in METHODS
        for seed in ((0, 1, 2) if method in NETWORKS else (None,))
        for count in COUNTS
        for number, error in enumerate(errors * factors.get(count, 1.0) * random.uniform(0.99, 1.01, images))
    ]


def test_rows_are_pooled_over_photographs_and_seeds():
    rows = invented({})
    errors = Errors.of(rows)
    own = [[row for row in rows if (row.method, row.seed, row.hints) == ("paper", seed, 5)] for seed in (0, 1, 2)]
    expected = joined([psnr_of_mean([row.mse for row in of_seed]) for of_seed in own])
    level = errors.level("PSNR of MSE", "paper", 5)
    assert level == expected
    assert level.value == pytest.approx(
        np.mean([-10 * math.log10(np.mean([row.mse for row in of_seed])) for of_seed in own])
    )
    mean = errors.level("mean PSNR", "paper", 5)
    assert mean.value == pytest.approx(np.mean([row.psnr for of_seed in own for row in of_seed]))
    gray = errors.level("PSNR of MSE", GRAY, 5)
    assert gray.low < gray.value < gray.high


@pytest.mark.parametrize("measure", module.MEASURES)
def test_gains_are_of_paired_photographs(measure: str):
    """Errors that fall by a tenth on each photograph have a gain whose interval is narrow, where levels' are wide."""
    errors = Errors.of(invented({5: 0.9}))
    for method in METHODS:
        gain, level = errors.over_none(measure, method, 5), errors.level(measure, method, 5)
        assert gain.value == pytest.approx(-10 * math.log10(0.9), abs=0.05)
        assert gain.low < gain.value < gain.high
        assert gain.high - gain.low < 0.2 < level.high - level.low
        assert gain.value == pytest.approx(level.value - errors.level(measure, method, 0).value, abs=1e-9)
    # A method without a network against each seed of one with a network
    across = errors.gain(measure, (GRAY, 5), ("paper", 0))
    assert across.value == pytest.approx(
        errors.level(measure, GRAY, 5).value - errors.level(measure, "paper", 0).value, abs=1e-9
    )


@pytest.mark.parametrize(("factors", "count"), [({1: 0.5}, 1), ({1: 1.2, 5: 0.8, 20: 0.5}, 5), ({20: 1.5}, None)])
def test_the_number_of_hints_that_replaces_a_network(factors: dict[int, float], count: int | None):
    assert Errors.of(invented(factors)).hints_instead_of("paper") == count


def test_which_way_to_spread_hints_is_better_follows_from_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    profile, _ = stand_in(monkeypatch, tmp_path)
    monkeypatch.setattr(module, "read_errors", lambda profile: Errors.of(rows))
    factors = {2: 0.5, 5: 0.5, 20: 2.0}
    rows = [
        replace(row, mse=row.mse * (factors.get(row.hints, 1.0) if row.method == LEVIN else 1.0))
        for row in invented({}, images=40)
    ]
    for sentence, other in zip(comparisons(profile)[-2:], (GRAY, "lightweight"), strict=True):
        assert other in sentence
        assert ": better with 2, 5; undecided with 1, 10; worse with 20 (" in sentence
        gain = Errors.of(rows).gain("PSNR of MSE", (LEVIN, 20), (other, 20))
        assert f"{gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}] dB with 20" in sentence
    rows = [replace(row, mse=row.mse * (0.9 if row.method == LEVIN else 1.0)) for row in invented({}, images=40)]
    assert all("worse" not in sentence for sentence in comparisons(profile)[-2:])


def stand_in(monkeypatch: pytest.MonkeyPatch, root: Path) -> tuple[Profile, list[str]]:
    """A profile whose networks are stubs, and the names of the photographs as they are measured."""
    profile, loaded = replace(load_profile("lightweight"), root=root), []
    for owner in (other_profile(profile, name) for name in NETWORKS):
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
    # By an earlier version, which lacked a method
    table = files(profile, "hint_scores")[0]
    earlier = [line for line in table.read_text().splitlines(keepends=True) if not line.startswith(LEVIN)]
    write_text(table, "".join(earlier))
    assert next(measure_hints(profile, device=device)) == (0, 4)
    assert list(measure_hints(profile, device=device))[-1] == (4, 4)
    assert sorted(loaded) == sorted("abcd" * 2)
    assert [path.read_bytes() for path in files(profile, "hint_scores", "hints")] == whole
    # Of other weights
    write_text(profile.run(0) / "weights.safetensors", "others")
    assert list(measure_hints(profile, at_most=1, device=device)) == [(0, 1), (1, 1)]
    assert len(loaded) == 9


def test_the_tables_and_the_figure_are_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    profile, _ = stand_in(monkeypatch, tmp_path)
    with pytest.raises(ValueError, match=r"hints\.csv.*colorlib hints"):
        level_tables(profile)
    list(measure_hints(profile, device=torch.device("cpu")))
    for tables, counts in ((level_tables(profile), COUNTS), (gain_tables(profile), COUNTS[1:])):
        assert len(tables) == len(module.MEASURES)
        for table, measure in zip(tables, module.MEASURES, strict=True):
            assert [row[0][0] for row in table.cells()] == [str(count) for count in counts]
            assert len(table.heads) == 1 + len(METHODS)
            assert "the 4 test photographs of stub" in table.caption
            assert measure in table.caption
    assert all(cell[0][0] in "+-" for row in gain_tables(profile)[0].cells() for cell in row[1:])
    picture = write(profile)
    assert picture.path == files(profile, "hints")[1]
    level = read_errors(profile).level("PSNR of MSE", GRAY, 20)
    assert f"{level.value:.2f} dB with 20" in picture.alt
    assert "the 4 test photographs of stub" in picture.caption
    first = [path.read_bytes() for path in files(profile, "hints")]
    write(profile)
    assert [path.read_bytes() for path in files(profile, "hints")] == first


def test_changed_rows_are_noticed_when_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    profile, _ = stand_in(monkeypatch, tmp_path)
    assert list(rerun.hints_measured(profile)) == [], "nothing was measured"
    photos = module.scored_photos("stub")
    monkeypatch.setattr(rerun, "scored_photos", lambda name: photos)
    list(measure_hints(profile, device=torch.device("cpu")))
    path, metadata = files(profile, "hint_scores")
    content = path.read_text()
    assert {check.outcome for check in rerun.hints_measured(profile)} == {Outcome.PASSED}
    edit(path, lambda row: {"mse": float(row["mse"]) * 1.02} if row["hints"] == "20" else {})
    assert [check.subject for check in rerun.hints_measured(profile) if check.outcome == Outcome.DIFFERS] == [
        "results/lightweight/hints.csv"
    ]
    path.write_text("\n".join(line for line in content.splitlines() if not line.startswith(f"{GRAY},,5,")) + "\n")
    assert [check.outcome for check in rerun.hints_measured(profile)] == [Outcome.PASSED, Outcome.DIFFERS]
    path.write_text(content)
    write_text(profile.run(0) / "weights.safetensors", "others")
    assert [check.subject for check in rerun.hints_measured(profile) if check.outcome == Outcome.DIFFERS] == [
        f"results/lightweight/{metadata.name}"
    ]


# Committed results


def test_the_heading_of_the_notebook_follows_from_the_committed_rows():
    profile = load_profile("lightweight")
    errors = read_errors(profile)
    title = json.loads((NOTEBOOKS / "09_hints.ipynb").read_text(encoding="utf-8"))["cells"][0]["source"][0]
    assert "few true colors gain more than a network" in title
    for network, sentence in zip(NETWORKS, comparisons(profile), strict=False):
        count = errors.hints_instead_of(network)
        assert count is not None
        assert 2 <= count <= 5
        gain = errors.gain("PSNR of MSE", (GRAY, count), (network, 0))
        assert f"{count} hints" in sentence
        assert f"{gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]" in sentence


def test_the_notebook_is_a_step_of_the_lightweight_profile_alone(tmp_path: Path):
    profile = load_profile("lightweight", root=tmp_path)
    assert "09_hints" not in [step.name for step in steps(profile)], "nothing was measured"
    write_text(files(profile, "hint_scores")[0], "")
    (step,) = [step for step in steps(profile) if step.name == "09_hints"]
    assert set(step.outputs) == {*files(profile, "hints", "hint_examples")}
    weights = {other_profile(profile, name).run(0) / "weights.safetensors" for name in (PRIMARY, LIGHTWEIGHT)}
    assert {*files(profile, "hint_scores"), *weights} <= set(step.inputs)
    assert "09_hints" not in [step.name for step in steps(load_profile("paper"))]


# Bundled photographs


def test_five_bundled_photographs_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Gray stubs in place of the networks: their pictures have the PSNR of gray, and hints bring them nearer."""
    monkeypatch.setattr(module, "load_run", lambda run: gray_rgb)
    profile = load_profile("lightweight", root=tmp_path)
    drawn = hint_examples(profile)
    assert drawn.path == files(profile, "hint_examples")[0]
    found = {photo.name: photo.load() for split in ("train", "val", "test") for photo in open_photos("bundled", split)}
    assert set(BUNDLED) == set(PLACES) <= set(found)
    assert len(BUNDLED) == 5
    assert all(len(places) == 5 for places in PLACES.values())
    assert all(subject in drawn.alt for subject in BUNDLED.values())
    psnr = []
    for name in BUNDLED:
        truth = torch.from_numpy(found[name]).permute(2, 0, 1)
        psnr.append(psnr_of(mse((gray_rgb(lightness(truth)) * 255).round().to(torch.uint8), truth)))
    gray, paper, lightweight, hinted = re.findall(r"(\d+\.\d) dB", drawn.caption)
    assert gray == paper == lightweight == f"{np.mean(psnr):.1f}"
    assert float(hinted) > float(gray) + 3
    assert decode_file(drawn.path).shape[1] > 800


@pytest.mark.parametrize("size", [(30, 40), (60, 40), (30, 90)])
def test_the_middle_of_a_photograph_is_shown(size: tuple[int, int]):
    top, left, shown = module._middle(np.zeros((*size, 3), np.uint8))
    assert shown.shape[1] / shown.shape[0] == pytest.approx(ASPECT, rel=0.02)
    assert shown.shape[0] == size[0] or shown.shape[1] == size[1]
    assert (2 * top + shown.shape[0], 2 * left + shown.shape[1]) == pytest.approx(size, abs=1)
