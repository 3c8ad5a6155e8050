import re
from functools import partial

import pytest
import torch
from torch import nn
from torchvision import models

from artune.backbones.registry import NETWORKS, find_network, structure
from artune.errors import SpecError, UnknownNameError
from tests.tiny import randomised

MEAN, STD = (torch.tensor(x).view(3, 1, 1) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def reference_features(model, image, names):
    """What torchvision's own model computes, copied before anything runs in place over it."""
    found = {}

    def keep(name, module, given, out):
        found[name] = out.clone()

    handles = [model.get_submodule(name).register_forward_hook(partial(keep, name)) for name in names]
    with torch.no_grad():
        model(image)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("resnet18", {"conv1": "conv1", "layer2.0.conv1": "layer2.0.conv1", "layer3": "layer3", "layer4": "layer4"}),
        ("alexnet", {"conv1": "features.0", "conv5": "features.10", "pool5": "features.12"}),
        ("squeezenet1_1", {"features.0": "features.0", "features.6": "features.6", "features.12": "features.12"}),
        ("mobilenet_v2", {"conv_0_0": "features.0.0", "conv_8_2": "features.8.conv.2", "layer_18": "features.18"}),
        (
            "inception_v3",
            {"Conv2d_1a_3x3": "Conv2d_1a_3x3", "Mixed_6b.branch7x7_2.conv": "Mixed_6b.branch7x7_2.conv"}
            | {"Mixed_6a": "Mixed_6a", "Mixed_7c": "Mixed_7c"},
        ),
    ],
)
@pytest.mark.parametrize("padding", ["replicate", "zeros"])
def test_against_torchvisions_own(name, inside, padding):
    more = {"init_weights": False} if name == "inception_v3" else {}
    model = randomised(models.get_model(name, weights=None, **more))
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    network = NETWORKS[name].build(padding=padding if any(first.padding) else "replicate")
    assert network.taps
    network.load(model.state_dict(), "memory")  # with its head, and Inception's auxiliary one
    side = network.smallest
    image = torch.rand((1, 3, side, side + 3), generator=torch.Generator().manual_seed(0))
    normal = (image - 0.5) / 0.5 if name == "inception_v3" else (image - MEAN) / STD
    first.padding_mode = padding
    want = reference_features(model, normal, inside.values())
    got = network(image, inside)
    for tap, inner in inside.items():
        torch.testing.assert_close(got[tap], want[inner], rtol=1e-3, atol=1e-4)
        assert min(got[tap].shape[2:]) >= 2


def test_the_published_names_of_densenet():
    """Its files say ``norm.1``; torchvision renames them when it loads them, and so does this."""
    model = models.get_model("densenet121", weights=None)
    dotted = {re.sub(r"(norm|conv)([12])", r"\1.\2", key): value for key, value in model.state_dict().items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in dotted
    network = find_network("torchvision:densenet121").build()
    network.load(dotted, "memory")
    own = network.network.state_dict()["features.denseblock2.denselayer3.conv2.weight"]
    torch.testing.assert_close(own, model.state_dict()["features.denseblock2.denselayer3.conv2.weight"])


def test_without_max_pooling_there_is_none_to_replace():
    with pytest.raises(SpecError, match="mobilenet_v2 has no max pooling"), torch.device("meta"):
        NETWORKS["mobilenet_v2"].build("l2")


@pytest.mark.parametrize(
    ("name", "other", "own"),
    [
        ("vgg19", "block4_conv2", "relu4_2"),
        ("vgg19", "conv_4", "conv2_2"),
        ("vgg19", "relu_9", "relu4_1"),
        ("vgg19", "features.21", "conv4_2"),
        ("vgg19", "features.22", "relu4_2"),
        ("vgg16", "features.21", "conv4_3"),
        ("vgg16", "block5_conv3", "relu5_3"),
        ("resnet50", "conv4_block2_2_conv", "layer3.1.conv2"),
        ("resnet50", "conv2_block1_0_conv", "layer1.0.downsample.0"),
        ("resnet50", "conv5_block3_out", "layer4.2"),
        ("mobilenet_v2", "block_7_project", "conv_8_2"),
        ("mobilenet_v2", "features.8", "layer_8"),
        ("mobilenet_v2", "block_2_add", "layer_3"),
        ("alexnet", "features.8", "conv4"),
    ],
)
def test_names_of_other_sources(name, other, own):
    network = structure(name)
    assert network.tap(other) == own
    assert network.tap(own) == own
    network.check([other])


def test_an_alias_is_offered_too():
    with pytest.raises(UnknownNameError, match="did you mean conv4_block2_2_conv"):
        structure("resnet50").tap("conv4_block2_2_conf")


def test_flat_mobilenet_is_the_same_but_for_the_additions():
    model = randomised(models.mobilenet_v2(weights=None))
    networks = [NETWORKS[name].build() for name in ("mobilenet_v2", "mobilenet_v2_flat")]
    for network in networks:
        network.load(model.state_dict(), "memory")
    whole, flat = networks
    assert whole.taps.keys() == flat.taps.keys()
    image = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    taps = ["conv_0_0", "conv_1_1", "layer_2", "conv_3_1", "bn_3_2", "layer_3", "conv_4_0"]
    a, b = (network(image, taps) for network in networks)
    for tap in taps[:5]:  # to the end of the first block that adds
        torch.testing.assert_close(a[tap], b[tap])
    torch.testing.assert_close(b["layer_3"], b["bn_3_2"])
    torch.testing.assert_close(a["layer_3"], b["layer_2"] + b["layer_3"])
    assert not torch.allclose(a["conv_4_0"], b["conv_4_0"])
