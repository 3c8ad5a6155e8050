"""Colours of a result: how vivid they are, and how far from those of the painting."""

import numpy as np
import torch
from torch import Tensor

from artune.images.color import to_lab
from artune.images.palette import Palette
from artune.images.picture import Picture, floats
from artune.losses.transport import orthonormal, sliced

BASES = 8
"""Number of random bases of three directions along which distributions of colours are compared."""
VISIBLE = 1.0
"""Distance of two palettes, in units of CIE L*a*b*, below which they are taken for the same."""


def colourfulness(picture: Picture) -> float:
    """How vivid the colours are (Hasler and Süsstrunk 2003, metric M3): 0 for greys, 15 slightly, 45 averagely,
    109 extremely colourful.

    It is the length of the deviations of ``R - G`` and ``(R + G) / 2 - B``, plus 0.3 times that of their means, for
    values in [0, 255].
    """
    red, green, blue = np.moveaxis(255 * picture.filled().astype(np.float64), -1, 0)
    opponents = red - green, (red + green) / 2 - blue
    return float(np.hypot(*(o.std() for o in opponents)) + 0.3 * np.hypot(*(o.mean() for o in opponents)))


def palette_distance(picture: Picture, other: Picture) -> float:
    """Distance of the distributions of colours of two pictures, in units of CIE L*a*b*; 0 for the same.

    It is the sliced 2-Wasserstein distance (Bonneel et al. 2015), times the root of 3: the distance of two pictures of
    one colour each is that of the colours. Transparent pixels do not count.
    """
    generator = torch.Generator().manual_seed(0)
    directions = torch.cat([orthonormal(3, 3, generator) for _ in range(BASES)], 1)
    return float(sliced(_colours(picture), _colours(other), directions).sqrt())


def relative_palette_distance(result: Picture, content: Picture, style: Picture) -> float:
    """Distance of the result's palette from the painting's over that of the photograph's: 1 for the colours of the
    photograph, 0 for those of the painting.

    The distance of the photograph is taken for at least ``VISIBLE``.
    """
    return palette_distance(result, style) / max(palette_distance(content, style), VISIBLE)


def _colours(picture: Picture) -> Tensor:
    """Colours of pixels that are spread over a picture, in L*a*b*, ``[1, n, 3]``."""
    weight = picture.alpha if picture.alpha is not None and picture.alpha.any() else None
    visible = None if weight is None else floats(weight > 0.5) if (weight > 0.5).any() else weight
    return torch.from_numpy(to_lab(Palette.of(picture.filled(), visible).colours))[None]
