"""The controls of notebooks/explore.ipynb: widgets around an `Exploration`."""

import html
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import numpy as np
from IPython.display import display

from colorlib.companion.explore import ERROR_RANGE, WIDTH, Exploration
from colorlib.companion.explore_panels import Panel, facts_html, marked
from colorlib.images import Pixels

NOTHING = "nothing"
"""The second method, where none is compared."""
SHOWN = 256
"""Width in pixels that pictures are shown at."""
PATCH = 156
"""Width in pixels that the patch is shown at."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Choice:
    """What the controls say at one moment."""

    photo: str
    shown: tuple[tuple[str, int | None], ...]
    """The method, and the one it is compared with; each with its epoch, None for the last."""
    keep_luminance: bool
    saturation: float


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
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._drawing = threading.Lock()
        self._current: Choice | None = None
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
            self._complain(str(error))
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
            self._tell()

    # What is shown

    def _choice(self) -> Choice:
        methods = [self.method.value, *([self.other.value] if self.other.value != NOTHING else [])]
        at = self.epoch.value
        return Choice(
            photo=self.photo.value,
            # The epoch on the slider, where the method kept it; the last one of any other run.
            shown=tuple((method, at if at in self.exploration.epochs(method) else None) for method in methods),
            keep_luminance=self.luminance.value,
            saturation=self.saturation.value,
        )

    def _draw(self) -> None:
        """Show previews, or all that is known; what is missing follows from the thread."""
        choice = self._choice()
        known = all(
            self.exploration.knows(method, choice.photo, epoch=epoch, full=True) for method, epoch in choice.shown
        )
        with self._drawing:
            self._current = choice
            self._put_truth(choice, full=known)
            self._put(choice, full=known)
        self._tell()
        self._pool.submit(self._follow, choice)

    def _prediction(self, choice: Choice, place: int, *, full: bool) -> Pixels:
        method, epoch = choice.shown[place]
        return self.exploration.shown(
            method,
            choice.photo,
            epoch=epoch,
            keep_luminance=choice.keep_luminance,
            saturation=choice.saturation,
            full=full,
        )

    def _put_truth(self, choice: Choice, *, full: bool) -> None:
        self.panels["truth"].put("truth", self.exploration.pixels(choice.photo, full=full))

    def _put(self, choice: Choice, *, full: bool) -> None:
        for place, names in enumerate((("prediction", "error"), ("second", "second error"))[: len(choice.shown)]):
            method, epoch = choice.shown[place]
            prediction = self._prediction(choice, place, full=full)
            self.panels[names[0]].put(method + (f", epoch {epoch}" if epoch is not None else ""), prediction)
            error = self.exploration.error(prediction, choice.photo, full=full)
            self.panels[names[1]].put(f"error in ab (black 0, white {ERROR_RANGE:.0f})", error)
        self._second.layout.display = None if len(choice.shown) > 1 else "none"

    def _tell(self) -> None:
        """What is known of the chosen pixel, and where it is."""
        choice, row, column = self._choice(), self.row.value, self.column.value
        self.panels["gray"].put("gray", marked(self.exploration.gray(choice.photo), row, column))
        prediction = self._prediction(choice, 0, full=False)
        facts = self.exploration.facts(prediction, choice.photo, row, column)
        levels = np.nan_to_num(facts.patch, nan=50.0) * 2.55
        patch = np.repeat(np.round(levels).astype(np.uint8)[..., None], 3, axis=-1)
        self.patch.put(f"the {WIDTH} × {WIDTH} gray pixels", patch)
        self.told.value = facts_html(facts, self.exploration.halo(choice.shown[0][0]))

    def _follow(self, choice: Choice) -> None:
        """In the thread: full pictures of what is chosen, then the previews of the run's other epochs.

        It stops where something else is chosen meanwhile. What goes wrong is told above the pictures.
        """
        try:
            for method, epoch in choice.shown:
                if choice is not self._current:
                    return
                self.exploration.colored(method, choice.photo, epoch=epoch, full=True)
            with self._drawing:
                if choice is self._current:
                    self._put_truth(choice, full=True)
                    self._put(choice, full=True)
            method = choice.shown[0][0]
            for epoch in reversed(self.exploration.epochs(method)):
                if choice is not self._current:
                    return
                self.exploration.colored(method, choice.photo, epoch=epoch)
        except Exception as error:  # noqa: BLE001  a thread that ends in silence would leave the previews for good
            self._complain(f"{type(error).__name__}: {error}")

    def _complain(self, text: str) -> None:
        self.message.value = f"<span style='color:#b00020'>{html.escape(text)}</span>"


def _row(*children: widgets.Widget) -> widgets.HBox:
    """Widgets beside each other, where there is room for them."""
    return widgets.HBox(children, layout=widgets.Layout(flex_flow="row wrap", grid_gap="8px"))
