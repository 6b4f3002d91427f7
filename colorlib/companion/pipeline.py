"""The outputs of a profile, each with its files, its inputs and the function that makes it.

`reproduce` makes outputs that are not up to date. `verify` makes all of them again in a scratch folder and compares.
SHA256SUMS lists the committed files.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from colorlib.colorizers import BASELINES, load_run, look_up
from colorlib.companion.artifacts import datasets, figures, hints, outlook, published, table1
from colorlib.companion.claims.claims import Claim, read_claims, write_claims
from colorlib.companion.notebooks import Execution, execute, progress_printer, read_record
from colorlib.companion.page.build import page_inputs as colorizing_page_inputs
from colorlib.companion.page.build import write_page
from colorlib.companion.paper import EXAMPLES
from colorlib.companion.report.page import page_files, page_inputs, write_report
from colorlib.companion.results import Results
from colorlib.companion.steps import (
    LIGHTWEIGHT,
    TRAINING,
    Step,
    compared_profiles,
    files,
    inputs,
    look_up_table_file,
    shown_steps,
)
from colorlib.companion.sweeps.run import RECORD
from colorlib.companion.sweeps.spec import SWEEPS
from colorlib.companion.sweeps.summary import summary_files, write_summary
from colorlib.companion.tables import read_rows
from colorlib.device import prepare
from colorlib.evaluate import read_baseline_losses, read_look_up_table, read_scores, rebuild_metrics
from colorlib.files import sha256, sha256_of_names, unchanged, write_json, write_text
from colorlib.photos.registry import ensure_photos, split_digests
from colorlib.profiles import (
    NOTEBOOKS,
    Profile,
    changes_text,
    display_path,
    replaced_folder,
    restore_run,
    training_folder,
)
from colorlib.provenance import source_digest

MANIFEST = "SHA256SUMS"
POINT_FILES = ("run.json", "history.csv", RECORD)
"""Committed files of a finished point of a sweep, in addition to its metrics."""
LOCAL = ("checkpoints", "stamps")
"""Folders of local state, never committed."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """Files that are computed from other files, without photographs or training."""

    files: tuple[Path, ...]
    inputs: tuple[Path, ...]
    """Files that `make` reads, whether or not they exist; some of `files` may be among them."""
    make: Callable[[], object]
    """Writes `files` from `inputs`."""
    modules: tuple[str, ...] = ()
    """Modules of colorlib that decide the files, for outputs that are skipped when they are up to date."""


def outputs(results: Results, steps: Sequence[Step]) -> dict[str, Output]:
    """Return the outputs of a profile by name, in the order in which they can be made.

    Args:
        results: results of the profile, whose root is the folder of all files.
        steps: the profile's notebooks, which the report shows.
    """
    profile = results.profile
    runs, needed = [profile.run(seed) for seed in profile.seeds], inputs(profile)

    def loss_curve() -> None:
        losses = read_baseline_losses(files(profile, "data")[1])
        figures.loss_curve(runs, losses, files(profile, "figure1")[0])

    def examples() -> None:
        colorize, table = load_run(runs[0]), look_up(read_look_up_table(look_up_table_file(profile)))
        for name in EXAMPLES:
            figures.paper_example(name, colorize, table, profile.figures)

    makers: dict[str, Callable[[], object]] = {
        "scores": partial(table1.write_scores, results, rescore=False),
        "table1": partial(table1.table1, results),
        "figure1": loss_curve,
        "data_crops": partial(figures.data_crops, profile.figures, profile.config.crop_size),
        "figures2_3": examples,
        "published": partial(published.published_table, results),
        "hints": partial(hints.write, profile),
        "hint_examples": partial(hints.hint_examples, profile),
        "datasets": partial(datasets.write, results),
        "outlook": partial(outlook.write, profile),
        "lightweight": partial(outlook.write_lightweight, results),
        "claims": partial(write_claims, results),
    }
    # Pooled metrics of the runs
    found = {
        f"metrics of seed {seed}": Output(
            files=(run / "metrics.json",),
            inputs=tuple(run / name for name in ("metrics.json", "per_image.csv", "weights.safetensors")),
            make=partial(rebuild_metrics, run),
        )
        for seed, run in zip(profile.seeds, runs, strict=True)
    }
    # Summaries of sweeps
    for owner in (profile, *nested_profiles(profile)):
        for path in sorted(SWEEPS.glob("*.yaml")):
            found[f"sweep {path.stem} of {owner.name}"] = Output(
                files=summary_files(owner, path.stem),
                inputs=(path, *_point_files(owner.sweep(path.stem))),
                make=partial(write_summary, path, owner),
            )
    # Tables, figures and claims
    found |= {
        name: Output(files=files(profile, name), inputs=needed.get(name, ()), make=make)
        for name, make in makers.items()
    }
    # The claim about resuming runs the trainer.
    found["claims"] = replace(found["claims"], modules=("colorlib.companion.claims.claims", "colorlib.trainer"))
    # The report and the notebooks' pages
    found["report"] = Output(
        files=page_files(profile, shown_steps(steps)),
        inputs=tuple(page_inputs(profile, steps)),
        make=partial(write_report, results, steps),
        modules=("colorlib.companion.report.page",),
    )
    # The page that colors photographs
    if profile.name == LIGHTWEIGHT:
        found["page"] = Output(
            files=files(profile, "page"), inputs=colorizing_page_inputs(profile), make=partial(write_page, profile)
        )
    return found


def _point_files(sweep: Path) -> Iterator[Path]:
    """Yield the committed files of a sweep's finished points."""
    for path in sorted(sweep.glob("*/*")):
        if path.is_file() and _in_finished_point(path):
            yield path


def is_current(stamp: Path, key: str, made: Sequence[Path]) -> bool:
    """Return whether the stamp has this key and the files have the SHA-256 that it records."""
    recorded = read_record(stamp) or {}
    digests = recorded.get("files")
    return (
        isinstance(digests, dict)
        and recorded.get("key") == key
        and unchanged({path: digests.get(_stamp_name(path)) for path in made})
    )


def write_stamp(stamp: Path, key: str, made: Sequence[Path]) -> None:
    """Record the key and the SHA-256 of files that were just made.

    The key must be computed before the files are made: if an input changes meanwhile, they are stale.
    """
    write_json(stamp, {"key": key, "files": {_stamp_name(path): sha256(path) for path in made}})


def _stamp_name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def stamp_path(profile: Profile, name: str) -> Path:
    """Return the path of the stamp of an output or a step. Stamps are local: in a fresh clone nothing is up to date."""
    return profile.results / "stamps" / f"{name}.key.json"


def step_key(step: Step, *, taken: bool = False) -> str:
    """Return a hash of everything that decides a step's files: notebook, parameters, photographs, code and inputs.

    Args:
        step: the step.
        taken: of an execution that took the scores that were there, so that photographs did not matter.
    """
    parts = [
        ("notebook", sha256(NOTEBOOKS / step.notebook)),
        ("parameters", repr(sorted(step.parameters.items()))),
        ("source", source_digest(*step.modules)),
    ]
    if taken:
        parts.append(("scores", "taken"))
    for name in () if taken else step.photos:
        parts += [(f"photos {name} {split}", digest) for split, digest in split_digests(name)]
    return sha256_of_names([*parts, *_input_digests(step.inputs)])


def output_key(output: Output) -> str:
    """Return a hash of everything that decides an output's files: its inputs and its code."""
    return sha256_of_names([("source", source_digest(*output.modules)), *_input_digests(output.inputs)])


def _input_digests(paths: Sequence[Path]) -> list[tuple[str, str]]:
    return [(display_path(path), sha256(path)) for path in paths if path.is_file()]


def up_to_date(profile: Profile, step: Step, *, take: bool = False) -> bool:
    """Return whether a step was executed here with all that decides its files as it is now.

    Args:
        profile: the profile of the step.
        step: the step.
        take: an execution that took the scores that were there counts too.
    """
    stamp, made = stamp_path(profile, step.name), [*step.outputs, step.executed]
    if take and step.scores and is_current(stamp, step_key(step, taken=True), made):
        return True
    return stamp.is_file() and is_current(stamp, step_key(step), made)


def is_there(profile: Profile, step: Step) -> bool:
    """Return whether the files of a step exist and can be taken as they are: from elsewhere, or up to date.

    In a fresh clone no step was executed here, so there are no stamps. A run that is there is always taken.
    """
    if not all(path.is_file() for path in (*step.outputs, step.executed)):
        return False
    return (
        step.notebook == TRAINING
        or not stamp_path(profile, step.name).is_file()
        or up_to_date(profile, step, take=True)
    )


def run_step(
    profile: Profile, step: Step, *, force: bool = False, take: bool = False, place: str = "", left: str = ""
) -> bool:
    """Execute a step unless it is up to date; returns whether it was executed.

    Args:
        profile: the profile of the step.
        step: the step.
        force: execute it even if it is up to date, score again, and train from the start.
        take: take scores that exist if they are of the profile's runs, instead of scoring again.
        place: printed before its name, for example `[3/8] `.
        left: the time that is left, printed when it starts.

    Raises:
        ValueError: photographs that must be scored are missing or damaged.
        NotebookFailedError: it did not finish or did not write its outputs; the step is then stale.
    """
    label = f"{place}{step.name}"
    if not force and up_to_date(profile, step, take=take):
        print(f"{label}: up to date")
        return False
    print(f"{label}: running{f', {left}' if left else ''}", flush=True)
    # Take the scores that are there, or find the photographs to score
    taken = take and not force and bool(step.scores) and _scores_are_of_the_runs(profile, step.scores)
    if take and not taken:
        for name in step.photos:
            ensure_photos(name)
    key, stamp = step_key(step, taken=taken), stamp_path(profile, step.name)
    # With an empty stamp an interrupted step is stale; without any it would look like one of a fresh clone
    write_json(stamp, {})
    # Train and score
    if step.run:
        _train(profile, step, label, force=force)
    if step.scores and not taken:
        print(f"{label}: scoring on the photographs of {step.photos[-1]}", flush=True)
        _score(profile, step.scores)
    # Execute the notebook
    scores = files(profile, step.scores) if step.scores else ()
    execution = Execution(
        notebook=NOTEBOOKS / step.notebook,
        output=step.executed,
        record=profile.results / "stamps" / f"{step.name}.record.json",
        parameters=step.parameters,
        outputs=() if step.run else tuple(path for path in step.outputs if path not in scores),
        keep=(*scores, *(step.outputs if step.run else ())),
    )
    execute(execution, lambda line: None)
    write_stamp(stamp, key, [*step.outputs, step.executed])
    print(f"{label}: {', '.join(display_path(path) for path in step.outputs or (step.executed,))}")
    return True


def _train(profile: Profile, step: Step, label: str, *, force: bool) -> None:
    """Train and score a step's run in its `training_folder`, then replace the run directory by it.

    Until then the run directory does not change. An interrupted training is resumed; a finished run that was trained
    here is only trained again if its code or photographs changed.
    """
    assert step.run is not None
    run, folder = step.run, training_folder(step.run)
    if force:
        shutil.rmtree(folder, ignore_errors=True)
    elif not folder.exists() and (run / "checkpoints").is_dir():
        # A copy in progress has another name, so that an interrupted one is not taken for the run
        copy = folder.with_name(f"{run.name}.copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        copy.rename(folder)
    executed = folder.with_name(step.executed.name)
    trained = [folder / path.name for path in step.outputs]
    where = {"run": display_path(folder), "mode": "restart"}
    execution = Execution(
        notebook=NOTEBOOKS / step.notebook,
        output=executed,
        record=profile.results / "stamps" / f"{step.name}.training.json",
        parameters={**step.parameters, **where},
        outputs=[path for path in trained if path.name != "run.json"],
        keep=[path for path in trained if path.name == "run.json"],
    )
    execute(execution, progress_printer(sys.stderr, label))
    replace_run(run)
    executed.unlink(missing_ok=True)


def replace_run(run: Path) -> None:
    """Replace a run directory by the one in its `training_folder`.

    An interruption between the two renames leaves the old run whole, and the next command puts it back
    (`profiles.restore_runs`). Scores on other photographs are kept if the weights are the same.
    """
    folder = training_folder(run)
    replaced = replaced_folder(run)
    if run.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        weights = [path / "weights.safetensors" for path in (run, folder)]
        if all(path.is_file() for path in weights) and sha256(weights[0]) == sha256(weights[1]):
            for pattern in ("metrics-*.json", "per_image-*.csv"):
                for path in run.glob(pattern):
                    shutil.copy2(path, folder)
    try:
        if run.exists():
            run.rename(replaced)
        folder.rename(run)
    finally:
        restore_run(run)
    shutil.rmtree(replaced, ignore_errors=True)


def _score(profile: Profile, scores: str) -> None:
    """Write an entry of `FILES` that holds scores of photographs."""
    if scores == "scores":
        table1.write_scores(Results(profile), rescore=True)
        return
    for _ in published.score_published(profile, device=prepare()):
        pass


def _scores_are_of_the_runs(profile: Profile, scores: str) -> bool:
    """Return whether an entry of `FILES` exists and holds scores of the photographs and weights of the runs."""
    results = Results(profile)
    if not all(path.is_file() for path in files(profile, scores)):
        return False
    try:
        if scores == "published_scores":
            return bool(results.published)
        # The rows of the networks are read from the runs; those of the baselines must be of the same photographs
        rows = read_rows(files(profile, scores)[0])
        images = {row.image for seed in profile.seeds for row in read_scores(profile.run(seed) / "per_image.csv")}
    except ValueError:
        return False
    return all({row.image for _, row in rows if row.method == method} == images for method in BASELINES)


def measure_claims(results: Results, claims: Output, *, force: bool, take: bool = False, place: str = "") -> bool:
    """Measure and judge the paper's claims unless they are up to date; returns whether they were measured.

    Args:
        results: results of the profile that judges.
        claims: its output `claims`.
        force: judge even if they are up to date.
        take: take claims that were judged elsewhere, as in a fresh clone.
        place: printed before the name, for example `[7/8] `.

    Raises:
        ValueError: the profile's method is not the paper's.
    """
    stamp, key = stamp_path(results.profile, "claims"), output_key(claims)
    elsewhere = take and not stamp.is_file() and _are_of_seeds(claims.files, results.profile.seeds)
    if not force and (elsewhere or is_current(stamp, key, claims.files)):
        print(f"{place}claims: {'taken as they are' if elsewhere else 'up to date'}; FORCE=1 measures them again")
        return False
    write_json(stamp, {})  # as in `run_step`
    total = len(read_claims())
    print(f"{place}claims: measuring {total}", flush=True)
    with tqdm(total=total, unit="claim", dynamic_ncols=True, leave=False) as bar:

        def on_claim(claim: Claim) -> None:
            bar.set_description(claim.id)
            bar.update()

        judged = write_claims(results, on_claim=on_claim)
    write_stamp(stamp, key, claims.files)
    print(f"{place}claims: {', '.join(f'{count} {verdict}' for verdict, count in judged['counts'].items())}")
    return True


def _are_of_seeds(claims: Sequence[Path], seeds: Sequence[int]) -> bool:
    """Return whether the files of claims exist and were judged by the runs with these seeds."""
    judged = read_record(claims[0]) or {}
    return all(path.is_file() for path in claims) and judged.get("seeds") == list(seeds)


def build_claims(results: Results, claims: Output, *, force: bool, take: bool = False, place: str = "") -> None:
    """Judge the paper's claims as `measure_claims`; if the profile's method is not the paper's, delete judged ones."""
    profile = results.profile
    if profile.changes:
        for path in claims.files:  # left by an earlier method of a profile with this name
            path.unlink(missing_ok=True)
        print(f"{place}claims: not judged, because the method is not the paper's ({changes_text(profile.changes)})")
        return
    measure_claims(results, claims, force=force, take=take, place=place)


def build_report(profile: Profile, report: Output, *, force: bool, place: str = "") -> None:
    """Build the report and the notebooks' pages unless they are up to date.

    Args:
        profile: the profile of the report.
        report: its output `report`.
        force: build even if it is up to date.
        place: printed before the name, for example `[8/8] `.
    """
    stamp, key = stamp_path(profile, "report"), output_key(report)
    if not force and is_current(stamp, key, report.files):
        print(f"{place}report: up to date")
        return
    print(f"{place}report: building", flush=True)
    report.make()
    write_stamp(stamp, key, report.files)


def committed_files(profile: Profile) -> Iterator[Path]:
    """Yield the committed files of a profile and of its nested profiles, sorted.

    As in .gitignore, these are all files except local state, copies of failed executions and weights of epochs of seeds
    other than 0. Unfinished points of sweeps are not committed either.
    """
    folders = [folder for owner in (profile, *nested_profiles(profile)) for folder in (owner.results, owner.figures)]
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        inner = path.relative_to(root_of(profile)).parts[2:]
        ignored = (
            any(part in LOCAL or part.startswith(".") for part in inner)
            or path.name.endswith((".lock", ".lock.json", ".failed.ipynb"))
            or inner == ("companion.pdf",)
            or (inner[0] != "seed-0" and "epochs" in inner)
            or (inner[0] == "sweeps" and len(inner) > 3 and not _in_finished_point(path))
            or path == profile.results / MANIFEST
        )
        if path.is_file() and not ignored:
            yield path


def nested_profiles(profile: Profile) -> list[Profile]:
    """Return the profiles whose files stand in the list of `profile`: compared ones without a list of their own."""
    return [other for other in compared_profiles(profile)[1:] if not (other.results / MANIFEST).is_file()]


def _in_finished_point(path: Path) -> bool:
    known = path.name in POINT_FILES or path.match("metrics*.json")
    return known and (path.parent / RECORD).is_file()


def root_of(profile: Profile) -> Path:
    """Return the folder that holds results/ and figures/ of a profile; listed names are relative to it."""
    return profile.results.parent.parent


def write_manifest(profile: Profile) -> None:
    """Write the SHA-256 of every committed file, in the format that `sha256sum --check` reads."""
    root = root_of(profile)
    lines = [f"{sha256(path)}  {path.relative_to(root).as_posix()}" for path in committed_files(profile)]
    write_text(profile.results / MANIFEST, "\n".join(lines) + "\n")


def read_manifest(profile: Profile) -> dict[str, str]:
    """Return the SHA-256 of each listed name.

    Raises:
        ValueError: there is no list, or a line is not a SHA-256 and a name.
    """
    path = profile.results / MANIFEST
    if not path.is_file():
        raise ValueError(f"{path} does not exist; `make reproduce PROFILE={profile.name}` writes it")
    digests = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        digest, separator, name = line.partition("  ")
        if not separator or len(digest) != 64:
            raise ValueError(f"{path}, line {number} is not a SHA-256 and a name: {line!r}")
        digests[name] = digest
    return digests
