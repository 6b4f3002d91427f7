"""Three bundled photographs for the page, and the colors of gray patches like theirs in the training photographs.

results/<profile>/examples.json holds, for each photograph, its pixels as JPEG and, for places on a coarse grid, the
true a and b of the pixels of training photographs whose gray patches are most like the one at the place.
"""

import base64
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from colorlib.color import lightness, rgb_to_lab
from colorlib.companion.explore.exploration import PATCH
from colorlib.companion.paper import EXAMPLES
from colorlib.companion.steps import PRIMARY, files, other_profile
from colorlib.files import read_json, write_json
from colorlib.photos.decode import Pixels, shrink
from colorlib.photos.registry import open_photos
from colorlib.profiles import Profile

SIDE = 256
"""Longer side of an example, in pixels."""
SPACING = 16
"""Distance of the grid's places, in pixels."""
KEPT = 40
"""Training photographs whose pixels are kept for a place, those with the most similar patches."""
FIELDS: dict[str, Any] = {"photos": str, "count": int, "kept": int, "spacing": int, "examples": list}
"""Fields of examples.json."""


def write_examples(profile: Profile) -> None:
    """Write examples.json of a profile, from the training photographs of the primary profile.

    Raises:
        PhotosMissingError: the photographs are not on this machine.
    """
    training = open_photos(other_profile(profile, PRIMARY).photos, "train")
    bundled = {photo.name: photo for photo in open_photos("bundled", "test")}
    found = []
    for name, (photograph, _, title) in EXAMPLES.items():
        encoded = _as_jpeg(bundled[photograph].load())
        pixels = np.asarray(Image.open(io.BytesIO(encoded)))
        rows, columns = places(*pixels.shape[:2])
        colors = like_patches(pixels, [(row, column) for row in rows for column in columns], training)
        found.append(
            {
                "name": name,
                "title": title,
                "rows": len(rows),
                "columns": len(columns),
                "jpeg": base64.b64encode(encoded).decode(),
                "ab": base64.b64encode(np.round(colors).astype(np.int8).tobytes()).decode(),
            }
        )
    content = {"photos": training.source, "count": len(training), "kept": KEPT, "spacing": SPACING, "examples": found}
    write_json(files(profile, "examples")[0], content)


def read_examples(profile: Profile) -> dict[str, Any]:
    """Return the content of examples.json.

    Raises:
        ValueError: it is missing or damaged.
    """
    return read_json(files(profile, "examples")[0], FIELDS, fix="delete it and run `make page`")


def places(height: int, width: int) -> tuple[range, range]:
    """Return the rows and the columns of the grid's places in a picture."""
    return range(SPACING // 2, height, SPACING), range(SPACING // 2, width, SPACING)


@torch.no_grad()
def like_patches(pixels: Pixels, at: list[tuple[int, int]], training: Iterable[Any]) -> NDArray[np.float32]:
    """Return the true a and b of the pixels whose gray patches are most similar to those at some places.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB.
        at: row and column of each place.
        training: photographs; each gives the pixel with its most similar patch.

    Returns:
        `(places, KEPT, 2)`, the most similar first.
    """
    half = PATCH // 2
    padded = F.pad(_light(pixels), (half, half, half, half), mode="replicate")
    wanted = torch.cat([padded[:, :, row : row + PATCH, column : column + PATCH] for row, column in at])
    ones = torch.ones_like(wanted[:1])
    colors, distances = [], []
    for photo in training:
        searched, ab = _light(photo.load()), _chroma(photo.load())
        # Σ (x - w)² = Σ x² - 2 Σ x w + Σ w², for all positions at once by convolutions
        squares = F.conv2d(searched**2, ones) - 2 * F.conv2d(searched, wanted)
        flat = squares[0].flatten(1)
        least, index = flat.min(dim=1)
        width = squares.shape[-1]
        rows, columns = index // width + half, index % width + half
        colors.append(ab[:, rows, columns].T)
        distances.append(least + wanted.square().sum(dim=(1, 2, 3)))
    order = torch.stack(distances).argsort(dim=0, stable=True)[:KEPT]  # (KEPT, places)
    chosen = torch.stack(colors).gather(0, order[..., None].expand(-1, -1, 2))
    return chosen.transpose(0, 1).contiguous().numpy()


def _as_jpeg(pixels: Pixels) -> bytes:
    height, width = pixels.shape[:2]
    small = shrink(pixels, max(1, round(SIDE * min(height, width) / max(height, width))))
    buffer = io.BytesIO()
    Image.fromarray(small).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _light(pixels: Pixels) -> Tensor:
    return lightness(torch.from_numpy(pixels.copy()).permute(2, 0, 1))[None]


def _chroma(pixels: Pixels) -> Tensor:
    """Return a and b, `(2, H, W)`."""
    return rgb_to_lab(torch.from_numpy(pixels.copy()).permute(2, 0, 1))[1:]
