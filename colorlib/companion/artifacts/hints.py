"""PSNR against the number of hints: how much some true colors, given at random places, improve a prediction.

```
results/<profile>/hints.csv     a row for each method, seed, number of hints and photograph
results/<profile>/hints.json    hashes of the photographs and weights that were measured
results/<profile>/hints.md      the rows, pooled
```

A hint is the mean color of 7 x 7 pixels of the photograph itself, as a person with a color picker would take it.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from colorlib import rng
from colorlib.color import lab_to_rgb, lightness, rgb_to_lab, to_bytes
from colorlib.colorizers import Colorize, load_run
from colorlib.companion.steps import LIGHTWEIGHT, PRIMARY, files, other_profile
from colorlib.companion.tables import JOINED, Column, Table, joined
from colorlib.evaluate import mean_over_images, psnr_of_mean, scored_photos
from colorlib.files import read_json, round_floats, sha256, write_json, write_text
from colorlib.hints import PATCH, Hint, PlacedHints, mix, place_hints
from colorlib.metrics import mse, psnr_of
from colorlib.photos import PhotoSet
from colorlib.photos.decode import Photo, Pixels
from colorlib.profiles import Profile
from colorlib.runs import Run, csv_text

COUNTS = (0, 1, 2, 5, 10, 20)
"""Numbers of hints."""
DRAWS = 3
"""Random draws of the places on each photograph; MSE and PSNR are their means."""
GRAY, NEAREST = "gray", "nearest hint"
"""Methods without a network: hints spread over the gray picture, and a and b of the nearest hint everywhere."""
NETWORKS = (PRIMARY, LIGHTWEIGHT)
"""Profiles whose networks are measured; their names are the methods."""
METHODS = (GRAY, NEAREST, *NETWORKS)
MEASURES = ("PSNR of MSE", "mean PSNR")
RECORD = {
    "photos": {"source": str, "split": str, "sha256": str, "count": int, "of": int},
    "weights_sha256": {name: dict for name in NETWORKS},
    "draws": int,
}
"""Fields of hints.json."""


@dataclass(frozen=True, kw_only=True)
class HintRow:
    """A row of hints.csv."""

    method: str
    seed: int | None
    """Seed of the run; None without a network."""
    hints: int
    photograph: str
    mse: float
    """Mean over the draws, on the scale [0, 1]."""
    psnr: float
    """Mean over the draws, in dB."""


def true_hint(photo: Pixels, x: float, y: float) -> Hint:
    """Return the hint at a place: the mean sRGB of the 7 x 7 pixels around it, rounded to 8 bits.

    Args:
        photo: `(H, W, 3)` uint8 sRGB.
        x: share of its width, in [0, 1).
        y: share of its height, in [0, 1).
    """
    height, width = photo.shape[:2]
    row, column = int(y * height), int(x * width)
    rows, columns = (slice(max(at - PATCH // 2, 0), at + PATCH // 2 + 1) for at in (row, column))
    levels = np.rint(photo[rows, columns].reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    return Hint((column + 0.5) / width, (row + 0.5) / height, f"#{levels.tobytes().hex()}")


def draw_hints(photo: Photo, pixels: Pixels, draw: int) -> list[Hint]:
    """Return true hints at uniformly random places; the first k of them are the draw's k hints.

    Args:
        photo: the photograph; the places depend on its SHA-256, and not on other photographs.
        pixels: its pixels.
        draw: number of the draw.
    """
    places = rng.uniforms(2 * max(COUNTS), 0, "places of hints", draw, int(photo.digest[:12], 16)).reshape(-1, 2)
    return [true_hint(pixels, x, y) for x, y in places.tolist()]


def nearest_hint(hints: PlacedHints) -> Tensor:
    """Return a and b of the hint that is nearest to each pixel, `(2, H, W)`."""
    rows, columns = (torch.arange(side, dtype=torch.float64) + 0.5 for side in hints.size)
    squared = [(rows - row).square()[:, None] + (columns - column).square() for row, column in hints.places]
    return hints.ab[torch.stack(squared).argmin(dim=0)].movedim(-1, 0)


def measure_photo(photo: Photo, networks: Mapping[tuple[str, int], Colorize]) -> list[HintRow]:
    """Return the rows of one photograph.

    Args:
        photo: the photograph.
        networks: profile and seed -> network.
    """
    pixels = photo.load()
    truth = torch.from_numpy(pixels).permute(2, 0, 1)
    light = lightness(truth)
    whole = slice(0, light.shape[-2]), slice(0, light.shape[-1])
    gray = torch.zeros(2, *light.shape[-2:])
    names: list[tuple[str, int | None]] = [(GRAY, None), *networks]
    predicted = torch.stack([gray, *(rgb_to_lab(network(light[None])[0])[1:] for network in networks.values())])
    errors: dict[tuple[str, int | None, int], list[float]] = {}

    def compare(ab: Tensor, of: Sequence[tuple[str, int | None]], count: int) -> None:
        colored = to_bytes(lab_to_rgb(torch.cat((light.expand(len(ab), -1, -1, -1), ab), dim=1)))
        for (method, seed), one in zip(of, colored, strict=True):
            errors.setdefault((method, seed, count), []).append(mse(one, truth))

    compare(torch.cat((predicted, gray[None])), [*names, (NEAREST, None)], 0)
    for draw in range(DRAWS):
        hints = draw_hints(photo, pixels, draw)
        for count in COUNTS[1:]:
            placed = place_hints(hints[:count], truth)
            compare(mix(predicted, *placed.sums(light, *whole)), names, count)
            compare(nearest_hint(placed).float()[None], [(NEAREST, None)], count)
    return [
        HintRow(
            method=method,
            seed=seed,
            hints=count,
            photograph=photo.name,
            mse=float(np.mean(found)),
            psnr=float(np.mean([psnr_of(error) for error in found])),
        )
        for (method, seed, count), found in errors.items()
    ]


def hints_record(profile: Profile, photos: PhotoSet, count: int) -> dict[str, Any]:
    """Return the content of hints.json.

    Args:
        profile: the profile that holds the file.
        photos: all photographs to measure.
        count: number of those that are measured.

    Raises:
        ValueError: a run is not finished.
    """
    weights: dict[str, dict[str, str]] = {}
    for name in NETWORKS:
        owner = other_profile(profile, name)
        for seed in owner.seeds:
            run = Run(owner.run(seed))
            if not run.weights.is_file():
                raise ValueError(f"{run.path} is not finished; `make reproduce PROFILE={name}` trains it")
            weights.setdefault(name, {})[str(seed)] = sha256(run.weights)
    scored = {"source": photos.source, "split": photos.split, "sha256": photos.digest}
    return {"photos": scored | {"count": count, "of": len(photos)}, "weights_sha256": weights, "draws": DRAWS}


def measure_hints(profile: Profile, *, at_most: int | None = None, device: torch.device) -> Iterator[tuple[int, int]]:
    """Measure test photographs in a fixed random order, write hints.csv and hints.json after each, at last hints.md.

    So an interrupted call leaves the rows of a random sample, and the next one goes on.

    Args:
        profile: the lightweight profile, next to whose results those of the paper's network lie.
        at_most: stop at so many photographs; None for all.
        device: device of the networks.

    Yields:
        The number of measured photographs, and of those to measure.

    Raises:
        ValueError: photographs are missing, or a run is not finished.
    """
    photos = scored_photos(profile.photos)
    wanted = [photos.photos[index] for index in rng.permutation(len(photos), 0, "order of hints")][:at_most]
    # Take the rows of an earlier call, if it measured the same photographs and networks
    table, metadata = files(profile, "hint_scores")
    rows = read_rows(table) if table.is_file() and metadata.is_file() else []
    measured = {row.photograph for row in rows}
    if rows and read_json(metadata, RECORD) != hints_record(profile, photos, len(measured)):
        rows, measured = [], set()
    yield len(measured), max(len(measured), len(wanted))
    left = [photo for photo in wanted if photo.name not in measured]
    owners = [other_profile(profile, name) for name in NETWORKS] if left else []
    networks = {
        (owner.name, seed): load_run(owner.run(seed), device=device) for owner in owners for seed in owner.seeds
    }
    order = {photo.name: number for number, photo in enumerate(photos)}
    for photo in left:
        rows += measure_photo(photo, networks)
        measured.add(photo.name)
        rows.sort(key=lambda row: (METHODS.index(row.method), row.seed or 0, row.hints, order[row.photograph]))
        rounded = [{**round_floats(asdict(row)), "seed": "" if row.seed is None else row.seed} for row in rows]
        write_text(table, csv_text(rounded))
        write_json(metadata, hints_record(profile, photos, len(measured)))
        yield len(measured), max(len(measured), len(wanted))
    write_tables(profile)


def read_rows(path: Path) -> list[HintRow]:
    """Return the rows of a hints.csv."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            HintRow(
                method=row["method"],
                seed=int(row["seed"]) if row["seed"] else None,
                hints=int(row["hints"]),
                photograph=row["photograph"],
                mse=float(row["mse"]),
                psnr=float(row["psnr"]),
            )
            for row in csv.DictReader(file)
        ]


def pool(rows: Sequence[HintRow]) -> pd.DataFrame:
    """Return a row for each number of hints: both kinds of PSNR of each method, with intervals (`joined`)."""
    grouped: dict[tuple[str, int], dict[int | None, list[HintRow]]] = {}
    for row in rows:
        grouped.setdefault((row.method, row.hints), {}).setdefault(row.seed, []).append(row)
    records: dict[int, dict[str, float]] = {count: {"hints": count} for count in COUNTS}
    for (method, count), by_seed in grouped.items():
        estimates = {
            "PSNR of MSE": [psnr_of_mean([row.mse for row in own]) for own in by_seed.values()],
            "mean PSNR": [mean_over_images([row.psnr for row in own]) for own in by_seed.values()],
        }
        for measure, of_seeds in estimates.items():
            found = joined(of_seeds)
            name = f"{method}: {measure}"
            records[count] |= {name: found.value, f"{name} low": found.low, f"{name} high": found.high}
    return pd.DataFrame(list(records.values()))


def tables(profile: Profile) -> list[Table]:
    """Return the pooled results, one table for each kind of PSNR.

    Raises:
        ValueError: nothing was measured.
    """
    table, metadata = files(profile, "hint_scores")
    if not table.is_file():
        raise ValueError(f"{table} does not exist; `colorlib hints` makes it")
    photos = read_json(metadata, RECORD, fix="measure again with `colorlib hints`")["photos"]
    data = pool(read_rows(table))
    some = f"the {photos['of']}" if photos["count"] == photos["of"] else f"{photos['count']} of the {photos['of']}"
    titles = {GRAY: "hints alone, on gray", NEAREST: "nearest hint", **{name: f"{name} network" for name in NETWORKS}}
    return [
        Table(
            data=data,
            columns=[
                Column(name="hints", digits=0),
                *(Column(name=f"{method}: {measure}", head=titles[method], digits=2) for method in METHODS),
            ],
            caption=(
                f"{measure} in dB against the number of hints, with the photograph's own L: true colors of {PATCH} x "
                f"{PATCH} pixels at random places, {DRAWS} draws, on {some} {photos['split']} photographs of "
                f"{photos['source']}. In brackets: {JOINED}."
            ),
        )
        for measure in MEASURES
    ]


def write_tables(profile: Profile) -> None:
    """Write hints.md."""
    write_text(files(profile, "hints")[0], "\n".join(table.markdown() for table in tables(profile)))
