"""`colorlib sweep`: which points there are, what becomes of each, and what they found."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colorlib.companion.sweep_points import Point
    from colorlib.companion.sweep_runner import Executor, Outcome
    from colorlib.companion.sweeps import Sweep


def add(commands: Any) -> None:
    """Add the command to what `ArgumentParser.add_subparsers` returned."""
    sweep = commands.add_parser("sweep", help="execute a notebook at many points: notebooks/sweeps/<SWEEP>.yaml")
    sweep.add_argument("sweep", help="a name in notebooks/sweeps/, or the path of a .yaml file")
    sweep.add_argument("--profile", default="cpu", help="budget and photographs (default cpu)")
    sweep.add_argument("--seeds", help="for example 0,1,2 (default: the sweep's)")
    sweep.add_argument("--jobs", type=int, help="points at once on this machine (default: the sweep's)")
    sweep.add_argument("--only", action="append", default=[], metavar="POINT", help="one point by its name; repeatable")
    sweep.add_argument("--dry-run", action="store_true", help="list the points, and how long they would take here")
    sweep.add_argument("--force", action="store_true", help="do again what is done")
    sweep.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a Dask scheduler, for example tcp://host:8786; its workers must share this file system",
    )
    sweep.add_argument("--into", type=Path, help="a folder in place of the checkout for results/ to lie in")


def run(options: argparse.Namespace) -> int:
    """Run a sweep; returns 0 if all of its points are done, 1 if some failed."""
    from colorlib.companion import sweep_job
    from colorlib.companion.sweep_runner import Cluster, Processes
    from colorlib.companion.sweep_summary import summary_files, write_summary

    if data := os.environ.get("COLORLIB_DATA"):
        os.environ["COLORLIB_DATA"] = str(Path(data).resolve())  # kernels may have another working directory
    sweep = _sweep(options)
    points = _chosen(sweep, options.only)
    if options.dry_run:
        return _dry_run(points, sweep)
    for point in points if options.force else ():
        sweep_job.forget(point)
    executor: Executor = Cluster(options.scheduler) if options.scheduler else Processes(sweep.jobs)
    outcomes = _watch(sweep, points, executor)
    _tell(outcomes)
    count, every = write_summary(sweep.path, sweep.profile)
    if count:
        print(f"{count} of {every} points are finished; see {summary_files(sweep)[1]}")
    failed = sum(outcome.status not in ("done", "done before") for outcome in outcomes)
    if failed:
        print(f"{failed} of {len(points)} points failed; the same command tries them again", file=sys.stderr)
    return 1 if failed else 0


def _sweep(options: argparse.Namespace) -> "Sweep":
    from colorlib.companion.sweeps import load_sweep, sweep_file
    from colorlib.profiles import load_profile

    profile = load_profile(options.profile)
    if options.into:
        profile = replace(profile, root=options.into.resolve())
    seeds = None
    if options.seeds:
        try:
            seeds = tuple(int(seed) for seed in options.seeds.split(","))
        except ValueError:
            raise ValueError(f"seeds {options.seeds!r}: write whole numbers with commas, for example 0,1,2") from None
    if options.jobs is not None and options.jobs < 1:
        raise ValueError(f"--jobs {options.jobs}: it must be at least 1")
    return load_sweep(sweep_file(options.sweep), profile, seeds=seeds, jobs=options.jobs)


def _chosen(sweep: "Sweep", names: Sequence[str]) -> "list[Point]":
    from colorlib.companion.sweep_points import known_only

    known = list(dict.fromkeys(point.name for point in sweep.points))
    known_only(dict.fromkeys(names), known, f"sweep {sweep.name}")
    return [point for point in sweep.points if not names or point.name in names]


def _watch(sweep: "Sweep", points: "Sequence[Point]", executor: "Executor") -> "list[Outcome]":
    """Run the points under a progress bar that counts their epochs by what these cost."""
    from tqdm import tqdm

    from colorlib.companion.sweep_estimate import arithmetic
    from colorlib.companion.sweep_runner import DONE, HELD, Outcome, run_points
    from colorlib.companion.sweep_summary import write_summary

    outcomes = []
    costs = [arithmetic(point.config) for point in points]
    form = "{desc}{percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"
    with tqdm(total=1.0, bar_format=form, dynamic_ncols=True) as bar, closing(run_points(points, executor)) as events:
        for event in events:
            if isinstance(event, Outcome):
                outcomes.append(event)
                text = f"{event.point.label}: {event.status}{': ' + event.reason if event.reason else ''}"
                bar.write(text, file=sys.stderr)
                bar.set_description(f"{len(outcomes)} of {len(points)} points")
                if event.status == DONE:
                    write_summary(sweep.path, sweep.profile)  # whatever ends this process later
                if event.status == HELD:
                    share = costs[points.index(event.point)] / sum(costs)
                    bar.initial += share  # not this process's speed
                    bar.update(share)
                continue
            reached = sum(cost * share for cost, share in zip(costs, event.shares, strict=True)) / sum(costs)
            if reached > bar.n:
                bar.update(reached - bar.n)
    return sorted(outcomes, key=lambda outcome: points.index(outcome.point))


def _tell(outcomes: "Sequence[Outcome]") -> None:
    """The table of what happened."""
    width = max(len(outcome.point.label) for outcome in outcomes)
    for outcome in outcomes:
        reason = f"  {outcome.reason}" if outcome.reason else ""
        print(f"{outcome.point.label:<{width}}  {outcome.status:<11}  {outcome.point.directory.name}{reason}")


def _dry_run(points: "Sequence[Point]", sweep: "Sweep") -> int:
    from colorlib.companion.doctor import update_seconds
    from colorlib.companion.sweep_estimate import duration, estimate_seconds
    from colorlib.companion.sweep_job import up_to_date
    from colorlib.companion.sweep_summary import changes_text
    from colorlib.devices import prepare

    device = prepare()
    update = update_seconds(device)
    width, total = max(len(point.label) for point in points), 0.0
    for point in points:
        done = up_to_date(point)
        seconds = 0.0 if done else estimate_seconds(point, update, device.type)
        total += seconds
        print(
            f"{point.label:<{width}}  {'done' if done else duration(seconds):>12}  {point.config.updates:>6,} updates"
            f"  {point.config.photos}  changes {changes_text(point.changes)}"
        )
    print(
        f"{len(points)} points, about {duration(total)} one after another ({sweep.jobs} at once here); one update of "
        f"the paper's network takes {update:.3f} s on {device.type}"
    )
    return 0
