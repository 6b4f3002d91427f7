"""A profile that is trained and scored in seconds on small photographs, with all that `verify` compares."""

import re
from pathlib import Path
from typing import Any

from colorlib.colorizers import load_run, look_up
from colorlib.companion.artifacts import figures
from colorlib.companion.artifacts.table1 import table1, write_scores
from colorlib.companion.claims.claims import judge_claims, read_claims
from colorlib.companion.claims.text import markdown, summary
from colorlib.companion.paper import EXAMPLES
from colorlib.companion.pipeline import write_manifest
from colorlib.companion.results import Results
from colorlib.companion.steps import files
from colorlib.device import prepare
from colorlib.evaluate import baseline_losses, look_up_table_csv, read_look_up_table, score_run
from colorlib.files import write_json, write_text
from colorlib.profiles import Profile
from colorlib.trainer import train

PHOTOS = "bundled@64"
SETTINGS = {"photos": PHOTOS, "epochs": 2, "crops_per_epoch": 16, "crop_size": 16, "batch_size": 8}
JUDGED = ("parameter-count", "test-mse", "training-loss")


def write_some_claims(results: Results) -> dict[str, Any]:
    """Judge three claims and write their files: all claims take too long."""
    judged = judge_claims(results, [claim for claim in read_claims() if claim.id in JUDGED])
    as_json, as_markdown, as_summary = files(results.profile, "claims")
    write_json(as_json, judged)
    write_text(as_markdown, markdown(judged))
    write_text(as_summary, summary(judged))
    return judged


def make_tiny_profile(root: Path, *, drawn: bool = True) -> Profile:
    """Train, score and draw everything but notebooks and the report, and list it.

    Args:
        root: folder of the results and figures.
        drawn: draw the figures, for which whole photographs are colored.
    """
    profile = Profile(name="tiny", settings=SETTINGS, seeds=(0,), root=root)
    run = profile.run(0)
    for _ in train(profile.config, run, device="cpu"):
        pass
    for _ in score_run(run, device=prepare("cpu")):
        pass
    losses = baseline_losses(PHOTOS, 16)
    data, baselines, table = files(profile, "data")
    write_json(data, {"photos": PHOTOS})
    write_json(baselines, {"validation_mse": losses})
    write_text(table, look_up_table_csv(PHOTOS))
    results = Results(profile)
    write_scores(results, rescore=True)
    table1(results)
    if drawn:
        figures.loss_curve([run], losses, files(profile, "figure1")[0])
        figures.data_crops(profile.figures, 16)
        for name in EXAMPLES:
            figures.paper_example(name, load_run(run), look_up(read_look_up_table(table)), profile.figures)
    write_some_claims(results)
    write_manifest(profile)
    return profile


def change_digit(path: Path, pattern: str = r"0\.\d{6}") -> None:
    """Change the last digit of the first number that matches."""
    text = path.read_text()
    found = re.search(pattern, text)
    assert found
    place = found.end() - 1
    path.write_text(text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])
