"""Optimal transport along lines: where a distribution has one dimension, sorting solves it."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def quantiles(rows: Float[Tensor, "b n c"], *, ties: bool = True) -> Float[Tensor, "b c n"]:
    """Every channel's values in ascending order: its quantiles at the levels (i + 1/2) / n.

    Args:
        rows: a value for each position and channel.
        ties: whether many values are equal, as behind a ReLU. Where few are, NumPy's vector instructions sort twice as
            fast on a CPU; where many are, half as fast.
    """
    values = rows.transpose(1, 2).contiguous()
    if ties or values.device.type != "cpu":
        return values.sort(dim=2).values
    order = np.argsort(values.detach().numpy(), axis=2)
    return values.gather(2, torch.from_numpy(order))


def transport(values: Float[Tensor, "b c n"], target: Float[Tensor, "#b c m"]) -> Float[Tensor, "b c"]:
    """Squared 2-Wasserstein distance of two distributions along each channel, from their quantiles.

    The mean over levels of the squared difference of the quantile functions; the target's is interpolated linearly
    where the numbers differ.
    """
    if target.shape[2] != values.shape[2]:
        target = F.interpolate(target, values.shape[2], mode="linear", align_corners=False)
    return (values - target).square().mean(2)


def histogram(rows: Float[Tensor, "b n c"], target: Float[Tensor, "#b c m"]) -> Float[Tensor, "b"]:
    """Squared distance to the same features with the target's histograms, summed over channels.

    Risser, Wilmot and Barnes 2017, as a mean over positions. Departure: histograms are matched exactly, by
    rank, not by bins; which makes it the transport along every channel. What a position is matched with depends on its
    rank alone, so that its gradient is zero almost everywhere.
    """
    return transport(quantiles(rows), target).sum(1)


def sliced(
    a: Float[Tensor, "b n c"], b: Float[Tensor, "#b m c"], directions: Float[Tensor, "c k"]
) -> Float[Tensor, "b"]:
    """Sliced 2-Wasserstein distance, squared (Heitz 2021), times the number of channels.

    The mean over directions is a share 1 / c of a squared distance in c dimensions; times c it is in squared feature
    units like the others.
    """
    channels, count = directions.shape
    apart = transport(quantiles(a @ directions, ties=False), quantiles(b @ directions, ties=False))
    return channels / count * apart.sum(1)


def orthonormal(channels: int, count: int, generator: torch.Generator) -> Float[Tensor, "{channels} {count}"]:
    """Random directions at right angles to each other, ``count`` of at most ``channels``: the Q of a normal matrix."""
    normal = torch.randn((channels, count), generator=generator, dtype=torch.float64)
    directions: Tensor = torch.linalg.qr(normal).Q
    return directions.float()
