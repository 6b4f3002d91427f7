"""The result of each section of the report as a heading and a sentence, and the story in three sentences.

All are computed from results: whole intervals decide which words are said.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pandas as pd

from colorlib.companion import paper
from colorlib.companion.artifacts.published import IMAGENET, ZHANG
from colorlib.companion.claims.measurement import (
    HOME,
    PRIMARY_MEASURE,
    SHARE,
    Effect,
    Gain,
    effect_of,
    gains,
    primary_gain,
)
from colorlib.companion.report.notebook_html import ExecutedNotebook
from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.steps import PRIMARY, files
from colorlib.companion.story import (
    AWAY,
    BETTER_SHARE,
    ONE_COLOR,
    home_and_away_sentences,
    listed,
    read_result,
    sources_reached,
)
from colorlib.companion.sweeps.summary import students_interval
from colorlib.companion.tables import Table
from colorlib.evaluate import NETWORK, read_baseline_losses
from colorlib.model import parameter_count

BASELINE_WORDS = {"gray": "the gray picture", "mean chroma": "one constant color", "look-up table": "a look-up table"}
THIRD_WORDS = {
    "least": "the least colorful third",
    "middle": "the middle third",
    "most": "the most colorful third",
}
"""Words for `story.THIRDS`."""
HOLD = ("reproduced", "within tolerance")
FAIL = ("differs (on our data)", "contradicted")
LAST_EPOCHS = 10
"""Epochs over which a noisy loss is averaged."""
DULLER = 0.9
"""Chroma of a mean color, as a share of the mean chroma, below which averaging is called dulling."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of a section."""

    heading: str
    """A sentence without its full stop."""
    sentence: str = ""
    """The numbers behind it."""

    def __post_init__(self) -> None:
        """Keep numbers and their unit on one line."""
        for name in ("heading", "sentence"):
            object.__setattr__(self, name, getattr(self, name).replace(" dB", "\u00a0dB"))


def finding(results: Results, name: str, notebook: ExecutedNotebook) -> Finding:
    """Return the result that an executed notebook shows; its title where no result is computed from it.

    Args:
        results: of the profile.
        name: file name of the notebook, for example `05_table1.ipynb`.
        notebook: its parts; some numbers stand with its figures.
    """
    if name == "04_figures2_3.ipynb":
        return _examples(notebook)
    if name == "explore.ipynb":
        return _averages(notebook)
    computed: dict[str, Callable[[Results], Finding]] = {
        "03_figure1.ipynb": _loss,
        "05_table1.ipynb": _errors,
        "06_peers.ipynb": published,
        "07_outlook.ipynb": outlook,
        "08_sources.ipynb": _sources,
    }
    if name not in computed:
        return Finding(heading=notebook.title)
    try:
        return computed[name](results)
    except NotMeasuredError as error:
        return Finding(heading=notebook.title, sentence=f"{error}.")


def opening(results: Results, claims: Mapping[str, Any] | None) -> list[str]:
    """Return three sentences: what the paper reports, what was found, and why.

    Args:
        results: of the profile.
        claims: the content of its claims.json, if its method is the paper's and they were judged.
    """
    network = _test_rows(results)[NETWORK]
    found = _compare(results, _best_baseline(results)[0])
    away = _away(claims)
    sentences = [
        f"The paper reports a squared error of {paper.MSE} ({paper.PSNR} dB) for a lightweight network of about "
        f"{paper.PARAMETERS:,} parameters, on photographs that it does not name.",
        f"Built from its text, the network has {_parameters(results):,} parameters and reaches {network['MSE']:.4f} "
        f"({network['PSNR of MSE']:.2f} dB) on the {int(network['images'])} test photographs of "
        f"{results.profile.photos}, where it {found}{away}.",
    ]
    if results.profile.changes:
        sentences[1] = (
            f"This is another network, of {_parameters(results):,} parameters: it reaches {network['MSE']:.4f} "
            f"({network['PSNR of MSE']:.2f} dB) on the {int(network['images'])} test photographs of "
            f"{results.profile.photos}, where it {found}."
        )
        return sentences
    field = 2 * results.network().halo + 1
    try:
        reached, sources = sources_reached(read_result(results, "datasets", "reproduce"))
    except NotMeasuredError:
        where = ""
    else:
        where = (
            f"; the paper's error is reached on {listed(reached) if reached else 'none'} of {sources} sources of "
            "photographs"
        )
    return [
        *sentences,
        f"It sees {field} × {field} pixels at a time and predicts the average of the colors that such a patch can "
        f"have{where}.",
    ]


def of_claims(claims: Sequence[Mapping[str, Any]]) -> str:
    """Return how many claims hold, do not hold and are open, as a phrase."""
    counts = Counter(
        "hold" if claim["verdict"] in HOLD else "do not" if claim["verdict"] in FAIL else "open" for claim in claims
    )
    one = {"hold": "holds", "do not": "does not", "open": "is open"}
    several = {"hold": "hold", "do not": "do not", "open": "are open"}
    parts = [f"{counts[name]} {one[name] if counts[name] == 1 else words}" for name, words in several.items()]
    return listed(parts)


def small_colorizer(gained: Mapping[str, Sequence[Gain]]) -> Finding:
    """Return how the small colorizer compares with the paper's network at home and with one color away.

    Args:
        gained: of `story.gains_home_and_away`.
    """
    home, away = primary_gain(gained[PRIMARY], HOME), primary_gain(gained[ONE_COLOR], AWAY)
    words = {Effect.BETTER: "better than", Effect.WORSE: "worse than", Effect.OPEN: "not told apart from"}
    return Finding(
        heading=(
            f"A small colorizer trained on several sources is {words[home.effect]} the paper's network at home, and "
            f"{words[away.effect]} one color away from home"
        ),
        sentence=" ".join(home_and_away_sentences(gained)),
    )


def one_color(compared: Table) -> Finding:
    """Return where the network is better than one constant color, and where worse."""
    rows = compared.data.to_dict("records")
    if not rows:
        return Finding(heading="The network was not compared with one constant color")
    named: dict[str, list[str]] = {}
    for row in rows:
        named.setdefault(row["network is"], []).append(f"{THIRD_WORDS[row['colorful']]} of {row['photographs']}")
    better, worse = named.get("better", []), named.get("worse", [])
    least, most = (min(rows, key=lambda row: row[BETTER_SHARE]), max(rows, key=lambda row: row[BETTER_SHARE]))
    parts = [f"{word}: {listed(names)}" for word, names in (("Better", better), ("worse", worse)) if names]
    return Finding(
        heading=(
            f"On {len(better)} of {len(rows)} thirds of the photographs the network is better than one constant color, "
            f"on {len(worse)} worse"
        ),
        sentence=(
            f"{'; '.join(parts)}{'; ' if parts else ''}its error is lower on {least[BETTER_SHARE]:.0f} to "
            f"{most[BETTER_SHARE]:.0f} % of the photographs of a third."
        ),
    )


def hints(data: pd.DataFrame, method: str) -> Finding:
    """Return what hints add to a network.

    Args:
        data: of the first of `artifacts.hints.level_tables`.
        method: the network.
    """
    psnr = data.set_index("hints")[f"{method}: {PRIMARY_MEASURE}"]
    few = [count for count in psnr.index if 0 < count <= 5]
    most = max(psnr.index)
    steps = listed([f"with {count} {psnr[count]:.1f}" for count in (*few, most)])
    return Finding(
        heading=f"Telling it {max(few)} colors adds {psnr[max(few)] - psnr[0]:.1f} dB",
        sentence=f"Without hints it has {psnr[0]:.1f} dB, {steps}; a hint is the true color of a small place.",
    )


# One notebook after another


def _loss(results: Results) -> Finding:
    losses = read_baseline_losses(files(results.profile, "data")[1])
    best = min(losses, key=lambda name: losses[name])
    histories = results.histories
    ends = [fmean(row["validation_loss"] for row in history[-LAST_EPOCHS:]) for history in histories]
    falls = [1 - end / losses[best] for end in ends]
    effect = effect_of(*students_interval(falls)) if len(falls) > 1 else Effect.OPEN
    words = BASELINE_WORDS[best]
    heading = {
        Effect.BETTER: f"On validation crops the network's loss ends {fmean(falls):.0%} below that of {words}",
        Effect.OPEN: f"On validation crops the network is not shown to learn more than {words} does",
        Effect.WORSE: f"On validation crops the network's loss ends {-fmean(falls):.0%} above that of {words}",
    }[effect]
    at = min(paper.EPOCH, len(histories[0]))
    training = fmean(history[at - 1]["training_loss"] for history in histories)
    return Finding(
        heading=heading,
        sentence=(
            f"Over the last {min(LAST_EPOCHS, len(histories[0]))} epochs its validation loss is {fmean(ends):.4f}, "
            f"that of {words} is {losses[best]:.4f}; the training loss at epoch {at} is {training:.4f}, "
            f"{training / paper.LOSS:.1f} times the paper's."
        ),
    )


def _examples(notebook: ExecutedNotebook) -> Finding:
    shown = {output.label.rstrip("."): output.numbers for output in notebook.outputs if output.numbers}
    if not shown:
        return Finding(heading=notebook.title)
    gray, network = "gray input", "prediction"
    (other,) = next(iter(shown.values())).keys() - {gray, network}
    over = {name: sum(numbers[network] > numbers[name] for numbers in shown.values()) for name in (gray, other)}
    count = len(shown)
    return Finding(
        heading=(
            f"On {_of(over[gray], count)} example photographs the network is nearer the truth than gray, on "
            f"{_of(over[other], count)} nearer than {BASELINE_WORDS[other]}"
        ),
        sentence="; ".join(
            f"{label}: {numbers[network]:.1f} dB, gray {numbers[gray]:.1f}, {other} {numbers[other]:.1f}"
            for label, numbers in shown.items()
        )
        + ".",
    )


def _averages(notebook: ExecutedNotebook) -> Finding:
    names = ("mean chroma", "chroma of the mean")
    found = [output.numbers for output in notebook.outputs if output.numbers.keys() == set(names)]
    if not found:
        return Finding(heading=notebook.title)
    chroma, of_mean = (found[0][name] for name in names)
    if of_mean < DULLER * chroma:
        heading = (
            f"Patches that look alike have many colors, whose average keeps {of_mean / chroma:.0%} of their chroma"
        )
    else:
        heading = "Patches that look alike have nearly one color"
    return Finding(
        heading=heading,
        sentence=(
            f"The chroma of the pixels is {chroma:.0f} on average, that of their mean color {of_mean:.0f}: a network "
            "that sees one patch has to give all of them one color."
        ),
    )


def _errors(results: Results) -> Finding:
    baseline, row = _best_baseline(results)
    network = _test_rows(results)[NETWORK]
    compared = _compare(results, baseline)
    distance = network["MSE"] / paper.MSE
    return Finding(
        heading=f"On test photographs the network {compared}",
        sentence=(
            f"Its squared error is {network['MSE']:.4f} ({network['PSNR of MSE']:.2f} dB), {distance:.1f} times the "
            f"paper's {paper.MSE}; {BASELINE_WORDS[baseline]} has {row['MSE']:.4f} ({row['PSNR of MSE']:.2f} dB)."
        ),
    )


def _compare(results: Results, baseline: str) -> str:
    """Return the network's gain over a baseline on the test photographs, as the rest of a sentence."""
    found = gains(results.scores, results.profile.seeds, NETWORK, baseline, place=HOME)
    worse = [
        each.measure.removeprefix("fall of ")
        for each in found
        if each.effect is Effect.WORSE and each.measure not in (PRIMARY_MEASURE, SHARE)
    ]
    (primary,) = [each for each in found if each.measure == PRIMARY_MEASURE]
    return _gain_words(primary, BASELINE_WORDS[baseline]) + (f" and is worse in {listed(worse)}" if worse else "")


def _gain_words(gain: Gain, reference: str) -> str:
    return {
        Effect.BETTER: f"gains {gain.value:.1f} dB over {reference}",
        Effect.OPEN: f"is not shown to be better than {reference}",
        Effect.WORSE: f"loses {-gain.value:.1f} dB against {reference}",
    }[gain.effect]


def _away(claims: Mapping[str, Any] | None) -> str:
    """Return the same comparison on photographs of other sources, as a clause; empty where nothing was scored."""
    by_id = {claim["id"]: claim for claim in claims["claims"]} if claims else {}
    measured = by_id.get("competitive", {}).get("gains", ())
    effects = [each["effect"] for each in measured if each["measure"] == PRIMARY_MEASURE and each["place"] != HOME]
    if not effects:
        return ""
    better, count = effects.count("better"), len(effects)
    sources = f"{better or 'none'} of {count} other source{'' if count == 1 else 's'} of photographs"
    return f"; it is shown to be better on {sources}"


def published(results: Results) -> Finding:
    """Return what published networks gain over gray, and the paper's on the same photographs."""
    rows = read_result(results, "published", "peers").set_index("method")
    gain = "gain over gray"

    def of(method: str) -> Gain:
        value, low, high = (float(rows[name][method]) for name in (gain, f"{gain} low", f"{gain} high"))
        return Gain(place="", measure=gain, value=value, low=low, high=high, digits=1)

    photos = results.records[0]["photos"]["train"]["count"]
    return Finding(
        heading=(
            f"On photographs of ImageNet a published network gains {rows[gain][ZHANG]:.1f} dB over gray; the paper's "
            f"{_gain_words(of(NETWORK), 'gray')}"
        ),
        sentence=(
            f"The published one was trained on {IMAGENET}, ours on {photos:,} of {results.profile.photos}; one "
            f"constant color gains {rows[gain]['mean chroma']:.1f} dB."
        ),
    )


def outlook(results: Results) -> Finding:
    """Return which changes to the method lower the error."""
    rows = read_result(results, "outlook", "sweep SWEEP=outlook")
    change = "change in PSNR of MSE"
    changed = rows[(rows["method"] == NETWORK) & rows[f"{change} low"].notna()]
    by_effect: dict[Effect, list[str]] = {}
    for row in changed.to_dict("records"):
        effect = effect_of(row[f"{change} low"], row[f"{change} high"])
        by_effect.setdefault(effect, []).append(f"{row['point']} ({row[change]:+.1f} dB)")
    better, worse, undecided = (by_effect.get(effect, []) for effect in (Effect.BETTER, Effect.WORSE, Effect.OPEN))
    parts = [f"{word}: {listed(names)}" for word, names in (("Worse", worse), ("undecided", undecided)) if names]
    updates = " or ".join(dict.fromkeys(f"{count:,.0f}" for count in changed["updates"]))
    return Finding(
        heading=(
            f"Of {len(changed)} changes to the method, {listed(better) if better else 'none'} is shown to lower the "
            f"error{f' after {updates} updates' if updates else ''}"
        ),
        sentence=f"{'; '.join(parts)}." if parts else "",
    )


def _sources(results: Results) -> Finding:
    data = read_result(results, "datasets", "reproduce")
    reached, sources = sources_reached(data)
    networks = data[data["method"] == NETWORK].to_dict("records")
    gray = {row["source"]: row["MSE"] for row in data.to_dict("records") if row["method"] == "gray"}
    nearest = min(networks, key=lambda row: row["MSE"])
    heading = f"On none of {sources} sources of photographs does the network reach the paper's error"
    if reached:
        heading = f"The network reaches the paper's error on {listed(reached)}, {len(reached)} of {sources} sources"
    return Finding(
        heading=heading,
        sentence=(
            f"It comes nearest on {nearest['source'].partition(', ')[0]} with {nearest['MSE']:.4f}, where gray alone "
            f"has {gray[nearest['source']]:.4f}; gray has {min(gray.values()):.4f} to {max(gray.values()):.4f} on "
            "these sources, so an error says little without its photographs."
        ),
    )


# What they read


def _best_baseline(results: Results) -> tuple[str, Mapping[str, Any]]:
    """Return the baseline with the lowest error on the test photographs, and its row of Table I."""
    rows = _test_rows(results)
    best = min((name for name in BASELINE_WORDS if name in rows), key=lambda name: float(rows[name]["MSE"]))
    return best, rows[best]


def _test_rows(results: Results) -> dict[str, Mapping[str, Any]]:
    """Return the rows of Table I by method."""
    rows: list[dict[str, Any]] = [
        {str(name): value for name, value in row.items()}
        for row in read_result(results, "table1", "table1").to_dict("records")
    ]
    return {row["method"]: row for row in rows}


def _parameters(results: Results) -> int:
    import torch

    with torch.device("meta"):  # shapes are enough
        return parameter_count(results.network())


def _of(count: int, total: int) -> str:
    return f"all {total}" if count == total else f"{count or 'none'} of {total}"
