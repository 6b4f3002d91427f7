"""HTML pages, parsed."""

import re
from collections import Counter
from html.parser import HTMLParser


class Page(HTMLParser):
    """Ids, links, pictures, headings, words and tags of a page, in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.headings: list[tuple[int, str]] = []
        self.words = ""
        self.tags: Counter[str] = Counter()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags[tag] += 1
        self.words += " " if tag in ("th", "td", "tr") else ""
        self.ids += [str(found["id"])] if "id" in found else []
        self.links += [str(found["href"])] if "href" in found else []
        if tag == "img":
            self.pictures.append(found)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))
            self.open = tag

    def handle_endtag(self, tag):
        if tag == getattr(self, "open", None):
            self.open = None

    def handle_data(self, data):
        self.words += data
        if getattr(self, "open", None):
            level, text = self.headings.pop()
            self.headings.append((level, text + data))


def words(html: str) -> str:
    return " ".join(Page(html).words.split())
