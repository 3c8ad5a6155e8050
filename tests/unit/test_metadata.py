"""What stays of a file's metadata, and what must not."""

import json

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from artune.images.metadata import NOTE, clean_exif, exif_with_note, read_note
from artune.images.picture import Picture
from artune.images.profiles import differs_from_srgb, srgb_profile
from artune.images.read import decode_picture, read_picture
from artune.images.write import write_picture
from tests.pictures import file_of

NOTED = {"spec": {"strength": 0.5, "name": "ü"}}


@pytest.fixture
def exif():
    """Who, how, and where."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (1.0, 2.0, 3.0)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = 2.8
    return exif


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif", ".jxl", ".heic"])
def test_the_note_is_embedded_and_the_place_is_dropped(photo, exif, tmp_path, suffix):
    if suffix in (".jxl", ".heic"):
        pytest.importorskip({".jxl": "pillow_jxl", ".heic": "pillow_heif"}[suffix])
    source = decode_picture(file_of(photo.to_pil(), "JPEG", exif=exif))
    path = tmp_path / f"a{suffix}"
    write_picture(Picture(source.pixels, None, source.exif, NOTED), path)
    assert read_picture(path).note == NOTED
    with Image.open(path) as opened:
        back = opened.getexif()
        assert not back.get_ifd(ExifTags.IFD.GPSInfo)
        assert ExifTags.Base.GPSInfo not in back
        assert (back.get(ExifTags.Base.Make) == "Maker") == (suffix != ".tif")
        if suffix == ".jxl":  # it describes the profile, and makes one anew
            assert not differs_from_srgb(opened.info["icc_profile"])
        else:
            assert opened.info["icc_profile"] == srgb_profile()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_the_note(photo, tmp_path, suffix):
    write_picture(Picture(photo.pixels, note=NOTED), tmp_path / f"a{suffix}", bits=16)
    assert read_picture(tmp_path / f"a{suffix}").note == NOTED


def test_a_png_of_sixteen_bits_keeps_exif(photo, exif, tmp_path):
    write_picture(Picture(photo.pixels, exif=clean_exif(exif)), tmp_path / "a.png", bits=16)
    with Image.open(tmp_path / "a.png") as back:
        assert back.getexif()[ExifTags.Base.Make] == "Maker"
        assert back.info["icc_profile"] == srgb_profile()
    assert read_picture(tmp_path / "a.png").exif == clean_exif(exif)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_nothing_of_a_tiff_says_where_it_was_made(tmp_path, suffix):
    place = b'<x:xmpmeta exif:GPSLatitude="48,51.5N" photo="/home/me/secret.psd"/>'
    tags = [(700, "B", len(place), place, True), (269, "s", 0, "/home/me/private.tif", True), (271, "s", 0, "M", True)]
    samples = np.zeros((4, 4, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", metadata=None, extratags=tags)
    write_picture(read_picture(tmp_path / "a.tif"), tmp_path / f"a{suffix}")
    data = (tmp_path / f"a{suffix}").read_bytes()
    assert b"GPS" not in data
    assert b"/home/me" not in data
    with Image.open(tmp_path / f"a{suffix}") as opened:
        assert opened.getexif()[ExifTags.Base.Make] == "M"


def test_exif_of_nothing_is_nothing(photo):
    assert clean_exif(Image.Exif()) == b""
    assert exif_with_note(photo) == b""


def test_exif_that_no_writer_accepts_is_dropped():
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = object()
    assert clean_exif(exif) == b""


def test_exif_that_is_too_long_gives_way_to_the_note(photo, exif):
    exif[ExifTags.Base.Software] = "x" * 60_000
    back = Image.Exif()
    back.load(exif_with_note(Picture(photo.pixels, exif=exif.tobytes(), note=NOTED)))
    assert ExifTags.Base.Software not in back
    assert read_note(None, back) == NOTED


@pytest.mark.parametrize("text", ["", "no json", "[1, 2]", "5", None])
def test_what_is_no_note(text):
    assert read_note(text, Image.Exif()) == {}


def test_a_note_in_a_description():
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = f"{NOTE} {json.dumps(NOTED)}"
    assert read_note(None, exif) == NOTED
