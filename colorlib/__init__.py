"""A reproducible companion to *Deep Learning for Image Colorization: An Encoder-Decoder Approach* (IJRPR 2025).

A method is a target (what is predicted) x a network (how) x an objective (what is rewarded). A run is a method,
photographs, a budget and a seed. Everything else reads what a run wrote.

The map: floor, module, its one job. A module imports modules of lower floors only; inside companion/ there are no
circles. tests/test_architecture.py holds the imports against this table.

```
0  color        sRGB and CIE LAB: pure functions on tensors
0  files        whole files or none, named by their SHA-256
0  images       any image file as the 8-bit sRGB picture a viewer would show
0  keys         randomness as a function of (seed, purpose, position), never a state
0  measurements what training tells whoever listens
0  model        the networks: NETWORKS, the paper's first
0  places       where files of photographs lie, and how they get here
0  ranks        several processes that train one network, as torchrun starts them
1  checkpoint   named tensors and a step in one file that verifies itself
1  costs        what a network costs and sees: multiply-adds, receptive field
1  critics      networks that judge colors: a discriminator, VGG-16's features
1  data         decoded photographs become batches
1  datasets     photographs that are data sets: CIFAR-10, torchvision's
1  decoded      decoded photographs, kept on disk and mapped into memory
1  derived      photographs made of others: shrunk, a share of them, several sources joined
1  devices      where the arithmetic runs, and its promise to give the same numbers again
1  learner      a module, its Adam and their average: SCHEDULES
1  metrics      how close a colorization is to the truth, one value per image
1  picture_files photographs as people keep them: transparency, resolution and dates are carried on
1  provenance   which source, which versions, which machine a number comes from
1  sources      photographs that are files: listed, bundled, in any folder
1  targets      what a network predicts: TARGETS
2  copy_places  which photographs people mean by files, folders and patterns, and where copies go
2  objectives   what training rewards: OBJECTIVES
2  photos       where photographs come from, by name: SOURCES
2  runs         the run directory: what a run is and did, written and read here alone
3  colorizer    gray to color for any image size; loads a run
3  config       the frozen description of a run, and the one path of every override
4  baselines    what trivial answers get: BASELINES
4  coloring     any photograph in memory, colored: load_colorizer
4  evaluate     any gray to color callable x a split: metrics per image, pooled, with intervals
4  identity     what a run is a function of, and how two differ
4  profiles     how much to spend: notebooks/profiles/*.yaml
5  copies       colored copies of people's photographs, made one after another
5  scoring      scores a finished run and leaves what a later reader relies on
5  trainer      the loop: a generator of measurements; to resume, start it again
6  companion/   notebooks, figures, tables and the report of finished runs
7  commands     what each command does; nothing heavy is imported before one needs it
8  cli          what may be written on the command line, and how a command ends
9  __main__     `python -m colorlib`
```

`trainer` stands higher than its imports ask for: so no module that reads runs can import it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from colorlib.coloring import load_colorizer

__all__ = ["load_colorizer"]


def __getattr__(name: str) -> object:
    """`load_colorizer`, once it is asked for: importing this package alone loads nothing heavy."""
    if name == "load_colorizer":
        from colorlib.coloring import load_colorizer

        return load_colorizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
