import math

import pytest
import torch
from torch import nn

from artune.backbones.registry import load_network
from artune.backbones.smoothed import Smoothed
from artune.backbones.untrained import untrained
from artune.errors import UnknownNameError


def test_the_seed_decides_the_weights():
    (one, text), (same, _), (other, _) = (untrained("alexnet", seed) for seed in (0, 0, 1))
    tap = "conv1"
    (key,) = (key for key in one.weights(tap) if key.endswith("weight"))
    assert torch.equal(one.weights(tap)[key], same.weights(tap)[key])
    assert not torch.equal(one.weights(tap)[key], other.weights(tap)[key])
    assert text == "untrained-0"


def test_variance_of_the_weights_by_he():
    network, _ = untrained("squeezenet1_1")
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    widest = max(convolutions, key=lambda module: module.weight.numel())
    assert widest.weight.std().item() == pytest.approx(math.sqrt(2 / widest.weight[0].numel()), rel=0.02)
    assert not any(module.bias.any() for module in convolutions)


def test_activations_keep_their_size(generator):
    network, _ = untrained("mobilenet_v2")
    features = network(torch.rand((1, 3, 64, 64), generator=generator), ("layer_2", "layer_14"))
    assert 0.2 < features["layer_14"].std() / features["layer_2"].std() < 5


def test_it_is_like_a_network_that_is_loaded():
    network, _ = untrained("resnet18")
    assert isinstance(network, Smoothed)
    assert not isinstance(untrained("resnet18", smooth=False)[0], Smoothed)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert load_network("compact")[0].taps == untrained("compact")[0].taps


def test_the_global_generator_is_left_alone():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    untrained("compact")
    assert torch.equal(torch.get_rng_state(), state)


def test_unknown_network():
    with pytest.raises(UnknownNameError, match="did you mean"):
        untrained("vgg9")
