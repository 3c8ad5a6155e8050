import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from artune.backbones.smoothed import OTHERS, Smoothed, smooth
from tests.tiny import Tiny


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_against_the_papers_formula(generator, temperature):
    x = 3 * torch.randn((2, 4, 5, 6), generator=generator)
    for one, got in zip(x.double().numpy() / temperature, smooth(x, temperature).numpy(), strict=True):
        softmax = np.exp(one) / np.exp(one).sum()
        np.testing.assert_allclose((got / temperature + 1) / one.size, softmax, rtol=1e-4, atol=1e-8)


@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.floats(0, 50))
def test_the_mean_is_zero_whatever_the_level(channels, height, width, scale):
    x = scale * torch.randn((1, channels, height, width), generator=torch.Generator().manual_seed(0))
    assert smooth(x).mean().item() == pytest.approx(0, abs=1e-4)
    torch.testing.assert_close(smooth(x + 7), smooth(x), rtol=1e-3, atol=1e-4)


def test_a_repeated_picture_keeps_its_values(generator):
    x = torch.randn((1, 3, 4, 5), generator=generator)
    torch.testing.assert_close(smooth(x.repeat(1, 1, 2, 3)), smooth(x).repeat(1, 1, 2, 3))


def test_it_is_the_features_less_their_mean_where_it_is_hot(generator):
    x = torch.randn((1, 3, 4, 5), generator=generator)
    torch.testing.assert_close(smooth(x, 1e4), x - x.mean(), atol=1e-2, rtol=1e-2)


def test_large_values_do_not_overflow():
    x = torch.tensor([[[[1e4, 0.0]]]], dtype=torch.bfloat16)
    assert smooth(x).tolist() == [[[[1.0, -1.0]]]]
    assert smooth(x).dtype == torch.float32


def test_all_taps_but_the_picture_are_smoothed(generator):
    image = torch.rand((1, 3, 4, 4), generator=generator).requires_grad_()
    inner = Tiny()
    network = Smoothed(inner)
    features = network(image, ["image", "half"])
    assert features["image"] is image
    torch.testing.assert_close(features["half"], smooth(inner(image, ["half"])["half"], OTHERS))
    features["half"].square().sum().backward()
    assert image.grad.abs().sum() > 0
    assert (network.taps, network.smallest, network.local, inner.local) == (inner.taps, 2, False, True)
