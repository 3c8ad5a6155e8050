"""The colours of pictures, and maps from the colours of one to those of another.

A map is a function of the colour alone: it knows no places, so that it makes no halos, and equal colours stay equal. It
is kept as a lattice, the look-up table of film grading: the result of 33 x 33 x 33 colours, between which it is
interpolated. So one map serves a picture of any size, at a few numbers per pixel, and is continuous at any number of
bits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from artune.images.color import SPACES, match_histogram, moments, monge, within_gamut
from artune.images.picture import Floats, floats

SIDE = 33
"""Colours of a lattice along red, green and blue."""
MOST = 2**15
"""Pixels that are taken of a picture: of these, two halves differ by less than one 8-bit step in their means."""
LEAST = 1e-3
"""Smallest standard deviation of colours, as a share of the luminance of white."""
STEEPEST = 2.5
"""Largest factor by which the affine part of a map enlarges differences of colours: more would turn the noise of a
photograph with few colours into blotches."""
ROUNDS = 24
"""Rotations after which the distribution of colours changes no more."""
WIDTHS = (8.0, 4.0, 2.0, 1.2)
"""Widths over which the displacements of neighbouring colours are averaged, from coarse to fine, in lattice steps."""
DOUBT = 2e-4
"""Share of a picture's pixels that, near a colour, is as much evidence as that of the coarser width."""

Colours = Floats
"""Colours one by one, ``[n, 3]``."""
Lattice = Floats
"""sRGB in [0, 1] for the colours that are evenly spaced from black to white, ``[33, 33, 33, 3]``, by red, green and
blue."""


@dataclass(frozen=True, eq=False)
class Palette:
    """Colours, and how much each counts.

    Attributes:
        colours: sRGB in [0, 1].
        shares: of each, ``[n]``, with a sum of 1.
    """

    colours: Colours
    shares: Floats

    @classmethod
    def of(cls, pixels: Floats, weight: Floats | None = None) -> Self:
        """The palette of a picture: pixels that are evenly spread over it, at most ``MOST``.

        Args:
            pixels: ``[h, w, 3]``.
            weight: how much each pixel counts, ``[h, w]``, somewhere above 0; ``None``: all the same.
        """
        flat = pixels.reshape(-1, 3)
        places = None if weight is None else np.flatnonzero(weight > 0)
        count = len(flat) if places is None else len(places)
        if count > MOST:  # at a random place in each of equal parts, so that no pattern of the picture is met
            chosen = ((np.arange(MOST) + np.random.default_rng(0).random(MOST)) * (count / MOST)).astype(np.intp)
        else:
            chosen = np.arange(count)
        chosen = chosen if places is None else places[chosen]
        shares = np.ones(len(chosen)) if weight is None else weight.ravel()[chosen].astype(np.float64)
        return cls(floats(flat[chosen]), floats(shares / shares.sum()))

    @classmethod
    def mix(cls, palettes: Sequence["Palette"], weights: Sequence[float]) -> Self:
        """The palette of several pictures together.

        Args:
            palettes: of the pictures.
            weights: of each, with a sum of 1.
        """
        shares = [weight * palette.shares for weight, palette in zip(weights, palettes, strict=True)]
        return cls(np.concatenate([palette.colours for palette in palettes]), floats(np.concatenate(shares)))


Match = Callable[[Colours, Colours, Colours, Palette, Palette], Colours]
"""Function that gives each colour of a picture its place among the colours of another. Arguments, in a colour space:
the picture's colours, the same after the affine map, those of the other; then both as palettes."""


def lattice(picture: Palette, target: Palette, how: str, space: str) -> Lattice:
    """The map from the colours of one picture to those of another.

    It is the affine map of ``monge``, at most ``STEEPEST``, and for ``transport`` and ``histogram`` what that leaves of
    the way: the displacements of the picture's own colours, averaged over their neighbourhood. The average keeps what
    differs among near colours, such as the grain and the shading of skin, as it is in the photograph: matched
    one by one, equally frequent colours would be spread apart (regularised transport; Rabin, Delon and Gousseau 2011,
    who average over the picture). A colour that the picture does not have follows the affine map.

    Args:
        picture: the picture that will be mapped.
        target: the one whose colours it gets.
        how: a key of ``MATCHES``.
        space: a key of ``SPACES``, in which colours are compared.
    """
    to, nodes = SPACES[space], _nodes()
    here, there = to.forward(picture.colours), to.forward(target.colours)
    affine = _affine(here, there, picture, target, to.white)
    moved = affine(to.forward(nodes))
    match = MATCHES[how]
    if match is not None:
        begun = affine(here)
        left = match(here, begun, there, picture, target) - begun
        moved = moved + _spread(picture, left).reshape(-1, 3)
    return within_gamut(floats(moved), to).reshape(SIDE, SIDE, SIDE, 3)


def _nodes() -> Colours:
    """The colours of a lattice in order."""
    steps = np.linspace(0, 1, SIDE, dtype=np.float32)
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)


def _affine(
    here: Colours, there: Colours, picture: Palette, target: Palette, white: float
) -> Callable[[Colours], Colours]:
    mean, covariance = moments(here[None], picture.shares[None])
    target_mean, target_covariance = moments(there[None], target.shares[None])
    values, vectors = np.linalg.eigh(monge(covariance, target_covariance, LEAST * white))
    matrix = (vectors * np.minimum(values, STEEPEST)) @ vectors.T
    return lambda colours: floats((colours - mean) @ matrix + target_mean)


def _histograms(here: Colours, begun: Colours, there: Colours, picture: Palette, target: Palette) -> Colours:
    matched: Colours = match_histogram(here[None], there[None], picture.shares[None], target.shares[None])[0]
    return matched


def _transported(here: Colours, begun: Colours, there: Colours, picture: Palette, target: Palette) -> Colours:
    """Iterative distribution transfer (Pitié, Kokaram and Dahyot 2007): in random coordinates, the distribution along
    each axis is matched by the transport of one dimension, again and again.

    It begins with the affine map, which is the whole transport if both are Gaussian.
    """
    draws, x = np.random.default_rng(0), begun.astype(np.float64)
    for _ in range(ROUNDS):
        axes, _ = np.linalg.qr(draws.standard_normal((3, 3)))
        along, wanted = x @ axes, there @ axes
        for axis in range(3):
            along[:, axis] = _transported_along(along[:, axis], wanted[:, axis], picture.shares, target.shares)
        x = along @ axes.T
    return floats(x)


def _transported_along(
    values: NDArray[np.float64], target: NDArray[np.float64], shares: Floats, of: Floats
) -> NDArray[np.float64]:
    """The values in order, each at the place of the target's at the same share of the whole."""
    order, target_order = np.argsort(values, kind="stable"), np.argsort(target, kind="stable")
    middles, target_middles = (
        np.cumsum(each, dtype=np.float64) - each / 2 for each in (shares[order], of[target_order])
    )
    moved = np.empty_like(values)
    moved[order] = np.interp(middles, target_middles, target[target_order])
    return moved


def _spread(picture: Palette, displacements: Colours) -> Lattice:
    """Displacements of a palette's colours, averaged over their neighbourhood, at the colours of a lattice.

    Where the palette has few colours near, the average is that over a larger neighbourhood; where it has none, 0.
    """
    mass, sums = np.zeros((SIDE,) * 3), np.zeros((SIDE, SIDE, SIDE, 3))
    at = np.clip(picture.colours, 0, 1) * (SIDE - 1)
    below = np.minimum(at.astype(np.intp), SIDE - 2)
    for corner in np.ndindex(2, 2, 2):
        near = np.prod(np.where(corner, at - below, 1 - (at - below)), 1) * picture.shares
        place = tuple((below + corner).T)
        np.add.at(mass, place, near)
        np.add.at(sums, place, near[:, None] * displacements)
    found = np.zeros_like(sums)
    for width in WIDTHS:
        weight = gaussian_filter(mass, width, mode="constant")[..., None]
        summed = gaussian_filter(sums, (width, width, width, 0), mode="constant")
        doubt = DOUBT / (2 * np.pi * width**2) ** 1.5
        found = (summed + doubt * found) / (weight + doubt)
    return floats(found)


MATCHES: Mapping[str, Match | None] = {"transport": _transported, "moments": None, "histogram": _histograms}
"""How colours are matched, by name; ``None``: by the affine map alone."""
