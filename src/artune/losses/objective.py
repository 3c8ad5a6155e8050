"""The objective: a network, terms with their frozen targets, and one weight for each.

Every calibrated distance is relative: a style distance of 1 is still the content, 0 is fully the style; so weights
mean the same at every size, on every tap and every network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import Backbone, Features, Image
from artune.engine.descend import Evaluation
from artune.losses.terms import STYLE_TERMS, Content, Mask, Term, TotalVariation
from artune.spec import Scale

FLOOR = 0.02
"""Share of the style's energy added to the denominator of a relative distance: content and style may be the same
picture, flat, or a single pixel."""

ROUNDING = 1e-5
"""A total of relative distances, over their weights, below which a gradient is that of rounding errors, and taken as
zero: a descent that heeds no scale would follow it at full speed."""


@dataclass(frozen=True)
class Weights:
    """What an objective is built from.

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
class Frozen:
    """A term with its target, its weight and the distance that counts as 1."""

    term: Term
    target: Any
    weight: float | Tensor
    unit: float | Tensor


class Objective:
    """Total loss of a picture, by a network and frozen terms; call it with a picture and a step."""

    def __init__(self, backbone: Backbone, frozen: Sequence[Frozen], masks: Mapping[str, Mask] | None = None) -> None:
        self.backbone = backbone
        self.frozen = [f for f in frozen if not (isinstance(f.weight, float) and f.weight == 0)]
        self.masks = masks or {}
        self.whole = sum(f.weight for f in self.frozen if isinstance(f.unit, Tensor))
        self.taps = tuple(dict.fromkeys(tap for f in self.frozen for tap in f.term.taps))

    def losses(self, x: Image) -> dict[str, Float[Tensor, "b"]]:
        """Every term's distance, relative where it is calibrated, not weighted."""
        features = self.backbone(x, self.taps)
        out = {}
        for f in self.frozen:
            measured = f.term.measure(features, self.masks.get(f.term.taps[0]))
            out[f.term.name] = f.term.distance(measured, f.target) / f.unit
        return out

    def __call__(self, x: Image, step: int) -> Evaluation:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            losses = self.losses(x)
            total = torch.stack([f.weight * losses[f.term.name] for f in self.frozen]).sum(0)
            (gradient,) = torch.autograd.grad(total.sum(), x)
        arrived = (total <= ROUNDING * self.whole).detach()
        if arrived.any():
            gradient = gradient * ~arrived[:, None, None, None]
        return Evaluation(total.detach(), {name: value.detach() for name, value in losses.items()}, gradient)


@torch.no_grad()
def build(
    backbone: Backbone,
    content: Image,
    styles: Sequence[Image],
    weights: Weights,
    *,
    loss: str = "w2",
    scale: Scale = "calibrated",
    style_weights: Sequence[float] | None = None,
    masks: Mapping[str, Mask] | None = None,
) -> Objective:
    """Measure, mix and freeze once, for one size.

    Args:
        backbone: the loss network.
        content: the photograph, ``[1, 3, h, w]``.
        styles: the paintings, each ``[1, 3, h, w]`` of its own size.
        weights: of taps and of the two sides.
        loss: a key of ``STYLE_TERMS``.
        scale: ``calibrated`` distances are relative; the others are those of the literature.
        style_weights: proportions of several styles.
        masks: per tap, where the content's statistics count.
    """
    masks = masks or {}
    sides: dict[str, list[Term]] = {
        "content": [Content(tap, scale) for tap in weights.content],
        "style": [STYLE_TERMS[loss](tap, scale) for tap in weights.style],
        "none": [TotalVariation(scale)],
    }
    taps = {tap for terms in sides.values() for term in terms for tap in term.taps}
    of_content = backbone(content, taps)
    of_styles = [backbone(style, taps) for style in styles]
    proportions = list(style_weights or [1.0] * len(styles))

    def mixed(term: Term) -> Any:
        parts = [term.measure(features) for features in of_styles]
        return term.mix(parts, proportions)

    frozen = []
    for term in sides["content"]:
        measured = term.measure(of_content, masks.get(term.taps[0]))
        share = shares(weights.content, scale)[term.taps[0]]
        unit: float | Tensor = 1.0
        if scale == "calibrated":
            unit = term.energy(measured) + FLOOR * _mean_energy(term, of_styles) + 1e-12
        frozen.append(Frozen(term, term.freeze(measured), share * weights.content_total, unit))
    for term in sides["style"]:
        parts = mixed(term)
        target = term.freeze(parts)
        share = shares(weights.style, scale)[term.taps[0]]
        unit = 1.0
        if scale == "calibrated":
            here = term.measure(of_content, masks.get(term.taps[0]))
            unit = term.distance(here, target) + FLOOR * term.energy(parts) + 1e-12
        frozen.append(Frozen(term, target, share * weights.style_total, unit))
    for term in sides["none"]:
        here = term.measure(of_content, masks.get("image"))
        unit = 1.0
        if scale == "calibrated":
            both = [here, mixed(term)]
            unit = sum(term.distance(m, None) for m in both) / 2 + term.energy(here)
        frozen.append(Frozen(term, None, float(weights.tv), unit))
    return Objective(backbone, frozen, masks)


def shares(layers: Mapping[str, float], scale: Scale) -> Mapping[str, float]:
    """Calibrated losses are weighted means over their taps, those of the literature weighted sums."""
    whole = sum(layers.values()) if scale == "calibrated" else 1.0
    return {tap: weight / whole for tap, weight in layers.items()}


def _mean_energy(term: Term, of_styles: Sequence[Features]) -> Tensor:
    return torch.stack([term.energy(term.measure(features)) for features in of_styles]).mean(0)
