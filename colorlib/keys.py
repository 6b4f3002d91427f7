"""Randomness as a function of (seed, purpose, position), never a state.

Nothing here remembers anything: the same key gives the same numbers in any process, in any order and after any
interruption. So no generator, sampler or augmentation state is ever saved, and epoch 17 can be regenerated alone.
The numbers are raw words of Philox, whose stream NumPy guarantees; NumPy's distributions carry no such guarantee.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray


def words(count: int, seed: int, purpose: str, *position: int) -> NDArray[np.uint64]:
    """`count` independent 64-bit words belonging to this seed, purpose and position.

    Args:
        count: how many words.
        seed: the run's seed.
        purpose: what the numbers are for, for example `"crops"`; different purposes never share numbers.
        position: where they are used, for example the epoch.
    """
    message = repr((int(seed), purpose, tuple(int(p) for p in position))).encode()
    key = int.from_bytes(hashlib.sha256(message).digest()[:16], "little")
    return np.random.Philox(key=key).random_raw(count)


def integers(below: NDArray[np.int64], seed: int, purpose: str, *position: int) -> NDArray[np.int64]:
    """For each entry n of `below`, one integer from 0 to n - 1 (the bias of the remainder is under 2**-50)."""
    drawn = words(below.size, seed, purpose, *position).reshape(below.shape)
    return (drawn % below.astype(np.uint64)).astype(np.int64)


def uniforms(count: int, seed: int, purpose: str, *position: int) -> NDArray[np.float64]:
    """`count` numbers in [0, 1), each a multiple of 2**-53."""
    return (words(count, seed, purpose, *position) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(n: int, seed: int, purpose: str, *position: int) -> NDArray[np.int64]:
    """A permutation of 0..n-1."""
    return np.argsort(words(n, seed, purpose, *position), kind="stable").astype(np.int64)


@contextmanager
def torch_seeded(seed: int, purpose: str, *position: int) -> Iterator[None]:
    """Within the block torch's CPU generator is a function of the key; afterwards it is as it was before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(words(1, seed, purpose, *position)[0] >> np.uint64(1)))
        yield


def share_of_content(digest: str) -> float:
    """A number in [0, 1) that is a function of a content's SHA-256 alone."""
    return int(digest[:8], 16) / 2**32


def split_by_content(digest: str) -> str:
    """80 % train, 10 % val, 10 % test, by content alone, so that copies never straddle two splits."""
    share = share_of_content(digest)
    return "train" if share < 0.8 else "val" if share < 0.9 else "test"
