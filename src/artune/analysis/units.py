"""Formulas of the dissection of units: thresholds, overlap with concepts, precision, rotations.

Bau et al. 2017, "Network Dissection: Quantifying Interpretability of Deep Visual Representations". A unit is a channel
of a layer. It is active where its activation is among its highest ``TOP``.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

TOP = 0.005
"""Share of its activations above a unit's threshold (Bau et al., section 2.2)."""


def kept_highest(
    highest: Float[Tensor, "units kept"], found: Float[Tensor, "units n"], most: int
) -> Float[Tensor, "units _"]:
    """The highest values of each unit so far, descending; at most ``most``."""
    both = torch.cat([highest, found], 1)
    return both.topk(min(most, both.shape[1]), dim=1).values


def thresholds(highest: Float[Tensor, "units kept"], count: int) -> Float[Tensor, "units"]:
    """The value that the share ``TOP`` of a unit's activations reach.

    Args:
        highest: of each unit, descending; at least ``TOP * count`` of them.
        count: number of activations of each unit.
    """
    return highest[:, max(1, round(TOP * count)) - 1]


def active(
    features: Float[Tensor, "units h w"],
    threshold: Float[Tensor, "units"],
    lowest: Float[Tensor, "units"],
    rows: int,
    columns: int,
) -> Bool[Tensor, "units cells"]:
    """Where units are active, on the grid of labels: features are enlarged bilinearly, as by Bau et al.

    A unit that never changes is never active, nor is one at its lowest value: a ReLU that is mostly 0 has threshold 0.

    Args:
        features: of one picture.
        threshold: of each unit.
        lowest: activation of each unit.
        rows: of the grid.
        columns: of the grid.
    """
    if features.shape[1:] != (rows, columns):
        features = F.interpolate(features[None], (rows, columns), mode="bilinear")[0]
    values = features.flatten(1)
    return (values >= threshold[:, None]) & (values > lowest[:, None])


def overlap(
    both: Float[Tensor, "units concepts"], units: Float[Tensor, "units concepts"], concepts: Float[Tensor, "concepts"]
) -> Float[Tensor, "units concepts"]:
    """Intersection over union, of numbers of cells; 0 where there is nothing.

    Args:
        both: cells in which the unit is active and the concept is there.
        units: cells in which the unit is active, of the pictures in which the concept is labelled.
        concepts: cells in which the concept is there.
    """
    union = units + concepts - both
    return torch.where(union > 0, both / union.clamp(min=1), 0.0)


def average_precision(
    scores: Float[Tensor, "units pictures"], truth: Bool[Tensor, "classes pictures"]
) -> Float[Tensor, "units classes"]:
    """Average precision of units that rank pictures, above chance: 1 is perfect, 0 what random ranks come to.

    The mean, over the pictures of a class, of the share of the class among the pictures up to there; less the share of
    the class, over 1 less that share. 0 for units that give all pictures the same score, and for classes without
    pictures or without others. Pictures of equal score rank by their place.
    """
    ranks = torch.sort(scores, dim=1, descending=True, stable=True).indices
    hits = truth.double()[:, ranks]  # classes, units, pictures
    precision = hits.cumsum(-1) / torch.arange(1, scores.shape[1] + 1)
    share = truth.double().mean(1)[:, None]
    found = (precision * hits).sum(-1) / hits.sum(-1).clamp(min=1)
    above = torch.where((share > 0) & (share < 1), (found - share) / (1 - share).clamp(min=1e-9), 0.0)
    changes = scores.amax(1) > scores.amin(1)
    return (above * changes).T.float()


def precision_by_chance(pictures: int, positives: int, quantile: float, draws: int = 2000) -> float:
    """A quantile of the average precision above chance of random ranks.

    Args:
        pictures: that are ranked.
        positives: how many of them are of the class.
        quantile: in [0, 1].
        draws: number of random ranks; the seed is fixed.
    """
    scores = torch.rand((draws, pictures), generator=torch.Generator().manual_seed(0))
    truth = (torch.arange(pictures) < positives)[None]
    return float(average_precision(scores, truth)[:, 0].quantile(quantile))


def rotation(units: int, seed: int) -> Float[Tensor, "units units"]:
    """A random orthogonal matrix, uniform over all of them (Mezzadri 2007).

    Rotated units span the same features. If concepts were in the features and not in the units, the rotated ones would
    match as many of them (Bau et al., section 3.2).
    """
    normal = torch.randn((units, units), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    q, r = np.linalg.qr(normal.numpy())  # torch's loads a large library first
    return torch.from_numpy((q * np.sign(r.diagonal())).astype(np.float32))
