"""Published results of other colorizers, scored in our metrics, and ours on the same photographs.

```
results/<profile>/peers/per_image.csv    a row per photograph and method, near gray photographs included
results/<profile>/peers/scored.json      hashes of the photographs, published files and weights that were scored
results/<profile>/peers.csv, peers.md    the table, near gray photographs left out
```
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import pandas as pd
import torch

from colorlib.checkpoint import load_tensors
from colorlib.colorizers import BASELINES
from colorlib.companion.results import Results
from colorlib.companion.steps import files
from colorlib.companion.tables import JOINED, Column, Table, measures, spread, summaries_by_seed
from colorlib.evaluate import baseline_methods, by_method, network_methods, score
from colorlib.files import sha256, sha256_of_names, write_json, write_text
from colorlib.metrics import NEAR_GRAY_CHROMA, Score, compare
from colorlib.photos import PhotoSet, find_source, open_photos
from colorlib.photos.decode import Photo, Pixels
from colorlib.profiles import Profile
from colorlib.runs import Run, csv_text

SOURCE = "zhang2016"
OTHERS = "others' results"
"""The source's name for its files that are colorizations, not photographs: they belong to no split."""
GRAY_AS_PUBLISHED = "gray, as published"
ZHANG = "Zhang, no rebalancing"
PEERS = {GRAY_AS_PUBLISHED: "lum", "Dahl": "tinyclouds", ZHANG: "ours_unrebalanced", "Zhang, rebalanced": "ours"}
"""Row of the table -> folder of the published files, next to that of the ground truths."""
IMAGENET = "1.3 million photographs of ImageNet"
"""Training data of the published networks (Zhang et al. 2016, Sec. 3.1; Dahl 2016, tinyclouds.org/colorize)."""
COLUMNS = measures("mean_psnr", "psnr_of_mse", "ssim", "delta_e00", "colorfulness", "ab_auc", "psnr_gain")
PUBLISHED_COLUMNS = measures("mean_psnr", "psnr_of_mse", "delta_e00", "colorfulness", "ab_auc")
"""Measures that others have computed from the published files too."""


def score_published(profile: Profile, *, device: torch.device) -> Iterator[tuple[int, int]]:
    """Score the published results, the baselines and the profile's runs on the same photographs.

    Writes peers/per_image.csv and peers/scored.json.

    Args:
        profile: its runs are scored; baselines are fitted on its training photographs.
        device: the device of the networks.

    Yields:
        The number of scored photographs, and of all; first 0, so that a progress bar can start.

    Raises:
        ValueError: photographs or published results are missing or damaged, or a run is not finished.
    """
    # Open photographs and published files, load networks and fit baselines
    truths = open_photos(SOURCE, "test")
    published = find_source(SOURCE).photos(OTHERS)
    by_name = {photo.name: photo for photo in published}
    passes = {seed: score(network_methods(profile.run(seed), device), truths) for seed in profile.seeds}
    baselines = score(baseline_methods(profile.photos), truths)
    # Score photograph by photograph: each is decoded once for a network's two methods
    rows: list[tuple[int | None, Score]] = []
    yield 0, len(truths)
    for done, (truth, simple, *networks) in enumerate(zip(truths, baselines, *passes.values(), strict=True), start=1):
        rows += [(None, row) for row in (*simple, *score_files_of(truth, by_name))]
        rows += [(seed, row) for seed, found in zip(passes, networks, strict=True) for row in found]
        yield done, len(truths)
    # Write the scores, method by method, and the hashes of everything that was scored
    ordered = [row for method in _order(rows) for row in rows if row[1].method == method]
    record = scored_record(profile, truths, published)
    per_image, scored = files(profile, "published_scores")
    write_text(per_image, csv_text([{"seed": "" if seed is None else seed, **asdict(row)} for seed, row in ordered]))
    write_json(scored, record)


def scored_record(profile: Profile, truths: PhotoSet, published: Sequence[Photo]) -> dict[str, Any]:
    """Return the content of scored.json: what the scores were computed from."""
    first = Run(profile.run(profile.seeds[0]))
    return {
        "photos": {"source": SOURCE, "split": "test", "count": len(truths), "sha256": truths.digest},
        "published": {
            "count": len(published),
            "sha256": sha256_of_names((photo.name, photo.digest) for photo in published),
        },
        "trained_on": {"source": profile.photos, "count": first.record()["photos"]["train"]["count"]},
        "updates": load_tensors(first.weights).step,
        "weights_sha256": {str(seed): sha256(Run(profile.run(seed)).weights) for seed in profile.seeds},
    }


def score_files_of(truth: Photo, by_name: dict[str, Photo]) -> list[Score]:
    """Return the scores of the published files of one ground truth: of `gt/NAME`, `FOLDER/NAME` for each of `PEERS`."""
    pixels = _channels_first(truth.load())
    found = {method: by_name[truth.name.replace("gt", folder, 1)] for method, folder in PEERS.items()}
    return [
        compare(_channels_first(photo.load()), pixels, image=truth.name, method=method)
        for method, photo in found.items()
    ]


def _channels_first(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _order(rows: list[tuple[int | None, Score]]) -> list[str]:
    """Return the methods in the table's order: gray, the published ones, the other baselines, the networks."""
    first = ("gray", *PEERS)
    return [*first, *(method for method in by_method([row for _, row in rows]) if method not in first)]


def _colored(rows: list[tuple[int | None, Score]]) -> list[tuple[int | None, Score]]:
    return [(seed, row) for seed, row in rows if row.truth_chroma >= NEAR_GRAY_CHROMA]


def published_table(results: Results) -> Table:
    """Return the table, one row per method, near gray photographs left out; writes peers.csv and peers.md.

    Values are means over seeds with their intervals (`tables.joined`), `sd` is the standard deviation over seeds.
    """
    scores, record = results.published, results.published_record
    ours = f"{record['trained_on']['count']:,} photographs of {record['trained_on']['source']}"
    trained_on = dict.fromkeys(PEERS, IMAGENET) | {"gray": "", GRAY_AS_PUBLISHED: ""}
    rows = []
    for method, summaries in summaries_by_seed(_colored(scores)).items():
        network = method not in (*BASELINES, *PEERS)
        values = spread(summaries, COLUMNS)
        # In percent, as in Zhang et al. (2016)
        values |= {name: 100 * value for name, value in values.items() if name.startswith("AuC")}
        rows.append(
            {
                "method": method,
                "trained on": trained_on.get(method, ours),
                "seeds": len(summaries) if network else None,
                "updates": record["updates"] if network else None,
                "images": summaries[0].images,
                "photographs": record["photos"]["count"],
                "truth_colorfulness": summaries[0].truth_colorfulness,
                **values,
            }
        )
    data = pd.DataFrame(rows)
    columns = [Column(name="method"), *COLUMNS.values()]
    table = Table(data=data, columns=columns, caption=_caption(data))
    table.save(*files(results.profile, "published"))
    return table


def _caption(data: pd.DataFrame) -> str:
    """Return the caption: the photographs, the training data of each method, the measures."""
    row = data.iloc[-1]
    seeds = f"{int(row['seeds'])} seed" + ("s" if row["seeds"] > 1 else "")
    over_seeds = f", for our network the {JOINED}" if row["seeds"] > 1 else ""
    return (
        f"Ours and others on {_photographs(data)}. Trained on {IMAGENET}: Dahl's network and Zhang's, whose "
        f"published files are scored; on {row['trained on']}: mean chroma, the look-up table and our network "
        f"({int(row['updates']):,} updates, {seeds}, last epoch's weights). The published networks keep the "
        "photograph's L, as the last row does. PSNR of MSE is of the MSE pooled over images, mean PSNR the mean over "
        f"images, both in dB. In brackets: 95 % bootstrap interval over images{over_seeds}. AuC: mean over the "
        "thresholds 0 to 150 of the share of pixels whose ab error is within the threshold. Gain over gray: difference "
        "in PSNR of MSE on the same resampled images. Colorfulness (Hasler & Süsstrunk) of the ground truth: "
        f"{row['truth_colorfulness']:.1f}."
    )


def _photographs(data: pd.DataFrame) -> str:
    row = data.iloc[-1]
    return (
        f"{int(row['images'])} of the {int(row['photographs'])} photographs of {SOURCE}, those that are not near gray "
        f"(mean ab chroma at least {NEAR_GRAY_CHROMA})"
    )


def published_rows(table: Table) -> Table:
    """Return the rows that others have measured too, with the digits that they give and without intervals."""
    data = table.data[table.data["method"].isin(("gray", *PEERS))]
    return Table(
        data=data,
        columns=[Column(name="method"), *(replace(column, interval=False) for column in PUBLISHED_COLUMNS.values())],
        caption=(
            f"Published results in our metrics, on {_photographs(table.data)}. Gray is computed here from the ground "
            "truths' L; the other rows are files as published. Colorfulness of the ground truth: "
            f"{table.data.iloc[-1]['truth_colorfulness']:.1f}."
        ),
    )
