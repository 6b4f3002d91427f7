"""The page that colors a photograph: one HTML file with two networks, which needs no connection and cannot open one.

The page is filled from committed results. Its scripts and the convolutions (conv.c, compiled into conv.wasm) lie beside
this module; `load_colorizer` is the truth that its pixels are tested against.
"""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from colorlib.color import rgb_to_lab
from colorlib.colorize.label import Label, add_label
from colorlib.colorizers import load_run
from colorlib.companion.explore.exploration import PREVIEW, ab_of, light_of, longest, most_similar, patches_at
from colorlib.companion.paper import EXAMPLES
from colorlib.companion.steps import ELSEWHERE, LIGHTWEIGHT, PRIMARY, files, look_up_table_file, other_profile
from colorlib.evaluate import read_look_up_table
from colorlib.files import read_json, sha256, write_json, write_text
from colorlib.model import EncoderDecoder, UNet
from colorlib.photos import PhotoSet, open_photos
from colorlib.photos.decode import Pixels
from colorlib.profiles import Profile
from colorlib.runs import Run
from colorlib.targets import TARGETS

SOURCES = Path(__file__).parent
PAGE_SOURCES = tuple(SOURCES / name for name in ("template.html", "page.js", "engine.js", "worker.js", "conv.wasm"))
KERNEL = SOURCES / "conv.c"
COMPILE = (
    "-m", "ziglang", "cc", "-target", "wasm32-freestanding", "-O3", "-msimd128", "-nostdlib", "-Wl,--no-entry",
    "-Wl,--strip-all",
)  # fmt: skip
"""Arguments of Python that compile `KERNEL`, followed by `-o conv.wasm conv.c`."""
OUTPUTS = 8
"""Outputs that the kernel computes together; layers with fewer are filled up with zeros."""
TILES = {"encoder-decoder": 192, "unet": 384, "deep-unet": 192}
"""Network -> side in pixels of the parts that photographs are colored in, so that a worker needs below 150 MB."""

SPACING = 16
"""Distance in pixels of the places on the grid of an example."""
KEPT = 40
"""Training photographs whose pixels are kept for a place, those with the most similar patches."""
EXAMPLE_FIELDS: dict[str, Any] = {"photos": str, "count": int, "kept": int, "spacing": int, "examples": list}
"""Fields of examples.json."""


@dataclass(kw_only=True)
class Plan:
    """A network as a list of steps on planes, which engine.js executes."""

    halo: int
    stride: int
    tile: int
    view: int
    """Side of the square that a whole photograph is shrunk to; 0 if it is colored in parts at its own size."""
    target: str
    channels: int
    """Output channels."""
    activation: str
    """The last activation: `tanh` or `sigmoid`."""
    planes: dict[str, dict[str, int]] = field(default_factory=dict)
    """Name -> `channels`, and by which factor its sides are `shrunk`."""
    steps: list[dict[str, Any]] = field(default_factory=list)
    weights: list[bytes] = field(default_factory=list)
    """float16 weights and biases of each convolution, in the kernel's order."""

    def plane(self, name: str, channels: int, shrunk: int = 1) -> None:
        """Add a plane."""
        self.planes[name] = {"channels": channels, "shrunk": shrunk}

    def convolve(self, layer: nn.Conv2d, source: str, target: str, *, offset: int = 0, relu: bool = True) -> None:
        """Add a convolution from the first channels of one plane into channels of another, from `offset` on."""
        outputs = -(-layer.out_channels // OUTPUTS) * OUTPUTS
        weight, bias = _filled(layer.weight, outputs), _filled(layer.bias, outputs)
        # (outputs, inputs, k, k) -> (outputs / 8, k, k, inputs, 8)
        blocks = weight.reshape(-1, OUTPUTS, *weight.shape[1:]).permute(0, 3, 4, 2, 1)
        self.weights += [block.contiguous().numpy().astype("<f2").tobytes() for block in (blocks, bias)]
        self.steps.append(
            {
                "kind": "convolve",
                "from": source,
                "to": target,
                "offset": offset,
                "channels": layer.in_channels,
                "outputs": outputs,
                "kernel": layer.kernel_size[0],
                "stride": layer.stride[0],
                "relu": relu,
            }
        )

    def enlarge(self, source: str, target: str, *, offset: int) -> None:
        """Add an enlargement to twice the size, nearest neighbor."""
        self.steps.append({"kind": "enlarge", "from": source, "to": target, "offset": offset})


def _filled(values: Tensor | None, outputs: int) -> Tensor:
    """Return a parameter with rows of zeros up to this number of outputs."""
    assert values is not None
    filled = values.new_zeros(outputs, *values.shape[1:])
    filled[: len(values)] = values
    return filled


@torch.no_grad()
def network_plan(run: Path) -> Plan:
    """Return the network of a run as a plan.

    Raises:
        ValueError: there is no finished run, or the page cannot execute its network.
    """
    colorizer = load_run(run)
    network, name = colorizer.network, Run(run).record()["config"]["network"]
    if name not in TILES:
        raise ValueError(f"{run}: the page executes {', '.join(TILES)}, not network={name}")
    head = colorizer.target.head
    plan = Plan(
        halo=network.halo,
        stride=network.stride,
        tile=TILES[name],
        view=colorizer.view,
        target=next(key for key, row in TARGETS.items() if isinstance(colorizer.target, row)),
        channels=head.channels,
        activation=head.activation().__class__.__name__.lower(),
    )
    plan.plane("input", 1)
    if isinstance(network, EncoderDecoder):
        _chain(plan, [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)])
    else:
        assert isinstance(network, UNet)
        _unet(plan, network)
    return plan


def _chain(plan: Plan, layers: list[nn.Conv2d]) -> None:
    """Add convolutions one after another."""
    source = "input"
    for number, layer in enumerate(layers, start=1):
        last = number == len(layers)
        target = "output" if last else f"layer{number}"
        plan.plane(target, OUTPUTS if last else layer.out_channels)
        plan.convolve(layer, source, target, relu=not last)
        source = target


def _unet(plan: Plan, network: UNet) -> None:
    """Add a U-Net. The plane of a level holds the encoder's output, then that of the decoder below: concatenated."""
    widths, deepest = network.widths, len(network.widths) - 1
    for level, width in enumerate(widths):
        plan.plane(f"level{level}", width if level == deepest else 2 * width, 2**level)
    plan.convolve(network.stem, "input", "level0")
    for level, (down, inner) in enumerate(zip(network.down, network.inner, strict=True), start=1):
        assert isinstance(down, nn.Conv2d)
        assert isinstance(inner, nn.Conv2d)
        plan.plane(f"down{level}", widths[level], 2**level)
        plan.convolve(down, f"level{level - 1}", f"down{level}")
        plan.convolve(inner, f"down{level}", f"level{level}")
    source = f"level{deepest}"
    for level in reversed(range(deepest)):
        up, merge = network.up[level], network.merge[level]
        assert isinstance(up, nn.Conv2d)
        assert isinstance(merge, nn.Conv2d)
        plan.plane(f"up{level}", widths[level], 2 ** (level + 1))
        plan.plane(f"merged{level}", widths[level], 2**level)
        plan.convolve(up, source, f"up{level}", relu=False)
        plan.enlarge(f"up{level}", f"level{level}", offset=widths[level])
        plan.convolve(merge, f"level{level}", f"merged{level}")
        source = f"merged{level}"
    out = network.out[0]
    assert isinstance(out, nn.Conv2d)
    plan.plane("output", OUTPUTS)
    plan.convolve(out, source, "output", relu=False)


# Photographs of its own


def write_examples(profile: Profile) -> None:
    """Write examples.json of a profile: three bundled photographs, with the colors of gray patches like theirs.

    It holds the pixels of each as JPEG and, for places on a coarse grid, the true a and b of pixels of the primary
    profile's training photographs whose gray patches are most like the one at the place.

    Raises:
        PhotosMissingError: the training photographs are not on this machine.
    """
    training = open_photos(_profile(profile, PRIMARY).photos, "train")
    bundled = {photo.name: photo for photo in open_photos("bundled", "test")}
    found = []
    for name, (photograph, _, title) in EXAMPLES.items():
        buffer = io.BytesIO()
        Image.fromarray(longest(bundled[photograph].load(), PREVIEW)).save(buffer, "JPEG", quality=90)
        pixels = np.asarray(Image.open(buffer))
        rows, columns = grid(*pixels.shape[:2])
        colors = like_patches(pixels, [(row, column) for row in rows for column in columns], training)
        found.append(
            {
                "name": name,
                "title": title,
                "rows": len(rows),
                "columns": len(columns),
                "jpeg": base64.b64encode(buffer.getvalue()).decode(),
                "ab": base64.b64encode(np.round(colors).astype(np.int8).tobytes()).decode(),
            }
        )
    content = {"photos": training.source, "count": len(training), "kept": KEPT, "spacing": SPACING, "examples": found}
    write_json(files(profile, "examples")[0], content)


def read_examples(profile: Profile) -> dict[str, Any]:
    """Return the content of examples.json.

    Raises:
        ValueError: it is missing or damaged.
    """
    return read_json(files(profile, "examples")[0], EXAMPLE_FIELDS, fix="delete it and run `make page`")


def grid(height: int, width: int) -> tuple[range, range]:
    """Return the rows and the columns of the grid's places in a picture."""
    return range(SPACING // 2, height, SPACING), range(SPACING // 2, width, SPACING)


@torch.no_grad()
def like_patches(pixels: Pixels, at: Sequence[tuple[int, int]], training: PhotoSet) -> NDArray[np.float32]:
    """Return the true a and b of the pixels whose gray patches are most similar to those at some places.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB.
        at: row and column of each place.
        training: photographs of at least `PATCH` pixels; each gives the pixel with its most similar patch.

    Returns:
        `(places, KEPT, 2)`, the most similar first.
    """
    wanted = patches_at(pixels, at)
    colors, distances = [], []
    for photo in training:
        decoded = photo.load()
        rows, columns, mean_square = most_similar(light_of(decoded), wanted)
        colors.append(ab_of(decoded)[:, rows, columns].T)
        distances.append(mean_square)
    order = torch.stack(distances).argsort(dim=0, stable=True)[:KEPT]  # (KEPT, places)
    chosen = torch.stack(colors).gather(0, order[..., None].expand(-1, -1, 2))
    return chosen.transpose(0, 1).contiguous().numpy()


# The page


def page_inputs(profile: Profile) -> tuple[Path, ...]:
    """Return the files that the page is made from, whether or not they exist."""
    runs = [_profile(profile, name).run(0) for name in (LIGHTWEIGHT, PRIMARY)]
    return (
        *(run / name for run in runs for name in ("run.json", "weights.safetensors")),
        look_up_table_file(profile),
        *files(profile, "examples"),
        *(files(_profile(profile, name), "table1")[0] for name in (LIGHTWEIGHT, PRIMARY)),
        files(_profile(profile, PRIMARY), "datasets")[0],
        *PAGE_SOURCES,
    )


def write_page(profile: Profile) -> Path:
    """Write results/<profile>/colorize.html: the same bytes for the same results.

    Raises:
        ValueError: a run, the look-up table or a table is missing or damaged.
    """
    (path,) = files(profile, "page")
    write_text(path, page_html(profile))
    return path


def page_html(profile: Profile) -> str:
    """Return the page.

    Raises:
        ValueError: as `write_page`.
    """
    table = look_up_table_file(profile)
    networks = {}
    for name in (LIGHTWEIGHT, PRIMARY):
        run = _profile(profile, name).run(0)
        plan = asdict(network_plan(run))
        weights = b"".join(plan.pop("weights"))
        networks[name] = {
            "plan": plan,
            "weights": base64.b64encode(weights).decode(),
            "sha256": sha256(run / "weights.safetensors"),
        }
    data = {
        "kernel": base64.b64encode((SOURCES / "conv.wasm").read_bytes()).decode(),
        "networks": networks,
        "table": {
            "ab": [[round(float(value), 4) for value in row] for row in look_up_table_ab(table)],
            "sha256": sha256(table),
        },
        "label": _label_template(),
        "examples": read_examples(profile),
    }
    engine = (SOURCES / "engine.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SOURCES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    page = environment.get_template("template.html").render(
        script=(SOURCES / "page.js").read_text(encoding="utf-8"),
        worker=_in_script(engine + (SOURCES / "worker.js").read_text(encoding="utf-8")),
        data=_in_script(data),
        expected=_expected(profile),
        elsewhere=_elsewhere(profile),
        test_photographs=_rows(profile, LIGHTWEIGHT)["gray"]["images"],
        photos=profile.photos,
        examples=data["examples"],
    )
    return page if page.endswith("\n") else f"{page}\n"


def look_up_table_ab(path: Path) -> Tensor:
    """Return a and b of each level of a look-up table, `(LEVELS, 2)` float64.

    Raises:
        ValueError: the file is missing or damaged.
    """
    return rgb_to_lab(read_look_up_table(path).T[:, None])[1:, 0].T


def _profile(profile: Profile, name: str) -> Profile:
    return other_profile(profile, name)


def _in_script(value: object) -> str:
    """Return JSON that can stand in a script element: no tag can end it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _label_template() -> str:
    """Return the XMP packet of a copy with PHOTOGRAPH, NETWORK and OPTIONS in place of what the page knows."""
    packet, _ = add_label(b"", Label(photograph="PHOTOGRAPH", network="NETWORK", options={"OPTIONS": ""}))
    text = packet.decode().replace("{&quot;OPTIONS&quot;: &quot;&quot;}", "OPTIONS")
    assert all(text.count(name) == 1 for name in ("PHOTOGRAPH", "NETWORK", "OPTIONS"))
    return text


def _rows(profile: Profile, name: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a profile's Table I by method."""
    rows = _table(_profile(profile, name), "table1").to_dict("records")
    return {str(row["method"]): {str(key): value for key, value in row.items()} for row in rows}


def _table(profile: Profile, result: str) -> pd.DataFrame:
    """Return a table of results.

    Raises:
        ValueError: it does not exist.
    """
    path = files(profile, result)[0]
    if not path.is_file():
        raise ValueError(f"{path} does not exist; run `make reproduce PROFILE={profile.name}` first")
    return pd.read_csv(path)


def _elsewhere(profile: Profile) -> str:
    """Return a sentence with the PSNR of the paper's network and of gray on photographs of another source."""
    table = _table(_profile(profile, PRIMARY), "datasets")
    rows = table[table["photographs"].str.endswith(f" of {ELSEWHERE}")]
    psnr = dict(zip(rows["method"], rows["PSNR of MSE"].astype(float), strict=True))
    return (
        f"On {rows['photographs'].iloc[0]}, another source, the paper’s network reaches "
        f"{psnr['visiting network']:.2f} dB and gray {psnr['gray']:.2f} dB."
    )


def _expected(profile: Profile) -> list[dict[str, Any]]:
    """Return the rows of the table of what to expect: method, PSNR of the pooled MSE, gain over gray with interval."""
    light, paper = _rows(profile, LIGHTWEIGHT), _rows(profile, PRIMARY)
    methods = {
        "lightweight network": light["network, true L"],
        "the paper’s network": paper["network, true L"],
        "look-up table": light["look-up table"],
        "gray": light["gray"],
    }
    return [
        {
            "method": method,
            "psnr": row["PSNR of MSE"],
            "gain": row["gain over gray"],
            "low": row["gain over gray low"],
            "high": row["gain over gray high"],
        }
        for method, row in methods.items()
    ]
