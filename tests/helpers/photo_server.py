"""A server of photographs on this machine that can misbehave, and sources whose checksum lists are made for a test."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from colorlib.photos.sources import Listed


@dataclass
class Site:
    """Files of the server, its behavior, and the requests it got."""

    files: dict[str, bytes]
    behaves: dict[str, str] = field(default_factory=dict)
    """Path -> held, slow, hangs, cut, wrong, gone, broken; `broken 2` is broken for two requests, then good."""
    requests: Counter[str] = field(default_factory=Counter)
    address: str = ""
    gate: threading.Event = field(default_factory=threading.Event)
    """Files that are held are sent when it is set."""

    def behavior(self, path: str) -> str:
        kind, _, times = self.behaves.get(path, "good").partition(" ")
        return kind if not times or self.requests[path] <= int(times) else "good"


@contextmanager
def serve(files: Mapping[str, bytes]) -> Iterator[Site]:
    """Serve files on 127.0.0.1, with COLORLIB_MIRROR set to the address."""
    site = Site(dict(files))
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            site.requests[path] += 1
            kind, data = site.behavior(path), site.files.get(path)
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
                site.gate.wait(30)
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
            pass  # the client closed the connection, as some tests want

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLORLIB_MIRROR", site.address)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            patch.delenv(name, raising=False)
        try:
            yield site
        finally:
            stop.set()
            site.gate.set()
            server.shutdown()
            server.server_close()
            thread.join()


def listed_source(checksums: Path, files: Mapping[str, bytes]) -> Listed:
    """Write the checksum list of the source `set` into the folder `checksums`; a file's folder is its split."""
    checksums.mkdir()
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()]
    (checksums / "set.sha256").write_text("".join(lines))
    return Listed(
        name="set",
        folder="set",
        url="http://127.0.0.1:9/never/",
        split_of=lambda name, digest: name.split("/")[0],
        terms="none",
        splits=("train", "test"),
        checksums=checksums,
    )


def files_in(folder: Path) -> set[str]:
    """Paths of all files below a folder, relative to it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
