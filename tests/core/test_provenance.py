"""Tests of colorlib.provenance: imports read from source, digests, versions, hardware, commit."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.training import PROJECT, small_config, start_run

from colorlib import provenance
from colorlib.files import sha256
from colorlib.provenance import (
    VERSIONED,
    commit,
    hardware,
    imported_modules,
    imports_of,
    machine,
    machines,
    module_path,
    source_digest,
    versions,
)
from colorlib.runs import Run


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from colorlib.model import Network, NETWORKS", ["colorlib.model"]),
        ("from colorlib import rng, color", ["colorlib.rng", "colorlib.color"]),
        ("from colorlib.companion.sweeps import command as c", ["colorlib.companion.sweeps.command"]),
        ("def f():\n    if True:\n        from colorlib.data import CPU", ["colorlib.data"]),
        ("import torch\nfrom pathlib import Path\nfrom colorlibrary import x", []),
    ],
)
def test_imports_of_this_package_are_found(source: str, expected: list[str]):
    assert imports_of(source) == expected


def test_imported_modules_are_those_that_python_imports():
    module = "colorlib.checkpoint"
    code = f"import sys, {module}; print(*sorted(name for name in sys.modules if name.startswith('colorlib.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, check=True)
    assert imported_modules(module) == done.stdout.split()
    assert imported_modules(module, "colorlib.rng") == sorted([*done.stdout.split(), "colorlib.rng"])
    assert {"colorlib.model", "colorlib.rng", "colorlib.losses"} <= set(imported_modules("colorlib.trainer"))


def test_the_source_of_a_folder_is_its_init_file():
    assert module_path("colorlib.model") == Path(provenance.__file__).parent / "model.py"
    assert module_path("colorlib.photos") == Path(provenance.__file__).parent / "photos" / "__init__.py"


def test_a_digest_changes_with_any_module_that_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, source in (("a", "from colorlib.b import x"), ("b", "x = 1"), ("c", "")):
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    before = source_digest("colorlib.a")
    assert before != source_digest("colorlib.b") != sha256(tmp_path / "b.py")
    (tmp_path / "c.py").write_text("y = 2")
    assert source_digest("colorlib.a") == before
    (tmp_path / "b.py").write_text("x = 2")
    assert source_digest("colorlib.a") != before


def test_versions_are_those_of_python_and_the_packages():
    found = versions()
    assert set(found) == {"python", *VERSIONED}
    assert sys.version.startswith(found["python"])
    assert torch.__version__.startswith(found["torch"])


def test_hardware_names_processes_and_accelerator_only_if_used(monkeypatch: pytest.MonkeyPatch):
    found = hardware(torch.device("cpu"))
    assert list(found) == ["system", "processor", "cpu_capability", "cores", "threads", "device"]
    assert (found["threads"], found["device"]) == (torch.get_num_threads(), "cpu")
    monkeypatch.setattr(provenance, "world_size", lambda: 4)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "H100")
    found = hardware(torch.device("cuda"))
    assert (found["processes"], found["accelerator"], found["device"]) == (4, "H100", "cuda")


def test_the_commit_says_whether_files_were_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "colorlib")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "colorlib").mkdir()
    assert commit() is None
    path = tmp_path / "colorlib" / "x.py"
    path.write_text("1")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "colorlib" / "untracked").write_text("")
    assert commit() == head
    path.write_text("2")
    assert commit() == f"{head}+changes"


def test_an_archive_inside_another_repository_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "unpacked" / "colorlib")
    (tmp_path / "unpacked" / "colorlib").mkdir(parents=True)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x"]
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True)
    assert commit() is None
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "unpacked"))
    assert commit() is None


def test_a_machine_is_its_accelerator_or_its_processor():
    cpu = {"processor": "Xeon", "threads": 2}
    assert machine(cpu) == "Xeon, 2 threads"
    assert machine(cpu | {"accelerator": "H100"}) == "H100"
    records = [{"hardware": cpu}, {"hardware": cpu | {"accelerator": "H100"}}, {"hardware": cpu}]
    assert machines(records) == "Xeon, 2 threads; H100"


def test_run_json_holds_versions_and_hardware(finished):
    record = Run(finished).record()
    assert torch.__version__.startswith(record["versions"]["torch"])
    assert record["versions"]["numpy"] == np.__version__
    assert record["hardware"]["threads"] == 1
    assert record["hardware"]["device"] == "cpu"
    assert record["hardware"]["processor"]


def test_the_number_of_threads_is_set_and_recorded(photos, tmp_path):
    config = small_config(photos, epochs=1)
    next(start_run(config, tmp_path, threads=2))
    assert torch.get_num_threads() == 2
    assert Run(tmp_path).record()["hardware"]["threads"] == 2
