"""Image files: the properties that a copy keeps, and those that it drops."""

import struct
from pathlib import Path

import numpy as np
import pytest
from helpers.pictures import noise, smooth
from PIL import ExifTags, Image, ImageCms

from colorlib.colorize.image_file import FORMATS, Picture, read_picture, take_pixels, write_picture
from colorlib.photos.decode import STRIP_ROWS

TAKEN = "1962:07:14 10:30:00"
LOSSLESS = (".png", ".tif")


def exif(**tags: object) -> Image.Exif:
    block = Image.Exif()
    for name, value in tags.items():
        block[ExifTags.Base[name]] = value
    block[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: TAKEN, ExifTags.Base.ExifImageWidth: 9999}
    block[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (59.0, 55.0, 30.0)}
    return block


def photograph(path: Path, **settings: object) -> Path:
    tags = exif(DateTime=TAKEN, Artist="A. Person", Orientation=6, Software="a scanner")
    # Pillow writes a TIFF's inner blocks only from tags that were read.
    tags.load(tags.tobytes())
    Image.fromarray(smooth(20, 30)).save(path, exif=tags, **settings)
    return path


@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("ending", FORMATS)
def test_dates_location_and_resolution_are_kept(tmp_path: Path, source: str, ending: str):
    settings = {} if source == ".webp" else {"dpi": (300, 300)}
    picture = read_picture(photograph(tmp_path / f"old{source}", **settings))
    assert picture.pixels.shape == (30, 20, 3), "upright"
    write_picture(tmp_path / f"new{ending}", picture)
    with Image.open(tmp_path / f"new{ending}") as new:
        assert new.size == (20, 30)
        tags = new.getexif()
        assert tags[ExifTags.Base.DateTime] == TAKEN
        assert tags[ExifTags.Base.Artist] == "A. Person"
        assert tags.get(ExifTags.Base.Orientation, 1) == 1, "it is upright already"
        assert tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == TAKEN
        assert ExifTags.Base.ExifImageWidth not in tags.get_ifd(ExifTags.IFD.Exif), "valid only for the old file"
        assert tags.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (59.0, 55.0, 30.0)
    if settings:
        assert read_picture(tmp_path / f"new{ending}").dpi == pytest.approx((300, 300), abs=0.01)


@pytest.mark.parametrize("ending", LOSSLESS)
def test_pixels_are_written_as_they_are(tmp_path: Path, ending: str):
    path = tmp_path / f"new{ending}"
    write_picture(path, Picture(pixels=noise(13, 7)))
    assert np.array_equal(read_picture(path).pixels, noise(13, 7))


def test_colors_of_a_jpeg_are_not_subsampled(tmp_path: Path):
    write_picture(tmp_path / "new.jpg", Picture(pixels=smooth(16, 16)))
    with Image.open(tmp_path / "new.jpg") as image:
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3


@pytest.mark.parametrize("ending", [".png", ".webp", ".tiff"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_kept(tmp_path: Path, ending: str, mode: str):
    alpha = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30)
    image = Image.fromarray(smooth(20, 30)).convert(mode.removesuffix("A"))
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "old.png")
    picture = read_picture(tmp_path / "old.png")
    write_picture(tmp_path / f"new{ending}", picture)
    again = read_picture(tmp_path / f"new{ending}").alpha
    assert again is not None
    assert np.array_equal(again, alpha)


def test_a_format_without_transparency_is_refused_and_nothing_written(tmp_path: Path):
    picture = Picture(pixels=smooth(4, 4), alpha=np.zeros((4, 4), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"new\.jpg.*JPEG") as error:
        write_picture(tmp_path / "new.jpg", picture)
    for ending in (".png", ".webp", ".tif"):
        assert ending in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_is_not_written_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"new\.gif") as error:
        write_picture(tmp_path / "new.gif", Picture(pixels=smooth(4, 4)))
    for ending in FORMATS:
        assert ending in str(error.value)


def test_an_embedded_profile_is_not_written_again(tmp_path: Path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    Image.fromarray(smooth(8, 8)).save(tmp_path / "odd.png", icc_profile=profile)
    picture = read_picture(tmp_path / "odd.png")
    assert "profile" in picture.notes[0]
    write_picture(tmp_path / "new.png", picture)
    with Image.open(tmp_path / "new.png") as new:
        assert "icc_profile" not in new.info


def test_deep_gray_and_several_frames(tmp_path: Path):
    deep = (np.arange(64, dtype=np.uint16) * 1040).reshape(8, 8)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.array_equal(read_picture(tmp_path / "deep.png").pixels[..., 0], np.round(deep / 257).astype(np.uint8))
    pages = [Image.fromarray(noise(6, 6, seed)) for seed in (0, 1, 2)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    picture = read_picture(tmp_path / "pages.tif")
    assert picture.frames == 3
    assert np.array_equal(picture.pixels, noise(6, 6, 0))


def test_a_resolution_without_a_vertical_part_is_left_out(tmp_path: Path):
    tags = Image.Exif()
    tags[ExifTags.Base.ResolutionUnit], tags[ExifTags.Base.XResolution] = 2, 300.0
    Image.fromarray(smooth(8, 8)).save(tmp_path / "half.webp", exif=tags)
    assert read_picture(tmp_path / "half.webp").dpi is None


@pytest.mark.parametrize("ending", FORMATS)
def test_texts_keep_their_letters_whatever_their_encoding(tmp_path: Path, ending: str):
    author = "José Müller"
    tags = Image.Exif()
    tags[ExifTags.Base.Artist] = author.encode()
    Image.fromarray(smooth(20, 30)).save(tmp_path / "old.jpg", exif=tags)
    assert write_picture(tmp_path / f"new{ending}", read_picture(tmp_path / "old.jpg")) is None
    with Image.open(tmp_path / f"new{ending}") as new:
        assert new.getexif()[ExifTags.Base.Artist].encode("latin-1").decode() == author


def test_tags_too_long_for_a_format_are_left_out_with_a_note(tmp_path: Path):
    tags = Image.Exif()
    tags[ExifTags.Base.ImageDescription] = "long " * 20_000
    Image.fromarray(smooth(20, 30)).save(tmp_path / "old.png", exif=tags)
    picture = read_picture(tmp_path / "old.png")
    assert write_picture(tmp_path / "new.png", picture) is None
    note = write_picture(tmp_path / "new.jpg", read_picture(tmp_path / "old.png"))
    assert note is not None
    assert "EXIF" in note
    assert "JPEG" in note
    assert np.abs(read_picture(tmp_path / "new.jpg").pixels.astype(int) - smooth(20, 30)).mean() < 3


def test_a_resolution_per_centimeter_is_one_per_inch(tmp_path: Path):
    tags = Image.Exif()
    tags[ExifTags.Base.XResolution] = tags[ExifTags.Base.YResolution] = 100.0
    tags[ExifTags.Base.ResolutionUnit] = 3
    Image.fromarray(smooth(20, 30)).save(tmp_path / "old.webp", exif=tags)
    assert read_picture(tmp_path / "old.webp").dpi == pytest.approx((254, 254))


def test_colors_that_are_called_uncalibrated_are_taken_as_srgb_with_a_note(tmp_path: Path):
    for color_space in (1, 0xFFFF):
        tags = Image.Exif()
        tags[ExifTags.IFD.Exif] = {ExifTags.Base.ColorSpace: color_space}
        Image.fromarray(smooth(20, 30)).save(tmp_path / "old.png", exif=tags)
        picture = read_picture(tmp_path / "old.png")
        assert np.array_equal(picture.pixels, smooth(20, 30))
        assert any("uncalibrated" in note and "sRGB" in note for note in picture.notes) == (color_space == 0xFFFF)


def test_pixels_are_moved_not_copied():
    for height in (1, STRIP_ROWS, 3 * STRIP_ROWS + 1):
        pixels = smooth(height, 5)
        expected, owned = pixels.copy(), pixels.copy()
        assert np.array_equal(take_pixels(owned), expected)
        assert owned.shape == (0, 5, 3)
        assert np.array_equal(take_pixels(pixels[:, ::2]), expected[:, ::2]), "a view is copied"
        assert np.array_equal(pixels, expected)


def test_opaque_alpha_is_none(tmp_path: Path):
    image = Image.fromarray(smooth(20, 30))
    image.putalpha(255)
    image.save(tmp_path / "old.png")
    assert read_picture(tmp_path / "old.png").alpha is None


def test_a_gray_declared_transparent_is_transparent_at_16_bits_too(tmp_path: Path):
    deep = np.array([[0, 65535], [257, 0]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "old.png", transparency=0)
    picture = read_picture(tmp_path / "old.png")
    assert picture.pixels[..., 0].tolist() == [[0, 255], [1, 0]]
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0, 255], [255, 0]]


def test_a_damaged_second_page_does_not_lose_the_first(tmp_path: Path):
    pages = [Image.fromarray(noise(6, 6, seed)) for seed in (0, 1)]
    path = tmp_path / "pages.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    data = bytearray(path.read_bytes())
    # Overwrite the type of each entry of the second page's directory
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    (second,) = struct.unpack_from("<I", data, first + 2 + 12 * entries)
    (entries,) = struct.unpack_from("<H", data, second)
    for number in range(entries):
        struct.pack_into("<H", data, second + 2 + 12 * number, 2)
    path.write_bytes(data)
    with pytest.raises((TypeError, ValueError)), Image.open(path) as image:
        print(image.n_frames)
    picture = read_picture(path)
    assert np.array_equal(picture.pixels, noise(6, 6, 0))
