"""Copies of the committed results of `cpu`, and changes to the numbers in their CSV files."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from colorlib.companion.steps import inputs
from colorlib.profiles import PROJECT, Profile, load_profile


def copy_cpu(root: Path) -> Profile:
    """Copy the results of `cpu`, without local state, into another root folder."""
    local = shutil.ignore_patterns("stamps", "checkpoints", ".*", "*.html", "epochs")
    shutil.copytree(PROJECT / "results" / "cpu", root / "results" / "cpu", ignore=local)
    return replace(load_profile("cpu"), root=root)


def copy_paper(root: Path) -> Profile:
    """Copy what the claims of `paper` are measured on, of all profiles, into another root folder."""
    for path in inputs(load_profile("paper"))["claims"]:
        if path.is_file() and path.is_relative_to(PROJECT / "results"):
            copy = root / path.relative_to(PROJECT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return replace(load_profile("paper"), root=root)


def edit(path: Path, change: Callable[[dict[str, str]], dict[str, float]]) -> None:
    """Change a CSV file: `change` takes each row and returns its new numbers."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.update({name: str(value) for name, value in change(row).items()})
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def scale(path: Path, factors: dict[str, float], method: str | None = None) -> None:
    """Multiply columns of a CSV file by factors, in all rows or in those of one method."""
    edit(
        path,
        lambda row: (
            {name: float(row[name]) * factor for name, factor in factors.items()}
            if method in (None, row.get("method"))
            else {}
        ),
    )


def add_seed(profile: Profile) -> Profile:
    """Copy the run and the scores of seed 0 to seed 1; returns the profile with both seeds."""
    shutil.copytree(profile.run(0), profile.run(1))
    table = profile.results / "per_image.csv"
    own = [line for line in table.read_text().splitlines() if line.startswith("0,")]
    with table.open("a") as file:
        file.writelines(f"1{line[1:]}\n" for line in own)
    return replace(profile, seeds=(0, 1))
