"""Fixtures of the training tests: small photographs, a finished run."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.training import make_photos, small_config, train_run


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    """Restore the number of threads, which `train` sets for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of nine small photographs; see `helpers.training.WANTED`."""
    return make_photos(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture(scope="session")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of `small_config(photos)`. Read only: tests that change it take `finished_copy`."""
    run, before = tmp_path_factory.mktemp("runs") / "finished", torch.get_num_threads()
    train_run(small_config(photos), run)
    torch.set_num_threads(before)
    return run


@pytest.fixture
def finished_copy(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may change."""
    return shutil.copytree(finished, tmp_path / "run")
