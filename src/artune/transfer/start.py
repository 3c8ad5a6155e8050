"""Where the descent starts at each size."""

import torch
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.engine.descend import State, begin
from artune.engine.methods import Method
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


def enlarged(state: State, method: Method, content: Image, before: Image | None) -> State:
    """The state at the beginning of a size: what the last size left, brought to the new one.

    Args:
        state: at the end of the last size.
        method: whose memory goes along.
        content: the photograph at the new size.
        before: the photograph at the last size, where the descent started from it: then what was changed of it is
            enlarged, and added to the photograph at the new size, whose edges and grain are nearer to the end than
            those of a blurred picture.
    """
    side = content.shape[-2:]

    def resize(x: Tensor) -> Tensor:
        return F.interpolate(x, side, mode="bilinear", align_corners=False)

    image = state.image if before is None else state.image - before
    image = F.interpolate(image, side, mode="bicubic", align_corners=False)
    image = image if before is None else content + image
    return begin(image.clamp(0, 1), method.carry(state.slots, resize))
