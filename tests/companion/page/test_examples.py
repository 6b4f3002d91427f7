"""The page's own photographs, and the colors of gray patches like theirs."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorlib.companion.explore.exploration import Exploration
from colorlib.companion.page.examples import FIELDS, KEPT, like_patches, places, read_examples
from colorlib.companion.paper import EXAMPLES
from colorlib.companion.steps import files
from colorlib.photos.registry import open_photos
from colorlib.profiles import load_profile


def test_the_committed_examples_are_three_photographs_with_colors_on_a_grid():
    content = read_examples(load_profile("lightweight"))
    assert content.keys() >= FIELDS.keys()
    assert [example["name"] for example in content["examples"]] == list(EXAMPLES)
    for example in content["examples"]:
        picture = Image.open(io.BytesIO(base64.b64decode(example["jpeg"])))
        rows, columns = places(picture.height, picture.width)
        assert (example["rows"], example["columns"]) == (len(rows), len(columns))
        assert len(base64.b64decode(example["ab"])) == 2 * KEPT * len(rows) * len(columns)


def test_like_patches_are_those_of_the_notebook(tmp_path: Path):
    """Many places at once, and the search of `explore` for one of them, name the same colors."""
    training = open_photos("bundled", "train")
    pixels = open_photos("bundled", "test").decode()[0][100:200, 60:180]
    exploration = Exploration(runs={}, training_photos=training, figures=tmp_path)
    exploration.add("part", pixels)
    at = [(0, 0), (50, 70), (99, 119)]
    many = like_patches(pixels, at, training)
    for (row, column), colors in zip(at, many, strict=True):
        similar = exploration.similar_pixels("part", row, column)
        expected = similar.colors[np.argsort(similar.distances, kind="stable")][:KEPT]
        np.testing.assert_allclose(colors, expected, atol=0.05)


def test_a_damaged_file_is_named(tmp_path: Path):
    profile = replace(load_profile("lightweight"), root=tmp_path)
    (path,) = files(profile, "examples")
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"examples\.json.*make page"):
        read_examples(profile)
