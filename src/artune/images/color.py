"""Colour spaces, and giving one picture the colours of another (Gatys et al. 2017, section 5).

Pictures are ``[h, w, 3]``, float32, sRGB in [0, 1]. A weight is ``[h, w]`` and says how much each pixel counts;
transparent ones do not. Where only the statistics of two pictures are compared, their sizes may differ.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from artune.images.picture import Floats, floats

STEP = 1 / 255
"""One 8-bit step. A smaller standard deviation is rounding or noise, and is not stretched to another picture's."""

_IN_GAMUT = 1e-4  # beyond [0, 1], still the same colour
_ROWS = 128
_HALVINGS = 14  # of the share of chroma that fits

_XYZ_OF_RGB = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_XYZ_OF_RGB /= _XYZ_OF_RGB.sum(1, keepdims=True)  # relative to white, so that greys have no chroma at all
_YIQ_OF_RGB = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_BEND = 6 / 29  # of CIE's cube root: below its cube it is a straight line


def to_lab(rgb: Floats) -> Floats:
    """CIE 1976 L*a*b* of sRGB, for D65: lightness in [0, 100], a and b 0 for greys."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0) + 0.055) / 1.055) ** 2.4)
    xyz = _apply(_XYZ_OF_RGB, linear)
    root = np.where(xyz > _BEND**3, np.cbrt(xyz), xyz / (3 * _BEND**2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return floats(np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1))


def from_lab(lab: Floats) -> Floats:
    """sRGB of L*a*b*. Not clipped: colours outside of sRGB have values beyond [0, 1]."""
    lightness, a, b = np.moveaxis(lab, -1, 0)
    y = (lightness + 16) / 116
    root = np.stack([y + a / 500, y, y - b / 200], -1)
    xyz = np.where(root > _BEND, root**3, 3 * _BEND**2 * (root - 4 / 29))
    linear = _apply(np.linalg.inv(_XYZ_OF_RGB), xyz)
    return floats(np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055))


def to_yiq(rgb: Floats) -> Floats:
    """NTSC's YIQ: luma in [0, 1], I and Q 0 for greys; linear in the sRGB values."""
    return _apply(_YIQ_OF_RGB, rgb)


def from_yiq(yiq: Floats) -> Floats:
    """The inverse of ``to_yiq``; nothing is clipped."""
    return _apply(np.linalg.inv(_YIQ_OF_RGB), yiq)


def _apply(matrix: NDArray[np.float64], colours: NDArray[Any]) -> Floats:
    return floats(colours @ matrix.T.astype(np.float32))


@dataclass(frozen=True)
class Space:
    """A colour space whose first channel is luminance, and whose others are 0 for greys.

    Attributes:
        forward: from sRGB.
        back: to sRGB, not clipped.
        white: luminance of white.
    """

    forward: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]
    white: float


SPACES = {"lab": Space(to_lab, from_lab, 100.0), "yiq": Space(to_yiq, from_yiq, 1.0)}
"""The colour spaces in which luminance and chroma are separated, by name."""


# ------------------------------------------------------------------------------------- luminance


def grey(picture: Floats, space: str) -> Floats:
    """The luminance alone, as a grey picture."""
    to = SPACES[space]
    return _by_rows(lambda rows: _from_luminance(to.forward(rows)[..., 0], to), picture)


def luminance_matched(
    style: Floats, content: Floats, space: str, weight: Floats | None = None, content_weight: Floats | None = None
) -> Floats:
    """The style's luminance as a grey picture, with the mean and the deviation of the content's.

    The style then has the contrast of the content's scene (Gatys 2017, luminance-only transfer). A style whose
    deviation is below one 8-bit step is not stretched. Values beyond [0, white] are clipped.
    """
    to = SPACES[space]
    luminance, target = (_by_rows(lambda rows: to.forward(rows)[..., 0], picture) for picture in (style, content))
    mean, deviation = _spread(luminance, weight)
    target_mean, target_deviation = _spread(target, content_weight)
    gain = target_deviation / max(deviation, STEP * to.white)
    return _from_luminance(floats(gain * (luminance - mean) + target_mean), to)


def with_luminance_of(result: Floats, colours_from: Floats, space: str) -> Floats:
    """The luminance of one picture with the chroma of another (Gatys 2017, luminance-only transfer).

    If the two together are outside of sRGB, luminance and hue are kept, and chroma is reduced as far as needed.
    Clipping each channel would change all three.

    Args:
        result: gives the luminance.
        colours_from: gives the chroma, in the same size.
        space: a key of ``SPACES``.
    """
    to = SPACES[space]

    def joined(result: Floats, colours_from: Floats) -> Floats:
        colours = to.forward(colours_from)
        colours[..., 0] = to.forward(result)[..., 0]
        return within_gamut(colours, to)

    return _by_rows(joined, result, colours_from)


def _by_rows(function: Callable[..., Floats], *pictures: Floats) -> Floats:
    """Apply a function of single pixels to some rows at a time, so that its memory does not grow with the picture."""
    height = len(pictures[0])
    return np.concatenate([function(*(p[y : y + _ROWS] for p in pictures)) for y in range(0, height, _ROWS)])


def _from_luminance(luminance: Floats, space: Space) -> Floats:
    colours = np.zeros((*luminance.shape, 3), np.float32)
    colours[..., 0] = luminance
    return np.clip(space.back(colours), 0, 1)


def _spread(values: Floats, weight: Floats | None) -> tuple[float, float]:
    share = _shares(values.shape, weight)
    mean = np.sum(share * values)
    return float(mean), float(np.sqrt(np.sum(share * (values - mean) ** 2)))


def within_gamut(colours: Floats, space: Space) -> Floats:
    """sRGB of the colours, each with as much of its chroma as sRGB can show; the share is found by bisection."""
    colours[..., 0] = np.clip(colours[..., 0], 0, space.white)
    rgb = space.back(colours)
    outside = ~_displayable(rgb)
    chroma = colours[outside]
    fits = np.zeros((len(chroma), 1), np.float32)  # a grey always does
    for halving in range(1, _HALVINGS + 1):
        more = fits + np.float32(0.5**halving)
        fits = np.where(_displayable(space.back(_faded(chroma, more)))[:, None], more, fits)
    rgb[outside] = space.back(_faded(chroma, fits))
    return np.clip(rgb, 0, 1)


def _faded(colours: Floats, share: Floats) -> Floats:
    return np.concatenate([colours[:, :1], share * colours[:, 1:]], 1)


def _displayable(rgb: Floats) -> NDArray[np.bool_]:
    return np.asarray(((rgb >= -_IN_GAMUT) & (rgb <= 1 + _IN_GAMUT)).all(-1))


# ------------------------------------------------------------------------------------- matching


def match(
    picture: Floats,
    target: Floats,
    *,
    how: Literal["moments", "histogram"],
    space: str,
    weight: Floats | None = None,
    target_weight: Floats | None = None,
) -> Floats:
    """The picture in the colours of the target, in [0, 1].

    Moments are matched in RGB, as in the paper, because a covariance describes correlated channels in any space.
    Histograms describe each channel alone, so they are matched in ``space``, whose channels are less correlated than
    those of RGB.

    Args:
        picture: the style.
        target: the content.
        how: mean and covariance, or the histogram of each channel.
        space: a key of ``SPACES``, for histograms.
        weight: how much the pixels of the picture count.
        target_weight: how much those of the target count.
    """
    if how == "moments":
        return np.clip(match_moments(picture, target, weight, target_weight), 0, 1)
    to = SPACES[space]
    return within_gamut(match_histogram(to.forward(picture), to.forward(target), weight, target_weight), to)


def match_moments(
    picture: Floats, target: Floats, weight: Floats | None = None, target_weight: Floats | None = None
) -> Floats:
    """An affine map of the colours that gives them the target's mean and covariance (Gatys 2017, colour
    histogram matching).

    The paper asks for some A with A S A' = T and leaves a rotation open. This A is the one of optimal transport,
    S^-1/2 (S^1/2 T S^1/2)^1/2 S^-1/2 (Pitié and Kokaram 2007): symmetric, it moves colours the least, turns no hues
    and depends smoothly on both covariances, where Cholesky's factors depend on the order of the channels.
    Directions in which the picture varies by less than one 8-bit step are stretched as if they varied by that.
    Nothing is clipped.
    """
    mean, covariance = moments(picture, weight)
    target_mean, target_covariance = moments(target, target_weight)
    return _apply(monge(covariance, target_covariance, STEP), picture - floats(mean)) + floats(target_mean)


def monge(covariance: NDArray[np.float64], target: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """The matrix ``[3, 3]`` of the optimal transport of one Gaussian to another; see ``match_moments``.

    Args:
        covariance: of the one.
        target: covariance of the other.
        least: smallest standard deviation; directions of less are stretched as if they had that.
    """
    values, vectors = np.linalg.eigh(covariance)
    deviations = np.sqrt(np.maximum(values, least**2))
    root, inverse = (vectors * deviations) @ vectors.T, (vectors / deviations) @ vectors.T
    values, vectors = np.linalg.eigh(root @ target @ root)
    middle = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return np.asarray(inverse @ middle @ inverse)


def moments(picture: Floats, weight: Floats | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean ``[3]`` and covariance ``[3, 3]`` of the colours; if all weights are 0, all pixels count the same."""
    share = _shares(picture.shape[:2], weight).reshape(-1, 1)
    colours = picture.reshape(-1, 3).astype(np.float64)
    mean = (share * colours).sum(0)
    colours -= mean
    return mean, (share * colours).T @ colours


def match_histogram(
    picture: Floats, target: Floats, weight: Floats | None = None, target_weight: Floats | None = None
) -> Floats:
    """Map each channel by a rising function, so that its values have the distribution of the target's.

    Equal values stay equal. Between the target's values the function interpolates. A value counts as the middle of its
    share of the distribution, so a picture that is matched to itself does not change.
    """
    shares = _shares(picture.shape[:2], weight).ravel()
    target_shares = _shares(target.shape[:2], target_weight).ravel()
    matched = np.empty_like(picture)
    counts = target_shares > 0  # pixels without weight give no colours
    for channel in range(picture.shape[-1]):
        _, ranks, places = _distribution(picture[..., channel].ravel(), shares)
        levels, target_ranks, _ = _distribution(target[..., channel].ravel()[counts], target_shares[counts])
        matched[..., channel] = np.interp(ranks, target_ranks, levels)[places].reshape(picture.shape[:2])
    return matched


def _distribution(values: Floats, shares: NDArray[np.float64]) -> tuple[Floats, NDArray[np.float64], NDArray[np.intp]]:
    """The distinct values, ascending; the share below each plus half of its own; the place of each value among them."""
    levels, places = np.unique(values, return_inverse=True)
    own = np.bincount(places, shares, len(levels))
    return levels, np.cumsum(own) - own / 2, places


def _shares(shape: tuple[int, ...], weight: Floats | None) -> NDArray[np.float64]:
    """Weights that sum to 1."""
    if weight is None or not weight.any():
        return np.full(shape, 1 / np.prod(shape))
    return np.asarray(weight / weight.sum(dtype=np.float64))
