"""What follows from the values of a study: means with intervals, differences, and findings that are found again.

Intervals hold 95 % of the draws of the pigeonhole bootstrap, in which photographs and paintings are drawn anew
(``artune.studies.bootstrap``). The draws of a few pictures vary too little, so an interval is widened by what Student's
distribution has over the normal one (Hesterberg 2015, "What Teachers Should Know About the Bootstrap"), with
Satterthwaite's degrees of freedom where photographs and paintings both vary (1946, Biometrics Bulletin 2). Differences
are paired: both sides have the same photographs and paintings, and the same points of all other axes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, t

from artune.spec.study import Finding, Selection
from artune.spec.style import Optimise
from artune.studies.bootstrap import DRAWS, INNER, Array, resampled
from artune.studies.measured import LOSS, limits_of, shown, title_of
from artune.studies.points import network_of
from artune.studies.study import FEWEST, StudyResult
from artune.words import counted

ANY = (-math.inf, math.inf)
"""Limits of a measure that has none."""
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


def mean_of(cells: Float[Array, "c s"], limits: tuple[float, float] = ANY, comparisons: int = 1) -> Mean:
    """The mean of values of photographs and paintings, NaN where one is missing.

    Args:
        cells: the values.
        limits: the smallest and the largest value that there can be; no interval leaves them.
        comparisons: number of means whose intervals shall hold them all together, in 95 % of cases (Bonferroni).
    """
    pairs = int((~np.isnan(cells)).sum())
    if not pairs:
        return Mean(math.nan, math.nan, math.nan, 0)
    value = float(np.nanmean(cells))
    if pairs < FEWEST:
        return Mean(value, math.nan, math.nan, pairs)
    drawn = resampled(cells[None], DRAWS)[:, 0]
    low, high = (float(end) for end in np.nanquantile(drawn, INNER))
    wider = widening(cells, comparisons)
    ends = (value - wider * (value - low), value + wider * (high - value))
    return Mean(value, max(ends[0], limits[0]), min(ends[1], limits[1]), pairs)


def gap_of(cells: Float[Array, "c s"], measure: str, comparisons: int = 1) -> Mean:
    """The mean of differences of a measure. Shares that are the same on all pictures, such as 1, are not sure for that:
    their difference has no interval."""
    gap = mean_of(cells, comparisons=comparisons)
    share = limits_of(measure) == (0, 1)
    return replace(gap, low=math.nan, high=math.nan) if share and gap.low == gap.high else gap


def widening(cells: Float[Array, "c s"], comparisons: int = 1) -> float:
    """Factor of a bootstrap interval: of two pairs in turn 9.2, of three 2.7, of ten 1.2.

    The variance of the draws of n pictures lacks a factor (n - 1) / n, and their quantiles are the normal ones, not
    Student's.
    """
    there = ~np.isnan(cells)
    parts = []
    for axis in (1, 0):
        count = there.sum(axis)
        means = np.nansum(cells, axis)[count > 0] / count[count > 0]
        if len(means) > 1:
            parts.append((float(means.var(ddof=1)) / len(means), len(means)))
    variance, drawn = sum(part for part, _ in parts), sum(part * (n - 1) / n for part, n in parts)
    if not drawn:
        return 1.0
    freedom = 1 / sum((part / variance) ** 2 / (n - 1) for part, n in parts)
    return float(math.sqrt(variance / drawn) * t.ppf(1 - INNER[0] / comparisons, freedom) / norm.ppf(INNER[1]))


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
    means = {label: mean_of(cells, limits_of(measure)) for label, cells in result.along(measure, axis).cells.items()}
    return {label: mean for label, mean in means.items() if mean.pairs}


def units(result: StudyResult, measure: str) -> list[tuple[str, ...]]:
    """The unit of a measure at each point: losses that are not relative have that of their network and its weights."""
    found: list[tuple[str, ...]] = []
    for point in result.study.points:
        method = point.spec.method
        scale = method.scale if isinstance(method, Optimise) else ""
        relative = scale == "calibrated" or not measure.startswith(LOSS)
        found.append(() if relative else (network_of(point.spec), point.weights, scale))
    return found


def edge(gap: Mean, sign: int) -> float:
    """The end of a difference's interval that is nearer to the other side of 0."""
    return gap.low if sign > 0 else gap.high


def difference(result: StudyResult, measure: str, one: Selection, other: Selection) -> Mean:
    """The mean difference of a measure between two selections, of the same photographs and paintings."""
    return gap_of(result.difference(measure, one, other), measure)


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
        gap = gap_of(ours - value, measure)
        words = f"{name} of {_words(side)}: {mean_of(ours, limits_of(measure)).text(measure)}, beside {value:g}"
    if not gap.bounded:
        verdict: Again = "open"
    elif sign * (gap.high if sign > 0 else gap.low) < 0:
        verdict = "found again"
    elif sign * edge(gap, sign) > 0:
        verdict = "not found again"
    else:
        verdict = "open"
    return FoundAgain(finding.claim, verdict, f"{words} ({pairs_of(result, gap.pairs)})")


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
    return FoundAgain(finding.claim, verdict, f"{words} ({pairs_of(result, widest.pairs)})")


def pairs_of(result: StudyResult, count: int) -> str:
    """A number of pairs of photograph and painting; in a study of judges, of pictures that they are tested on."""
    return counted(count, "picture" if result.study.tested else "pair")


def _words(selection: Selection) -> str:
    """A selection in words: the labels alone, where there is one axis."""
    return ", ".join(" or ".join(labels) for labels in selection.values()) or "all"
