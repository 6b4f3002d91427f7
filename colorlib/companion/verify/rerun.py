"""Checks that repeat the work behind the committed results: scoring some photographs, training runs or one epoch."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from colorlib.color import lightness
from colorlib.colorizers import Colorize, load_run
from colorlib.companion.artifacts import hints, published
from colorlib.companion.claims import from_pixels
from colorlib.companion.claims.from_pixels import PixelRow
from colorlib.companion.results import SCORED
from colorlib.companion.steps import compared_profiles, cross_dataset_scores, files, look_up_table_file
from colorlib.companion.tables import read_rows
from colorlib.companion.verify.compare import Check, Outcome, compare_files
from colorlib.config import RunConfig, config_of_record
from colorlib.data import validation_crops
from colorlib.device import prepare
from colorlib.evaluate import (
    baseline_losses,
    baseline_methods,
    look_up_table_csv,
    network_methods,
    read_baseline_losses,
    read_scores,
    score,
    score_run,
    scored_photos,
)
from colorlib.features import FeaturesMissingError, load_lite0
from colorlib.files import read_json
from colorlib.losses import OBJECTIVES, Batch, Objective
from colorlib.metrics import Score
from colorlib.photos import PhotoSet, find_source, open_photos
from colorlib.photos.download import PhotosMissingError
from colorlib.profiles import Profile
from colorlib.provenance import environments, hardware, versions
from colorlib.runs import Epoch, Run
from colorlib.targets import TARGETS
from colorlib.trainer import build_network, train

PHOTOGRAPHS = 5
"""The number of test photographs that are scored again, drawn at random at each call."""
OTHER_PHOTOGRAPHS = 2
"""The number of photographs of each other data set that are scored again."""
SCORE_TOLERANCE = 1e-3
"""Relative tolerance of a score on another processor or with other versions: float32 sums in another order move a
value of 8 bits here and there by one level."""
WEIGHTS_TOLERANCE = 1e-4
"""Relative tolerance of a validation loss that committed weights give on another processor: float32 sums in another
order over thousands of pixels, which changes a mean by about 1e-6."""
EPOCHS_TOLERANCE = 0.01
"""The same for the weights of kept epochs, which are float16: rounding changes each by up to 0.05 %, and the loss by
less than this."""
LOSS_TOLERANCE = 0.05
"""Relative tolerance of the losses of the first epoch in another environment. Rounding differences grow with every
update: 1.9 % were seen between processors with and without AVX-512."""


def environment_differences(record: Mapping[str, Any]) -> list[str]:
    """Return the differences between a run's recorded versions and hardware and this machine's, a phrase for each.

    Where a run was resumed with others, each of them counts.
    """
    now: dict[str, Mapping[str, Any]] = {
        "versions": versions(),
        "hardware": hardware(torch.device("cpu")),  # `rescored` and `retrained` use the CPU
    }
    differences = [
        f"{name} {then[group].get(name, 'not recorded')} then, {value} now"
        for then in environments(record)
        for group, values in now.items()
        for name, value in values.items()
        if then[group].get(name) != value
    ]
    return list(dict.fromkeys(differences))


def rescored(profile: Profile, sample_seed: int = 0) -> Iterator[Check]:
    """Score the committed weights and the baselines again on some test photographs, drawn at random.

    Published colorizations and, of the profile's networks, the photographs of other data sets are drawn in the same
    way, where they are on this machine.

    Args:
        profile: the profile.
        sample_seed: seed of the draw.

    Yields:
        A check for each seed, and one for the baselines of each data set.
    """
    # Score the baselines
    subject = f"results/{profile.name}/per_image.csv"
    drawn = f"{PHOTOGRAPHS} photographs drawn with --sample-seed {sample_seed}"
    try:
        chosen = drawn_photos(scored_photos(profile.photos), sample_seed)
        methods = baseline_methods(profile.photos)
        baselines = _scored_baselines(profile.photos, chosen.digest, sample_seed)
    except PhotosMissingError as error:
        yield _not_checked(f"{subject}, {drawn}", "rescored", error)
        return
    exact = not environment_differences(Run(profile.run(profile.seeds[0])).record())
    committed = [row for seed, row in read_rows(profile.results / "per_image.csv") if seed is None]
    yield _compare_scores(f"{subject}, baselines", committed, baselines, exact)
    # Score the runs
    for seed in profile.seeds:
        run = Run(profile.run(seed))
        where = f"results/{profile.name}/seed-{seed}/weights.safetensors"
        try:
            exact = not environment_differences(run.record())
            rows = [row for rows in score(network_methods(run.path, prepare("cpu")), chosen) for row in rows]
            committed = read_scores(run.path / "per_image.csv")
        except ValueError as error:
            yield Check(subject=where, how="rescored", outcome=Outcome.DIFFERS, detail=str(error))
            continue
        yield _compare_scores(where, committed, rows, exact)
        yield from _other_photos_rescored(profile, seed, sample_seed)
    yield from _published_rescored(profile, methods, sample_seed)


@lru_cache(maxsize=2)
def _scored_baselines(photos: str, digest: str, sample_seed: int) -> list[Score]:
    """Return the scores of baselines on drawn test photographs, cached by content: several profiles share them."""
    chosen = drawn_photos(scored_photos(photos), sample_seed)
    return [row for rows in score(baseline_methods(photos), chosen) for row in rows]


def drawn_photos(photos: PhotoSet, sample_seed: int, count: int = PHOTOGRAPHS) -> PhotoSet:
    """Return `count` photographs drawn at random, in their order; all of them if there are no more."""
    numbers = range(len(photos))
    drawn = sorted(random.Random(sample_seed).sample(numbers, min(count, len(photos))))
    return replace(photos, photos=tuple(photos.photos[number] for number in drawn))


def _other_photos_rescored(profile: Profile, seed: int, sample_seed: int) -> Iterator[Check]:
    """Score a run again on photographs of the other data sets that it was scored on."""
    run = Run(profile.run(seed))
    others = {other.photos: cross_dataset_scores(profile, other, seed) for other in compared_profiles(profile)[1:]}
    for photos, path in others.items():
        if photos == profile.photos:
            continue
        subject = f"results/{profile.name}/seed-{seed}/{path.name}"
        try:
            chosen = drawn_photos(scored_photos(photos), sample_seed, OTHER_PHOTOGRAPHS)
        except PhotosMissingError as error:
            yield _not_checked(subject, "rescored", error)
            continue
        try:
            rows = [row for rows in score(network_methods(run.path, prepare("cpu")), chosen) for row in rows]
            yield _compare_scores(subject, read_scores(path), rows, not environment_differences(run.record()))
        except ValueError as error:
            yield Check(subject=subject, how="rescored", outcome=Outcome.DIFFERS, detail=str(error))


def _published_rescored(profile: Profile, baselines: Mapping[str, Colorize], sample_seed: int) -> Iterator[Check]:
    """Score published colorizations, baselines and runs again on some photographs of `published.SOURCE`."""
    path, scored = files(profile, "published_scores")
    if not path.is_file():
        return
    subject = f"results/{profile.name}/peers/{path.name}"
    try:
        truths = open_photos(published.SOURCE, "test")
        by_name = {photo.name: photo for photo in find_source(published.SOURCE).photos(published.OTHERS)}
    except PhotosMissingError as error:
        yield _not_checked(subject, "rescored", error)
        return
    chosen = drawn_photos(truths, sample_seed)
    committed = read_rows(path)
    rows = [row for photo in chosen for row in published.score_files_of(photo, by_name)]
    rows += [row for found in score(baselines, chosen) for row in found]
    without_seed = [row for seed, row in committed if seed is None]
    yield _compare_scores(f"{subject}, published results and baselines", without_seed, rows, exact=False)
    for seed in profile.seeds:
        rows = [row for found in score(network_methods(profile.run(seed), prepare("cpu")), chosen) for row in found]
        own = [row for owner, row in committed if owner == seed]
        yield _compare_scores(f"{subject}, seed {seed}", own, rows, exact=False)
    # Compare the hashes of what was scored
    record = read_json(scored, SCORED)
    expected = published.scored_record(profile, truths, list(by_name.values()))
    yield _compare_records(
        f"results/{profile.name}/peers/{scored.name}", record, expected, "the same photographs, files and weights"
    )


def pixels_measured(profile: Profile, sample_seed: int = 0) -> Iterator[Check]:
    """Measure the pixels of some photographs again, drawn at random, and compare them with pixels.csv."""
    path, metadata = files(profile, "pixels")
    if not path.is_file():
        return
    subject = f"results/{profile.name}/{path.name}"
    # Compare the hashes of what was measured
    record = read_json(metadata, from_pixels.RECORD)
    measured = replace(profile, seeds=tuple(int(seed) for seed in record["weights_sha256"]))
    try:
        expected = from_pixels.pixels_record(measured)
    except PhotosMissingError as error:
        yield _not_checked(subject, "rescored", error)
        return
    yield _compare_records(
        f"results/{profile.name}/{metadata.name}", record, expected, "the same photographs, faces and weights"
    )
    # Measure again
    try:
        lite0 = load_lite0()
    except FeaturesMissingError as error:
        lite0 = None
        yield _not_checked(f"{subject}, {', '.join(from_pixels.FROM_FEATURES)}", "rescored", error)
    test, _ = from_pixels.measured_photos(profile)
    faces, training = from_pixels.read_faces(profile.photos), from_pixels.fit_training(profile.photos, lite0)
    networks = {seed: load_run(profile.run(seed)) for seed in measured.seeds}
    now = [
        row
        for photo in drawn_photos(test, sample_seed, OTHER_PHOTOGRAPHS)
        for row in from_pixels.measure_photo(photo, faces.get(photo.name, ()), training, networks, faces_only=False)
    ]
    yield _compare_pixels(subject, from_pixels.read_rows(path), now)


def hints_measured(profile: Profile, sample_seed: int = 0) -> Iterator[Check]:
    """Measure PSNR with hints on some of the measured photographs again, drawn at random; compare it with hints.csv."""
    path, metadata = files(profile, "hint_scores")
    if not path.is_file():
        return
    subject = f"results/{profile.name}/{path.name}"
    try:
        photos = scored_photos(profile.photos)
    except PhotosMissingError as error:
        yield _not_checked(subject, "rescored", error)
        return
    committed = {(row.method, row.seed, row.hints, row.photograph): row for row in hints.read_rows(path)}
    measured = replace(photos, photos=tuple(photo for photo in photos if photo.name in {key[3] for key in committed}))
    yield _compare_records(
        f"results/{profile.name}/{metadata.name}",
        read_json(metadata, hints.RECORD),
        hints.hints_record(profile, photos, len(measured)),
        "the same photographs and weights",
    )
    # Measure again
    networks = hints.load_networks(profile, prepare("cpu"))
    drawn = drawn_photos(measured, sample_seed, OTHER_PHOTOGRAPHS)
    worst, where = 0.0, ""
    for row in (row for photo in drawn for row in hints.measure_photo(photo, networks)):
        before = committed.get((row.method, row.seed, row.hints, row.photograph))
        values = [(before.mse, row.mse), (before.psnr, row.psnr)] if before else [(0.0, row.mse)]
        relative = max(abs(then - now) / now for then, now in values)
        if relative > worst:
            worst, where = (
                relative,
                f"{row.photograph}, {row.method}, {row.hints} hints: {before} is committed, {row} now",
            )
    passed = bool(len(drawn)) and worst <= SCORE_TOLERANCE
    detail = f"relative differences of at most {worst:.1g} on {len(drawn)} photographs; limit {SCORE_TOLERANCE:g}"
    outcome = Outcome.PASSED if passed else Outcome.DIFFERS
    yield Check(subject=subject, how="rescored", outcome=outcome, detail=detail if passed else where or "no rows")


def _compare_records(subject: str, record: Mapping[str, Any], expected: Mapping[str, Any], same: str) -> Check:
    """Compare what a file says it was computed from with what is there now; `same` says it where they are equal."""
    differing = [name for name in expected if record.get(name) != expected[name]]
    return Check(
        subject=subject,
        how="rescored",
        outcome=Outcome.DIFFERS if differing else Outcome.PASSED,
        detail=f"{', '.join(differing)} differ" if differing else same,
    )


def _compare_pixels(subject: str, committed: Sequence[PixelRow], rows: Sequence[PixelRow]) -> Check:
    """Compare measures by their largest difference, relative to the mean size of the measure over the photographs."""
    key = attrgetter("measure", "method", "seed")
    then = {(*key(row), row.photograph): row.value for row in committed}
    sizes: dict[tuple[Any, ...], list[float]] = {}
    for row in committed:
        sizes.setdefault(key(row), []).append(abs(row.value))
    worst, where = 0.0, ""
    for row in rows:
        before = then.get((*key(row), row.photograph), math.nan)
        relative = abs(row.value - before) / max(fmean(sizes.get(key(row), [0.0])), 1e-12)
        if math.isnan(relative):  # a missing row
            relative = math.inf
        if relative > worst:
            worst = relative
            where = f"{row.photograph}, {row.method}, {row.measure}: {before!r} is committed, {row.value!r} now"
    images = len({row.photograph for row in rows})
    passed = worst <= SCORE_TOLERANCE
    detail = (
        f"differences of at most {worst:.1g} of a measure's size on {images} photographs; limit {SCORE_TOLERANCE:g}"
    )
    outcome = Outcome.PASSED if passed else Outcome.DIFFERS
    return Check(subject=subject, how="rescored", outcome=outcome, detail=detail if passed else where)


def baselines_recomputed(profile: Profile) -> Iterator[Check]:
    """Compute the validation losses of the baselines again."""
    path = files(profile, "data")[1]
    subject = f"results/{profile.name}/{path.name}"
    if not path.is_file():
        return
    try:
        losses = baseline_losses(profile.photos, profile.config.crop_size, profile.config.view)
    except PhotosMissingError as error:
        yield _not_checked(subject, "rescored", error)
        return
    recorded = read_baseline_losses(path)
    wrong = [
        f"{name}: {recorded.get(name)!r} then, {loss!r} now"
        for name, loss in losses.items()
        if not math.isclose(recorded.get(name, math.nan), loss, rel_tol=WEIGHTS_TOLERANCE)
    ]
    yield Check(
        subject=subject,
        how="rescored",
        outcome=Outcome.DIFFERS if wrong or list(recorded) != list(losses) else Outcome.PASSED,
        detail="; ".join(wrong) or f"the losses of {', '.join(losses)}",
    )


def look_up_table_fitted(profile: Profile) -> Iterator[Check]:
    """Fit the look-up table of a profile to its training photographs again."""
    path = look_up_table_file(profile)
    subject = f"results/{profile.name}/{path.name}"
    if not path.is_file():
        return
    try:
        fitted = look_up_table_csv(profile.photos)
    except PhotosMissingError as error:
        yield _not_checked(subject, "rescored", error)
        return
    same = path.read_text(encoding="utf-8") == fitted
    yield Check(
        subject=subject,
        how="rescored",
        outcome=Outcome.PASSED if same else Outcome.DIFFERS,
        detail="fitted again" if same else "it differs from the table that is fitted to the training photographs",
    )


def weights_validated(profile: Profile) -> Iterator[Check]:
    """Compute the validation losses of committed weights, final and kept ones, and compare them with history.csv.

    This ties weights to the history that they were trained with: it needs no training.
    """
    for seed in profile.seeds:
        run, config = Run(profile.run(seed)), profile.run_config(seed)
        where = f"results/{profile.name}/seed-{seed}"
        try:
            crops = _crops_of(config.photos, config.crop_size, config.view)
        except PhotosMissingError as error:
            yield _not_checked(f"{where}/weights.safetensors, validation loss", "validated", error)
            continue
        kept = [(epoch, run.epoch_weights(epoch), EPOCHS_TOLERANCE) for epoch in config.keep_epochs]
        kept = [(epoch, path, limit) for epoch, path, limit in kept if path.is_file() and epoch < config.epochs]
        for epoch, path, limit in (*kept, (config.epochs, run.weights, WEIGHTS_TOLERANCE)):
            subject = f"{where}/{path.relative_to(run.path).as_posix()}, validation loss of epoch {epoch}"
            try:
                then = run.history()[epoch - 1]["validation_loss"]
                now = _validation_loss(config, run.read_weights(None if path == run.weights else epoch), crops)
            except _NoLossError as error:
                yield _not_checked(subject, "validated", error)
                break
            except Exception as error:  # noqa: BLE001 - whatever damaged weights or a damaged history cause
                detail = f"it cannot be validated: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
                yield Check(subject=subject, how="validated", outcome=Outcome.DIFFERS, detail=detail)
                continue
            relative = abs(now - then) / abs(then)
            yield Check(
                subject=subject,
                how="validated",
                outcome=Outcome.PASSED if relative <= limit else Outcome.DIFFERS,
                detail=f"{then!r} in history.csv, {now!r} now: {relative:.1g} apart; limit {limit:g}",
            )


class _NoLossError(ValueError):
    """The loss is not a function of the network's weights alone."""


@lru_cache(maxsize=2)
def _crops_of(photos: str, crop_size: int, view: int) -> torch.Tensor:
    return validation_crops(open_photos(photos, "val"), crop_size, view)


@torch.inference_mode()
def _validation_loss(config: RunConfig, state: Mapping[str, torch.Tensor], crops: torch.Tensor) -> float:
    """Return the validation loss of weights, as training computes it.

    Args:
        config: the run's settings.
        state: the weights, float32.
        crops: `(N, 3, S, S)` uint8, the validation photographs' center crops.
    """
    target = TARGETS[config.target]()
    objective = OBJECTIVES[config.objective](target, config.seed)
    if objective.state():
        raise _NoLossError(f"the loss of objective={config.objective} depends on more than the network's weights")
    if type(objective).fit is not Objective.fit:  # decoding the training photographs can take a minute
        objective.fit(open_photos(config.photos, "train").decode())
    network = build_network(config)
    network.load_state_dict(dict(state))
    network.eval()
    total = 0.0
    for piece in torch.split(crops, config.batch_size):
        rgb, light = piece.float() / 255.0, lightness(piece)
        batch = Batch(L=light, rgb=rgb, target=target.encode(rgb), weight=1.0)
        output = network((light / 100.0).contiguous(memory_format=torch.channels_last))
        total += float(objective(output, batch)) * len(piece)
    return total / len(crops)


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
    config = replace(config_of_record(record), keep_epochs=(1,))
    try:
        measured = _trained(config, scratch / "first-epoch", record, epochs=1)
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


def _trained(config: RunConfig, path: Path, record: Mapping[str, Any], *, epochs: int | None = None) -> Epoch:
    """Train on the CPU with the recorded number of threads; returns the last epoch.

    Args:
        config: the settings; a schedule follows all of their epochs.
        path: the run directory.
        record: the content of the run.json that is compared.
        epochs: where to stop; None trains to the end.
    """
    measured = None
    for event in train(config, path, device="cpu", threads=record["hardware"]["threads"]):
        if isinstance(event, Epoch):
            measured = event
            if event.epoch == epochs:
                break
    assert measured is not None
    return measured


def _not_checked(subject: str, how: str, why: object) -> Check:
    return Check(subject=subject, how=how, outcome=Outcome.NOT_CHECKED, detail=str(why))
