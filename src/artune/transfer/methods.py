"""The methods of making a picture, by the ``kind`` of a spec's method. A new one is a file, and a line in the table."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from artune.assets import OnBytes
from artune.spec.style import StyleSpec
from artune.transfer import optimise
from artune.transfer.checkpoint import StrengthSearch
from artune.transfer.run import P, Progress, Run
from artune.transfer.task import N, Task


@dataclass(frozen=True)
class Method(Generic[P, N]):
    """A method of making a picture.

    Attributes:
        load: what it needs for many pictures, such as a network: of a spec, from a file of weights if one is given.
        plan: of a task, at a strength where the spec leaves it open: every choice made, and checked.
        steps: runs a plan, from a checkpoint if one is given.
    """

    load: Callable[[StyleSpec, Path | None, OnBytes | None], N]
    plan: Callable[[Task[N], float | None], P]
    steps: Callable[[Run[P, N], Path | None], Iterator[Progress]]


METHODS: Mapping[str, Method[Any, Any]] = {
    "optimise": Method(optimise.load, optimise.plan, optimise.steps),
}


def method_of(spec: StyleSpec) -> Method[Any, Any]:
    """The method that a spec, or a plan, asks for."""
    return METHODS[spec.method.kind]


def plan_run(task: Task[Any], strength: float | None = None, search: StrengthSearch | None = None) -> Run[Any, Any]:
    """The run of a task: every choice made, and checked.

    Args:
        task: what is asked for.
        strength: where the spec leaves it open; default: the usual one.
        search: how that strength was found.

    Raises:
        InputError: something does not fit the pictures or the network.
        ResourceError: not enough memory.
    """
    return Run.of(task, method_of(task.spec).plan(task, strength), search)


def steps(run: Run[Any, Any], left: Path | None = None) -> Iterator[Progress]:
    """Run a plan, and tell what happens; the last progress is that of the end.

    Args:
        run: planned.
        left: a checkpoint of this run to go on from, to the same bits.

    Raises:
        CheckpointError: the checkpoint is damaged, or of another run.
        ResourceError: memory ran out.
    """
    return method_of(run.plan).steps(run, left)
