"""Pictures for tests, computed from seeds."""

import io
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from colorlib.files import sha256
from colorlib.photos import Photo, PhotoSet, Pixels


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


def encoded(picture: Image.Image | Pixels, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of an image file in one of Pillow's formats."""
    out = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(out, kind, **options)
    return out.getvalue()


def write_pngs(folder: Path, count: int, size: int = 12) -> dict[str, Path]:
    """Write `count` different PNG files of `size` x `size` noise: SHA-256 -> path."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for number in range(count):
        path = folder / f"{number:03d}.png"
        path.write_bytes(encoded(noise(size, size, seed=number)))
        written[sha256(path)] = path
    return written


def png(pixels: Pixels) -> bytes:
    """Pixels as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def photo_set(*pixels: Pixels) -> PhotoSet:
    """Training photographs of a source called `a test`."""
    photos = tuple(Photo(name=str(index), digest="", load=partial(np.copy, one)) for index, one in enumerate(pixels))
    return PhotoSet(source="a test", split="train", photos=photos, terms="")
