"""The optimiser of a plan, the schedule of its rate, and how a low strength blends with the photograph."""

from collections.abc import Sequence
from typing import Any

from artune.engine.descend import Optimiser, Schedule
from artune.engine.optimisers import OPTIMISERS, decayed
from artune.spec.style import WEAK
from artune.transfer.plan import ResolvedOptimise


def optimiser_of(method: ResolvedOptimise, *, in_place: bool = False) -> Optimiser:
    """The optimiser of a plan. Options that the optimiser does not have are left out.

    Args:
        method: the plan's method.
        in_place: overwrite the iterate, if the optimiser can.
    """
    kind = OPTIMISERS[method.optimiser]
    given: dict[str, Any] = {
        "rate": method.rate,
        "history": method.history,
        "search": method.line_search != "none",
        "in_place": in_place,
    }
    return kind(**{name: value for name, value in given.items() if name in kind.__dataclass_fields__})


def result_shares(strengths: Sequence[float]) -> list[float]:
    """Share of the result at each strength; below ``WEAK``, the result is blended with the photograph."""
    return [min(1.0, strength / WEAK) for strength in strengths]


def schedule(method: ResolvedOptimise, level: int) -> Schedule:
    """Factor of the rate at each step of a size.

    Decay counts the planned steps of the whole run, so that it stays the same if a size stalls or the run is resumed.
    The rate of an optimiser that is not scale-free is that of the last size. Calibrated losses are means over pixels,
    so at a smaller size the rate is reduced in proportion to the pixels: a step then changes the picture as much.
    The rate of a scale-free one falls from size to size if the painter made the start: a long step would undo it.

    Args:
        method: the plan's method.
        level: index of the size among the sizes, from 0.
    """
    rungs = method.rungs
    before = sum(rung.steps for rung in rungs[:level])
    share = 1.0
    if not OPTIMISERS[method.optimiser].scale_free:
        if method.scale == "calibrated":
            share = (rungs[level].size / rungs[-1].size) ** 2
    elif method.start == "instant":
        share = 2 / (2 + level)
    return lambda step: share * decayed(method.decay, method.decay_every, before + step)
