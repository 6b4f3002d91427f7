"""Command line `colorlib`: the options and the handler of each command.

Handlers import what they need, so `colorlib --help` loads neither torch nor NumPy.
"""

import argparse
import io
import logging
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

from colorlib.companion.sweeps import command as sweep_command

Event = TypeVar("Event")
EXAMPLES = """\
examples:
  colorlib doctor                                          this machine, and how long each profile takes on it
  colorlib data fetch bsds500                              download the photographs and verify them
  colorlib train runs/mine --photos folder:~/Pictures      train the paper's network on your own photographs
  colorlib train runs/lr --profile cpu --set learning_rate=3e-4
  colorlib colorize old.jpg                                color a photograph: old-colorized.jpg
  colorlib colorize old.jpg --hints colors.json            the same, with true colors at some places
  colorlib colorize albums/ -o colored/ --overwrite        color every photograph in a folder
  colorlib evaluate runs/mine                              score a run on its test split
"""


def add_train(parser: argparse.ArgumentParser) -> None:
    """Add the options of `colorlib train`."""
    parser.add_argument("run", type=Path, help="run directory; the same command resumes it")
    parser.add_argument(
        "--profile", help="start from notebooks/profiles/<PROFILE>.yaml instead of the paper's settings"
    )
    parser.add_argument("--photos", help="bsds500, bundled, folder:PATH, torchvision:NAME, … (colorlib data list)")
    parser.add_argument("--seed", help="sets the initial weights and the crops (default 0)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any field of colorlib.config.RunConfig"
    )
    parser.add_argument("--restart", action="store_true", help="discard another run's state in this directory")
    _add_device_options(parser)


def train(options: argparse.Namespace) -> int:
    """Train a run, or resume it from its last checkpoint."""
    from tqdm import tqdm

    from colorlib import trainer
    from colorlib.config import RunConfig, override
    from colorlib.device import is_main_process, process_group
    from colorlib.photos.decode import MAX_PIXELS
    from colorlib.runs import Epoch, Notice

    # Settings: defaults, then the profile, then options
    config = RunConfig()
    if options.profile:
        from colorlib.profiles import load_profile

        config = load_profile(options.profile).config
    settings = dict(_parse_setting(text) for text in options.set)
    settings |= {name: getattr(options, name) for name in ("photos", "seed") if getattr(options, name) is not None}
    kind, _, folder = settings.get("photos", "").partition(":")
    if kind == "folder" and folder:  # a run must find its photographs from any working directory
        settings["photos"] = f"folder:{Path(folder).expanduser().resolve()}"
    config = override(config, settings)
    # Train, with a progress bar of the updates
    with process_group(options.device):
        needed = 1 if config.view else config.crop_size  # a photograph of any size can be resized to a view
        remarks = _check_own_photos(config.photos, ("train", "val"), needed, options.max_pixels or MAX_PIXELS)
        if is_main_process():
            for remark in remarks:
                print(remark, file=sys.stderr)
        events = trainer.train(
            config,
            options.run,
            device=options.device,
            threads=options.threads,
            restart=options.restart,
            max_pixels=options.max_pixels or MAX_PIXELS,
        )
        # A refused argument ends here, before there is a bar
        events = _started(events)
        # Under torchrun only the main process prints.
        with tqdm(total=config.updates, unit="update", dynamic_ncols=True, disable=not is_main_process()) as bar:
            for event in events:
                if isinstance(event, Notice):
                    bar.write(event.text, file=sys.stderr)
                    continue
                if isinstance(event, Epoch):
                    bar.set_description(f"epoch {event.epoch} of {config.epochs}, loss {event.training_loss:.5f}")
                    if event.step > bar.n:  # epochs before the resume say nothing about the speed of this process
                        bar.initial = event.step
                bar.update(event.step - bar.n)
        if is_main_process():
            print(f"{options.run}: {config.epochs} epochs, {config.updates} updates")
            print(f"score it with: colorlib evaluate {options.run}")
    return 0


def _check_own_photos(photos: str, splits: Sequence[str], crop_size: int | None, max_pixels: int) -> list[str]:
    """Check a folder of the user's photographs; return remarks on what is left out, and on photographs without colors.

    Args:
        photos: name of the source; only `folder:PATH` is checked, other sources are verified by their checksums.
        splits: splits that will be used.
        crop_size: side of the crops that each photograph must hold; None does not decode them.
        max_pixels: largest width x height to decode.

    Raises:
        ValueError: photographs are broken or too small; the message lists all of them.
    """
    from colorlib.data import UnusablePhotosError, check_photos
    from colorlib.photos import find_source, open_photos
    from colorlib.photos.sources import Folder
    from colorlib.photos.walk import left_out_text

    source = find_source(photos)
    if not isinstance(source, Folder):
        return []
    left_out = source.left_out()
    remarks = [f"{source.path}: left out {left_out_text(left_out)}"] if left_out else []
    if crop_size is not None:
        problems = []
        for split in splits:
            try:
                remarks += check_photos(open_photos(photos, split, max_pixels=max_pixels), crop_size)
            except UnusablePhotosError as error:
                problems.append(str(error))
        if problems:
            raise ValueError("; ".join(problems))
    return remarks


def _started(events: Iterator[Event]) -> Iterator[Event]:
    """Return the same events after waiting for the first, before which a generator checks its arguments."""
    return chain([*islice(events, 1)], events)


def _show_photos(events: Iterator[tuple[int, int]], *, disable: bool = False) -> None:
    """Run to the end a generator of (photographs done, their total), with a progress bar unless it is disabled."""
    from tqdm import tqdm

    events = _started(events)
    with tqdm(unit="photo", dynamic_ncols=True, disable=disable) as bar:
        for done, bar.total in events:
            bar.update(done - bar.n)


def _parse_setting(text: str) -> tuple[str, str]:
    """Return name and value of an option `--set NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {text}: expected NAME=VALUE, for example --set learning_rate=3e-4")
    return name.strip(), value.strip()


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Add the options of `colorlib evaluate`."""
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("--photos", help="other photographs than those it was trained on")
    parser.add_argument("--split", default="test", help="train, val or test (default test)")
    parser.add_argument(
        "--baselines", action="store_true", help="score gray, mean chroma and the look-up table of its training instead"
    )
    _add_device_options(parser)


def evaluate(options: argparse.Namespace) -> int:
    """Score a finished run and print its metrics."""
    from colorlib.config import config_of_record
    from colorlib.device import is_main_process, prepare, process_group
    from colorlib.evaluate import baselines_file, read_metrics, score_baselines, score_run
    from colorlib.photos.decode import MAX_PIXELS
    from colorlib.runs import Run, score_files

    # Score, with a progress bar of the photographs
    own = config_of_record(Run(options.run).record()).photos
    photos = options.photos or own
    if options.baselines:
        limit = options.max_pixels or MAX_PIXELS
        _show_photos(score_baselines(options.run, photos=photos, split=options.split, max_pixels=limit))
        print(baselines_file(options.run, photos, options.split, own=own))
        return 0
    with process_group(options.device):
        device, limit = prepare(options.device, options.threads), options.max_pixels or MAX_PIXELS
        if is_main_process():
            for remark in _check_own_photos(photos, (options.split,), None, limit):
                print(remark, file=sys.stderr)
        events = score_run(options.run, photos=photos, split=options.split, device=device, max_pixels=limit)
        _show_photos(events, disable=not is_main_process())
        if not is_main_process():
            return 0
    # Print the pooled metrics
    path, _ = score_files(options.run, photos, options.split, own=own)
    metrics = read_metrics(path)
    for method, found in metrics["methods"].items():
        print(
            f"{method}: MSE {found['mse']['value']:.5f}, PSNR of it {_decibels(found['psnr_of_mse'])}, "
            f"mean PSNR {_decibels(found['mean_psnr'])}, on {found['images']} photographs"
        )
    return 0


def _decibels(estimate: dict[str, float | None]) -> str:
    """Return an estimate in a metrics.json as text; null stands for an infinity or NaN."""
    value = estimate["value"]
    return "not finite" if value is None else f"{value:.2f} dB"


def add_colorize(parser: argparse.ArgumentParser) -> None:
    """Add the options of `colorlib colorize`."""
    parser.add_argument(
        "photos",
        nargs="+",
        metavar="PHOTO",
        help="a file, a folder (with its subfolders), a pattern, or - for standard input",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="a file for one photograph, - for standard output, else a folder (default: next to the photographs)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files of the copies' names; without it a call goes on where an earlier one stopped",
    )
    parser.add_argument("--compare", action="store_true", help="write gray, original and prediction side by side")
    tone = parser.add_mutually_exclusive_group()
    tone.add_argument(
        "--keep-luminance",
        action="store_true",
        help="keep the photograph's lightness, so its sharpness (default)",
    )
    tone.add_argument("--raw", action="store_true", help="the network's raw RGB output")
    parser.add_argument("--saturation", type=float, default=1.0, help="factor on the guessed a and b (default 1)")
    parser.add_argument(
        "--hints",
        type=Path,
        metavar="FILE",
        help="JSON file of true colors at places of one photograph, in shares of its width and height from the upper "
        'left corner: {"hints": [{"x": 0.5, "y": 0.25, "color": "#a0522d"}]}',
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--model", help="lightweight (default), paper, cpu, or a run directory")
    source.add_argument(
        "--like", type=Path, metavar="PHOTO", help="take the palette of this photograph, not a network's"
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="the same bytes on every call: not the faster convolutions, which change a few values by 1 of 255",
    )
    _add_device_options(parser)


def colorize(options: argparse.Namespace) -> int:
    """Color photographs; return 1 if one of them could not be colored."""
    from tqdm import tqdm

    from colorlib.colorize.batch import STANDARD, Progress, make_copies, plan_copies
    from colorlib.colorize.colorizer import find_run, load_colorizer
    from colorlib.colorize.winograd import MEASURED_FROM, with_fastest_convolution
    from colorlib.colorizers import Colorizer
    from colorlib.device import prepare
    from colorlib.hints import read_hints
    from colorlib.photos.decode import MAX_PIXELS
    from colorlib.photos.walk import left_out_text

    # Load the network and plan the copies
    device = prepare(options.device, options.threads)
    colorizer = load_colorizer(
        options.model,
        like=options.like,
        device=str(device),
        keep_luminance=not options.raw,
        saturation=options.saturation,
    )
    if options.hints:
        colorizer = replace(colorizer, hints=read_hints(options.hints))
    settings = {
        "compare": options.compare,
        "overwrite": options.overwrite,
        "max_pixels": options.max_pixels or MAX_PIXELS,
    }
    plan = plan_copies(options.photos, options.output, colorizer=colorizer, **settings)
    count = len(plan.copies) + len(plan.done) + len(plan.failed)
    if options.hints and count > 1:
        raise ValueError(f"--hints {options.hints} is for one photograph, not {count}; color them one by one")
    # Standard output is for the copy alone if one goes there
    out = sys.stderr if any(copy.output == STANDARD for copy in plan.copies) else sys.stdout
    if options.like is None:
        print(_expectation(find_run(options.model), colorizer.name, raw=options.raw), file=out)
    # Color, with a progress bar of the pixels; a failed photograph does not stop the others
    failures = list(plan.failed.values())
    for failure in failures:
        print(f"not colored: {failure}", file=sys.stderr)
    left = {copy: copy.pixels for copy in plan.copies}
    total = sum(left.values())
    if total >= MEASURED_FROM and not options.exact and isinstance(colorizer.colorizer, Colorizer):
        colorizer = replace(colorizer, colorizer=with_fastest_convolution(colorizer.colorizer))
    with tqdm(total=total, unit="pixel", unit_scale=True, dynamic_ncols=True) as bar:
        for event in make_copies(plan.copies, colorizer, **settings):
            if isinstance(event, Progress):
                left[event.copy] -= event.pixels
                bar.update(event.pixels)
            elif event.failure:
                failures.append(event.failure)
                bar.total = total = total - left[event.copy]  # its remaining pixels will not be colored
                bar.write(f"not colored: {event.failure}", file=sys.stderr)
            else:
                bar.write(f"{event.copy.output}{f' ({event.note})' if event.note else ''}", file=out)
    # Say what is done, failed and left out
    if plan.left_out:
        print(f"left out: {left_out_text(plan.left_out)}", file=out)
    print(_outcome(len(plan.copies) + len(plan.failed), len(failures), len(plan.done)), file=out)
    return 1 if failures else 0


def _outcome(photos: int, failed: int, done: int) -> str:
    """Return what a call of `colorize` did, as text.

    Args:
        photos: photographs that were to be colored.
        failed: those of them that were not.
        done: further ones, which an earlier call colored.
    """
    before = f"{done} photograph{'' if done == 1 else 's'} colored before"
    if not photos:
        return f"nothing left to color: {before}" if done else "no photographs to color"
    colored = f"{photos - failed} of {photos} photograph{'' if photos == 1 else 's'} colored"
    return f"{colored}; {before}" if done else colored


def _expectation(run: Path, name: str, *, raw: bool) -> str:
    """Return a line on what to expect of a run, in numbers of its metrics.json, and where it fails."""
    from colorlib.evaluate import NETWORK, NETWORK_TRUE_L, read_metrics
    from colorlib.photos.registry import scored_source

    path = run / "metrics.json"
    metrics = read_metrics(path) if path.is_file() else {"methods": {}}
    found = metrics["methods"].get(NETWORK if raw else NETWORK_TRUE_L)
    if found is None:
        return f"{name}: not scored yet; `colorlib evaluate {run}` says what to expect"
    photos, true = metrics["photos"], found["truth_colorfulness"]
    strength = f", with {found['colorfulness']['value'] / true:.0%} of their colorfulness" if true else ""
    return (
        f"{name}: PSNR of MSE {_decibels(found['psnr_of_mse'])}, {found['delta_e00']['value']:.1f} ΔE00 from the true "
        f"colors of {photos['count']} {photos['split']} photographs of {scored_source(photos['source'])}{strength}; "
        "wrong where lightness does not tell the color, as of clothes and paint (--hints)"
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the options of `colorlib data`."""
    parser.add_argument("action", choices=("list", "fetch", "verify"))
    parser.add_argument("source", nargs="?", help="the source (default for list and verify: all of them)")


def data(options: argparse.Namespace) -> int:
    """List, fetch or verify photographs."""
    from tqdm import tqdm

    from colorlib.photos import SOURCES, find_source, open_photos
    from colorlib.photos.download import PhotosMissingError
    from colorlib.photos.sources import Downloadable

    # Fetch one source
    if options.action == "fetch":
        if options.source is None:
            raise ValueError("name the source to fetch, for example `colorlib data fetch bsds500`")
        source = find_source(options.source)
        if not isinstance(source, Downloadable):
            raise ValueError(
                f"{options.source} needs no fetching: it is here already, or is downloaded at its first use"
            )
        for _ in tqdm(source.fetch(), total=source.files_to_fetch, unit="file", dynamic_ncols=True):
            pass
        print(f"{options.source}: complete and verified")
        return 0
    # List or verify; `list` does not fail on sources that are not on this machine
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


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """Add the options of `colorlib doctor`."""
    parser.add_argument("--threads", type=int, help="threads of the CPU (default: one per core)")
    parser.add_argument("--verify", action="store_true", help="check all photographs against their SHA-256")


def doctor(options: argparse.Namespace) -> int:
    """Describe this machine and estimate how long each profile takes on it."""
    from colorlib.companion.doctor import report

    for line in report(threads=options.threads, verify=options.verify):
        print(line, flush=True)
    return 0


def add_reproduce(parser: argparse.ArgumentParser) -> None:
    """Add the options of `colorlib reproduce`."""
    parser.add_argument("--profile", default="auto", help="auto (default), smoke, cpu or paper")
    parser.add_argument("--photos", help="other photographs than the profile's, for example cifar10")
    parser.add_argument("--seeds", help="for example 0,1,2 (default: the profile's)")
    parser.add_argument(
        "--only", help="one notebook, for example 03_figure1, or the report: of the runs that are there, no training"
    )
    parser.add_argument("--no-training", action="store_true", help="use runs trained and evaluated elsewhere")
    parser.add_argument("--force", action="store_true", help="redo steps that are up to date")


def reproduce(options: argparse.Namespace) -> int:
    """Train, execute the notebooks and build the report."""
    from colorlib.companion import reproduce as reproduction

    return reproduction.reproduce(
        options.profile,
        photos=options.photos,
        seeds=sweep_command.parse_seeds(options.seeds),
        only=options.only,
        force=options.force,
        train=not options.no_training,
    )


def add_claims(parser: argparse.ArgumentParser) -> None:
    """Add the options of `colorlib claims`."""
    parser.add_argument("--profile", default="paper", help="the profile whose runs are judged (default paper)")
    parser.add_argument("--seeds", help="for example 0,1,2 (default: the profile's)")
    parser.add_argument("--force", action="store_true", help="measure again, even if nothing changed")


def claims(options: argparse.Namespace) -> int:
    """Measure the paper's claims unless nothing changed, and print the verdicts."""
    from colorlib.companion.claims.text import read_verdicts, terminal
    from colorlib.companion.pipeline import measure_claims, outputs
    from colorlib.companion.results import Results
    from colorlib.companion.steps import steps
    from colorlib.profiles import load_profile, path_and_link

    results = Results(load_profile(options.profile, seeds=sweep_command.parse_seeds(options.seeds)))
    made = outputs(results, steps(results.profile))["claims"]
    measure_claims(results, made, force=options.force, take=True)
    judged = read_verdicts(made.files[0], results.profile.name)
    assert judged is not None
    print(terminal(judged))
    print(path_and_link(made.files[1]))
    return 0


def add_pixels(parser: argparse.ArgumentParser) -> None:
    """Add the options of `colorlib pixels`."""
    parser.add_argument("--profile", default="paper", help="the profile whose runs are measured (default paper)")
    parser.add_argument("--seeds", help="for example 0,1,2 (default: the profile's)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")


def pixels(options: argparse.Namespace) -> int:
    """Measure the colors of photographs and predictions that claims are about."""
    from colorlib.companion.claims.from_pixels import measure_pixels
    from colorlib.companion.steps import files
    from colorlib.device import prepare
    from colorlib.profiles import load_profile, path_and_link

    profile = load_profile(options.profile, seeds=sweep_command.parse_seeds(options.seeds))
    _show_photos(measure_pixels(profile, device=prepare(options.device)))
    print(path_and_link(files(profile, "pixels")[0]))
    return 0


def add_hints(parser: argparse.ArgumentParser) -> None:
    """Add the options of `colorlib hints`."""
    parser.add_argument("--count", type=int, help="stop after so many photographs (default: all)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    parser.add_argument("--threads", type=int, help="threads of the CPU (default: one per core)")


def hints(options: argparse.Namespace) -> int:
    """Measure PSNR against the number of hints."""
    from colorlib.companion.artifacts.hints import measure_hints
    from colorlib.companion.steps import LIGHTWEIGHT, files
    from colorlib.device import prepare
    from colorlib.profiles import load_profile, path_and_link

    if options.count is not None and options.count < 1:
        raise ValueError(f"--count {options.count}: it must be at least 1")
    profile = load_profile(LIGHTWEIGHT)
    device = prepare(options.device, options.threads)
    _show_photos(measure_hints(profile, at_most=options.count, device=device))
    print(path_and_link(files(profile, "hints")[0]))
    return 0


def add_verify(parser: argparse.ArgumentParser) -> None:
    """Add the options of `colorlib verify`."""
    parser.add_argument("--profile", help="one profile (default: all with committed results)")
    parser.add_argument("--retrain", action="store_true", help="also retrain every run and compare its results")
    parser.add_argument("--quick", action="store_true", help="only checks that take seconds: nothing is scored")
    parser.add_argument("--sample-seed", type=int, help="draw the same photographs again (default: others each time)")


def verify(options: argparse.Namespace) -> int:
    """Check that the committed results still follow from the code."""
    from colorlib.companion.verify import verify as verification
    from colorlib.companion.verify.compare import Outcome
    from colorlib.companion.verify.consistency import complete
    from colorlib.profiles import PROJECT, load_profile

    names = [options.profile] if options.profile else verification.committed_profiles()
    if not names:
        raise ValueError("no results are committed yet; `make reproduce PROFILE=cpu` writes some")
    if options.retrain and options.quick:
        raise ValueError("--quick and --retrain exclude each other; choose one")
    sample_seed = options.sample_seed
    if sample_seed is None:
        sample_seed = random.SystemRandom().randrange(10**6)
    if not options.quick:
        print(f"photographs are drawn with --sample-seed {sample_seed}", flush=True)
    # Run the checks of each profile, printing each result as it comes
    checks, environments = list(complete(PROJECT)) if not options.profile else [], []
    for check in checks:
        print(verification.terminal(check), flush=True)
    for profile in map(load_profile, names):
        environments.append(f"{profile.name}: {verification.environment(profile)}")
        print(environments[-1], flush=True)
        for check in verification.verify(
            profile, retrain=options.retrain, quick=options.quick, sample_seed=sample_seed
        ):
            print(verification.terminal(check), flush=True)
            checks.append(check)
    # Write the page of all results
    page = PROJECT / "results" / verification.PAGE
    verification.write_page(checks, environments, page)
    print(f"{verification.verdict(checks)}; see {page.relative_to(PROJECT).as_posix()}")
    print(verification.not_covered(retrain=options.retrain, quick=options.quick))
    return 1 if any(check.outcome == Outcome.DIFFERS for check in checks) else 0


def add_paper(parser: argparse.ArgumentParser) -> None:
    """Add the options of `colorlib paper`."""
    parser.add_argument("--profile", default="paper", help="the profile whose results it reports (default paper)")


def paper(options: argparse.Namespace) -> int:
    """Write the article as PDF."""
    from colorlib.companion.article import write_article
    from colorlib.companion.results import Results
    from colorlib.profiles import load_profile, path_and_link

    print(path_and_link(write_article(Results(load_profile(options.profile)))))
    return 0


def page(options: argparse.Namespace) -> int:
    """Write the page that colors a photograph in a browser, and the list of committed files that it stands in."""
    from colorlib.companion.page.build import write_examples, write_page
    from colorlib.companion.pipeline import write_manifest
    from colorlib.companion.steps import LIGHTWEIGHT, files
    from colorlib.profiles import load_profile, path_and_link

    profile = load_profile(LIGHTWEIGHT)
    if not files(profile, "examples")[0].is_file():
        write_examples(profile)
    print(path_and_link(write_page(profile)))
    write_manifest(profile)
    return 0


def readme(options: argparse.Namespace) -> int:
    """Update the generated parts of README.md."""
    from colorlib.companion.report.page import README, write_readme

    print(f"{README.name}: {'updated' if write_readme() else 'up to date'}")
    return 0


COMMANDS: dict[
    str, tuple[str, Callable[[argparse.ArgumentParser], None] | None, Callable[[argparse.Namespace], int]]
] = {
    "train": ("train a run, or resume an interrupted one", add_train, train),
    "evaluate": ("score a finished run and write metrics.json and per_image.csv", add_evaluate, evaluate),
    "colorize": ("color photographs: files, folders, patterns", add_colorize, colorize),
    "data": ("list, fetch or verify photographs", add_data, data),
    "doctor": ("describe this machine and how long each profile takes on it", add_doctor, doctor),
    "claims": ("measure every claim of the paper and print the verdicts", add_claims, claims),
    "pixels": ("measure the colors that claims are about: results/<PROFILE>/pixels.csv", add_pixels, pixels),
    "hints": ("measure PSNR against the number of hints: results/lightweight/hints.csv", add_hints, hints),
    "verify": ("check that the committed results still follow from the code", add_verify, verify),
    "paper": ("write the article as PDF, from results/", add_paper, paper),
    "page": ("write the page that colors a photograph in a browser, from results/", None, page),
    "sweep": (
        "execute a notebook at many points: notebooks/sweeps/<SWEEP>.yaml",
        sweep_command.add_sweep,
        sweep_command.sweep,
    ),
    "readme": ("update the generated parts of README.md, from results/", None, readme),
    "reproduce": ("execute the notebooks: figures, tables and report", add_reproduce, reproduce),
}
"""Commands by name: help text, function that adds the options (None without options), handler."""


def _add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `train`, `evaluate` and `colorize` share."""
    parser.add_argument("--max-pixels", type=int, help="refuse larger photographs (default 250 million)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or mps")
    parser.add_argument("--threads", type=int, help="threads of the CPU (default: one per core)")


IN_CHECKOUT = ("reproduce", "sweep", "claims", "hints", "verify", "paper", "page", "readme")
"""Commands that read and write the results of the checkout whose code runs."""
READS_RUNS = (*IN_CHECKOUT, "train", "evaluate", "colorize")
"""Commands that may read runs of the checkout."""


def _check_checkout(command: str) -> None:
    """Refuse to work on one checkout from within another, as an environment installed from the other one would.

    Raises:
        ValueError: the working directory is another checkout than the one whose code runs (the message names both), or
            an installed package runs, which has no notebooks and no results.
    """
    from colorlib.profiles import IN_PACKAGE

    running, here = Path(__file__).resolve().parents[1], Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / "colorlib" / "__init__.py").is_file() and folder != running:
            raise ValueError(
                f"this is the checkout {folder}, but the code of {running} runs; run `make setup` here and use "
                f"{folder / '.venv'}, or change to {running}"
            )
    if IN_PACKAGE.is_dir():
        raise ValueError(
            f"`colorlib {command}` needs the notebooks and results of a clone of the repository, and this is a package "
            f"installed in {running}; clone the repository and run `make setup` in it"
        )


def build_parser() -> argparse.ArgumentParser:
    """Return the argument parser with all commands."""
    parser = argparse.ArgumentParser(
        prog="colorlib",
        description="Train, evaluate and reproduce the paper's image colorization.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, (help_text, add_options, _) in COMMANDS.items():
        command = commands.add_parser(name, help=help_text)
        if add_options:
            add_options(command)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 1 failed, 130 interrupted.

    Raises:
        SystemExit: after `--help`, or with status 2 if the command line is wrong.
    """
    options = build_parser().parse_args(arguments)
    # Figures are drawn into files: matplotlib must not import the user's backend, which may not exist here.
    os.environ["MPLBACKEND"] = "agg"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # file names may contain characters that the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    _, _, run = COMMANDS[options.command]
    try:
        if options.command in IN_CHECKOUT:
            _check_checkout(options.command)
        if options.command in READS_RUNS:
            from colorlib.profiles import restore_runs

            restore_runs()
        return run(options)
    except KeyboardInterrupt:
        # Silence asyncio, which would report the dying notebook kernels after the last line.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        resumes = "; the same command resumes from the last checkpoint"
        print(f"interrupted{resumes if options.command in ('train', 'reproduce', 'sweep') else ''}", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        print(f"colorlib {options.command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
