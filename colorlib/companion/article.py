"""The replication article: what paper/companion.typ says, gathered from results/, set by typst, written whole."""

import json
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import torch
import yaml

from colorlib.companion import printed
from colorlib.companion.article_parts import (
    by_source,
    deviations,
    ledger,
    paper_folder,
    picture,
    reproduce,
    table,
    training,
)
from colorlib.companion.compared import EVIDENCE
from colorlib.companion.evidence import Evidence
from colorlib.companion.machines import machine
from colorlib.companion.plan import TRIPTYCHS
from colorlib.companion.sweep_summary import changes_text
from colorlib.costs import multiply_adds
from colorlib.evaluate import RESAMPLES
from colorlib.files import write_bytes
from colorlib.metrics import psnr_of
from colorlib.model import parameter_count
from colorlib.profiles import Profile
from colorlib.runs import Run

PICTURES = {"figure1_loss_curve": "03_figure1"} | dict.fromkeys(TRIPTYCHS, "04_figures2_3")
"""Each figure and the executed notebook that shows it, with its caption and its alternative text."""


def write_article(profile: Profile) -> Path:
    """Set the article of a profile's results and write it, whole or not at all; returns where.

    Only the article of the evidence goes to paper/companion.pdf; another profile's stays with its results, so that
    whoever has a laptop can set and read one without replacing it.

    Raises:
        ValueError: a result is missing or belongs to other runs, or typst has an error or a warning.
    """
    committed = profile.name == EVIDENCE
    path = paper_folder(profile) / "companion.pdf" if committed else profile.results / "companion.pdf"
    write_bytes(path, compile_article(gather(profile), profile))
    return path


def compile_article(data: Mapping[str, Any], profile: Profile) -> bytes:
    """The PDF of what `gather` gave: tagged (PDF/UA-1), the same bytes wherever and whenever it is made.

    Raises:
        ValueError: typst is not installed, or has an error or a warning.
    """
    try:
        import typst
    except ImportError as error:
        raise ValueError("the article is set by typst; to have it run `pip install typst`") from error
    # In a folder of its own typst reads what is copied there and nothing else.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = [paper_folder(profile) / "companion.typ", paper_folder(profile) / "references.bib"]
        for source in (*sources, *(profile.figures / f"{picture}.png" for picture in PICTURES)):
            (folder / source.name).write_bytes(source.read_bytes())
        try:
            pdf, warnings = typst.compile_with_warnings(
                folder / "companion.typ",
                root=folder,
                ignore_system_fonts=True,
                sys_inputs={"data": json.dumps(data, ensure_ascii=False, allow_nan=False)},
                pdf_standards=["ua-1"],
                timestamp=0,  # a fixed one; the document states its own date
            )
        except typst.TypstError as error:
            raise ValueError(f"companion.typ: {error.diagnostic or error.message}") from error
    if warnings:
        raise ValueError("companion.typ: " + "; ".join(warning.message for warning in warnings))
    return pdf


def gather(profile: Profile) -> dict[str, Any]:
    """All that the article says of this profile, as JSON; what is printed is text already.

    Raises:
        ValueError: a result is missing, a figure is not the one its notebook shows, or claims or table are of other
            runs than the profile's.
    """
    if profile.changes:
        raise ValueError(
            f"profile {profile.name} trains another method than the paper's ({changes_text(profile.changes)}); the "
            "article is about the paper's, as that of `colorlib paper --profile cpu`"
        )
    runs = [Run(profile.run(seed)) for seed in profile.seeds]
    names = ("data.json", "baselines.json", "table1.csv", "per_image.csv")
    needed = [profile.results / name for name in names]
    needed += [profile.figures / f"{name}.png" for name in PICTURES]
    needed += [run.path / name for run in runs for name in ("run.json", "history.csv")]
    for path in needed:
        if not path.is_file():
            raise ValueError(f"{path} does not exist; run `{reproduce(profile)}` first")
    evidence, records = Evidence(profile), [run.record() for run in runs]
    config = records[0]["config"]
    with torch.device("meta"):  # counted without any arithmetic
        network = evidence.network()
    citation = yaml.safe_load((paper_folder(profile).parent / "CITATION.cff").read_text(encoding="utf-8"))
    released = citation.get("date-released")
    if not isinstance(released, date):
        why = "the article carries it, never the clock's date"
        raise ValueError(f"CITATION.cff: add `date-released: YYYY-MM-DD`; {why}")  # noqa: TRY004
    half = 0.00005  # of the last digit that the paper prints
    return {
        "profile": profile.name,
        "evidence": profile.name == EVIDENCE,
        "date": {"year": released.year, "month": released.month, "day": released.day},
        "version": citation["version"],
        "original": citation["preferred-citation"],
        "paper": {
            "loss": str(printed.LOSS),
            "epoch": str(printed.EPOCH),
            "mse": str(printed.MSE),
            "psnr": str(printed.PSNR),
            "psnr_low": f"{psnr_of(printed.MSE + half):.2f}",
            "psnr_high": f"{psnr_of(printed.MSE - half):.2f}",
        },
        "network": {
            "parameters": f"{parameter_count(network):,}",
            "field": str(2 * network.halo + 1),
            "multiply_adds": f"{multiply_adds(network, 64, 64) // 64**2:,}",
        },
        "config": config | {"crops_per_epoch": f"{config['crops_per_epoch']:,}"},
        "updates": f"{int(evidence.histories[0][-1]['updates']):,}",
        "seeds": ("seed " if len(runs) == 1 else "seeds ") + ", ".join(map(str, profile.seeds)),
        "machines": sorted({machine(record["hardware"]) for record in records}),
        "versions": records[0]["versions"],
        "sources": sorted({record["source"][:16] for record in records}),
        "resamples": f"{RESAMPLES:,}",
        "photographs": json.loads((profile.results / "data.json").read_text(encoding="utf-8")),
        "training": training(evidence),
        "table": table(evidence),
        "by_source": by_source(profile),
        "pictures": {name: picture(profile, name, notebook) for name, notebook in PICTURES.items()},
        "deviations": deviations((paper_folder(profile) / "deviations.md").read_text(encoding="utf-8")),
        "ledger": ledger(profile),
    }
