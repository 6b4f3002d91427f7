"""The Makefile: what it is given reaches the command as it is, what it installs, and what cleaning deletes."""

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
