"""Roots and polar factors of matrices by matrix products alone: ONNX has no operator that finds eigenvalues.

They come from the iteration of Newton and Schulz for the sign function, x -> (3 x - x^3) / 2, which brings singular
values from (0, sqrt(3)) to 1 (Higham 2008, *Functions of Matrices*). Small values take many iterations; half as many
if they are scaled before each, so that both ends of their interval are carried to the same value (Chen and Chow 2014).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

NEAR = 1e-2
"""How far from 1 the least singular value may be before the last iteration, which squares this distance."""
LARGEST_SCALE = 1.6977
"""Bound of the scale: with larger ones, values that rounding has carried beyond 1 would lose their sign (likewise)."""


def scales(least: float) -> list[float]:
    """The scale of each iteration.

    Args:
        least: lower bound of the singular values, which are at most 1.
    """
    found = []
    while 1 - least > NEAR:
        scale = min(math.sqrt(3 / (1 + least + least**2)), LARGEST_SCALE)
        found.append(scale)
        least = min((3 * scale * value - (scale * value) ** 3) / 2 for value in (least, 1.0))
    return [*found, 1.0]


def roots(m: Float[Tensor, "c c"], least: float) -> tuple[Float[Tensor, "c c"], Float[Tensor, "c c"]]:
    """Root and inverse root of a symmetric positive matrix, by the coupled iteration.

    Args:
        m: the matrix.
        least: lower bound of its smallest eigenvalue, in units of its Frobenius norm.
    """
    norm = m.square().sum().sqrt()
    root: Tensor = m / norm
    inverse: Tensor | None = None  # the identity
    for scale in scales(math.sqrt(least)):
        once, thrice = 1.5 * scale, -0.5 * scale**3
        if inverse is None:
            inverse = thrice * root + once * torch.eye(len(m), dtype=m.dtype, device=m.device)
            root = torch.addmm(root, root, root, beta=once, alpha=thrice)
        else:
            product = inverse @ root
            root = torch.addmm(root, root, product, beta=once, alpha=thrice)
            inverse = torch.addmm(inverse, product, inverse, beta=once, alpha=thrice)
    assert inverse is not None
    length = norm.sqrt()
    return root * length, inverse / length


def polar_factor(m: Float[Tensor, "c c"], least: float) -> Float[Tensor, "c c"]:
    """The orthogonal matrix nearest to a matrix.

    Args:
        m: the matrix; its determinant is not 0.
        least: lower bound of its smallest singular value, in units of its Frobenius norm.
    """
    x = m / m.square().sum().sqrt()
    for scale in scales(least):
        x = torch.addmm(x, x, x.T @ x, beta=1.5 * scale, alpha=-0.5 * scale**3)
    return x
