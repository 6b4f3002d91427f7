"""The notebooks of a reproduction: in which order, with which parameters, reading and leaving which files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from colorlib.companion.compared import SMALL, compared_profiles, contest_files, contestants, source_files
from colorlib.companion.notebooks import code_cells
from colorlib.profiles import PROFILES, PROJECT, Profile, load_profile
from colorlib.provenance import imports_of

NOTEBOOKS = PROJECT / "notebooks"
LEFT_BY_A_RUN = ("run.json", "history.csv", "weights.safetensors", "metrics.json", "per_image.csv")
TRIPTYCHS = {
    "figure2_portrait": (
        "matplotlib/grace_hopper.jpg",
        "Figure 2",
        "a portrait in uniform, Grace Hopper (public domain)",
    ),
    "figure3_coffee": ("skimage/coffee.png", "Figure 3a", "a cup of coffee on a wooden table (CC0)"),
    "figure3_rocket": ("skimage/rocket.jpg", "Figure 3b", "a rocket on its launch pad at dawn (public domain)"),
}
"""The paper's Figures 2-3: file name -> the bundled photograph, what the caption calls it, what it shows."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One notebook of the reproduction."""

    name: str
    """What the executed copy is called."""
    notebook: str
    parameters: dict[str, Any]
    promised: tuple[Path, ...]
    reads: tuple[Path, ...]
    """Files of earlier steps that it reads."""
    kept: tuple[Path, ...] = ()
    """Files that it leaves, or finds and keeps."""
    photos: tuple[str, ...] = ()
    """The photographs it reads, by name."""
    optional: bool = False
    """Left out, with a sentence, where its photographs cannot be had; the rest of the reproduction goes on."""
    run: Path | None = None
    """The run directory that it trains into."""

    @property
    def modules(self) -> list[str]:
        """The modules of colorlib that the notebook's cells import."""
        return imports_of("\n".join(code_cells(NOTEBOOKS / self.notebook)))


def steps(profile: Profile, *, train: bool = True) -> list[Step]:
    """The notebooks of a profile, in order.

    Args:
        profile: photographs, budget and seeds.
        train: False shows runs that were trained and evaluated elsewhere instead of training them here.
    """
    results, figures = profile.results, profile.figures
    runs = [profile.run(seed) for seed in profile.seeds]
    seeds = list(profile.seeds)
    named = {"profile": profile.name, "seeds": seeds}
    photos, crop_size = profile.photos, profile.config(0).crop_size
    data = (results / "data.json", results / "baselines.json")
    scores = tuple(run / "per_image.csv" for run in runs)
    training = [
        Step(
            name=f"02_train_seed-{seed}",
            notebook="02_train.ipynb",
            parameters={
                **{name: getattr(profile.config(seed), name) for name in profile.settings},
                "run": run.relative_to(profile.root or PROJECT).as_posix(),
                "seed": seed,
                "mode": "restart" if train else "show",
            },
            # A run that is only shown was left by another machine.
            promised=tuple(run / name for name in LEFT_BY_A_RUN[1:]) if train else (),
            kept=(run / LEFT_BY_A_RUN[0],) if train else (),
            reads=() if train else tuple(run / name for name in LEFT_BY_A_RUN),
            photos=(photos,) if train else (),
            run=run if train else None,
        )
        for seed, run in zip(profile.seeds, runs, strict=True)
    ]
    return [
        Step(
            name="01_data",
            notebook="01_data.ipynb",
            parameters={"profile": profile.name, "photos": photos, "crop_size": crop_size},
            promised=(*data, figures / "data_crops.png"),
            reads=(),
            photos=(photos,),
        ),
        *training,
        *([] if profile.changes else _papers_figures(profile)),
        Step(
            name="05_table1",
            notebook="05_table1.ipynb",
            parameters={**named, "rescore": True},
            promised=tuple(results / name for name in ("table1.csv", "table1.md", "per_image.csv")),
            reads=(*scores, *data),
            photos=(photos,),
        ),
        *([] if photos == "bundled" or profile.changes else [_peers(profile)]),
        *([_outlook(profile)] if (profile.sweep("outlook") / "summary.csv").is_file() else []),
        *([_sources(profile)] if len(compared_profiles(profile)) > 1 else []),
        *([] if profile.changes else [_explore(profile)]),
    ]


def _papers_figures(profile: Profile) -> list[Step]:
    """Figures 1-3, which are of the paper's method: what it is rewarded for, and what a patch of gray tells it."""
    results, runs = profile.results, [profile.run(seed) for seed in profile.seeds]
    return [
        Step(
            name="03_figure1",
            notebook="03_figure1.ipynb",
            parameters={"profile": profile.name, "seeds": list(profile.seeds)},
            promised=(profile.figures / "figure1_loss_curve.png",),
            reads=(*(run / "history.csv" for run in runs), results / "data.json", results / "baselines.json"),
        ),
        Step(
            name="04_figures2_3",
            notebook="04_figures2_3.ipynb",
            parameters={"profile": profile.name, "seed": profile.seeds[0]},
            promised=tuple(profile.figures / f"{name}.png" for name in TRIPTYCHS),
            reads=(runs[0] / "weights.safetensors",),
        ),
    ]


def _explore(profile: Profile) -> Step:
    """How colors arrive, and the patches of 13 x 13 pixels that decide them in the paper's network."""
    return Step(
        name="explore",
        notebook="explore.ipynb",
        parameters={"profile": profile.name, "seed": profile.seeds[0], "controls": False},
        promised=(profile.figures / "explore_arrival.png", profile.figures / "explore_averaged.png"),
        reads=(profile.run(profile.seeds[0]) / "weights.safetensors",),
    )


def _peers(profile: Profile) -> Step:
    """Others' results on their photographs: not for profiles that are to need no download."""
    results = profile.results
    return Step(
        name="06_peers",
        notebook="06_peers.ipynb",
        parameters={"profile": profile.name, "seeds": list(profile.seeds), "rescore": True},
        promised=tuple(
            results / name for name in ("peers/per_image.csv", "peers/scored.json", "peers.csv", "peers.md")
        ),
        reads=tuple(profile.run(seed) / name for seed in profile.seeds for name in ("run.json", "weights.safetensors")),
        photos=(profile.photos, "zhang2016"),
        optional=True,
    )


def _outlook(profile: Profile) -> Step:
    """What the paper's outlook is worth: reads the summaries of sweeps, however far they are."""
    results = profile.results
    small = replace(load_profile(SMALL), root=profile.root)
    summaries = [path for of in (profile, small) for path in sorted(of.results.glob("sweeps/*/summary.csv"))]
    budgets = [PROFILES / f"{of.name}.yaml" for of in contestants(profile)]
    return Step(
        name="07_outlook",
        notebook="07_outlook.ipynb",
        parameters={"profile": profile.name, "photographs": list(dict.fromkeys([profile.name, SMALL]))},
        promised=(
            *(results / name for name in ("outlook.csv", "outlook.md", "contest.md")),
            profile.figures / "outlook.png",
        ),
        reads=tuple(dict.fromkeys([*summaries, *contest_files(profile), *budgets])),
    )


def _sources(profile: Profile) -> Step:
    """Errors on one source of photographs after another: reads what was scored, needs none of the photographs."""
    return Step(
        name="08_sources",
        notebook="08_sources.ipynb",
        parameters={"profile": profile.name, "seeds": list(profile.seeds)},
        promised=(
            profile.results / "sources.csv",
            profile.results / "sources.md",
            profile.figures / "sources.png",
        ),
        reads=tuple(source_files(profile)),
    )


def needed(all_steps: Sequence[Step], only: str | None) -> list[Step]:
    """The steps that `only` takes, in order: those whose promises it reads, directly or through others, and itself.

    Raises:
        ValueError: no notebook starts with that name.
    """
    if only in (None, "report"):
        return list(all_steps)
    wanted = {step.name for step in all_steps if step.name.startswith(only)}
    if not wanted:
        raise ValueError(f"no notebook is called {only!r}; there are {', '.join(step.name for step in all_steps)}")
    for step in reversed(all_steps):
        if step.name in wanted:
            wanted |= {other.name for other in all_steps if {*other.promised, *other.kept} & set(step.reads)}
    return [step for step in all_steps if step.name in wanted]
