"""How the picture is moved: the method of descent, its usual step size, and how that changes over a run."""

from collections.abc import Sequence
from typing import Any

from artune.engine.descend import Optimiser, Schedule
from artune.engine.optimisers import OPTIMISERS, decayed
from artune.errors import SpecError
from artune.spec.style import Optimise, StyleSpec

WEAK = 0.2
"""Strength below which steps shorten, to nothing at 0."""


def optimiser_of(method: Optimise, *, in_place: bool = False) -> Optimiser:
    """The method of descent that a spec asks for. A method takes those options that it has.

    Args:
        method: resolved; where the rate is still open, only the method's facts hold.
        in_place: write over the iterate, where the method can.
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
    """Step size where the user gives none.

    A method that is not scale-free has one on calibrated losses alone. These are means, so its rate grows with the
    pixels and falls with the weights. The steps of a scale-free method do not shorten with the gradient, so near the
    photograph its rate is smaller.

    Args:
        spec: what was asked for.
        of_network: the network's, for methods that have none of their own.
        weights: sum of the weights of all terms.
        pixels: of the result.
        strength: the largest in any place.

    Raises:
        SpecError: the method has no usual rate in the units of the literature.
    """
    method = spec.method
    kind = OPTIMISERS[method.optimiser]
    rate = of_network if kind.usual_rate is None else kind.usual_rate
    if not kind.scale_free:
        if method.scale != "calibrated":
            raise SpecError(
                f"{method.optimiser} has no usual rate with scale {method.scale}; give --rate "
                "(artune.engine.optimisers.rate_from_255 converts one that was published for pictures in 0 .. 255)"
            )
        return rate * pixels / weights
    if method.start == "content" and method.scale == "calibrated":
        rate *= max(min(1.0, strength / WEAK), 1e-9)
    return rate


def result_shares(strengths: Sequence[float]) -> list[float]:
    """Share of the result in places of these strengths: below ``WEAK`` the photograph shines through."""
    return [min(1.0, strength / WEAK) for strength in strengths]


def schedule(method: Optimise, level: int) -> Schedule:
    """Share of the rate at each step of a size.

    A decay counts the planned steps of the whole run, so that it is the same where a size stalls or a run is resumed.
    A rate of a method that is not scale-free is that of the last size. On calibrated losses, which are means, it falls
    with the pixels of a smaller size, so that a step moves the picture as far.

    Args:
        method: resolved.
        level: place of the size among the rungs, from 0.
    """
    rungs = method.rungs or ()
    before = sum(rung.steps for rung in rungs[:level])
    share = 1.0
    if not OPTIMISERS[method.optimiser].scale_free and method.scale == "calibrated":
        share = (rungs[level].size / rungs[-1].size) ** 2
    return lambda step: share * decayed(method.decay, method.decay_every, before + step)
