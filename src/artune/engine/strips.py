"""Strips of an iterate: strip by strip, arithmetic on a large one needs no other of its size for what is in between."""

from types import EllipsisType

from torch import Tensor

VALUES = 2**20
"""Of a strip: few enough to stay in a processor's cache."""

Strip = tuple[EllipsisType | slice, ...]


def strips(x: Tensor) -> list[Strip]:
    """Indices that cover a picture ``[b, c, h, w]`` once, by its rows; anything else at once."""
    if x.dim() != 4:
        return [(...,)]
    height = x.shape[2]
    rows = max(VALUES * height // max(x.numel(), 1), 1)
    return [(..., slice(top, top + rows), slice(None)) for top in range(0, height, rows)]
