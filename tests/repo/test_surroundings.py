"""What surrounds a command changes neither what it does nor what it writes: the locale, limits, users, folders."""

import multiprocessing
import os
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from helpers.sweeps import until
from helpers.training import PROJECT, SETTINGS, make_photos, result_bytes, set_options, small_config, train_run

from colorlib.companion.notebooks import Execution, execute
from colorlib.runs import Run

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="users, masks and limits of POSIX")]
FOREIGN_USER = 54_321
"""A user id without an entry in passwd."""


def training(run: Path, photos: Path, *, environment: dict[str, str], prefix: Sequence[str] = (), **more: Any) -> None:
    """Train a run of a second in a process of its own, started by the command `prefix`."""
    command = [sys.executable, "-m", "colorlib", "train", run, "--photos", f"folder:{photos}", *set_options(**SETTINGS)]
    done = subprocess.run(
        [*prefix, *map(str, command), "--device", "cpu", "--threads", "1"],
        env=environment | {"PYTHONPATH": str(PROJECT)},
        capture_output=True, text=True, check=False, **more,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos") / "photos")


@pytest.fixture(scope="module")
def expected(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of an undisturbed run."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    train_run(small_config(photos), run)
    return result_bytes(run)


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))


def test_a_run_in_poor_surroundings_is_the_same(tmp_path: Path, photos: Path, expected: dict[str, bytes]):
    """Train with ASCII names, no folder for temporary files, warnings as errors, no git, and little allowed."""
    (tmp_path / "bin").mkdir()
    environment = {
        "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONWARNINGS": "error",
        "TMPDIR": str(tmp_path / "none"), "PATH": str(tmp_path / "bin"),
    }  # fmt: skip
    training(tmp_path / "run", photos, environment=os.environ | environment, umask=0o077, preexec_fn=few_files, cwd="/")
    assert result_bytes(tmp_path / "run") == expected
    assert Run(tmp_path / "run").record()["commit"] is None


def test_a_user_without_a_home_and_a_name(tmp_path: Path, photos: Path, expected: dict[str, bytes]):
    other = ["unshare", "--user", f"--map-user={FOREIGN_USER}", f"--map-group={FOREIGN_USER}"]
    try:
        subprocess.run([*other, "true"], capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody become a user without a name (unshare --user)")
    nameless = {name: value for name, value in os.environ.items() if name not in ("HOME", "COLORLIB_CACHE", "USER")}
    nameless["PYTHONPATH"] = str(PROJECT)

    def refused(run: Path, **variables: str) -> str:
        done = subprocess.run(
            [*other, sys.executable, "-m", "colorlib", "train", run, "--photos", f"folder:{photos}", *set_options()],
            env=nameless | variables, cwd="/", capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        return line

    assert {"HOME", "COLORLIB_CACHE"} <= set(re.findall(r"\w+", refused(tmp_path / "run")))
    cache = {"COLORLIB_CACHE": str(tmp_path / "cache")}
    training(tmp_path / "run", photos, prefix=other, environment=nameless | cache, cwd="/")
    assert result_bytes(tmp_path / "run") == expected
    (tmp_path / "closed").mkdir(mode=0o555)
    assert str(tmp_path / "closed") in refused(tmp_path / "closed" / "run", **cache)


def test_a_terminated_command_leaves_no_kernel(tmp_path: Path):
    note = tmp_path / "pid"
    nb = nbformat.v4.new_notebook()
    cell = "import os, time\nfrom pathlib import Path\nPath(note).write_text(str(os.getpid()))\ntime.sleep(600)"
    nb.cells = [
        nbformat.v4.new_code_cell("note = ''", metadata={"tags": ["parameters"]}), nbformat.v4.new_code_cell(cell)
    ]  # fmt: skip
    nbformat.write(nb, tmp_path / "sleeps.ipynb")
    run = Execution(
        notebook=tmp_path / "sleeps.ipynb", output=tmp_path / "out.ipynb", record=tmp_path / "record.json",
        parameters={"note": str(note)}, outputs=(),
    )  # fmt: skip
    process = multiprocessing.get_context("spawn").Process(target=execute, args=(run,))
    process.start()
    try:
        until(lambda: note.is_file() and note.read_text() != "", seconds=60, what="the kernel")
        kernel = int(note.read_text())
        process.terminate()
        process.join(10)
        assert process.exitcode not in (None, 0)
        until(lambda: not psutil.pid_exists(kernel), seconds=10, what="the end of the kernel")
    finally:
        process.kill()


def test_git_never_changes_the_ends_of_lines():
    listed = subprocess.run(["git", "ls-files", "--eol"], cwd=PROJECT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    wrong = [
        line for line in listed.stdout.splitlines()
        if not re.search(r"^i/(lf|none|-text) +w/(lf|none|-text) +attr/(text=auto eol=lf|-text) *\t", line)
    ]  # fmt: skip
    assert wrong == []
