"""Messages of wrong fields: in our words, whatever the field and the value."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artune.errors import SpecError
from artune.spec.checked import checked
from artune.spec.options import parse_spec, with_options
from artune.spec.study import ClassStudySpec
from artune.spec.style import METHOD_FIELDS, Optimise, StyleSpec
from artune.spec.train import TrainSpec

PYDANTIC = re.compile(
    r"Tuple|tuple\[|dictionary|[Uu]nion|Input|[Ss]hould|unable to|valid |instance|validation|Field required|literal\[|"
    r"constrained|Value error|finite"
)
SIMPLE = st.one_of(
    *(st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.sampled_from(["", "x", "1", "auto"])),
    *(st.just(b"\xff"), st.just(2**70), st.just({1, 2}), st.just(object)),
)
VALUES = st.recursive(
    SIMPLE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["size", "steps", "kind", "file", "a", 1]), inner, max_size=3)
    ),
    max_leaves=6,
)


def own_words(ask: Callable[[], Any]) -> str:
    """The message of a refusal without the value that was given; empty if nothing is refused."""
    try:
        ask()
    except SpecError as refused:
        return re.sub(r", not .*?(?=; `|; did|$)", "", str(refused))
    return ""


@pytest.mark.parametrize("name", [*StyleSpec.model_fields, *METHOD_FIELDS])
@settings(max_examples=25)
@given(value=VALUES)
def test_no_message_of_a_spec_speaks_pydantics_words(name, value):
    for ask in (
        lambda: with_options(StyleSpec(), {name: value}),
        lambda: parse_spec({"method": {name: value}} if name in METHOD_FIELDS else {name: value}),
        lambda: checked(Optimise if name in METHOD_FIELDS else StyleSpec, **{name: value}),
    ):
        assert not PYDANTIC.search(own_words(ask))


@pytest.mark.parametrize(
    ("model", "name"), [(model, name) for model in (TrainSpec, ClassStudySpec) for name in model.model_fields]
)
@settings(max_examples=25)
@given(value=VALUES)
def test_no_message_of_other_specs_does(model, name, value):
    whole = {"kind": "gram"} if model is TrainSpec else {"contents": "a", "styles": "b", "strengths": (0.5,)}
    assert not PYDANTIC.search(own_words(lambda: checked(model, **{**whole, name: value})))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "`contents` must be given; `styles` must be given"),
        ({"contents": 3, "styles": "b"}, "`contents` must be a path, not 3"),
        (
            {"contents": "a", "styles": "b", "ratios": [[1, 2], [1]]},
            "`ratios`: the second: the second must be given",
        ),
        (
            {"contents": "a", "styles": "b", "ratios": [1]},
            "`ratios`: the first must be a list of 2 numbers, not 1",
        ),
        (
            {"contents": "a", "styles": "b", "ratios": 1},
            "`ratios` must be a non-empty list of lists of 2 numbers, not 1",
        ),
        (
            {"contents": "a", "styles": "b", "spec": {"method": {"tv": -1}}},
            "`spec.method.tv` must be a number from 0 to 1e+12, not -1",
        ),
    ],
)
def test_messages_of_a_study(fields, message):
    with pytest.raises(SpecError) as refused:
        checked(ClassStudySpec, **fields)
    assert str(refused.value) == message
