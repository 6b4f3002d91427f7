"""The page that colors photographs, opened from disk in a browser: its pixels are Python's, and nothing leaves it."""

import base64
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.browser import quiet_pages
from helpers.networks import strong
from PIL import Image

from colorlib.color import lab_to_rgb, lightness, to_bytes
from colorlib.colorize.colorizer import load_colorizer
from colorlib.colorize.image_file import read_picture
from colorlib.colorize.label import read_label
from colorlib.companion.page.build import grid, look_up_table_ab, page_html, page_inputs, read_examples
from colorlib.companion.steps import files, look_up_table_file
from colorlib.files import sha256
from colorlib.hints import check_hints
from colorlib.model import NETWORKS
from colorlib.photos.registry import open_photos
from colorlib.profiles import PROJECT, Profile, load_profile
from colorlib.runs import Run
from colorlib.targets import LAB

pytestmark = pytest.mark.slow

PAGE = files(load_profile("lightweight"), "page")[0]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUNS = {name: PROJECT / "results" / name / "seed-0" for name in ("lightweight", "paper")}
HINTS = [(0.25, 0.3, "#a0522d"), (0.7, 0.65, "#5c8a3a")]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of a bundled photograph: whole, in several parts for both networks; and small, with odd sides."""
    folder = tmp_path_factory.mktemp("photographs")
    found = {}
    whole = open_photos("bundled", "test").decode()[0]
    for name, pixels in (("whole", whole), ("small", whole[40:141, 30:233])):
        found[name] = folder / f"{name}.png"
        Image.fromarray(pixels).save(found[name])
    return found


@pytest.fixture
def viewing(tmp_path: Path) -> Profile:
    """The inputs of the page in a folder of their own, in which the lightweight network sees a photograph shrunk."""
    light = load_profile("lightweight")
    for path in page_inputs(light):
        if path.is_relative_to(PROJECT / "results"):
            copy = tmp_path / path.relative_to(PROJECT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    copied = replace(light, root=tmp_path)
    run = Run(copied.run(0))
    record = run.record()
    run.write_record(record | {"config": record["config"] | {"network": "deep-unet", "view": 48, "crop_size": 48}})
    network = strong(NETWORKS["deep-unet"], LAB.head)
    # The page's weights are float16
    run.write_weights({name: tensor.half().float() for name, tensor in network.state_dict().items()}, step=1)
    return copied


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    """Open the page; after the test it has requested nothing but itself and said nothing on the console."""
    with quiet_pages(browser, lambda url: url.startswith(("data:", "blob:", "file:"))) as pages:

        def open_page(*, page_file: Path = PAGE, **settings: Any) -> Any:
            page = pages.open(page_file.as_uri(), **settings)
            page.wait_for_selector("body[data-state=ready]")
            return page

        yield open_page


def choose(page: Any, photo: Path, method: str = "lightweight") -> None:
    """Color a photograph with a method on the right side."""
    page.evaluate("method => { document.getElementById('after').value = method; say('', 'ready'); }", method)
    page.set_input_files("#file", photo)
    page.wait_for_selector("body[data-state=done]", state="attached")


def take_example(page: Any, name: str) -> None:
    """Color one of the page's own photographs."""
    page.evaluate("say('', 'ready')")
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_selector("body[data-state=done]", state="attached")


def saved(page: Any, folder: Path) -> Path:
    """Save the copy; returns its path."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the right side").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def pixels_of(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def place(page: Any, x: float, y: float, color: str) -> None:
    """Choose a color and click on the photograph."""
    page.evaluate("color => setColor(color)", color)
    box = page.locator("#after-picture").bounding_box()
    page.locator("#view").click(position={"x": x * box["width"], "y": y * box["height"]})


def assert_alike(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    """At most one level apart, on under 10 % of the values."""
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.1


@pytest.mark.parametrize(("method", "photo"), [("lightweight", "whole"), ("lightweight", "small"), ("paper", "small")])
def test_its_pixels_are_those_of_python(opened, photographs, tmp_path, method, photo):
    page = opened()
    choose(page, photographs[photo], method)
    path = saved(page, tmp_path)
    photograph = pixels_of(photographs[photo])
    assert_alike(pixels_of(path), load_colorizer(RUNS[method])(photograph))
    label = read_label(read_picture(path).xmp)
    assert label is not None
    assert label.photograph == sha256(photographs[photo])
    assert label.network == sha256(RUNS[method] / "weights.safetensors")
    assert label.options == load_colorizer(RUNS[method]).options


@pytest.mark.parametrize("photo", ["whole", "small"])
def test_a_network_that_sees_a_shrunk_photograph_gives_the_pixels_of_python(
    opened, photographs, tmp_path, viewing, photo
):
    page_file = tmp_path / "page.html"
    page_file.write_text(page_html(viewing), encoding="utf-8")
    page = opened(page_file=page_file)
    choose(page, photographs[photo])
    photograph = pixels_of(photographs[photo])
    expected = load_colorizer(viewing.run(0))(photograph)
    assert np.std(expected - expected.mean(axis=2, keepdims=True)) > 10, "its colors vary"
    assert_alike(pixels_of(saved(page, tmp_path)), expected)


def test_the_look_up_table_and_gray_are_those_of_python(opened, photographs, tmp_path):
    page = opened()
    photograph = torch.from_numpy(pixels_of(photographs["small"])).permute(2, 0, 1)
    light = lightness(photograph)
    levels = look_up_table_ab(look_up_table_file(load_profile("lightweight")))
    ab = levels[(light[0] / 100 * 255).round().long()].movedim(-1, 0)
    for method, expected in (("table", ab), ("gray", torch.zeros_like(ab))):
        choose(page, photographs["small"], method)
        rgb = to_bytes(lab_to_rgb(torch.cat((light.double(), expected)))).permute(1, 2, 0).numpy()
        assert_alike(pixels_of(saved(page, tmp_path)), rgb)


def test_hints_and_saturation_are_those_of_python(opened, photographs, tmp_path):
    page = opened()
    choose(page, photographs["small"])
    for hint in HINTS:
        place(page, *hint)
    page.evaluate("""() => {
        const saturation = document.getElementById('saturation');
        saturation.value = 150;
        saturation.dispatchEvent(new Event('input'));
    }""")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save these colors").click()
    told = json.loads(Path(download.value.path()).read_text())["hints"]
    assert [hint["color"] for hint in told] == [color for *_, color in HINTS]
    for hint, (x, y, _) in zip(told, HINTS, strict=True):
        assert hint["x"] == pytest.approx(x, abs=0.01)
        assert hint["y"] == pytest.approx(y, abs=0.01)
    # Compare with Python
    path = saved(page, tmp_path)
    photograph = pixels_of(photographs["small"])
    colorizer = load_colorizer(RUNS["lightweight"], saturation=1.5)
    hints = [(hint["x"], hint["y"], hint["color"]) for hint in told]
    assert_alike(pixels_of(path), colorizer(photograph, hints=hints))
    assert np.abs(pixels_of(path).astype(int) - colorizer(photograph)).mean() > 5, "the hints change it"
    label = read_label(read_picture(path).xmp)
    assert label is not None
    assert label.options == replace(colorizer, hints=check_hints(hints)).options


def test_the_keyboard_places_and_removes_a_hint(opened, photographs):
    page = opened()
    choose(page, photographs["small"])
    page.locator("#view").focus()
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert page.evaluate("hints.map(({x, y}) => [x, y])") == [[0.52, 0.52]]
    page.get_by_role("button", name="Remove color 1").press("Enter")
    assert page.evaluate("hints.length") == 0


def test_dragging_compares_and_places_nothing(opened, photographs):
    page = opened()
    choose(page, photographs["small"])
    box = page.locator("#after-picture").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20, steps=4)
    page.mouse.up()
    assert page.evaluate("hints.length") == 0
    assert int(page.locator("#divider").input_value()) == pytest.approx(250, abs=5)


def test_a_large_photograph_is_asked_about_and_may_be_colored_at_half_the_size(opened, photographs, tmp_path):
    page = opened()
    page.evaluate("() => { secondsPerPixel.lightweight = 0.01 }")
    page.set_input_files("#file", photographs["small"])
    page.wait_for_selector("body[data-state=asking]", state="attached")
    assert page.locator("#question").inner_text().count("about") == 2
    # Meanwhile it is shown in gray, and may be clicked on
    assert page.evaluate("document.getElementById('after-picture').width") == 203
    place(page, 0.5, 0.5, "#5c8a3a")
    page.get_by_role("button", name="Remove color 1").click()
    page.get_by_role("button", name="Half size").click()
    page.wait_for_selector("body[data-state=done]", state="attached")
    found, photograph = pixels_of(saved(page, tmp_path)), pixels_of(photographs["small"])
    assert found.shape == photograph.shape
    own, kept = (lightness(torch.from_numpy(values).permute(2, 0, 1)) for values in (photograph, found))
    assert (own - kept).abs().median() < 0.3, "as sharp as the photograph"
    full = load_colorizer(RUNS["lightweight"])(photograph)
    assert 0 < np.abs(found.astype(float) - full).mean() < 15


def test_what_is_no_photograph_is_refused_by_name(opened, photographs, tmp_path):
    page = opened()
    other = tmp_path / "letter.png"
    other.write_text("Dear reader")
    page.set_input_files("#file", other)
    page.wait_for_selector("body[data-state=failed]")
    assert "letter.png" in page.locator("#status").inner_text()
    choose(page, photographs["small"])


@pytest.mark.parametrize(
    "event",
    ["new DragEvent('drop', {dataTransfer: files})", "new ClipboardEvent('paste', {clipboardData: files})"],
    ids=["drop", "paste"],
)
def test_a_photograph_can_be_dropped_or_pasted(opened, photographs, event):
    page = opened()
    data = base64.b64encode(photographs["small"].read_bytes()).decode()
    page.evaluate(
        f"""data => {{
            const files = new DataTransfer();
            files.items.add(new File([fromBase64(data)], 'given.png', {{type: 'image/png'}}));
            dispatchEvent({event});
        }}""",
        data,
    )
    page.wait_for_selector("body[data-state=done]", state="attached")
    assert page.evaluate("[photo.name, photo.width, photo.height]") == ["given.png", 203, 101]


def test_coloring_can_be_stopped(opened, photographs):
    page = opened()
    page.evaluate("() => { document.getElementById('after').value = 'paper'; secondsPerPixel.paper = 1e-9; }")
    page.set_input_files("#file", photographs["whole"])
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector("body[data-state=done]", state="attached")
    assert page.locator("#after").input_value() == "table"
    assert page.evaluate("Object.keys(photo.ab).sort()") == ["gray", "table"]


def test_the_browser_refuses_connections(browser, tmp_path):
    """The page's own policy, and not its good will, keeps a photograph here."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(PAGE.as_uri())
    policy = page.evaluate("""async () => {
        const refused = [];
        document.addEventListener('securitypolicyviolation', event => refused.push(event.effectiveDirective));
        await fetch('https://example.org/').catch(() => {});
        navigator.sendBeacon('https://example.org/', 'x');
        new Image().src = 'https://example.org/x.png';
        await new Promise(done => setTimeout(done, 500));
        return refused;
    }""")
    context.close()
    assert {"connect-src", "img-src"} <= set(policy)


@pytest.mark.parametrize(("scheme", "width"), [("light", 400), ("dark", 800), ("light", 1400)])
def test_axe_finds_no_violation_and_nothing_is_cut(opened, photographs, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(width=width, color_scheme=scheme)
    choose(page, photographs["small"])
    place(page, 0.5, 0.5, "#5c8a3a")
    take_example(page, "coffee")
    page.get_by_label("A click asks").check()
    page.locator("#view").click()
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}})
    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 15
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_damaged_kernel_is_said(browser, tmp_path):
    """The page does not wait for ever where it cannot compute."""
    copy = tmp_path / "page.html"
    shutil.copyfile(PAGE, copy)
    text = copy.read_text(encoding="utf-8")
    start = text.index('"kernel":"') + len('"kernel":"')
    copy.write_text(text[:start] + "AAAA" + text[start + 4 :], encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    page.goto(copy.as_uri())
    page.wait_for_selector("body[data-state=failed]")
    context.close()


def test_a_copy_with_transparency_keeps_it(opened, tmp_path):
    pixels = np.full((40, 60, 4), 128, dtype=np.uint8)
    pixels[..., 3] = np.where(np.arange(60) < 30, 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    photo = tmp_path / "transparent.png"
    photo.write_bytes(buffer.getvalue())
    page = opened()
    choose(page, photo)
    with Image.open(saved(page, tmp_path)) as image:
        assert np.array_equal(np.asarray(image.convert("RGBA"))[..., 3], pixels[..., 3])


# Why a color


def test_a_click_on_an_example_shows_the_colors_of_patches_like_it(opened: Any):
    page = opened()
    content = read_examples(load_profile("lightweight"))
    for example in content["examples"]:
        take_example(page, example["name"].partition("_")[2])
        page.get_by_label("A click asks").check()
        width, height = page.evaluate("[photo.width, photo.height]")
        rows, columns = grid(height, width)
        assert (example["rows"], example["columns"]) == (len(rows), len(columns))
        row, column = len(rows) // 3, len(columns) // 2
        box = page.locator("#after-picture").bounding_box()
        page.mouse.click(
            box["x"] + (columns[column] + 2) / width * box["width"], box["y"] + (rows[row] - 2) / height * box["height"]
        )
        assert page.locator("#plane").is_visible()
        assert page.locator("#plane circle").count() == content["kept"] + 1
        ab = np.frombuffer(base64.b64decode(example["ab"]), np.int8).reshape(len(rows), len(columns), -1, 2)
        a, b = (round(float(value) + 1e-9) for value in ab[row, column].mean(axis=0))
        told = page.locator("#decided").text_content()
        assert f"(cross): a {a}, b {b};" in told
        assert page.evaluate("hints.length") == 0, "a question places no color"
    # By keys, another place
    page.locator("#view").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Enter")
    assert page.locator("#decided").text_content() != told


def test_a_photograph_of_ones_own_is_asked_nothing(opened: Any, photographs: dict[str, Path]):
    page = opened()
    take_example(page, "coffee")
    assert page.locator("#why-section").is_visible()
    choose(page, photographs["small"])
    assert not page.locator("#why-section").is_visible()
