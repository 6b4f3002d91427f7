"""Any photograph in memory, colored: the same whatever its form and size, and bad input told."""

from pathlib import Path

import numpy as np
import pytest
import torch
from networks import strong
from pictures import smooth
from PIL import Image

import colorlib
from colorlib import coloring
from colorlib.color import lightness, rgb_to_lab, to_bytes
from colorlib.coloring import PhotoColorizer, color_pixels, load_colorizer
from colorlib.colorizer import Colorizer, toned
from colorlib.model import NETWORKS
from colorlib.targets import RGB

CPU = torch.device("cpu")


def colorizer(name: str = "encoder-decoder", tile: int = 16) -> Colorizer:
    return Colorizer(network=strong(NETWORKS[name]), target=RGB(), device=CPU, tile=tile)


def planes(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def whole(pixels: np.ndarray, with_: Colorizer, *, keep: bool, saturation: float) -> np.ndarray:
    """What a network that sees the whole picture gives."""
    light = lightness(planes(pixels)).unsqueeze(0)
    rgb = toned(with_.color(light), light=light if keep else None, saturation=saturation)
    return to_bytes(rgb)[0].permute(1, 2, 0).numpy()


SIZES = [(1, 1), (1, 40), (40, 1), (16, 16), (17, 33), (37, 53), (48, 15), (31, 32), (70, 7)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_color_a_picture_as_if_it_were_seen_whole(name: str, size: tuple[int, int]):
    pixels, colors = smooth(*size), colorizer(name)
    expected = whole(pixels, colors, keep=True, saturation=1.0)
    assert sum(color_pixels(pixels, colors)) == size[0] * size[1]
    # Rounding to bytes turns a difference of 1e-6 into one level here and there.
    difference = np.abs(pixels.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize(("keep", "saturation"), [(True, 1.0), (True, 0.5), (False, 1.0), (False, 1.5)])
def test_luminance_and_saturation_do_what_they_say(keep: bool, saturation: float):
    pixels, colors = smooth(20, 30), colorizer()
    expected = whole(pixels, colors, keep=keep, saturation=saturation)
    for _ in color_pixels(pixels, colors, keep_luminance=keep, saturation=saturation):
        pass
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_without_saturation_the_gray_picture_is_left():
    pixels = smooth(20, 30)
    light = lightness(planes(pixels))
    for _ in color_pixels(pixels, colorizer(), saturation=0.0):
        pass
    lab = rgb_to_lab(planes(pixels).double() / 255)
    assert lab[1:].abs().max() < 0.8, "a level more or less in one channel"
    assert (lab[:1] - light).abs().max() < 0.3


FORMS = {
    "uint8 tensor": lambda pixels: planes(pixels),
    "float tensor": lambda pixels: planes(pixels).float() / 255,
    "batch": lambda pixels: torch.stack((planes(pixels), planes(pixels).flip(-1))),
    "uint8 array": lambda pixels: pixels,
    "float array": lambda pixels: pixels.astype(np.float32) / 255,
    "double array": lambda pixels: pixels / 255.0,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("keep", [True, False])
def test_every_form_gives_the_same_colors(form: str, keep: bool):
    pixels = smooth(18, 25)
    colors = PhotoColorizer(colorizer=colorizer(), keep_luminance=keep)
    expected = whole(pixels, colors.colorizer, keep=keep, saturation=1.0)
    given = FORMS[form](pixels)
    held = given.clone() if isinstance(given, torch.Tensor) else given.copy()
    colored = colors(given)
    assert type(colored) is type(given)
    assert colored.dtype == given.dtype
    assert colored.shape == given.shape
    assert (given == held).all(), "what was given is left as it is"
    last = colored[0] if form == "batch" else colored
    if isinstance(last, torch.Tensor):
        last = last.permute(1, 2, 0).numpy()
    levels = last if last.dtype == np.uint8 else np.round(last * 255)
    assert np.abs(levels.astype(int) - expected).max() <= 1


def test_gray_forms_become_three_channels():
    colors, gray = PhotoColorizer(colorizer=colorizer()), smooth(9, 12)[..., 0]
    expected = colors(np.repeat(gray[..., None], 3, axis=-1))
    assert np.array_equal(colors(gray), expected)
    assert np.array_equal(colors(gray[..., None]), expected)
    assert np.array_equal(colors(torch.from_numpy(gray.copy())[None]).permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize(("mode", "result"), [("RGB", "RGB"), ("L", "RGB"), ("P", "RGB"), ("RGBA", "RGBA")])
def test_pil_images_of_any_mode(mode: str, result: str):
    image = Image.fromarray(smooth(9, 12)).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(smooth(9, 12)[..., 1]))
    colored = PhotoColorizer(colorizer=colorizer())(image)
    assert (colored.mode, colored.size) == (result, (12, 9))
    if mode == "RGBA":
        assert colored.getchannel("A").tobytes() == image.getchannel("A").tobytes()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((4, 4, 2)), "shape .* expected 1 or 3 channels"),
        (np.zeros(4), r"shape \(4,\): expected \(H, W\)"),
        (np.full((4, 4), 255.0), "from 255 to 255: expected uint8, or float in"),
        (np.full((4, 4), np.nan), "expected uint8, or float in"),
        (np.zeros((4, 4), dtype=np.int32), "expected uint8, or float"),
        (torch.zeros(3, 0, 4), "shape"),
    ],
)
def test_what_cannot_be_a_photograph_is_refused(given: object, message: str):
    with pytest.raises(ValueError, match=message):
        PhotoColorizer(colorizer=colorizer())(given)


def test_other_things_are_refused_by_their_type():
    with pytest.raises(TypeError, match="a str: expected a tensor, a NumPy array or a PIL image"):
        PhotoColorizer(colorizer=colorizer())("photo.jpg")  # type: ignore[call-overload]


def test_the_committed_weights_are_taken_unless_others_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    colored = colorlib.load_colorizer(device="cpu")(smooth(8, 8))
    assert colored.shape == (8, 8, 3)
    assert coloring.committed_run() == coloring.COMMITTED[0]
    monkeypatch.setattr(coloring, "COMMITTED", (tmp_path / "paper", tmp_path / "cpu"))
    with pytest.raises(ValueError, match=r"no weights are committed .* name a run of yours \(--weights RUN\)"):
        load_colorizer()
    with pytest.raises(ValueError, match="saturation=-1: it must be at least 0"):
        load_colorizer(saturation=-1)
