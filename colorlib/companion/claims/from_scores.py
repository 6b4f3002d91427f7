"""Measurements of scores: on the test photographs, on those of other sources, and of the points of sweeps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import pandas as pd

from colorlib.companion import paper
from colorlib.companion.artifacts import datasets
from colorlib.companion.artifacts.published import GRAY_AS_PUBLISHED, IMAGENET, PEERS, SOURCE, ZHANG
from colorlib.companion.claims.measurement import (
    HOME,
    SEEDS_ALONE,
    Gain,
    Measurement,
    epochs_between,
    gains,
    over_gains,
    over_photographs,
    over_seeds,
)
from colorlib.companion.costs import multiply_adds_per_pixel
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.steps import DOMAINS, ELSEWHERE, LIGHTWEIGHT, cross_dataset_scores
from colorlib.companion.sweeps.summary import ENOUGH, differences, photographs, sweep_rows
from colorlib.evaluate import NETWORK, NETWORK_TRUE_L, Estimate, mean_over_images, read_scores
from colorlib.metrics import NEAR_GRAY_CHROMA, Score


def mse_on_test(results: Results) -> Measurement:
    """Read the network's MSE in Table I."""
    summaries = results.summaries(NETWORK)
    gray = results.summaries("gray")[0].mse.value
    return over_photographs(
        results,
        [summary.mse for summary in summaries],
        "{:.4f}".format,
        f"On these photographs gray alone gets {gray:.4f} and the network {{number}}; the paper's {paper.MSE} is of "
        "photographs it does not name.",
    )


def psnr_of_test_mse(results: Results) -> Measurement:
    """Read the network's PSNR in the paper's convention: that of the pooled MSE, in dB."""
    gray = results.summaries("gray")[0].psnr_of_mse.value
    return over_photographs(
        results,
        [summary.psnr_of_mse for summary in results.summaries(NETWORK)],
        "{:.2f} dB".format,
        f"The PSNR of the pooled MSE is {{number}}, where gray alone gets {gray:.2f} dB.",
    )


def error_over_training_loss(results: Results) -> Measurement:
    """Measure the test MSE over the training loss of epoch 40; the paper gives both the same value."""
    errors = [summary.mse for summary in results.summaries(NETWORK)]
    losses = [epochs_between(history, 40, 40, "training_loss")[0] for history in results.histories]
    return over_photographs(
        results,
        [
            Estimate(value=error.value / loss, low=error.low / loss, high=error.high / loss)
            for error, loss in zip(errors, losses, strict=True)
        ],
        "{:.2f} ×".format,
        "Ours: the test error is {number} the training loss of epoch 40, measured on other crops of other photographs.",
    )


def gain_over_mean_chroma(results: Results) -> Measurement:
    """Measure the network's gains over the training photographs' mean color, at home and on another source."""
    return _gains_over_baseline(
        results, "mean chroma", "The network is compared with one color for all pixels, the training photographs' mean."
    )


def gain_over_look_up_table(results: Results) -> Measurement:
    """Measure the network's gains over a table from L to color, at home and on another source."""
    return _gains_over_baseline(
        results, "look-up table", "The network is compared with a table of 256 colors, which sees one pixel."
    )


def _gains_over_baseline(results: Results, baseline: str, why: str) -> Measurement:
    """Return the network's gains over a baseline on the test photographs and on those of `zhang2016`."""
    seeds = results.profile.seeds
    found = [
        *gains(results.scores, seeds, NETWORK, baseline, place=HOME),
        *gains(results.published, seeds, NETWORK, baseline, place=f"on {SOURCE}"),
    ]
    photographs = f"{results.photographs}, {_published_photographs(results)}"
    try:
        elsewhere = results.scores_elsewhere()
    except NotMeasuredError as error:
        why = f"{why} {error}."
    else:
        found += gains(elsewhere, seeds, NETWORK, baseline, place=f"on {ELSEWHERE}")
        photographs += f", {len({row.image for _, row in elsewhere})} test photographs of {ELSEWHERE}"
    return over_gains(results, found, why, photographs=photographs, target="peers")


def _published_photographs(results: Results) -> str:
    images = {row.image for _, row in results.published if row.truth_chroma >= NEAR_GRAY_CHROMA}
    return f"{len(images)} photographs of {SOURCE} that are not near gray"


def gain_of_zhang(results: Results) -> Measurement:
    """Measure the gains of Zhang et al. (2016) over the network on photographs they published."""
    seeds, place = results.profile.seeds, f"on {SOURCE}"
    found = gains(results.published, seeds, ZHANG, NETWORK, place=place)
    (true_l, *_) = gains(results.published, seeds, ZHANG, NETWORK_TRUE_L, place=place)
    return over_gains(
        results,
        found,
        f"The published results of Zhang et al., whose network learned from {IMAGENET}, are compared with the "
        f"network's output; over its a and b with the true L, which they keep too, the gain in {true_l.text}.",
        photographs=_published_photographs(results),
        target="peers",
    )


def gain_over_lightweight(results: Results) -> Measurement:
    """Measure the network's gains over the U-Net of profile `lightweight` on the same test photographs.

    Raises:
        NotMeasuredError: that profile was not scored, or on other seeds.
    """
    other = results.other(LIGHTWEIGHT)
    seeds = [seed for seed in results.profile.seeds if seed in other.profile.seeds]
    if not seeds or other.profile.photos != results.profile.photos:
        raise NotMeasuredError(f"Profile {LIGHTWEIGHT} has other photographs or seeds than {results.profile.name}")
    name = f"{LIGHTWEIGHT} network"
    theirs = [
        (seed, replace(row, method=name)) for seed, row in other.scores if seed in seeds and row.method == NETWORK
    ]
    found = gains([*results.scores, *theirs], seeds, NETWORK, name, place=HOME)
    own, theirs_cost = (multiply_adds_per_pixel(each.profile.config) for each in (results, other))
    return over_gains(
        results,
        found,
        f"The network is compared with a U-Net of {theirs_cost / own:.0%} of its multiply-adds, trained with as many "
        "updates, but in LAB, on larger crops and with a falling learning rate.",
        photographs=results.photographs,
        target="table1",
    )


def lost_colorfulness_of_published(results: Results) -> Measurement:
    """Measure the share of the truth's colorfulness that published colorizers lack: their mean, over colorizers."""
    lacks = {}
    for method in (name for name in PEERS if name != GRAY_AS_PUBLISHED):
        rows = [row for _, row in results.published if row.method == method and row.truth_chroma >= NEAR_GRAY_CHROMA]
        truth = fmean(row.truth_colorfulness for row in rows)
        lacks[method] = mean_over_images([(row.truth_colorfulness - row.colorfulness) / truth for row in rows])
    values = [lack.value for lack in lacks.values()]
    error = over_seeds(values)
    assert error is not None
    low, high = error.interval(fmean(values))
    listed = ", ".join(f"{method} {lack.value:.0%} [{lack.low:.0%}, {lack.high:.0%}]" for method, lack in lacks.items())
    return Measurement(
        value=fmean(values),
        show="{:.0%}".format,
        why=f"Of the truth's mean colorfulness they lack: {listed} (95 % over photographs).",
        command=results.command("peers"),
        low=low,
        high=high,
        over=f"over {len(values)} colorizers",
        photographs=_published_photographs(results),
    )


def gain_of_own_domain(results: Results) -> Measurement:
    """Measure the gain in PSNR of training on the domain that is scored, over training elsewhere, in dB.

    It is the smaller of the gains on the sources of `DOMAINS`; the sentence gives all.

    Raises:
        NotMeasuredError: a source was not scored.
    """
    found: dict[str, Gain] = {}
    for name in DOMAINS:
        there = results.other(name)
        source = there.profile.photos
        if source == results.profile.photos:
            raise NotMeasuredError(f"Profile {results.profile.name} is trained on {source} itself")
        rows: list[tuple[int | None, Score]] = [
            (None, replace(row, method=OWN)) for _, row in there.scores if row.method == NETWORK
        ]
        for seed in results.profile.seeds:
            path = cross_dataset_scores(results.profile, there.profile, seed)
            if not path.is_file():
                run = f"results/{results.profile.name}/seed-{seed}"
                raise NotMeasuredError(f"`colorlib evaluate {run} --photos {source}` was not run")
            rows += [(seed, row) for row in read_scores(path) if row.method == NETWORK]
        found[source] = gains(rows, results.profile.seeds, OWN, NETWORK, place=f"on {source}")[0]
    smallest = min(found.values(), key=lambda gain: gain.value)
    return Measurement(
        value=smallest.value,
        show="{:+.2f} dB".format,
        why="Training on photographs of the same source, in one run each, changes the "
        f"{', the '.join(f'{gain.text} {gain.place}' for gain in found.values())}, against the network trained on "
        f"{results.profile.photos}.",
        command=f"colorlib reproduce --profile {results.profile.name} --only 08_sources",
        low=smallest.low,
        high=smallest.high,
        over="over photographs and the seeds trained elsewhere",
        seeds=len(results.profile.seeds),
        photographs=" and ".join(f"test photographs of {source}" for source in found),
        updates=results.updates,
    )


EVERYTHING, ONE_SOURCE = "all", "bsds500"
"""Points of the sweep `train_test` that are compared, of the paper's network: trained on all sources, and on one."""
SMALLER = "U-Net"
"""The end of the names of the same two points of a network with a fraction of the arithmetic."""


def gain_of_all_sources(results: Results) -> Measurement:
    """Measure the gain in PSNR of training the paper's network on all sources over training on one, in dB.

    It is the smallest of the mean gains over seeds on the sources that the one is not; the sentence gives all, and
    those of the U-Net. Updates are equal.

    Raises:
        NotMeasuredError: fewer than `ENOUGH` seeds of both points were scored on a source.
    """
    profile = results.other("cpu").profile
    command = f"make sweep SWEEP={datasets.TRAIN_TEST} PROFILE={profile.name}"
    rows = datasets.train_test_rows(profile)
    if rows.empty:
        raise NotMeasuredError(f"The runs are not made yet; {command} makes them")
    found = _gains_by_source(rows, EVERYTHING, ONE_SOURCE)
    for photos, of_source in found.items():
        if len(of_source) < ENOUGH:
            raise NotMeasuredError(f"There are {len(of_source)} of {ENOUGH} seeds scored on {photos}; {command}")
    home = results.profile.photos
    value, photos = min((fmean(of_source), photos) for photos, of_source in found.items() if photos != home)
    error = over_seeds(found[photos])
    assert error is not None
    low, high = error.interval(value)
    smaller = _gains_by_source(rows, *(f"{point}, {SMALLER}" for point in (EVERYTHING, ONE_SOURCE)))
    beside = f"; a U-Net by {_listed_gains(smaller)}" if all(smaller.values()) else ""
    return Measurement(
        value=value,
        show="{:+.2f} dB".format,
        why=f"Trained on all sources in place of {home} alone, the network changes by {_listed_gains(found)}{beside}.",
        command=command,
        low=low,
        high=high,
        over=SEEDS_ALONE,
        error=error,
        seeds=len(found[photos]),
        photographs="test photographs of " + " and ".join(name for name in found if name != home),
        updates=int(rows["updates"].iloc[0]),
    )


def _gains_by_source(rows: pd.DataFrame, point: str, reference: str) -> dict[str, list[float]]:
    """Return a point's gain in PSNR over another on each scored source, for each seed that both have, in dB."""
    found: dict[str, list[float]] = {}
    for photos in datasets.TESTED:
        of_source = rows[rows["tested on"] == photos].set_index(["point", "seed"])["PSNR of MSE"].unstack()
        both = of_source.reindex([point, reference]).dropna(axis=1)
        found[photos] = list(map(float, (both.loc[point] - both.loc[reference]).to_numpy()))
    return found


def _listed_gains(found: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{fmean(of_source):+.2f} dB on {photos}" for photos, of_source in found.items())


OWN = "network of this domain"
"""Method label of a network that was trained on the source that is scored."""
REFERENCE = "paper"
"""The point of a sweep that changes nothing."""
FEW, ALL = "{photos}~0.1", "{photos}"
"""A tenth of the training photographs, on which a network overfits, and all: values of `photos` in `augmentation`."""
ON_FEATURES = "Training the U-Net on a perceptual loss with features of EfficientNet-Lite0"
"""What the point `perceptual-lite0` of the sweep `perceptual` changes, as the subject of a sentence."""


def gain_of_augmentation_on_few(results: Results) -> Measurement:
    """Measure the change in MSE when training on a tenth of the photographs has no flips and turns."""
    return _without_augmentation(results, FEW, "a tenth of the photographs")


def gain_of_augmentation_on_all(results: Results) -> Measurement:
    """Measure the change in MSE when training on all photographs has no flips and turns."""
    return _without_augmentation(results, ALL, "all photographs")


def _without_augmentation(results: Results, photos: str, words: str) -> Measurement:
    name = photos.replace("{photos}", results.profile.photos)
    return _change(
        results, "augmentation", f"none, photos={name}", "MSE", "{:+.4f}".format,
        f"Training the U-Net on {words} without flips and turns", reference=f"both, photos={name}",
    )  # fmt: skip


def gain_over_named_losses(results: Results) -> Measurement:
    """Measure the gain in PSNR of the squared error over the better of the losses that the paper names, in dB."""
    losses = [
        _loss_against_squared_error(results, "adversarial"),
        _loss_against_squared_error(results, "perceptual-lite0", "perceptual", "mse", ON_FEATURES),
    ]
    lowest = min(losses, key=lambda loss: loss.value)
    return replace(lowest, why=" ".join(loss.why for loss in losses))


def gain_over_l1(results: Results) -> Measurement:
    """Measure the gain in PSNR of the squared error over the absolute error, in dB.

    The sweep `contest` decides, with the updates of the profile and on test photographs; where it was not run,
    `outlook` does, with fewer updates and on validation photographs. The sentence gives both.
    """
    early = _loss_against_squared_error(results, "l1")
    if not (results.profile.sweep("contest") / "summary.csv").is_file():
        return early
    decides = _loss_against_squared_error(results, "l1", "contest")
    return replace(decides, why=f"{decides.why} After {early.updates:,} updates, on {early.photographs}: {early.why}")


def _loss_against_squared_error(
    results: Results, point: str, sweep: str = "outlook", reference: str = REFERENCE, what: str = ""
) -> Measurement:
    """Return the gain in PSNR of the squared error over a point that has another loss, in dB."""
    change = _change(
        results, sweep, point, "PSNR of MSE", "{:+.2f} dB".format, what or f"The loss {point}", reference=reference
    )
    assert change.low is not None
    assert change.high is not None
    return replace(change, value=-change.value, low=-change.high, high=-change.low)


def gain_of_skip_connections(results: Results) -> Measurement:
    """Measure the change in SSIM with skip connections, of the colors on the true L: no detail of L is counted."""
    return _change(
        results, "outlook", "skip", "SSIM", "{:+.4f}".format, "With the true L, adding skip connections",
        method=NETWORK_TRUE_L,
    )  # fmt: skip


def gain_of_perceptual_loss(results: Results) -> Measurement:
    """Measure the change in colorfulness with a perceptual loss on ImageNet features.

    Raises:
        NotMeasuredError: the sweep was not run; the message gives the change with random features, if that is known.
    """
    show = "{:+.1f}".format
    try:
        return _change(
            results, "perceptual", "perceptual-lite0", "colorfulness", show, ON_FEATURES, reference="mse",
        )  # fmt: skip
    except NotMeasuredError as error:
        try:
            random = _PointChanges(results, "outlook", "perceptual-random").of("colorfulness")
        except NotMeasuredError:
            random = []
        if not random:
            raise
        seeds = f"{len(random)} seeds" if len(random) >= ENOUGH else f"{len(random)} of {ENOUGH} seeds"
        raise NotMeasuredError(
            f"{error}. With randomly weighted features in their place the colorfulness changes by {show(fmean(random))}"
            f" ({seeds})"
        ) from error


def gain_of_adversarial_loss(results: Results) -> Measurement:
    """Measure the change in colorfulness with a discriminator."""
    return _change(
        results, "outlook", "adversarial", "colorfulness", "{:+.1f}".format, "Training against a discriminator"
    )


def gain_of_lab(results: Results) -> Measurement:
    """Measure the change in PSNR, in dB, when a and b are predicted instead of R, G and B: network outputs compared."""
    return _change(
        results, "outlook", "lab", "PSNR of MSE", "{:+.2f} dB".format, "Predicting a and b instead of R, G and B"
    )


class _PointChanges:
    """Changes of a sweep's point against a reference point, seed by seed.

    They are read from the sweep of the profile itself or, where that was not run, of profile `cpu`.

    Raises:
        NotMeasuredError: neither was run.
    """

    def __init__(self, results: Results, sweep: str, point: str, reference: str = REFERENCE) -> None:
        candidates = (results.profile, results.other("cpu").profile)
        profile = next((of for of in candidates if (of.sweep(sweep) / "summary.csv").is_file()), candidates[-1])
        self.command = f"make sweep SWEEP={sweep} PROFILE={profile.name}"
        if not (profile.sweep(sweep) / "summary.csv").is_file():
            raise NotMeasuredError(f"The runs are not made yet; {self.command} makes them")
        rows = sweep_rows(profile, sweep)
        changed = differences(rows, reference)
        self.of_point = rows[rows["point"] == point]
        self._changed = changed[changed["point"] == point]

    def of(self, column: str, method: str = NETWORK) -> list[float]:
        """Return the change of a column for each seed that both the point and the reference have."""
        return [float(value) for value in self._changed[self._changed["method"] == method][column]]


CHANGE_FORMATS: dict[str, Callable[[float], str]] = {
    "MSE": "{:+.4f}".format,
    "PSNR of MSE": "{:+.2f} dB".format,
    "mean PSNR": "{:+.2f} dB".format,
    "SSIM": "{:+.4f}".format,
    "ΔE00": "{:+.2f}".format,
    "colorfulness": "{:+.1f}".format,
}
"""Column of a sweep's summary -> the format of its change."""


def _change(
    results: Results,
    sweep: str,
    point: str,
    column: str,
    show: Callable[[float], str],
    what: str,
    *,
    method: str = NETWORK,
    reference: str = REFERENCE,
) -> Measurement:
    """Return the mean over seeds of a column's change, with its interval; the sentence gives all measures.

    Args:
        results: of the profile that is judged.
        sweep: a sweep.
        point: the point that is compared with the reference.
        column: a column of the sweep's summary.
        show: formats the change.
        what: the change of the point, as the subject of a sentence.
        method: the network's output, or its a and b with the true L.
        reference: the point that changes nothing.

    Raises:
        NotMeasuredError: the sweep, or the point, has fewer than `ENOUGH` seeds.
    """
    changes = _PointChanges(results, sweep, point, reference)
    values = changes.of(column, method)
    if len(values) < ENOUGH:
        so_far = f" ({column} {show(fmean(values))} so far)" if values else ""
        raise NotMeasuredError(
            f"There are {len(values)} of the {ENOUGH} seeds that a difference is claimed on{so_far}; "
            f"{changes.command} SEEDS={','.join(map(str, range(ENOUGH)))} makes them"
        )
    error = over_seeds(values)
    assert error is not None
    low, high = error.interval(fmean(values))
    of = changes.of_point.iloc[0].to_dict()
    listed = ", ".join(
        f"{name} by {form(fmean(changes.of(name, method)))}" for name, form in CHANGE_FORMATS.items() if name != "MSE"
    )
    return Measurement(
        value=fmean(values),
        show=show,
        why=f"{what} changes {listed}.",
        command=changes.command,
        low=low,
        high=high,
        over=SEEDS_ALONE,
        error=error,
        seeds=len(values),
        photographs=photographs(of),
        updates=int(of["updates"]),
    )


MEASUREMENTS: dict[str, Callable[[Results], Measurement]] = {
    function.__name__: function
    for function in (
        mse_on_test, psnr_of_test_mse, error_over_training_loss, gain_over_mean_chroma, gain_over_look_up_table,
        gain_of_zhang, gain_over_lightweight, lost_colorfulness_of_published, gain_of_own_domain, gain_of_all_sources,
        gain_of_augmentation_on_few, gain_of_augmentation_on_all, gain_over_named_losses, gain_over_l1,
        gain_of_skip_connections, gain_of_perceptual_loss, gain_of_adversarial_loss, gain_of_lab,
    )
}  # fmt: skip
"""Measurements by the names that paper/claims.yaml uses."""
