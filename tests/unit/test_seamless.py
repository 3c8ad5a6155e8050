"""Photographs and masks that are made to repeat."""

import numpy as np
import pytest

from artune.assets import sample_photo
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.resize import NO_WRAPS, WRAPS
from artune.images.seamless import seamless, seamless_mask
from tests.scripts import imported


@pytest.fixture(scope="module")
def seams():
    with imported("seam") as script:
        yield script


@pytest.mark.parametrize(("tile", "down", "across"), [("x", False, True), ("y", True, False), ("both", True, True)])
@pytest.mark.parametrize("size", [(200, 133), (37, 51), (9, 5)])
def test_edges_go_over_into_each_other(seams, tile, down, across, size):
    picture = read_picture(sample_photo("astronaut")).resized(*size)
    made = seamless(picture, WRAPS[tile])
    assert made.size == size
    for axis, wanted in ((0, down), (1, across)):
        before, after = (seams.jumps(each.pixels, axis) for each in (picture, made))
        assert (after.seam_mean < 0.5 * before.seam_mean) == wanted
        if wanted:
            assert after.seam_most <= after.inside_most
            if min(size) > 4 * seams.NEAR:  # else nothing is far from the seam
                assert after.seam_step <= after.inside_step


def test_the_middle_is_as_it_was(rng):
    picture = Picture(rng.random((120, 160, 3), np.float32))
    made = seamless(picture, WRAPS["both"])
    np.testing.assert_allclose(made.pixels[30:90, 40:120], picture.pixels[30:90, 40:120], atol=0.02)
    assert np.abs(made.pixels - picture.pixels).max() > 0.2


def test_brightness_goes_over_slowly_and_detail_at_once(rng):
    """A ramp with stripes: at the edges its values meet in the middle, but no stripe of the other edge is seen."""
    ramp = np.linspace(0.2, 0.8, 128, dtype=np.float32)
    stripes = np.where(np.arange(128) % 4 < 2, 0.1, -0.1) * (np.arange(128) < 64)
    made = seamless(Picture(np.tile((ramp + stripes)[None, :, None], (64, 1, 3)).astype(np.float32)), WRAPS["x"])
    row = made.pixels[0, :, 0]
    assert abs(row[:8].mean() - row[-8:].mean()) < 0.15  # of 0.57
    assert np.abs(np.diff(row[100:118], 2)).max() < 0.02


def test_one_colour_stays_that_colour_and_nothing_happens_where_nothing_repeats(photo):
    flat = Picture(np.full((40, 60, 3), 0.3, np.float32))
    np.testing.assert_allclose(seamless(flat, WRAPS["both"]).pixels, 0.3, atol=1e-6)
    assert seamless(photo, NO_WRAPS) is photo


def test_masks_of_all_parts_still_cover_the_picture(rng):
    left = np.zeros((24, 40), np.float32)
    left[:, :20] = 1
    one, other = (seamless_mask(mask, WRAPS["x"]) for mask in (left, 1 - left))
    np.testing.assert_allclose(one + other, 1, atol=1e-6)
    np.testing.assert_array_equal(one[:, 5:35], left[:, 5:35])
    assert abs(one[0, 0] - one[0, -1]) < 0.2


def test_transparency_repeats_too(photo):
    alpha = np.ones((32, 48), np.float32)
    alpha[:, :10] = 0
    made = seamless(Picture(photo.pixels, alpha), WRAPS["x"])
    assert abs(made.alpha[0, 0] - made.alpha[0, -1]) < 0.2
