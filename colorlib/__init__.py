"""Reproducible companion to *Deep Learning for Image Colorization: An Encoder-Decoder Approach* (IJRPR 2025).

A method is a target (the quantity that is predicted), a network and a loss. A run is a method, photographs, a budget
and a seed; training writes it into a run directory, and everything else reads such directories.

All modules, in reading order. Imports between them point down only (pyproject.toml lists the layers).

```
config                 settings of a run (RunConfig), and how profiles and options change them
data                   decoded photographs -> training batches and validation crops
rng                    random numbers as functions of (seed, purpose, position), without state
color                  sRGB <-> CIE LAB on tensors
targets                quantities that a network predicts: RGB, a and b, bins of a and b
model                  networks; the paper's is the first
losses                 training losses, with the PatchGAN discriminator and VGG-16 features
features               image features of EfficientNet-Lite0, trained on ImageNet
optim                  train state (module, Adam, moving average), learning-rate schedules, autocast
trainer                training loop, a generator of progress events
checkpoint             named tensors and a step in one file that detects any damage to itself
runs                   run directories: their files, progress events, identity of a run
hints                  colors that a person gives at places of a photograph, spread to where it is alike
colorizers             functions from lightness to RGB: trained networks and baselines
metrics                MSE, PSNR, SSIM, CIEDE2000, ab AUC, colorfulness of one image
evaluate               metrics per image on a split, pooled with bootstrap intervals
device                 device, threads, determinism; the processes of distributed training
files                  atomic file writes, SHA-256
provenance             hash of the source code, versions, hardware, commit
profiles               named budgets (notebooks/profiles/*.yaml) and the folders of their results
cli, __main__          command line `colorlib`

photos/                photographs by name, verified
    registry           sources by name; resized, subsampled and joined photographs
    sources            files with checksums, photographs in packages, folders, CIFAR-10, torchvision
    decode             any image file -> 8-bit sRGB
    headers            what image files say of their samples
    walk               image files in folders
    download           folders of photographs on this machine, downloads
    cache              decoded photographs on disk, mapped into memory
colorize/              colored copies of anyone's photographs
    colorizer          load_colorizer: color an image in memory
    batch              color files and folders, one after another
    image_file         read and write image files with transparency, resolution and tags
    winograd           Winograd convolutions, where they are faster than direct ones
    label              label in a copy: its colors are guessed, by which network
companion/             notebooks, figures, tables, report: all that reads finished runs
    paper              numbers that the paper states
    steps              notebooks of a profile in order, their inputs and outputs
    notebooks          execute one notebook and record its outcome
    notebook_helpers   functions that notebook cells call
    results            results of a profile: records, histories, scores, read once
    tables             tables as Markdown and HTML
    costs              parameters, multiply-adds and receptive field of a network
    artifacts/         figures and tables, one module per notebook
        datasets       scores on one data set after another
        figures        Figure 1 (loss curve), Figures 2-3 (examples)
        hints          PSNR against the number of hints; bundled photographs colored
        outlook        the paper's ideas for better results, and the lightweight network, against its method
        published      published colorizers against ours
        table1         Table I
    sweeps/            one notebook executed at many points
        spec           YAML file of a sweep -> its points
        process        start and stop the process of a point
        run            run points on this machine or a Dask cluster
        summary        summary.csv of the finished points
        command        `colorlib sweep`
    claims/            claims of the paper and their verdicts
        claims          claims.yaml and measurements -> claims.json
        measurement     one number with its one interval; gains in five measures
        from_training   measurements of networks, loss histories and a resumed training
        from_scores     measurements from scores of photographs
        photo_measures  measures of the colors of a photograph and of its predictions
        from_pixels     these measures of every photograph: pixels.csv
        from_colors     measurements from pixels.csv: detail, distribution, ambiguity, faces, novelty
        text            claims table as Markdown and for the terminal
    explore/           interactive notebook explore.ipynb
        exploration    predictions, errors and receptive fields
        widgets        controls
    story              the result in one paragraph; photographs with better and worse colors than one color
    report/            HTML report
        page           the page with findings, figures, tables and verdicts; generated parts of the README
        findings       the result of each section in a heading and a sentence
        notebook_html  executed notebooks as HTML
    page/              page that colors photographs in a browser
        build          the page from two networks, the look-up table, photographs of its own and scripts
    article            PDF article
    pipeline           every output: files, inputs, function that builds it
    reproduce          `make reproduce`: run all steps that are not up to date
    doctor             this machine, and time and disk space of each profile on it
    verify/            check that the committed results still follow from the code
        verify         all checks of a profile
        consistency    agreement of committed files with each other
        rerun          recompute scores, retrain runs
        compare        compare two files by kind
```
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from colorlib.colorize.colorizer import load_colorizer

    __version__: str

__all__ = ["__version__", "load_colorizer"]


def __getattr__(name: str) -> object:
    """Import `load_colorizer` and look up `__version__` on first use, so that `import colorlib` loads nothing heavy."""
    if name == "load_colorizer":
        from colorlib.colorize.colorizer import load_colorizer

        return load_colorizer
    if name == "__version__":
        from importlib.metadata import version

        return version("colorlib")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
