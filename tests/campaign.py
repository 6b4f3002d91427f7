"""Long campaign of faults: `make campaign` runs it and writes results/campaign.md. Its tests run a tenth.

    python tests/campaign.py [--share 0.1] [--work FOLDER] [--table FILE] [--only PART ...]

Parts: mutated files, failing calls while a checkpoint is written, processes killed at random moments, verification on
emulated machines, changes of committed files. What is done is kept in the work folder, so that an interrupted campaign
goes on where it stopped; a change of the source starts it anew.
"""

import argparse
import errno
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers.training import make_photos, small_config, train_run
from PIL import Image
from tqdm import tqdm

from colorlib.checkpoint import Checkpoint, load_newest, load_tensors, save_checkpoint
from colorlib.companion.claims.claims import read_claims
from colorlib.companion.sweeps.spec import load_sweep
from colorlib.config import RunConfig, override
from colorlib.evaluate import read_metrics, read_scores, score_run
from colorlib.files import sha256, write_text
from colorlib.photos.decode import decode_file
from colorlib.profiles import load_profile
from colorlib.provenance import source_digest
from colorlib.runs import Run

PROJECT = Path(__file__).resolve().parents[1]
TABLE = PROJECT / "results" / "campaign.md"
SECONDS = 5
"""Time in which a mutated file must be read or refused."""
MUTATIONS = 2000
"""Number of mutated files."""
KILLS = {"training": (10, 6), "sweep": (4, 5), "reproduce": (2, 5), "page": (2, 5)}
"""What is killed: number of runs, and kills of each; a hundred in all."""
SHORT_KILLS = {"training": (1, 8), "sweep": (1, 1), "reproduce": (1, 1)}
"""The same for a tenth of the campaign; a reproduction builds the page too."""
MACHINES: dict[str, dict[str, str]] = {
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "2"},
    "no vector instructions": {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "1"},
    "Haswell's BLAS": {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "1"},
    "AVX-512's BLAS": {"OPENBLAS_CORETYPE": "SkylakeX", "OMP_NUM_THREADS": "2"},
    "NumPy without AVX": {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", "OMP_NUM_THREADS": "1"},
    "1 thread": {"OMP_NUM_THREADS": "1"},
}
"""Emulated machines -> environment variables."""
PROFILE = "lightweight"
"""The profile that is verified in full on each of them."""
TIMED = re.compile(r"SHA256SUMS|timing\.csv|.*\.lock|.*\.lock\.json|execution\.json|point\.json|summary\..*|log\.txt")
"""Files with times, hashes of times, or what a killed process printed, in which equal runs differ."""


@dataclass(frozen=True)
class Trial:
    """One unit of work: what was tried how many times, and what was lost."""

    part: str
    name: str
    run: Callable[[Path], tuple[int, list[str]]]
    """Function of an empty folder that returns the number of trials and a sentence for each loss."""


# Mutated files


def mutated(content: bytes, randomness: random.Random) -> bytes:
    """Return content with one to four random changes: bits, cut, repeated or removed parts, numbers, words."""
    data = bytearray(content)
    words = (b"nan", b"1e999", b"-1", b"0", b"null", b"[]", b"{}", b"true", b"\xff\xfe", b"9" * 400, b"[" * 3000, b"*a")
    for _ in range(randomness.randint(1, 4)):
        at, size = randomness.randrange(len(data) + 1), randomness.choice((1, 2, 8, 64, 1024))
        kind = randomness.randrange(6)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << randomness.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + size]
        elif kind == 3:
            data[at:at] = data[at : at + size]
        elif kind == 4:
            data[at:at] = randomness.choice(words)
        else:
            numbers = list(re.finditer(rb"-?\d[\d.e-]*", data))
            if numbers:
                place = randomness.choice(numbers)
                data[place.start() : place.end()] = randomness.choice(words)
    return bytes(data)


def samples(folder: Path) -> dict[str, tuple[Path, Callable[[Path], object]]]:
    """Write one file of each kind; returns kind -> (file, function that reads it and asserts what it can)."""
    photos = make_photos(folder / "photos")
    run = folder / "run"
    train_run(small_config(photos, keep_epochs=(1,)), run)
    for _ in score_run(run, device=torch.device("cpu")):
        pass
    images = {}
    for suffix in ("jpg", "png", "webp", "tiff", "gif", "bmp"):
        images[suffix] = folder / f"image.{suffix}"
        with Image.open(next(iter(sorted(photos.glob("*.png"))))) as picture:
            picture.save(images[suffix])
    newest = sorted((run / "checkpoints").iterdir())[-1]
    states = {path: load_tensors(path).state for path in (newest, run / "weights.safetensors")}

    def tensors(path: Path, original: Path) -> None:
        found = load_tensors(path).state
        assert found.keys() == states[original].keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in states[original].items())

    def rows(found: list[dict[str, float]]) -> None:
        assert [row["epoch"] for row in found] == list(range(1, len(found) + 1))
        assert all(np.isfinite(list(row.values())).all() for row in found)

    def record(path: Path) -> None:
        found = Run(path.parent).record()
        assert found == json.loads(path.read_text(encoding="utf-8"))
        override(RunConfig(), found["config"])

    def picture(path: Path) -> None:
        pixels = decode_file(path)
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3

    smoke = load_profile("smoke")
    profile, sweep = PROJECT / "notebooks/profiles/cpu.yaml", PROJECT / "notebooks/sweeps/learning_rate.yaml"
    claims = PROJECT / "paper/claims.yaml"
    return {
        "run.json": (run / "run.json", record),
        "history.csv": (run / "history.csv", lambda path: rows(Run(path.parent).history())),
        "timing.csv": (run / "timing.csv", lambda path: rows(Run(path.parent).timing())),
        "checkpoint": (newest, lambda path: tensors(path, newest)),
        "weights.safetensors": (run / "weights.safetensors", lambda path: tensors(path, run / "weights.safetensors")),
        "metrics.json": (run / next(run.glob("metrics*.json")).name, read_metrics),
        "per_image.csv": (run / next(run.glob("per_image*.csv")).name, read_scores),
        "claims.yaml": (claims, read_claims),
        "sweep.yaml": (sweep, lambda path: load_sweep(path, smoke)),
        "profile.yaml": (profile, lambda path: load_profile(path.stem, folder=path.parent)),
        **{f"image.{suffix}": (path, picture) for suffix, path in images.items()},
    }  # fmt: skip


def read_mutated(kind: str, seed: int, count: int, folder: Path) -> tuple[int, list[str]]:
    """Read `count` mutated files of a kind, each in at most `SECONDS`, in a forked process that may die."""
    original, read = samples(folder)[kind]
    content, lost, number = original.read_bytes(), [], 0
    (folder / "mutated").mkdir()
    path, note = folder / "mutated" / original.name, folder / "note"
    while number < count:
        child = os.fork()
        if child == 0:
            warnings.simplefilter("ignore")  # Pillow's, of damaged TIFF files
            for current in range(number, count):
                path.write_bytes(mutated(content, random.Random(f"{kind} {seed} {current}")))
                note.write_text(str(current))
                signal.alarm(SECONDS)
                try:
                    read(path)
                except ValueError as error:
                    if original.name not in str(error) and original.stem not in str(error):
                        note.write_text(f"{current} the message does not name the file: {str(error)[:200]}")
                        os._exit(1)
                except BaseException as error:  # noqa: BLE001 - what must not happen
                    note.write_text(f"{current} {type(error).__name__}: {str(error)[:200]}")
                    os._exit(1)
                signal.alarm(0)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        at, _, why = note.read_text().partition(" ")
        if status != 0:
            why = why or (f"no end in {SECONDS} s" if status == -signal.SIGALRM else f"exit status {status}")
            lost.append(f"{kind}, seed {seed}, file {at}: {why}")
        number = int(at) + 1
    return count, lost


def mutation_trials(share: float) -> Iterator[Trial]:
    """Yield a trial for each kind of file."""
    with tempfile.TemporaryDirectory() as folder:
        kinds = list(samples(Path(folder)))
    each = -(-int(MUTATIONS * share) // len(kinds))
    for kind in kinds:
        yield Trial("mutated files", kind, partial(read_mutated, kind, 0, each))


# Failing calls

CALLS = ("open", "fsync", "chmod", "replace", "unlink", "mkdir", "close", "listdir", "stat")
"""Functions of `os` that writing a checkpoint may call; writes to the file are counted too."""


def fail_at(number: int, fault: str) -> list[int]:
    """Make the `number`-th call fail: with an errno's name, or with death before or after it; returns the counter."""
    count = [0]

    def counted(call: Callable[..., Any], *, writes: bool = False) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            count[0] += 1
            if count[0] != number:
                return call(*arguments, **options)
            if writes:  # half of it
                call(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            if fault == "death after":
                call(*arguments, **options)
            if fault.startswith("death"):
                os.kill(os.getpid(), signal.SIGKILL)
            code = getattr(errno, fault)
            raise OSError(code, os.strerror(code))

        return wrapped

    class Raw(io.FileIO):
        write = counted(io.FileIO.write, writes=True)

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    os.fdopen = lambda handle, mode: io.BufferedRandom(Raw(handle, "w+"))  # type: ignore[assignment,return-value,misc]
    return count


def fail_calls(fault: str, folder: Path) -> tuple[int, list[str]]:
    """Fail each call of a checkpoint's writing once, and load what is there."""
    lost, states = [], [{"w": torch.arange(5000.0) * step} for step in range(5)]
    for number in range(1, 1000):
        run = folder / str(number)
        for step in (1, 2):
            save_checkpoint(run, Checkpoint(step=step, state=states[step], facts={}))
        child = os.fork()
        if child == 0:
            count = fail_at(number, fault)
            try:
                save_checkpoint(run, Checkpoint(step=3, state=states[3], facts={}))
            except OSError:
                os._exit(3)
            except BaseException:  # noqa: BLE001 - a fork must never return into the code below
                os._exit(1)
            os._exit(4 if count[0] >= number else 0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        found, damaged = load_newest(run)
        if found is None or found.step < 2 or not torch.equal(found.state["w"], states[found.step]["w"]) or damaged:
            lost.append(f"{fault} of call {number}: {found and found.step}, {damaged}")
        save_checkpoint(run, Checkpoint(step=4, state=states[4], facts={}))
        again, _ = load_newest(run)
        if again is None or again.step != 4 or list(run.glob(".*.tmp")):
            lost.append(f"{fault} of call {number}: the next checkpoint is not whole, or a temporary file stays")
        shutil.rmtree(run)
        if status == 0:
            return number - 1, lost
        if status not in (3, 4, -signal.SIGKILL):
            lost.append(f"{fault} of call {number}: exit status {status}")
    raise AssertionError("a thousand calls")


def call_trials(share: float) -> Iterator[Trial]:
    """Yield a trial for each fault; all are cheap."""
    for fault in ("EIO", "ENOSPC", "EACCES", "death before", "death after"):
        yield Trial("failing calls of a checkpoint's writing", fault, partial(fail_calls, fault))


# Kills


def kill_training(kills: int, seed: int, folder: Path) -> tuple[int, list[str]]:
    """Kill runs of training at random moments."""
    photos = make_photos(folder / "photos")
    command = [sys.executable, "-m", "helpers.kill_points", "moments", folder, photos, seed, kills]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(PROJECT), str(PROJECT / "tests")))}
    done = subprocess.run(
        [*map(str, command)], env=environment, cwd=PROJECT, capture_output=True, text=True, check=True
    )
    runs = json.loads(done.stdout)
    lost = [f"seed {seed}: {run}" for run in runs if not run["equal"] or run["leftovers"] or run["statuses"][-1] != 0]
    return sum(len(run["statuses"]) - 1 for run in runs), lost


def copy_of_project(folder: Path) -> Path:
    """Return a copy of the checkout without results, whose profile `smoke` and sweep `campaign` take seconds."""
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if not name.startswith(("results/", "figures/", "tests/")) and (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    smoke = folder / "notebooks/profiles/smoke.yaml"
    smoke.write_text(re.sub(r"(?m)^epochs: \d+", "epochs: 2", smoke.read_text()))
    text = "notebook: 02_train\nfixed: {epochs: 3, crops_per_epoch: 64}\ngrid: {learning_rate: [1.0e-3, 2.0e-3]}\n"
    (folder / "notebooks/sweeps/campaign.yaml").write_text(text)
    return folder


def results_of(project: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that equal reproductions share."""
    files = [
        path for name in ("results", "figures") for path in (project / name / "smoke").rglob("*") if path.is_file()
    ]
    names = {path.relative_to(project).as_posix(): path for path in files}
    local = ("/stamps/", "/checkpoints/", "/.")
    return {
        name: sha256(path)
        for name, path in names.items()
        if not TIMED.fullmatch(path.name) and not any(part in name for part in local)
        and not ("/sweeps/" in name and path.suffix == ".ipynb")
    }  # fmt: skip


def kill_command(what: str, kills: int, seed: int, folder: Path) -> tuple[int, list[str]]:
    """Kill a command of the command line at random moments, let it end, and compare its files with an undisturbed run.

    Args:
        what: `sweep`, `reproduce` or `page`.
        kills: number of kills.
        seed: seed of the moments.
        folder: an empty folder.
    """
    commands = {
        "sweep": ("sweep", "campaign", "--profile", "smoke"),
        "reproduce": ("reproduce", "--profile", "smoke"),
        "page": ("reproduce", "--profile", "smoke", "--only", "report", "--force"),
    }
    moments = random.Random(seed)

    def start(project: Path, log: Path, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
        environment = os.environ | {"PYTHONPATH": str(project)}
        with log.open("ab") as out:
            words = [sys.executable, "-m", "colorlib", *command]
            return subprocess.Popen(
                words, cwd=project, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )

    project, log = copy_of_project(folder / "project"), folder / "log"
    if what == "page" and start(project, log, commands["reproduce"]).wait() != 0:
        return 0, [f"reproduce failed: {log.read_text()[-500:]}"]
    # Undisturbed
    begun = time.monotonic()
    if start(project, log, commands[what]).wait() != 0:
        return 0, [f"{what} failed: {log.read_text()[-500:]}"]
    duration, expected = time.monotonic() - begun, results_of(project)
    # Killed, in the same place, because executed notebooks may name it
    if what != "page":
        for name in ("results", "figures"):
            shutil.rmtree(project / name / "smoke", ignore_errors=True)
    done = 0
    for _ in range(10 * kills):
        process = start(project, log, commands[what])
        time.sleep(moments.uniform(0, duration))
        process.kill()
        if process.wait() == -signal.SIGKILL:
            done += 1
        if done == kills:
            break
        if process.returncode == 0 and what != "page":  # too late: start over
            for name in ("results", "figures"):
                shutil.rmtree(project / name / "smoke", ignore_errors=True)
    if start(project, log, commands[what]).wait() != 0:
        return done, [f"{what}, seed {seed}: {log.read_text()[-500:]}"]
    found = results_of(project)
    different = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    lost = [f"{what}, seed {seed}: {name} differs" for name in different]
    leftovers = [path.name for path in (project / "results").rglob(".*.tmp")]
    return done, lost + [f"{what}, seed {seed}: {name} stays" for name in leftovers]


def kill(what: str, kills: int, seed: int, folder: Path) -> tuple[int, list[str]]:
    """Kill a row of `KILLS`."""
    return kill_training(kills, seed, folder) if what == "training" else kill_command(what, kills, seed, folder)


def kill_trials(share: float) -> Iterator[Trial]:
    """Yield a trial for each run that is killed."""
    for what, (runs, kills) in (KILLS if share == 1 else SHORT_KILLS).items():
        for seed in range(runs):
            yield Trial(f"kills of {what}", f"seed {seed}", partial(kill, what, kills, seed))


# Emulated machines and changes of committed files


def verify_on(environment: Mapping[str, str], options: tuple[str, ...], folder: Path) -> tuple[int, list[str]]:
    """Verify the committed results with environment variables that emulate another machine."""
    log = folder / "log"
    with log.open("w") as out:
        variables = os.environ | environment | {"PYTHONPATH": str(PROJECT)}
        command = [sys.executable, "-m", "colorlib", "verify", *options]
        status = subprocess.run(command, cwd=PROJECT, env=variables, stdout=out, stderr=out, check=False).returncode
    lines = [line for line in log.read_text().splitlines() if line.startswith("differs")]
    return 1, [] if status == 0 else (lines or [f"exit status {status}: {log.read_text()[-300:]}"])


def machine_trials(share: float) -> Iterator[Trial]:
    """Yield two trials for each emulated machine; in the short form one."""
    wide = "avx512f" in Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else False
    for name, environment in MACHINES.items():
        if "SkylakeX" in environment.values() and not wide:
            continue  # this processor lacks its instructions
        for options in (("--quick",), ("--profile", PROFILE)):
            yield Trial(
                "verify on emulated machines",
                f"{name}, {' '.join(options)}",
                partial(verify_on, environment, options),
            )
            if share < 1:
                return


def change_committed(folder: Path) -> tuple[int, list[str]]:
    """Run test_mutations.py, which makes results/mutations.md."""
    test = "tests/companion/verify/test_mutations.py"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "slow or campaign", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    rows = (PROJECT / "results/mutations.md").read_text().count("\n| ") - 1
    return 2 * rows, [] if done.returncode == 0 else [done.stdout[-300:]]


def change_trials(share: float) -> Iterator[Trial]:
    """Yield the one trial; the test itself is in test_mutations.py."""
    if share == 1:
        yield Trial("changes of committed files", "results/mutations.md", change_committed)


PARTS: dict[str, Callable[[float], Iterator[Trial]]] = {
    "files": mutation_trials,
    "calls": call_trials,
    "kills": kill_trials,
    "machines": machine_trials,
    "changes": change_trials,
}


# The campaign


def campaign(work: Path, share: float = 1.0, only: tuple[str, ...] = tuple(PARTS)) -> list[dict[str, Any]]:
    """Run the trials that are not done yet; returns all outcomes: part, name, tried, lost, seconds."""
    work.mkdir(parents=True, exist_ok=True)
    state = work / "done.jsonl"
    source = source_digest("colorlib.cli", "colorlib.companion.reproduce") + sha256(Path(__file__))
    lines = state.read_text().splitlines() if state.is_file() else []
    outcomes = [found for found in map(json.loads, lines) if (found["source"], found["share"]) == (source, share)]
    done = {(found["part"], found["name"]) for found in outcomes}
    trials = [trial for part in only for trial in PARTS[part](share)]
    with tqdm(trials, unit="trial", dynamic_ncols=True) as bar, state.open("a") as file:
        for trial in bar:
            bar.set_description(f"{trial.part}: {trial.name}")
            if (trial.part, trial.name) in done:
                continue
            with tempfile.TemporaryDirectory(dir=work) as folder:
                begun = time.monotonic()
                tried, lost = trial.run(Path(folder))
            outcome = {"part": trial.part, "name": trial.name, "tried": tried, "lost": lost}
            outcome |= {"seconds": round(time.monotonic() - begun), "source": source, "share": share}
            print(json.dumps(outcome), file=file, flush=True)
            outcomes.append(outcome)
            for loss in lost:
                tqdm.write(loss)
    return outcomes


def table(outcomes: list[dict[str, Any]], share: float) -> str:
    """Return the outcomes as a Markdown table: a row for each part, and what was lost."""
    rows = []
    for part in dict.fromkeys(found["part"] for found in outcomes):
        own = [found for found in outcomes if found["part"] == part]
        kinds = "; ".join(f"{found['name']}: {found['tried']:,}" for found in own) if len(own) < 20 else ""
        tried, lost = sum(found["tried"] for found in own), sum(len(found["lost"]) for found in own)
        rows.append(f"| {part} | {kinds} | {tried:,} | {lost:,} |")
    losses = [f"- {loss}" for found in outcomes for loss in found["lost"]]
    size = "The whole campaign" if share == 1 else f"A short form ({share:g} of the whole)"
    return (
        "# What was tried to break runs and files, and what was lost\n\n"
        f"{size}, made by `make campaign` (`tests/campaign.py`). Lost means: an error that is no sentence about the "
        f"file, a file that takes more than {SECONDS} s or is read as something else, bytes that differ from an "
        "undisturbed run, a leftover file, an honest result that `verify` calls different, or a change of a committed "
        "file that the table of changes does not explain.\n\n"
        "| what | each | tried | lost |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
        + ("\n" + "\n".join(losses) + "\n" if losses else "")
    )  # fmt: skip


def main() -> int:
    """Run the campaign; returns 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="fraction of the whole (default 1)")
    parser.add_argument("--work", type=Path, default=PROJECT / "build" / "campaign", help="folder of what is done")
    parser.add_argument("--table", type=Path, default=TABLE, help="the table to write")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=tuple(PARTS))
    options = parser.parse_args()
    torch.set_num_threads(1)  # forks of a process with threads of its own could wait for them for ever
    outcomes = campaign(options.work, options.share, tuple(options.only))
    write_text(options.table, table(outcomes, options.share))
    lost = sum(len(found["lost"]) for found in outcomes)
    print(f"{sum(found['tried'] for found in outcomes):,} tried, {lost:,} lost: {options.table}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
