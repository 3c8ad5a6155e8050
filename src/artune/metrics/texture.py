"""Texture of a result beside that of the painting, without a network."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from artune.images.color import to_yiq
from artune.images.picture import Floats, Picture

SCALES = (1.0, 2.0, 4.0, 8.0)
"""Standard deviations of the Gaussians whose derivatives are the filters, pixels."""
ORIENTATIONS = 4
"""Number of orientations, evenly spread over half a turn."""
LEVELS = 256
"""Number of quantiles by which distributions are compared."""
FAINTEST = 1e-3
"""Mean response of a filter, in units of luminance, that is taken for no texture."""

Responses = NDArray[np.float64]
"""Quantiles of the responses of each filter, ``[filters, LEVELS]``."""


def relative_texture_distance(result: Picture, content: Picture, style: Picture) -> float:
    """Distance of the result's texture from the painting's over that of the photograph's: 1 for the photograph, 0 for
    the painting.

    A filter for each scale and orientation, and one for each scale without orientation (first derivatives and the
    Laplacian of Gaussians), is applied to the luminance. Distributions of its responses are compared by the
    1-Wasserstein distance, relative to the painting's mean response, and averaged over the filters (statistics as in
    Heeger and Bergen 1995). Photograph and painting are compared at the longer side of the result; none is enlarged.
    The distance of the photograph is taken for at least 0.01.

    Args:
        result: a picture.
        content: the photograph that it was made of.
        style: the painting.
    """
    side = max(result.size)
    ours, photograph, painting = (responses(each.reduced(side)) for each in (result, content, style))
    return texture_distance(ours, painting) / max(texture_distance(photograph, painting), 0.01)


def texture_distance(ours: Responses, target: Responses) -> float:
    """Mean 1-Wasserstein distance of the responses of each filter, in units of the target's mean response."""
    levels = np.maximum(np.abs(target).mean(1), FAINTEST)
    return float((np.abs(ours - target).mean(1) / levels).mean())


def responses(picture: Picture) -> Responses:
    """Quantiles of the responses of all filters to the luminance of a picture."""
    luminance = to_yiq(picture.filled())[..., 0]
    at = (np.arange(LEVELS) + 0.5) / LEVELS * luminance.size - 0.5  # the i-th of n sorted values is at (i + 1/2) / n
    places = np.arange(luminance.size)
    return np.stack([np.interp(at, places, np.sort(response, axis=None)) for response in _filtered(luminance)])


def _filtered(luminance: Floats) -> Iterator[Floats]:
    """The responses, ``[h, w]`` each, scaled by their Gaussian: an edge has the same at every scale."""
    for sigma in SCALES:
        orders = ((1, 0), (0, 1), (2, 0), (0, 2))
        down, across, *second = (gaussian_filter(luminance, sigma, order, mode="reflect") for order in orders)
        for index in range(ORIENTATIONS):
            angle = np.pi * index / ORIENTATIONS
            yield sigma * (np.float32(np.cos(angle)) * across + np.float32(np.sin(angle)) * down)
        yield sigma**2 * (second[0] + second[1])
