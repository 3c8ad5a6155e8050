"""Published recipes of trainings: the numbers of their sources."""

import pytest

from artune.errors import UnknownNameError
from artune.recipes.training import TRAINING_RECIPES, find_training


def test_johnson_has_the_defaults_of_the_authors_code():
    spec = find_training("johnson").spec
    assert (spec.network, spec.width, spec.batch, spec.rate, spec.passes) == ("vgg16", "full", 4, 1e-3, 2)
    assert (dict(spec.content_layers), spec.content_weight, spec.style_weight) == ({"relu3_3": 1}, 1, 5)
    assert [*spec.style_layers] == ["relu1_2", "relu2_2", "relu3_3", "relu4_3"]
    assert (spec.size, spec.style_size, spec.augment, spec.schedule, spec.steps) == (256, 256, False, "constant", None)


def test_total_variation_is_that_of_the_authors_in_other_units():
    """1e-6 / 2 times the squares of a batch's sums in [0, 255], beside the mean of a batch's losses."""
    spec = find_training("johnson").spec
    pairs = 2 * spec.size * (spec.size - 1)
    assert spec.tv == pytest.approx(0.5e-6 * 255**2 * spec.batch * pairs, rel=0.01)


def test_stylist_has_the_numbers_of_the_report():
    spec = find_training("stylist").spec
    assert (spec.batch, spec.rate, spec.content_weight, spec.style_weight, spec.steps) == (16, 0.0075, 10, 75, 1600)
    assert spec.network == "vgg16"


def test_each_names_its_source_and_its_departures():
    for recipe in TRAINING_RECIPES.values():
        assert len(recipe.source) > 40
        assert recipe.departures


def test_another_name_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean johnson"):
        find_training("jonson")
