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
from colorlib.hints import Hint
from colorlib.photos import Pixels
from colorlib.profiles import PROJECT


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
    (text,) = re.findall("<b>(.*)</b>", controls.panels[name].box.value)
    assert f"<img alt='{text}'" in controls.panels[name].box.value
    return text


def test_the_slider_of_epochs_changes_the_prediction(controls, exploration):
    assert list(controls.epoch.options) == [1, 2, 5, 10, 20, 40]
    assert re.search(r"\b1,000 updates\b.*\b40$", heading(controls, "prediction"))
    last = shown(controls, "prediction")
    controls.epoch.value = 1
    settled(controls)
    assert re.search(r"\b1,000 updates\b.*\bepoch 1$", heading(controls, "prediction"))
    assert np.array_equal(
        shown(controls, "prediction"), exploration.shown("cpu/seed-0", "waves", epoch=1, keep_luminance=True)
    )
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
    assert controls.panels["second"].box.layout.display == "none"
    controls.method.value = "gray"
    controls.other.value = "cpu/seed-0"
    settled(controls)
    assert controls.epoch.disabled
    assert heading(controls, "prediction") == "gray"
    assert np.array_equal(shown(controls, "prediction"), exploration.gray("waves"))
    assert controls.panels["second"].box.layout.display is None
    assert np.array_equal(shown(controls, "second"), exploration.shown("cpu/seed-0", "waves", keep_luminance=True))
    controls.other.value = NOTHING
    assert controls.panels["second"].box.layout.display == "none"


def test_a_pixel_is_chosen_and_outlined(controls, exploration):
    controls.row.value, controls.column.value = 3, 7
    values = exploration.pixel_values(controls._prediction(controls._choice(), 0, full=False), "waves", 3, 7)
    assert f"L = {values.lightness:.1f}" in controls.values.value
    assert f"<td>{values.prediction[0]:.1f}</td>" in controls.values.value
    assert re.findall(r"\d+ × \d+", controls.values.value) == ["13 × 13"] * 2, "the method's field, and the patch"
    outlined = (shown(controls, "gray") != exploration.gray("waves")).any(axis=-1)
    rows, columns = np.nonzero(outlined)
    assert (rows.max(), columns.max()) == (10, 14)
    controls.photo.value = "noise"  # smaller: its middle is chosen
    assert (controls.row.value, controls.column.value) == (15, 10)


def click(controls: Controls, down: float, across: float) -> None:
    """What ON_CLICK does in a browser."""
    controls.clicked.value = f"{down} {across}"


def test_a_click_chooses_the_pixel_and_like_patches_are_searched(controls, exploration):
    click(controls, 3.5 / 40, 7.2 / 60)
    settled(controls)
    assert (controls.row.value, controls.column.value) == (3, 7)
    assert re.findall(r"<b>.*\b2\b.*</b>", controls.colors.box.value), "of two training photographs"
    first = controls.colors.box.value
    click(controls, 1.0, 1.0)  # the lower right corner
    settled(controls)
    assert (controls.row.value, controls.column.value) == (39, 59)
    assert controls.colors.box.value != first
    field = f".clicked-{controls.clicked.model_id} input"
    assert all(field in panel.box.value for panel in controls.panels.values() if panel.box.value)


def test_a_color_is_given_to_a_pixel_and_taken_back(controls, exploration):
    before = shown(controls, "prediction")
    click(controls, 0.5, 0.5)
    controls.hint_color.value = "#c02020"
    controls.hint.click()
    settled(controls)
    hint = Hint(30.5 / 60, 20.5 / 40, "#c02020")
    expected = exploration.shown("cpu/seed-0", "waves", keep_luminance=True, hints=[hint], epoch=40)
    assert np.array_equal(shown(controls, "prediction"), expected)
    assert not np.array_equal(expected, before)
    controls.photo.value = "noise"  # hints are of one photograph
    assert controls._choice().hints == ()
    controls.photo.value = "waves"
    controls.hint.click()  # in the middle again: one hint for one pixel
    assert controls._choice().hints == (hint,)
    controls.no_hints.click()
    settled(controls)
    assert np.array_equal(shown(controls, "prediction"), before)


def test_a_comparison_is_at_the_chosen_epoch(controls, exploration):
    exploration.runs = dict(exploration.runs) | {"paper/seed-0": PROJECT / "results/paper/seed-0"}
    controls.other.options = [NOTHING, *exploration.methods()]
    controls.other.value = "paper/seed-0"
    for epoch, nearest in ((5, 5), (40, 20)):
        controls.epoch.value = epoch
        settled(controls)
        assert re.search(rf"\b10,000 updates\b.*\bepoch {nearest}$", heading(controls, "second"))


def test_of_a_gray_photograph_no_error_is_shown(controls):
    controls.upload.value = uploaded("old.png", png(np.repeat(noise(30, 30)[..., :1], 3, axis=2)))
    settled(controls)
    assert "no truth" in heading(controls, "truth")
    assert controls.panels["error"].box.layout.display == "none"
    assert "truth" not in controls.values.value
    controls.photo.value = "waves"
    assert controls.panels["error"].box.layout.display is None


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
    assert np.array_equal(
        shown(controls, "prediction"), exploration.shown("cpu/seed-0", "own.png", epoch=5, keep_luminance=True)
    )


def test_an_error_in_the_thread_is_shown(controls, exploration, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no <memory> left")

    choice = controls._current
    monkeypatch.setattr(exploration, "colored", fail)
    controls._compute(choice)
    assert "RuntimeError: no &lt;memory&gt; left" in controls.message.value
