"""The report: one self-contained HTML page of verdicts, figures and tables, with the notebooks as pages beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from colorlib.companion import verdicts
from colorlib.companion.cells import provenance_table
from colorlib.companion.exhibits import Chapter, figure_html, framed_tables, markdown_html, read_chapter, stacked_tables
from colorlib.companion.machines import machines
from colorlib.companion.notebook_pages import TEMPLATES, executed, notebook_pages, shown_steps, style
from colorlib.companion.plan import Step, steps
from colorlib.companion.tables import table_html
from colorlib.config import config_of_record
from colorlib.files import write_text
from colorlib.profiles import PROFILES, PROJECT, Profile, load_profile
from colorlib.runs import Run

TITLE = "Deep learning for image colorization, tested claim by claim"
DEVIATIONS = PROJECT / "paper" / "deviations.md"
SPEED = PROJECT / "results" / "bench"
"""A table per kind of device, written by `make bench`."""
BACKGROUND = ("01_data.ipynb", "02_train.ipynb")
"""Notebooks that say where the numbers come from; the others show results."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """An executed notebook as a part of the report."""

    step: Step
    chapter: Chapter
    figures: list[str]
    """Its figures and tables, caption and provenance below each."""

    @property
    def anchor(self) -> str:
        """Its id in the page: the step's name without its number, if it has one."""
        return self.step.name.partition("_")[2] or self.step.name


def write_report(profile: Profile) -> list[Path]:
    """Build results/<profile>/report.html and a page of each executed notebook; returns their paths, the report first.

    Raises:
        ValueError: a notebook was not executed yet, a figure has no alternative text or no caption, or claims.json does
            not hold what this profile's claims would be.
    """
    pages = {profile.results / "report.html": report_page(profile)} | notebook_pages(profile)
    for path, page in pages.items():
        write_text(path, page)
    return list(pages)


def sources(profile: Profile) -> list[Path]:
    """The files that the pages are made of, those that exist: evidence, deviations and templates."""
    given = [
        *(executed(profile, step) for step in steps(profile)),
        *(profile.run(seed) / "run.json" for seed in profile.seeds),
        *(profile.results / name for name in ("claims.json", "table1.csv")),
        *sorted(PROFILES.glob("*.yaml")),
        DEVIATIONS,
        *_speed_tables(),
        *sorted((TEMPLATES / "report").iterdir()),
    ]
    return [path for path in given if path.is_file()]


def report_page(profile: Profile) -> str:
    """The report as HTML: the same bytes for the same evidence.

    Raises:
        ValueError: as `write_report`.
    """
    sections = [_section(profile, step) for step in shown_steps(profile)]
    # Another method is no judge of the paper's claims.
    claims = None if profile.changes else verdicts.read_claims(profile.results / "claims.json", profile.name)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES / "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        held_to=verdicts.held_to, measurement=verdicts.measurement, uncertainty=verdicts.uncertainty
    )
    return environment.get_template("report.html.j2").render(
        title=TITLE,
        css=style(),
        profile=profile,
        config=config_of_record(Run(profile.run(profile.seeds[0])).record()),
        answer=_answer(profile, claims),
        claims=claims,
        groups=_groups(claims) if claims else {},
        marks={mark.verdict: mark for mark in verdicts.MARKS},
        results=[section for section in sections if section.step.notebook not in BACKGROUND],
        photographs=[section for section in sections if section.step.notebook == BACKGROUND[0]],
        deviations=_deviations(),
        speed=[stacked_tables(markdown_html(path.read_text(encoding="utf-8"))) for path in _speed_tables()],
        runs=_runs_table(profile),
        sections=sections,
        missing=[step.name for step in steps(profile) if step not in shown_steps(profile)],
        hardware=_hardware(profile, profile.seeds),
        source=_source(profile, profile.seeds),
    )


def _section(profile: Profile, step: Step) -> Section:
    chapter = read_chapter(executed(profile, step))
    below = _provenance(profile, step)
    figures = [figure_html(exhibit.body, exhibit.caption + below) for exhibit in chapter.exhibits]
    return Section(step=step, chapter=chapter, figures=figures)


def _provenance(profile: Profile, step: Step) -> str:
    """The line below a figure: the command that makes it, the runs that it reads, their hardware and source."""
    command = f"colorlib reproduce --profile {profile.name} --only {step.name}"
    if profile.seeds != load_profile(profile.name).seeds:
        command += f" --seeds {','.join(map(str, profile.seeds))}"
    folders = {path.parent for path in step.reads}
    seeds = [seed for seed in profile.seeds if profile.run(seed) in folders]
    parts = [f"<code>{command}</code>"]
    if seeds:
        runs = ", ".join(f"seed-{seed}" for seed in seeds)
        parts += [f"runs: {runs} of results/{profile.name}", _hardware(profile, seeds)]
        parts.append(f"source tree {_source(profile, seeds)}")
    parts.append(f'<a href="notebooks/{step.name}.html">notebook {step.name}</a>')
    return f'<small class="provenance">{" · ".join(parts)}</small>'


def _hardware(profile: Profile, seeds: Sequence[int]) -> str:
    return machines(Run(profile.run(seed)).record() for seed in seeds)


def _source(profile: Profile, seeds: Sequence[int]) -> str:
    return ", ".join(dict.fromkeys(Run(profile.run(seed)).record()["source"][:16] for seed in seeds))


def _answer(profile: Profile, claims: Mapping[str, Any] | None) -> list[str]:
    """What came of it, in two sentences: the verdicts counted, and our figures beside the paper's and the trivial."""
    judged = verdicts.counts_sentence(claims) if claims else "The paper's claims were not judged on this profile."
    path = profile.results / "table1.csv"
    if not path.is_file():
        raise ValueError(f"{path} does not exist; run `make table1 PROFILE={profile.name}` first")
    table = pd.read_csv(path)
    paper, rows = table.iloc[0], table.iloc[1:]
    network = rows[rows["method"] == "network"].iloc[0]
    trivial = rows[rows["seeds"].isna()].sort_values("MSE").iloc[0]

    def reached(row: Any) -> str:
        return (
            f"an MSE of {row['MSE']:.4f} ({row['PSNR of MSE']:.2f} dB; 95 % interval over images "
            f"{row['MSE low']:.4f} to {row['MSE high']:.4f})"
        )

    return [
        judged,
        f"On the {int(network['images'])} test photographs of {profile.photos} the network reaches {reached(network)} "
        f"after {int(network['updates']):,} updates; the best answer without a network ({trivial['method']}) gets "
        f"{reached(trivial)}; the paper gives {paper['MSE']:g} ({paper['PSNR of MSE']:g} dB) for photographs that it "
        "does not name.",
    ]


def _groups(claims: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The claims by group, groups and claims in their order."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for claim in claims["claims"]:
        found.setdefault(claim["group"], []).append(claim)
    return found


def _deviations() -> str:
    """paper/deviations.md without its title, which heads the section; its headings stand below that."""
    text = DEVIATIONS.read_text(encoding="utf-8").partition("\n")[2]
    return stacked_tables(markdown_html(text.replace("\n## ", "\n### ")))


def _speed_tables() -> list[Path]:
    return sorted(SPEED.glob("*.md"))


def _runs_table(profile: Profile) -> str:
    """What the runs were made of, a column for each set of seeds that differ in nothing else."""
    made_of = {seed: _made_of(profile.run(seed)) for seed in profile.seeds}
    # An older run says nothing of a setting that came after it; the order is that of whoever says most.
    names = list(dict.fromkeys(name for held in sorted(made_of.values(), key=len, reverse=True) for name in held))
    columns: dict[tuple[str, ...], list[int]] = {}
    for seed, held in made_of.items():
        columns.setdefault(tuple(held.get(name, "–") for name in names), []).append(seed)
    table = pd.DataFrame({"what": names})
    for values, seeds in columns.items():
        table[f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"] = values
    return framed_tables(
        table_html(table, "What the runs were made of: settings, photographs, source, versions, machine.")
    )


def _made_of(run: Path) -> dict[str, str]:
    table = provenance_table(run)
    return {what: str(value) for what, value in zip(table["what"], table["value"], strict=True) if what != "seed"}
