"""The method ``instant``: a picture in a few learned steps of the painter, from size to size."""

import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from artune.assets import OnBytes
from artune.backbones.base import Image
from artune.engine.descend import End, State, begin, run_to_end
from artune.engine.modes import in_mode, own_mode
from artune.engine.optimisers import SGD
from artune.errors import ResourceError
from artune.images.picture import Floats
from artune.losses import moments as fn
from artune.losses.objective import at_tap, measure
from artune.losses.protocol import Mask
from artune.losses.terms import Wasserstein
from artune.losses.tiled import Window, measure_in_tiles, spans
from artune.machine import OVERHEAD, device_memory_free
from artune.networks.loaded import PainterNetwork
from artune.networks.painter import CONTENT, LOG_ODDS, SHALLOW, STRIDE, TAPS, WHOLE, Transport, displacement
from artune.regions.masks import resized_mask
from artune.spec.style import Instant, Quality, Rung, StyleSpec
from artune.transfer.checkpoint import Checkpoint
from artune.transfer.finish import finished, smoothed
from artune.transfer.inputs import Inputs, Painting
from artune.transfer.objective import covered_at, photograph_at
from artune.transfer.optimise import first_iterate, next_iterate
from artune.transfer.plan import Plan, common_fields, strengths_by_region
from artune.transfer.rates import result_shares
from artune.transfer.run import Event, Progress, Run, blended, first_picture
from artune.transfer.sizes import fitted, in_proportion, painting_size
from artune.transfer.start import STARTS
from artune.transfer.strengths import AfterStep, StagePictures
from artune.transfer.task import Task


@dataclass(frozen=True)
class StepCounts:
    """Steps of a quality.

    Attributes:
        first: steps at the first size.
        next: steps at each other size up to ``whole``.
        whole: largest longer side, pixels, at which a step sees all taps; at larger sizes, it is a revision.
        revisions: revisions at each larger size.
    """

    first: int
    next: int
    whole: int
    revisions: int


STEPS: dict[Quality, StepCounts] = {
    "draft": StepCounts(2, 1, 256, 1),
    "normal": StepCounts(2, 1, 512, 1),
    "best": StepCounts(4, 3, 512, 2),
}
SMALLEST_SIZE = 96
"""Smallest size before the last one: longer side, pixels."""
WHOLE_SIDE = 1024
"""Longest side of a picture that is not computed in tiles, pixels."""
TILE_SIDE = 512
"""Side of the tiles of a revision, pixels."""
LADDER = (256, 512)
"""Longer side of the pictures of both stages of the search for the balance, pixels."""
HALO = 32
"""Width of their halo, pixels: more than the radius that a revision sees."""
PIXEL_BYTES = 84
"""Bytes per pixel that a revision holds: photograph, painting, and a few copies of the picture."""
TILE_BYTES = 2**28
"""Bytes of a tile's features."""


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
    pixels = math.prod(fitted(*task.inputs.photograph.size, resolved.size))
    needed, free = pixels * PIXEL_BYTES + TILE_BYTES, device_memory_free(task.network.device) - OVERHEAD
    if needed > free:
        raise ResourceError(
            f"a result of `size` {resolved.size} needs about {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are "
            "free; choose a smaller `size`"
        )
    return resolved


def plan_unchecked(task: InstantTask, strength: float | None = None) -> InstantPlan:
    """Make the plan of a task without checking it against the memory; see ``plan``."""
    spec = task.spec
    method = instant_of(spec)
    fields = common_fields(spec, task.inputs.photograph.size, task.styles, task.regions, strength)
    size, rungs = fields["size"], method.rungs
    if rungs is None or (rungs[-1].size != size and "rungs" in spec.automatic):
        rungs = sizes_and_steps(method.quality, size)
    first = method.start if method.start in STARTS else "file"
    filled = {**method.model_dump(), "start": first, "rungs": in_proportion(rungs, size, None)}
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


def sizes_and_steps(quality: Quality, size: int) -> tuple[Rung, ...]:
    """Sizes and steps of a run, from small to large."""
    sizes = [size]
    while sizes[0] / 2 >= SMALLEST_SIZE:
        sizes.insert(0, round(sizes[0] / 2))
    counts = STEPS[quality]
    steps = [counts.first, *(counts.next if side <= counts.whole else counts.revisions for side in sizes[1:])]
    return tuple(Rung(size=side, steps=count) for side, count in zip(sizes, steps, strict=True))


@dataclass(frozen=True)
class StyledRegion:
    """A region of the photograph at one size.

    Attributes:
        gaussians: of its paintings, what the features are carried to.
        mask: ``[1, 1, h, w]`` in [0, 1]; ``None``: the whole picture.
    """

    gaussians: Sequence[fn.Gaussian]
    mask: Mask | None


class Canvas:
    """The pictures of a run at one size, and what the painter knows of them before its first step.

    Sides are made multiples of ``STRIDE`` by repeating the border.

    Args:
        shown: the pictures in the colours that the network sees.
        plan: has the weights of several paintings, and the size of the strokes; its strength does not matter.
        network: the painter.
        size: longer side, pixels.
    """

    @torch.no_grad()
    def __init__(self, shown: Inputs, plan: InstantPlan, network: PainterNetwork, size: int) -> None:
        self.network = network
        self.number = WHOLE if size <= STEPS[plan.method.quality].whole else SHALLOW
        self.photograph = photograph_at(shown, size, network.device)
        self.covered = covered_at(shown, self.photograph)
        self.padded = padded(self.photograph)
        self.regions = [
            StyledRegion(
                self._gaussians(region.paintings, plan, size), _mask_like(shown.weight(region), self.photograph)
            )
            for region in shown.regions
        ]
        self.own = network.painter.features(self.padded, WHOLE)[CONTENT] if self.number == WHOLE else None

    def _gaussians(self, paintings: Sequence[Painting], plan: InstantPlan, size: int) -> list[fn.Gaussian]:
        """Gaussians of the mixture of a region's paintings."""
        shares = plan.style_weights if len(paintings) > 1 else (1.0,)
        found = [
            self._read(painting, painting_size(painting.picture, size, plan.style_scale)) for painting in paintings
        ]
        mixed = [fn.mix([*each], [*shares]) for each in zip(*found, strict=True)]
        return self.network.painter.gaussians(mixed)

    def _read(self, painting: Painting, size: tuple[int, int]) -> Sequence[fn.Moments]:
        """Moments of a painting; those of the last few are kept, for other photographs."""
        weight = painting.weight()
        key = (painting.picture.digest(), None if weight is None else weight.tobytes(), size, self.number)
        return self.network.readings.get(key, lambda: self._moments(*_sized(painting, size, self.network.device)))

    def _moments(self, image: Image, mask: Mask | None) -> list[fn.Moments]:
        """Moments of a picture's features; in tiles where it is large."""
        wanted = [(Wasserstein(tap), mask) for tap in TAPS[: self.number]]
        encoder = self.network.painter.encoder
        if max(image.shape[-2:]) <= WHOLE_SIDE:
            found = measure(encoder, image, wanted)
        else:
            found = run_to_end(measure_in_tiles(encoder, image, wanted, side=TILE_SIDE))
        return [_not_empty(each.value) for each in found]

    @torch.no_grad()
    def step(self, image: Image, log_odds: Sequence[Tensor], done: int, first: bool) -> Image:
        """The pictures after a step.

        Args:
            image: ``[b, 3, h, w]`` at this size.
            log_odds: of the strength in each region, ``[b]`` each.
            done: number of steps that were done at this size.
            first: whether the picture is still the photograph.
        """
        x = padded(image)
        if self.number == WHOLE or max(x.shape[-2:]) <= WHOLE_SIDE:
            out = self._as_a_whole(x, log_odds, done, first)
        else:
            out = self._in_tiles(x, log_odds)
        height, width = image.shape[-2:]
        out = out[..., :height, :width].clamp(0, 1)
        return out if self.covered is None else torch.where(self.covered > 0, out, image)

    def _as_a_whole(self, x: Image, log_odds: Sequence[Tensor], done: int, first: bool) -> Image:
        features = self.network.painter.features(x, self.number)
        transports = []
        for region in self.regions:
            masks = [at_tap(region.mask, *each.shape[-2:]) for each in features]
            moments = [_not_empty(fn.moments(*each)) for each in zip(features, masks, strict=True)]
            transports.append(self.network.painter.transports(moments, region.gaussians))
        whole = (slice(None), slice(None))
        return self._stepped(x, whole, features, transports, log_odds, done, first)

    def _in_tiles(self, x: Image, log_odds: Sequence[Tensor]) -> Image:
        """A revision in tiles. It is exact: the transports are those of the whole picture, and halos overlap."""
        painter = self.network.painter
        transports = [painter.transports(self._moments(x, region.mask), region.gaussians) for region in self.regions]
        out = torch.empty_like(x)
        columns = spans(x.shape[-1], TILE_SIDE, HALO, STRIDE)
        for row, column in ((row, column) for row in spans(x.shape[-2], TILE_SIDE, HALO, STRIDE) for column in columns):
            window = (row.window, column.window)
            part = x[..., *window]
            features = painter.features(part, self.number)
            made = self._stepped(part, window, features, transports, log_odds, 0, False)
            out[..., row.core, column.core] = made[..., row.inside, column.inside]
        return out

    def _stepped(
        self,
        x: Image,
        window: Window,
        features: Sequence[Tensor],
        transports: Sequence[Sequence[Transport]],
        log_odds: Sequence[Tensor],
        done: int,
        first: bool,
    ) -> Image:
        """The pictures after a step, in a window; where regions have other strengths, it is a mean by their masks."""
        masks = [None if region.mask is None else region.mask[..., *window] for region in self.regions]
        displacements = []
        for place, each in enumerate(features):
            parts = []
            for region, mask in zip(transports, masks, strict=True):
                here = displacement(each, region[place])
                weight = at_tap(mask, *each.shape[-2:])
                parts.append(here if weight is None else weight * here)
            displacements.append(sum(parts[1:], parts[0]))
        painter, photograph = self.network.painter, self.padded[..., *window].expand_as(x)
        outs: list[tuple[Tensor, Mask | None, Image]] = []
        for odds, mask in zip(log_odds, masks, strict=True):
            same = next((place for place, (other, _, _) in enumerate(outs) if torch.equal(odds, other)), None)
            if same is not None:
                other, others, made = outs[same]
                outs[same] = (other, None if mask is None or others is None else mask + others, made)
            elif self.own is not None:
                lost = self.own - features[CONTENT]
                made = painter.whole(x, photograph, features, displacements, lost, odds, done, first)
                outs.append((odds, mask, made))
            else:
                made = painter.revision(x, photograph, features, displacements, None, odds, done, first)
                outs.append((odds, mask, made))
        if len(outs) == 1:
            return outs[0][2]
        out = x.clone()
        for _, mask, made in outs:
            assert mask is not None
            out += mask * (made - x)
        return out


def padded(image: Tensor) -> Tensor:
    """A picture or mask whose sides are multiples of ``STRIDE`` and long enough for the network, with channels last."""
    height, width = image.shape[-2:]
    down, right = (max(-(-side // STRIDE) * STRIDE, 2 * STRIDE) - side for side in (height, width))
    if down or right:
        image = F.pad(image, (0, right, 0, down), mode="replicate")
    return image.contiguous(memory_format=torch.channels_last)


def _sized(painting: Painting, size: tuple[int, int], device: torch.device) -> tuple[Image, Mask | None]:
    """A painting and its mask at a size."""
    image = painting.picture.resized(*size).tensor().to(device)
    return padded(image), _mask_like(painting.weight(), image)


def _mask_like(weight: Floats | None, image: Image) -> Mask | None:
    """A mask at the size of a picture, whose sides are made multiples of ``STRIDE``."""
    if weight is None:
        return None
    height, width = image.shape[-2:]
    return padded(torch.from_numpy(resized_mask(weight, width, height))[None, None].to(image.device))


def _not_empty(moments: fn.Moments) -> fn.Moments:
    """Moments with a mass above 0: a small region may vanish at a small size."""
    return moments._replace(mass=moments.mass.clamp(min=1e-6))


def log_odds_of(strengths: Sequence[float]) -> Float[Tensor, "b"]:
    """Log odds of strengths, within what the painter was trained for.

    Weaker results are blended with the photograph (``artune.transfer.rates.result_shares``).
    """
    return torch.tensor(strengths, dtype=torch.float64).logit().clamp(*LOG_ODDS).float()


def weakened(images: Image, photograph: Image, strengths: Sequence[float], inputs: Inputs) -> Image:
    """Pictures, blended with the photograph where the strength is low; with masks, this is done when a run ends.

    Args:
        images: ``[b, 3, h, w]``.
        photograph: of the same shape.
        strengths: of each picture.
        inputs: the pictures of the run.
    """
    if any(region.mask is not None for region in inputs.regions):
        return images
    shares = torch.tensor(result_shares(strengths), device=images.device)
    return torch.lerp(photograph, images, shares[:, None, None, None])


def steps(run: InstantRun, checkpoint: Checkpoint | None = None) -> Generator[Progress, None, None]:
    """Paint the picture size by size.

    Args:
        run: the run.
        checkpoint: a checkpoint of this run to resume from; the result has the same bits as without the interruption.

    Yields:
        the progress at the beginning of a size, after every step, and at the end.

    Raises:
        CheckpointError: the checkpoint does not fit the run.
    """
    if checkpoint is not None:
        checkpoint.check_key(run.key)
        checkpoint.check_state(run.plan.method.rungs, run.inputs.photograph.size, SGD(rate=1.0))
    yield from paint(run, lambda size: Canvas(run.shown, run.plan, run.network, size), checkpoint)


@in_mode(own_mode)
def paint(
    run: InstantRun, canvas_of: Callable[[int], Canvas], checkpoint: Checkpoint | None = None
) -> Generator[Progress, None, None]:
    """Paint the picture size by size; see ``steps``.

    Args:
        run: the run.
        canvas_of: the canvas of a size.
        checkpoint: see ``steps``.
    """
    began = time.perf_counter() - (checkpoint.seconds if checkpoint else 0.0)
    rungs, plan = run.plan.method.rungs, run.plan
    work = sum(rung.steps * rung.size**2 for rung in rungs) or 1
    odds = [log_odds_of([strength]).to(run.network.device) for strength in strengths_by_region(plan, run.inputs)]

    def progress(event: Event, level: int, state: State) -> Progress:
        before = sum(rung.steps * rung.size**2 for rung in rungs[:level])
        return Progress(
            event,
            run,
            level,
            rungs[level],
            sum(rung.steps for rung in rungs[:level]) + state.step,
            sum(rung.steps for rung in rungs),
            1.0 if event == "ends" else (before + state.step * rungs[level].size ** 2) / work,
            state,
            {},
            time.perf_counter() - began,
            lambda image: {},
            end=End.DONE if event == "ends" else None,
        )

    begins, state = checkpoint.level if checkpoint else 0, None
    for level in range(begins, len(rungs)):
        canvas = canvas_of(rungs[level].size)
        if checkpoint is not None and level == checkpoint.level:
            state = checkpoint.state_on(run.network.device)
        elif state is None:
            state = begin(first_iterate(plan, run.shown, run.first, canvas.photograph))
        else:
            state = begin(next_iterate(plan, run.shown, state.x, rungs[level - 1].size, canvas.photograph))
        yield progress("begins", level, state)
        while state.step < rungs[level].steps:
            first = level == state.step == 0 and plan.method.start == "content"
            x = canvas.step(state.x, odds, state.step, first)
            if level == len(rungs) - 1 and state.step == rungs[level].steps - 1:
                x = weakened(x, canvas.photograph, [plan.strength], run.inputs)
            state = replace(state, x=x, step=state.step + 1)
            yield progress("step", level, state)
    assert state is not None
    yield progress("ends", len(rungs) - 1, state)


class InstantLadder:
    """Pictures by the method ``instant``. Those of a stage are painted as one batch.

    Args:
        task: the photograph, the paintings and the spec.
        plan: plan of the task, at any strength.
    """

    def __init__(self, task: InstantTask, plan: InstantPlan) -> None:
        self.task, self.plan = task, plan
        self.shown = task.inputs.coloured(plan)
        self.sizes = [min(size, plan.size) for size in LADDER]

    @property
    def size(self) -> int:
        """Longer side of the pictures of the first stage, pixels."""
        return self.sizes[0]

    @property
    def steps(self) -> int:
        """Number of steps of both stages."""
        return sum(rung.steps for size in self.sizes for rung in sizes_and_steps(self.plan.method.quality, size))

    def first_stage(self, strengths: Sequence[float], after_step: AfterStep = lambda: None) -> StagePictures:
        """Make small pictures at several strengths, inside (0, 1)."""
        return self._made(strengths, self.sizes[0], after_step)

    def second_stage(
        self, strength: float, first: StagePictures, after_step: AfterStep = lambda: None
    ) -> StagePictures:
        """Make one larger picture."""
        return self._made([strength], self.sizes[1], after_step)

    def _made(self, strengths: Sequence[float], size: int, after_step: AfterStep) -> StagePictures:
        plans = [plan_unchecked(self.task, strength) for strength in strengths]
        by_region = zip(*(strengths_by_region(plan, self.task.inputs) for plan in plans), strict=True)
        odds = [log_odds_of(each).to(self.task.network.device) for each in by_region]
        first = first_picture(self.task, self.shown)
        x, before = torch.empty(0), 0
        for rung in sizes_and_steps(self.plan.method.quality, size):
            canvas = Canvas(self.shown, self.plan, self.task.network, rung.size)
            if before:
                x = next_iterate(self.plan, self.shown, x, before, canvas.photograph)
            else:
                x = first_iterate(self.plan, self.shown, first, canvas.photograph).expand(len(plans), -1, -1, -1)
            for done in range(rung.steps):
                x = canvas.step(x, odds, done, before == done == 0 and self.plan.method.start == "content")
                after_step()
            before = rung.size
        x = weakened(x, canvas.photograph.expand_as(x), strengths, self.task.inputs)
        pictures = [
            finished(image[None], plan, blended(self.task.inputs, plan), self.shown)
            for image, plan in zip(x, plans, strict=True)
        ]
        return StagePictures(strengths, pictures, x)


def in_tiles(run: InstantRun) -> bool:
    """Whether any size of a run is computed in tiles."""
    return run.plan.size > WHOLE_SIDE


def finish(image: Image, run: InstantRun) -> Image:
    """Smooth the last picture along the photograph's edges, if the plan says so."""
    return smoothed(image, run.plan.method.photoreal_smoothing, run.shown)
