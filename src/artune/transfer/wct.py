"""The method ``wct``: universal style transfer, level by level from deep to shallow (Li et al. 2017).

At each level the picture so far is encoded, its features are mapped to the statistics of the painting's, and decoded.
Statistics are those of the whole picture; the rest are convolutions, so that large pictures are computed in tiles.
"""

import hashlib
import math
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch

from artune.assets import OnBytes
from artune.backbones.base import Image
from artune.backbones.sums import CHUNK, row_chunks
from artune.engine.descend import End, InParts, PartDone, State, begin
from artune.engine.modes import in_mode, own_mode
from artune.engine.optimisers import SGD
from artune.errors import SpecError
from artune.images.resize import fitted
from artune.losses import moments as fn
from artune.losses.objective import at_tap
from artune.losses.protocol import Mask
from artune.losses.tiled import Span, spans
from artune.networks.transforms import TRANSFORMS, FeatureMap, mixed
from artune.networks.wct import WCTNetwork, radius_of, stride_of
from artune.spec.style import WCT, Rung, StyleSpec
from artune.transfer.budget import check_fits
from artune.transfer.canvas import not_empty, padded, weakened
from artune.transfer.checkpoint import Checkpoint
from artune.transfer.finish import smoothed
from artune.transfer.inputs import Painting
from artune.transfer.iterates import first_iterate
from artune.transfer.objective import covered_at, mask_at, photograph_at
from artune.transfer.plan import Plan, common_fields, strengths_by_part
from artune.transfer.run import Event, Progress, Run
from artune.transfer.sizes import painting_size
from artune.transfer.start import FROM_PHOTOGRAPH, STARTS
from artune.transfer.task import Task

WHOLE_SIDE = 1024
"""Longest side of a picture that is not computed in tiles, pixels."""
TILE_SIDE = 768
"""Side of the tiles of larger pictures, pixels."""
PIXEL_BYTES = 60
"""Bytes per pixel of a picture: the photograph, and a few copies of the picture."""
FEATURE_BYTES = 21
"""Bytes of the features of a picture or a tile, for each pixel and each channel at full size."""
TILE_PIXELS = (TILE_SIDE + 2 * radius_of("relu5_1")) ** 2
"""Pixels of the largest tile with its halo."""


class WCTPlan(Plan):
    """The plan of the method ``wct``."""

    method: WCT


WCTTask = Task[WCTNetwork]
WCTRun = Run[WCTPlan, WCTNetwork]


def load(spec: StyleSpec, weights: Path | None = None, on_bytes: OnBytes | None = None) -> WCTNetwork:
    """Load encoders and decoders; see ``WCTNetwork.load``."""
    return WCTNetwork.load(spec, weights, on_bytes)


def plan(task: WCTTask, strength: float | None = None, memory: str | None = None) -> WCTPlan:
    """Make the plan of a task, and check it against the memory.

    Args:
        task: pictures and spec.
        strength: the strength, if the spec leaves it open; default: ``WCT.usual_strength``.
        memory: ``memory`` of the plan that the run began with; without effect.

    Raises:
        SpecError: the result is to repeat.
        ResourceError: there is not enough memory.
    """
    spec, inputs, network = task.spec, task.inputs, task.network
    if any(inputs.wraps):
        raise SpecError("`tile` is not for the method wct, whose decoders do not repeat; take another method")
    method = spec.method
    own = method.usual_strength if strength is None else strength
    start = "content" if method.start in ("auto", *FROM_PHOTOGRAPH) else method.start
    start = start if start in STARTS else "file"
    resolved = WCTPlan.model_validate(
        {
            **spec.model_dump(),
            **common_fields(spec, inputs.photograph.size, task.styles, task.regions, own),
            "method": {**method.model_dump(), "start": start},
            "device": str(network.device),
            "precision": network.precision,
        }
    )
    pixels = math.prod(fitted(*inputs.photograph.size, resolved.size))
    sizes = [painting_size(each.picture, resolved.size, resolved.style_scale) for each in inputs.paintings]
    masks = sum(part.mask is not None for part in inputs.parts)
    check_fits(resolved, bytes_at(pixels, max(map(math.prod, sizes)), masks, network.network.width), network.device)
    return resolved


def bytes_at(pixels: int, painting: int, masks: int, width: int) -> int:
    """Bytes that a run needs.

    Args:
        pixels: of the picture.
        painting: pixels of the largest painting.
        masks: number of regions with a mask.
        width: largest number of channels at full size.
    """
    features = FEATURE_BYTES * width * min(max(pixels, painting), TILE_PIXELS)
    return pixels * (PIXEL_BYTES + 4 * masks) + 36 * painting + features


def steps(run: WCTRun, checkpoint: Checkpoint | None = None) -> Generator[Progress, None, None]:
    """Transform the picture level by level; a step is a level.

    Args:
        run: the run.
        checkpoint: a checkpoint of this run to resume from; the result has the same bits as without the interruption.

    Yields:
        the progress at the beginning, after every tile, after every level, and at the end.

    Raises:
        CheckpointError: the checkpoint does not fit the run.
    """
    rung = Rung(size=run.plan.size, steps=len(run.plan.method.levels))
    if checkpoint is not None:
        checkpoint.check_key(run.key)
        checkpoint.check_state([rung], run.inputs.photograph.size, SGD(rate=1.0))
    yield from _steps(run, rung, checkpoint)


@in_mode(own_mode)
def _steps(run: WCTRun, rung: Rung, checkpoint: Checkpoint | None) -> Generator[Progress, None, None]:
    plan, device, levels = run.plan, run.network.device, [*run.plan.method.levels]
    began = time.perf_counter() - (checkpoint.seconds if checkpoint else 0.0)

    def progress(event: Event, state: State, part: PartDone | None = None) -> Progress:
        share, seconds = state.step / len(levels), time.perf_counter() - began
        end = End.DONE if event == "ends" else None
        done, total = state.step, len(levels)
        return Progress(event, run, 0, rung, done, total, share, state, {}, seconds, lambda image: {}, part, end)

    photograph = photograph_at(run.shown, plan.size, device)
    if checkpoint is None:
        state = begin(first_iterate(plan, run.shown, run.first, photograph))
    else:
        state = checkpoint.state_on(device)
    yield progress("begins", state)
    for event in _transformed(run, state.x, levels[state.step :]):
        if isinstance(event, PartDone):
            yield progress("part", state, event)
            continue
        number = state.step + 1
        x = weakened(event, photograph, [plan], run.inputs) if number == len(levels) else event
        state = replace(begin(x), step=number)
        yield progress("step", state)
    yield progress("ends", state)


@in_mode(torch.no_grad)
def _transformed(run: WCTRun, image: Image, levels: Sequence[str]) -> Generator[Image | PartDone, None, None]:
    """Yield the picture after each level, and every tile that is done."""
    plan, shown = run.plan, run.shown
    transform, covered = TRANSFORMS[plan.method.transform], covered_at(shown, image)
    masks = [mask_at(shown.weight(region), image) for region in shown.regions]
    of_parts = [mask_at(shown.weight(part), image) for part in shown.parts]
    strengths = strengths_by_part(plan, shown)
    for level in levels:
        moments = yield from _moments(run.network, image, masks, level)
        by_region = []
        for region, own in zip(shown.regions, moments, strict=True):
            content, paintings = fn.gaussian(own), []
            for painting in region.paintings:
                style = yield from _read(run, painting, level)
                paintings.append(transform(content, fn.gaussian(style)))
            weights = plan.style_weights if len(paintings) > 1 else (1.0,)
            by_region.append(mixed(paintings, weights))
        shares = [plan.method.levels[level] * strength for strength in strengths]
        maps = [by_region[part.region].at(share) for part, share in zip(shown.parts, shares, strict=True)]
        made = yield from _decoded(run.network, image, maps, of_parts, level)
        image = made if covered is None else torch.where(covered > 0, made, image)
        yield image


def _read(run: WCTRun, painting: Painting, level: str) -> InParts[fn.Moments]:
    """Moments of a painting; those of the last few are kept, for other photographs."""
    network, plan = run.network, run.plan
    weight, size = painting.weight(), painting_size(painting.picture, plan.size, plan.style_scale)
    mask = None if weight is None else hashlib.sha256(weight.tobytes()).digest()
    key = (painting.picture.digest(), mask, size, level)
    kept = network.readings.get(key)
    if kept is not None:
        return kept[0]
    image = painting.picture.resized(*size).tensor().to(network.device)
    (found,) = yield from _moments(network, image, [mask_at(weight, image)], level)
    network.readings.keep(key, [found])
    return found


def _moments(network: WCTNetwork, image: Image, masks: Sequence[Mask | None], level: str) -> InParts[list[fn.Moments]]:
    """Moments of a picture's features for each mask, in fp64 if the device has it: a difference of sums is inverted."""
    stride = stride_of(level)
    image, masks = padded(image, stride), [None if mask is None else padded(mask, stride) for mask in masks]
    tiles, found = _tiles(image, level), [list[fn.Moments]() for _ in masks]
    for number, (row, column) in enumerate(tiles, start=1):
        features = network.network.encode(image[..., row.window, column.window], level)
        features = features[..., row.at(stride)[0], column.at(stride)[0]]
        for mask, parts in zip(masks, found, strict=True):
            weight = None if mask is None else at_tap(mask[..., row.core, column.core], *features.shape[-2:])
            for some in row_chunks(features, CHUNK):
                weights = None if weight is None else fn.widened(weight[:, :, some])
                parts.append(fn.moments(fn.widened(features[:, :, some]), weights))
        if len(tiles) > 1:
            yield PartDone(number, len(tiles))
    return [not_empty(fn.Moments(*(torch.stack(each).sum(0) for each in zip(*parts, strict=True)))) for parts in found]


def _decoded(
    network: WCTNetwork, image: Image, maps: Sequence[FeatureMap], masks: Sequence[Mask | None], level: str
) -> InParts[Image]:
    """The picture that is decoded from its mapped features, clamped to [0, 1]."""
    stride, (height, width) = stride_of(level), image.shape[-2:]
    image = padded(image, stride)
    weights = [None if mask is None else padded(mask, stride) for mask in masks]
    out = torch.empty_like(image)
    tiles = _tiles(image, level)
    for number, (row, column) in enumerate(tiles, start=1):
        window = (row.window, column.window)
        features = network.network.encode(image[..., *window], level)
        mapped = features
        for each, weight in zip(maps, weights, strict=True):
            share = None if weight is None else at_tap(weight[..., *window], *features.shape[-2:])
            moved = each.of(features)
            mapped = moved if share is None else torch.addcmul(mapped, share, moved - features)
        made = network.network.decode(mapped, level)
        out[..., row.core, column.core] = made[..., row.inside, column.inside].clamp_(0, 1)
        if len(tiles) > 1:
            yield PartDone(number, len(tiles))
    return out[..., :height, :width]


def _tiles(image: Image, level: str) -> list[tuple[Span, Span]]:
    """Rows and columns of the tiles of a picture; a small one is a single tile."""
    longest = max(image.shape[-2:])
    side = longest if longest <= WHOLE_SIDE else TILE_SIDE
    rows, columns = (spans(length, side, radius_of(level), stride_of(level)) for length in image.shape[-2:])
    return [*product(rows, columns)]


def in_tiles(run: WCTRun) -> bool:
    """Whether a run is computed in tiles."""
    return run.plan.size > WHOLE_SIDE


def finish(image: Image, run: WCTRun) -> Image:
    """Smooth the last picture along the photograph's edges, if the plan says so."""
    return smoothed(image, run.plan.method.photoreal_smoothing, run.shown)
