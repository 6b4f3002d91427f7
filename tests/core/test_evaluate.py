"""Tests of colorlib.evaluate: pooling against numbers by hand, intervals against SciPy, the files of scored runs."""

import hashlib
import json
import math
import os
import platform
import re
import subprocess
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.pictures import noise, smooth
from helpers.training import PROJECT, make_photos, run_record, small_config
from scipy import stats
from skimage import metrics

from colorlib.checkpoint import load_tensors
from colorlib.color import gray_rgb, lightness
from colorlib.colorizers import BASELINES, adjust_lab
from colorlib.config import as_json
from colorlib.data import center_crops
from colorlib.evaluate import (
    RESAMPLES,
    baseline_losses,
    baseline_methods,
    baselines_file,
    by_method,
    mean_over_images,
    network_methods,
    psnr_gain,
    read_scores,
    rebuild_metrics,
    score,
    score_baselines,
    score_run,
    summarize,
)
from colorlib.files import sha256
from colorlib.metrics import Score
from colorlib.photos.decode import Photo, Pixels
from colorlib.photos.registry import PhotoSet, open_photos
from colorlib.runs import Run, csv_text, score_files
from colorlib.trainer import build_network


def photo_set(*pictures: Pixels) -> PhotoSet:
    photos = [
        Photo(name=f"{i}.png", digest=hashlib.sha256(pixels.tobytes()).hexdigest(), load=partial(np.asarray, pixels))
        for i, pixels in enumerate(pictures)
    ]
    return PhotoSet(source="synthetic", split="test", photos=tuple(photos), terms="none")


def row(image: int, method: str, error: float, *, pixels: int = 100, chroma: float = 20.0, **others: float) -> Score:
    plain = {"ssim": 0.9, "delta_e00": 8.0, "ab_auc": 0.9, "colorfulness": 30.0, "truth_colorfulness": 40.0} | others
    psnr = -10 * math.log10(error) if error else math.inf
    return Score(image=str(image), method=method, pixels=pixels, truth_chroma=chroma, mse=error, psnr=psnr, **plain)


def plain_gray(height: int, width: int, seed: int = 0) -> Pixels:
    return np.repeat(smooth(height, width, seed)[..., :1], 3, axis=-1)


# Metrics per image


def test_each_method_is_scored_on_each_photograph_in_order():
    pictures = (smooth(20, 30), noise(11, 40), smooth(16, 16, seed=3))
    methods = {"gray": gray_rgb, "look-up": BASELINES["look-up table"](list(pictures))}
    rows = list(score(methods, photo_set(*pictures)))
    assert [[(found.image, found.method) for found in scores] for scores in rows] == [
        [(f"{i}.png", "gray"), (f"{i}.png", "look-up")] for i in range(3)
    ]
    assert [scores[0].pixels for scores in rows] == [600, 440, 256]


def test_predictions_are_rounded_to_bytes_before_they_are_scored():
    truth = smooth(24, 32)
    wrong = np.clip(truth + np.random.default_rng(0).uniform(-9.4, 9.4, truth.shape), 0, 255)
    rounded = np.rint(wrong).astype(np.uint8)

    def colorize(light: torch.Tensor) -> torch.Tensor:
        assert light.shape == (1, 1, 24, 32)
        assert light.max() > 50
        return torch.from_numpy(wrong.transpose(2, 0, 1)[None] / 255)

    ((found,),) = score({"x": colorize}, photo_set(truth))
    assert found.mse == pytest.approx(metrics.mean_squared_error(truth / 255, rounded / 255), rel=1e-12)
    assert found.mse != pytest.approx(metrics.mean_squared_error(truth / 255, wrong / 255), rel=1e-4)
    assert found.psnr == pytest.approx(metrics.peak_signal_noise_ratio(truth, rounded), rel=1e-12)


def test_an_exact_prediction_has_an_infinite_psnr():
    ((found,),) = score({"gray": gray_rgb}, photo_set(plain_gray(12, 12)))
    assert (found.mse, found.psnr, found.delta_e00, found.colorfulness) == (0, math.inf, 0, 0)
    assert found.ssim == pytest.approx(1)
    assert found.truth_chroma < 0.1


def test_a_prediction_of_another_size_is_named():
    with pytest.raises(ValueError, match=r"\(3, 12, 6\).*\(3, 12, 12\)") as refused:
        list(score({"half": lambda light: gray_rgb(light)[..., ::2]}, photo_set(plain_gray(12, 12))))
    assert "half" in str(refused.value)
    assert "0.png" in str(refused.value)


def test_a_photograph_that_is_too_small_is_named():
    with pytest.raises(ValueError, match="SSIM") as refused:
        list(score({"gray": gray_rgb}, photo_set(smooth(11, 11), smooth(10, 30))))
    for fact in (r"\b1\.png\b", r"\b30\W*[x×]\W*10\b", r"\b11\W*[x×]\W*11\b", "remove"):
        assert re.search(fact, str(refused.value))


def test_photographs_are_decoded_one_at_a_time():
    decoded = []

    def load(i: int) -> Pixels:
        decoded.append(i)
        return smooth(12, 12, seed=i)

    photos = tuple(Photo(name=str(i), digest="", load=partial(load, i)) for i in range(3))
    scoring = score({"gray": gray_rgb}, PhotoSet(source="x", split="test", photos=photos, terms=""))
    next(scoring)
    assert decoded == [0]


# per_image.csv


def test_scores_read_back_from_their_file(tmp_path: Path):
    photos = photo_set(smooth(12, 14), plain_gray(12, 12))
    rows = [found for scores in score({"gray": gray_rgb, "b, c": BASELINES["gray"]([])}, photos) for found in scores]
    path = tmp_path / "per_image.csv"
    path.write_text(csv_text([asdict(found) for found in rows]), encoding="utf-8")
    assert read_scores(path) == rows
    assert any(math.isinf(found.psnr) for found in rows)


def test_a_missing_or_different_file_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match="colorlib evaluate") as refused:
        read_scores(tmp_path / "per_image.csv")
    assert str(tmp_path / "per_image.csv") in str(refused.value)
    (tmp_path / "history.csv").write_text("epoch,loss\n1,0.5\n")
    with pytest.raises(ValueError, match=r"history\.csv") as refused:
        read_scores(tmp_path / "history.csv")
    for column in ("epoch", "loss", "image", "method"):
        assert re.search(rf"\b{column}\b", str(refused.value))


def test_scores_are_grouped_by_method_in_their_order():
    rows = [row(1, "b", 0.1), row(1, "a", 0.2), row(0, "b", 0.3)]
    assert list(by_method(rows)) == ["b", "a"]
    assert [found.mse for found in by_method(rows)["b"]] == [0.1, 0.3]


# Pooled metrics


def test_both_conventions_of_psnr():
    errors = [0.001, 0.004, 0.025]
    (found,) = summarize([row(i, "x", error) for i, error in enumerate(errors)], reference=None)
    assert found.images == 3
    assert found.mse.value == pytest.approx(0.01)
    assert found.psnr_of_mse.value == pytest.approx(20)  # of the pooled MSE, 10 log10(1 / 0.01)
    assert found.mean_psnr.value == pytest.approx((30 + 23.979400086720375 + 16.020599913279625) / 3)
    assert found.mean_psnr.value > found.psnr_of_mse.value  # Jensen
    assert found.psnr_gain is None


def test_means_over_images_and_over_pixels_differ_if_sizes_do():
    rows = [row(0, "x", 0.01, pixels=300), row(1, "x", 0.03, pixels=100)]
    (found,) = summarize(rows, reference=None)
    assert found.mse.value == pytest.approx(0.02)
    assert found.mse_of_pixels == pytest.approx(0.015)


def test_the_other_means_are_means():
    rows = [
        row(0, "x", 0.01, ssim=0.5, delta_e00=3, colorfulness=10, truth_colorfulness=20),
        row(1, "x", 0.01, ssim=0.8, delta_e00=6, colorfulness=13, truth_colorfulness=50),
    ]
    (found,) = summarize(rows, reference=None)
    values = (found.ssim.value, found.delta_e00.value, found.colorfulness.value, found.truth_colorfulness)
    assert values == pytest.approx((0.65, 4.5, 11.5, 35))


def test_near_gray_truths_are_counted_and_averaged_if_all_is_finite():
    rows = [row(0, "x", 0.0001, chroma=1.89), row(1, "x", 0.01, chroma=1.9), row(2, "x", 0.01, chroma=30)]
    (found,) = summarize(rows, reference=None)
    assert (found.near_gray, found.left_out) == (1, 0)
    assert found.mean_psnr.value == pytest.approx((40 + 20 + 20) / 3)


def test_near_gray_truths_are_left_out_of_every_mean_psnr_if_one_is_infinite():
    rows = [row(0, "gray", 0.0, chroma=0.1), row(1, "gray", 0.1, chroma=1.0), row(2, "gray", 0.01), row(3, "gray", 0.1)]
    rows += [row(0, "x", 0.5, chroma=0.1), row(1, "x", 0.1, chroma=1.0), row(2, "x", 0.001), row(3, "x", 0.1)]
    gray, other = summarize(rows)
    assert (gray.near_gray, gray.left_out) == (other.near_gray, other.left_out) == (2, 2)
    assert gray.mean_psnr.value == pytest.approx((20 + 10) / 2)
    assert other.mean_psnr.value == pytest.approx((30 + 10) / 2)
    assert 10 <= gray.mean_psnr.low < gray.mean_psnr.high <= 20
    # Finite metrics average all images.
    assert gray.mse.value == pytest.approx((0 + 0.1 + 0.01 + 0.1) / 4)
    assert other.psnr_of_mse.value == pytest.approx(-10 * math.log10((0.5 + 0.1 + 0.001 + 0.1) / 4))


def test_resamples_of_left_out_images_alone_are_ignored():
    # Of three images one is left out; one resample in 27 has it alone, which must not count as 0 dB.
    rows = [row(0, "gray", 0.0, chroma=0.1), row(1, "gray", 0.01), row(2, "gray", 0.001)]
    (found,) = summarize(rows)
    assert found.mean_psnr.low == pytest.approx(20)
    assert found.mean_psnr.high == pytest.approx(30)
    # As often, the pooled MSE of a resample is 0.
    assert found.psnr_of_mse.high == math.inf
    assert found.psnr_of_mse.low == pytest.approx(20)


def test_gray_alone_has_no_mean_psnr():
    (found,) = summarize([row(i, "gray", 0.0, chroma=0.0) for i in range(4)])
    assert found.left_out == 4
    assert math.isnan(found.mean_psnr.value)
    assert found.psnr_of_mse.value == math.inf
    assert math.isnan(found.psnr_gain.value)


def test_methods_on_different_images_and_a_missing_reference_are_refused():
    for others in ([row(0, "b", 0.1)], [row(1, "b", 0.1), row(0, "b", 0.1)]):
        with pytest.raises(ValueError, match=r"\bb\b.*\bgray\b"):
            summarize([row(0, "gray", 0.1), row(1, "gray", 0.1), *others])
    with pytest.raises(ValueError, match=r"\bgray\b.*\bx, y\b"):
        summarize([row(0, "x", 0.1), row(0, "y", 0.1)])
    with pytest.raises(ValueError, match="scores"):
        summarize([])


# Intervals

ERRORS = np.random.default_rng(0).lognormal(-5, 0.8, 60)
OTHERS = ERRORS * np.random.default_rng(1).lognormal(-0.3, 0.2, 60)
ROWS = [row(i, "gray", e) for i, e in enumerate(ERRORS)] + [row(i, "x", e) for i, e in enumerate(OTHERS)]


def psnr(errors: np.ndarray, axis: int = -1) -> np.ndarray:
    return -10 * np.log10(np.mean(errors, axis=axis))


def difference(errors: np.ndarray, others: np.ndarray, axis: int = -1) -> np.ndarray:
    return psnr(others, axis) - psnr(errors, axis)


def mean_psnr(errors: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.mean(-10 * np.log10(errors), axis=axis)


@pytest.mark.parametrize(
    ("name", "statistic", "samples"),
    [
        ("mse", np.mean, (OTHERS,)),
        ("psnr_of_mse", psnr, (OTHERS,)),
        ("mean_psnr", mean_psnr, (OTHERS,)),
        ("psnr_gain", difference, (ERRORS, OTHERS)),
    ],
)
def test_intervals_are_those_of_scipys_bootstrap(name: str, statistic, samples: tuple[np.ndarray, ...]):
    found = getattr(summarize(ROWS)[1], name)
    expected = stats.bootstrap(
        samples,
        statistic,
        method="percentile",
        n_resamples=RESAMPLES,
        paired=len(samples) == 2,
        vectorized=True,
        rng=np.random.default_rng(2),
    ).confidence_interval
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.05 * width)
    assert found.high == pytest.approx(expected.high, abs=0.05 * width)
    assert found.low < found.value < found.high


def test_an_interval_of_many_images_is_that_of_the_normal_distribution():
    values = np.random.default_rng(4).normal(0.8, 0.05, 400)
    (found,) = summarize([row(i, "x", 0.01, ssim=value) for i, value in enumerate(values)], reference=None)
    error = values.std() / math.sqrt(400)
    assert found.ssim.value == pytest.approx(values.mean())
    assert found.ssim.low == pytest.approx(values.mean() - 1.96 * error, abs=0.08 * error)
    assert found.ssim.high == pytest.approx(values.mean() + 1.96 * error, abs=0.08 * error)
    assert (found.mse.low, found.mse.high) == pytest.approx((0.01, 0.01))


def test_the_difference_is_paired():
    # Two methods that differ by the same factor on every image: the gain is certain, though neither PSNR is.
    rows = [row(i, "gray", e) for i, e in enumerate(ERRORS)] + [row(i, "x", e / 10) for i, e in enumerate(ERRORS)]
    gray, other = summarize(rows)
    assert (other.psnr_gain.low, other.psnr_gain.value, other.psnr_gain.high) == pytest.approx((10, 10, 10))
    assert other.psnr_of_mse.high - other.psnr_of_mse.low > 1
    assert (gray.psnr_gain.low, gray.psnr_gain.value, gray.psnr_gain.high) == (0, 0, 0)


def test_intervals_are_reproducible_and_independent_of_other_methods():
    first = summarize(ROWS)
    assert summarize(ROWS) == first
    more = [replace(found, method="third", mse=found.mse / 2) for found in ROWS[60:]]
    assert summarize([*ROWS, *more])[:2] == first


def test_the_mean_of_chosen_images():
    values = [1.0, 2.0, math.inf, 6.0]
    found = mean_over_images(values, np.array([True, True, False, True]))
    assert found.value == 3.0
    assert 1 <= found.low < 3 < found.high <= 6
    assert mean_over_images(values).value == math.inf
    assert math.isnan(mean_over_images(values, np.zeros(4, dtype=bool)).value)


def test_the_gain_in_psnr_is_that_of_summaries():
    errors = {"gray": [0.01 * (i + 1) for i in range(9)], "x": [0.006 * (i + 1) ** 0.9 for i in range(9)]}
    rows = [row(i, method, error) for method, found in errors.items() for i, error in enumerate(found)]
    assert psnr_gain(errors["x"], errors["gray"]) == summarize(rows)[1].psnr_gain


# Runs

CPU = torch.device("cpu")


@pytest.fixture
def run(photos: Path, tmp_path: Path) -> Run:
    """A run directory with the initial weights as its last ones."""
    config = small_config(photos)
    found = Run(tmp_path / "run")
    found.write_record(run_record(config=as_json(config)))
    found.write_weights(build_network(config).state_dict(), step=9)
    return found


def test_scoring_a_run_writes_its_metrics_and_scores(run: Run, photos: Path):
    assert list(score_run(run.path, device=CPU)) == [(0, 2), (1, 2), (2, 2)]
    metrics = json.loads((run.path / "metrics.json").read_text())
    test = open_photos(f"folder:{photos}", "test")
    assert metrics["photos"] == {"source": f"folder:{photos}", "split": "test", "count": 2, "sha256": test.digest}
    assert metrics["updates"] == load_tensors(run.weights).step == 9
    assert metrics["weights_sha256"] == sha256(run.weights)
    rows = read_scores(run.path / "per_image.csv")
    assert [(row.method, row.image) for row in rows] == [
        (method, photo.name) for method in ("network", "network, true L") for photo in test
    ]
    pooled = {summary.method: summary for summary in summarize(rows, reference=None)}
    for method, found in metrics["methods"].items():
        assert found["mse"] == pytest.approx(asdict(pooled[method].mse), rel=1e-11)
        assert "psnr_gain" not in found


def test_baselines_are_fitted_at_home_and_scored_elsewhere(run: Run, photos: Path, tmp_path: Path):
    own, elsewhere = f"folder:{photos}", f"folder:{make_photos(tmp_path / 'elsewhere')}"
    for other, split in ((own, "val"), (elsewhere, "test")):
        for _ in score_baselines(run.path, photos=other, split=split):
            pass
        rows = read_scores(baselines_file(run.path, other, split, own=own))
        expected = [score for each in score(baseline_methods(own), open_photos(other, split)) for score in each]
        assert [(row.method, row.image) for row in rows] == [
            (method, photo.name) for method in BASELINES for photo in open_photos(other, split)
        ]
        assert {(row.method, row.image): row.mse for row in rows} == {
            (row.method, row.image): row.mse for row in expected
        }
    assert not run.weights.with_name("per_image.csv").is_file()


def test_other_splits_and_photographs_are_scored_into_files_of_their_own(run: Run, photos: Path, tmp_path: Path):
    for _ in score_run(run.path, device=CPU):
        pass
    before = (run.path / "metrics.json").read_bytes()
    own, elsewhere = f"folder:{photos}", f"folder:{make_photos(tmp_path / 'elsewhere')}"
    for other, split in ((own, "val"), (elsewhere, "test")):
        for _ in score_run(run.path, photos=other, split=split, device=CPU):
            pass
        metrics, per_image = score_files(run.path, other, split, own=own)
        assert json.loads(metrics.read_text())["photos"]["source"] == other
        assert {row.image for row in read_scores(per_image)} == set(open_photos(other, split).names)
    assert (run.path / "metrics.json").read_bytes() == before


def test_an_unfinished_run_is_not_scored(run: Run):
    run.weights.unlink()
    with pytest.raises(ValueError, match=r"weights\.safetensors") as refused:
        next(score_run(run.path, device=CPU))
    assert str(run.path) in str(refused.value)


def test_rebuilt_metrics_have_the_same_bytes(run: Run):
    for _ in score_run(run.path, device=CPU):
        pass
    metrics = run.path / "metrics.json"
    before = metrics.read_bytes()
    assert rebuild_metrics(run.path) == metrics
    assert metrics.read_bytes() == before
    metrics.write_text(json.dumps(json.loads(before) | {"methods": {}, "updates": 0}))
    rebuild_metrics(run.path)
    assert metrics.read_bytes() == before


def test_infinite_metrics_are_null_in_json(run: Run, tmp_path: Path):
    rows = [row(i, "network", 0.0, chroma=0.0, truth_colorfulness=0.0) for i in range(3)]
    (run.path / "per_image.csv").write_text(csv_text([asdict(found) for found in rows]))
    photos = {"source": "bundled", "split": "test", "count": 3}
    (run.path / "metrics.json").write_text(json.dumps({"photos": photos, "methods": {}}))
    found = json.loads(rebuild_metrics(run.path).read_text())
    assert found["photos"] == photos
    assert found["methods"]["network"]["psnr_of_mse"] == {"value": None, "low": None, "high": None}
    assert found["methods"]["network"]["mse"]["value"] == 0


def test_both_methods_of_a_run_cost_one_forward_pass(run: Run):
    methods = network_methods(run.path, CPU)
    passes = []
    methods["network"].colorize.network.register_forward_hook(lambda *_: passes.append(1))
    for seed in (1, 2):
        light = lightness(torch.from_numpy(smooth(12, 12, seed).transpose(2, 0, 1).copy()))[None]
        raw, true_lightness = (colorize(light) for colorize in methods.values())
        assert torch.equal(true_lightness, adjust_lab(raw, light=light))
    assert len(passes) == 2


def test_losses_of_baselines_are_their_errors_on_the_validation_crops(photos: Path):
    validation = open_photos(f"folder:{photos}", "val")
    crops = center_crops(validation.decode(), validation.names, 16)
    losses = baseline_losses(f"folder:{photos}", 16)
    assert list(losses) == list(BASELINES)
    for name, colorize in baseline_methods(f"folder:{photos}").items():
        error = (colorize(lightness(crops)).double() - crops.double() / 255).square().mean().item()
        assert losses[name] == pytest.approx(error, rel=1e-6)
    assert losses["look-up table"] < losses["gray"]


EMULATED = {
    "this machine": {},
    "one thread": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    "no AVX": {
        "ATEN_CPU_CAPABILITY": "default",
        "OPENBLAS_CORETYPE": "Prescott",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
    },
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_CORETYPE": "Nehalem"},
}


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="emulates processors of the x86-64 family")
def test_pooled_scores_have_equal_bytes_on_every_processor():
    pool = (
        "import hashlib, json, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from dataclasses import asdict\n"
        "from pathlib import Path\n"
        "from colorlib.evaluate import read_scores, summarize\n"
        "rows = read_scores(Path(sys.argv[1]))\n"
        "text = json.dumps([asdict(summary) for summary in summarize(rows, reference='gray')])\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    scores = PROJECT / "results" / "cpu" / "per_image.csv"
    found = {
        name: subprocess.run(
            [sys.executable, "-c", pool, str(scores)],
            env=os.environ | changed,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name, changed in EMULATED.items()
    }
    assert len(set(found.values())) == 1, found


def test_a_table_of_scores_with_rows_longer_than_its_header_is_named(tmp_path: Path):
    path = tmp_path / "per_image.csv"
    path.write_text("image,method\na.png,gray,0.5,20\n")
    with pytest.raises(ValueError, match=r"per_image\.csv has the columns image, method; expected"):
        read_scores(path)
