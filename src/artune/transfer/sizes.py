"""Which sizes are computed with how many steps, the size of the paintings beside them, and what a network takes."""

from collections.abc import Sequence
from itertools import count, takewhile

from artune.backbones.network import Network
from artune.errors import SpecError
from artune.images.picture import Picture
from artune.spec.style import LARGEST, Optimise, Quality, Rung, StyleSpec

STEPS: dict[Quality, tuple[int, int, int]] = {
    "draft": (30, 20, 12),
    "normal": (50, 36, 34),
    "best": (200, 120, 120),
}
"""Steps at the first size, at those between, and at a last one of 512 pixels."""


def planned(method: Optimise, size: int, smallest: int = 1) -> tuple[Rung, ...]:
    """Sizes from small to large, and their steps: the method's own, in proportion, or by its rule.

    Args:
        method: as it was asked for.
        size: longer side of the result, pixels.
        smallest: longer side below which the network does not take the picture.
    """
    if method.rungs is not None:
        return in_proportion(method.rungs, size, method.steps)
    sizes = _sizes_to(size, method.size_factor, max(method.smallest_size, smallest)) if method.pyramid else [size]
    counts = _steps_by_quality(sizes, method.quality)
    if method.size_steps:
        first, between, last = method.size_steps
        counts = [first, *[between] * (len(sizes) - 2), last] if len(sizes) > 1 else [max(first, last)]
    if method.steps is not None:
        counts = divided(method.steps, counts)
    return tuple(Rung(size=side, steps=count) for side, count in zip(sizes, counts, strict=True))


def _sizes_to(size: int, factor: float, least: int) -> list[int]:
    """Sizes up to the last one, from at least ``least`` on."""
    sizes = [size]
    if factor == 2:
        while sizes[0] / 2 >= least:
            sizes.insert(0, round(sizes[0] / 2))
        return sizes
    # not each from the one after it: 512 in steps of the root of 2 has to begin at 128
    smaller = takewhile(lambda side: side >= least, (round(size / factor**power) for power in count(1)))
    return sorted({size, *smaller})


def _steps_by_quality(sizes: Sequence[int], quality: Quality) -> list[int]:
    first, between, last = STEPS[quality]
    # Fine texture comes at the last size alone. Whatever that is, it gets the steps that take as long as those at 512,
    # but at least half and at most eight times as many. The sizes before a large one only prepare it, so they get
    # fewer. Above 2048 the strokes are there already, and the painting's grain is too small to be seen: twice the size
    # gets half the steps.
    size = sizes[-1]
    final = round(last * min(max((512 / size) ** 1.5, 0.5), 8) * min(2048 / size, 1.0))
    if len(sizes) == 1:
        return [final]
    return [first, *(round(between * min(1.0, 256 / side)) for side in sizes[1:-1]), final]


def divided(steps: int, counts: Sequence[int]) -> list[int]:
    """``steps`` divided in the proportions of ``counts``; their sum is ``steps``."""
    whole = sum(counts) or 1
    ends = [round(steps * sum(counts[: i + 1]) / whole) for i in range(len(counts))]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def in_proportion(rungs: Sequence[Rung], size: int, steps: int | None) -> tuple[Rung, ...]:
    """The given sizes brought in proportion to another last size, and their steps to another sum."""
    counts = [rung.steps for rung in rungs]
    counts = counts if steps is None else divided(steps, counts)
    sides = [max(1, round(rung.size * size / rungs[-1].size)) for rung in rungs]
    return tuple(Rung(size=side, steps=count) for side, count in zip(sides, counts, strict=True))


def fitted(width: int, height: int, longer: int) -> tuple[int, int]:
    """Width and height at a given longer side, in proportion, at least 1."""
    scale = longer / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def check_sizes(spec: StyleSpec, photograph: Picture, network: Network) -> None:
    """Raise if a size of a resolved spec is below what the network takes."""
    backbone = network.backbone
    for rung in spec.method.rungs or ():
        width, height = fitted(*photograph.size, rung.size)
        if min(width, height) < backbone.smallest:
            least = -(-backbone.smallest * max(photograph.size) // min(photograph.size))
            last = (spec.method.rungs or ())[-1].size
            longer = -(-least * last // rung.size)  # sizes are in proportion
            shape = f"{photograph.size[0]}x{photograph.size[1]}"
            at = f"at size {last}" if rung.size == last else f"at {rung.size}, the first of the sizes before {last},"
            raise SpecError(
                f"a {shape} picture {at} is {width}x{height} pixels; network {network.name} needs "
                f"at least {backbone.smallest} on the shorter side: "
                + (f"--size {longer} or more" if longer <= LARGEST else "crop it to a shape that is less long")
            )


def painting_size(painting: Picture, rung: Rung, spec: StyleSpec) -> tuple[int, int]:
    """Width and height of a painting beside a result. It is never enlarged: its style would become smooth."""
    longer = max(min(round(rung.size * spec.style_scale), max(painting.size)), 1)
    return fitted(*painting.size, longer)
