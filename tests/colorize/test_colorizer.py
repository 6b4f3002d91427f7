"""Coloring in memory: the same colors for every type, size and tiling; invalid input is refused."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.networks import strong
from helpers.pictures import smooth
from PIL import Image

import colorlib
from colorlib.color import lightness, resize, rgb_to_lab, to_bytes
from colorlib.colorize.colorizer import (
    MODELS,
    PhotoColorizer,
    _narrow_lightness,
    color_pixels,
    find_run,
    load_colorizer,
)
from colorlib.colorizers import Colorizer, adjust_lab
from colorlib.files import sha256
from colorlib.hints import check_hints
from colorlib.model import NETWORKS
from colorlib.profiles import PROJECT
from colorlib.targets import RGB

CPU = torch.device("cpu")


def colorizer(name: str = "encoder-decoder", tile: int = 16) -> Colorizer:
    view = 64 if NETWORKS[name].whole else 0
    return Colorizer(network=strong(NETWORKS[name]), target=RGB(), device=CPU, tile=tile, view=view)


def planes(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def whole(pixels: np.ndarray, with_: Colorizer, *, keep: bool, saturation: float) -> np.ndarray:
    """Colors of a network that is given the whole picture at once."""
    light = lightness(planes(pixels)).unsqueeze(0)
    rgb = adjust_lab(replace(with_, tile=1000)(light), light=light if keep else None, saturation=saturation)
    return to_bytes(rgb)[0].permute(1, 2, 0).numpy()


SIZES = [(1, 1), (1, 40), (40, 1), (16, 16), (17, 33), (37, 53), (48, 15), (31, 32), (70, 7)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_give_the_colors_of_the_whole_picture(name: str, size: tuple[int, int]):
    pixels, colors = smooth(*size), colorizer(name)
    expected = whole(pixels, colors, keep=True, saturation=1.0)
    assert sum(color_pixels(pixels, PhotoColorizer(colorizer=colors))) == size[0] * size[1]
    # Rounding to bytes turns a difference of 1e-6 into one level here and there.
    difference = np.abs(pixels.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def test_what_a_view_is_shrunk_from_is_narrow_and_does_not_depend_on_strips():
    pixels = smooth(1100, 90)  # three strips
    found = _narrow_lightness(pixels, 24)
    assert found.shape == (1, 1, 1100, 24)
    light = lightness(planes(pixels)).unsqueeze(0)
    assert (resize(found, 24, 24) - resize(light, 24, 24)).abs().max() < 1e-3


@pytest.mark.parametrize(("keep", "saturation"), [(True, 1.0), (True, 0.5), (False, 1.0), (False, 1.5)])
def test_luminance_and_saturation_are_applied(keep: bool, saturation: float):
    pixels, colors = smooth(20, 30), colorizer()
    expected = whole(pixels, colors, keep=keep, saturation=saturation)
    for _ in color_pixels(pixels, PhotoColorizer(colorizer=colors, keep_luminance=keep, saturation=saturation)):
        pass
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_saturation_0_leaves_the_gray_picture():
    pixels = smooth(20, 30)
    light = lightness(planes(pixels))
    for _ in color_pixels(pixels, PhotoColorizer(colorizer=colorizer(), saturation=0.0)):
        pass
    lab = rgb_to_lab(planes(pixels).double() / 255)
    assert lab[1:].abs().max() < 0.8, "a level more or less in one channel"
    assert (lab[:1] - light).abs().max() < 0.3


TYPES = {
    "uint8 tensor": lambda pixels: planes(pixels),
    "float tensor": lambda pixels: planes(pixels).float() / 255,
    "batch": lambda pixels: torch.stack((planes(pixels), planes(pixels).flip(-1))),
    "uint8 array": lambda pixels: pixels,
    "float array": lambda pixels: pixels.astype(np.float32) / 255,
    "double array": lambda pixels: pixels / 255.0,
}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("keep", [True, False])
def test_every_type_gives_the_same_colors(kind: str, keep: bool):
    pixels = smooth(18, 25)
    colors = PhotoColorizer(colorizer=colorizer(), keep_luminance=keep)
    expected = whole(pixels, colors.colorizer, keep=keep, saturation=1.0)
    given = TYPES[kind](pixels)
    copy = given.clone() if isinstance(given, torch.Tensor) else given.copy()
    colored = colors(given)
    assert type(colored) is type(given)
    assert colored.dtype == given.dtype
    assert colored.shape == given.shape
    assert (given == copy).all(), "the input is not changed"
    last = colored[0] if kind == "batch" else colored
    if isinstance(last, torch.Tensor):
        last = last.permute(1, 2, 0).numpy()
    levels = last if last.dtype == np.uint8 else np.round(last * 255)
    assert np.abs(levels.astype(int) - expected).max() <= 1


def test_gray_becomes_three_channels():
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
        (np.zeros((4, 4, 2)), r"\(2, 4, 4\).*\b1 or 3\b"),
        (np.zeros(4), r"\(4,\).*\(H, W\)"),
        (np.full((4, 4), 255.0), r"\b255\b.*uint8.*float.*\[0, 1\]"),
        (np.full((4, 4), np.nan), r"\bnan\b.*uint8.*float.*\[0, 1\]"),
        (np.zeros((4, 4), dtype=np.int32), r"int32.*uint8.*float"),
        (torch.zeros(3, 0, 4), r"\(3, 0, 4\)"),
    ],
)
def test_other_shapes_and_values_are_refused(given: object, message: str):
    with pytest.raises(ValueError, match=message):
        PhotoColorizer(colorizer=colorizer())(given)


def test_other_types_are_refused():
    with pytest.raises(TypeError, match=r"\bbytes\b") as error:
        PhotoColorizer(colorizer=colorizer())(b"photo")  # type: ignore[call-overload]
    for fact in ("tensor", "NumPy", "PIL", "path"):
        assert fact in str(error.value)


def test_the_default_is_the_lightweight_network():
    default = colorlib.load_colorizer(device="cpu")
    assert default(smooth(8, 8)).shape == (8, 8, 3)
    assert default.weights == sha256(PROJECT / "results" / "lightweight" / "seed-0" / "weights.safetensors")
    assert default.weights == load_colorizer("lightweight", device="cpu").weights
    assert default.weights == load_colorizer(find_run(), device="cpu").weights, "a run directory"
    assert default.weights != load_colorizer("paper", device="cpu").weights


def test_a_network_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match="--model RUN") as error:
        find_run(tmp_path / "mine")
    assert str(tmp_path / "mine") in str(error.value)
    assert all(name in str(error.value) for name in MODELS)


def test_files_are_colored_like_images(tmp_path: Path):
    colors = PhotoColorizer(colorizer=colorizer())
    Image.fromarray(smooth(9, 12)).save(tmp_path / "a.png")
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        colored = colors(path)
        assert isinstance(colored, Image.Image)
        assert np.array_equal(np.asarray(colored), colors(smooth(9, 12)))
    with pytest.raises(ValueError, match=r"missing\.png"):
        colors(tmp_path / "missing.png")


def test_repr_is_one_line():
    text = repr(replace(PhotoColorizer(colorizer=colorizer(), name="mine"), hints=check_hints([(0.5, 0.5, "#a0522d")])))
    assert "\n" not in text
    assert len(text) < 160
    assert "mine" in text


def test_the_version_is_that_of_the_package():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert colorlib.__version__ == project["version"]


HINTS = [(0.2, 0.3, "#c03020"), (0.8, 0.6, "#2040c0"), (0.5, 0.9, "#20a040")]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("keep", [True, False])
def test_hints_are_the_same_for_every_type_and_tiling(kind: str, keep: bool):
    pixels, colors = smooth(37, 53), PhotoColorizer(colorizer=colorizer(), keep_luminance=keep)
    at_once = replace(colors, colorizer=replace(colors.colorizer, tile=1000), hints=check_hints(HINTS))
    expected = pixels.copy()
    assert len(list(color_pixels(expected, at_once))) == 1
    given = TYPES[kind](pixels)
    if kind == "batch":
        with pytest.raises(ValueError, match=r"\b2\b.*one by one"):
            colors(given, hints=HINTS)
        return
    colored = colors(given, hints=HINTS)
    if isinstance(colored, torch.Tensor):
        colored = colored.permute(1, 2, 0).numpy()
    levels = colored if colored.dtype == np.uint8 else np.round(colored * 255)
    difference = np.abs(levels.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01
    tiles = pixels.copy()
    assert len(list(color_pixels(tiles, replace(colors, hints=check_hints(HINTS))))) > 1
    assert np.abs(tiles.astype(int) - expected).max() <= 1
    assert np.abs(tiles.astype(int) - colors(pixels)).max() > 20, "the hints change the colors"


def test_no_hints_give_the_bytes_of_the_network_and_their_order_does_not_matter():
    pixels, colors = smooth(37, 53), PhotoColorizer(colorizer=colorizer())
    assert np.array_equal(colors(pixels, hints=[]), colors(pixels))
    assert np.array_equal(colors(pixels, hints=HINTS), colors(pixels, hints=HINTS[::-1]))


def test_the_color_of_a_hint_is_not_scaled():
    pixels = np.full((20, 30, 3), 128, dtype=np.uint8)
    grays = PhotoColorizer(colorizer=colorizer(), saturation=0.0)
    colored = grays(pixels, hints=[(0.5, 0.5, "#a06050")] * 200)
    truth = rgb_to_lab(torch.tensor([160, 96, 80], dtype=torch.uint8).reshape(3, 1, 1))
    middle = rgb_to_lab(planes(colored)[:, 10:11, 15:16])
    assert (middle - truth)[1:].abs().max() < 1.0


def test_a_negative_saturation_is_refused():
    with pytest.raises(ValueError, match=r"saturation=-1\b.*\b0\b"):
        load_colorizer(saturation=-1)
