"""The objective of a run at one size: the losses of the plan, for the pictures at this size."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.backbones.network import Network
from artune.engine.descend import Evaluation, InParts, evaluate_in_parts, run_to_end
from artune.engine.optimisers import OPTIMISERS
from artune.images.picture import Floats
from artune.losses import tiled
from artune.losses.matting import matting
from artune.losses.objective import (
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
from artune.transfer.sizes import fitted, painting_size


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
    """

    plan: OptimisePlan
    inputs: Inputs
    network: Network
    rung: Rung
    side: int | None = None

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

    def objective(self, content: Image, paintings: Paintings) -> InParts[MaskedObjective]:
        """Measure a photograph, and build the objective.

        Args:
            content: the photograph at this size, ``[1, 3, h, w]``.
            paintings: the measured paintings, as ``paintings`` returns them.
        """
        (found,) = yield from self.objectives(content, paintings, [self.plan])
        return found

    def objectives(
        self, content: Image, paintings: Paintings, plans: Sequence[OptimisePlan]
    ) -> InParts[list[MaskedObjective]]:
        """Measure a photograph, and build the objectives of plans that differ in their strength alone.

        Args:
            content: the photograph at this size, ``[1, 3, h, w]``.
            paintings: the measured paintings, as ``paintings`` returns them.
            plans: the plans.
        """
        method, backbone, found = self.plan.method, self.network.backbone, []
        photograph = yield from self._measured(content, self.terms.of_photograph(self._regions(content, self.plan)))
        extra = [matting(content, method.photoreal)] if method.photoreal else []
        height, width = content.shape[-2:]
        for plan in plans:
            weights = Weights(method.content_layers, method.style_layers, tv=plan.method.tv)
            regions = self._regions(content, plan)
            whole = assemble(backbone, self.terms, regions, paintings, photograph, weights, self.formulas, extra)
            objective = whole if self.side is None else TiledObjective(whole, height, width, self.side)
            found.append(MaskedObjective(objective, covered_at(self.inputs, content)))
        return found

    @cached_property
    def terms(self) -> Terms:
        """The terms of the plan's losses and layers."""
        method = self.plan.method
        return Terms.of(Weights(method.content_layers, method.style_layers), self.formulas)

    @cached_property
    def formulas(self) -> Formulas:
        """The loss functions of the plan, and their units."""
        return formulas_of(self.plan)

    def _regions(self, content: Image, plan: OptimisePlan) -> list[RegionWeights]:
        """Mask and weights of every region."""
        regions = []
        for region, (of_content, of_style) in zip(
            self.inputs.regions, weights_by_region(plan, self.inputs), strict=True
        ):
            mask = _mask(self.inputs.weight(region), content)
            regions.append(RegionWeights(mask, style=of_style, content=of_content))
        return regions

    def _measured(self, image: Image, wanted: MaskedTerms) -> InParts[list[Measured]]:
        if self.side is None:
            with torch.no_grad():
                return measure(self.network.backbone, image, wanted)
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
    )


def photograph_at(inputs: Inputs, longer: int, device: torch.device) -> Image:
    """The photograph at a longer side of ``longer`` pixels, ``[1, 3, h, w]`` in [0, 1]."""
    shown = inputs.photograph
    return shown.resized(*fitted(*shown.size, longer)).tensor().to(device)


def covered_at(inputs: Inputs, content: Image) -> Mask | None:
    """Share of the result at each pixel of ``content``, ``[1, 1, h, w]``; ``None`` if it is 1 everywhere."""
    height, width = content.shape[-2:]
    covered = inputs.covered_at(width, height)
    return None if covered is None else torch.from_numpy(covered).to(content.device)[None, None]


def weights_by_region(plan: OptimisePlan, inputs: Inputs) -> list[tuple[float, float]]:
    """Content weight and style weight of each region."""
    return [plan.at(strength) for strength in strengths_by_region(plan, inputs)]


def _styled(painting: Painting, share: float, rung: Rung, plan: OptimisePlan, network: Network) -> PaintingImage:
    size = painting_size(painting.picture, rung.size, plan.style_scale)
    image = painting.picture.resized(*size).tensor().to(network.device)
    mask, least = _mask(painting.weight(), image), network.backbone.smallest
    return PaintingImage(at_least(image, least), share, None if mask is None else at_least(mask, least))


def _mask(mask: Floats | None, image: Image) -> Mask | None:
    height, width = image.shape[-2:]
    return None if mask is None else torch.from_numpy(resized_mask(mask, width, height)).to(image.device)[None, None]


def at_least(image: Tensor, side: int) -> Tensor:
    """Replicate the border of a painting that is smaller than the network needs, in pixels a side."""
    height, width = image.shape[-2:]
    down, right = max(0, side - height), max(0, side - width)
    return F.pad(image, (0, right, 0, down), mode="replicate") if down or right else image
