"""Right answers: counts by hand, Wilson's interval against its definition and printed values."""

import math

import numpy as np
import pytest

from artune.judges.accuracy import Accuracy, confusion, wilson


def test_a_confusion_by_hand():
    labels, answers = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 0, 2, 2])
    found = confusion(("a", "b", "c", "d"), labels, answers)
    assert found.table.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    assert found.accuracy == Accuracy(4, 6)
    assert found.by_class == {"a": Accuracy(1, 2), "b": Accuracy(1, 1), "c": Accuracy(2, 3), "d": Accuracy(0, 0)}


def test_a_share_of_nothing():
    assert Accuracy(3, 4).share == 0.75
    assert math.isnan(Accuracy(0, 0).share)
    assert Accuracy(0, 0).interval == (0.0, 1.0)


def test_wilson_against_its_definition():
    """The ends are the shares from which what was seen is just z deviations away."""
    from scipy.optimize import brentq

    for right, of in ((8, 10), (123, 150), (1, 7)):

        def apart(p, right=right, of=of):
            return (right / of - p) ** 2 - 1.959964**2 * p * (1 - p) / of

        low, high = brentq(apart, 1e-9, right / of), brentq(apart, right / of, 1 - 1e-9)
        assert wilson(right, of) == pytest.approx((low, high), abs=1e-8)


def test_wilson_at_the_ends():
    assert wilson(0, 0) == (0, 1)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10) == pytest.approx((0.722, 1), abs=1e-3)


def test_wilson_as_it_is_printed():
    """8 of 10, in Newcombe 1998 and elsewhere: 0.4902 to 0.9433."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-5)
