"""Pictures reduced to their edges: the shapes of a content without its colours and strokes."""

import numpy as np

from artune.images.color import to_yiq
from artune.images.picture import Floats

SIGMA = 1.0
"""Standard deviation of the Gaussian that precedes the gradient, pixels."""
DENOISING = 0.1
"""Weight of total variation denoising, for values in [0, 1]."""


def edges(pixels: Floats, *, denoise: bool = False) -> Floats:
    """Edges of a picture's luma, white on black (Canny 1986, with scikit-image's thresholds 0.1 and 0.2).

    Args:
        pixels: ``[h, w, 3]``, sRGB in [0, 1].
        denoise: remove brush strokes and noise first, by total variation (Chambolle 2004).

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
