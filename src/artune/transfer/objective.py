"""What is minimised at one size: the spec's losses, of the pictures at that size."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.backbones.network import Network
from artune.engine.descend import Evaluation, Function
from artune.images.picture import Floats
from artune.losses import tiled
from artune.losses.matting import matting
from artune.losses.objective import Formulas, Region, Styled, Weights, build
from artune.losses.protocol import Draws, Mask
from artune.regions.masks import resized_mask
from artune.spec.style import Rung, StyleSpec
from artune.transfer.inputs import Inputs, Painting
from artune.transfer.plan import at_strength, weights_at
from artune.transfer.sizes import fitted, painting_size


def sized_objective(
    spec: StyleSpec,
    inputs: Inputs,
    network: Network,
    content: Image,
    rung: Rung,
    *,
    others: Sequence[StyleSpec] = (),
    side: int | None = None,
    on_tile: tiled.OnTile | None = None,
) -> Function:
    """The objective of a size; it has no gradient where the photograph is to stay.

    Args:
        spec: resolved.
        inputs: as the network sees them.
        network: the loss network.
        content: the photograph at that size.
        rung: the size.
        others: the same as ``spec`` but for the strength: the objective is then that of a batch, ``spec`` first.
        side: of the tiles in which it is computed, pixels; ``None``: as a whole.
        on_tile: told after every tile.
    """
    method, backbone = spec.method, network.backbone
    specs = (spec, *others)
    tv = _ladder([each.method.tv or 0.0 for each in specs], content)
    weights = Weights(method.content_layers or {}, method.style_layers or {}, tv=tv)
    formulas = Formulas(
        style=method.loss,
        content=method.content_loss,
        variation=method.variation,
        scale=method.scale,
        draws=Draws(spec.seed, fixed=method.optimiser == "lbfgs"),
        balance=method.balance_gradients,
    )
    regions = []
    of_places = zip(*(place_weights(each, inputs) for each in specs), strict=True)
    for place, pairs in zip(inputs.places, of_places, strict=True):
        of_content, of_style = (_ladder(side, content) for side in zip(*pairs, strict=True))
        mixed = spec.style_weights if len(place.paintings) > 1 else None
        shares = mixed or (1.0,) * len(place.paintings)
        paintings = zip(place.paintings, shares, strict=True)
        styles = [_styled(painting, share, rung, spec, network) for painting, share in paintings]
        regions.append(Region(styles, _mask(inputs.weight(place), content), style=of_style, content=of_content))
    objective: Function
    if side is not None:
        objective = tiled.build(backbone, content, regions, weights, formulas, side=side, on_tile=on_tile)
    else:
        extra = [matting(content, method.photoreal)] if method.photoreal else []
        objective = build(backbone, content, regions, weights, formulas, extra)
    return _confined(objective, covered_at(inputs, content))


def photograph_at(inputs: Inputs, longer: int, device: torch.device) -> Image:
    """The photograph with that longer side, pixels."""
    shown = inputs.photograph
    return shown.resized(*fitted(*shown.size, longer)).tensor().to(device)


def covered_at(inputs: Inputs, content: Image) -> Mask | None:
    """Where the result may differ from the photograph ``content``; ``None`` for everywhere."""
    height, width = content.shape[-2:]
    covered = inputs.covered_at(width, height)
    return None if covered is None else torch.from_numpy(covered).to(content.device)[None, None]


def place_strengths(spec: StyleSpec, inputs: Inputs) -> list[float]:
    """The strength in each place; the rest comes last."""
    return [*(spec.region_strengths or ()), at_strength(spec)][: len(inputs.places)]


def place_weights(spec: StyleSpec, inputs: Inputs) -> list[tuple[float, float]]:
    """Weights of content and style in each place."""
    return [weights_at(spec, strength) for strength in place_strengths(spec, inputs)]


def _ladder(weights: Sequence[float], content: Image) -> float | Tensor:
    """A number, or one for each of a batch, where the pictures are."""
    return weights[0] if len(weights) == 1 else torch.tensor(weights, device=content.device)


def _styled(painting: Painting, share: float, rung: Rung, spec: StyleSpec, network: Network) -> Styled:
    size = painting_size(painting.picture, rung, spec)
    image = painting.picture.resized(*size).tensor().to(network.device)
    mask, least = _mask(painting.weight(), image), network.backbone.smallest
    return Styled(_at_least(image, least), share, None if mask is None else _at_least(mask, least))


def _mask(mask: Floats | None, image: Image) -> Mask | None:
    height, width = image.shape[-2:]
    return None if mask is None else torch.from_numpy(resized_mask(mask, width, height)).to(image.device)[None, None]


def _at_least(image: Tensor, side: int) -> Tensor:
    """Repeat the border of a style picture that is too small for the network."""
    height, width = image.shape[-2:]
    down, right = max(0, side - height), max(0, side - width)
    return F.pad(image, (0, right, 0, down), mode="replicate") if down or right else image


def _confined(objective: Function, covered: Mask | None) -> Function:
    """The same without a gradient where the photograph is to stay."""
    if covered is None:
        return objective

    def confined(x: Tensor, step: int) -> Evaluation:
        value = objective(x, step)
        return value._replace(gradient=value.gradient.mul_(covered > 0))

    return confined
