"""The outlook: changes with intervals, claims from three seeds on, and partly finished sweeps."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from helpers.results import scores
from helpers.sweep_summaries import renamed, summary_rows, with_sweep

from colorlib.companion.artifacts import outlook
from colorlib.companion.notebooks import Execution, execute
from colorlib.companion.steps import baselines_on_validation, files
from colorlib.companion.sweeps.summary import compare_points
from colorlib.files import write_text
from colorlib.photos.decode import decode_file
from colorlib.profiles import NOTEBOOKS, load_profile
from colorlib.runs import csv_text


def compared(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return compare_points(pd.DataFrame(rows), "paper")


def test_three_seeds_decide_and_fewer_claim_nothing():
    better, none, worse = outlook.change_sentences(compared(summary_rows(3)))
    assert better.startswith("lab (change=lab)")
    assert better.count("+0.51 [+0.49, +0.53] dB") == 2
    assert all("3 seeds" in sentence for sentence in (better, none, worse))
    verdicts = [re.findall("better|difference|worse", sentence) for sentence in (better, none, worse)]
    assert verdicts == [[word] * 2 for word in ("better", "difference", "worse")], "for raw output and true L"
    for seeds, fact in ((2, "2 seeds"), (1, "1 seed")):
        sentences = outlook.change_sentences(compared(summary_rows(seeds)))
        assert len(sentences) == 3
        assert all(fact in sentence for sentence in sentences)
        assert all(re.search(r"\b3\b", sentence) for sentence in sentences), "the number of seeds that decide"
        assert not any(word in " ".join(sentences) for word in ("better", "worse", "["))


def test_only_seeds_that_both_points_have_count():
    rows = [row for row in summary_rows(3) if not (row["point"] == "paper" and row["seed"] == 2)]
    data = compared(rows)
    assert set(data[data["point"] == "lab"]["paired seeds"]) == {2}
    assert set(data[data["point"] == "lab"]["seeds"]) == {3}
    assert "2 seeds" in outlook.change_sentences(data)[0]
    assert not re.search(r"better|worse|\[", outlook.change_sentences(data)[0])


@pytest.mark.parametrize(
    ("rows", "facts", "sentences"),
    [
        (summary_rows(1, ("paper",)), ("paper",), 1),
        (summary_rows(1, ("lab",)), ("'paper'",), 1),
        (summary_rows(1), ("lab", "+0.50 dB", "1 seed"), 3),
        ([r for r in summary_rows(2) if (r["point"] == "paper") == (r["seed"] == 0)], ("lab", "no seed", "paper"), 3),
    ],
    ids=["the reference alone", "no reference", "one seed", "no common seed"],
)
def test_a_partly_finished_sweep_gives_the_same_bytes_twice(
    tmp_path: Path, rows: list[dict[str, Any]], facts: tuple[str, ...], sentences: int
):
    profile = with_sweep(tmp_path, rows)
    table, figure = outlook.write(profile)
    found = outlook.change_sentences(table.data)
    assert len(found) == sentences
    assert all(fact in found[0] for fact in facts)
    assert ("dB" in found[0]) == ("+0.50 dB" in facts), "no change where none was measured"
    assert all(sentence in figure.alt for sentence in found)
    written = files(profile, "outlook")
    first = [path.read_bytes() for path in written]
    outlook.write(profile)
    assert [path.read_bytes() for path in written] == first
    assert figure.path == written[2]
    assert decode_file(figure.path).shape[1] > 900
    text = written[1].read_text(encoding="utf-8")
    assert text == table.markdown()
    assert len(table.cells()) == len(table.data) == len(pd.read_csv(written[0]))
    for fact in ("100 validation", "bsds500", "3,000"):
        assert fact in table.caption


def test_the_table_has_changes_with_spread_and_interval(tmp_path: Path):
    table, _ = outlook.write(with_sweep(tmp_path, summary_rows(3)))
    texts = [[" ".join(filter(None, parts)) for parts in row] for row in table.cells()]
    shown = pd.DataFrame(texts, columns=table.heads).set_index(["point", "method"])
    assert shown.loc[("paper", "network"), "change"] == "–"
    assert shown.loc[("lab", "network"), "change"] == "+0.51 [+0.49, +0.53]"
    assert shown.loc[("l1", "network, true L"), "change"].startswith("-0.30 [-0.33")
    assert shown.loc[("paper", "network"), "PSNR of MSE"] == "20.00 ± 0.05"


def test_baselines_on_the_same_photographs_come_first(tmp_path: Path):
    profile = with_sweep(tmp_path, summary_rows(3))
    path = baselines_on_validation(profile)
    path.parent.mkdir(parents=True)
    rows = [*scores("gray", [0.01, 0.02]), *scores("mean chroma", [0.005, 0.01])]
    write_text(path, csv_text([asdict(row) for row in rows]))
    table, figure = outlook.write(profile)
    assert [row[0][0] for row in table.cells()[:3]] == ["gray", "mean chroma", "paper"]
    shown = dict(zip(table.heads, table.cells()[1], strict=True))
    assert (shown["MSE"][0], shown["seeds"][0], shown["change"][0]) == ("0.0075", "–", "–")
    assert shown["PSNR of MSE"][0] == "21.25", "of the pooled error 0.0075"
    assert dict(zip(table.heads, table.cells()[2], strict=True))["seeds"][0] == "3"
    assert "gray" not in figure.alt
    assert ",3.0," not in files(profile, "outlook")[0].read_text(encoding="utf-8"), "counts stay whole numbers"


def test_a_sweep_without_points_is_named_with_its_command(tmp_path: Path):
    profile = load_profile("cpu", root=tmp_path)
    with pytest.raises(ValueError, match="make sweep SWEEP=outlook PROFILE=cpu"):
        outlook.write(profile)
    for reference in ("", "paper"):
        (sentence,), table = outlook.read_sweep(profile, "crop_size", reference)
        assert "make sweep SWEEP=crop_size PROFILE=cpu" in sentence
        assert table is None


def test_another_sweep_is_shown_without_changes(tmp_path: Path):
    sentences, table = outlook.read_sweep(with_sweep(tmp_path, summary_rows(2), "crop_size"), "crop_size")
    assert sentences == []
    assert table is not None
    assert len(table.cells()) == 8
    assert "change" not in table.heads
    assert "crop_size" in table.caption


def test_points_may_be_named_by_numbers(tmp_path: Path):
    """`summary_rows` has four points; all of them get a number for a name."""
    rows = summary_rows(3)
    numbers = {name: str(number) for number, name in enumerate(dict.fromkeys(row["point"] for row in rows))}
    profile = with_sweep(tmp_path, [row | {"point": numbers[row["point"]]} for row in rows], "context")
    sentences, table = outlook.read_sweep(profile, "context", "0")
    assert table is not None
    assert len(sentences) == len(numbers) - 1
    assert sentences[0].startswith("1 (")
    assert "no change can be computed" not in " ".join(sentences)


def test_another_sweep_is_compared_with_a_point_of_its_own(tmp_path: Path):
    profile = with_sweep(tmp_path, renamed(summary_rows(3), "paper", "all"), "data_scaling")
    sentences, table = outlook.read_sweep(profile, "data_scaling", "all")
    assert table is not None
    assert len(table.cells()) == 8
    assert re.search(r"\ball\b", table.caption)
    change = table.heads.index("change")
    assert [row[0][0] for row in table.cells() if row[change] == ("–", "")] == ["all"] * 2, "the reference point"
    assert len(sentences) == 3
    assert sentences[0].startswith("lab (change=lab)")
    assert "+0.51 [+0.49, +0.53] dB" in sentences[0]


def test_unfinished_points_are_named(tmp_path: Path):
    profile = with_sweep(tmp_path, summary_rows(1, ("paper", "lab")))
    missing = outlook.unfinished_points(profile)
    assert "unet, seed 0" in missing
    assert not {"paper, seed 0", "lab, seed 0"} & set(missing)
    assert not any("seed 1" in label for label in missing)
    rows = [row for row in summary_rows(2) if (row["point"], row["seed"]) != ("lab", 1)]
    assert "lab, seed 1" in outlook.unfinished_points(with_sweep(tmp_path, rows))


@pytest.mark.slow
def test_the_notebook_shows_all_finished_points(tmp_path: Path):
    profile = with_sweep(tmp_path, summary_rows(1, ("paper", "lab")))
    execution = Execution(
        notebook=NOTEBOOKS / "07_outlook.ipynb",
        output=tmp_path / "out" / "07_outlook.ipynb",
        record=tmp_path / "out" / "record.json",
        parameters={"root": str(tmp_path)},
        outputs=files(profile, "outlook", "lightweight"),
    )
    execute(execution)
    text = execution.output.read_text(encoding="utf-8")
    streams = [output.text for cell in nbformat.reads(text, as_version=4).cells for output in cell.get("outputs", ())
               if output.output_type == "stream"]  # fmt: skip
    (of_lab,) = [line for line in "".join(streams).splitlines() if line.startswith("lab ")]
    assert "1 seed" in of_lab
    (missing,) = [line for line in "".join(streams).splitlines() if "skip, seed 0" in line]
    assert "lab-bins, seed 0" in missing
    assert "lab, seed 0" not in missing
    assert "make sweep SWEEP=learning_rate PROFILE=cpu" in text
    first = execution.output.read_bytes()
    execute(execution)
    assert execution.output.read_bytes() == first
