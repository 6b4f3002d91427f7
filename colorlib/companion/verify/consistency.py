"""Checks that the parts of committed results agree with each other, without repeating any training or scoring.

Each function yields at least one check; a file that cannot be read gives a check that names it.
"""

import ast
import base64
import contextlib
import io
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from colorlib.companion.pipeline import MANIFEST, nested_profiles, root_of
from colorlib.companion.steps import COMPARED, Step, files, steps
from colorlib.companion.sweeps.run import RECORD
from colorlib.companion.sweeps.spec import SWEEPS, Point, with_trained
from colorlib.companion.tables import read_rows
from colorlib.companion.verify.compare import Check, Outcome, compare_files
from colorlib.config import RunConfig, as_json, config_of_record
from colorlib.evaluate import read_scores, scored_photos
from colorlib.files import sha256
from colorlib.metrics import Score, psnr_of
from colorlib.photos import open_photos
from colorlib.photos.download import PhotosMissingError
from colorlib.profiles import NOTEBOOKS, PROFILES, Profile, display_path
from colorlib.runs import Run

UNLISTED = ("LOG.md", "campaign.md", "mutations.md", "verify.html")
"""Files in results/ that no list of a profile holds: prose, and tables that tests make."""
NOT_A_PROFILE = ("bench", "scratch")
"""Folders in results/ and figures/ that are no profile's."""
MADE_BY_NOTEBOOKS = ("method", "explore", "figures2_3", "hint_examples")
"""Entries of `steps.FILES` that are rebuilt by running the cells of their notebook again, where it was executed."""
RANGES: dict[str, tuple[float, float]] = {
    "pixels": (1, math.inf),
    "truth_chroma": (0, 200),
    "mse": (0, 1),
    "psnr": (0, math.inf),
    "ssim": (-1, 1),
    "delta_e00": (0, 200),
    "ab_auc": (0, 1),
    "colorfulness": (0, 500),
    "truth_colorfulness": (0, 500),
}
"""Column of per_image.csv -> its smallest and largest possible value."""
ROUNDING = 1e-9
"""Tolerance of a number that follows from another by a formula."""
MEASURED_AGAIN = 1e-6
"""Tolerance of the colors of a photograph, which runs on two machines measure apart: other versions sum in another
order."""


def guarded(subject: str, how: str, checks: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Yield checks; where a file cannot be read, yield one that names the subject instead of raising."""
    try:
        yield from checks()
    except PhotosMissingError as error:
        yield Check(subject=subject, how=how, outcome=Outcome.NOT_CHECKED, detail=str(error))
    except Exception as error:  # noqa: BLE001 - whatever a damaged file causes is a difference, and the checks go on
        detail = f"it cannot be checked: {type(error).__name__}: {' '.join(str(error).split())}"
        yield Check(subject=subject, how=how, outcome=Outcome.DIFFERS, detail=detail)


def consistent(profile: Profile, *, photographs: bool = True) -> Iterator[Check]:
    """Check scores, runs and sweeps of a profile and of its nested profiles, file by file.

    Args:
        profile: the profile.
        photographs: also compare the photographs that runs record with those on this machine.
    """
    for owner in (profile, *nested_profiles(profile)):
        root = root_of(owner)
        for path in sorted(owner.results.rglob("per_image*.csv")):
            yield _check(path.relative_to(root).as_posix(), partial(score_faults, path), "rows and columns")
        for seed in owner.seeds:
            run = Run(owner.run(seed))
            name = run.path.relative_to(root).as_posix()
            yield _check(f"{name}/run.json", partial(record_faults, owner, seed), "settings")
            if photographs:
                yield from _photograph_checks(owner, seed, f"{name}/run.json")
            for file, faults in (
                ("history.csv", history_faults),
                ("timing.csv", timing_faults),
                ("weights.safetensors", weight_faults),
            ):
                expected = owner.run_config(seed)
                yield _check(f"{name}/{file}", partial(faults, run, expected), "epochs")
        yield from _environments_over_seeds(owner)
        yield from _sweep_checks(owner)


def _check(subject: str, faults: Callable[[], Sequence[str]], what: str) -> Check:
    """Return a check that passes if `faults` returns nothing; otherwise its detail is the first fault."""

    def checks() -> Iterator[Check]:
        found = faults()
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        yield Check(
            subject=subject,
            how="consistent",
            outcome=Outcome.DIFFERS if found else Outcome.PASSED,
            detail=f"{found[0]}{more}" if found else f"{what} agree",
        )

    return next(guarded(subject, "consistent", checks))


# Scores


def score_faults(path: Path) -> list[str]:
    """Return what is impossible in the rows of a per_image.csv: values, duplicates, methods on other photographs."""
    seeded = path.read_text(encoding="utf-8").startswith("seed,")
    rows: list[tuple[int | None, Score]] = read_rows(path) if seeded else [(None, score) for score in read_scores(path)]
    faults = [] if rows else ["it has no rows"]
    truths: dict[str, tuple[int, float, float]] = {}
    for _, row in rows:
        where = f"{row.image}, {row.method}"
        for name, (low, high) in RANGES.items():
            if not low <= getattr(row, name) <= high + ROUNDING:
                faults.append(f"{where}: {name} is {getattr(row, name)!r}, which is not in [{low:g}, {high:g}]")
        expected = psnr_of(row.mse) if row.mse >= 0 else math.nan
        if not math.isclose(row.psnr, expected, rel_tol=ROUNDING):
            faults.append(f"{where}: psnr is {row.psnr!r}, but the PSNR of its mse is {expected!r}")
        truth = (row.pixels, row.truth_chroma, row.truth_colorfulness)
        if not np.allclose(truths.setdefault(row.image, truth), truth, rtol=MEASURED_AGAIN, atol=MEASURED_AGAIN):
            faults.append(f"{where}: pixels or colors of the photograph are not those in the rows of other methods")
    seen = Counter((seed, row.method, row.image) for seed, row in rows)
    faults += [f"{image}, {method}: there are {count} rows" for (_, method, image), count in seen.items() if count > 1]
    images: dict[tuple[int | None, str], list[str]] = {}
    for seed, row in rows:
        images.setdefault((seed, row.method), []).append(row.image)
    first = next(iter(images.values()), [])
    faults += [f"{method} is not scored on the same photographs" for (_, method), own in images.items() if own != first]
    return faults


# Runs


def record_faults(profile: Profile, seed: int) -> list[str]:
    """Return the settings in a run.json that are not those of the profile, and the parts that it lacks."""
    record = Run(profile.run(seed)).record()
    return [f"it has no {name}" for name in ("source", "versions") if not record[name]] or _config_faults(
        record, profile.run_config(seed)
    )


def _config_faults(record: Mapping[str, Any], expected: RunConfig) -> list[str]:
    then, now = as_json(config_of_record(record)), as_json(expected)
    return [f"{name} is {then[name]!r}, but {now[name]!r} is configured" for name in now if then[name] != now[name]]


@cache
def _photographs(source: str, split: str) -> tuple[int, str]:
    """Return the number and the SHA-256 of the photographs of a split on this machine."""
    found = scored_photos(source) if split == "test" else open_photos(source, split)
    return len(found), found.digest


def _photograph_checks(profile: Profile, seed: int, subject: str) -> Iterator[Check]:
    """Compare the photographs that a run records with those on this machine."""

    def checks() -> Iterator[Check]:
        run = Run(profile.run(seed))
        recorded = dict(run.record()["photos"])
        metrics = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))
        recorded["test"] = metrics["photos"]
        faults = []
        for split in ("train", "val", "test"):
            count, digest = _photographs(profile.photos, split)
            if (recorded[split]["count"], recorded[split]["sha256"]) != (count, digest):
                where = "metrics.json" if split == "test" else "run.json"
                faults.append(f"{where} records other {split} photographs than the {count} of {profile.photos}")
        yield Check(
            subject=f"{subject}, photographs",
            how="consistent",
            outcome=Outcome.DIFFERS if faults else Outcome.PASSED,
            detail="; ".join(faults) or f"numbers and SHA-256 are those of {profile.photos} on this machine",
        )

    yield from guarded(f"{subject}, photographs", "consistent", checks)


def _environments_over_seeds(profile: Profile) -> Iterator[Check]:
    """Report whether code, versions and hardware are the same over the seeds; honest runs may differ in them."""
    if len(profile.seeds) == 1:
        return
    subject = f"results/{profile.name}, run.json of {len(profile.seeds)} seeds"

    def checks() -> Iterator[Check]:
        records = [Run(profile.run(seed)).record() for seed in profile.seeds]
        photos = len({json.dumps(record["photos"], sort_keys=True) for record in records})
        others = [
            f"{count} of {name}"
            for name in ("source", "versions", "hardware")
            if (count := len({json.dumps(record[name], sort_keys=True) for record in records})) > 1
        ]
        yield Check(
            subject=subject,
            how="consistent",
            outcome=Outcome.DIFFERS if photos > 1 else Outcome.PASSED,
            detail="the seeds have other photographs"
            if photos > 1
            else f"the runs differ: {', '.join(others)}"
            if others
            else "the same code, versions and hardware",
        )

    yield from guarded(subject, "consistent", checks)


def history_faults(run: Run, config: RunConfig) -> list[str]:
    """Return what is impossible in a history.csv: epochs, updates, losses."""
    rows = run.history()
    faults = [] if len(rows) == config.epochs else [f"it has {len(rows)} epochs, not {config.epochs}"]
    for number, row in enumerate(rows, start=1):
        if (row["epoch"], row["updates"]) != (number, number * config.updates_per_epoch):
            faults.append(f"row {number} is of epoch {row['epoch']:g} and update {row['updates']:g}")
        for name in ("training_loss", "validation_loss"):
            if not 0 < row[name] < math.inf:
                faults.append(f"epoch {number}: {name} is {row[name]!r}")
    return faults


def timing_faults(run: Run, config: RunConfig) -> list[str]:
    """Return what is impossible in a timing.csv: epochs, and times that are not positive."""
    rows = run.timing()
    faults = [] if len(rows) == config.epochs else [f"it has {len(rows)} epochs, not {config.epochs}"]
    for number, row in enumerate(rows, start=1):
        if min(row.values()) < 0:
            faults.append(f"row {number} has negative times")
    return faults


def weight_faults(run: Run, config: RunConfig) -> list[str]:
    """Return what is impossible in the weights of a run and of its kept epochs: updates, names and shapes."""
    from colorlib.checkpoint import load_tensors
    from colorlib.trainer import build_network

    shapes = {name: tensor.shape for name, tensor in build_network(config).state_dict().items()}
    kept = sorted(run.path.glob("epochs/*.safetensors"))
    expected = {run.weights: config.updates}
    expected |= {
        run.epoch_weights(epoch): epoch * config.updates_per_epoch
        for epoch in config.keep_epochs
        if epoch <= config.epochs and kept
    }
    faults = [f"epochs/{path.name} is not configured" for path in kept if path not in expected]
    for path, updates in expected.items():
        held = load_tensors(path)
        if held.step != updates:
            faults.append(f"{path.name} is of update {held.step}, not {updates}")
        if {name: tensor.shape for name, tensor in held.state.items()} != shapes:
            faults.append(f"{path.name} has other tensors than the configured network")
    return faults


# Sweeps


def _sweep_checks(profile: Profile) -> Iterator[Check]:
    """Check each finished point of each sweep: its settings, and that its files agree."""
    root = root_of(profile)
    for folder in sorted(path for path in profile.results.glob("sweeps/*") if path.is_dir()):
        directories = sorted(path for path in folder.glob("*") if (path / RECORD).is_file())
        name = folder.relative_to(root).as_posix()
        points: dict[Path, Point] = {}

        def known(folder: Path = folder, directories: Sequence[Path] = directories) -> list[str]:
            seeds = {json.loads((path / RECORD).read_text(encoding="utf-8"))["seed"] for path in directories}
            found = with_trained(SWEEPS / f"{folder.name}.yaml", profile, seeds)
            points.update({point.directory: point for point in found.points})  # noqa: B023 - called in this iteration
            return [f"{path.name} is no point of {folder.name}.yaml" for path in directories if path not in points]  # noqa: B023

        yield _check(name, known, f"{len(directories)} points and the sweep's file")
        for directory in directories:
            if directory in points:
                point = points[directory]
                yield _check(f"{name}/{directory.name}", partial(point_faults, point), "its files")


def point_faults(point: Point) -> list[str]:
    """Return what disagrees in the files of a finished point: settings, SHA-256, updates, and PSNR with MSE."""
    run = Run(point.directory)
    record = json.loads((point.directory / RECORD).read_text(encoding="utf-8"))
    faults = [
        f"{RECORD} has {name} {record[name]!r}, not {value!r}"
        for name, value in (("point", point.name), ("seed", point.seed), ("changes", point.changes))
        if record[name] != value
    ]
    faults += _config_faults(run.record(), point.config)
    present = {path.name: path for path in point.directory.iterdir() if path.name in record["left"]}
    needed = {"run.json", "history.csv", *(path.name for path in point.directory.glob("metrics*.json"))}
    faults += [f"{name} is missing" for name in sorted(needed) if name not in present]
    faults += [
        f"{name} has another SHA-256 than in {RECORD}"
        for name, path in sorted(present.items())
        if sha256(path) != record["left"][name]
    ]
    faults += history_faults(run, point.config)
    if not 0 < record["seconds"] < math.inf:
        faults.append(f"{RECORD} has {record['seconds']!r} seconds")
    for path in sorted(point.directory.glob("metrics*.json")):
        metrics = json.loads(path.read_text(encoding="utf-8"))
        if metrics["updates"] != point.config.updates:
            faults.append(f"{path.name} is of {metrics['updates']} updates, not {point.config.updates}")
        if metrics["weights_sha256"] != record["left"]["weights.safetensors"]:
            faults.append(f"{path.name} is of other weights than {RECORD}")
        for method, values in metrics["methods"].items():
            if not math.isclose(values["psnr_of_mse"]["value"], psnr_of(values["mse"]["value"]), rel_tol=ROUNDING):
                faults.append(f"{path.name}, {method}: psnr_of_mse is not the PSNR of mse")
            for measure, estimate in values.items():
                if isinstance(estimate, Mapping) and not _is_ordered(estimate):
                    faults.append(f"{path.name}, {method}: {measure} is not between its bounds")
    return faults


def _is_ordered(estimate: Mapping[str, Any]) -> bool:
    low, value, high = (estimate[name] for name in ("low", "value", "high"))
    return None in (low, value, high) or low <= value <= high


# Executed notebooks


def notebooks_agree(profile: Profile, scratch: Path) -> Iterator[Check]:
    """Compare each executed notebook with its source, the committed figures, and what its cells print again.

    Cells run in this process, below the scratch folder, and read what is there; nothing is trained or scored. Cells
    that need photographs are run where they are on this machine.

    Args:
        profile: the profile.
        scratch: the folder that `verify.rebuilt` has filled.
    """
    pictures = {path.read_bytes() for path in profile.figures.glob("*.png")}
    copied = replace(profile, root=scratch)
    for step, shown in zip(steps(profile), steps(copied, train=False), strict=True):
        if not step.executed.is_file():
            continue
        root = root_of(profile)
        for path in step.inputs:
            copy = scratch / path.relative_to(root) if path.is_relative_to(root) else path
            if path.is_file() and not copy.is_file():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
        made = {*step.outputs} & {*files(profile, "data")[:1], *files(profile, *MADE_BY_NOTEBOOKS)}
        for path in made:  # a copy would pass without being made
            (scratch / path.relative_to(root)).unlink(missing_ok=True)
        subject = step.executed.relative_to(root).as_posix()
        yield _check(
            subject,
            partial(notebook_faults, step, shown, pictures),
            "cells, figures, tables and printed lines",
        )
        for path in sorted(made):
            name = path.relative_to(root)
            if path.is_file() and (scratch / name).is_file():
                yield compare_files(name.as_posix(), "rebuilt", path, scratch / name)


def notebook_faults(step: Step, shown: Step, pictures: set[bytes]) -> list[str]:
    """Return what disagrees in an executed notebook: its cells, its pictures, its tables and printed lines.

    Args:
        step: the step that executed it.
        shown: the same step on copies of its inputs, which trains nothing.
        pictures: contents of the committed figures.
    """
    executed, source = (
        json.loads(path.read_text(encoding="utf-8"))["cells"] for path in (step.executed, NOTEBOOKS / step.notebook)
    )
    # Cells: those of the source, and one with the parameters
    cells = [cell for cell in executed if "injected-parameters" not in cell["metadata"].get("tags", ())]
    faults = [
        f"cell {number} is not that of notebooks/{step.notebook}"
        for number, (cell, expected) in enumerate(zip(cells, source, strict=False), start=1)
        if (cell["cell_type"], "".join(cell["source"])) != (expected["cell_type"], "".join(expected["source"]))
    ]
    if len(cells) != len(source):
        faults.append(f"it has {len(cells)} cells, not {len(source)}")
    injected = [cell for cell in executed if cell not in cells]
    parameters = {}
    for line in ast.parse("\n".join("".join(cell["source"]) for cell in injected)).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            parameters[line.targets[0].id] = ast.literal_eval(line.value)
    if "run" in parameters:  # of a notebook that was copied with the results, as a path in the copy
        parameters["run"] = display_path(step.executed.parents[3] / parameters["run"])
    faults += [
        f"parameter {name} is {parameters.get(name)!r}, not {value!r}"
        for name, value in step.parameters.items()
        if name not in ("mode", "root") and parameters.get(name) != value
    ]
    # Tables and printed lines
    parameters = dict(shown.parameters) | ({"rescore": False} if "rescore" in shown.parameters else {})
    committed = [word for cell in executed for word in _words(cell.get("outputs", ()))]
    try:
        repeated, shown_again = run_cells(source, parameters)
    except PhotosMissingError:
        repeated, shown_again = committed, set()
    # Pictures: committed figures, or what the cells show again
    outputs = [output for cell in executed for output in cell.get("outputs", ())]
    for number, output in enumerate(outputs, start=1):
        picture = output.get("data", {}).get("image/png")
        if picture and base64.b64decode("".join(picture)) not in pictures | shown_again:
            faults.append(f"the picture in output {number} is no committed figure, and not what its cell shows again")
        if output["output_type"] == "error":
            faults.append(f"output {number} is an error")
    differing = [
        f"{then!r} is committed, {now!r} is computed"[:300]
        for then, now in zip(committed, repeated, strict=False)
        if then != now
    ]
    if not differing and len(committed) != len(repeated):
        differing = [f"it has {len(committed)} outputs, not {len(repeated)}"]
    return faults + differing


def _words(outputs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what a cell's outputs say: printed lines, then headings, tables as HTML, captions and alternative texts.

    A kernel sends printed text and displayed data on two ways, so their order in a cell says nothing.
    """
    streams = ("".join(output["text"]) for output in outputs if output["output_type"] == "stream")
    words = [line for line in "".join(streams).splitlines() if line]
    for output in outputs:
        if "text/markdown" in output.get("data", {}):
            words.append("".join(output["data"]["text/markdown"]))
        elif "text/html" in output.get("data", {}):
            words.append("".join(output["data"]["text/html"]))
            words += _captions(output.get("metadata", {}).get("text/html", {}))
        elif "image/png" in output.get("data", {}):
            words += _captions(output.get("metadata", {}).get("image/png", {}))
    return words


def _captions(metadata: Mapping[str, Any]) -> list[str]:
    return [str(metadata[name]) for name in ("label", "caption", "alt") if name in metadata]


def run_cells(cells: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> tuple[list[str], set[bytes]]:
    """Run the code cells of a notebook in this process; returns its tables and printed lines, and its pictures."""
    import IPython.display

    words: list[str] = []
    pictures: set[bytes] = set()
    outputs: list[Mapping[str, Any]] = []

    def display(data: Mapping[str, Any], *, metadata: Mapping[str, Any], **_: Any) -> None:
        outputs.append({"output_type": "display_data", "data": data, "metadata": metadata})

    shown = IPython.display.display
    variables: dict[str, Any] = {}
    IPython.display.display = display  # type: ignore[assignment]
    try:
        for cell in cells:
            if cell["cell_type"] == "code":
                outputs.clear()
                with contextlib.redirect_stdout(io.StringIO()) as printed:
                    exec(compile("".join(cell["source"]), "cell", "exec"), variables)
                words += _words([{"output_type": "stream", "text": printed.getvalue()}, *outputs])
                pictures |= {
                    base64.b64decode(each["data"]["image/png"]) for each in outputs if "image/png" in each["data"]
                }
                if "parameters" in cell["metadata"].get("tags", ()):
                    variables.update(parameters)
    finally:
        IPython.display.display = shown
    return words, pictures


# Files


def linked(profile: Profile) -> Iterator[Check]:
    """Refuse symbolic links among the committed files of a profile."""
    folders = [folder for owner in (profile, *nested_profiles(profile)) for folder in (owner.results, owner.figures)]
    links = [path for folder in folders for path in (folder, *folder.rglob("*")) if path.is_symlink()]
    root = root_of(profile)
    for path in sorted(links):
        yield Check(
            subject=path.relative_to(root).as_posix(),
            how="as listed",
            outcome=Outcome.DIFFERS,
            detail=f"it is a symbolic link to {path.readlink()}; commit the file itself",
        )


def complete(root: Path, folder: Path = PROFILES) -> Iterator[Check]:
    """Compare the folders of results/ and figures/ with the profiles that the code has.

    Args:
        root: the folder that holds results/ and figures/.
        folder: folder of the profile files.
    """
    names = {path.stem for path in folder.glob("*.yaml")} - {"smoke"}
    listed = names - (set(COMPARED) - {"cpu"})
    faults = {
        f"results/{name}/{MANIFEST}": "it does not exist, but the profile does"
        for name in sorted(listed)
        if not (root / "results" / name / MANIFEST).is_file()
    }
    known = {*names, *COMPARED, *NOT_A_PROFILE, "smoke"}
    for parent in (root / "results", root / "figures"):
        for path in sorted(parent.iterdir()) if parent.is_dir() else ():
            if path.is_symlink():
                faults[f"{parent.name}/{path.name}"] = "it is a symbolic link"
            elif path.is_dir() and path.name not in known and not path.name.endswith("-bundled"):
                faults[f"{parent.name}/{path.name}"] = "no profile has this folder, and no list its files"
            elif path.is_file() and path.name not in UNLISTED:
                faults[f"{parent.name}/{path.name}"] = "no list has this file"
    for name, detail in faults.items():
        yield Check(subject=name, how="as listed", outcome=Outcome.DIFFERS, detail=detail)
    if not faults:
        detail = f"the folders of {len(listed)} profiles with a list, and no others"
        yield Check(subject="results, figures", how="as listed", outcome=Outcome.PASSED, detail=detail)
