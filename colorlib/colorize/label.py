"""Label in the XMP of every colored copy: its colors are guessed, by which network, from which photograph, how.

The property `Iptc4xmpExt:DigitalSourceType` is IPTC's (https://cv.iptc.org/newscodes/digitalsourcetype/), which
archives, agencies and search engines read. By the label, and not by a file's name, colorlib knows its own copies.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from xml.dom import Node, minidom
from xml.parsers.expat import ExpatError

from colorlib.photos.headers import OWN

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
GUESSED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's term for a photograph with parts that a trained model made."""
DESCRIBE_THE_OLD_FILE = {
    "http://ns.adobe.com/tiff/1.0/": {
        "Orientation", "ImageWidth", "ImageLength", "BitsPerSample", "SamplesPerPixel", "Compression",
        "PhotometricInterpretation", "PlanarConfiguration", "XResolution", "YResolution", "ResolutionUnit",
    },
    "http://ns.adobe.com/exif/1.0/": {"PixelXDimension", "PixelYDimension", "ColorSpace"},
    "http://ns.adobe.com/photoshop/1.0/": {"ICCProfile", "ColorMode"},
    "http://ns.adobe.com/xap/1.0/": {"Thumbnails"},
    "http://ns.adobe.com/xmp/note/": {"HasExtendedXMP"},
    IPTC_EXTENSION: {"DigitalSourceType"},
}  # fmt: skip
"""Namespace -> properties that are not true of a copy: it is upright, of other samples, and its source is the label."""
EMPTY = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about=""/></rdf:RDF>'
    "</x:xmpmeta>"
)
"""XMP packet without properties."""


@dataclass(frozen=True, kw_only=True)
class Label:
    """What a copy says of itself."""

    photograph: str
    """SHA-256 of the photograph's file."""
    network: str
    """SHA-256 of the network's weights; empty if the palette of a photograph was taken."""
    options: Mapping[str, object]
    """Options that change pixels, and the color hints: JSON data."""


def add_label(xmp: bytes, label: Label) -> tuple[bytes, str | None]:
    """Return an XMP packet with the label in place of an earlier one, and a remark if the old packet had to go.

    Args:
        xmp: the photograph's packet, empty if it has none.
        label: the label.
    """
    note = None
    document = _parse(xmp or EMPTY.encode())
    if document is None:
        document, note = _parse(EMPTY.encode()), "its XMP is damaged and was left out"
        assert document is not None
    (container,) = document.getElementsByTagNameNS(RDF, "RDF")[:1]
    descriptions = [
        child for child in container.childNodes if child.nodeType == Node.ELEMENT_NODE and child.namespaceURI == RDF
    ]
    # Drop properties that are not true of the copy
    for description in descriptions:
        for attribute in list(description.attributes.values()):
            if _is_dropped(attribute):
                description.removeAttributeNode(attribute)
        for child in list(description.childNodes):
            if _is_dropped(child):
                description.removeChild(child)
    # Add the label as a description of its own
    about = descriptions[0].getAttributeNS(RDF, "about") if descriptions else ""
    added = document.createElementNS(RDF, "rdf:Description")
    added.setAttribute("xmlns:rdf", RDF)
    added.setAttributeNS(RDF, "rdf:about", about)
    for prefix, space, name, value in (
        ("Iptc4xmpExt", IPTC_EXTENSION, "DigitalSourceType", GUESSED),
        ("colorlib", OWN, "Photograph", label.photograph),
        ("colorlib", OWN, "Network", label.network),
        ("colorlib", OWN, "Options", _as_text(label.options)),
    ):
        added.setAttribute(f"xmlns:{prefix}", space)
        added.setAttributeNS(space, f"{prefix}:{name}", value)
    container.appendChild(added)
    assert document.documentElement is not None
    root = document.documentElement.toxml().encode()
    begin, end = "<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>\n", "\n<?xpacket end='w'?>"
    return begin.encode() + root + end.encode(), note


def read_label(xmp: bytes) -> Label | None:
    """Return the label of a copy, or None if a packet has none."""
    if OWN.encode() not in xmp or (document := _parse(xmp)) is None:
        return None
    for description in document.getElementsByTagNameNS(RDF, "Description"):
        # Other programs may turn attributes into elements.
        found = {name: _property(description, name) for name in ("Photograph", "Network", "Options")}
        if found["Photograph"] is not None:
            try:
                options = json.loads(found["Options"] or "{}")
            except ValueError:
                options = {}
            return Label(photograph=found["Photograph"], network=found["Network"] or "", options=options)
    return None


def _as_text(options: Mapping[str, object]) -> str:
    return json.dumps(options, sort_keys=True)


def _parse(xmp: bytes) -> minidom.Document | None:
    """Return a packet as a document; None if it is no XMP. Entities, which can grow without limit, are refused."""
    if b"<!DOCTYPE" in xmp or b"<!ENTITY" in xmp:
        return None
    try:
        document = minidom.parseString(xmp.strip(b"\0 \r\n\t"))
    except (ExpatError, ValueError, AttributeError):
        return None
    return document if document.getElementsByTagNameNS(RDF, "RDF") else None


def _property(description: minidom.Element, name: str) -> str | None:
    if description.hasAttributeNS(OWN, name):
        return str(description.getAttributeNS(OWN, name))
    for child in description.getElementsByTagNameNS(OWN, name):
        return "".join(part.data for part in child.childNodes if part.nodeType == Node.TEXT_NODE)
    return None


def _is_dropped(node: minidom.Node) -> bool:
    space, name = node.namespaceURI, node.localName
    return space == OWN or name in DESCRIBE_THE_OLD_FILE.get(space or "", ())
