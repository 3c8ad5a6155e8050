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
from artune.losses.terms import VARIATIONS, Wasserstein
from artune.recipes import find_recipe, published
from artune.spec.options import with_options
from artune.transfer.sizes import planned

NAMES = [
    "alexnet", "crowsonkb", "gatys2016", "gordicaleksa", "gordicaleksa-oxford", "inception",
    "keras", "keras-b", "keras-oxford", "mobilenet-flat",
    *(f"mobilenet-flat-{side}-{where}" for side in ("content", "style") for where in ("all", "first", "last")),
    "nnst", *(f"resnet50-{letter}" for letter in "abcdefgh"), "resnext", "strotss", "tutorial",
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


@pytest.mark.parametrize(
    ("name", "size", "want"),
    [
        ("crowsonkb", 100, [(100, 1000)]),
        ("crowsonkb", 128, [(128, 1000)]),
        ("crowsonkb", 256, [(128, 1000), (181, 500), (256, 500)]),
        ("crowsonkb", 512, [(128, 1000), (181, 500), (256, 500), (362, 500), (512, 500)]),
        ("crowsonkb", 1024, [(128, 1000), *((side, 500) for side in (181, 256, 362, 512, 724, 1024))]),
        ("nnst", 512, [(64, 200), (128, 200), (256, 200), (512, 400)]),
        ("nnst", 1024, [(64, 200), (128, 200), (256, 200), (512, 200), (1024, 400)]),
        ("strotss", 512, [(64, 200), (128, 200), (256, 200), (512, 200)]),
        ("tutorial", 128, [(128, 300)]),
        ("tutorial", 512, [(512, 300)]),
    ],
)
def test_sizes_are_the_published_ones(name, size, want):
    assert [(rung.size, rung.steps) for rung in planned(find_recipe(name).spec.method, size)] == want


FIVE = ("conv_1_1", "conv_2_2", "conv_4_2", "conv_8_2", "conv_14_2")
KERAS = ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"]
GORDIC = [f"relu{layer}" for layer in ("1_2", "2_2", "3_3", "4_3")]
STROTSS = [f"relu{layer}" for layer in ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_3", "5_3")]
NNST = [f"relu{layer}" for layer in ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3")]
PUBLISHED = {
    # network, content, style, weights of content and style (None: not published), optimiser, padding, history
    "tutorial": ("vgg19", ["conv_4"], [f"conv_{i}" for i in range(1, 6)], (1, 1e6), "lbfgs", "zeros", 100),
    "gatys2016": ("vgg19", ["relu4_2"], [f"relu{i}_1" for i in range(1, 6)], (1, 1e3), "lbfgs", "zeros", 100),
    "keras": ("vgg16", ["block2_conv2"], KERAS, (2 * 0.025, 5 * 58**2), "lbfgs", "zeros", 10),
    "keras-oxford": ("vgg16", ["block2_conv2"], KERAS, (2 * 0.025, 5), "lbfgs", "zeros", 10),
    "gordicaleksa": ("vgg16", ["relu2_2"], GORDIC, (1e5, 3e4 * 58**2), "lbfgs", "zeros", 100),
    "gordicaleksa-oxford": ("vgg16", ["relu2_2"], GORDIC, (1e5, 3e4), "lbfgs", "zeros", 100),
    "keras-b": ("vgg16", ["block2_conv2"], KERAS, (2 * 0.05, 4 * 58**2), "lbfgs", "zeros", 10),
    **{
        f"resnet50-{letter}": ("resnet50", content.split(), style.split(), (0.5e-4, 1), "lbfgs", "zeros", None)
        for letter, content, style in (
            ("a", "2_1_2", "2_3_1 3_1_1 4_1_1 5_1_1"),
            ("b", "2_1_2", "2_3_1 3_3_1 4_3_1 5_1_3"),
            ("c", "5_3_3", "2_3_1 3_1_1 4_1_1 5_1_3"),
            ("d", "4_2_2", "2_3_3 3_3_3 4_3_3 5_3_3"),
            ("e", "5_3_3", "2_3_1 3_3_1 4_3_1 5_3_1"),
            ("f", "5_3_3", "2_2_1 3_2_1 4_2_1 5_2_1"),
            ("g", "5_3_3", "2_3_1 3_3_1 4_3_1 5_3_1"),
            ("h", "5_1_1", "2_3_1 3_1_1 4_1_1 5_1_1"),
        )
    },
    **{
        f"mobilenet-flat{variant}": ("mobilenet_v2_flat", content, style, (1, 1e5), "lbfgs", "zeros", 100)
        for variant, content, style in (
            ("", FIVE, FIVE),
            ("-content-all", FIVE, FIVE),
            ("-content-first", FIVE[:1], FIVE),
            ("-content-last", FIVE[-1:], FIVE),
            ("-style-all", FIVE, FIVE),
            ("-style-first", FIVE, FIVE[:1]),
            ("-style-last", FIVE, FIVE[-1:]),
        )
    },
    "alexnet": (
        "alexnet",
        ["features.7"],
        [f"features.{i}" for i in (1, 4, 7, 9, 11)],
        (1e7, 100),
        "lbfgs",
        "zeros",
        100,
    ),
    "resnext": ("resnext101_32x8d", ["layer2"], [f"layer{i}" for i in range(1, 5)], (1, 1e6), "lbfgs", "zeros", 100),
    "crowsonkb": (
        "vgg19",
        ["relu4_2"],
        [f"relu{i}_1" for i in range(1, 6)],
        (0.015, 1 / 341),
        "adam",
        "replicate",
        None,
    ),
    "strotss": ("vgg16", STROTSS, STROTSS, None, "adam", "zeros", None),
    "nnst": ("vgg16", ["relu4_1"], NNST, None, "adam", "zeros", None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_layers_and_weights_are_the_published_ones(name):
    network, content, style, weights, optimiser, padding, history = PUBLISHED[name]
    spec = find_recipe(name).spec
    method = spec.method

    def keras(layers):
        short = [re.fullmatch(r"(\d)_(\d)_(\d)", layer) for layer in layers]
        return [
            "conv{}_block{}_{}_conv".format(*found.groups()) if found else layer
            for found, layer in zip(short, layers, strict=True)
        ]

    assert (method.network, method.optimiser) == (network, optimiser)
    assert method.padding == padding
    assert history is None or method.history == history
    assert list(method.content_layers) == keras(content)
    assert list(method.style_layers) == keras(style)
    assert spec.precision == "fp32"
    if weights:
        assert (method.content_weight, method.style_weight) == pytest.approx(weights)


def test_keras_denominators():
    """4 channels^2 size^2 of the picture, 3 channels and all its pixels, in place of the layer's; and 1 / n layers."""
    method = find_recipe("keras").spec.method
    for layer, weight in method.style_layers.items():
        stage = int(layer.removeprefix("block")[0])
        count, stride = {1: 64, 2: 128, 3: 256}.get(stage, 512), 2 ** (stage - 1)
        assert weight == pytest.approx((count / 3) ** 2 / stride**4 / len(method.style_layers), rel=1e-3)


def test_known_facts():
    tutorial = find_recipe("tutorial").spec.method
    assert (tutorial.network, tutorial.optimiser, tutorial.scale) == ("vgg19", "lbfgs", "tutorial")
    assert tutorial.style_weight / tutorial.content_weight == 1e6
    flat = find_recipe("mobilenet-flat").spec.method
    assert (flat.style_weight, flat.content_weight, flat.steps) == (1e5, 1, 500)
    assert {find_recipe(f"resnet50-{letter}").spec.method.scale for letter in "abcdefgh"} == {"raw"}
    assert find_recipe("gatys2016").spec.method.pooling == "average"
    assert find_recipe("keras").spec.method.line_search == "strong-wolfe"
    crowson = find_recipe("crowsonkb").spec.method
    assert (crowson.scale, crowson.variation) == ("mean", "nine-point")
    assert (find_recipe("alexnet").spec.method.steps, find_recipe("resnext").spec.method.steps) == (1000, 300)


def test_crowsons_losses_by_his_formulas(generator):
    """Wasserstein-2 as a mean over channels, and a stencil of nine points: thirds and twelfths, twice."""
    method = find_recipe("crowsonkb").spec.method
    features = torch.rand((1, 5, 40, 40), generator=generator)
    term = Wasserstein("image", method.scale)
    there = term.freeze(term.measure({"image": 2 * features}))
    m, cov = features.flatten(2)[0].mean(1), torch.cov(features.flatten(2)[0], correction=0)
    # of a distribution and the same twice as wide: the means m apart, the roots of the covariances by a factor of 2
    want = m.square().mean() + cov.diagonal().mean()
    assert term.distance(term.measure({"image": features}), there).item() == pytest.approx(want.item(), rel=1e-3)

    image = torch.rand((1, 3, 200, 200), generator=generator)
    straight = [image.diff(dim=2), image.diff(dim=3)]
    diagonal = [image[..., 1:, 1:] - image[..., :-1, :-1], image[..., 1:, :-1] - image[..., :-1, 1:]]
    stencil = 2 * (sum(d.square().mean() / 3 for d in straight) + sum(d.square().mean() / 12 for d in diagonal))
    variation = VARIATIONS[method.variation](method.scale)
    ours = method.tv * variation.distance(variation.measure({"image": image}), None)
    assert ours.item() == pytest.approx(2 * stencil.item(), rel=1e-3)


def test_a_variant_changes_only_what_it_names():
    base, first = find_recipe("mobilenet-flat").spec, find_recipe("mobilenet-flat-content-first").spec
    assert first.method.content_layers == {"conv_1_1": 1.0}
    changed = base.method.model_copy(update={"content_layers": first.method.content_layers})
    assert base.model_copy(update={"method": changed}) == first


def test_a_typo_is_helped():
    with pytest.raises(UnknownNameError, match="did you mean tutorial"):
        find_recipe("tutoral")
