"""The axis of a study: strengths and ratios, their places and their labels."""

import math

import pytest

from artune.errors import InputError, SpecError
from artune.recipes import find_recipe
from artune.spec.study import ClassStudySpec
from artune.spec.style import StyleSpec
from artune.studies.axis import place_label, weight_of, weighted_specs, with_ratios, with_strengths
from tests.studies import SPEC


def test_weights_on_their_axis():
    tutorial = find_recipe("tutorial").spec
    ratios = [weight_of(spec) for spec in with_ratios(tutorial, [(5e4, 1), (1e6, 10), (2, 1), (1.25e-5, 1)])]
    assert [weight.label for weight in ratios] == ["5e4:1", "1e6:10", "2:1", "1.25e-5:1"]
    assert [weight.place for weight in ratios] == pytest.approx([math.log(r) for r in (5e4, 1e5, 2, 1.25e-5)])
    (strength,) = (weight_of(spec) for spec in with_strengths(SPEC, [0.8]))
    assert (strength.label, strength.ratio) == ("0.8", False)
    assert strength.place == pytest.approx(math.log(4))
    assert place_label(strength.place, ratio=False) == "0.80"
    assert place_label(math.log(52_345), ratio=True) == "5.2e4:1"


def test_weights_that_have_no_place():
    with pytest.raises(InputError, match="one side alone"):
        with_strengths(SPEC, [0.5, 1])
    with pytest.raises(SpecError, match=r"strength.* needs .*scale.* calibrated"):
        with_strengths(find_recipe("tutorial").spec, [0.5])
    with pytest.raises(InputError, match="above 0"):
        with_ratios(SPEC, [(0.0, 1.0)])
    with pytest.raises(InputError, match="needs a strength"):
        weight_of(StyleSpec())


def test_the_weights_of_a_study(tmp_path):
    folders = {"contents": tmp_path, "styles": tmp_path}
    specs = weighted_specs(ClassStudySpec(**folders, strengths=(0.2, 0.8)))
    assert [spec.strength for spec in specs] == [0.2, 0.8]
    specs = weighted_specs(ClassStudySpec(**folders, ratios=((10, 1), (1, 10))))
    assert [spec.method.style_weight for spec in specs] == [10, 1]
    with pytest.raises(SpecError, match=r"the weight 0\.2 is given twice"):
        weighted_specs(ClassStudySpec(**folders, strengths=(0.2, 0.2)))
