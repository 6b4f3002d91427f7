"""Which files of a folder are photographs, by one rule, and why the others are left out."""

import os
from pathlib import Path

from colorlib.photos.walk import find_photos, left_out_text, printable


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_files_are_found_by_their_endings_and_the_others_counted(tmp_path: Path):
    photos = [touch(tmp_path / name) for name in ("B.JPG", "a.jfif", "sub/c.avif", "sub/d.pbm")]
    for name in ("x.txt", "y.TXT", "z", ".hidden.jpg", "._a.jpg", ".thumbnails/a.jpg", "sub/@eaDir/b.jpg", "e.heic"):
        touch(tmp_path / name)
    found = find_photos(tmp_path)
    assert list(found.photos) == sorted(photos)
    assert found.left_out == {
        ".txt": 2, "no ending": 1, "hidden files": 2, "hidden or thumbnail folders": 2, ".heic": 1,
    }  # fmt: skip
    assert ".txt (2)" in left_out_text(found.left_out)


def test_links_and_pipes_are_safe(tmp_path: Path):
    photo = touch(tmp_path / "a/photo.jpg")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    (tmp_path / "a/link.jpg").symlink_to(photo)
    (tmp_path / "a/gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "a/self.jpg").symlink_to(tmp_path / "a/self.jpg")
    os.mkfifo(tmp_path / "a/pipe.jpg")
    found = find_photos(tmp_path)
    # Broken links are reported as files that cannot be read
    assert [path.name for path in found.photos] == ["gone.jpg", "link.jpg", "photo.jpg", "self.jpg"]
    assert found.left_out == {"links to folders": 1, "pipes and devices": 1}


def test_a_caller_may_leave_out_more(tmp_path: Path):
    for name in ("in/a.jpg", "out/b.jpg"):
        touch(tmp_path / name)
    found = find_photos(tmp_path, skip=lambda path: "made here" if path.name == "out" else None)
    assert [path.name for path in found.photos] == ["a.jpg"]
    assert found.left_out == {"made here": 1}


def test_a_name_that_is_not_utf_8_can_be_written(tmp_path: Path):
    path = Path(os.fsdecode(b"sub/M\xfcller.jpg"))
    assert printable(path) == r"sub/M\xfcller.jpg"
    assert printable(Path("sub/Müller.jpg")) == "sub/Müller.jpg"
