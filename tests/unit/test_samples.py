"""Which value of a file is white."""

import numpy as np
import pytest

from artune.errors import ArtuneWarning, PictureError
from artune.images.samples import scaled

WHITE = 65535


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


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_white_of_floats(dtype):
    np.testing.assert_allclose(scaled(np.array([-0.1, 0.5, 1.05], dtype), "a"), [0, 0.5, 1])
    with pytest.warns(ArtuneWarning, match=r"a has float values up to 200, where 1 is white"):
        np.testing.assert_allclose(scaled(np.array([0, 50, 200], dtype), "a"), [0, 0.25, 1])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value):
    for others in ([0.5], []):
        with pytest.raises(PictureError, match=r"a has values that are not finite .*give floats from 0 to 1"):
            scaled(np.array([value, *others]), "a")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([-1.0, 0.0, 1.0], r"a has float values from -1 to 1, beyond .*if they run from -1 to 1, give \(x \+ 1\) / 2"),
        ([-2.1, 0, 2.6], "a has float values from -2.1 to 2.6, .*undo what the preparation for a network"),
        ([-103.9, 0, 151], "a has float values from -103.9 to 151, .*divide 8-bit values by 255"),
    ],
)
def test_values_far_below_black(values, message):
    with pytest.raises(PictureError, match=message):
        scaled(np.array(values), "a")


def test_undershoot_is_measured_by_white():
    with pytest.warns(ArtuneWarning, match="float values up to 255"):
        np.testing.assert_allclose(scaled(np.array([-20.0, 51, 255]), "a"), [0, 0.2, 1])


def test_types_without_a_white():
    with pytest.raises(PictureError, match="a holds complex128 values; give a picture of integers or floats"):
        scaled(np.zeros(3, complex), "a")
