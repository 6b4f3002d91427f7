"""The Makefile: what it is given reaches the command as it is, what it installs, and what cleaning deletes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.training import PROJECT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="make is not part of Windows")


def make(*arguments: str, folder: Path = PROJECT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("given", ["folder:/My Photos", "it's", "a;b", "$$HOME", "*"])
def test_values_are_one_word_of_the_shell(given: str):
    done = make("-n", "reproduce", f"PHOTOS={given}", "PROFILE=cpu")
    (line,) = [line for line in done.stdout.splitlines() if "colorlib reproduce" in line]
    words = subprocess.run(
        ["sh", "-c", f"set -- {line.split('colorlib reproduce')[1]}; printf '%s\\n' \"$@\""],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert words == ["--profile", "cpu", "--photos", given.replace("$$", "$")]


@pytest.mark.parametrize("target", ["claims", "reproduce", "figure1", "report"])
def test_force_reaches_the_command(target: str):
    assert "--force" in make("-n", target, "FORCE=1").stdout
    assert "--force" not in make("-n", target).stdout


@pytest.mark.parametrize("name", ["profile", "seeds", "photos"])
def test_settings_in_small_letters_are_refused(name: str):
    done = make("-n", "reproduce", f"{name}=cpu")
    assert done.returncode != 0
    assert name in done.stderr


def test_cleaning_deletes_caches_and_nothing_else(tmp_path: Path):
    shutil.copy(PROJECT / "Makefile", tmp_path)
    for folder in ("colorlib", "tests", "notebooks/mine", "notebooks/mine (old)/.ipynb_checkpoints", "notebooks/Bob's"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "colorlib" / "__pycache__").mkdir()
    (tmp_path / "notebooks" / "Bob's" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "notebooks" / "mine" / "notes.ipynb").write_text("work")
    assert make("clean", folder=tmp_path).returncode == 0
    assert (tmp_path / "notebooks" / "mine" / "notes.ipynb").read_text() == "work"
    assert not list(tmp_path.rglob("__pycache__"))
    assert not list(tmp_path.rglob(".ipynb_checkpoints"))
    assert (tmp_path / "notebooks" / "mine (old)").is_dir()


def test_cleaning_runs_without_git_says_so(tmp_path: Path):
    shutil.copy(PROJECT / "Makefile", tmp_path)
    for folder in ("colorlib", "tests", "notebooks"):
        (tmp_path / folder).mkdir()
    done = subprocess.run(
        ["make", "clean-runs"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
    )  # fmt: skip
    assert done.returncode != 0
    assert "git" in done.stderr


def test_a_copied_checkout_and_a_link_as_venv(tmp_path: Path):
    first, copy = tmp_path / "first", tmp_path / "a copy"
    (first / ".venv").mkdir(parents=True)
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(PROJECT / name, first)
    pins = "".join((first / name).read_text() for name in ("requirements.txt", "pyproject.toml"))
    (first / ".venv" / "installed").write_text(f"{first.resolve()}\ndefault\n{pins}")
    assert make("setup", folder=first).stdout == "", "it is installed"
    shutil.copytree(first, copy)
    done = make("setup", "PYTHON=/no/such/python", folder=copy)
    assert done.returncode != 0, "its .venv belongs to another folder: the packages are installed again"
    # A link to a larger disk is not committed either
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    shutil.copy(PROJECT / ".gitignore", copy)
    shutil.rmtree(copy / ".venv")
    (copy / ".venv").symlink_to(first / ".venv")
    ignored = subprocess.run(["git", "check-ignore", ".venv"], cwd=copy, capture_output=True, check=False)
    assert ignored.returncode == 0


def test_the_users_pip_configuration_sends_packages_nowhere_else(tmp_path: Path):
    shown = subprocess.run(
        ["make", "-s", "-f", str(PROJECT / "Makefile"), "--eval", "show: ; @echo $$PIP_USER", "show"],
        cwd=tmp_path, env=os.environ | {"PIP_USER": "1"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert shown.strip() == "0"


def test_targets_never_run_at_once():
    assert re.search(r"^\.NOTPARALLEL:$", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE)


def test_options_of_the_lab_are_passed_and_a_missing_folder_of_photographs_stops_it(tmp_path: Path):
    jupyter = tmp_path / ".venv" / "bin" / "jupyter"
    jupyter.parent.mkdir(parents=True)
    jupyter.write_text('#!/bin/sh\necho "$COLORLIB_DATA" "$@"\n')
    jupyter.chmod(0o755)
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(PROJECT / name, tmp_path)
    pins = "".join((PROJECT / name).read_text() for name in ("requirements.txt", "pyproject.toml"))
    (tmp_path / ".venv" / "installed").write_text(f"{tmp_path.resolve()}\ndefault\n{pins}")
    (tmp_path / "photos").mkdir()

    def lab(data: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["make", "-s", "lab", "LAB=--allow-root --port 9000"],
            cwd=tmp_path, env=os.environ | {"COLORLIB_DATA": data}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    started = lab("photos")
    assert started.stdout.split()[0] == str(tmp_path.resolve() / "photos")
    assert started.stdout.split()[-3:] == ["--allow-root", "--port", "9000"]
    refused = lab("nothing")
    assert refused.returncode != 0
    assert "COLORLIB_DATA is nothing" in refused.stderr
    assert refused.stdout == ""
