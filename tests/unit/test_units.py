import numpy as np
import pytest
import torch

from artune.analysis.units import (
    TOP,
    active,
    average_precision,
    kept_highest,
    overlap,
    precision_by_chance,
    rotation,
    thresholds,
)


def test_the_threshold_is_that_of_the_highest_half_percent(generator):
    parts = [torch.rand((3, 400), generator=generator) for _ in range(5)]
    highest = torch.empty(3, 0)
    for part in parts:
        highest = kept_highest(highest, part, 15)
    whole = torch.cat(parts, 1)
    found = thresholds(highest, whole.shape[1])
    assert ((whole >= found[:, None]).float().mean(1) == TOP).all()


def test_where_units_are_active():
    features = torch.tensor([[[0.0, 1.0], [0.0, 0.0]], [[2.0, 2.0], [2.0, 2.0]], [[0.0, 0.0], [0.0, 3.0]]])
    threshold, lowest = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([0.0, 2.0, 0.0])
    found = active(features, threshold, lowest, 2, 2)
    assert found.tolist() == [[False, True, False, False], [False] * 4, [False, False, False, True]]


def test_features_are_enlarged_to_the_grid():
    features = torch.zeros(1, 2, 2)
    features[0, 0, 0] = 1
    found = active(features, torch.tensor([0.6]), torch.tensor([0.0]), 4, 4).view(4, 4)
    assert found[:2, :2].sum() == 3  # all but the corner towards the middle, which is 0.75 * 0.75
    assert not found[2:].any()


def test_overlap_by_hand():
    both = torch.tensor([[2.0, 0.0]])
    found = overlap(both, torch.tensor([[4.0, 0.0]]), torch.tensor([6.0, 0.0]))
    assert found.tolist() == [[0.25, 0.0]]


def plain_precision(scores, truth):
    ranked = [hit for _, hit in sorted(zip(scores, truth, strict=True), reverse=True)]
    return np.mean([sum(ranked[: i + 1]) / (i + 1) for i, hit in enumerate(ranked) if hit])


def test_average_precision_against_an_independent_one(rng):
    scores, truth = rng.random((4, 40)).astype(np.float32), rng.random((2, 40)) < 0.3
    found = average_precision(torch.from_numpy(scores), torch.from_numpy(truth))
    for unit in range(4):
        for label in range(2):
            whole, share = plain_precision(scores[unit], truth[label]), truth[label].mean()
            assert found[unit, label].item() == pytest.approx((whole - share) / (1 - share), abs=1e-5)


def test_average_precision_by_hand():
    truth = torch.tensor([[True, False, True, False], [True, True, True, True]])
    scores = torch.tensor([[4.0, 2.0, 3.0, 1.0], [4.0, 3.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    found = average_precision(scores, truth)
    assert found[:, 0].tolist() == pytest.approx([1.0, (5 / 6 - 0.5) / 0.5, 0.0])
    assert found[:, 1].tolist() == [0.0, 0.0, 0.0]  # every picture is of the class


def test_random_ranks_come_to_chance():
    assert abs(precision_by_chance(200, 40, 0.5)) < 0.05
    assert precision_by_chance(10, 2, 0.99) > precision_by_chance(200, 40, 0.99) > 0


def test_rotations_are_orthogonal_and_drawn_by_the_seed():
    one, other = rotation(8, 0), rotation(8, 1)
    torch.testing.assert_close(one @ one.T, torch.eye(8), atol=1e-5, rtol=0)
    assert torch.equal(one, rotation(8, 0))
    assert not torch.allclose(one, other)
