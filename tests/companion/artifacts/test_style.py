"""Figures start from matplotlib's defaults: nobody's configuration changes a byte of them."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from colorlib.companion.artifacts import figures
from colorlib.profiles import PROJECT

USER = {
    "axes.grid": True,
    "axes.labelsize": "xx-large",
    "xtick.direction": "in",
    "savefig.transparent": True,
    "savefig.facecolor": "yellow",
    "figure.constrained_layout.use": True,
    "text.usetex": True,
    "lines.linewidth": 7,
}
"""Settings that scientists have in their matplotlibrc."""


def drawn(path: Path) -> bytes:
    with figures.style():
        figure = Figure(figsize=(2, 2))
        figure.subplots().plot([1, 2], [3, 1])
        figures.save(figure, path)
    return path.read_bytes()


@pytest.mark.parametrize("setting", USER)
def test_a_setting_of_the_user_changes_no_byte(tmp_path, setting):
    plain = drawn(tmp_path / "plain.png")
    with mpl.rc_context({setting: USER[setting]}):
        assert drawn(tmp_path / "other.png") == plain
        assert mpl.rcParams[setting] == USER[setting]


def test_every_figure_is_drawn_in_the_style():
    sources = [path for path in (PROJECT / "colorlib").rglob("*.py") if "Figure(" in path.read_text(encoding="utf-8")]
    assert len(sources) >= 4
    for path in sources:
        text = path.read_text(encoding="utf-8")
        assert text.count("with style():") >= text.count("= Figure(") > 0, path
        assert "rc_context" not in text, path


@pytest.mark.campaign
def test_commands_do_without_the_backend_of_the_user(tmp_path):
    code = "import sys; from colorlib.cli import main; status = main(sys.argv[1:]); import matplotlib; sys.exit(status)"
    environment = os.environ | {"COLORLIB_CACHE": str(tmp_path)}
    for backend in ("nonsense", "module://no_such_backend"):
        done = subprocess.run(
            [sys.executable, "-c", code, "data", "list"],
            env=environment | {"MPLBACKEND": backend}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
