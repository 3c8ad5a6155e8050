"""Distances of moments of features: Gram matrices, means and deviations, the Wasserstein distance of Gaussians.

Statistics are fp32 for features of any precision: Gram matrices overflow in fp16, and lose digits in bf16.
"""

from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from artune.backbones.sums import Sums, at_least_fp32, sums_of

RIDGE = 1e-4
"""Added to a covariance, in units of its mean eigenvalue, before a matrix root is taken. A tap with fewer
positions than channels has a singular covariance, whose root has no finite gradient."""
MEAN_RIDGE = 1e-6
"""Added to a covariance, as a share of the mean of the squared means. The covariance of a flat picture consists of
rounding errors of this size, and need not be positive."""


class Moments(NamedTuple):
    """First and second moments of features over positions, as sums; those of two tiles add up.

    Attributes:
        positions: number of positions, ``[b]``.
        mass: sum of the mask, ``[b]``; without a mask the number of positions.
        first: sum of the features, ``[b, c]``.
        second: sum of their outer products, ``[b, c, c]``.
    """

    positions: Float[Tensor, "b"]
    mass: Float[Tensor, "b"]
    first: Float[Tensor, "b c"]
    second: Float[Tensor, "b c c"]


def moments(features: Float[Tensor, "b c h w"], mask: Float[Tensor, "#b 1 h w"] | None = None) -> Moments:
    """Moments of features over positions, weighted by a mask of values in [0, 1]."""
    if mask is None:
        return moments_of(sums_of(features))
    weight = at_least_fp32(mask).expand(len(features), -1, -1, -1)
    return moments_of(sums_of(features, weight), weight.sum((1, 2, 3)))


def moments_of(sums: Sums, mass: Float[Tensor, "b"] | None = None) -> Moments:
    """Moments from sums over positions.

    Args:
        sums: of the features.
        mass: sum of the mask; without a mask the number of positions.
    """
    positions = sums.first.new_full((len(sums.first),), sums.positions)
    return Moments(positions, positions if mass is None else mass, sums.first, sums.second)


class Marginals(NamedTuple):
    """First and second moments of each channel by itself, as sums; those of two tiles add up.

    Attributes:
        mass: sum of the mask, ``[b]``; without a mask the number of positions.
        first: sum of the features, ``[b, c]``.
        second: sum of their squares, ``[b, c]``.
    """

    mass: Float[Tensor, "b"]
    first: Float[Tensor, "b c"]
    second: Float[Tensor, "b c"]


class _MarginalSums(torch.autograd.Function):
    """Weighted sum of ``[b, c, n]`` over n, and of its squares, in fp32; weights ``[b, 1, n]`` or ``None``.

    Its own backward keeps the features in their own precision.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(rows, weight)
        wide = at_least_fp32(rows)
        weighted = wide if weight is None else wide * weight
        return weighted.sum(2), (weighted * wide).sum(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, first: Tensor, second: Tensor) -> tuple[Tensor, None]:
        rows, weight = ctx.saved_tensors
        slope = torch.addcmul(first.unsqueeze(2), at_least_fp32(rows), 2 * second.unsqueeze(2))
        return (slope if weight is None else slope.mul_(weight)).to(rows.dtype), None


def marginals(features: Float[Tensor, "b c h w"], mask: Float[Tensor, "#b 1 h w"] | None = None) -> Marginals:
    """Moments of each channel over positions, weighted by a mask of values in [0, 1]."""
    rows = features.flatten(2)  # b c n; a view where channels come first
    weight = None if mask is None else at_least_fp32(mask.flatten(2)).expand(len(rows), -1, -1)
    first, second = _MarginalSums.apply(rows, weight)
    mass = first.new_full((len(rows),), rows.shape[2]) if weight is None else weight.sum((1, 2))
    return Marginals(mass, first, second)


Statistics = TypeVar("Statistics", Moments, Marginals)


def mix(parts: list[Statistics], weights: list[float]) -> Statistics:
    """Moments of a mixture of several distributions, in the given proportions, with a mass of 1."""
    whole = sum(weights)
    scales = [weight / whole / part.mass for weight, part in zip(weights, parts, strict=True)]

    def joined(sums: list[Tensor]) -> Tensor:
        return torch.stack([s.view(-1, *[1] * (x.dim() - 1)) * x for s, x in zip(scales, sums, strict=True)]).sum(0)

    first, second = joined([part.first for part in parts]), joined([part.second for part in parts])
    return parts[0]._replace(mass=torch.ones_like(parts[0].mass), first=first, second=second)


def mean_and_deviation(m: Marginals) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c"]]:
    """Mean and standard deviation of each channel. The deviation is at least 1e-6; there its gradient is zero."""
    mean = m.first / m.mass[:, None]
    return mean, (m.second / m.mass[:, None] - mean.square()).clamp(min=1e-12).sqrt()


def deviation_distance(m: Marginals, target: tuple[Float[Tensor, "#b c"], Float[Tensor, "#b c"]]) -> Float[Tensor, "b"]:
    """|mu - mu'|^2 + |sigma - sigma'|^2: distance of the statistics of AdaIN (Huang and Belongie 2017).

    Departure: squared norms instead of norms, so that the unit is that of the other distances: squared feature units.
    """
    pairs = zip(mean_and_deviation(m), target, strict=True)
    mean, deviation = ((ours - theirs).square().sum(1) for ours, theirs in pairs)
    return mean + deviation


def gram(m: Moments) -> Float[Tensor, "b c c"]:
    """Gram matrix as a mean over positions (Gatys 2016, equation 3, divided by the number of positions)."""
    return m.second / m.mass[:, None, None]


def mean_and_covariance(m: Moments) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c c"]]:
    """Mean and covariance over positions."""
    mean = m.first / m.mass[:, None]
    return mean, torch.baddbmm(gram(m), mean.unsqueeze(2), mean.unsqueeze(1), alpha=-1)


def energy(m: Moments | Marginals) -> Float[Tensor, "b"]:
    """Mean squared length of the feature vectors."""
    squares = m.second.diagonal(dim1=1, dim2=2) if isinstance(m, Moments) else m.second
    return squares.sum(1) / m.mass


def add_ridge(mean: Float[Tensor, "b c"], cov: Float[Tensor, "b c c"]) -> Float[Tensor, "b c c"]:
    """Add ``RIDGE`` times the mean eigenvalue, and ``MEAN_RIDGE`` times the mean squared mean, to the diagonal."""
    cov = cov.clone()
    diagonal = cov.diagonal(dim1=1, dim2=2)
    diagonal += (RIDGE * diagonal + MEAN_RIDGE * mean.square()).mean(1, keepdim=True) + 1e-12
    return cov


def eigh(m: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a positive semidefinite matrix; NaN if it is not finite, because LAPACK raises an
    error then.
    """
    level = m.diagonal(dim1=1, dim2=2).amax(1, keepdim=True)  # no entry is larger
    if not level.isfinite().all():
        return m.new_full(m.shape[:-1], torch.nan), torch.full_like(m, torch.nan)
    # scaled to order 1: LAPACK does not converge if entries are so small that their products underflow
    level = level.clamp(min=1e-30)
    values, vectors = torch.linalg.eigh(m / level[:, :, None])
    return values * level, vectors


def matrix_root(m: Float[Tensor, "b c c"]) -> Float[Tensor, "b c c"]:
    """Symmetric square root of a symmetric positive semidefinite matrix."""
    values, vectors = eigh(m)
    root: Tensor = (vectors * values.clamp(min=0).sqrt().unsqueeze(1)) @ vectors.transpose(1, 2)
    return root


class Gaussian(NamedTuple):
    """Target of ``wasserstein``: mean, covariance, and its matrix root, in fp64."""

    mean: Float[Tensor, "b c"]
    cov: Float[Tensor, "b c c"]
    root: Float[Tensor, "b c c"]


def precise(m: Moments) -> Moments:
    """Moments in fp64 if the device has it, for a matrix root.

    The product of two covariances with ridges has eigenvalues down to 1e-8 of the largest one, which fp32 cannot
    represent. In fp32, the order of summation would change the gradient of the distance by a thousandth.
    """
    return Moments(*map(widened, m))


def widened(x: Tensor) -> Tensor:
    """Convert to fp64 if the device has it."""
    return x if x.device.type == "mps" else x.double()


def gaussian(m: Moments) -> Gaussian:
    """Mean, covariance with a ridge, and the matrix root of this covariance."""
    mean, cov = mean_and_covariance(precise(m))
    cov = add_ridge(mean, cov)
    return Gaussian(mean, cov, matrix_root(cov))


class _Wasserstein(torch.autograd.Function):
    """The distance of ``wasserstein`` from sums, with its analytic gradient.

    With R = C'^(1/2): d/dC = I - R (R C R)^(-1/2) R, and d/dmu = 2 (mu - mu'). The gradient of ``eigh`` itself divides
    by differences of eigenvalues, and is NaN if two are equal. It is slow, too: at a small size, autograd's many small
    products would take half of a step. Operations are few here, for each takes microseconds, however small its matrix.
    """

    @staticmethod
    def forward(ctx: Any, mass: Tensor, first: Tensor, second: Tensor, target: Gaussian) -> Tensor:
        moments = precise(Moments(mass, mass, first, second))
        mean, cov = mean_and_covariance(moments)
        cov = add_ridge(mean, cov)
        values, vectors = eigh(target.root @ cov @ target.root)
        floor = torch.finfo(cov.dtype).eps * values[:, -1:].clamp(min=1e-20)  # smaller ones are rounding errors
        roots = values.clamp(min=floor).sqrt_()
        traces = (cov + target.cov).diagonal(dim1=1, dim2=2)
        apart: Tensor = ((mean - target.mean).square() + traces - 2 * roots).sum(1)
        ctx.save_for_backward(moments.mass, mean, target.mean, target.root, roots, vectors, apart)
        ctx.kind = first.dtype
        return apart.clamp(min=0).to(first.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor, None]:
        mass, mean, wanted, root, roots, vectors, apart = ctx.saved_tensors
        half = root @ vectors
        of_cov = (half / -roots.unsqueeze(1)) @ half.transpose(1, 2)
        diagonal = of_cov.diagonal(dim1=1, dim2=2)
        diagonal += 1
        # the ridge follows the covariance's mean eigenvalue, and the squared mean
        ridge = diagonal.mean(1, keepdim=True)
        diagonal += RIDGE * ridge
        # the covariance is the mean square less the squared mean
        of_mean = (2 + 2 * MEAN_RIDGE * ridge) * mean - 2 * wanted - 2 * (of_cov @ mean.unsqueeze(2)).squeeze(2)
        scale = (grad * (apart >= 0) / mass)[:, None]
        return None, (scale * of_mean).to(ctx.kind), of_cov.mul_(scale[:, :, None]).to(ctx.kind), None


def wasserstein(m: Moments, target: Gaussian) -> Float[Tensor, "b"]:
    """Squared 2-Wasserstein distance of the Gaussians with these means and covariances.

    |mu - mu'|^2 + tr(C + C' - 2 (C'^(1/2) C C'^(1/2))^(1/2))  (Dowson and Landau 1982).
    """
    apart: Tensor = _Wasserstein.apply(m.mass, m.first, m.second, target)
    return apart


def gram_distance(m: Moments, target: Float[Tensor, "#b c c"]) -> Float[Tensor, "b"]:
    """Frobenius norm of the difference of two Gram matrices, in squared feature units.

    A small constant is added inside the square root, whose gradient is infinite at zero.
    """
    square = (gram(m) - target).square().sum((1, 2))
    return (square + 1e-12 * target.square().sum((1, 2)) + 1e-20).sqrt()
