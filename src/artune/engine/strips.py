"""Strips of rows of a large iterate.

Arithmetic on one strip at a time needs temporary memory for a strip, not for the whole iterate.
"""

from types import EllipsisType

from torch import Tensor

VALUES = 2**20
"""Largest number of values in a strip of more than one row; so few stay in a processor's cache."""

Strip = tuple[EllipsisType | slice, ...]


def strips(x: Tensor) -> list[Strip]:
    """Indices of the strips of ``x``, which cover it once.

    A picture ``[b, c, h, w]`` is cut into groups of rows; anything else is one strip.
    """
    if x.dim() != 4:
        return [(...,)]
    height = x.shape[2]
    rows = max(VALUES * height // max(x.numel(), 1), 1)
    return [(..., slice(top, top + rows), slice(None)) for top in range(0, height, rows)]
