"""The iterate before the first step at each size."""

import torch
from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import Image
from artune.transfer.inputs import Inputs, Painting
from artune.transfer.objective import covered_at, photograph_at
from artune.transfer.plan import Plan
from artune.transfer.start import FROM_PHOTOGRAPH, enlarged, start


def first_iterate(plan: Plan, shown: Inputs, first: Painting, content: Image) -> Image:
    """The iterate before the first step: the start, and the photograph where the result is the photograph.

    Args:
        plan: the plan of the run.
        shown: the pictures in the colours that the network sees.
        first: the picture to start from, if the start is not the photograph.
        content: the photograph at the first size, ``[1, 3, h, w]``.
    """
    x = start(plan.method.start, content, first, plan.seed)
    covered = covered_at(shown, content)
    return x if covered is None else torch.where(covered > 0, x, content)


def next_iterate(plan: Plan, shown: Inputs, image: Image, size: int, content: Float[Tensor, "1 3 h w"]) -> Image:
    """The iterate before the first step at a new size: the picture of the size before, enlarged.

    Args:
        plan: the plan of the run.
        shown: the pictures in the colours that the network sees.
        image: the picture at the end of the size before, ``[b, 3, h, w]``.
        size: longer side of this picture, pixels.
        content: the photograph at the new size, ``[1, 3, h, w]``.
    """
    before = photograph_at(shown, size, content.device) if plan.method.start in FROM_PHOTOGRAPH else None
    return enlarged(image, content, before, shown.wraps)
