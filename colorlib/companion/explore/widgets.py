"""The controls of notebooks/explore.ipynb: ipywidgets for an `Exploration`."""

import html
import io
import threading
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import numpy as np
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from colorlib.companion.artifacts.figures import style
from colorlib.companion.explore.exploration import (
    ERROR_RANGE,
    PATCH,
    Exploration,
    PixelValues,
    SimilarPixels,
    draw_colors,
)
from colorlib.hints import Hint
from colorlib.photos.decode import Pixels

NOTHING = "nothing"
"""The option of the second method that compares none."""
PICTURE_WIDTH = 310
"""Width in CSS pixels of a picture on the page: three stand side by side in a window of 1400."""
PATCH_WIDTH = 156
"""Width in CSS pixels of the patch on the page."""
REDRAWN_AFTER = 25
"""Training photographs that are searched for similar patches between two drawings of their colors."""
MARK = (210, 64, 80)
"""Color of the square around the chosen pixel, RGB."""


ON_CLICK = (
    "const box = this.getBoundingClientRect(), field = document.querySelector('FIELD');"
    "field.value = (event.clientY - box.top) / box.height + ' ' + (event.clientX - box.left) / box.width;"
    "field.dispatchEvent(new Event('input', {bubbles: true}));"
)
"""Script of a picture: it writes the place of a click, as shares of height and width, into a text field."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Choice:
    """Settings of the controls at one moment; two are equal only if they are the same object."""

    photo: str
    methods: tuple[tuple[str, int | None], ...]
    """The method, and the one it is compared with, if any; each with its epoch, None for a baseline."""
    keep_luminance: bool
    saturation: float
    hints: tuple[Hint, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Point:
    """A chosen pixel of a preview, with the values there."""

    photo: str
    row: int
    column: int
    values: PixelValues

    @property
    def place(self) -> tuple[str, int, int]:
        """Photograph, row and column."""
        return self.photo, self.row, self.column


class Controls:
    """Widgets to choose a photograph, a run, an epoch and a pixel, and to see gray, truth, prediction and error.

    A click on a picture chooses the pixel there; the sliders of row and column do the same for the keyboard. Previews
    are shown at once. A thread computes the full pictures, then the previews of the other epochs, so that the slider of
    epochs reacts at once, then the colors of the training patches that are similar to the one around the chosen pixel.
    """

    def __init__(self, exploration: Exploration) -> None:
        """Make the widgets and draw the first photograph."""
        self.exploration = exploration
        # Make the widgets
        names = list(exploration.photos)
        methods = [(exploration.label(method), method) for method in exploration.methods()]
        first_run = next(iter(exploration.runs))
        wide = {"description_width": "9em"}
        layout, wider = widgets.Layout(width="30em"), widgets.Layout(width="40em")
        self.photo = widgets.Dropdown(options=names, description="photograph", style=wide, layout=layout)
        self.upload = widgets.FileUpload(accept="image/*", multiple=False, description="your own")
        self.method = widgets.Dropdown(
            options=methods, value=first_run, description="colored by", style=wide, layout=wider
        )
        self.other = widgets.Dropdown(
            options=[(NOTHING, NOTHING), *methods], description="compared with", style=wide, layout=wider
        )
        self.epoch = widgets.SelectionSlider(options=[0], description="after epoch", style=wide, layout=layout)
        self.luminance = widgets.Checkbox(value=True, description="keep the photograph's own L", indent=False)
        self.saturation = widgets.FloatSlider(
            value=1.0, min=0.0, max=3.0, step=0.1, description="saturation", style=wide, layout=layout
        )
        self.row = widgets.IntSlider(description="pixel: row", style=wide, layout=layout)
        self.column = widgets.IntSlider(description="column", style=wide, layout=layout)
        self.hint_color = widgets.ColorPicker(value="#a0522d", description="color", layout=widgets.Layout(width="16em"))
        self.hint = widgets.Button(description="give this color to the pixel", layout=widgets.Layout(width="16em"))
        self.no_hints = widgets.Button(description="take all colors back", layout=widgets.Layout(width="12em"))
        # A click on a picture writes its place here: a widget of plain HTML cannot send messages of its own
        self.clicked = widgets.Text(layout=widgets.Layout(display="none"))
        self.clicked.add_class(f"clicked-{self.clicked.model_id}")
        self.message = widgets.HTML()
        self.panels = {
            name: Panel(PICTURE_WIDTH, f".clicked-{self.clicked.model_id} input")
            for name in ("gray", "truth", "prediction", "error", "second", "second error")
        }
        self.patch, self.colors = Panel(PATCH_WIDTH), Panel(PICTURE_WIDTH)
        self.values = widgets.HTML()
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._drawing = threading.Lock()
        self._current: Choice | None = None
        self._point: Point
        self._hints: dict[str, tuple[Hint, ...]] = {}
        self._updating = False
        self.box = self._layout()
        # Draw the first photograph, then react to changes
        self._reset_epochs()
        self._reset_pixel()
        for control in (self.epoch, self.luminance, self.saturation, self.other):
            control.observe(self._on_change, names="value")
        for control in (self.row, self.column):
            control.observe(self._on_pixel, names="value")
        self.photo.observe(lambda _: self._reset_pixel(), names="value")
        self.method.observe(self._on_method, names="value")
        self.upload.observe(self._on_upload, names="value")
        self.clicked.observe(self._on_click, names="value")
        self.hint.on_click(self._on_hint)
        self.no_hints.on_click(self._on_hint)

    def show(self) -> None:
        """Display the controls in a notebook."""
        display(self.box)

    def _layout(self) -> widgets.VBox:
        hints = widgets.HBox([self.hint_color, self.hint, self.no_hints])
        choices = _row(
            widgets.VBox([widgets.HBox([self.photo, self.upload]), self.method, self.epoch, self.other]),
            widgets.VBox([self.luminance, self.saturation, self.row, self.column]),
        )
        first = _row(*(self.panels[name].box for name in ("gray", "prediction", "truth")))
        pixel = _row(self.patch.box, self.colors.box, self.values)
        more = _row(*(self.panels[name].box for name in ("error", "second", "second error")))
        return widgets.VBox([choices, hints, self.clicked, self.message, first, pixel, more])

    # Reactions to a control

    def _on_upload(self, _: Any) -> None:
        if not self.upload.value:
            return
        (file,) = self.upload.value
        try:
            name = self.exploration.add(file["name"], bytes(file["content"]))
        except ValueError as error:
            self._show_error(str(error))
            return
        self.message.value = ""
        if name == self.photo.value:
            self._reset_pixel()
        else:
            self.photo.options = list(self.exploration.photos)
            self.photo.value = name

    def _on_click(self, _: Any) -> None:
        """Choose the pixel at the place that a click wrote: shares of the picture's height and width."""
        down, across = map(float, self.clicked.value.split())
        with self._update():
            for slider, share in ((self.row, down), (self.column, across)):
                slider.value = min(int(share * (slider.max + 1)), slider.max)
        self._show_pixel()

    def _on_hint(self, button: widgets.Button) -> None:
        """Add a hint at the chosen pixel, or remove all hints of the photograph."""
        place = (self.column.value + 0.5) / (self.column.max + 1), (self.row.value + 0.5) / (self.row.max + 1)
        hints = self._hints.get(self.photo.value, ()) if button is self.hint else ()
        if button is self.hint:
            hints = (*(hint for hint in hints if (hint.x, hint.y) != place), Hint(*place, self.hint_color.value))
        self._hints[self.photo.value] = hints
        self._draw()

    def _on_method(self, _: Any) -> None:
        self._reset_epochs()
        self._draw()

    def _reset_epochs(self) -> None:
        """Set the slider to the epochs of the chosen run, at the last one."""
        epochs = self.exploration.epochs(self.method.value)
        self.epoch.disabled = len(epochs) < 2
        with self._update():
            self.epoch.options = epochs or [0]
            self.epoch.value = self.epoch.options[-1]

    def _reset_pixel(self) -> None:
        """Choose the middle pixel of the chosen photograph, and draw it."""
        height, width = self.exploration.pixels(self.photo.value).shape[:2]
        with self._update():
            for slider, size in ((self.row, height), (self.column, width)):
                slider.max = size - 1
                slider.value = size // 2
        self._draw()

    @contextmanager
    def _update(self) -> Iterator[None]:
        """Change several controls without reactions: a row of one photograph may not exist in the other."""
        self._updating = True
        try:
            yield
        finally:
            self._updating = False

    def _on_change(self, _: Any) -> None:
        if not self._updating:
            self._draw()

    def _on_pixel(self, _: Any) -> None:
        if not self._updating:
            self._show_pixel()

    # Pictures

    def _choice(self) -> Choice:
        methods = [self.method.value, *([self.other.value] if self.other.value != NOTHING else [])]
        epoch = self.epoch.value if self.exploration.epochs(self.method.value) else None
        return Choice(
            photo=self.photo.value,
            # The epoch on the slider, or the nearest whose weights were kept
            methods=tuple((method, self.exploration.nearest_epoch(method, epoch)) for method in methods),
            keep_luminance=self.luminance.value,
            saturation=self.saturation.value,
            hints=self._hints.get(self.photo.value, ()),
        )

    def _draw(self) -> None:
        """Show full pictures if all are cached, else previews, which the thread replaces later."""
        choice = self._choice()
        full = all(
            self.exploration.is_cached(method, choice.photo, epoch=epoch, full=True) for method, epoch in choice.methods
        )
        with self._drawing:
            self._current = choice
            self._show_truth(choice, full=full)
            self._show_predictions(choice, full=full)
        self._pool.submit(self._compute, choice)
        self._show_pixel()

    def _prediction(self, choice: Choice, index: int, *, full: bool) -> Pixels:
        method, epoch = choice.methods[index]
        return self.exploration.shown(
            method,
            choice.photo,
            epoch=epoch,
            keep_luminance=choice.keep_luminance,
            saturation=choice.saturation,
            hints=choice.hints,
            full=full,
        )

    def _show_truth(self, choice: Choice, *, full: bool) -> None:
        known = self.exploration.has_colors(choice.photo)
        heading = "truth" if known else "the photograph: gray, so no truth is known"
        self.panels["truth"].put(heading, self.exploration.pixels(choice.photo, full=full))

    def _show_predictions(self, choice: Choice, *, full: bool) -> None:
        known, compared = self.exploration.has_colors(choice.photo), len(choice.methods) > 1
        for index, names in enumerate((("prediction", "error"), ("second", "second error"))[: len(choice.methods)]):
            method, epoch = choice.methods[index]
            prediction = self._prediction(choice, index, full=full)
            label = self.exploration.label(method) + (f", epoch {epoch}" if epoch is not None else "")
            self.panels[names[0]].put(label, prediction)
            error = self.exploration.error(prediction, choice.photo, full=full)
            self.panels[names[1]].put(f"error in ab (black 0, white {ERROR_RANGE:.0f}): {label}", error)
        for name, visible in (("error", known), ("second", compared), ("second error", known and compared)):
            self.panels[name].box.layout.display = None if visible else "none"

    def _show_pixel(self) -> None:
        """Mark the chosen pixel, show its patch and its values, and let the thread search for similar patches."""
        choice, row, column = self._choice(), self.row.value, self.column.value
        known = self.exploration.has_colors(choice.photo)
        gray = _marked(self.exploration.gray(choice.photo), row, column, choice.hints)
        self.panels["gray"].put("gray: click a pixel", gray)
        prediction = self._prediction(choice, 0, full=False)
        values = self.exploration.pixel_values(prediction, choice.photo, row, column)
        levels = np.nan_to_num(values.patch, nan=50.0) * 2.55
        patch = np.repeat(np.round(levels).astype(np.uint8)[..., None], 3, axis=-1)
        self.patch.put(f"the {PATCH} × {PATCH} gray pixels", patch)
        self.values.value = _values_html(values, self.exploration.halo(choice.methods[0][0]), truth=known)
        self._point = Point(photo=choice.photo, row=row, column=column, values=values)
        self._pool.submit(self._search, self._point)

    def _search(self, point: Point) -> None:
        """Draw, in the thread, the colors of similar patches as they are found, until another pixel is chosen."""
        try:
            total = len(self.exploration.training_photos)
            for similar in self.exploration.search_similar(point.photo, point.row, point.column):
                if point.place != self._point.place:
                    return
                found = len(similar.colors)
                if found % REDRAWN_AFTER == 0:
                    self._show_colors(similar, f"colors of like patches: {found} of {total} photographs")
            self._show_colors(similar, f"colors of like patches in {found} training photographs")
        except Exception as error:  # noqa: BLE001  else the thread would end without a message
            self._show_error(f"{type(error).__name__}: {error}")

    def _show_colors(self, similar: SimilarPixels, heading: str) -> None:
        point = self._point
        buffer = io.BytesIO()
        with style():
            figure = Figure(figsize=(4.2, 3.4), layout="constrained")
            axes = figure.subplots()
            draw_colors(axes, similar, point.values, "the prediction", truth=self.exploration.has_colors(point.photo))
            figure.legend(*axes.get_legend_handles_labels(), fontsize=8, ncols=2, loc="outside lower center")
            figure.savefig(buffer, format="png", dpi=100)
        with self._drawing:
            if point.place == self._point.place:
                self.colors.put(heading, np.asarray(Image.open(buffer).convert("RGB")))

    def _compute(self, choice: Choice) -> None:
        """Compute, in the thread, the full pictures of a choice, then the previews of the run's other epochs.

        Stops when something else is chosen. Errors are shown above the pictures.
        """
        try:
            # Full pictures
            for method, epoch in choice.methods:
                if choice is not self._current:
                    return
                self.exploration.colored(method, choice.photo, epoch=epoch, full=True)
            with self._drawing:
                if choice is self._current:
                    self._show_truth(choice, full=True)
                    self._show_predictions(choice, full=True)
            # Previews of the other epochs
            method = choice.methods[0][0]
            for epoch in reversed(self.exploration.epochs(method)):
                if choice is not self._current:
                    return
                self.exploration.colored(method, choice.photo, epoch=epoch)
        except Exception as error:  # noqa: BLE001  else the thread would end without a message
            self._show_error(f"{type(error).__name__}: {error}")

    def _show_error(self, text: str) -> None:
        self.message.value = f"<span style='color:#b00020'>{html.escape(text)}</span>"


def _row(*children: widgets.Widget) -> widgets.HBox:
    """Return widgets in a row that wraps where there is no room."""
    return widgets.HBox(children, layout=widgets.Layout(flex_flow="row wrap", grid_gap="8px"))


class Panel:
    """A picture with a heading, which is also its alternative text.

    An HTML widget, as an `Image` widget has no alternative text, and a tooltip breaks it (ipywidgets 8.1).
    """

    def __init__(self, width: int, clicked: str = "") -> None:
        """Make an empty picture.

        Args:
            width: in CSS pixels.
            clicked: selector of the text field that a click writes its place into; empty for a picture without clicks.
        """
        self.width, self.clicked = width, clicked
        self.box = widgets.HTML()

    def put(self, heading: str, pixels: Pixels) -> None:
        """Show a picture `(H, W, 3)` uint8 with a heading; a small one is enlarged without smoothing."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
        text = html.escape(heading)
        style = "max-width: 100%;"
        style += "image-rendering: pixelated;" if pixels.shape[1] < self.width / 2 else ""
        style += "cursor: crosshair;" if self.clicked else ""
        onclick = f'onclick="{ON_CLICK.replace("FIELD", self.clicked)}" ' if self.clicked else ""
        self.box.value = (
            f"<div style='width: {self.width}px; line-height: 1.3; min-height: 2.6em'><b>{text}</b></div>"
            f"<img alt='{text}' width={self.width} style='{style}' {onclick}"
            f"src='data:image/png;base64,{b64encode(buffer.getvalue()).decode()}'>"
        )


def _marked(pixels: Pixels, row: int, column: int, hints: Sequence[Hint] = ()) -> Pixels:
    """Return a copy of a preview with the patch around a pixel outlined, and a dot for each hint."""
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for hint in hints:
        draw.circle((hint.x * image.width - 0.5, hint.y * image.height - 0.5), 4, fill=hint.color, outline="white")
    half = PATCH // 2 + 1
    draw.rectangle((column - half, row - half, column + half, row + half), outline=MARK)
    return np.asarray(image)


def _values_html(values: PixelValues, halo: int | None, *, truth: bool) -> str:
    """Return the values at a pixel as a sentence and a table.

    Args:
        values: of the pixel.
        halo: the method's; None for a baseline.
        truth: whether the truth is known.
    """
    rows = {"truth": values.truth, "prediction": values.prediction} if truth else {"prediction": values.prediction}
    side = 2 * halo + 1 if halo is not None else 1
    return (
        f"<p>This pixel has <b>L = {values.lightness:.1f}</b>. The method sees {side} × {side} gray pixels around it; "
        f"the {PATCH} × {PATCH} shown here are the receptive field of the paper's network.</p>"
        f"<table><tr><th></th><th>a</th><th>b</th></tr>"
        + "".join(f"<tr><td>{name}</td><td>{a:.1f}</td><td>{b:.1f}</td></tr>" for name, (a, b) in rows.items())
        + "</table>"
    )
