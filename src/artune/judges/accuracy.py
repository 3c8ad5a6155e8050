"""How often a judge is right: counts of right answers, and how far they can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray


@dataclass(frozen=True)
class Accuracy:
    """Right answers among all answers.

    Attributes:
        right: number of right answers.
        count: number of all answers; 0 where nothing was asked.
    """

    right: int
    count: int

    @property
    def share(self) -> float:
        """Right answers over all, in [0, 1]; NaN for no answers."""
        return self.right / self.count if self.count else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """See ``wilson``."""
        return wilson(self.right, self.count)


def wilson(right: int, count: int) -> tuple[float, float]:
    """95 % interval of the share ``right / count`` (Wilson 1927); [0, 1] for a count of 0."""
    from scipy.stats import binomtest

    if count == 0:
        return 0.0, 1.0
    interval = binomtest(right, count).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often pictures of each class are taken for each class.

    Attributes:
        classes: their names.
        table: ``[classes, classes]``: number of pictures of a class (row) that are taken for a class (column).
    """

    classes: tuple[str, ...]
    table: NDArray[np.int64]

    @property
    def accuracy(self) -> Accuracy:
        """Of all pictures together."""
        return Accuracy(int(self.table.trace()), int(self.table.sum()))

    @property
    def by_class(self) -> dict[str, Accuracy]:
        """Of the pictures of each class."""
        rows = zip(self.classes, self.table, strict=True)
        return {name: Accuracy(int(row[place]), int(row.sum())) for place, (name, row) in enumerate(rows)}


def confusion(
    classes: Sequence[str], labels: Int[NDArray[np.int64], " n"], answers: Int[NDArray[np.int64], " n"]
) -> Confusion:
    """Count answers.

    Args:
        classes: names; a label or an answer is a place among them.
        labels: what each picture shows.
        answers: what each picture is taken for.
    """
    table = np.zeros((len(classes),) * 2, np.int64)
    np.add.at(table, (labels, answers), 1)
    return Confusion(tuple(classes), table)
