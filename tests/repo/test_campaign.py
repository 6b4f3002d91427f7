"""A tenth of the campaign of faults (tests/campaign.py): nothing is lost."""

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

PROGRAM = Path(__file__).resolve().parents[1] / "campaign.py"

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the campaign forks its processes"),
]


@pytest.fixture(scope="module")
def campaign() -> ModuleType:
    spec = importlib.util.spec_from_file_location("campaign", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["campaign"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("part", ["files", "calls", "kills", "machines"])
def test_nothing_is_lost(campaign: ModuleType, tmp_path: Path, part: str):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    outcomes = campaign.campaign(tmp_path, 0.1, (part,))
    torch.set_num_threads(before)
    assert [loss for found in outcomes for loss in found["lost"]] == []
    least = {"files": 200, "calls": 50, "kills": 10, "machines": 1}
    assert sum(found["tried"] for found in outcomes) >= least[part]
    assert len((tmp_path / "done.jsonl").read_text().splitlines()) == len(outcomes)


def test_what_is_done_is_not_repeated_and_losses_are_in_the_table(
    campaign: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ran = []

    def trials(share: float) -> list[object]:
        def run(folder: Path) -> tuple[int, list[str]]:
            ran.append(folder)
            return 7, ["a loss"]

        return [campaign.Trial("part", name, run) for name in ("one", "two")]

    monkeypatch.setattr(campaign, "PARTS", {"part": trials})
    first = campaign.campaign(tmp_path, 1.0, ("part",))
    lines = (tmp_path / "done.jsonl").read_text().splitlines()
    (tmp_path / "done.jsonl").write_text(lines[0] + "\n")
    again = campaign.campaign(tmp_path, 1.0, ("part",))
    assert len(ran) == 3
    assert [found["name"] for found in again] == [json.loads(line)["name"] for line in lines] == ["one", "two"]
    text = campaign.table(first, 1.0)
    assert "| part | one: 7; two: 7 | 14 | 2 |" in text
    assert text.count("- a loss") == 2


def test_a_reader_that_fails_is_counted_as_a_loss(
    campaign: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def wrong(path: Path) -> None:
        content = path.read_bytes()
        if any(word in content for word in (b"nan", b"true", b"{}")):
            raise KeyError("x")
        if any(word in content for word in (b"null", b"[]")):
            raise ValueError("no name")
        while b"1e999" in content:
            pass

    sample = tmp_path / "sample.txt"
    sample.write_text("1 2 3")
    monkeypatch.setattr(campaign, "samples", lambda folder: {"kind": (sample, wrong)})
    monkeypatch.setattr(campaign, "SECONDS", 1)
    (tmp_path / "work").mkdir()
    tried, lost = campaign.read_mutated("kind", 0, 30, tmp_path / "work")
    assert tried == 30
    for word in ("KeyError", "name the file", "no end in 1 s"):
        assert any(word in loss for loss in lost), lost
