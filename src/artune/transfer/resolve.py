"""From what the user said to a spec in which every choice is made."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from artune.errors import SpecError
from artune.spec import Optimise, Scale, StyleSpec
from artune.transfer.sizes import plan

# more on the shallow ones: fine texture comes nearer, and strokes, which are many taps' work, stay as near
STYLE_TAPS = {"relu1_1": 2.0, "relu2_1": 3.0, "relu3_1": 1.0, "relu4_1": 1.0, "relu5_1": 1.0}

BALANCE = {
    "w2": 8.0,
    "gram": 8.0,
    "moments": 30.0,
    "sliced": 30.0,
    "histogram": 30.0,
    "nearest": 8.0,
    "remd": 10.0,
    "mrf": 5.0,
}
"""Style weight over content weight at strength 0.5: the content is then about as far away as with w2
(``docs/losses.md``)."""


@dataclass(frozen=True)
class Recipe:
    """What was found best for a network, by experiment (``docs/quality.md``).

    Attributes:
        content: content taps and their weights.
        style: style taps and their weights.
        balance: style weight over content weight at strength 0.5, per style loss.
        smooth: softmax over the activations.
        tv: weight of total variation at strength 1; it falls with the strength.
        rate: step size of Adam.
        average: decay of the average of the iterates.
    """

    content: Mapping[str, float] = field(default_factory=lambda: {"relu4_1": 1.0})
    style: Mapping[str, float] = field(default_factory=lambda: dict(STYLE_TAPS))
    balance: Mapping[str, float] = field(default_factory=lambda: dict(BALANCE))
    smooth: bool = False
    tv: float = 0.1
    rate: float = 0.03
    average: float = 0.95

    def balance_of(self, losses: Mapping[str, float]) -> float:
        """Style weight over content weight at strength 0.5, of several losses with their weights."""
        return sum(weight * self.balance[loss] for loss, weight in losses.items()) / sum(losses.values())


RECIPES: dict[str, Recipe] = {}
"""Networks that need another recipe than the one that was found for VGG-19's layers and whatever stands for them."""

GENTLE = 0.1
"""Strength below which steps shorten, to nothing at 0."""
LBFGS_RATE = 0.02
"""First move of L-BFGS, root mean square, in units of the pixel range."""
STARTS = ("content", "noise", "style")
"""Starts that need no file."""
LITERATURE: dict[Scale, tuple[float, float]] = {"tutorial": (1.0, 1e6), "gatys": (1.0, 1e3)}
"""Weights of content and style in the units of the literature, where the user gives none: those of PyTorch's tutorial,
and alpha / beta of Gatys 2016. There are no usual ones for ``raw``."""


def resolve(
    spec: StyleSpec, content_size: tuple[int, int], styles: int, *, device: str, precision: str, smallest: int = 1
) -> StyleSpec:
    """The same spec with every ``None``, ``auto`` and ``original`` replaced.

    Args:
        spec: what was asked for.
        content_size: width and height of the photograph.
        styles: how many style pictures there are.
        device: where it will run.
        precision: of the activations there.
        smallest: shortest side that the network takes.

    Raises:
        SpecError: when the number of style weights is not that of the styles.
    """
    method = spec.method
    recipe = RECIPES.get(method.network, Recipe())
    longer = max(content_size)
    size = longer if spec.size == "original" else spec.size
    if not spec.enlarge:
        size = min(size, longer)
    if method.rungs and method.rungs[-1].size != size and "rungs" in spec.automatic:
        method = method.model_copy(update={"rungs": None, **({"steps": None} if "steps" in spec.automatic else {})})
    if spec.style_weights is not None and len(spec.style_weights) != styles and "style_weights" in spec.automatic:
        spec = spec.model_copy(update={"style_weights": None})
    rungs = method.rungs or plan(size, method.quality, method.steps, math.ceil(smallest * longer / min(content_size)))
    if rungs[-1].size != size:
        raise SpecError(f"the last rung has size {rungs[-1].size}, the picture {size}; make them equal")
    if spec.style_weights is not None and len(spec.style_weights) != styles:
        raise SpecError(f"{len(spec.style_weights)} style weights for {styles} styles; give one for each")
    weights = spec.style_weights or (1.0,) * styles
    whole = math.fsum(weights)
    if abs(whole - 1) > 1e-9:  # shares stay what they are, to the bit
        weights = tuple(weight / whole for weight in weights)
    stated = method.content_weight is not None and method.style_weight is not None
    if stated and not {"content_weight", "style_weight"} & {*spec.automatic} and spec.strength != StyleSpec().strength:
        raise SpecError(
            "content_weight and style_weight are both given, and leave nothing to strength; leave out either"
        )
    content, style = side_weights(method, spec.strength, recipe)
    tv = recipe.tv * spec.strength if method.tv is None else method.tv
    if not (content or style or tv):
        raise SpecError("all weights are 0; give the content, the style or the total variation one above 0")
    filled = method.model_copy(
        update={
            "content_layers": dict(method.content_layers or recipe.content),
            "style_layers": dict(method.style_layers or usual_layers(method.scale, recipe)),
            "smooth": recipe.smooth if method.smooth is None else method.smooth,
            "content_weight": content,
            "style_weight": style,
            "tv": tv,
            "start": method.start if method.start in STARTS else "file",
            "rate": method.rate or usual_rate(spec, recipe),
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
            "region_strengths": spec.region_strengths or (),
            "automatic": tuple(sorted({*spec.automatic, *open_fields(spec)})),
            "device": device,
            "precision": precision,
        }
    )


def open_fields(spec: StyleSpec) -> set[str]:
    """What the user left to be chosen."""
    fields = {**spec.method.model_dump(), **spec.model_dump()}
    return {name for name, value in fields.items() if value is None or value == "auto"}


def usual_rate(spec: StyleSpec, recipe: Recipe) -> float:
    """The recipe's step size; shorter near the photograph, for steps do not shorten by themselves with the gradient."""
    rate = recipe.rate if spec.method.optimiser == "adam" else LBFGS_RATE
    if spec.method.start == "content" and spec.method.scale == "calibrated":
        rate *= max(min(1.0, spec.strength / GENTLE), 1e-9)
    return rate


def usual_layers(scale: Scale, recipe: Recipe) -> Mapping[str, float]:
    """The recipe's style layers; for Gatys 2016 with weights that sum to 1."""
    if scale != "gatys":
        return recipe.style
    return {tap: weight / sum(recipe.style.values()) for tap, weight in recipe.style.items()}


def side_weights(method: Optimise, strength: float, recipe: Recipe) -> tuple[float, float]:
    """Weights of content and style: ``1 - s`` and ``k s``, so that their ratio is ``k s / (1 - s)``."""
    if method.scale == "calibrated":
        content, style = 1 - strength, recipe.balance_of(method.loss) * strength
    else:
        if method.scale == "raw" and None in (method.content_weight, method.style_weight):
            raise SpecError("scale raw has no usual weights; give --content-weight and --style-weight")
        content, style = LITERATURE.get(method.scale, (0.0, 0.0))
    if method.content_weight is not None:
        content = method.content_weight
    if method.style_weight is not None:
        style = method.style_weight
    return content, style
