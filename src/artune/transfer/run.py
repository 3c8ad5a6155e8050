"""A run: everything that it needs, and its progress between two steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from artune.assets import PAINTER
from artune.backbones.base import Image
from artune.engine.descend import End, PartDone, State
from artune.images.picture import Picture
from artune.images.seamless import seamless
from artune.record import run_key
from artune.spec.style import Rung
from artune.threads import FreeCores
from artune.transfer.checkpoint import Checkpoint, StrengthSearch
from artune.transfer.finish import finished
from artune.transfer.inputs import Inputs, Painting
from artune.transfer.plan import Plan, strengths_by_part
from artune.transfer.rates import result_shares
from artune.transfer.task import N, Task

P = TypeVar("P", bound=Plan)
Event = Literal["begins", "part", "step", "ends"]
Losses = Mapping[str, Sequence[float]]
"""Losses by name, with one value for each step."""


@dataclass(frozen=True, eq=False)
class Run(Generic[P, N]):
    """Everything that a run needs. It has no state but the free cores: it can be run again, with the same result.

    Attributes:
        plan: the resolved spec.
        inputs: the pictures as they were given; at a low strength, the result is blended with the photograph.
        shown: the inputs in the colours that the network sees.
        first: the picture to start from, if the start is not the photograph.
        network: what the method has loaded, such as a network.
        cores: the free cores, as measured so far.
        key: digest of plan and pictures; the same key means the same picture.
        search: how the strength was found; ``None`` if it was given.
    """

    plan: P
    inputs: Inputs
    shown: Inputs
    first: Painting
    network: N
    cores: FreeCores
    key: str
    search: StrengthSearch | None = None

    @classmethod
    def of(cls, task: Task[N], plan: P, search: StrengthSearch | None = None) -> "Run[P, N]":
        """The run of a task with a plan."""
        inputs = blended(task.inputs, plan)
        if plan.method.start == "instant":
            inputs = replace(inputs, digests={**inputs.digests, "painter": PAINTER.sha256})
        shown = inputs.coloured(plan)
        key, first = run_key(plan, inputs.digests), first_picture(task, shown)
        return cls(plan, inputs, shown, first, task.network, task.cores, key, search)


def blended(inputs: Inputs, plan: Plan) -> Inputs:
    """Inputs whose result is blended with the photograph where the strength is low."""
    if not plan.method.paints:
        return inputs
    return inputs.blended(result_shares(strengths_by_part(plan, inputs)))


def first_picture(task: Task[Any], shown: Inputs) -> Painting:
    """The picture to start from, if the start is not the photograph: the one that was given, or the first painting."""
    if task.first is not None:
        first = Painting(task.first)
    else:
        first = shown.paintings[0] if shown.paintings else Painting(shown.photograph)
    return replace(first, picture=seamless(first.picture, shown.wraps))


@dataclass(frozen=True, eq=False)
class Progress:
    """Progress of a run after an event.

    Attributes:
        event: ``begins``: a size begins; ``part``: a part of a step, such as a tile, is done; ``step``: a step is done;
            ``ends``: the run ends.
        run: the run.
        level: index of the current size among the sizes, from 0.
        rung: the current size and its steps.
        done: number of steps done, over all sizes.
        total: number of all steps, over all sizes.
        share: share of the work that is done, in [0, 1].
        state: state of the descent; its image is the picture so far. At the end of all steps it has no slots.
        losses: losses of all steps so far, by name; the lists grow while the run goes on.
        seconds: duration of the run so far, the time before a checkpoint included.
        measure: function that returns the losses of a picture at this size, by name; none once the size is over.
        part: number of parts done and of all parts; for the event ``part`` only.
        end: why the run ended; for the event ``ends`` only.
    """

    event: Event
    run: Run[Any, Any]
    level: int
    rung: Rung
    done: int
    total: int
    share: float
    state: State
    losses: Losses
    seconds: float
    measure: Callable[[Image], Mapping[str, float]]
    part: PartDone | None = None
    end: End | None = None

    @property
    def latest(self) -> dict[str, float]:
        """Losses of the last step, by name; empty before the first step."""
        return {name: values[-1] for name, values in self.losses.items() if values}

    def picture(self) -> Picture:
        """The picture so far, at the current size."""
        run = self.run
        return finished(self.state.image, run.plan, run.inputs, run.shown)

    def save(self, path: Path | str) -> None:
        """Write a checkpoint from which the run can be resumed, atomically.

        Raises:
            OutputError: no permission, no space.
        """
        run = self.run
        Checkpoint(
            Path(path), run.key, self.level, self.state, self.losses, self.seconds, run.plan.memory, run.search
        ).save()
