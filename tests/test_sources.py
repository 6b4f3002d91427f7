"""The table of sources: which errors stand side by side, where the paper's lies, and what is refused."""

import dataclasses
import json
from pathlib import Path

import pytest

from colorlib.companion import printed, sources
from colorlib.companion.compared import EVIDENCE, visit
from colorlib.companion.plan import steps
from colorlib.evaluate import Score
from colorlib.files import write_json, write_text
from colorlib.images import decode_file
from colorlib.profiles import Profile, load_profile
from colorlib.runs import csv_text

BASELINES = {"gray": 0.0080, "mean chroma": 0.0070, "look-up table": 0.0065}
WEIGHTS = (0.9, 1.0, 1.1)
OTHERS = {"paper-cifar10": 0.0040, "bundled": 0.0120}
"""Another profile -> the error of the network that was trained on its photographs."""
VISITING = 0.0100


def rows(method: str, error: float) -> list[Score]:
    like = Score(
        image="", method=method, pixels=100, truth_chroma=10.0, mse=0.0, psnr=24.0, ssim=0.9, delta_e00=9.0, ab_auc=0.9,
        colorfulness=20.0, truth_colorfulness=39.0,
    )  # fmt: skip
    return [
        dataclasses.replace(like, image=f"{number}.png", mse=error * weight) for number, weight in enumerate(WEIGHTS)
    ]


def leave_results(profile: Profile, network: float, *, of: int | None = None) -> None:
    """What the table reads of a profile's results."""
    trivial = [
        {"seed": "", **dataclasses.asdict(row)} for name, error in BASELINES.items() for row in rows(name, error)
    ]
    trained = [
        {"seed": seed, **dataclasses.asdict(row)}
        for seed in profile.seeds
        for method, error in (("network", network * (1 + 0.01 * seed)), ("network, true L", network / 2))
        for row in rows(method, error)
    ]
    write_text(profile.results / "per_image.csv", csv_text(trivial + trained))
    photos = {"source": profile.photos, "split": "test", "count": len(WEIGHTS)} | ({"of": of} if of else {})
    for seed in profile.seeds:
        write_json(profile.run(seed) / "metrics.json", {"photos": photos})


@pytest.fixture
def evidence(tmp_path: Path) -> Profile:
    """Two seeds of the evidence, and two other sources that both of them were scored on."""
    profile = dataclasses.replace(load_profile(EVIDENCE, seeds=(0, 1)), root=tmp_path)
    leave_results(profile, 0.0060)
    for name, error in OTHERS.items():
        other = dataclasses.replace(load_profile(name), root=tmp_path)
        leave_results(other, error, of=10_000 if name == "paper-cifar10" else None)
        for seed in profile.seeds:
            scored = csv_text([dataclasses.asdict(row) for row in rows("network", VISITING)])
            write_text(visit(profile, other, seed), scored)
    return profile


def test_a_row_for_each_source_with_errors_side_by_side(evidence: Profile):
    shown = sources.readable(sources.sources_table(evidence))
    assert list(shown["photographs"]) == [
        "bsds500, 10,000 updates",
        "cifar10, 10,000 updates",
        "bundled, 1,000 updates",
    ]
    own = list(shown["network trained on them"])
    assert [cell.partition(" [")[0] for cell in own] == ["0.0060 ± 0.0000", "0.0040", "0.0120"]
    visiting = list(shown["network trained on bsds500"])
    assert visiting[0] == "–"
    assert all(cell.startswith("0.0100 ± 0.0000 [") for cell in visiting[1:])
    assert {cell.partition(" [")[0] for cell in shown["gray"]} == {"0.0080"}


def test_it_is_said_where_the_papers_error_lies(evidence: Profile):
    own, thumbnails, bundled = sources.answer(sources.sources_table(evidence))
    assert f"{0.00603 / printed.MSE:.2f} times the paper's {printed.MSE}" in own
    assert "inside its interval" in thumbnails
    assert f"{0.0120 / printed.MSE:.2f} times" in bundled


def test_what_is_left_names_the_photographs_and_is_the_same_twice(evidence: Profile):
    table, picture = sources.exhibit(evidence)
    left = [evidence.results / "sources.csv", evidence.results / "sources.md", picture.path]
    first = [path.read_bytes() for path in left]
    sources.exhibit(evidence)
    assert [path.read_bytes() for path in left] == first
    text = (evidence.results / "sources.md").read_text(encoding="utf-8")
    assert "the 3 test photographs of bsds500; 3 of the 10,000 test photographs of cifar10" in text
    assert decode_file(picture.path).shape[1] > 900
    assert "cifar10, 10,000 updates: the network has 0.0040" in picture.alt
    assert sources.html(table, evidence).count('<th scope="row">') == 3


def test_a_network_that_was_not_scored_there_is_named_with_the_mend(evidence: Profile):
    other = dataclasses.replace(load_profile("bundled"), root=evidence.root)
    visit(evidence, other, 1).unlink()
    with pytest.raises(ValueError, match="run `colorlib evaluate results/paper/seed-1 --photos bundled`"):
        sources.sources_table(evidence)


def test_the_step_stands_where_there_is_something_to_compare(evidence: Profile, tmp_path: Path):
    (step,) = [step for step in steps(evidence) if step.notebook == "08_sources.ipynb"]
    assert {path.name for path in step.promised} == {"sources.csv", "sources.md", "sources.png"}
    assert evidence.results / "per_image.csv" in step.reads
    assert all(path.is_file() for path in step.reads)
    alone = dataclasses.replace(evidence, root=tmp_path / "elsewhere")
    leave_results(alone, 0.0060)
    assert "08_sources.ipynb" not in [step.notebook for step in steps(alone)]
    assert "08_sources.ipynb" not in [step.notebook for step in steps(load_profile("cpu"))]
    assert json.loads((alone.run(0) / "metrics.json").read_text())["photos"]["count"] == len(WEIGHTS)
