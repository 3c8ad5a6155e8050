"""The equilibrium of a study: the weight at which content and style are recognised equally often."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from artune.balance.curve import Balance, Curve, Reason, balance, log_odds, strength_at
from artune.studies.axis import Weight, place_label
from artune.studies.bootstrap import DRAWS, INNER, Array, means, resampled
from artune.studies.entries import Side

ROUGH = 0.15
"""RMS misfit to a monotone fit above which a curve counts as not monotone (``artune.balance.curve.balance``); the
accuracies of a few dozen pictures rise and fall by chance."""
SAME = 1e-9
"""Smallest difference of two places, or of two accuracies, that is not rounding."""


@dataclass(frozen=True)
class Equilibrium:
    """Where both sides are recognised equally often.

    Attributes:
        place: on the axis: where the curves cross, or where they come nearest to each other.
        low: first place of the safe interval, in which both sides keep 0.8 of their best accuracy; ``None`` if there is
            none.
        high: last place of the safe interval.
        inner: interval that holds the crossing in 95 % of the draws in which an accuracy changes with the weight. An
            end is minus or plus infinity where the curves would cross before the first or after the last weight.
            ``None`` if an accuracy changes in no draw.
        settled: share of the draws in which an accuracy changes with the weight.
        reason: how the place was found.
        confidence: from 0, where the curves say nothing, to 1, where smooth curves cross.
        ratio: whether the weights are ratios; else they are strengths.
        below: the side that is recognised less often at the place.
        axis: first and last place of the weights.
    """

    place: float
    low: float | None
    high: float | None
    inner: tuple[float, float] | None
    settled: float
    reason: Reason
    confidence: float
    ratio: bool
    below: Side
    axis: tuple[float, float]

    @property
    def found(self) -> bool:
        """Whether there is an equilibrium: an accuracy changes with the weight."""
        return self.reason is not Reason.FLAT and self.inner is not None

    @property
    def ends(self) -> tuple[str, str]:
        """The ends of ``inner`` as people write them."""
        first, last = (self.name(place) for place in self.inner or self.axis)
        return first, last

    def __str__(self) -> str:
        if not self.found:
            return "neither accuracy changes with the weight: any is as good as any other"
        at = self.name(self.place)
        where = {
            Reason.CROSSED: f"both are recognised alike at {at}",
            Reason.NO_CROSSING: f"the curves do not cross: the {self.below} stays below, and comes nearest at {at}",
            Reason.NOT_MONOTONE: f"the curves rise and fall, and a crossing says little; it is at {at}",
        }[self.reason]
        if self.low is None or self.high is None:
            safe = "there is no safe interval"
        else:
            safe = f"safe from {self.name(self.low)} to {self.name(self.high)}"
        of = "" if self.settled >= 0.995 else f" in which an accuracy changes, {100 * self.settled:.0f} % of all"
        inner = " to ".join(dict.fromkeys(self.ends))
        return f"{where} (95 % of the draws{of}: {inner}); {safe}"

    def name(self, place: float) -> str:
        """How people write a place."""
        if math.isinf(place):
            return f"{'below' if place < 0 else 'above'} {self.name(self.axis[place > 0])}"
        return place_label(place, ratio=self.ratio)


def equilibrium(
    weights: Sequence[Weight],
    content: Float[Array, "w c s"],
    style: Float[Array, "w c s"],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Equilibrium | None:
    """Find where two accuracies cross, by ``artune.balance.curve.balance``.

    That function takes strengths; places, whether of strengths or of ratios, are scaled to log odds from -1 to 1 for
    it. Weights of one ratio, such as 1e5:1 and 1e6:10, are one place.

    Args:
        weights: ascending.
        content: 1 for each result whose content was recognised, 0 for each other, NaN for missing ones.
        style: the same for the style.
        draws: number of bootstrap draws.
        seed: of the draws.

    Returns:
        The equilibrium; ``None`` if all weights are one place.
    """
    first, last = weights[0].place, weights[-1].place
    middle, reach = (first + last) / 2, (last - first) / 2
    if reach < SAME:
        return None
    places, group = np.unique(np.round([(each.place - middle) / reach for each in weights], 9), return_inverse=True)
    style, content = (_grouped(cells, group) for cells in (style, content))

    def place(strength: float) -> float:
        return middle + reach * log_odds(strength)

    def crossing(each: Balance) -> float:
        apart = each.style - each.content
        return place(each.strength) if abs(apart) < SAME else -math.copysign(math.inf, apart)

    found = _balanced(places, means(style), means(content))
    drawn = [
        _balanced(places, *row)
        for row in zip(resampled(style, draws, seed), resampled(content, draws, seed), strict=True)
        if np.isfinite(row).all()
    ]
    settled = [crossing(each) for each in drawn if each.reason is not Reason.FLAT]
    # each of these quantiles is one of the draws: interpolating between two infinite ones would give NaN
    low, high = np.quantile(settled or [np.nan], INNER, method="inverted_cdf")
    return Equilibrium(
        place(found.strength),
        None if found.low is None else place(found.low),
        None if found.high is None else place(found.high),
        (float(low), float(high)) if settled else None,
        len(settled) / max(1, len(drawn)),
        found.reason,
        found.confidence,
        weights[0].ratio,
        "style" if found.style < found.content else "content",
        (first, last),
    )


def _balanced(places: Float[Array, "p"], style: Float[Array, "p"], content: Float[Array, "p"]) -> Balance:
    curve = Curve(tuple(map(strength_at, places.tolist())), tuple(style.tolist()), tuple(content.tolist()))
    return balance(curve, alike=0.0, rough=ROUGH)


def _grouped(cells: Float[Array, "w c s"], group: NDArray[np.intp]) -> Float[Array, "p c s"]:
    """Means over the weights of each place."""
    members = np.eye(group.max() + 1)[group].T
    with np.errstate(invalid="ignore"):
        return np.tensordot(members, np.nan_to_num(cells), 1) / np.tensordot(members, ~np.isnan(cells) * 1.0, 1)
