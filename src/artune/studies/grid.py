"""From axes to runs: contents x styles x weights."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from artune.balance.curve import log_odds, strength_at
from artune.data.folders import class_folder
from artune.errors import InputError
from artune.spec.options import with_options
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec

MOST = 1e15
"""Style over content, or content over style, beyond which the one is all."""


@dataclass(frozen=True, order=True)
class Weight:
    """Style against content, as a point of an axis.

    Attributes:
        place: logarithm of style weight over content weight; of a strength, its log odds, which is that logarithm but
            for a constant.
        label: as people write it.
        ratio: whether it was given as two weights, and not as a strength.
    """

    place: float
    label: str
    ratio: bool


def examples(folder: Path, count: int | None = None, seed: int = 0) -> tuple[Example, ...]:
    """Some pictures of each class, or all.

    A choice of more holds the choice of fewer, and another class changes none of those of the others.

    Args:
        folder: of classes.
        count: of each class; default: all.
        seed: of the choice.

    Raises:
        InputError: as :func:`artune.data.class_folder`, and when a class has fewer.
    """
    chosen: list[Example] = []
    for label, files in class_folder(folder).items():
        if count is not None and count > len(files):
            raise InputError(f"{folder / label} holds {len(files)} pictures, not {count}; ask for fewer of each class")
        if count is not None:
            random.Random(f"{seed} {label}").shuffle(files)
        chosen += [Example(file=file, label=label) for file in sorted(files[:count])]
    return tuple(chosen)


def with_strengths(spec: StyleSpec, strengths: Iterable[float]) -> list[StyleSpec]:
    """A spec at several strengths.

    Raises:
        SpecError: where the spec's scale has none, or one is out of range.
        InputError: for 0 and 1, which have no log odds, and those next to them.
    """
    specs = [with_options(spec, {"strength": strength}) for strength in strengths]
    for each in specs:
        if not 1 / (1 + MOST) < float(each.strength) < MOST / (1 + MOST):
            raise InputError(f"a strength of {each.strength:.17g} is one side alone; give strengths between 0 and 1")
    return specs


def with_ratios(spec: StyleSpec, ratios: Iterable[tuple[float, float]]) -> list[StyleSpec]:
    """A spec with several pairs of weights, of the style and of the content, in the units of its scale.

    Raises:
        SpecError: where one is out of range.
        InputError: for weights of 0, which have no ratio, and ratios beyond all use.
    """
    pairs = list(ratios)
    for style, content in pairs:
        if not (0 < style < math.inf and 0 < content < math.inf):  # nor NaN
            raise InputError(f"{style:g}:{content:g} is no ratio of style and content; give finite weights above 0")
        if abs(math.log(style) - math.log(content)) > math.log(MOST):
            raise InputError(f"{style:g}:{content:g} is one side alone; give ratios between {1 / MOST:g} and {MOST:g}")
    return [with_options(spec, {"style_weight": style, "content_weight": content}) for style, content in pairs]


def weight_of(spec: StyleSpec) -> Weight:
    """Where a spec stands on the axis of its experiment.

    Raises:
        InputError: when it leaves the balance open.
    """
    style, content, strength = spec.method.style_weight, spec.method.content_weight, spec.strength
    if style and content:
        return Weight(math.log(style / content), f"{_short(style)}:{_short(content)}", True)
    if strength == "auto" or strength in (0, 1):
        raise InputError("an experiment needs a strength between 0 and 1, or weights of style and content, in each run")
    return Weight(log_odds(strength), f"{strength:g}", False)


def written(place: float, *, ratio: bool) -> str:
    """A place on an axis as people write it, to two digits."""
    if ratio:
        return f"{_short(float(f'{math.exp(place):.1e}'))}:1"
    return f"{strength_at(place):.2f}"


def _short(weight: float) -> str:
    """``5e4`` for 50000."""
    mantissa, _, exponent = f"{weight:e}".partition("e")
    digits = mantissa.rstrip("0").rstrip(".")
    return f"{weight:g}" if abs(int(exponent)) < 3 else f"{digits}e{int(exponent)}"


def grid(contents: Sequence[Example], styles: Sequence[Example], specs: Sequence[StyleSpec]) -> list[RunSpec]:
    """Every content in every style at every weight."""
    return [
        RunSpec(content=content, style=style, spec=spec) for content, style, spec in product(contents, styles, specs)
    ]
