"""One strength for many photographs, such as the frames of a film. It is found on a few of them."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeVar

from artune.balance.curve import log_odds, strength_at
from artune.errors import ArtuneError, InputError

T = TypeVar("T")

SAMPLED_PHOTOGRAPHS = 5
"""Number of photographs for which a strength is found."""


def spread(items: Sequence[T], count: int = SAMPLED_PHOTOGRAPHS) -> list[T]:
    """Choose items that are evenly spaced over all items: the middle of each of ``count`` equal parts.

    Args:
        items: in order, such as frames in time.
        count: number of items to choose, at least 1; if there are fewer items, all are returned.
    """
    if len(items) <= count:
        return list(items)
    return [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]


def common_strength(strengths: Sequence[float]) -> float:
    """Median of strengths, taken in log odds and rounded to three digits.

    Args:
        strengths: at least one, inside (0, 1).
    """
    return round(strength_at(median(map(log_odds, strengths))), 3)


def shared_strength(photographs: Sequence[T], find: Callable[[T], float], count: int = SAMPLED_PHOTOGRAPHS) -> float:
    """Find one strength for all photographs. A photograph that cannot be used is skipped.

    Args:
        photographs: in order, at least one.
        find: finds the strength of one photograph, inside (0, 1).
        count: number of photographs for which a strength is found.

    Raises:
        InputError: no strength was found for any of the chosen photographs; with the reason for the last one.
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
