"""The painter: its roots and transports by known answers, and what it makes of pictures."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from artune.backbones.compact import Compact
from artune.networks.painter import (
    FLOOR,
    TAPS,
    Painter,
    PainterConfig,
    Statistics,
    matrix_roots,
    statistics,
    transport,
)


def covariance(generator: torch.Generator, channels: int, spread: float = 1.0) -> Tensor:
    """A covariance whose eigenvalues go from ``10 ** -spread`` to 1."""
    vectors, _ = torch.linalg.qr(torch.randn((1, channels, channels), generator=generator))
    values = torch.logspace(-spread, 0, channels)
    return (vectors * values) @ vectors.transpose(1, 2)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return Compact().eval().requires_grad_(False)


@pytest.mark.parametrize("spread", [0.0, 2.0, 4.0])
def test_roots_are_those_of_the_eigenvalues(generator, spread):
    m = covariance(generator, 24, spread)
    root, inverse = matrix_roots(m)
    values, vectors = torch.linalg.eigh(m.double())
    expected = (vectors * values.sqrt().unsqueeze(1)) @ vectors.transpose(1, 2)
    torch.testing.assert_close(root.double(), expected, rtol=1e-3, atol=1e-4)
    identity = torch.eye(24)[None]
    torch.testing.assert_close(inverse @ m @ inverse, identity, rtol=0, atol=0.02)


def test_transport_carries_one_covariance_to_the_other_and_is_symmetric(generator):
    one, other = (Statistics(torch.zeros(1, 16), covariance(generator, 16, 2.0)) for _ in range(2))
    matrix = transport(one, other)
    torch.testing.assert_close(matrix @ one.cov @ matrix.transpose(1, 2), other.cov, rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(matrix, matrix.transpose(1, 2), rtol=1e-3, atol=1e-3)


def test_transport_to_itself_moves_nothing(generator):
    one = Statistics(torch.zeros(1, 16), covariance(generator, 16, 2.0))
    torch.testing.assert_close(transport(one, one), torch.eye(16)[None], rtol=0, atol=1e-2)


def test_statistics_by_hand():
    features = torch.tensor([[[[1.0, 3.0]], [[0.0, 4.0]]]])
    found = statistics(features, 0.5, torch.tensor(2.0))
    assert found.mean.tolist() == [[2, 2]]
    level = 0.5 * ((1 + 4) / 2 + FLOOR * 4)
    torch.testing.assert_close(found.cov, torch.tensor([[[1 + level, 2], [2, 4 + level]]]))


def test_it_begins_with_the_photograph_in_the_paintings_colours(encoder, generator):
    photograph, painting = (
        torch.rand((2, 3, 40, 48), generator=generator),
        torch.rand((2, 3, 32, 32), generator=generator),
    )
    painter = Painter(encoder)
    found = painter(photograph, 0.3 * painting, torch.zeros(2), generator)
    assert found.shape == photograph.shape
    means = (0.3 * painting).mean((2, 3))
    torch.testing.assert_close(found.mean((2, 3)), means, rtol=0.02, atol=0.02)


def test_no_strength_is_the_photograph(encoder, generator):
    photograph, painting = (torch.rand((1, 3, 32, 32), generator=generator) for _ in range(2))
    painter = Painter(encoder)
    torch.nn.init.normal_(painter.last.weight)
    nearly = painter(photograph, painting, torch.tensor([-20.0]), generator)
    torch.testing.assert_close(nearly, photograph, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "config", [PainterConfig(), PainterConfig(whitening=False), PainterConfig(neighbours=False, noise=False)]
)
def test_a_batch_is_painted_as_its_pictures_are(encoder, generator, config):
    photographs, paintings = (torch.rand((2, 3, 33, 47), generator=generator) for _ in range(2))
    torch.manual_seed(1)
    painter = Painter(encoder, replace(config, noise=False))
    torch.nn.init.normal_(painter.last.weight)
    odds = torch.tensor([-1.0, 2.0])
    both = painter(photographs, paintings, odds)
    for i in range(2):
        alone = painter(photographs[i : i + 1], paintings[i : i + 1], odds[i : i + 1])
        torch.testing.assert_close(both[i : i + 1], alone, rtol=1e-3, atol=1e-3)


def test_the_same_seed_is_the_same_picture(encoder, generator):
    photograph, painting = (torch.rand((1, 3, 32, 32), generator=generator) for _ in range(2))
    torch.manual_seed(1)
    painter = Painter(encoder)
    torch.nn.init.normal_(painter.last.weight)
    made = [painter(photograph, painting, torch.zeros(1), torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_everything_that_is_trained_gets_a_gradient_and_the_encoder_none(encoder, generator):
    photograph, painting = (torch.rand((1, 3, 32, 32), generator=generator) for _ in range(2))
    painter = Painter(encoder)
    for parameter in painter.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.05)
    painter(photograph, painting, torch.ones(1), generator).square().sum().backward()
    for name, parameter in painter.named_parameters():
        assert (parameter.grad is None) == name.startswith("encoder"), name
    assert {*TAPS} <= {*encoder.taps}
