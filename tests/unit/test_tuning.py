"""The balance of curves that are known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from artune.balance.curve import (
    Balance,
    Curve,
    Reason,
    balance,
    misfit,
    monotone,
)
from artune.errors import InputError

LADDER = (0.1, 0.25, 0.5, 0.75, 0.9)


def odds(strength):
    return math.log(strength / (1 - strength))


def test_two_lines_cross_where_they_cross():
    """Style rises and content falls in the log odds: both 0.5 at 1 / (1 + e^-0.7)."""
    strengths = np.linspace(0.05, 0.95, 19)
    x = np.log(strengths / (1 - strengths))
    curve = Curve(tuple(strengths), tuple(0.5 + 0.1 * (x - 0.7)), tuple(0.5 - 0.1 * (x - 0.7)))
    found = balance(curve)
    assert found.reason is Reason.CROSSED
    assert odds(found.strength) == pytest.approx(0.7, abs=0.02)  # read at 1001 places
    assert found.confidence == pytest.approx(1)


def test_by_hand():
    found = balance(Curve(LADDER, (0.0, 0.2, 0.6, 1.0, 1.0), (1.0, 0.9, 0.6, 0.2, 0.0)), kept=0.6)
    assert found.strength == pytest.approx(0.5)
    assert found.low == pytest.approx(0.5)
    assert found.high == pytest.approx(0.5)


def test_the_safe_interval_by_hand():
    """The style reaches half of its best half way from 0.25 to 0.5, the content half of its best at 0.75."""
    found = balance(Curve(LADDER, (0.0, 0.25, 0.75, 1.0, 1.0), (0.8, 0.8, 0.7, 0.4, 0.0)), kept=0.5)
    assert odds(found.low) == pytest.approx(odds(0.25) / 2)
    assert found.high == pytest.approx(0.75)
    assert balance(Curve(LADDER, (0.0, 0.1, 0.2, 0.6, 1.0), (1.0, 0.4, 0.3, 0.2, 0.0))).low is None


def test_the_middle_of_a_stretch_by_hand():
    """The lower of the two is 0.7 from 0.25 on, and falls behind 0.75, where the two cross."""
    strengths = (0.1, 0.25, 0.5, 0.75, 0.9)
    found = balance(Curve(strengths, (0.3, 0.7, 0.7, 0.7, 0.7), (0.9, 0.9, 0.8, 0.7, 0.3)))
    assert found.reason is Reason.CROSSED
    assert found.strength == pytest.approx(0.5, abs=1e-3)


@given(st.floats(0.25, 1), st.floats(0.25, 1), st.floats(-1.5, 1.5))
def test_the_crossing_itself_where_it_is_asked_for(rise, fall, at):
    """Of two straight lines, however unlike their slopes are."""
    style, content = (tuple(0.5 + slope * (odds(s) - at) / 8 for s in LADDER) for slope in (rise, -fall))
    assert odds(balance(Curve(LADDER, style, content), tolerance=0.0).strength) == pytest.approx(at, abs=0.01)


@pytest.mark.parametrize(
    ("style", "content", "at"),
    [
        ((0.5, 0.5, 0.5, 0.5, 0.5), (0.9, 0.8, 0.7, 0.4, 0.2), odds(0.5) + 2 / 3 * (odds(0.75) - odds(0.5))),
        ((0.1, 0.2, 0.5, 0.5, 0.5), (0.99, 0.95, 0.9, 0.8, 0.6), odds(LADDER[-1])),  # where they come nearest
    ],
)
def test_on_a_plateau_too_the_crossing_is_where_they_cross(style, content, at):
    found = balance(Curve(LADDER, style, content), tolerance=0.0)
    assert odds(found.nearest) == pytest.approx(at, abs=0.01)
    assert odds(found.strength) == pytest.approx(at, abs=0.01)


def test_where_they_stay_alike_the_middle_is_taken():
    found = balance(Curve(LADDER, (0.1, 0.5, 0.5, 0.5, 0.9), (0.9, 0.5, 0.5, 0.5, 0.1)))
    assert found.strength == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("style", "content", "nearest", "third"),
    [
        ((0.7, 0.8, 0.9, 1.0, 1.0), (0.6, 0.5, 0.4, 0.2, 0.1), 0.1, 1 / 3),
        ((0.0, 0.1, 0.1, 0.2, 0.3), (1.0, 0.9, 0.8, 0.8, 0.7), 0.9, 1 / 3),
    ],
)
def test_without_a_crossing_near_the_nearest_end(style, content, nearest, third):
    """The lesser falls on a straight line from the end, by 0.2 up to 0.5: a triangle, whose middle is at a third."""
    found = balance(Curve(LADDER, style, content), tolerance=0.2)
    assert found.reason is Reason.NO_CROSSING
    least = -math.inf if found.low is None else odds(found.low)
    assert odds(found.strength) == pytest.approx(max((1 - third) * odds(nearest), least), abs=0.01)
    assert found.nearest == pytest.approx(nearest)
    assert f"they come nearest at {nearest:.2f}" in str(found)
    assert 0 < found.confidence < 1


@pytest.mark.parametrize(("style", "said"), [(0.4, "in this style already?"), (0.1, "none shows the style")])
def test_flat_curves_are_explained(style, said):
    found = balance(Curve(LADDER, (style,) * 5, (0.6,) * 5))
    assert found.reason is Reason.FLAT
    assert said in str(found)


def test_flat_curves_say_nothing():
    found = balance(Curve(LADDER, (0.5, 0.52, 0.5, 0.51, 0.5), (0.6, 0.6, 0.61, 0.6, 0.6)))
    assert (found.style, found.content) == pytest.approx((0.506, 0.602))
    assert found == Balance(0.5, None, None, Reason.FLAT, 0.0, found.style, found.content, 0.5)
    assert balance(Curve((0.6, 0.9), (0.5, 0.5), (0.5, 0.5))).strength == 0.6


@pytest.mark.parametrize("kept", [0.0, 0.8])
def test_no_strength_is_safe_for_what_is_recognised_nowhere(kept):
    least, falling = (0.0, 0.01, 0.02, 0.04, 0.09), (0.95, 0.9, 0.7, 0.5, 0.4)
    found = balance(Curve(LADDER, least, falling), kept=kept)
    assert (found.low, found.high, found.reason) == (None, None, Reason.NO_CROSSING)
    assert str(found).startswith(f"strength {found.strength:.2f}, a guess: too little is recognised")
    mirrored = balance(Curve(LADDER, falling[::-1], least[::-1]), kept=kept)
    assert (mirrored.low, mirrored.high) == (None, None)
    if not kept:
        assert balance(Curve(LADDER, (*least[:-1], 0.1), falling), kept=kept).low is not None


def test_curves_that_run_the_wrong_way_are_not_flat():
    found = balance(Curve(LADDER, (0.7, 0.6, 0.5, 0.45, 0.4), (0.9, 0.9, 0.88, 0.87, 0.85)))
    assert found.reason is Reason.NOT_MONOTONE
    assert found.confidence == 0
    assert "a guess" in str(found)


def test_hardly_recognised_at_the_balance_is_called_a_guess():
    assert "a guess" not in str(Balance(0.4, None, None, Reason.CROSSED, 0.5, 0.1, 0.2, 0.4))
    for style, content in ((0.09, 0.2), (0.2, 0.09)):
        said = str(Balance(0.4, None, None, Reason.CROSSED, 0.5, style, content, 0.4))
        assert f"a guess: too little is recognised there (style {style:.2f}, content {content:.2f})" in said


def test_curves_that_go_up_and_down():
    found = balance(Curve(LADDER, (0.9, 0.1, 0.9, 0.1, 0.9), (1.0, 0.9, 0.5, 0.2, 0.0)))
    assert found.reason is Reason.NOT_MONOTONE
    assert found.confidence == 0


@pytest.mark.parametrize("least", [0.0, 5e-324, 1e-9, 0.02])
def test_what_is_as_good_as_nothing_decides_nothing(least):
    """A style that is recognised nowhere, or hardly at the end."""
    falling = (1.0, 0.95, 0.85, 0.6, 0.3)
    none = balance(Curve(LADDER, (0.0,) * 5, falling))
    found = balance(Curve(LADDER, (0.0,) * 4 + (least,), falling))
    assert found.strength == pytest.approx(none.strength, abs=0.05)
    assert found.confidence < 0.15


def test_where_little_is_recognised_the_balance_is_near_the_crossing():
    """Both about 0.24 at a quarter; beyond it the style soars, and the content is hardly there."""
    found = balance(Curve((0.05, 0.23, 0.5, 0.77, 0.92), (0.0, 0.16, 0.9, 0.9, 0.9), (0.99, 0.25, 0.12, 0.12, 0.12)))
    assert found.nearest == pytest.approx(0.25, abs=0.01)
    assert found.nearest < found.strength < 0.35  # and not in the middle of all that is below 0.24 by 0.2


def test_curves_that_rise_and_fall_and_curves_that_do_not():
    smooth = Curve(LADDER, (0.0, 0.1, 0.5, 0.9, 1.0), (1.0, 0.9, 0.5, 0.1, 0.0))
    rough = Curve(LADDER, (0.0, 0.1, 0.9, 0.2, 0.3), (1.0, 0.9, 0.5, 0.1, 0.0))
    assert misfit(smooth) == 0
    pooled = (0.9 + 0.2 + 0.3) / 3
    assert misfit(rough) == pytest.approx(math.sqrt(sum((v - pooled) ** 2 for v in (0.9, 0.2, 0.3)) / 5))
    assert balance(rough).reason is Reason.NOT_MONOTONE
    assert balance(smooth).confidence > balance(rough).confidence == 0
    assert balance(rough, max_misfit=0.25).reason is Reason.CROSSED
    assert balance(rough, max_misfit=0.5).confidence > balance(rough, max_misfit=0.25).confidence > 0


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        (((0.5,), (0.5,), (0.5,)), "at least two"),
        (((0.2, 0.5), (0.5,), (0.5, 0.4)), "the same number of each"),
        (((0.5, 0.2), (0.1, 0.5), (0.5, 0.4)), "ascending"),
        (((0.0, 0.5), (0.1, 0.5), (0.5, 0.4)), "inside"),
        (((0.2, math.nan), (0.1, 0.5), (0.5, 0.4)), "ascending"),
        (((0.2, 0.5), (0.1, math.nan), (0.5, 0.4)), "not finite"),
    ],
)
def test_curves_that_are_none(curve, message):
    with pytest.raises(InputError, match=message):
        Curve(*curve)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12), st.integers(0, 1))
def test_isotonic_regression_against_scipy(values, rising):
    got = monotone(np.array(values), rising=bool(rising))
    want = isotonic_regression(values, increasing=bool(rising)).x
    np.testing.assert_allclose(got, want, atol=1e-12)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=9))
def test_always_within_the_ladder(values):
    strengths = tuple(np.linspace(0, 1, len(values) + 2)[1:-1])
    found = balance(Curve(strengths, *(tuple(column) for column in zip(*values, strict=True))))
    assert strengths[0] - 1e-9 <= found.strength <= strengths[-1] + 1e-9
    assert 0 <= found.confidence <= 1
    assert (found.low is None) == (found.high is None)
    if found.low is not None:
        assert strengths[0] - 1e-9 <= found.low <= found.high <= strengths[-1] + 1e-9
        assert found.low - 1e-9 <= found.strength <= found.high + 1e-9
