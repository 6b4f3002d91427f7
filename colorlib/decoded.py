"""Decoded photographs, kept on disk: a second start maps them into memory instead of decoding them again.

One file of pixels and one of where each photograph lies in it, in a folder named after the photographs' digests, this
module's format and the decoder's version. What the disk holds is held against its checksum before it is used, and made
anew where it differs. Processes that train on the same photographs share the memory.
"""

import hashlib
import json
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import PIL

from colorlib.images import Photo, Pixels
from colorlib.places import cache_folder

FORMAT = "1"
"""Counted up whenever the same photographs would decode to other pixels, or the files are laid out otherwise."""
ABANDONED = 3600.0
"""Seconds after which a half-made folder that nobody wrote to belongs to a process that was killed."""
AT_ONCE = 64
"""Photographs that are decoded and not yet written: memory is bounded for folders of any size."""


def decoded(photos: Sequence[Photo]) -> list[Pixels]:
    """All photographs, each `(H, W, 3)` uint8; what is done to them is not written to the disk.

    A warning says so where the disk does not take them; they are then decoded into memory.

    Raises:
        ValueError: a photograph cannot be decoded; the message names it.
    """
    if not photos:
        return []
    folder = cache_folder() / "decoded" / name_of(photos)
    found = _mapped(folder, photos)
    if found is None:
        try:
            _write(folder, photos)
        except OSError as error:
            trouble = str(error)
        else:
            trouble = f"{folder} does not hold what was written to it a moment ago"
        found = _mapped(folder, photos)  # another process may have been faster
    if found is None:
        warnings.warn(f"decoded photographs are not kept, they are decoded at each start: {trouble}", stacklevel=3)
        return list(_decode(photos))
    return found


def name_of(photos: Sequence[Photo]) -> str:
    """The folder's name: equal photographs, decoded alike, have equal names."""
    what = [FORMAT, PIL.__version__, *((photo.name, photo.digest) for photo in photos)]  # in their order
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


def _decode(photos: Sequence[Photo]) -> Iterator[Pixels]:
    """In parallel: Pillow releases Python's lock while it decodes."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for start in range(0, len(photos), AT_ONCE):
            yield from pool.map(lambda photo: photo.load(), photos[start : start + AT_ONCE])


def _write(folder: Path, photos: Sequence[Photo]) -> None:
    """Decode into a new folder, then give it its name: whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder.parent)
    half = Path(mkdtemp(prefix=".half-", dir=folder.parent))
    try:
        sizes, digest = [], hashlib.sha256()
        with (half / "pixels").open("wb") as file:
            for pixels in _decode(photos):
                sizes.append(pixels.shape[:2])
                data = np.ascontiguousarray(pixels).data.cast("B")
                digest.update(data)
                file.write(data)
        (half / "index.json").write_text(json.dumps({"sha256": digest.hexdigest(), "sizes": sizes}))
        shutil.rmtree(folder, ignore_errors=True)
        half.rename(folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    for half in parent.glob(".half-*"):
        with suppress(FileNotFoundError):  # finished or removed by its own process meanwhile
            if time.time() - max(path.stat().st_mtime for path in (half, *half.iterdir())) > ABANDONED:
                shutil.rmtree(half, ignore_errors=True)


def _mapped(folder: Path, photos: Sequence[Photo]) -> list[Pixels] | None:
    """The photographs as views of the mapped file; None where they are not there, or not as they were written."""
    try:
        index = json.loads((folder / "index.json").read_text())
        sizes = [(int(height), int(width)) for height, width in index["sizes"]]
        digest = index["sha256"]
        # Copy on write: whoever changes a photograph changes their own copy of the page.
        everything = np.memmap(folder / "pixels", dtype=np.uint8, mode="c")
    except (OSError, ValueError, TypeError, KeyError):
        return None
    ends = np.cumsum([3 * height * width for height, width in sizes]).tolist()
    if len(sizes) != len(photos) or ends[-1] != len(everything):
        return None
    if hashlib.sha256(everything.data).hexdigest() != digest:
        return None
    return [
        np.asarray(everything[start:end]).reshape(height, width, 3)
        for start, end, (height, width) in zip([0, *ends[:-1]], ends, sizes, strict=True)
    ]
