"""The method ``color``: the photograph in the colours of the paintings, with every detail as it is.

How far a colour is moved is looked up at the colours of a smoothed photograph, which keeps edges and has no grain. So
grain, blocks of a JPEG and the texture of skin stay as they are, where the map of the colours would enlarge them.
"""

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from artune.assets import OnBytes
from artune.backbones.base import Image
from artune.backbones.circular import wrapped
from artune.backbones.network import check_runs
from artune.engine.descend import End, InParts, PartDone, begin
from artune.engine.modes import in_mode, own_mode
from artune.errors import SpecError
from artune.images.palette import Lattice, Palette, lattice
from artune.images.resize import fitted
from artune.machine import choose_device
from artune.spec.style import ColorOnly, Rung, StyleSpec
from artune.transfer.budget import check_fits
from artune.transfer.checkpoint import Checkpoint
from artune.transfer.inputs import Inputs
from artune.transfer.objective import photograph_at
from artune.transfer.plan import Plan, common_fields, strengths_by_part
from artune.transfer.run import Event, Progress, Run
from artune.transfer.task import Task

BAND = 2**20
"""Pixels that are worked off at a time."""
RADIUS = 8
"""Of the windows of the smoothed photograph, pixels: a window covers two blocks of a JPEG."""
GRAIN = 3 / 255
"""Standard deviation up to which the differences in a window count as grain."""
PIXEL_BYTES = 60
"""Bytes per pixel of the result: the photograph and its reduced copy, the picture and its copies."""
MASK_BYTES = 8
"""Bytes per pixel of the mask of each part."""


class ColorPlan(Plan):
    """The plan of the method ``color``."""

    method: ColorOnly


@dataclass(frozen=True)
class NoNetwork:
    """What the method loads: nothing, as no network takes part.

    Attributes:
        device: where the colours are computed.
        name: for messages.
        digest: of no weights.
        precision: of the colours.
    """

    device: torch.device
    name: str = "color"
    digest: str = ""
    precision: Literal["fp32"] = "fp32"

    def check(self, spec: StyleSpec) -> None:
        """Raise if a spec asks for another device or precision.

        Raises:
            SpecError: naming what differs.
        """
        check_runs(spec, self.precision, self.device, "the method color")


ColorTask = Task[NoNetwork]
ColorRun = Run[ColorPlan, NoNetwork]


def load(spec: StyleSpec, weights: Path | None = None, on_bytes: OnBytes | None = None) -> NoNetwork:
    """Choose the device.

    Raises:
        SpecError: there are weights, or the precision is not fp32.
    """
    if weights is not None:
        raise SpecError("no network takes part in taking colours alone; leave out `weights`")
    if spec.precision == "bf16":
        raise SpecError("colours are computed in fp32 alone; leave out `precision`, or give fp32")
    return NoNetwork(choose_device(spec.device))


def plan(task: ColorTask, strength: float | None = None, memory: str | None = None) -> ColorPlan:
    """Make the plan of a task, and check it against the memory.

    Args:
        task: pictures and spec.
        strength: without effect, as none is searched for.
        memory: ``memory`` of the plan that the run began with; without effect.

    Raises:
        ResourceError: there is not enough memory.
    """
    spec, inputs = task.spec, task.inputs
    fields = common_fields(spec, inputs.photograph.size, task.styles, task.regions, spec.method.usual_strength)
    device, precision = str(task.network.device), task.network.precision
    resolved = ColorPlan.model_validate({**spec.model_dump(), **fields, "device": device, "precision": precision})
    size, masks = resolved.size, sum(part.mask is not None for part in inputs.parts)
    needed = math.prod(fitted(*inputs.photograph.size, size)) * (PIXEL_BYTES + MASK_BYTES * masks)
    check_fits(resolved, needed, task.network.device)
    return resolved


def steps(run: ColorRun, checkpoint: Checkpoint | None = None) -> Generator[Progress, None, None]:
    """Give the photograph the colours.

    Args:
        run: the run.
        checkpoint: a checkpoint of this run; it is computed anew, as that takes seconds.

    Yields:
        the progress at the beginning, after every part of the picture, and at the end.

    Raises:
        CheckpointError: the checkpoint does not fit the run.
    """
    if checkpoint is not None:
        checkpoint.check_key(run.key)
    yield from _steps(run)


@in_mode(own_mode)
def _steps(run: ColorRun) -> Generator[Progress, None, None]:
    began, rung = time.perf_counter(), Rung(size=run.plan.size, steps=1)
    photograph = photograph_at(run.inputs, run.plan.size, run.network.device)
    x = photograph.clone()

    def progress(event: Event, done: int, share: float, part: PartDone | None = None) -> Progress:
        state, seconds = replace(begin(x), step=done), time.perf_counter() - began
        end = End.DONE if event == "ends" else None
        return Progress(event, run, 0, rung, done, 1, share, state, {}, seconds, lambda image: {}, part, end)

    yield progress("begins", 0, 0.0)
    for part in coloured(photograph, x, lattices(run.inputs, run.plan), run):
        yield progress("part", 0, part.done / part.total, part)
    yield progress("step", 1, 1.0)
    yield progress("ends", 1, 1.0)


def lattices(inputs: Inputs, plan: ColorPlan) -> list[Lattice]:
    """The map of the colours of each region."""
    photograph, found = inputs.photograph, []
    for region in inputs.regions:
        here = Palette.of(photograph.pixels, photograph.alpha if region.mask is None else inputs.weight(region))
        palettes = [Palette.of(each.picture.pixels, each.weight()) for each in region.paintings]
        there = Palette.mix(palettes, plan.style_weights if len(palettes) > 1 else (1.0,))
        found.append(lattice(here, there, plan.method.color_only, plan.color_space))
    return found


def coloured(photograph: Image, out: Image, maps: Sequence[Lattice], run: ColorRun) -> InParts[None]:
    """Write the picture to ``out`` in bands of rows: the mean of those of the parts, by their masks.

    Args:
        photograph: ``[1, 3, h, w]`` in [0, 1].
        out: likewise; not the same.
        maps: of the regions.
        run: the run.
    """
    height, width = photograph.shape[-2:]
    inputs, device, beyond = run.inputs, photograph.device, 2 * RADIUS
    down, across = ((beyond, beyond) if repeats else (0, 0) for repeats in inputs.wraps)
    seen = wrapped(photograph, down, across)
    tables = [torch.from_numpy(each).to(device).permute(3, 0, 1, 2)[None] for each in maps]
    masks = [inputs.weight_at(part, width, height) for part in inputs.parts]
    strengths = strengths_by_part(run.plan, inputs)
    tall = max(1, BAND // width)
    tops = range(0, height, tall)
    for number, top in enumerate(tops, start=1):
        rows = slice(top, min(top + tall, height))
        before = photograph[:, :, rows]
        window = slice(max(rows.start + down[0] - beyond, 0), rows.stop + down[0] + beyond)
        inside = slice(rows.start + down[0] - window.start, rows.stop + down[0] - window.start)
        smooth = smoothed(seen[:, :, window])[:, :, inside, across[0] : across[0] + width]
        moved, mass = torch.zeros_like(before), torch.zeros_like(before[:, :1])
        for part, mask, strength in zip(inputs.parts, masks, strengths, strict=True):
            weight = torch.ones_like(mass) if mask is None else torch.from_numpy(mask[rows])[None, None].to(device)
            if strength and weight.any():
                moved += weight * strength * (looked_up(tables[part.region], smooth) - smooth)
            mass += weight
        out[:, :, rows] = (before + moved / mass.clamp(min=1e-6)).clamp_(0, 1)
        yield PartDone(number, len(tops))


def smoothed(image: Image) -> Image:
    """A picture without its grain: the guided filter (He, Sun and Tang 2010), with the picture as its own guide.

    All channels are smoothed alike, by the mean of their variances, so that edges get no colours of their own.
    """
    mean = _averaged(image)
    variance = (_averaged(image.square()) - mean.square()).mean(1, keepdim=True).clamp(min=0)
    share = variance / (variance + GRAIN**2)
    return _averaged(share) * image + _averaged((1 - share) * mean)


def _averaged(image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h w"]:
    """Means over square windows; at the edges, over what there is of them."""
    side = 2 * RADIUS + 1
    rows = F.avg_pool2d(image, (side, 1), 1, (RADIUS, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, side), 1, (0, RADIUS), count_include_pad=False)


def looked_up(table: Float[Tensor, "1 3 n n n"], image: Image) -> Image:
    """The colours of a picture in a lattice, interpolated between its eight nearest ones."""
    places = 2 * image.flip(1).permute(0, 2, 3, 1)[:, None] - 1  # blue first, the last axis of the lattice
    found = F.grid_sample(table, places, mode="bilinear", padding_mode="border", align_corners=True)
    return found[:, :, 0]
