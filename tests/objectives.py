"""Objectives of tensors, as a whole and in tiles; the product makes them of plans (``ObjectiveBuilder``)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch

from artune.backbones.base import Backbone, Image
from artune.engine.descend import run_to_end
from artune.losses.objective import (
    AnyWeightedTerm,
    Formulas,
    MaskedTerms,
    Measured,
    Objective,
    PaintingImage,
    RegionWeights,
    Terms,
    Weights,
    assemble,
    measure,
)
from artune.losses.tiled import TiledObjective, check_tiles, measure_in_tiles

Styled = Sequence[tuple[RegionWeights, Sequence[PaintingImage]]]
"""The regions of a photograph, each with its paintings."""


class AllWeights(NamedTuple):
    """Weights of the taps, and those of content, style and total variation."""

    content: Mapping[str, float]
    style: Mapping[str, float]
    content_total: float = 1.0
    style_total: float = 1.0
    tv: float = 0.0

    @property
    def of_taps(self) -> Weights:
        return Weights(self.content, self.style, self.tv)

    def of_region(self, region: RegionWeights) -> RegionWeights:
        return replace(region, style=region.style * self.style_total, content=region.content * self.content_total)


def build_objective(
    backbone: Backbone,
    content: Image,
    styled: Styled,
    weights: AllWeights,
    formulas: Formulas = Formulas(),
    extra: Sequence[AnyWeightedTerm] = (),
) -> Objective:
    """The objective of a photograph ``[1, 3, h, w]``, computed as a whole."""
    return _assembled(partial(measure, backbone), backbone, content, styled, weights, formulas, extra)


def build_tiled_objective(
    backbone: Backbone,
    content: Image,
    styled: Styled,
    weights: AllWeights,
    formulas: Formulas = Formulas(),
    extra: Sequence[AnyWeightedTerm] = (),
    *,
    side: int,
) -> TiledObjective:
    """The same in tiles of ``side`` pixels."""
    check_tiles(backbone, [*weights.content, *weights.style], formulas, extra)

    def measured(image: Image, wanted: MaskedTerms) -> list[Measured]:
        return run_to_end(measure_in_tiles(backbone, image, wanted, side=side))

    whole = _assembled(measured, backbone, content, styled, weights, formulas, extra)
    height, width = content.shape[-2:]
    return TiledObjective(whole, height, width, side)


@torch.no_grad()
def _assembled(
    measured: Callable[[Image, MaskedTerms], list[Measured]],
    backbone: Backbone,
    content: Image,
    styled: Styled,
    weights: AllWeights,
    formulas: Formulas,
    extra: Sequence[AnyWeightedTerm],
) -> Objective:
    terms, regions = Terms.of(weights.of_taps, formulas), [weights.of_region(region) for region, _ in styled]
    paintings = [
        [terms.measured(style, measured(style.image, terms.of_painting(style))) for style in styles]
        for _, styles in styled
    ]
    photograph = measured(content, terms.of_photograph(regions))
    return assemble(backbone, terms, regions, paintings, photograph, weights.of_taps, formulas, extra)
