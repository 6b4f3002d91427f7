"""Tables as Markdown, HTML, CSV and notebook outputs; rows of several seeds."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.results import outputs_of, scores, write_per_image

from colorlib.companion.tables import (
    Column,
    Table,
    caption_html,
    joined,
    measures,
    read_rows,
    scored_photographs,
    spread,
    summaries_by_seed,
)
from colorlib.evaluate import NETWORK, Estimate, mean_over_images
from colorlib.files import write_text
from colorlib.profiles import Profile
from colorlib.runs import csv_text

ROW = {"MSE": 0.00651, "MSE sd": 0.00071, "MSE low": 0.0031, "MSE high": 0.0098}


@pytest.mark.parametrize(
    ("column", "row", "text"),
    [
        (Column(name="MSE", digits=4), ROW, "0.0065 [0.0031, 0.0098]"),
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
    assert first == "| gray & co | 0.0065 [0.0031, 0.0098] |"
    assert second == "| network | 0.1000 |"
    assert empty == ""
    assert caption == "Table I of two methods & more."


def test_html_marks_headers_escapes_texts_and_puts_intervals_below(table: Table):
    page = table.html()
    assert page.count('<th scope="col">') == 2
    assert page.count('<th scope="row">') == 2
    assert '<th scope="row">gray &amp; co</th><td>0.0065<br><small>[0.0031, 0.0098]</small></td>' in page
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
    half = 12.706 * 0.002  # Student's t with one degree of freedom: the photographs have equal errors
    assert record == pytest.approx(
        {"MSE": 0.006, "MSE low": 0.006 - half, "MSE high": 0.006 + half, "MSE sd": np.std([0.004, 0.008], ddof=1)},
        rel=1e-4,
    )
    assert set(spread(found["gray"], measures("mse", "ssim"))) == {
        f"{name}{part}" for name in ("MSE", "SSIM") for part in ("", " low", " high")
    }


def test_one_seed_and_equal_seeds_keep_the_interval_over_photographs():
    one = Estimate(value=1.0, low=0.5, high=2.0)
    assert joined([one]) == joined([one, one, one]) == one


def test_bounds_lie_as_far_as_photographs_and_seeds_say():
    wide = joined([Estimate(value=value, low=value - 0.1, high=value + 0.1) for value in (1.0, 3.0, 2.0)])
    assert wide.value == 2.0
    # Student's t with two degrees of freedom on the three values: the photographs add next to nothing
    assert wide.high - 2.0 == pytest.approx(2.0 - wide.low)
    assert wide.high - 2.0 == pytest.approx(4.303 / 3**0.5, rel=0.005)
    unequal = joined([Estimate(value=value, low=0.0, high=5.0) for value in (0.9, 1.0, 1.1)])
    assert unequal.high - 1.0 == pytest.approx(4.0, rel=0.02)
    assert 1.0 - unequal.low == pytest.approx(1.0, rel=0.02)


def test_a_value_that_is_not_finite_has_no_joined_interval():
    found = joined([Estimate(value=np.inf, low=1.0, high=np.inf), Estimate(value=2.0, low=1.0, high=3.0)])
    assert (found.value, found.low, found.high) == (np.inf, 1.0, np.inf)


def coverage(simulate: Callable[[np.random.Generator], list[Estimate]], times: int) -> float:
    """Return the share of simulated intervals that hold the true mean, 0."""
    generator = np.random.default_rng(2016)
    found = [joined(simulate(generator)) for _ in range(times)]
    return float(np.mean([each.low <= 0 <= each.high for each in found]))


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("of_seeds", [0.0, 0.02, 0.1, 0.2, 1.0])
def test_intervals_hold_the_truth_in_93_to_97_percent(seeds: int, of_seeds: float):
    def simulate(generator: np.random.Generator) -> list[Estimate]:
        """Draw the means of 200 photographs, which all seeds share, and their standard errors."""
        shared = generator.normal() / 200**0.5
        spread = ((1 + 0.35**2) * generator.chisquare(199) / 199 / 200) ** 0.5
        values = shared + of_seeds * generator.normal(size=seeds) + 0.35 / 200**0.5 * generator.normal(size=seeds)
        return [Estimate(value=value, low=value - 1.96 * spread, high=value + 1.96 * spread) for value in values]

    assert 0.93 <= coverage(simulate, 10_000) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "of_seeds"),
    [(3, 0.15), *(pytest.param(*more, marks=pytest.mark.campaign) for more in [(3, 0.05), (5, 0.05)])],
)
def test_intervals_of_bootstrapped_photographs_hold_the_truth_in_93_to_97_percent(seeds: int, of_seeds: float):
    """The whole way from skewed scores of photographs, with the bootstrap of evaluate.py."""
    mean = float(np.exp(0.125))  # of a log-normal variable with sigma 0.5

    def simulate(generator: np.random.Generator) -> list[Estimate]:
        photographs = generator.lognormal(sigma=0.5, size=200) - mean
        shifts = of_seeds * generator.normal(size=seeds)
        noise = 0.2 * generator.normal(size=(seeds, 200))
        return [mean_over_images(list(photographs + shift + own)) for shift, own in zip(shifts, noise, strict=True)]

    assert 0.93 <= coverage(simulate, 500) <= 0.97


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
