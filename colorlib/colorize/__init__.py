"""Colored copies of photographs.

```
colorizer   `load_colorizer`: tensors, arrays and PIL images in memory
batch       files, folders and glob patterns: a colored copy of each, never in place of the photograph
image_file  image files with transparency, resolution, orientation and dates kept
```
"""

from colorlib.colorize.colorizer import PhotoColorizer, load_colorizer

__all__ = ["PhotoColorizer", "load_colorizer"]
