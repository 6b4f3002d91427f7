"""Test images made on the spot."""

import numpy as np

from colorlib.images import Pixels


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    """A picture of independent random bytes."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height: int, width: int, seed: int = 0) -> Pixels:
    """A picture of a few slow waves, different in each channel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [
        sum(np.sin(2 * np.pi * (a * x + b * y + c)) for a, b, c in rng.uniform(-1.5, 1.5, (3, 3))) for _ in range(3)
    ]
    return np.round(255 * (0.5 + np.stack(waves, axis=-1) / 6)).astype(np.uint8)
