"""The optimiser of a run, its default rate, and the schedule of the rate."""

from collections.abc import Sequence
from typing import Any

from artune.engine.descend import Optimiser, Schedule
from artune.engine.optimisers import OPTIMISERS, decayed
from artune.errors import SpecError
from artune.spec.style import Optimise, StyleSpec, optimise_of

WEAK = 0.2
"""Strength below which the rate, and the share of the result beside the photograph, fall linearly to 0."""


def optimiser_of(method: Optimise, *, in_place: bool = False) -> Optimiser:
    """The optimiser of a spec. Options that the optimiser does not have are left out.

    Args:
        method: the spec's method. If it is not resolved and has no rate, only the optimiser's facts are valid.
        in_place: overwrite the iterate, if the optimiser can.
    """
    kind = OPTIMISERS[method.optimiser]
    given: dict[str, Any] = {
        "rate": method.rate or 1.0,
        "history": method.history,
        "search": method.line_search != "none",
        "in_place": in_place,
    }
    return kind(**{name: value for name, value in given.items() if name in kind.__dataclass_fields__})


def usual_rate(spec: StyleSpec, of_network: float, weights: float, pixels: int, strength: float) -> float:
    """Default rate.

    An optimiser that is not scale-free has a default rate for calibrated losses only. These are means over pixels, so
    the rate is proportional to the number of pixels, and inversely proportional to the sum of the weights. The steps of
    a scale-free optimiser do not get shorter with the gradient, so its rate is reduced for a low strength.

    Args:
        spec: the spec as it was given.
        of_network: default rate of the network, for optimisers without one of their own.
        weights: sum of the weights of all terms.
        pixels: number of pixels of the result.
        strength: largest strength of all regions.

    Raises:
        SpecError: the optimiser has no default rate for this scale.
    """
    method = optimise_of(spec)
    kind = OPTIMISERS[method.optimiser]
    rate = of_network if kind.usual_rate is None else kind.usual_rate
    if not kind.scale_free:
        if method.scale != "calibrated":
            raise SpecError(
                f"`optimiser` {method.optimiser} has no default rate with `scale` {method.scale}; give `rate` "
                "(artune.engine.optimisers.rate_from_255 converts a rate that was published for pictures in 0 .. 255)"
            )
        return rate * pixels / weights
    if method.start == "content" and method.scale == "calibrated":
        rate *= max(min(1.0, strength / WEAK), 1e-9)
    return rate


def result_shares(strengths: Sequence[float]) -> list[float]:
    """Share of the result at each strength; below ``WEAK``, the result is blended with the photograph."""
    return [min(1.0, strength / WEAK) for strength in strengths]


def schedule(method: Optimise, level: int) -> Schedule:
    """Factor of the rate at each step of a size.

    Decay counts the planned steps of the whole run, so that it stays the same if a size stalls or the run is resumed.
    The rate of an optimiser that is not scale-free is that of the last size. Calibrated losses are means over pixels,
    so at a smaller size the rate is reduced in proportion to the pixels: a step then changes the picture as much.

    Args:
        method: the plan's method.
        level: index of the size among the sizes, from 0.
    """
    rungs = method.rungs or ()
    before = sum(rung.steps for rung in rungs[:level])
    share = 1.0
    if not OPTIMISERS[method.optimiser].scale_free and method.scale == "calibrated":
        share = (rungs[level].size / rungs[-1].size) ** 2
    return lambda step: share * decayed(method.decay, method.decay_every, before + step)
