"""Verified downloads, and the folders that photographs are looked for in."""

import os
import re
from functools import partial
from pathlib import Path

CHECKSUMS = Path(__file__).parent / "checksums"
"""Folder of the committed checksum lists, one file `SOURCE.sha256` a source."""
TIMEOUT = 30.0
"""Seconds without a byte after which a download is given up. A slow download that goes on is not."""
PARTIAL = re.compile(r"tmp[a-z0-9_]{8}")
"""Name of an incomplete download of pooch: tempfile's prefix and random characters."""
MAX_BYTES = 100_000_000
"""Largest size in bytes of a download: far more than any photograph of the sources takes."""
ATTEMPTS = 3
"""Tries of one download before it fails; an answer of the 400s (not there, forbidden) is not tried again."""


class PhotosMissingError(ValueError):
    """Photographs that are not on this machine; the message names them and says how to get them."""


class UnreachableError(PhotosMissingError):
    """Photographs that are not on this machine and cannot be downloaded; the message names the address."""


def listed_checksums(source: str, folder: Path | None = None) -> dict[str, str]:
    """Return the committed checksums of a source, name -> SHA-256, in the order of the list.

    Args:
        source: its name, for example `bsds500`.
        folder: the folder of the list; None for `CHECKSUMS`.
    """
    lines = ((folder or CHECKSUMS) / f"{source}.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def cache_folder() -> Path:
    """Return the folder of downloads and decoded photographs.

    It is `$COLORLIB_CACHE`, else `colorlib` in the user's cache folder.

    Raises:
        ValueError: there is neither; the message names the variables to set.
    """
    if folder := os.environ.get("COLORLIB_CACHE"):
        return Path(folder)
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return Path(base or Path.home() / ".cache") / "colorlib"
    except RuntimeError as error:
        raise ValueError(
            "this user has no home folder for downloads; set COLORLIB_CACHE to a folder, or HOME"
        ) from error


def data_folders() -> list[Path]:
    """Return the folders to look for photographs in, in this order: `$COLORLIB_DATA` if it is set, then the cache."""
    given = os.environ.get("COLORLIB_DATA")
    return [*([Path(given)] if given else []), cache_folder()]


def remove_partial_downloads(folder: Path) -> None:
    """Delete the temporary files that killed downloads left in `folder`."""
    for leftover in folder.glob("tmp*"):
        if leftover.is_file() and PARTIAL.fullmatch(leftover.name):
            leftover.unlink(missing_ok=True)


def download(url: str, path: Path, *, digest: str | None, timeout: float = TIMEOUT, max_bytes: int = MAX_BYTES) -> None:
    """Download one file to `path`: the whole, verified file, or nothing.

    Args:
        url: address of the file. With `$COLORLIB_MIRROR` set, the file is taken from there instead, by its path below
            the cache folder (for example `$COLORLIB_MIRROR/bsds500/train/100075.jpg`).
        path: where it goes, below the cache folder; a file there with another checksum is replaced.
        digest: its SHA-256; None takes any content.
        timeout: seconds without a byte after which to give up.
        max_bytes: size after which to give up.

    Raises:
        UnreachableError: no connection, an error from the server, an invalid answer, or a file that is too large.
        OSError: the disk is full or not writable.
        ValueError: the content has another SHA-256.
    """
    # Imported here: photographs that are on this machine need neither.
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")
    mirror = os.environ.get("COLORLIB_MIRROR")
    if mirror:
        url = f"{mirror.rstrip('/')}/{path.relative_to(cache_folder()).as_posix()}"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            # pooch replaces a file that exists with another checksum.
            pooch.retrieve(
                url,
                known_hash=f"sha256:{digest}" if digest else None,
                fname=path.name,
                path=path.parent,
                downloader=partial(_fetch, timeout=timeout, max_bytes=max_bytes),
            )
            return
        except UnreachableError:
            raise
        except requests.RequestException as error:
            response = getattr(error, "response", None)
            refused = response is not None and response.status_code < 500
            if attempt == ATTEMPTS or refused:
                raise UnreachableError(
                    f"{url} could not be downloaded ({error}); files downloaded before it are kept: run again"
                ) from error
        except OSError as error:
            raise OSError(
                error.errno, f"{path} could not be written ({error.strerror}); files downloaded before it are kept"
            ) from error
        except ValueError as error:
            raise ValueError(f"{url} has another SHA-256 than the committed list; it was not kept") from error


def _fetch(url: str, path: str, pooch: object, *, timeout: float, max_bytes: int) -> None:
    """Download `url` to `path`, as a downloader of pooch, up to `max_bytes` bytes after decompression."""
    import requests

    size = 0
    try:
        with requests.get(url, timeout=timeout, stream=True) as response, Path(path).open("wb") as file:
            response.raise_for_status()
            for chunk in response.iter_content(chunk_size=1 << 16):
                size += len(chunk)
                if size > max_bytes:
                    raise UnreachableError(
                        f"{url} is larger than {max_bytes:,} bytes and was not kept; check the address"
                    )
                file.write(chunk)
    except (UnreachableError, requests.RequestException):
        raise
    except ValueError as error:  # an invalid length or address in the server's answer
        raise UnreachableError(f"{url} could not be downloaded: the answer is invalid ({error})") from error
