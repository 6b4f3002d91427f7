"""What tests of the report are made of: claims of every verdict, and a copy of committed results."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from colorlib.companion.verdicts import MARKS
from colorlib.files import write_json
from colorlib.profiles import PROJECT, Profile, load_profile


def claim(verdict: str, **given: Any) -> dict[str, Any]:
    """A claim as claims.json holds it."""
    return {
        "id": "test-mse",
        "section": "IV.C, Table I",
        "group": "Results",
        "says": "The mean squared error on a separate test set is 0.0044.",
        "quantity": "mean over the test photographs of the MSE of the network's RGB, 8 bits, full size",
        "relation": "equals",
        "value": 0.0044,
        "value_text": "0.0044",
        "tolerance_text": "± 0.0005, because another draw of photographs moves it that far",
        "verdict": verdict,
        "measured": 0.0079,
        "measured_text": "0.0079",
        "low": 0.00691,
        "high": 0.00903,
        "interval_text": "0.0069 to 0.0090 (95 % over photographs)",
        "sd": None,
        "seeds": 1,
        "photographs": "200 test photographs of bsds500",
        "updates": 10000,
        "crop_size": 48,
        "command": "make reproduce PROFILE=paper",
        "why": "The photographs here are more colorful than most, and the mean of their colors alone gets 0.0080.",
    } | given


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAAAAADRSSBWAAAAC0lEQVR4nGNg+A8AAQIBAEK+vGgAAAAASUVORK5CYII="
"""Two gray pixels."""
NOTHING = {
    "measured": None, "measured_text": "–", "low": None, "high": None, "interval_text": "", "sd": None, "seeds": None,
    "photographs": None, "updates": None, "crop_size": None, "command": "",
}  # fmt: skip


def judged(profile: str) -> dict[str, Any]:
    """A claims.json with every verdict and every kind of number."""
    claims = [
        claim(
            "reproduced", id="gray-to-rgb", section="Abstract, III.A, VI", group="Method", low=None, high=None,
            says="A gray image alone, without hints from a person, becomes an RGB image of the same size.",
            value=1.0, value_text="the same size", measured=1.0, measured_text="5 of 5 sizes", seeds=None,
            interval_text="",
            quantity="share of five sizes whose output has three channels and the same size", photographs=None,
            updates=None, crop_size=None, why="Nothing in the network changes the size.", tolerance_text="",
        ),
        claim(
            "contradicted", id="parameter-count", section="III.B", group="Method", relation="about", value=600000,
            says="The network has approximately 600 thousand parameters.", value_text="approximately 600K",
            tolerance_text="± 60,000, a tenth", measured=740227, measured_text="740,227", low=None, high=None,
            interval_text="",
            quantity="trained scalars of the six layers that the paper lists", seeds=None, photographs=None,
            updates=None, crop_size=None, why="The six layers as listed hold 740,227; none of them can be left out.",
        ),
        claim("differs (on our data)"),
        claim(
            "within tolerance", id="psnr", says="The PSNR on that test set is 23.56 dB.", value=23.56,
            value_text="23.56 dB", measured=23.1, measured_text="23.10 dB", low=22.6, high=23.7, sd=0.0412, seeds=3,
            interval_text="22.60 to 23.70 dB (95 % over photographs)",
        ),
        claim(
            "not testable", id="faces", group="Quality", relation="qualitative", value=None, tolerance_text="",
            says="Colors look plausible & natural, <best> on faces.", value_text="visually plausible", **NOTHING,
            why="The paper names no measure of plausibility, and no photographs on which it was seen.",
        ),
        claim(
            "not measured", id="gan", group="Outlook", section="VI", value=None, relation="ordering",
            says="An adversarial loss would make colors more vivid.", value_text="more vivid", tolerance_text="",
            **NOTHING, why="The variants are not trained yet.",
        ),
    ]  # fmt: skip
    return {
        "profile": profile,
        "photographs": "bsds500",
        "seeds": [0],
        "updates": 10000,
        "crop_size": 48,
        "epochs": 100,
        "hardware": "AMD EPYC, 2 threads",
        "source": "5da677807bd3946a",
        "command": f"colorlib claims --profile {profile}",
        "counts": {mark.verdict: sum(held["verdict"] == mark.verdict for held in claims) for mark in MARKS},
        "claims": claims,
    }


def copy_of_results(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """The committed results of `cpu` in a project of their own, with claims judged and nothing built yet."""
    results = folder / "results" / "cpu"
    unwanted = shutil.ignore_patterns("*.html", "claims.*", "stamps", "checkpoints", "epochs", "06_*")
    shutil.copytree(PROJECT / "results" / "cpu", results, ignore=unwanted)
    for module in ("profiles", "companion.plan"):
        monkeypatch.setattr(f"colorlib.{module}.PROJECT", folder)
    write_json(results / "claims.json", judged("cpu"))
    return load_profile("cpu", seeds=(0,))
