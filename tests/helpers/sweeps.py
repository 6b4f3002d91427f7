"""A stub of the training notebook that trains nothing, for tests of sweeps."""

import json
import os
import signal
import time
from concurrent.futures import Future
from functools import lru_cache
from pathlib import Path
from typing import Any

import nbformat
import psutil
import yaml

from colorlib.companion.sweeps.run import run_point
from colorlib.companion.sweeps.spec import Point, Sweep, load_sweep
from colorlib.photos import open_photos
from colorlib.profiles import load_profile

PARAMETERS = """\
run = ""
photos = "bundled"
network = "encoder-decoder"
epochs = 3
crops_per_epoch = 64
crop_size = 32
batch_size = 16
learning_rate = 1e-3
behavior = "fine"
pause = 0.0
seed = 0
mode = "resume"
scored = "test"
"""
STUB = """\
import json, os, signal, time
from pathlib import Path

path = Path(run)
journal = path / "journal.txt"
(path / "checkpoints").mkdir(parents=True, exist_ok=True)
done = len(journal.read_text().splitlines()) if (path / "checkpoints" / "state").exists() else 0
for epoch in range(done + 1, epochs + 1):
    time.sleep(pause)
    with journal.open("a") as file:
        print(epoch, os.getpid(), file=file)
    (path / "checkpoints" / "state").touch()
    rows = "".join(f"{e},{e * 4},{1 / e},{1.5 / e}\\n" for e in range(1, epoch + 1))
    (path / "history.csv").write_text("epoch,updates,training_loss,validation_loss\\n" + rows)
    if behavior == "raises":
        raise RuntimeError("the stub was told to fail")
    if behavior == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""
LEAVE = """\
text = (path / "history.csv").read_text()
(path / "history.csv").unlink()
(path / "history.csv").write_text(text)
(path / "timing.csv").write_text(
    "epoch,training_seconds,validation_seconds\\n" + "".join(f"{e},2.0,0.5\\n" for e in range(1, epochs + 1)))
(path / "weights.safetensors").write_bytes(b"weights")
if photos not in digests:
    from colorlib.photos import open_photos

    digests[photos] = {split: open_photos(photos, split).digest for split in ("train", "val")}
photographs = {split: {"count": 1, "sha256": digest} for split, digest in digests[photos].items()}
hardware = {"processor": "a processor", "threads": 1, "device": "cpu"}
record = {"config": {}, "photos": photographs, "source": "f" * 64, "versions": {}, "hardware": hardware}
(path / "run.json").write_text(json.dumps(record))
"""
SCORE = """\
def figure(value):
    return {"value": value, "low": value * 0.9, "high": value * 1.1}

names = ("mse", "psnr_of_mse", "mean_psnr", "ssim", "delta_e00", "colorfulness")
figures = {name: figure(learning_rate * 10 + seed / 1000) for name in names}
figures |= {"truth_colorfulness": 40.0, "images": 7}
name = f"metrics-{photos}-{scored}.json" if scored != "test" else "metrics.json"
(path / name).write_text(json.dumps({
    "photos": {"source": photos, "split": scored, "count": 7},
    "methods": {"network": figures, "network, true L": figures},
}))
"""


@lru_cache
def known_digests() -> str:
    """A line of the stub with the digests of the bundled photographs: its kernel then imports nothing heavy."""
    return f"digests = { {'bundled': {split: open_photos('bundled', split).digest for split in ('train', 'val')}} }\n"


def stand_in(execution: Any, on_line: Any = None) -> None:
    """Replacement of `execute`: write the files of the stub in this process."""
    exec(
        known_digests() + STUB + LEAVE + SCORE,
        {"pause": 0.0, "behavior": "fine", "learning_rate": 1e-3} | execution.parameters,
    )


def leave(point: Point, **changes: Any) -> None:
    """Write the files of a finished point, but not its record."""
    values = {"photos": "bundled", "learning_rate": 1e-3, "behavior": "fine", "pause": 0.0} | point.parameters
    values |= {"run": str(point.directory), "seed": point.seed, "scored": point.scored} | changes
    exec(known_digests() + STUB + LEAVE + SCORE, values)


class InlineExecutor:
    """An executor that runs each point at once in this process; points whose names are in `fail` fail."""

    def __init__(self, fail: tuple[str, ...] = ()) -> None:
        self.fail, self.stopped = fail, False
        self.submitted: list[str] = []

    def submit(self, point: Point) -> Any:
        future: Future[dict[str, Any]] = Future()
        self.submitted.append(point.label)
        if point.name in self.fail:
            future.set_result({"outcome": "failed", "reason": "as the test wants"})
        else:
            run_point(point)
            future.set_result({"outcome": "done"})
        return future

    def stop(self) -> None:
        self.stopped = True


def stub_notebook(folder: Path, *cells: str) -> Path:
    """Write the stub with its `parameters` cell."""
    first = nbformat.v4.new_code_cell(PARAMETERS)
    first.metadata["tags"] = ["parameters"]
    nb = nbformat.v4.new_notebook(
        cells=[first, *map(nbformat.v4.new_code_cell, cells or (STUB, known_digests() + LEAVE, SCORE))],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    path = folder / "stub.ipynb"
    path.write_text(nbformat.writes(nb))
    return path


def sweep_text(folder: Path, name: str = "trial", **content: Any) -> Path:
    """Write a sweep file of the stub."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"notebook": str(folder / "stub")} | content))
    return path


def journals(folder: Path) -> dict[str, list[int]]:
    """Return the epochs that each point of a sweep ran, in order: name of its run directory -> epochs."""
    return {
        path.parent.name: [int(line.split()[0]) for line in path.read_text().splitlines()]
        for path in sorted(folder.glob("*/journal.txt"))
    }


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the processes that work in a folder: jobs, by their standard error, and kernels, by their journals."""
    kernels = {int(line.split()[1]) for path in folder.glob("*/journal.txt") for line in path.read_text().splitlines()}
    found = []
    for process in psutil.process_iter():
        try:
            log = str(Path(f"/proc/{process.pid}/fd/2").readlink())
            if process.pid in kernels or log.startswith(str(folder)):
                found.append(process)
        except (OSError, psutil.NoSuchProcess):
            continue
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def until(condition: Any, *, seconds: float = 240.0, what: str) -> None:
    """Wait for a condition, or fail after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} seconds for {what}"
        time.sleep(0.1)


def kill(process: psutil.Process) -> None:
    """Send SIGKILL to a process."""
    os.kill(process.pid, signal.SIGKILL)


def read(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def loaded(path: Path, root: Path, profile: str = "smoke", **changes: Any) -> Sweep:
    """Return a sweep file read for a profile whose results lie below `root`."""
    return load_sweep(path, load_profile(profile, root=root), **changes)
