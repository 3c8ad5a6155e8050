"""The plan of a run: the spec with every choice made, and how each is made where the user left it open."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

from artune.backbones.base import Backbone
from artune.backbones.defaults import Defaults
from artune.backbones.registry import defaults_of
from artune.errors import SpecError, UnknownNameError
from artune.losses.terms import CONTENT_TERMS, STYLE_TERMS, VARIATIONS, balance_of
from artune.spec.style import Layers, Optimise, Rung, Scale, StyleSpec
from artune.transfer.rates import usual_rate
from artune.transfer.sizes import fitted, planned
from artune.transfer.start import STARTS

USUAL_STRENGTH = 0.5
"""Strength where neither the user nor a search chose one."""
LITERATURE: dict[Scale, tuple[float, float]] = {"tutorial": (1.0, 1e6), "gatys": (1.0, 1e3)}
"""Usual weights of content and style in the units of the literature: those of PyTorch's tutorial, and alpha / beta of
Gatys 2016. ``raw`` has none."""


class Plan(StyleSpec):
    """A resolved spec: every choice is made, so no field is ``None``, ``auto`` or ``original``.

    A method of making pictures has a plan of its own, in which its ``method`` is resolved too.
    """

    size: int
    """Longer side of the result, pixels."""
    strength: float
    """In [0, 1]."""
    style_weights: tuple[float, ...]
    """Proportions of the styles, with a sum of 1."""
    region_strengths: tuple[float, ...]
    """Strength in each region, in [0, 1]."""
    device: str
    """cpu, cuda, cuda:1, mps."""
    precision: Literal["fp32", "bf16"]
    """Of the network's activations."""

    def as_spec(self) -> StyleSpec:
        """The same as a spec, which can be asked for again."""
        return StyleSpec.model_validate(self.model_dump())


class ResolvedOptimise(Optimise):
    """Optimisation in the image, with every choice made."""

    smooth: bool
    """Whether activations are smoothed (SWAG)."""
    content_layers: Layers
    """Taps that keep the content, each with its weight."""
    style_layers: Layers
    """Taps that carry the style, each with its weight."""
    content_weight: float
    """Weight of the content side."""
    style_weight: float
    """Weight of the style side."""
    tv: float
    """Weight of total variation."""
    rate: float
    """Step size."""
    average: float
    """Decay of the average of the iterates."""
    steps: int
    """Steps over all sizes."""
    rungs: tuple[Rung, ...]
    """Sizes and their steps; at least one."""

    @property
    def taps(self) -> tuple[str, ...]:
        """All taps that the losses look at."""
        return tuple(dict.fromkeys((*self.content_layers, *self.style_layers)))


class OptimisePlan(Plan):
    """The plan of an optimisation in the image."""

    method: ResolvedOptimise

    def at(self, strength: float) -> tuple[float, float]:
        """Weights of content and style where the strength is another; those that were given hold everywhere."""
        chosen = [name for name in ("content_weight", "style_weight") if name in self.automatic]
        given: dict[str, Any] = {**self.method.model_dump(), **dict.fromkeys(chosen)}
        return side_weights(Optimise.model_validate(given), strength)


def resolve(
    spec: StyleSpec,
    content_size: tuple[int, int],
    styles: int,
    *,
    device: str,
    precision: Literal["fp32", "bf16"],
    smallest: int = 1,
    smooth: bool = False,
    recipe: Defaults | None = None,
    regions: Sequence[float | None] = (),
    strength: float | None = None,
) -> OptimisePlan:
    """The plan of an optimisation: the spec with every ``None``, ``auto`` and ``original`` replaced.

    Args:
        spec: what was asked for.
        content_size: width and height of the photograph.
        styles: how many style pictures there are.
        device: where it will run.
        precision: of the activations there.
        smallest: shortest side that the network takes.
        smooth: whether the network smooths its activations.
        recipe: of the network; default: by its name alone.
        regions: the strength that each region came with, if it did.
        strength: that of a spec that leaves it open; default: ``USUAL_STRENGTH``.

    Raises:
        UnknownNameError: there is no such loss.
        SpecError: when the number of style weights is not that of the styles, or that of strengths not of the regions.
    """
    method = spec.method
    _check_losses(method)
    _check_stated(spec, regions)
    fields = common_fields(spec, content_size, styles, regions, strength)
    own, size, strengths = fields["strength"], fields["size"], fields["region_strengths"]
    recipe = recipe or defaults_of(method.network)
    rungs = _rungs(spec, size, math.ceil(smallest * max(content_size) / min(content_size)))
    strongest = max([*strengths, *([own] if styles else [])], default=own)
    content, style = side_weights(method, own)
    tv = recipe.tv * (own if styles else strongest) if method.tv is None else method.tv
    if not (content or style or method.tv or strengths):
        raise SpecError("`content_weight` and `style_weight` are both 0; give one of them a value above 0")
    weight, pixels = content + style + tv, math.prod(fitted(*content_size, size))
    filled = {
        **method.model_dump(),
        "content_layers": method.content_layers or recipe.content,
        "style_layers": method.style_layers or usual_layers(method.scale, recipe),
        "smooth": smooth if method.smooth is None else method.smooth,
        "content_weight": content,
        "style_weight": style,
        "tv": tv,
        "start": method.start if method.start in STARTS else "file",
        "rate": method.rate or usual_rate(spec, recipe.rate, weight, pixels, strongest),
        "average": recipe.average if method.average is None else method.average,
        "steps": sum(rung.steps for rung in rungs),
        "rungs": rungs,
    }
    return OptimisePlan.model_validate(
        {**spec.model_dump(), **fields, "method": filled, "device": device, "precision": precision}
    )


def common_fields(
    spec: StyleSpec,
    content_size: tuple[int, int],
    styles: int,
    regions: Sequence[float | None] = (),
    strength: float | None = None,
) -> dict[str, Any]:
    """The fields of a ``Plan`` that are resolved alike for every method; the arguments are those of
    ``resolve``."""
    own = spec.strength
    if own == "auto":
        own = USUAL_STRENGTH if strength is None else strength
    longer = max(content_size)
    size = longer if spec.size == "original" else spec.size
    return {
        "size": size if spec.enlarge else min(size, longer),
        "strength": own,
        "style_weights": _style_weights(spec, styles),
        "region_strengths": _region_strengths(spec, own, regions),
        "automatic": tuple(sorted({*spec.automatic, *open_fields(spec)})),
    }


def _rungs(spec: StyleSpec, size: int, smallest: int) -> tuple[Rung, ...]:
    """Sizes and steps; those that were once chosen for another size are chosen anew."""
    method = spec.method
    if method.rungs and method.rungs[-1].size != size and "rungs" in spec.automatic:
        steps = None if "steps" in spec.automatic else method.steps
        method = method.model_copy(update={"rungs": None, "steps": steps})
    return planned(method, size, smallest)


def _style_weights(spec: StyleSpec, styles: int) -> tuple[float, ...]:
    """Proportions of the styles, with a sum of 1."""
    weights = spec.style_weights
    if weights is not None and len(weights) != styles:
        if not styles and "style_weights" not in spec.automatic:
            raise SpecError("style weights mix the styles of the rest, and there is none; leave them out")
        if "style_weights" not in spec.automatic:
            raise SpecError(f"{len(weights)} style weights for {styles} styles; give one for each")
        weights = None
    weights = weights or (1.0,) * styles
    whole = math.fsum(weights) or 1.0
    if abs(whole - 1) <= 1e-9:  # shares stay what they are, to the bit
        return weights
    return tuple(weight / whole for weight in weights)


def _region_strengths(spec: StyleSpec, whole: float, given: Sequence[float | None]) -> tuple[float, ...]:
    """The strength in each region: that which it came with, else the spec's for it, else that of all."""
    usual = spec.region_strengths
    if usual is not None and len(usual) != len(given):
        if "region_strengths" not in spec.automatic:
            raise SpecError(f"{len(usual)} region strengths for {len(given)} regions; give one for each")
        usual = None
    pairs = zip(given, usual or (whole,) * len(given), strict=True)
    strengths = tuple(other if own is None else own for own, other in pairs)
    if spec.method.scale != "calibrated" and any(strength != whole for strength in strengths):
        raise SpecError(f"strengths of regions belong to scale calibrated, not to {spec.method.scale}")
    return strengths


def _check_stated(spec: StyleSpec, regions: Sequence[float | None]) -> None:
    """Raise if both weights are given beside a strength, which they leave nothing to."""
    method = spec.method
    stated = method.content_weight is not None and method.style_weight is not None
    if stated and not {"content_weight", "style_weight"} & {*spec.automatic}:
        given = [s for s in (*regions, *(spec.region_strengths or ())) if s is not None]
        if (spec.strength != "auto" and "strength" not in spec.automatic) or given:
            raise SpecError(
                "`content_weight` and `style_weight` are both given, and leave nothing to `strength`; leave out either"
            )


def _check_losses(method: Optimise) -> None:
    for kind, names, known in (
        ("style loss", method.loss, STYLE_TERMS),
        ("content loss", [method.content_loss], CONTENT_TERMS),
        ("total variation", [method.variation], VARIATIONS),
    ):
        for name in names:
            if name not in known:
                raise UnknownNameError(kind, name, known)


def open_fields(spec: StyleSpec) -> set[str]:
    """What the user left to be chosen."""
    fields = {**spec.method.model_dump(), **spec.model_dump()}
    return {name for name, value in fields.items() if value is None or value == "auto"}


def usual_layers(scale: Scale, recipe: Defaults) -> Mapping[str, float]:
    """The recipe's style layers; for Gatys 2016 with weights that sum to 1."""
    if scale != "gatys":
        return recipe.style
    return {tap: weight / sum(recipe.style.values()) for tap, weight in recipe.style.items()}


def side_weights(method: Optimise, strength: float) -> tuple[float, float]:
    """Weights of content and style: ``1 - s`` and ``k s``, so that their ratio is ``k s / (1 - s)``."""
    if method.scale == "calibrated":
        content, style = 1 - strength, balance_of(method.loss) * strength
    else:
        if method.scale not in LITERATURE and None in (method.content_weight, method.style_weight):
            raise SpecError(f"scale {method.scale} has no usual weights; give `content_weight` and `style_weight`")
        content, style = LITERATURE.get(method.scale, (0.0, 0.0))
    if method.content_weight is not None:
        content = method.content_weight
    if method.style_weight is not None:
        style = method.style_weight
    return content, style


def with_own_names(spec: StyleSpec, network: Backbone) -> StyleSpec:
    """The spec with the network's own names for the layers that it names.

    Raises:
        UnknownNameError: there is no such layer.
        SpecError: two names mean the same.
    """
    own = {}
    for side in ("content_layers", "style_layers"):
        layers: Mapping[str, float] = getattr(spec.method, side) or {}
        own[side] = {network.tap(name): weight for name, weight in layers.items()} or None
        if len(own[side] or {}) < len(layers):
            twice = next(a for a, b in combinations(layers, 2) if network.tap(a) == network.tap(b))
            raise SpecError(f"{side}: two of the layers are {network.tap(twice)} of {network.name}; leave out either")
    return spec.model_copy(update={"method": spec.method.model_copy(update=own)})
