"""The report: numbers with their provenance, verdicts, and errors for missing results."""

import json
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from helpers.html import Page, words
from helpers.results import IMAGES, edit_outputs, judged, make_results, outputs_of

from colorlib.companion.claims import claims
from colorlib.companion.claims.text import MARKS
from colorlib.companion.report import page as report
from colorlib.companion.results import Results
from colorlib.companion.steps import steps
from colorlib.companion.tables import Column, Table
from colorlib.files import write_json, write_text
from colorlib.profiles import PROJECT, Profile, load_profile


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return make_results(tmp_path)


def build(profile: Profile) -> str:
    """Return the report of a profile."""
    return report.report_page(Results(profile), steps(profile))


def row(page: str, name: str) -> str:
    """The HTML of one claim."""
    (found,) = re.findall(rf'<details class="claim" id="claim-{name}".*?</details>', page, flags=re.DOTALL)
    return found


def cells(page: str, name: str) -> list[str]:
    """The words of one claim: its statement, the paper's number, ours, the verdict; and the fold."""
    found = row(page, name)
    texts = [
        words(re.findall(rf'<span class="{cell}">(.*?)</span>(?=\n|</summary>)', found, flags=re.DOTALL)[0])
        for cell in ("says", "paper", "ours", "decided")
    ]
    return [*texts, words(re.findall(r'<div class="why">(.*?)</div>', found, flags=re.DOTALL)[0])]


def test_each_claim_is_a_line_with_its_numbers_and_unfolds_to_the_reason(profile):
    page = build(profile)
    claims = {entry["id"]: entry for entry in judged("cpu")["claims"]}
    psnr = claims["psnr"]
    *line, why = cells(page, "psnr")
    assert line == [psnr["says"], "Paper 23.56 dB", "Ours 23.10 dB", "Verdict ≈ within tolerance"]
    assert why.startswith(psnr["why"])
    facts = ("interval_text", "quantity", "photographs", "tolerance_text", "command", "section")
    for fact in (*(psnr[name] for name in facts), "10,000", "48", "3 seeds"):
        assert fact in why
    assert "±" not in why.replace(psnr["tolerance_text"], "")
    faces, gan = claims["faces"], claims["gan"]
    assert cells(page, "faces")[0] == faces["says"]
    assert cells(page, "gan")[:4] == [
        gan["says"], f"Paper {gan['value_text']}", "Ours –", "Verdict – not measured",
    ]  # fmt: skip
    order = re.findall(r'<details class="claim" id="claim-([a-z-]+)"', page)
    definitions = [name for name, entry in claims.items() if entry["basis"] == "text"]
    assert order == [name for name in claims if name not in definitions] + definitions
    parts = re.findall(r'<h3 id="claims-\d">(.*?)</h3>', page)
    assert parts == ["Results", "Quality", "Outlook"]


def test_claims_of_quality_show_their_gain_on_each_set_of_photographs(profile):
    path = profile.results / "claims.json"
    content = json.loads(path.read_text())
    gain = {"measure": "PSNR of MSE", "low": 0.0, "high": 1.0, "digits": 2, "unit": " dB", "effect": "open"}
    content["claims"][3]["gains"] = [
        gain | {"place": "at home", "value": 0.329},
        gain | {"place": "at home", "measure": "SSIM", "value": -0.02},
        gain | {"place": "on zhang2016", "value": -0.4},
        gain | {"place": "on others", "value": -0.22},
    ]
    write_json(path, content)
    assert cells(build(profile), "psnr")[2] == "Ours +0.3 dB at home; elsewhere -0.4, -0.2"


def test_the_claims_that_matter_most_open_the_page(profile):
    page = build(profile)
    (table,) = re.findall(r'<table class="compact headline".*?</table>', page, flags=re.DOTALL)
    assert re.findall(r'href="#claim-([a-z-]+)"', table) == ["test-mse", "parameter-count"], "of those that were judged"
    assert "0.0044 0.0079 ≠ differs (on our data)" in words(table)
    assert set(report.HEADLINE) <= {claim.id for claim in claims.read_claims()}
    assert len(report.HEADLINE) == 6


def test_claims_and_exhibits_link_to_each_other(profile):
    path = profile.results / "claims.json"
    content = json.loads(path.read_text())
    commands = {
        "test-mse": "make table1 PROFILE=cpu",
        "psnr": "colorlib reproduce --profile cpu --only 03_figure1",
        "gan": "make sweep SWEEP=outlook PROFILE=paper",
    }
    for entry in content["claims"]:
        entry["command"] = commands.get(entry["id"], "")
    write_json(path, content)
    page = build(profile)
    assert 'href="#table1"' in row(page, "test-mse")
    assert 'href="#figure1"' in row(page, "psnr")
    assert "href" not in row(page, "gan"), "that profile has no such sweep here"
    sections = dict(re.findall(r'<section aria-labelledby="([\w-]+)">(.*?)</section>', page, flags=re.DOTALL))
    assert 'href="#claim-test-mse"' in sections["table1"]
    assert 'href="#claim-psnr"' in sections["figure1"]
    assert "claim-test-mse" not in sections["figure1"]
    write_text(profile.results.parent / "paper" / "sweeps" / "outlook" / "summary.csv", "")
    assert 'href="../paper/report.html#outlook"' in row(build(profile), "gan")


def test_verdicts_have_words_and_signs(profile):
    page = build(profile)
    for mark in MARKS:
        assert f"{mark.sign} {mark.verdict}" in words(page)
    assert len({mark.sign for mark in MARKS}) == len(MARKS)
    assert [mark.verdict for mark in MARKS] == [str(verdict) for verdict in claims.Verdict]


def counted(page: str) -> dict[str, int]:
    """How often each verdict was given on results, as the filters list it."""
    (listed,) = re.findall(r'<ul aria-label="Verdicts">.*?</ul>', page, flags=re.DOTALL)
    terms = [words(term) for term in re.findall(r"<li>.*?</li>", listed, flags=re.DOTALL)]
    found = [re.fullmatch(rf"\S ({'|'.join(map(re.escape, claims.Verdict))}) (\d+)", term) for term in terms]
    return {match[1]: int(match[2]) for match in found if match}


def test_a_changed_verdict_changes_the_page(profile):
    path = profile.results / "claims.json"
    before = build(profile)
    content = json.loads(path.read_text())
    content["claims"][2]["verdict"] = "reproduced"
    content["counts"] |= {"reproduced": 2, "differs (on our data)": 0}
    write_json(path, content)
    after = build(profile)
    assert cells(before, "test-mse")[3] == "Verdict ≠ differs (on our data)"
    assert cells(after, "test-mse")[3] == "Verdict = reproduced"
    assert row(after, "psnr") == row(before, "psnr")
    others = {"within tolerance": 1, "undecided": 1, "not testable": 1, "not measured": 1}
    assert counted(before) == {"differs (on our data)": 1} | others, "definitions are not counted with results"
    assert counted(after) == {"reproduced": 1} | others
    first, second = (re.findall(r'<h2 id="verdicts">(.*?)</h2>', page)[0] for page in (before, after))
    assert re.findall(r"\d+", first) == ["5", "1", "1", "3"], "results, those that hold, that do not, that are open"
    assert re.findall(r"\d+", second) == ["5", "2", "0", "3"]
    definitions = [re.findall(r'<h3 id="definitions">(.*?)</h3>', page)[0] for page in (before, after)]
    assert definitions[0] == definitions[1]
    assert re.findall(r"\d+", definitions[0]) == ["2", "1", "1", "0"]


def test_measured_speed_is_a_section(profile, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "SPEED", tmp_path / "bench")
    assert "speed" not in Page(build(profile)).ids
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "cpu.md").write_text(
        "| what | seconds |\n|---|---|\n| `make`, an update | 0.83 |\n\nOf 3 rounds.\n"
    )
    assert tmp_path / "bench" / "cpu.md" in report.page_inputs(profile, steps(profile))
    page = build(profile)
    assert "speed" in Page(page).ids
    assert page.count('<h3 id="speed">') == 1
    assert '<td role="cell" data-label="seconds">0.83</td>' in page
    assert "Of 3 rounds." in page


def test_claims_that_were_not_judged_are_not_shown(profile):
    (profile.results / "claims.json").unlink()
    page = build(profile)
    assert "colorlib claims --profile cpu" in words(page)
    assert "results/cpu/claims.json" in words(page)
    assert "claim-" not in page.partition("</style>")[2]
    assert '<dl class="counts">' not in page
    assert '<table class="compact headline"' not in page
    assert not any(f"{mark.sign} {mark.verdict}" in words(page) for mark in MARKS)


def test_the_opening_is_read_from_table_1(profile):
    path = profile.results / "table1.csv"
    table = pd.read_csv(path)
    table.loc[table["method"] == "network", ["MSE", "PSNR of MSE"]] = 0.0123, 19.1
    table.to_csv(path, index=False)
    opening = re.findall(r'<div class="answer">(.*?)</div>', build(profile), flags=re.DOTALL)[0]
    assert opening.count("<p>") == 3
    for fact in ("0.0044", "23.56 dB", "600,000", "740,227", "0.0123", "19.10 dB", "12 test", "bsds500", "13 × 13"):
        assert fact in words(opening)
    path.unlink()
    with pytest.raises(ValueError, match="make table1 PROFILE=cpu"):
        build(profile)


@pytest.mark.slow
def test_previews_and_other_networks_point_to_the_evidence(profile):
    preview, committed, other = (build(each) for each in (profile, load_profile("paper"), load_profile("lightweight")))

    def notice(page: str) -> str:
        return "".join(re.findall(r'<p class="preview">(.*?)</p>', page, flags=re.DOTALL))

    assert 'href="../paper/report.html"' in notice(preview)
    assert "preview" in notice(preview)
    assert "1,000" in notice(preview)
    assert notice(committed) == ""
    assert 'href="../lightweight/colorize.html"' in committed
    assert 'href="../paper/report.html"' in notice(other)
    assert "preview" not in words(notice(other))
    assert 'href="colorize.html"' in other


def test_every_figure_and_table_has_its_caption(profile):
    page = build(profile)
    figures = re.findall(r"<figure>(.*?)<figcaption>(.*?)</figcaption></figure>", page, flags=re.DOTALL)
    captions = [words(caption) for _, caption in figures]
    starts = ["Figure 2.", "Figure 1.", "Figure 3a.", "Figure 3b.", "Table I "]
    assert all(caption.startswith(start) for caption, start in zip(captions, starts, strict=False))
    assert f"{IMAGES} test" in captions[4]
    assert "bsds500" in captions[4]
    assert sum("<img" in body for body, _ in figures) == 4 + 2 + 1, "paper, exploration, data"
    assert sum("<table" in body for body, _ in figures) == 4, "Table I, thirds, splits, runs"
    assert "<small>[" not in "".join(body for body, _ in figures if "<table" in body), "intervals are folded"
    executed = nbformat.read(profile.results / "notebooks" / "03_figure1.ipynb", as_version=4)
    (picture,) = [
        output for cell in executed.cells for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})
    ]
    assert Page(page).pictures[1]["alt"] == picture.metadata["image/png"]["alt"]
    assert picture.metadata["image/png"]["caption"] in captions[1]
    assert str(Page(page).pictures[1]["src"]).endswith(picture.data["image/png"].replace("\n", ""))


def test_of_several_tables_the_one_with_the_network_is_shown(profile):
    def tables(page: str) -> list[int]:
        """Number of tables of the section outside of its fold and in it."""
        (section,) = re.findall(r'<section aria-labelledby="table1">.*?</section>', page, flags=re.DOTALL)
        open_part, fold = section.split("<details>", 1)
        return [part.count("<table") for part in (open_part, fold)]

    assert tables(build(profile)) == [1, 1], "with intervals in the fold"
    path = profile.results / "notebooks" / "05_table1.ipynb"
    other = Table(data=pd.DataFrame([{"method": "gray"}]), columns=[Column(name="method")], caption="Another.")
    edit_outputs(path, lambda outputs: outputs.__setitem__(slice(0, 0), outputs_of(other)))
    assert tables(build(profile)) == [1, 2]
    assert '<tr role="row" class="ours">' in build(profile)


def provenance(page: str) -> dict[str, list[str]]:
    """The command and the runs of each notebook, as the one place that says them lists them."""
    (table,) = re.findall(
        r'<table class="compact" role="table" aria-labelledby="commands">.*?</table>', page, re.DOTALL
    )
    rows = re.findall(r'<tr role="row"><th.*?href="notebooks/(.*?)\.html">.*?</th>(.*?)</tr>', table, flags=re.DOTALL)
    return {name: [words(cell) for cell in re.findall(r"<td.*?</td>", rest)] for name, rest in rows}


def test_one_place_says_where_the_numbers_come_from(profile):
    page = build(profile)
    listed = provenance(page)
    assert list(listed) == [step.name for step in steps(profile) if not step.optional]
    for name in ("03_figure1", "04_figures2_3", "05_table1"):
        assert listed[name] == [f"colorlib reproduce --profile cpu --only {name}", "seed-0"]
    (section,) = re.findall(r'<section aria-labelledby="provenance">.*?</section>', page, flags=re.DOTALL)
    tree = json.loads((profile.run(0) / "run.json").read_text())["source"][:16]
    for fact in ("Invented", "2 threads", tree, "results/cpu"):
        assert fact in words(section)
    assert page.count(f"<code>{tree}</code>") == 1


def test_runs_that_differ_have_columns_of_their_own(profile):
    first = json.loads((profile.run(0) / "run.json").read_text())
    del first["config"]["schedule"]
    write_json(profile.run(0) / "run.json", first)
    for seed, processor in ((1, "An Invented Processor"), (2, "another")):
        shutil.copytree(profile.run(0), profile.run(seed))
        notebooks = profile.results / "notebooks"
        shutil.copy(notebooks / "02_train_seed-0.ipynb", notebooks / f"02_train_seed-{seed}.ipynb")
        record = json.loads((profile.run(seed) / "run.json").read_text())
        scores = profile.results / "per_image.csv"
        own = [line for line in scores.read_text().splitlines() if line.startswith("0,")]
        with scores.open("a") as file:
            file.writelines(f"{seed}{line[1:]}\n" for line in own)
        record["config"]["seed"] = seed
        record["hardware"]["processor"] = processor
        if seed == 2:
            record["config"]["schedule"] = "cosine"
        write_json(profile.run(seed) / "run.json", record)
    page = build(replace(profile, seeds=(0, 1, 2)))
    (section,) = re.findall(r'<section aria-labelledby="provenance">.*?</section>', page, flags=re.DOTALL)
    tables = re.findall(r'<table class="figures">.*?</table>', section, flags=re.DOTALL)
    (runs,) = [table for table in tables if '<th scope="row">processor</th>' in table]
    heads = re.findall(r'<th scope="col">(.*?)</th>', runs)
    assert [re.findall(r"\d", head) for head in heads] == [[], ["0", "1"], ["2"]]
    assert "processor An Invented Processor another" in words(runs)
    assert "schedule – cosine" in words(runs), "a setting that older runs do not have"
    assert provenance(page)["03_figure1"] == [
        "colorlib reproduce --profile cpu --only 03_figure1 --seeds 0,1,2",
        "seed-0, seed-1, seed-2",
    ]
    assert provenance(page)["04_figures2_3"][1] == "seed-0", "the pictures show one run"
    assert all(fact in words(section) for fact in ("An Invented Processor, 2 threads", "another, 2 threads"))


OUTSIDE = (
    "../../paper/companion.pdf", "../../README.md", "../lightweight/colorize.html", "../paper/report.html",
    "https://doi.org/10.55248/gengpi.6.0425.14158",
)  # fmt: skip
"""Addresses outside of the report's own folder."""


@pytest.mark.parametrize("judgement", ["judged", "not judged"])
def test_headings_links_and_pictures_are_complete(profile, judgement):
    if judgement == "not judged":
        (profile.results / "claims.json").unlink()
    page = Page(build(profile))
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(lower <= upper + 1 for upper, lower in pairwise(levels)), page.headings
    assert len(set(page.ids)) == len(page.ids)
    for link in page.links:
        notebook = re.fullmatch(r"notebooks/(\w+(?:-\d+)?)\.html", link)
        drawing = link == "../../figures/cpu/figure1_loss_curve.svg"
        assert link[1:] in page.ids if link.startswith("#") else notebook or drawing or link in OUTSIDE, link
        assert not drawing or (profile.results / link).is_file()
        assert not notebook or (profile.results / "notebooks" / f"{notebook[1]}.ipynb").is_file(), link
    assert len([link for link in page.links if link.endswith(".svg")]) == 1, "of drawings, not of photographs"
    linked = {link[1:] for link in page.links if link.startswith("#")}
    assert {"verdicts", "figure1", "figures2_3", "table1", "open", "provenance", "notebooks"} <= linked
    for picture in page.pictures:
        assert str(picture["src"]).startswith("data:image/png;base64,")
        assert len(str(picture["alt"])) > 20
    assert not {"iframe", "object", "link"} & set(page.tags)
    assert page.tags["script"] == 1
    for path in OUTSIDE[:3]:
        assert (PROJECT / "results" / "cpu" / path).resolve().is_file(), path


def test_an_optional_notebook_is_shown_where_it_was_executed(profile):
    def of_notebooks(page: str) -> str:
        (section,) = re.findall(r'<section aria-labelledby="notebooks">.*?</section>', page, flags=re.DOTALL)
        return words(section)

    command = "colorlib reproduce --profile cpu --only 06_peers"
    assert command in of_notebooks(build(profile))
    nb = nbformat.read(profile.results / "notebooks" / "05_table1.ipynb", as_version=4)
    nb.cells[0].source = "# Other colorizers\n\n*How far from the best?*"
    nbformat.write(nb, profile.results / "notebooks" / "06_peers.ipynb")
    html = build(profile)
    assert command not in of_notebooks(html)
    assert "06_peers" in of_notebooks(html)
    assert '<a href="#peers">Other colorizers</a>' in html
    assert "How far from the best?" in words(html)
    assert html.count("<figcaption><b>Table I</b> ") == 2
    assert len(re.findall(r'role="region" [^>]*aria-label="[^"]*\bTable I ', html)) == 2
    (profile.results / "notebooks" / "05_table1.ipynb").unlink()
    with pytest.raises(ValueError, match=r"05_table1\.ipynb.*`make reproduce PROFILE=cpu`"):
        build(profile)


def test_deviations_have_a_column_name_in_each_cell(profile, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "SPEED", tmp_path / "nothing was timed")
    page = build(profile)
    tables = re.findall(r'<table class="stacked".*?</table>', page, flags=re.DOTALL)
    source = (PROJECT / "paper" / "deviations.md").read_text()
    for table, part in zip(tables, source.split("\n## "), strict=True):
        head, *rows = [line for line in part.splitlines() if line.startswith("| ")]
        _, *columns = [name.strip() for name in head.strip("|").split("|")]
        assert len(columns) == 4
        assert table.count('<th role="rowheader"') == len(rows)
        for column in columns:
            assert table.count(f'<td role="cell" data-label="{column}">') == len(rows)
    assert re.search(r'<td role="cell" data-label="[^"]+"><code>photos</code></td>', tables[0])


def test_pages_are_the_same_bytes_from_the_same_results(profile):
    results = Results(profile)
    written = report.write_report(results, steps(profile))
    assert written == list(report.page_files(profile, [step for step in steps(profile) if not step.optional]))
    first = [path.read_bytes() for path in written]
    report.write_report(Results(profile), steps(profile))
    assert [path.read_bytes() for path in written] == first
    report.write_report(Results(profile), steps(profile, train=False))
    assert [path.read_bytes() for path in written] == first, "of runs trained elsewhere"
    (profile.results / "claims.json").unlink()
    report.write_report(Results(profile), steps(profile))
    assert written[0].read_bytes() != first[0]


def test_the_inputs_are_notebooks_results_and_templates(profile):
    inputs = {path.name for path in report.page_inputs(profile, steps(profile))}
    executed = {path.name for path in (profile.results / "notebooks").iterdir()}
    assert (
        executed
        | {"run.json", "history.csv", "baselines.json", "claims.json", "table1.csv", "hints.csv", "hints.json"}
        | {"summary.csv", "deviations.md", "report.html.j2", "style.css", "ledger.js"}
        <= inputs
    )


def test_the_readme_is_generated_from_results(tmp_path):
    shutil.copytree(
        PROJECT / "results" / "cpu", tmp_path / "results" / "cpu", ignore=shutil.ignore_patterns("seed-0", "sweeps")
    )
    (tmp_path / "results" / "cpu" / "seed-0").mkdir()
    shutil.copy(PROJECT / "results" / "cpu" / "seed-0" / "metrics.json", tmp_path / "results" / "cpu" / "seed-0")
    text = "<!-- headline of results/cpu -->\nold\n<!-- end -->\nafter\n<!-- summary of results/cpu -->\n<!-- end -->\n"
    filled = report.current(text, tmp_path)
    assert "old" not in filled
    assert report.current(filled, tmp_path) == filled
    table = pd.read_csv(tmp_path / "results" / "cpu" / "table1.csv").set_index("method")
    rows = [line.split(" | ") for line in filled.splitlines() if line.startswith("| ")]
    assert [row[0].removeprefix("| ") for row in rows[1:]] == [
        "paper (its own, unnamed data)",
        "gray",
        "look-up table",
        "network",
    ]
    assert len(rows[0]) == 5
    assert rows[-1][1].startswith(f"{table['MSE']['network']:.4f} ")
    claims = json.loads((PROJECT / "results" / "cpu" / "claims.json").read_text())
    assert all(f"{count} {verdict}" in filled for verdict, count in claims["counts"].items() if count)
    with pytest.raises(ValueError, match="summary"):
        report.current(text.replace("headline", "nonsense"), tmp_path)
