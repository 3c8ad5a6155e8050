import pytest
import torch
from torch.nn import functional as F

from artune.assets import fetch
from artune.backbones.compact import GAIN, Compact, CompactConfig
from artune.backbones.registry import COMPACT, load_network
from artune.errors import WeightsError


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
    network.load(wider.state_dict(), "memory")
    assert network.config.slope == 0, "a file that names no slope is of a ReLU"


@pytest.mark.parametrize("slope", ["x", "-0.5", "1", "nan"])
def test_a_slope_that_is_none_is_refused(slope):
    with pytest.raises(WeightsError, match=f"memory.*slope '{slope}'.*from 0"):
        Compact().load(Compact().state_dict(), "memory", {"slope": slope})


def test_weights_of_another_kind_are_refused():
    own = Compact().state_dict()
    for weights in (
        {},
        {**own, "more": torch.zeros(1)},
        {name: value for name, value in own.items() if not name.startswith("stages.4")},
        {name: value[:2] if name.startswith("stages.0") else value for name, value in own.items()},
        {**own, "stages.1.0.weight": torch.zeros(32)},
    ):
        network = Compact()
        with pytest.raises(WeightsError, match="not weights of the compact network"):
            network.load(weights, "memory")
