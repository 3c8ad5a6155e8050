"""The last steps from iterate to result: smoothing, colours, and the photograph where no style is wanted."""

from dataclasses import replace

import torch

from artune.backbones.base import Image
from artune.images import color
from artune.images.picture import Picture, from_tensor
from artune.losses.matting import smooth_like
from artune.regions.masks import composite
from artune.transfer.inputs import Inputs
from artune.transfer.plan import Plan


def smoothed(image: Image, strength: float, shown: Inputs) -> Image:
    """Smooth a picture along the photograph's edges, which takes seconds.

    Args:
        image: the picture, ``[1, 3, h, w]``.
        strength: 0 leaves the picture as it is.
        shown: the pictures in the colours that the network saw.
    """
    if not strength:
        return image
    height, width = image.shape[-2:]
    like = shown.photograph.resized(width, height).filled()
    pixels = smooth_like(from_tensor(image).pixels, like, strength)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].to(image.device)


def finished(image: Image, plan: Plan, inputs: Inputs, shown: Inputs) -> Picture:
    """Turn an iterate into a picture: set its colours, transparency and metadata, and blend it with the photograph.

    Args:
        image: the iterate, ``[1, 3, h, w]``.
        plan: the plan of the run.
        inputs: the pictures as they were read.
        shown: the pictures in the colours that the network saw.
    """
    height, width = image.shape[-2:]
    photograph, covered = inputs.photograph, inputs.covered_at(width, height)
    if not (photograph.alpha is None and covered is None and plan.color == "style"):
        photograph = inputs.photograph_at(width, height)
    picture = from_tensor(image, like=photograph)
    pixels = picture.pixels
    if plan.color == "content-luminance":
        pixels = color.with_luminance_of(pixels, photograph.filled(), plan.color_space)
    if covered is not None:
        pixels = composite(pixels, photograph.pixels, covered)
    return replace(picture, pixels=pixels)
