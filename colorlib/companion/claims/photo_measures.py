"""Measures of the colors of one photograph and of one prediction of it: pure functions of pixels.

Photographs are LAB or ab images in float64, `(3, H, W)` or `(2, H, W)`, of 8-bit sRGB.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from colorlib import rng
from colorlib.color import gray_rgb, lightness, rgb_to_lab, to_bytes
from colorlib.features import Lite0
from colorlib.metrics import ciede2000, psnr_of
from colorlib.photos.decode import Pixels, shrink

Image = NDArray[np.float64]

SCALES = (2, 8, 32)
"""Standard deviations in pixels of the Gaussians whose differences are the bands of `split_bands`."""
BANDS = ("below 2 px", "2 to 8 px", "8 to 32 px", "over 32 px")
"""Names of the bands, fine detail first."""
FINE = BANDS[:2]
"""Bands that are measured in textures too."""
TEXTURED = 0.25
"""Fraction of a photograph's pixels that count as texture: those with the most detail in L around them."""
CELL, CELLS = 10, 27
"""Side of a histogram's cells in units of a and b, and their number along each axis; 0 is the middle of a cell."""
PATCH = 13
"""Side in pixels of a gray patch: the receptive field of the paper's network."""
TRAINING_PATCHES = 512
"""Patches of each training photograph that are searched."""
SEARCHED_PIXELS = 300
"""Pixels of a photograph whose ambiguity is measured."""
SIMILAR = 20
"""The most similar patches, each of another training photograph, whose colors give a pixel's ambiguity."""
AT_ONCE = 64
"""Patches compared with all training patches at a time, which bounds memory."""
NEIGHBORS = 5
"""Training photographs that a photograph's novelty is measured against: the most similar ones."""
FEATURE_SIDE = 224
"""Short side in pixels of a photograph for the features of EfficientNet-Lite0."""
ANIMALS, LANDFORMS = slice(0, 398), slice(970, 981)
"""ImageNet's classes of animals (tench to puffer), and of landforms (alp to volcano), by number."""
PROFILE = "profileface"
CASCADES = ("frontalface_alt2", "frontalface_default", PROFILE)
"""OpenCV's cascades that detect faces."""
SMALLEST_FACE = (24, 24)
"""Width and height in pixels of the smallest face that is detected."""
FACE_MARGIN = 0.4
"""Pixels nearer to a face than this multiple of its box's side are neither inside nor outside."""
SKIN = 0.6
"""Side of the middle of a face's box that is taken for skin, as a fraction of the box."""


def lab_of(pixels: Pixels) -> Image:
    """Return LAB, `(3, H, W)` float64, of `(H, W, 3)` uint8."""
    rgb = torch.from_numpy(pixels.copy()).permute(2, 0, 1).double() / 255.0
    lab: Image = rgb_to_lab(rgb).numpy()
    return lab


# Detail by scale


@lru_cache(maxsize=32)
def _blur_matrix(length: int, scale: float) -> Image:
    matrix: Image = ndimage.gaussian_filter1d(np.eye(length), scale, axis=0, mode="reflect")
    return matrix


def blur(image: Image, scale: float) -> Image:
    """Return an image, `(..., H, W)`, blurred by a Gaussian of this standard deviation in pixels, its border mirrored.

    The filter is SciPy's; as matrix products it is several times faster for large deviations.
    """
    height, width = image.shape[-2:]
    blurred: Image = _blur_matrix(height, scale) @ image @ _blur_matrix(width, scale).T
    return blurred


def split_bands(image: Image) -> list[Image]:
    """Return the bands of an image, `(C, H, W)` each, whose sum is the image less its mean: `BANDS`, in this order.

    A band is the difference of two Gaussian blurs; their standard deviations are `SCALES`. The border is mirrored.
    """
    blurred = [image, *(blur(image, scale) for scale in SCALES)]
    coarser = [*blurred[1:], image.mean(axis=(1, 2), keepdims=True)]
    return [one - other for one, other in zip(blurred, coarser, strict=True)]


def texture(light: Image) -> NDArray[np.bool_]:
    """Return where L, `(H, W)`, has the most detail around a pixel: `TEXTURED` of the pixels, `(H, W)`.

    Detail is the energy of the bands in `FINE`, blurred with the scale of the coarser one.
    """
    detail = np.square(sum(split_bands(light[np.newaxis])[: len(FINE)]))[0]
    local = blur(detail, SCALES[1])
    return np.asarray(local >= np.quantile(local, 1 - TEXTURED))


def detail_energy(light: Image) -> float:
    """Return the mean square of L's detail, the bands in `FINE`, of a photograph, `(H, W)`."""
    return float(np.square(sum(split_bands(light[np.newaxis])[: len(FINE)])).mean())


def products(one: Image, other: Image, where: NDArray[np.bool_] | None = None) -> float:
    """Return the mean over pixels of the product of two ab bands, `(2, H, W)`, summed over a and b.

    Of a band with itself this is its energy. Of a prediction P and the truth T, with means over photographs as well,
    the share of the energy is PP / TT, the correlation PT / sqrt(PP TT), the explained variance (2 PT - PP) / TT.

    Args:
        one: a band.
        other: the same band of another picture.
        where: `(H, W)`, the pixels to average over; None means all.
    """
    product = (one * other).sum(axis=0)
    return float((product if where is None else product[where]).mean())


# Distributions of color


def ab_histogram(ab: Image) -> Image:
    """Return the share of pixels in each cell of the ab plane, `(CELLS, CELLS)`; the sum is 1."""
    place = np.clip(np.rint(ab.reshape(2, -1) / CELL) + CELLS // 2, 0, CELLS - 1).astype(np.int64)
    counts = np.bincount(CELLS * place[0] + place[1], minlength=CELLS**2).reshape(CELLS, CELLS)
    shares: Image = counts / counts.sum()
    return shares


def overlap(one: Image, other: Image) -> float:
    """Return the share that two distributions have in common: 1 if they are equal, 0 if they share no cell."""
    return float(np.minimum(one, other).sum())


def jensen_shannon(one: Image, other: Image) -> float:
    """Return the Jensen-Shannon divergence of two distributions in bits, from 0 (equal) to 1 (no common cell)."""
    middle = (one + other) / 2

    def divergence(of: Image) -> float:
        used = of > 0
        return float((of[used] * np.log2(of[used] / middle[used])).sum())

    return (divergence(one) + divergence(other)) / 2


def rarity(histogram: Image, training: Image, *, floor: float = 1e-6) -> float:
    """Return the mean surprise of a photograph's colors, in bits: the cross entropy with the training photographs'.

    Args:
        histogram: `ab_histogram` of the photograph.
        training: mean `ab_histogram` of the training photographs.
        floor: least probability of a cell, so that colors that were never seen count as rare, not as impossible.
    """
    return float(-(histogram * np.log2(np.maximum(training, floor))).sum())


# Colors that a gray patch leaves open


@dataclass(frozen=True)
class PatchColors:
    """Gray patches of training photographs, and the true color of the middle of each."""

    patches: torch.Tensor
    """L of `PATCH` x `PATCH` pixels, `(photographs, patches, PATCH ** 2)` float64."""
    colors: torch.Tensor
    """a and b, `(photographs, patches, 2)` float64."""

    def ambiguity(self, patches: torch.Tensor) -> NDArray[np.float64]:
        """Return how far the colors of similar gray patches lie apart, `(N,)`, for `(N, PATCH ** 2)` patches.

        Of each training photograph the patch with the least squared difference is taken, and of these the `SIMILAR`
        most similar ones. The number is the root mean square distance of their colors from their mean, in units of ab.
        """
        count, per_photo = self.colors.shape[:2]
        searched = self.patches.reshape(count * per_photo, -1)
        squares = searched.square().sum(dim=1)
        spreads = []
        for wanted in torch.split(patches, AT_ONCE):
            # |x - w|² less |w|², which is the same for all x
            distances = torch.addmm(squares, wanted, searched.T, alpha=-2.0).reshape(len(wanted), count, per_photo)
            nearest, position = distances.min(dim=2)
            photos = nearest.topk(min(SIMILAR, count), dim=1, largest=False).indices
            found = self.colors[photos, position.gather(1, photos)]
            deviations = found - found.mean(dim=1, keepdim=True)
            spreads.append(deviations.square().sum(dim=2).mean(dim=1).sqrt())
        return torch.cat(spreads).numpy()


def drawn_pixels(height: int, width: int, count: int, purpose: str, position: int) -> NDArray[np.int64]:
    """Return rows and columns, `(2, count)`, of pixels drawn at random whose patch lies inside the photograph."""
    inner = np.array([[height], [width]]) - PATCH + 1
    return rng.integers(np.repeat(inner, count, axis=1), 0, purpose, position) + PATCH // 2


def patches_at(light: Image, places: NDArray[np.int64]) -> torch.Tensor:
    """Return the patches of L, `(H, W)`, around pixels, `(2, N)`, as `(N, PATCH ** 2)` float64."""
    windows = np.lib.stride_tricks.sliding_window_view(light, (PATCH, PATCH))
    rows, columns = places - PATCH // 2
    return torch.from_numpy(windows[rows, columns].reshape(len(rows), -1).copy())


def fit_patch_colors(photos: Sequence[Pixels]) -> PatchColors:
    """Draw `TRAINING_PATCHES` patches of each training photograph."""
    patches, colors = [], []
    for number, pixels in enumerate(photos):
        lab = lab_of(pixels)
        height, width = lab.shape[1:]
        places = drawn_pixels(height, width, TRAINING_PATCHES, "training patches", number)
        patches.append(patches_at(lab[0], places))
        colors.append(torch.from_numpy(lab[1:, places[0], places[1]].T.copy()))
    return PatchColors(torch.stack(patches), torch.stack(colors))


def thirds(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of the largest and of the smallest third of some values."""
    order = np.argsort(values, kind="stable")
    count = len(values) // 3
    return order[len(values) - count :], order[:count]


# Novelty and kind of a photograph


def features_of(network: Lite0, pixels: Pixels, *, gray: bool) -> torch.Tensor:
    """Return the features of EfficientNet-Lite0, `(1280,)` float32, of a photograph or of its gray picture."""
    shown = pixels
    if gray:
        light = lightness(torch.from_numpy(pixels.copy()).permute(2, 0, 1))
        shown = to_bytes(gray_rgb(light)).permute(1, 2, 0).numpy()
    small = shrink(shown, FEATURE_SIDE)
    rgb = torch.from_numpy(small.copy()).permute(2, 0, 1).unsqueeze(0).float() / 255.0
    with torch.no_grad():
        features: torch.Tensor = network(rgb)[0]
    return features


def novelty(features: torch.Tensor, training: torch.Tensor) -> float:
    """Return the mean cosine distance, from 0 to 2, of features to their `NEIGHBORS` nearest among the training ones.

    Args:
        features: `(F,)`.
        training: `(photographs, F)`.
    """
    directions = torch.nn.functional.normalize(training.double(), dim=1)
    similar = directions @ torch.nn.functional.normalize(features.double(), dim=0)
    return float(1 - similar.topk(min(NEIGHBORS, len(training))).values.mean())


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Return Spearman's rank correlation of two measures of the same photographs, and its two-sided p-value."""
    from scipy import stats  # here, since its import takes half a second

    found = stats.spearmanr(one, other)
    return float(found.statistic), float(found.pvalue)


# Faces


@dataclass(frozen=True, kw_only=True)
class Box:
    """A face in a photograph, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def shared(self, other: "Box") -> float:
        """Return the area that two boxes share, as a fraction of the smaller one."""
        across = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        down = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        return max(across, 0) * max(down, 0) / min(self.width * self.height, other.width * other.height)

    def mask(self, height: int, width: int, scale: float = 1.0) -> NDArray[np.bool_]:
        """Return which pixels of a photograph lie in the box, `(height, width)`, after scaling it about its middle."""
        middle_row, middle_column = self.top + self.height / 2, self.left + self.width / 2
        rows = np.abs(np.arange(height) + 0.5 - middle_row) < scale * self.height / 2
        columns = np.abs(np.arange(width) + 0.5 - middle_column) < scale * self.width / 2
        return np.asarray(rows[:, np.newaxis] & columns)


def detect_faces(pixels: Pixels) -> list[Box]:
    """Return what OpenCV's Haar cascades take for faces in a photograph; some are none (see paper/faces.csv).

    Of two detections that share half of the smaller one, the first is kept, in the order of `CASCADES`.
    """
    import cv2

    gray = cv2.equalizeHist(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    mirrored, width = np.ascontiguousarray(gray[:, ::-1]), gray.shape[1]
    found: list[Box] = []
    for name in CASCADES:
        cascade = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / f"haarcascade_{name}.xml"))
        seen = [tuple(map(int, box)) for box in cascade.detectMultiScale(gray, 1.1, 5, minSize=SMALLEST_FACE)]
        if name == PROFILE:  # the cascade knows faces that look to the left
            other = [tuple(map(int, box)) for box in cascade.detectMultiScale(mirrored, 1.1, 5, minSize=SMALLEST_FACE)]
            seen += [(width - left - across, top, across, down) for left, top, across, down in other]
        for left, top, across, down in sorted(seen):  # OpenCV's threads return them in any order
            box = Box(left=left, top=top, width=across, height=down)
            if all(box.shared(kept) < 0.5 for kept in found):
                found.append(box)
    return found


def face_regions(boxes: Sequence[Box], height: int, width: int) -> dict[str, NDArray[np.bool_]]:
    """Return the pixels of faces, of their skin, and those outside, each `(height, width)`.

    Pixels within `FACE_MARGIN` of a box are in none of these, because a face's border is not known exactly.
    """

    def any_of(scale: float) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = np.any([box.mask(height, width, scale) for box in boxes], axis=0)
        return found

    return {"faces": any_of(1.0), "skin": any_of(SKIN), "outside": ~any_of(1.0 + 2 * FACE_MARGIN)}


def psnr_where(predicted: Pixels, truth: Pixels, where: NDArray[np.bool_]) -> float:
    """Return the PSNR in dB over some pixels, `(H, W)`, of two pictures, `(H, W, 3)` uint8."""
    difference = (predicted.astype(np.int64) - truth.astype(np.int64))[where]
    return psnr_of(float(np.square(difference).mean()) / 255.0**2)


def delta_e00_where(predicted: Image, truth: Image, where: NDArray[np.bool_]) -> float:
    """Return the mean CIEDE2000 color difference over some pixels, `(H, W)`, of two LAB images."""
    pair = [torch.from_numpy(lab[:, where]).unsqueeze(-1) for lab in (predicted, truth)]
    return float(ciede2000(*pair).mean())


def mean_where(channel: Image, where: NDArray[np.bool_]) -> float:
    """Return the mean of a channel, `(H, W)`, over some pixels."""
    return float(channel[where].mean())
