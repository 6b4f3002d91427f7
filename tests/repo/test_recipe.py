"""The recipes for a row of one's own, in notebooks/README.md, followed to the letter in a copy."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.training import PROJECT, make_photos, set_options

TEXT = (PROJECT / "notebooks" / "README.md").read_text(encoding="utf-8")
RECIPE = re.compile(r"`colorlib/(\w+)\.py`:\n\n```python\n(.*?)```\n\n[^`]*`(\"[\w-]+\": \w+,)`", re.DOTALL)
RECIPES = RECIPE.findall(TEXT)


def test_there_is_a_recipe_for_each_table():
    assert [module for module, _, _ in RECIPES] == ["model", "targets", "losses"]


@pytest.mark.slow
def test_a_row_is_one_class_and_one_line(tmp_path: Path):
    shutil.copytree(PROJECT / "colorlib", tmp_path / "colorlib", ignore=shutil.ignore_patterns("__pycache__"))
    for module, code, line in RECIPES:
        path = tmp_path / "colorlib" / f"{module}.py"
        (table,) = re.findall(r"^[A-Z]+: dict\[str, type\[\w+\]\] = \{\n", path.read_text(), re.MULTILINE)
        path.write_text(path.read_text().replace(table, f"{code}\n\n{table}    {line}\n"))
    photos = make_photos(tmp_path / "photos")
    chosen = set_options(network="one-layer", target="red-shift", objective="cubed")
    for arguments in (["train", "run", "--photos", f"folder:{photos}", *chosen], ["evaluate", "run"]):
        done = subprocess.run(
            [sys.executable, "-m", "colorlib", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert "network: MSE" in done.stdout
    assert (tmp_path / "run" / "metrics.json").is_file()
