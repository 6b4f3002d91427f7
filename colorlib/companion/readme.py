"""The measured parts of README.md: written between markers from results/, never typed."""

import re
from pathlib import Path

from colorlib.files import write_text
from colorlib.profiles import PROJECT

README = PROJECT / "README.md"
MARKED = re.compile(r"(<!-- from (?P<source>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def current(text: str, root: Path = PROJECT) -> str:
    """`text` with the content of each marked file between its markers.

    Raises:
        ValueError: a marked file does not exist.
    """

    def filled(match: re.Match[str]) -> str:
        source = root / match["source"]
        if not source.is_file():
            raise ValueError(f"README.md asks for {match['source']}, which does not exist; reproduce it first")
        return f"{match[1]}{source.read_text(encoding='utf-8')}{match[3]}"

    return MARKED.sub(filled, text)


def write_readme() -> bool:
    """Bring README.md up to date; returns whether it changed."""
    text = README.read_text(encoding="utf-8")
    new = current(text)
    if new != text:
        write_text(README, new)
    return new != text
