"""One strength for many photographs, such as the frames of a film: found on a few of them."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeVar

from artune.balance.curve import log_odds, strength_at
from artune.errors import ArtuneError, InputError

T = TypeVar("T")

SAMPLED_PHOTOGRAPHS = 5
"""Photographs whose strengths are found."""


def spread(items: Sequence[T], count: int = SAMPLED_PHOTOGRAPHS) -> list[T]:
    """As many items, evenly spaced over all of them: the middles of equal parts.

    Args:
        items: in order, such as frames in time.
        count: 1 at least; where there are fewer items, all are returned.
    """
    if len(items) <= count:
        return list(items)
    return [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]


def common_strength(strengths: Sequence[float]) -> float:
    """The median in log odds, on whose scale strengths are evenly spaced, to three digits.

    Args:
        strengths: inside (0, 1), one at least.
    """
    return round(strength_at(median(map(log_odds, strengths))), 3)


def shared_strength(photographs: Sequence[T], find: Callable[[T], float], count: int = SAMPLED_PHOTOGRAPHS) -> float:
    """One strength for all photographs; those that cannot be used are passed over.

    Args:
        photographs: in order, one at least.
        find: the strength of one of them, inside (0, 1).
        count: for how many of them it is found.

    Raises:
        InputError: for none of the chosen photographs a strength was found; with the reason of the last.
    """
    found = []
    reason: ArtuneError | None = None
    for photograph in spread(photographs, count):
        try:
            found.append(find(photograph))
        except ArtuneError as error:
            reason = error
    if not found:
        raise InputError(f"one strength for all photographs: {reason}") from reason
    return common_strength(found)
