"""Films made of photographs: next frames whose motion is known, and how much of a picture changes beside the motion.

A painter that learns on them flickers less, and needs no films (Wang et al. 2020, "Consistent Video Style Transfer via
Compound Regularization").
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Image

Motion = Float[Tensor, "b _ _ 2"]
"""Where each pixel comes from in the frame before: x and y, the sides being -1 and 1, as ``grid_sample`` takes it."""
MOTION = 0.03
"""Standard deviation of the motion from one frame to the next, as a share of the side."""
LIGHT = 0.02
"""Standard deviation of the factor by which a frame is lighter or darker than the one before."""
GRAIN = 0.01
"""Largest standard deviation of the noise by which a frame differs from the one before."""
EDGE = 0.95
"""Beyond it, half-sides from the middle, a motion comes from outside the frame."""


def draw_motion(rng: np.random.Generator, count: int, side: int) -> Motion:
    """Draw smooth motions: shift, rotation, scale and shear, and a little of its own in each part.

    Args:
        rng: of the draws.
        count: number of the motions.
        side: of the frames, pixels.
    """
    affine = np.tile(np.eye(2, 3), (count, 1, 1)) + rng.normal(0, MOTION, (count, 2, 3)) * [1, 1, 2]
    grid = F.affine_grid(torch.from_numpy(affine.astype(np.float32)), [count, 1, side, side], align_corners=False)
    coarse = torch.from_numpy(rng.normal(0, MOTION / 2, (count, 2, 4, 4)).astype(np.float32))
    smooth = F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=True)
    return grid + smooth.permute(0, 2, 3, 1)


def next_frames(photographs: Image, motion: Motion, rng: np.random.Generator) -> Image:
    """Photographs after a motion, a little lighter or darker, and with grain, in [0, 1]."""
    after = moved(photographs, motion)
    light = torch.from_numpy(rng.normal(1, LIGHT, (len(after), 1, 1, 1)).astype(np.float32))
    grain = torch.from_numpy(rng.normal(0, rng.uniform(0, GRAIN), after.shape).astype(np.float32))
    return (light * after + grain).clamp(0, 1)


def moved(images: Image, motion: Motion) -> Image:
    """Pictures after a motion, which may be of another size."""
    motion = _resized(motion, images)
    return F.grid_sample(images, motion, mode="bicubic", padding_mode="border", align_corners=False)


def flicker(before: Image, after: Image, motion: Motion) -> Float[Tensor, ""]:
    """Mean squared difference of frames from the frames before after their motion, where that comes from inside."""
    inside = (_resized(motion, before).abs().amax(3) < EDGE).float()[:, None]
    apart = (after - moved(before, motion)).square() * inside
    return apart.sum() / (before.shape[1] * inside.sum().clamp(min=1))


def _resized(motion: Motion, images: Image) -> Motion:
    if motion.shape[1:3] == images.shape[2:]:
        return motion
    fields = F.interpolate(motion.permute(0, 3, 1, 2), size=images.shape[2:], mode="bilinear")
    return fields.permute(0, 2, 3, 1)
