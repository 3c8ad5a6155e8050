"""Roots and polar factors by matrix products, against eigenvalues and singular values."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from artune.networks.roots import NEAR, polar_factor, roots, scales


def with_singular_values(values, generator, *, symmetric):
    count = len(values)
    u, v = (torch.linalg.qr(torch.randn(count, count, generator=generator, dtype=torch.float64))[0] for _ in range(2))
    return ((u * values) @ (u if symmetric else v).T).float()


@pytest.mark.parametrize("least", [1e-4, 1e-2, 0.5])
def test_roots_are_those_of_the_eigenvalues(generator, least):
    values = torch.logspace(0, torch.tensor(least).log10().item(), 24, dtype=torch.float64)
    m = 7 * with_singular_values(values, generator, symmetric=True)
    root, inverse = roots(m, float(values.min() / values.norm()))
    found, vectors = torch.linalg.eigh(m.double())
    torch.testing.assert_close(root.double(), (vectors * found.sqrt()) @ vectors.T, rtol=1e-3, atol=1e-3)
    wanted = (vectors * found.rsqrt()) @ vectors.T
    assert (inverse.double() - wanted).norm() < 1e-3 * wanted.norm()


def test_roots_by_hand():
    root, inverse = roots(torch.diag(torch.tensor([4.0, 9.0])), 0.4)
    torch.testing.assert_close(root, torch.diag(torch.tensor([2.0, 3.0])), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(inverse, torch.diag(torch.tensor([1 / 2, 1 / 3])), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("least", [1e-4, 1e-2, 0.5])
def test_the_polar_factor_is_that_of_the_singular_values(generator, least):
    values = torch.logspace(0, torch.tensor(least).log10().item(), 24, dtype=torch.float64)
    m = 0.03 * with_singular_values(values, generator, symmetric=False)
    u, _, v = torch.linalg.svd(m.double())
    found = polar_factor(m, float(values.min() / values.norm()))
    torch.testing.assert_close(found.double(), u @ v, rtol=0, atol=2e-3)


def test_smaller_singular_values_are_carried_less_far_and_nowhere_else(generator):
    values = torch.tensor([1.0, 0.5, 1e-7], dtype=torch.float64)
    found = torch.linalg.svdvals(polar_factor(with_singular_values(values, generator, symmetric=False), 1e-3))
    torch.testing.assert_close(found[:2], torch.ones(2), rtol=0, atol=1e-3)
    assert 0 < found[2] < 0.1


@given(st.floats(1e-8, 0.99), st.floats(0, 1))
def test_every_value_in_the_interval_comes_to_1(least, share):
    value = least ** (1 - share)
    for scale in scales(least):
        value = (3 * scale * value - (scale * value) ** 3) / 2
        assert 0 < value <= 1 + 1e-9
    assert 1 - value < 2 * NEAR**2


def test_scaling_halves_the_iterations():
    plain, value = 0, 1e-4
    while 1 - value > NEAR:
        value, plain = (3 * value - value**3) / 2, plain + 1
    assert len(scales(1e-4)) <= 0.55 * plain
