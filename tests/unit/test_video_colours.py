"""From the values of a film to colours and back: known answers of the standards, and where chroma stands."""

import numpy as np
import pytest

from artune.video.colours import (
    BT601_525,
    BT601_625,
    BT709,
    BT2020,
    HD,
    MATRICES,
    RGB,
    Colours,
    colours_of,
    depth_of,
    doubled,
    from_rgb,
    halved,
    has_alpha,
    to_rgb,
)
from tests.films import planes, rgb

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
LIMITED_601, LIMITED_709 = Colours(BT601_525, False, 6, 6), HD
FULL_601, FULL_709 = Colours(BT601_625, True, 5, 6), Colours(BT709, True, 1, 1)

KNOWN = [
    (LIMITED_601, RED, (81, 90, 240)),
    (LIMITED_601, GREEN, (145, 54, 34)),
    (LIMITED_601, BLUE, (41, 240, 110)),
    (LIMITED_709, RED, (63, 102, 240)),
    (LIMITED_709, GREEN, (173, 42, 26)),
    (LIMITED_709, BLUE, (32, 240, 118)),
    (LIMITED_709, WHITE, (235, 128, 128)),
    (LIMITED_709, BLACK, (16, 128, 128)),
    (FULL_601, RED, (76, 85, 255)),
    (FULL_601, WHITE, (255, 128, 128)),
    (FULL_709, BLACK, (0, 128, 128)),
    (FULL_709, GREEN, (182, 30, 12)),
]
"""Red, green and blue, and the 8-bit luma and chroma that stand for them in the recommendations BT.601 and BT.709."""


@pytest.mark.parametrize(("colours", "shown", "values"), KNOWN)
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p10le"])
def test_known_colours(colours, shown, values, pixels):
    if pixels.endswith("10le"):
        finer = 1023 / 255 if colours.full_range else 4
        given = [round(finer * (value - zero) + 4 * zero) for value, zero in zip(values, (0, 128, 128), strict=True)]
    else:
        given = values
    frame = planes(pixels, 8, 6, *given)
    got = to_rgb(frame, colours, (8, 6))
    assert got.shape == (6, 8, 3)
    np.testing.assert_allclose(255 * got, np.broadcast_to(shown, got.shape), atol=1.3)
    made = from_rgb(np.broadcast_to(np.array(shown, np.uint8), (6, 8, 3)), "yuv420p", colours)
    assert [np.frombuffer(plane, np.uint8)[0] for plane in made.planes] == pytest.approx(values, abs=1)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("pixels", "levels"), [("yuv420p", 1.6), ("yuv420p10le", 0.4), ("yuva420p", 1.6), ("yuva444p10le", 0.4)]
)
def test_colours_come_back(rng, matrix, full_range, kind, pixels, levels):
    """Wide bars, in whose middle it does not matter that chroma is halved."""
    colours, white = Colours(matrix, full_range, 1, 1), np.iinfo(kind).max
    bars = np.repeat((rng.random((10, 3)) * white + 0.5).astype(kind), 24, 0)
    values = np.broadcast_to(bars, (4, 240, 3))
    if pixels.startswith("yuva"):
        values = np.concatenate([values, np.full((4, 240, 1), white // 3, kind)], 2)
    got = to_rgb(from_rgb(values, pixels, colours), colours, (240, 4))[:, 12::24]
    np.testing.assert_allclose(255 * got[..., :3], 255 / white * values[:, 12::24, :3].astype(float), atol=levels)
    if got.shape[2] == 4:
        np.testing.assert_allclose(got[..., 3], 1 / 3, atol=0.001 if "10" in pixels else 0.003)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le", "yuva420p"])
def test_grey_stays_grey(full_range, pixels):
    """FFmpeg's scaler would tint it by up to two levels where the range is full."""
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 4 if pixels == "yuva420p" else 3, 2)
    colours = Colours(BT709, full_range, 1, 1)
    got = 255 * to_rgb(from_rgb(grey, pixels, colours), colours, (16, 16))[..., :3]
    assert np.ptp(got, axis=2).max() < 1e-3
    np.testing.assert_allclose(got[..., 0], grey[..., 0], atol=0.6)


@pytest.mark.parametrize(
    "pixels", ["gray", "gray10le", "yuv420p", "yuvj420p", "yuv410p", "nv12", "yuyv422", "yuv422p12le", "p010le"]
)
def test_white_and_black_of_every_layout(pixels):
    full = pixels.startswith("yuvj")
    colours = Colours(BT601_525, full, 6, 6)
    for level in (0, 255):
        grey = np.full((8, 8, 3), level, np.uint8)
        frame = rgb(grey, pixels)
        got = to_rgb(frame, Colours(BT601_525, frame.color_range == 2, 6, 6) if full else colours, (8, 8))
        np.testing.assert_allclose(255 * got, level, atol=2)


@pytest.mark.parametrize("pixels", ["rgb24", "bgr0", "gbrp", "bgra", "gbrap16le", "rgb48le", "gbrp10le", "pal8"])
def test_red_green_and_blue_are_taken_as_they_are(pixels):
    values = np.zeros((2, 6, 3), np.uint8)
    values[:, :2], values[:, 2:4], values[1] = (248, 0, 8), (0, 252, 0), (255, 255, 255)
    frame = _palette_frame(values) if pixels == "pal8" else rgb(values, pixels)
    got = to_rgb(frame, Colours(RGB, True, 1, 1), (6, 2))
    np.testing.assert_allclose(255 * got[..., :3], values, atol=1)  # FFmpeg makes 16 bits of 8 by a shift
    assert got.shape[2] == 3 + has_alpha(frame)
    if got.shape[2] == 4:
        assert got[..., 3].min() == 1


def _palette_frame(values):
    from av.video.frame import VideoFrame

    colours, places = np.unique(values.reshape(-1, 3), axis=0, return_inverse=True)
    palette = np.zeros((256, 4), np.uint8)
    palette[: len(colours)] = np.c_[np.full(len(colours), 255), colours]
    return VideoFrame.from_ndarray((places.reshape(values.shape[:2]).astype(np.uint8), palette), "pal8")


def test_a_frame_of_another_size_is_fitted():
    frame = planes("yuv420p", 16, 8, 235, 128, 128)
    got = to_rgb(frame, HD, (8, 6))
    assert got.shape == (6, 8, 3)
    np.testing.assert_allclose(got, 1, atol=0.01)


def test_what_is_beyond_white_stays_white():
    frame = planes("yuv420p10le", 8, 8, 1023, 512, 1023)
    got = to_rgb(frame, HD, (8, 8))
    assert got.max() == 1
    assert got[..., 0].min() == 1


def edge(at):
    """Red at the left, blue at the right."""
    values = np.zeros((8, 32, 3), np.uint8)
    values[:, :at], values[:, at:] = RED, BLUE
    return values


@pytest.mark.parametrize("at", [14, 15, 16, 17])
def test_chroma_does_not_move(at):
    """The middle of an edge of colours is where it was; a quarter of a pixel would be seen here."""
    chroma = halved(_chroma(edge(at)))
    whole = doubled(chroma, 32)[0]
    low, high = whole[0], whole[-1]
    assert ((high - whole) / (high - low)).sum() == pytest.approx(at, abs=0.11)


def _chroma(values):
    rgb_values = values.astype(np.float32) / 255
    luma = rgb_values @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return (rgb_values[..., 2] - luma) / np.float32(1.8556)


def test_halved_is_the_mean_around_the_left_one_of_two_columns():
    chroma = np.array([[0, 4, 8, 12], [0, 4, 8, 16]], np.float32)
    np.testing.assert_array_equal(halved(chroma), [[(0 + 0 + 4) / 4, (2 * 4 + 4 * 8 + 12 + 16) / 8]])


def test_doubled_keeps_the_values_and_straight_lines():
    line = np.arange(8, dtype=np.float32)[None] * 2
    got = doubled(line, 15)
    np.testing.assert_array_equal(got[:, ::2], line)
    np.testing.assert_allclose(got[0, 3:12], np.arange(3, 12))
    assert got.shape == (1, 15)


@pytest.mark.parametrize(
    ("size", "want"),
    [
        ((640, 480), BT601_525),
        ((720, 576), BT601_625),
        ((1280, 534), BT709),
        ((1280, 720), BT709),
        ((720, 1280), BT709),
    ],
)
def test_what_a_film_does_not_say_is_implied_by_its_size(size, want):
    colours = colours_of(planes("yuv420p", *size, 16, 128, 128))
    assert (colours.matrix, colours.full_range, colours.primaries) == (want, False, want)
    assert colours.transfer == (1 if want == BT709 else 6)


def test_what_a_film_says_is_kept():
    frame = planes("yuv420p10le", 64, 64, 64, 512, 512)
    frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = 9, 2, 9, 16
    assert colours_of(frame) == Colours(BT2020, True, BT2020, 16)
    frame.color_trc = 2
    assert colours_of(frame).transfer == 14
    assert depth_of(frame) == 10


def test_a_film_of_red_green_and_blue():
    assert colours_of(rgb(edge(3), "gbrp")) == Colours(RGB, True, BT709, BT709)


def test_jpeg_is_of_full_range():
    assert colours_of(planes("yuvj420p", 16, 16, 0, 128, 128)).full_range


def test_a_matrix_that_is_not_known_here_is_taken_for_the_implied_one():
    frame = planes("yuv444p", 64, 64, 64, 128, 128)
    frame.colorspace = 8  # YCgCo
    assert colours_of(frame).matrix == BT601_525
