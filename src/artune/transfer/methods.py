"""Table of the methods of making a picture, by ``kind``. A new method is a file, and a line in the table."""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from artune.assets import OnBytes
from artune.backbones.base import Image
from artune.spec.style import StyleSpec
from artune.threads import on_free_cores
from artune.transfer import color_only, instant, optimise, trained, wct
from artune.transfer.checkpoint import Checkpoint, StrengthSearch
from artune.transfer.ladder import Ladder
from artune.transfer.run import P, Progress, Run
from artune.transfer.task import N, Task


@dataclass(frozen=True)
class Method(Generic[P, N]):
    """A method of making a picture, as functions.

    Attributes:
        load: loads what serves many pictures, such as a network. Arguments: spec, file of weights or ``None``, callback
            of downloads or ``None``.
        plan: makes the plan of a task and checks it. Arguments: task, strength if the spec leaves it open, ``memory``
            of the plan that the run began with if it is resumed.
        steps: runs a plan step by step. Arguments: run, checkpoint to resume from or ``None``.
        ladder: makes pictures at several strengths, for the search for the balance. Arguments: task, plan. ``None`` if
            no strength is found for the pictures.
        finish: what is done once to the last picture, ``[1, 3, h, w]`` in [0, 1]. Arguments: picture, run.
        in_tiles: whether any size of a run is computed in tiles.
    """

    load: Callable[[StyleSpec, Path | None, OnBytes | None], N]
    plan: Callable[[Task[N], float | None, str | None], P]
    steps: Callable[[Run[P, N], Checkpoint | None], Generator[Progress, None, None]]
    ladder: Callable[[Task[N], P], Ladder[P]] | None = None
    finish: Callable[[Image, Run[P, N]], Image] = lambda image, run: image
    in_tiles: Callable[[Run[P, N]], bool] = lambda run: False


METHODS: Mapping[str, Method[Any, Any]] = {
    "optimise": Method(
        optimise.load, optimise.plan, optimise.steps, optimise.ladder, optimise.finish, optimise.in_tiles
    ),
    "instant": Method(instant.load, instant.plan, instant.steps, instant.ladder, instant.finish, instant.in_tiles),
    "trained": Method(trained.load, trained.plan, trained.steps),
    "wct": Method(wct.load, wct.plan, wct.steps, None, wct.finish, wct.in_tiles),
    "color": Method(color_only.load, color_only.plan, color_only.steps),
}


def method_of(spec: StyleSpec) -> Method[Any, Any]:
    """The method of a spec or a plan."""
    return METHODS[spec.method.kind]


def plan_run(
    task: Task[Any], strength: float | None = None, search: StrengthSearch | None = None, memory: str | None = None
) -> Run[Any, Any]:
    """Make the plan of a task, check it, and return the run.

    Args:
        task: pictures and spec.
        strength: the strength, if the spec leaves it open; default: 0.5.
        search: how this strength was found.
        memory: ``memory`` of the plan that the run began with, if it is resumed.

    Raises:
        InputError: the spec does not fit the pictures or the network.
        ResourceError: there is not enough memory.
    """
    return Run.of(task, method_of(task.spec).plan(task, strength, memory), search)


def steps(run: Run[Any, Any], checkpoint: Checkpoint | None = None) -> Iterator[Progress]:
    """Run a plan step by step.

    Args:
        run: the run.
        checkpoint: a checkpoint of this run to resume from; the result has the same bits as without the interruption.

    Yields:
        the progress after every event; the last one is that of the end.

    Raises:
        CheckpointError: the checkpoint does not fit the run.
        ResourceError: memory ran out.
    """
    return on_free_cores(method_of(run.plan).steps(run, checkpoint), run.cores)
