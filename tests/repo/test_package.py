"""The package outside a clone: a wheel and torch.hub hold weights and profiles, and color as the clone does."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.pictures import smooth
from PIL import Image

from colorlib import load_colorizer
from colorlib.cli import main
from colorlib.photos import open_photos
from colorlib.profiles import PROFILES, PROJECT

HELD = [
    *sorted(PROFILES.glob("*.yaml")),
    *(
        PROJECT / "results" / profile / "seed-0" / name
        for profile in ("lightweight", "paper", "small")
        for name in ("run.json", "metrics.json", "weights.safetensors")
    ),
]
"""What a wheel holds of the checkout outside colorlib/."""


def run(*command: str | Path, cwd: Path, status: int = 0) -> str:
    """Run a program that finds this clone neither by working directory nor PYTHONPATH; return what it printed."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a source archive, built from a copy of the checkout, which stays clean."""
    folder = tmp_path_factory.mktemp("package")
    tree = folder / "tree"
    shutil.copytree(PROJECT / "colorlib", tree / "colorlib", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*HELD, *(PROJECT / name for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"))):
        copied = tree / path.relative_to(PROJECT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copied)
    build = "import sys, setuptools.build_meta; setuptools.build_meta.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", build, folder, cwd=tree)
    (archive,) = folder.glob("*.tar.gz")
    shutil.rmtree(tree)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, "--wheel-dir", folder, archive, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_a_wheel_holds_the_committed_weights_and_profiles(wheel: Path):
    expected = {path.relative_to(PROJECT).as_posix(): path.read_bytes() for path in HELD}
    with zipfile.ZipFile(wheel) as archive:
        prefix = "colorlib/project/"
        held = {name.removeprefix(prefix): archive.read(name) for name in archive.namelist() if name.startswith(prefix)}
        modules = {name for name in archive.namelist() if name.endswith(".py")}
    assert held == expected
    assert modules == {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "colorlib").rglob("*.py")}


INSTALLED = """
import sys
import colorlib, numpy as np
from PIL import Image
assert not colorlib.__file__.startswith(sys.argv[1]), colorlib.__file__
np.save("default.npy", colorlib.load_colorizer(device="cpu")(np.asarray(Image.open("photo.png"))))
"""


@pytest.mark.slow
def test_a_wheel_in_a_fresh_environment_colors_a_photograph_as_the_clone_does(wheel: Path, tmp_path: Path):
    # A virtual environment with this one's packages, but not with its colorlib
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, wheel, cwd=tmp_path)
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    (Path(packages) / "packages.pth").write_text(sysconfig.get_path("purelib"))
    # The same photograph, colored by the wheel and by the clone
    pixels = open_photos("bundled", "test")[0].load()[:120, :160].copy()
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    shutil.copy(tmp_path / "photo.png", tmp_path / "clone.png")
    run(python, "-m", "colorlib", "colorize", "photo.png", "--device", "cpu", "--exact", cwd=tmp_path)
    run(python, "-c", INSTALLED, PROJECT, cwd=tmp_path)
    assert main(["colorize", str(tmp_path / "clone.png"), "--device", "cpu", "--exact"]) == 0
    assert (tmp_path / "photo-colorized.png").read_bytes() == (tmp_path / "clone-colorized.png").read_bytes()
    assert np.array_equal(np.load(tmp_path / "default.npy"), load_colorizer(device="cpu")(pixels))
    # Profiles are there; what needs notebooks says so
    train = ("-m", "colorlib", "train", "run", "--profile", "smoke", "--set", "epochs=1", "--set", "crops_per_epoch=16")
    run(python, *train, "--device", "cpu", cwd=tmp_path)
    said = run(python, "-m", "colorlib", "reproduce", "--profile", "smoke", cwd=tmp_path, status=1)
    assert "clone" in said
    assert packages in said


def test_torch_hub_loads_the_colorizer():
    colored = torch.hub.load(str(PROJECT), "colorizer", source="local", device="cpu")(smooth(8, 8))
    assert np.array_equal(colored, load_colorizer(device="cpu")(smooth(8, 8)))
