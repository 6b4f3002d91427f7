"""Tables as Markdown, HTML, CSV and notebook outputs; rows of several seeds."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.results import outputs_of, scores, write_per_image

from colorlib.companion.tables import (
    Column,
    Table,
    caption_html,
    measures,
    read_rows,
    scored_photographs,
    spread,
    summaries_by_seed,
)
from colorlib.evaluate import NETWORK
from colorlib.files import write_text
from colorlib.profiles import Profile
from colorlib.runs import csv_text

ROW = {"MSE": 0.00651, "MSE sd": 0.00071, "MSE low": 0.0031, "MSE high": 0.0098}


@pytest.mark.parametrize(
    ("column", "row", "text"),
    [
        (Column(name="MSE", digits=4), ROW, "0.0065 ± 0.0007 [0.0031, 0.0098]"),
        (Column(name="MSE", digits=4, interval=False), ROW, "0.0065 ± 0.0007"),
        (Column(name="MSE", digits=2), {"MSE": 0.5}, "0.50"),
        (Column(name="MSE", digits=4), ROW | {"MSE sd": float("nan"), "MSE low": None}, "0.0065"),
        (Column(name="MSE", digits=1), {"MSE": 0.0, "MSE low": 0.0, "MSE high": 0.0}, "0.0"),
        (Column(name="MSE", digits=4), {"MSE": float("nan")}, "–"),
        (Column(name="MSE", digits=4), {}, "–"),
        (Column(name="PSNR", digits=2), {"PSNR": float("inf")}, "inf"),
        (Column(name="parameters", digits=0), {"parameters": 740227}, "740,227"),
        (Column(name="seeds"), {"seeds": 3}, "3"),
        (Column(name="change", digits=2, signed=True), {"change": 0.5, "change sd": 0.1}, "+0.50 ± 0.10"),
        (Column(name="change", digits=2, signed=True), {"change": -0.001}, "+0.00"),
        (
            Column(name="change", digits=1, signed=True),
            {"change": -0.3, "change low": -0.5, "change high": 0.04},
            "-0.3 [-0.5, +0.0]",
        ),
    ],
)
def test_a_cell_has_value_spread_and_interval(column: Column, row: dict[str, float], text: str):
    assert column.text(row) == text


@pytest.fixture
def table() -> Table:
    data = pd.DataFrame([{"method": "gray & co", **ROW, "not shown": 1.5}, {"method": "network", "MSE": 0.1}])
    columns = [Column(name="method"), Column(name="MSE", digits=4, head="error <8 bits>")]
    return Table(data=data, columns=columns, caption="of two methods & more.", label="Table I")


def test_markdown_has_a_line_for_each_row_and_the_caption(table: Table):
    head, rule, first, second, empty, caption = table.markdown().splitlines()
    assert (head, rule) == ("| method | error <8 bits> |", "|---|---|")
    assert first == "| gray & co | 0.0065 ± 0.0007 [0.0031, 0.0098] |"
    assert second == "| network | 0.1000 |"
    assert empty == ""
    assert caption == "Table I of two methods & more."


def test_html_marks_headers_escapes_texts_and_puts_intervals_below(table: Table):
    page = table.html()
    assert page.count('<th scope="col">') == 2
    assert page.count('<th scope="row">') == 2
    assert '<th scope="row">gray &amp; co</th><td>0.0065 ± 0.0007<br><small>[0.0031, 0.0098]</small></td>' in page
    assert "error &lt;8 bits&gt;" in page
    assert "caption" not in page


def test_the_csv_file_has_all_values_as_computed(table: Table, tmp_path: Path):
    table.save(tmp_path / "t.csv", tmp_path / "t.md")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "t.csv"), table.data)
    assert b"\r" not in (tmp_path / "t.csv").read_bytes()
    assert (tmp_path / "t.md").read_text(encoding="utf-8") == table.markdown()


def test_other_rows_can_be_shown_than_those_of_the_csv_file(table: Table, tmp_path: Path):
    shown = Table(data=table.data, shown=table.data.tail(1), columns=table.columns, caption="c")
    shown.save(tmp_path / "t.csv", tmp_path / "t.md")
    assert len(pd.read_csv(tmp_path / "t.csv")) == 2
    assert [row[0][0] for row in shown.cells()] == ["network"]


def test_an_output_has_its_words_in_the_metadata_and_a_visible_caption_follows(table: Table):
    output, visible = outputs_of(table)
    assert output.data == {"text/html": table.html()}
    assert output.metadata == {"text/html": {"label": "Table I", "caption": "of two methods & more."}}
    assert visible.metadata == {"text/html": {"is_caption": True}}
    assert caption_html("Table I", "of two methods & more.") in visible.data["text/html"]


def test_a_caption_is_plain_text_and_its_label_bold():
    assert caption_html("Figure 9.", "a < b & c") == "<b>Figure 9.</b> a &lt; b &amp; c"
    assert caption_html("", "c") == "c"


# Scores of several seeds


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    profile = Profile(name="made", settings={"photos": "bundled"}, seeds=(0, 1), root=tmp_path)
    networks = {seed: {NETWORK: [error, error]} for seed, error in ((0, 0.004), (1, 0.008))}
    write_per_image(profile, {"gray": [0.01, 0.01]}, networks)
    return profile


def test_rows_have_the_seed_of_their_run(profile: Profile):
    rows = read_rows(profile.results / "per_image.csv")
    assert [(seed, row.method) for seed, row in rows] == [
        (None, "gray"), (None, "gray"), (0, NETWORK), (0, NETWORK), (1, NETWORK), (1, NETWORK),
    ]  # fmt: skip
    assert rows[0][1] == scores("gray", [0.01])[0]
    write_text(profile.results / "per_image.csv", csv_text([{"method": "gray"}]))
    with pytest.raises(ValueError, match=r"per_image\.csv"):
        read_rows(profile.results / "per_image.csv")


def test_a_method_has_a_summary_for_each_seed_and_a_baseline_one(profile: Profile):
    rows = read_rows(profile.results / "per_image.csv")
    found = summaries_by_seed(rows)
    assert {method: [round(each.mse.value, 6) for each in summaries] for method, summaries in found.items()} == {
        "gray": [0.01],
        NETWORK: [0.004, 0.008],
    }
    gains = [summary.psnr_gain.value for summary in found[NETWORK] if summary.psnr_gain]
    assert gains == pytest.approx([10 * np.log10(0.01 / error) for error in (0.004, 0.008)])
    rows += [(None, row) for row in scores("other", [0.002, 0.002])]
    (gain, _) = [summary.psnr_gain.value for summary in summaries_by_seed(rows, reference="other")[NETWORK]]
    assert gain == pytest.approx(10 * np.log10(0.002 / 0.004))


def test_spread_is_over_seeds(profile: Profile):
    found = summaries_by_seed(read_rows(profile.results / "per_image.csv"))
    record = spread(found[NETWORK], measures("mse"))
    assert record == pytest.approx(
        {"MSE": 0.006, "MSE low": 0.006, "MSE high": 0.006, "MSE sd": np.std([0.004, 0.008], ddof=1)}
    )
    assert set(spread(found["gray"], measures("mse", "ssim"))) == {
        f"{name}{part}" for name in ("MSE", "SSIM") for part in ("", " low", " high")
    }


def test_the_scored_photographs_in_words(profile: Profile):
    assert scored_photographs(profile) == "the 2 test photographs of bundled"
    path = profile.run(0) / "metrics.json"
    record = json.loads(path.read_text())
    record["photos"] |= {"count": 1000, "of": 10000}
    path.write_text(json.dumps(record))
    assert scored_photographs(profile) == "1,000 of the 10,000 test photographs of bundled"
    path.unlink()
    with pytest.raises(ValueError, match=r"metrics\.json.*`make reproduce PROFILE=made`"):
        scored_photographs(profile)
