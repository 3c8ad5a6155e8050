"""Sums of features, and of their outer products, over positions: what the moments of a tap are made of.

Sums are fp32 for features of any precision: outer products overflow in fp16, and lose digits in bf16.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 2**20
"""Bytes of features that are worked off at a time on a CPU, so that their copies stay in its cache."""
LARGER = 64
"""How many times larger chunks are on other devices (64 MiB): few calls, and yet no fp32 copy of a whole tap."""


class Sums(NamedTuple):
    """Sums over the positions of a tap.

    Attributes:
        positions: number of positions.
        first: sum of the features, ``[b, c]``.
        second: sum of their outer products, ``[b, c, c]``.
    """

    positions: int
    first: Float[Tensor, "b c"]
    second: Float[Tensor, "b c c"]


def at_least_fp32(x: Tensor) -> Tensor:
    """The same values, in fp32 if they were less precise."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def empty_sums(features: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c c"]]:
    """Zeros for the sums of features."""
    batch, channels = features.shape[:2]
    kind = torch.promote_types(features.dtype, torch.float32)
    first, second = (batch, channels), (batch, channels, channels)
    return features.new_zeros(first, dtype=kind), features.new_zeros(second, dtype=kind)


def add_sums(first: Tensor, second: Tensor, features: Float[Tensor, "b c h w"], weight: Tensor | None = None) -> None:
    """Add the sums of some rows of a tap.

    Args:
        first: ``[b, c]``; the sum of the rows is added to it.
        second: ``[b, c, c]``, likewise.
        features: the rows.
        weight: of each position, ``[b, 1, h, w]``.
    """
    rows = at_least_fp32(features.permute(0, 2, 3, 1))  # b h w c
    weighted = rows if weight is None else rows * weight.permute(0, 2, 3, 1)
    batch, height, width, channels = rows.shape
    if channels > width or rows.device.type != "cpu":
        rows, weighted = rows.flatten(1, 2), weighted.flatten(1, 2)
        first += weighted.sum(1)
        second.baddbmm_(weighted.transpose(1, 2), rows)
        return
    # on a CPU a product for each row needs no copy of a crop, and shares out the work better than one long product
    rows, weighted = rows.flatten(0, 1), weighted.flatten(0, 1)
    ones = rows.new_ones((batch * height, 1, width))
    first += torch.bmm(ones, weighted).view(batch, height, channels).sum(1)
    second += torch.bmm(weighted.transpose(1, 2), rows).view(batch, height, channels, channels).sum(1)


def gradient_of_sums(first: Tensor, both: Tensor, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Gradient of the sums of some rows of a tap, with channels last.

    Args:
        first: derivative of the first sum, ``[b, c]``, in the precision of the features.
        both: derivative of the second sum, plus its transpose, ``[b, c, c]``, in the precision of the features.
        features: the rows.
    """
    rows = features.permute(0, 2, 3, 1)  # b h w c
    if rows.device.type != "cpu":
        return torch.baddbmm(first.unsqueeze(1), rows.flatten(1, 2), both).view(rows.shape).permute(0, 3, 1, 2)
    found = torch.empty(rows.shape, dtype=rows.dtype, device=rows.device)
    for image, some in enumerate(rows):  # for one image, its product of each row with the same matrix makes no copy
        torch.baddbmm(first[image], some, both[image].expand(len(some), -1, -1), out=found[image])
    return found.permute(0, 3, 1, 2)


def row_chunks(features: Float[Tensor, "b c h w"], size: int, multiple: int = 1) -> Iterator[slice]:
    """Ranges of rows that cover a tap.

    Args:
        features: the tap.
        size: bytes of a chunk on a CPU, about; elsewhere it is ``LARGER`` times as large.
        multiple: number that the rows of a chunk are a multiple of, but for the last one.
    """
    batch, channels, height, width = features.shape
    size = size if features.device.type == "cpu" else LARGER * size
    rows = size // max(1, batch * channels * width * features.element_size()) // multiple * multiple
    step = max(rows, multiple)
    return (slice(begin, min(begin + step, height)) for begin in range(0, height, step))


class _OfFeatures(torch.autograd.Function):
    """``sums_of``. Its backward needs one matrix product where autograd needs two, and keeps the features in their own
    precision.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(features, weight)
        first, second = empty_sums(features)
        for rows in row_chunks(features, CHUNK):
            add_sums(first, second, features[:, :, rows], None if weight is None else weight[:, :, rows])
        return first, second

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, first: Tensor, second: Tensor) -> tuple[Tensor, None]:
        features, weight = ctx.saved_tensors
        first, both = first.to(features.dtype), (second + second.transpose(1, 2)).to(features.dtype)
        found = torch.empty_like(features, memory_format=torch.channels_last)
        for rows in row_chunks(features, CHUNK):
            found[:, :, rows] = gradient_of_sums(first, both, features[:, :, rows])
        return found if weight is None else found.mul_(weight.to(features.dtype)), None


def sums_of(features: Float[Tensor, "b c h w"], weight: Float[Tensor, "b 1 h w"] | None = None) -> Sums:
    """Sums of a tap, differentiable by the features.

    Args:
        features: activations of any precision.
        weight: of each position.
    """
    return Sums(features.shape[-2] * features.shape[-1], *_OfFeatures.apply(features, weight))
