"""The report: one self-contained HTML page of verdicts, figures and tables, and a page for each executed notebook."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from colorlib.companion.claims import text
from colorlib.companion.notebook_helpers import provenance_table
from colorlib.companion.report.notebook_html import (
    TEMPLATES,
    ExecutedNotebook,
    markdown_html,
    notebook_pages,
    read_notebook,
    stacked_tables,
    style,
    table_figure,
)
from colorlib.companion.results import Results
from colorlib.companion.steps import Step, files, shown_steps, story_inputs
from colorlib.companion.story import compare_with_one_color, story
from colorlib.companion.tables import Column, Table, scored_photographs
from colorlib.config import config_of_record
from colorlib.files import write_text
from colorlib.profiles import PROFILES, PROJECT, Profile, load_profile
from colorlib.provenance import machines

TITLE = "Deep learning for image colorization, tested claim by claim"
DEVIATIONS = PROJECT / "paper" / "deviations.md"
SPEED = PROJECT / "results" / "bench"
"""A table per kind of device, written by `make bench`."""
BACKGROUND = ("01_data.ipynb", "02_train.ipynb", "00_method.ipynb")
"""Notebooks on photographs, training and the method; the others show results."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """An executed notebook as a part of the report."""

    step: Step
    notebook: ExecutedNotebook
    figures: list[str]
    """Its figures and tables as HTML, caption and provenance below each."""

    @property
    def anchor(self) -> str:
        """The section's id in the page: the step's name without its number, if it has one."""
        return self.step.name.partition("_")[2] or self.step.name


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
    default_seeds = load_profile(profile.name).seeds
    sections = [_section(results, step, default_seeds) for step in shown]
    # A profile with another method than the paper's does not judge the paper's claims.
    claims = None if profile.changes else text.read_verdicts(files(profile, "claims")[0], profile.name)
    compared = compare_with_one_color(results)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES / "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(held_to=text.held_to, measurement=text.measurement, uncertainty=text.uncertainty)
    return environment.get_template("report.html.j2").render(
        title=TITLE,
        css=style(),
        profile=profile,
        config=config_of_record(results.records[0]),
        story=story(results, claims),
        summary=_summary(profile, claims),
        compared=table_figure(compared.html(), compared.caption),
        claims=claims,
        groups=_groups(claims) if claims else {},
        marks={mark.verdict: mark for mark in text.MARKS},
        results=[section for section in sections if section.step.notebook not in BACKGROUND],
        photographs=[section for section in sections if section.step.notebook == BACKGROUND[0]],
        deviations=_deviations(),
        speed=[stacked_tables(markdown_html(path.read_text(encoding="utf-8"))) for path in _speed_tables()],
        runs=_runs_table(profile),
        sections=sections,
        missing=[step.name for step in steps if step not in shown],
        hardware=machines(results.records),
        source=_source(results.records),
    )


def _section(results: Results, step: Step, default_seeds: tuple[int, ...]) -> Section:
    notebook = read_notebook(step.executed)
    below = _provenance(results, step, default_seeds)
    return Section(step=step, notebook=notebook, figures=[output.figure(below) for output in notebook.outputs])


def _provenance(results: Results, step: Step, default_seeds: tuple[int, ...]) -> str:
    """Return the line below a figure: the command that makes it, the runs that it reads, their hardware and source."""
    profile = results.profile
    command = f"colorlib reproduce --profile {profile.name} --only {step.name}"
    if profile.seeds != default_seeds:
        command += f" --seeds {','.join(map(str, profile.seeds))}"
    folders = {path.parent for path in step.inputs}
    read = [
        (seed, record)
        for seed, record in zip(profile.seeds, results.records, strict=True)
        if profile.run(seed) in folders
    ]
    parts = [f"<code>{command}</code>"]
    if read:
        runs, records = ", ".join(f"seed-{seed}" for seed, _ in read), [record for _, record in read]
        parts += [f"runs: {runs} of results/{profile.name}", machines(records), f"source tree {_source(records)}"]
    parts.append(f'<a href="notebooks/{step.name}.html">notebook {step.name}</a>')
    return f'<small class="provenance">{" · ".join(parts)}</small>'


def _source(records: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(record["source"][:16] for record in records))


def _summary(profile: Profile, claims: Mapping[str, Any] | None) -> list[str]:
    """Return two sentences: the number of each verdict; the errors of network, best baseline and paper."""
    judged = text.counts_sentence(claims) if claims else "The paper's claims were not judged on this profile."
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

    return [
        judged,
        f"On the {int(network['images'])} test photographs of {profile.photos} the network reaches {error(network)} "
        f"after {int(network['updates']):,} updates; the best baseline ({baseline['method']}) reaches "
        f"{error(baseline)}; the paper gives {paper['MSE']:g} ({paper['PSNR of MSE']:g} dB) for photographs that it "
        "does not name.",
    ]


def _groups(claims: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the claims by group, groups and claims in their order."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for claim in claims["claims"]:
        found.setdefault(claim["group"], []).append(claim)
    return found


def _deviations() -> str:
    """Return paper/deviations.md as HTML without its title, which is the section's, headings one level lower."""
    text = DEVIATIONS.read_text(encoding="utf-8").partition("\n")[2]
    return stacked_tables(markdown_html(text.replace("\n## ", "\n### ")))


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
HEADLINE_METHODS = ("gray", "mean chroma", "look-up table", "network")
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
    sections = {"story": _story_text, "summary": _summary_text, "headline": _headline_table}

    def generate(match: re.Match[str]) -> str:
        if match["section"] not in sections:
            known = ", ".join(sections)
            raise ValueError(f"README.md: no section is called {match['section']!r}; choose one of {known}")
        generated = sections[match["section"]](load_profile(match["profile"], root=root))
        return f"{match[1]}{generated}{match[4]}"

    return MARKERS.sub(generate, readme)


def _story_text(profile: Profile) -> str:
    told = story(Results(profile), text.read_verdicts(files(profile, "claims")[0], profile.name))
    return f"{told}\n" if told else ""


def _summary_text(profile: Profile) -> str:
    claims = text.read_verdicts(files(profile, "claims")[0], profile.name)
    return " ".join(_summary(profile, claims)) + "\n"


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
