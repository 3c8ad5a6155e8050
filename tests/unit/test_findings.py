"""What a study found: accuracies, tables and the equilibrium, by hand."""

import math

import pytest

from artune.balance.curve import Reason
from artune.errors import InputError
from artune.spec.style import StyleSpec
from artune.studies.axis import weight_of, with_strengths
from artune.studies.findings import findings, matched
from tests.studies import CLASSES, judged, ratios, verdict


def test_by_hand():
    found = findings(judged(ratios((1e3, 1), (1e4, 1), (1e5, 1)), (4, 2, 0), (0, 2, 3)), draws=50)
    assert [weight.label for weight in found.weights] == ["1e3:1", "1e4:1", "1e5:1"]
    assert found.counts == (4, 4, 4)
    assert found.accuracy["content"].value == (1.0, 0.5, 0.0)
    assert found.accuracy["style"].value == (0.0, 0.5, 0.75)
    assert found.probability["style"] == pytest.approx((0.2, 0.5, 0.65))
    assert found.equilibrium.reason is Reason.CROSSED
    assert found.equilibrium.place == pytest.approx(math.log(1e4))
    assert str(found.equilibrium).startswith("both are recognised alike at 1e4:1 (95 % of the draws: ")
    assert found.tables["content"].head == ("class", "pictures in all", "1e3:1", "1e4:1", "1e5:1")
    assert found.tables["content"].rows == (
        ("cat", "6", "1.000", "1.000", "0.000"),
        ("dog", "6", "1.000", "0.000", "0.000"),
    )
    assert found.tables["style"].rows == (
        ("ink", "6", "0.000", "0.500", "1.000"),
        ("oil", "6", "0.000", "0.500", "0.500"),
    )
    assert found.table().head[:4] == ("weight", "pictures", "content", "content_low")
    assert found.table().rows[2][:3] == ("1e5:1", "4", "0.000")


def test_half_way_between_two_weights():
    """From 1 and 0 to 0 and 1: they cross in the middle of the logarithms."""
    found = findings(judged(ratios((1e2, 1), (1e6, 1)), (4, 0), (0, 4)), draws=20)
    assert found.equilibrium.place == pytest.approx(math.log(1e4))
    assert found.equilibrium.inner == pytest.approx((math.log(1e4),) * 2)
    assert found.equilibrium.low is None  # where the one keeps 0.8 of its best, the other keeps 0.2
    assert "there is no safe interval" in str(found.equilibrium)


def test_weights_of_one_ratio_are_one_place():
    """1e5:1 and 1e6:10 have rows of their own, and their mean in the curve."""
    found = findings(judged(ratios((1e5, 1), (1e6, 10), (1e7, 1)), (4, 2, 1), (0, 2, 3)), draws=20)
    assert [weight.label for weight in found.weights] == ["1e5:1", "1e6:10", "1e7:1"]
    straight = findings(judged(ratios((1e5, 1), (1e7, 1)), (3, 1), (1, 3)), draws=20)
    assert found.equilibrium.place == pytest.approx(straight.equilibrium.place)


def test_strengths_and_ratios_of_the_same_odds_agree():
    strengths = [1 / 11, 1 / 2, 10 / 11]
    found = findings(judged(with_strengths(StyleSpec(), strengths), (4, 3, 1), (0, 2, 3)), draws=30)
    other = findings(judged(ratios((0.1, 1), (1, 1), (10, 1)), (4, 3, 1), (0, 2, 3)), draws=30)
    assert found.equilibrium.place == pytest.approx(other.equilibrium.place)
    assert found.equilibrium.inner == pytest.approx(other.equilibrium.inner)
    assert not found.equilibrium.ratio
    with pytest.raises(InputError, match="no common axis"):
        findings(judged([*with_strengths(StyleSpec(), [0.5]), *ratios((1, 1))], (4, 3), (0, 2)))


@pytest.mark.parametrize(
    ("content", "style", "reason", "said"),
    [
        (
            (4, 4, 3),
            (1, 2, 2),
            Reason.NO_CROSSING,
            "do not cross: the style stays below, and comes nearest at 0.",
        ),
        ((2, 1, 0), (4, 4, 4), Reason.NO_CROSSING, "do not cross: the content stays below"),
        ((3, 3, 3), (2, 2, 2), Reason.FLAT, "any is as good"),
        ((0, 4, 0), (4, 0, 4), Reason.NOT_MONOTONE, "a crossing says little"),
    ],
)
def test_without_a_crossing(content, style, reason, said):
    found = findings(judged(with_strengths(StyleSpec(), [0.1, 0.5, 0.9]), content, style), draws=20).equilibrium
    assert found.reason is reason
    assert said in str(found)


def test_one_weight_has_no_equilibrium():
    found = findings(judged(ratios((5e4, 1)), (4,), (2,)), draws=20)
    assert found.equilibrium is None
    assert found.accuracy["style"].value == (0.5,)
    with pytest.raises(InputError, match="no result to judge"):
        findings([])


def test_runs_meet_what_was_said_of_them():
    run = judged(ratios((1, 1)), (4,), (4,))[0].run
    said = {("k", side, side): verdict(side, CLASSES[side][0]) for side in CLASSES}
    said["k", "style", "another judge"] = verdict("style", "oil")
    (found,) = matched({"k": run, "unseen": run}, said, {"content": "content", "style": "style"})
    assert (found.key, found.style.answer) == ("k", "ink")


def test_a_weight_comes_from_its_run():
    (each,) = judged(ratios((1e6, 10)), (4,), (4,))[:1]
    assert each.weight == weight_of(each.run.spec)
