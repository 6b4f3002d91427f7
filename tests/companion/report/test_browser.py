"""The report and its notebook pages in a browser: no requests, accessible, readable at any width and on paper."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from helpers.browser import quiet_pages
from helpers.results import make_results

from colorlib.companion.report.page import TITLE, write_report
from colorlib.companion.results import Results
from colorlib.companion.steps import steps

pytestmark = pytest.mark.slow

PAGES = ("report.html", "notebooks/02_train_seed-0.html", "notebooks/05_table1.html")
WIDTHS = (360, 768, 1280)
UNFOLD = "document.querySelectorAll('details').forEach(details => { details.open = true; })"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report and its notebook pages."""
    profile = make_results(tmp_path_factory.mktemp("project"))
    write_report(Results(profile), steps(profile))
    return profile.results


@pytest.fixture
def opened(browser: Any, built: Path) -> Iterator[Any]:
    """Open a page by its name, in its own window; after the test there are no requests and no messages."""
    with quiet_pages(browser, lambda url: url.startswith(("data:", built.as_uri()))) as pages:
        yield lambda name, **settings: pages.open((built / name).as_uri(), **settings)
        assert pages.requests


@pytest.mark.parametrize("name", PAGES)
def test_a_page_requests_nothing_but_itself(opened, built, name):
    requests: list[str] = []
    page = opened(name)
    page.on("request", lambda request: requests.append(request.url))
    page.reload()
    assert [url for url in requests if not url.startswith("data:")] == [(built / name).as_uri()]
    shown = page.evaluate("[...document.images].map(image => image.complete && image.naturalWidth > 0)")
    assert all(shown)
    assert page.evaluate("getComputedStyle(document.body).maxWidth !== '' && document.styleSheets.length") == 1


def test_a_report_without_claims_says_nothing_on_the_console(browser: Any, tmp_path: Path):
    profile = make_results(tmp_path)
    (profile.results / "claims.json").unlink()
    report = write_report(Results(profile), steps(profile))[0]
    with quiet_pages(browser, lambda url: url.startswith(("data:", profile.results.as_uri()))) as pages:
        assert pages.open(report.as_uri()).locator(".filters").count() == 0


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_violation(opened, name, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(name, width=width, color_scheme=scheme)
    page.evaluate(UNFOLD)
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}})
    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 15


def test_axe_would_find_one(opened):
    """The rules above are really run."""
    from axe_playwright_python.sync_playwright import Axe

    page = opened("report.html")
    page.evaluate(UNFOLD)
    page.evaluate("""
        document.images[0].removeAttribute('alt');
        document.querySelector('.scroll:has(table)').removeAttribute('tabindex');
        document.querySelector('.answer p').style.color = '#bbb';
        document.querySelector('h3').outerHTML = '<h5>Method</h5>';
        document.querySelector('.scroll:has(table)').style.width = '200px';
    """)
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}})
    assert {violation["id"] for violation in found.response["violations"]} >= {
        "image-alt", "color-contrast", "heading-order", "scrollable-region-focusable",
    }  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_schemes_differ(opened, scheme):
    page = opened("report.html", color_scheme=scheme)
    color = page.evaluate("getComputedStyle(document.body).backgroundColor").removeprefix("rgb(").removesuffix(")")
    bright = sum(map(int, color.split(","))) > 3 * 128
    assert bright == (scheme == "light")


BEYOND = """
    [...document.querySelectorAll('body *')].filter(element =>
        element.getBoundingClientRect().right > innerWidth + 0.5
        && !element.parentElement.closest('.scroll')
    ).map(element => element.outerHTML.slice(0, 80))
"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_the_window(opened, name, width):
    page = opened(name, width=width)
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(BEYOND) == []


def test_wide_tables_scroll_by_keyboard(opened):
    page = opened("report.html", width=360)
    page.evaluate(UNFOLD)
    table = page.get_by_role("region", name=re.compile(r"\bTable I "))
    assert table.evaluate("region => region.scrollWidth > region.clientWidth")
    table.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("region => region.scrollLeft > 0", arg=table.element_handle())
    caption = page.locator("figcaption", has_text=re.compile("^Table I "))
    box = caption.bounding_box()
    assert box["x"] >= 0, "the caption does not scroll away with the table"
    assert box["x"] + box["width"] <= 360


LETTER = 9 / 72 * 200
"""Height in pixels of the 9 points of a drawing's letters, in its PNG of 200 dots per inch."""


@pytest.mark.parametrize("name", ["report.html", "notebooks/03_figure1.html"])
@pytest.mark.parametrize("width", [360, 400, 768, 1280])
def test_the_letters_of_a_drawing_can_be_read_at_any_width(opened, name, width):
    page = opened(name, width=width)
    region = page.get_by_role("region", name=re.compile(r"^Figure: .*figure1_loss_curve"))
    shown = region.locator("img").evaluate("image => image.clientWidth / image.naturalWidth")
    assert shown * LETTER > 11
    assert region.evaluate("region => region.scrollWidth > region.clientWidth") == (width < 700)
    assert region.evaluate("region => region.clientWidth") <= width


@pytest.mark.parametrize("width", [360, 1280])
def test_the_keyboard_reaches_everything_in_order(opened, width):
    page = opened("report.html", width=width)
    page.keyboard.press("Tab")
    skip = page.locator("a.skip[href='#report']")
    assert skip.evaluate("link => link === document.activeElement")
    assert skip.bounding_box()["x"] >= 0, "seen once it has the focus"
    focusable = """
        [...document.querySelectorAll("a[href], summary, button, [tabindex='0']")]
            .filter(element => element.checkVisibility({contentVisibilityAuto: true})).length
    """
    reached = 1
    while page.evaluate("document.activeElement.matches('body *')") and reached < 300:
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", page.evaluate("document.activeElement.outerHTML.slice(0, 80)")
        page.keyboard.press("Tab")
        reached += 1
    assert reached - 1 == page.evaluate(focusable)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "report"


def test_the_contents_lead_to_their_headings(opened):
    page = opened("report.html", width=768)
    links = page.locator("nav.contents a").all()
    assert len(links) >= 8
    for link in links:
        link.click()
        target = page.locator(link.get_attribute("href"))
        assert target.evaluate("heading => heading.tagName") in ("H2", "H3")
        section = target.locator("xpath=ancestor::section[1]").inner_text()
        assert link.inner_text() in section, "the name stands in or above the heading, which is the finding"
        top = target.evaluate("heading => heading.getBoundingClientRect().top")
        at_the_end = page.evaluate("innerHeight + scrollY >= document.documentElement.scrollHeight - 2")
        assert -1 <= top < 60 or (at_the_end and top < 900), link.inner_text()


def test_a_narrow_table_is_still_a_table(opened):
    """Rows that are blocks on a phone keep their roles, and each cell shows its column's name."""
    wide, narrow = opened("report.html", width=1280), opened("report.html", width=360)
    for page in (wide, narrow):
        table = page.locator("#table1 ~ figure").get_by_role("table")
        assert table.get_by_role("row").count() == 7
        assert table.get_by_role("columnheader").count() == 8
        (gray,) = table.get_by_role("rowheader", name="gray", exact=True).all()
        assert gray.locator("xpath=..").get_by_role("cell").count() == 7
        scrolled = "table => table.scrollWidth > table.parentElement.clientWidth"
        assert not table.evaluate(scrolled), "nothing is cut"
    first = "#table1 ~ figure tbody td"
    label = narrow.locator(first).first.evaluate("cell => getComputedStyle(cell, '::before').content")
    assert label.startswith('"MSE"')
    numbers = wide.locator("#table1 ~ figure td.number").all()
    assert {number.evaluate("cell => getComputedStyle(cell).textAlign") for number in numbers} == {"right"}


@pytest.mark.parametrize("width", [360, 1280])
def test_a_claim_is_a_line_that_unfolds(opened, width):
    page = opened("report.html", width=width)
    claim = page.locator("#claim-psnr")
    boxes = [claim.locator(f"summary > .{name}").bounding_box() for name in ("says", "paper", "ours", "decided")]
    if width > 1000:
        assert all(left["x"] + left["width"] <= right["x"] for left, right in pairwise(boxes)), "side by side"
    else:
        assert boxes[0]["y"] < boxes[1]["y"] < boxes[3]["y"], "one below the other"
    assert claim.bounding_box()["height"] < (70 if width > 1000 else 160)
    assert not claim.locator(".why").is_visible()
    claim.locator("summary").click()
    assert claim.locator(".why").is_visible()


def test_claims_are_filtered_by_verdict_and_part(opened):
    page = opened("report.html")
    shown = page.locator(".ledger .group details.claim:visible")
    assert shown.count() == 5
    button = page.get_by_role("button", name=re.compile("within tolerance"))
    button.click()
    assert [claim.get_attribute("id") for claim in shown.all()] == ["claim-psnr"]
    assert button.get_attribute("aria-pressed") == "true"
    assert page.get_by_role("status").inner_text().startswith("1 of 5 ")
    assert not page.get_by_role("heading", name="Quality").is_visible(), "a part without claims"
    button.click()
    assert shown.count() == 5
    page.get_by_role("button", name=re.compile("Outlook")).click()
    assert [claim.get_attribute("id") for claim in shown.all()] == ["claim-gan"]
    page.locator("a[href='#claim-test-mse']").first.click()
    # A link shows its claim, filtered or not, and unfolds it
    page.locator("#claim-test-mse .why").wait_for(state="visible")
    page.locator("a[href='#claim-parameter-count']").first.click()
    page.locator("#claim-parameter-count .why").wait_for(state="visible")


def test_without_script_every_claim_is_there(opened):
    page = opened("report.html", java_script_enabled=False)
    assert page.locator(".ledger button").count() == 0
    claims = page.locator(".ledger .group details.claim")
    assert claims.count() == 5
    assert all(claim.is_visible() for claim in claims.all())
    page.locator("#claim-psnr summary").click()
    assert page.locator("#claim-psnr .why").is_visible()


@pytest.mark.parametrize("width", [400, 1400])
def test_the_first_picture_stands_within_the_first_screen_and_a_half(opened, width):
    box = opened("report.html", width=width).locator("main img").first.bounding_box()
    assert box["y"] + box["height"] <= 1.5 * 900
    assert box["width"] >= 0.9 * min(width, 760), "and it is not small"


def test_links_lead_to_the_notebooks_and_back(opened):
    page = opened("report.html")
    page.locator("#figure1 ~ details summary").click()
    page.locator("#figure1 ~ details").get_by_role("link", name="03_figure1").click()
    assert page.url.endswith("/notebooks/03_figure1.html")
    assert page.title().startswith("Figure 1")
    assert page.title().endswith("(cpu)")
    code = page.locator("details pre", has_text="loss_curve(")
    assert code.is_visible()
    page.locator("details", has_text="loss_curve(").locator("summary").click()
    assert not code.is_visible()
    page.locator("a[href='../report.html']").click()
    assert page.locator("h1").inner_text() == TITLE


@pytest.mark.parametrize("name", PAGES)
def test_on_paper_it_is_black_on_white_and_nothing_stays_folded(opened, name):
    page = opened(name, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert not page.locator(".skip").is_visible()
    for fold in page.locator("details.claim .why").all():
        assert fold.bounding_box()["height"] > 30
    folded = page.locator("details:not([open]) pre")
    assert (folded.count() > 0) == (name == "notebooks/02_train_seed-0.html")
    for text in folded.all():
        assert text.bounding_box()["height"] > 150
    regions = "[...document.querySelectorAll('.scroll')].map(region => getComputedStyle(region).overflowX)"
    assert set(page.evaluate(regions)) <= {"visible"}
    assert not page.locator("nav").is_visible(), "on paper its links lead nowhere"
    assert page.pdf(format="A4").startswith(b"%PDF")
