"""`make bench`: speed of training, prediction and coloring, compared with the bare network and with plain code.

Every ratio is between two processes that alternate in the same run. Prints a table and writes
results/bench/<device>.json and .md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from growth import COUNTS, TURNS
from measure import COMMITTED, CONFIG, GPU, SIDE
from PIL import Image

from colorlib.companion.costs import multiply_adds
from colorlib.device import choose_device, prepare
from colorlib.files import write_json, write_text
from colorlib.profiles import PROJECT
from colorlib.provenance import commit, hardware, versions
from colorlib.trainer import build_network

HERE = Path(__file__).parent
GROUPS = {
    "training": ("training_bare", "training_loop", "training_plain"),
    "prediction": ("prediction_bare", "prediction_ours", "prediction_plain"),
    "coloring": ("coloring_bare", "coloring_ours"),
}
"""Measurements of each group, which alternate: the bare network, colorlib, and plain code."""
BEST = {
    "training": ("batch", "forward and backward"),
    "prediction": ("tile", "forward"),
    "coloring": ("tile", "forward"),
}
"""The convolution whose speed each group is compared with."""
REPORT = """
from colorlib.companion.report.page import report_page
from colorlib.companion.results import Results
from colorlib.companion.steps import steps
from colorlib.profiles import load_profile
results = Results(load_profile("cpu"))
report_page(results, steps(results.profile))
"""
WHAT = {
    "training": f"training, an update of {CONFIG.batch_size} crops of {CONFIG.crop_size} × {CONFIG.crop_size}",
    "prediction": "prediction of test photographs (481 × 321), a megapixel",
    "coloring": f"coloring a photograph of {SIDE} × {SIDE}, a megapixel",
}


def run_measurement(name: str, *numbers: int) -> dict[str, Any]:
    """Run one measurement in its own process and return its result."""
    command = [sys.executable, HERE / "measure.py", name, *map(str, numbers)]
    print(name, *numbers, file=sys.stderr, end=" ", flush=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    print(done.stdout.strip(), file=sys.stderr, flush=True)  # so that an interrupted benchmark keeps its measurements
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def group_row(group: str, rounds: int) -> dict[str, Any]:
    """Measure a group; return the medians over rounds, and median and range of the ratios."""
    names = GROUPS[group]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(run_measurement(name))
    seconds = {name: [one["seconds"] for one in found[name]] for name in names}
    bare, ours, *plain = (seconds[name] for name in names)
    row = {
        "what": WHAT[group],
        "rounds": rounds,
        "seconds": {name: statistics.median(values) for name, values in seconds.items()},
        "of_bare": spread([b / o for b, o in zip(bare, ours, strict=True)]),
        "peak_mb": max((one["peak"] for one in found[names[1]] if "peak" in one), default=None),
    }
    if plain:
        row["ahead_of_plain"] = spread([p / o for p, o in zip(plain[0], ours, strict=True)])
    return row


def spread(values: list[float]) -> dict[str, float]:
    """Return median and range."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def algorithms(rounds: int) -> dict[str, Any]:
    """Return the seconds per megapixel of coloring with direct and Winograd convolutions, which alternate."""
    found = {}
    for number, profile in enumerate(COMMITTED):
        pairs = [
            [run_measurement("coloring_committed", number, way)["seconds"] for way in (0, 1)] for _ in range(rounds)
        ]
        direct, winograd = (min(seconds) for seconds in zip(*pairs, strict=True))
        found[profile] = {
            "seconds": {"direct": direct, "winograd": winograd},
            "best_of_each": direct / winograd,
            "ratio": spread([one / other for one, other in pairs]),
        }
    return found


def starts(rounds: int) -> dict[str, Any]:
    """Return the seconds of whole commands, alternating with a bare Python."""
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "small.png"
        with Image.open(PROJECT / "figures" / "cpu" / "figure2_portrait.png") as figure:
            figure.convert("RGB").resize((320, 240)).save(photo)
        run = [sys.executable, "-m", "colorlib"]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import torch'": [sys.executable, "-c", "import torch"],
            "colorlib --help": [*run, "--help"],
            "colorlib colorize, a photograph of 320 × 240": [*run, "colorize", str(photo), "--overwrite"],
            "the report's page, of profile cpu": [sys.executable, "-c", REPORT],
            "make setup, nothing to do": ["make", "--no-print-directory", "setup"],
        }
        found: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
                found[name].append(time.perf_counter() - began)
    return {name: spread(values) for name, values in found.items()}


def growth_measurements() -> dict[str, Any]:
    """Return the measurements of `growth`, which have no rounds."""
    return {
        "loading": run_measurement("loading"),
        "sizes": run_measurement("sizes"),
        "index": {str(count): run_measurement("index", count) for count in COUNTS},
        "processes": run_measurement("processes"),
    }


def main() -> None:
    """Measure, print a table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default 3)")
    parser.add_argument(
        "--only", choices=[*GROUPS, "algorithms", "starts", "growth"], help="one group, printed and not written"
    )
    options = parser.parse_args()
    device = prepare()
    everything = {*GROUPS, "convolution", *(("whole",) if GPU else ("algorithms", "starts", "growth"))}
    wanted = {options.only} if options.only else everything
    rows = {group: group_row(group, options.rounds) for group in GROUPS if group in wanted}
    per_pixel = 2 * multiply_adds(build_network(CONFIG), 64, 64) / 64**2
    crops = CONFIG.batch_size * CONFIG.crop_size**2
    for group, row in rows.items():
        ours = row["seconds"][GROUPS[group][1]]
        row["gflops"] = (3 * crops * per_pixel if group == "training" else 1e6 * per_pixel) / ours / 1e9
    result = {
        "commit": commit(),
        "versions": versions(),
        "hardware": hardware(device),
        "rows": rows,
        "algorithms": algorithms(options.rounds) if "algorithms" in wanted else {},
        "starts": starts(options.rounds) if "starts" in wanted else {},
        "growth": growth_measurements() if "growth" in wanted else {},
        "whole": {name: run_measurement(name) for name in ("whole", "whole_bfloat16")} if "whole" in wanted else {},
        "convolution": run_measurement("convolution") if "convolution" in wanted else {},
    }
    text = table(result)
    print(text)
    if options.only is None:
        folder = PROJECT / "results" / "bench"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{choose_device().type}.json", result)
        write_text(folder / f"{choose_device().type}.md", text)


def table(result: dict[str, Any]) -> str:
    """Return the measurements as Markdown."""
    best = result["convolution"]
    lines = [
        "| what | seconds | share of the bare network's speed | ahead of plain code | GFLOP/s "
        "| of the best direct convolution |",
        "|---|---|---|---|---|---|",
    ]
    for group, row in result["rows"].items():
        ahead = row.get("ahead_of_plain")
        reached = row["gflops"] / best[BEST[group][0]][BEST[group][1]] if best else None
        lines.append(
            f"| {row['what']} | {row['seconds'][GROUPS[group][1]]:.3f} | {format_range(row['of_bare'])} | "
            f"{format_range(ahead) + ' ×' if ahead else '–'} | {row['gflops']:.0f} | "
            f"{f'{reached:.0%}' if reached else '–'} |"
        )
    for profile, row in result["algorithms"].items():
        for way, seconds in row["seconds"].items():
            ahead = f" ({row['best_of_each']:.2f} × as fast as direct)" if way == "winograd" else ""
            lines.append(f"| coloring with the network of `{profile}`, {way}{ahead} | {seconds:.3f} | – | – | – | – |")
    for name, seconds in result["starts"].items():
        lines.append(f"| `{name}` | {format_range(seconds)} | – | – | – | – |")
    for name, run in result["whole"].items():
        lines.append(
            f"| training of profile `paper`{', bfloat16' if 'bfloat16' in name else ''}: {run['updates']:,} updates, "
            f"validation and files; it ends at a validation loss of {run['validation_loss']:.5f} | "
            f"{run['seconds']:.1f} | – | – | – | – |"
        )
    machine = result["hardware"]
    where = machine.get("accelerator", f"{machine['processor']}, {machine['threads']} threads")
    rounds = max((row["rounds"] for row in result["rows"].values()), default=0)
    lines += [
        "",
        f"Median [range] of {rounds} rounds in which bare network, ours and plain code took turns, each in a process "
        f"of its own. {where}, PyTorch {result['versions']['torch']}. The "
        "best direct convolution is that from 128 to 256 channels, on a batch forward and backward or on a tile "
        "forward.",
        *(f"{text}." for text in growth_sentences(result)),
    ]
    return "\n".join(lines) + "\n"


def growth_sentences(result: dict[str, Any]) -> list[str]:
    """Return peak memory and the measurements of `growth` as sentences."""
    peaks = {group: row["peak_mb"] for group, row in result["rows"].items() if row["peak_mb"]}
    sentences = []
    if peaks:
        sentences.append(
            f"Largest resident memory: {', '.join(f'{group} {peak:.0f} MB' for group, peak in peaks.items())}"
        )
    if growth := result["growth"]:
        loading, sizes, processes = growth["loading"], growth["sizes"]["seconds"], growth["processes"]
        alone, shared = processes["seconds"].values()
        sentences += [
            f"The {loading['photographs']} photographs of training are there after {loading['seconds']['first']:.2f} s "
            f"at a first start, {loading['seconds']['second']:.2f} s at the next ones",
            "Coloring, seconds per megapixel by side of the photograph: "
            + ", ".join(f"{side} {seconds:.2f}" for side, seconds in sizes.items()),
            "Finding and checking the photographs of a folder, by their number: "
            + ", ".join(
                f"{int(count):,} in {one['seconds']:.2f} s and {one['megabytes']:.0f} MB"
                for count, one in growth["index"].items()
            ),
            f"{processes['processes']} processes that share each batch train {alone / shared:.2f} × as fast as one "
            f"with all threads, the fastest of {TURNS} turns each",
        ]
    return sentences


def format_range(found: dict[str, float]) -> str:
    """Format median and range."""
    return f"{found['median']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


if __name__ == "__main__":
    main()
