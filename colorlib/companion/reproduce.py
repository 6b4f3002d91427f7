"""`make reproduce`: execute the notebooks of a profile in order, then judge the claims and build the report."""

import os
from pathlib import Path

from colorlib.companion.pipeline import build_claims, build_report, outputs, run_step, write_manifest
from colorlib.companion.results import Results
from colorlib.companion.steps import Step, needed, steps
from colorlib.photos.download import UnreachableError
from colorlib.photos.registry import ensure_photos
from colorlib.profiles import Profile, display_path, load_profile


def reproduce(
    name: str = "auto",
    *,
    photos: str | None = None,
    seeds: tuple[int, ...] | None = None,
    only: str | None = None,
    force: bool = False,
    train: bool = True,
) -> int:
    """Execute the steps that are not up to date, then build the report; returns the exit status.

    Args:
        name: a profile, or `auto`.
        photos: photographs to use instead of the profile's, by their name in `SOURCES`; their results have folders of
            their own.
        seeds: the runs to make; the profile's own without it.
        only: the start of a notebook's file name (`03_figure1`): execute that notebook and the steps that it needs. Or
            `report`: all steps, of which `force` redoes the report alone.
        force: redo steps that are up to date; with `only`, that one alone.
        train: False uses runs that were trained and evaluated elsewhere.

    Raises:
        ValueError: there is no such profile or notebook, or photographs are not what they should be.
        NotebookFailedError: a notebook failed.
    """
    if data := os.environ.get("COLORLIB_DATA"):
        os.environ["COLORLIB_DATA"] = str(Path(data).resolve())  # kernels may have another working directory
    profile = choose_profile(name, seeds, photos)
    # Execute the notebooks
    all_steps = steps(profile, train=train)
    for step in needed(all_steps, only):
        if step.optional and not _photos_available(step, required=only not in (None, "report")):
            continue
        run_step(profile, step, force=force and (only is None or step.name.startswith(only)))
    # Judge the claims, build the report, list the files
    if only in (None, "report"):
        results = Results(profile)
        made = outputs(results, all_steps)
        build_claims(results, made["claims"], force=force)
        build_report(profile, made["report"], force=force)
        write_manifest(profile)
    return 0


def choose_profile(name: str, seeds: tuple[int, ...] | None, photos: str | None = None) -> Profile:
    """Return the profile to reproduce, and print the choice with its reason.

    `auto` chooses `paper` on a GPU that is fast enough, else `cpu`. If the photographs of the profile are not on this
    machine and cannot be downloaded, the same budget on the bundled photographs is chosen instead.

    Args:
        name: a profile, or `auto`.
        seeds: seeds to use instead of the profile's.
        photos: photographs to use instead of the profile's.

    Raises:
        ValueError: there is no such profile, or its photographs are not what they should be.
    """
    if name == "auto":
        from colorlib.companion.doctor import choose

        name, why = choose()
        print(f"profile: {name}: {why}")
    profile = load_profile(f"{name}-{photos}" if photos else name, seeds=seeds)
    try:
        ensure_photos(profile.photos)
    except UnreachableError as error:
        fallback = profile.on("bundled")
        print(
            f"The photographs of {profile.photos} are not on this machine and could not be downloaded "
            f"({error}). The few photographs that ship with scikit-image and matplotlib are used instead, with results "
            f"in {display_path(fallback.results)} and {display_path(fallback.figures)}: they show that everything "
            "works, not how good the method is. The committed results do not change."
        )
        return fallback
    return profile


def _photos_available(step: Step, *, required: bool) -> bool:
    """Download the photographs of an optional step if they are missing; if that fails, print that it is skipped.

    Raises:
        UnreachableError: they cannot be downloaded, and the step is `required`.
        ValueError: they are not what they should be.
    """
    try:
        for name in step.photos:
            ensure_photos(name)
    except UnreachableError as error:
        if required:
            raise
        print(
            f"{step.name}: skipped, because its photographs are not on this machine and could not be downloaded "
            f"({error}). The other steps go on; files of an earlier execution do not change."
        )
        return False
    return True
