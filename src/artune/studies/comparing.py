"""What follows from the values of a study: means with intervals, differences, and sentences.

Intervals hold 95 % of the draws of the pigeonhole bootstrap, in which photographs and paintings are drawn anew
(``artune.studies.bootstrap``). Differences are paired: both sides have the same photographs and paintings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Float

from artune.spec.study import Finding, Selection
from artune.studies.bootstrap import DRAWS, INNER, Array, resampled
from artune.studies.measured import better_of, shown, title_of
from artune.studies.study import StudyResult

FEWEST = 2
"""Smallest number of pairs that have an interval."""
Verdict = Literal["found again", "not found again", "open"]


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


def mean_of(cells: Float[Array, "c s"]) -> Mean:
    """The mean of values of photographs and paintings, NaN where one is missing."""
    pairs = int((~np.isnan(cells)).sum())
    if not pairs:
        return Mean(float("nan"), float("nan"), float("nan"), 0)
    value = float(np.nanmean(cells))
    if pairs < FEWEST:
        return Mean(value, float("nan"), float("nan"), pairs)
    drawn = resampled(cells[None], DRAWS)[:, 0]
    low, high = np.nanquantile(drawn, INNER)
    return Mean(value, float(low), float(high), pairs)


@dataclass(frozen=True)
class FoundAgain:
    """Whether a finding of the source is found again.

    Attributes:
        claim: the finding.
        verdict: whether it is; ``open`` where these pictures cannot tell.
        words: the figures that say so.
    """

    claim: str
    verdict: Verdict
    words: str


def answer_axis(result: StudyResult) -> str:
    """The axis along which the best point is named."""
    return result.study.spec.answer or next(iter(result.study.spec.axes))


def along(result: StudyResult, axis: str, measure: str) -> dict[str, Mean]:
    """The mean of a measure at each point of an axis, over the points of the others."""
    labels = [label for label in result.study.spec.axes[axis] if _there(result, axis, label)]
    return {label: mean_of(result.select(measure, {axis: (label,)})) for label in labels}


def _there(result: StudyResult, axis: str, label: str) -> bool:
    return any(point.labels[axis] == label for point in result.study.points)


def answer(result: StudyResult) -> str:
    """What the first measure says of an axis, in a sentence that follows from the figures."""
    axis, measure = answer_axis(result), result.study.spec.measures[0]
    name, better = title_of(measure), better_of(measure) or "lower"
    means = {label: mean for label, mean in along(result, axis, measure).items() if mean.pairs}
    if not means:
        return f"No picture has a value of {name}."
    sign = 1 if better == "lower" else -1
    best = min(means, key=lambda label: sign * means[label].value)
    others = [label for label in means if label != best]
    pairs = means[best].pairs
    if not others:
        return f"{name} is {means[best].text(measure)}; there is nothing to compare it with."
    if pairs < FEWEST:
        return (
            f"{best} has the {extreme(better)} {name}, {means[best].text(measure)}; one pair of pictures tells nothing "
            "about others."
        )
    gaps = {label: difference(result, measure, {axis: (label,)}, {axis: (best,)}) for label in others}
    even = [label for label in others if not (gaps[label].bounded and sign * edge(gaps[label], sign) > 0)]
    if len(even) == len(others):
        values = [means[label].value for label in means]
        return (
            f"No difference that {pairs} pairs can tell: {name} is from {shown(measure, min(values))} to "
            f"{shown(measure, max(values))} along {axis}."
        )
    text = f"{best} has the {extreme(better)} {name}: {means[best].text(measure)}"
    if even:
        listed = ", ".join(f"{label} ({shown(measure, means[label].value)})" for label in even)
        return f"{text}; {pairs} pairs cannot tell it from {listed}."
    nearest = min(others, key=lambda label: abs(gaps[label].value))
    return f"{text}; next is {nearest}, which differs by {gaps[nearest].text(measure)}."


def edge(gap: Mean, sign: int) -> float:
    """The end of a difference's interval that is nearer to the other side of 0."""
    return gap.low if sign > 0 else gap.high


def difference(result: StudyResult, measure: str, one: Selection, other: Selection) -> Mean:
    """The mean difference of a measure between two selections, of the same photographs and paintings."""
    return mean_of(result.select(measure, one) - result.select(measure, other))


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
        gap = mean_of(ours - result.select(finding.measure, finding.than))
        words = f"{name} of {_words(side)} less that of {_words(finding.than)}: {gap.text(measure)}"
    else:
        value = float(finding.value or 0)
        gap = mean_of(ours - value)
        words = f"{name} of {_words(side)}: {mean_of(ours).text(measure)}, beside {value:g}"
    if not gap.bounded:
        verdict: Verdict = "open"
    elif sign * (gap.high if sign > 0 else gap.low) < 0:
        verdict = "found again"
    elif sign * edge(gap, sign) > 0:
        verdict = "not found again"
    else:
        verdict = "open"
    return FoundAgain(finding.claim, verdict, _with_pairs(words, gap))


def _alike(result: StudyResult, finding: Finding, sides: Sequence[Selection]) -> FoundAgain:
    measure, name = finding.measure, title_of(finding.measure)
    gaps = {
        (_words(one), _words(other)): difference(result, finding.measure, one, other)
        for one, other in combinations(sides, 2)
    }
    (one, other), widest = max(gaps.items(), key=lambda item: np.nan_to_num(abs(item[1].value)))
    words = f"{name} differs most between {one} and {other}: {widest.text(measure)}, beside {finding.within:g}"
    if not all(gap.bounded for gap in gaps.values()):
        verdict: Verdict = "open"
    elif all(max(abs(gap.low), abs(gap.high)) <= finding.within for gap in gaps.values()):
        verdict = "found again"
    elif any(gap.low > finding.within or gap.high < -finding.within for gap in gaps.values()):
        verdict = "not found again"
    else:
        verdict = "open"
    return FoundAgain(finding.claim, verdict, _with_pairs(words, widest))


def _with_pairs(words: str, gap: Mean) -> str:
    return f"{words} ({gap.pairs} pair{'s' * (gap.pairs != 1)})"


def _words(selection: Selection) -> str:
    """A selection in words: the labels alone, where there is one axis."""
    return ", ".join(" or ".join(labels) for labels in selection.values()) or "all"


def extreme(better: str) -> str:
    """The word for the best value."""
    return "lowest" if better == "lower" else "highest"
