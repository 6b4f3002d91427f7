"""Colored copies of photographs.

```
colorizer   `load_colorizer`: tensors, arrays, PIL images and files, in memory
batch       files, folders and glob patterns: a colored copy of each, never in place of a photograph
image_file  image files with transparency, resolution, orientation, EXIF, XMP and IPTC kept
winograd    faster convolutions for large photographs, where a measurement finds them faster
label       label in a copy's XMP: its colors are guessed, by which network, from which photograph
```
"""

from colorlib.colorize.colorizer import PhotoColorizer, load_colorizer

__all__ = ["PhotoColorizer", "load_colorizer"]
