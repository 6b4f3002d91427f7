"""What pyproject.toml cannot say: a wheel holds the profiles and the weights of three runs, from outside colorlib/."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HELD = (
    *sorted(path.as_posix() for path in Path("notebooks/profiles").glob("*.yaml")),
    *(
        f"results/{profile}/seed-0/{name}"
        for profile in ("lightweight", "paper", "small")
        for name in ("run.json", "metrics.json", "weights.safetensors")
    ),
)
"""Files of the checkout that a wheel holds in colorlib/project/, at the same relative paths."""


class BuildWithProject(build_py):
    """`build_py` that copies `HELD`. An editable install reads the checkout itself."""

    def run(self) -> None:
        """Build the package, then copy the files."""
        super().run()
        if not self.editable_mode:
            for name in HELD:
                target = self._target(name)
                self.mkpath(str(Path(target).parent))
                self.copy_file(name, target, preserve_mode=False)

    def get_source_files(self) -> list[str]:
        """Return the sources, which a source archive contains."""
        return [*super().get_source_files(), *HELD]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return the built files."""
        held = [] if self.editable_mode else map(self._target, HELD)
        return [*super().get_outputs(include_bytecode), *held]

    def _target(self, name: str) -> str:
        return str(Path(self.build_lib, "colorlib", "project", name))


setup(cmdclass={"build_py": BuildWithProject})
