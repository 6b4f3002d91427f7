"""pixels.csv: what is measured of each photograph, and that it is of the weights and faces that are there."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.pictures import encoded, smooth
from helpers.training import run_record

from colorlib.color import gray_rgb
from colorlib.companion.claims import from_pixels
from colorlib.companion.claims.from_pixels import (
    FACE,
    FROM_FEATURES,
    PHOTOGRAPH,
    PREDICTED,
    TRUTH,
    PixelMeasures,
    PixelRow,
)
from colorlib.companion.claims.photo_measures import Box, detect_faces
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.steps import FACES, files
from colorlib.evaluate import NETWORK
from colorlib.features import Lite0
from colorlib.files import sha256
from colorlib.model import NETWORKS
from colorlib.photos import open_photos
from colorlib.photos.download import PhotosMissingError
from colorlib.profiles import Profile
from colorlib.runs import Run
from colorlib.targets import RGB

SIDE = 40
FACE_BOX = Box(left=8, top=8, width=10, height=10)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of photographs in all three splits, by name."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(30):
        (folder / f"{number:02d}.png").write_bytes(encoded(smooth(SIDE, SIDE, seed=number)))
    name = f"folder:{folder}"
    assert all(len(open_photos(name, split)) for split in ("train", "val", "test"))
    return name


@pytest.fixture(scope="module")
def training(photos: str) -> from_pixels.Training:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Lite0().eval()
    return from_pixels.fit_training(photos, network)


@pytest.fixture
def profile(photos: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """A profile with an untrained run, a list of faces, and no trained features."""
    faces = tmp_path / "faces.csv"
    first, second = (photo.name for photo in (open_photos(photos, "test")[0], open_photos(photos, "val")[0]))
    rows = [
        (photos, first, 8, 8, 10, 10, "yes"),
        (photos, second, 8, 8, 10, 10, "yes"),
        (photos, first, 0, 0, 30, 30, "no"),
    ]
    with faces.open("w", newline="") as file:
        csv.writer(file).writerows([("photos", "photograph", "left", "top", "width", "height", "face"), *rows])
    found = Profile(name="tiny", settings={"photos": photos}, seeds=(0,), root=tmp_path)
    run = Run(found.run(0))
    run.write_record(run_record(config={"target": "rgb", "network": "encoder-decoder"}))
    run.write_weights(NETWORKS["encoder-decoder"](RGB.head).state_dict(), step=1)
    monkeypatch.setattr(from_pixels, "FACES", faces)
    monkeypatch.setattr(from_pixels.read_faces, "__defaults__", (faces,))
    monkeypatch.setattr(from_pixels, "load_lite0", lambda: Lite0().eval())
    monkeypatch.setenv("COLORLIB_CACHE", str(tmp_path / "cache"))
    return found


def measured(photos: str, training: from_pixels.Training, faces: list[Box], **options: bool) -> PixelMeasures:
    photo = open_photos(photos, "test")[0]
    truth = torch.from_numpy(photo.load()).permute(2, 0, 1).unsqueeze(0) / 255.0
    networks = {0: lambda light: truth, 1: gray_rgb}
    rows = from_pixels.measure_photo(photo, faces, training, networks, **{"faces_only": False} | options)
    return PixelMeasures(rows)


def one(values: dict[str, float]) -> float:
    (value,) = values.values()
    return value


def test_every_measure_is_taken_of_every_method(photos: str, training: from_pixels.Training):
    found = measured(photos, training, [FACE_BOX])
    skin = {measure for measure in FACE if "skin" in measure}
    assert {row.measure for row in found.rows if row.method == PHOTOGRAPH} == {*TRUTH, *skin}
    for method in ("gray", "mean chroma", "look-up table", NETWORK):
        assert {row.measure for row in found.rows if row.method == method} == {*PREDICTED, *FACE}
    assert found.seeds == [0, 1]
    assert len({(row.measure, row.method, row.seed) for row in found.rows}) == len(found.rows)


def test_a_perfect_prediction_and_a_gray_one(photos: str, training: from_pixels.Training):
    found = measured(photos, training, [FACE_BOX])

    def of(measure: str, seed: int) -> float:
        return one(found.of(measure, NETWORK, seed))

    for band in from_pixels.BANDS:
        assert of(f"ab covariance {band}", 0) == of(f"ab energy {band}", 0) == one(found.of(f"ab energy {band}"))
        assert of(f"ab energy {band}", 1) == pytest.approx(0.0, abs=1e-3)
    assert (of("ab histogram overlap", 0), of("ab histogram divergence", 0)) == (1.0, 0.0)
    assert (of("ΔE00 in faces", 0), of("PSNR in faces", 0)) == (0.0, np.inf)
    assert of("a of skin", 0) == one(found.of("a of skin"))
    assert of("a of skin", 1) == pytest.approx(0.0, abs=0.1)
    for third in (from_pixels.AMBIGUOUS, from_pixels.UNAMBIGUOUS):
        assert of(f"ab error{third}", 0) == 0.0
        assert of(f"ab error{third}", 1) == pytest.approx(one(found.of(f"chroma{third}")), abs=0.1)
    assert one(found.of(f"ambiguity{from_pixels.AMBIGUOUS}")) > one(found.of(f"ambiguity{from_pixels.UNAMBIGUOUS}"))


def test_photographs_of_faces_alone_have_no_other_measures(photos: str, training: from_pixels.Training):
    assert {row.measure for row in measured(photos, training, [FACE_BOX], faces_only=True).rows} == set(FACE)
    assert not {row.measure for row in measured(photos, training, []).rows} & set(FACE)


def test_without_the_network_of_features_only_its_measures_are_missing(photos: str, training: from_pixels.Training):
    found = measured(photos, replace(training, network=None), [])
    assert {row.measure for row in found.rows if row.method == PHOTOGRAPH} == set(TRUTH) - set(FROM_FEATURES)


@pytest.mark.slow
def test_the_files_have_all_photographs_and_predictions_are_computed_once(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
):
    *_, last = from_pixels.measure_pixels(profile, device=torch.device("cpu"))
    test = open_photos(profile.photos, "test")
    assert last == (len(test) + 1, len(test) + 1)
    found = from_pixels.read_pixels(Results(profile))
    assert list(found.of("ab histogram overlap", NETWORK, 0)) == test.names
    assert list(found.of("ΔE00 in faces", NETWORK, 0)) == [test.names[0], open_photos(profile.photos, "val").names[0]]
    table, metadata = files(profile, "pixels")
    text, record = table.read_bytes(), json.loads(metadata.read_text())
    assert record["weights_sha256"] == {"0": sha256(Run(profile.run(0)).weights)}
    # Once more, with a network that must not be called
    monkeypatch.setattr(from_pixels, "load_run", lambda path, device: None)
    measures = list(from_pixels.measure_pixels(profile, device=torch.device("cpu")))
    assert measures[0] == (0, len(test) + 1)
    assert table.read_bytes().count(b"\n") == text.count(b"\n")


@pytest.mark.slow
def test_measures_of_other_weights_or_faces_are_refused(profile: Profile):
    with pytest.raises(NotMeasuredError, match="make pixels PROFILE=tiny"):
        from_pixels.read_pixels(Results(profile))
    for _ in from_pixels.measure_pixels(profile, device=torch.device("cpu")):
        pass
    faces = from_pixels.FACES
    kept = faces.read_bytes()
    faces.write_bytes(kept.replace(b",no", b",yes"))
    with pytest.raises(ValueError, match=r"faces\.csv"):
        from_pixels.read_pixels(Results(profile))
    faces.write_bytes(kept)
    Run(profile.run(0)).write_weights(NETWORKS["encoder-decoder"](RGB.head).state_dict(), step=2)
    with pytest.raises(ValueError, match=r"weights\.safetensors"):
        from_pixels.read_pixels(Results(profile))


def test_a_measure_that_was_not_taken_is_named(photos: str, training: from_pixels.Training):
    with pytest.raises(ValueError, match="'novelty' of 'gray'"):
        measured(photos, training, []).of("novelty", "gray")


def test_kinds_of_photographs():
    def row(measure: str, photograph: str, value: float) -> PixelRow:
        return PixelRow(measure=measure, method=PHOTOGRAPH, seed=None, photograph=photograph, value=value)

    probabilities = {"face": (0.9, 0.0), "cat": (0.8, 0.1), "alp": (0.2, 0.7), "house": (0.4, 0.3)}
    rows = [row("a of skin", "face", 10.0), row("a of skin", "val/face", 10.0)]
    for photo, (animal, landform) in probabilities.items():
        rows += [row(from_pixels.ANIMAL, photo, animal), row(from_pixels.LANDFORM, photo, landform)]
    assert from_pixels.kinds(PixelMeasures(rows)) == {
        "face": "people", "cat": "animals", "alp": "landforms", "house": "others",
    }  # fmt: skip


# Faces


def test_false_detections_are_no_faces(profile: Profile):
    faces = from_pixels.read_faces(profile.photos)
    assert list(faces.values()) == [[FACE_BOX], [FACE_BOX]]
    assert from_pixels.read_faces("other photographs") == {}


def test_a_detection_without_a_verdict_is_refused(profile: Profile):
    path = from_pixels.FACES
    path.write_text(path.read_text().replace(",no", ",perhaps"))
    with pytest.raises(ValueError, match=r"faces\.csv, line 4.*perhaps"):
        from_pixels.read_faces(profile.photos)


def test_the_committed_list_has_faces_inside_test_and_validation_photographs():
    faces = from_pixels.read_faces("bsds500")
    assert {name.split("/")[0] for name in faces} == {"test", "val"}
    assert sum(map(len, faces.values())) > 50
    text = FACES.read_text(encoding="utf-8")
    assert text.count(",no\n") + text.count(",yes\n") == len(text.splitlines()) - 1


@pytest.mark.slow
def test_the_committed_list_is_what_the_detector_finds():
    pytest.importorskip("cv2")
    with FACES.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        photos = open_photos("bsds500", "test")[::20]
    except PhotosMissingError:
        pytest.skip("bsds500 is not on this machine")
    for photo in photos:
        listed = [
            Box(**{side: int(row[side]) for side in Box.__dataclass_fields__})
            for row in rows
            if row["photograph"] == photo.name
        ]
        assert set(detect_faces(photo.load())) == set(listed)
