"""Fixtures of the tests of the exploration."""

from pathlib import Path

import pytest
from helpers.pictures import noise, photo_set, smooth

from colorlib.companion.explore.exploration import Exploration
from colorlib.profiles import load_profile


@pytest.fixture
def exploration() -> Exploration:
    """One run and two small photographs."""
    training_photos = photo_set(smooth(30, 30, 3), smooth(30, 30, 4))
    exploration = Exploration(
        runs={"cpu/seed-0": load_profile("cpu").run(0)}, training_photos=training_photos, figures=Path()
    )
    exploration.add("waves", smooth(40, 60))
    exploration.add("noise", noise(30, 20))
    return exploration
