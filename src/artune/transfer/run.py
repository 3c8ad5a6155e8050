"""A run: everything that it needs, and what it tells between two steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from artune.backbones.base import Image
from artune.engine.descend import End, PartDone, State
from artune.images.picture import Picture
from artune.record import run_key
from artune.spec.style import Rung
from artune.transfer.checkpoint import Checkpoint, StrengthSearch
from artune.transfer.finish import finished
from artune.transfer.inputs import Inputs, Painting
from artune.transfer.plan import Plan
from artune.transfer.rates import result_shares
from artune.transfer.task import N, Task

P = TypeVar("P", bound=Plan)
Event = Literal["begins", "part", "step", "ends"]
Losses = Mapping[str, Sequence[float]]
"""Losses by name, one value for each step."""


@dataclass(frozen=True, eq=False)
class Run(Generic[P, N]):
    """Everything that a run needs. It holds no state: it can be run again, to the same picture.

    Attributes:
        plan: every choice made.
        inputs: the pictures as they were given; where the strength is small, the photograph shines through.
        shown: the same in the colours that the network sees.
        first: the picture to start from, where the start is not the photograph.
        network: what the method has loaded.
        key: digest of plan and pictures: the same key, the same picture.
        search: how the strength was found, where it was.
    """

    plan: P
    inputs: Inputs
    shown: Inputs
    first: Painting
    network: N
    key: str
    search: StrengthSearch | None = None

    @classmethod
    def of(cls, task: Task[N], plan: P, search: StrengthSearch | None = None) -> "Run[P, N]":
        """The run of a task by a plan."""
        strengths = [*plan.region_strengths, plan.strength][: len(task.inputs.regions)]
        inputs = task.inputs.blended(result_shares(strengths))
        shown = inputs.coloured(plan)
        first = Painting(task.first) if task.first else shown.paintings[0]
        return cls(plan, inputs, shown, first, task.network, run_key(plan, inputs.digests), search)


@dataclass(frozen=True, eq=False)
class Progress:
    """What is happening in a run.

    Attributes:
        event: a size ``begins``; a ``part`` of a step is finished, such as a tile; a ``step``; the run ``ends``.
        run: the run.
        level: place of the size at work among the sizes, from 0.
        rung: the size at work, and its steps.
        done: steps done over all sizes.
        total: steps over all sizes.
        state: of the descent; its image is the picture so far.
        losses: of all steps so far; they grow as the run goes on.
        seconds: since the run began, those before a checkpoint included.
        measure: losses of a picture at this size, by name.
        part: of the step at work, for that event.
        end: why the run ended, for that event.
    """

    event: Event
    run: Run[Any, Any]
    level: int
    rung: Rung
    done: int
    total: int
    state: State
    losses: Losses
    seconds: float
    measure: Callable[[Image], Mapping[str, float]]
    part: PartDone | None = None
    end: End | None = None

    @property
    def latest(self) -> dict[str, float]:
        """Losses of the last step, by name; empty before the first."""
        return {name: values[-1] for name, values in self.losses.items() if values}

    def picture(self) -> Picture:
        """The picture so far, at its present size."""
        run = self.run
        return finished(self.state.image, run.plan, run.inputs, run.shown)

    def save(self, path: Path | str) -> None:
        """Write a checkpoint to go on from, atomically.

        Raises:
            OutputError: no permission, no space.
        """
        run = self.run
        Checkpoint(run.key, self.level, self.state, self.losses, self.seconds, run.search).save(Path(path))
