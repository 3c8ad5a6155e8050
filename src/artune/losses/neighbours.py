"""Losses by cosine distance: of positions to their nearest neighbours, or to all others of the same picture."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

LENGTH_FLOOR = 1e-6
"""Of the target's mean squared length, added to every squared length: a feature that is zero has no direction."""
CHUNK = 1024
"""Positions that are compared with all others at a time."""


def length_floor(rows: Float[Tensor, "b n c"]) -> Float[Tensor, "b 1 1"]:
    """A squared length that is small beside those of the rows."""
    return LENGTH_FLOOR * rows.square().sum(2).mean(1)[:, None, None] + 1e-12


def directions(rows: Float[Tensor, "b n c"], level: Float[Tensor, "#b 1 1"]) -> Float[Tensor, "b n c"]:
    """Rows of length 1; shorter where they are hardly longer than the root of ``level``."""
    return rows * (rows.square().sum(2, keepdim=True) + level).rsqrt()


@torch.no_grad()
def closest(a: Float[Tensor, "b n c"], b: Float[Tensor, "#b m c"]) -> Int[Tensor, "b n"]:
    """Index of the row of ``b`` with the largest product with each row of ``a``."""
    return torch.cat([(part @ b.transpose(1, 2)).argmax(2) for part in torch.split(a, CHUNK, 1)], 1)


def take(rows: Float[Tensor, "#b m c"], index: Int[Tensor, "b n"]) -> Float[Tensor, "b n c"]:
    """Rows by their index."""
    return rows.expand(len(index), -1, -1).gather(1, index.unsqueeze(2).expand(-1, -1, rows.shape[2]))


def nearest(a: Float[Tensor, "b n c"], b: Float[Tensor, "#b m c"]) -> Float[Tensor, "b"]:
    """Mean cosine distance of every row of ``a`` to the nearest one of ``b`` (Kolkin 2022, "feature splitting").

    Both are centred. Departure: by the mean of ``b``, not each by its own, so that the mean counts too, and colour with
    it. The match is taken as constant. Of a style that is flat all distances are 1, and nothing pulls.
    """
    centre = b.mean(1, keepdim=True)
    a, b = a - centre, b - centre
    level = length_floor(b)
    a, b = directions(a, level), directions(b, level)
    return (1 - (a * take(b, closest(a, b))).sum(2)).mean(1)


def relaxed_emd(a: Float[Tensor, "b n c"], b: Float[Tensor, "#b m c"]) -> Float[Tensor, "b"]:
    """Relaxed earth mover's distance of cosine distances (Kolkin, Salavon and Shakhnarovich 2019).

    The larger one of the mean distances of each row to the nearest one of the other side.
    """
    level = length_floor(b)
    cost = 1 - directions(a, level) @ directions(b, level).transpose(1, 2)  # b n m
    return torch.maximum(cost.min(2).values.mean(1), cost.min(1).values.mean(1))


def markov(a: Float[Tensor, "b n d"], b: Float[Tensor, "#b m d"]) -> Float[Tensor, "b"]:
    """Mean squared distance of patches to the best match by normalised cross-correlation (Li and Wand 2016).

    Departure: the mean over patches and over the 9 positions of each, in place of the sum over all. The match is taken
    as constant.
    """
    level = length_floor(b)
    match = take(b, closest(a, directions(b, level)))  # the length of a patch of a decides nothing
    return (a - match).square().sum(2).mean(1) / 9


def self_similarity(a: Float[Tensor, "b n c"], b: Float[Tensor, "#b n c"]) -> Float[Tensor, "b"]:
    """Difference of the cosine distances of positions to each other (Kolkin, Salavon and Shakhnarovich 2019).

    Every column of both matrices of distances is divided by its sum; then the sum of absolute differences, as a mean
    over columns: at most 2. Departure: n times the paper's, whose mean over all entries shrinks with their number (the
    authors' program multiplies by n, too).
    """
    level = length_floor(b)

    def shares(rows: Tensor) -> Tensor:
        rows = directions(rows, level)
        apart = (1 - rows @ rows.transpose(1, 2)).clamp(min=0)
        return apart / (apart.sum(1, keepdim=True) + 1e-5 * rows.shape[1])  # a flat picture's are all zero

    return (shares(a) - shares(b)).abs().sum(1).mean(1)
