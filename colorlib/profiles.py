"""Profiles: how much to spend, as files in notebooks/profiles/ that notebooks and the command line share."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from colorlib.config import RunConfig, override
from colorlib.provenance import PACKAGE

PROJECT = PACKAGE.parent
"""The checkout: notebooks/, results/ and figures/ lie in it."""
PROFILES = PROJECT / "notebooks" / "profiles"


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

    def config(self, seed: int) -> RunConfig:
        """The configuration of one run."""
        return override(RunConfig(), self.settings | {"seed": seed})

    def run(self, seed: int) -> Path:
        """The directory of one run."""
        return self.results / f"seed-{seed}"

    def on_bundled(self) -> "Profile":
        """The same budget on the bundled photographs, with folders of its own: it never overwrites the evidence."""
        if self.settings.get("photos") == "bundled":
            return self
        return replace(self, name=f"{self.name}-bundled", settings=self.settings | {"photos": "bundled"})


def load_profile(name: str, *, seeds: tuple[int, ...] | None = None) -> Profile:
    """The profile `notebooks/profiles/<name>.yaml`; `<name>-bundled` is the same on the bundled photographs.

    Raises:
        ValueError: there is no such profile, or it holds an unknown or ill-typed setting.
    """
    try:
        import yaml
    except ImportError as error:
        raise ValueError(f"profile {name!r} is a YAML file; to read it run `pip install pyyaml`") from error

    base = name.removesuffix("-bundled")
    path = PROFILES / f"{base}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in PROFILES.glob("*.yaml")))
        raise ValueError(f"there is no profile {name!r}; there are {known}")
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
    return profile.on_bundled() if base != name else profile
