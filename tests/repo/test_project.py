"""What stands beside the code: the environment, the Makefile, the README, the profiles, the licenses.

Situations of users that no test here can make, and what stands for them:

- Windows (Git Bash with make, a checkout with CRLF), macOS on Apple silicon, Linux on arm64: other systems. Wheels with
  a SHA-256 exist for each of them and for Python 3.11 to 3.14; `make lock` refuses versions that do not resolve.
- JupyterHub, a shared .venv of another user, a base conda: other owners; foreign kernelspecs and
  JUPYTER_PREFER_ENV_PATH=0 stand for them (test_notebooks).
- SLURM and clusters: a Dask scheduler on this machine (test_process).
- Processors without AVX-512 or with another BLAS: emulated by ATEN_CPU_CAPABILITY and OPENBLAS_CORETYPE
  (test_evaluate).
- conda: its solver downloads an environment of its own; environment.yml is compared with requirements.txt.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from colorlib.companion.report.page import MARKERS, README, current
from colorlib.profiles import PROJECT

PINS = {
    Requirement(line).name: Requirement(line)
    for line in re.sub(r" *\\\n +--hash=\S+", "", (PROJECT / "requirements.txt").read_text()).splitlines()
}


def test_every_package_is_pinned_and_every_dependency_is_met():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for text in (*project["dependencies"], *extras["companion"], *extras["cluster"], *extras["dev"]):
        wanted = Requirement(text)
        pin = next(specifier for specifier in PINS[wanted.name].specifier)
        assert pin.operator == "=="
        assert wanted.specifier.contains(pin.version), (
            f"requirements.txt has {PINS[wanted.name]}, not {wanted}: make lock"
        )
    for line in PINS.values():
        assert [specifier.operator for specifier in line.specifier] == ["=="]


def pins_with_hashes(text: str) -> dict[str, list[str]]:
    """Package -> SHA-256 of its files, of a list of pins."""
    lines = [line.split(" --hash=") for line in re.sub(r" *\\\n +", " ", text).splitlines()]
    found: dict[str, list[str]] = {}
    for requirement, *hashes in lines:
        found.setdefault(Requirement(requirement).name, []).extend(hashes)
    return found


def test_every_pin_has_the_sha256_of_its_files_and_no_address():
    text = (PROJECT / "requirements.txt").read_text()
    for name, hashes in pins_with_hashes(text).items():
        assert hashes, f"{name} has no hash: make lock"
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", given) for given in hashes), name
    assert "://" not in text
    assert not re.search(r"^(-i|--index|--extra-index|--find-links|-f|#)", text, flags=re.MULTILINE)


def test_the_users_packages_are_there():
    chosen = {"torch", "torchvision", "jupyterlab", "nbconvert", "papermill", "matplotlib", "pandas", "scikit-image"}
    assert chosen <= set(PINS)


def test_conda_users_get_the_same_environment():
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text())
    (python,) = [item for item in environment["dependencies"] if isinstance(item, str) and item.startswith("python=")]
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert re.fullmatch(r"python=3\.\d+\.\d+", python)
    assert Requirement(f"python{project['requires-python']}").specifier.contains(Version(python.split("=")[1]))
    (pip,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    # With hashes, pip installs nothing editable in the same call: README has that as a command of its own.
    assert pip == ["-r requirements.txt"]
    assert "pip install --no-deps -e ." in README.read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="make is not part of Windows")
def test_the_small_build_leaves_out_what_only_cuda_needs():
    recipe = subprocess.run(
        ["make", "-n", "install", "TORCH=cpu"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    lists = {}
    for command, name in re.findall(r"^(awk .+) > \S+/(requirements-\w+\.txt)$", recipe, flags=re.MULTILINE):
        done = subprocess.run(["sh", "-c", command], cwd=PROJECT, capture_output=True, text=True, check=True)
        lists[name] = pins_with_hashes(done.stdout)
    small, everything = lists["requirements-cpu.txt"], pins_with_hashes((PROJECT / "requirements.txt").read_text())
    left_out = set(everything) - set(small)
    assert left_out
    assert all(re.match(r"nvidia|cuda|triton", name) for name in left_out)
    # PyTorch's CPU builds are other files than those of the list; everything else is compared.
    assert {name for name, hashes in small.items() if hashes != everything[name]} == {"torch", "torchvision"}
    assert small["torch"] == small["torchvision"] == []
    assert lists["requirements-uv.txt"] == {"uv": everything["uv"]}
    assert "--require-hashes" in recipe


@pytest.mark.skipif(sys.platform == "win32", reason="make is not part of Windows")
def test_make_alone_prints_the_targets_a_line_each():
    printed = subprocess.run(["make"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^ *make (\S+) +\S", printed, flags=re.MULTILINE))
    assert {
        "setup", "lock", "doctor", "reproduce", "figure1", "figures2_3", "table1", "report", "readme", "lab", "check",
        "test", "clean",
    } <= targets  # fmt: skip


def test_the_readme_holds_what_results_hold():
    text = README.read_text(encoding="utf-8")
    assert len(MARKERS.findall(text)) == text.count("<!-- end -->") == 4
    assert current(text) == text, "README.md is stale: make readme"


def words(markdown: str) -> int:
    """Number of words of a text, without blocks of code, addresses of links and marks of tables."""
    text = re.sub(r"```.*?```|<!--.*?-->|(?<=\])\([^)]*\)", "", markdown, flags=re.DOTALL)
    return len(re.findall(r"\S*\w\S*", text))


def test_the_readme_is_read_in_a_few_minutes():
    assert 400 < words(README.read_text(encoding="utf-8")) <= 900


PAGES = ("README.md", "notebooks/README.md", "colorlib/colorize/README.md")
"""Pages that a reader of the repository sees."""


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_only_what_exists(page: str):
    text = (PROJECT / page).read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!http)([^)#]+)(?:#([^)]+))?\)", text):
        path = (PROJECT / page).parent / target
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in headings}, anchor
    for command in re.findall(r"(?:`|^)make ([a-z][a-z0-9_]+)", text, flags=re.MULTILINE):
        assert re.search(rf"^{command}:", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE), command


def test_the_continuous_integration_runs_the_readmes_test_command():
    assert (PROJECT / ".ci" / "run").read_text().rstrip().endswith("make test")
    assert "make test" in README.read_text()


def test_nothing_personal_is_tracked():
    if not (PROJECT / ".git").exists():
        pytest.skip("this is an archive without git, which says what is tracked")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        path = PROJECT / name
        if not path.is_file():
            continue
        text = path.read_bytes()
        assert str(PROJECT).encode() not in text, f"{name} holds a path of this machine"


@pytest.mark.skipif(sys.platform == "win32", reason="the workflow's shell is that of Linux")
def test_the_published_pages_are_gathered_at_the_paths_of_their_links(tmp_path):
    if not (PROJECT / ".git").exists():
        pytest.skip("this is an archive without git, which says what is tracked")
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "pages.yml").read_text(encoding="utf-8"))
    (script,) = [step["run"] for step in workflow["jobs"]["publish"]["steps"] if "run" in step]
    variables = tmp_path / "variables"
    script = script.replace("/tmp/", f"{tmp_path}/")
    subprocess.run(
        ["bash", "-e", "-c", script], cwd=PROJECT, env=os.environ | {"GITHUB_ENV": str(variables)}, check=True
    )
    site = Path(variables.read_text().strip().removeprefix("SITE="))
    page = (site / "index.html").read_text()
    for target in re.findall(r'(?:href|url)="?=?([\w/.-]+\.html)', page):
        assert (site / target).read_bytes() == (PROJECT / target).read_bytes()
    assert (site / "results/lightweight/colorize.html").is_file()
    assert not list(site.rglob("*.safetensors"))


def test_the_campaign_lost_nothing_and_readme_and_log_have_its_figures():
    text = (PROJECT / "results" / "campaign.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "][1:]
    found = {row[0]: (int(row[2].replace(",", "")), int(row[3])) for row in rows}
    assert "whole campaign" in text
    assert [name for name, (_, lost) in found.items() if lost] == []
    kills = sum(tried for name, (tried, _) in found.items() if name.startswith("kills of"))
    files, calls, machines = (
        found[name][0]
        for name in ("mutated files", "failing calls of a checkpoint's writing", "verify on emulated machines")
    )
    assert files >= 2000
    assert kills >= 100
    figures = [f"{files:,} mutated files", f"{kills} kills", f"{calls} failing calls", f"{machines} verifications"]
    for place in ("README.md", "results/LOG.md"):
        written = " ".join((PROJECT / place).read_text(encoding="utf-8").split())
        assert [figure for figure in figures if figure not in written] == [], place
