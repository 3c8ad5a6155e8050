"""Networks that see a picture as one that repeats."""

import pytest
import torch

from artune.backbones.base import stride_and_radius
from artune.backbones.circular import Circular, check_circular, margin_of, wrapped
from artune.backbones.compact import Compact, CompactConfig
from artune.backbones.smoothed import Smoothed
from artune.backbones.vgg import VGG
from artune.errors import SpecError
from artune.images.resize import WRAPS
from tests.tiny import Tiny

NARROW = CompactConfig(((4,), (5,), (6,), (7,), (8,)), slope=0.1)
TAPS = ["image", "relu1_1", "relu3_1", "relu5_1"]


@pytest.fixture(scope="module")
def compact():
    torch.manual_seed(0)
    return Compact(NARROW).double().requires_grad_(False)


def picture(height=64, width=48, seed=1):
    return torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("down", "across"), [((0, 0), (3, 2)), ((5, 0), (1, 9)), ((11, 13), (0, 0))])
def test_what_follows_beyond_the_edges(down, across):
    image = picture(4, 5)
    found = wrapped(image, down, across)
    rows, columns = (torch.arange(-before, side + after) % side for side, (before, after) in ((4, down), (5, across)))
    assert torch.equal(found, image[:, :, rows][..., columns])


def test_a_shift_of_the_picture_shifts_its_features(compact):
    network, image = Circular(compact, WRAPS["both"]), picture()
    features, shifted = network(image, TAPS), network(image.roll((16, 32), (2, 3)), TAPS)
    for tap, value in features.items():
        stride = 1 if tap == "image" else network.taps[tap].stride
        assert value.shape[-2:] == (64 // stride, 48 // stride)
        torch.testing.assert_close(shifted[tap], value.roll((16 // stride, 32 // stride), (2, 3)), rtol=0, atol=1e-10)
    plain, moved = compact(image, TAPS), compact(image.roll((16, 32), (2, 3)), TAPS)
    assert (moved["relu5_1"] - plain["relu5_1"].roll((1, 2), (2, 3))).abs().max() > 1e-3


@pytest.mark.parametrize("size", [(64, 48), (50, 37), (16, 70)])
def test_features_are_those_in_the_middle_of_copies(compact, size):
    """At any size, also where the strides do not divide it."""
    image, (height, width) = picture(*size), size
    found = Circular(compact, WRAPS["x"])(image, ["relu4_1"])["relu4_1"]
    left = -(-margin_of(compact, ["relu4_1"]) // width) * width
    start = left // 8 * 8  # where a stride begins, of the copies before
    copies = image.repeat(1, 1, 1, 2 * left // width + 2)[..., left - start :]
    expected = compact(copies, ["relu4_1"])["relu4_1"][..., start // 8 : start // 8 + found.shape[-1]]
    assert found.shape[-2:] == (-(-height // 8), -(-width // 8))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_the_pass_is_the_network(compact):
    """The same values and gradient, although the fast pass of the inner network is used."""
    network, out = Circular(compact, WRAPS["both"]), []
    for make in (network.make_pass, super(Circular, network).make_pass):
        x = picture(48, 40).requires_grad_()
        found = make(["image", "relu3_1"], ["relu2_1", "relu5_1"])(x)
        total = sum(value.square().sum() for value in found.features.values())
        total = total + sum((sums.second.square().sum() + sums.first.sum()) for sums in found.sums.values())
        out.append((found, torch.autograd.grad(total, x)[0]))
    (mine, gradient), (plain, expected) = out
    assert mine.features.keys() == {"image", "relu3_1"}
    for tap, sums in plain.sums.items():
        assert mine.sums[tap].positions == sums.positions
        torch.testing.assert_close(mine.sums[tap].second, sums.second)
    torch.testing.assert_close(gradient, expected)


def test_a_network_with_zeros_around_every_layer():
    """VGG pads each of its layers; what it sees of a picture that repeats has no edges all the same."""
    torch.manual_seed(0)
    vgg = VGG("vgg", ((4, 1), (5, 1), (6, 1)), padding="zeros").double().eval().requires_grad_(False)
    network, image = Circular(vgg, WRAPS["both"]), picture(16, 24)
    features, moved = (network(each, ["relu3_1"])["relu3_1"] for each in (image, image.roll((4, 8), (2, 3))))
    torch.testing.assert_close(moved, features.roll((1, 2), (2, 3)), rtol=0, atol=1e-9)


def test_the_margin_is_what_the_taps_see(compact):
    margin = margin_of(compact, ["relu1_1", "relu5_1"])
    assert margin_of(compact, ["image"]) == 0
    assert margin % 16 == 0
    assert margin >= compact.taps["relu5_1"].receptive_field // 2
    assert stride_and_radius(compact, ["relu5_1"]) == (16, margin)
    assert Circular(compact, WRAPS["x"]).enlarged(picture(16, 16), ["relu5_1"]).shape[-2:] == (16, 16 + 2 * margin)


def test_networks_that_see_the_whole_picture_are_refused(compact):
    check_circular(compact, TAPS)
    with pytest.raises(SpecError, match="smoothing"):
        check_circular(Smoothed(compact), TAPS)
    network = Tiny()
    network.taps["half"] = network.taps["half"].__class__(1, 2, 2**20, 4.0, 7.0)
    with pytest.raises(SpecError, match="half of tiny, which sees the whole picture"):
        check_circular(network, ["half"])


def test_it_stands_for_the_network_inside(compact):
    network = Circular(compact, WRAPS["x"])
    assert (network.taps, network.metadata, network.smallest) == (compact.taps, compact.metadata, compact.smallest)
    assert network.weights("relu1_1").keys() == compact.weights("relu1_1").keys()
    with torch.no_grad():
        network.load({name: value * 0 for name, value in compact.weights("relu5_1").items()}, "zeros", {"slope": "0.1"})
    assert not network(picture(16, 16), ["relu1_1"])["relu1_1"].any()
