"""The notebooks of a profile in order, and every result file with the files that it is computed from.

`FILES` is the one list of results: notebooks check it in their last cell, `pipeline` makes, verifies and lists them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from colorlib.companion.notebooks import code_cells
from colorlib.companion.paper import EXAMPLES
from colorlib.evaluate import baselines_file
from colorlib.profiles import NOTEBOOKS, PROFILES, PROJECT, Profile, display_path, load_profile
from colorlib.provenance import imports_of
from colorlib.runs import Run, score_files

PRIMARY = "paper"
"""The profile that verdicts, the article and the table of data sets are read from."""
COMPARED = ("cpu", "cpu-imagenet-sample@256", "paper-cifar10", "bundled")
"""Profiles that the table of data sets compares with the primary one."""
LIGHTWEIGHT = "lightweight"
"""The sweep that chooses a network within the paper's budget, and the profile that trains the chosen network."""
SEVERAL_SOURCES = "small"
"""The profile of a small colorizer for photographs of more than one source."""
SMALL = "paper-cifar10"
"""The profile with the most photographs, all small: it shows how results scale with their number."""
DOMAINS = ("cpu-imagenet-sample@256", "paper-cifar10")
"""Profiles whose networks are compared, on their own photographs, with the primary one's."""
ELSEWHERE = "imagenet-sample@256"
"""Photographs of another source on which claims of quality are tested too, besides `zhang2016`."""
BALANCE = "balance"
"""The sweep behind the small colorizer."""
SCHEDULE = "a falling learning rate"
STORY_POINTS = {
    "ten times the updates": (PRIMARY, "updates", "tenfold", "paper"),
    "ten times the photographs": ("cpu", "data_scaling", "all", "tenth"),
    SCHEDULE: (PRIMARY, "contest", "cosine", "paper"),
    "a loss on ImageNet's features": ("cpu", "perceptual", "perceptual-lite0", "mse"),
}
"""A change that the story tells -> profile and name of the sweep that measured it, its point, and the reference."""
ALSO_SCORED = ("zhang2016", "cifar10")
"""Photographs on which the small colorizer is compared too, besides those of `ELSEWHERE`."""
CLAIM_SWEEPS = ("outlook", "contest", "augmentation", "perceptual")
"""The sweeps whose points decide claims."""
CLAIMS = PROJECT / "paper" / "claims.yaml"
FACES = PROJECT / "paper" / "faces.csv"
"""Faces in photographs: what a detector found, and whether a person saw a face there."""
TRAINING = "02_train.ipynb"
"""The notebook that trains a run, or shows one."""
RUN_FILES = ("run.json", "history.csv", "weights.safetensors", "metrics.json", "per_image.csv")
"""The files of a finished and scored run."""

FILES: dict[str, tuple[str, ...]] = {
    "method": ("figures/method_channels.png", "figures/method_updates.png"),
    "data": ("results/data.json", "results/baselines.json", "results/look_up_table.csv"),
    "data_crops": ("figures/data_crops.png",),
    "figure1": ("figures/figure1_loss_curve.png", "figures/figure1_loss_curve.svg"),
    "figures2_3": tuple(f"figures/{name}.png" for name in EXAMPLES),
    "scores": ("results/per_image.csv",),
    "table1": ("results/table1.csv", "results/table1.md"),
    "published_scores": ("results/peers/per_image.csv", "results/peers/scored.json"),
    "published": ("results/peers.csv", "results/peers.md"),
    "pixels": ("results/pixels.csv", "results/pixels.json"),
    "hint_scores": ("results/hints.csv", "results/hints.json"),
    "hints": ("results/hints.md", "figures/hints.png", "figures/hints.svg"),
    "hint_examples": ("figures/photographs.png",),
    "outlook": ("results/outlook.csv", "results/outlook.md", "figures/outlook.png", "figures/outlook.svg"),
    "lightweight": ("results/contest.md",),
    "datasets": ("results/sources.csv", "results/sources.md", "figures/sources.png", "figures/sources.svg"),
    "explore": ("figures/explore_arrival.png", "figures/explore_averaged.png"),
    "claims": ("results/claims.json", "results/claims.md", "results/verdicts.md"),
    "report": ("results/report.html",),
    "examples": ("results/examples.json",),
    "page": ("results/colorize.html",),
}
"""Each result of a profile and its files, below results/<profile>/ or figures/<profile>/."""


def files(profile: Profile, *results: str) -> tuple[Path, ...]:
    """Return the paths of some entries of `FILES` for a profile."""
    folders = {"results": profile.results, "figures": profile.figures}
    found = []
    for name in (name for result in results for name in FILES[result]):
        folder, _, inner = name.partition("/")
        found.append(folders[folder] / inner)
    return tuple(found)


def look_up_table_file(profile: Profile) -> Path:
    """Return the file of the baseline "look-up table", fitted to the training photographs of a profile."""
    return files(profile, "data")[2]


def check_files(profile: Profile, *results: str) -> None:
    """Check that the files of some entries of `FILES` exist.

    Raises:
        ValueError: some do not; the message names them.
    """
    if missing := [str(path) for path in files(profile, *results) if not path.is_file()]:
        raise ValueError(f"not written: {', '.join(missing)}")


def inputs(profile: Profile) -> dict[str, tuple[Path, ...]]:
    """Return the files that each entry of `FILES` is computed from, whether or not they exist.

    Files that a step writes itself are listed too, where it reads them before it replaces them.
    """
    runs = [profile.run(seed) for seed in profile.seeds]
    shorter, small = other_profile(profile, "cpu"), other_profile(profile, SMALL)
    networks = [other_profile(profile, LIGHTWEIGHT), other_profile(profile, PRIMARY)]
    primary = other_profile(profile, PRIMARY)
    owners = {of.name: of for of in (profile, small, primary)}.values()
    summaries = [path for of in owners for path in sorted(of.results.glob("sweeps/*/summary.csv"))]
    network_scores = [
        path for of in networks for path in (*files(of, "scores"), *(of.run(seed) / "run.json" for seed in of.seeds))
    ]
    first_network = [runs[0] / "run.json", runs[0] / "weights.safetensors"]
    kept_weights = [Run(runs[0]).epoch_weights(epoch) for epoch in profile.config.keep_epochs]
    found: dict[str, Sequence[Path]] = {
        "figure1": [*(run / "history.csv" for run in runs), *files(profile, "data")],
        "figures2_3": [*first_network, look_up_table_file(profile)],
        # Without photographs, the baselines' rows are taken from the file itself.
        "scores": [*files(profile, "scores"), *(run / "per_image.csv" for run in runs), *files(profile, "data")],
        "table1": [
            *files(profile, "scores"),
            *(run / name for run in runs for name in ("history.csv", "metrics.json")),
        ],
        "published_scores": [run / name for run in runs for name in ("run.json", "weights.safetensors")],
        "pixels": [FACES, *(run / name for run in runs for name in ("run.json", "weights.safetensors"))],
        "hints": files(profile, "hint_scores"),
        "hint_examples": [
            of.run(of.seeds[0]) / name for of in networks for name in ("run.json", "weights.safetensors")
        ],
        "published": [*files(profile, "published_scores"), *(run / "weights.safetensors" for run in runs)],
        # The sweep's file says which points are still missing.
        "outlook": [
            profile.sweep("outlook") / "summary.csv",
            NOTEBOOKS / "sweeps" / "outlook.yaml",
            baselines_on_validation(profile),
        ],
        # Costs follow from the settings of the two profiles.
        "lightweight": [
            *summaries,
            *network_scores,
            *(PROFILES / f"{of.name}.yaml" for of in networks),
            *small_colorizer_inputs(profile),
            NOTEBOOKS / "sweeps" / f"{BALANCE}.yaml",
            *(path for of in owners for path in scored_points(of, BALANCE)),
        ],
        "datasets": _dataset_inputs(profile),
        "explore": [*first_network, runs[0] / "history.csv", *kept_weights],
        "claims": [
            CLAIMS,
            *(run / name for run in runs for name in ("run.json", "history.csv", "weights.safetensors")),
            *files(profile, "scores"),
            *files(profile, "published_scores"),
            *files(profile, "pixels"),
            FACES,
            *point_histories(profile),
            *point_histories(shorter),
            *scored_points(shorter, "train_test"),
            *(of.sweep(sweep) / "summary.csv" for of in (profile, shorter) for sweep in CLAIM_SWEEPS),
            *files(networks[0], "scores"),
            *_domain_scores(profile),
            elsewhere_files(profile)[0],
            *elsewhere_files(profile)[1],
        ],
    }
    return {name: tuple(dict.fromkeys(paths)) for name, paths in found.items()}


def story_sweep(profile: Profile, owner: str, sweep: str) -> Path:
    """Return the summary of a sweep of the profile called `owner`, which the story reads."""
    return other_profile(profile, owner).sweep(sweep) / "summary.csv"


def story_inputs(profile: Profile) -> list[Path]:
    """Return the files that `companion.story` reads, whether or not they exist."""
    baselines, runs = elsewhere_files(profile)
    return [
        *(files(profile, name)[0] for name in ("claims", "datasets", "published", "table1", "scores")),
        *files(profile, "published_scores"),
        baselines,
        *runs,
        *(story_sweep(profile, owner, sweep) for owner, sweep, *_ in STORY_POINTS.values()),
        *files(other_profile(profile, LIGHTWEIGHT), "hint_scores"),
        *small_colorizer_inputs(profile),
    ]


def small_colorizer_inputs(profile: Profile) -> list[Path]:
    """Return the scores that `story.table_home_and_away` compares, whether or not they exist."""
    networks = [other_profile(profile, name) for name in (PRIMARY, LIGHTWEIGHT, SEVERAL_SOURCES)]
    return [path for each in networks for path in files(each, "scores")] + [
        path
        for each in networks
        for photos in (ELSEWHERE, *ALSO_SCORED)
        for baselines, runs in [elsewhere_files(each, photos)]
        for path in (baselines, *runs)
    ]


def other_profile(profile: Profile, name: str) -> Profile:
    """Return the profile called `name`, its results in the same checkout as those of `profile`."""
    return replace(load_profile(name), root=profile.root)


def compared_profiles(profile: Profile) -> list[Profile]:
    """Return the profiles in the table of data sets: `profile` and, for `PRIMARY`, those of `COMPARED` with scores."""
    others = [other_profile(profile, name) for name in COMPARED if profile.name == PRIMARY]
    return [profile, *(other for other in others if files(other, "scores")[0].is_file())]


def cross_dataset_scores(profile: Profile, other: Profile, seed: int) -> Path:
    """Return the file with the scores of a profile's run on another profile's photographs."""
    return score_files(profile.run(seed), other.photos, "test", own=profile.photos)[1]


def point_histories(profile: Profile, sweep: str = "outlook") -> list[Path]:
    """Return point.json and history.csv of the trained points of a sweep."""
    records = sorted(profile.sweep(sweep).glob("*/point.json"))
    return [path for record in records for path in (record, record.with_name("history.csv"))]


def scored_points(profile: Profile, sweep: str) -> list[Path]:
    """Return the committed files of a sweep's trained points: those of `point_histories`, run.json and the scores."""
    histories = point_histories(profile, sweep)
    runs = [path.with_name("run.json") for path in histories if path.name == "point.json"]
    return [*histories, *runs, *sorted(profile.sweep(sweep).glob("*/metrics*.json"))]


def baselines_on_validation(profile: Profile) -> Path:
    """Return the scores of the baselines on a profile's validation photographs, next to the outlook's points."""
    return baselines_file(profile.run(profile.seeds[0]), profile.photos, "val", own=profile.photos)


def elsewhere_files(profile: Profile, photos: str = ELSEWHERE) -> tuple[Path, list[Path]]:
    """Return the scores on the test photographs of another source: of the baselines, and of each seed's run."""
    runs = [profile.run(seed) for seed in profile.seeds]
    return (
        baselines_file(runs[0], photos, "test", own=profile.photos),
        [score_files(run, photos, "test", own=profile.photos)[1] for run in runs],
    )


def _domain_scores(profile: Profile) -> list[Path]:
    """Return the scores on the photographs of `DOMAINS`: of their own networks and of the profile's."""
    domains = [other_profile(profile, name) for name in DOMAINS]
    return [
        path
        for domain in domains
        for path in (
            *files(domain, "scores"),
            *(cross_dataset_scores(profile, domain, seed) for seed in profile.seeds if domain.photos != profile.photos),
        )
    ]


def _dataset_inputs(profile: Profile) -> list[Path]:
    """Return the files that the table of data sets is computed from, whether or not they exist."""
    points = scored_points(other_profile(profile, "cpu"), "train_test") if profile.name == PRIMARY else []
    return points + [
        path
        for other in compared_profiles(profile)
        for path in (
            PROFILES / f"{other.name}.yaml",
            *files(other, "scores"),
            *(other.run(seed) / "metrics.json" for seed in other.seeds),
            *(cross_dataset_scores(profile, other, seed) for seed in profile.seeds if other.photos != profile.photos),
        )
    ]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One notebook of the reproduction."""

    name: str
    """Name of the executed copy."""
    notebook: str
    parameters: dict[str, Any]
    executed: Path
    """Path of the executed copy."""
    outputs: tuple[Path, ...]
    """Files that it writes."""
    inputs: tuple[Path, ...]
    """Files of earlier steps that it reads."""
    photos: tuple[str, ...] = ()
    """Names of the photographs that it reads."""
    scores: str = ""
    """The entry of `FILES` whose photographs are scored before the notebook is executed, which only reads the scores.

    Scores that exist and are of the profile's runs need no photographs."""
    optional: bool = False
    """Skipped, with a message, where its photographs cannot be had; the rest of the reproduction goes on."""
    run: Path | None = None
    """The run directory that is trained before the notebook shows it."""

    @property
    def modules(self) -> list[str]:
        """The modules of colorlib that the notebook's cells import."""
        return imports_of("\n".join(code_cells(NOTEBOOKS / self.notebook)))


def steps(profile: Profile, *, train: bool = True) -> list[Step]:
    """Return the notebooks of a profile, in the order in which they are executed.

    `00_method`, Figures 1-3 and `explore` are of the paper's method, so profiles with another method lack them.

    Args:
        profile: photographs, budget and seeds.
        train: False shows the runs that are there instead of training them.
    """
    read = inputs(profile)
    root = str(profile.root) if profile.root else ""
    seeds: dict[str, Any] = {"seeds": list(profile.seeds)}
    first: dict[str, Any] = {"seed": profile.seeds[0]}

    def step(name: str, *results: str, given: Mapping[str, Any], **fields: Any) -> Step:
        """Return the step of notebook `name`, which writes the files of `results`."""
        outputs = files(profile, *results)
        needed = dict.fromkeys(path for result in results for path in read.get(result, ()))
        return Step(
            name=name,
            notebook=f"{name}.ipynb",
            parameters={"profile": profile.name, **given, "root": root},
            executed=profile.results / "notebooks" / f"{name}.ipynb",
            outputs=outputs,
            inputs=tuple(path for path in needed if path not in outputs),
            **fields,
        )

    photos = (profile.photos,)
    papers_method = not profile.changes
    found = [step("00_method", "method", given={})] if papers_method else []
    found += [
        step(
            "01_data", "data", "data_crops",
            given={name: getattr(profile.config, name) for name in ("photos", "crop_size", "view")}, photos=photos,
        ),
        *(_training_step(profile, seed, train=train) for seed in profile.seeds),
    ]  # fmt: skip
    if papers_method:
        found += [
            step("03_figure1", "figure1", given=seeds),
            step("04_figures2_3", "figures2_3", given=first),
        ]
    found.append(step("05_table1", "scores", "table1", given=seeds, photos=photos, scores="scores"))
    if papers_method and profile.photos != "bundled":  # profiles on bundled photographs need no download
        found.append(
            step(
                "06_peers", "published_scores", "published",
                given=seeds, photos=(profile.photos, "zhang2016"), scores="published_scores", optional=True,
            )
        )  # fmt: skip
    if (profile.sweep("outlook") / "summary.csv").is_file():
        names = list(dict.fromkeys([profile.name, SMALL]))
        found.append(step("07_outlook", "outlook", "lightweight", given={"photographs": names}))
    if len(compared_profiles(profile)) > 1:
        found.append(step("08_sources", "datasets", given=seeds))
    if profile.name == LIGHTWEIGHT and files(profile, "hint_scores")[0].is_file():
        found.append(step("09_hints", "hints", "hint_examples", given={}, photos=("bundled",)))
    if papers_method:
        found.append(step("explore", "explore", given=first | {"controls": False}, photos=photos))
    return found


def _training_step(profile: Profile, seed: int, *, train: bool) -> Step:
    """Return the step that shows the run of one seed, after training it if `train` is True.

    The executed copy is that of showing, so it is the same wherever the run was trained.
    """
    run, config = profile.run(seed), profile.run_config(seed)
    return Step(
        name=f"02_train_seed-{seed}",
        notebook=TRAINING,
        parameters={
            **{name: getattr(config, name) for name in profile.settings},
            "run": display_path(run),
            "seed": seed,
            "mode": "show",
        },
        executed=profile.results / "notebooks" / f"02_train_seed-{seed}.ipynb",
        outputs=tuple(run / name for name in RUN_FILES) if train else (),
        inputs=() if train else tuple(run / name for name in RUN_FILES),
        photos=(profile.photos,) if train else (),
        run=run if train else None,
    )


def shown_steps(all_steps: Sequence[Step]) -> list[Step]:
    """Return the steps that the report shows: all but the optional ones that were not executed."""
    return [step for step in all_steps if not step.optional or step.executed.is_file()]


def named(all_steps: Sequence[Step], only: str) -> list[Step]:
    """Return the steps whose notebooks' file names start with `only`.

    Raises:
        ValueError: no notebook starts with that name.
    """
    if found := [step for step in all_steps if step.name.startswith(only)]:
        return found
    raise ValueError(f"no notebook is called {only!r}; there are {', '.join(step.name for step in all_steps)}")


def needed(all_steps: Sequence[Step], only: str | None) -> list[Step]:
    """Return the steps that `only` needs, in order: itself and those that write its inputs, directly or not.

    Args:
        all_steps: the steps of a profile.
        only: the start of a notebook's file name; None or `report` for all steps.

    Raises:
        ValueError: no notebook starts with that name.
    """
    if only in (None, "report"):
        return list(all_steps)
    wanted = {step.name for step in named(all_steps, only)}
    for step in reversed(all_steps):
        if step.name in wanted:
            wanted |= {other.name for other in all_steps if set(other.outputs) & set(step.inputs)}
    return [step for step in all_steps if step.name in wanted]
