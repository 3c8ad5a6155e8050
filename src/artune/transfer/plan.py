"""The plan of a run: the spec with every choice made, and the rules for the choices that the user left open."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal, Self

from artune.backbones.base import Backbone
from artune.backbones.defaults import Defaults
from artune.backbones.registry import defaults_of
from artune.engine.optimisers import OPTIMISERS
from artune.errors import SpecError, UnknownNameError
from artune.images.resize import fitted
from artune.losses.terms import CONTENT_TERMS, STYLE_TERMS, VARIATIONS, balance_of
from artune.spec.style import WEAK, Layers, Optimise, Rung, Scale, StyleSpec, optimise_of
from artune.transfer.inputs import Inputs
from artune.transfer.sizes import least_size, planned
from artune.transfer.start import FROM_PHOTOGRAPH, STARTS

USUAL_STRENGTH = 0.5
"""Strength if neither the user nor a search chose one."""
AVERAGE_AFTER_PAINTER = 0.8
"""Largest default decay of the average of Adam's iterates if the painter has made the start."""
LARGEST_LBFGS = 1024
"""Longer side, pixels, above which the default optimiser is not L-BFGS, which takes much memory."""
LITERATURE: dict[Scale, tuple[float, float]] = {"tutorial": (1.0, 1e6), "gatys": (1.0, 1e3)}
"""Default weights of content and style for the scales of the literature: those of PyTorch's tutorial, and alpha / beta
of Gatys 2016. ``raw`` and ``mean`` have no defaults."""


class Plan(StyleSpec):
    """A resolved spec: every choice is made, so no field is ``None``, ``auto`` or ``original``.

    Each method has a subclass of its own, in which the field ``method`` is resolved, too.
    """

    size: int
    """Longer side of the result, pixels."""
    strength: float
    """Strength, in [0, 1]."""
    style_weights: tuple[float, ...]
    """Weights of the paintings, with a sum of 1."""
    region_strengths: tuple[float, ...]
    """Strength in each region, in [0, 1]."""
    device: str
    """Device: cpu, cuda, cuda:1, mps."""
    precision: Literal["fp32", "bf16"]
    """Precision of the network's activations."""

    def with_memory(self, memory: str) -> Self:
        """The plan with a ``memory`` that was chosen for the user."""
        automatic = tuple(sorted({*self.automatic, "memory"}))
        return self.model_copy(update={"memory": memory, "automatic": automatic})

    def as_spec(self) -> StyleSpec:
        """The plan as a spec, with which the run can be repeated."""
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
    """Weight of all content terms."""
    style_weight: float
    """Weight of all style terms."""
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
        """All taps that the losses use."""
        return tuple(dict.fromkeys((*self.content_layers, *self.style_layers)))


class OptimisePlan(Plan):
    """The plan of the method ``optimise``."""

    method: ResolvedOptimise

    def at(self, strength: float, kept: float = 0.0) -> tuple[float, float]:
        """Weights of content and style at another strength; weights that the user gave do not depend on it.

        Args:
            strength: the strength.
            kept: share of the photograph that is kept: as much of the style is taken away.
        """
        method = self.method
        content, _ = usual_weights(method, (1 - kept) * strength)
        _, style = usual_weights(method, strength)
        return (
            content if "content_weight" in self.automatic else method.content_weight,
            (1 - kept) * (style if "style_weight" in self.automatic else method.style_weight),
        )


def resolve(
    spec: StyleSpec,
    content_size: tuple[int, int],
    styles: int,
    *,
    device: str,
    precision: Literal["fp32", "bf16"],
    smallest: int = 1,
    smooth: bool = False,
    defaults: Defaults | None = None,
    regions: Sequence[float | None] = (),
    strength: float | None = None,
    little: bool = False,
) -> OptimisePlan:
    """Make the plan of an optimisation: replace every ``None``, ``auto`` and ``original`` of a spec.

    Args:
        spec: the spec as it was given.
        content_size: width and height of the photograph, pixels.
        styles: number of paintings for the rest of the photograph.
        device: device of the run.
        precision: precision of the activations on this device.
        smallest: smallest shorter side that the network accepts, pixels.
        smooth: whether the network smooths its activations.
        defaults: defaults of the network; by default those of its name.
        regions: strength that each region was given; ``None``: that of the spec.
        strength: the strength, if the spec leaves it open; default: ``USUAL_STRENGTH``.
        little: whether there is too little memory for the usual optimiser.

    Raises:
        UnknownNameError: there is no such loss.
        SpecError: the number of style weights differs from that of the paintings, or the number of strengths from that
            of the regions.
    """
    method = optimise_of(spec)
    _check_losses(method)
    _check_stated(spec, regions)
    fields = common_fields(spec, content_size, styles, regions, strength)
    own, size, strengths = fields["strength"], fields["size"], fields["region_strengths"]
    start = usual_start(method) if method.start == "auto" else method.start
    method = method.model_copy(update={"start": start})
    little = little or size > LARGEST_LBFGS or spec.memory != "all"
    optimiser = usual_optimiser(method, little) if method.optimiser == "auto" else method.optimiser
    method = method.model_copy(update={"optimiser": optimiser})
    spec = spec.model_copy(update={"method": method})
    defaults = defaults or defaults_of(method.network)
    rungs = _rungs(spec, size, least_size(content_size, smallest))
    strongest = max([*strengths, *([own] if styles else [])], default=own)
    content, style = side_weights(method, own)
    tv = defaults.tv * (own if styles else strongest) if method.tv is None else method.tv
    if not (content or style or method.tv or strengths):
        raise SpecError("`content_weight` and `style_weight` are both 0; give one of them a value above 0")
    weight, pixels = content + style + tv, math.prod(fitted(*content_size, size))
    filled = {
        **method.model_dump(),
        "content_layers": method.content_layers or defaults.content,
        "style_layers": method.style_layers or usual_layers(method.scale, defaults),
        "smooth": smooth if method.smooth is None else method.smooth,
        "content_weight": content,
        "style_weight": style,
        "tv": tv,
        "start": method.start if method.start in STARTS else "file",
        "rate": method.rate or usual_rate(method, defaults.rate, weight, pixels, strongest),
        "average": usual_average(method, defaults.average) if method.average is None else method.average,
        "steps": sum(rung.steps for rung in rungs),
        "rungs": rungs,
    }
    return OptimisePlan.model_validate(
        {**spec.model_dump(), **fields, "method": filled, "device": device, "precision": precision}
    )


def result_size(spec: StyleSpec, content_size: tuple[int, int]) -> int:
    """Longer side of the result, pixels.

    Args:
        spec: the spec as it was given.
        content_size: width and height of the photograph, pixels.
    """
    longer = max(content_size)
    size = longer if spec.size == "original" else spec.size
    return size if spec.enlarge else min(size, longer)


def common_fields(
    spec: StyleSpec,
    content_size: tuple[int, int],
    styles: int,
    regions: Sequence[float | None] = (),
    strength: float | None = None,
) -> dict[str, Any]:
    """The fields of a ``Plan`` that do not depend on the method; the arguments are those of ``resolve``."""
    own = spec.strength
    if own == "auto":
        own = USUAL_STRENGTH if strength is None else strength
    return {
        "size": result_size(spec, content_size),
        "strength": own,
        "style_weights": _style_weights(spec, styles),
        "region_strengths": _region_strengths(spec, own, regions),
        "automatic": tuple(sorted({*spec.automatic, *open_fields(spec)})),
    }


def strengths_by_region(plan: Plan, inputs: Inputs) -> list[float]:
    """Strength of each region; that of the rest comes last."""
    return [*plan.region_strengths, plan.strength][: len(inputs.regions)]


def strengths_by_part(plan: Plan, inputs: Inputs) -> list[float]:
    """Strength of each part."""
    strengths = strengths_by_region(plan, inputs)
    return [(1 - part.kept) * strengths[part.region] for part in inputs.parts]


def weights_by_part(plan: OptimisePlan, inputs: Inputs) -> list[tuple[float, float]]:
    """Content weight and style weight of each part."""
    strengths = strengths_by_region(plan, inputs)
    return [plan.at(strengths[part.region], part.kept) for part in inputs.parts]


def _rungs(spec: StyleSpec, size: int, least: int) -> tuple[Rung, ...]:
    """Sizes and steps. Those of a resolved spec that is run again at another size are chosen anew.

    Args:
        spec: the spec as it was given.
        size: longer side of the result, pixels.
        least: smallest longer side that the network accepts, pixels.
    """
    method = optimise_of(spec)
    if method.rungs and method.rungs[-1].size != size and "rungs" in spec.automatic:
        steps = None if "steps" in spec.automatic else method.steps
        method = method.model_copy(update={"rungs": None, "steps": steps})
    return planned(method, size, least)


def _style_weights(spec: StyleSpec, styles: int) -> tuple[float, ...]:
    """Weights of the paintings, with a sum of 1."""
    weights = spec.style_weights
    if weights is not None and len(weights) != styles:
        if not styles and "style_weights" not in spec.automatic:
            raise SpecError(
                "`style_weights` are given, but there is no painting outside of the regions; leave them out"
            )
        if "style_weights" not in spec.automatic:
            raise SpecError(_miscounted("style_weights", "weight", len(weights), "painting", styles))
        weights = None
    weights = weights or (1.0,) * styles
    whole = math.fsum(weights) or 1.0
    if abs(whole - 1) <= 1e-9:  # weights of a resolved spec keep their bits
        return weights
    return tuple(weight / whole for weight in weights)


def _miscounted(name: str, value: str, values: int, owner: str, owners: int) -> str:
    """That a field holds too many or too few values."""
    there = f"there is 1 {owner}" if owners == 1 else f"there are {owners} {owner}s"
    return f"`{name}` holds {values} {value}{'s' * (values != 1)}, but {there}; give one {value} for each {owner}"


def _region_strengths(spec: StyleSpec, whole: float, given: Sequence[float | None]) -> tuple[float, ...]:
    """Strength of each region: its own; else that of ``region_strengths``; else that of the whole."""
    usual = spec.region_strengths
    if usual is not None and len(usual) != len(given):
        if "region_strengths" not in spec.automatic:
            raise SpecError(_miscounted("region_strengths", "strength", len(usual), "region", len(given)))
        usual = None
    pairs = zip(given, usual or (whole,) * len(given), strict=True)
    strengths = tuple(other if own is None else own for own, other in pairs)
    fault = spec.method.strength_fault
    if fault and any(strength != whole for strength in strengths):
        raise SpecError(f"regions have strengths of their own: {fault}")
    return strengths


def _check_stated(spec: StyleSpec, regions: Sequence[float | None]) -> None:
    """Raise if a strength is given although both weights are, which determine everything."""
    method = optimise_of(spec)
    stated = method.content_weight is not None and method.style_weight is not None
    if stated and not {"content_weight", "style_weight"} & {*spec.automatic}:
        given = [s for s in (*regions, *(spec.region_strengths or ())) if s is not None]
        if (spec.strength != "auto" and "strength" not in spec.automatic) or given:
            raise SpecError(
                "`content_weight` and `style_weight` are both given, so `strength` has no effect; leave out one of them"
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
    """Names of the fields that the user left open."""
    fields = {**spec.method.model_dump(), **spec.model_dump()}
    return {name for name, value in fields.items() if value is None or value == "auto"}


def usual_layers(scale: Scale, defaults: Defaults) -> Mapping[str, float]:
    """Default style layers of a network; for scale ``gatys``, their weights sum to 1."""
    if scale != "gatys":
        return defaults.style
    return {tap: weight / sum(defaults.style.values()) for tap, weight in defaults.style.items()}


def usual_weights(method: Optimise, strength: float) -> tuple[float, float]:
    """Weights of content and style at a strength s, whether or not the user gave others.

    Calibrated: ``1 - s`` and ``k s``, with k the balance of the losses, so their ratio is ``k s / (1 - s)``. Other
    scales have the weights of the literature, or 0 if it has none.
    """
    if method.scale == "calibrated":
        return 1 - strength, balance_of(method.loss) * strength
    return LITERATURE.get(method.scale, (0.0, 0.0))


def usual_start(method: Optimise) -> str:
    """Default start: the painter's picture, if the objective is the one that the painter was trained for.

    Without steps it is the photograph, which nothing then changes.
    """
    trained = method.network == "compact" and {*method.loss} == {"w2"} and method.content_loss == "mse"
    calibrated = method.scale == "calibrated" and not method.photoreal
    return "instant" if trained and calibrated and method.has_steps else "content"


def usual_optimiser(method: Optimise, little: bool) -> Literal["adam", "lbfgs"]:
    """Default optimiser: L-BFGS goes further in the few steps that are needed after the painter.

    Args:
        method: the method, with its start.
        little: whether there is little memory for the size.
    """
    few = method.start == "instant" and not little and not method.balance_gradients
    return "lbfgs" if few or method.line_search != "none" else "adam"


def usual_average(method: Optimise, of_network: float) -> float:
    """Default decay of the average of the iterates. After the painter there are few steps to be averaged, and those of
    L-BFGS do not swing.
    """
    if method.start != "instant":
        return of_network
    return 0.0 if method.optimiser == "lbfgs" else min(of_network, AVERAGE_AFTER_PAINTER)


def side_weights(method: Optimise, strength: float) -> tuple[float, float]:
    """Weights of content and style: those that the user gave, or else those of ``usual_weights``.

    Raises:
        SpecError: the scale has no default weights, and one is missing.
    """
    if method.scale not in ("calibrated", *LITERATURE) and None in (method.content_weight, method.style_weight):
        raise SpecError(f"`scale` {method.scale} has no default weights; give `content_weight` and `style_weight`")
    content, style = usual_weights(method, strength)
    return (
        content if method.content_weight is None else method.content_weight,
        style if method.style_weight is None else method.style_weight,
    )


def usual_rate(method: Optimise, of_network: float, weights: float, pixels: int, strength: float) -> float:
    """Default rate.

    An optimiser that is not scale-free has a default rate for calibrated losses only. These are means over pixels, so
    the rate is proportional to the number of pixels, and inversely proportional to the sum of the weights. The steps of
    a scale-free optimiser do not get shorter with the gradient, so its rate is reduced for a low strength.

    Args:
        method: the spec's method, as it was given.
        of_network: default rate of the network, for optimisers without one of their own.
        weights: sum of the weights of all terms.
        pixels: number of pixels of the result.
        strength: largest strength of all regions.

    Raises:
        SpecError: the optimiser has no default rate for this scale.
    """
    kind = OPTIMISERS[method.optimiser]
    rate = of_network if kind.usual_rate is None else kind.usual_rate
    if not kind.scale_free:
        if method.scale != "calibrated":
            raise SpecError(
                f"`optimiser` {method.optimiser} has no default rate with `scale` {method.scale}; give `rate` "
                "(artune.engine.optimisers.rate_from_255 converts a rate that was published for pictures in 0 .. 255)"
            )
        return rate * pixels / weights
    if method.start in FROM_PHOTOGRAPH and method.scale == "calibrated":
        rate *= max(min(1.0, strength / WEAK), 1e-9)
    return rate


def with_own_names(spec: StyleSpec, network: Backbone) -> StyleSpec:
    """Replace other names of layers in a spec by the network's own names.

    Raises:
        UnknownNameError: there is no such layer.
        SpecError: two names mean the same layer.
    """
    own = {}
    for side in ("content_layers", "style_layers"):
        layers: Mapping[str, float] = getattr(spec.method, side) or {}
        own[side] = {network.tap(name): weight for name, weight in layers.items()} or None
        if len(own[side] or {}) < len(layers):
            twice = next(a for a, b in combinations(layers, 2) if network.tap(a) == network.tap(b))
            raise SpecError(
                f"`{side}`: two of the layers are {network.tap(twice)} of {network.name}; leave out one of them"
            )
    return spec.model_copy(update={"method": spec.method.model_copy(update=own)})
