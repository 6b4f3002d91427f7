"""The page that colors photographs, as text: its plans compute what the networks do, and it follows from results."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.html import Page
from PIL import Image

from colorlib.companion.explore.exploration import Exploration
from colorlib.companion.page import build
from colorlib.companion.page.build import KERNEL, OUTPUTS, look_up_table_ab, network_plan, page_html, page_inputs
from colorlib.companion.paper import EXAMPLES
from colorlib.companion.pipeline import outputs
from colorlib.companion.results import Results
from colorlib.companion.steps import files, look_up_table_file, steps
from colorlib.companion.verify.compare import Outcome
from colorlib.companion.verify.rerun import look_up_table_fitted
from colorlib.files import sha256
from colorlib.photos.registry import open_photos
from colorlib.profiles import PROJECT, Profile, load_profile

LIGHT = load_profile("lightweight")
RUNS = {name: PROJECT / "results" / name / "seed-0" for name in ("lightweight", "paper")}


@pytest.fixture
def copy(tmp_path: Path) -> Profile:
    """The inputs of the page in a folder of their own."""
    for path in page_inputs(LIGHT):
        if path.is_relative_to(PROJECT / "results"):
            target = tmp_path / path.relative_to(PROJECT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return replace(LIGHT, root=tmp_path)


def data_of(page: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(re.findall(r'<script id="data"[^>]*>(.*?)</script>', page)[0])
    return found


def execute(plan: build.Plan, light: torch.Tensor) -> torch.Tensor:
    """Execute a plan with PyTorch, as engine.js does with conv.c: `(H, W)` -> `(H, W, channels)`."""
    numbers = torch.from_numpy(np.frombuffer(b"".join(plan.weights), dtype="<f2").astype(np.float32))
    planes = {
        name: torch.zeros(1, plane["channels"], light.shape[0] // plane["shrunk"], light.shape[1] // plane["shrunk"])
        for name, plane in plan.planes.items()
    }
    planes["input"][0, 0] = light
    for step in plan.steps:
        source = planes[step["from"]]
        if step["kind"] == "enlarge":
            result = source.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        else:
            k, inputs, count = step["kernel"], step["channels"], step["outputs"]
            size = k * k * inputs * count
            weight = numbers[:size].reshape(count // OUTPUTS, k, k, inputs, OUTPUTS).permute(0, 4, 3, 1, 2)
            bias, numbers = numbers[size : size + count], numbers[size + count :]
            result = torch.nn.functional.conv2d(
                source[:, :inputs], weight.reshape(count, inputs, k, k), bias, stride=step["stride"], padding=k // 2
            )
            result = result.relu() if step["relu"] else result
        planes[step["to"]][:, step["offset"] : step["offset"] + result.shape[1]] = result
    assert len(numbers) == 0
    output = planes["output"][0, : plan.channels].movedim(0, -1)
    return {"tanh": output.tanh(), "sigmoid": output.sigmoid()}[plan.activation]


@pytest.mark.parametrize("name", RUNS)
def test_a_plan_computes_what_the_network_computes(name):
    from colorlib.colorizers import load_run

    light = torch.rand(32, 40, generator=torch.Generator().manual_seed(0))
    plan, network = network_plan(RUNS[name]), load_run(RUNS[name]).network
    with torch.no_grad():
        expected = network(light[None, None])[0].movedim(0, -1)
        assert torch.allclose(execute(plan, light), expected, atol=2e-3)
    assert (plan.halo, plan.stride) == (network.halo, network.stride)
    assert plan.tile % plan.stride == 0


def test_the_committed_page_is_made_from_committed_results():
    page = page_html(LIGHT)
    assert page.encode() == files(LIGHT, "page")[0].read_bytes()
    assert len(page.encode()) <= 4_100_000
    data = data_of(page)
    for name, run in RUNS.items():
        assert data["networks"][name]["sha256"] == sha256(run / "weights.safetensors")
        weights = base64.b64decode(data["networks"][name]["weights"])
        assert weights == b"".join(network_plan(run).weights)
    levels = look_up_table_ab(look_up_table_file(LIGHT))
    assert np.allclose(data["table"]["ab"], levels, atol=1e-4)


def test_the_page_says_the_numbers_of_the_tables(copy):
    path = files(copy, "table1")[0]
    table = pd.read_csv(path)
    table.loc[table["method"] == "network, true L", "PSNR of MSE"] = 33.33
    table.to_csv(path, index=False)
    assert "33.33" in Page(page_html(copy)).words
    assert "33.33" not in Page(page_html(LIGHT)).words


def test_the_page_is_an_output_of_the_lightweight_profile_alone():
    made = outputs(Results(LIGHT), steps(LIGHT))["page"]
    assert made.files == (LIGHT.results / "colorize.html",)
    assert set(build.PAGE_SOURCES) <= set(made.inputs)
    paper = load_profile("paper")
    assert "page" not in outputs(Results(paper), steps(paper))


def test_nothing_in_the_page_leads_out_of_it():
    page = page_html(LIGHT)
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)[0]
    assert policy.startswith("default-src 'none';")
    assert "connect-src" not in policy
    parsed = Page(page)
    assert parsed.links == []
    assert not re.search(r"""(?:src|href)=["']?https?:""", page)


@pytest.mark.parametrize("change", [lambda text: text[:400], lambda text: text.replace("0.5", "7.5"), lambda text: ""])
def test_a_damaged_look_up_table_is_named(copy, change):
    path = look_up_table_file(copy)
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=r"look_up_table\.csv.*make reproduce PROFILE=lightweight"):
        page_html(copy)


def test_a_network_that_the_page_cannot_execute_is_refused(copy):
    record = copy.run(0) / "run.json"
    text = record.read_text().replace('"network": "unet"', '"network": "skip"')
    record.write_text(text)
    with pytest.raises(ValueError, match="seed-0"):
        page_html(copy)


@pytest.mark.slow
def test_verify_fits_the_look_up_table_again(photographs, copy):
    (check,) = look_up_table_fitted(LIGHT)
    assert check.outcome == Outcome.PASSED
    path = look_up_table_file(copy)
    path.write_text(path.read_text().replace("0.5", "0.6", 1))
    (check,) = look_up_table_fitted(copy)
    assert check.outcome == Outcome.DIFFERS


@pytest.mark.slow
def test_the_kernel_is_compiled_from_its_source(tmp_path):
    pytest.importorskip("ziglang", reason="ziglang, a development dependency, compiles conv.c")
    shutil.copy(KERNEL, tmp_path)
    environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, *build.COMPILE, "-o", "conv.wasm", KERNEL.name]
    subprocess.run(command, cwd=tmp_path, check=True, env=environment)
    assert (tmp_path / "conv.wasm").read_bytes() == (build.SOURCES / "conv.wasm").read_bytes()


# Photographs of its own


def test_the_committed_examples_are_three_photographs_with_colors_on_a_grid():
    content = build.read_examples(load_profile("lightweight"))
    assert content.keys() >= build.EXAMPLE_FIELDS.keys()
    assert [example["name"] for example in content["examples"]] == list(EXAMPLES)
    for example in content["examples"]:
        picture = Image.open(io.BytesIO(base64.b64decode(example["jpeg"])))
        rows, columns = build.grid(picture.height, picture.width)
        assert (example["rows"], example["columns"]) == (len(rows), len(columns))
        assert len(base64.b64decode(example["ab"])) == 2 * build.KEPT * len(rows) * len(columns)


def test_like_patches_are_those_of_the_notebook(tmp_path: Path):
    """Many places at once, and the search of `explore` for one of them, name the same colors."""
    training = open_photos("bundled", "train")
    pixels = open_photos("bundled", "test").decode()[0][100:200, 60:180]
    exploration = Exploration(runs={}, training_photos=training, figures=tmp_path)
    exploration.add("part", pixels)
    at = [(0, 0), (50, 70), (99, 119)]
    many = build.like_patches(pixels, at, training)
    for (row, column), colors in zip(at, many, strict=True):
        similar = exploration.similar_pixels("part", row, column)
        expected = similar.colors[np.argsort(similar.distances, kind="stable")][: build.KEPT]
        np.testing.assert_allclose(colors, expected, atol=0.05)


def test_a_damaged_file_is_named(tmp_path: Path):
    profile = replace(load_profile("lightweight"), root=tmp_path)
    (path,) = files(profile, "examples")
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"examples\.json.*make page"):
        build.read_examples(profile)
