"""Decoded photographs on disk: after the first start they are mapped into memory instead of decoded again.

Each sequence of photographs has a folder, named after their digests, the file layout and the decoder's version. It
holds one file of pixels and one index of sizes. The pixels are verified by their checksum before use, and decoded again
where they differ. Processes that train on the same photographs share the mapped memory.
"""

import hashlib
import json
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import PIL
import pyvips

from colorlib.photos.decode import Photo, Pixels
from colorlib.photos.download import cache_folder

FORMAT = "1"
"""Version of the files; increase it when photographs decode to other pixels or the files are laid out differently."""
DECODER = f"libvips {'.'.join(str(pyvips.version(part)) for part in range(3))}, Pillow {PIL.__version__}"
"""Versions of the libraries that decode."""
ABANDONED = 3600.0
"""Seconds without a write after which a half-written folder is taken for that of a killed process."""
AT_ONCE = 64
"""Photographs decoded and not yet written; this bounds memory for folders of any size."""


class UnreadablePhotosError(ValueError):
    """Photographs that cannot be decoded."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        """Name all of them; `problems` maps the names to error messages."""
        super().__init__("; ".join(problems.values()))
        self.problems = dict(problems)


def decode_cached(photos: Sequence[Photo]) -> list[Pixels]:
    """Return all photographs decoded, from the cache on disk if they are there.

    If the disk cannot hold them, a warning says so, and they are decoded into memory.

    Returns:
        An `(H, W, 3)` uint8 array each; changes to it are not written to the disk.

    Raises:
        UnreadablePhotosError: photographs cannot be decoded; the message names all of them.
    """
    if not photos:
        return []
    folder = cache_folder() / "decoded" / cache_key(photos)
    found = _map(folder, photos)
    if found is None:
        try:
            _write(folder, photos)
        except OSError as error:
            problem = str(error)
        else:
            problem = f"{folder} does not hold what was written to it a moment ago"
        found = _map(folder, photos)  # even after an error: another process may have written the same folder
    if found is None:
        warnings.warn(f"decoded photographs cannot be cached and are decoded at each start: {problem}", stacklevel=3)
        return list(_decode(photos))
    return found


def cache_key(photos: Sequence[Photo], *, layout: str = FORMAT, decoder: str = DECODER) -> str:
    """Return the name of the photographs' folder: a hash of their names and digests in order, layout and decoder."""
    what = [layout, decoder, *((photo.name, photo.digest) for photo in photos)]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


def _map(folder: Path, photos: Sequence[Photo]) -> list[Pixels] | None:
    """Return the photographs as views of the mapped file; None if it is missing or fails verification."""
    # Read the index and map the pixels
    try:
        index = json.loads((folder / "index.json").read_text())
        sizes = [(int(height), int(width)) for height, width in index["sizes"]]
        digest = index["sha256"]
        # Copy on write: a change to a photograph stays in this process's memory.
        everything = np.memmap(folder / "pixels", dtype=np.uint8, mode="c")
    except (OSError, ValueError, TypeError, KeyError):
        return None
    # Verify
    ends = np.cumsum([3 * height * width for height, width in sizes]).tolist()
    if len(sizes) != len(photos) or ends[-1] != len(everything):
        return None
    if hashlib.sha256(everything.data).hexdigest() != digest:
        return None
    # Cut into photographs
    return [
        np.asarray(everything[start:end]).reshape(height, width, 3)
        for start, end, (height, width) in zip([0, *ends[:-1]], ends, sizes, strict=True)
    ]


def _write(folder: Path, photos: Sequence[Photo]) -> None:
    """Decode into a temporary folder, then rename it to `folder`, so that readers never see half of it."""
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
        with suppress(FileNotFoundError):  # its own process finished or removed it meanwhile
            if time.time() - max(path.stat().st_mtime for path in (half, *half.iterdir())) > ABANDONED:
                shutil.rmtree(half, ignore_errors=True)


def _decode(photos: Sequence[Photo]) -> Iterator[Pixels]:
    """Decode in parallel threads: libvips releases Python's lock while it decodes.

    Raises:
        UnreadablePhotosError: some cannot be decoded, after all were tried, so that one message names them all.
    """
    problems: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for start in range(0, len(photos), AT_ONCE):
            part = photos[start : start + AT_ONCE]
            for photo, decoded in zip(part, pool.map(_try_to_decode, part), strict=True):
                if isinstance(decoded, ValueError):
                    problems[photo.name] = str(decoded)
                elif not problems:
                    yield decoded
    if problems:
        raise UnreadablePhotosError(problems)


def _try_to_decode(photo: Photo) -> Pixels | ValueError:
    try:
        return photo.load()
    except ValueError as error:
        return error
