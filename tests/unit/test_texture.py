import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance

from artune.images.picture import Picture
from artune.metrics.texture import ORIENTATIONS, SCALES, relative_texture_distance, responses, texture_distance


def grey(values):
    return Picture(np.repeat(np.asarray(values, np.float32)[..., None], 3, 2))


def grating(period, angle, size=128, contrast=0.4):
    y, x = np.mgrid[0:size, 0:size]
    return grey(0.5 + contrast * np.cos(2 * np.pi / period * ((x + 0.5) * np.cos(angle) + (y + 0.5) * np.sin(angle))))


def test_the_controls(photo, painting):
    photo, painting = photo.resized(96, 64), painting.resized(96, 96)
    assert relative_texture_distance(photo, photo, painting) == 1
    assert relative_texture_distance(painting, photo, painting) == 0
    assert relative_texture_distance(photo, painting, painting) > 1  # nothing lies between equal pictures


def test_places_do_not_count(rng):
    noise, moved = (gaussian_filter(rng.random((128, 128)), 2) for _ in range(2))
    flat = grey(np.full((128, 128), 0.5))
    assert relative_texture_distance(grey(moved), flat, grey(noise)) < 0.12


def test_orientation_scale_and_contrast_count():
    target, flat = grating(16, 0), grey(np.full((128, 128), 0.5))
    others = [grating(16, np.pi / 2), grating(32, 0), grating(16, 0, contrast=0.2)]
    turned, wider, fainter = (relative_texture_distance(each, flat, target) for each in others)
    assert turned > 0.5
    assert wider > 0.3
    assert fainter == pytest.approx(0.5, abs=0.01)  # half of the contrast is half of the way


def test_responses_to_a_grating_are_those_of_its_filters():
    """A first derivative of a Gaussian passes a sine of frequency w with sigma w exp(-(sigma w)^2 / 2)."""
    w = 2 * np.pi / 16
    found = responses(grating(16, 0, contrast=0.4))
    for place, sigma in enumerate(SCALES[:3]):
        band = (ORIENTATIONS + 1) * place
        gain = 0.4 * sigma * w * np.exp(-((sigma * w) ** 2) / 2)
        along, slanted, across = found[band], found[band + 1], found[band + ORIENTATIONS // 2]
        assert along.max() == pytest.approx(gain, rel=0.03)
        assert slanted.max() == pytest.approx(gain / 2**0.5, rel=0.03)
        assert np.abs(across).max() < 1e-5
        second = 0.4 * (sigma * w) ** 2 * np.exp(-((sigma * w) ** 2) / 2)
        assert found[band + ORIENTATIONS].max() == pytest.approx(second, rel=0.03)


def test_distance_is_wassersteins(photo, painting):
    a, b = responses(photo.resized(96, 64)), responses(painting.resized(80, 80))
    want = [wasserstein_distance(x, y) / np.abs(y).mean() for x, y in zip(a, b, strict=True)]
    assert texture_distance(a, b) == pytest.approx(np.mean(want), rel=1e-6)


def test_large_pictures_are_reduced_to_the_results_size(photo, painting):
    result = photo.resized(24, 16)
    assert relative_texture_distance(result, photo, painting) == relative_texture_distance(
        result, result, painting.resized(24, 24)
    )
