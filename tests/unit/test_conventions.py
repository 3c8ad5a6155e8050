import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from artune.backbones.conventions import (
    CAFFE,
    CENTRED,
    IMAGENET,
    OXFORD,
    UNIT,
    InputConvention,
    adapt_input,
    convert,
    oxford_convention,
)
from artune.backbones.registry import load_network
from artune.backbones.vgg import VGG, VGG19
from artune.errors import ArtuneWarning, WeightsError
from tests.tiny import Tiny

MEAN = (123.68, 116.779, 103.939)
"""Of red, green and blue, as Caffe's users take it away from pixels of 0 to 255."""


def rgb(values):
    return torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1)


def caffe_input(image):
    """As in the published code: [0, 255], less the mean, blue first."""
    return (255 * image.double() - rgb(MEAN)).flip(1)


def oxford_layer(generator, convention):
    """A first layer with the known filters of the Oxford VGG, for an input convention."""
    layer = nn.Conv2d(3, 64, 3, padding=0).double().requires_grad_(False)
    layer.weight.normal_(0, 0.05, generator=generator)
    layer.weight[: len(OXFORD), :, 1, 1] = torch.tensor(OXFORD, dtype=torch.float64)
    layer.weight.copy_(layer.weight.flip(1))
    convert(layer, CAFFE, convention)
    return layer


def test_caffes_layer_gives_for_imagenets_input_what_it_gave_for_its_own(generator):
    layer = oxford_layer(generator, CAFFE)
    image = torch.rand((2, 3, 9, 8), generator=generator, dtype=torch.float64)
    want = F.conv2d(caffe_input(image), layer.weight, layer.bias)
    convert(layer, CAFFE, IMAGENET)
    normal = (image - rgb((0.485, 0.456, 0.406))) / rgb((0.229, 0.224, 0.225))
    torch.testing.assert_close(layer(normal), want)
    convert(layer, IMAGENET, CAFFE)
    torch.testing.assert_close(layer(caffe_input(image)), want)


RGB_BYTES = InputConvention(CAFFE.mean, CAFFE.std)
BGR_IMAGENET = InputConvention(IMAGENET.mean, IMAGENET.std, bgr=True)


@pytest.mark.parametrize("convention", [CAFFE, IMAGENET, CENTRED, UNIT, RGB_BYTES, BGR_IMAGENET], ids=str)
def test_oxfords_filters_tell_their_convention(convention, generator):
    layer = oxford_layer(generator, convention)
    assert oxford_convention(layer.weight, "memory") == convention
    layer.weight.mul_(1.1).add_(torch.randn(layer.weight.shape, generator=generator) * 0.05 * layer.weight.std())
    assert oxford_convention(layer.weight, "memory") == convention  # fine-tuned


def test_other_filters_tell_nothing(generator):
    for _ in range(20):
        layer = nn.Conv2d(3, 64, 3)
        nn.init.normal_(layer.weight, generator=generator)
        assert oxford_convention(layer.weight, "memory") is None
    assert oxford_convention(torch.zeros(64, 3, 3, 3), "memory") is None
    assert oxford_convention(torch.zeros(4, 3, 3, 3), "memory") is None


def test_conventions_are_told_in_words():
    assert str(CAFFE) == "blue first, pixels of 0 to 255 less (123.7, 116.8, 103.9)"
    assert str(IMAGENET) == "red first, pixels of 0 to 1 less (0.485, 0.456, 0.406) over (0.229, 0.224, 0.225)"
    assert str(UNIT) == "red first, pixels of 0 to 1"


def test_oxfords_filters_of_no_known_size_are_refused(generator):
    layer = oxford_layer(generator, CAFFE)
    with pytest.raises(WeightsError, match=r"w\.pth.* 8 times as large as Caffe's, and fit no known input"):
        oxford_convention(8 * layer.weight, "w.pth")


@pytest.mark.parametrize("names", ["features.{}", "conv1_{}"])
def test_a_network_in_caffes_convention_is_converted_with_a_warning(names, generator, tmp_path):
    """Under both kinds of names: vgg19-d01eb7cb.pth and vgg_conv.pth."""
    layer = oxford_layer(generator, CAFFE).float()
    second = nn.Conv2d(64, 64, 3, padding=1).requires_grad_(False)
    places = (0, 2) if names.startswith("features") else (1, 2)
    path = tmp_path / "caffe.pth"
    stems = [names.format(place) for place in places]
    layers = zip(stems, (layer, second), strict=True)
    torch.save({f"{stem}.{kind}": value for stem, conv in layers for kind, value in conv.state_dict().items()}, path)
    with pytest.warns(
        ArtuneWarning, match=r"caffe\.pth: its weights expect another input .*\(blue first, pixels of 0 to 255 less"
    ):
        network, _ = load_network("vgg19", weights=path)
    image = torch.rand((1, 3, 32, 32), generator=generator)
    padded = F.pad(caffe_input(image), (1, 1, 1, 1), mode="replicate")
    first = F.conv2d(padded, layer.weight.double(), layer.bias.double())
    want = F.conv2d(first.relu(), second.weight.double(), second.bias.double(), padding=1)
    got = network(image, ["conv1_1", "conv1_2"])
    torch.testing.assert_close(got["conv1_1"].double(), first, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(got["conv1_2"].double(), want, rtol=1e-4, atol=1e-3)


def test_weights_in_their_own_convention_are_left_alone(generator):
    for convention in (IMAGENET, UNIT):
        network = nn.Sequential(oxford_layer(generator, convention))
        before = network[0].weight.clone()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            adapt_input(network, convention, "memory")
        assert torch.equal(network[0].weight, before)


def normed(generator, convention):
    """A convolution and batch norm whose statistics are those of smooth pictures in a convention."""
    coarse = torch.rand((8, 3, 6, 6), generator=generator)
    images = F.interpolate(coarse.mean(1, keepdim=True).expand(-1, 3, -1, -1) + 0.3 * coarse, 96, mode="bicubic")
    images = (images - images.mean()) * 0.26 / images.std() + 0.45
    network = nn.Sequential(nn.Conv2d(3, 16, 7, stride=2, bias=False), nn.BatchNorm2d(16, momentum=1.0))
    nn.init.normal_(network[0].weight, generator=generator)
    x = (images - rgb(convention.mean).float()) / rgb(convention.std).float()
    network.train()(x.flip(1) if convention.bgr else x)
    return network.eval().requires_grad_(False)


def test_batch_norm_tells_pixels_of_0_to_255(generator):
    adapt_input(normed(generator, IMAGENET), IMAGENET, "memory")
    adapt_input(normed(generator, CENTRED), CENTRED, "memory")
    for convention in (CAFFE, RGB_BYTES):
        with pytest.raises(WeightsError, match=r"resnet\.pth: its weights expect pixels of 0 to 255"):
            adapt_input(normed(generator, convention), IMAGENET, "resnet.pth")


def test_batch_norm_that_was_folded_tells_nothing():
    network = nn.Sequential(nn.Conv2d(3, 16, 7, bias=False), nn.BatchNorm2d(16)).requires_grad_(False)
    network[0].weight.mul_(1e-4)
    adapt_input(network, IMAGENET, "memory")


@pytest.mark.assets
def test_the_true_vgg19_in_caffes_convention(assets, generator, tmp_path):
    weights = {key: value.double() for key, value in load_file(assets / "weights/vgg19-blocks1-3.safetensors").items()}
    original = VGG("vgg19", VGG19[:3]).double().requires_grad_(False)
    original.load(weights, "memory")
    scale = 255 * rgb((0.229, 0.224, 0.225))
    first = weights["features.0.weight"] / scale
    moved = (255 * rgb((0.485, 0.456, 0.406)) - rgb(MEAN)) * first
    weights["features.0.bias"] = weights["features.0.bias"] - moved.sum((1, 2, 3))
    weights["features.0.weight"] = first.flip(1)
    image = torch.rand((1, 3, 64, 64), generator=generator)
    padded = F.pad(caffe_input(image), (1, 1, 1, 1), mode="replicate")
    want = F.conv2d(padded, weights["features.0.weight"], weights["features.0.bias"])
    torch.testing.assert_close(original(image.double(), ["conv1_1"])["conv1_1"], want, rtol=1e-4, atol=1e-3)
    path = tmp_path / "caffe.safetensors"
    save_file({key: value.float().contiguous() for key, value in weights.items()}, path)
    with pytest.warns(ArtuneWarning, match="the first layer was converted"):
        network, _ = load_network("vgg19", weights=path)
    taps = ["relu1_1", "relu2_1", "relu3_4"]
    for tap, value in network(image, taps).items():
        torch.testing.assert_close(value.double(), original(image.double(), taps)[tap], rtol=1e-4, atol=1e-2)


@pytest.mark.assets
def test_the_networks_at_hand_are_taken_as_they_are(assets):
    for name, file in (
        ("vgg19", "vgg19-blocks1-3"),
        ("vgg16", "vgg16-features"),
        ("vgg19-emulator", "vgg19-emulator-16x"),
        ("squeezenet1_1", "squeezenet1_1-features"),
        ("resnet18", "resnet18-layer1-3"),
        ("mobilenet_v2", "mobilenet_v2"),
        ("inception_v3", "inception_v3-to-6e"),
    ):
        path = assets / f"weights/{file}.safetensors"
        network, _ = load_network(name, weights=path, smooth=False)  # warnings are errors
    assert network.metadata == {"count_include_pad": "false", "normalisation": "imagenet"}  # of Inception, in words
    assert not any(getattr(module, "count_include_pad", False) for module in network.modules())


def test_a_network_without_layers_is_left_alone():
    adapt_input(Tiny(), IMAGENET, "weights.pth")
