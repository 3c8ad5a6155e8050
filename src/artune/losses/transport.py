"""Optimal transport of one-dimensional distributions, which sorting solves."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def quantiles(rows: Float[Tensor, "b n c"], *, ties: bool = True) -> Float[Tensor, "b c n"]:
    """Values of each channel in ascending order: quantiles at the levels (i + 1/2) / n.

    Args:
        rows: a value for each position and channel.
        ties: whether many values are equal, as after a ReLU. On a CPU, NumPy sorts twice as fast as torch if few values
            are equal, and half as fast if many are.
    """
    values = rows.transpose(1, 2).contiguous()
    if ties or values.device.type != "cpu":
        return values.sort(dim=2).values
    order = np.argsort(values.detach().numpy(), axis=2)
    return values.gather(2, torch.from_numpy(order))


def transport(values: Float[Tensor, "b c n"], target: Float[Tensor, "#b c m"]) -> Float[Tensor, "b c"]:
    """Squared 2-Wasserstein distance of two distributions in each channel, from their quantiles.

    It is the mean over levels of the squared difference of the quantile functions. If the numbers of quantiles differ,
    those of the target are interpolated linearly.
    """
    if target.shape[2] != values.shape[2]:
        target = F.interpolate(target, values.shape[2], mode="linear", align_corners=False)
    return (values - target).square().mean(2)


def histogram(rows: Float[Tensor, "b n c"], target: Float[Tensor, "#b c m"]) -> Float[Tensor, "b"]:
    """Squared distance of features to the same features after histogram matching, summed over channels.

    Risser, Wilmot and Barnes 2017, as a mean over positions. Departure: histograms are matched exactly, by rank,
    instead of by bins, so the loss is the optimal transport in each channel. The matched value depends on the rank
    alone, so no gradient flows through the matching.
    """
    return transport(quantiles(rows), target).sum(1)


def sliced(
    a: Float[Tensor, "b n c"], b: Float[Tensor, "#b m c"], directions: Float[Tensor, "c k"]
) -> Float[Tensor, "b"]:
    """Sliced 2-Wasserstein distance, squared (Heitz 2021), times the number of channels.

    The mean over directions is about 1 / c of a squared distance in c dimensions. Multiplied by c, it is in the unit of
    the other distances: squared feature units.
    """
    channels, count = directions.shape
    apart = transport(quantiles(a @ directions, ties=False), quantiles(b @ directions, ties=False))
    return channels / count * apart.sum(1)


def orthonormal(channels: int, count: int, generator: torch.Generator) -> Float[Tensor, "{channels} {count}"]:
    """Random orthonormal directions, at most ``channels``: the Q factor of a matrix of normal random numbers."""
    normal = torch.randn((channels, count), generator=generator, dtype=torch.float64)
    directions: Tensor = torch.linalg.qr(normal).Q
    return directions.float()
