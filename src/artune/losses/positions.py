"""Samples of features at random positions, for the losses that compare positions instead of moments.

The probability of a position is proportional to the mask, so that the losses need no weights.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from artune.losses.moments import widened


class MaskedFeatures(NamedTuple):
    """Features of one picture at a tap, with a mask.

    Attributes:
        features: features at all positions.
        mask: probability of each position, up to a factor; ``None``: all are equally likely.
        share: weight of the picture among several pictures.
    """

    features: Float[Tensor, "b c h w"]
    mask: Float[Tensor, "#b 1 h w"] | None = None
    share: float = 1.0


def draw(part: MaskedFeatures, limit: int, generator: torch.Generator) -> Int[Tensor, "#b n"]:
    """Draw a stratified sample of positions; at most ``limit`` of those with a mask above 0.

    The cumulated mask is divided into ``n`` intervals of equal length, and a point of each interval is drawn. If there
    are at most ``limit`` positions, and all have the same mask, each is drawn once.

    Returns:
        indices of the positions, ascending.
    """
    weight = mass(part)
    count = min(limit, max(1, available(part)))
    strata = torch.arange(count) + torch.rand(count, generator=generator, dtype=torch.float64)
    ends = weight.cumsum(1)
    levels = (strata / count).to(ends) * ends[:, -1:]
    return torch.searchsorted(ends, levels, right=True).clamp(max=weight.shape[1] - 1)


def mass(part: MaskedFeatures) -> Float[Tensor, "#b n"]:
    """The mask at all positions, flat, in fp64 if the device has it."""
    features, mask, _ = part
    height, width = features.shape[-2:]
    if mask is None:
        return widened(torch.ones((1, height * width), device=features.device))
    return widened(mask.flatten(1))


def available(part: MaskedFeatures) -> int:
    """Number of positions with a mask above 0."""
    return int((mass(part) > 0).sum(1).amax())


def rows(features: Float[Tensor, "b c h w"], index: Int[Tensor, "#b n"]) -> Float[Tensor, "b n c"]:
    """Features at the given positions, in fp32 or better."""
    every = features.flatten(2).transpose(1, 2)  # b h*w c; a view
    some = every.gather(1, index.unsqueeze(2).expand(len(every), -1, every.shape[2]))
    return some.to(torch.promote_types(some.dtype, torch.float32))


def patches(features: Float[Tensor, "b c h w"], index: Int[Tensor, "#b n"]) -> Float[Tensor, "b n d"]:
    """Features of the 3x3 positions around each position, ``d = 9 c``. The border is replicated."""
    height, width = features.shape[-2:]
    y, x = index // width, index % width
    around = [
        (y + down).clamp(0, height - 1) * width + (x + right).clamp(0, width - 1)
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    ]
    return torch.cat([rows(features, one) for one in around], 2)


def inside(part: MaskedFeatures) -> MaskedFeatures:
    """Replace the mask by its minimum over 3x3 positions, unless that is 0 everywhere.

    So only positions are drawn whose 3x3 neighbours all lie within the mask and the picture.
    """
    features, mask, _ = part
    mask = features.new_ones((1, 1, *features.shape[-2:])) if mask is None else mask
    least = -F.max_pool2d(-F.pad(mask.float(), (1, 1, 1, 1)), 3, 1)
    return part._replace(mask=least if least.any() else mask)


def allot(parts: Sequence[MaskedFeatures], limit: int) -> list[int]:
    """Numbers of positions to draw from each picture: about ``limit`` in all, in proportion to the shares."""
    count = min(limit, sum(available(part) for part in parts if part.share))
    whole = sum(part.share for part in parts)
    return [max(1, round(count * part.share / whole)) if part.share else 0 for part in parts]
