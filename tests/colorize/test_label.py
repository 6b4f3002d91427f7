"""Labels of colored copies: what they say, what of an old packet stays, and packets that are no XMP."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers.pictures import encoded, smooth

from colorlib import cli
from colorlib.colorize.label import GUESSED, IPTC_EXTENSION, RDF, Label, add_label, read_label

LABEL = Label(photograph="ab" * 32, network="cd" * 32, options={"saturation": 1.0, "hints": [[0.1, 0.2, "#a0522d"]]})
OLD = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 e:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/negativeFilm" tiff:Make="Leica">
<tiff:Orientation>6</tiff:Orientation>
<dc:title><rdf:Alt><rdf:li xml:lang="de">Gro\xc3\x9fmutter &amp; ich</rdf:li></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def source_types(xmp: bytes) -> list[str]:
    descriptions = ElementTree.fromstring(xmp).iter(f"{{{RDF}}}Description")
    name = f"{{{IPTC_EXTENSION}}}DigitalSourceType"
    return [one.attrib[name] for one in descriptions if name in one.attrib]


@pytest.mark.parametrize("xmp", [b"", OLD])
def test_a_label_is_read_as_it_was_written(xmp: bytes):
    labeled, note = add_label(xmp, LABEL)
    assert note is None
    assert read_label(xmp) is None
    assert read_label(labeled) == LABEL
    assert source_types(labeled) == [GUESSED], "instead of an earlier one"


def test_a_second_label_takes_the_place_of_the_first():
    other = Label(photograph="ef" * 32, network="", options={})
    labeled, _ = add_label(add_label(OLD, LABEL)[0], other)
    assert read_label(labeled) == other
    assert source_types(labeled) == [GUESSED]


def test_what_else_a_packet_says_stays():
    labeled, _ = add_label(OLD, LABEL)
    for kept in ("Großmutter &amp; ich", 'xml:lang="de"', "Leica", "uuid:1"):
        assert kept.encode() in labeled
    assert b"Orientation" not in labeled, "the copy is upright"
    abouts = {one.attrib[f"{{{RDF}}}about"] for one in ElementTree.fromstring(labeled).iter(f"{{{RDF}}}Description")}
    assert abouts == {"uuid:1"}


def test_a_label_whose_attributes_became_elements_is_read():
    labeled, _ = add_label(b"", LABEL)
    space = "urn:colorlib:copy:1#"
    rewritten = labeled.replace(f'colorlib:Photograph="{LABEL.photograph}"'.encode(), b"").replace(
        b"</rdf:RDF>",
        f"""<rdf:Description xmlns:c="{space}"><c:Photograph>{LABEL.photograph}</c:Photograph>
    </rdf:Description></rdf:RDF>""".encode(),
    )
    found = read_label(rewritten)
    assert found is not None
    assert found.photograph == LABEL.photograph


@pytest.mark.parametrize(
    "xmp",
    [
        b"junk",
        OLD[:300],
        b"<a/>",
        b"\xff\xfe\0",
        OLD.replace(b"<x:xmpmeta", b'<!DOCTYPE x [<!ENTITY a "b">]><x:xmpmeta', 1),
    ],
)
def test_a_packet_that_is_no_xmp_is_replaced_and_this_is_said(xmp: bytes):
    labeled, note = add_label(xmp, LABEL)
    assert note is not None
    assert "XMP" in note
    assert read_label(labeled) == LABEL


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif", ".webp"])
def test_exiftool_reads_the_label_of_a_copy(tmp_path: Path, ending: str):
    exiftool = shutil.which("exiftool")
    if exiftool is None:
        pytest.skip("exiftool is not installed")
    photo, copy = tmp_path / f"old{ending}", tmp_path / f"new{ending}"
    kind = {".jpg": "JPEG", ".tif": "TIFF"}.get(ending, ending[1:].upper())
    photo.write_bytes(encoded(smooth(40, 50), kind))
    told = ["-XMP-dc:Creator=A. Person", "-XMP-iptcExt:DigitalSourceType=negativeFilm", "-EXIF:Artist=A. Person"]
    subprocess.run([exiftool, "-q", "-overwrite_original", *told, str(photo)], check=True)
    assert cli.main(["colorize", str(photo), "-o", str(copy), "--saturation", "0.5"]) == 0
    found = json.loads(subprocess.run([exiftool, "-j", "-G1", "-n", str(copy)], capture_output=True, check=True).stdout)
    (tags,) = found
    assert tags["XMP-iptcExt:DigitalSourceType"] == GUESSED
    values = [str(value) for value in tags.values()]
    assert hashlib.sha256(photo.read_bytes()).hexdigest() in values
    assert any('"saturation": 0.5' in value for value in values)
    assert tags["XMP-dc:Creator"] == "A. Person"
    assert tags["IFD0:Artist"] == "A. Person"
    warned = subprocess.run([exiftool, "-validate", "-warning", "-a", str(copy)], capture_output=True, text=True)
    assert "XMP" not in warned.stdout
