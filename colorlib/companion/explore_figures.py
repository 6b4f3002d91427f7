"""The figures of notebooks/explore.ipynb: colors that arrive, and why they come out averaged."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from colorlib.companion.explore import WIDTH, Exploration, PixelFacts, chroma
from colorlib.companion.figures import REFERENCE, STYLE, TRAINING, VALIDATION, Illustration, save


def arrival(exploration: Exploration, method: str, photo: str, path: Path) -> Illustration:
    """A photograph as each kept epoch colored it: how colors arrive."""
    epochs = exploration.epochs(method)
    truth = exploration.pixels(photo)
    panels = [("gray", exploration.gray(photo))]
    panels += [(f"epoch {epoch}", exploration.shown(method, photo, epoch=epoch)) for epoch in epochs]
    panels += [("truth", truth)]
    spreads = [chroma(picture) for _, picture in panels]
    columns = 4
    rows = -(-len(panels) // columns)
    height, width = truth.shape[:2]
    with mpl.rc_context(STYLE):
        tall, gap = 1.6 * height / width, 0.4  # inches, of a panel and between two rows of them
        figure = Figure(figsize=(6.6, rows * tall + (rows - 1) * gap))
        for place, (title, picture) in enumerate(panels):
            axes = figure.add_subplot(rows, columns, place + 1)
            axes.imshow(picture, interpolation="antialiased")
            axes.set_title(title, fontsize=8, pad=3)
            axes.set_xlabel(f"mean chroma {spreads[place]:.1f}", fontsize=7, labelpad=2)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        figure.subplots_adjust(wspace=0.04, hspace=gap / tall, left=0, right=1, bottom=0, top=1)
        save(figure, path, dpi=150)
    return Illustration(
        path=path,
        caption=(
            f"<b>Colors arrive.</b> {photo} as the run {method} colored it after the epochs whose weights were kept, "
            "as printed, between what the network sees and the truth. Chroma is the distance from gray in ab."
        ),
        alt=(
            f"The same photograph {len(panels)} times, from gray to its true colors. Mean chroma: "
            + ", ".join(f"{title} {spread:.1f}" for (title, _), spread in zip(panels, spreads, strict=True))
            + "."
        ),
    )


def averaged(
    exploration: Exploration, method: str, photo: str, path: Path, *, row: int, column: int
) -> tuple[Illustration, PixelFacts]:
    """Why colors come out brown: true colors of like gray patches, their mean, and the network's answer."""
    facts = exploration.facts(exploration.shown(method, photo), photo, row, column)
    alike = exploration.alike(photo, row, column)
    mean = alike.colors.mean(axis=0)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 2.2))
        picture, patch, plane = figure.subplots(1, 3, width_ratios=(1.3, 0.75, 1.3))
        picture.imshow(exploration.gray(photo), interpolation="antialiased")
        half = WIDTH / 2
        square = mpl.patches.Rectangle(
            (column - half, row - half), WIDTH, WIDTH, fill=False, edgecolor=VALIDATION, linewidth=1.2
        )
        picture.add_patch(square)
        picture.set_title("the network's input", fontsize=8)
        patch.imshow(facts.patch, cmap="gray", vmin=0, vmax=100, interpolation="nearest")
        patch.set_title(f"{WIDTH} × {WIDTH} pixels decide", fontsize=8)
        for axes in (picture, patch):
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        plane.axhline(0, color=REFERENCE, linewidth=0.4)
        plane.axvline(0, color=REFERENCE, linewidth=0.4)
        plane.plot(*alike.colors.T, ".", color=REFERENCE, markersize=3, alpha=0.6, label="like patches")
        for (a, b), marker, color, label in (
            (mean, "X", "#111111", "their mean"),
            (facts.answer, "o", TRAINING, "the network"),
            (facts.truth, "*", VALIDATION, "the truth here"),
        ):
            plane.plot([a], [b], marker, color=color, markersize=7, label=label)
        plane.set(xlabel="a", aspect="equal")
        plane.set_ylabel("b", rotation=0)
        plane.margins(0.08)
        figure.subplots_adjust(wspace=0.3, left=0.0, right=0.99, top=0.88, bottom=0.3)
        figure.legend(
            *plane.get_legend_handles_labels(),
            fontsize=7,
            ncols=4,
            loc="lower center",
            handletextpad=0.2,
            columnspacing=1.2,
        )
        save(figure, path)
    at = f"row {row}, column {column} of {photo}"
    theirs, means = np.hypot(*alike.colors.T).mean(), np.hypot(*mean)
    numbers = (
        f"mean ({mean[0]:.0f}, {mean[1]:.0f}), network ({facts.answer[0]:.0f}, {facts.answer[1]:.0f}), truth here "
        f"({facts.truth[0]:.0f}, {facts.truth[1]:.0f})"
    )
    return (
        Illustration(
            path=path,
            caption=(
                f"<b>Why colors are averaged.</b> Of each of {len(alike.colors)} training photographs of "
                f"{exploration.learned_from.source}, the pixel whose {WIDTH} × {WIDTH} gray patch is most like that at "
                f"{at}, by its true a and b: {numbers}. At the median they differ by {np.median(alike.distances):.1f} "
                f"in L. Chroma is {theirs:.0f} on average among them and {means:.0f} at their mean: one answer must do "
                "for all."
            ),
            alt=(
                "A gray photograph with a small square marked, the square enlarged, and a scatter plot of a and b: "
                f"{len(alike.colors)} true colors of like patches, {numbers}."
            ),
        ),
        facts,
    )
