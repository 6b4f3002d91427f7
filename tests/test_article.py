"""The article: every number of it from results/, the same bytes each time, readable by machine and by ear."""

import base64
import csv
import functools
import io
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject

from colorlib.baselines import BASELINES
from colorlib.companion import article
from colorlib.companion.article import PICTURES, compile_article, gather, write_article
from colorlib.companion.tables import table1
from colorlib.companion.verdicts import MARKS
from colorlib.evaluate import Score
from colorlib.files import write_bytes, write_json
from colorlib.profiles import PROJECT, Profile, load_profile
from colorlib.runs import Run, csv_text
from colorlib.scoring import NETWORK, NETWORK_TRUE_L

SIZES = {"figure1_loss_curve": (1318, 701), "figure2_portrait": (1005, 443)}
"""Of the figures, in pixels; the others are as wide as the portrait and lower."""
ERRORS = {"gray": 0.0098, "mean chroma": 0.0080, "look-up table": 0.0079, NETWORK: 0.0083, NETWORK_TRUE_L: 0.0077}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """A checkout with invented results of the profile `cpu`, two seeds; read only."""
    root = tmp_path_factory.mktemp("checkout")
    profile = replace(load_profile("cpu"), root=root, seeds=(0, 1))
    for name in ("companion.typ", "references.bib", "deviations.md"):
        write_bytes(root / "paper" / name, (PROJECT / "paper" / name).read_bytes())
    citation = re.sub(r"(?m)^date-released:.*\n", "", (PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    write_bytes(root / "CITATION.cff", f"{citation}date-released: 2026-01-02\n".encode())
    _invent_runs(profile)
    for number, name in enumerate(PICTURES):
        picture = io.BytesIO()
        Image.new("RGB", SIZES.get(name, (1005, 280)), (60 * number, 90, 120)).save(picture, "png")
        write_bytes(profile.figures / f"{name}.png", picture.getvalue())
    _invent_notebooks(profile)
    write_json(profile.results / "claims.json", claims(profile))
    return profile


@pytest.fixture
def profile(made: Profile, tmp_path: Path) -> Profile:
    """A copy of it, to change."""
    shutil.copytree(made.results.parents[1], tmp_path / "copy")
    return replace(made, root=tmp_path / "copy")


@pytest.fixture(scope="module")
def pdf(made: Profile) -> bytes:
    return compile_article(gather(made), made)


def _invent_runs(profile: Profile) -> None:
    random, images = np.random.default_rng(0), 12
    spread = random.lognormal(sigma=0.3, size=images)

    def scores(method: str, shift: float = 0.0) -> list[Score]:
        errors = (ERRORS[method] + shift) * spread / spread.mean()
        return [
            Score(
                **{name: 0.9 for name in Score.__dataclass_fields__}
                | {"image": f"{i}.jpg", "method": method, "pixels": 100, "truth_chroma": 20.0, "mse": error}
                | {"psnr": -10 * np.log10(error), "colorfulness": 18.0, "truth_colorfulness": 41.0}
            )
            for i, error in enumerate(errors)
        ]

    rows = [{"seed": "", **asdict(row)} for method in BASELINES for row in scores(method)]
    for seed in profile.seeds:
        own = [asdict(row) for method in (NETWORK, NETWORK_TRUE_L) for row in scores(method, shift=seed * 1e-4)]
        rows += [{"seed": seed, **row} for row in own]
        run = Run(profile.run(seed))
        run.write_record({
            "config": asdict(profile.config(seed)), "source": f"{seed}" * 64, "versions": {"python": "3.11.7"},
            "hardware": {"processor": "An Invented Processor", "threads": 2},
        })  # fmt: skip
        run.write_history(
            [
                {"epoch": epoch, "updates": 25 * epoch, "training_loss": 0.008 + 0.03 / epoch + 0.0001 * seed}
                | {"validation_loss": 0.006 + 0.01 / epoch}
                for epoch in range(1, 41)
            ],
            [],
        )
        write_bytes(run.path / "per_image.csv", csv_text(own).encode())
        write_json(run.path / "metrics.json", {"photos": {"source": "bsds500", "split": "test", "count": 12}})
    write_bytes(profile.results / "per_image.csv", csv_text(rows).encode())
    table1(profile)
    splits = [{"split": name, "photographs": 12, "sha256": f"{name:f<16}"} for name in ("train", "val", "test")]
    write_json(profile.results / "data.json", {"photos": "bsds500", "terms": "free; cite them", "splits": splits})
    losses = {"gray": 0.0074, "mean chroma": 0.0055, "look-up table": 0.0054}
    write_json(profile.results / "baselines.json", {"validation_mse": losses})


def _invent_notebooks(profile: Profile) -> None:
    for notebook in sorted(set(PICTURES.values())):
        cells = []
        for name in (name for name, shown_in in PICTURES.items() if shown_in == notebook):
            shown = nbformat.v4.new_output(
                "display_data", {"image/png": _base64(profile.figures / f"{name}.png")},
                metadata={"image/png": {"alt": f"What {name} shows & tells."}},
            )  # fmt: skip
            caption = {"text/html": f"<p class='caption'><b>Figure 7.</b> The &lt;caption&gt; of {name}.</p>"}
            cells.append(
                nbformat.v4.new_code_cell(
                    id=name.replace("_", "-"), outputs=[shown, nbformat.v4.new_output("display_data", caption)]
                )
            )
        path = profile.results / "notebooks" / f"{notebook}.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def claims(profile: Profile, count: int = 30) -> dict[str, Any]:
    """A claims.json of `count` claims, each verdict in turn."""
    listed = []
    for number in range(count):
        mark = MARKS[number % len(MARKS)]
        measured = mark.verdict not in ("not testable", "not measured")
        listed.append({
            "id": f"claim-number-{number}",
            "section": "IV.C, Table I",
            "group": f"Group {number // 8}",
            "says": f"The mean squared error on a test set of kind {number} is 0.0044, where L's range is [0, 1].",
            "quantity": "mean over the test photographs of the MSE of the network's RGB",
            "relation": "equals" if measured else "qualitative",
            "value": 0.0044 if measured else None,
            "value_text": "0.0044" if measured else "",
            "tolerance_text": "± 0.0005: about as far as another draw of 200 photographs moves it" if measured else "",
            "verdict": mark.verdict,
            "measured": 0.0079 if measured else None,
            "measured_text": f"0.{7000 + number}" if measured else "–",
            "low": 0.0069 if measured else None,
            "high": 0.0090 if measured else None,
            "interval_text": "-0.0069 to 0.0090 (95 % over photographs)" if measured else "",
            "sd": None,
            "seeds": 2 if measured else None,
            "photographs": "200 test photographs of bsds500" if measured else "",
            "updates": 1000 if measured else None,
            "crop_size": 48 if measured else None,
            "command": "make table1 PROFILE=cpu" if measured else "",
            "why": f"On these photographs gray alone gets 0.0098 and the network {number}; the paper's are not named.",
        })  # fmt: skip
    return {
        "profile": profile.name, "photographs": "bsds500", "seeds": list(profile.seeds), "updates": 1000,
        "crop_size": 48, "epochs": 40, "hardware": "An Invented Processor, 2 threads", "source": "0" * 16,
        "command": f"colorlib claims --profile {profile.name}",
        "counts": {mark.verdict: sum(entry["verdict"] == mark.verdict for entry in listed) for mark in MARKS},
        "claims": listed,
    }  # fmt: skip


@functools.cache
def text_of(pdf: bytes) -> str:
    """The text of all pages without any space: where lines break says nothing."""
    return "".join("".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())


def typeset(text: str) -> str:
    """A text of our files as `text_of` gives it."""
    return "".join(text.replace("'", "’").replace("`", "").split())


def rewritten(path: Path, change: dict[tuple[str, str], object]) -> None:
    """Change cells of a table: (method, column) -> value."""
    table = pd.read_csv(path)
    for (method, column), value in change.items():
        assert (table["method"] == method).any()
        table.loc[table["method"] == method, column] = value
    table.to_csv(path, index=False)


def test_the_same_bytes_again_and_elsewhere(pdf, made, profile, monkeypatch):
    monkeypatch.chdir(profile.results)
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert compile_article(gather(made), made) == pdf
    assert compile_article(gather(profile), profile) == pdf
    assert str(made.root).encode() not in pdf


def test_every_claim_stands_in_it_with_its_verdict_and_its_numbers(pdf, made):
    text = text_of(pdf)
    for claim in claims(made)["claims"]:
        assert re.search(rf"{claim['id']}.?{re.escape(typeset(claim['verdict']))}", text), claim["id"]
        assert typeset(claim["says"]) in text
        assert typeset(claim["why"]) in text
        if claim["measured"] is not None:
            assert claim["measured_text"] in text
    assert "−0.0069to0.0090(95%overphotographs)" in text
    assert "200testphotographsofbsds500;2seeds;1,000updates" in text


def test_a_realistic_ledger_makes_four_to_six_pages(pdf):
    assert 4 <= len(PdfReader(io.BytesIO(pdf)).pages) <= 6


def test_it_is_tagged_and_says_what_it_is(pdf, made):
    reader = PdfReader(io.BytesIO(pdf))
    root = reader.root_object
    assert root["/MarkInfo"]["/Marked"]
    assert str(root["/Lang"]).startswith("en")
    assert b"pdfuaid:part" in root["/Metadata"].get_data()
    assert reader.metadata is not None
    assert reader.metadata.title == "Image colorization with an encoder-decoder: a replication"
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
    assert sorted(alts) == sorted(f"What {name} shows & tells." for name in PICTURES)


def test_only_the_fonts_that_typst_brings_are_in_it(pdf):
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
    assert "Figure7" not in text


def test_the_choices_stand_in_it(pdf):
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
        ("data.json", '"photographs": 12', '"photographs": 4321', "4321(train)"),
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
    assert shown in text_of(compile_article(gather(profile), profile))


def test_a_changed_table_changes_the_text(pdf, profile):
    rewritten(profile.results / "table1.csv", {(NETWORK, "MSE"): 0.0321, ("gray", "ΔE00"): 77.77})
    text = text_of(compile_article(gather(profile), profile))
    for shown in ("0.0321", "7.30times", "77.77"):
        assert shown in text
        assert shown not in text_of(pdf)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.1, 0.3, "better than"), (-0.3, -0.1, "worse than"), (-0.1, 0.3, "not distinguishable from")],
)
def test_words_follow_the_interval(profile, low, high, words):
    path = profile.results / "table1.csv"
    rewritten(path, {(NETWORK, "gain over gray low"): low, (NETWORK, "gain over gray high"): high})
    assert gather(profile)["table"]["gray"]["words"] == words


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.005, 0.006, "below"), (0.004, 0.005, "within"), (0.001, 0.002, "above")]
)
def test_where_the_papers_error_lies_follows_the_interval(profile, low, high, words):
    rewritten(profile.results / "table1.csv", {(NETWORK, "MSE low"): low, (NETWORK, "MSE high"): high})
    assert gather(profile)["table"]["paper_lies"] == words


@pytest.mark.parametrize(("factor", "words"), [(0.5, "better than"), (2.0, "worse than")])
def test_the_best_trivial_answer_is_compared_image_by_image(profile, factor, words):
    path = profile.results / "per_image.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["mse"] = str(float(row["mse"]) * (factor if row["method"] == NETWORK else 1.0))
    write_bytes(path, csv_text(rows).encode())
    found = gather(profile)["table"]
    assert found["best"] == "look-up table"
    assert found["trivial"]["words"] == words


@pytest.mark.parametrize(("final", "words"), [(0.001, "lower"), (0.1, "not lower")])
def test_how_validation_ends_is_said_as_it_is(profile, final, words):
    for seed in profile.seeds:
        run = Run(profile.run(seed))
        history = run.history()
        history[-1]["validation_loss"] = final
        run.write_history(history, [])
    assert gather(profile)["training"]["against"] == words


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
def test_what_is_missing_is_named_and_nothing_is_written(profile, missing):
    (profile.results.parents[1] / missing).unlink()
    with pytest.raises(ValueError, match=f"{re.escape(missing)} does not exist.*`make reproduce PROFILE=cpu`"):
        write_article(profile)
    assert not list(profile.results.rglob("*companion.pdf*"))


def test_a_figure_that_its_notebook_does_not_show_is_refused(profile):
    shutil.copy(profile.figures / "figure3_coffee.png", profile.figures / "figure1_loss_curve.png")
    with pytest.raises(ValueError, match=r"figure1_loss_curve\.png is not what .*03_figure1.* shows; run `make repro"):
        gather(profile)


@pytest.mark.parametrize("lacking", ["alt", "caption"])
def test_a_figure_without_words_is_refused(profile, lacking):
    path = profile.results / "notebooks" / "03_figure1.ipynb"
    book = nbformat.read(path, as_version=4)
    if lacking == "alt":
        book.cells[0].outputs[0].metadata = {}
    else:
        del book.cells[0].outputs[1]
    nbformat.write(book, path)
    with pytest.raises(ValueError, match=r"figure1_loss_curve has no caption or no alternative text"):
        gather(profile)


@pytest.mark.parametrize(("field", "value"), [("profile", "paper"), ("seeds", [0])])
def test_claims_of_other_runs_are_refused(profile, field, value):
    write_json(profile.results / "claims.json", claims(profile) | {field: value})
    with pytest.raises(ValueError, match=r"claims\.json.*colorlib claims --profile cpu"):
        gather(profile)


@pytest.mark.parametrize("column", ["seeds", "updates"])
def test_a_table_of_other_runs_is_refused(profile, column):
    rewritten(profile.results / "table1.csv", {(NETWORK, column): 7})
    with pytest.raises(ValueError, match=r"table1\.csv is of other runs.*make reproduce"):
        gather(profile)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Libertinus Serif", "No Such Font", "unknown font family"),
        ("= The paper\n", "= #nothing\n", "unknown variable"),
    ],
)
def test_what_typst_complains_of_stops_it(profile, made, old, new, message):
    source = profile.results.parents[1] / "paper" / "companion.typ"
    text = source.read_text(encoding="utf-8")
    assert old in text
    write_bytes(source, text.replace(old, new).encode())
    with pytest.raises(ValueError, match=rf"companion\.typ: .*{message}"):
        compile_article(gather(profile), profile)


def test_without_a_date_it_asks_for_one(profile):
    path = profile.results.parents[1] / "CITATION.cff"
    write_bytes(path, path.read_bytes().replace(b"date-released", b"date"))
    with pytest.raises(ValueError, match=r"CITATION\.cff: add `date-released: YYYY-MM-DD`"):
        gather(profile)


def test_the_citation_carries_a_date():
    assert re.search(r"(?m)^date-released: \d{4}-\d\d-\d\d$", (PROJECT / "CITATION.cff").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "place"), [("paper", "paper/companion.pdf"), ("cpu", "results/cpu/companion.pdf")])
def test_only_the_evidence_goes_where_it_is_committed(profile, monkeypatch, name, place):
    monkeypatch.setattr(article, "gather", lambda profile: {})
    monkeypatch.setattr(article, "compile_article", lambda data, profile: b"%PDF")
    written = write_article(replace(profile, name=name))
    assert written == profile.results.parents[1] / place
    assert written.read_bytes() == b"%PDF"


def test_another_profile_is_called_a_preview(pdf, made):
    assert "preview:profilecpu" in text_of(pdf)
    evidence = compile_article(gather(made) | {"evidence": True}, made)
    assert "preview" not in text_of(evidence)


@pytest.mark.slow
@pytest.mark.skipif(
    not (PROJECT / "results" / article.EVIDENCE / "claims.json").is_file(),
    reason="results/paper holds no verdicts yet: make claims",
)
def test_the_committed_article_is_up_to_date():
    evidence = load_profile(article.EVIDENCE)
    committed = PROJECT / "paper" / "companion.pdf"
    assert committed.read_bytes() == compile_article(gather(evidence), evidence), "make paper"
    assert 4 <= len(PdfReader(committed).pages) <= 6


def test_the_table_of_sources_stands_in_it_where_there_is_one(profile, pdf):
    assert "Which photographs?" not in text_of(pdf)
    records = [
        {
            "source": source, "photographs": f"the 12 test photographs of {source}", "truth_colorfulness": 39.0,
            "method": method, "trained on": "", "MSE": error, "MSE low": error - 0.001, "MSE high": error + 0.001,
        }
        for source, level in (("bsds500, 10 updates", 0.0061), ("cifar10, 10 updates", 0.0049))
        for method, error in (("gray", level + 0.002), ("network", level))
    ]  # fmt: skip
    pd.DataFrame(records).to_csv(profile.results / "sources.csv", index=False)
    text = text_of(compile_article(gather(profile), profile))
    for words in ("Which photographs?", "cifar10, 10 updates", "0.0061", "inside its interval", "1.39 times the paper"):
        assert typeset(words) in text
