"""Published recipes: every one is whole, names layers that exist, and says what its source says."""

import re

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

import artune
from artune.backbones.registry import structure
from artune.errors import UnknownNameError
from artune.recipes import find_recipe, published
from artune.spec.options import with_options
from artune.transfer.plan import resolve

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
    recipe = find_recipe(name)
    assert recipe.title
    assert recipe.source
    assert recipe.departures
    assert recipe.spec.method.content_layers
    assert recipe.spec.method.style_layers
    assert not recipe.spec.automatic


@pytest.mark.parametrize("name", NAMES)
def test_layers_exist(name):
    method = find_recipe(name).spec.method
    network = structure(method.network)
    for layer in (*method.content_layers, *method.style_layers):
        assert network.tap(layer) in network.taps


@pytest.mark.parametrize("name", ["mobilenet-flat", "alexnet"])
def test_a_recipe_runs(name, photo, painting, tmp_path):
    spec = with_options(find_recipe(name).spec, {"size": 144, "steps": 2})
    torch.manual_seed(0)
    weights = torchvision.models.get_model(WEIGHTS_OF[name], weights=None).state_dict()
    weights = {key: value for key, value in weights.items() if not key.startswith("classifier")}
    save_file(weights, tmp_path / "w.safetensors")
    result = artune.style(photo, painting, spec=spec, weights=tmp_path / "w.safetensors")
    assert result.record.steps == 2
    assert np.isfinite(result.picture.pixels).all()


@pytest.mark.parametrize("name", ["crowsonkb", "strotss", "nnst"])
def test_recipes_with_sizes_go_to_any_size(name):
    spec = resolve(find_recipe(name).spec.model_copy(update={"size": 96}), (64, 64), 1, device="cpu", precision="fp32")
    assert spec.method.rungs[-1].size == 96


FIVE = ("conv_1_1", "conv_2_2", "conv_4_2", "conv_8_2", "conv_14_2")
KERAS = ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"]
PUBLISHED = {
    # network, content, style, weights of content and style (None: not published), optimiser
    "tutorial": ("vgg19", ["conv_4"], ["conv_1", "conv_2", "conv_3", "conv_4", "conv_5"], (1, 1e6), "lbfgs"),
    "gatys2016": ("vgg19", ["relu4_2"], [f"relu{i}_1" for i in range(1, 6)], (1, 1e3), "lbfgs"),
    "keras": ("vgg16", ["block2_conv2"], KERAS, (2 * 0.025, 5 * 58**2), "lbfgs"),
    "keras-b": ("vgg16", ["block2_conv2"], KERAS, (2 * 0.05, 4 * 58**2), "lbfgs"),
    "resnet50-a": ("resnet50", ["2_1_2"], ["2_3_1", "3_1_1", "4_1_1", "5_1_1"], (0.05, 5), "lbfgs"),
    "resnet50-b": ("resnet50", ["2_1_2"], ["2_3_1", "3_3_1", "4_3_1", "5_1_3"], (0.05, 5), "lbfgs"),
    "resnet50-c": ("resnet50", ["5_3_3"], ["2_3_1", "3_1_1", "4_1_1", "5_1_3"], (0.05, 5), "lbfgs"),
    "resnet50-d": ("resnet50", ["4_2_2"], ["2_3_3", "3_3_3", "4_3_3", "5_3_3"], (0.05, 5), "lbfgs"),
    "resnet50-e": ("resnet50", ["5_3_3"], ["2_3_1", "3_3_1", "4_3_1", "5_3_1"], (0.05, 5), "lbfgs"),
    "resnet50-f": ("resnet50", ["5_3_3"], ["2_2_1", "3_3_1", "4_3_1", "5_3_1"], (0.025, 5), "lbfgs"),
    "resnet50-g": ("resnet50", ["5_3_3"], ["2_3_1", "3_3_1", "4_3_1", "5_3_1"], (0.05, 5), "lbfgs"),
    "mobilenet-flat": ("mobilenet_v2_flat", FIVE, FIVE, (1, 1e5), "lbfgs"),
    "mobilenet-flat-content-all": ("mobilenet_v2_flat", FIVE, FIVE, (1, 1e5), "lbfgs"),
    "mobilenet-flat-content-first": ("mobilenet_v2_flat", FIVE[:1], FIVE, (1, 1e5), "lbfgs"),
    "mobilenet-flat-content-last": ("mobilenet_v2_flat", FIVE[-1:], FIVE, (1, 1e5), "lbfgs"),
    "mobilenet-flat-style-all": ("mobilenet_v2_flat", FIVE, FIVE, (1, 1e5), "lbfgs"),
    "mobilenet-flat-style-first": ("mobilenet_v2_flat", FIVE, FIVE[:1], (1, 1e5), "lbfgs"),
    "mobilenet-flat-style-last": ("mobilenet_v2_flat", FIVE, FIVE[-1:], (1, 1e5), "lbfgs"),
    "resnext": ("resnext101_32x8d", ["layer2"], [f"layer{i}" for i in range(1, 5)], None, "adam"),
    "crowsonkb": ("vgg19", ["relu4_2"], [f"relu{i}_1" for i in range(1, 6)], (0.015, 1), "adam"),
    "strotss": ("vgg16", ["relu2_1", "relu3_1", "relu4_1"], [f"relu{i}_1" for i in range(1, 6)], None, "adam"),
    "nnst": ("vgg16", ["relu4_1"], [f"relu{i}_1" for i in range(1, 5)], None, "adam"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_layers_and_weights_are_the_published_ones(name):
    network, content, style, weights, optimiser = PUBLISHED[name]
    spec = find_recipe(name).spec
    method = spec.method

    def keras(layers):
        short = [re.fullmatch(r"(\d)_(\d)_(\d)", layer) for layer in layers]
        return [
            "conv{}_block{}_{}_conv".format(*found.groups()) if found else layer
            for found, layer in zip(short, layers, strict=True)
        ]

    assert (method.network, method.optimiser) == (network, optimiser)
    assert list(method.content_layers) == keras(content)
    assert list(method.style_layers) == keras(style)
    assert spec.precision == "fp32"
    if weights:
        assert (method.content_weight, method.style_weight) == pytest.approx(weights)


@pytest.mark.parametrize("name", ["keras", *(f"resnet50-{letter}" for letter in "abcdeg")])
def test_keras_denominators(name):
    """4 channels^2 size^2 of the picture, 3 channels and all its pixels, in place of the layer's; and 1 / n layers."""
    method = find_recipe(name).spec.method
    for layer, weight in method.style_layers.items():
        stage, channels = re.fullmatch(r"(?:block|conv)(\d)_(?:block\d_(\d)_)?conv\d?", layer).groups()
        if name == "keras":
            count, stride = {"1": 64, "2": 128, "3": 256}.get(stage, 512), 2 ** (int(stage) - 1)
        else:
            count, stride = 2 ** (int(stage) + (4 if channels == "1" else 6)), 2 ** int(stage)
        assert weight == pytest.approx((count / 3) ** 2 / stride**4 / len(method.style_layers), rel=1e-3)


def test_known_facts():
    tutorial = find_recipe("tutorial").spec.method
    assert (tutorial.network, tutorial.optimiser, tutorial.scale) == ("vgg19", "lbfgs", "tutorial")
    assert tutorial.style_weight / tutorial.content_weight == 1e6
    flat = find_recipe("mobilenet-flat").spec.method
    assert (flat.style_weight, flat.content_weight, flat.steps) == (1e5, 1, 500)
    assert find_recipe("resnet50-f").spec.method.scale == "raw"
    assert find_recipe("gatys2016").spec.method.pooling == "average"
    crowson = find_recipe("crowsonkb").spec.method
    assert [rung.size for rung in crowson.rungs] == [128, 181, 256, 362, 512]


def test_a_variant_changes_only_what_it_names():
    base, first = find_recipe("mobilenet-flat").spec, find_recipe("mobilenet-flat-content-first").spec
    assert first.method.content_layers == {"conv_1_1": 1.0}
    changed = base.method.model_copy(update={"content_layers": first.method.content_layers})
    assert base.model_copy(update={"method": changed}) == first


def test_a_typo_is_helped():
    with pytest.raises(UnknownNameError, match="did you mean tutorial"):
        find_recipe("tutoral")
