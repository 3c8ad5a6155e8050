"""What a class study found: how often content and style are recognised at each weight.

This is how the report "Automatic tuning for Neural Style Transfer" (Artuners, Georgia Tech, 2022) looks for its weight:
one classifier recognises the content, another the style, and the weight is where their accuracies cross.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from artune.errors import InputError
from artune.report.tables import Table
from artune.spec.study import RunSpec
from artune.studies.axis import Weight, weight_of
from artune.studies.bootstrap import DRAWS, Array, Band, band_of, means
from artune.studies.entries import SIDES, Side, Verdict
from artune.studies.equilibrium import Equilibrium, equilibrium


@dataclass(frozen=True)
class Judged:
    """A result and the answers of both judges to it.

    Attributes:
        key: of the picture.
        run: what was asked for.
        content: answer of the content judge.
        style: answer of the style judge.
    """

    key: str
    run: RunSpec
    content: Verdict
    style: Verdict

    @property
    def weight(self) -> Weight:
        """Its place on the axis."""
        return weight_of(self.run.spec)

    def label(self, side: Side) -> str:
        """The class of its photograph, or of its painting."""
        return (self.run.content if side == "content" else self.run.style).label

    def verdict(self, side: Side) -> Verdict:
        """The answer of one judge."""
        return self.content if side == "content" else self.style

    def hit(self, side: Side) -> float:
        """1 if the class was recognised, else 0."""
        return float(self.verdict(side).answer == self.label(side))

    def probability(self, side: Side) -> float:
        """The probability that the judge gives the right class."""
        return self.verdict(side).probability(self.label(side))


def matched(
    runs: Mapping[str, RunSpec], verdicts: Mapping[tuple[str, str, str], Verdict], digests: Mapping[Side, str]
) -> list[Judged]:
    """Put runs and verdicts together; runs that a judge has not answered are left out.

    Args:
        runs: by key.
        verdicts: by picture, side and judge.
        digests: of the two judges, by side.
    """
    found = []
    for key, run in runs.items():
        content, style = (verdicts.get((key, side, digests[side])) for side in SIDES)
        if content is not None and style is not None:
            found.append(Judged(key, run, content, style))
    return found


@dataclass(frozen=True)
class Findings:
    """What a study found.

    Attributes:
        weights: ascending.
        counts: number of pictures at each weight.
        accuracy: of each side at each weight, in [0, 1], with its band.
        probability: mean probability of the right class, for each side at each weight.
        equilibrium: where the accuracies cross; ``None`` for a study at one weight.
        tables: for each side, the accuracy of each class at each weight.
    """

    weights: tuple[Weight, ...]
    counts: tuple[int, ...]
    accuracy: Mapping[Side, Band]
    probability: Mapping[Side, tuple[float, ...]]
    equilibrium: Equilibrium | None
    tables: Mapping[Side, Table]

    def table(self) -> Table:
        """Both accuracies at each weight."""
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
    """Compute accuracies, their bands and the equilibrium.

    Args:
        judged: results; at least one.
        draws: number of bootstrap draws.
        seed: of the draws.

    Raises:
        InputError: there are no results, or strengths and ratios are mixed.
    """
    if not judged:
        raise InputError("there is no result to judge: every picture failed")
    weights = tuple(sorted({each.weight for each in judged}))
    if len({weight.ratio for weight in weights}) > 1:
        raise InputError("strengths and ratios have no common axis; make a study of each")
    hits = {side: _cells(judged, weights, Judged.hit, side) for side in SIDES}
    probabilities = {side: _cells(judged, weights, Judged.probability, side) for side in SIDES}
    return Findings(
        weights,
        tuple(sum(each.weight == weight for each in judged) for weight in weights),
        {side: band_of(hits[side], draws, seed) for side in SIDES},
        {side: tuple(means(probabilities[side]).tolist()) for side in SIDES},
        equilibrium(weights, hits["content"], hits["style"], draws=draws, seed=seed),
        {side: by_class(judged, weights, side) for side in SIDES},
    )


def _cells(
    judged: Sequence[Judged], weights: Sequence[Weight], value: Callable[[Judged, Side], float], side: Side
) -> Float[Array, "w c s"]:
    """A value of each result, by weight, content and style; NaN where a result is missing."""
    contents = {file: place for place, file in enumerate(sorted({each.run.content.file for each in judged}))}
    styles = {file: place for place, file in enumerate(sorted({each.run.style.file for each in judged}))}
    cells = np.full((len(weights), len(contents), len(styles)), np.nan)
    for each in judged:
        at = weights.index(each.weight), contents[each.run.content.file], styles[each.run.style.file]
        cells[at] = value(each, side)
    return cells


def by_class(judged: Sequence[Judged], weights: Sequence[Weight], side: Side) -> Table:
    """The accuracy of each class at each weight."""
    rows = []
    for label in sorted({each.label(side) for each in judged}):
        own = [each for each in judged if each.label(side) == label]
        cells = []
        for weight in weights:
            hits = [each.hit(side) for each in own if each.weight == weight]
            cells.append(f"{sum(hits) / len(hits):.3f}" if hits else "")
        rows.append((label, str(len(own)), *cells))
    return Table(("class", "pictures in all", *(weight.label for weight in weights)), tuple(rows))
