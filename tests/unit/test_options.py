"""Specs from plain data and from options, and what is said of wrong ones."""

import math
import re

import pytest

from artune.errors import SpecError
from artune.spec.options import parse_spec, with_options
from artune.spec.style import WCT, Instant, Optimise, StyleSpec


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"strength": 1.5}, r"strength must be a number from 0 to 1, or 'auto', not 1\.5"),
        ({"strength": math.nan}, "strength"),
        ({"style_weights": (1.0, -1.0)}, "style_weights: the second must be a number from 0"),
        ({"style_weights": (0.0, 0.0)}, "above 0"),
        ({"method": {"style_layers": {"relu1_1": math.inf}}}, "relu1_1 must be a number from 0 to 1e.12, not inf"),
        ({"method": {"style_layers": {"relu1_1": 0}}}, "give at least one a weight"),
        ({"stength": 0.5}, "did you mean strength"),
        ({"method": {"tvv": 0.5}}, "did you mean tv"),
        ({"method": {"scale": "gatys"}}, "use loss gram"),
        ({"method": {"scale": "tutorial", "loss": "gram"}, "strength": 0.7}, "strength needs scale calibrated"),
        ({"method": {"rate": 0}}, "method.rate must be a number above 0"),
        ({"size": 0}, "size"),
        ({"size": "big"}, "original"),
        ({"seed": -1}, "seed"),
        ({"style_scale": 9}, "style_scale"),
        ([], "the spec: must be an object with names and values, not"),
        (None, "must be an object with names and values, not None"),
    ],
)
def test_bad_specs_are_explained(data, message):
    with pytest.raises(SpecError, match=message):
        parse_spec(data)


def test_options_reach_the_spec_and_its_method():
    spec = with_options(StyleSpec(), {"strength": 0.7, "tv": 2.0})
    assert (spec.strength, spec.method.tv) == (0.7, 2.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 2}, "`strength` must be a number from 0 to 1, or 'auto', not 2"),
        ({"tv": -1}, "`tv` must be a number from 0 to 1e+12, not -1"),
        ({"style_layers": {"relu1_1": -1}}, "`style_layers`: relu1_1 must be a number from 0 to 1e+12, not -1"),
        ({"stength": 1}, "`stength`: there is no such field; did you mean `strength`?"),
        ({"method": {"kind": "instant"}, "loss": "gram"}, "`loss`: the method instant has none; leave it out, or "
         "take the method optimise"),
        ({"color": "content-lum"}, "`color` must be 'style', 'content-luminance' or 'content-match', not 'content-lum'"
         "; did you mean content-luminance?"),
        ({"scale": "tutorial"}, "`scale` tutorial is for Gram matrices; use `loss` gram, or `scale` calibrated or raw"),
        ({"color_space": "yiq"}, "`color_space` has no effect with `color` style; take content-luminance or "
         "content-match, or leave it out"),
        ({"tv": -1, "average": 1}, "`tv` must be a number from 0 to 1e+12, not -1; `average` must be a number of at "
         "least 0 and below 1, not 1"),
        ({"size_steps": (1, 2)}, "`size_steps` must be three whole numbers: the steps at the first size, at each size "
         "between, and at the last; not 2"),
        ({"size_steps": (1, 2, -3)}, "`size_steps`: the third must be a whole number from 0 to 1000000, not -3"),
        ({"style_weights": (-1,)}, "`style_weights`: the first must be a number from 0 to 1e+12, not -1"),
        ({"style_weights": "a"}, "`style_weights` must be a list of numbers from 0 to 1e+12, not 'a'"),
        ({"style_layers": 3}, "`style_layers` must be a name, a list of names, or names with their weights (numbers "
         "from 0 to 1e+12), not 3"),
        ({"style_layers": ["a", "b", "a"]}, "`style_layers`: a is given twice"),
        ({"memory": 8}, "`memory`: 8 is 8 bytes, too few for any picture; did you mean 8GiB?"),
        ({"memory": []}, "`memory` must be a string such as '4GiB', not []"),
        ({"start": ""}, "`start` must be a non-empty string such as 'auto', not ''"),
        ({"smooth": "x"}, "`smooth` must be true or false, not 'x'"),
        ({"size": "orignal"}, "`size` must be a whole number from 1 to 65536, or 'original', not 'orignal'; did you "
         "mean original?"),
        ({"rungs": ()}, "`rungs` must be a non-empty list of objects with size, steps, not ()"),
        ({"rungs": [3]}, "`rungs`: the first must be an object with size, steps, not 3"),
        ({"rungs": [{"size": 0, "steps": 1}] * 4}, "; ".join(
            f"`rungs`: {place}: size must be a whole number of at least 1, not 0"
            for place in ("the first", "the second", "the third", "number 4"))),
        ({"rungs": [{"size": 1, "step": 1}]}, "`rungs`: the first: steps must be given; `rungs`: the first: step: "
         "there is no such field; did you mean `steps`?"),
    ],
)  # fmt: skip
def test_messages_name_options_as_parameters(options, message):
    with pytest.raises(SpecError) as refused:
        with_options(StyleSpec(), options)
    assert str(refused.value) == message


def test_messages_of_a_file_name_fields_as_they_stand_there():
    with pytest.raises(SpecError) as refused:
        parse_spec({"method": {"tv": -1, "scale": "tutorial"}}, where="a.yaml")
    assert str(refused.value) == "a.yaml: method.tv must be a number from 0 to 1e+12, not -1"
    with pytest.raises(SpecError) as refused:
        parse_spec({"method": {"scale": "tutorial"}}, where="a.yaml")
    assert str(refused.value) == (
        "a.yaml: method: scale tutorial is for Gram matrices; use loss gram, or scale calibrated or raw"
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"optimiser": "lbfgs", "line_search": "strong-wolfe", "decay": 0.5}, "so `decay` has no effect"),
        ({"optimiser": "adam", "line_search": "strong-wolfe"}, "use `optimiser` lbfgs"),
        ({"decay": 0.0}, "`decay` must be a number above 0 and at most 1"),
        ({"decay": 1.5}, "`decay` must be a number above 0 and at most 1"),
        ({"decay_every": 0}, "`decay_every` must be a whole number from 1 to 1000000"),
        ({"optimiser": "sdg"}, "did you mean sgd"),
        ({"line_search": "wolfe"}, "must be 'none' or 'strong-wolfe'"),
    ],
)
def test_descents_that_cannot_be(options, why):
    with pytest.raises(SpecError, match=why):
        with_options(StyleSpec(), options)


def test_a_method_by_its_kind():
    """Its own options come beside it; the kind that the spec has already changes nothing."""
    assert with_options(StyleSpec(), {"method": "instant"}).method == Instant()
    assert with_options(StyleSpec(), {"levels": "relu1_1", "method": "wct"}).method == WCT(levels="relu1_1")
    given = StyleSpec(method=WCT(transform="adain"))
    assert with_options(given, {"method": "wct", "strength": 0.3}).method == given.method
    assert with_options(given, {"method": "optimise"}).method == Optimise()


@pytest.mark.parametrize(
    ("levels", "says"),
    [
        ("relu6_1", "`levels`: there is no level 'relu6_1'; there are relu5_1, relu4_1, relu3_1, relu2_1, relu1_1"),
        ({"relu5_1": 1.5}, "`levels`: the share of relu5_1 is 1.5; give at most 1"),
        ({"relu5_1": 0.0}, "`levels`: all shares are 0"),
        ([], "`levels`: all shares are 0"),
        ({"relu5_1": -1}, "`levels`: relu5_1 must be a number from 0"),
        (["relu5_1", "relu5_1"], "relu5_1 is given twice"),
    ],
)
def test_levels_that_cannot_be(levels, says):
    with pytest.raises(SpecError, match=re.escape(says)):
        with_options(StyleSpec(), {"method": "wct", "levels": levels})


def test_levels_are_in_order_and_have_a_share():
    levels = with_options(
        StyleSpec(), {"method": "wct", "levels": {"relu1_1": 0.5, "relu3_1": 0, "relu4_1": 1}}
    ).method.levels
    assert [*levels.items()] == [("relu4_1", 1.0), ("relu1_1", 0.5)]


def test_a_method_is_an_option_like_others():
    """Whole, as plain data, and beside its own options, in any order; what is given is not changed."""
    data = {"optimiser": "lbfgs"}
    for method in (Optimise(optimiser="lbfgs"), data):
        for options in ({"method": method, "tv": 2.0}, {"tv": 2.0, "method": method}):
            spec = with_options(StyleSpec(method=Optimise(tv=1.0)), options)
            assert spec.method == Optimise(optimiser="lbfgs", tv=2.0)
    assert data == {"optimiser": "lbfgs"}
    for method, message in (
        (3, "`method` is of type int; give its kind, or an artune.Optimise"),
        ({"kind": "optimize"}, "`method`: there is no method 'optimize'; did you mean"),
        ("optimize", "`method`: there is no method 'optimize'; did you mean"),
    ):
        with pytest.raises(SpecError, match=message):
            with_options(StyleSpec(), {"method": method, "tv": 2.0})
