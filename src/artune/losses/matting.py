"""Photorealism: a loss that keeps a picture, in every small window, an affine function of the photograph's colours.

The matting Laplacian L of a photograph (Levin, Lischinski and Weiss 2008, equation 12) is a matrix with ``v' L v = 0``
for every such channel ``v``. So straight edges stay straight, and flat areas stay flat. The Laplacian comes from
PyMatting, which is an optional extra.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int32
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from artune.backbones.base import Features, Image
from artune.errors import MissingExtraError
from artune.losses.objective import WeightedTerm
from artune.losses.protocol import Mask, TargetSource

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Pixels = Float[np.ndarray, "h w 3"]

EPSILON = 1e-5
"""Added to a window's covariance, in squared units of the pixel range. Differences of less than a few 8-bit steps are
noise or JPEG blocks, not edges; without this term, they would show in the result."""
PAINTED_SHARE = 0.01
"""Typical Laplacian energy of a painted picture, as a share of the energy of independent pixels with the variances of
the photograph. The photograph itself has less than a ten-thousandth of it."""
SMOOTHING_WEIGHT = 100.0
"""Weight of the Laplacian relative to the data term in smoothing of strength 1; chosen by eye."""
ITERATIONS = 1000
"""Largest number of iterations of conjugate gradients."""


def laplacian(photograph: Pixels) -> "csr_matrix":
    """Matting Laplacian of a picture in [0, 1], for windows of 3x3 pixels.

    Returns:
        a sparse matrix ``[h w, h w]`` in double precision, with about 25 entries (400 bytes) for each pixel.

    Raises:
        MissingExtraError: PyMatting is not installed.
    """
    # importing PyMatting sets OpenMP's number of threads, which each thread has for itself: here, it is one that ends
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_laplacian, photograph).result()


def _laplacian(photograph: Pixels) -> "csr_matrix":
    try:
        from pymatting.laplacian import (
            cf_laplacian,  # imported late: it takes a second, and compiles code at its first use
        )
    except ImportError as error:
        raise MissingExtraError("the matting Laplacian", "PyMatting", "photoreal") from error
    matrix: csr_matrix = cf_laplacian(np.ascontiguousarray(photograph, dtype=np.float64), epsilon=EPSILON)
    return matrix


class SparseRows(NamedTuple):
    """A sparse matrix by rows (CSR). PyTorch's own such tensors warn that they are in beta.

    Attributes:
        begins: place of each row's first entry among all entries, ``[n]``.
        columns: column of each entry.
        values: the entries, row by row.
    """

    begins: Int32[Tensor, "n"]
    columns: Int32[Tensor, "entries"]
    values: Float[Tensor, "entries"]

    @classmethod
    def of(cls, matrix: "csr_matrix", like: Tensor) -> "SparseRows":
        """The matrix in the precision, and on the device, of a tensor."""
        begins, columns = (torch.from_numpy(x.astype(np.int32)) for x in (matrix.indptr[:-1], matrix.indices))
        return cls(begins.to(like.device), columns.to(like.device), torch.from_numpy(matrix.data).to(like))

    def times(self, rows: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The product with a matrix: each of its rows is a sum of weighted rows."""
        return F.embedding_bag(self.columns, rows, self.begins, mode="sum", per_sample_weights=self.values)


class _Product(torch.autograd.Function):
    """``v' L v`` of every picture of a batch, summed over channels. L is symmetric, so the gradient is 2 L v."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, matrix: SparseRows) -> Tensor:
        columns = image.flatten(2)  # b c n
        product = matrix.times(columns.flatten(0, 1).T.contiguous()).T.view_as(columns)
        ctx.save_for_backward(product)
        ctx.shape = image.shape
        return (columns * product).sum((1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (product,) = ctx.saved_tensors
        return (2 * grad[:, None, None] * product).view(ctx.shape), None


class Matting:
    """``v' L v`` divided by the number of pixels, summed over channels (Luan 2017, equations 2 and 3).

    Args:
        content: the photograph, ``[1, 3, h, w]``.

    Raises:
        MissingExtraError: PyMatting is not installed.
    """

    name = "photoreal"
    taps: tuple[str, ...] = ("image",)
    source: TargetSource = "content"
    additive = False

    def __init__(self, content: Image) -> None:
        matrix = laplacian(content[0].permute(1, 2, 0).cpu().numpy())
        self.matrix = SparseRows.of(matrix, like=content)
        self.diagonal = torch.from_numpy(matrix.diagonal()).to(content)

    def measure(self, features: Features, mask: Mask | None = None) -> Tensor:
        """The picture; the mask is not used."""
        return features["image"]

    def mix(self, parts: Sequence[Any], weights: Sequence[float]) -> Any:
        raise ValueError("there is one content")

    def freeze(self, measured: Tensor) -> None:
        return None

    def distance(self, measured: Tensor, target: None, step: int = 0) -> Tensor:
        energy: Tensor = _Product.apply(measured, self.matrix)
        return energy / self.diagonal.numel()

    def energy(self, measured: Tensor) -> Tensor:
        """Typical ``distance`` of a painted picture: ``PAINTED_SHARE`` of the energy by the diagonal of L alone."""
        centred = measured - measured.mean((2, 3), keepdim=True)
        return PAINTED_SHARE * (centred.square().sum(1).flatten(1) * self.diagonal).mean(1)


@torch.no_grad()
def matting(content: Image, weight: float) -> WeightedTerm[Tensor, None]:
    """The photorealism term of an objective: about 1 for a painted picture, 0 for the photograph.

    Args:
        content: the photograph at the size of the result, ``[1, 3, h, w]``.
        weight: weight in the total.

    Raises:
        MissingExtraError: PyMatting is not installed.
    """
    term = Matting(content)
    return WeightedTerm(term.name, term, None, weight, term.energy(content) + 1e-12)


def smooth_like(picture: Pixels, photograph: Pixels, strength: float) -> Pixels:
    """Smooth a picture along the photograph's edges (after Li 2018, section 3.2): strokes go, edges and colours stay.

    For each channel ``y``, the result is the ``x`` that minimises ``SMOOTHING_WEIGHT strength x' L x + |x - y|^2``. It
    is computed by conjugate gradients with the diagonal as preconditioner, to a relative residual of 0.001 or for
    ``ITERATIONS``. Departures: the Laplacian is not normalised by its diagonal, and ``SMOOTHING_WEIGHT`` is our own.

    Args:
        picture: ``[h, w, 3]`` in [0, 1].
        photograph: ``[h, w, 3]`` in [0, 1].
        strength: 0 leaves the picture as it is; larger values smooth more.

    Raises:
        MissingExtraError: PyMatting is not installed.
    """
    if strength == 0:
        return picture
    from scipy.sparse import diags_array, eye_array
    from scipy.sparse.linalg import cg

    matrix = laplacian(photograph)
    system = (SMOOTHING_WEIGHT * strength * matrix + eye_array(matrix.shape[0])).tocsr()
    scales = diags_array(1 / system.diagonal())
    wanted = picture.reshape(-1, 3).astype(np.float64)
    columns = [cg(system, y, x0=y, rtol=1e-3, maxiter=ITERATIONS, M=scales)[0] for y in wanted.T]
    smooth = np.stack(columns, 1).clip(0, 1)
    return smooth.reshape(picture.shape).astype(picture.dtype)
