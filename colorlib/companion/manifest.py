"""The list of a profile's committed files with their SHA-256, in the format that `sha256sum --check` reads."""

from collections.abc import Iterator
from pathlib import Path

from colorlib.companion.compared import compared_profiles
from colorlib.companion.sweep_job import RECORD
from colorlib.files import sha256, write_text
from colorlib.profiles import Profile

NAME = "SHA256SUMS"
OF_POINTS = ("run.json", "history.csv", RECORD)
"""What is committed of a finished point, beside its metrics."""
LOCAL = ("checkpoints", "stamps")
"""Folders of local state that are not committed."""


def committed_files(profile: Profile) -> Iterator[Path]:
    """The files of a profile and of its guests that are committed, sorted.

    All but local state, half-done copies and kept epochs of seeds other than 0, as .gitignore has it, and unfinished
    points of sweeps, which are not to be committed either.
    """
    folders = [folder for held in (profile, *guests(profile)) for folder in (held.results, held.figures)]
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        inner = path.relative_to(root_of(profile)).parts[2:]
        ignored = (
            any(part in LOCAL or part.startswith(".") for part in inner)
            or path.name.endswith((".lock", ".lock.json", ".failed.ipynb"))
            or (inner[0] != "seed-0" and "epochs" in inner)
            or (inner[0] == "sweeps" and len(inner) > 3 and not _of_finished_point(path))
            or path == profile.results / NAME
        )
        if path.is_file() and not ignored:
            yield path


def guests(profile: Profile) -> list[Profile]:
    """The profiles that stand in another's list: those it compares that have none of their own."""
    return [other for other in compared_profiles(profile)[1:] if not (other.results / NAME).is_file()]


def _of_finished_point(path: Path) -> bool:
    known = path.name in OF_POINTS or path.match("metrics*.json")
    return known and (path.parent / RECORD).is_file()


def root_of(profile: Profile) -> Path:
    """The folder that the listed names are relative to."""
    return profile.results.parent.parent


def write_manifest(profile: Profile) -> None:
    """List the profile's committed files as they are now, in results/<profile>/SHA256SUMS."""
    root = root_of(profile)
    lines = [f"{sha256(path)}  {path.relative_to(root).as_posix()}" for path in committed_files(profile)]
    write_text(profile.results / NAME, "\n".join(lines) + "\n")


def read_manifest(profile: Profile) -> dict[str, str]:
    """The listed names and their SHA-256.

    Raises:
        ValueError: there is no list, or a line of it cannot be read.
    """
    path = profile.results / NAME
    if not path.is_file():
        raise ValueError(f"{path} does not exist; `make reproduce PROFILE={profile.name}` writes it")
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        digest, separator, name = line.partition("  ")
        if not separator or len(digest) != 64:
            raise ValueError(f"{path}, line {number} is not a SHA-256 and a name: {line!r}")
        found[name] = digest
    return found
