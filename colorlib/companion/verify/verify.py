"""Check that the committed results of a profile still follow from the code.

There are four kinds of check. The committed files are compared with SHA256SUMS. Outputs are rebuilt from their inputs
and compared. The committed weights are scored again, and the first epoch is trained again. On request, every run is
retrained. A check that needs photographs which are not on this machine has the outcome `not checked`, never `passed`.
"""

import base64
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from colorlib.companion.pipeline import (
    MANIFEST,
    Output,
    committed_files,
    nested_profiles,
    outputs,
    read_manifest,
    root_of,
)
from colorlib.companion.report.notebook_html import TEMPLATES
from colorlib.companion.report.page import README, current
from colorlib.companion.results import Results
from colorlib.companion.steps import steps
from colorlib.companion.verify.compare import Check, Outcome, compare_files
from colorlib.companion.verify.consistency import MADE_BY_NOTEBOOKS, consistent, guarded, linked, notebooks_agree
from colorlib.companion.verify.rerun import (
    baselines_recomputed,
    environment_differences,
    first_epoch_retrained,
    hints_measured,
    look_up_table_fitted,
    pixels_measured,
    rescored,
    retrained,
    weights_validated,
)
from colorlib.files import sha256, write_text
from colorlib.profiles import PROJECT, Profile

PAGE = "verify.html"
SLOW_OUTPUTS = ("figures2_3", "hint_examples", "claims")
"""Outputs that run a network, which takes more than a second."""
NESTED_OUTPUTS = ("metrics of seed", "scores", "table1")
"""Outputs of a nested profile, by the start of their name."""


def committed_profiles() -> list[str]:
    """Return the names of the profiles with a list of committed files, except those that git ignores."""
    names = sorted(path.parent.name for path in (PROJECT / "results").glob(f"*/{MANIFEST}"))
    return [name for name in names if name != "smoke" and not name.endswith("-bundled")]


def verify(profile: Profile, *, retrain: bool = False, quick: bool = False, sample_seed: int = 0) -> Iterator[Check]:
    """Check the committed results and figures of a profile and of its nested profiles.

    Args:
        profile: the profile.
        retrain: also retrain every run, which takes as long as training took.
        quick: only what takes seconds: lists, agreement of files with each other, outputs that need no network.
        sample_seed: seed of the draw of the photographs that are scored again.

    Yields:
        Each check when it is done, the quick ones first.
    """
    folder_name = f"results/{profile.name}"
    yield from as_listed(profile)
    yield from linked(profile)
    yield from consistent(profile, photographs=not quick)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        yield from guarded(folder_name, "rebuilt", lambda: rebuilt(profile, scratch, quick=quick))
        if not quick:
            yield from guarded(f"{folder_name}/notebooks", "repeated", lambda: notebooks_agree(profile, scratch))
        yield from nested_rebuilt(profile)
        if quick:
            return
        yield from guarded(folder_name, "rescored", lambda: pixels_measured(profile, sample_seed))
        yield from guarded(folder_name, "rescored", lambda: hints_measured(profile, sample_seed))
        for owner in (profile, *nested_profiles(profile)):
            where = f"results/{owner.name}"
            yield from guarded(where, "validated", partial(weights_validated, owner))
        for owner in (profile, *nested_profiles(profile)):
            where = f"results/{owner.name}"
            yield from guarded(where, "rescored", partial(baselines_recomputed, owner))
            yield from guarded(where, "rescored", partial(look_up_table_fitted, owner))
            yield from guarded(where, "rescored", partial(rescored, owner, sample_seed))
        yield from guarded(folder_name, "retrained", lambda: first_epoch_retrained(profile, scratch))
        if retrain:
            yield from guarded(folder_name, "retrained", lambda: retrained(profile, scratch / "retrained"))


def not_covered(*, retrain: bool, quick: bool) -> str:
    """Return a sentence with what the checks of this call do not cover."""
    parts = [] if retrain else ["losses of epochs without kept weights", "how the weights were trained"]
    if quick:
        parts += [
            "photographs on this machine",
            "scores and losses of the weights",
            "claims and figures that run a network",
            "executed notebooks",
        ]
    else:
        parts.append("scores of photographs that were not drawn")
    parts += ["points of sweeps beyond the agreement of their files", "times, hardware and commits in records"]
    return f"not covered {'' if retrain else 'without retraining'}: {'; '.join(parts)}".replace("covered :", "covered:")


def as_listed(profile: Profile) -> Iterator[Check]:
    """Compare the committed files with SHA256SUMS: one check if they agree, else one for each file that does not."""
    try:
        listed = read_manifest(profile)
    except ValueError as error:
        yield Check(
            subject=f"results/{profile.name}/{MANIFEST}", how="as listed", outcome=Outcome.DIFFERS, detail=str(error)
        )
        return
    root = root_of(profile)
    here = {path.relative_to(root).as_posix(): path for path in committed_files(profile)}
    wrong = {name: "it is missing" for name in listed if name not in here}
    wrong |= {name: "it is not listed" for name in here if name not in listed}
    wrong |= {
        name: f"it was changed: SHA-256 {digest[:12]}…, {listed[name][:12]}… is listed"
        for name, path in here.items()
        if name in listed and (digest := sha256(path)) != listed[name]
    }
    for name, detail in sorted(wrong.items()):
        yield Check(subject=name, how="as listed", outcome=Outcome.DIFFERS, detail=detail)
    if not wrong:
        yield Check(
            subject=f"results/{profile.name}, figures/{profile.name}",
            how="as listed",
            outcome=Outcome.PASSED,
            detail=f"{len(listed)} files, each with the SHA-256 that is listed",
        )


def nested_rebuilt(profile: Profile) -> Iterator[Check]:
    """Rebuild scores and tables of the profiles whose files stand in the list of `profile`."""
    for owner in nested_profiles(profile):
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            yield from guarded(
                f"results/{owner.name}",
                "rebuilt",
                partial(rebuilt, owner, scratch, quick=True, nested=True),
            )


def rebuilt(profile: Profile, scratch: Path, *, quick: bool = False, nested: bool = False) -> Iterator[Check]:
    """Rebuild the outputs of a profile in a scratch folder, and compare each with the committed one.

    Later outputs are rebuilt from the rebuilt ones before them, not from committed copies.

    Args:
        profile: the profile.
        scratch: an empty folder, which then holds copies of all inputs, and the rebuilt outputs.
        quick: skip `SLOW_OUTPUTS`.
        nested: rebuild only `NESTED_OUTPUTS`; the list that holds the others is another profile's.

    Raises:
        ValueError: a run of the profile is missing.
    """
    # Copy the inputs
    root = root_of(profile)
    committed = Results(profile)
    committed_outputs = outputs(committed, steps(profile))
    _copy_inputs(committed_outputs, root, scratch)
    # Find the outputs that are committed
    try:
        if nested:
            raise ValueError("a nested profile has no list")
        listed = set(read_manifest(profile))
    except ValueError:  # reported by `as_listed`; compare every output that exists
        listed = {path.relative_to(root).as_posix() for made in committed_outputs.values() for path in made.files}
        listed = {name for name in listed if (root / name).is_file()}
    # Rebuild and compare; `notebooks_agree` does it for what executed notebooks make in seconds
    executed = {path for step in steps(profile) if step.executed.is_file() for path in step.outputs}
    copy = replace(profile, root=scratch)
    for label, output in outputs(Results(copy), steps(copy)).items():
        names = [path.relative_to(scratch).as_posix() for path in output.files]
        # The scratch folder has no lists of other profiles, so it may have outputs that the checkout has not.
        if label not in committed_outputs or not listed.intersection(names):
            continue
        if (quick and label in SLOW_OUTPUTS) or (nested and not label.startswith(NESTED_OUTPUTS)):
            continue
        if label in MADE_BY_NOTEBOOKS and executed.issuperset(committed_outputs[label].files):
            continue
        # A file that is an input of other outputs was copied: remove it, or it could pass without being made
        for path in set(output.files) - set(output.inputs):
            path.unlink(missing_ok=True)
        try:
            output.make()
        except Exception as error:  # noqa: BLE001 - whatever a damaged input causes
            detail = f"not possible: {error}"
            yield Check(subject=", ".join(names), how="rebuilt", outcome=Outcome.DIFFERS, detail=detail)
            continue
        for name, path in zip(names, output.files, strict=True):
            yield compare_files(name, "rebuilt", root / name, path)
    # Compare the README, which holds tables of several profiles
    if profile.root is None and not nested:
        text = README.read_text(encoding="utf-8")
        write_text(scratch / README.name, current(text))
        yield compare_files(README.name, "rebuilt", README, scratch / README.name)


def _copy_inputs(made: Mapping[str, Output], root: Path, scratch: Path) -> None:
    """Copy the inputs of outputs to the same places below the scratch folder."""
    for source in {path for output in made.values() for path in output.inputs}:
        if source.is_file() and source.is_relative_to(root):
            target = scratch / source.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def environment(profile: Profile) -> str:
    """Return a sentence with the differences between this environment and the recorded one of the profile's runs.

    Raises:
        ValueError: a run of the profile is missing.
    """
    try:
        found = {difference for record in Results(profile).records for difference in environment_differences(record)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"The environment of the runs is not known, because a run.json cannot be read ({error})."
    if not found:
        return "This environment is the recorded one: everything must have equal bytes."
    return (
        f"This environment differs from the recorded one ({'; '.join(sorted(found))}): what networks compute has a "
        "tolerance; tables, claims and summaries must have equal bytes."
    )


def terminal(check: Check) -> str:
    """Return a check as the command line prints it."""
    return f"{check.outcome:<12} {check.how:<13} {check.subject}: {check.detail}"


def verdict(checks: Sequence[Check]) -> str:
    """Return the count of each outcome, as a phrase."""
    counts = Counter(check.outcome for check in checks)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)


def write_page(checks: Sequence[Check], environments: Sequence[str], path: Path) -> None:
    """Write verify.html: a table of all checks, and pictures that differ side by side."""
    from jinja2 import Environment, FileSystemLoader

    def embedded(picture: bytes) -> str:
        return "data:image/png;base64," + base64.b64encode(picture).decode()

    template = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True).get_template("verify.html.j2")
    write_text(
        path,
        template.render(
            checks=checks,
            environments=environments,
            verdict=verdict(checks),
            css=(TEMPLATES / "report" / "style.css").read_text(encoding="utf-8"),
            embedded=embedded,
            failed=any(check.outcome == Outcome.DIFFERS for check in checks),
        ),
    )
