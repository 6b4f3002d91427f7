"""Functions for notebook cells: run directories, lines of training, provenance."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from helpers.results import write_history
from helpers.training import run_record

from colorlib.companion import notebook_helpers
from colorlib.companion.notebook_helpers import (
    SCRATCH,
    check_given_parameters,
    figures_folder,
    open_profile,
    read_root,
    where,
)
from colorlib.companion.notebooks import parameters_of
from colorlib.companion.steps import files, inputs
from colorlib.companion.tables import Column, Table
from colorlib.config import RunConfig
from colorlib.files import write_text
from colorlib.profiles import NOTEBOOKS, PROJECT, load_profile
from colorlib.runs import Epoch, Notice, Update


def test_training_lines_are_the_same_after_an_interruption():
    epochs = [Epoch(epoch=e, step=e, training_loss=0.5 / e, validation_loss=0.4 / e) for e in (1, 2)]
    config = RunConfig(epochs=2)
    through = [Update(epoch=1, step=1), epochs[0], Update(epoch=2, step=2), epochs[1]]
    resumed = [Notice(text="a damaged checkpoint"), epochs[0], Update(epoch=2, step=2), epochs[1]]
    lines = list(notebook_helpers.epoch_lines(through, config))
    assert list(notebook_helpers.epoch_lines(resumed, config)) == lines
    assert len(lines) == 2
    assert re.match(r"epoch +1\b.*\b2\b.*\b0\.50000\b.*\b0\.40000\b", lines[0])


def test_a_finished_run_has_the_lines_of_its_training(tmp_path: Path):
    write_history(tmp_path, 3, 0.01)
    lines = list(notebook_helpers.epoch_lines(notebook_helpers.recorded_epochs(tmp_path), RunConfig(epochs=3)))
    assert [line.split()[1] for line in lines] == ["1", "2", "3"]
    assert "0.03000" in lines[0]
    assert "0.02000" in lines[0]


def test_a_run_directory_is_named_by_its_settings(tmp_path: Path):
    first, second = RunConfig(seed=0), RunConfig(seed=1)
    folders = {notebook_helpers.run_directory("", config, "resume") for config in (first, second, first)}
    assert len(folders) == 2
    assert {folder.parent.name for folder in folders} == {"scratch"}
    assert notebook_helpers.run_directory("results/cpu/seed-0", first, "show") == PROJECT / "results/cpu/seed-0"
    assert notebook_helpers.run_directory(str(tmp_path / "x"), first, "resume") == tmp_path / "x"
    with pytest.raises(ValueError, match=r"mode\b.*'again'.*\bresume\b.*\brestart\b.*\bshow\b"):
        notebook_helpers.run_directory("", first, "again")


def test_sentences_are_printed_and_a_table_is_shown_if_there_is_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    shown: list[object] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append(data))
    notebook_helpers.show(["one", "two"], None)
    assert capsys.readouterr().out == "one\ntwo\n"
    assert shown == []
    table = Table(data=pd.DataFrame([{"a": 1}]), columns=[Column(name="a")], caption="c")
    notebook_helpers.show([], table)
    assert shown[0] == {"text/html": table.html()}


def test_provenance_has_settings_photographs_and_machine_of_a_run(tmp_path: Path):
    stretch = {"from_update": 4, "versions": {}, "hardware": {"processor": "Another", "threads": 8, "device": "cpu"}}
    record = run_record(config={"seed": 3}, versions={"torch": "2"}, stretches=[stretch])
    record["photos"]["train"] = {"count": 2, "sha256": "ab" * 32}
    write_text(tmp_path / "run.json", json.dumps(record))
    shown = dict(notebook_helpers.provenance_table(tmp_path).data.itertuples(index=False))
    assert shown["seed"] == "3"
    (photographs,) = [value for name, value in shown.items() if name.startswith("train ")]
    assert photographs.startswith("2, ")
    assert "abab" in photographs
    assert any(value.startswith("cdcd") for value in shown.values())
    assert shown["threads"] == "2"
    assert shown["torch"] == "2"
    assert any("4" in name and "Another" in value and "8" in value for name, value in shown.items())


def test_a_notebook_opened_by_hand_reads_copies_and_writes_into_scratch(tmp_path: Path):
    checkout = replace(load_profile("cpu"), root=tmp_path)
    for path in (*inputs(checkout)["figure1"], *files(checkout, "figure1")):
        write_text(path, "committed")
    found = open_profile("cpu", "figure1", checkout=tmp_path)
    assert found.results.is_relative_to(tmp_path / "results" / "scratch")
    assert found.figures.is_relative_to(tmp_path / "results" / "scratch")
    assert [path.read_text() for path in inputs(found)["figure1"]] == ["committed"] * len(inputs(found)["figure1"])
    # Copies follow the checkout
    history = checkout.run(0) / "history.csv"
    write_text(history, "changed")
    files(checkout, "data")[1].unlink()
    open_profile("cpu", "figure1", checkout=tmp_path)
    assert (found.run(0) / "history.csv").read_text() == "changed"
    assert not files(found, "data")[1].exists()


def test_the_pipeline_names_the_folder(tmp_path: Path):
    assert open_profile("cpu", "figure1", seeds=[3], root="") == load_profile("cpu", seeds=(3,))
    assert open_profile("cpu", root=str(tmp_path)).results == tmp_path / "results" / "cpu"
    assert (read_root(SCRATCH), read_root("x")) == ("", "x")
    figures = tmp_path / "figures" / "cpu"
    assert figures_folder(figures, SCRATCH) == open_profile("cpu", checkout=tmp_path).figures
    assert figures_folder(figures, "") == figures


def test_a_function_is_named_by_its_file_and_its_parameters():
    assert where(open_profile) == (
        "colorlib/companion/notebook_helpers.py: open_profile(name, results, seeds, root, checkout)"
    )
    assert where(Table.save) == "colorlib/companion/tables.py: Table.save(csv_path, markdown_path)"


def test_every_notebook_is_in_the_table_of_notebooks():
    listed = re.findall(r"^\| `(\w+)` \|", (NOTEBOOKS / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed[: len(list(NOTEBOOKS.glob("*.ipynb")))] == sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def test_every_notebook_writes_into_scratch_by_default():
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        defaults = parameters_of(path)
        assert SCRATCH in (defaults.get("root"), defaults.get("profile")) or defaults.get("run") == "", path.name


def test_a_parameter_that_the_notebook_does_not_have_is_refused():
    """papermill warns of it, and would train with the default."""
    defaults = "learning_rate = 1e-3\nseed = 0"
    check_given_parameters(["", defaults, "# Parameters\nlearning_rate = 3e-4\n", "print()"])
    check_given_parameters(["", defaults, "learning_rat = 1"])
    check_given_parameters(["", "print()", "# Parameters\nseed = 1\n"])
    with pytest.raises(ValueError, match=r"\blearning_rat\b.*\blearning_rate\b"):
        check_given_parameters(["", defaults, "# Parameters\nseed = 1\nlearning_rat = 3e-4\n", "print()"])


@pytest.mark.slow
def test_papermill_ends_where_a_parameter_is_misspelled(tmp_path: Path):
    command = [sys.executable, "-m", "papermill", str(NOTEBOOKS / "02_train.ipynb"), str(tmp_path / "out.ipynb")]
    done = subprocess.run(
        [*command, "-p", "learning_rat", "3e-4", "-p", "run", str(tmp_path / "run")],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert re.search(r"ValueError: learning_rat\b.*\blearning_rate\b", done.stderr)
    assert not (tmp_path / "run").exists()
