import re
from functools import partial

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torchvision import models

from artune.api import style
from artune.assets import WEIGHTS
from artune.backbones.base import WHOLE
from artune.backbones.network import Network
from artune.backbones.registry import NETWORKS, find_network, load_network, published_weights, structure
from artune.backbones.smoothed import Smoothed
from artune.backbones.traced import Traced
from artune.backbones.vgg import VGG
from artune.errors import SpecError, UnknownNameError, WeightsError
from artune.spec.style import Optimise, StyleSpec
from artune.transfer.plan import RECIPES, Recipe, recipe_of
from tests.tiny import TinyClassifier

MEAN, STD = (torch.tensor(x).view(3, 1, 1) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def randomised(network: nn.Module) -> nn.Module:
    """Batch norm that does something: by default it is the identity in eval mode."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.1)
    return network.eval().requires_grad_(False)


def tiny(**more) -> Traced:
    torch.manual_seed(0)
    return Traced("tiny", lambda: randomised(TinyClassifier()), **more).requires_grad_(False)


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {key: torch.rand_like(value.float()) for key, value in TinyClassifier().state_dict().items()}


@pytest.fixture
def image(generator):
    return torch.rand((2, 3, 32, 40), generator=generator)


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
    taps = tiny().taps
    assert list(taps) == list(about)
    for tap, info in taps.items():
        assert (info.channels, info.stride, info.receptive_field, info.cost, info.values) == about[tap], tap


def test_it_knows_what_it_is():
    network = tiny()
    assert network.residual
    assert network.local
    assert network.smallest == 5  # 5 -> 3 -> 2
    assert not any(name.startswith(("fc", "avgpool")) for name in network.taps)
    assert not any("fc" in name for name, _ in network.named_parameters())


def test_a_tap_before_a_relu_is_the_value_before_it(image):
    """The classifier runs its ReLUs in place, over what was asked for."""
    network, reference = tiny(), TinyClassifier()
    reference.load_state_dict(network.network.state_dict(), strict=False)
    reference.eval()
    reference.conv1.padding_mode = "replicate"
    x = (image - MEAN) / STD
    with torch.no_grad():
        bn1 = reference.bn1(reference.conv1(x))
        pooled = F.max_pool2d(F.relu(bn1), 3, 2, 1)
        out = reference.block.conv2(F.relu(reference.block.bn1(reference.block.conv1(pooled))))
    want = {
        "bn1": bn1,
        "relu": F.relu(bn1),
        "block.conv2": out,
        "block.add": out + pooled,
        "block": F.relu(out + pooled),
    }
    assert bn1.min() < 0 > (out + pooled).min()
    for taps in (list(want), ["bn1", "relu"], ["block.add"], ["bn1", "block"]):
        got = network(image, taps)
        assert list(got) == [tap for tap in want if tap in taps]
        for tap in taps:
            torch.testing.assert_close(got[tap], want[tap])


def test_it_is_differentiable_whatever_runs_in_place(image):
    x = image.clone().requires_grad_()
    tiny()(x, ["bn1", "block"])["block"].sum().backward()
    y = image.clone().requires_grad_()
    network = tiny()
    network(y, network.taps)["block"].sum().backward()  # where nothing can run in place
    torch.testing.assert_close(x.grad, y.grad)


def test_it_runs_in_bf16(image):
    network = tiny().to(torch.bfloat16)
    assert network(image, ["block"])["block"].dtype == torch.bfloat16


@pytest.mark.parametrize("pooling", ["average", "l2"])
def test_max_pooling_is_replaced(pooling, image):
    from artune.backbones.pooling import pool

    got = tiny(pooling=pooling)(image, ["relu", "maxpool"])
    torch.testing.assert_close(got["maxpool"], pool(got["relu"], pooling, 3, 2, 1))


def test_without_max_pooling_there_is_none_to_replace():
    with pytest.raises(SpecError, match="mobilenet_v2 has no max pooling"), torch.device("meta"):
        NETWORKS["mobilenet_v2"].make("l2")


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
def test_against_torchvisions_own(name, inside):
    more = {"init_weights": False} if name == "inception_v3" else {}
    model = randomised(models.get_model(name, weights=None, **more))
    network = NETWORKS[name].make("max")
    assert network.taps
    network.load(model.state_dict(), "memory")  # with its head, and Inception's auxiliary one
    side = network.smallest
    image = torch.rand((1, 3, side, side + 3), generator=torch.Generator().manual_seed(0))
    normal = (image - 0.5) / 0.5 if name == "inception_v3" else (image - MEAN) / STD
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    first.padding_mode = "replicate"  # the one difference
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
    network = find_network("torchvision:densenet121").make("max")
    network.load(dotted, "memory")
    own = network.network.state_dict()["features.denseblock2.denselayer3.conv2.weight"]
    torch.testing.assert_close(own, model.state_dict()["features.denseblock2.denselayer3.conv2.weight"])


@pytest.mark.parametrize("name", ["resnet18", "alexnet", "inception_v3", "torchvision:densenet121"])
def test_the_smallest_side_is_the_smallest(name):
    network = structure(name)
    x, less = (torch.zeros((1, 3, side, side), device="meta") for side in (network.smallest, network.smallest - 1))
    assert all(min(feature.shape[2:]) >= 2 for feature in network(x, network.taps).values())
    try:
        assert any(min(feature.shape[2:]) < 2 for feature in network(less, network.taps).values())
    except RuntimeError:  # too small to run at all
        pass


@pytest.mark.parametrize("name", NETWORKS)
def test_every_recipe_names_taps_of_its_network(name):
    network = structure(name)
    recipe = RECIPES.get(name, Recipe())
    network.check([*recipe.content, *recipe.style])
    assert all(tap in network.taps for tap in network.aliases.values())


def test_the_graph_agrees_with_the_formulas_for_vgg():
    """Two ways to the same figures: a traced VGG-11, and the chain of blocks."""
    with torch.device("meta"):
        chain = VGG("vgg11", ((64, 1), (128, 1), (256, 2), (512, 2), (512, 2)))
    traced = structure("torchvision:vgg11")
    for other, tap in chain.aliases.items():
        if other.startswith("features."):
            assert traced.taps[other] == chain.taps[tap], tap


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
    networks = [NETWORKS[name].make("max") for name in ("mobilenet_v2", "mobilenet_v2_flat")]
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


@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
def test_weights_with_another_head_and_a_prefix(prefix, image):
    own = weights()
    network = tiny()
    network.load({prefix + key: value for key, value in own.items()}, "memory")
    want = network(image, ["block"])["block"]
    other = {key: value for key, value in own.items() if not key.startswith("fc")}
    other |= {"fc.0.weight": torch.zeros(2, 7), "fc.2.bias": torch.zeros(2)}
    again = tiny()
    again.load({prefix + key: value for key, value in other.items()}, "memory")
    assert torch.equal(again(image, ["block"])["block"], want)
    assert not torch.equal(tiny()(image, ["block"])["block"], want)


def test_truncated_weights_mark_what_is_out_of_reach():
    network = tiny()
    network.load({key: value for key, value in weights().items() if "conv2" not in key and "fc" not in key}, "memory")
    assert network.taps["block.relu"].reachable
    assert not network.taps["block.add"].reachable
    with pytest.raises(UnknownNameError, match="the weights at hand end before it") as error:
        network.check(["block"])
    assert "block.relu" in str(error.value)
    network.load(weights(), "memory")
    network.check(["block"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"block.conv1.weight": torch.zeros(4, 4, 1, 1)}, r"has shape \(4, 4, 1, 1\), tiny needs \(4, 4, 3, 3\)"),
        ({"block.conv3.weight": torch.zeros(1)}, r"tiny has no block\.conv3\.weight; give weights of tiny"),
        ({"bn1.running_mean": None}, r"it has block\.conv1\.weight but not bn1\.running_mean"),
        (dict.fromkeys(weights()), r"no weights of tiny in it; it needs conv1\.weight, and has nothing"),
    ],
)
def test_weights_of_another_network_are_refused(change, message):
    changed = {key: value for key, value in {**weights(), **change}.items() if value is not None}
    with pytest.raises(WeightsError, match=message):
        tiny().load(changed, "memory")


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


def test_networks_like_resnet_are_smoothed_by_default(tmp_path):
    path = tmp_path / "resnet.safetensors"
    bn1 = {f"bn1.{part}": torch.ones(64) for part in ("weight", "bias", "running_mean", "running_var")}
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7), **bn1}, path)
    for name, smooth, found in (
        ("resnet18", None, True),
        ("resnet18", False, False),
        ("torchvision:resnet18", None, True),
    ):
        network, _ = load_network(name, weights=path, smooth=smooth)
        assert isinstance(network, Smoothed) is found, name
        assert network.local is not found


def test_squeeze_and_excitation_sees_all():
    network = structure("torchvision:mobilenet_v3_small")
    assert network.taps["features.0"].receptive_field == 3
    assert network.taps["features.12"].receptive_field == WHOLE
    assert not network.local


def test_a_network_without_a_recipe_is_styled_at_its_blocks():
    recipe = recipe_of("torchvision:resnet34", structure("torchvision:resnet34").taps)
    assert list(recipe.style) == ["relu", "layer1", "layer2", "layer3"]
    assert list(recipe.content) == ["layer2"]


def test_a_network_without_maps_is_refused():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x):
            return self.fc(x.mean((2, 3)))

    with pytest.raises(SpecError, match="gives no maps of features"):
        Traced("flat", Flat)


def test_published_weights_are_torchvisions():
    for name, asset in WEIGHTS.items():
        if asset.url is not None:
            entry = models.get_model_weights(name.removesuffix("_flat"))["IMAGENET1K_V1"]
            assert (asset.url, asset.source) == (entry.url, f"torchvision, {entry}")
            assert asset.name == asset.url.rsplit("/", 1)[-1]
    other = published_weights("torchvision:resnet34")
    assert (other.name, other.sha256) == ("resnet34-b627a593.pth", "b627a593")
    assert find_network("torchvision:resnet34").about


def run(photo, painting, network, **method):
    spec = StyleSpec(size=48, strength=0.5, precision="fp32", method=Optimise(network="tiny", steps=3, **method))
    return style(photo, painting, spec=spec, network=network).record.spec.method


def loaded(backbone, **more) -> Network:
    return Network(backbone, "tiny", "max", "digest", torch.device("cpu"), torch.float32, **more)


def test_a_run_names_the_networks_own_layers_and_what_it_did(photo, painting):
    network = loaded(Smoothed(tiny(aliases={"outcome": "block", "stem": "relu"})), smooth=True)
    method = run(photo, painting, network, content_layers={"outcome": 2.0}, style_layers={"stem": 1.0, "block": 0.5})
    assert method.content_layers == {"block": 2.0}
    assert method.style_layers == {"relu": 1.0, "block": 0.5}
    assert method.smooth is True
    with pytest.raises(SpecError, match="smooth False, the network given has True"):
        run(photo, painting, network, smooth=False)
    with pytest.raises(SpecError, match=r"content_layers: two of the layers are block of tiny"):
        run(photo, painting, network, content_layers={"outcome": 1.0, "block": 1.0})


def test_a_run_with_a_network_that_has_no_recipe(photo, painting):
    method = run(photo, painting, loaded(tiny()))
    assert (method.content_layers, method.style_layers) == ({"block": 1.0}, {"relu": 1.0, "block": 1.0})
    assert method.smooth is False
