"""Small pictures of one task at several strengths, by which the search for the balance finds the strength."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from artune.backbones.base import Image
from artune.backbones.registry import defaults_of
from artune.engine.descend import descend, run_to_end
from artune.engine.optimisers import Adam
from artune.images.picture import Picture
from artune.spec.style import Rung
from artune.threads import on_free_cores
from artune.transfer.finish import finished
from artune.transfer.objective import ObjectiveBuilder, photograph_at
from artune.transfer.optimise import OptimiseTask, first_iterate, next_iterate, plan_unchecked
from artune.transfer.plan import OptimisePlan
from artune.transfer.rates import result_shares
from artune.transfer.run import blended, first_picture
from artune.transfer.sizes import least_size

AfterStep = Callable[[], None]
"""Called after every step."""


class StagePictures(NamedTuple):
    """Pictures of one stage of the search.

    Attributes:
        strengths: strength of each picture, inside (0, 1).
        pictures: the pictures, as a run would deliver them.
        images: the same pictures before colours and transparency were set, ``[b, 3, h, w]``.
    """

    strengths: Sequence[float]
    pictures: Sequence[Picture]
    images: Image


@runtime_checkable
class Ladder(Protocol):
    """Makes the pictures of both stages of the search.

    Attributes:
        size: longer side of the pictures of the first stage, pixels.
        steps: number of steps of both stages.
    """

    @property
    def size(self) -> int: ...

    @property
    def steps(self) -> int: ...

    def first_stage(self, strengths: Sequence[float], after_step: AfterStep) -> StagePictures:
        """Make small pictures at several strengths, inside (0, 1)."""

    def second_stage(self, strength: float, first: StagePictures, after_step: AfterStep) -> StagePictures:
        """Make one larger picture; it may start from the picture of the first stage that is nearest in strength."""


@dataclass(frozen=True)
class Stage:
    """Settings of one stage of the search.

    Attributes:
        size: longer side of the pictures, pixels.
        steps: number of steps. It does not depend on the steps of the run: after fewer steps, pictures of high strength
            show too little of the style to differ from those of low strength.
        rate: factor of the network's default rate.
    """

    size: int
    steps: int
    rate: float


FIRST_STAGE = Stage(128, 32, 1.0)
"""The first stage: several strengths, small and quick."""
SECOND_STAGE = Stage(256, 30, 1.6)
"""The second stage: the one strength that balances the first stage, at twice the size. At this size, a strength has the
same effect as in a whole run. The larger rate makes up for the few steps."""
MAX_STEPS_FACTOR = 2.0
"""Largest factor of the steps of the second stage if the result is smaller than that stage: with fewer pixels, more
steps take the same time."""
MAX_AVERAGE = 0.8
"""Largest decay of the average of the iterates. With the default decay, the start would still be visible after so few
steps."""


class OptimiseLadder:
    """Pictures by the method ``optimise``. Those of a stage are optimised as one batch.

    Args:
        task: the photograph, the paintings and the spec.
        plan: plan of the task, at any strength.
        first: settings of the first stage.
        second: settings of the second stage.
    """

    def __init__(
        self, task: OptimiseTask, plan: OptimisePlan, first: Stage = FIRST_STAGE, second: Stage = SECOND_STAGE
    ) -> None:
        self.task, self.shown = task, task.inputs.coloured(plan)
        least = least_size(task.inputs.photograph.size, task.network.backbone.smallest)
        sizes = [min(max(stage.size, least), plan.size) for stage in (first, second)]
        more = min(max(1.0, second.size / sizes[1]) ** 2, MAX_STEPS_FACTOR)
        self.first = replace(first, size=sizes[0])
        self.second = replace(second, size=sizes[1], steps=round(more * second.steps))

    @property
    def size(self) -> int:
        """Longer side of the pictures of the first stage, pixels."""
        return self.first.size

    @property
    def steps(self) -> int:
        """Number of steps of both stages."""
        return self.first.steps + self.second.steps

    def first_stage(self, strengths: Sequence[float], after_step: AfterStep = lambda: None) -> StagePictures:
        """Make small pictures at several strengths, inside (0, 1)."""
        plans, content = self._plans(strengths), self._photograph(self.first)
        x = first_iterate(plans[0], self.shown, first_picture(self.task, self.shown), content)
        return self._made(plans, self.first, content, x.expand(len(plans), -1, -1, -1), after_step)

    def second_stage(
        self, strength: float, first: StagePictures, after_step: AfterStep = lambda: None
    ) -> StagePictures:
        """Make one larger picture. It starts from the picture of the first stage that is nearest in log odds."""
        plans, content = self._plans([strength]), self._photograph(self.second)
        place, places = torch.tensor(strength).logit(), torch.tensor(first.strengths).logit()
        nearest = first.images[(place - places).abs().argmin()][None]
        x = next_iterate(plans[0], self.shown, nearest, self.first.size, content)
        return self._made(plans, self.second, content, x, after_step)

    def _plans(self, strengths: Sequence[float]) -> tuple[OptimisePlan, ...]:
        return tuple(plan_unchecked(self.task, strength) for strength in strengths)

    def _photograph(self, stage: Stage) -> Image:
        return photograph_at(self.shown, stage.size, self.task.network.device)

    def _made(
        self, plans: tuple[OptimisePlan, ...], stage: Stage, content: Image, x: Tensor, after_step: AfterStep
    ) -> StagePictures:
        """Make the pictures of some plans, from the iterates ``x``, ``[b, 3, h, w]``."""
        network, method = self.task.network, plans[0].method
        sized = ObjectiveBuilder(plans, self.shown, network, Rung(size=stage.size, steps=stage.steps))
        with self.task.cores.in_use():
            objective = run_to_end(sized.objective(content, run_to_end(sized.paintings())))
        strengths = [plan.strength for plan in plans]
        rates = result_shares(strengths) if method.start == "content" else [1.0] * len(plans)
        defaults = defaults_of(method.network, network.backbone.taps)
        optimiser = Adam(rate=stage.rate * defaults.rate * torch.tensor(rates, device=x.device))
        average = min(defaults.average, MAX_AVERAGE)
        steps = descend(objective, x.contiguous(), optimiser, steps=stage.steps, average=average)
        for step in on_free_cores(steps, self.task.cores):
            x = step.image
            after_step()
        pictures = [
            finished(image[None], plan, blended(self.task.inputs, plan), self.shown)
            for image, plan in zip(x, plans, strict=True)
        ]
        return StagePictures(strengths, pictures, x)
