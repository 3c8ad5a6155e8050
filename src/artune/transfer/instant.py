"""The method ``instant``: a picture in a few learned steps of the painter, from size to size."""

import math
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from artune.assets import OnBytes
from artune.backbones.base import Image
from artune.engine.descend import End, InParts, PartDone, State, begin
from artune.engine.modes import in_mode, own_mode
from artune.engine.optimisers import SGD
from artune.images.resize import fitted
from artune.networks.loaded import PainterNetwork
from artune.spec.style import Instant, Rung, StyleSpec
from artune.transfer.budget import check_fits
from artune.transfer.canvas import (
    MARGIN,
    STEPS,
    WHOLE_SIDE,
    Canvas,
    paint,
    painted_log_odds,
    painter_bytes,
    sizes_and_steps,
    weakened,
)
from artune.transfer.checkpoint import Checkpoint
from artune.transfer.finish import smoothed
from artune.transfer.inputs import Inputs
from artune.transfer.ladder import Ladder
from artune.transfer.plan import Plan, common_fields, strengths_by_part
from artune.transfer.run import Event, Progress, Run, first_picture
from artune.transfer.sizes import in_proportion, painting_size
from artune.transfer.start import FROM_PHOTOGRAPH, STARTS
from artune.transfer.task import Task


class ResolvedInstant(Instant):
    """The painter, with every choice made."""

    rungs: tuple[Rung, ...]
    """Sizes and their steps; at least one."""


class InstantPlan(Plan):
    """The plan of the method ``instant``."""

    method: ResolvedInstant


InstantTask = Task[PainterNetwork]
InstantRun = Run[InstantPlan, PainterNetwork]


def load(spec: StyleSpec, weights: Path | None = None, on_bytes: OnBytes | None = None) -> PainterNetwork:
    """Load the painter; see ``PainterNetwork.load``."""
    return PainterNetwork.load(spec, weights, on_bytes)


def plan(task: InstantTask, strength: float | None = None, memory: str | None = None) -> InstantPlan:
    """Make the plan of a task, and check it against the memory.

    Args:
        task: pictures and spec.
        strength: the strength, if the spec leaves it open.
        memory: ``memory`` of the plan that the run began with; without effect.

    Raises:
        ResourceError: there is not enough memory.
    """
    resolved = plan_unchecked(task, strength)
    inputs, scale = task.inputs, resolved.style_scale
    width, height = fitted(*inputs.photograph.size, resolved.size)
    pixels = (width + 2 * MARGIN * inputs.wraps.across) * (height + 2 * MARGIN * inputs.wraps.down)
    painting = max(math.prod(painting_size(each.picture, resolved.size, scale)) for each in inputs.paintings)
    needed = painter_bytes(pixels, painting, sum(part.mask is not None for part in inputs.parts))
    check_fits(resolved, needed, task.network.device)
    return resolved


def plan_unchecked(task: InstantTask, strength: float | None = None) -> InstantPlan:
    """Make the plan of a task without checking it against the memory; see ``plan``."""
    spec = task.spec
    method = instant_of(spec)
    fields = common_fields(spec, task.inputs.photograph.size, task.styles, task.regions, strength)
    size, rungs = fields["size"], method.rungs
    if rungs is None or (rungs[-1].size != size and "rungs" in spec.automatic):
        rungs = sizes_and_steps(STEPS[method.quality], size)
    start = "content" if method.start in ("auto", *FROM_PHOTOGRAPH) else method.start
    start = start if start in STARTS else "file"
    filled = {**method.model_dump(), "start": start, "rungs": in_proportion(rungs, size, None)}
    network = task.network
    return InstantPlan.model_validate(
        {
            **spec.model_dump(),
            **fields,
            "method": filled,
            "device": str(network.device),
            "precision": network.precision,
        }
    )


def instant_of(spec: StyleSpec) -> Instant:
    """The method of a spec, which is ``instant``."""
    assert isinstance(spec.method, Instant)
    return spec.method


def log_odds_of(plan: InstantPlan, inputs: Inputs) -> list[float]:
    """Log odds that the painter is told, for each part."""
    return [painted_log_odds(1 - strength, strength) for strength in strengths_by_part(plan, inputs)]


def ladder(task: InstantTask, plan: InstantPlan) -> Ladder[InstantPlan]:
    """The pictures of the search for the balance."""
    inputs = task.inputs
    first = first_picture(task, inputs.coloured(plan))
    plan_at = partial(plan_unchecked, task)
    return Ladder(inputs, first, task.network, task.cores, plan_at, lambda plan: log_odds_of(plan, inputs))


def steps(run: InstantRun, checkpoint: Checkpoint | None = None) -> Generator[Progress, None, None]:
    """Paint the picture size by size.

    Args:
        run: the run.
        checkpoint: a checkpoint of this run to resume from; the result has the same bits as without the interruption.

    Yields:
        the progress at the beginning of a size, after every tile, after every step, and at the end.

    Raises:
        CheckpointError: the checkpoint does not fit the run.
    """
    if checkpoint is not None:
        checkpoint.check_key(run.key)
        checkpoint.check_state(run.plan.method.rungs, run.inputs.photograph.size, SGD(rate=1.0))
    yield from painted(run, partial(canvas_of, run), checkpoint)


def canvas_of(run: InstantRun, size: int) -> InParts[Canvas]:
    """The canvas of a size."""
    return Canvas.of(run.shown, run.plan, run.network, size, STEPS[run.plan.method.quality].whole)


@in_mode(own_mode)
def painted(
    run: InstantRun, canvas_of: Callable[[int], InParts[Canvas]], checkpoint: Checkpoint | None = None
) -> Generator[Progress, None, None]:
    """Paint the picture size by size; see ``steps``.

    Args:
        run: the run.
        canvas_of: the canvas of a size.
        checkpoint: see ``steps``.
    """
    began = time.perf_counter() - (checkpoint.seconds if checkpoint else 0.0)
    plan, rungs, device = run.plan, run.plan.method.rungs, run.network.device
    ends = [sum(rung.steps * rung.size**2 for rung in rungs[:level]) for level in range(len(rungs) + 1)]

    def progress(event: Event, level: int, state: State, part: PartDone | None = None) -> Progress:
        return Progress(
            event,
            run,
            level,
            rungs[level],
            sum(rung.steps for rung in rungs[:level]) + state.step,
            sum(rung.steps for rung in rungs),
            1.0 if event == "ends" else (ends[level] + state.step * rungs[level].size ** 2) / (ends[-1] or 1),
            state,
            {},
            time.perf_counter() - began,
            lambda image: {},
            part,
            end=End.DONE if event == "ends" else None,
        )

    odds = [torch.tensor([each], device=device) for each in log_odds_of(plan, run.inputs)]
    begun = state = None
    level = 0
    if checkpoint is not None:
        level, state = checkpoint.level, checkpoint.state_on(device)
        begun = level, state.step, state.x
    for event in paint(plan, run.shown, run.first, rungs, odds, canvas_of, begun):
        if isinstance(event, PartDone):
            if state is not None:  # before the first picture there is nothing to show or to keep
                yield progress("part", level, state, event)
            continue
        level, step, images, canvas = event
        begins = step == 0 or (begun is not None and (level, step) == begun[:2])
        last = level == len(rungs) - 1 and step == rungs[level].steps
        x = weakened(images, canvas.photograph, [plan], run.inputs) if last and not begins else images
        state = replace(begin(x), step=step)
        yield progress("begins" if begins else "step", level, state)
    assert state is not None
    yield progress("ends", level, state)


def in_tiles(run: InstantRun) -> bool:
    """Whether any size of a run is computed in tiles."""
    return run.plan.size > WHOLE_SIDE


def finish(image: Image, run: InstantRun) -> Image:
    """Smooth the last picture along the photograph's edges, if the plan says so."""
    return smoothed(image, run.plan.method.photoreal_smoothing, run.shown)
