"""Tests of colorlib.runs: files of a run directory, its lock, progress events, identity of a run."""

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest
import torch
from helpers.training import (
    PROJECT,
    UPDATES,
    WANTED,
    contents,
    notices,
    result_bytes,
    run_record,
    set_options,
    small_config,
    start_run,
    train_run,
    updates,
)
from safetensors import safe_open

from colorlib import runs
from colorlib.checkpoint import Checkpoint, load_tensors, save_tensors
from colorlib.cli import main
from colorlib.config import RunConfig, as_json
from colorlib.photos import open_photos
from colorlib.provenance import source_digest
from colorlib.runs import (
    Epoch,
    Run,
    RunBusyError,
    csv_text,
    environment_changes,
    epoch_of_row,
    mismatch,
    score_files,
)

# Files


def test_csv_text_reads_back_as_the_same_floats(tmp_path):
    losses = [0.1 + 0.2, 5e-324, 1e22 / 3]
    rows = [
        {"epoch": epoch, "updates": 7 * epoch, "training_loss": loss, "validation_loss": -loss}
        for epoch, loss in enumerate(losses, start=1)
    ]
    text = csv_text(rows)
    assert text.startswith(
        "epoch,updates,training_loss,validation_loss\n1,7,0.30000000000000004,-0.30000000000000004\n"
    )
    assert "\r" not in text
    run = Run(tmp_path)
    run.write_history(rows, [])
    assert run.history() == rows
    assert (tmp_path / "timing.csv").read_bytes() == b""


def test_a_directory_without_a_run_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))) as error:
        Run(tmp_path).record()
    assert "run.json" in str(error.value)
    assert "train" in str(error.value)
    with pytest.raises(ValueError, match=r"history\.csv.*epoch"):
        Run(tmp_path).history()
    with pytest.raises(ValueError, match=r"weights\.safetensors"):
        Run(tmp_path).read_weights()


def test_kept_weights_are_read_as_float32(tmp_path):
    run = Run(tmp_path)
    run.write_epoch_weights({"w": torch.tensor([1 / 3])}, epoch=4, step=100)
    (weights,) = run.read_weights(4).values()
    assert weights.dtype == torch.float32
    assert weights.item() == torch.tensor(1 / 3).half().item()
    with pytest.raises(ValueError, match="epoch-005"):
        run.read_weights(5)


def test_run_json_holds_configuration_photographs_and_source(finished, photos):
    record = Run(finished).record()
    assert set(record) == {"config", "photos", "source", "versions", "hardware", "commit"}
    assert record["config"] == as_json(small_config(photos))
    assert record["source"] == source_digest("colorlib.trainer")
    for split in ("train", "val"):
        names = [photo.name for photo in open_photos(f"folder:{photos}", split)]
        digests = sorted((name, hashlib.sha256((photos / name).read_bytes()).hexdigest()) for name in names)
        lines = "".join(f"{digest}  {name}\n" for name, digest in digests)
        expected = {"count": WANTED[split], "sha256": hashlib.sha256(lines.encode()).hexdigest()}
        assert record["photos"][split] == expected


def test_resuming_with_other_threads_says_so_and_records_the_update(photos, tmp_path):
    config = small_config(photos)
    loop = start_run(config, tmp_path)
    while not isinstance(next(loop), Epoch):
        pass
    loop.close()
    record = Run(tmp_path).record()
    assert "stretches" not in record
    # A process that trains nothing leaves no stretch
    loop = start_run(config, tmp_path, threads=2)
    assert re.findall(r"\bthreads\b.*", next(loop).text)
    next(loop)
    loop.close()
    loop = start_run(config, tmp_path)
    assert isinstance(next(loop), Epoch)
    loop.close()
    assert Run(tmp_path).record() == record
    (notice,) = notices(train_run(config, tmp_path, threads=2))
    assert "threads" in notice
    assert re.findall(r"\d+", notice) == ["1", "2"]
    changed = Run(tmp_path).record()
    (stretch,) = changed.pop("stretches")
    assert changed == record
    assert stretch["from_update"] == 3
    assert stretch["hardware"] == record["hardware"] | {"threads": 2}
    assert stretch["versions"] == record["versions"]
    finished = (tmp_path / "run.json").read_bytes()
    assert notices(train_run(config, tmp_path)) == [], "nothing is left to train"
    assert (tmp_path / "run.json").read_bytes() == finished


def test_history_reads_back_as_the_exact_numbers(photos, tmp_path):
    measured = [found for found in train_run(small_config(photos), tmp_path) if isinstance(found, Epoch)]
    expected = [
        {
            "epoch": found.epoch,
            "updates": found.step,
            "training_loss": found.training_loss,
            "validation_loss": found.validation_loss,
        }
        for found in measured
    ]
    assert Run(tmp_path).history() == expected
    text = (tmp_path / "history.csv").read_text()
    assert text.startswith("epoch,updates,training_loss,validation_loss\n1,3,0.")
    assert len({row["training_loss"] for row in expected}) == 3
    timing = (tmp_path / "timing.csv").read_text().splitlines()
    assert timing[0] == "epoch,training_seconds,validation_seconds"
    assert len(timing) == 4


def test_kept_epochs_are_the_weights_as_float16(photos, tmp_path):
    train_run(small_config(photos, keep_epochs=(3,)), tmp_path)
    path = Run(tmp_path).epoch_weights(3)
    with safe_open(path, framework="pt") as kept, safe_open(tmp_path / "weights.safetensors", framework="pt") as last:
        assert set(kept.keys()) == set(last.keys())
        for name in last.keys():  # noqa: SIM118 - not a mapping
            assert last.get_tensor(name).dtype == torch.float32
            assert torch.equal(kept.get_tensor(name), last.get_tensor(name).half())
    assert load_tensors(path).step == UPDATES
    assert path.stat().st_size < 0.51 * (tmp_path / "weights.safetensors").stat().st_size


def test_csv_text_of_no_rows_is_empty():
    assert csv_text([]) == ""
    assert csv_text([{"a": 1, "b": "x, y"}]) == 'a,b\n1,"x, y"\n'


def test_discard_deletes_all_that_a_run_left_but_its_record(tmp_path: Path):
    run = Run(tmp_path)
    run.write_record({})
    run.write_history([{"epoch": 1}], [{"epoch": 1}])
    run.write_weights({"w": torch.ones(1)}, step=1)
    run.write_epoch_weights({"w": torch.ones(1)}, epoch=1, step=1)
    (tmp_path / "checkpoints").mkdir()
    others = ("metrics.json", "metrics-bundled-test.json", "per_image.csv", "per_image-bundled-test.csv")
    for name in (*others, "checkpoints/update-00000001.safetensors", "notes.txt"):
        (tmp_path / name).write_text("")
    run.discard()
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["notes.txt", "run.json"]


def test_temporary_files_are_removed_from_every_folder_of_a_run(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "epochs", tmp_path / "checkpoints"):
        folder.mkdir(exist_ok=True)
        (folder / ".weights.safetensors.abc.tmp").write_text("")
        (folder / "kept").write_text("")
    Run(tmp_path).remove_leftovers()
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"kept"}


def test_a_damaged_record_is_named(tmp_path: Path):
    (tmp_path / "run.json").write_text('{"config":')
    with pytest.raises(ValueError, match=r"run\.json") as error:
        Run(tmp_path).record()
    assert str(tmp_path) in str(error.value)


def test_scores_of_other_photographs_or_splits_have_names_of_their_own(tmp_path: Path):
    own = score_files(tmp_path, "bsds500", "test", own="bsds500")
    assert own == (tmp_path / "metrics.json", tmp_path / "per_image.csv")
    asked = [
        ("bsds500", "val"),
        ("bundled", "test"),
        ("folder:/a-b", "test"),
        ("folder:/a/b", "test"),
    ]
    found = [score_files(tmp_path, photos, split, own="bsds500") for photos, split in asked]
    assert found[0] == (tmp_path / "metrics-bsds500-val.json", tmp_path / "per_image-bsds500-val.csv")
    assert len({path for pair in (own, *found) for path in pair}) == 2 * (1 + len(asked))
    for pair in found:
        assert all(re.fullmatch(r"[\w.-]+", path.name) for path in pair)
        assert all(path.parent == tmp_path for path in pair)


# The lock


def test_a_second_run_in_one_directory_is_refused_with_the_process_that_holds_it(finished, photos, tmp_path):
    config = small_config(photos)
    first = start_run(config, tmp_path)
    seen = [next(first)]
    with pytest.raises(RunBusyError, match=rf"\b{os.getpid()}\b") as refused:
        next(start_run(config, tmp_path))
    for fact in (str(tmp_path), platform.node(), " ".join(sys.argv), "wait"):
        assert fact in str(refused.value)
    seen += first
    assert updates(seen) == list(range(1, UPDATES + 1))
    assert result_bytes(tmp_path) == result_bytes(finished)
    assert updates(train_run(config, tmp_path)) == [], "the lock is released"


@pytest.mark.slow
def test_another_process_holds_the_directory_until_it_dies(photos, tmp_path, capsys):
    run = tmp_path / "run"
    command = ["train", str(run), "--photos", f"folder:{photos}", "--device", "cpu", "--threads", "1"]
    options = set_options(epochs=1000)
    holder = subprocess.Popen(
        [sys.executable, "-m", "colorlib", *command, *options],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not (run / "history.csv").is_file():
            assert holder.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert main([*command, *options]) == 1
        assert re.search(rf"\b{holder.pid}\b", message := capsys.readouterr().err)
        assert "colorlib train" in message
    finally:
        holder.kill()
        holder.wait()
    loop = start_run(small_config(photos, epochs=1000), run)
    assert isinstance(next(loop), Epoch), "the lock died with the process, and the run goes on"
    loop.close()


def test_a_locked_directory_is_refused_until_it_is_released(tmp_path: Path):
    run = Run(tmp_path / "run")
    with run.locked():
        note = json.loads((run.path / "run.lock.json").read_text())
        assert note["process"] == os.getpid()
        with pytest.raises(RunBusyError, match=rf"\b{os.getpid()}\b") as busy, run.locked():
            pass
        assert str(run.path) in str(busy.value)
    assert not (run.path / "run.lock.json").exists()
    with pytest.raises(ZeroDivisionError), run.locked():
        raise ZeroDivisionError
    with run.locked():
        pass


# Progress events and identity


def test_a_row_of_the_history_is_an_epoch_event():
    row = {"epoch": 2.0, "updates": 6.0, "training_loss": 0.5, "validation_loss": 0.25}
    assert epoch_of_row(row) == Epoch(epoch=2, step=6, training_loss=0.5, validation_loss=0.25)


def key_of(source: str = "s", **settings: object) -> dict[str, object]:
    return run_record(config=as_json(RunConfig(**settings)), source=source)


def test_an_empty_directory_holds_no_other_run(tmp_path: Path):
    assert mismatch(Run(tmp_path), key_of(), None) is None


def test_a_run_without_checkpoints_must_have_the_same_configuration(tmp_path: Path):
    run = Run(tmp_path)
    record = key_of("older source", seed=1)
    del record["config"]["ema"]
    run.write_record(record)
    assert mismatch(run, key_of("newer source", seed=1), None) is None
    found = mismatch(run, key_of("older source", seed=2, ema=0.5), None)
    assert found is not None
    for fact in (str(tmp_path), r"\bseed=1\b.*\b2\b", r"\bema=0\.0\b.*\b0\.5\b", "--restart"):
        assert re.search(fact, found)
    assert "epochs" not in found


def test_a_checkpoint_must_have_the_same_key(tmp_path: Path):
    checkpoint = Checkpoint(step=1, state={}, facts={"key": key_of("older source")})
    assert mismatch(Run(tmp_path), key_of("older source"), checkpoint) is None
    found = mismatch(Run(tmp_path), key_of("newer source"), checkpoint)
    assert found is not None
    assert re.search(r"\bsource\b", found)
    assert "photos" not in found


def test_changes_of_versions_and_hardware_are_named():
    then = {"versions": {"numpy": "2.0", "torch": "2.11"}, "hardware": {"threads": 1}}
    assert list(environment_changes(then, then)) == []
    now = {"versions": {"numpy": "2.0", "torch": "2.12"}, "hardware": {"threads": 2, "accelerator": "H100"}}
    (notice,) = environment_changes(then, now)
    for fact in (r"torch 2\.11\b.*2\.12", r"threads 1\b.*\b2\b", r"accelerator None\b.*H100"):
        assert re.search(fact, notice)
    assert "numpy" not in notice


# Runs that do or do not fit their directory


def test_another_configuration_is_refused_by_name_and_nothing_is_touched(photos, finished_copy):
    before = contents(finished_copy)
    other = small_config(photos, learning_rate=3e-4, keep_epochs=(1,))
    with pytest.raises(ValueError, match="--restart") as refused:
        train_run(other, finished_copy)
    for held_and_asked in (r"learning_rate\W*0\.001\b.*\b0\.0003\b", r"keep_epochs\W*\[1, 2\].*\[1\]"):
        assert re.search(held_and_asked, str(refused.value))
    assert contents(finished_copy) == before


def test_restart_discards_all_that_the_other_run_left(photos, finished_copy, tmp_path):
    (finished_copy / "metrics.json").write_text("{}")
    (finished_copy / "per_image.csv").write_text("")
    other = small_config(photos, learning_rate=3e-4, keep_epochs=(1,))
    loop = start_run(other, finished_copy, restart=True)
    assert "restarted" in next(loop).text
    assert next(loop).step == 1
    loop.close()
    assert sorted(contents(finished_copy)) == ["run.json", "run.lock"], "nothing of one run is taken for another's"
    assert Run(finished_copy).record()["config"]["learning_rate"] == 3e-4
    train_run(other, finished_copy)
    train_run(other, tmp_path / "alone")
    assert result_bytes(finished_copy) == result_bytes(tmp_path / "alone")
    assert list(result_bytes(finished_copy)) == ["history.csv", "weights.safetensors", "epochs/epoch-001.safetensors"]


def test_a_restart_that_cannot_train_discards_nothing(photos, finished_copy):
    before = contents(finished_copy)
    with pytest.raises(ValueError, match=r"crop_size\W*41\b"):
        train_run(small_config(photos, crop_size=41), finished_copy, restart=True)
    assert contents(finished_copy) == before


def test_restart_with_the_same_configuration_resumes(photos, finished_copy):
    (finished_copy / "checkpoints" / "update-00000009.safetensors").unlink()
    assert updates(train_run(small_config(photos), finished_copy, restart=True)) == [7, 8, 9]


def test_a_fresh_clone_trains_the_same_run_again(finished, photos, finished_copy):
    shutil.rmtree(finished_copy / "checkpoints")
    assert updates(train_run(small_config(photos), finished_copy)) == list(range(1, UPDATES + 1))
    assert result_bytes(finished_copy) == result_bytes(finished)


def test_a_fresh_clone_refuses_another_configuration(photos, finished_copy):
    shutil.rmtree(finished_copy / "checkpoints")
    before = contents(finished_copy)
    with pytest.raises(ValueError, match=r"\bseed\W*0\b.*\b5\b"):
        train_run(small_config(photos, seed=5), finished_copy)
    assert contents(finished_copy) == before
    assert updates(train_run(small_config(photos, seed=5, epochs=1), finished_copy, restart=True)) == [1, 2, 3]
    assert not Run(finished_copy).epoch_weights(2).exists()


def test_a_clone_of_a_run_from_before_a_setting_existed_is_the_same_run(photos, finished_copy):
    shutil.rmtree(finished_copy / "checkpoints")
    record = Run(finished_copy).record()
    assert record["config"].pop("turn_probability") == small_config(photos).turn_probability
    Run(finished_copy).write_record(record)
    next(start_run(small_config(photos), finished_copy))
    with pytest.raises(ValueError, match=r"turn_probability\W*0\.75\b.*\b0\.5\b"):
        train_run(small_config(photos, turn_probability=0.5), finished_copy)


def test_other_photographs_or_source_do_not_resume_a_checkpoint(photos, finished_copy, tmp_path, monkeypatch):
    config = small_config(photos)
    with monkeypatch.context() as changed:
        changed.setattr(runs, "source_digest", lambda *modules: "0" * 64)
        with pytest.raises(ValueError, match=r"\bsource\b") as refused:
            train_run(config, finished_copy)
    assert "photos" not in str(refused.value)
    missing = next(iter(open_photos(config.photos, "train"))).name
    aside = tmp_path / missing
    (photos / missing).rename(aside)
    try:
        with pytest.raises(ValueError, match=r"\bphotos\b") as refused:
            train_run(config, finished_copy)
        assert not re.search(r"\bsource\b", str(refused.value))
    finally:
        aside.rename(photos / missing)
    assert updates(train_run(config, finished_copy)) == []


# Files that lie

SHORT = {"config": {}, "photos": {}, "source": "s", "versions": {}, "hardware": {}}


@pytest.mark.parametrize(
    ("content", "field"),
    [
        *(("{}", "config"), ("[]", "object"), ("null", "object"), ('"x"', "object"), ("", "value"), ("\udcff", "utf")),
        *(('{"config": {}}', "photos"), ("[" * 100_000, "deep"), ('{"config": NaN}', "NaN"), ('{"a": 1e999}', "1e999")),
        (json.dumps(SHORT), "photos.train"),
        (json.dumps(run_record() | {"hardware": "x"}), "hardware"),
        (json.dumps(run_record(hardware={"threads": "2"})), "hardware.threads"),
        (json.dumps(run_record(hardware={"threads": True})), "hardware.threads"),
        (json.dumps(run_record(config={"network": "none"})), "network"),
        (json.dumps(run_record(config={"epochs": [1]})), "epochs"),
        (json.dumps(run_record(config={"learning_rate": 10**18 * 10})), "number"),
        (json.dumps(run_record(config={"later": 1})), "later"),
        (json.dumps(run_record(stretches=[{"from_update": 3}])), r"stretches\[0\]\.versions"),
    ],
)  # fmt: skip
def test_a_record_that_lies_is_named_with_its_field(tmp_path: Path, content: str, field: str):
    (tmp_path / "run.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=rf"run\.json.*{field}") as error:
        Run(tmp_path).record()
    assert mismatch(Run(tmp_path), key_of(), None) == str(error.value)
    assert "--restart" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_record_is_restarted_on_request(photos, finished_copy, finished):
    (finished_copy / "run.json").write_text("{}")
    before = contents(finished_copy)
    with pytest.raises(ValueError, match=r"run\.json.*config.*--restart"):
        train_run(small_config(photos), finished_copy)
    assert contents(finished_copy) == before
    train_run(small_config(photos), finished_copy, restart=True)
    assert result_bytes(finished_copy) == result_bytes(finished)
    assert Run(finished_copy).record() == Run(finished).record()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epoch,updates", "epoch,steps"),
        ("\n2,6,", "\n3,6,"),
        ("\n2,6,", "\n2,7,"),
        ("\n2,6,", "\n2,6.0,"),
        ("\n2,6,", "\n2,1_2,"),
        ("\n2,6,0.", "\n2,6,nan,0."),
        ("\n2,6,0.", "\n2,6,inf"),
        ("\n2,6,", "\n2,"),
        ("\n2,6,", "\n\n2,6,"),
        ("\n2,6,", f"\n2,{'9' * 400},"),
    ],
)
def test_a_history_that_lies_is_named(finished_copy, old, new):
    path = finished_copy / "history.csv"
    changed = path.read_text().replace(old, new, 1)
    assert changed != path.read_text()
    path.write_text(changed)
    with pytest.raises(ValueError, match=r"history\.csv"):
        Run(finished_copy).history()


def test_a_history_cut_anywhere_is_named_or_shorter_by_whole_epochs(finished_copy):
    whole = (finished_copy / "history.csv").read_text()
    rows = Run(finished_copy).history()
    for length in range(len(whole)):
        (finished_copy / "history.csv").write_text(whole[:length])
        if whole[:length].count("\n") > 1 and whole[length - 1] == "\n":
            found = Run(finished_copy).history()
            assert found == rows[: len(found)]
        else:
            with pytest.raises(ValueError, match=r"history\.csv"):
                print(length, Run(finished_copy).history())


def forge(run: Path, step: int, change) -> None:
    """Write a checkpoint with changed content and a right SHA-256."""
    path = run / "checkpoints" / f"update-{step:08d}.safetensors"
    held = load_tensors(path)
    facts, state = json.loads(json.dumps(held.facts)), dict(held.state)
    save_tensors(path, state, step=change(facts, state) or held.step, facts=facts)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda facts, state: facts.clear(), "key"),
        (lambda facts, state: facts.pop("timing") and None, "timing"),
        (lambda facts, state: facts["key"].pop("source") and None, r"key\.source"),
        (lambda facts, state: facts["history"].pop() and None, "update 9"),
        (lambda facts, state: facts["timing"].pop() and None, "times"),
        (lambda facts, state: facts["history"][1].update(updates=7), "update"),
        (lambda facts, state: facts["history"][1].update(training_loss=None), r"history\[1\]\.training_loss"),
        (lambda facts, state: 12, "update 12"),
    ],
)
def test_a_forged_checkpoint_is_passed_over(photos, finished, finished_copy, change, named):
    forge(finished_copy, 9, change)
    events = train_run(small_config(photos), finished_copy)
    (notice,) = notices(events)
    assert re.search(rf"update-00000009\.safetensors.*{named}", notice)
    assert updates(events) == [7, 8, 9]
    assert result_bytes(finished_copy) == result_bytes(finished)


def test_a_kept_epoch_that_is_gone_is_trained_again(photos, finished, finished_copy):
    Run(finished_copy).epoch_weights(2).unlink()
    (finished_copy / "checkpoints" / "update-00000006.safetensors").unlink()
    events = train_run(small_config(photos), finished_copy)
    assert re.search(r"update-00000009.*epoch-002", notices(events)[0])
    assert updates(events) == list(range(1, UPDATES + 1))
    assert result_bytes(finished_copy) == result_bytes(finished)


@pytest.mark.parametrize("kind", ["type", "shape", "missing", "unknown"])
def test_tensors_that_do_not_fit_are_refused_before_anything_changes(photos, finished, finished_copy, kind):
    held = load_tensors(finished_copy / "checkpoints/update-00000009.safetensors").state
    name = next(name for name in held if name.startswith("network.encoder"))

    def change(facts: object, state: dict[str, torch.Tensor]) -> None:
        if kind == "type":
            state[name] = state[name].half()
        elif kind == "shape":
            state[name] = state[name][:1]
        else:
            tensor = state.pop(name)
            if kind == "unknown":
                state[name], state["objective.other"] = tensor, tensor.clone()

    forge(finished_copy, 9, change)
    before = contents(finished_copy)
    with pytest.raises(ValueError, match=r"update-00000009.*tensor (network\.encoder|objective\.other).*--restart"):
        train_run(small_config(photos), finished_copy)
    assert contents(finished_copy) == before
    train_run(small_config(photos), finished_copy, restart=True)
    assert result_bytes(finished_copy) == result_bytes(finished)


def test_a_record_of_another_network_than_the_checkpoint_is_refused(photos, finished_copy):
    record = Run(finished_copy).record()
    record["config"]["network"] = "unet"
    Run(finished_copy).write_record(record)
    with pytest.raises(ValueError, match=r"network='unet'.*--restart"):
        train_run(small_config(photos), finished_copy)


# Directories and locks that go away in mid-run


@pytest.mark.parametrize("gone", ["directory", "lock", "replaced directory", "replaced lock"])
def test_a_run_whose_directory_or_lock_goes_away_stops_without_writing(photos, tmp_path, gone):
    config, run = small_config(photos), tmp_path / "run"
    loop = start_run(config, run)
    while not isinstance(next(loop), Epoch):
        pass
    if "directory" in gone:
        run.rename(tmp_path / "elsewhere")
    else:
        (run / "run.lock").unlink()
    other = start_run(config, run) if "replaced" in gone else None
    if other:
        next(other)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=rf"{re.escape(str(run))}.*run\.lock"):
        list(loop)
    assert contents(tmp_path) == before, "not even the note of the other process is touched"
    if other:
        other.close()


@pytest.mark.parametrize("note", ["", "[", "[1]", "{}", "null"])
def test_a_damaged_note_of_the_holder_does_not_hide_that_the_directory_is_in_use(tmp_path: Path, note: str):
    run = Run(tmp_path)
    with run.locked():
        (tmp_path / "run.lock.json").write_text(note)
        with pytest.raises(RunBusyError, match=re.escape(str(tmp_path))), run.locked():
            pass


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)), NotImplementedError("no flock")])
def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch, error):
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", fail)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))) as refused, Run(tmp_path).locked():
        pass
    assert str(error) in str(refused.value)
