import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from artune.images.picture import Picture
from artune.metrics.outlines import SHARE, edges, outlines_kept


def grey(values):
    return Picture(np.repeat(np.asarray(values, np.float32)[..., None], 3, 2))


@pytest.fixture(scope="module")
def discs():
    """Grey discs at random places on a grey ground, 256x192."""
    rng, (y, x) = np.random.default_rng(0), np.mgrid[0:192, 0:256]
    values = np.full((192, 256), 0.5)
    for _ in range(12):
        radius, level = rng.uniform(12, 40), rng.uniform(0.1, 0.9)
        values[np.hypot(x - rng.uniform(0, 256), y - rng.uniform(0, 192)) < radius] = level
    return values


def test_the_edge_of_a_square_is_found_where_it_is():
    values = np.zeros((256, 256))
    values[64:192, 64:192] = 1
    found = edges(grey(values))
    rows, columns = np.nonzero(found)
    outside = np.maximum(np.abs(rows - 127.5), np.abs(columns - 127.5))
    assert np.abs(outside - 64).max() < 3
    assert found[128].sum() == 2  # one pixel thick
    assert 450 < found.sum() < 530  # its perimeter is 512


def test_all_are_kept_by_the_picture_itself_also_darker_larger_or_with_other_colours(discs):
    photograph = grey(discs)
    assert outlines_kept(photograph, photograph) == pytest.approx(1)
    assert outlines_kept(grey(0.5 * discs), photograph) == pytest.approx(1, abs=0.01)
    assert outlines_kept(grey(1 - discs), photograph) == pytest.approx(1, abs=0.01)
    assert outlines_kept(photograph.resized(512, 384), photograph) > 0.9


def test_noise_that_drowns_the_edges_and_a_moved_picture_keep_few(discs, rng):
    photograph = grey(discs)
    shares = [
        outlines_kept(grey(np.clip(discs + sigma * rng.normal(size=discs.shape), 0, 1)), photograph)
        for sigma in (0, 0.2, 0.8)
    ]
    assert shares[0] > shares[1] > shares[2]
    assert shares[2] < 0.6
    assert outlines_kept(grey(discs[::-1, ::-1]), photograph) < 0.2
    assert outlines_kept(grey(np.roll(discs, 1, 1)), photograph) > 0.9  # within the tolerance


def test_unrelated_noise_is_chance(rng):
    one, other = (grey(gaussian_filter(rng.random((256, 256)), 1)) for _ in range(2))
    assert abs(outlines_kept(one, other)) < 0.05


def test_pictures_without_edges(discs):
    flat = grey(np.full((192, 256), 0.3))
    assert not edges(flat).any()
    assert outlines_kept(flat, grey(discs)) == 0
    assert outlines_kept(grey(discs), flat) == 1


def test_no_more_than_a_share_of_the_pixels(rng):
    noise = edges(grey(rng.random((100, 80))))
    assert noise.mean() == pytest.approx(SHARE, abs=1e-3)
