"""Executed notebooks as HTML: words from the outputs' metadata, tables that scroll, pages with code."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from helpers.html import Page, words
from helpers.results import edit_outputs, invented_figure, make_results, outputs_of

from colorlib.companion.article import PICTURES
from colorlib.companion.report.notebook_html import (
    compact_table,
    html_output,
    markdown_html,
    notebook_pages,
    read_notebook,
    stacked_tables,
    table_figure,
)
from colorlib.companion.steps import shown_steps, steps
from colorlib.companion.tables import Column, Table
from colorlib.profiles import Profile

TABLE = Table(
    data=pd.DataFrame([{"method": "gray", "MSE": 0.5}]),
    columns=[Column(name="method"), Column(name="MSE", digits=1)],
    caption='on "two" <pixels>.',
    label="Table 9",
)


def notebook_of(path: Path, *outputs: Any, source: str = "# Title\n\nWhy?") -> Path:
    cells = [nbformat.v4.new_markdown_cell(source), nbformat.v4.new_code_cell("show()", outputs=list(outputs))]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_figures_and_tables_are_read_with_the_words_of_their_metadata(tmp_path):
    shown = replace(invented_figure(tmp_path / "x.png"), label="Figure 9.", alt='Two "gray" pixels.')
    stream = nbformat.v4.new_output("stream", text="a line")
    other = nbformat.v4.new_output("display_data", {"text/html": "<p>a sentence</p>"})
    path = notebook_of(tmp_path / "09.ipynb", stream, *outputs_of(shown), other, *outputs_of(TABLE))
    notebook = read_notebook(path)
    assert notebook.title == "Title"
    assert words(notebook.introduction) == "Why?"
    figure, table = notebook.outputs
    assert (figure.label, figure.caption, figure.alt) == ("Figure 9.", shown.caption, shown.alt)
    assert figure.png == shown.path.read_bytes()
    assert 'alt="Two &quot;gray&quot; pixels." width="760" height="212">' in figure.body
    assert (table.label, table.caption) == ("Table 9", TABLE.caption)
    assert TABLE.html() in table.body
    assert table.figure().endswith('<figcaption><b>Table 9</b> on "two" &lt;pixels&gt;.</figcaption></figure>')
    assert figure.numbers == {}
    numbers = replace(shown, numbers={"gray input": 18.62})
    (read,) = read_notebook(notebook_of(tmp_path / "09.ipynb", *outputs_of(numbers))).outputs
    assert read.numbers == {"gray input": 18.62}


def test_a_drawing_scrolls_and_its_svg_file_is_linked_where_its_folder_is_known(tmp_path):
    picture = invented_figure(tmp_path / "x.png")
    (photographs,) = read_notebook(notebook_of(tmp_path / "09.ipynb", *outputs_of(picture))).outputs
    assert 'class="scroll"' not in photographs.body
    assert "svg" not in photographs.short_figure("../figures")
    drawn = replace(picture, drawing=True)
    (drawing,) = read_notebook(notebook_of(tmp_path / "09.ipynb", *outputs_of(drawn))).outputs
    assert 'class="scroll" role="region" tabindex="0" aria-label="Figure: The &lt;caption&gt; of x."' in drawing.body
    assert photographs.body in drawing.body
    assert drawing.short_figure("../figures").count('<a href="../figures/x.svg">SVG</a></figcaption>') == 1
    assert "<a " not in drawing.short_figure() + drawing.figure()
    (chart,) = read_notebook(notebook_of(tmp_path / "09.ipynb", *outputs_of(replace(picture, chart=True)))).outputs
    assert chart.body == drawing.body
    assert "<a " not in chart.short_figure("../figures")


def test_long_captions_and_intervals_are_folded(tmp_path):
    data = pd.DataFrame([{"method": "network", "MSE": 0.00731, "MSE low": 0.0064, "MSE high": 0.0083}])
    caption = "What to see, in Sec. III. In brackets: an interval. " + "How it was measured. " * 20
    table = Table(data=data, columns=[Column(name="method"), Column(name="MSE", digits=4)], caption=caption.strip())
    (read,) = read_notebook(notebook_of(tmp_path / "09.ipynb", *outputs_of(table))).outputs
    assert "0.0073" in read.short_figure()
    assert "0.0064" not in read.short_figure()
    assert words(read.short_figure()).endswith("What to see, in Sec. III.")
    assert "[0.0064, 0.0083]" in read.details()
    assert words(read.details()).endswith("How it was measured.")
    (short,) = read_notebook(notebook_of(tmp_path / "09.ipynb", *outputs_of(TABLE))).outputs
    assert words(short.short_figure()).endswith(TABLE.caption)
    assert short.details() == "", "nothing was left out"
    brief = replace(table, caption="What to see. In brackets: an interval. More to see.")
    (read,) = read_notebook(notebook_of(tmp_path / "09.ipynb", *outputs_of(brief))).outputs
    assert words(read.short_figure()).endswith("What to see. More to see.")
    assert words(read.details()).endswith("In brackets: an interval.")


def test_compact_tables_have_the_digits_that_their_intervals_support():
    data = pd.DataFrame(
        [
            {"method": "gray", "photographs": "12", "gain": -0.004, "gain low": -0.4, "gain high": 0.4, "PSNR": 20.07},
            {"method": "network", "photographs": "1,000", "gain": 1.28, "gain low": 0.93, "gain high": 1.62}
            | {"PSNR": 21.35, "PSNR low": 21.349, "PSNR high": 21.351, "SSIM": 0.91234, "SSIM sd": 0.03},
        ]
    )
    columns = [
        Column(name="method"), Column(name="photographs"), Column(name="gain", digits=2, head='gain "over" gray'),
        Column(name="PSNR", digits=3), Column(name="SSIM", digits=4),
    ]  # fmt: skip
    compact = compact_table(Table(data=data, columns=columns, caption="").html())
    lines = compact.split("</tr>")
    cells = [re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", line) for line in lines[1:3]]
    assert cells == [["gray", "12", "0.0", "20.070", "–"], ["network", "1,000", "1.3", "21.350", "0.91"]]
    assert 'class="ours"' in lines[2]
    assert 'class="ours"' not in lines[1]
    assert lines[2].count('class="number"') == 4
    assert 'data-label="gain &quot;over&quot; gray" class="number">1.3' in lines[2]


@pytest.mark.parametrize(("key", "fact"), [("caption", "caption"), ("alt", "alternative")])
def test_pictures_without_words_are_refused(tmp_path, key, fact):
    path = notebook_of(tmp_path / "09_pixels.ipynb", *outputs_of(invented_figure(tmp_path / "x.png")))
    assert len(read_notebook(path).outputs) == 1
    edit_outputs(path, lambda outputs: outputs[0].metadata["image/png"].pop(key))
    with pytest.raises(ValueError, match=rf"09_pixels\.ipynb.* {fact}\b.*Illustration"):
        read_notebook(path)


def test_notebooks_without_title_or_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"09_pixels\.ipynb.*'Why\?'.* title"):
        read_notebook(notebook_of(tmp_path / "09_pixels.ipynb", source="Why?"))
    path = tmp_path / "results" / "cpu" / "notebooks" / "01_data.ipynb"
    with pytest.raises(ValueError, match=r"01_data\.ipynb.*`make reproduce PROFILE=cpu`"):
        read_notebook(path)


def test_tables_scroll_by_themselves_and_their_captions_stay():
    (output, _) = outputs_of(TABLE)
    framed = html_output(output)
    (label,) = re.findall(r'aria-label="([^"]+)"', framed)
    assert label.endswith("Table 9 on &quot;two&quot; &lt;pixels&gt;.")
    assert framed == (
        f'<figure><div class="scroll" role="region" tabindex="0" aria-label="{label}">{TABLE.html()}</div>'
        '<figcaption><b>Table 9</b> on "two" &lt;pixels&gt;.</figcaption></figure>'
    )
    other = nbformat.v4.new_output("display_data", {"text/html": '<table border="1"></table>'})
    assert re.search('tabindex="0" aria-label="[^"]+"><table border="1">', html_output(other))
    sentence = nbformat.v4.new_output("display_data", {"text/html": "<p>none</p>"})
    assert html_output(sentence) == "<p>none</p>"
    long = table_figure(TABLE.html(), "word " * 100)
    (label,) = re.findall(r'aria-label="([^"]+)"', long)
    assert len(label) < 110
    assert label.endswith(" …")


def test_cells_of_stacked_tables_have_their_columns_name():
    table = stacked_tables(markdown_html("| what | seconds |\n|---|---|\n| `make` | 0.83 |\n"))
    assert '<th role="rowheader" scope="row"><code>make</code></th>' in table
    assert '<td role="cell" data-label="seconds">0.83</td>' in table


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return make_results(tmp_path_factory.mktemp("project"))


def test_notebook_pages_show_the_code_and_link_back(profile):
    pages = {path.name: text for path, text in notebook_pages(profile, shown_steps(steps(profile))).items()}
    page = pages["03_figure1.html"]
    assert Page(page).links[:4] == [
        "#notebook", "../report.html", "02_train_seed-0.html", "04_figures2_3.html",
    ]  # fmt: skip
    assert 'rel="prev"' not in pages["00_method.html"]
    assert 'rel="next"' not in pages["explore.html"]
    for name, text in pages.items():
        found = Page(text)
        levels = [level for level, _ in found.headings]
        assert levels[0] == 1
        assert all(lower <= upper + 1 for upper, lower in pairwise(levels)), name
        assert len(set(found.ids)) == len(found.ids), name
        assert found.tags["details"] >= found.tags["img"] + 1
        assert not {"script", "iframe", "object", "link"} & set(found.tags), name
    executed = nbformat.read(profile.results / "notebooks" / "03_figure1.ipynb", as_version=4)
    for cell in executed.cells:
        if cell.cell_type == "code":
            assert " ".join(cell.source.split()) in words(page)
    assert re.search(r"<summary>40 [^<]*\bepoch +1\b", pages["02_train_seed-0.html"])


def test_captions_stand_once_in_a_page(profile):
    pages = notebook_pages(profile, shown_steps(steps(profile)))
    page = pages[profile.results / "notebooks" / "04_figures2_3.html"]
    for name in list(PICTURES)[1:]:
        assert page.count(f"The &lt;caption&gt; of {name}.</figcaption></figure>") == 1
        assert page.count(f"The &lt;caption&gt; of {name}.") == 1
    assert 'class="caption"' not in page
