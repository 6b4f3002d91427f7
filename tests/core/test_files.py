"""Tests of colorlib.files: atomic writes and digests."""

import errno
import hashlib
import json
import os
import re
import stat
import threading
import time
from pathlib import Path

import pytest

from colorlib import files


def test_sha256_is_that_of_the_bytes(tmp_path: Path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert files.sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_bytes(bytes(3_000_000))
    assert files.sha256(path) == hashlib.sha256(bytes(3_000_000)).hexdigest()


def test_the_digest_of_names_is_that_of_a_sha256sum_listing():
    listing = "1111  a\n0000  b\n"
    expected = hashlib.sha256(listing.encode()).hexdigest()
    assert files.sha256_of_names([("b", "0000"), ("a", "1111")]) == expected
    assert files.sha256_of_names([("a", "0000"), ("b", "1111")]) != expected


def test_bytes_are_written_into_folders_that_did_not_exist(tmp_path: Path):
    path = tmp_path / "a" / "b" / "c.bin"
    files.write_bytes(path, b"\0\r\n\xff")
    assert path.read_bytes() == b"\0\r\n\xff"
    files.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["c.bin"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_result_is_as_readable_as_any_other_file(tmp_path: Path):
    plain, ours = tmp_path / "plain", tmp_path / "ours"
    plain.write_bytes(b"")
    files.write_bytes(ours, b"")
    assert stat.S_IMODE(ours.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_names_the_file_and_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
):
    path = tmp_path / "result.csv"
    files.write_bytes(path, b"old")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match=rf"No space left on device: '{re.escape(str(path))}'"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.csv"]


def test_an_interrupted_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "result.csv"
    files.write_bytes(path, b"old")

    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.csv"]


def test_a_reader_never_sees_a_partial_file(tmp_path: Path):
    path = tmp_path / "x"
    versions = [bytes([i]) * 200_000 for i in range(2)]
    files.write_bytes(path, versions[0])
    done = threading.Event()

    def write() -> None:
        for i in range(60):
            files.write_bytes(path, versions[i % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        data = path.read_bytes()
        assert data in versions
        seen.add(data[0])
    writer.join()
    assert seen == {0, 1}


def test_text_is_utf8_with_unix_line_ends(tmp_path: Path):
    files.write_text(tmp_path / "x", "Süsstrunk\n")
    assert (tmp_path / "x").read_bytes() == b"S\xc3\xbcsstrunk\n"


def test_json_keeps_its_order_and_refuses_nan(tmp_path: Path):
    path = tmp_path / "x.json"
    files.write_json(path, {"b": 1 / 3, "a": "é"})
    text = path.read_text(encoding="utf-8")
    assert text == '{\n  "b": 0.3333333333333333,\n  "a": "é"\n}\n'
    assert json.loads(text)["b"] == 1 / 3
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, {"a": float("nan")})
    assert path.read_text(encoding="utf-8") == text


def test_a_failed_write_names_the_file_where_not_even_the_temporary_one_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(**options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "a temporary name")

    monkeypatch.setattr("colorlib.files.tempfile.mkstemp", refuse)
    with pytest.raises(OSError, match=rf"Read-only.*\'{re.escape(str(tmp_path / 'x'))}\'"):
        files.write_bytes(tmp_path / "x", b"")


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path: Path):
    path = tmp_path / ("x" * 255)
    files.write_bytes(path, b"data")
    assert path.read_bytes() == b"data"


def test_content_can_be_written_by_a_callback(tmp_path: Path):
    files.write_with(tmp_path / "x", lambda file: [file.write(bytes([i])) for i in range(3)])
    assert (tmp_path / "x").read_bytes() == b"\0\1\2"

    def fail(file: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        files.write_with(tmp_path / "x", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"\0\1\2"


def test_unchanged_compares_every_file_with_its_digest(tmp_path: Path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    digests = {path: files.sha256(path) for path in (one, other)}
    assert files.unchanged(digests)
    assert not files.unchanged(digests | {one: None})
    other.write_bytes(b"3")
    assert not files.unchanged(digests)
    other.unlink()
    assert not files.unchanged(digests)


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path):
    kept = [tmp_path / "x", tmp_path / ".hidden", tmp_path / "x.tmp"]
    for path in [*kept, tmp_path / ".x.abc123.tmp"]:
        path.write_bytes(b"")
    files.remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    files.remove_leftovers(tmp_path / "no such folder")


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [("a: 1\nb: 2\na: 3\n", 3, "a"), ("points:\n  - {name: x, epochs: 1, epochs: 2}\n", 2, "epochs")],
)
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, text: str, line: int, key: str):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}, line {line}\b.*'{key}'"):
        files.read_yaml(path)


def test_yaml_is_read_with_anchors_and_merged_mappings(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text("base: &base {epochs: 1}\nother:\n  <<: *base\n  seed: 2\n")
    assert files.read_yaml(path)["other"] == {"epochs": 1, "seed": 2}
    path.write_text("a: [1\n")
    with pytest.raises(ValueError, match=re.escape(str(path))):
        files.read_yaml(path)


def test_numbers_of_results_have_twelve_digits():
    assert files.round_floats({"a": [1 / 3, 2, True, "x", None]}) == {"a": [0.333333333333, 2, True, "x", None]}
    assert files.round_floats(7.605758731574193) == files.round_floats(7.605758731574201)


# JSON and YAML that lie


@pytest.mark.parametrize(
    ("content", "named"),
    [
        *(("", "value"), ("[]", "object"), ("{}", "inner"), ("[" * 99999, "deep")),
        ('{"inner": {"n": "1"}}', r"inner\.n"),
        *(('{"inner": {"n": true}}', r"inner\.n"), ('{"inner": {"n": 1}, "rows": [{}]}', r"rows\[0\]\.x")),
        *((f'{{"inner": {{"n": {"9" * 30}}}}}', "large"), ('{"inner": NaN}', "NaN"), ('{"inner": -1e999}', "1e999")),
    ],
)  # fmt: skip
def test_json_of_another_shape_is_named_with_its_field(tmp_path: Path, content: str, named: str):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*{named}.*mend it so"):
        files.read_json(path, {"inner": {"n": int}, "rows": [{"x": float}]}, fix="mend it so")


def test_json_with_all_its_fields_is_returned(tmp_path: Path):
    path = tmp_path / "x.json"
    content = {"inner": {"n": 1, "other": None}, "rows": [{"x": 1}, {"x": 0.1 + 0.2}]}
    files.write_json(path, content)
    assert files.read_json(path, {"inner": {"n": int}, "rows": [{"x": float}]}) == content


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
MERGED = "b0: &b0 {x: 1}\n" + "".join(f"b{n}: &b{n} {{<<: [*b{n - 1}, *b{n - 1}]}}\n" for n in range(1, 40))


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        MERGED,
        "a: &a [*a]",
        "[" * 5000,
        "? [1, 2]\n: 3",
        "a: 2001-99-99",
        "a: !!python/name:os.system",
        "a: [",
        "\0",
    ],
)
def test_yaml_that_lies_is_named_at_once(tmp_path: Path, text: str):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    started = time.monotonic()
    with pytest.raises(ValueError, match=re.escape(str(path))):
        files.read_yaml(path)
    assert time.monotonic() - started < 5


@pytest.mark.skipif(os.name == "nt", reason="Windows opens no folders")
def test_the_new_name_of_a_file_is_flushed_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(stat.S_ISDIR(os.fstat(handle).st_mode)))
    files.write_text(tmp_path / "x", "content")
    assert flushed == [False, True]
    (tmp_path / "x").unlink()

    def unsupported(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", unsupported)
    files.write_text(tmp_path / "x", "content")
    assert (tmp_path / "x").read_text() == "content"
