"""The balance of content and style, from a judge's scores of a ladder of strengths.

A judge scores every picture of the ladder twice: how surely its style is recognised, and how surely its content is. The
style score rises with the strength, the content score falls. Where the two curves cross, the lower of the two scores is
as high as it can be. Nearly flat curves cross anywhere, so the balance is the middle of all strengths at which the
lower score is nearly as high as it can be; where both curves are steep, this is the crossing.

Everything is computed in the log odds of the strength, ``log(s / (1 - s))``: up to a constant, this is the logarithm of
style weight over content weight.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from artune.errors import InputError

Values = Float[np.ndarray, " n"]

LEAST_SCORE = 0.1
"""Smallest score that counts as recognised. A curve that changes by less over the whole ladder is flat."""
FULL_CHANGE = 0.5
"""Change of a curve over the ladder from which on it does not reduce the confidence."""
MAX_MISFIT = 0.05
"""RMS misfit to a monotone fit above which a curve counts as not monotone."""
KEPT_SHARE = 0.8
"""Share of its best score that either curve keeps in the safe interval."""
PHOTOGRAPH_LOG_ODDS = -3.0
"""Log odds of the strength that stands for the untouched photograph: below it, hardly any style is seen."""
HAS_STYLE = 0.25
"""Style score from which on flat curves are explained by a photograph that has the style already."""
TOLERANCE = 0.05
"""Scores that are lower than the best one by less than this count as nearly as good, with falling weight."""
ADVICE = "Look at the result, or set the strength"
"""Advice to the user if the balance is a guess."""


class Reason(StrEnum):
    """How a balance was found."""

    CROSSED = "crossed"
    NO_CROSSING = "no crossing"
    FLAT = "flat"
    NOT_MONOTONE = "not monotone"


class CurvePoint(NamedTuple):
    """A strength, and the scores of the picture with that strength.

    Attributes:
        strength: inside (0, 1).
        style: style score: how surely the style is recognised, 0 for chance and 1 for certain.
        content: content score, likewise.
    """

    strength: float
    style: float
    content: float


@dataclass(frozen=True)
class Curve:
    """Style and content scores along a ladder of strengths.

    Attributes:
        strengths: at least two, ascending, inside (0, 1).
        style: style score of each picture: how surely its style is recognised, 0 for chance and 1 for certain.
        content: content score of each picture, likewise.

    Raises:
        InputError: the lengths differ, there are fewer than two strengths, they are not ascending, or a score is not
            finite.
    """

    strengths: tuple[float, ...]
    style: tuple[float, ...]
    content: tuple[float, ...]

    def __post_init__(self) -> None:
        counts = {len(self.strengths), len(self.style), len(self.content)}
        if len(counts) > 1 or len(self.strengths) < 2:
            raise InputError(
                f"a curve has {len(self.strengths)} strengths, {len(self.style)} values for the style and "
                f"{len(self.content)} for the content; give the same number of each, and at least two"
            )
        rising = all(a < b for a, b in zip((0.0, *self.strengths), (*self.strengths, 1.0), strict=True))
        if not rising:  # true for NaN, too
            raise InputError(f"the strengths of a curve are {self.strengths}; give them ascending, inside (0, 1)")
        if not all(math.isfinite(value) for value in (*self.style, *self.content)):
            raise InputError("a curve holds values that are not finite; judge the pictures again")

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        """The points of the curve, one for each strength."""
        return tuple(CurvePoint(*each) for each in zip(self.strengths, self.style, self.content, strict=True))


@dataclass(frozen=True)
class Balance:
    """The balance: the strength at which style and content are both recognised as well as possible.

    The safe interval holds the strengths at which either score is at least ``kept`` times its best.

    Attributes:
        strength: the strength at which the lower of the two scores is as high as possible; with ``tolerance=0`` of
            ``balance``, the strength at which the two curves cross, or come nearest to each other.
        low: lower end of the safe interval, where the style score reaches its share; ``None`` if the interval is empty,
            or style or content is not recognised at any strength.
        high: upper end of the safe interval, where the content score falls below its share; ``None`` likewise.
        reason: how the balance was found.
        confidence: from 0, the curves say nothing, to 1, smooth curves cross.
        style: style score at the strength, by the monotone curve.
        content: content score at the strength, likewise.
        nearest: the strength at which the curves cross, or come nearest to each other.
        kept: share of its best score that either curve keeps in the safe interval.
    """

    strength: float
    low: float | None
    high: float | None
    reason: Reason
    confidence: float
    style: float
    content: float
    nearest: float
    kept: float = KEPT_SHARE

    def __str__(self) -> str:
        """One sentence for the user."""
        text = f"strength {self.strength:.2f}"
        if self.reason is Reason.FLAT:
            at_all = "is the photograph in this style already?" if self.style >= HAS_STYLE else "none shows the style"
            return f"{text}, the usual one: what is recognised is the same at every strength ({at_all})"
        if self.reason is Reason.NOT_MONOTONE:
            return f"{text}, a guess: what is recognised does not follow the strength. {ADVICE}"
        if min(self.style, self.content) < LEAST_SCORE:
            return (
                f"{text}, a guess: too little is recognised there (style {self.style:.2f}, content "
                f"{self.content:.2f}). {ADVICE}"
            )
        if self.reason is Reason.NO_CROSSING:
            less, more = ("style", "content") if self.style < self.content else ("content", "style")
            text += (
                f": at no strength is the {less} (here {getattr(self, less):.2f}) recognised as surely as the {more} "
                f"({getattr(self, more):.2f}); they come nearest at {self.nearest:.2f}"
            )
        if self.low is None or self.high is None:
            return f"{text}; there is no safe interval"
        return f"{text}; safe from {self.low:.2f} to {self.high:.2f}"


def balance(
    curve: Curve,
    *,
    kept: float = KEPT_SHARE,
    tolerance: float = TOLERANCE,
    max_misfit: float = MAX_MISFIT,
    changed: bool = True,
) -> Balance:
    """Find the strength at which style and content are recognised equally well.

    Both curves are first replaced by the nearest monotone ones (isotonic regression), which are interpolated linearly
    between the strengths of the ladder. The strength lies in the safe interval if there is one.

    Args:
        curve: the scores.
        kept: share of its best score that either curve keeps in the safe interval, in [0, 1].
        tolerance: lower scores than the best one count as nearly as good if the difference is smaller; see
            ``TOLERANCE``. 0 returns the crossing itself, whether it is safe or not, for curves that are exact enough.
        max_misfit: largest RMS misfit to a monotone fit; above it, a curve counts as not monotone.
        changed: whether the pictures change with the strength at all.

    Raises:
        InputError: ``kept`` is not in [0, 1].
    """
    check_kept(kept)
    odds = np.array([log_odds(s) for s in curve.strengths])
    style, content = np.array(curve.style), np.array(curve.content)
    rising, falling = monotone(style, rising=True), monotone(content, rising=False)
    off = misfit(curve)
    flat = max(np.ptp(rising), np.ptp(falling)) < LEAST_SCORE
    moved = max(np.ptp(style), np.ptp(content))  # a curve that runs the wrong way is not flat
    if not changed or (flat and moved < 2 * LEAST_SCORE):
        ends = curve.strengths[0], curve.strengths[-1]
        strength = min(max(0.5, ends[0]), ends[1])
        means = float(rising.mean()), float(falling.mean())
        return Balance(strength, None, None, Reason.FLAT, 0.0, *means, strength, kept)
    gap = np.round(rising - falling, 12)  # rises; rounded, so that values that differ by rounding errors only are equal
    nearest = _nearest(odds, gap)
    place = _middle(odds, rising, falling, tolerance) if tolerance else nearest
    reason = Reason.CROSSED if gap[0] <= 0 <= gap[-1] else Reason.NO_CROSSING
    if off > max_misfit or flat:
        reason = Reason.NOT_MONOTONE
    low = _first(odds, rising, kept * rising[-1])
    high = -_first(-odds[::-1], falling[::-1], kept * falling[0])
    within = low <= high and min(rising[-1], falling[0]) >= LEAST_SCORE
    if within and tolerance:
        place = min(max(place, low), high)
    here = [float(np.interp(place, odds, values)) for values in (rising, falling)]
    clear = min(1.0, moved / FULL_CHANGE, max(0.0, min(here)) / LEAST_SCORE)
    confidence = 0.0 if flat else clear * max(0.0, 1 - off / max_misfit) * max(0.0, 1 - abs(here[0] - here[1]))
    safe = (strength_at(low), strength_at(high)) if within else (None, None)
    return Balance(
        strength_at(place), safe[0], safe[1], reason, confidence, here[0], here[1], strength_at(nearest), kept
    )


def check_kept(kept: float) -> None:
    """Raise unless ``kept`` is in [0, 1].

    Raises:
        InputError: it is not.
    """
    if not 0 <= kept <= 1:  # true for NaN, too
        raise InputError(
            f"`kept` is {kept:g}; give the share of its best score that either curve keeps, between 0 and 1"
        )


def monotone(values: Values, *, rising: bool) -> Values:
    """The nearest monotone values by least squares: isotonic regression (pooling adjacent violators, Ayer et al. 1955).

    Values that are not finite are not checked for.
    """
    # SciPy's function is not used: its import would take a tenth of a second of every start
    sign = 1 if rising else -1
    means: list[float] = []
    counts: list[int] = []
    for value in values:
        mean, count = sign * float(value), 1
        while means and means[-1] > mean:
            before, many = means.pop(), counts.pop()
            mean, count = (before * many + mean * count) / (many + count), many + count
        means.append(mean)
        counts.append(count)
    return sign * np.repeat(means, counts)


def _middle(x: Values, rising: Values, falling: Values, tolerance: float) -> float:
    """Weighted mean of all places where the lower of two lines is less than ``tolerance`` below its maximum.

    The weight falls linearly from the maximum to ``tolerance`` below it.
    """
    places = np.linspace(x[0], x[-1], 1001)
    lower = np.minimum(np.interp(places, x, rising), np.interp(places, x, falling))
    return float(np.average(places, weights=np.clip(lower - lower.max() + tolerance, 0, None)))


def _nearest(x: Values, gap: Values) -> float:
    """The place where a rising line is 0, or nearest to 0; if there are several, the middle of them."""
    level = min(max(gap[0], 0.0), gap[-1])
    return (_first(x, gap, level) - _first(-x[::-1], -gap[::-1], -level)) / 2


def _first(x: Values, rising: Values, level: float) -> float:
    """The first place at which a rising line reaches ``level``; it must reach it somewhere."""
    at = int(np.argmax(rising >= level))
    if at == 0:
        return float(x[0])
    share = (level - rising[at - 1]) / (rising[at] - rising[at - 1])
    return float(x[at - 1] + share * (x[at] - x[at - 1]))


def misfit(curve: Curve) -> float:
    """RMS distance of a curve from its monotone fit; the larger of those of style and content."""
    style, content = np.array(curve.style), np.array(curve.content)
    away = style - monotone(style, rising=True), content - monotone(content, rising=False)
    return float(np.sqrt(np.mean(np.square(away), 1)).max())


def log_odds(strength: float) -> float:
    """``log(s / (1 - s))`` of a strength inside (0, 1)."""
    return math.log(strength / (1 - strength))


def strength_at(odds: float) -> float:
    """The strength with the given log odds."""
    return 1 / (1 + math.exp(-odds))
