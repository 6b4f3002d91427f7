"""The map in the package docstring is true: every module is in it, and imports point down only."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import colorlib
from colorlib.provenance import imported_modules

PACKAGE = Path(colorlib.__file__).parent
NEEDED = {"numpy", "torch", "PIL", "safetensors", "filelock"}
"""What floors 0-5 may import when they are imported."""
WHEN_CALLED = {
    "datasets": {"torchvision"},
    "places": {"pooch", "requests"},
    "profiles": {"yaml"},
}
"""What else their functions may import when they are called."""


def parse_map(docstring: str) -> dict[str, int]:
    """The table between the fences: module -> floor."""
    (table,) = re.findall(r"```\n(.*?)\n```", docstring, flags=re.DOTALL)
    rows = [re.fullmatch(r"(\d)  (\w+)/? +(\S.*)", line) for line in table.splitlines()]
    assert all(rows), table
    floors = {row[2]: int(row[1]) for row in rows if row}
    assert len(floors) == len(rows), "a module stands on one floor"
    return floors


FLOORS = parse_map(colorlib.__doc__ or "")


def module_name(path: Path) -> str:
    """`colorlib/companion/figures.py` -> `companion.figures`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


SOURCES = {module_name(path): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


def imports(source: str, module: str) -> set[str]:
    """Every absolute dotted name that a module's source imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = f"colorlib.{module}".split(".")[: -node.level] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def own_imports(module: str) -> set[str]:
    """The modules of the package that `module` imports, each by its name within the package."""
    found = set()
    for name in imports(SOURCES[module], module):
        top, *inner = name.split(".")
        if top == "colorlib":
            # `from colorlib.model import Head`: the longest part that is a module.
            known = [".".join(inner[:end]) for end in range(len(inner), 0, -1)]
            found.add(next((name for name in known if name in SOURCES or f"{name}.__init__" in SOURCES), "__init__"))
    return found


def row(module: str) -> str:
    """The line of the map that a module belongs to: its folder's, if it is in one."""
    return module.split(".")[0]


MODULES = [name for name in SOURCES if name != "__init__"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import colorlib.trainer", {"colorlib.trainer"}),
        ("from colorlib import trainer", {"colorlib.trainer"}),
        ("from colorlib.trainer import train as t", {"colorlib.trainer.train"}),
        ("from .trainer import train", {"colorlib.companion.trainer.train"}),
        ("from ..trainer import train", {"colorlib.trainer.train"}),
        ("from . import figures", {"colorlib.companion.figures"}),
        ("def f():\n    if True:\n        import pandas as pd, numpy", {"pandas", "numpy"}),
    ],
)
def test_no_way_of_importing_goes_unseen(source, expected):
    assert imports(source, "companion.report") == expected


def test_the_map_and_the_package_hold_the_same_modules():
    assert {row(module) for module in MODULES} == set(FLOORS)


def test_the_map_stands_in_order():
    assert list(FLOORS.values()) == sorted(FLOORS.values())
    by_floor = [(floor, name) for name, floor in FLOORS.items()]
    assert by_floor == sorted(by_floor), "a floor's modules stand in alphabetical order"


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    for imported in own_imports(module) - {"__init__"}:
        inside = row(imported) == row(module) == "companion"
        assert inside or FLOORS[row(imported)] < FLOORS[row(module)], f"{module} imports {imported}"


def test_the_table_can_refuse():
    """What the architecture forbids by name is above the one it is forbidden to."""
    assert FLOORS["trainer"] >= max(FLOORS[reader] for reader in ("colorizer", "evaluate", "scoring", "runs"))
    assert FLOORS["cli"] > FLOORS["companion"] > FLOORS["trainer"]


def test_companion_has_no_circles():
    graph = {
        module: {name for name in own_imports(module) if row(name) == "companion"} - {module}
        for module in SOURCES
        if row(module) == "companion"
    }
    assert graph
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("module", [module for module in MODULES if FLOORS[row(module)] <= 5])
def test_floors_0_to_5_need_no_notebook_package(module):
    foreign = {name.split(".")[0] for name in imports(SOURCES[module], module)} - sys.stdlib_module_names - {"colorlib"}
    assert foreign <= NEEDED | WHEN_CALLED.get(module, set())
    top_level = ast.Module([node for node in ast.parse(SOURCES[module]).body if not defines(node)], [])
    at_import = {name.split(".")[0] for name in imports(ast.unparse(top_level), module)}
    assert at_import - sys.stdlib_module_names - {"colorlib"} <= NEEDED


def defines(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.ClassDef)


def test_the_package_itself_imports_nothing_until_it_is_asked_for_something():
    assert imports(SOURCES["__init__"], "__init__") == {"typing.TYPE_CHECKING", "colorlib.coloring.load_colorizer"}
    assert colorlib.load_colorizer.__module__ == "colorlib.coloring"
    with pytest.raises(AttributeError, match="no attribute 'no_such_thing'"):
        colorlib.no_such_thing  # noqa: B018


def test_the_digest_of_the_source_covers_all_that_the_trainer_imports():
    reached, waiting = set(), ["trainer"]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += own_imports(module) - {"__init__"}
    assert {"model", "keys", "images", "objectives", "files"} <= reached
    assert imported_modules("colorlib.trainer") == sorted(f"colorlib.{module}" for module in reached)


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
