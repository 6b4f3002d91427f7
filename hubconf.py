"""Entry points of `torch.hub.load`: `colorizer` returns what `colorlib.load_colorizer` returns."""

from colorlib.colorize import load_colorizer as colorizer

__all__ = ["colorizer"]

dependencies = ["filelock", "numpy", "PIL", "pooch", "pyvips", "safetensors", "torch"]
