"""`make reproduce`: train a profile's runs, execute its notebooks in order, judge the claims and build the report.

`make figure1`, `make report` and the other parts never train: they take the runs that are there.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from colorlib.companion.doctor import choose, estimate_minutes, update_seconds
from colorlib.companion.notebooks import duration_text
from colorlib.companion.pipeline import (
    build_claims,
    build_report,
    is_there,
    outputs,
    run_step,
    up_to_date,
    write_manifest,
)
from colorlib.companion.results import Results
from colorlib.companion.steps import RUN_FILES, Step, files, named, needed, shown_steps, steps
from colorlib.device import prepare
from colorlib.photos.download import UnreachableError
from colorlib.photos.registry import ensure_photos
from colorlib.profiles import Profile, display_path, load_profile, path_and_link, training_folder

STEP_SECONDS = 15.0
"""Typical seconds of a notebook that does not train, of the claims or of the report, for the time that is left."""


def reproduce(
    name: str = "auto",
    *,
    photos: str | None = None,
    seeds: tuple[int, ...] | None = None,
    only: str | None = None,
    force: bool = False,
    train: bool = True,
) -> int:
    """Train and execute the steps that are not up to date, then build the report; returns the exit status.

    Args:
        name: a profile, or `auto`.
        photos: photographs to use instead of the profile's, by their name in `SOURCES`; their results have folders of
            their own.
        seeds: the runs to make; the profile's own without it.
        only: the start of a notebook's file name (`03_figure1`): execute that notebook with the runs that are there,
            after the steps whose files it lacks. Or `report`: the report of what is there, of which `force` redoes
            the claims and the page. Only `02_train` trains.
        force: redo steps that are up to date; with `only`, that one alone.
        train: False uses runs that were trained and evaluated elsewhere.

    Raises:
        ValueError: there is no such profile, notebook or run, or photographs are not what they should be.
        NotebookFailedError: a notebook failed.
    """
    if data := os.environ.get("COLORLIB_DATA"):
        os.environ["COLORLIB_DATA"] = str(Path(data).resolve())  # kernels may have another working directory
    # Choose the profile and the steps
    look = only is not None and not only.startswith("02")
    profile = choose_profile(name, seeds, photos, download=not look or (only or "").startswith("01"))
    all_steps = steps(profile, train=train and not look)
    asked = named(all_steps, only) if only not in (None, "report") else []
    if look:
        chosen = steps_to_look(profile, all_steps, asked)
    else:
        chosen = [step for step in needed(all_steps, only) if not step.optional or _photos_available(step)]
        for line in training_plan(profile, chosen, force=force):
            print(line, flush=True)
    # Execute the notebooks
    pages = not asked
    total = len(chosen) + 2 * pages
    seconds = _step_seconds(profile, chosen, force=force)
    for number, step in enumerate(chosen):
        left = sum(seconds[number:]) + 2 * pages * STEP_SECONDS
        run_step(
            profile,
            step,
            force=force and (only is None or step in asked),
            take=look,
            place=f"[{number + 1}/{total}] ",
            left=f"about {duration_text(left)} left",
        )
    # Judge the claims, build the report, list the files
    if pages:
        results = Results(profile)
        made = outputs(results, all_steps)
        build_claims(results, made["claims"], force=force, take=look, place=f"[{total - 1}/{total}] ")
        build_report(profile, made["report"], force=force, place=f"[{total}/{total}] ")
        write_manifest(profile)
    for path in files(profile, "report") if pages else (path for step in asked for path in step.outputs):
        print(path_and_link(path))
    return 0


def steps_to_look(profile: Profile, all_steps: Sequence[Step], asked: Sequence[Step]) -> list[Step]:
    """Return the steps to execute for a part of the results, with the runs that are there.

    They are the steps that were asked for and those before them whose files are not there or not up to date.

    Args:
        profile: the profile.
        all_steps: its steps, none of which trains.
        asked: the steps that were asked for; none for the report.

    Raises:
        ValueError: a run is missing or not scored; the message has the command that trains it.
    """
    chosen = list(asked)
    for step in reversed(all_steps):
        if step in chosen or is_there(profile, step):
            continue
        wanted = step in shown_steps(all_steps) if not asked else _writes_input(step, chosen)
        if wanted:
            chosen.append(step)
    runs = [profile.run(seed) for seed in profile.seeds]
    read = [path for step in chosen for path in step.inputs if path.parent in runs and path.name in RUN_FILES]
    for path in read:
        if not path.is_file():
            raise ValueError(
                f"{display_path(path)} does not exist; `make reproduce PROFILE={profile.name}` trains the run and "
                "scores it"
            )
    return [step for step in all_steps if step in chosen]


def _writes_input(step: Step, readers: Sequence[Step]) -> bool:
    return any(set(step.outputs) & set(reader.inputs) for reader in readers)


def training_plan(profile: Profile, chosen: Sequence[Step], *, force: bool) -> list[str]:
    """Return lines that say what will be trained, how long that takes here, and how to see the results instead.

    Args:
        profile: the profile.
        chosen: its steps that will be executed.
        force: train runs that are up to date, too.
    """
    trained = [step for step in chosen if step.run and (force or not up_to_date(profile, step))]
    if not trained:
        return []
    runs = ", ".join(display_path(step.run) for step in trained if step.run)
    total = sum(_step_seconds(profile, trained, force=force))
    lines = [
        f"training {runs}: {profile.config.updates:,} updates on {profile.photos}, about {duration_text(total)} on "
        f"this machine ({display_path(training_folder(profile.run(profile.seeds[0])).parent)} until it is complete)"
    ]
    (report,) = files(profile, "report")
    if report.is_file():
        lines.append(f"to see the results that are there instead: {path_and_link(report)}")
        lines.append(f"or, without training: make report PROFILE={profile.name}")
    return lines


def _step_seconds(profile: Profile, chosen: Sequence[Step], *, force: bool) -> list[float]:
    """Return about how long each step takes, without those that are up to date."""
    redone = [force or not up_to_date(profile, step) if step.run else True for step in chosen]
    training = 0.0
    if any(step.run and again for step, again in zip(chosen, redone, strict=True)):
        device = prepare()
        training = 60 * estimate_minutes(profile, update_seconds(device), device.type)
    return [again * (training if step.run else STEP_SECONDS) for step, again in zip(chosen, redone, strict=True)]


def choose_profile(
    name: str, seeds: tuple[int, ...] | None, photos: str | None = None, *, download: bool = True
) -> Profile:
    """Return the profile to reproduce, and print the choice with its reason.

    `auto` chooses `paper` on a GPU that is fast enough, else `cpu`. If the photographs of the profile are not on this
    machine and cannot be downloaded, the same budget on the bundled photographs is chosen instead.

    Args:
        name: a profile, or `auto`.
        seeds: seeds to use instead of the profile's.
        photos: photographs to use instead of the profile's.
        download: False chooses the profile even if its photographs are not on this machine.

    Raises:
        ValueError: there is no such profile, or its photographs are not what they should be.
    """
    if name == "auto":
        name, why = choose()
        print(f"profile: {name}: {why}")
    profile = load_profile(f"{name}-{photos}" if photos else name, seeds=seeds)
    if not download:
        return profile
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


def _photos_available(step: Step) -> bool:
    """Download the photographs of an optional step if they are missing; if that fails, print that it is skipped.

    Raises:
        ValueError: they are not what they should be.
    """
    try:
        for name in step.photos:
            ensure_photos(name)
    except UnreachableError as error:
        print(
            f"{step.name}: skipped, because its photographs are not on this machine and could not be downloaded "
            f"({error}). The other steps go on; files of an earlier execution do not change."
        )
        return False
    return True
