"""A stub of the training notebook that trains nothing: what sweeps make of it takes seconds."""

import dataclasses
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import nbformat
import psutil
import yaml

from colorlib.companion.sweeps import Sweep, load_sweep
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
hardware = {"processor": "a processor", "threads": 1}
record = {"config": {}, "photos": {}, "source": "f" * 64, "hardware": hardware}
(path / "run.json").write_text(json.dumps(record))
"""
SCORE = """\
def figure(value):
    return {"value": value, "low": value * 0.9, "high": value * 1.1}

names = ("mse", "psnr_of_mse", "mean_psnr", "ssim", "delta_e00", "colorfulness")
figures = {name: figure(learning_rate * 10 + seed / 1000) for name in names} | {"truth_colorfulness": 40.0}
name = f"metrics-{photos}-{scored}.json" if scored != "test" else "metrics.json"
(path / name).write_text(json.dumps({
    "photos": {"source": photos, "split": scored, "count": 7},
    "methods": {"network": figures, "network, true L": figures},
}))
"""


def stand_in(execution: Any, listen: Any = None) -> None:
    """In place of `execute`: what the stub leaves is left by this process."""
    exec(STUB + LEAVE + SCORE, {"pause": 0.0, "behavior": "fine", "learning_rate": 1e-3} | execution.parameters)


def stub_notebook(folder: Path, *cells: str) -> Path:
    """The stub, with its `parameters` cell, as a file."""
    first = nbformat.v4.new_code_cell(PARAMETERS)
    first.metadata["tags"] = ["parameters"]
    nb = nbformat.v4.new_notebook(
        cells=[first, *map(nbformat.v4.new_code_cell, cells or (STUB, LEAVE, SCORE))],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    path = folder / "stub.ipynb"
    path.write_text(nbformat.writes(nb))
    return path


def sweep_text(folder: Path, name: str = "trial", **content: Any) -> Path:
    """A sweep file of the stub, with `content`."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"notebook": str(folder / "stub")} | content))
    return path


def journals(folder: Path) -> dict[str, list[int]]:
    """The epochs that each point of a sweep did, in order: run directory -> numbers."""
    return {
        path.parent.name: [int(line.split()[0]) for line in path.read_text().splitlines()]
        for path in sorted(folder.glob("*/journal.txt"))
    }


def processes_of(folder: Path) -> list[psutil.Process]:
    """The processes that work in a folder: jobs, by their standard error, and kernels, by what they wrote."""
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
    """Wait for a condition, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} seconds for {what}"
        time.sleep(0.1)


def kill(process: psutil.Process) -> None:
    """End a process at once."""
    os.kill(process.pid, signal.SIGKILL)


def read(path: Path) -> Any:
    """What a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def loaded(path: Path, root: Path, profile: str = "smoke", **changes: Any) -> Sweep:
    """A sweep file as a profile reads it, with its results under a folder."""
    return load_sweep(path, dataclasses.replace(load_profile(profile), root=root), **changes)
