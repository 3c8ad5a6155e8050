"""Writing: every format comes back, what a format cannot hold is refused, equal pictures are equal files."""

import io
import sys

import numpy as np
import png
import pytest
import tifffile
from PIL import Image

from artune.errors import ArtuneWarning, OutputError
from artune.images.formats import FORMATS, WRITABLE
from artune.images.picture import Picture
from artune.images.read import decode_picture, read_picture
from artune.images.write import check_suffix, encoded, write_grey, write_picture

LOSSLESS = (".png", ".tif", ".tiff", ".bmp")
OPTIONAL = {".heic": "pillow_heif", ".heif": "pillow_heif", ".hif": "pillow_heif", ".jxl": "pillow_jxl"}
LOSSY = [suffix for suffix in WRITABLE if FORMATS[suffix].quality]


@pytest.mark.parametrize("suffix", WRITABLE)
def test_every_format_comes_back(photo, tmp_path, suffix):
    if suffix in OPTIONAL:
        pytest.importorskip(OPTIONAL[suffix])
    path = tmp_path / f"a{suffix}"
    write_picture(photo, path)
    back = read_picture(path)
    assert back.size == (48, 32)
    assert back.pixels.dtype == np.float32
    assert back.alpha is None
    difference = np.abs(back.pixels - photo.pixels) * 255
    assert difference.max() <= (0.51 if FORMATS[suffix].name in ("PNG", "TIFF", "BMP") else 90)
    assert difference.mean() <= 12


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("transparent", [False, True])
def test_sixteen_bits_come_back(photo, tmp_path, rng, suffix, transparent):
    alpha = rng.random((32, 48), np.float32) if transparent else None
    path = tmp_path / f"a{suffix}"
    picture = Picture(photo.pixels, alpha, note={"a": 1})
    write_picture(picture, path, bits=16)
    want = picture.to_numpy(np.uint16)
    if suffix == ".png":  # two independent readers
        rows = np.array(list(png.Reader(bytes=path.read_bytes()).read()[2]))
        np.testing.assert_array_equal(rows.reshape(want.shape), want)
    else:
        np.testing.assert_array_equal(tifffile.imread(path), want)
    back = read_picture(path)
    assert np.abs(back.pixels - photo.pixels).max() <= 0.51 / 65535
    if alpha is None:
        assert back.alpha is None
    else:
        assert np.abs(back.alpha - alpha).max() <= 0.51 / 65535


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".avif", ".jxl"])
def test_alpha_is_kept(photo, tmp_path, suffix):
    if suffix in OPTIONAL:
        pytest.importorskip(OPTIONAL[suffix])
    alpha = np.linspace(0, 1, 32 * 48, dtype=np.float32).reshape(32, 48)
    write_picture(Picture(photo.pixels, alpha), tmp_path / f"a{suffix}")
    back = read_picture(tmp_path / f"a{suffix}")
    assert np.abs(back.alpha - alpha).max() <= (2.5 if suffix == ".avif" else 0.6) / 255


@pytest.mark.parametrize("suffix", [".bmp", ".jpg"])
def test_alpha_shows_white_where_the_format_has_none(photo, tmp_path, suffix):
    clear, buffer = Picture(photo.pixels, np.zeros((32, 48), np.float32)), io.BytesIO()
    lost = "holds no transparency: transparent parts become white. Formats that keep it: .png, .webp, .tif, .gif"
    said = set()
    for target in (tmp_path / f"a{suffix}", tmp_path / f"b{suffix}", buffer):
        with pytest.warns(ArtuneWarning, match=lost) as warned:
            write_picture(clear, target, format=suffix)
        said |= {str(each.message) for each in warned}
    assert len(said) == 1, "a command prints equal warnings once"
    assert (read_picture(tmp_path / f"a{suffix}").pixels == 1).all()
    assert (tmp_path / f"a{suffix}").read_bytes() == buffer.getvalue()
    assert (decode_picture(encoded(clear, suffix)).pixels == 1).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif"])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_same_picture_is_the_same_file(photo, tmp_path, suffix, bits, monkeypatch):
    if bits not in FORMATS[suffix].bits:
        pytest.skip("8 bits only")
    for name in "ab":
        write_picture(Picture(photo.pixels, note={"a": 1}), tmp_path / f"{name}{suffix}", bits=bits)
        monkeypatch.setattr("time.time", lambda: 2e9)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


# ---------------------------------------------------------------------------------- quality


@pytest.mark.parametrize("suffix", LOSSY)
def test_quality_is_size(photo, suffix):
    if suffix in OPTIONAL:
        pytest.importorskip(OPTIONAL[suffix])
    lengths = []
    for quality in (1, 30, 90, 100):
        file = io.BytesIO()
        write_picture(photo.resized(96, 64), file, format=suffix, quality=quality)
        lengths.append(len(file.getvalue()))
    assert lengths == sorted(lengths)
    assert lengths[-1] > 2 * lengths[0]


def test_the_quality_reaches_the_encoder(photo, tmp_path):
    photo.save(tmp_path / "a.jpg", quality=40)
    buffer = io.BytesIO()
    photo.to_pil().save(buffer, "JPEG", quality=40, subsampling=0)
    with Image.open(tmp_path / "a.jpg") as ours, Image.open(buffer) as theirs:
        assert ours.quantization == theirs.quantization


@pytest.mark.parametrize("quality", [0, -5, 101, 1000, 50.5])
@pytest.mark.usefixtures("untyped")
def test_quality_out_of_range(photo, tmp_path, quality):
    with pytest.raises(OutputError, match=rf"`quality` is {quality}; choose a whole number from 1 .* to 100"):
        write_picture(photo, tmp_path / "a.jpg", quality=quality)
    with pytest.raises(OutputError, match="`quality` is"):
        check_suffix(tmp_path / "a.webp", quality=quality)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_formats_without_quality(photo, tmp_path, suffix):
    with pytest.raises(OutputError, match="has no `quality`, for it is written without loss"):
        write_picture(photo, tmp_path / f"a{suffix}", quality=90)


# ---------------------------------------------------------------------------------- where to


@pytest.mark.parametrize("name", ["png", ".png", "PNG"])
def test_a_file_object(photo, tmp_path, name):
    write_picture(photo, tmp_path / "a.png")
    buffer = io.BytesIO(b"before")
    buffer.seek(6)
    write_picture(photo, buffer, format=name)
    assert buffer.getvalue() == b"before" + (tmp_path / "a.png").read_bytes()


@pytest.mark.parametrize(
    ("name", "bits"), [("png", 16), ("tiff", 8), ("tif", 16), ("jpeg", 8), ("webp", 8), ("avif", 8)]
)
def test_a_file_object_that_cannot_seek(photo, name, bits):
    class Pipe:
        written = b""

        def write(self, data):
            self.written += bytes(data)

    pipe = Pipe()
    write_picture(photo, pipe, format=name, bits=bits)
    assert decode_picture(pipe.written).size == photo.size


def test_the_format_may_differ_from_the_suffix(photo, tmp_path):
    write_picture(photo, tmp_path / "a.part", format="jpg")
    with Image.open(tmp_path / "a.part") as opened:
        assert opened.format == "JPEG"


class Reading(io.RawIOBase):
    """A file object that is open for reading alone."""

    def write(self, data):
        raise OSError(9, "not writable")


@pytest.mark.usefixtures("untyped")
def test_where_nothing_can_be_written(photo):
    with pytest.raises(OutputError, match="open as text; open it with mode 'wb'"):
        write_picture(photo, io.StringIO(), format="png")
    with pytest.raises(OutputError, match="cannot write the picture to the file object: not writable"):
        write_picture(photo, Reading(), format="png")
    closed = io.BytesIO()
    closed.close()
    for file, reason in ((closed, "I/O operation on closed file"), (io.BufferedReader(io.BytesIO()), "write")):
        with pytest.raises(OutputError, match=rf"to the file object: {reason}; give .*: open\(path, 'wb'\)"):
            write_picture(photo, file, format="png")
    with pytest.raises(OutputError, match="no suffix; give `format`"):
        write_picture(photo, io.BytesIO())
    with pytest.raises(OutputError, match="cannot write to a int; give a path or a binary file object"):
        write_picture(photo, 5)


def test_the_home_folder(photo, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_picture(photo, "~/new/a.png")
    assert read_picture(tmp_path / "new/a.png").size == photo.size
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_file_that_came_meanwhile_is_kept(photo, tmp_path):
    write_picture(photo, tmp_path / "a.png", replace=False)
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises(OutputError, match="written by another run meanwhile"):
        write_picture(Picture(1 - photo.pixels), tmp_path / "a.png", replace=False)
    assert (tmp_path / "a.png").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


# ---------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.xyz", {}, r"cannot write .*a\.xyz: unknown format '\.xyz'; use \.jpg, .*\.avif, \.jxl"),
        ("a", {}, r"unknown format '\(no suffix\)'"),
        ("a.tga", {}, "artune reads TGA and does not write it; use"),
        ("a.jp2", {}, "artune reads JPEG2000 and does not write it"),
        ("a.jpg", {"bits": 16}, r"JPEG does not hold 16 bits; use \.png or \.tif"),
        ("a.png", {"bits": 12}, "12 bits per channel cannot be written; choose 8, or 16"),
        ("a.webp", {"longer": 20_000}, "20000 pixels a side, where WEBP ends at 16383"),
    ],
)
def test_what_a_format_cannot_hold(tmp_path, name, options, message):
    with pytest.raises(OutputError, match=message):
        check_suffix(tmp_path / name, **options)


def test_what_is_checked_before_is_refused_when_writing(tmp_path):
    wide = Picture(np.zeros((1, 17_000, 3), np.float32))
    with pytest.raises(OutputError, match="WEBP ends at 16383"):
        write_picture(wide, tmp_path / "a.webp")
    with pytest.raises(OutputError, match="12 bits"):
        write_picture(wide, tmp_path / "a.png", bits=12)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("suffix", "module", "name", "fix"),
    [
        (".heic", "pillow_heif", "HEIF", r"pillow-heif: pip install 'artune\[heif\]'"),
        (".jxl", "pillow_jxl", "JXL", r"pillow-jxl-plugin: pip install 'artune\[jxl\]'"),
        (".avif", "PIL.AvifImagePlugin", "AVIF", "Pillow 11.3 or newer, built with AVIF"),
    ],
)
def test_formats_for_which_nothing_is_installed(photo, tmp_path, monkeypatch, suffix, module, name, fix):
    check_suffix(tmp_path / "a.png")  # so that what Pillow knows is complete, and taken away afterwards
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(Image.SAVE, name, raising=False)
    monkeypatch.delitem(Image.OPEN, name, raising=False)
    with pytest.raises(OutputError, match=rf"cannot write .*: {name} needs {fix}"):
        write_picture(photo, tmp_path / f"a{suffix}")


def test_an_encoder_that_fails_is_said(photo, tmp_path, monkeypatch):
    def fail(*args, **options):
        raise ValueError("encoder error -2")

    monkeypatch.setattr(Image.Image, "save", fail)
    for target, more in ((tmp_path / "a.png", {}), (io.BytesIO(), {"format": "png"})):
        with pytest.raises(OutputError, match=r"cannot write .*: encoder error -2; try \.png"):
            write_picture(photo, target, **more)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------- shorter ways


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_bytes_of_a_picture(photo, suffix):
    back = decode_picture(encoded(Picture(photo.pixels, note={"a": 1}), suffix))
    assert back.size == photo.size
    assert back.note == ({} if suffix == ".bmp" else {"a": 1})


def test_a_grey_map(tmp_path):
    values = np.array([[0, 0.2, 1.0, 1.7]], np.float32)
    write_grey(values, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.mode == "L"
        assert np.asarray(opened).tolist() == [[0, 51, 255, 255]]
