"""Sizes: of the pyramid with its steps, of the paintings beside it, and what fits a network."""

from collections.abc import Sequence

from artune.backbones.network import Network
from artune.errors import SpecError
from artune.images.picture import Picture
from artune.spec.style import LARGEST, Quality, Rung, StyleSpec

# Steps at the first size, at those between, and at the last one of 512 pixels.
STEPS: dict[Quality, tuple[int, int, int]] = {
    "draft": (30, 20, 12),
    "normal": (50, 36, 34),
    "best": (200, 120, 120),
}
SMALLEST_RUNG = 128


def plan(
    size: int, quality: Quality, steps: int | None, smallest: int = 1, *, pyramid: bool = True
) -> tuple[Rung, ...]:
    """Sizes from small to large, each twice the one before, and their steps.

    Args:
        size: longer side of the result, pixels.
        quality: of ``STEPS``.
        steps: total over all sizes; divided as the quality divides them.
        smallest: longer side below which the network does not take the picture.
        pyramid: whether there are sizes before the last.
    """
    sizes = [size]
    while pyramid and sizes[-1] / 2 >= max(SMALLEST_RUNG * 0.75, smallest):
        sizes.append(round(sizes[-1] / 2))
    first, between, last = STEPS[quality]
    sizes.reverse()
    # Fine texture comes at the last size alone: it gets as many steps as fit in the same time whatever it is, within
    # half and eight times of those at 512. The sizes before a large one only prepare it; and of one above 2048, where
    # the strokes are there already and the painting's grain is out of sight, half the steps for twice the size.
    final = round(last * min(max((512 / size) ** 1.5, 0.5), 8) * min(2048 / size, 1.0))
    counts = [first, *(round(between * min(1.0, 256 / side)) for side in sizes[1:-1]), final]
    if len(sizes) == 1:
        counts = [final]
    if steps is not None:
        counts = divided(steps, counts)
    return tuple(Rung(size=side, steps=count) for side, count in zip(sizes, counts, strict=True))


def divided(steps: int, counts: Sequence[int]) -> list[int]:
    """So many steps in the proportions of ``counts``, none lost."""
    whole = sum(counts) or 1
    ends = [round(steps * sum(counts[: i + 1]) / whole) for i in range(len(counts))]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def in_proportion(rungs: Sequence[Rung], size: int, steps: int | None) -> tuple[Rung, ...]:
    """Sizes that end at another size, or steps of another sum, in the proportions of those given."""
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
    """Width and height of a painting beside a result; never enlarged: that would invent a smooth style."""
    longer = max(min(round(rung.size * spec.style_scale), max(painting.size)), 1)
    return fitted(*painting.size, longer)
