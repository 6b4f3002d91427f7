"""The paper's figures, drawn from files of runs: Figure 1 (loss curve) and the examples of Figures 2-3."""

import base64
import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from colorlib.color import gray_rgb, lightness, to_bytes
from colorlib.colorizers import Colorize
from colorlib.companion import paper
from colorlib.companion.paper import EXAMPLES
from colorlib.companion.tables import show_captioned
from colorlib.data import Augmentation, TrainingPhotos
from colorlib.files import write_bytes
from colorlib.metrics import mse, psnr_of
from colorlib.photos import open_photos
from colorlib.photos.decode import Photo
from colorlib.runs import Run

SETTINGS: Any = {
    "font.family": "serif",
    "font.serif": ["STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "ytick.minor.width": 0.4,
    "legend.frameon": False,
    "figure.dpi": 200,
    "svg.hashsalt": "colorlib",
}
TRAINING, VALIDATION, PAPER, REFERENCE = "#0b5fa5", "#d1495b", "#111111", "#6b6b6b"


@dataclass(frozen=True, kw_only=True)
class Illustration:
    """A figure in a PNG file, with its caption and its alternative text."""

    path: Path
    label: str = ""
    """Start of the caption, for example `Figure 1.`."""
    caption: str
    """Plain text."""
    alt: str
    """Alternative text: the content of the figure for readers who cannot see it."""
    drawing: bool = False
    """Whether `save_drawing` wrote it, with an SVG file next to the PNG."""
    chart: bool = False
    """Whether a chart stands among its photographs: as a drawing it scrolls where it would be too small to read."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """Numbers of the figure that the heading of its section in the report is computed from."""
    figure: Figure | None = field(default=None, compare=False)
    """The figure as drawn, so that a reader can go on with its axes; None where only its file is known."""
    data: pd.DataFrame | None = field(default=None, compare=False)
    """Numbers that the figure shows, where no table has them."""

    @property
    def axes(self) -> list[Axes]:
        """The axes of the figure, from left to right."""
        return self.figure.axes if self.figure else []

    def show(self) -> None:
        """Display the figure in a notebook, 760 pixels wide, its caption below."""
        png = base64.b64encode(self.path.read_bytes()).decode("ascii")
        metadata: dict[str, Any] = {"alt": self.alt, "width": 760}
        if self.drawing:
            metadata["svg"] = self.path.with_suffix(".svg").name
        if self.chart:
            metadata["chart"] = True
        if self.numbers:
            metadata["numbers"] = dict(self.numbers)
        show_captioned("image/png", png, metadata, label=self.label, caption=self.caption)


def style() -> AbstractContextManager[None]:
    """Return the context that every figure is drawn and saved in: matplotlib's defaults, then `SETTINGS`.

    Starting from the defaults leaves out the user's matplotlibrc, which would change the figures' bytes.
    """
    context: AbstractContextManager[None] = matplotlib.style.context(["default", SETTINGS])
    return context


def save(figure: Figure, path: Path, *, dpi: int = 200) -> None:
    """Write a figure as PNG: the same bytes each time."""
    buffer = io.BytesIO()
    # Without the version of Matplotlib, which would be in the metadata.
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None}, bbox_inches="tight", pad_inches=0.05)
    write_bytes(path, buffer.getvalue())


def save_drawing(figure: Figure, path: Path) -> None:
    """Write a figure that shows no photograph as PNG and, next to it, as SVG: the same bytes each time.

    Letters are outlines in the SVG: few machines have the font, and another one would not fit its place.
    """
    save(figure, path)
    buffer = io.BytesIO()
    # Without the date and the version of Matplotlib; identifiers are hashes with the salt of `SETTINGS`
    metadata = {"Date": None, "Creator": None}
    figure.savefig(buffer, format="svg", metadata=metadata, bbox_inches="tight", pad_inches=0.05)
    write_bytes(path.with_suffix(".svg"), buffer.getvalue())


# Figure 1


def loss_curve(runs: Sequence[Path], baselines: Mapping[str, float], path: Path) -> Illustration:
    """Draw Figure 1: training and validation loss over the epochs, the paper's value, and the baselines.

    Args:
        runs: the run directories, one per seed; with several, the mean is drawn with a band of one standard deviation.
        baselines: losses of the baselines on the validation crops.
        path: the PNG file; the SVG file lies next to it.
    """
    histories = [Run(run).history() for run in runs]
    epochs = np.array([row["epoch"] for row in histories[0]])
    training = np.array([[row["training_loss"] for row in history] for history in histories])
    validation = np.array([[row["validation_loss"] for row in history] for history in histories])
    updates = int(histories[0][-1]["updates"])
    with style():
        figure = Figure(figsize=(6.3, 3.9))
        axes = figure.subplots()
        # Draw the curves and the paper's point
        _curve(axes, epochs, training, TRAINING, "training")
        _curve(axes, epochs, validation, VALIDATION, "validation")
        axes.plot(
            [paper.EPOCH], [paper.LOSS], marker="*", markersize=10, color=PAPER, linestyle="none", zorder=5,
            clip_on=False,
        )  # fmt: skip
        # Set the axes: every curve, baseline and point is inside
        last = max(float(epochs[-1]), paper.EPOCH)
        values = np.array([paper.LOSS, *training.ravel(), *validation.ravel(), *baselines.values()])
        axes.set(xlim=(0, last), yscale="log", xlabel="epoch", ylabel="mean squared error")
        axes.set_ylim(float(values.min()) / 1.12, float(values.max()) * 1.12)
        axes.annotate(
            f"paper: {paper.LOSS} at epoch {paper.EPOCH}", (paper.EPOCH, paper.LOSS),
            xytext=(-8, -1), textcoords="offset points", va="center", ha="right", color=PAPER,
        )  # fmt: skip
        axes.set_xticks(list(np.arange(0, last + 1, 10 if last <= 60 else 20)))
        axes.axvline(paper.EPOCH, color=PAPER, linewidth=0.5, linestyle=(0, (2, 3)), zorder=0)
        low, high = axes.get_ylim()
        ticks = [0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.05, 0.08]
        axes.set_yticks([tick for tick in ticks if low <= tick <= high])
        axes.set_yticklabels([f"{tick:g}" for tick in axes.get_yticks()])
        axes.minorticks_off()
        # Draw the baselines and name all lines at their right ends
        for value in baselines.values():
            axes.axhline(value, color=REFERENCE, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        labels = {name: (value, REFERENCE) for name, value in baselines.items()}
        labels |= {
            "training": (float(training.mean(0)[-1]), TRAINING),
            "validation": (float(validation.mean(0)[-1]), VALIDATION),
        }
        _label_ends(axes, labels, last * 1.015)
        save_drawing(figure, path)
    seeds = f"{len(runs)} seeds, band: one standard deviation" if len(runs) > 1 else "one seed"
    reference = ", ".join(f"{name} {value:.4f}" for name, value in baselines.items())
    final = f"{training.mean(0)[-1]:.4f} in training and {validation.mean(0)[-1]:.4f} in validation"
    return Illustration(
        path=path,
        figure=figure,
        drawing=True,
        label="Figure 1.",
        caption=(
            f"Loss over {len(epochs)} epochs ({updates:,} updates; {seeds}). Training: mean over the epoch's augmented "
            "crops; validation: center crops of the validation photographs after each epoch. Dashed: baselines on the "
            f"same validation crops. Star: the value the paper gives for epoch {paper.EPOCH}. Logarithmic scale."
            f"{_noise(validation)}"
        ),
        alt=(
            f"Line chart of mean squared error against epoch. After {len(epochs)} epochs the loss is {final}. "
            f"Baselines on the validation crops: {reference}. The paper's point is {paper.LOSS} at epoch "
            f"{paper.EPOCH}."
        ),
    )


def _noise(validation: NDArray[np.float64]) -> str:
    """Return a sentence on the noise of the last epochs: with a constant learning rate, the last weights are noisy.

    Args:
        validation: (seeds, epochs) validation losses.
    """
    last = validation[:, -10:]
    if last.shape[1] < 2:
        return ""
    spread = float((last.std(axis=1, ddof=1) / last.mean(axis=1)).mean())
    return (
        " The learning rate is constant, so the last epoch's weights are noisy: over the last "
        f"{last.shape[1]} epochs the validation loss of a run has a standard deviation of {spread:.1%} of its mean."
    )


def _curve(axes: Axes, epochs: NDArray[np.float64], values: NDArray[np.float64], color: str, label: str) -> None:
    """Draw the mean of (seeds, epochs) values, with a band of one standard deviation where there are several seeds."""
    mean = values.mean(axis=0)
    axes.plot(epochs, mean, color=color, linewidth=1.3, label=label, zorder=3)
    if len(values) > 1:
        spread = values.std(axis=0, ddof=1)
        axes.fill_between(epochs, mean - spread, mean + spread, color=color, alpha=0.2, linewidth=0, zorder=2)


def _label_ends(axes: Axes, labels: Mapping[str, tuple[float, str]], x: float) -> None:
    """Write each line's name and last value at its right end, moved apart so that no two labels touch."""
    low, high = np.log(axes.get_ylim())
    gap = 0.052
    placed = sorted((float((np.log(value) - low) / (high - low)), name) for name, (value, _) in labels.items())
    heights = [height for height, _ in placed]
    for _ in range(200):
        for i in range(len(heights) - 1):
            overlap = gap - (heights[i + 1] - heights[i])
            if overlap > 0:
                heights[i] -= overlap / 2
                heights[i + 1] += overlap / 2
    for height, (_, name) in zip(heights, placed, strict=True):
        value, color = labels[name]
        y = float(np.exp(low + height * (high - low)))
        axes.text(x, y, f"{name} {value:.4f}", color=color, va="center", fontsize=8)


# Figures 2-3


def example(
    photo: Photo, colorize: Colorize, table: Colorize, path: Path, *, number: str, subject: str
) -> Illustration:
    """Draw gray input, ground truth, prediction and look-up table side by side, each with its PSNR (Sec. IV.B).

    Args:
        photo: a photograph that was not trained on.
        colorize: the network that predicts its colors.
        table: the baseline "look-up table": the best colors that a single pixel's L determines.
        path: the PNG file.
        number: the figure's number in the caption, for example `Figure 2`.
        subject: the subject of the photograph, in words.
    """
    truth = torch.from_numpy(photo.load()).permute(2, 0, 1)
    light = lightness(truth).unsqueeze(0)
    pictures = {
        "gray input": to_bytes(gray_rgb(light)[0]),
        "ground truth": truth,
        "prediction": to_bytes(colorize(light)[0]),
        "look-up table": to_bytes(table(light)[0]),
    }
    colored = [title for title in pictures if title != "ground truth"]
    data = pd.DataFrame({"picture": colored, "MSE": [mse(pictures[title], truth) for title in colored]})
    data["PSNR"] = [psnr_of(value) for value in data["MSE"]]
    numbers = {title: round(psnr, 2) for title, psnr in zip(colored, data["PSNR"], strict=True)}
    scores = {title: f"{number:.2f} dB" for title, number in numbers.items()}
    height, width = truth.shape[1:]
    with style():
        figure = Figure(figsize=(6.6, 1.61 * height / width))
        for axes, (title, picture) in zip(figure.subplots(1, len(pictures)), pictures.items(), strict=True):
            axes.imshow(picture.permute(1, 2, 0).numpy(), interpolation="antialiased")
            axes.set_title(title, fontsize=9, pad=4)
            axes.set_xlabel(f"PSNR {scores[title]}" if title in scores else " ", fontsize=9, labelpad=4)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        figure.subplots_adjust(wspace=0.03, left=0, right=1, bottom=0, top=1)
        save(figure, path, dpi=150)
    listed = ", ".join(f"{title} {score}" for title, score in scores.items())
    return Illustration(
        path=path,
        figure=figure,
        data=data,
        label=f"{number}.",
        caption=(
            f"{subject[0].upper()}{subject[1:]}: gray input (L of CIE LAB), ground truth, prediction, look-up "
            f"table (for each L the mean color of the training pixels with this L). PSNR on 8-bit RGB: {listed}. The "
            "photograph was not trained on."
        ),
        alt=(
            f"Four pictures side by side of {subject}: the gray input, the ground truth in color, the network's "
            f"prediction, at {scores['prediction']} PSNR where gray alone has {scores['gray input']}, and the look-up "
            f"table, at {scores['look-up table']}."
        ),
        numbers=numbers,
    )


def paper_example(name: str, colorize: Colorize, table: Colorize, folder: Path) -> Illustration:
    """Draw one of the paper's Figures 2-3, a row of `paper.EXAMPLES`, as `folder`/`name`.png."""
    photo, number, subject = EXAMPLES[name]
    (found,) = [each for each in open_photos("bundled", "test") if each.name == photo]
    return example(found, colorize, table, folder / f"{name}.png", number=number, subject=subject)


# Training data


def data_crops(folder: Path, crop_size: int) -> Illustration:
    """Draw training crops of a photograph that ships with scikit-image, as `folder`/data_crops.png."""
    augmentation = Augmentation(crop_size=crop_size, flip_probability=0.5, turn_probability=0.75)
    return augmentations(open_photos("bundled", "train")[0], augmentation, folder / "data_crops.png", seed=0)


def augmentations(photo: Photo, augmentation: Augmentation, path: Path, *, seed: int) -> Illustration:
    """Draw eight augmented training crops of one photograph: in color (the truth) and as L (the input)."""
    crops = next(TrainingPhotos([photo.load()], [photo.name], augmentation).batches(8, 8, seed=seed, epoch=1))
    grays = to_bytes(gray_rgb(lightness(crops)))
    size = augmentation.crop_size
    with style():
        figure = Figure(figsize=(6.6, 1.62))
        for row, (name, pictures) in enumerate({"input": grays, "truth": crops}.items()):
            for column, picture in enumerate(pictures):
                axes = figure.add_subplot(2, 8, row * 8 + column + 1)
                axes.imshow(picture.permute(1, 2, 0).numpy(), interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
                if column == 0:
                    axes.set_ylabel(name)
        figure.subplots_adjust(wspace=0.06, hspace=0.06, left=0.03, right=1, bottom=0, top=0.97)
        save(figure, path)
    return Illustration(
        path=path,
        figure=figure,
        caption=f"Eight training crops of {size} × {size} pixels, flipped and turned: the input L, and the truth.",
        alt=f"Two rows of eight square crops of one photograph, gray above and in color below, {size} pixels wide.",
    )
