"""The equilibrium: where two accuracies cross, and how far that can be trusted."""

import math
from dataclasses import replace

import numpy as np
import pytest

from artune.balance.curve import Reason
from artune.studies.axis import Weight
from artune.studies.equilibrium import equilibrium


def test_curves_that_meet_on_a_stretch_cross_in_its_middle():
    """Means of thirds are not exact: the curves are one from 1 to 2, but for rounding."""
    weights = [Weight(float(place), f"{place}", True) for place in range(-3, 4)]
    style, content = ((0, 1, 1, 2, 2, 2, 4), (10, 10, 7, 3, 2, 2, 0))
    cells = [(np.arange(10) < np.array(hits)[:, None]).astype(float)[..., None] for hits in (content, style)]
    found = equilibrium(weights, *cells, draws=5)
    assert found.place == pytest.approx(1.5)
    ends = [np.array(hits)[:, None, None] / 10 for hits in ([9, 8, 8, 8], [1, 3, 3, 8])]
    assert equilibrium(weights[:4], *ends, draws=5).reason is Reason.CROSSED


def test_a_draw_or_two_in_which_nothing_changes_need_no_word():
    weights = [Weight(place, f"{place}", True) for place in (-1.0, 1.0)]
    found = equilibrium(weights, np.array([[[1.0]], [[0.0]]]), np.array([[[0.0]], [[1.0]]]), draws=5)
    assert "(95 % of the draws: 1:1)" in str(replace(found, settled=0.996))
    assert "in which an accuracy changes, 99 % of all" in str(replace(found, settled=0.99))


def test_where_a_draw_holds_nothing_it_does_not_count():
    weights = [Weight(place, f"{place}", True) for place in (0.0, 2.0)]
    content, style = np.ones((2, 2, 2)), np.ones((2, 2, 2))
    content[1], style[0] = 0, 0
    content[:, 0] = style[:, 0] = np.nan
    found = equilibrium(weights, content, style, draws=100)
    assert found.inner == pytest.approx((1.0, 1.0))


def test_draws_without_an_equilibrium_are_counted():
    """Of two contents one is recognised alike at every weight: a quarter of the draws hold that one alone."""
    weights = [Weight(place, f"{place}", True) for place in (-1.0, 1.0)]
    content, style = (np.array([[[a], [0.5]], [[b], [0.5]]]) for a, b in ((1.0, 0.0), (0.0, 1.0)))
    found = equilibrium(weights, content, style, draws=4000)
    assert found.settled == pytest.approx(0.75, abs=0.03)
    assert found.inner == pytest.approx((0.0, 0.0))
    assert f"95 % of the draws in which an accuracy changes, {100 * found.settled:.0f} % of all: 1:1)" in str(found)
    none = equilibrium(weights, content[:, 1:], style[:, 1:], draws=10)
    assert (none.inner, none.settled, none.low, none.reason) == (None, 0.0, None, Reason.FLAT)
    assert "any is as good" in str(none)


def test_draws_that_do_not_cross_are_beyond_the_weights():
    """Of one of two contents the curves never meet: in a quarter of the draws it is alone."""
    weights = [Weight(place, f"{place}", True) for place in (-1.0, 1.0)]
    content = np.array([[[1.0], [1.0]], [[0.8], [0.0]]])
    style = np.array([[[0.0], [0.0]], [[0.2], [1.0]]])
    found = equilibrium(weights, content, style, draws=1000)
    assert found.place == pytest.approx(2 / 3)  # from 1 and 0 to 0.4 and 0.6
    assert found.inner == pytest.approx((0.0, math.inf))
    assert "(95 % of the draws: 1:1 to above 2.7:1)" in str(found)
    mirrored = equilibrium(weights, style[::-1], content[::-1], draws=1000)
    assert mirrored.inner == pytest.approx((-math.inf, 0.0))
    assert "(95 % of the draws: below 0.37:1 to 1:1)" in str(mirrored)
    none = equilibrium(weights, content[:, :1], np.array([[[0.0]], [[0.5]]]), draws=10)
    assert none.reason is Reason.NO_CROSSING
    assert "(95 % of the draws: above 2.7:1)" in str(none)


def test_weights_of_one_ratio_are_one_place_however_many_pictures_are_missing():
    weights = [Weight(place, f"{place}", True) for place in (-1.0, 1.0, 1.0)]
    content, style = np.ones((3, 2, 1)), np.zeros((3, 2, 1))
    content[1:, 0], style[1:] = 0.0, 0.5
    whole = equilibrium(weights, content, style, draws=5)
    content[2, 0] = style[2, 0] = np.nan  # which was 0 in the other of its ratio, too
    assert equilibrium(weights, content, style, draws=5) == whole


@pytest.mark.parametrize("reach", [1e-6, 1.0, 34.0])
def test_an_axis_may_be_of_any_length(reach):
    """What is found scales with the axis: a crossing at a quarter of it."""
    weights = [Weight(place * reach + 3, f"{place}", True) for place in (-1.0, 0.0, 1.0)]
    content, style = (np.array(values)[:, None, None] for values in ((1.0, 0.9, 0.2), (0.0, 0.7, 0.8)))
    found = equilibrium(weights, content, style, draws=5)
    assert found.reason is Reason.CROSSED
    assert (found.place - 3) / reach == pytest.approx(0.25)
    assert ((found.low - 3) / reach, (found.high - 3) / reach) == pytest.approx((0.64 / 0.7 - 1, 0.1 / 0.7))


def test_accuracies_of_few_pictures_may_go_up_and_down():
    """A fifth more at a higher weight: by chance."""
    weights = [Weight(float(place), f"{place}", True) for place in range(5)]
    accuracies = (1.0, 0.9, 0.5, 0.7, 0.2), (0.1, 0.3, 0.2, 0.6, 0.7)
    content, style = (np.array(values)[:, None, None] for values in accuracies)
    found = equilibrium(weights, content, style, draws=5)
    assert found.reason is Reason.CROSSED
    assert found.confidence > 0.3
