"""Reading: every format, upright, in the right colours; whatever is damaged is refused in words."""

import io
import os
import re
import struct
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from artune.errors import ArtuneWarning, PictureError
from artune.images.formats import FORMATS, READABLE, load_plugins
from artune.images.picture import Picture
from artune.images.read import decode_picture, from_pillow, read_picture
from tests.pictures import file_of, tiff_of


@pytest.fixture
def eight(photo):
    return photo.to_pil()


def psd_of(pixels: np.ndarray) -> bytes:
    """A Photoshop file without layers."""
    height, width, _ = pixels.shape
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, height, width, 8, 3)
    return head + bytes(12) + bytes(2) + np.moveaxis(pixels, -1, 0).tobytes()


# ---------------------------------------------------------------------------------- formats


@pytest.mark.parametrize("suffix", READABLE)
def test_every_format_is_read(eight, tmp_path, suffix):
    form = FORMATS[suffix]
    if form.name in ("HEIF", "JXL"):
        pytest.importorskip({"HEIF": "pillow_heif", "JXL": "pillow_jxl"}[form.name])
    image = eight.convert("1") if suffix == ".pbm" else eight.convert("L") if suffix == ".pgm" else eight
    path = tmp_path / f"a{suffix}"
    if form.name == "PSD":
        path.write_bytes(psd_of(np.asarray(image)))
    else:
        load_plugins()
        path.write_bytes(file_of(image, form.name))
    back = read_picture(path)
    assert back.size == (48, 32)
    want = np.asarray(image.convert("RGB")) / 255
    lossless = form.name in ("PNG", "TIFF", "BMP", "JPEG2000", "PPM", "PSD", "QOI", "TGA")
    np.testing.assert_allclose(back.pixels, want, atol=1e-6 if lossless else 0.35)
    assert np.abs(back.pixels - want).mean() < 0.05


def test_the_content_counts_and_not_the_suffix(eight, tmp_path):
    (tmp_path / "a.jpg").write_bytes(file_of(eight, "PNG"))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.jpg").to_numpy(), np.asarray(eight))


@pytest.mark.parametrize("form", ["EPS", "ICO", "PCX", "PDF"])
def test_formats_that_are_not_ours_are_refused(eight, form):
    with pytest.raises(PictureError, match=r"is not a picture that can be read \(JPEG, .*save it as PNG"):
        decode_picture(file_of(eight, form))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_first_frame_is_read_with_a_warning(form, mode):
    frames = [Image.new(mode, (20, 16), colour) for colour in ("red", "blue", "green")]
    data = file_of(frames[0], form, save_all=True, append_images=frames[1:])
    with pytest.warns(ArtuneWarning, match=r"x\.gif (is animated: only its|has several pages: only the) first"):
        picture = decode_picture(data, where="x.gif")
    np.testing.assert_allclose(picture.pixels, np.broadcast_to([1, 0, 0], (16, 20, 3)), atol=0.02)


def test_previews_in_a_jpeg_are_no_frames(eight):
    data = file_of(eight, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert decode_picture(data).size == (48, 32)


@pytest.mark.parametrize(("most", "samples"), [(255, "B"), (65535, "H")])
def test_portable_maps(most, samples):
    values = [0, most // 5, most]
    grey = f"P5 3 1 {most}\n".encode() + struct.pack(f">3{samples}", *values)
    np.testing.assert_allclose(decode_picture(grey).pixels[0, :, 0], [0, 0.2, 1], atol=1e-4)
    colours = f"P6 1 1 {most}\n".encode() + struct.pack(f">3{samples}", *values)
    np.testing.assert_allclose(decode_picture(colours).pixels[0, 0], [0, 0.2, 1], atol=1e-2)


def test_a_dark_map_of_sixteen_bits_stays_dark():
    grey = b"P5 2 1 65535\n" + struct.pack(">2H", 200, 100)
    np.testing.assert_allclose(decode_picture(grey).pixels[0, :, 0], np.array([200, 100]) / 65535, atol=1e-6)


# ---------------------------------------------------------------------------------- modes


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "deep TIFF"])
def test_exif_rotation(eight, orientation, form):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    tagged = Image.open(io.BytesIO(file_of(eight, "PNG", exif=exif)))
    want = np.asarray(ImageOps.exif_transpose(tagged)) / 255
    if form == "deep TIFF":
        data = tiff_of(np.asarray(eight).astype(np.uint16) * 257, orientation=orientation)
    else:
        data = file_of(eight, form, exif=exif)
    back = decode_picture(data)
    assert back.size == ((48, 32) if orientation < 5 else (32, 48))
    assert np.abs(back.pixels - want).mean() < (0.05 if form in ("JPEG", "WEBP") else 1e-6)
    assert decode_picture(file_of(back.to_pil(), "PNG", exif=back.exif)).size == back.size  # it is not turned again


def test_grey_palette_and_bilevel(eight):
    for mode in ("L", "P", "1", "LA"):
        source = eight.convert("L").convert("LA") if mode == "LA" else eight.convert(mode)
        want = np.asarray(source.convert("RGB")) / 255
        np.testing.assert_allclose(decode_picture(file_of(source, "PNG")).pixels, want, atol=1e-6)


@pytest.mark.parametrize("clear", [3, bytes(range(0, 256, 16))])
def test_a_palette_with_transparency(eight, clear):
    palette = eight.quantize(16)
    places = np.asarray(palette)
    picture = decode_picture(file_of(palette, "PNG", transparency=clear))
    alphas = np.array([0 if i == 3 else 255 for i in range(16)]) if clear == 3 else np.frombuffer(clear, np.uint8)
    np.testing.assert_allclose(picture.alpha, alphas[places] / 255, atol=1e-6)
    np.testing.assert_allclose(picture.pixels, np.asarray(palette.convert("RGB")) / 255, atol=1e-6)


def test_cmyk(eight):
    back = decode_picture(file_of(eight.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(back.pixels - np.asarray(eight) / 255).mean() < 0.05


def test_a_single_pixel(tmp_path):
    for suffix in (".png", ".jpg", ".gif", ".tif", ".webp"):
        Picture(np.full((1, 1, 3), 0.4, np.float32)).save(tmp_path / f"a{suffix}")
        np.testing.assert_allclose(read_picture(tmp_path / f"a{suffix}").pixels, [[[0.4] * 3]], atol=0.02)


# ---------------------------------------------------------------------------------- names and places


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.png", None, "there is no picture"),
        ("empty.png", b"", "is empty"),
        ("text.png", b"hello", "not a picture that can be read"),
        ("zeros.png", bytes(1000), "not a picture that can be read"),
        ("cut.png", "cut", "damaged or cut short"),
        ("head.png", b"\x89PNG\r\n\x1a\n\0\0", "damaged or cut short"),
    ],
)
def test_bad_files(eight, tmp_path, name, content, message):
    path = tmp_path / name
    if content == "cut":
        content = file_of(eight, "PNG")[:600]
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


def test_what_is_missing_is_named_by_its_role(tmp_path):
    with pytest.raises(PictureError, match=r"^there is no photograph .*a\.jpg"):
        read_picture(tmp_path / "a.jpg", role="photograph")


def test_a_url_in_place_of_a_path():
    for url in ("https://example.org/a.jpg", Path("https://example.org/a.jpg")):
        with pytest.raises(PictureError, match="artune downloads nothing; save it to a file"):
            read_picture(url)


def test_the_home_folder(eight, tmp_path, monkeypatch):
    eight.save(tmp_path / "a.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_picture("~/a.png").digest() == read_picture(tmp_path / "a.png").digest()
    with pytest.raises(PictureError, match=r"there is no picture .*b\.png; did you mean .*a\.png"):
        read_picture(Path("~/b.png"))


def test_a_file_that_cannot_be_read(eight, tmp_path, monkeypatch):
    eight.save(tmp_path / "a.png")

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PictureError, match="no permission"):
        read_picture(tmp_path / "a.png")


def test_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(PictureError, match="no regular file"):
            read_picture(path)


def test_what_is_no_file_is_said_once(tmp_path):
    for path, why in ((tmp_path, f"{tmp_path} is a folder"), ("a\0b", "cannot read a\0b: embedded null byte")):
        with pytest.raises(PictureError, match=f"^{re.escape(why)}"):
            read_picture(path)


# ---------------------------------------------------------------------------------- advice


@pytest.mark.parametrize(
    ("form", "module", "advice"),
    [
        ("HEIF", "pillow_heif", r"HEIF needs pillow-heif: pip install 'artune\[heif\]'"),
        ("JXL", "pillow_jxl", r"JXL needs pillow-jxl-plugin: pip install 'artune\[jxl\]'"),
        ("AVIF", None, "AVIF needs Pillow 11.3 or newer"),
    ],
)
def test_advice_fits_the_format(eight, monkeypatch, form, module, advice):
    if module:
        pytest.importorskip(module)
    decode_picture(file_of(eight, "PNG"))
    data = file_of(eight, form)
    with pytest.raises(PictureError, match="damaged or cut short"):
        decode_picture(data[: len(data) // 2])
    if module:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(Image.SAVE, form)
    monkeypatch.delitem(Image.OPEN, form)
    for some in (data, data[:40]):
        with pytest.raises(PictureError, match=advice):
            decode_picture(some)


# ---------------------------------------------------------------------------------- size


def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    with pytest.raises(PictureError, match=r"20000x20000 pixels.*allow it with `allow_huge`"):
        read_picture(tmp_path / "huge.png")


def test_a_picture_beyond_memory_is_refused_before_it_is_read(eight, monkeypatch):
    monkeypatch.setattr("artune.images.read.memory_free", lambda: 10_000)
    for data in (file_of(eight, "PNG"), tiff_of(np.zeros((32, 48, 3), np.float32))):
        with pytest.raises(PictureError, match=r"48x32 pixels and needs .* GiB to be read"):
            decode_picture(data)


# ---------------------------------------------------------------------------------- threads


def test_nothing_is_switched_for_the_whole_process(eight, monkeypatch):
    """Pillow's limit of size and the filters of warnings belong to the caller, who may have other threads."""
    data = file_of(eight, "PNG")
    for switch in ("catch_warnings", "simplefilter", "filterwarnings"):
        monkeypatch.setattr(warnings, switch, None)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # any use of it would refuse
    assert decode_picture(data).size == (48, 32)
    assert from_pillow(eight).size == (48, 32)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_many_threads_read_the_same(eight):
    files = [file_of(eight, form) for form in ("PNG", "JPEG", "TIFF", "WEBP")]
    files.append(tiff_of(np.asarray(eight).astype(np.uint16) * 257))
    want = [decode_picture(data).digest() for data in files]
    got: list[list[str]] = []

    def work():
        got.append([decode_picture(data).digest() for _ in range(5) for data in files])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [want * 5] * 6
