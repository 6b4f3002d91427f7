"""What doctor says: what is here, what each profile costs, which one `auto` takes."""

import re

import pytest
import torch

from colorlib.companion import doctor
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
    # A GPU is kept waiting by its layers; an update is on crops of four times the pixels.
    assert doctor.estimate_minutes(lightweight, 0.01, "cuda") > 2.5 * doctor.estimate_minutes(paper, 0.01, "cuda")


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
        assert "3 seeds" in why


@pytest.mark.slow
def test_the_report_names_machine_photographs_and_costs(cache, monkeypatch):
    monkeypatch.setenv("COLORLIB_MIRROR", "http://127.0.0.1:9")
    text = doctor.report(threads=1)
    assert re.search(r"^Python +3\.", text, flags=re.MULTILINE)
    assert "1 threads used" in text
    assert "bsds500: not on this machine (colorlib data fetch bsds500)" in text
    assert "bundled: 7 photographs, verified" in text
    assert "127.0.0.1 does not answer" in text
    for profile in ("smoke", "cpu", "paper"):
        assert re.search(rf"^  {profile} .* updates  about \d.* MB of disk$", text, flags=re.MULTILINE)
