"""Image files in a folder and its subfolders, by one rule for `colorize`, `train` and `evaluate`."""

import os
import stat
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from colorlib.photos.headers import SUFFIXES

THUMBNAIL_FOLDERS = frozenset({"@eadir", "__macosx", "#recycle", "$recycle.bin", "thumbnails", "_thumbnails"})
"""Names of folders, in small letters, that programs fill with reduced or deleted pictures."""
OWN_COPIES = "copies made by colorlib"
"""Reason for which a colored copy is left out: its colors are guessed."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is in a folder."""

    photos: tuple[Path, ...]
    """Image files by their endings, sorted; also broken links of such names and folders that cannot be read, which are
    errors to be reported.
    """
    left_out: Counter[str]
    """Reason -> number of files or folders that are no photographs."""


def find_photos(folder: Path, *, skip: Callable[[Path], str | None] = lambda path: None) -> Found:
    """Find the image files in a folder and its subfolders.

    Args:
        folder: the folder. A link to a folder inside it is not followed: links can form loops.
        skip: returns the reason to leave out a folder or an image file, or None.

    Returns:
        The files, and the number left out by reason.
    """
    photos: list[Path] = []
    left_out: Counter[str] = Counter()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError:
            photos.append(here)
            continue
        for entry in entries:
            path = here / entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            reason = _reason(entry, is_folder=is_folder) or skip(path)
            if reason:
                left_out[reason] += 1
            elif is_folder:
                waiting.append(path)
            else:
                photos.append(path)
    return Found(photos=tuple(sorted(photos)), left_out=left_out)


def _reason(entry: "os.DirEntry[str]", *, is_folder: bool) -> str | None:
    """Return why an entry of a folder is left out, or None."""
    name, ending = entry.name, Path(entry.name).suffix.lower()
    if is_folder:
        return "hidden or thumbnail folders" if name[0] == "." or name.lower() in THUMBNAIL_FOLDERS else None
    try:
        mode = entry.stat().st_mode
    except OSError:  # a broken link
        mode = None
    if mode is not None and stat.S_ISDIR(mode):
        return "links to folders"
    if name[0] == ".":  # macOS writes a `._name.jpg` next to each picture
        return "hidden files"
    if ending not in SUFFIXES:
        return f"{ending or 'no ending'}"
    return None if mode is None or stat.S_ISREG(mode) else "pipes and devices"


def left_out_text(left_out: Counter[str]) -> str:
    """Return the numbers left out as text, the most frequent first: `.txt (3), hidden files (1)`."""
    return ", ".join(f"{reason} ({number})" for reason, number in left_out.most_common())


def printable(path: Path) -> str:
    r"""Return a path with `/`, bytes that are not UTF-8 written as `\xfc`, so that it fits into JSON and digests."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
