"""Pictures reduced to their edges: what is left of a content when its colours and strokes are taken away."""

import numpy as np

from artune.images.color import to_yiq
from artune.images.picture import Floats

SIGMA = 1.0
"""Deviation of the Gaussian before the gradient, pixels."""
DENOISING = 0.1
"""Weight of the total variation; values are in [0, 1]."""


def edges(pixels: Floats, *, denoise: bool = False) -> Floats:
    """White lines on black where a picture's luma has edges (Canny 1986, scikit-image's thresholds 0.1 and 0.2).

    Args:
        pixels: ``[h, w, 3]``, sRGB in [0, 1].
        denoise: take brush strokes and noise away first, by total variation (Chambolle 2004).

    Returns:
        ``[h, w, 3]``, 0 or 1, the same in all channels.
    """
    from skimage.feature import canny
    from skimage.restoration import denoise_tv_chambolle

    if denoise:
        pixels = denoise_tv_chambolle(pixels, weight=DENOISING, channel_axis=-1)  # type: ignore[no-untyped-call]
        pixels = pixels.astype(np.float32)
    lines = canny(to_yiq(pixels)[..., 0], sigma=SIGMA)  # type: ignore[no-untyped-call]
    return np.repeat(lines[..., None], 3, axis=2).astype(np.float32)
