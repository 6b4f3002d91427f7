"""The notebooks of a profile: their order, parameters, outputs and inputs."""

import dataclasses
import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from colorlib.companion import steps as steps_module
from colorlib.companion.notebooks import check_parameters, parameters_of
from colorlib.companion.steps import (
    COMPARED,
    FILES,
    PRIMARY,
    RUN_FILES,
    SMALL,
    Step,
    check_files,
    compared_profiles,
    cross_dataset_scores,
    files,
    inputs,
    needed,
    other_profile,
    shown_steps,
    steps,
)
from colorlib.config import RunConfig
from colorlib.evaluate import baseline_losses
from colorlib.files import write_text
from colorlib.profiles import NOTEBOOKS, PROFILES, PROJECT, Profile, load_profile, training_folder
from colorlib.provenance import imported_modules


def profile_in(root: Path, name: str, **changes: Any) -> Profile:
    return replace(load_profile(name), root=root, **changes)


def step_of(profile: Profile, name: str, *, train: bool = True) -> Step:
    (step,) = [step for step in steps(profile, train=train) if step.name == name]
    return step


# Files


def test_files_lie_in_the_folders_of_the_profile(tmp_path: Path):
    profile = profile_in(tmp_path, "cpu")
    assert files(profile, "scores", "figure1") == (
        tmp_path / "results/cpu/per_image.csv",
        tmp_path / "figures/cpu/figure1_loss_curve.png",
        tmp_path / "figures/cpu/figure1_loss_curve.svg",
    )
    every = [path for name in FILES for path in files(profile, name)]
    assert len(set(every)) == len(every)


def test_missing_files_are_named(tmp_path: Path):
    profile = profile_in(tmp_path, "cpu")
    with pytest.raises(ValueError, match=r"table1\.csv.*table1\.md") as caught:
        check_files(profile, "table1")
    assert "per_image" not in str(caught.value)
    for path in files(profile, "table1"):
        write_text(path, "")
    check_files(profile, "table1")


@pytest.mark.parametrize("name", ["cpu", "paper"])
def test_committed_results_have_their_files_and_inputs(name: str):
    profile = load_profile(name)
    for step in steps(profile, train=False):
        assert [path for path in step.outputs if not path.is_file()] == []
    # Not every sweep of the claims was run, and the pixels of one profile and hints of another are measured
    sweeps = ("summary.csv", "baselines-bsds500-val.csv")
    sweeps += tuple(path.name for path in files(profile, "pixels") if name != PRIMARY)
    sweeps += tuple(path.name for path in files(profile, "hint_scores"))
    elsewhere = () if name == PRIMARY else ("imagenet-sample@256", "cifar10")  # where that profile was not scored
    missing = [
        path for paths in inputs(profile).values() for path in paths
        if not path.is_file() and path.name not in sweeps and path.suffix != ".yaml"
        and not any(f"-{photos}-" in path.name for photos in elsewhere)
    ]  # fmt: skip
    assert missing == []


# Inputs


def test_figures_need_the_record_of_the_run_that_they_load(tmp_path: Path):
    profile = profile_in(tmp_path, "cpu")
    for result in ("figures2_3", "explore", "claims"):
        found = inputs(profile)[result]
        assert {profile.run(0) / "run.json", profile.run(0) / "weights.safetensors"} <= set(found)


def test_exploration_needs_the_kept_weights_and_the_training_photographs(tmp_path: Path):
    profile = profile_in(tmp_path, "cpu")
    step = step_of(profile, "explore")
    assert {path.name for path in step.inputs if path.parent.name == "epochs"} == {
        f"epoch-{epoch:03d}.safetensors" for epoch in profile.config.keep_epochs
    }
    assert step.photos == (profile.photos,)


def test_the_outlook_needs_the_file_of_its_sweep(tmp_path: Path):
    profile = profile_in(tmp_path, "cpu")
    write_text(profile.sweep("outlook") / "summary.csv", "")
    write_text(other_profile(profile, SMALL).sweep("data_scaling") / "summary.csv", "")
    point = other_profile(profile, PRIMARY).sweep("balance") / "0123456789" / "point.json"
    write_text(point, "{}")
    found = step_of(profile, "07_outlook").inputs
    assert {NOTEBOOKS / "sweeps" / "balance.yaml", point, point.with_name("run.json")} <= set(found)
    assert NOTEBOOKS / "sweeps" / "outlook.yaml" in found
    assert profile.sweep("outlook") / "summary.csv" in found
    assert tmp_path / "results" / SMALL / "sweeps/data_scaling/summary.csv" in found
    assert tmp_path / "results/lightweight/per_image.csv" in found
    assert PROFILES / "lightweight.yaml" in found


def test_claims_need_the_runs_scores_and_sweeps_of_several_profiles(tmp_path: Path):
    profile = profile_in(tmp_path, "paper")
    lists = (steps_module.CLAIMS, steps_module.FACES)
    names = {path.relative_to(tmp_path).as_posix() for path in inputs(profile)["claims"] if path not in lists}
    assert {"results/lightweight/per_image.csv", "results/cpu/sweeps/outlook/summary.csv"} <= names
    assert {"results/paper/per_image.csv", "results/paper/peers/scored.json"} <= names
    assert {
        f"results/paper/seed-{seed}/{name}" for seed in profile.seeds for name in ("run.json", "history.csv")
    } <= names
    assert len(inputs(profile)["claims"]) == len(set(inputs(profile)["claims"]))


def test_claims_need_the_pixels_and_the_histories_of_the_outlook(tmp_path: Path):
    profile = profile_in(tmp_path, "paper")
    point = other_profile(profile, "cpu").sweep("outlook") / "0123456789" / "point.json"
    write_text(point, "{}")
    found = set(inputs(profile)["claims"])
    assert {*files(profile, "pixels"), steps_module.FACES, point, point.with_name("history.csv")} <= found
    weights = {profile.run(seed) / "weights.safetensors" for seed in profile.seeds}
    assert {steps_module.FACES, *weights} <= set(inputs(profile)["pixels"])


def test_the_table_of_data_sets_needs_scores_that_do_not_exist_yet(tmp_path: Path):
    profile, other = profile_in(tmp_path, PRIMARY, seeds=(0,)), profile_in(tmp_path, "bundled")
    assert compared_profiles(profile) == [profile]
    assert "08_sources" not in [step.name for step in steps(profile)]
    write_text(files(other, "scores")[0], "")
    assert [found.name for found in compared_profiles(profile)] == [PRIMARY, "bundled"]
    step = step_of(profile, "08_sources")
    assert {
        profile.results / "per_image.csv", profile.run(0) / "metrics.json", other.results / "per_image.csv",
        cross_dataset_scores(profile, other, 0), PROFILES / "bundled.yaml",
    } <= set(step.inputs)  # fmt: skip
    # So it is executed after the table that writes the scores.
    assert "05_table1" in [found.name for found in needed(steps(profile), "08_sources")]
    assert compared_profiles(other) == [other]
    assert set(COMPARED) > {"bundled"}


def test_other_profiles_lie_in_the_same_root(tmp_path: Path):
    profile = profile_in(tmp_path, "paper")
    for paths in inputs(profile).values():
        assert [path for path in paths if path.is_relative_to(PROJECT / "results")] == []


# Steps


def test_a_steps_own_outputs_are_no_inputs(tmp_path: Path):
    for step in steps(profile_in(tmp_path, "paper")):
        assert not set(step.outputs) & set(step.inputs)


def test_a_method_that_is_not_the_papers_has_no_figures_of_it(tmp_path: Path):
    profile = profile_in(tmp_path, "paper")
    other = replace(profile, settings=profile.settings | {"network": "unet"})
    names = [step.name for step in steps(other)]
    assert names == ["01_data", *(f"02_train_seed-{seed}" for seed in profile.seeds), "05_table1"]


@pytest.mark.parametrize("name", ["smoke", "cpu", "paper"])
def test_the_method_by_hand_comes_first_and_needs_nothing(tmp_path: Path, name: str):
    first = steps(profile_in(tmp_path, name))[0]
    assert (first.name, first.inputs, first.photos) == ("00_method", (), ())
    assert first.outputs == files(profile_in(tmp_path, name), "method")


@pytest.mark.parametrize(
    ("name", "expected"), [("smoke", False), ("cpu-bundled", False), ("cpu", True), ("paper", True)]
)
def test_published_results_are_optional_and_not_for_bundled_photographs(tmp_path: Path, name: str, expected: bool):
    optional = [step for step in steps(profile_in(tmp_path, name)) if step.optional]
    assert [step.name for step in optional] == ["06_peers"] * expected
    assert all("zhang2016" in step.photos for step in optional)


def test_training_writes_the_files_of_a_run(tmp_path: Path):
    profile = profile_in(tmp_path, "smoke")
    run = profile.run(0)
    trained, shown = (step_of(profile, "02_train_seed-0", train=train) for train in (True, False))
    assert set(trained.outputs) == {run / name for name in RUN_FILES}
    assert (trained.run, trained.inputs) == (run, ())
    assert trained.parameters == shown.parameters, "the executed copy does not depend on where the run was trained"
    assert trained.photos == (profile.photos,)
    assert set(shown.inputs) == {run / name for name in RUN_FILES}
    assert (shown.parameters["mode"], shown.run, shown.outputs, shown.photos) == ("show", None, (), ())
    assert trained.parameters["run"] == str(run)
    assert step_of(load_profile("smoke"), "02_train_seed-0").parameters["run"] == "results/smoke/seed-0"


@pytest.mark.parametrize("name", ["smoke", "cpu", "paper", "cpu-bundled"])
def test_parameters_are_those_of_the_notebooks(name: str):
    profile = load_profile(name, seeds=(0, 3))
    for step in (*steps(profile), *steps(profile, train=False)):
        check_parameters(NOTEBOOKS / step.notebook, step.parameters)
        assert step.parameters.get("root", "") == ""


CHANGED = {
    "photos": "bundled", "target": "lab", "network": "scene-unet", "objective": "l1", "epochs": 3,
    "crops_per_epoch": 48, "crop_size": 64, "view": 96, "batch_size": 8, "learning_rate": 1e-4, "weight_decay": 0.1,
    "flip_probability": 0.25, "turn_probability": 0.5, "schedule": "cosine", "ema": 0.9, "precision": "bfloat16",
    "view_share": 0.5, "optimizer": "adamw",
}  # fmt: skip
"""Settings of a run, each but the photographs another than its default."""


def test_settings_of_a_profile_reach_every_notebook_that_has_them_as_parameters(tmp_path: Path):
    fields = {field.name for field in dataclasses.fields(RunConfig)} - {"keep_epochs"}
    assert fields == {*CHANGED, "seed"}
    profile = Profile(name="changed", settings=CHANGED, seeds=(3,), root=tmp_path)
    config = profile.run_config(3)
    for step in steps(profile):
        known = parameters_of(NOTEBOOKS / step.notebook)
        for name in fields & known.keys():
            assert step.parameters[name] == getattr(config, name), f"{step.notebook}: {name}"
    # Training needs all of them; the baselines are measured on what the training validates on
    assert fields <= parameters_of(NOTEBOOKS / "02_train.ipynb").keys()
    assert {*inspect.signature(baseline_losses).parameters} <= parameters_of(NOTEBOOKS / "01_data.ipynb").keys()


def test_a_run_is_trained_in_a_folder_that_git_ignores_and_no_glob_of_runs_finds(tmp_path: Path):
    profile = profile_in(tmp_path, "cpu")
    folder = training_folder(profile.run(0))
    assert folder.is_relative_to(profile.results)
    assert any(part.startswith(".") for part in folder.relative_to(profile.results).parts)
    write_text(folder / "weights.safetensors", "")
    assert list((tmp_path / "results").glob("*/seed-*/weights.safetensors")) == []


def test_notebooks_with_scores_only_read_them():
    found = {step.name: step for step in steps(load_profile("paper")) if step.scores}
    assert {name: step.scores for name, step in found.items()} == {
        "05_table1": "scores", "06_peers": "published_scores",
    }  # fmt: skip
    assert not any(step.parameters.get("rescore") for step in found.values())


def test_one_notebook_needs_those_that_write_its_inputs():
    every = steps(load_profile("smoke"))
    assert [step.name for step in needed(every, "04_figures2_3")] == ["01_data", "02_train_seed-0", "04_figures2_3"]
    assert [step.name for step in needed(every, "03_figure1")] == ["01_data", "02_train_seed-0", "03_figure1"]
    assert [step.name for step in needed(every, "explore")] == ["02_train_seed-0", "explore"]
    assert needed(every, None) == needed(every, "report") == every
    with pytest.raises(ValueError, match=r"\b99\b.*\b03_figure1\b"):
        needed(every, "99")


def test_optional_steps_are_shown_if_they_were_executed(tmp_path: Path):
    every = steps(profile_in(tmp_path, "cpu"))
    (optional,) = [step for step in every if step.optional]
    assert shown_steps(every) == [step for step in every if step is not optional]
    write_text(optional.executed, "{}")
    assert shown_steps(every) == every


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("01_data", {"colorizers", "photos.sources", "data", "companion.tables", "companion.artifacts.figures"}),
        ("02_train_seed-0", {"trainer", "data", "model", "rng", "evaluate", "companion.notebook_helpers"}),
        ("03_figure1", {"companion.artifacts.figures", "profiles", "runs"}),
        ("04_figures2_3", {"colorizers", "model", "photos.sources", "companion.artifacts.figures"}),
        ("05_table1", {"colorizers", "evaluate", "metrics", "companion.tables", "companion.results"}),
    ],
)
def test_a_step_depends_on_all_that_its_notebook_imports(name: str, modules: set[str]):
    step = step_of(load_profile("smoke"), name)
    assert {f"colorlib.{module}" for module in modules} <= set(imported_modules(*step.modules))
