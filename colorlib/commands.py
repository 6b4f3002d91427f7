"""What each command does; `cli` reads the command line. Nothing heavy is imported before a command needs it."""

import argparse
import sys


def train(options: argparse.Namespace) -> int:
    """Train a run, or go on with it."""
    from tqdm import tqdm

    from colorlib import ranks, trainer
    from colorlib.config import RunConfig, override
    from colorlib.images import MAX_PIXELS
    from colorlib.measurements import Epoch, Notice

    config = RunConfig()
    if options.profile:
        from colorlib.profiles import load_profile

        config = load_profile(options.profile).config(seed=0)
    settings = dict(_setting(text) for text in options.set)
    settings |= {name: getattr(options, name) for name in ("photos", "seed") if getattr(options, name) is not None}
    config = override(config, settings)
    # Of several processes, as torchrun starts them, one speaks.
    with ranks.together(options.device):
        measurements = trainer.train(
            config,
            options.run,
            device=options.device,
            threads=options.threads,
            restart=options.restart,
            max_pixels=options.max_pixels or MAX_PIXELS,
        )
        with tqdm(total=config.updates, unit="update", dynamic_ncols=True, disable=not ranks.first()) as bar:
            for measured in measurements:
                if isinstance(measured, Notice):
                    bar.write(measured.text, file=sys.stderr)
                    continue
                if isinstance(measured, Epoch):
                    bar.set_description(f"epoch {measured.epoch} of {config.epochs}, loss {measured.training_loss:.5f}")
                    if measured.step > bar.n:  # done before this process started: not its speed
                        bar.initial = measured.step
                bar.update(measured.step - bar.n)
        if ranks.first():
            print(f"{options.run}: {config.epochs} epochs, {config.updates} updates")
            print(f"score it with: colorlib evaluate {options.run}")
    return 0


def colorize(options: argparse.Namespace) -> int:
    """Color photographs; 1 where one of them could not be colored."""
    from tqdm import tqdm

    from colorlib.coloring import load_colorizer
    from colorlib.copies import Progress, make_copies, pixels_to_color
    from colorlib.copy_places import plan_copies
    from colorlib.devices import prepare
    from colorlib.images import MAX_PIXELS

    copies = plan_copies(options.photos, options.output, compare=options.compare)
    device = prepare(options.device, options.threads)
    colorizer = load_colorizer(
        options.weights, device=str(device), keep_luminance=not options.raw, saturation=options.saturation
    )
    failed = 0
    limits = {"overwrite": options.overwrite, "max_pixels": options.max_pixels or MAX_PIXELS}
    left = {copy: pixels_to_color(copy, **limits) for copy in copies}
    total = sum(left.values())
    with tqdm(total=total, unit="pixel", unit_scale=True, dynamic_ncols=True) as bar:
        for event in make_copies(copies, colorizer, compare=options.compare, **limits):
            if isinstance(event, Progress):
                left[event.copy] -= event.pixels
                bar.update(event.pixels)
            elif event.failure:
                failed += 1
                bar.total = total = total - left[event.copy]  # what will not be done takes no time
                bar.write(f"not colored: {event.failure}", file=sys.stderr)
            else:
                bar.write(f"{event.copy.output}{f' ({event.note})' if event.note else ''}", file=sys.stdout)
    print(f"{len(copies) - failed} of {len(copies)} photograph{'s' if len(copies) != 1 else ''} colored")
    return 1 if failed else 0


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {text}: write NAME=VALUE, for example --set learning_rate=3e-4")
    return name.strip(), value.strip()


def evaluate(options: argparse.Namespace) -> int:
    """Score a finished run and print what came of it."""
    import json

    from tqdm import tqdm

    from colorlib import ranks
    from colorlib.config import config_of_record
    from colorlib.devices import prepare
    from colorlib.images import MAX_PIXELS
    from colorlib.runs import Run
    from colorlib.scoring import score_files, score_run

    own = config_of_record(Run(options.run).record()).photos
    photos = options.photos or own
    with ranks.together(options.device):
        device, limit = prepare(options.device, options.threads), options.max_pixels or MAX_PIXELS
        with tqdm(unit="photo", dynamic_ncols=True, disable=not ranks.first()) as bar:
            for done, bar.total in score_run(
                options.run, photos=photos, split=options.split, device=device, max_pixels=limit
            ):
                bar.update(done - bar.n)
        if not ranks.first():
            return 0
    path, _ = score_files(options.run, photos, options.split, own=own)
    metrics = json.loads(path.read_text(encoding="utf-8"))
    for method, found in metrics["methods"].items():
        print(
            f"{method}: MSE {found['mse']['value']:.5f}, PSNR of it {_decibels(found['psnr_of_mse'])}, "
            f"mean PSNR {_decibels(found['mean_psnr'])}, on {found['images']} photographs"
        )
    return 0


def _decibels(estimate: dict[str, float | None]) -> str:
    value = estimate["value"]
    return "not finite" if value is None else f"{value:.2f} dB"


def data(options: argparse.Namespace) -> int:
    """List, fetch or verify photographs."""
    from tqdm import tqdm

    from colorlib.photos import SOURCES, Fetched, find_source, open_photos
    from colorlib.places import PhotosMissingError

    if options.action == "fetch":
        if options.source is None:
            raise ValueError("name the source to fetch, for example `colorlib data fetch bsds500`")
        source = find_source(options.source)
        if not isinstance(source, Fetched):
            raise ValueError(f"{options.source} is not fetched: it is already here, or comes with its first use")
        for _ in tqdm(source.fetch(), total=source.files_to_fetch, unit="file", dynamic_ncols=True):
            pass
        print(f"{options.source}: complete and verified")
        return 0
    failed = False
    for name in [options.source] if options.source else SOURCES:
        source = find_source(name)
        counts = []
        for split in source.splits:
            try:
                counts.append(f"{len(open_photos(name, split))} {split}")
            except PhotosMissingError as error:
                counts = ["not on this machine" if options.action == "list" else str(error)]
                failed = failed or options.action == "verify"
                break
            except ValueError as error:
                counts, failed = [str(error)], True
                break
        print(f"{name}: {', '.join(counts)}\n    terms: {source.terms}")
    return 1 if failed else 0


def doctor(options: argparse.Namespace) -> int:
    """Print what this machine has and what each profile costs here."""
    from colorlib.companion.doctor import report

    print(report(threads=options.threads))
    return 0


def readme(options: argparse.Namespace) -> int:
    """Bring the measured parts of README.md up to date."""
    from colorlib.companion.readme import README, write_readme

    print(f"{README.name}: {'brought up to date' if write_readme() else 'up to date'}")
    return 0


def claims(options: argparse.Namespace) -> int:
    """Judge the paper's claims and print the verdicts."""
    from colorlib.companion.claims import write_claims
    from colorlib.companion.claims_text import terminal
    from colorlib.profiles import load_profile

    print(terminal(write_claims(load_profile(options.profile, seeds=_seeds(options.seeds)))))
    return 0


def verify(options: argparse.Namespace) -> int:
    """Hold the committed results against the code."""
    from colorlib.companion import verify as evidence
    from colorlib.companion.checks import Outcome
    from colorlib.profiles import PROJECT, load_profile

    names = [options.profile] if options.profile else evidence.committed_profiles()
    if not names:
        raise ValueError("no results are committed yet; `make reproduce PROFILE=cpu` leaves some")
    checks, environments = [], []
    for profile in map(load_profile, names):
        environments.append(f"{profile.name}: {evidence.environment(profile)}")
        print(environments[-1], flush=True)
        for check in evidence.verify(profile, retrain=options.retrain):
            print(evidence.terminal(check), flush=True)
            checks.append(check)
    page = PROJECT / "results" / evidence.PAGE
    evidence.write_page(checks, environments, page)
    print(f"{evidence.verdict(checks)}; see {page.relative_to(PROJECT).as_posix()}")
    return 1 if any(check.outcome == Outcome.DIFFERS for check in checks) else 0


def paper(options: argparse.Namespace) -> int:
    """Set the article."""
    from colorlib.companion.article import write_article
    from colorlib.profiles import load_profile

    print(write_article(load_profile(options.profile)))
    return 0


def _seeds(text: str | None) -> tuple[int, ...] | None:
    if not text:
        return None
    try:
        return tuple(int(seed) for seed in text.split(","))
    except ValueError:
        raise ValueError(f"seeds {text!r}: write whole numbers with commas, for example 0,1,2") from None


def reproduce(options: argparse.Namespace) -> int:
    """Execute the notebooks and build the report."""
    from colorlib.companion import reproduce as reproduction

    return reproduction.reproduce(
        options.profile,
        photos=options.photos,
        seeds=_seeds(options.seeds),
        only=options.only,
        force=options.force,
        train=not options.no_training,
    )


def sweep(options: argparse.Namespace) -> int:
    """Execute a notebook at the points of a sweep."""
    from colorlib.companion import sweep_command

    return sweep_command.run(options)
