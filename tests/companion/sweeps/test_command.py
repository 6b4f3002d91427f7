"""`colorlib sweep`: dry run, outcomes, exit status, errors."""

import argparse
import re

import pytest
from helpers.sweeps import InlineExecutor, leave, loaded, sweep_text

from colorlib.companion.sweeps import run as sweep_run
from colorlib.companion.sweeps.command import _cluster, add_sweep, sweep
from colorlib.companion.sweeps.run import DONE_BEFORE


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_sweep(parser)
    return parser.parse_args(arguments)


def test_a_dry_run_lists_points_and_their_time_and_starts_nothing(folder, capsys, monkeypatch):
    monkeypatch.setattr("colorlib.companion.doctor.update_seconds", lambda device: 1.0)
    path = sweep_text(folder, points=[{"name": "a"}, {"name": "b", "crops_per_epoch": 640}], jobs=3)
    loaded_sweep = loaded(path, folder)
    leave(loaded_sweep.points[0], epochs=5)
    assert sweep(options(str(path), "--profile", "smoke", "--into", str(folder), "--dry-run")) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["a, seed 0", "b, seed 0"]
    assert re.search(r"\b200\b", lines[1])
    assert "crops_per_epoch=640" in lines[1]
    count, *others = re.findall(r"\d+", last)
    assert count == "2"
    assert "3" in others  # at once
    assert not loaded_sweep.points[1].directory.exists()
    assert not (loaded_sweep.results / "summary.csv").exists()


def test_the_command_says_what_happened_and_its_status_too(folder, capsys, stubbed, monkeypatch):
    executor = InlineExecutor(fail=("b",))
    monkeypatch.setattr(sweep_run, "Processes", lambda jobs: executor)
    path = sweep_text(folder, points=[{"name": "a"}, {"name": "b", "epochs": 2}])
    arguments = (str(path), "--profile", "smoke", "--into", str(folder))
    assert sweep(options(*arguments)) == 1
    out, err = capsys.readouterr()
    assert re.findall(r"\d+", err.splitlines()[-1]) == ["1", "2"]
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["a,", "seed", "0", "done"]
    assert lines[1].split()[:4] == ["b,", "seed", "0", "failed"]
    assert lines[1].endswith("as the test wants")
    assert re.findall(r"\d+", lines[2])[:2] == ["1", "2"]
    executor.fail = ()
    assert sweep(options(*arguments)) == 0
    assert executor.submitted == ["a, seed 0", "b, seed 0", "b, seed 0"]
    line = capsys.readouterr().out.splitlines()[0]
    assert line.split("  ")[:2] == ["a, seed 0", DONE_BEFORE]
    assert sweep(options(*arguments, "--force", "--only", "a")) == 0
    assert executor.submitted[3:] == ["a, seed 0"]


def test_the_command_refuses_what_it_does_not_know(folder):
    path = str(sweep_text(folder, points=[{"name": "paper"}]))
    with pytest.raises(ValueError, match=r"\btrial\b.*\bpapr\b.*\bpaper\b"):
        sweep(options(path, "--profile", "smoke", "--only", "papr"))
    with pytest.raises(ValueError, match="--jobs 0"):
        sweep(options(path, "--profile", "smoke", "--jobs", "0"))
    with pytest.raises(ValueError, match=r"\bseeds\b.*'a'"):
        sweep(options(path, "--profile", "smoke", "--seeds", "a"))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_scheduler_without_workers_is_named(workers: int, capsys, monkeypatch):
    class Scheduler:
        def __init__(self, address: str) -> None:
            self.workers = workers

    monkeypatch.setattr(sweep_run, "Cluster", Scheduler)
    _cluster("tcp://host:8786")
    assert ("tcp://host:8786" in capsys.readouterr().err) == (workers == 0)
