import numpy as np
import pytest
import scipy.linalg
import torch
from torch.autograd import gradcheck

from artune.losses import moments as fn
from artune.losses.variation import total_variation


def features(generator, b=2, c=4, h=6, w=5, dtype=torch.float64):
    return torch.rand((b, c, h, w), generator=generator, dtype=dtype)


def test_moments_by_hand():
    x = torch.tensor([[[[1.0, 2.0]], [[3.0, 5.0]]]])  # two channels, two positions
    m = fn.moments(x)
    assert m.mass.tolist() == [2.0]
    assert m.first.tolist() == [[3.0, 8.0]]
    assert m.second.tolist() == [[[5.0, 13.0], [13.0, 34.0]]]


def test_moments_against_numpy(generator):
    x = features(generator)
    mean, cov = fn.mean_and_covariance(fn.moments(x))
    for i in range(2):
        rows = x[i].flatten(1).numpy()
        np.testing.assert_allclose(mean[i], rows.mean(1), rtol=1e-12)
        np.testing.assert_allclose(cov[i], np.cov(rows, bias=True), rtol=1e-10, atol=1e-12)


def test_moments_of_low_precision_are_summed_in_fp32(generator):
    x = features(generator, h=64, w=64, dtype=torch.float32).bfloat16()
    m = fn.moments(x)
    assert m.second.dtype == torch.float32
    torch.testing.assert_close(m.second, fn.moments(x.float()).second, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_of_moments_and_marginals(generator, masked):
    x = features(generator, b=2, c=3, h=3, w=2).requires_grad_()
    mask = torch.rand((1, 1, 3, 2), generator=generator) if masked else None
    assert gradcheck(lambda t: tuple(fn.moments(t, mask))[2:], (x,))
    assert gradcheck(lambda t: tuple(fn.marginals(t, mask))[1:], (x,))


def test_masked_moments_in_chunks_against_numpy(generator, monkeypatch):
    monkeypatch.setattr("artune.backbones.sums.CHUNK", 7)
    x, mask = features(generator), torch.rand((1, 1, 6, 5), generator=generator)
    got = fn.moments(x, mask)
    rows, weight = x.numpy().reshape(*x.shape[:2], -1), mask.numpy().reshape(-1).astype(np.float64)
    np.testing.assert_allclose(got.first, (rows * weight).sum(2), rtol=1e-6)
    np.testing.assert_allclose(got.second, np.einsum("bin,bjn,n->bij", rows, rows, weight), rtol=1e-6)
    np.testing.assert_allclose(got.mass, [weight.sum()] * len(x), rtol=1e-6)


def test_a_mask_of_ones_changes_nothing_and_a_half_mask_is_a_crop(generator):
    x = features(generator)
    whole, masked = fn.moments(x), fn.moments(x, torch.ones(1, 1, 6, 5))
    for a, b in zip(whole, masked, strict=True):
        torch.testing.assert_close(a, b, check_dtype=False)
    mask = torch.zeros(1, 1, 6, 5)
    mask[..., :3, :] = 1
    crop, half = fn.moments(x[:, :, :3]), fn.moments(x, mask)
    for a, b in zip(crop[1:], half[1:], strict=True):
        torch.testing.assert_close(a, b, check_dtype=False)
    assert half.positions[0].item() == 2 * crop.positions[0].item() == 30


def test_moments_of_tiles_add_up(generator):
    x = features(generator)
    left, right = fn.moments(x[..., :2]), fn.moments(x[..., 2:])
    for a, b, c in zip(left, right, fn.moments(x), strict=True):
        torch.testing.assert_close(a + b, c)


def test_mixture_is_that_of_the_joined_positions(generator):
    a, b = features(generator), features(generator)
    mixed = fn.mix([fn.moments(a), fn.moments(b)], [3.0, 3.0])
    joined = fn.moments(torch.cat([a, b], 3))
    for x, y in zip(fn.mean_and_covariance(mixed), fn.mean_and_covariance(joined), strict=True):
        torch.testing.assert_close(x, y)


def test_wasserstein_against_scipy(generator):
    a, b = features(generator, b=1), 2 * features(generator, b=1)
    got = fn.wasserstein(fn.moments(a), fn.gaussian(fn.moments(b))).item()
    (ma, ca), (mb, cb) = (fn.mean_and_covariance(fn.moments(x)) for x in (a, b))
    ca, cb = (fn.add_ridge(m, c)[0].numpy() for m, c in ((ma, ca), (mb, cb)))
    root = scipy.linalg.sqrtm(cb)
    cross = scipy.linalg.sqrtm(root @ ca @ root)
    want = (ma - mb).square().sum().item() + np.trace(ca + cb - 2 * np.real(cross))
    assert got == pytest.approx(want, rel=1e-6)


def test_wasserstein_of_two_scalars_by_hand():
    a = torch.tensor([[[[0.0, 2.0]]]], dtype=torch.float64)  # mean 1, deviation 1
    b = torch.tensor([[[[3.0, 9.0]]]], dtype=torch.float64)  # mean 6, deviation 3
    got = fn.wasserstein(fn.moments(a), fn.gaussian(fn.moments(b))).item()
    assert got == pytest.approx(5**2 + 2**2, rel=1e-3)  # the ridge moves it a little


def test_wasserstein_gradient(generator):
    target = fn.gaussian(fn.moments(features(generator, b=1, c=3)))
    x = features(generator, b=1, c=3, h=4, w=4).requires_grad_()
    assert gradcheck(lambda t: fn.wasserstein(fn.moments(t), target), (x,))


def test_wasserstein_of_fewer_positions_than_channels_has_a_finite_gradient(generator):
    x = torch.rand((1, 16, 2, 2), generator=generator).requires_grad_()
    target = fn.gaussian(fn.moments(torch.rand((1, 16, 2, 2), generator=generator)))
    fn.wasserstein(fn.moments(x), target).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_wasserstein_gradient_with_equal_eigenvalues_is_finite():
    x = torch.zeros(1, 4, 3, 3, requires_grad=True)
    target = fn.gaussian(fn.moments(torch.zeros(1, 4, 3, 3)))
    fn.wasserstein(fn.moments(x), target).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_wasserstein_gradient_where_the_mean_decides(generator):
    """A large common mean: the parts of the gradient through mean, covariance and ridge must fit together."""
    target = fn.gaussian(fn.moments(features(generator, b=2, c=3)))
    x = (5 + features(generator, b=2, c=3, h=3, w=4)).requires_grad_()
    assert gradcheck(lambda t: fn.wasserstein(fn.moments(t), target), (x,))


def test_gram_distance_is_the_frobenius_norm(generator):
    a, b = (fn.moments(features(generator)) for _ in range(2))
    want = torch.linalg.matrix_norm(fn.gram(a) - fn.gram(b))
    torch.testing.assert_close(fn.gram_distance(a, fn.gram(b)), want)


def test_total_variation_by_hand():
    x = torch.tensor([[[[0.0, 1.0], [3.0, 1.0]]]])
    total, count = total_variation(x)
    assert total.item() == 1 + 4 + 9 + 0
    assert count.item() == 4
    mask = torch.tensor([[[[1.0, 1.0], [0.0, 1.0]]]])
    total, count = total_variation(x, mask)
    assert (total.item(), count.item()) == (1.0, 2.0)


def test_total_variation_gradient(generator):
    x = torch.rand((2, 3, 5, 4), generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: total_variation(x)[0], (x,))


def test_total_variation_weighs_colour(generator):
    x = torch.rand((1, 3, 6, 5), generator=generator, dtype=torch.float64)
    brightness = x.mean(1, keepdim=True).expand_as(x)
    parts = [total_variation(part)[0].item() for part in (brightness, x - brightness)]
    for chroma in (1.0, 8.0):
        assert total_variation(x, chroma=chroma)[0].item() == pytest.approx(parts[0] + chroma * parts[1])
