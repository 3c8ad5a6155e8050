"""PNG of 16 bits: every layout and filter, its metadata, its damages."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import png
import pytest
from PIL import ExifTags, Image

from artune.errors import PictureError
from artune.images.read import decode_picture
from tests.pictures import file_of, linear_rgb, srgb_of_linear

WHITE = 65535


@pytest.fixture
def deep(rng):
    """``[12, 10, 3]`` of 16 bits."""
    return rng.integers(0, 65536, (12, 10, 3), dtype=np.uint16)


def assert_is(data: bytes, want: np.ndarray, atol: float = 0.01 / WHITE) -> None:
    pixels = decode_picture(data).pixels
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, np.broadcast_to(want, pixels.shape), atol=atol)


def png_of(samples: np.ndarray, **options) -> bytes:
    """An independent writer: pypng."""
    height, width, planes = samples.shape
    buffer = io.BytesIO()
    writer = png.Writer(width, height, greyscale=planes < 3, alpha=planes in (2, 4), bitdepth=16, **options)
    writer.write(buffer, samples.reshape(height, -1).tolist())
    return buffer.getvalue()


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize("planes", [1, 2, 3, 4])
def test_png_of_sixteen_bits(rng, planes, interlace):
    samples = rng.integers(0, 65536, (9, 7, planes), dtype=np.uint16)
    picture = decode_picture(png_of(samples, interlace=interlace))
    own = 3 if planes > 2 else 1
    want = samples / np.float32(WHITE)
    np.testing.assert_array_equal(picture.pixels, np.broadcast_to(want[..., :own], (9, 7, 3)))
    if planes in (2, 4):
        np.testing.assert_array_equal(picture.alpha, want[..., -1])
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("method", range(5))
def test_every_filter_of_rows(deep, method):
    """Rows in all five filters of the PNG specification; the fourth is Paeth's."""
    rows = deep.astype(">u2").reshape(12, -1).view(np.uint8).astype(int)
    left = np.pad(rows, ((0, 0), (6, 0)))[:, :-6]
    up = np.pad(rows, ((1, 0), (0, 0)))[:-1]
    corner = np.pad(rows, ((1, 0), (6, 0)))[:-1, :-6]
    guess = left + up - corner
    far = [abs(guess - x) for x in (left, up, corner)]
    paeth = np.where((far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], up, corner))
    filtered = (rows - (0 * rows, left, up, (left + up) // 2, paeth)[method]) % 256
    body = np.concatenate([np.full((12, 1), method), filtered], 1).astype(np.uint8).tobytes()
    assert_is(_png(body), deep / WHITE)


def _png(body: bytes, *behind: tuple[bytes, bytes]) -> bytes:
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 10, 12, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(body))]
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in (*chunks, *behind, (b"IEND", b"")):
        out += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return out


@pytest.mark.parametrize("grey", [True, False])
def test_the_transparent_colour_of_a_png(rng, grey):
    deep = rng.integers(0, 65536, (4, 5, 1 if grey else 3), dtype=np.uint16)
    deep[1, 2] = 7
    picture = decode_picture(png_of(deep, transparent=7 if grey else (7, 7, 7)))
    np.testing.assert_allclose(picture.pixels * WHITE, np.broadcast_to(deep, (4, 5, 3)), atol=0.01)
    assert picture.alpha[1, 2] == 0
    assert picture.alpha.sum() == 19


def test_metadata_of_a_png_before_and_behind_its_pixels(deep):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, "M"
    body = np.concatenate([np.zeros((12, 1), np.uint8), deep.astype(">u2").reshape(12, -1).view(np.uint8)], 1).tobytes()
    chunk = (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    for data in (_png(body, chunk), file_of(Image.fromarray(deep[..., 0]), "PNG", exif=exif)):
        picture = decode_picture(data)
        assert picture.size == (12, 10)
        assert b"M\0" in picture.exif
        np.testing.assert_allclose(picture.pixels[..., 0], np.rot90(deep[..., 0], -1) / WHITE, atol=1e-6)


def test_a_profile_of_a_png_is_applied_at_sixteen_bits():
    ramp = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    data = bytearray(imagecodecs.png_encode(np.stack([ramp] * 3, -1)))
    body = b"x\0\0" + zlib.compress(linear_rgb())
    data[33:33] = struct.pack(">I", len(body)) + b"iCCP" + body + struct.pack(">I", zlib.crc32(b"iCCP" + body))
    assert_is(bytes(data), srgb_of_linear(ramp[..., None] / WHITE), atol=2 / WHITE)


def test_a_png_that_others_would_log_warnings_about(caplog):
    """A profile for colours in a grey picture."""
    decode_picture(file_of(Image.new("I;16", (4, 4)), "PNG", icc_profile=linear_rgb()))
    assert not caplog.records


def test_files_that_are_cut_anywhere_are_refused(deep):
    whole = imagecodecs.png_encode(deep)
    for length in (9, 20, 40, 100, len(whole) // 2, len(whole) - 20):
        with pytest.raises(PictureError, match=r"damaged or cut short|is not a picture"):
            decode_picture(whole[:length])


def test_a_huge_header_takes_no_memory(deep):
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 16, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    whole = imagecodecs.png_encode(deep)
    with pytest.raises(PictureError, match="30000x30000 pixels, above the limit"):
        decode_picture(whole[:8] + chunk + whole[33:])
