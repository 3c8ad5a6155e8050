"""The axis of a study: weights of style against content, as strengths or as ratios."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from artune.balance.curve import log_odds, strength_at
from artune.errors import InputError, SpecError
from artune.spec.options import with_options
from artune.spec.study import ClassStudySpec
from artune.spec.style import StyleSpec, optimise_of

MOST = 1e15
"""Largest weight of one side over the other; beyond it the other side no longer counts."""


@dataclass(frozen=True, order=True)
class Weight:
    """A point of the axis.

    Attributes:
        place: logarithm of style weight over content weight. For a strength its log odds, which differ from that
            logarithm by a constant.
        label: how people write it, such as ``0.5`` or ``5e4:1``.
        ratio: whether it was given as two weights; else as a strength.
    """

    place: float
    label: str
    ratio: bool


def weighted_specs(study: ClassStudySpec) -> list[StyleSpec]:
    """The spec of a study at each of its weights.

    Raises:
        SpecError: a weight is given twice, is out of range, or does not belong to the spec's scale.
        InputError: a weight leaves one side alone.
    """
    if study.strengths is not None:
        specs = with_strengths(study.spec, study.strengths)
    else:
        specs = with_ratios(study.spec, study.ratios or ())
    labels = Counter(weight_of(spec).label for spec in specs)
    if twice := [label for label, count in labels.items() if count > 1]:
        raise SpecError(f"the weight {twice[0]} is given twice; give it once")
    return specs


def with_strengths(spec: StyleSpec, strengths: Iterable[float]) -> list[StyleSpec]:
    """A spec at several strengths.

    Raises:
        SpecError: a strength is out of range, or the spec's scale has no strengths.
        InputError: a strength is 0 or 1, which have no log odds, or too near to them.
    """
    specs = [with_options(spec, {"strength": strength}) for strength in strengths]
    for each in specs:
        if not 1 / (1 + MOST) < float(each.strength) < MOST / (1 + MOST):
            raise InputError(f"a strength of {each.strength:.17g} is one side alone; give strengths between 0 and 1")
    return specs


def with_ratios(spec: StyleSpec, ratios: Iterable[tuple[float, float]]) -> list[StyleSpec]:
    """A spec with several pairs of style weight and content weight, in the units of its scale.

    Raises:
        SpecError: a weight is out of range.
        InputError: a weight is 0, so that there is no ratio, or a ratio is beyond ``MOST``.
    """
    pairs = list(ratios)
    for style, content in pairs:
        if not (0 < style < math.inf and 0 < content < math.inf):  # nor NaN
            raise InputError(f"{style:g}:{content:g} is not a ratio of style and content; give finite weights above 0")
        if abs(math.log(style) - math.log(content)) > math.log(MOST):
            raise InputError(f"{style:g}:{content:g} is one side alone; give ratios between {1 / MOST:g} and {MOST:g}")
    return [with_options(spec, {"style_weight": style, "content_weight": content}) for style, content in pairs]


def weight_of(spec: StyleSpec) -> Weight:
    """The place of a spec on the axis.

    Raises:
        InputError: it gives neither a strength between 0 and 1 nor both weights.
    """
    method, strength = optimise_of(spec), spec.strength
    style, content = method.style_weight, method.content_weight
    if style and content:
        return Weight(math.log(style / content), f"{_short(style)}:{_short(content)}", True)
    if strength == "auto" or strength in (0, 1):
        raise InputError("each run of a study needs a strength between 0 and 1, or the weights of style and content")
    return Weight(log_odds(strength), f"{strength:g}", False)


def place_label(place: float, *, ratio: bool) -> str:
    """How people write a place on the axis, to two digits."""
    if ratio:
        return f"{_short(float(f'{math.exp(place):.1e}'))}:1"
    return f"{strength_at(place):.2f}"


def _short(weight: float) -> str:
    """A weight in few characters, such as ``5e4`` for 50000."""
    mantissa, _, exponent = f"{weight:e}".partition("e")
    digits = mantissa.rstrip("0").rstrip(".")
    return f"{weight:g}" if abs(int(exponent)) < 3 else f"{digits}e{int(exponent)}"
