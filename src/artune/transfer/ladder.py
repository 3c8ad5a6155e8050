"""Small pictures of one task at several strengths, by which the search for the balance finds the strength.

They are painted, whatever method makes the result: that takes a second, and a strength means the same to all methods.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic

import torch

from artune.images.picture import Picture
from artune.networks.loaded import PainterNetwork
from artune.threads import FreeCores, on_free_cores
from artune.transfer.canvas import STEPS, Canvas, Painted, paint, sizes_and_steps, weakened
from artune.transfer.finish import finished
from artune.transfer.inputs import Inputs, Painting
from artune.transfer.run import P, blended

AfterStep = Callable[[], None]
"""Called after every step."""
SIDE = 256
"""Longer side of the pictures, pixels."""
COUNTS = STEPS["draft"]
"""Steps of the painter."""


class Ladder(Generic[P]):
    """Paints the pictures of the search.

    Args:
        inputs: the pictures of the task.
        first: the picture to start from, if the start is not the photograph.
        painter: the painter.
        cores: the free cores, which it computes on.
        plan_at: the plan at a strength.
        log_odds_of: log odds of the strength that the painter is told, for each region of a plan.
    """

    def __init__(
        self,
        inputs: Inputs,
        first: Painting,
        painter: PainterNetwork,
        cores: FreeCores,
        plan_at: Callable[[float], P],
        log_odds_of: Callable[[P], Sequence[float]],
    ) -> None:
        self.inputs, self.first, self.painter, self.cores = inputs, first, painter, cores
        self.plan_at, self.log_odds_of = plan_at, log_odds_of
        self.size = min(SIDE, plan_at(0.5).size)
        self.rungs = sizes_and_steps(COUNTS, self.size)

    @property
    def steps(self) -> int:
        """Number of steps."""
        return sum(rung.steps for rung in self.rungs)

    def told(self, strength: float) -> float:
        """Log odds that the painter is told at a strength, in the last region: by the weights, if one was given."""
        return self.log_odds_of(self.plan_at(strength))[-1]

    def pictures(self, strengths: Sequence[float], after_step: AfterStep = lambda: None) -> list[Picture]:
        """The pictures at some strengths, inside (0, 1)."""
        plans = [self.plan_at(strength) for strength in strengths]
        by_region = zip(*(self.log_odds_of(plan) for plan in plans), strict=True)
        odds = [torch.tensor(each, device=self.painter.device) for each in by_region]
        shown = self.inputs.coloured(plans[0])
        canvas_of = partial(Canvas.of, shown, plans[0], self.painter, whole=COUNTS.whole)
        painted: Painted | None = None
        for event in on_free_cores(paint(plans[0], shown, self.first, self.rungs, odds, canvas_of), self.cores):
            if isinstance(event, Painted):
                painted = event
                if painted.step:
                    after_step()
        assert painted is not None
        images = weakened(painted.images, painted.canvas.photograph, plans, self.inputs)
        return [
            finished(image[None], plan, blended(self.inputs, plan), shown)
            for image, plan in zip(images, plans, strict=True)
        ]
