"""Johnson's network: its shape beside the paper's, sizes, borders, and what it does with flat pictures."""

import pytest
import torch
from torch import nn

from artune.networks.johnson import SMALLEST, SWING, Johnson, JohnsonConfig


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Johnson(JohnsonConfig((4, 6, 8), blocks=2)).eval()


def test_the_full_width_has_the_authors_layers():
    """c9s1-32, d64, d128, five of R128, u64, u32, c9s1-3."""
    found = [
        (m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0])
        for m in Johnson(JohnsonConfig.of("full")).modules()
        if isinstance(m, nn.Conv2d)
    ]
    ends = [(3, 32, 9, 1), (32, 64, 3, 2), (64, 128, 3, 2)], [(128, 64, 3, 1), (64, 32, 3, 1), (32, 3, 9, 1)]
    assert found == [*ends[0], *[(128, 128, 3, 1)] * 10, *ends[1]]
    slim = [m.out_channels for m in Johnson(JohnsonConfig.of("slim")).modules() if isinstance(m, nn.Conv2d)]
    assert slim == [16, 32, *[64] * 11, 32, 16, 3]


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (18, 40), (33, 23)])
def test_a_picture_keeps_its_size_and_its_range(network, size, generator):
    image = torch.rand((2, 3, *size), generator=generator)
    with torch.no_grad():
        made = network(image)
    assert made.shape == image.shape
    assert made.min() >= 0
    assert made.max() <= 1
    assert min(size) >= SMALLEST


def test_the_output_swings_around_grey_as_in_the_authors_code(generator):
    network = Johnson(JohnsonConfig((2, 2, 2), blocks=0))
    with torch.no_grad():
        network.last.weight.zero_()
        network.last.bias.copy_(torch.tensor([0.0, 100.0, -100.0]))
        image = torch.rand((1, 3, 16, 16), generator=generator)
        found = network.unclamped(image)[0, :, 0, 0]
        assert found.tolist() == pytest.approx([0.5, 0.5 + SWING, 0.5 - SWING])
        assert network(image)[0, :, 0, 0].tolist() == [0.5, 1.0, 0.0]


def test_a_larger_picture_of_odd_sides_is_the_same_but_for_its_border_and_its_statistics(network, generator):
    """Cropping what the enlargements added leaves every pixel at its place."""
    plain = Johnson(network.config).eval()
    plain.load_state_dict(network.state_dict())
    for module in plain.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.InstanceNorm2d):
                setattr(module, name, nn.Identity())
    image = torch.rand((1, 3, 64, 64), generator=generator)
    with torch.no_grad():
        whole, part = plain(image), plain(image[..., :61, :63])
    torch.testing.assert_close(part[..., :30, :30], whole[..., :30, :30])


def test_a_pictures_contrast_and_level_do_not_matter_to_instance_norm(network, generator):
    image = 0.4 + 0.5 * torch.rand((1, 3, 32, 32), generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(network(image - 0.3), network(image), atol=1e-4, rtol=0)


def test_a_flat_picture_with_a_little_noise_stays_calm(network, generator):
    """Instance norm must not turn a thousandth of noise into contrast."""
    noise = 5e-4 * torch.randn((1, 3, 32, 32), generator=generator)
    strong = torch.rand((1, 3, 32, 32), generator=generator)
    with torch.no_grad():
        calm, lively = network.down[0](0.5 + noise).std(), network.down[0](strong).std()
    assert calm < 0.1 * lively


def test_a_batch_is_its_pictures_one_by_one(network, generator):
    images = torch.rand((3, 3, 20, 24), generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(network(images), torch.cat([network(each[None]) for each in images]))
