"""The balance of content and style, from the scores of a ladder of strengths.

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
from scipy.optimize import isotonic_regression

from artune.errors import InputError

Values = Float[np.ndarray, " n"]

LEAST_SCORE = 0.1
"""Smallest score that means something. A curve that changes by less over the whole ladder is flat; a style or content
with a lower score is not recognised."""
FULL_CHANGE = 0.5
"""Change of a curve over the ladder from which on the confidence is full."""
MAX_MISFIT = 0.05
"""RMS misfit to a monotone fit above which a curve counts as not monotone."""
KEPT_SHARE = 0.8
"""Share of its best score that either curve keeps in the safe interval."""
LADDER_LOG_ODDS = (-1.2, 0.0, 1.2, 2.4)
"""Log odds of the strengths of the first ladder."""
PHOTOGRAPH_LOG_ODDS = -3.0
"""Log odds of the strength that stands for the untouched photograph: below it, hardly any style is seen."""
REPLACED_WITHIN = 0.4
"""Distance in log odds below which the second look replaces a point of the first ladder."""
MAX_SHIFT = 2.0
"""Largest correction by the second look, in log odds, that leaves the confidence as it is; at twice this distance the
confidence is 0."""
TIE_SCORE = 0.5
"""Style score when photograph and painting share a style: the judge picks either half the time."""
MARGIN = 0.01
"""Added to a score and to its complement, so that the log odds are finite."""
TOLERANCE = 0.2
"""Range of scores below the best one that count as nearly as good, with falling weight. At most half of the best score,
at least ``LEAST_SCORE``."""
ADVICE = "Stage at the result, or set the strength"
"""What the user of a guess is told to do."""


class Reason(StrEnum):
    """How a balance was found."""

    CROSSED = "crossed"
    NO_CROSSING = "no crossing"
    FLAT = "flat"
    NOT_MONOTONE = "not monotone"


class CurvePoint(NamedTuple):
    """A strength, and what judges say of its picture.

    Attributes:
        strength: inside (0, 1).
        style: how surely the style is recognised, 0 for chance and 1 for certain.
        content: the same of the content.
    """

    strength: float
    style: float
    content: float


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

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        """One for each strength."""
        return tuple(CurvePoint(*each) for each in zip(self.strengths, self.style, self.content, strict=True))


@dataclass(frozen=True)
class Balance:
    """The strength that was found.

    Attributes:
        strength: where the less recognised of both is as good as it can be; with ``tolerance=0`` of ``balance``, where
            they cross or come nearest to it.
        low: least safe strength, from which the style keeps its share of its best (``kept`` of ``balance``); or
            ``None`` where no strength keeps both, or one of them is recognised nowhere.
        high: largest safe strength, up to which the content keeps its share; or ``None`` likewise.
        reason: how it was found.
        confidence: 1 where smooth curves meet, 0 where they say nothing.
        style: how surely the style is recognised there, by the smoothed curve.
        content: how surely the content is.
        nearest: the strength at which they cross, or come nearest to it.
        kept: share of its best that either keeps in the safe interval.
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
        """What a user is told."""
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
    """The strength at which style and content are recognised alike.

    Both curves are first replaced by the nearest monotone ones (isotonic regression), and read along straight lines
    between the ladder's strengths. The strength is a safe one where there is any.

    Args:
        curve: what the judges say.
        ladder: what was seen in one look, if the curve is made of several: this is to rise and fall too.
        kept: share of its best that either keeps in the safe interval, in [0, 1].
        tolerance: how far below its best the lesser of both still counts, less and less; 0 for the crossing itself, safe
            or not, where the curves are exact enough.
        max_misfit: most root mean square distance of a curve that rises, or falls, from the nearest that does so everywhere.

    Raises:
        InputError: ``kept`` is no share.
    """
    check_kept(kept)
    odds = np.array([log_odds(s) for s in curve.strengths])
    style, content = np.array(curve.style), np.array(curve.content)
    rising, falling = monotone(style, rising=True), monotone(content, rising=False)
    off = max(misfit(curve), misfit(ladder) if ladder else 0.0)
    still = max(np.ptp(rising), np.ptp(falling)) < LEAST_SCORE
    moved = max(np.ptp(style), np.ptp(content))  # a curve that runs the wrong way is not still
    if still and moved < 2 * LEAST_SCORE:
        ends = curve.strengths[0], curve.strengths[-1]
        strength = min(max(0.5, ends[0]), ends[1])
        means = float(rising.mean()), float(falling.mean())
        return Balance(strength, None, None, Reason.FLAT, 0.0, *means, strength, kept)
    gap = np.round(rising - falling, 12)  # rises; equal but for rounding is equal
    nearest = _nearest(odds, gap)
    place = _middle(odds, rising, falling, tolerance) if tolerance else nearest
    reason = Reason.CROSSED if gap[0] <= 0 <= gap[-1] else Reason.NO_CROSSING
    if off > max_misfit or still:
        reason = Reason.NOT_MONOTONE
    low = _first(odds, rising, kept * rising[-1])
    high = -_first(-odds[::-1], falling[::-1], kept * falling[0])
    within = low <= high and min(rising[-1], falling[0]) >= LEAST_SCORE
    if within and tolerance:
        place = min(max(place, low), high)
    here = [float(np.interp(place, odds, values)) for values in (rising, falling)]
    clear = min(1.0, moved / FULL_CHANGE, max(0.0, min(here)) / LEAST_SCORE)
    confidence = 0.0 if still else clear * max(0.0, 1 - off / max_misfit) * max(0.0, 1 - abs(here[0] - here[1]))
    safe = (strength_at(low), strength_at(high)) if within else (None, None)
    return Balance(
        strength_at(place), safe[0], safe[1], reason, confidence, here[0], here[1], strength_at(nearest), kept
    )


def check_kept(kept: float) -> None:
    """Raise unless it is a share.

    Raises:
        InputError: naming it.
    """
    if not 0 <= kept <= 1:  # nor NaN
        raise InputError(f"kept is {kept:g}; give the share of its best that either keeps, between 0 and 1")


ScoreStrengths = Callable[[tuple[float, ...], bool], tuple[Sequence[float], Sequence[float]]]
"""What judges say of style and of content at some strengths, coarsely (first) or well."""


@dataclass(frozen=True)
class LadderScores:
    """A ladder, and the second look at one strength of it.

    Attributes:
        first: what judges said of the photograph, which is the weakest, and of the first pictures.
        second: what they said of the better picture of the strength that was looked at then.

    Raises:
        InputError: they make no curve.
    """

    first: Curve
    second: CurvePoint

    def __post_init__(self) -> None:
        if not 0 < self.second.strength < 1:  # nor NaN
            raise InputError(f"the second look is at strength {self.second.strength}; give one inside (0, 1)")
        _ = self.curve  # which raises

    @property
    def shifts(self) -> tuple[float, float]:
        """Log odds by which the second look moves the curves of style and of content."""
        place, places = log_odds(self.second.strength), [log_odds(strength) for strength in self.first.strengths]
        style, content = (
            score_log_odds(seen) - score_log_odds(float(np.interp(place, places, values)))
            for seen, values in zip(self.second[1:], (self.first.style, self.first.content), strict=True)
        )
        return style, content

    @property
    def corrected(self) -> tuple[CurvePoint | None, ...]:
        """The points of the first ladder, put right; ``None`` for one whose place the second look takes."""
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
        """The first ladder, put right, and the second look."""
        points = [self.second, *(point for point in self.corrected if point)]
        return Curve(*zip(*sorted(points), strict=True))

    def balance(self, *, kept: float = KEPT_SHARE) -> Balance:
        """Of the curve; the confidence falls with what the second look had to move beyond ``MAX_SHIFT``.

        Where that is all of it, the looks contradict one another, and the strength is not what decides.
        """
        found = balance(self.curve, ladder=self.first, kept=kept)
        share = min(max(2 - max(map(abs, self.shifts)) / MAX_SHIFT, 0.0), 1.0)
        reason = found.reason if share or found.reason is Reason.FLAT else Reason.NOT_MONOTONE
        return replace(found, reason=reason, confidence=share * found.confidence)


def score_ladder(probe: ScoreStrengths, untouched: tuple[float, float], *, kept: float = KEPT_SHARE) -> LadderScores:
    """A ladder of strengths, put right by a good look at the one where they balance.

    A few strengths over the whole range are judged first, coarsely: what is said of small pictures is off, but by
    nearly the same log odds at every strength. Then the one where they balance is judged well, and either curve is
    moved by as much, in the log odds of its probabilities, as it was off there; but for the photograph, which is none
    of these pictures.

    Args:
        probe: asks the judges.
        untouched: what they say of style and content of the photograph itself, which is the weakest of the ladder.
        kept: of the safe interval, in which the balance lies; see ``balance``.
    """
    strengths = tuple(map(strength_at, LADDER_LOG_ODDS))
    styles, contents = probe(strengths, True)
    style, content = untouched
    first = Curve((strength_at(PHOTOGRAPH_LOG_ODDS), *strengths), (style, *styles), (content, *contents))
    place = max(log_odds(balance(first, kept=kept).strength), PHOTOGRAPH_LOG_ODDS + REPLACED_WITHIN)
    second = strength_at(place)
    (style,), (content,) = probe((second,), False)
    return LadderScores(first, CurvePoint(second, style, content))


def _moved(probability: float, by: float) -> float:
    """A probability of other log odds."""
    moved = (1 + 2 * MARGIN) / (1 + math.exp(-score_log_odds(probability) - by)) - MARGIN
    return min(max(moved, 0.0), 1.0)


def score_log_odds(probability: float) -> float:
    """Log odds of a probability, with a margin."""
    inside = min(max(probability, 0.0), 1.0)
    return math.log((inside + MARGIN) / (1 - inside + MARGIN))


def monotone(values: Values, *, rising: bool) -> Values:
    """The nearest values, by least squares, that nowhere fall; or nowhere rise."""
    return np.asarray(isotonic_regression(values, increasing=rising).x, np.float64)


def _middle(x: Values, rising: Values, falling: Values, tolerance: float) -> float:
    """Mean place of those where the lower of two lines is within ``tolerance`` of its best, weighted by how near it is."""
    places = np.linspace(x[0], x[-1], 1001)
    lower = np.minimum(np.interp(places, x, rising), np.interp(places, x, falling))
    best = lower.max()
    within = min(tolerance, max(best / 2, LEAST_SCORE))
    return float(np.average(places, weights=np.clip(lower - best + within, 0, None)))


def _nearest(x: Values, gap: Values) -> float:
    """The place where a rising line is 0, or comes nearest to it; of a stretch its middle."""
    level = min(max(gap[0], 0.0), gap[-1])
    return (_first(x, gap, level) - _first(-x[::-1], -gap[::-1], -level)) / 2


def _first(x: Values, rising: Values, level: float) -> float:
    """The least place at which a rising line reaches a level that it reaches somewhere."""
    at = int(np.argmax(rising >= level))
    if at == 0:
        return float(x[0])
    share = (level - rising[at - 1]) / (rising[at] - rising[at - 1])
    return float(x[at - 1] + share * (x[at] - x[at - 1]))


def misfit(curve: Curve) -> float:
    """Root mean square distance from monotone curves, of the one that is farther from its own."""
    style, content = np.array(curve.style), np.array(curve.content)
    away = style - monotone(style, rising=True), content - monotone(content, rising=False)
    return float(np.sqrt(np.mean(np.square(away), 1)).max())


def log_odds(strength: float) -> float:
    """``log(s / (1 - s))`` of a strength inside (0, 1)."""
    return math.log(strength / (1 - strength))


def strength_at(odds: float) -> float:
    """The strength with these log odds."""
    return 1 / (1 + math.exp(-odds))
