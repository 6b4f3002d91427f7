"""Profiles: how much to spend, as files in notebooks/profiles/ that notebooks and the command line share."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from colorlib.config import RunConfig, override
from colorlib.photos import named
from colorlib.provenance import PACKAGE

PROJECT = PACKAGE.parent
"""The checkout: notebooks/, results/ and figures/ lie in it."""
PROFILES = PROJECT / "notebooks" / "profiles"
METHOD = ("target", "network", "objective", "schedule", "ema")
"""The settings that make a method: what learns what, and by which measure. Their defaults are the paper's."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A budget with a name: where its results lie, and which runs it holds."""

    name: str
    """Folder name below results/ and figures/."""
    settings: dict[str, Any]
    """Settings of `RunConfig`, the seed aside."""
    seeds: tuple[int, ...]
    root: Path | None = None
    """What results/ and figures/ lie in; the checkout without it."""

    @property
    def photos(self) -> str:
        """Which photographs its runs are trained on."""
        return self.config(0).photos

    @property
    def results(self) -> Path:
        """The folder of the profile's results."""
        return (self.root or PROJECT) / "results" / self.name

    @property
    def figures(self) -> Path:
        """The folder of the profile's figures."""
        return (self.root or PROJECT) / "figures" / self.name

    @property
    def changes(self) -> dict[str, Any]:
        """What its method changes of the paper's; the paper's claims are not judged by another method."""
        own, papers = self.config(0), RunConfig()
        return {name: getattr(own, name) for name in METHOD if getattr(own, name) != getattr(papers, name)}

    def config(self, seed: int) -> RunConfig:
        """The configuration of one run."""
        return override(RunConfig(), self.settings | {"seed": seed})

    def run(self, seed: int) -> Path:
        """The directory of one run."""
        return self.results / f"seed-{seed}"

    def sweep(self, name: str) -> Path:
        """The folder of a sweep; its `summary.csv` holds what was found."""
        return self.results / "sweeps" / name

    def on(self, photos: str) -> "Profile":
        """The same budget on other photographs, with folders of its own: it never overwrites other evidence."""
        if self.photos == photos:
            return self
        return replace(self, name=f"{self.name}-{photos}", settings=self.settings | {"photos": photos})


def load_profile(name: str, *, seeds: tuple[int, ...] | None = None) -> Profile:
    """The profile `notebooks/profiles/<name>.yaml`; `<name>-<photos>` is the same on other photographs, by their name.

    Raises:
        ValueError: there is no such profile, or it holds an unknown or ill-typed setting.
    """
    try:
        import yaml
    except ImportError as error:
        raise ValueError(f"profile {name!r} is a YAML file; to read it run `pip install pyyaml`") from error

    # A name may hold dashes, and so may that of photographs: the longest one that is a file is the profile's.
    parts = name.split("-")
    cuts = [("-".join(parts[:end]), "-".join(parts[end:])) for end in range(len(parts), 0, -1)]
    base, photos = next((cut for cut in cuts if (PROFILES / f"{cut[0]}.yaml").is_file()), ("", ""))
    if not base:
        known = ", ".join(sorted(found.stem for found in PROFILES.glob("*.yaml")))
        raise ValueError(f"there is no profile {name!r}; there are {known}")
    if photos:
        named(photos)
    path = PROFILES / f"{base}.yaml"
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError(f"expected lines of `setting: value`, not {settings!r}")  # noqa: TRY004
        listed = settings.pop("seeds", [0])
        if not isinstance(listed, list) or not listed:
            raise ValueError(f"seeds={listed!r}: expected a list, for example [0, 1]")
        for seed in listed:
            override(RunConfig(), settings | {"seed": seed})
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from error
    chosen = seeds or tuple(listed)
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"seeds {', '.join(map(str, chosen))}: each may stand once")
    profile = Profile(name=base, settings=settings, seeds=chosen)
    return profile.on(photos) if photos else profile
