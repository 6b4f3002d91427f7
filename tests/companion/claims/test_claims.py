"""The claims table: the file of claims, the rules of the verdicts, and the files that are written."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.committed import copy_cpu
from scipy import stats

from colorlib.companion import paper
from colorlib.companion.claims.claims import (
    MEASUREMENTS,
    Claim,
    Verdict,
    corrected,
    decide,
    independent_measurements,
    judge,
    judge_claims,
    measure,
    read_claims,
    write_claims,
)
from colorlib.companion.claims.measurement import (
    HOME,
    PRIMARY_MEASURE,
    SHARE,
    Gain,
    Measurement,
    StudentError,
    gains_sentences,
)
from colorlib.companion.claims.text import markdown, summary, terminal
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.profiles import PROJECT, Profile, load_profile

PLAIN = Claim(
    id="x", section="I", group="Results", says="It is 2.", quantity="a number", relation="equals", basis="data",
    reason="a reason", value=2.0, value_text="2.0", rounding=0.1, tolerance=0.5, measurement="parameters",
    fixed="before",
)  # fmt: skip


def measured(value: float, low: float | None = None, high: float | None = None, **given: Any) -> Measurement:
    return Measurement(value=value, why="Because.", command="make it", low=low, high=high, **given)


# Rules


@pytest.mark.parametrize(
    ("relation", "low", "high", "verdict"),
    [
        ("equals", 1.95, 2.05, "reproduced"),
        ("equals", 1.94, 2.05, "within tolerance"),
        ("equals", 1.5, 2.5, "within tolerance"),
        ("about", 1.49, 2.0, "undecided"),
        ("about", 2.0, 2.51, "undecided"),
        ("about", 1.0, 3.0, "undecided"),
        ("about", 1.0, 1.49, "differs (on our data)"),
        ("about", 2.51, 3.0, "differs (on our data)"),
        ("at most", -9.0, 2.0, "reproduced"),
        ("at most", -9.0, 2.5, "within tolerance"),
        ("at most", -9.0, 2.51, "undecided"),
        ("at most", 2.51, 3.0, "differs (on our data)"),
        ("at least", 2.0, 9.0, "reproduced"),
        ("at least", 1.5, 9.0, "within tolerance"),
        ("shape", 1.49, 9.0, "undecided"),
        ("shape", 1.0, 1.49, "differs (on our data)"),
        ("ordering", 2.1, 3.0, "reproduced"),
        ("ordering", 2.0, 3.0, "undecided"),
        ("ordering", 1.0, 2.0, "differs (on our data)"),
        ("qualitative", 2.0, 2.0, "not testable"),
    ],
)
def test_the_whole_interval_decides(relation: str, low: float, high: float, verdict: str):
    claim = replace(PLAIN, relation=relation, tolerance=0.0 if relation == "ordering" else PLAIN.tolerance)
    assert decide(claim, measured((low + high) / 2, low, high)) == verdict
    if verdict == "differs (on our data)":
        assert decide(replace(claim, basis="text", fixed=None), measured(low, low, high)) == "contradicted"


def test_without_an_interval_data_decide_nothing_and_text_decides_by_the_number():
    assert decide(PLAIN, measured(2.0)) == "undecided"
    text = replace(PLAIN, basis="text", fixed=None)
    assert [decide(text, measured(value)) for value in (2.05, 2.5, 2.51)] == [
        "reproduced", "within tolerance", "contradicted",
    ]  # fmt: skip


def test_without_tolerance_nothing_is_within_it():
    exact = replace(PLAIN, tolerance=0.0)
    assert decide(exact, measured(2.0, 1.94, 2.05)) == "undecided"


def gain(measure: str, low: float, high: float, place: str = HOME) -> Gain:
    return Gain(place=place, measure=measure, value=(low + high) / 2, low=low, high=high, digits=2)


@pytest.mark.parametrize(
    ("others", "verdict", "words"),
    [
        ([], "reproduced", "on all"),
        ([gain("SSIM", -0.1, 0.1)], "reproduced", "on all"),
        ([gain("SSIM", -0.1, -0.05)], "differs (on our data)", "none"),
        ([gain(SHARE, -0.1, -0.05)], "reproduced", "on all"),
        ([gain(PRIMARY_MEASURE, 0.1, 0.2, "on zhang2016")], "reproduced", "on all"),
        ([gain(PRIMARY_MEASURE, -0.1, 0.2, "on zhang2016")], "undecided", "at home only"),
        ([gain(PRIMARY_MEASURE, -0.2, -0.1, "on zhang2016")], "differs (on our data)", "at home only"),
        (
            [gain(PRIMARY_MEASURE, 0.1, 0.2, "on zhang2016"), gain("ΔE00", -0.2, -0.1, "on zhang2016")],
            "differs (on our data)",
            "at home only",
        ),
    ],
)
def test_quality_must_hold_in_all_measures_and_on_all_photographs(others: list[Gain], verdict: str, words: str):
    found = [gain(PRIMARY_MEASURE, 0.1, 0.3), *others]
    claim = replace(PLAIN, relation="better", value=0.0)
    assert decide(claim, measured(0.2, 0.1, 0.3, gains=tuple(found))) == verdict
    shown = gains_sentences(found)
    assert words in shown
    assert all(each.text in shown for each in found)


def family(*changes: tuple[float, float]) -> list[Measurement | str]:
    """Return measurements with these means and standard errors over five seeds."""
    errors = [(mean, StudentError(error=error, freedom=4)) for mean, error in changes]
    return [measured(mean, *error.interval(mean), error=error) for mean, error in errors]


def test_a_family_of_tests_is_corrected_by_holm():
    changes = [(0.27, 0.045), (0.006, 0.0018), (4.8, 2.7), (-0.12, 0.1)]
    claims = [
        replace(PLAIN, id=str(number), relation="ordering", value=0.0, tolerance=0.0, family="f") for number in range(4)
    ]
    found = [each for each in corrected(claims, family(*changes)) if isinstance(each, Measurement)]
    # By hand: the smallest p-value times 4, the next times 3, and so on, none below its forerunner
    p = [2 * stats.t.sf(abs(mean) / error, 4) for mean, error in changes]
    assert [each.p for each in found] == pytest.approx(p)
    assert sorted(p) == [p[0], p[1], p[2], p[3]]
    assert [each.p_corrected for each in found] == pytest.approx([4 * p[0], 3 * p[1], 2 * p[2], max(2 * p[2], p[3])])
    for each in found:
        assert each.low is not None
        assert each.high is not None
        assert (each.low > 0 or each.high < 0) == (each.p_corrected < 0.05)
        assert f"{each.tests} tests" in each.interval
    # The second is significant alone, and no longer in the family of four; alone it is left as it is
    assert family(changes[1])[0].low > 0
    assert decide(claims[1], family(changes[1])[0]) == "reproduced"
    assert decide(claims[1], found[1]) == "undecided"
    alone = [replace(claim, family=None) for claim in claims]
    assert corrected(alone, family(*changes)) == family(*changes)


def test_a_missing_measurement_is_no_test_of_its_family():
    claims = [replace(PLAIN, id=str(number), relation="ordering", value=0.0, family="f") for number in range(2)]
    first, missing = corrected(claims, [*family((0.27, 0.045)), "There is no run."])
    assert isinstance(first, Measurement)
    assert (first.tests, missing) == (1, "There is no run.")
    assert first.p == first.p_corrected


# The file of claims


@pytest.mark.parametrize(
    ("field", "value", "facts"),
    [
        ("relation", "is", ("'is'", "equals", "ordering")),
        ("basis", "hearsay", ("'hearsay'", "text", "data")),
        ("measurement", "luck", ("'luck'", "output_size_kept", "parameters")),
        ("value", None, ("'equals'",)),
        ("fixed", None, ("before", "after")),
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
    path.write_text(entry.replace("reason: b", "reason: b, same_as: no-2"))
    with pytest.raises(ValueError, match=r"claims\.yaml.*\bno-1\b.*\bno-2\b"):
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
    assert value["parameter-count"] == paper.PARAMETERS
    assert value["test-mse"] == paper.MSE
    assert value["test-psnr"] == value["mse-and-psnr-agree"] == paper.PSNR


def test_commands_in_the_ledger_are_targets_of_the_makefile():
    ledger = json.loads((PROJECT / "results" / "paper" / "claims.json").read_text(encoding="utf-8"))
    commands = [entry["command"].split() for entry in ledger["claims"] if entry["command"].startswith("make ")]
    targets = re.findall(r"(?m)^([a-z0-9_]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"))
    assert {command[1] for command in commands} <= set(targets)
    assert len(commands) > 10


# Judging


def test_a_claim_is_written_with_its_measurement():
    assert judge(PLAIN, measured(2.2, 2.1, 2.3, seeds=3, updates=10, over="over seeds")) == {
        "id": "x", "section": "I", "group": "Results", "says": "It is 2.", "quantity": "a number",
        "relation": "equals", "basis": "data", "value": 2.0, "value_text": "2.0", "tolerance_text": "± 0.5: a reason",
        "fixed": "before", "verdict": "within tolerance", "measured": 2.2, "measured_text": "2.2", "low": 2.1,
        "high": 2.3, "interval_text": "2.1 to 2.3 (95 % over seeds)", "p": None, "p_corrected": None,
        "gains": [],
        "seeds": 3, "photographs": "", "updates": 10, "crop_size": None, "command": "make it", "why": "Because.",
    }  # fmt: skip
    assert judge(PLAIN, measured(float("inf")))["measured"] is None


def test_a_claim_of_quality_is_written_with_all_of_its_gains():
    found = (gain(PRIMARY_MEASURE, 0.5, 1.5), gain("SSIM", -0.2, -0.1), gain(SHARE, -0.2, -0.1))
    away = gain(PRIMARY_MEASURE, -0.1, 0.3, "on zhang2016")
    entry = judge(PLAIN, measured(1.0, 0.5, 1.5, over="over seeds", gains=(*found, away)))
    assert entry["measured_text"] == "+1.00 [+0.50, +1.50] at home, worse in SSIM; +0.10 [-0.10, +0.30] on zhang2016"
    assert entry["interval_text"] == "", "the text has the intervals"
    assert entry["gains"][1] == {
        "place": HOME, "measure": "SSIM", "value": pytest.approx(-0.15), "low": -0.2, "high": -0.1, "digits": 2,
        "unit": "", "effect": "worse",
    }  # fmt: skip


def test_an_undecided_claim_gives_the_smallest_effect_that_could_be_shown():
    entry = judge(PLAIN, measured(2.3, 1.8, 2.8, show="{:+.2f} dB".format))
    assert entry["verdict"] == "undecided"
    assert "0.50 dB" in entry["why"]
    assert "One seed" in judge(PLAIN, measured(2.0))["why"]


def test_a_claim_without_its_results_is_not_measured(monkeypatch: pytest.MonkeyPatch):
    def missing(results: Results) -> Measurement:
        raise NotMeasuredError("There is no results/x; make x makes it")

    monkeypatch.setitem(MEASUREMENTS, "parameters", missing)
    entry = judge(PLAIN, measure(PLAIN, Results(load_profile("cpu"))))
    assert entry["verdict"] == "not measured"
    assert (entry["measured"], entry["measured_text"]) == (None, "–")
    assert entry["why"] == "There is no results/x; make x makes it."


def test_a_claim_without_a_measurement_gives_its_reason():
    results = Results(load_profile("cpu"))
    for relation, verdict in (("equals", "not measured"), ("qualitative", "not testable")):
        claim = replace(PLAIN, measurement=None, relation=relation)
        entry = judge(claim, measure(claim, results))
        assert (entry["verdict"], entry["why"]) == (verdict, "A reason.")


def test_a_measurement_does_not_decide_a_qualitative_claim():
    entry = judge(replace(PLAIN, relation="qualitative"), measured(2.0))
    assert (entry["verdict"], entry["measured"], entry["why"]) == ("not testable", 2.0, "Because. A reason.")


def test_a_measurement_that_serves_several_claims_counts_once():
    shared = [
        PLAIN, replace(PLAIN, id="y"), replace(PLAIN, id="z", measurement="mse_on_test"),
        replace(PLAIN, id="w", measurement="psnr_of_test_mse", same_as="z"), replace(PLAIN, id="v", measurement=None),
    ]  # fmt: skip
    entries = [{"measured": 2.0 if claim.measurement else None} for claim in shared]
    assert independent_measurements(shared, entries) == 2
    assert independent_measurements(shared, [{"measured": None}] * 5) == 0


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
    for name in ("resumed_bytes",):  # it trains
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
    assert by_id["semantics"]["measured"] == by_id["context"]["measured"] == 13
    assert first["measurements"] < sum(entry["measured"] is not None for entry in first["claims"])
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
