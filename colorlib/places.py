"""Where files of photographs lie on this machine, what they must be, and how they get here."""

import os
import re
from pathlib import Path

CHECKSUMS = Path(__file__).parent / "checksums"
TIMEOUT = 30.0
"""Seconds without a byte after which a download is given up; one that is merely slow goes on."""


class PhotosMissingError(ValueError):
    """Photographs that are not on this machine; the message names them and says how to get them."""


class UnreachableError(PhotosMissingError):
    """Photographs that are not here, and whose home does not answer; the message names the address."""


def listed_checksums(source: str) -> dict[str, str]:
    """The committed checksums of a source: name -> SHA-256, in the order of the list."""
    lines = (CHECKSUMS / f"{source}.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def cache_folder() -> Path:
    """Where downloads and decoded photographs are: `$COLORLIB_CACHE`, else the user's cache folder for colorlib."""
    if folder := os.environ.get("COLORLIB_CACHE"):
        return Path(folder)
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    return Path(base) / "colorlib"


def data_folders() -> list[Path]:
    """Folders that may hold a source's folder, first come first served."""
    given = os.environ.get("COLORLIB_DATA")
    return [*([Path(given)] if given else []), cache_folder()]


HALF_DONE = re.compile(r"tmp[a-z0-9_]{8}")
"""How pooch calls a download that is not complete: tempfile's prefix and random word."""


def remove_half_downloads(folder: Path) -> None:
    """Delete what downloads that were killed left in `folder`."""
    for leftover in folder.glob("tmp*"):
        if leftover.is_file() and HALF_DONE.fullmatch(leftover.name):
            leftover.unlink(missing_ok=True)


def download(url: str, path: Path, *, digest: str | None) -> None:
    """Download one file to `path`, whole and verified or not at all.

    `$COLORLIB_MIRROR` replaces everything before the source's folder in the address, for places that keep a copy.

    Raises:
        UnreachableError: no connection, or an error from the server.
        OSError: the disk is full or not writable.
        ValueError: other bytes than `digest` says.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")
    mirror = os.environ.get("COLORLIB_MIRROR")
    if mirror:
        url = f"{mirror.rstrip('/')}/{path.relative_to(cache_folder()).as_posix()}"
    for attempt in (1, 2, 3):
        try:
            # A file that is there but wrong is replaced: pooch compares and downloads anew.
            pooch.retrieve(
                url,
                known_hash=f"sha256:{digest}" if digest else None,
                fname=path.name,
                path=path.parent,
                downloader=pooch.HTTPDownloader(timeout=TIMEOUT),
            )
            return
        except requests.RequestException as error:
            answer = getattr(error, "response", None)
            refused = answer is not None and answer.status_code < 500
            if attempt == 3 or refused:
                raise UnreachableError(
                    f"{url} could not be downloaded ({error}); what came before it is kept: run again"
                ) from error
        except OSError as error:
            raise OSError(
                error.errno, f"{path} could not be written ({error.strerror}); what came before it is kept"
            ) from error
        except ValueError as error:
            raise ValueError(f"{url} is not the file expected: its SHA-256 differs; nothing was kept") from error
