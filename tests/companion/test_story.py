"""The story: its sentences follow the committed numbers, in three places; where the network is worse."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.committed import edit

from colorlib.companion import paper
from colorlib.companion.artifacts.hints import read_errors
from colorlib.companion.claims.measurement import HOME, PRIMARY_MEASURE, Effect, primary_gain
from colorlib.companion.claims.text import read_verdicts
from colorlib.companion.report import page
from colorlib.companion.report.findings import small_colorizer
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.steps import (
    LIGHTWEIGHT,
    PRIMARY,
    SEVERAL_SOURCES,
    STORY_POINTS,
    elsewhere_files,
    files,
    inputs,
    other_profile,
    story_inputs,
    story_sweep,
)
from colorlib.companion.story import (
    AWAY,
    ONE_COLOR,
    compare_with_one_color,
    gains_home_and_away,
    home_and_away_sentences,
    part_with_error,
    story,
    table_home_and_away,
)
from colorlib.files import write_json
from colorlib.metrics import NEAR_GRAY_CHROMA, psnr_of
from colorlib.profiles import PROJECT, Profile, load_profile


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """Copies of the committed files that the story reads."""
    committed = load_profile(PRIMARY)
    runs = [committed.run(seed) / name for seed in committed.seeds for name in ("history.csv", "weights.safetensors")]
    for path in [*story_inputs(committed), *runs, *inputs(committed)["table1"]]:
        copy = tmp_path / path.relative_to(PROJECT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return replace(committed, root=tmp_path)


def told(profile: Profile) -> str:
    """The story of a profile's results."""
    text = story(Results(profile), read_verdicts(files(profile, "claims")[0], profile.name))
    assert text is not None
    return text


def change_claim(profile: Profile, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change an entry of claims.json."""
    path = files(profile, "claims")[0]
    content = json.loads(path.read_text())
    (entry,) = [entry for entry in content["claims"] if entry["id"] == name]
    change(entry)
    content["counts"] = {name: sum(one["verdict"] == name for one in content["claims"]) for name in content["counts"]}
    write_json(path, content)


def set_gain(place: str, measure: str, **numbers: Any) -> Callable[[dict[str, Any]], None]:
    def change(entry: dict[str, Any]) -> None:
        (gain,) = [gain for gain in entry["gains"] if (gain["place"], gain["measure"]) == (place, measure)]
        gain.update(numbers)

    return change


def sentences(text: str) -> list[str]:
    return text.split(". ")


def test_it_is_short_and_says_what_the_intervals_allow(profile):
    text = told(profile)
    assert len(text.split()) <= 240
    built, meaning, bought, changes, small, hints = sentences(text)
    table = pd.read_csv(files(profile, "table1")[0]).set_index("method")
    assert f"{paper.MSE}" in built
    assert f"{psnr_of(paper.MSE) - table['PSNR of MSE']['gray']:.1f} on bsds500" in meaning
    published = pd.read_csv(files(profile, "published")[0]).set_index("method")
    assert f"gains {published['gain over gray']['Zhang, no rebalancing']:.1f} on zhang2016" in meaning
    assert f"{psnr_of(paper.MSE) - table['PSNR of MSE']['network']:.1f} dB" in changes
    home, away = bought.split("elsewhere")
    assert "SSIM worse" in home
    assert "mean PSNR and ΔE00 undecided" in home
    assert away.startswith(" PSNR undecided")
    assert "SSIM and ΔE00 worse" in away
    assert "better" not in home + away
    errors = read_errors(load_profile("lightweight"))
    gain = errors.gain("PSNR of MSE", ("gray", 2), ("lightweight", 0))
    assert f"2 true colors gain more than that U-Net ({gain.value:+.2f} dB)" in hints
    added = errors.over_none("PSNR of MSE", "lightweight", 5)
    assert f"add {added.value:+.2f}" in hints
    gained = gains_home_and_away(Results(profile))
    for reference, place in ((LIGHTWEIGHT, HOME), (ONE_COLOR, AWAY)):
        value = next(g.value for g in gained[reference] if (g.place, g.measure) == (place, PRIMARY_MEASURE))
        assert f"{value:+.2f} dB" in small


def test_it_is_the_same_in_three_places():
    results = Results(load_profile(PRIMARY))
    text = told(results.profile)
    assert f"-->\n{text}\n<!-- end -->" in page.README.read_text(encoding="utf-8")
    template = (page.TEMPLATES / "report" / "report.html.j2").read_text(encoding="utf-8")
    assert template.index("{{ story }}") < template.index("{{ errors }}")
    article = (PROJECT / "paper" / "companion.typ").read_text(encoding="utf-8")
    assert article.index("rich(d.story)") < article.index("= The paper")


def test_another_profile_and_results_without_claims_have_none():
    assert story(Results(load_profile("cpu")), {"claims": []}) is None
    assert story(Results(load_profile(PRIMARY)), None) is None


def test_reaching_the_papers_error_turns_it(profile):
    before = sentences(told(profile))[0]
    edit(
        files(profile, "datasets")[0],
        lambda row: {"MSE low": 0.0043} if (row["method"], row["trained on"]) == ("network", "cifar10") else {},
    )
    after = sentences(told(profile))[0]
    assert "none of 4" in before
    assert "cifar10 (1 of 4" in after
    change_claim(profile, "gray-to-rgb", lambda entry: entry.update(verdict="contradicted"))
    assert "cannot be built" in told(profile)
    assert "cannot be built" not in before


def test_the_part_of_the_photographs_that_gives_the_error(profile):
    share, images = part_with_error(Results(profile), paper.MSE)
    # Independently, with pandas
    rows = pd.read_csv(files(profile, "scores")[0])
    rows = rows[rows["method"] == "network"].groupby("image").mean(numeric_only=True).sort_values("truth_colorfulness")
    pooled = rows["mse"].expanding().mean().to_numpy()
    assert images == len(rows) == 200
    assert share == pytest.approx((pooled <= paper.MSE).nonzero()[0][-1] / 200 + 1 / 200)
    assert f"{share:.0%} least colorful" in told(profile)
    edit(files(profile, "scores")[0], lambda row: {"mse": float(row["mse"]) / 2} if row["method"] == "network" else {})
    assert part_with_error(Results(profile), paper.MSE)[0] == 1
    assert "all of the 200" in told(profile)


@pytest.mark.parametrize(
    ("place", "measure", "effect", "before", "after"),
    [
        ("at home", "SSIM", "better", "SSIM worse; elsewhere", "SSIM better; elsewhere"),
        ("at home", "mean PSNR", "worse", "mean PSNR and ΔE00 undecided", "mean PSNR and SSIM worse"),
        ("on zhang2016", "mean PSNR", "open", "mean PSNR worse on zhang2016 only", "PSNR and mean PSNR undecided"),
        (
            "on zhang2016",
            "PSNR of MSE",
            "better",
            "elsewhere PSNR undecided",
            "elsewhere PSNR better on zhang2016 only",
        ),
    ],
)
def test_what_the_network_buys_follows_each_interval(profile, place, measure, effect, before, after):
    first = told(profile)
    change_claim(profile, "competitive", set_gain(place, measure, effect=effect))
    second = told(profile)
    assert before in first
    assert after in second
    assert after not in first


def test_a_gain_at_home_whose_interval_holds_zero_is_undecided(profile):
    assert "dB of PSNR on bsds500, with mean" in told(profile)
    change_claim(profile, "competitive", set_gain("at home", "PSNR of MSE", low=-0.1))
    assert "dB of PSNR on bsds500, undecided, with mean" in told(profile)


def test_a_change_that_could_close_the_gap_turns_it(profile):
    first = sentences(told(profile))[-3]
    assert "might be closed" not in first
    change_claim(profile, "loss-simple", lambda entry: entry.update(low=-3.0))
    assert "might be closed by L1 in place" in told(profile)
    edit(
        story_sweep(profile, "cpu", "data_scaling"),
        lambda row: {"PSNR of MSE": 23.0 + 0.01 * int(row["seed"])} if row["point"] == "all" else {},
    )
    assert "ten times the photographs (+" in told(profile)
    assert "ten times the photographs (-0" in first


@pytest.mark.parametrize("name", STORY_POINTS)
def test_what_a_sweep_gains_turns_it(profile, name: str):
    owner, sweep, point, _ = STORY_POINTS[name]
    assert "might be closed" not in told(profile)
    edit(
        story_sweep(profile, owner, sweep),
        lambda row: {"PSNR of MSE": 5 + float(row["PSNR of MSE"])} if row["point"] == point else {},
    )
    assert f"might be closed by {name} (+" in told(profile)
    story_sweep(profile, owner, sweep).unlink()
    assert f"make sweep SWEEP={sweep} PROFILE={owner}" in told(profile)


def test_on_few_seeds_it_says_so_and_on_more_it_has_an_interval(profile):
    path = story_sweep(profile, *STORY_POINTS["ten times the updates"][:2])
    assert "ten times the updates (-0.02; one seed)" in told(profile)
    assert "ten times the photographs (-0.08, undecided; 3,000 updates)" in told(profile)
    rows = pd.read_csv(path)
    rows["PSNR of MSE"] += rows["point"] == "tenfold"
    rows.assign(seed=1).to_csv(path, index=False)
    assert "ten times the updates (+0.98; one seed)" in told(profile)
    seeds = [rows.assign(seed=seed) for seed in range(3)]
    for shift, each in zip((-2.0, -1.0, 0.0), seeds, strict=True):
        each["PSNR of MSE"] += shift * (each["point"] == "tenfold")
    pd.concat(seeds[:2]).to_csv(path, index=False)
    assert "ten times the updates (-0.52; 2 seeds)" in told(profile)
    pd.concat(seeds).to_csv(path, index=False)
    # +0.98, -0.02 and -1.02: an interval of Student's t that reaches the gap
    assert "might be closed by ten times the updates (-0.02, undecided)" in told(profile)


def test_what_hints_gain_turns_it(profile):
    path = files(other_profile(profile, "lightweight"), "hint_scores")[0]
    content = path.read_bytes()
    # One hint is better than the network on each photograph
    edit(path, lambda row: {"mse": 1e-4} if (row["method"], row["hints"]) == ("gray", "1") else {})
    assert " 1 true color gain" in told(profile)
    # No number of hints is, and they add nothing to the network
    path.write_bytes(content)
    edit(path, lambda row: {"mse": 0.02} if row["method"] == "gray" or row["hints"] == "5" else {})
    text = told(profile)
    assert "not even 20 true colors" in text
    assert "(-" in sentences(text)[-1]
    edit(path, lambda row: {"mse": 0.02} if row["method"] == "lightweight" else {})
    assert sentences(told(profile))[-1].count("undecided") == 2
    path.unlink()
    assert "results/lightweight/hints.csv" in told(profile)
    assert "make hints" in told(profile)


def test_a_missing_result_is_named(profile):
    files(profile, "published")[0].unlink()
    text = told(profile)
    assert "results/paper/peers.csv" in text
    assert "make peers PROFILE=paper" in text
    assert "256-entry table" in text, "the other sentences stay"


@pytest.mark.slow
def test_the_page_shows_where_one_color_is_better(profile):
    table = compare_with_one_color(Results(profile)).data
    sets = table["photographs"].unique().tolist()
    assert sets == ["bsds500", "zhang2016", "imagenet-sample@256"]
    assert table.groupby("photographs")["images"].sum()["bsds500"] == 200
    assert {"better", "worse", "undecided"} == set(table["network is"])
    for row in table.to_dict("records"):
        low, high = row["gain in PSNR of MSE low"], row["gain in PSNR of MSE high"]
        assert row["network is"] == ("better" if low > 0 else "worse" if high < 0 else "undecided")
    # The pooled gain of one third, independently
    rows = pd.read_csv(files(profile, "scores")[0])
    most = rows[["image", "truth_colorfulness"]].drop_duplicates().sort_values("truth_colorfulness")["image"][-67:]
    rows = rows[rows["image"].isin(most)]
    color = rows[rows["method"] == "mean chroma"]["mse"].mean()
    gains = [psnr_of(rows[(rows["method"] == "network") & (rows["seed"] == s)]["mse"].mean()) for s in profile.seeds]
    assert table["gain in PSNR of MSE"][2] == pytest.approx(sum(gains) / 3 - psnr_of(color))


@pytest.mark.slow
def test_sets_that_were_not_scored_are_named(profile):
    elsewhere_files(profile)[0].unlink()
    table = compare_with_one_color(Results(profile))
    assert table.data["photographs"].unique().tolist() == ["bsds500", "zhang2016"]
    assert "imagenet-sample@256 was not scored" in table.caption


@pytest.mark.slow
def test_the_small_colorizer_is_compared_at_home_and_away(profile):
    gained, table = gains_home_and_away(Results(profile)), table_home_and_away(Results(profile))
    rows = table.data.set_index(["photographs", "method"])
    assert (rows.loc[HOME, "images"] == 200).all()
    assert (rows.loc[AWAY, "images"] == 80).all()
    assert (rows.loc["on zhang2016", "images"] == 193).all()
    assert (rows.loc["on cifar10", "images"] == 976).all()
    assert "80 of imagenet-sample@256 and 976 of cifar10, where the small one alone" in table.caption
    assert "193 of zhang2016, where none was; near-gray photographs are left out" in table.caption
    # Independently: errors pooled over the photographs, mean over seeds
    small, papers = (other_profile(profile, name) for name in (SEVERAL_SOURCES, PRIMARY))
    for place, pooled in {HOME: home_levels, AWAY: away_levels}.items():
        own, theirs = (pooled(each, "network, true L") for each in (small, papers))
        row = rows.loc[place, SEVERAL_SOURCES]
        assert row["PSNR of MSE"] == pytest.approx(own)
        assert row["gain over the paper's network"] == pytest.approx(own - theirs)
        assert row["gain over one color"] == pytest.approx(own - pooled(small, ONE_COLOR))
        for reference, column in {PRIMARY: "gain over the paper's network", ONE_COLOR: "gain over one color"}.items():
            assert row[column] == pytest.approx(primary_gain(gained[reference], place).value)
    assert list(gained) == [ONE_COLOR, PRIMARY, LIGHTWEIGHT]
    for found in gained.values():
        assert [(gain.place, gain.measure) for gain in found[::5]] == [(HOME, PRIMARY_MEASURE), (AWAY, PRIMARY_MEASURE)]
    assert len(home_and_away_sentences(gained)) == 3


def level(table: pd.DataFrame, method: str) -> float:
    """PSNR of the pooled error of a method, on photographs that are not near gray."""
    return psnr_of(table[(table["method"] == method) & (table["truth_chroma"] >= NEAR_GRAY_CHROMA)]["mse"].mean())


def home_levels(profile: Profile, method: str) -> float:
    table = pd.read_csv(files(profile, "scores")[0])
    if method == ONE_COLOR:
        return level(table, method)
    return sum(level(table[table["seed"] == seed], method) for seed in profile.seeds) / len(profile.seeds)


def away_levels(profile: Profile, method: str) -> float:
    baselines, runs = elsewhere_files(profile)
    tables = [pd.read_csv(path) for path in ([baselines] if method == ONE_COLOR else runs)]
    return sum(level(table, method) for table in tables) / len(tables)


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "words"), [(0.5, "better than one color away"), (2.0, "worse than one color away")])
def test_the_finding_on_the_small_colorizer_turns_with_its_scores(profile, factor: float, words: str):
    for path in elsewhere_files(other_profile(profile, SEVERAL_SOURCES))[1]:
        edit(path, lambda row: {"mse": factor * float(row["mse"]), "psnr": psnr_of(factor * float(row["mse"]))})
    gained = gains_home_and_away(Results(profile))
    away = next(g for g in gained[ONE_COLOR] if (g.place, g.measure) == (AWAY, PRIMARY_MEASURE))
    assert away.effect is (Effect.BETTER if factor < 1 else Effect.WORSE)
    assert words in small_colorizer(gained).heading


def test_a_small_colorizer_that_was_not_scored_is_named(profile):
    elsewhere_files(other_profile(profile, SEVERAL_SOURCES))[1][0].unlink()
    with pytest.raises(NotMeasuredError, match=r"colorlib evaluate results/small/seed-0 --photos imagenet-sample@256"):
        gains_home_and_away(Results(profile))
