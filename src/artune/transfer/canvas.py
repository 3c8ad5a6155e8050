"""What the painter knows of the pictures of a run at one size, and how it paints from size to size."""

import hashlib
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.backbones.circular import wrapped
from artune.engine.descend import InParts, PartDone
from artune.engine.modes import in_mode
from artune.images.picture import Floats
from artune.images.resize import NO_WRAPS, Wraps
from artune.losses import moments as fn
from artune.losses.objective import at_tap, measure
from artune.losses.protocol import Mask
from artune.losses.terms import Wasserstein
from artune.losses.tiled import Window, measure_in_tiles, spans
from artune.networks.folded import Folded
from artune.networks.loaded import PainterNetwork
from artune.networks.painter import CONTENT, LOG_ODDS, REVISION_TAPS, STEP_TAPS, STRIDE, TAPS, Transport
from artune.spec.style import Quality, Rung
from artune.transfer.inputs import Inputs, Painting, Part, Region
from artune.transfer.iterates import first_iterate, next_iterate
from artune.transfer.objective import covered_at, mask_at, photograph_at
from artune.transfer.plan import Plan
from artune.transfer.rates import result_shares
from artune.transfer.sizes import painting_size
from artune.transfer.start import FROM_PHOTOGRAPH


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

    def at(self, size: int) -> int:
        """Steps at a size after the first."""
        return self.next if size <= self.whole else self.revisions


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
HALO = 32
"""Width of their halo, pixels: more than the radius that a revision sees."""
MARGIN = 96
"""Pixels beyond the edge of a picture that repeats: more than the radius that a step sees."""
PIXEL_BYTES = 60
"""Bytes per pixel of a picture that is painted: photograph, and a few copies of the picture."""
FEATURE_BYTES = 512
"""Bytes per pixel of the features of a small picture."""
MOST_FEATURE_BYTES = 2**28
"""Bytes of the features of a tile, or of the largest picture that is not computed in tiles."""
WHOLE_PICTURE: Window = (slice(None), slice(None))


def sizes_and_steps(counts: StepCounts, size: int) -> tuple[Rung, ...]:
    """Sizes and steps to a size, from small to large."""
    sizes = [size]
    while sizes[0] / 2 >= SMALLEST_SIZE:
        sizes.insert(0, round(sizes[0] / 2))
    steps = [counts.first, *map(counts.at, sizes[1:])]
    return tuple(Rung(size=side, steps=count) for side, count in zip(sizes, steps, strict=True))


def painter_bytes(pixels: int, painting: int, masks: int) -> int:
    """Bytes that the painter needs at one size.

    Args:
        pixels: of the picture.
        painting: pixels of the largest painting at this size.
        masks: number of regions with a mask.
    """
    features = min(FEATURE_BYTES * max(pixels, painting), MOST_FEATURE_BYTES)
    return pixels * (PIXEL_BYTES + 4 * masks) + 36 * painting + features


@dataclass(frozen=True)
class StyledRegion:
    """A region of the photograph at one size.

    Attributes:
        gaussians: of its paintings, what the features are carried to.
        mask: ``[1, 1, h, w]`` in [0, 1]: how much each pixel counts in its moments; ``None``: all the same.
        parts: masks of its parts, each of which has a strength of its own; likewise.
    """

    gaussians: Sequence[fn.Gaussian]
    mask: Mask | None
    parts: Sequence[Mask | None]


class Canvas:
    """The pictures of a run at one size, and what the painter knows of them before its first step; made by ``of``.

    Sides are made multiples of ``STRIDE`` by repeating the border. Along an axis on which the picture repeats, the
    painter sees beyond the edges what follows there.
    """

    def __init__(
        self, network: PainterNetwork, photograph: Image, covered: Mask | None, number: int, wraps: Wraps = NO_WRAPS
    ) -> None:
        self.network, self.photograph, self.covered, self.number = network, photograph, covered, number
        self.wraps, self.regions = wraps, list[StyledRegion]()
        height, width = photograph.shape[-2:]
        rows, columns = (
            slice(MARGIN * repeats, MARGIN * repeats + side)
            for side, repeats in zip((height, width), wraps, strict=True)
        )
        self.core: Window = rows, columns
        self.seen = self._padded(photograph) if any(wraps) else photograph
        self.own = self._features(self._padded(photograph))[CONTENT] if number == STEP_TAPS else None

    @classmethod
    @in_mode(torch.no_grad)
    def of(cls, shown: Inputs, plan: Plan, network: PainterNetwork, size: int, whole: int) -> InParts[Self]:
        """Look at the pictures of a run; large ones are seen in tiles.

        Args:
            shown: the pictures in the colours that the network sees.
            plan: has the weights of several paintings, and the size of the strokes; its strength does not matter.
            network: the painter.
            size: longer side, pixels.
            whole: largest longer side, pixels, at which a step sees all taps.
        """
        photograph = photograph_at(shown, size, network.device)
        number = STEP_TAPS if size <= whole else REVISION_TAPS
        canvas = cls(network, photograph, covered_at(shown, photograph), number, shown.wraps)
        for place, region in enumerate(shown.regions):
            gaussians = yield from canvas._gaussians(region.paintings, plan, size)
            parts = [canvas._mask(shown, part) for part in shown.parts if part.region == place]
            canvas.regions.append(StyledRegion(gaussians, canvas._counting(canvas._mask(shown, region)), parts))
        return canvas

    def _mask(self, shown: Inputs, of: Region | Part) -> Mask | None:
        """The mask of a region, or a part, padded as the picture is."""
        height, width = self.photograph.shape[-2:]
        weight = shown.weight_at(of, width, height)
        return None if weight is None else self._padded(torch.from_numpy(weight)[None, None].to(self.photograph.device))

    def _counting(self, mask: Mask | None) -> Mask | None:
        """A mask that is 0 beyond the edges of a picture that repeats: each pixel counts once."""
        if not any(self.wraps):
            return mask
        inside = torch.zeros_like(self.seen[:, :1])
        inside[..., *self.core] = 1 if mask is None else mask[..., *self.core]
        return inside

    def _padded(self, image: Tensor) -> Tensor:
        """The picture, or a mask of its size, as the painter sees it."""
        down, across = (
            (MARGIN, MARGIN + -side % STRIDE) if repeats else (0, 0)
            for side, repeats in zip(image.shape[-2:], self.wraps, strict=True)
        )
        return padded(wrapped(image, down, across))

    def _gaussians(self, paintings: Sequence[Painting], plan: Plan, size: int) -> InParts[list[fn.Gaussian]]:
        """Gaussians of the mixture of a region's paintings."""
        shares = plan.style_weights if len(paintings) > 1 else (1.0,)
        found = []
        for painting in paintings:
            of_painting = yield from self._read(painting, painting_size(painting.picture, size, plan.style_scale))
            found.append(of_painting)
        mixed = [fn.mix([*each], [*shares]) for each in zip(*found, strict=True)]
        return self.network.painter.gaussians(mixed)

    def _read(self, painting: Painting, size: tuple[int, int]) -> InParts[Sequence[fn.Moments]]:
        """Moments of a painting; those of the last few are kept, for other photographs."""
        weight, readings = painting.weight(), self.network.readings
        mask = None if weight is None else hashlib.sha256(weight.tobytes()).digest()
        key = (painting.picture.digest(), mask, size, self.number)
        found = readings.get(key)
        if found is None:
            found = yield from self._moments(*_sized(painting, size, self.network.device))
            readings.keep(key, found)
        return found

    def _moments(self, image: Image, mask: Mask | None) -> InParts[list[fn.Moments]]:
        """Moments of a picture's features; in tiles where it is large."""
        wanted = [(Wasserstein(tap), mask) for tap in TAPS[: self.number]]
        encoder = self.network.painter.encoder
        if max(image.shape[-2:]) <= WHOLE_SIDE:
            found = measure(encoder, image, wanted)
        else:
            found = yield from measure_in_tiles(encoder, image, wanted, side=TILE_SIDE)
        return [not_empty(each.value) for each in found]

    @in_mode(torch.no_grad)
    def step(self, image: Image, log_odds: Sequence[Tensor], done: int, first: bool) -> InParts[Image]:
        """The pictures after a step. At large sizes it is a revision, and made in tiles.

        Tiles change nothing: the transports are those of the whole picture, and halos overlap.

        Args:
            image: ``[b, 3, h, w]`` at this size.
            log_odds: of the strength in each part, ``[b]`` each.
            done: number of steps that were done at this size.
            first: whether the picture is still the photograph.
        """
        x = self._padded(image)
        whole = self.number == STEP_TAPS or max(x.shape[-2:]) <= WHOLE_SIDE
        features = self._features(x) if whole else None
        transports = []
        for region in self.regions:
            of_region = yield from self._transports(x, features, region)
            transports.append(of_region)
        painter, out = self.network.painter, torch.empty_like(x)
        learned = painter.revision if self.own is None else painter.whole
        for place in range(len(x)):
            here = slice(place, place + 1)
            by_part = [
                of_region for of_region, region in zip(transports, self.regions, strict=True) for _ in region.parts
            ]
            steps = [
                Folded(
                    learned,
                    [Transport(each.matrix[here], each.shift[here]) for each in of_region],
                    learned.about_steps(odds[here], done, first),
                )
                for of_region, odds in zip(by_part, log_odds, strict=True)
            ]
            if features is None:
                yield from self._in_tiles(x[here], steps, out[here])
            else:
                out[here] = self._mixed(x[here], WHOLE_PICTURE, [each[here] for each in features], steps)
        out = out[..., *self.core].clamp_(0, 1)
        return out if self.covered is None else torch.where(self.covered > 0, out, image)

    def _features(self, x: Image) -> list[Tensor]:
        found = self.network.painter.features(x, self.number)
        return [each.contiguous(memory_format=torch.channels_last) for each in found]

    def _transports(
        self, x: Image, features: Sequence[Tensor] | None, region: StyledRegion
    ) -> InParts[list[Transport]]:
        """The transports in a region: of the features, or, if there are none, of those of tiles."""
        if features is None:
            found = yield from self._moments(x, region.mask)
        else:
            masks = [at_tap(region.mask, *each.shape[-2:]) for each in features]
            found = [not_empty(fn.moments(*each)) for each in zip(features, masks, strict=True)]
        return self.network.painter.transports(found, region.gaussians)

    def _in_tiles(self, x: Image, steps: Sequence[Folded], out: Image) -> InParts[None]:
        """Write the picture after a step to ``out``."""
        rows, columns = (spans(length, TILE_SIDE, HALO, STRIDE) for length in x.shape[-2:])
        tiles = list(product(rows, columns))
        for number, (row, column) in enumerate(tiles, start=1):
            window = (row.window, column.window)
            part = x[..., *window]
            made = self._mixed(part, window, self._features(part), steps)
            out[..., row.core, column.core] = made[..., row.inside, column.inside]
            yield PartDone(number, len(tiles))

    def _mixed(self, x: Image, window: Window, features: Sequence[Tensor], steps: Sequence[Folded]) -> Image:
        """The picture after a step, in a window: the mean of those of the parts, by their masks."""
        photograph = _repeated(self.seen[..., *window], *x.shape[-2:])
        if len(steps) == 1:
            return steps[0](photograph, features, self.own)
        out = x.clone()
        for whole, step in zip([part for region in self.regions for part in region.parts], steps, strict=True):
            assert whole is not None
            mask = whole[..., *window]
            if mask.any():
                out += mask * (step(photograph, features, self.own) - x)
        return out


def padded(image: Tensor, stride: int = STRIDE) -> Tensor:
    """A picture or mask whose sides are multiples of a stride and long enough for a network, with channels last."""
    height, width = (max(-(-side // stride) * stride, 2 * stride) for side in image.shape[-2:])
    return _repeated(image, height, width)


def _repeated(image: Tensor, height: int, width: int) -> Tensor:
    """A picture or mask, enlarged to a height and width by repeating its last row and column; with channels last."""
    down, right = height - image.shape[-2], width - image.shape[-1]
    if down or right:
        image = F.pad(image, (0, right, 0, down), mode="replicate")
    return image.contiguous(memory_format=torch.channels_last)


def _sized(painting: Painting, size: tuple[int, int], device: torch.device) -> tuple[Image, Mask | None]:
    """A painting and its mask at a size."""
    image = painting.picture.resized(*size).tensor().to(device)
    return padded(image), _mask_like(painting.weight(), image)


def _mask_like(weight: Floats | None, image: Image) -> Mask | None:
    """A mask at the size of a picture, whose sides are made multiples of ``STRIDE``."""
    mask = mask_at(weight, image)
    return None if mask is None else padded(mask)


def not_empty(moments: fn.Moments) -> fn.Moments:
    """Moments with a mass above 0: a small region may vanish at a small size."""
    return moments._replace(mass=moments.mass.clamp(min=1e-6))


def painted_log_odds(content: float, style: float) -> float:
    """Log odds that the painter is told, within what it was trained for.

    Weaker results are blended with the photograph (``artune.transfer.rates.result_shares``).

    Args:
        content: weight of the content, relative to that at strength 0.
        style: weight of the style, relative to that at strength 1.
    """
    low, high = LOG_ODDS
    if content <= 0 or style <= 0:
        return low if style <= 0 else high
    return min(max(math.log(style / content), low), high)


def weakened(images: Image, photograph: Float[Tensor, "1 3 h w"], plans: Sequence[Plan], inputs: Inputs) -> Image:
    """Pictures, blended with the photograph where the strength is low; with masks, this is done when a run ends.

    Args:
        images: ``[b, 3, h, w]``.
        photograph: ``[1, 3, h, w]``.
        plans: of each picture, with its strength.
        inputs: the pictures of the run.
    """
    if any(part.mask is not None for part in inputs.parts):
        return images
    shares = torch.tensor(result_shares([plan.strength for plan in plans]), device=images.device)
    if (shares == 1).all():
        return images
    return torch.lerp(photograph.expand_as(images), images, shares[:, None, None, None])


class Painted(NamedTuple):
    """A picture, or several, before the first step at a size, or after a step.

    Attributes:
        level: index of the size among the sizes, from 0.
        step: number of steps done at this size.
        images: ``[b, 3, h, w]``.
        canvas: of this size.
    """

    level: int
    step: int
    images: Image
    canvas: Canvas


def paint(
    plan: Plan,
    shown: Inputs,
    first: Painting,
    rungs: Sequence[Rung],
    log_odds: Sequence[Tensor],
    canvas_of: Callable[[int], InParts[Canvas]],
    begun: tuple[int, int, Image] | None = None,
) -> Generator[Painted | PartDone, None, None]:
    """Paint from size to size.

    Args:
        plan: has the start.
        shown: the pictures in the colours that the network sees.
        first: the picture to start from, if the start is not the photograph.
        rungs: sizes and their steps.
        log_odds: of the strength in each part, ``[b]`` each; b pictures are painted.
        canvas_of: makes the canvas of a size.
        begun: level, step and images of a run that is gone on with.

    Yields:
        what is painted, before the first step at each size and after each step; and every tile that is done.
    """
    at, done, images = begun or (0, 0, None)
    for level in range(at, len(rungs)):
        canvas = yield from canvas_of(rungs[level].size)
        if images is None:
            images = first_iterate(plan, shown, first, canvas.photograph).expand(len(log_odds[0]), -1, -1, -1)
        elif level > at:
            images = next_iterate(plan, shown, images, rungs[level - 1].size, canvas.photograph)
        yield Painted(level, done, images, canvas)
        for step in range(done, rungs[level].steps):
            untouched = level == step == 0 and plan.method.start in FROM_PHOTOGRAPH
            images = yield from canvas.step(images, log_odds, step, untouched)
            yield Painted(level, step + 1, images, canvas)
        done = 0
