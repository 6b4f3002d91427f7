"""What other people's colorizers get on photographs on which their results are published, and what ours gets there.

```
results/<profile>/peers/per_image.csv    a row per photograph and method, near gray photographs included
results/<profile>/peers/scored.json      what was scored: photographs, published results, weights
results/<profile>/peers.csv, peers.md    the table, near gray photographs left out
```
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from colorlib.baselines import BASELINES
from colorlib.checkpoint import load_tensors
from colorlib.companion.tables import (
    read_rows,
    readable,
    spread,
    summaries_by_seed,
    table_html,
    table_markdown,
    two_lines,
)
from colorlib.evaluate import Score, Summary, by_method, compare, score
from colorlib.files import sha256, sha256_of_names, write_json, write_text
from colorlib.images import Photo, Pixels
from colorlib.metrics import NEAR_GRAY_CHROMA
from colorlib.photos import find_source, open_photos
from colorlib.profiles import Profile
from colorlib.runs import Run, csv_text
from colorlib.scoring import baseline_methods, network_methods

SOURCE = "zhang2016"
OTHERS = "others' results"
"""What the source calls its files that are colorizations, not photographs: they belong to no split."""
GRAY_AS_PUBLISHED = "gray, as published"
ZHANG = "Zhang, no rebalancing"
PEERS = {GRAY_AS_PUBLISHED: "lum", "Dahl": "tinyclouds", ZHANG: "ours_unrebalanced", "Zhang, rebalanced": "ours"}
"""The rows that were published -> the folders that hold them beside the ground truths."""
IMAGENET = "1.3 million photographs of ImageNet"
"""What the published networks were trained on (Zhang et al. 2016, Sec. 3.1; Dahl 2016, tinyclouds.org/colorize)."""

COLUMNS = {
    "mean_psnr": ("mean PSNR", 2),
    "psnr_of_mse": ("PSNR of MSE", 2),
    "ssim": ("SSIM", 3),
    "delta_e00": ("ΔE00", 2),
    "colorfulness": ("colorfulness", 1),
    "ab_auc": ("AuC (%)", 1),
    "psnr_gain": ("gain over gray", 2),
}
"""Names in `Summary` -> names in the table, and the digits shown."""
DIGITS = dict(COLUMNS.values())
PUBLISHED_COLUMNS = ("mean PSNR", "PSNR of MSE", "ΔE00", "colorfulness", "AuC (%)")


def score_peers(profile: Profile, *, device: torch.device) -> Iterator[tuple[int, int]]:
    """Score the published results, the trivial answers and the profile's runs on the same photographs.

    Writes peers/per_image.csv and peers/scored.json.

    Args:
        profile: whose training photographs and runs.
        device: where the networks run.

    Yields:
        How many photographs are scored, of how many; first 0, so that a progress bar can start.

    Raises:
        ValueError: photographs or published results are missing or not what they should be, or a run is not finished.
    """
    truths = open_photos(SOURCE, "test")
    published = find_source(SOURCE).photos(OTHERS)
    by_name = {photo.name: photo for photo in published}
    passes = {seed: score(network_methods(profile.run(seed), device), truths) for seed in profile.seeds}
    trivial = score(baseline_methods(profile.photos), truths)
    rows: list[tuple[int | None, Score]] = []
    yield 0, len(truths)
    for done, (truth, baselines, *networks) in enumerate(zip(truths, trivial, *passes.values(), strict=True), start=1):
        rows += [(None, row) for row in (*baselines, *_score_published(truth, by_name))]
        rows += [(seed, row) for seed, found in zip(passes, networks, strict=True) for row in found]
        yield done, len(truths)
    ordered = [row for method in _order(rows) for row in rows if row[1].method == method]
    first = Run(profile.run(profile.seeds[0]))
    record = {
        "photos": {"source": SOURCE, "split": "test", "count": len(truths), "sha256": truths.digest},
        "published": {
            "count": len(published),
            "sha256": sha256_of_names((photo.name, photo.digest) for photo in published),
        },
        "trained_on": {"source": profile.photos, "count": first.record()["photos"]["train"]["count"]},
        "updates": load_tensors(first.weights).step,
        "weights_sha256": {str(seed): sha256(Run(profile.run(seed)).weights) for seed in profile.seeds},
    }
    per_image, scored = _files(profile)
    write_text(per_image, csv_text([{"seed": "" if seed is None else seed, **asdict(row)} for seed, row in ordered]))
    write_json(scored, record)


def _files(profile: Profile) -> tuple[Path, Path]:
    folder = profile.results / "peers"
    return folder / "per_image.csv", folder / "scored.json"


def _score_published(truth: Photo, by_name: dict[str, Photo]) -> list[Score]:
    """What was published for one ground truth, `gt/NAME`, in the folders of `PEERS` under the same name."""
    pixels = _channels_first(truth.load())
    found = {method: by_name[truth.name.replace("gt", folder, 1)] for method, folder in PEERS.items()}
    return [
        compare(_channels_first(photo.load()), pixels, image=truth.name, method=method)
        for method, photo in found.items()
    ]


def _channels_first(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _order(rows: list[tuple[int | None, Score]]) -> list[str]:
    """Gray first, then what was published, then what is ours: the other baselines and the networks."""
    first = ("gray", *PEERS)
    return [*first, *(method for method in by_method([row for _, row in rows]) if method not in first)]


def read_peers(profile: Profile) -> tuple[list[tuple[int | None, Score]], dict[str, Any]]:
    """The rows of the profile's seeds and of what has none, and what was scored, as `score_peers` left them.

    Needs no photographs.

    Raises:
        ValueError: nothing was scored, or not the runs that the profile has now.
    """
    table, scored = _files(profile)
    mend = f"run `make reproduce PROFILE={profile.name}`, or set rescore = True in notebooks/06_peers.ipynb"
    for path in (table, scored):
        if not path.is_file():
            raise ValueError(f"{path} does not exist: the results of others were not scored; {mend}")
    record: dict[str, Any] = json.loads(scored.read_text(encoding="utf-8"))
    for seed in profile.seeds:
        weights = Run(profile.run(seed)).weights
        held = record["weights_sha256"].get(str(seed))
        if held is None:
            raise ValueError(f"{table} has no rows of seed {seed}; {mend}")
        if not weights.is_file() or sha256(weights) != held:
            raise ValueError(f"{table} was scored with other weights than {weights} holds now; {mend}")
    return [(seed, row) for seed, row in read_rows(table) if seed in (None, *profile.seeds)], record


def peers_summaries(profile: Profile, *, reference: str = "gray") -> dict[str, list[Summary]]:
    """For each method its pooled figures on the photographs that are not near gray, one per seed (one without seeds).

    Args:
        profile: whose results.
        reference: the method that gains are measured against.

    Raises:
        ValueError: nothing was scored, or not the runs that the profile has now.
    """
    return summaries_by_seed(_colored(read_peers(profile)[0]), reference=reference)


def _colored(rows: list[tuple[int | None, Score]]) -> list[tuple[int | None, Score]]:
    return [(seed, row) for seed, row in rows if row.truth_chroma >= NEAR_GRAY_CHROMA]


def peers_table(profile: Profile) -> pd.DataFrame:
    """The table, one row per method; writes peers.csv and peers.md.

    Values are means over seeds, intervals 95 % over images (mean of the seeds' bounds), `sd` the standard deviation
    over seeds.
    """
    rows, record = read_peers(profile)
    ours = f"{record['trained_on']['count']:,} photographs of {record['trained_on']['source']}"
    trained_on = dict.fromkeys(PEERS, IMAGENET) | {"gray": "", GRAY_AS_PUBLISHED: ""}
    records = []
    for method, summaries in summaries_by_seed(_colored(rows)).items():
        network = method not in (*BASELINES, *PEERS)
        figures = spread(summaries, {name: column for name, (column, _) in COLUMNS.items()})
        # In percent, as Zhang et al. print it.
        figures |= {name: 100 * value for name, value in figures.items() if name.startswith("AuC")}
        records.append(
            {
                "method": method,
                "trained on": trained_on.get(method, ours),
                "seeds": len(summaries) if network else None,
                "updates": record["updates"] if network else None,
                "images": summaries[0].images,
                "photographs": record["photos"]["count"],
                "truth_colorfulness": summaries[0].truth_colorfulness,
                **figures,
            }
        )
    table = pd.DataFrame(records)
    write_text(profile.results / "peers.csv", table.to_csv(index=False, lineterminator="\n"))
    write_text(profile.results / "peers.md", table_markdown(readable(table, DIGITS), caption(table)))
    return table


def caption(table: pd.DataFrame) -> str:
    """What the table's figures are figures of, and who was trained on what."""
    row = table.iloc[-1]
    seeds = f"{int(row['seeds'])} seed" + ("s" if row["seeds"] > 1 else "")
    over_seeds = (
        "± is the standard deviation over seeds; brackets hold the mean of the seeds' bounds. "
        if row["seeds"] > 1
        else ""
    )
    return (
        f"Ours beside others on {_which(table)}. Trained on {IMAGENET}: Dahl's network and Zhang's, whose published "
        f"files are scored; on {row['trained on']}: mean chroma, the look-up table and our network "
        f"({int(row['updates']):,} updates, {seeds}, last epoch's weights). The published networks keep the "
        "photograph's L, as the last row does. PSNR of MSE is of the MSE pooled over images, mean PSNR the mean over "
        f"images, both in dB. In brackets: 95 % bootstrap interval over images. {over_seeds}AuC: mean over the "
        "thresholds 0 to 150 of the share of pixels whose ab error is within the threshold. Gain over gray: difference "
        "in PSNR of MSE on the same resampled images. Colorfulness (Hasler & Süsstrunk) of the ground truth: "
        f"{row['truth_colorfulness']:.1f}."
    )


def _which(table: pd.DataFrame) -> str:
    row = table.iloc[-1]
    return (
        f"{int(row['images'])} of the {int(row['photographs'])} photographs of {SOURCE}, those that are not near gray "
        f"(mean ab chroma at least {NEAR_GRAY_CHROMA})"
    )


def html(table: pd.DataFrame) -> str:
    """The table as accessible HTML: a caption, column and row headers."""
    return table_html(readable(table, DIGITS), caption(table), cell=two_lines)


def published_html(table: pd.DataFrame) -> str:
    """The rows that others have measured too, to the digits they give, as accessible HTML."""
    theirs = table[table["method"].isin(("gray", *PEERS))]
    digits = {name: DIGITS[name] for name in PUBLISHED_COLUMNS}
    shown = readable(theirs.loc[:, ["method", *digits]], digits)
    return table_html(
        shown,
        f"What was published, in our metrics, on {_which(table)}; gray is made here of the ground truths' L, the other "
        f"rows are files as published. Colorfulness of the ground truth: {table.iloc[-1]['truth_colorfulness']:.1f}.",
    )
