"""Tests of colorlib.rng against an implementation of Philox, and statistical tests of its distributions."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch

from colorlib import rng

MASK = 2**64 - 1


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10 (Salmon et al. 2011, Sec. 3.3): one block of four words."""
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(10):
        product0, product1 = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
        c0, c1, c2, c3 = (product1 >> 64) ^ c1 ^ k0, product1 & MASK, (product0 >> 64) ^ c3 ^ k1, product0 & MASK
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
    return [c0, c1, c2, c3]


def test_the_philox_of_this_test_gives_the_published_words():
    # Known answer for counter 0 and key 0, from the authors' Random123 (kat_vectors).
    assert philox([0, 0, 0, 0], [0, 0]) == [
        0x16554D9ECA36314C,
        0xDB20FE9D672D0FDC,
        0xD7E772CEE186176B,
        0x7E68B68AEC7BA23B,
    ]


def test_words_are_those_of_philox():
    digest = hashlib.sha256(b"(7, 'crops', (3, 1))").digest()
    key = [int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")]
    # NumPy counts before it generates, so the first block is number 1.
    expected = [word for block in (1, 2, 3) for word in philox([block, 0, 0, 0], key)]
    assert rng.random_bits(11, 7, "crops", 3, 1).tolist() == expected[:11]


@pytest.mark.slow
def test_words_are_the_same_in_another_process():
    script = (
        "from colorlib import rng; print(rng.random_bits(3, 0, 'x', 5).tolist(), rng.permutation(9, 1, 'y').tolist())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{rng.random_bits(3, 0, 'x', 5).tolist()} {rng.permutation(9, 1, 'y').tolist()}"


def test_a_longer_draw_begins_like_a_shorter_one():
    assert np.array_equal(rng.random_bits(1000, 0, "x")[:10], rng.random_bits(10, 0, "x"))


def test_different_keys_share_no_words():
    places = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 0), (0, "a", 1), (0, "a", 0, 0), (0, "a", 10), (0, "a", 1, 0)]
    drawn = np.concatenate([rng.random_bits(1000, *place) for place in places])
    assert len(np.unique(drawn)) == drawn.size


def test_numpy_integers_are_keys_like_pythons():
    assert np.array_equal(rng.random_bits(4, np.int64(3), "x", np.int32(2)), rng.random_bits(4, 3, "x", 2))


def test_integers_are_below_their_bound_and_even():
    drawn = rng.integers(np.full((3, 7000), 7), 0, "dice")
    assert drawn.shape == (3, 7000)
    counts = np.bincount(drawn.ravel(), minlength=7)
    assert counts.size == 7
    assert ((counts - 3000) ** 2 / 3000).sum() < 22.5  # chi-square with 6 degrees of freedom: 0.1 %
    mixed = rng.integers(np.array([1, 2, 1000] * 500), 0, "mixed").reshape(-1, 3)
    assert (mixed < [1, 2, 1000]).all()
    assert (mixed >= 0).all()
    assert mixed[:, 2].max() > 900


def test_uniforms_are_in_the_unit_interval_and_even():
    drawn = rng.uniforms(20_000, 0, "u")
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert np.array_equal(drawn * 2**53 % 1, np.zeros(20_000))
    empirical = np.arange(20_000) / 20_000
    assert np.abs(np.sort(drawn) - empirical).max() < 1.95 / np.sqrt(20_000)  # Kolmogorov-Smirnov, 0.1 %
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.025


def test_permutations_hold_everything_once_and_are_even():
    assert sorted(rng.permutation(50, 0, "p").tolist()) == list(range(50))
    firsts = np.bincount([rng.permutation(4, 0, "p", i)[0] for i in range(2000)], minlength=4)
    assert ((firsts - 500) ** 2 / 500).sum() < 16.3  # chi-square with 3 degrees of freedom: 0.1 %
    assert rng.permutation(0, 0, "p").size == 0


def test_torch_is_seeded_inside_the_block_and_untouched_outside():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with rng.fork_torch_rng(3, "weights"):
        first = torch.rand(4)
        torch.rand(100)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    with rng.fork_torch_rng(3, "weights"):
        assert torch.equal(torch.rand(4), first)
    with rng.fork_torch_rng(4, "weights"):
        assert not torch.equal(torch.rand(4), first)
    with pytest.raises(ZeroDivisionError), rng.fork_torch_rng(3, "weights"):
        raise ZeroDivisionError
    torch.manual_seed(5)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_share_of_content_is_read_from_its_digest():
    assert rng.share_of_content("00000000" + "f" * 56) == 0
    assert rng.share_of_content("80000000" + "0" * 56) == 0.5
    assert rng.share_of_content("f" * 64) < 1


@pytest.mark.parametrize(
    ("head", "split"),
    [("00", "train"), ("cc", "train"), ("cd", "val"), ("e6666666", "val"), ("e6666667", "test"), ("ff", "test")],
)
def test_content_is_split_at_eight_and_nine_tenths(head: str, split: str):
    # 0.8 * 2**32 = 0xcccccccc.cc… and 0.9 * 2**32 = 0xe6666666.66…
    assert rng.split_by_content(head.ljust(64, "0")) == split


def test_splits_of_many_contents_are_80_10_10():
    splits = [rng.split_by_content(hashlib.sha256(str(i).encode()).hexdigest()) for i in range(10_000)]
    for split, expected in (("train", 8000), ("val", 1000), ("test", 1000)):
        assert splits.count(split) == pytest.approx(expected, abs=4 * np.sqrt(expected))
