"""Executed notebooks as HTML: their prose, figures and tables for the report, and a page for each of them.

Captions and alternative texts are read from the metadata of the outputs, where `tables.show_captioned` put them.
"""

import base64
import html
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorlib.companion.steps import Step
from colorlib.companion.tables import caption_html
from colorlib.evaluate import NETWORK
from colorlib.profiles import Profile

if TYPE_CHECKING:
    # nbformat is imported in the function that uses it: building jsonschema's grammar of addresses takes seconds.
    from nbformat import NotebookNode

TEMPLATES = Path(__file__).parent / "templates"
LABEL_LENGTH = 90
"""Characters of a caption in the name of a region that scrolls."""
LONG_CAPTION = 280
"""Characters from which on a caption is folded after its first sentence in the report."""


@dataclass(frozen=True, kw_only=True)
class CaptionedOutput:
    """A figure or table of an executed notebook."""

    body: str
    """HTML: an `img`, or a chart or table in the region that it scrolls in."""
    label: str
    """Start of the caption, for example `Figure 1.`; may be empty."""
    caption: str
    """Plain text."""
    alt: str = ""
    """Alternative text of a figure."""
    png: bytes = b""
    """The file of a figure."""
    svg: str = ""
    """Name of the SVG file of a drawing."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """Numbers of a figure, for the heading of its section."""

    def figure(self) -> str:
        """Return an HTML `figure` with the caption."""
        return _figure(self.body, caption_html(self.label, self.caption))

    def short_figure(self, folder: str = "") -> str:
        """Return an HTML `figure` with the first sentence of a long caption; of a table, without intervals.

        Args:
            folder: address of the folder of the SVG files, to link that of a drawing; empty for no link.
        """
        first, _ = self._caption_parts()
        table = re.search(r"<table.*</table>", self.body, flags=re.DOTALL)
        link = f' <a href="{folder}/{self.svg}">SVG</a>' if self.svg and folder else ""
        return _figure(compact_table(table[0]) if table else self.body, caption_html(self.label, first) + link)

    def details(self) -> str:
        """Return what `short_figure` leaves out, as HTML: the table with its intervals, the rest of the caption."""
        _, rest = self._caption_parts()
        intervals = self.body if UNCERTAINTY.search(self.body) else ""
        return intervals + (f"<p>{caption_html(self.label, rest)}</p>" if rest else "")

    def _caption_parts(self) -> tuple[str, str]:
        """Return what of the caption stands below the figure, and what is folded: of intervals and of a long one."""
        sentences = re.split(r"(?<=\.)(?<!Sec\.) (?=[A-Z0-9])", self.caption)
        shown = sentences[:1] if len(self.caption) > LONG_CAPTION else sentences
        shown = [sentence for sentence in shown if not sentence.startswith("In brackets")]
        return " ".join(shown), " ".join(sentence for sentence in sentences if sentence not in shown)


@dataclass(frozen=True, kw_only=True)
class ExecutedNotebook:
    """The parts of an executed notebook that the report shows."""

    title: str
    introduction: str
    """The question and the answer below the title, as HTML."""
    outputs: tuple[CaptionedOutput, ...]


def read_notebook(path: Path) -> ExecutedNotebook:
    """Return title, introduction, figures and tables of an executed notebook.

    Raises:
        ValueError: it does not exist, has no title, or shows a picture without caption or alternative text.
    """
    cells = read_cells(path)
    first, _, rest = cells[0].source.partition("\n") if cells else ("", "", "")
    if not first.startswith("# "):
        raise ValueError(f"{path}: its first line is {first!r}; expected a title, `# …`")
    return ExecutedNotebook(
        title=first.removeprefix("# "), introduction=markdown_html(rest), outputs=tuple(captioned_outputs(path, cells))
    )


def read_cells(path: Path) -> list["NotebookNode"]:
    """Return the cells of an executed notebook.

    Raises:
        ValueError: it does not exist.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist; run `make reproduce PROFILE={path.parent.parent.name}` first")
    import nbformat

    cells: list[NotebookNode] = nbformat.read(path, as_version=4).cells
    return cells


def captioned_outputs(path: Path, cells: Sequence["NotebookNode"]) -> Iterator[CaptionedOutput]:
    """Yield the figures and tables of an executed notebook.

    Args:
        path: of the notebook, for messages.
        cells: of the notebook.

    Raises:
        ValueError: a picture has no caption or no alternative text.
    """
    for cell in cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                yield _picture(output, str(path))
            elif _metadata(output, "text/html").get("caption"):
                yield _table(output)


def _metadata(output: "NotebookNode", mime_type: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = output.get("metadata", {}).get(mime_type, {})
    return found


def _picture(output: "NotebookNode", where: str) -> CaptionedOutput:
    """Return a picture, its size given so that nothing moves while a page loads; `where` names the notebook."""
    metadata = _metadata(output, "image/png")
    label = metadata.get("label", "")
    for key, words in (("caption", "caption"), ("alt", "alternative text")):
        if not metadata.get(key):
            raise ValueError(f"{where}: picture {label!r} has no {words}; show it by Illustration.show()")
    data = output["data"]["image/png"].replace("\n", "")
    # A PNG file has its width and height in bytes 16 to 24
    width, height = struct.unpack(">II", base64.b64decode(data[:32])[16:24])
    shown = int(metadata.get("width", width))
    body = (
        f'<img src="data:image/png;base64,{data}" alt="{html.escape(metadata["alt"])}" '
        f'width="{shown}" height="{round(shown * height / width)}">'
    )
    # The letters of a chart cannot be read when it is much smaller: it scrolls instead
    svg = metadata.get("svg", "")
    if svg or "chart" in metadata:
        body = scroll_region(body, "Figure: " + _first_words(metadata["caption"]))
    return CaptionedOutput(
        body=body,
        svg=svg,
        label=label,
        caption=metadata["caption"],
        alt=metadata["alt"],
        png=base64.b64decode(data),
        numbers=metadata.get("numbers", {}),
    )


def _table(output: "NotebookNode") -> CaptionedOutput:
    metadata = _metadata(output, "text/html")
    label, caption = metadata.get("label", ""), metadata["caption"]
    name = "Table: " + _first_words(f"{label} {caption}".strip())
    return CaptionedOutput(body=scroll_region(output["data"]["text/html"], name), label=label, caption=caption)


def scroll_region(body: str, name: str) -> str:
    """Return HTML in a region that scrolls by itself; it can be reached by keyboard and therefore needs a name."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{html.escape(name)}">{body}</div>'


def _first_words(text: str) -> str:
    if len(text) <= LABEL_LENGTH:
        return text
    return text[:LABEL_LENGTH].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def _figure(body: str, caption: str) -> str:
    return f"<figure>{body}<figcaption>{caption}</figcaption></figure>"


def table_figure(table: str, caption: str) -> str:
    """Return an HTML table as a `figure` that scrolls by itself, its caption (plain text) below."""
    return _figure(scroll_region(table, "Table: " + _first_words(caption)), caption_html("", caption))


def html_output(output: "NotebookNode") -> str:
    """Return an HTML output for a notebook's page: a table as a figure with its caption, other HTML as it is."""
    if _metadata(output, "text/html").get("caption"):
        return _table(output).figure()
    text: str = output["data"]["text/html"]
    # A table without a caption, for example a data frame's own
    return scroll_region(text, "Table") if "<table" in text else text


def notebook_pages(profile: Profile, shown: Sequence[Step]) -> dict[Path, str]:
    """Return a page for each executed notebook of a profile, by its path.

    Raises:
        ValueError: a notebook was not executed yet, or a picture in it has no alternative text or no caption.
    """
    import nbformat
    from nbconvert import HTMLExporter

    def picture(output: Any, step: str) -> str:
        return _picture(output, f"{step}.ipynb").figure()

    exporter = HTMLExporter(
        template_name="report",
        extra_template_basedirs=[str(TEMPLATES)],
        filters={"picture": picture, "html_output": html_output},
    )
    paths = [step.executed for step in shown]
    links = [{"file": f"{path.stem}.html", "title": read_notebook(path).title} for path in paths]
    pages = {}
    for place, path in enumerate(paths):
        cells = read_cells(path)
        # The caption is in the figure already
        for cell in cells:
            if "outputs" in cell:
                cell.outputs = [out for out in cell.outputs if not _metadata(out, "text/html").get("is_caption")]
        about = {
            "css": style(),
            "step": path.stem,
            "profile": profile.name,
            "title": links[place]["title"],
            "before": links[place - 1] if place else None,
            "after": links[place + 1] if place + 1 < len(links) else None,
        }
        nb = nbformat.v4.new_notebook(cells=cells)
        pages[path.with_suffix(".html")], _ = exporter.from_notebook_node(nb, resources={"report": about})
    return pages


def style() -> str:
    """Return the style sheet that every page includes."""
    return (TEMPLATES / "report" / "style.css").read_text(encoding="utf-8").strip()


# HTML from Markdown


def markdown_html(text: str) -> str:
    """Return Markdown as HTML, headings without links to themselves."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    renderer = IPythonRenderer(escape=False, exclude_anchor_links=True)
    rendered: str = MarkdownWithMath(renderer=renderer).render(text)
    return rendered


def compact_table(table: str) -> str:
    """Return an HTML table of results without uncertainties, each column with the digits that they support.

    A column keeps a digit as long as its unit is at most half of the smallest uncertainty: a standard deviation, or
    half the width of an interval. Numbers are aligned on the right, and the row of the network is marked. On a narrow
    screen each row is a block.
    """
    head, *body = (re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in table.split("</tr>")[:-1])
    columns = [_rounded(column) for column in zip(*body, strict=True)]
    rows = list(zip(*columns, strict=True))
    classes = [' class="number"' if all(map(NUMBER.fullmatch, column)) else "" for column in columns]
    heads = "".join(
        f'<th role="columnheader" scope="col"{cls}>{name}</th>' for name, cls in zip(head, classes, strict=True)
    )
    labels = [f' data-label="{html.escape(html.unescape(name))}"{cls}' for name, cls in zip(head, classes, strict=True)]
    lines = ""
    for first, *others in rows:
        marked = ' class="ours"' if html.unescape(first) == NETWORK else ""
        lines += f'<tr role="row"{marked}><th role="rowheader" scope="row"{labels[0]}>{first}</th>' + "".join(
            f'<td role="cell"{label}>{text}</td>' for label, text in zip(labels[1:], others, strict=True)
        )
        lines += "</tr>"
    return (
        f'<table class="compact" role="table"><thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
        f'<tbody role="rowgroup">{lines}</tbody></table>'
    )


UNCERTAINTY = re.compile(r"<br><small>\[(.*?), (.*?)\]</small>| ± ([\d.]+)")
"""An interval or a standard deviation in a cell."""
NUMBER = re.compile(r"[+-]?[\d,]*\.?\d+%?|–|")
"""Text of a cell in a column of numbers."""


def _rounded(cells: Sequence[str]) -> list[str]:
    """Return the cells of a column without uncertainties, rounded to the digits that these support."""
    widths = []
    for low, high, deviation in (match.groups() for cell in cells for match in UNCERTAINTY.finditer(cell)):
        bounds = [float(bound.replace(",", "")) for bound in (low, high) if bound]
        widths.append((bounds[1] - bounds[0]) / 2 if bounds else float(deviation))
    smallest = min((width for width in widths if width > 0), default=None)
    texts = [UNCERTAINTY.sub("", cell) for cell in cells]
    if smallest is None:
        return texts
    # The unit 10 ** -digits is at most half of the smallest uncertainty
    digits = max(0, math.ceil(-math.log10(smallest / 2)))
    return [_round(text, digits) for text in texts]


def _round(text: str, digits: int) -> str:
    """Return a number with at most so many digits after its decimal point, and other text as it is."""
    digits = min(digits, len(text.partition(".")[2]))
    if "." not in text or not NUMBER.fullmatch(text):
        return text
    value = round(float(text.replace(",", "")), digits) + 0.0  # + 0.0: no -0.0
    return f"{value:{'+' if text.startswith('+') else ''},.{digits}f}"


def stacked_tables(text: str) -> str:
    """Return HTML whose tables can be shown on a narrow screen as one block per row, each cell with its column's name.

    Roles are spelled out, because a browser removes them from a table that is not laid out as one.
    """
    return re.sub(r"<table>(.*?)</table>", lambda table: _stacked(table[1]), text, flags=re.DOTALL)


def _stacked(table: str) -> str:
    head, *rows = (re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in table.split("</tr>")[:-1])
    columns = "".join(f'<th role="columnheader" scope="col">{name}</th>' for name in head)
    body = ""
    for first, *others in rows:
        cells = "".join(
            f'<td role="cell" data-label="{html.escape(name)}">{cell}</td>'
            for name, cell in zip(head[1:], others, strict=True)
        )
        body += f'<tr role="row"><th role="rowheader" scope="row">{first}</th>{cells}</tr>\n'
    return (
        f'<table class="stacked" role="table"><thead role="rowgroup"><tr role="row">{columns}</tr></thead>\n'
        f'<tbody role="rowgroup">{body}</tbody></table>'
    )
