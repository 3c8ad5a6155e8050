"""The objective of a picture that is too large for the network as a whole: computed tile by tile, and the same.

What additive terms measure of two tiles adds up to what they measure of both. So a first pass over the tiles, without
gradients, gives the sums of the whole picture; a small graph gives the losses and their derivative by the sums; and a
second pass takes each tile's sums back to its pixels through that derivative, which is the same for all. Nothing is
left out: a tile's core is seen with a halo as wide as the network looks, cut where the strides of the whole picture
fall, and the picture's own borders are borders.

The method is gradient checkpointing (Chen et al. 2016, arXiv 1604.06174) over space instead of layers.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import IMAGE_TAP, Backbone, Features, Image
from artune.engine.descend import Evaluation, InParts, PartDone, run_to_end
from artune.errors import SpecError
from artune.losses.moments import widened
from artune.losses.objective import (
    AnyWeightedTerm,
    Formulas,
    MaskedTerms,
    Measured,
    Objective,
    PaintingImage,
    RegionWeights,
    Terms,
    Weights,
    assemble,
    at_tap,
)
from artune.losses.protocol import Mask, Pointwise
from artune.losses.terms import CONTENT_TERMS, STYLE_TERMS, VARIATIONS, Make

Sums = tuple[Tensor, ...]
Window = tuple[slice, slice]
"""Rows and columns of a picture, pixels."""

BAND = 2**20
"""Pixels of a band in which total variation is computed."""


@dataclass(frozen=True)
class Span:
    """A stretch of rows, or of columns, pixels: a core, and what the network is shown of its surroundings."""

    window: slice
    core: slice
    last: bool

    def at(self, stride: int) -> tuple[slice, int]:
        """The core among the features of the window, and where it begins among those of the whole."""
        begin = (self.core.start - self.window.start) // stride
        end = None if self.last else (self.core.stop - self.window.start) // stride
        return slice(begin, end), self.core.start // stride


def spans(length: int, side: int, halo: int, stride: int) -> list[Span]:
    """Stretches whose cores cover a length once. All but the last core are ``side`` long.

    Args:
        length: of the picture, pixels.
        side: of a core, a multiple of ``stride``.
        halo: as wide as the network looks, a multiple of ``stride``.
        stride: of the deepest tap; no core is shorter, so that none is without features.
    """
    starts = [*range(0, max(length - stride, 0) + 1, side)]
    stops = [*starts[1:], length]
    return [
        Span(slice(max(start - halo, 0), min(stop + halo, length)), slice(start, stop), stop == length)
        for start, stop in zip(starts, stops, strict=True)
    ]


@dataclass(frozen=True)
class Tile:
    """A rectangle of the picture."""

    rows: Span
    columns: Span

    @property
    def window(self) -> Window:
        """What the network is shown."""
        return self.rows.window, self.columns.window

    def core(self, features: Tensor, stride: int) -> tuple[Tensor, Window]:
        """The core's part of the window's features, and where it lies among those of the whole."""
        (rows, top), (columns, left) = self.rows.at(stride), self.columns.at(stride)
        part = features[..., rows, columns]
        return part, (slice(top, top + part.shape[-2]), slice(left, left + part.shape[-1]))


class Tiling:
    """How a picture is cut for a network.

    Args:
        backbone: the network.
        taps: that are wanted of it.
        height: of the picture, pixels.
        width: of the picture, pixels.
        side: of a tile's core, pixels; rounded up to the deepest stride.
    """

    def __init__(self, backbone: Backbone, taps: Collection[str], height: int, width: int, side: int) -> None:
        self.backbone, self.taps = backbone, tuple(taps)
        self.strides = {tap: backbone.taps.get(tap, IMAGE_TAP).stride for tap in self.taps}
        stride, halo = stride_and_halo(backbone, taps)
        side = -(-max(side, 1) // stride) * stride
        across = spans(width, side, halo, stride)
        self.tiles = [Tile(rows, columns) for rows in spans(height, side, halo, stride) for columns in across]

    def features(self, part: Image, tile: Tile) -> tuple[Features, Mapping[str, Window]]:
        """Those of a tile's core, from what its window shows, and where they lie among those of the whole."""
        whole = self.backbone(part, self.taps)
        cores = {tap: tile.core(whole[tap], self.strides[tap]) for tap in self.taps}
        return {tap: core for tap, (core, _) in cores.items()}, {tap: place for tap, (_, place) in cores.items()}

    def sizes(self, image: Image) -> dict[str, tuple[int, int]]:
        """Height and width of each tap's features of the whole picture: where its last tile ends."""
        last = self.tiles[-1]
        _, places = self.features(image[(..., *last.window)], last)
        return {tap: (rows.stop, columns.stop) for tap, (rows, columns) in places.items()}


def stride_and_halo(backbone: Backbone, taps: Collection[str]) -> tuple[int, int]:
    """The stride of the deepest of some taps, and the halo that a tile needs, pixels: as far as they look, aligned."""
    infos = [backbone.taps.get(tap, IMAGE_TAP) for tap in taps]
    stride = math.lcm(*(info.stride for info in infos))
    radius = max((info.receptive_field for info in infos), default=1) // 2
    return stride, -(-radius // stride) * stride


def bands(height: int, width: int) -> Iterator[tuple[slice, int]]:
    """Rows of the picture, and a sign, such that sums over neighbours add up to those of the whole.

    Strips share a row, so that no neighbours are parted; the pairs within it are taken away again.
    """
    tall = max(BAND // width, 1)
    for top in range(0, height, tall):
        yield slice(top, min(top + tall + 1, height)), 1
        if top + tall < height:
            yield slice(top + tall, top + tall + 1), -1


class TiledObjective:
    """An objective, computed tile by tile.

    Args:
        whole: the objective; its terms are additive.
        height: of the pictures to come, pixels.
        width: of the pictures to come, pixels.
        side: of a tile's core, pixels.
    """

    def __init__(self, whole: Objective, height: int, width: int, side: int) -> None:
        self.whole = whole
        self.local = [f for f in whole.terms if f.term.source == "none"]  # needs no network, but neighbours
        self.seen = [f for f in whole.terms if f.term.source != "none"]
        taps = dict.fromkeys(tap for f in self.seen for tap in f.term.taps)
        self.tiling = Tiling(whole.backbone, taps, height, width, side)
        self.height, self.width = height, width

    def _pieces(self) -> list[tuple[Window, Callable[[Image], list[Sums | None]]]]:
        """Windows of the picture, and what each adds to the sums of every term."""
        pieces: list[tuple[Window, Callable[[Image], list[Sums | None]]]] = []
        if self.seen:
            pieces += [(tile.window, partial(self._of_tile, tile)) for tile in self.tiling.tiles]
        if self.local:
            across = slice(0, self.width)
            found = bands(self.height, self.width)
            pieces += [((rows, across), partial(self._of_band, rows, sign)) for rows, sign in found]
        return pieces

    def losses(self, x: Image, step: int = 0) -> dict[str, Float[Tensor, "b"]]:
        """Every term's distance, relative where it is calibrated, not weighted."""
        return self._losses(run_to_end(self._sums(x.detach())), step, x.dtype)

    def total(self, losses: Mapping[str, Tensor]) -> Float[Tensor, "b"]:
        """The weighted sum."""
        return self.whole.total(losses)

    def __call__(self, x: Image, step: int) -> Evaluation:
        return run_to_end(self.in_parts(x, step))

    @torch.no_grad()
    def in_parts(self, x: Image, step: int) -> InParts[Evaluation]:
        """Evaluate, tile by tile."""
        x = x.detach()
        found = yield from self._sums(x)
        sums = [_made(parts, [part.requires_grad_() for part in parts]) for parts in found]
        with torch.enable_grad():
            losses = self._losses(sums, step, x.dtype)
            total = self.whole.total(losses)
            leaves = [part for parts in sums for part in parts]
            outer = iter(torch.autograd.grad(total.sum(), leaves, allow_unused=True))
        slopes = [[next(outer) for _ in parts] for parts in sums]
        gradient = torch.zeros_like(x)
        pieces = self._pieces()
        for number, (window, measure) in enumerate(pieces, start=1):
            part = x[(..., *window)].detach().requires_grad_()
            with torch.enable_grad():
                pairs = [
                    (part_sum, slope.to(part_sum.dtype))
                    for parts, along in zip(measure(part), slopes, strict=True)
                    for part_sum, slope in zip(parts or (), along, strict=False)
                    if slope is not None and part_sum.requires_grad
                ]
            if pairs:
                (back,) = torch.autograd.grad([p for p, _ in pairs], part, [slope for _, slope in pairs])
                gradient[(..., *window)] += back
            yield PartDone(len(pieces) + number, 2 * len(pieces))
        return self.whole.evaluation(total, losses, gradient)

    @torch.no_grad()
    def _sums(self, x: Image) -> InParts[list[Sums]]:
        sums: list[Sums | None] = [None] * len(self.whole.terms)
        pieces = self._pieces()
        for number, (window, measure) in enumerate(pieces, start=1):
            sums = [_added(old, new) for old, new in zip(sums, measure(x[(..., *window)]), strict=True)]
            yield PartDone(number, 2 * len(pieces))
        return [parts for parts in sums if parts is not None]  # every term is in some piece

    def _losses(self, sums: Sequence[Sums], step: int, kind: torch.dtype) -> dict[str, Tensor]:
        found = zip(self.whole.terms, sums, strict=True)
        return {f.name: (_value(f, parts, step) / f.unit).to(kind) for f, parts in found}

    def _of_tile(self, tile: Tile, part: Image) -> list[Sums | None]:
        features, places = self.tiling.features(part, tile)
        out: list[Sums | None] = []
        for f in self.whole.terms:
            if f.term.source == "none":
                out.append(None)
                continue
            place = places[f.term.taps[0]]
            measured = f.term.measure(features, _cropped(f.mask, place))
            if isinstance(f.term, Pointwise):
                measured = f.term.errors(measured, _cropped(f.target, place))
            out.append(measured)
        return out

    def _of_band(self, rows: slice, sign: int, part: Image) -> list[Sums | None]:
        return [
            _signed(f.term.measure({"image": part}, _cropped(f.mask, (rows, slice(None)))), sign)
            if f.term.source == "none"
            else None
            for f in self.whole.terms
        ]


@torch.no_grad()
def measure_in_tiles(backbone: Backbone, image: Image, wanted: MaskedTerms, *, side: int) -> InParts[list[Measured]]:
    """What each term measures of a picture, tile by tile; of one that compares position by position, all of them."""
    height, width = image.shape[-2:]
    tiling = Tiling(backbone, dict.fromkeys(tap for term, _ in wanted for tap in term.taps), height, width, side)
    sizes = tiling.sizes(image)
    brought: dict[tuple[int, tuple[int, int]], Mask | None] = {}
    masks = []
    for term, mask in wanted:  # one that several terms share is brought to their size once
        key = id(mask), sizes[term.taps[0]]
        if key not in brought:
            brought[key] = at_tap(mask, *sizes[term.taps[0]])
        masks.append(brought[key])
    maps: dict[str, Tensor] = {}
    sums: list[Any] = [None] * len(wanted)
    for number, tile in enumerate(tiling.tiles, start=1):
        features, places = tiling.features(image[(..., *tile.window)], tile)
        for index, ((term, _), mask) in enumerate(zip(wanted, masks, strict=True)):
            tap = term.taps[0]
            if term.source == "none":
                continue
            if not isinstance(term, Pointwise):
                sums[index] = _added(sums[index], term.measure(features, _cropped(mask, places[tap])))
                continue
            if tap not in maps:
                shape = (*features[tap].shape[:2], *sizes[tap])
                kind = features[tap].dtype
                maps[tap] = torch.empty(shape, dtype=kind, device=image.device, memory_format=torch.channels_last)
            maps[tap][(..., *places[tap])] = features[tap]
        yield PartDone(number, len(tiling.tiles))
    for index, ((term, _), mask) in enumerate(zip(wanted, masks, strict=True)):
        if isinstance(term, Pointwise):
            sums[index] = term.measure(maps, mask)
        elif term.source == "none":
            for rows, sign in bands(height, width):
                part = term.measure({"image": image[..., rows, :]}, _cropped(mask, (rows, slice(None))))
                sums[index] = _added(sums[index], _signed(part, sign))
    return [Measured(value, mask) for value, mask in zip(sums, masks, strict=True)]


def build_tiled_objective(
    backbone: Backbone,
    content: Image,
    styled: Sequence[tuple[RegionWeights, Sequence[PaintingImage]]],
    weights: Weights,
    formulas: Formulas = Formulas(),
    extra: Sequence[AnyWeightedTerm] = (),
    *,
    side: int,
) -> TiledObjective:
    """What ``artune.losses.objective.build_objective`` does, tile by tile.

    Args:
        backbone: the loss network.
        content: the photograph, ``[1, 3, h, w]``.
        styled: its regions, each with its paintings.
        weights: of taps and of the two sides.
        formulas: which losses.
        extra: terms that are frozen already.
        side: of a tile's core, pixels; rounded up to the deepest stride.

    Raises:
        SpecError: a loss or the network looks at the picture as a whole.
    """
    check_tiles(backbone, [*weights.content, *weights.style], formulas, extra)
    terms, regions = Terms.of(weights, formulas), [region for region, _ in styled]
    by_tiles = partial(measure_in_tiles, backbone, side=side)
    paintings = [
        [terms.measured(style, run_to_end(by_tiles(style.image, terms.of_painting(style)))) for style in styles]
        for _, styles in styled
    ]
    photograph = run_to_end(by_tiles(content, terms.of_photograph(regions)))
    whole = assemble(backbone, terms, regions, paintings, photograph, weights, formulas, extra)
    height, width = content.shape[-2:]
    return TiledObjective(whole, height, width, side)


def check_tiles(
    backbone: Backbone, taps: Collection[str], formulas: Formulas = Formulas(), extra: Sequence[AnyWeightedTerm] = ()
) -> None:
    """Raise unless a picture's tiles say all that the losses need of it.

    Raises:
        SpecError: naming the loss or the network.
    """
    instead = "leave out --memory, or choose a smaller --size"
    if formulas.balance:
        raise SpecError(f"balanced gradients need the picture as a whole; leave out --balance-gradients, or {instead}")
    asked: list[tuple[Mapping[str, Make], str]] = [
        (STYLE_TERMS, loss) for loss, weight in formulas.style.items() if weight
    ]
    asked += [(CONTENT_TERMS, formulas.content)]
    for table, loss in asked:
        if not _additive(table[loss], formulas):
            others = " or ".join(name for name in table if _additive(table[name], formulas))
            raise SpecError(f"loss {loss} is not additive over tiles; use {others}, {instead}")
    terms = [*(f.term for f in extra), VARIATIONS[formulas.variation](formulas.scale)]
    for term in terms:
        if not term.additive:
            raise SpecError(f"loss {term.name} is not additive over tiles; leave it out, {instead}")
    if not backbone.local:
        raise SpecError(
            f"smoothing looks at the picture as a whole; leave out --smooth (or give --no-smooth), {instead}"
        )
    if not _is_local(backbone, taps):
        raise SpecError(f"network {backbone.name} looks at the picture as a whole; use another, {instead}")


def _additive(make: Make, formulas: Formulas) -> bool:
    return make("image", formulas.scale, formulas.draws).additive


@torch.no_grad()
def _is_local(backbone: Backbone, taps: Collection[str]) -> bool:
    """Whether tiles of a small picture have the features of the whole: nothing global, and strides that align."""
    stride, halo = stride_and_halo(backbone, taps)
    side = -(-(halo + 1) // stride) * stride  # so that a halo ends before the picture does
    height, width = 2 * side + stride // 2 + 1, max(backbone.smallest, 2 * stride + 1)
    parameter = next(backbone.parameters(), torch.empty(0))
    noise = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0))
    fading = (noise * torch.linspace(1, 0.1, height).view(-1, 1)).to(parameter.device)  # its halves are not alike
    far = max(1e-3, 4 * torch.finfo(parameter.dtype).eps)
    for image in (fading, fading.transpose(2, 3).contiguous()):
        whole = backbone(image, taps)
        tiling = Tiling(backbone, taps, image.shape[2], image.shape[3], side)
        for tile in tiling.tiles:
            features, places = tiling.features(image[(..., *tile.window)], tile)
            for tap, part in features.items():
                same = whole[tap][(..., *places[tap])]
                if same.shape != part.shape or (part - same).float().norm() > far * same.float().norm():
                    return False
        if any(tiling.sizes(image)[tap] != tuple(whole[tap].shape[-2:]) for tap in taps):
            return False
    return True


def _cropped(map_: Tensor | None, place: Window) -> Any:
    return None if map_ is None else map_[(..., *place)]


def _value(f: AnyWeightedTerm, sums: Sums, step: int) -> Tensor:
    if isinstance(f.term, Pointwise):
        return f.term.value(sums, f.target)
    return f.term.distance(sums, f.target, step)


def _added(old: Sums | None, new: Sums | None) -> Sums | None:
    """Sums of two tiles, in fp64 where the device has it: there are thousands."""
    if new is None:
        return old
    new = _made(new, [widened(part) for part in new])
    return new if old is None else _made(old, [a + b for a, b in zip(old, new, strict=True)])


def _signed(sums: Sums, sign: int) -> Sums:
    return _made(sums, [sign * part for part in sums])


def _made(like: Sums, parts: Sequence[Tensor]) -> Sums:
    """The same kind of tuple, for most have names."""
    return getattr(like, "_make", tuple)(parts)
