"""Settings of a run: overrides, what is refused and how it is said, and profiles."""

import dataclasses
import json

import pytest

from colorlib import profiles
from colorlib.config import RunConfig, as_json, config_of_record, override
from colorlib.profiles import PROFILES, load_profile


def test_the_defaults_are_what_the_paper_prints():
    config = RunConfig()
    assert (config.epochs, config.batch_size, config.learning_rate, config.weight_decay) == (100, 16, 1e-3, 0.0)
    assert (config.target, config.network, config.objective) == ("rgb", "encoder-decoder", "mse")


def test_updates_count_the_smaller_last_batch():
    config = RunConfig(epochs=3, crops_per_epoch=33, batch_size=16)
    assert (config.updates_per_epoch, config.updates) == (3, 9)
    assert RunConfig(epochs=3, crops_per_epoch=32, batch_size=16).updates == 6


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("epochs", 7, 7),
        ("epochs", "7", 7),
        ("learning_rate", "3e-4", 3e-4),
        ("learning_rate", 1, 1.0),
        ("photos", "folder:a=b", "folder:a=b"),
        ("keep_epochs", "1,2,5", (1, 2, 5)),
        ("keep_epochs", "1 2, 5", (1, 2, 5)),
        ("keep_epochs", [3], (3,)),
        ("keep_epochs", "", ()),
    ],
)
def test_a_setting_is_read_as_its_type(name, given, expected):
    found = getattr(override(RunConfig(), {name: given}), name)
    assert found == expected
    assert type(found) is type(expected)


def test_an_override_changes_what_it_names_alone():
    start = RunConfig(seed=4, batch_size=2)
    changed = override(start, {"seed": "5"})
    assert changed == dataclasses.replace(start, seed=5)
    assert start.seed == 4
    assert override(start, {}) == start


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("learning_rat", r"no setting is called 'learning_rat'; did you mean learning_rate\?"),
        ("crop-size", r"did you mean crop_size\?"),
        ("zzz", "no setting is called 'zzz'; there are photos, target, .* seed"),
        (True, "no setting is called True"),
    ],
)
def test_an_unknown_setting_is_named_and_the_nearest_suggested(name, message):
    with pytest.raises(ValueError, match=message):
        override(RunConfig(), {name: 1})


@pytest.mark.parametrize(
    ("name", "given", "kind"),
    [
        ("epochs", "many", "int"),
        ("epochs", "2.5", "int"),
        ("epochs", "1e3", "int"),
        ("epochs", 2.0, "int"),
        ("epochs", True, "int"),
        ("epochs", None, "int"),
        ("learning_rate", "fast", "float"),
        ("learning_rate", True, "float"),
        ("learning_rate", [1e-3], "float"),
        ("photos", 5, "str"),
        ("keep_epochs", 5, "tuple"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_not_rounded(name, given, kind):
    with pytest.raises(ValueError, match=f"{name}=.*: expected {kind}"):
        override(RunConfig(), {name: given})


@pytest.mark.parametrize("given", ["1,x", [1, 2.5], [1, True], "1.5"])
def test_each_part_of_a_tuple_is_checked(given):
    with pytest.raises(ValueError, match=r"keep_epochs=.*: expected int"):
        override(RunConfig(), {"keep_epochs": given})


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("epochs", 0, "epochs=0: it must be at least 1"),
        ("crops_per_epoch", -1, "crops_per_epoch=-1: it must be at least 1"),
        ("crop_size", 0, "crop_size=0: it must be at least 1"),
        ("batch_size", 0, "batch_size=0: it must be at least 1"),
        ("learning_rate", 0.0, "learning_rate=0.0: it must be positive"),
        ("learning_rate", "nan", "learning_rate=nan: it must be positive"),
        ("learning_rate", "inf", "learning_rate=inf: it must be positive and finite"),
        ("weight_decay", -0.1, "weight_decay=-0.1: it must not be negative"),
        ("weight_decay", "inf", "weight_decay=inf: it must not be negative or infinite"),
        ("flip_probability", 1.5, "flip_probability=1.5: it must lie in"),
        ("turn_probability", -0.5, "turn_probability=-0.5: it must lie in"),
        ("turn_probability", "nan", "turn_probability=nan: it must lie in"),
        ("keep_epochs", "1,0", r"keep_epochs=\(1, 0\): epochs are counted from 1"),
        ("seed", -1, "seed=-1: it must not be negative"),
        ("target", "cmyk", "target='cmyk': there are rgb"),
        ("network", "vgg", "network='vgg': there are encoder-decoder"),
        ("objective", "mae", "objective='mae': there are mse"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name, given, message):
    with pytest.raises(ValueError, match=message):
        override(RunConfig(), {name: given})


@pytest.mark.parametrize("name", ["flip_probability", "turn_probability"])
def test_the_ends_of_a_range_belong_to_it(name):
    for end in (0.0, 1.0):
        assert getattr(override(RunConfig(), {name: end}), name) == end


def test_a_configuration_survives_json():
    config = RunConfig(photos="bundled", keep_epochs=(1, 7), learning_rate=0.1 + 0.2, seed=2**40)
    text = json.dumps({"config": as_json(config)}, allow_nan=False)
    assert config_of_record(json.loads(text)) == config
    assert set(as_json(config)) == {field.name for field in dataclasses.fields(RunConfig)}


def test_a_record_from_before_a_setting_existed_has_its_default():
    held = as_json(RunConfig(seed=3))
    del held["turn_probability"]
    assert config_of_record({"config": held}) == RunConfig(seed=3)


# Profiles


@pytest.mark.parametrize("name", sorted(path.stem for path in PROFILES.glob("*.yaml")))
def test_every_profile_describes_runs(name):
    profile = load_profile(name)
    for seed in profile.seeds:
        config = profile.config(seed)
        assert config.seed == seed
        assert {field: getattr(config, field) for field in profile.settings} == profile.settings
    assert profile.results.parts[-2:] == ("results", name)
    assert profile.figures.parts[-2:] == ("figures", name)
    assert profile.run(profile.seeds[0]).parts[-2:] == (name, f"seed-{profile.seeds[0]}")


def test_the_profiles_of_the_architecture_have_their_budgets():
    updates = {name: load_profile(name).config(0).updates for name in ("smoke", "cpu", "paper")}
    assert updates["cpu"] == 40 * 25
    assert updates["paper"] == 100 * 100
    assert updates["smoke"] < updates["cpu"]


def test_a_fallback_never_lies_where_the_evidence_lies():
    cpu = load_profile("cpu")
    fallback = cpu.on("bundled")
    assert fallback == load_profile("cpu-bundled")
    assert fallback.results.name == "cpu-bundled"
    assert fallback.figures.name == "cpu-bundled"
    assert fallback.config(0) == dataclasses.replace(cpu.config(0), photos="bundled")
    assert fallback.on("bundled") == fallback
    smoke = load_profile("smoke")
    assert smoke.on("bundled") is smoke, "it is made of them anyway"
    assert load_profile("smoke-bundled") == smoke


def test_a_profile_on_other_photographs_is_found_by_its_name():
    chosen = load_profile("cpu-imagenet-sample@256")
    assert chosen == load_profile("cpu").on("imagenet-sample@256")
    assert chosen.photos == "imagenet-sample@256"
    assert chosen.results.name == "cpu-imagenet-sample@256"
    with pytest.raises(ValueError, match="no photographs are called 'flickr': there are bsds500"):
        load_profile("cpu-flickr")


def test_seeds_can_be_given_with_the_call():
    assert load_profile("cpu", seeds=(3, 4)).seeds == (3, 4)


def test_an_unknown_profile_is_refused_with_those_there_are():
    with pytest.raises(
        ValueError, match="there is no profile 'tpu'; there are bundled, cpu, lightweight, paper, paper-cifar10, smoke"
    ):
        load_profile("tpu")
    with pytest.raises(ValueError, match="there is no profile 'tpu-bundled'"):
        load_profile("tpu-bundled")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 3", r"no setting is called 'epoch'; did you mean epochs\?"),
        ("5: 3", "no setting is called 5"),
        ("epochs: many", "epochs='many': expected int"),
        ("epochs: 0", "epochs=0: it must be at least 1"),
        ("epochs: [1", "while parsing"),
        ("", "expected lines of `setting: value`"),
        ("- epochs", "expected lines of `setting: value`"),
        ("seeds: 3", r"seeds=3: expected a list, for example \[0, 1\]"),
        ("seeds: []", r"seeds=\[\]: expected a list"),
        ("seeds: [a]", "seed='a': expected int"),
    ],
)
def test_a_mistake_in_a_profile_is_named_with_the_file(tmp_path, monkeypatch, text, message):
    monkeypatch.setattr(profiles, "PROFILES", tmp_path)
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"(?s)mine\.yaml: .*{message}"):
        load_profile("mine")


def test_a_profile_without_photographs_falls_back_too(tmp_path, monkeypatch):
    monkeypatch.setattr(profiles, "PROFILES", tmp_path)
    (tmp_path / "mine.yaml").write_text("epochs: 2")
    assert load_profile("mine").config(1) == RunConfig(epochs=2, seed=1)
    assert load_profile("mine-bundled").config(0).photos == "bundled"
