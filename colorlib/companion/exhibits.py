"""What executed notebooks show, as parts of a page: prose, figures with alternative texts, tables that scroll."""

import base64
import html
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode


CAPTION = re.compile(r"<p class=(?:'caption'|\"caption\")>(.*?)</p>", re.DOTALL)
TABLE = re.compile(r"<table class=\"figures\"><caption>(.*?)</caption>(.*?)</table>", re.DOTALL)
LABEL_LENGTH = 90


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """One figure or table, as HTML."""

    body: str
    """An `img`, or a table in the region that it scrolls in."""
    caption: str


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """One executed notebook: what it asks, answers and shows."""

    title: str
    opening: str
    """The question and the answer below the title, as HTML."""
    exhibits: tuple[Exhibit, ...]


def read_chapter(path: Path) -> Chapter:
    """What an executed notebook shows, in its order.

    Raises:
        ValueError: it does not exist, has no title, or shows a picture without caption or alternative text.
    """
    cells = read_cells(path)
    first, _, rest = cells[0].source.partition("\n") if cells else ("", "", "")
    if not first.startswith("# "):
        raise ValueError(f"{path}: its first line is {first!r}; expected a title, `# …`")
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return Chapter(title=first.removeprefix("# "), opening=markdown_html(rest), exhibits=_exhibits(path, outputs))


def read_cells(path: Path) -> list["NotebookNode"]:
    """The cells of an executed notebook.

    Raises:
        ValueError: it does not exist.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist; run `make reproduce PROFILE={path.parent.parent.name}` first")
    import nbformat  # takes seconds: jsonschema's grammar of addresses is built when it is imported

    cells: list[NotebookNode] = nbformat.read(path, as_version=4).cells
    return cells


def _exhibits(path: Path, outputs: list["NotebookNode"]) -> tuple[Exhibit, ...]:
    found = []
    for output, following in zip(outputs, [*outputs[1:], {}], strict=True):
        data = output.get("data", {})
        if "image/png" in data:
            caption = CAPTION.search(following.get("data", {}).get("text/html", ""))
            if not caption:
                raise ValueError(f"{path}: a picture has no caption; show it through an Illustration")
            found.append(Exhibit(body=picture_html(output, str(path)), caption=caption[1]))
        found += [Exhibit(body=_region(*table.groups()), caption=table[1]) for table in TABLE.finditer(_html_of(data))]
    return tuple(found)


def _html_of(data: "NotebookNode") -> str:
    text: str = data.get("text/html", "")
    return text


def picture_html(output: "NotebookNode", where: str) -> str:
    """The `img` of a PNG output, its size given, so that nothing moves while the page is built up.

    Raises:
        ValueError: it has no alternative text; `where` says in which notebook.
    """
    metadata = output.get("metadata", {}).get("image/png", {})
    if not metadata.get("alt"):
        raise ValueError(f"{where}: a picture has no alternative text; show it through an Illustration")
    data = output["data"]["image/png"].replace("\n", "")
    # A PNG states its size in the 24 bytes that it starts with.
    width, height = struct.unpack(">II", base64.b64decode(data[:32])[16:24])
    shown = int(metadata.get("width", width))
    return (
        f'<img src="data:image/png;base64,{data}" alt="{html.escape(metadata["alt"])}" '
        f'width="{shown}" height="{round(shown * height / width)}">'
    )


def framed_tables(text: str) -> str:
    """HTML with each table in a region that scrolls by itself, its caption below, where it stays when that scrolls."""
    framed = TABLE.sub(lambda table: figure_html(_region(*table.groups()), table[1]), text)
    if framed == text and "<table" in text:  # a table of another maker, for example of pandas
        return _scrolling(text, "Table")
    return framed


def figure_html(body: str, caption: str) -> str:
    """A figure or table with its caption."""
    return f"<figure>{body}<figcaption>{caption}</figcaption></figure>"


def _region(caption: str, rows: str) -> str:
    return _scrolling(f'<table class="figures">{rows}</table>', "Table: " + _first_words(caption))


def _scrolling(body: str, label: str) -> str:
    # What scrolls must be reachable by keyboard, and what is reachable needs a name.
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{html.escape(label)}">{body}</div>'


def _first_words(caption: str) -> str:
    text = html.unescape(re.sub(r"<[^>]+>", "", caption))
    if len(text) <= LABEL_LENGTH:
        return text
    return text[:LABEL_LENGTH].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def markdown_html(text: str) -> str:
    """Markdown as HTML, headings without the links to themselves that a page of ours would hide."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    renderer = IPythonRenderer(escape=False, exclude_anchor_links=True)
    rendered: str = MarkdownWithMath(renderer=renderer).render(text)
    return rendered


def stacked_tables(text: str) -> str:
    """Tables of HTML that a narrow screen shows as one block a row, each cell with its column's name above.

    Roles are spelled out, because a browser takes them from a table that is not laid out as one.
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
