"""Tests of colorlib.profiles: the committed profiles, their folders, mistakes in a profile file."""

import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from colorlib.config import RunConfig
from colorlib.files import write_text
from colorlib.profiles import (
    PROFILES,
    PROJECT,
    changes_text,
    display_path,
    load_profile,
    replaced_folder,
    restore_runs,
    root_folder,
    training_folder,
)


@pytest.mark.parametrize("name", sorted(path.stem for path in PROFILES.glob("*.yaml")))
def test_every_profile_describes_runs(name):
    profile = load_profile(name)
    for seed in profile.seeds:
        config = profile.run_config(seed)
        assert config.seed == seed
        assert {field: getattr(config, field) for field in profile.settings} == profile.settings
    assert profile.results.parts[-2:] == ("results", name)
    assert profile.figures.parts[-2:] == ("figures", name)
    assert profile.run(profile.seeds[0]).parts[-2:] == (name, f"seed-{profile.seeds[0]}")


def test_the_profiles_have_their_documented_budgets():
    updates = {name: load_profile(name).config.updates for name in ("smoke", "cpu", "paper")}
    assert updates["cpu"] == 40 * 25
    assert updates["paper"] == 100 * 100
    assert updates["smoke"] < updates["cpu"]


def test_a_profile_on_other_photographs_has_folders_of_its_own():
    cpu = load_profile("cpu")
    fallback = cpu.on("bundled")
    assert fallback == load_profile("cpu-bundled")
    assert fallback.results.name == "cpu-bundled"
    assert fallback.figures.name == "cpu-bundled"
    assert fallback.config == replace(cpu.config, photos="bundled")
    assert fallback.on("bundled") == fallback
    smoke = load_profile("smoke")
    assert smoke.on("bundled") is smoke, "its photographs are the bundled ones"
    assert load_profile("smoke-bundled") == smoke


def test_a_profile_on_other_photographs_is_found_by_its_name():
    chosen = load_profile("cpu-imagenet-sample@256")
    assert chosen == load_profile("cpu").on("imagenet-sample@256")
    assert chosen.photos == "imagenet-sample@256"
    assert chosen.results.name == "cpu-imagenet-sample@256"
    with pytest.raises(ValueError, match=r"'flickr'.*bsds500"):
        load_profile("cpu-flickr")


def test_seeds_can_be_given_each_once():
    assert load_profile("cpu", seeds=(3, 4)).seeds == (3, 4)
    with pytest.raises(ValueError, match=r"seeds 3, 4, 3\b"):
        load_profile("cpu", seeds=(3, 4, 3))


def test_results_and_figures_lie_below_the_given_root(tmp_path):
    profile = load_profile("cpu", root=tmp_path)
    assert profile.run(0) == tmp_path / "results" / "cpu" / "seed-0"
    assert profile.sweep("outlook") == tmp_path / "results" / "cpu" / "sweeps" / "outlook"
    assert profile.figures == tmp_path / "figures" / "cpu"
    assert profile.on("bundled").results == tmp_path / "results" / "cpu-bundled"
    assert load_profile("cpu", root="") == load_profile("cpu")
    assert root_folder("") == root_folder(None) == PROJECT
    assert root_folder(str(tmp_path)) == tmp_path


def test_the_method_changes_of_a_profile_are_those_from_the_papers():
    assert load_profile("paper").changes == {}
    other = replace(load_profile("cpu"), settings={"network": "unet", "ema": 0.9, "epochs": 3})
    assert other.changes == {"network": "unet", "ema": 0.9}
    assert changes_text(other.changes) == "network=unet, ema=0.9"
    assert changes_text({}) == "nothing"


def test_paths_are_displayed_relative_to_the_checkout(tmp_path):
    assert display_path(PROJECT / "results" / "cpu") == "results/cpu"
    assert display_path(tmp_path) == str(tmp_path)


def test_an_unknown_profile_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="'tpu'") as error:
        load_profile("tpu")
    known = {"bundled", "cpu", "lightweight", "paper", "paper-cifar10", "small", "smoke"}
    assert known <= set(re.findall(r"[\w-]+", str(error.value)))
    with pytest.raises(ValueError, match="'tpu-bundled'"):
        load_profile("tpu-bundled")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 3", r"'epoch'.*\bepochs\b"),
        ("5: 3", r"\b5\b"),
        ("epochs: many", r"epochs='many'.*\bint\b"),
        ("epochs: 0", r"epochs=0\b.*\b1\b"),
        ("epochs: [1", "while parsing"),
        ("", "setting: value"),
        ("- epochs", "setting: value"),
        ("seeds: 3", r"seeds=3\b.*\[0, 1\]"),
        ("seeds: []", r"seeds=\[\].*\[0, 1\]"),
        ("seeds: [a]", r"seed='a'.*\bint\b"),
    ],
)
def test_a_mistake_in_a_profile_is_named_with_the_file(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"(?s)mine\.yaml.*{message}"):
        load_profile("mine", folder=tmp_path)


def test_a_profile_that_names_no_photographs_takes_other_ones_too(tmp_path):
    (tmp_path / "mine.yaml").write_text("epochs: 2")
    assert load_profile("mine", folder=tmp_path).run_config(1) == RunConfig(epochs=2, seed=1)
    assert load_profile("mine-bundled", folder=tmp_path).config.photos == "bundled"


KILLED_BETWEEN_THE_RENAMES = """
import os, signal, sys
from pathlib import Path
from colorlib.companion.pipeline import replace_run

rename = Path.rename
def killed(path, target):
    rename(path, target)
    os.kill(os.getpid(), signal.SIGKILL)
Path.rename = killed
replace_run(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_run_whose_replacement_was_killed_is_put_back(tmp_path: Path):
    run = replace(load_profile("cpu"), root=tmp_path).run(0)
    write_text(run / "history.csv", "committed")
    write_text(training_folder(run) / "history.csv", "new")
    done = subprocess.run([sys.executable, "-c", KILLED_BETWEEN_THE_RENAMES, str(run)], cwd=PROJECT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not run.exists()
    restore_runs(tmp_path / "results")
    assert (run / "history.csv").read_text() == "committed"
    assert not replaced_folder(run).exists()
    assert (training_folder(run) / "history.csv").read_text() == "new", "the next training takes it up"


def test_a_run_that_was_replaced_stays(tmp_path: Path):
    run = replace(load_profile("cpu"), root=tmp_path).run(0)
    write_text(run / "history.csv", "new")
    write_text(replaced_folder(run) / "history.csv", "committed")  # killed before it was deleted
    restore_runs(tmp_path / "results")
    assert (run / "history.csv").read_text() == "new"


def test_a_name_that_no_file_can_have_is_no_profile(tmp_path: Path):
    with pytest.raises(ValueError, match="there is no profile 'pape9999"):
        load_profile("pape" + "9" * 400, folder=tmp_path)
