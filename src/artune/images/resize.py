"""Resizing of pictures and masks, also of those that repeat: whose last column is followed by the first."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artune.spec.style import Tile

Plane = NDArray[np.float32]
LANCZOS, CUBIC, TRIANGLE = Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR
_RADII = {LANCZOS: 3, CUBIC: 2, TRIANGLE: 1}  # of the filters, pixels of the smaller picture


class Wraps(NamedTuple):
    """The axes along which a picture repeats.

    Attributes:
        down: whether the last row is followed by the first.
        across: whether the last column is followed by the first.
    """

    down: bool = False
    across: bool = False


NO_WRAPS = Wraps()
"""A picture that does not repeat."""
WRAPS: Mapping[Tile, Wraps] = {
    "none": NO_WRAPS,
    "x": Wraps(across=True),
    "y": Wraps(down=True),
    "both": Wraps(down=True, across=True),
}
"""The axes that a spec's ``tile`` names."""


def fitted(width: int, height: int, longer: int) -> tuple[int, int]:
    """Scale width and height to a longer side of ``longer`` pixels; each is at least 1."""
    scale = longer / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def reduced(width: int, height: int, longer: int) -> tuple[int, int]:
    """Scale width and height to a longer side of at most ``longer`` pixels; what is smaller stays as it is."""
    return fitted(width, height, min(longer, max(width, height)))


def resized_plane(plane: Plane, width: int, height: int, resample: Image.Resampling, wraps: Wraps = NO_WRAPS) -> Plane:
    """A plane ``[h, w]`` at another size, antialiased; nothing is clipped.

    Args:
        plane: the values.
        width: new width, pixels.
        height: new height, pixels.
        resample: the filter.
        wraps: axes along which the plane repeats; the result repeats along the same.
    """
    if not any(wraps):
        image = Image.fromarray(np.ascontiguousarray(plane))
        return np.asarray(image.resize((width, height), resample))
    sides = zip(wraps, plane.shape, (height, width), strict=True)
    down, across = (_margin(own, new, resample) if repeats else 0 for repeats, own, new in sides)
    rows, columns = plane.shape
    image = Image.fromarray(np.pad(plane, ((down, down), (across, across)), mode="wrap"))
    return np.asarray(image.resize((width, height), resample, (across, down, across + columns, down + rows)))


def _margin(own: int, new: int, resample: Image.Resampling) -> int:
    """Pixels beyond an edge that the filter sees."""
    return math.ceil(_RADII[resample] * max(1.0, own / new)) + 1
