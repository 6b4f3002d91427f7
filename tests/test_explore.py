"""What notebooks/explore.ipynb shows, and its controls, without a notebook."""

import base64
import datetime as dt
import io
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import noise, smooth
from PIL import Image
from scipy.stats import spearmanr

from colorlib.baselines import BASELINES
from colorlib.color import lightness, rgb_to_lab
from colorlib.colorizer import load_run
from colorlib.companion import explore_figures
from colorlib.companion.explore import ERROR_RANGE, FULL, PREVIEW, WIDTH, Exploration
from colorlib.companion.explore_controls import NOTHING, Controls
from colorlib.images import Photo, Pixels
from colorlib.photos import PhotoSet
from colorlib.profiles import PROJECT, load_profile

RUN = PROJECT / "results" / "cpu" / "seed-0"


def planes(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def photos(*pixels: Pixels) -> PhotoSet:
    made = tuple(Photo(name=str(number), digest="", load=partial(np.copy, one)) for number, one in enumerate(pixels))
    return PhotoSet(source="a test", split="train", photos=made, terms="")


def file(pixels: Pixels) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


@pytest.fixture
def exploration() -> Exploration:
    """One run and two small photographs."""
    learned_from = photos(smooth(30, 30, 3), smooth(30, 30, 4))
    exploration = Exploration(runs={"cpu/seed-0": RUN}, learned_from=learned_from, figures=Path())
    exploration.add("waves", smooth(40, 60))
    exploration.add("noise", noise(30, 20))
    return exploration


def test_of_a_profile_its_runs_come_first_and_the_bundled_photographs_are_there():
    exploration = Exploration.of(load_profile("smoke"))
    assert next(iter(Exploration.of(load_profile("cpu")).runs)) == "cpu/seed-0"
    assert "cpu/seed-0" in exploration.runs
    assert {"coffee.png", "grace_hopper.jpg", "rocket.jpg"} <= set(exploration.photos)
    assert exploration.learned_from.source == "bundled"
    assert exploration.methods()[-len(BASELINES) :] == list(BASELINES)


def test_like_patches_are_looked_for_in_bundled_photographs_where_others_are_not_here(cache, capsys):
    exploration = Exploration.of(load_profile("cpu"))
    assert exploration.learned_from.source == "bundled"
    assert exploration.figures == PROJECT / "figures" / "scratch", "committed pictures are not replaced"
    assert "`colorlib data fetch bsds500` gets more" in capsys.readouterr().out


def test_without_a_run_it_says_how_one_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr("colorlib.profiles.PROJECT", tmp_path)
    profile = load_profile("cpu")
    with pytest.raises(ValueError, match=r"no finished run lies under .*results; `make reproduce PROFILE=cpu`"):
        Exploration.of(profile)


def test_epochs_are_those_whose_weights_were_kept_and_the_last(exploration):
    assert exploration.epochs("cpu/seed-0") == [1, 2, 5, 10, 20, 40]
    assert exploration.epochs("gray") == []
    with pytest.raises(ValueError, match="there is no run 'gpu/seed-0'; there are cpu/seed-0, gray"):
        exploration.epochs("gpu/seed-0")


def test_a_prediction_is_the_runs_own_and_computed_once(exploration, monkeypatch):
    light = lightness(planes(smooth(40, 60)))[None]
    for epoch in (2, None):
        assert not exploration.knows("cpu/seed-0", "waves", epoch=epoch)
        found = exploration.colored("cpu/seed-0", "waves", epoch=epoch)
        torch.testing.assert_close(found, load_run(RUN, epoch=epoch)(light)[0], rtol=0, atol=1e-6)
        assert exploration.knows("cpu/seed-0", "waves", epoch=epoch)
    assert exploration.colored("cpu/seed-0", "waves", epoch=40) is found
    early = exploration.colored("cpu/seed-0", "waves", epoch=2)
    assert not torch.equal(early, found)
    monkeypatch.setattr(exploration, "_colorizer", None)
    assert exploration.colored("cpu/seed-0", "waves", epoch=2) is early


def test_another_photograph_of_the_same_name_is_colored_anew(exploration):
    before = exploration.shown("cpu/seed-0", "waves")
    assert exploration.add("waves", file(noise(40, 60))) == "waves"
    assert exploration.pixels("waves").tolist() == noise(40, 60).tolist()
    assert not np.array_equal(exploration.shown("cpu/seed-0", "waves"), before)


def test_what_is_no_image_is_refused_and_nothing_is_lost(exploration):
    with pytest.raises(ValueError, match=r"notes\.txt"):
        exploration.add("notes.txt", b"not an image")
    assert list(exploration.photos) == ["waves", "noise"]


def test_large_photographs_are_shown_as_previews_first(exploration):
    exploration.add("large", smooth(350, 700))
    assert exploration.pixels("large").shape == (PREVIEW // 2, PREVIEW, 3)
    assert exploration.pixels("large", full=True).shape == (FULL // 2, FULL, 3)
    assert exploration.pixels("waves").shape == exploration.pixels("waves", full=True).shape == (40, 60, 3)


def test_lightness_and_saturation_are_applied(exploration):
    truth = lightness(planes(smooth(40, 60))).numpy()
    gray = exploration.shown("cpu/seed-0", "waves", keep_luminance=True, saturation=0.0)
    assert np.ptp(gray.astype(int), axis=-1).max() <= 1
    assert np.abs(lightness(planes(gray)).numpy() - truth).max() < 0.5
    raw = exploration.shown("cpu/seed-0", "waves")
    assert np.abs(lightness(planes(raw)).numpy() - truth).max() > 5


def test_the_error_is_the_distance_in_ab(exploration):
    truth = exploration.pixels("noise")
    assert np.unique(exploration.error(truth, "noise").reshape(-1, 3), axis=0).tolist() == [[0, 0, 4]]
    lab = rgb_to_lab(planes(truth).float() / 255)
    distance = lab[1:].square().sum(dim=0).sqrt().numpy()
    brightness = exploration.error(exploration.gray("noise"), "noise") @ np.array([0.2, 0.7, 0.1])
    assert np.unique(brightness[distance > ERROR_RANGE + 1]).size == 1
    below = distance < ERROR_RANGE - 1
    assert spearmanr(distance[below], brightness[below]).statistic > 0.99


def test_a_pixel_is_told_with_the_patch_that_decided_it(exploration):
    pixels = exploration.pixels("waves")
    lab = rgb_to_lab(planes(pixels).float() / 255).numpy()
    facts = exploration.facts(pixels, "waves", 20, 31)
    np.testing.assert_allclose((facts.light, *facts.truth), lab[:, 20, 31], atol=0.05)
    assert facts.answer == facts.truth
    np.testing.assert_allclose(facts.patch, lab[0, 14:27, 25:38], atol=0.05)
    corner = exploration.facts(pixels, "waves", 0, 59).patch
    assert corner.shape == (WIDTH, WIDTH)
    assert np.isnan(corner[:6]).all()
    assert np.isnan(corner[:, 7:]).all()
    assert not np.isnan(corner[6:, :7]).any()


def test_like_patches_are_found_where_they_are(exploration):
    waves = exploration.pixels("waves")
    there = noise(40, 50, seed=1)
    there[10:23, 30:43] = waves[14:27, 25:38]
    exploration.learned_from = photos(there, noise(12, 40), noise(30, 30))  # the second is too small
    alike = exploration.alike("waves", 20, 31)
    lab = rgb_to_lab(planes(waves).float() / 255).numpy()
    assert alike.colors.shape == (2, 2)
    np.testing.assert_allclose(alike.colors[0], lab[1:, 20, 31], atol=0.05)
    assert alike.distances[0] < 0.5 < 5 < alike.distances[1]


def test_figures_say_what_they_show(exploration, tmp_path):
    arrival = explore_figures.arrival(exploration, "cpu/seed-0", "waves", tmp_path / "arrival.png")
    averaged, facts = explore_figures.averaged(
        exploration, "cpu/seed-0", "waves", tmp_path / "averaged.png", row=20, column=31
    )
    assert "The same photograph 8 times" in arrival.alt
    assert "epoch 40" in arrival.alt
    assert f"truth here ({facts.truth[0]:.0f}, {facts.truth[1]:.0f})" in averaged.caption
    assert "Of each of 2 training photographs of a test," in averaged.caption
    for path in (arrival.path, averaged.path):
        with Image.open(path) as figure:
            assert figure.width > 800


# The controls


@pytest.fixture
def controls(exploration: Exploration) -> Controls:
    """Controls whose thread has come to its end."""
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
    return controls.panels[name].box.value.partition("</b>")[0].removeprefix("<b>")


def test_the_slider_of_epochs_changes_the_prediction(controls, exploration):
    assert list(controls.epoch.options) == [1, 2, 5, 10, 20, 40]
    assert heading(controls, "prediction") == "cpu/seed-0, epoch 40"
    last = shown(controls, "prediction")
    controls.epoch.value = 1
    settled(controls)
    assert heading(controls, "prediction") == "cpu/seed-0, epoch 1"
    assert np.array_equal(shown(controls, "prediction"), exploration.shown("cpu/seed-0", "waves", epoch=1))
    assert not np.array_equal(shown(controls, "prediction"), last)


def test_the_epochs_not_asked_for_are_colored_meanwhile(controls, exploration):
    assert all(exploration.knows("cpu/seed-0", "waves", epoch=epoch) for epoch in controls.epoch.options)


@pytest.mark.slow
def test_the_full_picture_follows(exploration):
    exploration.add("large", smooth(300, 400))
    controls = settled(Controls(exploration))
    controls.photo.options = list(exploration.photos)
    controls.photo.value = "large"
    settled(controls)
    assert shown(controls, "prediction").shape == (300, 400, 3)
    assert shown(controls, "error").shape == (300, 400, 3)
    controls.saturation.value = 0.0  # at once, from what is known
    assert shown(controls, "prediction").shape == (300, 400, 3)
    assert np.ptp(shown(controls, "prediction").astype(int), axis=-1).max() <= 1


def test_baselines_and_a_second_run_are_a_click_away(controls, exploration):
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
    facts = exploration.facts(exploration.shown("cpu/seed-0", "waves"), "waves", 3, 7)
    assert f"L = {facts.light:.1f}" in controls.told.value
    assert f"<td>{facts.answer[0]:.1f}</td>" in controls.told.value
    assert "sees 13 × 13 gray pixels" in controls.told.value
    outlined = (shown(controls, "gray") != exploration.gray("waves")).any(axis=-1)
    rows, columns = np.nonzero(outlined)
    assert (rows.max(), columns.max()) == (10, 14)
    controls.photo.value = "noise"  # smaller: its middle is chosen
    assert (controls.row.value, controls.column.value) == (15, 10)


def uploaded(name: str, content: bytes) -> tuple[dict[str, object]]:
    now = dt.datetime.now(tz=dt.UTC)
    return ({"name": name, "type": "image/png", "size": len(content), "content": content, "last_modified": now},)


def test_a_photograph_is_uploaded_and_a_bad_one_is_told(controls, exploration):
    own = file(smooth(25, 35, seed=9))
    controls.upload.value = uploaded("own.png", own)
    settled(controls)
    assert controls.photo.value == "own.png"
    assert shown(controls, "truth").shape == (25, 35, 3)
    controls.upload.value = uploaded("<b>.jpg", b"bad")
    assert "&lt;b&gt;.jpg" in controls.message.value
    assert controls.photo.value == "own.png"
    again = file(noise(25, 35, seed=9))
    controls.upload.value = uploaded("own.png", again)
    assert controls.message.value == ""
    assert np.array_equal(shown(controls, "truth"), noise(25, 35, seed=9))


@pytest.mark.slow
def test_choices_that_change_faster_than_pictures_come_leave_the_last_one(exploration):
    """Photographs of different sizes, one of them replaced, while the thread colors what was chosen before."""
    exploration.add("wide", smooth(200, 400))
    controls = Controls(exploration)
    controls.photo.options = list(exploration.photos)
    for round_ in range(6):
        controls.photo.value = ("wide", "noise", "waves")[round_ % 3]
        controls.epoch.value = (1, 5)[round_ % 2]
        own = file(smooth(150 + 10 * round_, 100, seed=round_))
        controls.upload.value = uploaded("own.png", own)
    settled(controls)
    assert controls.photo.value == "own.png"
    assert shown(controls, "truth").shape == shown(controls, "error").shape == (200, 100, 3)
    assert np.array_equal(shown(controls, "prediction"), exploration.shown("cpu/seed-0", "own.png", epoch=5))


def test_what_goes_wrong_in_the_thread_is_told(controls, exploration, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no <memory> left")

    choice = controls._current
    monkeypatch.setattr(exploration, "colored", fail)
    controls._follow(choice)
    assert "RuntimeError: no &lt;memory&gt; left" in controls.message.value
