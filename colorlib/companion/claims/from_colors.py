"""Measurements of colors on the pixels of photographs: detail, distribution, ambiguity, faces, types and novelty.

Their numbers are those of pixels.csv (`from_pixels`), with bootstrap intervals over photographs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist, fmean

from colorlib.companion.claims.from_pixels import (
    AMBIGUOUS,
    ANIMAL,
    IN_TEXTURE,
    LANDFORM,
    NOVELTY,
    RARITY,
    UNAMBIGUOUS,
    PixelMeasures,
    read_pixels,
)
from colorlib.companion.claims.measurement import Measurement, over_photographs
from colorlib.companion.claims.photo_measures import FINE, rank_correlation
from colorlib.companion.results import Results
from colorlib.companion.tables import joined
from colorlib.evaluate import NETWORK, Estimate, mean_over_images


def _over_pixels(
    results: Results,
    pixels: PixelMeasures,
    measure: Callable[[int], Sequence[float]],
    show: Callable[[float], str],
    why: str,
) -> Measurement:
    """Return the mean of a value per photograph, with its interval over photographs and the seeds that were measured.

    Args:
        results: of the profile that is judged.
        pixels: its measures.
        measure: takes a seed, returns a value per photograph.
        show: formats the number.
        why: the sentence about the claim.
    """
    values = [measure(seed) for seed in pixels.seeds]
    return over_photographs(
        results,
        [mean_over_images(each) for each in values],
        show,
        why,
        photographs=f"{len(values[0])} photographs of {results.profile.photos} that were not trained on",
        target="pixels",
    )


def _values(measures: Mapping[str, float], like: Mapping[str, float]) -> list[float]:
    """Return the values of the photographs in `like`, in their order."""
    return [measures[photograph] for photograph in like]


def explained_fine_color(results: Results) -> Measurement:
    """Measure the share of the truth's fine ab variation in textured regions that the network's prediction explains.

    It is one less the energy of the error over that of the truth: 0 for a prediction without fine color.
    """
    pixels = read_pixels(results)
    bands = [f"{band}{IN_TEXTURE}" for band in FINE]

    def explained(seed: int, names: Sequence[str]) -> list[float]:
        truth = [sum(each) for each in zip(*(pixels.of(f"ab energy {name}").values() for name in names), strict=True)]
        own, covariance = (
            [sum(each) for each in zip(*(pixels.of(f"ab {kind} {name}", NETWORK, seed).values() for name in names),
                                       strict=True)]
            for kind in ("energy", "covariance")
        )  # fmt: skip
        mean = fmean(truth)
        return [(2 * shared - energy) / mean for shared, energy in zip(covariance, own, strict=True)]

    shares = {name: fmean(fmean(explained(seed, [name])) for seed in pixels.seeds) for name in (*FINE, *bands)}
    listed = ", ".join(f"{share:+.0%} {name}" for name, share in shares.items())
    return _over_pixels(
        results,
        pixels,
        lambda seed: explained(seed, bands),
        "{:+.0%}".format,
        f"Of the truth's variation of color the prediction explains {listed}; below 0 it is not missing but wrong. "
        "JPEG, in which the photographs are published, blurs the truth's color below 2 pixels.",
    )


def gain_in_color_distribution(results: Results) -> Measurement:
    """Measure the overlap of the network's ab histogram with the truth's, less that of the look-up table's."""
    pixels, name = read_pixels(results), "ab histogram overlap"
    table = pixels.of(name, "look-up table")
    own = fmean(fmean(pixels.of(name, NETWORK, seed).values()) for seed in pixels.seeds)
    others = ", ".join(
        f"{method} {fmean(pixels.of(name, method).values()):.2f}" for method in ("look-up table", "mean chroma", "gray")
    )
    return _over_pixels(
        results,
        pixels,
        lambda seed: [
            one - other for one, other in zip(pixels.of(name, NETWORK, seed).values(), table.values(), strict=True)
        ],
        "{:+.2f}".format,
        f"The distributions of a and b in the prediction and in the photograph have {own:.2f} in common ({others}; 1 "
        "would be equal distributions).",
    )


def paler_where_ambiguous(results: Results) -> Measurement:
    """Measure the share of chroma that predictions lack where colors are ambiguous, less that where they are not."""
    pixels = read_pixels(results)

    def lack(seed: int, third: str) -> list[float]:
        truth, own = pixels.of(f"chroma{third}"), pixels.of(f"chroma{third}", NETWORK, seed)
        mean = fmean(truth.values())
        return [(one - other) / mean for one, other in zip(truth.values(), own.values(), strict=True)]

    there, elsewhere = (fmean(fmean(lack(seed, third)) for seed in pixels.seeds) for third in (AMBIGUOUS, UNAMBIGUOUS))
    return _over_pixels(
        results,
        pixels,
        lambda seed: [one - other for one, other in zip(lack(seed, AMBIGUOUS), lack(seed, UNAMBIGUOUS), strict=True)],
        "{:+.0%}".format,
        f"Of the true chroma the prediction lacks {there:.0%} in the third of the pixels where similar gray patches "
        f"have the most different colors, and {elsewhere:.0%} where they have the most equal ones.",
    )


def gain_in_faces(results: Results) -> Measurement:
    """Measure the gain in PSNR over mean chroma in faces, less that outside of them in the same photograph, in dB."""
    pixels = read_pixels(results)

    def gain(seed: int, region: str, baseline: str) -> list[float]:
        own, other = (pixels.of(f"PSNR {region} faces", *of) for of in ((NETWORK, seed), (baseline, None)))
        return [one - two for one, two in zip(own.values(), other.values(), strict=True)]

    def difference(seed: int, baseline: str = "mean chroma") -> list[float]:
        both = zip(gain(seed, "in", baseline), gain(seed, "outside", baseline), strict=True)
        return [inside - outside for inside, outside in both]

    over_gray = fmean(fmean(difference(seed, "gray")) for seed in pixels.seeds)
    errors = [
        fmean(fmean(pixels.of(f"ΔE00 {region} faces", NETWORK, seed).values()) for seed in pixels.seeds)
        for region in ("in", "outside")
    ]
    return _over_pixels(
        results,
        pixels,
        difference,
        "{:+.2f} dB".format,
        f"Over gray the difference is {over_gray:+.2f} dB. In error itself faces are not better: ΔE00 is "
        f"{errors[0]:.1f} in them and {errors[1]:.1f} outside.",
    )


def redness_of_skin(results: Results) -> Measurement:
    """Measure the mean a of CIE LAB that the network gives to skin."""
    pixels = read_pixels(results)
    truth, own = (
        [fmean(fmean(pixels.of(f"{axis} of skin", *of).values()) for of in methods) for axis in ("a", "b")]
        for methods in ([()], [(NETWORK, seed) for seed in pixels.seeds])
    )
    return _over_pixels(
        results,
        pixels,
        lambda seed: list(pixels.of("a of skin", NETWORK, seed).values()),
        "{:+.1f}".format,
        f"Mean skin has a, b = {own[0]:+.0f}, {own[1]:+.0f}; in the photographs it has {truth[0]:+.0f}, "
        f"{truth[1]:+.0f}.",
    )


def error_with_novelty(results: Results) -> Measurement:
    """Measure Spearman's correlation of a photograph's novelty with the network's ΔE00 on it, mean over seeds.

    The interval is that of Fisher's transformation, with the variance 1.06 / (n - 3) of Spearman's coefficient
    (Fieller, Hartley, Pearson 1957).
    """
    pixels = read_pixels(results)
    errors: dict[str, list[float]] = {}
    for seed, row in results.scores:
        if row.method == NETWORK and seed is not None:
            errors.setdefault(row.image, []).append(row.delta_e00)
    means = {image: fmean(values) for image, values in errors.items()}
    correlations = {}
    for name in (NOVELTY, RARITY):
        measured = pixels.of(name)
        correlations[name], _ = rank_correlation(_values(measured, means), list(means.values()))
    value = correlations[NOVELTY]
    half = NormalDist().inv_cdf(0.975) * math.sqrt(1.06 / (len(means) - 3))
    low, high = (math.tanh(math.atanh(value) + side * half) for side in (-1, 1))
    return over_photographs(
        results,
        [Estimate(value=value, low=low, high=high)] * len(results.profile.seeds),
        "{:+.2f}".format,
        "Photographs whose gray picture is farther from the training photographs have a ΔE00 that goes with it by "
        f"{{number}}; with the rarity of their colors in training it goes by {correlations[RARITY]:+.2f}.",
        target="pixels",
    )


TYPES: dict[str, Callable[[float, float], bool]] = {
    "animals": lambda animal, landform: animal > 0.5,
    "landforms": lambda animal, landform: landform > 0.5,
    "others": lambda animal, landform: animal <= 0.5 and landform <= 0.5,
}
"""Types of photographs by the probabilities that EfficientNet-Lite0 gives them."""
FEWEST = 20
"""Number of photographs from which on a type can decide."""


def share_better_than_gray_by_type(results: Results) -> Measurement:
    """Measure the share of photographs on which the network has a higher PSNR than gray, in the type with the least.

    Types with fewer than `FEWEST` photographs are listed, and decide nothing.
    """
    pixels = read_pixels(results)
    animal, landform = pixels.of(ANIMAL), pixels.of(LANDFORM)
    gray = {row.image: row.psnr for _, row in results.scores if row.method == "gray"}
    shares, large = {}, []
    for name, belongs in TYPES.items():
        images = [image for image in gray if belongs(animal[image], landform[image])]
        own = [
            {row.image: row.psnr for of, row in results.scores if (of, row.method) == (seed, NETWORK)}
            for seed in results.profile.seeds
        ]
        if images:
            shares[f"{len(images)} {name}"] = [
                mean_over_images([float(psnr[image] > gray[image]) for image in images]) for psnr in own
            ]
        if len(images) >= FEWEST:
            large.append(f"{len(images)} {name}")
    least = min(large, key=lambda name: joined(shares[name]).value)
    listed = ", ".join(f"{joined(estimates).value:.0%} of {name}" for name, estimates in shares.items())
    return over_photographs(
        results,
        shares[least],
        "{:.0%}".format,
        f"The network is closer to the truth than gray is on {listed}.",
        photographs=f"{least} of the {results.photographs}",
        target="pixels",
    )


MEASUREMENTS: dict[str, Callable[[Results], Measurement]] = {
    function.__name__: function
    for function in (
        explained_fine_color, gain_in_color_distribution, paler_where_ambiguous, gain_in_faces, redness_of_skin,
        error_with_novelty, share_better_than_gray_by_type,
    )
}  # fmt: skip
"""Measurements by the names that paper/claims.yaml uses."""
