"""Augmentation: changed copies of training pictures, which make classifiers more robust.

Every change is a function of a picture and an amount; ``LADDER`` draws the amounts at random.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from numpy.random import Generator

Image = Float[Tensor, "b 3 _ _"]

_LUMA = (0.299, 0.587, 0.114)  # weights of ITU-R BT.601, on sRGB values
_SMOOTHING = ((1, 1, 1), (1, 5, 1), (1, 1, 1))  # the kernel of Pillow's ImageFilter.SMOOTH


def noise(image: Image, normal: Image, deviation: float) -> Image:
    """Add ``deviation`` times ``normal``, which is noise of deviation 1."""
    return (image + deviation * normal).clamp(0, 1)


def saturation(image: Image, factor: float) -> Image:
    """Scale the distance of each colour from its grey: 0 gives grey, 1 the picture itself."""
    return _from(_grey(image), image, factor)


def contrast(image: Image, factor: float) -> Image:
    """Scale the distance of each value from the picture's mean luma: 0 gives a flat grey, 1 the picture itself."""
    return _from(_grey(image).mean((1, 2, 3), keepdim=True), image, factor)


def sharpness(image: Image, factor: float) -> Image:
    """Scale the distance from the smoothed picture: 0 gives the smoothed one, 1 the picture itself."""
    kernel = image.new_tensor(_SMOOTHING).expand(3, 1, 3, 3) / sum(map(sum, _SMOOTHING))
    smoothed = F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)
    return _from(smoothed, image, factor)


def mirror(image: Image) -> Image:
    """Exchange left and right."""
    return image.flip(3)


def rotation(image: Image, degrees: float) -> Image:
    """Turn about the middle, counterclockwise; the picture is mirrored beyond its border."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    height, width = image.shape[2:]
    turn = image.new_tensor([[cos, -sin * height / width, 0], [sin * width / height, cos, 0]])  # of [-1, 1] each way
    grid = F.affine_grid(turn.expand(len(image), 2, 3), list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def bgr(image: Image) -> Image:
    """Exchange red and blue."""
    return image.flip(1)


def _from(base: Tensor, image: Tensor, factor: float) -> Tensor:
    return (base + factor * (image - base)).clamp(0, 1)


def _grey(image: Tensor) -> Tensor:
    return (image * image.new_tensor(_LUMA).view(3, 1, 1)).sum(1, keepdim=True)


def _normal(image: Tensor, rng: "Generator") -> Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(image.shape), dtype=np.float32))


LADDER: "dict[str, Callable[[Tensor, Generator], Tensor]]" = {
    "noise": lambda image, rng: noise(image, _normal(image, rng), rng.uniform(0.02, 0.12)),
    "saturation": lambda image, rng: saturation(image, rng.uniform(0.0, 2.0)),
    "contrast": lambda image, rng: contrast(image, rng.uniform(0.4, 1.8)),
    "sharpness": lambda image, rng: sharpness(image, rng.uniform(-1.0, 4.0)),
    "mirror": lambda image, rng: mirror(image),
    "rotation": lambda image, rng: rotation(image, rng.uniform(-25.0, 25.0)),
    "bgr": lambda image, rng: bgr(image),
}
"""The changes by name, in the order in which they take turns, each with an amount drawn at random."""


def extra(number: int, count: int, seed: int) -> "tuple[int, str, Generator]":
    """How an extra picture is made.

    It depends on its number and the seed alone: the first 250 of 500 extra pictures are the same as those of 250.

    Args:
        number: of the extra picture, from 0.
        count: number of pictures to choose from.
        seed: of the draws.

    Returns:
        Place of the picture that is changed, name of the change, generator that draws its amount.
    """
    rng = np.random.default_rng((seed, number))
    names = list(LADDER)
    return int(rng.integers(count)), names[number % len(names)], rng
