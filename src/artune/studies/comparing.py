"""What follows from the values of a study: means with intervals, differences, and sentences.

Intervals hold 95 % of the draws of the pigeonhole bootstrap, in which photographs and paintings are drawn anew
(``artune.studies.bootstrap``). The draws of a few pictures vary too little, so an interval is widened by what Student's
distribution has over the normal one (Hesterberg 2015, "What Teachers Should Know About the Bootstrap"). Differences are
paired: both sides have the same photographs and paintings, and the same points of all other axes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, t

from artune.spec.study import Finding, Selection
from artune.studies.bootstrap import DRAWS, INNER, Array, resampled
from artune.studies.measured import better_of, shown, title_of
from artune.studies.study import StudyResult

FEWEST = 2
"""Smallest number of pairs that have an interval."""
Again = Literal["found again", "not found again", "open"]


@dataclass(frozen=True)
class Mean:
    """A mean over photographs and paintings.

    Attributes:
        value: the mean; NaN where there is no value.
        low: lower end of its interval; NaN where there are fewer than two pairs.
        high: upper end.
        pairs: number of pairs of photograph and painting.
    """

    value: float
    low: float
    high: float
    pairs: int

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    def text(self, measure: str) -> str:
        """The mean with its interval, where it has one and is not the same in all draws."""
        if np.isnan(self.value):
            return "-"
        value, low, high = (shown(measure, number) for number in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]" if self.bounded and low != high else value

    def reversed(self) -> "Mean":
        """The mean of the negative values."""
        return Mean(-self.value, -self.high, -self.low, self.pairs)


def mean_of(cells: Float[Array, "c s"]) -> Mean:
    """The mean of values of photographs and paintings, NaN where one is missing."""
    there = ~np.isnan(cells)
    pairs = int(there.sum())
    if not pairs:
        return Mean(math.nan, math.nan, math.nan, 0)
    value = float(np.nanmean(cells))
    if pairs < FEWEST:
        return Mean(value, math.nan, math.nan, pairs)
    drawn = resampled(cells[None], DRAWS)[:, 0]
    low, high = (float(end) for end in np.nanquantile(drawn, INNER))
    wider = widened(min(count for count in (int(there.any(1).sum()), int(there.any(0).sum())) if count > 1))
    return Mean(value, value - wider * (value - low), value + wider * (high - value), pairs)


def widened(count: int) -> float:
    """Factor of a bootstrap interval for a number of pictures: 9.2 for two, 2.7 for three, 1.2 for ten.

    The variance of the draws lacks a factor (n - 1) / n, and their quantiles are the normal ones, not Student's.
    """
    return float(math.sqrt(count / (count - 1)) * t.ppf(INNER[1], count - 1) / norm.ppf(INNER[1]))


@dataclass(frozen=True)
class FoundAgain:
    """Whether a finding of the source is found again.

    Attributes:
        claim: the finding.
        verdict: whether it is; ``open`` where these pictures cannot tell.
        words: the figures that say so.
    """

    claim: str
    verdict: Again
    words: str


def answer_axis(result: StudyResult) -> str:
    """The axis along which the best point is named."""
    return result.study.spec.answer or next(iter(result.study.spec.axes))


def along(result: StudyResult, axis: str, measure: str) -> dict[str, Mean]:
    """The mean of a measure at each point of an axis, over the points of the others that all have."""
    found, _ = result.along(measure, axis)
    return {label: mean for label, cells in found.items() if (mean := mean_of(cells)).pairs}


def answer(result: StudyResult) -> str:
    """What the first measure says of an axis, in a sentence that follows from the figures."""
    axis, measure = answer_axis(result), result.study.spec.measures[0]
    name, better = title_of(measure), better_of(measure)
    means = along(result, axis, measure)
    if not means:
        return f"No picture has a value of {name}."
    _, common = result.along(measure, axis)
    where = f" at {common}" if common else ""
    low, high = (choose(means, key=lambda label: means[label].value) for choose in (min, max))
    best, sign = (high, -1) if better == "higher" else (low, 1)
    others = [label for label in means if label != best]
    pairs, counted = means[best].pairs, _counted(result, means[best].pairs)
    if not others:
        return f"{_capital(name)} is {means[best].text(measure)}; there is nothing to compare it with."
    if pairs < FEWEST:
        return (
            f"{best} has the {extreme(sign)} {name}{where}, {means[best].text(measure)}; one pair of pictures tells "
            "nothing about others."
        )
    gaps = {label: _between(result, axis, measure, label, best) for label in others}
    even = [label for label in others if not (gaps[label].bounded and sign * edge(gaps[label], sign) > 0)]
    if len(even) == len(others):
        return (
            f"No difference that {counted} can tell: {name} is from {shown(measure, means[low].value)} to "
            f"{shown(measure, means[high].value)} along {axis}{where}."
        )
    if better is None:
        gap = gaps[high]
        return (
            f"{_capital(name)} is lowest for {low}, {means[low].text(measure)}, and highest for {high}{where}, which "
            f"has {gap.text(measure)} more."
        )
    text = f"{best} has the {extreme(sign)} {name}{where}: {means[best].text(measure)}"
    if even:
        listed = ", ".join(f"{label} ({shown(measure, means[label].value)})" for label in even)
        return f"{text}; {counted} cannot tell it from {listed}."
    nearest = min(others, key=lambda label: abs(gaps[label].value))
    more = "more" if sign > 0 else "less"
    gap = gaps[nearest] if sign > 0 else gaps[nearest].reversed()
    return f"{text}; next is {nearest} with {gap.text(measure)} {more}."


def _between(result: StudyResult, axis: str, measure: str, one: str, other: str) -> Mean:
    """The difference of two points of an axis, over the points of the others that all have."""
    found, _ = result.along(measure, axis)
    return mean_of(found[one] - found[other])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def edge(gap: Mean, sign: int) -> float:
    """The end of a difference's interval that is nearer to the other side of 0."""
    return gap.low if sign > 0 else gap.high


def difference(result: StudyResult, measure: str, one: Selection, other: Selection) -> Mean:
    """The mean difference of a measure between two selections, of the same photographs and paintings."""
    return mean_of(result.difference(measure, one, other))


def found_again(result: StudyResult) -> list[FoundAgain]:
    """The findings of the source, each with what these pictures say."""
    return [_found(result, finding) for finding in result.study.spec.findings]


def _found(result: StudyResult, finding: Finding) -> FoundAgain:
    if finding.alike is not None:
        return _alike(result, finding, finding.alike)
    side: Selection = finding.lower if finding.lower is not None else finding.higher or {}
    measure, name = finding.measure, title_of(finding.measure)
    sign = 1 if finding.lower is not None else -1
    ours = result.select(finding.measure, side)
    if finding.than is not None:
        gap = difference(result, measure, side, finding.than)
        words = f"{name} of {_words(side)} less that of {_words(finding.than)}: {gap.text(measure)}"
    else:
        value = float(finding.value or 0)
        gap = mean_of(ours - value)
        words = f"{name} of {_words(side)}: {mean_of(ours).text(measure)}, beside {value:g}"
    if not gap.bounded:
        verdict: Again = "open"
    elif sign * (gap.high if sign > 0 else gap.low) < 0:
        verdict = "found again"
    elif sign * edge(gap, sign) > 0:
        verdict = "not found again"
    else:
        verdict = "open"
    return FoundAgain(finding.claim, verdict, f"{words} ({_counted(result, gap.pairs)})")


def _alike(result: StudyResult, finding: Finding, sides: Sequence[Selection]) -> FoundAgain:
    measure, name = finding.measure, title_of(finding.measure)
    gaps = {
        (_words(one), _words(other)): difference(result, finding.measure, one, other)
        for one, other in combinations(sides, 2)
    }
    (one, other), widest = max(gaps.items(), key=lambda item: np.nan_to_num(abs(item[1].value)))
    words = f"{name} differs most between {one} and {other}: {widest.text(measure)}, beside {finding.within:g}"
    if not all(gap.bounded for gap in gaps.values()):
        verdict: Again = "open"
    elif all(max(abs(gap.low), abs(gap.high)) <= finding.within for gap in gaps.values()):
        verdict = "found again"
    elif any(gap.low > finding.within or gap.high < -finding.within for gap in gaps.values()):
        verdict = "not found again"
    else:
        verdict = "open"
    return FoundAgain(finding.claim, verdict, f"{words} ({_counted(result, widest.pairs)})")


def _counted(result: StudyResult, count: int) -> str:
    """A number of pairs of photograph and painting; in a study of judges, of pictures that they are tested on."""
    return f"{count} {'picture' if result.study.tested else 'pair'}{'s' * (count != 1)}"


def _words(selection: Selection) -> str:
    """A selection in words: the labels alone, where there is one axis."""
    return ", ".join(" or ".join(labels) for labels in selection.values()) or "all"


def extreme(sign: int) -> str:
    """The word for the best value: the lowest one for 1, the highest for -1."""
    return "lowest" if sign > 0 else "highest"
