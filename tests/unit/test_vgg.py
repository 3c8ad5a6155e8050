import pytest
import torch
from torch.nn import functional as F

from artune.backbones.vgg import VGG
from artune.errors import UnknownNameError, WeightsError
from tests.tiny import SMALL, small_vgg


def _torchvision_names(network):
    position = 0
    for block in network.blocks:
        for conv in block:
            yield position, "weight", conv.weight
            yield position, "bias", conv.bias
            position += 2
        position += 1


@pytest.fixture
def image(generator):
    return torch.rand((1, 3, 48, 40), generator=generator)


def test_vgg_against_torchvisions():
    from torchvision.models import vgg19

    torch.manual_seed(0)
    reference = vgg19(weights=None).features.eval()
    ours = VGG()
    ours.load({f"features.{key}": value for key, value in reference.state_dict().items()}, "memory")
    x = torch.rand(1, 3, 64, 64)
    normal = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        got = ours(x, ["conv1_2", "relu3_4", "conv5_1"])
        for tap, end, inside in (("conv1_2", 3, 4), ("relu3_4", 18, 8), ("conv5_1", 29, None)):
            want = reference[:end](normal)
            if inside is not None:  # our border is repeated, torchvision's is black
                cut = (..., slice(inside, -inside), slice(inside, -inside))
                torch.testing.assert_close(got[tap][cut], want[cut], rtol=1e-4, atol=1e-5)
            assert got[tap].shape == want.shape


def test_loading_names_of_both_kinds(image):
    one = small_vgg()
    by_layer = {}
    for b, block in enumerate(one.blocks, start=1):
        for layer, conv in enumerate(block, start=1):
            by_layer[f"conv{b}_{layer}.weight"], by_layer[f"conv{b}_{layer}.bias"] = conv.weight, conv.bias
    other = VGG("small", SMALL).eval().requires_grad_(False)
    other.load(by_layer, "memory")
    assert torch.equal(one(image, ["relu3_2"])["relu3_2"], other(image, ["relu3_2"])["relu3_2"])


def test_truncated_weights_mark_what_is_out_of_reach():
    whole = {f"features.{i}.{p}": t for i, p, t in _torchvision_names(small_vgg())}
    cut = {key: value for key, value in whole.items() if int(key.split(".")[1]) <= 7}
    network = VGG("small", SMALL)
    network.load(cut, "memory")
    assert network.taps["relu2_2"].reachable
    assert not network.taps["conv3_1"].reachable
    with pytest.raises(UnknownNameError, match="the loaded weights end before it") as error:
        network.check(["relu3_2"])
    assert "relu2_2" in str(error.value)


@pytest.mark.parametrize("prefix", ["module.", "model.", "net.vgg.", "features.module.", ""])
def test_a_prefix_of_all_names_is_left_out(prefix, image):
    one, other = small_vgg(), VGG("small", SMALL).eval().requires_grad_(False)
    stem = prefix if prefix == "features.module." else f"{prefix}features."
    other.load({f"{stem}{i}.{kind}": value for i, kind, value in _torchvision_names(one)}, "memory")
    assert torch.equal(one(image, ["relu3_2"])["relu3_2"], other(image, ["relu3_2"])["relu3_2"])


def test_the_features_alone(image):
    one, other = small_vgg(), VGG("small", SMALL).eval().requires_grad_(False)
    other.load({f"{i}.{kind}": value for i, kind, value in _torchvision_names(one)}, "memory")
    assert torch.equal(one(image, ["relu3_2"])["relu3_2"], other(image, ["relu3_2"])["relu3_2"])


def test_weights_of_another_shape_are_refused():
    weights = {"features.0.weight": torch.zeros(5, 3, 3, 3), "features.0.bias": torch.zeros(5)}
    with pytest.raises(WeightsError, match=r"shape \(5, 3, 3, 3\), small needs \(4, 3, 3, 3\)"):
        VGG("small", SMALL).load(weights, "memory")


def test_weights_of_one_vgg_are_not_those_of_another():
    def made(blocks):
        with torch.device("meta"):
            return VGG("small", blocks)

    deep, shallow = ((4, 2), (6, 3), (8, 2)), ((4, 2), (6, 2), (8, 2))
    for own, other in ((deep, shallow), (shallow, deep)):
        named = {}
        for key, tap in made(other).aliases.items():
            if key.startswith("features.") and tap.startswith("conv"):
                block, layer = (int(part) - 1 for part in tap.removeprefix("conv").split("_"))
                conv = made(other).blocks[block][layer]
                named |= {f"{key}.weight": torch.zeros(conv.weight.shape), f"{key}.bias": torch.zeros(len(conv.bias))}
        VGG("small", other).load(named, "memory")
        with pytest.raises(WeightsError, match="small"):
            VGG("small", own).load(named, "memory")


def test_zeros_beyond_the_border_are_pytorchs(generator):
    """As published code pads: after the picture was normalised."""
    network = VGG("vgg19", padding="zeros").eval()
    image = torch.rand((1, 3, 32, 32), generator=generator)
    first = network.blocks[0][0]
    with torch.no_grad():
        ours = network(image, ["conv1_1"])["conv1_1"]
        want = F.conv2d((image - network.mean) / network.std, first.weight, first.bias, padding=1)
    torch.testing.assert_close(ours, want)
