"""Optimisation in the image (Gatys 2016): its plan, and its steps from size to size."""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import torch

from artune.assets import OnBytes
from artune.backbones.network import Network
from artune.backbones.registry import defaults_of
from artune.engine.descend import STALLED_AFTER, End, InParts, PartDone, State, Step, begin, descend_in_parts
from artune.errors import ResourceError
from artune.machine import give_back_memory, ran_out
from artune.spec.style import StyleSpec
from artune.transfer.budget import MemoryBudget
from artune.transfer.checkpoint import Checkpoint
from artune.transfer.objective import MaskedObjective, ObjectiveBuilder, covered_at, photograph_at, weights_by_region
from artune.transfer.plan import OptimisePlan, resolve, with_own_names
from artune.transfer.rates import optimiser_of, schedule
from artune.transfer.run import Event, Progress, Run
from artune.transfer.sizes import check_sizes
from artune.transfer.start import carried, enlarged, start
from artune.transfer.task import Task

R = TypeVar("R")
OptimiseTask = Task[Network]
OptimiseRun = Run[OptimisePlan, Network]


def load(spec: StyleSpec, weights: Path | None = None, on_bytes: OnBytes | None = None) -> Network:
    """The loss network that a spec asks for; see ``artune.Network.load``."""
    return Network.load(spec, weights, on_bytes)


def plan(task: OptimiseTask, strength: float | None = None) -> OptimisePlan:
    """The plan of a task, checked against its network and the memory.

    Args:
        task: what is asked for.
        strength: where the spec leaves it open.

    Raises:
        SpecError: a size, a layer or a loss does not fit the network.
        ResourceError: not enough memory.
    """
    return budget_of(plan_unchecked(task, strength), task).checked()


def plan_unchecked(task: OptimiseTask, strength: float | None = None) -> OptimisePlan:
    """The plan of a task, not yet checked against the memory; see ``plan``."""
    network = task.network
    backbone = network.backbone
    resolved = resolve(
        with_own_names(task.spec, backbone),
        task.inputs.photograph.size,
        task.styles,
        device=str(network.device),
        precision=network.precision,
        smallest=backbone.smallest,
        regions=task.regions,
        smooth=network.smooth,
        recipe=defaults_of(task.spec.method.network, backbone.taps),
        strength=strength,
    )
    backbone.check(resolved.method.taps)
    check_sizes(resolved, task.inputs.photograph, network)
    return resolved


def budget_of(plan: OptimisePlan, of: OptimiseTask | OptimiseRun) -> MemoryBudget:
    """What a plan of a task, or of a run, needs of the memory."""
    paintings = [painting.picture for painting in of.inputs.paintings]
    masks = sum(place.mask is not None for place in of.inputs.regions)
    return MemoryBudget(plan, of.inputs.photograph, paintings, of.network, masks)


def tiled(run: OptimiseRun) -> bool:
    """Whether a size of a run is computed in tiles."""
    budget = budget_of(run.plan, run)
    return any(budget.side(rung.size) for rung in run.plan.method.rungs)


@torch.inference_mode(False)  # the caller's mode would leave nothing to differentiate
def steps(run: OptimiseRun, left: Path | None = None) -> Iterator[Progress]:
    """Descend size by size.

    Args:
        run: planned.
        left: a checkpoint of this run to go on from, to the same bits.

    Yields:
        a progress when a size begins, after every tile, after every step, and at the end.

    Raises:
        CheckpointError: the checkpoint is damaged, or of another run.
        ResourceError: memory ran out.
    """
    with _out_of_memory_explained(run.plan.size):
        yield from _steps(run, None if left is None else _checkpoint(run, left))


def _checkpoint(run: OptimiseRun, path: Path) -> Checkpoint:
    method, shape = run.plan.method, run.inputs.photograph.size
    return Checkpoint.load(path, run.key, method.rungs, shape, optimiser_of(method).memory, run.network.device)


def _steps(run: OptimiseRun, left: Checkpoint | None) -> Iterator[Progress]:
    rungs = run.plan.method.rungs
    trace = _RunLog.of(run, left)
    if _is_photograph(run):
        level = len(rungs) - 1
        yield trace.progress("ends", level, begin(photograph_at(run.shown, rungs[-1].size, run.network.device)), done=0)
        return
    first, state = (left.level, left.state) if left else (0, None)
    for level in range(first, len(rungs)):
        begun = state if left and level == first else None
        state, end = yield from _size(trace, level, begun or _begin(run, level, state))
        if end is End.DIVERGED:
            return


def _is_photograph(run: OptimiseRun) -> bool:
    """Whether nothing pulls the photograph away from itself."""
    plan = run.plan
    styled = any(style for _, style in weights_by_region(plan, run.inputs))
    return (plan.method.start == "content" or plan.strength == 0) and not (styled or plan.method.tv)


def _begin(run: OptimiseRun, level: int, state: State | None) -> State:
    """Where the descent at a size starts.

    Args:
        run: planned.
        level: place of the size among the sizes.
        state: where the size before ended; ``None`` at the first.
    """
    plan, rungs = run.plan, run.plan.method.rungs
    content = photograph_at(run.shown, rungs[level].size, run.network.device)
    if state is None:
        x = start(plan.method.start, content, run.first, plan.seed)
        covered = covered_at(run.shown, content)
        return begin(x if covered is None else torch.where(covered > 0, x, content))
    before = None
    if plan.method.start == "content":
        before = photograph_at(run.shown, rungs[level - 1].size, run.network.device)
    height, width = content.shape[-2:]
    return begin(enlarged(state.image, content, before), carried(state, optimiser_of(plan.method), height, width))


def _size(trace: "_RunLog", level: int, state: State) -> Generator[Progress, None, tuple[State, End | None]]:
    """Descend at one size; where it ended, and why."""
    run, plan, rung = trace.run, trace.run.plan, trace.run.plan.method.rungs[level]
    side = budget_of(plan, run).side(rung.size)
    if side is not None:
        give_back_memory()
    yield trace.progress("begins", level, state)
    sized = ObjectiveBuilder((plan,), run.shown, run.network, rung, side)
    content = photograph_at(run.shown, rung.size, run.network.device)
    paintings = yield from trace.parts(level, state, sized.paintings())
    objective = yield from trace.parts(level, state, sized.objective(content, paintings))
    del content, paintings  # a large picture needs the room
    end: End | None = None
    for event in descend_in_parts(
        objective,
        state.x,
        optimiser_of(plan.method, in_place=side is not None),
        steps=rung.steps,
        average=plan.method.average,
        state=state,
        schedule=schedule(plan.method, level),
        in_place=side is not None,
    ):
        if isinstance(event, PartDone):
            yield trace.progress("part", level, state, objective, part=event)
            continue
        end = event.end
        if end is not End.DIVERGED:
            state = event.state
            trace.note(event)
            yield trace.progress("step", level, state, objective)
    if state.unchanged >= STALLED_AFTER:
        end = End.STALLED
    trace.end = end or trace.end
    if end is End.DIVERGED or level == len(plan.method.rungs) - 1:
        yield trace.progress("ends", level, state, objective)
    return state, end


@dataclass
class _RunLog:
    """What a run tells of itself: its losses so far, its time, and why it ended.

    Attributes:
        run: the run.
        began: when it began, less the seconds before a checkpoint.
        losses: of all steps so far.
        end: why the last size ended.
    """

    run: OptimiseRun
    began: float
    losses: dict[str, list[float]]
    end: End = End.DONE

    @classmethod
    def of(cls, run: OptimiseRun, left: Checkpoint | None) -> Self:
        """At the beginning, or where a checkpoint was left."""
        began = time.perf_counter() - (left.seconds if left else 0.0)
        return cls(run, began, {name: [*values] for name, values in left.losses.items()} if left else {})

    def note(self, step: Step) -> None:
        """Keep the losses of a step."""
        for name, value in {"total": step.total, **step.losses}.items():
            self.losses.setdefault(name, []).append(float(value[0]))

    def progress(
        self,
        event: Event,
        level: int,
        state: State,
        objective: MaskedObjective | None = None,
        *,
        part: PartDone | None = None,
        done: int | None = None,
    ) -> Progress:
        """The run as it stands."""
        rungs = self.run.plan.method.rungs
        if done is None:
            done = sum(rung.steps for rung in rungs[:level]) + state.step
        return Progress(
            event,
            self.run,
            level,
            rungs[level],
            done,
            sum(rung.steps for rung in rungs),
            state,
            self.losses,
            time.perf_counter() - self.began,
            (lambda image: {}) if objective is None else partial(objective.losses, step=state.step),
            part,
            self.end if event == "ends" else None,
        )

    def parts(self, level: int, state: State, computation: InParts[R]) -> Generator[Progress, None, R]:
        """Run a computation, and tell of its parts."""
        while True:
            try:
                part = next(computation)
            except StopIteration as end:
                result: R = end.value
                return result
            yield self.progress("part", level, state, part=part)


@contextmanager
def _out_of_memory_explained(size: int) -> Iterator[None]:
    """Say in words that memory ran out."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        raise ResourceError(
            f"memory ran out on the way to size {size}; choose a smaller `size` (half of it needs a quarter of the "
            "memory)"
        ) from error
