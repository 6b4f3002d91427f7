"""This machine, and estimates of the time and disk space that runs take on it."""

import importlib.util
import os
import platform
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import torch

from colorlib.companion.costs import PHOTO_PIXELS, input_multiply_adds
from colorlib.companion.notebooks import duration_text
from colorlib.config import RunConfig
from colorlib.data import VALIDATION_PHOTOS
from colorlib.device import prepare
from colorlib.evaluate import SCORED_PHOTOS
from colorlib.photos import SOURCES, find_source, open_photos
from colorlib.photos.download import PhotosMissingError
from colorlib.photos.sources import Cifar10, Listed
from colorlib.profiles import PROFILES, PROJECT, Profile, load_profile
from colorlib.provenance import processor
from colorlib.trainer import build_network

BATCH, CROP = 16, 48
"""Crops per update and their side in pixels, for `update_seconds`: the paper's batch size, the default crop."""
BACKWARD = 3.0
"""A training step costs about three forward passes: forward, gradient of inputs, gradient of weights."""
SOURCE_PIXELS = {"bsds500": PHOTO_PIXELS}
"""Pixels of one test photograph, for estimates without opening it."""
TYPICAL_PIXELS = 512 * 512
"""Pixels of one test photograph of any other source."""
PROFILE_OVERHEAD = 60.0
"""Seconds that a profile's notebooks take besides training and scoring: five kernels to start, figures to draw."""
POINT_OVERHEAD = 15.0
"""Seconds to start the process of a sweep's point and its kernel."""
GPU_LIMIT_MINUTES = 30
"""`auto` takes the profile `paper` where all its seeds take less."""


def report(threads: int | None = None, *, verify: bool = False) -> Iterator[str]:
    """Yield this machine's properties, a line each, and what each profile costs on it, the shortest first.

    Args:
        threads: threads of the CPU; None for one per core.
        verify: check the photographs against their SHA-256, which reads all of them.
    """
    device = prepare("auto", threads)
    # The machine
    yield f"Python       {platform.python_version()}, torch {torch.__version__}"
    yield f"processor    {processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads used"
    yield f"GPU          {_gpu(device)}"
    yield f"memory       {_memory()}"
    yield f"disk         {shutil.disk_usage(PROJECT).free / 1e9:.0f} GB free at the checkout"
    yield from _photo_lines(verify=verify)
    yield f"network      {_network()}"
    yield f"auto takes   {': '.join(choose())}"
    yield ""
    # The profiles
    update = update_seconds(device)
    yield f"one update of the paper's network, {BATCH} crops of {CROP} pixels: {update:.3f} s on {device.type}"
    yield "one seed of each profile:"
    profiles = [load_profile(path.stem) for path in PROFILES.glob("*.yaml")]
    costs = {profile.name: 60 * estimate_minutes(profile, update, device.type) for profile in profiles}
    for profile in sorted(profiles, key=lambda profile: costs[profile.name]):
        yield (
            f"  {profile.name:<13} {profile.photos:<8} {profile.config.updates:>6,} updates"
            f"  about {duration_text(costs[profile.name])}, {_megabytes(profile.config.keep_epochs)} MB of disk"
        )


def choose() -> tuple[str, str]:
    """Return the profile that `auto` takes on this machine, and the reason in words."""
    if not torch.cuda.is_available():
        return "cpu", "there is no CUDA GPU here (PROFILE=paper takes hours without one, and resumes)"
    device = prepare("cuda")
    paper = load_profile("paper")
    seeds = len(paper.seeds)
    minutes = seeds * estimate_minutes(paper, update_seconds(device))
    name = torch.cuda.get_device_name(device)
    if minutes < GPU_LIMIT_MINUTES:
        return "paper", f"{name} does its {seeds} seeds in about {minutes:.0f} minutes"
    return "cpu", f"{name} would take about {minutes:.0f} minutes for paper's {seeds} seeds, over {GPU_LIMIT_MINUTES}"


def update_seconds(device: torch.device) -> float:
    """Return the seconds of one update of the paper's network, `BATCH` crops of `CROP` pixels, measured now."""
    network = build_network(RunConfig()).to(device)
    lightness = torch.rand(BATCH, 1, CROP, CROP, device=device)
    truth = torch.rand(BATCH, 3, CROP, CROP, device=device)
    times = []
    for _ in range(3):
        started = time.perf_counter()
        torch.nn.functional.mse_loss(network(lightness), truth).backward()  # type: ignore[no-untyped-call]
        if device.type != "cpu":
            torch.accelerator.synchronize()
        times.append(time.perf_counter() - started)
    return min(times)


def estimate_minutes(profile: Profile, update: float, device: str = "cpu") -> float:
    """Return the minutes that one seed of a profile takes, without opening its photographs.

    Args:
        profile: budget and photographs.
        update: seconds of one update of the paper's network, from `update_seconds`.
        device: type of the device that was timed.
    """
    validation, test = {"bsds500": (100, 200), "bundled": (1, 3)}.get(profile.photos, (100, 200))
    test_pixels = test * (profile.config.view**2 or SOURCE_PIXELS.get(profile.photos, TYPICAL_PIXELS))
    return (_seconds(profile.config, validation, test_pixels, update, device) + PROFILE_OVERHEAD) / 60


def estimate_seconds(config: RunConfig, scored_split: str, update: float, device: str = "cpu") -> float:
    """Return the seconds that a point of a sweep takes: training, validation and scoring.

    The cost of a loss beyond the network, such as the features of a perceptual loss, is not included.

    Args:
        config: the point's settings.
        scored_split: the split that it is scored on.
        update: seconds of one update of the paper's network, from `update_seconds`.
        device: type of the device that was timed.
    """
    validation, scored = open_photos(config.photos, "val"), open_photos(config.photos, scored_split)
    # All photographs are taken to be as large as the first.
    pixels = config.view**2 or scored[0].load()[..., 0].size
    scored_pixels = min(len(scored), SCORED_PHOTOS) * pixels
    return _seconds(config, min(len(validation), VALIDATION_PHOTOS), scored_pixels, update, device) + POINT_OVERHEAD


def _seconds(config: RunConfig, validation_crops: int, scored_pixels: int, update: float, device: str) -> float:
    """Return the seconds of all forward and backward passes.

    Networks are compared by their multiply-adds. On a GPU a network that has fewer than the paper's takes no less
    time: starting its layers takes the time, and it has no fewer of them (results/LOG.md, 2026-11-26).
    """
    ratio = input_multiply_adds(config) / input_multiply_adds(RunConfig())
    per_pixel = (ratio if device == "cpu" else max(ratio, 1.0)) * update / (BATCH * CROP**2 * BACKWARD)
    validated = config.epochs * validation_crops * config.crop_size**2
    return (_trained_pixels(config) * BACKWARD + validated + scored_pixels) * per_pixel


def training_multiply_adds(config: RunConfig) -> float:
    """Return the multiply-adds that training takes, forward and backward."""
    return _trained_pixels(config) * BACKWARD * input_multiply_adds(config)


def _trained_pixels(config: RunConfig) -> int:
    return config.epochs * config.crops_per_epoch * config.crop_size**2


def _megabytes(keep_epochs: Iterable[int]) -> int:
    """Return the disk space of a run: checkpoints, weights, weights of some epochs as float16, results."""
    weights = 3.0
    checkpoints = 2 * 3 * weights  # two of them, each with the weights and Adam's two moments
    return round(checkpoints + weights + len(list(keep_epochs)) * weights / 2 + 4)


def _gpu(device: torch.device) -> str:
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return "Apple MPS" if device.type == "mps" else "none; the CPU is used"


def _memory() -> str:
    import psutil

    memory = psutil.virtual_memory()
    return f"{memory.total / 2**30:.0f} GiB, {memory.available / 2**30:.0f} GiB available"


def _photo_lines(*, verify: bool) -> Iterator[str]:
    for number, name in enumerate(SOURCES):
        try:
            if verify:
                count = sum(len(open_photos(name, split)) for split in find_source(name).splits)
                found = f"{name}: {count} photographs, verified"
            else:
                missing = f"not on this machine (colorlib data fetch {name})"
                found = f"{name}: {'on this machine' if _is_here(name) else missing}"
        except PhotosMissingError:
            found = f"{name}: not on this machine (colorlib data fetch {name})"
        except ValueError as error:
            found = f"{name}: {error}"
        yield f"{'photographs' if number == 0 else '':<12} {found}"
    if importlib.util.find_spec("pooch") is None:
        yield f"{'':<12} pooch is not installed: nothing can be downloaded"


def _is_here(name: str) -> bool:
    """Whether the files of a source exist, without reading them."""
    source = find_source(name)
    if isinstance(source, Listed):
        return all(source.path(file).is_file() for file in source.names())
    return source.path().is_file() if isinstance(source, Cifar10) else True


def _network() -> str:
    url = os.environ.get("COLORLIB_MIRROR") or str(getattr(SOURCES["bsds500"], "url", ""))
    address = urlsplit(url)
    host, port = address.hostname or "no host", address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError as error:
        return f"{host} does not answer ({error}): photographs cannot be downloaded"
    return f"{host} answers: photographs can be downloaded"
