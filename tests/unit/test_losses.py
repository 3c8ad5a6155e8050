"""The formulas on positions and neighbours, against loops and other libraries."""

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.exposure import match_histograms
from torch.autograd import gradcheck

from artune.losses import moments as fn
from artune.losses.neighbours import closest, markov, nearest, relaxed_emd, self_similarity
from artune.losses.positions import MaskedFeatures, allot, available, draw, inside, patches, rows
from artune.losses.transport import histogram, orthonormal, quantiles, sliced, transport
from artune.losses.variation import total_variation

SIZES = [(7, 7), (9, 5), (4, 11)]


def cloud(generator, n, c=3, b=1):
    return torch.randn((b, n, c), generator=generator, dtype=torch.float64)


def cosine_distances(a, b):
    """By loops; ``[n, m]``."""
    return np.array([[1 - x @ y / np.sqrt((x @ x) * (y @ y)) for y in b] for x in a])


@pytest.fixture
def seeded():
    return lambda seed: torch.Generator().manual_seed(seed)


# positions


def test_every_position_is_drawn_once_where_they_are_few(generator):
    part = MaskedFeatures(torch.zeros(2, 3, 5, 4))
    assert draw(part, 20, generator).tolist() == [list(range(20))]
    assert draw(part, 99, generator).tolist() == [list(range(20))]


@given(st.integers(0, 2**31), st.integers(1, 30), st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=12, max_size=12))
@settings(deadline=None, max_examples=50, derandomize=True)
def test_no_position_without_mask_is_drawn(seed, limit, values):
    mask = torch.tensor(values).view(1, 1, 3, 4)
    if not mask.any():
        return
    part = MaskedFeatures(torch.zeros(1, 1, 3, 4), mask)
    index = draw(part, limit, torch.Generator().manual_seed(seed))
    assert index.shape == (1, min(limit, available(part)))
    assert (mask.flatten()[index] > 0).all()


def test_positions_are_drawn_in_proportion_to_the_mask(generator):
    mask = torch.tensor([0.1, 0.2, 0.7, 1.0]).repeat_interleave(25).view(1, 1, 10, 10)
    part = MaskedFeatures(torch.zeros(1, 1, 10, 10), mask)
    drawn = torch.cat([draw(part, 40, generator) for _ in range(50)]).flatten()
    counts = torch.bincount(drawn // 25, minlength=4) / 2000
    torch.testing.assert_close(counts, torch.tensor([0.05, 0.1, 0.35, 0.5]), atol=0.01, rtol=0)


def test_a_sample_is_spread_over_the_picture(generator):
    index = draw(MaskedFeatures(torch.zeros(1, 1, 100, 10)), 10, generator)
    assert (index[0] // 100).tolist() == list(range(10))


def test_masks_of_a_batch_are_drawn_from_apart(generator):
    mask = torch.zeros(2, 1, 2, 2)
    mask[0, 0, 0], mask[1, 0, 1] = 1, 1
    assert draw(MaskedFeatures(torch.zeros(2, 1, 2, 2), mask), 9, generator).tolist() == [[0, 1], [2, 3]]


def test_rows_are_the_features_at_their_positions(generator):
    features = torch.rand((2, 3, 4, 5), generator=generator)
    index = torch.tensor([[7, 0, 19]])
    want = torch.stack([features[:, :, 1, 2], features[:, :, 0, 0], features[:, :, 3, 4]], 1)
    assert torch.equal(rows(features, index), want)
    assert torch.equal(rows(features.to(memory_format=torch.channels_last), index), want)
    assert rows(features.bfloat16(), index).dtype == torch.float32


def test_patches_are_the_nine_around_each_position():
    features = torch.arange(20.0).view(1, 1, 4, 5)
    got = patches(features, torch.tensor([[6, 0]]))
    assert got[0, 0].tolist() == [0, 1, 2, 5, 6, 7, 10, 11, 12]
    assert got[0, 1].tolist() == [0, 0, 1, 0, 0, 1, 5, 5, 6]  # at the corner the border is repeated


def test_patches_lie_inside_the_mask_where_any_do():
    mask = torch.zeros(1, 1, 6, 6)
    mask[..., :4, :3] = torch.tensor([0.5, 1.0, 1.0])
    within = inside(MaskedFeatures(torch.zeros(1, 1, 6, 6), mask)).mask
    assert within.nonzero()[:, 2:].tolist() == [[1, 1], [2, 1]]
    assert within.max() == 0.5
    assert inside(MaskedFeatures(torch.zeros(1, 1, 6, 6))).mask.sum() == 16
    thin = torch.zeros(1, 1, 6, 6)
    thin[..., 2, 2] = 1
    assert torch.equal(inside(MaskedFeatures(torch.zeros(1, 1, 6, 6), thin)).mask, thin)


def test_samples_of_several_pictures_follow_their_shares():
    small, large = torch.zeros(1, 1, 4, 5), torch.zeros(1, 1, 8, 10)
    assert allot([MaskedFeatures(small, None, 3.0), MaskedFeatures(large, None, 1.0)], 40) == [30, 10]
    assert allot([MaskedFeatures(small, None, 1.0), MaskedFeatures(large, None, 1.0)], 1000) == [50, 50]
    assert allot([MaskedFeatures(small, None, 1.0), MaskedFeatures(large, None, 0.0)], 1000) == [20, 0]


# transport


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_transport_against_quantiles_of_numpy(generator, n, m):
    a, b = cloud(generator, n), cloud(generator, m)
    got = transport(quantiles(a), quantiles(b))
    levels = (np.arange(n) + 0.5) / n
    for channel in range(3):
        ours, theirs = (np.quantile(x[0, :, channel], levels, method="hazen") for x in (a, b))
        assert got[0, channel].item() == pytest.approx(np.mean((ours - theirs) ** 2), rel=1e-10)


def test_transport_in_one_dimension_is_the_best_of_all_matchings(generator):
    a, b = cloud(generator, 6, c=1), cloud(generator, 6, c=1)
    cost = (a[0] - b[0].T).square().numpy()
    row, column = scipy.optimize.linear_sum_assignment(cost)
    assert transport(quantiles(a), quantiles(b)).item() == pytest.approx(cost[row, column].mean())


def test_absolute_transport_agrees_with_scipy_where_one_is_above_the_other(generator):
    """Where all of b is above a by the same, the mean of |F - G| squared is its square."""
    a = cloud(generator, 30, c=1)
    first = scipy.stats.wasserstein_distance(a[0, :, 0], a[0, :, 0] + 2)
    assert transport(quantiles(a), quantiles(a + 2)).item() == pytest.approx(first**2)


def test_histogram_against_scikit_image(generator):
    a, b = cloud(generator, 64), cloud(generator, 64)
    want = 0.0
    for channel in range(3):
        x, y = a[0, :, channel].numpy(), b[0, :, channel].numpy()
        want += np.mean((x - match_histograms(x, y)) ** 2)
    assert histogram(a, quantiles(b)).item() == pytest.approx(want, rel=1e-10)


def test_histogram_gradient_takes_the_match_as_constant(generator):
    a = cloud(generator, 8).requires_grad_()
    b = cloud(generator, 8)
    histogram(a, quantiles(b)).sum().backward()
    x = a.detach().numpy()[0]
    matched = np.stack([np.sort(b[0, :, c].numpy())[np.argsort(np.argsort(x[:, c]))] for c in range(3)], 1)
    np.testing.assert_allclose(a.grad[0], 2 * (x - matched) / 8)


def test_sliced_against_projections_by_hand(generator):
    a, b = cloud(generator, 9, c=4), cloud(generator, 9, c=4)
    directions = orthonormal(4, 2, generator).double()
    want = 0.0
    for k in range(2):
        ours, theirs = (np.sort([x @ directions[:, k].numpy() for x in y[0].numpy()]) for y in (a, b))
        want += np.mean((ours - theirs) ** 2) / 2
    assert sliced(a, b, directions).item() == pytest.approx(4 * want)


def test_sliced_distance_of_a_moved_cloud_is_the_way_squared(generator):
    a = cloud(generator, 20, c=4)
    way = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    got = sliced(a, a + way, orthonormal(4, 4, generator).double())
    assert got.item() == pytest.approx(way.square().sum().item())


def test_directions_are_orthonormal_and_seeded(seeded):
    directions = orthonormal(6, 4, seeded(1))
    torch.testing.assert_close(directions.T @ directions, torch.eye(4))
    assert torch.equal(directions, orthonormal(6, 4, seeded(1)))
    assert not torch.equal(directions, orthonormal(6, 4, seeded(2)))


# neighbours


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_nearest_against_loops(generator, n, m):
    a, b = cloud(generator, n), cloud(generator, m)
    mean = b[0].numpy().mean(0)
    want = cosine_distances(a[0].numpy() - mean, b[0].numpy() - mean).min(1).mean()
    assert nearest(a, b).item() == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_relaxed_emd_against_loops(generator, n, m):
    a, b = cloud(generator, n), cloud(generator, m)
    cost = cosine_distances(a[0].numpy(), b[0].numpy())
    want = max(cost.min(1).mean(), cost.min(0).mean())
    assert relaxed_emd(a, b).item() == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_markov_against_loops(generator, n, m):
    a, b = cloud(generator, n, c=18), cloud(generator, m, c=18)
    want = 0.0
    for x in a[0].numpy():
        correlations = [x @ y / (np.linalg.norm(x) * np.linalg.norm(y)) for y in b[0].numpy()]
        want += np.sum((x - b[0, int(np.argmax(correlations))].numpy()) ** 2) / 9 / n
    assert markov(a, b).item() == pytest.approx(want, rel=1e-10)


def test_self_similarity_against_loops(generator):
    a, b = cloud(generator, 6), cloud(generator, 6)
    shares = []
    for x in (a, b):
        apart = cosine_distances(x[0].numpy(), x[0].numpy())
        shares.append(np.array([[apart[i, j] / apart[:, j].sum() for j in range(6)] for i in range(6)]))
    want = np.abs(shares[0] - shares[1]).mean() * 6
    assert self_similarity(a, b).item() == pytest.approx(want, rel=1e-3)  # a floor under the sums


def test_closest_is_found_in_pieces(generator, monkeypatch):
    a, b = cloud(generator, 50, b=2), cloud(generator, 20)
    want = (a @ b.transpose(1, 2)).argmax(2)
    monkeypatch.setattr("artune.losses.neighbours.CHUNK", 7)
    assert torch.equal(closest(a, b), want)


FORMULAS = {
    "histogram": lambda a, b: histogram(a, quantiles(b)),
    "sliced": lambda a, b: sliced(a, b, orthonormal(a.shape[2], 3, torch.Generator().manual_seed(5)).to(a)),
    "nearest": nearest,
    "relaxed_emd": relaxed_emd,
    "markov": markov,
    "self_similarity": self_similarity,
}
PAIRED = {"self_similarity"}  # whose rows belong together
COSINES = {"nearest", "relaxed_emd", "self_similarity"}


@pytest.mark.parametrize("name", FORMULAS)
def test_gradients(name, generator):
    """By differences; matches and ranks are constant in a neighbourhood, so that constant matches change nothing."""
    a, b = cloud(generator, 6, c=9, b=2).requires_grad_(), cloud(generator, 6, c=9)
    assert gradcheck(lambda x: FORMULAS[name](x, b), (a,), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", FORMULAS)
@given(seed=st.integers(0, 2**31), n=st.integers(2, 20), scale=st.floats(0.1, 10))
@settings(deadline=None, max_examples=20, derandomize=True)
def test_properties(name, seed, n, scale):
    generator = torch.Generator().manual_seed(seed)
    a, b = cloud(generator, n, c=9), cloud(generator, n, c=9)
    formula = FORMULAS[name]
    there = formula(a, b)
    assert formula(a, a).item() == pytest.approx(0, abs=1e-5)
    assert there.item() >= -1e-9
    torch.testing.assert_close(formula(torch.cat([a, b]), b), torch.cat([there, formula(b, b)]), rtol=1e-6, atol=1e-9)
    power = 0 if name in COSINES else 2
    torch.testing.assert_close(formula(scale * a, scale * b), scale**power * there, rtol=1e-5, atol=1e-5)
    order = torch.randperm(n, generator=generator)
    if name in PAIRED:
        torch.testing.assert_close(formula(a[:, order], b[:, order]), there)
    else:
        torch.testing.assert_close(formula(a[:, order], b), there)
        torch.testing.assert_close(formula(a, b[:, order]), there)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("value", [0.0, 0.5])
@pytest.mark.parametrize("n", [1, 5])
def test_gradients_of_the_flat_and_the_same_are_finite(name, value, n, generator):
    flat = torch.full((1, n, 9), value)
    rich = torch.rand((1, n, 9), generator=generator)
    for ours, target in ((flat, flat), (flat, rich), (rich, flat), (rich, rich)):
        x = ours.clone().requires_grad_()
        distance = FORMULAS[name](x, target)
        distance.sum().backward()
        assert distance.isfinite().all()
        assert x.grad.isfinite().all()


# means and deviations


def test_deviations_by_hand():
    a = torch.tensor([[[[0.0, 2.0]]]])  # mean 1, deviation 1
    b = torch.tensor([[[[3.0, 9.0]]]])  # mean 6, deviation 3
    distance = fn.deviation_distance(fn.marginals(a), fn.mean_and_deviation(fn.marginals(b)))
    assert distance.item() == pytest.approx(5**2 + 2**2)


def test_deviations_against_numpy(generator):
    a, b = (torch.rand((1, 4, 5, 6), generator=generator, dtype=torch.float64) for _ in range(2))
    mask = torch.rand((1, 1, 5, 6), generator=generator, dtype=torch.float64)
    x, y, w = a[0].flatten(1).numpy(), b[0].flatten(1).numpy(), mask.flatten().numpy()
    mean = np.average(x, 1, w)
    deviation = np.sqrt(np.average((x - mean[:, None]) ** 2, 1, w))
    want = np.sum((mean - y.mean(1)) ** 2) + np.sum((deviation - y.std(1)) ** 2)
    got = fn.deviation_distance(fn.marginals(a, mask), fn.mean_and_deviation(fn.marginals(b)))
    assert got.item() == pytest.approx(want, rel=1e-9)


def test_marginals_are_part_of_the_moments_and_of_tiles_add_up(generator):
    x = torch.rand((2, 4, 6, 5), generator=generator, dtype=torch.float64)
    whole, moments = fn.marginals(x), fn.moments(x)
    torch.testing.assert_close(whole.second, moments.second.diagonal(dim1=1, dim2=2))
    torch.testing.assert_close(fn.energy(whole), fn.energy(moments))
    for a, b, c in zip(fn.marginals(x[..., :2]), fn.marginals(x[..., 2:]), whole, strict=True):
        torch.testing.assert_close(a + b, c)


def test_marginals_of_a_mixture_are_those_of_the_joined_positions(generator):
    a, b = (torch.rand((1, 4, 6, 5), generator=generator, dtype=torch.float64) for _ in range(2))
    mixed = fn.mix([fn.marginals(a), fn.marginals(b)], [2.0, 2.0])
    joined = fn.marginals(torch.cat([a, b], 3))
    for x, y in zip(fn.mean_and_deviation(mixed), fn.mean_and_deviation(joined), strict=True):
        torch.testing.assert_close(x, y)


def test_deviations_gradient(generator):
    target = fn.mean_and_deviation(fn.marginals(torch.rand((1, 3, 4, 4), generator=generator, dtype=torch.float64)))
    x = torch.rand((2, 3, 4, 3), generator=generator, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: fn.deviation_distance(fn.marginals(x), target), (x,))


# variation


def pairs_of(kind):
    return [(0, 1), (1, 0)] + [(1, 1), (1, -1)] * (kind == "nine-point")


@pytest.mark.parametrize("kind", ["l2", "l1", "nine-point"])
@pytest.mark.parametrize("masked", [False, True])
def test_variation_against_loops(kind, masked, generator):
    x = torch.rand((1, 2, 4, 5), generator=generator, dtype=torch.float64)
    mask = torch.rand((1, 1, 4, 5), generator=generator, dtype=torch.float64) if masked else torch.ones(1, 1, 4, 5)
    want = number = 0.0
    for i in range(4):
        for j in range(5):
            for down, right in pairs_of(kind):
                k, m = i + down, j + right
                if not (k < 4 and 0 <= m < 5):
                    continue
                weight = (0.25 if down and right else 1.0) * mask[0, 0, i, j] * mask[0, 0, k, m]
                apart = x[0, :, i, j] - x[0, :, k, m]
                want += weight * (apart.abs() if kind == "l1" else apart**2).sum()
                number += weight
    total, count = total_variation(x, mask if masked else None, kind=kind)
    assert total.item() == pytest.approx(want.item())
    assert count.item() == pytest.approx(float(number))


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("kind", ["l2", "l1", "nine-point"])
def test_variation_gradient(kind, masked, generator):
    x = torch.rand((2, 3, 5, 4), generator=generator, dtype=torch.float64, requires_grad=True)
    mask = torch.rand((1, 1, 5, 4), generator=generator, dtype=torch.float64) if masked else None
    assert gradcheck(lambda x: total_variation(x, mask, kind=kind, chroma=8.0)[0], (x,))


@pytest.mark.parametrize("kind", ["l2", "l1", "nine-point"])
def test_a_flat_picture_has_no_variation_and_no_pull(kind):
    x = torch.full((1, 3, 4, 4), 0.3, requires_grad=True)
    total, _ = total_variation(x, kind=kind)
    total.sum().backward()
    assert total.item() == 0
    assert not x.grad.any()


@pytest.mark.parametrize("kind", ["l2", "l1", "nine-point"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1)])
def test_variation_of_a_line(kind, size, generator):
    x = torch.rand((1, 3, *size), generator=generator)
    total, count = total_variation(x, kind=kind)
    assert count.item() == max(size) - 1
    assert total.isfinite()


@pytest.mark.parametrize("ties", [True, False])
def test_quantiles_and_their_gradient_by_numpy(generator, ties):
    rows = torch.randn((2, 9, 3), generator=generator).relu().requires_grad_()
    found = quantiles(rows, ties=ties)
    np.testing.assert_array_equal(found.detach().numpy(), np.sort(rows.detach().numpy(), 1).transpose(0, 2, 1))
    found[:, :, -1].sum().backward()  # of the largest alone
    largest = (rows == rows.amax(1, keepdim=True)).float()
    np.testing.assert_array_equal(rows.grad.numpy(), largest.numpy())
