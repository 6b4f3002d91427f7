"""The parts of the article: what the results come to, as the words and numbers that `companion.typ` prints."""

import base64
import html
import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from colorlib.baselines import BASELINES
from colorlib.companion import printed, sources
from colorlib.companion.evidence import Evidence
from colorlib.companion.exhibits import read_cells
from colorlib.companion.tables import caption, readable
from colorlib.companion.verdicts import MARKS, held_to, read_claims
from colorlib.evaluate import summarize
from colorlib.profiles import PROJECT, Profile
from colorlib.scoring import NETWORK, NETWORK_TRUE_L


def paper_folder(profile: Profile) -> Path:
    """Where the article's own text lies."""
    return (profile.root or PROJECT) / "paper"


def reproduce(profile: Profile) -> str:
    """The command that makes what is missing."""
    return f"make reproduce PROFILE={profile.name}"


def training(evidence: Evidence) -> dict[str, Any]:
    """What the loss curves come to, as means over the seeds."""
    training, validation = (
        [fmean(rows) for rows in zip(*([row[name] for row in history] for history in evidence.histories), strict=True)]
        for name in ("training_loss", "validation_loss")
    )
    path = evidence.profile.results / "baselines.json"
    trivial: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["validation_mse"]
    best = min(trivial, key=lambda name: trivial[name])
    epochs = len(training)
    at, tenth, tail = min(printed.EPOCH, epochs), min(epochs, max(2, epochs // 10)), min(10, epochs)
    noises = [[row["validation_loss"] for row in history[-tail:]] for history in evidence.histories]
    fall = training[0] - training[-1]
    before, after = fmean(training[at - 5 : at]), fmean(training[-5:])
    return {
        "first": f"{training[0]:.4f}",
        "at": at,
        "at_loss": f"{training[at - 1]:.4f}",
        "at_ratio": f"{training[at - 1] / printed.LOSS:.2f}",
        "final": f"{training[-1]:.4f}",
        "final_validation": f"{validation[-1]:.4f}",
        "tenth": tenth,
        "share": _percent((training[0] - training[tenth - 1]) / fall, 0) if fall > 0 else None,
        "later": f"{'fell' if after < before else 'rose'} by {_percent(abs(after / before - 1))}"
        if epochs >= printed.EPOCH + 5
        else None,
        "tail": tail,
        "noise": _percent(fmean(stdev(losses) / fmean(losses) for losses in noises)) if tail > 1 else None,
        "best": best,
        "level": f"{trivial[best]:.4f}",
        "against": "lower" if validation[-1] < trivial[best] else "not lower",
    }


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def table(evidence: Evidence) -> dict[str, Any]:
    """Table I as it is printed, and what it says of the network."""
    profile = evidence.profile
    path = profile.results / "table1.csv"
    table = pd.read_csv(path)
    rows = {row["method"]: row for row in table.to_dict("records")}
    network = rows[NETWORK]
    if network["seeds"] != len(profile.seeds) or network["updates"] != evidence.histories[0][-1]["updates"]:
        raise ValueError(f"{path} is of other runs than {profile.results} holds; run `{reproduce(profile)}`")
    best = min(BASELINES, key=lambda name: float(rows[name]["MSE"]))
    trivial = [row for _, row in evidence.rows if row.method == best]
    ours = [[row for of, row in evidence.rows if (of, row.method) == (seed, NETWORK)] for seed in profile.seeds]
    gains = [gain for rows in ours if (gain := summarize([*trivial, *rows], reference=best)[-1].psnr_gain)]
    low, high = network["MSE low"], network["MSE high"]
    shown = readable(table).astype(str)
    return {
        "caption": re.sub(r"^Table I on", "On", caption(table, profile)),
        "columns": list(shown.columns),
        "rows": [
            [first, *(cell.replace(" [", "\n[") for cell in cells)] for first, *cells in shown.itertuples(index=False)
        ],
        "images": int(network["images"]),
        "mse": f"{network['MSE']:.4f}",
        "mse_interval": f"[{low:.4f}, {high:.4f}]",
        "ratio": f"{network['MSE'] / printed.MSE:.2f}",
        "paper_lies": "below" if low > printed.MSE else "above" if high < printed.MSE else "within",
        "mean_psnr_difference": f"{network['mean PSNR'] - network['PSNR of MSE']:.1f}",
        "gray_mse": f"{rows['gray']['MSE']:.4f}",
        "best": best,
        "best_mse": f"{rows[best]['MSE']:.4f}",
        "gray": _compared(*(network[f"gain over gray{bound}"] for bound in ("", " low", " high"))),
        "trivial": _compared(*(fmean(getattr(gain, name) for gain in gains) for name in ("value", "low", "high"))),
        "true_l": _signed(rows[NETWORK_TRUE_L]["PSNR of MSE"] - network["PSNR of MSE"]),
        "colorfulness": f"{network['colorfulness']:.1f}",
        "truth_colorfulness": f"{network['truth_colorfulness']:.1f}",
    }


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _compared(gain: float, low: float, high: float) -> dict[str, str]:
    """A gain in dB, in words that its 95 % interval bears out."""
    words = "better than" if low > 0 else "worse than" if high < 0 else "not distinguishable from"
    return {"words": words, "figures": f"{_signed(gain)} dB [{_signed(low)}, {_signed(high)}]"}


def picture(profile: Profile, name: str, notebook_name: str) -> dict[str, str]:
    """Caption and alternative text of a figure, from the notebook that shows these very bytes."""
    path = profile.figures / f"{name}.png"
    notebook = profile.results / "notebooks" / f"{notebook_name}.ipynb"
    shown = path.read_bytes()
    for cell in read_cells(notebook):
        for output, following in pairwise([*cell.get("outputs", ()), {}]):
            encoded = output.get("data", {}).get("image/png", "")
            if encoded and base64.b64decode(encoded) == shown:
                words = html.unescape(re.sub(r"<[^>]+>", "", following.get("data", {}).get("text/html", "")))
                alt = output["metadata"].get("image/png", {}).get("alt")
                if not words or not alt:
                    raise ValueError(f"{notebook}: {name} has no caption or no alternative text")
                return {"file": path.name, "alt": alt, "caption": re.sub(r"^Figure \w+\. ", "", words)}
    raise ValueError(f"{path} is not what {notebook} shows; run `{reproduce(profile)}`")


def deviations(markdown: str) -> list[list[str]]:
    """The first three columns of the first table in paper/deviations.md: what, the paper, here."""
    lines = markdown[markdown.index("\n|") + 1 :].partition("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row[:3] for row in rows[2:]]


def by_source(profile: Profile) -> dict[str, Any] | None:
    """The table of sources as it is printed, and where the paper's error lies; None where there is none."""
    path = profile.results / "sources.csv"
    if not path.is_file():
        return None
    table = pd.read_csv(path)
    shown = sources.readable(table).astype(str)
    return {
        "caption": sources.caption(table, profile),
        "columns": list(shown.columns),
        "rows": [
            [first, *(cell.replace(" [", "\n[") for cell in cells)] for first, *cells in shown.itertuples(index=False)
        ],
        "answers": sources.answer(table),
    }


def ledger(profile: Profile) -> dict[str, Any]:
    """The claims in groups, each with its figures as text, and what the verdicts mean."""
    path, again = profile.results / "claims.json", f"colorlib claims --profile {profile.name}"
    claims = read_claims(path, profile.name)
    if claims is None:
        raise ValueError(f"{path} does not exist; run `{again}` first (`{reproduce(profile)}` before it)")
    if claims["seeds"] != list(profile.seeds):
        raise ValueError(f"{path} is of seeds {claims['seeds']}, not {list(profile.seeds)}; run `{again}`")
    groups: dict[str, list[dict[str, str]]] = {}
    for claim in claims["claims"]:
        kept = {name: claim[name] for name in ("id", "section", "says", "verdict", "why")}
        kept["held_to"] = held_to(claim)
        kept["paper"] = claim["value_text"] or "–"
        kept["measured"] = "\n".join(part for part in (claim["measured_text"], claim["interval_text"]) if part)
        seeds = f"{claim['seeds']} seed{'s' if claim['seeds'] > 1 else ''}" if claim["seeds"] else ""
        updates = f"{claim['updates']:,} updates" if claim["updates"] else ""
        kept["on"] = "; ".join(part for part in (claim["photographs"], seeds, updates) if part) or "–"
        groups.setdefault(claim["group"], []).append(kept)
    commands = Counter(claim["command"] for claim in claims["claims"] if claim["command"])
    return {
        "verdicts": [
            {"name": mark.verdict, "sign": mark.sign, "meaning": mark.meaning, "count": claims["counts"][mark.verdict]}
            for mark in MARKS
        ],
        "total": len(claims["claims"]),
        "groups": [{"name": name, "claims": listed} for name, listed in groups.items()],
        "commands": [{"command": command, "count": count} for command, count in commands.most_common()],
        "command": claims["command"],
    }
