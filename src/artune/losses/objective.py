"""The objective: a network, terms with their frozen targets, and one weight for each.

Every calibrated distance is relative: a style distance of 1 is still the content, 0 is fully the style; so weights
mean the same at every size, on every tap and every network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Backbone, Features, Image
from artune.engine.descend import Evaluation
from artune.losses.protocol import AnyTerm, Draws, M, Mask, T, Term
from artune.losses.terms import CONTENT_TERMS, STYLE_TERMS, VARIATIONS
from artune.spec.style import Scale

ENERGY_SHARE = 0.02
"""Share of the style's energy added to the denominator of a relative distance: content and style may be the same
picture, flat, or a single pixel."""

NEGLIGIBLE = 1e-5
"""A total of relative distances, over their weights, below which a gradient is that of rounding errors, and taken as
zero: a descent that heeds no scale would follow it at full speed."""


@dataclass(frozen=True)
class Weights:
    """What counts how much.

    Attributes:
        content: weight of each content tap.
        style: weight of each style tap.
        content_total: multiplies the content side; ``[b]`` makes a ladder.
        style_total: multiplies the style side; ``[b]`` makes a ladder.
        tv: multiplies the total variation; ``[b]`` makes a ladder.
    """

    content: Mapping[str, float]
    style: Mapping[str, float]
    content_total: float | Float[Tensor, "b"] = 1.0
    style_total: float | Float[Tensor, "b"] = 1.0
    tv: float | Float[Tensor, "b"] = 0.0


@dataclass(frozen=True)
class Formulas:
    """Which losses, and in which units.

    Attributes:
        style: keys of ``STYLE_TERMS``, each with its weight among them.
        content: a key of ``CONTENT_TERMS``.
        variation: a key of ``VARIATIONS``.
        scale: ``calibrated`` distances are relative; the others are those of the literature.
        draws: where random numbers come from.
        balance: gradients of all terms get the same size at their taps.
    """

    style: Mapping[str, float] = field(default_factory=lambda: {"w2": 1.0})
    content: str = "mse"
    variation: str = "l2"
    scale: Scale = "calibrated"
    draws: Draws = field(default_factory=Draws)
    balance: bool = False


@dataclass(frozen=True)
class PaintingImage:
    """A painting, and the part of it that counts.

    Attributes:
        image: ``[1, 3, h, w]``, of its own size.
        share: its proportion among the styles of a region.
        mask: ``[1, 1, h, w]`` in [0, 1], or ``None`` for all of it.
    """

    image: Image
    share: float = 1.0
    mask: Mask | None = None


@dataclass(frozen=True)
class RegionWeights:
    """A part of the picture with paintings of its own, and how strongly it is pulled to either side.

    Attributes:
        mask: ``[1, 1, h, w]`` in [0, 1] at the picture's size, or ``None`` for all of it.
        style: multiplies the style side here, beside ``Weights.style_total``; ``[b]`` makes a ladder.
        content: multiplies the content side here, beside ``Weights.content_total``; ``[b]`` makes a ladder.
    """

    mask: Mask | None = None
    style: float | Float[Tensor, "b"] = 1.0
    content: float | Float[Tensor, "b"] = 1.0


@dataclass(frozen=True)
class WeightedTerm(Generic[M, T]):
    """A term with its target, its weight and the distance that counts as 1.

    Attributes:
        name: of the loss in a step.
        term: what compares.
        target: what it compares with.
        weight: in the total; ``[b]`` makes a ladder.
        unit: the distance that counts as 1.
        mask: where the term counts, at its tap's size.
    """

    name: str
    term: Term[M, T]
    target: T
    weight: float | Tensor
    unit: float | Tensor
    mask: Mask | None = None

    def loss(self, features: Features, step: int) -> Float[Tensor, "b"]:
        """The distance, relative where it is calibrated, not weighted."""
        return self.term.distance(self.term.measure(features, self.mask), self.target, step) / self.unit


AnyWeightedTerm = WeightedTerm[Any, Any]


class Objective:
    """Total loss of a picture, by a network and frozen terms; call it with a picture and a step.

    Args:
        backbone: the loss network.
        terms: each with its target, weight and unit.
        balance: give the gradient of every term the same size at its taps, before its weight: an L1 norm of 1, as in
            Johnson's neural-style. Scaling the scalar loss instead would square the weight.
    """

    def __init__(self, backbone: Backbone, terms: Sequence[AnyWeightedTerm], *, balance: bool = False) -> None:
        self.backbone, self.balance = backbone, balance
        self.terms = [f for f in terms if not (isinstance(f.weight, float) and f.weight == 0)]
        self.whole = sum(f.weight for f in self.terms if isinstance(f.unit, Tensor))
        self.taps = tuple(dict.fromkeys(tap for f in self.terms for tap in f.term.taps))

    def losses(self, x: Image, step: int = 0) -> dict[str, Float[Tensor, "b"]]:
        """Every term's distance, relative where it is calibrated, not weighted."""
        features = self.backbone(x, self.taps)
        return {f.name: f.loss(features, step) for f in self.terms}

    def __call__(self, x: Image, step: int) -> Evaluation:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            features = self.backbone(x, self.taps)
            losses = {f.name: f.loss(features, step) for f in self.terms}
            total = self.total(losses)
            if self.balance:
                gradient = self._balanced(x, features, losses)
            else:
                (gradient,) = torch.autograd.grad(total.sum(), x)
        return self.evaluation(total, losses, gradient)

    def total(self, losses: Mapping[str, Tensor]) -> Float[Tensor, "b"]:
        """The weighted sum."""
        return torch.stack([f.weight * losses[f.name] for f in self.terms]).sum(0)

    def evaluation(self, total: Tensor, losses: Mapping[str, Tensor], gradient: Tensor) -> Evaluation:
        """What the engine takes; a gradient that is one of rounding is zero."""
        arrived = (total <= NEGLIGIBLE * self.whole).detach()
        if arrived.any():
            gradient = gradient * ~arrived[:, None, None, None]
        return Evaluation(total.detach(), {name: value.detach() for name, value in losses.items()}, gradient)

    def _balanced(self, x: Image, features: Features, losses: Mapping[str, Tensor]) -> Tensor:
        """The gradient that flows back when each term's, at its taps, has an L1 norm of its weight."""
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
    """What a term measures of a picture.

    Attributes:
        value: what ``Term.measure`` returns.
        mask: where it was measured, at the size of the term's features.
    """

    value: Any
    mask: Mask | None


MaskedTerms = Sequence[tuple[AnyTerm, Mask | None]]
"""Terms, and where in a picture each is measured: a mask at the picture's size, or ``None`` for all of it."""


@dataclass(frozen=True)
class MeasuredPainting:
    """What every term measures of a painting.

    Attributes:
        statistics: by term.
        share: its proportion among the paintings of a region.
    """

    statistics: Mapping[AnyTerm, Measured]
    share: float = 1.0


Paintings = Sequence[Sequence[MeasuredPainting]]
"""The paintings of every region, measured."""


@dataclass(frozen=True)
class Terms:
    """The terms of an objective, each with its share of its side.

    They are made once: what they measure of the paintings serves every photograph, or frame, of that size.

    Attributes:
        content: terms that compare with the photograph.
        style: terms that compare with the paintings, each with the name of its loss.
        variation: total variation.
    """

    content: tuple[tuple[AnyTerm, float], ...]
    style: tuple[tuple[str, AnyTerm, float], ...]
    variation: AnyTerm

    @classmethod
    def of(cls, weights: Weights, formulas: Formulas) -> Self:
        """The terms of some taps and losses."""
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
            ),
            VARIATIONS[formulas.variation](scale),
        )

    @property
    def every(self) -> tuple[AnyTerm, ...]:
        """All of them."""
        return *(term for term, _ in self.content), *(term for _, term, _ in self.style), self.variation

    def of_photograph(self, regions: Sequence[RegionWeights]) -> MaskedTerms:
        """What is measured of the photograph: content terms, style terms region by region, variation."""
        whole = _whole_mask(regions)
        covered = None if whole is None else (whole > 0).any(0, keepdim=True).to(whole.dtype)
        return [
            *((term, whole) for term, _ in self.content),
            *((term, region.mask) for region in regions for _, term, _ in self.style),
            (self.variation, covered),
        ]

    def of_painting(self, painting: PaintingImage) -> MaskedTerms:
        """What is measured of a painting: the energies of its content terms too, which floor the distances."""
        return [(term, painting.mask) for term in self.every]

    def measured(self, painting: PaintingImage, values: Sequence[Measured]) -> MeasuredPainting:
        """What was measured of a painting, in the order of ``of_painting``."""
        return MeasuredPainting(dict(zip(self.every, values, strict=True)), painting.share)


def measure(backbone: Backbone, image: Image, wanted: MaskedTerms) -> list[Measured]:
    """What each term measures of a picture."""
    features = backbone(image, {tap for term, _ in wanted for tap in term.taps})
    masks = [at_tap(mask, *features[term.taps[0]].shape[-2:]) for term, mask in wanted]
    return [Measured(term.measure(features, mask), mask) for (term, _), mask in zip(wanted, masks, strict=True)]


@torch.no_grad()
def build_objective(
    backbone: Backbone,
    content: Image,
    styled: Sequence[tuple[RegionWeights, Sequence[PaintingImage]]],
    weights: Weights,
    formulas: Formulas = Formulas(),
    extra: Sequence[AnyWeightedTerm] = (),
) -> Objective:
    """An objective of one photograph: its paintings measured, and put together with it.

    Args:
        backbone: the loss network.
        content: the photograph, ``[1, 3, h, w]``.
        styled: its regions, each with its paintings.
        weights: of taps and of the two sides.
        formulas: which losses.
        extra: terms that are frozen already.
    """
    terms, regions = Terms.of(weights, formulas), [region for region, _ in styled]
    paintings = [
        [terms.measured(style, measure(backbone, style.image, terms.of_painting(style))) for style in styles]
        for _, styles in styled
    ]
    photograph = measure(backbone, content, terms.of_photograph(regions))
    return assemble(backbone, terms, regions, paintings, photograph, weights, formulas, extra)


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
    """Mix and freeze what was measured.

    A region's terms weigh as much as its share of the picture, so that a pixel is pulled as strongly in a small region
    as in a large one.

    Args:
        backbone: the loss network.
        terms: those that measured.
        regions: the parts of the picture.
        paintings: what the terms measured of the paintings of each region.
        photograph: what they measured of the photograph, in the order of ``Terms.of_photograph``.
        weights: of taps and of the two sides.
        formulas: which losses.
        extra: terms that are frozen already.
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
        area = regions[0].content if whole is None else _mean(whole)
        weighted.append(
            WeightedTerm(term.name, term, term.freeze(measured), area * share * weights.content_total, unit, mask)
        )
    for number, (region, some) in enumerate(zip(regions, paintings, strict=True), start=1):
        area = 1.0 if region.mask is None else float(region.mask.mean())
        for loss, term, share in terms.style:
            measured, mask = next(of_content)
            parts = _mixed(term, some)
            target = term.freeze(parts)
            unit = 1.0
            if scale == "calibrated":
                unit = term.distance(measured, target) + ENERGY_SHARE * term.energy(parts) + 1e-12
            name = term.name if len(formulas.style) == 1 else f"{loss} {term.name}"
            name = name if len(regions) == 1 else f"{name} @{number}"
            weight = area * region.style * share * weights.style_total
            weighted.append(WeightedTerm(name, term, target, weight, unit, mask))
    variation = terms.variation
    here, mask = next(of_content)
    unit = 1.0
    if scale == "calibrated":
        both = [here, *(_mixed(variation, some) for some in paintings)]
        unit = sum(variation.distance(m, None) for m in both) / len(both) + variation.energy(here)
    weighted.append(WeightedTerm(variation.name, variation, None, weights.tv, unit, mask))
    return Objective(backbone, [*weighted, *extra], balance=formulas.balance)


def at_tap(mask: Mask | None, height: int, width: int) -> Float[Tensor, "b 1 {height} {width}"] | None:
    """A mask at the size of a tap: the mean over what each of its pixels stands for."""
    if mask is None or mask.shape[-2:] == (height, width):
        return mask
    return F.adaptive_avg_pool2d(mask, (height, width))


def shares(layers: Mapping[str, float], scale: Scale) -> Mapping[str, float]:
    """Calibrated losses are weighted means over their taps, those of the literature weighted sums."""
    whole = sum(layers.values()) if scale == "calibrated" else 1.0
    return {tap: weight / whole for tap, weight in layers.items()}


def _whole_mask(regions: Sequence[RegionWeights]) -> Mask | None:
    """Where and how much the content counts."""
    if len(regions) == 1 and regions[0].mask is None:
        return None
    masks = [_per_picture(region.content) * region.mask for region in regions if region.mask is not None]
    return torch.stack(masks).sum(0)


def _per_picture(weight: float | Tensor) -> float | Tensor:
    """A weight ``[b]`` as one of maps."""
    return weight[:, None, None, None] if isinstance(weight, Tensor) else weight


def _mean(mask: Mask) -> float | Tensor:
    """Of a mask, or of each of a batch."""
    return float(mask.mean()) if len(mask) == 1 else mask.mean((1, 2, 3))


def _mixed(term: AnyTerm, paintings: Sequence[MeasuredPainting]) -> Any:
    values = [painting.statistics[term].value for painting in paintings]
    return term.mix(values, [painting.share for painting in paintings])
