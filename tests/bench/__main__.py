"""`make bench`: how fast training, prediction and coloring are, beside the bare network and beside what people write.

Every figure is a ratio of two processes that took turns in the same run. Prints a table and writes
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

from measure import CONFIG, SIDE
from PIL import Image

from colorlib.costs import multiply_adds
from colorlib.devices import choose_device, prepare
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
"""What is timed, in turns: the bare network, ours, and what people write."""
WHAT = {
    "training": f"training, an update of {CONFIG.batch_size} crops of {CONFIG.crop_size} × {CONFIG.crop_size}",
    "prediction": "prediction of test photographs (481 × 321), a megapixel",
    "coloring": f"coloring a photograph of {SIDE} × {SIDE}, a megapixel",
}


def measured(name: str) -> dict[str, Any]:
    """What a process of its own measured."""
    done = subprocess.run([sys.executable, HERE / "measure.py", name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def group_row(group: str, rounds: int) -> dict[str, Any]:
    """One group's medians over rounds, and the ratios of each round."""
    names = GROUPS[group]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for round_ in range(rounds):
        for name in names:
            print(f"{group}: round {round_ + 1} of {rounds}, {name}", file=sys.stderr)
            found[name].append(measured(name))
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
    """Median and range."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def starts(rounds: int) -> dict[str, Any]:
    """Seconds from a shell's command to its end, in turns with a bare Python."""
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
            "make with nothing to do": ["make", "--no-print-directory", "setup"],
        }
        found: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
                found[name].append(time.perf_counter() - began)
    return {name: spread(values) for name, values in found.items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default 3)")
    parser.add_argument("--only", choices=[*GROUPS, "starts"], help="one group, printed and not written")
    options = parser.parse_args()
    device = prepare()
    rows = {group: group_row(group, options.rounds) for group in GROUPS if options.only in (None, group)}
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
        "starts": starts(options.rounds) if options.only in (None, "starts") else {},
        "convolution": measured("convolution") if options.only is None else {},
    }
    text = table(result)
    print(text)
    if options.only is None:
        folder = PROJECT / "results" / "bench"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{choose_device().type}.json", result)
        write_text(folder / f"{choose_device().type}.md", text)


def table(result: dict[str, Any]) -> str:
    """The measurements as markdown."""
    lines = [
        "| | seconds | share of the bare network's speed | ahead of plain code | GFLOP/s |",
        "|---|---|---|---|---|",
    ]
    for group, row in result["rows"].items():
        ahead = row.get("ahead_of_plain")
        lines.append(
            f"| {row['what']} | {row['seconds'][GROUPS[group][1]]:.3f} | {ranged(row['of_bare'])} | "
            f"{ranged(ahead) + ' ×' if ahead else '–'} | {row['gflops']:.0f} |"
        )
    for name, seconds in result["starts"].items():
        lines.append(f"| `{name}` | {ranged(seconds)} | – | – | – |")
    best = result["convolution"]
    reached = (
        f"The 3 × 3 convolution from 128 to 256 channels alone reaches {best['batch']['forward and backward']:.0f} "
        f"GFLOP/s on a batch, forward and backward, and {best['tile']['forward']:.0f} on a tile, forward. "
        if best
        else ""
    )
    machine = result["hardware"]
    lines += [
        "",
        f"{reached}Median [range] of {max(row['rounds'] for row in result['rows'].values()) if result['rows'] else 0} "
        f"rounds in which bare network, ours and plain code took turns, each in a process of its own. "
        f"{machine['processor']}, {machine['threads']} threads, PyTorch {result['versions']['torch']}.",
    ]
    return "\n".join(lines) + "\n"


def ranged(found: dict[str, float]) -> str:
    """Median and range, for people."""
    return f"{found['median']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


if __name__ == "__main__":
    main()
