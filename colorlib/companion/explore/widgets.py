"""The controls of notebooks/explore.ipynb: ipywidgets for an `Exploration`."""

import html
import io
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import numpy as np
from IPython.display import display
from PIL import Image, ImageDraw

from colorlib.companion.explore.exploration import ERROR_RANGE, PATCH, Exploration, PixelValues
from colorlib.photos.decode import Pixels

NOTHING = "nothing"
"""The option of the second method that compares none."""
PICTURE_WIDTH = 256
"""Width in CSS pixels of a picture on the page."""
PATCH_WIDTH = 156
"""Width in CSS pixels of the patch on the page."""
MARK = (210, 64, 80)
"""Color of the square around the chosen pixel, RGB."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Choice:
    """Settings of the controls at one moment; two are equal only if they are the same object."""

    photo: str
    methods: tuple[tuple[str, int | None], ...]
    """The method, and the one it is compared with, if any; each with its epoch, None for the last."""
    keep_luminance: bool
    saturation: float


class Controls:
    """Widgets to choose a photograph, a run, an epoch and a pixel, and to see gray, truth, prediction and error.

    Previews are shown at once. A thread computes the full pictures, and then the previews of the other epochs, so
    that the slider of epochs reacts at once.
    """

    def __init__(self, exploration: Exploration) -> None:
        """Make the widgets and draw the first photograph."""
        self.exploration = exploration
        # Make the widgets
        names = list(exploration.photos)
        methods = exploration.methods()
        wide = {"description_width": "9em"}
        layout = widgets.Layout(width="30em")
        self.photo = widgets.Dropdown(options=names, description="photograph", style=wide, layout=layout)
        self.upload = widgets.FileUpload(accept="image/*", multiple=False, description="your own")
        self.method = widgets.Dropdown(options=methods, description="colored by", style=wide, layout=layout)
        self.other = widgets.Dropdown(
            options=[NOTHING, *methods], description="compared with", style=wide, layout=layout
        )
        self.epoch = widgets.SelectionSlider(options=[0], description="after epoch", style=wide, layout=layout)
        self.luminance = widgets.Checkbox(value=False, description="keep the photograph's own L", indent=False)
        self.saturation = widgets.FloatSlider(
            value=1.0, min=0.0, max=3.0, step=0.1, description="saturation", style=wide, layout=layout
        )
        self.row = widgets.IntSlider(description="pixel: row", style=wide, layout=layout)
        self.column = widgets.IntSlider(description="column", style=wide, layout=layout)
        self.message = widgets.HTML()
        self.panels = {
            name: Panel(PICTURE_WIDTH) for name in ("gray", "truth", "prediction", "error", "second", "second error")
        }
        self.patch = Panel(PATCH_WIDTH)
        self.values = widgets.HTML()
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._drawing = threading.Lock()
        self._current: Choice | None = None
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

    def show(self) -> None:
        """Display the controls in a notebook."""
        display(self.box)

    def _layout(self) -> widgets.VBox:
        choices = _row(
            widgets.VBox([widgets.HBox([self.photo, self.upload]), self.method, self.epoch, self.other]),
            widgets.VBox([self.luminance, self.saturation, self.row, self.column]),
        )
        first = _row(*(self.panels[name].box for name in ("gray", "truth", "prediction", "error")))
        self._second = _row(*(self.panels[name].box for name in ("second", "second error")))
        pixel = _row(self.patch.box, self.values)
        return widgets.VBox([choices, self.message, first, self._second, pixel])

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

    def _on_method(self, _: Any) -> None:
        self._reset_epochs()
        self._draw()

    def _reset_epochs(self) -> None:
        """Set the slider to the epochs of the chosen run, at the last one."""
        epochs = self.exploration.epochs(self.method.value)
        self.epoch.disabled = not epochs
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
        epoch = self.epoch.value
        return Choice(
            photo=self.photo.value,
            # The epoch on the slider, if the method has its weights, else its last.
            methods=tuple((method, epoch if epoch in self.exploration.epochs(method) else None) for method in methods),
            keep_luminance=self.luminance.value,
            saturation=self.saturation.value,
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
        self._show_pixel()
        self._pool.submit(self._compute, choice)

    def _prediction(self, choice: Choice, index: int, *, full: bool) -> Pixels:
        method, epoch = choice.methods[index]
        return self.exploration.shown(
            method,
            choice.photo,
            epoch=epoch,
            keep_luminance=choice.keep_luminance,
            saturation=choice.saturation,
            full=full,
        )

    def _show_truth(self, choice: Choice, *, full: bool) -> None:
        self.panels["truth"].put("truth", self.exploration.pixels(choice.photo, full=full))

    def _show_predictions(self, choice: Choice, *, full: bool) -> None:
        for index, names in enumerate((("prediction", "error"), ("second", "second error"))[: len(choice.methods)]):
            method, epoch = choice.methods[index]
            prediction = self._prediction(choice, index, full=full)
            self.panels[names[0]].put(method + (f", epoch {epoch}" if epoch is not None else ""), prediction)
            error = self.exploration.error(prediction, choice.photo, full=full)
            self.panels[names[1]].put(f"error in ab (black 0, white {ERROR_RANGE:.0f})", error)
        self._second.layout.display = None if len(choice.methods) > 1 else "none"

    def _show_pixel(self) -> None:
        """Mark the chosen pixel, and show its patch and its values."""
        choice, row, column = self._choice(), self.row.value, self.column.value
        self.panels["gray"].put("gray", _marked(self.exploration.gray(choice.photo), row, column))
        prediction = self._prediction(choice, 0, full=False)
        values = self.exploration.pixel_values(prediction, choice.photo, row, column)
        levels = np.nan_to_num(values.patch, nan=50.0) * 2.55
        patch = np.repeat(np.round(levels).astype(np.uint8)[..., None], 3, axis=-1)
        self.patch.put(f"the {PATCH} × {PATCH} gray pixels", patch)
        self.values.value = _values_html(values, self.exploration.halo(choice.methods[0][0]))

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

    def __init__(self, width: int) -> None:
        self.width = width
        self.box = widgets.HTML()

    def put(self, heading: str, pixels: Pixels) -> None:
        """Show a picture `(H, W, 3)` uint8 with a heading; a small one is enlarged without smoothing."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
        text = html.escape(heading)
        style = "image-rendering: pixelated" if pixels.shape[1] < self.width / 2 else ""
        self.box.value = (
            f"<b>{text}</b><br><img alt='{text}' width={self.width} style='{style}' "
            f"src='data:image/png;base64,{b64encode(buffer.getvalue()).decode()}'>"
        )


def _marked(pixels: Pixels, row: int, column: int) -> Pixels:
    """Return a copy of a preview with the patch around a pixel outlined."""
    image = Image.fromarray(pixels)
    half = PATCH // 2 + 1
    ImageDraw.Draw(image).rectangle((column - half, row - half, column + half, row + half), outline=MARK)
    return np.asarray(image)


def _values_html(values: PixelValues, halo: int | None) -> str:
    """Return the values at a pixel as a sentence and a table; `halo` is the method's, None for a baseline."""
    side = 2 * halo + 1 if halo is not None else 1
    return (
        f"<p>This pixel has <b>L = {values.lightness:.1f}</b>. The method sees {side} × {side} gray pixels around it; "
        f"the {PATCH} × {PATCH} shown here are the receptive field of the paper's network.</p>"
        f"<table><tr><th></th><th>a</th><th>b</th></tr>"
        f"<tr><td>truth</td><td>{values.truth[0]:.1f}</td><td>{values.truth[1]:.1f}</td></tr>"
        f"<tr><td>prediction</td><td>{values.prediction[0]:.1f}</td><td>{values.prediction[1]:.1f}</td></tr></table>"
    )
