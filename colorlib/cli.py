"""The command line: what may be written on it, and how a command ends. `commands` does what it says."""

import argparse
import io
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from colorlib import commands
from colorlib.companion import sweep_command

EXAMPLES = """\
examples:
  colorlib doctor                                          what this machine has, and how long each profile takes
  colorlib data fetch bsds500                              download the photographs, verified
  colorlib train runs/mine --photos folder:~/Pictures      train the paper's network on your own photographs
  colorlib train runs/lr --profile cpu --set learning_rate=3e-4
  colorlib colorize old.jpg                                color a photograph: old-colorized.jpg
  colorlib colorize albums/ -o colored/ --overwrite        color all in a folder
  colorlib evaluate runs/mine                              score it on its test split
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="colorlib",
        description="Train, evaluate and reproduce the paper's image colorization.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added = parser.add_subparsers(dest="command", required=True, metavar="command")

    train = added.add_parser("train", help="train a run, or go on with an interrupted one")
    train.add_argument("run", type=Path, help="run directory; the same command resumes it")
    train.add_argument("--profile", help="start from notebooks/profiles/<PROFILE>.yaml instead of the paper's settings")
    train.add_argument("--photos", help="bsds500, bundled, folder:PATH, torchvision:NAME, … (colorlib data list)")
    train.add_argument("--seed", help="decides the initial weights and the crops (default 0)")
    train.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting of colorlib.config.RunConfig",
    )
    train.add_argument("--restart", action="store_true", help="discard another run's state in this directory")
    _device_options(train)

    evaluate = added.add_parser("evaluate", help="score a finished run: metrics.json and per_image.csv")
    evaluate.add_argument("run", type=Path, help="run directory")
    evaluate.add_argument("--photos", help="photographs other than those it was trained on")
    evaluate.add_argument("--split", default="test", help="train, val or test (default test)")
    _device_options(evaluate)

    colorize = added.add_parser("colorize", help="color photographs: files, folders, patterns")
    colorize.add_argument("photos", nargs="+", metavar="PHOTO", help="a file, a folder (with all in it), or a pattern")
    colorize.add_argument(
        "-o", "--output", type=Path, help="a file for one photograph, else a folder (default: beside the photographs)"
    )
    colorize.add_argument("--overwrite", action="store_true", help="replace copies that exist")
    colorize.add_argument("--compare", action="store_true", help="write gray, original and prediction side by side")
    tone = colorize.add_mutually_exclusive_group()
    tone.add_argument(
        "--keep-luminance", action="store_true", help="the photograph's own lightness, so its sharpness (default)"
    )
    tone.add_argument("--raw", action="store_true", help="the network's RGB as it is")
    colorize.add_argument("--saturation", type=float, default=1.0, help="what colors are multiplied by (default 1)")
    colorize.add_argument(
        "--weights", type=Path, metavar="RUN", help="a run directory (default: the committed weights)"
    )
    _device_options(colorize)

    data = added.add_parser("data", help="photographs: list, fetch or verify them")
    data.add_argument("action", choices=("list", "fetch", "verify"))
    data.add_argument("source", nargs="?", help="which source; all of them without it (list, verify)")

    doctor = added.add_parser("doctor", help="what this machine has, and what each profile costs here")
    doctor.add_argument("--threads", type=int, help="threads of the CPU (default: one per core)")

    claims = added.add_parser("claims", help="every claim of the paper, what was measured, and the verdict")
    claims.add_argument("--profile", default="paper", help="the runs that decide (default paper)")
    claims.add_argument("--seeds", help="for example 0,1,2 (default: the profile's)")

    verify = added.add_parser("verify", help="hold the committed results against the code that is checked out")
    verify.add_argument("--profile", help="one profile (default: all that are committed)")
    verify.add_argument("--retrain", action="store_true", help="also train every run anew and compare what it leaves")

    paper = added.add_parser("paper", help="the article as PDF, from results/")
    paper.add_argument("--profile", default="paper", help="whose results it reports (default paper)")

    sweep_command.add(added)

    added.add_parser("readme", help="the measured parts of README.md, from results/")

    reproduce = added.add_parser("reproduce", help="execute the notebooks: figures, table and report")
    reproduce.add_argument("--profile", default="auto", help="auto (default), smoke, cpu or paper")
    reproduce.add_argument("--photos", help="other photographs than the profile's, for example cifar10")
    reproduce.add_argument("--seeds", help="for example 0,1,2 (default: the profile's)")
    reproduce.add_argument("--only", help="one notebook, for example 03_figure1, with what it needs")
    reproduce.add_argument("--no-training", action="store_true", help="take runs trained and evaluated elsewhere")
    reproduce.add_argument("--force", action="store_true", help="do again what is up to date")
    return parser


def _device_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-pixels", type=int, help="refuse larger photographs (default 250 million)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or mps")
    parser.add_argument("--threads", type=int, help="threads of the CPU (default: one per core)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 failed, 2 the command line is wrong, 130 interrupted."""
    options = build_parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name may be no text in the terminal's encoding
            stream.reconfigure(errors="backslashreplace")
    command: Callable[[argparse.Namespace], int] = getattr(commands, options.command)
    try:
        return command(options)
    except KeyboardInterrupt:
        # Its loops would tell of the kernels that die now, after the last word was said.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        resumed = "; the same command goes on from the last checkpoint"
        print(f"interrupted{resumed if options.command in ('train', 'reproduce', 'sweep') else ''}", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        print(f"colorlib {options.command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
