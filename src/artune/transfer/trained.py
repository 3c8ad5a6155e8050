"""The method ``trained``: a picture in one pass of Johnson's network."""

import math
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import torch

from artune.assets import OnBytes
from artune.backbones.base import Image
from artune.engine.descend import End, State, begin
from artune.engine.modes import in_mode, own_mode
from artune.engine.optimisers import SGD
from artune.errors import ResourceError, SpecError
from artune.images.picture import from_tensor
from artune.images.resize import Wraps, fitted
from artune.machine import OVERHEAD, device_memory_free
from artune.networks.johnson import SMALLEST, STRIDE, Johnson, JohnsonConfig, repeating
from artune.networks.trained import StyleNetwork
from artune.spec.style import Rung, StyleSpec, Trained, bytes_of
from artune.transfer.budget import PROCESS_BYTES
from artune.transfer.checkpoint import Checkpoint
from artune.transfer.objective import photograph_at
from artune.transfer.plan import Plan, common_fields
from artune.transfer.run import Event, Progress, Run
from artune.transfer.sizes import least_size
from artune.transfer.task import Task

PICTURE_BYTES = 60
"""Bytes per pixel of a picture: photograph, result, and copies of them."""
MAPS = 8
"""Number of maps of the first width, at the size of the picture, that the network takes at its peak (measured: 7.8)."""


class TrainedPlan(Plan):
    """The plan of the method ``trained``."""

    method: Trained

    @property
    def rung(self) -> Rung:
        """The one size, and its one step."""
        return Rung(size=self.size, steps=1)


TrainedTask = Task[StyleNetwork]
TrainedRun = Run[TrainedPlan, StyleNetwork]


def load(spec: StyleSpec, weights: Path | None = None, on_bytes: OnBytes | None = None) -> StyleNetwork:
    """Load the network of a trained style; see ``StyleNetwork.load``."""
    return StyleNetwork.load(spec, weights, on_bytes)


def plan(task: TrainedTask, strength: float | None = None, memory: str | None = None) -> TrainedPlan:
    """Make the plan of a task, and check it against the memory.

    Args:
        task: picture and spec.
        strength: without effect, as the network has no slider.
        memory: ``memory`` of the plan that the run began with; without effect.

    Raises:
        SpecError: an option needs a painting, or the picture is too small.
        ResourceError: there is not enough memory.
    """
    spec, network = task.spec, task.network
    if spec.color == "content-match":
        raise SpecError(
            "`color` content-match needs the painting, which a trained style does not hold; take content-luminance"
        )
    if spec.style_scale != 1:
        raise SpecError("`style_scale` has no effect, as the strokes of a trained style have their size; leave it out")
    size = task.inputs.photograph.size
    # the picture is the network's alone: at a low strength it would be blended with the photograph
    fields = common_fields(spec, size, 0, (), strength=1.0)
    if min(fitted(*size, fields["size"])) < SMALLEST:
        raise SpecError(
            f"a {size[0]}x{size[1]} picture at size {fields['size']} is too small for a trained style, which needs at "
            f"least {SMALLEST} pixels on the shorter side: give `size` {least_size(size, SMALLEST)} or more"
        )
    needed = network_bytes(network.network.config, math.prod(fitted(*size, fields["size"])))
    free = device_memory_free(network.device) - OVERHEAD
    wanted = math.inf if spec.memory == "all" else bytes_of(spec.memory) - PROCESS_BYTES
    if needed > min(free, wanted):
        least = math.ceil((needed + PROCESS_BYTES) / 2**20)
        raise ResourceError(
            f"a result of `size` {fields['size']} needs {least}MiB, as its statistics are those of the whole picture, "
            f"and {'`memory` is ' + spec.memory if needed > wanted else f'{free / 2**30:.1f} GiB are free'}; choose a "
            "smaller `size`"
        )
    return TrainedPlan.model_validate(
        {**spec.model_dump(), **fields, "device": str(network.device), "precision": network.precision}
    )


def network_bytes(config: JohnsonConfig, pixels: int) -> int:
    """Bytes that the network needs for a picture.

    Args:
        config: shape of the network.
        pixels: of the picture.
    """
    return pixels * (PICTURE_BYTES + MAPS * 4 * config.widths[0])


def painted(network: Johnson, image: Image, wraps: Wraps) -> Image:
    """A picture in the style. One that repeats is seen at sides that the network's grid divides, and brought back.

    Args:
        network: of the style.
        image: ``[1, 3, h, w]`` in [0, 1].
        wraps: axes along which it repeats.
    """
    height, width = image.shape[-2:]
    down, across = (
        max(SMALLEST, round(side / STRIDE) * STRIDE) if repeats else side
        for side, repeats in zip((height, width), wraps, strict=True)
    )
    if (down, across) == (height, width):
        made: Image = repeating(network, wraps)(image)
        return made
    shown = from_tensor(image.cpu()).resized(across, down, wraps=wraps).tensor().to(image.device)
    found = from_tensor(repeating(network, wraps)(shown).cpu())
    return found.resized(width, height, wraps=wraps).tensor().to(image.device)


def steps(run: TrainedRun, checkpoint: Checkpoint | None = None) -> Generator[Progress, None, None]:
    """Make the picture in one step.

    Args:
        run: the run.
        checkpoint: a checkpoint of this run to resume from.

    Yields:
        the progress before the step, after it, and at the end.

    Raises:
        CheckpointError: the checkpoint does not fit the run.
    """
    yield from _steps(run, checkpoint)


@in_mode(own_mode)
@in_mode(torch.no_grad)
def _steps(run: TrainedRun, checkpoint: Checkpoint | None) -> Generator[Progress, None, None]:
    began = time.perf_counter() - (checkpoint.seconds if checkpoint else 0.0)
    rung, network = run.plan.rung, run.network

    def progress(event: Event, state: State) -> Progress:
        done = float(state.step)
        seconds, end = time.perf_counter() - began, End.DONE if event == "ends" else None
        return Progress(event, run, 0, rung, state.step, 1, done, state, {}, seconds, lambda image: {}, end=end)

    if checkpoint is None:
        state = begin(photograph_at(run.shown, run.plan.size, network.device))
    else:
        checkpoint.check_key(run.key)
        checkpoint.check_state((rung,), run.inputs.photograph.size, SGD(rate=1.0))
        state = checkpoint.state_on(network.device)
    yield progress("begins", state)
    if state.step == 0:
        state = replace(begin(painted(network.network, state.x, run.inputs.wraps)), step=1)
        yield progress("step", state)
    yield progress("ends", state)
