"""Measurements of the network itself, of loss histories, and of a small interrupted training."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev

import torch

from colorlib import rng
from colorlib.companion import paper
from colorlib.companion.claims.measurement import Measurement, epochs_between, over_epochs
from colorlib.companion.costs import Pix2pixUNet, multiply_adds, receptive_field
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.config import RunConfig
from colorlib.metrics import psnr_of
from colorlib.model import parameter_count
from colorlib.runs import Update
from colorlib.trainer import train

SIZES = ((1, 1), (7, 13), (48, 48), (96, 64), (321, 481))
"""Sizes of the inputs of `output_size_kept`, height × width in pixels."""


def output_size_kept(results: Results) -> Measurement:
    """Measure the share of `SIZES` that the network keeps."""
    network = results.network()
    with torch.inference_mode():
        equal = [network(torch.rand(1, 1, *size)).shape == (1, 3, *size) for size in SIZES]
    return Measurement(
        value=fmean(equal),
        text=f"{sum(equal)} of {len(equal)} sizes",
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
        text=f"{share:.0%} of the values",
        why=f"Of {values.numel():,} output values {share:.0%} lie in [0, 1].",
        command="colorlib claims",
    )


def parameters(results: Results) -> Measurement:
    """Count the trained scalars of the network."""
    count = parameter_count(results.network())
    return Measurement(
        value=count,
        text=f"{count:,}",
        why=f"The layers as the paper lists them hold {count:,} weights and biases, which rounds to "
        f"{round(count, -5) // 1000} thousand.",
        command="colorlib claims",
    )


def parameters_over_unet(results: Results) -> Measurement:
    """Measure the network's parameters as a share of those of pix2pix's U-Net (Isola et al. 2017)."""
    with torch.device("meta"):
        unet = Pix2pixUNet()
    ours, theirs = parameter_count(results.network()), parameter_count(unet)
    return Measurement(
        value=ours / theirs,
        text=f"{ours / theirs:.3f}",
        why=f"It has {ours:,} parameters where pix2pix's U-Net has {theirs:,}.",
        command="colorlib claims",
    )


def multiply_adds_over_unet(results: Results) -> Measurement:
    """Measure the network's multiply-adds as a multiple of those of pix2pix's U-Net (Isola et al. 2017)."""
    side = 256
    with torch.device("meta"):
        ours, theirs = (multiply_adds(net, side, side) for net in (results.network(), Pix2pixUNet()))
    return Measurement(
        value=ours / theirs,
        text=f"{ours / theirs:.1f} ×",
        why=f"At full resolution in every layer it takes {ours / 1e9:.1f} G multiply-adds for a {side} × {side} image "
        f"({ours / side**2:,.0f} per pixel), the U-Net, which works on smaller maps, {theirs / 1e9:.1f} G.",
        command="colorlib claims",
    )


def receptive_width(results: Results) -> Measurement:
    """Measure the width in pixels of the receptive field of an output pixel."""
    width = receptive_field(results.network().double(), reach=16)
    return Measurement(
        value=width,
        text=f"{width} pixels",
        why=f"Changing one input pixel changes {width} × {width} outputs and no other: what lies farther than "
        f"{width // 2} pixels away cannot matter, whatever it shows.",
        command="colorlib claims",
    )


def psnr_of_paper_mse(results: Results) -> Measurement:
    """Compute the PSNR of the paper's MSE (Table I)."""
    value = psnr_of(paper.MSE)
    return Measurement(
        value=value,
        text=f"{value:.2f} dB",
        why=f"-10·log10({paper.MSE}) is {value:.2f} dB, so the printed PSNR is that of a pooled MSE, not a mean of "
        "the photographs' PSNRs.",
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


def cpu_loss_ratio_at_40(results: Results) -> Measurement:
    """Measure the validation loss of profile `cpu` at epoch 40, of fewer updates each, over the profile's own."""
    shorter = results.other("cpu")
    if shorter.profile == results.profile:
        raise NotMeasuredError("This profile is the one that others are compared with")
    then = fmean(fmean(epochs_between(history, 31, 40, "validation_loss")) for history in shorter.histories)
    updates = int(epochs_between(shorter.histories[0], 40, 40, "updates")[0])
    own = int(epochs_between(results.histories[0], 40, 40, "updates")[0])
    return over_epochs(
        results,
        lambda history: then / fmean(epochs_between(history, 31, 40, "validation_loss")),
        "{:.2f} ×".format,
        f"After 40 epochs of {updates:,} updates in all the validation loss is {{number}} that after 40 epochs of "
        f"{own:,}: an epoch is worth what its updates are, and the paper does not say how many it had.",
    )


def noise_of_last_epochs(results: Results) -> Measurement:
    """Measure the standard deviation of the last ten epochs' validation losses, as a share of their mean."""

    def noise(history: list[dict[str, float]]) -> float:
        last = [row["validation_loss"] for row in history[-10:]]
        return stdev(last) / fmean(last)

    return over_epochs(
        results,
        noise,
        "{:.1%}".format,
        "Over the last ten epochs the validation loss varies by {number} of its mean (one standard deviation), because "
        "the learning rate stays constant: the last epoch's weights are one draw of these.",
    )


def resumed_bytes(results: Results) -> Measurement:
    """Measure the share of a small run's result files that an interruption does not change."""
    equal = equal_files_after_interruption()
    return Measurement(
        value=fmean(equal.values()),
        text=f"{sum(equal.values())} of {len(equal)} files",
        why=f"A training killed without warning and started again left {' and '.join(equal)}, of which "
        f"{sum(equal.values())} of {len(equal)} have the bytes of an undisturbed run's.",
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
        output_size_kept, output_range, parameters, parameters_over_unet, multiply_adds_over_unet,
        receptive_width, psnr_of_paper_mse, training_loss_at_40, fall_by_epoch_10, fall_after_epoch_40,
        cpu_loss_ratio_at_40, noise_of_last_epochs, resumed_bytes,
    )
}  # fmt: skip
"""Measurements by the names that paper/claims.yaml uses."""
