"""Findings about the test photographs, read from their scores."""

from dataclasses import replace
from statistics import fmean

from colorlib.companion import printed
from colorlib.companion.evidence import Evidence, Finding, epochs_between
from colorlib.companion.peers import ZHANG
from colorlib.evaluate import Estimate, mean_over_images
from colorlib.metrics import NEAR_GRAY_CHROMA
from colorlib.scoring import NETWORK, NETWORK_TRUE_L


def test_mse(evidence: Evidence) -> Finding:
    """The network's MSE in Table I."""
    summaries = evidence.summaries(NETWORK)
    gray = evidence.summaries("gray")[0].mse.value
    return evidence.over_photographs(
        [summary.mse for summary in summaries],
        "{:.4f}".format,
        f"On these photographs gray alone gets {gray:.4f} and the network {{number}}; the paper's {printed.MSE} is of "
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


def lost_colorfulness_of_zhang(evidence: Evidence) -> Finding:
    """How much of the truth's colorfulness published results of a far larger network lack."""
    theirs = [row for _, row in evidence.peers if row.method == ZHANG]
    truth = fmean(row.truth_colorfulness for row in theirs)
    found = evidence.over_photographs(
        [mean_over_images([(row.truth_colorfulness - row.colorfulness) / truth for row in theirs])],
        "{:.0%}".format,
        f"Their colorizations lack {{number}} of the truth's mean colorfulness of {truth:.1f}.",
        photographs=f"{len(theirs)} photographs of zhang2016",
        target="peers",
    )
    # No run of ours is in it.
    return replace(found, seeds=None, updates=None, crop_size=None)


def gain_in_color_difference(evidence: Evidence) -> Finding:
    """How much nearer the network's colors are to the truth's than the training photographs' mean color is."""
    return evidence.over_photographs(
        evidence.paired(lambda mean, ours: mean.delta_e00 - ours.delta_e00, "mean chroma", NETWORK),
        "{:+.2f}".format,
        "The mean ΔE00 of one color for all pixels differs by {number} from the network's.",
    )


def lost_ssim(evidence: Evidence) -> Finding:
    """How much structure the network's own lightness costs."""
    return evidence.over_photographs(
        evidence.paired(lambda kept, ours: kept.ssim - ours.ssim, NETWORK_TRUE_L, NETWORK),
        "{:.3f}".format,
        "The same colors on the photograph's own L have an SSIM higher by {number}: detail that the input held is lost "
        "on the way through the network.",
    )
