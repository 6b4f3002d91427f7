"""Table I: the paper's figures, ours, and what trivial answers get, with spread and intervals."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from colorlib.companion import printed
from colorlib.evaluate import Score, Summary, by_method, read_scores, score, summarize
from colorlib.files import write_text
from colorlib.photos import open_photos
from colorlib.profiles import Profile
from colorlib.runs import Run, csv_text
from colorlib.scoring import baseline_methods, scored_photos

PAPER_ROW = {"method": "paper (its own, unnamed data)", "MSE": printed.MSE, "PSNR of MSE": printed.PSNR}
"""Table I as printed (Sec. IV.C)."""

COLUMNS = {
    "mse": "MSE",
    "psnr_of_mse": "PSNR of MSE",
    "mean_psnr": "mean PSNR",
    "ssim": "SSIM",
    "delta_e00": "ΔE00",
    "colorfulness": "colorfulness",
    "psnr_gain": "gain over gray",
}


def score_table(profile: Profile, *, rescore: bool) -> list[tuple[int | None, Score]]:
    """All per-image rows of the profile: baselines (seed None), then each run's; written to per_image.csv.

    Args:
        profile: whose test split and runs.
        rescore: score the baselines anew; else take the rows that per_image.csv holds, which needs no photographs.
    """
    path = profile.results / "per_image.csv"
    if rescore:
        photos = profile.photos
        methods = baseline_methods(photos)
        scored = [row for rows in score(methods, scored_photos(photos)) for row in rows]
        baselines = [row for method in methods for row in scored if row.method == method]
    else:
        names = _baseline_names()
        baselines = [row for _, row in read_rows(path) if row.method in names]
    rows: list[tuple[int | None, Score]] = [(None, row) for row in baselines]
    for seed in profile.seeds:
        rows += [(seed, row) for row in read_scores(profile.run(seed) / "per_image.csv")]
    text = csv_text([{"seed": "" if seed is None else seed, **asdict(row)} for seed, row in rows])
    write_text(path, text)
    return rows


def read_rows(path: Path) -> list[tuple[int | None, Score]]:
    """The rows of a profile's per_image.csv with the seed of the run each belongs to, None for a baseline.

    Raises:
        ValueError: the file is missing or has other columns.
    """
    scores = read_scores(path)
    with path.open(newline="", encoding="utf-8") as file:
        seeds = [row["seed"] for row in csv.DictReader(file)]
    return [(int(seed) if seed else None, score) for seed, score in zip(seeds, scores, strict=True)]


def _baseline_names() -> tuple[str, ...]:
    from colorlib.baselines import BASELINES

    return tuple(BASELINES)


def summaries_by_seed(rows: Sequence[tuple[int | None, Score]], *, reference: str = "gray") -> dict[str, list[Summary]]:
    """For each method its summaries, one per seed (one for a baseline), gains measured against `reference`."""
    baselines = [row for seed, row in rows if seed is None]
    found: dict[str, list[Summary]] = {}
    for seed in dict.fromkeys(seed for seed, _ in rows if seed is not None):
        own = [row for held, row in rows if held == seed]
        for summary in summarize(baselines + own, reference=reference):
            if summary.method in by_method(own) or summary.method not in found:
                found.setdefault(summary.method, []).append(summary)
    return found


def table1(profile: Profile, *, rescore: bool = False) -> pd.DataFrame:
    """Table I of a profile, one row per method, the paper's first; writes table1.csv and table1.md.

    Values are means over seeds, intervals 95 % over images (mean of the seeds' bounds), `sd` the standard deviation
    over seeds.
    """
    rows = score_table(profile, rescore=rescore)
    updates = int(Run(profile.run(profile.seeds[0])).history()[-1]["updates"])
    records: list[dict[str, Any]] = [dict(PAPER_ROW)]
    for method, summaries in summaries_by_seed(rows).items():
        records.append(_record(method, summaries, updates))
    table = pd.DataFrame(records)
    write_text(profile.results / "table1.csv", table.to_csv(index=False, lineterminator="\n"))
    write_text(profile.results / "table1.md", markdown(table, profile))
    return table


def _record(method: str, summaries: Sequence[Summary], updates: int) -> dict[str, Any]:
    first = summaries[0]
    trained = method not in _baseline_names()
    record: dict[str, Any] = {
        "method": method,
        "seeds": len(summaries) if trained else None,
        "updates": updates if trained else None,
        "images": first.images,
        "near_gray": first.near_gray,
        "left_out_of_mean_psnr": first.left_out,
        "truth_colorfulness": first.truth_colorfulness,
        "MSE of pixels": float(np.mean([summary.mse_of_pixels for summary in summaries])),
    }
    return record | spread(summaries, COLUMNS)


def spread(summaries: Sequence[Summary], columns: Mapping[str, str]) -> dict[str, float]:
    """Of each figure its mean over seeds, the mean of its bounds, and its standard deviation where there are several.

    Args:
        summaries: of one method, one per seed.
        columns: names in `Summary` -> names in the table.
    """
    record = {}
    for name, column in columns.items():
        estimates = [getattr(summary, name) for summary in summaries]
        record[column] = float(np.mean([estimate.value for estimate in estimates]))
        record[f"{column} low"] = float(np.mean([estimate.low for estimate in estimates]))
        record[f"{column} high"] = float(np.mean([estimate.high for estimate in estimates]))
        if len(summaries) > 1:
            record[f"{column} sd"] = float(np.std([estimate.value for estimate in estimates], ddof=1))
    return record


DIGITS = {"MSE": 4, "PSNR of MSE": 2, "mean PSNR": 2, "SSIM": 3, "ΔE00": 2, "colorfulness": 1, "gain over gray": 2}


def readable(table: pd.DataFrame, digits: Mapping[str, int] = DIGITS) -> pd.DataFrame:
    """The table as people read it: value, spread over seeds where there are several, interval over images."""
    shown = pd.DataFrame({"method": table["method"]})
    for column, places in digits.items():
        shown[column] = [value_text(row, column, places) for row in table.to_dict("records")]
    return shown


def value_text(row: Mapping[Any, Any], column: str, digits: int) -> str:
    """A figure of a row as people read it: value, spread over seeds where there are several, interval over images."""
    value = row.get(column)
    if value is None or pd.isna(value):
        return "–"
    text = f"{value:.{digits}f}"
    spread = row.get(f"{column} sd")
    if spread is not None and not pd.isna(spread):
        text += f" ± {spread:.{digits}f}"
    low, high = row.get(f"{column} low"), row.get(f"{column} high")
    if low is not None and not pd.isna(low) and low != high:
        text += f" [{low:.{digits}f}, {high:.{digits}f}]"
    return text


def which_photographs(profile: Profile) -> str:
    """Which photographs a profile's first run was scored on, in words.

    Raises:
        ValueError: it was not scored.
    """
    path = profile.run(profile.seeds[0]) / "metrics.json"
    if not path.is_file():
        raise ValueError(f"{path} does not exist; run `make reproduce PROFILE={profile.name}`")
    scored = json.loads(path.read_text(encoding="utf-8"))["photos"]
    count = f"{scored['count']:,}"
    some = f"{count} of the {scored['of']:,}" if "of" in scored else f"the {count}"
    return f"{some} {scored['split']} photographs of {scored['source']}"


def caption(table: pd.DataFrame, profile: Profile) -> str:
    """What the table's figures are figures of."""
    row = table.iloc[-1]
    seeds = f"{int(row['seeds'])} seed" + ("s" if row["seeds"] > 1 else "")
    left_out = int(row["left_out_of_mean_psnr"])
    near_gray = f"{int(row['near_gray'])} of them near gray (mean ab chroma under 1.9)"
    kept = f", left out of the mean PSNR: {left_out}" if left_out else ""
    spread = (
        "± is the standard deviation over seeds; brackets hold the mean of the seeds' bounds. "
        if row["seeds"] > 1
        else ""
    )
    return (
        f"Table I on {which_photographs(profile)}, {near_gray}{kept}; "
        f"network: {int(row['updates']):,} updates, {seeds}, last epoch's weights, scored once. 8-bit RGB, full size. "
        "PSNR of MSE is the paper's convention (of the MSE pooled over images), mean PSNR the literature's (mean over "
        "images), both in dB. In brackets: 95 % bootstrap interval over images. "
        f"{spread}Gain over gray: difference in PSNR of "
        "MSE on the same resampled images. Colorfulness (Hasler & Süsstrunk) of the ground truth: "
        f"{row['truth_colorfulness']:.1f}."
    )


def markdown(table: pd.DataFrame, profile: Profile) -> str:
    """The table as Markdown, its caption below."""
    return table_markdown(readable(table), caption(table, profile))


def table_markdown(shown: pd.DataFrame, caption: str) -> str:
    """Any table as Markdown, its caption below."""
    lines = [
        "| " + " | ".join(shown.columns) + " |",
        "|" + "---|" * len(shown.columns),
        *("| " + " | ".join(row) + " |" for row in shown.astype(str).itertuples(index=False)),
    ]
    return "\n".join(lines) + "\n\n" + caption + "\n"


def html(table: pd.DataFrame, profile: Profile) -> str:
    """The table as accessible HTML: a caption, column and row headers."""
    return table_html(readable(table), caption(table, profile), cell=two_lines)


def table_html(shown: pd.DataFrame, caption: str, *, cell: Callable[[str], str] = str) -> str:
    """Any table as accessible HTML; its first column heads the rows, `cell` makes HTML of the others' texts."""
    head = "".join(f'<th scope="col">{name}</th>' for name in shown.columns)
    body = "".join(
        f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell(text)}</td>" for text in texts) + "</tr>"
        for first, *texts in shown.astype(str).itertuples(index=False)
    )
    head, body = f"<thead><tr>{head}</tr></thead>", f"<tbody>{body}</tbody>"
    return f'<table class="figures"><caption>{caption}</caption>{head}{body}</table>'


def two_lines(cell: str) -> str:
    """A cell as HTML: its interval below its value."""
    value, bracket, interval = cell.partition(" [")
    return f"{value}<br><small>[{interval}</small>" if bracket else value


def overview(photos: str) -> pd.DataFrame:
    """How many photographs each split of a source has, their sizes, and the hash of their names and contents."""
    from colorlib.photos import find_source

    records = []
    for split in find_source(photos).splits:
        found = open_photos(photos, split)
        shapes = [pixels.shape for pixels in found.decode()]
        sizes = sorted({f"{width} × {height}" for height, width, _ in shapes})
        records.append(
            {
                "split": split,
                "photographs": len(found),
                "megapixels": round(sum(height * width for height, width, _ in shapes) / 1e6, 1),
                "sizes": ", ".join(sizes) if len(sizes) <= 4 else f"{len(sizes)} different",
                "sha256": found.digest[:16],
            }
        )
    return pd.DataFrame(records)
