"""Counter-based random numbers: functions of (seed, purpose, position), without generator state.

The same key gives the same numbers in any process, in any order and after any interruption. So no generator, sampler
or augmentation state is ever saved, and epoch 17 can be regenerated alone. The numbers are raw 64-bit outputs of
Philox, whose stream NumPy guarantees across versions; it does not guarantee that of its distributions.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray


def random_bits(count: int, seed: int, purpose: str, *position: int) -> NDArray[np.uint64]:
    """Return `count` independent random 64-bit words, `(count,)` uint64, for this seed, purpose and position.

    Args:
        count: number of words.
        seed: the run's seed.
        purpose: what the numbers are used for, for example `"crops"`; different purposes never share numbers.
        position: where they are used, for example the epoch.
    """
    message = repr((int(seed), purpose, tuple(int(p) for p in position))).encode()
    key = int.from_bytes(hashlib.sha256(message).digest()[:16], "little")
    return np.random.Philox(key=key).random_raw(count)


def integers(below: NDArray[np.int64], seed: int, purpose: str, *position: int) -> NDArray[np.int64]:
    """Return an integer in [0, n) for each entry n of `below`, in its shape; the modulo's bias is below 2**-50."""
    drawn = random_bits(below.size, seed, purpose, *position).reshape(below.shape)
    return (drawn % below.astype(np.uint64)).astype(np.int64)


def uniforms(count: int, seed: int, purpose: str, *position: int) -> NDArray[np.float64]:
    """Return `count` float64 numbers in [0, 1), each a multiple of 2**-53."""
    return (random_bits(count, seed, purpose, *position) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(n: int, seed: int, purpose: str, *position: int) -> NDArray[np.int64]:
    """Return a random permutation of 0..n-1."""
    return np.argsort(random_bits(n, seed, purpose, *position), kind="stable").astype(np.int64)


@contextmanager
def fork_torch_rng(seed: int, purpose: str, *position: int) -> Iterator[None]:
    """Seed torch's CPU generator from the key within the block and restore its previous state afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(random_bits(1, seed, purpose, *position)[0] >> np.uint64(1)))
        yield


def share_of_content(digest: str) -> float:
    """Return a number in [0, 1) that depends only on a file's SHA-256, given as hexadecimal digits."""
    return int(digest[:8], 16) / 2**32


def split_by_content(digest: str) -> str:
    """Return the split of a file by its SHA-256 alone: 80 % train, 10 % val, 10 % test.

    Copies of a file have the same hash, so they always fall into the same split.
    """
    share = share_of_content(digest)
    return "train" if share < 0.8 else "val" if share < 0.9 else "test"
