"""Styles over time."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artune.errors import SpecError
from artune.video.timeline import Timeline


def test_styles_are_blended_between_their_moments():
    line = Timeline.of([Fraction(4), Fraction(0)])  # the second painting comes first
    assert line.weights(Fraction(0)) == (0, 1)
    assert line.weights(Fraction(1)) == (0.25, 0.75)
    assert line.weights(Fraction(4)) == line.weights(Fraction(9)) == (1, 0)


def test_before_the_first_moment():
    assert Timeline.of([Fraction(2), Fraction(3)]).weights(Fraction(0)) == (1, 0)


@given(st.lists(st.integers(0, 100), min_size=1, max_size=5, unique=True), st.fractions(0, 120))
def test_weights_have_a_sum_of_1(moments, time):
    weights = Timeline.of([Fraction(each) for each in moments]).weights(time)
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0
    assert sum(weight > 0 for weight in weights) <= 2


@pytest.mark.parametrize("moments", [[1, 1], [-1, 2]])
def test_moments_that_cannot_be(moments):
    with pytest.raises(SpecError, match="moment"):
        Timeline.of([Fraction(each) for each in moments])
