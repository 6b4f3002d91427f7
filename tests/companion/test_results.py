"""Results of a profile: read once, in the order of its seeds, and missing files named with the command for them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.committed import add_seed, copy_cpu, scale

from colorlib.companion.results import NotMeasuredError, Results
from colorlib.companion.tables import read_rows
from colorlib.evaluate import NETWORK, summarize
from colorlib.model import parameter_count
from colorlib.profiles import Profile, load_profile


@pytest.fixture
def cpu(tmp_path: Path) -> Profile:
    return copy_cpu(tmp_path)


def test_summaries_are_those_of_the_scores(cpu: Profile):
    results = Results(cpu)
    scores = [row for _, row in results.scores]
    expected = {summary.method: summary for summary in summarize(scores)}
    assert {method: [found] for method, found in expected.items()} == results.summaries_by_method()
    assert results.summaries(NETWORK) == [expected[NETWORK]]
    over_mean = {summary.method: summary for summary in summarize(scores, reference="mean chroma")}
    assert results.summaries(NETWORK, reference="mean chroma") == [over_mean[NETWORK]]
    assert results.summaries("no such method") == []


def test_scores_are_in_the_order_of_the_profiles_seeds(cpu: Profile):
    both = add_seed(cpu)
    other = replace(both, seeds=(1, 0))
    scale(cpu.run(1) / "history.csv", {"training_loss": 2.0})
    rows = read_rows(cpu.results / "per_image.csv")
    for profile in (both, other):
        found = Results(profile)
        assert list(dict.fromkeys(seed for seed, _ in found.scores)) == [None, *profile.seeds]
        assert sorted(map(str, found.scores)) == sorted(map(str, rows))
    first, second = Results(both).histories
    assert Results(other).histories == [second, first]
    assert second[0]["training_loss"] == 2 * first[0]["training_loss"]


def test_a_profile_has_the_scores_of_its_own_seeds(cpu: Profile):
    add_seed(cpu)
    assert {seed for seed, _ in Results(cpu).scores} == {None, 0}
    assert {len(found) for found in Results(cpu).summaries_by_method().values()} == {1}


def test_paired_means_compare_photograph_by_photograph(cpu: Profile):
    results = Results(cpu)
    (estimate,) = results.paired_means(lambda first, second: first.psnr - second.psnr, NETWORK, "gray")
    by_method = {
        method: {row.image: row.psnr for _, row in results.scores if row.method == method}
        for method in (NETWORK, "gray")
    }
    gains = [by_method[NETWORK][image] - psnr for image, psnr in by_method["gray"].items()]
    assert estimate.value == pytest.approx(sum(gains) / len(gains))
    assert estimate.low < estimate.value < estimate.high
    some = [row for row in results.scores if row[1].image in list(by_method["gray"])[:2]]
    (of_two,) = results.paired_means(lambda first, second: first.psnr - second.psnr, NETWORK, "gray", scores=some)
    assert of_two.value == pytest.approx(sum(gains[:2]) / 2)


@pytest.mark.parametrize(
    ("name", "access", "command"),
    [
        ("seed-0/history.csv", "histories", "make reproduce PROFILE=cpu"),
        ("per_image.csv", "scores", "make table1 PROFILE=cpu"),
        ("peers/per_image.csv", "published", "make peers PROFILE=cpu"),
        ("peers/scored.json", "published", "make peers PROFILE=cpu"),
        ("peers/scored.json", "published_record", "make peers PROFILE=cpu"),
    ],
)
def test_a_missing_file_is_named_with_its_command(cpu: Profile, name: str, access: str, command: str):
    getattr(Results(cpu), access)
    (cpu.results / name).unlink()
    with pytest.raises(NotMeasuredError) as caught:
        getattr(Results(cpu), access)
    assert f"results/cpu/{name}" in str(caught.value)
    assert command in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_published_scores_of_other_weights_are_refused(cpu: Profile):
    with pytest.raises(ValueError, match=r"per_image\.csv.*\bseed 2\b.*`make reproduce PROFILE=cpu`"):
        _ = Results(replace(cpu, seeds=(0, 2))).published
    scored = cpu.results / "peers" / "scored.json"
    record = json.loads(scored.read_text())
    scored.write_text(json.dumps(record | {"weights_sha256": {"0": "0" * 64}}))
    with pytest.raises(ValueError, match=r"per_image\.csv.*seed-0.weights\.safetensors.*06_peers\.ipynb"):
        _ = Results(cpu).published
    scored.write_text(json.dumps(record))
    assert {seed for seed, _ in Results(cpu).published} == {None, 0}
    (cpu.run(0) / "weights.safetensors").unlink()
    with pytest.raises(ValueError, match=r"seed-0.weights\.safetensors"):
        _ = Results(cpu).published


def test_other_profiles_are_read_from_the_same_root(cpu: Profile):
    results = Results(replace(load_profile("paper"), root=cpu.root))
    assert results.other("paper") is results
    assert results.other("cpu") is results.other("cpu")
    assert results.other("cpu").profile == cpu
    assert results.other("cpu").histories == Results(cpu).histories


def test_files_are_read_once(cpu: Profile):
    results = Results(cpu)
    before = results.scores, results.histories, results.records, results.summaries_by_method(), results.updates
    shutil.rmtree(cpu.results)
    after = results.scores, results.histories, results.records, results.summaries_by_method(), results.updates
    assert before == after


def test_facts_of_the_profile(cpu: Profile):
    results = Results(cpu)
    assert results.updates == cpu.config.updates
    assert results.photographs == "200 test photographs of bsds500"
    assert results.command("table1") == "make table1 PROFILE=cpu"
    assert parameter_count(results.network()) == 740_227
