"""Interactive exploration of trained networks: predictions and figures (`exploration`), controls (`widgets`)."""

from colorlib.companion.explore.exploration import Exploration, averaged_colors, colors_by_epoch

__all__ = ["Exploration", "averaged_colors", "colors_by_epoch"]
