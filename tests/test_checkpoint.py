"""Checkpoints that notice any damage to themselves, and the run directory they lie in."""

import errno
import json
import os
import pickle
import subprocess
import sys

import pytest
import torch

from colorlib.checkpoint import Checkpoint, checkpoint_files, load_newest, load_tensors, save_checkpoint, save_tensors
from colorlib.files import write_bytes
from colorlib.runs import Run, csv_text

STATE = {
    "weight": torch.arange(24, dtype=torch.float32).reshape(2, 3, 2, 2).to(memory_format=torch.channels_last),
    "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
    "step": torch.tensor(7.0),
    "empty": torch.zeros(0, 3),
}
FACTS = {"zebra": [1, 0.1 + 0.2], "apple": {"y": None, "x": "é"}}


def test_what_was_saved_is_what_is_loaded(tmp_path):
    save_tensors(tmp_path / "file", STATE, step=12, facts=FACTS)
    loaded = load_tensors(tmp_path / "file")
    assert loaded.step == 12
    assert json.dumps(loaded.facts) == json.dumps(FACTS), "the order of keys is kept: columns take theirs from it"
    assert loaded.state.keys() == STATE.keys()
    for name, tensor in STATE.items():
        assert loaded.state[name].dtype == tensor.dtype
        assert torch.equal(loaded.state[name], tensor)


def test_equal_content_gives_equal_bytes(tmp_path):
    save_tensors(tmp_path / "one", STATE, step=1)
    save_tensors(tmp_path / "two", {name: STATE[name].contiguous() for name in reversed(STATE)}, step=1)
    save_tensors(tmp_path / "three", STATE, step=2)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() != (tmp_path / "three").read_bytes()


@pytest.mark.slow
def test_equal_content_gives_equal_bytes_in_another_process(tmp_path):
    # Several names and facts: an order that follows hashes differs between processes with different hash seeds.
    script = (
        "import sys, torch; from pathlib import Path; from colorlib.checkpoint import save_tensors\n"
        "state = {f'layer {i}': torch.arange(i + 1.0) for i in range(12)}\n"
        "save_tensors(Path(sys.argv[1]), state, step=3, facts={f'fact {i}': i for i in range(12)})"
    )
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "there")], env=environment, check=True)
    state = {f"layer {i}": torch.arange(i + 1.0) for i in range(12)}
    save_tensors(tmp_path / "here", state, step=3, facts={f"fact {i}": i for i in range(12)})
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()


def test_a_changed_byte_is_noticed_anywhere(tmp_path):
    path = tmp_path / "file"
    save_tensors(path, STATE, step=12, facts=FACTS)
    whole = path.read_bytes()
    for position in range(0, len(whole), 3):
        changed = bytes([whole[position] ^ 1 << position % 8])
        path.write_bytes(whole[:position] + changed + whole[position + 1 :])
        with pytest.raises(ValueError, match=r"file (is damaged|cannot be read as weights)"):
            print(position, load_tensors(path))


def test_a_cut_is_noticed_anywhere(tmp_path):
    path = tmp_path / "file"
    save_tensors(path, STATE, step=12, facts=FACTS)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"file (is damaged|cannot be read as weights)"):
            print(length, load_tensors(path))


def test_other_files_are_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="gone cannot be read as weights"):
        load_tensors(tmp_path / "gone")
    torch.save(STATE, tmp_path / "pickled.pt")
    with pytest.raises(ValueError, match=r"pickled\.pt cannot be read as weights"):
        load_tensors(tmp_path / "pickled.pt")


class Intruder:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_nothing_is_unpickled(tmp_path):
    pickled = pickle.dumps(Intruder(tmp_path / "intruded"))
    pickle.loads(pickled)
    (tmp_path / "intruded").rmdir()  # so it would
    (tmp_path / "plain").write_bytes(pickled)
    torch.save(Intruder(tmp_path / "intruded"), tmp_path / "zip")
    for name in ("plain", "zip"):
        with pytest.raises(ValueError, match=f"{name} cannot be read as weights"):
            load_tensors(tmp_path / name)
    assert not (tmp_path / "intruded").exists()


def test_what_is_not_a_number_is_no_fact(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_tensors(tmp_path / "file", STATE, facts={"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def save(folder, step):
    save_checkpoint(folder, Checkpoint(step=step, state={"w": torch.tensor([float(step)])}, facts={}))


def steps(folder):
    return [int(path.stem.split("-")[1]) for path in checkpoint_files(folder)]


def test_the_two_newest_checkpoints_stay(tmp_path):
    for step in (5, 10, 100_000_000, 100_000_005):
        save(tmp_path, step)
    assert steps(tmp_path) == [100_000_005, 100_000_000]
    assert load_newest(tmp_path)[0].state["w"] == 100_000_005


def test_the_newest_whole_checkpoint_is_taken_and_each_damaged_one_named(tmp_path):
    assert load_newest(tmp_path) == (None, [])
    assert load_newest(tmp_path / "absent") == (None, [])
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "update-00000003.safetensors").write_bytes(b"nonsense")
    found, complaints = load_newest(tmp_path)
    assert found.step == 2
    assert len(complaints) == 1
    assert str(tmp_path / "update-00000003.safetensors") in complaints[0]


def test_damaged_later_checkpoints_do_not_crowd_out_a_new_one(tmp_path):
    for step in (8, 9):
        (tmp_path / f"update-{step:08d}.safetensors").write_bytes(b"nonsense")
    save(tmp_path, 1)
    assert steps(tmp_path) == [1]
    save(tmp_path, 2)
    assert steps(tmp_path) == [2, 1]


def test_a_full_disk_leaves_the_checkpoints_there_are(tmp_path, monkeypatch):
    save(tmp_path, 1)
    save(tmp_path, 2)

    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        save(tmp_path, 3)
    assert steps(tmp_path) == [2, 1]
    assert len(list(tmp_path.iterdir())) == 2
    assert load_newest(tmp_path)[0].step == 2


def test_what_a_killed_writer_left_is_removed(tmp_path):
    save(tmp_path, 1)
    (tmp_path / ".update-00000002.safetensors.a1b2c3d4.tmp").write_bytes(b"half")
    found, complaints = load_newest(tmp_path)
    assert (found.step, complaints) == (1, [])
    assert [path.name for path in tmp_path.iterdir()] == ["update-00000001.safetensors"]


# Files


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_names_the_file_that_it_left_as_it_was(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    write_bytes(path, b"before")

    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"):
        write_bytes(path, b"after")
    assert path.read_bytes() == b"before"


# The run directory


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
    with pytest.raises(ValueError, match=r"holds no run \(run\.json.*train one into it first"):
        Run(tmp_path).record()
    with pytest.raises(ValueError, match="no epoch was completed there"):
        Run(tmp_path).history()
    with pytest.raises(ValueError, match=r"weights\.safetensors cannot be read as weights"):
        Run(tmp_path).read_weights()


def test_kept_weights_are_read_as_float32(tmp_path):
    run = Run(tmp_path)
    run.write_epoch_weights({"w": torch.tensor([1 / 3])}, epoch=4, step=100)
    (weights,) = run.read_weights(4).values()
    assert weights.dtype == torch.float32
    assert weights.item() == torch.tensor(1 / 3).half().item()
    with pytest.raises(ValueError, match="epoch-005"):
        run.read_weights(5)
