"""`make reproduce`: which notebooks, with which parameters, in which order; what is up to date is skipped."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from colorlib.companion.claims import CLAIMS, LEDGER, write_claims
from colorlib.companion.evidence import evidence_files
from colorlib.companion.manifest import write_manifest
from colorlib.companion.notebooks import Execution, execute, read_record
from colorlib.companion.plan import NOTEBOOKS, Step, needed, steps
from colorlib.companion.progress import progress_printer
from colorlib.companion.report import sources, write_report
from colorlib.companion.sweep_summary import changes_text
from colorlib.derived import origins
from colorlib.files import sha256, sha256_of_names, write_json
from colorlib.photos import Fetched, find_source, open_photos
from colorlib.places import PhotosMissingError, UnreachableError
from colorlib.profiles import PROJECT, Profile, load_profile
from colorlib.provenance import source_digest
from colorlib.sources import Listed


def reproduce(
    name: str = "auto",
    *,
    photos: str | None = None,
    seeds: tuple[int, ...] | None = None,
    only: str | None = None,
    force: bool = False,
    train: bool = True,
) -> int:
    """Execute what is not up to date, then build the report; returns the exit status.

    Args:
        name: a profile, or `auto`.
        photos: photographs other than the profile's, by their name in `SOURCES`; their results have folders of their
            own.
        seeds: the runs to make; the profile's own without it.
        only: one notebook by its file name's start (`03_figure1`), with the steps before it that it needs, or
            `report`.
        force: do again what is up to date.
        train: False takes runs that were trained and evaluated elsewhere as they are.
    """
    if data := os.environ.get("COLORLIB_DATA"):
        os.environ["COLORLIB_DATA"] = str(Path(data).resolve())  # kernels may have another working directory
    profile = choose_profile(name, seeds, photos)
    wanted = needed(steps(profile, train=train), only)
    for step in wanted:
        if step.optional and not _photos_at_hand(step, asked_for=only not in (None, "report")):
            continue
        run_step(profile, step, force=force and (only is None or step.name.startswith(only)))
    if only in (None, "report"):
        build_claims(profile, force=force)
        build_report(profile, force=force)
        write_manifest(profile)
    return 0


def build_claims(profile: Profile, *, force: bool) -> None:
    """Judge the paper's claims, by a profile of its method, unless it was done from the same results and code."""
    if profile.changes:
        for name in LEDGER:  # of an earlier method under this name
            (profile.results / name).unlink(missing_ok=True)
        print(f"claims: not judged, because the method is not the paper's ({changes_text(profile.changes)})")
        return
    left, stamp = profile.results / "claims.json", profile.results / "stamps" / "claims.key.json"
    read = [CLAIMS, *(path for path in evidence_files(profile) if path.is_file())]
    made_of = [(_shown(path), sha256(path)) for path in read]
    # One claim is about resuming, which the trainer does.
    source = source_digest("colorlib.companion.claims", "colorlib.trainer")
    key = sha256_of_names([*made_of, ("source", source)])
    held = read_record(stamp) or {}
    if not force and held.get("key") == key and left.is_file() and held.get("sha256") == sha256(left):
        print("claims: up to date")
        return
    print("claims: measuring", flush=True)
    judged = write_claims(profile)
    write_json(stamp, {"key": key, "sha256": sha256(left)})
    print(f"claims: {', '.join(f'{count} {verdict}' for verdict, count in judged['counts'].items())}")


def build_report(profile: Profile, *, force: bool) -> None:
    """Build the report and the notebooks' pages unless they were built of the same evidence, templates and code."""
    stamp = profile.results / "stamps" / "report.key.json"
    made_of = [(_shown(path), sha256(path)) for path in sources(profile)]
    key = sha256_of_names([*made_of, ("source", source_digest("colorlib.companion.report"))])
    held = read_record(stamp) or {}
    if not force and held.get("key") == key and _same_pages(profile, held.get("pages", {})):
        print("report: up to date")
        return
    pages = write_report(profile)
    write_json(
        stamp, {"key": key, "pages": {page.relative_to(profile.results).as_posix(): sha256(page) for page in pages}}
    )
    print(f"report: {_shown(pages[0])}")


def _same_pages(profile: Profile, held: Mapping[str, str]) -> bool:
    pages = {profile.results / name: digest for name, digest in held.items()}
    return bool(pages) and all(page.is_file() and sha256(page) == digest for page, digest in pages.items())


def choose_profile(name: str, seeds: tuple[int, ...] | None, photos: str | None = None) -> Profile:
    """The profile asked for; `auto` takes `paper` on a GPU that is fast enough, else `cpu`.

    Where its photographs are not on this machine and cannot be downloaded, the same budget on the bundled ones. What
    was chosen, and why, is printed.
    """
    if name == "auto":
        from colorlib.companion.doctor import choose

        name, why = choose()
        print(f"profile: {name}: {why}")
    profile = load_profile(f"{name}-{photos}" if photos else name, seeds=seeds)
    try:
        _ensure_photos(profile.photos)
    except UnreachableError as error:
        fallback = profile.on("bundled")
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
    try:
        _digests(name)
    except PhotosMissingError as error:
        fetched = [source for source in origins(find_source(name)) if isinstance(source, Fetched)]
        if not fetched:
            raise
        print(f"{error}\ndownloading {name} …")
        for source in fetched:
            for _ in tqdm(source.fetch(), total=source.files_to_fetch, unit="file", dynamic_ncols=True):
                pass


def _digests(name: str) -> list[tuple[str, str]]:
    """What a source holds, all verified: the name and the digest of each split, and of what belongs to none."""
    source = find_source(name)
    found = [(split, open_photos(name, split).digest) for split in source.splits]
    if isinstance(source, Listed):
        parts = dict.fromkeys(source.split_of(*listed) for listed in source.names().items())
        for part in [part for part in parts if part not in source.splits]:
            found.append((part, sha256_of_names((photo.name, photo.digest) for photo in source.photos(part))))
    return found


def _photos_at_hand(step: Step, *, asked_for: bool) -> bool:
    """Find the photographs of an optional step, downloading them where they are missing; else say that it is left out.

    Raises:
        UnreachableError: they cannot be had, and the step was asked for by name.
        ValueError: they are not what they should be.
    """
    try:
        for name in step.photos:
            _ensure_photos(name)
    except UnreachableError as error:
        if asked_for:
            raise
        print(
            f"{step.name}: not made, because its photographs are not on this machine and could not be downloaded "
            f"({error}). The rest goes on; what an earlier execution left of it stays as it is."
        )
        return False
    return True


def step_key(step: Step) -> str:
    """What a step is a function of: its notebook, parameters, photographs, code and what it reads."""
    notebook = NOTEBOOKS / step.notebook
    parts = [
        ("notebook", sha256(notebook)),
        ("parameters", repr(sorted(step.parameters.items()))),
        ("source", source_digest(*step.modules)),
    ]
    for name in step.photos:
        parts += [(f"photos {name} {split}", digest) for split, digest in _digests(name)]
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
    left = [*step.kept, *step.promised, output]
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
        kept=step.kept,
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
