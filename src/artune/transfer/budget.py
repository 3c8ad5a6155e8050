"""What a size takes of the memory, as a whole and in tiles, and which of the two it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from artune.backbones.network import Network
from artune.errors import ResourceError, SpecError
from artune.images.picture import Picture
from artune.losses.objective import Formulas
from artune.losses.tiled import check_tiles, stride_and_halo
from artune.machine import OVERHEAD, device_memory_free
from artune.spec.style import Rung, bytes_of
from artune.transfer.plan import OptimisePlan, ResolvedOptimise
from artune.transfer.rates import optimiser_of
from artune.transfer.sizes import fitted, painting_size

PROCESS_BYTES = 896 * 2**20
"""Bytes of a process with PyTorch and a network, before any picture, and what the C library keeps of what was freed."""
TILE_SIDES = range(2048, 0, -128)
"""Sides of tiles, pixels; the larger, the less of them is halo."""
USUAL_TILE_SIDE = 1024
"""Side where the memory is the machine's."""
SMALLEST_SIZE = 32
"""Longer side, pixels, below which none is offered instead of one that does not fit."""
MASK_BYTES = 16
"""Bytes per pixel that a region takes in tiles: its mask at every tap. As a whole, a step makes as much again of it."""


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that one size takes, besides those of the process.

    Attributes:
        whole: computed as a whole.
        fixed: in tiles, whatever their side.
        per_pixel: for each pixel of a tile and its halo.
        halo: pixels around a tile.
    """

    whole: float
    fixed: float
    per_pixel: float
    halo: int

    def tiled(self, side: int) -> float:
        """In tiles of that side."""
        return self.fixed + self.per_pixel * (side + 2 * self.halo) ** 2

    def side(self, room: float) -> int | None:
        """The largest side of tiles that the room holds, if it holds any."""
        return next((side for side in TILE_SIDES if self.tiled(side) <= room), None)


class MemoryBudget:
    """What fits into the memory, of a run with these pictures and this network.

    Args:
        spec: resolved.
        photograph: as it was read.
        paintings: all of them, as they were read.
        network: that looks at them.
        masks: regions of the photograph.
    """

    def __init__(
        self,
        spec: OptimisePlan,
        photograph: Picture,
        paintings: Sequence[Picture],
        network: Network,
        masks: int = 0,
    ) -> None:
        self.spec, self.network, self.masks = spec, network, masks
        self.photograph, self.paintings = photograph, paintings
        method = spec.method
        self.taps = [tap for tap in method.taps if tap != "image"]

    def need(self, longer: int) -> MemoryNeed:
        """What the size with that longer side takes."""
        method, infos, itemsize = self.spec.method, self.network.backbone.taps, self.network.dtype.itemsize
        pixels = math.prod(fitted(*self.photograph.size, longer))
        rung = Rung(size=longer, steps=0)
        painted = sum(math.prod(painting_size(painting, rung, self.spec)) for painting in self.paintings)
        values = max((infos[tap].values for tap in self.taps), default=3.0)
        before = (pixels + painted) * (values * itemsize + 36)  # features of all, once
        masks = pixels * MASK_BYTES * self.masks
        whole = max(pixels * step_bytes(values, self.network.dtype, method), before) + 2 * masks
        maps = sum(infos[tap].channels / infos[tap].stride ** 2 for tap in method.content_layers if tap in infos)
        inputs = 12 * sum(math.prod(picture.size) for picture in (self.photograph, *self.paintings))
        fixed = pixels * (12 * optimiser_of(method).copies.tiled + maps * itemsize) + masks + 12 * painted + inputs
        return MemoryNeed(
            whole, fixed, 2.5 * values * itemsize + 72, stride_and_halo(self.network.backbone, self.taps)[1]
        )

    def available(self) -> int:
        """Bytes of the spec's memory, besides those of the process."""
        return bytes_of(self.spec.memory) - PROCESS_BYTES

    def side(self, longer: int) -> int | None:
        """Side of the tiles in which a size is computed; ``None`` where it is computed as a whole.

        It follows from the spec alone, so that a run that is resumed gives the same bits whatever is free by then.

        Raises:
            ResourceError: the spec's memory holds neither.
        """
        if self.spec.memory == "all":
            return None
        need = self.need(longer)
        if need.whole <= self.available():
            return None
        side = need.side(self.available())
        if side is None:
            least = math.ceil((need.tiled(TILE_SIDES[-1]) + PROCESS_BYTES) / 2**20)
            raise ResourceError(
                f"{self._shape(longer)} pixels need {least}MiB in the smallest tiles, "
                f"and memory is {self.spec.memory}; give more with --memory, or choose a smaller --size"
            )
        return side

    def checked(self) -> OptimisePlan:
        """The spec, with a memory to work in where the machine does not hold the last size as a whole.

        Raises:
            SpecError: the available memory holds tiles alone, and a loss or the network needs the whole.
            ResourceError: nothing fits; with the longest side that does.
        """
        sizes = [rung.size for rung in reversed(self.spec.method.rungs)]  # what the largest needs is told
        available = device_memory_free(self.network.device)
        free = math.inf if available is None else available - OVERHEAD
        if self.spec.memory != "all":
            if any(self.need(size).whole > self.available() for size in sizes):
                self.check_tiling()
            sides = [self.side(size) for size in sizes]
            for size, side in zip(sizes, sides, strict=True):
                self._check_free(self.need(size).whole if side is None else self.need(size).tiled(side), size, free)
            return self.spec
        need = self.need(max(sizes))
        if need.whole <= free:
            return self.spec
        side = need.side(min(free, need.tiled(USUAL_TILE_SIDE))) if self._can_tile() else None
        self._check_free(need.whole if side is None else need.tiled(side), max(sizes), free)
        assert side is not None  # what is too large as a whole was refused
        memory = f"{math.ceil((need.tiled(side) + PROCESS_BYTES) / 2**20)}MiB"
        automatic = tuple(sorted({*self.spec.automatic, "memory"}))
        return self.spec.model_copy(update={"memory": memory, "automatic": automatic})

    def check_tiling(self) -> None:
        """Raise if a loss or the network needs the picture as a whole.

        Raises:
            SpecError: naming it.
        """
        method = self.spec.method
        for name in ("photoreal", "photoreal_smoothing"):
            if getattr(method, name):
                flag = name.replace("_", "-")
                raise SpecError(
                    f"{flag} needs the picture as a whole; leave it out, leave out --memory, or choose a smaller --size"
                )
        formulas = Formulas(
            style=method.loss,
            content=method.content_loss,
            variation=method.variation,
            scale=method.scale,
            balance=method.balance_gradients,
        )
        check_tiles(self.network.backbone, self.taps, formulas)

    def _can_tile(self) -> bool:
        try:
            self.check_tiling()
        except SpecError:
            return False
        return True

    def _check_free(self, bytes_needed: float, longer: int, free: float) -> None:
        if bytes_needed <= free:
            return
        smaller = longer
        tiles = self._can_tile()
        while smaller >= SMALLEST_SIZE:
            need = self.need(smaller)
            if need.whole <= free or (tiles and need.side(free)):
                break
            smaller = int(smaller * 0.95)
        raise ResourceError(
            f"{self._shape(longer)} pixels need about {_gib(bytes_needed + OVERHEAD)}, {_gib(free + OVERHEAD)} are free; "
            + (f"--size {smaller} fits" if smaller >= SMALLEST_SIZE else "no size fits")
        )

    def _shape(self, longer: int) -> str:
        width, height = fitted(*self.photograph.size, longer)
        return f"{width}x{height}"


def step_bytes(values: float, dtype: torch.dtype, method: ResolvedOptimise) -> float:
    """Bytes per picture pixel at the peak of a step: activations with their gradients, the picture with its copies."""
    bytes_per_pixel = 2.2 * values * dtype.itemsize + 12 * optimiser_of(method).copies.whole  # 3 channels of 4 bytes
    if method.photoreal or method.photoreal_smoothing:
        bytes_per_pixel += 900  # 25 entries of the Laplacian, in double and as they are used
    return bytes_per_pixel


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
