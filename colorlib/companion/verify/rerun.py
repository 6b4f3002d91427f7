"""Checks that repeat the work behind the committed results: scoring some photographs, training runs or one epoch."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from colorlib.companion.tables import read_rows
from colorlib.companion.verify.compare import Check, Outcome, compare_files
from colorlib.config import RunConfig, config_of_record
from colorlib.device import prepare
from colorlib.evaluate import baseline_methods, network_methods, read_scores, score, score_run, scored_photos
from colorlib.metrics import Score
from colorlib.photos.download import PhotosMissingError
from colorlib.profiles import Profile
from colorlib.provenance import hardware, versions
from colorlib.runs import Epoch, Run
from colorlib.trainer import train

PHOTOGRAPHS = 10
"""The number of test photographs that are scored again, spread evenly over the split."""
SCORE_TOLERANCE = 1e-3
"""Relative tolerance of a score on another processor or with other versions: float32 sums in another order move a
value of 8 bits here and there by one level."""
LOSS_TOLERANCE = 0.05
"""Relative tolerance of the losses of the first epoch in another environment. Rounding differences grow with every
update: 1.9 % were seen between processors with and without AVX-512."""


def environment_differences(record: Mapping[str, Any]) -> list[str]:
    """Return the differences between a run's recorded versions and hardware and this machine's, a phrase for each."""
    now: dict[str, Mapping[str, Any]] = {
        "versions": versions(),
        "hardware": hardware(torch.device("cpu")),  # `rescored` and `retrained` use the CPU
    }
    return [
        f"{name} {record[group].get(name, 'not recorded')} then, {value} now"
        for group, values in now.items()
        for name, value in values.items()
        if record[group].get(name) != value
    ]


def rescored(profile: Profile) -> Iterator[Check]:
    """Score the committed weights and the baselines again on some test photographs: a check for each seed, and one."""
    # Open the photographs
    subject = f"results/{profile.name}/per_image.csv"
    try:
        chosen = scored_photos(profile.photos).at_most(PHOTOGRAPHS)
        methods = baseline_methods(profile.photos)
    except PhotosMissingError as error:
        yield _not_checked(f"{subject}, {PHOTOGRAPHS} photographs", "rescored", error)
        return
    # Score the baselines
    committed = [row for seed, row in read_rows(profile.results / "per_image.csv") if seed is None]
    baselines = [row for rows in score(methods, chosen) for row in rows]
    exact = not environment_differences(Run(profile.run(profile.seeds[0])).record())
    yield _compare_scores(f"{subject}, baselines", committed, baselines, exact)
    # Score the runs
    for seed in profile.seeds:
        run = Run(profile.run(seed))
        exact = not environment_differences(run.record())
        where = f"results/{profile.name}/seed-{seed}/weights.safetensors"
        try:
            rows = [row for rows in score(network_methods(run.path, prepare("cpu")), chosen) for row in rows]
        except ValueError as error:
            yield Check(subject=where, how="rescored", outcome=Outcome.DIFFERS, detail=str(error))
            continue
        yield _compare_scores(where, read_scores(run.path / "per_image.csv"), rows, exact)


def _compare_scores(subject: str, committed: Sequence[Score], rows: Sequence[Score], exact: bool) -> Check:
    """Compare the scores of some photographs with the committed ones by the largest relative difference."""
    by_image = {(row.image, row.method): asdict(row) for row in committed}
    worst, where = 0.0, ""
    for row in rows:
        then = by_image.get((row.image, row.method), {})
        for name, value in asdict(row).items():
            if isinstance(value, str):
                continue
            before = then.get(name, math.nan)
            relative = 0.0 if before == value else abs(before - value) / max(abs(before), abs(value), 1e-6)
            if math.isnan(relative):  # a missing row, or an infinite score
                relative = math.inf
            if relative > worst:
                worst, where = relative, f"{row.image}, {row.method}, {name}: {before!r} is committed, {value!r} now"
    images = len({row.image for row in rows})
    if worst == 0:
        outcome, detail = Outcome.PASSED, f"the same numbers on {images} photographs"
    elif not exact and worst <= SCORE_TOLERANCE:
        outcome = Outcome.PASSED
        detail = f"relative differences of at most {worst:.1g} on {images} photographs; limit {SCORE_TOLERANCE:g}"
    else:
        outcome, detail = Outcome.DIFFERS, where
    return Check(subject=subject, how="rescored", outcome=outcome, detail=detail)


def first_epoch_retrained(profile: Profile, scratch: Path) -> Iterator[Check]:
    """Train the first epoch of the profile's first run again, and compare its losses and, if possible, its weights.

    Runs of an accelerator are not checked.

    Args:
        profile: the profile.
        scratch: a folder for the run.
    """
    seed = profile.seeds[0]
    run = Run(profile.run(seed))
    record = run.record()
    subject = f"results/{profile.name}/seed-{seed}/history.csv, first epoch"
    if record["hardware"]["device"] != "cpu":
        yield _not_checked(subject, "retrained", f"it was trained on {record['hardware'].get('accelerator', 'a GPU')}")
        return
    # Train
    config = replace(config_of_record(record), epochs=1, keep_epochs=(1,))
    try:
        measured = _trained(config, scratch / "first-epoch", record)
    except PhotosMissingError as error:
        yield _not_checked(subject, "retrained", error)
        return
    # Compare the losses
    differing = environment_differences(record)
    then = run.history()[0]
    pairs = {
        "training loss": (then["training_loss"], measured.training_loss),
        "validation loss": (then["validation_loss"], measured.validation_loss),
    }
    for name, (before, now) in pairs.items():
        relative = abs(before - now) / abs(now)
        same = before == now or (bool(differing) and relative <= LOSS_TOLERANCE)
        detail = f"{before!r} then, {now!r} now"
        if before != now and same:
            detail += f": a relative difference of {relative:.1g}; limit in another environment {LOSS_TOLERANCE:g}"
        yield Check(
            subject=f"{subject}, {name}",
            how="retrained",
            outcome=Outcome.PASSED if same else Outcome.DIFFERS,
            detail=detail,
        )
    # Compare the weights
    if run.epoch_weights(1).is_file() and not differing:
        weights = Run(scratch / "first-epoch").epoch_weights(1)
        name = f"results/{profile.name}/seed-{seed}/epochs/{weights.name}"
        yield compare_files(name, "retrained", run.epoch_weights(1), weights)


def retrained(profile: Profile, scratch: Path) -> Iterator[Check]:
    """Retrain and rescore every run of the profile with its recorded configuration, and compare its files.

    In another environment only the last validation losses are compared, with a tolerance.

    Args:
        profile: the profile.
        scratch: a folder for the runs.
    """
    ends = [fmean(_last_losses(Run(profile.run(seed)))) for seed in profile.seeds]
    for seed in profile.seeds:
        # Train and score
        run, new = Run(profile.run(seed)), Run(scratch / f"seed-{seed}")
        record, where = run.record(), f"results/{profile.name}/seed-{seed}"
        try:
            _trained(config_of_record(record), new.path, record)
            for _ in score_run(new.path, device=prepare("cpu")):
                pass
        except PhotosMissingError as error:
            yield _not_checked(where, "retrained", error)
            continue
        # Compare the files
        if not environment_differences(record):
            for name in ("history.csv", "weights.safetensors", "per_image.csv", "metrics.json"):
                committed = run.path / name
                yield compare_files(f"{where}/{name}", "retrained", committed, new.path / name)
            continue
        # In another environment the losses drift apart. The last ones must agree, up to the noise of the last epochs
        # or, if the learning rate has decayed and there is none, up to the spread over seeds.
        last, now = _last_losses(run), _last_losses(new)
        allowed = 3 * max(stdev(last), stdev(ends) if len(ends) > 1 else 0.0) / fmean(last)
        relative = abs(fmean(now) - fmean(last)) / fmean(last)
        yield Check(
            subject=f"{where}/history.csv, last ten epochs",
            how="retrained",
            outcome=Outcome.PASSED if relative <= allowed else Outcome.DIFFERS,
            detail=f"mean validation loss {fmean(last):.5f} then, {fmean(now):.5f} now: {relative:.2%} apart; "
            f"the limit is {allowed:.2%} (three standard deviations over the last ten epochs or over seeds)",
        )


def _last_losses(run: Run) -> list[float]:
    return [row["validation_loss"] for row in run.history()[-10:]]


def _trained(config: RunConfig, path: Path, record: Mapping[str, Any]) -> Epoch:
    """Train on the CPU with the recorded number of threads; returns the last epoch."""
    measured = None
    for event in train(config, path, device="cpu", threads=record["hardware"]["threads"]):
        if isinstance(event, Epoch):
            measured = event
    assert measured is not None
    return measured


def _not_checked(subject: str, how: str, why: object) -> Check:
    return Check(subject=subject, how=how, outcome=Outcome.NOT_CHECKED, detail=str(why))
