"""The balance of content and style, from a judge's scores of a ladder of strengths.

A judge scores every picture of the ladder twice: how surely its style is recognised, and how surely its content is. The
style score rises with the strength, the content score falls. Where the two curves cross, the lower of the two scores is
as high as it can be. Nearly flat curves cross anywhere, so the balance is the middle of all strengths at which the
lower score is nearly as high as it can be; where both curves are steep, this is the crossing.

Everything is computed in the log odds of the strength, ``log(s / (1 - s))``: up to a constant, this is the logarithm of
style weight over content weight.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
LADDER_LOG_ODDS = (-1.2, 0.0, 1.2, 2.4)
"""Log odds of the strengths of the first ladder."""
PHOTOGRAPH_LOG_ODDS = -3.0
"""Log odds of the strength that stands for the untouched photograph: below it, hardly any style is seen."""
REPLACED_WITHIN = 0.4
"""Largest distance, in log odds, from the second stage's strength at which its score replaces a point of the first
stage."""
MAX_SHIFT = 2.0
"""Largest correction by the second stage, in log odds, that does not reduce the confidence; at twice this correction
the confidence is 0."""
TIE_SCORE = 0.5
"""Style score when photograph and painting share a style: the judge picks either half the time."""
MARGIN = 0.01
"""Added to a score and to its complement, so that the log odds are finite."""
TOLERANCE = 0.2
"""Scores that are lower than the best one by less than this count as nearly as good, with falling weight. It is limited
to half of the best score, or to ``LEAST_SCORE`` if that is more."""
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
            at_all = (
                "is the photograph in this style already?" if self.style >= TIE_SCORE / 2 else "none shows the style"
            )
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
    ladder: Curve | None = None,
    kept: float = KEPT_SHARE,
    tolerance: float = TOLERANCE,
    max_misfit: float = MAX_MISFIT,
) -> Balance:
    """Find the strength at which style and content are recognised equally well.

    Both curves are first replaced by the nearest monotone ones (isotonic regression), which are interpolated linearly
    between the strengths of the ladder. The strength lies in the safe interval if there is one.

    Args:
        curve: the scores.
        ladder: the scores of the first stage alone, if ``curve`` is made of two stages; it must be monotone, too.
        kept: share of its best score that either curve keeps in the safe interval, in [0, 1].
        tolerance: lower scores than the best one count as nearly as good if the difference is smaller; see
            ``TOLERANCE``. 0 returns the crossing itself, whether it is safe or not, for curves that are exact enough.
        max_misfit: largest RMS misfit to a monotone fit; above it, a curve counts as not monotone.

    Raises:
        InputError: ``kept`` is not in [0, 1].
    """
    check_kept(kept)
    odds = np.array([log_odds(s) for s in curve.strengths])
    style, content = np.array(curve.style), np.array(curve.content)
    rising, falling = monotone(style, rising=True), monotone(content, rising=False)
    off = max(misfit(curve), misfit(ladder) if ladder else 0.0)
    flat = max(np.ptp(rising), np.ptp(falling)) < LEAST_SCORE
    moved = max(np.ptp(style), np.ptp(content))  # a curve that runs the wrong way is not flat
    if flat and moved < 2 * LEAST_SCORE:
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


ScoreStrengths = Callable[[tuple[float, ...], bool], tuple[Sequence[float], Sequence[float]]]
"""Function of (strengths, whether this is the first stage) that returns the style scores and the content scores."""


@dataclass(frozen=True)
class LadderScores:
    """The scores of both stages of the search.

    Attributes:
        first: scores of the first stage: of the photograph, which has the lowest strength, and of small pictures at
            several strengths.
        second: scores of the second stage: of a larger picture at one strength.

    Raises:
        InputError: the scores make no curve.
    """

    first: Curve
    second: CurvePoint

    def __post_init__(self) -> None:
        if not 0 < self.second.strength < 1:  # true for NaN, too
            raise InputError(f"the strength of the second stage is {self.second.strength}; give one inside (0, 1)")
        _ = self.curve  # raises

    @property
    def shifts(self) -> tuple[float, float]:
        """Log odds by which the second stage moves the curves of style and content."""
        place, places = log_odds(self.second.strength), [log_odds(strength) for strength in self.first.strengths]
        style, content = (
            score_log_odds(seen) - score_log_odds(float(np.interp(place, places, values)))
            for seen, values in zip(self.second[1:], (self.first.style, self.first.content), strict=True)
        )
        return style, content

    @property
    def corrected(self) -> tuple[CurvePoint | None, ...]:
        """The points of the first stage, corrected by the second; ``None`` for a point that the second replaces."""
        style, content = self.shifts
        photograph, *rest = self.first.points
        return photograph, *(
            CurvePoint(each.strength, _moved(each.style, style), _moved(each.content, content))
            if abs(log_odds(each.strength) - log_odds(self.second.strength)) > REPLACED_WITHIN
            else None
            for each in rest
        )

    @property
    def curve(self) -> Curve:
        """The corrected points of the first stage, and the point of the second stage."""
        points = [self.second, *(point for point in self.corrected if point)]
        return Curve(*zip(*sorted(points), strict=True))

    def balance(self, *, kept: float = KEPT_SHARE) -> Balance:
        """The balance of the curve; the confidence falls if the second stage moves it by more than ``MAX_SHIFT``.

        At twice this correction the two stages contradict each other: the balance is then reported as NOT_MONOTONE.
        """
        found = balance(self.curve, ladder=self.first, kept=kept)
        share = min(max(2 - max(map(abs, self.shifts)) / MAX_SHIFT, 0.0), 1.0)
        reason = found.reason if share or found.reason is Reason.FLAT else Reason.NOT_MONOTONE
        return replace(found, reason=reason, confidence=share * found.confidence)


def score_ladder(
    score_strengths: ScoreStrengths, untouched: tuple[float, float], *, kept: float = KEPT_SHARE
) -> LadderScores:
    """Score a ladder of strengths in two stages.

    The first stage scores small pictures at a few strengths over the whole range. Their scores differ from those of
    whole runs, but by nearly the same amount at every strength, in log odds of the score. The second stage scores a
    larger picture at the strength where the first stage balances. Each curve is then moved, in log odds, by the
    difference of its two scores at this strength. The point of the photograph is not moved, because the photograph is
    not made by a short run.

    Args:
        score_strengths: makes and scores the pictures at given strengths.
        untouched: style and content score of the photograph itself, which is the weakest of the ladder.
        kept: share of its best score that either curve keeps in the safe interval; see ``balance``.
    """
    strengths = tuple(map(strength_at, LADDER_LOG_ODDS))
    styles, contents = score_strengths(strengths, True)
    style, content = untouched
    first = Curve((strength_at(PHOTOGRAPH_LOG_ODDS), *strengths), (style, *styles), (content, *contents))
    place = max(log_odds(balance(first, kept=kept).strength), PHOTOGRAPH_LOG_ODDS + REPLACED_WITHIN)
    second = strength_at(place)
    (style,), (content,) = score_strengths((second,), False)
    return LadderScores(first, CurvePoint(second, style, content))


def _moved(probability: float, by: float) -> float:
    """The probability whose log odds differ by ``by`` from those of ``probability``, clamped to [0, 1]."""
    moved = (1 + 2 * MARGIN) / (1 + math.exp(-score_log_odds(probability) - by)) - MARGIN
    return min(max(moved, 0.0), 1.0)


def score_log_odds(probability: float) -> float:
    """Log odds of a score, which is a probability in [0, 1]; with ``MARGIN`` added, so that they are finite."""
    inside = min(max(probability, 0.0), 1.0)
    return math.log((inside + MARGIN) / (1 - inside + MARGIN))


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
    best = lower.max()
    within = min(tolerance, max(best / 2, LEAST_SCORE))
    return float(np.average(places, weights=np.clip(lower - best + within, 0, None)))


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
