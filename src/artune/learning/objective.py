"""artune's objective for a batch of photographs, each with its own target, and the same paintings."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from artune.backbones.base import Backbone, Image, Pass
from artune.backbones.registry import defaults_of
from artune.errors import SpecError, UnknownNameError
from artune.losses.objective import (
    Formulas,
    Measured,
    Objective,
    PaintingImage,
    RegionWeights,
    Terms,
    Weights,
    assemble,
    measure,
)
from artune.losses.protocol import Draws
from artune.losses.terms import CONTENT_TERMS, STYLE_TERMS, balance_of
from artune.spec.train_style import StyleTrainSpec


def resolved(spec: StyleTrainSpec, backbone: Backbone) -> StyleTrainSpec:
    """The spec with the choices filled in that depend on the loss network: layers and weights.

    Args:
        spec: the spec as it was given.
        backbone: the loss network.

    Raises:
        UnknownNameError: there is no such loss or layer, or the weights end before it.
        SpecError: two names mean the same layer, or the squares are too small for the network.
    """
    for name in spec.loss:
        if name not in STYLE_TERMS:
            raise UnknownNameError("style loss", name, STYLE_TERMS)
    if spec.content_loss not in CONTENT_TERMS:
        raise UnknownNameError("content loss", spec.content_loss, CONTENT_TERMS)
    defaults = defaults_of(spec.network, backbone.taps)
    layers = {}
    for side, usual in (("content_layers", defaults.content), ("style_layers", defaults.style)):
        given: Mapping[str, float] = getattr(spec, side) or usual
        layers[side] = {backbone.tap(name): weight for name, weight in given.items()}
        if len(layers[side]) < len(given):
            raise SpecError(f"`{side}`: two of the layers are the same one of {backbone.name}; leave out one of them")
        backbone.check(layers[side])
    if spec.size < backbone.smallest:
        raise SpecError(f"`size` {spec.size}: {backbone.name} needs pictures of at least {backbone.smallest} pixels")
    filled = {
        "content_weight": 1 - spec.strength if spec.content_weight is None else spec.content_weight,
        "style_weight": balance_of(spec.loss) * spec.strength if spec.style_weight is None else spec.style_weight,
        "tv": defaults.tv * spec.strength if spec.tv is None else spec.tv,
    }
    if not any(filled.values()):
        raise SpecError("`content_weight`, `style_weight` and `tv` are all 0; give one of them a value above 0")
    return spec.model_copy(update={**layers, **filled})


class BatchObjective:
    """The losses of pictures that were made of a batch of photographs.

    Args:
        backbone: the loss network.
        paintings: ``[1, 3, h, w]`` each; their statistics are mixed.
        spec: losses, layers and weights, all of them chosen.
    """

    @torch.no_grad()
    def __init__(self, backbone: Backbone, paintings: Sequence[Image], spec: StyleTrainSpec) -> None:
        assert spec.content_layers is not None
        assert spec.style_layers is not None
        assert spec.content_weight is not None
        assert spec.style_weight is not None
        self.backbone = backbone
        self.formulas = Formulas(style=spec.loss, content=spec.content_loss, scale=spec.scale, draws=Draws(spec.seed))
        self.weights = Weights(spec.content_layers, spec.style_layers, tv=spec.tv or 0.0)
        self.terms = Terms.of(self.weights, self.formulas)
        self.regions = [RegionWeights(style=spec.style_weight, content=spec.content_weight)]
        self.paintings = []
        for image in paintings:
            painting = PaintingImage(image)
            found = measure(backbone, image, self.terms.of_painting(painting))
            self.paintings.append(self.terms.measured(painting, found))
        self._pass: Pass | None = None

    def losses(self, images: Image, photographs: Image, step: int) -> dict[str, Tensor]:
        """Weighted losses by name, means over the batch.

        Args:
            images: what was made, ``[b, 3, h, w]``.
            photographs: of the same shape.
            step: for random draws.
        """
        objective = self._of(photographs)
        if self._pass is None:
            self._pass = objective.network_pass
        output = self._pass(images)
        return {f.name: f.weight * f.loss(output, step).mean() for f in objective.terms}

    @torch.no_grad()
    def _of(self, photographs: Image) -> Objective:
        """The objective of these photographs."""
        wanted = self.terms.of_photograph(self.regions)
        if self.formulas.scale == "calibrated":  # relative to the photograph's own distance from the style
            found = measure(self.backbone, photographs, wanted)
        else:
            content = measure(self.backbone, photographs, wanted[: len(self.terms.content)])
            found = [*content, *[Measured(None, None)] * (len(wanted) - len(content))]
        return assemble(self.backbone, self.terms, self.regions, [self.paintings], found, self.weights, self.formulas)
