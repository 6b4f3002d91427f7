"""The controls of notebooks/explore.ipynb: widgets around an `Exploration`."""

import html
import io
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ipywidgets as widgets
import numpy as np
from IPython.display import display
from PIL import Image, ImageDraw

from colorlib.companion.explore import ERROR_RANGE, WIDTH, Exploration, PixelFacts
from colorlib.images import Pixels

NOTHING = "nothing"
"""The second method, where none is compared."""
SHOWN = 256
"""Width in pixels that pictures are shown at."""
MARK = (210, 64, 80)
"""Color of the square around the chosen pixel."""
PATCH = 156
"""Width in pixels that the patch is shown at."""


def png(pixels: Pixels) -> bytes:
    """A picture as PNG."""
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG", compress_level=1)
    return held.getvalue()


class Panel:
    """A picture under its heading, which is its alternative text too.

    An `Image` widget has no alternative text, and a tooltip breaks it (ipywidgets 8.1).
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.box = widgets.HTML()
        self.pixels: Pixels | None = None

    def put(self, heading: str, pixels: Pixels) -> None:
        """Change both; a small picture is enlarged without smoothing."""
        self.pixels = pixels
        shown = html.escape(heading)
        style = "image-rendering: pixelated" if pixels.shape[1] < self.width / 2 else ""
        self.box.value = (
            f"<b>{shown}</b><br><img alt='{shown}' width={self.width} style='{style}' "
            f"src='data:image/png;base64,{b64encode(png(pixels)).decode()}'>"
        )


class Controls:
    """Choose a photograph, a run, an epoch; see gray, truth, prediction and error; ask a pixel what decided it.

    What is shown at once is a preview; the full picture follows from a thread, and so do the previews of the other
    epochs, so that the slider answers from what is known.
    """

    def __init__(self, exploration: Exploration) -> None:
        """Make the widgets and show the first photograph."""
        self.exploration = exploration
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
            name: Panel(SHOWN) for name in ("gray", "truth", "prediction", "error", "second", "second error")
        }
        self.patch = Panel(PATCH)
        self.told = widgets.HTML()
        self._running: threading.Thread | None = None
        self._asked = 0
        self._settled = True
        self.box = self._laid_out()
        self._new_method()
        self._new_photo()
        for control in (self.epoch, self.luminance, self.saturation, self.other):
            control.observe(self._changed, names="value")
        for control in (self.row, self.column):
            control.observe(self._pixel_changed, names="value")
        self.photo.observe(lambda _: self._new_photo(), names="value")
        self.method.observe(self._method_changed, names="value")
        self.upload.observe(self._uploaded, names="value")

    def show(self) -> None:
        """Display them in a notebook."""
        display(self.box)

    def _laid_out(self) -> widgets.VBox:
        choices = _row(
            widgets.VBox([widgets.HBox([self.photo, self.upload]), self.method, self.epoch, self.other]),
            widgets.VBox([self.luminance, self.saturation, self.row, self.column]),
        )
        first = _row(*(self.panels[name].box for name in ("gray", "truth", "prediction", "error")))
        self._second = _row(*(self.panels[name].box for name in ("second", "second error")))
        facts = _row(self.patch.box, self.told)
        return widgets.VBox([choices, self.message, first, self._second, facts])

    # What changes when a control does

    def _uploaded(self, _: Any) -> None:
        if not self.upload.value:
            return
        (file,) = self.upload.value
        try:
            name = self.exploration.add(file["name"], bytes(file["content"]))
        except ValueError as error:
            self.message.value = f"<span style='color:#b00020'>{html.escape(str(error))}</span>"
            return
        self.message.value = ""
        if name == self.photo.value:
            self._new_photo()
        else:
            self.photo.options = list(self.exploration.photos)
            self.photo.value = name

    def _method_changed(self, _: Any) -> None:
        self._new_method()
        self._draw()

    def _new_method(self) -> None:
        epochs = self.exploration.epochs(self.method.value)
        self.epoch.disabled = not epochs
        with self._settling():
            self.epoch.options = epochs or [0]
            self.epoch.value = self.epoch.options[-1]

    def _new_photo(self) -> None:
        height, width = self.exploration.pixels(self.photo.value).shape[:2]
        with self._settling():
            for slider, size in ((self.row, height), (self.column, width)):
                slider.max = size - 1
                slider.value = size // 2
        self._draw()

    @contextmanager
    def _settling(self) -> Iterator[None]:
        """Controls change together: a row of the one photograph and a column of the other make no pixel."""
        self._settled = False
        try:
            yield
        finally:
            self._settled = True

    def _changed(self, _: Any) -> None:
        if self._settled:
            self._draw()

    def _pixel_changed(self, _: Any) -> None:
        if self._settled:
            self._tell(self._prediction(full=False))

    # What is shown

    def _epoch(self, method: str) -> int | None:
        """The epoch on the slider, where the method kept it; the last one of any other run."""
        return self.epoch.value if self.epoch.value in self.exploration.epochs(method) else None

    def _prediction(self, *, full: bool, method: str | None = None) -> Pixels:
        chosen = method or self.method.value
        return self.exploration.shown(
            chosen,
            self.photo.value,
            epoch=self._epoch(chosen),
            keep_luminance=self.luminance.value,
            saturation=self.saturation.value,
            full=full,
        )

    def _draw(self) -> None:
        self._asked += 1
        full = all(
            self.exploration.knows(method, self.photo.value, epoch=self._epoch(method), full=True)
            for method in self._methods()
        )
        self._put(full=full)
        self._tell(self._prediction(full=False))
        if self._running is None or not self._running.is_alive():
            self._running = threading.Thread(target=self._follow, daemon=True)
            self._running.start()

    def _methods(self) -> list[str]:
        return [self.method.value, *([self.other.value] if self.other.value != NOTHING else [])]

    def _put(self, *, full: bool) -> None:
        photo, exploration = self.photo.value, self.exploration
        self.panels["truth"].put("truth", exploration.pixels(photo, full=full))
        for names, method in zip((("prediction", "error"), ("second", "second error")), self._methods(), strict=False):
            prediction = self._prediction(full=full, method=method)
            epoch = self._epoch(method)
            self.panels[names[0]].put(method + (f", epoch {epoch}" if epoch is not None else ""), prediction)
            error = exploration.error(prediction, photo, full=full)
            self.panels[names[1]].put(f"error in ab (black 0, white {ERROR_RANGE:.0f})", error)
        self._second.layout.display = None if len(self._methods()) > 1 else "none"

    def _tell(self, prediction: Pixels) -> None:
        photo, row, column = self.photo.value, self.row.value, self.column.value
        self.panels["gray"].put("gray", marked(self.exploration.gray(photo), row, column))
        facts = self.exploration.facts(prediction, photo, row, column)
        levels = np.nan_to_num(facts.patch, nan=50.0) * 2.55
        patch = np.repeat(np.round(levels).astype(np.uint8)[..., None], 3, axis=-1)
        self.patch.put(f"the {WIDTH} × {WIDTH} gray pixels", patch)
        self.told.value = facts_html(facts, self.exploration.halo(self.method.value))

    def _follow(self) -> None:
        """Full pictures of what is chosen, then the previews of the run's other epochs."""
        answered = -1
        while answered != self._asked:
            answered, photo, method = self._asked, self.photo.value, self.method.value
            for chosen in self._methods():
                self.exploration.colored(chosen, photo, epoch=self._epoch(chosen), full=True)
            if answered == self._asked:
                self._put(full=True)
            for epoch in reversed(self.exploration.epochs(method)):
                if answered == self._asked:
                    self.exploration.colored(method, photo, epoch=epoch)


def _row(*children: widgets.Widget) -> widgets.HBox:
    """Widgets beside each other, where there is room for them."""
    return widgets.HBox(children, layout=widgets.Layout(flex_flow="row wrap", grid_gap="8px"))


def marked(pixels: Pixels, row: int, column: int) -> Pixels:
    """A copy of a preview with the square around a pixel that decides it outlined."""
    image = Image.fromarray(pixels)
    half = WIDTH // 2 + 1
    ImageDraw.Draw(image).rectangle((column - half, row - half, column + half, row + half), outline=MARK)
    return np.asarray(image)


def facts_html(facts: PixelFacts, halo: int | None) -> str:
    """What a pixel was made of, in words."""
    seen = f"{2 * halo + 1} × {2 * halo + 1}" if halo is not None else "1 × 1"
    return (
        f"<p>This pixel has <b>L = {facts.light:.1f}</b>. The method sees {seen} gray pixels around it; the {WIDTH} × "
        f"{WIDTH} shown here decide an answer of the paper's network.</p>"
        f"<table><tr><th></th><th>a</th><th>b</th></tr>"
        f"<tr><td>truth</td><td>{facts.truth[0]:.1f}</td><td>{facts.truth[1]:.1f}</td></tr>"
        f"<tr><td>answer</td><td>{facts.answer[0]:.1f}</td><td>{facts.answer[1]:.1f}</td></tr></table>"
    )
