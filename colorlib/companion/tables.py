"""Tables of results as Markdown, HTML, CSV and notebook outputs; scores of several seeds joined to one interval.

Captions are data: a notebook output has its label and its caption in its metadata, where the report finds them.
"""

import csv
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from colorlib.evaluate import Estimate, Summary, by_method, read_metrics, read_scores, summarize
from colorlib.files import round_floats, write_text
from colorlib.metrics import Score
from colorlib.photos.registry import scored_source
from colorlib.profiles import Profile

MISSING = "–"
"""Text of a cell without a value."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table: its values in the data frame and their format."""

    name: str
    """Column of the data frame. Numbers may also have `<name> sd`, `<name> low` and `<name> high`."""
    digits: int | None = None
    """Digits after the decimal point; None: the values are shown as they are."""
    head: str = ""
    """Heading; empty: `name`."""
    interval: bool = True
    """Whether the interval from `low` to `high` is shown."""
    signed: bool = False
    """Whether positive numbers have a plus sign, as differences do."""

    def text(self, row: Mapping[Any, Any]) -> str:
        """Return a row's cell as text: value [interval], or value ± standard deviation where no interval is shown."""
        return " ".join(filter(None, self.parts(row)))

    def parts(self, row: Mapping[Any, Any]) -> tuple[str, str]:
        """Return a row's cell as two texts: the value, and its interval or nothing.

        A value has one uncertainty: the standard deviation over seeds follows it only where no interval is shown.
        """
        value = row.get(self.name)
        if _is_missing(value):
            return MISSING, ""
        if self.digits is None:
            return str(value), ""
        sd, low, high = (row.get(f"{self.name} {part}") for part in ("sd", "low", "high"))
        text = self._number(value)
        if self.interval and not _is_missing(low):
            return text, f"[{self._number(low)}, {self._number(high)}]" if low != high else ""
        return (text if _is_missing(sd) else f"{text} ± {sd:.{self.digits}f}"), ""

    def _number(self, value: Any) -> str:
        if self.signed:
            return f"{round(value, self.digits) + 0.0:+,.{self.digits}f}"  # + 0.0: no -0.00
        return f"{value:,.{self.digits}f}"


def _is_missing(value: Any) -> bool:
    return value is None or bool(pd.isna(value))


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of results with its caption; its first column names the rows."""

    data: pd.DataFrame
    """Values as computed, not rounded: the rows of the CSV file."""
    columns: Sequence[Column]
    """Columns that are shown, in order."""
    caption: str
    """Plain text."""
    label: str = ""
    """Start of the caption, for example `Table I`."""
    shown: pd.DataFrame | None = None
    """Rows that are shown, where they are not those of the CSV file."""

    @property
    def heads(self) -> list[str]:
        """The headings of the columns that are shown."""
        return [column.head or column.name for column in self.columns]

    def cells(self) -> list[list[tuple[str, str]]]:
        """Return the cells, row by row, each as in `Column.parts`."""
        # From the rounded numbers, so that the CSV file gives the same table
        rows = (self.data if self.shown is None else self.shown).map(round_floats).to_dict("records")
        return [[column.parts(row) for column in self.columns] for row in rows]

    def markdown(self) -> str:
        """Return the table as Markdown, the caption below."""
        lines = ["| " + " | ".join(self.heads) + " |", "|" + "---|" * len(self.columns)]
        for row in self.cells():
            lines.append("| " + " | ".join(" ".join(filter(None, parts)) for parts in row) + " |")
        return "\n".join(lines) + "\n\n" + f"{self.label} {self.caption}".strip() + "\n"

    def html(self) -> str:
        """Return the table as HTML with row and column headers, intervals below their values; without the caption."""
        heads = "".join(f'<th scope="col">{_escape(head)}</th>' for head in self.heads)
        body = ""
        for first, *others in self.cells():
            body += f'<tr><th scope="row">{_cell_html(*first)}</th>'
            body += "".join(f"<td>{_cell_html(*parts)}</td>" for parts in others) + "</tr>"
        return f'<table class="figures"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'

    def save(self, csv_path: Path, markdown_path: Path) -> None:
        """Write the values as CSV, rounded by `files.round_floats`, and the table as Markdown."""
        write_text(csv_path, self.data.map(round_floats).to_csv(index=False, lineterminator="\n"))
        write_text(markdown_path, self.markdown())

    def show(self) -> None:
        """Display the table in a notebook, its caption below."""
        show_captioned("text/html", self.html(), {}, label=self.label, caption=self.caption)


def _cell_html(value: str, interval: str) -> str:
    return _escape(value) + (f"<br><small>{_escape(interval)}</small>" if interval else "")


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


def show_captioned(mime_type: str, content: str, metadata: Mapping[str, Any], *, label: str, caption: str) -> None:
    """Display a figure or table in a notebook: one output, and one with the visible caption.

    The metadata of the first has `label` and `caption`, that of the second `is_caption`: pages take the words from the
    first and skip the second.

    Args:
        mime_type: `image/png` or `text/html`.
        content: PNG as base64, or HTML.
        metadata: further metadata of the output, for example `alt`.
        label: start of the caption, in bold; may be empty.
        caption: plain text.
    """
    from IPython.display import display

    words = {**metadata, "label": label, "caption": caption}
    display({mime_type: content}, raw=True, metadata={mime_type: words})
    visible = f'<p class="caption">{caption_html(label, caption)}</p>'
    display({"text/html": visible}, raw=True, metadata={"text/html": {"is_caption": True}})


def caption_html(label: str, caption: str) -> str:
    """Return a caption as HTML, its label in bold."""
    return (f"<b>{_escape(label)}</b> " if label else "") + _escape(caption)


# Scores of several seeds

MEASURES = {
    "mse": Column(name="MSE", digits=4),
    "psnr_of_mse": Column(name="PSNR of MSE", digits=2),
    "mean_psnr": Column(name="mean PSNR", digits=2),
    "ssim": Column(name="SSIM", digits=3),
    "delta_e00": Column(name="ΔE00", digits=2),
    "colorfulness": Column(name="colorfulness", digits=1),
    "psnr_gain": Column(name="gain over gray", digits=2),
    "ab_auc": Column(name="AuC (%)", digits=1),
}
"""Attributes of `Summary` -> their columns."""


def measures(*names: str) -> dict[str, Column]:
    """Return some rows of `MEASURES`."""
    return {name: MEASURES[name] for name in names}


def read_rows(path: Path) -> list[tuple[int | None, Score]]:
    """Return the rows of a profile's per_image.csv, each with the seed of its run; None for a baseline.

    Raises:
        ValueError: the file is missing or has other columns.
    """
    scores = read_scores(path)
    with path.open(newline="", encoding="utf-8") as file:
        seeds = [row.get("seed") for row in csv.DictReader(file)]
    if not all(seed == "" or (seed or "").isdecimal() for seed in seeds):
        raise ValueError(f"{path}: a seed is no whole number; restore it, or make it again")
    return [(int(seed) if seed else None, score) for seed, score in zip(seeds, scores, strict=True)]


def summaries_by_seed(rows: Sequence[tuple[int | None, Score]], *, reference: str = "gray") -> dict[str, list[Summary]]:
    """Return the summaries of each method, one per seed (one for a baseline); gains are over `reference`."""
    baselines = [row for seed, row in rows if seed is None]
    found: dict[str, list[Summary]] = {}
    for seed in dict.fromkeys(seed for seed, _ in rows if seed is not None):
        own = [row for owner, row in rows if owner == seed]
        for summary in summarize(baselines + own, reference=reference):
            if summary.method in by_method(own) or summary.method not in found:
                found.setdefault(summary.method, []).append(summary)
    return found


def gain_text(gain: Estimate) -> str:
    """Return a gain in dB with its interval as text, both signed."""
    return f"{gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"


SEED_CAUTION = 3
"""Weight of the seeds' variance in the degrees of freedom of `joined`."""
JOINED = "95 % interval over photographs and seeds"
"""The interval of `joined`, in captions."""


def joined(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean over seeds with its 95 % interval over photographs and seeds (reasons: paper/verdicts.md).

    The variance of the photographs, from the bootstrap interval of each seed, and that of the mean over seeds are
    added. Student's t has Satterthwaite's degrees of freedom, in which the seeds' variance counts `SEED_CAUTION`
    times: that of three seeds is often estimated too small, and without the factor the coverage falls to 92 %. With it,
    it is 95 to 97 % for three and for five seeds.

    Args:
        estimates: one per seed, each with its interval over the same photographs. One seed keeps its own interval.
    """
    values, lows, highs = ([getattr(one, name) for one in estimates] for name in ("value", "low", "high"))
    value, low, high = (math.fsum(numbers) / len(numbers) for numbers in (values, lows, highs))
    if len(estimates) == 1 or not all(map(math.isfinite, (value, low, high))):
        return Estimate(value=value, low=low, high=high)
    of_seeds = math.fsum((one - value) ** 2 for one in values) / (len(values) - 1) / len(values)
    if of_seeds == 0:
        return Estimate(value=value, low=low, high=high)
    below, above = (_joined_width(abs(bound - value), of_seeds, len(values)) for bound in (low, high))
    return Estimate(value=value, low=value - below, high=value + above)


def _joined_width(of_photographs: float, of_seeds: float, seeds: int) -> float:
    """Return half the width of a 95 % interval.

    Args:
        of_photographs: half the width of the interval over photographs alone.
        of_seeds: variance of the mean over seeds.
        seeds: their number.
    """
    from scipy.special import stdtrit

    of_images = (of_photographs / NormalDist().inv_cdf(0.975)) ** 2
    cautious = SEED_CAUTION * of_seeds
    freedom = (of_images + cautious) ** 2 / (cautious**2 / (seeds - 1))
    return float(stdtrit(min(freedom, 1e6), 0.975)) * math.sqrt(of_images + of_seeds)


def spread(summaries: Sequence[Summary], columns: Mapping[str, Column]) -> dict[str, float]:
    """Return means over seeds with their intervals (`… low`, `… high`), from `joined`.

    With several seeds also the standard deviation over them (`… sd`).

    Args:
        summaries: of one method, one per seed.
        columns: attributes of `Summary` -> their columns.
    """
    record = {}
    for attribute, column in columns.items():
        estimates = [getattr(summary, attribute) for summary in summaries]
        mean = joined(estimates)
        record[column.name] = float(np.mean([estimate.value for estimate in estimates]))
        record |= {f"{column.name} low": mean.low, f"{column.name} high": mean.high}
        if len(summaries) > 1:
            record[f"{column.name} sd"] = float(np.std([estimate.value for estimate in estimates], ddof=1))
    return record


def scored_photographs(profile: Profile) -> str:
    """Return the number, split and source of the photographs that a profile's first run was scored on, in words.

    Raises:
        ValueError: it was not scored.
    """
    path = profile.run(profile.seeds[0]) / "metrics.json"
    if not path.is_file():
        raise ValueError(f"{path} does not exist; run `make reproduce PROFILE={profile.name}`")
    scored = read_metrics(path)["photos"]
    count = f"{scored['count']:,}"
    some = f"{count} of the {scored['of']:,}" if "of" in scored else f"the {count}"
    return f"{some} {scored['split']} photographs of {scored_source(scored['source'])}"
