"""What the controls of notebooks/explore.ipynb show: pictures under headings, a marked pixel, facts about it."""

import html
import io
from base64 import b64encode

import ipywidgets as widgets
import numpy as np
from PIL import Image, ImageDraw

from colorlib.companion.explore import WIDTH, PixelFacts
from colorlib.images import Pixels

MARK = (210, 64, 80)
"""Color of the square around the chosen pixel."""


def png(pixels: Pixels) -> bytes:
    """A picture as PNG."""
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG", compress_level=1)
    return held.getvalue()


class Panel:
    """A picture under its heading, which is its alternative text too.

    An `Image` widget has no alternative text, and a tooltip breaks it (ipywidgets 8.1).
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.box = widgets.HTML()
        self.pixels: Pixels | None = None

    def put(self, heading: str, pixels: Pixels) -> None:
        """Change both; a small picture is enlarged without smoothing."""
        self.pixels = pixels
        shown = html.escape(heading)
        style = "image-rendering: pixelated" if pixels.shape[1] < self.width / 2 else ""
        self.box.value = (
            f"<b>{shown}</b><br><img alt='{shown}' width={self.width} style='{style}' "
            f"src='data:image/png;base64,{b64encode(png(pixels)).decode()}'>"
        )


def marked(pixels: Pixels, row: int, column: int) -> Pixels:
    """A copy of a preview with the square around a pixel that decides it outlined."""
    image = Image.fromarray(pixels)
    half = WIDTH // 2 + 1
    ImageDraw.Draw(image).rectangle((column - half, row - half, column + half, row + half), outline=MARK)
    return np.asarray(image)


def facts_html(facts: PixelFacts, halo: int | None) -> str:
    """What a pixel was made of, in words."""
    seen = f"{2 * halo + 1} × {2 * halo + 1}" if halo is not None else "1 × 1"
    return (
        f"<p>This pixel has <b>L = {facts.light:.1f}</b>. The method sees {seen} gray pixels around it; the {WIDTH} × "
        f"{WIDTH} shown here decide an answer of the paper's network.</p>"
        f"<table><tr><th></th><th>a</th><th>b</th></tr>"
        f"<tr><td>truth</td><td>{facts.truth[0]:.1f}</td><td>{facts.truth[1]:.1f}</td></tr>"
        f"<tr><td>answer</td><td>{facts.answer[0]:.1f}</td><td>{facts.answer[1]:.1f}</td></tr></table>"
    )
