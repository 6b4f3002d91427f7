"""How long points of a sweep take, from what one update of the paper's network takes here."""

from colorlib.companion.doctor import BACKWARD, forward_seconds
from colorlib.companion.sweep_points import Point
from colorlib.companion.sweep_summary import multiply_adds_per_pixel
from colorlib.config import RunConfig
from colorlib.data import VALIDATION_PHOTOS
from colorlib.photos import open_photos
from colorlib.scoring import SCORED_PHOTOS

OVERHEAD = 15.0
"""Seconds to start a process and its kernel."""


def arithmetic(config: RunConfig) -> float:
    """Multiply-adds that training takes."""
    pixels = config.epochs * config.crops_per_epoch * config.crop_size**2
    return pixels * BACKWARD * multiply_adds_per_pixel(config)


def estimate_seconds(point: Point, update: float, device: str = "cpu") -> float:
    """Seconds a point takes, given those of one update of the paper's network on 16 crops of 48 pixels of a device.

    What an objective adds to its network, as the features of a perceptual loss, is not in it.
    """
    config = point.config
    validation, scored = open_photos(config.photos, "val"), open_photos(config.photos, point.scored)
    pixels = min(len(validation), VALIDATION_PHOTOS) * config.crop_size**2 * config.epochs
    # The first photograph stands for the others' size.
    pixels += min(len(scored), SCORED_PHOTOS) * scored[0].load()[..., 0].size
    pixels += BACKWARD * config.epochs * config.crops_per_epoch * config.crop_size**2
    return OVERHEAD + float(pixels) * forward_seconds(config, update, device)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 3600:.1f} hours" if seconds > 5400 else f"{seconds / 60:.0f} minutes"
