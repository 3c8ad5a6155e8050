"""From what the user said to a spec in which every choice is made."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from artune.errors import SpecError
from artune.spec import Optimise, Quality, Rung, StyleSpec

STYLE_TAPS = {f"relu{block}_1": 1.0 for block in range(1, 6)}


@dataclass(frozen=True)
class Recipe:
    """What was found best for a network, by experiment (``docs/quality.md``).

    Attributes:
        content: content taps and their weights.
        style: style taps and their weights.
        balance: style weight over content weight at strength 0.5, per style loss.
        tv: weight of total variation at strength 1; it falls with the strength.
        rate: step size of Adam.
        average: decay of the average of the iterates.
    """

    content: Mapping[str, float] = field(default_factory=lambda: {"relu4_1": 1.0})
    style: Mapping[str, float] = field(default_factory=lambda: dict(STYLE_TAPS))
    balance: Mapping[str, float] = field(default_factory=lambda: {"w2": 4.0, "gram": 4.0})
    tv: float = 0.2
    rate: float = 0.03
    average: float = 0.95


RECIPES: dict[str, Recipe] = {
    "compact": Recipe(),
    "vgg19": Recipe(),
    "vgg19-emulator": Recipe(),
}

# Steps at the first size, at those up to 256 pixels, and at those above, where only the finest strokes are new.
STEPS: dict[Quality, tuple[int, int, int]] = {
    "draft": (30, 20, 8),
    "normal": (60, 40, 25),
    "best": (200, 120, 80),
}
SMALLEST_RUNG = 128
STARTS = ("content", "noise", "style")
"""Starts that need no file."""
LITERATURE = {"content": 1.0, "style": 1e6}
"""Weights in the units of the literature, where the user gives none: those of PyTorch's tutorial."""


def plan(size: int, quality: Quality, steps: int | None) -> tuple[Rung, ...]:
    """Sizes from small to large, each twice the one before, and their steps.

    Args:
        size: longer side of the result, pixels.
        quality: of ``STEPS``.
        steps: total over all sizes; divided as the quality divides them.
    """
    sizes = [size]
    while sizes[-1] / 2 >= SMALLEST_RUNG * 0.75:
        sizes.append(round(sizes[-1] / 2))
    first, later, large = STEPS[quality]
    counts = [first if i == 0 else later if side <= 256 else large for i, side in enumerate(reversed(sizes))]
    if steps is not None:
        whole = sum(counts)
        ends = [round(steps * sum(counts[: i + 1]) / whole) for i in range(len(counts))]
        counts = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    return tuple(Rung(size=side, steps=count) for side, count in zip(reversed(sizes), counts, strict=True))


def fitted(width: int, height: int, longer: int) -> tuple[int, int]:
    """Width and height at a given longer side, in proportion, at least 1."""
    scale = longer / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def resolve(spec: StyleSpec, content_size: tuple[int, int], styles: int, *, device: str, precision: str) -> StyleSpec:
    """The same spec with every ``None``, ``auto`` and ``original`` replaced.

    Args:
        spec: what was asked for.
        content_size: width and height of the photograph.
        styles: how many style pictures there are.
        device: where it will run.
        precision: of the activations there.

    Raises:
        SpecError: when the number of style weights is not that of the styles.
    """
    method = spec.method
    recipe = RECIPES.get(method.network, Recipe())
    longer = max(content_size)
    size = longer if spec.size == "original" else spec.size
    if not spec.enlarge:
        size = min(size, longer)
    rungs = method.rungs or plan(size, method.quality, method.steps)
    if rungs[-1].size != size:
        raise SpecError(f"the last rung has size {rungs[-1].size}, the picture {size}; make them equal")
    if spec.style_weights is not None and len(spec.style_weights) != styles:
        raise SpecError(f"{len(spec.style_weights)} style weights for {styles} styles; give one for each")
    weights = spec.style_weights or (1.0,) * styles
    whole = math.fsum(weights)
    if abs(whole - 1) > 1e-9:  # shares stay what they are, to the bit
        weights = tuple(weight / whole for weight in weights)
    content, style = side_weights(method, spec.strength, recipe)
    tv = recipe.tv * spec.strength if method.tv is None else method.tv
    if not (content or style or tv):
        raise SpecError("all weights are 0; give the content, the style or the total variation one above 0")
    filled = method.model_copy(
        update={
            "content_layers": dict(method.content_layers or recipe.content),
            "style_layers": dict(method.style_layers or recipe.style),
            "content_weight": content,
            "style_weight": style,
            "tv": tv,
            "start": method.start if method.start in STARTS else "file",
            "rate": method.rate or (recipe.rate if method.optimiser == "adam" else 0.02),
            "average": recipe.average if method.average is None else method.average,
            "steps": sum(rung.steps for rung in rungs),
            "rungs": rungs,
        }
    )
    return spec.model_copy(
        update={
            "method": filled,
            "size": size,
            "style_weights": weights,
            "device": device,
            "precision": precision,
        }
    )


def side_weights(method: Optimise, strength: float, recipe: Recipe) -> tuple[float, float]:
    """Weights of content and style: ``1 - s`` and ``k s``, so that their ratio is ``k s / (1 - s)``."""
    if method.scale == "calibrated":
        content, style = 1 - strength, recipe.balance[method.loss] * strength
    else:
        content, style = LITERATURE["content"], LITERATURE["style"]
    if method.content_weight is not None:
        content = method.content_weight
    if method.style_weight is not None:
        style = method.style_weight
    return content, style
