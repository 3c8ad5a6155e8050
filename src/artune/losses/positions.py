"""Features at a sample of positions: what the losses work on that compare positions, not moments.

Positions are drawn in proportion to a mask, so that the formulas need no weights.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from artune.losses.moments import widened


class MaskedFeatures(NamedTuple):
    """One picture's features at a tap.

    Attributes:
        features: at all positions.
        mask: how likely a position is drawn, beside the others; ``None`` for equally.
        share: its proportion among several pictures.
    """

    features: Float[Tensor, "b c h w"]
    mask: Float[Tensor, "#b 1 h w"] | None = None
    share: float = 1.0


def draw(part: MaskedFeatures, limit: int, generator: torch.Generator) -> Int[Tensor, "#b n"]:
    """Positions of a sample, ascending: all that have a mask above 0, or ``limit`` of more.

    Stratified: the positions, each as long as its mask, are cut into ``n`` pieces of equal length, and a point of each
    piece is drawn. Where there are no more than ``limit`` and all count alike, each is drawn once.
    """
    weight = mass(part)
    count = min(limit, max(1, available(part)))
    strata = torch.arange(count) + torch.rand(count, generator=generator, dtype=torch.float64)
    ends = weight.cumsum(1)
    levels = (strata / count).to(ends) * ends[:, -1:]
    return torch.searchsorted(ends, levels, right=True).clamp(max=weight.shape[1] - 1)


def mass(part: MaskedFeatures) -> Float[Tensor, "#b n"]:
    """The mask over all positions, in fp64 where the device has it."""
    features, mask, _ = part
    height, width = features.shape[-2:]
    if mask is None:
        return widened(torch.ones((1, height * width), device=features.device))
    return widened(mask.flatten(1))


def available(part: MaskedFeatures) -> int:
    """Positions with a mask above 0."""
    return int((mass(part) > 0).sum(1).amax())


def rows(features: Float[Tensor, "b c h w"], index: Int[Tensor, "#b n"]) -> Float[Tensor, "b n c"]:
    """Features at positions, at least fp32."""
    every = features.flatten(2).transpose(1, 2)  # b h*w c; a view
    some = every.gather(1, index.unsqueeze(2).expand(len(every), -1, every.shape[2]))
    return some.to(torch.promote_types(some.dtype, torch.float32))


def patches(features: Float[Tensor, "b c h w"], index: Int[Tensor, "#b n"]) -> Float[Tensor, "b n d"]:
    """Features of the 3x3 positions around each one, ``d = 9 c``; at the border the nearest there are."""
    height, width = features.shape[-2:]
    y, x = index // width, index % width
    around = [
        (y + down).clamp(0, height - 1) * width + (x + right).clamp(0, width - 1)
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    ]
    return torch.cat([rows(features, one) for one in around], 2)


def inside(part: MaskedFeatures) -> MaskedFeatures:
    """The part with a mask of the positions whose 3x3 neighbours all count, by the least of them; if there are any."""
    features, mask, _ = part
    mask = features.new_ones((1, 1, *features.shape[-2:])) if mask is None else mask
    least = -F.max_pool2d(-F.pad(mask.float(), (1, 1, 1, 1)), 3, 1)
    return part._replace(mask=least if least.any() else mask)


def allot(parts: Sequence[MaskedFeatures], limit: int) -> list[int]:
    """How many positions of each part make a sample of at most ``limit`` in which every part has its share."""
    count = min(limit, sum(available(part) for part in parts if part.share))
    whole = sum(part.share for part in parts)
    return [max(1, round(count * part.share / whole)) if part.share else 0 for part in parts]
