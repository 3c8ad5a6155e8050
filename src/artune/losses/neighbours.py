"""Cosine distances of features: to their nearest neighbours in the style, or to all others of the same picture."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

LENGTH_FLOOR = 1e-6
"""Added to every squared length, as a share of the target's mean squared length, because a zero feature has no
direction."""
CHUNK = 1024
"""Number of positions that are compared with all others at a time."""


def length_floor(rows: Float[Tensor, "b n c"]) -> Float[Tensor, "b 1 1"]:
    """A squared length that is small compared to those of the rows."""
    return LENGTH_FLOOR * rows.square().sum(2).mean(1)[:, None, None] + 1e-12


def directions(rows: Float[Tensor, "b n c"], level: Float[Tensor, "#b 1 1"]) -> Float[Tensor, "b n c"]:
    """Rows normalised to length 1; a row that is not much longer than the square root of ``level`` gets shorter."""
    return rows * (rows.square().sum(2, keepdim=True) + level).rsqrt()


@torch.no_grad()
def closest(a: Float[Tensor, "b n c"], b: Float[Tensor, "#b m c"]) -> Int[Tensor, "b n"]:
    """For each row of ``a``, index of the row of ``b`` with the largest scalar product."""
    return torch.cat([(part @ b.transpose(1, 2)).argmax(2) for part in torch.split(a, CHUNK, 1)], 1)


def take(rows: Float[Tensor, "#b m c"], index: Int[Tensor, "b n"]) -> Float[Tensor, "b n c"]:
    """Rows by their index."""
    return rows.expand(len(index), -1, -1).gather(1, index.unsqueeze(2).expand(-1, -1, rows.shape[2]))


def nearest(a: Float[Tensor, "b n c"], b: Float[Tensor, "#b m c"]) -> Float[Tensor, "b"]:
    """Mean cosine distance of each row of ``a`` to the nearest row of ``b`` (Kolkin 2022, "feature splitting").

    Both are centred. Departure: by the mean of ``b`` instead of each by its own mean, so that the mean counts, too, and
    with it the colour. No gradient flows through the choice of the nearest row. If the style is flat, all distances
    are 1 and the gradient is zero.
    """
    centre = b.mean(1, keepdim=True)
    a, b = a - centre, b - centre
    level = length_floor(b)
    a, b = directions(a, level), directions(b, level)
    return (1 - (a * take(b, closest(a, b))).sum(2)).mean(1)


def relaxed_emd(a: Float[Tensor, "b n c"], b: Float[Tensor, "#b m c"]) -> Float[Tensor, "b"]:
    """Relaxed earth mover's distance of cosine distances (Kolkin, Salavon and Shakhnarovich 2019).

    It is the larger one of two means: of the distances of the rows of ``a`` to their nearest rows of ``b``, and the
    reverse.
    """
    level = length_floor(b)
    cost = 1 - directions(a, level) @ directions(b, level).transpose(1, 2)  # b n m
    return torch.maximum(cost.min(2).values.mean(1), cost.min(1).values.mean(1))


def markov(a: Float[Tensor, "b n d"], b: Float[Tensor, "#b m d"]) -> Float[Tensor, "b"]:
    """Mean squared distance of patches to the best match by normalised cross-correlation (Li and Wand 2016).

    Departure: the mean over patches, and over the 9 positions of each, instead of the sum. No gradient flows through
    the choice of the match.
    """
    level = length_floor(b)
    match = take(b, closest(a, directions(b, level)))  # normalising a would not change the match
    return (a - match).square().sum(2).mean(1) / 9


def self_similarity(a: Float[Tensor, "b n c"], b: Float[Tensor, "#b n c"]) -> Float[Tensor, "b"]:
    """Difference of two matrices of cosine distances between positions (Kolkin, Salavon and Shakhnarovich 2019).

    Each column of both matrices is divided by its sum. The result is the sum of absolute differences of a column, as a
    mean over columns; it is at most 2. Departure: this is n times the mean over all entries in the paper, which shrinks
    with n; the authors' program multiplies by n, too.
    """
    level = length_floor(b)

    def shares(rows: Tensor) -> Tensor:
        rows = directions(rows, level)
        apart = (1 - rows @ rows.transpose(1, 2)).clamp(min=0)
        return apart / (apart.sum(1, keepdim=True) + 1e-5 * rows.shape[1])  # in a flat picture all are zero

    return (shares(a) - shares(b)).abs().sum(1).mean(1)
