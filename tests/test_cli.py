"""The commands as a user meets them: exit status, what is printed, and what is left behind."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from training_fixtures import PROJECT, make_photos, set_options

from colorlib import devices, trainer
from colorlib.cli import main
from colorlib.runs import Run


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def no_photographs_but_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies on this machine, and what the network has, decides nothing here."""
    monkeypatch.delenv("COLORLIB_DATA", raising=False)
    monkeypatch.setenv("COLORLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLORLIB_MIRROR", "http://127.0.0.1:9")  # the discard port: nobody answers


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture
def train(photos, tmp_path):
    """The `train` command into `tmp_path / "run"`; returns its exit status."""

    def command(*arguments: str, **changes: object) -> int:
        where = ["train", str(tmp_path / "run"), "--photos", f"folder:{photos}", "--device", "cpu", "--threads", "1"]
        return main([*where, *set_options(**({"epochs": 1} | changes)), *arguments])

    return command


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


# The command line itself


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for command in ("train", "evaluate", "data", "doctor", "reproduce"):
        assert re.search(rf"^    {command}\b", text, flags=re.MULTILINE)
    assert "examples:" in text


@pytest.mark.parametrize("command", ["train", "evaluate", "data", "doctor", "reproduce"])
def test_each_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: colorlib {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: command"),
        (["paint"], "invalid choice: 'paint'"),
        (["train"], "the following arguments are required: run"),
        (["train", "run", "--threads", "two"], "invalid int value: 'two'"),
        (["train", "run", "--fast"], "unrecognized arguments: --fast"),
        (["data", "delete"], "invalid choice: 'delete'"),
    ],
)
def test_a_wrong_command_line_ends_with_status_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_the_module_is_the_command_line():
    done = subprocess.run([sys.executable, "-m", "colorlib", "train"], capture_output=True, text=True, cwd=PROJECT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: colorlib train ")
    assert "colorlib train: error: the following arguments are required: run" in done.stderr


# train


def test_train_then_evaluate(train, photos, tmp_path, capsys):
    run = tmp_path / "run"
    assert train(epochs=2) == 0
    printed = capsys.readouterr()
    assert f"{run}: 2 epochs, 6 updates" in printed.out
    assert f"colorlib evaluate {run}" in printed.out
    assert "6/6" in printed.err
    assert "epoch 2 of 2, loss 0.0" in printed.err
    assert len(Run(run).history()) == 2

    assert main(["evaluate", str(run), "--device", "cpu", "--threads", "1"]) == 0
    printed = capsys.readouterr()
    assert "2/2" in printed.err
    network, true_lightness = printed.out.splitlines()
    metrics = json.loads((run / "metrics.json").read_text())
    assert list(metrics["methods"]) == ["network", "network, true L"]
    assert metrics["updates"] == 6
    assert metrics["photos"]["source"] == f"folder:{photos}"
    assert (metrics["photos"]["split"], metrics["photos"]["count"]) == ("test", 2)
    assert network.startswith(f"network: MSE {metrics['methods']['network']['mse']['value']:.5f}, PSNR of it ")
    assert network.endswith("on 2 photographs")
    assert true_lightness.startswith("network, true L: MSE ")
    rows = (run / "per_image.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in rows[1:3]] == ["network", "network"]
    assert len(rows) == 5

    assert main(["evaluate", str(run), "--split", "val", "--device", "cpu", "--threads", "1"]) == 0
    (other,) = run.glob("metrics-folder-*-val.json")
    assert json.loads(other.read_text())["photos"]["split"] == "val"
    assert json.loads((run / "metrics.json").read_text())["photos"]["split"] == "test"  # not overwritten


def test_train_again_does_nothing_again(train, tmp_path, capsys):
    assert train() == 0
    before = (tmp_path / "run" / "weights.safetensors").read_bytes()
    capsys.readouterr()
    assert train() == 0
    printed = capsys.readouterr()
    assert "1 epochs, 3 updates" in printed.out
    assert "3/3" in printed.err
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == before


def test_the_bar_of_a_resumed_run_counts_what_was_done_before(train, tmp_path, capsys):
    assert train(epochs=3) == 0
    (tmp_path / "run" / "checkpoints" / "update-00000009.safetensors").unlink()
    capsys.readouterr()
    assert train(epochs=3) == 0
    counts = [int(count) for count in re.findall(r"(\d+)/9 ", capsys.readouterr().err)]
    assert counts == sorted(counts)
    assert counts[-1] == 9


def test_train_says_what_it_passed_over(train, tmp_path, capsys):
    assert train(epochs=2) == 0
    (tmp_path / "run" / "checkpoints" / "update-00000006.safetensors").write_bytes(b"")
    capsys.readouterr()
    assert train(epochs=2) == 0
    assert re.search(r"update-00000006\.safetensors .*; the one before it is taken", capsys.readouterr().err)


def test_train_takes_a_profile_and_what_is_set_beside_it(photos, tmp_path):
    where = ["train", str(tmp_path / "run"), "--photos", f"folder:{photos}", "--seed", "3", "--device", "cpu"]
    assert main([*where, "--profile", "smoke", "--set", "epochs=1", "--set", "crops_per_epoch=2"]) == 0
    config = Run(tmp_path / "run").record()["config"]
    assert (config["epochs"], config["crops_per_epoch"], config["seed"]) == (1, 2, 3)
    assert config["crop_size"] == 32, "the profile's"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "learning_rat=1"], "no setting is called 'learning_rat'; did you mean learning_rate?"),
        (["--set", "epochs=many"], "epochs='many': expected int"),
        (["--set", "epochs=0"], "epochs=0: it must be at least 1"),
        (["--set", "epochs"], "--set epochs: write NAME=VALUE"),
        (["--seed", "one"], "seed='one': expected int"),
        (["--profile", "tpu"], "there is no profile 'tpu'; there are bundled, cpu, lightweight, paper"),
        (["--photos", "imagenet"], "no photographs are called 'imagenet': there are bsds500, bundled"),
        (["--photos", "folder:/absent"], "/absent is not a folder"),
        (["--photos", "bsds500"], "run `colorlib data fetch bsds500` or set COLORLIB_DATA"),
        (["--device", "cuda:99"], "device=cuda:99: not on this machine"),
        (["--device", "abacus"], "device=abacus: not on this machine"),
        (["--device", "meta"], "device=meta: not on this machine"),
        (["--device", "hpu"], "device=hpu: not on this machine"),
        (["--threads", "0"], "threads=0: it must be at least 1"),
        (["--set", "crop_size=41"], "too small for crop_size=41; set crop_size to at most 40 or remove it"),
        (["--set", "learning_rate=1e30"], "the loss of update 2 (epoch 1) is "),
    ],
)
def test_what_cannot_be_trained_is_said_in_a_line(train, tmp_path, capsys, arguments, message):
    assert train(*arguments) == 1
    text = last_line(capsys.readouterr().err)
    assert text.startswith("colorlib train: ")
    assert message in text
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    assert not list((tmp_path / "run").glob("checkpoints/*"))


def test_a_damaged_photograph_is_named(photos, tmp_path, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in photos.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    # Copies of one file count once, and the split goes by content: some of these ten fall into train.
    whole = min(photos.iterdir()).read_bytes()
    for number in range(10):
        (folder / f"cut-{number}.png").write_bytes(whole[: 900 + number])
    arguments = ["--photos", f"folder:{folder}", "--device", "cpu", *set_options()]
    assert main(["train", str(tmp_path / "run"), *arguments]) == 1
    assert re.search(r"cut-\d\.png is damaged or truncated", last_line(capsys.readouterr().err))


def test_another_run_is_refused_until_restart(train, tmp_path, capsys):
    assert train() == 0
    assert train(seed=4) == 1
    assert "holds the state of another run (seed=0, not 4)" in (message := last_line(capsys.readouterr().err))
    assert "--restart" in message
    assert train("--restart", seed=4) == 0
    assert Run(tmp_path / "run").record()["config"]["seed"] == 4


def test_an_interrupted_command_says_how_to_go_on(train, monkeypatch, capsys):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(trainer, "train", interrupted)
    assert train() == 130
    assert last_line(capsys.readouterr().err) == "interrupted; the same command goes on from the last checkpoint"


# evaluate


def test_evaluate_needs_a_finished_run(train, photos, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["evaluate", str(run), "--device", "cpu"]) == 1
    assert "holds no run" in last_line(capsys.readouterr().err)
    assert train() == 0
    assert main(["evaluate", str(run), "--device", "cpu", "--split", "best"]) == 1
    assert "has no split called 'best'; it has train, val, test" in last_line(capsys.readouterr().err)
    assert main(["evaluate", str(run), "--device", "cuda:99"]) == 1
    assert "device=cuda:99: not on this machine" in last_line(capsys.readouterr().err)
    assert main(["evaluate", str(run), "--device", "cpu", "--photos", "nowhere"]) == 1
    assert "no photographs are called 'nowhere'" in last_line(capsys.readouterr().err)
    (run / "weights.safetensors").unlink()
    assert main(["evaluate", str(run), "--device", "cpu"]) == 1
    assert "is not finished: it has no weights.safetensors; go on with it first" in last_line(capsys.readouterr().err)
    assert not (run / "metrics.json").exists()


# data


def test_data_list_says_what_is_here(photos, capsys):
    assert main(["data", "list", f"folder:{photos}"]) == 0
    assert f"folder:{photos}: 5 train, 2 val, 2 test\n" in capsys.readouterr().out
    assert main(["data", "list"]) == 0
    text = capsys.readouterr().out
    assert "bundled: 3 train, 1 val, 3 test\n" in text
    assert "bsds500: not on this machine\n    terms: free for non-commercial research" in text
    assert "cifar10: not on this machine\n" in text


def test_data_verify_fails_where_something_is_missing_or_wrong(tmp_path, monkeypatch, capsys):
    assert main(["data", "verify", "bundled"]) == 0
    assert "bundled: 3 train, 1 val, 3 test\n" in capsys.readouterr().out
    assert main(["data", "verify", "bsds500"]) == 1
    assert "run `colorlib data fetch bsds500`" in capsys.readouterr().out
    wrong = tmp_path / "mine" / "bsds500" / "train" / "100075.jpg"
    wrong.parent.mkdir(parents=True)
    wrong.write_bytes(b"not the photograph")
    monkeypatch.setenv("COLORLIB_DATA", str(tmp_path / "mine"))
    assert main(["data", "verify", "bsds500"]) == 1
    assert f"{wrong} was changed or damaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "flickr"], "no photographs are called 'flickr': there are bsds500"),
        (["verify", "flickr"], "no photographs are called 'flickr': there are bsds500"),
        (["fetch", "flickr"], "no photographs are called 'flickr': there are bsds500"),
        (["fetch"], "name the source to fetch"),
        (["fetch", "bundled"], "bundled is not fetched"),
        (["fetch", "folder:pictures"], "folder:pictures is not fetched"),
        (["fetch", "bsds500"], "could not be downloaded"),
    ],
)
def test_data_errors_are_said_in_a_line(arguments, message, tmp_path, capsys):
    assert main(["data", *arguments]) == 1
    text = last_line(capsys.readouterr().err)
    assert text.startswith("colorlib data: ")
    assert message in text
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()], "nothing half-done stays behind"


# The device


def test_auto_takes_what_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.choose_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.choose_device("auto").type == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.choose_device("auto") == devices.choose_device("cpu") == torch.device("cpu")
