"""TIFF of every depth, layout and compression."""

import io
import warnings

import imagecodecs
import numpy as np
import pytest
import tifffile

from artune.errors import ArtuneWarning, PictureError
from artune.images.read import decode_picture
from artune.images.sources import as_picture
from tests.pictures import linear_rgb, srgb_of_linear, swapped_rgb, tiff_of

WHITE = 65535


@pytest.fixture
def deep(rng):
    """``[12, 10, 3]`` of 16 bits."""
    return rng.integers(0, 65536, (12, 10, 3), dtype=np.uint16)


def assert_is(data: bytes, want: np.ndarray, atol: float = 0.01 / WHITE) -> None:
    pixels = decode_picture(data).pixels
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, np.broadcast_to(want, pixels.shape), atol=atol)


# ---------------------------------------------------------------------------------- layouts


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


# ---------------------------------------------------------------------------------- white


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


@pytest.mark.parametrize(("channels", "photometric"), [((), "minisblack"), ((3,), "rgb")])
@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "not finite"), (np.inf, "not finite"), (-1, r"give \(x \+ 1\) / 2")]
)
def test_floats_are_refused_in_a_file_as_in_an_array(channels, photometric, value, message):
    samples = np.full((8, 9, *channels), 0.5, np.float32)
    samples[:2, :2] = value
    for source in (samples, tiff_of(samples, photometric=photometric)):
        with pytest.raises(PictureError, match=message):
            as_picture(source)


# ---------------------------------------------------------------------------------- pages, refusals


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


def test_files_that_are_cut_anywhere_are_refused(deep):
    whole = tiff_of(deep, compression="zlib")
    for length in (9, 20, 40, 100, len(whole) // 2):
        with pytest.raises(PictureError, match=r"damaged or cut short|is not a picture"):
            decode_picture(whole[:length])


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_cut_file_is_said_in_one_line(byteorder, bigtiff, dtype, capfd, caplog):
    samples = np.ones((12, 10, 3), dtype)
    whole = tiff_of(samples, byteorder=byteorder, bigtiff=bigtiff, compression="zlib", rowsperstrip=4)
    pixels = tifffile.TiffFile(io.BytesIO(whole)).pages[0].dataoffsets[0]
    assert decode_picture(whole).size == (10, 12)
    for length in range(4, pixels + 1):
        with pytest.raises(
            PictureError, match=rf"cut short: it ends at byte {length}, before .* at byte \d+; get it anew"
        ):
            decode_picture(whole[:length])
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
