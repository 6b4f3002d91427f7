"""Doing again, with the code that is checked out, parts of what left the committed evidence: scores and training."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from colorlib.companion.checks import Check, Outcome, compare_files
from colorlib.companion.tables import read_rows
from colorlib.config import config_of_record
from colorlib.devices import prepare
from colorlib.evaluate import Score, read_scores, score
from colorlib.measurements import Epoch
from colorlib.places import PhotosMissingError
from colorlib.profiles import Profile
from colorlib.provenance import hardware, versions
from colorlib.runs import Run
from colorlib.scoring import baseline_methods, network_methods, score_run, scored_photos
from colorlib.trainer import train

PHOTOGRAPHS = 10
"""How many test photographs are scored again, spread evenly over the split."""
SCORES = 1e-3
"""Relative tolerance of a score on another processor or with other versions: float32 sums in another order move a
value of 8 bits here and there by one level."""
FIRST_EPOCH = 0.02
"""Relative tolerance of the losses of the first epoch there: the differences grow from update to update."""


def environment_differences(record: Mapping[str, Any]) -> list[str]:
    """How this machine's processor and its packages differ from what a run recorded."""
    now: dict[str, Mapping[str, Any]] = {
        "versions": versions(),
        "hardware": hardware(torch.device("cpu")),  # where everything here is done again
    }
    return [
        f"{name} {record[group].get(name)} then, {value} now"
        for group, values in now.items()
        for name, value in values.items()
        if record[group].get(name) != value
    ]


def scored_again(profile: Profile) -> Iterator[Check]:
    """Score the committed weights and the baselines again on some test photographs."""
    subject = f"results/{profile.name}/per_image.csv"
    try:
        chosen = scored_photos(profile.photos).at_most(PHOTOGRAPHS)
        methods = baseline_methods(profile.photos)
    except PhotosMissingError as error:
        yield _not_checked(f"{subject}, {PHOTOGRAPHS} photographs", "scored again", error)
        return
    committed = read_rows(profile.results / "per_image.csv")
    own = [row for seed, row in committed if seed is None]
    trivial = [row for rows in score(methods, chosen) for row in rows]
    exact = not environment_differences(Run(profile.run(profile.seeds[0])).record())
    yield _scores(f"{subject}, trivial answers", own, trivial, exact)
    for seed in profile.seeds:
        run = Run(profile.run(seed))
        exact = not environment_differences(run.record())
        where = f"results/{profile.name}/seed-{seed}/weights.safetensors"
        try:
            rows = [row for rows in score(network_methods(run.path, prepare("cpu")), chosen) for row in rows]
        except ValueError as error:
            yield Check(subject=where, how="scored again", outcome=Outcome.DIFFERS, detail=str(error))
            continue
        yield _scores(where, read_scores(run.path / "per_image.csv"), rows, exact)


def _scores(subject: str, committed: Sequence[Score], anew: Sequence[Score], exact: bool) -> Check:
    held = {(row.image, row.method): asdict(row) for row in committed}
    worst, where = 0.0, ""
    for row in anew:
        then = held.get((row.image, row.method), {})
        for name, value in asdict(row).items():
            if isinstance(value, str):
                continue
            before = then.get(name, math.nan)
            relative = 0.0 if before == value else abs(before - value) / max(abs(before), abs(value), 1e-6)
            if not relative <= worst:  # NaN, where a row is missing, counts as farthest
                worst, where = relative, f"{row.image}, {row.method}, {name}: {before!r} is committed, {value!r} now"
    images = len({row.image for row in anew})
    if worst == 0:
        outcome, detail = Outcome.PASSED, f"the same numbers on {images} photographs"
    elif not exact and worst <= SCORES:
        outcome, detail = Outcome.PASSED, f"within {worst:.1g} of the value on {images} photographs, {SCORES:g} may be"
    else:
        outcome, detail = Outcome.DIFFERS, where
    return Check(subject=subject, how="scored again", outcome=outcome, detail=detail)


def first_epoch_replayed(profile: Profile, scratch: Path) -> Iterator[Check]:
    """Train the first epoch of the profile's first run again."""
    seed = profile.seeds[0]
    run = Run(profile.run(seed))
    record = run.record()
    subject = f"results/{profile.name}/seed-{seed}/history.csv, first epoch"
    if record["hardware"]["device"] != "cpu":
        yield _not_checked(subject, "replayed", f"it was trained on {record['hardware'].get('accelerator', 'a GPU')}")
        return
    config = replace(config_of_record(record), epochs=1, keep_epochs=(1,))
    try:
        measured = _trained(config, scratch / "first-epoch", record)
    except PhotosMissingError as error:
        yield _not_checked(subject, "replayed", error)
        return
    differing = environment_differences(record)
    then = run.history()[0]
    pairs = {
        "training loss": (then["training_loss"], measured.training_loss),
        "validation loss": (then["validation_loss"], measured.validation_loss),
    }
    for name, (before, now) in pairs.items():
        relative = abs(before - now) / abs(now)
        same = before == now or (bool(differing) and relative <= FIRST_EPOCH)
        detail = f"{before!r} then, {now!r} now"
        if before != now and same:
            detail += f": {relative:.1g} of it, {FIRST_EPOCH:g} may be in another environment"
        yield Check(
            subject=f"{subject}, {name}",
            how="replayed",
            outcome=Outcome.PASSED if same else Outcome.DIFFERS,
            detail=detail,
        )
    if run.epoch_weights(1).is_file() and not differing:
        anew = Run(scratch / "first-epoch").epoch_weights(1)
        name = f"results/{profile.name}/seed-{seed}/epochs/{anew.name}"
        yield compare_files(name, "replayed", run.epoch_weights(1), anew, exact=True)


def retrained(profile: Profile, scratch: Path) -> Iterator[Check]:
    """Train every run of the profile anew from its record, score it, and compare all it leaves."""
    ends = [fmean(_last_losses(Run(profile.run(seed)))) for seed in profile.seeds]
    for seed in profile.seeds:
        run, anew = Run(profile.run(seed)), Run(scratch / f"seed-{seed}")
        record, where = run.record(), f"results/{profile.name}/seed-{seed}"
        try:
            _trained(config_of_record(record), anew.path, record)
            for _ in score_run(anew.path, device=prepare("cpu")):
                pass
        except PhotosMissingError as error:
            yield _not_checked(where, "trained anew", error)
            continue
        if not environment_differences(record):
            for name in ("history.csv", "weights.safetensors", "per_image.csv", "metrics.json"):
                committed = run.path / name
                yield compare_files(f"{where}/{name}", "trained anew", committed, anew.path / name, exact=True)
            continue
        last, now = _last_losses(run), _last_losses(anew)
        # In another environment the runs part; what must agree is where they end, to the noise of the last epochs or,
        # where a schedule leaves none, to what seeds differ by.
        allowed = 3 * max(stdev(last), stdev(ends) if len(ends) > 1 else 0.0) / fmean(last)
        relative = abs(fmean(now) - fmean(last)) / fmean(last)
        yield Check(
            subject=f"{where}/history.csv, last ten epochs",
            how="trained anew",
            outcome=Outcome.PASSED if relative <= allowed else Outcome.DIFFERS,
            detail=f"mean validation loss {fmean(last):.5f} then, {fmean(now):.5f} now: {relative:.2%} of it, "
            f"{allowed:.2%} may be (three standard deviations over the last ten epochs or over seeds)",
        )


def _last_losses(run: Run) -> list[float]:
    return [row["validation_loss"] for row in run.history()[-10:]]


def _trained(config: Any, path: Path, record: Mapping[str, Any]) -> Epoch:
    measured = None
    for event in train(config, path, device="cpu", threads=record["hardware"]["threads"]):
        if isinstance(event, Epoch):
            measured = event
    assert measured is not None
    return measured


def _not_checked(subject: str, how: str, why: object) -> Check:
    return Check(subject=subject, how=how, outcome=Outcome.NOT_CHECKED, detail=str(why))
