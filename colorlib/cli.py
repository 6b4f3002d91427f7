"""The commands. Nothing heavy is imported before a command needs it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

EXAMPLES = """\
examples:
  colorlib doctor                                          what this machine has, and how long each profile takes
  colorlib data fetch bsds500                              download the photographs, verified
  colorlib train runs/mine --photos folder:~/Pictures      train the paper's network on your own photographs
  colorlib train runs/lr --profile cpu --set learning_rate=3e-4
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
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    train = commands.add_parser("train", help="train a run, or go on with an interrupted one")
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

    evaluate = commands.add_parser("evaluate", help="score a finished run: metrics.json and per_image.csv")
    evaluate.add_argument("run", type=Path, help="run directory")
    evaluate.add_argument("--photos", help="photographs other than those it was trained on")
    evaluate.add_argument("--split", default="test", help="train, val or test (default test)")
    _device_options(evaluate)

    data = commands.add_parser("data", help="photographs: list, fetch or verify them")
    data.add_argument("action", choices=("list", "fetch", "verify"))
    data.add_argument("source", nargs="?", help="which source; all of them without it (list, verify)")

    doctor = commands.add_parser("doctor", help="what this machine has, and what each profile costs here")
    doctor.add_argument("--threads", type=int, help="threads of the CPU (default: one per core)")

    claims = commands.add_parser("claims", help="every claim of the paper, what was measured, and the verdict")
    claims.add_argument("--profile", default="paper", help="the runs that decide (default paper)")
    claims.add_argument("--seeds", help="for example 0,1,2 (default: the profile's)")

    verify = commands.add_parser("verify", help="hold the committed results against the code that is checked out")
    verify.add_argument("--profile", help="one profile (default: all that are committed)")
    verify.add_argument("--retrain", action="store_true", help="also train every run anew and compare what it leaves")

    paper = commands.add_parser("paper", help="the article as PDF, from results/")
    paper.add_argument("--profile", default="paper", help="whose results it reports (default paper)")

    commands.add_parser("readme", help="the measured parts of README.md, from results/")

    reproduce = commands.add_parser("reproduce", help="execute the notebooks: figures, table and report")
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
    command = {
        "train": _train,
        "evaluate": _evaluate,
        "data": _data,
        "doctor": _doctor,
        "reproduce": _reproduce,
        "readme": _readme,
        "claims": _claims,
        "verify": _verify,
        "paper": _paper,
    }[options.command]
    try:
        return command(options)
    except KeyboardInterrupt:
        resumed = "; the same command goes on from the last checkpoint"
        print(f"interrupted{resumed if options.command in ('train', 'reproduce') else ''}", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        print(f"colorlib {options.command}: {error}", file=sys.stderr)
        return 1


def _train(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from colorlib.config import RunConfig, override
    from colorlib.images import MAX_PIXELS
    from colorlib.measurements import Epoch, Notice
    from colorlib.trainer import train

    config = RunConfig()
    if options.profile:
        from colorlib.profiles import load_profile

        config = load_profile(options.profile).config(seed=0)
    settings = dict(_setting(text) for text in options.set)
    settings |= {name: getattr(options, name) for name in ("photos", "seed") if getattr(options, name) is not None}
    config = override(config, settings)
    measurements = train(
        config,
        options.run,
        device=options.device,
        threads=options.threads,
        restart=options.restart,
        max_pixels=options.max_pixels or MAX_PIXELS,
    )
    with tqdm(total=config.updates, unit="update", dynamic_ncols=True) as bar:
        for measured in measurements:
            if isinstance(measured, Notice):
                bar.write(measured.text, file=sys.stderr)
                continue
            if isinstance(measured, Epoch):
                bar.set_description(f"epoch {measured.epoch} of {config.epochs}, loss {measured.training_loss:.5f}")
                if measured.step > bar.n:  # done before this process started: not its speed
                    bar.initial = measured.step
            bar.update(measured.step - bar.n)
    print(f"{options.run}: {config.epochs} epochs, {config.updates} updates")
    print(f"score it with: colorlib evaluate {options.run}")
    return 0


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {text}: write NAME=VALUE, for example --set learning_rate=3e-4")
    return name.strip(), value.strip()


def _evaluate(options: argparse.Namespace) -> int:
    import json

    from tqdm import tqdm

    from colorlib.config import config_of_record
    from colorlib.devices import prepare
    from colorlib.images import MAX_PIXELS
    from colorlib.runs import Run
    from colorlib.scoring import score_files, score_run

    device = prepare(options.device, options.threads)
    own = config_of_record(Run(options.run).record()).photos
    photos = options.photos or own
    with tqdm(unit="photo", dynamic_ncols=True) as bar:
        for done, bar.total in score_run(
            options.run, photos=photos, split=options.split, device=device, max_pixels=options.max_pixels or MAX_PIXELS
        ):
            bar.update(done - bar.n)
    path, _ = score_files(options.run, photos, options.split, own=own)
    metrics = json.loads(path.read_text(encoding="utf-8"))
    for method, found in metrics["methods"].items():
        print(
            f"{method}: MSE {found['mse']['value']:.5f}, PSNR of it {_decibels(found['psnr_of_mse'])}, "
            f"mean PSNR {_decibels(found['mean_psnr'])}, on {found['images']} photographs"
        )
    return 0


def _decibels(estimate: dict[str, float | None]) -> str:
    value = estimate["value"]
    return "not finite" if value is None else f"{value:.2f} dB"


def _data(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from colorlib.photos import SOURCES, Fetched, find_source, open_photos
    from colorlib.places import PhotosMissingError

    if options.action == "fetch":
        if options.source is None:
            raise ValueError("name the source to fetch, for example `colorlib data fetch bsds500`")
        source = find_source(options.source)
        if not isinstance(source, Fetched):
            raise ValueError(f"{options.source} is not fetched: it is already here, or comes with its first use")
        for _ in tqdm(source.fetch(), total=source.files_to_fetch, unit="file", dynamic_ncols=True):
            pass
        print(f"{options.source}: complete and verified")
        return 0
    failed = False
    for name in [options.source] if options.source else SOURCES:
        source = find_source(name)
        counts = []
        for split in source.splits:
            try:
                counts.append(f"{len(open_photos(name, split))} {split}")
            except PhotosMissingError as error:
                counts = ["not on this machine" if options.action == "list" else str(error)]
                failed = failed or options.action == "verify"
                break
            except ValueError as error:
                counts, failed = [str(error)], True
                break
        print(f"{name}: {', '.join(counts)}\n    terms: {source.terms}")
    return 1 if failed else 0


def _doctor(options: argparse.Namespace) -> int:
    from colorlib.companion.doctor import report

    print(report(threads=options.threads))
    return 0


def _readme(options: argparse.Namespace) -> int:
    from colorlib.companion.readme import README, write_readme

    print(f"{README.name}: {'brought up to date' if write_readme() else 'up to date'}")
    return 0


def _claims(options: argparse.Namespace) -> int:
    from colorlib.companion.claims import terminal, write_claims
    from colorlib.profiles import load_profile

    print(terminal(write_claims(load_profile(options.profile, seeds=_seeds(options.seeds)))))
    return 0


def _verify(options: argparse.Namespace) -> int:
    from colorlib.companion import verify
    from colorlib.companion.checks import Outcome
    from colorlib.profiles import PROJECT, load_profile

    names = [options.profile] if options.profile else verify.committed_profiles()
    if not names:
        raise ValueError("no results are committed yet; `make reproduce PROFILE=cpu` leaves some")
    checks, environments = [], []
    for profile in map(load_profile, names):
        environments.append(f"{profile.name}: {verify.environment(profile)}")
        print(environments[-1], flush=True)
        for check in verify.verify(profile, retrain=options.retrain):
            print(verify.terminal(check), flush=True)
            checks.append(check)
    page = PROJECT / "results" / verify.PAGE
    verify.write_page(checks, environments, page)
    print(f"{verify.verdict(checks)}; see {page.relative_to(PROJECT).as_posix()}")
    return 1 if any(check.outcome == Outcome.DIFFERS for check in checks) else 0


def _paper(options: argparse.Namespace) -> int:
    from colorlib.companion.article import write_article
    from colorlib.profiles import load_profile

    print(write_article(load_profile(options.profile)))
    return 0


def _seeds(text: str | None) -> tuple[int, ...] | None:
    if not text:
        return None
    try:
        return tuple(int(seed) for seed in text.split(","))
    except ValueError:
        raise ValueError(f"seeds {text!r}: write whole numbers with commas, for example 0,1,2") from None


def _reproduce(options: argparse.Namespace) -> int:
    from colorlib.companion.reproduce import reproduce

    return reproduce(
        options.profile,
        photos=options.photos,
        seeds=_seeds(options.seeds),
        only=options.only,
        force=options.force,
        train=not options.no_training,
    )


if __name__ == "__main__":
    sys.exit(main())
