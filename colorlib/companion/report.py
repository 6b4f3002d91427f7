"""The report: one self-contained HTML page made by nbconvert of the executed notebooks, their code folded away."""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from colorlib.companion.plan import steps
from colorlib.files import write_text
from colorlib.profiles import PROJECT, Profile
from colorlib.runs import Run

TEMPLATES = Path(__file__).parent / "template"
TITLE = "Image colorization with an encoder-decoder: the paper, reproduced"


def write_report(profile: Profile) -> Path:
    """Build results/<profile>/report.html of the profile's executed notebooks.

    Raises:
        ValueError: a notebook was not executed yet, or a figure has no alternative text.
    """
    from nbconvert import HTMLExporter
    from pygments.formatters import HtmlFormatter

    nb = combined(profile)
    exporter = HTMLExporter(template_name="report", extra_template_basedirs=[str(TEMPLATES)])
    css = (TEMPLATES / "report" / "style.css").read_text(encoding="utf-8")
    highlighting = HtmlFormatter(style="default").get_style_defs(".highlight")  # type: ignore[no-untyped-call]
    resources = {"report": {"title": f"{TITLE} ({profile.name})", "css": f"{css}\n{highlighting}"}}
    page, _ = exporter.from_notebook_node(nb, resources=resources)
    path = profile.results / "report.html"
    write_text(path, page)
    return path


def combined(profile: Profile) -> NotebookNode:
    """One notebook of all executed ones: an opening, a contents list, each notebook a section, then the deviations.

    Raises:
        ValueError: a notebook was not executed yet, or a figure has no alternative text.
    """
    sections: list[tuple[str, list[NotebookNode]]] = []
    for step in steps(profile):
        path = profile.results / "notebooks" / f"{step.name}.ipynb"
        if not path.is_file():
            raise ValueError(f"{path} does not exist; run `make reproduce PROFILE={profile.name}` first")
        cells = nbformat.read(path, as_version=4).cells
        for cell in cells:
            if cell.cell_type == "markdown":
                cell.source = _one_level_down(cell.source)
            _check_alternative_texts(path, cell)
            cell.id = f"{step.name.replace('_', '-')}-{cell.id}"
        sections.append((_title(cells), cells))
    deviations = nbformat.v4.new_markdown_cell(
        _one_level_down((PROJECT / "paper" / "deviations.md").read_text(encoding="utf-8"))
    )
    sections.append((_title([deviations]), [deviations]))
    listed = "\n".join(f"- [{title}](#{title.replace(' ', '-')})" for title, _ in sections)
    opening = nbformat.v4.new_markdown_cell(f"# {TITLE}\n\n{_opening(profile)}\n\n{listed}")
    opening.id, deviations.id = "opening", "deviations"
    nb: NotebookNode = nbformat.v4.new_notebook(cells=[opening, *(cell for _, cells in sections for cell in cells)])
    return nb


def _opening(profile: Profile) -> str:
    records = [Run(profile.run(seed)).record() for seed in profile.seeds]
    hardware = records[0]["hardware"]
    config = profile.config(profile.seeds[0])
    sources = ", ".join(sorted({record["source"][:16] for record in records}))
    return (
        "A reproduction of M. Z. Aalam, A. Faiz, I. Tandi, A. Bhagat, P. Vishwakarma, *Deep Learning for Image "
        "Colorization: An Encoder-Decoder Approach*, IJRPR 2025, DOI 10.55248/gengpi.6.0425.14158. Everything below "
        "was computed; nothing was typed in.\n\n"
        f"Profile `{profile.name}`: photographs `{config.photos}`, {config.epochs} epochs of "
        f"{config.crops_per_epoch:,} crops of {config.crop_size} pixels, {config.updates:,} updates; seeds "
        f"{', '.join(map(str, profile.seeds))}; {hardware.get('accelerator', hardware['processor'])}, "
        f"{hardware['threads']} threads; source tree {sources}. Made by `make reproduce PROFILE={profile.name}`."
    )


def _title(cells: list[NotebookNode]) -> str:
    title: str = next(line for line in cells[0].source.splitlines() if line.startswith("## "))
    return title.removeprefix("## ")


def _one_level_down(markdown: str) -> str:
    return re.sub(r"^(#+ )", r"#\1", markdown, flags=re.MULTILINE)


def _check_alternative_texts(path: Path, cell: NotebookNode) -> None:
    for output in cell.get("outputs", ()):
        if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt"):
            raise ValueError(f"{path}: a picture has no alternative text; show it through an Illustration")
