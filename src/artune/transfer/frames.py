"""The optimisation of a frame of a film that follows others (Ruder, Dosovitskiy and Brox 2016)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from artune.backbones.base import Image
from artune.engine.descend import descend, run_to_end
from artune.engine.modes import own_mode
from artune.errors import ResourceError
from artune.losses.objective import AnyWeightedTerm, Paintings, WeightedTerm
from artune.losses.protocol import Mask
from artune.losses.terms import Content
from artune.transfer.objective import ObjectiveBuilder, photograph_at
from artune.transfer.optimise import OptimiseRun, budget_of
from artune.transfer.plan import OptimisePlan
from artune.transfer.rates import optimiser_of, schedule

TEMPORAL_WEIGHT = 4.0
"""Weight of the mean squared difference from an earlier frame, which is in squared units of [0, 1] over three
channels; the content weight is 1 - strength."""


class EarlierFrame(NamedTuple):
    """An earlier frame's result, carried on to the present one.

    Attributes:
        image: ``[1, 3, h, w]`` in [0, 1].
        valid: how far each pixel shows the same as in the present frame, ``[1, 1, h, w]`` in [0, 1].
    """

    image: Image
    valid: Mask


class FrameOptimiser:
    """Optimises the frames of a scene after its first; what is measured of the paintings serves them all.

    Args:
        run: of any of the frames; the others differ from it in their photograph, masks and weights alone.
    """

    def __init__(self, run: OptimiseRun) -> None:
        self.level = len(run.plan.method.rungs) - 1
        self.builder = ObjectiveBuilder(run.plan, run.shown, run.network, run.plan.method.rungs[self.level])
        self.paintings = run_to_end(self.builder.paintings())

    def optimise(self, run: OptimiseRun, start: Image, earlier: Sequence[EarlierFrame]) -> Image:
        """Optimise a frame at the run's last size, near to the earlier frames.

        Args:
            run: of the frame.
            start: picture to start from, ``[1, 3, h, w]`` in [0, 1].
            earlier: results of earlier frames.

        Raises:
            ResourceError: the size does not fit into the memory as a whole.
        """
        plan, rung = run.plan, run.plan.method.rungs[self.level]
        if budget_of(plan, run).side(rung.size) is not None:
            raise ResourceError(
                f"a film of `size` {plan.size} does not fit into the memory as a whole; choose a smaller `size`"
            )
        image = start
        with own_mode():
            content = photograph_at(run.shown, rung.size, run.network.device)
            terms = [_temporal(number, each) for number, each in enumerate(earlier, start=1)]
            builder = self.builder.for_frame(plan, run.shown)
            objective = run_to_end(builder.objective(content, self._shared(plan), terms))
            for step in descend(
                objective,
                start,
                optimiser_of(plan.method),
                steps=rung.steps,
                average=plan.method.average,
                schedule=schedule(plan.method, self.level),
            ):
                image = step.image
        return image

    def _shared(self, plan: OptimisePlan) -> Paintings:
        """The measured paintings, with the weights that they have in a frame."""
        return [
            some
            if len(some) == 1
            else [replace(each, share=share) for each, share in zip(some, plan.style_weights, strict=True)]
            for some in self.paintings
        ]


def _temporal(number: int, earlier: EarlierFrame) -> AnyWeightedTerm:
    """The masked squared difference from an earlier frame; its weight is in proportion to what is valid."""
    term = Content("image")
    share = float(earlier.valid.mean())
    target = term.freeze(term.measure({"image": earlier.image}, earlier.valid))
    return WeightedTerm(
        f"temporal {number}", term, target, TEMPORAL_WEIGHT * share, torch.ones(1, device=target.device), earlier.valid
    )
