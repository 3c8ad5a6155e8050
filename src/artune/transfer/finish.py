"""From the last iterate to the picture that is shown: edges, colours, and the photograph where it is to stay."""

from dataclasses import replace

import torch

from artune.backbones.base import Image
from artune.images import color
from artune.images.picture import Picture, from_tensor
from artune.losses.matting import smooth_like
from artune.regions.masks import composite
from artune.spec.style import StyleSpec
from artune.transfer.inputs import Inputs


def smoothed(image: Image, spec: StyleSpec, shown: Inputs) -> Image:
    """An iterate in [0, 1], smoothed along the photograph's edges if the spec says so; this takes seconds.

    Args:
        image: the iterate, ``[1, 3, h, w]``.
        spec: resolved.
        shown: the pictures as the network saw them.
    """
    strength = spec.method.photoreal_smoothing
    if not strength:
        return image.clamp(0, 1)
    height, width = image.shape[-2:]
    like = shown.photograph.resized(width, height).filled()
    pixels = smooth_like(from_tensor(image).pixels, like, strength)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].to(image.device)


def finished(image: Image, spec: StyleSpec, inputs: Inputs, shown: Inputs) -> Picture:
    """The picture that an iterate stands for.

    Args:
        image: the iterate, ``[1, 3, h, w]``.
        spec: resolved.
        inputs: the pictures as they were read.
        shown: the pictures as the network saw them.
    """
    height, width = image.shape[-2:]
    photograph, covered = inputs.photograph, inputs.covered_at(width, height)
    if not (photograph.alpha is None and covered is None and spec.color == "style"):
        photograph = photograph.resized(width, height)
    picture = from_tensor(image, like=photograph)
    pixels = picture.pixels
    if spec.color == "content-luminance":
        pixels = color.with_luminance_of(pixels, photograph.filled(), spec.color_space)
    if covered is not None:
        pixels = composite(pixels, photograph.pixels, covered)
    return replace(picture, pixels=pixels)
