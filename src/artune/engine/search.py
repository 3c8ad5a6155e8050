"""Line search: a length along a direction that fulfils the strong Wolfe conditions."""

from collections.abc import Callable
from math import copysign, isfinite, sqrt
from typing import NamedTuple

from artune.engine.descend import Evaluation

DECREASE = 1e-4
"""Share of the decrease that the slope at the start promises, which a length must bring (c1)."""
FLATTEN = 0.9
"""Share of the slope at the start that may be left at a length (c2)."""
EVALUATIONS = 20
"""Lengths that are tried at most."""


class Trial(NamedTuple):
    """A length and what was found there.

    Attributes:
        length: in units of the direction.
        height: the function, infinite where it is not finite.
        slope: its derivative by the length.
        value: all that the function returned.
    """

    length: float
    height: float
    slope: float
    value: Evaluation


def strong_wolfe(trial: Callable[[float], Trial], start: Trial) -> Trial | None:
    """A length with enough decrease and a flatter slope (Nocedal and Wright 2006, algorithms 3.5 and 3.6).

    Departures: the first length is 1; a height that is not finite counts as too high; no length is the longest.

    Args:
        trial: evaluates a length.
        start: at length 0; its slope is negative.

    Returns:
        a length that fulfils both conditions; where ``EVALUATIONS`` did not find one, one that fulfils the first;
        ``None`` where none does.
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
    """Narrow an interval that holds a good length down to one; ``low`` is its better end (algorithm 3.6)."""
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
    """Minimum of the cubic through two heights and slopes (equation 3.59); not a number where it has none."""
    if not (isfinite(a.height) and isfinite(b.height)):
        return float("nan")
    d1 = a.slope + b.slope - 3 * (a.height - b.height) / (a.length - b.length)
    inside = d1 * d1 - a.slope * b.slope
    if inside < 0:
        return float("nan")
    d2 = copysign(sqrt(inside), b.length - a.length)
    below = b.slope - a.slope + 2 * d2
    return b.length - (b.length - a.length) * (b.slope + d2 - d1) / below if below else float("nan")
