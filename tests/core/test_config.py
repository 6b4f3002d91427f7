"""Tests of colorlib.config: defaults, overrides, refused values, JSON."""

import dataclasses
import json
import re

import pytest

from colorlib.config import RunConfig, as_json, config_of_record, override

SETTINGS = [field.name for field in dataclasses.fields(RunConfig)]


def test_the_defaults_are_the_papers():
    config = RunConfig()
    assert (config.epochs, config.batch_size, config.learning_rate, config.weight_decay) == (100, 16, 1e-3, 0.0)
    assert (config.target, config.network, config.objective) == ("rgb", "encoder-decoder", "mse")


def test_updates_count_the_smaller_last_batch():
    config = RunConfig(epochs=3, crops_per_epoch=33, batch_size=16)
    assert (config.updates_per_epoch, config.updates) == (3, 9)
    assert RunConfig(epochs=3, crops_per_epoch=32, batch_size=16).updates == 6


def test_a_target_and_an_objective_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"objective='mse'.*target='lab-bins'.*\bclassification\b"):
        RunConfig(target="lab-bins")
    with pytest.raises(ValueError, match=r"objective='classification'.*target='rgb'.*\bmse\b.*\bl1\b"):
        RunConfig(objective="classification")
    assert RunConfig(target="lab-bins", objective="classification").target == "lab-bins"


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


def test_an_override_changes_only_the_named_settings():
    start = RunConfig(seed=4, batch_size=2)
    changed = override(start, {"seed": "5"})
    assert changed == dataclasses.replace(start, seed=5)
    assert start.seed == 4
    assert override(start, {}) == start


@pytest.mark.parametrize(
    ("name", "suggested"),
    [("learning_rat", ["learning_rate"]), ("crop-size", ["crop_size"]), ("zzz", SETTINGS), (True, SETTINGS)],
)
def test_an_unknown_setting_is_named_and_the_nearest_suggested(name, suggested):
    with pytest.raises(ValueError, match=repr(name)) as error:
        override(RunConfig(), {name: 1})
    assert [setting for setting in SETTINGS if re.search(rf"\b{setting}\b", str(error.value))] == suggested


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
def test_a_value_of_the_wrong_type_is_refused(name, given, kind):
    with pytest.raises(ValueError, match=rf"{name}=.*\b{kind}\b"):
        override(RunConfig(), {name: given})


@pytest.mark.parametrize("given", ["1,x", [1, 2.5], [1, True], "1.5"])
def test_each_part_of_a_tuple_is_checked(given):
    with pytest.raises(ValueError, match=r"keep_epochs=.*\bint\b"):
        override(RunConfig(), {"keep_epochs": given})


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("epochs", 0, r"epochs=0\b.*\b1\b"),
        ("crops_per_epoch", -1, r"crops_per_epoch=-1\b.*\b1\b"),
        ("crop_size", 0, r"crop_size=0\b.*\b1\b"),
        ("batch_size", 0, r"batch_size=0\b.*\b1\b"),
        ("learning_rate", 0.0, r"learning_rate=0\.0\b.*positive"),
        ("learning_rate", "nan", "learning_rate=nan.*positive"),
        ("learning_rate", "inf", "learning_rate=inf.*finite"),
        ("weight_decay", -0.1, r"weight_decay=-0\.1\b.*negative"),
        ("weight_decay", "inf", "weight_decay=inf.*finite"),
        ("flip_probability", 1.5, r"flip_probability=1\.5\b.*\[0, 1\]"),
        ("turn_probability", -0.5, r"turn_probability=-0\.5\b.*\[0, 1\]"),
        ("turn_probability", "nan", r"turn_probability=nan.*\[0, 1\]"),
        ("keep_epochs", "1,0", r"keep_epochs=\(1, 0\).*\b1\b"),
        ("seed", -1, r"seed=-1\b.*negative"),
        ("target", "cmyk", r"target='cmyk'.*\brgb\b"),
        ("network", "vgg", r"network='vgg'.*\bencoder-decoder\b"),
        ("objective", "mae", r"objective='mae'.*\bmse\b"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name, given, message):
    with pytest.raises(ValueError, match=message):
        override(RunConfig(), {name: given})


def test_a_loss_that_does_not_fit_the_target_is_refused_with_those_that_do():
    with pytest.raises(ValueError, match=r"objective='classification'.*target='rgb'") as error:
        RunConfig(objective="classification")
    assert re.search(r"\bmse\b", str(error.value))
    assert RunConfig(target="lab-bins", objective="classification").objective == "classification"


@pytest.mark.parametrize("name", ["flip_probability", "turn_probability"])
def test_the_ends_of_a_range_belong_to_it(name):
    for end in (0.0, 1.0):
        assert getattr(override(RunConfig(), {name: end}), name) == end


def test_a_configuration_survives_json():
    config = RunConfig(photos="bundled", keep_epochs=(1, 7), learning_rate=0.1 + 0.2, seed=2**40)
    text = json.dumps({"config": as_json(config)}, allow_nan=False)
    assert config_of_record(json.loads(text)) == config
    assert set(as_json(config)) == {field.name for field in dataclasses.fields(RunConfig)}


def test_a_record_older_than_a_setting_gets_its_default():
    old = as_json(RunConfig(seed=3))
    for setting in ("turn_probability", "optimizer", "view_share"):
        del old[setting]
    assert config_of_record({"config": old}) == RunConfig(seed=3)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"network": "scene-unet"}, "view"),
        ({"view": 40, "crop_size": 48}, "crop_size=48"),
        ({"view": -1}, "view=-1"),
        ({"view_share": 0.6}, "needs view"),
        ({"view": 48, "view_share": 0.0}, "view_share=0.0"),
        ({"view": 48, "view_share": 1.1}, "view_share=1.1"),
    ],
)
def test_a_view_holds_a_crop_and_a_scene_needs_a_view(settings: dict[str, object], named: str):
    with pytest.raises(ValueError, match=named):
        override(RunConfig(), settings)
    assert override(RunConfig(), {"network": "scene-unet", "view": 48, "view_share": 0.5}).view == 48
