"""The result in one paragraph, for README.md, the report and the article, and the photographs on which it holds."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from colorlib.companion import paper
from colorlib.companion.artifacts import hints
from colorlib.companion.artifacts.published import IMAGENET, SOURCE, ZHANG
from colorlib.companion.claims.measurement import (
    HOME,
    PRIMARY_MEASURE,
    SHARE,
    Effect,
    Gain,
    gains,
    gains_sentences,
    primary_gain,
)
from colorlib.companion.costs import costs, multiply_adds_per_pixel
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.steps import (
    ALSO_SCORED,
    ELSEWHERE,
    LIGHTWEIGHT,
    PRIMARY,
    SEVERAL_SOURCES,
    STORY_POINTS,
    files,
    story_sweep,
)
from colorlib.companion.sweeps.summary import mean_change, read_summary
from colorlib.companion.tables import JOINED, Column, Table, measures, spread, summaries_by_seed
from colorlib.evaluate import NETWORK, NETWORK_TRUE_L
from colorlib.metrics import NEAR_GRAY_CHROMA, Score, psnr_of
from colorlib.photos.registry import scored_source

BUILT = ("gray-to-rgb", "output-range")
"""Claims on what the text says to build."""
MILLIONS = IMAGENET.partition(" photographs")[0]
SHOWN_HINTS = 5
"""Number of hints whose gain is told."""
UNDECIDED = "undecided"


def story(results: Results, claims: Mapping[str, Any] | None) -> str | None:
    """Return the paragraph; None for another profile than the primary one, and where no claims were judged.

    Where a result does not exist, its sentence says so.

    Args:
        results: of the profile.
        claims: the content of its claims.json.
    """
    if results.profile.name != PRIMARY or claims is None:
        return None
    by_id = {claim["id"]: claim for claim in claims["claims"]}
    parts: list[Callable[[Results, Mapping[str, Any]], str]] = [_built, _meaning, _bought, _changes, _small, _hints]
    sentences = []
    for part in parts:
        try:
            sentences.append(part(results, by_id))
        except NotMeasuredError as error:
            sentences.append(f"{error}.")
    return " ".join(sentences)


def _built(results: Results, claims: Mapping[str, Any]) -> str:
    """Return what can be built from the text, and where the paper's error was reached."""
    built = all(claims[name]["verdict"] == "reproduced" for name in BUILT)
    reached, sources = sources_reached(read_result(results, "datasets", "reproduce"))
    where = f"on none of {sources} sources of photographs"
    if reached:
        where = f"on {listed(reached)} ({len(reached)} of {sources} sources of photographs)"
    return (
        f"The network can{'' if built else 'not'} be built from the paper's text; the paper's squared error of "
        f"{paper.MSE} is reached {where}."
    )


def sources_reached(data: pd.DataFrame) -> tuple[list[str], int]:
    """Return the sources on which the network reaches the paper's error, and the number of all.

    An error is reached where the interval holds it, or is below it.

    Args:
        data: the table of data sets, sources.csv.
    """
    networks = data[data["method"] == NETWORK]
    reached = networks[networks["MSE low"] <= paper.MSE]["trained on"].unique()
    return list(reached), networks["trained on"].nunique()


def _meaning(results: Results, claims: Mapping[str, Any]) -> str:
    """Return what the paper's error would mean: dB over gray, a published network's gain, the part that gives it."""
    data = read_result(results, "datasets", "reproduce")
    published = read_result(results, "published", "peers").set_index("method")
    gray = {
        source.partition(", ")[0]: value
        for source, method, value in zip(data["source"], data["method"], data["PSNR of MSE"], strict=True)
        if method == "gray"
    } | {SOURCE: published["PSNR of MSE"]["gray"]}
    over = sorted((psnr_of(paper.MSE) - value, source) for source, value in gray.items())
    (first, nearest), *others = over
    listed = ", ".join(f"{gain:.1f} on {source}" for gain, source in others)
    share, images = part_with_error(results, paper.MSE)
    photos = results.profile.photos
    part = f"on {photos} the {share:.0%} least colorful test photographs would give it"
    if share in (0, 1):
        part = f"{'all' if share else 'none'} of the {images} test photographs of {photos} would give it"
    return (
        f"What that error means depends on the photographs: over the gray picture it would gain {first:.1f} dB on "
        f"{nearest}, {listed}; a published network that saw {MILLIONS} photographs gains "
        f"{published['gain over gray'][ZHANG]:.1f} on {SOURCE}; {part}."
    )


def part_with_error(results: Results, error: float) -> tuple[float, int]:
    """Return the largest share of the test photographs, the least colorful first, whose pooled MSE is at most `error`.

    The MSE is that of the network, a mean over seeds; the second number is that of all test photographs.
    """
    rows = [row for _, row in results.scores if row.method == NETWORK]
    errors: dict[str, list[float]] = {}
    for row in rows:
        errors.setdefault(row.image, []).append(row.mse)
    colorfulness = {row.image: row.truth_colorfulness for row in rows}
    ordered = [math.fsum(errors[image]) / len(errors[image]) for image in sorted(errors, key=lambda i: colorfulness[i])]
    counts = [n for n in range(1, len(ordered) + 1) if math.fsum(ordered[:n]) / n <= error]
    return max(counts, default=0) / len(ordered), len(ordered)


def _bought(results: Results, claims: Mapping[str, Any]) -> str:
    """Return what parameters and multiply-adds buy beyond a look-up table, at home and away."""
    found = _gains(claims["competitive"])
    home = {measure: [gain["effect"]] for (place, measure), gain in found.items() if place == HOME}
    places = list(dict.fromkeys(place for place, _ in found if place != HOME))
    away = {measure: [found[place, measure]["effect"] for place in places] for measure in home if places}
    elsewhere = _by_effect(away, places) if away else "nothing was scored"
    gain = found[HOME, PRIMARY_MEASURE]
    del home[PRIMARY_MEASURE]
    return (
        f"Beyond a 256-entry table from lightness to color, {int(claims['parameter-count']['measured']):,} parameters "
        f"and {multiply_adds_per_pixel(results.profile.config):,.0f} multiply-adds a pixel buy {_decibels(gain)} dB "
        f"of PSNR on {results.profile.photos}{_if_open(gain)}, with {_by_effect(home, [HOME])}; elsewhere {elsewhere}."
    )


def _changes(results: Results, claims: Mapping[str, Any]) -> str:
    """Return what would change it and what would not: gains in dB against the gap to the paper's error."""
    table = read_result(results, "table1", "table1").set_index("method")
    gap = psnr_of(paper.MSE) - psnr_of(float(table["MSE"][NETWORK]))
    own, unet = (multiply_adds_per_pixel(each.profile.config) for each in (results, results.other(LIGHTWEIGHT)))
    over_unet = _gains(claims["balance"])
    gained = [
        measure
        for (_, measure), gain in over_unet.items()
        if gain["effect"] == Effect.WORSE and measure != PRIMARY_MEASURE
    ]
    changes = {
        **{name: _of_points(results, *points) for name, points in STORY_POINTS.items()},
        "L1 in place of the squared error": (_reversed(_measured(claims["loss-simple"]), "measured"), ""),
        f"a U-Net with {unet / own:.0%} of the multiply-adds": (
            _reversed(over_unet[HOME, PRIMARY_MEASURE], "value"),
            f"better {listed([short_name(measure) for measure in gained])}" if gained else "",
        ),
    }
    enough = {name: change for name, change in changes.items() if _may_close(change[0], gap)}
    others = {name: change for name, change in changes.items() if name not in enough}
    parts = [
        f"{word} {', '.join(_change(name, *change) for name, change in group.items())}"
        for word, group in (("might be closed by", enough), ("is not closed by", others))
        if group
    ]
    return f"The gap of {gap:.1f} dB to the paper {' and '.join(parts)}."


def _small(results: Results, claims: Mapping[str, Any]) -> str:
    """Return what a network of a fraction of the multiply-adds gains at home and away, trained on both."""
    gained = gains_home_and_away(results)
    share, own = (multiply_adds_per_pixel(each.profile.config) for each in (results.other(SEVERAL_SOURCES), results))
    chosen = [(LIGHTWEIGHT, HOME, "that U-Net at home"), (ONE_COLOR, AWAY, f"one color {AWAY}")]
    parts = []
    for reference, place, words in chosen:
        gain = primary_gain(gained[reference], place)
        numbers = {"value": gain.value, "low": gain.low, "high": gain.high}
        parts.append(f"{_decibels(numbers)} dB{_if_open(numbers)}, against {words}")
    return (
        f"One that sees photographs shrunk, with {share / own:.1%} of the multiply-adds, trained on several sources, "
        f"is {parts[0]}, and {parts[1]}."
    )


def _hints(results: Results, claims: Mapping[str, Any]) -> str:
    """Return how many true colors on the gray picture are better than the U-Net, and what five add to the U-Net."""
    owner = results.other(LIGHTWEIGHT)
    _existing(owner, files(owner.profile, "hint_scores")[0], "hints")
    errors = hints.read_errors(owner.profile)
    count = errors.hints_instead_of(LIGHTWEIGHT)
    most = max(hints.COUNTS)
    gray, network = (hints.GRAY, count or most), (LIGHTWEIGHT, 0)
    over, added = (
        {"value": gain.value, "low": gain.low, "high": gain.high}
        for gain in (
            errors.gain(PRIMARY_MEASURE, gray, network),
            errors.gain(PRIMARY_MEASURE, (LIGHTWEIGHT, SHOWN_HINTS), network),
        )
    )
    colors = f"not even {most} true colors" if count is None else f"{count} true color{'' if count == 1 else 's'}"
    return (
        f"At random places of the gray picture, {colors} gain more than that U-Net ({_decibels(over)} dB"
        f"{_if_open(over)}); {SHOWN_HINTS} on its guess add {_decibels(added)}{_if_open(added)}."
    )


def _may_close(gain: Mapping[str, Any], gap: float) -> bool:
    """Return whether the gain, or the upper bound of its interval where there is one, is at least the gap."""
    return bool(gain["value"] >= gap or gain["high"] >= gap)


def _change(name: str, gain: Mapping[str, Any], note: str) -> str:
    """Return a change with its gain in dB; one whose interval holds zero is undecided."""
    return f"{name} ({'; '.join(filter(None, (f'{_decibels(gain)}{_if_open(gain)}', note)))})"


def _if_open(gain: Mapping[str, Any]) -> str:
    return f", {UNDECIDED}" if gain["low"] <= 0 <= gain["high"] else ""


def _of_points(results: Results, profile: str, sweep: str, point: str, reference: str) -> tuple[dict[str, float], str]:
    """Return the gain in dB of a sweep's point over another, seed by seed, with its interval over seeds, and a note.

    The note has the updates, where the reference was not trained as long as the network, and the number of seeds, where
    they are too few for an interval: its bounds are then NaN.
    """
    path = _existing(results, story_sweep(results.profile, profile, sweep), f"sweep SWEEP={sweep} PROFILE={profile}")
    rows = read_summary(path)
    gain = asdict(mean_change(rows, point, reference))
    updates = int(rows[rows["point"] == reference]["updates"].iloc[0])
    seeds = rows[rows["point"] == point]["seed"].nunique()
    notes = {
        f"{updates:,} updates": updates != results.updates,
        "one seed" if seeds == 1 else f"{seeds} seeds": math.isnan(gain["low"]),
    }
    return gain, ", ".join(note for note, needed in notes.items() if needed)


def _reversed(gain: Mapping[str, Any], value: str) -> dict[str, float]:
    """Return the gain of the other of two compared methods."""
    return {"value": -gain[value], "low": -gain["high"], "high": -gain["low"]}


def _measured(claim: Mapping[str, Any]) -> Mapping[str, Any]:
    if claim["measured"] is None or claim["low"] is None:
        raise NotMeasuredError(f"{claim['says'].rstrip('.')}: not measured")
    return claim


def _gains(claim: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the gains of a claim of quality by place and measure, without the one that decides nothing."""
    return {(gain["place"], gain["measure"]): gain for gain in _measured(claim)["gains"] if gain["measure"] != SHARE}


def _decibels(gain: Mapping[str, Any]) -> str:
    return f"{gain['value']:+.2f}"


def _by_effect(effects: Mapping[str, Sequence[str]], places: Sequence[str]) -> str:
    """Return the measures, grouped by their effects on the places, as text."""
    grouped: dict[tuple[str, ...], list[str]] = {}
    for measure, found in effects.items():
        grouped.setdefault(tuple(found), []).append(short_name(measure))
    return ", ".join(f"{listed(measures)} {_joint(found, places)}" for found, measures in grouped.items())


def _joint(effects: Sequence[str], places: Sequence[str]) -> str:
    """Return effects on several places as text: one word where they are equal, else those that are shown."""
    words = [UNDECIDED if effect == Effect.OPEN else str(effect) for effect in effects]
    if len(set(words)) == 1:
        return words[0]
    shown = [(word, place) for word, place in zip(words, places, strict=True) if word != UNDECIDED]
    return " and ".join(f"{word} {place} only" for word, place in shown)


def short_name(measure: str) -> str:
    """Return a measure's name in sentences."""
    return {PRIMARY_MEASURE: "PSNR"}.get(measure, measure.removeprefix("fall of "))


def listed(names: Sequence[str]) -> str:
    """Return names as text: `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def read_result(results: Results, entry: str, target: str) -> pd.DataFrame:
    """Read the CSV file of an entry of `FILES`.

    Raises:
        NotMeasuredError: it does not exist; `target` of make writes it.
    """
    return pd.read_csv(_existing(results, files(results.profile, entry)[0], target))


def _existing(results: Results, path: Path, target: str) -> Path:
    if not path.is_file():
        name = path.relative_to(results.profile.results.parent.parent).as_posix()
        raise NotMeasuredError(f"There is no {name}; {results.command(target)} makes it")
    return path


# Where it holds

THIRDS = ("least", "middle", "most")
"""Thirds of the photographs by the colorfulness of the ground truth."""
ONE_COLOR = "mean chroma"
"""The baseline that is one constant color."""
BETTER_SHARE, GAIN = "nearer the truth (%)", "gain in PSNR of MSE"


def compare_with_one_color(results: Results) -> Table:
    """Return a table of where the network is better than one constant color, and where it is worse.

    A row for each third of each scored set of photographs, by the colorfulness of the ground truth. Numbers come from
    scores of single photographs; sets that were not scored are named in the caption.
    """
    sets: dict[str, Callable[[], list[tuple[int | None, Score]]]] = {results.profile.photos: lambda: results.scores}
    if results.profile.name == PRIMARY:
        sets |= {SOURCE: lambda: results.published, ELSEWHERE: results.scores_elsewhere}
    records, missing = [], []
    for name, read in sets.items():
        try:
            records += [_third_record(results, name, third, rows) for third, rows in _thirds(read())]
        except NotMeasuredError as error:
            missing.append(f" {error}.")
    data = pd.DataFrame(records)
    return Table(
        data=data,
        columns=[
            *(Column(name=name) for name in ("photographs", "colorful", "images")),
            Column(name=BETTER_SHARE, digits=0),
            Column(name=GAIN, digits=2),
            Column(name="network is"),
        ],
        caption=(
            f"The network against one constant color (mean a and b of {results.profile.photos}/train), on thirds of "
            "the test photographs by the colorfulness of the truth, near gray ones left out: share of the photographs "
            "on which its error is lower, mean over seeds, and gain in PSNR of the pooled MSE, in dB. In brackets: "
            f"{JOINED if len(results.profile.seeds) > 1 else '95 % bootstrap interval over images'}. Better or worse: "
            f"the whole interval is.{''.join(missing)}"
        ),
    )


def _thirds(rows: Sequence[tuple[int | None, Score]]) -> list[tuple[str, list[tuple[int | None, Score]]]]:
    """Return the rows of each third of the photographs that are not near gray, the least colorful first."""
    colored = [row for row in rows if row[1].truth_chroma >= NEAR_GRAY_CHROMA]
    colorfulness = {row.image: row.truth_colorfulness for _, row in colored}
    ordered = sorted(colorfulness, key=lambda image: colorfulness[image])
    bounds = [len(ordered) * i // len(THIRDS) for i in range(len(THIRDS) + 1)]
    chosen = [set(ordered[low:high]) for low, high in pairwise(bounds)]
    return [
        (third, [row for row in colored if row[1].image in images])
        for third, images in zip(THIRDS, chosen, strict=True)
    ]


def _third_record(
    results: Results, name: str, third: str, rows: Sequence[tuple[int | None, Score]]
) -> dict[str, str | float]:
    found = {gain.measure: gain for gain in gains(rows, results.profile.seeds, NETWORK, ONE_COLOR, place=name)}
    gain = found[PRIMARY_MEASURE]
    return {
        "photographs": name,
        "colorful": third,
        "images": len({row.image for _, row in rows}),
        BETTER_SHARE: 100 * (found[SHARE].value + 0.5),
        GAIN: gain.value,
        f"{GAIN} low": gain.low,
        f"{GAIN} high": gain.high,
        "network is": UNDECIDED if gain.effect is Effect.OPEN else str(gain.effect),
    }


# At home and away

AWAY = f"on {ELSEWHERE}"
PLACES = {f"on {photos}": photos for photos in (ELSEWHERE, *ALSO_SCORED)}
"""Name of a place in the table -> its photographs; `HOME` has those of the profile itself."""
OVER_ONE_COLOR, OVER_PAPER = "gain over one color", "gain over the paper's network"
SHOWN = measures("psnr_of_mse", "ssim", "delta_e00", "colorfulness")


def gains_home_and_away(results: Results) -> dict[str, list[Gain]]:
    """Return the gains of the small colorizer over one color and over the networks of `paper` and `lightweight`.

    At home are the test photographs of the profile's first source, which all three were trained on; away are those of
    `ELSEWHERE`, a source that the small colorizer alone was trained on. Networks are judged by their a and b with the
    photograph's own L, as `colorlib colorize` takes them; one color is the mean of the training photographs of each.

    Args:
        results: of any profile in the checkout.

    Returns:
        For each of the three, gains at home and away in five measures.

    Raises:
        NotMeasuredError: a network was not trained or scored; the message has the command.
    """
    networks, seeds = _compared(results)
    gained: dict[str, list[Gain]] = {ONE_COLOR: [], PRIMARY: [], LIGHTWEIGHT: []}
    for place in (HOME, AWAY):
        rows = _colored_scores(networks, place)
        for reference, found in gained.items():
            name = f"{ONE_COLOR}, {SEVERAL_SOURCES}" if reference == ONE_COLOR else reference
            found += gains(rows, seeds, SEVERAL_SOURCES, name, place=place)
    return gained


def table_home_and_away(results: Results) -> Table:
    """Return the scores of the networks and colors of `gains_home_and_away` as a table, on two sources more.

    Raises:
        NotMeasuredError: as `gains_home_and_away`.
    """
    networks, seeds = _compared(results)
    records: list[dict[str, Any]] = []
    for place in (HOME, *PLACES):
        rows = _colored_scores(networks, place)
        over_paper = summaries_by_seed(rows, reference=PRIMARY)
        for each in networks:
            name, color = each.profile.name, f"{ONE_COLOR}, {each.profile.name}"
            over_color = summaries_by_seed(rows, reference=color)
            for method in (color, name):
                records.append(
                    {"photographs": place, "method": method, "images": over_paper[method][0].images}
                    | spread(over_paper[method], SHOWN | {"psnr_gain": Column(name=OVER_PAPER)})
                    | spread(over_color[method], {"psnr_gain": Column(name=OVER_ONE_COLOR)})
                )
    data = pd.DataFrame(records)
    small, papers = (costs(results.other(name).profile.config) for name in (SEVERAL_SOURCES, PRIMARY))
    share = small["multiply-adds per pixel"] / papers["multiply-adds per pixel"]
    images = data.drop_duplicates("photographs").set_index("photographs")["images"]
    trained_on = {scored_source(part) for part in networks[-1].profile.photos.split("+")}
    alone, none = (
        listed([f"{images[name]} of {photos}" for name, photos in PLACES.items() if (photos in trained_on) is known])
        for known in (True, False)
    )
    return Table(
        data=data,
        columns=[
            *(Column(name=name) for name in ("photographs", "method")),
            *SHOWN.values(),
            Column(name=OVER_ONE_COLOR, digits=2),
            Column(name=OVER_PAPER, digits=2),
        ],
        caption=(
            f"Three networks, each with the photograph's own L, and one color, the mean of the training photographs of "
            f"each. The small one has {small['parameters']:,.0f} parameters and, because it sees photographs shrunk, "
            f"{share:.2%} of the paper's multiply-adds. At home: {images[HOME]} test photographs of "
            f"{networks[0].profile.photos}, a source of all three; away: {alone}, where the small one alone was "
            f"trained, and {none}, where none was; near-gray photographs are left out. {len(seeds)} "
            f"seeds. In brackets: {JOINED}; gains are differences in PSNR of MSE, in dB."
        ),
    )


def _compared(results: Results) -> tuple[list[Results], list[int]]:
    """Return the results of the three compared networks, and the seeds that all have."""
    networks = [results.other(name) for name in (PRIMARY, LIGHTWEIGHT, SEVERAL_SOURCES)]
    return networks, [
        seed for seed in networks[0].profile.seeds if all(seed in each.profile.seeds for each in networks)
    ]


def _colored_scores(networks: Sequence[Results], place: str) -> list[tuple[int | None, Score]]:
    """Return `_named_scores` of all networks on photographs that are not near gray, as `gains` takes them."""
    named = [row for each in networks for row in _named_scores(each, place)]
    return [row for row in named if row[1].truth_chroma >= NEAR_GRAY_CHROMA]


def _named_scores(results: Results, place: str) -> list[tuple[int | None, Score]]:
    """Return the scores of a profile's network and of its one color, methods named after the profile."""
    scores = results.scores if place == HOME else results.scores_elsewhere(PLACES[place])
    name = results.profile.name
    names = {NETWORK_TRUE_L: name, ONE_COLOR: f"{ONE_COLOR}, {name}"}
    # Photographs of several sources are named by the number of their source first
    return [
        (seed, replace(row, method=names[row.method], image=row.image.removeprefix("0/")))
        for seed, row in scores
        if row.method in names
    ]


def home_and_away_sentences(gained: Mapping[str, Sequence[Gain]]) -> list[str]:
    """Return the outcome of each comparison of the small colorizer by the rule for claims of quality."""
    words = {ONE_COLOR: "one color", PRIMARY: "the paper's network", LIGHTWEIGHT: f"the network of {LIGHTWEIGHT}"}
    return [f"The small colorizer against {words[name]}. {gains_sentences(found)}" for name, found in gained.items()]
