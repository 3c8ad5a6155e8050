"""The balance of content and style, from what judges say of a ladder of strengths.

With a higher strength the style is recognised more surely, and the content less. Where the two curves cross, both are
recognised as surely as they can be at once. Everything is computed in the log odds of the strength, in which the ratio
of the weights is a straight scale: ``log(s / (1 - s))`` is the logarithm of style weight over content weight but for a
constant.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from artune.errors import InputError

Values = Float[NDArray[np.float64], " n"]

LEVEL = 0.1
"""Change over the whole ladder, of a probability, below which a curve says nothing."""
ROUGH = 0.15
"""Root mean square distance of a curve from the nearest monotone one, above which it is not one that rises or falls."""
KEPT = 0.8
"""Share of its best that either curve keeps in the safe interval."""


class Reason(StrEnum):
    """How a balance was found."""

    CROSSED = "crossed"
    NO_CROSSING = "no crossing"
    FLAT = "flat"
    NOT_MONOTONE = "not monotone"


@dataclass(frozen=True)
class Curve:
    """What judges say along a ladder.

    Attributes:
        strengths: ascending, inside (0, 1); two at least.
        style: how surely each result is recognised as its own style, 0 for chance and 1 for certain.
        content: the same of its own content.

    Raises:
        InputError: of different lengths, fewer than two, not ascending, or not finite.
    """

    strengths: tuple[float, ...]
    style: tuple[float, ...]
    content: tuple[float, ...]

    def __post_init__(self) -> None:
        counts = {len(self.strengths), len(self.style), len(self.content)}
        if len(counts) > 1 or len(self.strengths) < 2:
            raise InputError(
                f"a curve has {len(self.strengths)} strengths, {len(self.style)} values for the style and "
                f"{len(self.content)} for the content; give as many of each, two at least"
            )
        rising = all(a < b for a, b in zip((0.0, *self.strengths), (*self.strengths, 1.0), strict=True))
        if not rising:  # nor NaN
            raise InputError(f"the strengths of a curve are {self.strengths}; give them ascending, inside (0, 1)")
        if not all(math.isfinite(value) for value in (*self.style, *self.content)):
            raise InputError("a curve holds values that are not finite; judge the pictures again")


@dataclass(frozen=True)
class Balance:
    """The strength that was found.

    Attributes:
        strength: where both are recognised alike; where the curves do not cross, where they are nearest.
        low: least safe strength, from which the style keeps its share of its best (``kept`` of :func:`balance`); or
            ``None`` where no strength is safe for both.
        high: largest safe strength, up to which the content keeps its share; or ``None`` likewise.
        reason: how it was found.
        confidence: 1 where smooth curves meet, 0 where they say nothing.
    """

    strength: float
    low: float | None
    high: float | None
    reason: Reason
    confidence: float


def balance(curve: Curve, *, kept: float = KEPT) -> Balance:
    """The strength at which style and content are recognised alike.

    Both curves are first replaced by the nearest monotone ones (isotonic regression), and read along straight lines
    between the ladder's strengths.

    Args:
        curve: what the judges say.
        kept: share of its best that either keeps in the safe interval, in [0, 1].
    """
    odds = np.array([math.log(s / (1 - s)) for s in curve.strengths])
    style, content = (np.array(values, dtype=np.float64) for values in (curve.style, curve.content))
    rising, falling = (monotone(style, rising=True), monotone(content, rising=False))
    misfit = max(_rms(style - rising), _rms(content - falling))
    if max(np.ptp(rising), np.ptp(falling)) < LEVEL and misfit <= ROUGH:
        ends = curve.strengths[0], curve.strengths[-1]
        return Balance(min(max(0.5, ends[0]), ends[1]), *ends, Reason.FLAT, 0.0)
    gap = rising - falling  # rises
    place = _zero(odds, gap)
    reason = Reason.CROSSED if gap[0] <= 0 <= gap[-1] else Reason.NO_CROSSING
    if misfit > ROUGH:
        reason = Reason.NOT_MONOTONE
    low = _first(odds, rising, kept * rising[-1])
    high = -_first(-odds[::-1], falling[::-1], kept * falling[0])
    apart = abs(float(np.interp(place, odds, gap)))
    confidence = max(0.0, 1 - misfit / ROUGH) * max(0.0, 1 - apart)
    within = low <= high
    return Balance(
        _strength(place), _strength(low) if within else None, _strength(high) if within else None, reason, confidence
    )


def monotone(values: Values, *, rising: bool) -> Values:
    """The nearest values, by least squares, that nowhere fall; or nowhere rise."""
    return np.asarray(isotonic_regression(values, increasing=rising).x, np.float64)


def _zero(x: Values, rising: Values) -> float:
    """Where a rising line is zero, in the middle where it stays so; or the end that is nearer to it."""
    if rising[0] > 0 or rising[-1] < 0:
        nearest = np.flatnonzero(np.abs(rising) == np.abs(rising).min())
        return float(x[nearest].mean())
    return (_first(x, rising, 0.0) - _first(-x[::-1], -rising[::-1], 0.0)) / 2


def _first(x: Values, rising: Values, level: float) -> float:
    """The least place at which a rising line reaches a level that it reaches somewhere."""
    at = int(np.argmax(rising >= level))
    if at == 0:
        return float(x[0])
    share = (level - rising[at - 1]) / (rising[at] - rising[at - 1])
    return float(x[at - 1] + share * (x[at] - x[at - 1]))


def _rms(values: Values) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _strength(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))
