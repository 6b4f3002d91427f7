"""Checkpoint files: equal content gives equal bytes, damage is noticed, the newest intact one is loaded."""

import errno
import hashlib
import json
import os
import pickle
import re
import subprocess
import sys

import pytest
import safetensors.torch
import torch

from colorlib.checkpoint import Checkpoint, checkpoint_files, load_newest, load_tensors, save_checkpoint, save_tensors

STATE = {
    "weight": torch.arange(24, dtype=torch.float32).reshape(2, 3, 2, 2).to(memory_format=torch.channels_last),
    "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
    "step": torch.tensor(7.0),
    "empty": torch.zeros(0, 3),
}
FACTS = {"zebra": [1, 0.1 + 0.2], "apple": {"y": None, "x": "é"}}


def test_saved_tensors_and_facts_are_loaded_unchanged(tmp_path):
    save_tensors(tmp_path / "file", STATE, step=12, facts=FACTS)
    loaded = load_tensors(tmp_path / "file")
    assert loaded.step == 12
    assert json.dumps(loaded.facts) == json.dumps(FACTS), "the order of keys is preserved: CSV columns follow it"
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
    # Several names and facts: an order by hash would differ between processes with different hash seeds.
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
        with pytest.raises(ValueError, match=re.escape(str(path))):
            print(position, load_tensors(path))


def test_a_cut_is_noticed_anywhere(tmp_path):
    path = tmp_path / "file"
    save_tensors(path, STATE, step=12, facts=FACTS)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=re.escape(str(path))):
            print(length, load_tensors(path))


ENVELOPES = [
    *("", "{", "[]", "null", "3", '"x"', "{}", "[" * 100_000),
    *(json.dumps({"step": step, "facts": "{}", "sha256": "0"}) for step in (None, "1", 1.5, True)),
    *(json.dumps({"step": 1, "facts": facts, "sha256": "0"}) for facts in (None, {}, 3)),
    json.dumps({"step": 1, "facts": "{}", "sha256": None}),
]


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_an_envelope_of_another_kind_is_refused_by_name(tmp_path, envelope):
    (tmp_path / "file").write_bytes(safetensors.torch.save(STATE | {"weight": torch.ones(2)}, {"colorlib": envelope}))
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "file"))):
        load_tensors(tmp_path / "file")


@pytest.mark.parametrize("facts", ["[]", "null", "{", "3"])
def test_facts_of_another_kind_are_refused_by_name(tmp_path, facts):
    digest = hashlib.sha256(f"1\n{facts}\n".encode()).hexdigest()
    envelope = json.dumps({"step": 1, "facts": facts, "sha256": digest})
    (tmp_path / "file").write_bytes(safetensors.torch.save({}, {"colorlib": envelope}))
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "file"))):
        load_tensors(tmp_path / "file")


@pytest.mark.parametrize("dtype", ["F4", "F8_E8M0", "C64", "F8_E5M2", "BOOL", "U64", "F6_E2M3"])
def test_every_type_of_a_crafted_file_is_loaded_or_refused_by_name(tmp_path, dtype):
    header = {"a": {"dtype": dtype, "shape": [8], "data_offsets": [0, 8]}, "__metadata__": {"colorlib": ENVELOPES[8]}}
    text = json.dumps(header).encode()
    (tmp_path / "file").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "file"))):
        load_tensors(tmp_path / "file")


def test_a_checkpoint_that_does_not_fit_is_passed_over(tmp_path):
    def check(checkpoint):
        if checkpoint.step == 3:
            raise ValueError("it does not fit")

    for step in (1, 2, 3):
        save(tmp_path, step)
    found, messages = load_newest(tmp_path, check)
    assert found.step == 2
    assert re.search(r"update-00000003.*does not fit", messages[0])
    checkpoint_files(tmp_path)[0].rename(tmp_path / "update-00000009.safetensors")
    found, messages = load_newest(tmp_path)
    assert found.step == 2, "a file under another name is no checkpoint of that update"
    assert re.search(r"update-00000009.*update 3", messages[0])


def test_other_files_are_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"gone.*weights"):
        load_tensors(tmp_path / "gone")
    torch.save(STATE, tmp_path / "pickled.pt")
    with pytest.raises(ValueError, match=r"pickled\.pt.*weights"):
        load_tensors(tmp_path / "pickled.pt")


class MakesFolder:
    """Unpickling an instance creates a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_nothing_is_unpickled(tmp_path):
    pickled = pickle.dumps(MakesFolder(tmp_path / "created"))
    pickle.loads(pickled)
    (tmp_path / "created").rmdir()  # unpickling did create it
    (tmp_path / "plain").write_bytes(pickled)
    torch.save(MakesFolder(tmp_path / "created"), tmp_path / "zip")
    for name in ("plain", "zip"):
        with pytest.raises(ValueError, match=f"{name}.*weights"):
            load_tensors(tmp_path / name)
    assert not (tmp_path / "created").exists()


def test_nan_in_the_facts_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
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


def test_the_newest_intact_checkpoint_is_loaded_and_damaged_ones_named(tmp_path):
    assert load_newest(tmp_path) == (None, [])
    assert load_newest(tmp_path / "absent") == (None, [])
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "update-00000003.safetensors").write_bytes(b"nonsense")
    found, damaged = load_newest(tmp_path)
    assert found.step == 2
    assert len(damaged) == 1
    assert str(tmp_path / "update-00000003.safetensors") in damaged[0]


def test_damaged_checkpoints_of_later_steps_do_not_replace_a_new_one(tmp_path):
    for step in (8, 9):
        (tmp_path / f"update-{step:08d}.safetensors").write_bytes(b"nonsense")
    save(tmp_path, 1)
    assert steps(tmp_path) == [1]
    save(tmp_path, 2)
    assert steps(tmp_path) == [2, 1]


def test_a_full_disk_leaves_the_existing_checkpoints(tmp_path, monkeypatch):
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


def test_temporary_files_of_a_killed_process_are_removed(tmp_path):
    save(tmp_path, 1)
    (tmp_path / ".update-00000002.safetensors.a1b2c3d4.tmp").write_bytes(b"half")
    found, damaged = load_newest(tmp_path)
    assert (found.step, damaged) == (1, [])
    assert [path.name for path in tmp_path.iterdir()] == ["update-00000001.safetensors"]
