"""Where the descent starts at each size."""

import os

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.engine.descend import Optimiser, Slots, State
from artune.errors import SpecError, UnknownNameError
from artune.images import color
from artune.images.picture import Picture
from artune.transfer.inputs import Painting, Source, read_source

STARTS = ("content", "style", "gaussian", "uniform", "grey", "colours")
"""Starts that need no file."""
SPREAD = 0.25
"""Standard deviation of the Gaussian noise: all but one value in twenty lie in [0, 1]."""


def given_start(kind: str, first: Source | None = None, allow_huge: bool = False) -> Picture | None:
    """The picture to start from, where one was given.

    Args:
        kind: of the spec: one of ``STARTS``, or a file.
        first: in its place.
        allow_huge: read pictures above 100 million pixels.

    Raises:
        SpecError: both are given.
        UnknownNameError: neither a start nor a file.
        PictureError: what was given cannot be read.
    """
    if first is not None:
        if kind not in ("content", "file"):
            raise SpecError(f"both start {kind!r} and first, a picture to start from, are given; leave out either")
        return read_source(first, allow_huge)
    if kind in STARTS:
        return None
    if not os.path.exists(kind):
        why = "a spec names no files: give the picture again" if kind == "file" else "it is no picture file either"
        raise UnknownNameError("start", kind, STARTS, why=why)
    return read_source(kind, allow_huge=allow_huge)


def start(kind: str, content: Image, first: Painting, seed: int) -> Image:
    """The first iterate, shaped like ``content``, in [0, 1].

    Noise is drawn at the first size alone; it follows from the seed and that size.

    Args:
        kind: ``content``; ``gaussian``: noise around 0.5, clamped; ``uniform``: noise; ``grey``: 0.5 with noise of one
            part in 255, without which every pixel of a flat picture is pulled alike; ``colours``: ``colour_noise``,
            clamped; anything else: ``first``, resized.
        content: the photograph at the first size.
        first: the first style, or what was given to start from.
        seed: of the noise.
    """
    if kind == "content":
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
    """Standard normal noise given the mean colour and the covariance of what counts of a painting; not clamped."""
    mean, covariance = color.moments(painting.picture.pixels, painting.weight())
    values, vectors = np.linalg.eigh(covariance)
    root = torch.from_numpy(vectors * np.sqrt(np.maximum(values, 0)))
    return (torch.from_numpy(mean)[:, None, None] + torch.einsum("ij,bjhw->bihw", root, noise.double())).float()


def enlarged(image: Image, content: Image, before: Image | None) -> Image:
    """Where a size begins: what the last size left, brought to the new one.

    Args:
        image: at the end of the last size.
        content: the photograph at the new size.
        before: the photograph at the last size, where the descent started from it: then what was changed of it is
            enlarged, and added to the photograph at the new size, whose edges and grain are nearer to the end than
            those of a blurred picture.
    """
    image = image if before is None else image - before
    image = F.interpolate(image, content.shape[-2:], mode="bicubic", align_corners=False)
    return (image if before is None else image.add_(content)).clamp_(0, 1)


def carried(state: State, method: Optimiser, height: int, width: int) -> Slots:
    """The method's memory, brought to a new size."""

    def resize(x: Tensor) -> Tensor:
        return F.interpolate(x.contiguous(), (height, width), mode="bilinear", align_corners=False)

    return method.carry(state.slots, resize)
