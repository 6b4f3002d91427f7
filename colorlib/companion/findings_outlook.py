"""Findings about the paper's outlook, read from the summaries of sweeps: what one change to its method is worth."""

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean, stdev

from colorlib.companion.evidence import Evidence, Finding, NotMeasuredError, spread_text
from colorlib.companion.paired import ENOUGH, differences, students_interval, sweep_rows
from colorlib.companion.sweep_summary import photographs
from colorlib.scoring import NETWORK, NETWORK_TRUE_L

REFERENCE = "paper"
"""The point of a sweep that changes nothing."""
OTHER_LOSSES = ("l1", "perceptual-random", "adversarial")


def gain_of_augmentation(evidence: Evidence) -> Finding:
    """The error that training without flips and turns adds on photographs that were not trained on."""
    return _change(
        evidence, "augmentation", "none", "MSE", "{:+.4f}".format,
        "Without flips and turns the MSE changes by {number}, the PSNR by {psnr}.",
    )  # fmt: skip


def gain_over_other_losses(evidence: Evidence) -> Finding:
    """What the squared error gains over the best of the other losses, by its own measure."""
    show = "{:+.2f} dB".format
    changes = {point: _change(evidence, "outlook", point, "PSNR of MSE", show, "{number}") for point in OTHER_LOSSES}
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


def gain_of_skip_connections(evidence: Evidence) -> Finding:
    """The structure that skip connections keep: SSIM of the picture as printed."""
    return _change(
        evidence, "outlook", "skip", "SSIM", "{:+.3f}".format,
        "With skip connections the SSIM of the network's picture changes by {number}, its PSNR by {psnr}.",
    )  # fmt: skip


def gain_of_perceptual_loss(evidence: Evidence) -> Finding:
    """The colorfulness that a perceptual loss on ImageNet's features adds."""
    show = "{:+.1f}".format
    try:
        return _change(
            evidence, "perceptual", "perceptual", "colorfulness", show,
            "Trained on a perceptual loss, the colorfulness changes by {number}, the PSNR by {psnr}.",
        )  # fmt: skip
    except NotMeasuredError as error:
        try:
            random = _Changes(evidence, "outlook", "perceptual-random").of("colorfulness")
        except NotMeasuredError:
            random = []
        if not random:
            raise
        seeds = f"{len(random)} seeds" if len(random) >= ENOUGH else f"{len(random)} of {ENOUGH} seeds"
        raise NotMeasuredError(
            f"{error}. With randomly weighted features in their place the colorfulness changes by {show(fmean(random))}"
            f"{spread_text(random, show)} ({seeds})"
        ) from error


def gain_of_adversarial_loss(evidence: Evidence) -> Finding:
    """The colorfulness that a discriminator adds."""
    return _change(
        evidence, "outlook", "adversarial", "colorfulness", "{:+.1f}".format,
        "Trained against a discriminator, the colorfulness changes by {number}, the PSNR by {psnr}.",
    )  # fmt: skip


def gain_of_lab(evidence: Evidence) -> Finding:
    """What predicting a and b gains over predicting R, G and B, pictures as printed."""
    return _change(
        evidence, "outlook", "lab", "PSNR of MSE", "{:+.2f} dB".format,
        "Predicting a and b changes the PSNR by {number} against RGB as printed, and by {true_l} against RGB's own a "
        "and b with the true L.",
    )  # fmt: skip


def gain_of_more_photographs(evidence: Evidence) -> Finding:
    """What training on a second source besides gains on the first; where the paper's network has not, the U-Net did."""
    show, why = "{:+.2f} dB".format, "on ImageNet's photographs besides, at equal updates, changes the PSNR by"
    try:
        return _change(evidence, "more_data", "both", "PSNR of MSE", show, f"Training {why} {{number}}.")
    except NotMeasuredError as error:
        try:
            unet = f"Training the U-Net within the paper's budget {why} {{number}}."
            return _change(evidence, "data_scaling", "and-imagenet", "PSNR of MSE", show, unet, reference="all")
        except NotMeasuredError as other:
            raise NotMeasuredError(f"{error}. With the U-Net: {other}") from error


class _Changes:
    """What a point of a sweep changes, seed by seed.

    The sweep of the evidence's own profile decides; where it was not run, that of the profile `cpu`.

    Raises:
        NotMeasuredError: neither was run.
    """

    def __init__(self, evidence: Evidence, sweep: str, point: str, reference: str = REFERENCE) -> None:
        candidates = (evidence.profile, evidence.other("cpu").profile)
        profile = next((of for of in candidates if (of.sweep(sweep) / "summary.csv").is_file()), candidates[-1])
        self.command = f"make sweep SWEEP={sweep} PROFILE={profile.name}"
        if not (profile.sweep(sweep) / "summary.csv").is_file():
            raise NotMeasuredError(f"The runs are not made yet; {self.command} makes them")
        rows = sweep_rows(profile, sweep)
        changed = differences(rows, reference)
        self.of_point = rows[rows["point"] == point]
        self._changed = changed[changed["point"] == point]

    def of(self, column: str, method: str = NETWORK) -> list[float]:
        """The change of a figure, for each seed that both the point and the reference have."""
        return [float(value) for value in self._changed[self._changed["method"] == method][column]]


def _change(
    evidence: Evidence,
    sweep: str,
    point: str,
    column: str,
    show: Callable[[float], str],
    why: str,
    reference: str = REFERENCE,
) -> Finding:
    """The mean change of a figure over seeds, with its interval.

    Raises:
        NotMeasuredError: the sweep, or the point, has fewer than `ENOUGH` seeds.
    """
    changes = _Changes(evidence, sweep, point, reference)
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
    return Finding(
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
