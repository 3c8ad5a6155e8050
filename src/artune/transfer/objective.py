"""The objective of a run at one size: the losses of the plan, for the pictures at this size."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Backbone, Image
from artune.backbones.circular import Circular
from artune.backbones.network import Network
from artune.engine.descend import Evaluation, InParts, evaluate_in_parts, run_to_end
from artune.engine.optimisers import OPTIMISERS
from artune.images.picture import Floats
from artune.images.resize import WRAPS, fitted
from artune.losses import tiled
from artune.losses.matting import matting
from artune.losses.objective import (
    AnyWeightedTerm,
    Formulas,
    MaskedTerms,
    Measured,
    MeasuredPainting,
    Objective,
    PaintingImage,
    Paintings,
    RegionWeights,
    Terms,
    Weights,
    assemble,
    measure,
)
from artune.losses.protocol import Draws, Mask
from artune.losses.tiled import TiledObjective
from artune.regions.masks import resized_mask
from artune.spec.style import Rung
from artune.transfer.inputs import Inputs, Painting
from artune.transfer.plan import OptimisePlan, strengths_by_region
from artune.transfer.sizes import painting_size


class MaskedObjective:
    """An objective whose gradient is zero where the photograph must not change.

    Args:
        objective: the objective, computed as a whole or in tiles.
        covered: ``[1, 1, h, w]``, above 0 where the result may differ from the photograph; ``None``: everywhere.
    """

    def __init__(self, objective: Objective | TiledObjective, covered: Mask | None) -> None:
        self.objective, self.covered = objective, covered

    def __call__(self, x: Image, step: int) -> Evaluation:
        return run_to_end(self.in_parts(x, step))

    def in_parts(self, x: Image, step: int) -> InParts[Evaluation]:
        """Evaluate the objective, and yield after each tile if it is computed in tiles."""
        value = yield from evaluate_in_parts(self.objective, x, step)
        if self.covered is None:
            return value
        return value._replace(gradient=value.gradient.mul_(self.covered > 0))

    @torch.no_grad()
    def losses(self, x: Image, step: int) -> dict[str, float]:
        """Total and losses of one picture ``[1, 3, h, w]``, by name."""
        losses = self.objective.losses(x, step)
        named = {"total": self.objective.total(losses), **losses}
        return {name: float(value[0]) for name, value in named.items()}


@dataclass(frozen=True, eq=False)
class ObjectiveBuilder:
    """Builds the objectives of one size, for one photograph or several frames with the same paintings.

    Attributes:
        plan: the plan.
        inputs: the pictures in the colours that the network sees.
        network: the loss network.
        rung: the size.
        side: side of the tiles in which the size is computed, pixels; ``None``: as a whole.
        terms: of the plan's losses and layers.
    """

    plan: OptimisePlan
    inputs: Inputs
    network: Network
    rung: Rung
    side: int | None = None
    terms: Terms = field(init=False)

    def __post_init__(self) -> None:
        method = self.plan.method
        terms = Terms.of(Weights(method.content_layers, method.style_layers), self.formulas)
        object.__setattr__(self, "terms", terms)

    def for_frame(self, plan: OptimisePlan, inputs: Inputs) -> Self:
        """The builder of another frame's objective; what this one has measured of the paintings serves it, too."""
        other = replace(self, plan=plan, inputs=inputs)
        object.__setattr__(other, "terms", self.terms)
        return other

    def paintings(self) -> InParts[Paintings]:
        """Measure the paintings. Once is enough for any number of photographs or frames."""
        terms = self.terms
        found: list[list[MeasuredPainting]] = []
        for region in self.inputs.regions:
            some: list[MeasuredPainting] = []
            shares = self.plan.style_weights if len(region.paintings) > 1 else (1.0,)
            for painting, share in zip(region.paintings, shares, strict=True):
                style = _styled(painting, share, self.rung, self.plan, self.network)
                values = yield from self._measured(style.image, terms.of_painting(style))
                some.append(terms.measured(style, values))
            found.append(some)
        return found

    def objective(
        self, content: Image, paintings: Paintings, extra: Sequence[AnyWeightedTerm] = ()
    ) -> InParts[MaskedObjective]:
        """Measure a photograph, and build the objective.

        Args:
            content: the photograph at this size, ``[1, 3, h, w]``.
            paintings: the measured paintings, as ``paintings`` returns them.
            extra: more terms, with their targets.
        """
        (found,) = yield from self.objectives(content, paintings, [self.plan], extra)
        return found

    def objectives(
        self,
        content: Image,
        paintings: Paintings,
        plans: Sequence[OptimisePlan],
        extra: Sequence[AnyWeightedTerm] = (),
    ) -> InParts[list[MaskedObjective]]:
        """Measure a photograph, and build the objectives of plans that differ in their strength alone.

        Args:
            content: the photograph at this size, ``[1, 3, h, w]``.
            paintings: the measured paintings, as ``paintings`` returns them.
            plans: the plans.
            extra: more terms, with their targets.
        """
        method, backbone, found = self.plan.method, self.backbone, []
        wanted = self.terms.of_photograph(self._regions(content, self.plan))
        photograph = yield from self._measured(content, wanted, backbone)
        extra = [*extra, *([matting(content, method.photoreal)] if method.photoreal else [])]
        height, width = content.shape[-2:]
        for plan in plans:
            weights = Weights(method.content_layers, method.style_layers, tv=plan.method.tv)
            regions = self._regions(content, plan)
            whole = assemble(backbone, self.terms, regions, paintings, photograph, weights, self.formulas, extra)
            objective = whole if self.side is None else TiledObjective(whole, height, width, self.side)
            found.append(MaskedObjective(objective, covered_at(self.inputs, content)))
        return found

    @cached_property
    def formulas(self) -> Formulas:
        """The loss functions of the plan, and their units."""
        return formulas_of(self.plan)

    def _regions(self, content: Image, plan: OptimisePlan) -> list[RegionWeights]:
        """Mask and weights of every region."""
        height, width = content.shape[-2:]
        kept, regions = mask_on(self.inputs.kept_at(width, height), content), []
        for region, strength in zip(self.inputs.regions, strengths_by_region(plan, self.inputs), strict=True):
            mask = mask_on(self.inputs.weight_at(region, width, height), content)
            (of_content, of_style), (kept_content, _) = plan.at(strength), plan.at(strength, kept=1.0)
            regions.append(RegionWeights(mask, of_style, of_content, kept, kept_content))
        return regions

    @cached_property
    def backbone(self) -> Backbone:
        """The network as the photograph and the result are seen by it."""
        inner, wraps = self.network.backbone, self.inputs.wraps
        return Circular(inner, wraps) if any(wraps) else inner

    def _measured(self, image: Image, wanted: MaskedTerms, backbone: Backbone | None = None) -> InParts[list[Measured]]:
        if self.side is None:
            with torch.no_grad():
                return measure(backbone or self.network.backbone, image, wanted)
        return (yield from tiled.measure_in_tiles(self.network.backbone, image, wanted, side=self.side))


def formulas_of(plan: OptimisePlan) -> Formulas:
    """The loss functions of a plan, and their units."""
    method = plan.method
    return Formulas(
        style=method.loss,
        content=method.content_loss,
        variation=method.variation,
        scale=method.scale,
        draws=Draws(plan.seed, fixed=OPTIMISERS[method.optimiser].fixed_draws),
        balance_gradients=method.balance_gradients,
        wraps=WRAPS[plan.tile],
    )


def photograph_at(inputs: Inputs, longer: int, device: torch.device) -> Image:
    """The photograph at a longer side of ``longer`` pixels, ``[1, 3, h, w]`` in [0, 1]."""
    return inputs.photograph_at(*fitted(*inputs.photograph.size, longer)).tensor().to(device)


def covered_at(inputs: Inputs, content: Image) -> Mask | None:
    """Share of the result at each pixel of ``content``, ``[1, 1, h, w]``; ``None`` if it is 1 everywhere."""
    height, width = content.shape[-2:]
    return mask_on(inputs.covered_at(width, height), content)


def _styled(painting: Painting, share: float, rung: Rung, plan: OptimisePlan, network: Network) -> PaintingImage:
    size = painting_size(painting.picture, rung.size, plan.style_scale)
    image = painting.picture.resized(*size).tensor().to(network.device)
    mask, least = mask_at(painting.weight(), image), network.backbone.smallest
    return PaintingImage(at_least(image, least), share, None if mask is None else at_least(mask, least))


def mask_on(mask: Floats | None, image: Image) -> Mask | None:
    """A mask as a tensor ``[1, 1, h, w]``, where a picture is."""
    return None if mask is None else torch.from_numpy(mask).to(image.device)[None, None]


def mask_at(mask: Floats | None, image: Image) -> Mask | None:
    """A mask at the size of a picture, ``[1, 1, h, w]``."""
    height, width = image.shape[-2:]
    return None if mask is None else mask_on(resized_mask(mask, width, height), image)


def at_least(image: Tensor, side: int) -> Tensor:
    """Replicate the border of a painting that is smaller than the network needs, in pixels a side."""
    height, width = image.shape[-2:]
    down, right = max(0, side - height), max(0, side - width)
    return F.pad(image, (0, right, 0, down), mode="replicate") if down or right else image
