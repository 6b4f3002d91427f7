"""Measurements of scores: on the test photographs, on published ones, on faces, and of the points of sweeps."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import torch

from colorlib.color import gray_rgb, lightness, to_bytes
from colorlib.colorizers import load_run
from colorlib.companion import paper
from colorlib.companion.artifacts.published import ZHANG
from colorlib.companion.claims.measurement import Measurement, epochs_between, over_photographs, spread_text
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.sweeps.summary import ENOUGH, differences, photographs, students_interval, sweep_rows
from colorlib.evaluate import NETWORK, NETWORK_TRUE_L, Estimate, mean_over_images
from colorlib.metrics import NEAR_GRAY_CHROMA, mse, psnr_of
from colorlib.photos import open_photos


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


def mean_psnr_on_test(results: Results) -> Measurement:
    """Read the network's PSNR in the literature's convention: the mean of the photographs' PSNRs, in dB."""
    gray = results.summaries("gray")[0].mean_psnr.value
    return over_photographs(
        results,
        [summary.mean_psnr for summary in results.summaries(NETWORK)],
        "{:.2f} dB".format,
        f"The mean of the photographs' PSNRs is {{number}}, where gray alone gets {gray:.2f} dB.",
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
    """Measure the network's gain in PSNR of the pooled MSE over the training photographs' mean color, in dB."""
    return _gain(
        results,
        "mean chroma",
        "The network as printed differs by {number} from the training photographs' mean color, its colors on the "
        "photograph's own L by {true_l}.",
    )


def gain_over_look_up_table(results: Results) -> Measurement:
    """Measure the network's gain in PSNR of the pooled MSE over a table from L to color, in dB."""
    return _gain(
        results,
        "look-up table",
        "The network as printed differs by {number} from a table that sees one pixel, its colors on the photograph's "
        "own L by {true_l}.",
    )


def _gain(results: Results, baseline: str, why: str) -> Measurement:
    """Return the network's gain over a baseline; `{true_l}` in the sentence becomes the gain with the true L."""
    gains = {
        method: [gain for summary in results.summaries(method, reference=baseline) if (gain := summary.psnr_gain)]
        for method in (NETWORK, NETWORK_TRUE_L)
    }
    true_l = fmean(gain.value for gain in gains[NETWORK_TRUE_L])
    why = why.replace("{true_l}", f"{true_l:+.2f} dB")
    return over_photographs(results, gains[NETWORK], "{:+.2f} dB".format, why)


def gain_of_zhang(results: Results) -> Measurement:
    """Measure the gain in mean PSNR of Zhang et al. (2016) over the network on photographs they published, in dB."""
    colored = [row for row in results.published if row[1].truth_chroma >= NEAR_GRAY_CHROMA]
    images = len({row.image for _, row in colored})
    return over_photographs(
        results,
        results.paired_means(lambda theirs, ours: theirs.psnr - ours.psnr, ZHANG, NETWORK, scores=colored),
        "{:+.2f} dB".format,
        "On the same photographs the published results of Zhang et al. have a mean PSNR that differs by {number} from "
        "the network's.",
        photographs=f"{images} photographs of zhang2016 that are not near gray",
        target="peers",
    )


def share_better_than_gray(results: Results) -> Measurement:
    """Measure the share of the test photographs on which the network has a higher PSNR than gray."""
    return over_photographs(
        results,
        results.paired_means(lambda ours, gray: float(ours.psnr > gray.psnr), NETWORK, "gray"),
        "{:.0%}".format,
        "The network is closer to the truth than gray is on {number} of the test photographs.",
    )


def lost_colorfulness(results: Results) -> Measurement:
    """Measure the share of the truth's colorfulness that the network's predictions lack."""
    truth = results.summaries(NETWORK)[0].truth_colorfulness
    return over_photographs(
        results,
        results.paired_means(lambda ours, _: (ours.truth_colorfulness - ours.colorfulness) / truth, NETWORK, "gray"),
        "{:.0%}".format,
        f"Predictions lack {{number}} of the truth's mean colorfulness of {truth:.1f}: where colors are ambiguous, the "
        "squared error is least at their mean.",
    )


def lost_colorfulness_of_zhang(results: Results) -> Measurement:
    """Measure the share of the truth's colorfulness that the published results of Zhang et al. (2016) lack."""
    theirs = [row for _, row in results.published if row.method == ZHANG]
    truth = fmean(row.truth_colorfulness for row in theirs)
    measured = over_photographs(
        results,
        [mean_over_images([(row.truth_colorfulness - row.colorfulness) / truth for row in theirs])],
        "{:.0%}".format,
        f"Their colorizations lack {{number}} of the truth's mean colorfulness of {truth:.1f}.",
        photographs=f"{len(theirs)} photographs of zhang2016",
        target="peers",
    )
    # None of our runs is part of it.
    return replace(measured, seeds=None, updates=None, crop_size=None)


def gain_in_color_difference(results: Results) -> Measurement:
    """Measure the mean ΔE00 of the training photographs' mean color less that of the network."""
    return over_photographs(
        results,
        results.paired_means(lambda mean, ours: mean.delta_e00 - ours.delta_e00, "mean chroma", NETWORK),
        "{:+.2f}".format,
        "The mean ΔE00 of one color for all pixels differs by {number} from the network's.",
    )


def lost_ssim(results: Results) -> Measurement:
    """Measure the SSIM of the network's colors on the photograph's own L less that of the raw RGB output."""
    return over_photographs(
        results,
        results.paired_means(lambda true_l, raw: true_l.ssim - raw.ssim, NETWORK_TRUE_L, NETWORK),
        "{:.3f}".format,
        "The same colors on the photograph's own L have an SSIM higher by {number}: detail that the input held is lost "
        "on the way through the network.",
    )


PORTRAITS = ("grace_hopper", "astronaut")
"""Bundled photographs of a face."""
SMALL = "bundled@256"
"""Photographs that `gain_on_faces` colors: the small ones say as much in a third of the time."""


def gain_on_faces(results: Results) -> Measurement:
    """Measure the gain in PSNR over gray on portraits less that on others, none of them trained on, in dB."""
    seeds = results.profile.seeds
    splits = ("test",) if results.profile.photos == "bundled" else ("train", "val", "test")
    photos = [photo for split in splits for photo in open_photos(SMALL, split) if "motorcycle" not in photo.name]
    gains = []
    for seed in seeds:
        # Color each photograph
        colorize = load_run(results.profile.run(seed))
        gain = {}
        for photo in photos:
            truth = torch.from_numpy(photo.load()).permute(2, 0, 1)
            light = lightness(truth).unsqueeze(0)
            ours, gray = (psnr_of(mse(to_bytes(rgb), truth)) for rgb in (colorize(light)[0], gray_rgb(light)[0]))
            gain[photo.name] = ours - gray
        # Compare the portraits with the others
        faces = [value for name, value in gain.items() if Path(name).stem in PORTRAITS]
        others = [value for name, value in gain.items() if Path(name).stem not in PORTRAITS]
        gains.append(fmean(faces) - fmean(others))
    return Measurement(
        value=round(fmean(gains), 3),  # computed by a network: further digits depend on the processor
        text=f"{fmean(gains):+.2f} dB",
        why=f"On {_count(faces, 'portrait')} the gain over gray is {abs(fmean(gains)):.2f} dB "
        f"{'higher' if fmean(gains) > 0 else 'lower'} than on {_count(others, 'other photograph')}: too few to say "
        "anything of faces.",
        command=results.command("figures2_3"),
        sd=round(stdev(gains), 3) if len(gains) > 1 else None,
        seeds=len(gains),
        photographs=f"{len(photos)} bundled photographs that were not trained on",
        updates=results.profile.config.updates,
        crop_size=results.profile.config.crop_size,
    )


def _count(values: Sequence[float], noun: str) -> str:
    return f"{len(values)} {noun}{'' if len(values) == 1 else 's'}"


REFERENCE = "paper"
"""The point of a sweep that changes nothing."""
OTHER_LOSSES = ("l1", "perceptual-random", "adversarial")
"""Points of the sweep `outlook` that are trained with another loss than the squared error."""


def gain_of_augmentation(results: Results) -> Measurement:
    """Measure the change in MSE on validation photographs when training has no flips and turns."""
    return _change(
        results, "augmentation", "none", "MSE", "{:+.4f}".format,
        "Without flips and turns the MSE changes by {number}, the PSNR by {psnr}.",
    )  # fmt: skip


def gain_over_other_losses(results: Results) -> Measurement:
    """Measure the gain in PSNR of the squared error over the best of the other losses, in dB."""
    show = "{:+.2f} dB".format
    changes = {point: _change(results, "outlook", point, "PSNR of MSE", show, "{number}") for point in OTHER_LOSSES}
    best = max(changes.values(), key=lambda change: change.value)
    assert best.low is not None
    assert best.high is not None
    low, high = -best.high, -best.low
    return replace(
        best,
        value=-best.value,
        text=show(-best.value) + best.text.removeprefix(show(best.value)),
        low=low,
        high=high,
        interval=f"{show(low)} to {show(high)} (95 % over seeds)",
        why="Another loss changes the PSNR of the pooled MSE: "
        + ", ".join(f"{point} by {change.why}" for point, change in changes.items())
        + ".",
    )


def gain_of_skip_connections(results: Results) -> Measurement:
    """Measure the change in SSIM of the raw RGB output with skip connections."""
    return _change(
        results, "outlook", "skip", "SSIM", "{:+.3f}".format,
        "With skip connections the SSIM of the network's picture changes by {number}, its PSNR by {psnr}.",
    )  # fmt: skip


def gain_of_perceptual_loss(results: Results) -> Measurement:
    """Measure the change in colorfulness with a perceptual loss on ImageNet features.

    Raises:
        NotMeasuredError: the sweep was not run; the message gives the change with random features, if that is known.
    """
    show = "{:+.1f}".format
    try:
        return _change(
            results, "perceptual", "perceptual", "colorfulness", show,
            "Trained on a perceptual loss, the colorfulness changes by {number}, the PSNR by {psnr}.",
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
            f"{spread_text(random, show)} ({seeds})"
        ) from error


def gain_of_adversarial_loss(results: Results) -> Measurement:
    """Measure the change in colorfulness with a discriminator."""
    return _change(
        results, "outlook", "adversarial", "colorfulness", "{:+.1f}".format,
        "Trained against a discriminator, the colorfulness changes by {number}, the PSNR by {psnr}.",
    )  # fmt: skip


def gain_of_lab(results: Results) -> Measurement:
    """Measure the change in PSNR, in dB, when a and b are predicted instead of R, G and B: raw outputs compared."""
    return _change(
        results, "outlook", "lab", "PSNR of MSE", "{:+.2f} dB".format,
        "Predicting a and b changes the PSNR by {number} against RGB as printed, and by {true_l} against RGB's own a "
        "and b with the true L.",
    )  # fmt: skip


def gain_of_more_photographs(results: Results) -> Measurement:
    """Measure the change in PSNR, in dB, when ImageNet photographs are added to the training, at equal updates.

    Where the paper's network was not trained so, the U-Net of the sweep `data_scaling` decides.
    """
    show, why = "{:+.2f} dB".format, "on ImageNet's photographs besides, at equal updates, changes the PSNR by"
    try:
        return _change(results, "more_data", "both", "PSNR of MSE", show, f"Training {why} {{number}}.")
    except NotMeasuredError as error:
        try:
            unet = f"Training the U-Net within the paper's budget {why} {{number}}."
            return _change(results, "data_scaling", "and-imagenet", "PSNR of MSE", show, unet, reference="all")
        except NotMeasuredError as other:
            raise NotMeasuredError(f"{error}. With the U-Net: {other}") from error


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


def _change(
    results: Results,
    sweep: str,
    point: str,
    column: str,
    show: Callable[[float], str],
    why: str,
    reference: str = REFERENCE,
) -> Measurement:
    """Return the mean over seeds of a column's change, with its interval.

    Args:
        results: of the profile that is judged.
        sweep: a sweep.
        point: the point that is compared with `reference`.
        column: a column of the sweep's summary.
        show: formats the change.
        why: the sentence about the claim; `{number}` in it becomes the formatted change, `{psnr}` that of the PSNR of
            the pooled MSE and `{true_l}` the same with the true L.
        reference: a point of the sweep.

    Raises:
        NotMeasuredError: the sweep, or the point, has fewer than `ENOUGH` seeds.
    """
    changes = _PointChanges(results, sweep, point, reference)
    values = changes.of(column)
    if len(values) < ENOUGH:
        so_far = f" ({column} {show(fmean(values))} so far)" if values else ""
        raise NotMeasuredError(
            f"There are {len(values)} of the {ENOUGH} seeds that a difference is claimed on{so_far}; "
            f"{changes.command} SEEDS={','.join(map(str, range(ENOUGH)))} makes them"
        )
    low, high = students_interval(values)
    of = changes.of_point.iloc[0].to_dict()
    number = show(fmean(values))
    return Measurement(
        value=fmean(values),
        text=number + spread_text(values, show),
        why=why.format(
            number=number,
            psnr=f"{fmean(changes.of('PSNR of MSE')):+.2f} dB",
            true_l=f"{fmean(changes.of('PSNR of MSE', NETWORK_TRUE_L)):+.2f} dB",
        ),
        command=changes.command,
        low=low,
        high=high,
        interval=f"{show(low)} to {show(high)} (95 % over seeds)",
        sd=stdev(values),
        seeds=len(values),
        photographs=photographs(of),
        updates=int(of["updates"]),
    )


MEASUREMENTS: dict[str, Callable[[Results], Measurement]] = {
    function.__name__: function
    for function in (
        mse_on_test, psnr_of_test_mse, mean_psnr_on_test, error_over_training_loss, gain_over_mean_chroma,
        gain_over_look_up_table, gain_of_zhang, share_better_than_gray, lost_colorfulness,
        lost_colorfulness_of_zhang, gain_in_color_difference, lost_ssim, gain_on_faces, gain_of_augmentation,
        gain_over_other_losses, gain_of_skip_connections, gain_of_perceptual_loss, gain_of_adversarial_loss,
        gain_of_lab, gain_of_more_photographs,
    )
}  # fmt: skip
"""Measurements by the names that paper/claims.yaml uses."""
