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
from helpers.results import IMAGES, judged, make_results

from colorlib.companion.claims import claims
from colorlib.companion.claims.text import MARKS
from colorlib.companion.report import page as report
from colorlib.companion.results import Results
from colorlib.companion.steps import steps
from colorlib.files import write_json
from colorlib.profiles import PROJECT, Profile


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return make_results(tmp_path)


def build(profile: Profile) -> str:
    """Return the report of a profile."""
    return report.report_page(Results(profile), steps(profile))


def row(page: str, name: str) -> str:
    """The words of one claim in the verdict table."""
    (found,) = re.findall(rf'<tbody role="rowgroup" id="claim-{name}">.*?</tbody>', page, flags=re.DOTALL)
    return words(found)


def cells(page: str, name: str) -> list[str]:
    """The words of each cell of one claim: claim, the paper's number, ours, verdict; and why."""
    (found,) = re.findall(rf'<tbody role="rowgroup" id="claim-{name}">.*?</tbody>', page, flags=re.DOTALL)
    return [words(cell) for cell in re.findall(r"<t[hd]\b.*?</t[hd]>", found, flags=re.DOTALL)]


def test_each_claim_has_its_numbers_its_verdict_and_the_reason(profile):
    page = build(profile)
    claims = {entry["id"]: entry for entry in judged("cpu")["claims"]}
    psnr = claims["psnr"]
    says, paper, measured, verdict, why = cells(page, "psnr")
    assert says == f"{psnr['says']} {psnr['section']}"
    assert paper == "23.56 dB"
    assert measured.startswith(f"23.10 dB {psnr['interval_text']}")
    assert "3 seeds" in measured
    assert "±" not in measured
    assert verdict == "≈ within tolerance"
    assert why.startswith(psnr["why"])
    for fact in (psnr["quantity"], psnr["photographs"], "10,000", "48", psnr["tolerance_text"], psnr["command"]):
        assert fact in why.removeprefix(psnr["why"])
    faces, gan = claims["faces"], claims["gan"]
    assert cells(page, "faces")[0] == f"{faces['says']} {faces['section']}"
    assert cells(page, "gan")[:4] == [f"{gan['says']} {gan['section']}", gan["value_text"], "–", "– not measured"]
    order = re.findall(r'id="claim-([a-z-]+)"', page)
    assert order == list(claims)
    assert [text for level, text in Page(page).headings if level == 3][:4] == [
        "Method",
        "Results",
        "Quality",
        "Outlook",
    ]


def test_verdicts_have_words_and_signs(profile):
    page = build(profile)
    for mark in MARKS:
        assert words(page).count(f"{mark.sign} {mark.verdict}") == 2, "in the counts and in the table"
    assert len({mark.sign for mark in MARKS}) == len(MARKS)
    assert [mark.verdict for mark in MARKS] == [str(verdict) for verdict in claims.Verdict]


def counted(page: str) -> dict[str, int]:
    """How often each verdict was given, as the page lists it."""
    (listed,) = re.findall(r'<dl class="counts">.*?</dl>', page, flags=re.DOTALL)
    terms = [words(term) for term in re.findall(r"<dt>.*?</dt>", listed, flags=re.DOTALL)]
    found = [re.fullmatch(rf"\S ({'|'.join(map(re.escape, claims.Verdict))}) (\d+)\b.*", term) for term in terms]
    return {match[1]: int(match[2]) for match in found if match}


def test_a_changed_verdict_changes_the_page(profile):
    path = profile.results / "claims.json"
    before = build(profile)
    content = json.loads(path.read_text())
    content["claims"][2]["verdict"] = "reproduced"
    content["counts"] |= {"reproduced": 2, "differs (on our data)": 0}
    write_json(path, content)
    after = build(profile)
    assert "≠ differs (on our data)" in row(before, "test-mse")
    assert "= reproduced" in row(after, "test-mse")
    assert row(after, "psnr") == row(before, "psnr")
    others = {"within tolerance": 1, "undecided": 1, "contradicted": 1, "not testable": 1, "not measured": 1}
    assert counted(before) == {"reproduced": 1, "differs (on our data)": 1} | others
    assert counted(after) == {"reproduced": 2, "differs (on our data)": 0} | others
    first, second = (words(re.findall(r'<div class="answer">\s*<p>(.*?)</p>', page)[0]) for page in (before, after))
    assert "differs (on our data)" in first
    assert "differs (on our data)" not in second
    assert sorted(re.findall(r"\d+", first)) == ["1"] * 7 + ["5", "7"]
    assert sorted(re.findall(r"\d+", second)) == ["1"] * 5 + ["2", "5", "7"]


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
    assert page.count('<h2 id="speed">') == 1
    assert '<td role="cell" data-label="seconds">0.83</td>' in page
    assert "Of 3 rounds." in page


def test_claims_that_were_not_judged_are_not_shown(profile):
    (profile.results / "claims.json").unlink()
    page = build(profile)
    assert "colorlib claims --profile cpu" in words(page)
    assert "results/cpu/claims.json" in words(page)
    assert "claim-" not in page.partition("</style>")[2]
    assert '<dl class="counts">' not in page
    assert not any(f"{mark.sign} {mark.verdict}" in words(page) for mark in MARKS)


def test_the_summary_is_read_from_table_1(profile):
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
    summary = words(re.findall(r'<div class="answer">.*?</div>', build(profile), flags=re.DOTALL)[0])
    numbers = ("0.0123", "19.10 dB", "0.0101", "0.0145", "gray", "0.0001", "0.0044", "23.56 dB")
    assert re.search(r"\b.*\b".join(map(re.escape, numbers)), summary), "the network, the best baseline, the paper"
    path.unlink()
    with pytest.raises(ValueError, match="make table1 PROFILE=cpu"):
        build(profile)


def provenance(html: str, step: str) -> list[list[str]]:
    """The parts of each line that says where a figure or table of one step comes from."""
    lines = re.findall(r'<small class="provenance">(.*?)</small>', html, flags=re.DOTALL)
    return [parts for parts in (words(line).split(" · ") for line in lines) if f" --only {step}" in parts[0]]


def test_every_figure_and_table_has_its_caption_and_provenance(profile):
    page = build(profile)
    figures = re.findall(r"<figure>(.*?)<figcaption>(.*?)</figcaption></figure>", page, flags=re.DOTALL)
    captions = [words(caption) for _, caption in figures]
    starts = ["Figure 1.", "Figure 2.", "Figure 3a.", "Figure 3b.", "Table I "]
    assert all(caption.startswith(start) for caption, start in zip(captions, starts, strict=False))
    assert f"{IMAGES} test" in captions[4]
    assert "bsds500" in captions[4]
    notebooks = ["03_figure1", *["04_figures2_3"] * 3, "05_table1"]
    tree = json.loads((profile.run(0) / "run.json").read_text())["source"][:16]
    for (_, caption), step in zip(figures, notebooks, strict=False):
        (below,) = provenance(caption, step)
        assert below[0] == f"colorlib reproduce --profile cpu --only {step}"
        for part, facts in zip(
            below[1:], (("seed-0", "results/cpu"), ("Invented", "2 threads"), (tree,), (step,)), strict=True
        ):
            assert all(fact in part for fact in facts)
        assert f'<a href="notebooks/{step}.html">' in caption
    assert sum("<img" in body for body, _ in figures) == 4 + 2 + 1, "paper, exploration, data"
    assert sum("<table" in body for body, _ in figures) == 4, "Table I, thirds, splits, runs"
    executed = nbformat.read(profile.results / "notebooks" / "03_figure1.ipynb", as_version=4)
    (picture,) = [
        output for cell in executed.cells for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})
    ]
    assert Page(page).pictures[0]["alt"] == picture.metadata["image/png"]["alt"]
    assert picture.metadata["image/png"]["caption"] in captions[0]
    assert str(Page(page).pictures[0]["src"]).endswith(picture.data["image/png"].replace("\n", ""))


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
    tables = re.findall(r'<table class="figures">.*?</table>', page, flags=re.DOTALL)
    (runs,) = [table for table in tables if '<th scope="row">processor</th>' in table]
    heads = re.findall(r'<th scope="col">(.*?)</th>', runs)
    assert [re.findall(r"\d", head) for head in heads] == [[], ["0", "1"], ["2"]]
    assert "processor An Invented Processor another" in words(runs)
    assert "schedule – cosine" in words(runs), "a setting that older runs do not have"
    (below,) = provenance(page, "03_figure1")
    assert below[0] == "colorlib reproduce --profile cpu --only 03_figure1 --seeds 0,1,2"
    assert re.findall(r"seed-\d", below[1]) == ["seed-0", "seed-1", "seed-2"]
    assert all(fact in below[2] for fact in ("An Invented Processor, 2 threads", "another, 2 threads"))
    below = provenance(page, "04_figures2_3")[0]
    assert below[0].endswith(" --seeds 0,1,2")
    assert re.findall(r"seed-\d", below[1]) == ["seed-0"], "the pictures show one run"


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
        assert link[1:] in page.ids if link.startswith("#") else notebook, link
        assert not notebook or (profile.results / "notebooks" / f"{notebook[1]}.ipynb").is_file(), link
    linked = {link[1:] for link in page.links if link.startswith("#")}
    assert {"verdicts", "figure1", "figures2_3", "table1", "open", "provenance", "notebooks"} <= linked
    for picture in page.pictures:
        assert str(picture["src"]).startswith("data:image/png;base64,")
        assert len(str(picture["alt"])) > 20
    assert not {"script", "iframe", "object", "link"} & set(page.tags)


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
    (profile.results / "claims.json").unlink()
    report.write_report(Results(profile), steps(profile))
    assert written[0].read_bytes() != first[0]


def test_the_inputs_are_notebooks_results_and_templates(profile):
    inputs = {path.name for path in report.page_inputs(profile, steps(profile))}
    executed = {path.name for path in (profile.results / "notebooks").iterdir()}
    assert (
        executed | {"run.json", "claims.json", "table1.csv", "deviations.md", "report.html.j2", "style.css"} <= inputs
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
        "mean chroma",
        "look-up table",
        "network",
    ]
    assert len(rows[0]) == 5
    assert rows[-1][1].startswith(f"{table['MSE']['network']:.4f} ")
    claims = json.loads((PROJECT / "results" / "cpu" / "claims.json").read_text())
    assert all(f"{count} {verdict}" in filled for verdict, count in claims["counts"].items() if count)
    with pytest.raises(ValueError, match="summary"):
        report.current(text.replace("headline", "nonsense"), tmp_path)
