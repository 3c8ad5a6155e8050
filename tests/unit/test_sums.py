"""Sums of features over positions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from artune.backbones.sums import add_sums, empty_sums, sums_of


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 2), st.integers(1, 12), st.integers(1, 9), st.integers(1, 12), st.booleans())
def test_sums_are_those_of_the_positions(batch, channels, height, width, weighted):
    generator = torch.Generator().manual_seed(0)
    features = torch.rand((batch, channels, height, width), generator=generator, dtype=torch.float64)
    weight = torch.rand((batch, 1, height, width), generator=generator, dtype=torch.float64) if weighted else None
    found = sums_of(features, weight)
    flat, by = features.flatten(2), (torch.ones_like(features[:, :1]) if weight is None else weight).flatten(2)
    assert found.positions == height * width
    torch.testing.assert_close(found.first, (by * flat).sum(2))
    torch.testing.assert_close(found.second, (by * flat) @ flat.transpose(1, 2))


@pytest.mark.parametrize("width", [3, 40], ids=["fewer columns than channels", "more"])
def test_features_of_half_precision_are_summed_in_fp32(width, generator):
    features = torch.rand((1, 8, 64, width), generator=generator).to(torch.bfloat16)
    first, second = empty_sums(features)
    add_sums(first, second, features)
    exact = features.double().flatten(2)
    assert first.dtype == second.dtype == torch.float32
    torch.testing.assert_close(second.double(), exact @ exact.transpose(1, 2), rtol=1e-5, atol=0)
