"""The spec of a style's training: what fits together, and what does not."""

import pytest

from artune.errors import SpecError
from artune.recipes.training import TRAINING_RECIPES
from artune.spec.checked import checked
from artune.spec.train_style import STYLE_DEFAULTS, StyleTrainSpec


def test_the_defaults_are_calibrated_and_slim():
    spec = STYLE_DEFAULTS["johnson"]
    assert (spec.base, spec.width, spec.network, dict(spec.loss), spec.scale) == (
        "johnson",
        "slim",
        "compact",
        {"w2": 1.0},
        "calibrated",
    )
    assert STYLE_DEFAULTS["painter"].base == "painter"


@pytest.mark.parametrize("spec", [*STYLE_DEFAULTS.values(), *(recipe.spec for recipe in TRAINING_RECIPES.values())])
def test_a_spec_comes_back_from_json(spec):
    assert StyleTrainSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"strength": 2}, "`strength` must be a number from 0 to 1, not 2"),
        ({"batch": 0}, "`batch` must be a whole number from 1 to 1024, not 0"),
        ({"size": 16}, "`size` must be a whole number from 32 to 2048"),
        ({"width": "wide"}, "'slim' or 'full'"),
        ({"rate": -1}, "`rate` must be a number above 0"),
        ({"loss": {"w2": 0}}, "all weights are 0"),
        ({"scale": "tutorial"}, "`scale` tutorial is for Gram matrices"),
        ({"scale": "mean", "loss": "gram"}, "`scale` mean is for w2"),
        ({"scale": "raw", "loss": "gram", "style_weight": 1}, "`scale` raw has no strength; give `content_weight` and"),
        ({"base": "painter", "width": "full"}, "`width` is for Johnson's network"),
        ({"base": "painter", "tv": 1}, "`tv` is for Johnson's network"),
        ({"base": "panter"}, "did you mean painter"),
        ({"step": 3}, "did you mean `steps`"),
    ],
)
def test_what_does_not_fit_is_refused(fields, message):
    with pytest.raises(SpecError) as error:
        checked(StyleTrainSpec, **fields)
    assert message in str(error.value)
