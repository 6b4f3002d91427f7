"""Fixtures of the tests of sweeps."""

from pathlib import Path
from typing import Any

import pytest
from helpers.sweeps import stand_in, stub_notebook

from colorlib.companion.sweeps import run as sweep_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the stub notebook."""
    stub_notebook(tmp_path)
    return tmp_path


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Notebooks are not executed: this process writes the files of the stub. The list gets each one's parameters."""
    executed: list[dict[str, Any]] = []

    def execute(execution: Any, on_line: Any = None) -> None:
        executed.append(dict(execution.parameters))
        stand_in(execution)

    monkeypatch.setattr(sweep_run, "execute", execute)
    return executed
