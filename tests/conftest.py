"""What several tests need: the photographs of $COLORLIB_DATA, and an empty cache."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def photographs() -> Path:
    """The folder of $COLORLIB_DATA."""
    given = os.environ.get("COLORLIB_DATA")
    if not given:
        pytest.skip("COLORLIB_DATA is not set: no photographs to test with")
    if not Path(given).is_dir():
        pytest.skip(f"COLORLIB_DATA is {given}, which is not a folder")
    for part in ("bsds500", "imagenet-sample", "zhang2016-comparison", "cifar10-images.tar.xz"):
        if not (Path(given) / part).exists():
            pytest.skip(f"COLORLIB_DATA is {given}, which holds no {part}")
    return Path(given)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty COLORLIB_CACHE, with neither COLORLIB_DATA nor COLORLIB_MIRROR set."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("COLORLIB_CACHE", str(folder))
    monkeypatch.delenv("COLORLIB_DATA", raising=False)
    monkeypatch.delenv("COLORLIB_MIRROR", raising=False)
    return folder
