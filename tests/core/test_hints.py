"""Hints against the formula in NumPy, on pictures whose result is known; invalid hints are refused by number."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.pictures import smooth
from skimage.color import rgb2lab

from colorlib.color import lightness, rgb_to_lab
from colorlib.hints import Hint, check_hints, mix, place_hints, read_hints

WHOLE = slice(0, 37), slice(0, 53)
HINTS = check_hints([(0.2, 0.3, "#c03020"), (0.8, 0.6, "#2040c0"), (1.0, 1.0, "#20a040"), (0.5, 0.5, "#a0522d")])


def picture() -> torch.Tensor:
    return torch.from_numpy(smooth(37, 53).copy()).permute(2, 0, 1)


def formula(ab: np.ndarray, pixels: np.ndarray, hints: tuple[Hint, ...]) -> np.ndarray:
    """The formula, pixel by pixel, with scikit-image's LAB."""
    height, width = pixels.shape[:2]
    light = rgb2lab(pixels)[..., 0]
    longer, reach = max(height, width), max(0.12, 0.45 * len(hints) ** -0.3)
    rows, columns = np.mgrid[:height, :width] + 0.5
    total, color = np.zeros((height, width)), np.zeros((height, width, 2))
    for hint in hints:
        row, column = min(int(hint.y * height), height - 1), min(int(hint.x * width), width - 1)
        own = light[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4].mean()
        distance = np.hypot(rows - hint.y * height, columns - hint.x * width) / longer
        weight = np.exp(-0.5 * (distance / reach) ** 2 - 0.5 * ((light - own) / 12) ** 2)
        total += weight
        rgb = np.array([[[int(hint.color[at : at + 2], 16) for at in (1, 3, 5)]]], dtype=np.uint8)
        color += weight[..., None] * rgb2lab(rgb)[0, 0, 1:]
    share = (total / (total + 0.2))[..., None]
    return (1 - share) * ab.transpose(1, 2, 0) + share * color / total[..., None]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_formula(count: int):
    rgb, hints = picture(), HINTS[:count]
    ab = 20 * torch.randn(2, 37, 53, generator=torch.Generator().manual_seed(0))
    got = place_hints(hints, rgb).blend(ab, lightness(rgb), *WHOLE)
    assert np.abs(got.permute(1, 2, 0).numpy() - formula(ab.numpy(), smooth(37, 53), hints)).max() < 2e-3


def test_tiles_equal_the_whole_photograph():
    rgb = picture()
    light, ab = lightness(rgb), torch.zeros(2, 37, 53)
    hints = place_hints(HINTS, rgb)
    whole = hints.blend(ab, light, *WHOLE)
    for rows in (slice(0, 16), slice(16, 37)):
        for columns in (slice(0, 31), slice(31, 53)):
            tile = hints.blend(ab[:, rows, columns], light[:, rows, columns], rows, columns)
            torch.testing.assert_close(tile, whole[:, rows, columns], rtol=0, atol=1e-5)


def test_a_hint_everywhere_gives_its_color_where_lightness_is_equal():
    flat = torch.full((3, 12, 16), 128, dtype=torch.uint8)
    everywhere = check_hints([((x + 0.5) / 16, (y + 0.5) / 12, "#a06050") for x in range(16) for y in range(12)])
    ab = place_hints(everywhere, flat).blend(
        torch.full((2, 12, 16), -40.0), lightness(flat), slice(0, 12), slice(0, 16)
    )
    color = rgb_to_lab(torch.tensor([160, 96, 80], dtype=torch.uint8).reshape(3, 1, 1))[1:]
    assert (ab - color).abs().max() < 2.0, "192 hints leave 0.2 / 100 of a prediction 65 away"


def test_another_lightness_keeps_the_prediction():
    black_and_white = torch.zeros(3, 40, 40, dtype=torch.uint8)
    black_and_white[:, :, 20:] = 255
    hint = place_hints(check_hints([(0.25, 0.5, "#a0522d")]), black_and_white)
    ab = hint.blend(torch.full((2, 40, 40), 7.0), lightness(black_and_white), slice(0, 40), slice(0, 40))
    assert (ab[:, :, 20:] - 7).abs().max() < 1e-3
    assert (ab[:, 20, 10] - 7).abs().min() > 5


def test_without_weight_the_prediction_stays():
    ab = torch.randn(2, 3, 4)
    torch.testing.assert_close(mix(ab, torch.zeros(1, 3, 4), torch.zeros(2, 3, 4)), ab)


def test_the_order_does_not_matter():
    given = [(0.5, 0.5, "#A0522D"), (0.1, 0.9, "#000000"), (0.1, 0.2, "#ffffff")]
    assert check_hints(given) == check_hints(given[::-1])
    assert check_hints(given)[-1] == Hint(0.5, 0.5, "#a0522d")


@pytest.mark.parametrize(
    ("entry", "facts"),
    [
        ((1.5, 0.5, "#a0522d"), ("x", "1.5", "width")),
        ((0.5, -0.1, "#a0522d"), ("y", "-0.1", "height")),
        ((float("nan"), 0.5, "#a0522d"), ("x", "nan")),
        ((0.5, 0.5, "brown"), ("color", "'brown'", "#a0522d")),
        ((0.5, 0.5, "#a0522"), ("color", "'#a0522'")),
        ((0.5, 0.5, 7), ("color", "7")),
        ((0.5, 0.5), ("(0.5, 0.5)", "#a0522d")),
        ("xyz", ("'xyz'",)),
    ],
)
def test_what_is_no_hint_is_refused_by_its_number(tmp_path: Path, entry: tuple, facts: tuple[str, ...]):
    with pytest.raises(ValueError, match=r"hints\[1\]") as error:
        check_hints([(0.5, 0.5, "#a0522d"), entry])
    for fact in facts:
        assert fact in str(error.value)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("[]", ("object",)),
        ("{", ("cannot be read",)),
        ("{}", ("hints",)),
        ('{"hints": 3}', ("hints", "3")),
        ('{"hints": [{"x": 0.5, "color": "#a0522d"}]}', ("hints[0].y",)),
        ('{"hints": [{"x": "0.5", "y": 0.5, "color": "#a0522d"}]}', ("hints[0].x",)),
        ('{"hints": [{"x": 0.5, "y": 2, "color": "#a0522d"}]}', ("hints[0].y", "2")),
        ('{"hints": [{"x": 0.5, "y": 0.5, "color": "red"}]}', ("hints[0].color", "red")),
    ],
)
def test_a_file_that_is_wrong_is_named_with_the_entry(tmp_path: Path, text: str, facts: tuple[str, ...]):
    path = tmp_path / "hints.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as error:
        read_hints(path)
    for fact in (str(path), *facts):
        assert fact in str(error.value)


def test_a_file_of_hints(tmp_path: Path):
    path = tmp_path / "hints.json"
    path.write_text(json.dumps({"hints": [{"x": 1, "y": 0.25, "color": "#A0522D"}]}), encoding="utf-8")
    assert read_hints(path) == (Hint(1.0, 0.25, "#a0522d"),)
