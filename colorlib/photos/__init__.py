"""Photographs by name: locate, download, verify, decode and cache them.

```
registry   SOURCES and `open_photos`: every source by its name
sources    one class a kind of source: checksum list, bundled photographs, folder, CIFAR-10, torchvision
decode     any image file -> the 8-bit sRGB pixels that a viewer would show
headers    what image files say of their samples: formats, directories, chunks, gamma
walk       image files in a folder, by one rule for every command
download   verified downloads, and the folders that photographs are looked for in
cache      decoded photographs on disk, mapped into memory
```
"""

from colorlib.photos.decode import Photo, Pixels
from colorlib.photos.registry import SOURCES, PhotoSet, find_source, open_photos

__all__ = ["SOURCES", "Photo", "PhotoSet", "Pixels", "find_source", "open_photos"]
