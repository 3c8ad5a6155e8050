import pytest
import torch
from torch import nn

from artune.backbones.registry import load_network, structure
from artune.errors import PictureError
from artune.metrics.work import multiply_adds
from tests.tiny import small_vgg, tiny_traced


@pytest.mark.parametrize(
    ("name", "tap", "known"), [("vgg16", "relu5_3", 15.3466e9), ("mobilenet_v2", "layer_18", 0.2995e9)]
)
def test_known_networks(name, tap, known):
    """VGG-16 has 15.47e9 with its 124e6 of the classifier; MobileNetV2 300e6 (Sandler et al. 2018, table 4)."""
    assert multiply_adds(structure(name), [tap], 224, 224) == pytest.approx(known, rel=1e-4)


def test_against_a_count_of_every_convolution():
    network, counted = tiny_traced(), []

    def count(module, _, out):
        kernel = module.kernel_size[0] * module.kernel_size[1]
        counted.append(out.numel() * kernel * module.in_channels // module.groups)

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    network(torch.rand(1, 3, 48, 36), ["block"])
    for hook in hooks:
        hook.remove()
    assert multiply_adds(network, ["block"], 48, 36) == sum(counted) > 0


def test_the_deepest_tap_counts_and_the_network_stays_as_it_is():
    network = small_vgg()
    shallow, deep = (multiply_adds(network, taps, 64, 32) for taps in (["conv1_2"], ["conv1_1", "relu2_1"]))
    assert shallow == 64 * 32 * 9 * (3 * 4 + 4 * 4)
    assert deep == shallow + 32 * 16 * 9 * 4 * 6
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}
    assert network(torch.rand(1, 3, 64, 32), ["relu2_1"])["relu2_1"].isfinite().all()


def test_the_bundled_network():
    compact, _ = load_network("compact")
    assert multiply_adds(compact, ["relu5_1"], 256, 256) == pytest.approx(256 * 256 * 23.4e3, rel=0.1)


def test_too_small_a_picture():
    with pytest.raises(PictureError, match="31x64 is too small"):
        multiply_adds(small_vgg(), ["relu1_1"], 64, 31)
