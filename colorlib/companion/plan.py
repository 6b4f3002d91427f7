"""The notebooks of a reproduction: in which order, with which parameters, reading and leaving which files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colorlib.profiles import PROJECT, Profile

NOTEBOOKS = PROJECT / "notebooks"
TRIPTYCHS = ("figure2_portrait", "figure3_coffee", "figure3_rocket")


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
    source: str
    """The module whose source, with all it imports, it depends on."""
    needs_photos: bool = False


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
    photos, crop_size = profile.settings["photos"], profile.config(0).crop_size
    data = (results / "data.json", results / "baselines.json")
    histories = tuple(run / "history.csv" for run in runs)
    weights = tuple(run / "weights.safetensors" for run in runs)
    scores = tuple(run / "per_image.csv" for run in runs)
    training = [
        Step(
            name=f"02_train_seed-{seed}",
            notebook="02_train.ipynb",
            parameters={
                **profile.settings,
                "run": run.relative_to(PROJECT).as_posix(),
                "seed": seed,
                "mode": "restart" if train else "show",
            },
            promised=tuple(
                run / name
                for name in ("run.json", "history.csv", "weights.safetensors", "metrics.json", "per_image.csv")
            ),
            reads=() if train else tuple(run / name for name in ("history.csv", "metrics.json", "per_image.csv")),
            source="colorlib.scoring",
            needs_photos=train,
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
            source="colorlib.companion.figures",
            needs_photos=True,
        ),
        *training,
        Step(
            name="03_figure1",
            notebook="03_figure1.ipynb",
            parameters=named,
            promised=(figures / "figure1_loss_curve.png",),
            reads=(*histories, *data),
            source="colorlib.companion.figures",
        ),
        Step(
            name="04_figures2_3",
            notebook="04_figures2_3.ipynb",
            parameters={"profile": profile.name, "seed": seeds[0]},
            promised=tuple(figures / f"{name}.png" for name in TRIPTYCHS),
            reads=weights[:1],
            source="colorlib.companion.figures",
        ),
        Step(
            name="05_table1",
            notebook="05_table1.ipynb",
            parameters={**named, "rescore": True},
            promised=tuple(results / name for name in ("table1.csv", "table1.md", "per_image.csv")),
            reads=(*scores, *data),
            source="colorlib.companion.tables",
            needs_photos=True,
        ),
    ]


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
            wanted |= {other.name for other in all_steps if set(other.promised) & set(step.reads)}
    return [step for step in all_steps if step.name in wanted]
