"""Downloads from a server on this machine that is slow, silent, broken or wrong; folders and checksum lists."""

import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.photo_server import Site, files_in, serve

from colorlib.photos.download import (
    UnreachableError,
    cache_folder,
    data_folders,
    download,
    listed_checksums,
    remove_partial_downloads,
)
from colorlib.photos.registry import SOURCES

NAME = "set/train/05.png"
DATA = np.random.default_rng(0).bytes(1200)
DIGEST = hashlib.sha256(DATA).hexdigest()
PUBLIC = "http://127.0.0.1:9/never/05.png"
"""An address where nothing listens."""


@pytest.fixture
def site(cache: Path) -> Iterator[Site]:
    """A server, set as the mirror, that holds one file of 1,200 bytes."""
    with serve({NAME: DATA}) as site:
        yield site


def test_a_file_is_taken_from_the_mirror_by_its_path_below_the_cache(site: Site, cache: Path):
    download(PUBLIC, cache / NAME, digest=DIGEST)
    assert (cache / NAME).read_bytes() == DATA
    assert files_in(cache) == {NAME}
    assert site.requests == {NAME: 1}


def test_a_file_without_a_digest(site: Site, cache: Path):
    download(PUBLIC, cache / NAME, digest=None)
    assert (cache / NAME).read_bytes() == DATA


def test_a_file_that_is_complete_is_not_downloaded_again(site: Site, cache: Path):
    for _ in range(2):
        download(PUBLIC, cache / NAME, digest=DIGEST)
    assert site.requests == {NAME: 1}


def test_without_a_mirror_the_public_address_is_used(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("COLORLIB_MIRROR")
    with pytest.raises(UnreachableError, match=re.escape(PUBLIC)):
        download(PUBLIC, cache / NAME, digest=DIGEST)
    assert not site.requests


def test_a_mirror_that_does_not_answer_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLORLIB_MIRROR", "http://127.0.0.1:9/")
    with pytest.raises(UnreachableError, match=rf"http://127\.0\.0\.1:9/{NAME}\b.*again"):
        download("https://example.org/05.png", cache / NAME, digest=DIGEST)
    assert files_in(cache) == set()


def test_the_timeout_is_for_pauses_not_for_the_whole_file(site: Site, cache: Path):
    site.behaves = {NAME: "slow"}
    start = time.monotonic()
    download(PUBLIC, cache / NAME, digest=DIGEST, timeout=0.8)
    assert time.monotonic() - start > 0.8
    assert (cache / NAME).read_bytes() == DATA
    assert site.requests == {NAME: 1}


def test_a_silent_server_is_given_up_after_three_attempts(site: Site, cache: Path):
    site.behaves = {NAME: "hangs"}
    with pytest.raises(UnreachableError, match=rf"{NAME}\b.*timed out.*again"):
        download(PUBLIC, cache / NAME, digest=DIGEST, timeout=0.5)
    # On a busy machine the server reads a request after the client has given up.
    until = time.monotonic() + 10
    while site.requests[NAME] < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert site.requests == {NAME: 3}
    assert files_in(cache) == set()


@pytest.mark.parametrize(
    ("behavior", "message", "attempts"),
    [("cut", "again", 3), ("broken", r"\b503\b.*again", 3), ("gone", r"\b404\b.*again", 1)],
)
def test_an_error_of_the_server_is_named_and_leaves_no_file(
    site: Site, cache: Path, behavior: str, message: str, attempts: int
):
    site.behaves = {NAME: behavior}
    with pytest.raises(UnreachableError, match=rf"{site.address}/{NAME}\b.*{message}"):
        download(PUBLIC, cache / NAME, digest=DIGEST)
    assert site.requests == {NAME: attempts}
    assert files_in(cache) == set()


@pytest.mark.parametrize("behavior", ["cut 2", "broken 1"])
def test_a_temporary_error_is_retried(site: Site, cache: Path, behavior: str):
    site.behaves = {NAME: behavior}
    download(PUBLIC, cache / NAME, digest=DIGEST)
    assert (cache / NAME).read_bytes() == DATA
    assert site.requests == {NAME: int(behavior[-1]) + 1}


@pytest.mark.parametrize("before", [None, b"damaged"])
def test_another_content_is_named_and_not_kept(site: Site, cache: Path, before: bytes | None):
    if before:
        (cache / NAME).parent.mkdir(parents=True)
        (cache / NAME).write_bytes(before)
    site.behaves = {NAME: "wrong"}
    with pytest.raises(ValueError, match=rf"{site.address}/{NAME}\b.*SHA-256") as error:
        download(PUBLIC, cache / NAME, digest=DIGEST)
    assert not isinstance(error.value, UnreachableError)
    assert site.requests == {NAME: 1}
    assert {name: (cache / name).read_bytes() for name in files_in(cache)} == ({NAME: before} if before else {})


def test_a_full_disk_is_named(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "move", full)
    with pytest.raises(OSError, match=rf"{NAME}\b.*No space left on device"):
        download(PUBLIC, cache / NAME, digest=DIGEST)
    assert files_in(cache) == set()


def test_only_temporary_files_of_downloads_are_removed(tmp_path: Path):
    for name in ("tmpab12_xyz", "tmp", "tmp.png", "tmpab12_xyz.png", "05.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "tmp12345678").mkdir()
    remove_partial_downloads(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"tmp", "tmp.png", "tmpab12_xyz.png", "05.png", "tmp12345678"}
    remove_partial_downloads(tmp_path / "no such folder")


# Folders and lists


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("COLORLIB_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "colorlib"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "colorlib"
    monkeypatch.setenv("COLORLIB_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


def test_a_user_without_a_home_folder_is_told_the_variables(monkeypatch: pytest.MonkeyPatch):
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("COLORLIB_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ValueError, match=r"\bCOLORLIB_CACHE\b.*\bHOME\b"):
        cache_folder()


def test_colorlib_data_comes_before_the_cache(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert data_folders() == [cache]
    monkeypatch.setenv("COLORLIB_DATA", str(tmp_path / "data"))
    assert data_folders() == [tmp_path / "data", cache]


def test_a_list_is_read_in_its_order(tmp_path: Path):
    (tmp_path / "set.sha256").write_text("ab  train/b.png\ncd  train/with a space.png\n")
    assert list(listed_checksums("set", tmp_path).items()) == [
        ("train/b.png", "ab"),
        ("train/with a space.png", "cd"),
    ]


def test_the_committed_lists_hold_distinct_sha256():
    assert len(listed_checksums("cifar10")) == 20
    for name in SOURCES:
        listed = listed_checksums(name)
        assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in listed.values())
        assert len(set(listed.values())) == len(listed)


def test_a_file_that_is_too_large_is_given_up_and_not_kept(site: Site, cache: Path):
    with pytest.raises(UnreachableError, match=rf"{NAME}\b.*1,199"):
        download(PUBLIC, cache / NAME, digest=None, max_bytes=1199)
    assert site.requests == {NAME: 1}
    assert files_in(cache) == set()
    download(PUBLIC, cache / NAME, digest=DIGEST, max_bytes=1200)
    assert (cache / NAME).read_bytes() == DATA
