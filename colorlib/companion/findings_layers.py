"""Findings that need no training: arithmetic on the layers and numbers that the paper lists."""

from statistics import fmean

import torch

from colorlib import keys
from colorlib.companion import printed
from colorlib.companion.evidence import Evidence, Finding
from colorlib.costs import Pix2pixUNet, multiply_adds, receptive_field
from colorlib.metrics import psnr_of
from colorlib.model import parameter_count

SIZES = ((1, 1), (7, 13), (48, 48), (96, 64), (321, 481))


def output_size_kept(evidence: Evidence) -> Finding:
    """Of five sizes, the share that the network keeps."""
    network = evidence.network()
    with torch.inference_mode():
        kept = [network(torch.rand(1, 1, *size)).shape == (1, 3, *size) for size in SIZES]
    return Finding(
        value=fmean(kept),
        text=f"{sum(kept)} of {len(kept)} sizes",
        why=f"L alone goes in, and {sum(kept)} of {len(kept)} sizes come out as they were, with three channels.",
        command="colorlib claims",
    )


def output_range(evidence: Evidence) -> Finding:
    """The share of output values in [0, 1]."""
    network = evidence.network()
    noise = torch.from_numpy(keys.uniforms(64 * 64, 0, "output range")).float().view(1, 1, 64, 64)
    with torch.inference_mode():
        values = torch.cat([network(scale * noise).flatten() for scale in (1, 100, -100)])
    share = float(((values >= 0) & (values <= 1)).double().mean())
    return Finding(
        value=share,
        text=f"{share:.0%} of the values",
        why=f"Of {values.numel():,} output values {share:.0%} lie in [0, 1].",
        command="colorlib claims",
    )


def parameters(evidence: Evidence) -> Finding:
    """How many trained scalars the network has."""
    count = parameter_count(evidence.network())
    return Finding(
        value=count,
        text=f"{count:,}",
        why=f"The layers as the paper lists them hold {count:,} weights and biases, which rounds to "
        f"{round(count, -5) // 1000} thousand.",
        command="colorlib claims",
    )


def parameters_beside_unet(evidence: Evidence) -> Finding:
    """The network's parameters as a share of a U-Net's."""
    ours, theirs = parameter_count(evidence.network()), _unet_parameters()
    return Finding(
        value=ours / theirs,
        text=f"{ours / theirs:.3f}",
        why=f"It has {ours:,} parameters where pix2pix's U-Net has {theirs:,}.",
        command="colorlib claims",
    )


def multiply_adds_beside_unet(evidence: Evidence) -> Finding:
    """The network's multiply-adds per pixel over a U-Net's."""
    side = 256
    with torch.device("meta"):
        ours, theirs = (multiply_adds(net, side, side) for net in (evidence.network(), Pix2pixUNet()))
    return Finding(
        value=ours / theirs,
        text=f"{ours / theirs:.1f} ×",
        why=f"At full resolution in every layer it takes {ours / 1e9:.1f} G multiply-adds for a {side} × {side} image "
        f"({ours / side**2:,.0f} per pixel), the U-Net, which works on smaller maps, {theirs / 1e9:.1f} G.",
        command="colorlib claims",
    )


def _unet_parameters() -> int:
    with torch.device("meta"):
        return parameter_count(Pix2pixUNet())


def receptive_width(evidence: Evidence) -> Finding:
    """How wide the square of input is that an output pixel sees."""
    width = receptive_field(evidence.network().double(), reach=16)
    return Finding(
        value=width,
        text=f"{width} pixels",
        why=f"Changing one input pixel changes {width} × {width} outputs and no other: what lies farther than "
        f"{width // 2} pixels away cannot matter, whatever it shows.",
        command="colorlib claims",
    )


def psnr_of_printed_mse(evidence: Evidence) -> Finding:
    """The PSNR that the printed MSE has."""
    value = psnr_of(printed.MSE)
    return Finding(
        value=value,
        text=f"{value:.2f} dB",
        why=f"-10·log10({printed.MSE}) is {value:.2f} dB, so the printed PSNR is that of a pooled MSE, not a mean of "
        "the photographs' PSNRs.",
        command="colorlib claims",
    )
