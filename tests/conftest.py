"""What several tests need: the photographs of $COLORLIB_DATA, an empty cache, a browser."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


LONGEST = ("test_reproduce.py", "test_process.py", "test_notebooks.py", "test_resume.py", "test_device.py")
"""Files whose slow tests take the longest: processes, kernels and kills."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, then those with the most slow tests: no worker is left with a long one at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    first = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (first.get(item.path.name, len(first)), -slow[item.path]))


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


@pytest.fixture(autouse=True, scope="session")
def _not_below_make() -> Iterator[None]:
    """Run the tests' own `make` as if typed in a shell: below another one, make names the folders it enters."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests download, unpack and decode goes with them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLORLIB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty COLORLIB_CACHE, with neither COLORLIB_DATA nor COLORLIB_MIRROR set."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("COLORLIB_CACHE", str(folder))
    monkeypatch.delenv("COLORLIB_DATA", raising=False)
    monkeypatch.delenv("COLORLIB_MIRROR", raising=False)
    return folder


def chromium() -> str | None:
    """The browser to test pages in: $COLORLIB_CHROMIUM, else the first on PATH."""
    given = os.environ.get("COLORLIB_CHROMIUM")
    return given or next(filter(None, map(shutil.which, CHROMIUMS)), None)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A headless Chromium. Without one the test is skipped; it fails where $CI or $COLORLIB_REQUIRE_BROWSER is set.

    Kept no longer than a module: while it is open, its event loop runs in this thread, and no other can start.
    """
    found = chromium()
    if found is None:
        why = f"no browser: install Chromium, or name one in COLORLIB_CHROMIUM (looked for {', '.join(CHROMIUMS)})"
        if os.environ.get("CI") or os.environ.get("COLORLIB_REQUIRE_BROWSER"):
            pytest.fail(why)
        pytest.skip(why)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--disable-gpu"])
        yield browser
        browser.close()
