"""Points of a sweep: settings, records, staleness and failures, with an executor in this process."""

import json
import os
import re
import shutil
import socket
import threading
import time
from typing import Any

import pytest
from helpers.sweeps import InlineExecutor, loaded, read, sweep_text

from colorlib.companion.sweeps import run as sweep_run
from colorlib.companion.sweeps.run import (
    DONE_BEFORE,
    Cluster,
    Outcome,
    Progress,
    finished,
    from_job,
    reset,
    run_point,
    run_points,
    split_cores,
    to_job,
    up_to_date,
)
from colorlib.companion.sweeps.spec import Point, load_sweep, sweep_file
from colorlib.files import sha256
from colorlib.photos.download import PhotosMissingError
from colorlib.profiles import load_profile
from colorlib.runs import Run, RunBusyError


def test_each_point_gets_its_settings_and_writes_a_record(folder, stubbed):
    sweep = loaded(sweep_text(folder, points=[{"name": "a"}, {"name": "b", "learning_rate": 3e-3}]), folder)
    events = list(run_points(sweep.points, InlineExecutor()))
    assert [(event.point.name, event.status) for event in events if isinstance(event, Outcome)] == [
        ("a", "done"),
        ("b", "done"),
    ]
    progress = [event.fractions for event in events if isinstance(event, Progress)]
    assert progress[-1] == (1.0, 1.0)
    assert [given["learning_rate"] for given in stubbed] == [1e-3, 3e-3]
    for point, given in zip(sweep.points, stubbed, strict=True):
        assert given == point.parameters | {
            "run": str(point.directory), "seed": 0, "mode": "restart", "scored": "val",
        }  # fmt: skip
        record = read(point.directory / "point.json")
        assert (record["point"], record["seed"], record["seconds"]) == (point.name, 0, 12.5)
        assert record["left"]["history.csv"] == sha256(point.directory / "history.csv")
        assert set(record["left"]) == {"run.json", "history.csv", "weights.safetensors", "metrics-bundled-val.json"}


def test_finished_points_are_skipped(folder, stubbed):
    sweep = loaded(sweep_text(folder, grid={"epochs": [1, 2]}), folder)
    list(run_points(sweep.points, InlineExecutor()))
    again = InlineExecutor()
    outcomes = [e for e in run_points(sweep.points, again) if isinstance(e, Outcome)]
    assert [outcome.status for outcome in outcomes] == [DONE_BEFORE, DONE_BEFORE]
    assert again.submitted == []
    assert again.stopped
    # A clone holds what is committed, so no weights: done all the same.
    first, second = sweep.points
    (first.directory / "weights.safetensors").unlink()
    assert up_to_date(first)
    # A file that is another than it was: done again.
    (second.directory / "history.csv").write_text("epoch,updates,training_loss,validation_loss\n1,1,0,0\n")
    assert not up_to_date(second)
    reset(first)
    assert not up_to_date(first)
    assert not (first.directory / "checkpoints").exists()


def test_a_notebook_that_ignores_a_parameter_fails(folder, stubbed, monkeypatch):
    (point,) = loaded(sweep_text(folder, grid={"epochs": [4]}), folder).points
    execute = sweep_run.execute

    def forgetful(execution: Any) -> None:
        execute(execution)
        record = read(point.directory / "run.json") | {"config": {"epochs": 5, "seed": 0}}
        (point.directory / "run.json").write_text(json.dumps(record))

    monkeypatch.setattr(sweep_run, "execute", forgetful)
    with pytest.raises(ValueError, match=r"\bstub\.ipynb\b.*\bepochs\b\D*\b5\b\D*\b4\b"):
        run_point(point)
    assert not up_to_date(point)


def test_a_job_waits_for_a_kernel_that_is_about_to_end(folder, stubbed):
    (point,) = loaded(sweep_text(folder, grid={"epochs": [4]}), folder).points
    held = threading.Event()
    release = threading.Event()

    def hold() -> None:
        with Run(point.directory).locked():
            held.set()
            release.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    with pytest.raises(RunBusyError, match=rf"\b{os.getpid()}\b"):
        run_point(point, kernel_timeout=0.3)
    assert stubbed == []
    threading.Timer(0.5, release.set).start()
    run_point(point, kernel_timeout=30)
    holder.join()
    assert up_to_date(point)


def test_photographs_that_are_missing_are_named_before_anything_starts(folder, cache):
    sweep = loaded(sweep_text(folder, grid={"epochs": [4]}), folder, "cpu")
    executor = InlineExecutor()
    with pytest.raises(PhotosMissingError, match="bsds500"):
        list(run_points(sweep.points, executor))
    assert executor.submitted == []


def test_other_photographs_under_the_same_name_are_another_run(folder, stubbed):
    (point,) = loaded(sweep_text(folder, grid={"epochs": [1]}), folder).points
    list(run_points([point], InlineExecutor()))
    others = {split: {"count": 1, "sha256": "0" * 64} for split in ("train", "val")}
    record = read(point.directory / "run.json") | {"photos": others}
    (point.directory / "run.json").write_text(json.dumps(record))
    left = read(point.directory / "point.json")
    left["left"]["run.json"] = sha256(point.directory / "run.json")
    (point.directory / "point.json").write_text(json.dumps(left))
    assert finished(point) is not None
    assert not up_to_date(point)


def test_a_point_scored_on_another_split_is_done_only_when_that_is_scored(folder, stubbed):
    path = sweep_text(folder, grid={"epochs": [1]})
    (point,) = loaded(path, folder).points
    run_point(point)
    (on_test,) = loaded(sweep_text(folder, grid={"epochs": [1]}, scored="test"), folder).points
    assert on_test.directory == point.directory
    assert not up_to_date(on_test)
    run_point(on_test)
    assert up_to_date(on_test)
    assert up_to_date(point)


def test_a_failed_point_does_not_stop_the_others(folder, stubbed):
    sweep = loaded(sweep_text(folder, points=[{"name": "a"}, {"name": "b", "epochs": 2}]), folder)
    events = list(run_points(sweep.points, InlineExecutor(fail=("a",))))
    outcomes = {event.point.name: event for event in events if isinstance(event, Outcome)}
    assert (outcomes["a"].status, outcomes["a"].reason) == ("failed", "as the test wants")
    assert outcomes["b"].status == "done"


def test_results_that_did_not_arrive_are_a_failure_that_names_the_shared_file_system(folder, stubbed):
    (point,) = loaded(sweep_text(folder, grid={"epochs": [1]}), folder).points

    class Elsewhere(InlineExecutor):
        def submit(self, point: Point) -> Any:
            future = super().submit(point)
            shutil.rmtree(point.directory)
            return future

    (outcome,) = [e for e in run_points([point], Elsewhere()) if isinstance(e, Outcome)]
    assert outcome.status == "failed"
    assert point.directory.name in outcome.reason
    assert "file system" in outcome.reason


def test_closing_the_events_stops_the_executor(folder, stubbed):
    sweep = loaded(sweep_text(folder, grid={"epochs": [1, 2]}), folder)
    executor = InlineExecutor()
    events = run_points(sweep.points, executor)
    next(events)
    events.close()
    assert executor.stopped


@pytest.mark.parametrize(
    ("cores", "jobs", "expected"),
    [
        ([0, 1], 1, [[]]),
        ([4, 5], 2, [[4], [5]]),
        ([0, 1, 2, 3, 4], 2, [[0, 1], [2, 3, 4]]),
        ([6, 7], 3, [[6], [6], [7]]),
        ([3], 2, [[3], [3]]),
    ],
)
def test_cores_are_split_among_processes(cores, jobs, expected):
    assert sorted(split_cores(cores, jobs)) == expected


def test_a_job_becomes_the_same_point_with_paths_below_the_checkout(folder):
    (point,) = loaded(sweep_text(folder, points=[{"name": "a", "pause": 0.5}], seeds=[3]), folder).points
    assert from_job(to_job(point)) == point
    job = to_job(load_sweep(sweep_file("learning_rate"), load_profile("smoke")).points[0])
    assert job["notebook"] == "notebooks/02_train.ipynb"
    assert job["results"] == "results/smoke/sweeps/learning_rate"


def test_a_port_that_is_no_scheduler_is_named_in_time(monkeypatch):
    monkeypatch.setattr(sweep_run, "CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts connections and says nothing
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(ValueError, match=re.escape(address)):
            Cluster(address)
    assert time.monotonic() - started < 5
