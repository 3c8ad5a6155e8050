"""The linear maps of universal style transfer: what they carry over, against formulas, and in hard cases."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from artune.losses.moments import gaussian, mean_and_covariance, moments
from artune.networks.transforms import TRANSFORMS, FeatureMap, channel_statistics, mixed, transport, whitening_colouring

SEEDS = st.integers(0, 2**32 - 1)


def features(seed, channels=5, side=16):
    """Correlated features with means far from 0, in fp64; no direction has a small variance, where a ridge counts."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.linalg.qr(torch.randn(channels, channels, generator=generator, dtype=torch.float64)).Q
    mixing = directions * torch.linspace(0.5, 2, channels, dtype=torch.float64)
    plain = torch.randn(1, channels, side * side, generator=generator, dtype=torch.float64)
    offset = 3 * torch.randn(channels, 1, generator=generator, dtype=torch.float64)
    return (mixing @ plain + offset).view(1, channels, side, side)


def statistics(x):
    return mean_and_covariance(moments(x))


def map_of(transform, content, style):
    return TRANSFORMS[transform](gaussian(moments(content)), gaussian(moments(style)))


@settings(max_examples=15)
@given(SEEDS, SEEDS)
@pytest.mark.parametrize("name", ["wct", "transport"])
def test_mean_and_covariance_are_the_painting_s(name, one, other):
    content, style = features(one), features(other, side=13)
    found, wanted = statistics(map_of(name, content, style).of(content)), statistics(style)
    torch.testing.assert_close(found[0], wanted[0], rtol=1e-6, atol=1e-6)
    level = float(wanted[1].diagonal(dim1=1, dim2=2).mean())
    torch.testing.assert_close(found[1], wanted[1], rtol=0, atol=5e-3 * level)  # ridges


@settings(max_examples=15)
@given(SEEDS, SEEDS)
def test_of_channels_alone_mean_and_deviation_are(one, other):
    content, style = features(one), features(other)
    made = map_of("adain", content, style)
    found, wanted = statistics(made.of(content)), statistics(style)
    torch.testing.assert_close(found[0], wanted[0])
    ours, theirs = (cov.diagonal(dim1=1, dim2=2) for cov in (found[1], wanted[1]))
    torch.testing.assert_close(ours, theirs, rtol=5e-3, atol=0)
    assert torch.equal(made.matrix, torch.diag_embed(made.matrix.diagonal(dim1=1, dim2=2)))


@settings(max_examples=15)
@given(SEEDS, SEEDS)
def test_the_transport_moves_features_least(one, other):
    content, style = features(one), features(other)
    both = [map_of(name, content, style) for name in ("transport", "wct")]
    moved = [float((each.of(content) - content).square().mean()) for each in both]
    assert moved[0] <= moved[1] + 1e-9
    matrix = both[0].matrix
    torch.testing.assert_close(matrix, matrix.transpose(1, 2))
    assert float(torch.linalg.eigvalsh(matrix).min()) > 0


@settings(max_examples=15)
@given(SEEDS)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_features_with_the_painting_s_statistics_stay(name, seed):
    content = features(seed)
    torch.testing.assert_close(map_of(name, content, content.flip(2)).of(content), content, rtol=1e-6, atol=1e-6)


def test_whitening_and_colouring_as_published(rng):
    """By singular values in NumPy, those below 1e-5 dropped, sums over positions divided by their number."""
    content, style = features(1), features(2)
    made = map_of("wct", content, style).of(content)[0].flatten(1).numpy()
    fc, fs = (x[0].flatten(1).numpy() for x in (content, style))
    mc, ms = (f.mean(1, keepdims=True) for f in (fc, fs))

    def powered(f, exponent):
        vectors, values, _ = np.linalg.svd(f @ f.T / f.shape[1])
        kept = values > 1e-5
        return (vectors[:, kept] * values[kept] ** exponent) @ vectors[:, kept].T

    wanted = powered(fs - ms, 0.5) @ powered(fc - mc, -0.5) @ (fc - mc) + ms
    assert np.abs(made - wanted).max() < 5e-3 * wanted.std()  # ridges


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("hard", ["few", "flat", "dead", "one", "both"])
def test_singular_covariances(name, hard):
    content, style = features(3, channels=32), features(4, channels=32, side=3)
    if hard == "few":  # fewer positions than channels
        content = content[..., :2, :3]
    if hard in ("flat", "both"):
        content = torch.full_like(content, 7.0)
    if hard in ("dead", "both"):  # channels that never fire
        content[:, ::2] = style[:, 1::3] = 0
    if hard == "one":
        content, style = content[..., :1, :1], style[..., :1, :1]
    made = map_of(name, content, style)
    found = made.of(content.float())
    assert found.isfinite().all()
    assert float(found.abs().max()) < 10 * float(style.abs().max() + content.abs().max())
    torch.testing.assert_close(found.mean((2, 3)).double(), style.mean((2, 3)), rtol=1e-2, atol=1e-2)


def test_strength_and_mixtures_are_those_of_the_mapped_features():
    content = features(5)
    one, other = (map_of("wct", content, features(seed)) for seed in (6, 7))
    torch.testing.assert_close(one.at(0.0).of(content), content)
    torch.testing.assert_close(one.at(1.0).of(content), one.of(content))
    torch.testing.assert_close(one.at(0.3).of(content), 0.3 * one.of(content) + 0.7 * content)
    both = mixed([one, other], [0.25, 0.75])
    torch.testing.assert_close(both.of(content), 0.25 * one.of(content) + 0.75 * other.of(content))


def test_a_map_by_hand():
    matrix = torch.tensor([[[0.0, 2.0], [1.0, 0.0]]])
    found = FeatureMap(matrix, torch.tensor([[1.0, 0.0]])).of(torch.tensor([3.0, 5.0]).view(1, 2, 1, 1))
    assert found.flatten().tolist() == [11.0, 3.0]


def test_names():
    assert {*TRANSFORMS.values()} == {whitening_colouring, channel_statistics, transport}
