"""Holds the committed evidence against the code that is checked out.

Four kinds of check: the files are those listed; what follows from other committed files is made anew and compared; the
committed weights are scored again and the first epoch is trained again; and, where asked for, every run is trained
anew. What cannot be checked, because photographs are absent, reads `not checked`, never `passed`.
"""

import base64
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from colorlib.colorizer import load_run
from colorlib.companion import contest, figures, outlook, sources
from colorlib.companion.checks import Check, Outcome, compare_files
from colorlib.companion.claims import LEDGER, write_claims
from colorlib.companion.compared import contest_files, source_files
from colorlib.companion.manifest import NAME, committed_files, guests, read_manifest, root_of
from colorlib.companion.notebook_pages import shown_steps
from colorlib.companion.peers import peers_table
from colorlib.companion.plan import TRIPTYCHS
from colorlib.companion.readme import README, current
from colorlib.companion.replays import environment_differences, first_epoch_replayed, retrained, scored_again
from colorlib.companion.report import write_report
from colorlib.companion.sweep_summary import write_summary
from colorlib.companion.sweeps import SWEEPS
from colorlib.companion.tables import table1
from colorlib.files import sha256, write_text
from colorlib.profiles import PROJECT, Profile, load_profile
from colorlib.runs import Run
from colorlib.scoring import pool_again

PAGE = "verify.html"
TEMPLATES = Path(__file__).parent / "template"


def committed_profiles() -> list[str]:
    """The profiles whose results are committed: those with a list of their files, but what git ignores."""
    names = sorted(path.parent.name for path in (PROJECT / "results").glob(f"*/{NAME}"))
    return [name for name in names if name != "smoke" and not name.endswith("-bundled")]


def verify(profile: Profile, *, retrain: bool = False) -> Iterator[Check]:
    """Check the committed evidence of a profile.

    Args:
        profile: whose results and figures.
        retrain: also train every run anew, which takes as long as it took.

    Yields:
        Each check when it is done, the quick ones first.
    """
    yield from as_listed(profile)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        yield from rebuilt(profile, scratch)
        yield from scored_again(profile)
        yield from first_epoch_replayed(profile, scratch)
        if retrain:
            yield from retrained(profile, scratch / "retrained")


def as_listed(profile: Profile) -> Iterator[Check]:
    """The committed files are those that SHA256SUMS lists, unchanged."""
    try:
        listed = read_manifest(profile)
    except ValueError as error:
        yield Check(
            subject=f"results/{profile.name}/{NAME}", how="as listed", outcome=Outcome.DIFFERS, detail=str(error)
        )
        return
    root = root_of(profile)
    here = {path.relative_to(root).as_posix(): path for path in committed_files(profile)}
    wrong = {name: "it is missing" for name in listed if name not in here}
    wrong |= {name: "it is not listed" for name in here if name not in listed}
    wrong |= {
        name: f"it was changed: SHA-256 {found[:12]}…, {listed[name][:12]}… is listed"
        for name, path in here.items()
        if name in listed and (found := sha256(path)) != listed[name]
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


def rebuilt(profile: Profile, scratch: Path) -> Iterator[Check]:
    """What is committed of figures, tables, claims and pages, made anew of scores, histories, weights and notebooks."""
    anew = _evidence_alone(profile, scratch)
    exact = not any(environment_differences(Run(profile.run(seed)).record()) for seed in profile.seeds)
    try:
        listed = set(read_manifest(profile))
    except ValueError:  # said by `as_listed`; then all is made that can be
        listed = set()
    for left, make in made_anew(profile, anew).items():
        names = [path.relative_to(scratch).as_posix() for path in left]
        known = listed or {name for name in names if (root_of(profile) / name).is_file()}
        if not known.intersection(names):
            continue
        try:
            make()
        except (ValueError, OSError, KeyError) as error:
            detail = f"not possible: {error}"
            yield Check(subject=", ".join(names), how="rebuilt", outcome=Outcome.DIFFERS, detail=detail)
            continue
        for name, path in zip(names, left, strict=True):
            yield compare_files(name, "rebuilt", root_of(profile) / name, path, exact=exact)
    if profile.root is None:
        text = README.read_text(encoding="utf-8")
        write_text(scratch / README.name, current(text))
        yield compare_files(README.name, "rebuilt", README, scratch / README.name, exact=True)


def made_anew(profile: Profile, anew: Profile) -> dict[tuple[Path, ...], Callable[[], object]]:
    """What makes the files of a profile that follow from others in the copy `anew`: the files -> the function."""
    results, pictures = anew.results, anew.figures
    runs = [anew.run(seed) for seed in anew.seeds]

    def loss_curve() -> None:
        losses = json.loads((results / "baselines.json").read_text(encoding="utf-8"))["validation_mse"]
        figures.loss_curve(runs, losses, pictures / "figure1_loss_curve.png")

    def triptychs() -> None:
        colorize = load_run(runs[0])
        for name in TRIPTYCHS:
            figures.paper_triptych(name, colorize, pictures)

    pages = (results / "report.html", *(results / "notebooks" / f"{step.name}.html" for step in shown_steps(profile)))
    makers: dict[tuple[Path, ...], Callable[[], object]] = {
        (run / "metrics.json",): partial(pool_again, run) for run in runs
    }
    for held in (anew, *(replace(guest, root=anew.root) for guest in guests(profile))):
        for path in sorted(SWEEPS.glob("*.yaml")):
            folder = held.sweep(path.stem)
            makers[folder / "summary.csv", folder / "summary.md"] = partial(write_summary, path, held)
    makers |= {
        tuple(results / name for name in ("per_image.csv", "table1.csv", "table1.md")): partial(table1, anew),
        (pictures / "figure1_loss_curve.png",): loss_curve,
        (pictures / "data_crops.png",): partial(figures.data_crops, pictures, anew.config(0).crop_size),
        tuple(pictures / f"{name}.png" for name in TRIPTYCHS): triptychs,
        (results / "peers.csv", results / "peers.md"): partial(peers_table, anew),
        (results / "sources.csv", results / "sources.md", pictures / "sources.png"): partial(sources.exhibit, anew),
        outlook.left_by(anew): partial(outlook.exhibit, anew),
        (contest.left_by(anew),): partial(contest.exhibit, anew),
        tuple(results / name for name in LEDGER): partial(write_claims, anew),
        pages: partial(write_report, anew),
    }
    return makers


def _evidence_alone(profile: Profile, scratch: Path) -> Profile:
    """A copy that holds what the rest follows from: runs, scores, baselines' losses, points, executed notebooks."""
    anew = replace(profile, root=scratch)
    names = ("per_image.csv", "data.json", "baselines.json", "peers", "notebooks", "seed-*")
    for path in [path for name in names for path in profile.results.glob(name)]:
        target = anew.results / path.name
        if path.is_dir():
            shutil.copytree(path, target, ignore=shutil.ignore_patterns("checkpoints", "*.html"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    # Convergence and the outlook are read from two profiles, the contest and the table of sources from several.
    cpu = replace(load_profile("cpu"), root=root_of(profile))
    held = {cpu.run(seed) / "history.csv" for seed in cpu.seeds} | set(source_files(profile))
    held |= set(() if cpu.name == profile.name else cpu.results.glob("sweeps/*/summary.csv"))
    held |= {path for path in committed_files(profile) if path.match("sweeps/*/*/*")}
    held |= set(contest_files(replace(profile, root=root_of(profile))))
    for source in held:
        target = scratch / source.relative_to(root_of(profile))
        if source.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return anew


def environment(profile: Profile) -> str:
    """One sentence: how this environment differs from the one that the profile's runs recorded."""
    found = {
        difference for seed in profile.seeds for difference in environment_differences(Run(profile.run(seed)).record())
    }
    if not found:
        return "This environment is the recorded one: equal bytes are demanded."
    return f"This environment differs from the recorded one ({'; '.join(sorted(found))}): tolerances apply."


def terminal(check: Check) -> str:
    """A check as the command line prints it."""
    return f"{check.outcome:<12} {check.how:<13} {check.subject}: {check.detail}"


def verdict(checks: Sequence[Check]) -> str:
    """How many checks came out how."""
    counts = Counter(check.outcome for check in checks)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)


def write_page(checks: Sequence[Check], environments: Sequence[str], path: Path) -> None:
    """Write verify.html: every check in a table, and pictures that differ side by side."""
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
