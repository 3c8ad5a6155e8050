"""Sizes, and resizing of planes that repeat."""

import numpy as np
import pytest
from PIL import Image

from artune.images.resize import CUBIC, LANCZOS, NO_WRAPS, TRIANGLE, WRAPS, Wraps, fitted, reduced, resized_plane

BOTH = Wraps(down=True, across=True)


@pytest.mark.parametrize("resample", [LANCZOS, CUBIC, TRIANGLE])
@pytest.mark.parametrize(("width", "height"), [(19, 13), (90, 61), (40, 30), (7, 80)])
def test_a_plane_that_repeats_is_the_middle_of_its_copies(rng, resample, width, height):
    plane = rng.random((30, 40), np.float32)
    copies = Image.fromarray(np.tile(plane, (3, 3))).resize((3 * width, 3 * height), resample)
    expected = np.asarray(copies)[height : 2 * height, width : 2 * width]
    np.testing.assert_allclose(resized_plane(plane, width, height, resample, BOTH), expected, atol=1e-5)


def test_one_axis_repeats_and_the_other_ends(rng):
    plane = rng.random((30, 40), np.float32)
    copies = np.asarray(Image.fromarray(np.tile(plane, (1, 3))).resize((60, 17), LANCZOS))
    found = resized_plane(plane, 20, 17, LANCZOS, WRAPS["x"])
    np.testing.assert_allclose(found, copies[:, 20:40], atol=1e-5)
    assert np.abs(found - resized_plane(plane, 20, 17, LANCZOS, WRAPS["y"])).max() > 0.01


def test_a_plane_that_does_not_repeat_is_pillows(rng):
    plane = rng.random((30, 40), np.float32)
    expected = np.asarray(Image.fromarray(plane).resize((11, 70), LANCZOS))
    assert np.array_equal(resized_plane(plane, 11, 70, LANCZOS, NO_WRAPS), expected)
    assert WRAPS["none"] == NO_WRAPS


def test_sizes_keep_the_proportions():
    assert fitted(400, 200, 512) == (512, 256)
    assert fitted(1, 5000, 512) == (1, 512)


def test_what_is_smaller_is_not_enlarged():
    assert reduced(400, 200, 100) == (100, 50)
    assert reduced(40, 20, 100) == (40, 20)
