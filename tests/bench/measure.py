"""Measurements of `make bench`, each in its own process: `python tests/bench/measure.py NAME [NUMBER]` prints JSON."""

import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import growth
import numpy as np
import plain
import torch
from torch import nn

from colorlib.color import lightness, to_bytes
from colorlib.colorize import colorizer as photo_colorizer
from colorlib.colorize.winograd import with_winograd
from colorlib.colorizers import Colorizer, load_run
from colorlib.config import RunConfig
from colorlib.device import prepare
from colorlib.model import EncoderDecoder, Network
from colorlib.photos.registry import find_source, open_photos
from colorlib.profiles import PROJECT
from colorlib.runs import Epoch, Update
from colorlib.targets import RGB
from colorlib.trainer import build_network, train

PHOTOS = "bsds500"
GPU = torch.cuda.is_available()
CONFIG = RunConfig(photos=PHOTOS, epochs=1, crops_per_epoch=16 * (1000 if GPU else 16))
PLACE = torch.device("cuda" if GPU else "cpu")
WARM_UP = 20 if GPU else 4
"""Number of updates or images before timing starts."""
IMAGES = 120 if GPU else 12
PLAIN = 6 if GPU else 1
"""After the warm-up, plain code does one of `PLAIN` updates and images: a GPU waits for it."""
SIDE = 1536
"""Side of the square photograph to color, in pixels."""
TILE = 512
COMMITTED = ("paper", "lightweight")
"""Profiles whose committed networks color with direct convolutions and by Winograd's algorithm."""


def now() -> float:
    """Return the time, after a GPU has finished all its work."""
    if GPU:
        torch.cuda.synchronize()
    return time.perf_counter()


def steps(updates: Iterable[object], count: int = CONFIG.updates) -> dict[str, Any]:
    """Return the seconds per update: the median; on a GPU, which computes updates asynchronously, the mean.

    Args:
        updates: the updates as they are done; more than `count`, so that their end is not timed.
        count: number of updates, those of the warm-up included.
    """
    waiting = iter(updates)
    for _ in range(WARM_UP):
        next(waiting)
    # Without the end of the epoch, where a run validates and writes.
    ends = [now(), *(time.perf_counter() for _ in islice(waiting, count - WARM_UP))]
    if GPU:
        return {"seconds": (now() - ends[0]) / (len(ends) - 1)}
    return {"seconds": statistics.median(after - before for before, after in pairwise(ends))}


def peak() -> float:
    """Return the peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def files_of(split: str) -> list[Path]:
    source = find_source(PHOTOS)
    return [source.path(photo.name) for photo in source.photos(split)]


# Training, per update


def training_bare() -> dict[str, Any]:
    """Time forward, backward and Adam on a constant batch on the device."""
    device = prepare()
    network = build_network(CONFIG).to(device)
    adam = torch.optim.Adam(network.parameters(), lr=1e-3, fused=GPU or None)
    size = (CONFIG.batch_size, 1, CONFIG.crop_size, CONFIG.crop_size)
    light = torch.rand(size, device=device).contiguous(memory_format=torch.channels_last)
    truth = torch.rand(size, device=device).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)

    def updates() -> Iterator[None]:
        for _ in range(CONFIG.updates):
            adam.zero_grad(set_to_none=True)
            nn.functional.mse_loss(network(light), truth).backward()
            adam.step()
            yield

    return steps(updates())


def training_loop() -> dict[str, Any]:
    """Time an epoch of `colorlib.trainer.train`."""
    with tempfile.TemporaryDirectory() as folder:
        events = train(CONFIG, Path(folder) / "run")
        return steps(event for event in events if isinstance(event, Update)) | {"peak": peak()}


def training_plain() -> dict[str, Any]:
    """Time the training loop of plain code."""
    files = files_of("train")
    network = EncoderDecoder(RGB.head).to(PLACE)
    updates = WARM_UP + (CONFIG.updates - WARM_UP) // PLAIN
    return steps(plain.train(network, files, crop_size=48, batch_size=16, updates=updates + 1), updates)


def whole(precision: str = "float32") -> dict[str, Any]:
    """Return the seconds of the `paper` profile's training, from start to final weights, and its validation loss."""
    with tempfile.TemporaryDirectory() as folder:
        began = now()
        events = train(RunConfig(photos=PHOTOS, precision=precision), Path(folder) / "run")
        *_, last = (event for event in events if isinstance(event, Epoch))
        return {"seconds": now() - began, "updates": last.step, "validation_loss": last.validation_loss}


def whole_bfloat16() -> dict[str, Any]:
    """`whole` in bfloat16."""
    return whole("bfloat16")


# Prediction of test images, per megapixel, without metrics


def per_megapixel(images: Iterator[int]) -> dict[str, Any]:
    """Return the seconds per megapixel, given the number of pixels of each image as it is completed."""
    for _ in range(WARM_UP):
        next(images)
    started, pixels = now(), sum(images)
    return {"seconds": (now() - started) / pixels * 1e6}


def network() -> Network:
    return build_network(CONFIG).to(PLACE).eval()


def prediction_bare() -> dict[str, Any]:
    """Time the forward pass on images in memory."""
    prepare()
    ready = network()
    sizes = [photo.load().shape[:2] for photo in open_photos(PHOTOS, "test")[: IMAGES + WARM_UP]]
    lights = [torch.rand(1, 1, *size).to(PLACE, memory_format=torch.channels_last) for size in sizes]

    @torch.inference_mode()
    def images() -> Iterator[int]:
        for light in lights:
            ready(light)
            yield light.numel()

    return per_megapixel(images())


def prediction_ours() -> dict[str, Any]:
    """Time the steps of evaluation before its metrics: decoding, L, network, rounding to 8 bits."""
    colorize = Colorizer(network=network(), target=RGB(), device=prepare())

    def images() -> Iterator[int]:
        for photo in open_photos(PHOTOS, "test")[: IMAGES + WARM_UP]:
            truth = torch.from_numpy(photo.load()).permute(2, 0, 1)
            yield to_bytes(colorize(lightness(truth).unsqueeze(0))[0])[0].numel()

    return per_megapixel(images())


def prediction_plain() -> dict[str, Any]:
    """Time the evaluation of plain code."""
    files = files_of("test")[: IMAGES // PLAIN + WARM_UP]
    network = EncoderDecoder(RGB.head).to(PLACE)
    return per_megapixel(image.shape[0] * image.shape[1] for image in plain.evaluate(network, files))


# Coloring a large photograph, per megapixel


def coloring_bare() -> dict[str, Any]:
    """Time the forward pass on tiles."""
    prepare()
    ready, light = network(), torch.rand(1, 1, TILE, TILE).to(PLACE, memory_format=torch.channels_last)

    @torch.inference_mode()
    def tiles() -> Iterator[int]:
        for _ in range(WARM_UP + (SIDE // TILE) ** 2):
            ready(light)
            yield light.numel()

    return per_megapixel(tiles())


def coloring_ours(side: int = SIDE) -> dict[str, Any]:
    """Time `colorlib colorize` without reading and writing files: the photograph keeps its L, tile by tile."""
    trained = Colorizer(network=network(), target=RGB(), device=prepare(), tile=photo_colorizer.TILE)
    colorizer = photo_colorizer.PhotoColorizer(colorizer=trained)
    tile = np.random.default_rng(0).integers(0, 256, (TILE, TILE, 3), dtype=np.uint8)
    warm = np.tile(tile, (1, WARM_UP, 1))
    photo = np.tile(tile, (-(-side // TILE), -(-side // TILE), 1))[:side, :side].copy()
    all_tiles = (pixels for picture in (warm, photo) for pixels in photo_colorizer.color_pixels(picture, colorizer))
    return per_megapixel(all_tiles) | {"peak": peak(), "megapixels": side * side / 1e6}


def coloring_committed(profile: int, winograd: int) -> dict[str, Any]:
    """Time `coloring_ours` of a small photograph with a run of `COMMITTED`, direct or by Winograd's algorithm."""
    prepare()
    direct = replace(load_run(PROJECT / "results" / COMMITTED[profile] / "seed-0"), tile=photo_colorizer.TILE)
    changed = with_winograd(direct.network) if winograd else direct.network
    assert changed is not None, "no NNPACK here"
    colorizer = photo_colorizer.PhotoColorizer(colorizer=replace(direct, network=changed))
    photo = np.random.default_rng(0).integers(0, 256, (2 * photo_colorizer.TILE, photo_colorizer.TILE, 3), np.uint8)
    pictures = (photo[:64, : 64 * WARM_UP].copy(), photo)
    tiles = (pixels for picture in pictures for pixels in photo_colorizer.color_pixels(picture, colorizer))
    next(tiles)
    started = now()
    pixels = sum(tiles)
    return {"seconds": (now() - started) / pixels * 1e6}


# Peak speed of the most expensive layer


def convolution() -> dict[str, Any]:
    """Return the GFLOP/s of the 3 x 3 convolution from 128 to 256 channels, forward and backward, in channels_last."""
    prepare()
    layer = nn.Conv2d(128, 256, 3, padding=1).to(PLACE, memory_format=torch.channels_last)
    found = {}
    for name, size in {"batch": (16, 128, 48, 48), "tile": (1, 128, TILE, TILE)}.items():
        image = torch.rand(size).to(PLACE, memory_format=torch.channels_last).requires_grad_()
        flops = 2 * 128 * 256 * 9 * size[0] * size[2] * size[3]
        forward, both = [], []
        for _ in range(8):
            started = now()
            with torch.inference_mode():
                layer(image)
            middle = now()
            layer(image).sum().backward()
            forward.append(flops / (middle - started) / 1e9)
            both.append(3 * flops / (now() - middle) / 1e9)
        found[name] = {"forward": statistics.median(forward[2:]), "forward and backward": statistics.median(both[2:])}
    return found


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    measure.__name__: measure
    for measure in (
        training_bare, training_loop, training_plain, whole, whole_bfloat16,
        prediction_bare, prediction_ours, prediction_plain,
        coloring_bare, coloring_ours, coloring_committed, convolution,
        growth.loading, growth.sizes, growth.index, growth.processes,
    )
}  # fmt: skip

if __name__ == "__main__":
    print(json.dumps(MEASURES[sys.argv[1]](*map(int, sys.argv[2:]))))
