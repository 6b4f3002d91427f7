"""PSNR against the number of hints: how much some true colors, given at random places, improve a prediction.

```
results/<profile>/hints.csv             a row for each method, seed, number of hints and photograph
results/<profile>/hints.json            hashes of the photographs and weights that were measured
results/<profile>/hints.md              the rows, pooled, and what hints gain
figures/<profile>/hints.png             (and .svg) PSNR against the number of hints
figures/<profile>/photographs.png       bundled photographs in gray, colored, with hints, and as they are
```

A hint is the mean color of 7 x 7 pixels of the photograph itself, as a person with a color picker would take it.
Beside the way of spreading hints in `colorlib.hints` stand two that need no network: the nearest hint everywhere, and
Levin, Lischinski and Weiss, "Colorization using Optimization" (2004), which the paper cites.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy import sparse
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from colorlib import rng
from colorlib.color import lab_to_rgb, lightness, rgb_to_lab, to_bytes
from colorlib.colorizers import Colorize, load_run
from colorlib.companion.artifacts.figures import (
    PAPER,
    REFERENCE,
    TRAINING,
    VALIDATION,
    Illustration,
    save,
    save_drawing,
    style,
)
from colorlib.companion.paper import EXAMPLES
from colorlib.companion.steps import LIGHTWEIGHT, PRIMARY, SEVERAL_SOURCES, files, other_profile
from colorlib.companion.tables import JOINED, Column, Table, gain_text, joined
from colorlib.evaluate import Estimate, mean_over_images, psnr_gain, psnr_of_mean, scored_photos
from colorlib.files import read_json, round_floats, sha256, write_json, write_text
from colorlib.hints import PATCH, Hint, PlacedHints, mix, place_hints
from colorlib.metrics import mse, psnr_of
from colorlib.photos import PhotoSet, find_source, open_photos
from colorlib.photos.decode import Photo, Pixels
from colorlib.photos.registry import scored_source
from colorlib.profiles import Profile
from colorlib.runs import Run, csv_text

COUNTS = (0, 1, 2, 5, 10, 20)
"""Numbers of hints."""
DRAWS = 3
"""Random draws of the places on each photograph; MSE and PSNR are their means."""
GRAY, NEAREST, LEVIN = "gray", "nearest hint", "levin"
"""Methods without a network: hints spread over the gray picture, a and b of the nearest hint everywhere, and hints
spread by the optimization of Levin et al. (2004)."""
NETWORKS = (PRIMARY, LIGHTWEIGHT, SEVERAL_SOURCES)
"""Profiles whose networks are measured; their names are the methods."""
METHODS = (GRAY, NEAREST, LEVIN, *NETWORKS)
TITLES = {
    GRAY: "hints alone, on gray",
    NEAREST: "nearest hint",
    LEVIN: "Levin et al. (2004)",
    **{name: f"{name} network" for name in NETWORKS},
}
"""Methods in the words of tables and figures."""
CLASSICAL = "#8a5a00"
"""Color of the classical alternative in the figure."""
MARKERS = {
    GRAY: ("o", "none", REFERENCE),
    NEAREST: ("s", "none", PAPER),
    LEVIN: ("D", "none", CLASSICAL),
    PRIMARY: ("X", VALIDATION, VALIDATION),
    LIGHTWEIGHT: ("o", TRAINING, TRAINING),
    SEVERAL_SOURCES: ("^", TRAINING, TRAINING),
}
"""Method -> its marker, face color and edge color in the figure."""
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


def neighbor_equations(light: Tensor) -> sparse.csr_array:
    """Return the equations of Levin et al. (2004): each pixel has the weighted mean color of its neighbors.

    The weight of neighbor s in the mean of pixel r is proportional to exp(-(L_r - L_s)^2 / (2 sigma_r^2)), L in [0, 1].
    As in the authors' code, 2 sigma_r^2 is 0.6 times the variance of L in the 3 x 3 pixels around r, and at least what
    gives the most similar neighbor the factor 0.01, and at least 2e-6.

    Args:
        light: L, `(H, W)` float in [0, 100].

    Returns:
        I - W, `(H W, H W)` float64, pixels by rows.
    """
    height, width = light.shape
    own, pixels = light.double().numpy() / 100, np.arange(height * width).reshape(height, width)
    # Values and numbers of the 3 x 3 pixels around each pixel: (9, H, W), not a number and -1 outside
    corners = [(down, across) for down in range(3) for across in range(3)]
    padded, numbered = np.pad(own, 1, constant_values=np.nan), np.pad(pixels, 1, constant_values=-1)
    values = np.stack([padded[down : down + height, across : across + width] for down, across in corners])
    around = np.stack([numbered[down : down + height, across : across + width] for down, across in corners])
    # Weights of the neighbors
    neighbor = (around >= 0) & (around != pixels)
    squared = np.where(neighbor, np.square(values - own), np.inf)
    least = squared.min(axis=0) / -np.log(0.01)
    spread = np.maximum(np.maximum(0.6 * np.nanvar(values, axis=0), least), 2e-6)
    weights = np.exp(-squared / spread)
    weights /= weights.sum(axis=0)
    rows = np.broadcast_to(pixels, around.shape)
    mean = sparse.csr_array((weights[neighbor], (rows[neighbor], around[neighbor])), shape=(own.size, own.size))
    return sparse.csr_array(sparse.eye_array(own.size) - mean)


def halved(light: Tensor) -> Tensor:
    """Return L at half size, each pixel the mean of four: `(1, H, W)` to `(ceil(H / 2), ceil(W / 2))`."""
    return avg_pool2d(light[None], 2, ceil_mode=True)[0, 0]


def levin(equations: sparse.csr_array, hints: PlacedHints) -> Tensor:
    """Return a and b by the optimization of Levin et al. (2004), `(2, H, W)`.

    As in the authors' code, pixels under a hint have its color, and every other pixel's equation holds exactly. A hint
    covers the pixels whose mean color it is. a and b are computed at half size, which takes a quarter of the time of
    full size, and enlarged; on eight validation photographs this changed PSNR of MSE by 0.1 dB or less.

    Args:
        equations: `neighbor_equations` of the photograph's L at half size.
        hints: at least one; where hints overlap, the first counts.
    """
    from scipy.sparse.linalg import splu  # here, since its import takes a quarter of a second

    height, width = (-(-side // 2) for side in hints.size)
    under = np.full((height, width), -1)
    for number, place in reversed([*enumerate(hints.places.int().tolist())]):
        rows, columns = (slice(max(at - PATCH // 2, 0) // 2, (at + PATCH // 2) // 2 + 1) for at in place)
        under[rows, columns] = number
    flat = under.ravel()
    given, free = np.flatnonzero(flat >= 0), np.flatnonzero(flat < 0)
    ab = np.empty((flat.size, 2))
    ab[given] = hints.ab.numpy()[flat[given]]
    of_free = equations[free]
    # Rows sum to 0 and no diagonal entry is small, so that elimination needs no pivots
    solver = splu(
        of_free[:, free].tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True}
    )
    ab[free] = solver.solve(-(of_free[:, given] @ ab[given]))
    enlarged = interpolate(torch.from_numpy(ab.T.reshape(1, 2, height, width).copy()), scale_factor=2, mode="bilinear")
    return enlarged[0, :, : hints.size[0], : hints.size[1]]


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

    compare(torch.cat((predicted, gray[None], gray[None])), [*names, (NEAREST, None), (LEVIN, None)], 0)
    equations = neighbor_equations(halved(light))
    for draw in range(DRAWS):
        hints = draw_hints(photo, pixels, draw)
        for count in COUNTS[1:]:
            placed = place_hints(hints[:count], truth)
            compare(mix(predicted, *placed.sums(light, *whole)), names, count)
            spread = torch.stack((nearest_hint(placed), levin(equations, placed))).float()
            compare(spread, [(NEAREST, None), (LEVIN, None)], count)
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


def load_networks(profile: Profile, device: torch.device) -> dict[tuple[str, int], Colorize]:
    """Return the networks that are measured, by profile and seed; their runs lie next to those of `profile`."""
    owners = [other_profile(profile, name) for name in NETWORKS]
    return {(owner.name, seed): load_run(owner.run(seed), device=device) for owner in owners for seed in owner.seeds}


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
    """Measure test photographs in a fixed random order, and write hints.csv and hints.json after each.

    So an interrupted call leaves the rows of a random sample, and the next one goes on. At last the table and the
    figure are written.

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
    # Take the rows of an earlier call, if it measured the same methods, photographs and networks
    table, metadata = files(profile, "hint_scores")
    rows = read_rows(table) if table.is_file() and metadata.is_file() else []
    measured = {row.photograph for row in rows}
    same_methods = {row.method for row in rows} == {*METHODS}
    if rows and not (same_methods and read_json(metadata, RECORD) == hints_record(profile, photos, len(measured))):
        rows, measured = [], set()
    yield len(measured), max(len(measured), len(wanted))
    left = [photo for photo in wanted if photo.name not in measured]
    networks = load_networks(profile, device) if left else {}
    order = {photo.name: number for number, photo in enumerate(photos)}
    for photo in left:
        rows += measure_photo(photo, networks)
        measured.add(photo.name)
        rows.sort(key=lambda row: (METHODS.index(row.method), row.seed or 0, row.hints, order[row.photograph]))
        rounded = [{**round_floats(asdict(row)), "seed": "" if row.seed is None else row.seed} for row in rows]
        write_text(table, csv_text(rounded))
        write_json(metadata, hints_record(profile, photos, len(measured)))
        yield len(measured), max(len(measured), len(wanted))
    write(profile)


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


@dataclass(frozen=True)
class Errors:
    """Errors of each method with each number of hints, over the same photographs."""

    rows: Mapping[tuple[str, int], Mapping[int | None, Sequence[HintRow]]]
    """Method and number of hints -> seed -> rows, in the order of the photographs."""

    @classmethod
    def of(cls, rows: Sequence[HintRow]) -> "Errors":
        """Group the rows of a hints.csv."""
        grouped: dict[tuple[str, int], dict[int | None, list[HintRow]]] = {}
        for row in rows:
            grouped.setdefault((row.method, row.hints), {}).setdefault(row.seed, []).append(row)
        return cls(grouped)

    def level(self, measure: str, method: str, count: int) -> Estimate:
        """Return a row of `MEASURES` in dB with its interval over photographs and seeds."""
        by_seed = self.rows[method, count].values()
        if measure == "mean PSNR":
            return joined([mean_over_images([row.psnr for row in own]) for own in by_seed])
        return joined([psnr_of_mean([row.mse for row in own]) for own in by_seed])

    def gain(self, measure: str, first: tuple[str, int], second: tuple[str, int]) -> Estimate:
        """Return by how many dB `first` is better than `second`, with the interval of the paired photographs.

        Args:
            measure: a row of `MEASURES`.
            first: method and number of hints.
            second: the same. A method without a network is compared with each seed of one with a network.
        """
        one, other = self.rows[first], self.rows[second]
        seeds: list[int | None] = [seed for seed in dict.fromkeys((*one, *other)) if seed is not None]
        estimates = []
        for seed in seeds or [None]:
            better, worse = ([*rows.get(seed, rows.get(None, ()))] for rows in (one, other))
            if measure == "mean PSNR":
                pairs = zip(better, worse, strict=True)
                estimates.append(mean_over_images([ours.psnr - theirs.psnr for ours, theirs in pairs]))
            else:
                estimates.append(psnr_gain([row.mse for row in better], [row.mse for row in worse]))
        return joined(estimates)

    def over_none(self, measure: str, method: str, count: int) -> Estimate:
        """Return by how many dB a method is better with so many hints than with none, as `gain`."""
        return self.gain(measure, (method, count), (method, 0))

    def hints_instead_of(self, network: str) -> int | None:
        """Return the smallest number of hints with which gray is better than a network without any; None if none is.

        Better: the whole interval of the gain in PSNR of MSE is above 0.
        """
        return next((k for k in COUNTS[1:] if self.gain(MEASURES[0], (GRAY, k), (network, 0)).low > 0), None)


def read_errors(profile: Profile) -> Errors:
    """Return the errors in a profile's hints.csv.

    Raises:
        ValueError: nothing was measured.
    """
    table = files(profile, "hint_scores")[0]
    if not table.is_file():
        raise ValueError(f"{table} does not exist; `colorlib hints` makes it")
    return Errors.of(read_rows(table))


def photographs(profile: Profile) -> str:
    """Return the number, split and source of the measured photographs, in words."""
    photos = read_json(files(profile, "hint_scores")[1], RECORD, fix="measure again with `colorlib hints`")["photos"]
    some = f"the {photos['of']}" if photos["count"] == photos["of"] else f"{photos['count']} of the {photos['of']}"
    return f"{some} {photos['split']} photographs of {scored_source(photos['source'])}"


def _table(
    profile: Profile, counts: Sequence[int], estimate: Callable[[str, int], Estimate], measure: str, caption: str
) -> Table:
    """Return a table with a row for each number of hints and a column for each method."""
    records: list[dict[str, float]] = []
    for count in counts:
        found = {method: estimate(method, count) for method in METHODS}
        records.append({"hints": count})
        for method, one in found.items():
            name = f"{method}: {measure}"
            records[-1] |= {name: one.value, f"{name} low": one.low, f"{name} high": one.high}
    signed = measure not in MEASURES
    return Table(
        data=pd.DataFrame(records),
        columns=[
            Column(name="hints", digits=0),
            *(Column(name=f"{method}: {measure}", head=TITLES[method], digits=2, signed=signed) for method in METHODS),
        ],
        caption=(
            f"{caption}, with the photograph's own L: true colors of {PATCH} x {PATCH} pixels at random places, "
            f"{DRAWS} draws, on {photographs(profile)}. In brackets: {JOINED}."
        ),
    )


def level_tables(profile: Profile) -> list[Table]:
    """Return PSNR against the number of hints, one table for each row of `MEASURES`.

    Raises:
        ValueError: nothing was measured.
    """
    errors = read_errors(profile)
    return [
        _table(profile, COUNTS, partial(errors.level, measure), measure, f"{measure} in dB against the number of hints")
        for measure in MEASURES
    ]


def gain_tables(profile: Profile) -> list[Table]:
    """Return what hints gain over none, one table for each row of `MEASURES`.

    Raises:
        ValueError: nothing was measured.
    """
    errors = read_errors(profile)
    return [
        _table(
            profile,
            COUNTS[1:],
            partial(errors.over_none, measure),
            f"gain in {measure}",
            f"Gain in {measure} in dB of so many hints over none, for the same method",
        )
        for measure in MEASURES
    ]


def comparisons(profile: Profile) -> list[str]:
    """Return sentences that compare hints with networks, and ways to spread hints with each other.

    Raises:
        ValueError: nothing was measured.
    """
    errors, measure = read_errors(profile), MEASURES[0]
    sentences = []
    for network in NETWORKS:
        count = errors.hints_instead_of(network)
        shown = max(COUNTS) if count is None else count
        gain = errors.gain(measure, (GRAY, shown), (network, 0))
        verb = "do not exceed" if count is None else "exceed"
        sentences.append(
            f"{_hints(shown)} on the gray picture {verb} the {network} network without any: {gain_text(gain)} dB"
        )
    for count in (1, max(COUNTS)):
        gain = errors.gain(measure, (LIGHTWEIGHT, count), (GRAY, count))
        sentences.append(f"the {LIGHTWEIGHT} network below {_hints(count)} adds {gain_text(gain)} dB to gray with them")
    for count in (1, max(COUNTS)):
        gain = errors.gain(measure, (GRAY, count), (NEAREST, count))
        sentences.append(
            f"{_hints(count)} spread to where place and lightness are alike: {gain_text(gain)} dB over the nearest "
            "hint's color everywhere"
        )
    sentences += [_levin_compared(errors, other) for other in (GRAY, LIGHTWEIGHT)]
    return [f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences]


def _levin_compared(errors: Errors, other: str) -> str:
    """Return with how many hints the method of Levin et al. is better than another one, and with how many worse."""
    measure = MEASURES[0]
    gains = {count: errors.gain(measure, (LEVIN, count), (other, count)) for count in COUNTS[1:]}
    found = {
        "better": [count for count, gain in gains.items() if gain.low > 0],
        "undecided": [count for count, gain in gains.items() if gain.low <= 0 <= gain.high],
        "worse": [count for count, gain in gains.items() if gain.high < 0],
    }
    parts = [f"{verdict} with {', '.join(map(str, counts))}" for verdict, counts in found.items() if counts]
    ends = ", ".join(f"{gain_text(gains[count])} dB with {count}" for count in (1, max(COUNTS)))
    below = "the gray picture" if other == GRAY else f"the {other} network"
    return f"{TITLES[LEVIN]} against the same hints on {below}: {'; '.join(parts)} ({ends})"


def _hints(count: int) -> str:
    return f"{count} hint{'' if count == 1 else 's'}"


def write(profile: Profile) -> Illustration:
    """Write the tables and the figure in the files of `hints`; returns the figure.

    Raises:
        ValueError: nothing was measured.
    """
    markdown, picture, _ = files(profile, "hints")
    tables = [table.markdown() for table in (*level_tables(profile), *gain_tables(profile))]
    write_text(markdown, "\n".join(tables))
    return _plot(profile, picture)


def _plot(profile: Profile, path: Path) -> Illustration:
    """Draw PSNR of MSE against the number of hints, a line with intervals for each method."""
    errors, measure = read_errors(profile), MEASURES[0]
    with style():
        figure = Figure(figsize=(6.3, 3.6))
        axes = figure.subplots()
        places = np.arange(len(COUNTS))
        for number, method in enumerate(METHODS):
            found = [errors.level(measure, method, count) for count in COUNTS]
            values = np.array([one.value for one in found])
            bounds = [values - [one.low for one in found], np.array([one.high for one in found]) - values]
            marker, face, edge = MARKERS[method]
            axes.errorbar(
                places + 0.09 * (number - (len(METHODS) - 1) / 2), values, yerr=bounds, marker=marker, markersize=4.5,
                color=edge, markerfacecolor=face, markeredgewidth=0.9, elinewidth=0.7, linewidth=0.9,
                label=TITLES[method],
            )  # fmt: skip
        axes.set(xlabel="hints", ylabel=f"{measure} (dB)", xticks=places, xticklabels=[f"{count}" for count in COUNTS])
        axes.legend(loc="lower right", fontsize=8)
        save_drawing(figure, path)
    ends = [
        f"{TITLES[method]} {errors.level(measure, method, COUNTS[0]).value:.2f} dB without hints and "
        f"{errors.level(measure, method, COUNTS[-1]).value:.2f} dB with {COUNTS[-1]}"
        for method in METHODS
    ]
    return Illustration(
        path=path,
        drawing=True,
        label="What a few true colors gain.",
        caption=(
            f"{measure} against the number of hints, on {photographs(profile)}: true colors of {PATCH} x {PATCH} "
            f"pixels at random places, means of {DRAWS} draws, with the photograph's own L. Bars: {JOINED}."
        ),
        alt=f"Line chart of {measure} against 0 to {COUNTS[-1]} hints: {'; '.join(ends)}.",
    )


# Bundled photographs

BUNDLED = {
    "skimage/astronaut.png": "an astronaut, Eileen Collins (public domain)",
    "skimage/chelsea.png": "a cat (CC0)",
    **{name: subject for name, _, subject in EXAMPLES.values()},
}
"""Bundled photographs that are shown, with their subjects; no network here was trained on them."""
PLACES = {
    "skimage/astronaut.png": ((0.20, 0.57), (0.62, 0.55), (0.38, 0.24), (0.66, 0.12), (0.06, 0.50)),
    "skimage/chelsea.png": ((0.50, 0.30), (0.33, 0.44), (0.58, 0.79), (0.25, 0.70), (0.90, 0.80)),
    "matplotlib/grace_hopper.jpg": ((0.42, 0.43), (0.85, 0.20), (0.30, 0.75), (0.25, 0.55), (0.12, 0.22)),
    "skimage/coffee.png": ((0.20, 0.60), (0.50, 0.10), (0.50, 0.36), (0.90, 0.40), (0.35, 0.55)),
    "skimage/rocket.jpg": ((0.30, 0.20), (0.75, 0.50), (0.50, 0.60), (0.24, 0.87), (0.80, 0.80)),
}
"""Places of five hints on each of them, chosen by hand, as shares of width and height."""
ASPECT = 4 / 3
"""Width through height of the middle part of each photograph that is shown."""


def hint_examples(profile: Profile) -> Illustration:
    """Draw bundled photographs, a row each: gray, colored by both networks, with hints, and the photograph.

    Args:
        profile: the lightweight profile; the networks are those of its first seed and of the paper's.
    """
    owners = [other_profile(profile, name) for name in (PRIMARY, LIGHTWEIGHT)]
    networks = [load_run(owner.run(owner.seeds[0])) for owner in owners]
    found = {photo.name: photo for split in find_source("bundled").splits for photo in open_photos("bundled", split)}
    titles = ["gray", "paper's network", f"{LIGHTWEIGHT} (default)", "the same, 5 hints", "photograph"]
    (path,) = files(profile, "hint_examples")
    scores: dict[str, list[float]] = {title: [] for title in titles[:-1]}
    with style():
        figure = Figure(figsize=(6.6, 6.6 * len(BUNDLED) / len(titles) / ASPECT * 1.17))
        for row, name in enumerate(BUNDLED):
            pixels = found[name].load()
            hints = [true_hint(pixels, x, y) for x, y in PLACES[name]]
            pictures = dict(zip(titles, _colored(pixels, hints, networks), strict=True))
            for column, (title, picture) in enumerate(pictures.items()):
                axes = figure.add_subplot(len(BUNDLED), len(titles), row * len(titles) + column + 1)
                top, left, shown = _middle(picture.permute(1, 2, 0).numpy())
                axes.imshow(shown, interpolation="antialiased")
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
                if row == 0:
                    axes.set_title(title, fontsize=9, pad=4)
                if title in scores:
                    scores[title].append(psnr_of(mse(picture, torch.from_numpy(pixels).permute(2, 0, 1))))
                    axes.set_xlabel(f"{scores[title][-1]:.1f} dB", fontsize=8, labelpad=2)
                if title == titles[3]:
                    height, width = pixels.shape[:2]
                    places = [(hint.x * width - left, hint.y * height - top, hint.color) for hint in hints]
                    for x, y, color in places:
                        if 0 <= x < shown.shape[1] and 0 <= y < shown.shape[0]:
                            axes.plot(
                                x, y, "o", markersize=4, color=color, markeredgecolor="white", markeredgewidth=0.6
                            )
        figure.subplots_adjust(wspace=0.03, hspace=0.16, left=0, right=1, bottom=0, top=1)
        save(figure, path, dpi=125)
    means = ", ".join(f"{title} {np.mean(values):.1f} dB" for title, values in scores.items())
    subjects = "; ".join(BUNDLED.values())
    return Illustration(
        path=path,
        label="Five photographs.",
        caption=(
            f"From above: {subjects}. From the left: L of CIE LAB; colors of the paper's network and of the "
            f"{LIGHTWEIGHT} network, which `colorlib colorize` takes by default, both with the photograph's own L; the "
            "latter with five true colors at places that were chosen by hand (dots); the photograph. Middle parts are "
            f"shown; PSNR on 8-bit RGB is of whole photographs. Means: {means}. No network was trained on them."
        ),
        alt=(
            f"A grid of pictures, a row for each of five photographs: {subjects}. From left to right they turn from "
            "gray through the dull guesses of two networks and a picture with five given colors to the photograph; "
            f"mean PSNR: {means}."
        ),
    )


def _colored(pixels: Pixels, hints: Sequence[Hint], networks: Sequence[Colorize]) -> list[Tensor]:
    """Return a photograph in gray, by each network, by the last one with hints, and as it is: `(3, H, W)` uint8."""
    truth = torch.from_numpy(pixels).permute(2, 0, 1)
    light = lightness(truth)
    whole = slice(0, light.shape[-2]), slice(0, light.shape[-1])
    guesses = [rgb_to_lab(network(light[None])[0])[1:] for network in networks]
    hinted = place_hints(hints, truth).blend(guesses[-1], light, *whole)
    colors = [torch.zeros(2, *light.shape[-2:]), *guesses, hinted]
    return [*(to_bytes(lab_to_rgb(torch.cat((light, ab))[None])[0]) for ab in colors), truth]


def _middle(picture: Pixels) -> tuple[int, int, Pixels]:
    """Return the middle part of a picture with the sides of `ASPECT`, after its first row and column."""
    height, width = picture.shape[:2]
    rows, columns = min(height, round(width / ASPECT)), min(width, round(height * ASPECT))
    top, left = (height - rows) // 2, (width - columns) // 2
    return top, left, picture[top : top + rows, left : left + columns]
