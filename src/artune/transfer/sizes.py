"""The sizes of a run and their steps, the sizes of the paintings, and the smallest size that a network accepts."""

from collections.abc import Sequence
from itertools import count, takewhile

from artune.backbones.network import Network
from artune.errors import SpecError
from artune.images.picture import Picture
from artune.images.resize import fitted
from artune.spec.style import LARGEST, Optimise, Quality, Rung

STEPS: dict[Quality, tuple[int, int, int]] = {
    "draft": (30, 20, 12),
    "normal": (50, 36, 34),
    "best": (200, 120, 120),
}
"""Steps at the first size, at each size between, and at the last size if that is 512 pixels."""
STEPS_AFTER_PAINTER: dict[Quality, tuple[int, int, int]] = {
    "draft": (3, 3, 4),
    "normal": (6, 6, 10),
    "best": (40, 40, 60),
}
"""The same if the painter has made the start."""


def planned(method: Optimise, size: int, least: int = 1) -> tuple[Rung, ...]:
    """Sizes and steps of a run, from small to large.

    They are those that the method gives, scaled to ``size``; or they follow from its rule.

    Args:
        method: the spec's method, as it was given.
        size: longer side of the result, pixels.
        least: smallest longer side that the network accepts, pixels.
    """
    if method.rungs is not None:
        return in_proportion(method.rungs, size, method.steps)
    sizes = _sizes_to(size, method.size_factor, max(method.smallest_size, least)) if method.pyramid else [size]
    counts = _steps_by_quality(sizes, (STEPS_AFTER_PAINTER if method.start == "instant" else STEPS)[method.quality])
    if method.size_steps:
        first, between, last = method.size_steps
        counts = [first, *[between] * (len(sizes) - 2), last] if len(sizes) > 1 else [max(first, last)]
    if method.steps is not None:
        counts = divided(method.steps, counts)
    return tuple(Rung(size=side, steps=count) for side, count in zip(sizes, counts, strict=True))


def _sizes_to(size: int, factor: float, least: int) -> list[int]:
    """Longer sides from at least ``least`` to ``size``, each ``factor`` times the one before."""
    sizes = [size]
    if factor == 2:
        while sizes[0] / 2 >= least:
            sizes.insert(0, round(sizes[0] / 2))
        return sizes
    # each is computed from the last size, so that rounding does not add up: 512 with a factor of sqrt(2) begins at 128
    smaller = takewhile(lambda side: side >= least, (round(size / factor**power) for power in count(1)))
    return sorted({size, *smaller})


def _steps_by_quality(sizes: Sequence[int], counts: tuple[int, int, int]) -> list[int]:
    first, between, last = counts
    # Fine texture appears at the last size only. This size gets as many steps as take the same time as those at 512,
    # but at least half as many and at most eight times as many. Large sizes before it only prepare it, so they get
    # fewer steps. Above 2048, strokes are finished and the painting's grain is too small to be seen, so twice the size
    # gets half the steps.
    size = sizes[-1]
    final = max(1, round(last * min(max((512 / size) ** 1.5, 0.5), 8) * min(2048 / size, 1.0)))
    if len(sizes) == 1:
        return [final]
    return [first, *(max(1, round(between * min(1.0, 256 / side))) for side in sizes[1:-1]), final]


def divided(steps: int, counts: Sequence[int]) -> list[int]:
    """Divide ``steps`` in proportion to ``counts``; the sum is exactly ``steps``."""
    whole = sum(counts) or 1
    ends = [round(steps * sum(counts[: i + 1]) / whole) for i in range(len(counts))]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def in_proportion(rungs: Sequence[Rung], size: int, steps: int | None) -> tuple[Rung, ...]:
    """Scale sizes to another last size, and their steps to another sum."""
    counts = [rung.steps for rung in rungs]
    counts = counts if steps is None else divided(steps, counts)
    sides = [max(1, round(rung.size * size / rungs[-1].size)) for rung in rungs]
    return tuple(Rung(size=side, steps=count) for side, count in zip(sides, counts, strict=True))


def least_size(shape: tuple[int, int], smallest: int) -> int:
    """Smallest longer side at which a picture of this shape has ``smallest`` pixels on its shorter side."""
    return -(-smallest * max(shape) // min(shape))


def check_sizes(rungs: Sequence[Rung], photograph: Picture, network: Network) -> None:
    """Raise if a size of a plan is too small for the network.

    Raises:
        SpecError: it is; the message names a size that is large enough.
    """
    backbone = network.backbone
    for rung in rungs:
        width, height = fitted(*photograph.size, rung.size)
        if min(width, height) < backbone.smallest:
            least = least_size(photograph.size, backbone.smallest)
            last = rungs[-1].size
            longer = -(-least * last // rung.size)  # sizes scale with the last one
            shape = f"{photograph.size[0]}x{photograph.size[1]}"
            at = f"at size {last}" if rung.size == last else f"at {rung.size}, the first size of a run to {last},"
            raise SpecError(
                f"a {shape} picture {at} is {width}x{height} pixels; network {network.name} needs "
                f"at least {backbone.smallest} on the shorter side: "
                + (f"give `size` {longer} or more" if longer <= LARGEST else "crop it to a less elongated shape")
            )


def painting_size(painting: Picture, size: int, style_scale: float) -> tuple[int, int]:
    """Width and height of a painting for one size. A painting is never enlarged, because its style would be blurred.

    Args:
        painting: the painting as it was read.
        size: longer side of the result, pixels.
        style_scale: longer side of the painting over that of the result.
    """
    longer = max(min(round(size * style_scale), max(painting.size)), 1)
    return fitted(*painting.size, longer)
