"""Executed notebooks as pages of their own, in the look of the report, made by nbconvert; their code can be folded."""

from pathlib import Path
from typing import Any

from colorlib.companion.exhibits import framed_tables, picture_html, read_cells, read_chapter
from colorlib.companion.plan import Step, steps
from colorlib.profiles import Profile

TEMPLATES = Path(__file__).parent / "template"


def style() -> str:
    """The style sheet that every page holds."""
    return (TEMPLATES / "report" / "style.css").read_text(encoding="utf-8").strip()


def executed(profile: Profile, step: Step) -> Path:
    """Where the executed copy of a step's notebook lies."""
    return profile.results / "notebooks" / f"{step.name}.ipynb"


def shown_steps(profile: Profile) -> list[Step]:
    """The steps of a profile that pages show: all but the optional ones that were not executed."""
    return [step for step in steps(profile) if not step.optional or executed(profile, step).is_file()]


def notebook_pages(profile: Profile) -> dict[Path, str]:
    """A page for each executed notebook of a profile, by the path where it belongs.

    Raises:
        ValueError: a notebook was not executed yet, or a figure in it has no alternative text or no caption.
    """
    import nbformat
    from nbconvert import HTMLExporter

    def picture(output: Any, step: str) -> str:
        return picture_html(output, f"{step}.ipynb")

    exporter = HTMLExporter(
        template_name="report",
        extra_template_basedirs=[str(TEMPLATES)],
        filters={"picture": picture, "framed_tables": framed_tables},
    )
    paths = [executed(profile, step) for step in shown_steps(profile)]
    listed = [{"file": f"{path.stem}.html", "title": read_chapter(path).title} for path in paths]
    pages = {}
    for place, path in enumerate(paths):
        nb = nbformat.v4.new_notebook(cells=read_cells(path))
        about = {
            "css": style(),
            "step": path.stem,
            "profile": profile.name,
            "title": listed[place]["title"],
            "before": listed[place - 1] if place else None,
            "after": listed[place + 1] if place + 1 < len(listed) else None,
        }
        pages[path.with_suffix(".html")], _ = exporter.from_notebook_node(nb, resources={"report": about})
    return pages
