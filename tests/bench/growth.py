"""Measurements of how cost grows: with the size and the number of photographs, at a second start, with processes."""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from colorlib.colorize.colorizer import TILE, PhotoColorizer, color_pixels
from colorlib.colorizers import Colorizer
from colorlib.config import RunConfig
from colorlib.device import prepare, usable_cores
from colorlib.photos.registry import find_source, open_photos
from colorlib.targets import RGB
from colorlib.trainer import build_network

SIDES = (64, 256, 1024, 5000)
"""Sides, in pixels, of the square photographs to color; the last has 25 megapixels."""
COUNTS = (200, 10_000, 100_000)
"""Numbers of files in a folder of photographs."""
PROCESSES, TURNS = 2, 3


def loading() -> dict[str, Any]:
    """Return the seconds to decode the photographs of training: at the first start and at the next ones."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COLORLIB_CACHE"] = folder
        for start in ("first", "second"):
            began = time.perf_counter()
            pixels = [open_photos("bsds500", split).decode() for split in ("train", "val")]
            seconds[start] = time.perf_counter() - began
    return {"photographs": sum(map(len, pixels)), "seconds": seconds}


def sizes() -> dict[str, Any]:
    """Return the seconds per megapixel of coloring, by the side of the photograph."""
    device = prepare()
    network = build_network(RunConfig()).to(device).eval()
    colorizer = PhotoColorizer(colorizer=Colorizer(network=network, target=RGB(), device=device, tile=TILE))
    found = {}
    for side in SIDES:
        # Small photographs several times, because a single one is too short to time.
        photos = [
            np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
            for _ in range(max(1, 2**20 // side**2))
        ]
        for _ in color_pixels(photos[0][:256, :256].copy(), colorizer):
            pass
        began = time.perf_counter()
        for photo in photos:
            for _ in color_pixels(photo, colorizer):
                pass
        found[str(side)] = (time.perf_counter() - began) / (len(photos) * side**2 / 1e6)
    return {"seconds": found}


def index(count: int) -> dict[str, Any]:
    """Return the seconds and memory to find, check and split the photographs of a folder, without decoding them."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            inside = Path(folder) / f"{number // 1000:03}"
            inside.mkdir(exist_ok=True)
            # Each image is different, because copies count once.
            color = (number & 255, number >> 8 & 255, number >> 16)
            Image.new("RGB", (2, 2), color).save(inside / f"{number:06}.png", compress_level=1)
        before, began = resident(), time.perf_counter()
        found = [find_source(f"folder:{folder}").photos(split) for split in ("train", "val", "test")]
        seconds = time.perf_counter() - began
        assert sum(map(len, found)) == count
        return {"seconds": seconds / len(found), "megabytes": resident() - before}


def resident() -> float:
    """Return the current memory of this process in MB."""
    import psutil  # not needed where only a GPU is measured

    return float(psutil.Process().memory_info().rss / 2**20)


def processes() -> dict[str, Any]:
    """Return the seconds of an epoch in one process with all threads, and in two processes that share each batch.

    They take turns; the fastest of each counts.
    """
    with tempfile.TemporaryDirectory() as folder:
        turns = [
            {number: _epoch(Path(folder) / f"{turn}-{number}", number) for number in (1, PROCESSES)}
            for turn in range(TURNS)
        ]
    return {
        "processes": PROCESSES,
        "seconds": {str(number): min(turn[number] for turn in turns) for number in (1, PROCESSES)},
    }


def _epoch(run: Path, number: int) -> float:
    """Return the training seconds of a run's second epoch; the first one is the warm-up."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}"]
    threads = str(max(1, usable_cores() // number))
    settings = ["--set", "epochs=2", "--set", "crops_per_epoch=384", "--threads", threads]
    command = [sys.executable, *launcher, "-m", "colorlib", "train", str(run), "--photos", "bsds500", *settings]
    environment = os.environ | {"OMP_NUM_THREADS": threads}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{number} processes failed:\n{done.stderr}")
    with (run / "timing.csv").open() as file:
        return float(list(csv.DictReader(file))[1]["training_seconds"])
