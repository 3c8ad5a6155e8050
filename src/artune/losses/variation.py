"""Total variation: how much neighbouring pixels differ."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from artune.images.resize import NO_WRAPS, Wraps

_NEAR = ((0, 1, 1.0), (1, 0, 1.0))
Variation = Literal["l2", "l1", "nine-point"]

NEIGHBOURS: dict[Variation, tuple[tuple[int, int, float], ...]] = {
    "l2": _NEAR,
    "l1": _NEAR,
    "nine-point": (*_NEAR, (1, 1, 0.25), (1, -1, 0.25)),
}
"""Neighbours of a pixel: rows down, columns to the right, weight. Each pair is listed once. The diagonal neighbours of
the nine-point stencil have a quarter of the weight of the others (1/12 and 1/3 in Crowson's style-transfer-pytorch)."""


class _Squares(torch.autograd.Function):
    """Sum of squared differences to the pixels below and to the right; its backward copies less than autograd's."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, chroma: float) -> Tensor:
        image = _coloured(image, chroma)
        across, down = image.diff(dim=3), image.diff(dim=2)
        ctx.save_for_backward(across, down)
        ctx.chroma = chroma
        return across.square().sum((1, 2, 3)) + down.square().sum((1, 2, 3))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        across, down = ctx.saved_tensors
        out: Tensor = F.pad(across, (1, 0))
        out[..., :-1] -= across
        out[..., 1:, :] += down
        out[..., :-1, :] -= down
        return _coloured(out.mul_(2 * grad[:, None, None, None]), ctx.chroma), None


def _coloured(image: Tensor, chroma: float) -> Tensor:
    """A picture whose colours, the differences of channels from their mean, are the root of ``chroma`` times as large.

    The map is linear and symmetric, so that it is its own adjoint.
    """
    if chroma == 1:
        return image
    return torch.add(chroma**0.5 * image, image.mean(1, keepdim=True), alpha=1 - chroma**0.5)


def total_variation(
    image: Float[Tensor, "b c h w"],
    mask: Float[Tensor, "#b 1 h w"] | None = None,
    *,
    kind: Variation = "l2",
    chroma: float = 1.0,
    wraps: Wraps = NO_WRAPS,
) -> tuple[Float[Tensor, "b"], Float[Tensor, "b"]]:
    """Sum of the differences of neighbouring pixels over all channels, and the number of pairs.

    ``l2``: squared differences to the pixels below and to the right (Mahendran and Vedaldi 2015, beta = 2). ``l1``:
    absolute differences (Rudin, Osher and Fatemi 1992, anisotropic), which keep edges and flatten the areas between
    them. ``nine-point``: squared differences to all eight neighbours; diagonal pairs have weight 1/4, in the number of
    pairs, too.

    Args:
        image: a picture, ``[b, c, h, w]``.
        mask: weight of each pixel; the weight of a pair is the product of both.
        kind: see above.
        chroma: weight of colour relative to brightness: factor of the square of a channel's difference from the mean of
            the pixel's channels.
        wraps: axes along which the picture repeats: its first row, or column, is next to its last.

    Returns:
        the sum and the number of pairs, ``[b]`` each.
    """
    batch, _, height, width = image.shape
    if kind == "l2" and mask is None and not any(wraps):
        total: Tensor = _Squares.apply(image, chroma)
        return total, image.new_full((batch,), float(height * (width - 1) + (height - 1) * width))
    image = _coloured(image, chroma)
    mask = image.new_ones((1, 1, height, width)) if mask is None else mask
    total, count = image.new_zeros(batch), image.new_zeros(batch)
    for down, right, weight in NEIGHBOURS[kind]:
        (here, there), (one, other) = (_shifted(x, down, right, wraps) for x in (image, mask))
        both = weight * one * other
        apart = here - there
        total = total + (both * (apart.abs() if kind == "l1" else apart.square())).sum((1, 2, 3))
        count = count + both.sum((1, 2, 3))
    return total, count


def _shifted(x: Tensor, down: int, right: int, wraps: Wraps) -> tuple[Tensor, Tensor]:
    """Pixels, and their neighbours ``down`` rows below and ``right`` columns to the right."""
    for dim, far, repeats in ((-2, down, wraps.down), (-1, right, wraps.across)):
        if repeats and far:  # as many rows or columns more, so that each pixel has this neighbour
            more = x.narrow(dim, 0, far) if far > 0 else x.narrow(dim, far, -far)
            x = torch.cat([x, more] if far > 0 else [more, x], dim)
    height, width = x.shape[-2:]
    first, last = max(0, -right), width - max(0, right)
    return x[..., : height - down, first:last], x[..., down:, first + right : last + right]
