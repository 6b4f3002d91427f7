"""The table of the paper's sentences: complete, and in agreement with the claims."""

import csv
from pathlib import Path

from colorlib.companion.claims.claims import read_claims
from colorlib.profiles import PROJECT

SENTENCES = Path(__file__).with_name("sentences.sha256")
"""A line per sentence, formula and list entry of the paper from its abstract to its conclusion, in order: the first 16
digits of the SHA-256 of its number, a space, and its text with single spaces. The paper's text itself is not here."""


def rows() -> list[dict[str, str]]:
    with (PROJECT / "paper" / "sentences.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_sentence_of_the_paper_is_listed_once_in_order():
    assert [row["sha256"] for row in rows()] == SENTENCES.read_text().split()
    assert [int(row["sentence"]) for row in rows()] == list(range(1, len(rows()) + 1))


def test_every_sentence_has_claims_or_a_reason_why_not():
    for row in rows():
        assert bool(row["claims"]) != bool(row["not checkable because"]), row


def test_sentences_and_claims_name_each_other():
    claims = {claim.id: claim for claim in read_claims()}
    sections: dict[str, set[str]] = {}
    for row in rows():
        for name in row["claims"].split():
            sections.setdefault(name, set()).add(row["section"])
    assert sections.keys() == claims.keys()
    for name, claim in claims.items():
        named = {part.strip() for part in claim.section.split(",")} - {"Table I"}
        assert named == sections[name], name


def test_no_more_of_a_sentence_is_quoted_than_finds_it():
    assert all(len(row["starts"].split()) <= 4 for row in rows())
