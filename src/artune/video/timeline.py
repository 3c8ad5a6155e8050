"""Styles over time: which painting counts how much at which moment of a film."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Self

from artune.errors import SpecError


@dataclass(frozen=True)
class Timeline:
    """Moments at which one painting alone is the style; between two of them, the styles are blended.

    Attributes:
        moments: in seconds from the beginning of the film, ascending.
        paintings: number of the painting at each moment.
        count: number of all paintings.
    """

    moments: tuple[Fraction, ...]
    paintings: tuple[int, ...]
    count: int

    @classmethod
    def of(cls, moments: Sequence[Fraction]) -> Self:
        """The timeline of paintings in order, each with its moment.

        Raises:
            SpecError: two paintings have the same moment, or one is before the film.
        """
        order = sorted(range(len(moments)), key=lambda number: moments[number])
        found = [moments[number] for number in order]
        if any(one == other for one, other in pairwise(found)):
            raise SpecError("two paintings are to be the style at the same moment; give them different ones")
        if found and found[0] < 0:
            raise SpecError("a painting is to be the style before the film begins; give moments from 0 on")
        return cls(tuple(found), tuple(order), len(moments))

    def weights(self, time: Fraction) -> tuple[float, ...]:
        """Weight of each painting at a moment; their sum is 1."""
        after = next((place for place, moment in enumerate(self.moments) if moment > time), len(self.moments))
        found = [0.0] * self.count
        if after in (0, len(self.moments)):
            found[self.paintings[max(after - 1, 0)]] = 1.0
            return tuple(found)
        begin, end = self.moments[after - 1], self.moments[after]
        share = float((time - begin) / (end - begin))
        found[self.paintings[after - 1]] += 1 - share
        found[self.paintings[after]] += share
        return tuple(found)
