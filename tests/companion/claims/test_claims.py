"""The claims table: the file of claims, the rules of the verdicts, and the files that are written."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.committed import copy_cpu

from colorlib.companion import paper
from colorlib.companion.claims.claims import (
    MEASUREMENTS,
    Claim,
    Verdict,
    decide,
    judge,
    judge_claims,
    read_claims,
    write_claims,
)
from colorlib.companion.claims.measurement import Measurement
from colorlib.companion.claims.text import markdown, summary, terminal
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.profiles import Profile, load_profile

PLAIN = Claim(
    id="x", section="I", group="Results", says="It is 2.", quantity="a number", relation="equals", basis="data",
    reason="a reason", value=2.0, value_text="2.0", rounding=0.1, tolerance=0.5, measurement="parameters",
)  # fmt: skip


def measured(value: float, low: float | None = None, high: float | None = None) -> Measurement:
    return Measurement(value=value, text=str(value), why="Because.", command="make it", low=low, high=high)


# Rules


@pytest.mark.parametrize(
    ("relation", "value", "verdict"),
    [
        ("equals", 2.05, "reproduced"),
        ("equals", 1.95, "reproduced"),
        ("equals", 2.06, "within tolerance"),
        ("about", 1.5, "within tolerance"),
        ("about", 1.49, "differs (on our data)"),
        ("at most", -9.0, "reproduced"),
        ("at most", 2.0, "reproduced"),
        ("at most", 2.5, "within tolerance"),
        ("at most", 2.51, "differs (on our data)"),
        ("at least", 9.0, "reproduced"),
        ("at least", 1.5, "within tolerance"),
        ("at least", 1.49, "differs (on our data)"),
        ("shape", 2.1, "reproduced"),
        ("shape", 1.4, "differs (on our data)"),
        ("qualitative", 2.0, "not testable"),
    ],
)
def test_the_verdict_follows_from_the_number(relation: str, value: float, verdict: str):
    claim = replace(PLAIN, relation=relation)
    assert decide(claim, measured(value)) == verdict
    if verdict == "differs (on our data)":
        assert decide(replace(claim, basis="text"), measured(value)) == "contradicted"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(2.1, 3.0, "reproduced"), (1.9, 3.0, "within tolerance"), (1.0, 2.0, "differs (on our data)")],
)
def test_an_ordering_is_decided_by_the_whole_interval(low: float, high: float, verdict: str):
    assert decide(replace(PLAIN, relation="ordering"), measured(2.5, low, high)) == verdict


def test_an_ordering_without_an_interval_is_refused():
    with pytest.raises(ValueError, match=r"\bx\b.* interval\b.*\bparameters\b"):
        decide(replace(PLAIN, relation="ordering"), measured(2.5))


# The file of claims


@pytest.mark.parametrize(
    ("field", "value", "facts"),
    [
        ("relation", "is", ("'is'", "equals", "ordering")),
        ("basis", "hearsay", ("'hearsay'", "text", "data")),
        ("measurement", "luck", ("'luck'", "output_size_kept", "parameters")),
        ("value", None, ("'equals'",)),
    ],
)
def test_a_claim_that_cannot_be_decided_is_refused(field: str, value: object, facts: tuple[str, ...]):
    with pytest.raises(ValueError, match=rf"\bx\b.*\b{field}\b") as caught:
        replace(PLAIN, **{field: value})
    assert all(fact in str(caught.value) for fact in facts)


def test_wrong_entries_of_the_file_are_named(tmp_path: Path):
    entry = "- {id: no-1, section: I, group: g, says: s, quantity: q, relation: qualitative, basis: data, reason: b}\n"
    path = tmp_path / "claims.yaml"
    path.write_text(entry + entry)
    with pytest.raises(ValueError, match=r"claims\.yaml.*\bno-1\b"):
        read_claims(path)
    path.write_text(entry.replace("reason: b", "finding: b"))
    with pytest.raises(ValueError, match=r"claims\.yaml.*\bno-1\b.*\bfinding\b"):
        read_claims(path)


def test_the_claims_cover_the_paper_and_use_every_measurement():
    claims = read_claims()
    sections = " ".join(claim.section for claim in claims)
    assert all(part in sections for part in ("Abstract", "III.A", "III.B", "III.C", "III.D", "III.E", "IV.A", "IV.B",
                                             "IV.C", "IV.D", "V", "VI"))  # fmt: skip
    assert {claim.measurement for claim in claims if claim.measurement} == set(MEASUREMENTS)
    groups = [claim.group for claim in claims]
    assert groups == sorted(groups, key=list(dict.fromkeys(groups)).index)


def test_the_papers_numbers_are_the_same_everywhere():
    value = {claim.id: claim.value for claim in read_claims()}
    assert value["training-loss"] == paper.LOSS
    assert value["test-mse"] == paper.MSE
    assert value["test-psnr"] == value["test-mean-psnr"] == value["mse-and-psnr-agree"] == paper.PSNR


# Judging


def test_a_claim_is_written_with_its_measurement(monkeypatch: pytest.MonkeyPatch):
    found = replace(measured(2.2, 2.1, 2.3), interval="2.1 to 2.3", seeds=3, sd=float("0.1"), updates=10)
    monkeypatch.setitem(MEASUREMENTS, "parameters", lambda results: found)
    entry = judge(PLAIN, Results(load_profile("cpu")))
    assert entry == {
        "id": "x", "section": "I", "group": "Results", "says": "It is 2.", "quantity": "a number",
        "relation": "equals", "basis": "data", "value": 2.0, "value_text": "2.0", "tolerance_text": "± 0.5: a reason",
        "verdict": "within tolerance", "measured": 2.2, "measured_text": "2.2", "low": 2.1, "high": 2.3,
        "interval_text": "2.1 to 2.3", "sd": 0.1, "seeds": 3, "photographs": "", "updates": 10, "crop_size": None,
        "command": "make it", "why": "Because.",
    }  # fmt: skip
    infinite = measured(float("inf"))
    monkeypatch.setitem(MEASUREMENTS, "parameters", lambda results: infinite)
    assert judge(PLAIN, Results(load_profile("cpu")))["measured"] is None


def test_a_claim_without_its_results_is_not_measured(monkeypatch: pytest.MonkeyPatch):
    def missing(results: Results) -> Measurement:
        raise NotMeasuredError("There is no results/x; make x makes it")

    monkeypatch.setitem(MEASUREMENTS, "parameters", missing)
    entry = judge(PLAIN, Results(load_profile("cpu")))
    assert entry["verdict"] == "not measured"
    assert (entry["measured"], entry["measured_text"]) == (None, "–")
    assert entry["why"] == "There is no results/x; make x makes it."


def test_a_claim_without_a_measurement_gives_its_reason():
    results = Results(load_profile("cpu"))
    entry = judge(replace(PLAIN, measurement=None), results)
    assert (entry["verdict"], entry["why"]) == ("not measured", "A reason.")
    entry = judge(replace(PLAIN, measurement=None, relation="qualitative"), results)
    assert (entry["verdict"], entry["why"]) == ("not testable", "A reason.")


def test_a_measurement_does_not_decide_a_qualitative_claim(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(MEASUREMENTS, "parameters", lambda results: measured(2.0))
    entry = judge(replace(PLAIN, relation="qualitative"), Results(load_profile("cpu")))
    assert (entry["verdict"], entry["measured"], entry["why"]) == ("not testable", 2.0, "Because. A reason.")


def test_another_method_does_not_judge_the_papers_claims(tmp_path: Path):
    papers = replace(load_profile("paper"), root=tmp_path)
    assert papers.changes == {}
    other = replace(papers, name="other", settings=papers.settings | {"network": "unet", "crop_size": 96, "ema": 0.0})
    assert other.changes == {"network": "unet"}
    with pytest.raises(ValueError, match=r"\bother\b.*\bnetwork=unet\b.*`make claims PROFILE=paper`"):
        write_claims(Results(other))
    assert list(tmp_path.iterdir()) == []


def test_the_head_names_the_runs_that_decide(tmp_path: Path):
    cpu = copy_cpu(tmp_path)
    head = judge_claims(Results(cpu), [replace(PLAIN, measurement=None)])
    assert head["counts"] == dict.fromkeys(map(str, Verdict), 0) | {"not measured": 1}
    (record,) = Results(cpu).records
    assert (head["profile"], head["seeds"], head["updates"]) == ("cpu", [0], 1000)
    assert record["source"].startswith(head["source"])
    assert record["hardware"]["processor"] in head["hardware"]
    assert head["command"] == "colorlib claims --profile cpu"


def once(measure: Callable[[Results], Measurement]) -> Callable[[Results], Measurement]:
    """Return a function that measures at the first call and then repeats its result."""
    found: list[Measurement] = []

    def repeat(results: Results) -> Measurement:
        if not found:
            found.append(measure(results))
        return found[0]

    return repeat


@pytest.mark.slow
def test_the_whole_table_is_written_twice_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cpu: Profile = copy_cpu(tmp_path)
    for name in ("resumed_bytes", "gain_on_faces"):  # they train, and color photographs
        monkeypatch.setitem(MEASUREMENTS, name, once(MEASUREMENTS[name]))
    paths = [cpu.results / name for name in ("claims.json", "claims.md", "verdicts.md")]
    first = write_claims(Results(cpu))
    texts = [path.read_text() for path in paths]
    assert json.loads(texts[0]) == first
    assert texts[1:] == [markdown(first), summary(first)]
    assert write_claims(Results(cpu)) == first
    assert [path.read_text() for path in paths] == texts
    assert sum(first["counts"].values()) == len(first["claims"]) == len(read_claims())
    assert list(first["counts"]) == [str(verdict) for verdict in Verdict]
    by_id = {entry["id"]: entry for entry in first["claims"]}
    assert by_id["parameter-count"]["measured"] == 740_227
    assert by_id["semantics"]["measured"] == 13
    assert by_id["resume"]["verdict"] == Verdict.REPRODUCED
    for shown in (markdown(first), terminal(first)):
        assert all(entry["says"] in shown and entry["verdict"] in shown for entry in first["claims"])


CLAIM_TEXT = "id: a\nsection: s\ngroup: g\nsays: s\nquantity: q\nrelation: about\nbasis: text\nreason: r\nvalue: 1.0\n"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        *(
            ("value: 1.0", "value: .nan", "value"),
            ("value: 1.0", "value: [1]", "value"),
            ("says: s", "says: 3", "says"),
        ),
        *(("reason: r\n", "", "reason"), ("reason: r", "reason: null", "reason"), ("says: s", "7: s", "field")),
        ("value: 1.0", "value: yes", "value"),
    ],
)
def test_a_claim_that_lies_is_named_with_its_field(tmp_path, old, new, named):
    path = tmp_path / "claims.yaml"
    for text in (CLAIM_TEXT, CLAIM_TEXT.replace(old, new)):
        path.write_text("- " + text.replace("\n", "\n  "))
        if text == CLAIM_TEXT:
            assert len(read_claims(path)) == 1
    with pytest.raises(ValueError, match=rf"claims\.yaml.*\b{named}\b"):
        read_claims(path)


@pytest.mark.parametrize("text", ["{}", "3", "x", "- 3", "- [a]", "[["])
def test_claims_of_another_shape_are_named(tmp_path, text):
    (tmp_path / "claims.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"claims\.yaml"):
        read_claims(tmp_path / "claims.yaml")
