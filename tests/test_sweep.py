"""Sweeps: what is refused, what each point is given, and that nothing is lost or done twice, whatever is killed."""

import argparse
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from sweep_fixtures import LEAVE, SCORE, STUB, loaded, read, stand_in, stub_notebook, sweep_text

from colorlib.companion import sweep_command, sweep_estimate, sweep_job, sweep_runner, sweep_summary
from colorlib.companion.sweep_points import Point
from colorlib.companion.sweeps import SWEEPS, Sweep, load_sweep, sweep_file
from colorlib.files import sha256
from colorlib.places import PhotosMissingError
from colorlib.profiles import load_profile
from colorlib.runs import Run, RunBusyError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    stub_notebook(tmp_path)
    return tmp_path


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    sweep_command.add(parser.add_subparsers())
    return parser.parse_args(["sweep", *arguments])


def leave(point: Point, **changes: Any) -> None:
    """What a finished point leaves, without a process."""
    values = {"photos": "bundled", "learning_rate": 1e-3, "behavior": "fine", "pause": 0.0} | point.parameters
    values |= {"run": str(point.directory), "seed": point.seed, "scored": point.scored} | changes
    exec(STUB + LEAVE + SCORE, values)  # what the stub does in a kernel


class AtOnce:
    """An executor that does each job when it is submitted, in this process."""

    def __init__(self, fail: tuple[str, ...] = ()) -> None:
        self.fail, self.asked, self.stopped = fail, [], False

    def submit(self, point: Point) -> Any:
        from concurrent.futures import Future

        future: Future[dict[str, Any]] = Future()
        self.asked.append(point.label)
        if point.name in self.fail:
            future.set_result({"outcome": "failed", "reason": "told to"})
        else:
            sweep_job.perform(point)
            future.set_result({"outcome": "done"})
        return future

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Notebooks are not executed: what the stub leaves is left by this process."""
    executed: list[dict[str, Any]] = []

    def execute(execution: Any, listen: Any = None) -> None:
        executed.append(dict(execution.parameters))
        stand_in(execution)

    monkeypatch.setattr(sweep_job, "execute", execute)
    return executed


# What a file says, and what of it is refused.


def test_points_are_every_combination_and_seeds_come_first(folder):
    path = sweep_text(
        folder,
        points=[{"name": "paper"}, {"name": "slow", "pause": 1.0}],
        grid={"learning_rate": [1e-3, 3e-3]},
        zip={"batch_size": [8, 16], "crop_size": [48, 24]},
        seeds=[1, 0],
    )
    points = loaded(path, folder).points
    assert len(points) == 2 * 2 * 2 * 2
    assert [point.seed for point in points] == [1] * 8 + [0] * 8
    assert points[0].name == "paper, batch_size=8, crop_size=48, learning_rate=0.001"
    assert points[0].changes == {"batch_size": 8, "crop_size": 48, "learning_rate": 1e-3}
    assert {(point.config.batch_size, point.config.crop_size) for point in points} == {(8, 48), (16, 24)}
    assert len({point.directory for point in points}) == len(points)


def test_the_profile_gives_what_the_sweep_does_not_state(folder):
    path = sweep_text(
        folder,
        fixed={"batch_size": 8, "crop_size": 24},
        points=[{"name": "a"}, {"name": "b", "epochs": 7}],
        profiles={"cpu": {"epochs": 2, "batch_size": 4, "seeds": [5, 6], "jobs": 3, "scored": "test"}},
    )
    smoke, cpu = loaded(path, folder), loaded(path, folder, "cpu")
    assert (smoke.jobs, smoke.scored, [point.seed for point in smoke.points]) == (1, "val", [0, 0])
    assert (cpu.jobs, cpu.scored, [point.seed for point in cpu.points]) == (3, "test", [5, 5, 6, 6])
    a, b = smoke.points
    assert (a.config.photos, a.config.epochs, a.config.batch_size, a.config.crop_size) == ("bundled", 5, 8, 24)
    assert b.config.epochs == 7
    assert a.directory.parent == folder / "results" / "smoke" / "sweeps" / "trial"
    a = cpu.points[0]
    assert (a.config.photos, a.config.epochs, a.config.batch_size, a.config.crops_per_epoch) == ("bsds500", 2, 4, 400)
    assert [point.seed for point in loaded(path, folder, "cpu", seeds=(9,)).points] == [9, 9]
    assert loaded(path, folder, jobs=2).jobs == 2


def test_a_setting_may_name_the_photographs_of_the_profile(folder):
    path = sweep_text(folder, grid={"photos": ["{photos}", "{photos}@64"]})
    assert [point.config.photos for point in loaded(path, folder).points] == ["bundled", "bundled@64"]
    assert [point.name for point in loaded(path, folder).points] == ["photos=bundled", "photos=bundled@64"]
    assert [point.parameters["photos"] for point in loaded(path, folder).points] == ["bundled", "bundled@64"]


def test_a_directory_is_named_by_settings_alone(folder):
    points = [{"name": "a"}, {"name": "b", "learning_rate": 3e-3}]
    first = [point.directory.name for point in loaded(sweep_text(folder, points=points), folder).points]
    renamed = [{"name": "other"}, {"name": "b", "learning_rate": 3e-3}]
    assert [p.directory.name for p in loaded(sweep_text(folder, points=renamed), folder).points] == first
    # Stated or not, the same setting is the same run; scoring it elsewhere does not train it again.
    stated = [{"name": "a", "weight": 1}, *points[1:]]
    stated[0] = {"name": "a", "epochs": 5, "behavior": "fine"}
    path = sweep_text(folder, points=stated, scored="test")
    assert [point.directory.name for point in loaded(path, folder).points] == first
    other = [{"name": "a", "pause": 0.5}]
    assert loaded(sweep_text(folder, points=other), folder).points[0].directory.name not in first


REFUSED = {
    "unknown setting": ({"points": [{"name": "x", "learning_rat": 1.0}]}, r"point x: .*'learning_rat'.*rate\?"),
    "unknown in fixed": ({"fixed": {"epoch": 3}, "points": [{"name": "x"}]}, r"point x: .*'epoch'; .* epochs\?"),
    "wrong type": ({"grid": {"epochs": [3, "four"]}}, r"point epochs=four: epochs='four' is text"),
    "float for int": ({"grid": {"epochs": [3.5]}}, r"point epochs=3.5: .*epochs=3.5 .* must be int"),
    "text for float": ({"grid": {"learning_rate": ["1e-3"]}}, r"point learning_rate=1e-3: .*write 1.0e-3"),
    "out of range": ({"grid": {"epochs": [0]}}, r"point epochs=0: epochs=0: it must be at least 1"),
    "no such row": ({"points": [{"name": "x", "network": "gan"}]}, r"point x: network='gan': there are encoder"),
    "no such photographs": ({"grid": {"photos": ["bsd"]}}, r"point photos=bsd: no photographs are called 'bsd'"),
    "a seed as setting": ({"grid": {"seed": [0, 1]}}, r"point seed=0: .*write `seeds:`"),
    "a misspelled key": ({"point": []}, r"a sweep has no 'point'; did you mean points\?"),
    "no points": ({"fixed": {"epochs": 3}}, r"it has no points"),
    "a nameless row": ({"points": [{"epochs": 3}]}, r"has no name"),
    "uneven lists": ({"zip": {"epochs": [1, 2], "batch_size": [8]}}, r"different lengths"),
    "varied twice": ({"grid": {"epochs": [1]}, "zip": {"epochs": [2]}}, r"'epochs' is varied twice"),
    "the same twice": ({"grid": {"epochs": [4, 4]}}, r"are the same; leave one out"),
    "the same run": ({"points": [{"name": "a"}, {"name": "b", "epochs": 5}]}, r"'a, seed 0' and 'b, seed 0'"),
    "seeds": ({"grid": {"epochs": [4]}, "seeds": [0, 0]}, r"seeds=\[0, 0\]"),
    "jobs": ({"grid": {"epochs": [4]}, "jobs": 0}, r"jobs=0"),
    "scored": ({"grid": {"epochs": [4]}, "scored": "train"}, r"scored='train': there are validation, test"),
    "a profile": ({"grid": {"epochs": [4]}, "profiles": {"gpu": {}}}, r"there is no profile 'gpu'"),
    "a list": ({"grid": {"epochs": 4}}, r"grid: epochs=4: expected a list"),
    "a notebook": ({"notebook": "02_trian", "grid": {"epochs": [4]}}, r"no notebook 02_trian.ipynb"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_run_is_refused_before_anything_starts(folder, what):
    content, message = REFUSED[what]
    with pytest.raises(ValueError, match=message) as raised:
        loaded(sweep_text(folder, **content), folder)
    assert str(raised.value).startswith("sweep trial.yaml: ")
    assert not (folder / "results").exists()


def test_a_notebook_that_a_sweep_cannot_tell_where_to_run_is_refused(tmp_path):
    nb = stub_notebook(tmp_path)
    nb.write_text(nb.read_text().replace(r"scored = \"test\"\n", ""))
    with pytest.raises(ValueError, match=r"stub.ipynb has no parameter scored; .*run, seed, mode, scored"):
        loaded(sweep_text(tmp_path, grid={"epochs": [1]}), tmp_path)


def test_an_unknown_sweep_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="there is no sweep 'outlok'; did you mean outlook"):
        sweep_file("outlok")


# What becomes of the points.


def test_each_point_is_told_its_settings_and_leaves_a_record(folder, stubbed):
    sweep = loaded(sweep_text(folder, points=[{"name": "a"}, {"name": "b", "learning_rate": 3e-3}]), folder)
    events = list(sweep_runner.run_points(sweep.points, AtOnce()))
    assert [(event.point.name, event.status) for event in events if isinstance(event, sweep_runner.Outcome)] == [
        ("a", "done"),
        ("b", "done"),
    ]
    progress = [event.shares for event in events if isinstance(event, sweep_runner.Progress)]
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


def test_what_is_done_is_not_done_again(folder, stubbed):
    sweep = loaded(sweep_text(folder, grid={"epochs": [1, 2]}), folder)
    list(sweep_runner.run_points(sweep.points, AtOnce()))
    again = AtOnce()
    outcomes = [e for e in sweep_runner.run_points(sweep.points, again) if isinstance(e, sweep_runner.Outcome)]
    assert [outcome.status for outcome in outcomes] == ["done before", "done before"]
    assert again.asked == []
    assert again.stopped
    # A clone holds what is committed, so no weights: done all the same.
    first, second = sweep.points
    (first.directory / "weights.safetensors").unlink()
    assert sweep_job.up_to_date(first)
    # A file that is another than it was: done again.
    (second.directory / "history.csv").write_text("epoch,updates,training_loss,validation_loss\n1,1,0,0\n")
    assert not sweep_job.up_to_date(second)
    sweep_job.forget(first)
    assert not sweep_job.up_to_date(first)
    assert not (first.directory / "checkpoints").exists()


def test_a_notebook_that_leaves_a_parameter_unused_is_found_out(folder, stubbed, monkeypatch):
    (point,) = loaded(sweep_text(folder, grid={"epochs": [4]}), folder).points
    execute = sweep_job.execute

    def forgetful(execution: Any) -> None:
        execute(execution)
        record = read(point.directory / "run.json") | {"config": {"epochs": 5, "seed": 0}}
        (point.directory / "run.json").write_text(json.dumps(record))

    monkeypatch.setattr(sweep_job, "execute", forgetful)
    with pytest.raises(ValueError, match=r"stub.ipynb trained another run than it was told: epochs is 5, not 4"):
        sweep_job.perform(point)
    assert not sweep_job.up_to_date(point)


def test_a_job_waits_for_a_kernel_that_is_about_to_end(folder, stubbed, monkeypatch):
    (point,) = loaded(sweep_text(folder, grid={"epochs": [4]}), folder).points
    monkeypatch.setattr(sweep_job, "PATIENCE", 0.3)
    held = threading.Event()
    release = threading.Event()

    def hold() -> None:
        with Run(point.directory).locked():
            held.set()
            release.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    with pytest.raises(RunBusyError, match="is in use by process"):
        sweep_job.perform(point)
    assert stubbed == []
    monkeypatch.setattr(sweep_job, "PATIENCE", 30)
    threading.Timer(0.5, release.set).start()
    sweep_job.perform(point)
    holder.join()
    assert sweep_job.up_to_date(point)


def test_photographs_that_are_missing_are_named_before_anything_starts(folder, cache):
    sweep = loaded(sweep_text(folder, grid={"epochs": [4]}), folder, "cpu")
    executor = AtOnce()
    with pytest.raises(PhotosMissingError, match="bsds500"):
        list(sweep_runner.run_points(sweep.points, executor))
    assert executor.asked == []


def test_other_photographs_under_the_same_name_are_another_run(folder, stubbed):
    (point,) = loaded(sweep_text(folder, grid={"epochs": [1]}), folder).points
    list(sweep_runner.run_points([point], AtOnce()))
    record = read(point.directory / "run.json") | {"photos": {"train": {"count": 1, "sha256": "0" * 64}}}
    (point.directory / "run.json").write_text(json.dumps(record))
    left = read(point.directory / "point.json")
    left["left"]["run.json"] = sha256(point.directory / "run.json")
    (point.directory / "point.json").write_text(json.dumps(left))
    assert sweep_job.finished(point) is not None
    assert not sweep_job.up_to_date(point)


def test_a_point_scored_on_another_split_is_done_only_when_that_is_scored(folder, stubbed):
    path = sweep_text(folder, grid={"epochs": [1]})
    (point,) = loaded(path, folder).points
    sweep_job.perform(point)
    (on_test,) = loaded(sweep_text(folder, grid={"epochs": [1]}, scored="test"), folder).points
    assert on_test.directory == point.directory
    assert not sweep_job.up_to_date(on_test)
    sweep_job.perform(on_test)
    assert sweep_job.up_to_date(on_test)
    assert sweep_job.up_to_date(point)


def test_a_failed_point_does_not_stop_the_others(folder, stubbed):
    sweep = loaded(sweep_text(folder, points=[{"name": "a"}, {"name": "b", "epochs": 2}]), folder)
    events = list(sweep_runner.run_points(sweep.points, AtOnce(fail=("a",))))
    outcomes = {event.point.name: event for event in events if isinstance(event, sweep_runner.Outcome)}
    assert (outcomes["a"].status, outcomes["a"].reason) == ("failed", "told to")
    assert outcomes["b"].status == "done"


def test_results_that_did_not_arrive_are_a_failure_that_names_the_shared_file_system(folder, stubbed):
    (point,) = loaded(sweep_text(folder, grid={"epochs": [1]}), folder).points

    class Elsewhere(AtOnce):
        def submit(self, point: Point) -> Any:
            future = super().submit(point)
            shutil.rmtree(point.directory)
            return future

    (outcome,) = [e for e in sweep_runner.run_points([point], Elsewhere()) if isinstance(e, sweep_runner.Outcome)]
    assert outcome.status == "failed"
    assert "must share the file system" in outcome.reason


def test_a_listener_that_stops_listening_stops_the_processes(folder, stubbed):
    sweep = loaded(sweep_text(folder, grid={"epochs": [1, 2]}), folder)
    executor = AtOnce()
    events = sweep_runner.run_points(sweep.points, executor)
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
def test_processes_share_the_cores(cores, jobs, expected):
    assert sorted(sweep_runner.shares(cores, jobs)) == expected


def test_a_job_finds_its_point_again_below_another_checkout(folder):
    (point,) = loaded(sweep_text(folder, points=[{"name": "a", "pause": 0.5}], seeds=[3]), folder).points
    assert sweep_job.point_of(sweep_job.as_job(point)) == point
    job = sweep_job.as_job(load_sweep(sweep_file("learning_rate"), load_profile("smoke")).points[0])
    assert job["notebook"] == "notebooks/02_train.ipynb"
    assert job["results"] == "results/smoke/sweeps/learning_rate"


# The command.


def test_a_dry_run_lists_points_and_their_time_and_starts_nothing(folder, capsys, monkeypatch):
    monkeypatch.setattr("colorlib.companion.doctor.update_seconds", lambda device: 1.0)
    path = sweep_text(folder, points=[{"name": "a"}, {"name": "b", "crops_per_epoch": 640}], jobs=2)
    sweep = loaded(path, folder)
    leave(sweep.points[0], epochs=5)
    assert sweep_command.run(options(str(path), "--profile", "smoke", "--into", str(folder), "--dry-run")) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["a, seed 0", "b, seed 0"]
    assert "200 updates" in lines[1]
    assert "changes crops_per_epoch=640" in lines[1]
    assert last.startswith("2 points, about ")
    assert "2 at once" in last
    assert not (sweep.points[1].directory).exists()
    assert not (sweep.results / "summary.csv").exists()


def test_the_estimate_follows_the_arithmetic(folder):
    path = sweep_text(folder, points=[{"name": "a"}, {"name": "b", "epochs": 50}])
    a, b = loaded(path, folder).points
    overhead = sweep_estimate.OVERHEAD
    few, many = (sweep_estimate.estimate_seconds(point, 0.9) - overhead for point in (a, b))
    # 20 updates of 16 crops of 32 pixels, where 0.9 seconds are those of 48 pixels; the rest is scoring.
    assert few > 20 * 0.9 * (32 / 48) ** 2
    assert many - few == pytest.approx(9 * (20 * 0.9 * (32 / 48) ** 2 + 5 * 0.9 / 3 * 32**2 / (16 * 48**2)))
    assert sweep_estimate.estimate_seconds(b, 1.8) - overhead == pytest.approx(2 * many)
    assert [sweep_estimate.duration(seconds) for seconds in (20, 600, 36000)] == [
        "20 seconds", "10 minutes", "10.0 hours",
    ]  # fmt: skip


def test_the_command_says_what_happened_and_its_status_too(folder, capsys, stubbed, monkeypatch):
    executor = AtOnce(fail=("b",))
    monkeypatch.setattr(sweep_runner, "Processes", lambda jobs: executor)
    path = sweep_text(folder, points=[{"name": "a"}, {"name": "b", "epochs": 2}])
    arguments = (str(path), "--profile", "smoke", "--into", str(folder))
    assert sweep_command.run(options(*arguments)) == 1
    out, err = capsys.readouterr()
    assert "1 of 2 points failed" in err
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["a,", "seed", "0", "done"]
    assert lines[1].split()[:4] == ["b,", "seed", "0", "failed"]
    assert lines[1].endswith("told to")
    assert lines[2].startswith("1 of 2 points are finished")
    executor.fail = ()
    assert sweep_command.run(options(*arguments)) == 0
    assert executor.asked == ["a, seed 0", "b, seed 0", "b, seed 0"]
    assert "a, seed 0  done before" in capsys.readouterr().out
    assert sweep_command.run(options(*arguments, "--force", "--only", "a")) == 0
    assert executor.asked[3:] == ["a, seed 0"]


def test_the_command_refuses_what_it_does_not_know(folder):
    path = str(sweep_text(folder, points=[{"name": "paper"}]))
    with pytest.raises(ValueError, match="sweep trial has no 'papr'; did you mean paper"):
        sweep_command.run(options(path, "--profile", "smoke", "--only", "papr"))
    with pytest.raises(ValueError, match="--jobs 0"):
        sweep_command.run(options(path, "--profile", "smoke", "--jobs", "0"))
    with pytest.raises(ValueError, match="seeds 'a'"):
        sweep_command.run(options(path, "--profile", "smoke", "--seeds", "a"))


# The summary.


@pytest.fixture
def summarized(folder, stubbed) -> Sweep:
    points = [{"name": "paper"}, {"name": "fast", "learning_rate": 3e-3}, {"name": "open", "epochs": 9}]
    sweep = loaded(sweep_text(folder, points=points, seeds=[0, 1]), folder)
    for point in sweep.points:
        if point.name != "open":
            sweep_job.perform(point)
    assert sweep_summary.write_summary(sweep.path, sweep.profile) == (4, 6)
    return sweep


def test_the_summary_has_a_row_for_each_point_seed_and_method(summarized):
    table = sweep_summary.read_summary(sweep_summary.summary_files(summarized)[0])
    assert [tuple(row) for row in table[["point", "seed", "method"]].itertuples(index=False)] == [
        (name, seed, method)
        for seed in (0, 1)
        for name in ("paper", "fast")
        for method in ("network", "network, true L")
    ]
    fast = table[(table["point"] == "fast") & (table["seed"] == 1)].iloc[0]
    assert fast["changes"] == "learning_rate=0.003"
    assert (fast["updates"], fast["training loss"], fast["validation loss"]) == (20, 0.2, 0.3)
    assert (fast["scored"], fast["images"], fast["seconds"]) == ("val", 7, 12.5)
    assert fast["MSE"] == pytest.approx(0.031)
    assert fast["MSE low"] == pytest.approx(0.031 * 0.9)
    assert (fast["parameters"], fast["receptive field"]) == (740_227, 13)
    assert fast["multiply-adds per pixel"] == 739_584
    assert fast["hardware"] == "a processor, 1 threads"


def test_the_summary_in_words_holds_spreads_and_names_what_is_open(summarized):
    text = sweep_summary.summary_files(summarized)[1].read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 4
    (mse,) = [cell for head, cell in zip(rows[0], rows[1], strict=True) if head == "MSE"]
    assert mse == "0.0105 ± 0.0007"
    assert "4 of 6 points are finished; open: open, seed 0; open, seed 1." in text
    assert "7 validation photographs of bundled" in text


def test_the_summary_has_the_same_bytes_each_time_also_without_photographs(summarized, cache, monkeypatch):
    files = sweep_summary.summary_files(summarized)
    first = [path.read_bytes() for path in files]
    for path in files:
        path.unlink()
    for point in summarized.points:  # what is not committed
        for name in ("weights.safetensors", "timing.csv", "journal.txt"):
            (point.directory / name).unlink(missing_ok=True)
    monkeypatch.setattr(sweep_job, "open_photos", lambda *arguments: pytest.fail("no photographs are needed"))
    sweep_summary.write_summary(summarized.path, summarized.profile)
    assert [path.read_bytes() for path in files] == first


def test_seeds_that_were_trained_besides_stay_in_the_summary(summarized):
    other = loaded(summarized.path, summarized.profile.root, seeds=(7,)).points[0]
    sweep_job.perform(other)
    assert sweep_summary.write_summary(summarized.path, summarized.profile) == (5, 9)
    table = sweep_summary.read_summary(sweep_summary.summary_files(summarized)[0])
    assert list(dict.fromkeys(table["seed"])) == [0, 1, 7]


def test_a_summary_that_is_missing_is_named_with_the_mend(folder):
    path = folder / "results" / "smoke" / "sweeps" / "outlook" / "summary.csv"
    with pytest.raises(ValueError, match="run `make sweep SWEEP=outlook PROFILE=smoke`"):
        sweep_summary.read_summary(path)


# Shipped sweeps.


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("profile", ["smoke", "cpu", "paper"])
def test_every_shipped_sweep_can_be_run_on_every_profile(path, profile):
    sweep = load_sweep(path, load_profile(profile))
    assert len({point.name for point in sweep.points}) > 1
