import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from artune.errors import PictureError
from artune.images.picture import Picture
from artune.metrics.similarity import psnr, ssim


def test_ssim_against_the_formula(photo, painting):
    """Wang et al. 2004, equation 13, for each channel, by other means than scikit-image's."""
    a, b = (x.pixels.astype(np.float64) for x in (photo, painting.resized(*photo.size)))

    def mean(x):
        return gaussian_filter(x, (1.5, 1.5, 0), truncate=3.5, mode="reflect")

    c1, c2 = 0.01**2, 0.03**2
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    whole = (2 * ma * mb + c1) * (2 * cov + c2) / (ma**2 + mb**2 + c1) / (va + vb + c2)
    assert ssim(photo, painting) == pytest.approx(whole[5:-5, 5:-5].mean(), abs=1e-6)


def test_equal_pictures(photo):
    assert ssim(photo, photo) == pytest.approx(1)
    assert psnr(photo, photo) == pytest.approx(107.1, abs=0.05)


def test_unrelated_noise_and_a_negative(rng):
    noise, other = (Picture(rng.random((64, 64, 3)).astype(np.float32)) for _ in range(2))
    assert abs(ssim(noise, other)) < 0.05
    assert ssim(noise, Picture(1 - noise.pixels)) < -0.8


def test_psnr_of_a_known_error():
    dark, bright = (Picture(np.full((4, 5, 3), value, np.float32)) for value in (0.5, 0.6))
    assert psnr(dark, bright) == pytest.approx(20, abs=1e-3)


def test_the_reference_is_resized(photo):
    large = photo.resized(96, 64)
    assert ssim(photo, large) > 0.8
    assert psnr(photo, large) == psnr(photo, large.resized(48, 32))


def test_too_small_for_the_window():
    with pytest.raises(PictureError, match=r"10x40.*11 pixels or more"):
        ssim(Picture(np.zeros((40, 10, 3), np.float32)), Picture(np.zeros((40, 10, 3), np.float32)))
