"""What a study says first: which point is best, in a sentence that follows from the figures."""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Float

from artune.studies.bootstrap import Array
from artune.studies.comparing import Mean, answer_axis, gap_of, mean_of, pairs_of, units
from artune.studies.keys import RANDOM
from artune.studies.measured import better_of, limits_of, shown, title_of
from artune.studies.points import Point, network_of
from artune.studies.study import FEWEST, Along, StudyResult

Cells = Mapping[str, Float[Array, "contents styles"]]
"""Values of each pair by the label of a point."""


def answer(result: StudyResult) -> str:
    """What the first measure says of an axis. Losses of different networks, in units of their own, are apart."""
    kinds = units(result, result.study.spec.measures[0])
    if len({*kinds}) == 1:
        return _answer(result)
    said = []
    for kind in dict.fromkeys(kinds):
        own = [place for place, each in enumerate(kinds) if each == kind]
        points = tuple(result.study.points[place] for place in own)
        part = replace(
            result,
            study=replace(result.study, points=points),
            values={name: cells[own] for name, cells in result.values.items()},
        )
        said.append(f"{_named(points[0])}: {_answer(part)}")
    return " ".join(said)


def _named(point: Point) -> str:
    """The network of a point, with its weights where they are not the published ones."""
    weights = "random weights" if point.weights == RANDOM else Path(point.weights).name
    return f"{network_of(point.spec)}{f' ({weights})' * bool(point.weights)}"


def _answer(result: StudyResult) -> str:
    axis, measure = answer_axis(result), result.study.spec.measures[0]
    along = result.along(measure, axis)
    said = _compared(result, along, axis, measure)
    if not (along.left_out and along.cells):
        return said
    listed, have = ", ".join(along.left_out), "have" if len(along.left_out) > 1 else "has"
    return f"{said} {listed} {have} too few pictures to be compared."


def _compared(result: StudyResult, along: Along, axis: str, measure: str) -> str:
    name, better, cells = title_of(measure), better_of(measure), along.cells
    where = f" at {along.common}" if along.common else ""
    if not cells:
        return f"No picture has a value of {name}."
    means = {label: mean_of(own, limits_of(measure)) for label, own in cells.items()}
    if not (pairs := min(mean.pairs for mean in means.values())):
        return f"No pair of pictures has a value of {name} at all points{where}, so nothing is compared."
    low, high = (choose(means, key=lambda label: means[label].value) for choose in (min, max))
    best, sign, extreme = (high, -1, "highest") if better == "higher" else (low, 1, "lowest")
    others, count = [label for label in means if label != best], pairs_of(result, pairs)
    if not others:
        return f"{_capital(name)} is {means[best].text(measure)}; there is nothing to compare it with."
    first = f"{best} has the {extreme} {name}{where}: {means[best].text(measure)}"
    if pairs < FEWEST:
        return f"{first}; one pair of pictures tells nothing about others."
    gaps = _told(cells, best, sign, measure)
    if better is None and high in gaps:
        return (
            f"{_capital(name)} is lowest for {low}, {means[low].text(measure)}, and highest for {high}{where}, "
            f"which has {gaps[high].text(measure)} more."
        )
    even = [label for label in others if label not in gaps]
    if better is None or len(even) == len(others):
        between = f"{shown(measure, means[low].value)} to {shown(measure, means[high].value)} along {axis}{where}"
        if (told := _surest(cells, measure)) is None:
            return f"No difference that {count} can tell: {name} is from {between}."
        one, other, gap = told
        return (
            f"{_capital(name)} is from {between}; {count} cannot name the {extreme}, but tell {one} from {other}, "
            f"which has {gap.text(measure)} more."
        )
    if even:
        listed = ", ".join(f"{label} ({shown(measure, means[label].value)})" for label in even)
        return f"{first}; {count} cannot tell it from {listed}."
    nearest = min(others, key=lambda label: gaps[label].value)
    return f"{first}; next is {nearest} with {gaps[nearest].text(measure)} {'more' if sign > 0 else 'less'}."


def _told(cells: Cells, best: str, sign: int, measure: str) -> dict[str, Mean]:
    """The points that are told from the best one, by how much each; step by step, so that the intervals of those that
    remain hold together (Holm 1979)."""
    remaining, told = [label for label in cells if label != best], dict[str, Mean]()
    while remaining:
        gaps = {label: gap_of(sign * (cells[label] - cells[best]), measure, len(remaining)) for label in remaining}
        if not (new := {label: gap for label, gap in gaps.items() if gap.low > 0}):
            break
        told |= new
        remaining = [label for label in remaining if label not in told]
    return told


def _surest(cells: Cells, measure: str) -> tuple[str, str, Mean] | None:
    """The two points whose difference is the surest of all: lower, higher, by how much; ``None`` where none is sure."""
    found: list[tuple[float, str, str, Mean]] = []
    for one, other in combinations(sorted(cells, key=lambda label: float(np.nanmean(cells[label]))), 2):
        gap = gap_of(cells[other] - cells[one], measure, math.comb(len(cells), 2))
        if gap.low > 0:
            found.append((_certainty(gap), one, other, gap))
    return max(found, key=lambda each: each[0])[1:] if found else None


def _certainty(gap: Mean) -> float:
    """How far an interval is from 0, in units of the part of it on that side."""
    below = gap.value - gap.low
    return gap.low / below if below > 0 else math.inf


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
