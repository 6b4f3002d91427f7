"""Headings of the report: they turn when the numbers do."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.results import (
    BASELINES,
    IMAGES,
    judged,
    make_results,
    write_history,
    write_per_image,
)

from colorlib.companion.artifacts.published import ZHANG
from colorlib.companion.artifacts.table1 import table1, write_scores
from colorlib.companion.report import findings
from colorlib.companion.report.findings import Finding
from colorlib.companion.report.notebook_html import CaptionedOutput, ExecutedNotebook
from colorlib.companion.report.page import report_page
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.steps import files, steps
from colorlib.companion.story import BETTER_SHARE
from colorlib.companion.tables import Table
from colorlib.evaluate import NETWORK, NETWORK_TRUE_L
from colorlib.files import write_text
from colorlib.profiles import Profile, load_profile

SEEDS = (0, 1, 2)
NOTEBOOK = ExecutedNotebook(title="The title", introduction="", outputs=())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    make_results(root, SEEDS)
    return root


@pytest.fixture
def profile(made: Path, tmp_path: Path) -> Profile:
    """Results of three seeds that a test may change."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return load_profile("cpu", seeds=SEEDS, root=tmp_path)


def found(profile: Profile, name: str) -> Finding:
    return findings.finding(Results(profile), name, NOTEBOOK)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def rescore(profile: Profile, level: float, noise: float = 0.0) -> None:
    """Write scores of networks with a mean error, which varies by `noise` from photograph to photograph."""
    signs = np.resize([1, -1], IMAGES)
    networks = {
        seed: {NETWORK: list(level * (1 + noise * signs)), NETWORK_TRUE_L: [level] * IMAGES} for seed in profile.seeds
    }
    write_per_image(profile, {name: [error] * IMAGES for name, error in BASELINES.items()}, networks)
    results = Results(profile)
    write_scores(results, rescore=False)
    table1(results)


@pytest.mark.parametrize(
    ("level", "noise", "expected"),
    [
        (0.004, 0.0, "gains 3.0 dB over a look-up table"),
        (0.0079, 0.5, "not shown to be better than a look-up table"),
        (0.0158, 0.0, "loses 3.0 dB against a look-up table"),
    ],
)
def test_the_heading_of_table_1_follows_the_interval_of_the_gain(profile, level, noise, expected):
    rescore(profile, level, noise)
    result = found(profile, "05_table1.ipynb")
    assert expected in plain(result.heading)
    assert f"{level:.4f}" in result.sentence
    assert f"{level / 0.0044:.1f} times" in result.sentence
    assert expected in plain(findings.opening(Results(profile), None)[1])


def test_the_heading_stands_in_the_page(profile):
    headings = []
    for level in (0.004, 0.0158):
        rescore(profile, level)
        headings.append(found(profile, "05_table1.ipynb").heading)
        assert f'<h2 id="table1">{headings[-1]}</h2>' in report_page(Results(profile), steps(profile))
    assert len(set(headings)) == 2


def test_the_best_baseline_is_the_one_compared_with(profile):
    path = files(profile, "table1")[0]
    table = pd.read_csv(path)
    table.loc[table["method"] == "gray", "MSE"] = 0.0001
    table.to_csv(path, index=False)
    assert "the gray picture" in found(profile, "05_table1.ipynb").heading


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ((0.0027, 0.0027001, 0.0026999), "ends 49% below that of a look-up table"),
        ((0.0040, 0.0050, 0.0062), "not shown to learn more than a look-up table"),
        ((0.0080, 0.0081, 0.0082), "above that of a look-up table"),
    ],
)
def test_the_heading_of_figure_1_follows_the_last_epochs(profile, levels, expected):
    for seed, level in zip(SEEDS, levels, strict=True):
        write_history(profile.run(seed), 100, level)
    result = found(profile, "03_figure1.ipynb")
    assert expected in result.heading
    assert "0.0054" in result.sentence, "the loss of the look-up table"
    alone = replace(profile, seeds=(0,))
    assert "not shown" in found(alone, "03_figure1.ipynb").heading, "one seed has no interval"


def test_the_headings_of_pictures_follow_their_numbers(profile):
    def of(name: str, *numbers: dict[str, float]) -> str:
        shown = [
            CaptionedOutput(body="", label=f"Figure {place}.", caption="", numbers=each)
            for place, each in enumerate(numbers)
        ]
        return findings.finding(Results(profile), name, replace(NOTEBOOK, outputs=tuple(shown))).heading

    def psnr(gray: float, network: float, table: float) -> dict[str, float]:
        return {"gray input": gray, "prediction": network, "look-up table": table}

    name = "04_figures2_3.ipynb"
    one = of(name, psnr(18, 17, 16), psnr(14, 15, 14))
    assert one.startswith("On 1 of 2 example")
    assert "all 2 nearer than a look-up table" in one
    assert of(name, psnr(18, 17, 19), psnr(16, 15, 17)).startswith("On none of 2 example")
    assert of(name, {}) == NOTEBOOK.title
    averaged = [of("explore.ipynb", {"mean chroma": 20.0, "chroma of the mean": mean}) for mean in (8.0, 19.0)]
    assert "40%" in averaged[0]
    assert "nearly one color" in averaged[1]


def write_rows(profile: Profile, entry: str, rows: list[dict[str, Any]]) -> None:
    write_text(files(profile, entry)[0], pd.DataFrame(rows).to_csv(index=False))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 0.9, "gains 0.5 dB over gray"), (-0.1, 1.1, "not shown to be better than gray"), (-0.9, -0.1, "loses")],
)
def test_the_heading_on_published_colorizers_follows_the_gain_over_gray(profile, low, high, expected):
    gain = "gain over gray"
    rows = [{"method": "mean chroma", gain: 0.7}, {"method": ZHANG, gain: 2.04}]
    rows.append({"method": NETWORK, gain: (low + high) / 2, f"{gain} low": low, f"{gain} high": high})
    write_rows(profile, "published", rows)
    heading = plain(found(profile, "06_peers.ipynb").heading)
    assert "published network gains 2.0 dB" in heading
    assert expected in heading


def test_the_heading_on_sources_names_those_with_the_papers_error(profile):
    def row(source: str, method: str, error: float, low: float) -> dict[str, Any]:
        return {"source": f"{source}, 10 updates", "trained on": source, "method": method, "MSE": error, "MSE low": low}

    rows = [row("a", NETWORK, 0.006, 0.005), row("b", NETWORK, 0.007, 0.006)]
    rows += [row("a", "gray", 0.0098, 0.009), row("b", "gray", 0.02, 0.01)]
    write_rows(profile, "datasets", rows)
    assert "none of 2 sources" in found(profile, "08_sources.ipynb").heading
    assert "nearest on a with 0.0060" in found(profile, "08_sources.ipynb").sentence
    assert "none of 2 sources" in findings.opening(Results(profile), None)[2]
    rows[1]["MSE low"] = 0.004
    write_rows(profile, "datasets", rows)
    assert "on b, 1 of 2 sources" in found(profile, "08_sources.ipynb").heading


def test_the_heading_on_the_outlook_names_the_changes_that_help(profile):
    def row(point: str, low: float, high: float, method: str = NETWORK) -> dict[str, Any]:
        change = "change in PSNR of MSE"
        value = (low + high) / 2
        changes = {change: value, f"{change} low": low, f"{change} high": high}
        return {"point": point, "method": method, "updates": 3000} | changes

    rows = [row("l1", 0.1, 0.5), row("lab", -0.4, 0.2), row("bins", -2.0, -1.0), row("l1", 0.1, 0.9, NETWORK_TRUE_L)]
    write_rows(profile, "outlook", rows)
    result = found(profile, "07_outlook.ipynb")
    assert plain(result.heading).startswith("Of 3 changes to the method, l1 (+0.3 dB)")
    assert plain(result.heading).endswith("after 3,000 updates")
    assert plain(result.sentence) == "Worse: bins (-1.5 dB); undecided: lab (-0.1 dB)."
    write_rows(profile, "outlook", [row("l1", -0.1, 0.5), *rows[1:]])
    assert "none" in found(profile, "07_outlook.ipynb").heading


def test_results_that_do_not_exist_are_named(profile):
    missing = found(profile, "06_peers.ipynb")
    assert missing.heading == NOTEBOOK.title
    assert "peers.csv" in missing.sentence
    assert "make peers PROFILE=cpu" in missing.sentence
    files(profile, "table1")[0].unlink()
    with pytest.raises(NotMeasuredError, match="make table1 PROFILE=cpu"):
        findings.opening(Results(profile), None)


def test_the_opening_says_what_holds_elsewhere(profile):
    content = judged("cpu")
    gain = {"measure": "PSNR of MSE", "value": 0.0, "low": 0.0, "high": 0.0, "digits": 2, "unit": " dB"}
    places = {"at home": "better", "on one": "open", "on another": "worse"}
    content["claims"][2] |= {"id": "competitive"}
    content["claims"][2]["gains"] = [gain | {"place": place, "effect": effect} for place, effect in places.items()]
    assert "none of 2 other sources" in findings.opening(Results(profile), content)[1]
    content["claims"][2]["gains"][1]["effect"] = "better"
    assert "1 of 2 other sources" in findings.opening(Results(profile), json.loads(json.dumps(content)))[1]


def test_claims_are_counted_by_whether_they_hold():
    verdicts = ("reproduced", "within tolerance", "contradicted", "undecided", "not testable", "not measured")
    assert findings.of_claims([{"verdict": verdict} for verdict in verdicts]) == ("2 hold, 1 does not and 3 are open")
    assert findings.of_claims([{"verdict": "reproduced"}]) == "1 holds, 0 do not and 0 are open"


def test_the_comparison_with_one_color_counts_thirds():
    rows = [
        {"photographs": "a", "colorful": "least", "network is": "worse", BETTER_SHARE: 5.0},
        {"photographs": "a", "colorful": "most", "network is": "better", BETTER_SHARE: 80.0},
        {"photographs": "b", "colorful": "most", "network is": "undecided", BETTER_SHARE: 50.0},
    ]
    result = findings.one_color(Table(data=pd.DataFrame(rows), columns=[], caption=""))
    assert result.heading.startswith("On 1 of 3 thirds")
    assert result.heading.endswith("on 1 worse")
    assert "the most colorful third of a" in result.sentence
    assert "5 to 80 %" in result.sentence
    rows[0]["network is"] = "undecided"
    assert findings.one_color(Table(data=pd.DataFrame(rows), columns=[], caption="")).heading.endswith("on 0 worse")


def test_hints_say_what_they_add():
    data = pd.DataFrame({"hints": [0, 1, 5, 20], "paper: PSNR of MSE": [21.0, 21.8, 23.1, 24.9]})
    result = findings.hints(data, "paper")
    assert plain(result.heading) == "Telling it 5 colors adds 2.1 dB"
    assert "24.9" in result.sentence
