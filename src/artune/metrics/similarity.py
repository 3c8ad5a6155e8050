"""Similarity of two pictures, pixel by pixel."""

import numpy as np
from numpy.typing import NDArray

from artune.errors import PictureError
from artune.images.picture import Picture

SIGMA = 1.5
"""Standard deviation of the Gaussian window of SSIM, pixels."""
WINDOW = 11
"""Side of the window of SSIM, pixels."""
ROUNDING = (1 / 65535) ** 2 / 12
"""Mean squared error that rounding to 16 bits makes."""


def ssim(picture: Picture, reference: Picture) -> float:
    """Structural similarity (Wang et al. 2004), in [-1, 1]: 1 for equal pictures, about 0 for unrelated ones.

    The setting is that of the paper: a Gaussian window of 11x11 with a deviation of 1.5, K1 = 0.01, K2 = 0.03,
    covariances over n. It is computed for red, green and blue, and averaged over these and over the picture.

    Args:
        picture: sides of ``WINDOW`` or more.
        reference: resized to the size of ``picture``.

    Raises:
        PictureError: the picture is smaller than the window.
    """
    from skimage.metrics import structural_similarity

    if min(picture.size) < WINDOW:
        width, height = picture.size
        raise PictureError(f"SSIM of a picture of {width}x{height}: sides of {WINDOW} pixels or more are needed")
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            *_pair(picture, reference),
            data_range=1.0,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=SIGMA,
            use_sample_covariance=False,
        )
    )


def psnr(picture: Picture, reference: Picture) -> float:
    """Peak signal-to-noise ratio, ``-10 log10`` of the mean squared difference of sRGB in [0, 1]; dB.

    An error below ``ROUNDING`` is taken for that, so that equal pictures have 107.1 dB.

    Args:
        picture: a picture.
        reference: resized to the size of ``picture``.
    """
    one, other = _pair(picture, reference)
    error = float(np.square(one - other).mean())
    return -10 * float(np.log10(max(error, ROUNDING)))


def _pair(picture: Picture, reference: Picture) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The pixels of both, at the size of the first one."""
    one, other = (each.filled().astype(np.float64) for each in (picture, reference.resized(*picture.size)))
    return one, other
