"""Linear maps that give features the mean and covariance of other features, or a part of them.

They replace each other in universal style transfer: whitening and colouring (Li et al. 2017), the mean and deviation of
each channel (Huang and Belongie 2017), and the optimal transport of Gaussians (Lu et al. 2019).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from artune.losses.moments import Gaussian, eigh


class FeatureMap(NamedTuple):
    """An affine map of features: ``matrix @ f + shift``.

    Attributes:
        matrix: ``[b, c, c]``.
        shift: ``[b, c]``.
    """

    matrix: Float[Tensor, "b c c"]
    shift: Float[Tensor, "b c"]

    def at(self, strength: float) -> "FeatureMap":
        """The map to ``strength`` times the mapped features plus the rest of the features as they are."""
        matrix = strength * self.matrix
        matrix.diagonal(dim1=1, dim2=2).add_(1 - strength)
        return FeatureMap(matrix, strength * self.shift)

    def of(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The mapped features, in the precision of the features, with channels last."""
        matrix, shift = (each.to(features.dtype) for each in self)
        rows = features.permute(0, 2, 3, 1)
        moved = torch.baddbmm(shift.unsqueeze(1), rows.flatten(1, 2), matrix.transpose(1, 2))
        return moved.view(rows.shape).permute(0, 3, 1, 2)


def mixed(maps: Sequence[FeatureMap], weights: Sequence[float]) -> FeatureMap:
    """The map to the weighted mean of what several maps make of the features (Li et al. 2017).

    Args:
        maps: at least one.
        weights: of each map, with a sum of 1.
    """
    pairs = [*zip(maps, weights, strict=True)]
    matrix = torch.stack([weight * each.matrix for each, weight in pairs]).sum(0)
    return FeatureMap(matrix, torch.stack([weight * each.shift for each, weight in pairs]).sum(0))


def whitening_colouring(content: Gaussian, style: Gaussian) -> FeatureMap:
    """Whitening by C^-1/2, then colouring by S^1/2 (Li et al. 2017, section 3.2).

    Departures: both covariances have a ridge, instead of losing their smallest eigenvalues; and they are means over
    positions, which may differ in number, where the paper has sums.
    """
    return _to_means(style.root @ _inverse_root(content.cov), content, style)


def channel_statistics(content: Gaussian, style: Gaussian) -> FeatureMap:
    """AdaIN: each channel by itself gets the mean and deviation of the painting's (Huang and Belongie 2017)."""
    ratio = style.cov.diagonal(dim1=1, dim2=2) / content.cov.diagonal(dim1=1, dim2=2)
    return _to_means(torch.diag_embed(ratio.sqrt()), content, style)


def transport(content: Gaussian, style: Gaussian) -> FeatureMap:
    """The optimal transport R (R C R)^-1/2 R with R = S^1/2: of all maps to S, it moves features least.

    (Dowson and Landau 1982; in universal style transfer: Lu et al. 2019.)
    """
    root = style.root
    return _to_means(root @ _inverse_root(root @ content.cov @ root) @ root, content, style)


Transform = Callable[[Gaussian, Gaussian], FeatureMap]
"""Makes the map from the statistics of the picture's features and those of the painting's."""
TRANSFORMS: Mapping[str, Transform] = {
    "wct": whitening_colouring,
    "adain": channel_statistics,
    "transport": transport,
}
"""The transforms, by their name in the spec."""


def _to_means(matrix: Float[Tensor, "b c c"], content: Gaussian, style: Gaussian) -> FeatureMap:
    """The map with a matrix that carries the one mean to the other."""
    return FeatureMap(matrix, style.mean - (matrix @ content.mean.unsqueeze(2)).squeeze(2))


def _inverse_root(m: Float[Tensor, "b c c"]) -> Float[Tensor, "b c c"]:
    """Inverse of the symmetric square root of a symmetric positive matrix."""
    values, vectors = eigh(m)
    floor = torch.finfo(m.dtype).eps * values[:, -1:].clamp(min=1e-20)  # smaller ones are rounding errors
    inverse: Tensor = (vectors * values.clamp(min=floor).rsqrt().unsqueeze(1)) @ vectors.transpose(1, 2)
    return inverse
