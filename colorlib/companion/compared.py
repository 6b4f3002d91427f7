"""Which profiles are held against each other, and the files that this is read from."""

from dataclasses import replace
from pathlib import Path

from colorlib.profiles import Profile, load_profile
from colorlib.scoring import score_files

EVIDENCE = "paper"
"""The profile that verdicts, article and the table of sources are read from."""
COMPARED = ("cpu", "cpu-imagenet-sample@256", "paper-cifar10", "bundled")
"""Profiles whose photographs stand beside those of the evidence in the table of sources."""
LIGHTWEIGHT = "lightweight"
"""The sweep that chooses a network within the paper's budget, and the profile that trains what it chose."""
SMALL = "paper-cifar10"
"""The profile with by far the most photographs, small ones: how results scale with their number."""


def contestants(profile: Profile) -> list[Profile]:
    """The network within the paper's budget and the paper's own, in the folders that `profile` is in."""
    return [replace(load_profile(name), root=profile.root) for name in (LIGHTWEIGHT, EVIDENCE)]


def contest_files(profile: Profile) -> list[Path]:
    """What the contest of those two is made of, whether it exists or not."""
    return [
        path
        for of in contestants(profile)
        for path in (of.results / "per_image.csv", *(of.run(seed) / "run.json" for seed in of.seeds))
    ]


def compared_profiles(profile: Profile) -> list[Profile]:
    """Whose results stand side by side in the table of sources: the profile's own and, for the evidence, others'."""
    others = [replace(load_profile(name), root=profile.root) for name in COMPARED if profile.name == EVIDENCE]
    return [profile, *(held for held in others if (held.results / "per_image.csv").is_file())]


def visit(profile: Profile, other: Profile, seed: int) -> Path:
    """Where the scores of a profile's run on another profile's photographs lie."""
    return score_files(profile.run(seed), other.photos, "test", own=profile.photos)[1]


def source_files(profile: Profile) -> list[Path]:
    """The files of a profile and of others that the table of sources is made of, those that exist."""
    named = [
        path
        for other in compared_profiles(profile)
        for path in (
            other.results / "per_image.csv",
            *(other.run(seed) / "metrics.json" for seed in other.seeds),
            *(visit(profile, other, seed) for seed in profile.seeds if other.photos != profile.photos),
        )
    ]
    return [path for path in dict.fromkeys(named) if path.is_file()]
