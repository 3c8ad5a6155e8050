"""The initial iterate at each size."""

import os

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.backbones.circular import wrapped
from artune.engine.descend import Optimiser, Slots, State
from artune.errors import SpecError, UnknownNameError
from artune.images import color
from artune.images.picture import Picture
from artune.images.resize import NO_WRAPS, Wraps
from artune.transfer.inputs import Painting, Source, read_source

STARTS = ("auto", "instant", "content", "style", "gaussian", "uniform", "grey", "colours")
"""Values of the spec's ``start`` that are not files."""
FROM_PHOTOGRAPH = ("instant", "content")
"""Those of which the first iterate is the photograph."""
SPREAD = 0.25
"""Standard deviation of the Gaussian noise; 19 of 20 values lie in [0, 1]."""


def given_start(kind: str, first: Source | None = None, allow_huge: bool = False) -> Picture | None:
    """Read the picture to start from; ``None`` if none was given.

    Args:
        kind: ``start`` of the spec: one of ``STARTS``, or a file.
        first: the picture, instead of a file in ``kind``.
        allow_huge: whether to read pictures above 100 million pixels.

    Raises:
        SpecError: both are given.
        UnknownNameError: ``kind`` is neither one of ``STARTS`` nor a file.
        PictureError: the picture cannot be read.
    """
    if first is not None:
        if kind not in ("auto", *FROM_PHOTOGRAPH, "file"):  # a resolved spec names the start that was chosen for it
            raise SpecError(f"`start` {kind!r} and `first`, a picture to start from, are both given; leave out either")
        return read_source(first, allow_huge)
    if kind in STARTS:
        return None
    if not os.path.exists(kind):
        why = "a spec contains no picture: give it again" if kind == "file" else "there is no such file, either"
        raise UnknownNameError("start", kind, STARTS, why=why)
    return read_source(kind, allow_huge=allow_huge)


def start(kind: str, content: Image, first: Painting, seed: int) -> Image:
    """The initial iterate at the first size, shaped like ``content``, in [0, 1].

    Noise is drawn at the first size only; it follows from seed and size.

    Args:
        kind: ``content`` and ``instant``: the photograph; ``gaussian``: normal noise around 0.5, clamped; ``uniform``:
            uniform noise; ``grey``: 0.5 with noise of 1/255, without which all pixels would have the same gradient;
            ``colours``: see ``colour_noise``, clamped; anything else: ``first``, resized.
        content: the photograph at the first size, ``[1, 3, h, w]``.
        first: the first painting, or the picture that was given to start from.
        seed: seed of the noise.
    """
    if kind in FROM_PHOTOGRAPH:
        return content.clone()
    generator = torch.Generator().manual_seed(seed)
    if kind == "gaussian":
        x = 0.5 + SPREAD * torch.randn(content.shape, generator=generator)
    elif kind == "uniform":
        x = torch.rand(content.shape, generator=generator)
    elif kind == "grey":
        x = 0.5 + (torch.rand(content.shape, generator=generator) - 0.5) / 255
    elif kind == "colours":
        x = colour_noise(torch.randn(content.shape, generator=generator), first)
    else:
        height, width = content.shape[-2:]
        x = first.picture.resized(width, height).tensor()
    return x.clamp(0, 1).to(content.device)


def colour_noise(noise: Image, painting: Painting) -> Image:
    """Transform standard normal noise to the mean colour and colour covariance of a painting; not clamped."""
    mean, covariance = color.moments(painting.picture.pixels, painting.weight())
    values, vectors = np.linalg.eigh(covariance)
    root = torch.from_numpy(vectors * np.sqrt(np.maximum(values, 0)))
    return (torch.from_numpy(mean)[:, None, None] + torch.einsum("ij,bjhw->bihw", root, noise.double())).float()


def enlarged(
    image: Image, content: Float[Tensor, "1 3 h w"], before: Float[Tensor, "1 3 k v"] | None, wraps: Wraps = NO_WRAPS
) -> Image:
    """The initial iterate at a new size: the picture of the size before, enlarged.

    Args:
        image: the picture at the end of the size before.
        content: the photograph at the new size.
        before: the photograph at the size before, if the run started from the photograph. Then only the difference
            between picture and photograph is enlarged, and added to the photograph at the new size: its edges and grain
            are nearer to the result than those of an enlarged picture.
        wraps: axes along which the pictures repeat.
    """
    image = image if before is None else image - before
    height, width = content.shape[-2:]
    image = _interpolated(image, height, width, "bicubic", wraps)
    return (image if before is None else image.add_(content)).clamp_(0, 1)


def carried(state: State, optimiser: Optimiser, height: int, width: int, *, wraps: Wraps = NO_WRAPS) -> Slots:
    """The optimiser's slots, resized to a new size; ``wraps`` are the axes along which the picture repeats."""

    def resize(x: Tensor) -> Tensor:
        return _interpolated(x.contiguous(), height, width, "bilinear", wraps)

    return optimiser.carry(state.slots, resize)


def _interpolated(x: Tensor, height: int, width: int, mode: str, wraps: Wraps) -> Tensor:
    """A picture, or something of its size, at a new size."""
    if not any(wraps):
        return F.interpolate(x, (height, width), mode=mode, align_corners=False)
    down, across = (2 * repeats for repeats in wraps)  # pixels that the mode sees beyond an edge
    seen = wrapped(x, (down, down), (across, across))
    places = [
        (2 * ((torch.arange(new, device=x.device) + 0.5) * old / new + beyond) / (old + 2 * beyond) - 1).to(x.dtype)
        for new, old, beyond in ((height, x.shape[-2], down), (width, x.shape[-1], across))
    ]
    grid = torch.stack(torch.meshgrid(*places, indexing="ij")[::-1], -1).expand(len(x), -1, -1, -1)
    return F.grid_sample(seen, grid, mode=mode, padding_mode="border", align_corners=False)
