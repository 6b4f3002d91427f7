"""`colorlib sweep`: run the points of a sweep with a progress bar, or list them."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from colorlib.companion.sweeps.run import Cluster, Executor, Outcome
    from colorlib.companion.sweeps.spec import Point, Sweep


def add_sweep(parser: argparse.ArgumentParser) -> None:
    """Add the options of `colorlib sweep`."""
    parser.add_argument("sweep", help="a name in notebooks/sweeps/, or the path of a .yaml file")
    parser.add_argument("--profile", default="cpu", help="budget and photographs (default cpu)")
    parser.add_argument("--seeds", help="for example 0,1,2 (default: the sweep's)")
    parser.add_argument("--jobs", type=int, help="points at once on this machine (default: the sweep's)")
    parser.add_argument("--only", action="append", default=[], metavar="POINT", help="a point by its name; repeatable")
    parser.add_argument("--dry-run", action="store_true", help="list the points, and how long they would take here")
    parser.add_argument("--force", action="store_true", help="redo points that are finished")
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a Dask scheduler, for example tcp://host:8786; its workers must share this file system",
    )
    parser.add_argument("--into", type=Path, help="folder for results/ (default: the checkout)")


def sweep(options: argparse.Namespace) -> int:
    """Run a sweep; returns 0 if all of its points are done, 1 if some failed."""
    from colorlib.companion.sweeps.run import DONE, DONE_BEFORE, Processes, reset
    from colorlib.companion.sweeps.summary import summary_files, write_summary

    if data := os.environ.get("COLORLIB_DATA"):
        os.environ["COLORLIB_DATA"] = str(Path(data).resolve())  # kernels may have another working directory
    # Choose the points
    sweep = _load(options)
    points = _chosen(sweep, options.only)
    if options.dry_run:
        return _dry_run(points, sweep)
    for point in points if options.force else ():
        reset(point)
    # Run them
    executor: Executor = _cluster(options.scheduler) if options.scheduler else Processes(sweep.jobs)
    outcomes = _run_with_progress(sweep, points, executor)
    # Print outcomes and summary
    width = max(len(outcome.point.label) for outcome in outcomes)
    for outcome in outcomes:
        reason = f"  {outcome.reason}" if outcome.reason else ""
        print(f"{outcome.point.label:<{width}}  {outcome.status:<11}  {outcome.point.directory.name}{reason}")
    finished, total = write_summary(sweep.path, sweep.profile)
    if finished:
        print(f"{finished} of {total} points are finished; see {summary_files(sweep.profile, sweep.name)[1]}")
    failed = sum(outcome.status not in (DONE, DONE_BEFORE) for outcome in outcomes)
    if failed:
        print(f"{failed} of {len(points)} points failed; the same command tries them again", file=sys.stderr)
    return 1 if failed else 0


def _cluster(address: str) -> "Cluster":
    """Connect to a Dask scheduler, and say so if it has no workers: points would wait without a word."""
    from colorlib.companion.sweeps.run import Cluster

    cluster = Cluster(address)
    if cluster.workers == 0:
        print(f"0 workers at {address}; waiting for some (`dask worker {address}`)", file=sys.stderr, flush=True)
    return cluster


def _load(options: argparse.Namespace) -> "Sweep":
    from colorlib.companion.sweeps.spec import load_sweep, sweep_file
    from colorlib.profiles import load_profile

    profile = load_profile(options.profile, root=options.into)
    if options.jobs is not None and options.jobs < 1:
        raise ValueError(f"--jobs {options.jobs}: it must be at least 1")
    return load_sweep(sweep_file(options.sweep), profile, seeds=parse_seeds(options.seeds), jobs=options.jobs)


def parse_seeds(text: str | None) -> tuple[int, ...] | None:
    """Return the seeds in a text such as `0,1,2`; None if there is no text.

    Raises:
        ValueError: they are not whole numbers with commas.
    """
    if not text:
        return None
    try:
        return tuple(int(seed) for seed in text.split(","))
    except ValueError:
        raise ValueError(f"seeds {text!r}: write whole numbers with commas, for example 0,1,2") from None


def _chosen(sweep: "Sweep", names: Sequence[str]) -> "list[Point]":
    """Return the points with these names, or all; raises ValueError for an unknown name."""
    from colorlib.companion.sweeps.spec import check_known

    known = list(dict.fromkeys(point.name for point in sweep.points))
    check_known(names, known, f"sweep {sweep.name}")
    return [point for point in sweep.points if not names or point.name in names]


def _dry_run(points: "Sequence[Point]", sweep: "Sweep") -> int:
    """Print the points, with their settings and the estimated time of those that are not done."""
    from colorlib.companion.doctor import estimate_seconds, update_seconds
    from colorlib.companion.notebooks import duration_text
    from colorlib.companion.sweeps.run import up_to_date
    from colorlib.device import prepare
    from colorlib.profiles import changes_text

    device = prepare()
    update = update_seconds(device)
    width, total = max(len(point.label) for point in points), 0.0
    for point in points:
        done = up_to_date(point)
        seconds = 0.0 if done else estimate_seconds(point.config, point.scored, update, device.type)
        total += seconds
        print(
            f"{point.label:<{width}}  {'done' if done else duration_text(seconds):>12}  {point.config.updates:>6,} "
            f"updates  {point.config.photos}  changes {changes_text(point.changes)}"
        )
    print(
        f"{len(points)} points, about {duration_text(total)} one after another ({sweep.jobs} at once here); one update "
        f"of the paper's network takes {update:.3f} s on {device.type}"
    )
    return 0


def _run_with_progress(sweep: "Sweep", points: "Sequence[Point]", executor: "Executor") -> "list[Outcome]":
    """Run the points under a progress bar; returns their outcomes in the order of `points`.

    The bar shows the share of all training arithmetic that is done, so that a point counts by its cost.
    """
    from tqdm import tqdm

    from colorlib.companion.doctor import training_multiply_adds
    from colorlib.companion.sweeps.run import DONE, DONE_BEFORE, Outcome, run_points
    from colorlib.companion.sweeps.summary import write_summary

    outcomes = []
    costs = [training_multiply_adds(point.config) for point in points]
    form = "{desc}{percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"
    with tqdm(total=1.0, bar_format=form, dynamic_ncols=True) as bar, closing(run_points(points, executor)) as events:
        for event in events:
            if isinstance(event, Outcome):
                outcomes.append(event)
                text = f"{event.point.label}: {event.status}{': ' + event.reason if event.reason else ''}"
                bar.write(text, file=sys.stderr)
                bar.set_description(f"{len(outcomes)} of {len(points)} points")
                if event.status == DONE:
                    write_summary(sweep.path, sweep.profile)  # now, as this process may be killed later
                if event.status == DONE_BEFORE:
                    share = costs[points.index(event.point)] / sum(costs)
                    bar.initial += share  # left out of the speed, and so of the remaining time
                    bar.update(share)
                continue
            done = sum(cost * fraction for cost, fraction in zip(costs, event.fractions, strict=True)) / sum(costs)
            if done > bar.n:
                bar.update(done - bar.n)
    return sorted(outcomes, key=lambda outcome: points.index(outcome.point))
