"""Memory that a run needs at each size, as a whole and in tiles, and the choice between the two."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from artune.backbones.base import stride_and_radius
from artune.backbones.circular import margin_of
from artune.backbones.network import Network
from artune.errors import ResourceError, SpecError
from artune.images.picture import Picture
from artune.images.resize import WRAPS, fitted
from artune.losses.tiled import check_tiles
from artune.machine import OVERHEAD, device_memory_free
from artune.spec.style import bytes_of
from artune.transfer.canvas import painter_bytes
from artune.transfer.objective import formulas_of
from artune.transfer.plan import OptimisePlan, Plan, ResolvedOptimise
from artune.transfer.rates import optimiser_of
from artune.transfer.sizes import painting_size

PROCESS_BYTES = 2**30
"""Bytes of a process with PyTorch and a network but no picture, and of freed memory that the C library keeps."""
TILE_SIDES = range(2048, 0, -128)
"""Possible sides of tiles, pixels, from the largest: the larger the tile, the smaller the share of its halo."""
USUAL_TILE_SIDE = 1024
"""Largest side of tiles if `memory` is not given, pixels."""
SMALLEST_SIZE = 32
"""Smallest longer side, pixels, that is suggested instead of a size that does not fit."""
MASK_BYTES = 16
"""Bytes per pixel of a region's masks at all taps. A step on the picture as a whole takes twice as much."""


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that one size needs, without those of the process.

    Attributes:
        whole: bytes if the size is computed as a whole.
        fixed: bytes in tiles that do not depend on the side of the tiles.
        between: bytes while the picture of the size before is enlarged, or painted, when no features are held.
        per_pixel: bytes in tiles for each pixel of a tile and its halo.
        halo: width of a tile's halo, pixels.
    """

    whole: float
    fixed: float
    between: float
    per_pixel: float
    halo: int

    def tiled(self, side: int) -> float:
        """Bytes if the size is computed in tiles of this side."""
        return max(self.fixed + self.per_pixel * (side + 2 * self.halo) ** 2, self.between)

    def side(self, limit: float) -> int | None:
        """Largest side of tiles that needs at most ``limit`` bytes; ``None`` if there is none."""
        return next((side for side in TILE_SIDES if self.tiled(side) <= limit), None)


class MemoryBudget:
    """Memory that a run has and needs.

    Args:
        plan: the plan of the run.
        photograph: the photograph as it was read.
        paintings: all paintings as they were read.
        network: the loss network.
        masks: number of regions with a mask.
    """

    def __init__(
        self,
        plan: OptimisePlan,
        photograph: Picture,
        paintings: Sequence[Picture],
        network: Network,
        masks: int = 0,
    ) -> None:
        self.plan, self.network, self.masks = plan, network, masks
        self.photograph, self.paintings = photograph, paintings
        self.taps = [tap for tap in plan.method.taps if tap != "image"]

    def need(self, longer: int) -> MemoryNeed:
        """Bytes that a size with this longer side needs."""
        method, infos, itemsize = self.plan.method, self.network.backbone.taps, self.network.dtype.itemsize
        width, height = fitted(*self.photograph.size, longer)
        pixels, scale = width * height, self.plan.style_scale
        wraps, beyond = WRAPS[self.plan.tile], 2 * margin_of(self.network.backbone, self.taps)
        seen = (width + beyond * wraps.across) * (height + beyond * wraps.down)
        painted = sum(math.prod(painting_size(painting, longer, scale)) for painting in self.paintings)
        values = max((infos[tap].values for tap in self.taps), default=3.0)
        before = (seen + painted) * (values * itemsize + 36)  # all features, before the steps
        masks = pixels * MASK_BYTES * self.masks
        whole = max(seen * step_bytes(values, self.network.dtype, method), before) + 2 * masks
        maps = sum(infos[tap].channels / infos[tap].stride ** 2 for tap in method.content_layers if tap in infos)
        inputs = 12 * sum(math.prod(picture.size) for picture in (self.photograph, *self.paintings))
        copies = optimiser_of(method).copies.tiled
        fixed = pixels * (12 * copies + maps * itemsize) + masks + 12 * painted + inputs
        between = float(pixels * 12 * (copies + 1) + masks + inputs)
        if method.start == "instant":
            largest = max(math.prod(painting_size(painting, longer, scale)) for painting in self.paintings)
            painter = painter_bytes(pixels, largest, self.masks)
            whole, between = max(whole, painter), max(between, painter + inputs)
        halo = stride_and_radius(self.network.backbone, self.taps)[1]
        return MemoryNeed(whole, fixed, between, 2.5 * values * itemsize + 72, halo)

    def fits(self) -> bool:
        """Whether the memory that is free holds all sizes as a whole."""
        return self.plan.memory != "all" or self._largest().whole <= self._free()

    def of_whole(self) -> str:
        """The ``memory`` that holds all sizes as a whole."""
        return f"{math.ceil((self._largest().whole + PROCESS_BYTES) / 2**20)}MiB"

    def _largest(self) -> MemoryNeed:
        return self.need(max(rung.size for rung in self.plan.method.rungs))

    def _free(self) -> float:
        return device_memory_free(self.network.device) - OVERHEAD

    def limit(self) -> int:
        """Bytes of the plan's ``memory``, without those of the process."""
        return bytes_of(self.plan.memory) - PROCESS_BYTES

    def side(self, longer: int) -> int | None:
        """Side of the tiles in which a size is computed; ``None`` if it is computed as a whole.

        It follows from the plan alone, not from the memory that is free, so that a resumed run gives the same bits.

        Raises:
            ResourceError: the plan's ``memory`` is too small even for the smallest tiles.
        """
        if self.plan.memory == "all":
            return None
        need = self.need(longer)
        if need.whole <= self.limit():
            return None
        side = need.side(self.limit())
        if side is None:
            least, how = min((need.tiled(TILE_SIDES[-1]), "in the smallest tiles"), (need.whole, "as a whole"))
            raise ResourceError(
                f"{self._shape(longer)} pixels need {math.ceil((least + PROCESS_BYTES) / 2**20)}MiB {how}, "
                f"and `memory` is {self.plan.memory}; give more `memory`, or choose a smaller `size`"
            )
        return side

    def checked(self, *, resumed: bool = False) -> OptimisePlan:
        """The plan, with ``memory`` set if the machine cannot hold the last size as a whole.

        Args:
            resumed: whether the run has begun: ``memory`` is then as it was, because the choice changes the bits.

        Raises:
            SpecError: the plan's ``memory`` is enough for tiles only, but a loss or the network needs the whole
                picture.
            ResourceError: a size does not fit; the message names the largest one that does.
        """
        sizes = [rung.size for rung in reversed(self.plan.method.rungs)]  # from the largest, which an error is to name
        free = self._free()
        if self.plan.memory != "all":
            if any(self.need(size).whole > self.limit() for size in sizes):
                self.check_tiling()
            sides = [self.side(size) for size in sizes]
            for size, side in zip(sizes, sides, strict=True):
                needed = self.need(size).whole if side is None else self.need(size).tiled(side)
                self._check_free(needed, size, free, resumed)
            return self.plan
        need = self.need(max(sizes))
        if need.whole > free and not resumed and self._can_tile():
            side = need.side(min(free, need.tiled(USUAL_TILE_SIDE)))
            if side is not None:
                return self.plan.with_memory(f"{math.ceil((need.tiled(side) + PROCESS_BYTES) / 2**20)}MiB")
        self._check_free(need.whole, max(sizes), free, resumed)
        return self.plan

    def check_tiling(self) -> None:
        """Raise if a loss or the network needs the picture as a whole.

        Raises:
            SpecError: one of them does; the message names it.
        """
        method = self.plan.method
        for name in ("photoreal", "photoreal_smoothing"):
            if getattr(method, name):
                raise SpecError(
                    f"`{name}` needs the picture as a whole; leave it out, leave out `memory`, or choose a smaller "
                    "`size`"
                )
        if self.plan.tile != "none":
            raise SpecError(
                "`tile` needs the picture as a whole; leave it out, leave out `memory`, or choose a smaller `size`"
            )
        check_tiles(self.network.backbone, self.taps, formulas_of(self.plan))

    def _can_tile(self) -> bool:
        try:
            self.check_tiling()
        except SpecError:
            return False
        return True

    def _check_free(self, needed: float, longer: int, free: float, resumed: bool) -> None:
        if needed <= free:
            return
        message = (
            f"{self._shape(longer)} pixels need about {_gib(needed + OVERHEAD)}, {_gib(free + OVERHEAD)} are free; "
        )
        if resumed:
            raise ResourceError(message + "give the run as much memory as it began with, or start anew")
        smaller = longer
        tiles = self._can_tile()
        while smaller >= SMALLEST_SIZE:
            need = self.need(smaller)
            if need.whole <= free or (tiles and need.side(free)):
                break
            smaller = int(smaller * 0.95)
        raise ResourceError(message + (f"`size` {smaller} fits" if smaller >= SMALLEST_SIZE else "no size fits"))

    def _shape(self, longer: int) -> str:
        width, height = fitted(*self.photograph.size, longer)
        return f"{width}x{height}"


def check_fits(plan: Plan, needed: float, device: torch.device) -> None:
    """Raise unless a size fits into the memory as the method computes it.

    Args:
        plan: the plan of the run.
        needed: bytes of the run, without those of the process.
        device: where it runs.

    Raises:
        ResourceError: it does not fit.
    """
    free = device_memory_free(device) - OVERHEAD
    if needed > free:
        raise ResourceError(
            f"a result of `size` {plan.size} needs about {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are "
            "free; choose a smaller `size`"
        )
    least = needed + PROCESS_BYTES
    if plan.memory != "all" and least > bytes_of(plan.memory):
        raise ResourceError(
            f"a result of `size` {plan.size} needs {math.ceil(least / 2**20)}MiB, and `memory` is "
            f"{plan.memory}; give more `memory`, or choose a smaller `size`"
        )


def step_bytes(values: float, dtype: torch.dtype, method: ResolvedOptimise) -> float:
    """Peak bytes of a step per pixel of the picture: activations and their gradients, the picture and its copies."""
    bytes_per_pixel = 2.2 * values * dtype.itemsize + 12 * optimiser_of(method).copies.whole  # 3 channels of 4 bytes
    if method.photoreal or method.photoreal_smoothing:
        bytes_per_pixel += 900  # 25 entries of the Laplacian, in double and in single precision
    return bytes_per_pixel


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
