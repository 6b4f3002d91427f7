"""Findings about the loss over the epochs, read from the runs' histories."""

from statistics import fmean, stdev

from colorlib.companion import printed
from colorlib.companion.evidence import Evidence, Finding, NotMeasuredError, epochs_between


def training_loss_at_40(evidence: Evidence) -> Finding:
    """The training loss where the paper gives its own."""
    return evidence.over_epochs(
        lambda history: epochs_between(history, 40, 40, "training_loss")[0],
        "{:.4f}".format,
        f"At epoch 40 ours is {{number}} on these photographs; the paper's is {printed.LOSS} on photographs it does "
        "not name.",
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
    """How far the validation loss falls after epoch 40; the training loss is told beside it."""

    def share(history: list[dict[str, float]], column: str = "validation_loss") -> float:
        then, last = (fmean(epochs_between(history, first, first + 9, column)) for first in (31, 91))
        return 1 - last / then

    training = fmean(share(history, "training_loss") for history in evidence.histories)
    return evidence.over_epochs(
        share,
        "{:.1%}".format,
        "From epochs 31-40 to epochs 91-100 the validation loss falls by {number} and the training loss by "
        f"{training:.1%}, each a mean of ten epochs.",
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
