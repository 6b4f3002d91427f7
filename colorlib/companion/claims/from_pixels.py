"""Measures of pixels that decide claims: for each photograph, method and seed one number.

```
results/<profile>/pixels.csv     measure, method, seed, photograph, value: see `TRUTH`, `PREDICTED` and `FACE`
results/<profile>/pixels.json    hashes of the photographs, weights and lists that were measured
```

The photographs are the test split and, for faces alone, the validation photographs with a face, on which no network was
trained either. `photo_measures` defines the measures.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from colorlib.color import lightness, to_bytes
from colorlib.colorizers import Colorize, load_run
from colorlib.companion.claims import photo_measures as measures
from colorlib.companion.claims.photo_measures import BANDS, FINE, Box, Image
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.steps import FACES, files
from colorlib.evaluate import NETWORK, baseline_methods, scored_photos
from colorlib.features import WEIGHTS_SHA256, Lite0, load_lite0
from colorlib.files import (
    read_json,
    round_floats,
    sha256,
    sha256_of_names,
    unchanged,
    write_json,
    write_text,
    write_with,
)
from colorlib.photos import PhotoSet, open_photos
from colorlib.photos.decode import Photo, Pixels
from colorlib.photos.download import cache_folder
from colorlib.profiles import Profile
from colorlib.provenance import source_digest
from colorlib.runs import Run, csv_text

PHOTOGRAPH = "photograph"
"""Method of the measures of a photograph itself."""
IN_TEXTURE = ", in texture"
AMBIGUOUS, UNAMBIGUOUS = " where ambiguous", " where unambiguous"
"""Thirds of a photograph's drawn pixels, by how far the colors of similar gray patches lie apart."""
NOVELTY, RARITY = "novelty", "rarity of colors"
"""Distance from the training photographs: of the gray picture's features, and of the colors, in bits."""
ANIMAL, LANDFORM = "probability of an animal", "probability of a landform"
"""As EfficientNet-Lite0 sees the photograph."""
DETAIL = "detail of L"
FROM_FEATURES = (NOVELTY, ANIMAL, LANDFORM)
"""Measures that need the weights of EfficientNet-Lite0."""
TRUTH = (
    *(f"ab energy {band}" for band in BANDS),
    *(f"ab energy {band}{IN_TEXTURE}" for band in FINE),
    *(f"{name}{third}" for name in ("ambiguity", "chroma") for third in (AMBIGUOUS, UNAMBIGUOUS)),
    NOVELTY, RARITY, ANIMAL, LANDFORM, DETAIL,
)  # fmt: skip
"""Measures of a photograph."""
PREDICTED = (
    *(f"ab {kind} {band}" for kind in ("energy", "covariance") for band in BANDS),
    *(f"ab {kind} {band}{IN_TEXTURE}" for kind in ("energy", "covariance") for band in FINE),
    "ab histogram overlap", "ab histogram divergence",
    *(f"{name}{third}" for name in ("ab error", "chroma") for third in (AMBIGUOUS, UNAMBIGUOUS)),
)  # fmt: skip
"""Measures of a prediction: covariances, overlaps, divergences (bits) and errors are with the photograph."""
FACE = ("PSNR in faces", "PSNR outside faces", "ΔE00 in faces", "ΔE00 outside faces", "a of skin", "b of skin")
"""Measures of a prediction of a photograph with faces; a and b of skin are measures of the photograph too."""


@dataclass(frozen=True, kw_only=True)
class PixelRow:
    """A row of pixels.csv."""

    measure: str
    method: str
    seed: int | None
    """Seed of the run; None for baselines and photographs."""
    photograph: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Training:
    """What the training photographs are needed for."""

    baselines: Mapping[str, Colorize]
    patches: measures.PatchColors
    histogram: Image
    """Mean `ab_histogram`."""
    network: Lite0 | None
    """None leaves out the measures `FROM_FEATURES`."""
    features: torch.Tensor
    """Features of the gray pictures, `(photographs, 1280)`."""


def fit_training(photos: str, network: Lite0 | None) -> Training:
    """Fit baselines to the training split of `photos`, and compute its patches, histogram and features."""
    training = open_photos(photos, "train").decode()
    found = [measures.features_of(network, pixels, gray=True) for pixels in training] if network else []
    return Training(
        baselines=baseline_methods(photos),
        patches=measures.fit_patch_colors(training),
        histogram=np.mean([measures.ab_histogram(measures.lab_of(pixels)[1:]) for pixels in training], axis=0),
        network=network,
        features=torch.stack(found) if found else torch.empty(0),
    )


class MeasuredPhoto:
    """A photograph with all that its predictions are compared with, each computed once."""

    def __init__(self, photo: Photo, faces: Sequence[Box], training: Training) -> None:
        self.photo, self.faces, self.training = photo, faces, training
        self.pixels = photo.load()
        self.lab = measures.lab_of(self.pixels)

    @cached_property
    def bands(self) -> dict[str, Image]:
        """Bands of a and b by name."""
        return _bands(self.lab)

    @cached_property
    def texture(self) -> NDArray[np.bool_]:
        """Pixels in texture, `(H, W)`."""
        return measures.texture(self.lab[0])

    @cached_property
    def histogram(self) -> Image:
        """`ab_histogram`."""
        return measures.ab_histogram(self.lab[1:])

    @cached_property
    def thirds(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Pixels, `(2, N)`, and their ambiguity, `(N,)`: those where the gray patch leaves most and least open."""
        height, width = self.lab.shape[1:]
        number = int(self.photo.digest[:8], 16)
        places = measures.drawn_pixels(height, width, measures.SEARCHED_PIXELS, "ambiguity", number)
        spreads = self.training.patches.ambiguity(measures.patches_at(self.lab[0], places))
        most, least = measures.thirds(spreads)
        return {AMBIGUOUS: (places[:, most], spreads[most]), UNAMBIGUOUS: (places[:, least], spreads[least])}

    @cached_property
    def regions(self) -> dict[str, NDArray[np.bool_]]:
        """Regions of faces, skin and neither."""
        return measures.face_regions(self.faces, *self.lab.shape[1:])

    def own(self) -> dict[str, float]:
        """Return the measures `TRUTH` of the photograph, less `FROM_FEATURES` without a network."""
        found = _energies(self.bands, self.bands, self.texture, "energy")
        for third, (places, spreads) in self.thirds.items():
            found |= {f"ambiguity{third}": float(spreads.mean()), f"chroma{third}": _chroma(self.lab, places)}
        found |= {RARITY: measures.rarity(self.histogram, self.training.histogram)}
        found |= {DETAIL: measures.detail_energy(self.lab[0])}
        if self.training.network:
            of_gray, of_color = (
                measures.features_of(self.training.network, self.pixels, gray=gray) for gray in (True, False)
            )
            found[NOVELTY] = measures.novelty(of_gray, self.training.features)
            with torch.no_grad():
                classes = self.training.network.probabilities(of_color.unsqueeze(0))[0].double()
            found |= {ANIMAL: float(classes[measures.ANIMALS].sum())}
            found |= {LANDFORM: float(classes[measures.LANDFORMS].sum())}
        return found

    def predicted(self, prediction: Pixels) -> dict[str, float]:
        """Return the measures `PREDICTED` of a prediction, `(H, W, 3)` uint8."""
        lab = measures.lab_of(prediction)
        bands, histogram = _bands(lab), measures.ab_histogram(lab[1:])
        found = _energies(bands, bands, self.texture, "energy")
        found |= _energies(bands, self.bands, self.texture, "covariance")
        found["ab histogram overlap"] = measures.overlap(histogram, self.histogram)
        found["ab histogram divergence"] = measures.jensen_shannon(histogram, self.histogram)
        for third, (places, _) in self.thirds.items():
            found[f"ab error{third}"] = _chroma(lab - self.lab, places)
            found[f"chroma{third}"] = _chroma(lab, places)
        return found

    def skin(self, lab: Image) -> dict[str, float]:
        """Return the mean color of skin in a picture of this photograph."""
        return {f"{axis} of skin": measures.mean_where(lab[number], self.regions["skin"])
                for number, axis in ((1, "a"), (2, "b"))}  # fmt: skip

    def of_faces(self, prediction: Pixels) -> dict[str, float]:
        """Return the measures `FACE` of a prediction, `(H, W, 3)` uint8."""
        lab = measures.lab_of(prediction)
        found = self.skin(lab)
        for name, region in (("in", "faces"), ("outside", "outside")):
            where = self.regions[region]
            found[f"PSNR {name} faces"] = measures.psnr_where(prediction, self.pixels, where)
            found[f"ΔE00 {name} faces"] = measures.delta_e00_where(lab, self.lab, where)
        return found


def _bands(lab: Image) -> dict[str, Image]:
    return dict(zip(BANDS, measures.split_bands(lab[1:]), strict=True))


def _energies(
    one: Mapping[str, Image], other: Mapping[str, Image], texture: NDArray[np.bool_], kind: str
) -> dict[str, float]:
    found = {f"ab {kind} {band}": measures.products(one[band], other[band]) for band in BANDS}
    return found | {
        f"ab {kind} {band}{IN_TEXTURE}": measures.products(one[band], other[band], texture) for band in FINE
    }


def _chroma(lab: Image, places: NDArray[np.int64]) -> float:
    """Return the mean length of (a, b) at some pixels, `(2, N)`."""
    return float(np.hypot(*lab[1:, places[0], places[1]]).mean())


def measure_photo(
    photo: Photo, faces: Sequence[Box], training: Training, networks: Mapping[int, Colorize], *, faces_only: bool
) -> list[PixelRow]:
    """Return all rows of one photograph: of itself, of the baselines and of the networks by seed.

    Args:
        photo: the photograph.
        faces: its faces, if there are any.
        training: what its measures are compared with.
        networks: colorizers of the runs by seed.
        faces_only: leave out all but the measures of faces.
    """
    measured = MeasuredPhoto(photo, faces, training)
    light = lightness(torch.from_numpy(measured.pixels).permute(2, 0, 1)).unsqueeze(0)
    found: list[tuple[str, int | None, dict[str, float]]] = []
    # Measure the photograph
    found.append((PHOTOGRAPH, None, {} if faces_only else measured.own()))
    found += [(PHOTOGRAPH, None, measured.skin(measured.lab))] if faces else []
    # Measure the predictions, rounded to 8 bits
    colorizers: dict[tuple[str, int | None], Colorize] = {
        **{(name, None): colorize for name, colorize in training.baselines.items()},
        **{(NETWORK, seed): colorize for seed, colorize in networks.items()},
    }
    for (method, seed), colorize in colorizers.items():
        prediction = to_bytes(colorize(light)[0]).permute(1, 2, 0).numpy()
        found.append((method, seed, {} if faces_only else measured.predicted(prediction)))
        found += [(method, seed, measured.of_faces(prediction))] if faces else []
    return [
        PixelRow(measure=measure, method=method, seed=seed, photograph=photo.name, value=value)
        for method, seed, values in found
        for measure, value in values.items()
    ]


# Faces


def read_faces(photos: str, path: Path = FACES) -> dict[str, list[Box]]:
    """Return the faces of each photograph in paper/faces.csv, without the detections that are marked as false.

    Raises:
        ValueError: a row is marked neither `yes` nor `no`; the message names file and line.
    """
    faces: dict[str, list[Box]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            if row["face"] not in ("yes", "no"):
                raise ValueError(f"{path}, line {number}: face is {row['face']!r}; write yes or no")
            if row["photos"] == photos and row["face"] == "yes":
                box = Box(**{side: int(row[side]) for side in Box.__dataclass_fields__})
                faces.setdefault(row["photograph"], []).append(box)
    return faces


# The files


def measured_photos(profile: Profile) -> tuple[PhotoSet, PhotoSet]:
    """Return the photographs that are measured: the test split, and the validation photographs with faces."""
    faces, validation = read_faces(profile.photos), open_photos(profile.photos, "val")
    with_faces = tuple(photo for photo in validation if photo.name in faces)
    return scored_photos(profile.photos), PhotoSet(
        source=validation.source, split="val", photos=with_faces, terms=validation.terms, split_size=len(validation)
    )


def measure_pixels(profile: Profile, *, device: torch.device) -> Iterator[tuple[int, int]]:
    """Measure all photographs and write pixels.csv and pixels.json.

    Predictions are kept in the cache folder, so an interrupted call repeats none of them.

    Args:
        profile: its runs are measured.
        device: device of the networks.

    Yields:
        The number of measured photographs, and of all; first 0, so that a progress bar can start.

    Raises:
        ValueError: photographs or the weights of EfficientNet-Lite0 are missing, or a run is not finished.
    """
    # Fit baselines and load networks
    record = pixels_record(profile)
    test, validation = measured_photos(profile)
    total = len(test) + len(validation)
    yield 0, total
    training, faces = fit_training(profile.photos, load_lite0()), read_faces(profile.photos)
    runs = {seed: Run(profile.run(seed)) for seed in profile.seeds}
    networks = {seed: (load_run(run.path, device=device), _predictions(run)) for seed, run in runs.items()}
    # Measure
    rows: list[PixelRow] = []
    for done, photo in enumerate((*test, *validation), start=1):
        kept = {
            seed: _KeptPrediction(colorize, folder / f"{photo.digest}.npy")
            for seed, (colorize, folder) in networks.items()
        }
        rows += measure_photo(photo, faces.get(photo.name, ()), training, kept, faces_only=done > len(test))
        yield done, total
    # Write
    table, metadata = files(profile, "pixels")
    write_text(
        table, csv_text([{**asdict(row), "seed": "" if row.seed is None else row.seed} for row in _ordered(rows)])
    )
    write_json(metadata, record)


def _ordered(rows: Sequence[PixelRow]) -> list[PixelRow]:
    """Return the rows sorted by measure, method and seed, photographs in their order; values rounded."""
    order = {name: number for number, name in enumerate(dict.fromkeys((*TRUTH, *PREDICTED, *FACE)))}
    methods = {name: number for number, name in enumerate(dict.fromkeys(row.method for row in rows))}
    ranked = sorted(rows, key=lambda row: (order[row.measure], methods[row.method], row.seed or 0))
    return [PixelRow(**{**asdict(row), "value": round_floats(row.value)}) for row in ranked]


def _predictions(run: Run) -> Path:
    """Return the cache folder of a run's predictions, whose name depends on its weights and on the code."""
    key = sha256_of_names([("weights", sha256(run.weights)), ("code", source_digest("colorlib.colorizers"))])
    return cache_folder() / "predictions" / key[:32]


class _KeptPrediction:
    """The prediction of one photograph as a `Colorize`, read from a file if it was computed before."""

    def __init__(self, colorize: Colorize, path: Path) -> None:
        self.colorize, self.path = colorize, path

    def __call__(self, light: torch.Tensor) -> torch.Tensor:
        try:
            kept = np.load(self.path, allow_pickle=False)
        except (OSError, ValueError, EOFError):  # not there, or cut short
            kept = to_bytes(self.colorize(light)[0]).numpy()
            write_with(self.path, lambda file: np.save(file, kept))
        return torch.from_numpy(kept).unsqueeze(0).float() / 255.0


RECORD = {
    "photos": list,
    "trained_on": {"source": str, "sha256": str},
    "faces_sha256": str,
    "features_sha256": str,
    "weights_sha256": dict,
}
"""Fields of pixels.json (`pixels_record`)."""


def pixels_record(profile: Profile) -> dict[str, Any]:
    """Return the content of pixels.json: what the measures were computed from.

    Raises:
        ValueError: photographs are missing, or a run is not finished.
    """
    test, validation = measured_photos(profile)
    for seed in profile.seeds:
        if not Run(profile.run(seed)).weights.is_file():
            raise ValueError(f"{profile.run(seed)} is not finished; `make reproduce PROFILE={profile.name}` trains it")
    return {
        "photos": [
            {"source": photos.source, "split": photos.split, "count": len(photos), "sha256": photos.digest}
            for photos in (test, validation)
        ],
        "trained_on": {"source": profile.photos, "sha256": open_photos(profile.photos, "train").digest},
        "faces_sha256": sha256(FACES),
        "features_sha256": WEIGHTS_SHA256,
        "weights_sha256": {str(seed): sha256(Run(profile.run(seed)).weights) for seed in profile.seeds},
    }


def read_rows(path: Path) -> list[PixelRow]:
    """Return the rows of a pixels.csv."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            PixelRow(
                measure=row["measure"],
                method=row["method"],
                seed=int(row["seed"]) if row["seed"] else None,
                photograph=row["photograph"],
                value=float(row["value"]),
            )
            for row in csv.DictReader(file)
        ]


@dataclass(frozen=True)
class PixelMeasures:
    """The measures of a profile's pixels.csv."""

    rows: Sequence[PixelRow]

    @cached_property
    def _grouped(self) -> dict[tuple[str, str, int | None], dict[str, float]]:
        grouped: dict[tuple[str, str, int | None], dict[str, float]] = {}
        for row in self.rows:
            grouped.setdefault((row.measure, row.method, row.seed), {})[row.photograph] = row.value
        return grouped

    @property
    def seeds(self) -> list[int]:
        """Seeds of the runs that were measured."""
        return sorted({seed for _, _, seed in self._grouped if seed is not None})

    def of(self, measure: str, method: str = PHOTOGRAPH, seed: int | None = None) -> dict[str, float]:
        """Return a measure of each photograph by its name, in their order.

        Args:
            measure: an entry of `TRUTH`, `PREDICTED` or `FACE`.
            method: a baseline, `NETWORK`, or `PHOTOGRAPH` for the photograph itself.
            seed: seed of the run, for `NETWORK`.

        Raises:
            ValueError: it was not measured.
        """
        if (measure, method, seed) not in self._grouped:
            raise ValueError(f"pixels.csv has no {measure!r} of {method!r} with seed {seed}")
        return self._grouped[measure, method, seed]


PEOPLE, OTHER = "people", "others"


def kinds(pixels: PixelMeasures) -> dict[str, str]:
    """Return what each test photograph shows: people, animals, landforms or others.

    People are photographs with a face in paper/faces.csv. The others are what EfficientNet-Lite0 takes for an animal or
    a landform with a probability above one half, so buildings and scenes with people without a face are in `OTHER`.
    """
    faces = pixels.of("a of skin")
    animal, landform = pixels.of(ANIMAL), pixels.of(LANDFORM)
    return {
        photo: PEOPLE if photo in faces
        else "animals" if animal[photo] > 0.5
        else "landforms" if landform[photo] > 0.5
        else OTHER
        for photo in animal
    }  # fmt: skip


def read_pixels(results: Results) -> PixelMeasures:
    """Return the measures of a profile.

    Raises:
        NotMeasuredError: they do not exist yet; the message names the command that makes them.
        ValueError: they are of other weights or faces than those that are there now.
    """
    table, metadata = files(results.profile, "pixels")
    if not table.is_file() or not metadata.is_file():
        name = table.relative_to(results.profile.results.parent.parent).as_posix()
        raise NotMeasuredError(f"There is no {name}; {results.command('pixels')} makes it")
    record = read_json(metadata, RECORD, fix=f"measure again with {results.command('pixels')}")
    weights = {Run(results.profile.run(int(seed))).weights: digest for seed, digest in record["weights_sha256"].items()}
    changed = [str(path) for path, digest in weights.items() if not unchanged({path: digest})]
    changed += [str(FACES)] if record["faces_sha256"] != sha256(FACES) else []
    if changed:
        raise ValueError(
            f"{table} was measured with another {' and '.join(changed)}; {results.command('pixels')} measures again"
        )
    return PixelMeasures(read_rows(table))
