"""The table of data sets: errors side by side, compared with the paper's, and missing scores."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from helpers.results import BASELINES, scores, write_history, write_per_image

from colorlib.companion import paper
from colorlib.companion.artifacts import datasets
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.steps import PRIMARY, cross_dataset_scores, files
from colorlib.files import write_json, write_text
from colorlib.photos import open_photos
from colorlib.photos.decode import decode_file
from colorlib.profiles import Profile, load_profile
from colorlib.runs import csv_text, score_files

WEIGHTS = (0.9, 1.0, 1.1)
OTHERS = {"paper-cifar10": 0.0040, "bundled": 0.0120}
"""Another profile -> the error of the network that was trained on its photographs."""
CROSS_DATASET = 0.0100


def write_profile(profile: Profile, error: float, *, of: int | None = None) -> None:
    networks = {
        seed: {"network": [error * (1 + 0.01 * seed) * weight for weight in WEIGHTS],
               "network, true L": [error / 2 * weight for weight in WEIGHTS]}
        for seed in profile.seeds
    }  # fmt: skip
    baselines = {name: [value * weight for weight in WEIGHTS] for name, value in BASELINES.items()}
    write_per_image(profile, baselines, networks, of=of)


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """Two seeds of the primary profile, and two other data sets that both were scored on."""
    profile = load_profile(PRIMARY, seeds=(0, 1), root=tmp_path)
    write_profile(profile, 0.0060)
    for name, error in OTHERS.items():
        other = load_profile(name, root=tmp_path)
        write_profile(other, error, of=10_000 if name == "paper-cifar10" else None)
        for seed in profile.seeds:
            rows = scores("network", [CROSS_DATASET * weight for weight in WEIGHTS])
            write_text(cross_dataset_scores(profile, other, seed), csv_text([asdict(row) for row in rows]))
    return profile


def test_a_row_for_each_data_set_with_errors_side_by_side(profile: Profile):
    table, _ = datasets.write(Results(profile))
    rows = table.cells()
    names = [row[0][0] for row in rows]
    for name, facts in zip(names, (("bsds500", "10,000"), ("cifar10", "10,000"), ("bundled", " 1,000 ")), strict=True):
        assert all(fact in name for fact in facts)
    assert [row[-2][0] for row in rows] == ["0.0060", "0.0040", "0.0120"]
    assert "bsds500" in table.heads[-1]
    assert [row[-1] == ("–", "") for row in rows] == [True, False, False]
    for row in rows[1:]:
        value, interval = row[-1]
        assert value == "0.0100"
        assert interval.startswith("[")
    gray = table.heads.index("gray")
    assert {row[gray][0] for row in rows} == {"0.0098"}


def test_sentences_compare_with_the_papers_error(profile: Profile):
    own, thumbnails, bundled = datasets.comparisons(datasets.error_rows(Results(profile)))
    for sentence, error in ((own, 0.00603), (bundled, 0.0120)):
        assert f"{error / paper.MSE:.2f} times" in sentence
        assert str(paper.MSE) in sentence
    assert " times" not in thumbnails
    assert ["interval" in sentence for sentence in (own, thumbnails, bundled)] == [False, True, False]


def test_files_name_the_photographs_and_are_the_same_twice(profile: Profile):
    table, figure = datasets.write(Results(profile))
    written = files(profile, "datasets")
    first = [path.read_bytes() for path in written]
    datasets.write(Results(profile))
    assert [path.read_bytes() for path in written] == first
    assert figure.path == written[2]
    text = written[1].read_text(encoding="utf-8")
    assert re.search(r"\b3 test [^;]*\bbsds500;.* 3 of (the )?10,000 test [^;]*\bcifar10\b", text)
    assert decode_file(figure.path).shape[1] > 900
    assert re.search(r"cifar10\b[^.]*\b10,000\b[^.]*\b0\.0040\b", figure.alt)
    assert len(pd.read_csv(written[0])) == 3 * 4 + 2
    assert datasets.as_table(pd.read_csv(written[0]), profile).markdown() == table.markdown() == text


def test_missing_scores_are_named_with_their_command(profile: Profile):
    other = load_profile("bundled", root=profile.root)
    cross_dataset_scores(profile, other, 1).unlink()
    with pytest.raises(ValueError, match="`colorlib evaluate results/paper/seed-1 --photos bundled`"):
        datasets.error_rows(Results(profile))


def test_the_overview_has_a_row_for_each_split():
    table = datasets.overview("bundled")
    assert list(table.data["split"]) == ["train", "val", "test"]
    for row in table.data.to_dict("records"):
        photos = open_photos("bundled", row["split"])
        assert row["photographs"] == len(photos)
        assert photos.digest.startswith(row["sha256"])
        assert row["megapixels"] == pytest.approx(sum(p.shape[0] * p.shape[1] for p in photos.decode()) / 1e6, abs=0.05)
    assert "bundled" in table.caption
    assert open_photos("bundled", "train").terms in table.caption
    json.dumps(table.data.to_dict("records"))


# Trained on each source, scored on each


def write_point(profile: Profile, point: str, seed: int, psnr: dict[str, float], photos: str = "bsds500") -> None:
    """Write a finished point of the sweep, scored on some sources."""
    folder = profile.sweep("train_test") / f"{point}-{seed}"
    record = {"point": point, "seed": seed, "parameters": {"photos": photos}}
    write_json(folder / "point.json", record)
    write_history(folder, 2, 0.02)
    for source, value in psnr.items():
        estimate = {"value": value, "low": value - 1, "high": value + 1}
        values = dict.fromkeys(("mse", "psnr_of_mse", "mean_psnr", "ssim", "delta_e00", "colorfulness"), estimate)
        content = {
            "photos": {"source": source, "split": "test", "count": 2},
            "methods": {"network": {"images": 2, "truth_colorfulness": 30.0, **values}},
        }
        write_json(score_files(folder, source, "test", own=photos)[0], content)


def test_points_are_rows_and_test_sets_columns(profile: Profile):
    for seed, gain in ((0, 0.0), (1, 0.5)):
        write_point(profile, "bsds500, U-Net", seed, {"bsds500": 21.0 + gain, "cifar10": 22.0})
    write_point(profile, "cifar10, U-Net", 0, {"bsds500": 20.0}, photos="cifar10")
    table = datasets.train_test_table(profile)
    rows = {row[0][0]: [" ".join(filter(None, cell)) for cell in row[1:]] for row in table.cells()}
    assert rows["bsds500, U-Net"] == ["2", "21.25 ± 0.35", "–", "22.00 ± 0.00", "–"]
    assert rows["cifar10, U-Net"] == ["1", "20.00", "–", "–", "–"]


def test_a_sweep_that_was_not_run_is_named(profile: Profile):
    with pytest.raises(NotMeasuredError, match="SWEEP=train_test"):
        datasets.train_test_table(profile)
