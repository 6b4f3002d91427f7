"""What decides the paper's claims: one function each, named in paper/claims.yaml, in the table `FINDINGS`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev

import torch

from colorlib import keys
from colorlib.color import gray_rgb, lightness, to_bytes
from colorlib.colorizer import Colorize, load_run
from colorlib.companion.evidence import Evidence, Finding, NotMeasuredError, epochs_between
from colorlib.companion.interruption import equal_files_after_a_kill
from colorlib.costs import Pix2pixUNet, multiply_adds, receptive_field
from colorlib.evaluate import Estimate, compare
from colorlib.metrics import NEAR_GRAY_CHROMA, psnr_of
from colorlib.model import parameter_count
from colorlib.photos import open_photos
from colorlib.scoring import NETWORK, NETWORK_TRUE_L

PRINTED_MSE = 0.0044
"""The MSE of the paper's Table I (Sec. IV.C)."""
SIZES = ((1, 1), (7, 13), (48, 48), (96, 64), (321, 481))
ZHANG = "Zhang, no rebalancing"
"""The row of the peers' table that holds the published results of Zhang et al. 2016, trained without rebalancing."""
PORTRAITS = ("grace_hopper", "astronaut")


# --- arithmetic on the layers that the paper lists


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
    value = psnr_of(PRINTED_MSE)
    return Finding(
        value=value,
        text=f"{value:.2f} dB",
        why=f"-10·log10({PRINTED_MSE}) is {value:.2f} dB, so the printed PSNR is that of a pooled MSE, not a mean of "
        "the photographs' PSNRs.",
        command="colorlib claims",
    )


# --- runs made for the occasion


def resumed_bytes(evidence: Evidence) -> Finding:
    """Of a small run's result files, the share that a kill does not change."""
    equal = equal_files_after_a_kill()
    return Finding(
        value=fmean(equal.values()),
        text=f"{sum(equal.values())} of {len(equal)} files",
        why=f"A training killed without warning and started again left {' and '.join(equal)}, of which "
        f"{sum(equal.values())} of {len(equal)} have the bytes of an undisturbed run's.",
        command="colorlib claims",
        photographs="training photographs of bundled",
        seeds=1,
    )


def gain_on_faces(evidence: Evidence) -> Finding:
    """How much more the network gains over gray on portraits than on other photographs, each never trained on."""
    seeds = evidence.profile.seeds
    splits = ("test",) if evidence.profile.photos == "bundled" else ("train", "val", "test")
    photos = [photo for split in splits for photo in open_photos("bundled", split) if "motorcycle" not in photo.name]
    gains = []
    for seed in seeds:
        colorize = load_run(evidence.profile.run(seed))
        gain = {}
        for photo in photos:
            truth = torch.from_numpy(photo.load()).permute(2, 0, 1)
            light = lightness(truth).unsqueeze(0)
            rows = {
                name: compare(to_bytes(method(light)[0]), truth, image=photo.name, method=name)
                for name, method in _gray_and(colorize).items()
            }
            gain[photo.name] = rows[NETWORK].psnr - rows["gray"].psnr
        faces = [value for name, value in gain.items() if Path(name).stem in PORTRAITS]
        others = [value for name, value in gain.items() if Path(name).stem not in PORTRAITS]
        gains.append(fmean(faces) - fmean(others))
    return Finding(
        value=fmean(gains),
        text=f"{fmean(gains):+.2f} dB",
        why=f"On {_count(faces, 'portrait')} the gain over gray is {abs(fmean(gains)):.2f} dB "
        f"{'higher' if fmean(gains) > 0 else 'lower'} than on {_count(others, 'other photograph')}: too few to say "
        "anything of faces.",
        command=evidence.command("figures2_3"),
        sd=stdev(gains) if len(gains) > 1 else None,
        seeds=len(gains),
        photographs=f"{len(photos)} bundled photographs that were not trained on",
        updates=evidence.profile.config(seeds[0]).updates,
        crop_size=evidence.profile.config(seeds[0]).crop_size,
    )


def _count(values: Sequence[float], noun: str) -> str:
    return f"{len(values)} {noun}{'' if len(values) == 1 else 's'}"


def _gray_and(colorize: Colorize) -> dict[str, Colorize]:
    return {"gray": gray_rgb, NETWORK: colorize}


# --- the loss over the epochs


def training_loss_at_40(evidence: Evidence) -> Finding:
    """The training loss where the paper gives its own."""
    return evidence.over_epochs(
        lambda history: epochs_between(history, 40, 40, "training_loss")[0],
        "{:.4f}".format,
        f"At epoch 40 ours is {{number}} on these photographs; the paper's is {PRINTED_MSE} on photographs it does not "
        "name.",
    )


def fall_by_epoch_10(evidence: Evidence) -> Finding:
    """How much of the first 40 epochs' fall the first 10 do."""

    def share(history: list[dict[str, float]]) -> float:
        losses = epochs_between(history, 1, 40, "training_loss")
        return (losses[0] - losses[9]) / (losses[0] - losses[-1])

    return evidence.over_epochs(
        share, "{:.2f}".format, "By epoch 10 the training loss has done {number} of its fall from epoch 1 to epoch 40."
    )


def fall_after_epoch_40(evidence: Evidence) -> Finding:
    """How far the validation loss falls after epoch 40."""

    def share(history: list[dict[str, float]]) -> float:
        then = fmean(epochs_between(history, 31, 40, "validation_loss"))
        return 1 - fmean(epochs_between(history, 91, 100, "validation_loss")) / then

    return evidence.over_epochs(
        share,
        "{:.1%}".format,
        "From epochs 31-40 to epochs 91-100 the validation loss falls by {number}, each a mean of ten epochs.",
    )


def epoch_40_of_cpu(evidence: Evidence) -> Finding:
    """What epoch 40 reaches with fewer updates in an epoch."""
    shorter = evidence.other("cpu")
    if shorter.profile == evidence.profile:
        raise NotMeasuredError("This profile is the one that others are compared with")
    then = fmean(fmean(epochs_between(history, 31, 40, "validation_loss")) for history in shorter.histories)
    updates = int(epochs_between(shorter.histories[0], 40, 40, "updates")[0])
    own = int(epochs_between(evidence.histories[0], 40, 40, "updates")[0])
    return evidence.over_epochs(
        lambda history: then / fmean(epochs_between(history, 31, 40, "validation_loss")),
        "{:.2f} ×".format,
        f"After 40 epochs of {updates:,} updates in all the validation loss is {{number}} that after 40 epochs of "
        f"{own:,}: an epoch is worth what its updates are, and the paper does not say how many it had.",
    )


def noise_of_last_epochs(evidence: Evidence) -> Finding:
    """How much the last epochs' validation losses differ."""

    def noise(history: list[dict[str, float]]) -> float:
        last = [row["validation_loss"] for row in history[-10:]]
        return stdev(last) / fmean(last)

    return evidence.over_epochs(
        noise,
        "{:.1%}".format,
        "Over the last ten epochs the validation loss varies by {number} of its mean (one standard deviation), because "
        "the learning rate stays constant: the last epoch's weights are one draw of these.",
    )


# --- the test photographs


def test_mse(evidence: Evidence) -> Finding:
    """The network's MSE in Table I."""
    summaries = evidence.summaries(NETWORK)
    gray = evidence.summaries("gray")[0].mse.value
    return evidence.over_photographs(
        [summary.mse for summary in summaries],
        "{:.4f}".format,
        f"On these photographs gray alone gets {gray:.4f} and the network {{number}}; the paper's {PRINTED_MSE} is of "
        "photographs it does not name.",
    )


def test_psnr_of_mse(evidence: Evidence) -> Finding:
    """The network's PSNR in the paper's convention."""
    gray = evidence.summaries("gray")[0].psnr_of_mse.value
    return evidence.over_photographs(
        [summary.psnr_of_mse for summary in evidence.summaries(NETWORK)],
        "{:.2f} dB".format,
        f"The PSNR of the pooled MSE is {{number}}, where gray alone gets {gray:.2f} dB.",
    )


def test_mean_psnr(evidence: Evidence) -> Finding:
    """The network's PSNR in the literature's convention."""
    gray = evidence.summaries("gray")[0].mean_psnr.value
    return evidence.over_photographs(
        [summary.mean_psnr for summary in evidence.summaries(NETWORK)],
        "{:.2f} dB".format,
        f"The mean of the photographs' PSNRs is {{number}}, where gray alone gets {gray:.2f} dB.",
    )


def test_over_training(evidence: Evidence) -> Finding:
    """How the test error compares with the training loss that the paper gives the same value."""
    errors = [summary.mse for summary in evidence.summaries(NETWORK)]
    losses = [epochs_between(history, 40, 40, "training_loss")[0] for history in evidence.histories]
    return evidence.over_photographs(
        [
            Estimate(value=error.value / loss, low=error.low / loss, high=error.high / loss)
            for error, loss in zip(errors, losses, strict=True)
        ],
        "{:.2f} ×".format,
        "Ours: the test error is {number} the training loss of epoch 40, measured on other crops of other photographs.",
    )


def _gain(evidence: Evidence, reference: str, why: str) -> Finding:
    gains = [summary.psnr_gain for summary in evidence.summaries(NETWORK, reference=reference)]
    return evidence.over_photographs([gain for gain in gains if gain is not None], "{:+.2f} dB".format, why)


def gain_over_mean_chroma(evidence: Evidence) -> Finding:
    """What the network gains over one color for all pixels."""
    kept = [s.psnr_gain for s in evidence.summaries(NETWORK_TRUE_L, reference="mean chroma")]
    true_l = fmean(gain.value for gain in kept if gain is not None)
    return _gain(
        evidence,
        "mean chroma",
        "The network as printed differs by {number} from the training photographs' mean color, its colors on the "
        f"photograph's own L by {true_l:+.2f} dB.",
    )


def gain_over_look_up_table(evidence: Evidence) -> Finding:
    """What the network gains over a table from L to color."""
    kept = [s.psnr_gain for s in evidence.summaries(NETWORK_TRUE_L, reference="look-up table")]
    true_l = fmean(gain.value for gain in kept if gain is not None)
    return _gain(
        evidence,
        "look-up table",
        "The network as printed differs by {number} from a table that sees one pixel, its colors on the photograph's "
        f"own L by {true_l:+.2f} dB.",
    )


def gain_of_zhang(evidence: Evidence) -> Finding:
    """How far ahead a far larger network is, on photographs on which its authors published its results."""
    colored = [row for row in evidence.peers if row[1].truth_chroma >= NEAR_GRAY_CHROMA]
    images = len({row.image for _, row in colored})
    return evidence.over_photographs(
        evidence.paired(lambda theirs, ours: theirs.psnr - ours.psnr, ZHANG, NETWORK, rows=colored),
        "{:+.2f} dB".format,
        "On the same photographs the published results of Zhang et al. have a mean PSNR that differs by {number} from "
        "the network's.",
        photographs=f"{images} photographs of zhang2016 that are not near gray",
        target="peers",
    )


def share_better_than_gray(evidence: Evidence) -> Finding:
    """On how many photographs the network beats gray."""
    return evidence.over_photographs(
        evidence.paired(lambda ours, gray: float(ours.psnr > gray.psnr), NETWORK, "gray"),
        "{:.0%}".format,
        "The network is closer to the truth than gray is on {number} of the test photographs.",
    )


def lost_colorfulness(evidence: Evidence) -> Finding:
    """How much of the truth's colorfulness the prediction lacks."""
    truth = evidence.summaries(NETWORK)[0].truth_colorfulness
    return evidence.over_photographs(
        evidence.paired(lambda ours, _: (ours.truth_colorfulness - ours.colorfulness) / truth, NETWORK, "gray"),
        "{:.0%}".format,
        f"Predictions lack {{number}} of the truth's mean colorfulness of {truth:.1f}: where colors are ambiguous, the "
        "squared error is least at their mean.",
    )


def lost_ssim(evidence: Evidence) -> Finding:
    """How much structure the network's own lightness costs."""
    return evidence.over_photographs(
        evidence.paired(lambda kept, ours: kept.ssim - ours.ssim, NETWORK_TRUE_L, NETWORK),
        "{:.3f}".format,
        "The same colors on the photograph's own L have an SSIM higher by {number}: detail that the input held is lost "
        "on the way through the network.",
    )


FINDINGS: dict[str, Callable[[Evidence], Finding]] = {
    finding.__name__: finding
    for finding in (
        output_size_kept,
        output_range,
        parameters,
        parameters_beside_unet,
        multiply_adds_beside_unet,
        receptive_width,
        psnr_of_printed_mse,
        resumed_bytes,
        gain_on_faces,
        training_loss_at_40,
        fall_by_epoch_10,
        fall_after_epoch_40,
        epoch_40_of_cpu,
        noise_of_last_epochs,
        test_mse,
        test_psnr_of_mse,
        test_mean_psnr,
        test_over_training,
        gain_over_mean_chroma,
        gain_over_look_up_table,
        gain_of_zhang,
        share_better_than_gray,
        lost_colorfulness,
        lost_ssim,
    )
}
"""What `finding` in paper/claims.yaml may name."""
