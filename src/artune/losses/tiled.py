"""The objective of a picture that is too large for the network as a whole, computed tile by tile with the same result.

The sums that an additive term measures on two tiles add up to its sums on both. So the evaluation has two passes. The
first pass, without gradients, adds up the sums of all tiles. From these, a small graph gives the losses and their
derivatives with respect to the sums. The second pass backpropagates these derivatives, which are the same for all
tiles, through the sums of each tile to its pixels.

The result is exact: each tile is computed with a halo as wide as the receptive field, tiles are aligned to the strides
of the network, and the border of the picture is padded as it is for the whole.

This is gradient checkpointing (Chen et al. 2016, arXiv 1604.06174) over space instead of layers.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import IMAGE_TAP, Backbone, Features, Image, stride_and_radius
from artune.engine.descend import Evaluation, InParts, PartDone, run_to_end
from artune.engine.modes import in_mode
from artune.errors import SpecError
from artune.losses.moments import widened
from artune.losses.objective import (
    AnyWeightedTerm,
    Formulas,
    MaskedTerms,
    Measured,
    Objective,
    at_tap,
)
from artune.losses.protocol import Mask, Pointwise
from artune.losses.terms import CONTENT_TERMS, STYLE_TERMS, VARIATIONS, Make

TermSums = tuple[Tensor, ...]
Window = tuple[slice, slice]
"""Rows and columns of a picture, pixels."""

BAND = 2**20
"""Pixels of one of the bands in which total variation is computed."""


@dataclass(frozen=True)
class Span:
    """A range of rows, or of columns, of a tile.

    Attributes:
        window: the pixels that the network sees: the core and its halo.
        core: the pixels whose features are used.
        last: whether the core ends at the border of the picture.
    """

    window: slice
    core: slice
    last: bool

    @property
    def inside(self) -> slice:
        """The core's pixels in the window."""
        return slice(self.core.start - self.window.start, self.core.stop - self.window.start)

    def at(self, stride: int) -> tuple[slice, int]:
        """Indices of the core in the features of the window, and its first index in the features of the picture."""
        begin = (self.core.start - self.window.start) // stride
        end = None if self.last else (self.core.stop - self.window.start) // stride
        return slice(begin, end), self.core.start // stride


def spans(length: int, side: int, halo: int, stride: int) -> list[Span]:
    """Ranges whose cores cover a length once. All cores but the last have length ``side``.

    Args:
        length: height or width of the picture, pixels.
        side: length of a core, a multiple of ``stride``.
        halo: width of the halo, a multiple of ``stride``; at least the receptive radius of the network.
        stride: stride of the deepest tap. No core is shorter, so that each core has features.
    """
    starts = [*range(0, max(length - stride, 0) + 1, side)]
    stops = [*starts[1:], length]
    return [
        Span(slice(max(start - halo, 0), min(stop + halo, length)), slice(start, stop), stop == length)
        for start, stop in zip(starts, stops, strict=True)
    ]


@dataclass(frozen=True)
class Tile:
    """A rectangle of the picture: a core, and a halo around it."""

    rows: Span
    columns: Span

    @property
    def window(self) -> Window:
        """The pixels that the network sees."""
        return self.rows.window, self.columns.window

    def core(self, features: Tensor, stride: int) -> tuple[Tensor, Window]:
        """Features of the core, from those of the window; and their indices in the features of the picture."""
        (rows, top), (columns, left) = self.rows.at(stride), self.columns.at(stride)
        part = features[..., rows, columns]
        return part, (slice(top, top + part.shape[-2]), slice(left, left + part.shape[-1]))


class Tiling:
    """The tiles of a picture for a network.

    Args:
        backbone: the network.
        taps: the taps that are computed.
        height: height of the picture, pixels.
        width: width of the picture, pixels.
        side: side of a tile's core, pixels; rounded up to a multiple of the deepest stride.
    """

    def __init__(self, backbone: Backbone, taps: Collection[str], height: int, width: int, side: int) -> None:
        self.taps, self.network_pass = tuple(taps), backbone.make_pass(taps, ())
        self.strides = {tap: backbone.taps.get(tap, IMAGE_TAP).stride for tap in self.taps}
        stride, halo = stride_and_radius(backbone, taps)
        side = -(-max(side, 1) // stride) * stride
        across = spans(width, side, halo, stride)
        self.tiles = [Tile(rows, columns) for rows in spans(height, side, halo, stride) for columns in across]

    def features(self, part: Image, tile: Tile) -> tuple[Features, Mapping[str, Window]]:
        """Features of a tile's core, from the pixels of its window; and their indices in those of the picture."""
        whole = self.network_pass(part).features
        cores = {tap: tile.core(whole[tap], self.strides[tap]) for tap in self.taps}
        return {tap: core for tap, (core, _) in cores.items()}, {tap: window for tap, (_, window) in cores.items()}

    def sizes(self, image: Image) -> dict[str, tuple[int, int]]:
        """Height and width of each tap's features of the whole picture, which end where the last tile ends."""
        last = self.tiles[-1]
        _, windows = self.features(image[(..., *last.window)], last)
        return {tap: (rows.stop, columns.stop) for tap, (rows, columns) in windows.items()}


def bands(height: int, width: int, pixels: int = BAND) -> Iterator[tuple[slice, int]]:
    """Bands of rows, each with a sign, such that signed sums over pairs of neighbours add up to those of the picture.

    Neighbouring bands share a row, so that each vertical pair lies in a band. The pairs within that row are then
    counted twice, so the row itself is a band with sign -1.
    """
    tall = max(pixels // width, 1)
    for top in range(0, height, tall):
        yield slice(top, min(top + tall + 1, height)), 1
        if top + tall < height:
            yield slice(top + tall, top + tall + 1), -1


class TiledObjective:
    """An objective that is computed tile by tile.

    Args:
        whole: the objective; all of its terms must be additive.
        height: height of the pictures that it will be called with, pixels.
        width: width of these pictures, pixels.
        side: side of a tile's core, pixels.
    """

    def __init__(self, whole: Objective, height: int, width: int, side: int) -> None:
        self.whole = whole
        self.local = [
            f for f in whole.terms if f.term.source == "none"
        ]  # total variation: needs neighbours, but no network
        self.seen = [f for f in whole.terms if f.term.source != "none"]
        taps = dict.fromkeys(tap for f in self.seen for tap in f.term.taps)
        self.tiling = Tiling(whole.backbone, taps, height, width, side)
        self.height, self.width = height, width

    def _pieces(self) -> list[tuple[Window, Callable[[Image], list[TermSums | None]]]]:
        """Windows of the picture, each with the function that computes its part of every term's sums."""
        pieces: list[tuple[Window, Callable[[Image], list[TermSums | None]]]] = []
        if self.seen:
            pieces += [(tile.window, partial(self._of_tile, tile)) for tile in self.tiling.tiles]
        if self.local:
            across = slice(0, self.width)
            found = bands(self.height, self.width)
            pieces += [((rows, across), partial(self._of_band, rows, sign)) for rows, sign in found]
        return pieces

    def losses(self, x: Image, step: int = 0) -> dict[str, Float[Tensor, "b"]]:
        """Distance of every term in its unit, by name, without the weights."""
        return self._losses(run_to_end(self._sums(x.detach())), step, x.dtype)

    def total(self, losses: Mapping[str, Tensor]) -> Float[Tensor, "b"]:
        """The weighted sum of the losses."""
        return self.whole.total(losses)

    def __call__(self, x: Image, step: int) -> Evaluation:
        return run_to_end(self.in_parts(x, step))

    @in_mode(torch.no_grad)
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

    @in_mode(torch.no_grad)
    def _sums(self, x: Image) -> InParts[list[TermSums]]:
        sums: list[TermSums | None] = [None] * len(self.whole.terms)
        pieces = self._pieces()
        for number, (window, measure) in enumerate(pieces, start=1):
            sums = [_added(old, new) for old, new in zip(sums, measure(x[(..., *window)]), strict=True)]
            yield PartDone(number, 2 * len(pieces))
        return [parts for parts in sums if parts is not None]  # every term is measured on some piece

    def _losses(self, sums: Sequence[TermSums], step: int, kind: torch.dtype) -> dict[str, Tensor]:
        found = zip(self.whole.terms, sums, strict=True)
        return {f.name: (_value(f, parts, step) / f.unit).to(kind) for f, parts in found}

    def _of_tile(self, tile: Tile, part: Image) -> list[TermSums | None]:
        features, windows = self.tiling.features(part, tile)
        out: list[TermSums | None] = []
        for f in self.whole.terms:
            if f.term.source == "none":
                out.append(None)
                continue
            window = windows[f.term.taps[0]]
            measured = f.term.measure(features, _cropped(f.mask, window))
            if isinstance(f.term, Pointwise):
                measured = f.term.errors(measured, _cropped(f.target, window))
            out.append(measured)
        return out

    def _of_band(self, rows: slice, sign: int, part: Image) -> list[TermSums | None]:
        return [
            _signed(f.term.measure({"image": part}, _cropped(f.mask, (rows, slice(None)))), sign)
            if f.term.source == "none"
            else None
            for f in self.whole.terms
        ]


@in_mode(torch.no_grad)
def measure_in_tiles(backbone: Backbone, image: Image, wanted: MaskedTerms, *, side: int) -> InParts[list[Measured]]:
    """Measure each term on a picture, tile by tile. A pointwise term needs the features of all positions."""
    height, width = image.shape[-2:]
    tiling = Tiling(backbone, dict.fromkeys(tap for term, _ in wanted for tap in term.taps), height, width, side)
    sizes = tiling.sizes(image)
    brought: dict[tuple[int, tuple[int, int]], Mask | None] = {}
    masks = []
    for term, mask in wanted:  # a mask that several terms share is resized once
        key = id(mask), sizes[term.taps[0]]
        if key not in brought:
            brought[key] = at_tap(mask, *sizes[term.taps[0]])
        masks.append(brought[key])
    maps: dict[str, Tensor] = {}
    sums: list[Any] = [None] * len(wanted)
    for number, tile in enumerate(tiling.tiles, start=1):
        features, windows = tiling.features(image[(..., *tile.window)], tile)
        for index, ((term, _), mask) in enumerate(zip(wanted, masks, strict=True)):
            tap = term.taps[0]
            if term.source == "none":
                continue
            if not isinstance(term, Pointwise):
                sums[index] = _added(sums[index], term.measure(features, _cropped(mask, windows[tap])))
                continue
            if tap not in maps:
                shape = (*features[tap].shape[:2], *sizes[tap])
                kind = features[tap].dtype
                maps[tap] = torch.empty(shape, dtype=kind, device=image.device, memory_format=torch.channels_last)
            maps[tap][(..., *windows[tap])] = features[tap]
        yield PartDone(number, len(tiling.tiles))
    for index, ((term, _), mask) in enumerate(zip(wanted, masks, strict=True)):
        if isinstance(term, Pointwise):
            sums[index] = term.measure(maps, mask)
        elif term.source == "none":
            for rows, sign in bands(height, width):
                part = term.measure({"image": image[..., rows, :]}, _cropped(mask, (rows, slice(None))))
                sums[index] = _added(sums[index], _signed(part, sign))
    return [Measured(value, mask) for value, mask in zip(sums, masks, strict=True)]


def check_tiles(
    backbone: Backbone, taps: Collection[str], formulas: Formulas = Formulas(), extra: Sequence[AnyWeightedTerm] = ()
) -> None:
    """Raise unless all losses and the network can be computed in tiles.

    Raises:
        SpecError: one of them cannot; the message names it.
    """
    instead = "leave out `memory`, or choose a smaller `size`"
    if formulas.balance_gradients:
        raise SpecError(f"balanced gradients need the picture as a whole; leave out `balance_gradients`, or {instead}")
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
        raise SpecError(f"smoothing (`smooth`) needs the picture as a whole; switch it off, {instead}")
    if not _is_local(backbone, taps):
        raise SpecError(f"network {backbone.name} needs the picture as a whole; use another `network`, {instead}")


def _additive(make: Make, formulas: Formulas) -> bool:
    return make("image", formulas.scale, formulas.draws).additive


@torch.no_grad()
def _is_local(backbone: Backbone, taps: Collection[str]) -> bool:
    """Whether the tiles of a small test picture have the same features as the whole picture.

    They differ if a layer of the network is global, or if its strides are not aligned.
    """
    stride, halo = stride_and_radius(backbone, taps)
    side = -(-(halo + 1) // stride) * stride  # larger than the halo, so that a window is not the whole picture
    height, width = 2 * side + stride // 2 + 1, max(backbone.smallest, 2 * stride + 1)
    parameter = next(backbone.parameters(), torch.empty(0))
    noise = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0))
    fading = (noise * torch.linspace(1, 0.1, height).view(-1, 1)).to(parameter.device)  # two halves that differ
    far = max(1e-3, 4 * torch.finfo(parameter.dtype).eps)
    for image in (fading, fading.transpose(2, 3).contiguous()):
        whole = backbone(image, taps)
        tiling = Tiling(backbone, taps, image.shape[2], image.shape[3], side)
        for tile in tiling.tiles:
            features, windows = tiling.features(image[(..., *tile.window)], tile)
            for tap, part in features.items():
                same = whole[tap][(..., *windows[tap])]
                if same.shape != part.shape or (part - same).float().norm() > far * same.float().norm():
                    return False
        if any(tiling.sizes(image)[tap] != tuple(whole[tap].shape[-2:]) for tap in taps):
            return False
    return True


def _cropped(map_: Tensor | None, window: Window) -> Any:
    return None if map_ is None else map_[(..., *window)]


def _value(f: AnyWeightedTerm, sums: TermSums, step: int) -> Tensor:
    if isinstance(f.term, Pointwise):
        return f.term.value(sums, f.target)
    return f.term.distance(sums, f.target, step)


def _added(old: TermSums | None, new: TermSums | None) -> TermSums | None:
    """Add the sums of two tiles, in fp64 if the device has it, because there may be thousands of tiles."""
    if new is None:
        return old
    new = _made(new, [widened(part) for part in new])
    return new if old is None else _made(old, [a + b for a, b in zip(old, new, strict=True)])


def _signed(sums: TermSums, sign: int) -> TermSums:
    return _made(sums, [sign * part for part in sums])


def _made(like: TermSums, parts: Sequence[Tensor]) -> TermSums:
    """A tuple of the same type as ``like``, which may be a named tuple."""
    return getattr(like, "_make", tuple)(parts)
