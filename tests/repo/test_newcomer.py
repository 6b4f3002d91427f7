"""README's first ten commands, typed in a fresh clone in its order, leave `git status` clean."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.training import PROJECT

from colorlib.photos import open_photos

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(sys.platform == "win32", reason="make is not part of Windows"),
]
TYPED_INSTEAD = {
    "make lab": "make lab LAB=--version",  # it serves until it is stopped
    "make reproduce": "make reproduce PROFILE=smoke",  # 25 minutes of training with the profile that auto chooses
    "make verify": "make verify QUICK=1",  # six minutes
    "make test": "make -n test",  # it would run this test
}
"""Commands of README that take longer than two minutes -> what is typed instead; all others are typed as they are."""


def first_commands(readme: str) -> list[str]:
    """README's first ten commands: the block that begins with `git clone`, then `make …` in the text after it."""
    block = re.search(r"```\n(git clone .+?)```", readme, flags=re.DOTALL)
    assert block
    lines = [re.split(r"  +#", line)[0].strip() for line in block[1].splitlines()]
    lines += re.findall(r"`(make [^`…]+)`", readme[block.end() :])
    return list(dict.fromkeys(lines))[:10]


def fresh_clone(folder: Path) -> None:
    """Clone the checkout with its uncommitted changes, and give it this interpreter as its .venv."""
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run([*git, "clone", "-q", str(PROJECT), str(folder)], check=True)
    changed = subprocess.run(
        ["git", "ls-files", "-z", "--modified", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, changed.split("\0")):
        (folder / name).unlink(missing_ok=True)
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    subprocess.run([*git, "add", "-A"], cwd=folder, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "clone"], cwd=folder, check=True)
    programs = {"python": "", "colorlib": "-m colorlib", "jupyter": "-m jupyter"}
    for name, module in programs.items():
        path = folder / ".venv" / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        path.chmod(0o755)
    pins = "".join((folder / name).read_text() for name in ("requirements.txt", "pyproject.toml"))
    (folder / ".venv" / "installed").write_text(f"{folder}\ndefault\n{pins}")


def test_the_first_ten_commands_leave_the_clone_as_it_was(tmp_path: Path):
    clone, album = tmp_path.resolve() / "its folder", tmp_path / "album"
    album.mkdir()
    commands = first_commands((PROJECT / "README.md").read_text(encoding="utf-8"))
    assert len(commands) == 10
    assert commands[0].startswith("git clone")
    assert commands[1] == "make setup"
    assert set(TYPED_INSTEAD) <= set(commands)
    fresh_clone(clone)
    photo = open_photos("bundled", "test")[0]
    from PIL import Image

    Image.fromarray(photo.load()).resize((48, 32)).save(album / "photo.png")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    for command in commands[1:]:
        typed = TYPED_INSTEAD.get(command, command).replace("PHOTO FOLDER …", f"'{album / 'photo.png'}'")
        done = subprocess.run(
            ["sh", "-c", typed], cwd=clone, env=environment | {"PYTHONPATH": str(clone)}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{typed}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        assert command != "make setup" or not done.stdout, "the environment of this test would be installed again"
        status = subprocess.run(
            ["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True
        ).stdout
        assert status == "", f"{typed}: {status}"
    assert len(list(album.iterdir())) == 2, "the colored copy"
    assert (clone / "results/smoke/report.html").is_file()
