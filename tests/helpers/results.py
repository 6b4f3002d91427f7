"""Invented results of a profile: runs, scores, figures, executed notebooks and claims, in their own root folder."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from helpers.training import run_record
from PIL import Image

from colorlib.companion.article import PICTURES
from colorlib.companion.artifacts.figures import Illustration
from colorlib.companion.artifacts.table1 import table1, write_scores
from colorlib.companion.claims.text import MARKS
from colorlib.companion.notebook_helpers import epoch_lines, provenance_table, recorded_epochs
from colorlib.companion.results import Results
from colorlib.companion.steps import Step, files, steps
from colorlib.companion.tables import Column, Table
from colorlib.config import as_json
from colorlib.evaluate import NETWORK, NETWORK_TRUE_L, look_up_table_csv
from colorlib.files import write_bytes, write_json, write_text
from colorlib.metrics import Score
from colorlib.profiles import NOTEBOOKS, PROJECT, Profile, load_profile
from colorlib.runs import Run, csv_text

BASELINES = {"gray": 0.0098, "mean chroma": 0.0080, "look-up table": 0.0079}
"""Mean squared errors."""


# Runs and scores


def scores(method: str, errors: Sequence[float], **changes: Any) -> list[Score]:
    """Return scores with these mean squared errors, one per photograph; the other measures are constant."""
    return [
        Score(
            **{
                "image": f"{number}.png", "method": method, "pixels": 100, "truth_chroma": 10.0, "mse": error,
                "psnr": -10 * np.log10(error), "ssim": 0.9, "delta_e00": 9.0, "ab_auc": 0.9, "colorfulness": 20.0,
                "truth_colorfulness": 39.0,
            }
            | changes
        )
        for number, error in enumerate(errors)
    ]  # fmt: skip


def write_history(run: Path, epochs: int, level: float) -> Path:
    """Write a history.csv whose losses fall to `level`; returns the run directory."""
    rows = [
        {"epoch": e, "updates": 25 * e, "training_loss": level * (1 + 2 / e), "validation_loss": level * (1 + 1 / e)}
        for e in range(1, epochs + 1)
    ]
    write_text(run / "history.csv", csv_text(rows))
    return run


def write_per_image(
    profile: Profile,
    baselines: Mapping[str, Sequence[float]],
    networks: Mapping[int, Mapping[str, Sequence[float]]],
    *,
    of: int | None = None,
) -> None:
    """Write metrics.json and per_image.csv of each run, and the profile's per_image.csv.

    Args:
        profile: of the runs.
        baselines: method -> mean squared errors, one per photograph.
        networks: seed -> method -> mean squared errors.
        of: number of all test photographs, if not all were scored.
    """
    rows = [{"seed": "", **asdict(row)} for method, errors in baselines.items() for row in scores(method, errors)]
    for seed, methods in networks.items():
        own = [asdict(row) for method, errors in methods.items() for row in scores(method, errors)]
        rows += [{"seed": seed, **row} for row in own]
        write_text(profile.run(seed) / "per_image.csv", csv_text(own))
        photos = {"source": profile.photos, "split": "test", "count": len(own) // len(methods)}
        write_json(profile.run(seed) / "metrics.json", {"photos": photos | ({"of": of} if of else {}), "methods": {}})
    write_text(profile.results / "per_image.csv", csv_text(rows))


# All results of a profile

SIZES = {"figure1_loss_curve": (1318, 701), "figure2_portrait": (1005, 443)}
"""Sizes of figures in pixels; the others are as wide as the portrait and lower."""
IMAGES = 12


def make_results(root: Path, seeds: tuple[int, ...] = (0,)) -> Profile:
    """Write results of profile `cpu` into a root folder, with executed notebooks and claims but without pages."""
    profile = load_profile("cpu", seeds=seeds, root=root)
    _write_paper(root)
    _write_runs(profile)
    for step in steps(profile):
        if not step.optional:
            write_executed(step, profile)
    write_json(profile.results / "claims.json", judged("cpu") | {"seeds": list(seeds)})
    return profile


def _write_paper(root: Path) -> None:
    for name in ("companion.typ", "references.bib", "deviations.md"):
        write_bytes(root / "paper" / name, (PROJECT / "paper" / name).read_bytes())
    citation = re.sub(r"(?m)^date-released:.*\n", "", (PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    write_text(root / "CITATION.cff", f"{citation}date-released: 2026-01-02\n")


def _write_runs(profile: Profile) -> None:
    spread = np.random.default_rng(0).lognormal(sigma=0.3, size=IMAGES)
    spread /= spread.mean()
    digests = {split: {"count": IMAGES, "sha256": f"{split:f<64}"} for split in ("train", "val", "test")}
    for seed in profile.seeds:
        run = Run(profile.run(seed))
        run.write_record(run_record(config=as_json(profile.run_config(seed)), photos=digests, source=f"{seed}" * 64))
        run.write_history(
            [
                {"epoch": epoch, "updates": 25 * epoch, "training_loss": 0.008 + 0.03 / epoch + 0.0001 * seed}
                | {"validation_loss": 0.006 + 0.01 / epoch}
                for epoch in range(1, 41)
            ],
            [],
        )
    baselines = {method: list(error * spread) for method, error in BASELINES.items()}
    networks = {
        seed: {NETWORK: list((0.0083 + seed * 1e-4) * spread), NETWORK_TRUE_L: list((0.0077 + seed * 1e-4) * spread)}
        for seed in profile.seeds
    }
    write_per_image(profile, baselines, networks)
    data, losses, table = files(profile, "data")
    splits = [{"split": name, "photographs": IMAGES, "sha256": f"{name:f<16}"} for name in digests]
    write_json(data, {"photos": "bsds500", "terms": "free; cite them", "splits": splits})
    write_json(losses, {"validation_mse": {"gray": 0.0074, "mean chroma": 0.0055, "look-up table": 0.0054}})
    write_text(table, look_up_table_csv("bundled"))


# Executed notebooks


def outputs_of(*shown: Illustration | Table) -> list[Any]:
    """Return the notebook outputs of figures and tables, as `show()` displays them."""
    outputs = []

    def record(data: Mapping[str, str], *, raw: bool, metadata: Mapping[str, Any]) -> None:
        assert raw
        outputs.append(nbformat.v4.new_output("display_data", data, metadata=metadata))

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("IPython.display.display", record)
        for each in shown:
            each.show()
    return outputs


def write_executed(step: Step, profile: Profile) -> Path:
    """Write a copy of a step's notebook with invented outputs; returns its path."""
    notebook = nbformat.read(NOTEBOOKS / step.notebook, as_version=4)
    name, outputs = step.name.partition("_seed")[0], []
    if name == "01_data":
        data = pd.DataFrame([{"split": "train", "photographs": "12"}])
        columns = [Column(name="split"), Column(name="photographs")]
        crops = invented_figure(profile.figures / "data_crops.png")
        outputs = outputs_of(Table(data=data, columns=columns, caption="The photographs of bsds500."), crops)
    elif name == "02_train":
        run = profile.run(int(step.name.rpartition("-")[2]))
        lines = "".join(f"{line}\n" for line in epoch_lines(recorded_epochs(run), profile.config))
        outputs = [nbformat.v4.new_output("stream", text=lines), *outputs_of(provenance_table(run))]
    elif name == "05_table1":
        results = Results(profile)
        write_scores(results, rescore=False)
        outputs = outputs_of(table1(results))
    else:
        paths = [path for path in step.outputs if path.suffix == ".png"]
        outputs = outputs_of(*map(invented_figure, paths))
    # All outputs are those of the cell that shows the first figure or table
    (first, *_) = [cell for cell in notebook.cells if cell.cell_type == "code" and ".show()" in cell.source]
    first.outputs = outputs
    for number, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.execution_count = number + 1
    write_text(step.executed, nbformat.writes(notebook))
    return step.executed


def invented_figure(path: Path) -> Illustration:
    """Write a picture of one color and return it with words that hold markup."""
    picture = io.BytesIO()
    color = (sum(map(ord, path.stem)) % 256, 90, 120)
    Image.new("RGB", SIZES.get(path.stem, (1005, 280)), color).save(picture, "png")
    write_bytes(path, picture.getvalue())
    label = PICTURES[path.stem][1] if path.stem in PICTURES else ""
    drawing = path.stem == "figure1_loss_curve"
    if drawing:
        write_text(path.with_suffix(".svg"), '<svg xmlns="http://www.w3.org/2000/svg"/>')
    return Illustration(
        path=path,
        drawing=drawing,
        label=label,
        caption=f"The <caption> of {path.stem}.",
        alt=f"The contents & the numbers of {path.stem}.",
    )


def edit_outputs(path: Path, edit: Any) -> None:
    """Change the outputs of an executed notebook: `edit` is called with each cell's list."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.get("outputs"):
            edit(cell.outputs)
    nbformat.write(notebook, path)


# Claims


def claim(verdict: str, **given: Any) -> dict[str, Any]:
    """Return an entry of claims.json."""
    return {
        "id": "test-mse",
        "section": "IV.C, Table I",
        "group": "Results",
        "says": "The mean squared error on a separate test set is 0.0044.",
        "quantity": "mean over the test photographs of the MSE of the network's RGB, 8 bits, full size",
        "relation": "equals",
        "basis": "data",
        "value": 0.0044,
        "value_text": "0.0044",
        "tolerance_text": "± 0.0005, because another draw of photographs moves it that far",
        "fixed": "before",
        "verdict": verdict,
        "measured": 0.0079,
        "measured_text": "0.0079",
        "low": 0.00691,
        "high": 0.00903,
        "interval_text": "0.0069 to 0.0090 (95 % over photographs)",
        "p": None,
        "p_corrected": None,
        "gains": [],
        "seeds": 1,
        "photographs": "200 test photographs of bsds500",
        "updates": 10000,
        "crop_size": 48,
        "command": "make reproduce PROFILE=paper",
        "why": "The photographs here are more colorful than most, and the mean of their colors alone gets 0.0080.",
    } | given


NO_NUMBERS = {
    "measured": None, "measured_text": "–", "low": None, "high": None, "interval_text": "", "seeds": None,
    "photographs": None, "updates": None, "crop_size": None, "command": "",
}  # fmt: skip


def judged(profile: str) -> dict[str, Any]:
    """Return the content of claims.json with every verdict and every kind of number."""
    claims = [
        claim(
            "reproduced", id="gray-to-rgb", section="Abstract, III.A, VI", group="Method", low=None, high=None,
            basis="text",
            says="A gray image alone, without hints from a person, becomes an RGB image of the same size.",
            value=1.0, value_text="the same size", measured=1.0, measured_text="5 of 5 sizes", seeds=None,
            interval_text="",
            quantity="share of five sizes whose output has three channels and the same size", photographs=None,
            updates=None, crop_size=None, why="Nothing in the network changes the size.", tolerance_text="",
        ),
        claim(
            "contradicted", id="parameter-count", section="III.B", group="Method", relation="about", value=600000,
            basis="text",
            says="The network has approximately 600 thousand parameters.", value_text="approximately 600K",
            tolerance_text="± 60,000, a tenth", measured=740227, measured_text="740,227", low=None, high=None,
            interval_text="",
            quantity="trained scalars of the six layers that the paper lists", seeds=None, photographs=None,
            updates=None, crop_size=None, why="The six layers as listed hold 740,227; none of them can be left out.",
        ),
        claim("differs (on our data)"),
        claim(
            "within tolerance", id="psnr", says="The PSNR on that test set is 23.56 dB.", value=23.56,
            value_text="23.56 dB", measured=23.1, measured_text="23.10 dB", low=22.6, high=23.7, seeds=3,
            interval_text="22.60 to 23.70 dB (95 % over photographs and seeds)",
        ),
        claim(
            "undecided", id="training-and-test-equal", says="Test error and training loss are equal.", value=1.0,
            value_text="both times", tolerance_text="± 0.1, a tenth", measured=0.97, measured_text="0.97 ×", low=0.85,
            high=1.1, seeds=3, interval_text="0.85 × to 1.10 × (95 % over photographs and seeds)",
        ),
        claim(
            "not testable", id="faces", group="Quality", relation="qualitative", value=None, tolerance_text="",
            says="Colors look plausible & natural, <best> on faces.", value_text="visually plausible", **NO_NUMBERS,
            why="The paper names no measure of plausibility, and no photographs on which it was seen.",
        ),
        claim(
            "not measured", id="gan", group="Outlook", section="VI", value=None, relation="ordering",
            says="An adversarial loss would make colors more vivid.", value_text="more vivid", tolerance_text="",
            **NO_NUMBERS, why="The variants are not trained yet.",
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
        "measurements": 5,
        "counts": {mark.verdict: sum(entry["verdict"] == mark.verdict for entry in claims) for mark in MARKS},
        "claims": claims,
    }
