"""Margins of paintings that were framed by hand, and of paintings that have none."""

import numpy as np
import pytest

from artune.images.border import Margins, border, without_border
from artune.images.picture import Picture


@pytest.fixture
def strokes(rng):
    """A painting without a border, 120x96: smooth patches of all colours."""
    coarse = rng.random((9, 11, 3)).astype(np.float32)
    y, x = np.linspace(0, 7.999, 96), np.linspace(0, 9.999, 120)
    j, i = y.astype(int), x.astype(int)
    v, u = (y - j)[:, None, None], (x - i)[None, :, None]
    top = coarse[j][:, i] * (1 - u) + coarse[j][:, i + 1] * u
    low = coarse[j + 1][:, i] * (1 - u) + coarse[j + 1][:, i + 1] * u
    return np.float32(0.1 + 0.6 * (top * (1 - v) + low * v))


def framed(pixels, colour, top=0, bottom=0, left=0, right=0):
    widths = ((top, bottom), (left, right), (0, 0))
    out = np.pad(pixels, widths)
    inside = np.pad(np.ones(pixels.shape[:2], bool), widths[:2])
    out[~inside] = colour
    return out


@pytest.mark.parametrize(
    "widths",
    [Margins(20, 20, 20, 20), Margins(1, 1, 1, 1), Margins(top=7), Margins(bottom=12, right=3), Margins(0, 0, 2, 9)],
)
@pytest.mark.parametrize("colour", [(1, 1, 1), (0, 0, 0), (0.95, 0.92, 0.8)])
def test_a_mat_is_found_to_the_pixel(strokes, widths, colour):
    assert border(framed(strokes, colour, *widths)) == widths


def test_a_painting_without_a_border_is_itself(strokes):
    painting = Picture(strokes)
    assert border(strokes) == Margins()
    assert without_border(painting) is painting


def test_what_lies_inside_is_left(strokes):
    mat = Picture(framed(strokes, (1, 1, 1), 5, 6, 7, 8), exif=b"camera")
    found = without_border(mat)
    np.testing.assert_array_equal(found.pixels, strokes)
    assert found.exif == b"camera"
    again = without_border(found)
    assert again is found


def test_a_mat_and_a_drawn_line_are_one_border(strokes):
    line = framed(strokes, (0, 0, 0), 2, 2, 2, 2)
    assert border(framed(line, (1, 1, 1), 10, 10, 10, 10)) == Margins(12, 12, 12, 12)


def test_a_canvas_edge_of_many_colours_is_a_border(strokes, rng):
    """Two rows in shadow: darker than what lies inside, each pixel in its own colour."""
    edge = strokes.copy()
    edge[:2] = 0.3 * strokes[2] * rng.uniform(0.8, 1.2, (2, 120, 1)).astype(np.float32)
    assert border(np.maximum(edge, 0)).top == 2


def test_a_blurred_edge_is_left_out(strokes):
    mat = framed(strokes, (1, 1, 1), top=10)
    mat[10] = (mat[9] + mat[11]) / 2
    assert border(mat).top == 11


def test_a_wide_band_of_many_colours_is_no_border(strokes, rng):
    """The sea below a bright sky, ten rows high."""
    sea = strokes.copy()
    sea[-10:] = 0.3 * sea[-10:] * rng.random((10, 120, 1)).astype(np.float32)
    assert border(sea) == Margins()


def test_what_is_drawn_on_paper_is_no_border():
    """A disc on white: white all around, but no straight edge. Nor is a gradient, or one colour."""
    y, x = np.mgrid[0:90, 0:100].astype(np.float32)
    disc = np.where(np.hypot(x - 50, y - 45) < 43, np.float32(0.3), np.float32(1))
    for grey in (disc, y / 90, np.full_like(y, 0.5)):
        assert border(np.repeat(grey[..., None], 3, -1)) == Margins()


def test_noise_has_no_border(rng):
    for _ in range(20):
        assert border(rng.random((64, 64, 3)).astype(np.float32)) == Margins()


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (16, 16)])
def test_the_smallest_pictures(size, rng):
    assert border(rng.random((*size, 3)).astype(np.float32)) == Margins()


def test_large_pictures_are_searched_at_a_reduced_size(strokes):
    """Three times 512: the margins are exact within three pixels, and nothing of the mat is left."""
    mat = np.kron(framed(np.tile(strokes, (5, 4, 1)), (1, 1, 1), 16, 20, 24, 12), np.ones((3, 3, 1), np.float32))
    for found, want in zip(border(mat), (48, 60, 72, 36), strict=True):
        assert want <= found <= want + 4


def test_transparent_paintings_are_left_as_they_are(strokes):
    mat = framed(strokes, (1, 1, 1), 5, 5, 5, 5)
    alpha = np.ones(mat.shape[:2], np.float32)
    alpha[0, 0] = 0
    painting = Picture(mat, alpha)
    assert without_border(painting) is painting


def test_margins_are_told_by_their_sides():
    assert str(Margins(top=12, left=1)) == "12 at the top, 1 at the left"
