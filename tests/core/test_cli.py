"""Tests of colorlib.cli: exit status, printed text and written files of each command."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.training import PROJECT, set_options
from PIL import Image

from colorlib import profiles, trainer
from colorlib.cli import COMMANDS, READS_RUNS, main
from colorlib.photos.registry import SOURCES, open_photos
from colorlib.runs import Run

BUNDLED = ["3", "train", "1", "val", "3", "test"]


@pytest.fixture(autouse=True)
def no_other_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the tests independent of photographs on this machine and of the network."""
    monkeypatch.delenv("COLORLIB_DATA", raising=False)
    monkeypatch.setenv("COLORLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLORLIB_MIRROR", "http://127.0.0.1:9")  # the discard port: nothing listens there


@pytest.fixture
def train(photos, tmp_path):
    """Function that runs `colorlib train` into `tmp_path / "run"` and returns its exit status."""

    def command(*arguments: str, **changes: object) -> int:
        where = ["train", str(tmp_path / "run"), "--photos", f"folder:{photos}", "--device", "cpu", "--threads", "1"]
        return main([*where, *set_options(**({"epochs": 1} | changes)), *arguments])

    return command


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def counts(text: str, name: object) -> list[str]:
    """Return the numbers and splits in the one line that begins with `name:`, in their order."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name}:")]
    return re.findall(r"\d+|\b(?:train|val|test)\b", line.removeprefix(f"{name}:"))


# The command line itself


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert {"train", "evaluate", "colorize", "data", "doctor", "reproduce", "verify"} <= set(COMMANDS)
    for command in COMMANDS:
        assert re.search(rf"^    {command}\b", text, flags=re.MULTILINE)
    assert re.search(r"^ *colorlib train \S+ ", text, flags=re.MULTILINE), "the examples"


@pytest.mark.parametrize("command", COMMANDS)
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
    assert counts(printed.out, run) == ["2", "6"]
    assert f"colorlib evaluate {run}" in printed.out
    assert "6/6" in printed.err
    assert re.search(r"epoch 2\b\D+2\b\D+0\.0\d", printed.err), "the epoch, of how many, and its loss"
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
    for method, line in (("network", network), ("network, true L", true_lightness)):
        scores = metrics["methods"][method]
        assert line.startswith(f"{method}: ")
        assert f"MSE {scores['mse']['value']:.5f}" in line
        assert f"{scores['psnr_of_mse']['value']:.2f} dB" in line
        assert re.findall(r"(?<![\d.])\d+(?![\d.])", line) == ["2"], "photographs"
    rows = (run / "per_image.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in rows[1:3]] == ["network", "network"]
    assert len(rows) == 5

    assert main(["evaluate", str(run), "--split", "val", "--device", "cpu", "--threads", "1"]) == 0
    (other,) = run.glob("metrics-folder-*-val.json")
    assert json.loads(other.read_text())["photos"]["split"] == "val"
    assert json.loads((run / "metrics.json").read_text())["photos"]["split"] == "test"  # not overwritten

    assert main(["evaluate", str(run), "--split", "val", "--baselines"]) == 0
    (baselines,) = run.glob("baselines-folder-*-val.csv")
    assert str(baselines) in capsys.readouterr().out


def test_training_a_finished_run_again_changes_nothing(train, tmp_path, capsys):
    assert train() == 0
    before = (tmp_path / "run" / "weights.safetensors").read_bytes()
    capsys.readouterr()
    assert train() == 0
    printed = capsys.readouterr()
    assert counts(printed.out, tmp_path / "run") == ["1", "3"]
    assert "3/3" in printed.err
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == before


def test_the_bar_of_a_resumed_run_counts_earlier_updates(train, tmp_path, capsys):
    assert train(epochs=3) == 0
    (tmp_path / "run" / "checkpoints" / "update-00000009.safetensors").unlink()
    capsys.readouterr()
    assert train(epochs=3) == 0
    counts = [int(count) for count in re.findall(r"(\d+)/9 ", capsys.readouterr().err)]
    assert counts == sorted(counts)
    assert counts[-1] == 9


def test_train_names_a_damaged_checkpoint(train, tmp_path, capsys):
    assert train(epochs=2) == 0
    (tmp_path / "run" / "checkpoints" / "update-00000006.safetensors").write_bytes(b"")
    capsys.readouterr()
    assert train(epochs=2) == 0
    assert re.search(r"update-00000006\.safetensors.*before", capsys.readouterr().err)


def test_train_takes_a_profile_and_changes_of_it(photos, tmp_path):
    where = ["train", str(tmp_path / "run"), "--photos", f"folder:{photos}", "--seed", "3", "--device", "cpu"]
    assert main([*where, "--profile", "smoke", "--set", "epochs=1", "--set", "crops_per_epoch=2"]) == 0
    config = Run(tmp_path / "run").record()["config"]
    assert (config["epochs"], config["crops_per_epoch"], config["seed"]) == (1, 2, 3)
    assert config["crop_size"] == 32, "the profile's"


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["--set", "learning_rat=1"], ["'learning_rat'", "learning_rate"]),
        (["--set", "epochs=many"], ["epochs='many'", r"\bint\b"]),
        (["--set", "epochs=0"], ["epochs=0", r"\b1\b"]),
        (["--set", "epochs"], ["--set epochs", "NAME=VALUE"]),
        (["--seed", "one"], ["seed='one'", r"\bint\b"]),
        (["--profile", "tpu"], ["'tpu'", "bundled", "cpu", "lightweight", "paper"]),
        (["--photos", "imagenet"], ["'imagenet'", "bsds500", "bundled"]),
        (["--photos", "folder:/absent"], ["/absent", "folder:PATH"]),
        (["--photos", "bsds500"], ["colorlib data fetch bsds500", "COLORLIB_DATA"]),
        (["--device", "cuda:99"], ["device=cuda:99"]),
        (["--device", "abacus"], ["device=abacus"]),
        (["--device", "meta"], ["device=meta"]),
        (["--device", "hpu"], ["device=hpu"]),
        (["--threads", "0"], ["threads=0", r"\b1\b"]),
        (["--set", "crop_size=41"], [r"crop_size=41\b.*\b40\b"]),
        (["--set", "learning_rate=1e30"], [r"\bloss\b", r"update 2\b", r"epoch 1\b", "learning_rate"]),
    ],
)
def test_train_explains_a_mistake_in_one_line(train, tmp_path, capsys, arguments, facts):
    assert train(*arguments) == 1
    text = last_line(capsys.readouterr().err)
    assert text.startswith("colorlib train: ")
    for fact in facts:
        assert re.search(fact, text)
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    assert not list((tmp_path / "run").glob("checkpoints/*"))


def test_a_damaged_photograph_is_named(photos, tmp_path, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in photos.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    # The split depends on the content: some of these ten different files fall into train.
    whole = min(photos.iterdir()).read_bytes()
    for number in range(10):
        (folder / f"cut-{number}.png").write_bytes(whole[: 900 + number])
    arguments = ["--photos", f"folder:{folder}", "--device", "cpu", *set_options()]
    assert main(["train", str(tmp_path / "run"), *arguments]) == 1
    assert re.search(r"cut-\d\.png.*damaged", last_line(capsys.readouterr().err))


def fill(folder: Path, count: int = 40, gray: bool = False) -> Path:
    """A folder of small photographs of one color each."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        color = (5 * number,) * 3 if gray else (5 * number, 100, 200)
        Image.new("RGB", (16, 16), color).save(folder / f"{number}.png")
    return folder


def train_on(folder: Path, run: Path) -> int:
    return main(["train", str(run), "--photos", f"folder:{folder}", "--device", "cpu", *set_options(epochs=1)])


def test_names_that_are_not_utf_8_are_trained_on_and_scored(tmp_path, capsys):
    folder, run = fill(tmp_path / "mine"), tmp_path / "run"
    for path in sorted(folder.iterdir()):
        path.rename(os.fsdecode(os.fsencode(folder) + b"/M\xfcller" + os.fsencode(path.name)))
    assert train_on(folder, run) == 0
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    assert r"M\xfcller" in (run / "per_image.csv").read_text(encoding="utf-8")


def test_a_folder_whose_name_is_not_utf_8_is_named_before_training(tmp_path, capsys):
    folder = fill(tmp_path / os.fsdecode(b"M\xfcller"), 3)
    assert train_on(folder, tmp_path / "run") == 1
    assert r"M\xfcller" in last_line(capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_broken_and_too_small_photographs_are_told_in_one_list_before_training(tmp_path, capsys):
    folder = fill(tmp_path / "mine")
    for number in range(6):
        (folder / f"cut-{number}.png").write_bytes((folder / f"{number}.png").read_bytes()[: 50 - number])
        Image.new("RGB", (8 + number, 5), (number, 100, 200)).save(folder / f"small-{number}.png")
    assert train_on(folder, tmp_path / "run") == 1
    told = last_line(capsys.readouterr().err)
    used = {photo.name for split in ("train", "val") for photo in open_photos(f"folder:{folder}", split)}
    unusable = {name for name in used if "-" in name}
    assert len(unusable) > 6
    assert all(name in told for name in unusable)
    assert not (tmp_path / "run").exists(), "nothing is left behind"


def test_gray_photographs_and_files_that_are_left_out_are_told(tmp_path, capsys):
    folder = fill(tmp_path / "mine", gray=True)
    fill(folder / ".thumbnails", 5)
    (folder / "notes.txt").write_text("")
    assert train_on(folder, tmp_path / "run") == 0
    told = capsys.readouterr().err
    count = len(open_photos(f"folder:{folder}", "train"))
    assert f"{count} of {count} photographs for train are near gray" in told
    for fact in (".txt (1)", "thumbnail folders (1)"):
        assert fact in told


def test_another_run_is_refused_until_restart(train, tmp_path, capsys):
    assert train() == 0
    assert train(seed=4) == 1
    message = last_line(capsys.readouterr().err)
    assert re.search(r"seed=0\D+4\b", message)
    assert "--restart" in message
    assert train("--restart", seed=4) == 0
    assert Run(tmp_path / "run").record()["config"]["seed"] == 4


def test_an_interrupted_command_says_how_to_resume(train, monkeypatch, capsys):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(trainer, "train", interrupted)
    assert train() == 130
    message = last_line(capsys.readouterr().err)
    assert "interrupted" in message
    assert "checkpoint" in message


# evaluate


def test_evaluate_needs_a_finished_run(train, photos, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["evaluate", str(run), "--device", "cpu"]) == 1
    message = last_line(capsys.readouterr().err)
    assert str(run) in message
    assert "run.json" in message
    assert train() == 0
    assert main(["evaluate", str(run), "--device", "cpu", "--split", "best"]) == 1
    message = last_line(capsys.readouterr().err)
    assert "'best'" in message
    for split in ("train", "val", "test"):
        assert re.search(rf"\b{split}\b", message)
    assert main(["evaluate", str(run), "--device", "cuda:99"]) == 1
    assert "device=cuda:99" in last_line(capsys.readouterr().err)
    assert main(["evaluate", str(run), "--device", "cpu", "--photos", "nowhere"]) == 1
    assert "'nowhere'" in last_line(capsys.readouterr().err)
    (run / "weights.safetensors").unlink()
    assert main(["evaluate", str(run), "--device", "cpu"]) == 1
    message = last_line(capsys.readouterr().err)
    assert str(run) in message
    assert "weights.safetensors" in message
    assert not (run / "metrics.json").exists()


# data


def test_data_list_counts_the_photographs_on_this_machine(photos, capsys):
    assert main(["data", "list", f"folder:{photos}"]) == 0
    assert counts(capsys.readouterr().out, f"folder:{photos}") == ["5", "train", "2", "val", "2", "test"]
    assert main(["data", "list"]) == 0
    text = capsys.readouterr().out
    assert counts(text, "bundled") == BUNDLED
    assert counts(text, "bsds500") == counts(text, "cifar10") == [], "not on this machine"
    lines = text.splitlines()
    for name, source in SOURCES.items():
        (place,) = [place for place, line in enumerate(lines) if line.startswith(f"{name}:")]
        assert source.terms in lines[place + 1]


def test_data_verify_fails_if_a_file_is_missing_or_wrong(tmp_path, monkeypatch, capsys):
    assert main(["data", "verify", "bundled"]) == 0
    assert counts(capsys.readouterr().out, "bundled") == BUNDLED
    assert main(["data", "verify", "bsds500"]) == 1
    assert "colorlib data fetch bsds500" in capsys.readouterr().out
    wrong = tmp_path / "mine" / "bsds500" / "train" / "100075.jpg"
    wrong.parent.mkdir(parents=True)
    wrong.write_bytes(b"not the photograph")
    monkeypatch.setenv("COLORLIB_DATA", str(tmp_path / "mine"))
    assert main(["data", "verify", "bsds500"]) == 1
    assert re.search(rf"{re.escape(str(wrong))}.*SHA-256", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["list", "flickr"], ["'flickr'", "bsds500"]),
        (["verify", "flickr"], ["'flickr'", "bsds500"]),
        (["fetch", "flickr"], ["'flickr'", "bsds500"]),
        (["fetch"], ["source", "colorlib data fetch bsds500"]),
        (["fetch", "bundled"], [r"\bbundled\b", "fetch"]),
        (["fetch", "folder:pictures"], ["folder:pictures", "fetch"]),
        (["fetch", "bsds500"], [r"http://127\.0\.0\.1:9/bsds500/\S+\.jpg"]),
    ],
)
def test_data_explains_a_mistake_in_one_line(arguments, facts, tmp_path, capsys):
    assert main(["data", *arguments]) == 1
    text = last_line(capsys.readouterr().err)
    assert text.startswith("colorlib data: ")
    for fact in facts:
        assert re.search(fact, text)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()], "no partial download is left"


def test_a_relative_folder_of_photographs_is_recorded_absolute(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos.parent)
    options = set_options(epochs=1, crops_per_epoch=4, crop_size=8, batch_size=4)
    assert main(["train", str(tmp_path / "run"), "--photos", f"folder:{photos.name}", *options]) == 0
    assert Run(tmp_path / "run").record()["config"]["photos"] == f"folder:{photos.resolve()}"


def test_results_of_one_checkout_are_not_written_from_within_another(tmp_path, monkeypatch, capsys):
    (tmp_path / "colorlib").mkdir()
    (tmp_path / "colorlib" / "__init__.py").write_text("")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert main(["reproduce", "--profile", "smoke"]) == 1
    said = capsys.readouterr().err
    assert str(tmp_path) in said
    assert str(PROJECT) in said
    assert "make setup" in said


@pytest.mark.parametrize("photos", ["folder:/no/such", "folder:.", "torchvision:CIFAR10", "bsds50"])
@pytest.mark.parametrize("command", [["reproduce"], ["reproduce", "--only", "05_table1"]])
def test_results_of_photographs_without_a_name_of_their_own_are_refused_in_a_sentence(command, photos, capsys):
    assert main([*command, "--profile", "smoke", "--photos", photos]) == 1
    line = last_line(capsys.readouterr().err)
    assert photos in line
    assert "bsds500" in line
    assert ("colorlib train RUN --photos" in line) == (":" in photos)


@pytest.mark.parametrize("command", READS_RUNS)
def test_every_command_that_reads_runs_puts_them_back_first(command: str, monkeypatch: pytest.MonkeyPatch):
    done: list[str] = []
    text, add_options, _ = COMMANDS[command]
    monkeypatch.setitem(COMMANDS, command, (text, add_options, lambda options: done.append("command") or 0))
    monkeypatch.setattr(profiles, "restore_runs", lambda: done.append("restored"))
    needed = {"train": ["run"], "evaluate": ["run"], "colorize": ["photo.jpg"], "sweep": ["outlook"]}
    assert main([command, *needed.get(command, [])]) == 0
    assert done == ["restored", "command"]


def test_claims_take_those_that_are_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """In a fresh clone they are measured nowhere yet, and measuring takes minutes."""
    from colorlib.companion import pipeline

    told: list[dict[str, bool]] = []
    monkeypatch.setattr(pipeline, "measure_claims", lambda results, made, **options: told.append(options))
    assert main(["claims"]) == 0
    assert main(["claims", "--force"]) == 0
    assert [options["force"] for options in told] == [False, True]
    assert all(options["take"] for options in told)
    assert "claims.md" in last_line(capsys.readouterr().out)
