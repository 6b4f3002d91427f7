"""The report and its notebook pages: what they say, where it comes from, and what they refuse."""

import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from report_fixtures import PNG, claim, copy_of_results, judged

from colorlib.companion import claims, report, reproduce, verdicts
from colorlib.companion.exhibits import framed_tables, read_chapter
from colorlib.companion.notebook_pages import notebook_pages
from colorlib.companion.verdicts import MARKS
from colorlib.files import write_json
from colorlib.profiles import PROJECT, Profile, load_profile


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """The committed results of `cpu` in a project of their own: claims judged, pictures tiny, to be quick."""
    profile = copy_of_results(tmp_path, monkeypatch)
    for path in (profile.results / "notebooks").iterdir():
        text = re.sub(r'"image/png": "[^"]+"', f'"image/png": "{PNG}"', path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
    return profile


class Page(HTMLParser):
    """What a page holds, in the order of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.headings: list[tuple[int, str]] = []
        self.words = ""
        self.tags: Counter[str] = Counter()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags[tag] += 1
        self.words += " " if tag in ("th", "td", "tr") else ""
        self.ids += [str(found["id"])] if "id" in found else []
        self.links += [str(found["href"])] if "href" in found else []
        if tag == "img":
            self.pictures.append(found)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))
            self.open = tag

    def handle_endtag(self, tag):
        if tag == getattr(self, "open", None):
            self.open = None

    def handle_data(self, data):
        self.words += data
        if getattr(self, "open", None):
            level, text = self.headings.pop()
            self.headings.append((level, text + data))


def words(html: str) -> str:
    return " ".join(Page(html).words.split())


def row(page: str, name: str) -> str:
    """The words of one claim in the verdict table."""
    (found,) = re.findall(rf'<tbody role="rowgroup" id="claim-{name}">.*?</tbody>', page, flags=re.DOTALL)
    return words(found)


def test_each_claim_stands_with_its_numbers_its_verdict_and_why(profile):
    page = report.report_page(profile)
    assert row(page, "psnr") == (
        "The PSNR on that test set is 23.56 dB. IV.C, Table I 23.56 dB 23.10 dB 22.60 to 23.70 dB (95 % over "
        "photographs); 3 seeds, ± their standard deviation ≈ within tolerance The photographs here are more colorful "
        "than most, and the mean of their colors alone gets 0.0080. Quantity: mean over the test photographs of the "
        "MSE of the network's RGB, 8 bits, full size; 200 test photographs of bsds500; 10,000 updates; crops of 48 "
        "pixels. Held to: ± 0.0005, because another draw of photographs moves it that far. Made by make reproduce "
        "PROFILE=paper."
    )
    assert "Colors look plausible & natural, <best> on faces." in row(page, "faces")
    assert row(page, "gan").startswith(
        "An adversarial loss would make colors more vivid. VI more vivid – – not measured"
    )
    order = re.findall(r'id="claim-([a-z-]+)"', page)
    assert order == ["gray-to-rgb", "parameter-count", "test-mse", "psnr", "faces", "gan"]
    assert [text for level, text in Page(page).headings if level == 3][:4] == [
        "Method",
        "Results",
        "Quality",
        "Outlook",
    ]


def test_verdicts_are_told_by_words_and_signs(profile):
    page = report.report_page(profile)
    for mark in MARKS:
        assert words(page).count(f"{mark.sign} {mark.verdict}") == 2, "once where they are counted, once in the table"
    assert len({mark.sign for mark in MARKS}) == len(MARKS)
    assert [mark.verdict for mark in MARKS] == [str(verdict) for verdict in claims.Verdict]


def test_a_changed_verdict_changes_the_page(profile):
    path = profile.results / "claims.json"
    before = report.report_page(profile)
    held = json.loads(path.read_text())
    held["claims"][2]["verdict"] = "reproduced"
    held["counts"] |= {"reproduced": 2, "differs (on our data)": 0}
    write_json(path, held)
    after = report.report_page(profile)
    assert "≠ differs (on our data)" in row(before, "test-mse")
    assert "= reproduced" in row(after, "test-mse")
    assert row(after, "psnr") == row(before, "psnr")
    assert "verdict is reproduced for 1, within tolerance for 1, differs (on our data) for 1, contradicted" in words(
        before
    )
    assert "verdict is reproduced for 2, within tolerance for 1, contradicted for 1, not testable for 1 and" in words(
        after
    )
    assert "= reproduced 2 claims" in words(after)
    assert "≠ differs (on our data) 0 claims" in words(after)


def test_how_fast_it_is_stands_in_it_once_it_was_measured(profile, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "SPEED", tmp_path / "bench")
    assert "How fast it is" not in report.report_page(profile)
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "cpu.md").write_text(
        "| what | seconds |\n|---|---|\n| `make`, an update | 0.83 |\n\nOf 3 rounds.\n"
    )
    assert tmp_path / "bench" / "cpu.md" in report.sources(profile)
    page = report.report_page(profile)
    assert (2, "How fast it is") in Page(page).headings
    assert '<td role="cell" data-label="seconds">0.83</td>' in page
    assert "Of 3 rounds." in page


def test_claims_that_were_not_judged_are_not_shown(profile):
    (profile.results / "claims.json").unlink()
    page = report.report_page(profile)
    assert "colorlib claims --profile cpu judges them" in words(page)
    assert "The paper's claims were not judged on this profile." in words(page)
    assert "claim-" not in page.partition("</style>")[2]
    assert not any(f"{mark.sign} {mark.verdict}" in words(page) for mark in MARKS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"profile": "paper"}, "holds the claims of profile 'paper'; make it again: `colorlib claims --profile cpu`"),
        ({"claims": [claim("true")]}, "there is no verdict true; make it again"),
        ({"claims": [claim("reproduced")]}, "its counts are not those of its claims; make it again"),
    ],
)
def test_claims_that_cannot_be_right_are_refused(tmp_path, change, message):
    path = tmp_path / "claims.json"
    write_json(path, judged("cpu") | change)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        verdicts.read_claims(path, "cpu")
    assert str(path) in str(caught.value)
    path.write_text("{")
    with pytest.raises(ValueError, match="make it again"):
        verdicts.read_claims(path, "cpu")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, "0.0069 to 0.0090 (95 % over photographs); 1 seed"),
        ({"interval_text": "", "seeds": None}, ""),
        ({"interval_text": "", "seeds": 3}, "3 seeds, ± their standard deviation"),
    ],
)
def test_the_uncertainty_of_a_number(given, shown):
    assert verdicts.uncertainty(claim("reproduced", **given)) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"tolerance_text": ""}, ""),
        ({"relation": "at most", "value": 600000, "tolerance_text": "a guess"}, "Held to: at most 600,000; a guess."),
        ({"relation": "ordering", "value": 0.0, "tolerance_text": ""}, "Held to: above 0."),
        ({"relation": "shape", "value": 0.5, "tolerance_text": ""}, "Held to: at least 0.5."),
        ({"relation": "qualitative", "value": None, "tolerance_text": ""}, ""),
    ],
)
def test_what_a_claim_is_held_to(given, shown):
    assert verdicts.held_to(claim("reproduced", **given)) == shown


def test_the_answer_is_read_from_the_table(profile):
    path = profile.results / "table1.csv"
    table = pd.read_csv(path)
    table.loc[table["method"] == "network", ["MSE", "MSE low", "MSE high", "PSNR of MSE"]] = (
        0.0123,
        0.0101,
        0.0145,
        19.1,
    )
    table.loc[table["method"] == "gray", "MSE"] = 0.0001
    table.to_csv(path, index=False)
    said = words(report.report_page(profile))
    assert "the network reaches an MSE of 0.0123 (19.10 dB; 95 % interval over images 0.0101 to 0.0145)" in said
    assert "the best answer without a network (gray) gets an MSE of 0.0001 (" in said
    assert "the paper gives 0.0044 (23.56 dB)" in said
    path.unlink()
    with pytest.raises(ValueError, match="make table1 PROFILE=cpu"):
        report.report_page(profile)


def test_every_figure_and_table_stands_with_its_caption_and_provenance(profile):
    page = report.report_page(profile)
    figures = re.findall(r"<figure>(.*?)<figcaption>(.*?)</figcaption></figure>", page, flags=re.DOTALL)
    captions = [words(caption) for _, caption in figures]
    starts = [
        "Figure 1. Loss",
        "Figure 2. A portrait",
        "Figure 3a.",
        "Figure 3b.",
        "Table I on the 200 test photographs",
    ]
    assert all(caption.startswith(start) for caption, start in zip(captions, starts, strict=False))
    steps = ["03_figure1", *["04_figures2_3"] * 3, "05_table1"]
    for caption, step in zip(captions, steps, strict=False):
        assert caption.endswith(
            f"colorlib reproduce --profile cpu --only {step} · runs: seed-0 of results/cpu · AMD EPYC, 2 threads · "
            f"source tree {json.loads((profile.run(0) / 'run.json').read_text())['source'][:16]} · notebook {step}"
        )
    assert sum("<img" in body for body, _ in figures) == 8
    outlook = nbformat.read(profile.results / "notebooks" / "07_outlook.ipynb", as_version=4)
    found = [output for cell in outlook.cells for output in cell.get("outputs", ())]
    of_sweeps = sum("<table" in output.get("data", {}).get("text/html", "") for output in found)
    assert of_sweeps >= 3
    assert sum("<table" in body for body, _ in figures) == 3 + of_sweeps  # Table I and two of peers beside them
    executed = nbformat.read(profile.results / "notebooks" / "03_figure1.ipynb", as_version=4)
    (picture,) = [
        output for cell in executed.cells for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})
    ]
    assert Page(page).pictures[0]["alt"] == picture.metadata["image/png"]["alt"]
    assert str(Page(page).pictures[0]["src"]).endswith(picture.data["image/png"].replace("\n", ""))


def test_runs_that_differ_stand_side_by_side(profile):
    for seed, processor in ((1, "AMD EPYC"), (2, "another")):
        shutil.copytree(profile.run(0), profile.run(seed))
        notebooks = profile.results / "notebooks"
        shutil.copy(notebooks / "02_train_seed-0.ipynb", notebooks / f"02_train_seed-{seed}.ipynb")
        record = json.loads((profile.run(seed) / "run.json").read_text())
        record["config"]["seed"] = seed
        record["hardware"]["processor"] = processor
        if seed == 2:
            record["config"]["later"] = "set"
        write_json(profile.run(seed) / "run.json", record)
    page = report.report_page(load_profile("cpu", seeds=(0, 1, 2)))
    assert "what seeds 0, 1 seed 2" in words(page)
    assert "processor AMD EPYC another" in words(page)
    assert "later – set" in words(page), "a setting that older runs do not know of"
    assert "runs: seed-0, seed-1, seed-2 of results/cpu · AMD EPYC, 2 threads; another, 2 threads · source" in words(
        page
    )
    assert "--only 03_figure1 --seeds 0,1,2" in words(page)
    assert "--only 04_figures2_3 --seeds 0,1,2 · runs: seed-0 of results/cpu" in words(page), (
        "the pictures show one run"
    )


@pytest.mark.parametrize("judgement", ["judged", "not judged"])
def test_headings_links_and_pictures_are_whole(profile, judgement):
    if judgement == "not judged":
        (profile.results / "claims.json").unlink()
    page = Page(report.report_page(profile))
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(lower <= upper + 1 for upper, lower in pairwise(levels)), page.headings
    assert len(set(page.ids)) == len(page.ids)
    for link in page.links:
        beside = re.fullmatch(r"notebooks/(\w+(?:-\d+)?)\.html", link)
        assert link[1:] in page.ids if link.startswith("#") else beside, link
        assert not beside or (profile.results / "notebooks" / f"{beside[1]}.ipynb").is_file(), link
    linked = {link[1:] for link in page.links if link.startswith("#")}
    assert {"verdicts", "figure1", "figures2_3", "table1", "open", "provenance", "notebooks"} <= linked
    for picture in page.pictures:
        assert str(picture["src"]).startswith("data:image/png;base64,")
        assert len(str(picture["alt"])) > 30
    assert not {"script", "iframe", "object", "link"} & set(page.tags)


def test_an_optional_notebook_is_shown_where_it_was_executed(profile):
    page = words(report.report_page(profile))
    assert "not at hand: 06_peers. colorlib reproduce --profile cpu --only 06_peers executes it." in page
    nb = nbformat.read(profile.results / "notebooks" / "05_table1.ipynb", as_version=4)
    nb.cells[0].source = "# Beside others\n\n*How far from the best?*"
    nbformat.write(nb, profile.results / "notebooks" / "06_peers.ipynb")
    html = report.report_page(profile)
    assert "not at hand" not in words(html)
    assert '<a href="#peers">Beside others</a>' in html
    assert "How far from the best?" in words(html)
    assert html.count("Table I on the 200 test photographs") == 4, "two captions, and the names of two regions"
    (profile.results / "notebooks" / "05_table1.ipynb").unlink()
    with pytest.raises(ValueError, match=r"05_table1\.ipynb does not exist; run `make reproduce PROFILE=cpu` first"):
        report.report_page(profile)


def notebook_of(path: Path, *outputs: dict[str, Any], source: str = "# Title\n\nWhy?") -> Path:
    cells = [nbformat.v4.new_markdown_cell(source), nbformat.v4.new_code_cell("show()")]
    cells[1].outputs = [nbformat.v4.new_output("display_data", **output) for output in outputs]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


CAPTION = {"data": {"text/html": "<p class='caption'><b>Figure 9.</b> Two pixels.</p>"}}


def test_pictures_without_words_and_notebooks_without_title_are_refused(tmp_path):
    path = tmp_path / "09_pixels.ipynb"
    picture = {"data": {"image/png": PNG}, "metadata": {"image/png": {"alt": 'Two "gray" pixels.', "width": 760}}}
    (exhibit,) = read_chapter(notebook_of(path, picture, CAPTION)).exhibits
    assert exhibit.caption == "<b>Figure 9.</b> Two pixels."
    assert 'alt="Two &quot;gray&quot; pixels." width="760" height="380">' in exhibit.body
    with pytest.raises(ValueError, match=r"09_pixels.ipynb: a picture has no caption"):
        read_chapter(notebook_of(path, picture))
    with pytest.raises(ValueError, match=r"09_pixels.ipynb: a picture has no alternative text"):
        read_chapter(notebook_of(path, {"data": {"image/png": PNG}}, CAPTION))
    with pytest.raises(ValueError, match="expected a title"):
        read_chapter(notebook_of(path, source="Why?"))


def test_tables_scroll_by_themselves_and_their_captions_stay():
    table = '<table class="figures"><caption>What <b>is</b> "it"?</caption><tbody><tr><td>1</td></tr></tbody></table>'
    assert framed_tables(f"<p>{table}</p>") == (
        '<p><figure><div class="scroll" role="region" tabindex="0" aria-label="Table: What is &quot;it&quot;?">'
        '<table class="figures"><tbody><tr><td>1</td></tr></tbody></table></div>'
        '<figcaption>What <b>is</b> "it"?</figcaption></figure></p>'
    )
    assert 'tabindex="0" aria-label="Table"><table border="1">' in framed_tables('<table border="1"></table>')
    assert framed_tables("<p>none</p>") == "<p>none</p>"


def test_what_the_paper_leaves_open_keeps_its_columns(profile, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "SPEED", tmp_path / "nothing was timed")
    page = report.report_page(profile)
    tables = re.findall(r'<table class="stacked".*?</table>', page, flags=re.DOTALL)
    source = (PROJECT / "paper" / "deviations.md").read_text()
    for table, part in zip(tables, source.split("\n## "), strict=True):
        rows = [line for line in part.splitlines() if line.startswith("| ")][1:]
        assert table.count('<th role="rowheader"') == len(rows)
        assert table.count('<td role="cell" data-label="Here">') == len(rows)
    assert '<td role="cell" data-label="Parameter"><code>photos</code></td>' in tables[0]


@pytest.mark.slow
def test_pages_are_the_same_bytes_and_are_made_again_when_what_they_are_made_of_changes(profile, capsys):
    def built() -> tuple[str, dict[str, bytes]]:
        reproduce.build_report(profile, force=False)
        pages = sorted(profile.results.rglob("*.html"))
        return capsys.readouterr().out, {path.name: path.read_bytes() for path in pages}

    said, first = built()
    assert "up to date" not in said
    pages = {path.with_suffix(".html").name for path in (profile.results / "notebooks").glob("*.ipynb")}
    assert set(first) == {"report.html"} | pages
    assert built() == ("report: up to date\n", first)
    (profile.results / "notebooks" / "01_data.html").unlink()
    said, again = built()
    assert "up to date" not in said
    assert again == first
    (profile.results / "report.html").write_text("edited")
    assert built()[1] == first
    (profile.results / "claims.json").unlink()
    said, without = built()
    assert "up to date" not in said
    assert without["report.html"] != first["report.html"]
    write_json(profile.results / "claims.json", judged("cpu"))
    assert built()[1] == first


@pytest.mark.slow
def test_notebook_pages_show_the_code_and_link_back(profile):
    pages = {path.name: text for path, text in notebook_pages(profile).items()}
    page = pages["03_figure1.html"]
    assert Page(page).links[:4] == [
        "#notebook", "../report.html", "02_train_seed-0.html", "04_figures2_3.html",
    ]  # fmt: skip
    assert 'rel="prev"' not in pages["01_data.html"]
    assert 'rel="next"' not in pages["explore.html"]
    for name, text in pages.items():
        found = Page(text)
        levels = [level for level, _ in found.headings]
        assert levels[0] == 1
        assert all(lower <= upper + 1 for upper, lower in pairwise(levels)), name
        assert len(set(found.ids)) == len(found.ids), name
        assert found.tags["details"] >= found.tags["img"] + 1
        assert not {"script", "iframe", "object", "link"} & set(found.tags), name
    assert "figures.loss_curve(runs, baselines, path).show()" in words(page)
    assert "seed 0, epoch 40: training loss 0.00850" in words(page)
    assert "<summary>40 lines, from “epoch   1 of 40" in pages["02_train_seed-0.html"]
