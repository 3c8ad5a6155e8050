"""The objective: the weighted sum of terms, each with its target, on the features of a network.

Calibrated distances are relative: a style distance of 1 is that of the photograph, and 0 is that of the painting. So a
weight has the same effect at every size, at every tap and with every network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, NamedTuple, Self, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Backbone, Features, Image, Pass, PassOutput
from artune.engine.descend import Evaluation
from artune.images.resize import NO_WRAPS, Wraps
from artune.losses.protocol import AnyTerm, Draws, FromSums, M, Mask, T, Term
from artune.losses.terms import CONTENT_TERMS, STYLE_TERMS, VARIATIONS
from artune.spec.style import Scale

ENERGY_SHARE = 0.02
"""Share of the painting's energy that is added to the denominator of a relative distance. It avoids a division by zero
if photograph and painting are the same picture, flat, or a single pixel."""

NEGLIGIBLE = 1e-5
"""Mean relative distance below which the gradient consists of rounding errors, and is set to zero. A scale-free
optimiser would otherwise follow it at the full rate."""


@dataclass(frozen=True)
class Weights:
    """Weights of the taps, and of total variation.

    Attributes:
        content: weight of each content tap.
        style: weight of each style tap.
        tv: factor of the total variation.
    """

    content: Mapping[str, float]
    style: Mapping[str, float]
    tv: float = 0.0


@dataclass(frozen=True)
class Formulas:
    """The loss functions and their units.

    Attributes:
        style: keys of ``STYLE_TERMS``, each with its relative weight.
        content: a key of ``CONTENT_TERMS``.
        variation: a key of ``VARIATIONS``.
        scale: units of the losses: ``calibrated`` distances are relative; the others are those of the literature.
        draws: source of random numbers.
        balance_gradients: whether the gradients of all terms get the same size at their taps.
        wraps: axes along which the picture repeats.
    """

    style: Mapping[str, float] = field(default_factory=lambda: {"w2": 1.0})
    content: str = "mse"
    variation: str = "l2"
    scale: Scale = "calibrated"
    draws: Draws = field(default_factory=Draws)
    balance_gradients: bool = False
    wraps: Wraps = NO_WRAPS


@dataclass(frozen=True)
class PaintingImage:
    """A painting as a tensor, and the part of it that counts.

    Attributes:
        image: the painting at its own size, ``[1, 3, h, w]`` in [0, 1].
        share: weight of the painting among the paintings of its region.
        mask: weight of each pixel, ``[1, 1, h, w]`` in [0, 1]; ``None``: all pixels count.
    """

    image: Image
    share: float = 1.0
    mask: Mask | None = None


@dataclass(frozen=True)
class RegionWeights:
    """Mask and weights of a region of the picture with paintings of its own.

    Attributes:
        mask: ``[1, 1, h, w]`` in [0, 1] at the size of the picture; ``None``: the whole picture.
        style: factor of the style terms in this region.
        content: factor of the content terms in this region.
        kept: ``[1, 1, h, w]`` in [0, 1]: share of the style that is taken away at each pixel; ``None``: none. The
            painting's statistics are those of the region as a whole, but what is kept counts, and moves, less.
        kept_content: factor of the content terms where all is kept.
    """

    mask: Mask | None = None
    style: float = 1.0
    content: float = 1.0
    kept: Mask | None = None
    kept_content: float = 1.0

    @property
    def style_mask(self) -> Mask | None:
        """How much the style counts at each pixel; ``None``: everywhere the same."""
        if self.kept is None:
            return self.mask
        return 1 - self.kept if self.mask is None else self.mask * (1 - self.kept)

    @property
    def content_mask(self) -> Mask | None:
        """Factor of the content terms at each pixel, 0 outside the region; ``None``: ``content``, everywhere."""
        if self.kept is None:
            return None if self.mask is None else self.content * self.mask
        factor = self.content + (self.kept_content - self.content) * self.kept
        return factor if self.mask is None else factor * self.mask


@dataclass(frozen=True)
class WeightedTerm(Generic[M, T]):
    """A term with its target, its weight and its unit.

    Attributes:
        name: name of the loss.
        term: measures the picture, and compares the measurement with the target.
        target: what the term compares with.
        weight: weight in the total.
        unit: the distance that counts as 1.
        mask: weight of each position, at the size of the term's tap.
    """

    name: str
    term: Term[M, T]
    target: T
    weight: float
    unit: float | Tensor
    mask: Mask | None = None

    @property
    def from_sums(self) -> bool:
        """Whether the sums of its tap are enough to measure it."""
        return self.mask is None and isinstance(self.term, FromSums)

    def measure(self, output: PassOutput) -> M:
        """Measure the picture, from the sums of its tap where these are known."""
        if self.from_sums and self.term.taps[0] in output.sums:
            measured: M = cast(FromSums, self.term).of_sums(output.sums[self.term.taps[0]])
            return measured
        return self.term.measure(output.features, self.mask)

    def loss(self, output: PassOutput, step: int) -> Float[Tensor, "b"]:
        """The distance in its unit, without the weight."""
        return self.term.distance(self.measure(output), self.target, step) / self.unit


AnyWeightedTerm = WeightedTerm[Any, Any]


class Objective:
    """The weighted sum of all terms, as a function of a picture and a step.

    Args:
        backbone: the loss network.
        terms: each with its target, weight and unit.
        balance_gradients: give the gradient of every term the same size at its taps, an L1 norm of 1, before it is
            multiplied by its weight, as in Johnson's neural-style. Scaling the loss itself would square the weight.
    """

    def __init__(
        self, backbone: Backbone, terms: Sequence[AnyWeightedTerm], *, balance_gradients: bool = False
    ) -> None:
        self.backbone, self.balance_gradients = backbone, balance_gradients
        self.terms = [f for f in terms if f.weight != 0]
        self.whole = sum(f.weight for f in self.terms if isinstance(f.unit, Tensor))

    @cached_property
    def network_pass(self) -> Pass:
        """The pass that finds what the terms need."""
        # the gradients that are balanced are those of features
        by_sums = [f.from_sums and not self.balance_gradients for f in self.terms]
        summed = {f.term.taps[0]: None for f, enough in zip(self.terms, by_sums, strict=True) if enough}
        taps = {tap: None for f, enough in zip(self.terms, by_sums, strict=True) if not enough for tap in f.term.taps}
        return self.backbone.make_pass(taps, summed)

    def losses(self, x: Image, step: int = 0) -> dict[str, Float[Tensor, "b"]]:
        """Distance of every term in its unit, by name, without the weights."""
        output = self.network_pass(x)
        return {f.name: f.loss(output, step) for f in self.terms}

    def __call__(self, x: Image, step: int) -> Evaluation:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            output = self.network_pass(x)
            losses = {f.name: f.loss(output, step) for f in self.terms}
            total = self.total(losses)
            if self.balance_gradients:
                gradient = self._balanced(x, output.features, losses)
            else:
                (gradient,) = torch.autograd.grad(total.sum(), x)
        return self.evaluation(total, losses, gradient)

    def total(self, losses: Mapping[str, Tensor]) -> Float[Tensor, "b"]:
        """The weighted sum of the losses."""
        return torch.stack([f.weight * losses[f.name] for f in self.terms]).sum(0)

    def evaluation(self, total: Tensor, losses: Mapping[str, Tensor], gradient: Tensor) -> Evaluation:
        """The evaluation for the engine. Its gradient is zero where it would consist of rounding errors."""
        arrived = (total <= NEGLIGIBLE * self.whole).detach()
        if arrived.any():
            gradient = gradient * ~arrived[:, None, None, None]
        return Evaluation(total.detach(), {name: value.detach() for name, value in losses.items()}, gradient)

    def _balanced(self, x: Image, features: Features, losses: Mapping[str, Tensor]) -> Tensor:
        """Gradient of the picture if the gradient of each term at its taps has an L1 norm equal to its weight."""
        pulls = {tap: torch.zeros_like(value) for tap, value in features.items()}
        for f in self.terms:
            taps = [tap for tap in f.term.taps if features[tap].requires_grad]
            parts = torch.autograd.grad(losses[f.name].sum(), [features[tap] for tap in taps], retain_graph=True)
            size = torch.stack([part.float().abs().sum((1, 2, 3)) for part in parts]).sum(0)
            scale: Tensor = f.weight / (size + 1e-30)
            for tap, part in zip(taps, parts, strict=True):
                pulls[tap] += (part * scale[:, None, None, None]).to(part.dtype)
        (gradient,) = torch.autograd.grad(list(features.values()), x, list(pulls.values()))
        return gradient


class Measured(NamedTuple):
    """A term's measurement of a picture.

    Attributes:
        value: what ``Term.measure`` returned.
        mask: the mask of the measurement, at the size of the term's tap.
    """

    value: Any
    mask: Mask | None


MaskedTerms = Sequence[tuple[AnyTerm, Mask | None]]
"""Terms to be measured, each with its mask at the size of the picture; ``None``: the whole picture."""


@dataclass(frozen=True)
class MeasuredPainting:
    """All measurements of a painting.

    Attributes:
        statistics: the measurement of each term.
        share: weight of the painting among the paintings of its region.
    """

    statistics: Mapping[AnyTerm, Measured]
    share: float = 1.0


Paintings = Sequence[Sequence[MeasuredPainting]]
"""The measured paintings of each region."""


@dataclass(frozen=True)
class Terms:
    """The terms of an objective, without targets.

    They are made once for each size: their measurements of the paintings serve every photograph, or frame, of that
    size.

    Attributes:
        content: terms that compare with the photograph, each with its share of the content weight.
        style: name of the loss, term that compares with the paintings, and its share of the style weight.
        variation: the term of total variation.
    """

    content: tuple[tuple[AnyTerm, float], ...]
    style: tuple[tuple[str, AnyTerm, float], ...]
    variation: AnyTerm

    @classmethod
    def of(cls, weights: Weights, formulas: Formulas) -> Self:
        """Make a term for each tap and each loss."""
        scale, draws = formulas.scale, formulas.draws
        return cls(
            tuple(
                (CONTENT_TERMS[formulas.content](tap, scale, draws), share)
                for tap, share in shares(weights.content, scale).items()
            ),
            tuple(
                (loss, STYLE_TERMS[loss](tap, scale, draws), share * part)
                for tap, share in shares(weights.style, scale).items()
                for loss, part in shares(formulas.style, scale).items()
                if part
            ),
            VARIATIONS[formulas.variation](scale, wraps=formulas.wraps),
        )

    @property
    def every(self) -> tuple[AnyTerm, ...]:
        """All terms."""
        return *(term for term, _ in self.content), *(term for _, term, _ in self.style), self.variation

    def of_photograph(self, regions: Sequence[RegionWeights]) -> MaskedTerms:
        """Terms to be measured on the photograph: content terms, style terms region by region, total variation."""
        whole = _whole_mask(regions)
        covered = None if whole is None else (whole > 0).any(0, keepdim=True).to(whole.dtype)
        if covered is not None and regions[0].kept is not None:
            covered = covered * (1 - regions[0].kept)
        return [
            *((term, whole) for term, _ in self.content),
            *((term, region.style_mask) for region in regions for _, term, _ in self.style),
            (self.variation, covered),
        ]

    def of_painting(self, painting: PaintingImage) -> MaskedTerms:
        """Terms to be measured on a painting: all of them, because the units contain its content energies, too."""
        return [(term, painting.mask) for term in self.every]

    def measured(self, painting: PaintingImage, values: Sequence[Measured]) -> MeasuredPainting:
        """Collect the measurements of a painting, given in the order of ``of_painting``."""
        return MeasuredPainting(dict(zip(self.every, values, strict=True)), painting.share)


def measure(backbone: Backbone, image: Image, wanted: MaskedTerms) -> list[Measured]:
    """Measure each term on a picture."""
    return measure_features(backbone(image, {tap for term, _ in wanted for tap in term.taps}), wanted)


def measure_features(features: Features, wanted: MaskedTerms) -> list[Measured]:
    """Measure each term on the features of its taps."""
    masks = [at_tap(mask, *features[term.taps[0]].shape[-2:]) for term, mask in wanted]
    return [Measured(term.measure(features, mask), mask) for (term, _), mask in zip(wanted, masks, strict=True)]


@torch.no_grad()
def assemble(
    backbone: Backbone,
    terms: Terms,
    regions: Sequence[RegionWeights],
    paintings: Paintings,
    photograph: Sequence[Measured],
    weights: Weights,
    formulas: Formulas = Formulas(),
    extra: Sequence[AnyWeightedTerm] = (),
) -> Objective:
    """Compute targets and units from the measurements, and make the objective of them.

    The weight of a region's terms is proportional to its area, so that the gradient at a pixel is as large in a small
    region as in a large one.

    Args:
        backbone: the loss network.
        terms: the terms that were measured.
        regions: masks and weights of the regions.
        paintings: measurements of the paintings of each region.
        photograph: measurements of the photograph, in the order of ``Terms.of_photograph``.
        weights: weights of taps, content and style.
        formulas: the loss functions.
        extra: more terms, with their targets.
    """
    scale = formulas.scale
    whole = _whole_mask(regions)
    of_content = iter(photograph)
    weighted: list[AnyWeightedTerm] = []
    for term, share in terms.content:
        measured, mask = next(of_content)
        unit: float | Tensor = 1.0
        if scale == "calibrated":
            energies = [term.energy(painting.statistics[term].value) for some in paintings for painting in some]
            unit = term.energy(measured) + ENERGY_SHARE * torch.stack(energies).mean(0) + 1e-12
        area = regions[0].content if whole is None else float(whole.mean())
        weighted.append(WeightedTerm(term.name, term, term.freeze(measured), area * share, unit, mask))
    for number, (region, some) in enumerate(zip(regions, paintings, strict=True), start=1):
        area = 1.0 if region.style_mask is None else float(region.style_mask.mean())
        for loss, term, share in terms.style:
            measured, mask = next(of_content)
            parts = _mixed(term, some)
            target = term.freeze(parts)
            unit = 1.0
            if scale == "calibrated":
                unit = term.distance(measured, target) + ENERGY_SHARE * term.energy(parts) + 1e-12
            name = term.name if len(formulas.style) == 1 else f"{loss} {term.name}"
            name = name if len(regions) == 1 else f"{name} @{number}"
            weight = area * region.style * share
            weighted.append(WeightedTerm(name, term, target, weight, unit, mask))
    variation = terms.variation
    here, mask = next(of_content)
    unit = 1.0
    if scale == "calibrated":
        both = [here, *(_mixed(variation, some) for some in paintings)]
        unit = sum(variation.distance(m, None) for m in both) / len(both) + variation.energy(here)
    weighted.append(WeightedTerm(variation.name, variation, None, weights.tv, unit, mask))
    return Objective(backbone, [*weighted, *extra], balance_gradients=formulas.balance_gradients)


def at_tap(mask: Mask | None, height: int, width: int) -> Float[Tensor, "b 1 {height} {width}"] | None:
    """Resize a mask to the size of a tap, by averaging."""
    if mask is None or mask.shape[-2:] == (height, width):
        return mask
    return F.adaptive_avg_pool2d(mask, (height, width))


def shares(layers: Mapping[str, float], scale: Scale) -> Mapping[str, float]:
    """Share of each tap or loss. Calibrated losses are weighted means, so their shares sum to 1; others are sums."""
    whole = sum(layers.values()) if scale == "calibrated" else 1.0
    return {tap: weight / whole for tap, weight in layers.items()}


def _whole_mask(regions: Sequence[RegionWeights]) -> Mask | None:
    """Weight of the content at each pixel; ``None`` for a single region without a mask, of which nothing is kept."""
    masks = [mask for mask in (region.content_mask for region in regions) if mask is not None]
    return torch.stack(masks).sum(0) if masks else None


def _mixed(term: AnyTerm, paintings: Sequence[MeasuredPainting]) -> Any:
    values = [painting.statistics[term].value for painting in paintings]
    return term.mix(values, [painting.share for painting in paintings])
