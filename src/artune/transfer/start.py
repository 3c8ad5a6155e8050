"""Where the descent starts."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from artune.backbones.base import Image
from artune.images import Picture, read_picture

STARTS = ("content", "noise", "style")


def start(kind: str, content: Image, styles: Sequence[Picture], seed: int) -> Image:
    """The first iterate, shaped like ``content``.

    Args:
        kind: ``content``; ``noise``: uniform; ``style``: the first style, resized; else a picture file, resized.
        content: the photograph at the first size.
        styles: the paintings.
        seed: of the noise.
    """
    height, width = content.shape[-2:]
    if kind == "content":
        return content.clone()
    if kind == "noise":
        generator = torch.Generator().manual_seed(seed)
        noise: Tensor = torch.rand(content.shape, generator=generator)
        return noise.to(content.device)
    picture = styles[0] if kind == "style" else read_picture(Path(kind))
    return picture.resized(width, height).tensor().to(content.device)
