"""Published recipes: every one is whole, names layers that exist, and says what its source says."""

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

import artune
from artune.backbones.load import structure
from artune.errors import UnknownNameError
from artune.recipes import find, published
from artune.spec import with_options
from artune.transfer.resolve import resolve

NAMES = [
    "alexnet", "crowsonkb", "gatys2016", "inception", "keras", "keras-b", "mobilenet-flat",
    *(f"mobilenet-flat-{side}-{where}" for side in ("content", "style") for where in ("all", "first", "last")),
    "nnst", *(f"resnet50-{letter}" for letter in "abcdefg"), "resnext", "strotss", "tutorial",
]  # fmt: skip


WEIGHTS_OF = {"mobilenet-flat": "mobilenet_v2", "alexnet": "alexnet"}


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


@pytest.mark.parametrize("name", NAMES)
def test_layers_exist(name):
    method = find(name).spec.method
    network = structure(method.network)
    for layer in (*method.content_layers, *method.style_layers):
        assert network.tap(layer) in network.taps


@pytest.mark.parametrize("name", ["mobilenet-flat", "alexnet"])
def test_a_recipe_runs(name, photo, painting, tmp_path):
    spec = with_options(find(name).spec, {"size": 144, "steps": 2})
    torch.manual_seed(0)
    weights = torchvision.models.get_model(WEIGHTS_OF[name], weights=None).state_dict()
    weights = {key: value for key, value in weights.items() if not key.startswith("classifier")}
    save_file(weights, tmp_path / "w.safetensors")
    result = artune.style(photo, painting, spec=spec, weights=tmp_path / "w.safetensors")
    assert result.record.steps == 2
    assert np.isfinite(result.picture.pixels).all()


@pytest.mark.parametrize("name", ["crowsonkb", "strotss", "nnst"])
def test_recipes_with_sizes_go_to_any_size(name):
    spec = resolve(find(name).spec.model_copy(update={"size": 96}), (64, 64), 1, device="cpu", precision="fp32")
    assert spec.method.rungs[-1].size == 96


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
