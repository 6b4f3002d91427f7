"""Tests of colorlib.runs: files of a run directory, its lock, progress events, identity of a run."""

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

import pytest
import torch
from helpers.training import (
    PROJECT,
    UPDATES,
    WANTED,
    contents,
    notices,
    result_bytes,
    set_options,
    small_config,
    start_run,
    train_run,
    updates,
)
from safetensors import safe_open

from colorlib import runs
from colorlib.checkpoint import Checkpoint, load_tensors
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
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 5e-324}, {"epoch": 3, "loss": 1e22 / 3}]
    text = csv_text(rows)
    assert text.startswith("epoch,loss\n1,0.30000000000000004\n")
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


def test_resuming_with_other_threads_says_so_and_keeps_the_record(photos, tmp_path):
    config = small_config(photos)
    loop = start_run(config, tmp_path)
    while not isinstance(next(loop), Epoch):
        pass
    loop.close()
    record = (tmp_path / "run.json").read_bytes()
    (notice,) = notices(train_run(config, tmp_path, threads=2))
    assert "threads" in notice
    assert re.findall(r"\d+", notice) == ["1", "2"]
    assert (tmp_path / "run.json").read_bytes() == record
    assert notices(train_run(config, tmp_path)) == []


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
    return {"config": as_json(RunConfig(**settings)), "photos": {}, "source": source}


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
