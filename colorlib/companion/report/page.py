"""The report: one self-contained HTML page of findings, figures, tables and verdicts; a page for each notebook."""

import base64
import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from colorlib.companion.artifacts import hints
from colorlib.companion.claims import text
from colorlib.companion.notebook_helpers import provenance_table
from colorlib.companion.report.findings import Finding, finding, of_claims, one_color, opening, small_colorizer
from colorlib.companion.report.findings import hints as hints_finding
from colorlib.companion.report.notebook_html import (
    TEMPLATES,
    CaptionedOutput,
    markdown_html,
    notebook_pages,
    read_notebook,
    scroll_region,
    stacked_tables,
    style,
    table_figure,
)
from colorlib.companion.results import Results
from colorlib.companion.steps import (
    LIGHTWEIGHT,
    PRIMARY,
    Step,
    files,
    other_profile,
    shown_steps,
    small_colorizer_inputs,
    story_inputs,
)
from colorlib.companion.steps import steps as all_steps
from colorlib.companion.story import compare_with_one_color, gains_home_and_away, story, table_home_and_away
from colorlib.companion.tables import Column, Table, scored_photographs
from colorlib.config import config_of_record
from colorlib.evaluate import NETWORK
from colorlib.files import write_text
from colorlib.profiles import PROFILES, PROJECT, Profile, load_profile
from colorlib.provenance import machines

TITLE = "Deep learning for image colorization, tested claim by claim"
DEVIATIONS = PROJECT / "paper" / "deviations.md"
SPEED = PROJECT / "results" / "bench"
"""A table per kind of device, written by `make bench`."""
PICTURES = "figures2_3"
"""The section whose first picture opens the report."""
HEADLINE = ("training-loss", "test-mse", "test-psnr", "parameter-count", "competitive", "quality-kept")
"""The claims that a reader looks for first: the numbers of the abstract, the size, and the quality."""
BACKGROUND = ("01_data.ipynb", "02_train.ipynb", "00_method.ipynb")
"""Notebooks on photographs, training and the method; the others show results."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report: a result, its figures and tables, and the claims that it decides."""

    anchor: str
    """The section's id in the page."""
    name: str
    """What is shown, for the contents: the title of the notebook."""
    finding: Finding
    figures: list[str]
    """Figures and tables as HTML, with short captions and without intervals."""
    details: list[str]
    """What `figures` leave out, as HTML: the question and the method, tables with their intervals, long captions."""
    step: Step | None = None
    """The step whose notebook shows it, if one does."""
    claims: Sequence[Mapping[str, Any]] = ()
    """Entries of claims.json that it decides."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the numbers of a section come from."""

    section: Section
    command: str
    runs: str
    """Names of the runs that were read."""


def write_report(results: Results, steps: Sequence[Step]) -> list[Path]:
    """Write results/<profile>/report.html and a page of each executed notebook; returns their paths, the report first.

    Args:
        results: of the profile.
        steps: the profile's notebooks.

    Raises:
        ValueError: a notebook was not executed yet, a figure has no alternative text or no caption, or claims.json is
            not of this profile.
    """
    shown = shown_steps(steps)
    pages = {page_files(results.profile, [])[0]: report_page(results, steps)} | notebook_pages(results.profile, shown)
    for path, page in pages.items():
        write_text(path, page)
    return list(pages)


def page_files(profile: Profile, shown: Sequence[Step]) -> tuple[Path, ...]:
    """Return the files of the report and of the notebooks' pages."""
    return (*files(profile, "report"), *(step.executed.with_suffix(".html") for step in shown))


def page_inputs(profile: Profile, steps: Sequence[Step]) -> list[Path]:
    """Return the files that the pages are made from, whether or not they exist.

    They are executed notebooks, results, deviations and templates.
    """
    return [
        *(step.executed for step in steps),
        *(profile.run(seed) / "run.json" for seed in profile.seeds),
        *story_inputs(profile),
        *sorted(PROFILES.glob("*.yaml")),
        *(profile.run(seed) / "history.csv" for seed in profile.seeds),
        *files(profile, "data", "outlook"),
        *files(other_profile(profile, LIGHTWEIGHT), "hint_scores"),
        # It decides whether that profile's report has a section on the outlook, to which claims link.
        other_profile(profile, "cpu").sweep("outlook") / "summary.csv",
        DEVIATIONS,
        *_speed_tables(),
        *sorted((TEMPLATES / "report").iterdir()),
    ]


def report_page(results: Results, steps: Sequence[Step]) -> str:
    """Return the report as HTML: the same bytes for the same results.

    Raises:
        ValueError: as `write_report`.
    """
    profile, shown = results.profile, shown_steps(steps)
    # A profile with another method than the paper's does not judge the paper's claims.
    claims = None if profile.changes else text.read_verdicts(files(profile, "claims")[0], profile.name)
    judged = claims["claims"] if claims else []
    anchors = [_anchor(step) for step in shown if step.notebook not in BACKGROUND]
    links = {claim["id"]: _exhibit(claim, profile, anchors) for claim in judged}
    sections = [
        _section(results, step, [claim for claim in judged if links[claim["id"]] == f"#{_anchor(step)}"])
        for step in shown
    ]
    shown_results = [section for section in sections if section.anchor in anchors]
    first = next((section for section in shown_results if section.anchor == PICTURES), None)
    script = (TEMPLATES / "report" / "ledger.js").read_text(encoding="utf-8").strip()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES / "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        held_to=text.held_to, measurement=text.measurement, uncertainty=text.uncertainty, ours=text.short_measured
    )
    results_claims, definitions = _by_basis(judged)
    deviations, choices = _deviations()
    return environment.get_template("report.html.j2").render(
        title=TITLE,
        css=style(),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        profile=profile,
        preview=profile.name != PRIMARY and not profile.changes,
        primary=PRIMARY,
        root=os.path.relpath(profile.results.parent.parent, profile.results),
        page=os.path.relpath(files(other_profile(profile, LIGHTWEIGHT), "page")[0], profile.results),
        config=config_of_record(results.records[0]),
        opening=opening(results, claims),
        story=story(results, claims),
        errors=_errors_sentence(profile),
        picture=first.figures.pop(0) if first else "",
        headline=[claim for name in HEADLINE for claim in results_claims + definitions if claim["id"] == name],
        results=[
            *shown_results,
            *_small_colorizer_section(results),
            *_hints_section(results),
            _one_color_section(results),
        ],
        claims=claims,
        of_claims=of_claims,
        counts=Counter(claim["verdict"] for claim in results_claims),
        groups=_groups(results_claims),
        results_claims=results_claims,
        definitions=definitions,
        links=links,
        marks={mark.verdict: mark for mark in text.MARKS},
        sources=_sources(results, sections),
        photographs=[section for section in sections if section.step and section.step.notebook == BACKGROUND[0]],
        deviations=deviations,
        choices=choices,
        speed=[stacked_tables(markdown_html(path.read_text(encoding="utf-8"))) for path in _speed_tables()],
        runs=_runs_table(profile),
        sections=sections,
        missing=[step.name for step in steps if step not in shown],
        hardware=machines(results.records),
        source=_source(results.records),
    )


def _anchor(step: Step) -> str:
    """Return the id of a step's section: its name without its number, if it has one."""
    return step.name.partition("_")[2] or step.name


def _section(results: Results, step: Step, claims: Sequence[Mapping[str, Any]]) -> Section:
    notebook = read_notebook(step.executed)
    # Of several tables the one with the network's row is shown, or the first
    tables = [output for output in notebook.outputs if not output.png]
    first = next((table for table in tables if f">{NETWORK}</th>" in table.body), tables[0] if tables else None)
    shown = [output for output in notebook.outputs if output.png or output is first]
    details = [output.details() if output in shown else output.figure() for output in notebook.outputs]
    folder = os.path.relpath(results.profile.figures, results.profile.results)
    return Section(
        anchor=_anchor(step),
        name=notebook.title,
        finding=finding(results, step.notebook, notebook),
        figures=[output.short_figure(folder) for output in shown],
        details=[notebook.introduction, *filter(None, details)],
        step=step,
        claims=claims,
    )


def _table_section(table: Table, anchor: str, name: str, found: Finding) -> Section:
    """Return a section with a table that no notebook shows."""
    output = CaptionedOutput(
        body=scroll_region(table.html(), f"Table: {name}"), label=table.label, caption=table.caption
    )
    return Section(anchor=anchor, name=name, finding=found, figures=[output.short_figure()], details=[output.details()])


def _hints_section(results: Results) -> list[Section]:
    """Return the section on hints, for profiles whose networks were measured with them."""
    profile = results.profile
    owner = other_profile(profile, LIGHTWEIGHT)
    if profile.name not in hints.NETWORKS or not files(owner, "hint_scores")[0].is_file():
        return []
    table = hints.level_tables(owner)[0]
    return [_table_section(table, "hints", "Colors that a person gives", hints_finding(table.data, profile.name))]


def _small_colorizer_section(results: Results) -> list[Section]:
    """Return the section on the small colorizer, for the primary profile where it was trained and scored."""
    if results.profile.name != PRIMARY or not all(path.is_file() for path in small_colorizer_inputs(results.profile)):
        return []
    finding = small_colorizer(gains_home_and_away(results))
    table = table_home_and_away(results)
    return [_table_section(table, "small", "A small colorizer at home and away", finding)]


def _one_color_section(results: Results) -> Section:
    compared = compare_with_one_color(results)
    return _table_section(compared, "one-color", "Where it is better than one color", one_color(compared))


def _exhibit(claim: Mapping[str, Any], profile: Profile, anchors: Sequence[str]) -> str:
    """Return the address of the section that shows what decides a claim, or nothing; the claim's command names it."""
    names = re.findall(r"(?:make |SWEEP=|--only (?:\d+_)?)([\w-]+)", claim["command"])
    owner = re.search(r"(?:PROFILE=|--profile )(\S+)", claim["command"])
    if not names or owner is None:
        return ""
    if owner[1] == profile.name:
        return f"#{names[-1]}" if names[-1] in anchors else ""
    other = other_profile(profile, owner[1])
    shown = names[-1] in [_anchor(step) for step in all_steps(other)]
    return f"../{owner[1]}/report.html#{names[-1]}" if shown else ""


def _sources(results: Results, sections: Sequence[Section]) -> list[Source]:
    """Return the command that makes each section and the runs that it reads."""
    profile, found = results.profile, []
    for section in sections:
        assert section.step is not None
        command = f"colorlib reproduce --profile {profile.name} --only {section.step.name}"
        if profile.seeds != load_profile(profile.name).seeds:
            command += f" --seeds {','.join(map(str, profile.seeds))}"
        # A step that trains writes the run that it otherwise reads.
        folders = {path.parent for path in (*section.step.inputs, *section.step.outputs)}
        runs = [f"seed-{seed}" for seed in profile.seeds if profile.run(seed) in folders]
        found.append(Source(section=section, command=command, runs=", ".join(runs)))
    return found


def _by_basis(claims: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return the claims that results decide, and those that the paper's text or arithmetic decides."""
    return (
        [claim for claim in claims if claim["basis"] != "text"],
        [claim for claim in claims if claim["basis"] == "text"],
    )


def _source(records: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(record["source"][:16] for record in records))


def _errors_sentence(profile: Profile) -> str:
    """Return a sentence with the errors of network, best baseline and paper."""
    path = files(profile, "table1")[0]
    if not path.is_file():
        raise ValueError(f"{path} does not exist; run `make table1 PROFILE={profile.name}` first")
    table = pd.read_csv(path)
    paper, rows = table.iloc[0], table.iloc[1:]
    network = rows[rows["method"] == "network"].iloc[0]
    baseline = rows[rows["seeds"].isna()].sort_values("MSE").iloc[0]

    def error(row: Any) -> str:
        return (
            f"an MSE of {row['MSE']:.4f} ({row['PSNR of MSE']:.2f} dB; 95 % interval "
            f"{row['MSE low']:.4f} to {row['MSE high']:.4f})"
        )

    return (
        f"On the {int(network['images'])} test photographs of {profile.photos} the network reaches {error(network)} "
        f"after {int(network['updates']):,} updates; the best baseline ({baseline['method']}) reaches "
        f"{error(baseline)}; the paper gives {paper['MSE']:g} ({paper['PSNR of MSE']:g} dB) for photographs that it "
        "does not name."
    )


def _groups(claims: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the claims by group, groups and claims in their order."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for claim in claims:
        found.setdefault(claim["group"], []).append(claim)
    return found


def _deviations() -> tuple[str, int]:
    """Return paper/deviations.md as HTML, without its title and with lower headings, and the number of its choices."""
    content = DEVIATIONS.read_text(encoding="utf-8").partition("\n")[2]
    rows = re.findall(r"^\| (?!---)", content.partition("\n## ")[0], flags=re.MULTILINE)
    return stacked_tables(markdown_html(content.replace("\n## ", "\n#### "))), len(rows) - 1


def _speed_tables() -> list[Path]:
    return sorted(SPEED.glob("*.md"))


def _runs_table(profile: Profile) -> str:
    """Return the provenance of the runs as HTML, a column for each set of seeds that differ in nothing else."""
    provenance = {seed: _provenance_of_run(profile.run(seed)) for seed in profile.seeds}
    # An older run has no entry for a setting that was added later: the longest record decides the order.
    names = list(dict.fromkeys(name for rows in sorted(provenance.values(), key=len, reverse=True) for name in rows))
    columns: dict[tuple[str, ...], list[int]] = {}
    for seed, rows in provenance.items():
        columns.setdefault(tuple(rows.get(name, "–") for name in names), []).append(seed)
    data = pd.DataFrame({"what": names})
    for values, seeds in columns.items():
        data[f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"] = values
    table = Table(
        data=data,
        columns=[Column(name=name) for name in data.columns],
        caption="Settings, photographs, source, versions and hardware of the runs.",
    )
    return table_figure(table.html(), table.caption)


def _provenance_of_run(run: Path) -> dict[str, str]:
    data = provenance_table(run).data
    return {name: value for name, value in zip(data["what"], data["value"], strict=True) if name != "seed"}


README = PROJECT / "README.md"
MARKERS = re.compile(r"(<!-- (?P<section>\w+) of results/(?P<profile>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
"""Lines of README.md between which a section is generated from a profile's results."""
HEADLINE_METHODS = ("gray", "look-up table", "network")
HEADLINE_COLUMNS = {"PSNR of MSE": 2, "SSIM": 3, "ΔE00": 2}
"""Rows and columns of README.md's table, apart from the paper's row and the MSE."""


def current(readme: str, root: Path | None = None) -> str:
    """Return README.md with the generated sections between their markers.

    Args:
        readme: the text.
        root: the folder that results/ lies in; the checkout without it.

    Raises:
        ValueError: there is no such section, or the results that it needs do not exist.
    """
    sections = {"opening": _opening_text, "story": _story_text, "summary": _summary_text, "headline": _headline_table}

    def generate(match: re.Match[str]) -> str:
        if match["section"] not in sections:
            known = ", ".join(sections)
            raise ValueError(f"README.md: no section is called {match['section']!r}; choose one of {known}")
        generated = sections[match["section"]](load_profile(match["profile"], root=root))
        return f"{match[1]}{generated}{match[4]}"

    return MARKERS.sub(generate, readme)


def _opening_text(profile: Profile) -> str:
    claims = text.read_verdicts(files(profile, "claims")[0], profile.name)
    return "".join(f"- {sentence}\n" for sentence in opening(Results(profile), claims))


def _story_text(profile: Profile) -> str:
    told = story(Results(profile), text.read_verdicts(files(profile, "claims")[0], profile.name))
    return f"{told}\n" if told else ""


def _summary_text(profile: Profile) -> str:
    claims = text.read_verdicts(files(profile, "claims")[0], profile.name)
    judged = text.counts_sentence(claims) if claims else "The paper's claims were not judged on this profile."
    return f"{judged}\n"


def _headline_table(profile: Profile) -> str:
    """Return the rows of Table I that a reader needs first, as Markdown."""
    table = pd.read_csv(files(profile, "table1")[0])
    rows = pd.concat([table.head(1), table[table["method"].isin(HEADLINE_METHODS)]])
    columns = [
        Column(name="method"),
        Column(name="MSE", digits=4),
        *(Column(name=name, digits=digits) for name, digits in HEADLINE_COLUMNS.items()),
    ]
    caption = (
        f"{scored_photographs(profile)}; in brackets the 95 % interval over photographs and, for the network, seeds; "
        "PSNR in dB."
    )
    return Table(data=rows, columns=columns, caption=caption[0].upper() + caption[1:]).markdown()


def write_readme() -> bool:
    """Update the generated sections of README.md; returns whether it changed."""
    before = README.read_text(encoding="utf-8")
    after = current(before)
    if after != before:
        write_text(README, after)
    return after != before
