import pytest
import torch
from torch import nn
from torch.nn import functional as F

from artune.backbones.conventions import CENTRED
from artune.backbones.registry import structure
from artune.backbones.traced import Traced
from artune.errors import SpecError, UnknownNameError, WeightsError
from tests.tiny import TinyClassifier, tiny_traced

MEAN, STD = (torch.tensor(x).view(3, 1, 1) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {key: torch.rand_like(value.float()) for key, value in TinyClassifier().state_dict().items()}


@pytest.fixture
def image(generator):
    return torch.rand((2, 3, 32, 40), generator=generator)


def test_it_knows_what_it_is():
    network = tiny_traced()
    assert network.residual
    assert network.local
    assert network.smallest == 5  # 5 -> 3 -> 2
    assert not any(name.startswith(("fc", "avgpool")) for name in network.taps)
    assert not any("fc" in name for name, _ in network.named_parameters())


def test_a_tap_before_a_relu_is_the_value_before_it(image):
    """The classifier runs its ReLUs in place, over what was asked for."""
    network, reference = tiny_traced(), TinyClassifier()
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
    tiny_traced()(x, ["bn1", "block"])["block"].sum().backward()
    y = image.clone().requires_grad_()
    network = tiny_traced()
    network(y, network.taps)["block"].sum().backward()  # where nothing can run in place
    torch.testing.assert_close(x.grad, y.grad)


def test_it_runs_in_bf16(image):
    network = tiny_traced().to(torch.bfloat16)
    assert network(image, ["block"])["block"].dtype == torch.bfloat16


@pytest.mark.parametrize("pooling", ["average", "l2"])
def test_max_pooling_is_replaced(pooling, image):
    from artune.backbones.pooling import pool

    got = tiny_traced(pooling=pooling)(image, ["relu", "maxpool"])
    torch.testing.assert_close(got["maxpool"], pool(got["relu"], pooling, 3, 2, 1))


@pytest.mark.parametrize("name", ["resnet18", "alexnet", "inception_v3", "torchvision:densenet121"])
def test_the_smallest_side_is_the_smallest(name):
    network = structure(name)
    x, less = (torch.zeros((1, 3, side, side), device="meta") for side in (network.smallest, network.smallest - 1))
    assert all(min(feature.shape[2:]) >= 2 for feature in network(x, network.taps).values())
    try:
        assert any(min(feature.shape[2:]) < 2 for feature in network(less, network.taps).values())
    except RuntimeError:  # too small to run at all
        pass


@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
def test_weights_with_another_head_and_a_prefix(prefix, image):
    own = weights()
    network = tiny_traced()
    network.load({prefix + key: value for key, value in own.items()}, "memory")
    want = network(image, ["block"])["block"]
    other = {key: value for key, value in own.items() if not key.startswith("fc")}
    other |= {"fc.0.weight": torch.zeros(2, 7), "fc.2.bias": torch.zeros(2)}
    again = tiny_traced()
    again.load({prefix + key: value for key, value in other.items()}, "memory")
    assert torch.equal(again(image, ["block"])["block"], want)
    assert not torch.equal(tiny_traced()(image, ["block"])["block"], want)


def test_truncated_weights_mark_what_is_out_of_reach():
    network = tiny_traced()
    network.load({key: value for key, value in weights().items() if "conv2" not in key and "fc" not in key}, "memory")
    assert network.taps["block.relu"].reachable
    assert not network.taps["block.add"].reachable
    with pytest.raises(UnknownNameError, match="the loaded weights end before it") as error:
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
        tiny_traced().load(changed, "memory")


def test_a_network_without_maps_is_refused():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x):
            return self.fc(x.mean((2, 3)))

    with pytest.raises(SpecError, match="has no feature maps"):
        Traced("flat", Flat)


class Averaging(nn.Module):
    """Both kinds of average pooling, with padding."""

    def __init__(self):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 4, 3, padding=1), nn.AvgPool2d(3, 2, 1)

    def forward(self, x):
        return self.pool(F.avg_pool2d(self.conv(x), kernel_size=3, stride=1, padding=1))


@pytest.mark.parametrize("metadata", [{"count_include_pad": "False"}, {"normalisation": "none"}])
def test_metadata_that_are_not_understood_are_refused(metadata):
    with pytest.raises(WeightsError, match="memory: its metadata have"):
        Traced("averaging", Averaging, convention=CENTRED).load(Averaging().state_dict(), "memory", metadata)


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("centred", [True, False])
def test_metadata_say_how_the_weights_were_trained(image, counted, centred):
    torch.manual_seed(0)
    network = Traced("averaging", Averaging, convention=CENTRED).requires_grad_(False)
    metadata = {} if counted else {"count_include_pad": "false"}
    metadata |= {} if centred else {"normalisation": "imagenet"}
    network.load(Averaging().state_dict(), "memory", metadata)
    assert network.metadata == metadata
    conv = network.network.conv
    x = conv((image - 0.5) / 0.5 if centred else (image - MEAN) / STD)
    x = F.avg_pool2d(x, 3, 1, 1, count_include_pad=counted)
    torch.testing.assert_close(network(image, ["pool"])["pool"], F.avg_pool2d(x, 3, 2, 1, count_include_pad=counted))


def test_a_second_file_is_read_as_if_it_were_the_first(image):
    weights = Averaging().state_dict()
    network, fresh = (Traced("averaging", Averaging, convention=CENTRED).requires_grad_(False) for _ in range(2))
    network.load(weights, "memory", {"count_include_pad": "false", "normalisation": "imagenet"})
    before = network(image, ["pool"])["pool"]
    with pytest.raises(WeightsError, match="its metadata have"):
        network.load(Averaging().state_dict(), "memory", {"count_include_pad": "no"})
    torch.testing.assert_close(network(image, ["pool"])["pool"], before, rtol=0, atol=0)
    network.load(weights, "memory")
    fresh.load(weights, "memory")
    assert network.metadata == {}
    torch.testing.assert_close(network(image, ["pool"])["pool"], fresh(image, ["pool"])["pool"], rtol=0, atol=0)
