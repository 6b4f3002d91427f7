"""The article: every number from results/, the same bytes each time, an accessible PDF."""

import csv
import functools
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.results import NO_NUMBERS, claim, edit_outputs, judged, make_results
from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject

from colorlib.companion import article
from colorlib.companion.article import PICTURES, compile_article, gather, write_article
from colorlib.companion.claims.measurement import Effect
from colorlib.companion.claims.text import MARKS
from colorlib.companion.results import Results
from colorlib.evaluate import NETWORK
from colorlib.files import write_bytes, write_json
from colorlib.profiles import PROJECT, Profile, load_profile
from colorlib.runs import Run, csv_text

CLAIMS = 30


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """Invented results of two seeds, with as many claims as the paper has; read only."""
    profile = make_results(tmp_path_factory.mktemp("checkout"), seeds=(0, 1))
    write_json(profile.results / "claims.json", claims(profile))
    return profile


@pytest.fixture
def profile(original: Profile, tmp_path: Path) -> Profile:
    """A copy of it, to change."""
    shutil.copytree(original.results.parents[1], tmp_path / "copy")
    return replace(original, root=tmp_path / "copy")


def gathered(profile: Profile) -> dict[str, Any]:
    return gather(Results(profile))


@pytest.fixture(scope="module")
def pdf(original: Profile) -> bytes:
    return compile_article(gathered(original), original)


def claims(profile: Profile) -> dict[str, Any]:
    """Return a claims.json of `CLAIMS` claims, each verdict in turn."""
    entries = []
    for number in range(CLAIMS):
        mark = MARKS[number % len(MARKS)]
        measured = mark.verdict not in ("not testable", "not measured")
        numbers = {"measured_text": f"0.{7000 + number}", "seeds": 2, "updates": 1000} if measured else NO_NUMBERS
        entries.append(
            claim(
                mark.verdict,
                id=f"claim-number-{number}",
                group=f"Group {number // 8}",
                says=f"The mean squared error on a test set of kind {number} is 0.0044, where L's range is [0, 1].",
                why=f"On these photographs gray alone gets 0.0098 and the network {number}; the paper's are not named.",
                **{"interval_text": "-0.0069 to 0.0090 (95 % over photographs)", "command": "make table1"} | numbers,
            )
        )
    counts = {mark.verdict: sum(entry["verdict"] == mark.verdict for entry in entries) for mark in MARKS}
    return judged("cpu") | {"seeds": list(profile.seeds), "counts": counts, "claims": entries}


@functools.cache
def text_of(pdf: bytes) -> str:
    """Return the text of all pages without spaces, because line breaks do not matter; a hyphen at one is a soft one."""
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    return "".join(text.split()).replace("\xad", "-")


def typeset(text: str) -> str:
    """Return a text of our files as `text_of` gives it."""
    return "".join(text.replace("'", "’").replace("`", "").split())


def change_cells(path: Path, change: dict[tuple[str, str], object]) -> None:
    """Change cells of a table: (method, column) -> value."""
    table = pd.read_csv(path)
    for (method, column), value in change.items():
        assert (table["method"] == method).any()
        table.loc[table["method"] == method, column] = value
    table.to_csv(path, index=False)


def test_the_same_bytes_again_and_elsewhere(pdf, original, profile, monkeypatch):
    monkeypatch.chdir(profile.results)
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert compile_article(gathered(original), original) == pdf
    assert compile_article(gathered(profile), profile) == pdf
    assert str(original.root).encode() not in pdf


def test_every_claim_has_its_verdict_and_its_numbers(pdf, original):
    text = text_of(pdf)
    for entry in claims(original)["claims"]:
        assert re.search(rf"{entry['id']}.{{,120}}{re.escape(typeset(entry['verdict']))}", text), entry["id"]
        assert typeset(entry["says"]) in text
        if entry["measured"] is not None:
            assert entry["measured_text"] in text
    assert "−0.0069to0.0090(95%overphotographs)" in text


def test_a_realistic_claims_table_makes_four_to_six_pages(pdf):
    assert 4 <= len(PdfReader(io.BytesIO(pdf)).pages) <= 6


def test_it_is_tagged_with_title_date_and_alternative_texts(pdf, original):
    reader = PdfReader(io.BytesIO(pdf))
    root = reader.root_object
    assert root["/MarkInfo"]["/Marked"]
    assert str(root["/Lang"]).startswith("en")
    assert b"pdfuaid:part" in root["/Metadata"].get_data()
    assert reader.metadata is not None
    assert f'  title: "{reader.metadata.title}",\n' in (PROJECT / "paper" / "companion.typ").read_text(encoding="utf-8")
    assert reader.metadata.creation_date is not None
    assert reader.metadata.creation_date.date().isoformat() == "2026-01-02"
    tags, alts = set(), []
    waiting = [root["/StructTreeRoot"]]
    while waiting:
        node = waiting.pop().get_object()
        if isinstance(node, ArrayObject):
            waiting += list(node)
        elif isinstance(node, DictionaryObject):
            tags.add(node.get("/S"))
            alts += [str(node["/Alt"])] if "/Alt" in node else []
            waiting += [node["/K"]] if "/K" in node else []
    assert {"/Title", "/H1", "/H2", "/P", "/Table", "/TH", "/TD", "/Figure", "/Caption"} <= tags
    assert sorted(alts) == sorted(f"The contents & the numbers of {name}." for name in PICTURES)


def test_only_fonts_of_typst_are_embedded(pdf):
    fonts = {
        str(font.get_object()["/BaseFont"]).partition("+")[2]
        for page in PdfReader(io.BytesIO(pdf)).pages
        for font in page["/Resources"].get("/Font", {}).values()
    }
    assert fonts
    assert {re.split("[-0-9]", font)[0] for font in fonts} <= {"LibertinusSerif", "DejaVuSansMono"}


def test_captions_are_the_notebooks_own(pdf):
    text = text_of(pdf)
    for name in PICTURES:
        assert f"The<caption>of{name}." in text
    assert "Figure3a" not in text, "figures are numbered by the article"


def test_the_deviations_are_listed(pdf):
    text = text_of(pdf)
    open_choices = (PROJECT / "paper" / "deviations.md").read_text().partition("\n## ")[0]
    rows = [row.split("|")[1:4] for row in open_choices.splitlines() if "|" in row]
    assert len(rows) > 10
    for row in rows[2:]:
        assert typeset("".join(row)) in text


@pytest.mark.parametrize(
    ("file", "old", "new", "shown"),
    [
        ("seed-0/history.csv", "40,1000,0.00875", "40,1000,0.10875", "0.0588"),  # the mean of two seeds
        ("data.json", '"photographs": 12', '"photographs": 4321', "4321"),
        ("claims.json", "0.7000", "0.7777", "0.7777"),
        ("claims.json", "kind 3 is", "kind three is", "kindthreeis"),
        ("baselines.json", "0.0054", "0.0051", "0.0051"),
        ("seed-0/run.json", "An Invented Processor", "Another Processor", "AnotherProcessor"),
    ],
)
def test_a_changed_result_changes_the_text(pdf, profile, file, old, new, shown):
    path = profile.results / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    write_bytes(path, text.replace(old, new).encode())
    assert shown not in text_of(pdf)
    assert shown in text_of(compile_article(gathered(profile), profile))


def test_a_changed_table_changes_the_text(pdf, profile):
    change_cells(profile.results / "table1.csv", {(NETWORK, "MSE"): 0.0321, ("gray", "ΔE00"): 77.77})
    text = text_of(compile_article(gathered(profile), profile))
    for shown in ("0.0321", "7.30", "77.77"):
        assert shown in text
        assert shown not in text_of(pdf)


def judgement(words: str) -> list[str]:
    return [word for word in ("better", "worse", "distinguishable") if word in words]


@pytest.mark.parametrize(
    ("low", "high", "word"), [(0.1, 0.3, "better"), (-0.3, -0.1, "worse"), (-0.1, 0.3, "distinguishable")]
)
def test_words_follow_the_interval(profile, low, high, word):
    path = profile.results / "table1.csv"
    change_cells(path, {(NETWORK, "gain over gray low"): low, (NETWORK, "gain over gray high"): high})
    assert judgement(gathered(profile)["table"]["gray"]["words"]) == [word]


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.005, 0.006, "below"), (0.004, 0.005, "within"), (0.001, 0.002, "above")]
)
def test_the_position_of_the_papers_error_follows_the_interval(profile, low, high, words):
    change_cells(profile.results / "table1.csv", {(NETWORK, "MSE low"): low, (NETWORK, "MSE high"): high})
    assert gathered(profile)["table"]["paper_position"] == words


@pytest.mark.parametrize(("factor", "word"), [(0.5, "better"), (2.0, "worse")])
def test_the_best_baseline_is_compared_image_by_image(profile, factor, word):
    path = profile.results / "per_image.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["mse"] = str(float(row["mse"]) * (factor if row["method"] == NETWORK else 1.0))
    write_bytes(path, csv_text(rows).encode())
    found = gathered(profile)["table"]
    assert found["best"] == "look-up table"
    assert judgement(found["baseline"]["words"]) == [word]


@pytest.mark.parametrize(("final", "words"), [(0.001, "lower"), (0.1, "not lower")])
def test_the_last_validation_loss_is_compared_with_the_best_baseline(profile, final, words):
    for seed in profile.seeds:
        run = Run(profile.run(seed))
        history = run.path / "history.csv"
        start, _, _ = history.read_text().rpartition(",")
        history.write_text(f"{start},{final}\n")
    assert gathered(profile)["training"]["against"] == words


@pytest.mark.parametrize(
    "missing",
    [
        "figures/cpu/figure2_portrait.png",
        "results/cpu/table1.csv",
        "results/cpu/per_image.csv",
        "results/cpu/data.json",
        "results/cpu/baselines.json",
        "results/cpu/claims.json",
        "results/cpu/seed-1/history.csv",
        "results/cpu/seed-1/run.json",
        "results/cpu/seed-0/metrics.json",
        "results/cpu/notebooks/03_figure1.ipynb",
    ],
)
def test_missing_results_are_named_and_nothing_is_written(profile, missing):
    (profile.results.parents[1] / missing).unlink()
    with pytest.raises(ValueError, match=f"{re.escape(missing)}.*`make reproduce PROFILE=cpu`"):
        write_article(Results(profile))
    assert not list(profile.results.rglob("*companion.pdf*"))


def test_a_figure_that_differs_from_its_notebook_is_refused(profile):
    shutil.copy(profile.figures / "figure3_coffee.png", profile.figures / "figure1_loss_curve.png")
    with pytest.raises(ValueError, match=r"figure1_loss_curve\.png.*03_figure1\.ipynb.*`make reproduce PROFILE=cpu`"):
        gathered(profile)


def test_a_figure_that_is_not_in_its_notebook_is_refused(profile):
    path = profile.results / "notebooks" / "04_figures2_3.ipynb"
    edit_outputs(path, lambda outputs: outputs.pop(0))
    with pytest.raises(ValueError, match=r"figure2_portrait\.png.*04_figures2_3\.ipynb.*`make reproduce PROFILE=cpu`"):
        gathered(profile)


@pytest.mark.parametrize(("key", "fact"), [("alt", "alternative"), ("caption", "caption")])
def test_a_figure_without_words_is_refused(profile, key, fact):
    path = profile.results / "notebooks" / "03_figure1.ipynb"
    edit_outputs(path, lambda outputs: outputs[0].metadata["image/png"].pop(key))
    with pytest.raises(ValueError, match=rf"03_figure1\.ipynb.*Figure 1\b.* {fact}\b"):
        gathered(profile)


@pytest.mark.parametrize(("field", "value"), [("profile", "paper"), ("seeds", [0])])
def test_claims_of_other_runs_are_refused(profile, field, value):
    write_json(profile.results / "claims.json", claims(profile) | {field: value})
    with pytest.raises(ValueError, match=r"claims\.json.*colorlib claims --profile cpu"):
        gathered(profile)


@pytest.fixture
def primary(tmp_path: Path) -> Results:
    """The committed results that sections on other networks read, to change."""
    records = [f"paper/seed-{seed}/{name}" for seed in (0, 1, 2) for name in ("run.json", "history.csv")]
    for name in ("paper/peers.csv", "lightweight/hints.csv", "lightweight/hints.json", "cpu/outlook.csv", *records):
        (tmp_path / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / "results" / name, tmp_path / "results" / name)
    return Results(load_profile(article.PRIMARY, root=tmp_path))


def changed(path: Path, rows: Callable[[pd.DataFrame], "pd.Series[bool]"], values: dict[str, float]) -> None:
    data = pd.read_csv(path)
    assert rows(data).any()
    data.loc[rows(data), list(values)] = list(values.values())
    data.to_csv(path, index=False)


def test_sections_are_the_reports_findings_with_a_table(primary: Results):
    """Their headings turn with the results: test_findings.py."""
    better = {"change in PSNR of MSE low": 0.1, "change in PSNR of MSE high": 0.3}
    path = primary.profile.results.parent / "cpu" / "outlook.csv"
    changed(path, lambda data: data["point"].isin(["skip", "l1"]) & (data["method"] == NETWORK), better)
    found = article.outlook_section(primary)
    assert re.search(r"\bskip\b.*\bl1\b", found["heading"])
    assert len(found["table"]["rows"]) == 7
    gain = {f"gain over gray{bound}": value for bound, value in (("", 3.21), (" low", 2.0), (" high", 4.0))}
    changed(primary.profile.results / "peers.csv", lambda data: data["method"] == NETWORK, gain)
    found = article.peers_section(primary)
    assert re.search(r"gains 3\.2\WdB over gray$", found["heading"])
    assert [row[0] for row in found["table"]["rows"]][-1] == NETWORK
    assert len(article.hints_section(primary)["table"]["rows"]) == 6


@pytest.mark.parametrize(
    ("verdict", "word"), [(Effect.BETTER, "worse"), (Effect.WORSE, "better"), (Effect.OPEN, "undecided")]
)
def test_the_smaller_network_is_judged_from_its_own_side(monkeypatch: pytest.MonkeyPatch, verdict: Effect, word: str):
    results = Results(load_profile(article.PRIMARY))
    measured = article.gain_over_lightweight(results)
    bounds = {Effect.BETTER: (0.1, 0.3), Effect.WORSE: (-0.3, -0.1), Effect.OPEN: (-0.1, 0.1)}[verdict]
    gains = tuple(replace(gain, low=bounds[0], high=bounds[1]) for gain in measured.gains)
    monkeypatch.setattr(article, "gain_over_lightweight", lambda results: replace(measured, gains=gains))
    found = article.lightweight_section(results)
    assert re.search(rf"multiply-adds is {word} in PSNR, mean PSNR, SSIM and ΔE00$", found["heading"])


def test_a_missing_result_of_another_network_is_named(primary: Results):
    with pytest.raises(ValueError, match=r"lightweight.table1\.csv"):
        article.sections(primary)
    assert article.sections(Results(replace(primary.profile, name="cpu"))) == []


@pytest.mark.parametrize("column", ["seeds", "updates"])
def test_a_table_of_other_runs_is_refused(profile, column):
    change_cells(profile.results / "table1.csv", {(NETWORK, column): 7})
    with pytest.raises(ValueError, match=r"table1\.csv.*`make reproduce PROFILE=cpu`"):
        gathered(profile)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Libertinus Serif", "No Such Font", "unknown font family"),
        (r"(?m)^= .+$", "= #nothing", "unknown variable"),
    ],
)
def test_errors_and_warnings_of_typst_are_raised(profile, old, new, message):
    source = profile.results.parents[1] / "paper" / "companion.typ"
    text = source.read_text(encoding="utf-8")
    assert re.search(old, text)
    write_bytes(source, re.sub(old, new, text).encode())
    with pytest.raises(ValueError, match=rf"companion\.typ.*{message}"):
        compile_article(gathered(profile), profile)


def test_a_missing_date_is_named(profile):
    path = profile.results.parents[1] / "CITATION.cff"
    write_bytes(path, path.read_bytes().replace(b"date-released", b"date"))
    with pytest.raises(ValueError, match=r"CITATION\.cff.*`date-released: YYYY-MM-DD`"):
        gathered(profile)


def test_the_citation_has_a_date():
    assert re.search(r"(?m)^date-released: \d{4}-\d\d-\d\d$", (PROJECT / "CITATION.cff").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "place"), [("paper", "paper/companion.pdf"), ("cpu", "results/cpu/companion.pdf")])
def test_only_the_primary_profile_goes_to_the_committed_file(profile, monkeypatch, name, place):
    monkeypatch.setattr(article, "gather", lambda results: {})
    monkeypatch.setattr(article, "compile_article", lambda data, profile: b"%PDF")
    written = write_article(Results(replace(profile, name=name)))
    assert written == profile.results.parents[1] / place
    assert written.read_bytes() == b"%PDF"


def test_another_profile_is_called_a_preview(pdf, original):
    assert re.search(r"preview\W*profile\W*cpu", text_of(pdf))
    primary = compile_article(gathered(original) | {"primary": True}, original)
    assert "preview" not in text_of(primary)


@pytest.mark.slow
@pytest.mark.skipif(
    not (PROJECT / "results" / article.PRIMARY / "claims.json").is_file(),
    reason="results/paper holds no verdicts yet: make claims",
)
def test_the_committed_article_is_up_to_date():
    primary = load_profile(article.PRIMARY)
    committed = PROJECT / "paper" / "companion.pdf"
    assert committed.read_bytes() == compile_article(gathered(primary), primary), "make paper"
    assert 4 <= len(PdfReader(committed).pages) <= 6


def test_the_table_of_data_sets_is_included_if_there_is_one(profile, pdf):
    records = [
        {
            "source": source, "photographs": f"the 12 test photographs of {source}", "truth_colorfulness": 39.0,
            "method": method, "trained on": "", "MSE": error, "MSE low": error - 0.001, "MSE high": error + 0.001,
        }
        for source, level in (("bsds500, 10 updates", 0.0061), ("cifar10, 10 updates", 0.0049))
        for method, error in (("gray", level + 0.002), ("network", level))
    ]  # fmt: skip
    pd.DataFrame(records).to_csv(profile.results / "sources.csv", index=False)
    text = text_of(compile_article(gathered(profile), profile))
    for shown in ("bsds500,10updates", "cifar10,10updates", "0.0061", "1.11timesthepaper", "1of2rows"):
        assert shown not in text_of(pdf)
        assert shown in text
    assert "1.39timesitonbsds500" in text


def test_the_numbers_of_claims_are_those_of_the_ledger():
    profile = load_profile("paper")
    found = article.claims_table(profile)
    ledger = json.loads((profile.results / "claims.json").read_text(encoding="utf-8"))
    counts = {entry["name"]: entry["count"] for entry in found["verdicts"]}
    assert counts == ledger["counts"]
    assert found["total"] == sum(counts.values()) == len(ledger["claims"])
    assert found["decided"] == found["total"] - counts["not testable"] - counts["not measured"]
    measured = {claim["id"]: claim["measured_text"] for claim in ledger["claims"]}
    assert [entry["measured"] for entry in found["quality"]] == [measured[name] for name in article.OVER_BASELINES]
    source = (PROJECT / "paper" / "companion.typ").read_text(encoding="utf-8")
    conclusion = source.partition("= What we conclude")[2].partition("= Code and data")[0]
    assert set(re.findall(r'number\("(.*?)"\)', conclusion)) == counts.keys(), "every verdict is counted on its own"
    assert not re.search(r"(?<![#\w.])\d", conclusion), "no number is typed"


def test_the_readme_counts_as_the_ledger_does():
    ledger = json.loads((load_profile("paper").results / "claims.json").read_text(encoding="utf-8"))
    summary = (PROJECT / "README.md").read_text(encoding="utf-8").partition("<!-- summary of results/paper -->")[2]
    summary = summary.partition("<!-- end -->")[0]
    assert all(f"{count} {verdict}" in summary for verdict, count in ledger["counts"].items() if count)
    assert f"{len(ledger['claims'])} claims" in summary
    assert f"{ledger['measurements']} independent" in summary
