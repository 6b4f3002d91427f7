"""Sweep files: the points they describe, and the errors that are found before anything starts."""

import re

import pytest
from helpers.sweeps import loaded, stub_notebook, sweep_text

from colorlib.companion.sweeps.spec import SWEEPS, load_sweep, sweep_file
from colorlib.profiles import load_profile


def test_points_are_every_combination_and_seeds_come_first(folder):
    path = sweep_text(
        folder,
        points=[{"name": "paper"}, {"name": "slow", "pause": 1.0}],
        grid={"learning_rate": [1e-3, 3e-3]},
        zip={"batch_size": [8, 16], "crop_size": [48, 24]},
        seeds=[1, 0],
    )
    points = loaded(path, folder).points
    assert len(points) == 2 * 2 * 2 * 2
    assert [point.seed for point in points] == [1] * 8 + [0] * 8
    assert points[0].name == "paper, batch_size=8, crop_size=48, learning_rate=0.001"
    assert points[0].changes == {"batch_size": 8, "crop_size": 48, "learning_rate": 1e-3}
    assert {(point.config.batch_size, point.config.crop_size) for point in points} == {(8, 48), (16, 24)}
    assert len({point.directory for point in points}) == len(points)


def test_the_profile_gives_what_the_sweep_does_not_state(folder):
    path = sweep_text(
        folder,
        fixed={"batch_size": 8, "crop_size": 24},
        points=[{"name": "a"}, {"name": "b", "epochs": 7}],
        profiles={"cpu": {"epochs": 2, "batch_size": 4, "seeds": [5, 6], "jobs": 3, "scored": "test"}},
    )
    smoke, cpu = loaded(path, folder), loaded(path, folder, "cpu")
    assert (smoke.jobs, smoke.scored, [point.seed for point in smoke.points]) == (1, "val", [0, 0])
    assert (cpu.jobs, cpu.scored, [point.seed for point in cpu.points]) == (3, "test", [5, 5, 6, 6])
    a, b = smoke.points
    assert (a.config.photos, a.config.epochs, a.config.batch_size, a.config.crop_size) == ("bundled", 5, 8, 24)
    assert b.config.epochs == 7
    assert a.directory.parent == folder / "results" / "smoke" / "sweeps" / "trial"
    a = cpu.points[0]
    assert (a.config.photos, a.config.epochs, a.config.batch_size, a.config.crops_per_epoch) == ("bsds500", 2, 4, 400)
    assert [point.seed for point in loaded(path, folder, "cpu", seeds=(9,)).points] == [9, 9]
    assert loaded(path, folder, jobs=2).jobs == 2


def test_a_setting_may_name_the_photographs_of_the_profile(folder):
    path = sweep_text(folder, grid={"photos": ["{photos}", "{photos}@64"]})
    assert [point.config.photos for point in loaded(path, folder).points] == ["bundled", "bundled@64"]
    assert [point.name for point in loaded(path, folder).points] == ["photos=bundled", "photos=bundled@64"]
    assert [point.parameters["photos"] for point in loaded(path, folder).points] == ["bundled", "bundled@64"]


def test_a_directory_is_named_by_settings_alone(folder):
    points = [{"name": "a"}, {"name": "b", "learning_rate": 3e-3}]
    first = [point.directory.name for point in loaded(sweep_text(folder, points=points), folder).points]
    renamed = [{"name": "other"}, {"name": "b", "learning_rate": 3e-3}]
    assert [p.directory.name for p in loaded(sweep_text(folder, points=renamed), folder).points] == first
    # Stated or not, the same setting is the same run; scoring it elsewhere does not train it again.
    stated = [{"name": "a", "weight": 1}, *points[1:]]
    stated[0] = {"name": "a", "epochs": 5, "behavior": "fine"}
    path = sweep_text(folder, points=stated, scored="test")
    assert [point.directory.name for point in loaded(path, folder).points] == first
    other = [{"name": "a", "pause": 0.5}]
    assert loaded(sweep_text(folder, points=other), folder).points[0].directory.name not in first


REFUSED = {
    "unknown setting": ({"points": [{"name": "x", "learning_rat": 1.0}]}, r"\bx\b", r"learning_rat\b", "learning_rate"),
    "unknown in fixed": ({"fixed": {"epoch": 3}, "points": [{"name": "x"}]}, r"\bx\b", r"\bepoch\b", "epochs"),
    "wrong type": ({"grid": {"epochs": [3, "four"]}}, "epochs=four", "epochs='four'", r"\btext\b"),
    "float for int": ({"grid": {"epochs": [3.5]}}, r"epochs=3\.5.*epochs=3\.5", r"\bint\b"),
    "text for float": ({"grid": {"learning_rate": ["1e-3"]}}, "learning_rate=1e-3", r"\b1\.0e-3"),
    "out of range": ({"grid": {"epochs": [0]}}, "epochs=0.*epochs=0", r"\b1\b"),
    "no such row": ({"points": [{"name": "x", "network": "gan"}]}, r"\bx\b", "network='gan'", "encoder-decoder"),
    "no such photographs": ({"grid": {"photos": ["bsd"]}}, r"photos=bsd\b.*\bbsd\b"),
    "a seed as setting": ({"grid": {"seed": [0, 1]}}, "seed=0", "seeds:"),
    "a misspelled key": ({"point": []}, r"\bpoint\b", r"\bpoints\b"),
    "no points": ({"fixed": {"epochs": 3}}, r"\bpoints\b", r"\bgrid\b", r"\bzip\b"),
    "a nameless row": ({"points": [{"epochs": 3}]}, r"\{'epochs': 3\}", r"\bname\b"),
    "uneven lists": ({"zip": {"epochs": [1, 2], "batch_size": [8]}}, r"\bzip\b", r"epochs\W*2\b", r"batch_size\W*1\b"),
    "varied twice": ({"grid": {"epochs": [1]}, "zip": {"epochs": [2]}}, r"\bepochs\b", r"\bgrid\b", r"\bzip\b"),
    "the same twice": ({"grid": {"epochs": [4, 4]}}, "epochs=4, seed 0.*epochs=4, seed 0"),
    "the same run": ({"points": [{"name": "a"}, {"name": "b", "epochs": 5}]}, r"\ba, seed 0\b.*\bb, seed 0\b"),
    "seeds": ({"grid": {"epochs": [4]}, "seeds": [0, 0]}, r"seeds=\[0, 0\]"),
    "jobs": ({"grid": {"epochs": [4]}, "jobs": 0}, "jobs=0"),
    "scored": ({"grid": {"epochs": [4]}, "scored": "train"}, "scored='train'", "validation", r"\btest\b"),
    "a profile": ({"grid": {"epochs": [4]}, "profiles": {"gpu": {}}}, r"\bgpu\b", r"\bsmoke\b"),
    "a list": ({"grid": {"epochs": 4}}, r"\bgrid\b", "epochs=4", r"\blist\b"),
    "a notebook": ({"notebook": "02_trian", "grid": {"epochs": [4]}}, r"\b02_trian\.ipynb"),
}  # fmt: skip
"""What a file says, and what the message names."""


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_run_is_refused_before_anything_starts(folder, what):
    content, *facts = REFUSED[what]
    with pytest.raises(ValueError, match=r"\btrial\.yaml\b") as raised:
        loaded(sweep_text(folder, **content), folder)
    for fact in facts:
        assert re.search(fact, str(raised.value))
    assert not (folder / "results").exists()


def test_close_values_are_two_points(folder):
    close = [0.0012345678, 0.0012345679]
    points = loaded(sweep_text(folder, grid={"learning_rate": close}), folder).points
    assert len({point.name for point in points}) == len({point.directory for point in points}) == 2


def test_a_notebook_that_a_sweep_cannot_tell_where_to_run_is_refused(tmp_path):
    nb = stub_notebook(tmp_path)
    nb.write_text(nb.read_text().replace(r"scored = \"test\"\n", ""))
    with pytest.raises(ValueError, match=r"\bstub\.ipynb\b.*\bscored\b.*\brun, seed, mode, scored\b"):
        loaded(sweep_text(tmp_path, grid={"epochs": [1]}), tmp_path)


def test_an_unknown_sweep_is_named_with_the_nearest():
    with pytest.raises(ValueError, match=r"\boutlok\b.*\boutlook\b"):
        sweep_file("outlok")


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("profile", ["smoke", "cpu", "paper"])
def test_every_shipped_sweep_can_be_run_on_every_profile(path, profile):
    sweep = load_sweep(path, load_profile(profile))
    assert len({point.name for point in sweep.points}) > 1
