import pytest
import torch
from torch.nn import functional as F

from artune.assets import fetch
from artune.backbones.compact import GAIN, Compact, CompactConfig
from artune.backbones.registry import COMPACT, load_network
from artune.errors import ArtuneWarning, WeightsError


@pytest.fixture
def image(generator):
    return torch.rand((1, 3, 48, 40), generator=generator)


def test_bundled_weights_load_and_show_every_colour(image):
    network, digest = load_network("compact")
    assert digest == COMPACT.sha256
    first = network(image, ["relu1_1"])["relu1_1"]
    torch.testing.assert_close(first[:, :3] / GAIN, image, atol=1 / 2550, rtol=0)


def test_bundled_weights_show_every_colour_in_bf16(image):
    network, _ = load_network("compact", dtype=torch.bfloat16)
    first = network(image, ["relu1_1"])["relu1_1"].float()
    assert ((first[:, :3] / GAIN - image).abs() <= 1 / 255).all()


def test_the_bundle_is_small():
    assert fetch(COMPACT, network="compact")[0].stat().st_size <= 4_000_000


@pytest.mark.parametrize(("height", "width"), [(16, 17), (33, 47), (40, 23)])
def test_the_deepest_tap_of_compact_sees_every_row_of_a_picture_of_any_size(height, width, generator):
    network = Compact().double().requires_grad_(False)
    network.load_state_dict({name: torch.rand_like(value) for name, value in network.state_dict().items()})
    image = torch.rand((1, 3, height, width), generator=generator, dtype=torch.float64).requires_grad_()
    features = network(image, network.taps)
    for tap, info in network.taps.items():
        assert features[tap].shape[-2:] == (-(-height // info.stride), -(-width // info.stride)), tap
    features["relu5_1"].sum().backward()
    assert (image.grad > 0).all()


def test_compact_sees_a_picture_as_one_whose_border_goes_on(generator):
    network = Compact().requires_grad_(False)
    image = torch.rand((1, 3, 40, 32), generator=generator)
    wide = F.pad(image, (8, 8, 8, 8), mode="replicate")
    for tap, info in list(network.taps.items())[:2]:  # those whose receptive field lies within the margin
        inner = network(wide, [tap])[tap][..., 8 // info.stride :, 8 // info.stride :]
        found = network(image, [tap])[tap]
        torch.testing.assert_close(found, inner[..., : found.shape[-2], : found.shape[-1]])


def test_a_network_takes_the_shape_of_its_file():
    torch.manual_seed(0)
    wider = Compact(CompactConfig(((5,), (6,), (7, 8), (9,), (10,)), slope=0.25))
    network = Compact()
    network.load(wider.state_dict(), "memory", {"slope": "0.25"})
    assert network.config == wider.config
    assert network.taps == wider.taps
    image = torch.rand((1, 3, 40, 32))
    torch.testing.assert_close(network(image, ["relu5_1"]), wider(image, ["relu5_1"]))
    with pytest.warns(ArtuneWarning, match="memory: its metadata do not tell the slope.* taken for a ReLU"):
        network.load(wider.state_dict(), "memory")
    assert network.config.slope == 0


@pytest.mark.parametrize("slope", ["x", "-0.5", "1", "nan"])
def test_a_slope_that_is_not_from_0_to_below_1_is_refused(slope):
    with pytest.raises(WeightsError, match=f"memory.*slope '{slope}'.*from 0"):
        Compact().load(Compact().state_dict(), "memory", {"slope": slope})


def test_weights_of_another_kind_are_refused():
    own = Compact().state_dict()
    wider = Compact(CompactConfig(((5,), (6,), (7, 8), (9,), (10,)))).state_dict()
    network = Compact().to(torch.bfloat16).requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for weights, problem in (
        ({}, "has 0 stages .* needed are 5"),
        ({**own, "more": torch.zeros(1)}, "has more, which is no part"),
        ({**wider, "more": torch.zeros(1)}, "has more, which is no part"),
        ({name: value for name, value in own.items() if not name.startswith("stages.4")}, "has 4 stages"),
        ({name: value[:2] if name.startswith("stages.0") else value for name, value in own.items()}, "has 2 channels"),
        (
            {**own, "stages.1.1.weight": torch.zeros(48)},
            r"needed is stages.1.1.weight.*\(48, 32, 3, 3\), it has torch.float32 of shape \(48,\)",
        ),
        ({name: value.int() for name, value in own.items()}, "floating-point .* it has torch.int32"),
        ({name: value for name, value in own.items() if name != "stages.2.1.bias"}, "stages.2.1.bias.* it has none"),
        ({name: value for name, value in own.items() if name != "stages.2.1.weight"}, "has stages.2.1.bias, which is"),
    ):
        with pytest.raises(WeightsError, match=f"memory: these are not weights of the compact network: .*{problem}"):
            network.load(weights, "memory")
        assert network.config == CompactConfig()
        torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)


def test_a_file_is_taken_as_it_is():
    torch.manual_seed(0)
    weights = {name: torch.randn_like(value) for name, value in Compact().state_dict().items()}
    network = Compact()
    network.load(weights, "memory", network.metadata)
    torch.testing.assert_close(network.state_dict(), weights, rtol=0, atol=0)


def test_a_network_of_another_shape_keeps_its_precision_and_stays_frozen():
    network = Compact().to(torch.bfloat16).requires_grad_(False)
    other = Compact(CompactConfig(((5,), (6,), (7, 8), (9,), (10,))))
    network.load(other.state_dict(), "memory", other.metadata)
    for weight in network.parameters():
        assert weight.dtype == torch.bfloat16
        assert not weight.requires_grad
