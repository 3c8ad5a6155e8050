"""The method ``optimise``: optimisation in the image (Gatys 2016). Its plan, and its steps from size to size."""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Self, TypeVar

import torch

from artune.assets import OnBytes
from artune.backbones.base import Image
from artune.backbones.circular import check_circular
from artune.backbones.network import Network
from artune.backbones.registry import defaults_of
from artune.engine.descend import (
    STALLED_AFTER,
    End,
    InParts,
    PartDone,
    State,
    Step,
    begin,
    descend,
    descend_in_parts,
    run_to_end,
)
from artune.engine.modes import in_mode, own_mode
from artune.engine.optimisers import LBFGS
from artune.errors import ResourceError
from artune.losses.terms import balance_of
from artune.machine import give_back_memory, ran_out
from artune.networks.loaded import PainterNetwork
from artune.spec.style import Rung, StyleSpec, optimise_of
from artune.transfer.budget import MemoryBudget
from artune.transfer.canvas import Canvas, Painted, StepCounts, paint, painted_log_odds, sizes_and_steps, weakened
from artune.transfer.checkpoint import Checkpoint
from artune.transfer.finish import smoothed
from artune.transfer.inputs import Inputs
from artune.transfer.iterates import first_iterate, next_iterate
from artune.transfer.ladder import SIDE, GoingOn, Ladder
from artune.transfer.objective import MaskedObjective, ObjectiveBuilder, photograph_at
from artune.transfer.plan import OptimisePlan, resolve, strengths_by_part, weights_by_part, with_own_names
from artune.transfer.rates import optimiser_of, schedule
from artune.transfer.run import Event, Progress, Run, first_picture
from artune.transfer.sizes import check_sizes, least_size
from artune.transfer.start import FROM_PHOTOGRAPH, carried
from artune.transfer.task import Task

R = TypeVar("R")
OptimiseTask = Task[Network]
OptimiseRun = Run[OptimisePlan, Network]
LADDER_STEPS = 3
"""Steps of the optimiser for each picture of the search."""
LADDER_LOG_ODDS = (-0.6, 0.4, 1.4, 2.4)
"""Log odds of the strengths of the pictures of the search: few, as each is optimised."""
PAINTED = StepCounts(first=4, next=2, whole=512, revisions=1)
"""Steps of the painter at each size, before the optimiser's."""


def load(spec: StyleSpec, weights: Path | None = None, on_bytes: OnBytes | None = None) -> Network:
    """Load the loss network of a spec; see ``artune.Network.load``."""
    return Network.load(spec, weights, on_bytes)


def plan(task: OptimiseTask, strength: float | None = None, memory: str | None = None) -> OptimisePlan:
    """Make the plan of a task, and check it against network and memory.

    Args:
        task: pictures and spec.
        strength: the strength, if the spec leaves it open.
        memory: ``memory`` of the plan that the run began with, if it is resumed.

    Raises:
        SpecError: a size, a layer or a loss does not fit the network.
        ResourceError: there is not enough memory.
    """
    limited = memory not in (None, "all")
    resolved = plan_unchecked(task, strength, little=limited)
    if memory is not None and limited and resolved.memory == "all":
        resolved = resolved.with_memory(memory)
    budget = budget_of(resolved, task)
    if memory is None and not budget.fits() and "optimiser" in resolved.automatic:
        budget = budget_of(plan_unchecked(task, strength, little=True), task)
        if budget.fits():  # ``memory`` tells a resumed run that there was little
            return budget.plan.with_memory(budget.of_whole())
    return budget.checked(resumed=memory is not None)


def plan_unchecked(task: OptimiseTask, strength: float | None = None, *, little: bool = False) -> OptimisePlan:
    """Make the plan of a task without checking it against the memory; see ``plan``.

    Args:
        task: pictures and spec.
        strength: the strength, if the spec leaves it open.
        little: whether there is too little memory for the usual optimiser.
    """
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
        defaults=defaults_of(optimise_of(task.spec).network, backbone.taps),
        strength=strength,
        little=little,
    )
    backbone.check(resolved.method.taps)
    if resolved.tile != "none":
        check_circular(backbone, resolved.method.taps)
    check_sizes(resolved.method.rungs, task.inputs.photograph, network)
    return resolved


def budget_of(plan: OptimisePlan, of: OptimiseTask | OptimiseRun) -> MemoryBudget:
    """Memory budget of a plan, for the pictures of a task or a run."""
    paintings = [painting.picture for painting in of.inputs.paintings]
    masks = sum(part.mask is not None for part in of.inputs.parts)
    return MemoryBudget(plan, of.inputs.photograph, paintings, of.network, masks)


def in_tiles(run: OptimiseRun) -> bool:
    """Whether any size of a run is computed in tiles."""
    budget = budget_of(run.plan, run)
    return any(budget.side(rung.size) for rung in run.plan.method.rungs)


def steps(run: OptimiseRun, checkpoint: Checkpoint | None = None) -> Generator[Progress, None, None]:
    """Optimise the picture size by size.

    Args:
        run: the run.
        checkpoint: a checkpoint of this run to resume from; the result has the same bits as without the interruption.

    Yields:
        the progress at the beginning of a size, after every tile, after every step, and at the end.

    Raises:
        CheckpointError: the checkpoint does not fit the run.
        ResourceError: memory ran out.
        WeightsError: the start is the painter's, and its file in the package is damaged.
    """
    if checkpoint is not None:
        method = run.plan.method
        checkpoint.check_key(run.key)
        checkpoint.check_state(method.rungs, run.inputs.photograph.size, optimiser_of(method))
    with _out_of_memory_explained(run.plan.size):
        yield from _steps(run, checkpoint)


@in_mode(own_mode)
def _steps(run: OptimiseRun, checkpoint: Checkpoint | None) -> Generator[Progress, None, None]:
    rungs = run.plan.method.rungs
    trace = _RunLog.of(run, checkpoint)
    if _is_photograph(run):
        level = len(rungs) - 1
        yield trace.progress("ends", level, begin(photograph_at(run.shown, rungs[-1].size, run.network.device)), done=0)
        return
    painter = painter_on(run.plan.device) if run.plan.method.start == "instant" else None
    if checkpoint is not None and checkpoint.level == checkpoint.state.step == 0:
        checkpoint = None  # it may be older than the start
    first, state = checkpoint.level if checkpoint else 0, None
    for level in range(first, len(rungs)):
        resumed = checkpoint.state_on(run.network.device) if checkpoint is not None and level == first else None
        state, measure = yield from _size(  # which alone holds the state that it begins with
            trace, level, resumed or (yield from _begin(trace, level, state, painter))
        )
        last = level == len(rungs) - 1
        if last and state.step == rungs[level].steps:
            state = replace(state, slots={})  # which nothing needs any more, and which are as large as two pictures
        if last or trace.end is End.DIVERGED:
            yield trace.progress("ends", level, state, measure)
            return
        measure.end()


def _is_photograph(run: OptimiseRun) -> bool:
    """Whether the result is the photograph itself: the start, with no weight on style or total variation."""
    plan = run.plan
    styled = any(style for _, style in weights_by_part(plan, run.inputs))
    return (plan.method.start in FROM_PHOTOGRAPH or plan.strength == 0) and not (styled or plan.method.tv)


def _begin(
    trace: "_RunLog", level: int, state: State | None, painter: PainterNetwork | None
) -> Generator[Progress, None, State]:
    """State before the first step at a size.

    Args:
        trace: the log of the run.
        level: index of the size among the sizes, from 0.
        state: last state at the size before; ``None`` at the first size.
        painter: makes its steps at each size first; ``None``: it does not.
    """
    run, plan, rungs = trace.run, trace.run.plan, trace.run.plan.method.rungs
    content = photograph_at(run.shown, rungs[level].size, run.network.device)
    if state is not None:
        x = next_iterate(plan, run.shown, state.image, rungs[level - 1].size, content)
        if painter is None:
            return begin(x, carried(state, optimiser_of(plan.method), *x.shape[-2:], wraps=run.shown.wraps))
        painting = painted_start(run, painter, level, x)
        del content, x  # frees memory for large pictures
        painted = yield from trace.parts(level - 1, state, painting)
    elif painter is None:
        painted = first_iterate(plan, run.shown, run.first, content)
    else:
        painted = yield from trace.parts(0, begin(content), painted_start(run, painter, level))
    return begin(painted)


@in_mode(torch.no_grad)
def painted_start(run: OptimiseRun, painter: PainterNetwork, level: int, x: Image | None = None) -> InParts[Image]:
    """The iterate after the painter's steps.

    Args:
        run: the run.
        painter: the painter.
        level: index of the size among the sizes, from 0.
        x: the iterate before; ``None``: the painter begins with the photograph, at a small size.
    """
    plan, size = run.plan, run.plan.method.rungs[level].size
    odds = [torch.tensor([each], device=run.network.device) for each in log_odds_of(plan, run.inputs)]
    canvas_of = partial(Canvas.of, run.shown, plan, painter, whole=PAINTED.whole)
    if x is None:
        rungs, begun = sizes_and_steps(PAINTED, size), None
    else:
        rungs, begun = (plan.method.rungs[level - 1], Rung(size=size, steps=PAINTED.at(size))), (1, 0, x)
    painted: Painted | None = None
    for event in paint(plan, run.shown, run.first, rungs, odds, canvas_of, begun):
        if isinstance(event, PartDone):
            yield event
        else:
            painted = event
    assert painted is not None
    found = weakened(painted.images, painted.canvas.photograph, [plan], run.inputs)
    return found.contiguous()  # as a checkpoint holds it


def log_odds_of(plan: OptimisePlan, inputs: Inputs) -> list[float]:
    """Log odds that the painter is told, for each region."""
    if plan.method.scale != "calibrated":
        return [painted_log_odds(1 - strength, strength) for strength in strengths_by_part(plan, inputs)]
    k = balance_of(plan.method.loss)
    return [painted_log_odds(content, style / k) for content, style in weights_by_part(plan, inputs)]


@lru_cache(maxsize=1)
def painter_on(device: str) -> PainterNetwork:
    """The painter, on a device. It is kept with its readings of paintings, for a search, its run, and later ones.

    Raises:
        WeightsError: its file in the package is damaged.
    """
    return PainterNetwork.load(StyleSpec(device=device))


def ladder(task: OptimiseTask, plan: OptimisePlan) -> Ladder[OptimisePlan]:
    """The pictures of the search for the balance. They are painted from the photograph, whatever the run's start, and
    then optimised in a few steps.
    """
    inputs, shown = task.inputs, task.inputs.coloured(plan)
    size = min(plan.size, max(SIDE, least_size(inputs.photograph.size, task.network.backbone.smallest)))
    rung = Rung(size=size, steps=LADDER_STEPS)

    def plan_at(strength: float) -> OptimisePlan:
        found = plan_unchecked(task, strength)
        chosen = {"start": "instant", "optimiser": "lbfgs"}
        return found.model_copy(update={"method": found.method.model_copy(update=chosen)})

    @in_mode(own_mode)
    def optimised(plans: Sequence[OptimisePlan], images: Image) -> Generator[None, None, list[Image]]:
        builder = ObjectiveBuilder(plans[0], shown, task.network, rung)
        content = photograph_at(shown, size, task.network.device)
        objectives = run_to_end(builder.objectives(content, run_to_end(builder.paintings()), plans))
        found = []
        for objective, image in zip(objectives, images[:, None].contiguous(), strict=True):
            x = image
            for step in descend(objective, x, LBFGS(history=LADDER_STEPS), steps=LADDER_STEPS):
                x = step.state.x
                yield
            found.append(x)
        return found

    return Ladder(
        inputs,
        first_picture(task, shown),
        painter_on(str(task.network.device)),
        task.cores,
        plan_at,
        lambda plan: log_odds_of(plan, inputs),
        LADDER_LOG_ODDS,
        size,
        GoingOn(LADDER_STEPS, optimised),
    )


class _Measure:
    """Finds the losses of a picture, by name, while a size lasts.

    A caller may keep the progress of a size that is over, and that must not keep its features in memory.
    """

    def __init__(self, objective: MaskedObjective) -> None:
        self.objective: MaskedObjective | None = objective

    def __call__(self, image: Image, step: int) -> Mapping[str, float]:
        return {} if self.objective is None else self.objective.losses(image, step=step)

    def end(self) -> None:
        """Free the memory of the size."""
        self.objective = None


def _size(trace: "_RunLog", level: int, state: State) -> Generator[Progress, None, tuple[State, _Measure]]:
    """Optimise at one size; return the last state, and what measures the losses at this size."""
    run, plan, rung = trace.run, trace.run.plan, trace.run.plan.method.rungs[level]
    side = budget_of(plan, run).side(rung.size)
    if side is not None:
        give_back_memory()
    yield trace.progress("begins", level, state)
    sized = ObjectiveBuilder(plan, run.shown, run.network, rung, side)
    content = photograph_at(run.shown, rung.size, run.network.device)
    paintings = yield from trace.parts(level, state, sized.paintings())
    objective = yield from trace.parts(level, state, sized.objective(content, paintings))
    del content, paintings  # frees memory for large pictures
    measure = _Measure(objective)
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
            yield trace.progress("part", level, state, measure, part=event)
            continue
        end = event.end
        if end is not End.DIVERGED:
            state = event.state
            trace.note(event)
            yield trace.progress("step", level, state, measure)
    if state.unchanged >= STALLED_AFTER:
        end = End.STALLED
    trace.end = end or trace.end
    return state, measure


@dataclass
class _RunLog:
    """Losses and duration of a run so far, from which its progress is made.

    Attributes:
        run: the run.
        began: time at which the run began, minus the duration before a checkpoint.
        losses: losses of all steps so far, by name.
        end: why the descent at the last size ended.
    """

    run: OptimiseRun
    began: float
    losses: dict[str, list[float]]
    end: End = End.DONE

    @classmethod
    def of(cls, run: OptimiseRun, checkpoint: Checkpoint | None) -> Self:
        """The log of a run that begins, or that is resumed from a checkpoint."""
        if checkpoint is None:
            return cls(run, time.perf_counter(), {})
        losses = {name: [*values] for name, values in checkpoint.losses.items()}
        return cls(run, time.perf_counter() - checkpoint.seconds, losses)

    def note(self, step: Step) -> None:
        """Append the losses of a step."""
        for name, value in {"total": step.total, **step.losses}.items():
            self.losses.setdefault(name, []).append(float(value[0]))

    def progress(
        self,
        event: Event,
        level: int,
        state: State,
        measure: _Measure | None = None,
        *,
        part: PartDone | None = None,
        done: int | None = None,
    ) -> Progress:
        """The progress of the run after an event."""
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
            1.0 if event == "ends" else _share_done(rungs, level, state.step, part),
            state,
            self.losses,
            time.perf_counter() - self.began,
            (lambda image: {}) if measure is None else partial(measure, step=state.step),
            part,
            self.end if event == "ends" else None,
        )

    def parts(self, level: int, state: State, computation: InParts[R]) -> Generator[Progress, None, R]:
        """Run a computation in parts, yield the progress after each part, and return the result."""
        while True:
            try:
                part = next(computation)
            except StopIteration as end:
                result: R = end.value
                return result
            yield self.progress("part", level, state, part=part)


def _share_done(rungs: Sequence[Rung], level: int, steps: int, part: PartDone | None) -> float:
    """Share of a run's work that is done, in [0, 1]. The work of a step is its number of pixels.

    Args:
        rungs: sizes and steps of the run.
        level: index of the current size, from 0.
        steps: number of steps done at this size.
        part: parts done of the next step.
    """
    begun = steps + (part.done / part.total if part and steps < rungs[level].steps else 0.0)
    done = sum(rung.steps * rung.size**2 for rung in rungs[:level]) + begun * rungs[level].size ** 2
    work = sum(rung.steps * rung.size**2 for rung in rungs)
    return done / work if work else 1.0


@contextmanager
def _out_of_memory_explained(size: int) -> Iterator[None]:
    """Turn the errors of PyTorch and Python for memory that ran out into a ``ResourceError``."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        raise ResourceError(
            f"memory ran out in a run to `size` {size}; choose a smaller `size` (half the size needs a quarter of the "
            "memory)"
        ) from error


def finish(image: Image, run: OptimiseRun) -> Image:
    """Smooth the last picture along the photograph's edges, if the plan says so."""
    return smoothed(image, run.plan.method.photoreal_smoothing, run.shown)
