"""Downloads against a server on this machine: good, slow, cut off, wrong, gone; whole files arrive or none."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pictures import noise
from PIL import Image

from colorlib import places
from colorlib.datasets import Cifar10
from colorlib.files import sha256_of_names
from colorlib.images import Pixels
from colorlib.places import download
from colorlib.sources import Listed

NAMES = [f"train/{i:02d}.png" for i in range(9)] + [f"test/{i:02d}.png" for i in range(3)]


def png(pixels: Pixels) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@dataclass
class Site:
    """What the server holds, how it behaves, and what it was asked for."""

    files: dict[str, bytes]
    behaves: dict[str, str] = field(default_factory=dict)
    """Path -> held, slow, hangs, cut, wrong, gone, broken; or `broken 2`: as often as the number says, then good."""
    asked: Counter[str] = field(default_factory=Counter)
    address: str = ""
    gate: threading.Event = field(default_factory=threading.Event)
    """What is held is sent when it opens."""

    def behavior(self, path: str) -> str:
        kind, _, times = self.behaves.get(path, "good").partition(" ")
        return kind if not times or self.asked[path] <= int(times) else "good"


@pytest.fixture
def site(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server on 127.0.0.1 that is the mirror; it holds the twelve files of the source `set`."""
    found = Site({f"set/{name}": png(noise(16, 16, seed=i)) for i, name in enumerate(NAMES)})
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            found.asked[path] += 1
            kind, data = found.behavior(path), found.files.get(path)
            if kind == "gone" or data is None:
                return self.send_error(404)
            if kind == "broken":
                return self.send_error(503)
            if kind == "wrong":
                data = data[:-1] + b"?"
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if kind == "held":
                found.gate.wait(30)
            if kind == "slow":
                for start in range(0, len(data), 100):
                    self.wfile.write(data[start : start + 100])
                    time.sleep(0.1)
            elif kind == "hangs":
                self.wfile.write(data[: len(data) // 2])
                stop.wait(30)
            elif kind == "cut":
                self.wfile.write(data[: len(data) // 2])
            else:
                self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, address: object) -> None:
            pass  # the client went away, as some tests want it

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("COLORLIB_MIRROR", found.address)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield found
    stop.set()
    found.gate.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def source(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listed:
    """The source `set`, whose committed list names the server's twelve files."""
    lists = tmp_path / "checksums"
    lists.mkdir()
    lines = [f"{hashlib.sha256(site.files[f'set/{name}']).hexdigest()}  {name}\n" for name in NAMES]
    (lists / "set.sha256").write_text("".join(lines))
    monkeypatch.setattr(places, "CHECKSUMS", lists)
    return Listed(
        name="set",
        folder="set",
        url="http://127.0.0.1:9/never/",
        split_of=lambda name, digest: name.split("/")[0],
        terms="none",
        splits=("train", "test"),
    )


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def holds_whole_files_only(cache: Path, site: Site) -> bool:
    return all((cache / name).read_bytes() == site.files.get(name) for name in files_in(cache))


def test_a_fetch_brings_every_file_and_names_it(source: Listed, site: Site, cache: Path):
    assert sorted(source.fetch()) == sorted(NAMES)
    assert files_in(cache) == {f"set/{name}" for name in NAMES}
    assert holds_whole_files_only(cache, site)
    assert source.wrong() == {}
    assert [photo.load().shape for photo in source.photos("test")] == [(16, 16, 3)] * 3


def test_a_second_fetch_asks_for_nothing(source: Listed, site: Site):
    list(source.fetch())
    site.asked.clear()
    assert sorted(source.fetch()) == sorted(NAMES)
    assert not site.asked


def test_a_second_fetch_takes_what_is_missing_or_damaged(source: Listed, site: Site, cache: Path):
    list(source.fetch())
    site.asked.clear()
    (cache / "set" / NAMES[1]).unlink()
    (cache / "set" / NAMES[10]).write_bytes(b"damaged")
    assert sorted(source.fetch()) == sorted(NAMES)
    assert site.asked == {f"set/{NAMES[1]}": 1, f"set/{NAMES[10]}": 1}
    assert source.wrong() == {}


def test_what_lies_in_the_given_folder_is_not_downloaded(
    source: Listed, site: Site, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    here = tmp_path / "data" / "set" / NAMES[0]
    here.parent.mkdir(parents=True)
    here.write_bytes(site.files[f"set/{NAMES[0]}"])
    monkeypatch.setenv("COLORLIB_DATA", str(tmp_path / "data"))
    assert sorted(source.fetch()) == sorted(NAMES)
    assert site.asked == {f"set/{name}": 1 for name in NAMES[1:]}
    assert source.path(NAMES[0]) == here


def test_a_slow_server_is_waited_for(source: Listed, site: Site, monkeypatch: pytest.MonkeyPatch):
    # Each file takes longer than the limit, but no pause within it does.
    monkeypatch.setattr(places, "TIMEOUT", 0.8)
    site.behaves = {f"set/{name}": "slow" for name in NAMES[:4]}
    start = time.monotonic()
    list(source.fetch())
    assert time.monotonic() - start > 0.8
    assert source.wrong() == {}
    assert max(site.asked.values()) == 1


def test_a_server_that_falls_silent_is_given_up(
    source: Listed, site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(places, "TIMEOUT", 1.5)
    site.behaves = {f"set/{NAMES[5]}": "hangs"}
    with pytest.raises(ValueError, match=r"train/05\.png could not be downloaded \(.*timed out.*run again"):
        list(source.fetch())
    # On a busy machine the server reads what it was asked after the asker has given up.
    until = time.monotonic() + 10
    while site.asked[f"set/{NAMES[5]}"] < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert site.asked[f"set/{NAMES[5]}"] == 3
    assert holds_whole_files_only(cache, site)


@pytest.mark.parametrize(
    ("behavior", "message", "attempts"),
    [
        ("cut", r"could not be downloaded \(.*run again", 3),
        ("broken", r"could not be downloaded \(503.*run again", 3),
        ("gone", r"could not be downloaded \(404.*run again", 1),
        ("wrong", r"is not the file expected: its SHA-256 differs; nothing was kept", 1),
    ],
)
def test_what_goes_wrong_is_named_and_leaves_nothing_half_done(
    source: Listed, site: Site, cache: Path, behavior: str, message: str, attempts: int
):
    bad = f"set/{NAMES[4]}"
    site.behaves = {bad: behavior}
    with pytest.raises(ValueError, match=rf"^{site.address}/{bad} {message}"):
        list(source.fetch())
    assert site.asked[bad] == attempts
    assert bad not in files_in(cache)
    assert holds_whole_files_only(cache, site)
    kept = files_in(cache)
    assert kept, "what came before it is kept"
    # When the server is well again, only what is not here is asked for.
    site.behaves.clear()
    site.asked.clear()
    assert sorted(source.fetch()) == sorted(NAMES)
    assert site.asked == {f"set/{name}": 1 for name in NAMES if f"set/{name}" not in kept}
    assert source.wrong() == {}


@pytest.mark.parametrize("behavior", ["cut 2", "broken 1"])
def test_a_passing_fault_is_overcome(source: Listed, site: Site, behavior: str):
    site.behaves = {f"set/{NAMES[2]}": behavior}
    assert sorted(source.fetch()) == sorted(NAMES)
    assert source.wrong() == {}
    assert site.asked[f"set/{NAMES[2]}"] == int(behavior[-1]) + 1


def test_a_wrong_file_does_not_replace_a_damaged_one_silently(source: Listed, site: Site, cache: Path):
    list(source.fetch())
    (cache / "set" / NAMES[0]).write_bytes(b"damaged")
    site.behaves = {f"set/{NAMES[0]}": "wrong"}
    with pytest.raises(ValueError, match="is not the file expected"):
        list(source.fetch())
    assert list(source.wrong()) == [NAMES[0]]


def test_a_server_that_is_not_there_is_named(source: Listed, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLORLIB_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match=r"^http://127\.0\.0\.1:9/set/\S+ could not be downloaded \(.*run again"):
        list(source.fetch())
    assert files_in(cache) == set()


def test_without_a_mirror_the_public_address_is_asked(source: Listed, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("COLORLIB_MIRROR")
    with pytest.raises(ValueError, match=r"^http://127\.0\.0\.1:9/never/train/\S+ could not be downloaded"):
        list(source.fetch())


def test_a_download_that_stops_is_resumed_file_by_file(source: Listed, site: Site, cache: Path):
    site.behaves = {f"set/{name}": "held" for name in NAMES[3:]}
    fetching = source.fetch()
    first = [next(fetching) for _ in range(3)]
    threading.Timer(0.3, site.gate.set).start()
    fetching.close()  # as when the user interrupts it
    here = files_in(cache)
    assert {f"set/{name}" for name in first} <= here
    assert here < {f"set/{name}" for name in NAMES}, "what had not begun is not begun"
    assert holds_whole_files_only(cache, site)
    site.asked.clear()
    assert sorted(source.fetch()) == sorted(NAMES)
    assert set(site.asked) == {f"set/{name}" for name in NAMES} - here


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX's")
def test_a_killed_download_is_resumed_and_its_remains_are_removed(source: Listed, site: Site, cache: Path):
    half = {f"set/{name}" for name in NAMES[3:6]}
    site.behaves = dict.fromkeys(half, "hangs")
    script = (
        "import sys; from pathlib import Path; from colorlib import places; from colorlib.sources import Listed\n"
        "places.CHECKSUMS = Path(sys.argv[1])\n"
        "list(Listed(name='set', folder='set', url='', split_of=lambda n, d: 'train', terms='').fetch())"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(places.CHECKSUMS)])
    try:
        deadline = time.monotonic() + 60
        whole = {f"set/{name}" for name in NAMES} - half
        while not (whole <= files_in(cache) and len(files_in(cache)) == len(NAMES)):  # the other three have begun
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not half & files_in(cache)
    assert len(files_in(cache) - whole) == 3, "the killed process left its temporary files"
    site.behaves.clear()
    site.asked.clear()
    assert sorted(source.fetch()) == sorted(NAMES)
    assert site.asked == dict.fromkeys(half, 1)
    assert files_in(cache) == {f"set/{name}" for name in NAMES}


def test_a_full_disk_is_named(source: Listed, cache: Path, monkeypatch: pytest.MonkeyPatch):
    import shutil

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "move", full)
    with pytest.raises(OSError, match=r"set/\S+ could not be written \(No space left on device"):
        list(source.fetch())
    assert files_in(cache) == set()


def test_one_file_without_a_digest(site: Site, cache: Path):
    site.files["alone.bin"] = b"x" * 1000
    download("http://127.0.0.1:9/x", cache / "alone.bin", digest=None)
    assert (cache / "alone.bin").read_bytes() == b"x" * 1000


# CIFAR-10: one archive

CLASSES = [f"{split}/{name}" for split in ("train", "test") for name in ("cat", "frog")]
PHOTOS = {
    f"{folder}/{i:04d}.jpg": png(noise(8, 8, seed=50 * j + i)) for j, folder in enumerate(CLASSES) for i in range(40)
}
ARCHIVE = "cifar10-images.tar.gz"


def archive(files: dict[str, bytes], kind: str = "gz", top: str = "CIFAR-10-images-d7d05/") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{kind}") as tar:
        tar.addfile(tarfile.TarInfo(f"{top}README.md"))
        for name, data in files.items():
            member = tarfile.TarInfo(f"{top}{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def cifar(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cifar10:
    """CIFAR-10 of four folders of forty pictures, with its committed list and the server's archive."""
    lists = tmp_path / "checksums"
    lists.mkdir()
    digests = {
        folder: sha256_of_names(
            (name.rpartition("/")[2], hashlib.sha256(data).hexdigest())
            for name, data in PHOTOS.items()
            if name.startswith(folder)
        )
        for folder in CLASSES
    }
    (lists / "cifar10.sha256").write_text("".join(f"{digest}  {folder}\n" for folder, digest in digests.items()))
    monkeypatch.setattr(places, "CHECKSUMS", lists)
    site.files = {ARCHIVE: archive(PHOTOS)}
    return Cifar10()


def test_the_archive_is_fetched_once_and_split(cifar: Cifar10, site: Site, cache: Path):
    assert list(cifar.fetch()) == [ARCHIVE]
    assert list(cifar.fetch()) == [ARCHIVE]
    assert site.asked == {ARCHIVE: 1}
    assert files_in(cache) == {ARCHIVE}
    assert cifar.wrong() == {}
    train, val, test = (cifar.photos(split) for split in ("train", "val", "test"))
    assert sorted(photo.name for photo in train + val + test) == sorted(PHOTOS)
    assert [photo.name for photo in test] == sorted(name for name in PHOTOS if name.startswith("test/"))
    assert 1 <= len(val) <= 20
    photo = val[0]
    assert photo.digest == hashlib.sha256(PHOTOS[photo.name]).hexdigest()
    assert int(photo.digest[:8], 16) / 2**32 >= 0.9
    assert photo.load().shape == (8, 8, 3)


def test_an_archive_in_the_given_folder_is_used_however_it_is_packed(
    cifar: Cifar10, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cifar10-images.tar.xz").write_bytes(archive(PHOTOS, "xz", top=""))
    monkeypatch.setenv("COLORLIB_DATA", str(tmp_path / "data"))
    assert list(cifar.fetch()) == ["cifar10-images.tar.xz"]
    assert not site.asked
    assert len(cifar.photos("test")) == 80


@pytest.mark.parametrize("behavior", ["cut", "broken", "gone"])
def test_an_archive_that_cannot_be_had_is_named(cifar: Cifar10, site: Site, cache: Path, behavior: str):
    site.behaves = {ARCHIVE: behavior}
    with pytest.raises(ValueError, match=rf"^{site.address}/{ARCHIVE} could not be downloaded"):
        list(cifar.fetch())
    assert files_in(cache) == set()
    site.behaves.clear()
    assert list(cifar.fetch()) == [ARCHIVE]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>moved</html>", r"cifar10-images\.tar\.gz is damaged \(.*it was deleted"),
        (archive(PHOTOS)[:-500], r"cifar10-images\.tar\.gz is damaged \(.*it was deleted"),
        (
            archive({**PHOTOS, "train/cat/0007.jpg": b"other"}),
            r"train/cat in .* was changed or damaged.*it was deleted",
        ),
        (archive({n: d for n, d in PHOTOS.items() if n != "test/frog/0000.jpg"}), r"test/frog in .* it was deleted"),
        (archive({n: d for n, d in PHOTOS.items() if "test/cat" not in n}), r"test/cat in .* it was deleted"),
    ],
)
def test_an_archive_with_something_else_in_it_is_not_kept(
    cifar: Cifar10, site: Site, cache: Path, data: bytes, message: str
):
    site.files[ARCHIVE] = data
    with pytest.raises(ValueError, match=message):
        list(cifar.fetch())
    assert files_in(cache) == set()


def test_a_damaged_archive_in_the_cache_is_replaced(cifar: Cifar10, site: Site, cache: Path):
    cache.mkdir()
    for damaged in (archive(PHOTOS)[:-500], b"nonsense", archive({})):
        (cache / ARCHIVE).write_bytes(damaged)
        with pytest.raises(ValueError, match=r"(damaged|changed).*; delete .* and run `colorlib data fetch cifar10`"):
            cifar.photos("train")
        assert list(cifar.fetch()) == [ARCHIVE]
        assert cifar.wrong() == {}
    assert site.asked == {ARCHIVE: 3}


def test_a_damaged_archive_in_the_given_folder_is_named_and_left_alone(
    cifar: Cifar10, site: Site, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    damaged = tmp_path / "data" / "cifar10-images.tar.xz"
    damaged.parent.mkdir()
    damaged.write_bytes(b"nonsense")
    monkeypatch.setenv("COLORLIB_DATA", str(damaged.parent))
    list(cifar.fetch())
    assert damaged.read_bytes() == b"nonsense"
    with pytest.raises(ValueError, match=r"data.cifar10-images\.tar\.xz is damaged .* delete it and run"):
        cifar.photos("train")
    damaged.unlink()
    assert len(cifar.photos("test")) == 80, "the download lies in the cache"
