"""Sweeps as processes, on this machine and on a Dask cluster: killed at any point, they lose and repeat nothing."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from helpers.sweeps import journals, kill, loaded, processes_of, read, sweep_text, until

from colorlib.companion.sweeps.process import work
from colorlib.companion.sweeps.run import DONE_BEFORE
from colorlib.companion.sweeps.spec import SWEEPS
from colorlib.companion.sweeps.summary import read_summary, summary_files
from colorlib.profiles import PROJECT
from colorlib.runs import Run
from colorlib.trainer import train

STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """Kill the processes that a failed test left running."""
    yield
    for process in STARTED:
        if process.poll() is None:
            process.kill()
            process.communicate()
    STARTED.clear()


def start(path: Path, into: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "colorlib", "sweep", str(path), "--profile", "smoke", "--into", str(into), *more]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and so would the children of tests that run in one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    STARTED.append(process)
    return process


def ran(path: Path, into: Path, *more: str) -> tuple[int, str, str]:
    process = start(path, into, *more)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def jobs_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes of points that a sweep has started."""
    children = psutil.Process(process.pid).children()
    return [child for child in children if "colorlib.companion.sweeps.run" in child.cmdline()]


def last_numbers(text: str) -> list[str]:
    """The first two numbers of the last line: the points that it is about, and all points."""
    return re.findall(r"\d+", text.splitlines()[-1])[:2]


# Processes: killed, stopped, started again.


@pytest.mark.slow
def test_points_fail_by_name_and_the_others_are_done(folder):
    path = sweep_text(
        folder,
        points=[{"name": "fine"}, {"name": "raises", "behavior": "raises"}, {"name": "killed", "behavior": "killed"}],
        fixed={"epochs": 2},
        jobs=2,
    )
    status, out, err = ran(path, folder)
    assert status == 1, err
    lines = {line.split(",")[0]: line for line in out.splitlines()}
    assert "done" in lines["fine"]
    assert "RuntimeError: the stub was told to fail" in lines["raises"]
    assert "kernel" in lines["killed"]
    assert last_numbers(err) == ["2", "3"]
    assert last_numbers(out) == ["1", "3"]
    # Failed points are tried again, finished ones are not.
    status, out, _ = ran(path, folder, "--only", "fine", "--only", "raises")
    assert status == 1
    assert re.search(rf"^fine, seed 0 +{DONE_BEFORE} ", out, flags=re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.campaign)])
def test_a_sweep_that_was_killed_goes_on_and_its_processes_are_gone(folder, how):
    path = sweep_text(folder, grid={"epochs": [6, 7, 8]}, fixed={"pause": 0.5}, jobs=2)
    sweep = loaded(path, folder)
    process = start(path, folder)
    until(lambda: len([done for done in journals(sweep.results).values() if len(done) > 1]) == 2, what="two points")
    process.send_signal(how)
    process.communicate(timeout=180)
    assert process.returncode == (130 if how == signal.SIGINT else -how)
    if how == signal.SIGINT:
        assert processes_of(sweep.results) == []
    status, out, err = ran(path, folder)
    assert status == 0, out + err
    # No epoch is missing, and none was done twice.
    assert sorted(journals(sweep.results).values(), key=len) == [list(range(1, n + 1)) for n in (6, 7, 8)]
    assert processes_of(sweep.results) == []


@pytest.mark.campaign
def test_a_job_that_was_killed_is_reported_and_resumes(folder):
    path = sweep_text(folder, grid={"epochs": [6]}, fixed={"pause": 0.5})
    sweep = loaded(path, folder)
    process = start(path, folder)
    until(lambda: [len(done) > 1 for done in journals(sweep.results).values()] == [True], what="an epoch")
    (job,) = jobs_of(process)
    kill(job)
    out, _ = process.communicate(timeout=180)
    assert process.returncode == 1
    assert re.search(r"\bsignal\D*9\b", out)
    # Its kernel may live a moment longer: the next job waits for it.
    assert ran(path, folder)[0] == 0
    (done,) = journals(sweep.results).values()
    assert sorted(set(done)) == list(range(1, 7))


@pytest.mark.campaign
def test_two_sweeps_at_once_share_the_work(folder):
    path = sweep_text(folder, grid={"epochs": [4, 5]}, fixed={"pause": 0.3})
    first, second = start(path, folder), start(path, folder)
    assert [process.communicate(timeout=600) and process.returncode for process in (first, second)] == [0, 0]
    assert sorted(journals(loaded(path, folder).results).values(), key=len) == [[1, 2, 3, 4], [1, 2, 3, 4, 5]]


@pytest.mark.campaign
def test_every_row_of_the_outlook_runs_and_a_killed_point_ends_with_the_same_bytes(tmp_path):
    path = SWEEPS / "outlook.yaml"
    points = loaded(path, tmp_path).points
    first = points[0]
    process = start(path, tmp_path)
    until(lambda: list(first.directory.glob("checkpoints/*.safetensors")), what="an epoch")
    for job in jobs_of(process):
        if str(first.directory) in str(Path(f"/proc/{job.pid}/fd/2").readlink()):
            kill(job)  # its kernel trains on for a moment, with the directory locked
    out, err = process.communicate(timeout=600)
    assert process.returncode == 1, out + err
    assert last_numbers(out) == [str(len(points) - 1), str(len(points))]
    status, out, err = ran(path, tmp_path)
    assert status == 0, out + err
    sweep = loaded(path, tmp_path)
    table = read_summary(summary_files(sweep.profile, sweep.name)[0])
    assert list(dict.fromkeys(table["point"])) == [point.name for point in points]
    assert table[["MSE", "training loss", "validation loss"]].notna().all(axis=None)
    threads = Run(first.directory).record()["hardware"]["threads"]
    assert list(train(first.config, tmp_path / "whole", threads=threads))
    for name in ("history.csv", "weights.safetensors"):
        assert (first.directory / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


# A Dask cluster.


@pytest.fixture
def scheduler(tmp_path):
    """The address of a real scheduler on loopback, and a function that starts a worker of it."""
    file, started = tmp_path / "scheduler.json", []

    def begin(*arguments: str) -> psutil.Process:
        log = (tmp_path / f"{arguments[0]}-{len(started)}.log").open("w")
        command = [sys.executable, "-m", f"distributed.cli.dask_{arguments[0]}", *arguments[1:]]
        with log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | {"DASK_LOGGING__DISTRIBUTED": "info"}
            )
        started.append(process)
        return psutil.Process(process.pid)

    begin("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    until(file.exists, what="the scheduler")
    address = read(file)["address"]

    def worker() -> psutil.Process:
        directory = tmp_path / f"worker-{len(started)}"
        return begin(
            "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1",
            "--local-directory", str(directory),
        )  # fmt: skip

    yield address, worker
    for process in reversed(started):
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_no_point(folder, scheduler):
    address, worker = scheduler
    workers = [worker(), worker()]
    path = sweep_text(folder, grid={"epochs": [6, 7, 8]}, fixed={"pause": 0.5})
    sweep = loaded(path, folder)
    process = start(path, folder, "--scheduler", address)
    until(lambda: len([done for done in journals(sweep.results).values() if len(done) > 1]) == 2, what="two points")
    kill(workers[0])
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    assert last_numbers(out) == ["3", "3"]
    done = sorted(journals(sweep.results).values(), key=lambda epochs: max(epochs))
    assert [sorted(set(epochs)) for epochs in done] == [list(range(1, n + 1)) for n in (6, 7, 8)]
    # The point of the killed worker resumed: it did not start again.
    assert all(epochs.count(1) == 1 for epochs in done)


@pytest.mark.slow
def test_workers_stop_when_the_sweep_does(folder, scheduler):
    address, worker = scheduler
    worker()
    path = sweep_text(folder, grid={"epochs": [600]}, fixed={"pause": 0.2})
    sweep = loaded(path, folder)
    for how in (signal.SIGINT, signal.SIGKILL):
        before = sum(map(len, journals(sweep.results).values()))
        process = start(path, folder, "--scheduler", address)
        until(lambda: sum(map(len, journals(sweep.results).values())) > before + 1, what="an epoch")  # noqa: B023
        process.send_signal(how)
        process.communicate(timeout=180)
        until(lambda: processes_of(sweep.results) == [], seconds=60, what="the worker to end its job")


def test_schedulers_and_workers_import_nothing_heavy():
    code = (
        "import sys\nfrom colorlib.companion.sweeps import process\n"
        "print(sorted({'torch', 'numpy', 'pandas', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_named(folder):
    path = sweep_text(folder, grid={"epochs": [1]})
    status, _, err = ran(path, folder, "--scheduler", "tcp://127.0.0.1:9")
    assert status == 1
    assert "tcp://127.0.0.1:9" in err
    assert "dask scheduler" in err


@pytest.mark.slow
def test_a_process_runs_this_checkout_wherever_it_is_started(tmp_path, monkeypatch):
    other = tmp_path / "other"
    (other / "colorlib").mkdir(parents=True)
    (other / "colorlib" / "__init__.py").write_text("open('taken', 'w').close()\n")
    monkeypatch.chdir(other)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    # The job lacks everything but its directory: it fails, in the code of this checkout
    assert work({"directory": str(tmp_path / "point")}, lambda: False)["outcome"] == "failed"
    assert not (other / "taken").exists()
    assert str(PROJECT) in (tmp_path / "point" / "log.txt").read_text()
