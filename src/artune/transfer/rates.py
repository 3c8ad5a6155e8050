"""Step sizes: what is usual, and how they change over a run."""

from collections.abc import Sequence

from artune.engine.descend import Schedule
from artune.engine.methods import decayed
from artune.errors import SpecError
from artune.spec.style import Optimise, StyleSpec

GENTLE = 0.2
"""Strength below which steps shorten, to nothing at 0."""
LBFGS_RATE = 0.02
"""First move of L-BFGS, root mean square, in units of the pixel range."""
SGD_RATE = 0.003
"""Rate of SGD on calibrated losses, for one pixel and weights that sum to 1: the gradient of a mean falls with the
number of pixels. Three times as much diverges for some pairs."""


def usual_rate(spec: StyleSpec, adam: float, weights: float, pixels: int, strength: float) -> float:
    """Step size where the user gives none; that of the scale-free methods is shorter near the photograph, for their
    steps do not shorten by themselves with the gradient.

    Args:
        spec: what was asked for.
        adam: the recipe's step size of Adam.
        weights: sum of the weights of all terms.
        pixels: of the result.
        strength: the largest in any place.

    Raises:
        SpecError: there is no usual rate of SGD in the units of the literature.
    """
    method = spec.method
    if method.optimiser == "sgd":
        if method.scale != "calibrated":
            raise SpecError(
                f"sgd has no usual rate with scale {method.scale}; give --rate (artune.engine.methods.rate_from_255 "
                "converts one that was published for pictures in 0 .. 255)"
            )
        return SGD_RATE * pixels / weights
    rate = adam if method.optimiser == "adam" else LBFGS_RATE
    if method.start == "content" and method.scale == "calibrated":
        rate *= max(min(1.0, strength / GENTLE), 1e-9)
    return rate


def shares_of(strengths: Sequence[float]) -> list[float]:
    """Share of the result in places of these strengths: below ``GENTLE`` the photograph shines through."""
    return [min(1.0, strength / GENTLE) for strength in strengths]


def schedule(method: Optimise, level: int) -> Schedule:
    """Share of the rate at each step of a size.

    A decay counts the steps of the whole run as they were planned, so that it is the same where a size stalls or a run
    is resumed. SGD's rate is that of the last size; on calibrated losses, which are means, it is smaller at smaller
    sizes in proportion to their pixels, so that a step moves the picture as far.

    Args:
        method: resolved.
        level: place of the size among the rungs, from 0.
    """
    rungs = method.rungs or ()
    before = sum(rung.steps for rung in rungs[:level])
    share = 1.0
    if method.optimiser == "sgd" and method.scale == "calibrated":
        share = (rungs[level].size / rungs[-1].size) ** 2
    return lambda step: share * decayed(method.decay, method.decay_every, before + step)
