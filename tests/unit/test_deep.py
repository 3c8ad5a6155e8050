"""PNG of 16 bits, TIFF of every depth, layout and compression."""

import io
import struct
import warnings
import zlib

import imagecodecs
import numpy as np
import png
import pytest
import tifffile
from PIL import ExifTags, Image

from artune.errors import ArtuneWarning, PictureError
from artune.images.deep import scaled
from artune.images.read import decode_picture
from tests.pictures import file_of, linear_rgb, srgb_of_linear, swapped_rgb, tiff_of

WHITE = 65535


@pytest.fixture
def deep(rng):
    """``[12, 10, 3]`` of 16 bits."""
    return rng.integers(0, 65536, (12, 10, 3), dtype=np.uint16)


def assert_is(data: bytes, want: np.ndarray, atol: float = 0.01 / WHITE) -> None:
    pixels = decode_picture(data).pixels
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, np.broadcast_to(want, pixels.shape), atol=atol)


# ---------------------------------------------------------------------------------- PNG


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


# ---------------------------------------------------------------------------------- TIFF: layouts


@pytest.mark.parametrize(
    ("samples", "options", "want"),
    [
        (np.full((4, 6), 60000, np.uint16), {"photometric": "miniswhite"}, 5535 / WHITE),
        (np.full((4, 6), 2**31, np.uint32), {"photometric": "minisblack"}, 0.5),
        (np.full((4, 6, 3), 0.25, np.float16), {}, 0.25),
        (np.full((4, 6, 3), 0.25, np.float32), {}, 0.25),
        (np.full((4, 6, 3), 0.25, np.float64), {}, 0.25),
        (np.full((4, 6, 4), 20000, np.uint16), {"extrasamples": ["assocalpha"]}, 1.0),
        (np.full((4, 6, 4), 20000, np.uint16), {"extrasamples": ["unassalpha"]}, 20000 / WHITE),
        (
            np.full((4, 6, 2), 20000, np.uint16),
            {"photometric": "minisblack", "extrasamples": ["unassalpha"]},
            20000 / WHITE,
        ),
        (np.full((3, 4, 6), 500, np.uint16), {"planarconfig": "separate"}, 500 / WHITE),
        (np.full((4, 6, 3), 1023, np.uint16), {"bitspersample": 12}, 1023 / 4095),
        (np.full((4, 6, 3), 1023, np.uint16), {"bitspersample": 10}, 1.0),
        (np.full((4, 6, 4), WHITE // 2, np.uint16), {"photometric": "separated"}, 0.25),
        (np.full((4, 4, 6), WHITE // 2, np.uint16), {"photometric": "separated", "planarconfig": "separate"}, 0.25),
    ],
)
def test_tiff_of_many_kinds(samples, options, want):
    back = decode_picture(tiff_of(samples, **options))
    assert back.size == (6, 4)
    assert (back.alpha is not None) == ("extrasamples" in options)
    np.testing.assert_allclose(back.pixels, want, atol=1e-4)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int32, np.float32])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")  # Pillow on a big-endian BigTIFF
def test_tiff_keeps_rotation_and_profile(deep, dtype, planar, byteorder, big):
    """At every depth the same colours, upright."""
    high = {np.uint16: WHITE, np.uint32: 2**32 - 1, np.int32: 2**31 - 1, np.float32: 1.0}[dtype]
    deep[0, 0] = WHITE
    samples = (deep / WHITE * high).astype(dtype)
    options = {"planarconfig": "separate"} if planar else {}
    if planar:
        samples = np.moveaxis(samples, -1, 0).copy()
    for orientation, turn in ((1, 0), (3, 2), (6, -1), (8, 1)):
        data = tiff_of(
            samples, profile=linear_rgb(), orientation=orientation, byteorder=byteorder, bigtiff=big, **options
        )
        assert_is(data, np.rot90(srgb_of_linear(deep / WHITE), turn), atol=3 / WHITE)


def test_a_profile_that_moves_colours_between_channels(deep):
    smooth = (deep // 4 + 16000).astype(np.uint16)  # inside the gamut of both
    picture = decode_picture(tiff_of(np.moveaxis(smooth, -1, 0).copy(), planarconfig="separate", profile=swapped_rgb()))
    assert np.abs(picture.pixels - smooth[..., [1, 0, 2]] / WHITE).mean() < 0.02


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "compression", ["lzw", "zstd", "deflate", "zlib", "lzma", "packbits", "jpeg2000", "jpegxl", "png", "webp", "lerc"]
)
@pytest.mark.parametrize("predictor", [False, True])
def test_tiff_in_every_compression(deep, compression, dtype, predictor, capfd):
    if predictor and compression not in ("lzw", "zstd", "deflate", "zlib", "lzma"):
        pytest.skip("there is no predictor in this compression")
    samples = (deep >> 8 if dtype == np.uint8 else deep if dtype == np.uint16 else deep / WHITE).astype(dtype)
    try:
        data = tiff_of(samples, compression=compression, predictor=predictor)
    except (KeyError, ValueError, imagecodecs.DelayedImportError):
        pytest.skip("there is no such TIFF")
    most = {"u": np.iinfo(dtype).max if dtype in (np.uint8, np.uint16) else 1, "f": 1}[np.dtype(dtype).kind]
    assert_is(data, samples.astype(np.float64) / most, atol=0.4 if compression == "webp" else 2e-5)
    assert capfd.readouterr().err == ""


# ---------------------------------------------------------------------------------- TIFF: white


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("largest", [1.2, 8.0, 255.0, 65535.0])
def test_floats_above_one_are_scaled_with_a_warning(rng, channels, largest):
    samples = rng.random((6, 7, *channels)).astype(np.float32)
    samples[2, 3] = 1
    data = tiff_of(samples * np.float32(largest), photometric="rgb" if channels else "minisblack")
    with pytest.warns(ArtuneWarning, match=rf"float values up to {largest:.6g}, .* divided by the largest"):
        picture = decode_picture(data)
    np.testing.assert_allclose(picture.pixels, np.broadcast_to(samples.reshape(6, 7, -1), (6, 7, 3)), atol=1e-5)


def test_transparency_is_not_scaled_with_the_colours():
    samples = np.full((2, 2, 4), 200, np.float32)
    samples[..., 3] = 0.5
    with pytest.warns(ArtuneWarning, match="float values up to 200"):
        picture = decode_picture(tiff_of(samples, extrasamples=["unassalpha"]))
    assert (picture.alpha == 0.5).all()
    assert (picture.pixels == 1).all()


def test_floats_that_overshoot_a_little_are_clipped():
    samples = np.array([[-0.04, 0.5, 1.06]], np.float32)
    assert_is(tiff_of(samples, photometric="minisblack"), np.array([[[0.0], [0.5], [1.0]]]))


@pytest.mark.parametrize(
    ("values", "want"),
    [
        (np.array([0, 51, 255], np.int32), [0, 0.2, 1]),
        (np.array([0, 51, 255], np.int64), [0, 0.2, 1]),
        (np.array([-5, 13107, 65535], np.int32), [0, 0.2, 1]),
        (np.array([0, 13107, 65535], np.uint32), [0, 0.2, 1]),
        (np.array([0, 2**30, 2**31 - 1], np.int32), [0, 0.5, 1]),
        (np.array([0, 16384, 32767], np.int16), [0, 0.5, 1]),
        (np.array([0, 127], np.int8), [0, 1]),
        (np.array([0, 51, 100], np.uint8), [0, 0.2, 100 / 255]),
        (np.array([0, 51, 100], np.uint16), [0, 51 / WHITE, 100 / WHITE]),
    ],
)
def test_white_of_integers(values, want):
    np.testing.assert_allclose(scaled(values, "a"), want, atol=1e-4)


@pytest.mark.parametrize(("channels", "photometric"), [((), "minisblack"), ((3,), "rgb")])
def test_a_tiff_without_a_number_is_damaged(channels, photometric):
    with pytest.raises(PictureError, match="none of its values is finite"):
        decode_picture(tiff_of(np.full((8, 9, *channels), np.nan, np.float32), photometric=photometric))
    some = np.full((8, 9, *channels), np.nan, np.float32)
    some[:4] = 0.5
    pixels = decode_picture(tiff_of(some, photometric=photometric)).pixels
    assert (pixels[:4] == 0.5).all()
    assert (pixels[4:] == 0).all()


# ---------------------------------------------------------------------------------- TIFF: pages, refusals


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_the_first_of_several_pages_is_read_with_a_warning(dtype, channels):
    pages = np.stack([np.full((4, 6, *channels), value, dtype) for value in (1, 0)])
    with pytest.warns(ArtuneWarning, match="several pages: only the first is used"):
        picture = decode_picture(tiff_of(pages, photometric="rgb" if channels else "minisblack"))
    assert (picture.pixels > 0).all()
    assert picture.size == (6, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_preview_is_no_page(dtype):
    for first in (0, 1):
        buffer = io.BytesIO()
        with tifffile.TiffWriter(buffer) as file:
            for kind in (first, 1 - first):
                file.write(np.ones((4, 4, 3), dtype), photometric="rgb", subfiletype=kind, metadata=None)
        if first == 0:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert decode_picture(buffer.getvalue()).size == (4, 4)
        else:  # as in a camera's raw file: a thumbnail would be styled
            with pytest.raises(PictureError, match="raw file, or holds its preview first"):
                decode_picture(buffer.getvalue())


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        (
            np.zeros((4, 6, 3), np.uint16),
            {"photometric": "cielab"},
            "a kind that artune does not read .*save it as RGB",
        ),
        (np.zeros((4, 6), np.complex64), {"photometric": "minisblack"}, "complex64 values; give a picture of integers"),
        (
            np.zeros((16, 16, 16), np.uint16),
            {"photometric": "minisblack", "volumetric": True, "tile": (16, 16, 16)},
            "axes ZYX",
        ),
    ],
)
def test_tiff_that_is_not_read(samples, options, message):
    with pytest.raises(PictureError, match=message):
        decode_picture(tiff_of(samples, **options))


@pytest.mark.parametrize("form", ["png", "tif"])
def test_files_that_are_cut_anywhere_are_refused(deep, form):
    whole = imagecodecs.png_encode(deep) if form == "png" else tiff_of(deep, compression="zlib")
    for length in (9, 20, 40, 100, len(whole) // 2):
        with pytest.raises(PictureError, match=r"damaged or cut short|is not a picture"):
            decode_picture(whole[:length])


def test_a_huge_header_takes_no_memory(deep):
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 16, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    whole = imagecodecs.png_encode(deep)
    with pytest.raises(PictureError, match="30000x30000 pixels, above the limit"):
        decode_picture(whole[:8] + chunk + whole[33:])
