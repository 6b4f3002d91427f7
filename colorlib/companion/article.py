"""The replication article: its data are gathered from results/, and typst compiles paper/companion.typ with them."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pandas as pd
import torch
import yaml

from colorlib.colorizers import BASELINES
from colorlib.companion import paper
from colorlib.companion.artifacts import datasets, hints, outlook, table1
from colorlib.companion.artifacts.published import SOURCE, ZHANG
from colorlib.companion.claims.from_scores import gain_over_lightweight
from colorlib.companion.claims.measurement import PRIMARY_MEASURE, SHARE, Effect
from colorlib.companion.claims.text import MARKS, read_verdicts
from colorlib.companion.costs import multiply_adds, multiply_adds_per_pixel
from colorlib.companion.paper import EXAMPLES
from colorlib.companion.report import findings
from colorlib.companion.report.findings import Finding
from colorlib.companion.report.notebook_html import captioned_outputs, read_cells
from colorlib.companion.results import Results
from colorlib.companion.steps import LIGHTWEIGHT, PRIMARY, files, other_profile
from colorlib.companion.story import listed, short_name, story
from colorlib.companion.tables import MEASURES, Column, Table, joined
from colorlib.evaluate import NETWORK, NETWORK_TRUE_L, RESAMPLES, read_baseline_losses, summarize
from colorlib.files import read_json, write_bytes
from colorlib.metrics import psnr_of
from colorlib.model import parameter_count
from colorlib.profiles import PROJECT, Profile, changes_text
from colorlib.provenance import environments, machine

OUTLOOK = "cpu"
"""Profile whose sweep `outlook` the article shows."""
OVER_BASELINES = ("better-than-trivial", "competitive")
"""Claims that compare the network with baselines in all measures, at home and elsewhere."""
PICTURES = {
    "figure1_loss_curve": ("03_figure1", "Figure 1."),
    **{name: ("04_figures2_3", f"{number}.") for name, (_, number, _) in EXAMPLES.items()},
}
"""File name of each figure -> the notebook that shows it, and its label there."""


def write_article(results: Results) -> Path:
    """Write the article of a profile's results as PDF, completely or not at all; returns its path.

    That of the primary profile is paper/companion.pdf; that of another profile is a preview in its results folder.

    Raises:
        ValueError: a result is missing or is of other runs, or typst has an error or a warning.
    """
    profile = results.profile
    committed = profile.name == PRIMARY
    path = paper_folder(profile) / "companion.pdf" if committed else profile.results / "companion.pdf"
    write_bytes(path, compile_article(gather(results), profile))
    return path


def compile_article(data: Mapping[str, Any], profile: Profile) -> bytes:
    """Return the article as a tagged PDF (PDF/UA-1): the same bytes at any time and on any machine.

    Args:
        data: from `gather`.
        profile: its figures are included.

    Raises:
        ValueError: typst is not installed, or has an error or a warning.
    """
    try:
        import typst
    except ImportError as error:
        raise ValueError("the article is compiled by typst; to install it run `pip install typst`") from error
    # Copy the sources to an empty folder: typst reads no other file
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = [paper_folder(profile) / "companion.typ", paper_folder(profile) / "references.bib"]
        for source in (*sources, *(profile.figures / f"{picture}.png" for picture in PICTURES)):
            (folder / source.name).write_bytes(source.read_bytes())
        # Compile; a warning is an error
        try:
            pdf, warnings = typst.compile_with_warnings(
                folder / "companion.typ",
                root=folder,
                ignore_system_fonts=True,
                sys_inputs={"data": json.dumps(data, ensure_ascii=False, allow_nan=False)},
                pdf_standards=["ua-1"],
                timestamp=0,  # fixed: the document has its own date
            )
        except typst.TypstError as error:
            raise ValueError(f"companion.typ: {error.diagnostic or error.message}") from error
    if warnings:
        raise ValueError("companion.typ: " + "; ".join(warning.message for warning in warnings))
    return pdf


def gather(results: Results) -> dict[str, Any]:
    """Return the article's data as JSON; numbers are formatted already.

    Raises:
        ValueError: a result is missing, a figure differs from the one in its notebook, or claims or table are of other
            runs than the profile's.
    """
    profile = results.profile
    if profile.changes:
        raise ValueError(
            f"profile {profile.name} trains another method than the paper's ({changes_text(profile.changes)}); choose "
            "one of the paper's method, for example `colorlib paper --profile cpu`"
        )
    # Check that every input exists
    needed = [*files(profile, "data", "table1", "scores", "figure1", "figures2_3")]
    needed += [profile.run(seed) / name for seed in profile.seeds for name in ("run.json", "history.csv")]
    for path in needed:
        if not path.is_file():
            raise ValueError(f"{path} does not exist; run `{reproduce(profile)}` first")
    # Read the runs, the network and the citation
    records = results.records
    config = records[0]["config"]
    with torch.device("meta"):  # shapes are enough to count parameters
        network = results.network()
    citation = yaml.safe_load((paper_folder(profile).parent / "CITATION.cff").read_text(encoding="utf-8"))
    released = citation.get("date-released")
    if not isinstance(released, date):
        raise ValueError("CITATION.cff: add `date-released: YYYY-MM-DD`, the date of the article")  # noqa: TRY004
    verdicts = read_verdicts(files(profile, "claims")[0], profile.name)
    half = 0.00005  # half a unit of the last digit of the paper's MSE
    return {
        "profile": profile.name,
        "primary": profile.name == PRIMARY,
        "date": {"year": released.year, "month": released.month, "day": released.day},
        "version": citation["version"],
        "original": citation["preferred-citation"],
        "paper": {
            "loss": str(paper.LOSS),
            "epoch": str(paper.EPOCH),
            "mse": str(paper.MSE),
            "psnr": str(paper.PSNR),
            "psnr_low": f"{psnr_of(paper.MSE + half):.2f}",
            "psnr_high": f"{psnr_of(paper.MSE - half):.2f}",
        },
        "network": {
            "parameters": f"{parameter_count(network):,}",
            "field": str(2 * network.halo + 1),
            "multiply_adds": f"{multiply_adds(network, 64, 64) // 64**2:,}",
        },
        "config": config | {"crops_per_epoch": f"{config['crops_per_epoch']:,}"},
        "updates": f"{results.updates:,}",
        "seeds": ("seed " if len(records) == 1 else "seeds ") + ", ".join(map(str, profile.seeds)),
        "machines": sorted({machine(part["hardware"]) for record in records for part in environments(record)}),
        "versions": records[0]["versions"],
        "sources": sorted({record["source"][:16] for record in records}),
        "resamples": f"{RESAMPLES:,}",
        "photographs": read_json(files(profile, "data")[0], {"photos": str, "terms": str, "splits": list}),
        "training": training(results),
        "table": table(results),
        "by_source": by_source(profile),
        "pictures": {name: picture(profile, name) for name in PICTURES},
        "deviations": deviations((paper_folder(profile) / "deviations.md").read_text(encoding="utf-8")),
        "claims": claims_table(profile),
        "story": story(results, verdicts),
        "sections": sections(results),
    }


def paper_folder(profile: Profile) -> Path:
    """Return the folder with the article's text."""
    return (profile.root or PROJECT) / "paper"


def reproduce(profile: Profile) -> str:
    """Return the command that makes missing results."""
    return f"make reproduce PROFILE={profile.name}"


def training(results: Results) -> dict[str, Any]:
    """Return the numbers on the loss curves, as means over the seeds."""
    training, validation = (
        [fmean(rows) for rows in zip(*([row[name] for row in history] for history in results.histories), strict=True)]
        for name in ("training_loss", "validation_loss")
    )
    path = files(results.profile, "data")[1]
    baselines = read_baseline_losses(path)
    best = min(baselines, key=lambda name: baselines[name])
    epochs = len(training)
    at, tenth, tail = min(paper.EPOCH, epochs), min(epochs, max(2, epochs // 10)), min(10, epochs)
    noises = [[row["validation_loss"] for row in history[-tail:]] for history in results.histories]
    fall = training[0] - training[-1]
    before, after = fmean(training[at - 5 : at]), fmean(training[-5:])
    return {
        "first": f"{training[0]:.4f}",
        "at": at,
        "at_loss": f"{training[at - 1]:.4f}",
        "at_ratio": f"{training[at - 1] / paper.LOSS:.2f}",
        "final": f"{training[-1]:.4f}",
        "final_validation": f"{validation[-1]:.4f}",
        "tenth": tenth,
        "share": _percent((training[0] - training[tenth - 1]) / fall, 0) if fall > 0 else None,
        "later": f"{'fell' if after < before else 'rose'} by {_percent(abs(after / before - 1))}"
        if epochs >= paper.EPOCH + 5
        else None,
        "tail": tail,
        "noise": _percent(fmean(stdev(losses) / fmean(losses) for losses in noises)) if tail > 1 else None,
        "best": best,
        "level": f"{baselines[best]:.4f}",
        "against": "lower" if validation[-1] < baselines[best] else "not lower",
    }


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def table(results: Results) -> dict[str, Any]:
    """Return Table I as text, and the numbers that the text cites from it.

    Raises:
        ValueError: table1.csv is of other runs.
    """
    profile = results.profile
    path = files(profile, "table1")[0]
    data = pd.read_csv(path)
    rows = {row["method"]: row for row in data.to_dict("records")}
    network = rows[NETWORK]
    if network["seeds"] != len(profile.seeds) or network["updates"] != results.updates:
        raise ValueError(f"{path} is of other runs than those in {profile.results}; run `{reproduce(profile)}`")
    # Compare the network with the best baseline, image by image
    best = min(BASELINES, key=lambda name: float(rows[name]["MSE"]))
    baseline = [row for _, row in results.scores if row.method == best]
    ours = [[row for of, row in results.scores if (of, row.method) == (seed, NETWORK)] for seed in profile.seeds]
    gains = [gain for rows in ours if (gain := summarize([*baseline, *rows], reference=best)[-1].psnr_gain)]
    low, high = network["MSE low"], network["MSE high"]
    return {
        **_table_text(table1.as_table(data, profile)),
        "images": int(network["images"]),
        "mse": f"{network['MSE']:.4f}",
        "mse_interval": f"[{low:.4f}, {high:.4f}]",
        "ratio": f"{network['MSE'] / paper.MSE:.2f}",
        "paper_position": "below" if low > paper.MSE else "above" if high < paper.MSE else "within",
        "mean_psnr_difference": f"{network['mean PSNR'] - network['PSNR of MSE']:.1f}",
        "gray_mse": f"{rows['gray']['MSE']:.4f}",
        "best": best,
        "best_mse": f"{rows[best]['MSE']:.4f}",
        "gray": _compared(*(network[f"gain over gray{bound}"] for bound in ("", " low", " high"))),
        "baseline": _compared(*(getattr(joined(gains), name) for name in ("value", "low", "high"))),
        "true_l": _signed(rows[NETWORK_TRUE_L]["PSNR of MSE"] - network["PSNR of MSE"]),
        "colorfulness": f"{network['colorfulness']:.1f}",
        "truth_colorfulness": f"{network['truth_colorfulness']:.1f}",
    }


def _table_text(table: Table) -> dict[str, Any]:
    """Return a table's caption, headings and cells; an interval is on the second line of its cell."""
    rows = [["\n".join(filter(None, parts)) for parts in row] for row in table.cells()]
    return {"caption": table.caption[0].upper() + table.caption[1:], "columns": table.heads, "rows": rows}


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _compared(gain: float, low: float, high: float) -> dict[str, str]:
    """Return a gain in dB as text, and in words according to its 95 % interval."""
    words = "better than" if low > 0 else "worse than" if high < 0 else "not distinguishable from"
    return {"words": words, "figures": f"{_signed(gain)} dB [{_signed(low)}, {_signed(high)}]"}


def picture(profile: Profile, name: str) -> dict[str, str]:
    """Return caption and alternative text of a figure, from the metadata in its notebook.

    Raises:
        ValueError: the notebook does not show it, or shows another version of it, or without these words.
    """
    notebook_name, label = PICTURES[name]
    path = profile.figures / f"{name}.png"
    notebook = profile.results / "notebooks" / f"{notebook_name}.ipynb"
    shown = {output.label: output for output in captioned_outputs(notebook, read_cells(notebook))}
    # Numbers of the caption are those of the figure only if the notebook shows the same file
    if label not in shown or shown[label].png != path.read_bytes():
        raise ValueError(f"{path} is not the figure in {notebook}; run `{reproduce(profile)}`")
    return {"file": path.name, "alt": shown[label].alt, "caption": shown[label].caption}


def deviations(markdown: str) -> list[list[str]]:
    """Return the first three columns of the first table in paper/deviations.md: what, the paper, here."""
    lines = markdown[markdown.index("\n|") + 1 :].partition("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row[:3] for row in rows[2:]]


def by_source(profile: Profile) -> dict[str, Any] | None:
    """Return the table of data sets as text, and a sentence that compares with the paper's error; None without it."""
    path = files(profile, "datasets")[0]
    if not path.is_file():
        return None
    data = pd.read_csv(path)
    networks = data[data["method"] == NETWORK]
    ratios = dict(zip(networks["source"], networks["MSE"] / paper.MSE, strict=True))
    lowest, highest = (choose(ratios, key=lambda source: ratios[source]) for choose in (min, max))
    reached = int((networks["MSE low"] <= paper.MSE).sum())
    return {
        **_table_text(datasets.as_table(data, profile)),
        "sentence": (
            f"The network's error is {ratios[lowest]:.2f} times the paper's on {lowest} and {ratios[highest]:.2f} "
            f"times it on {highest}; the interval reaches the paper's error in {reached} of {len(ratios)} rows"
        ),
    }


def claims_table(profile: Profile) -> dict[str, Any]:
    """Return the claims in groups, each with its numbers as text, and the meanings of the verdicts.

    Raises:
        ValueError: claims.json is missing, or of another profile or other seeds.
    """
    path, command = files(profile, "claims")[0], f"colorlib claims --profile {profile.name}"
    claims = read_verdicts(path, profile.name)
    if claims is None:
        raise ValueError(f"{path} does not exist; run `{command}` first (`{reproduce(profile)}` before it)")
    if claims["seeds"] != list(profile.seeds):
        raise ValueError(f"{path} is of seeds {claims['seeds']}, not {list(profile.seeds)}; run `{command}`")
    groups: dict[str, list[dict[str, str]]] = {}
    for claim in claims["claims"]:
        entry = {name: claim[name] for name in ("id", "section", "says", "verdict")}
        entry["paper"] = claim["value_text"] or "–"
        entry["measured"] = "\n".join(part for part in (claim["measured_text"], claim["interval_text"]) if part)
        groups.setdefault(claim["group"], []).append(entry)
    commands = Counter(claim["command"] for claim in claims["claims"] if claim["command"])
    return {
        "verdicts": [
            {"name": mark.verdict, "sign": mark.sign, "meaning": mark.meaning, "count": claims["counts"][mark.verdict]}
            for mark in MARKS
        ],
        "total": len(claims["claims"]),
        "decided": sum(claim["verdict"] not in ("not testable", "not measured") for claim in claims["claims"]),
        "measurements": claims["measurements"],
        "quality": [
            {"says": claim["says"].rstrip("."), "verdict": claim["verdict"], "measured": claim["measured_text"]}
            for claim in claims["claims"]
            if claim["id"] in OVER_BASELINES
        ],
        "groups": [{"name": name, "claims": entries} for name, entries in groups.items()],
        "commands": [{"command": name, "count": count} for name, count in commands.most_common()],
        "command": claims["command"],
    }


# Sections on other networks than the paper's: a finding as heading, a sentence or two, a table


def sections(results: Results) -> list[dict[str, Any]]:
    """Return the sections of `SECTIONS`; none for another profile than the primary one, whose article is a preview.

    Raises:
        ValueError: a result is missing; the message names it.
    """
    if results.profile.name != PRIMARY:
        return []
    for _, name, entry in SECTIONS:
        read = other_profile(results.profile, name)
        if not (path := files(read, entry)[0]).is_file():
            raise ValueError(f"{path} does not exist; run `{reproduce(read)}` first")
    return [section(results) for section, _, _ in SECTIONS]


def _section(found: Finding, table: Table) -> dict[str, Any]:
    return {"heading": found.heading, "text": found.sentence, "table": _table_text(table)}


def peers_section(results: Results) -> dict[str, Any]:
    """Return what published networks reach on their own photographs, beside the paper's."""
    data = pd.read_csv(files(results.profile, "published")[0])
    shown = data[data["method"].isin([*BASELINES, "Dahl", ZHANG, NETWORK])]
    caption = (
        f"Published networks, baselines and the paper's network on {int(shown['images'].iloc[-1])} photographs of "
        f"{SOURCE} that are not near gray."
    )
    columns = [Column(name="method"), *(MEASURES[name] for name in ("psnr_of_mse", "ssim", "delta_e00"))]
    return _section(findings.published(results), Table(data=shown, columns=columns, caption=caption))


def lightweight_section(results: Results) -> dict[str, Any]:
    """Return the U-Net within the paper's budget, beside the paper's network on the same test photographs."""
    other = results.other(LIGHTWEIGHT)
    own_cost, cost = (multiply_adds_per_pixel(each.profile.config) for each in (results, other))
    gains = [gain for gain in gain_over_lightweight(results).gains if gain.measure != SHARE]
    words = {Effect.WORSE: "better in", Effect.BETTER: "worse in", Effect.OPEN: "undecided in"}  # the U-Net's
    by_effect = {effect: [short_name(gain.measure) for gain in gains if gain.effect == effect] for effect in words}
    found = [f"{words[effect]} {listed(names)}" for effect, names in by_effect.items() if names]
    rows = [
        pd.read_csv(files(profile, "table1")[0]).set_index("method").loc[NETWORK].to_dict()
        | {"network": name, "multiply-adds": multiply_adds_per_pixel(profile.config)}
        for name, profile in (("the paper's", results.profile), (LIGHTWEIGHT, other.profile))
    ]
    primary = next(gain for gain in gains if gain.measure == PRIMARY_MEASURE)
    return {
        "heading": f"A U-Net with {cost / own_cost:.0%} of the multiply-adds is {listed(found)}",
        "text": (
            f"The profile {LIGHTWEIGHT} trains a U-Net with {parameter_count(other.network()):,} parameters and "
            f"{cost:,.0f} multiply-adds a pixel on the same photographs for as many updates, in LAB, on larger crops "
            f"and with a falling learning rate. It was chosen on validation photographs. Over the paper's network it "
            f"gains {_signed(-primary.value)} dB [{_signed(-primary.high)}, {_signed(-primary.low)}] in PSNR of the "
            "pooled error."
        ),
        "table": _table_text(
            Table(
                data=pd.DataFrame(rows),
                columns=[
                    Column(name="network"),
                    *(MEASURES[name] for name in ("psnr_of_mse", "mean_psnr", "ssim", "delta_e00")),
                    Column(name="multiply-adds", digits=0),
                ],
                caption=f"Both networks on {results.photographs}; multiply-adds are of a pixel.",
            )
        ),
    }


def hints_section(results: Results) -> dict[str, Any]:
    """Return what some true colors, given by a person, add to the networks."""
    table = hints.level_tables(other_profile(results.profile, LIGHTWEIGHT))[0]
    return _section(findings.hints(table.data, PRIMARY), table)


def outlook_section(results: Results) -> dict[str, Any]:
    """Return what the changes that the paper proposes bring."""
    data = pd.read_csv(files(other_profile(results.profile, OUTLOOK), "outlook")[0])
    table = Table(
        data=data[(data["method"] == NETWORK) & data["change in PSNR of MSE"].notna()],
        columns=[
            Column(name="point", head="method"),
            replace(outlook.CHANGES["psnr_of_mse"], head="change in PSNR (dB)"),
            replace(outlook.CHANGES["delta_e00"], head="change in ΔE00"),
            Column(name="multiply-adds per pixel", head="multiply-adds", digits=0),
        ],
        caption="Changes against the paper's method, means over seeds with 95 % intervals (Student's t).",
    )
    return _section(findings.outlook(results.other(OUTLOOK)), table)


SECTIONS: tuple[tuple[Callable[[Results], dict[str, Any]], str, str], ...] = (
    (peers_section, PRIMARY, "published"),
    (lightweight_section, LIGHTWEIGHT, "table1"),
    (hints_section, LIGHTWEIGHT, "hint_scores"),
    (outlook_section, OUTLOOK, "outlook"),
)
"""The article's sections on other networks, in order, each with the profile and the entry of `FILES` that it reads."""
