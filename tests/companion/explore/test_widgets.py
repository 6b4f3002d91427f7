"""The controls of notebooks/explore.ipynb, without a notebook."""

import base64
import datetime as dt
import io
import re

import numpy as np
import pytest
from helpers.pictures import noise, png, smooth
from PIL import Image

from colorlib.companion.explore.exploration import Exploration
from colorlib.companion.explore.widgets import NOTHING, Controls
from colorlib.photos import Pixels


@pytest.fixture
def controls(exploration: Exploration) -> Controls:
    """Controls whose thread has finished."""
    return settled(Controls(exploration))


def settled(controls: Controls) -> Controls:
    controls._pool.submit(lambda: None).result(60)
    assert controls.message.value == ""
    return controls


def shown(controls: Controls, name: str) -> Pixels:
    """The pixels that the browser is given."""
    (data,) = re.findall("base64,([^']+)'", controls.panels[name].box.value)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def heading(controls: Controls, name: str) -> str:
    text = controls.panels[name].box.value.partition("</b>")[0].removeprefix("<b>")
    assert f"<img alt='{text}'" in controls.panels[name].box.value
    return text


def test_the_slider_of_epochs_changes_the_prediction(controls, exploration):
    assert list(controls.epoch.options) == [1, 2, 5, 10, 20, 40]
    assert re.fullmatch(r"cpu/seed-0\b.*\b40", heading(controls, "prediction"))
    last = shown(controls, "prediction")
    controls.epoch.value = 1
    settled(controls)
    assert re.fullmatch(r"cpu/seed-0\b.*\b1", heading(controls, "prediction"))
    assert np.array_equal(shown(controls, "prediction"), exploration.shown("cpu/seed-0", "waves", epoch=1))
    assert not np.array_equal(shown(controls, "prediction"), last)


def test_the_other_epochs_are_colored_in_the_background(controls, exploration):
    assert all(exploration.is_cached("cpu/seed-0", "waves", epoch=epoch) for epoch in controls.epoch.options)


@pytest.mark.slow
def test_full_pictures_replace_previews(exploration):
    exploration.add("large", smooth(300, 400))
    controls = settled(Controls(exploration))
    controls.photo.options = list(exploration.photos)
    controls.photo.value = "large"
    settled(controls)
    assert shown(controls, "prediction").shape == (300, 400, 3)
    assert shown(controls, "error").shape == (300, 400, 3)
    controls.saturation.value = 0.0  # at once, from the cache
    assert shown(controls, "prediction").shape == (300, 400, 3)
    assert np.ptp(shown(controls, "prediction").astype(int), axis=-1).max() <= 1


def test_baselines_and_a_second_method_are_shown(controls, exploration):
    assert controls._second.layout.display == "none"
    controls.method.value = "gray"
    controls.other.value = "cpu/seed-0"
    settled(controls)
    assert controls.epoch.disabled
    assert heading(controls, "prediction") == "gray"
    assert np.array_equal(shown(controls, "prediction"), exploration.gray("waves"))
    assert controls._second.layout.display is None
    assert np.array_equal(shown(controls, "second"), exploration.shown("cpu/seed-0", "waves"))
    controls.other.value = NOTHING
    assert controls._second.layout.display == "none"


def test_a_pixel_is_chosen_and_outlined(controls, exploration):
    controls.row.value, controls.column.value = 3, 7
    values = exploration.pixel_values(exploration.shown("cpu/seed-0", "waves"), "waves", 3, 7)
    assert f"L = {values.lightness:.1f}" in controls.values.value
    assert f"<td>{values.prediction[0]:.1f}</td>" in controls.values.value
    assert re.findall(r"\d+ × \d+", controls.values.value) == ["13 × 13"] * 2, "the method's field, and the patch"
    outlined = (shown(controls, "gray") != exploration.gray("waves")).any(axis=-1)
    rows, columns = np.nonzero(outlined)
    assert (rows.max(), columns.max()) == (10, 14)
    controls.photo.value = "noise"  # smaller: its middle is chosen
    assert (controls.row.value, controls.column.value) == (15, 10)


def uploaded(name: str, content: bytes) -> tuple[dict[str, object]]:
    now = dt.datetime.now(tz=dt.UTC)
    return ({"name": name, "type": "image/png", "size": len(content), "content": content, "last_modified": now},)


def test_a_photograph_is_uploaded_and_a_bad_one_gives_a_message(controls, exploration):
    own = png(smooth(25, 35, seed=9))
    controls.upload.value = uploaded("own.png", own)
    settled(controls)
    assert controls.photo.value == "own.png"
    assert shown(controls, "truth").shape == (25, 35, 3)
    controls.upload.value = uploaded("<b>.jpg", b"bad")
    assert "&lt;b&gt;.jpg" in controls.message.value
    assert controls.photo.value == "own.png"
    again = png(noise(25, 35, seed=9))
    controls.upload.value = uploaded("own.png", again)
    assert controls.message.value == ""
    assert np.array_equal(shown(controls, "truth"), noise(25, 35, seed=9))


@pytest.mark.slow
def test_of_fast_changes_the_last_choice_is_shown(exploration):
    """Photographs of different sizes, one of them replaced, while the thread computes earlier choices."""
    exploration.add("wide", smooth(200, 400))
    controls = Controls(exploration)
    controls.photo.options = list(exploration.photos)
    for round_ in range(6):
        controls.photo.value = ("wide", "noise", "waves")[round_ % 3]
        controls.epoch.value = (1, 5)[round_ % 2]
        own = png(smooth(150 + 10 * round_, 100, seed=round_))
        controls.upload.value = uploaded("own.png", own)
    settled(controls)
    assert controls.photo.value == "own.png"
    assert shown(controls, "truth").shape == shown(controls, "error").shape == (200, 100, 3)
    assert np.array_equal(shown(controls, "prediction"), exploration.shown("cpu/seed-0", "own.png", epoch=5))


def test_an_error_in_the_thread_is_shown(controls, exploration, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no <memory> left")

    choice = controls._current
    monkeypatch.setattr(exploration, "colored", fail)
    controls._compute(choice)
    assert "RuntimeError: no &lt;memory&gt; left" in controls.message.value
