import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from artune import assets
from artune.assets import read_weights
from artune.backbones import registry
from artune.backbones.conventions import CENTRED, IMAGENET
from artune.backbones.defaults import Defaults
from artune.backbones.registry import NETWORKS, defaults_of, find_network, load_network, structure
from artune.backbones.smoothed import Smoothed
from artune.errors import SpecError, UnknownNameError, WeightsError
from artune.files import file_digest


def test_unknown_network():
    with pytest.raises(UnknownNameError, match="did you mean vgg19"):
        load_network("vgg9")


def test_the_pooling_of_compact_is_fixed():
    with pytest.raises(SpecError, match="leave out `pooling`"):
        load_network("compact", pooling="l2")


@pytest.mark.parametrize("name", ["compact", "vgg19-emulator"])
def test_a_padding_that_is_fixed_is_refused(name):
    with pytest.raises(SpecError, match=f"the padding of network {name} is fixed; leave out `padding`"):
        load_network(name, padding="zeros")


@pytest.mark.parametrize("name", ["inception_v3", "squeezenet1_1"])
def test_a_network_whose_first_convolution_does_not_pad_has_no_padding_to_choose(name):
    with torch.device("meta"):
        find_network(name).build()
        with pytest.raises(SpecError, match=f"the first convolution of network {name} does not pad; leave out `pad"):
            find_network(name).build(padding="zeros")


def test_networks_without_published_weights_ask_for_a_file():
    with pytest.raises(WeightsError, match="give a file as `weights`"):
        load_network("vgg19-emulator")


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_weights_that_do_not_fit(name, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"conv1.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(WeightsError, match=r"other\.safetensors"):
        structure(name).load(read_weights(path), str(path))


def test_quantised_weights_are_refused(tmp_path):
    path = tmp_path / "small.safetensors"
    save_file(
        {"features.0.weight": torch.ones((64, 3, 3, 3), dtype=torch.int8), "features.0.bias": torch.ones(64)}, path
    )
    for name in ("vgg16", "torchvision:vgg16"):
        with pytest.raises(WeightsError, match=r"features.0.weight is torch.int8; give weights in floating point"):
            load_network(name, weights=path)


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


@pytest.mark.parametrize("name", NETWORKS)
def test_the_defaults_are_taps_of_the_network(name):
    network = structure(name)
    defaults = defaults_of(name, network.taps)
    network.check([*defaults.content, *defaults.style])
    assert all(tap in network.taps for tap in network.aliases.values())


OF_TORCHVISION = [
    name for name, record in NETWORKS.items() if record.weights and record.weights.source.startswith("torchvision")
]


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_published_with_a_digest_and_a_licence(name):
    weights = NETWORKS[name].weights
    if weights is None:
        return
    assert weights.licence
    assert len(weights.sha256) == (8 if name.startswith("resnext") else 64)
    assert int(weights.sha256, 16) >= 0
    if weights.source.startswith("torchvision"):
        entry = models.get_model_weights(name.removesuffix("_flat"))["IMAGENET1K_V1"]
        assert (weights.url, weights.source) == (entry.url, f"torchvision, {entry}")
        assert weights.name == entry.url.rsplit("/", 1)[-1]
        assert weights.sha256.startswith(entry.url.rsplit("-", 1)[-1].removesuffix(".pth"))


@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_input_conventions_are_torchvisions(name):
    shown = models.get_model_weights(name.removesuffix("_flat"))["IMAGENET1K_V1"].transforms()
    convention = NETWORKS[name].convention
    if name == "inception_v3":  # whose transform_input makes [-1, 1] of it
        assert convention == CENTRED
    else:
        assert (convention.mean, convention.std) == (tuple(shown.mean), tuple(shown.std))


def test_every_classifier_of_torchvision_has_a_record():
    record = find_network("torchvision:resnet34")
    assert (record.weights.name, record.weights.sha256) == ("resnet34-b627a593.pth", "b627a593")
    assert (record.convention, record.defaults) == (IMAGENET, None)
    assert record.about
    assert find_network("torchvision:googlenet").convention == CENTRED
    assert find_network("torchvision:vit_l_16").convention == IMAGENET
    with pytest.raises(UnknownNameError, match="did you mean resnet34"):
        find_network("torchvision:resnet43")


def test_a_network_without_defaults_is_styled_at_its_blocks():
    defaults = defaults_of("torchvision:resnet34", structure("torchvision:resnet34").taps)
    assert list(defaults.style) == ["relu", "layer1", "layer2", "layer3"]
    assert list(defaults.content) == ["layer2"]


def test_a_new_network_with_the_layers_of_vgg_has_its_defaults():
    assert defaults_of("of tomorrow", structure("vgg16").taps) == Defaults()
    assert defaults_of("of tomorrow") == Defaults()


def test_a_file_of_weights_is_hashed_once(monkeypatch):
    hashed = []

    def counted(path):
        hashed.append(path)
        return file_digest(path)

    for module in (assets, registry):
        monkeypatch.setattr(module, "file_digest", counted)
    _, digest = load_network("compact")
    assert len(hashed) == 1
    assert digest == registry.COMPACT.sha256
