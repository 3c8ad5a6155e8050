"""Where the descent starts."""

import torch
from torch import Tensor

from artune.backbones.base import Image
from artune.images import Picture


def start(kind: str, content: Image, picture: Picture, seed: int) -> Image:
    """The first iterate, shaped like ``content``.

    Args:
        kind: ``content``; ``noise``: uniform; anything else: ``picture``, resized.
        content: the photograph at the first size.
        picture: the first style, or what was read from a file.
        seed: of the noise.
    """
    height, width = content.shape[-2:]
    if kind == "content":
        return content.clone()
    if kind == "noise":
        generator = torch.Generator().manual_seed(seed)
        noise: Tensor = torch.rand(content.shape, generator=generator)
        return noise.to(content.device)
    return picture.resized(width, height).tensor().to(content.device)
