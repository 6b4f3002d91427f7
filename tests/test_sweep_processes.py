"""Sweeps as processes, on this machine and on a cluster: whatever is killed, nothing is lost or done twice."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sweep_fixtures import journals, kill, loaded, processes_of, read, stub_notebook, sweep_text, until

from colorlib.companion import sweep_summary
from colorlib.companion.sweeps import SWEEPS
from colorlib.runs import Run
from colorlib.trainer import train

STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """Whatever a test that failed has left running is ended."""
    yield
    for process in STARTED:
        if process.poll() is None:
            process.kill()
            process.communicate()
    STARTED.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    stub_notebook(tmp_path)
    return tmp_path


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
    assert "the kernel died" in lines["killed"]
    assert "2 of 3 points failed" in err
    assert "1 of 3 points are finished" in out
    # What failed is tried again, what is done is left alone.
    status, out, _ = ran(path, folder, "--only", "fine", "--only", "raises")
    assert status == 1
    assert "fine, seed 0    done before" in out


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
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


@pytest.mark.slow
def test_a_job_that_was_killed_is_reported_and_resumes(folder):
    path = sweep_text(folder, grid={"epochs": [6]}, fixed={"pause": 0.5})
    sweep = loaded(path, folder)
    process = start(path, folder)
    until(lambda: [len(done) > 1 for done in journals(sweep.results).values()] == [True], what="an epoch")
    (job,) = [p for p in psutil.Process(process.pid).children() if "sweep_job" in " ".join(p.cmdline())]
    kill(job)
    out, _ = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "its process was killed by signal 9" in out
    # Its kernel may live a moment longer: the next job waits for it.
    assert ran(path, folder)[0] == 0
    (done,) = journals(sweep.results).values()
    assert sorted(set(done)) == list(range(1, 7))


@pytest.mark.slow
def test_two_sweeps_at_once_share_the_work(folder):
    path = sweep_text(folder, grid={"epochs": [4, 5]}, fixed={"pause": 0.3})
    first, second = start(path, folder), start(path, folder)
    assert [process.communicate(timeout=600) and process.returncode for process in (first, second)] == [0, 0]
    assert sorted(journals(loaded(path, folder).results).values(), key=len) == [[1, 2, 3, 4], [1, 2, 3, 4, 5]]


@pytest.mark.slow
def test_every_row_of_the_outlook_runs_and_a_killed_point_ends_with_the_same_bytes(tmp_path):
    path = SWEEPS / "outlook.yaml"
    points = loaded(path, tmp_path).points
    first = points[0]
    process = start(path, tmp_path)
    until(lambda: list(first.directory.glob("checkpoints/*.safetensors")), what="an epoch")
    for job in [p for p in psutil.Process(process.pid).children() if "sweep_job" in " ".join(p.cmdline())]:
        if str(first.directory) in str(Path(f"/proc/{job.pid}/fd/2").readlink()):
            kill(job)  # its kernel trains on for a moment, with the directory locked
    out, err = process.communicate(timeout=600)
    assert process.returncode == 1, out + err
    assert f"{len(points) - 1} of {len(points)} points are finished" in out
    status, out, err = ran(path, tmp_path)
    assert status == 0, out + err
    table = sweep_summary.read_summary(sweep_summary.summary_files(loaded(path, tmp_path))[0])
    assert list(dict.fromkeys(table["point"])) == [point.name for point in points]
    assert table[["MSE", "training loss", "validation loss"]].notna().all(axis=None)
    threads = Run(first.directory).record()["hardware"]["threads"]
    assert list(train(first.config, tmp_path / "whole", threads=threads))
    for name in ("history.csv", "weights.safetensors"):
        assert (first.directory / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


# A Dask cluster.


@pytest.fixture
def scheduler(tmp_path):
    """A real scheduler on loopback, and what starts a worker of it."""
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
    assert "3 of 3 points are finished" in out
    done = sorted(journals(sweep.results).values(), key=lambda epochs: max(epochs))
    assert [sorted(set(epochs)) for epochs in done] == [list(range(1, n + 1)) for n in (6, 7, 8)]
    # The point of the killed worker resumed: it did not begin anew.
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
    look = (
        "import sys\nfrom colorlib.companion import sweep_process\nprint(sorted({'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_named(folder):
    path = sweep_text(folder, grid={"epochs": [1]})
    status, _, err = ran(path, folder, "--scheduler", "tcp://127.0.0.1:9")
    assert status == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in err
