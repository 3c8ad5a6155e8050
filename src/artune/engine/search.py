"""Line search: find a step length along a direction that fulfils the strong Wolfe conditions."""

from collections.abc import Callable
from math import copysign, isfinite, sqrt
from typing import NamedTuple

from artune.engine.descend import Evaluation

DECREASE = 1e-4
"""Constant c1 of the sufficient decrease condition: the function must fall by this share of what the slope at the start
predicts."""
FLATTEN = 0.9
"""Constant c2 of the curvature condition: the slope must fall to this share of the slope at the start."""
EVALUATIONS = 20
"""Largest number of lengths that are tried."""


class Trial(NamedTuple):
    """The function at one step length.

    Attributes:
        length: step length, in units of the direction.
        height: value of the function; infinite if it is not finite.
        slope: derivative of the function with respect to the length.
        value: everything that the function returned.
    """

    length: float
    height: float
    slope: float
    value: Evaluation


def strong_wolfe(trial: Callable[[float], Trial], start: Trial) -> Trial | None:
    """Find a length that fulfils the strong Wolfe conditions (Nocedal and Wright 2006, algorithms 3.5 and 3.6).

    Departures: the first length is 1; a height that is not finite counts as too high; there is no largest length.

    Args:
        trial: evaluates the function at a length.
        start: the function at length 0; its slope is negative.

    Returns:
        a length that fulfils both conditions. If ``EVALUATIONS`` lengths did not contain one, a length with sufficient
        decrease; ``None`` if there is none.
    """
    before, here = start, trial(1.0)
    for left in reversed(range(EVALUATIONS - 1)):
        if not _decreases(here, start) or (before is not start and here.height >= before.height):
            return _zoom(trial, start, before, here, left)
        if _is_flat(here, start):
            return here
        if here.slope >= 0:
            return _zoom(trial, start, here, before, left)
        longer = _minimum(before, here)
        if not 1.1 * here.length <= longer <= 10 * here.length:  # nor NaN
            longer = 1.1 * here.length if longer < here.length else 10 * here.length
        before, here = here, trial(longer)
    return here if _decreases(here, start) else before


def _zoom(trial: Callable[[float], Trial], start: Trial, low: Trial, high: Trial, left: int) -> Trial | None:
    """Narrow down an interval that contains an acceptable length (algorithm 3.6); ``low`` is its better end."""
    for _ in range(left):
        a, b = sorted((low.length, high.length))
        margin = 0.1 * (b - a)
        length = _minimum(low, high)
        here = trial(min(max(length, a + margin), b - margin) if isfinite(length) else (a + b) / 2)
        if not _decreases(here, start) or here.height >= low.height:
            high = here
            continue
        if _is_flat(here, start):
            return here
        if here.slope * (high.length - low.length) >= 0:
            high = low
        low = here
    return low if low.length > 0 else None


def _decreases(here: Trial, start: Trial) -> bool:
    return here.height <= start.height + DECREASE * here.length * start.slope


def _is_flat(here: Trial, start: Trial) -> bool:
    return abs(here.slope) <= -FLATTEN * start.slope


def _minimum(a: Trial, b: Trial) -> float:
    """Minimum of the cubic with these heights and slopes (equation 3.59); NaN if it has none."""
    if not (isfinite(a.height) and isfinite(b.height)):
        return float("nan")
    d1 = a.slope + b.slope - 3 * (a.height - b.height) / (a.length - b.length)
    inside = d1 * d1 - a.slope * b.slope
    if inside < 0:
        return float("nan")
    d2 = copysign(sqrt(inside), b.length - a.length)
    below = b.slope - a.slope + 2 * d2
    return b.length - (b.length - a.length) * (b.slope + d2 - d1) / below if below else float("nan")
