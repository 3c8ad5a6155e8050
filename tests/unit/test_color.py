import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.linalg import cholesky, sqrtm
from skimage import color as reference
from skimage.exposure import match_histograms

from artune.images.color import (
    SPACES,
    grey,
    luminance_matched,
    match,
    match_histogram,
    match_moments,
    moments,
    to_lab,
    to_yiq,
    with_luminance_of,
)

colours = arrays(np.float32, (3, 4, 3), elements=st.floats(0, 1, width=32))
spaces = pytest.mark.parametrize("space", SPACES)
hows = pytest.mark.parametrize("how", ["moments", "histogram"])


def flat(*rgb, shape=(6, 5)):
    return np.full((*shape, 3), rgb, np.float32)


def luminance(picture, space):
    return SPACES[space].forward(picture)[..., 0]


# ------------------------------------------------------------------------------------- spaces


def test_known_colours():
    red = np.array([1, 0, 0], np.float32)
    np.testing.assert_allclose(to_lab(red), [53.24, 80.09, 67.20], atol=0.02)  # CIE's red of sRGB, D65
    np.testing.assert_allclose(to_yiq(red), [0.299, 0.5959, 0.2115], atol=1e-6)


@spaces
@given(level=st.floats(0, 1, width=32))
def test_greys_have_no_chroma(space, level):
    found = SPACES[space].forward(flat(level, level, level))
    assert np.abs(found[..., 1:]).max() < 1e-4 * SPACES[space].white
    white = SPACES[space].forward(flat(1, 1, 1))[0, 0]
    np.testing.assert_allclose(white, [SPACES[space].white, 0, 0], atol=1e-4 * SPACES[space].white)


def test_the_spaces_against_scikit_image(photo):
    np.testing.assert_allclose(to_lab(photo.pixels), reference.rgb2lab(photo.pixels), atol=0.03)
    np.testing.assert_allclose(to_yiq(photo.pixels), reference.rgb2yiq(photo.pixels), atol=1e-3)


@spaces
@given(rgb=colours)
def test_there_and_back(space, rgb):
    to = SPACES[space]
    back = to.back(to.forward(rgb))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, rgb, atol=2e-5)


@spaces
def test_what_srgb_has_not_is_not_clipped(space):
    to = SPACES[space]
    beyond = np.array([[0.5, 0.9, -0.4]], np.float32) * to.white
    assert to.back(beyond).max() > 1 or to.back(beyond).min() < 0
    np.testing.assert_allclose(to.forward(to.back(beyond)), beyond, atol=1e-3 * to.white)


# ------------------------------------------------------------------------------------- luminance


@spaces
@given(rgb=colours)
def test_grey_keeps_luminance_alone(space, rgb):
    found = grey(rgb, space)
    assert np.ptp(found, axis=-1).max() < 2e-5
    np.testing.assert_allclose(luminance(found, space), luminance(rgb, space), atol=1e-4 * SPACES[space].white)


@spaces
@given(result=colours, photograph=colours)
@settings(deadline=None)
def test_luminance_and_hue_are_kept_and_chroma_only_falls(space, result, photograph):
    to = SPACES[space]
    joined = with_luminance_of(result, photograph, space)
    assert joined.min() >= 0
    assert joined.max() <= 1
    found, wanted = to.forward(joined), to.forward(photograph)
    assert np.abs(found[..., 0] - luminance(result, space)).max() < 2e-3 * to.white
    chroma, before = (np.linalg.norm(x[..., 1:], axis=-1) for x in (found, wanted))
    assert (chroma <= before + 5e-3 * to.white).all()
    turned = found[..., 1] * wanted[..., 2] - found[..., 2] * wanted[..., 1]  # |a||b| times the sine of the angle
    assert (np.abs(turned) <= 5e-3 * to.white * before + 1e-4).all()


@spaces
def test_as_much_chroma_is_kept_as_fits(space):
    """A darker red: halfway to more chroma is no colour of sRGB."""
    to = SPACES[space]
    joined = with_luminance_of(flat(0.1, 0.1, 0.1), flat(1, 0, 0), space)
    assert joined.min() < 1e-3
    assert joined[0, 0, 0] > 2 * joined[0, 0, 1]
    fits = with_luminance_of(flat(0.5, 0.5, 0.5), flat(0.5, 0.45, 0.5), space)
    np.testing.assert_allclose(to.forward(fits)[..., 1:], to.forward(flat(0.5, 0.45, 0.5))[..., 1:], atol=1e-3)


@spaces
def test_rows_are_joined_in_their_order(space, rng):
    tall = rng.random((300, 2, 3)).astype(np.float32)
    np.testing.assert_allclose(with_luminance_of(tall, tall, space), tall, atol=2e-4)
    assert grey(tall, space).shape == tall.shape


@spaces
def test_luminance_gets_the_contents_mean_and_deviation(space, photo, painting):
    dim = 0.3 + 0.3 * photo.pixels
    found = luminance(luminance_matched(painting.pixels, dim, space), space)
    wanted = luminance(dim, space)
    assert found.mean() == pytest.approx(wanted.mean(), rel=1e-4)
    assert found.std() == pytest.approx(wanted.std(), rel=1e-3)


@spaces
def test_a_flat_style_gets_the_contents_mean(space, photo):
    found = luminance_matched(flat(0.9, 0.8, 0.7), photo.pixels, space)
    assert luminance(found, space).mean() == pytest.approx(luminance(photo.pixels, space).mean(), rel=1e-3)
    assert np.ptp(found) < 1e-3


# ------------------------------------------------------------------------------------- moments


def test_moments_by_hand():
    picture = np.array([[[0, 0, 0], [1, 0, 0.5]]], np.float32)
    mean, covariance = moments(picture)
    np.testing.assert_allclose(mean, [0.5, 0, 0.25])
    np.testing.assert_allclose(covariance, [[0.25, 0, 0.125], [0, 0, 0], [0.125, 0, 0.0625]])
    mean, _ = moments(picture, np.array([[3, 1]], np.float32))
    np.testing.assert_allclose(mean, [0.25, 0, 0.125])


def test_mean_and_covariance_become_the_targets(photo, painting):
    found = match_moments(painting.pixels, photo.pixels)
    for got, want in zip(moments(found), moments(photo.pixels), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)


def test_of_all_such_maps_it_moves_colours_the_least(photo, painting):
    moved = ((match_moments(painting.pixels, photo.pixels) - painting.pixels) ** 2).mean()
    (mean, s), (target, t) = moments(painting.pixels), moments(photo.pixels)
    transport = ((mean - target) ** 2).sum() + np.trace(s + t - 2 * sqrtm(sqrtm(s) @ t @ sqrtm(s)).real)
    assert moved == pytest.approx(transport / 3, rel=1e-4)  # Wasserstein-2 of the two Gaussians
    lower = cholesky(t, lower=True) @ np.linalg.inv(cholesky(s, lower=True))
    analogies = sqrtm(t).real @ np.linalg.inv(sqrtm(s).real)
    for other in (lower, analogies):
        np.testing.assert_allclose(other @ s @ other.T, t, atol=1e-6)
        assert moved < ((painting.pixels @ other.T + target - other @ mean - painting.pixels) ** 2).mean()


def test_a_flat_style_becomes_the_targets_mean(photo):
    found = match_moments(flat(0.2, 0.4, 0.9), photo.pixels)
    np.testing.assert_allclose(found, np.broadcast_to(moments(photo.pixels)[0], found.shape), atol=1e-5)


def test_a_flat_target_takes_all_contrast(painting):
    found = match_moments(painting.pixels, flat(0.2, 0.4, 0.9))
    np.testing.assert_allclose(found, flat(0.2, 0.4, 0.9, shape=(40, 40)), atol=1e-5)


@hows
@spaces
def test_a_grey_photograph_makes_a_grey_style(how, space, photo, painting):
    found = match(painting.pixels, grey(photo.pixels, space), how=how, space=space)
    assert np.ptp(found, axis=-1).max() < 1e-3
    assert found.std() == pytest.approx(grey(photo.pixels, space).std(), rel=0.1)


def test_noise_below_a_step_is_not_blown_up(rng, photo):
    """A grey style with rounding noise in its colours."""
    style = np.repeat(rng.random((40, 40, 1), np.float32), 3, 2)
    noisy = np.round((style + rng.normal(0, 0.2 / 255, style.shape).astype(np.float32)) * 255).astype(np.float32) / 255
    clean, found = (match_moments(picture, photo.pixels) for picture in (style, noisy))
    assert np.abs(found - clean).mean() < 0.1


# ------------------------------------------------------------------------------------- histograms


def test_ranks_by_hand():
    """Three values, two of them equal, onto two values."""
    picture = np.array([[[0.1], [0.5], [0.5], [0.9]]], np.float32).repeat(3, 2)
    target = np.array([[[0.0], [1.0]]], np.float32).repeat(3, 2)
    # shares 1/4, 1/2, 1/4: middles at 1/8, 1/2, 7/8; the target's at 1/4 and 3/4
    np.testing.assert_allclose(match_histogram(picture, target)[0, :, 0], [0, 0.5, 0.5, 1])


def test_histograms_against_scikit_image(rng):
    picture, target = (rng.random((64, 64, 3)).astype(np.float32) ** power for power in (1, 2.2))
    found, wanted = match_histogram(picture, target), match_histograms(picture, target, channel_axis=-1)
    np.testing.assert_allclose(found, wanted, atol=5e-3)
    np.testing.assert_allclose(np.quantile(found, [0.1, 0.5, 0.9]), np.quantile(target, [0.1, 0.5, 0.9]), atol=2e-3)


@given(picture=colours)
@settings(deadline=None)
def test_order_is_kept(picture):
    target = np.linspace(0, 1, 27, dtype=np.float32).reshape(3, 3, 3)
    found = match_histogram(picture, target)
    for channel in range(3):
        order = np.argsort(picture[..., channel].ravel(), kind="stable")
        assert (np.diff(found[..., channel].ravel()[order]) >= 0).all()
    assert target.min() <= found.min() <= found.max() <= target.max()


# ------------------------------------------------------------------------------------- both


@hows
@spaces
def test_a_picture_matched_to_itself_stays(how, space, photo):
    np.testing.assert_allclose(match(photo.pixels, photo.pixels, how=how, space=space), photo.pixels, atol=2e-4)


@hows
@spaces
def test_pixels_without_weight_do_not_count(how, space, photo, painting):
    """Half of each picture is transparent, and of other colours."""
    style, content = painting.pixels.copy(), photo.pixels.copy()
    style[:, 20:], content[16:] = (1, 0, 1), (0, 1, 0)
    style_alpha, content_alpha = np.zeros((40, 40), np.float32), np.zeros((32, 48), np.float32)
    style_alpha[:, :20] = 1
    content_alpha[:16] = 1
    options = {"how": how, "space": space}
    whole = match(style, content, weight=style_alpha, target_weight=content_alpha, **options)
    alone = match(style[:, :20], content[:16], **options)
    np.testing.assert_allclose(whole[:, :20], alone, atol=1e-4)
    found = luminance_matched(style, content, space, style_alpha, content_alpha)
    np.testing.assert_allclose(found[:, :20], luminance_matched(style[:, :20], content[:16], space), atol=1e-4)


@hows
@given(picture=colours, target=colours, clear=st.booleans())
@settings(deadline=None)
def test_any_two_pictures_give_a_picture(how, picture, target, clear):
    nothing = np.zeros(picture.shape[:2], np.float32) if clear else None
    found = match(picture, target, how=how, space="lab", weight=nothing, target_weight=nothing)
    assert found.dtype == np.float32
    assert found.shape == picture.shape
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1
