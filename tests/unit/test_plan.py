"""From what the user said to a spec in which every choice is made."""

import json

import pytest

from artune.errors import SpecError, UnknownNameError
from artune.losses.terms import balance_of
from artune.record import run_key
from artune.spec.options import parse_spec, with_options
from artune.spec.style import Optimise, Rung, StyleSpec
from artune.transfer.plan import resolve, side_weights
from artune.transfer.rates import schedule


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"loss": "grim"}, "no style loss 'grim'; did you mean gram"),
        ({"loss": {"w2": 1, "slice": 1}}, "did you mean sliced"),
        ({"content_loss": "mze"}, "no content loss 'mze'; did you mean mse"),
        ({"variation": "l3"}, "no total variation 'l3'"),
    ],
)
def test_losses_that_do_not_exist(method, message):
    with pytest.raises(UnknownNameError, match=message):
        resolved(StyleSpec(method=Optimise(**method)))


def resolved(spec: StyleSpec, size=(640, 480), styles=1) -> StyleSpec:
    return resolve(spec, size, styles, device="cpu", precision="fp32")


def test_a_resolved_spec_has_nothing_left_to_choose():
    spec = resolved(StyleSpec())

    def leaves(value):
        for item in value.values() if isinstance(value, dict) else [value]:
            yield from leaves(item) if isinstance(item, dict) else [item]

    values = list(leaves(spec.model_dump(mode="json")))
    assert None not in values
    assert "auto" not in values
    assert resolved(spec) == spec


def test_sizes_are_resolved():
    assert resolved(StyleSpec(size="original")).size == 640
    assert resolved(StyleSpec(size=2000, enlarge=False)).size == 640
    assert resolved(StyleSpec(size=2000)).size == 2000


def test_rungs_are_in_proportion():
    rungs = (Rung(size=64, steps=10), Rung(size=128, steps=30))
    there = resolved(StyleSpec(size=256, method=Optimise(rungs=rungs))).method
    assert there.rungs == (Rung(size=128, steps=10), Rung(size=256, steps=30))
    fewer = resolved(StyleSpec(size=128, method=Optimise(rungs=rungs, steps=4))).method
    assert fewer.rungs == (Rung(size=64, steps=1), Rung(size=128, steps=3))
    assert fewer.steps == 4


@pytest.mark.parametrize(("styles", "regions"), [(1, ()), (0, (None,)), (2, (0.2, None)), (0, (0.0, 1.0))])
def test_a_resolved_spec_is_a_spec(styles, regions):
    spec = resolve(StyleSpec(), (64, 48), styles, device="cpu", precision="fp32", regions=regions)
    assert parse_spec(json.loads(spec.model_dump_json())) == spec.as_spec()


def test_style_weights_are_shares():
    assert resolved(StyleSpec(style_weights=(1, 3)), styles=2).style_weights == (0.25, 0.75)
    assert resolved(StyleSpec(), styles=4).style_weights == (0.25,) * 4
    with pytest.raises(SpecError, match="`style_weights` holds 2 weights, but there are 3 paintings"):
        resolved(StyleSpec(style_weights=(1, 3)), styles=3)


@pytest.mark.parametrize("strength", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_strength_is_a_ratio_of_weights(strength):
    content, style = side_weights(Optimise(), strength)
    assert style * (1 - strength) == pytest.approx(content * balance_of({"w2": 1.0}) * strength)


def test_weights_of_the_literature():
    spec = resolved(StyleSpec(method=Optimise(loss="gram", scale="tutorial")))
    assert (spec.method.content_weight, spec.method.style_weight) == (1.0, 1e6)
    spec = resolved(StyleSpec(method=Optimise(loss="gram", scale="tutorial", style_weight=5.0)))
    assert spec.method.style_weight == 5.0
    spec = resolved(StyleSpec(method=Optimise(loss="gram", scale="gatys")))
    assert (spec.method.content_weight, spec.method.style_weight) == (1.0, 1e3)
    assert sum(spec.method.style_layers.values()) == pytest.approx(1)
    with pytest.raises(SpecError, match="`scale` raw has no default weights; give `content_weight`"):
        resolved(StyleSpec(method=Optimise(scale="raw", content_weight=1.0)))


@pytest.mark.parametrize(
    "options",
    [
        {"strength": 0.9},
        {"strength": 0.01},
        {"size": 300},
        {"quality": "draft"},
        {"steps": 7},
        {"optimiser": "lbfgs"},
        {"loss": "gram"},
        {"loss": "gram", "scale": "gatys"},
        {"network": "vgg19"},
        {"rungs": [{"size": 512, "steps": 3}]},
    ],
)
def test_what_was_chosen_for_the_user_is_chosen_anew(options):
    again = resolved(with_options(resolved(StyleSpec()), options))
    fresh = resolved(with_options(StyleSpec(), options))
    assert again == fresh
    assert run_key(again, {}) == run_key(fresh, {})


@pytest.mark.parametrize("options", [{"strength": 0.6}, {"size": 128}, {"network": "compact"}, {"quality": "best"}])
def test_what_the_user_said_stays(options):
    said = {"tv": 0.9, "steps": 4, "rate": 0.01, "average": 0.5, "content_layers": {"relu3_1": 1.0}}
    for spec in (StyleSpec(method=Optimise(**said)), resolved(StyleSpec(method=Optimise(**said)))):
        method = resolved(with_options(spec, options)).method
        assert {name: getattr(method, name) for name in said} == said


@pytest.mark.parametrize(("method", "start"), [({"steps": 0}, "content"), ({"steps": 1}, "instant")])
def test_a_picture_without_steps_starts_from_the_photograph(method, start):
    assert resolved(StyleSpec(method=Optimise(**method))).method.start == start
    assert Optimise(start="instant", **method).leaves_strength
    assert Optimise(**method).leaves_strength == (start == "instant")


def test_resolving_twice_changes_nothing():
    once = resolved(StyleSpec(strength=0.3, method=Optimise(tv=0.2)))
    assert resolved(once) == once
    assert "tv" not in once.automatic
    assert {"rate", "rungs", "steps", "style_weight", "precision", "device"} <= {*once.automatic}


def test_the_usual_rate_of_sgd_goes_with_the_pixels_and_against_the_weights():
    def rate(**options):
        return resolved(
            with_options(StyleSpec(), {"optimiser": "sgd", "content_weight": 1.0, "tv": 0.0, **options})
        ).method.rate

    assert rate(size=512, style_weight=1.0) == pytest.approx(4 * rate(size=256, style_weight=1.0), rel=0.02)
    assert rate(style_weight=1.0) == pytest.approx(2 * rate(style_weight=3.0))
    assert rate(start="style", style_weight=1.0) == rate(style_weight=1.0)


def test_strength_beside_both_weights_is_refused():
    both = Optimise(content_weight=1.0, style_weight=2.0)
    with pytest.raises(SpecError, match="so `strength` has no effect"):
        resolved(StyleSpec(strength=0.9, method=both))
    assert resolved(StyleSpec(method=both)).method.style_weight == 2.0


@pytest.mark.parametrize(
    ("method", "factors"),
    [
        ({"start": "instant", "optimiser": "adam"}, [1, 2 / 3, 1 / 2]),
        ({"start": "content", "optimiser": "adam"}, [1, 1, 1]),
        ({"start": "content", "optimiser": "sgd", "rate": 1.0}, [1 / 16, 1 / 4, 1]),
    ],
)
def test_the_rate_falls_from_size_to_size_after_the_painter_and_rises_with_the_pixels_where_it_has_a_scale(
    method, factors
):
    plan = resolved(StyleSpec(size=512, method=Optimise(**method)))
    found = [schedule(plan.method, level)(0) for level in range(len(plan.method.rungs))]
    assert found == pytest.approx(factors)
