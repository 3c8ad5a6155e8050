"""What keeps a film from flickering: a painted frame takes over what the one before shows of the same things.

A frame is divided into three bands. The strokes, in the middle, come from the frame before, along the optical flow. The
finest band is the present frame's, as it would be blurred a little with every frame that it is carried on. The
coarsest is half and half: a film that takes its light and its colours from the past alone drifts away from its input.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from artune.images.picture import Floats, floats
from artune.video.flow import Flow, FlowEstimator, Weight, warped

FINE = 0.7
"""Standard deviation of the blur below which the finest band lies, pixels."""
COARSE = 0.04
"""Standard deviation of the blur above which the coarsest band lies, as a share of the longer side."""
STROKES_KEPT = 0.9
"""Share of the frame before in the middle band."""
COLOURS_KEPT = 0.5
"""Share of the frame before in the coarsest band."""


@dataclass(frozen=True)
class Carried:
    """An earlier painted frame, carried on to the present one along the optical flow.

    Attributes:
        pixels: ``[h, w, 3]`` in [0, 1].
        valid: how far each pixel shows the same as in the present frame, in [0, 1].
        flow: from the present frame to the earlier one.
    """

    pixels: Floats
    valid: Weight
    flow: Flow


@dataclass(frozen=True)
class Earlier:
    """A frame before the present one.

    Attributes:
        frame: as it was given, at the size of the result, ``[h, w, 3]``.
        painted: what was made of it, ``[h, w, 3]``.
        masks: smoothed masks of the regions that were found in it, ``[h, w]`` each.
    """

    frame: Floats
    painted: Floats
    masks: tuple[Floats, ...] = ()


def carried_on(frame: Floats, earlier: Sequence[Earlier], estimator: FlowEstimator) -> list[Carried]:
    """Earlier painted frames, carried on to the present one.

    What a nearer frame shows counts nothing in one that is farther away, as in Ruder, Dosovitskiy and Brox 2016.

    Args:
        frame: the present frame as it was given, ``[h, w, 3]``.
        earlier: frames before, from near to far.
        estimator: finds the flow.
    """
    found: list[Carried] = []
    left: Weight = np.ones(frame.shape[:2], np.float32)
    for each in earlier:
        origin = estimator.origin(frame, each.frame)
        valid = np.minimum(origin.valid, left)
        left = floats(np.clip(left - valid, 0, 1))
        found.append(Carried(floats(np.clip(warped(each.painted, origin.flow), 0, 1)), floats(valid), origin.flow))
    return found


def steadied(painted: Floats, before: Carried) -> Floats:
    """A painted frame with the strokes of the one before, where that shows the same; ``[h, w, 3]`` in [0, 1]."""
    apart = before.pixels - painted
    coarse = blurred(apart, COARSE * max(painted.shape[:2]))
    middle = blurred(apart, FINE) - coarse
    change = STROKES_KEPT * middle + COLOURS_KEPT * coarse
    return floats(np.clip(painted + before.valid[..., None] * change, 0, 1))


def smoothed_mask(mask: Weight, before: Weight, flow: Flow, valid: Weight, kept: float = 0.5) -> Weight:
    """A mask that a network found in a frame, averaged with the one before along the flow.

    Args:
        mask: of the present frame.
        before: the smoothed mask of the frame before.
        flow: from the present frame to the one before.
        valid: how far each pixel shows the same in both.
        kept: share of the one before.
    """
    old = warped(before[..., None], flow)[..., 0]
    return floats(np.clip(mask + kept * valid * (old - mask), 0, 1))


def blurred(pixels: Floats, deviation: float) -> Floats:
    """Pixels, blurred by a Gaussian; at a quarter of the size where that is much smaller than the blur."""
    if deviation < 8:
        return cast(Floats, cv2.GaussianBlur(pixels, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE))
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (-(-width // 4), -(-height // 4)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), deviation / 4, borderType=cv2.BORDER_REPLICATE)
    return cast(Floats, cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))
