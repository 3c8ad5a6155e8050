import json
import math
import subprocess
import sys

import pytest

from artune.errors import SpecError, UnknownNameError
from artune.losses.terms import balance_of
from artune.record import Record, run_key
from artune.spec.options import parse_spec, with_options
from artune.spec.style import Optimise, Rung, StyleSpec
from artune.transfer.plan import resolve, side_weights
from artune.transfer.sizes import STEPS, fitted, plan


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"strength": 1.5}, r"strength: must be a number from 0 to 1, or auto, not 1\.5"),
        ({"strength": math.nan}, "strength"),
        ({"style_weights": (1.0, -1.0)}, r"style_weights\.1: .*greater than or equal to 0"),
        ({"style_weights": (0.0, 0.0)}, "above 0"),
        ({"method": {"style_layers": {"relu1_1": math.inf}}}, "finite"),
        ({"method": {"style_layers": {"relu1_1": 0}}}, "at least one needs"),
        ({"stength": 0.5}, "did you mean strength"),
        ({"method": {"tvv": 0.5}}, "did you mean tv"),
        ({"method": {"scale": "gatys"}}, "use loss gram"),
        ({"method": {"scale": "tutorial", "loss": "gram"}, "strength": 0.7}, "strength belongs to scale calibrated"),
        ({"method": {"rate": 0}}, "greater than 0"),
        ({"size": 0}, "size"),
        ({"size": "big"}, "original"),
        ({"seed": -1}, "seed"),
        ({"style_scale": 9}, "style_scale"),
        ([], "dictionary"),
        (None, "dictionary"),
    ],
)
def test_bad_specs_are_explained(data, message):
    with pytest.raises(SpecError, match=message):
        parse_spec(data)


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


def test_specs_are_frozen_and_come_back_from_json():
    spec = StyleSpec(method=Optimise(style_layers={"relu1_1": 2.0}), strength=0.25, style_weights=(1.0, 3.0))
    assert parse_spec(json.loads(spec.model_dump_json())) == spec
    with pytest.raises(Exception, match="frozen"):
        spec.strength = 1.0


def test_options_reach_the_spec_and_its_method():
    spec = with_options(StyleSpec(), {"strength": 0.7, "tv": 2.0})
    assert (spec.strength, spec.method.tv) == (0.7, 2.0)


def test_neither_specs_nor_the_command_line_import_torch():
    code = "import sys, artune, artune.spec.style, artune.record, artune.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("size", "sizes"), [(512, [128, 256, 512]), (300, [150, 300]), (64, [64]), (2048, [128, 256, 512, 1024, 2048])]
)
def test_the_pyramid_doubles(size, sizes):
    rungs = plan(size, "normal", None)
    assert [rung.size for rung in rungs] == sizes
    if size >= 512:
        assert rungs[0].steps == STEPS["normal"][0]
    if size == 512:
        assert rungs[-1].steps == STEPS["normal"][2]


@pytest.mark.parametrize("steps", [0, 1, 7, 100, 999])
def test_steps_are_divided_without_loss(steps):
    assert sum(rung.steps for rung in plan(512, "normal", steps)) == steps


def test_sizes_keep_the_proportions():
    assert fitted(400, 200, 512) == (512, 256)
    assert fitted(1, 5000, 512) == (1, 512)


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
    with pytest.raises(SpecError, match="2 style weights for 3 styles"):
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
    with pytest.raises(SpecError, match="raw has no usual weights; give `content_weight`"):
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


def test_resolving_twice_changes_nothing():
    once = resolved(StyleSpec(strength=0.3, method=Optimise(tv=0.2)))
    assert resolved(once) == once
    assert "tv" not in once.automatic
    assert {"rate", "rungs", "steps", "style_weight", "precision", "device"} <= {*once.automatic}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"optimiser": "lbfgs", "line_search": "strong-wolfe", "decay": 0.5}, "leaves no rate to decay"),
        ({"line_search": "strong-wolfe"}, "use optimiser lbfgs"),
        ({"decay": 0.0}, "decay: must be greater than 0"),
        ({"decay": 1.5}, "decay: must be less than or equal to 1"),
        ({"decay_every": 0}, "decay_every: must be greater than or equal to 1"),
        ({"optimiser": "sdg"}, "did you mean sgd"),
        ({"line_search": "wolfe"}, "must be 'none' or 'strong-wolfe'"),
    ],
)
def test_descents_that_cannot_be(options, why):
    with pytest.raises(SpecError, match=why):
        with_options(StyleSpec(), options)


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
    with pytest.raises(SpecError, match="leave nothing to `strength`"):
        resolved(StyleSpec(strength=0.9, method=both))
    assert resolved(StyleSpec(method=both)).method.style_weight == 2.0


def test_the_key_is_of_spec_and_digests():
    digests = {"content": "a", "style 0": "b"}
    key = run_key(StyleSpec(), digests)
    assert key == run_key(StyleSpec(), dict(reversed(digests.items())))
    assert key != run_key(StyleSpec(seed=1), digests)
    assert key != run_key(StyleSpec(), {"content": "b", "style 0": "a"})
    assert len(key) == 64


def test_records_come_back_from_json():
    record = Record(key="k", spec=StyleSpec(), digests={}, losses={"total": [1.0]}, end="done", steps=1)
    assert Record.model_validate_json(record.model_dump_json()) == record
