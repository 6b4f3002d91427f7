"""notebooks/explore.ipynb in JupyterLab, in a browser."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from helpers.pictures import noise, smooth
from PIL import Image

from colorlib.companion.explore.exploration import Exploration
from colorlib.companion.explore.widgets import NOTHING, Controls
from colorlib.photos import open_photos
from colorlib.profiles import PROJECT

pytestmark = pytest.mark.slow

PATIENCE = 60_000
"""Milliseconds: a machine that does other things meanwhile is slow, not wrong."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the notebook alone."""
    folder = tmp_path_factory.mktemp("notebooks")
    shutil.copy(PROJECT / "notebooks" / "explore.ipynb", folder)
    return folder


@pytest.fixture(scope="module")
def labels() -> dict[str, str]:
    """The label of each control, by its name in `Controls`."""
    runs = {"paper/seed-0": PROJECT / "results" / "paper" / "seed-0"}
    exploration = Exploration(runs=runs, training_photos=open_photos("bundled", "train"), figures=Path())
    exploration.add("waves", smooth(20, 30))
    controls = Controls(exploration)
    names = ("photo", "upload", "other", "epoch", "luminance", "saturation", "row", "column", "hint", "no_hints")
    return {name: getattr(controls, name).description for name in names}


@pytest.fixture(scope="module", autouse=True)
def _committed_pictures_stay() -> Iterator[None]:
    """Figures that are drawn without the profile's photographs do not replace the committed ones."""
    before = {path: path.read_bytes() for path in (PROJECT / "figures" / "paper").iterdir()}
    yield
    assert {path: path.read_bytes() for path in (PROJECT / "figures" / "paper").iterdir()} == before


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the notebook in a JupyterLab of its own, on a machine that has no photographs yet."""
    own = tmp_path_factory.mktemp("jupyter")
    settings = {f"JUPYTER_{kind}_DIR": str(own / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COLORLIB")}
    with (own / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.root_dir={folder}",
                "--ServerApp.port=0", "--IdentityProvider.token=test", "--LabApp.news_url=None",
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", *options_of_make_lab(),
            ],
            env=clean | settings | {"IPYTHONDIR": str(own), "COLORLIB_CACHE": str(own / "cache")},
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield address(process, own) + "lab/tree/explore.ipynb?token=test"
    finally:
        process.terminate()
        process.wait(60)


def options_of_make_lab() -> list[str]:
    """The server's settings in `make lab`."""
    planned = subprocess.run(["make", "-n", "lab"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in planned.splitlines() if "jupyter lab" in line]
    return [word for word in shlex.split(line) if word.startswith("--ServerApp.tornado_settings")]


def address(process: subprocess.Popen[bytes], own: Path) -> str:
    until = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < until and process.poll() is None:
        words = (own / "log").read_text(errors="replace").split()
        for word in words:
            if word.startswith("http://localhost:") and "/lab?token=" in word:
                return word.partition("lab?token=")[0]
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start: {(own / 'log').read_text(errors='replace')}")


@pytest.fixture(scope="module")
def lab(browser: Any, server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The notebook's page after all its cells were run from the menu."""
    page = browser.new_page(viewport={"width": 1500, "height": 1500})
    page.set_default_timeout(PATIENCE)
    from playwright.sync_api import TimeoutError

    page.goto(server)
    page.locator(".jp-Notebook").wait_for()
    page.get_by_text("(ipykernel) | Idle", exact=False).wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    try:
        picture(page, "error").wait_for(timeout=3 * PATIENCE)  # after all other cells
    except TimeoutError:
        seen = tmp_path_factory.mktemp("seen") / "lab.png"
        page.screenshot(path=seen)
        pytest.fail(f"the cells were run and no pictures came; the page is {seen}")
    yield page
    page.close()


def picture(page: Any, name: str, end: str = "") -> Any:
    """A picture of the controls, by the start and the end of its alternative text."""
    ends = f"[alt$='{end}']" if end else ""
    return page.locator(f".jupyter-widgets img[alt^='{name}']{ends}").first


def changed(page: Any, name: str, act: Callable[[], Any]) -> None:
    """Wait until an action has changed a picture."""
    before = picture(page, name).get_attribute("src")
    act()
    selector = f".jupyter-widgets img[alt^='{name}']"
    page.wait_for_function(
        "([selector, before]) => document.querySelector(selector)?.src !== before", arg=[selector, before]
    )


def labelled(page: Any, label: str, within: str) -> Any:
    """A control by its label."""
    return page.locator(".widget-inline-hbox", has=page.get_by_text(label, exact=True)).locator(within)


def choose(page: Any, label: str, option: str) -> None:
    labelled(page, label, "select").select_option(option)


def step_back(page: Any, label: str) -> None:
    handle = labelled(page, label, ".noUi-handle")
    handle.focus()
    handle.press("ArrowLeft")


def test_all_cells_run_without_an_error(lab, folder):
    until = time.monotonic() + PATIENCE / 1000
    outputs: list[Any] = []
    while time.monotonic() < until and not outputs:
        lab.keyboard.press("Control+s")
        lab.wait_for_timeout(500)
        cells = nbformat.read(folder / "explore.ipynb", as_version=4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
    printed = [output.text for output in outputs if output.output_type == "stream"]
    assert re.search(r"^truth\b.*\b30\.0\b.*\b43\.5\b", "".join(printed), re.MULTILINE)
    assert [output for output in outputs if output.output_type == "error"] == []
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2


def test_no_cell_computes_after_the_controls():
    """A kernel answers controls only between two cells."""
    cells = nbformat.read(PROJECT / "notebooks" / "explore.ipynb", as_version=4).cells
    assert "Controls(" in next(cell.source for cell in reversed(cells) if cell.cell_type == "code")


def test_the_slider_goes_through_the_stored_epochs(lab, labels):
    for epoch in (20, 10):
        before = picture(lab, "the paper").get_attribute("src")
        step_back(lab, labels["epoch"])
        picture(lab, "the paper", f" {epoch}").wait_for()
        assert picture(lab, "the paper").get_attribute("src") != before


def test_saturation_and_lightness_change_the_picture_and_its_error(lab, labels):
    changed(lab, "the paper", lambda: step_back(lab, labels["saturation"]))
    changed(lab, "error", lambda: step_back(lab, labels["saturation"]))
    changed(lab, "the paper", lambda: lab.get_by_label(labels["luminance"]).uncheck())


def test_a_pixel_is_chosen(lab, labels):
    before = lab.locator(".jupyter-widgets p", has_text=re.compile(r"L = \d")).inner_text()
    changed(lab, "gray", lambda: step_back(lab, labels["row"]))
    lab.wait_for_function("before => !document.body.innerText.includes(before)", arg=before)
    assert lab.locator(".jupyter-widgets img[alt*='13 × 13']").is_visible()


def test_a_click_on_a_picture_chooses_the_pixel_and_its_like_patches_are_drawn(lab, labels):
    for name, place in (("gray", (0.25, 0.75)), ("truth", (0.75, 0.5))):
        before = picture(lab, "gray").get_attribute("src")
        box = picture(lab, name).bounding_box()
        picture(lab, name).click(position={"x": place[0] * box["width"], "y": place[1] * box["height"]})
        selector = ".jupyter-widgets img[alt^='gray']"
        lab.wait_for_function(
            "([selector, before]) => document.querySelector(selector).src !== before", arg=[selector, before]
        )
        height, width = lab.evaluate(
            "s => { const it = document.querySelector(s); return [it.naturalHeight, it.naturalWidth] }", selector
        )
        chosen = [int(labelled(lab, labels[axis], ".widget-readout").inner_text()) for axis in ("row", "column")]
        assert abs(chosen[0] - place[1] * height) < 3
        assert abs(chosen[1] - place[0] * width) < 3
    picture(lab, "colors of like patches in").wait_for()


def test_a_color_is_given_to_a_pixel(lab, labels):
    changed(lab, "the paper", lambda: lab.get_by_role("button", name=labels["hint"]).click())
    changed(lab, "the paper", lambda: lab.get_by_role("button", name=labels["no_hints"]).click())


def test_two_methods_are_compared(lab, labels):
    assert picture(lab, "look-up table").count() == 0
    choose(lab, labels["other"], "look-up table")
    picture(lab, "look-up table").wait_for()
    choose(lab, labels["other"], NOTHING)
    picture(lab, "look-up table").wait_for(state="hidden")


def test_a_photograph_of_ones_own_is_uploaded(lab, labels, tmp_path):
    own = tmp_path / "eigenes Foto ü.png"
    Image.fromarray(smooth(90, 120)).save(own)

    def upload() -> None:
        with lab.expect_file_chooser() as chosen:
            lab.get_by_role("button", name=labels["upload"]).click()
        chosen.value.set_files(own)

    upload()
    for name in ("truth", "the paper"):
        lab.wait_for_function(
            "name => document.querySelector(`.jupyter-widgets img[alt^='${name}']`).naturalWidth === 120", arg=name
        )
    chosen = labelled(lab, labels["photo"], "select").evaluate("it => it.selectedOptions[0].text")
    assert chosen.replace("\N{NO-BREAK SPACE}", " ") == own.name
    # More than a server's messages hold unless it is told otherwise.
    large = tmp_path / "large.png"
    Image.fromarray(noise(2000, 2200)).save(large, compress_level=0)
    assert large.stat().st_size > 12e6
    own = large
    upload()
    lab.wait_for_function("document.querySelector(`.jupyter-widgets img[alt='truth']`).naturalWidth > 250")
    own = tmp_path / "notes.png"
    own.write_text("no image")
    upload()
    lab.get_by_text(own.name, exact=False).wait_for()
    assert picture(lab, "truth").is_visible()
