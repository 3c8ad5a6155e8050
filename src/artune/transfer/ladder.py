"""Small pictures of one task at several strengths, by which the search for the balance finds the strength.

They are painted, whatever method makes the result. A method may go on from there in its own way: what is judged is then
more like its results.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Generic

import torch

from artune.backbones.base import Image
from artune.engine.descend import run_to_end
from artune.images.picture import Picture
from artune.networks.loaded import PainterNetwork
from artune.threads import FreeCores, on_free_cores
from artune.transfer.canvas import STEPS, Canvas, Painted, paint, sizes_and_steps, weakened
from artune.transfer.finish import finished
from artune.transfer.inputs import Inputs, Painting
from artune.transfer.run import P, blended

AfterStep = Callable[[], None]
"""Called after every step."""
PAINTED_LOG_ODDS = (-1.2, -0.6, 0.0, 0.6, 1.2, 1.8, 2.4, 3.0, 3.6)
"""Log odds of the strengths of painted pictures."""
SIDE = 256
"""Longer side of the pictures, pixels."""
COUNTS = STEPS["draft"]
"""Steps of the painter."""


@dataclass(frozen=True)
class GoingOn(Generic[P]):
    """How a method goes on from painted pictures.

    Attributes:
        steps: number of steps for each picture.
        run: makes the steps, and yields after each. Arguments: plans that differ in their strength alone, their painted
            pictures ``[b, 3, h, w]``. Returns the pictures, ``[1, 3, h, w]`` each.
    """

    steps: int
    run: Callable[[Sequence[P], Image], Generator[None, None, list[Image]]]


class Ladder(Generic[P]):
    """Makes the pictures of the search.

    Args:
        inputs: the pictures of the task.
        first: the picture to start from, if the start is not the photograph.
        painter: the painter.
        cores: the free cores, which it computes on.
        plan_at: the plan at a strength.
        log_odds_of: log odds of the strength that the painter is told, for each part of a plan.
        log_odds: of the strengths that the search is to see.
        size: longer side of the pictures, pixels; that of the result, if it is smaller.
        going_on: how the method goes on from painted pictures; ``None``: it does not.
    """

    def __init__(
        self,
        inputs: Inputs,
        first: Painting,
        painter: PainterNetwork,
        cores: FreeCores,
        plan_at: Callable[[float], P],
        log_odds_of: Callable[[P], Sequence[float]],
        log_odds: Sequence[float] = PAINTED_LOG_ODDS,
        size: int = SIDE,
        going_on: GoingOn[P] | None = None,
    ) -> None:
        self.inputs, self.first, self.painter, self.cores = inputs, first, painter, cores
        self.plan_at, self.log_odds_of, self.log_odds, self.going_on = cache(plan_at), log_odds_of, log_odds, going_on
        self.size = min(size, plan_at(0.5).size)
        self.rungs = sizes_and_steps(COUNTS, self.size)

    @property
    def steps(self) -> int:
        """Number of steps for the pictures at all ``log_odds``."""
        painted = sum(rung.steps for rung in self.rungs)
        return painted + (len(self.log_odds) * self.going_on.steps if self.going_on else 0)

    def told(self, strength: float) -> float:
        """Log odds that the painter is told at a strength, in the last region: by the weights, if one was given."""
        return self.log_odds_of(self.plan_at(strength))[-1]

    def pictures(self, strengths: Sequence[float], after_step: AfterStep = lambda: None) -> list[Picture]:
        """The pictures at some strengths, inside (0, 1)."""
        plans = [self.plan_at(strength) for strength in strengths]
        shown = self.inputs.coloured(plans[0])
        made = run_to_end(on_free_cores(self._steps(plans, shown), self.cores), after_step)
        return [
            finished(image, plan, blended(self.inputs, plan), shown) for image, plan in zip(made, plans, strict=True)
        ]

    def _steps(self, plans: Sequence[P], shown: Inputs) -> Generator[None, None, Sequence[Image]]:
        """Make the pictures of some plans, ``[1, 3, h, w]`` each, and yield after each step."""
        by_part = zip(*(self.log_odds_of(plan) for plan in plans), strict=True)
        odds = [torch.tensor(each, device=self.painter.device) for each in by_part]
        canvas_of = partial(Canvas.of, shown, plans[0], self.painter, whole=COUNTS.whole)
        painted: Painted | None = None
        for event in paint(plans[0], shown, self.first, self.rungs, odds, canvas_of):
            if isinstance(event, Painted):
                painted = event
                if painted.step:
                    yield
        assert painted is not None
        images = weakened(painted.images, painted.canvas.photograph, plans, self.inputs)
        return (yield from self.going_on.run(plans, images)) if self.going_on else [*images[:, None]]
