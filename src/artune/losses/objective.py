"""The objective: a network, terms with their frozen targets, and one weight for each.

Every calibrated distance is relative: a style distance of 1 is still the content, 0 is fully the style; so weights
mean the same at every size, on every tap and every network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Backbone, Features, Image
from artune.engine.descend import Evaluation
from artune.losses.protocol import Draws, Mask, Term
from artune.losses.terms import CONTENT_TERMS, STYLE_TERMS, VARIATIONS
from artune.spec import Scale

FLOOR = 0.02
"""Share of the style's energy added to the denominator of a relative distance: content and style may be the same
picture, flat, or a single pixel."""

ROUNDING = 1e-5
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
        tv: multiplies the total variation.
    """

    content: Mapping[str, float]
    style: Mapping[str, float]
    content_total: float | Float[Tensor, "b"] = 1.0
    style_total: float | Float[Tensor, "b"] = 1.0
    tv: float = 0.0


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
class Styled:
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
class Region:
    """A part of the picture, and the styles that it gets.

    Attributes:
        styles: whose mixed statistics are its target.
        mask: ``[1, 1, h, w]`` in [0, 1] at the picture's size, or ``None`` for all of it.
        style: multiplies the style side here, beside ``Weights.style_total``.
        content: multiplies the content side here, beside ``Weights.content_total``.
    """

    styles: Sequence[Styled]
    mask: Mask | None = None
    style: float = 1.0
    content: float = 1.0


@dataclass(frozen=True)
class Frozen:
    """A term with its target, its weight and the distance that counts as 1.

    Attributes:
        name: of the loss in a step.
        mask: where the term counts, at its tap's size.
    """

    name: str
    term: Term
    target: Any
    weight: float | Tensor
    unit: float | Tensor
    mask: Mask | None = None

    def loss(self, features: Features, step: int) -> Float[Tensor, "b"]:
        """The distance, relative where it is calibrated, not weighted."""
        return self.term.distance(self.term.measure(features, self.mask), self.target, step) / self.unit


class Objective:
    """Total loss of a picture, by a network and frozen terms; call it with a picture and a step.

    Args:
        backbone: the loss network.
        frozen: the terms.
        balance: give the gradient of every term the same size at its taps, before its weight: an L1 norm of 1, as in
            Johnson's neural-style. Scaling the scalar loss instead would square the weight.
    """

    def __init__(self, backbone: Backbone, frozen: Sequence[Frozen], *, balance: bool = False) -> None:
        self.backbone, self.balance = backbone, balance
        self.frozen = [f for f in frozen if not (isinstance(f.weight, float) and f.weight == 0)]
        self.whole = sum(f.weight for f in self.frozen if isinstance(f.unit, Tensor))
        self.taps = tuple(dict.fromkeys(tap for f in self.frozen for tap in f.term.taps))

    def losses(self, x: Image, step: int = 0) -> dict[str, Float[Tensor, "b"]]:
        """Every term's distance, relative where it is calibrated, not weighted."""
        features = self.backbone(x, self.taps)
        return {f.name: f.loss(features, step) for f in self.frozen}

    def __call__(self, x: Image, step: int) -> Evaluation:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            features = self.backbone(x, self.taps)
            losses = {f.name: f.loss(features, step) for f in self.frozen}
            total = torch.stack([f.weight * losses[f.name] for f in self.frozen]).sum(0)
            if self.balance:
                gradient = self._balanced(x, features, losses)
            else:
                (gradient,) = torch.autograd.grad(total.sum(), x)
        arrived = (total <= ROUNDING * self.whole).detach()
        if arrived.any():
            gradient = gradient * ~arrived[:, None, None, None]
        return Evaluation(total.detach(), {name: value.detach() for name, value in losses.items()}, gradient)

    def _balanced(self, x: Image, features: Features, losses: Mapping[str, Tensor]) -> Tensor:
        """The gradient that flows back when each term's, at its taps, has an L1 norm of its weight."""
        pulls = {tap: torch.zeros_like(value) for tap, value in features.items()}
        for f in self.frozen:
            taps = [tap for tap in f.term.taps if features[tap].requires_grad]
            parts = torch.autograd.grad(losses[f.name].sum(), [features[tap] for tap in taps], retain_graph=True)
            size = torch.stack([part.float().abs().sum((1, 2, 3)) for part in parts]).sum(0)
            scale: Tensor = f.weight / (size + 1e-30)
            for tap, part in zip(taps, parts, strict=True):
                pulls[tap] += (part * scale[:, None, None, None]).to(part.dtype)
        (gradient,) = torch.autograd.grad(list(features.values()), x, list(pulls.values()))
        return gradient


@torch.no_grad()
def build(
    backbone: Backbone,
    content: Image,
    regions: Sequence[Region],
    weights: Weights,
    formulas: Formulas = Formulas(),
    extra: Sequence[Frozen] = (),
) -> Objective:
    """Measure, mix and freeze once, for one size.

    A region's terms weigh as much as its share of the picture, so that a pixel is pulled as strongly in a small region
    as in a large one.

    Args:
        backbone: the loss network.
        content: the photograph, ``[1, 3, h, w]``.
        regions: what is to be styled, and how.
        weights: of taps and of the two sides.
        formulas: which losses.
        extra: terms that are frozen already.
    """
    scale, draws = formulas.scale, formulas.draws
    style_terms = [
        (loss, STYLE_TERMS[loss](tap, scale, draws), share * part)
        for tap, share in shares(weights.style, scale).items()
        for loss, part in shares(formulas.style, scale).items()
    ]
    content_terms = [
        (CONTENT_TERMS[formulas.content](tap, scale, draws), share)
        for tap, share in shares(weights.content, scale).items()
    ]
    variation = VARIATIONS[formulas.variation](scale)
    terms = [term for _, term, _ in style_terms] + [term for term, _ in content_terms]
    taps = {tap for term in (*terms, variation) for tap in term.taps}
    of_content = backbone(content, taps)
    of_styles = [[backbone(style.image, taps) for style in region.styles] for region in regions]
    whole = _whole_mask(regions)

    frozen = []
    for term, share in content_terms:
        mask = at_tap(whole, of_content, term)
        measured = term.measure(of_content, mask)
        unit: float | Tensor = 1.0
        if scale == "calibrated":
            energies = [
                term.energy(term.measure(features, at_tap(style.mask, features, term)))
                for region, some in zip(regions, of_styles, strict=True)
                for style, features in zip(region.styles, some, strict=True)
            ]
            unit = term.energy(measured) + FLOOR * torch.stack(energies).mean(0) + 1e-12
        area = regions[0].content if whole is None else float(whole.mean())
        frozen.append(Frozen(term.name, term, term.freeze(measured), area * share * weights.content_total, unit, mask))
    for number, (region, some) in enumerate(zip(regions, of_styles, strict=True), start=1):
        area = 1.0 if region.mask is None else float(region.mask.mean())
        for loss, term, share in style_terms:
            parts = _mixed(term, region, some)
            target, mask = term.freeze(parts), at_tap(region.mask, of_content, term)
            unit = 1.0
            if scale == "calibrated":
                apart = term.distance(term.measure(of_content, mask), target)
                unit = apart + FLOOR * term.energy(parts) + 1e-12
            name = term.name if len(formulas.style) == 1 else f"{loss} {term.name}"
            name = name if len(regions) == 1 else f"{name} @{number}"
            weight = area * region.style * share * weights.style_total
            frozen.append(Frozen(name, term, target, weight, unit, mask))
    covered = None if whole is None else (whole > 0).to(whole.dtype)
    mask = at_tap(covered, of_content, variation)
    here = variation.measure(of_content, mask)
    unit = 1.0
    if scale == "calibrated":
        both = [here, *(_mixed(variation, region, some) for region, some in zip(regions, of_styles, strict=True))]
        unit = sum(variation.distance(m, None) for m in both) / len(both) + variation.energy(here)
    frozen.append(Frozen(variation.name, variation, None, float(weights.tv), unit, mask))
    return Objective(backbone, [*frozen, *extra], balance=formulas.balance)


def at_tap(mask: Mask | None, features: Features, term: Term) -> Mask | None:
    """A mask at the size of a term's features: the mean over what each of their pixels stands for."""
    if mask is None:
        return None
    height, width = features[term.taps[0]].shape[-2:]
    return F.adaptive_avg_pool2d(mask, (height, width))


def shares(layers: Mapping[str, float], scale: Scale) -> Mapping[str, float]:
    """Calibrated losses are weighted means over their taps, those of the literature weighted sums."""
    whole = sum(layers.values()) if scale == "calibrated" else 1.0
    return {tap: weight / whole for tap, weight in layers.items()}


def _whole_mask(regions: Sequence[Region]) -> Mask | None:
    """Where and how much the content counts."""
    if len(regions) == 1 and regions[0].mask is None:
        return None
    masks = [region.content * region.mask for region in regions if region.mask is not None]
    return torch.stack(masks).sum(0)


def _mixed(term: Term, region: Region, some: Sequence[Features]) -> Any:
    parts = [
        term.measure(features, at_tap(style.mask, features, term))
        for style, features in zip(region.styles, some, strict=True)
    ]
    return term.mix(parts, [style.share for style in region.styles])
