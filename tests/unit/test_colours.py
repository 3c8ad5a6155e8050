import numpy as np
import pytest

from artune.images.color import from_lab, to_lab
from artune.images.picture import Picture
from artune.metrics.colours import colourfulness, palette_distance, relative_palette_distance


def plain(*colour, side=8):
    return Picture(np.full((side, side, 3), colour, np.float32))


def test_colourfulness_of_known_pictures():
    assert colourfulness(plain(0.4, 0.4, 0.4)) == pytest.approx(0, abs=1e-4)
    # red - green is 255, yellow - blue 127.5, and nothing varies
    assert colourfulness(plain(1, 0, 0)) == pytest.approx(0.3 * np.hypot(255, 127.5), rel=1e-6)
    halves = np.concatenate([plain(1, 0, 0).pixels, plain(0, 1, 0).pixels])
    # red - green is +-255: deviation 255, mean 0; yellow - blue is 127.5 everywhere
    assert colourfulness(Picture(halves)) == pytest.approx(255 + 0.3 * 127.5, rel=1e-6)


def test_palette_distance_of_two_colours_is_theirs():
    one, other = plain(0.8, 0.3, 0.2), plain(0.2, 0.5, 0.7)
    want = np.linalg.norm(to_lab(one.pixels)[0, 0] - to_lab(other.pixels)[0, 0])
    assert palette_distance(one, other) == pytest.approx(want, rel=1e-5)


def test_palette_distance_of_normal_colours_against_the_formula(rng):
    """Sliced distances of Gaussians, along many directions: the squared difference of means and deviations."""
    covariances = [np.diag([60.0, 20, 30]), np.array([[40.0, 10, 0], [10, 50, -10], [0, -10, 25]])]
    means = [np.array([50.0, 5, 0]), np.array([60.0, -5, 10])]
    both = [
        Picture(from_lab(rng.multivariate_normal(m, c, (150, 150)).astype(np.float32)))
        for m, c in zip(means, covariances, strict=True)
    ]
    directions = rng.normal(size=(20000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    deviations = [np.sqrt(np.einsum("ki,ij,kj->k", directions, c, directions)) for c in covariances]
    apart = (directions @ (means[0] - means[1])) ** 2 + (deviations[0] - deviations[1]) ** 2
    assert palette_distance(*both) == pytest.approx(np.sqrt(3 * apart.mean()), rel=0.03)


def test_places_and_sizes_do_not_count(photo, painting):
    mirrored = Picture(np.ascontiguousarray(painting.pixels[::-1, ::-1]))
    assert palette_distance(painting, mirrored) == pytest.approx(0, abs=1e-5)
    assert palette_distance(painting.repeated(2, 3), painting) == pytest.approx(0, abs=0.5)
    assert palette_distance(photo, painting) == pytest.approx(palette_distance(painting, photo), rel=1e-4)


def test_the_controls(photo, painting):
    assert relative_palette_distance(photo, photo, painting) == 1
    assert relative_palette_distance(painting, photo, painting) == pytest.approx(0, abs=1e-5)
    half = Picture(from_lab(0.5 * (to_lab(photo.pixels) + to_lab(plain(0.5, 0.5, 0.5).pixels[:1, :1]))))
    assert 0 < relative_palette_distance(half, photo, plain(0.5, 0.5, 0.5)) < 0.6
    assert relative_palette_distance(photo, painting, painting) == palette_distance(photo, painting)


def test_transparent_pixels_have_no_colour():
    pixels = np.concatenate([plain(1, 0, 0).pixels, plain(0, 0, 1).pixels])
    alpha = np.concatenate([np.ones((8, 8), np.float32), np.zeros((8, 8), np.float32)])
    assert palette_distance(Picture(pixels, alpha), plain(1, 0, 0)) == pytest.approx(0, abs=1e-4)
    hidden = Picture(pixels, np.zeros((16, 8), np.float32))
    assert palette_distance(hidden, plain(0.5, 0.5, 0.5)) == pytest.approx(0, abs=1e-4)
