"""The ledger of claims: verdicts are computed, and turn when a result turns."""

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from colorlib import profiles
from colorlib.companion import claims, evidence, interruption, printed
from colorlib.companion.claims import CLAIMS, Claim, Verdict, decide, judge, ledger, read_claims
from colorlib.companion.claims_text import markdown, terminal
from colorlib.companion.evidence import Evidence, Finding, NotMeasuredError
from colorlib.companion.findings import FINDINGS
from colorlib.companion.peers import ZHANG
from colorlib.companion.plan import steps
from colorlib.companion.reproduce import build_claims
from colorlib.companion.tables import read_rows
from colorlib.profiles import PROJECT, Profile, load_profile

PLAIN = Claim(
    id="x", section="I", group="Results", says="It is 2.", quantity="a number", relation="equals", basis="data",
    because="a reason", value=2.0, printed="2.0", rounding=0.1, tolerance=0.5, finding="parameters",
)  # fmt: skip


def measured(value: float, low: float | None = None, high: float | None = None) -> Finding:
    return Finding(value=value, text=str(value), why="Because.", command="make it", low=low, high=high)


@pytest.mark.parametrize(
    ("relation", "value", "verdict"),
    [
        ("equals", 2.05, "reproduced"),
        ("equals", 1.95, "reproduced"),
        ("equals", 2.06, "within tolerance"),
        ("about", 1.5, "within tolerance"),
        ("about", 1.49, "differs (on our data)"),
        ("at most", -9.0, "reproduced"),
        ("at most", 2.0, "reproduced"),
        ("at most", 2.5, "within tolerance"),
        ("at most", 2.51, "differs (on our data)"),
        ("at least", 9.0, "reproduced"),
        ("at least", 1.5, "within tolerance"),
        ("at least", 1.49, "differs (on our data)"),
        ("shape", 2.1, "reproduced"),
        ("shape", 1.4, "differs (on our data)"),
        ("qualitative", 2.0, "not testable"),
    ],
)
def test_the_verdict_follows_from_the_number(relation: str, value: float, verdict: str):
    claim = replace(PLAIN, relation=relation)
    assert decide(claim, measured(value)) == verdict
    if verdict == "differs (on our data)":
        assert decide(replace(claim, basis="text"), measured(value)) == "contradicted"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(2.1, 3.0, "reproduced"), (1.9, 3.0, "within tolerance"), (1.0, 2.0, "differs (on our data)")],
)
def test_an_order_is_shown_by_its_whole_interval(low: float, high: float, verdict: str):
    assert decide(replace(PLAIN, relation="ordering"), measured(2.5, low, high)) == verdict


def test_an_order_without_an_interval_is_refused():
    with pytest.raises(ValueError, match="claim x: an order needs an interval, and parameters gives none"):
        decide(replace(PLAIN, relation="ordering"), measured(2.5))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("relation", "is", "claim x: relation 'is': there are equals"),
        ("basis", "hearsay", "claim x: basis 'hearsay': there are text, data"),
        ("finding", "luck", "claim x: no finding is called 'luck'; there are output_size_kept"),
        ("value", None, "claim x: a 'equals' claim that is measured needs a value"),
    ],
)
def test_a_claim_that_cannot_be_decided_is_refused(field: str, value: object, message: str):
    with pytest.raises(ValueError, match=message):
        replace(PLAIN, **{field: value})


def test_wrong_entries_of_the_file_are_named(tmp_path: Path):
    entry = "- {id: a, section: I, group: g, says: s, quantity: q, relation: qualitative, basis: data, because: b}\n"
    path = tmp_path / "claims.yaml"
    path.write_text(entry + entry)
    with pytest.raises(ValueError, match=r"claims\.yaml: more than one claim is called a"):
        read_claims(path)
    path.write_text(entry.replace("because: b", "reason: b"))
    with pytest.raises(ValueError, match=r"claims\.yaml, claim a: .*reason"):
        read_claims(path)


def test_the_ledger_covers_the_paper_and_uses_every_finding():
    found = read_claims()
    sections = " ".join(claim.section for claim in found)
    assert all(part in sections for part in ("Abstract", "III.A", "III.B", "III.C", "III.D", "III.E", "IV.A", "IV.B",
                                             "IV.C", "IV.D", "V", "VI"))  # fmt: skip
    assert {claim.finding for claim in found if claim.finding} == set(FINDINGS)
    groups = [claim.group for claim in found]
    assert groups == sorted(groups, key=list(dict.fromkeys(groups)).index)


def test_the_papers_figures_are_the_same_everywhere():
    value = {claim.id: claim.value for claim in read_claims()}
    assert value["training-loss"] == printed.LOSS
    assert value["test-mse"] == printed.MSE
    assert value["test-psnr"] == value["test-mean-psnr"] == value["mse-and-psnr-agree"] == printed.PSNR


def test_what_lacks_its_results_is_not_measured():
    def missing(evidence: Evidence) -> Finding:
        raise NotMeasuredError("There is no results/x; make x makes it")

    claim = replace(PLAIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FINDINGS, "parameters", missing)
        entry = judge(claim, Evidence(load_profile("cpu")))
    assert entry["verdict"] == "not measured"
    assert (entry["measured"], entry["measured_text"]) == (None, "–")
    assert entry["why"] == "There is no results/x; make x makes it."


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """A copy of the committed cpu results."""
    local = shutil.ignore_patterns("stamps", "checkpoints", ".*")
    shutil.copytree(PROJECT / "results" / "cpu", tmp_path / "results" / "cpu", ignore=local)
    monkeypatch.setattr(profiles, "PROJECT", tmp_path)
    return load_profile("cpu")


def of(profile: Profile, *names: str) -> dict[str, dict[str, object]]:
    wanted = [claim for claim in read_claims() if claim.id in names]
    assert len(wanted) == len(names)
    return {entry["id"]: entry for entry in ledger(profile, wanted)["claims"]}


def rewrite(path: Path, change: dict[str, float], where: str = "network") -> None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row.get("method", where) == where:
            row.update({name: str(float(row[name]) * factor) for name, factor in change.items()})
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def test_a_changed_score_turns_the_verdict(project: Profile):
    before = of(project, "test-mse", "better-than-trivial", "desaturated")
    assert before["test-mse"]["verdict"] == Verdict.DIFFERS
    assert before["desaturated"]["verdict"] == Verdict.REPRODUCED
    rewrite(
        project.results / "per_image.csv",
        {"mse": 0.0044 / float(before["test-mse"]["measured"]), "colorfulness": 5.0},  # type: ignore[arg-type]
    )
    after = of(project, "test-mse", "better-than-trivial", "desaturated")
    assert after["test-mse"]["verdict"] == Verdict.REPRODUCED
    assert after["better-than-trivial"]["verdict"] == Verdict.REPRODUCED
    assert after["desaturated"]["verdict"] == Verdict.DIFFERS


def test_colors_are_held_against_one_color_and_against_others_results(project: Profile):
    before = of(project, "color-fidelity", "common-limitations", "quality-kept")
    means = {
        method: np.mean([score.delta_e00 for _, score in rows if score.method == method])
        for rows in [read_rows(project.results / "per_image.csv")]
        for method in ("mean chroma", "network")
    }
    assert before["color-fidelity"]["measured"] == pytest.approx(means["mean chroma"] - means["network"])
    assert before["common-limitations"]["verdict"] == Verdict.REPRODUCED
    assert before["common-limitations"]["seeds"] is None
    assert before["quality-kept"]["verdict"] == Verdict.DIFFERS
    rewrite(project.results / "per_image.csv", {"delta_e00": 0.5})
    rewrite(project.results / "peers" / "per_image.csv", {"colorfulness": 3.0}, where=ZHANG)
    after = of(project, "color-fidelity", "common-limitations")
    assert after["color-fidelity"]["verdict"] == Verdict.REPRODUCED
    assert after["common-limitations"]["verdict"] == Verdict.DIFFERS


def test_a_changed_history_turns_the_verdict(project: Profile):
    history = project.run(0) / "history.csv"
    before = of(project, "training-loss")["training-loss"]
    assert before["verdict"] == Verdict.DIFFERS
    with history.open() as file:
        last = float(list(csv.DictReader(file))[39]["training_loss"])
    assert before["measured"] == last
    rewrite(history, {"training_loss": 0.00441 / last}, where="")
    assert of(project, "training-loss")["training-loss"]["verdict"] == Verdict.REPRODUCED


def test_seeds_are_averaged_and_their_spread_is_told(project: Profile):
    shutil.copytree(project.run(0), project.run(1))
    rewrite(project.run(1) / "history.csv", {"training_loss": 1.1}, where="")
    with (project.results / "per_image.csv").open("a") as table:
        rows = (project.results / "per_image.csv").read_text().splitlines()
        table.writelines(f"1{row[1:]}\n" for row in rows if row.startswith("0,"))
    rewrite(project.run(1) / "history.csv", {}, where="")
    both = load_profile("cpu", seeds=(0, 1))
    one = of(project, "training-loss")["training-loss"]
    two = of(both, "training-loss", "test-mse")
    assert two["training-loss"]["measured"] == pytest.approx(1.05 * float(one["measured"]))  # type: ignore[arg-type]
    assert two["training-loss"]["sd"] == pytest.approx(0.1 / 2**0.5 * float(one["measured"]))  # type: ignore[arg-type]
    assert " ± " in str(two["training-loss"]["measured_text"])
    assert (two["test-mse"]["seeds"], two["test-mse"]["sd"]) == (2, 0.0)


def test_a_run_too_short_for_a_claim_leaves_it_not_measured(project: Profile):
    entry = of(project, "converged-at-40")["converged-at-40"]
    assert entry["verdict"] == Verdict.NOT_MEASURED
    assert entry["why"] == "The run has 40 epochs; the claim is about 100."


def test_another_method_is_no_judge_of_the_papers_claims(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    paper = replace(load_profile("paper"), root=tmp_path)
    assert paper.changes == {}
    other = replace(paper, name="other", settings=paper.settings | {"network": "unet", "crop_size": 96, "ema": 0.0})
    assert other.changes == {"network": "unet"}
    with pytest.raises(ValueError, match=r"another method than the paper's \(network=unet\)"):
        claims.write_claims(other)
    assert not {"03_figure1", "04_figures2_3"} & {step.name for step in steps(other)}
    build_claims(other, force=True)
    assert "claims: not judged" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def once(find: Callable[[Evidence], Finding]) -> Callable[[Evidence], Finding]:
    held: list[Finding] = []

    def found(evidence: Evidence) -> Finding:
        if not held:
            held.append(find(evidence))
        return held[0]

    return found


@pytest.mark.slow
def test_the_whole_ledger_is_written_twice_the_same(project: Profile, monkeypatch: pytest.MonkeyPatch):
    for name in ("resumed_bytes", "gain_on_faces"):  # which train and color photographs: once is enough here
        monkeypatch.setitem(FINDINGS, name, once(FINDINGS[name]))
    first = claims.write_claims(project)
    text = (project.results / "claims.json").read_text()
    assert json.loads(text) == first
    assert claims.write_claims(project) == first
    assert (project.results / "claims.json").read_text() == text
    assert sum(first["counts"].values()) == len(first["claims"]) == len(read_claims())
    assert list(first["counts"]) == [str(verdict) for verdict in Verdict]
    by_id = {entry["id"]: entry for entry in first["claims"]}
    assert by_id["parameter-count"]["measured"] == 740_227
    assert by_id["semantics"]["measured"] == 13
    assert by_id["resume"]["verdict"] == Verdict.REPRODUCED
    for shown in (markdown(first), terminal(first)):
        assert all(entry["says"] in shown and entry["verdict"] in shown for entry in first["claims"])


@pytest.mark.slow
def test_a_training_whose_state_is_lost_is_told_apart(monkeypatch: pytest.MonkeyPatch):
    start = interruption._start

    def forget(run: Path) -> "subprocess.Popen[bytes]":
        # A resumed run that begins with another seed is not the run that was killed.
        monkeypatch.setitem(interruption.SETTINGS, "seed", int(run.name == "whole"))
        return start(run)

    monkeypatch.setattr(interruption, "_start", forget)
    monkeypatch.setattr(interruption, "_kill_after_an_epoch", lambda run: None)
    assert interruption.equal_files_after_a_kill() == {"history.csv": False, "weights.safetensors": False}


def test_the_file_of_claims_is_the_projects():
    assert CLAIMS == PROJECT / "paper" / "claims.yaml"
    assert evidence.NotMeasuredError.__mro__[1] is ValueError
