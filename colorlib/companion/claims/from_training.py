"""Measurements of the network itself, of loss histories, and of a small interrupted training."""

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import nn

from colorlib import rng
from colorlib.companion import paper
from colorlib.companion.claims.measurement import SEEDS_ALONE, Measurement, epochs_between, over_epochs, over_seeds
from colorlib.companion.costs import (
    IizukaNetwork,
    LarssonTrunk,
    Pix2pixUNet,
    ZhangNetwork,
    multiply_adds,
    receptive_field,
)
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.steps import point_histories
from colorlib.config import RunConfig
from colorlib.metrics import psnr_of
from colorlib.model import parameter_count
from colorlib.runs import Run, Update
from colorlib.trainer import train

BLOCK = 10
"""Epochs that are averaged for a trend, and that noise is measured over."""
STABLE = (41, 100)
"""First and last epoch of the time in which the paper calls the loss stable (Sec. IV.A)."""
SIZES = ((1, 1), (7, 13), (48, 48), (96, 64), (321, 481))
"""Sizes of the inputs of `output_size_kept`, height × width in pixels."""


def output_size_kept(results: Results) -> Measurement:
    """Measure the share of `SIZES` that the network keeps."""
    network = results.network()
    with torch.inference_mode():
        equal = [network(torch.rand(1, 1, *size)).shape == (1, 3, *size) for size in SIZES]
    return Measurement(
        value=fmean(equal),
        show=lambda _: f"{sum(equal)} of {len(equal)} sizes",
        why=f"L alone goes in, and {sum(equal)} of {len(equal)} sizes come out as they were, with three channels.",
        command="colorlib claims",
    )


def output_range(results: Results) -> Measurement:
    """Measure the share of output values in [0, 1], on noise and on inputs a hundred times too large."""
    network = results.network()
    noise = torch.from_numpy(rng.uniforms(64 * 64, 0, "output range")).float().view(1, 1, 64, 64)
    with torch.inference_mode():
        values = torch.cat([network(scale * noise).flatten() for scale in (1, 100, -100)])
    share = float(((values >= 0) & (values <= 1)).double().mean())
    return Measurement(
        value=share,
        show="{:.0%} of the values".format,
        why=f"Of {values.numel():,} output values {share:.0%} lie in [0, 1].",
        command="colorlib claims",
    )


def parameters(results: Results) -> Measurement:
    """Count the trained scalars of the network."""
    count = parameter_count(results.network())
    return Measurement(
        value=count,
        show="{:,.0f}".format,
        why=f"The layers as the paper lists them hold {count:,} weights and biases, which rounds to "
        f"{round(count, -5) // 1000} thousand.",
        command="colorlib claims",
    )


COMPARED_NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "Zhang et al. 2016": ZhangNetwork,
    "Iizuka et al. 2016": IizukaNetwork,
    "the U-Net of pix2pix": Pix2pixUNet,
}
"""Networks that the paper names, whose layers are known: its references 1, 3 and 10."""


def parameters_over_others(results: Results) -> Measurement:
    """Measure the network's parameters as a share of those of the smallest of `COMPARED_NETWORKS`."""
    with torch.device("meta"):
        others = {name: parameter_count(build()) for name, build in COMPARED_NETWORKS.items()}
    ours, smallest = parameter_count(results.network()), min(others.values())
    listed = ", ".join(f"{name} {count:,}" for name, count in others.items())
    return Measurement(
        value=ours / smallest,
        show="{:.3f}".format,
        why=f"It has {ours:,} parameters; others: {listed}.",
        command="colorlib claims",
    )


def multiply_adds_over_others(results: Results) -> Measurement:
    """Measure the network's multiply-adds as a multiple of those of the most expensive of `COMPARED_NETWORKS`."""
    side = 256
    with torch.device("meta"):
        ours = multiply_adds(results.network(), side, side)
        others = {name: multiply_adds(build(), side, side) for name, build in COMPARED_NETWORKS.items()}
        trunk = multiply_adds(LarssonTrunk(), side, side)
    listed = ", ".join(f"{name} {count / 1e9:.1f} G ({ours / count:.1f} ×)" for name, count in others.items())
    return Measurement(
        value=ours / max(others.values()),
        show=lambda smallest: f"{smallest:.1f} to {ours / min(others.values()):.1f} ×",
        why=f"At full resolution in every layer it takes {ours / 1e9:.1f} G multiply-adds for a {side} × {side} image "
        f"({ours / side**2:,.0f} per pixel); the networks that it builds on work on smaller maps: {listed}. Larsson et "
        f"al. 2016 need at least {trunk / 1e9:.1f} G, those of VGG-16 (at most {ours / trunk:.1f} ×).",
        command="colorlib claims",
    )


def receptive_width(results: Results) -> Measurement:
    """Measure the width in pixels of the receptive field of an output pixel."""
    width = receptive_field(results.network().double(), reach=16)
    return Measurement(
        value=width,
        show="{:.0f} pixels".format,
        low=width,
        high=width,
        why=f"Changing one input pixel changes {width} × {width} outputs and no other: what lies farther than "
        f"{width // 2} pixels away cannot matter, whatever it shows.",
        command="colorlib claims",
    )


def psnr_of_paper_mse(results: Results) -> Measurement:
    """Compute the PSNR of the paper's MSE (Table I)."""
    value = psnr_of(paper.MSE)
    return Measurement(
        value=value,
        show="{:.2f} dB".format,
        why=f"-10·log10({paper.MSE}) is {value:.2f} dB: the printed PSNR is what that of a pooled MSE comes to. A mean "
        "of the photographs' PSNRs could have this value too.",
        command="colorlib claims",
    )


def reported_epochs(results: Results) -> Measurement:
    """Compute the share of the paper's epochs (Sec. III.E) that its loss and Figure 1 are of."""
    return Measurement(
        value=paper.EPOCH / paper.EPOCHS,
        show=lambda _: f"{paper.EPOCH} of {paper.EPOCHS} epochs",
        why=f"Training has {paper.EPOCHS} epochs, the loss that is reported and the figure end at epoch {paper.EPOCH}; "
        "which of the two weights gave Table I is not said.",
        command="colorlib claims",
    )


def training_loss_at_40(results: Results) -> Measurement:
    """Read the training loss of epoch 40, for which the paper gives its own."""
    return over_epochs(
        results,
        lambda history: epochs_between(history, 40, 40, "training_loss")[0],
        "{:.4f}".format,
        f"At epoch 40 ours is {{number}} on these photographs; the paper's is {paper.LOSS} on photographs it does "
        "not name.",
    )


def fall_by_epoch_10(results: Results) -> Measurement:
    """Measure the share of the training loss's fall from epoch 1 to epoch 40 that is done by epoch 10."""

    def share(history: list[dict[str, float]]) -> float:
        losses = epochs_between(history, 1, 40, "training_loss")
        return (losses[0] - losses[9]) / (losses[0] - losses[-1])

    return over_epochs(
        results,
        share,
        "{:.2f}".format,
        "By epoch 10 the training loss has done {number} of its fall from epoch 1 to epoch 40.",
    )


def fall_after_epoch_40(results: Results) -> Measurement:
    """Measure the relative fall of the validation loss after epoch 40; the sentence also gives the training loss's."""

    def share(history: list[dict[str, float]], column: str = "validation_loss") -> float:
        then, last = (fmean(epochs_between(history, first, first + 9, column)) for first in (31, 91))
        return 1 - last / then

    training = fmean(share(history, "training_loss") for history in results.histories)
    return over_epochs(
        results,
        share,
        "{:.1%}".format,
        "From epochs 31-40 to epochs 91-100 the validation loss falls by {number} and the training loss by "
        f"{training:.1%}, each a mean of ten epochs.",
    )


@dataclass(frozen=True, kw_only=True)
class Trend:
    """Slope of a loss per `BLOCK` epochs as a share of its mean, with its 95 % interval; negative for a fall."""

    slope: float
    low: float
    high: float


def trend(losses: Sequence[float]) -> Trend:
    """Fit a line to the means of blocks of `BLOCK` epochs.

    Blocks rather than epochs, because the noise of neighboring epochs may be correlated, which would make the interval
    too narrow.

    Args:
        losses: one per epoch, in order; the first epochs are left out if they fill no block.

    Raises:
        ValueError: there are fewer than three blocks.
    """
    from scipy import stats  # here, since its import takes half a second

    count = len(losses) // BLOCK
    if count < 3:
        raise ValueError(f"{len(losses)} epochs have no trend with an interval; it takes {3 * BLOCK}")
    values = np.asarray(losses[len(losses) - count * BLOCK :]).reshape(count, BLOCK).mean(axis=1)
    fit = stats.linregress(np.arange(count), values)
    half = float(stats.t.ppf(0.975, count - 2) * fit.stderr)
    slope, mean = float(fit.slope), float(values.mean())
    return Trend(slope=slope / mean, low=(slope - half) / mean, high=(slope + half) / mean)


def relative_noise(losses: Sequence[float]) -> float:
    """Return the standard deviation of the last `BLOCK` losses, as a share of their mean."""
    last = np.asarray(losses[-BLOCK:])
    return float(last.std(ddof=1) / last.mean())


def trend_of_loss(results: Results) -> Measurement:
    """Measure the slope of the training loss over the epochs `STABLE`, per ten epochs, as a share of its mean."""

    def slope(history: list[dict[str, float]], column: str = "training_loss") -> float:
        return trend(epochs_between(history, *STABLE, column)).slope

    validation = fmean(slope(history, "validation_loss") for history in results.histories)
    return over_epochs(
        results,
        slope,
        "{:+.1%}".format,
        f"In ten epochs the training loss changes by {{number}} of its mean, the validation loss by {validation:+.1%}.",
    )


def noise_ratios(results: Results, point: str, reference: str, column: str) -> dict[int, float]:
    """Return the `relative_noise` of a point of the sweep `outlook` over that of another point, by seed.

    They are read from the sweep of the profile itself or, where that was not run, of profile `cpu`.

    Args:
        results: of the profile that is judged.
        point: a point, for example `lab`.
        reference: the point that it is compared with, for example `paper`.
        column: `training_loss` or `validation_loss`, whose units cancel out.

    Raises:
        NotMeasuredError: no seed of both points was trained.
    """
    noise: dict[str, dict[int, float]] = {point: {}, reference: {}}
    paths = point_histories(results.profile) or point_histories(results.other("cpu").profile)
    for path in (path for path in paths if path.name == "point.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["point"] in noise:
            history = Run(path.parent).history()
            noise[record["point"]][record["seed"]] = relative_noise([row[column] for row in history])
    seeds = sorted(noise[point].keys() & noise[reference].keys())
    if not seeds:
        raise NotMeasuredError(f"There are no runs of {point} and {reference} yet; make sweep SWEEP=outlook makes them")
    return {seed: noise[point][seed] / noise[reference][seed] for seed in seeds}


def noise_of_lab(results: Results) -> Measurement:
    """Measure the noise of the last validation losses of LAB as a multiple of RGB's, geometric mean over seeds."""
    validation, training = (
        noise_ratios(results, "lab", "paper", f"{name}_loss") for name in ("validation", "training")
    )
    logs = [math.log(ratio) for ratio in validation.values()]
    error = over_seeds(logs)
    low, high = map(math.exp, error.interval(fmean(logs))) if error else (None, None)
    return Measurement(
        value=math.exp(fmean(logs)),
        show="{:.2f} ×".format,
        why=f"Of the training losses the ratio is {math.exp(fmean(map(math.log, training.values()))):.2f}; each loss "
        "is divided by its own mean, so units cancel.",
        command="make sweep SWEEP=outlook PROFILE=cpu",
        low=low,
        high=high,
        over=SEEDS_ALONE,
        seeds=len(logs),
        photographs=f"validation photographs of {results.profile.photos}",
    )


def resumed_bytes(results: Results) -> Measurement:
    """Measure the share of a small run's result files that an interruption does not change."""
    equal = equal_files_after_interruption()
    return Measurement(
        value=fmean(equal.values()),
        show=lambda _: f"{sum(equal.values())} of {len(equal)} files",
        low=fmean(equal.values()),
        high=fmean(equal.values()),
        why=f"A training killed without warning and started again left {' and '.join(equal)}, of which "
        f"{sum(equal.values())} of {len(equal)} have the bytes of an undisturbed run's; the paper's own program is not "
        "public.",
        command="colorlib claims",
        photographs="training photographs of bundled",
        seeds=1,
    )


RESUMED_FILES = ("history.csv", "weights.safetensors")
"""Files of a resumed run that must equal those of an uninterrupted one."""
SMALL_RUN = RunConfig(photos="bundled", epochs=4, crops_per_epoch=32, crop_size=16, batch_size=8)


def equal_files_after_interruption() -> dict[str, bool]:
    """Train a small run twice, once with an interruption in the second epoch; returns whether each file is equal.

    A copy of the run directory between two updates has the files of a process that was killed there without warning.

    Returns:
        Names in `RESUMED_FILES` -> whether both runs wrote the same bytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        whole, resumed = Path(folder) / "whole", Path(folder) / "resumed"
        # Train, and copy the directory after one update of the second epoch
        for event in train(SMALL_RUN, whole, device="cpu"):
            if isinstance(event, Update) and event.step == SMALL_RUN.updates_per_epoch + 1:
                shutil.copytree(whole, resumed, ignore=shutil.ignore_patterns("run.lock*"))
        # Resume from the copy
        for _ in train(SMALL_RUN, resumed, device="cpu"):
            pass
        return {name: (whole / name).read_bytes() == (resumed / name).read_bytes() for name in RESUMED_FILES}


MEASUREMENTS: dict[str, Callable[[Results], Measurement]] = {
    function.__name__: function
    for function in (
        output_size_kept, output_range, parameters, parameters_over_others, multiply_adds_over_others,
        receptive_width, psnr_of_paper_mse, reported_epochs, training_loss_at_40, fall_by_epoch_10,
        fall_after_epoch_40, trend_of_loss, noise_of_lab, resumed_bytes,
    )
}  # fmt: skip
"""Measurements by the names that paper/claims.yaml uses."""
