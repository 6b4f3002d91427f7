"""What this machine has, and how long and how much disk each profile takes on it."""

import importlib.util
import os
import platform
import shutil
import socket
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

import torch

from colorlib.companion.sweep_summary import multiply_adds_per_pixel
from colorlib.config import RunConfig
from colorlib.devices import prepare
from colorlib.photos import SOURCES, find_source, open_photos
from colorlib.places import PhotosMissingError
from colorlib.profiles import PROFILES, PROJECT, Profile, load_profile
from colorlib.provenance import processor
from colorlib.trainer import build_network

SOURCE_PIXELS = {"bsds500": 481 * 321}
"""Pixels of one test photograph, for estimates without opening it."""
TYPICAL_PIXELS = 512 * 512
BACKWARD = 3.0
"""A training step costs about three forward passes: forward, gradient of inputs, gradient of weights."""
MEASURED = 16 * 48 * 48
"""Pixels of the update that `update_seconds` measures."""
GPU_LIMIT_MINUTES = 30


def update_seconds(device: torch.device) -> float:
    """Seconds one update of the paper's network takes on a batch of 16 crops of 48 pixels, measured now."""
    network = build_network(RunConfig()).to(device)
    light = torch.rand(16, 1, 48, 48, device=device)
    truth = torch.rand(16, 3, 48, 48, device=device)
    times = []
    for _ in range(3):
        started = time.perf_counter()
        torch.nn.functional.mse_loss(network(light), truth).backward()  # type: ignore[no-untyped-call]
        if device.type != "cpu":
            torch.accelerator.synchronize()
        times.append(time.perf_counter() - started)
    return min(times)


def forward_seconds(config: RunConfig, update: float, device: str) -> float:
    """Seconds a forward pass takes for each pixel, given what `update_seconds` measured of the paper's network.

    Networks differ by their multiply-adds; but a GPU is kept waiting by the layers of a small one, which are no fewer
    (results/LOG.md, 2026-11-26): there none costs less than the paper's.
    """
    share = multiply_adds_per_pixel(config) / multiply_adds_per_pixel(RunConfig())
    return (share if device == "cpu" else max(share, 1.0)) * update / (MEASURED * BACKWARD)


def estimate_minutes(profile: Profile, update: float, device: str = "cpu") -> float:
    """Minutes one seed of a profile takes, given what `update_seconds` measured on a device."""
    config = profile.config(0)
    per_pixel = forward_seconds(config, update, device)
    source = profile.photos
    counts = {"bsds500": (100, 200), "bundled": (1, 3)}.get(source, (100, 200))
    trained = config.epochs * config.crops_per_epoch * config.crop_size**2 * BACKWARD
    validated = config.epochs * counts[0] * config.crop_size**2
    tested = counts[1] * SOURCE_PIXELS.get(source, TYPICAL_PIXELS)
    overhead = 1.0  # starting five kernels, scoring, drawing
    return (trained + validated + tested) * per_pixel / 60 + overhead


def choose() -> tuple[str, str]:
    """The profile that `auto` takes, and why."""
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


def report(threads: int | None = None) -> str:
    """What was found, a line each, and what each profile costs here."""
    device = prepare("auto", threads)
    update = update_seconds(device)
    lines = [
        f"Python       {platform.python_version()}, torch {torch.__version__}",
        f"processor    {processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads used",
        f"GPU          {_gpu(device)}",
        f"memory       {_memory()}",
        f"disk         {shutil.disk_usage(PROJECT).free / 1e9:.0f} GB free at the checkout",
        *_photo_lines(),
        f"network      {_network()}",
        f"auto takes   {': '.join(choose())}",
        "",
        f"an update of the paper's network, 16 crops of 48 pixels: {update:.3f} s on {device.type}; so, per seed:",
    ]
    for path in sorted(PROFILES.glob("*.yaml")):
        profile = load_profile(path.stem)
        config = profile.config(0)
        minutes = estimate_minutes(profile, update, device.type)
        lines.append(
            f"  {profile.name:<8} {profile.photos:<10} {config.updates:>6,} updates"
            f"  about {_duration(minutes)}, {_megabytes(config.keep_epochs)} MB of disk"
        )
    return "\n".join(lines)


def _duration(minutes: float) -> str:
    return f"{minutes / 60:.1f} hours" if minutes > 90 else f"{minutes:.0f} minutes"


def _megabytes(kept: Iterable[int]) -> int:
    """Two checkpoints of weights and Adam's moments, the last weights, the kept ones as float16, results."""
    weights = 3.0
    return round(2 * 3 * weights + weights + len(list(kept)) * weights / 2 + 4)


def _gpu(device: torch.device) -> str:
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return "Apple MPS" if device.type == "mps" else "none; the CPU is used"


def _memory() -> str:
    import psutil

    memory = psutil.virtual_memory()
    return f"{memory.total / 2**30:.0f} GiB, {memory.available / 2**30:.0f} GiB available"


def _photo_lines() -> list[str]:
    lines = []
    for number, name in enumerate(SOURCES):
        try:
            count = sum(len(open_photos(name, split)) for split in find_source(name).splits)
            found = f"{name}: {count} photographs, verified"
        except PhotosMissingError:
            found = f"{name}: not on this machine (colorlib data fetch {name})"
        except ValueError as error:
            found = f"{name}: {error}"
        lines.append(f"{'photographs' if number == 0 else '':<12} {found}")
    if importlib.util.find_spec("pooch") is None:
        lines.append(f"{'':<12} pooch is not installed: nothing can be downloaded")
    return lines


def _network() -> str:
    url = os.environ.get("COLORLIB_MIRROR") or str(getattr(SOURCES["bsds500"], "url", ""))
    address = urlsplit(url)
    host, port = address.hostname or "no host", address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError as error:
        return f"{host} does not answer ({error}): photographs can not be downloaded"
    return f"{host} answers: photographs can be downloaded"
