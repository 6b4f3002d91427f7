"""The map in the package docstring names every module, and nothing heavy is imported before it is needed.

That imports point down only, without circles, is import-linter's to check (`lint-imports`, pyproject.toml).
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import colorlib
from colorlib.provenance import imported_modules

PACKAGE = Path(colorlib.__file__).parent
PATHS = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name not in ("__init__.py", "__main__.py")]
MODULES = [".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PATHS]
LIBRARY = [module for module in MODULES if not module.startswith("companion") and module != "cli"]
NEEDED = {"numpy", "torch", "PIL", "pyvips", "safetensors", "filelock"}
"""Packages that the library outside companion/ may import when it is imported."""
WHEN_CALLED = {
    "files": {"yaml"},
    "photos.sources": {"torchvision"},
    "photos.download": {"pooch", "requests"},
    "photos.registry": {"tqdm"},
}
"""Packages that its functions may import when they are called."""


def named_in_map() -> list[str]:
    """The modules in the fenced part of the package docstring: folders are indented headings, `photos/`."""
    (table,) = re.findall(r"```\n(.*?)\n```", colorlib.__doc__ or "", flags=re.DOTALL)
    found, folders = [], []
    for line in table.splitlines():
        row = re.match(r"( *)([\w./]+(?:, \w+)*)  ", line)
        if row is None:
            continue
        del folders[len(row[1]) // 4 :]
        if row[2].endswith("/"):
            folders.append(row[2].rstrip("/"))
        else:
            found += [".".join([*folders, name]) for name in row[2].split(", ")]
    return [name for name in found if name != "__main__"]


def foreign_imports(tree: ast.AST) -> set[str]:
    """The packages that source imports, those of Python and of this project aside."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import would be missing in the digest of the source"
            names.add((node.module or "").split(".")[0])
    return names - sys.stdlib_module_names - {"colorlib"}


def parsed(module: str) -> ast.Module:
    return ast.parse(PACKAGE.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8"))


def test_the_map_names_every_module_once():
    assert sorted(named_in_map()) == sorted(MODULES)


@pytest.mark.parametrize("module", LIBRARY)
def test_the_library_needs_no_notebook_package(module):
    tree = parsed(module)
    assert foreign_imports(tree) <= NEEDED | WHEN_CALLED.get(module, set())
    outside_functions = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert foreign_imports(ast.Module(outside_functions, [])) <= NEEDED


@pytest.mark.parametrize("path", PATHS, ids=MODULES)
def test_imports_are_absolute(path):
    foreign_imports(ast.parse(path.read_text(encoding="utf-8")))


def test_the_package_loads_nothing_until_it_is_asked():
    assert colorlib.load_colorizer.__module__ == "colorlib.colorize.colorizer"
    with pytest.raises(AttributeError, match="no_such_thing"):
        colorlib.no_such_thing  # noqa: B018


def test_the_digest_of_the_source_covers_all_that_the_trainer_loads():
    look = "import sys, colorlib.trainer\nprint(*sorted(name for name in sys.modules if name.startswith('colorlib.')))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, cwd=PACKAGE.parent, check=True)
    assert set(done.stdout.split()) <= set(imported_modules("colorlib.trainer"))


@pytest.mark.parametrize(
    "code",
    [
        "import colorlib",
        "import contextlib, colorlib.cli\nwith contextlib.suppress(SystemExit):\n    colorlib.cli.main(['--help'])",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code):
    look = "\nimport sys\nprint('LOADED', sorted({'torch', 'numpy', 'PIL', 'tqdm', 'filelock'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + look], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED []"
