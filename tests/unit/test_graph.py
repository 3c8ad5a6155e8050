import pytest
import torch

from artune.backbones.base import WHOLE
from artune.backbones.registry import structure
from artune.backbones.vgg import VGG
from tests.tiny import tiny_traced


def test_strides_fields_and_costs_by_hand():
    about = {
        # channels, stride, field, multiply-adds per pixel, activations per pixel
        "conv1": (4, 2, 3, 27, 4),
        "bn1": (4, 2, 3, 27, 5),
        "relu": (4, 2, 3, 27, 5),  # in place
        "maxpool": (4, 4, 7, 27, 5.25),
        "block.conv1": (4, 4, 15, 36, 5.5),
        "block.bn1": (4, 4, 15, 36, 5.75),
        "block.relu": (4, 4, 15, 36, 5.75),
        "block.conv2": (4, 4, 23, 45, 6),
        "block.add": (4, 4, 23, 45, 6.25),
        "block.relu_1": (4, 4, 23, 45, 6.25),
        "block": (4, 4, 23, 45, 6.25),
    }
    taps = tiny_traced().taps
    assert list(taps) == list(about)
    for tap, info in taps.items():
        assert (info.channels, info.stride, info.receptive_field, info.cost, info.values) == about[tap], tap


def test_the_graph_agrees_with_the_formulas_for_vgg():
    """Two ways to the same figures: a traced VGG-11, and the chain of blocks."""
    with torch.device("meta"):
        chain = VGG("vgg11", ((64, 1), (128, 1), (256, 2), (512, 2), (512, 2)))
    traced = structure("torchvision:vgg11")
    for other, tap in chain.aliases.items():
        if other.startswith("features."):
            assert traced.taps[other] == chain.taps[tap], tap


@pytest.mark.parametrize(
    ("name", "like_resnet"),
    [
        ("resnet50", True),
        ("resnext50_32x4d", True),
        ("torchvision:regnet_x_400mf", True),
        ("mobilenet_v2", False),
        ("inception_v3", False),
        ("vgg16", False),
    ],
)
def test_which_networks_are_like_resnet(name, like_resnet):
    assert structure(name).residual is like_resnet


def test_squeeze_and_excitation_sees_all():
    network = structure("torchvision:mobilenet_v3_small")
    assert network.taps["features.0"].receptive_field == 3
    assert network.taps["features.12"].receptive_field == WHOLE
    assert not network.local
