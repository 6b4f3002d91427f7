"""Each kind of committed file, changed once plainly and once with everything downstream made consistent.

The table of what notices which change is results/mutations.md; set MUTATIONS=write to write it again.
"""

import base64
import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_profile import change_digit
from PIL import Image

from colorlib.checkpoint import load_tensors, save_tensors
from colorlib.companion.pipeline import outputs, run_step, write_manifest
from colorlib.companion.results import Results
from colorlib.companion.steps import steps
from colorlib.companion.tables import read_rows
from colorlib.companion.verify import verify
from colorlib.companion.verify.compare import Check, Outcome
from colorlib.companion.verify.consistency import consistent, linked, notebooks_agree
from colorlib.companion.verify.rerun import baselines_recomputed, rescored, weights_validated
from colorlib.evaluate import read_scores
from colorlib.metrics import psnr_of
from colorlib.profiles import PROJECT, Profile, load_profile
from colorlib.runs import csv_text

TABLE = PROJECT / "results" / "mutations.md"
CHEAP = ("metrics of seed 0", "scores", "table1", "figure1")
"""Outputs that are made again after a change of an input."""


@dataclass(frozen=True)
class Mutation:
    """One change of one committed file."""

    kind: str
    file: str
    """Below results/smoke or figures/smoke."""
    change: Callable[[Path], object]
    unnoticed: str = ""
    """Why no check notices it once everything is consistent; empty: one does."""


def set_json(path: Path, keys: tuple[str | int, ...], value: object) -> None:
    content = inner = json.loads(path.read_text())
    for key in keys[:-1]:
        inner = inner[key]
    assert keys[-1] in inner
    inner[keys[-1]] = value
    path.write_text(json.dumps(content, indent=2) + "\n")


def edit_rows(path: Path, factor: float) -> None:
    """Scale the errors of the networks or of the baselines, with PSNR that agrees."""
    rows = [replace(row, mse=row.mse * factor, psnr=psnr_of(row.mse * factor)) for row in read_scores(path)]
    if path.read_text().startswith("seed,"):
        seeds = [seed for seed, _ in read_rows(path)]
        both = zip(seeds, read_scores(path), rows, strict=True)
        # Only baselines: the networks' rows are rebuilt from the runs
        path.write_text(
            csv_text([{"seed": "" if s is None else s, **vars(new if s is None else old)} for s, old, new in both])
        )
    else:
        path.write_text(csv_text([vars(row) for row in rows]))


def edit_tensor(path: Path, by: float) -> None:
    held = load_tensors(path)
    held.state[sorted(held.state)[0]].view(-1)[0] += by
    save_tensors(path, held.state, step=held.step)


def replace_row(path: Path, number: int, factor: float, column: int) -> None:
    lines = path.read_text().splitlines()
    number %= len(lines)
    cells = lines[number].split(",")
    whole = cells[column].isdecimal()
    cells[column] = str(round(int(cells[column]) * factor)) if whole else repr(float(cells[column]) * factor)
    path.write_text("\n".join([*lines[:number], ",".join(cells), *lines[number + 1 :]]) + "\n")


def add_mark(path: Path) -> None:
    with Image.open(path) as picture:
        pixels = np.array(picture.convert("RGB"))
    pixels[40:80, 40:140] = (200, 0, 0)
    Image.fromarray(pixels).save(path)


def edit_notebook(path: Path, kind: str, edit: Callable[[str], str]) -> None:
    content = json.loads(path.read_text())
    for output in (output for cell in content["cells"] for output in cell.get("outputs", ())):
        data = output if kind == "text" else output.get("data", {})
        if kind in data:
            text = "".join(data[kind])
            data[kind] = edit(text)
            assert data[kind] != text
            break
    else:
        raise AssertionError(f"no {kind} in {path.name}")
    path.write_text(json.dumps(content, indent=1) + "\n")


def other_picture(text: str) -> str:
    picture = Path(os.environ["MUTATED_PICTURE"])
    picture.write_bytes(base64.b64decode(text))
    add_mark(picture)
    return base64.b64encode(picture.read_bytes()).decode()


def other_number(text: str) -> str:
    return re.sub(r"\d\.\d\d", "9.99", text, count=1)


def other_width(text: str) -> str:
    return text.replace("64", "65", 1)


def edit_cell(path: Path) -> None:
    set_json(path, ("cells", 0, "source"), ["# Another title"])


def link(path: Path) -> None:
    copy = path.parent.parent.parent.parent / "elsewhere.md"
    shutil.move(path, copy)
    path.symlink_to(copy)


digit = partial(change_digit, pattern=r"0\.\d{3}")
RETRAIN = "only RETRAIN=1 repeats these epochs"
RECORD = "nothing that can be repeated depends on it"
ROW, JSON, NOTEBOOK = partial(partial, replace_row), partial(partial, set_json), partial(partial, edit_notebook)
RUN, HISTORY, SCORES = "seed-0/run.json", "seed-0/history.csv", "seed-0/per_image.csv"
NO_HASH = "0" * 64
INPUTS = [
    Mutation("PSNR of a photograph", SCORES, ROW(number=1, factor=1.1, column=5)),
    Mutation("MSE and PSNR of the network", SCORES, partial(edit_rows, factor=0.8)),
    Mutation("MSE and PSNR of the baselines", "per_image.csv", partial(edit_rows, factor=1.1)),
    Mutation("SSIM beyond 1", SCORES, ROW(number=1, factor=9.0, column=6)),
    Mutation("weight of the network", "seed-0/weights.safetensors", partial(edit_tensor, by=0.5)),
    Mutation("weight of a kept epoch", "seed-0/epochs/epoch-001.safetensors", partial(edit_tensor, by=5.0)),
    Mutation("last validation loss", HISTORY, ROW(number=5, factor=0.6, column=3)),
    Mutation("validation loss of a kept epoch", HISTORY, ROW(number=2, factor=0.6, column=3)),
    Mutation("updates of an epoch", HISTORY, ROW(number=3, factor=2.0, column=1)),
    Mutation("epoch of timing", "seed-0/timing.csv", ROW(number=3, factor=2.0, column=0)),
    Mutation("learning rate", RUN, JSON(keys=("config", "learning_rate"), value=0.5)),
    Mutation("number of photographs", RUN, JSON(keys=("photos", "train", "count"), value=9)),
    Mutation("SHA-256 of photographs", RUN, JSON(keys=("photos", "val", "sha256"), value=NO_HASH)),
    Mutation("record without versions", RUN, JSON(keys=("versions",), value={})),
    Mutation("scored photographs", "seed-0/metrics.json", JSON(keys=("photos", "sha256"), value=NO_HASH)),
    Mutation("losses of baselines", "baselines.json", digit),
    Mutation("look-up table", "look_up_table.csv", digit),
    Mutation("overview of photographs", "data.json", JSON(keys=("splits", 0, "photographs"), value=999)),
    Mutation("figure in a notebook", "notebooks/03_figure1.ipynb", NOTEBOOK(kind="image/png", edit=other_picture)),
    Mutation("table in a notebook", "notebooks/05_table1.ipynb", NOTEBOOK(kind="text/html", edit=other_number)),
    Mutation("printed line of a notebook", "notebooks/02_train_seed-0.ipynb", NOTEBOOK(kind="text", edit=other_width)),
    Mutation("cell of a notebook", "notebooks/04_figures2_3.ipynb", edit_cell),
    Mutation("picture of `explore`", "figures/explore_arrival.png", add_mark),
    Mutation("symbolic link", "table1.md", link),
]
OUTPUTS = [
    Mutation("number of table1.csv", "table1.csv", change_digit),
    Mutation("number of table1.md", "table1.md", digit),
    Mutation("pooled metric", "seed-0/metrics.json", change_digit),
    Mutation("Figure 1", "figures/figure1_loss_curve.png", add_mark),
    Mutation("Figure 1 as SVG", "figures/figure1_loss_curve.svg", partial(change_digit, pattern=r"L \d+\.\d{6}")),
    Mutation("data crops", "figures/data_crops.png", add_mark),
    Mutation("number of the report", "report.html", digit),
    Mutation("page of a notebook", "notebooks/05_table1.html", digit),
    Mutation("network's row in per_image.csv of the profile", "per_image.csv", ROW(number=-1, factor=1.5, column=-2)),
    Mutation("number of claims.json", "claims.json", partial(change_digit, pattern=r"0\.\d{6,}")),
    Mutation("number of claims.md", "claims.md", digit),
    Mutation("Figure 2", "figures/figure2_portrait.png", add_mark),
]
UNNOTICED = [
    Mutation("training loss of a later epoch", HISTORY, ROW(number=4, factor=0.9, column=2), RETRAIN),
    Mutation("validation loss without kept weights", HISTORY, ROW(number=4, factor=0.9, column=3), RETRAIN),
    Mutation("seconds of an epoch", "seed-0/timing.csv", ROW(number=3, factor=0.5, column=1), RECORD),
    Mutation("commit of the code", RUN, JSON(keys=("commit",), value="0" * 40), RECORD),
    Mutation("SHA-256 of the code", RUN, JSON(keys=("source",), value=NO_HASH), RECORD),
]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """The profile smoke as `make reproduce` leaves it."""
    profile = replace(load_profile("smoke"), root=tmp_path_factory.mktemp("smoke"))
    for step in steps(profile):
        run_step(profile, step)
    made = outputs(Results(profile), steps(profile))
    made["claims"].make()
    made["report"].make()
    write_manifest(profile)
    return profile


def copied(smoke: Profile, root: Path) -> Profile:
    assert smoke.root
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(smoke.root, root)
    return replace(smoke, root=root)


def path_of(profile: Profile, mutation: Mutation) -> Path:
    drawn = mutation.file.startswith("figures/")
    return profile.figures / mutation.file.removeprefix("figures/") if drawn else profile.results / mutation.file


def make_again(profile: Profile, labels: tuple[str, ...], changed: Path) -> None:
    """Make outputs that follow from a changed file, and the list."""
    made = outputs(Results(profile), steps(profile))
    for label in labels:
        if changed not in made[label].files or label == "scores":
            made[label].make()
    write_manifest(profile)


def stages(profile: Profile, scratch: Path, mutation: Mutation | None = None) -> Iterator[Check]:
    """Yield the checks that a consistent change of an input must pass, the quick ones first."""
    yield from linked(profile)
    yield from consistent(profile)
    yield from weights_validated(profile)
    yield from baselines_recomputed(profile)
    # Whoever changes scores executes the notebooks again, so these must not be what notices it
    if mutation is None or mutation.file.endswith("per_image.csv"):
        yield from rescored(profile)
    list(verify.rebuilt(profile, scratch, quick=True))
    yield from notebooks_agree(profile, scratch)


def noticed(checks: Iterator[Check]) -> Check | None:
    return next((check for check in checks if check.outcome == Outcome.DIFFERS), None)


@pytest.mark.campaign
def test_every_change_is_noticed_or_the_table_says_why_not(
    smoke: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MUTATED_PICTURE", str(tmp_path / "picture.png"))
    rows = []
    # Plainly: lists are as they were
    for mutation in (*INPUTS, *OUTPUTS, *UNNOTICED):
        profile = copied(smoke, tmp_path / "plain")
        mutation.change(path_of(profile, mutation))
        found = noticed(verify.as_listed(profile)) or noticed(linked(profile))
        rows.append((mutation, found.how if found else "not caught"))
    plain = dict(rows)
    together: dict[Mutation, str] = {}
    # Inputs, with everything that follows made again
    for number, mutation in enumerate(INPUTS):
        profile = copied(smoke, tmp_path / "consistent")
        path = path_of(profile, mutation)
        mutation.change(path)
        if path.suffix in (".csv", ".json") and mutation.file != RUN:
            with contextlib.suppress(ValueError):  # a file that is refused when it is read
                make_again(profile, CHEAP, path)
        write_manifest(profile)
        found = noticed(stages(profile, tmp_path / f"scratch-{number}", mutation))
        together[mutation] = found.how if found else "not caught"
    # Outputs, all at once, with the list made again
    profile = copied(smoke, tmp_path / "outputs")
    for mutation in OUTPUTS:
        mutation.change(path_of(profile, mutation))
    write_manifest(profile)
    checks = [*verify.rebuilt(profile, tmp_path / "scratch"), *notebooks_agree(profile, tmp_path / "scratch")]
    found_checks = [check for check in checks if check.outcome == Outcome.DIFFERS]
    for mutation in OUTPUTS:
        name = path_of(profile, mutation).relative_to(tmp_path / "outputs").as_posix()
        together[mutation] = next((check.how for check in found_checks if name in check.subject), "not caught")
    # What cannot be noticed, all at once
    profile = copied(smoke, tmp_path / "unnoticed")
    for mutation in UNNOTICED:
        mutation.change(path_of(profile, mutation))
    for step in steps(profile):  # a notebook that shows the changed files
        if step.name.startswith("02"):
            shown = next(step for step in steps(profile, train=False) if step.name.startswith("02"))
            run_step(profile, shown)
        if step.name.startswith("03"):
            run_step(profile, step, force=True)
    make_again(profile, CHEAP, profile.results)
    remaining = noticed(stages(profile, tmp_path / "scratch-unnoticed"))
    assert remaining is None, verify.terminal(remaining)
    together |= {mutation: f"not caught: {mutation.unnoticed}" for mutation in UNNOTICED}
    # Compare with the table
    lines = [f"| {m.kind} | `{m.file}` | {plain[m]} | {together[m]} |" for m in (*INPUTS, *OUTPUTS, *UNNOTICED)]
    counts = [sum("not caught" not in value for value in of.values()) for of in (plain, together)]
    text = (
        "# Changes of committed files, and the check that notices each\n\n"
        f"{len(lines)} kinds of change, on the profile `smoke`: {counts[0]} are noticed if only the file is changed, "
        f"{counts[1]} if lists and everything that follows from it are made again by the code. "
        "`tests/companion/verify/test_mutations.py` makes this table. Points of sweeps, published results and other "
        "data sets are not in this profile; `test_consistency.py` and `test_rerun.py` test them.\n\n"
        "| change | file | plain | consistent |\n|---|---|---|---|\n" + "\n".join(lines) + "\n"
    )
    if os.environ.get("MUTATIONS") == "write":
        TABLE.write_text(text)
    assert [m.kind for m in (*INPUTS, *OUTPUTS) if "not caught" in together[m] or "not caught" in plain[m]] == []
    assert TABLE.read_text() == text
