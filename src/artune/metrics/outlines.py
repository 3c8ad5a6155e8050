"""How many outlines of the photograph are in a result."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter

from artune.images.color import to_yiq
from artune.images.picture import Floats, Picture, floats
from artune.images.resize import fitted

SIDE = 256
"""Longer side to which pictures are resized, pixels."""
BLUR = 1.5
"""Standard deviation of the Gaussian whose derivatives find edges, pixels."""
SHARE = 0.05
"""Share of the pixels that are edges, at most: the strongest ones."""
FAINTEST = 1e-3
"""Slope of the luminance, per pixel, below which there is no edge."""

Edges = NDArray[np.bool_]
"""Where edges are, ``[h, w]``."""


def outlines_kept(result: Picture, content: Picture) -> float:
    """The share of the photograph's edges that are found again in the result, less what chance would find.

    Edges are the ``SHARE`` of pixels where the luminance is steepest across an edge (Canny 1986, without his
    hysteresis), so that brush strokes and texture do not count as kept outlines but take their place. With ``found``
    the share of the photograph's edges that have one of the result within a pixel, and ``chance`` the share of all
    pixels that have one, the measure is ``(found - chance) / (1 - chance)``: 1 if all are kept, about 0 for an
    unrelated picture. It is 1 for a photograph without edges.

    Args:
        result: a picture.
        content: the photograph that it was made of.
    """
    size = fitted(*content.size, SIDE)
    wanted, near = edges(content.resized(*size)), near_edges(edges(result.resized(*size)))
    if not wanted.any():
        return 1.0
    chance = float(near.mean())
    return (float(near[wanted].mean()) - chance) / (1 - chance)


def edges(picture: Picture) -> Edges:
    """Pixels where the luminance is steepest: maxima along the gradient, and of these the strongest."""
    luminance = to_yiq(picture.filled())[..., 0]
    down, across = (gaussian_filter(luminance, BLUR, order, mode="nearest") for order in ((1, 0), (0, 1)))
    slope = floats(np.hypot(down, across))
    thin = np.where(_is_ridge(slope, down, across) & (slope > FAINTEST), slope, 0)
    count = int(SHARE * thin.size)
    if np.count_nonzero(thin) <= count:
        return np.asarray(thin > 0)
    return np.asarray(thin > np.partition(thin.ravel(), -count - 1)[-count - 1])


def near_edges(found: Edges) -> Edges:
    """Pixels that are an edge, or touch one by a side or a corner."""
    return np.asarray(binary_dilation(found, np.ones((3, 3), bool)))


def _is_ridge(slope: Floats, down: Floats, across: Floats) -> Edges:
    """Pixels whose slope is at least that of both neighbours along the gradient, in eight directions."""
    padded = np.pad(slope, 1)
    height, width = slope.shape
    sector = np.round(np.arctan2(down, across) / (np.pi / 4)).astype(int) % 4
    ridge = np.zeros(slope.shape, bool)
    for index, (dy, dx) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead, behind = (padded[1 + s * dy : 1 + s * dy + height, 1 + s * dx : 1 + s * dx + width] for s in (1, -1))
        ridge |= (sector == index) & (slope >= ahead) & (slope > behind)
    return ridge
