import io
import os
import re
import struct
from pathlib import Path

import numpy as np
import png
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms, ImageOps

from artune.errors import OutputError, PictureError
from artune.images.picture import Picture, from_tensor
from artune.images.find import find_pictures
from artune.images.read import decode_picture, read_picture
from artune.images.profiles import srgb_profile
from artune.images.write import check_suffix, write_picture


def encoded(image: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture
def eight(photo):
    return Image.fromarray((photo.pixels * 255 + 0.5).astype(np.uint8))


@pytest.mark.parametrize(
    ("suffix", "tolerance"),
    [(".png", 0.51), (".tif", 0.51), (".tiff", 0.51), (".bmp", 0.51), (".jpg", 40), (".webp", 60), (".gif", 90)],
)
def test_every_format_comes_back(photo, tmp_path, suffix, tolerance):
    path = tmp_path / f"a{suffix}"
    write_picture(photo, path)
    back = read_picture(path)
    assert back.size == (48, 32)
    assert back.pixels.dtype == np.float32
    assert back.alpha is None
    assert np.abs(back.pixels - photo.pixels).max() * 255 <= tolerance
    assert np.abs(back.pixels - photo.pixels).mean() * 255 <= 8


def test_heic_comes_back_where_pillow_heif_is_installed(photo, tmp_path):
    pytest.importorskip("pillow_heif")
    write_picture(photo, tmp_path / "a.heic")
    assert np.abs(read_picture(tmp_path / "a.heic").pixels - photo.pixels).mean() * 255 < 12


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("transparent", [False, True])
def test_sixteen_bits_come_back(photo, tmp_path, rng, suffix, transparent):
    alpha = rng.random((32, 48), np.float32) if transparent else None
    path = tmp_path / f"a{suffix}"
    write_picture(Picture(photo.pixels, alpha, note={"spec": {"size": 3}}), path, bits=16)
    back = read_picture(path)
    assert np.abs(back.pixels - photo.pixels).max() <= 0.51 / 65535
    if alpha is None:
        assert back.alpha is None
    else:
        assert np.abs(back.alpha - alpha).max() <= 0.51 / 65535
    assert back.note == {"spec": {"size": 3}}


def test_sixteen_bit_files_of_others(tmp_path, rng):
    deep = rng.integers(0, 65536, (8, 10, 3), dtype=np.uint16)
    with (tmp_path / "a.png").open("wb") as file:
        png.Writer(10, 8, greyscale=False, bitdepth=16, interlace=True).write(file, deep.reshape(8, 30).tolist())
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb")
    tifffile.imwrite(tmp_path / "grey.tif", deep[..., 0], photometric="minisblack")
    Image.fromarray(deep[..., 0]).save(tmp_path / "grey.png")
    tifffile.imwrite(tmp_path / "float.tif", deep[..., 0].astype(np.float32) / 65535, photometric="minisblack")
    for name in ("a.png", "a.tif"):
        np.testing.assert_allclose(read_picture(tmp_path / name).pixels * 65535, deep, atol=0.01)
    for name in ("grey.tif", "grey.png", "float.tif"):
        got = read_picture(tmp_path / name).pixels * 65535
        np.testing.assert_allclose(got, np.repeat(deep[..., :1], 3, 2), atol=0.01)


@pytest.mark.parametrize("grey", [True, False])
def test_a_transparent_colour_of_a_sixteen_bit_png(rng, grey):
    deep = rng.integers(0, 65536, (4, 5, 1 if grey else 3), dtype=np.uint16)
    deep[1, 2] = 7
    file = io.BytesIO()
    see_through = 7 if grey else (7, 7, 7)
    png.Writer(5, 4, greyscale=grey, bitdepth=16, transparent=see_through).write(file, deep.reshape(4, -1).tolist())
    picture = decode_picture(file.getvalue())
    np.testing.assert_allclose(picture.pixels * 65535, np.broadcast_to(deep, (4, 5, 3)), atol=0.01)
    assert picture.alpha[1, 2] == 0
    assert picture.alpha.sum() == 19


def test_sixteen_bit_png_keeps_exif(photo, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    write_picture(Picture(photo.pixels, exif=exif.tobytes()), tmp_path / "a.png", bits=16)
    with Image.open(tmp_path / "a.png") as back:
        assert back.getexif()[ExifTags.Base.Make] == "Camera"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_exif_rotation(eight, orientation, deep, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    tagged = Image.open(io.BytesIO(encoded(eight, "PNG", exif=exif)))
    want = np.asarray(ImageOps.exif_transpose(tagged)) / 255
    if deep:
        data = np.asarray(eight).astype(np.uint16) * 257
        tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
        back = read_picture(tmp_path / "a.tif")
    else:
        back = decode_picture(encoded(eight, "PNG", exif=exif))
    np.testing.assert_allclose(back.pixels, want, atol=1e-4)


def test_grey_palette_and_bilevel(eight):
    for mode in ("L", "P", "1", "LA"):
        source = eight.convert("L").convert("LA") if mode == "LA" else eight.convert(mode)
        want = np.asarray(source.convert("RGB")) / 255
        np.testing.assert_allclose(decode_picture(encoded(source, "PNG")).pixels, want, atol=1e-6)


def test_cmyk(eight):
    back = decode_picture(encoded(eight.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(back.pixels - np.asarray(eight) / 255).mean() < 0.05


def test_an_embedded_profile_is_converted(eight):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    assert "srgb" in ImageCms.getProfileDescription(lab).lower()
    swapped = _profile_with_red_and_green_swapped()
    back = decode_picture(encoded(eight, "PNG", icc_profile=swapped))
    want = np.asarray(eight)[..., [1, 0, 2]] / 255
    assert np.abs(back.pixels - want).mean() < 0.01
    same = decode_picture(encoded(eight, "PNG", icc_profile=srgb_profile()))
    np.testing.assert_allclose(same.pixels, np.asarray(eight) / 255, atol=1e-6)


def _profile_with_red_and_green_swapped() -> bytes:
    """sRGB with two of its colorant tags exchanged, and another name."""
    data = bytearray(srgb_profile())
    count = int.from_bytes(data[128:132], "big")
    entries = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = data[green : green + 4], data[red : red + 4]
    for name in ("sRGB", "RGB built-in"):
        data = bytearray(bytes(data).replace(name.encode("utf-16-be"), ("x" * len(name)).encode("utf-16-be")))
    return bytes(data)


def test_a_damaged_profile_is_ignored(eight):
    back = decode_picture(encoded(eight, "PNG", icc_profile=b"not a profile"))
    np.testing.assert_allclose(back.pixels, np.asarray(eight) / 255, atol=1e-6)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_alpha_is_kept(photo, tmp_path, suffix):
    alpha = np.linspace(0, 1, 32 * 48, dtype=np.float32).reshape(32, 48)
    write_picture(Picture(photo.pixels, alpha), tmp_path / f"a{suffix}")
    back = read_picture(tmp_path / f"a{suffix}")
    assert np.abs(back.alpha - alpha).max() <= 0.6 / 255


def test_alpha_shows_white_where_the_format_has_none(photo, tmp_path):
    write_picture(Picture(photo.pixels, np.zeros((32, 48), np.float32)), tmp_path / "a.bmp")
    assert (read_picture(tmp_path / "a.bmp").pixels == 1).all()


def test_what_cannot_be_seen_is_filled_neutrally():
    pixels = np.zeros((2, 2, 3), np.float32)
    pixels[0] = 0.8
    alpha = np.array([[1, 1], [0, 0]], np.float32)
    np.testing.assert_allclose(Picture(pixels, alpha).filled(), 0.8, atol=1e-6)
    np.testing.assert_allclose(Picture(pixels, 0 * alpha).filled(), 0.5)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_the_note_is_embedded_and_the_place_is_dropped(eight, tmp_path, suffix):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (1.0, 2.0, 3.0)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = 2.8
    source = decode_picture(encoded(eight, "JPEG", exif=exif))
    path = tmp_path / f"a{suffix}"
    note = {"spec": {"strength": 0.5, "name": "ü"}}
    write_picture(Picture(source.pixels, None, source.exif, note), path)
    assert read_picture(path).note == note
    with Image.open(path) as opened:
        back = opened.getexif()
        assert not back.get_ifd(ExifTags.IFD.GPSInfo)
        assert ExifTags.Base.GPSInfo not in back
        assert (back.get(ExifTags.Base.Make) == "Maker") == (suffix != ".tif")
        assert opened.info["icc_profile"] == srgb_profile()


def test_gif_shows_its_first_frame(eight):
    data = encoded(eight, "GIF", save_all=True, append_images=[Image.new("RGB", eight.size)])
    assert decode_picture(data).pixels.mean() > 0.2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.png", None, "there is no picture"),
        ("empty.png", b"", "is empty"),
        ("text.png", b"hello", "not a picture that can be read"),
        ("cut.png", "cut", "damaged or cut short"),
    ],
)
def test_bad_files(eight, tmp_path, name, content, message):
    path = tmp_path / name
    if content == "cut":
        content = encoded(eight, "PNG")[:600]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PictureError, match=message):
        read_picture(path)


def test_a_folder_is_no_picture_and_a_typo_gets_a_hint(eight, tmp_path):
    eight.save(tmp_path / "flower.png")
    with pytest.raises(PictureError, match="is a folder"):
        read_picture(tmp_path)
    with pytest.raises(PictureError, match=r"did you mean .*flower\.png"):
        read_picture(tmp_path / "flowr.png")
    with pytest.raises(PictureError, match="there is no folder"):
        read_picture(tmp_path / "no" / "flower.png")


def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    with pytest.raises(PictureError, match=r"20000x20000 pixels.*--allow-huge"):
        read_picture(tmp_path / "huge.png")


def test_resizing_is_antialiased_and_keeps_edges_of_alpha_clean():
    stripes = np.tile(np.array([0.0, 1.0], np.float32), (64, 32))
    small = Picture(np.repeat(stripes[..., None], 3, 2)).resized(16, 16)
    np.testing.assert_allclose(small.pixels, 0.5, atol=0.06)
    pixels = np.zeros((8, 8, 3), np.float32)
    pixels[:, :4] = 1
    alpha = np.zeros((8, 8), np.float32)
    alpha[:, :4] = 1  # what is black cannot be seen
    assert Picture(pixels, alpha).resized(4, 4).pixels.min() > 0.95
    assert Picture(pixels).resized(8, 8).pixels is pixels


def test_tensors_there_and_back(photo):
    tensor = photo.tensor()
    assert tensor.shape == (1, 3, 32, 48)
    np.testing.assert_array_equal(from_tensor(tensor).pixels, photo.pixels)
    assert from_tensor(tensor * 3 - 1).pixels.min() >= 0


def test_digests_tell_pictures_apart(photo, painting):
    assert photo.digest() == Picture(photo.pixels.copy()).digest()
    turned = Picture(photo.pixels.reshape(48, 32, 3))
    clear = Picture(photo.pixels, np.ones((32, 48), np.float32))
    assert len({p.digest() for p in (photo, painting, turned, clear)}) == 4


def test_suffixes_and_bits(tmp_path):
    with pytest.raises(OutputError, match="unknown format"):
        check_suffix(tmp_path / "a.xyz")
    with pytest.raises(OutputError, match=r"\(no suffix\)"):
        check_suffix(tmp_path / "a")
    with pytest.raises(OutputError, match="16 bits"):
        check_suffix(tmp_path / "a.jpg", 16)


def test_pictures_of_a_folder(eight, tmp_path):
    with pytest.raises(PictureError, match="there is no picture"):
        find_pictures(tmp_path)
    for name in ("b.PNG", "a.jpg", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in find_pictures(tmp_path)] == ["a.jpg", "b.PNG"]


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(PictureError, match=r"cannot read the folder .*Permission denied"):
        find_pictures(tmp_path)


def test_a_file_that_cannot_be_read(eight, tmp_path, monkeypatch):
    eight.save(tmp_path / "a.png")

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PictureError, match="no permission"):
        read_picture(tmp_path / "a.png")


def test_a_profile_is_judged_by_what_it_shows(eight):
    """A linear profile that calls itself sRGB."""
    linear = bytearray(srgb_profile())
    curve = linear.find(b"para")
    linear[curve : curve + 16] = b"para" + bytes(4) + bytes(4) + (1 << 16).to_bytes(4, "big")  # gamma 1
    grey = decode_picture(encoded(Image.new("RGB", (4, 4), (64, 64, 64)), "PNG", icc_profile=bytes(linear)))
    assert grey.pixels.mean() * 255 == pytest.approx(137, abs=2)
    same = decode_picture(encoded(eight, "PNG", icc_profile=srgb_profile()))
    np.testing.assert_array_equal(same.pixels, decode_picture(encoded(eight, "PNG")).pixels)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_the_same_picture_is_the_same_file(photo, tmp_path, suffix, monkeypatch):
    for name in "ab":
        write_picture(Picture(photo.pixels, note={"a": 1}), tmp_path / f"{name}{suffix}")
        monkeypatch.setattr("time.time", lambda: 2e9)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(PictureError, match="no regular file"):
            read_picture(path)


# ------------------------------------------------------------------------- profiles of other colour models


def _profile(space: bytes, connection: bytes, *tags: tuple[bytes, bytes]) -> bytes:
    """A profile of a colour space, with the tags that it needs."""
    white = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    wanted = [(b"wtpt", b"XYZ \0\0\0\0" + white), (b"cprt", b"text\0\0\0\0x\0"), *tags]
    table, body = b"", b""
    for name, data in wanted:
        table += struct.pack(">4sII", name, 132 + 12 * len(wanted) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", 132 + len(table + body), b"lcms", 0x02100000, b"mntr", space, connection)
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white
    return head.ljust(128, b"\0") + struct.pack(">I", len(wanted)) + table + body


LINEAR_GREY = _profile(b"GRAY", b"XYZ ", (b"kTRC", b"curv\0\0\0\0" + struct.pack(">IH", 1, 0x0100)))


def _ink() -> bytes:
    """CMYK where the first ink alone darkens, and the others are invisible."""
    lattice = bytes(v for corner in range(16) for v in ((255, 128, 128) if corner < 8 else (0, 128, 128)))
    ident = bytes(range(256))
    unit = struct.pack(">9i", *(0x10000 * (i % 4 == 0) for i in range(9)))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + unit + 4 * ident + lattice + 3 * ident
    return _profile(b"CMYK", b"Lab ", (b"A2B0", lut))


@pytest.mark.parametrize(("mode", "value"), [("L", 64), ("LA", (64, 255)), ("I;16", 64 * 257)])
def test_a_grey_profile_is_applied(mode, value):
    back = decode_picture(encoded(Image.new(mode, (8, 8), value), "PNG", icc_profile=LINEAR_GREY))
    linear = 64 / 255
    want = 1.055 * linear ** (1 / 2.4) - 0.055  # sRGB's curve
    np.testing.assert_allclose(back.pixels, want, atol=1.5 / 255)


def test_a_cmyk_profile_is_applied():
    # without the profile: white, black and light cyan
    for ink, want in {(0, 255, 255, 255): 1.0, (255, 0, 0, 0): 0.0, (128, 0, 0, 0): 0.466}.items():  # L* 50: 119
        data = encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100, icc_profile=_ink())
        np.testing.assert_allclose(decode_picture(data).pixels, want, atol=0.02)


# ------------------------------------------------------------------------------------- TIFF of many kinds


@pytest.mark.parametrize(
    ("samples", "options", "want"),
    [
        (np.full((4, 6), 60000, np.uint16), {"photometric": "miniswhite"}, 5535 / 65535),
        (np.full((4, 6), 2**31, np.uint32), {"photometric": "minisblack"}, 0.5),
        (np.full((4, 6, 3), 0.25, np.float32), {"photometric": "rgb"}, 0.25),
        (np.full((4, 6, 4), 20000, np.uint16), {"photometric": "rgb", "extrasamples": ["assocalpha"]}, 1.0),
        (np.full((4, 6, 4), 20000, np.uint16), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, 20000 / 65535),
        (np.full((3, 4, 6), 500, np.uint16), {"photometric": "rgb", "planarconfig": "separate"}, 500 / 65535),
    ],
)
def test_deep_tiff(samples, options, want, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", samples, metadata=None, **options)
    back = read_picture(tmp_path / "a.tif")
    assert back.size == (6, 4)
    assert (back.alpha is not None) == ("extrasamples" in options)
    np.testing.assert_allclose(back.pixels, want, atol=1e-4)


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


def test_formats_that_are_not_ours_are_refused(eight):
    for form in ("PPM", "TGA", "EPS", "ICO"):
        with pytest.raises(PictureError, match="is not a picture that can be read"):
            decode_picture(encoded(eight, form))


def test_a_picture_beyond_memory_is_refused_before_it_is_read(eight, monkeypatch):
    monkeypatch.setattr("artune.images.read.memory_free", lambda: 10_000)
    with pytest.raises(PictureError, match=r"48x32 pixels and needs .* GiB to be read"):
        decode_picture(encoded(eight, "PNG"))


def test_bits_are_8_or_16(photo, tmp_path):
    with pytest.raises(OutputError, match="12 bits"):
        write_picture(photo, tmp_path / "a.png", bits=12)


def test_a_file_that_came_meanwhile_is_kept(photo, tmp_path):
    write_picture(photo, tmp_path / "a.png", replace=False)
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises(OutputError, match="written by another run meanwhile"):
        write_picture(Picture(1 - photo.pixels), tmp_path / "a.png", replace=False)
    assert (tmp_path / "a.png").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_what_is_no_file_is_said_once(tmp_path):
    for path, why in ((tmp_path, f"{tmp_path} is a folder"), ("a\0b", "cannot read a\0b: embedded null byte")):
        with pytest.raises(PictureError, match=f"^{re.escape(why)}"):
            read_picture(path)


@pytest.mark.parametrize(("channels", "photometric"), [((), "minisblack"), ((3,), "rgb")])
def test_a_tiff_without_a_number_is_damaged(tmp_path, channels, photometric):
    tifffile.imwrite(tmp_path / "nan.tif", np.full((8, 9, *channels), np.nan, np.float32), photometric=photometric)
    with pytest.raises(PictureError, match="none of its values is finite"):
        read_picture(tmp_path / "nan.tif")
    some = np.full((8, 9, *channels), np.nan, np.float32)
    some[:4] = 0.5
    tifffile.imwrite(tmp_path / "some.tif", some, photometric=photometric)
    pixels = read_picture(tmp_path / "some.tif").pixels
    assert (pixels[:4] == 0.5).all()
    assert (pixels[4:] == 0).all()
