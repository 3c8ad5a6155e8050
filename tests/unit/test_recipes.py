"""Published recipes: every one is whole, names layers that exist, and says what its source says."""

import pytest

from artune.errors import UnknownNameError
from artune.recipes import find, published

NAMES = [
    "alexnet", "crowsonkb", "gatys2016", "inception", "keras", "keras-b", "mobilenet-flat",
    *(f"mobilenet-flat-{side}-{where}" for side in ("content", "style") for where in ("all", "first", "last")),
    "nnst", *(f"resnet50-{letter}" for letter in "abcdefg"), "resnext", "strotss", "tutorial",
]  # fmt: skip


def test_all_are_there():
    assert sorted(published()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_source_and_departures_are_told(name):
    recipe = find(name)
    assert recipe.title
    assert recipe.source
    assert recipe.departures
    assert recipe.spec.method.content_layers
    assert recipe.spec.method.style_layers
    assert not recipe.spec.automatic


def test_known_facts():
    tutorial = find("tutorial").spec.method
    assert (tutorial.network, tutorial.optimiser, tutorial.scale) == ("vgg19", "lbfgs", "tutorial")
    assert tutorial.style_weight / tutorial.content_weight == 1e6
    flat = find("mobilenet-flat").spec.method
    assert (flat.style_weight, flat.content_weight, flat.steps) == (1e5, 1, 500)
    assert find("resnet50-f").spec.method.scale == "raw"
    assert find("gatys2016").spec.method.pooling == "average"
    crowson = find("crowsonkb").spec.method
    assert [rung.size for rung in crowson.rungs] == [128, 181, 256, 362, 512]


def test_a_variant_changes_only_what_it_names():
    base, first = find("mobilenet-flat").spec, find("mobilenet-flat-content-first").spec
    assert first.method.content_layers == {"conv_1_1": 1.0}
    changed = base.method.model_copy(update={"content_layers": first.method.content_layers})
    assert base.model_copy(update={"method": changed}) == first


def test_a_typo_is_helped():
    with pytest.raises(UnknownNameError, match="did you mean tutorial"):
        find("tutoral")
