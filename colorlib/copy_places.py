"""Which photographs people mean by files, folders and patterns, and where the colored copy of each goes."""

import glob
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from colorlib.images import SUFFIXES
from colorlib.picture_files import FORMATS, format_of

COLORED, COMPARED = "-colorized", "-compared"
"""What is added to a name where no output is given."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A photograph, and where its colored copy goes."""

    photo: Path
    output: Path


def plan_copies(named: Sequence[str], output: Path | None, *, compare: bool = False) -> list[Copy]:
    """Which photographs are meant, and where the copy of each goes.

    Args:
        named: files, folders (searched recursively, structure kept) and glob patterns.
        output: a file where one photograph is named, else a folder; None puts copies beside the photographs, those of
            a folder into a folder beside it.
        compare: the copies are comparisons, and called so.

    Raises:
        ValueError: nothing is found under a name, the output is no picture that is written, or two copies would have
            the same path.
    """
    suffix = COMPARED if compare else COLORED
    if output is not None:
        output = output.expanduser()
    as_file = output is not None and _meant_as_file(output, named)
    copies: dict[Path, Copy] = {}
    for name in named:
        for photo, within in _found(name, leaving_out=None if as_file else output):
            if as_file:
                assert output is not None
                target = output
            elif output is not None:
                target = output / within / f"{photo.stem}{_written_as(photo)}"
            elif _is_folder(name):
                folder = Path(name).expanduser()
                folder = folder if folder.name not in ("", "..") else folder.resolve()
                target = folder.with_name(f"{folder.name}{suffix}") / within / f"{photo.stem}{_written_as(photo)}"
            else:
                target = photo.with_name(f"{photo.stem}{suffix}{_written_as(photo)}")
            # Links are not followed: who keeps a photograph in two places gets two copies.
            copies.setdefault(Path(os.path.abspath(photo)), Copy(photo=photo, output=target))  # noqa: PTH100
    return _apart(list(copies.values()))


def _meant_as_file(output: Path, named: Sequence[str]) -> bool:
    """Whether an output is a picture's name and not a folder's.

    Raises:
        ValueError: it is, and of a kind that is not written.
    """
    if output.is_dir() or not output.suffix:
        return False
    if output.suffix.lower() in FORMATS:
        return True
    if len(named) == 1 and Path(named[0]).expanduser().is_file():
        format_of(output)  # who names one photograph and an ending wants that kind of file
    return False


def _is_folder(name: str) -> bool:
    return Path(name).expanduser().is_dir()


def _found(name: str, *, leaving_out: Path | None) -> list[tuple[Path, Path]]:
    """The photographs under a name, each with its folder within what was named.

    Args:
        name: a file, a folder or a pattern.
        leaving_out: the folder that copies go to, where one is named: what lies there are copies of an earlier call.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        inside = sorted(_inside(path, leaving_out))
        if not inside:
            raise ValueError(f"{name} holds no photographs ({', '.join(sorted(SUFFIXES))})")
        return [(found, found.parent.relative_to(path)) for found in inside]
    if path.exists() or path.is_symlink():
        return [(path, Path())]
    # Path.glob refuses patterns that begin at the root.
    matching = [Path(found) for found in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    if not matching:
        raise ValueError(f"{name}: there is no such file or folder, and nothing matches it as a pattern")
    files = [found for found in matching if not found.is_dir() and not _under(found, leaving_out)]
    if not files:
        raise ValueError(f"{name} matches folders alone; name the folders, or end the pattern with /*.jpg")
    fixed = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
    return [(found, found.parent.relative_to(fixed)) for found in files if leaving_out or not _is_copy(found)]


def _inside(folder: Path, leaving_out: Path | None) -> Iterator[Path]:
    """The photographs in a folder and below it, and the folders there that cannot be read: they are told like files."""
    unread: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=unread.append):
        here = Path(place)
        folders[:] = [name for name in folders if name[0] != "." and not _under(here / name, leaving_out)]
        yield from (here / name for name in files if name[0] != "." and Path(name).suffix.lower() in SUFFIXES)
    yield from (Path(error.filename) for error in unread)


def _under(path: Path, folder: Path | None) -> bool:
    # Path.resolve raises where a link leads to itself.
    return folder is not None and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _is_copy(photo: Path) -> bool:
    """Whether an earlier call left it beside its photograph."""
    for suffix in (COLORED, COMPARED):
        if photo.stem.endswith(suffix):
            original = photo.stem.removesuffix(suffix)
            return any(beside.stem == original for beside in photo.parent.glob(f"{glob.escape(original)}.*"))
    return False


def _written_as(photo: Path) -> str:
    """The ending of a copy: the photograph's, where that is written, else .png."""
    return photo.suffix if photo.suffix.lower() in FORMATS else ".png"


def _apart(copies: Sequence[Copy]) -> list[Copy]:
    """The copies, those that would have the name of another one with their old ending in it (`scan.bmp.png`).

    Raises:
        ValueError: two of them still go to one path.
    """
    times = Counter(_place(copy.output) for copy in copies)
    held: dict[Path, Path] = {}
    found = []
    for copy in copies:
        ending = copy.photo.suffix
        if times[_place(copy.output)] > 1 and copy.output.suffix != ending:
            copy = replace(copy, output=copy.output.with_suffix(f"{ending}{copy.output.suffix}"))
        place = _place(copy.output)
        if place in held:
            raise ValueError(
                f"the copies of {held[place]} and {copy.photo} would both be {copy.output}; give each call an "
                "output of its own (-o)"
            )
        held[place] = copy.photo
        found.append(copy)
    return found


def _place(path: Path) -> Path:
    """A path that two names of one place share; a link at its end is not followed, it would be replaced."""
    return path.parent.resolve() / path.name
