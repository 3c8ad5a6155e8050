"""What a study says first: which point is best, in a sentence that follows from the figures."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
from jaxtyping import Float

from artune.studies.bootstrap import Array
from artune.studies.comparing import FEWEST, Mean, answer_axis, mean_of, pairs_of, units
from artune.studies.keys import RANDOM
from artune.studies.measured import better_of, limits_of, shown, title_of
from artune.studies.points import network_of
from artune.studies.study import StudyResult

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
        random = " (random weights)" if points[0].weights == RANDOM else ""
        said.append(f"{network_of(points[0].spec)}{random}: {_answer(part)}")
    return " ".join(said)


def _answer(result: StudyResult) -> str:
    axis, measure = answer_axis(result), result.study.spec.measures[0]
    name, better = title_of(measure), better_of(measure)
    found, common = result.along(measure, axis)
    where = f" at {common}" if common else ""
    cells = _shared(found)
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
    if better is None:
        gap = mean_of(cells[high] - cells[low])
        if gap.low > 0:
            return (
                f"{_capital(name)} is lowest for {low}, {means[low].text(measure)}, and highest for {high}{where}, "
                f"which has {gap.text(measure)} more."
            )
        even = others
    else:
        gaps = {label: mean_of(sign * (cells[label] - cells[best])) for label in others}
        even = [label for label in others if not gaps[label].low > 0]
    if len(even) == len(others):
        between = f"{shown(measure, means[low].value)} to {shown(measure, means[high].value)} along {axis}{where}"
        if (told := _surest(cells)) is None:
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


def _shared(cells: Cells) -> Cells:
    """The values of the points that have any, at the pairs at which all of these points have one."""
    some = {label: own for label, own in cells.items() if not np.isnan(own).all()}
    lacking = np.any([np.isnan(own) for own in some.values()], axis=0) if some else np.array(False)
    return {label: np.where(lacking, np.nan, own) for label, own in some.items()}


def _surest(cells: Cells) -> tuple[str, str, Mean] | None:
    """The two points whose difference is the surest one: lower, higher, by how much; ``None`` where none is sure."""
    found: list[tuple[float, str, str, Mean]] = []
    for one, other in combinations(cells, 2):
        lower, higher = (one, other) if np.nanmean(cells[other] - cells[one]) >= 0 else (other, one)
        gap = mean_of(cells[higher] - cells[lower])
        if gap.low > 0:
            found.append((gap.low, lower, higher, gap))
    return max(found, key=lambda each: each[0])[1:] if found else None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
