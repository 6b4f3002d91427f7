"""`make reproduce`: which notebooks, with which parameters, in which order; what is up to date is skipped."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from colorlib.companion.notebooks import Execution, execute, read_record
from colorlib.companion.plan import NOTEBOOKS, Step, needed, steps
from colorlib.companion.progress import progress_printer
from colorlib.companion.report import write_report
from colorlib.files import sha256, sha256_of_names, write_json
from colorlib.photos import Fetched, find_source, open_photos
from colorlib.places import PhotosMissingError, UnreachableError
from colorlib.profiles import PROJECT, Profile, load_profile
from colorlib.provenance import source_digest


def reproduce(
    name: str = "auto",
    *,
    seeds: tuple[int, ...] | None = None,
    only: str | None = None,
    force: bool = False,
    train: bool = True,
) -> int:
    """Execute what is not up to date, then build the report; returns the exit status.

    Args:
        name: a profile, or `auto`.
        seeds: the runs to make; the profile's own without it.
        only: one notebook by its file name's start (`03_figure1`), with the steps before it that it needs, or
            `report`.
        force: do again what is up to date.
        train: False takes runs that were trained and evaluated elsewhere as they are.
    """
    if data := os.environ.get("COLORLIB_DATA"):
        os.environ["COLORLIB_DATA"] = str(Path(data).resolve())  # kernels may have another working directory
    profile = choose_profile(name, seeds)
    wanted = needed(steps(profile, train=train), only)
    for step in wanted:
        run_step(profile, step, force=force and (only is None or step.name.startswith(only)))
    if only in (None, "report"):
        build_report(profile, force=force)
    return 0


def build_report(profile: Profile, *, force: bool) -> None:
    """Build the report unless it was built of the same notebooks, deviations and code."""
    page, stamp = profile.results / "report.html", profile.results / "stamps" / "report.key.json"
    read = [*sorted((profile.results / "notebooks").glob("[0-9]*.ipynb")), PROJECT / "paper" / "deviations.md"]
    templates = sorted((PROJECT / "colorlib" / "companion" / "template").rglob("*.*"))
    made_of = [(path.name, sha256(path)) for path in (*read, *templates)]
    key = sha256_of_names([*made_of, ("source", source_digest("colorlib.companion.report"))])
    held = read_record(stamp) or {}
    if not force and held.get("key") == key and page.is_file() and held.get("sha256") == sha256(page):
        print("report: up to date")
        return
    write_report(profile)
    write_json(stamp, {"key": key, "sha256": sha256(page)})
    print(f"report: {_shown(page)}")


def choose_profile(name: str, seeds: tuple[int, ...] | None) -> Profile:
    """The profile asked for; `auto` takes `paper` on a GPU that is fast enough, else `cpu`.

    Where its photographs are not on this machine and cannot be downloaded, the same budget on the bundled ones. What
    was chosen, and why, is printed.
    """
    if name == "auto":
        from colorlib.companion.doctor import choose

        name, why = choose()
        print(f"profile: {name}: {why}")
    profile = load_profile(name, seeds=seeds)
    try:
        _ensure_photos(profile.photos)
    except UnreachableError as error:
        fallback = profile.on_bundled()
        print(
            f"The photographs of {profile.photos} are not on this machine and could not be downloaded "
            f"({error}). Going on with the few photographs that ship with scikit-image and matplotlib, into "
            f"{_shown(fallback.results)} and {_shown(fallback.figures)}: it shows that everything works, not what the "
            "method is worth. The committed results are left as they are."
        )
        return fallback
    return profile


def _ensure_photos(name: str) -> None:
    """Find the photographs, downloading them where they are missing.

    Raises:
        UnreachableError: they are not here and their home does not answer.
        ValueError: they are not here, or not what they should be, for another reason.
    """
    source = find_source(name)
    try:
        for split in source.splits:
            open_photos(name, split)
    except PhotosMissingError as error:
        if not isinstance(source, Fetched):
            raise
        print(f"{error}\ndownloading {name} …")
        for _ in tqdm(source.fetch(), total=source.files_to_fetch, unit="file", dynamic_ncols=True):
            pass


def step_key(step: Step) -> str:
    """What a step is a function of: its notebook, parameters, photographs, code and what it reads."""
    notebook = NOTEBOOKS / step.notebook
    parts = [
        ("notebook", sha256(notebook)),
        ("parameters", repr(sorted(step.parameters.items()))),
        ("source", source_digest(*step.modules)),
    ]
    if step.photos:
        splits = find_source(step.photos).splits
        parts += [(f"photos {split}", open_photos(step.photos, split).digest) for split in splits]
    parts += [(path.name + path.parent.name, sha256(path)) for path in step.reads if path.is_file()]
    return sha256_of_names(parts)


def run_step(profile: Profile, step: Step, *, force: bool = False) -> bool:
    """Execute a step unless it is up to date; returns whether it was executed.

    Up to date: the same key, and every file it left is still what it was. Stamps are local: a fresh clone executes.
    """
    stamps = profile.results / "stamps"
    stamp, record = stamps / f"{step.name}.key.json", stamps / f"{step.name}.record.json"
    output = profile.results / "notebooks" / f"{step.name}.ipynb"
    key = step_key(step)
    left = [*step.promised, output]
    if not force and (read_record(stamp) or {}).get("key") == key and _unchanged(record, left):
        print(f"{step.name}: up to date")
        return False
    print(f"{step.name}: running", flush=True)
    execution = Execution(
        notebook=NOTEBOOKS / step.notebook,
        output=output,
        record=record,
        parameters=step.parameters,
        promised=step.promised,
    )
    stamp.unlink(missing_ok=True)
    if force and step.run:
        # A finished checkpoint would only repeat its history: made again means trained again.
        shutil.rmtree(step.run / "checkpoints", ignore_errors=True)
    listen = progress_printer(sys.stderr, step.name)
    execute(execution, listen)
    # Keyed on what it read when it started: a change during the run makes it stale, as it should.
    write_json(stamp, {"key": key})
    print(f"{step.name}: {', '.join(_shown(path) for path in step.promised)}")
    return True


def _unchanged(record: Path, left: Sequence[Path]) -> bool:
    held = read_record(record) or {}
    return held.get("status") == "ok" and all(
        path.is_file() and held["left"].get(path.name) == sha256(path) for path in left
    )


def _shown(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix() if path.is_relative_to(PROJECT) else str(path)
