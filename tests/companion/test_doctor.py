"""`colorlib doctor`: the machine, the cost of each profile and point, and the profile that `auto` takes."""

import re
from dataclasses import replace

import pytest
import torch

from colorlib.companion import doctor
from colorlib.config import RunConfig
from colorlib.profiles import load_profile


def test_the_estimate_grows_with_updates_and_with_a_slower_machine():
    cpu, paper = load_profile("cpu"), load_profile("paper")
    assert doctor.estimate_minutes(paper, 0.9) > 5 * doctor.estimate_minutes(cpu, 0.9)
    assert doctor.estimate_minutes(cpu, 1.8) > 1.8 * doctor.estimate_minutes(cpu, 0.9) - 2
    # 10,000 updates of 0.9 seconds are 150 minutes; validation, test and the notebooks come on top.
    assert 150 < doctor.estimate_minutes(paper, 0.9) < 170
    # Four times the pixels, and 7 % of the multiply-adds for each.
    lightweight = load_profile("lightweight")
    assert 0.2 < doctor.estimate_minutes(lightweight, 0.9) / doctor.estimate_minutes(paper, 0.9) < 0.4
    # A GPU takes as long for a small network of as many layers; its crops have four times the pixels.
    assert doctor.estimate_minutes(lightweight, 0.01, "cuda") > 2.5 * doctor.estimate_minutes(paper, 0.01, "cuda")


def test_the_estimate_of_a_point_follows_its_arithmetic(tmp_path):
    config = RunConfig(photos="bundled", epochs=5, crops_per_epoch=64, crop_size=32)
    longer = replace(config, epochs=50)
    overhead = doctor.POINT_OVERHEAD
    few, many = (doctor.estimate_seconds(run, "val", 0.9) - overhead for run in (config, longer))
    # 20 updates of 16 crops of 32 pixels, where 0.9 seconds are those of 48 pixels; the rest is scoring.
    assert few > 20 * 0.9 * (32 / 48) ** 2
    assert many - few == pytest.approx(9 * (20 * 0.9 * (32 / 48) ** 2 + 5 * 0.9 / 3 * 32**2 / (16 * 48**2)))
    assert doctor.estimate_seconds(longer, "val", 1.8) - overhead == pytest.approx(2 * many)


def test_auto_takes_paper_only_on_a_gpu_that_is_fast_enough(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert doctor.choose()[0] == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setattr(doctor, "prepare", lambda name: torch.device("cpu"))
    for update, expected in ((0.005, "paper"), (0.5, "cpu")):
        monkeypatch.setattr(doctor, "update_seconds", lambda device, seconds=update: seconds)
        name, why = doctor.choose()
        assert name == expected
        assert "a GPU" in why
        assert re.search(r"\b3 seeds\b", why)


@pytest.mark.slow
def test_the_report_names_machine_photographs_and_costs(cache, monkeypatch):
    monkeypatch.setenv("COLORLIB_MIRROR", "http://127.0.0.1:9")
    text = "\n".join(doctor.report(threads=1, verify=True))
    assert re.search(r"^Python +3\.", text, flags=re.MULTILINE)
    assert re.search(r"\b1 threads?\b", text)
    assert "colorlib data fetch bsds500" in text
    assert re.search(r"\bbundled\W+7\b", text)
    assert re.search(r"127\.0\.0\.1.*Errno", text)  # the system's message when nobody answers
    for profile in ("smoke", "cpu", "paper"):
        assert re.search(rf"^ +{profile} +\S+ +[\d,]+ .*\b\d+ (s|min)\b.*\b\d+ MB\b", text, flags=re.MULTILINE)


def test_the_report_lists_the_shortest_profile_first(cache, monkeypatch):
    monkeypatch.setenv("COLORLIB_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setattr(doctor, "update_seconds", lambda device: 0.9)
    lines = list(doctor.report(threads=1))
    names = [line.split()[0] for line in lines[lines.index("one seed of each profile:") + 1 :]]
    assert names[0] == "smoke"
    assert names[-1] == "paper"
    assert any("bsds500" in line and "colorlib data fetch bsds500" in line for line in lines)
