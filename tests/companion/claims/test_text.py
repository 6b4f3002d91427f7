"""The claims table as text: counts, criteria, uncertainty, and a file that cannot be right."""

import re
from pathlib import Path
from typing import Any

import pytest
from helpers.results import claim, judged

from colorlib.companion.claims.claims import Verdict
from colorlib.companion.claims.text import (
    MARKS,
    counts_sentence,
    held_to,
    markdown,
    measured_text,
    measurement,
    read_verdicts,
    summary,
    terminal,
    uncertainty,
)
from colorlib.files import write_json


def test_claims_md_says_when_a_criterion_was_fixed_and_how_many_measurements_there_are():
    text = markdown(judged("cpu"))
    (row,) = [line for line in text.splitlines() if "on that test set is 23.56 dB" in line]
    assert [cell.strip() for cell in row.split("|")][5:7] == ["before", "within tolerance"]
    assert "5 independent measurements" in text
    assert "5 independent measurements" in counts_sentence(judged("cpu"))


def test_every_verdict_has_a_word_and_a_sign_of_its_own():
    assert [mark.verdict for mark in MARKS] == [str(verdict) for verdict in Verdict]
    assert len({mark.sign for mark in MARKS}) == len(MARKS)


def test_a_file_is_read(tmp_path: Path):
    path = tmp_path / "claims.json"
    assert read_verdicts(path, "cpu") is None
    write_json(path, judged("cpu"))
    assert read_verdicts(path, "cpu") == judged("cpu")


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"profile": "paper"}, "'paper'"),
        ({"claims": [claim("true")]}, r"\btrue\b"),
        ({"claims": [claim("reproduced")]}, "counts"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused(tmp_path: Path, change: dict[str, Any], fact: str):
    path = tmp_path / "claims.json"
    write_json(path, judged("cpu") | change)
    with pytest.raises(ValueError, match=fact) as caught:
        read_verdicts(path, "cpu")
    assert str(path) in str(caught.value)
    assert "`colorlib claims --profile cpu`" in str(caught.value)


def test_a_file_that_cannot_be_parsed_is_refused(tmp_path: Path):
    path = tmp_path / "claims.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="`colorlib claims --profile cpu`") as caught:
        read_verdicts(path, "cpu")
    assert str(path) in str(caught.value)


def test_the_sentence_counts_each_verdict_that_was_given():
    claims = judged("cpu")
    sentence = counts_sentence(claims)
    assert f"{len(claims['claims'])} claims" in sentence
    assert all(f"{count} {verdict}" in sentence for verdict, count in claims["counts"].items())
    claims["counts"] |= {"contradicted": 0}
    assert "contradicted" not in counts_sentence(claims)


@pytest.mark.parametrize(
    ("given", "facts", "others"),
    [
        ({}, ("0.0069 to 0.0090 (95 % over photographs)", "1 seed"), ("±", "seeds")),
        ({"interval_text": "", "seeds": None}, (), ("seed", "±", ";")),
        ({"interval_text": "", "seeds": 3}, ("3 seeds",), ("95 %", ";", "±")),
    ],
)
def test_the_uncertainty_of_a_number(given: dict[str, Any], facts: tuple[str, ...], others: tuple[str, ...]):
    shown = uncertainty(claim("reproduced", **given))
    assert bool(shown) == bool(facts)
    assert all(fact in shown for fact in facts)
    assert not any(fact in shown for fact in others)


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        ({"tolerance_text": ""}, ()),
        ({"relation": "at most", "value": 600000, "tolerance_text": "a guess"}, ("at most 600,000", "a guess")),
        ({"relation": "ordering", "value": 0.0, "tolerance_text": ""}, ("above 0",)),
        ({"relation": "shape", "value": 0.5, "tolerance_text": ""}, ("at least 0.5",)),
        ({"relation": "qualitative", "value": None, "tolerance_text": ""}, ()),
    ],
)
def test_the_criterion_is_a_bound_and_a_tolerance(given: dict[str, Any], facts: tuple[str, ...]):
    shown = held_to(claim("reproduced", **given))
    assert bool(shown) == bool(facts)
    assert all(fact in shown for fact in facts)
    assert re.findall(r"\d[\d,.]*\d|\d", shown) == re.findall(r"[\d,.]+", facts[0] if facts else "")


def test_a_measurement_is_described_by_what_it_has():
    shown = measurement(claim("reproduced"))
    for fact in ("8 bits", "200 test photographs of bsds500", "10,000 updates", "48 pixels"):
        assert fact in shown
    bare = measurement(claim("reproduced", photographs="", updates=None, crop_size=None, quantity="a number"))
    assert bare.endswith(" a number.")


def test_numbers_are_shown_with_their_seeds():
    assert measured_text(claim("reproduced", seeds=3)) == "0.0079 [0.0069 to 0.0090] (n = 3)"
    assert measured_text(claim("reproduced", seeds=None, interval_text="")) == "0.0079"
    assert measured_text(claim("not measured", measured=None, measured_text="–")) == "–"


def test_every_claim_stands_in_every_table():
    claims = judged("cpu")
    for shown in (markdown(claims), terminal(claims)):
        assert all(entry["says"] in shown and entry["verdict"] in shown for entry in claims["claims"])
        assert all(f"{count} {verdict}" in shown for verdict, count in claims["counts"].items())
    rows = summary(claims).splitlines()[4:]
    assert [re.findall(r"\*\*(.*)\*\* \| (\d+) ", row) for row in rows] == [
        [(verdict, str(count))] for verdict, count in claims["counts"].items()
    ]
    (contradicted,) = [row for row in rows if "contradicted" in row]
    assert "parameter count (approximately 600K: 740,227)" in contradicted
    for shown in (markdown(claims), summary(claims)):
        assert all(fact in shown.splitlines()[0] for fact in ("`cpu`", "10,000 updates", "bsds500", "seed 0"))
