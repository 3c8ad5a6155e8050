"""Where a descent starts, measured by its statistics."""

import numpy as np
import pytest
import torch

from artune.images.picture import Picture
from artune.transfer.inputs import Painting
from artune.transfer.start import colour_noise, start

PHOTO = torch.full((1, 3, 200, 300), 0.25)


@pytest.fixture
def muted(rng):
    """A picture whose colours hang together and lie far from black and white."""
    mix = np.array([[0.06, 0.02, 0.0], [0.01, 0.05, 0.03], [0.0, -0.04, 0.04]])
    return Painting(
        Picture((np.array([0.4, 0.5, 0.6]) + rng.standard_normal((90, 80, 3)) @ mix.T).clip(0, 1).astype(np.float32))
    )


def colours(image):
    return image[0].flatten(1).numpy()


def test_noise_has_its_mean_and_spread(muted):
    uniform = colours(start("uniform", PHOTO, muted, 0))
    np.testing.assert_allclose(uniform.mean(1), 0.5, atol=0.005)
    np.testing.assert_allclose(uniform.std(1), 12**-0.5, atol=0.005)
    gaussian = colours(start("gaussian", PHOTO, muted, 0))
    inside = gaussian[(gaussian > 0) & (gaussian < 1)]
    np.testing.assert_allclose(gaussian.mean(1), 0.5, atol=0.005)
    assert inside.size / gaussian.size == pytest.approx(0.9545, abs=0.003)  # two standard deviations
    assert np.quantile(gaussian, 0.8413) == pytest.approx(0.75, abs=0.005)  # one
    grey = colours(start("grey", PHOTO, muted, 0))
    assert np.abs(grey - 0.5).max() <= 0.5 / 255
    assert grey.std() > 0


def test_colours_have_the_styles_mean_and_covariance(muted):
    found = colours(start("colours", PHOTO, muted, 0))
    wanted = muted.picture.pixels.reshape(-1, 3).T
    np.testing.assert_allclose(found.mean(1), wanted.mean(1), atol=0.002)
    np.testing.assert_allclose(np.cov(found), np.cov(wanted), atol=1e-4)
    rough, smooth = found.reshape(3, 200, 300), wanted.reshape(3, 90, 80)
    assert np.abs(np.corrcoef(rough[0, :, 1:].ravel(), rough[0, :, :-1].ravel())[0, 1]) < 0.02  # no forms
    assert smooth.shape != rough.shape


def test_colours_of_a_flat_picture_are_flat():
    flat = Painting(Picture(np.full((5, 7, 3), (0.2, 0.4, 0.9), np.float32)))
    noise = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    wanted = torch.tensor([0.2, 0.4, 0.9]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    torch.testing.assert_close(colour_noise(noise, flat), wanted)


def test_colours_that_do_not_count_are_not_started_from(muted):
    half = np.zeros((90, 80), np.float32)
    half[:, 40:] = 1
    loud = muted.picture.pixels.copy()
    loud[:, :40] = (1, 0, 1)
    crop = Painting(Picture(np.ascontiguousarray(muted.picture.pixels[:, 40:])))
    wanted = start("colours", PHOTO, crop, 0)
    for painting in (Painting(Picture(loud), half), Painting(Picture(loud, half))):
        torch.testing.assert_close(start("colours", PHOTO, painting, 0), wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["gaussian", "uniform", "grey", "colours"])
def test_noise_follows_from_the_seed(muted, kind):
    one, same, other = (start(kind, PHOTO, muted, seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == PHOTO.shape
    assert one.min() >= 0
    assert one.max() <= 1


def test_pictures_are_copied_or_resized(muted):
    content = start("content", PHOTO, muted, 0)
    assert torch.equal(content, PHOTO)
    assert content is not PHOTO
    for kind in ("style", "file"):
        resized = start(kind, PHOTO, muted, 0)
        torch.testing.assert_close(resized, muted.picture.resized(300, 200).tensor())
