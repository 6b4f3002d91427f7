"""Profiles: named budgets in notebooks/profiles/*.yaml, shared by notebooks and the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from colorlib.config import RunConfig, did_you_mean, override
from colorlib.files import read_yaml
from colorlib.photos.registry import check_photos_name
from colorlib.provenance import PACKAGE

IN_PACKAGE = PACKAGE / "project"
"""What an installed package holds of the checkout: profiles, and the weights of two runs (setup.py)."""
PROJECT = IN_PACKAGE if IN_PACKAGE.is_dir() else PACKAGE.parent
"""Folder of the checkout, with notebooks/, results/ and figures/; of an installed package, what it holds of it."""
NOTEBOOKS = PROJECT / "notebooks"
PROFILES = NOTEBOOKS / "profiles"
METHOD_SETTINGS = ("target", "network", "objective", "optimizer", "schedule", "ema")
"""Settings that define a method, as opposed to its photographs and budget. Their defaults are the paper's."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A named budget: the settings and seeds of its runs, and the folders of their results."""

    name: str
    """Name of the profile, and of its folders in results/ and figures/."""
    settings: dict[str, Any]
    """Settings of `RunConfig` other than the defaults, without the seed."""
    seeds: tuple[int, ...]
    """Seeds of its runs."""
    root: Path | None = None
    """Folder that contains results/ and figures/; None means the checkout."""

    @property
    def photos(self) -> str:
        """Photographs that its runs are trained on."""
        return self.config.photos

    @property
    def results(self) -> Path:
        """Folder of the profile's results."""
        return (self.root or PROJECT) / "results" / self.name

    @property
    def figures(self) -> Path:
        """Folder of the profile's figures."""
        return (self.root or PROJECT) / "figures" / self.name

    @property
    def changes(self) -> dict[str, Any]:
        """Method settings that differ from the paper's. If there are any, the paper's claims are not judged."""
        paper = RunConfig()
        return {
            name: getattr(self.config, name)
            for name in METHOD_SETTINGS
            if getattr(self.config, name) != getattr(paper, name)
        }

    @cached_property
    def config(self) -> RunConfig:
        """Configuration of its runs, with the default seed.

        Raises:
            ValueError: a setting is unknown, ill-typed or out of range.
        """
        return override(RunConfig(), self.settings)

    def run_config(self, seed: int) -> RunConfig:
        """Return the configuration of the run with this seed."""
        return replace(self.config, seed=seed)

    def run(self, seed: int) -> Path:
        """Return the directory of the run with this seed."""
        return self.results / f"seed-{seed}"

    def sweep(self, name: str) -> Path:
        """Return the folder of a sweep; `summary.csv` in it holds the results."""
        return self.results / "sweeps" / name

    def on(self, photos: str) -> "Profile":
        """Return the same budget on other photographs, with folders of its own, so that nothing is overwritten."""
        if self.photos == photos:
            return self
        return replace(self, name=f"{self.name}-{photos}", settings=self.settings | {"photos": photos})


def root_folder(root: str | Path | None = None) -> Path:
    """Return the folder that contains results/ and figures/: `root`, or the checkout if it is None or empty."""
    return Path(root).resolve() if root else PROJECT


def load_profile(
    name: str, *, seeds: Sequence[int] | None = None, root: str | Path | None = None, folder: Path = PROFILES
) -> Profile:
    """Read the profile `notebooks/profiles/<name>.yaml`.

    Args:
        name: name of the profile; `<name>-<photos>` is the same budget on other photographs.
        seeds: seeds of its runs; None or an empty list takes those in the file.
        root: folder that contains results/ and figures/; None or empty means the checkout.
        folder: folder of the profile files.

    Raises:
        ValueError: there is no such profile, it holds an unknown or invalid setting (the message names the file), or
            `seeds` is not a list of whole numbers.
    """
    # Split the name into profile and photographs. Both may contain dashes: the longest prefix that is a file wins.
    parts = name.split("-")
    cuts = [("-".join(parts[:end]), "-".join(parts[end:])) for end in range(len(parts), 0, -1)]
    known = sorted(found.stem for found in folder.glob("*.yaml"))
    base, photos = next((cut for cut in cuts if cut[0] in known), ("", ""))
    if not base:
        raise ValueError(f"there is no profile {name!r}{did_you_mean(name, known)}")
    if photos:
        check_photos_name(photos)
    # Read the file and check every setting and seed
    path = folder / f"{base}.yaml"
    settings = read_yaml(path)
    try:
        if not isinstance(settings, dict):
            raise ValueError(f"expected lines of `setting: value`, not {settings!r}")  # noqa: TRY004
        listed = settings.pop("seeds", [0])
        if not isinstance(listed, list) or not listed:
            raise ValueError(f"seeds={listed!r}: expected a list, for example [0, 1]")
        profile = Profile(name=base, settings=settings, seeds=tuple(listed))
        for seed in listed:
            override(profile.config, {"seed": seed})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    # Apply the arguments
    if seeds is not None and not (isinstance(seeds, list | tuple) and all(type(seed) is int for seed in seeds)):
        raise ValueError(f"seeds={seeds!r}: expected a list of whole numbers; with papermill write `-y 'seeds: [0]'`")
    chosen = tuple(seeds or listed)
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"seeds {', '.join(map(str, chosen))}: each may be given once")
    profile = replace(profile, seeds=chosen, root=Path(root).resolve() if root else None)
    return profile.on(photos) if photos else profile


def changes_text(changes: Mapping[str, Any]) -> str:
    """Return changed settings as text, for example `network=unet, ema=0.9`."""
    return ", ".join(f"{name}={value}" for name, value in changes.items()) or "nothing"


def path_and_link(path: Path) -> str:
    """Return a path as text, with the `file://` link that a terminal opens."""
    return f"{display_path(path)}  {path.resolve().as_uri()}"


def display_path(path: Path) -> str:
    """Return a path as text for messages and notebooks: relative to the checkout if it is inside."""
    return path.relative_to(PROJECT).as_posix() if path.is_relative_to(PROJECT) else str(path)


def training_folder(run: Path) -> Path:
    """Return the folder, ignored by git, that a run directory is trained in before it takes its place."""
    return run.parent / ".training" / run.name


def replaced_folder(run: Path) -> Path:
    """Return the folder that a run directory is moved to when a new run takes its place."""
    return training_folder(run).with_name(f"{run.name}.replaced")


def restore_run(run: Path) -> None:
    """Put a run directory back that was moved away for a new run which did not take its place."""
    if not run.exists() and replaced_folder(run).exists():
        replaced_folder(run).rename(run)


def restore_runs(results: Path = PROJECT / "results") -> None:
    """Call `restore_run` for every profile's runs: a process may have been killed between the two renames."""
    for replaced in results.glob("*/.training/*.replaced"):
        restore_run(replaced.parent.parent / replaced.stem)
