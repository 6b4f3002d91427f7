"""What image files say of their samples, read from their headers."""

import io
import struct

import pytest
import tifffile
from helpers.pictures import encoded, noise
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from colorlib.photos import headers

FORMATS = [
    ("JPEG", "JPEG"), ("PNG", "PNG"), ("WEBP", "WebP"), ("TIFF", "TIFF"), ("GIF", "GIF"), ("AVIF", "AVIF"),
    ("BMP", "BMP"), ("PPM", "PPM"), ("JPEG2000", "JPEG 2000"), ("TGA", None), ("PDF", "PDF"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "kind"), FORMATS)
def test_formats_are_told_by_the_first_bytes(written: str, kind: str | None):
    start = encoded(Image.fromarray(noise(32, 32)), written)[: headers.START_BYTES]
    assert headers.file_format(start) == kind


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_directories_of_a_tiff(order: str, big: bool):
    out = io.BytesIO()
    with tifffile.TiffWriter(out, byteorder=order, bigtiff=big) as file:
        file.write(noise(10, 20), photometric="rgb", subifds=2)
        file.write(noise(5, 10)[..., 0], photometric="minisblack", subfiletype=1)
        file.write(noise(3, 6)[..., 0], photometric="minisblack")
        file.write(noise(7, 9)[..., 0], photometric="miniswhite")
    pages, below = headers.tiff_directories(out)
    shapes = [[(page[headers.HEIGHT], page[headers.WIDTH]) for page in some] for some in (pages, below)]
    assert shapes == [[((10,), (20,)), ((7,), (9,))], [((5,), (10,)), ((3,), (6,))]]
    assert pages[0][headers.BITS_PER_SAMPLE] == (8, 8, 8)
    assert pages[1][headers.PHOTOMETRIC] == (0,)
    assert [headers.is_reduced_or_mask(page) for page in (*pages, *below)] == [False, False, True, False]


def test_directories_in_a_circle_end():
    data = bytearray(encoded(Image.fromarray(noise(4, 4)), "TIFF"))
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * entries, first)
    pages, _ = headers.tiff_directories(io.BytesIO(data))
    assert len(pages) == 1


@pytest.mark.parametrize(("kind", "dpi"), [("JPEG", (300, 200)), ("PNG", (300, 200))])
def test_a_resolution_is_one_that_the_file_states(kind: str, dpi: tuple[int, int]):
    def read(**settings: object) -> tuple[float, float] | None:
        file = io.BytesIO(encoded(Image.fromarray(noise(4, 4)), kind, **settings))
        return headers.jpeg_dpi(file) if kind == "JPEG" else headers.png_dpi(headers.png_chunks(file))

    assert read(dpi=dpi) == pytest.approx(dpi, abs=0.02)
    assert read() is None


def test_texts_of_a_png_whatever_their_encoding():
    info = PngInfo()
    info.add_text("Title", "Sommer", zip=True)
    info.add_itxt("Ort", "Łódź")
    info.add_itxt("Long", "früh" * 100, zip=True)
    info.add_itxt("XML:com.adobe.xmp", "<x/>")
    info.add(b"tEXt", b"Author\0J\xfcrg")
    info.add(b"iTXt", b"Damaged\0\1\0\0\0no zlib")
    file = io.BytesIO(encoded(Image.fromarray(noise(4, 4)), "PNG", pnginfo=info))
    assert headers.png_texts(file) == {"Title": "Sommer", "Ort": "Łódź", "Long": "früh" * 100, "Author": "Jürg"}


def test_the_pictures_of_a_jpeg_are_counted():
    first, second = (Image.fromarray(noise(16, 16, seed)) for seed in (0, 1))
    both = encoded(first, "MPO", save_all=True, append_images=[second])
    assert headers.jpeg_pictures(io.BytesIO(both)) == 2
    assert headers.jpeg_pictures(io.BytesIO(encoded(first, "JPEG"))) == 1


def test_a_gray_profile_of_other_kinds_is_left():
    assert headers.rgb_profile(bytes(200)) is None
    assert headers.rgb_profile(b"") is None
