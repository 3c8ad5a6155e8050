import pytest
import torch

from artune.api import style
from artune.backbones.network import Network
from artune.backbones.smoothed import Smoothed
from artune.errors import SpecError
from artune.spec.style import Optimise, StyleSpec
from tests.tiny import tiny_traced


def run(photo, painting, network, **method):
    spec = StyleSpec(size=48, strength=0.5, precision="fp32", method=Optimise(network="tiny", steps=3, **method))
    return style(photo, painting, spec=spec, network=network).record.spec.method


def loaded(backbone, **more) -> Network:
    return Network(backbone, "tiny", "max", "digest", torch.device("cpu"), torch.float32, **more)


def test_a_run_names_the_networks_own_layers_and_what_it_did(photo, painting):
    network = loaded(Smoothed(tiny_traced(aliases={"outcome": "block", "stem": "relu"})), smooth=True)
    method = run(photo, painting, network, content_layers={"outcome": 2.0}, style_layers={"stem": 1.0, "block": 0.5})
    assert method.content_layers == {"block": 2.0}
    assert method.style_layers == {"relu": 1.0, "block": 0.5}
    assert method.smooth is True
    with pytest.raises(SpecError, match="smooth False, the network given has True"):
        run(photo, painting, network, smooth=False)
    with pytest.raises(SpecError, match=r"`content_layers`: two of the layers are block of tiny"):
        run(photo, painting, network, content_layers={"outcome": 1.0, "block": 1.0})


def test_a_run_with_a_network_without_defaults(photo, painting):
    method = run(photo, painting, loaded(tiny_traced()))
    assert (method.content_layers, method.style_layers) == ({"block": 1.0}, {"relu": 1.0, "block": 1.0})
    assert method.smooth is False
