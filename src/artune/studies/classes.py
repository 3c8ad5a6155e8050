"""Accuracy of two judges against the weight, as AutoArt measured it: one recognises the content, one the style.

Where their curves cross is the equilibrium. Contents and styles were drawn from many, and every content meets every
style: the bands come from drawing both anew, independently of each other (the pigeonhole bootstrap: Owen 2007, "The
pigeonhole bootstrap", Annals of Applied Statistics 1).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from artune.balance.curve import Balance, Curve, Reason, balance, log_odds, strength_at
from artune.errors import InputError
from artune.report.tables import Table
from artune.spec.study import RunSpec
from artune.studies.grid import Weight, weight_of, written
from artune.studies.store import SIDES, Side, Verdict

Array = NDArray[np.float64]
DRAWS = 1000
"""Bootstrap draws."""
INNER = (0.025, 0.975)
"""Ends of a band: 95 % of the draws lie inside."""
ROUGH = 0.15
"""Of :func:`artune.balance.curve.balance`: accuracies of a few dozen pictures go up and down by chance."""
SAME = 1e-9
"""Half the length of an axis that is one place; a difference of two accuracies that is none."""


@dataclass(frozen=True)
class Judged:
    """A result and what both judges said of it.

    Attributes:
        key: of the picture.
        run: what was asked for.
        content: of the judge of contents.
        style: of the judge of styles.
    """

    key: str
    run: RunSpec
    content: Verdict
    style: Verdict

    @property
    def weight(self) -> Weight:
        """Where it stands on the axis."""
        return weight_of(self.run.spec)

    def label(self, side: Side) -> str:
        """Its class."""
        return (self.run.content if side == "content" else self.run.style).label

    def verdict(self, side: Side) -> Verdict:
        """What was said of that side."""
        return self.content if side == "content" else self.style

    def hit(self, side: Side) -> float:
        """1 where the class was recognised, else 0."""
        return float(self.verdict(side).answer == self.label(side))

    def probability(self, side: Side) -> float:
        """That of its class."""
        return self.verdict(side).of(self.label(side))


def matched(
    runs: Mapping[str, RunSpec], verdicts: Mapping[tuple[str, str, str], Verdict], digests: Mapping[Side, str]
) -> list[Judged]:
    """Runs with what two judges said of their pictures; those that have none are left out.

    Args:
        runs: by key.
        verdicts: by picture, side and judge.
        digests: of the judges, by side.
    """
    found = []
    for key, run in runs.items():
        content, style = (verdicts.get((key, side, digests[side])) for side in SIDES)
        if content is not None and style is not None:
            found.append(Judged(key, run, content, style))
    return found


@dataclass(frozen=True)
class Band:
    """Values along the axis, and where 95 % of the draws lie."""

    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Equilibrium:
    """Where both sides are recognised alike.

    Attributes:
        place: on the axis; where they are, or come nearest to it.
        low: least place at which both keep 0.8 of their best, or ``None`` where none does.
        high: the largest.
        inner: between which the curves cross in 95 % of the draws in which an accuracy changes; minus or plus infinity
            where they would before or after all weights. ``None`` where it changes in no draw.
        settled: share of the draws in which an accuracy changes.
        reason: how it was found.
        confidence: 1 where smooth curves meet, 0 where they say nothing.
        ratio: whether places are those of ratios.
        below: the side whose curve is the lower one at that place.
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
        """Whether there is one: an accuracy changes with the weight."""
        return self.reason is not Reason.FLAT and self.inner is not None

    @property
    def ends(self) -> tuple[str, str]:
        """Those of ``inner`` as people write them."""
        first, last = (self.name(place) for place in self.inner or self.axis)
        return first, last

    def __str__(self) -> str:
        if not self.found:
            return "neither accuracy changes with the weight: any is as good as any other"
        at = self.name(self.place)
        said = {
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
        return f"{said} (95 % of the draws{of}: {inner}); {safe}"

    def name(self, place: float) -> str:
        """A place as people write it."""
        if math.isinf(place):
            return f"{'below' if place < 0 else 'above'} {self.name(self.axis[place > 0])}"
        return written(place, ratio=self.ratio)


@dataclass(frozen=True)
class Findings:
    """What an experiment found.

    Attributes:
        weights: the axis, ascending.
        counts: pictures at each.
        accuracy: of both sides.
        probability: mean probability of the right class, of both sides.
        equilibrium: or ``None`` for an experiment at one weight.
        tables: accuracy of each class, of both sides.
    """

    weights: tuple[Weight, ...]
    counts: tuple[int, ...]
    accuracy: Mapping[Side, Band]
    probability: Mapping[Side, tuple[float, ...]]
    equilibrium: Equilibrium | None
    tables: Mapping[Side, Table]

    def table(self) -> Table:
        """Both accuracies at every weight."""
        head = [f"{side}{end}" for side in SIDES for end in ("", "_low", "_high", "_probability")]
        rows = []
        for place, weight in enumerate(self.weights):
            cells = []
            for side in SIDES:
                band = self.accuracy[side]
                cells += [band.value[place], band.low[place], band.high[place], self.probability[side][place]]
            rows.append((weight.label, str(self.counts[place]), *(f"{cell:.3f}" for cell in cells)))
        return Table(("weight", "pictures", *head), tuple(rows))


def findings(judged: Sequence[Judged], *, draws: int = DRAWS, seed: int = 0) -> Findings:
    """Accuracy against the weight, and what follows from it.

    Args:
        judged: results; at least one.
        draws: of the bootstrap.
        seed: theirs.

    Raises:
        InputError: for no results, or strengths and ratios together.
    """
    if not judged:
        raise InputError("there is no result to judge: every picture failed")
    weights = tuple(sorted({each.weight for each in judged}))
    if len({weight.ratio for weight in weights}) > 1:
        raise InputError("strengths and ratios have no common axis; make an experiment of each")
    hits = {side: _cells(judged, weights, Judged.hit, side) for side in SIDES}
    sure = {side: _cells(judged, weights, Judged.probability, side) for side in SIDES}
    return Findings(
        weights,
        tuple(sum(each.weight == weight for each in judged) for weight in weights),
        {side: _band(hits[side], draws, seed) for side in SIDES},
        {side: tuple(_means(sure[side]).tolist()) for side in SIDES},
        equilibrium(weights, hits["content"], hits["style"], draws=draws, seed=seed),
        {side: by_class(judged, weights, side) for side in SIDES},
    )


def _cells(
    judged: Sequence[Judged], weights: Sequence[Weight], value: Callable[[Judged, Side], float], side: Side
) -> Float[Array, "w c s"]:
    """A value of each result by weight, content and style; NaN where there is none."""
    contents = {file: place for place, file in enumerate(sorted({each.run.content.file for each in judged}))}
    styles = {file: place for place, file in enumerate(sorted({each.run.style.file for each in judged}))}
    cells = np.full((len(weights), len(contents), len(styles)), np.nan)
    for each in judged:
        at = weights.index(each.weight), contents[each.run.content.file], styles[each.run.style.file]
        cells[at] = value(each, side)
    return cells


def resampled(cells: Float[Array, "w c s"], draws: int = DRAWS, seed: int = 0) -> Float[Array, "draws w"]:
    """Means over contents and styles that are drawn anew, with replacement and independently of each other.

    The same seed draws the same contents and styles. NaN stands for what is missing; a draw of nothing else is NaN.

    Args:
        cells: a value at each weight, for each content and style.
        draws: how many.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    _, contents, styles = cells.shape
    rows = rng.multinomial(contents, np.full(contents, 1 / contents), draws)
    columns = rng.multinomial(styles, np.full(styles, 1 / styles), draws)

    def weighed(values: Float[Array, "w c s"]) -> Float[Array, "draws w"]:
        return np.asarray(np.einsum("di,dj,wij->dw", rows, columns, values, optimize=True), np.float64)

    with np.errstate(invalid="ignore"):
        return weighed(np.nan_to_num(cells)) / weighed(~np.isnan(cells) * 1.0)


def _means(cells: Float[Array, "w c s"]) -> Float[Array, "w"]:
    return np.asarray(np.nanmean(cells, axis=(1, 2)), np.float64)


def _band(cells: Float[Array, "w c s"], draws: int, seed: int) -> Band:
    low, high = np.nanquantile(resampled(cells, draws, seed), INNER, axis=0)
    return Band(tuple(_means(cells).tolist()), tuple(low.tolist()), tuple(high.tolist()))


def equilibrium(
    weights: Sequence[Weight],
    content: Float[Array, "w c s"],
    style: Float[Array, "w c s"],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Equilibrium | None:
    """Where the accuracies cross; ``None`` where the weights are one place only.

    Only differences of places count, so that those of ratios stand beside those of strengths: both go as log odds, from
    -1 to 1 along the axis, through :func:`artune.balance.curve.balance`. Weights of one ratio are one place.
    """
    first, last = weights[0].place, weights[-1].place
    middle, reach = (first + last) / 2, (last - first) / 2
    if reach < SAME:
        return None
    places, group = np.unique(np.round([(each.place - middle) / reach for each in weights], 9), return_inverse=True)
    style, content = (_means_of(cells, group) for cells in (style, content))

    def place(strength: float) -> float:
        return middle + reach * log_odds(strength)

    def crossing(each: Balance) -> float:
        apart = each.style - each.content
        return place(each.strength) if abs(apart) < SAME else -math.copysign(math.inf, apart)

    found = _balanced(places, _means(style), _means(content))
    drawn = [
        _balanced(places, *row)
        for row in zip(resampled(style, draws, seed), resampled(content, draws, seed), strict=True)
        if np.isfinite(row).all()
    ]
    settled = [crossing(each) for each in drawn if each.reason is not Reason.FLAT]
    low, high = np.quantile(settled or [np.nan], INNER, method="inverted_cdf")  # one of the draws: they may be infinite
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


def _means_of(cells: Float[Array, "w c s"], group: NDArray[np.intp]) -> Float[Array, "p c s"]:
    """Means over weights of one ratio, which are one place."""
    members = np.eye(group.max() + 1)[group].T
    with np.errstate(invalid="ignore"):
        return np.tensordot(members, np.nan_to_num(cells), 1) / np.tensordot(members, ~np.isnan(cells) * 1.0, 1)


def by_class(judged: Sequence[Judged], weights: Sequence[Weight], side: Side) -> Table:
    """Accuracy of each class at every weight."""
    rows = []
    for label in sorted({each.label(side) for each in judged}):
        own = [each for each in judged if each.label(side) == label]
        cells = []
        for weight in weights:
            hits = [each.hit(side) for each in own if each.weight == weight]
            cells.append(f"{sum(hits) / len(hits):.3f}" if hits else "")
        rows.append((label, str(len(own)), *cells))
    return Table(("class", "pictures in all", *(weight.label for weight in weights)), tuple(rows))
