"""Pictures that repeat without a seam, made of pictures that do not.

The opposite edges of a photograph do not fit. A seamless one goes over from each edge into the one opposite: it is
blended with its mirror image, half and half at the edge itself, so that both sides of the seam show the same. Fine
detail is blended over a few pixels, and coarse shapes over a quarter of the picture (Burt and Adelson 1983: a spline
over the levels of a Laplacian pyramid): neither a step in brightness remains, nor the ghost of the other edge.
"""

import numpy as np
from numpy.typing import NDArray

from artune.images.picture import Floats, Picture, floats
from artune.images.resize import CUBIC, NO_WRAPS, Wraps, resized_plane

OVER = 4
"""Pixels from an edge over which a level of the pyramid is blended."""
COARSEST = 16
"""Sides up to which a picture is not divided into finer and coarser any more."""
SOFT = 0.125
"""Share of its side over which a mask is blended from each edge."""


def seamless(picture: Picture, wraps: Wraps) -> Picture:
    """A picture that repeats without a seam; beyond a quarter of its side from an edge it is as it was."""
    if not any(wraps):
        return picture
    pixels = np.clip(_blended(picture.filled(), wraps), 0, 1)
    alpha = None if picture.alpha is None else seamless_mask(picture.alpha, wraps)
    return Picture(pixels, alpha, picture.exif, picture.note)


def seamless_mask(mask: Floats, wraps: Wraps) -> Floats:
    """A mask ``[h, w]`` that repeats without a seam. Masks with a sum of 1 keep that sum."""
    if not any(wraps):
        return mask
    return _faded(mask[..., None], wraps, *(max(1, round(SOFT * side)) for side in mask.shape))[..., 0]


def _blended(pixels: Floats, wraps: Wraps) -> Floats:
    """Pixels ``[h, w, c]`` that repeat; not clipped."""
    height, width = pixels.shape[:2]
    if min(side for side, repeats in zip((height, width), wraps, strict=True) if repeats) <= COARSEST:
        return _faded(pixels, wraps, OVER, OVER)
    half = -(-height // 2), -(-width // 2)
    coarse = _resized(pixels, *half)
    fine = _faded(pixels - _resized(coarse, height, width), wraps, OVER, OVER)
    return fine + _resized(_blended(coarse, wraps), height, width, wraps)


def _resized(pixels: Floats, height: int, width: int, wraps: Wraps = NO_WRAPS) -> Floats:
    planes = [resized_plane(plane, width, height, CUBIC, wraps) for plane in np.moveaxis(pixels, -1, 0)]
    return np.stack(planes, -1)


def _faded(values: Floats, wraps: Wraps, down: int, across: int) -> Floats:
    """Values ``[h, w, c]``, blended with their mirror image near the edges.

    Args:
        values: not changed.
        wraps: the axes along which they are to repeat.
        down: rows from the upper and lower edge over which they are blended.
        across: columns from the left and right edge.
    """
    for axis, (repeats, over) in enumerate(zip(wraps, (down, across), strict=True)):
        if repeats:
            share = _mirrored_share(values.shape[axis], over)[(slice(None), *[None] * (2 - axis))]
            values = values * (1 - share) + np.flip(values, axis) * share
    return floats(values)


def _mirrored_share(side: int, over: int) -> NDArray[np.float32]:
    """Share of the mirror image at each place of a side: a half at the very edges, 0 from ``over`` on."""
    places = np.arange(side)
    away = (np.minimum(places, places[::-1]) + 0.5) / min(over, max(side // 2, 1))
    return floats(0.5 - 0.5 * np.sin(np.pi / 2 * np.minimum(away, 1)))
